/* A JSON value in memory: a tree whose nodes live in an arena. */
#ifndef HF_BASE_VALUE_H
#define HF_BASE_VALUE_H

#include <stdbool.h>

#include "base/arena.h"

typedef enum hf__type {
    HF__NULL,
    HF__BOOL,
    HF__INT,
    HF__REAL,
    HF__TEXT,
    HF__LIST,
    HF__MAP,
} hf__type;

typedef struct hf__value {
    hf__type type;
    hf_text key; /* within a map */
    hf_text raw; /* the bytes it was read from, borrowed from the JSON text; absent where it was built */
    union {
        bool boolean;
        int64_t integer;
        double real;
        hf_text text; /* ends in NUL */
        struct {
            struct hf__value *first, *last;
            size_t count;
        } items; /* list and map, in order */
    } is;
    struct hf__value *next; /* the sibling that follows */
} hf__value;

/* A new node of `type`, zeroed; NULL where memory ran out. */
hf__value *hf__value_new(hf__arena *arena, hf__type type);

/* Puts `item` at the end of a list, or under item->key at the end of a map. */
void hf__value_append(hf__value *parent, hf__value *item);

/* The item of a map under `key`, or NULL. */
const hf__value *hf__value_get(const hf__value *map, const char *key);

/* The items of a map in the order of their keys, in the arena; NULL where memory ran out. And the one among them with
 * the key of `like`, or NULL. */
const hf__value **hf__value_sorted(hf__arena *arena, const hf__value *map);
const hf__value *hf__value_find(const hf__value **sorted, size_t count, const hf__value *like);

/* How the keys of two items are ordered: below, at or above 0. */
int hf__value_compare_keys(const hf__value *a, const hf__value *b);

/* Whether two values are the same: maps in any order, lists in order, integers apart from reals. */
bool hf__value_equal(const hf__value *a, const hf__value *b);

/* "null", "a boolean", "a number", "text", "a list", "an object": for messages. */
const char *hf__type_name(hf__type type);

#endif
