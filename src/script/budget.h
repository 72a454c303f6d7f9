/*
 * What the scripts of one state may use: time and instructions for each op, memory for the state.
 *
 * Lua's count hook sees only what the interpreter itself runs. So whatever works in C for a script - string
 * and table functions, patterns, allocation - is charged here too, in units of about one instruction. Past a
 * budget the state is *spent* until the op ends: each further instruction raises the same error again, so
 * that no pcall, handler or __close gets on.
 */
#ifndef HF_SCRIPT_BUDGET_H
#define HF_SCRIPT_BUDGET_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "holdfast.h"

typedef struct hf__budget_limits {
    int64_t time_ns;
    int64_t instructions;
    size_t memory;
} hf__budget_limits;

typedef struct hf__budget {
    lua_State *L; /* the state's main thread: the sandbox has no others */
    hf__budget_limits limits;
    hf_code spent;        /* HF_OK, or why nothing more runs: HF_TIMEOUT or HF_MEMORY */
    int64_t deadline;     /* on the monotonic clock, while the watch runs */
    int64_t time_left;    /* while it does not */
    bool running;         /* the watch runs: a script does */
    int64_t instructions; /* left for this op */
    size_t used;          /* bytes allocated in the state */
    size_t cap;           /* the most that may be, while a script runs */
    size_t allocated;     /* since the watch was looked at last */
    unsigned refusals;    /* allocations refused in this op */
    unsigned grants;      /* nesting of hf__budget_grant */
    size_t granted_from;
} hf__budget;

/* The allocator of a state with a budget. */
void *hf__budget_allocate(void *budget, void *memory, size_t old_size, size_t size);

/* Begins an op's budget anew, and forgets what was spent before. The watch stands. */
void hf__budget_begin(hf__budget *budget);

/* Starts and stops the watch: it runs in Lua, and stands in the terminal and in other people's code. */
void hf__budget_resume(hf__budget *budget);
void hf__budget_pause(hf__budget *budget);

/* Around what the engine itself puts into the state: it is beyond the cap, and raises it by as much. */
void hf__budget_grant(hf__budget *budget);
void hf__budget_granted(hf__budget *budget);

/* Throws where the state is spent. */
void l_budget_check(lua_State *L, hf__budget *budget);

/* Charges work done in C, in instructions; throws where that spends the budget. */
void l_budget_charge(lua_State *L, hf__budget *budget, size_t work);

/* What it says of itself: "went past its time budget of 1000 ms", ... */
void hf__budget_describe(const hf__budget *budget, char *message, size_t size);

#endif
