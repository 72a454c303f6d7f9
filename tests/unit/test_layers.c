/* Layers one by one: how they are registered and let go, what they may not do, what they see of the caller, and
 * what an error of theirs tells the host. */
#define _POSIX_C_SOURCE 200809L

#include <lauxlib.h>
#include <lualib.h>

#include "holdfast_lua.h"
#include "op/record.h"
#include "support/store.h"

static const char *const only_add[] = {"add", NULL};

static int pass(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

/* ---- Registration ------------------------------------------------------------------------------ */

static void count_destroy(void *data) {
    ++*(int *)data;
}

static void destroy_is_called_once(void **state) {
    fixture *f = *state;
    int kept = 0, refused = 0;
    hf_layer_options good = {.size = sizeof good, .name = "good", .data = &kept, .destroy = count_destroy};
    hf_layer_options bad = {.size = sizeof bad, .name = "good", .data = &refused, .destroy = count_destroy};
    static const char *const unknown[] = {"add", "ad", NULL};

    assert_code(hf_use_function(f->store, &good, pass, &f->err), HF_OK);
    assert_code(hf_use_function(f->store, &bad, pass, &f->err), HF_INVALID); /* the name is taken */
    assert_int_equal(refused, 1);
    bad.name = "Bad Name";
    assert_code(hf_use_function(f->store, &bad, pass, &f->err), HF_INVALID);
    assert_int_equal(refused, 2);
    bad.name = "bad";
    bad.ops = unknown;
    assert_code(hf_use_function(f->store, &bad, pass, &f->err), HF_INVALID);
    assert_says(&f->err, "\"add\"");
    assert_int_equal(refused, 3);
    bad.ops = NULL;
    assert_code(hf_use_function(f->store, &bad, NULL, &f->err), HF_MISUSE);
    assert_int_equal(refused, 4);
    bad.name = NULL;
    assert_code(hf_use_function(f->store, &bad, pass, &f->err), HF_MISUSE);
    assert_int_equal(refused, 5);

    done(f, ADD("m1", "x"));
    assert_int_equal(kept, 0);
    fixture_close(f);
    assert_int_equal(kept, 1);
    assert_int_equal(refused, 5);
}

static void a_name_is_unique_in_the_chain(void **state) {
    fixture *f = *state;
    use_c(f, "c", NULL, pass, NULL);
    use_lua(f, "lua", "return function(op, next) return next(op) end");
    const char *const taken[] = {"c", "lua"};
    hf_layer_options options = {.size = sizeof options};
    for (int i = 0; i < 2; i++) {
        options.name = taken[i];
        assert_code(hf_use_function(f->store, &options, pass, &f->err), HF_INVALID);
        assert_says(&f->err, taken[i]);
        assert_code(hf_use_string(f->store, taken[i], T("return function() end"), NONE, &f->err), HF_INVALID);
        assert_says(&f->err, taken[i]);
    }
    assert_code(hf_use_string(f->store, "other", T("return {name = 'c', handle = print}"), NONE, &f->err),
                HF_INVALID);
    done(f, ADD("m1", "x")); /* the chain is as it was */
}

static void a_name_is_lower_case_kebab(void **state) {
    fixture *f = *state;
    static const char *const bad[] = {
        "",    "Redact",
        "a_b", "-a",
        "a-",  "a--b",
        "1a",  "a b",
        "ä",   "a-name-of-more-than-sixty-three-bytes-is-refused-rather-than-cut-short-in-silence"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hf_layer_options options = {.size = sizeof options, .name = bad[i]};
        assert_code(hf_use_function(f->store, &options, pass, &f->err), HF_INVALID);
        assert_code(hf_use_string(f->store, bad[i], T("return function() end"), NONE, &f->err), HF_INVALID);
    }
}

static void what_is_no_middleware_is_refused_and_says_why(void **state) {
    static const struct {
        int code;
        const char *source, *part;
    } cases[] = {
        {HF_INVALID, "return function(", "bad"},
        {HF_INVALID, "return 7", "number"},
        {HF_INVALID, "", "nil"},
        {HF_INVALID, "return {ops = {'ad'}, handle = function() end}", "\"add\""},
        {HF_INVALID, "return {handel = function() end}", "handel"},
        {HF_INVALID, "\033Lua", "binary"},
        {HF_MIDDLEWARE, "error('while loading')", "while loading"},
        {HF_MIDDLEWARE, "local config = ... ; return config.limit.most", "nil"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_code(hf_use_string(f->store, "bad", T(cases[i].source), T("{\"n\":1}"), &f->err),
                    cases[i].code);
        assert_says(&f->err, cases[i].part);
        assert_string_equal(f->err.layer, "bad");
    }
    assert_code(hf_use_string(f->store, "bad", T("return function() end"), T("{"), &f->err), HF_INVALID);
    assert_code(hf_use_file(f->store, "/nowhere/at/all.lua", NONE, &f->err), HF_INVALID);
    assert_says(&f->err, "/nowhere/at/all.lua");
    assert_code(hf_use_file(f->store, "redakt", NONE, &f->err), HF_INVALID);
    assert_says(&f->err, "redakt");
    done(f, ADD("m1", "x"));
}

static void a_file_takes_its_name_from_its_path_and_its_configuration(void **state) {
    fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/add_suffix.lua", f->folder);
    FILE *file = fopen(path, "w");
    fputs("local config = ...\n"
          "return function(op, next, ctx) op.content = op.content .. config.suffix .. ctx.layer return "
          "next(op) end",
          file);
    fclose(file);
    assert_code(hf_use_file(f->store, path, T("{\"suffix\": \"!\"}"), &f->err), HF_OK);
    done(f, ADD("m1", "x"));
    assert_string_equal(content_of(f, "m1"), "x!add-suffix");
}

/* ---- From inside a layer ----------------------------------------------------------------------- */

/* Calls everything that a layer must not call, and writes the codes down. */
static int misuse_all(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    fixture *f = hf_layer_data(layer);
    int destroyed = 0;
    hf_layer_options options = {
        .size = sizeof options, .name = "x", .data = &destroyed, .destroy = count_destroy};
    const int codes[] = {
        hf_exec(f->store, op, NULL, NULL),
        hf_exec_json(f->store, T("{\"op\":\"listConversations\"}"), NULL, NULL),
        hf_use_string(f->store, "x", T("return function() end"), NONE, NULL),
        hf_use_file(f->store, "memory", NONE, NULL),
        hf_use_function(f->store, &options, pass, NULL),
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        fixture_note(f, codes[i] == HF_MISUSE ? "m" : "?");
    fixture_note(f, destroyed == 1 ? "d" : "?");
    hf_close(f->store);
    return hf_next(layer, op, result, err);
}

static void calling_the_store_from_inside_a_layer_is_misuse(void **state) {
    fixture *f = *state;
    use_c(f, "wrong", only_add, misuse_all, f);
    use_lua(f, "below", "return function(op, next) return next(op) end");
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "mmmmmd");
    assert_string_equal(content_of(f, "m1"), "x");
}

static void a_layer_may_use_another_store(void **state) {
    fixture *f = *state;
    fixture other;
    fixture_start(&other);
    fixture_open(&other);
    use_c(f, "to-another", only_add, misuse_all, &other);
    done(f, ADD("m1", "x"));
    other.store = NULL; /* it was closed, as it should */
    assert_string_equal(other.trace, "?????d");
    fixture_end(&other);
}

static int next_nothing(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op;
    return hf_next(layer, NULL, result, err);
}

static int next_nowhere(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)result;
    return hf_next(layer, op, NULL, err);
}

static int exec_nothing(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result;
    return hf_layer_exec(layer, NULL, NULL, err);
}

static int reject_nothing(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result;
    return hf_layer_reject(layer, NULL, NULL, err);
}

static void a_missing_argument_in_a_layer_is_misuse(void **state) {
    fixture *f = *state;
    hf_layer_fn layers[] = {next_nothing, next_nowhere, exec_nothing, reject_nothing};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        fixture_close(f);
        fixture_open(f);
        use_c(f, "wrong", only_add, layers[i], NULL);
        assert_code(failed(f, ADD("m1", "x")), HF_MISUSE);
        assert_string_equal(f->err.layer, "wrong");
    }
}

/* ---- What a layer sees ------------------------------------------------------------------------- */

static int note_context(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    fixture *f = hf_layer_data(layer);
    fixture_note(f, op->context != NULL ? op->context->request_id.data : "none");
    fixture_note(f, op->message_id.data != NULL ? " " : " no id ");
    return hf_next(layer, op, result, err);
}

static void every_layer_sees_the_hosts_context(void **state) {
    fixture *f = *state;
    const hf_context context = {.request_id = T("r1"), .turn_index = 3, .extras = T("{\"who\":{\"n\":1}}")};
    const hf_op inside = {.op = "add", .conversation_id = T("c1"), .role = T("u"), .content = T("x")};
    use_c(f, "c", only_add, note_context, f);
    use_lua(f, "lua",
            "return function(op, next, ctx)\n"
            "  ctx:log('info', ctx.requestId .. ' ' .. ctx.turnIndex .. ' ' .. ctx.who.n .. ' ')\n"
            "  return next(op)\n"
            "end");
    use_c(f, "c-2", only_add, note_context, f);
    done(f, ADD("m1", "x"), .context = &context);
    assert_string_equal(f->trace, "r1 r1 3 1 r1 ");
    f->trace[0] = '\0';
    done(f, .op = "batch", .ops = &inside, .ops_count = 1, .context = &context);
    assert_string_equal(f->trace, "r1 r1 3 1 r1 ");
}

static void the_minted_id_is_that_of_the_row_and_of_the_error(void **state) {
    fixture *f = *state;
    use_lua(f, "notes",
            "return function(op, next, ctx)\n"
            "  ctx:log('info', op.messageId)\n"
            "  if op.content == 'bad' then error('bad') end\n"
            "  return next(op)\n"
            "end");
    hf_op op = {.op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("good")};
    done_op(f, &op);
    assert_text(f->result.message->id, f->trace);
    f->trace[0] = '\0';
    op.content = T("bad");
    assert_code(failed_op(f, &op), HF_MIDDLEWARE);
    assert_string_equal(f->err.message_id, f->trace);
    assert_int_equal(strlen(f->trace), 36);
}

static void what_waits_for_the_commit_runs_only_after_it(void **state) {
    fixture *f = *state;
    use_lua(f, "later",
            "return function(op, next, ctx)\n"
            "  ctx:afterCommit(function() ctx:log('info', 'after') error('mishap ') end)\n"
            "  ctx:log('info', 'before ')\n"
            "  local result = next(op)\n"
            "  if op.content == 'bad' then error('bad') end\n"
            "  return result\n"
            "end");
    done(f, ADD("m1", "x"));
    assert_int_equal(strncmp(f->trace, "before afterafterCommit: ", 25), 0);
    assert_non_null(strstr(f->trace, "mishap"));
    f->trace[0] = '\0';
    assert_code(failed(f, ADD("m2", "bad")), HF_MIDDLEWARE);
    assert_string_equal(f->trace, "before ");
}

static int twice(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err) == HF_OK ? HF_OK : hf_next(layer, op, result, err);
}

static void what_a_try_left_for_after_the_commit_is_undone_with_it(void **state) {
    fixture *f = *state;
    use_c(f, "twice", NULL, twice, NULL);
    use_lua(f, "fails-once",
            "return function(op, next, ctx)\n"
            "  ctx.state.tries = (ctx.state.tries or 0) + 1\n"
            "  local try = ctx.state.tries\n"
            "  ctx:afterCommit(function() ctx:log('info', 'after ' .. try .. ' ') end)\n"
            "  next(op)\n"
            "  if try == 1 then error('once') end\n"
            "end");
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "after 2 ");
}

/* Fails the first time, what is below it having succeeded. */
static int slip_once(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    int *calls = hf_layer_data(layer);
    int rc = hf_next(layer, op, result, err);
    return rc == HF_OK && ++*calls == 1 ? hf_layer_reject(layer, "denied", "once", err) : rc;
}

static void what_a_layer_below_left_for_after_the_commit_is_undone_as_well(void **state) {
    fixture *f = *state;
    int calls = 0;
    use_c(f, "twice", NULL, twice, NULL);
    use_c(f, "slips-once", NULL, slip_once, &calls);
    use_lua(f, "counts",
            "return function(op, next, ctx)\n"
            "  ctx.state.tries = (ctx.state.tries or 0) + 1\n"
            "  local try = ctx.state.tries\n"
            "  ctx:afterCommit(function() ctx:log('info', 'after ' .. try .. ' ') end)\n"
            "  return next(op)\n"
            "end");
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "after 2 ");
}

/* ---- What an error tells ----------------------------------------------------------------------- */

static void an_error_in_lua_tells_all_that_is_known(void **state) {
    fixture *f = *state;
    use_lua(f, "outer", "return function(op, next) return next(op) end");
    use_c(f, "between", NULL, pass, NULL);
    use_lua(f, "breaks",
            "local function deep() error('on\\npurpose') end\n"
            "return function(op) deep() end");
    assert_code(failed(f, ADD("m1", "x")), HF_MIDDLEWARE);
    assert_string_equal(f->err.name, "middleware");
    assert_string_equal(f->err.layer, "breaks");
    assert_string_equal(f->err.op, "add");
    assert_string_equal(f->err.message_id, "m1");
    assert_string_equal(f->err.message, "breaks:1: on purpose");
    assert_non_null(strstr(f->err.traceback, "breaks:2"));
    assert_int_equal(f->err.sqlite_code, 0);
}

static void an_error_table_keeps_its_code_through_layers_in_c(void **state) {
    fixture *f = *state;
    use_lua(f, "outer",
            "return function(op, next)\n"
            "  local good, err = pcall(next, op)\n"
            "  assert(not good and err.code == 'denied' and err.layer == 'inner' and err.op == 'add')\n"
            "  assert(tostring(err):find('no entry', 1, true))\n"
            "  error(err)\n"
            "end");
    use_c(f, "between", NULL, pass, NULL);
    use_lua(f, "inner", "return function() error{code = 'denied', message = 'no entry'} end");
    assert_code(failed(f, ADD("m1", "x")), HF_DENIED);
    assert_string_equal(f->err.layer, "inner");
    assert_string_equal(f->err.message, "no entry");
}

static void an_error_of_the_terminal_names_no_layer(void **state) {
    fixture *f = *state;
    use_lua(f, "lua", "return function(op, next) return next(op) end");
    use_c(f, "c", NULL, pass, NULL);
    assert_code(failed(f, .op = "update", .message_id = T("m9"), .updates = T("{}")), HF_NOT_FOUND);
    assert_string_equal(f->err.layer, "");
    assert_string_equal(f->err.message_id, "m9");
}

static int return_rubbish(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result, (void)err;
    return *(int *)hf_layer_data(layer);
}

static void a_layers_code_must_be_one(void **state) {
    fixture *f = *state;
    int code = HF_CONFLICT;
    use_c(f, "mute", only_add, return_rubbish, &code);
    assert_code(failed(f, ADD("m1", "x")), HF_CONFLICT);
    assert_string_equal(f->err.layer, "mute");
    code = 4711;
    assert_code(failed(f, ADD("m1", "x")), HF_MIDDLEWARE);
    assert_says(&f->err, "4711");
}

static int answer_badly(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)err;
    result->op = hf_layer_data(layer);
    result->message = NULL;
    return HF_OK;
}

static void an_answer_that_does_not_fit_is_a_bad_result(void **state) {
    static char add[] = "add", get[] = "get", none[] = "nothing";
    char *const ops[] = {add, get, none};
    fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        fixture_close(f);
        fixture_open(f);
        use_c(f, "wrong", only_add, answer_badly, ops[i]);
        assert_code(failed(f, ADD("m1", "x")), HF_BAD_RESULT);
    }
    fixture_close(f);
    fixture_open(f);
    use_lua(f, "wrong-in-lua", "return function(op, next, ctx) next(op) return ctx:reply{message = 7} end");
    assert_code(failed(f, ADD("m1", "x")), HF_BAD_RESULT);
    assert_string_equal(f->err.layer, "wrong-in-lua");
    assert_int_equal(messages_in(f), 0);
}

/* Answers a batch with one result, of the op that `data` names. */
static int answer_batch_badly(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)err;
    static char batch[] = "batch";
    result->op = batch;
    result->results = hf_result_alloc(result, sizeof *result->results);
    result->results_count = 1;
    result->results->op = hf_layer_data(layer);
    return HF_OK;
}

static void take_no_record(void *data, hf_text record) {
    (void)data, (void)record;
}

static void a_result_without_its_op_is_a_bad_result_to_a_layer_in_lua_as_well(void **state) {
    static const char *const only_batch[] = {"batch", NULL};
    static char none[] = "nothing", batch[] = "batch";
    char *const ops[] = {NULL, none, batch};
    fixture *f = *state;
    hf_op add = {ADD("m1", "x")};
    f->options.trace = take_no_record;
    for (int i = 0; i < 6; i++) {
        fixture_close(f);
        fixture_open(f);
        if (i >= 3) use_lua(f, "above", "return {ops = {'batch'}, handle = function(op, next) next(op) end}");
        use_c(f, "wrong", only_batch, answer_batch_badly, ops[i % 3]);
        assert_code(failed(f, .op = "batch", .ops = &add, .ops_count = 1), HF_BAD_RESULT);
        assert_string_equal(f->err.layer, "wrong");
    }
}

/* ---- Redirecting the whole list ---------------------------------------------------------------- */

/* An op of the kind, with what the list requires of it. */
static hf_op op_of(const char *name, const hf_op *inside) {
    const hf__op_def *def = hf__op_find(name, strlen(name));
    hf_op op = {.op = name};
    for (size_t i = 0; i < def->fields.count; i++) {
        const hf__field *field = &def->fields.fields[i];
        if (!field->required) continue;
        hf_text text = T("x");
        if (field->type == HF__T_ID) text = T(strcmp(field->name, "messageId") == 0 ? "m1" : "c1");
        if (field->type == HF__T_OBJECT) text = T("{\"a\":1}");
        if (field->type == HF__T_OPS) {
            op.ops = inside;
            op.ops_count = 1;
        } else {
            memcpy((char *)&op + field->offset, &text, sizeof text);
        }
    }
    return op;
}

static void a_layer_that_redirects_every_op_leaves_the_file_alone(void **state) {
    fixture *f = *state;
    fixture_close(f);
    fixture_open(f);
    int64_t conversations = fixture_ask(f, "SELECT count(*) FROM conversations");
    assert_code(hf_use_file(f->store, "memory", NONE, &f->err), HF_OK);
    const hf_op first = {.op = "createConversation", .conversation_id = T("c1")};
    const hf_op second = {ADD("m1", "x")};
    const hf_op anchor = {.op = "reserve", .conversation_id = T("c1"), .message_id = T("m1"), .role = T("x")};
    for (size_t i = 0; hf_op_name(i) != NULL; i++) {
        const hf_op op = op_of(hf_op_name(i), &second);
        bool of_anchors = strcmp(op.op, "append") == 0 || strcmp(op.op, "abort") == 0;
        done_op(f, &first);
        done(f, .op = "delete", .message_id = T("m1"));
        done_op(f, of_anchors ? &anchor : &second);
        done_op(f, &op);
        assert_int_equal(messages_in(f), 0);
        assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations"), conversations);
    }
    done_op(f, &first);
    done(f, .op = "delete", .message_id = T("m1"));
    done_op(f, &second);
    assert_string_equal(content_of(f, "m1"), "x"); /* from memory */
}

/* Lets all but the last byte of a delta go on. */
static int hold_a_byte_back(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_op shorter = *op;
    shorter.delta.size--;
    int rc = hf_next(layer, &shorter, result, err);
    if (rc == HF_OK) result->held = 1;
    return rc;
}

static void a_layer_may_hold_text_of_a_stream_back(void **state) {
    fixture *f = *state;
    const char *const ops[] = {"append", NULL};
    use_c(f, "hold", ops, hold_a_byte_back, NULL);
    done(f, .op = "reserve", .conversation_id = T("c1"), .message_id = T("m1"), .role = T("assistant"));
    const hf_result *result = done(f, .op = "append", .message_id = T("m1"), .delta = T("text"));
    assert_int_equal(result->length, 3);
    assert_int_equal(result->held, 1);
    assert_string_equal(content_of(f, "m1"), "tex");
}

/* ---- Layers in a state of the host's ----------------------------------------------------------- */

static void use_from(fixture *f, lua_State *L, const char *name, const char *source) {
    assert_int_equal(luaL_dostring(L, source), LUA_OK);
    if (hf_use_lua(f->store, L, -1, name, &f->err) != HF_OK) fail_msg("%s", f->err.message);
    lua_settop(L, 0);
}

static void layers_of_several_states_make_one_chain(void **state) {
    static const char source[] = "return function(op, next, ctx)\n"
                                 "  op.content = op.content .. ctx.layer\n"
                                 "  return next(op)\n"
                                 "end";
    fixture *f = *state;
    lua_State *hosts = luaL_newstate();
    luaL_openlibs(hosts);
    use_from(f, hosts, "h1", source);
    use_lua(f, "s1", source);
    use_c(f, "c1", NULL, pass, NULL);
    use_from(f, hosts, "h2", source);
    use_from(f, hosts, "h3", source);
    use_lua(f, "s2", source);
    done(f, ADD("m1", "x"));
    assert_string_equal(content_of(f, "m1"), "xh1s1h2h3s2");

    assert_int_equal(luaL_dostring(hosts, "return 7"), LUA_OK);
    assert_code(hf_use_lua(f->store, hosts, -1, "seven", &f->err), HF_INVALID);
    lua_settop(hosts, 0);
    use_from(f, hosts, "breaks", "return function() error('broken') end");
    assert_code(failed(f, ADD("m2", "x")), HF_MIDDLEWARE);
    assert_string_equal(f->err.layer, "breaks");
    assert_int_equal(lua_gettop(hosts), 0);
    fixture_close(f);
    lua_close(hosts);
}

static void two_states_of_the_hosts_may_share_a_store(void **state) {
    fixture *f = *state;
    lua_State *one = luaL_newstate(), *two = luaL_newstate();
    use_from(f, one, "one", "return function(op, next) op.content = op.content .. 1 return next(op) end");
    use_from(f, two, "two", "return function(op, next) op.content = op.content .. 2 return next(op) end");
    use_from(f, one, "three", "return function(op, next) op.content = op.content .. 3 return next(op) end");
    done(f, ADD("m1", "x"));
    assert_string_equal(content_of(f, "m1"), "x123");
    fixture_close(f);
    lua_close(one);
    lua_close(two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(destroy_is_called_once),
        TEST(a_name_is_unique_in_the_chain),
        TEST(a_name_is_lower_case_kebab),
        TEST(what_is_no_middleware_is_refused_and_says_why),
        TEST(a_file_takes_its_name_from_its_path_and_its_configuration),
        TEST(calling_the_store_from_inside_a_layer_is_misuse),
        TEST(a_layer_may_use_another_store),
        TEST(a_missing_argument_in_a_layer_is_misuse),
        TEST(every_layer_sees_the_hosts_context),
        TEST(the_minted_id_is_that_of_the_row_and_of_the_error),
        TEST(what_waits_for_the_commit_runs_only_after_it),
        TEST(what_a_try_left_for_after_the_commit_is_undone_with_it),
        TEST(what_a_layer_below_left_for_after_the_commit_is_undone_as_well),
        TEST(an_error_in_lua_tells_all_that_is_known),
        TEST(an_error_table_keeps_its_code_through_layers_in_c),
        TEST(an_error_of_the_terminal_names_no_layer),
        TEST(a_layers_code_must_be_one),
        TEST(an_answer_that_does_not_fit_is_a_bad_result),
        TEST(a_result_without_its_op_is_a_bad_result_to_a_layer_in_lua_as_well),
        TEST(a_layer_that_redirects_every_op_leaves_the_file_alone),
        TEST(a_layer_may_hold_text_of_a_stream_back),
        TEST(layers_of_several_states_make_one_chain),
        TEST(two_states_of_the_hosts_may_share_a_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
