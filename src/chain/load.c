/*
 * From a script, a function or a table to a layer: runs the chunk and reads what it returned.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "chain/chain.h"
#include "script/marshal.h"
#include "script/sandbox.h"

static const char *const known[] = {"name", "ops", "handle", "on", "onError", "schema", "idempotent"};
enum { KNOWN = sizeof known / sizeof *known };

static hf__kinds l_kind(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TSTRING)
        l_throwf(L, HF_INVALID, "the middleware's ops: expected names of ops, found a %s",
                 luaL_typename(L, index));
    hf_text name;
    name.data = lua_tolstring(L, index, &name.size);
    if (strcmp(name.data, "*") == 0) return (HF__KIND_BIT(HF__KINDS) - 1);
    const hf__op_def *def = hf__op_find(name.data, name.size);
    hf_error err;
    if (def == NULL) {
        hf__unknown_op(name, &err);
        l_throwf(L, HF_INVALID, "the middleware's ops: %s", err.message);
    }
    return HF__KIND_BIT(def->kind);
}

/* What `ops` at `index` names: a list, or one name. */
static hf__kinds l_kinds(lua_State *L, int index) {
    if (lua_isnil(L, index)) return hf__default_kinds();
    if (lua_type(L, index) == LUA_TSTRING) return l_kind(L, index);
    if (lua_type(L, index) != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "the middleware's `ops`: expected a list of names, found a %s",
                 luaL_typename(L, index));
    hf__kinds kinds = 0;
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, index, i);
        kinds |= l_kind(L, -1);
        lua_pop(L, 1);
    }
    if (kinds == 0) l_throwf(L, HF_INVALID, "the middleware's `ops`: expected at least one name of an op");
    return kinds;
}

/* Whether the function on the top can see a third argument. */
static bool l_takes_ctx(lua_State *L) {
    lua_Debug about;
    lua_pushvalue(L, -1);
    lua_getinfo(L, ">u", &about);
    return about.isvararg || about.nparams > 2;
}

/* Gives the function on the top to each of the kinds, and pops it. */
static void l_handle(lua_State *L, hf__kinds kinds, hf__layer_def *out) {
    if (l_takes_ctx(L)) out->takes_ctx |= kinds;
    for (size_t i = 0; i < HF__KINDS; i++) {
        if ((kinds & HF__KIND_BIT(i)) == 0) continue;
        lua_pushvalue(L, -1);
        out->handlers[i] = luaL_ref(L, LUA_REGISTRYINDEX);
        out->wants |= HF__KIND_BIT(i);
    }
    lua_pop(L, 1);
}

static void l_check_fields(lua_State *L, int table) {
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            l_throwf(L, HF_INVALID, "the middleware's table has a key that is a %s", luaL_typename(L, -2));
        hf_text name;
        name.data = lua_tolstring(L, -2, &name.size);
        bool good = false;
        for (size_t i = 0; i < KNOWN; i++)
            good = good || strcmp(name.data, known[i]) == 0;
        if (good) continue;
        const char *nearest = hf__nearest_of(known, KNOWN, name);
        if (nearest != NULL)
            l_throwf(L, HF_INVALID,
                     "the middleware's table has the unknown field \"%.80s\"; did you mean \"%s\"?",
                     name.data, nearest);
        l_throwf(L, HF_INVALID,
                 "the middleware's table has the unknown field \"%.80s\": expected name, ops, handle, on, "
                 "onError, schema or idempotent",
                 name.data);
    }
}

/* Reads `handle` and `ops`, or `on`, of the table at `table`. */
static void l_define_handlers(lua_State *L, int table, hf__layer_def *out) {
    int handle = lua_getfield(L, table, "handle");
    int ops = lua_getfield(L, table, "ops");
    int on = lua_getfield(L, table, "on"); /* handle, ops, on */
    if (on == LUA_TNIL) {
        if (handle != LUA_TFUNCTION)
            l_throwf(L, HF_INVALID, "the middleware's `handle`: expected a function, found %s",
                     lua_typename(L, handle));
        hf__kinds kinds = l_kinds(L, -2);
        lua_pop(L, 2);
        l_handle(L, kinds, out);
        return;
    }
    if (handle != LUA_TNIL || ops != LUA_TNIL)
        l_throwf(L, HF_INVALID, "the middleware has both `on` and %s: expected one or the other",
                 handle != LUA_TNIL ? "`handle`" : "`ops`");
    if (on != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "the middleware's `on`: expected a table of functions, found %s",
                 lua_typename(L, on));
    for (lua_pushnil(L); lua_next(L, -2);) {
        hf__kinds kind = l_kind(L, -2);
        if ((kind & (kind - 1)) != 0)
            l_throwf(L, HF_INVALID, "the middleware's `on`: expected names of ops, found \"*\"");
        if (lua_type(L, -1) != LUA_TFUNCTION)
            l_throwf(L, HF_INVALID, "the middleware's on.%s: expected a function, found a %s",
                     lua_tostring(L, -2), luaL_typename(L, -1));
        l_handle(L, kind, out);
    }
    if (out->wants == 0) l_throwf(L, HF_INVALID, "the middleware's `on`: expected at least one op");
    lua_pop(L, 3);
}

static bool l_tolerated(lua_State *L, int table) {
    static const char *const choices[] = {"abort", "continue"};
    int choice = -1;
    if (lua_getfield(L, table, "onError") == LUA_TNIL) choice = 0;
    for (int i = 0; i < 2 && choice < 0; i++)
        if (lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), choices[i]) == 0) choice = i;
    if (choice < 0) l_throwf(L, HF_INVALID, "the middleware's `onError`: expected \"abort\" or \"continue\"");
    lua_pop(L, 1);
    return choice == 1;
}

void l_layer_define(lua_State *L, int index, const hf__chain *chain, const char *name, hf__layer_def *out) {
    hf_error err;
    index = lua_absindex(L, index);
    l_room(L, 10);
    for (size_t i = 0; i < HF__KINDS; i++)
        out->handlers[i] = LUA_NOREF;
    out->state = LUA_NOREF;
    out->vm = l_vm_of(L);
    if (lua_type(L, index) == LUA_TFUNCTION) {
        lua_pushvalue(L, index);
        l_handle(L, hf__default_kinds(), out);
    } else if (lua_type(L, index) == LUA_TTABLE) {
        if (lua_getmetatable(L, index)) /* what is read must stay in the table */
            l_throwf(L, HF_INVALID, "the middleware's table has a metatable: expected a plain table");
        l_check_fields(L, index);
        if (lua_getfield(L, index, "name") == LUA_TSTRING)
            name = lua_tostring(L, -1); /* the table keeps it */
        else if (!lua_isnil(L, -1))
            l_throwf(L, HF_INVALID, "the middleware's `name`: expected text, found a %s",
                     luaL_typename(L, -1));
        lua_pop(L, 1);
        l_define_handlers(L, index, out);
        out->tolerated = l_tolerated(L, index);
    } else {
        l_throwf(L, HF_INVALID, "expected a middleware, a function or a table, found %s",
                 luaL_typename(L, index));
    }
    if (name == NULL) l_throwf(L, HF_INVALID, "the middleware has no name: expected the field `name`");
    if (hf__chain_check_name(chain, name, &err) != HF_OK) l_throw(L, &err);
    strcpy(out->name, name);
    lua_newtable(L);
    out->state = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* ---- Scripts ----------------------------------------------------------------------------------- */

typedef struct loading {
    const hf__chain *chain;
    const hf__host *host;
    const char *name, *chunk, *folder;
    hf_text source, config;
    hf__arena arena;
    hf__layer_def *out;
} loading;

/* [configuration] -> [configuration, what the chunk returned]: runs the chunk in an environment of its own. */
static void l_run_chunk(lua_State *L, const loading *load) {
    l_push_environment(L, load->folder, l_vm_of(L)->budget == NULL);
    l_load_chunk(L, load->chunk, load->source);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
}

static int l_probe(lua_State *L) {
    lua_newtable(L);
    l_run_chunk(L, lua_touserdata(L, 1));
    return 1;
}

/* [configuration] -> [configuration]: the schema must be met before the chunk works with its configuration, and only the
 * chunk knows it. So it is run once without any; one that cannot be has no schema. */
static void l_meet_schema(lua_State *L, loading *load) {
    int config = lua_gettop(L);
    lua_pushcfunction(L, l_probe);
    lua_pushlightuserdata(L, load);
    int status = lua_pcall(L, 1, 1, 0);
    l_budget_check(L, l_vm_of(L)->budget);
    if (status == LUA_OK && lua_type(L, -1) == LUA_TTABLE && lua_getfield(L, -1, "schema") != LUA_TNIL)
        l_apply_schema(L, -1, config);
    lua_settop(L, config);
}

static int l_load(lua_State *L) {
    loading *load = lua_touserdata(L, 1);
    hf_error err;
    if (load->config.data != NULL) {
        const hf__value *config;
        if (hf__json_parse(&load->arena, load->config, load->host->limits.depth, &config, &err) != HF_OK) {
            hf__error_prefix(&err, "configuration: ");
            return l_throw(L, &err);
        }
        if (config->type != HF__MAP)
            return l_throwf(L, HF_INVALID, "configuration: expected an object, found %s",
                            hf__type_name(config->type));
        l_push_value(L, config);
    } else {
        lua_newtable(L);
    }
    l_meet_schema(L, load);
    l_run_chunk(L, load);
    l_layer_define(L, -1, load->chain, load->name, load->out);
    return 0;
}

int hf__layer_load(hf__vm *vm, const hf__chain *chain, const hf__host *host, const char *name,
                   const char *chunk, const char *folder, hf_text source, hf_text config, hf__layer_def *out,
                   hf_error *err) {
    *out = (hf__layer_def){.vm = vm, .state = LUA_NOREF};
    for (size_t i = 0; i < HF__KINDS; i++)
        out->handlers[i] = LUA_NOREF;
    loading load = {chain, host, name, chunk, folder, source, config, {0}, out};
    hf__budget_begin(vm->budget);
    hf__budget_resume(vm->budget);
    int rc = hf__lua_enter(vm->L, l_load, &load, 0, err);
    hf__budget_begin(vm->budget);
    hf__arena_free(&load.arena);
    if (rc != HF_OK) {
        hf__layer_free(out);
        if (err != NULL && err->layer[0] == '\0')
            hf__error_copy(err->layer, sizeof err->layer, name, strlen(name), 1);
    }
    return rc;
}
