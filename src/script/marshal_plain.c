/*
 * JSON texts that are plain, in one walk along the text: whether a value of Lua says what one does, and the value of one.
 * What takes more than a look - escapes, numbers that are no plain integers, deep nesting - counts as another value, or
 * gives none, and is left to the codec (marshal_value.c).
 */
#include <lauxlib.h>
#include <string.h>

#include "base/utf8.h"
#include "script/marshal.h"
#include "script/vm.h"

enum { DEEPEST = 16, MOST_DIGITS = 18, MOST_ITEMS = 16 };

/* A place in the text. */
typedef struct reader {
    const char *at, *end;
    size_t tables; /* that were met */
} reader;

static bool l_says(lua_State *L, reader *r, int depth);

/* The next byte that is no blank, which is passed over; 0 at the end. */
static char take(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
    return r->at < r->end ? *r->at++ : '\0';
}

/* What is left of a string behind its first quote; absent where it is not simply what it says. */
static hf_text take_string(reader *r) {
    const char *from = r->at;
    while (r->at < r->end && *r->at != '"' && *r->at != '\\' && (unsigned char)*r->at >= 0x20)
        r->at++;
    if (r->at == r->end || *r->at != '"') return (hf_text){0};
    return (hf_text){from, (size_t)(r->at++ - from)};
}

static bool take_word(reader *r, const char *word) {
    size_t size = strlen(word);
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0) return false;
    r->at += size;
    return true;
}

static bool l_says_text(lua_State *L, reader *r) {
    hf_text text = take_string(r);
    return text.data != NULL && lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) == text.size &&
           memcmp(lua_tostring(L, -1), text.data, text.size) == 0;
}

/* Whether a value that begins so is a number. */
static bool is_number(char first) {
    return first == '-' || (first >= '0' && first <= '9');
}

/* The integer that begins with `first`; false where it is not plainly one. */
static bool take_integer(reader *r, char first, int64_t *out) {
    int64_t sum = 0;
    bool negative = first == '-';
    const char *from = negative ? r->at : --r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - from < MOST_DIGITS)
        sum = sum * 10 + (*r->at++ - '0');
    bool plain = r->at > from && !(negative && sum == 0); /* -0 is no integer */
    if (r->at < r->end && strchr("0123456789.eE+-", *r->at) != NULL) plain = false;
    if (r->at - from > 1 && *from == '0') plain = false;
    *out = negative ? -sum : sum;
    return plain;
}

static bool l_says_integer(lua_State *L, reader *r, char first) {
    int64_t known;
    return take_integer(r, first, &known) && lua_isinteger(L, -1) && lua_tointeger(L, -1) == known;
}

void l_charge_table(lua_State *L, size_t before) {
    enum { FREE = 8, COST = 4 };
    if (before >= FREE) l_budget_charge(L, l_vm_of(L)->budget, COST);
}

bool l_has_keys(lua_State *L, size_t count) {
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (count-- > 0) continue;
        lua_pop(L, 2);
        return false;
    }
    return count == 0;
}

/* Behind the bracket that opens it. */
static bool l_says_table(lua_State *L, reader *r, char open, int depth) {
    char close = open == '{' ? '}' : ']';
    size_t count = 0;
    if (lua_type(L, -1) != LUA_TTABLE || depth == DEEPEST) return false;
    l_charge_table(L, r->tables++);
    if (open == '[' ? !l_is_list(L, -1) : lua_getmetatable(L, -1))
        return false; /* the caller clears the stack */
    reader ahead = *r;
    if (take(&ahead) == close) {
        *r = ahead;
        return l_has_keys(L, 0);
    }
    char c = ',';
    for (; c == ','; c = take(r)) {
        count++;
        if (open == '[') {
            lua_rawgeti(L, -1, (lua_Integer)count);
        } else {
            hf_text key = take(r) == '"' ? take_string(r) : (hf_text){0};
            if (key.data == NULL || take(r) != ':') return false;
            lua_pushlstring(L, key.data, key.size);
            lua_rawget(L, -2);
        }
        if (!l_says(L, r, depth + 1)) return false;
        lua_pop(L, 1);
    }
    return c == close && l_has_keys(L, count);
}

/* Whether the value on the top is the one at the reader's place. */
static bool l_says(lua_State *L, reader *r, int depth) {
    char c = take(r);
    switch (c) {
    case '{':
    case '[': return l_says_table(L, r, c, depth);
    case '"': return l_says_text(L, r);
    case 't': return take_word(r, "rue") && lua_isboolean(L, -1) && lua_toboolean(L, -1);
    case 'f': return take_word(r, "alse") && lua_isboolean(L, -1) && !lua_toboolean(L, -1);
    case 'n': return take_word(r, "ull") && hf__is_null(L, -1);
    default: return is_number(c) && l_says_integer(L, r, c);
    }
}

bool l_is_json(lua_State *L, int index, hf_text json) {
    int top = lua_gettop(L);
    index = lua_absindex(L, index);
    l_room(L, 2 * DEEPEST + 8);
    l_budget_charge(L, l_vm_of(L)->budget, json.size / 16);
    reader r = {json.data, json.data + json.size, 0};
    lua_pushvalue(L, index);
    bool same = l_says(L, &r, 0) && take(&r) == '\0';
    lua_settop(L, top);
    return same;
}

/* ---- A value of a text ------------------------------------------------------------------------- */

static bool l_push(lua_State *L, reader *r, int depth);

static bool is_among(hf_text key, const hf_text *keys, int count) {
    for (int i = 0; i < count; i++)
        if (keys[i].size == key.size && memcmp(keys[i].data, key.data, key.size) == 0) return true;
    return false;
}

/* Makes a table of so many items, or keys and items, at the end of the stack, in place of what is below them. */
static void l_gather(lua_State *L, int place, int count, bool named) {
    lua_createtable(L, named ? 0 : count, named ? count : 0);
    for (int i = 1; i <= count; i++) {
        lua_pushvalue(L, place + (named ? 2 * i - 1 : i));
        if (named) lua_pushvalue(L, place + 2 * i);
        if (named)
            lua_rawset(L, -3);
        else
            lua_rawseti(L, -2, i);
    }
    if (!named) l_mark_list(L);
    lua_replace(L, place);
    lua_settop(L, place);
}

/* Behind the bracket that opens it. The items wait on the stack, so that the table has their number. */
static bool l_push_table(lua_State *L, reader *r, bool named, int depth) {
    hf_text keys[MOST_ITEMS];
    char close = named ? '}' : ']', c = ',';
    int count = 0, place = lua_gettop(L) + 1;
    if (depth == DEEPEST) return false;
    l_room(L, 2 * MOST_ITEMS + 6);
    lua_pushnil(L);
    reader ahead = *r;
    if (take(&ahead) == close) {
        *r = ahead;
        c = close;
    }
    for (; c == ','; c = take(r)) {
        if (count == MOST_ITEMS) return false;
        if (named) {
            keys[count] = take(r) == '"' ? take_string(r) : (hf_text){0};
            if (keys[count].data == NULL || is_among(keys[count], keys, count) || take(r) != ':')
                return false;
            lua_pushlstring(L, keys[count].data, keys[count].size);
        }
        if (!l_push(L, r, depth + 1)) return false;
        count++;
    }
    if (c == close) l_gather(L, place, count, named);
    return c == close;
}

static bool l_push_text(lua_State *L, reader *r) {
    hf_text text = take_string(r);
    if (text.data != NULL) lua_pushlstring(L, text.data, text.size);
    return text.data != NULL;
}

static bool l_push_integer(lua_State *L, reader *r, char first) {
    int64_t integer;
    bool plain = take_integer(r, first, &integer);
    lua_pushinteger(L, integer);
    return plain;
}

/* The value at the reader's place. What it leaves where it gives none the caller clears. */
static bool l_push(lua_State *L, reader *r, int depth) {
    char c = take(r);
    switch (c) {
    case '{':
    case '[': return l_push_table(L, r, c == '{', depth);
    case '"': return l_push_text(L, r);
    case 't': lua_pushboolean(L, 1); return take_word(r, "rue");
    case 'f': lua_pushboolean(L, 0); return take_word(r, "alse");
    case 'n': hf__push_null(L); return take_word(r, "ull");
    default: return is_number(c) && l_push_integer(L, r, c);
    }
}

bool l_push_plain(lua_State *L, hf_text json) {
    int top = lua_gettop(L);
    reader r = {json.data, json.data + json.size, 0};
    l_room(L, 2);
    if (hf__utf8_check(json.data, json.size) == json.size && l_push(L, &r, 0) && take(&r) == '\0')
        return true;
    lua_settop(L, top);
    return false;
}
