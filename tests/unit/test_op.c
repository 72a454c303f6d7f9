/* The list of ops at work: names, checks, and the JSON of ops, answers and errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/error.h"
#include "op/check.h"
#include "op/text.h"

static const hf__limits limits = {.content = 1000, .metadata = 200, .depth = 4, .batch = 3, .json = 4000};

static hf_text T(const char *string) {
    return hf_text_of(string);
}

static hf_op an_add(void) {
    return (hf_op){.op = "add",
                   .conversation_id = T("c1"),
                   .role = T("user"),
                   .content = T("hello"),
                   .message_id = T("m1")};
}

static void assert_refused(const hf_op *op, const char *message) {
    hf_error err = {0};
    const hf__op_def *def = NULL;
    assert_int_equal(hf__op_check(op, &limits, &def, &err), HF_INVALID);
    assert_string_equal(err.message, message);
    assert_int_equal(hf__op_check(op, &limits, NULL, NULL), HF_INVALID);
    assert_null(def);
}

static void assert_fits(const hf_op *op) {
    hf_error err = {0};
    const hf__op_def *def = NULL;
    if (hf__op_check(op, &limits, &def, &err) != HF_OK) fail_msg("%s", err.message);
    assert_string_equal(def->name, op->op);
}

/* ---- Names ------------------------------------------------------------------------------------- */

static void test_op__every_op_of_the_list_is_found_by_its_name(void **state) {
    (void)state;
    size_t count = 0;
    for (const char *name; (name = hf_op_name(count)) != NULL; count++) {
        char behind[64];
        size_t size = (size_t)snprintf(behind, sizeof behind, "%sX", name) - 1;
        const hf__op_def *def = hf__op_find(behind, size);
        assert_non_null(def);
        assert_int_equal(def->kind, count);
        assert_string_equal(def->name, name);
        assert_int_equal(hf_op_writes(name), def->writes);
        assert_null(hf__op_find(behind, size + 1));
    }
    assert_int_equal(count, HF__KINDS);
    assert_int_equal(hf_op_writes("add"), 1);
    assert_int_equal(hf_op_writes("get"), 0);
    assert_int_equal(hf_op_writes("gets"), -1);
    assert_int_equal(hf_op_writes(""), -1);
    assert_int_equal(hf_op_writes(NULL), -1);
}

static void test_op__near_names_are_found_and_far_ones_are_not(void **state) {
    (void)state;
    const hf__record *add = &hf__op_find("add", 3)->fields;
    assert_string_equal(hf__nearest(NULL, NULL, T("ad")), "add");
    assert_string_equal(hf__nearest(NULL, NULL, T("upadteContent")), "updateContent");
    assert_string_equal(hf__nearest(NULL, NULL, T("listconversations")), "listConversations");
    assert_null(hf__nearest(NULL, NULL, T("frobnicate")));
    assert_null(hf__nearest(NULL, NULL, T("")));
    assert_string_equal(hf__nearest(add, NULL, T("conversation_id")), "conversationId");
    assert_string_equal(hf__nearest(add, NULL, T("addOption")), "addOptions");
    assert_string_equal(hf__nearest(add, "addOptions", T("skipIndex")), "skipIndexing");
    assert_null(hf__nearest(add, "addOptions", T("contnt")));
    char longer[400];
    memset(longer, 'a', sizeof longer);
    assert_null(hf__nearest(NULL, NULL, (hf_text){longer, sizeof longer}));
}

static void test_op__a_field_is_found_in_its_group_alone(void **state) {
    (void)state;
    const hf__record *add = &hf__op_find("add", 3)->fields;
    bool is_group;
    assert_string_equal(hf__record_find(add, NULL, T("content"), &is_group)->name, "content");
    assert_false(is_group);
    assert_null(hf__record_find(add, NULL, T("skipIndexing"), &is_group));
    assert_false(is_group);
    assert_null(hf__record_find(add, NULL, T("addOptions"), &is_group));
    assert_true(is_group);
    assert_non_null(hf__record_find(add, "addOptions", T("skipIndexing"), &is_group));
    assert_null(hf__record_find(add, NULL, (hf_text){"content", 4}, &is_group));
    assert_null(hf__record_find(add, NULL, (hf_text){"content", 8}, &is_group));
}

static void test_op__states_have_their_names(void **state) {
    (void)state;
    assert_string_equal(hf__state_name(HF_STATE_FINAL), "final");
    assert_null(hf__state_name(HF_STATE_ABSENT));
    assert_null(hf__state_name((hf_state)99));
    assert_int_equal(hf__state_of(T("interrupted")), HF_STATE_INTERRUPTED);
    assert_int_equal(hf__state_of(T("Final")), HF_STATE_ABSENT);
}

/* ---- Checks of ops ----------------------------------------------------------------------------- */

static void test_op__fitting_ops_pass(void **state) {
    (void)state;
    hf_text states[] = {T("final"), T("aborted")};
    hf_context context = {.request_id = T("r"), .turn_index = 3, .extras = T("{\"a\":1}")};
    hf_op add = an_add();
    add.metadata = T("{\"a\":[1,{}]}");
    add.skip_indexing = HF_NO;
    add.sync_to_disk = HF_YES;
    add.created_at_ms = 1;
    add.context = &context;
    assert_fits(&add);
    add.content = T("");
    assert_fits(&add);
    assert_fits(&(hf_op){
        .op = "list", .conversation_id = T("c"), .limit = 1000000, .states = states, .states_count = 2});
    assert_fits(&(hf_op){.op = "createConversation"});
    assert_fits(&(hf_op){.op = "batch", .ops = &add});
}

static void test_op__an_unknown_op_is_named_with_its_neighbour(void **state) {
    (void)state;
    assert_refused(&(hf_op){.op = "ad"}, "unknown op \"ad\"; did you mean \"add\"?");
    assert_refused(&(hf_op){.op = "frobnicate"}, "unknown op \"frobnicate\"");
    assert_refused(&(hf_op){.op = ""}, "unknown op \"\"");
    assert_refused(&(hf_op){0}, "field \"op\" is missing: expected the name of an op");
    assert_refused(NULL, "field \"op\" is missing: expected the name of an op");
}

static void test_op__a_missing_field_says_what_was_expected(void **state) {
    (void)state;
    hf_op add = an_add();
    add.content = (hf_text){0};
    assert_refused(&add, "field \"content\" is missing: expected text of at most 1000 bytes");
    assert_refused(
        &(hf_op){.op = "get"},
        "field \"messageId\" is missing: expected text of 1 to 128 bytes without control characters");
    assert_refused(&(hf_op){.op = "update", .message_id = T("m")},
                   "field \"updates\" is missing: expected an object of at most 200 bytes");
    assert_refused(&(hf_op){.op = "batch"}, "field \"ops\" is missing: expected a list of ops");
}

static void test_op__sizes_are_bounded(void **state) {
    (void)state;
    char big[1001];
    memset(big, 'x', sizeof big);
    hf_op add = an_add();
    add.conversation_id = (hf_text){big, 200};
    assert_refused(&add,
                   "field \"conversationId\": expected text of 1 to 128 bytes without control characters, "
                   "found 200 bytes");
    add.conversation_id = (hf_text){big, 0};
    assert_refused(&add,
                   "field \"conversationId\": expected text of 1 to 128 bytes without control characters, "
                   "found 0 bytes");
    add.conversation_id = (hf_text){big, 128};
    add.role = (hf_text){big, 64};
    add.content = (hf_text){big, 1000};
    assert_fits(&add);
    add.role.size = 65;
    assert_refused(&add, "field \"role\": expected text of 1 to 64 bytes, found 65 bytes");
    add.role.size = 64;
    add.content.size = 1001;
    assert_refused(&add, "field \"content\": expected text of at most 1000 bytes, found 1001 bytes");
    hf_op create = {.op = "createConversation", .title = {big, 201}};
    assert_refused(&create, "field \"title\": expected text of at most 200 bytes, found 201 bytes");
}

static void test_op__text_is_utf8_without_nul(void **state) {
    (void)state;
    hf_op add = an_add();
    add.content = (hf_text){"ab\0c", 4};
    assert_refused(&add, "field \"content\": expected UTF-8 without NUL, found byte 0x00 at offset 2");
    add.content = (hf_text){"a\xff", 2};
    assert_refused(&add, "field \"content\": expected UTF-8 without NUL, found byte 0xff at offset 1");
    add = an_add();
    add.message_id = T("a\nb");
    assert_refused(&add, "field \"messageId\": expected text of 1 to 128 bytes without control characters, "
                         "found a control character");
    add = an_add();
    add.role = T("\xc3");
    assert_refused(&add, "field \"role\": expected UTF-8 without NUL, found byte 0xc3 at offset 0");
}

static void test_op__metadata_is_one_object_within_the_depth(void **state) {
    (void)state;
    hf_op add = an_add();
    hf_error err;
    add.metadata = T("[1]");
    assert_int_equal(hf__op_check(&add, &limits, NULL, &err), HF_INVALID);
    assert_ptr_equal(strstr(err.message, "field \"metadata\": "), err.message);
    add.metadata = T("{\"a\":[[{}]]}");
    assert_fits(&add);
    add.metadata = T("{\"a\":[[[{}]]]}");
    assert_int_equal(hf__op_check(&add, &limits, NULL, &err), HF_INVALID);
    add.metadata = T("{\"a\":1,\"a\":2}");
    assert_int_equal(hf__op_check(&add, &limits, NULL, &err), HF_INVALID);
}

static void test_op__numbers_flags_and_states_are_bounded(void **state) {
    (void)state;
    hf_text states[] = {T("final"), T("done")};
    hf_op list = {.op = "list", .conversation_id = T("c"), .limit = 1000001};
    assert_refused(&list, "field \"limit\": expected an integer from 1 to 1000000, found 1000001");
    list.limit = -1;
    assert_refused(&list, "field \"limit\": expected an integer from 1 to 1000000, found -1");
    list.limit = 0;
    list.states = states;
    list.states_count = 2;
    assert_refused(&list, "item 1 of field \"states\": expected one of the states: final reserved streaming "
                          "aborted interrupted, found \"done\"");
    list.states = NULL;
    assert_refused(&list,
                   "field \"states\": expected a list of states, each one of: final reserved streaming "
                   "aborted interrupted, found a count of 2 and NULL");
    hf_op add = an_add();
    add.created_at_ms = -5;
    assert_refused(&add, "field \"createdAtMs\": expected an integer from 1, in ms since 1970, found -5");
    add = an_add();
    add.skip_indexing = (hf_flag)7;
    assert_refused(&add, "field \"addOptions.skipIndexing\": expected 1, -1, or 0 for the default, found 7");
}

static void test_op__a_member_that_the_op_does_not_have_must_be_zero(void **state) {
    (void)state;
    hf_op get = {.op = "get", .message_id = T("m"), .content = T("")};
    assert_refused(&get, "op \"get\" has no field \"content\"");
    get = (hf_op){.op = "get", .message_id = T("m"), .sync_to_disk = HF_NO};
    assert_refused(&get, "op \"get\" has no field \"syncToDisk\"");
    get = (hf_op){.op = "get", .message_id = T("m"), .ops_count = 1};
    assert_refused(&get, "op \"get\" has no field \"ops\"");
    get = (hf_op){.op = "get", .message_id = T("m"), .limit = 1};
    assert_refused(&get, "op \"get\" has no field \"limit\"");
    get.limit = INT64_MIN; /* of which one byte is set */
    assert_refused(&get, "op \"get\" has no field \"limit\"");
}

static void test_op__what_is_no_member_and_the_size_of_no_text_may_be_anything(void **state) {
    (void)state;
    hf_op get = {.op = "get", .message_id = T("m"), .content = {NULL, 5}};
    size_t hole = offsetof(hf_op, sync_to_disk) + sizeof get.sync_to_disk;
    assert_true(hole < offsetof(hf_op, ops)); /* of the struct as it is */
    memset((char *)&get + hole, 0xFF, offsetof(hf_op, ops) - hole);
    assert_fits(&get);
    get.title = T("x");
    assert_refused(&get, "op \"get\" has no field \"title\"");
}

static void test_op__a_batch_holds_single_writes_up_to_its_bound(void **state) {
    (void)state;
    hf_context context = {0};
    hf_op ops[4] = {an_add(), an_add(), an_add(), an_add()};
    hf_op batch = {.op = "batch", .ops = ops, .ops_count = 3};
    assert_fits(&batch);
    batch.ops_count = 4;
    assert_refused(&batch, "field \"ops\": expected at most 3 ops, found 4");
    batch.ops_count = 2;
    ops[1] = (hf_op){.op = "get", .message_id = T("m")};
    assert_refused(&batch, "ops[1]: expected an op that writes one thing, found \"get\"");
    ops[1] = (hf_op){.op = "batch", .ops = ops};
    assert_refused(&batch, "ops[1]: expected an op that writes one thing, found \"batch\"");
    ops[1] = an_add();
    ops[1].context = &context;
    assert_refused(&batch, "ops[1]: \"ctx\" belongs to the outermost op alone");
    ops[1] = (hf_op){.op = "ad"};
    assert_refused(&batch, "ops[1]: unknown op \"ad\"; did you mean \"add\"?");
}

static void test_op__an_error_bears_the_op_and_message_that_it_is_about(void **state) {
    (void)state;
    hf_error err = {0};
    hf_op ops[2] = {an_add(), an_add()};
    hf_op batch = {.op = "batch", .ops = ops, .ops_count = 2};
    ops[1].role = (hf_text){0};
    ops[1].message_id = T("m2");
    assert_int_equal(hf__op_check(&batch, &limits, NULL, &err), HF_INVALID);
    assert_string_equal(err.message, "ops[1]: field \"role\" is missing: expected text of 1 to 64 bytes");
    assert_string_equal(err.op, "batch");
    assert_string_equal(err.message_id, "m2");

    hf__error_about(&err, &(hf_op){.op = "delete", .message_id = T("m3")});
    assert_string_equal(err.op, "batch");
    assert_string_equal(err.message_id, "m2");

    err = (hf_error){0};
    hf__error_about(&err, &(hf_op){.op = "get", .message_id = T("m3")});
    assert_string_equal(err.op, "get");
    assert_string_equal(err.message_id, "");

    char big[300];
    memset(big, 'x', sizeof big);
    err = (hf_error){0};
    hf__error_about(&err, &(hf_op){.op = "delete", .message_id = {big, sizeof big}});
    assert_string_equal(err.op, "delete");
    assert_string_equal(err.message_id, ""); /* a part of an id is the id of something else */
    hf__error_about(NULL, &batch);
}

static void test_op__the_context_is_checked(void **state) {
    (void)state;
    hf_context context = {.trust = {"\xff", 1}};
    hf_op add = an_add();
    add.context = &context;
    assert_refused(&add, "ctx: field \"trust\": expected UTF-8 without NUL, found byte 0xff at offset 0");
    context = (hf_context){.turn_index = -1};
    assert_refused(&add, "ctx: field \"turnIndex\": expected an integer from 0, found -1");
    hf_error err;
    context = (hf_context){.extras = T("1")};
    assert_int_equal(hf__op_check(&add, &limits, NULL, &err), HF_INVALID);
    assert_ptr_equal(strstr(err.message, "ctx: field \"extras\": "), err.message);
}

/* ---- Checks of answers ------------------------------------------------------------------------- */

static hf_message a_message(void) {
    return (hf_message){.id = T("m1"),
                        .conversation_id = T("c1"),
                        .role = T("user"),
                        .content = T("hello"),
                        .created_at = 5,
                        .state = HF_STATE_FINAL};
}

static void assert_bad(const char *op, const hf_result *result, const char *message) {
    hf_error err = {0};
    assert_int_equal(hf__result_check(hf__op_find(op, strlen(op)), result, &err), HF_BAD_RESULT);
    assert_string_equal(err.message, message);
    assert_string_equal(err.name, "badResult");
}

static void assert_good(const char *op, const hf_result *result) {
    hf_error err = {0};
    if (hf__result_check(hf__op_find(op, strlen(op)), result, &err) != HF_OK) fail_msg("%s", err.message);
}

static void test_op__fitting_answers_pass(void **state) {
    (void)state;
    hf_message messages[] = {a_message(), a_message()};
    hf_conversation conversation = {.id = T("c1"), .created_at = 1, .updated_at = 2};
    hf_result inner[] = {{.op = "add", .message = messages, .deduplicated = 1}, {.op = "update"}};
    assert_good("add", &inner[0]);
    assert_good("get", &(hf_result){.op = "get"});
    assert_good("list", &(hf_result){.op = "list", .messages = messages, .messages_count = 2, .has_more = 1});
    assert_good("list", &(hf_result){.op = "list"});
    assert_good("updateConversation",
                &(hf_result){.op = "updateConversation", .conversation = &conversation});
    assert_good("batch", &(hf_result){.op = "batch", .results = inner, .results_count = 2});
}

static void test_op__an_answer_to_another_op_is_bad(void **state) {
    (void)state;
    assert_bad("add", &(hf_result){.op = "get"}, "field \"op\": expected \"add\", found get");
    assert_bad("add", &(hf_result){.op = "x"}, "field \"op\": expected \"add\", found no op's name");
    assert_bad("add", &(hf_result){0}, "field \"op\": expected \"add\", found none");
}

static void test_op__rows_of_an_answer_are_checked(void **state) {
    (void)state;
    hf_message messages[] = {a_message(), a_message()};
    hf_result add = {.op = "add", .message = messages};
    hf_result list = {.op = "list", .messages = messages, .messages_count = 2};
    assert_bad("add", &(hf_result){.op = "add"}, "field \"message\" is missing: expected a message");
    messages[0].created_at = 0;
    assert_bad("add", &add,
               "message: field \"createdAt\" is missing: expected an integer from 1, in ms since 1970");
    messages[0] = a_message();
    messages[1].state = (hf_state)77;
    assert_bad("list", &list,
               "messages[1]: field \"state\": expected one of the states: final reserved "
               "streaming aborted interrupted, found the number 77");
    messages[1] = a_message();
    messages[1].content = (hf_text){"\xff", 1};
    assert_bad("list", &list,
               "messages[1]: field \"content\": expected UTF-8 without NUL, found byte 0xff at offset 0");
    list.messages = NULL;
    assert_bad("list", &list, "field \"messages\": expected a list of messages, found a count of 2 and NULL");
    hf_text ids[] = {T("a"), T("")};
    hf_result gone = {.op = "deleteConversation", .segment_ids = ids, .segment_ids_count = 2};
    assert_bad("deleteConversation", &gone,
               "item 1 of field \"segmentIds\": expected text of 1 to 128 bytes without control characters, "
               "found 0 bytes");
    gone = (hf_result){.op = "deleteConversation", .deleted_messages = -1};
    assert_bad("deleteConversation", &gone,
               "field \"deletedMessages\": expected an integer from 0, found -1");
}

static void test_op__an_answer_is_checked_for_its_form_and_not_for_its_size(void **state) {
    (void)state;
    char content[2000], metadata[600];
    memset(content, 'x', sizeof content);
    memset(metadata, ' ', sizeof metadata);
    memcpy(metadata, "{\"a\":[[[[[[[[]]]]]]]]}", 22);
    hf_message message = a_message();
    message.content = (hf_text){content, sizeof content};
    message.metadata = (hf_text){metadata, sizeof metadata};
    assert_good("add", &(hf_result){.op = "add", .message = &message});
    message.content = (hf_text){0};
    assert_bad("add", &(hf_result){.op = "add", .message = &message},
               "message: field \"content\" is missing: expected text");
}

static void test_op__a_member_that_the_answer_does_not_have_must_be_zero(void **state) {
    (void)state;
    hf_message message = a_message();
    assert_bad("add", &(hf_result){.op = "add", .message = &message, .has_more = 1},
               "result of \"add\" has no field \"hasMore\"");
    assert_bad("update", &(hf_result){.op = "update", .message = &message},
               "result of \"update\" has no field \"message\"");
}

static void test_op__inner_answers_of_a_batch_fit_their_own_ops(void **state) {
    (void)state;
    hf_result inner[] = {{.op = "update"}, {.op = "update", .deleted = 1}};
    hf_result batch = {.op = "batch", .results = inner, .results_count = 2};
    assert_bad("batch", &batch, "results[1]: result of \"update\" has no field \"deleted\"");
    inner[1] = (hf_result){.op = "get"};
    assert_bad("batch", &batch,
               "results[1]: field \"op\": expected the name of an op that writes one thing, found get");
    inner[1] = (hf_result){0};
    assert_bad("batch", &batch,
               "results[1]: field \"op\": expected the name of an op that writes one thing, found none");
}

/* ---- JSON in ----------------------------------------------------------------------------------- */

static void assert_unreadable(const char *json, const char *message, const char *op, const char *id) {
    hf__arena arena = {0};
    hf_error err = {0};
    hf_op out;
    assert_int_equal(hf__op_from_json(&arena, T(json), &limits, &out, &err), HF_INVALID);
    if (message != NULL) assert_string_equal(err.message, message);
    assert_string_equal(err.op, op);
    assert_string_equal(err.message_id, id);
    hf__arena_free(&arena);
}

static void assert_text(hf_text text, const char *expected) {
    assert_non_null(text.data);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
}

static void test_op__json_becomes_an_op(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf_error err;
    hf_op op;
    const char *json =
        "{\"op\":\"add\",\"conversationId\":\"c\\u0031\",\"role\":\"user\",\"content\":\"a\\n\","
        "\"metadata\":{\"f\": 1.10},\"clientMessageId\":null,\"createdAtMs\":7,"
        "\"addOptions\":{\"skipIndexing\":true},\"syncToDisk\":false,"
        "\"ctx\":{\"requestId\":\"r\",\"turnIndex\":2,\"trust\":null,\"a\\\"b\":{\"f\":1.10},"
        "\"n\":9007199254740993}}";
    if (hf__op_from_json(&arena, T(json), &limits, &op, &err) != HF_OK) fail_msg("%s", err.message);
    assert_string_equal(op.op, "add");
    assert_text(op.conversation_id, "c1");
    assert_text(op.content, "a\n");
    assert_text(op.metadata, "{\"f\": 1.10}");
    assert_null(op.client_message_id.data);
    assert_int_equal(op.created_at_ms, 7);
    assert_int_equal(op.skip_indexing, HF_YES);
    assert_int_equal(op.sync_to_disk, HF_NO);
    assert_text(op.context->request_id, "r");
    assert_int_equal(op.context->turn_index, 2);
    assert_null(op.context->trust.data);
    assert_text(op.context->extras, "{\"a\\\"b\":{\"f\":1.10},\"n\":9007199254740993}");
    assert_fits(&op);
    hf__arena_free(&arena);
}

static void test_op__json_lists_become_arrays(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf_error err;
    hf_op op;
    const char *json = "{\"ops\":[{\"op\":\"delete\",\"messageId\":\"m1\",\"ctx\":null},"
                       "{\"messageId\":\"m2\",\"op\":\"update\",\"updates\":{}}],\"op\":\"batch\"}";
    if (hf__op_from_json(&arena, T(json), &limits, &op, &err) != HF_OK) fail_msg("%s", err.message);
    assert_int_equal(op.ops_count, 2);
    assert_string_equal(op.ops[1].op, "update");
    assert_text(op.ops[1].updates, "{}");
    assert_fits(&op);

    assert_int_equal(hf__op_from_json(&arena, T("{\"op\":\"batch\",\"ops\":[]}"), &limits, &op, &err), HF_OK);
    assert_int_equal(op.ops_count, 0);
    assert_fits(&op); /* an empty list is there */

    json = "{\"op\":\"list\",\"conversationId\":\"c\",\"states\":[\"final\",\"reserved\"],\"limit\":3}";
    assert_int_equal(hf__op_from_json(&arena, T(json), &limits, &op, &err), HF_OK);
    assert_int_equal(op.states_count, 2);
    assert_text(op.states[1], "reserved");
    assert_int_equal(op.limit, 3);
    assert_fits(&op);
    hf__arena_free(&arena);
}

static void test_op__null_for_a_required_field_is_its_absence(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf_error err;
    hf_op op;
    const char *json = "{\"op\":\"get\",\"messageId\":null}";
    assert_int_equal(hf__op_from_json(&arena, T(json), &limits, &op, &err), HF_OK);
    assert_refused(&op, "field \"messageId\" is missing: expected text of 1 to 128 bytes without control "
                        "characters");
    hf__arena_free(&arena);
}

static void test_op__json_of_a_wrong_shape_says_what_was_found(void **state) {
    (void)state;
    assert_unreadable("[]", "expected an op, an object, found a list", "", "");
    assert_unreadable("{}", "field \"op\" is missing: expected the name of an op", "", "");
    assert_unreadable("{\"op\":null}", "field \"op\" is missing: expected the name of an op", "", "");
    assert_unreadable("{\"op\":1}", "field \"op\": expected the name of an op, found a number", "", "");
    assert_unreadable("{\"op\":\"ad\"}", "unknown op \"ad\"; did you mean \"add\"?", "ad", "");
    assert_unreadable("{\"op\":\"add\",\"contnt\":\"x\",\"messageId\":\"m9\"}",
                      "op \"add\" has no field \"contnt\"; did you mean \"content\"?", "add", "m9");
    assert_unreadable("{\"op\":\"add\",\"content\":5,\"role\":6}",
                      "field \"content\": expected text, found 5", "add", "");
    assert_unreadable("{\"op\":\"add\",\"metadata\":[]}",
                      "field \"metadata\": expected an object, found a list", "add", "");
    assert_unreadable("{\"op\":\"add\",\"syncToDisk\":1}",
                      "field \"syncToDisk\": expected a boolean, found 1", "add", "");
    assert_unreadable("{\"op\":\"list\",\"limit\":0}",
                      "field \"limit\": expected an integer from 1 to 1000000, found 0", "list", "");
    assert_unreadable("{\"op\":\"list\",\"limit\":2.0}",
                      "field \"limit\": expected an integer from 1 to 1000000, found 2.0", "list", "");
    assert_unreadable("{\"op\":\"list\",\"states\":[\"final\",{}]}",
                      "item 1 of field \"states\": expected a list of states, each one of: final reserved "
                      "streaming aborted interrupted, found an object",
                      "list", "");
    assert_unreadable("{\"op\":\"list\",\"states\":\"final\"}", NULL, "list", "");
    assert_unreadable("{\"op\":\"add\",\"addOptions\":true}",
                      "field \"addOptions\": expected an object, found a boolean", "add", "");
    assert_unreadable("{\"op\":\"add\",\"addOptions\":{\"skipIndexng\":true}}",
                      "op \"add\" has no field \"addOptions.skipIndexng\"; did you mean \"skipIndexing\"?",
                      "add", "");
    assert_unreadable("{\"op\":\"add\",\"addOptions\":{\"skipIndexing\":\"y\"}}",
                      "field \"addOptions.skipIndexing\": expected a boolean, found text", "add", "");
    assert_unreadable("{\"op\":\"get\",\"ctx\":[]}", "field \"ctx\": expected an object, found a list", "get",
                      "");
    assert_unreadable("{\"op\":\"get\",\"ctx\":{\"turnIndex\":\"1\"}}",
                      "ctx: field \"turnIndex\": expected an integer from 0, found text", "get", "");
    assert_unreadable("{\"op\":\"get\",\"ctx\":{\"requestId\":0}}",
                      "ctx: field \"requestId\": expected text, found 0", "get", "");
    assert_unreadable("{\"op\":", NULL, "", "");
}

static void test_op__json_of_a_batch_names_the_place_and_the_message(void **state) {
    (void)state;
    assert_unreadable("{\"op\":\"batch\",\"ops\":[{\"op\":\"delete\",\"messageId\":\"m\"},"
                      "{\"op\":\"update\",\"update\":{},\"messageId\":\"m2\"}]}",
                      "ops[1]: op \"update\" has no field \"update\"; did you mean \"updates\"?", "batch",
                      "m2");
    assert_unreadable("{\"op\":\"batch\",\"ops\":[{\"op\":\"delete\",\"ctx\":{}}]}",
                      "ops[0]: \"ctx\" belongs to the outermost op alone", "batch", "");
    assert_unreadable("{\"op\":\"batch\",\"ops\":[1]}", "ops[0]: expected an op, an object, found a number",
                      "batch", "");
    assert_unreadable("{\"op\":\"batch\",\"ops\":[{},{},{},{}]}",
                      "field \"ops\": expected at most 3 ops, found 4", "batch", "");
}

static void test_op__json_beyond_its_bounds_is_refused(void **state) {
    (void)state;
    char big[4001];
    memset(big, ' ', sizeof big);
    hf__arena arena = {0};
    hf_error err;
    hf_op op;
    assert_int_equal(hf__op_from_json(&arena, (hf_text){big, sizeof big}, &limits, &op, &err), HF_INVALID);
    assert_string_equal(err.message, "expected an op of at most 4000 bytes of JSON, found 4001");
    assert_null(op.op);
    hf__arena_free(&arena);
    /* metadata as deep as it may be fits also inside a batch */
    const char *json = "{\"op\":\"batch\",\"ops\":[{\"op\":\"update\",\"messageId\":\"m\","
                       "\"updates\":{\"a\":[[[]]]}}]}";
    assert_int_equal(hf__op_from_json(&arena, T(json), &limits, &op, &err), HF_OK);
    assert_fits(&op);
    hf__arena_free(&arena);
}

/* ---- JSON out ---------------------------------------------------------------------------------- */

static void assert_json(hf__buf *buf, const char *expected) {
    assert_int_equal(buf->state, HF__BUF_OK);
    assert_string_equal(buf->data, expected);
    hf__buf_free(buf);
}

static void test_op__an_op_becomes_json_and_comes_back(void **state) {
    (void)state;
    static const char *const lines[] = {
        "{\"op\":\"createConversation\"}",
        "{\"op\":\"add\",\"conversationId\":\"c\",\"role\":\"user\",\"content\":\"a\\\"\\n\",\"metadata\":{ "
        "\"f\" "
        ":1.10},\"addOptions\":{\"skipIndexing\":false},\"syncToDisk\":true,\"createdAtMs\":12}",
        "{\"op\":\"list\",\"conversationId\":\"c\",\"limit\":5,\"states\":[\"final\"]}",
        "{\"op\":\"batch\",\"ops\":[{\"op\":\"delete\",\"messageId\":\"m\"},{\"op\":\"updateContent\","
        "\"messageId\":"
        "\"m\",\"content\":\"\",\"index\":false}]}",
        "{\"op\":\"batch\",\"ops\":[]}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        hf__arena arena = {0};
        hf__buf buf;
        hf_error err;
        hf_op op;
        hf__buf_init(&buf, 0);
        if (hf__op_from_json(&arena, T(lines[i]), &limits, &op, &err) != HF_OK) fail_msg("%s", err.message);
        hf__op_to_json(&buf, &op);
        assert_json(&buf, lines[i]);
        hf__arena_free(&arena);
    }
}

static void test_op__an_answer_becomes_one_line_of_json(void **state) {
    (void)state;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    hf_message message = a_message();
    message.metadata = T("{\n \"a\": \"\\n\",\r\n\"b\":1}");
    hf__result_to_json(&buf, &(hf_result){.op = "add", .message = &message, .deduplicated = 1});
    assert_json(&buf,
                "{\"op\":\"add\",\"message\":{\"id\":\"m1\",\"conversationId\":\"c1\",\"role\":\"user\","
                "\"content\":\"hello\",\"createdAt\":5,\"state\":\"final\",\"metadata\":{  \"a\": \"\\n\",  "
                "\"b\":1}},\"deduplicated\":true}");
    hf__result_to_json(&buf, &(hf_result){.op = "get"});
    assert_json(&buf, "{\"op\":\"get\"}");
    hf__result_to_json(&buf, &(hf_result){.op = "list"});
    assert_json(&buf, "{\"op\":\"list\",\"messages\":[],\"hasMore\":false}");
    hf_text ids[] = {T("s1"), T("s2")};
    hf__result_to_json(
        &buf, &(hf_result){.op = "delete", .deleted = 1, .segment_ids = ids, .segment_ids_count = 2});
    assert_json(
        &buf, "{\"op\":\"delete\",\"deleted\":true,\"segmentIds\":[\"s1\",\"s2\"],\"deletedSummaryIds\":[]}");
    hf_conversation rows[] = {{.id = T("c"), .created_at = 1, .updated_at = 2},
                              {.id = T("d"), .title = T("t"), .created_at = 3, .updated_at = 4}};
    hf__result_to_json(
        &buf, &(hf_result){
                  .op = "listConversations", .conversations = rows, .conversations_count = 2, .has_more = 1});
    assert_json(&buf, "{\"op\":\"listConversations\",\"conversations\":[{\"id\":\"c\",\"createdAt\":1,"
                      "\"updatedAt\":2},{\"id\":\"d\",\"title\":\"t\",\"createdAt\":3,\"updatedAt\":4}],"
                      "\"hasMore\":true}");
    hf_result inner[] = {{.op = "update"}, {.op = "deleteConversation", .deleted_messages = 4}};
    hf__result_to_json(&buf, &(hf_result){.op = "batch", .results = inner, .results_count = 2});
    assert_json(&buf, "{\"op\":\"batch\",\"results\":[{\"op\":\"update\"},{\"op\":\"deleteConversation\","
                      "\"deletedMessages\":4,\"segmentIds\":[]}]}");
}

static void test_op__an_error_becomes_json_without_its_empty_parts(void **state) {
    (void)state;
    hf__buf buf;
    hf_error err;
    hf__buf_init(&buf, 0);
    hf__fail(&err, HF_NOT_FOUND, "no \"x\"");
    hf__error_to_json(&buf, &err);
    assert_json(&buf, "{\"code\":\"notFound\",\"message\":\"no \\\"x\\\"\"}");
    hf__fail(&err, HF_LAYER, "m");
    err.sqlite_code = 5;
    strcpy(err.name, "mine");
    strcpy(err.layer, "l");
    strcpy(err.op, "add");
    strcpy(err.message_id, "m1");
    strcpy(err.traceback, "a\nb");
    hf__error_to_json(&buf, &err);
    assert_json(&buf,
                "{\"code\":\"mine\",\"message\":\"m\",\"layer\":\"l\",\"op\":\"add\",\"messageId\":\"m1\","
                "\"sqliteCode\":5,\"traceback\":\"a\\nb\"}");
}

/* ---- Memory of results ------------------------------------------------------------------------- */

static void test_op__a_result_keeps_what_was_put_into_it_until_it_is_freed(void **state) {
    (void)state;
    hf_result result = {.op = "batch"};
    char text[] = "text";
    hf_text copy = hf_result_text(&result, (hf_text){text, 3});
    memset(text, 'x', 4);
    assert_string_equal(copy.data, "tex");
    assert_int_equal(copy.size, 3);
    assert_null(hf_result_text(&result, (hf_text){0}).data);
    result.results = hf_result_alloc(&result, 2 * sizeof *result.results);
    result.results_count = 2;
    assert_null(result.results[1].op);
    assert_non_null(hf_result_alloc(&result.results[1], 5000));
    assert_null(hf_result_alloc(&result, SIZE_MAX));
    assert_string_equal(copy.data, "tex");
    hf_result_free(&result);
    hf_result empty = {0};
    assert_memory_equal(&result, &empty, sizeof empty);
    hf_result_free(&result);
    hf_result_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_op__every_op_of_the_list_is_found_by_its_name),
        cmocka_unit_test(test_op__near_names_are_found_and_far_ones_are_not),
        cmocka_unit_test(test_op__a_field_is_found_in_its_group_alone),
        cmocka_unit_test(test_op__states_have_their_names),
        cmocka_unit_test(test_op__fitting_ops_pass),
        cmocka_unit_test(test_op__an_unknown_op_is_named_with_its_neighbour),
        cmocka_unit_test(test_op__a_missing_field_says_what_was_expected),
        cmocka_unit_test(test_op__sizes_are_bounded),
        cmocka_unit_test(test_op__text_is_utf8_without_nul),
        cmocka_unit_test(test_op__metadata_is_one_object_within_the_depth),
        cmocka_unit_test(test_op__numbers_flags_and_states_are_bounded),
        cmocka_unit_test(test_op__a_member_that_the_op_does_not_have_must_be_zero),
        cmocka_unit_test(test_op__what_is_no_member_and_the_size_of_no_text_may_be_anything),
        cmocka_unit_test(test_op__a_batch_holds_single_writes_up_to_its_bound),
        cmocka_unit_test(test_op__an_error_bears_the_op_and_message_that_it_is_about),
        cmocka_unit_test(test_op__the_context_is_checked),
        cmocka_unit_test(test_op__fitting_answers_pass),
        cmocka_unit_test(test_op__an_answer_to_another_op_is_bad),
        cmocka_unit_test(test_op__rows_of_an_answer_are_checked),
        cmocka_unit_test(test_op__an_answer_is_checked_for_its_form_and_not_for_its_size),
        cmocka_unit_test(test_op__a_member_that_the_answer_does_not_have_must_be_zero),
        cmocka_unit_test(test_op__inner_answers_of_a_batch_fit_their_own_ops),
        cmocka_unit_test(test_op__json_becomes_an_op),
        cmocka_unit_test(test_op__json_lists_become_arrays),
        cmocka_unit_test(test_op__null_for_a_required_field_is_its_absence),
        cmocka_unit_test(test_op__json_of_a_wrong_shape_says_what_was_found),
        cmocka_unit_test(test_op__json_of_a_batch_names_the_place_and_the_message),
        cmocka_unit_test(test_op__json_beyond_its_bounds_is_refused),
        cmocka_unit_test(test_op__an_op_becomes_json_and_comes_back),
        cmocka_unit_test(test_op__an_answer_becomes_one_line_of_json),
        cmocka_unit_test(test_op__an_error_becomes_json_without_its_empty_parts),
        cmocka_unit_test(test_op__a_result_keeps_what_was_put_into_it_until_it_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
