/* The host's part in the disk view: having it written anew. What it looks like is the default terminal's affair. */
#include "base/error.h"
#include "engine/engine.h"
#include "store/store.h"

int hf_view_rebuild(hf_store *store, int64_t *conversations, hf_error *err) {
    int64_t unwanted;
    if (conversations == NULL) conversations = &unwanted;
    *conversations = 0;
    int rc = hf__engine_enter(store, err);
    if (rc != HF_OK) return rc;
    if (store->host_terminal)
        rc = hf__fail(err, HF_MISUSE,
                      "the disk view belongs to the default terminal, and this store has another");
    else
        rc = hf__store_rebuild_view(&store->terminal, conversations, err);
    hf__engine_leave(store);
    return rc;
}
