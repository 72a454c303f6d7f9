/* The layers of a store, outermost first. */
#ifndef HF_CHAIN_CHAIN_H
#define HF_CHAIN_CHAIN_H

#include "op/host.h"
#include "script/vm.h"

typedef struct hf__layer_def {
    char name[64];
    hf__kinds wants;

    /* A Lua layer: where it lives, and registry references to its functions and its ctx.state. */
    hf__vm *vm; /* NULL for a C layer */
    int handlers[HF__KINDS];
    hf__kinds takes_ctx; /* whose handlers have a parameter for it: others are called without */
    int state;
    bool tolerated; /* onError = "continue": an error of its own is logged, and the op goes on */
    int breaches;   /* of a budget, since it was loaded */
    bool stopped;   /* it kept the memory of all (hoard.h) */

    /* Where a layer from a file came from, for hf_reload: owned; NULL for others. */
    char *path;
    char *config; /* JSON, or NULL for none */

    /* A C layer. */
    hf_layer_fn fn;
    void *data;
    void (*destroy)(void *data);
} hf__layer_def;

typedef struct hf__chain {
    hf__layer_def *layers;
    size_t count;
    hf__kinds wanted;     /* by any layer */
    int quarantine_after; /* breaches; 0 for never */
} hf__chain;

/* Each write but batch: what a layer gets that does not say what it wants. */
hf__kinds hf__default_kinds(void);

/* Whether `name` is lower-case-kebab, fits, and is new to the chain; HF_INVALID otherwise. */
int hf__chain_check_name(const hf__chain *chain, const char *name, hf_error *err);

/* Puts a layer at the inner end. Takes it over, except where it fails. */
int hf__chain_add(hf__chain *chain, const hf__layer_def *layer, hf_error *err);

/* Frees all layers. The vms must still be there. */
void hf__chain_free(hf__chain *chain);

/* Frees what one layer holds. */
void hf__layer_free(hf__layer_def *layer);

/* ---- Loading a Lua layer (load.c) -------------------------------------------------------------- */

/* Loads `source` in the vm's sandbox. `name` is the layer's name unless the chunk gives one; `chunk` is what
 * messages call the source; `folder` is where its own modules are, NULL for none. */
int hf__layer_load(hf__vm *vm, const hf__chain *chain, const hf__host *host, const char *name,
                   const char *chunk, const char *folder, hf_text source, hf_text config, hf__layer_def *out,
                   hf_error *err);

/* Checks the configuration's table at `config` against the schema at `schema`, and puts the defaults in. Throws
 * HF_INVALID. (schema.c) */
void l_apply_schema(lua_State *L, int schema, int config);

/* Makes a layer of what stands at `index` on the stack of L: a function, or a middleware table. `name` may
 * be NULL where the table has one. Throws. */
void l_layer_define(lua_State *L, int index, const hf__chain *chain, const char *name, hf__layer_def *out);

#endif
