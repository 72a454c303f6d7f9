/* Budgets: the watch, the count hook, the allocator. */
#include "script/budget.h"

#include <lauxlib.h>
#include <stdio.h>

#include "base/uuid.h"
#include "script/marshal.h"
#include "script/vm.h"

/* A script is looked at after so many instructions: few, since a single one may be heavy, and ten times as often
 * where the state is large enough for one that takes milliseconds. */
enum { HOOK_INSTRUCTIONS = 100, HEAVY_HOOK_INSTRUCTIONS = 10 };
#define HEAVY ((size_t)4 << 20)

/* Allocation is work too: the watch is looked at after so many bytes. Fewer tell that an instruction may have taken
 * long, and start a watch that is unread. */
#define ALLOCATION_STEP ((size_t)1 << 20)
#define ALLOCATION_GLANCE ((size_t)1 << 12)

#define NODE_SIZE ((size_t)24) /* of a table's part for names, which is a power of two of them */

static void l_hook(lua_State *L, lua_Debug *unused);

/* Sets how often the hook is called. Allocates nothing: the allocator calls it. */
static void set_interval(hf__budget *budget, int interval) {
    budget->interval = interval;
    lua_sethook(budget->L, l_hook, LUA_MASKCOUNT, interval);
}

/* From here on each instruction raises. */
static void spend(hf__budget *budget, hf_code why) {
    if (budget->spent != HF_OK) return;
    budget->spent = why;
    set_interval(budget, 1);
}

static void look_at_the_watch(hf__budget *budget) {
    budget->allocated = 0;
    if (!budget->running) return;
    int64_t now = hf__monotonic_ns();
    if (budget->deadline == 0) budget->deadline = now + budget->time_left;
    budget->time_left = budget->deadline - now;
    if (budget->time_left < 0) spend(budget, HF_TIMEOUT);
}

void hf__budget_glance(hf__budget *budget) {
    if (budget != NULL && budget->allocated >= ALLOCATION_GLANCE) look_at_the_watch(budget);
}

void hf__budget_describe(const hf__budget *budget, char *message, size_t size) {
    if (budget->spent == HF_MEMORY && budget->crowded)
        snprintf(message, size, "went past the bound of %zu names in one table", HF__MAX_KEYS);
    else if (budget->spent == HF_MEMORY)
        snprintf(message, size, "went past the memory budget of %zu bytes", budget->limits.memory);
    else if (budget->instructions < 0)
        snprintf(message, size, "went past its budget of %lld instructions",
                 (long long)budget->limits.instructions);
    else
        snprintf(message, size, "went past its time budget of %lld ms",
                 (long long)(budget->limits.time_ns / 1000000));
}

bool hf__budget_is_spent(hf__budget *budget) {
    if (budget->refusal.open) spend(budget, HF_MEMORY);
    budget->refusal.open = false;
    return budget->spent != HF_OK;
}

void l_budget_check(lua_State *L, hf__budget *budget) {
    if (budget == NULL || !hf__budget_is_spent(budget)) return;
    l_push_breach(L, budget);
    lua_error(L);
}

static void deduct(hf__budget *budget, size_t work) {
    budget->instructions -= (int64_t)work;
    if (budget->instructions < 0) spend(budget, HF_TIMEOUT);
}

void l_budget_fee(lua_State *L, hf__budget *budget, size_t work) {
    if (budget == NULL) return;
    deduct(budget, work);
    l_budget_check(L, budget);
}

void l_budget_charge(lua_State *L, hf__budget *budget, size_t work) {
    if (budget == NULL) return;
    if (work > INT32_MAX) work = INT32_MAX;
    deduct(budget, work);
    budget->unwatched += work;
    if (budget->unwatched >= (size_t)budget->interval) {
        budget->unwatched = 0;
        look_at_the_watch(budget);
    }
    l_budget_check(L, budget);
}

static void l_hook(lua_State *L, lua_Debug *unused) {
    (void)unused;
    hf__budget *budget = l_vm_of(L)->budget;
    l_budget_charge(L, budget, (size_t)budget->interval);
}

/* ---- Memory ------------------------------------------------------------------------------------ */

size_t hf__budget_left(const hf__budget *budget) {
    if (budget == NULL) return SIZE_MAX;
    return budget->used < budget->cap ? budget->cap - budget->used : 0;
}

void l_budget_room(lua_State *L, hf__budget *budget, size_t size) {
    if (size <= hf__budget_left(budget)) return;
    lua_gc(L, LUA_GCCOLLECT);
    if (size <= hf__budget_left(budget)) return;
    spend(budget, HF_MEMORY);
    l_budget_check(L, budget);
}

/* Whether it is the part of a table for more names than are allowed: Lua gives no kind for parts of tables, and
 * those for list positions are powers of two in bytes. */
static bool is_crowded(const hf__budget *budget, const void *memory, size_t kind, size_t size) {
    if (memory != NULL || kind != 0 || (budget->texts_only && budget->spent == HF_OK)) return false;
    size_t nodes = size / NODE_SIZE;
    return nodes > HF__MAX_KEYS && nodes * NODE_SIZE == size && (nodes & (nodes - 1)) == 0;
}

/* Lua collects its garbage and asks once more; only then has a script gone too far. The buffers of Lua's library
 * never ask again. Where a budget is spent, a function of the library may still be at work, which no instruction ends:
 * it ends here, once it has been given a little. */
static bool is_refused(hf__budget *budget, const void *memory, size_t kind, size_t more, size_t size) {
    bool again = budget->refusal.open && budget->refusal.memory == memory && budget->refusal.size == size;
    if (budget->refusal.open && !again) spend(budget, HF_MEMORY);
    bool crowded = is_crowded(budget, memory, kind, size);
    bool late = budget->spent != HF_OK && budget->allocated + more >= ALLOCATION_STEP;
    budget->refusal.open = false;
    if (!crowded && !late && more <= hf__budget_left(budget)) return false;
    if (budget->spent == HF_OK) budget->crowded = crowded;
    if (again || budget->spent != HF_OK) {
        spend(budget, HF_MEMORY);
    } else {
        budget->refusal.open = true;
        budget->refusal.memory = memory;
        budget->refusal.size = size;
    }
    look_at_the_watch(budget); /* the collection takes its time */
    return true;
}

void *hf__budget_allocate(void *data, void *memory, size_t old_size, size_t size) {
    hf__budget *budget = data;
    if (size == 0) {
        if (memory == NULL) return NULL;
        budget->used -= old_size;
        hf__spares_give(&budget->spares, memory, old_size);
        return NULL;
    }
    size_t kind = memory == NULL ? old_size : 0; /* Lua tells the kind of object there */
    if (memory == NULL) old_size = 0;
    if (size > old_size && budget->running && budget->grants == 0) {
        if (is_refused(budget, memory, kind, size - old_size, size)) return NULL;
        size_t more = size - old_size;
        if (budget->allocated + more >= (budget->deadline != 0 ? ALLOCATION_STEP : ALLOCATION_GLANCE))
            look_at_the_watch(budget);
        budget->allocated += more; /* what is done with it comes after the look */
    }
    void *block = memory == NULL ? hf__spares_take(&budget->spares, size)
                                 : hf__spares_resize(&budget->spares, memory, old_size, size);
    if (block == NULL) return NULL;
    budget->used += size - old_size;
    if (budget->used > HEAVY && budget->interval == HOOK_INSTRUCTIONS)
        set_interval(budget, HEAVY_HOOK_INSTRUCTIONS);
    return block;
}

/* ---- The log ----------------------------------------------------------------------------------- */

#define MOST_LOGGED ((size_t)64 * 1024) /* bytes in one op, and as much as a record costs besides */

int hf__budget_may_log(hf__budget *budget, size_t bytes) {
    if (budget == NULL) return 1;
    if (budget->logged > MOST_LOGGED) return 0;
    budget->logged += bytes + 64;
    return budget->logged > MOST_LOGGED ? -1 : 1;
}

/* ---- The life of a budget ---------------------------------------------------------------------- */

void hf__budget_begin(hf__budget *budget) {
    if (budget == NULL) return;
    budget->time_left = budget->limits.time_ns;
    budget->instructions = budget->limits.instructions;
    budget->cap = budget->limits.memory + budget->waiting;
    budget->refusal.open = false;
    budget->texts_only = false;
    budget->allocated = 0;
    budget->grants = 0;
    budget->logged = 0;
    budget->running = false;
    budget->deadline = 0;
    budget->spent = HF_OK;
    budget->told = false;
    set_interval(budget, budget->used > HEAVY ? HEAVY_HOOK_INSTRUCTIONS : HOOK_INSTRUCTIONS);
}

void hf__budget_resume(hf__budget *budget) {
    if (budget == NULL || budget->running) return;
    budget->deadline = hf__monotonic_ns() + budget->time_left;
    budget->running = true;
}

void hf__budget_resume_unread(hf__budget *budget) {
    if (budget != NULL) budget->running = true;
}

int64_t hf__budget_time_left(const hf__budget *budget) {
    return budget->deadline != 0 ? budget->deadline - hf__monotonic_ns() : budget->time_left;
}

void hf__budget_pause(hf__budget *budget) {
    if (budget == NULL || !budget->running) return;
    budget->time_left = hf__budget_time_left(budget);
    budget->deadline = 0;
    budget->running = false;
}

void hf__budget_grant(hf__budget *budget) {
    if (budget != NULL && budget->grants++ == 0) budget->granted_from = budget->used;
}

void hf__budget_granted(hf__budget *budget) {
    if (budget == NULL || --budget->grants > 0) return;
    if (budget->used <= budget->granted_from) return;
    budget->cap += budget->used - budget->granted_from;
    budget->brought += budget->used - budget->granted_from;
}

void hf__budget_arrive(hf__budget *budget) {
    if (budget != NULL) budget->brought = 0;
}

size_t hf__budget_park(hf__budget *budget) {
    if (budget == NULL) return 0;
    budget->waiting += budget->brought;
    return budget->brought;
}

void hf__budget_unpark(hf__budget *budget, size_t brought) {
    if (budget != NULL) budget->waiting -= brought;
}

bool hf__budget_has_room(const hf__budget *budget) {
    return budget == NULL || budget->waiting == 0 || budget->used <= budget->waiting ||
           budget->used - budget->waiting <= budget->limits.memory / 2;
}
