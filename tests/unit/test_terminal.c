/* A terminal of the host's own under the chain: a list in memory that writes down how it is called and fails
 * where it is told to. The order of the calls, what is undone, and what is tried again. */
#define _POSIX_C_SOURCE 200809L

#include <time.h>

#include "support/store.h"

enum { ROOM = 32 };

typedef struct fake_store {
    fixture *f;
    char ids[ROOM][40], contents[ROOM][40];
    size_t count, marks[ROOM], marks_count, committed;
    const char *fails; /* the call that fails, */
    int code, times;   /* how, and how often */
} fake_store;

/* Writes the call down, and fails it where that is planned. */
static int call(fake_store *fake, const char *name, hf_error *err) {
    fixture_note(fake->f, name);
    fixture_note(fake->f, " ");
    if (fake->times == 0 || strncmp(fake->fails, name, strlen(fake->fails)) != 0) return HF_OK;
    fake->times--;
    memset(err, 0, sizeof *err);
    err->code = fake->code;
    err->sqlite_code = 4711;
    strcpy(err->name, hf_code_name(fake->code));
    snprintf(err->message, sizeof err->message, "planned for %s", name);
    return fake->code;
}

static int fake_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    fake_store *fake = data;
    assert_string_equal(result->op, op->op);
    assert_null(result->message);
    assert_null(result->memory);
    if (strcmp(op->op, "createConversation") == 0) {
        result->conversation = hf_result_alloc(result, sizeof *result->conversation);
        result->conversation->id = hf_result_text(result, op->conversation_id);
        result->conversation->created_at = result->conversation->updated_at = 1;
        return HF_OK;
    }
    size_t i = 0;
    while (i < fake->count && strcmp(fake->ids[i], op->message_id.data) != 0)
        i++;
    if (strcmp(op->content.data != NULL ? op->content.data : "", "misfit") == 0)
        return HF_OK; /* without a message */
    if (strcmp(op->op, "add") == 0 && i == fake->count) {
        snprintf(fake->ids[i], sizeof fake->ids[i], "%s", op->message_id.data);
        snprintf(fake->contents[i], sizeof fake->contents[i], "%s", op->content.data);
        fake->count++;
    }
    if (i < fake->count) {
        result->message = hf_result_alloc(result, sizeof *result->message);
        *result->message = (hf_message){
            .id = hf_result_text(result, T(fake->ids[i])),
            .conversation_id = hf_result_text(result, T("c1")),
            .role = hf_result_text(result, T("user")),
            .content = hf_result_text(result, T(fake->contents[i])),
            .created_at = 1,
            .state = HF_STATE_FINAL,
        };
    }
    return call(fake, op->op, err); /* a failure comes when the row is there, and has to be undone */
}

static int fake_begin(void *data, int write, hf_error *err) {
    return call(data, write ? "begin" : "begin-read", err);
}

static int fake_commit(void *data, hf_error *err) {
    fake_store *fake = data;
    int code = call(fake, "commit", err);
    if (code == HF_OK) fake->committed = fake->count;
    return code;
}

static void fake_rollback(void *data) {
    fake_store *fake = data;
    fake->count = fake->committed;
    fake->marks_count = 0;
    call(fake, "rollback", NULL);
}

static int fake_mark(void *data, hf_error *err) {
    fake_store *fake = data;
    fake->marks[fake->marks_count++] = fake->count;
    return call(fake, "mark", err);
}

static int fake_release(void *data, hf_error *err) {
    fake_store *fake = data;
    assert_true(fake->marks_count > 0);
    fake->marks_count--;
    return call(fake, "release", err);
}

static int fake_undo(void *data, hf_error *err) {
    fake_store *fake = data;
    assert_true(fake->marks_count > 0);
    fake->count = fake->marks[--fake->marks_count];
    return call(fake, "undo", err);
}

static void fake_close(void *data) {
    call(data, "close", NULL);
}

static fake_store *fake_of(fixture *f) {
    return f->options.terminal->data;
}

static void plan(fixture *f, const char *call_name, int code, int times) {
    fake_of(f)->fails = call_name;
    fake_of(f)->code = code;
    fake_of(f)->times = times;
    f->trace[0] = '\0';
}

static int setup_fake(void **state) {
    fixture *f = malloc(sizeof *f);
    fake_store *data = calloc(1, sizeof *data);
    hf_terminal *terminal = malloc(sizeof *terminal);
    *terminal =
        (hf_terminal){sizeof *terminal, data,         fake_exec, fake_begin, fake_commit, fake_rollback,
                      fake_mark,        fake_release, fake_undo, fake_close, NULL};
    fixture_start(f);
    data->f = f;
    f->options.terminal = terminal;
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown_fake(void **state) {
    fixture *f = *state;
    fixture_end(f);
    free(fake_of(f));
    free((void *)f->options.terminal);
    free(f);
    return 0;
}

static const char pass_lua[] = "return {ops = '*', handle = function(op, next) return next(op) end}";

/* ---- The order of the calls -------------------------------------------------------------------- */

static void an_op_is_begun_run_and_committed(void **state) {
    fixture *f = *state;
    for (int layered = 0; layered < 2; layered++) {
        if (layered) use_lua(f, "pass", pass_lua);
        plan(f, "", 0, 0);
        done(f, ADD(layered ? "m2" : "m1", "x"));
        assert_string_equal(f->trace, "begin add commit ");
        f->trace[0] = '\0';
        assert_string_equal(content_of(f, "m1"), "x");
        assert_string_equal(f->trace, "begin-read get commit ");
    }
    f->trace[0] = '\0';
    fixture_close(f);
    assert_string_equal(f->trace, "close ");
}

static void an_op_that_a_layer_answers_does_not_begin(void **state) {
    fixture *f = *state;
    assert_code(hf_use_file(f->store, "memory", NONE, &f->err), HF_OK);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    done(f, ADD("m1", "x"));
    assert_code(failed(f, .op = "update", .message_id = T("m9"), .updates = T("{}")), HF_NOT_FOUND);
    assert_string_equal(f->trace, "");
}

static void a_batch_comes_op_by_op_in_one_transaction(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}};
    done(f, .op = "batch", .ops = ops, .ops_count = 2);
    assert_string_equal(f->trace, "begin add add commit ");
}

static void what_a_layer_runs_is_marked_and_released_or_undone(void **state) {
    fixture *f = *state;
    use_lua(f, "notes",
            "return {ops = {'add'}, handle = function(op, next, ctx)\n"
            "  ctx:exec{op = 'add', conversationId = 'c1', role = 'u', messageId = 'n1', content = 'n'}\n"
            "  ctx:exec{op = 'add', conversationId = 'c1', role = 'u', messageId = 'n2', content = 'n'}\n"
            "  local good = pcall(next, op)\n"
            "  return good and next(op) or next(op)\n"
            "end}");
    use_lua(f, "fails-once",
            "local failed = false\n"
            "return function(op, next)\n"
            "  local result = next(op)\n"
            "  if op.messageId == 'm1' and not failed then failed = true error('once') end\n"
            "  return result\n"
            "end");
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "begin add add mark add undo add commit ");
    assert_int_equal(fake_of(f)->marks_count, 0);
    assert_int_equal(fake_of(f)->count, 3);
}

static int pass_in_c(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

static void marks_are_set_where_somebody_may_catch_a_failure(void **state) {
    static const struct {
        const char *way, *more; /* to the layers below */
        bool marks;
        hf_flag trusted;
    } cases[] = {
        {"next(op)", "", false, HF_NO},
        {"pcall(error) or next(op)", "", false, HF_NO},
        {"select(2, pcall(next, op))", "", true, HF_NO},
        {"select(2, xpcall(next, tostring, op))", "", true, HF_NO},
        {"next(op)", "onError = 'continue',", true, HF_NO},
        {"next(op)", "", true, HF_YES},
        {NULL, NULL, true, HF_NO}, /* layers in C */
    };
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_close(f);
        f->options.trusted = cases[i].trusted;
        fixture_open(f);
        fake_of(f)->count = fake_of(f)->committed = 0;
        for (int k = 0; k < 2; k++) {
            char source[200], name[] = {(char)('a' + k), '\0'};
            snprintf(source, sizeof source,
                     "return {ops = {'add'}, %s handle = function(op, next) return %s end}", cases[i].more,
                     cases[i].way);
            if (cases[i].way != NULL)
                use_lua(f, name, source);
            else
                use_c(f, name, (const char *const[]){"add", NULL}, pass_in_c, NULL);
        }
        f->trace[0] = '\0';
        done(f, .op = "batch", .ops = ops, .ops_count = 2);
        assert_string_equal(f->trace, /* of two neighbours' marks the terminal has one */
                            cases[i].marks ? "begin add mark add release commit " : "begin add add commit ");
    }
}

static void a_failure_rolls_back(void **state) {
    fixture *f = *state;
    plan(f, "add", HF_CONFLICT, 1);
    assert_code(failed(f, ADD("m1", "x")), HF_CONFLICT);
    assert_string_equal(f->trace, "begin add rollback ");
    assert_string_equal(f->err.message, "planned for add");
    assert_int_equal(f->err.sqlite_code, 4711);
    assert_string_equal(f->err.op, "add");
    assert_string_equal(f->err.message_id, "m1");
    use_lua(f, "pass", pass_lua);
    plan(f, "add", HF_CONFLICT, 1);
    assert_code(failed(f, ADD("m1", "x")), HF_CONFLICT);
    assert_string_equal(f->trace, "begin add rollback ");
    assert_int_equal(f->err.sqlite_code, 4711);
    assert_int_equal(fake_of(f)->count, 0);
}

/* ---- Trying again ------------------------------------------------------------------------------ */

static long ms_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

static void what_is_transient_is_tried_again_with_the_same_id(void **state) {
    static const char *const calls[] = {"begin", "add", "commit"};
    fixture *f = *state;
    for (size_t i = 0; i < 3; i++) {
        plan(f, calls[i], i == 1 ? HF_IO : HF_BUSY, 1);
        fake_of(f)->count = fake_of(f)->committed = 0;
        done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x"));
        assert_text(f->result.message->id, fake_of(f)->ids[0]);
        assert_int_equal(fake_of(f)->count, 1);
        const char *end = strstr(f->trace, "rollback ");
        assert_non_null(end);
        assert_string_equal(end, "rollback begin add commit ");
    }
}

static void a_batch_that_no_layer_sees_is_tried_again_as_a_whole(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}};
    plan(f, "commit", HF_IO, 1);
    done(f, .op = "batch", .ops = ops, .ops_count = 2);
    assert_string_equal(f->trace, "begin add add commit rollback begin add add commit ");
    assert_text(f->result.results[1].message->content, "2");
    assert_int_equal(fake_of(f)->count, 2);
    const hf_op more[] = {{ADD("m3", "3")}, {.op = "update", .message_id = T("m3"), .updates = T("{}")}};
    plan(f, "update", HF_CONFLICT, 1);
    assert_code(failed(f, .op = "batch", .ops = more, .ops_count = 2), HF_CONFLICT);
    assert_int_equal(strncmp(f->err.message, "ops[1]: planned", 15), 0);
    assert_string_equal(f->err.op, "batch");
    assert_string_equal(f->err.message_id, "m3");
    assert_int_equal(fake_of(f)->count, 2);
}

static void it_is_given_up_after_three_more_tries(void **state) {
    fixture *f = *state;
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    plan(f, "add", HF_BUSY, 100);
    assert_code(failed(f, ADD("m1", "x")), HF_BUSY);
    assert_int_equal(fake_of(f)->times, 96);
    assert_true(ms_since(&start) >= 300); /* 50, 100 and 150 */
    assert_int_equal(fake_of(f)->count, 0);
    assert_string_equal(f->err.message_id, "m1");
}

static void the_third_retry_may_succeed(void **state) {
    fixture *f = *state;
    plan(f, "begin", HF_BUSY, 3);
    done(f, ADD("m1", "x"));
    assert_int_equal(fake_of(f)->count, 1);
}

static void an_unknown_outcome_tells_the_id_to_ask_again_with(void **state) {
    fixture *f = *state;
    plan(f, "commit", HF_UNKNOWN, 1);
    assert_code(failed(f, .op = "createConversation"), HF_UNKNOWN);
    const char *id = strchr(f->err.message, '"');
    assert_non_null(id);
    assert_int_equal(strcspn(id + 1, "\""), 36);
    assert_says(&f->err, "planned for commit");
    plan(f, "commit", HF_UNKNOWN, 1);
    assert_code(failed(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x")),
                HF_UNKNOWN);
    assert_int_equal(strlen(f->err.message_id), 36);
}

static void what_is_not_transient_is_not_tried_again(void **state) {
    static const int codes[] = {HF_UNKNOWN, HF_FULL, HF_READONLY, HF_CORRUPT, HF_NOT_FOUND};
    fixture *f = *state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        plan(f, "commit", codes[i], 1);
        assert_code(failed(f, ADD("m1", "x")), codes[i]);
        assert_string_equal(f->trace, "begin add commit rollback ");
    }
}

static const char count_lua[] =
    "return function(op, next, ctx) ctx:log('info', 'layer ') return next(op) end";

static void layers_are_not_run_again(void **state) {
    fixture *f = *state;
    use_lua(f, "counts", count_lua);
    plan(f, "begin", HF_BUSY, 2);
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "layer begin rollback begin rollback begin add commit ");
    plan(f, "add", HF_IO, 1); /* no layer has seen an answer yet */
    done(f, ADD("m2", "x"));
    assert_string_equal(f->trace, "layer begin add rollback begin add commit ");
}

static void once_a_layer_has_seen_an_answer_only_a_busy_commit_is_tried_again(void **state) {
    fixture *f = *state;
    use_lua(f, "notes",
            "return function(op, next, ctx)\n"
            "  ctx:exec{op = 'add', conversationId = 'c1', role = 'u', messageId = 'n1', content = 'n'}\n"
            "  return next(op)\n"
            "end");
    plan(f, "commit", HF_BUSY, 2);
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "begin add add commit commit commit ");
    plan(f, "commit", HF_IO, 1);
    assert_code(failed(f, ADD("m2", "x")), HF_IO);
    assert_string_equal(f->trace, "begin add add commit rollback ");
    const hf_op ops[] = {{ADD("m3", "1")}, {ADD("m4", "2")}};
    fixture_close(f);
    fixture_open(f);
    plan(f, "add", HF_BUSY, 1);
    done(f, .op = "batch", .ops = ops, .ops_count = 2);
    assert_string_equal(f->trace, "begin add rollback begin add add commit ");
    assert_int_equal(fake_of(f)->count, 4); /* n1, m1, m3, m4 */
}

static void an_undo_that_fails_fails_the_op(void **state) {
    fixture *f = *state;
    use_lua(f, "catches",
            "return function(op, next, ctx)\n"
            "  ctx:exec{op = 'add', conversationId = 'c1', role = 'u', content = 'n'}\n"
            "  pcall(next, op)\n"
            "  return ctx:exec{op = 'add', conversationId = 'c1', role = 'u', content = 'n'}\n"
            "end");
    use_lua(f, "fails", "return function(op, next) next(op) if op.content == 'x' then error('no') end end");
    plan(f, "undo", HF_IO, 1);
    assert_code(failed(f, ADD("m1", "x")), HF_IO);
    assert_says(&f->err, "planned for undo");
    assert_int_equal(fake_of(f)->count, 0);
}

/* ---- Less than a whole terminal ---------------------------------------------------------------- */

static void a_terminal_without_transactions_will_do(void **state) {
    fixture *f = *state;
    hf_terminal bare = {.size = sizeof bare, .data = fake_of(f), .exec = fake_exec};
    hf_options options = f->options;
    hf_store *store = NULL;
    options.terminal = &bare;
    assert_code(hf_open(NULL, &options, &store, &f->err), HF_OK);
    memset(&bare, 0, sizeof bare); /* it was copied */
    assert_code(hf_use_string(store, "fails-after", T("return function(op, next) next(op) error('no') end"),
                              NONE, &f->err),
                HF_OK);
    assert_code(hf_exec(store, &(hf_op){.op = "get", .message_id = T("m1")}, &f->result, &f->err), HF_OK);
    assert_null(f->result.message);
    assert_code(hf_exec(store, &(hf_op){ADD("m1", "x")}, &f->result, &f->err), HF_MIDDLEWARE);
    assert_code(hf_exec(store, &(hf_op){.op = "get", .message_id = T("m1")}, &f->result, &f->err), HF_OK);
    assert_text(f->result.message->content, "x"); /* nothing undoes it */
    hf_close(store);
}

static int silent_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    (void)data, (void)op, (void)result, (void)err;
    return HF_CONFLICT;
}

static void a_failure_without_a_word_has_its_code(void **state) {
    (void)state;
    hf_terminal terminal = {.size = sizeof terminal, .exec = silent_exec};
    hf_options options = {.size = sizeof options, .terminal = &terminal};
    hf_store *store;
    hf_error err;
    hf_json told;
    assert_code(hf_open(NULL, &options, &store, &err), HF_OK);
    for (int layered = 0; layered < 2; layered++) {
        if (layered) assert_code(hf_use_string(store, "pass", T(pass_lua), NONE, &err), HF_OK);
        memset(&err, 0x41, sizeof err);
        assert_code(hf_exec(store, &(hf_op){.op = "delete", .message_id = T("m1")}, NULL, &err), HF_CONFLICT);
        assert_string_equal(err.name, "conflict");
        assert_non_null(strstr(err.message, "without saying why"));
        assert_string_equal(err.layer, "");
    }
    assert_code(hf_explain_json(store, T("{\"op\":\"delete\",\"messageId\":\"m1\"}"), &told, &err),
                HF_MISUSE);
    assert_code(hf_stats_json(store, &told, &err), HF_MISUSE);
    assert_null(told.data);
    hf_close(store);
}

static int attentive_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    static hf_attention attention = {.unseen = 1}; /* its last member: what lies behind it is not its own */
    static hf_conversation conversation = {.attention = &attention, .created_at = 1, .updated_at = 1};
    (void)data, (void)err;
    conversation.id = op->conversation_id;
    result->conversation = &conversation;
    return HF_OK;
}

static void a_row_is_read_to_its_end_and_no_further(void **state) {
    (void)state;
    hf_terminal terminal = {.size = sizeof terminal, .exec = attentive_exec};
    hf_options options = {.size = sizeof options, .terminal = &terminal};
    hf_store *store;
    hf_error err;
    hf_json told;
    assert_code(hf_open(NULL, &options, &store, &err), HF_OK);
    assert_code(hf_use_string(store, "pass", T(pass_lua), NONE, &err), HF_OK);
    assert_code(
        hf_exec_json(store, T("{\"op\":\"createConversation\",\"conversationId\":\"c1\"}"), &told, &err),
        HF_OK);
    assert_non_null(strstr(told.data, "\"attention\":{\"unseen\":true}"));
    hf_json_free(&told);
    hf_close(store);
}

static void an_answer_that_does_not_fit_is_refused(void **state) {
    fixture *f = *state;
    for (int layered = 0; layered < 2; layered++) {
        if (layered) use_lua(f, "pass", pass_lua);
        plan(f, "", 0, 0);
        assert_code(failed(f, ADD("m1", "misfit")), HF_BAD_RESULT);
        assert_non_null(strstr(f->err.message, "terminal"));
        assert_non_null(strstr(f->err.message, "message"));
        assert_null(strstr(f->trace, "commit"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_fake, teardown_fake)
        TEST(an_op_is_begun_run_and_committed),
        TEST(an_op_that_a_layer_answers_does_not_begin),
        TEST(a_batch_comes_op_by_op_in_one_transaction),
        TEST(what_a_layer_runs_is_marked_and_released_or_undone),
        TEST(marks_are_set_where_somebody_may_catch_a_failure),
        TEST(a_failure_rolls_back),
        TEST(an_answer_that_does_not_fit_is_refused),
        cmocka_unit_test(a_failure_without_a_word_has_its_code),
        cmocka_unit_test(a_row_is_read_to_its_end_and_no_further),
        TEST(what_is_transient_is_tried_again_with_the_same_id),
        TEST(a_batch_that_no_layer_sees_is_tried_again_as_a_whole),
        TEST(it_is_given_up_after_three_more_tries),
        TEST(the_third_retry_may_succeed),
        TEST(an_unknown_outcome_tells_the_id_to_ask_again_with),
        TEST(what_is_not_transient_is_not_tried_again),
        TEST(layers_are_not_run_again),
        TEST(once_a_layer_has_seen_an_answer_only_a_busy_commit_is_tried_again),
        TEST(an_undo_that_fails_fails_the_op),
        TEST(a_terminal_without_transactions_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
