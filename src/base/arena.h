/* Memory that is given back all at once: what belongs to one op, or to one result. */
#ifndef HF_BASE_ARENA_H
#define HF_BASE_ARENA_H

#include "holdfast.h"

typedef struct hf__arena {
    struct hf__block *newest;
    size_t size; /* bytes that it holds */
} hf__arena;     /* zeroed: empty */

/* `size` zeroed bytes, aligned for any type, that live until hf__arena_free; NULL where memory ran out
 * or `size` is absurd. A size of 0 gives a valid pointer. */
void *hf__arena_alloc(hf__arena *arena, size_t size);

/* The same with anything in them. */
void *hf__arena_room(hf__arena *arena, size_t size);

/* hf__arena_alloc of count * size, checked for overflow. */
void *hf__arena_array(hf__arena *arena, size_t count, size_t size);

/* A copy of `text` that ends in NUL; absent where `text` is absent or memory ran out. */
hf_text hf__arena_text(hf__arena *arena, hf_text text);

/* How far an arena has come, and back to there: what was taken since is given back. Not across hf__arena_adopt. */
typedef struct hf__arena_mark {
    struct hf__block *newest, *older;
    size_t used, size;
} hf__arena_mark;
hf__arena_mark hf__arena_here(const hf__arena *arena);
void hf__arena_cut(hf__arena *arena, hf__arena_mark mark);

/* Hands every block of `from` over to `to`. */
void hf__arena_adopt(hf__arena *to, hf__arena *from);

/* Gives everything back and leaves the arena empty. */
void hf__arena_free(hf__arena *arena);

/* Zeroes `size` bytes. Not for the compiler to see through: of a struct whose size it knows it makes one instruction that
 * takes longer to begin than a call does in all. */
void hf__zero(void *memory, size_t size);

/* malloc, calloc, realloc and free of the library: the one place where memory comes from. */
void *hf__alloc(size_t size);
void *hf__alloc_zero(size_t size);
void *hf__realloc(void *memory, size_t size);
void hf__free(void *memory);

#endif
