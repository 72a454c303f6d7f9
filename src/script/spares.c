/* Small blocks that are kept for the next of their size. */
#include "script/spares.h"

#include <string.h>

void *hf__spares_resize(hf__spares *spares, void *memory, size_t old_size, size_t size) {
    size_t list = hf__spares_list(size), old_list = hf__spares_list(old_size);
    if (list >= HF__SPARE_SIZES && old_list >= HF__SPARE_SIZES) return hf__realloc(memory, size);
    if (list == old_list) return memory;
    void *moved = hf__spares_take(spares, size);
    if (moved == NULL) return size < old_size ? memory : NULL;
    memcpy(moved, memory, size < old_size ? size : old_size);
    hf__spares_give(spares, memory, old_size);
    return moved;
}

void hf__spares_free(hf__spares *spares) {
    for (size_t list = 0; list < HF__SPARE_SIZES; list++) {
        while (spares->of_size[list] != NULL) {
            hf__spare *block = spares->of_size[list];
            spares->of_size[list] = block->next;
            hf__free(block);
        }
    }
    spares->kept = 0;
}
