/* What a store remembers of its last writes never shows: whatever else happens to the file, each message is stored as
 * though all had been looked up. */
#define _POSIX_C_SOURCE 200809L

#include "support/terminal.h"

typedef struct pair {
    fixture a, b; /* two handles of one file */
} pair;

static int setup(void **state) {
    pair *p = calloc(1, sizeof *p);
    fixture_start(&p->a);
    fixture_open(&p->a);
    done(&p->a, .op = "createConversation", .conversation_id = T("c1"));
    p->b = p->a;
    p->b.result = (hf_result){0};
    fixture_open(&p->b);
    *state = p;
    return 0;
}

static int teardown(void **state) {
    pair *p = *state;
    fixture_close(&p->b);
    fixture_end(&p->a);
    free(p);
    return 0;
}

#define ADD(conversation, id) \
    .op = "add", .conversation_id = T(conversation), .role = T("user"), .content = T(id), .message_id = T(id)

static int64_t add(fixture *f, const char *conversation, const char *id) {
    return done(f, ADD(conversation, id))->message->created_at;
}

static int64_t position(fixture *f, const char *id) {
    char sql[240];
    snprintf(sql, sizeof sql, "SELECT position FROM messages WHERE id = '%s'", id);
    return fixture_ask(f, sql);
}

static void assert_remembers(fixture *f, bool yes) {
    assert_int_equal(((hf__store *)f->terminal.data)->recent.known, yes);
}

static void begin(fixture *f, int write) {
    assert_int_equal(f->terminal.begin(f->terminal.data, write, &f->err), HF_OK);
}

static void commit(fixture *f) {
    assert_int_equal(f->terminal.commit(f->terminal.data, &f->err), HF_OK);
}

/* ---- Others ------------------------------------------------------------------------------------ */

static void two_handles_take_turns_and_no_place_or_time_is_given_twice(void **state) {
    pair *p = *state;
    int64_t last = 0;
    for (int i = 0; i < 12; i++) {
        char id[16];
        snprintf(id, sizeof id, "m%d", i);
        fixture *f = i % 3 == 0 ? &p->b : &p->a;
        int64_t time = add(f, "c1", id);
        assert_true(time > last);
        assert_int_equal(position(f, id), i + 1);
        last = time;
    }
    assert_int_equal(fixture_ask(&p->a, "SELECT updated_at FROM conversations"), last);
}

static void what_another_handle_wrote_is_seen_though_a_read_saw_it_first(void **state) {
    pair *p = *state;
    add(&p->a, "c1", "m1");
    p->a.clock += 1000; /* the clock of both */
    int64_t theirs = done(&p->b, .op = "updateConversation", .conversation_id = T("c1"), .title = T("t"))
                         ->conversation->updated_at;
    p->a.clock -= 1000;
    assert_text(done(&p->a, .op = "getConversation", .conversation_id = T("c1"))->conversation->title, "t");
    assert_true(add(&p->a, "c1", "m2") > theirs);
}

static void the_place_of_a_message_that_another_handle_deleted_stays_its_own(void **state) {
    pair *p = *state;
    add(&p->a, "c1", "m1");
    add(&p->a, "c1", "m2");
    done(&p->b, .op = "delete", .message_id = T("m2"));
    add(&p->a, "c1", "m3");
    assert_int_equal(position(&p->a, "m3"), 3);
    done(&p->a, .op = "delete", .message_id = T("m3"));
    add(&p->a, "c1", "m4");
    assert_int_equal(position(&p->a, "m4"), 4);
}

static void a_conversation_that_another_handle_deleted_is_not_found(void **state) {
    pair *p = *state;
    add(&p->a, "c1", "m1");
    done(&p->b, .op = "deleteConversation", .conversation_id = T("c1"));
    assert_int_equal(failed(&p->a, ADD("c1", "m2")), HF_NOT_FOUND);
    done(&p->b, .op = "createConversation", .conversation_id = T("c1"));
    add(&p->a, "c1", "m2");
    assert_int_equal(fixture_ask(&p->a, "SELECT last_message_at = updated_at FROM conversations"), 1);
}

static void somebodys_own_statement_is_seen(void **state) {
    pair *p = *state;
    add(&p->a, "c1", "m1");
    fixture_sql(&p->b, "UPDATE conversations SET updated_at = 5000000");
    assert_true(add(&p->a, "c1", "m2") > 5000000);
    fixture_sql(&p->a, "UPDATE conversations SET updated_at = 9000000"); /* on its own connection */
    assert_true(add(&p->a, "c1", "m3") > 9000000);
}

static void a_place_that_the_index_still_knows_is_given_to_none(void **state) {
    pair *p = *state;
    add(&p->a, "c1", "tea");
    fixture_sql(&p->b, "DELETE FROM messages");
    done(&p->a, ADD("c1", "milk"), .skip_indexing = HF_YES);
    assert_int_equal(position(&p->a, "milk"), 2);
    assert_int_equal(done(&p->a, .op = "search", .query = T("tea"))->hits_count, 0);
}

/* ---- What is undone ---------------------------------------------------------------------------- */

static void what_is_undone_is_forgotten(void **state) {
    fixture *f = &((pair *)*state)->a;
    const hf_terminal *terminal = &f->terminal;
    begin(f, 1);
    assert_int_equal(inside(f, &(hf_op){ADD("c1", "m1")}), HF_OK);
    assert_int_equal(terminal->mark(terminal->data, &f->err), HF_OK);
    assert_int_equal(inside(f, &(hf_op){ADD("c1", "m2"), .metadata = T("{\"userMessageChannel\":\"sms\"}")}),
                     HF_OK);
    assert_remembers(f, true);
    assert_int_equal(terminal->undo(terminal->data, &f->err), HF_OK);
    assert_remembers(f, false);
    assert_int_equal(inside(f, &(hf_op){ADD("c1", "m3"), .metadata = T("{\"userMessageChannel\":\"web\"}")}),
                     HF_OK);
    commit(f);
    assert_int_equal(position(f, "m3"), 2);
    assert_text(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->origin_channel,
                "web");
}

static void a_conversation_whose_transaction_was_rolled_back_is_not_found(void **state) {
    fixture *f = &((pair *)*state)->a;
    begin(f, 1);
    assert_int_equal(inside(f, &(hf_op){.op = "createConversation", .conversation_id = T("c2")}), HF_OK);
    assert_int_equal(inside(f, &(hf_op){ADD("c2", "m1")}), HF_OK);
    f->terminal.rollback(f->terminal.data);
    assert_int_equal(failed(f, ADD("c2", "m1")), HF_NOT_FOUND);
}

/* ---- Other ops --------------------------------------------------------------------------------- */

static void an_op_that_changes_what_is_remembered_makes_it_forgotten(void **state) {
    fixture *f = &((pair *)*state)->a;
    add(f, "c1", "m1");
    f->clock += 1000000;
    int64_t updated = done(f, .op = "updateConversation", .conversation_id = T("c1"), .title = T("t"))
                          ->conversation->updated_at;
    f->clock -= 1000000;
    assert_remembers(f, false);
    assert_true(add(f, "c1", "m2") > updated);
    done(f, .op = "fork", .conversation_id = T("c1"));
    assert_remembers(f, false);
    add(f, "c1", "m3");
    assert_int_equal(position(f, "m3"), 5);
    done(f, .op = "deleteConversation", .conversation_id = T("c1"));
    assert_remembers(f, false);
    assert_int_equal(failed(f, ADD("c1", "m4")), HF_NOT_FOUND);
}

static void an_op_that_changes_nothing_of_it_leaves_it(void **state) {
    fixture *f = &((pair *)*state)->a;
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("a1"));
    done(f, .op = "append", .message_id = T("a1"), .delta = T("one"));
    done(f, .op = "updateContent", .message_id = T("a1"), .content = T("one two"));
    done(f, .op = "update", .message_id = T("a1"), .updates = T("{}"));
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    done(f, .op = "list", .conversation_id = T("c1"));
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    done(f, .op = "delete", .message_id = T("a1"));
    assert_remembers(f, true);
    add(f, "c1", "m2");
    assert_int_equal(position(f, "m2"), 2);
}

static void ids_too_long_to_be_remembered_are_looked_up(void **state) {
    fixture *f = &((pair *)*state)->a;
    char conversation[129] = {0}, id[129] = {0};
    memset(conversation, 'c', 128);
    done(f, .op = "createConversation", .conversation_id = T(conversation));
    for (int i = 0; i < 3; i++) {
        memset(id, '0' + i, 128);
        add(f, conversation, id);
        assert_int_equal(position(f, id), i + 1);
    }
    done(f, .op = "reserve", .conversation_id = T(conversation), .role = T("assistant"),
         .message_id = T(conversation));
    for (int i = 0; i < 3; i++)
        assert_int_equal(done(f, .op = "append", .message_id = T(conversation), .delta = T("x"))->length,
                         i + 1);
}

static void more_conversations_than_are_remembered_stay_apart(void **state) {
    enum { MANY = 3 * HF__RECENT_SETS * HF__RECENT_IN_SET };
    fixture *f = &((pair *)*state)->a;
    char conversation[16], id[16];
    for (int i = 0; i < 2 * MANY; i++) {
        snprintf(conversation, sizeof conversation, "of-%d", i % MANY);
        if (i < MANY) done(f, .op = "createConversation", .conversation_id = T(conversation));
        snprintf(id, sizeof id, "m%d", i);
        add(f, conversation, id);
        assert_int_equal(position(f, id), i + 1);
    }
    assert_int_equal(
        fixture_ask(f, "SELECT count(*) FROM conversations AS c WHERE updated_at <> (SELECT created_at"
                       " FROM messages WHERE conversation_id = c.id ORDER BY position DESC LIMIT 1)"),
        0);
}

/* ---- Streams ----------------------------------------------------------------------------------- */

static void reserve(fixture *f, const char *id) {
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id));
}

#define APPEND(id, text) .op = "append", .message_id = T(id), .delta = T(text)

static void assert_content(fixture *f, const char *id, const char *content) {
    assert_text(done(f, .op = "get", .message_id = T(id))->message->content, content);
}

static void a_stream_goes_on_where_it_ended(void **state) {
    fixture *f = &((pair *)*state)->a;
    reserve(f, "a1");
    reserve(f, "a2");
    for (int i = 1; i <= 4; i++) {
        assert_int_equal(done(f, APPEND("a1", "ab"))->seq, i);
        assert_int_equal(f->result.length, 2 * i);
        assert_int_equal(done(f, APPEND("a2", "c"), .seq = i)->length, i);
        add(f, "c1", "m1");
    }
    assert_int_equal(done(f, APPEND("a2", "c"), .seq = 4)->seq, 4); /* again */
    assert_int_equal(failed(f, APPEND("a2", "d"), .seq = 4), HF_CONFLICT);
    assert_int_equal(failed(f, APPEND("a1", "d"), .seq = 6), HF_CONFLICT);
    assert_content(f, "a1", "abababab");
    assert_content(f, "a2", "cccc");
}

static void a_stream_that_was_ended_takes_no_more(void **state) {
    pair *p = *state;
    for (int i = 0; i < 6; i++) {
        fixture *ends = i < 3 ? &p->a : &p->b; /* this handle, or another one */
        char id[8];
        snprintf(id, sizeof id, "a%d", i);
        reserve(&p->a, id);
        done(&p->a, APPEND(id, "one"));
        done(&p->a, APPEND(id, "two"));
        if (i % 3 == 0) done(ends, .op = "updateContent", .message_id = T(id), .content = T("final"));
        if (i % 3 == 1) done(ends, .op = "abort", .message_id = T(id));
        if (i % 3 == 2) done(ends, .op = "delete", .message_id = T(id));
        assert_int_equal(failed(&p->a, APPEND(id, "late")), i % 3 == 2 ? HF_NOT_FOUND : HF_CONFLICT);
        assert_int_equal(failed(&p->b, APPEND(id, "late")), i % 3 == 2 ? HF_NOT_FOUND : HF_CONFLICT);
    }
}

static void a_delta_that_was_undone_is_not_counted(void **state) {
    fixture *f = &((pair *)*state)->a;
    const hf_terminal *terminal = &f->terminal;
    reserve(f, "a1");
    begin(f, 1);
    assert_int_equal(inside(f, &(hf_op){APPEND("a1", "one")}), HF_OK);
    assert_int_equal(terminal->mark(terminal->data, &f->err), HF_OK);
    assert_int_equal(inside(f, &(hf_op){APPEND("a1", "two")}), HF_OK);
    assert_int_equal(terminal->undo(terminal->data, &f->err), HF_OK);
    assert_int_equal(inside(f, &(hf_op){APPEND("a1", "three")}), HF_OK);
    assert_int_equal(f->result.seq, 2);
    commit(f);
    begin(f, 1);
    assert_int_equal(inside(f, &(hf_op){APPEND("a1", "four")}), HF_OK);
    terminal->rollback(terminal->data);
    assert_int_equal(done(f, APPEND("a1", "five"))->seq, 3);
    assert_content(f, "a1", "onethreefive");
}

static void more_streams_than_are_remembered_stay_apart(void **state) {
    fixture *f = &((pair *)*state)->a;
    char id[16];
    for (int i = 0; i < 3 * 3 * HF__RECENT_SETS * HF__RECENT_IN_SET; i++) {
        snprintf(id, sizeof id, "a%d", i % (3 * HF__RECENT_SETS * HF__RECENT_IN_SET));
        if (i < 3 * HF__RECENT_SETS * HF__RECENT_IN_SET) reserve(f, id);
        assert_int_equal(done(f, APPEND(id, "x"))->seq, 1 + i / (3 * HF__RECENT_SETS * HF__RECENT_IN_SET));
    }
}

/* A stream tells nothing of the times of others' rows. */
static void a_conversation_made_amid_a_stream_is_no_older_than_another_handles_message(void **state) {
    pair *p = *state;
    reserve(&p->a, "a1");
    p->a.clock += 1000; /* the clock of both */
    int64_t theirs = add(&p->b, "c1", "m1");
    p->a.clock -= 1000;
    done(&p->a, APPEND("a1", "x"));
    done(&p->a, .op = "createConversation", .conversation_id = T("c2"));
    assert_true(p->a.result.conversation->created_at >= theirs);
}

/* ---- Many in a row ----------------------------------------------------------------------------- */

static int64_t add_inside(fixture *f, const char *conversation, const char *role, const char *id) {
    hf_op op = {ADD(conversation, id)};
    op.role = T(role);
    op.skip_indexing = HF_YES;
    assert_int_equal(inside(f, &op), HF_OK);
    return f->result.message->created_at;
}

static const hf_conversation *look_inside(fixture *f, const char *conversation) {
    assert_int_equal(inside(f, &(hf_op){.op = "getConversation", .conversation_id = T(conversation)}), HF_OK);
    return f->result.conversation;
}

static void of_messages_in_a_row_the_conversation_is_written_for_the_first_and_the_last(void **state) {
    fixture *f = &((pair *)*state)->a;
    int before = sqlite3_total_changes(fixture_db(f));
    begin(f, 1);
    for (int i = 0; i < 5; i++)
        add_inside(f, "c1", i == 2 ? "assistant" : "user", (const char *[]){"m1", "m2", "m3", "m4", "m5"}[i]);
    commit(f);
    assert_int_equal(sqlite3_total_changes(fixture_db(f)) - before, 5 + 2);
    const hf_conversation *found = done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation;
    assert_int_equal(found->last_message_at, 1000005);
    assert_int_equal(found->updated_at, 1000005);
    assert_text(found->attention->latest_assistant_message_id, "m3");
    assert_int_equal(found->attention->latest_assistant_at, 1000003);
    assert_int_equal(found->attention->unseen, 1);
}

static void whoever_looks_between_them_sees_all(void **state) {
    fixture *f = &((pair *)*state)->a;
    begin(f, 1);
    add_inside(f, "c1", "user", "m1");
    int64_t answered_at = add_inside(f, "c1", "assistant", "m2");
    int64_t last = add_inside(f, "c1", "user", "m3");
    const hf_conversation *found = look_inside(f, "c1");
    assert_int_equal(found->last_message_at, last);
    assert_int_equal(found->attention->latest_assistant_at, answered_at);
    char id[101] = {0};
    memset(id, 'a', 100);
    add_inside(f, "c1", "assistant", id);
    assert_text(look_inside(f, "c1")->attention->latest_assistant_message_id, id);
    last = add_inside(f, "c1", "user", "m4");
    assert_int_equal(inside(f, &(hf_op){ADD("c1", "m5"), .metadata = T("{\"userMessageChannel\":\"sms\"}")}),
                     HF_OK);
    assert_true(f->result.message->created_at > last);
    found = look_inside(f, "c1");
    assert_text(found->origin_channel, "sms");
    assert_int_equal(found->last_message_at, last + 1);
    commit(f);
}

static void a_conversation_that_is_looked_up_is_written_first(void **state) {
    fixture *f = &((pair *)*state)->a;
    char conversation[101] = {0}, id[3] = "m0";
    memset(conversation, 'c', 100); /* too long to be remembered */
    done(f, .op = "createConversation", .conversation_id = T(conversation));
    begin(f, 1);
    for (int64_t last = 0, time; ++id[1] <= '5'; last = time) {
        time = add_inside(f, conversation, "user", id);
        assert_true(time > last);
    }
    commit(f);
}

static void of_what_is_undone_the_conversation_says_nothing(void **state) {
    fixture *f = &((pair *)*state)->a;
    const hf_terminal *terminal = &f->terminal;
    begin(f, 1);
    add_inside(f, "c1", "user", "m1");
    int64_t last = add_inside(f, "c1", "user", "m2");
    assert_int_equal(terminal->mark(terminal->data, &f->err), HF_OK);
    add_inside(f, "c1", "assistant", "m3");
    add_inside(f, "c1", "assistant", "m4");
    assert_int_equal(terminal->undo(terminal->data, &f->err), HF_OK);
    assert_int_equal(look_inside(f, "c1")->last_message_at, last);
    assert_null(look_inside(f, "c1")->attention);
    add_inside(f, "c1", "assistant", "m5");
    add_inside(f, "c1", "assistant", "m6");
    terminal->rollback(terminal->data);
    begin(f, 1);
    commit(f);
    assert_int_equal(
        done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->last_message_at, 0);
}

static void a_conversation_that_cannot_be_written_fails_the_commit(void **state) {
    fixture *f = &((pair *)*state)->a;
    fixture_sql(f, "CREATE TRIGGER once BEFORE UPDATE ON conversations WHEN old.last_message_at IS NOT NULL"
                   " BEGIN SELECT RAISE(ABORT, 'but once'); END");
    begin(f, 1);
    add_inside(f, "c1", "user", "m1");
    add_inside(f, "c1", "user", "m2");
    assert_int_equal(f->terminal.commit(f->terminal.data, &f->err), HF_INTERNAL);
    assert_non_null(strstr(f->err.message, "but once"));
    f->terminal.rollback(f->terminal.data);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 0);
    add(f, "c1", "m3");
}

/* ---- Repeats ----------------------------------------------------------------------------------- */

static void a_repeat_writes_nothing_and_takes_no_time(void **state) {
    fixture *f = &((pair *)*state)->a;
    int64_t time = add(f, "c1", "m1");
    done(f, ADD("c1", "m2"), .client_message_id = T("k"));
    int changes = sqlite3_total_changes(fixture_db(f));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(add(f, "c1", "m1"), time);
        assert_int_equal(f->result.deduplicated, HF_YES);
        assert_text(done(f, ADD("c1", "m9"), .client_message_id = T("k"))->message->id, "m2");
    }
    assert_int_equal(sqlite3_total_changes(fixture_db(f)), changes);
    assert_int_equal(add(f, "c1", "m3"), time + 2);
    assert_int_equal(position(f, "m3"), 3);
}

/* ---- The file's own triggers ------------------------------------------------------------------- */

static void a_repeat_of_anothers_reserve_makes_no_owner(void **state) {
    pair *p = *state;
    reserve(&p->a, "s1");
    reserve(&p->b, "s1");
    assert_true(p->b.result.deduplicated);
    assert_null(((hf__store *)p->b.terminal.data)->owner);
    reserve(&p->b, "s2");
    assert_false(p->b.result.deduplicated);
    done(&p->b, .op = "append", .message_id = T("s2"), .delta = T("x"));
}

static void a_trigger_that_stores_messages_of_its_own_is_no_obstacle(void **state) {
    fixture *f = &((pair *)*state)->a;
    fixture_sql(f,
                "CREATE TRIGGER echo AFTER INSERT ON messages WHEN new.role <> 'echo' BEGIN"
                " INSERT INTO messages(id, conversation_id, role, created_at, state, content)"
                " VALUES('echo-' || new.id, new.conversation_id, 'echo', new.created_at, 'final', 'x'); END");
    add(f, "c1", "m1");
    add(f, "c1", "m2");
    assert_int_equal(position(f, "m2"), 3);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 4);
}

static void a_trigger_that_keeps_a_message_out_is_an_error(void **state) {
    fixture *f = &((pair *)*state)->a;
    fixture_sql(f, "CREATE TRIGGER never BEFORE INSERT ON messages BEGIN SELECT RAISE(IGNORE); END");
    assert_int_equal(failed(f, ADD("c1", "m1")), HF_INTERNAL);
    assert_non_null(strstr(f->err.message, "\"m1\""));
}

#define RULE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RULE(two_handles_take_turns_and_no_place_or_time_is_given_twice),
        RULE(what_another_handle_wrote_is_seen_though_a_read_saw_it_first),
        RULE(the_place_of_a_message_that_another_handle_deleted_stays_its_own),
        RULE(a_conversation_that_another_handle_deleted_is_not_found),
        RULE(somebodys_own_statement_is_seen),
        RULE(a_place_that_the_index_still_knows_is_given_to_none),
        RULE(what_is_undone_is_forgotten),
        RULE(a_conversation_whose_transaction_was_rolled_back_is_not_found),
        RULE(an_op_that_changes_what_is_remembered_makes_it_forgotten),
        RULE(an_op_that_changes_nothing_of_it_leaves_it),
        RULE(ids_too_long_to_be_remembered_are_looked_up),
        RULE(more_conversations_than_are_remembered_stay_apart),
        RULE(a_stream_goes_on_where_it_ended),
        RULE(a_stream_that_was_ended_takes_no_more),
        RULE(a_delta_that_was_undone_is_not_counted),
        RULE(more_streams_than_are_remembered_stay_apart),
        RULE(a_conversation_made_amid_a_stream_is_no_older_than_another_handles_message),
        RULE(of_messages_in_a_row_the_conversation_is_written_for_the_first_and_the_last),
        RULE(whoever_looks_between_them_sees_all),
        RULE(a_conversation_that_is_looked_up_is_written_first),
        RULE(of_what_is_undone_the_conversation_says_nothing),
        RULE(a_conversation_that_cannot_be_written_fails_the_commit),
        RULE(a_repeat_writes_nothing_and_takes_no_time),
        RULE(a_repeat_of_anothers_reserve_makes_no_owner),
        RULE(a_trigger_that_stores_messages_of_its_own_is_no_obstacle),
        RULE(a_trigger_that_keeps_a_message_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
