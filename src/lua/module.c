/*
 * require "holdfast": stores for Lua programs and specs. A store is a userdata; its ops are methods, its
 * failures are raised as error tables.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "chain/tables.h"
#include "holdfast_lua.h"
#include "lua/options.h"
#include "op/check.h"
#include "op/text.h"
#include "script/marshal.h"
#include "script/sandbox.h"
#include "script/stock.h"
#include "script/vm.h"

static const char store_type[] = "holdfast.store";

/* What a store in Lua holds: the store, and the host's functions that it calls. */
typedef struct handle {
    hf_store *store;  /* NULL once closed */
    unsigned running; /* ops of it that this state has begun */
    hf__lua_options options;
} handle;

/* One call, held by a userdata so that an error anywhere frees it. */
typedef struct call {
    hf__arena arena;
    hf_context context;
    hf_op op;
    hf_result result;
} call;

static const char call_type[] = "holdfast.call";
static const char told_type[] = "holdfast.told";

static int l_call_free(lua_State *L) {
    call *c = lua_touserdata(L, 1);
    hf_result_free(&c->result);
    hf__arena_free(&c->arena);
    return 0;
}

static call *l_new_call_memory(lua_State *L) {
    call *c = lua_newuserdatauv(L, sizeof *c, 0);
    *c = (call){0};
    luaL_setmetatable(L, call_type);
    return c;
}

static handle *l_check_store(lua_State *L) {
    handle *h = luaL_testudata(L, 1, store_type);
    if (h == NULL)
        l_throwf(L, HF_MISUSE, "expected a store before the arguments: call its methods with a colon");
    if (h->store == NULL) l_throwf(L, HF_CLOSED, "the store is closed");
    return h;
}

/* (store, op, context, light def) -> the answer's table */
static int l_exec_protected(lua_State *L) {
    handle *h = l_check_store(L);
    const hf__op_def *def = lua_touserdata(L, 4);
    hf__vm *vm = l_vm_of(L);
    call *c = l_new_call_memory(L);
    hf_error err;
    l_read_op(L, 2, &c->arena, &h->options.limits, def, &c->op);
    l_read_context(L, 3, &c->arena, &h->options.limits, &c->context);
    if (!lua_isnil(L, 3)) c->op.context = &c->context;
    lua_State *entry = vm->L;
    vm->L = L; /* layers of this state run on this thread, a coroutine perhaps */
    h->running++;
    int rc = hf_exec(h->store, &c->op, &c->result, &err);
    h->running--;
    vm->L = entry;
    if (rc != HF_OK) return l_throw(L, &err);
    l_push_result(L, &vm->names, &c->arena, def, &c->result, 0);
    hf_result_free(&c->result);
    hf__arena_free(&c->arena);
    return 1;
}

/* [store, op, context]: runs the op. Each error bears the op's name, those of reading the table included. */
static int l_exec_op(lua_State *L, const hf__op_def *def) {
    lua_pushcfunction(L, l_exec_protected);
    lua_insert(L, 1);
    lua_pushlightuserdata(L, (void *)def);
    if (l_protected_call(L, 4, 1) == LUA_OK) return 1;
    if (l_is_error(L, -1)) {
        lua_pushliteral(L, "op");
        if (lua_rawget(L, -2) == LUA_TNIL) {
            lua_pushstring(L, def->name);
            lua_setfield(L, -3, "op");
        }
        lua_pop(L, 1);
    }
    return lua_error(L);
}

/* store:exec(op, context?) */
static int l_exec(lua_State *L) {
    l_check_store(L);
    lua_settop(L, 3);
    return l_exec_op(L, l_op_def(L, 2));
}

/* store:add(fields, context?), and so on; upvalue 1 is the op's place in the list. */
static int l_op_method(lua_State *L) {
    const hf__op_def *def = &hf__ops[lua_tointeger(L, lua_upvalueindex(1))];
    l_check_store(L);
    lua_settop(L, 3);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (lua_type(L, 2) != LUA_TTABLE)
        return l_throwf(L, HF_INVALID, "store:%s: expected the fields of the op, a table, found a %s",
                        def->name, luaL_typename(L, 2));
    return l_exec_op(L, def);
}

typedef struct told {
    hf_json json;
    hf__arena arena;
} told;

static int l_told_free(lua_State *L) {
    told *t = lua_touserdata(L, 1);
    hf_json_free(&t->json);
    hf__arena_free(&t->arena);
    return 0;
}

/* store:explain(op, context?): the table of hf_explain_json. */
static int l_explain(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    lua_settop(L, 3);
    l_op_def(L, 2);
    lua_newtable(L); /* the op with its context beside its fields */
    for (lua_pushnil(L); lua_next(L, 2);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 4);
    }
    if (!lua_isnil(L, 3)) {
        lua_pushvalue(L, 3);
        lua_setfield(L, 4, "ctx");
    }
    told *t = lua_newuserdatauv(L, sizeof *t, 0);
    *t = (told){0};
    luaL_setmetatable(L, told_type);
    const hf__limits *limits = &h->options.limits;
    hf_text op = l_read_text_of(L, 4, &t->arena, limits->depth + 4, limits->json, "op");
    hf__vm *vm = l_vm_of(L);
    lua_State *entry = vm->L;
    vm->L = L;
    h->running++;
    int rc = hf_explain_json(h->store, op, &t->json, &err);
    h->running--;
    vm->L = entry;
    if (rc != HF_OK) return l_throw(L, &err);
    l_push_json(L, &t->arena, (hf_text){t->json.data, t->json.size});
    return 1;
}

/* store:reload() */
static int l_reload(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    return hf_reload(h->store, &err) == HF_OK ? 0 : l_throw(L, &err);
}

/* store:rebuildView() -> conversations */
static int l_rebuild_view(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    int64_t conversations;
    hf__vm *vm = l_vm_of(L);
    lua_State *entry = vm->L;
    vm->L = L; /* the host's log may be called */
    h->running++;
    int rc = hf_view_rebuild(h->store, &conversations, &err);
    h->running--;
    vm->L = entry;
    if (rc != HF_OK) return l_throw(L, &err);
    lua_pushinteger(L, (lua_Integer)conversations);
    return 1;
}

/* store:stats(): the table of hf_stats_json. */
static int l_stats(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    told *t = lua_newuserdatauv(L, sizeof *t, 0);
    *t = (told){0};
    luaL_setmetatable(L, told_type);
    if (hf_stats_json(h->store, &t->json, &err) != HF_OK) return l_throw(L, &err);
    l_push_json(L, &t->arena, (hf_text){t->json.data, t->json.size});
    return 1;
}

/* store:use(path or stock name, config?), store:use(function or table, name?) */
static int l_use(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    int rc;
    lua_settop(L, 3);
    if (lua_type(L, 2) != LUA_TSTRING) {
        rc = hf_use_lua(h->store, L, 2, luaL_optstring(L, 3, NULL), &err);
        return rc == HF_OK ? 0 : l_throw(L, &err);
    }
    call *c = l_new_call_memory(L);
    hf_text config = l_read_config(L, 3, &c->arena, &h->options.limits);
    rc = hf_use_file(h->store, lua_tostring(L, 2), config, &err);
    return rc == HF_OK ? 0 : l_throw(L, &err);
}

/* store:useString(name, source, config?) */
static int l_use_string(lua_State *L) {
    handle *h = l_check_store(L);
    hf_error err;
    hf_text source;
    const char *name = luaL_checkstring(L, 2);
    source.data = luaL_checklstring(L, 3, &source.size);
    lua_settop(L, 4);
    call *c = l_new_call_memory(L);
    hf_text config = l_read_config(L, 4, &c->arena, &h->options.limits);
    int rc = hf_use_string(h->store, name, source, config, &err);
    return rc == HF_OK ? 0 : l_throw(L, &err);
}

static int l_close(lua_State *L) {
    handle *h = luaL_checkudata(L, 1, store_type);
    hf_store *store = h->store;
    if (h->running > 0)
        return l_throwf(L, HF_MISUSE, "the store was closed from inside one of its own layers");
    h->store = NULL;
    hf_close(store);
    hf__lua_options_free(&h->options); /* also those of a store that was refused */
    return 0;
}

static int l_store_tostring(lua_State *L) {
    handle *h = luaL_checkudata(L, 1, store_type);
    lua_pushfstring(L, h->store != NULL ? "holdfast store: %p" : "holdfast store (closed)", (void *)h->store);
    return 1;
}

/* holdfast.open(path, options?) */
static int l_open(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    hf_error err;
    lua_settop(L, 2);
    l_vm_of(L);
    handle *h = lua_newuserdatauv(L, sizeof *h, 0);
    *h = (handle){0};
    luaL_setmetatable(L, store_type);
    hf_options options;
    l_read_options(L, 2, &h->options, &options);
    int rc = hf_open(path, &options, &h->store, &err);
    if (rc != HF_OK) hf__lua_options_free(&h->options);
    return rc == HF_OK ? 1 : l_throw(L, &err);
}

/* holdfast.doctor(path, {repair = false}?): the table of hf_doctor_json. */
static int l_doctor(lua_State *L) {
    const char *path = luaL_checkstring(L, 1);
    hf_error err;
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1))
            if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "repair") != 0 ||
                !lua_isboolean(L, -1))
                return l_throwf(L, HF_INVALID, "holdfast.doctor: expected no option but repair, a boolean");
        lua_getfield(L, 2, "repair");
    }
    int repair = lua_toboolean(L, -1);
    told *t = lua_newuserdatauv(L, sizeof *t, 0);
    *t = (told){0};
    luaL_setmetatable(L, told_type);
    if (hf_doctor_json(path, repair, &t->json, &err) != HF_OK) return l_throw(L, &err);
    l_push_json(L, &t->arena, (hf_text){t->json.data, t->json.size});
    return 1;
}

static void l_make_store_type(lua_State *L) {
    static const luaL_Reg methods[] = {
        {"exec", l_exec},       {"use", l_use},       {"useString", l_use_string},
        {"explain", l_explain}, {"reload", l_reload}, {"rebuildView", l_rebuild_view},
        {"stats", l_stats},     {"close", l_close},   {NULL, NULL}};
    luaL_newmetatable(L, store_type);
    luaL_newlib(L, methods);
    for (size_t i = 0; i < HF__KINDS; i++) {
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushcclosure(L, l_op_method, 1);
        lua_setfield(L, -2, hf__ops[i].name);
    }
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, l_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, l_store_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "holdfast.store");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    luaL_newmetatable(L, call_type);
    lua_pushcfunction(L, l_call_free);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newmetatable(L, told_type);
    lua_pushcfunction(L, l_told_free);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

/* (name, place): the loader of a stock module, which is Lua's own from here on. */
static int l_load_stock(lua_State *L) {
    const hf__stock_module *module = lua_touserdata(L, lua_upvalueindex(1));
    lua_pushfstring(L, "=%s", module->name);
    if (luaL_loadbufferx(L, module->source, module->size, lua_tostring(L, -1), "t") != LUA_OK)
        return lua_error(L);
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

/* Stock modules are at hand through require, whatever package.path says. */
static void l_preload_stock(lua_State *L) {
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < hf__stock_modules_count; i++) {
        lua_pushlightuserdata(L, (void *)&hf__stock_modules[i]);
        lua_pushcclosure(L, l_load_stock, 1);
        lua_setfield(L, -2, hf__stock_modules[i].name);
    }
    lua_pop(L, 1);
}

int luaopen_holdfast(lua_State *L) {
    l_vm_of(L);
    l_make_store_type(L);
    l_preload_stock(L);
    l_push_stock_library(L);
    lua_pushcfunction(L, l_open);
    lua_setfield(L, -2, "open");
    lua_pushcfunction(L, l_doctor);
    lua_setfield(L, -2, "doctor");
    return 1;
}
