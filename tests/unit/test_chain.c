/* The chain as C layers see it, alone and with Lua layers between them: order, the four things that a layer
 * can do, what is undone, and what the host is told. */
#define _POSIX_C_SOURCE 200809L

#include "support/store.h"

/* ---- Layers that the tests share --------------------------------------------------------------- */

/* What a layer in C was told to do, beside the fixture whose trace it writes. */
typedef struct told {
    fixture *f;
    const char *name;
    int calls;
} told;

static const char *const every_op[] = {"*", NULL};
static const char *const only_add[] = {"add", NULL};
static const char *const only_batch[] = {"batch", NULL};
static const char *const only_delete[] = {"delete", NULL};

static int observe(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    told *plan = hf_layer_data(layer);
    fixture_note(plan->f, plan->name);
    fixture_note(plan->f, ">");
    int code = hf_next(layer, op, result, err);
    fixture_note(plan->f, "<");
    fixture_note(plan->f, plan->name);
    return code;
}

static const char observe_lua[] = "return {ops = '*', handle = function(op, next, ctx)\n"
                                  "  ctx:log('info', ctx.layer .. '>')\n"
                                  "  local result = next(op)\n"
                                  "  ctx:log('info', '<' .. ctx.layer)\n"
                                  "  return result\n"
                                  "end}";

/* Puts the layer's name behind the content, and on the way out before it. */
static int rewrite(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    const told *plan = hf_layer_data(layer);
    char content[64];
    hf_op changed = *op;
    snprintf(content, sizeof content, "%.*s%s", (int)op->content.size, op->content.data, plan->name);
    changed.content = T(content);
    int code = hf_next(layer, &changed, result, err);
    if (code != HF_OK) return code;
    snprintf(content, sizeof content, "%s%s", plan->name, result->message->content.data);
    result->message->content = hf_result_text(result, T(content));
    return HF_OK;
}

static const char rewrite_lua[] = "return {ops = {'add'}, handle = function(op, next, ctx)\n"
                                  "  op.content = op.content .. ctx.layer\n"
                                  "  local result = next(op)\n"
                                  "  result.message.content = ctx.layer .. result.message.content\n"
                                  "  return result\n"
                                  "end}";

/* Answers an `add` as if it had been stored. */
static int answer(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)layer, (void)err;
    result->op = "add";
    result->message = hf_result_alloc(result, sizeof *result->message);
    *result->message = (hf_message){
        .id = hf_result_text(result, op->message_id),
        .conversation_id = hf_result_text(result, op->conversation_id),
        .role = hf_result_text(result, op->role),
        .content = hf_result_text(result, T("made up")),
        .created_at = 1,
        .state = HF_STATE_FINAL,
    };
    return HF_OK;
}

static const char answer_lua[] =
    "return function(op, next, ctx)\n"
    "  return ctx:reply{message = {id = op.messageId, role = op.role, createdAt = 1,\n"
    "    conversationId = op.conversationId, content = 'made up', state = 'final'}}\n"
    "end";

static int refuse(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result;
    return hf_layer_reject(layer, hf_layer_data(layer), "not\ntoday", err);
}

static int fail_after_next(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf_next(layer, op, result, err);
    return code != HF_OK ? code : hf_layer_reject(layer, "late", "changed my mind", err);
}

static const char fail_after_next_lua[] = "return function(op, next) next(op) error('changed my mind') end";

static int do_nothing(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)layer, (void)op, (void)result, (void)err;
    return HF_OK;
}

/* ---- Order ------------------------------------------------------------------------------------- */

static void layers_run_outermost_first_and_come_back_in_reverse(void **state) {
    fixture *f = *state;
    told plans[] = {{f, "c1", 0}, {f, "c2", 0}, {f, "c3", 0}};
    use_c(f, "c1", every_op, observe, &plans[0]);
    use_lua(f, "l1", observe_lua);
    use_lua(f, "l2", observe_lua);
    use_c(f, "c2", every_op, observe, &plans[1]);
    use_c(f, "c3", every_op, observe, &plans[2]);
    use_lua(f, "l3", observe_lua);
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "c1>l1>l2>c2>c3>l3><l3<c3<c2<l2<l1<c1");
    f->trace[0] = '\0';
    assert_string_equal(content_of(f, "m1"), "x");
    assert_string_equal(f->trace, "c1>l1>l2>c2>c3>l3><l3<c3<c2<l2<l1<c1");
}

static void a_layer_gets_the_ops_that_it_asked_for(void **state) {
    fixture *f = *state;
    told plans[] = {{f, "all", 0}, {f, "writes", 0}, {f, "adds", 0}};
    use_c(f, "all", every_op, observe, &plans[0]);
    use_c(f, "writes", NULL, observe, &plans[1]);
    use_c(f, "adds", only_add, observe, &plans[2]);
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "all>writes>adds><adds<writes<all");
    f->trace[0] = '\0';
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("y"));
    assert_string_equal(f->trace, "all>writes><writes<all");
    f->trace[0] = '\0';
    done(f, .op = "get", .message_id = T("m1"));
    assert_string_equal(f->trace, "all><all");
}

static void a_layer_registered_last_still_runs(void **state) {
    fixture *f = *state;
    told plan = {f, "C", 0};
    use_lua(f, "redacts", "return function(op, next) return next(op) end");
    done(f, ADD("m1", "x")); /* the chain has been used */
    use_c(f, "last", only_add, rewrite, &plan);
    done(f, ADD("m2", "x"));
    assert_string_equal(content_of(f, "m2"), "xC");
    use_lua(f, "after-it", rewrite_lua);
    done(f, ADD("m3", "x"));
    assert_string_equal(content_of(f, "m3"), "xCafter-it");
}

/* ---- Four things ------------------------------------------------------------------------------- */

static void each_layer_may_rewrite_on_both_ways(void **state) {
    fixture *f = *state;
    told plans[] = {{f, "1", 0}, {f, "2", 0}, {f, "3", 0}};
    use_c(f, "c1", only_add, rewrite, &plans[0]);
    use_lua(f, "l1", rewrite_lua);
    use_c(f, "c2", only_add, rewrite, &plans[1]);
    use_c(f, "c3", only_add, rewrite, &plans[2]);
    use_lua(f, "l2", rewrite_lua);
    use_lua(f, "l3", rewrite_lua);
    done(f, ADD("m1", "x"), .metadata = T("{\"kept\": 1.10}"));
    assert_text(f->result.message->content, "1l123l2l3x1l123l2l3");
    assert_text(f->result.message->metadata, "{\"kept\": 1.10}");
    assert_string_equal(content_of(f, "m1"), "x1l123l2l3");
    assert_text(f->result.message->metadata, "{\"kept\": 1.10}");
}

static void an_answer_keeps_the_op_from_all_below(void **state) {
    fixture *f = *state;
    told below = {f, "below", 0};
    use_c(f, "answers", only_add, answer, NULL);
    use_c(f, "below", only_add, observe, &below);
    done(f, ADD("m1", "x"));
    assert_text(f->result.message->content, "made up");
    assert_string_equal(f->trace, "");
    assert_int_equal(messages_in(f), 0);
}

static void an_answer_in_lua_reaches_a_layer_in_c_above(void **state) {
    fixture *f = *state;
    told above = {f, "C", 0};
    use_c(f, "above", only_add, rewrite, &above);
    use_lua(f, "answers", answer_lua);
    done(f, ADD("m1", "x"));
    assert_text(f->result.message->content, "Cmade up");
    assert_int_equal(messages_in(f), 0);
}

static void a_refusal_says_who_and_why(void **state) {
    fixture *f = *state;
    char name[] = "denied";
    use_lua(f, "outer", observe_lua);
    use_c(f, "guard", only_add, refuse, name);
    assert_code(failed(f, ADD("m1", "x")), HF_DENIED);
    assert_string_equal(f->err.name, "denied");
    assert_string_equal(f->err.layer, "guard");
    assert_string_equal(f->err.op, "add");
    assert_string_equal(f->err.message_id, "m1");
    assert_string_equal(f->err.message, "not today");
    assert_string_equal(f->trace, "outer>");
    assert_int_equal(messages_in(f), 0);
}

static void a_layer_may_refuse_with_a_code_of_its_own(void **state) {
    fixture *f = *state;
    char name[] = "quotaExceeded";
    use_c(f, "guard", only_add, refuse, name);
    assert_code(failed(f, ADD("m1", "x")), HF_LAYER);
    assert_string_equal(f->err.name, "quotaExceeded");
    fixture_close(f);
    fixture_open(f);
    use_lua(f, "guard", "return function(op, next, ctx) ctx:reject('quotaExceeded', 'no') end");
    assert_code(failed(f, ADD("m1", "x")), HF_LAYER);
    assert_string_equal(f->err.name, "quotaExceeded");
    assert_string_equal(f->err.layer, "guard");
}

/* A delete becomes a mark in the metadata. */
static int soft_delete(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op mark = {.op = "update", .message_id = op->message_id, .updates = T("{\"gone\":true}")};
    int code = hf_next(layer, &mark, result, err);
    if (code != HF_OK) return code;
    hf_result_free(result);
    result->op = "delete";
    result->deleted = 1;
    return HF_OK;
}

static void an_op_may_become_another_and_meets_the_layers_for_that(void **state) {
    fixture *f = *state;
    done(f, ADD("m1", "x"));
    use_c(f, "soft-delete", only_delete, soft_delete, NULL);
    use_lua(f, "updates",
            "return {on = {update = function(op, next) op.updates.by = 'lua' return next(op) end,\n"
            "  delete = function() error('a delete came through') end}}");
    done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(f->result.deleted, 1);
    assert_string_equal(content_of(f, "m1"), "x");
    assert_non_null(strstr(f->result.message->metadata.data, "\"gone\":true"));
    assert_non_null(strstr(f->result.message->metadata.data, "\"by\":\"lua\""));

    assert_code(failed(f, .op = "delete", .message_id = T("m9")), HF_NOT_FOUND);
    assert_string_equal(f->err.op, "update"); /* what failed */
    assert_string_equal(f->err.message_id, "m9");
}

static int next_add(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op add = {ADD("m7", "from a read")};
    (void)op;
    return hf_next(layer, &add, result, err);
}

static int exec_add(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op add = {ADD("m8", "from a read")};
    int code = hf_layer_exec(layer, &add, NULL, err);
    return code == HF_OK ? hf_next(layer, op, result, err) : code;
}

static void a_read_becomes_a_write_only_through_exec(void **state) {
    static const char *const reads[] = {"get", NULL}, *const lists[] = {"list", NULL};
    fixture *f = *state;
    use_c(f, "next-add", reads, next_add, NULL);
    use_c(f, "exec-add", lists, exec_add, NULL);
    use_lua(f, "in-lua",
            "return {ops = {'getConversation', 'listConversations'}, handle = function(op, next, ctx)\n"
            "  local add = {op = 'add', conversationId = 'c1', role = 'user', content = 'lua'}\n"
            "  if op.op == 'getConversation' then return next(add) end\n"
            "  ctx:exec(add)\n"
            "  return next(op)\n"
            "end}");
    assert_code(failed(f, .op = "get", .message_id = T("m1")), HF_INVALID);
    assert_string_equal(f->err.layer, "next-add");
    assert_code(failed(f, .op = "getConversation", .conversation_id = T("c1")), HF_INVALID);
    assert_string_equal(f->err.layer, "in-lua");
    assert_int_equal(messages_in(f), 0);
    assert_int_equal(done(f, .op = "list", .conversation_id = T("c1"))->messages_count, 1);
    done(f, .op = "listConversations");
    assert_int_equal(messages_in(f), 2);
}

/* ---- hf_next ----------------------------------------------------------------------------------- */

static int next_twice(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf_next(layer, op, result, err);
    return code == HF_OK ? hf_next(layer, op, result, err) : code;
}

static void next_succeeds_once(void **state) {
    fixture *f = *state;
    use_c(f, "twice", only_add, next_twice, NULL);
    assert_code(failed(f, ADD("m1", "x")), HF_MISUSE);
    assert_string_equal(f->err.layer, "twice");
    assert_says(&f->err, "again");
    fixture_close(f);
    fixture_open(f);
    use_lua(f, "twice-in-lua", "return function(op, next) next(op) return next(op) end");
    assert_code(failed(f, ADD("m1", "x")), HF_MIDDLEWARE);
    assert_string_equal(f->err.layer, "twice-in-lua");
    assert_int_equal(messages_in(f), 0);
}

/* Writes a row of its own, and fails the first time. */
static int fail_at_first(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    told *plan = hf_layer_data(layer);
    hf_op extra = {ADD(plan->calls == 0 ? "x1" : "x2", "extra")};
    int code = hf_layer_exec(layer, &extra, NULL, err);
    if (code == HF_OK) code = hf_next(layer, op, result, err);
    if (code == HF_OK && plan->calls++ == 0) return hf_layer_reject(layer, "flaky", "try again", err);
    return code;
}

static int retry(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf_next(layer, op, result, err);
    return code == HF_OK ? code : hf_next(layer, op, result, err);
}

static const char retry_lua[] = "return function(op, next)\n"
                                "  local good, result = pcall(next, op)\n"
                                "  return good and result or next(op)\n"
                                "end";

static void next_may_be_called_again_after_a_failure_which_left_nothing(void **state) {
    for (int lua = 0; lua < 2; lua++) {
        fixture *f = *state;
        told plan = {f, "flaky", 0};
        fixture_close(f);
        fixture_open(f);
        done(f, .op = "createConversation", .conversation_id = T("c1"));
        if (lua) use_lua(f, "retry", retry_lua);
        if (!lua) use_c(f, "retry", NULL, retry, NULL);
        use_c(f, "flaky", only_add, fail_at_first, &plan);
        done(f, ADD("m1", "x"));
        assert_int_equal(plan.calls, 2);
        assert_null(content_of(f, "x1"));
        assert_string_equal(content_of(f, "x2"), "extra");
        assert_string_equal(content_of(f, "m1"), "x");
        done(f, .op = "delete", .message_id = T("m1"));
        done(f, .op = "delete", .message_id = T("x2"));
    }
}

static void a_layer_that_neither_passed_nor_answered_is_an_error(void **state) {
    fixture *f = *state;
    use_c(f, "idle", only_add, do_nothing, NULL);
    use_lua(f, "idle-in-lua", "return {ops = {'delete'}, handle = function() end}");
    assert_code(failed(f, ADD("m1", "x")), HF_MIDDLEWARE);
    assert_string_equal(f->err.layer, "idle");
    assert_code(failed(f, .op = "delete", .message_id = T("m1")), HF_MIDDLEWARE);
    assert_string_equal(f->err.layer, "idle-in-lua");
}

/* ---- What is undone ---------------------------------------------------------------------------- */

static void an_error_after_next_leaves_no_row(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 4; i++) { /* C, Lua, and each with the other one around it */
        told plan = {f, "around", 0};
        fixture_close(f);
        fixture_open(f);
        if (i == 2) use_lua(f, "around", observe_lua);
        if (i == 3) use_c(f, "around", every_op, observe, &plan);
        if (i % 2 == 0) use_c(f, "late", NULL, fail_after_next, NULL);
        if (i % 2 != 0) use_lua(f, "late", fail_after_next_lua);
        assert_code(failed(f, ADD("m1", "x")), i % 2 == 0 ? HF_LAYER : HF_MIDDLEWARE);
        assert_string_equal(f->err.layer, "late");
        assert_code(failed(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user")),
                    i % 2 == 0 ? HF_LAYER : HF_MIDDLEWARE);
        assert_int_equal(messages_in(f), 0);
    }
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations WHERE last_message_at IS NULL"), 1);
}

/* Catches whatever comes from below and answers in its place. */
static int catch_and_answer(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    told *plan = hf_layer_data(layer);
    hf_error below;
    hf_op before = {ADD("before", "kept")};
    int code = hf_layer_exec(layer, &before, NULL, err);
    if (code != HF_OK) return code;
    code = hf_next(layer, op, result, &below);
    plan->calls = code;
    fixture_note(plan->f, below.layer);
    return code == HF_OK ? code : answer(layer, op, result, err);
}

static void a_caught_failure_is_undone_and_the_rest_is_kept(void **state) {
    fixture *f = *state;
    told plan = {f, "catch", 0};
    use_c(f, "catch", only_add, catch_and_answer, &plan);
    use_lua(f, "late",
            "return function(op, next) next(op) if op.messageId == 'm1' then error('late') end end");
    done(f, ADD("m1", "x"));
    assert_text(f->result.message->content, "made up");
    assert_code(plan.calls, HF_MIDDLEWARE);
    assert_string_equal(f->trace, "late");
    assert_null(content_of(f, "m1"));
    assert_string_equal(content_of(f, "before"), "kept");
    assert_int_equal(messages_in(f), 1);
}

/* ---- hf_layer_exec ----------------------------------------------------------------------------- */

/* Leaves a note beside each message; one that cannot be left does not matter. */
static int leave_notes(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op note = {ADD("note", "a note")};
    hf_op lost = {.op = "update", .message_id = T("nowhere"), .updates = T("{}")};
    hf_result answered = {0};
    told *plan = hf_layer_data(layer);
    int code = hf_layer_exec(layer, &note, &answered, err);
    if (code != HF_OK) return code;
    plan->calls += strcmp(answered.message->content.data, "a noteB") == 0;
    hf_result_free(&answered);
    plan->calls += hf_layer_exec(layer, &lost, NULL, NULL) == HF_NOT_FOUND;
    return hf_next(layer, op, result, err);
}

/* Marks what it stores, and refuses the bad. */
static int mark_or_refuse(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    if (op->content.size == 3) return hf_layer_reject(layer, "denied", "bad", err);
    hf_op marked = *op;
    char content[64];
    snprintf(content, sizeof content, "%sB", op->content.data);
    marked.content = T(content);
    return hf_next(layer, &marked, result, err);
}

static void exec_goes_through_the_layers_below_in_the_same_transaction(void **state) {
    fixture *f = *state;
    told above = {f, "above", 0}, notes = {f, "notes", 0};
    use_c(f, "above", only_add, observe, &above);
    use_c(f, "notes", only_add, leave_notes, &notes);
    use_c(f, "below", only_add, mark_or_refuse, NULL);
    done(f, ADD("m1", "x"));
    assert_int_equal(notes.calls, 2);
    assert_string_equal(f->trace, "above><above"); /* the note did not pass it */
    assert_string_equal(content_of(f, "note"), "a noteB");
    assert_string_equal(content_of(f, "m1"), "xB");
    done(f, .op = "delete", .message_id = T("note"));
    assert_code(failed(f, ADD("m2", "bad")), HF_DENIED); /* the note goes with the op */
    assert_string_equal(f->err.layer, "below");
    assert_int_equal(messages_in(f), 1);
}

static int exec_deeper(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    told *plan = hf_layer_data(layer);
    plan->calls++;
    return hf_layer_exec(layer, op, result, err);
}

static void exec_within_exec_has_a_bound(void **state) {
    fixture *f = *state;
    told plan = {f, "deep", 0};
    char name[32];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "deep-%d", i);
        use_c(f, name, only_add, exec_deeper, &plan);
    }
    assert_code(failed(f, ADD("m1", "x")), HF_DEPTH);
    assert_string_equal(f->err.layer, "deep-8");
    assert_int_equal(plan.calls, 9);
    assert_int_equal(messages_in(f), 0);
}

/* ---- Batches ----------------------------------------------------------------------------------- */

static void each_op_of_a_batch_passes_the_whole_chain(void **state) {
    fixture *f = *state;
    told envelope = {f, "batch", 0}, outer = {f, "c", 0};
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}};
    use_c(f, "outer", only_add, observe, &outer);
    use_lua(f, "inner", observe_lua);
    use_c(f, "envelope", only_batch, observe, &envelope);
    use_lua(f, "marks", rewrite_lua);
    done(f, .op = "batch", .ops = ops, .ops_count = 2);
    assert_string_equal(f->trace, "inner>batch>c>inner><inner<cc>inner><inner<c<batch<inner");
    assert_int_equal(f->result.results_count, 2);
    assert_text(f->result.results[1].message->content, "marks2marks");
    assert_string_equal(content_of(f, "m1"), "1marks");
}

static void one_bad_op_undoes_the_batch_and_says_which(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{ADD("m1", "fine")}, {ADD("m2", "bad")}};
    use_lua(f, "outer", observe_lua);
    use_c(f, "guard", only_add, mark_or_refuse, NULL);
    assert_code(failed(f, .op = "batch", .ops = ops, .ops_count = 2), HF_DENIED);
    assert_says(&f->err, "ops[1]: ");
    assert_string_equal(f->err.layer, "guard");
    assert_string_equal(f->err.op, "batch");
    assert_string_equal(f->err.message_id, "m2");
    assert_int_equal(messages_in(f), 0);
}

/* Takes the last op out of a batch. */
static int shorten(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op shorter = *op;
    shorter.ops_count--;
    return hf_next(layer, &shorter, result, err);
}

static void a_batch_is_answered_op_by_op(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}};
    use_c(f, "shorten", only_batch, shorten, NULL);
    assert_code(failed(f, .op = "batch", .ops = ops, .ops_count = 2), HF_BAD_RESULT);
    assert_int_equal(messages_in(f), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(layers_run_outermost_first_and_come_back_in_reverse),
        TEST(a_layer_gets_the_ops_that_it_asked_for),
        TEST(a_layer_registered_last_still_runs),
        TEST(each_layer_may_rewrite_on_both_ways),
        TEST(an_answer_keeps_the_op_from_all_below),
        TEST(an_answer_in_lua_reaches_a_layer_in_c_above),
        TEST(a_refusal_says_who_and_why),
        TEST(a_layer_may_refuse_with_a_code_of_its_own),
        TEST(an_op_may_become_another_and_meets_the_layers_for_that),
        TEST(a_read_becomes_a_write_only_through_exec),
        TEST(next_succeeds_once),
        TEST(next_may_be_called_again_after_a_failure_which_left_nothing),
        TEST(a_layer_that_neither_passed_nor_answered_is_an_error),
        TEST(an_error_after_next_leaves_no_row),
        TEST(a_caught_failure_is_undone_and_the_rest_is_kept),
        TEST(exec_goes_through_the_layers_below_in_the_same_transaction),
        TEST(exec_within_exec_has_a_bound),
        TEST(each_op_of_a_batch_passes_the_whole_chain),
        TEST(one_bad_op_undoes_the_batch_and_says_which),
        TEST(a_batch_is_answered_op_by_op),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
