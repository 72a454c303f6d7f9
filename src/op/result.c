/*
 * The memory of a result: an arena whose one pointer is kept in result->memory, so that any terminal or
 * layer can build an answer with the public functions alone.
 */
#include "op/record.h"

void *hf_result_alloc(hf_result *result, size_t size) {
    hf__arena arena = {.newest = result->memory};
    void *memory = hf__arena_alloc(&arena, size);
    result->memory = arena.newest;
    return memory;
}

void *hf__result_room(hf_result *result, size_t size) {
    hf__arena arena = {.newest = result->memory};
    void *memory = hf__arena_room(&arena, size);
    result->memory = arena.newest;
    return memory;
}

hf_text hf_result_text(hf_result *result, hf_text text) {
    hf__arena arena = {.newest = result->memory};
    hf_text copy = hf__arena_text(&arena, text);
    result->memory = arena.newest;
    return copy;
}

void hf_result_free(hf_result *result) {
    if (result == NULL) return;
    for (size_t i = 0; i < result->results_count; i++)
        hf_result_free(&result->results[i]);
    hf__arena arena = {.newest = result->memory};
    hf__arena_free(&arena);
    hf__zero(result, sizeof *result);
}
