/*
 * The way of one op through the chain. A frame on the C stack holds whatever C owns while Lua may
 * throw; it is emptied when the op ends, however it ended.
 */
#ifndef HF_CHAIN_FRAME_H
#define HF_CHAIN_FRAME_H

#include "base/arena.h"
#include "chain/chain.h"
#include "chain/trace.h"
#include "op/host.h"
#include "op/transaction.h"

/* An op and its answer in C, on the way between Lua and what is below. */
typedef struct hf__hop {
    hf_op op;
    hf_result result;
    hf__arena arena; /* whatever the crossing needs */
    struct hf__hop *next;
} hf__hop;

/* A function that waits for the commit: whose list it is in. */
typedef struct hf__after {
    hf__visit *visit;
    struct hf__after *older;
} hf__after;

typedef struct hf__frame {
    hf__chain *chain;
    hf__transaction *txn;
    hf__host *host;
    const hf_context *context; /* NULL for none */
    hf__arena arena;
    hf__hop *used, *unused;
    unsigned depth;
    size_t
        batch_from; /* the position at which the ops of a batch begin: below the layer that made it, if any */
    hf__trace *trace; /* NULL: nobody listens */
    bool dry_run;
    bool failed;       /* what a layer in Lua gave down has failed: it may try again and again */
    hf__visit *visits; /* one for each state that it has entered */
    hf__after *after, *unused_after; /* the functions that wait for the commit, the newest first */
    bool checked;                    /* the answer that came up last is as the terminal gave it */
    hf_result answer;                /* the last one that came up into a state, until it goes on as it was, */
    bool answer_checked;             /* and whether it had been checked */
} hf__frame;

/* Runs `op`, checked and with its id, through the chain, and checks the answer. */
int hf__frame_run(hf__frame *frame, const hf__op_def *def, const hf_op *op, hf_result *result, hf_error *err);

/* Whether functions wait for the commit: then the frame cannot be ended before it. */
bool hf__frame_awaits(const hf__frame *frame);

/* Takes the frame out of its states while other ops run there, and puts it back. */
void hf__frame_park(hf__frame *frame);
void hf__frame_resume(hf__frame *frame);

/* Runs the functions that wait for the commit, where it came, and empties the frame. */
void hf__frame_end(hf__frame *frame, bool committed);

/* ---- For the files of this room ---------------------------------------------------------------- */

/* Gives `op`, which has been checked, to the layers from position `from` on, or to the terminal below them. */
int hf__frame_descend(hf__frame *frame, size_t from, const hf__op_def *def, const hf_op *op,
                      hf_result *result, hf_error *err);

/* The layer at or after `from` that wants the kind; chain->count for none. */
size_t hf__frame_next(const hf__frame *frame, size_t from, hf__kind kind);

/* Whether a layer that was given `given` may hand on `next`: a read must not become a write. */
int hf__frame_may_become(const hf__op_def *given, const hf__op_def *next, hf_error *err);

const char *hf__frame_layer_name(const hf__frame *frame, size_t position);

/* One op's stay in the vm: begun at the first crossing. NULL where memory ran out. */
hf__visit *hf__frame_visit(hf__frame *frame, hf__vm *vm);

/* A hop of the frame's own, and its return once nothing shows it any more. NULL where memory ran out. */
hf__hop *hf__frame_take_hop(hf__frame *frame);
void hf__frame_return_hop(hf__frame *frame, hf__hop *hop);

/* Notes that one more function of the visit's list waits for the commit; false where memory ran out. And, what they came
 * with being undone, forgets those that came after `last`, in whichever state. */
bool hf__frame_wait(hf__visit *visit);
void hf__frame_forget(hf__frame *frame, const hf__after *last);

/* A record of a layer's, or about an error that goes no further, to the host's log; scripts with a budget are bounded
 * in what they may log for one op. */
void hf__frame_log(const hf__visit *visit, hf_level level, const char *layer, const char *message,
                   hf_text fields);
void hf__frame_log_error(const hf__visit *visit, const char *what, const hf_error *err);

/* The Lua side: runs the layer at `position`, which lives in a vm. */
int hf__lua_layer_run(hf__frame *frame, size_t position, const hf__op_def *def, const hf_op *op,
                      hf_result *result, hf_error *err);

/* One call of a Lua layer, in the frame's arena. Its `next` and its `ctx` may be kept for longer than it lasts: they
 * know it by its serial number. */
typedef struct hf__call {
    struct hf__call *outer; /* the call around it, of the same visit */
    uint64_t serial;        /* in the state that it runs in */
    const hf__op_def *def;
    hf__step *step; /* of the trace, or NULL; good as long as the op */
    uint32_t position;
    unsigned catching; /* the vm's, when it began */
    bool passing;      /* within next */
    bool passed;       /* next has succeeded */
    bool refused;      /* ctx:reject was called */
} hf__call;

/* The `ctx` of the call. [-0, +1] (context.c) */
void l_push_context_of(lua_State *L, const hf__visit *visit, const hf__call *call);
/* The call of that number where its layer runs just now; throws where it does not, or not any more. `what` is the
 * function that needs it to be. */
hf__call *l_live_call(lua_State *L, hf__vm *vm, uint64_t serial, const char *what);

/* Gives the op table at `index` to the layers below the call's, for `next` or (nested) for `exec`. Returns
 * LUA_OK with the answer's table on the top, or, all they did being undone, another status with the error. [-0, +1] */
int l_descend(lua_State *L, hf__call *call, hf__visit *visit, int index, bool nested);

#endif
