/* The ops of the default terminal: what each answers, stores, and refuses. */
#define _POSIX_C_SOURCE 200809L

#include "support/terminal.h"

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static void add(fixture *f, const char *conversation, const char *id) {
    done(f, .op = "add", .conversation_id = T(conversation), .role = T("user"), .content = T(id),
         .message_id = T(id));
}

static const hf_message *message(fixture *f, const char *id) {
    const hf_result *result = done(f, .op = "get", .message_id = T(id));
    assert_non_null(result->message);
    return result->message;
}

static const hf_conversation *conversation(fixture *f, const char *id) {
    const hf_result *result = done(f, .op = "getConversation", .conversation_id = T(id));
    assert_non_null(result->conversation);
    return result->conversation;
}

/* ---- createConversation, updateConversation, deleteConversation -------------------------------- */

static void a_conversation_comes_back_as_it_was_given(void **state) {
    fixture *f = *state;
    const hf_op op = {.op = "createConversation",
                      .conversation_id = T("c2"),
                      .title = T("Tëa"),
                      .origin_channel = T("web"),
                      .metadata = T("{ \"f\": 1.10,\"n\":9007199254740993 }")};
    for (int i = 0; i < 2; i++) { /* the answer of the op, and the stored row */
        const hf_conversation *row = i == 0 ? done_op(f, &op)->conversation : conversation(f, "c2");
        assert_text(row->id, "c2");
        assert_text(row->title, "Tëa");
        assert_text(row->origin_channel, "web");
        assert_text(row->metadata, "{ \"f\": 1.10,\"n\":9007199254740993 }");
        assert_int_equal(row->created_at, 1000000);
        assert_int_equal(row->updated_at, 1000000);
        assert_int_equal(row->last_message_at, 0);
    }
}

static void what_a_conversation_lacks_stays_absent(void **state) {
    const hf_conversation *row = conversation(*state, "c1");
    assert_null(row->title.data);
    assert_null(row->origin_channel.data);
    assert_null(row->metadata.data);
}

static void creating_a_conversation_again_returns_the_stored_one(void **state) {
    fixture *f = *state;
    f->clock += 500;
    done(f, .op = "createConversation", .conversation_id = T("c1"), .title = T("another"));
    assert_null(f->result.conversation->title.data);
    assert_int_equal(f->result.conversation->created_at, 1000000);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations"), 1);
}

static void update_of_a_conversation_changes_what_it_names(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"), .title = T("old"),
         .origin_channel = T("web"), .metadata = T("{\"a\":1.50,\"b\":2}"));
    f->clock += 10;
    done(f, .op = "updateConversation", .conversation_id = T("c2"), .title = T("new"));
    assert_text(f->result.conversation->title, "new");
    assert_text(f->result.conversation->origin_channel, "web");
    assert_text(f->result.conversation->metadata, "{\"a\":1.50,\"b\":2}");
    done(f, .op = "updateConversation", .conversation_id = T("c2"), .origin_channel = T("sms"),
         .updates = T("{\"b\":null,\"c\":[]}"));
    const hf_conversation *row = conversation(f, "c2");
    assert_text(row->title, "new");
    assert_text(row->origin_channel, "sms");
    assert_text(row->metadata, "{\"a\":1.50,\"b\":null,\"c\":[]}");
    assert_int_equal(row->created_at, 1000000);
    assert_true(row->updated_at > 1000010);
}

static void updated_at_rises_when_the_clock_falls(void **state) {
    fixture *f = *state;
    int64_t before = conversation(f, "c1")->updated_at;
    f->clock = 5;
    assert_true(done(f, .op = "updateConversation", .conversation_id = T("c1"))->conversation->updated_at >
                before);
}

static void deleting_a_conversation_takes_its_messages_and_no_others(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    add(f, "c1", "m1");
    add(f, "c2", "m2");
    add(f, "c1", "m3");
    done(f, .op = "deleteConversation", .conversation_id = T("c1"));
    assert_int_equal(f->result.deleted_messages, 2);
    assert_int_equal(f->result.segment_ids_count, 2);
    assert_text(f->result.segment_ids[1], "m3");
    assert_null(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation);
    assert_null(done(f, .op = "get", .message_id = T("m3"))->message);
    assert_text(message(f, "m2")->content, "m2");
}

static void an_unknown_conversation_is_not_found(void **state) {
    fixture *f = *state;
    assert_int_equal(failed(f, .op = "add", .conversation_id = T("no"), .role = T("user"), .content = T("x"),
                            .message_id = T("m1")),
                     HF_NOT_FOUND);
    assert_non_null(strstr(f->err.message, "\"no\""));
    assert_int_equal(
        failed(f, .op = "reserve", .conversation_id = T("no"), .role = T("user"), .message_id = T("m1")),
        HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "updateConversation", .conversation_id = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "deleteConversation", .conversation_id = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "list", .conversation_id = T("no")), HF_NOT_FOUND);
    assert_null(done(f, .op = "getConversation", .conversation_id = T("no"))->conversation);
}

/* ---- add, reserve ------------------------------------------------------------------------------ */

static void a_message_comes_back_as_it_was_given(void **state) {
    fixture *f = *state;
    const hf_op op = {.op = "add",
                      .conversation_id = T("c1"),
                      .role = T("assistant"),
                      .content = T("[{\"type\":\"text\",\"text\":\"häh?\"}]"),
                      .message_id = T("m1"),
                      .metadata = T("{\"e\": {}, \"l\": [], \"z\": null, \"f\": 1.10}"),
                      .client_message_id = T("k1"),
                      .skip_indexing = HF_YES,
                      .sync_to_disk = HF_YES,
                      .created_at_ms = 77};
    for (int i = 0; i < 2; i++) {
        const hf_message *row = i == 0 ? done_op(f, &op)->message : message(f, "m1");
        assert_text(row->id, "m1");
        assert_text(row->conversation_id, "c1");
        assert_text(row->role, "assistant");
        assert_text(row->content, "[{\"type\":\"text\",\"text\":\"häh?\"}]");
        assert_text(row->metadata, "{\"e\": {}, \"l\": [], \"z\": null, \"f\": 1.10}");
        assert_text(row->client_message_id, "k1");
        assert_int_equal(row->state, HF_STATE_FINAL);
        assert_int_equal(row->created_at, 1000001); /* the conversation was made at 1000000 */
        assert_false(f->result.deduplicated);
    }
}

static void empty_content_is_not_absent_content(void **state) {
    fixture *f = *state;
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T(""),
         .message_id = T("m1"));
    assert_text(message(f, "m1")->content, "");
    assert_null(message(f, "m1")->metadata.data);
    assert_null(message(f, "m1")->client_message_id.data);
}

static void long_content_comes_back_whole(void **state) {
    fixture *f = *state;
    size_t size = 300000;
    char *content = malloc(size);
    for (size_t i = 0; i < size; i++)
        content[i] = (char)('a' + i % 26);
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = {content, size},
         .message_id = T("m1"));
    const hf_message *row = message(f, "m1");
    assert_int_equal(row->content.size, size);
    assert_memory_equal(row->content.data, content, size);
    free(content);
}

static void a_reserved_message_reads_as_an_empty_list(void **state) {
    fixture *f = *state;
    const hf_op op = {.op = "reserve",
                      .conversation_id = T("c1"),
                      .role = T("assistant"),
                      .message_id = T("m1"),
                      .metadata = T("{\"model\":\"x\"}")};
    for (int i = 0; i < 2; i++) {
        const hf_message *row = i == 0 ? done_op(f, &op)->message : message(f, "m1");
        assert_text(row->content, "[]");
        assert_int_equal(row->state, HF_STATE_RESERVED);
        assert_text(row->metadata, "{\"model\":\"x\"}");
    }
}

static void adding_an_id_again_returns_the_stored_row_and_writes_nothing(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    int64_t updated = conversation(f, "c1")->updated_at;
    int64_t pages = fixture_ask(f, "SELECT total_changes()");
    const hf_result *again = done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"),
                                  .content = T("other"), .message_id = T("m1"));
    assert_int_equal(again->deduplicated, 1);
    assert_text(again->message->content, "m1");
    again = done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m1"));
    assert_int_equal(again->deduplicated, 1);
    assert_int_equal(again->message->state, HF_STATE_FINAL);
    assert_int_equal(conversation(f, "c1")->updated_at, updated);
    assert_int_equal(fixture_ask(f, "SELECT total_changes()"), pages);
}

static void an_id_of_another_message_is_a_conflict(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    add(f, "c1", "m1");
    assert_int_equal(failed(f, .op = "add", .conversation_id = T("c2"), .role = T("user"), .content = T("x"),
                            .message_id = T("m1")),
                     HF_CONFLICT);
    assert_int_equal(failed(f, .op = "add", .conversation_id = T("c1"), .role = T("users"), .content = T("x"),
                            .message_id = T("m1")),
                     HF_CONFLICT);
    assert_int_equal(
        failed(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m1")),
        HF_CONFLICT);
    assert_non_null(strstr(f->err.message, "\"user\""));
    assert_text(message(f, "m1")->content, "m1");
}

static void a_client_id_is_stored_once_in_a_conversation(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    const hf_op op = {.op = "add",
                      .conversation_id = T("c1"),
                      .role = T("user"),
                      .content = T("first"),
                      .message_id = T("m1"),
                      .client_message_id = T("k")};
    done_op(f, &op);
    hf_op again = op, elsewhere = op, other = op;
    again.message_id = T("m2");
    again.content = T("second");
    assert_int_equal(done_op(f, &again)->deduplicated, 1);
    assert_text(f->result.message->id, "m1");
    assert_text(f->result.message->content, "first");

    elsewhere.conversation_id = T("c2");
    assert_int_equal(failed_op(f, &elsewhere), HF_CONFLICT); /* its message id is taken */
    elsewhere.message_id = T("m3");
    assert_int_equal(done_op(f, &elsewhere)->deduplicated, 0);

    other.client_message_id = T("k2");
    assert_int_equal(done_op(f, &other)->deduplicated, 1); /* found by its message id */
    assert_text(f->result.message->client_message_id, "k");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 2);
}

static void the_first_channel_of_a_message_becomes_the_conversations(void **state) {
    fixture *f = *state;
    static const char *const without[] = {"{\"userMessageChannel\":7}",
                                          "{\"x\":{\"userMessageChannel\":\"in\"}}", "{}"};
    hf_op op = {.op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x")};
    char id[] = "m0";
    for (size_t i = 0; i < 3; i++) {
        id[1]++;
        op.message_id = T(id);
        op.metadata = T(without[i]);
        done_op(f, &op);
        assert_null(conversation(f, "c1")->origin_channel.data);
    }
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m8"),
         .metadata = T("{\"a\":1,\"userMessageCh\\u0061nnel\":\"sms\"}"));
    assert_text(conversation(f, "c1")->origin_channel, "sms");
    op.message_id = T("m9");
    op.metadata = T("{\"userMessageChannel\":\"web\"}");
    done_op(f, &op);
    assert_text(conversation(f, "c1")->origin_channel, "sms");
}

static void a_message_moves_its_conversation_alone(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    f->clock = 2000000;
    add(f, "c1", "m1");
    assert_int_equal(conversation(f, "c1")->updated_at, 2000000);
    assert_int_equal(conversation(f, "c1")->last_message_at, 2000000);
    assert_int_equal(conversation(f, "c1")->created_at, 1000000);
    assert_int_equal(conversation(f, "c2")->updated_at, 1000000);
    assert_int_equal(conversation(f, "c2")->last_message_at, 0);
}

/* ---- Time -------------------------------------------------------------------------------------- */

static void created_at_rises_within_a_conversation_when_the_clock_stands_or_falls(void **state) {
    fixture *f = *state;
    static const int64_t clocks[] = {1000000, 1000000, 999000, 1, -5, 1000000, 3000000, 2000000};
    int64_t last = 0;
    char id[] = "m0";
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++, id[1]++) {
        f->clock = clocks[i];
        add(f, "c1", id);
        int64_t created = message(f, id)->created_at;
        assert_true(created > last);
        last = created;
    }
}

static void created_at_never_falls_between_conversations_and_handles(void **state) {
    fixture *f = *state;
    f->clock = 9000000;
    add(f, "c1", "m1");
    fixture_close(f); /* a handle that remembers nothing */
    f->clock = 10;
    fixture_open(f);
    assert_int_equal(
        done(f, .op = "createConversation", .conversation_id = T("c2"))->conversation->created_at, 9000000);
    add(f, "c2", "m2");
    assert_true(message(f, "m2")->created_at >= 9000000);
    fixture_close(f);
    fixture_open(f);
    done(f, .op = "delete", .message_id = T("m1"));
    add(f, "c1", "m3");
    assert_true(message(f, "m3")->created_at > 9000000);
}

static void a_clock_before_1970_gives_times_that_are_valid(void **state) {
    fixture *f = *state;
    fixture_end(f);
    fixture_start(f);
    f->clock = -1000;
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    add(f, "c1", "m1");
    assert_int_equal(message(f, "m1")->created_at, 2);
}

/* ---- updateContent, update, delete, get -------------------------------------------------------- */

static void new_content_makes_a_message_final_from_any_state(void **state) {
    fixture *f = *state;
    static const char *const states[] = {"final", "reserved", "streaming", "aborted", "interrupted"};
    add(f, "c1", "m1");
    add(f, "c1", "m2");
    for (size_t i = 0; i < 5; i++) {
        char sql[96];
        snprintf(sql, sizeof sql, "UPDATE messages SET state = '%s' WHERE id = 'm1'", states[i]);
        fixture_sql(f, sql);
        done(f, .op = "updateContent", .message_id = T("m1"), .content = T(states[i]), .index = HF_NO);
        assert_text(message(f, "m1")->content, states[i]);
        assert_int_equal(message(f, "m1")->state, HF_STATE_FINAL);
    }
    assert_text(message(f, "m2")->content, "m2");
}

static void a_finalised_anchor_equals_a_direct_write(void **state) {
    fixture *f = *state;
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m1"),
         .metadata = T("{\"a\":1}"));
    int64_t created = f->result.message->created_at;
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("text"));
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m2"),
         .content = T("text"), .metadata = T("{\"a\":1}"));
    assert_int_equal(message(f, "m1")->created_at, created);
    assert_int_equal(
        fixture_ask(f, "SELECT count(DISTINCT role || content || state || metadata) FROM messages"), 1);
}

static void update_merges_metadata_and_keeps_the_bytes_of_the_rest(void **state) {
    fixture *f = *state;
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x"),
         .message_id = T("m1"), .metadata = T("{ \"n\":9007199254740993, \"f\": 1.10, \"old\": [1] }"));
    done(f, .op = "update", .message_id = T("m1"), .updates = T("{\"old\":null,\"new\":{}}"));
    const char *metadata = message(f, "m1")->metadata.data;
    assert_non_null(strstr(metadata, "\"n\":9007199254740993, \"f\": 1.10, \"old\": null"));
    assert_non_null(strstr(metadata, "\"new\":{}"));
    assert_text(message(f, "m1")->content, "x");
}

static void update_of_a_message_without_metadata_starts_from_an_empty_object(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    done(f, .op = "update", .message_id = T("m1"), .updates = T("{\"a\":1}"));
    assert_text(message(f, "m1")->metadata, "{\"a\":1}");
}

static void metadata_that_outgrows_its_bound_is_refused(void **state) {
    fixture *f = *state;
    char updates[4000];
    memset(updates, 'x', sizeof updates);
    memcpy(updates, "{\"a\":\"", 6);
    memcpy(updates + sizeof updates - 3, "\"}", 3);
    add(f, "c1", "m1");
    done(f, .op = "update", .message_id = T("m1"), .updates = T(updates));
    updates[2] = 'b';
    assert_int_equal(failed(f, .op = "update", .message_id = T("m1"), .updates = T(updates)), HF_INVALID);
    assert_int_equal(message(f, "m1")->metadata.size, 3999);
    done(f, .op = "updateConversation", .conversation_id = T("c1"), .updates = T(updates));
    updates[2] = 'a';
    assert_int_equal(failed(f, .op = "updateConversation", .conversation_id = T("c1"), .updates = T(updates)),
                     HF_INVALID);
}

static void a_message_that_is_not_there_is_not_found_and_not_deleted(void **state) {
    fixture *f = *state;
    assert_int_equal(failed(f, .op = "updateContent", .message_id = T("no"), .content = T("x")),
                     HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "update", .message_id = T("no"), .updates = T("{}")), HF_NOT_FOUND);
    assert_non_null(strstr(f->err.message, "\"no\""));
    assert_int_equal(done(f, .op = "delete", .message_id = T("no"))->deleted, 0);
    assert_null(done(f, .op = "get", .message_id = T("no"))->message);
}

static void delete_recomputes_the_time_of_the_last_message(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    add(f, "c1", "m2");
    int64_t first = message(f, "m1")->created_at;
    const hf_result *deleted = done(f, .op = "delete", .message_id = T("m2"));
    assert_int_equal(deleted->deleted, 1);
    assert_int_equal(deleted->segment_ids_count, 1);
    assert_text(deleted->segment_ids[0], "m2");
    assert_int_equal(deleted->deleted_summary_ids_count, 0);
    assert_null(done(f, .op = "get", .message_id = T("m2"))->message);
    assert_int_equal(conversation(f, "c1")->last_message_at, first);
    done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(conversation(f, "c1")->last_message_at, 0);
    assert_int_equal(fixture_ask(f, "SELECT last_message_at IS NULL FROM conversations"), 1);
}

/* ---- Lists ------------------------------------------------------------------------------------- */

/* The ids of the listed messages, or conversations, one blank between them, and '+' for more. */
static const char *ids(const hf_result *result) {
    static char line[256];
    size_t size = 0, messages = result->messages_count, count = messages + result->conversations_count;
    line[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        hf_text id = messages > 0 ? result->messages[i].id : result->conversations[i].id;
        size += (size_t)snprintf(line + size, sizeof line - size, "%s%s", i > 0 ? " " : "", id.data);
    }
    snprintf(line + size, sizeof line - size, "%s", result->has_more ? "+" : "");
    return line;
}

static void seven(fixture *f) {
    char id[] = "m1";
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    add(f, "c2", "x1");
    for (; id[1] <= '7'; id[1]++)
        add(f, "c1", id);
    add(f, "c2", "x2");
}

#define list(...) ids(done(f, .op = "list", .conversation_id = T("c1"), __VA_ARGS__))

static void a_list_without_cursor_holds_the_newest_in_order(void **state) {
    fixture *f = *state;
    assert_string_equal(list(.limit = 3), "");
    seven(f);
    assert_string_equal(list(.limit = 3), "m5 m6 m7+");
    assert_string_equal(list(.limit = 7), "m1 m2 m3 m4 m5 m6 m7");
    assert_string_equal(list(.limit = 6), "m2 m3 m4 m5 m6 m7+");
    assert_text(f->result.messages[0].content, "m2");
    assert_text(f->result.messages[0].conversation_id, "c1");
}

static void a_list_pages_in_both_directions(void **state) {
    fixture *f = *state;
    seven(f);
    assert_string_equal(list(.limit = 3, .before = T("m5")), "m2 m3 m4+");
    assert_string_equal(list(.limit = 3, .before = T("m4")), "m1 m2 m3");
    assert_string_equal(list(.limit = 3, .before = T("m1")), "");
    assert_string_equal(list(.limit = 3, .after = T("m2")), "m3 m4 m5+");
    assert_string_equal(list(.limit = 3, .after = T("m4")), "m5 m6 m7");
    assert_string_equal(list(.limit = 3, .after = T("m7")), "");
    assert_string_equal(list(.limit = 3, .after = T("m1"), .before = T("m6")), "m2 m3 m4+");
    assert_string_equal(list(.limit = 3, .after = T("m1"), .before = T("m5")), "m2 m3 m4");
    assert_string_equal(list(.after = T("m5"), .before = T("m2")), "");
}

static void a_list_shows_the_states_that_were_asked_for(void **state) {
    fixture *f = *state;
    seven(f);
    fixture_sql(f, "UPDATE messages SET state = 'reserved' WHERE id IN ('m2', 'm6')");
    fixture_sql(f, "UPDATE messages SET state = 'aborted' WHERE id = 'm4'");
    const hf_text one[] = {T("reserved")}, two[] = {T("aborted"), T("reserved")};
    assert_string_equal(list(.states = one, .states_count = 1), "m2 m6");
    assert_string_equal(list(.states = one, .states_count = 1, .limit = 1), "m6+");
    assert_string_equal(list(.states = two, .states_count = 2, .after = T("m2"), .limit = 1), "m4+");
    assert_string_equal(list(.states = two, .states_count = 2, .limit = 3), "m2 m4 m6");
}

static void a_list_holds_a_hundred_where_nothing_was_said(void **state) {
    fixture *f = *state;
    fixture_sql(f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101)"
                   " INSERT INTO messages(id, conversation_id, role, content, created_at, state)"
                   " SELECT 'm' || i, 'c1', 'user', '', i, 'final' FROM n");
    const hf_result *all = done(f, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(all->messages_count, 100);
    assert_true(all->has_more);
    assert_text(all->messages[0].id, "m2");
    assert_text(all->messages[99].id, "m101");
    fixture_sql(f, "DELETE FROM messages WHERE id = 'm7'");
    assert_false(done(f, .op = "list", .conversation_id = T("c1"))->has_more);
}

static void a_cursor_must_be_of_the_list(void **state) {
    fixture *f = *state;
    seven(f);
    assert_int_equal(failed(f, .op = "list", .conversation_id = T("c1"), .before = T("x1")), HF_NOT_FOUND);
    assert_non_null(strstr(f->err.message, "before"));
    assert_int_equal(failed(f, .op = "list", .conversation_id = T("c1"), .after = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "listConversations", .before = T("no")), HF_NOT_FOUND);
}

static void conversations_are_listed_by_their_last_activity(void **state) {
    fixture *f = *state;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    done(f, .op = "createConversation", .conversation_id = T("c3")); /* all three in the same millisecond */
    assert_string_equal(ids(done(f, .op = "listConversations")), "c3 c2 c1");
    assert_string_equal(ids(done(f, .op = "listConversations", .limit = 2)), "c3 c2+");
    assert_string_equal(ids(done(f, .op = "listConversations", .limit = 2, .before = T("c2"))), "c1");
    assert_string_equal(ids(done(f, .op = "listConversations", .limit = 1, .before = T("c3"))), "c2+");
    f->clock += 10;
    add(f, "c1", "m1");
    assert_string_equal(ids(done(f, .op = "listConversations")), "c1 c3 c2");
    assert_string_equal(ids(done(f, .op = "listConversations", .before = T("c2"))), "");
}

/* ---- Transactions ------------------------------------------------------------------------------ */

static int inside_add(fixture *f, const char *id) {
    return inside(f, &(hf_op){.op = "add",
                              .conversation_id = T("c1"),
                              .role = T("user"),
                              .content = T("x"),
                              .message_id = T(id)});
}

static void a_rollback_leaves_nothing(void **state) {
    fixture *f = *state;
    const hf_terminal *t = &f->terminal;
    assert_int_equal(t->begin(t->data, 1, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m1"), HF_OK);
    t->rollback(t->data);
    t->rollback(t->data); /* nothing to undo */
    assert_null(done(f, .op = "get", .message_id = T("m1"))->message);
    assert_int_equal(conversation(f, "c1")->last_message_at, 0);
}

static void undo_goes_back_to_the_newest_mark(void **state) {
    fixture *f = *state;
    const hf_terminal *t = &f->terminal;
    assert_int_equal(t->begin(t->data, 1, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m1"), HF_OK);
    assert_int_equal(t->mark(t->data, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m2"), HF_OK);
    assert_int_equal(t->mark(t->data, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m3"), HF_OK);
    assert_int_equal(t->undo(t->data, NULL), HF_OK); /* m3 */
    assert_int_equal(t->mark(t->data, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m4"), HF_OK);
    assert_int_equal(t->release(t->data, NULL), HF_OK);
    assert_int_equal(t->undo(t->data, NULL), HF_OK); /* m4 and m2 */
    assert_int_equal(t->commit(t->data, NULL), HF_OK);
    assert_string_equal(list(.limit = 9), "m1");
}

static void nothing_runs_outside_of_a_transaction(void **state) {
    fixture *f = *state;
    const hf_terminal *t = &f->terminal;
    assert_int_not_equal(inside_add(f, "m1"), HF_OK);
    assert_int_not_equal(t->mark(t->data, NULL), HF_OK);
    assert_int_not_equal(t->release(t->data, NULL), HF_OK);
    assert_int_not_equal(t->undo(t->data, NULL), HF_OK);
    assert_int_not_equal(t->commit(t->data, NULL), HF_OK);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 0);
}

static void a_batch_is_not_for_the_terminal(void **state) {
    fixture *f = *state;
    const hf_op get = {.op = "delete", .message_id = T("m1")};
    assert_int_equal(failed(f, .op = "batch", .ops = &get, .ops_count = 1), HF_INTERNAL);
}

static void two_handles_see_each_others_commits(void **state) {
    fixture *f = *state;
    fixture other = *f;
    other.result = (hf_result){0};
    fixture_open(&other);
    add(f, "c1", "m1");
    assert_text(message(&other, "m1")->content, "m1");
    f->clock = 5;
    add(&other, "c1", "m2");
    assert_true(message(f, "m2")->created_at > message(f, "m1")->created_at);
    fixture_close(&other);
}

static void a_reader_sees_what_was_committed_and_writes_nothing(void **state) {
    fixture *f = *state;
    fixture reader = *f;
    const hf_terminal *t = &f->terminal;
    reader.terminal = (hf_terminal){0};
    reader.result = (hf_result){0};
    assert_int_equal(t->open_reader(t->data, &reader.terminal, &f->err), HF_OK);
    assert_int_equal(t->begin(t->data, 1, NULL), HF_OK);
    assert_int_equal(inside_add(f, "m1"), HF_OK);
    assert_null(done(&reader, .op = "get", .message_id = T("m1"))->message);
    assert_int_equal(t->commit(t->data, NULL), HF_OK);
    assert_text(message(&reader, "m1")->content, "x");
    assert_int_equal(done(&reader, .op = "list", .conversation_id = T("c1"))->messages_count, 1);
    assert_int_equal(sqlite3_txn_state(fixture_db(&reader), NULL), SQLITE_TXN_NONE);
    assert_int_equal(failed(&reader, .op = "delete", .message_id = T("m1")), HF_READONLY);
    assert_int_equal(sqlite3_txn_state(fixture_db(&reader), NULL), SQLITE_TXN_NONE);
    assert_text(message(f, "m1")->content, "x");
    fixture_close(&reader);
}

static void a_state_that_is_none_is_corruption(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    fixture_sql(f, "PRAGMA ignore_check_constraints = ON; UPDATE messages SET state = 'odd'");
    assert_int_equal(failed(f, .op = "get", .message_id = T("m1")), HF_CORRUPT);
    assert_non_null(strstr(f->err.message, "\"m1\""));
    assert_int_equal(failed(f, .op = "list", .conversation_id = T("c1")), HF_CORRUPT);
}

static void assert_corrupt(fixture *f, const hf_op *op, const char *table, const char *field,
                           const char *id) {
    assert_int_equal(failed_op(f, op), HF_CORRUPT);
    const char *const parts[] = {table, field, id};
    for (size_t i = 0; i < 3; i++)
        if (strstr(f->err.message, parts[i]) == NULL) fail_msg("\"%s\" lacks %s", f->err.message, parts[i]);
}

static void a_message_that_is_not_valid_is_corruption(void **state) {
    static const char *const damage[][2] = {
        {"metadata = '{\"a\":'", "\"metadata\""},
        {"metadata = ''", "\"metadata\""},
        {"metadata = '[1]'", "\"metadata\""},
        {"content = CAST(x'61ff' AS TEXT)", "\"content\""},
        {"content = CAST(x'610062' AS TEXT)", "\"content\""},
        {"role = CAST(x'c0' AS TEXT)", "\"role\""},
        {"client_message_id = CAST(x'00' AS TEXT)", "\"clientMessageId\""},
    };
    fixture *f = *state;
    char sql[200];
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        add(f, "c1", "m1");
        snprintf(sql, sizeof sql, "UPDATE messages SET %s WHERE id = 'm1'", damage[i][0]);
        fixture_sql(f, sql);
        assert_corrupt(f, &(hf_op){.op = "get", .message_id = T("m1")}, "messages", damage[i][1], "\"m1\"");
        assert_corrupt(f, &(hf_op){.op = "list", .conversation_id = T("c1")}, "messages", damage[i][1],
                       "\"m1\"");
        if (i < 3)
            assert_corrupt(f, &(hf_op){.op = "update", .message_id = T("m1"), .updates = T("{}")}, "messages",
                           damage[i][1], "\"m1\"");
        done(f, .op = "delete", .message_id = T("m1"));
    }
}

static void count_logs(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)level, (void)layer, (void)fields;
    if (strstr(message, "disk view") != NULL) ++*(int *)data;
}

static void a_damaged_conversation_keeps_no_message_out_that_was_for_the_disk_view(void **state) {
    fixture *f = *state;
    int logs = 0;
    char folder[96];
    fixture_close(f);
    snprintf(folder, sizeof folder, "%s/view", f->folder);
    f->options.view_dir = folder;
    f->host.log = count_logs;
    f->host.log_data = &logs;
    fixture_open(f);
    fixture_sql(f, "UPDATE conversations SET metadata = '[1]' WHERE id = 'c1'");
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x"),
         .message_id = T("m1"), .sync_to_disk = HF_YES);
    assert_text(message(f, "m1")->content, "x");
    assert_int_equal(logs, 1);
}

static void delete_finds_the_last_message_though_somebody_took_it(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    add(f, "c1", "m2");
    add(f, "c1", "m3");
    fixture_sql(f, "DELETE FROM messages WHERE id = 'm3'");
    done(f, .op = "delete", .message_id = T("m1"));
    int64_t second = message(f, "m2")->created_at;
    assert_int_equal(conversation(f, "c1")->last_message_at, second);
}

static void a_message_that_lost_its_conversation_can_be_deleted(void **state) {
    fixture *f = *state;
    add(f, "c1", "m1");
    fixture_sql(f, "PRAGMA foreign_keys = OFF; DELETE FROM conversations; PRAGMA foreign_keys = ON");
    assert_int_equal(done(f, .op = "delete", .message_id = T("m1"))->deleted, 1);
    assert_null(done(f, .op = "get", .message_id = T("m1"))->message);
}

static void a_conversation_that_is_not_valid_is_corruption(void **state) {
    static const char *const damage[][2] = {
        {"metadata = '{]'", "\"metadata\""},
        {"title = CAST(x'ff' AS TEXT)", "\"title\""},
        {"origin_channel = CAST(x'6100' AS TEXT)", "\"originChannel\""},
    };
    fixture *f = *state;
    char sql[200];
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        fixture_sql(f, "UPDATE conversations SET metadata = NULL, title = NULL, origin_channel = NULL");
        snprintf(sql, sizeof sql, "UPDATE conversations SET %s WHERE id = 'c1'", damage[i][0]);
        fixture_sql(f, sql);
        const hf_op ops[] = {
            {.op = "getConversation", .conversation_id = T("c1")},
            {.op = "listConversations"},
            {.op = "updateConversation", .conversation_id = T("c1"), .updates = T("{\"a\":1}")},
        };
        for (size_t k = 0; k < 3; k++)
            assert_corrupt(f, &ops[k], "conversations", damage[i][1], "\"c1\"");
    }
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest rules[] = {
        RULE(a_conversation_comes_back_as_it_was_given),
        RULE(what_a_conversation_lacks_stays_absent),
        RULE(creating_a_conversation_again_returns_the_stored_one),
        RULE(update_of_a_conversation_changes_what_it_names),
        RULE(updated_at_rises_when_the_clock_falls),
        RULE(deleting_a_conversation_takes_its_messages_and_no_others),
        RULE(an_unknown_conversation_is_not_found),
        RULE(a_message_comes_back_as_it_was_given),
        RULE(empty_content_is_not_absent_content),
        RULE(long_content_comes_back_whole),
        RULE(a_reserved_message_reads_as_an_empty_list),
        RULE(adding_an_id_again_returns_the_stored_row_and_writes_nothing),
        RULE(an_id_of_another_message_is_a_conflict),
        RULE(a_client_id_is_stored_once_in_a_conversation),
        RULE(the_first_channel_of_a_message_becomes_the_conversations),
        RULE(a_message_moves_its_conversation_alone),
        RULE(created_at_rises_within_a_conversation_when_the_clock_stands_or_falls),
        RULE(created_at_never_falls_between_conversations_and_handles),
        RULE(a_clock_before_1970_gives_times_that_are_valid),
        RULE(new_content_makes_a_message_final_from_any_state),
        RULE(a_finalised_anchor_equals_a_direct_write),
        RULE(update_merges_metadata_and_keeps_the_bytes_of_the_rest),
        RULE(update_of_a_message_without_metadata_starts_from_an_empty_object),
        RULE(metadata_that_outgrows_its_bound_is_refused),
        RULE(a_message_that_is_not_there_is_not_found_and_not_deleted),
        RULE(delete_recomputes_the_time_of_the_last_message),
        RULE(a_list_without_cursor_holds_the_newest_in_order),
        RULE(a_list_pages_in_both_directions),
        RULE(a_list_shows_the_states_that_were_asked_for),
        RULE(a_list_holds_a_hundred_where_nothing_was_said),
        RULE(a_cursor_must_be_of_the_list),
        RULE(conversations_are_listed_by_their_last_activity),
        RULE(a_rollback_leaves_nothing),
        RULE(undo_goes_back_to_the_newest_mark),
        RULE(nothing_runs_outside_of_a_transaction),
        RULE(a_batch_is_not_for_the_terminal),
        RULE(two_handles_see_each_others_commits),
        RULE(a_reader_sees_what_was_committed_and_writes_nothing),
        RULE(a_state_that_is_none_is_corruption),
        RULE(a_message_that_is_not_valid_is_corruption),
        RULE(a_damaged_conversation_keeps_no_message_out_that_was_for_the_disk_view),
        RULE(delete_finds_the_last_message_though_somebody_took_it),
        RULE(a_message_that_lost_its_conversation_can_be_deleted),
        RULE(a_conversation_that_is_not_valid_is_corruption),
    };
    return cmocka_run_group_tests(rules, NULL, NULL);
}
