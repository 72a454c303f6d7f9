/* The wrapped allocator: counts down to the planned failure. For tests on one thread. */
#include "support/fault_alloc.h"

#include <cjson/cJSON.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static long left;  /* allocations until the failure, that one included; 0: none is planned */
static long more;  /* failures to follow the first one */
static long asked; /* all of them, planned or not */
static bool happened;

static bool fails(void) {
    asked++;
    if (left == 0 || --left > 0) return false;
    happened = true;
    if (more > 0) {
        more--;
        left = 1;
    }
    return true;
}

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    return fails() ? NULL : __real_realloc(memory, size);
}

void fault_alloc_plan(long nth) {
    fault_alloc_plan_times(nth, 1);
}

void fault_alloc_plan_times(long nth, long times) {
    left = nth;
    more = times - 1;
    asked = 0;
    happened = false;
}

bool fault_alloc_happened(void) {
    left = 0;
    asked = 0;
    return happened;
}

long fault_alloc_count(void) {
    return asked;
}

void fault_alloc_cover_cjson(void) {
    cJSON_Hooks hooks = {__wrap_malloc, free};
    cJSON_InitHooks(&hooks);
}
