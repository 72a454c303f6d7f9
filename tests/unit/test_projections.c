/* What the terminal makes of messages once they are final: search, attention, forks; and the places that lists
 * page from. */
#define _POSIX_C_SOURCE 200809L

#include "support/terminal.h"

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"), .title = T("First"));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static void add(fixture *f, const char *id, const char *role, const char *content) {
    done(f, .op = "add", .conversation_id = T("c1"), .role = T(role), .content = T(content),
         .message_id = T(id));
}

static void reserve(fixture *f, const char *id) {
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id));
}

static void finalise(fixture *f, const char *id, const char *content) {
    done(f, .op = "updateContent", .message_id = T(id), .content = T(content));
}

static size_t found(fixture *f, const char *query) {
    return done(f, .op = "search", .query = T(query))->hits_count;
}

static void assert_says(const fixture *f, const char *part) {
    if (strstr(f->err.message, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", f->err.message, part);
}

/* ---- Search ------------------------------------------------------------------------------------ */

static void a_message_is_found_by_its_words_best_first(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "the sea and the land");
    add(f, "m2", "user", "sea, sea, sea");
    add(f, "m3", "user", "land");
    const hf_result *result = done(f, .op = "search", .query = T("sea"));
    assert_int_equal(result->hits_count, 2);
    assert_text(result->hits[0].message->id, "m2");
    assert_text(result->hits[0].snippet, "[sea], [sea], [sea]");
    assert_true(result->hits[0].score > result->hits[1].score);
    assert_text(result->hits[1].message->content, "the sea and the land");
    assert_int_equal(found(f, "sea land"), 1);
    assert_int_equal(found(f, "sea OR land"), 3);
    assert_int_equal(done(f, .op = "search", .query = T("sea"), .limit = 1)->hits_count, 1);
}

static void bad_query_syntax_is_invalid_and_says_where(void **state) {
    fixture *f = *state;
    assert_int_equal(failed(f, .op = "search", .query = T("sea AND (land")), HF_INVALID);
    assert_says(f, "query: ");
    assert_says(f, "character 14");
}

static void a_search_keeps_to_its_conversation(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    assert_int_equal(done(f, .op = "search", .query = T("sea"), .conversation_id = T("c2"))->hits_count, 0);
    assert_int_equal(done(f, .op = "search", .query = T("sea"), .conversation_id = T("c1"))->hits_count, 1);
    assert_int_equal(failed(f, .op = "search", .query = T("sea"), .conversation_id = T("no")), HF_NOT_FOUND);
}

static void blocks_are_searched_by_their_text(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "[{\"type\":\"text\",\"text\":\"sea\"},{\"type\":\"tool_use\",\"name\":\"boat\"}]");
    add(f, "m2", "user", "[\"sea\", 1]");
    assert_int_equal(found(f, "sea"), 2);
    assert_int_equal(found(f, "type"), 0);
    assert_int_equal(found(f, "boat"), 0);
}

static void placeholders_and_drafts_are_not_found(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    done(f, .op = "append", .message_id = T("m1"), .delta = T("sea"));
    assert_int_equal(found(f, "sea"), 0);
    done(f, .op = "abort", .message_id = T("m1"));
    assert_int_equal(found(f, "sea"), 0);
    finalise(f, "m1", "land");
    assert_int_equal(found(f, "sea"), 0);
    assert_int_equal(found(f, "land"), 1);
}

static void what_skips_the_index_is_not_found(void **state) {
    fixture *f = *state;
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("sea"),
         .message_id = T("m1"), .skip_indexing = HF_YES);
    assert_int_equal(found(f, "sea"), 0);
    reserve(f, "m2");
    done(f, .op = "updateContent", .message_id = T("m2"), .content = T("sea"), .index = HF_NO);
    assert_int_equal(found(f, "sea"), 0);
    assert_int_equal(done(f, .op = "delete", .message_id = T("m1"))->segment_ids_count, 0);
}

static void an_edit_indexes_anew_and_leaves_nothing_of_the_old_text(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    finalise(f, "m1", "land");
    assert_int_equal(found(f, "sea"), 0);
    assert_int_equal(found(f, "land"), 1);
    finalise(f, "m1", "[{\"type\":\"text\",\"text\":\"land\"}]"); /* another content of the same text */
    assert_int_equal(found(f, "land"), 1);
    done(f, .op = "updateContent", .message_id = T("m1"), .content = T("land"), .index = HF_NO);
    assert_int_equal(found(f, "land"), 0);
    finalise(f, "m1", "land");
    assert_int_equal(found(f, "land"), 1);
    finalise(f, "m1", "");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM search"), 0);
}

static void what_is_deleted_leaves_the_index_and_says_so(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    add(f, "m2", "user", "sea");
    const hf_result *result = done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(result->segment_ids_count, 1);
    assert_text(result->segment_ids[0], "m1");
    assert_int_equal(found(f, "sea"), 1);
    result = done(f, .op = "deleteConversation", .conversation_id = T("c1"));
    assert_int_equal(result->segment_ids_count, 1);
    assert_text(result->segment_ids[0], "m2");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM search"), 0);
}

static void the_index_goes_back_with_the_transaction(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, &f->err), HF_OK);
    inside(f, &(hf_op){.op = "updateContent", .message_id = T("m1"), .content = T("land")});
    assert_int_equal(f->terminal.mark(f->terminal.data, &f->err), HF_OK);
    inside(f, &(hf_op){.op = "delete", .message_id = T("m1")});
    assert_int_equal(f->terminal.undo(f->terminal.data, &f->err), HF_OK);
    inside(f, &(hf_op){.op = "search", .query = T("land")});
    assert_int_equal(f->result.hits_count, 1);
    f->terminal.rollback(f->terminal.data);
    assert_int_equal(found(f, "sea"), 1);
    assert_int_equal(found(f, "land"), 0);
}

static void an_entry_without_its_message_is_in_nobodys_way(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    fixture_sql(f, "DELETE FROM messages");
    assert_int_equal(found(f, "sea"), 0);
    add(f, "m2", "user", "land"); /* in the position of the other */
    assert_int_equal(found(f, "sea"), 0);
    assert_int_equal(found(f, "land"), 1);
    fixture_sql(f, "DELETE FROM messages");
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m3"),
         .content = T("sky"), .skip_indexing = HF_YES);
    assert_int_equal(found(f, "land"), 0);
    assert_int_equal(done(f, .op = "delete", .message_id = T("m3"))->segment_ids_count, 0);
    add(f, "m4", "user", "rain");
    fixture_sql(f, "DELETE FROM messages; DELETE FROM deleted_messages");
    reserve(f, "m5");
    done(f, .op = "updateContent", .message_id = T("m5"), .content = T("sun"), .index = HF_NO);
    assert_int_equal(found(f, "rain"), 0);
}

/* ---- Attention --------------------------------------------------------------------------------- */

static const hf_attention *attention(fixture *f) {
    return done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->attention;
}

static void an_answer_is_unseen_until_it_is_marked(void **state) {
    fixture *f = *state;
    assert_null(attention(f));
    add(f, "m1", "user", "question");
    assert_null(attention(f));
    add(f, "m2", "assistant", "answer");
    assert_text(attention(f)->latest_assistant_message_id, "m2");
    assert_true(attention(f)->latest_assistant_at > 0);
    assert_null(attention(f)->last_seen_message_id.data);
    assert_int_equal(attention(f)->unseen, 1);
    const hf_result *result = done(f, .op = "markSeen", .conversation_id = T("c1"));
    assert_int_equal(result->attention->unseen, 0);
    assert_text(result->attention->last_seen_message_id, "m2");
    add(f, "m3", "assistant", "more");
    assert_int_equal(attention(f)->unseen, 1);
    done(f, .op = "markSeen", .conversation_id = T("c1"), .message_id = T("m3"));
    done(f, .op = "markSeen", .conversation_id = T("c1"), .message_id = T("m1"));
    assert_int_equal(attention(f)->unseen, 1);
}

static void a_draft_is_no_answer_before_it_is_final(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    add(f, "m2", "assistant", "quick");
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    done(f, .op = "append", .message_id = T("m1"), .delta = T("draft"));
    assert_text(attention(f)->latest_assistant_message_id, "m2");
    finalise(f, "m1", "slow"); /* it stands before m2, as it was reserved before */
    assert_text(attention(f)->latest_assistant_message_id, "m2");
    assert_int_equal(attention(f)->unseen, 1); /* nobody can have seen it */
    reserve(f, "m3");
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    assert_text(attention(f)->last_seen_message_id, "m2");
    finalise(f, "m3", "final");
    assert_text(attention(f)->latest_assistant_message_id, "m3");
    assert_int_equal(attention(f)->unseen, 1);
    reserve(f, "m4");
    add(f, "m5", "user", "meanwhile");
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    finalise(f, "m4", "the answer to what stood before");
    assert_int_equal(attention(f)->unseen, 1);
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    assert_int_equal(attention(f)->unseen, 0);
    finalise(f, "m4", "edited");
    assert_int_equal(attention(f)->unseen, 0);
}

static void attention_falls_back_when_its_message_is_deleted(void **state) {
    fixture *f = *state;
    add(f, "m1", "assistant", "one");
    add(f, "m2", "assistant", "two");
    done(f, .op = "markSeen", .conversation_id = T("c1"));
    done(f, .op = "delete", .message_id = T("m2"));
    assert_text(attention(f)->latest_assistant_message_id, "m1");
    assert_text(attention(f)->last_seen_message_id, "m1");
    assert_int_equal(attention(f)->unseen, 0);
    done(f, .op = "delete", .message_id = T("m1"));
    assert_null(attention(f));
}

static void what_is_left_of_a_conversation_that_somebody_deleted_cannot_be_seen(void **state) {
    fixture *f = *state;
    add(f, "m1", "assistant", "one");
    fixture_sql(f, "PRAGMA foreign_keys = OFF; DELETE FROM conversations; PRAGMA foreign_keys = ON");
    assert_int_equal(failed(f, .op = "markSeen", .conversation_id = T("c1")), HF_NOT_FOUND);
    assert_says(f, "the store has no conversation \"c1\"");
    assert_int_equal(failed(f, .op = "markSeen", .conversation_id = T("c1"), .message_id = T("m1")),
                     HF_NOT_FOUND);
    assert_says(f, "the store has no conversation \"c1\"");
}

static void marking_as_seen_is_no_activity(void **state) {
    fixture *f = *state;
    int64_t before = done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->updated_at;
    f->clock += 1000;
    assert_int_equal(done(f, .op = "markSeen", .conversation_id = T("c1"))->attention->unseen, 0);
    assert_int_equal(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->updated_at,
                     before);
    assert_int_equal(failed(f, .op = "markSeen", .conversation_id = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "markSeen", .conversation_id = T("c1"), .message_id = T("no")),
                     HF_NOT_FOUND);
}

/* ---- fork -------------------------------------------------------------------------------------- */

static char fork_id[64];

static void fork_of_c1(fixture *f, const char *through) {
    const hf_conversation *row =
        done(f, .op = "fork", .conversation_id = T("c1"), .through_message_id = T(through))->conversation;
    snprintf(fork_id, sizeof fork_id, "%s", row->id.data);
}

static void a_fork_has_copies_of_what_is_final_and_says_where_from(void **state) {
    fixture *f = *state;
    add(f, "m1", "user", "sea");
    reserve(f, "m2");
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("assistant"), .content = T("land"),
         .message_id = T("m3"), .metadata = T("{\"k\": 1.50}"), .skip_indexing = HF_YES);
    add(f, "m4", "user", "later");
    const hf_conversation *row =
        done(f, .op = "fork", .conversation_id = T("c1"), .through_message_id = T("m3"))->conversation;
    snprintf(fork_id, sizeof fork_id, "%s", row->id.data);
    assert_text(row->title, "First");
    assert_text(row->fork_parent_conversation_id, "c1");
    assert_text(row->fork_parent_message_id, "m3");
    assert_int_equal(row->attention->unseen, 0);
    int64_t last = row->last_message_at;
    const hf_result *list = done(f, .op = "list", .conversation_id = T(fork_id));
    assert_int_equal(list->messages_count, 2);
    assert_text(list->messages[0].content, "sea");
    assert_text(list->messages[0].metadata, "{\"forkSourceMessageId\":\"m1\"}");
    assert_text(list->messages[1].metadata, "{\"k\": 1.50,\"forkSourceMessageId\":\"m3\"}");
    assert_true(list->messages[0].created_at < list->messages[1].created_at);
    assert_int_equal(list->messages[1].created_at, last);
    assert_int_equal(found(f, "sea"), 2);
    assert_int_equal(found(f, "land"), 0);
}

static void a_fork_takes_all_unless_it_is_told_where_to_end(void **state) {
    fixture *f = *state;
    fork_of_c1(f, NULL);
    assert_int_equal(done(f, .op = "list", .conversation_id = T(fork_id))->messages_count, 0);
    add(f, "m1", "user", "one");
    add(f, "m2", "user", "two");
    reserve(f, "m3");
    const hf_conversation *row =
        done(f, .op = "fork", .conversation_id = T("c1"), .title = T("Second"))->conversation;
    assert_text(row->title, "Second");
    assert_text(row->fork_parent_message_id, "m2");
}

static void a_fork_that_cannot_be_says_why_and_leaves_nothing(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    add(f, "m2", "user", "two");
    assert_int_equal(failed(f, .op = "fork", .conversation_id = T("no")), HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "fork", .conversation_id = T("c1"), .through_message_id = T("no")),
                     HF_NOT_FOUND);
    assert_int_equal(failed(f, .op = "fork", .conversation_id = T("c1"), .through_message_id = T("m1")),
                     HF_CONFLICT);
    assert_says(f, "is reserved");
    done(f, .op = "updateConversation", .conversation_id = T("c1"), .updates = T("{\"private\":true}"));
    assert_int_equal(failed(f, .op = "fork", .conversation_id = T("c1")), HF_DENIED);
    done(f, .op = "updateConversation", .conversation_id = T("c1"), .updates = T("{\"private\":false}"));
    fixture_sql(f, "UPDATE messages SET metadata = '[1]' WHERE id = 'm2'");
    assert_int_equal(failed(f, .op = "fork", .conversation_id = T("c1")), HF_CORRUPT);
    assert_says(f, "m2");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations"), 1);
}

/* ---- Lists --------------------------------------------------------------------------------------- */

static void a_list_pages_from_a_message_that_was_deleted(void **state) {
    fixture *f = *state;
    const char *const ids[] = {"m1", "m2", "m3", "m4"};
    for (int i = 0; i < 4; i++)
        add(f, ids[i], "user", "text");
    done(f, .op = "delete", .message_id = T("m4"));
    done(f, .op = "delete", .message_id = T("m3"));
    const hf_result *list = done(f, .op = "list", .conversation_id = T("c1"), .before = T("m3"));
    assert_int_equal(list->messages_count, 2);
    add(f, "m5", "user", "text"); /* not in the place of m3 or m4 */
    list = done(f, .op = "list", .conversation_id = T("c1"), .after = T("m4"));
    assert_int_equal(list->messages_count, 1);
    assert_text(list->messages[0].id, "m5");
    list = done(f, .op = "list", .conversation_id = T("c1"), .before = T("m4"));
    assert_int_equal(list->messages_count, 2);
    assert_int_equal(failed(f, .op = "list", .conversation_id = T("c1"), .before = T("m6")), HF_NOT_FOUND);
    add(f, "m3", "user", "again");
    list = done(f, .op = "list", .conversation_id = T("c1"), .after = T("m5"));
    assert_int_equal(list->messages_count, 1);
    done(f, .op = "delete", .message_id = T("m3"));
    assert_int_equal(done(f, .op = "list", .conversation_id = T("c1"), .after = T("m3"))->messages_count, 0);
}

int main(void) {
#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest rules[] = {
        RULE(a_message_is_found_by_its_words_best_first),
        RULE(bad_query_syntax_is_invalid_and_says_where),
        RULE(a_search_keeps_to_its_conversation),
        RULE(blocks_are_searched_by_their_text),
        RULE(placeholders_and_drafts_are_not_found),
        RULE(what_skips_the_index_is_not_found),
        RULE(an_edit_indexes_anew_and_leaves_nothing_of_the_old_text),
        RULE(what_is_deleted_leaves_the_index_and_says_so),
        RULE(the_index_goes_back_with_the_transaction),
        RULE(an_entry_without_its_message_is_in_nobodys_way),
        RULE(an_answer_is_unseen_until_it_is_marked),
        RULE(a_draft_is_no_answer_before_it_is_final),
        RULE(attention_falls_back_when_its_message_is_deleted),
        RULE(what_is_left_of_a_conversation_that_somebody_deleted_cannot_be_seen),
        RULE(marking_as_seen_is_no_activity),
        RULE(a_fork_has_copies_of_what_is_final_and_says_where_from),
        RULE(a_fork_takes_all_unless_it_is_told_where_to_end),
        RULE(a_fork_that_cannot_be_says_why_and_leaves_nothing),
        RULE(a_list_pages_from_a_message_that_was_deleted),
    };
    return cmocka_run_group_tests(rules, NULL, NULL);
}
