/* Memory runs out at every allocation in turn - ours, Lua's, SQLite's and cJSON's - once, twice, and for good: each call
 * says HF_MEMORY or does its work, leaves nothing behind, and the store goes on. */
#define _POSIX_C_SOURCE 200809L

#include <limits.h>

#include "holdfast_lua.h"
#include "op/record.h"
#include "store/checkpoint.h"
#include "support/fault_alloc.h"
#include "support/store.h"

/* ---- SQLite's memory comes from where ours does ------------------------------------------------ */

static void *sqlite_realloc(void *memory, int size) {
    int64_t *block = realloc(memory != NULL ? (int64_t *)memory - 1 : NULL, (size_t)size + sizeof *block);
    if (block == NULL) return NULL;
    *block = size;
    return block + 1;
}

static void *sqlite_malloc(int size) {
    return sqlite_realloc(NULL, size);
}

static void sqlite_free(void *memory) {
    if (memory != NULL) free((int64_t *)memory - 1);
}

static int sqlite_size(void *memory) {
    return memory != NULL ? (int)((int64_t *)memory)[-1] : 0;
}

static int sqlite_roundup(int size) {
    return (size + 7) & ~7;
}

static int sqlite_init(void *data) {
    (void)data;
    return SQLITE_OK;
}

static void sqlite_shutdown(void *data) {
    (void)data;
}

static int cover_all(void **state) {
    static const sqlite3_mem_methods methods = {sqlite_malloc,  sqlite_free, sqlite_realloc,  sqlite_size,
                                                sqlite_roundup, sqlite_init, sqlite_shutdown, NULL};
    (void)state;
    fault_alloc_cover_cjson();
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK || sqlite3_initialize() != SQLITE_OK)
        return 1;
    return 0;
}

/* ---- The sweep --------------------------------------------------------------------------------- */

typedef struct sweep {
    fixture f;
    long round; /* makes ids of its own for each round */
    char id[32];
    lua_State *host;
    sqlite3 *keeper; /* of the WAL, while no store is open */
    bool caught;     /* a layer catches the lack, and may then find that SQLite has ended the transaction */
} sweep;

/* One step, within which memory fails. It returns the code, and takes nothing from a failure. */
typedef int (*step)(sweep *s);

static int try_step(sweep *s, step run, long nth, long times) {
    s->round++;
    snprintf(s->id, sizeof s->id, "m%ld", s->round);
    memset(&s->f.err, 0, sizeof s->f.err);
    fault_alloc_plan_times(nth, times);
    int code = run(s);
    bool late = s->caught && code == HF_IO;
    if (code != HF_OK && code != HF_MEMORY && !late)
        fail_msg("at %ld: %s: %s", nth, s->f.err.name, s->f.err.message);
    assert_int_equal(code != HF_OK ? s->f.err.code : HF_OK, code);
    return code;
}

/* Repeats `run` with the failure at 1, 2, ... until it no longer comes. `check` looks at what there is then. A step
 * with very many allocations is one that prepares statements, which are alike: far from its ends, failures come
 * at intervals, and each kind of failure at points of its own. */
static void sweep_step(sweep *s, step run, void (*check)(sweep *s, int code)) {
    enum { MANY = 1500, ENDS = 300 };
    static const long times[] = {1, 2, LONG_MAX};
    int code = try_step(s, run, 0, 1);
    long all = fault_alloc_count(), interval = all < MANY ? 1 : 1 + 3 * all / MANY;
    assert_code(code, HF_OK);
    check(s, code);
    for (long i = 0; i < 3; i++) {
        bool met = true;
        for (long nth = 1; met; nth++) {
            if (nth > ENDS && nth < all - ENDS && nth % interval != i) continue;
            code = try_step(s, run, nth, times[i]);
            met = fault_alloc_happened();
            if (code == HF_MEMORY && !met) fail_msg("at %ld: out of memory out of nothing", nth);
            check(s, code);
        }
    }
}

static int64_t count_rows(sweep *s) {
    done(&s->f, .op = "list", .conversation_id = T("c1"), .limit = 1000000);
    return (int64_t)s->f.result.messages_count;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static int open_step(sweep *s) {
    return hf_open(s->f.path, &s->f.options, &s->f.store, &s->f.err);
}

static void check_open(sweep *s, int code) {
    assert_int_equal(code == HF_OK, s->f.store != NULL);
    if (code != HF_OK) fixture_open(&s->f);
    done(&s->f, .op = "createConversation", .conversation_id = T("c1"));
    fixture_close(&s->f);
}

static const char layer_lua[] =
    "local config = ...\n"
    "local holdfast = require 'holdfast'\n"
    "return {ops = {'add', 'reserve', 'get'}, handle = function(op, next, ctx)\n"
    "  if op.op ~= 'get' then op.metadata = {n = config.n, list = holdfast.list{1, 2}} end\n"
    "  ctx.shared.seen = ctx.state\n"
    "  ctx:afterCommit(function() end)\n"
    "  local result = next(op)\n"
    "  if op.op == 'add' then ctx:exec{op = 'get', messageId = op.messageId} end\n"
    "  return result\n"
    "end}";

static void prepare_use(sweep *s) {
    assert_code(hf_open(":memory:", &s->f.options, &s->f.store, &s->f.err), HF_OK);
}

static int use_step(sweep *s) {
    int code = hf_use_string(s->f.store, "layer", T(layer_lua), T("{\"n\": 1.10}"), &s->f.err);
    if (code == HF_OK) code = hf_use_file(s->f.store, "redact", NONE, &s->f.err);
    return code;
}

static void check_use(sweep *s, int code) {
    (void)code;
    fixture_close(&s->f);
    prepare_use(s);
}

/* Layers that catch errors, and whose own are passed over. */
static const char retry_lua[] = "return {ops = {'batch', 'add'}, handle = function(op, next)\n"
                                "  local good, result = pcall(next, op)\n"
                                "  return good and result or next(op)\n"
                                "end}";
static const char early_slip_lua[] =
    "return {onError = 'continue', ops = {'batch', 'add'}, handle = function() error 'early' end}";
static const char late_slip_lua[] =
    "return {onError = 'continue', ops = {'batch', 'add'}, handle = function(op, next, ctx)\n"
    "  next(op)\n"
    "  pcall(ctx.exec, ctx, {op = 'append', messageId = 'none', delta = 'x'})\n"
    "  error 'late'\n"
    "end}";

static int pass(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

static int add_step(sweep *s) {
    return hf_exec(s->f.store, &(hf_op){ADD(s->id, "hello")}, &s->f.result, &s->f.err);
}

/* The row is there if, and only if, the call said so; and the next one works. */
static void check_row(sweep *s, int code) {
    const char *content = content_of(&s->f, s->id);
    if (code == HF_OK)
        assert_string_equal(content, "hello");
    else
        assert_null(content);
    done(&s->f, ADD("probe", "x"));
    done(&s->f, .op = "delete", .message_id = T("probe"));
    done(&s->f, .op = "delete", .message_id = T(s->id));
    assert_int_equal(count_rows(s), 1);
}

static int batch_step(sweep *s) {
    const hf_op ops[] = {{ADD(s->id, "hello"), .metadata = T("{\"a\":[1]}")},
                         {.op = "update", .message_id = T(s->id), .updates = T("{\"b\":{}}")}};
    return hf_exec(s->f.store, &(hf_op){.op = "batch", .ops = ops, .ops_count = 2}, &s->f.result, &s->f.err);
}

static void check_batch(sweep *s, int code) {
    const hf_result *result = done(&s->f, .op = "get", .message_id = T(s->id));
    assert_int_equal(result->message != NULL, code == HF_OK);
    if (code == HF_OK) assert_text(result->message->metadata, "{\"a\":[1],\"b\":{}}");
    check_row(s, code);
}

/* Messages in a row, after which their conversation is written. */
static int row_step(sweep *s) {
    char answer[40], last[40];
    snprintf(answer, sizeof answer, "%s-answer", s->id);
    snprintf(last, sizeof last, "%s-last", s->id);
    hf_op ops[] = {{ADD(s->id, "hello")}, {ADD(answer, "hello")}, {ADD(last, "hello")}};
    ops[1].role = T("assistant");
    for (int i = 0; i < 3; i++)
        ops[i].skip_indexing = HF_YES;
    return hf_exec(s->f.store, &(hf_op){.op = "batch", .ops = ops, .ops_count = 3}, &s->f.result, &s->f.err);
}

/* All are there or none, and the conversation says so. */
static void check_row_of_messages(sweep *s, int code) {
    char ids[3][40];
    snprintf(ids[0], sizeof ids[0], "%s", s->id);
    snprintf(ids[1], sizeof ids[1], "%s-answer", s->id);
    snprintf(ids[2], sizeof ids[2], "%s-last", s->id);
    const hf_result *all = done(&s->f, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(all->messages_count, code == HF_OK ? 4 : 1);
    int64_t last = all->messages[all->messages_count - 1].created_at;
    const hf_conversation *found =
        done(&s->f, .op = "getConversation", .conversation_id = T("c1"))->conversation;
    assert_int_equal(found->last_message_at, last);
    if (code == HF_OK)
        assert_text(found->attention->latest_assistant_message_id, ids[1]);
    else
        assert_true(found->attention == NULL || found->attention->latest_assistant_message_id.data == NULL);
    for (int i = 0; i < 3; i++)
        done(&s->f, .op = "delete", .message_id = T(ids[i]));
}

static int json_step(sweep *s) {
    char op[300];
    hf_json out;
    snprintf(op, sizeof op,
             "{\"op\":\"batch\",\"ops\":[{\"op\":\"reserve\",\"messageId\":\"%s\",\"conversationId\":\"c1\","
             "\"role\":\"user\",\"metadata\":{\"a\":[1,{}]}},"
             "{\"op\":\"updateContent\",\"messageId\":\"%s\",\"content\":\"hello\"}]}",
             s->id, s->id);
    int code = hf_exec_json(s->f.store, T(op), &out, &s->f.err);
    assert_int_equal(code == HF_OK, out.data != NULL);
    hf_json_free(&out);
    return code;
}

/* An answer that could not be printed was stored all the same. */
static void check_json(sweep *s, int code) {
    const char *content = content_of(&s->f, s->id);
    if (code == HF_OK || content != NULL) assert_string_equal(content, "hello");
    done(&s->f, .op = "delete", .message_id = T(s->id));
    assert_int_equal(count_rows(s), 1);
}

/* A line that could not be written is no failure of the op. */
static int view_step(sweep *s) {
    return hf_exec(s->f.store, &(hf_op){ADD(s->id, "hello"), .sync_to_disk = HF_YES}, &s->f.result,
                   &s->f.err);
}

static int rebuild_step(sweep *s) {
    int64_t conversations;
    int code = hf_view_rebuild(s->f.store, &conversations, &s->f.err);
    if (code == HF_OK) assert_int_equal(conversations, 1);
    return code;
}

static void check_rebuild(sweep *s, int code) {
    (void)code;
    if (hf_view_rebuild(s->f.store, NULL, &s->f.err) != HF_OK) fail_msg("%s", s->f.err.message);
}

static int list_step(sweep *s) {
    int code =
        hf_exec(s->f.store, &(hf_op){.op = "list", .conversation_id = T("c1")}, &s->f.result, &s->f.err);
    if (code == HF_OK)
        code = hf_exec(s->f.store, &(hf_op){.op = "get", .message_id = T("m0")}, &s->f.result, &s->f.err);
    return code;
}

static void check_list(sweep *s, int code) {
    if (code == HF_OK) assert_text(s->f.result.message->content, "before");
    assert_int_equal(count_rows(s), 1);
}

/* On a store that was just opened: so each time a reader, too, and the statements. */
static int first_reads_step(sweep *s) {
    int code = list_step(s);
    if (code == HF_OK)
        code = hf_exec(s->f.store, &(hf_op){.op = "search", .query = T("before")}, &s->f.result, &s->f.err);
    return code;
}

static void check_first_reads(sweep *s, int code) {
    if (code == HF_OK) assert_int_equal(s->f.result.hits_count, 1);
    if (code == HF_OK) assert_text(s->f.result.hits[0].snippet, "[before]");
    assert_int_equal(fixture_ask(&s->f, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    assert_int_equal(done(&s->f, .op = "search", .query = T("before"))->hits_count, 1);
    fixture_close(&s->f);
    fixture_open(&s->f);
    done(&s->f, .op = "update", .message_id = T("m0"), .updates = T("{}")); /* so that there is a WAL */
}

static void check_rows_stay(sweep *s, int code) {
    (void)code;
    assert_int_equal(count_rows(s), 1);
}

static int stats_step(sweep *s) {
    hf_json told;
    int code = hf_stats_json(s->f.store, &told, &s->f.err);
    if (code == HF_OK)
        assert_non_null(strstr(told.data, "\"messages\":1,"));
    else
        assert_null(told.data);
    hf_json_free(&told);
    return code;
}

/* So that each time the WAL is long, and some of it is not in the database yet. */
static void open_beside(sweep *s, int frames) {
    fixture_open(&s->f);
    for (int i = 0; i < frames; i++)
        assert_int_equal(
            sqlite3_exec(s->keeper, "UPDATE conversations SET updated_at = updated_at + 1", NULL, NULL, NULL),
            SQLITE_OK);
}

/* A pass that ran out of memory keeps no lock, which would have to wait for the next one. */
static void check_pass(sweep *s, int code) {
    (void)code;
    assert_int_equal(fixture_ask(&s->f, "PRAGMA wal_checkpoint(RESTART)"), 0);
    fixture_close(&s->f);
    open_beside(s, 1);
}

/* Into an anchor that is there: the repeats are not stored twice. */
static int stream_step(sweep *s) {
    static const hf_op ops[] = {
        {.op = "append", .message_id = {"anchor", 6}, .delta = {"one ", 4}, .seq = 1},
        {.op = "append", .message_id = {"anchor", 6}, .delta = {"two", 3}, .seq = 2},
        {.op = "read", .message_id = {"anchor", 6}},
        {.op = "get", .message_id = {"anchor", 6}},
        {.op = "abort", .message_id = {"anchor", 6}, .reason = {"stop", 4}},
    };
    int code = HF_OK;
    for (size_t i = 0; i < sizeof ops / sizeof *ops && code == HF_OK; i++)
        code = hf_exec(s->f.store, &ops[i], &s->f.result, &s->f.err);
    return code;
}

static void reserve_anchor(sweep *s) {
    done(&s->f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"),
         .message_id = T("anchor"));
}

static void check_stream(sweep *s, int code) {
    static const char *const stages[] = {"[]", "one ", "one two"};
    const hf_result *read = done(&s->f, .op = "read", .message_id = T("anchor"));
    size_t seq = (size_t)read->seq;
    bool aborted = read->state == HF_STATE_ABORTED;
    assert_true(seq <= 2);
    assert_int_equal(read->deltas_count, seq);
    if (code == HF_OK) assert_true(aborted && seq == 2);
    assert_string_equal(content_of(&s->f, "anchor"), stages[seq]);
    if (!aborted) /* the next one works */
        assert_int_equal(done(&s->f, .op = "append", .message_id = T("anchor"), .delta = T("x"))->seq,
                         seq + 1);
    done(&s->f, .op = "delete", .message_id = T("anchor"));
    assert_int_equal(count_rows(s), 1);
    reserve_anchor(s);
}

/* ---- A state of the host's ------------------------------------------------------------------------ */

static void *host_allocate(void *unused, void *memory, size_t old_size, size_t size) {
    (void)unused, (void)old_size;
    if (size != 0) return realloc(memory, size);
    free(memory);
    return NULL;
}

/* function(op, next) return next(op) end */
static int l_pass(lua_State *L) {
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

static void prepare_host(sweep *s) {
    assert_code(hf_open(":memory:", &s->f.options, &s->f.store, &s->f.err), HF_OK);
    done(&s->f, .op = "createConversation", .conversation_id = T("c1"));
    done(&s->f, ADD("m0", "before"));
    s->host = lua_newstate(host_allocate, NULL);
    lua_pushcfunction(s->host, l_pass);
}

static int host_step(sweep *s) {
    int code = hf_use_lua(s->f.store, s->host, -1, "host", &s->f.err);
    return code == HF_OK ? add_step(s) : code;
}

static void check_host(sweep *s, int code) {
    assert_int_equal(lua_gettop(s->host), 1);
    check_row(s, code);
    fixture_close(&s->f);
    lua_close(s->host);
    prepare_host(s);
}

/* ---- Tests ------------------------------------------------------------------------------------- */

static int start(void **state) {
    sweep *s = calloc(1, sizeof *s);
    fixture_start(&s->f);
    *state = s;
    return 0;
}

static int end(void **state) {
    sweep *s = *state;
    fixture_end(&s->f);
    free(s);
    return 0;
}

static void open_with_layers(sweep *s, bool layered) {
    fixture_open(&s->f);
    done(&s->f, .op = "createConversation", .conversation_id = T("c1"));
    done(&s->f, ADD("m0", "before"));
    if (!layered) return;
    if (hf_use_string(s->f.store, "layer", T(layer_lua), T("{\"n\": 1.10}"), &s->f.err) != HF_OK)
        fail_msg("%s", s->f.err.message);
    assert_code(hf_use_file(s->f.store, "redact", NONE, &s->f.err), HF_OK);
    use_c(&s->f, "pass", NULL, pass, NULL);
    use_lua(&s->f, "last", "return function(op, next) return next(op) end");
}

static void opening_survives_lack_of_memory(void **state) {
    sweep *s = *state;
    fixture_open(&s->f); /* so that each time the file is there */
    fixture_close(&s->f);
    sweep_step(s, open_step, check_open);
}

static void loading_a_layer_survives_lack_of_memory(void **state) {
    prepare_use(*state);
    sweep_step(*state, use_step, check_use);
}

static void ops_without_layers_survive_lack_of_memory(void **state) {
    open_with_layers(*state, false);
    sweep_step(*state, add_step, check_row);
    sweep_step(*state, list_step, check_list);
    sweep_step(*state, json_step, check_json);
    sweep_step(*state, stats_step, check_rows_stay);
}

static void a_pass_of_the_checkpointer_survives_lack_of_memory(void **state) {
    sweep *s = *state;
    open_with_layers(s, false);
    assert_int_equal(sqlite3_open(s->f.path, &s->keeper), SQLITE_OK);
    assert_int_equal(sqlite3_exec(s->keeper, "PRAGMA wal_autocheckpoint = 0", NULL, NULL, NULL), SQLITE_OK);
    fixture_close(&s->f);
    open_beside(s, HF__WAL_LIMIT + 10);
    sweep_step(s, stats_step, check_pass);
    sqlite3_close(s->keeper);
}

static void a_reader_that_lacks_memory_leaves_the_read_to_others(void **state) {
    open_with_layers(*state, false);
    sweep_step(*state, first_reads_step, check_first_reads);
}

static void streaming_survives_lack_of_memory(void **state) {
    open_with_layers(*state, false);
    reserve_anchor(*state);
    sweep_step(*state, stream_step, check_stream);
}

static void ops_through_layers_survive_lack_of_memory(void **state) {
    open_with_layers(*state, true);
    sweep_step(*state, add_step, check_row);
    sweep_step(*state, list_step, check_list);
    sweep_step(*state, json_step, check_json);
}

static void open_with_slips(sweep *s) {
    open_with_layers(s, false);
    use_lua(&s->f, "retry", retry_lua);
    use_lua(&s->f, "early", early_slip_lua);
    use_c(&s->f, "pass", NULL, pass, NULL);
    use_lua(&s->f, "late", late_slip_lua);
    use_lua(&s->f, "retry-below", retry_lua);
    s->caught = true;
}

static void layers_that_slip_and_try_again_survive_lack_of_memory(void **state) {
    open_with_slips(*state);
    sweep_step(*state, batch_step, check_batch);
}

static void layers_that_slip_amid_messages_in_a_row_survive_lack_of_memory(void **state) {
    sweep *s = *state;
    strcpy(s->f.path, ":memory:"); /* no checkpoint, whose lock a write may meet */
    open_with_slips(s);
    sweep_step(s, row_step, check_row_of_messages);
}

static void messages_in_a_row_survive_lack_of_memory(void **state) {
    sweep *s = *state;
    open_with_layers(s, false);
    sweep_step(s, row_step, check_row_of_messages);
    use_lua(&s->f, "pass", "return {ops = {'add'}, handle = function(op, next) return next(op) end}");
    sweep_step(s, row_step, check_row_of_messages);
}

static void the_disk_view_survives_lack_of_memory(void **state) {
    sweep *s = *state;
    char view[96];
    snprintf(view, sizeof view, "%s/view", s->f.folder);
    s->f.options.view_dir = view;
    open_with_layers(s, false);
    sweep_step(s, view_step, check_row);
    done(&s->f, .op = "deleteConversation", .conversation_id = T("c1"));
    done(&s->f, .op = "createConversation", .conversation_id = T("c1"));
    done(&s->f, ADD("m0", "before"));
    sweep_step(s, rebuild_step, check_rebuild);
}

static void a_layer_of_the_hosts_survives_lack_of_memory(void **state) {
    sweep *s = *state;
    prepare_host(s);
    sweep_step(s, host_step, check_host);
    fixture_close(&s->f);
    lua_close(s->host);
}

static void closing_needs_no_memory(void **state) {
    sweep *s = *state;
    for (int i = 0; i < 2; i++) {
        open_with_layers(s, i == 1);
        fault_alloc_plan_times(1, LONG_MAX);
        hf_result_free(&s->f.result);
        hf_close(s->f.store);
        fault_alloc_happened();
        s->f.store = NULL;
        fixture_open(&s->f);
        assert_int_equal(count_rows(s), 1);
        done(&s->f, .op = "deleteConversation", .conversation_id = T("c1"));
        fixture_close(&s->f);
    }
}

/* What hf_submit does with an op, on the caller's thread. */
static void a_copy_that_lacks_memory_says_so(void **state) {
    (void)state;
    const hf_text wanted = T("final");
    const hf_op ops[] = {{ADD("m1", "x"), .metadata = T("{}")},
                         {.op = "list", .conversation_id = T("c1"), .states = &wanted, .states_count = 1}};
    const hf_context context = {.request_id = T("r1"), .extras = T("{\"a\":1}")};
    const hf_op batch = {.op = "batch", .ops = ops, .ops_count = 2, .context = &context};
    long nth = 1;
    for (bool failed = true; failed; nth++) {
        hf__arena arena = {0};
        hf_op copy;
        hf_error err = {0};
        fault_alloc_plan(nth);
        int code = hf__op_copy(&arena, &batch, &copy, &err);
        failed = fault_alloc_happened();
        assert_code(code, failed ? HF_MEMORY : HF_OK);
        if (!failed) assert_text(copy.context->extras, "{\"a\":1}");
        if (!failed) assert_text(copy.ops[1].states[0], "final");
        hf__arena_free(&arena);
    }
    assert_true(nth > 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
        TEST(opening_survives_lack_of_memory),
        TEST(loading_a_layer_survives_lack_of_memory),
        TEST(ops_without_layers_survive_lack_of_memory),
        TEST(a_pass_of_the_checkpointer_survives_lack_of_memory),
        TEST(a_reader_that_lacks_memory_leaves_the_read_to_others),
        TEST(streaming_survives_lack_of_memory),
        TEST(ops_through_layers_survive_lack_of_memory),
        TEST(the_disk_view_survives_lack_of_memory),
        TEST(messages_in_a_row_survive_lack_of_memory),
        TEST(layers_that_slip_and_try_again_survive_lack_of_memory),
        TEST(layers_that_slip_amid_messages_in_a_row_survive_lack_of_memory),
        TEST(a_layer_of_the_hosts_survives_lack_of_memory),
        TEST(closing_needs_no_memory),
        TEST(a_copy_that_lacks_memory_says_so),
    };
    return cmocka_run_group_tests(tests, cover_all, NULL);
}
