/*
 * What happened to one op, layer by layer: kept only while somebody listens, for the trace and for explain.
 */
#ifndef HF_CHAIN_TRACE_H
#define HF_CHAIN_TRACE_H

#include <lua.h>

#include "base/arena.h"
#include "op/record.h"

/* One call of a layer, or of the terminal. */
typedef struct hf__step {
    const char *layer; /* NULL: the terminal */
    const char *op;    /* the op that it was given */
    unsigned depth;    /* how many steps are around it */
    int64_t begun;     /* ns on the monotonic clock */
    int64_t spent;     /* ns, the steps within included */
    int64_t within;    /* ns of the steps within */
    bool passed;       /* it called next */
    bool refused;      /* it refused the op */
    bool tolerated;    /* its error was logged, and passed over */
    /* As JSON, absent where there was none, or, with a size, where it was left out: the op that it was given and the one
     * that it handed on, the answer that it got and the one that it gave. */
    hf_text given, handed, got, gave;
    char code[64];       /* of the error that came out of it; "" for none */
    char below_code[64]; /* of the last error that came from below */
    struct hf__step *outer, *next;
} hf__step;

typedef struct hf__trace {
    hf__arena arena;
    hf__step *first, *last; /* in the order in which they began */
    hf__step *open;         /* the innermost that has not ended */
    int64_t spent;          /* ns, on reading tables */
} hf__trace;

/* All of these do nothing for a trace, or a step, that is NULL: nobody listens, or memory ran out. */

hf__step *hf__trace_begin(hf__trace *trace, const char *layer, const char *op);

/* Ends the steps above `outer`, the innermost first. `code` is what came out of them, NULL for an answer. */
void hf__trace_end(hf__trace *trace, hf__step *outer, const char *code);

/* Notes that an error came to the innermost open step from below. */
void hf__trace_error_below(hf__trace *trace, const char *code);

/* What is in flight, as JSON in the trace's memory: from C, and from a table of Lua. */
hf_text hf__trace_op(hf__trace *trace, const hf_op *op);
hf_text hf__trace_result(hf__trace *trace, const hf_result *result);
hf_text hf__trace_table(hf__trace *trace, lua_State *L, int index);

/* "passed", "rewrote", "answered", "refused" or "failed". */
const char *hf__step_did(const hf__step *step);

#endif
