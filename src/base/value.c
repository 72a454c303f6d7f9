/* The value tree: building, looking up, comparing. Reading and writing it as JSON is json.c's. */
#include "base/value.h"

#include <math.h>
#include <stdlib.h>

static bool text_equal(hf_text a, hf_text b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

hf__value *hf__value_new(hf__arena *arena, hf__type type) {
    hf__value *value = hf__arena_alloc(arena, sizeof *value);
    if (value != NULL) value->type = type;
    return value;
}

void hf__value_append(hf__value *parent, hf__value *item) {
    if (parent->is.items.last != NULL)
        parent->is.items.last->next = item;
    else
        parent->is.items.first = item;
    parent->is.items.last = item;
    parent->is.items.count++;
}

/* Looks from `start` to the end, then from the beginning up to it: two maps in the same order are compared
 * in one pass. */
static const hf__value *find_from(const hf__value *map, const hf__value *start, hf_text key) {
    for (const hf__value *item = start; item != NULL; item = item->next)
        if (text_equal(item->key, key)) return item;
    for (const hf__value *item = map->is.items.first; item != start; item = item->next)
        if (text_equal(item->key, key)) return item;
    return NULL;
}

const hf__value *hf__value_get(const hf__value *map, const char *key) {
    return map->type == HF__MAP ? find_from(map, map->is.items.first, hf_text_of(key)) : NULL;
}

int hf__value_compare_keys(const hf__value *a, const hf__value *b) {
    size_t shorter = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = memcmp(a->key.data, b->key.data, shorter);
    return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static int by_key(const void *a, const void *b) {
    return hf__value_compare_keys(*(const hf__value *const *)a, *(const hf__value *const *)b);
}

const hf__value **hf__value_sorted(hf__arena *arena, const hf__value *map) {
    const hf__value **items = hf__arena_array(arena, map->is.items.count, sizeof *items);
    if (items == NULL) return NULL;
    size_t count = 0;
    for (const hf__value *item = map->is.items.first; item != NULL; item = item->next)
        items[count++] = item;
    qsort(items, count, sizeof *items, by_key);
    return items;
}

const hf__value *hf__value_find(const hf__value **sorted, size_t count, const hf__value *like) {
    const hf__value **place = bsearch(&like, sorted, count, sizeof *sorted, by_key);
    return place != NULL ? *place : NULL;
}

static bool maps_equal(const hf__value *a, const hf__value *b) {
    const hf__value *start = b->is.items.first;
    for (const hf__value *item = a->is.items.first; item != NULL; item = item->next) {
        const hf__value *other = find_from(b, start, item->key);
        if (other == NULL || !hf__value_equal(item, other)) return false;
        start = other->next;
    }
    return true;
}

static bool lists_equal(const hf__value *a, const hf__value *b) {
    const hf__value *other = b->is.items.first;
    for (const hf__value *item = a->is.items.first; item != NULL; item = item->next, other = other->next)
        if (!hf__value_equal(item, other)) return false;
    return true;
}

bool hf__value_equal(const hf__value *a, const hf__value *b) {
    if (a->type != b->type) return false;
    switch (a->type) {
    case HF__NULL: return true;
    case HF__BOOL: return a->is.boolean == b->is.boolean;
    case HF__INT: return a->is.integer == b->is.integer;
    case HF__REAL: return a->is.real == b->is.real && !signbit(a->is.real) == !signbit(b->is.real);
    case HF__TEXT: return text_equal(a->is.text, b->is.text);
    case HF__LIST: return a->is.items.count == b->is.items.count && lists_equal(a, b);
    case HF__MAP: return a->is.items.count == b->is.items.count && maps_equal(a, b);
    }
    return false;
}

const char *hf__type_name(hf__type type) {
    switch (type) {
    case HF__NULL: return "null";
    case HF__BOOL: return "a boolean";
    case HF__INT:
    case HF__REAL: return "a number";
    case HF__TEXT: return "text";
    case HF__LIST: return "a list";
    case HF__MAP: return "an object";
    }
    return "nothing known";
}
