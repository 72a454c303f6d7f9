/* Ops that nobody waits for: their order, what is kept of them, who calls back when, and how it ends. */
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "holdfast_lua.h"
#include "support/fault_vfs.h"
#include "support/together.h"

enum { MANY = 600 };

/* What became of the submitted ops, in the order of the callbacks. */
typedef struct answers {
    fixture *f;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    struct {
        int code;
        char id[132], why[768];
        int sqlite_code;
    } all[MANY + 50];
    hf_result taken; /* the last answer */
} answers;

static answers given;
static gate the_gate;

static void keep(void *data, int code, hf_result *result, const hf_error *err) {
    (void)data;
    pthread_mutex_lock(&given.lock);
    given.all[given.count].code = code;
    if (result->message != NULL)
        snprintf(given.all[given.count].id, sizeof given.all->id, "%s", result->message->id.data);
    if (err != NULL) {
        snprintf(given.all[given.count].why, sizeof given.all->why, "%s", err->message);
        snprintf(given.all[given.count].id, sizeof given.all->id, "%s", err->message_id);
        given.all[given.count].sqlite_code = err->sqlite_code;
    }
    hf_result_free(&given.taken);
    given.taken = *result;
    *result = (hf_result){0};
    given.count++;
    pthread_cond_signal(&given.changed);
    pthread_mutex_unlock(&given.lock);
}

static void await_answers(size_t count) {
    pthread_mutex_lock(&given.lock);
    while (given.count < count)
        pthread_cond_wait(&given.changed, &given.lock);
    pthread_mutex_unlock(&given.lock);
}

static int setup_submit(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    f->options.durability = HF_DURABILITY_FULL;
    fixture_open(f);
    use_gate(f, &the_gate);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    watch_statements(f);
    given.count = 0;
    memset(given.all, 0, sizeof given.all);
    *state = f;
    return 0;
}

static int teardown_submit(void **state) {
    hf_result_free(&given.taken);
    return teardown(state);
}

/* Closes the gate with a call, so that what is submitted waits. */
static void stop(fixture *f, caller *c) {
    *c = (caller){.op = {GATE}};
    atomic_store(&the_gate.entered, false);
    atomic_store(&the_gate.closed, true);
    caller_start(f, c);
    while (!atomic_load(&the_gate.entered))
        nap();
}

static void go_on(caller *c) {
    atomic_store(&the_gate.closed, false);
    pthread_join(c->thread, NULL);
    assert_code(c->code, HF_OK);
    hf_result_free(&c->result);
}

static void submit(fixture *f, const hf_op *op) {
    if (hf_submit(f->store, op, keep, NULL, &f->err) != HF_OK) fail_msg("%s: %s", op->op, f->err.message);
}

static void submit_add(fixture *f, size_t number, const char *content) {
    char id[40];
    snprintf(id, sizeof id, "m%zu", number);
    submit(f, &(hf_op){ADD(id, content)});
}

/* ---- Order and answers ------------------------------------------------------------------------- */

static void one_alone_begins_and_commits_and_sets_no_mark(void **state) {
    fixture *f = *state;
    submit_add(f, 1, "x");
    await_answers(1);
    assert_code(given.all[0].code, HF_OK);
    assert_text(given.taken.message->content, "x");
    assert_string_equal(f->trace, "begin commit ");
}

static int count_commit(void *commits) {
    ++*(int *)commits;
    return 0;
}

static void many_run_in_order_in_few_transactions(void **state) {
    fixture *f = *state;
    int commits = 0;
    caller c;
    stop(f, &c);
    sqlite3_commit_hook(((hf__store *)f->store->terminal.data)->db, count_commit, &commits);
    for (size_t i = 0; i < MANY; i++)
        submit_add(f, i, "x");
    go_on(&c);
    await_answers(MANY);
    for (size_t i = 0; i < MANY; i++) {
        char id[40];
        snprintf(id, sizeof id, "m%zu", i);
        assert_code(given.all[i].code, HF_OK);
        assert_string_equal(given.all[i].id, id);
    }
    assert_int_equal(messages_in(f), MANY);
    assert_int_equal(fixture_ask(f,
                                 "SELECT count(*) FROM (SELECT id, row_number() OVER (ORDER BY position) AS n"
                                 " FROM messages) WHERE id <> 'm' || (n - 1)"),
                     0);
    assert_in_range(commits, 3, MANY / 4); /* no more than 256 share one */
}

static void one_that_fails_is_undone_alone(void **state) {
    fixture *f = *state;
    caller c;
    stop(f, &c);
    submit_add(f, 1, "1");
    submit(f, &(hf_op){.op = "add",
                       .conversation_id = T("nowhere"),
                       .role = T("u"),
                       .content = T("x"),
                       .message_id = T("lost")});
    submit(f, &(hf_op){.op = "get", .message_id = T("m1")});
    submit_add(f, 2, "2");
    f->trace[0] = '\0';
    go_on(&c);
    await_answers(4);
    static const int codes[] = {HF_OK, HF_NOT_FOUND, HF_OK, HF_OK};
    for (size_t i = 0; i < 4; i++)
        assert_code(given.all[i].code, codes[i]);
    assert_string_equal(given.all[1].id, "lost");
    assert_string_equal(given.all[2].id, "m1");
    assert_string_equal(messages_of(f), "m1=1 m2=2");
    assert_in_range(times(f, "commit"), 1, 2);
}

static void a_commit_that_fails_fails_all(void **state) {
    fixture *f = *state;
    caller c;
    stop(f, &c);
    for (size_t i = 0; i < 5; i++)
        submit_add(f, i, "x");
    fault_vfs_plan(FAULT_WRITE, SQLITE_FULL, 1, 1000000);
    atomic_store(&the_gate.closed, false);
    pthread_join(c.thread, NULL);
    await_answers(5);
    assert_true(fault_vfs_failed() > 0);
    for (size_t i = 0; i < 5; i++) {
        char id[40];
        snprintf(id, sizeof id, "m%zu", i);
        assert_code(given.all[i].code, HF_FULL);
        assert_int_equal(given.all[i].sqlite_code, SQLITE_FULL);
        assert_string_equal(given.all[i].id, id);
    }
    assert_string_equal(messages_of(f), "");
    submit_add(f, 0, "again");
    await_answers(6);
    assert_string_equal(messages_of(f), "m0=again");
}

/* ---- A terminal that cannot go back ------------------------------------------------------------ */

static int note(void *data, const char *word) {
    fixture_note(data, word);
    return HF_OK;
}

static int fake_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    (void)data, (void)result;
    if (strcmp(op->message_id.data, "bad") != 0) return HF_OK;
    *err = (hf_error){.code = HF_CONFLICT, .name = "conflict", .message = "planned"};
    return HF_CONFLICT;
}

static int fake_begin(void *data, int write, hf_error *err) {
    (void)write, (void)err;
    return note(data, "begin ");
}

static int fake_commit(void *data, hf_error *err) {
    (void)err;
    return note(data, "commit ");
}

static void fake_rollback(void *data) {
    note(data, "rollback ");
}

static int fake_mark(void *data, hf_error *err) {
    (void)err;
    return note(data, "mark ");
}

static int fake_undo(void *data, hf_error *err) {
    note(data, "undo ");
    *err = (hf_error){.code = HF_FULL, .name = "full", .message = "planned for undo"};
    return HF_FULL;
}

static void a_transaction_that_breaks_takes_none_behind_with_it(void **state) {
    fixture *f = *state;
    static const char *const ids[] = {"m1", "m2", "bad", "m3", "m4"};
    hf_terminal functions = {sizeof functions, f,         fake_exec, fake_begin, fake_commit, fake_rollback,
                             fake_mark,        fake_mark, fake_undo, NULL,       NULL};
    fixture_close(f);
    f->options.terminal = &functions;
    fixture_open(f);
    f->trace[0] = '\0';
    static const char *const ops[] = {"markSeen", NULL};
    use_c(f, "holds", ops, gate_layer, &the_gate);
    f->store->line.most_ns = INT64_C(60000000000);
    caller c = {.op = {.op = "markSeen", .conversation_id = T("c1"), .message_id = T("bad")}};
    atomic_store(&the_gate.entered, false);
    atomic_store(&the_gate.closed, true);
    caller_start(f, &c);
    while (!atomic_load(&the_gate.entered))
        nap();
    for (size_t i = 0; i < 5; i++)
        submit(f, &(hf_op){.op = "update", .message_id = T(ids[i]), .updates = T("{}")});
    await_waiting(f->store, 1);
    atomic_store(&the_gate.closed, false);
    pthread_join(c.thread, NULL);
    await_answers(5);
    assert_code(c.code, HF_CONFLICT);
    for (size_t i = 0; i < 5; i++)
        assert_code(given.all[i].code, i < 3 ? HF_FULL : HF_OK);
    assert_string_equal(f->trace,
                        "begin rollback begin mark mark mark undo rollback begin mark mark commit ");
    fixture_close(f);
    f->options.terminal = NULL;
    fixture_open(f);
}

/* ---- Behind the commit ------------------------------------------------------------------------- */

static void after_commit_comes_before_the_answers(void **state) {
    fixture *f = *state;
    caller c;
    use_lua(f, "after",
            "return {ops = {'add'}, handle = function(op, next, ctx)\n"
            "  ctx:afterCommit(function() ctx:log('info', 'after-' .. op.messageId .. ' ') end)\n"
            "  return next(op)\n"
            "end}");
    stop(f, &c);
    for (size_t i = 1; i < 4; i++)
        submit_add(f, i, "x");
    f->trace[0] = '\0';
    go_on(&c);
    await_answers(3);
    const char *tail = f->trace + strlen(f->trace) - strlen("commit after-m1 after-m2 after-m3 ");
    assert_string_equal(tail, "commit after-m1 after-m2 after-m3 ");
}

/* ---- What is kept of an op --------------------------------------------------------------------- */

static void an_op_is_copied_with_all_that_it_shows(void **state) {
    fixture *f = *state;
    caller c;
    char text[6][16] = {"m1", "{\"a\":1}", "final", "m2", "secret-trust", "{\"extra\":\"!\"}"};
    use_lua(f, "trusts",
            "return {ops = {'add'}, handle = function(op, next, ctx)\n"
            "  op.content = ctx.trust .. ctx.extra return next(op)\n"
            "end}");
    hf_context context = {.trust = T(text[4]), .extras = T(text[5])};
    hf_op add = {ADD(text[0], "x"), .metadata = T(text[1]), .context = &context};
    hf_text wanted = T(text[2]);
    hf_op list = {.op = "list", .conversation_id = T("c1"), .states = &wanted, .states_count = 1};
    hf_op inside[] = {{.op = "reserve", .conversation_id = T("c1"), .role = T("u"), .message_id = T(text[3])},
                      {.op = "abort", .message_id = T(text[3]), .reason = T(text[1])}};
    stop(f, &c);
    submit(f, &add);
    submit(f, &(hf_op){.op = "batch", .ops = inside, .ops_count = 2});
    submit(f, &list);
    memset(text, '?', sizeof text);
    memset(inside, 0, sizeof inside);
    memset(&context, 0, sizeof context);
    wanted = NONE;
    go_on(&c);
    await_answers(3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(given.all[i].why, "");
    assert_int_equal(given.taken.messages_count, 1);
    assert_text(given.taken.messages[0].content, "secret-trust!");
    assert_text(given.taken.messages[0].metadata, "{\"a\":1}");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE id = 'm2' AND state = 'aborted'"),
                     1);
}

/* ---- What is refused --------------------------------------------------------------------------- */

static int submits(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_error why;
    fixture *f = hf_layer_data(layer);
    if (hf_submit(f->store, op, keep, NULL, &why) != HF_MISUSE)
        return hf_layer_reject(layer, "internal", "taken", err);
    return hf_next(layer, op, result, err);
}

static void misuse_and_bad_ops_are_refused_at_once(void **state) {
    fixture *f = *state;
    assert_code(hf_submit(NULL, &(hf_op){ADD("m1", "x")}, keep, NULL, &f->err), HF_MISUSE);
    assert_code(hf_submit(f->store, NULL, keep, NULL, &f->err), HF_MISUSE);
    assert_code(hf_submit(f->store, &(hf_op){.op = "add"}, keep, NULL, &f->err), HF_INVALID);
    assert_says(&f->err, "conversationId");
    static const char *const ops[] = {"add", NULL};
    use_c(f, "submits", ops, submits, f);
    done(f, ADD("m1", "x"));
    pid_t child = fork();
    if (child == 0)
        _exit(hf_submit(f->store, &(hf_op){ADD("m2", "x")}, keep, NULL, &f->err) == HF_MISUSE ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(given.count, 0);
}

static void what_is_too_much_is_busy(void **state) {
    fixture *f = *state;
    caller c;
    fixture_close(f);
    f->options.max_submitted = 3;
    fixture_open(f);
    use_gate(f, &the_gate);
    stop(f, &c);
    for (size_t i = 0; i < 3; i++)
        submit_add(f, i, "x");
    assert_code(hf_submit(f->store, &(hf_op){ADD("m9", "x")}, keep, NULL, &f->err), HF_BUSY);
    go_on(&c);
    await_answers(3);
    submit_add(f, 3, "x");
    await_answers(4);
    assert_string_equal(messages_of(f), "m0=x m1=x m2=x m3=x");
}

static void a_layer_of_the_hosts_lua_stays_on_its_thread(void **state) {
    fixture *f = *state;
    lua_State *L = luaL_newstate();
    assert_int_equal(luaL_dostring(L, "return function(op, next) return next(op) end"), LUA_OK);
    assert_code(hf_use_lua(f->store, L, -1, "host", &f->err), HF_OK);
    submit_add(f, 1, "x");
    await_answers(1);
    assert_code(given.all[0].code, HF_MISUSE);
    assert_string_equal(given.all[0].id, "m1");
    fixture_close(f);
    lua_close(L);
}

/* ---- From a callback, and to the end ----------------------------------------------------------- */

static void goes_on(void *data, int code, hf_result *result, const hf_error *err) {
    fixture *f = data;
    hf_error why;
    if (given.count < 3) {
        hf_op add = {.op = "add", .conversation_id = T("c1"), .role = T("u"), .content = T("exec")};
        int more = hf_exec(f->store, &add, NULL, &why);
        add.content = T("submit");
        if (more == HF_OK) more = hf_submit(f->store, &add, goes_on, f, &why);
        if (more != HF_OK) code = more;
    }
    hf_close(f->store); /* frees nothing */
    keep(NULL, code, result, err);
}

static void a_callback_may_go_on(void **state) {
    fixture *f = *state;
    hf_op add = {ADD("m1", "first")};
    assert_code(hf_submit(f->store, &add, goes_on, f, &f->err), HF_OK);
    await_answers(4);
    for (size_t i = 0; i < 4; i++)
        assert_code(given.all[i].code, HF_OK);
    assert_int_equal(
        fixture_ask(f, "SELECT sum(content = 'exec') * 10 + sum(content = 'submit') FROM messages"), 33);
}

static void is_closing(void *data, int code, hf_result *result, const hf_error *err) {
    fixture *f = data;
    hf_error why;
    int last = code;
    while (last == HF_OK) /* until the close is on its way */
        last = hf_submit(f->store, &(hf_op){.op = "get", .message_id = T("m1")}, NULL, NULL, &why), nap();
    keep(NULL, last, result, err);
}

static void closing_waits_for_what_was_submitted(void **state) {
    fixture *f = *state;
    hf_op add = {ADD("first", "x")};
    assert_code(hf_submit(f->store, &add, is_closing, f, &f->err), HF_OK);
    for (size_t i = 0; i < 300; i++)
        submit_add(f, i, "x");
    hf_store *store = f->store;
    hf_close(store);
    assert_int_equal(given.count, 301);
    assert_code(given.all[0].code, HF_CLOSED);
    for (size_t i = 1; i < 301; i++)
        assert_code(given.all[i].code, HF_OK);
    assert_int_equal(messages_in(f), 301);
    fixture_open(f);
}

static int install(void **state) {
    (void)state;
    pthread_mutex_init(&given.lock, NULL);
    pthread_cond_init(&given.changed, NULL);
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_submit, teardown_submit)
        TEST(one_alone_begins_and_commits_and_sets_no_mark),
        TEST(many_run_in_order_in_few_transactions),
        TEST(one_that_fails_is_undone_alone),
        TEST(a_commit_that_fails_fails_all),
        TEST(a_transaction_that_breaks_takes_none_behind_with_it),
        TEST(after_commit_comes_before_the_answers),
        TEST(an_op_is_copied_with_all_that_it_shows),
        TEST(misuse_and_bad_ops_are_refused_at_once),
        TEST(what_is_too_much_is_busy),
        TEST(a_layer_of_the_hosts_lua_stays_on_its_thread),
        TEST(a_callback_may_go_on),
        TEST(closing_waits_for_what_was_submitted),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
