/*
 * `holdfast check`: middleware files put through the conformance check. What is checked is written in Lua,
 * in the stock module holdfast.conform; this gives it a Lua state and prints what it finds.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "holdfast_lua.h"

/* (findings): prints "file:line: message" for each, and returns how many there are. */
static int l_print(lua_State *L) {
    lua_Integer count = luaL_len(L, 1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 1, i);
        lua_getfield(L, -1, "file");
        lua_getfield(L, -2, "line");
        lua_getfield(L, -3, "message");
        lua_pushfstring(L, "%s:%d: %s", luaL_checkstring(L, -3), (int)luaL_checkinteger(L, -2),
                        luaL_checkstring(L, -1));
        hf__out_escaped(hf_text_of(lua_tostring(L, -1)));
        lua_settop(L, 1);
    }
    lua_pushinteger(L, count);
    return 1;
}

/* (light hf__use) -> how many findings */
static int l_check(lua_State *L) {
    const hf__use *use = lua_touserdata(L, 1);
    lua_pushcfunction(L, l_print);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "holdfast.conform");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "check");
    lua_pushstring(L, use->path);
    if (use->config != NULL) {
        luaL_requiref(L, "holdfast", luaopen_holdfast, 0);
        lua_getfield(L, -1, "json");
        lua_getfield(L, -1, "decode");
        lua_replace(L, -3);
        lua_pop(L, 1);
        lua_pushstring(L, use->config);
        lua_call(L, 1, 1);
    } else {
        lua_pushnil(L);
    }
    lua_call(L, 2, 1);
    lua_replace(L, -2);
    lua_call(L, 1, 1);
    return 1;
}

static int l_open(lua_State *L) {
    luaL_openlibs(L);
    luaL_requiref(L, "holdfast", luaopen_holdfast, 0);
    return 0;
}

/* The function at the top of the stack, protected; false after saying what went wrong. */
static bool call_safe(lua_State *L, lua_CFunction function, const hf__use *use) {
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, (void *)use);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) return true;
    const char *message = lua_isstring(L, -1) ? lua_tostring(L, -1) : NULL;
    if (message == NULL && luaL_getmetafield(L, -1, "__tostring") != LUA_TNIL) {
        lua_insert(L, -2);
        if (lua_pcall(L, 1, 1, 0) == LUA_OK) message = lua_tostring(L, -1);
    }
    if (use != NULL)
        hf__out_note("%s: %s", use->path, message != NULL ? message : "the check raised an error");
    else
        hf__out_note("%s", message != NULL ? message : "out of memory");
    return false;
}

int hf__cli_check(const hf__cli *cli) {
    int status = HF__EXIT_OK;
    lua_State *L = luaL_newstate();
    if (L == NULL || !call_safe(L, l_open, NULL)) {
        if (L == NULL) hf__out_note("out of memory");
        if (L != NULL) lua_close(L);
        return HF__EXIT_FAILED;
    }
    for (size_t i = 0; i < cli->args_count; i++) {
        hf__use use = hf__use_of(cli->args[i]);
        hf_error err;
        if (use.config != NULL &&
            hf__json_check_object(hf_text_of(use.config), HF__CLI_DEPTH, &err) != HF_OK) {
            hf__out_note("%s: configuration: %s", use.path, err.message);
            status = HF__EXIT_USAGE;
        } else if (access(use.path, R_OK) != 0) {
            hf__out_note("%s: %s", use.path, strerror(errno));
            status = HF__EXIT_STORE;
        } else if (!call_safe(L, l_check, &use) || lua_tointeger(L, -1) > 0) {
            if (status == HF__EXIT_OK) status = HF__EXIT_FAILED;
        }
        lua_settop(L, 0);
        hf__out_flush();
    }
    lua_close(L);
    return status;
}
