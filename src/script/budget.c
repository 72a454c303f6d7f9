/* Budgets: the watch, the count hook, the allocator. */
#include "script/budget.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/arena.h"
#include "script/marshal.h"
#include "script/trace.h"
#include "script/vm.h"

/* A script is looked at after so many instructions: few, since a single one may be heavy. */
#define HOOK_INSTRUCTIONS 100

/* Allocation is work too: the watch is looked at after so many bytes. */
#define ALLOCATION_STEP ((size_t)1 << 20)

/* Each refusal costs a full collection; a script that goes on asking is stopped. */
#define MOST_REFUSALS 8

static void l_hook(lua_State *L, lua_Debug *unused);

/* From here on each instruction raises. Allocates nothing: the allocator calls it. */
static void spend(hf__budget *budget, hf_code why) {
    if (budget->spent != HF_OK) return;
    budget->spent = why;
    lua_sethook(budget->L, l_hook, LUA_MASKCOUNT, 1);
}

static void look_at_the_watch(hf__budget *budget) {
    if (budget->running && hf__trace_now() > budget->deadline) spend(budget, HF_TIMEOUT);
}

void hf__budget_describe(const hf__budget *budget, char *message, size_t size) {
    if (budget->spent == HF_MEMORY)
        snprintf(message, size, "went past the memory budget of %zu bytes", budget->limits.memory);
    else if (budget->instructions < 0)
        snprintf(message, size, "went past its budget of %lld instructions",
                 (long long)budget->limits.instructions);
    else
        snprintf(message, size, "went past its time budget of %lld ms",
                 (long long)(budget->limits.time_ns / 1000000));
}

void l_budget_check(lua_State *L, hf__budget *budget) {
    if (budget == NULL || budget->spent == HF_OK) return;
    char message[96];
    hf__budget_describe(budget, message, sizeof message);
    l_throwf(L, budget->spent, "%s", message);
}

void l_budget_charge(lua_State *L, hf__budget *budget, size_t work) {
    if (budget == NULL) return;
    budget->instructions -= (int64_t)(work < INT32_MAX ? work : INT32_MAX);
    if (budget->instructions < 0) spend(budget, HF_TIMEOUT);
    if (work >= HOOK_INSTRUCTIONS) look_at_the_watch(budget);
    l_budget_check(L, budget);
}

static void l_hook(lua_State *L, lua_Debug *unused) {
    (void)unused;
    l_budget_charge(L, l_vm_of(L)->budget, HOOK_INSTRUCTIONS);
}

void *hf__budget_allocate(void *data, void *memory, size_t old_size, size_t size) {
    hf__budget *budget = data;
    if (memory == NULL) old_size = 0; /* Lua tells the kind of object there */
    if (size == 0) {
        hf__free(memory);
        budget->used -= old_size;
        return NULL;
    }
    if (size > old_size && budget->running && budget->grants == 0) {
        budget->allocated += size - old_size;
        if (budget->allocated >= ALLOCATION_STEP) {
            budget->allocated = 0;
            look_at_the_watch(budget);
        }
        if (budget->used + (size - old_size) > budget->cap) {
            if (++budget->refusals > MOST_REFUSALS) spend(budget, HF_MEMORY);
            return NULL;
        }
    }
    void *block = hf__realloc(memory, size);
    if (block != NULL) budget->used += size - old_size;
    return block;
}

void hf__budget_begin(hf__budget *budget) {
    if (budget == NULL) return;
    budget->time_left = budget->limits.time_ns;
    budget->instructions = budget->limits.instructions;
    budget->cap = budget->limits.memory;
    budget->refusals = 0;
    budget->allocated = 0;
    budget->grants = 0;
    budget->running = false;
    budget->spent = HF_OK;
    lua_sethook(budget->L, l_hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
}

void hf__budget_resume(hf__budget *budget) {
    if (budget == NULL || budget->running) return;
    budget->deadline = hf__trace_now() + budget->time_left;
    budget->running = true;
}

void hf__budget_pause(hf__budget *budget) {
    if (budget == NULL || !budget->running) return;
    budget->time_left = budget->deadline - hf__trace_now();
    budget->running = false;
}

void hf__budget_grant(hf__budget *budget) {
    if (budget != NULL && budget->grants++ == 0) budget->granted_from = budget->used;
}

void hf__budget_granted(hf__budget *budget) {
    if (budget == NULL || --budget->grants > 0) return;
    if (budget->used > budget->granted_from) budget->cap += budget->used - budget->granted_from;
}
