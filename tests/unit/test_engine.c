/* A store without layers, through the public header: its life, its ops as structs and as JSON, and what each
 * kind of mistake is answered with. */
#define _POSIX_C_SOURCE 200809L

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/store.h"

/* ---- The library ------------------------------------------------------------------------------- */

static void header_and_library_are_of_one_version(void **state) {
    (void)state;
    assert_string_equal(hf_version(), HF_VERSION);
}

static void every_code_has_its_name(void **state) {
    (void)state;
    assert_string_equal(hf_code_name(HF_OK), "ok");
    assert_string_equal(hf_code_name(HF_NOT_FOUND), "notFound");
    assert_string_equal(hf_code_name(HF_INTERNAL), "internal");
    assert_null(hf_code_name(HF_INTERNAL + 1));
    assert_null(hf_code_name(-1));
}

static void the_list_of_ops_can_be_walked(void **state) {
    (void)state;
    size_t count = 0, writes = 0;
    for (const char *name; (name = hf_op_name(count)) != NULL; count++)
        writes += hf_op_writes(name) == 1;
    assert_int_equal(count, 19);
    assert_int_equal(writes, 13);
    assert_int_equal(hf_op_writes("get"), 0);
    assert_int_equal(hf_op_writes("got"), -1);
    assert_null(hf_op_name(SIZE_MAX));
}

/* ---- Open and close ---------------------------------------------------------------------------- */

static int try_open(fixture *f, const char *path, const hf_options *options) {
    hf_store *store = (hf_store *)f;
    int code = hf_open(path, options, &store, &f->err);
    assert_null(store);
    assert_int_equal(code, f->err.code);
    return code;
}

static void options_that_make_no_sense_are_misuse(void **state) {
    fixture *f = *state;
    hf_terminal terminal = {.size = sizeof terminal};
    hf_options options[] = {f->options, f->options, f->options, f->options, f->options, f->options};
    options[0].size = 3;
    options[1].max_depth = 501;
    options[2].busy_timeout_ms = -1;
    options[3].durability = (hf_durability)7;
    options[4].max_content = SIZE_MAX;
    options[5].terminal = &terminal;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        assert_code(try_open(f, "/tmp/holdfast-none/none.db", &options[i]), HF_MISUSE);
    assert_code(try_open(f, NULL, NULL), HF_MISUSE);
    assert_code(hf_open(f->path, NULL, NULL, &f->err), HF_MISUSE);
    assert_code(hf_open(f->path, NULL, NULL, NULL), HF_MISUSE);
}

static void a_file_that_is_no_store_is_refused_by_name(void **state) {
    fixture *f = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/notes.txt", f->folder);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 100; i++)
        fputs("remember the milk\n", file);
    fclose(file);
    assert_code(try_open(f, path, &f->options), HF_CORRUPT);
    assert_says(&f->err, path);
}

static void what_was_stored_is_there_after_reopening(void **state) {
    fixture *f = *state;
    done(f, ADD("m1", "hello"));
    fixture_close(f);
    fixture_open(f);
    assert_string_equal(content_of(f, "m1"), "hello");
}

static void a_store_in_memory_needs_no_options(void **state) {
    (void)state;
    hf_store *store;
    hf_error err;
    hf_result result = {0};
    assert_code(hf_open(":memory:", NULL, &store, &err), HF_OK);
    assert_code(hf_exec(store, &(hf_op){.op = "createConversation"}, &result, &err), HF_OK);
    assert_int_equal(result.conversation->id.size, 36);
    hf_result_free(&result);
    hf_close(store);
    hf_close(NULL);
}

static void an_inherited_handle_is_refused_and_left_alone(void **state) {
    fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        int code = hf_exec(f->store, &(hf_op){ADD("m1", "x")}, NULL, &f->err);
        int json = hf_exec_json(f->store, T("{\"op\":\"listConversations\"}"), NULL, NULL);
        int use = hf_use_string(f->store, "late", T("return function() end"), NONE, NULL);
        hf_close(f->store);
        hf_close(f->store);
        bool refused =
            code == HF_MISUSE && json == HF_MISUSE && use == HF_MISUSE && f->err.message[0] != '\0';
        if (refused) raise(SIGKILL); /* so that no leak checker looks at what it inherited */
        _exit(1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    done(f, ADD("m1", "x"));
    assert_int_equal(messages_in(f), 1);
}

/* ---- hf_exec ----------------------------------------------------------------------------------- */

static void a_call_without_store_or_op_is_misuse(void **state) {
    fixture *f = *state;
    assert_code(hf_exec(NULL, &(hf_op){.op = "listConversations"}, NULL, &f->err), HF_MISUSE);
    assert_code(hf_exec(f->store, NULL, NULL, &f->err), HF_MISUSE);
    assert_code(hf_exec(f->store, NULL, NULL, NULL), HF_MISUSE);
    assert_code(hf_exec_json(NULL, T("{}"), NULL, &f->err), HF_MISUSE);
    assert_code(hf_error_json(NULL, NULL), HF_MISUSE);
    assert_code(hf_use_function(f->store, NULL, NULL, &f->err), HF_MISUSE);
    assert_code(hf_use_string(f->store, NULL, NONE, NONE, &f->err), HF_MISUSE);
    assert_code(hf_use_file(f->store, NULL, NONE, &f->err), HF_MISUSE);
    hf_result_free(NULL);
    hf_json_free(NULL);
    assert_code(hf_explain_json(f->store, T("{\"op\":\"get\",\"messageId\":\"m1\"}"), NULL, &f->err),
                HF_MISUSE);
    assert_code(hf_explain_json(f->store, T("{}"), NULL, NULL), HF_MISUSE);
}

static void a_result_nobody_wants_and_a_used_one_are_fine(void **state) {
    fixture *f = *state;
    assert_code(hf_exec(f->store, &(hf_op){ADD("m1", "one")}, NULL, NULL), HF_OK);
    done(f, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(f->result.messages_count, 1);
    done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(f->result.messages_count, 0);
    assert_null(f->result.messages);
}

static void reserve_gives_an_empty_list_and_the_metadata(void **state) {
    fixture *f = *state;
    const hf_message *row = done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"),
                                 .message_id = T("m1"), .metadata = T("{\"model\": \"x\", \"n\": 1.10}"))
                                ->message;
    for (int i = 0; i < 2; i++) { /* the answer, and the stored row */
        assert_text(row->content, "[]");
        assert_text(row->metadata, "{\"model\": \"x\", \"n\": 1.10}");
        assert_text(row->role, "assistant");
        assert_int_equal(row->state, HF_STATE_RESERVED);
        row = done(f, .op = "get", .message_id = T("m1"))->message;
    }
}

static void update_content_of_a_reserved_row_equals_a_direct_write(void **state) {
    fixture *f = *state;
    const char *const content = "[{\"type\":\"text\",\"text\":\"Grüße\"}]";
    const hf_text metadata = T("{\"a\":[1,{}]}");
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1"),
         .metadata = metadata);
    done(f, ADD("m2", "between"));
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T(content));
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m3"),
         .metadata = metadata, .content = T(content));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages AS a, messages AS b"
                                    " WHERE a.id = 'm1' AND b.id = 'm3' AND a.content = b.content"
                                    " AND a.role = b.role AND a.state = b.state AND a.metadata = b.metadata"
                                    " AND a.conversation_id = b.conversation_id AND a.state = 'final'"),
                     1);
    done(f, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(f->result.messages_count, 3);
    assert_text(f->result.messages[0].id, "m1"); /* it kept its place */
    assert_text(f->result.messages[0].content, content);
}

static void a_batch_is_all_or_nothing(void **state) {
    fixture *f = *state;
    const hf_op good[] = {{ADD("m1", "one")}, {ADD("m2", "two")}};
    const hf_result *result = done(f, .op = "batch", .ops = good, .ops_count = 2);
    assert_int_equal(result->results_count, 2);
    assert_string_equal(result->results[1].op, "add");
    assert_text(result->results[1].message->content, "two");

    const hf_op bad[] = {{ADD("m3", "three")}, {.op = "update", .message_id = T("m9"), .updates = T("{}")}};
    assert_code(failed(f, .op = "batch", .ops = bad, .ops_count = 2), HF_NOT_FOUND);
    assert_int_equal(strncmp(f->err.message, "ops[1]: messageId", 17), 0);
    assert_string_equal(f->err.op, "batch");
    assert_string_equal(f->err.message_id, "m9");
    assert_int_equal(messages_in(f), 2);
}

static void ids_are_minted_where_they_are_left_out(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{.op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("1")},
                         {.op = "reserve", .conversation_id = T("c1"), .role = T("user")}};
    const hf_result *result = done(f, .op = "batch", .ops = ops, .ops_count = 2);
    const char *first = result->results[0].message->id.data, *second = result->results[1].message->id.data;
    assert_int_equal(strlen(first), 36);
    assert_int_equal(first[14], '7');
    assert_true(strcmp(first, second) < 0);
}

static void a_failed_write_bears_its_minted_id(void **state) {
    fixture *f = *state;
    assert_code(failed(f, .op = "add", .conversation_id = T("none"), .role = T("user"), .content = T("x")),
                HF_NOT_FOUND);
    assert_string_equal(f->err.name, "notFound");
    assert_string_equal(f->err.op, "add");
    assert_string_equal(f->err.layer, "");
    assert_int_equal(strlen(f->err.message_id), 36);
    assert_says(&f->err, "\"none\"");
}

static int64_t fixed_now(void *data) {
    return *(int64_t *)data;
}

static int fixed_random(void *data, void *bytes, size_t size) {
    memset(bytes, 0xAB, size);
    return *(int64_t *)data < 0;
}

static void clock_and_random_source_make_it_repeatable(void **state) {
    fixture *f = *state;
    int64_t clock = 1700000000000;
    char ids[2][40];
    f->options.now = fixed_now;
    f->options.random = fixed_random;
    f->options.source_data = &clock;
    for (int i = 0; i < 2; i++) {
        hf_store *store = NULL;
        assert_code(hf_open(":memory:", &f->options, &store, &f->err), HF_OK);
        assert_code(hf_exec(store, &(hf_op){.op = "createConversation"}, &f->result, &f->err), HF_OK);
        assert_int_equal(f->result.conversation->created_at, clock);
        strcpy(ids[i], f->result.conversation->id.data);
        clock = -1;
        assert_code(hf_exec(store, &(hf_op){.op = "createConversation"}, &f->result, &f->err), HF_IO);
        clock = 1700000000000;
        hf_close(store);
    }
    assert_string_equal(ids[0], ids[1]);
}

/* ---- Bad input --------------------------------------------------------------------------------- */

/* Each is refused with a message that has `part` in it; then the file holds what it held. */
static void bad_json_says_what_is_wrong_and_stores_nothing(void **state) {
    static const struct {
        int code;
        const char *op, *part;
    } cases[] = {
        {HF_INVALID, "{\"op\":\"ad\"}", "\"add\""},
        {HF_INVALID, "{\"conversationId\":\"c1\"}", "\"op\""},
        {HF_INVALID, "{\"op\":\"add\",\"conversationID\":\"c1\",\"role\":\"u\",\"content\":\"x\"}",
         "conversationId"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\"}", "content"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":7,\"content\":\"x\"}", "role"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"\",\"content\":\"x\"}", "role"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"a\\u0000b\"}",
         "0000"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"\\ud800\"}",
         "surrogate"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"\xff\"}",
         "UTF-8"},
        {HF_INVALID, "{\"op\":\"add\",\"op\":\"add\"}", "op"},
        {HF_INVALID,
         "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"x\",\"metadata\":[]}",
         "metadata"},
        {HF_INVALID,
         "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"x\",\"metadata\":{\"n\":"
         "1e999}}",
         "1e999"},
        {HF_INVALID,
         "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"x\","
         "\"metadata\":{\"n\":9223372036854775808}}",
         "9223372036854775808"},
        {HF_INVALID, "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"u\",\"content\":\"x\"} x", ""},
        {HF_INVALID, "{\"op\":\"batch\",\"ops\":[{\"op\":\"get\",\"messageId\":\"m1\"}]}", "ops[0]"},
        {HF_INVALID, "{\"op\":\"list\",\"conversationId\":\"c1\",\"limit\":0}", "limit"},
        {HF_INVALID, "{\"op\":\"list\",\"conversationId\":\"c1\",\"states\":[\"done\"]}", "states"},
        {HF_NOT_FOUND, "{\"op\":\"add\",\"conversationId\":\"c9\",\"role\":\"u\",\"content\":\"x\"}", "c9"},
        {HF_INVALID, "", ""},
        {HF_INVALID, "[]", ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hf_json out = {(char *)f, 1};
        int code = hf_exec_json(f->store, T(cases[i].op), &out, &f->err);
        if (code != cases[i].code) fail_msg("%s: %d %s", cases[i].op, code, f->err.message);
        if (strstr(f->err.message, cases[i].part) == NULL) fail_msg("%s: %s", cases[i].op, f->err.message);
        assert_null(out.data);
        assert_int_equal(out.size, 0);
    }
    assert_int_equal(messages_in(f), 0);
    done(f, ADD("m1", "the next is stored"));
}

static void bad_structs_say_what_is_wrong_and_store_nothing(void **state) {
    fixture *f = *state;
    char long_id[200];
    memset(long_id, 'x', 199);
    long_id[199] = '\0';
    const hf_op none[] = {{.op = NULL}, {.op = "amend"}};
    const struct {
        hf_op op;
        const char *part;
    } cases[] = {
        {none[0], "op"},
        {none[1], "amend"},
        {{.op = "get", .message_id = T("m1"), .limit = 5}, "limit"},
        {{.op = "get", .message_id = T(long_id)}, "messageId"},
        {{.op = "get", .message_id = T("a\nb")}, "control"},
        {{.op = "get", .message_id = {"a\0b", 3}}, "NUL"},
        {{.op = "get", .message_id = {"", 0}}, "messageId"},
        {{.op = "update", .message_id = T("m1"), .updates = T("[1]")}, "updates"},
        {{.op = "update", .message_id = T("m1"), .updates = T("{\"a\":1,\"a\":2}")}, "updates"},
        {{.op = "updateContent", .message_id = T("m1"), .content = T("x"), .index = (hf_flag)3}, "index"},
        {{.op = "batch"}, "ops"},
        {{.op = "batch", .ops = none, .ops_count = 2}, "ops[0]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_code(failed_op(f, &cases[i].op), HF_INVALID);
        assert_says(&f->err, cases[i].part);
    }
    assert_int_equal(messages_in(f), 0);
}

static void each_bound_is_an_option(void **state) {
    fixture *f = *state;
    const hf_op ops[] = {{ADD("m1", "1")}, {ADD("m2", "2")}, {ADD("m3", "3")}};
    fixture_close(f);
    f->options.max_content = 10;
    f->options.max_metadata = 20;
    f->options.max_depth = 2;
    f->options.max_batch = 2;
    f->options.max_json = 200;
    fixture_open(f);
    done(f, ADD("m0", "0123456789"), .metadata = T("{\"a\":{}}"));
    assert_code(failed(f, ADD("m1", "0123456789a")), HF_INVALID);
    assert_says(&f->err, "at most 10 bytes");
    assert_code(failed(f, ADD("m1", "x"), .metadata = T("{\"a\":\"0123456789012345\"}")), HF_INVALID);
    assert_code(failed(f, ADD("m1", "x"), .metadata = T("{\"a\":{\"b\":{}}}")), HF_INVALID);
    assert_code(failed(f, .op = "batch", .ops = ops, .ops_count = 3), HF_INVALID);
    done(f, .op = "batch", .ops = ops, .ops_count = 2);
    char json[300] = "{\"op\":\"get\",\"messageId\":\"m0\"";
    memset(json + strlen(json), ' ', 200);
    strcat(json, "}");
    assert_code(hf_exec_json(f->store, T(json), NULL, &f->err), HF_INVALID);
    assert_int_equal(messages_in(f), 3);
}

static const char pass_lua[] = "return {ops = {'*'}, handle = function(op, next) return next(op) end}";

static void the_bounds_of_a_handle_are_not_those_of_what_is_stored(void **state) {
    fixture *f = *state;
    const char *stored = "{\"a\":{\"b\":{\"c\":[1,2.5,true,null,\"0123456789\"]}}}";
    done(f, ADD("m1", "01234567890123456789"), .metadata = T(stored));
    fixture_close(f);
    f->options.max_content = 10;
    f->options.max_metadata = 20;
    f->options.max_depth = 2;
    fixture_open(f);
    for (int layered = 0; layered < 2; layered++) {
        if (layered) use_lua(f, "pass", pass_lua);
        assert_text(done(f, .op = "get", .message_id = T("m1"))->message->metadata, stored);
        assert_int_equal(done(f, .op = "list", .conversation_id = T("c1"))->messages_count, 1);
        assert_int_equal(done(f, ADD("m1", "0"))->deduplicated, HF_YES);
        assert_text(f->result.message->content, "01234567890123456789");
        assert_code(failed(f, ADD("m2", "01234567890")), HF_INVALID);
    }
    fixture_close(f);
    f->options.max_metadata = 100;
    fixture_open(f);
    done(f, .op = "update", .message_id = T("m1"), .updates = T("{\"z\":1}"));
    assert_non_null(strstr(done(f, .op = "get", .message_id = T("m1"))->message->metadata.data, "\"z\":1"));
}

static void a_budget_may_be_as_long_as_the_number_allows(void **state) {
    fixture *f = *state;
    fixture_close(f);
    f->options.max_lua_ms = f->options.max_lua_instructions = INT64_MAX;
    fixture_open(f);
    use_lua(f, "count", "return function(op, next) for _ = 1, 100000 do end return next(op) end");
    done(f, ADD("m1", "x"));
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static void an_error_about_nesting_names_field_and_op(void **state) {
    fixture *f = *state;
    char nest[400], json[900];
    memset(nest, '[', 80);
    memset(nest + 80, ']', 80);
    nest[160] = '\0';
    snprintf(json, sizeof json, "{\"op\":\"update\",\"messageId\":\"m1\",\"updates\":{\"a\":%s}}", nest);
    assert_code(hf_exec_json(f->store, T(json), NULL, &f->err), HF_INVALID);
    assert_says(&f->err, "field \"updates\": ");
    assert_says(&f->err, "at most 64 levels");
    assert_string_equal(f->err.op, "update");
    assert_string_equal(f->err.message_id, "m1");
    snprintf(json, sizeof json,
             "{\"op\":\"batch\",\"ops\":[{\"op\":\"delete\",\"messageId\":\"m1\"},"
             "{\"op\":\"createConversation\",\"metadata\":{\"a\":%s}}]}",
             nest);
    assert_code(hf_exec_json(f->store, T(json), NULL, &f->err), HF_INVALID);
    assert_int_equal(strncmp(f->err.message, "ops[1]: field \"metadata\": ", 26), 0);
    assert_string_equal(f->err.op, "batch");
}

static void metadata_comes_back_byte_for_byte_as_json(void **state) {
    fixture *f = *state;
    hf_json out;
    static const char metadata[] =
        "{\"n\": 9007199254740993, \"f\": 1.10, \"e\": {}, \"l\": [], \"z\": null, \"s\":\"\\u00fc/\\/\"}";
    char op[300];
    snprintf(op, sizeof op,
             "{\"op\":\"add\",\"messageId\":\"m1\",\"conversationId\":\"c1\",\"role\":\"user\","
             "\"content\":\"\\u00fc\\n\",\"metadata\":%s,\"ctx\":{\"requestId\":\"r\"}}",
             metadata);
    assert_code(hf_exec_json(f->store, T(op), &out, &f->err), HF_OK);
    hf_json_free(&out);
    assert_null(out.data);
    assert_code(hf_exec_json(f->store, T("{\"op\":\"get\",\"messageId\":\"m1\"}"), &out, &f->err), HF_OK);
    assert_int_equal(strlen(out.data), out.size);
    assert_non_null(strstr(out.data, metadata));
    assert_non_null(strstr(out.data, "\"content\":\"ü\\n\""));
    assert_null(strchr(out.data, '\n'));
    hf_json_free(&out);
    assert_text(done(f, .op = "get", .message_id = T("m1"))->message->metadata, metadata);
    assert_code(hf_exec_json(f->store, T("{\"op\":\"get\",\"messageId\":\"m1\"}"), NULL, NULL), HF_OK);
}

static void an_error_as_json_has_what_is_known(void **state) {
    fixture *f = *state;
    hf_json out;
    assert_code(failed(f, .op = "update", .message_id = T("m\"9"), .updates = T("{}")), HF_NOT_FOUND);
    assert_code(hf_error_json(&f->err, &out), HF_OK);
    assert_non_null(strstr(out.data, "\"code\":\"notFound\""));
    assert_non_null(strstr(out.data, "\"op\":\"update\""));
    assert_non_null(strstr(out.data, "\"messageId\":\"m\\\"9\""));
    assert_null(strstr(out.data, "layer"));
    assert_null(strstr(out.data, "traceback"));
    hf_json_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_and_library_are_of_one_version),
        cmocka_unit_test(every_code_has_its_name),
        cmocka_unit_test(the_list_of_ops_can_be_walked),
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(options_that_make_no_sense_are_misuse),
        TEST(a_file_that_is_no_store_is_refused_by_name),
        TEST(what_was_stored_is_there_after_reopening),
        TEST(a_store_in_memory_needs_no_options),
        TEST(an_inherited_handle_is_refused_and_left_alone),
        TEST(a_call_without_store_or_op_is_misuse),
        TEST(a_result_nobody_wants_and_a_used_one_are_fine),
        TEST(reserve_gives_an_empty_list_and_the_metadata),
        TEST(update_content_of_a_reserved_row_equals_a_direct_write),
        TEST(a_batch_is_all_or_nothing),
        TEST(ids_are_minted_where_they_are_left_out),
        TEST(a_failed_write_bears_its_minted_id),
        TEST(clock_and_random_source_make_it_repeatable),
        TEST(bad_json_says_what_is_wrong_and_stores_nothing),
        TEST(bad_structs_say_what_is_wrong_and_store_nothing),
        TEST(each_bound_is_an_option),
        TEST(the_bounds_of_a_handle_are_not_those_of_what_is_stored),
        TEST(a_budget_may_be_as_long_as_the_number_allows),
        TEST(an_error_about_nesting_names_field_and_op),
        TEST(metadata_comes_back_byte_for_byte_as_json),
        TEST(an_error_as_json_has_what_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
