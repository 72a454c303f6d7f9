/* How large a store is and how it fares, for its host. What is counted is the default terminal's affair. */
#include "base/error.h"
#include "engine/engine.h"
#include "store/store.h"

int hf_stats_json(hf_store *store, hf_json *out, hf_error *err) {
    hf__buf stats;
    if (out == NULL)
        return hf__fail(err, HF_MISUSE, "hf_stats_json: expected a place for the figures, found NULL");
    *out = (hf_json){0};
    int rc = hf__engine_enter(store, err);
    if (rc != HF_OK) return rc;
    hf__buf_init(&stats, 0);
    if (store->host_terminal)
        rc = hf__fail(err, HF_MISUSE, "the figures are the default terminal's, and this store has another");
    else
        rc = hf__store_stats(&store->terminal, &stats, err);
    hf__engine_leave(store);
    if (rc == HF_OK) return hf__engine_give(&stats, out, err);
    hf__buf_free(&stats);
    return rc;
}
