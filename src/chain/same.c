/*
 * Whether a table says what C knows already, so that it need not be read again. How the two forms stand for each
 * other is left to tables.c.
 */
#include <lauxlib.h>
#include <math.h>
#include <string.h>

#include "chain/tables.h"
#include "script/vm.h"

static bool l_says(lua_State *L, const hf__names *names, const hf__record *record, uint32_t expected,
                   bool grouped, const hf__op_def *def, const void *base);

static bool l_is_text(lua_State *L, hf_text text) {
    if (lua_type(L, -1) != LUA_TSTRING) return false;
    size_t size;
    const char *found = lua_tolstring(L, -1, &size);
    return size == text.size && memcmp(found, text.data, size) == 0;
}

/* Whether the value on the top is the row; an op or an answer of the kind. */
static bool l_says_row(lua_State *L, const hf__names *names, const hf__record *record, const void *row) {
    return l_says(L, names, record, hf__shown(record, row), false, NULL, row);
}

static bool l_says_named(lua_State *L, const hf__names *names, const hf__op_def *def,
                         const hf__record *record, const void *base) {
    return l_says(L, names, record, hf__shown(record, base), false, def, base);
}

/* Whether the value on the top is the list's item. */
static bool l_says_item(lua_State *L, const hf__names *names, hf__field_type type, const void *items,
                        size_t index) {
    size_t size;
    const hf__record *record = hf__row_record(type, &size);
    if (type == HF__T_IDS || type == HF__T_STATES) return l_is_text(L, ((const hf_text *)items)[index]);
    if (type != HF__T_OPS && type != HF__T_RESULTS)
        return l_says_row(L, names, record, (const char *)items + index * size);
    const hf_op *op = (const hf_op *)items + index;
    const hf_result *result = (const hf_result *)items + index;
    const char *name = type == HF__T_OPS ? op->op : result->op;
    const hf__op_def *def = hf__op_find(name, strlen(name));
    if (type == HF__T_OPS) return l_says_named(L, names, def, &def->fields, op);
    return l_says_named(L, names, def, &def->answer, result);
}

/* Whether the list on the top has just the items of the field. */
static bool l_says_list(lua_State *L, const hf__names *names, const hf__field *field, hf__list list) {
    if (lua_type(L, -1) != LUA_TTABLE || lua_rawlen(L, -1) != list.count || !l_has_keys(L, list.count))
        return false;
    bool same = true;
    for (size_t i = 0; same && i < list.count; i++) {
        l_charge_table(L, i);
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        same = l_says_item(L, names, field->type, list.items, i);
        lua_pop(L, 1);
    }
    return same;
}

/* Whether the value on the top is the field's. Types that take more than a look are left to reading. */
static bool l_says_field(lua_State *L, const hf__names *names, const hf__field *field, const void *base) {
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
        return l_says_row(L, names, record, *CONST_MEMBER(base, field, void *));
    }
    default: return l_says_list(L, names, field, hf__field_list(field, base));
    }
}

/* Which of the fields that are expected the value on the top stands for under that name: one, or all of a group; 0 where
 * it does not say what the struct does. */
static uint32_t l_met(lua_State *L, const hf__names *names, const hf__record *record, uint32_t expected,
                      bool grouped, const void *name, const void *base) {
    const void *const *own = &names->of[HF__NAME_FIELD + record->fields->number];
    const void *const *groups = &names->of[HF__NAME_GROUP + record->fields->number];
    size_t i = 0;
    while (i < record->count && own[i] != name && groups[i] != name)
        i++;
    if (i == record->count || name == NULL) return 0;
    const hf__field *field = &record->fields[i];
    uint32_t met = expected & (uint32_t)1 << i;
    if ((field->group != NULL && !grouped) != (own[i] != name)) return 0;
    if (own[i] == name) return met != 0 && l_says_field(L, names, field, base) ? met : 0;
    for (; i < record->count; i++)
        if (groups[i] == name) met |= expected & (uint32_t)1 << i;
    return met != 0 && l_says(L, names, record, met, true, NULL, base) ? met : 0;
}

/* Whether the table on the top says just what the struct at `base` does in the fields that are expected: nothing else,
 * and nothing less. `grouped`: it is the table of their group. `def`: its `op` is expected as well. */
static bool l_says(lua_State *L, const hf__names *names, const hf__record *record, uint32_t expected,
                   bool grouped, const hf__op_def *def, const void *base) {
    if (lua_type(L, -1) != LUA_TTABLE) return false;
    if (lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return false;
    }
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        const void *name = lua_topointer(L, -2);
        bool same;
        if (def != NULL && name == names->of[HF__NAME_OP]) {
            same = hf__is_kind_name(L, names, def->kind);
            def = NULL;
        } else {
            uint32_t met = l_met(L, names, record, expected, grouped, name, base);
            same = met != 0;
            expected &= ~met;
        }
        if (same) continue;
        lua_pop(L, 2);
        return false;
    }
    return def == NULL && expected == 0;
}

/* The same for the table at `index`, of an op or an answer. [-0, +0] */
static bool l_looks(lua_State *L, const hf__names *names, int index, const hf__op_def *def,
                    const hf__record *record, const void *base) {
    l_room(L, 16);
    lua_pushvalue(L, index);
    bool same = l_says_named(L, names, def, record, base);
    lua_pop(L, 1);
    return same;
}

bool l_is_op(lua_State *L, const hf__names *names, int index, const hf__op_def *def, const hf_op *op) {
    return strcmp(op->op, def->name) == 0 && l_looks(L, names, index, def, &def->fields, op);
}

bool l_is_result(lua_State *L, const hf__names *names, int index, const hf__op_def *def,
                 const hf_result *result) {
    return result->op == def->name && l_looks(L, names, index, def, &def->answer, result);
}
