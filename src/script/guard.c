/*
 * Guards around the standard library. What runs in C is out of the count hook's sight, so each function is
 * charged by the size of what it is given; a few are bounded, or work on plain tables only; and what could
 * swallow a spent budget raises it again.
 */
#include "script/guard.h"

#include <lauxlib.h>
#include <string.h>

#include "script/marshal.h"
#include "script/pattern.h"
#include "script/vm.h"

static const char hidden_key = 0; /* in a metatable of ours: the table that the script gave */

static hf__budget *budget_of(lua_State *L) {
    return l_vm_of(L)->budget;
}

/* ---- Charged by size --------------------------------------------------------------------------- */

/* Upvalue 1: the original. */
static int l_charged(lua_State *L) {
    size_t work = 1;
    for (int i = lua_gettop(L); i > 0; i--) {
        int type = lua_type(L, i);
        if (type == LUA_TSTRING) work += lua_rawlen(L, i) / 8;
        if (type == LUA_TTABLE) work += lua_rawlen(L, i);
    }
    l_budget_charge(L, budget_of(L), work);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* Table functions call metamethods from C, where a hostile __len or __index makes them run for ever. */
static void l_check_plain(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return;
    lua_pop(L, 1);
    if (!l_is_list(L, index)) luaL_argerror(L, index, "a table without a metatable was expected");
}

static int l_plain(lua_State *L) {
    l_check_plain(L, 1);
    return l_charged(L);
}

static int l_move(lua_State *L) {
    l_check_plain(L, 1);
    l_check_plain(L, 5);
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    if (last >= first) l_budget_charge(L, budget_of(L), (size_t)last - (size_t)first);
    return l_charged(L);
}

/* The default order compares texts in C, each as long as it is. */
static int l_sort(lua_State *L) {
    l_check_plain(L, 1);
    size_t count = lua_type(L, 1) == LUA_TTABLE ? lua_rawlen(L, 1) : 0, longest = 0, rounds = 1;
    for (size_t i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TSTRING && lua_rawlen(L, -1) > longest)
            longest = lua_rawlen(L, -1);
        lua_pop(L, 1);
    }
    for (size_t n = count; n > 1; n /= 2)
        rounds++;
    l_budget_charge(L, budget_of(L), count * rounds);
    if (longest > 64)
        l_budget_charge(L, budget_of(L), count * rounds * (longest / 64 < 4096 ? longest / 64 : 4096));
    return l_charged(L);
}

static int l_rep(lua_State *L) {
    size_t size, separator = 0;
    luaL_checklstring(L, 1, &size);
    lua_Integer times = luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator);
    if (size + separator == 0 || times <= 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    size_t work = times > INT32_MAX ? INT32_MAX : (size_t)times * ((size + separator) / 8 + 1);
    l_budget_charge(L, budget_of(L), work);
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- Errors ------------------------------------------------------------------------------------ */

/* A spent budget goes on. */
static int l_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    l_budget_check(L, budget_of(L));
    lua_pushboolean(L, status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* The handler is called once the error has been caught: Lua itself would run it with the hooks off. */
static int l_xpcall(lua_State *L) {
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_replace(L, 1);
    lua_replace(L, 2); /* handler, function, arguments */
    int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
    l_budget_check(L, budget_of(L));
    if (status != LUA_OK) {
        lua_pushvalue(L, 1);
        lua_insert(L, -2);
        lua_call(L, 1, 1);
    }
    lua_pushboolean(L, status == LUA_OK);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* ---- Metatables -------------------------------------------------------------------------------- */

static const char *const events[] = {
    "__index", "__newindex", "__call",   "__tostring", "__name", "__pairs", "__close", "__len",  "__eq",
    "__lt",    "__le",       "__concat", "__unm",      "__add",  "__sub",   "__mul",   "__div",  "__mod",
    "__pow",   "__idiv",     "__band",   "__bor",      "__bxor", "__shl",   "__shr",   "__bnot",
};

/* The table whose copy is the metatable of the value at index 1, or the metatable's own `__metatable`; nil for
 * none. [-0, +1] */
static bool l_given_metatable(lua_State *L) {
    if (!lua_getmetatable(L, 1)) {
        lua_pushnil(L);
        return true;
    }
    bool ours = lua_rawgetp(L, -1, &hidden_key) == LUA_TTABLE;
    if (ours) {
        lua_pushliteral(L, "__metatable");
        if (lua_rawget(L, -2) != LUA_TNIL) return false;
        lua_pop(L, 1);
        return true;
    }
    lua_pop(L, 1);
    lua_pushliteral(L, "__metatable");
    if (lua_rawget(L, -2) == LUA_TNIL) lua_pushboolean(L, 0);
    return false;
}

static int l_getmetatable(lua_State *L) {
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    l_given_metatable(L);
    return 1;
}

/* The metatable is a copy of the events of the one given: neither finalizers nor weak tables get in, now or later. */
static int l_setmetatable(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, lua_type(L, 2) == LUA_TNIL || lua_type(L, 2) == LUA_TTABLE, 2, "nil or table");
    lua_settop(L, 2);
    if (!l_given_metatable(L)) return luaL_error(L, "cannot change a protected metatable");
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_setmetatable(L, 1);
        return 1;
    }
    static const char *const refused[] = {"__gc", "__mode"};
    for (int i = 0; i < 2; i++) {
        lua_pushstring(L, refused[i]);
        if (lua_rawget(L, 2) != LUA_TNIL)
            return luaL_error(L, "a metatable with %s is not allowed here", refused[i]);
        lua_pop(L, 1);
    }
    lua_newtable(L);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        lua_pushstring(L, events[i]);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, 2) == LUA_TNIL)
            lua_pop(L, 2);
        else
            lua_rawset(L, 3);
    }
    lua_pushvalue(L, 2);
    lua_rawsetp(L, 3, &hidden_key);
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

/* ---- Which is guarded by what ------------------------------------------------------------------ */

static const struct {
    const char *path;
    lua_CFunction guard; /* with the original as its upvalue */
} guards[] = {
    {"pcall", l_pcall},
    {"xpcall", l_xpcall},
    {"getmetatable", l_getmetatable},
    {"setmetatable", l_setmetatable},
    {"string.find", l_pattern_find},
    {"string.match", l_pattern_match},
    {"string.gmatch", l_pattern_gmatch},
    {"string.gsub", l_pattern_gsub},
    {"string.rep", l_rep},
    {"table.move", l_move},
    {"table.sort", l_sort},
    {"table.concat", l_plain},
    {"table.insert", l_plain},
    {"table.remove", l_plain},
    {"table.unpack", l_plain},
};

void l_guard(lua_State *L, const char *path) {
    if (lua_type(L, -1) != LUA_TFUNCTION) return; /* math.pi */
    lua_CFunction guard = NULL;
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        if (strcmp(guards[i].path, path) == 0) guard = guards[i].guard;
    bool sized =
        strncmp(path, "string.", 7) == 0 || strncmp(path, "utf8.", 5) == 0 || strncmp(path, "table.", 6) == 0;
    if (guard == NULL && sized) guard = l_charged;
    if (guard != NULL) lua_pushcclosure(L, guard, 1);
}

void l_guard_strings(lua_State *L) {
    lua_pushliteral(L, "");
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 2);
}
