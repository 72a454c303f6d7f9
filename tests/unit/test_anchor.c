/* The life of an anchor at the terminal: who may append what, what readers see meanwhile, how it ends, and what
 * becomes of it when its owner goes. */
#define _POSIX_C_SOURCE 200809L

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/terminal.h"

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static const hf_result *append(fixture *f, const char *delta, int64_t seq) {
    return done(f, .op = "append", .message_id = T("m1"), .delta = T(delta), .seq = seq);
}

static int append_fails(fixture *f, const char *delta, int64_t seq) {
    return failed(f, .op = "append", .message_id = T("m1"), .delta = T(delta), .seq = seq);
}

static void assert_message(fixture *f, hf_state state, const char *content) {
    const hf_message *row = done(f, .op = "get", .message_id = T("m1"))->message;
    assert_non_null(row);
    assert_int_equal(row->state, state);
    assert_text(row->content, content);
    const hf_result *list = done(f, .op = "list", .conversation_id = T("c1"));
    assert_text(list->messages[list->messages_count - 1].content, content);
}

static void assert_says(const fixture *f, const char *part) {
    if (strstr(f->err.message, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", f->err.message, part);
}

/* ---- append ------------------------------------------------------------------------------------ */

static void content_grows_by_deltas_and_readers_see_it_whole(void **state) {
    fixture *f = *state;
    assert_message(f, HF_STATE_RESERVED, "[]");
    const hf_result *result = append(f, "Grüße", 0);
    assert_int_equal(result->seq, 1);
    assert_int_equal(result->length, 7);
    assert_int_equal(result->held, 0);
    result = append(f, ", world", 2);
    assert_int_equal(result->seq, 2);
    assert_int_equal(result->length, 14);
    assert_message(f, HF_STATE_STREAMING, "Grüße, world");
}

static void an_empty_delta_counts_and_ends_the_placeholder(void **state) {
    fixture *f = *state;
    assert_int_equal(append(f, "", 1)->length, 0);
    assert_message(f, HF_STATE_STREAMING, "");
    assert_int_equal(append(f, "x", 2)->length, 1);
}

static void a_repeated_seq_is_answered_and_not_stored(void **state) {
    fixture *f = *state;
    append(f, "one", 1);
    append(f, "two", 2);
    const hf_result *again = append(f, "two", 2);
    assert_int_equal(again->seq, 2);
    assert_int_equal(again->length, 6);
    assert_message(f, HF_STATE_STREAMING, "onetwo");
}

static void any_other_seq_is_a_conflict_that_says_what_was_expected(void **state) {
    fixture *f = *state;
    append(f, "one", 1);
    append(f, "two", 2);
    assert_int_equal(append_fails(f, "2", 2), HF_CONFLICT);
    assert_says(f, "another delta");
    assert_int_equal(append_fails(f, "one", 1), HF_CONFLICT);
    assert_says(f, "expected 3, found 1");
    assert_int_equal(append_fails(f, "four", 4), HF_CONFLICT);
    assert_says(f, "expected 3, found 4");
    assert_message(f, HF_STATE_STREAMING, "onetwo");
}

static void deltas_may_not_outgrow_the_bound_of_a_content(void **state) {
    fixture *f = *state;
    f->host.limits.content = 8;
    append(f, "12345", 0);
    assert_int_equal(append_fails(f, "6789", 0), HF_INVALID);
    assert_says(f, "at most 8 bytes");
    assert_int_equal(append(f, "678", 0)->length, 8);
}

static void streams_side_by_side_do_not_mix(void **state) {
    fixture *f = *state;
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m2"));
    for (int i = 0; i < 3; i++) {
        append(f, "a", 0);
        done(f, .op = "append", .message_id = T("m2"), .delta = T("b"));
    }
    assert_text(done(f, .op = "get", .message_id = T("m1"))->message->content, "aaa");
    assert_text(done(f, .op = "get", .message_id = T("m2"))->message->content, "bbb");
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("A"));
    assert_text(done(f, .op = "get", .message_id = T("m2"))->message->content, "bbb");
}

static void an_append_that_is_rolled_back_never_was(void **state) {
    fixture *f = *state;
    append(f, "one", 1);
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, &f->err), HF_OK);
    inside(f, &(hf_op){.op = "append", .message_id = T("m1"), .delta = T("two"), .seq = 2});
    f->terminal.rollback(f->terminal.data);
    assert_message(f, HF_STATE_STREAMING, "one");
    assert_int_equal(append(f, "2", 2)->length, 4);
}

/* ---- How it ends ------------------------------------------------------------------------------- */

static void the_final_content_takes_the_place_of_the_stream(void **state) {
    fixture *f = *state;
    append(f, "partial", 0);
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("[]"));
    assert_message(f, HF_STATE_FINAL, "[]");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM deltas"), 0);
    assert_int_equal(fixture_ask(f, "SELECT owner IS NULL AND last_seq = 1 FROM messages"), 1);
}

static void a_late_append_never_touches_what_is_settled(void **state) {
    fixture *f = *state;
    append(f, "partial", 1);
    done(f, .op = "abort", .message_id = T("m1"));
    assert_int_equal(append_fails(f, "late", 2), HF_CONFLICT);
    assert_says(f, "is aborted");
    assert_int_equal(append_fails(f, "partial", 1), HF_CONFLICT);
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("final"));
    assert_int_equal(append_fails(f, "late", 2), HF_CONFLICT);
    assert_says(f, "is final");
    assert_message(f, HF_STATE_FINAL, "final");
}

static void abort_keeps_what_was_streamed_and_says_why(void **state) {
    fixture *f = *state;
    append(f, "partial", 0);
    done(f, .op = "update", .message_id = T("m1"), .updates = T("{\"k\": 1.50}"));
    const hf_message *row =
        done(f, .op = "abort", .message_id = T("m1"), .reason = T("the \"user\""))->message;
    assert_int_equal(row->state, HF_STATE_ABORTED);
    assert_text(row->content, "partial");
    assert_text(row->metadata, "{\"k\": 1.50,\"abortReason\":\"the \\\"user\\\"\"}");
    assert_message(f, HF_STATE_ABORTED, "partial");
    row = done(f, .op = "abort", .message_id = T("m1"), .reason = T("again"))->message;
    assert_text(row->metadata, "{\"k\": 1.50,\"abortReason\":\"the \\\"user\\\"\"}");
}

static void what_is_final_cannot_be_aborted(void **state) {
    fixture *f = *state;
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("final"));
    assert_int_equal(failed(f, .op = "abort", .message_id = T("m1")), HF_CONFLICT);
    assert_message(f, HF_STATE_FINAL, "final");
}

static void a_message_that_goes_takes_its_deltas_along(void **state) {
    fixture *f = *state;
    append(f, "partial", 0);
    done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM deltas"), 0);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    append(f, "partial", 0);
    done(f, .op = "deleteConversation", .conversation_id = T("c1"));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM deltas"), 0);
}

static void what_is_not_there_is_not_found(void **state) {
    fixture *f = *state;
    assert_int_equal(failed(f, .op = "append", .message_id = T("no"), .delta = T("x")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "abort", .message_id = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "read", .message_id = T("no")), HF_NOT_FOUND);
}

/* ---- read -------------------------------------------------------------------------------------- */

static void assert_read(fixture *f, int64_t after, hf_state state, int64_t seq, size_t count) {
    const hf_result *result = done(f, .op = "read", .message_id = T("m1"), .after_seq = after);
    assert_int_equal(result->state, state);
    assert_int_equal(result->seq, seq);
    assert_int_equal(result->deltas_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(result->deltas[i].seq, after + 1 + (int64_t)i);
}

static void a_reader_gets_what_it_missed(void **state) {
    fixture *f = *state;
    assert_read(f, 0, HF_STATE_RESERVED, 0, 0);
    append(f, "one", 0);
    append(f, "two", 0);
    append(f, "three", 0);
    assert_read(f, 0, HF_STATE_STREAMING, 3, 3);
    assert_read(f, 1, HF_STATE_STREAMING, 3, 2);
    assert_text(f->result.deltas[0].delta, "two");
    assert_read(f, 3, HF_STATE_STREAMING, 3, 0);
    assert_read(f, INT64_MAX, HF_STATE_STREAMING, 3, 0);
    done(f, .op = "abort", .message_id = T("m1"));
    assert_read(f, 1, HF_STATE_ABORTED, 3, 2);
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("final"));
    assert_read(f, 0, HF_STATE_FINAL, 3, 0);
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("edited"));
    assert_read(f, 0, HF_STATE_FINAL, 3, 0);
}

/* ---- Owners ------------------------------------------------------------------------------------ */

static void only_its_owner_appends_and_any_handle_settles(void **state) {
    fixture *f = *state;
    append(f, "mine", 1);
    fixture other = *f;
    other.terminal = (hf_terminal){0};
    other.result = (hf_result){0};
    fixture_open(&other);
    assert_message(&other, HF_STATE_STREAMING, "mine");
    assert_int_equal(append_fails(&other, "theirs", 2), HF_CONFLICT);
    assert_says(&other, "another open store");
    done(&other, .op = "update", .message_id = T("m1"), .updates = T("{\"k\":1}"));
    append(f, ", still", 2);
    done(&other, .op = "updateContent", .message_id = T("m1"), .content = T("final"));
    fixture_close(&other);
    assert_int_equal(append_fails(f, "late", 3), HF_CONFLICT);
    assert_message(f, HF_STATE_FINAL, "final");
}

static void anchors_of_an_owner_that_is_gone_are_interrupted_at_the_next_open(void **state) {
    fixture *f = *state;
    append(f, "acknowledged", 1);
    fixture_close(f);
    fixture_open(f);
    assert_message(f, HF_STATE_INTERRUPTED, "acknowledged");
    assert_read(f, 0, HF_STATE_INTERRUPTED, 1, 1);
    assert_int_equal(append_fails(f, "late", 2), HF_CONFLICT);
    assert_says(f, "interrupted");
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("recovered"));
    assert_message(f, HF_STATE_FINAL, "recovered");
}

static void a_write_that_meets_a_dead_owners_anchor_interrupts_it(void **state) {
    fixture *f = *state;
    fixture other = *f;
    other.terminal = (hf_terminal){0};
    other.result = (hf_result){0};
    fixture_open(&other);
    append(f, "acknowledged", 1);
    fixture_close(f);
    assert_int_equal(append_fails(&other, "late", 2), HF_CONFLICT);
    assert_says(&other, "interrupted");
    assert_message(&other, HF_STATE_INTERRUPTED, "acknowledged"); /* although the append was undone */
    done(&other, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m2"));
    fixture_open(f);
    fixture_close(&other);
    done(f, .op = "update", .message_id = T("m2"), .updates = T("{\"k\":1}"));
    assert_int_equal(done(f, .op = "get", .message_id = T("m2"))->message->state, HF_STATE_INTERRUPTED);
}

static void a_length_that_deltas_cannot_have_is_corruption(void **state) {
    fixture *f = *state;
    static const char *const lengths[] = {"-1", "0", "3", "4611686018427387904", "9223372036854775807"};
    append(f, "x", 1);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "UPDATE deltas SET length = %s", lengths[i]);
        fixture_sql(f, sql);
        assert_int_equal(failed(f, .op = "get", .message_id = T("m1")), HF_CORRUPT);
        assert_says(f, "add up");
    }
}

static void what_was_made_final_by_hand_leaves_no_deltas_to_the_next_in_its_place(void **state) {
    fixture *f = *state;
    append(f, "of another", 1);
    fixture_sql(f, "UPDATE messages SET state = 'final', content = 'mended'; DELETE FROM messages");
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    assert_message(f, HF_STATE_RESERVED, "[]");
    append(f, "x", 1);
}

/* Takes the anchor's owner for one that never lived. */
static void orphan(fixture *f, const char *id, const char *owner) {
    char sql[160];
    snprintf(sql, sizeof sql, "UPDATE messages SET owner = '%s' WHERE id = '%s'", owner, id);
    fixture_sql(f, sql);
}

static void a_transaction_may_meet_several_dead_owners(void **state) {
    fixture *f = *state;
    static const char *const ids[] = {"m1", "m2"};
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m2"));
    orphan(f, "m1", "01890000-0000-7000-8000-000000000001");
    orphan(f, "m2", "01890000-0000-7000-8000-000000000002");
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, &f->err), HF_OK);
    for (int i = 0; i < 2; i++) {
        hf_op update = {.op = "update", .message_id = T(ids[i]), .updates = T("{}")};
        assert_int_equal(inside(f, &update), HF_OK);
    }
    assert_int_equal(f->terminal.commit(f->terminal.data, &f->err), HF_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(done(f, .op = "get", .message_id = T(ids[i]))->message->state, HF_STATE_INTERRUPTED);
}

static void a_repeat_that_meets_a_dead_owners_anchor_says_that_it_is_interrupted(void **state) {
    fixture *f = *state;
    append(f, "acknowledged", 1);
    const hf_result *again =
        done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    assert_int_equal(again->deduplicated, HF_YES);
    assert_int_equal(again->message->state, HF_STATE_STREAMING);
    orphan(f, "m1", "01890000-0000-7000-8000-000000000001");
    again =
        done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    assert_int_equal(again->deduplicated, HF_YES);
    assert_int_equal(again->message->state, HF_STATE_INTERRUPTED);
    assert_message(f, HF_STATE_INTERRUPTED, "acknowledged");
}

static void an_owner_that_cannot_be_looked_at_is_in_nobodys_way(void **state) {
    fixture *f = *state;
    static const char id[] = "01890000-0000-7000-8000-000000000001";
    char path[160];
    append(f, "acknowledged", 1);
    orphan(f, "m1", id);
    snprintf(path, sizeof path, "%s-owner-%s", f->path, id);
    assert_int_equal(mkdir(path, 0700), 0);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    assert_int_equal(f->result.message->state, HF_STATE_STREAMING);
    done(f, .op = "update", .message_id = T("m1"), .updates = T("{}"));
    fixture_close(f);
    fixture_open(f);
    assert_message(f, HF_STATE_STREAMING, "acknowledged");
    assert_int_equal(append_fails(f, "late", 2), HF_IO);
}

static int owner_files(const fixture *f) {
    char command[96];
    snprintf(command, sizeof command, "exit $(ls %s | grep -c owner)", f->folder);
    return WEXITSTATUS(system(command));
}

static void what_dead_owners_left_beside_the_store_goes_at_the_next_open(void **state) {
    fixture *f = *state;
    fixture_close(f); /* so that the children inherit no store */
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            fixture_open(f);
            done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m2"));
            done(f, .op = "updateContent", .message_id = T("m2"), .content = T("final"));
            done(f, .op = "delete", .message_id = T("m2"));
            _exit(0);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(owner_files(f), 1); /* the second child took that of the first away */
    }
    fixture_open(f);
    assert_int_equal(owner_files(f), 0);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m2"));
    done(f, .op = "updateContent", .message_id = T("m2"), .content = T("final"));
    fixture other = *f;
    other.terminal = (hf_terminal){0};
    other.result = (hf_result){0};
    fixture_open(&other);
    assert_int_equal(owner_files(f), 1); /* it lives, though it owns no anchor */
    fixture_close(&other);
}

static void a_dry_run_interrupts_nothing_and_makes_no_file(void **state) {
    fixture *f = *state;
    char list[96];
    fixture_close(f); /* and with it the owner of m1 */
    fixture_open(f);
    hf__store_dry_run(&f->terminal, true);
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, &f->err), HF_OK);
    static const char *const ids[] = {"m2", "m3", "m2"};
    for (int i = 0; i < 2; i++) {
        hf_op reserve = {
            .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T(ids[i])};
        assert_int_equal(inside(f, &reserve), HF_OK);
    }
    for (int i = 0; i < 3; i++) {
        hf_op delta = {.op = "append", .message_id = T(ids[i]), .delta = T("x")};
        assert_int_equal(inside(f, &delta), HF_OK);
    }
    f->terminal.rollback(f->terminal.data);
    snprintf(list, sizeof list, "ls %s | grep -q owner", f->folder);
    assert_int_not_equal(system(list), 0);
    hf__store_dry_run(&f->terminal, false);

    done(f, .op = "delete", .message_id = T("m1"));
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    assert_int_equal(system(list), 0);
    append(f, "acknowledged", 1);
    orphan(f, "m1", "01890000-0000-7000-8000-000000000001");
    hf__store_dry_run(&f->terminal, true);
    assert_int_equal(append_fails(f, "late", 2), HF_CONFLICT);
    hf__store_dry_run(&f->terminal, false);
    assert_message(f, HF_STATE_STREAMING, "acknowledged");
    assert_int_equal(append_fails(f, "late", 2), HF_CONFLICT);
    assert_message(f, HF_STATE_INTERRUPTED, "acknowledged");
}

static void an_anchor_in_memory_has_an_owner(void **state) {
    fixture *f = *state;
    fixture_close(f);
    snprintf(f->path, sizeof f->path, ":memory:");
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"));
    append(f, "one", 1);
    assert_message(f, HF_STATE_STREAMING, "one");
    snprintf(f->path, sizeof f->path, "%s/store.db", f->folder);
}

static void a_stream_that_was_tampered_with_is_corruption(void **state) {
    fixture *f = *state;
    append(f, "one", 0);
    append(f, "two", 0);
    fixture_sql(f, "UPDATE deltas SET delta = 'longer than it was' WHERE delta = 'one'");
    assert_int_equal(failed(f, .op = "get", .message_id = T("m1")), HF_CORRUPT);
    assert_says(f, "length");
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("final"));
    assert_message(f, HF_STATE_FINAL, "final");
}

int main(void) {
#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest rules[] = {
        RULE(content_grows_by_deltas_and_readers_see_it_whole),
        RULE(an_empty_delta_counts_and_ends_the_placeholder),
        RULE(a_repeated_seq_is_answered_and_not_stored),
        RULE(any_other_seq_is_a_conflict_that_says_what_was_expected),
        RULE(deltas_may_not_outgrow_the_bound_of_a_content),
        RULE(streams_side_by_side_do_not_mix),
        RULE(an_append_that_is_rolled_back_never_was),
        RULE(the_final_content_takes_the_place_of_the_stream),
        RULE(a_late_append_never_touches_what_is_settled),
        RULE(abort_keeps_what_was_streamed_and_says_why),
        RULE(what_is_final_cannot_be_aborted),
        RULE(a_message_that_goes_takes_its_deltas_along),
        RULE(what_is_not_there_is_not_found),
        RULE(a_reader_gets_what_it_missed),
        RULE(only_its_owner_appends_and_any_handle_settles),
        RULE(anchors_of_an_owner_that_is_gone_are_interrupted_at_the_next_open),
        RULE(a_write_that_meets_a_dead_owners_anchor_interrupts_it),
        RULE(what_was_made_final_by_hand_leaves_no_deltas_to_the_next_in_its_place),
        RULE(a_length_that_deltas_cannot_have_is_corruption),
        RULE(a_transaction_may_meet_several_dead_owners),
        RULE(a_repeat_that_meets_a_dead_owners_anchor_says_that_it_is_interrupted),
        RULE(what_dead_owners_left_beside_the_store_goes_at_the_next_open),
        RULE(an_owner_that_cannot_be_looked_at_is_in_nobodys_way),
        RULE(a_dry_run_interrupts_nothing_and_makes_no_file),
        RULE(an_anchor_in_memory_has_an_owner),
        RULE(a_stream_that_was_tampered_with_is_corruption),
    };
    return cmocka_run_group_tests(rules, NULL, NULL);
}
