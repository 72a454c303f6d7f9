/*
 * Planned failures of memory. A test that links this file with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc chooses which allocation of our own code fails.
 */
#ifndef HF_TESTS_SUPPORT_FAULT_ALLOC_H
#define HF_TESTS_SUPPORT_FAULT_ALLOC_H

#include <stdbool.h>

/* The nth allocation from now on fails, once, and later ones work; 0 plans no failure. */
void fault_alloc_plan(long nth);

/* The nth allocation from now on fails, and so do the `times` - 1 after it, while the plan lasts. Lua asks a second
 * time before it gives up. */
void fault_alloc_plan_times(long nth, long times);

/* Ends the plan. Whether the planned allocation came, and so failed. */
bool fault_alloc_happened(void);

/* The allocations since the last plan was made, or ended. */
long fault_alloc_count(void);

/* Routes cJSON, which comes from a shared library, through the plan as well. */
void fault_alloc_cover_cjson(void);

#endif
