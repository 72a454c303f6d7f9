/*
 * The sandbox: each script gets an environment of its own, with copies of the safe part of the standard
 * library; nothing in it leads to another script, to files or to the host.
 */
#include "script/sandbox.h"

#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/guard.h"
#include "script/marshal.h"
#include "script/stock.h"
#include "script/vm.h"

/* The allow-list: "name" of the base library, or "library.name". */
static const char *const allowed[] = {
    "assert",         "error",           "getmetatable",     "ipairs",          "next",
    "pairs",          "pcall",           "rawequal",         "rawget",          "rawlen",
    "rawset",         "select",          "setmetatable",     "tonumber",        "tostring",
    "type",           "xpcall",          "_VERSION",         "math.abs",        "math.acos",
    "math.asin",      "math.atan",       "math.ceil",        "math.cos",        "math.deg",
    "math.exp",       "math.floor",      "math.fmod",        "math.huge",       "math.log",
    "math.max",       "math.maxinteger", "math.min",         "math.mininteger", "math.modf",
    "math.pi",        "math.rad",        "math.random",      "math.sin",        "math.sqrt",
    "math.tan",       "math.tointeger",  "math.type",        "math.ult",        "os.clock",
    "os.date",        "os.difftime",     "os.time",          "string.byte",     "string.char",
    "string.find",    "string.format",   "string.gmatch",    "string.gsub",     "string.len",
    "string.lower",   "string.match",    "string.pack",      "string.packsize", "string.rep",
    "string.reverse", "string.sub",      "string.unpack",    "string.upper",    "table.concat",
    "table.insert",   "table.move",      "table.pack",       "table.remove",    "table.sort",
    "table.unpack",   "utf8.char",       "utf8.charpattern", "utf8.codepoint",  "utf8.codes",
    "utf8.len",       "utf8.offset",
};

/* [env] -> [env]: copies one name of the allow-list. */
static void l_allow(lua_State *L, const char *path) {
    const char *dot = strchr(path, '.');
    int environment = lua_gettop(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    if (dot != NULL) {
        lua_pushlstring(L, path, (size_t)(dot - path));
        lua_pushvalue(L, -1);
        if (lua_rawget(L, environment) == LUA_TNIL) {
            lua_pop(L, 1);
            lua_newtable(L);
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, environment);
        } /* globals, library's name, the environment's library */
        lua_insert(L, -2);
        lua_rawget(L, -3);
        lua_remove(L, -3); /* the environment's library, the real one */
        lua_pushstring(L, dot + 1);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        l_guard(L, path);
        lua_rawset(L, -4);
    } else {
        lua_pushstring(L, path);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        l_guard(L, path);
        lua_rawset(L, environment);
    }
    lua_settop(L, environment);
}

/* ---- json, null, list -------------------------------------------------------------------------- */

static int l_arena_free(lua_State *L) {
    hf__arena_free(lua_touserdata(L, 1));
    return 0;
}

/* An arena that the collector frees, on the top. */
static hf__arena *l_new_arena(lua_State *L) {
    hf__arena *arena = lua_newuserdatauv(L, sizeof *arena, 0);
    *arena = (hf__arena){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_arena_free);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    return arena;
}

/* [error] -> [error]: what a layer gave to json is its own slip, and says nothing of the op. */
static void l_make_own(lua_State *L) {
    const hf__visit *visit = l_vm_of(L)->visit;
    if (visit == NULL || visit->layer == SIZE_MAX || !l_is_error(L, -1)) return;
    if (lua_getfield(L, -1, "code") == LUA_TSTRING && strcmp(lua_tostring(L, -1), "invalid") == 0) {
        lua_pushliteral(L, "middleware");
        lua_setfield(L, -3, "code");
    }
    lua_pop(L, 1);
    l_say_where(L);
}

/* Runs `body` with the value at index 1 and an arena, which is emptied whether it raises or not: the collector does not
 * see how much it holds. */
static int l_with_arena(lua_State *L, lua_CFunction body) {
    lua_settop(L, 1);
    hf__arena *arena = l_new_arena(L);
    lua_pushcfunction(L, body);
    lua_pushvalue(L, 1);
    lua_pushlightuserdata(L, arena);
    int status = lua_pcall(L, 2, 1, 0);
    hf__arena_free(arena);
    if (status == LUA_OK) return 1;
    l_make_own(L);
    return lua_error(L);
}

#define NODE_COST ((size_t)192) /* bytes that a JSON value takes while it is decoded, at most */

static int l_decode(lua_State *L) {
    hf_text text;
    hf__budget *budget = l_vm_of(L)->budget;
    text.data = lua_tolstring(L, 1, &text.size);
    l_budget_charge(L, budget, text.size / 2);
    size_t nodes = 1;
    for (size_t i = 0; i < text.size; i++)
        nodes += text.data[i] == ',' || text.data[i] == '[' || text.data[i] == '{';
    l_budget_room(L, budget, 4 * text.size + nodes * NODE_COST);
    l_push_json(L, lua_touserdata(L, 2), text);
    return 1;
}

static int l_encode(lua_State *L) {
    hf_text text = l_read_text_of(L, 1, lua_touserdata(L, 2), 500, INT_MAX, "json.encode");
    lua_pushlstring(L, text.data, text.size);
    return 1;
}

static int l_json_decode(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    return l_with_arena(L, l_decode);
}

static int l_json_encode(lua_State *L) {
    luaL_checkany(L, 1);
    return l_with_arena(L, l_encode);
}

static int l_list(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    l_mark_list(L);
    return 1;
}

void l_push_stock_library(lua_State *L) {
    static const luaL_Reg json[] = {{"decode", l_json_decode}, {"encode", l_json_encode}, {NULL, NULL}};
    lua_createtable(L, 0, 8);
    luaL_newlib(L, json);
    lua_setfield(L, -2, "json");
    hf__push_null(L);
    lua_setfield(L, -2, "null");
    lua_pushcfunction(L, l_list);
    lua_setfield(L, -2, "list");
    lua_createtable(L, HF__KINDS, 0);
    for (size_t i = 0; i < HF__KINDS; i++) {
        lua_pushstring(L, hf__ops[i].name);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    l_mark_list(L);
    lua_setfield(L, -2, "ops");
    lua_pushstring(L, HF_VERSION);
    lua_setfield(L, -2, "version");
}

/* ---- require ----------------------------------------------------------------------------------- */

/* Names are words joined by dots, so that none leads out of the folder. */
static bool is_module_name(const char *name) {
    bool word = false;
    for (; *name != '\0'; name++) {
        if (*name == '.' && !word) return false;
        word = *name != '.';
        if (word && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *name) == NULL)
            return false;
    }
    return word;
}

/* The text of FOLDER/NAME.lua, with the dots of the name as slashes, which must not be a link out of the
 * folder. [-0, +1] or, where there is no such file, [-0, +0] */
static bool l_read_module(lua_State *L, const char *folder, const char *name) {
    char path[PATH_MAX], real[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s.lua", folder, name);
    if (length < 0 || (size_t)length >= sizeof path) return false;
    for (char *c = path + strlen(folder); c < path + length - 4; c++)
        if (*c == '.') *c = '/';
    if (realpath(path, real) == NULL) return false;
    size_t depth = strlen(folder);
    if (strncmp(real, folder, depth) != 0 || real[depth] != '/') return false;
    FILE *file = fopen(real, "rb");
    if (file == NULL) return false;
    char *source = lua_newuserdatauv(L, HF__MAX_SCRIPT + 1, 0);
    size_t size = fread(source, 1, HF__MAX_SCRIPT + 1, file);
    bool bad = ferror(file) != 0;
    fclose(file);
    if (bad) return false;
    lua_pushlstring(L, source, size);
    lua_remove(L, -2);
    return true;
}

/* Upvalues: the table of loaded modules, the script's environment, its folder or nil, and Lua's own require or
 * nil. */
static int l_require(lua_State *L) {
    size_t size;
    const char *name = luaL_checklstring(L, 1, &size);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_settop(L, 1);
    const char *folder = lua_tostring(L, lua_upvalueindex(3));
    bool own =
        strlen(name) == size && is_module_name(name) && folder != NULL && l_read_module(L, folder, name);
    for (size_t i = 0; i < hf__stock_modules_count && !own; i++) {
        if (strcmp(hf__stock_modules[i].name, name) != 0) continue;
        lua_pushlstring(L, hf__stock_modules[i].source, hf__stock_modules[i].size);
        own = true;
    }
    if (!own && lua_isfunction(L, lua_upvalueindex(4))) {
        lua_pushvalue(L, lua_upvalueindex(4));
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    if (!own)
        return l_throwf(L, HF_INVALID,
                        "require \"%.100s\": no stock module and no file below the middleware's own "
                        "folder has that name",
                        name);
    hf_text source;
    source.data = lua_tolstring(L, 2, &source.size);
    lua_pushfstring(L, "@%s", name);
    lua_pushvalue(L, lua_upvalueindex(2));
    l_load_chunk(L, lua_tostring(L, 3), source); /* name, source, chunk's name, function */
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, lua_upvalueindex(1));
    return 1;
}

void l_load_chunk(lua_State *L, const char *chunk, hf_text source) {
    if (source.size > HF__MAX_SCRIPT)
        l_throwf(L, HF_INVALID, "%.100s: a script of at most %zu bytes was expected", chunk + 1,
                 HF__MAX_SCRIPT);
    int status = luaL_loadbufferx(L, source.data, source.size, chunk, "t");
    if (status == LUA_ERRMEM) lua_error(L);
    if (status != LUA_OK) l_throwf(L, HF_INVALID, "%s", lua_tostring(L, -1));
    lua_insert(L, -2);
    lua_setupvalue(L, -2, 1);
}

/* All of Lua's globals, read through: what a script sets stays its own. */
static void l_inherit_globals(lua_State *L, int environment) {
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, environment);
}

void l_push_environment(lua_State *L, const char *folder, bool trusted) {
    l_room(L, 10);
    lua_newtable(L);
    int environment = lua_gettop(L);
    if (trusted) l_inherit_globals(L, environment);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed && !trusted; i++)
        l_allow(L, allowed[i]);
    lua_pushvalue(L, environment);
    lua_setfield(L, environment, "_G");
    lua_newtable(L); /* loaded */
    l_push_stock_library(L);
    lua_getfield(L, -1, "json");
    lua_setfield(L, -3, "holdfast.json");
    lua_setfield(L, -2, "holdfast");
    lua_pushvalue(L, environment);
    lua_pushstring(L, folder);
    if (!trusted || lua_getglobal(L, "require") != LUA_TFUNCTION) lua_pushnil(L);
    lua_pushcclosure(L, l_require, 4);
    lua_setfield(L, environment, "require");
}
