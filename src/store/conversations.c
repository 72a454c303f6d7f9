/*
 * The ops that write conversations: what they are, and what of them was seen. Copies of whole conversations
 * are left to fork.c.
 */
#include "base/error.h"
#include "store/ops.h"

static int make_conversation(const hf_op *op, int64_t time, hf_result *result, hf_error *err) {
    hf_conversation *conversation = hf_result_alloc(result, sizeof *conversation);
    if (conversation == NULL) return hf__fail_memory(err);
    conversation->created_at = time;
    conversation->updated_at = time;
    if (!hf__copy_text(result, op->conversation_id, &conversation->id) ||
        !hf__copy_text(result, op->title, &conversation->title) ||
        !hf__copy_text(result, op->origin_channel, &conversation->origin_channel) ||
        !hf__copy_text(result, op->metadata, &conversation->metadata)) {
        return hf__fail_memory(err);
    }
    result->conversation = conversation;
    return HF_OK;
}

int hf__insert_conversation(hf__store *store, const hf_conversation *conversation, bool *stored,
                            hf_error *err) {
    hf__query add = hf__query_start(store, HF__SQL_CONVERSATION_ADD, err);
    hf__bind_text(&add, conversation->id);
    hf__bind_text(&add, conversation->title);
    hf__bind_text(&add, conversation->origin_channel);
    hf__bind_int(&add, conversation->created_at);
    hf__bind_int(&add, conversation->updated_at);
    hf__bind_text(&add, conversation->metadata);
    hf__bind_text(&add, conversation->fork_parent_conversation_id);
    hf__bind_text(&add, conversation->fork_parent_message_id);
    int code = hf__query_do(&add);
    *stored = code == HF_OK && sqlite3_changes(store->db) > 0;
    return code;
}

int hf__find_newest(hf__store *store, int64_t *newest, hf_error *err) {
    hf__query find = hf__query_start(store, HF__SQL_NEWEST, err);
    *newest = hf__query_row(&find) ? hf__read_int(&find) : 0;
    return hf__query_end(&find);
}

int hf__store_createConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int64_t newest = 0, before = store->newest;
    bool stored = false;
    int code = store->recent.times ? HF_OK : hf__find_newest(store, &newest, err);
    if (code == HF_OK) code = make_conversation(op, hf__next_time(store, newest, 0), result, err);
    if (code == HF_OK) code = hf__insert_conversation(store, result->conversation, &stored, err);
    if (code != HF_OK) return code;
    if (stored) {
        hf__growth growth = {.position = sqlite3_last_insert_rowid(store->db),
                             .updated_at = result->conversation->updated_at,
                             .needs_channel = op->origin_channel.data == NULL};
        hf__recent_made(store, op->conversation_id, &growth);
        return HF_OK;
    }
    store->newest = before; /* no row bears the time */
    result->conversation = NULL;
    code = hf__find_conversation(store, op->conversation_id, result, err);
    if (code != HF_OK || result->conversation != NULL) return code;
    return hf__fail_unstored(err, "conversation", op->conversation_id);
}

int hf__store_updateConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf__find_conversation(store, op->conversation_id, result, err);
    hf_conversation *conversation = result->conversation;
    if (code != HF_OK) return code;
    if (conversation == NULL) return hf__no_conversation(err, "conversationId", op->conversation_id);
    if (!hf__copy_text(result, op->title, &conversation->title) ||
        !hf__copy_text(result, op->origin_channel, &conversation->origin_channel)) {
        return hf__fail_memory(err);
    }
    if (op->updates.data != NULL) {
        code = hf__merge_metadata(store, conversation->metadata, op->updates, result, &conversation->metadata,
                                  err);
    }
    if (code != HF_OK) return code;
    conversation->updated_at = hf__next_time(store, 0, conversation->updated_at);

    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_SET, err);
    hf__bind_text(&query, conversation->title);
    hf__bind_text(&query, conversation->origin_channel);
    hf__bind_text(&query, conversation->metadata);
    hf__bind_int(&query, conversation->updated_at);
    hf__bind_text(&query, conversation->id);
    return hf__query_do(&query);
}

/* Takes what is indexed of a conversation out of the index; the ids go into result->segment_ids. */
static int remove_segments(hf__store *store, hf_text id, hf_result *result, hf_error *err) {
    hf__rows ids;
    int code = hf__rows_start(&ids, sizeof(hf_text), result, err);
    if (code != HF_OK) return code;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGES_INDEXED, err);
    hf__bind_text(&query, id);
    while (hf__query_row(&query)) {
        hf_text *segment = hf__rows_next(&ids, result);
        if (segment == NULL) {
            hf__query_fail(&query, hf__fail_memory(err));
            break;
        }
        *segment = hf__read_text(&query, result);
    }
    result->segment_ids = ids.data;
    result->segment_ids_count = ids.count;
    code = hf__query_end(&query);
    return code == HF_OK && ids.count > 0 ? hf__index_remove_all(store, id, err) : code;
}

int hf__store_deleteConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf__find_place(store, "conversationId", op->conversation_id, NULL, NULL, err);
    if (code == HF_OK) code = remove_segments(store, op->conversation_id, result, err);
    if (code != HF_OK) return code;

    hf__query count = hf__query_start(store, HF__SQL_MESSAGES_COUNT, err);
    hf__bind_text(&count, op->conversation_id);
    if (hf__query_row(&count)) result->deleted_messages = hf__read_int(&count);
    code = hf__query_end(&count);
    if (code != HF_OK) return code;

    hf__query remove = hf__query_start(store, HF__SQL_CONVERSATION_DELETE, err);
    hf__bind_text(&remove, op->conversation_id);
    return hf__query_do(&remove); /* its messages go with it */
}

/* ---- Attention --------------------------------------------------------------------------------- */

bool hf__is_answer(const hf_message *message) {
    static const char assistant[] = "assistant";
    hf_text role = message->role;
    return role.size == sizeof assistant - 1 && memcmp(role.data, assistant, role.size) == 0;
}

int hf__attend(hf__store *store, const hf_message *message, hf_error *err) {
    if (!hf__is_answer(message)) return HF_OK;
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_ATTEND, err);
    hf__bind_text(&query, message->id);
    hf__bind_int(&query, message->created_at);
    hf__bind_text(&query, message->conversation_id);
    return hf__query_do(&query);
}

int hf__see(hf__store *store, hf_text conversation_id, hf_text message_id, int64_t created_at,
            hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_SEEN, err);
    hf__bind_text(&query, message_id);
    hf__bind_int(&query, created_at);
    hf__bind_text(&query, conversation_id);
    return hf__query_do(&query);
}

int hf__find_newest_final(hf__store *store, hf_text conversation_id, hf_result *result, hf_text *id,
                          hf__cursor *out, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_NEWEST_FINAL, err);
    hf__bind_text(&query, conversation_id);
    if (hf__query_row(&query)) {
        out->position = hf__read_int(&query);
        out->created_at = hf__read_int(&query);
        *id = hf__read_text(&query, result);
    }
    return hf__query_end(&query);
}

int hf__store_markSeen(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf__cursor cursor = {0};
    hf_text seen = op->message_id;
    int code = seen.data == NULL
                   ? hf__find_newest_final(store, op->conversation_id, result, &seen, &cursor, err)
                   : hf__find_cursor(store, "messageId", seen, op->conversation_id, &cursor, err);
    if (code == HF_NOT_FOUND) code = hf__name_missing(store, op->conversation_id, code, err);
    if (code == HF_OK && seen.data != NULL)
        code = hf__see(store, op->conversation_id, seen, cursor.created_at, err);
    if (code == HF_OK) code = hf__find_attention(store, op->conversation_id, result, err);
    if (code != HF_OK) return code;
    if (result->attention == NULL) result->attention = hf_result_alloc(result, sizeof *result->attention);
    return result->attention != NULL ? HF_OK : hf__fail_memory(err);
}
