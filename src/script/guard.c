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

#define BYTES 8 /* of a text are about the work of one instruction */

/* Calls the original, which is upvalue 1: a function of Lua's library without upvalues of its own. */
static int l_original(lua_State *L) {
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* The same for an original that makes a text, calls nothing back, grows no table, and has nothing to raise but want
 * of memory: else what it set would stay. */
static int l_original_text(lua_State *L) {
    hf__budget *budget = budget_of(L);
    if (budget == NULL) return l_original(L);
    budget->texts_only = true;
    int results = l_original(L);
    budget->texts_only = false;
    return results;
}

/* Charged by what it is given: a text may also stand for a number, after as many zeros as a script likes. */
static int l_takes(lua_State *L) {
    size_t work = (size_t)lua_gettop(L) + 1;
    for (int i = lua_gettop(L); i > 0; i--)
        if (lua_type(L, i) == LUA_TSTRING) work += lua_rawlen(L, i) / BYTES;
    l_budget_charge(L, budget_of(L), work);
    return l_original(L);
}

static int l_takes_text(lua_State *L) {
    size_t size;
    luaL_checklstring(L, 1, &size);
    l_budget_charge(L, budget_of(L), size / BYTES + 1);
    return l_original_text(L);
}

/* Charged by what it gives: a part of what may be long. */
static int l_gives(lua_State *L) {
    size_t work = (size_t)lua_gettop(L);
    int results = l_original(L);
    work += (size_t)results;
    for (int i = 1; i <= results; i++)
        if (lua_type(L, -i) == LUA_TSTRING) work += lua_rawlen(L, -i) / BYTES;
    l_budget_charge(L, budget_of(L), work);
    return results;
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
    bool absurd = times > INT32_MAX || (size_t)times > INT32_MAX / (size + separator);
    l_budget_room(L, budget_of(L), absurd ? SIZE_MAX - 1 : (size_t)times * (size + separator));
    size_t work = (size_t)times * ((size + separator) / BYTES + 1);
    l_budget_charge(L, budget_of(L), work);
    return l_original_text(L);
}

static int l_unpack_text(lua_State *L) {
    if (lua_type(L, 1) == LUA_TSTRING) l_budget_charge(L, budget_of(L), lua_rawlen(L, 1));
    return l_gives(L);
}

static int l_offset(lua_State *L) {
    lua_Integer distance = luaL_checkinteger(L, 2);
    size_t work = distance < 0 ? -(size_t)distance : (size_t)distance;
    size_t length = lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0;
    l_budget_charge(L, budget_of(L), 1 + (work < length ? work : length));
    return l_original(L);
}

/* A conversion takes up to a microsecond, and a format is as long as a script likes. */
static int l_date(lua_State *L) {
    size_t size;
    luaL_optlstring(L, 1, "%c", &size);
    luaL_argcheck(L, size <= 1024, 1, "a format of at most 1024 bytes was expected");
    l_budget_charge(L, budget_of(L), size + 1);
    return l_original(L);
}

/* ---- Tables ------------------------------------------------------------------------------------ */

#define MOST_MOVED 1000000

/* Table functions call metamethods from C, where a hostile __len or __index makes them run for ever. Returns the
 * length. */
static size_t l_check_plain(lua_State *L, int index) {
    luaL_checktype(L, index, LUA_TTABLE);
    if (lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        if (!l_is_list(L, index)) luaL_argerror(L, index, "a table without a metatable was expected");
    }
    return lua_rawlen(L, index);
}

/* What stands behind the position at index 2 is moved. */
static void l_charge_shift(lua_State *L, size_t length) {
    lua_Integer position = luaL_checkinteger(L, 2);
    if (position > 0 && (size_t)position < length)
        l_budget_charge(L, budget_of(L), length - (size_t)position);
}

static int l_insert(lua_State *L) {
    size_t length = l_check_plain(L, 1);
    if (lua_gettop(L) > 2) l_charge_shift(L, length);
    return l_original(L);
}

static int l_remove(lua_State *L) {
    size_t length = l_check_plain(L, 1);
    if (lua_gettop(L) > 1) l_charge_shift(L, length);
    return l_original(L);
}

static int l_concat(lua_State *L) {
    size_t length = l_check_plain(L, 1);
    lua_Integer from = luaL_optinteger(L, 3, 1), to = luaL_optinteger(L, 4, (lua_Integer)length);
    size_t range = to < from ? 0 : (size_t)to - (size_t)from;
    l_budget_charge(L, budget_of(L), 1 + (range < length ? range : length));
    int results = l_original(L);
    l_budget_charge(L, budget_of(L), lua_rawlen(L, -1) / BYTES);
    return results;
}

static int l_unpack(lua_State *L) {
    l_check_plain(L, 1);
    return l_gives(L);
}

static int l_move(lua_State *L) {
    l_check_plain(L, 1);
    if (!lua_isnoneornil(L, 5)) l_check_plain(L, 5);
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3);
    if (last >= first) {
        size_t range = (size_t)last - (size_t)first;
        luaL_argcheck(L, range < MOST_MOVED, 3, "a range of at most 1,000,000 positions was expected");
        l_budget_charge(L, budget_of(L), range + 1);
    }
    return l_original(L);
}

/* The default order, for sorts that might take long: texts are compared in C, each as long as it is. */
static int l_less(lua_State *L) {
    size_t left = lua_type(L, 1) == LUA_TSTRING ? lua_rawlen(L, 1) : 0;
    size_t right = lua_type(L, 2) == LUA_TSTRING ? lua_rawlen(L, 2) : 0;
    l_budget_charge(L, budget_of(L), 2 + (left < right ? left : right) / BYTES);
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
}

static int l_sort(lua_State *L) {
    size_t count = l_check_plain(L, 1);
    l_budget_charge(L, budget_of(L), count);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        bool bare = lua_iscfunction(L, 2) && lua_getupvalue(L, 2, 1) == NULL;
        if (bare) lua_pushcclosure(L, l_takes, 1); /* it is called from C, where nothing counts */
        lua_settop(L, 2);
        return l_original(L);
    }
    bool quick = count <= 1000;
    for (size_t i = 1; i <= count && quick; i++) {
        quick = lua_rawgeti(L, 1, (lua_Integer)i) != LUA_TSTRING || lua_rawlen(L, -1) <= 1000;
        lua_pop(L, 1);
    }
    lua_settop(L, 1);
    if (!quick) lua_pushcfunction(L, l_less);
    return l_original(L);
}

/* ---- Errors ------------------------------------------------------------------------------------ */

/* Calls what is on the stack above index `below`; a spent budget goes on. */
static int l_catch(lua_State *L, int below) {
    hf__vm *vm = l_vm_of(L);
    vm->catching++;
    int status = lua_pcall(L, lua_gettop(L) - below - 1, LUA_MULTRET, 0);
    vm->catching--;
    l_budget_check(L, vm->budget);
    return status;
}

static int l_pcall(lua_State *L) {
    luaL_checkany(L, 1);
    int status = l_catch(L, 0);
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
    int status = l_catch(L, 1);
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
    lua_pushliteral(
        L, "__call"); /* of a __call of a __call …: Lua 5.4 follows them in the square of their number */
    int call = lua_rawget(L, 2);
    if (call != LUA_TNIL && call != LUA_TFUNCTION)
        return luaL_error(L, "a metatable whose __call is no function is not allowed here");
    lua_settop(L, 2);
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
    {"math.max", l_takes},
    {"math.min", l_takes},
    {"string.find", l_pattern_find},
    {"string.match", l_pattern_match},
    {"string.gmatch", l_pattern_gmatch},
    {"string.gsub", l_pattern_gsub},
    {"string.byte", l_gives},
    {"string.char", l_takes},
    {"string.format", l_takes},
    {"string.lower", l_takes_text},
    {"string.pack", l_takes},
    {"string.packsize", l_takes},
    {"string.rep", l_rep},
    {"string.reverse", l_takes_text},
    {"string.sub", l_gives},
    {"string.unpack", l_unpack_text},
    {"string.upper", l_takes_text},
    {"table.concat", l_concat},
    {"table.insert", l_insert},
    {"table.move", l_move},
    {"table.pack", l_gives},
    {"table.remove", l_remove},
    {"table.sort", l_sort},
    {"table.unpack", l_unpack},
    {"utf8.char", l_takes},
    {"utf8.codepoint", l_gives},
    {"utf8.len", l_takes},
    {"utf8.offset", l_offset},
    {"os.date", l_date},
};

void l_guard(lua_State *L, const char *path) {
    if (lua_type(L, -1) != LUA_TFUNCTION) return; /* math.pi */
    lua_CFunction guard = NULL;
    for (size_t i = 0; i < sizeof guards / sizeof *guards; i++)
        if (strcmp(guards[i].path, path) == 0) guard = guards[i].guard;
    if (guard != NULL) lua_pushcclosure(L, guard, 1);
}

/* The metatable of texts is a new one, with what Lua's own does for texts in arithmetic. */
void l_guard_strings(lua_State *L) {
    static const char *const arithmetic[] = {"__add", "__sub", "__mul",  "__mod",
                                             "__pow", "__div", "__idiv", "__unm"};
    lua_pushliteral(L, "");
    lua_newtable(L); /* private, "", metatable */
    for (size_t i = 0; i < sizeof arithmetic / sizeof *arithmetic; i++) {
        if (luaL_getmetafield(L, -2, arithmetic[i]) != LUA_TNIL) lua_setfield(L, -2, arithmetic[i]);
    }
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 2);
}
