/* The default terminal: messages and conversations in one SQLite file. */
#ifndef HF_STORE_STORE_H
#define HF_STORE_STORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "op/host.h"

typedef struct hf__store_options {
    hf_durability durability;
    int busy_timeout_ms;
    hf__host *host;       /* clock, ids and log; outlives the store */
    const char *view_dir; /* of the disk view, NULL for none; copied */
} hf__store_options;

/* Opens or creates the file and fills `out`, whose `close` frees everything. Errors as hf_open's. */
int hf__store_open(const char *path, const hf__store_options *options, hf_terminal *out, hf_error *err);

/* Whether the ops that follow are a dry run: all of them will be rolled back, and what they find out beside - that
 * the owner of an anchor died - is not acted upon, either. `terminal` is one of the above. */
void hf__store_dry_run(const hf_terminal *terminal, bool yes);

/* Adds the text of hf_stats_json, which is its contract. `terminal` is one of the above. */
int hf__store_stats(const hf_terminal *terminal, hf__buf *out, hf_error *err);

/* Writes the disk view of the store anew; hf_view_rebuild is its contract. `terminal` is one of the above. */
int hf__store_rebuild_view(const hf_terminal *terminal, int64_t *conversations, hf_error *err);

#endif
