/*
 * Whether a table says what C knows already, so that it need not be read again. How the two forms stand for each
 * other is left to tables.c.
 */
#include <lauxlib.h>
#include <string.h>

#include "chain/tables.h"

static bool l_says(lua_State *L, int index, const hf__record *record, const char *op, const void *base);

/* Whether the list on the top has just the rows of the field. */
static bool l_says_rows(lua_State *L, const hf__field *field, hf__list list) {
    size_t size, keys = 0;
    const hf__record *record = hf__row_record(field->type, &size);
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != list.count) return false;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        keys++;
    bool same = keys == list.count;
    for (size_t i = 0; same && i < list.count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        same = l_says(L, -1, record, NULL, (const char *)list.items + i * size);
        lua_pop(L, 1);
    }
    return same;
}

/* Whether the value on the top is the field's. Types that take more than a look are left to reading. */
static bool l_says_field(lua_State *L, const hf__field *field, const void *base) {
    hf_text text = {0};
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT: text = *CONST_MEMBER(base, field, hf_text); break;
    case HF__T_STATE: text = hf_text_of(hf__state_name(*CONST_MEMBER(base, field, hf_state))); break;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT:
        return lua_isinteger(L, -1) && lua_tointeger(L, -1) == *CONST_MEMBER(base, field, int64_t);
    case HF__T_REAL:
        return lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) == *CONST_MEMBER(base, field, double);
    case HF__T_BOOL:
        return lua_isboolean(L, -1) && lua_toboolean(L, -1) == (*CONST_MEMBER(base, field, int) != 0);
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: {
        size_t size;
        const hf__record *record = hf__row_record(field->type, &size);
        return l_says(L, -1, record, NULL, *CONST_MEMBER(base, field, void *));
    }
    case HF__T_MESSAGES:
    case HF__T_CONVERSATIONS:
    case HF__T_DELTAS:
    case HF__T_HITS: return l_says_rows(L, field, hf__field_list(field, base));
    default: return false;
    }
    return lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) == text.size &&
           memcmp(lua_tostring(L, -1), text.data, text.size) == 0;
}

/* Whether the table at `index` says just what the struct at `base` does: nothing else, and nothing less. */
static bool l_says(lua_State *L, int index, const hf__record *record, const char *op, const void *base) {
    if (lua_type(L, index) != LUA_TTABLE) return false;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 6, NULL);
    if (lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        return false;
    }
    size_t missing = op != NULL;
    for (const hf__field *field = record->fields; field < record->fields + record->count; field++)
        missing += hf__is_shown(field, base);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        bool same = false, is_group;
        if (lua_type(L, -2) == LUA_TSTRING && missing > 0) {
            hf_text name;
            name.data = lua_tolstring(L, -2, &name.size);
            const hf__field *field = hf__record_find(record, NULL, name, &is_group);
            if (field != NULL)
                same = hf__is_shown(field, base) && l_says_field(L, field, base);
            else if (op != NULL && strcmp(name.data, "op") == 0)
                same = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), op) == 0;
        }
        if (!same) {
            lua_pop(L, 2);
            return false;
        }
        missing--;
    }
    return missing == 0;
}

bool l_is_op(lua_State *L, int index, const hf__op_def *def, const hf_op *op) {
    return strcmp(op->op, def->name) == 0 && l_says(L, index, &def->fields, def->name, op);
}

bool l_is_result(lua_State *L, int index, const hf__op_def *def, const hf_result *result) {
    return result->op == def->name && l_says(L, index, &def->answer, def->name, result);
}
