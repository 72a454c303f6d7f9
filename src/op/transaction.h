/*
 * The transaction of one op over any terminal: begun at the first touch, with points to come back to,
 * and with the retry of what is transient.
 */
#ifndef HF_OP_TRANSACTION_H
#define HF_OP_TRANSACTION_H

#include "op/record.h"

typedef struct hf__transaction {
    const hf_terminal *terminal;
    bool checks_answers; /* the terminal is the host's own */
    bool wants_write;    /* the host's op is a write: the lock is taken at the first touch */
    enum { HF__IDLE, HF__READING, HF__WRITING } phase;
    bool seen;  /* a layer has seen a result of it: no silent second try */
    int broken; /* the code of an undo or release that failed: all that is left is to roll back; else 0 */
    int broken_sqlite_code;
    char broken_message[256];
} hf__transaction;

/* Begins it, for writing where `wants_write` is set, and tries again where the failure is transient. Only for those
 * who touch the terminal otherwise than by ops: hf__transaction_exec begins by itself. */
int hf__transaction_begin(hf__transaction *txn, hf_error *err);

/* Runs one op, of any kind but batch, on the terminal. Transient failures are tried again where nobody
 * has seen a result of this transaction. */
int hf__transaction_exec(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                         hf_error *err);

/* A point to come back to. HF__MARK_START costs nothing: nothing had been written, so that a rollback leads
 * back to it. It outlives the change from a reading to a writing transaction, which a terminal's mark would
 * not. */
typedef enum hf__mark { HF__MARK_START, HF__MARK_INSIDE } hf__mark;

/* Each mark that was set is ended by exactly one of release (all is well) and undo (what came after is
 * gone). */
int hf__transaction_mark(hf__transaction *txn, hf__mark *mark, hf_error *err);
int hf__transaction_release(hf__transaction *txn, hf__mark mark, hf_error *err);
void hf__transaction_undo(hf__transaction *txn, hf__mark mark);

/* Ends it. A commit that fails has rolled back. */
int hf__transaction_commit(hf__transaction *txn, hf_error *err);
void hf__transaction_rollback(hf__transaction *txn);

/* An op that no layer sees, from begin to commit, tried again as a whole where the failure is transient. On
 * failure it has rolled back, and `result` is empty. */
int hf__transaction_whole(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                          hf_error *err);

#endif
