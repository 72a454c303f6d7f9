/* What the host of a store gave it: clock, random source, log and bounds. */
#ifndef HF_OP_HOST_H
#define HF_OP_HOST_H

#include "base/uuid.h"
#include "op/record.h"

typedef struct hf__host {
    hf_log_fn log; /* NULL: nobody listens */
    void *log_data;
    int64_t (*now)(void *data);
    int (*random)(void *data, void *bytes, size_t size);
    void *source_data;
    hf__uuid_source uuids;
    unsigned char pool[25]
                      [10]; /* of the default source, which is a system call: what ids have not used yet */
    size_t pooled;
    hf__limits limits;
} hf__host;

/* Takes over the options (NULL: all defaults). HF_MISUSE for a struct of a size that no version had. */
int hf__host_init(hf__host *host, const hf_options *options, hf_error *err);

int64_t hf__host_now(hf__host *host);

/* A new id. HF_IO where the random source fails. */
int hf__host_uuid(hf__host *host, char out[HF__UUID_SIZE + 1], hf_error *err);

/* One record to the host's log. `layer` "" for the library itself; `fields` absent or a JSON object. */
void hf__host_log(const hf__host *host, hf_level level, const char *layer, const char *message,
                  hf_text fields);

/* Gives `op` the id that its kind mints, where it has none: `id` is where the text is kept. */
int hf__host_mint(hf__host *host, const hf__op_def *def, hf_op *op, char id[HF__UUID_SIZE + 1],
                  hf_error *err);

#endif
