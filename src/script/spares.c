/* Small blocks that are kept for the next of their size. */
#include "script/spares.h"

#include <string.h>

#include "base/arena.h"

typedef struct hf__spare {
    struct hf__spare *next;
} spare;

/* Bytes that are kept at most: the tables and texts of a few hundred ops. Sanitizers are to see each use of what was
 * freed. */
#ifdef HF_STRESS_COLLECTOR
enum { MOST_KEPT = 0 };
#else
enum { MOST_KEPT = 1 << 20 };
#endif

/* The list for blocks of `size` bytes; HF__SPARE_SIZES or more for those that are never kept. */
static size_t list_of(size_t size) {
    return (size - 1) / HF__SPARE_GRAIN;
}

static void *take(hf__spares *spares, size_t size) {
    size_t list = list_of(size);
    if (list >= HF__SPARE_SIZES) return hf__alloc(size);
    spare *block = spares->of_size[list];
    size = (list + 1) * HF__SPARE_GRAIN;
    if (block == NULL) return hf__alloc(size);
    spares->of_size[list] = block->next;
    spares->kept -= size;
    return block;
}

static void give(hf__spares *spares, void *memory, size_t size) {
    size_t list = list_of(size);
    size = (list + 1) * HF__SPARE_GRAIN;
    if (list >= HF__SPARE_SIZES || spares->kept + size > MOST_KEPT) {
        hf__free(memory);
        return;
    }
    spare *block = memory;
    block->next = spares->of_size[list];
    spares->of_size[list] = block;
    spares->kept += size;
}

void *hf__spares_resize(hf__spares *spares, void *memory, size_t old_size, size_t size) {
    if (memory == NULL) return size > 0 ? take(spares, size) : NULL;
    if (size == 0) {
        give(spares, memory, old_size);
        return NULL;
    }
    size_t list = list_of(size), old_list = list_of(old_size);
    if (list >= HF__SPARE_SIZES && old_list >= HF__SPARE_SIZES) return hf__realloc(memory, size);
    if (list == old_list) return memory;
    void *moved = take(spares, size);
    if (moved == NULL) return size < old_size ? memory : NULL;
    memcpy(moved, memory, size < old_size ? size : old_size);
    give(spares, memory, old_size);
    return moved;
}

void hf__spares_free(hf__spares *spares) {
    for (size_t list = 0; list < HF__SPARE_SIZES; list++) {
        while (spares->of_size[list] != NULL) {
            spare *block = spares->of_size[list];
            spares->of_size[list] = block->next;
            hf__free(block);
        }
    }
    spares->kept = 0;
}
