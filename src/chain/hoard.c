/*
 * Who keeps the memory. The scripts of a state share it, so that a layer which keeps nearly all of it, in ctx.state
 * or in variables of its own, starves the others. After a breach of the memory budget, where too much is left even
 * when all garbage is gone, what each layer keeps is measured, and the one that keeps the most is stopped: it
 * loses what it has, and its ops fail, until it is loaded anew.
 */
#include "chain/hoard.h"

#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/frame.h"

/* The stack of a measuring: what was met, as keys, and what has still to be looked into. */
enum { SEEN = 2, QUEUE };

typedef struct measuring {
    hf__layer_def *layer;
    size_t size; /* bytes, about */
    lua_Integer queued;
} measuring;

/* About what the value on the top takes, without what it refers to. */
static size_t size_of(lua_State *L) {
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: return 24 + lua_rawlen(L, -1);
    case LUA_TUSERDATA: return 40 + lua_rawlen(L, -1);
    default: return 56;
    }
}

/* Counts the value on the top, once. [-1, +0] */
static void l_meet(lua_State *L, measuring *m) {
    int type = lua_type(L, -1);
    bool counts = type == LUA_TSTRING || type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA;
    lua_pushvalue(L, -1);
    if (!counts || lua_rawget(L, SEEN) != LUA_TNIL) {
        lua_pop(L, 2);
        return;
    }
    lua_pop(L, 1);
    m->size += size_of(L);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 1);
    lua_rawset(L, SEEN);
    if (type == LUA_TSTRING)
        lua_pop(L, 1);
    else
        lua_rawseti(L, QUEUE, ++m->queued);
}

/* Meets what the value on the top refers to. [-1, +0] */
static void l_look_into(lua_State *L, measuring *m) {
    int type = lua_type(L, -1);
    if (type != LUA_TFUNCTION && lua_getmetatable(L, -1)) l_meet(L, m);
    if (type == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2);) {
            m->size += 32;
            l_meet(L, m);
            lua_pushvalue(L, -1);
            l_meet(L, m);
        }
    if (type == LUA_TFUNCTION)
        for (int i = 1; lua_getupvalue(L, -1, i) != NULL; i++)
            l_meet(L, m);
    if (type == LUA_TUSERDATA)
        for (int i = 1; lua_getiuservalue(L, -1, i) != LUA_TNONE; i++)
            l_meet(L, m);
    lua_settop(L, QUEUE);
}

static int l_measure(lua_State *L) {
    measuring *m = lua_touserdata(L, 1);
    l_room(L, LUA_MINSTACK);
    lua_newtable(L);
    lua_newtable(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->layer->state);
    l_meet(L, m);
    for (size_t i = 0; i < HF__KINDS; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, m->layer->handlers[i]);
        l_meet(L, m);
    }
    while (m->queued > 0) {
        lua_rawgeti(L, QUEUE, m->queued);
        lua_pushnil(L);
        lua_rawseti(L, QUEUE, m->queued--);
        l_look_into(L, m);
    }
    return 0;
}

static int l_stop(lua_State *L) {
    hf__layer_def *layer = lua_touserdata(L, 1);
    lua_newtable(L);
    lua_rawseti(L, LUA_REGISTRYINDEX, layer->state);
    for (size_t i = 0; i < HF__KINDS; i++) {
        luaL_unref(L, LUA_REGISTRYINDEX, layer->handlers[i]);
        layer->handlers[i] = LUA_NOREF;
    }
    layer->stopped = true;
    return 0;
}

static int l_collect(lua_State *L) {
    lua_gc(L, LUA_GCCOLLECT);
    return 0;
}

/* The layer that keeps the most; NULL for none. */
static hf__layer_def *find_heaviest(hf__chain *chain, hf__vm *vm, size_t *size) {
    hf__layer_def *heaviest = NULL;
    *size = 0;
    for (size_t i = 0; i < chain->count; i++) {
        measuring m = {.layer = &chain->layers[i]};
        if (m.layer->vm != vm || m.layer->stopped) continue;
        int rc = hf__lua_enter(vm->L, l_measure, &m, 0, NULL);
        hf__lua_enter(vm->L, l_collect, NULL, 0, NULL);
        if (rc == HF_OK && m.size <= *size) continue;
        heaviest = m.layer;
        *size = m.size;
    }
    return heaviest;
}

void hf__hoard_settle(hf__chain *chain, hf__vm *vm, hf_error *err) {
    hf__budget *budget = vm->budget;
    size_t most = budget->limits.memory / 4 * 3 + budget->waiting, size;
    hf__budget_begin(budget); /* and its watch stands: what follows has no bounds */
    hf__lua_enter(vm->L, l_collect, NULL, 0, NULL);
    while (budget->used > most) {
        hf__layer_def *layer = find_heaviest(chain, vm, &size);
        if (layer == NULL || hf__lua_enter(vm->L, l_stop, layer, 0, NULL) != HF_OK) break;
        hf__lua_enter(vm->L, l_collect, NULL, 0, NULL);
        hf__fail(err, HF_MEMORY,
                 "is stopped until it is loaded anew: of the %zu bytes for all scripts it keeps %zu",
                 budget->limits.memory, size);
        hf__error_copy(err->layer, sizeof err->layer, layer->name, strlen(layer->name), 1);
    }
}
