/*
 * JSON values in Lua. Null is a light userdata, an integer is an integer, a list bears the list
 * metatable. An object that was decoded from text is remembered with that text (in a table with weak
 * keys), so that what nobody changed goes back as the bytes it came from.
 */
#include <lauxlib.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "script/marshal.h"
#include "script/vm.h"

static const char list_key = 0;
static const char origins_key = 0;

void l_marshal_setup(lua_State *L) {
    l_error_setup(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "list");
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &origins_key);
}

void hf__push_null(lua_State *L) {
    lua_pushlightuserdata(L, NULL);
}

bool hf__is_null(lua_State *L, int index) {
    return lua_islightuserdata(L, index) && lua_touserdata(L, index) == NULL;
}

void l_mark_list(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    lua_setmetatable(L, -2);
}

bool l_is_list(lua_State *L, int index) {
    if (!lua_getmetatable(L, index)) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
    bool marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* ---- JSON to Lua ------------------------------------------------------------------------------- */

void l_push_value(lua_State *L, const hf__value *value) {
    l_room(L, 4);
    switch (value->type) {
    case HF__NULL: hf__push_null(L); return;
    case HF__BOOL: lua_pushboolean(L, value->is.boolean); return;
    case HF__INT: lua_pushinteger(L, value->is.integer); return;
    case HF__REAL: lua_pushnumber(L, value->is.real); return;
    case HF__TEXT: lua_pushlstring(L, value->is.text.data, value->is.text.size); return;
    case HF__LIST: {
        lua_createtable(L, (int)value->is.items.count, 0);
        lua_Integer position = 0;
        for (const hf__value *item = value->is.items.first; item != NULL; item = item->next) {
            l_push_value(L, item);
            lua_rawseti(L, -2, ++position);
        }
        l_mark_list(L);
        return;
    }
    case HF__MAP:
        lua_createtable(L, 0, (int)value->is.items.count);
        for (const hf__value *item = value->is.items.first; item != NULL; item = item->next) {
            lua_pushlstring(L, item->key.data, item->key.size);
            l_push_value(L, item);
            lua_rawset(L, -3);
        }
        return;
    }
}

void l_push_json(lua_State *L, hf__arena *arena, hf_text json) {
    const hf__value *value;
    hf_error err;
    if (l_push_plain(L, json)) return;
    /* What is in a store was checked at the bounds of its day; today's may be narrower. */
    if (hf__json_parse(arena, json, 500, &value, &err) != HF_OK) l_throw(L, &err);
    l_room(L, 5);
    l_push_value(L, value);
}

void l_push_object(lua_State *L, hf__arena *arena, hf_text json) {
    l_push_json(L, arena, json);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &origins_key); /* object, origins */
    lua_pushvalue(L, -2);
    lua_pushlstring(L, json.data, json.size); /* object, origins, object, text */
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Deeper tables than any op has are shared with the original. */
static void l_copy(lua_State *L, int index, int depth) {
    index = lua_absindex(L, index);
    l_room(L, 6);
    lua_newtable(L);
    int copy = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index);) {
        l_budget_charge(L, l_vm_of(L)->budget, 1);
        if (lua_type(L, -1) == LUA_TTABLE && depth > 0) {
            l_copy(L, -1, depth - 1);
            lua_remove(L, -2);
        }
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, copy);
    }
    if (l_is_list(L, index)) l_mark_list(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &origins_key);
    lua_pushvalue(L, copy);
    lua_pushvalue(L, index);
    lua_rawget(L, -3);
    lua_rawset(L, -3); /* the copy remembers the text of the original, if any */
    lua_settop(L, copy);
}

void l_push_copy(lua_State *L, int index) {
    l_copy(L, index, 80);
}

/* ---- Lua to JSON ------------------------------------------------------------------------------- */

/* One reading: what it may still take, and what its messages call the value. Few tables may stand for many values,
 * each taking memory of C's: where the bytes alone do not bound that, `memory` does. */
typedef struct reading {
    hf__arena *arena;
    size_t depth;
    size_t bytes;
    hf_code code; /* what a slip is */
    const char *what;
    hf__budget *budget; /* what the work is charged to, or NULL */
    size_t memory;      /* that the arena may come to hold */
    int64_t deadline;   /* on the monotonic clock, of what is charged to nobody; or 0 */
    size_t work;        /* not charged yet */
    size_t tables;      /* that were met */
} reading;

static void l_spend(lua_State *L, reading *r, size_t bytes) {
    if (bytes > r->bytes) l_throwf(L, r->code, "%s: larger than its bound allows", r->what);
    r->bytes -= bytes;
    r->work += 1 + bytes / 8;
    if (r->work < 256) return;
    l_budget_charge(L, r->budget, r->work);
    r->work = 0;
    if (r->arena->size > r->memory) l_throwf(L, HF_MEMORY, "%s: takes more memory than there is", r->what);
}

static hf__value *l_new_value(lua_State *L, reading *r, hf__type type) {
    hf__value *value = hf__value_new(r->arena, type);
    if (value == NULL) l_throwf(L, HF_MEMORY, "%s: out of memory", r->what);
    return value;
}

static void l_meet_table(lua_State *L, reading *r) {
    l_spend(L, r, 2);
    if (r->budget != NULL) l_charge_table(L, r->tables++);
    if (r->deadline != 0 && hf__monotonic_ns() > r->deadline)
        l_throwf(L, HF_TIMEOUT, "%s: takes too long to read", r->what);
}

/* The text at `index`, which is a string, copied into the arena. */
static hf_text l_read_text(lua_State *L, int index, reading *r) {
    hf_text text;
    text.data = lua_tolstring(L, index, &text.size);
    l_spend(L, r, text.size + 2);
    size_t good = hf__utf8_check(text.data, text.size);
    if (good != text.size)
        l_throwf(L, r->code, "%s: byte %zu of a text is not UTF-8, or is NUL", r->what, good + 1);
    text = hf__arena_text(r->arena, text);
    if (text.data == NULL) l_throwf(L, HF_MEMORY, "%s: out of memory", r->what);
    return text;
}

static int compare_keys(const void *a, const void *b) {
    const hf__value *const *left = a, *const *right = b;
    return strcmp((*left)->key.data, (*right)->key.data);
}

static hf__value *l_read_any(lua_State *L, int index, reading *r);

static hf__value *l_read_list(lua_State *L, int index, reading *r, size_t count) {
    hf__value *list = l_new_value(L, r, HF__LIST);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, index, (lua_Integer)i);
        hf__value_append(list, l_read_any(L, lua_gettop(L), r));
        lua_pop(L, 1);
    }
    return list;
}

/* Members in the order of their keys: Lua's own order differs from run to run. */
static hf__value *l_read_map(lua_State *L, int index, reading *r, size_t count) {
    hf__value *map = l_new_value(L, r, HF__MAP);
    hf__value **members = hf__arena_array(r->arena, count, sizeof(hf__value *));
    if (members == NULL) l_throwf(L, HF_MEMORY, "%s: out of memory", r->what);
    size_t found = 0;
    for (lua_pushnil(L); lua_next(L, index) && found < count; lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            l_throwf(L, r->code, "%s: a table with both list positions and names, or with a key that is %s",
                     r->what, luaL_typename(L, -2));
        members[found] = l_read_any(L, lua_gettop(L), r);
        members[found]->key = l_read_text(L, -2, r);
        found++;
    }
    qsort(members, found, sizeof(hf__value *), compare_keys);
    for (size_t i = 0; i < found; i++)
        hf__value_append(map, members[i]);
    return map;
}

static hf__value *l_read_table(lua_State *L, int index, reading *r) {
    if (r->depth == 0) l_throwf(L, r->code, "%s: nested too deep, or within itself", r->what);
    l_room(L, 6);
    l_meet_table(L, r);
    size_t count = 0, positions = lua_rawlen(L, index);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        l_spend(L, r, 2);
        count++;
    }
    r->bytes += 2 * count; /* the members spend for themselves */
    r->depth--;
    hf__value *value;
    bool marked = l_is_list(L, index);
    if (marked && positions != count)
        l_throwf(L, r->code, "%s: a list with holes, or with other keys than its positions", r->what);
    if (marked || (count > 0 && positions == count))
        value = l_read_list(L, index, r, count);
    else
        value = l_read_map(L, index, r, count);
    r->depth++;
    return value;
}

static hf__value *l_read_any(lua_State *L, int index, reading *r) {
    hf__value *value;
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        value = l_new_value(L, r, HF__BOOL);
        value->is.boolean = lua_toboolean(L, index);
        l_spend(L, r, 4);
        return value;
    case LUA_TNUMBER:
        l_spend(L, r, 2);
        if (lua_isinteger(L, index)) {
            value = l_new_value(L, r, HF__INT);
            value->is.integer = lua_tointeger(L, index);
            return value;
        }
        value = l_new_value(L, r, HF__REAL);
        value->is.real = lua_tonumber(L, index);
        if (!isfinite(value->is.real))
            l_throwf(L, r->code, "%s: expected finite numbers, found %s", r->what,
                     isnan(value->is.real) ? "nan" : "an infinity");
        return value;
    case LUA_TSTRING:
        value = l_new_value(L, r, HF__TEXT);
        value->is.text = l_read_text(L, index, r);
        return value;
    case LUA_TTABLE: return l_read_table(L, index, r);
    default:
        if (!hf__is_null(L, index))
            l_throwf(L, r->code, "%s: a %s cannot be kept as JSON", r->what, luaL_typename(L, index));
        l_spend(L, r, 4);
        return l_new_value(L, r, HF__NULL);
    }
}

hf__value *l_read_value(lua_State *L, int index, hf__arena *arena, size_t memory, int64_t deadline,
                        const char *what) {
    reading r = {.arena = arena,
                 .depth = 500,
                 .bytes = INT_MAX,
                 .code = HF_INVALID,
                 .what = what,
                 .memory = memory,
                 .deadline = deadline};
    return l_read_any(L, lua_absindex(L, index), &r);
}

/* The value's JSON, of at most so many bytes (0: any), which alone is left of what came into the arena since the mark.
 * Nothing of C's own is held while Lua is asked for anything. */
static hf_text l_write_value(lua_State *L, const hf__value *value, hf__arena *arena, hf__arena_mark mark,
                             size_t bytes, const char *what) {
    hf__buf buf;
    hf_error err;
    hf__buf_init(&buf, bytes);
    hf__json_write(&buf, value);
    int rc = hf__buf_check(&buf, what, &err);
    if (buf.state == HF__BUF_TOO_LONG)
        rc = hf__fail(&err, HF_MEMORY, "%s: takes more memory than there is", what);
    hf__arena_cut(arena, mark);
    hf_text text = {0};
    if (rc == HF_OK) text = hf__arena_text(arena, hf__buf_view(&buf));
    if (rc == HF_OK && text.data == NULL) rc = hf__fail_memory(&err);
    hf__buf_free(&buf);
    if (rc != HF_OK) l_throw(L, &err);
    return text;
}

/* The text that the table at `index` was decoded from, borrowed from the registry; absent for none. */
static hf_text origin_of(lua_State *L, int index) {
    hf_text text = {0};
    lua_pushvalue(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &origins_key);
    lua_insert(L, -2);
    if (lua_rawget(L, -2) == LUA_TSTRING) text.data = lua_tolstring(L, -1, &text.size);
    lua_pop(L, 2);
    return text;
}

/* Puts the members of all maps within into the order in which l_read_map leaves them, so that two values are
 * compared in one pass. */
static void l_sort_maps(lua_State *L, hf__value *value, hf__arena *arena) {
    if (value->type != HF__LIST && value->type != HF__MAP) return;
    for (hf__value *item = value->is.items.first; item != NULL; item = item->next)
        l_sort_maps(L, item, arena);
    size_t count = value->is.items.count, found = 0;
    if (value->type == HF__LIST || count < 2) return;
    hf__value **members = hf__arena_array(arena, count, sizeof *members);
    if (members == NULL) l_throwf(L, HF_MEMORY, "out of memory");
    for (hf__value *item = value->is.items.first; item != NULL; item = item->next)
        members[found++] = item;
    qsort(members, count, sizeof *members, compare_keys);
    value->is.items.first = value->is.items.last = NULL;
    value->is.items.count = 0;
    for (size_t i = 0; i < count; i++) {
        members[i]->next = NULL;
        hf__value_append(value, members[i]);
    }
}

hf_text l_read_object(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, hf_code code,
                      const char *what) {
    hf_error err;
    index = lua_absindex(L, index);
    l_room(L, 6);
    hf_text origin = origin_of(L, index);
    hf__arena_mark mark = hf__arena_here(arena);
    reading r = {.arena = arena,
                 .depth = limits->depth,
                 .bytes = limits->metadata,
                 .code = code,
                 .what = what,
                 .budget = l_vm_of(L)->budget,
                 .memory = SIZE_MAX};
    if (origin.data != NULL) { /* what came from the store may be beyond the bounds of this handle */
        r.depth = 500;
        if (r.bytes / 2 < origin.size) r.bytes = 2 * origin.size;
    }
    hf__value *value = l_read_any(L, index, &r);
    if (value->type == HF__LIST)
        l_throwf(L, code, "%s: expected a table with names as keys, found a list", what);
    const hf__value *before;
    if (origin.data != NULL && hf__json_parse(arena, origin, 500, &before, &err) == HF_OK) {
        l_sort_maps(L, (hf__value *)before, arena);
        if (hf__value_equal(before, value)) {
            hf__arena_cut(arena, mark);
            origin = hf__arena_text(arena, origin);
            if (origin.data == NULL) l_throwf(L, HF_MEMORY, "%s: out of memory", what);
            return origin;
        }
    }
    return l_write_value(L, value, arena, mark, 0, what);
}

hf_text l_read_text_of(lua_State *L, int index, hf__arena *arena, size_t depth, size_t bytes,
                       const char *what) {
    hf__budget *budget = l_vm_of(L)->budget;
    reading r = {.arena = arena,
                 .depth = depth,
                 .bytes = bytes,
                 .code = HF_INVALID,
                 .what = what,
                 .budget = budget,
                 .memory = hf__budget_left(budget)};
    hf__arena_mark mark = hf__arena_here(arena);
    const hf__value *value = l_read_any(L, lua_absindex(L, index), &r);
    size_t left = hf__budget_left(budget); /* it is to become a text of Lua's */
    return l_write_value(L, value, arena, mark, left > 0 ? left : 1, what);
}
