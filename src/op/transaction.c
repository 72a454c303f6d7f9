/*
 * An op's transaction over any terminal, its own or one that it joins: when it begins, what is tried again, and the
 * points to come back to. Who may call when, and when it stays open, is left to the engine; SQL to the terminal.
 */
#define _POSIX_C_SOURCE 200809L /* nanosleep */

#include "op/transaction.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "op/check.h"

enum { RETRIES = 3, WAIT_MS = 50 };

static bool is_transient(int code) {
    return code == HF_BUSY || code == HF_IO;
}

/* Waits 50, 100, 150 ms before the retry 0, 1, 2. */
static void wait_before(int retry) {
    struct timespec left = {0, (long)(retry + 1) * WAIT_MS * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

static void forget_error(hf_error *err) {
    if (err != NULL) memset(err, 0, sizeof *err);
}

void hf__transaction_next(hf__transaction *txn, bool wants_write) {
    txn->wants_write = wants_write;
    txn->part = txn->phase == HF__IDLE ? HF__OWNER : HF__GUEST_OUTSIDE;
    txn->touched = txn->seen = txn->due = false;
    txn->marks = 0;
}

/* ---- What cannot be undone --------------------------------------------------------------------- */

static void break_off(hf__transaction *txn, int code, const hf_error *why) {
    txn->broken = hf_code_name(code) != NULL ? code : HF_INTERNAL; /* it came from a terminal of any make */
    txn->broken_sqlite_code = why->sqlite_code;
    hf__error_copy(txn->broken_message, sizeof txn->broken_message, why->message, strlen(why->message), 1);
}

static int fail_broken(const hf__transaction *txn, hf_error *err) {
    hf__fail(err, (hf_code)txn->broken, "an earlier step of this transaction could not be undone: %s",
             txn->broken_message);
    if (err != NULL) err->sqlite_code = txn->broken_sqlite_code;
    return txn->broken;
}

static void undo_mark(hf__transaction *txn) {
    const hf_terminal *terminal = txn->terminal;
    if (txn->broken || terminal->undo == NULL) return;
    hf_error why = {0};
    int code = terminal->undo(terminal->data, &why);
    if (code != HF_OK) break_off(txn, code, &why);
}

static int release_mark(hf__transaction *txn, hf_error *err) {
    const hf_terminal *terminal = txn->terminal;
    if (txn->broken) return fail_broken(txn, err);
    if (terminal->release == NULL) return HF_OK;
    hf_error why = {0};
    int code = terminal->release(terminal->data, &why);
    if (code == HF_OK) return HF_OK;
    break_off(txn, code, &why); /* the mark may still be there, and an outer undo would stop at it */
    if (err != NULL) *err = why;
    return code;
}

static void roll_back(hf__transaction *txn) {
    if (txn->phase != HF__IDLE && txn->terminal->rollback != NULL) {
        txn->terminal->rollback(txn->terminal->data);
    }
    txn->phase = HF__IDLE;
    txn->broken = HF_OK;
}

void hf__transaction_rollback(hf__transaction *txn) {
    txn->marks = 0;
    txn->due = false;
    if (txn->part == HF__OWNER) {
        roll_back(txn);
        return;
    }
    if (txn->part == HF__GUEST_INSIDE) undo_mark(txn);
    txn->part = HF__GUEST_OUTSIDE;
}

/* Whether the op has a part in it to which more can be added. */
static bool is_begun(const hf__transaction *txn) {
    return txn->part == HF__OWNER ? txn->phase != HF__IDLE : txn->part == HF__GUEST_INSIDE;
}

/* ---- One try at each step ---------------------------------------------------------------------- */

/* A terminal of the host's may fail without saying why, and what it was given to say it in may be no error yet. */
static void clear_for_host(const hf__transaction *txn, hf_error *err) {
    if (txn->checks_answers) forget_error(err);
}

static int settle_host_error(const hf__transaction *txn, int code, hf_error *err) {
    if (code == HF_OK || !txn->checks_answers || (err != NULL && err->code == code)) return code;
    if (hf_code_name(code) == NULL)
        return hf__fail(err, HF_INTERNAL, "the terminal returned %d: expected an hf_code", code);
    return hf__fail(err, (hf_code)code, "the terminal returned %s without saying why", hf_code_name(code));
}

static int try_mark(hf__transaction *txn, hf_error *err) {
    const hf_terminal *terminal = txn->terminal;
    if (terminal->mark == NULL) return HF_OK;
    clear_for_host(txn, err);
    return settle_host_error(txn, terminal->mark(terminal->data, err), err);
}

static int try_join(hf__transaction *txn, hf_error *err) {
    if (txn->broken) return fail_broken(txn, err);
    int code = try_mark(txn, err);
    if (code == HF_OK) txn->part = HF__GUEST_INSIDE;
    return code;
}

static int try_begin(hf__transaction *txn, bool write, hf_error *err) {
    const hf_terminal *terminal = txn->terminal;
    txn->touched = true;
    if (txn->part != HF__OWNER) return try_join(txn, err);
    txn->phase = write ? HF__WRITING : HF__READING;
    clear_for_host(txn, err);
    int code = terminal->begin != NULL ? terminal->begin(terminal->data, write, err) : HF_OK;
    code = settle_host_error(txn, code, err);
    if (code != HF_OK) roll_back(txn);
    return code;
}

static int try_exec(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                    hf_error *err) {
    result->op = def->name;
    clear_for_host(txn, err);
    int code = txn->terminal->exec(txn->terminal->data, op, result, err);
    code = settle_host_error(txn, code, err);
    if (code != HF_OK || !txn->checks_answers) return code;
    code = hf__result_check(def, result, err);
    if (code != HF_OK) hf__error_prefix(err, "the terminal's answer: ");
    return code;
}

/* The same for an op of any kind: those of a batch one by one. */
static int try_all(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                   hf_error *err) {
    if (def->kind != HF__KIND_batch) return try_exec(txn, def, op, result, err);
    result->op = def->name;
    result->results = hf_result_alloc(result, op->ops_count * sizeof *result->results);
    if (result->results == NULL) return hf__fail_memory(err);
    for (size_t i = 0; i < op->ops_count; i++) {
        const hf_op *inside = &op->ops[i];
        result->results_count = i + 1;
        int code =
            try_exec(txn, hf__op_find(inside->op, strlen(inside->op)), inside, &result->results[i], err);
        if (code == HF_OK) continue;
        hf__error_in_batch(err, inside, i);
        return code;
    }
    return HF_OK;
}

static int try_commit(hf__transaction *txn, hf_error *err) {
    const hf_terminal *terminal = txn->terminal;
    clear_for_host(txn, err);
    int code = terminal->commit != NULL ? terminal->commit(terminal->data, err) : HF_OK;
    code = settle_host_error(txn, code, err);
    if (code == HF_OK) txn->phase = HF__IDLE;
    return code;
}

/* Makes ready for another try of all that the op did; `err` stays where that cannot be. */
static bool start_over(hf__transaction *txn, hf_result *result, int retry, hf_error *err) {
    hf__transaction_rollback(txn);
    hf_result_free(result);
    if (txn->broken) return false;
    forget_error(err);
    wait_before(retry);
    return true;
}

int hf__transaction_begin(hf__transaction *txn, hf_error *err) {
    for (int retry = 0;; retry++) {
        int code = try_begin(txn, txn->wants_write, err);
        if (code == HF_OK || !is_transient(code) || retry == RETRIES) return code;
        forget_error(err);
        wait_before(retry);
    }
}

/* ---- Exec and commit --------------------------------------------------------------------------- */

int hf__transaction_exec(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                         hf_error *err) {
    if (txn->broken) return fail_broken(txn, err);
    bool write = txn->wants_write || def->writes;
    if (txn->phase == HF__READING && write) {
        int code = hf__transaction_commit(txn, err);
        if (code != HF_OK) return code;
    }
    bool whole = !is_begun(txn); /* nothing that this op did precedes it */
    for (int retry = 0;; retry++) {
        int code = whole ? try_begin(txn, write, err) : HF_OK;
        bool begun = code == HF_OK;
        if (begun && txn->due && def->writes) {
            code = try_mark(txn, err);
            txn->due = code != HF_OK;
        }
        if (code == HF_OK) code = try_exec(txn, def, op, result, err);
        if (code == HF_OK) {
            txn->seen = true;
            return HF_OK;
        }
        bool again = whole && (!begun || !txn->seen) && is_transient(code) && retry < RETRIES;
        if (!again || !start_over(txn, result, retry, err)) return code;
    }
}

int hf__transaction_commit(hf__transaction *txn, hf_error *err) {
    if (txn->phase == HF__IDLE) return HF_OK;
    int code = txn->broken ? fail_broken(txn, err) : try_commit(txn, err);
    for (int retry = 0; code == HF_BUSY && !txn->broken && retry < RETRIES; retry++) {
        forget_error(err);
        wait_before(retry);
        code = try_commit(txn, err);
    }
    if (code != HF_OK) roll_back(txn);
    return code;
}

static bool stays_open(const hf__transaction *txn) {
    return txn->phase == HF__WRITING && !txn->broken && txn->stays != NULL && txn->stays(txn->stays_data);
}

int hf__transaction_end(hf__transaction *txn, hf_error *err) {
    if (txn->part == HF__OWNER) return stays_open(txn) ? HF_OK : hf__transaction_commit(txn, err);
    if (txn->part == HF__GUEST_OUTSIDE) return txn->broken ? fail_broken(txn, err) : HF_OK;
    txn->part = HF__GUEST_OUTSIDE;
    return release_mark(txn, err);
}

int hf__transaction_whole(hf__transaction *txn, const hf__op_def *def, const hf_op *op, hf_result *result,
                          hf_error *err) {
    for (int retry = 0;; retry++) {
        int code = try_begin(txn, txn->wants_write || def->writes, err);
        if (code == HF_OK) code = try_all(txn, def, op, result, err);
        if (code == HF_OK && txn->part != HF__OWNER)
            code = hf__transaction_end(txn, err);
        else if (code == HF_OK && !stays_open(txn))
            code = try_commit(txn, err);
        if (code == HF_OK) return HF_OK;
        if (!is_transient(code) || retry == RETRIES) {
            hf__transaction_rollback(txn);
            hf_result_free(result);
            return code;
        }
        if (!start_over(txn, result, retry, err)) return code;
    }
}

/* ---- Points to come back to -------------------------------------------------------------------- */

int hf__transaction_mark(hf__transaction *txn, bool may_go_on, hf__mark *mark, hf_error *err) {
    *mark = HF__MARK_START;
    if (txn->broken) return fail_broken(txn, err);
    if (txn->phase != HF__WRITING || !is_begun(txn)) return HF_OK;
    *mark = HF__MARK_SHARED;
    if (txn->due || !may_go_on) return HF_OK;
    *mark = HF__MARK_OWN;
    txn->marks++;
    txn->due = true;
    return HF_OK;
}

int hf__transaction_release(hf__transaction *txn, hf__mark mark, hf_error *err) {
    if (txn->broken) return fail_broken(txn, err);
    if (mark != HF__MARK_OWN) return HF_OK;
    bool nothing = txn->due;
    txn->marks--;
    txn->due = false;
    return nothing ? HF_OK : release_mark(txn, err);
}

void hf__transaction_undo(hf__transaction *txn, hf__mark mark) {
    if (mark == HF__MARK_START || txn->marks == 0) {
        hf__transaction_rollback(txn);
        return;
    }
    if (!txn->due) undo_mark(txn);
    if (mark == HF__MARK_OWN) txn->marks--;
    txn->due = mark != HF__MARK_OWN; /* the terminal's is gone, and the point still there */
}
