/*
 * JSON in, in three steps. The guard reads the text by RFC 8259 and refuses what could not be kept
 * exactly. cJSON then builds its tree, of which we want the unescaped strings. The build walks that tree
 * and the text in lockstep into values with exact numbers and the bytes that each was read from. What the
 * guard let through cJSON accepts, so that the only failure it has left is want of memory.
 *
 * Recursion goes as deep as the text nests, which the guard bounds. What a value means to an op is left to
 * others; json_write.c writes.
 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/utf8.h"

enum {
    NUMBER_MAX = 63, /* bytes of a number: cJSON reads no more */
    FEW_KEYS = 8,    /* so many are compared pairwise, more are sorted */
    KEY_SHOWN = 64,  /* bytes of a key in a message */
};

_Static_assert(HF__JSON_DEPTH <= CJSON_NESTING_LIMIT, "cJSON reads less deep");

/* A place in the text. */
typedef struct reader {
    hf_text json;
    size_t at;
    size_t max_depth;
    hf__arena *arena;
    hf_error *err;
} reader;

/* ---- Numbers ----------------------------------------------------------------------------------- */

static double real_of(const char *lexeme, size_t size) {
    char copy[NUMBER_MAX + MB_LEN_MAX + 1], *end;
    memcpy(copy, lexeme, size);
    copy[size] = '\0';
    double real = strtod(copy, &end);
    if (*end == '\0') return real;
    /* It stopped at the '.': the thread's locale has another decimal point, which goes in its place. */
    char half[MB_LEN_MAX + 3]; /* "0", the decimal point, "5" */
    size_t point = (size_t)snprintf(half, sizeof half, "%.1f", 0.5) - 2;
    memmove(end + point, end + 1, strlen(end));
    memcpy(end, half + 1, point);
    return strtod(copy, NULL);
}

/* How many digits of a lexeme count: neither leading nor trailing zeros do. */
static int significant_digits(const char *lexeme, size_t size) {
    int seen = 0, significant = 0;
    for (size_t i = 0; i < size && lexeme[i] != 'e' && lexeme[i] != 'E'; i++) {
        if (lexeme[i] < '0' || lexeme[i] > '9') continue;
        if (seen > 0 || lexeme[i] != '0') seen++;
        if (lexeme[i] != '0') significant = seen;
    }
    return significant;
}

/* Gives `out` the type and the value of a well-formed lexeme. Returns NULL, or what was expected of the
 * number where it cannot be kept. */
static const char *read_number(const char *lexeme, size_t size, hf__value *out) {
    bool negative = lexeme[0] == '-';
    bool real = negative && size == 2 && lexeme[1] == '0';
    for (size_t i = 0; i < size; i++)
        real = real || lexeme[i] == '.' || lexeme[i] == 'e' || lexeme[i] == 'E';

    if (!real) {
        int64_t sum = 0; /* negative: there is one more number on that side */
        bool fits = true;
        for (size_t i = negative; i < size && fits; i++) {
            int digit = lexeme[i] - '0';
            fits = sum >= (INT64_MIN + digit) / 10;
            if (fits) sum = sum * 10 - digit;
        }
        if (!fits || (!negative && sum == INT64_MIN))
            return "an integer from -9223372036854775808 to 9223372036854775807";
        out->type = HF__INT;
        out->is.integer = negative ? sum : -sum;
        return NULL;
    }

    int digits = significant_digits(lexeme, size);
    if (digits > 17) return "at most 17 significant digits";
    out->type = HF__REAL;
    out->is.real = real_of(lexeme, size);
    if (!isfinite(out->is.real)) return "a number within 1.7976931348623157e308 of 0";
    if (out->is.real == 0 && digits > 0) return "0, or a number not nearer to it than 4.9e-324";
    return NULL;
}

/* ---- The guard --------------------------------------------------------------------------------- */

static int refuse(const reader *r, size_t at, const char *found, const char *expected) {
    return hf__fail(r->err, HF_INVALID, "JSON, byte %zu: found %s, expected %s", at + 1, found, expected);
}

/* The byte at the reader's place, -1 at the end. */
static int peek(const reader *r) {
    return r->at < r->json.size ? (unsigned char)r->json.data[r->at] : -1;
}

static int refuse_here(const reader *r, const char *expected) {
    char found[32];
    int c = peek(r);
    if (c < 0)
        snprintf(found, sizeof found, "the end of the text");
    else if (c > 0x20 && c < 0x7F)
        snprintf(found, sizeof found, "'%c'", c);
    else
        snprintf(found, sizeof found, "the byte 0x%02X", (unsigned)c);
    return refuse(r, r->at, found, expected);
}

static bool is_space(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(reader *r) {
    while (is_space(peek(r)))
        r->at++;
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

/* The value of four hexadecimal digits at `at`, -1 where they are not there. */
static int hex4(const reader *r, size_t at) {
    if (r->json.size - at < 4) return -1;
    int unit = 0;
    for (size_t i = at; i < at + 4; i++) {
        int c = r->json.data[i], letter = c | 0x20;
        if (!is_digit(c) && (letter < 'a' || letter > 'f')) return -1;
        unit = unit * 16 + (is_digit(c) ? c - '0' : letter - 'a' + 10);
    }
    return unit;
}

/* At a backslash. */
static int guard_escape(reader *r) {
    size_t start = r->at++;
    int c = peek(r);
    if (c != 'u') {
        if (c < 0 || strchr("\"\\/bfnrt", c) == NULL)
            return refuse_here(r, "one of \" \\ / b f n r t u after a backslash");
        r->at++;
        return HF_OK;
    }
    int unit = hex4(r, ++r->at);
    if (unit < 0) return refuse(r, start, "the escape \\u", "four hexadecimal digits behind it");
    if (unit == 0) return refuse(r, start, "the escape \\u0000", "text without NUL");
    r->at += 4;
    if (unit < 0xD800 || unit > 0xDFFF) return HF_OK;
    if (unit <= 0xDBFF && r->json.size - r->at >= 6 && memcmp(r->json.data + r->at, "\\u", 2) == 0) {
        int low = hex4(r, r->at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            r->at += 6;
            return HF_OK;
        }
    }
    char found[32];
    snprintf(found, sizeof found, "the lone surrogate \\u%04X", (unsigned)unit);
    return refuse(r, start, found, "a pair, from \\uD800\\uDC00 to \\uDBFF\\uDFFF");
}

static int guard_string(reader *r, const char *expected) {
    if (peek(r) != '"') return refuse_here(r, expected);
    r->at++;
    for (;;) {
        int c = peek(r);
        if (c == '"') break;
        if (c == '\\') {
            int code = guard_escape(r);
            if (code != HF_OK) return code;
        } else if (c < 0) {
            return refuse_here(r, "'\"' at the end of a string");
        } else if (c < 0x20) {
            return refuse_here(r, "control characters of a string as escapes");
        } else {
            r->at++;
        }
    }
    r->at++;
    return HF_OK;
}

static int guard_digits(reader *r) {
    if (!is_digit(peek(r))) return refuse_here(r, "a digit");
    while (is_digit(peek(r)))
        r->at++;
    return HF_OK;
}

static int guard_number(reader *r) {
    size_t start = r->at;
    int code = HF_OK;
    if (peek(r) == '-') r->at++;
    if (peek(r) == '0')
        r->at++;
    else
        code = guard_digits(r);
    if (code == HF_OK && peek(r) == '.') {
        r->at++;
        code = guard_digits(r);
    }
    if (code == HF_OK && (peek(r) == 'e' || peek(r) == 'E')) {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        code = guard_digits(r);
    }
    if (code != HF_OK) return code;

    hf__value number;
    const char *lexeme = r->json.data + start;
    size_t size = r->at - start;
    char found[NUMBER_MAX + 16];
    if (size > NUMBER_MAX) {
        snprintf(found, sizeof found, "a number of %zu bytes", size);
        return refuse(r, start, found, "at most 63");
    }
    const char *expected = read_number(lexeme, size, &number);
    if (expected == NULL) return HF_OK;
    snprintf(found, sizeof found, "the number %.*s", (int)size, lexeme);
    return refuse(r, start, found, expected);
}

static int guard_word(reader *r, const char *word) {
    size_t size = strlen(word);
    if (r->json.size - r->at < size || memcmp(r->json.data + r->at, word, size) != 0)
        return refuse_here(r, "a value");
    r->at += size;
    return HF_OK;
}

static int guard_value(reader *r, size_t depth);

/* At the opening bracket of a list or an object that is inside `depth` others. */
static int guard_items(reader *r, size_t depth, char close) {
    if (depth == r->max_depth) {
        char expected[64];
        snprintf(expected, sizeof expected, "nesting of at most %zu levels", r->max_depth);
        return refuse_here(r, expected);
    }
    bool is_map = close == '}';
    r->at++;
    skip_space(r);
    if (peek(r) == close) {
        r->at++;
        return HF_OK;
    }
    for (int code;;) {
        if (is_map) {
            code = guard_string(r, "a key in quotes");
            if (code != HF_OK) return code;
            skip_space(r);
            if (peek(r) != ':') return refuse_here(r, "':' after a key");
            r->at++;
            skip_space(r);
        }
        code = guard_value(r, depth + 1);
        if (code != HF_OK) return code;
        skip_space(r);
        int c = peek(r);
        if (c != ',' && c != close) return refuse_here(r, is_map ? "',' or '}'" : "',' or ']'");
        r->at++;
        if (c == close) return HF_OK;
        skip_space(r);
    }
}

static int guard_value(reader *r, size_t depth) {
    int c = peek(r);
    switch (c) {
    case '{': return guard_items(r, depth, '}');
    case '[': return guard_items(r, depth, ']');
    case '"': return guard_string(r, "a value");
    case 't': return guard_word(r, "true");
    case 'f': return guard_word(r, "false");
    case 'n': return guard_word(r, "null");
    default: return c == '-' || is_digit(c) ? guard_number(r) : refuse_here(r, "a value");
    }
}

static int guard(reader *r) {
    size_t bad = r->json.size != 0 ? hf__utf8_check(r->json.data, r->json.size) : 0;
    if (bad < r->json.size) {
        r->at = bad;
        return refuse_here(r, "UTF-8 without NUL");
    }
    skip_space(r);
    int code = guard_value(r, 0);
    if (code != HF_OK) return code;
    skip_space(r);
    return r->at == r->json.size ? HF_OK : refuse_here(r, "the end of the text");
}

/* ---- The build: the text has passed the guard, so that nothing here checks it again ------------ */

static const char *here(const reader *r) {
    return r->json.data + r->at;
}

static void skip_between(reader *r) {
    while (is_space(*here(r)) || *here(r) == ',' || *here(r) == ':')
        r->at++;
}

static void skip_string(reader *r) {
    for (r->at++; *here(r) != '"'; r->at++)
        if (*here(r) == '\\') r->at++;
    r->at++;
}

/* A number, or true, false, null. */
static void skip_word(reader *r) {
    for (int c = peek(r); c >= 0 && !is_space(c) && c != ',' && c != ']' && c != '}'; c = peek(r))
        r->at++;
}

static hf_text text_to(const char *start, const char *end) {
    hf_text text = {start, (size_t)(end - start)};
    return text;
}

/* Where the member, or item, behind `previous` (NULL: the first) begins: at its key. */
static const char *member_start(const hf__value *map, const hf__value *previous) {
    const char *c = previous != NULL ? previous->raw.data + previous->raw.size : map->raw.data + 1;
    while (is_space(*c) || *c == ',')
        c++;
    return c;
}

static int compare_keys(const hf__value *a, const hf__value *b) {
    size_t shorter = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = memcmp(a->key.data, b->key.data, shorter);
    return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static int by_key(const void *a, const void *b) {
    return compare_keys(*(const hf__value *const *)a, *(const hf__value *const *)b);
}

/* The members of a map in the order of their keys; NULL where memory ran out. */
static const hf__value **sorted(hf__arena *arena, const hf__value *map) {
    const hf__value **members = hf__arena_array(arena, map->is.items.count, sizeof *members);
    if (members == NULL) return NULL;
    size_t count = 0;
    for (const hf__value *item = map->is.items.first; item != NULL; item = item->next)
        members[count++] = item;
    qsort(members, count, sizeof *members, by_key);
    return members;
}

static int refuse_duplicate(const reader *r, const hf__value *map, const hf__value *member) {
    const hf__value *previous = map->is.items.first;
    while (previous->next != member)
        previous = previous->next;
    char found[KEY_SHOWN + 32];
    int shown = (int)hf__utf8_cut(member->key.data, member->key.size, KEY_SHOWN);
    snprintf(found, sizeof found, "the key \"%.*s\" again", shown, member->key.data);
    return refuse(r, (size_t)(member_start(map, previous) - r->json.data), found, "each key once");
}

static int check_keys(const reader *r, const hf__value *map) {
    if (map->is.items.count <= FEW_KEYS) {
        for (const hf__value *b = map->is.items.first; b != NULL; b = b->next)
            for (const hf__value *a = map->is.items.first; a != b; a = a->next)
                if (compare_keys(a, b) == 0) return refuse_duplicate(r, map, b);
        return HF_OK;
    }
    const hf__value **members = sorted(r->arena, map);
    if (members == NULL) return hf__fail_memory(r->err);
    for (size_t i = 1; i < map->is.items.count; i++) {
        const hf__value *a = members[i - 1], *b = members[i];
        if (compare_keys(a, b) == 0) return refuse_duplicate(r, map, a->raw.data > b->raw.data ? a : b);
    }
    return HF_OK;
}

static int build(reader *r, const cJSON *item, hf__value *value);

static int build_items(reader *r, const cJSON *item, hf__value *parent) {
    r->at++;
    for (const cJSON *child = item->child; child != NULL; child = child->next) {
        hf__value *value = hf__value_new(r->arena, HF__NULL);
        if (value == NULL) return hf__fail_memory(r->err);
        skip_between(r);
        if (child->string != NULL) {
            value->key = hf__arena_text(r->arena, hf_text_of(child->string));
            if (value->key.data == NULL) return hf__fail_memory(r->err);
            skip_string(r);
            skip_between(r);
        }
        int code = build(r, child, value);
        if (code != HF_OK) return code;
        hf__value_append(parent, value);
    }
    skip_between(r);
    r->at++;
    return HF_OK;
}

/* Fills `value` from the item, and moves the reader past its text. */
static int build(reader *r, const cJSON *item, hf__value *value) {
    const char *start = here(r);
    int code = HF_OK;
    if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        value->type = cJSON_IsArray(item) ? HF__LIST : HF__MAP;
        code = build_items(r, item, value);
    } else if (cJSON_IsString(item)) {
        value->type = HF__TEXT;
        value->is.text = hf__arena_text(r->arena, hf_text_of(item->valuestring));
        if (value->is.text.data == NULL) code = hf__fail_memory(r->err);
        skip_string(r);
    } else {
        skip_word(r);
        if (cJSON_IsNumber(item)) {
            read_number(start, (size_t)(here(r) - start), value);
        } else if (cJSON_IsBool(item)) {
            value->type = HF__BOOL;
            value->is.boolean = cJSON_IsTrue(item);
        }
    }
    value->raw = text_to(start, here(r));
    return code == HF_OK && value->type == HF__MAP ? check_keys(r, value) : code;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

int hf__json_parse(hf__arena *arena, hf_text json, size_t max_depth, const hf__value **out, hf_error *err) {
    if (max_depth > HF__JSON_DEPTH) max_depth = HF__JSON_DEPTH;
    reader r = {.json = json, .max_depth = max_depth, .arena = arena, .err = err};
    *out = NULL;
    int code = guard(&r);
    if (code != HF_OK) return code;

    hf__value *value = hf__value_new(arena, HF__NULL);
    cJSON *tree = value != NULL ? cJSON_ParseWithLengthOpts(json.data, json.size, NULL, 0) : NULL;
    if (tree == NULL) return hf__fail_memory(err);
    r.at = 0;
    skip_space(&r);
    code = build(&r, tree, value);
    cJSON_Delete(tree);
    if (code == HF_OK) *out = value;
    return code;
}

static int parse_object(hf__arena *arena, hf_text json, size_t max_depth, const hf__value **out,
                        hf_error *err) {
    int code = hf__json_parse(arena, json, max_depth, out, err);
    if (code != HF_OK || (*out)->type == HF__MAP) return code;
    reader r = {.json = json, .err = err};
    return refuse(&r, (size_t)((*out)->raw.data - json.data), hf__type_name((*out)->type), "an object");
}

int hf__json_check_object(hf_text json, size_t max_depth, hf_error *err) {
    hf__arena arena = {0};
    const hf__value *value;
    int code = parse_object(&arena, json, max_depth, &value, err);
    hf__arena_free(&arena);
    return code;
}

/* ---- Merging ----------------------------------------------------------------------------------- */

static const hf__value *find(const hf__value **members, size_t count, const hf__value *like) {
    const hf__value **place = bsearch(&like, members, count, sizeof *members, by_key);
    return place != NULL ? *place : NULL;
}

/* Copies `base` from its start to the end of its last member, with other values where `updates` has them, then
 * the new members, then the end of `base`. */
static int merge(hf__buf *buf, hf__arena *arena, const hf__value *base, const hf__value *updates,
                 hf_error *err) {
    const hf__value **base_members = sorted(arena, base), **update_members = sorted(arena, updates);
    if (base_members == NULL || update_members == NULL) return hf__fail_memory(err);
    size_t base_count = base->is.items.count, update_count = updates->is.items.count;

    const char *done = base->raw.data, *end = done + base->raw.size;
    for (const hf__value *item = base->is.items.first; item != NULL; item = item->next) {
        const hf__value *update = find(update_members, update_count, item);
        hf__buf_text(buf, text_to(done, item->raw.data));
        hf__buf_text(buf, update != NULL ? update->raw : item->raw);
        done = item->raw.data + item->raw.size;
    }
    if (base_count == 0) hf__buf_char(buf, *done++);

    bool first = base_count == 0;
    const hf__value *previous = NULL;
    for (const hf__value *item = updates->is.items.first; item != NULL; previous = item, item = item->next) {
        if (find(base_members, base_count, item) != NULL) continue;
        if (!first) hf__buf_char(buf, ',');
        first = false;
        hf__buf_text(buf, text_to(member_start(updates, previous), item->raw.data + item->raw.size));
    }
    hf__buf_text(buf, text_to(done, end));
    return HF_OK;
}

int hf__json_merge(hf__buf *buf, hf_text base, hf_text updates, size_t max_depth, hf_error *err) {
    hf__arena arena = {0};
    const hf__value *from, *with;
    if (base.data == NULL) base = hf_text_of("{}");
    int code = parse_object(&arena, base, max_depth, &from, err);
    if (code == HF_OK) code = parse_object(&arena, updates, max_depth, &with, err);
    if (code == HF_OK) code = merge(buf, &arena, from, with, err);
    hf__arena_free(&arena);
    return code;
}
