/* The host's side of a store: its options with the defaults filled in, and the ids that come from them. */
#include "op/host.h"

#include "base/error.h"

#define MIB ((size_t)1024 * 1024)

static size_t or_default(size_t value, size_t fallback) {
    return value != 0 ? value : fallback;
}

int hf__host_init(hf__host *host, const hf_options *options, hf_error *err) {
    hf_options given = {0};
    if (options != NULL) {
        if (options->size != sizeof given)
            return hf__fail(err, HF_MISUSE, "hf_options.size is %zu: expected sizeof(hf_options), %zu",
                            options->size, sizeof given);
        given = *options;
    }
    *host = (hf__host){
        .log = given.log,
        .log_data = given.log_data,
        .now = given.now != NULL ? given.now : hf__now,
        .random = given.random != NULL ? given.random : hf__random,
        .source_data = given.source_data,
        .limits =
            {
                .content = or_default(given.max_content, 64 * MIB),
                .metadata = or_default(given.max_metadata, MIB),
                .depth = or_default(given.max_depth, 64),
                .batch = or_default(given.max_batch, 10000),
                .json = or_default(given.max_json, 128 * MIB),
                .exec_depth = given.max_exec_depth != 0 ? (unsigned)given.max_exec_depth : 8,
            },
    };
    if (given.max_exec_depth < 0 || given.max_exec_depth > 40)
        return hf__fail(err, HF_MISUSE, "hf_options.max_exec_depth is %d: expected 1 to 40",
                        given.max_exec_depth);
    if (given.max_lua_ms < 0 || given.max_lua_instructions < 0)
        return hf__fail(err, HF_MISUSE, "a budget in hf_options is negative");
    if (host->limits.depth > 500)
        return hf__fail(err, HF_MISUSE, "hf_options.max_depth is %zu: expected at most 500", given.max_depth);
    if (host->limits.content > INT32_MAX || host->limits.metadata > INT32_MAX ||
        host->limits.json > INT32_MAX)
        return hf__fail(err, HF_MISUSE, "a size in hf_options is beyond 2 GiB");
    return HF_OK;
}

int64_t hf__host_now(hf__host *host) {
    return host->now(host->source_data);
}

/* The bytes for one id; of the host's own source no more than that. NULL where it fails. */
static const unsigned char *take_random(hf__host *host) {
    bool own = host->random == hf__random;
    if (host->pooled == 0) {
        size_t size = own ? sizeof host->pool : sizeof *host->pool;
        if (host->random(host->source_data, host->pool, size) != 0) return NULL;
        host->pooled = size / sizeof *host->pool;
    }
    return host->pool[--host->pooled];
}

int hf__host_uuid(hf__host *host, char out[HF__UUID_SIZE + 1], hf_error *err) {
    const unsigned char *bytes = take_random(host);
    if (bytes == NULL) return hf__fail(err, HF_IO, "the random source gave no bytes for a new id");
    hf__uuid_make(&host->uuids, hf__host_now(host), bytes, out);
    return HF_OK;
}

void hf__host_log(const hf__host *host, hf_level level, const char *layer, const char *message,
                  hf_text fields) {
    if (host->log != NULL) host->log(host->log_data, level, layer, message, fields);
}

int hf__host_mint(hf__host *host, const hf__op_def *def, hf_op *op, char id[HF__UUID_SIZE + 1],
                  hf_error *err) {
    hf_text *field = def->mints == HF__MINTS_MESSAGE        ? &op->message_id
                     : def->mints == HF__MINTS_CONVERSATION ? &op->conversation_id
                                                            : NULL;
    if (field == NULL || field->data != NULL) return HF_OK;
    int rc = hf__host_uuid(host, id, err);
    if (rc == HF_OK) *field = (hf_text){id, HF__UUID_SIZE};
    return rc;
}
