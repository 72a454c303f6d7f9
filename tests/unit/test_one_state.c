/* An op that reads sees one state of the store, however many statements it takes: another connection writes between two
 * of them, and nothing of that is in the answer. */
#define _POSIX_C_SOURCE 200809L

#include "support/terminal.h"

/* Writes once, before the reader's first statement whose text has `part` in it. */
typedef struct between {
    fixture writer, reader;
    const char *part;
    void (*write)(fixture *writer);
    int written;
} between;

static int setup(void **state) {
    between *b = calloc(1, sizeof *b);
    fixture *writer = &b->writer;
    fixture_start(writer);
    fixture_open(writer);
    done(writer, .op = "createConversation", .conversation_id = T("c1"));
    done(writer, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("first"),
         .message_id = T("m1"));
    done(writer, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("r1"));
    done(writer, .op = "append", .message_id = T("r1"), .delta = T("one"));
    done(writer, .op = "append", .message_id = T("r1"), .delta = T(", two"));
    b->reader = *writer;
    b->reader.result = (hf_result){0};
    assert_int_equal(writer->terminal.open_reader(writer->terminal.data, &b->reader.terminal, &writer->err),
                     HF_OK);
    *state = b;
    return 0;
}

static int teardown(void **state) {
    between *b = *state;
    fixture_close(&b->reader);
    fixture_end(&b->writer);
    free(b);
    return 0;
}

static int see_statement(unsigned what, void *data, void *statement, void *text) {
    between *b = data;
    (void)what, (void)statement;
    if (b->written == 0 && strstr(text, b->part) != NULL) {
        b->written++;
        b->write(&b->writer);
    }
    return 0;
}

/* The reader's answer, with `write` in its midst. */
#define answer_around(b, part, write, ...) (answer((b), (part), (write), &(hf_op){__VA_ARGS__}))
static const hf_result *answer(between *b, const char *part, void (*write)(fixture *), const hf_op *op) {
    b->part = part;
    b->write = write;
    b->written = 0;
    sqlite3_trace_v2(fixture_db(&b->reader), SQLITE_TRACE_STMT, see_statement, b);
    const hf_result *result = done_op(&b->reader, op);
    sqlite3_trace_v2(fixture_db(&b->reader), 0, NULL, NULL);
    assert_int_equal(b->written, 1);
    return result;
}

/* ---- What happens in between ------------------------------------------------------------------- */

static void finalise(fixture *writer) {
    done(writer, .op = "updateContent", .message_id = T("r1"), .content = T("final"));
}

static void append(fixture *writer) {
    done(writer, .op = "append", .message_id = T("r1"), .delta = T(", three"));
}

static void delete_all(fixture *writer) {
    done(writer, .op = "deleteConversation", .conversation_id = T("c1"));
}

/* A conversation that never was without a message. */
static void create_with_message(fixture *writer) {
    hf_terminal *terminal = &writer->terminal;
    assert_int_equal(terminal->begin(terminal->data, 1, &writer->err), HF_OK);
    assert_int_equal(inside(writer, &(hf_op){.op = "createConversation", .conversation_id = T("c2")}), HF_OK);
    assert_int_equal(inside(writer, &(hf_op){.op = "add",
                                             .conversation_id = T("c2"),
                                             .role = T("user"),
                                             .content = T("at once"),
                                             .message_id = T("m2")}),
                     HF_OK);
    assert_int_equal(terminal->commit(terminal->data, &writer->err), HF_OK);
}

/* ---- What is answered -------------------------------------------------------------------------- */

static void deltas_are_those_of_the_state_that_is_told(void **state) {
    between *b = *state;
    const hf_result *result = answer_around(b, "FROM deltas", finalise, .op = "read", .message_id = T("r1"));
    assert_int_equal(result->state, HF_STATE_STREAMING);
    assert_int_equal(result->seq, 2);
    assert_int_equal(result->deltas_count, 2);
    assert_text(result->deltas[1].delta, ", two");
    result = done(&b->reader, .op = "read", .message_id = T("r1"));
    assert_int_equal(result->state, HF_STATE_FINAL);
    assert_int_equal(result->deltas_count, 0);
}

static void a_client_that_missed_nothing_is_told_the_seq_that_it_saw(void **state) {
    between *b = *state;
    const hf_result *result = answer_around(b, "ORDER BY position DESC", append, .op = "read",
                                            .message_id = T("r1"), .after_seq = 2);
    assert_int_equal(result->deltas_count, 0);
    assert_int_equal(result->seq, 2);
    assert_int_equal(done(&b->reader, .op = "read", .message_id = T("r1"), .after_seq = 2)->seq, 3);
}

static void a_streams_content_is_of_its_state(void **state) {
    between *b = *state;
    const hf_message *row =
        answer_around(b, "FROM deltas", finalise, .op = "get", .message_id = T("r1"))->message;
    assert_int_equal(row->state, HF_STATE_STREAMING);
    assert_text(row->content, "one, two");
    assert_text(done(&b->reader, .op = "get", .message_id = T("r1"))->message->content, "final");
}

static void a_list_is_of_one_state(void **state) {
    between *b = *state;
    const hf_result *result =
        answer_around(b, "FROM deltas", finalise, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(result->messages_count, 2);
    assert_int_equal(result->messages[1].state, HF_STATE_STREAMING);
    assert_text(result->messages[1].content, "one, two");
}

static void a_page_is_of_the_state_in_which_its_first_message_was_found(void **state) {
    between *b = *state;
    const hf_result *result = answer_around(b, "position > ?", delete_all, .op = "list",
                                            .conversation_id = T("c1"), .after = T("m1"));
    assert_int_equal(result->messages_count, 1);
    assert_text(result->messages[0].id, "r1");
    assert_int_equal(failed(&b->reader, .op = "list", .conversation_id = T("c1")), HF_NOT_FOUND);
}

static void a_conversation_that_comes_with_a_message_is_never_found_empty(void **state) {
    between *b = *state;
    const hf_result *result = answer_around(b, "SELECT updated_at, position FROM conversations",
                                            create_with_message, .op = "list", .conversation_id = T("c2"));
    assert_int_equal(result->messages_count, 1);
    assert_text(result->messages[0].id, "m2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        RULE(deltas_are_those_of_the_state_that_is_told),
        RULE(a_client_that_missed_nothing_is_told_the_seq_that_it_saw),
        RULE(a_streams_content_is_of_its_state),
        RULE(a_list_is_of_one_state),
        RULE(a_page_is_of_the_state_in_which_its_first_message_was_found),
        RULE(a_conversation_that_comes_with_a_message_is_never_found_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
