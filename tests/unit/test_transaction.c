/* An op's transaction over a terminal that fails as its script says: its own, and one that it joins. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "op/transaction.h"

/* Notes each call as a letter: b begin to read, B begin to write, e exec, c commit, r rollback, m mark,
 * l release, u undo. `plan` says how each call of a function ends, HF_OK past its end. */
typedef struct fake {
    char calls[64];
    struct plan {
        int codes[8], next;
    } begin, exec, commit, mark, release, undo;
} fake;

static int answer(fake *f, char letter, struct plan *plan, hf_error *err) {
    f->calls[strlen(f->calls)] = letter;
    int code = plan->next < 8 ? plan->codes[plan->next++] : HF_OK;
    if (code == HF_OK) return HF_OK;
    hf__fail(err, (hf_code)code, "planned at %c", letter);
    if (err != NULL) err->sqlite_code = 99;
    return code;
}

static int fake_begin(void *data, int write, hf_error *err) {
    return answer(data, write ? 'B' : 'b', &((fake *)data)->begin, err);
}

static int fake_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    assert_string_equal(result->op, op->op);
    assert_null(result->memory); /* nothing is left of an earlier try */
    assert_non_null(hf_result_alloc(result, 10));
    return answer(data, 'e', &((fake *)data)->exec, err);
}

static int fake_commit(void *data, hf_error *err) {
    return answer(data, 'c', &((fake *)data)->commit, err);
}

static void fake_rollback(void *data) {
    fake *f = data;
    f->calls[strlen(f->calls)] = 'r';
}

static int fake_mark(void *data, hf_error *err) {
    return answer(data, 'm', &((fake *)data)->mark, err);
}

static int fake_release(void *data, hf_error *err) {
    return answer(data, 'l', &((fake *)data)->release, err);
}

static int fake_undo(void *data, hf_error *err) {
    return answer(data, 'u', &((fake *)data)->undo, err);
}

static fake f;
static hf_terminal terminal = {
    sizeof terminal, &f,           fake_exec, fake_begin, fake_commit, fake_rollback,
    fake_mark,       fake_release, fake_undo, NULL,       NULL,
};
static hf__transaction txn;
static hf_result result;
static hf_error err;

static int set_up(void **state) {
    (void)state;
    memset(&f, 0, sizeof f);
    memset(&err, 0, sizeof err);
    txn = (hf__transaction){.terminal = &terminal};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    hf_result_free(&result);
    return 0;
}

static int run(const char *name) {
    hf_op op = {.op = name};
    hf_result_free(&result);
    return hf__transaction_exec(&txn, hf__op_find(name, strlen(name)), &op, &result, &err);
}

static int run_whole(const char *name) {
    hf_op op = {.op = name};
    hf_result_free(&result);
    return hf__transaction_whole(&txn, hf__op_find(name, strlen(name)), &op, &result, &err);
}

/* Sets a mark, behind which its owner may go on after an undo, or may not. */
static hf__mark set_mark(bool may_go_on) {
    hf__mark mark;
    assert_int_equal(hf__transaction_mark(&txn, may_go_on, &mark, &err), HF_OK);
    return mark;
}

static void release(hf__mark mark) {
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
}

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- Begin and commit -------------------------------------------------------------------------- */

static void test_transaction__begins_at_the_first_touch_and_once(void **state) {
    (void)state;
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    hf__transaction_rollback(&txn);
    assert_string_equal(f.calls, "");
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(run("list"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "beec");
    assert_true(txn.seen);
}

static void test_transaction__a_read_of_a_write_takes_the_lock(void **state) {
    (void)state;
    txn.wants_write = true;
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_rollback(&txn);
    hf__transaction_rollback(&txn);
    assert_string_equal(f.calls, "Beer");
}

static void test_transaction__a_write_after_a_read_begins_anew(void **state) {
    (void)state;
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "becBeec");
}

static void test_transaction__a_terminal_without_transactions_is_enough(void **state) {
    (void)state;
    hf_terminal bare = {.size = sizeof bare, .data = &f, .exec = fake_exec};
    hf__mark mark;
    txn.terminal = &bare;
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_rollback(&txn);
    assert_string_equal(f.calls, "ee");
}

/* ---- Retries ----------------------------------------------------------------------------------- */

static void test_transaction__begin_is_tried_three_more_times_with_growing_waits(void **state) {
    (void)state;
    f.begin = (struct plan){{HF_BUSY, HF_IO, HF_BUSY}, 0};
    int64_t start = now_ms();
    assert_int_equal(run("add"), HF_OK);
    assert_in_range(now_ms() - start, 299, 5000);
    assert_string_equal(f.calls, "BrBrBrBe");
    assert_int_equal(err.code, HF_OK); /* nothing of the failed tries is left in it */
}

static void test_transaction__begin_gives_up_after_the_third_retry(void **state) {
    (void)state;
    f.begin = (struct plan){{HF_BUSY, HF_BUSY, HF_BUSY, HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_BUSY);
    assert_int_equal(err.code, HF_BUSY);
    assert_string_equal(f.calls, "BrBrBrBr");
    assert_int_equal(txn.phase, HF__IDLE);
}

static void test_transaction__begin_is_tried_again_even_if_a_result_was_seen(void **state) {
    (void)state;
    assert_int_equal(run("get"), HF_OK);
    f.begin = (struct plan){{HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_OK);
    assert_string_equal(f.calls, "becBrBe");
}

static void test_transaction__a_permanent_failure_is_not_tried_again(void **state) {
    (void)state;
    f.begin = (struct plan){{HF_FULL}, 0};
    assert_int_equal(run("add"), HF_FULL);
    assert_string_equal(f.calls, "Br");
    f.exec = (struct plan){{HF_CONFLICT}, 0};
    assert_int_equal(run("add"), HF_CONFLICT);
    assert_string_equal(f.calls, "BrBe"); /* undone by whoever set the mark, not here */
    assert_int_equal(txn.phase, HF__WRITING);
    assert_false(txn.seen);
}

static void test_transaction__an_unseen_exec_is_tried_again_with_its_begin(void **state) {
    (void)state;
    f.exec = (struct plan){{HF_IO, HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_OK);
    assert_string_equal(f.calls, "BerBerBe");
}

static void test_transaction__an_exec_gives_up_and_leaves_the_rollback_to_the_caller(void **state) {
    (void)state;
    f.exec = (struct plan){{HF_IO, HF_IO, HF_IO, HF_IO}, 0};
    assert_int_equal(run("add"), HF_IO);
    assert_string_equal(f.calls, "BerBerBerBe");
    hf__transaction_rollback(&txn);
    assert_string_equal(f.calls, "BerBerBerBer");
}

static void test_transaction__an_exec_that_follows_another_is_not_tried_again(void **state) {
    (void)state;
    assert_int_equal(run("add"), HF_OK);
    f.exec = (struct plan){{HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_BUSY);
    assert_string_equal(f.calls, "Bee");
}

static void test_transaction__an_exec_is_not_tried_again_once_a_result_was_seen(void **state) {
    (void)state;
    hf__mark mark;
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, mark);
    f.exec = (struct plan){{HF_IO}, 0};
    assert_int_equal(run("add"), HF_IO); /* the transaction is new, but a layer remembers the old one */
    assert_string_equal(f.calls, "BerBe");
}

static void test_transaction__a_busy_commit_alone_is_tried_again(void **state) {
    (void)state;
    f.commit = (struct plan){{HF_BUSY, HF_BUSY, HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_int_equal(err.code, HF_OK);
    assert_string_equal(f.calls, "Becccc");
}

static void test_transaction__a_failed_commit_has_rolled_back(void **state) {
    (void)state;
    f.commit = (struct plan){{HF_BUSY, HF_BUSY, HF_BUSY, HF_BUSY, HF_IO}, 0};
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_BUSY);
    assert_string_equal(f.calls, "Beccccr");
    assert_int_equal(txn.phase, HF__IDLE);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_IO);
    assert_string_equal(f.calls, "BeccccrBecr");
}

/* ---- The whole of an op that no layer sees ----------------------------------------------------- */

static void test_transaction__a_whole_op_begins_and_commits(void **state) {
    (void)state;
    assert_int_equal(run_whole("get"), HF_OK);
    assert_string_equal(result.op, "get");
    assert_non_null(result.memory);
    hf_result_free(&result);
    assert_int_equal(run_whole("add"), HF_OK);
    assert_string_equal(f.calls, "becBec");
}

static void test_transaction__a_whole_op_is_tried_again_from_any_step(void **state) {
    (void)state;
    f.begin = (struct plan){{HF_BUSY}, 0};
    f.exec = (struct plan){{HF_IO}, 0};
    f.commit = (struct plan){{HF_IO}, 0};
    assert_int_equal(run_whole("add"), HF_OK);
    assert_string_equal(f.calls, "BrBerBecrBec");
    assert_int_equal(err.code, HF_OK);
}

static void test_transaction__a_whole_op_that_fails_leaves_nothing(void **state) {
    (void)state;
    f.commit = (struct plan){{HF_BUSY, HF_BUSY, HF_BUSY, HF_BUSY}, 0};
    assert_int_equal(run_whole("add"), HF_BUSY);
    assert_string_equal(f.calls, "BecrBecrBecrBecr");
    assert_null(result.memory);
    assert_int_equal(txn.phase, HF__IDLE);
    f.exec = (struct plan){{HF_NOT_FOUND}, 0};
    memset(f.calls, 0, sizeof f.calls);
    assert_int_equal(run_whole("add"), HF_NOT_FOUND);
    assert_string_equal(f.calls, "Ber");
    assert_string_equal(err.message, "planned at e");
}

static void test_transaction__a_whole_op_does_not_repeat_an_unknown_outcome(void **state) {
    (void)state;
    f.commit = (struct plan){{HF_UNKNOWN}, 0};
    assert_int_equal(run_whole("add"), HF_UNKNOWN);
    assert_string_equal(f.calls, "Becr");
}

/* ---- Marks ------------------------------------------------------------------------------------- */

static void test_transaction__a_mark_before_the_first_touch_costs_nothing(void **state) {
    (void)state;
    hf__mark mark;
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(mark, HF__MARK_START);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_string_equal(f.calls, "");
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_int_equal(txn.phase, HF__IDLE);
    assert_true(txn.seen);
    assert_string_equal(f.calls, "Ber");
}

static void test_transaction__a_mark_inside_is_the_terminals_from_the_next_write_on(void **state) {
    (void)state;
    assert_int_equal(run("add"), HF_OK);
    hf__mark outer = set_mark(true);
    assert_int_equal(outer, HF__MARK_OWN);
    assert_int_equal(run("get"), HF_OK);
    assert_string_equal(f.calls, "Bee");
    assert_int_equal(run("add"), HF_OK);
    hf__mark inner = set_mark(true);
    assert_int_equal(inner, HF__MARK_OWN);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, inner);
    release(outer);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "Beememeulc");
}

static void test_transaction__a_mark_behind_which_nothing_is_written_costs_nothing(void **state) {
    (void)state;
    assert_int_equal(run("add"), HF_OK);
    release(set_mark(true));
    hf__transaction_undo(&txn, set_mark(true));
    hf__mark outer = set_mark(true), inner = set_mark(true);
    assert_int_equal(run("get"), HF_OK);
    hf__transaction_undo(&txn, inner);
    release(outer);
    assert_int_equal(run("add"), HF_OK);
    assert_string_equal(f.calls, "Beee");
}

static void test_transaction__marks_with_nothing_between_them_are_one(void **state) {
    (void)state;
    assert_int_equal(run("add"), HF_OK);
    hf__mark outer = set_mark(true), inner = set_mark(true), innermost = set_mark(true);
    assert_int_equal(inner, HF__MARK_SHARED);
    assert_int_equal(run("add"), HF_OK);
    release(innermost);
    release(inner);
    release(outer);
    assert_string_equal(f.calls, "Bemel");
    outer = set_mark(true), inner = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, inner);
    assert_string_equal(f.calls, "Bemelmeu");
    inner = set_mark(true); /* a second try */
    assert_int_equal(run("add"), HF_OK);
    release(inner);
    hf__transaction_undo(&txn, outer);
    assert_string_equal(f.calls, "Bemelmeumeu");
    assert_int_equal(run("add"), HF_OK);
    assert_string_equal(f.calls, "Bemelmeumeue");
}

static void test_transaction__who_does_not_go_on_needs_no_mark(void **state) {
    (void)state;
    assert_int_equal(run("add"), HF_OK);
    release(set_mark(false));
    hf__mark outer = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__mark inner = set_mark(false);
    assert_int_equal(inner, HF__MARK_SHARED);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, inner);
    assert_string_equal(f.calls, "Bemeeu");
    assert_int_equal(run("add"), HF_OK); /* as the error leaves it: undone as well */
    hf__transaction_undo(&txn, outer);
    assert_string_equal(f.calls, "Bemeeumeu");
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, set_mark(false));
    assert_string_equal(f.calls, "Bemeeumeuer"); /* there is none around it */
    assert_int_equal(txn.phase, HF__IDLE);
}

static void test_transaction__a_mark_set_while_reading_survives_the_change_to_writing(void **state) {
    (void)state;
    hf__mark mark;
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_string_equal(f.calls, "becBer");
    assert_int_equal(txn.phase, HF__IDLE);
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "becBerbecBec");
}

static void test_transaction__a_failed_mark_fails_the_write_and_no_more(void **state) {
    (void)state;
    f.mark = (struct plan){{HF_IO}, 0};
    assert_int_equal(run("add"), HF_OK);
    hf__mark failing = set_mark(true);
    assert_int_equal(run("add"), HF_IO);
    assert_string_equal(err.message, "planned at m");
    hf__transaction_undo(&txn, failing);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "Bemec");
}

/* ---- Broken ------------------------------------------------------------------------------------ */

static void test_transaction__after_a_failed_undo_only_a_rollback_works(void **state) {
    (void)state;
    hf__mark mark;
    f.undo = (struct plan){{HF_IO}, 0};
    assert_int_equal(run("add"), HF_OK);
    hf__mark outer = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__mark inner = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, inner);
    assert_int_equal(run("add"), HF_IO);
    assert_string_equal(err.message, "an earlier step of this transaction could not be undone: planned at u");
    assert_int_equal(err.sqlite_code, 99);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_IO);
    assert_int_equal(hf__transaction_release(&txn, outer, &err), HF_IO);
    hf__transaction_undo(&txn, outer); /* would come back to the inner mark: not asked of the terminal */
    assert_string_equal(f.calls, "Bememeu");
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_IO);
    assert_string_equal(f.calls, "Bememeur");
    assert_int_equal(run("add"), HF_OK);
    assert_string_equal(f.calls, "BememeurBe");
}

static void test_transaction__a_busy_undo_is_not_mistaken_for_a_busy_commit(void **state) {
    (void)state;
    f.undo = (struct plan){{HF_BUSY}, 0};
    assert_int_equal(run("add"), HF_OK);
    hf__mark mark = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_BUSY);
    assert_string_equal(f.calls, "Bemeur");
}

static void test_transaction__a_failed_release_breaks_it_too(void **state) {
    (void)state;
    f.release = (struct plan){{HF_IO}, 0};
    assert_int_equal(run("add"), HF_OK);
    hf__mark mark = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_IO);
    assert_string_equal(err.message, "planned at l");
    assert_int_equal(hf__transaction_commit(&txn, NULL), HF_IO);
    assert_string_equal(f.calls, "Bemelr");
}

static void test_transaction__undoing_to_the_start_mends_a_broken_one(void **state) {
    (void)state;
    f.undo = (struct plan){{HF_IO}, 0};
    hf__mark start = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__mark inside = set_mark(true);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, inside);
    hf__transaction_undo(&txn, start);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "BemeurBec");
}

/* ---- Guests ------------------------------------------------------------------------------------ */

static bool stays(void *data) {
    return *(bool *)data;
}

static bool others_wait;

/* An op that began it and is at its end; others wait. */
static void begin_for_guests(void) {
    others_wait = true;
    txn.stays = stays;
    txn.stays_data = &others_wait;
    hf__transaction_next(&txn, true);
    assert_int_equal(run_whole("add"), HF_OK);
    assert_int_equal(txn.phase, HF__WRITING);
    hf__transaction_next(&txn, true);
    assert_false(txn.touched);
}

static void test_transaction__it_stays_open_only_while_others_wait(void **state) {
    (void)state;
    begin_for_guests();
    assert_int_equal(run("add"), HF_OK);
    others_wait = false;
    assert_int_equal(hf__transaction_end(&txn, &err), HF_OK); /* whoever commits for all does so later */
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "Bemelc");
    hf__transaction_next(&txn, true);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_end(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "BemelcBec");
}

static void test_transaction__a_read_does_not_stay_open(void **state) {
    (void)state;
    others_wait = true;
    txn.stays = stays;
    txn.stays_data = &others_wait;
    hf__transaction_next(&txn, false);
    assert_int_equal(run_whole("get"), HF_OK);
    hf__transaction_next(&txn, false);
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(hf__transaction_end(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "becbec");
}

static void test_transaction__a_guest_joins_at_its_first_touch(void **state) {
    (void)state;
    hf__mark mark;
    begin_for_guests();
    assert_int_equal(hf__transaction_end(&txn, &err), HF_OK);
    hf__transaction_next(&txn, false);
    hf__transaction_rollback(&txn);
    assert_false(txn.touched);
    assert_string_equal(f.calls, "Be");
    hf__transaction_next(&txn, false);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("get"), HF_OK);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_release(&txn, mark, &err), HF_OK);
    assert_true(txn.touched);
    assert_int_equal(hf__transaction_end(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "Bememell");
}

static void test_transaction__a_guest_goes_back_to_where_it_came_in(void **state) {
    (void)state;
    hf__mark mark;
    begin_for_guests();
    assert_int_equal(hf__transaction_mark(&txn, true, &mark, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, mark);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_rollback(&txn);
    assert_int_equal(txn.phase, HF__WRITING);
    assert_true(txn.touched);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_OK);
    assert_string_equal(f.calls, "Bemeumeuc");
}

static void test_transaction__a_guest_is_tried_again_from_its_mark(void **state) {
    (void)state;
    begin_for_guests();
    f.exec = (struct plan){{HF_BUSY}, 0};
    assert_int_equal(run_whole("add"), HF_OK);
    assert_string_equal(f.calls, "Bemeumel");
    hf__transaction_next(&txn, true);
    f.exec = (struct plan){{HF_BUSY}, 0};
    f.undo = (struct plan){{HF_FULL}, 0};
    assert_int_equal(run_whole("add"), HF_BUSY); /* not where that breaks what others did */
    assert_string_equal(err.message, "planned at e");
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_FULL);
    assert_int_equal(txn.phase, HF__IDLE);
    assert_string_equal(f.calls, "Bemeumelmeur");
}

static void test_transaction__a_guest_does_not_mend_a_broken_one(void **state) {
    (void)state;
    hf__mark start;
    begin_for_guests();
    f.undo = (struct plan){{HF_IO}, 0};
    assert_int_equal(hf__transaction_mark(&txn, true, &start, &err), HF_OK);
    assert_int_equal(run("add"), HF_OK);
    hf__transaction_undo(&txn, start);
    assert_int_equal(run("add"), HF_IO);
    assert_int_equal(hf__transaction_end(&txn, &err), HF_IO);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_IO);
    assert_string_equal(f.calls, "Bemeur");
    begin_for_guests();
    f.release = (struct plan){{HF_FULL}, 0};
    assert_int_equal(run("add"), HF_OK);
    assert_int_equal(hf__transaction_end(&txn, &err), HF_FULL);
    assert_int_equal(hf__transaction_commit(&txn, &err), HF_FULL);
    assert_string_equal(f.calls, "BemeurBemelr");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_transaction__begins_at_the_first_touch_and_once),
        TEST(test_transaction__a_read_of_a_write_takes_the_lock),
        TEST(test_transaction__a_write_after_a_read_begins_anew),
        TEST(test_transaction__a_terminal_without_transactions_is_enough),
        TEST(test_transaction__begin_is_tried_three_more_times_with_growing_waits),
        TEST(test_transaction__begin_gives_up_after_the_third_retry),
        TEST(test_transaction__begin_is_tried_again_even_if_a_result_was_seen),
        TEST(test_transaction__a_permanent_failure_is_not_tried_again),
        TEST(test_transaction__an_unseen_exec_is_tried_again_with_its_begin),
        TEST(test_transaction__an_exec_gives_up_and_leaves_the_rollback_to_the_caller),
        TEST(test_transaction__an_exec_that_follows_another_is_not_tried_again),
        TEST(test_transaction__an_exec_is_not_tried_again_once_a_result_was_seen),
        TEST(test_transaction__a_busy_commit_alone_is_tried_again),
        TEST(test_transaction__a_failed_commit_has_rolled_back),
        TEST(test_transaction__a_whole_op_begins_and_commits),
        TEST(test_transaction__a_whole_op_is_tried_again_from_any_step),
        TEST(test_transaction__a_whole_op_that_fails_leaves_nothing),
        TEST(test_transaction__a_whole_op_does_not_repeat_an_unknown_outcome),
        TEST(test_transaction__a_mark_before_the_first_touch_costs_nothing),
        TEST(test_transaction__a_mark_inside_is_the_terminals_from_the_next_write_on),
        TEST(test_transaction__a_mark_behind_which_nothing_is_written_costs_nothing),
        TEST(test_transaction__marks_with_nothing_between_them_are_one),
        TEST(test_transaction__who_does_not_go_on_needs_no_mark),
        TEST(test_transaction__a_mark_set_while_reading_survives_the_change_to_writing),
        TEST(test_transaction__a_failed_mark_fails_the_write_and_no_more),
        TEST(test_transaction__after_a_failed_undo_only_a_rollback_works),
        TEST(test_transaction__a_busy_undo_is_not_mistaken_for_a_busy_commit),
        TEST(test_transaction__a_failed_release_breaks_it_too),
        TEST(test_transaction__undoing_to_the_start_mends_a_broken_one),
        TEST(test_transaction__it_stays_open_only_while_others_wait),
        TEST(test_transaction__a_read_does_not_stay_open),
        TEST(test_transaction__a_guest_joins_at_its_first_touch),
        TEST(test_transaction__a_guest_goes_back_to_where_it_came_in),
        TEST(test_transaction__a_guest_is_tried_again_from_its_mark),
        TEST(test_transaction__a_guest_does_not_mend_a_broken_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
