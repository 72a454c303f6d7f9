/*
 * The guard of JSON: reads a text by RFC 8259 and refuses what could not be kept exactly, and what its numbers are. It
 * builds nothing; of an object it can tell the members by the bytes they stand in. Keys that are there twice are left to
 * those who unescape them.
 *
 * Recursion goes as deep as the text nests, which the guard bounds.
 */
#include "base/json_guard.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/utf8.h"

enum { NUMBER_MAX = 63 }; /* bytes of a number: cJSON reads no more */

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
const char *hf__json_number(const char *lexeme, size_t size, hf__value *out) {
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

int hf__json_refuse(const hf__json_reader *r, size_t at, const char *found, const char *expected) {
    return hf__fail(r->err, HF_INVALID, "JSON, byte %zu: found %s, expected %s", at + 1, found, expected);
}

static int refuse_here(const hf__json_reader *r, const char *expected) {
    char found[32];
    int c = hf__json_peek(r);
    if (c < 0)
        snprintf(found, sizeof found, "the end of the text");
    else if (c > 0x20 && c < 0x7F)
        snprintf(found, sizeof found, "'%c'", c);
    else
        snprintf(found, sizeof found, "the byte 0x%02X", (unsigned)c);
    return hf__json_refuse(r, r->at, found, expected);
}

static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}

/* The value of four hexadecimal digits at `at`, -1 where they are not there. */
static int hex4(const hf__json_reader *r, size_t at) {
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
static int guard_escape(hf__json_reader *r) {
    size_t start = r->at++;
    int c = hf__json_peek(r);
    if (c != 'u') {
        if (c < 0 || strchr("\"\\/bfnrt", c) == NULL)
            return refuse_here(r, "one of \" \\ / b f n r t u after a backslash");
        r->at++;
        return HF_OK;
    }
    int unit = hex4(r, ++r->at);
    if (unit < 0) return hf__json_refuse(r, start, "the escape \\u", "four hexadecimal digits behind it");
    if (unit == 0) return hf__json_refuse(r, start, "the escape \\u0000", "text without NUL");
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
    return hf__json_refuse(r, start, found, "a pair, from \\uD800\\uDC00 to \\uDBFF\\uDFFF");
}

/* Past all that stands for itself in a string. */
static void skip_ordinary(hf__json_reader *r) {
    const unsigned char *c = (const unsigned char *)r->json.data + r->at;
    const unsigned char *end = (const unsigned char *)r->json.data + r->json.size;
    while (c < end && *c >= 0x20 && *c != '"' && *c != '\\')
        c++;
    r->at = r->json.size - (size_t)(end - c);
}

static int guard_string(hf__json_reader *r, const char *expected) {
    if (hf__json_peek(r) != '"') return refuse_here(r, expected);
    r->at++;
    for (;;) {
        skip_ordinary(r);
        int c = hf__json_peek(r);
        if (c == '"') break;
        if (c < 0) return refuse_here(r, "'\"' at the end of a string");
        if (c < 0x20) return refuse_here(r, "control characters of a string as escapes");
        int code = guard_escape(r);
        if (code != HF_OK) return code;
    }
    r->at++;
    return HF_OK;
}

static int guard_digits(hf__json_reader *r) {
    if (!is_digit(hf__json_peek(r))) return refuse_here(r, "a digit");
    while (is_digit(hf__json_peek(r)))
        r->at++;
    return HF_OK;
}

static int guard_number(hf__json_reader *r) {
    size_t start = r->at;
    int code = HF_OK;
    if (hf__json_peek(r) == '-') r->at++;
    if (hf__json_peek(r) == '0')
        r->at++;
    else
        code = guard_digits(r);
    if (code == HF_OK && hf__json_peek(r) == '.') {
        r->at++;
        code = guard_digits(r);
    }
    if (code == HF_OK && (hf__json_peek(r) == 'e' || hf__json_peek(r) == 'E')) {
        r->at++;
        if (hf__json_peek(r) == '+' || hf__json_peek(r) == '-') r->at++;
        code = guard_digits(r);
    }
    if (code != HF_OK) return code;

    hf__value number;
    const char *lexeme = r->json.data + start;
    size_t size = r->at - start;
    char found[NUMBER_MAX + 16];
    if (size > NUMBER_MAX) {
        snprintf(found, sizeof found, "a number of %zu bytes", size);
        return hf__json_refuse(r, start, found, "at most 63");
    }
    const char *expected = hf__json_number(lexeme, size, &number);
    if (expected == NULL) return HF_OK;
    snprintf(found, sizeof found, "the number %.*s", (int)size, lexeme);
    return hf__json_refuse(r, start, found, expected);
}

static int guard_word(hf__json_reader *r, const char *word) {
    size_t size = strlen(word);
    if (r->json.size - r->at < size || memcmp(r->json.data + r->at, word, size) != 0)
        return refuse_here(r, "a value");
    r->at += size;
    return HF_OK;
}

static int guard_value(hf__json_reader *r, size_t depth);

static hf_text text_between(const hf__json_reader *r, size_t start, size_t end) {
    return (hf_text){r->json.data + start, end - start};
}

/* A member of the object whose first one is at `first`. NULL, and the outline tells nothing, where its key would have
 * to be unescaped or is there already, or where there is no room. */
static hf__json_member *note_key(hf__json_reader *r, size_t first, hf_text key) {
    hf__json_outline *outline = r->outline;
    if (outline == NULL || !outline->tells) return NULL;
    outline->tells = outline->count < HF__JSON_OUTLINED && memchr(key.data, '\\', key.size) == NULL;
    for (size_t i = first; outline->tells && i < outline->count; i++)
        outline->tells = !hf__json_same_key(outline->members[i].key, key);
    if (!outline->tells) return NULL;
    hf__json_member *member = &outline->members[outline->count++];
    member->key = key;
    return member;
}

/* At the opening bracket of a list or an object that is inside `depth` others. */
static int guard_items(hf__json_reader *r, size_t depth, char close) {
    if (depth == r->max_depth) {
        char expected[64];
        snprintf(expected, sizeof expected, "nesting of at most %zu levels", r->max_depth);
        return refuse_here(r, expected);
    }
    bool is_map = close == '}';
    size_t first = r->outline != NULL ? r->outline->count : 0;
    r->at++;
    hf__json_skip_space(r);
    if (hf__json_peek(r) == close) {
        r->at++;
        return HF_OK;
    }
    for (int code;;) {
        hf__json_member *member = NULL;
        if (is_map) {
            size_t start = r->at;
            code = guard_string(r, "a key in quotes");
            if (code != HF_OK) return code;
            member = note_key(r, first, text_between(r, start, r->at));
            hf__json_skip_space(r);
            if (hf__json_peek(r) != ':') return refuse_here(r, "':' after a key");
            r->at++;
            hf__json_skip_space(r);
        }
        size_t start = r->at;
        code = guard_value(r, depth + 1);
        if (code != HF_OK) return code;
        if (member != NULL) member->raw = text_between(r, start, r->at);
        hf__json_skip_space(r);
        int c = hf__json_peek(r);
        if (c != ',' && c != close) return refuse_here(r, is_map ? "',' or '}'" : "',' or ']'");
        r->at++;
        if (c == close) break;
        hf__json_skip_space(r);
    }
    if (r->outline != NULL && depth > 0) r->outline->count = first;
    return HF_OK;
}

static int guard_value(hf__json_reader *r, size_t depth) {
    int c = hf__json_peek(r);
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

int hf__json_guard(hf__json_reader *r) {
    size_t bad = r->json.size != 0 ? hf__utf8_check(r->json.data, r->json.size) : 0;
    if (bad < r->json.size) {
        r->at = bad;
        return refuse_here(r, "UTF-8 without NUL");
    }
    hf__json_skip_space(r);
    int code = guard_value(r, 0);
    if (code != HF_OK) return code;
    hf__json_skip_space(r);
    return r->at == r->json.size ? HF_OK : refuse_here(r, "the end of the text");
}
