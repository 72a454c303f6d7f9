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
#include "script/spares.h"

typedef struct hf__budget_limits {
    int64_t time_ns;
    int64_t instructions;
    size_t memory;
} hf__budget_limits;

typedef struct hf__budget {
    lua_State *L; /* the state's main thread: the sandbox has no others */
    hf__budget_limits limits;
    hf_code spent;        /* HF_OK, or why nothing more runs: HF_TIMEOUT or HF_MEMORY */
    bool told;            /* its error has been made (l_push_breach) */
    int interval;         /* instructions between two looks at the budget */
    int64_t deadline;     /* on the monotonic clock, while the watch runs and has been read; else 0 */
    int64_t time_left;    /* when the watch was read last */
    bool running;         /* the watch runs: a script does */
    int64_t instructions; /* left for this op */
    size_t used;          /* bytes allocated in the state */
    size_t cap;           /* the most that may be, while a script runs */
    size_t allocated;     /* bytes, and */
    size_t unwatched;     /* instructions, since the watch was looked at last */
    struct {
        bool open; /* Lua has not asked again since */
        const void *memory;
        size_t size;
    } refusal;
    bool crowded;    /* what was refused last: more names in one table than are allowed */
    bool texts_only; /* a function runs that makes texts and no tables */
    unsigned grants; /* nesting of hf__budget_grant */
    size_t granted_from;
    size_t brought; /* bytes granted for the op that runs, all of a batch's ops together */
    size_t
        waiting;   /* bytes granted for ops that wait for a commit, and whose functions may still hold them */
    size_t logged; /* bytes that went to the log in this op */
    hf__spares spares;
} hf__budget;

/* The most names, and other keys that are no list positions, that a table of a script has room for. Lua 5.4 moves
 * them one by one when a table grows, and integers can be chosen so that each move walks past all before it:
 * 65,536 take a second, 1,048,576 four minutes, in one instruction. */
#define HF__MAX_KEYS ((size_t)1 << 16)

/* The allocator of a state with a budget. */
void *hf__budget_allocate(void *budget, void *memory, size_t old_size, size_t size);

/* Begins an op's budget anew, and forgets what was spent before. The watch stands. */
void hf__budget_begin(hf__budget *budget);

/* Starts and stops the watch: it runs in Lua, and stands in the terminal and in other people's code. One that is
 * started unread counts from the first look at it: what few instructions come before are free, so that an op which
 * takes no time is not measured. Only for what a script cannot repeat. */
void hf__budget_resume(hf__budget *budget);
void hf__budget_resume_unread(hf__budget *budget);
void hf__budget_pause(hf__budget *budget);

/* Around what the engine itself puts into the state: it is beyond the cap, and raises it by as much. */
void hf__budget_grant(hf__budget *budget);
void hf__budget_granted(hf__budget *budget);

/* An op begins, with nothing brought; it waits for a commit, while others run, and then goes on. What it brought, which
 * the first answers, stays beyond the cap of the others. */
void hf__budget_arrive(hf__budget *budget);
size_t hf__budget_park(hf__budget *budget);
void hf__budget_unpark(hf__budget *budget, size_t brought);

/* Whether there is room for further ops beside those that wait: scripts, too, may have made much for later. */
bool hf__budget_has_room(const hf__budget *budget);

/* Whether it is: a refusal that Lua took is enough. */
bool hf__budget_is_spent(hf__budget *budget);

/* Throws where the state is spent. */
void l_budget_check(lua_State *L, hf__budget *budget);

/* Charges work done in C, in instructions; throws where that spends the budget. A fee is charged without a look at the
 * watch, and makes up for what is not seen. */
void l_budget_charge(lua_State *L, hf__budget *budget, size_t work);
void l_budget_fee(lua_State *L, hf__budget *budget, size_t work);

/* Looks at the watch where so much was allocated since the last look that an instruction may have taken long. */
void hf__budget_glance(hf__budget *budget);

/* The time that is left. */
int64_t hf__budget_time_left(const hf__budget *budget);

/* Throws, the budget being spent, where `size` more bytes would go past the memory. For memory of C's own. */
void l_budget_room(lua_State *L, hf__budget *budget, size_t size);

/* How many bytes more a script may have; SIZE_MAX without a budget. */
size_t hf__budget_left(const hf__budget *budget);

/* Whether a record of `bytes` may still go to the log of the host: 1; -1 for the first that may not, then 0. */
int hf__budget_may_log(hf__budget *budget, size_t bytes);

/* What it says of itself: "went past its time budget of 1000 ms", ... */
void hf__budget_describe(const hf__budget *budget, char *message, size_t size);

#endif
