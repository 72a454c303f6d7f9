/*
 * Memory for a state's objects. Lua frees the small blocks of hundreds of ops at once and then asks for the same sizes
 * again: some are kept for that, in lists by size.
 */
#ifndef HF_SCRIPT_SPARES_H
#define HF_SCRIPT_SPARES_H

#include <stddef.h>

enum { HF__SPARE_GRAIN = 16, HF__SPARE_SIZES = 32 }; /* blocks of 16, 32, ... 512 bytes */

typedef struct hf__spares {
    struct hf__spare *of_size[HF__SPARE_SIZES];
    size_t kept; /* bytes in all lists */
} hf__spares;    /* zeroed: empty */

/* As realloc, for who knows the old size; a `size` of 0 frees. Memory that gets smaller stays where it is if there is
 * no other. NULL where memory ran out. */
void *hf__spares_resize(hf__spares *spares, void *memory, size_t old_size, size_t size);

/* Gives back what is kept. */
void hf__spares_free(hf__spares *spares);

#endif
