/* A store: the terminal, the chain above it, and the order in which they are used. */
#ifndef HF_ENGINE_ENGINE_H
#define HF_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "op/host.h"
#include "script/chain.h"

struct hf_store {
    hf__host host;
    hf_terminal terminal;
    hf__chain chain;
    hf__vm *vm; /* NULL until the first script is loaded */
    hf__budget_limits budget;
    bool trusted; /* scripts run without sandbox and budget */
    pid_t pid;
    pthread_mutex_t lock;
    _Atomic uintptr_t runner; /* the thread inside, 0 for none */
};

/* Takes the store for this thread. HF_MISUSE from inside one of its own layers, or after a fork. */
int hf__engine_enter(hf_store *store, hf_error *err);
void hf__engine_leave(hf_store *store);

/* Makes a layer by `make` and puts it at the inner end of the chain. */
typedef int (*hf__layer_maker)(void *data, hf_store *store, hf__layer_def *out, hf_error *err);
int hf__engine_use(hf_store *store, hf__layer_maker make, void *data, hf_error *err);

#endif
