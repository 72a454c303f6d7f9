/* Writers that wait share a transaction: who runs when, what each sees, whose failure undoes what, who hears of the
 * commit, and what a lone writer costs. */
#define _POSIX_C_SOURCE 200809L

#include <sys/stat.h>
#include <unistd.h>

#include "support/fault_vfs.h"
#include "support/together.h"

static gate the_gate;

/* The host is told things by whoever is inside the store, and by nobody else. */
static void log_inside(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    fixture *f = data;
    hf_error err;
    if (hf_exec(f->store, &(hf_op){.op = "get", .message_id = T("m1")}, NULL, &err) != HF_MISUSE)
        fixture_note(f, "outside: ");
    fixture_log(data, level, layer, message, fields);
}

/* A store with the gate, whose disk can be told to fail. */
static int setup_gate(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    f->options.durability = HF_DURABILITY_FULL;
    f->options.log = log_inside;
    fixture_open(f);
    use_gate(f, &the_gate);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    watch_statements(f);
    *state = f;
    return 0;
}

/* Reads that a layer wants stand in line with the writers. */
static int pass(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

static void use_reads(fixture *f) {
    static const char *const reads[] = {"get", "getConversation", NULL};
    use_c(f, "reads", reads, pass, NULL);
}

#define CALL(...)             \
    {                         \
        .op = { __VA_ARGS__ } \
    }
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char guard_lua[] =
    "return {ops = {'add'}, handle = function(op, next, ctx)\n"
    "  ctx:afterCommit(function() ctx:log('info', 'after-' .. op.messageId .. ' ') end)\n"
    "  if op.content == 'answered' then\n"
    "    return ctx:reply{message = {id = op.messageId, conversationId = 'c1', role = 'u',\n"
    "                                content = '', createdAt = 1, state = 'final'}}\n"
    "  end\n"
    "  if op.content == 'caught' then\n"
    "    pcall(next, {op = 'add', conversationId = 'nowhere', role = 'u', content = 'x'})\n"
    "  end\n"
    "  local result = next(op)\n"
    "  if op.content == 'refused' then ctx:reject('denied', 'no') end\n"
    "  return result\n"
    "end}";

/* ---- A transaction for all --------------------------------------------------------------------- */

static void a_lone_writer_begins_and_commits_and_sets_no_mark(void **state) {
    fixture *f = *state;
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "begin commit ");
    use_lua(f, "guard", guard_lua);
    f->trace[0] = '\0';
    done(f, ADD("m2", "x"));
    assert_string_equal(f->trace, "begin commit after-m2 ");
}

static void those_who_wait_run_in_the_order_they_came_in_one_transaction(void **state) {
    fixture *f = *state;
    caller callers[] = {CALL(ADD("m1", "1")), CALL(ADD("m2", "2")), CALL(ADD("m3", "3")),
                        CALL(ADD("m4", "4"))};
    assert_code(run_together(f, &the_gate, callers, 4), HF_OK);
    for (size_t i = 0; i < 4; i++)
        assert_code(callers[i].code, HF_OK);
    assert_string_equal(f->trace, "begin mark release mark release mark release mark release commit ");
    assert_string_equal(messages_of(f), "m1=1 m2=2 m3=3 m4=4");
    callers_free(callers, 4);
    f->trace[0] = '\0';
    done(f, ADD("m5", "5"));
    assert_string_equal(f->trace, "begin commit ");
}

static void an_op_sees_what_the_ones_before_it_wrote(void **state) {
    fixture *f = *state;
    use_reads(f);
    caller callers[] = {
        CALL(ADD("m1", "1")),
        CALL(.op = "get", .message_id = T("m1")),
        CALL(ADD("m1", "other")),
        CALL(.op = "updateContent", .message_id = T("m1"), .content = T("2")),
        CALL(.op = "getConversation", .conversation_id = T("c1")),
    };
    assert_code(run_together(f, &the_gate, callers, 5), HF_OK);
    for (size_t i = 0; i < 5; i++)
        assert_code(callers[i].code, HF_OK);
    assert_text(callers[1].result.message->content, "1");
    assert_true(callers[2].result.deduplicated);
    assert_text(callers[4].result.conversation->title, "gate");
    assert_int_equal(times(f, "commit"), 1);
    assert_string_equal(messages_of(f), "m1=2");
    callers_free(callers, 5);
}

static void who_waits_is_not_answered_before_the_commit(void **state) {
    fixture *f = *state;
    gate start = {.closed = true};
    static const char *const ops[] = {"createConversation", NULL};
    use_c(f, "start", ops, gate_layer, &start);
    caller callers[] = {CALL(.op = "createConversation", .conversation_id = T("c2")), CALL(ADD("m1", "1")),
                        CALL(ADD("m2", "2")), CALL(GATE)};
    atomic_store(&the_gate.closed, true);
    atomic_store(&the_gate.entered, false);
    caller_start(f, &callers[0]);
    while (!atomic_load(&start.entered))
        nap();
    for (size_t i = 1; i < 4; i++) {
        caller_start(f, &callers[i]);
        await_waiting(f->store, i);
    }
    atomic_store(&start.closed, false);
    while (!atomic_load(&the_gate.entered)) /* all before the last one have run */
        nap();
    assert_int_equal(members(f->store), 3);
    assert_string_equal(messages_of(f), "");
    atomic_store(&the_gate.closed, false);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_code(callers[i].code, HF_OK);
    }
    assert_string_equal(messages_of(f), "m1=1 m2=2");
    callers_free(callers, 4);
}

/* ---- One op's failure -------------------------------------------------------------------------- */

static void an_op_that_fails_is_undone_alone(void **state) {
    fixture *f = *state;
    use_lua(f, "guard", guard_lua);
    hf_op inside[] = {{ADD("m4", "4")}, {.op = "delete", .message_id = T("")}};
    inside[1] = (hf_op){.op = "update", .message_id = T("m9"), .updates = T("{}")};
    caller callers[] = {
        CALL(ADD("m1", "1")),
        CALL(.op = "add", .conversation_id = T("nowhere"), .role = T("u"), .content = T("x")),
        CALL(ADD("m2", "refused")),
        CALL(ADD("m3", "caught")),
        CALL(.op = "batch", .ops = inside, .ops_count = 2),
        CALL(ADD("m5", "5")),
    };
    static const int codes[] = {HF_OK, HF_NOT_FOUND, HF_DENIED, HF_OK, HF_NOT_FOUND, HF_OK};
    assert_code(run_together(f, &the_gate, callers, COUNT(callers)), HF_OK);
    for (size_t i = 0; i < COUNT(callers); i++)
        assert_code(callers[i].code, codes[i]);
    assert_int_equal(times(f, "begin"), 1);
    assert_int_equal(times(f, "commit"), 1);
    assert_int_equal(times(f, "rollback"), 0);
    assert_int_equal(times(f, "mark"), times(f, "release")); /* an undo is released as well */
    assert_string_equal(messages_of(f), "m1=1 m3=caught m5=5");
    assert_string_equal(strstr(f->trace, "commit"), "commit after-m1 after-m3 after-m5 ");
    callers_free(callers, COUNT(callers));
}

static void a_context_is_of_no_use_to_the_ops_behind_it(void **state) {
    fixture *f = *state;
    use_lua(f, "keeps",
            "return {ops = {'add'}, handle = function(op, next, ctx)\n"
            "  if ctx.state.kept and pcall(ctx.state.kept.now, ctx.state.kept) then error('of use') end\n"
            "  ctx.state.kept = ctx.state.kept or ctx\n"
            "  ctx:afterCommit(function() ctx:log('info', 'at ' .. type(ctx:now()) .. ' ') end)\n"
            "  return next(op)\n"
            "end}");
    caller callers[] = {CALL(ADD("m1", "1")), CALL(ADD("m2", "2")), CALL(ADD("m3", "3"))};
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_code(callers[i].code, HF_OK);
    assert_int_equal(times(f, "commit"), 1);
    assert_string_equal(strstr(f->trace, "commit"), "commit at number at number at number ");
    callers_free(callers, 3);
    assert_code(hf_exec(f->store, &(hf_op){ADD("m4", "4")}, &f->result, &f->err), HF_OK);
}

static void the_first_ones_failure_is_its_own(void **state) {
    fixture *f = *state;
    use_lua(f, "refuses",
            "return {ops = {'updateConversation'}, handle = function(op, next, ctx)\n"
            "  next(op) ctx:reject('denied', 'no')\n"
            "end}");
    caller callers[] = {CALL(ADD("m1", "1")), CALL(ADD("m2", "2"))};
    assert_code(run_together(f, &the_gate, callers, 2), HF_DENIED);
    assert_code(callers[0].code, HF_OK);
    assert_code(callers[1].code, HF_OK);
    assert_string_equal(f->trace, "begin rollback begin mark release commit ");
    assert_string_equal(messages_of(f), "m1=1 m2=2");
    callers_free(callers, 2);
}

static void an_owner_that_cannot_be_looked_at_fails_only_who_asked(void **state) {
    fixture *f = *state;
    char place[600];
    sqlite3 *db = NULL;
#define OTHER "01234567-0123-4123-8123-0123456789ab"
    done(f, .op = "reserve", .conversation_id = T("c1"), .message_id = T("r1"), .role = T("assistant"));
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE messages SET owner = '" OTHER "'", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    snprintf(place, sizeof place, "%s-owner-" OTHER, f->path);
    assert_int_equal(mkdir(place, 0700), 0); /* where its file ought to be */
    caller callers[] = {CALL(ADD("m1", "1")), CALL(.op = "append", .message_id = T("r1"), .delta = T("x")),
                        CALL(ADD("m2", "2"))};
    assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
    assert_int_equal(rmdir(place), 0);
    assert_code(callers[0].code, HF_OK);
    assert_code(callers[1].code, HF_IO);
    assert_says(&callers[1].err, "cannot be looked at");
    assert_code(callers[2].code, HF_OK);
    assert_int_equal(times(f, "commit"), 1);
    callers_free(callers, 3);
}

/* ---- A commit that fails ----------------------------------------------------------------------- */

static void a_commit_that_fails_fails_all_who_were_there(void **state) {
    static const struct {
        fault_kind kind;
        int rc, code;
    } faults[] = {{FAULT_SYNC, SQLITE_IOERR_FSYNC, HF_UNKNOWN},
                  {FAULT_WRITE, SQLITE_IOERR_WRITE, HF_IO},
                  {FAULT_WRITE, SQLITE_FULL, HF_FULL}};
    fixture *f = *state;
    use_lua(f, "guard", guard_lua);
    use_reads(f);
    for (size_t i = 0; i < COUNT(faults); i++) {
        caller callers[] = {
            CALL(ADD("m1", "1")),
            CALL(.op = "get", .message_id = T("m1")),
            CALL(.op = "update", .message_id = T("m9"), .updates = T("{}")),
            CALL(ADD("m2", "answered")),
            CALL(ADD("m3", "caught")),
        };
        static const bool shares[] = {true, true, true, false, true};
        fault_vfs_plan(faults[i].kind, faults[i].rc, 1, 1000);
        int first = run_together(f, &the_gate, callers, COUNT(callers));
        assert_true(fault_vfs_failed() > 0);
        assert_code(first, faults[i].code);
        for (size_t j = 0; j < COUNT(callers); j++) {
            caller *c = &callers[j];
            assert_code(c->code, shares[j] ? faults[i].code : HF_OK);
            if (!shares[j]) continue;
            assert_int_equal(c->err.code, faults[i].code);
            assert_int_equal(c->err.sqlite_code, faults[i].rc);
            assert_string_equal(c->err.op, c->op.op);
            assert_string_equal(c->err.layer, "");
            assert_memory_equal(&c->result, &(hf_result){0}, sizeof c->result);
        }
        assert_string_equal(callers[0].err.message_id, "m1");
        assert_string_equal(callers[4].err.message_id, "m3");
        assert_int_equal(times(f, "after-m1"), 0);
        assert_int_equal(times(f, "after-m3"), 0);
        assert_int_equal(times(f, "after-m2"), 1); /* it was answered, and had nothing to commit */
        assert_string_equal(messages_of(f), "");
        callers_free(callers, COUNT(callers));
    }
    done(f, ADD("m1", "again"));
    done(f, ADD("m3", "again"));
    assert_string_equal(messages_of(f), "m1=again m3=again");
}

static void keep_outcome(void *data, hf_text record) {
    const char *code = strstr(record.data, "\"code\":");
    fixture_note(data, code != NULL ? code + 7 : "?");
    fixture_note(data, strstr(record.data, "\"outcome\":\"ok\"") != NULL ? "ok " : " ");
}

static void traces_tell_the_outcome_of_the_commit_in_order(void **state) {
    fixture *f = *state;
    fixture_close(f);
    f->options.trace = keep_outcome;
    f->options.trace_data = f;
    fixture_open(f);
    use_gate(f, &the_gate);
    watch_statements(f);
    for (int fails = 0; fails < 2; fails++) {
        caller callers[] = {CALL(ADD(fails ? "m3" : "m1", "1")), CALL(ADD(fails ? "m4" : "m2", "2"))};
        if (fails) fault_vfs_plan(FAULT_WRITE, SQLITE_FULL, 1, 1000);
        run_together(f, &the_gate, callers, 2);
        if (fails) assert_true(fault_vfs_failed() > 0);
        const char *told = strstr(f->trace, "commit ");
        assert_non_null(told);
        assert_int_equal(times(f, fails ? "\"full\"" : "ok "), 3);
        assert_int_equal(times(f, fails ? "ok " : "\"full\""), 0);
        callers_free(callers, 2);
    }
}

/* ---- What waits for the commit, and what it keeps ---------------------------------------------- */

enum { HEAVY_OPS = 8, HEAVY_SIZE = 400000 };

/* Adds that together bring more than all scripts may have; `source` is a layer that keeps that much for each. */
static void add_heavy(fixture *f, const char *source, size_t size) {
    fixture_close(f);
    f->options.max_lua_memory = 2 << 20;
    fixture_open(f);
    use_gate(f, &the_gate);
    watch_statements(f);
    use_lua(f, "keeps", source);
    char *content = malloc(size);
    char ids[HEAVY_OPS][8];
    memset(content, 'x', size);
    caller callers[HEAVY_OPS] = {{.code = 0}};
    for (size_t i = 0; i < HEAVY_OPS; i++) {
        snprintf(ids[i], sizeof ids[i], "m%zu", i);
        callers[i].op = (hf_op){ADD(ids[i], "")};
        callers[i].op.content = (hf_text){content, size};
    }
    assert_code(run_together(f, &the_gate, callers, HEAVY_OPS), HF_OK);
    for (size_t i = 0; i < HEAVY_OPS; i++)
        if (callers[i].code != HF_OK) fail_msg("%s: %s", ids[i], callers[i].err.message);
    assert_int_equal(times(f, "400000 "), HEAVY_OPS);
    callers_free(callers, HEAVY_OPS);
    free(content);
}

static void what_an_op_that_waits_brought_is_beyond_the_memory_of_those_behind_it(void **state) {
    fixture *f = *state;
    add_heavy(f,
              "return {ops = {'add'}, handle = function(op, next, ctx)\n"
              "  ctx:afterCommit(function() ctx:log('info', #op.content .. ' ') end)\n"
              "  return next(op)\n"
              "end}",
              HEAVY_SIZE);
    assert_int_equal(times(f, "commit"), 1);
    hf__budget *budget = f->store->vm->budget;
    assert_int_equal(budget->waiting, 0);
}

static void what_scripts_made_for_after_the_commit_ends_the_sharing_before_it_is_too_much(void **state) {
    fixture *f = *state;
    add_heavy(f,
              "return {ops = {'add'}, handle = function(op, next, ctx)\n"
              "  local note = ('x'):rep(400000)\n"
              "  ctx:afterCommit(function() ctx:log('info', #note .. ' ') end)\n"
              "  return next(op)\n"
              "end}",
              10);
    assert_in_range(times(f, "commit"), 2, HEAVY_OPS - 2);
}

/* ---- Who shares, and how long ------------------------------------------------------------------ */

static int reload(hf_store *store, hf_error *err) {
    return hf_reload(store, err);
}

static int explain(hf_store *store, hf_error *err) {
    hf_json json;
    int code =
        hf_explain_json(store,
                        T("{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"messageId\":\"dry\","
                          "\"content\":\"x\"}"),
                        &json, err);
    bool good = code == HF_OK && strstr(json.data, "\"outcome\":\"ok\"") != NULL;
    hf_json_free(&json);
    return good ? HF_OK : HF_INTERNAL;
}

static void who_needs_the_store_alone_comes_behind_the_commit(void **state) {
    fixture *f = *state;
    use_lua(f, "guard", guard_lua);
    caller callers[] = {CALL(ADD("m1", "1")), {.call = reload},     CALL(ADD("m2", "2")),
                        {.call = explain},    CALL(ADD("m3", "3")), CALL(ADD("m4", "4"))};
    assert_code(run_together(f, &the_gate, callers, COUNT(callers)), HF_OK);
    for (size_t i = 0; i < COUNT(callers); i++)
        assert_code(callers[i].code, HF_OK);
    assert_string_equal(f->trace, "begin mark release commit after-m1 begin commit after-m2 begin rollback "
                                  "begin mark release commit after-m3 after-m4 ");
    assert_string_equal(messages_of(f), "m1=1 m2=2 m3=3 m4=4");
    callers_free(callers, COUNT(callers));
}

static int slow(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    if (strcmp(op->content.data, "slow") == 0) nanosleep(&(struct timespec){0, 20000000}, NULL);
    return hf_next(layer, op, result, err);
}

static void nobody_joins_when_the_time_is_up(void **state) {
    fixture *f = *state;
    static const char *const ops[] = {"add", NULL};
    use_c(f, "slow", ops, slow, NULL);
    f->store->line.most_ns = HF__MOST_NS_SHARING;
    caller callers[] = {CALL(ADD("m1", "slow")), CALL(ADD("m2", "2"))};
    assert_code(run_together(f, &the_gate, callers, 2), HF_OK);
    assert_string_equal(f->trace, "begin mark release commit begin commit ");
    callers_free(callers, 2);
}

static void a_group_has_its_most(void **state) {
    fixture *f = *state;
    enum { MANY = HF__MOST_SHARING + 40 };
    caller *callers = calloc(MANY, sizeof *callers);
    for (size_t i = 0; i < MANY; i++)
        callers[i].op = (hf_op){.op = "delete", .message_id = T("m1")};
    assert_code(run_together(f, &the_gate, callers, MANY), HF_OK);
    int marks = 0;
    for (const char *at = f->trace; strncmp(at, "commit", 6) != 0 && *at != '\0'; at++)
        marks += strncmp(at, "mark", 4) == 0;
    assert_int_equal(marks, HF__MOST_SHARING - 1);
    for (size_t i = 0; i < MANY; i++)
        assert_code(callers[i].code, HF_OK);
    callers_free(callers, MANY);
    free(callers);
}

/* ---- A terminal of the host's own -------------------------------------------------------------- */

typedef struct fake {
    fixture *f;
    int exec, undo; /* how they end */
} fake;

static int note(void *data, const char *word) {
    fixture_note(((fake *)data)->f, word);
    return HF_OK;
}

static int fake_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    (void)result;
    if (strcmp(op->op, "update") != 0) {
        result->conversation = hf_result_alloc(result, sizeof *result->conversation);
        *result->conversation = (hf_conversation){.id = T("c1"), .created_at = 1, .updated_at = 1};
        return HF_OK;
    }
    if (strcmp(op->message_id.data, "bad") != 0) return HF_OK;
    *err = (hf_error){.code = ((fake *)data)->exec, .message = "planned for exec"};
    return err->code;
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

static int fake_release(void *data, hf_error *err) {
    (void)err;
    return note(data, "release ");
}

static int fake_undo(void *data, hf_error *err) {
    note(data, "undo ");
    if (((fake *)data)->undo == HF_OK) return HF_OK;
    *err = (hf_error){.code = HF_FULL, .name = "full", .message = "planned for undo", .sqlite_code = 77};
    return HF_FULL;
}

#define UPDATE(id) CALL(.op = "update", .message_id = T(id), .updates = T("{}"))

static void open_fake(fixture *f, fake *terminal, bool marks) {
    hf_terminal functions = {sizeof functions, terminal,      fake_exec, fake_begin,
                             fake_commit,      fake_rollback, fake_mark, fake_release,
                             fake_undo,        NULL,          NULL};
    if (!marks) functions.mark = functions.release = functions.undo = NULL;
    fixture_close(f);
    f->options.terminal = &functions;
    fixture_open(f);
    f->options.terminal = NULL;
    use_gate(f, &the_gate);
}

static void any_terminal_with_marks_shares(void **state) {
    fixture *f = *state;
    fake terminal = {.f = f, .exec = HF_CONFLICT};
    caller callers[] = {UPDATE("m1"), UPDATE("bad"), UPDATE("m2")};
    for (int marks = 0; marks < 2; marks++) {
        open_fake(f, &terminal, marks);
        assert_code(run_together(f, &the_gate, callers, 3), HF_OK);
        assert_code(callers[0].code, HF_OK);
        assert_code(callers[1].code, HF_CONFLICT);
        assert_code(callers[2].code, HF_OK);
        assert_string_equal(f->trace, marks ? "begin mark release mark undo mark release commit "
                                            : "begin commit begin commit begin rollback begin commit ");
    }
}

static void a_transaction_that_breaks_fails_all_before_and_none_behind(void **state) {
    fixture *f = *state;
    fake terminal = {.f = f, .undo = HF_FULL};
    caller callers[] = {UPDATE("m1"), UPDATE("bad"), UPDATE("m2")};
    for (int own = 0; own < 2; own++) {
        terminal.exec = own ? HF_FULL : HF_CONFLICT;
        open_fake(f, &terminal, true);
        assert_code(run_together(f, &the_gate, callers, 3), HF_FULL);
        assert_code(callers[0].code, HF_FULL);
        assert_says(&callers[0].err, "planned for undo");
        assert_int_equal(callers[0].err.sqlite_code, 77);
        assert_code(callers[1].code, HF_FULL);
        assert_says(&callers[1].err, own ? "planned for exec" : "planned for undo");
        assert_code(callers[2].code, HF_OK);
        assert_string_equal(f->trace, "begin mark release mark undo rollback begin commit ");
    }
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_gate, teardown)
        TEST(a_lone_writer_begins_and_commits_and_sets_no_mark),
        TEST(those_who_wait_run_in_the_order_they_came_in_one_transaction),
        TEST(an_op_sees_what_the_ones_before_it_wrote),
        TEST(who_waits_is_not_answered_before_the_commit),
        TEST(an_op_that_fails_is_undone_alone),
        TEST(a_context_is_of_no_use_to_the_ops_behind_it),
        TEST(the_first_ones_failure_is_its_own),
        TEST(an_owner_that_cannot_be_looked_at_fails_only_who_asked),
        TEST(a_commit_that_fails_fails_all_who_were_there),
        TEST(traces_tell_the_outcome_of_the_commit_in_order),
        TEST(what_an_op_that_waits_brought_is_beyond_the_memory_of_those_behind_it),
        TEST(what_scripts_made_for_after_the_commit_ends_the_sharing_before_it_is_too_much),
        TEST(who_needs_the_store_alone_comes_behind_the_commit),
        TEST(nobody_joins_when_the_time_is_up),
        TEST(a_group_has_its_most),
        TEST(any_terminal_with_marks_shares),
        TEST(a_transaction_that_breaks_fails_all_before_and_none_behind),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
