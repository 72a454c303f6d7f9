/* A store: the terminal, the chain above it, and the order in which they are used. */
#ifndef HF_ENGINE_ENGINE_H
#define HF_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "base/buf.h"
#include "chain/chain.h"
#include "chain/trace.h"
#include "op/host.h"

struct hf_store {
    hf__host host;
    hf_terminal terminal;
    bool host_terminal; /* the host's own: its answers are checked */
    hf__chain chain;
    hf__vm *vm; /* NULL until the first script is loaded */
    hf__budget_limits budget;
    bool trusted;      /* scripts run without sandbox and budget */
    hf_trace_fn trace; /* NULL: nobody listens */
    void *trace_data;
    pid_t pid;
    pthread_mutex_t lock;
    _Atomic uintptr_t runner; /* the thread inside, 0 for none */
};

/* Takes the store for this thread. HF_MISUSE from inside one of its own layers, or after a fork. */
int hf__engine_enter(hf_store *store, hf_error *err);
void hf__engine_leave(hf_store *store);

/* Runs an op, with the store taken. With `dry_run` everything is rolled back. `trace` is filled in, or NULL. */
int hf__engine_run(hf_store *store, const hf_op *op, hf__trace *trace, bool dry_run, hf_result *result,
                   hf_error *err);

/* The record of an op for the host's trace. */
void hf__trace_write(hf__buf *buf, const hf_store *store, const hf__trace *trace, const hf_op *op,
                     const hf_result *result, int64_t spent_ns, const hf_error *err);

/* Hands the text in `buf` to the caller, and frees `buf`. */
int hf__engine_give(hf__buf *buf, hf_json *out, hf_error *err);

/* Makes a layer by `make` and puts it at the inner end of the chain. */
typedef int (*hf__layer_maker)(void *data, hf_store *store, hf__layer_def *out, hf_error *err);
int hf__engine_use(hf_store *store, hf__layer_maker make, void *data, hf_error *err);

#endif
