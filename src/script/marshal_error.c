/*
 * Errors in Lua: tables {code, message, layer?, op?, messageId?, sqliteCode?, traceback?} with a
 * metatable that makes one readable line of them. An error keeps its identity, and whatever else a
 * layer put into it, for as long as it travels within one Lua state.
 */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "script/marshal.h"
#include "script/vm.h"

static const char error_key = 0;

/* The text under `name`, borrowed from the table, or NULL. [-0, +1] */
static const char *l_get_text(lua_State *L, int index, const char *name, size_t *size) {
    lua_pushstring(L, name);
    return lua_rawget(L, index) == LUA_TSTRING ? lua_tolstring(L, -1, size) : NULL;
}

static int l_error_tostring(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_Buffer line;
    static const char *const order[] = {"layer", "op", "code", "message"};
    const char *parts[4];
    for (int i = 0; i < 4; i++)
        parts[i] = l_get_text(L, 1, order[i], NULL);
    luaL_buffinit(L, &line);
    if (parts[0] != NULL) lua_pushfstring(L, "layer \"%s\": ", parts[0]), luaL_addvalue(&line);
    if (parts[1] != NULL) lua_pushfstring(L, "%s: ", parts[1]), luaL_addvalue(&line);
    lua_pushfstring(L, "%s: %s", parts[2] != NULL ? parts[2] : "?", parts[3] != NULL ? parts[3] : "?");
    luaL_addvalue(&line);
    luaL_pushresult(&line);
    return 1;
}

void l_error_setup(lua_State *L) {
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, l_error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "error");
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

bool l_is_error(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

void l_mark_error(lua_State *L, int index) {
    index = lua_absindex(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    lua_setmetatable(L, index);
}

static void l_set_text(lua_State *L, const char *name, const char *text) {
    if (text[0] == '\0') return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

void l_push_error(lua_State *L, const hf_error *err) {
    l_room(L, 4);
    lua_createtable(L, 0, 7);
    l_set_text(L, "code", err->name);
    l_set_text(L, "message", err->message);
    l_set_text(L, "layer", err->layer);
    l_set_text(L, "op", err->op);
    l_set_text(L, "messageId", err->message_id);
    l_set_text(L, "traceback", err->traceback);
    if (err->sqlite_code != 0) {
        lua_pushinteger(L, err->sqlite_code);
        lua_setfield(L, -2, "sqliteCode");
    }
    l_mark_error(L, -1);
}

int l_throw(lua_State *L, const hf_error *err) {
    l_push_error(L, err);
    return lua_error(L);
}

int l_throw_own(lua_State *L, const hf_error *err) {
    l_push_error(L, err);
    l_say_where(L);
    return lua_error(L);
}

int l_throwf(lua_State *L, hf_code code, const char *format, ...) {
    hf_error err;
    char message[sizeof err.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    hf__fail(&err, code, "%s", message);
    return l_throw_own(L, &err);
}

static void l_copy_text(lua_State *L, int index, const char *name, char *buffer, size_t size, int one_line) {
    size_t length;
    const char *text = l_get_text(L, index, name, &length);
    if (text != NULL) hf__error_copy(buffer, size, text, length, one_line);
    lua_pop(L, 1);
}

void l_read_error(lua_State *L, int index, hf_error *err) {
    index = lua_absindex(L, index);
    l_room(L, 4);
    hf__fail(err, HF_MIDDLEWARE, "an error that is a %s", luaL_typename(L, index));
    if (lua_type(L, index) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(L, index, &size);
        hf__error_copy(err->message, sizeof err->message, text, size, 1);
    }
    if (!l_is_error(L, index)) return;
    l_copy_text(L, index, "code", err->name, sizeof err->name, 1);
    err->code = hf__code_of(err->name);
    l_copy_text(L, index, "message", err->message, sizeof err->message, 1);
    l_copy_text(L, index, "layer", err->layer, sizeof err->layer, 1);
    l_copy_text(L, index, "op", err->op, sizeof err->op, 1);
    l_copy_text(L, index, "messageId", err->message_id, sizeof err->message_id, 1);
    l_copy_text(L, index, "traceback", err->traceback, sizeof err->traceback, 0);
    lua_pushliteral(L, "sqliteCode");
    lua_rawget(L, index);
    err->sqlite_code = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
}
