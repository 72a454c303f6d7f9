/*
 * Memory: the library's malloc and free, and arenas on top of them. An arena is a list of blocks that
 * double in size; only the newest one has room left to give. What is in the memory, and for how long it
 * has to last, is the caller's affair.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

typedef struct hf__block {
    struct hf__block *older;
    size_t used, size; /* of `bytes` */
    alignas(max_align_t) unsigned char bytes[];
} block;

enum {
    FIRST = 1024 - sizeof(block), /* with its header it fills 1 KiB */
    LARGEST = 64 * 1024 - sizeof(block),
    ALIGNMENT = alignof(max_align_t),
};

static block *block_new(size_t size) {
    block *fresh = hf__alloc(sizeof(block) + size);
    if (fresh != NULL) *fresh = (block){.size = size};
    return fresh;
}

/* A block for one request that would waste too much of an ordinary one. The newest block stays in use. */
static void *alloc_apart(hf__arena *arena, size_t size) {
    block *fresh = block_new(size);
    if (fresh == NULL) return NULL;
    fresh->used = size;
    arena->size += size;
    block **place = arena->newest != NULL ? &arena->newest->older : &arena->newest;
    fresh->older = *place;
    *place = fresh;
    return fresh->bytes;
}

/* `size` bytes with anything in them. */
static void *take(hf__arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    block *newest = arena->newest;
    if (newest == NULL || size > newest->size - newest->used) {
        size_t next = newest == NULL ? FIRST : newest->size * 2 + sizeof(block);
        if (next > LARGEST) next = LARGEST;
        if (size > next / 2) return alloc_apart(arena, size);
        newest = block_new(next);
        if (newest == NULL) return NULL;
        newest->older = arena->newest;
        arena->newest = newest;
        arena->size += next;
    }
    void *memory = newest->bytes + newest->used;
    newest->used += size;
    return memory;
}

void *hf__arena_alloc(hf__arena *arena, size_t size) {
    void *memory = take(arena, size);
    return memory != NULL ? memset(memory, 0, size) : NULL;
}

void *hf__arena_room(hf__arena *arena, size_t size) {
    return take(arena, size);
}

void *hf__arena_array(hf__arena *arena, size_t count, size_t size) {
    if (size != 0 && count > SIZE_MAX / size) return NULL;
    return hf__arena_alloc(arena, count * size);
}

hf_text hf__arena_text(hf__arena *arena, hf_text text) {
    hf_text copy = {NULL, 0};
    if (text.data == NULL || text.size == SIZE_MAX) return copy;
    char *data = take(arena, text.size + 1);
    if (data == NULL) return copy;
    memcpy(data, text.data, text.size);
    data[text.size] = '\0';
    copy.data = data;
    copy.size = text.size;
    return copy;
}

void hf__arena_adopt(hf__arena *to, hf__arena *from) {
    if (from->newest == NULL) return;
    block *oldest = from->newest;
    while (oldest->older != NULL)
        oldest = oldest->older;
    block **place = to->newest != NULL ? &to->newest->older : &to->newest;
    oldest->older = *place;
    *place = from->newest;
    to->size += from->size;
    *from = (hf__arena){0};
}

/* Gives back the blocks from `*place` on that come before `stop`. */
static void free_until(block **place, const block *stop) {
    while (*place != stop) {
        block *older = (*place)->older;
        hf__free(*place);
        *place = older;
    }
}

hf__arena_mark hf__arena_here(const hf__arena *arena) {
    hf__arena_mark mark = {.newest = arena->newest, .size = arena->size};
    if (mark.newest != NULL) {
        mark.older = mark.newest->older;
        mark.used = mark.newest->used;
    }
    return mark;
}

void hf__arena_cut(hf__arena *arena, hf__arena_mark mark) {
    free_until(&arena->newest, mark.newest);
    if (mark.newest != NULL) {
        free_until(&mark.newest->older, mark.older); /* blocks apart came behind it */
        mark.newest->used = mark.used;
    }
    arena->size = mark.size;
}

void hf__arena_free(hf__arena *arena) {
    free_until(&arena->newest, NULL);
    arena->size = 0;
}

void hf__zero(void *memory, size_t size) {
    memset(memory, 0, size);
}

void *hf__alloc(size_t size) {
    return malloc(size);
}

void *hf__alloc_zero(size_t size) {
    return calloc(1, size);
}

void *hf__realloc(void *memory, size_t size) {
    return realloc(memory, size);
}

void hf__free(void *memory) {
    free(memory);
}
