/* Ops that wait and that no layer wants are run by the thread that has the turn: whose thread runs what, and that an op
 * run for another does, tells and undoes what it would have on its own thread. */
#define _POSIX_C_SOURCE 200809L

#include "support/fault_vfs.h"
#include "support/together.h"

enum { MOST = 64 };

static gate the_gate;

/* Who ran the guests: each begins with a mark. */
static struct {
    pthread_t threads[MOST];
    size_t count;
} marks;

static int note_mark(unsigned kind, void *data, void *stmt, void *text) {
    if (strncmp(text, "SAVEPOINT", 9) == 0 && marks.count < MOST)
        marks.threads[marks.count++] = pthread_self();
    return tell_statement(kind, data, stmt, text);
}

static void watch_marks(fixture *f) {
    watch_statements(f);
    sqlite3_trace_v2(((hf__store *)f->store->terminal.data)->db, SQLITE_TRACE_STMT, note_mark, f);
    marks.count = 0;
}

/* The random source of the host: what it may not do, and when it fails. */
static struct {
    int failing; /* which call from now on, 0 for none */
    int inside;  /* calls that found the store closed to them */
} source;

static int draw(void *data, void *bytes, size_t size) {
    fixture *f = data;
    static unsigned char next;
    hf_error err;
    if (f->store != NULL &&
        hf_exec(f->store, &(hf_op){.op = "get", .message_id = T("m1")}, NULL, &err) == HF_MISUSE)
        source.inside++;
    memset(bytes, ++next, size);
    return source.failing > 0 && --source.failing == 0 ? -1 : 0;
}

static int setup_guests(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    f->options.durability = HF_DURABILITY_FULL;
    f->options.random = draw;
    f->options.source_data = f;
    fixture_open(f);
    use_gate(f, &the_gate);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    watch_marks(f);
    memset(&source, 0, sizeof source);
    *state = f;
    return 0;
}

#define CALL(...)             \
    {                         \
        .op = { __VA_ARGS__ } \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NAMELESS(text) .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T(text)

/* ---- On which thread --------------------------------------------------------------------------- */

static void what_no_layer_wants_is_run_by_the_thread_before_it(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(ADD("m1", "1")), CALL(.op = "markSeen", .conversation_id = T("c1")),
                        CALL(ADD("m2", "2")), CALL(ADD("m3", "3"))};
    assert_code(run_together(f, &the_gate, callers, 4), HF_OK);
    assert_int_equal(marks.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_code(callers[i].code, HF_OK);
        assert_true(pthread_equal(marks.threads[i], marks.threads[0]));
        assert_false(pthread_equal(marks.threads[0], callers[i].thread));
    }
    assert_string_equal(f->trace, "begin mark release mark release mark release mark release commit ");
    assert_string_equal(messages_of(f), "m1=1 m2=2 m3=3");
    callers_free(callers, 4);
}

/* A layer that keeps on which thread it ran, and for which message. */
typedef struct visitor {
    pthread_t thread;
    int visits;
    char id[8];
} visitor;

static int visit(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    visitor *v = hf_layer_data(layer);
    v->thread = pthread_self();
    v->visits++;
    snprintf(v->id, sizeof v->id, "%s", op->message_id.data);
    return hf_next(layer, op, result, err);
}

static void what_a_layer_wants_runs_on_its_own_thread_and_the_order_is_kept(void **state) {
    fixture *f = *state;
    static const char *const ops[] = {"updateContent", NULL};
    visitor v = {.visits = 0};
    use_c(f, "visitor", ops, visit, &v);
    hf_op inside[] = {{.op = "updateContent", .message_id = T("m1"), .content = T("3")}, {ADD("m3", "m1=3")}};
    for (size_t batch = 0; batch < 2; batch++) {
        caller callers[] = {CALL(ADD(batch ? "m4" : "m1", "1")),
                            CALL(.op = "updateContent", .message_id = T("m1"), .content = T("2")),
                            CALL(ADD(batch ? "m5" : "m2", "m1=2"))};
        if (batch) callers[1].op = (hf_op){.op = "batch", .ops = inside, .ops_count = 2};
        v.visits = 0;
        marks.count = 0;
        assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
        for (size_t i = 0; i < 3; i++)
            assert_code(callers[i].code, HF_OK);
        assert_int_equal(v.visits, 1);
        assert_true(pthread_equal(v.thread, callers[1].thread));
        assert_false(pthread_equal(marks.threads[0], callers[0].thread)); /* run by the gate's */
        assert_true(
            pthread_equal(marks.threads[marks.count - 1], callers[1].thread)); /* which goes on with it */
        assert_int_equal(times(f, "commit"), 1);
        callers_free(callers, 3);
    }
    assert_string_equal(messages_of(f), "m1=3 m2=m1=2 m4=1 m3=m1=3 m5=m1=2");
}

static void keep_thread(void *data, hf_text record) {
    (void)record;
    if (marks.count < MOST) marks.threads[marks.count++] = pthread_self();
    fixture_note(data, "traced ");
}

static void what_is_traced_runs_on_its_own_thread(void **state) {
    fixture *f = *state;
    fixture_close(f);
    f->options.trace = keep_thread;
    f->options.trace_data = f;
    fixture_open(f);
    use_gate(f, &the_gate);
    watch_marks(f);
    caller callers[] = {CALL(ADD("m1", "1")), CALL(ADD("m2", "2"))};
    assert_code(run_together(f, &the_gate, callers, 2), HF_OK);
    assert_string_equal(f->trace, "begin mark release mark release commit traced traced traced ");
    assert_int_equal(marks.count, 5); /* two of them begin, and three are told of */
    for (size_t i = 0; i < 2; i++) {
        assert_code(callers[i].code, HF_OK);
        assert_true(pthread_equal(marks.threads[i], callers[i].thread));
        assert_true(pthread_equal(marks.threads[i + 3], callers[i].thread));
    }
    callers_free(callers, 2);
}

static visitor late;

static int use_late(hf_store *store, hf_error *err) {
    static const char *const ops[] = {"add", NULL};
    hf_layer_options options = {.size = sizeof options, .name = "late", .ops = ops, .data = &late};
    return hf_use_function(store, &options, visit, err);
}

static void a_layer_that_came_while_an_op_waited_sees_it(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(ADD("m1", "1")), {.call = use_late}, CALL(ADD("m2", "2"))};
    late = (visitor){.visits = 0};
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_code(callers[i].code, HF_OK);
    assert_int_equal(late.visits, 1);
    assert_string_equal(late.id, "m2");
    assert_true(pthread_equal(late.thread, callers[2].thread));
    assert_string_equal(f->trace, "begin mark release commit begin commit ");
    callers_free(callers, 3);
}

static int answer(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)layer, (void)op, (void)err;
    result->op = "updateContent";
    return HF_OK;
}

static void who_has_no_part_in_the_transaction_is_not_kept_to_run_it(void **state) {
    fixture *f = *state;
    static const char *const ops[] = {"updateContent", NULL};
    use_c(f, "answers", ops, answer, NULL);
    caller callers[] = {CALL(ADD("m1", "1")),
                        CALL(.op = "updateContent", .message_id = T("m1"), .content = T("2")),
                        CALL(ADD("m2", "2"))};
    marks.count = 0;
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_code(callers[i].code, HF_OK);
    assert_int_equal(marks.count, 2);
    assert_true(pthread_equal(marks.threads[1], callers[2].thread));
    assert_string_equal(f->trace, "begin mark release mark release commit ");
    assert_string_equal(messages_of(f), "m1=1 m2=2");
    callers_free(callers, 3);
}

static void note_done_thread(void *data, int code, hf_result *result, const hf_error *err) {
    (void)code, (void)result, (void)err;
    *(pthread_t *)data = pthread_self();
}

static void the_thread_of_what_was_submitted_runs_those_who_wait_behind(void **state) {
    fixture *f = *state;
    pthread_t served;
    caller first = CALL(GATE), callers[] = {CALL(ADD("m2", "2")), CALL(ADD("m3", "3"))};
    atomic_store(&the_gate.entered, false);
    atomic_store(&the_gate.closed, true);
    caller_start(f, &first);
    while (!atomic_load(&the_gate.entered))
        nap();
    assert_code(hf_submit(f->store, &(hf_op){ADD("m1", "1")}, note_done_thread, &served, &f->err), HF_OK);
    await_waiting(f->store, 1);
    for (size_t i = 0; i < 2; i++) {
        caller_start(f, &callers[i]);
        await_waiting(f->store, i + 2);
    }
    marks.count = 0;
    f->trace[0] = '\0';
    atomic_store(&the_gate.closed, false);
    pthread_join(first.thread, NULL);
    for (size_t i = 0; i < 2; i++)
        pthread_join(callers[i].thread, NULL);
    fixture_close(f); /* `served` is there */
    assert_code(first.code, HF_OK);
    assert_int_equal(marks.count, 3);
    for (size_t i = 0; i < 2; i++) {
        assert_code(callers[i].code, HF_OK);
        assert_true(pthread_equal(marks.threads[i + 1], served));
    }
    assert_int_equal(times(f, "commit"), 1);
    assert_string_equal(messages_of(f), "m1=1 m2=2 m3=3");
    callers_free(&first, 1);
    callers_free(callers, 2);
    fixture_open(f);
}

/* ---- What its caller gets ---------------------------------------------------------------------- */

static void answers_and_errors_come_to_whose_op_it_was(void **state) {
    fixture *f = *state;
    hf_op inside[] = {{NAMELESS("4")}, {.op = "update", .message_id = T("m9"), .updates = T("{}")}};
    hf_op well[] = {{NAMELESS("5")}, {ADD("m6", "6")}};
    caller callers[] = {
        CALL(NAMELESS("1")),
        CALL(.op = "add", .conversation_id = T("nowhere"), .role = T("u"), .content = T("x")),
        CALL(NAMELESS("2")),
        CALL(.op = "append", .message_id = T("lost"), .delta = T("x")),
        CALL(.op = "batch", .ops = inside, .ops_count = 2),
        CALL(.op = "batch", .ops = well, .ops_count = 2),
        CALL(.op = "createConversation", .conversation_id = T("c1")),
        CALL(ADD("m7", "7")),
    };
    static const int codes[] = {HF_OK, HF_NOT_FOUND, HF_OK, HF_NOT_FOUND, HF_NOT_FOUND, HF_OK, HF_OK, HF_OK};
    assert_code(run_together(f, &the_gate, callers, COUNT(callers)), HF_OK);
    for (size_t i = 0; i < COUNT(callers); i++) {
        assert_code(callers[i].code, codes[i]);
        if (codes[i] == HF_OK) {
            assert_string_equal(callers[i].result.op, callers[i].op.op);
        } else {
            assert_string_equal(callers[i].err.op, callers[i].op.op);
            assert_memory_equal(&callers[i].result, &(hf_result){0}, sizeof(hf_result));
        }
    }
    assert_text(callers[0].result.message->content, "1");
    assert_text(callers[2].result.message->content, "2");
    assert_string_not_equal(callers[0].result.message->id.data, callers[2].result.message->id.data);
    assert_true(callers[1].err.message_id[0] != '\0'); /* the one that was minted */
    assert_string_equal(callers[3].err.message_id, "lost");
    assert_says(&callers[4].err, "ops[1]: ");
    assert_text(callers[5].result.results[1].message->content, "6");
    assert_text(callers[6].result.conversation->title, "gate");
    assert_int_equal(marks.count, COUNT(callers)); /* each but the gate's is a guest, undone alone */
    assert_int_equal(times(f, "mark"), times(f, "release"));
    assert_int_equal(times(f, "undo"), 3);
    assert_int_equal(times(f, "begin"), 1);
    assert_int_equal(times(f, "commit"), 1);
    assert_int_equal(fixture_ask(f, "SELECT group_concat(content, '') = '12567' FROM"
                                    " (SELECT content FROM messages ORDER BY position)"),
                     1);
    callers_free(callers, COUNT(callers));
}

static void a_commit_that_fails_fails_those_whose_ops_were_run_for_them(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(ADD("m1", "1")), CALL(.op = "markSeen", .conversation_id = T("c1")),
                        CALL(NAMELESS("2")), CALL(.op = "update", .message_id = T("m9"), .updates = T("{}"))};
    fault_vfs_plan(FAULT_SYNC, SQLITE_IOERR_FSYNC, 1, 1000);
    assert_code(run_together(f, &the_gate, callers, COUNT(callers)), HF_UNKNOWN);
    assert_true(fault_vfs_failed() > 0);
    for (size_t i = 0; i < COUNT(callers); i++) {
        assert_code(callers[i].code, HF_UNKNOWN);
        assert_int_equal(callers[i].err.sqlite_code, SQLITE_IOERR_FSYNC);
        assert_string_equal(callers[i].err.op, callers[i].op.op);
        assert_memory_equal(&callers[i].result, &(hf_result){0}, sizeof(hf_result));
    }
    assert_string_equal(callers[0].err.message_id, "m1");
    assert_true(callers[2].err.message_id[0] != '\0');
    assert_string_equal(messages_of(f), "");
    done(f, ADD("m1", "again"));
    assert_string_equal(messages_of(f), "m1=again");
}

static void an_op_that_never_reached_the_terminal_is_answered_among_the_others(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(ADD("m1", "1")), CALL(NAMELESS("x")), CALL(ADD("m2", "2"))};
    source.failing = 1;
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    assert_code(callers[0].code, HF_OK);
    assert_code(callers[1].code, HF_IO);
    assert_says(&callers[1].err, "random source");
    assert_code(callers[2].code, HF_OK);
    assert_string_equal(f->trace, "begin mark release mark release commit ");
    callers_free(callers, 3);
}

static void the_store_is_closed_to_the_host_while_an_op_is_run_for_another(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(NAMELESS("1")), CALL(NAMELESS("2")), CALL(NAMELESS("3"))};
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_code(callers[i].code, HF_OK);
    assert_int_equal(source.inside, 3);
    callers_free(callers, 3);
}

static void an_op_that_breaks_a_rule_does_not_wait(void **state) {
    fixture *f = *state;
    caller first = CALL(GATE);
    atomic_store(&the_gate.entered, false);
    atomic_store(&the_gate.closed, true);
    caller_start(f, &first);
    while (!atomic_load(&the_gate.entered))
        nap();
    assert_code(failed(f, .op = "no such op"), HF_INVALID);
    assert_code(failed(f, .op = "add", .conversation_id = T("c1")), HF_INVALID);
    assert_says(&f->err, "role");
    atomic_store(&the_gate.closed, false);
    pthread_join(first.thread, NULL);
    assert_code(first.code, HF_OK);
    callers_free(&first, 1);
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_guests, teardown)
        TEST(what_no_layer_wants_is_run_by_the_thread_before_it),
        TEST(what_a_layer_wants_runs_on_its_own_thread_and_the_order_is_kept),
        TEST(what_is_traced_runs_on_its_own_thread),
        TEST(a_layer_that_came_while_an_op_waited_sees_it),
        TEST(who_has_no_part_in_the_transaction_is_not_kept_to_run_it),
        TEST(the_thread_of_what_was_submitted_runs_those_who_wait_behind),
        TEST(answers_and_errors_come_to_whose_op_it_was),
        TEST(a_commit_that_fails_fails_those_whose_ops_were_run_for_them),
        TEST(an_op_that_never_reached_the_terminal_is_answered_among_the_others),
        TEST(the_store_is_closed_to_the_host_while_an_op_is_run_for_another),
        TEST(an_op_that_breaks_a_rule_does_not_wait),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
