/*
 * The ops that write. Each looks up what it needs, fails if it must, and then writes. It runs inside a
 * transaction that store.c began with the write lock, so nothing changes between the two; what is undone
 * after a failure in mid-write is left to the layer above, as is the check of the op.
 */
#include "base/error.h"
#include "base/json.h"
#include "store/ops.h"

/* ---- Time -------------------------------------------------------------------------------------- */

/* The time of what is written now: never before the newest row or what this handle ever gave out, and after
 * `updated_at`, the last time of the conversation. So it keeps rising when the clock does not. */
static int64_t next_time(hf__store *store, int64_t newest, int64_t updated_at) {
    int64_t time = store->options.now(store->options.now_data);
    if (updated_at < INT64_MAX) updated_at++;
    if (time < updated_at) time = updated_at;
    if (time < newest) time = newest;
    if (time < store->newest) time = store->newest;
    store->newest = time;
    return time;
}

/* Copies a text that was given into `result`; leaves `out` alone where it was not. Whether memory sufficed. */
static bool copy(hf_result *result, hf_text given, hf_text *out) {
    if (given.data == NULL) return true;
    *out = hf_result_text(result, given);
    return out->data != NULL;
}

/* ---- Metadata ---------------------------------------------------------------------------------- */

/* `base`, which may be absent, with `updates` merged over it, in the memory of `result`. */
static int merge(hf__store *store, hf_text base, hf_text updates, hf_result *result, hf_text *out,
                 hf_error *err) {
    hf__buf merged;
    hf__buf_init(&merged, store->options.limits.metadata);
    int code = hf__json_merge(&merged, base, updates, HF__JSON_DEPTH, err);
    if (code == HF_OK) code = hf__buf_check(&merged, "the merged metadata", err);
    if (code == HF_OK && !copy(result, hf__buf_view(&merged), out)) code = hf__fail_memory(err);
    hf__buf_free(&merged);
    return code;
}

/* Checks the metadata of a stored message, whose other columns are not wanted. */
static int check_metadata(hf_text id, hf_text metadata, hf_error *err) {
    hf_error why;
    int code = hf__json_check_object(metadata, HF__JSON_DEPTH, &why);
    if (code == HF_OK) return HF_OK;
    if (code != HF_INVALID) return hf__fail(err, (hf_code)code, "%s", why.message);
    return hf__row_fail("messages", id, hf__fail(err, HF_CORRUPT, "field \"metadata\": %s", why.message),
                        err);
}

/* The text at the top of a message's metadata that names its conversation's channel; absent without one. */
static int find_channel(hf__store *store, hf_text metadata, hf__arena *arena, hf_text *out, hf_error *err) {
    const hf__value *map = NULL;
    if (metadata.data == NULL) return HF_OK;
    int code = hf__json_parse(arena, metadata, store->options.limits.depth, &map, err);
    if (code != HF_OK) return code;
    const hf__value *channel = map->type == HF__MAP ? hf__value_get(map, "userMessageChannel") : NULL;
    if (channel != NULL && channel->type == HF__TEXT) *out = channel->is.text;
    return HF_OK;
}

/* ---- add, reserve ------------------------------------------------------------------------------ */

/* What a conversation that gets a message has to say. */
typedef struct growth {
    int64_t position, updated_at, newest;
    bool needs_channel;
} growth;

static int find_growth(hf__store *store, hf_text id, growth *out, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_GROWTH, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found) {
        out->position = hf__read_int(&query);
        out->updated_at = hf__read_int(&query);
        out->needs_channel = hf__read_int(&query) != 0;
        out->newest = hf__read_int(&query);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_conversation(err, "conversationId", id) : code;
}

static bool same_text(hf_text a, hf_text b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* The row that an earlier call of the same op stored, as result->message; HF_CONFLICT where the id belongs to
 * another message. */
static int find_repeat(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    if (op->client_message_id.data != NULL) {
        hf__query query = hf__query_start(store, HF__SQL_MESSAGE_OF_CLIENT, err);
        hf__bind_text(&query, op->conversation_id);
        hf__bind_text(&query, op->client_message_id);
        int code = hf__query_message(&query, result);
        if (code != HF_OK || result->message != NULL) return code;
    }
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE, err);
    hf__bind_text(&query, op->message_id);
    int code = hf__query_message(&query, result);
    const hf_message *stored = result->message;
    if (code != HF_OK || stored == NULL) return code;
    if (same_text(stored->conversation_id, op->conversation_id) && same_text(stored->role, op->role))
        return HF_OK;
    result->message = NULL;
    return hf__fail(err, HF_CONFLICT,
                    "messageId: \"%.*s\" is taken by a message of role \"%.*s\" in conversation \"%.*s\"",
                    (int)stored->id.size, stored->id.data, (int)stored->role.size, stored->role.data,
                    (int)stored->conversation_id.size, stored->conversation_id.data);
}

/* The message that the op asks for, as result->message. */
static int make_message(const hf_op *op, hf_text content, hf_state state, int64_t created_at,
                        hf_result *result, hf_error *err) {
    hf_message *message = hf_result_alloc(result, sizeof *message);
    if (message == NULL) return hf__fail_memory(err);
    message->created_at = created_at;
    message->state = state;
    if (!copy(result, op->message_id, &message->id) ||
        !copy(result, op->conversation_id, &message->conversation_id) ||
        !copy(result, op->role, &message->role) || !copy(result, content, &message->content) ||
        !copy(result, op->metadata, &message->metadata) ||
        !copy(result, op->client_message_id, &message->client_message_id)) {
        return hf__fail_memory(err);
    }
    result->message = message;
    return HF_OK;
}

static int insert_message(hf__store *store, const hf_message *message, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_ADD, err);
    hf__bind_text(&query, hf_text_of(hf__state_name(message->state)));
    hf__bind_text(&query, message->id);
    hf__bind_text(&query, message->conversation_id);
    hf__bind_text(&query, message->role);
    hf__bind_text(&query, message->content);
    hf__bind_int(&query, message->created_at);
    hf__bind_text(&query, message->metadata);
    hf__bind_text(&query, message->client_message_id);
    hf__query_row(&query);
    return hf__query_end(&query);
}

static int grow_conversation(hf__store *store, int64_t position, int64_t time, hf_text channel,
                             hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_GROW, err);
    hf__bind_int(&query, time);
    hf__bind_text(&query, channel);
    hf__bind_int(&query, position);
    hf__query_row(&query);
    return hf__query_end(&query);
}

static int store_message(hf__store *store, const hf_op *op, hf_text content, hf_state state,
                         hf_result *result, hf_error *err) {
    growth parent = {0};
    int code = find_growth(store, op->conversation_id, &parent, err);
    if (code == HF_OK) code = find_repeat(store, op, result, err);
    if (code != HF_OK) return code;
    if (result->message != NULL) {
        result->deduplicated = HF_YES;
        return HF_OK;
    }
    hf__arena arena = {0};
    hf_text channel = {NULL, 0};
    int64_t time = next_time(store, parent.newest, parent.updated_at);
    if (parent.needs_channel) code = find_channel(store, op->metadata, &arena, &channel, err);
    if (code == HF_OK) code = make_message(op, content, state, time, result, err);
    if (code == HF_OK) code = insert_message(store, result->message, err);
    if (code == HF_OK) code = grow_conversation(store, parent.position, time, channel, err);
    hf__arena_free(&arena);
    return code;
}

int hf__store_add(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    return store_message(store, op, op->content, HF_STATE_FINAL, result, err);
}

int hf__store_reserve(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    return store_message(store, op, hf_text_of("[]"), HF_STATE_RESERVED, result, err);
}

/* ---- Messages that exist ----------------------------------------------------------------------- */

int hf__store_updateContent(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    (void)result;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_SET_CONTENT, err);
    hf__bind_text(&query, op->content);
    hf__bind_text(&query, op->message_id);
    hf__query_row(&query);
    int code = hf__query_end(&query);
    if (code != HF_OK || sqlite3_changes(store->db) > 0) return code;
    return hf__no_message(err, "messageId", op->message_id);
}

int hf__store_update(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int64_t position = 0;
    hf_text metadata = {NULL, 0};
    hf__query find = hf__query_start(store, HF__SQL_MESSAGE_METADATA, err);
    hf__bind_text(&find, op->message_id);
    bool found = hf__query_row(&find);
    if (found) {
        position = hf__read_int(&find);
        metadata = hf__read_text(&find, result);
    }
    int code = hf__query_end(&find);
    if (code == HF_OK && !found) code = hf__no_message(err, "messageId", op->message_id);
    if (code == HF_OK && metadata.data != NULL) code = check_metadata(op->message_id, metadata, err);
    if (code == HF_OK) code = merge(store, metadata, op->updates, result, &metadata, err);
    if (code != HF_OK) return code;

    hf__query set = hf__query_start(store, HF__SQL_MESSAGE_SET_METADATA, err);
    hf__bind_text(&set, metadata);
    hf__bind_int(&set, position);
    hf__query_row(&set);
    return hf__query_end(&set);
}

/* An empty list of ids: no projection holds segments of a message. */
static hf_text *no_ids(hf_result *result) {
    return hf_result_alloc(result, sizeof(hf_text));
}

int hf__store_delete(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    result->segment_ids = no_ids(result);
    result->deleted_summary_ids = no_ids(result);
    if (result->segment_ids == NULL || result->deleted_summary_ids == NULL) return hf__fail_memory(err);

    int64_t position = 0;
    hf_text conversation_id = {NULL, 0};
    hf__query find = hf__query_start(store, HF__SQL_MESSAGE_PLACE, err);
    hf__bind_text(&find, op->message_id);
    bool found = hf__query_row(&find);
    if (found) {
        position = hf__read_int(&find);
        conversation_id = hf__read_text(&find, result);
    }
    int code = hf__query_end(&find);
    if (code != HF_OK || !found) return code;

    hf__query remove = hf__query_start(store, HF__SQL_MESSAGE_DELETE, err);
    hf__bind_int(&remove, position);
    hf__query_row(&remove);
    code = hf__query_end(&remove);
    if (code != HF_OK) return code;

    hf__query shrink = hf__query_start(store, HF__SQL_CONVERSATION_SHRINK, err);
    hf__bind_text(&shrink, conversation_id);
    hf__query_row(&shrink);
    code = hf__query_end(&shrink);
    if (code == HF_OK) result->deleted = 1;
    return code;
}

/* ---- Conversations ----------------------------------------------------------------------------- */

static int make_conversation(const hf_op *op, int64_t time, hf_result *result, hf_error *err) {
    hf_conversation *conversation = hf_result_alloc(result, sizeof *conversation);
    if (conversation == NULL) return hf__fail_memory(err);
    conversation->created_at = time;
    conversation->updated_at = time;
    if (!copy(result, op->conversation_id, &conversation->id) ||
        !copy(result, op->title, &conversation->title) ||
        !copy(result, op->origin_channel, &conversation->origin_channel) ||
        !copy(result, op->metadata, &conversation->metadata)) {
        return hf__fail_memory(err);
    }
    result->conversation = conversation;
    return HF_OK;
}

int hf__store_createConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf__find_conversation(store, op->conversation_id, result, err);
    if (code != HF_OK || result->conversation != NULL) return code;

    hf__query find = hf__query_start(store, HF__SQL_NEWEST, err);
    int64_t newest = hf__query_row(&find) ? hf__read_int(&find) : 0;
    code = hf__query_end(&find);
    if (code == HF_OK) code = make_conversation(op, next_time(store, newest, 0), result, err);
    if (code != HF_OK) return code;

    const hf_conversation *conversation = result->conversation;
    hf__query add = hf__query_start(store, HF__SQL_CONVERSATION_ADD, err);
    hf__bind_text(&add, conversation->id);
    hf__bind_text(&add, conversation->title);
    hf__bind_text(&add, conversation->origin_channel);
    hf__bind_int(&add, conversation->created_at);
    hf__bind_int(&add, conversation->updated_at);
    hf__bind_text(&add, (hf_text){NULL, 0}); /* last_message_at */
    hf__bind_text(&add, conversation->metadata);
    hf__query_row(&add);
    return hf__query_end(&add);
}

int hf__store_updateConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf__find_conversation(store, op->conversation_id, result, err);
    hf_conversation *conversation = result->conversation;
    if (code != HF_OK) return code;
    if (conversation == NULL) return hf__no_conversation(err, "conversationId", op->conversation_id);
    if (!copy(result, op->title, &conversation->title) ||
        !copy(result, op->origin_channel, &conversation->origin_channel)) {
        return hf__fail_memory(err);
    }
    if (op->updates.data != NULL) {
        code = merge(store, conversation->metadata, op->updates, result, &conversation->metadata, err);
    }
    if (code != HF_OK) return code;
    conversation->updated_at = next_time(store, 0, conversation->updated_at);

    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_SET, err);
    hf__bind_text(&query, conversation->title);
    hf__bind_text(&query, conversation->origin_channel);
    hf__bind_text(&query, conversation->metadata);
    hf__bind_int(&query, conversation->updated_at);
    hf__bind_text(&query, conversation->id);
    hf__query_row(&query);
    return hf__query_end(&query);
}

int hf__store_deleteConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    result->segment_ids = no_ids(result);
    if (result->segment_ids == NULL) return hf__fail_memory(err);
    int code = hf__find_place(store, "conversationId", op->conversation_id, NULL, NULL, err);
    if (code != HF_OK) return code;

    hf__query count = hf__query_start(store, HF__SQL_MESSAGES_COUNT, err);
    hf__bind_text(&count, op->conversation_id);
    if (hf__query_row(&count)) result->deleted_messages = hf__read_int(&count);
    code = hf__query_end(&count);
    if (code != HF_OK) return code;

    hf__query remove = hf__query_start(store, HF__SQL_CONVERSATION_DELETE, err);
    hf__bind_text(&remove, op->conversation_id);
    hf__query_row(&remove); /* its messages go with it */
    return hf__query_end(&remove);
}
