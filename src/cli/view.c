/* `holdfast view rebuild`: the disk view of a store, written anew. How is the engine's affair. */
#include <inttypes.h>

#include "cli/cli.h"
#include "cli/output.h"

int hf__cli_view_rebuild(const hf__cli *cli) {
    hf_error err;
    hf_store *store;
    int64_t conversations;
    if (cli->view == NULL) {
        hf__out_note("view rebuild: --view DIR is missing");
        return HF__EXIT_USAGE;
    }
    int status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    if (hf_view_rebuild(store, &conversations, &err) == HF_OK) {
        hf__out_note("wrote %" PRId64 " conversation%s to %s", conversations, conversations == 1 ? "" : "s",
                     cli->view);
    } else {
        hf__out_note("%s: %s", cli->store, err.message);
        status = HF__EXIT_FAILED;
    }
    hf_close(store);
    return status;
}
