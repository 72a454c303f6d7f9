/*
 * What a Lua program gives to holdfast.open: bounds, durability, and functions for clock, random bytes
 * and log. The functions are called from C in the midst of an op, each protected; one that fails is
 * treated as a clock that stands still, a random source without bytes, a log that nobody reads.
 */
#include "lua/options.h"

#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "op/host.h"
#include "script/marshal.h"
#include "script/vm.h"

typedef struct callback {
    const hf__lua_options *functions;
    int64_t number;
    void *bytes;
    size_t size;
    hf_level level;
    const char *layer, *message;
    hf_text fields;
    hf__arena arena;
} callback;

static int l_call_now(lua_State *L) {
    callback *cb = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, cb->functions->now);
    lua_call(L, 0, 1);
    cb->number = luaL_checkinteger(L, -1);
    return 0;
}

static int64_t now_of_lua(void *data) {
    callback cb = {.functions = data};
    hf__lua_enter(cb.functions->vm->L, l_call_now, &cb, 0, NULL);
    return cb.number;
}

static int l_call_random(lua_State *L) {
    callback *cb = lua_touserdata(L, 1);
    size_t size;
    lua_rawgeti(L, LUA_REGISTRYINDEX, cb->functions->random);
    lua_pushinteger(L, (lua_Integer)cb->size);
    lua_call(L, 1, 1);
    const char *bytes = luaL_checklstring(L, -1, &size);
    if (size != cb->size) luaL_error(L, "random: expected %d bytes", (int)cb->size);
    memcpy(cb->bytes, bytes, size);
    return 0;
}

static int random_of_lua(void *data, void *bytes, size_t size) {
    callback cb = {.functions = data, .bytes = bytes, .size = size};
    return hf__lua_enter(cb.functions->vm->L, l_call_random, &cb, 0, NULL) == HF_OK ? 0 : -1;
}

/* log(level, layer, message, fields) */
static int l_call_log(lua_State *L) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    callback *cb = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, cb->functions->log);
    lua_pushstring(L, levels[cb->level]);
    lua_pushstring(L, cb->layer);
    lua_pushstring(L, cb->message);
    if (cb->fields.data != NULL)
        l_push_object(L, &cb->arena, cb->fields);
    else
        lua_pushnil(L);
    lua_call(L, 4, 0);
    return 0;
}

static void log_of_lua(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    callback cb = {.functions = data, .level = level, .layer = layer, .message = message, .fields = fields};
    hf__lua_enter(cb.functions->vm->L, l_call_log, &cb, 0, NULL);
    hf__arena_free(&cb.arena);
}

/* trace(record) */
static int l_call_trace(lua_State *L) {
    callback *cb = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, cb->functions->trace);
    l_push_json(L, &cb->arena, cb->fields);
    lua_call(L, 1, 0);
    return 0;
}

static void trace_of_lua(void *data, hf_text record) {
    callback cb = {.functions = data, .fields = record};
    hf__lua_enter(cb.functions->vm->L, l_call_trace, &cb, 0, NULL);
    hf__arena_free(&cb.arena);
}

static size_t l_size(lua_State *L, int index, const char *name, lua_Integer most) {
    lua_Integer size = 0;
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        if (!lua_isinteger(L, -1)) l_throwf(L, HF_INVALID, "option \"%s\": expected an integer", name);
        size = lua_tointeger(L, -1);
        if (size < 1 || size > most)
            l_throwf(L, HF_INVALID, "option \"%s\": expected 1 to %lld, found %lld", name, (long long)most,
                     (long long)size);
    }
    lua_pop(L, 1);
    return (size_t)size;
}

/* A path, which lives as long as the table at `index`. */
static const char *l_path(lua_State *L, int index, const char *name) {
    int type = lua_getfield(L, index, name);
    if (type != LUA_TNIL && type != LUA_TSTRING)
        l_throwf(L, HF_INVALID, "option \"%s\": expected a path, found a %s", name, lua_typename(L, type));
    const char *path = lua_tostring(L, -1);
    if (path != NULL && strlen(path) != lua_rawlen(L, -1))
        l_throwf(L, HF_INVALID, "option \"%s\": expected a path without NUL", name);
    lua_pop(L, 1);
    return path;
}

static int l_function(lua_State *L, int index, const char *name) {
    int type = lua_getfield(L, index, name);
    if (type != LUA_TNIL && type != LUA_TFUNCTION)
        l_throwf(L, HF_INVALID, "option \"%s\": expected a function, found a %s", name,
                 lua_typename(L, type));
    if (type == LUA_TFUNCTION) return luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pop(L, 1);
    return LUA_NOREF;
}

static void l_check_names(lua_State *L, int index) {
    static const char *const names[] = {
        "durability",   "busyTimeoutMs", "maxContent", "maxMetadata", "maxDepth",        "maxBatch",
        "maxJson",      "now",           "random",     "log",         "maxLuaMs",        "maxLuaInstructions",
        "maxLuaMemory", "maxExecDepth",  "trusted",    "trace",       "quarantineAfter", "viewDir"};
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        bool good = false;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            good = good || strcmp(name, names[i]) == 0;
        if (!good) l_throwf(L, HF_INVALID, "unknown option \"%s\"", name);
    }
}

void l_read_options(lua_State *L, int index, hf__lua_options *functions, hf_options *options) {
    hf__host defaults;
    *options = (hf_options){.size = sizeof *options};
    *functions = (hf__lua_options){
        .vm = l_vm_of(L), .now = LUA_NOREF, .random = LUA_NOREF, .log = LUA_NOREF, .trace = LUA_NOREF};
    if (!lua_isnil(L, index)) {
        luaL_checktype(L, index, LUA_TTABLE);
        l_check_names(L, index);
        if (lua_getfield(L, index, "durability") != LUA_TNIL) {
            const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
            if (strcmp(name, "normal") == 0)
                options->durability = HF_DURABILITY_NORMAL;
            else if (strcmp(name, "full") != 0)
                l_throwf(L, HF_INVALID, "option \"durability\": expected \"full\" or \"normal\"");
        }
        lua_pop(L, 1);
        options->busy_timeout_ms = (int)l_size(L, index, "busyTimeoutMs", INT32_MAX);
        options->max_content = l_size(L, index, "maxContent", INT32_MAX);
        options->max_metadata = l_size(L, index, "maxMetadata", INT32_MAX);
        options->max_depth = l_size(L, index, "maxDepth", 500);
        options->max_batch = l_size(L, index, "maxBatch", INT32_MAX);
        options->max_json = l_size(L, index, "maxJson", INT32_MAX);
        options->max_lua_ms = (int64_t)l_size(L, index, "maxLuaMs", INT32_MAX);
        options->max_lua_instructions = (int64_t)l_size(L, index, "maxLuaInstructions", INT64_MAX);
        options->max_lua_memory = l_size(L, index, "maxLuaMemory", INT64_MAX);
        options->max_exec_depth = (int)l_size(L, index, "maxExecDepth", 40);
        options->quarantine_after = (int)l_size(L, index, "quarantineAfter", INT32_MAX);
        options->view_dir = l_path(L, index, "viewDir");
        lua_getfield(L, index, "trusted");
        options->trusted = lua_toboolean(L, -1) ? HF_YES : HF_DEFAULT;
        lua_pop(L, 1);
        functions->now = l_function(L, index, "now");
        functions->random = l_function(L, index, "random");
        functions->log = l_function(L, index, "log");
        functions->trace = l_function(L, index, "trace");
    }
    if (functions->now != LUA_NOREF)
        options->now = now_of_lua;
    else
        options->now = NULL;
    options->random = functions->random != LUA_NOREF ? random_of_lua : NULL;
    options->source_data = functions;
    options->log = functions->log != LUA_NOREF ? log_of_lua : NULL;
    options->log_data = functions;
    options->trace = functions->trace != LUA_NOREF ? trace_of_lua : NULL;
    options->trace_data = functions;
    hf__host_init(&defaults, options, NULL);
    functions->limits = defaults.limits;
}

void hf__lua_options_free(hf__lua_options *functions) {
    if (functions->vm == NULL) return;
    luaL_unref(functions->vm->L, LUA_REGISTRYINDEX, functions->now);
    luaL_unref(functions->vm->L, LUA_REGISTRYINDEX, functions->random);
    luaL_unref(functions->vm->L, LUA_REGISTRYINDEX, functions->log);
    luaL_unref(functions->vm->L, LUA_REGISTRYINDEX, functions->trace);
    functions->vm = NULL;
}

hf_text l_read_config(lua_State *L, int index, hf__arena *arena, const hf__limits *limits) {
    if (lua_isnil(L, index)) return (hf_text){0};
    luaL_checktype(L, index, LUA_TTABLE);
    return l_read_object(L, index, arena, limits, HF_INVALID, "configuration");
}
