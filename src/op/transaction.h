/*
 * The transaction of an op over any terminal: begun at the first touch, with points to come back to, and with
 * the retry of what is transient. It may stay open behind an op, and the next ones join it: each is a guest, whose
 * part begins at a mark and is undone alone.
 */
#ifndef HF_OP_TRANSACTION_H
#define HF_OP_TRANSACTION_H

#include "op/record.h"

typedef struct hf__transaction {
    const hf_terminal *terminal;
    bool checks_answers; /* the terminal is the host's own */
    bool wants_write;    /* the op that runs is a write: the lock is taken at the first touch */
    /* Whether it is to stay open behind an op that ended well, for others to join. NULL: never. */
    bool (*stays)(void *data);
    void *stays_data;
    enum { HF__IDLE, HF__READING, HF__WRITING } phase;
    int broken; /* the code of an undo or release that failed: all that is left is to roll back; else 0 */
    int broken_sqlite_code;
    char broken_message[256];

    /* Of the op that runs. */
    enum {
        HF__OWNER,
        HF__GUEST_OUTSIDE,
        HF__GUEST_INSIDE
    } part;         /* who began it; a guest before and behind its mark */
    bool touched;   /* it was at the terminal, so that what it tells depends on the commit */
    bool seen;      /* a layer has seen a result of it: no silent second try */
    unsigned marks; /* HF__MARK_OWN that were set and not ended */
    bool due; /* the newest of them is to be the terminal's at the next write: nothing was written since */
} hf__transaction;

/* Makes ready for the next op: inside the transaction where one stayed open, else for one of its own. */
void hf__transaction_next(hf__transaction *txn, bool wants_write);

/* Begins it, for writing where `wants_write` is set, and tries again where the failure is transient. Only for those
 * who touch the terminal otherwise than by ops: hf__transaction_exec begins by itself. */
int hf__transaction_begin(hf__transaction *txn, hf_error *err);

/* Runs one op, of any kind but batch, on the terminal. Transient failures are tried again where nobody
 * has seen a result of this transaction. */
int hf__transaction_exec(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                         hf_error *err);

/* A point to come back to. HF__MARK_START costs nothing: nothing had been written, so that a rollback leads
 * back to it. It outlives the change from a reading to a writing transaction, which a terminal's mark would
 * not. HF__MARK_OWN becomes a mark of the terminal's at the first write behind it. HF__MARK_SHARED is the point
 * of the last one around it that is not: either nothing was written in between, or whoever set it does not go on after a
 * failure, so that what is around it is undone as well. */
typedef enum hf__mark { HF__MARK_START, HF__MARK_OWN, HF__MARK_SHARED } hf__mark;

/* Each mark that was set is ended by exactly one of release (all is well) and undo (what came after is
 * gone). `may_go_on`: whether anybody may, after the undo, before an outer mark is undone. */
int hf__transaction_mark(hf__transaction *txn, bool may_go_on, hf__mark *mark, hf_error *err);
int hf__transaction_release(hf__transaction *txn, hf__mark mark, hf_error *err);
void hf__transaction_undo(hf__transaction *txn, hf__mark mark);

/* The op ended well. A guest's part becomes one with the rest; an owner's transaction stays open, or is committed. */
int hf__transaction_end(hf__transaction *txn, hf_error *err);

/* The op failed: what it did is undone. A guest leaves the rest as it is, unless that breaks it. */
void hf__transaction_rollback(hf__transaction *txn);

/* Commits all of it. A commit that fails has rolled back. */
int hf__transaction_commit(hf__transaction *txn, hf_error *err);

/* An op that no layer sees, from begin to end, tried again as a whole where the failure is transient. On
 * failure it is undone, and `result` is empty. */
int hf__transaction_whole(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                          hf_error *err);

#endif
