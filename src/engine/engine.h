/*
 * A store: the terminal, the chain above it, and whose turn it is. Ops run one at a time; those that wait run in the
 * transaction of the writer before them, and one commit answers them all. What a layer wants runs on its caller's thread.
 */
#ifndef HF_ENGINE_ENGINE_H
#define HF_ENGINE_ENGINE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/home.h"
#include "chain/frame.h"

/* ---- The turn (turn.c) ------------------------------------------------------------------------- */

/* A thread's place: in the line for the store, and then among those who wait for a commit. */
typedef struct hf__seat {
    struct hf__seat *next;
    sem_t called;             /* it may go on: it has the turn, or its op is done and it wants no more */
    struct hf__seat *callees; /* whom it calls, when it was called itself */
    struct hf__job *job;      /* an op that whoever has the turn may run for it; NULL for none */
    bool alone;               /* it wants the store for itself, no transaction open */
    bool has_turn;            /* it is the one inside */
    bool again;               /* it wants the turn once more when the outcome is known */
    int outcome;              /* of the commit that it shared */
    hf_error why;             /* where that is an error */
} hf__seat;

typedef struct hf__seats {
    hf__seat *first, *last;
} hf__seats;

/* Who is inside, who waits to be, and who shares the transaction that stayed open. It is open only while the turn is
 * taken: whoever leaves it open hands the turn on, to an op that runs in it. */
typedef struct hf__line {
    pthread_mutex_t lock;
    bool taken;
    hf__seats waiting, members;
    /* Of who has the turn: */
    bool more;     /* it has further ops to run */
    unsigned ops;  /* that ran in the transaction since it stayed open, the first included */
    int64_t since; /* when the first of them ended, ns */
    int64_t most_ns;
} hf__line;

/* How many ops share a commit at most, and how long the first of them lets others join (line.most_ns). */
enum { HF__MOST_SHARING = 256, HF__MOST_NS_SHARING = 5000000 };

/* What hf_submit took and `done` was not called for yet (submit.c). Under the line's lock, or as is said. */
typedef struct hf__inbox {
    struct hf__order *first, *last;
    struct hf__order *taken; /* out of it, to be run next: the thread's own */
    atomic_size_t count;     /* may fall without the lock */
    size_t most;
    pthread_cond_t filled;
    pthread_t thread;
    bool started, closing;
    hf__seat seat; /* the thread's */
} hf__inbox;

/* The terminals on which reads go on beside the writer (readers.c). */
typedef struct hf__readers {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct hf__reader *idle;
    size_t open, most;
    _Atomic hf__kinds wanted; /* by the layers of the chain */
} hf__readers;

struct hf_store {
    hf__host host;
    hf_terminal terminal;
    bool host_terminal; /* the host's own: its answers are checked */
    hf__transaction txn;
    hf__chain chain;
    hf__vm *vm; /* NULL until the first script is loaded */
    hf__budget_limits budget;
    bool trusted;      /* scripts run without sandbox and budget */
    hf_trace_fn trace; /* NULL: nobody listens */
    void *trace_data;
    hf__home home;
    _Atomic uintptr_t runner; /* the thread that has the turn, 0 for none */
    _Atomic uintptr_t last;   /* the one that has it or had it last */
    hf__line line;
    hf__inbox inbox;
    hf__readers readers;
};

int hf__line_open(hf__line *line, hf_error *err);
void hf__line_close(hf__line *line);

/* Whether this thread may call the store: HF_MISUSE from inside one of its own layers, or after a fork. */
int hf__engine_check(hf_store *store, hf_error *err);
bool hf__engine_is_inside(const hf_store *store);

/* Takes the store for this thread alone; errors as above. */
int hf__engine_enter(hf_store *store, hf_error *err);
void hf__engine_leave(hf_store *store);

int hf__seat_open(hf__seat *seat, hf_error *err);
void hf__seat_close(hf__seat *seat);

/* Waits for the turn, first come, first served. With a `job`, which is checked, it may return without: then the job was
 * run by another thread, and where it is shared, the outcome is known. */
void hf__turn_take(hf_store *store, hf__seat *seat, bool alone, struct hf__job *job);

/* Takes the turn without waiting, where nobody has it and this thread was the last that had it; whether it did. Given
 * back by hf__engine_leave. */
bool hf__turn_take_again(hf_store *store);

/* Whether a transaction is to stay open behind an op: others wait to join it, and it has room. `data` is the store. */
bool hf__turn_goes_on(void *data);

/* Behind the ops of a turn. Where they left the transaction open, the ops of those who wait run in it, until one needs
 * its own thread, which gets the turn, or all is committed; with a part in it (`shared`) it then waits for the outcome,
 * and where `again` for the turn. */
void hf__turn_share(hf_store *store, hf__seat *seat, bool shared, bool again);

/* Hands the turn on, where the seat still has it. */
void hf__turn_leave(hf_store *store, hf__seat *seat);

/* ---- Reads beside the writer (readers.c) ------------------------------------------------------- */

int hf__readers_open(hf__readers *readers, hf_error *err); /* nothing is open yet; `most` stays */
void hf__readers_close(hf__readers *readers);

/* Tells the readers that the chain is another. */
void hf__readers_note_chain(hf_store *store);

/* Answers a job that is checked without the turn, where it is a read that can do without. Else false, and nothing was
 * done. */
bool hf__readers_answer(hf_store *store, struct hf__job *job);

/* ---- One op (exec.c) --------------------------------------------------------------------------- */

/* An op in the engine's hands: run, and finished when the outcome is known. In between, other ops run. */
typedef struct hf__job {
    const hf_op *op;
    hf_result *result;
    hf_error *err;
    bool traced;  /* somebody listens */
    bool dry_run; /* all is rolled back */
    int rc;
    const hf__op_def *def; /* NULL: the op breaks a rule */
    hf__kinds kinds;       /* its own, and those of the ops inside it */
    bool shared;           /* it has a part in a transaction that stayed open: the outcome is to come */
    bool awaits;           /* functions of its layers wait for the commit */
    hf_op minted;          /* `op` with its ids */
    char id[HF__UUID_SIZE + 1];
    hf__arena arena; /* of the ids in a batch */
    hf__frame frame;
    hf__trace trace;
    int64_t begun; /* ns, where it is traced */
} hf__job;

/* Checks its op: what comes before the turn. Its code is the job's. */
int hf__job_check(const hf_store *store, hf__job *job);

/* Whether no layer wants it and nobody listens, so that it is all the same which thread runs it. With the turn. */
bool hf__job_is_plain(const hf_store *store, const hf__job *job);

/* Runs it, with the turn, unless its check failed. */
void hf__job_run(hf_store *store, hf__job *job);

/* Ends it, with the turn where it needs that again: it then failed with `why` unless `outcome`, that of a commit it
 * shared, is HF_OK. A trace is told; that of a dry run stays for the caller. */
bool hf__job_needs_turn(const hf__job *job);
void hf__job_finish(hf_store *store, hf__job *job, int outcome, const hf_error *why);

/* Runs what was submitted to its end, and takes nothing more. False, and nothing was done, on the store's own thread. */
bool hf__inbox_close(hf_store *store);

/* The record of an op for the host's trace. */
void hf__trace_write(hf__buf *buf, const hf_store *store, const hf__trace *trace, const hf_op *op,
                     const hf_result *result, int64_t spent_ns, const hf_error *err);

/* Hands the text in `buf` to the caller, and frees `buf`. */
int hf__engine_give(hf__buf *buf, hf_json *out, hf_error *err);

/* Makes a layer by `make` and puts it at the inner end of the chain. */
typedef int (*hf__layer_maker)(void *data, hf_store *store, hf__layer_def *out, hf_error *err);
int hf__engine_use(hf_store *store, hf__layer_maker make, void *data, hf_error *err);

#endif
