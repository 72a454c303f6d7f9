/* The first step of reading JSON: is it what may be read, and where do the members of an object stand? For json.c. */
#ifndef HF_BASE_JSON_GUARD_H
#define HF_BASE_JSON_GUARD_H

#include "base/value.h"

enum { HF__JSON_OUTLINED = 24 }; /* so many members are told at most */

/* A member by its bytes: the key in its quotes, the value. */
typedef struct hf__json_member {
    hf_text key, raw;
} hf__json_member;

/* The members of an object, which has no key twice; unless it does not tell: that takes a tree. */
typedef struct hf__json_outline {
    bool tells;
    size_t count;
    hf__json_member members[HF__JSON_OUTLINED]; /* while it is read, those of the objects inside as well */
} hf__json_outline;

/* A place in the text. */
typedef struct hf__json_reader {
    hf_text json;
    size_t at;
    size_t max_depth;
    hf__json_outline *outline; /* NULL: nobody wants it; else it begins with `tells` */
    hf__arena *arena;
    hf_error *err;
} hf__json_reader;

/* Checks the whole text. */
int hf__json_guard(hf__json_reader *r);

/* Gives `out` the type and the value of a well-formed number. Returns NULL, or what was expected of it where it cannot
 * be kept. */
const char *hf__json_number(const char *lexeme, size_t size, hf__value *out);

int hf__json_refuse(const hf__json_reader *r, size_t at, const char *found, const char *expected);

/* The byte at the reader's place, -1 at the end. */
static inline int hf__json_peek(const hf__json_reader *r) {
    return r->at < r->json.size ? (unsigned char)r->json.data[r->at] : -1;
}

static inline bool hf__json_is_space(int c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline void hf__json_skip_space(hf__json_reader *r) {
    while (hf__json_is_space(hf__json_peek(r)))
        r->at++;
}

static inline bool hf__json_same_key(hf_text a, hf_text b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

#endif
