/*
 * Whether a table says what C knows already, so that it need not be read again. How the two forms stand for each
 * other is left to tables.c.
 */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "chain/tables.h"

static bool l_says(lua_State *L, int index, const hf__record *record, const char *group, const char *op,
                   const void *base);

static bool l_is_text(lua_State *L, hf_text text) {
    if (lua_type(L, -1) != LUA_TSTRING) return false;
    size_t size;
    const char *found = lua_tolstring(L, -1, &size);
    return size == text.size && memcmp(found, text.data, size) == 0;
}

/* Whether the value on the top is the list's item. */
static bool l_says_item(lua_State *L, hf__field_type type, const void *items, size_t index) {
    size_t size;
    const hf__record *record = hf__row_record(type, &size);
    if (type == HF__T_IDS || type == HF__T_STATES) return l_is_text(L, ((const hf_text *)items)[index]);
    if (type != HF__T_OPS && type != HF__T_RESULTS)
        return l_says(L, -1, record, NULL, NULL, (const char *)items + index * size);
    const hf_op *op = (const hf_op *)items + index;
    const hf_result *result = (const hf_result *)items + index;
    const char *name = type == HF__T_OPS ? op->op : result->op;
    const hf__op_def *def = hf__op_find(name, strlen(name));
    if (type == HF__T_OPS) return l_says(L, -1, &def->fields, NULL, name, op);
    return l_says(L, -1, &def->answer, NULL, name, result);
}

/* Whether the list on the top has just the items of the field. */
static bool l_says_list(lua_State *L, const hf__field *field, hf__list list) {
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != list.count || !l_has_keys(L, list.count))
        return false;
    bool same = true;
    for (size_t i = 0; same && i < list.count; i++) {
        l_charge_table(L, i);
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        same = l_says_item(L, field->type, list.items, i);
        lua_pop(L, 1);
    }
    return same;
}

/* Whether the value on the top is the field's. Types that take more than a look are left to reading. */
static bool l_says_field(lua_State *L, const hf__field *field, const void *base) {
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT: return l_is_text(L, *CONST_MEMBER(base, field, hf_text));
    case HF__T_STATE: return l_is_text(L, hf_text_of(hf__state_name(*CONST_MEMBER(base, field, hf_state))));
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT:
        return lua_isinteger(L, -1) && lua_tointeger(L, -1) == *CONST_MEMBER(base, field, int64_t);
    case HF__T_REAL: {
        double known = *CONST_MEMBER(base, field, double), found = lua_tonumber(L, -1);
        bool number = lua_type(L, -1) == LUA_TNUMBER;
        return number && found == known && signbit(found) == signbit(known); /* 0 equals -0 */
    }
    case HF__T_FLAG:
        return lua_isboolean(L, -1) &&
               (lua_toboolean(L, -1) ? HF_YES : HF_NO) == *CONST_MEMBER(base, field, int);
    case HF__T_BOOL:
        return lua_isboolean(L, -1) && lua_toboolean(L, -1) == (*CONST_MEMBER(base, field, int) != 0);
    case HF__T_OBJECT: return l_is_json(L, -1, *CONST_MEMBER(base, field, hf_text));
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: {
        size_t size;
        const hf__record *record = hf__row_record(field->type, &size);
        return l_says(L, -1, record, NULL, NULL, *CONST_MEMBER(base, field, void *));
    }
    default: return l_says_list(L, field, hf__field_list(field, base));
    }
}

/* Whether another field before it stands for its group. */
static bool is_group_seen(const hf__record *record, const hf__field *field, const void *base) {
    for (const hf__field *other = record->fields; other < field; other++)
        if (other->group != NULL && strcmp(other->group, field->group) == 0 && hf__is_shown(other, base))
            return true;
    return false;
}

/* Whether the table at `index` says just what the struct at `base` does, of the record the fields in `group`: nothing
 * else, and nothing less. */
static bool l_says(lua_State *L, int index, const hf__record *record, const char *group, const char *op,
                   const void *base) {
    if (lua_type(L, index) != LUA_TTABLE) return false;
    index = lua_absindex(L, index);
    luaL_checkstack(L, 6, NULL);
    if (lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        return false;
    }
    size_t keys = op != NULL;
    bool same = true;
    if (op != NULL) {
        lua_getfield(L, index, "op");
        same = l_is_text(L, hf_text_of(op));
        lua_pop(L, 1);
    }
    for (size_t i = 0; same && i < record->count; i++) {
        const hf__field *field = &record->fields[i];
        bool grouped = group == NULL && field->group != NULL; /* its group's table stands for it */
        bool apart = group != NULL && (field->group == NULL || strcmp(field->group, group) != 0);
        if (apart || !hf__is_shown(field, base) || (grouped && is_group_seen(record, field, base))) continue;
        lua_getfield(L, index, grouped ? field->group : field->name);
        same = grouped ? l_says(L, -1, record, field->group, NULL, base) : l_says_field(L, field, base);
        lua_pop(L, 1);
        keys++;
    }
    if (!same) return false;
    lua_pushvalue(L, index);
    same = l_has_keys(L, keys);
    lua_pop(L, 1);
    return same;
}

bool l_is_op(lua_State *L, int index, const hf__op_def *def, const hf_op *op) {
    return strcmp(op->op, def->name) == 0 && l_says(L, index, &def->fields, NULL, def->name, op);
}

bool l_is_result(lua_State *L, int index, const hf__op_def *def, const hf_result *result) {
    return result->op == def->name && l_says(L, index, &def->answer, NULL, def->name, result);
}
