/*
 * Memory for a state's objects. Lua frees the small blocks of hundreds of ops at once and then asks for the same sizes
 * again: some are kept for that, in lists by size.
 */
#ifndef HF_SCRIPT_SPARES_H
#define HF_SCRIPT_SPARES_H

#include "base/arena.h"

enum { HF__SPARE_GRAIN = 16, HF__SPARE_SIZES = 128 }; /* blocks of 16, 32, ... 2048 bytes */

/* Bytes that are kept at most: the tables and texts of a few hundred ops. Sanitizers are to see each use of what was
 * freed. */
#ifdef HF_STRESS_COLLECTOR
enum { HF__MOST_SPARE = 0 };
#else
enum { HF__MOST_SPARE = 1 << 20 };
#endif

typedef struct hf__spare {
    struct hf__spare *next;
} hf__spare;

typedef struct hf__spares {
    hf__spare *of_size[HF__SPARE_SIZES];
    size_t kept; /* bytes in all lists */
} hf__spares;    /* zeroed: empty */

/* The list for blocks of `size` bytes; HF__SPARE_SIZES or more for those that are never kept. */
static inline size_t hf__spares_list(size_t size) {
    return (size - 1) / HF__SPARE_GRAIN;
}

/* `size` bytes, more than 0; NULL where memory ran out. In line, with the next: Lua asks for little else. */
static inline void *hf__spares_take(hf__spares *spares, size_t size) {
    size_t list = hf__spares_list(size);
    if (list >= HF__SPARE_SIZES) return hf__alloc(size);
    hf__spare *block = spares->of_size[list];
    size = (list + 1) * HF__SPARE_GRAIN;
    if (block == NULL) return hf__alloc(size);
    spares->of_size[list] = block->next;
    spares->kept -= size;
    return block;
}

/* Takes back what was asked for as `size` bytes. */
static inline void hf__spares_give(hf__spares *spares, void *memory, size_t size) {
    size_t list = hf__spares_list(size), whole = (list + 1) * HF__SPARE_GRAIN;
    if (list >= HF__SPARE_SIZES || spares->kept + whole > HF__MOST_SPARE) {
        hf__free(memory);
        return;
    }
    hf__spare *block = memory;
    block->next = spares->of_size[list];
    spares->of_size[list] = block;
    spares->kept += whole;
}

/* As realloc, for who knows the old size. Memory that gets smaller stays where it is if there is no other. NULL where
 * memory ran out. */
void *hf__spares_resize(hf__spares *spares, void *memory, size_t old_size, size_t size);

/* Gives back what is kept. */
void hf__spares_free(hf__spares *spares);

#endif
