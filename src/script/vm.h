/* A Lua state that runs layers: the store's own, or one of the host's; and the ONE protected call. */
#ifndef HF_SCRIPT_VM_H
#define HF_SCRIPT_VM_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "script/budget.h"
#include "script/names.h"

struct hf__frame;
struct hf__call;

/* A layer's turn, and what was left, and in use, when it began: the time as of the last look at the watch. */
typedef struct hf__turn {
    size_t position;
    const char *op;
    int64_t time, instructions;
    size_t used;
} hf__turn;

/* Each takes several C levels of Lua's two hundred. */
enum { HF__MOST_TURNS = 80 };

/* One op's stay in one state. An op of another store may run within it, on a host's state. */
typedef struct hf__visit {
    struct hf__vm *vm;
    struct hf__frame *frame;
    struct hf__call *live; /* the call of the layer that runs; NULL when none does */
    struct hf__call *over; /* calls that are over: their memory is used again */
    const char *(*name_of)(const struct hf__frame *frame, size_t layer); /* the name of a layer */
    struct hf__visit *outer; /* the op around it in the same state */
    struct hf__visit *next;  /* the same op's stay in another state */
    uint64_t generation;     /* what a `ctx` or `next` must bear to be of this op */
    int shared;              /* registry references, LUA_NOREF until needed: ctx.shared, */
    int after; /* and the functions to call after the commit, each behind its layer's position */
    lua_Integer after_count; /* of both */
    size_t layer;            /* the position of the layer that runs; SIZE_MAX for none */
    const char *op;          /* the name of the op that it was given */
    const hf_op *given;      /* what the state was entered with last, checked */
    size_t brought;          /* while the op waits for a commit: hf__budget_park */
    size_t turns_count;      /* turns in one another; kept for states with a budget */
} hf__visit;

typedef struct hf__vm {
    lua_State *L;         /* where to call in: the main thread, or the coroutine that runs just now */
    bool own;             /* the store's own, and closed with it */
    hf__budget *budget;   /* NULL for a state whose scripts are trusted */
    hf__visit *visit;     /* the innermost op that runs here */
    uint64_t generations; /* of visits, and */
    uint64_t serials;     /* of calls, so far */
    unsigned catching;    /* pcall and xpcall that run within each other, of scripts with a budget */
    hf__budget
        *memory; /* what counts the state's memory, with or without a budget; NULL for a host's state */
    hf__names names;
    hf__turn turns[HF__MOST_TURNS]; /* of the visit; a state with a budget has but one that is not parked */
} hf__vm;

/* A state of the store's own, with budgets unless `limits` is NULL. NULL where memory ran out. */
hf__vm *hf__vm_new(const hf__budget_limits *limits);
void hf__vm_free(hf__vm *vm);

/* The vm of the state that L belongs to; a host's state gets one at its first use. [-0, +0] */
hf__vm *l_vm_of(lua_State *L);

/* Makes room for so many more values on the stack. Where there is none memory has run out, long before the stack's own
 * bound, and that is thrown; luaL_checkstack says "stack overflow". [-0, +0] */
void l_room(lua_State *L, int count);

/* The error of a budget that is spent, made when it is first asked for. [-0, +1] */
void l_push_breach(lua_State *L, hf__budget *budget);

/* Gives the error table on the top the layer and the op that run just now. [-0, +0] */
void l_say_where(lua_State *L);

/* Makes an error table of what was raised without asking the handler, which is on the top. [-1, +1] */
void l_describe_unhandled(lua_State *L);

/* Calls the function below the `arguments` on the top as lua_pcall does. Whatever was raised arrives as an
 * error table, filled in with the layer that raised it and a traceback. The guarded call wants what l_push_handler
 * pushes below the function, leaves it there, and takes the state's budget, or NULL. */
int l_protected_call(lua_State *L, int arguments, int results);
void l_push_handler(lua_State *L);
static inline int l_guarded_call(lua_State *L, hf__budget *budget, int arguments, int results) {
    unsigned grants = budget != NULL ? budget->grants : 0;
    int status = lua_pcall(L, arguments, results, lua_gettop(L) - arguments - 1);
    if (status != LUA_OK && lua_type(L, -1) != LUA_TTABLE) l_describe_unhandled(L);
    if (budget != NULL) budget->grants = grants;
    return status;
}

/* Enters a state from C: runs `body` with `data` as a light userdata, and the value at `index` of the stack
 * where that is not 0, protected. The one way in. What was raised ends in `err`; nothing is left on the stack. */
int hf__lua_enter(lua_State *L, lua_CFunction body, void *data, int index, hf_error *err);

#endif
