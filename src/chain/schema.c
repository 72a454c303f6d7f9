/*
 * A middleware's configuration against the `schema` that it returned:
 *
 *   schema = {limit = {type = "integer", default = 8000, doc = "characters"}, word = {type = "text", required = true}}
 *
 * Types: text, integer, number, boolean, list, table, any. Defaults are put into the very table that the chunk
 * received, before any op reaches the layer.
 */
#include <lauxlib.h>
#include <string.h>

#include "chain/chain.h"
#include "script/marshal.h"

static const char *const types[] = {"any", "boolean", "integer", "list", "number", "table", "text", NULL};

/* Whether the value on the top is a list: an unmarked empty table may be one. */
static bool l_is_sequence(lua_State *L) {
    if (lua_type(L, -1) != LUA_TTABLE) return false;
    lua_pushnil(L);
    bool empty = lua_next(L, -2) == 0;
    if (!empty) lua_pop(L, 2);
    return empty || lua_rawlen(L, -1) > 0;
}

/* Whether the value on the top is of the type. */
static bool l_fits(lua_State *L, const char *type) {
    switch (type[0]) {
    case 'a': return true;
    case 'b': return lua_isboolean(L, -1);
    case 'i': return lua_isinteger(L, -1);
    case 'n': return lua_type(L, -1) == LUA_TNUMBER;
    case 'l': return l_is_sequence(L);
    default: return lua_type(L, -1) == (strcmp(type, "text") == 0 ? LUA_TSTRING : LUA_TTABLE);
    }
}

/* [rule] -> [rule]: the rule's type, borrowed from the list above. */
static const char *l_rule_type(lua_State *L, const char *key) {
    if (lua_type(L, -1) != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "the middleware's schema.%.60s: expected a table, found a %s", key,
                 luaL_typename(L, -1));
    int kind = lua_getfield(L, -1, "type");
    for (const char *const *type = types; kind == LUA_TSTRING && *type != NULL; type++) {
        if (strcmp(*type, lua_tostring(L, -1)) != 0) continue;
        lua_pop(L, 1);
        return *type;
    }
    l_throwf(
        L, HF_INVALID,
        "the middleware's schema.%.60s.type: expected text, integer, number, boolean, list, table or any",
        key);
    return NULL;
}

/* Each key of the schema: what is there must fit, what is not takes the default. */
static void l_apply_rules(lua_State *L, int schema, int config) {
    for (lua_pushnil(L); lua_next(L, schema); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            l_throwf(L, HF_INVALID, "the middleware's schema has a key that is a %s", luaL_typename(L, -2));
        const char *key = lua_tostring(L, -2);
        const char *type = l_rule_type(L, key);
        lua_pushvalue(L, -2);
        lua_rawget(L, config); /* key, rule, value */
        if (lua_isnil(L, -1) || hf__is_null(L, -1)) {
            lua_pop(L, 1);
            lua_getfield(L, -1, "required");
            if (lua_toboolean(L, -1))
                l_throwf(L, HF_INVALID, "configuration: \"%.60s\" is missing: expected %s", key, type);
            lua_pop(L, 1);
            lua_pushvalue(L, -2);
            lua_getfield(L, -2, "default");
            lua_rawset(L, config);
            continue;
        }
        if (!l_fits(L, type))
            l_throwf(L, HF_INVALID, "configuration: \"%.60s\": expected %s, found a %s", key, type,
                     luaL_typename(L, -1));
        lua_pop(L, 1);
    }
}

/* Throws for the key: names those that there are. */
static void l_unknown_key(lua_State *L, int schema, const char *key) {
    lua_pushliteral(L, "");
    int names = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, schema) && lua_rawlen(L, names) < 1000; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) continue;
        lua_pushfstring(L, "%s %s", lua_tostring(L, names), lua_tostring(L, -2));
        lua_replace(L, names);
    }
    l_throwf(L, HF_INVALID, "configuration: unknown key \"%.60s\": expected one of:%s", key,
             lua_tostring(L, names));
}

void l_apply_schema(lua_State *L, int schema, int config) {
    schema = lua_absindex(L, schema);
    config = lua_absindex(L, config);
    l_room(L, 12);
    if (lua_type(L, schema) != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "the middleware's `schema`: expected a table, found a %s",
                 luaL_typename(L, schema));
    for (lua_pushnil(L); lua_next(L, config); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        bool known = lua_rawget(L, schema) != LUA_TNIL;
        lua_pop(L, 1);
        if (!known)
            l_unknown_key(L, schema, lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "(a position)");
    }
    l_apply_rules(L, schema, config);
}
