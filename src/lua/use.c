/* Layers that live in a state of the host's. */
#include <lauxlib.h>

#include "engine/engine.h"
#include "holdfast_lua.h"
#include "script/vm.h"

typedef struct from_lua {
    lua_State *L;
    int index;
    const char *name;
    const hf__chain *chain;
    hf__layer_def *out;
} from_lua;

/* (light from_lua, the middleware) */
static int l_define(lua_State *L) {
    from_lua *from = lua_touserdata(L, 1);
    from->out->vm = l_vm_of(L);
    l_layer_define(L, 2, from->chain, from->name, from->out);
    return 0;
}

static int make(void *data, hf_store *store, hf__layer_def *out, hf_error *err) {
    from_lua *from = data;
    out->state = LUA_NOREF;
    for (size_t i = 0; i < HF__KINDS; i++)
        out->handlers[i] = LUA_NOREF;
    from->chain = &store->chain;
    from->out = out;
    int rc = hf__lua_enter(from->L, l_define, from, from->index, err);
    if (rc != HF_OK) hf__layer_free(out);
    return rc;
}

int hf_use_lua(hf_store *store, lua_State *L, int index, const char *name, hf_error *err) {
    from_lua from = {L, lua_absindex(L, index), name, NULL, NULL};
    return hf__engine_use(store, make, &from, err);
}
