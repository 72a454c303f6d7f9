/* The layers of a store: their names, what they want, and their end. */
#include "chain/chain.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"

hf__kinds hf__default_kinds(void) {
    hf__kinds kinds = 0;
    for (size_t i = 0; i < HF__KINDS; i++)
        if (hf__ops[i].writes && i != HF__KIND_batch) kinds |= HF__KIND_BIT(i);
    return kinds;
}

static bool is_kebab(const char *name) {
    if (!islower((unsigned char)name[0])) return false;
    for (const char *c = name; *c != '\0'; c++) {
        bool word = islower((unsigned char)*c) || isdigit((unsigned char)*c);
        if (!word && !(*c == '-' && c[1] != '-' && c[1] != '\0')) return false;
    }
    return true;
}

int hf__chain_check_name(const hf__chain *chain, const char *name, hf_error *err) {
    size_t most = sizeof chain->layers->name - 1;
    if (strlen(name) > most || !is_kebab(name))
        return hf__fail(err, HF_INVALID,
                        "layer name \"%.80s\": expected lower-case words joined by '-', at most %zu bytes; a "
                        "middleware without `name` bears the file's name",
                        name, most);
    for (size_t i = 0; i < chain->count; i++)
        if (strcmp(chain->layers[i].name, name) == 0)
            return hf__fail(err, HF_INVALID, "layer name \"%s\": the chain already has a layer of that name",
                            name);
    return HF_OK;
}

int hf__chain_add(hf__chain *chain, const hf__layer_def *layer, hf_error *err) {
    hf__layer_def *layers = hf__realloc(chain->layers, (chain->count + 1) * sizeof *layers);
    if (layers == NULL) return hf__fail_memory(err);
    layers[chain->count++] = *layer;
    chain->layers = layers;
    chain->wanted |= layer->wants;
    return HF_OK;
}

void hf__layer_free(hf__layer_def *layer) {
    hf__free(layer->path);
    hf__free(layer->config);
    if (layer->destroy != NULL) layer->destroy(layer->data);
    if (layer->vm == NULL) return;
    for (size_t i = 0; i < HF__KINDS; i++)
        luaL_unref(layer->vm->L, LUA_REGISTRYINDEX, layer->handlers[i]);
    luaL_unref(layer->vm->L, LUA_REGISTRYINDEX, layer->state);
}

void hf__chain_free(hf__chain *chain) {
    for (size_t i = 0; i < chain->count; i++)
        hf__layer_free(&chain->layers[i]);
    hf__free(chain->layers);
    chain->layers = NULL;
    chain->count = 0;
    chain->wanted = 0;
}
