/*
 * Ops and answers in Lua. Both are walked by their records (op/record.h): a field that joins the list
 * of ops is pushed and read here without another line.
 */
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "chain/tables.h"
#include "script/vm.h"

/* The member at the field's offset. */
#define MEMBER(base, field, type) ((type *)(void *)((char *)(base) + (field)->offset))

/* Puts a list - a pointer of some type, and behind it the count - into the field's member. */
static void set_list(const hf__field *field, void *base, const void *items, size_t count) {
    hf__list list = {items, count};
    memcpy((char *)base + field->offset, &list, sizeof list);
}

/* ---- Pushing ----------------------------------------------------------------------------------- */

/* One push: where to work, and the positions on the stack of the names and of a text that is likely to come again, 0
 * for none. */
typedef struct pushing {
    hf__arena *arena;
    int names;
    int likely;
} pushing;

static void l_push_record(lua_State *L, const pushing *p, const hf__record *record, const void *base);
static void l_push_named(lua_State *L, const pushing *p, hf__kind kind, const hf__record *record,
                         const void *base);

static void l_push_text(lua_State *L, hf_text text) {
    lua_pushlstring(L, text.data, text.size);
}

/* A content may be large, and the answer's is most often the op's. */
static void l_push_content(lua_State *L, const pushing *p, hf_text text) {
    bool again = p->likely != 0 && lua_type(L, p->likely) == LUA_TSTRING &&
                 lua_rawlen(L, p->likely) == text.size &&
                 memcmp(lua_tostring(L, p->likely), text.data, text.size) == 0;
    if (again)
        lua_pushvalue(L, p->likely);
    else
        l_push_text(L, text);
}

static void l_push_texts(lua_State *L, const hf_text *texts, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        l_push_text(L, texts[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    l_mark_list(L);
}

static void l_push_rows(lua_State *L, const pushing *p, const hf__field *field, const void *rows,
                        size_t count) {
    size_t size;
    const hf__record *record = hf__row_record(field->type, &size);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        l_push_record(L, p, record, (const char *)rows + i * size);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    l_mark_list(L);
}

static void l_push_ops(lua_State *L, const pushing *p, const hf_op *ops, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const hf__op_def *def = hf__op_find(ops[i].op, strlen(ops[i].op));
        l_push_named(L, p, def->kind, &def->fields, &ops[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    l_mark_list(L);
}

static void l_push_results(lua_State *L, const pushing *p, const hf_result *results, size_t count) {
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        const hf__op_def *def = hf__op_find(results[i].op, strlen(results[i].op));
        l_push_named(L, p, def->kind, &def->answer, &results[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    l_mark_list(L);
}

static void l_push_list(lua_State *L, const pushing *p, const hf__field *field, hf__list list) {
    switch (field->type) {
    case HF__T_STATES:
    case HF__T_IDS: l_push_texts(L, list.items, list.count); return;
    case HF__T_OPS: l_push_ops(L, p, list.items, list.count); return;
    case HF__T_RESULTS: l_push_results(L, p, list.items, list.count); return;
    default: l_push_rows(L, p, field, list.items, list.count); return;
    }
}

static void l_push_field(lua_State *L, const pushing *p, const hf__field *field, const void *base) {
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT: l_push_text(L, *CONST_MEMBER(base, field, hf_text)); return;
    case HF__T_CONTENT: l_push_content(L, p, *CONST_MEMBER(base, field, hf_text)); return;
    case HF__T_OBJECT: l_push_object(L, p->arena, *CONST_MEMBER(base, field, hf_text)); return;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: lua_pushinteger(L, *CONST_MEMBER(base, field, int64_t)); return;
    case HF__T_REAL: lua_pushnumber(L, *CONST_MEMBER(base, field, double)); return;
    case HF__T_FLAG: lua_pushboolean(L, *CONST_MEMBER(base, field, int) == HF_YES); return;
    case HF__T_BOOL: lua_pushboolean(L, *CONST_MEMBER(base, field, int)); return;
    case HF__T_STATE: lua_pushstring(L, hf__state_name(*CONST_MEMBER(base, field, hf_state))); return;
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: {
        size_t size;
        const void *row;
        memcpy(&row, CONST_MEMBER(base, field, char), sizeof row);
        l_push_record(L, p, hf__row_record(field->type, &size), row);
        return;
    }
    default: l_push_list(L, p, field, hf__field_list(field, base)); return;
    }
}

static int count_of(uint32_t shown) {
    int count = 0;
    for (; shown != 0; shown &= shown - 1)
        count++;
    return count;
}

/* The table of the field's group in the table on the top, made where it is not there. [-0, +1] */
static void l_push_group(lua_State *L, const pushing *p, const hf__field *field) {
    int group = HF__NAME_GROUP + field->number;
    lua_rawgeti(L, p->names, group);
    if (lua_rawget(L, -2) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_rawgeti(L, p->names, group);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
}

/* Sets the record's fields in the table on the top. */
static void l_set_fields(lua_State *L, const pushing *p, const hf__record *record, uint32_t shown,
                         const void *base) {
    for (const hf__field *field = record->fields; shown != 0; field++, shown >>= 1) {
        if ((shown & 1) == 0) continue;
        if (field->group != NULL) l_push_group(L, p, field);
        lua_rawgeti(L, p->names, HF__NAME_FIELD + field->number);
        l_push_field(L, p, field, base);
        lua_rawset(L, -3);
        if (field->group != NULL) lua_pop(L, 1);
    }
}

static void l_push_record(lua_State *L, const pushing *p, const hf__record *record, const void *base) {
    uint32_t shown = hf__shown(record, base);
    l_room(L, 8);
    lua_createtable(L, 0, count_of(shown));
    l_set_fields(L, p, record, shown, base);
}

static void l_push_named(lua_State *L, const pushing *p, hf__kind kind, const hf__record *record,
                         const void *base) {
    uint32_t shown = hf__shown(record, base);
    l_room(L, 8);
    lua_createtable(L, 0, count_of(shown) + 1);
    lua_rawgeti(L, p->names, HF__NAME_OP);
    lua_rawgeti(L, p->names, HF__NAME_KIND + (int)kind);
    lua_rawset(L, -3);
    l_set_fields(L, p, record, shown, base);
}

/* The same, with the names at hand. [-0, +1] */
static void l_push_whole(lua_State *L, const hf__names *names, hf__arena *arena, int likely, hf__kind kind,
                         const hf__record *record, const void *base) {
    l_room(L, 2);
    lua_rawgeti(L, LUA_REGISTRYINDEX, names->table);
    l_push_named(L, &(pushing){arena, lua_gettop(L), likely}, kind, record, base);
    lua_replace(L, -2);
}

void l_push_op(lua_State *L, const hf__names *names, hf__arena *arena, const hf__op_def *def,
               const hf_op *op) {
    l_push_whole(L, names, arena, 0, def->kind, &def->fields, op);
}

void l_push_result(lua_State *L, const hf__names *names, hf__arena *arena, const hf__op_def *def,
                   const hf_result *result, int likely) {
    l_push_whole(L, names, arena, likely, def->kind, &def->answer, result);
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* One reading: of an op (`copy` NULL, texts go into the arena) or of an answer (texts go into `copy`). Nothing is
 * borrowed: a script may change a table while what was read from it is still on its way. */
typedef struct reading {
    hf__arena *arena;
    const hf__limits *limits;
    hf_result *copy;
    hf_code code;     /* what a slip is */
    const char *kind; /* "op" or "result" */
    const char *op;
    size_t *left; /* bytes that it may still take: one text may stand in many places */
    hf__budget *budget;
} reading;

static void l_read_record(lua_State *L, int index, reading *r, const hf__record *record, const char *group,
                          void *base);

/* Throws: the value on the top is not what the field expects. */
static int l_misfit(lua_State *L, reading *r, const hf__field *field) {
    const char *found = hf__is_null(L, -1) ? "null" : luaL_typename(L, -1);
    if (lua_type(L, -1) == LUA_TNUMBER) found = lua_isinteger(L, -1) ? "an integer" : "a float";
    return l_throwf(L, r->code, "field \"%s\" of the %s: expected %s, found %s", field->name, r->kind,
                    hf__type_expectation(field->type), found);
}

static void l_take(lua_State *L, reading *r, size_t size) {
    if (size > *r->left)
        l_throwf(L, r->code, "the %s \"%s\" is larger than its bound allows", r->kind, r->op);
    *r->left -= size;
    l_budget_charge(L, r->budget, 1 + size / 64);
}

static void *l_memory(lua_State *L, reading *r, size_t count, size_t size) {
    void *memory = NULL;
    l_take(L, r, count < SIZE_MAX / size ? count * size : SIZE_MAX);
    if (r->copy == NULL)
        memory = hf__arena_array(r->arena, count, size);
    else if (count < SIZE_MAX / size)
        memory = hf_result_alloc(r->copy, count * size);
    if (memory == NULL) l_throwf(L, HF_MEMORY, "out of memory reading the %s", r->kind);
    return memory;
}

/* The string on the top. */
static hf_text l_text(lua_State *L, reading *r, hf_text text) {
    l_take(L, r, text.size);
    hf_text copy = r->copy != NULL ? hf_result_text(r->copy, text) : hf__arena_text(r->arena, text);
    if (copy.data == NULL) l_throwf(L, HF_MEMORY, "out of memory reading the %s", r->kind);
    return copy;
}

static hf_text l_string(lua_State *L, reading *r, const hf__field *field) {
    if (lua_type(L, -1) != LUA_TSTRING) l_misfit(L, r, field);
    hf_text text;
    text.data = lua_tolstring(L, -1, &text.size);
    return l_text(L, r, text);
}

static int64_t l_integer(lua_State *L, reading *r, const hf__field *field, int64_t least) {
    if (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < least) l_misfit(L, r, field);
    return lua_tointeger(L, -1);
}

static hf_text l_object(lua_State *L, reading *r, const hf__field *field) {
    if (lua_type(L, -1) != LUA_TTABLE) l_misfit(L, r, field);
    char what[96];
    snprintf(what, sizeof what, "field \"%s\" of the %s", field->name, r->kind);
    hf__arena_mark mark = hf__arena_here(r->arena);
    hf_text text = l_read_object(L, -1, r->arena, r->limits, r->code, what);
    if (r->copy != NULL) {
        text = l_text(L, r, text);
        hf__arena_cut(r->arena, mark);
    } else {
        l_take(L, r, text.size);
    }
    return text;
}

/* The length of the list on the top, bounded before anything is allocated for it. */
static size_t l_list_length(lua_State *L, reading *r, const hf__field *field) {
    if (lua_type(L, -1) != LUA_TTABLE) l_misfit(L, r, field);
    size_t count = lua_rawlen(L, -1), keys = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        keys++;
    if (keys != count)
        l_throwf(L, r->code,
                 "field \"%s\" of the %s: expected a list, found a table with other keys or holes",
                 field->name, r->kind);
    if (field->type == HF__T_OPS && count > r->limits->batch)
        l_throwf(L, r->code, "field \"%s\" of the %s: expected at most %zu ops, found %zu", field->name,
                 r->kind, r->limits->batch, count);
    return count;
}

static void l_read_texts(lua_State *L, reading *r, const hf__field *field, void *base) {
    size_t count = l_list_length(L, r, field);
    hf_text *texts = l_memory(L, r, count, sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        texts[i] = l_string(L, r, field);
        lua_pop(L, 1);
    }
    set_list(field, base, texts, count);
}

static void l_read_op_within(lua_State *L, int index, const reading *outer, const hf__op_def *def,
                             hf_op *out);

static void l_read_ops(lua_State *L, reading *r, const hf__field *field, void *base) {
    size_t count = l_list_length(L, r, field);
    hf_op *ops = l_memory(L, r, count, sizeof *ops);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        const hf__op_def *def = l_op_def(L, -1);
        if (def->kind == HF__KIND_batch) l_throwf(L, r->code, "ops[%zu]: batches do not nest", i);
        l_read_op_within(L, -1, r, def, &ops[i]);
        lua_pop(L, 1);
    }
    set_list(field, base, ops, count);
}

static void l_read_results(lua_State *L, reading *r, const hf__field *field, void *base) {
    size_t count = l_list_length(L, r, field);
    hf_result *results = l_memory(L, r, count, sizeof *results);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TTABLE) l_misfit(L, r, field);
        const hf__op_def *def = l_op_def(L, -1);
        if (def->kind == HF__KIND_batch) l_throwf(L, r->code, "results[%zu]: batches do not nest", i);
        results[i].op = def->name;
        reading inner = *r;
        inner.op = def->name;
        l_read_record(L, -1, &inner, &def->answer, NULL, &results[i]);
        lua_pop(L, 1);
    }
    set_list(field, base, results, count);
}

static void l_read_rows(lua_State *L, reading *r, const hf__field *field, void *base) {
    size_t size, count = l_list_length(L, r, field);
    const hf__record *record = hf__row_record(field->type, &size);
    char *rows = l_memory(L, r, count, size);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        if (lua_type(L, -1) != LUA_TTABLE) l_misfit(L, r, field);
        l_read_record(L, -1, r, record, NULL, rows + i * size);
        lua_pop(L, 1);
    }
    set_list(field, base, rows, count);
}

/* Reads the value on the top into the field's member. */
static void l_read_field(lua_State *L, reading *r, const hf__field *field, void *base) {
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT: *MEMBER(base, field, hf_text) = l_string(L, r, field); return;
    case HF__T_OBJECT: *MEMBER(base, field, hf_text) = l_object(L, r, field); return;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE: *MEMBER(base, field, int64_t) = l_integer(L, r, field, 1); return;
    case HF__T_COUNT: *MEMBER(base, field, int64_t) = l_integer(L, r, field, 0); return;
    case HF__T_REAL:
        if (lua_type(L, -1) != LUA_TNUMBER) l_misfit(L, r, field);
        *MEMBER(base, field, double) = lua_tonumber(L, -1);
        return;
    case HF__T_FLAG:
        if (!lua_isboolean(L, -1)) l_misfit(L, r, field);
        *MEMBER(base, field, int) = lua_toboolean(L, -1) ? HF_YES : r->copy != NULL ? 0 : HF_NO;
        return;
    case HF__T_BOOL:
        if (!lua_isboolean(L, -1)) l_misfit(L, r, field);
        *MEMBER(base, field, int) = lua_toboolean(L, -1);
        return;
    case HF__T_STATE: {
        hf_state state = HF_STATE_ABSENT;
        if (lua_type(L, -1) == LUA_TSTRING) state = hf__state_of(hf_text_of(lua_tostring(L, -1)));
        if (state == HF_STATE_ABSENT) l_misfit(L, r, field);
        *MEMBER(base, field, hf_state) = state;
        return;
    }
    case HF__T_STATES:
    case HF__T_IDS: l_read_texts(L, r, field, base); return;
    case HF__T_OPS: l_read_ops(L, r, field, base); return;
    case HF__T_RESULTS: l_read_results(L, r, field, base); return;
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: {
        size_t size;
        const hf__record *record = hf__row_record(field->type, &size);
        if (lua_type(L, -1) != LUA_TTABLE) l_misfit(L, r, field);
        void *row = l_memory(L, r, 1, size);
        l_read_record(L, -1, r, record, NULL, row);
        memcpy((char *)base + field->offset, &row, sizeof row);
        return;
    }
    case HF__T_MESSAGES:
    case HF__T_CONVERSATIONS:
    case HF__T_DELTAS:
    case HF__T_HITS: l_read_rows(L, r, field, base); return;
    }
}

/* Reads the table at `index` into the struct at `base`; of the record, only the fields in `group`. */
static void l_read_record(lua_State *L, int index, reading *r, const hf__record *record, const char *group,
                          void *base) {
    uint32_t found = 0;
    bool named = !hf__record_is_row(record) && group == NULL;
    index = lua_absindex(L, index);
    l_room(L, 8);
    l_take(L, r, 0); /* many may be one table, which is empty but was large once */
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            l_throwf(L, r->code, "the %s \"%s\" has a key that is a %s: expected the names of fields",
                     r->kind, r->op, luaL_typename(L, -2));
        hf_text name;
        name.data = lua_tolstring(L, -2, &name.size);
        if (named && strcmp(name.data, "op") == 0) continue;
        bool is_group = false;
        const hf__field *field = hf__record_find(record, group, name, &is_group);
        if (field == NULL && !is_group) {
            hf_error err;
            hf__unknown_field(record, group, name, r->kind, r->op, &err);
            hf_code code = r->code;
            l_throwf(L, code, "%s", err.message);
        }
        bool absent = hf__is_null(L, -1);
        if (is_group && !absent) {
            if (lua_type(L, -1) != LUA_TTABLE)
                l_throwf(L, r->code, "field \"%s\" of the %s: expected a table, found a %s", name.data,
                         r->kind, luaL_typename(L, -1));
            l_read_record(L, -1, r, record, name.data, base);
        } else if (!is_group && !absent) {
            l_read_field(L, r, field, base);
            found |= (uint32_t)1 << (field - record->fields);
        }
    }
    for (size_t i = 0; i < record->count; i++) {
        const hf__field *field = &record->fields[i];
        bool here = field->group == group ||
                    (field->group != NULL && group != NULL && strcmp(field->group, group) == 0);
        if (field->required && here && (found & (uint32_t)1 << i) == 0)
            l_throwf(L, r->code, "field \"%s\" of the %s \"%s\" is missing: expected %s", field->name,
                     r->kind, r->op, hf__type_expectation(field->type));
    }
}

const hf__op_def *l_op_def(lua_State *L, int index) {
    index = lua_absindex(L, index);
    l_room(L, 3);
    if (lua_type(L, index) != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "expected an op, a table, found a %s", luaL_typename(L, index));
    lua_pushliteral(L, "op");
    if (lua_rawget(L, index) != LUA_TSTRING)
        l_throwf(L, HF_INVALID, "field \"op\": expected the name of an op, found a %s", luaL_typename(L, -1));
    hf_text name;
    name.data = lua_tolstring(L, -1, &name.size);
    const hf__op_def *def = hf__op_find(name.data, name.size);
    if (def == NULL) {
        hf_error err;
        hf__unknown_op(name, &err);
        l_throw_own(L, &err);
    }
    lua_pop(L, 1);
    return def;
}

static void l_read_op_within(lua_State *L, int index, const reading *outer, const hf__op_def *def,
                             hf_op *out) {
    reading r = *outer;
    r.op = def->name;
    *out = (hf_op){.op = def->name};
    l_read_record(L, index, &r, &def->fields, NULL, out);
}

/* What a table may take in C: as much as one op as JSON, or, for what the host or the terminal brought, as much as the
 * state holds. */
static size_t bound_of(const hf__budget *budget, const hf__limits *limits) {
    if (budget == NULL) return SIZE_MAX;
    return budget->used > limits->json ? budget->used : limits->json;
}

void l_read_op(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, const hf__op_def *def,
               hf_op *out) {
    hf__budget *budget = l_vm_of(L)->budget;
    size_t left = bound_of(budget, limits);
    reading r = {arena, limits, NULL, HF_INVALID, "op", def->name, &left, budget};
    l_read_op_within(L, index, &r, def, out);
}

void l_read_result(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, const hf__op_def *def,
                   hf_result *out) {
    hf__budget *budget = l_vm_of(L)->budget;
    size_t left = bound_of(budget, limits);
    reading r = {arena, limits, out, HF_BAD_RESULT, "result", def->name, &left, budget};
    out->op = def->name;
    l_read_record(L, index, &r, &def->answer, NULL, out);
}

/* ---- The context ------------------------------------------------------------------------------- */

void l_push_context(lua_State *L, const hf__names *names, hf__arena *arena, const hf_context *context) {
    l_room(L, 8);
    lua_rawgeti(L, LUA_REGISTRYINDEX, names->table);
    pushing p = {arena, lua_gettop(L), 0};
    if (context != NULL && context->extras.data != NULL)
        l_push_object(L, arena, context->extras);
    else
        lua_newtable(L);
    const hf__record *record = &hf__context_record;
    uint32_t shown = 0; /* a turn 0 is among the extras: the member's 0 says that there is none */
    for (size_t i = 0; context != NULL && i < record->count; i++)
        if (!hf__field_zero(&record->fields[i], context)) shown |= (uint32_t)1 << i;
    l_set_fields(L, &p, record, shown, context);
    lua_replace(L, -2);
}

/* The host's fields apart from the rest, which becomes the extras. */
static void l_split_context(lua_State *L, int index, reading *r, hf_context *out) {
    lua_newtable(L);
    int extras = lua_gettop(L);
    bool any = false;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const hf__field *field = NULL;
        if (lua_type(L, -2) == LUA_TSTRING) {
            bool is_group;
            field = hf__record_find(&hf__context_record, NULL, hf_text_of(lua_tostring(L, -2)), &is_group);
        }
        bool zero = lua_isinteger(L, -1) && lua_tointeger(L, -1) == 0;
        if (field != NULL && !(zero && field->type == HF__T_COUNT)) {
            if (!hf__is_null(L, -1)) l_read_field(L, r, field, out);
            continue;
        }
        any = true;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, extras);
    }
    if (any) out->extras = l_read_object(L, extras, r->arena, r->limits, r->code, "context");
    lua_pop(L, 1);
}

void l_read_context(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, hf_context *out) {
    size_t left = SIZE_MAX;
    reading r = {arena, limits, NULL, HF_INVALID, "context", "ctx", &left, NULL};
    *out = (hf_context){0};
    if (lua_isnoneornil(L, index)) return;
    if (lua_type(L, index) != LUA_TTABLE)
        l_throwf(L, HF_INVALID, "context: expected a table, found a %s", luaL_typename(L, index));
    l_room(L, 8);
    l_split_context(L, lua_absindex(L, index), &r, out);
}
