/*
 * The ops that read, and how a row becomes a struct. What is asked stands in sql.h; transactions are left to
 * store.c.
 */
#include "base/error.h"
#include "op/check.h"
#include "store/ops.h"

enum { DEFAULT_LIMIT = 100, FIRST_ROOM = 16 };

/* ---- Rows -------------------------------------------------------------------------------------- */

int hf__row_fail(const char *table, hf_text id, int code, hf_error *err) {
    if (code == HF_CORRUPT)
        hf__error_prefix(err, "%s, id \"%.*s\": ", table, (int)id.size, id.data != NULL ? id.data : "");
    return code;
}

/* Anybody may have edited the file: a row that is not what an op would have stored goes no further. */
static void check_row(hf__query *query, const char *table, hf_text id, const hf__record *record,
                      const void *row) {
    if (query->code != HF_OK) return;
    int code = hf__row_check(record, row, query->err);
    if (code != HF_OK) hf__query_fail(query, hf__row_fail(table, id, code, query->err));
}

/* The state stands first, so that an unwanted row costs nothing more. */
hf_state hf__read_state(hf__query *query, hf_text id) {
    hf_text name = hf__read_view(query);
    hf_state state = hf__state_of(name);
    if (query->code == HF_OK && state == HF_STATE_ABSENT) {
        int code = hf__fail(query->err, HF_CORRUPT, "field \"state\": \"%.*s\" is no state", (int)name.size,
                            name.data != NULL ? name.data : "");
        hf__read_int(query); /* position */
        if (id.data == NULL) id = hf__read_view(query);
        hf__query_fail(query, hf__row_fail("messages", id, code, query->err));
    }
    return state;
}

void hf__read_message(hf__query *query, hf_state state, hf_result *result, hf_message *out) {
    int64_t position = 0;
    if (state == HF_STATE_FINAL)
        hf__read_nothing(query);
    else
        position = hf__read_int(query);
    out->state = state;
    hf__read_texts(query, result, (hf_text *[]){&out->id, &out->conversation_id, &out->role, &out->content},
                   4);
    out->created_at = hf__read_int(query);
    hf__read_texts(query, result, (hf_text *[]){&out->metadata, &out->client_message_id}, 2);
    if (state != HF_STATE_FINAL && query->code == HF_OK)
        hf__query_fail(query, hf__stream_text(query->store, position, result, &out->content, query->err));
    check_row(query, "messages", out->id, &hf__message_record, out);
}

/* NULL where there is none, or the query failed. */
static hf_attention *read_attention(hf__query *query, hf_result *result) {
    hf_attention attention = {0};
    attention.latest_assistant_message_id = hf__read_text(query, result);
    attention.latest_assistant_at = hf__read_int(query);
    attention.last_seen_message_id = hf__read_text(query, result);
    attention.unseen = hf__read_int(query) != 0;
    bool any =
        attention.latest_assistant_message_id.data != NULL || attention.last_seen_message_id.data != NULL;
    if (query->code != HF_OK || !any) return NULL;
    hf_attention *out = hf_result_alloc(result, sizeof attention);
    if (out != NULL)
        *out = attention;
    else
        hf__query_fail(query, hf__fail_memory(query->err));
    return out;
}

static void read_conversation(hf__query *query, hf_result *result, hf_conversation *out) {
    if (out->id.data == NULL) out->id = hf__read_text(query, result);
    out->title = hf__read_text(query, result);
    out->origin_channel = hf__read_text(query, result);
    out->created_at = hf__read_int(query);
    out->updated_at = hf__read_int(query);
    out->last_message_at = hf__read_int(query);
    out->metadata = hf__read_text(query, result);
    out->attention = read_attention(query, result);
    out->fork_parent_conversation_id = hf__read_text(query, result);
    out->fork_parent_message_id = hf__read_text(query, result);
    check_row(query, "conversations", out->id, &hf__conversation_record, out);
}

int hf__query_message(hf__query *query, hf_text id, hf_result *result) {
    if (hf__query_row(query)) {
        hf_message *message = hf_result_alloc(result, sizeof *message);
        if (message != NULL && hf__copy_text(result, id, &message->id)) {
            hf__read_message(query, hf__read_state(query, id), result, message);
            result->message = message;
        } else {
            hf__query_fail(query, hf__fail_memory(query->err));
        }
    }
    return hf__query_end(query);
}

int hf__find_message(hf__store *store, hf_text id, hf_result *result, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE, err);
    hf__bind_text(&query, id);
    return hf__query_message(&query, id, result);
}

int hf__find_conversation(hf__store *store, hf_text id, hf_result *result, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION, err);
    hf__bind_text(&query, id);
    if (hf__query_row(&query)) {
        hf_conversation *conversation = hf_result_alloc(result, sizeof *conversation);
        if (conversation != NULL && hf__copy_text(result, id, &conversation->id)) {
            read_conversation(&query, result, conversation);
            result->conversation = conversation;
        } else {
            hf__query_fail(&query, hf__fail_memory(err));
        }
    }
    return hf__query_end(&query);
}

int hf__find_attention(hf__store *store, hf_text id, hf_result *result, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_ATTENTION, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found) {
        result->attention = read_attention(&query, result);
        if (result->attention != NULL)
            check_row(&query, "conversations", id, &hf__attention_record, result->attention);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_conversation(err, "conversationId", id) : code;
}

/* ---- What is not there ------------------------------------------------------------------------- */

int hf__no_conversation(hf_error *err, const char *field, hf_text id) {
    return hf__fail(err, HF_NOT_FOUND, "%s: the store has no conversation \"%.*s\"", field, (int)id.size,
                    id.data);
}

int hf__no_message(hf_error *err, const char *field, hf_text id) {
    return hf__fail(err, HF_NOT_FOUND, "%s: the store has no message \"%.*s\"", field, (int)id.size, id.data);
}

int hf__find_place(hf__store *store, const char *field, hf_text id, int64_t *updated_at, int64_t *position,
                   hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_PLACE, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found && updated_at != NULL) {
        *updated_at = hf__read_int(&query);
        *position = hf__read_int(&query);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_conversation(err, field, id) : code;
}

int hf__name_missing(hf__store *store, hf_text conversation_id, int code, hf_error *err) {
    hf_error why;
    int place = hf__find_place(store, "conversationId", conversation_id, NULL, NULL, &why);
    if (place == HF_OK) return code;
    if (err != NULL) *err = why;
    return place;
}

static int no_such_message(hf_error *err, const char *field, hf_text id, hf_text conversation_id) {
    return hf__fail(err, HF_NOT_FOUND, "%s: the conversation \"%.*s\" has no message \"%.*s\"", field,
                    (int)conversation_id.size, conversation_id.data, (int)id.size, id.data);
}

static int look_up_cursor(hf__store *store, hf_text id, hf_text conversation_id, hf__cursor *out, bool *found,
                          hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_CURSOR, err);
    hf__bind_text(&query, id);
    hf__bind_text(&query, conversation_id);
    *found = hf__query_row(&query);
    if (*found) {
        out->position = hf__read_int(&query);
        out->state = hf__state_of(hf__read_view(&query));
        out->created_at = hf__read_int(&query);
    }
    return hf__query_end(&query);
}

int hf__find_cursor(hf__store *store, const char *field, hf_text id, hf_text conversation_id, hf__cursor *out,
                    hf_error *err) {
    bool found;
    int code = look_up_cursor(store, id, conversation_id, out, &found, err);
    return code == HF_OK && !found ? no_such_message(err, field, id, conversation_id) : code;
}

/* The position of the message that pages a list, which may have been deleted since. */
static int find_page(hf__store *store, const char *field, hf_text id, hf_text conversation_id,
                     int64_t *position, hf_error *err) {
    if (id.data == NULL) return HF_OK;
    bool found;
    hf__cursor cursor = {0};
    int code = look_up_cursor(store, id, conversation_id, &cursor, &found, err);
    if (code == HF_OK && found) *position = cursor.position;
    if (code != HF_OK || found) return code;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_GRAVE, err);
    hf__bind_text(&query, id);
    hf__bind_text(&query, conversation_id);
    found = hf__query_row(&query);
    if (found) *position = hf__read_int(&query);
    code = hf__query_end(&query);
    return code == HF_OK && !found ? no_such_message(err, field, id, conversation_id) : code;
}

/* ---- One row ----------------------------------------------------------------------------------- */

int hf__store_get(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    return hf__find_message(store, op->message_id, result, err);
}

int hf__store_getConversation(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    return hf__find_conversation(store, op->conversation_id, result, err);
}

/* ---- Lists ------------------------------------------------------------------------------------- */

void *hf__rows_next(hf__rows *rows, hf_result *result) {
    if (rows->count == rows->room) {
        size_t room = rows->room * 2;
        void *data = hf_result_alloc(result, room * rows->size);
        if (data == NULL) return NULL;
        memcpy(data, rows->data, rows->count * rows->size);
        rows->data = data;
        rows->room = room;
    }
    return (char *)rows->data + rows->count++ * rows->size;
}

int hf__rows_start(hf__rows *rows, size_t size, hf_result *result, hf_error *err) {
    rows->count = 0;
    rows->room = FIRST_ROOM;
    rows->size = size;
    rows->data = hf_result_alloc(result, FIRST_ROOM * size);
    return rows->data != NULL ? HF_OK : hf__fail_memory(err);
}

static bool wanted(const hf_op *op, hf_state state) {
    for (size_t i = 0; i < op->states_count; i++) {
        if (hf__state_of(op->states[i]) == state) return true;
    }
    return op->states_count == 0;
}

static void reverse(hf_message *messages, size_t count) {
    for (size_t i = 0; i < count / 2; i++) {
        hf_message kept = messages[i];
        messages[i] = messages[count - 1 - i];
        messages[count - 1 - i] = kept;
    }
}

int hf__store_list(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    bool forward = op->after.data != NULL;
    int64_t first = INT64_MIN, last = INT64_MAX;
    size_t limit = op->limit > 0 ? (size_t)op->limit : DEFAULT_LIMIT;
    hf_text conversation_id = {NULL, 0}; /* one copy for all */
    hf__rows rows;
    int code = find_page(store, "after", op->after, op->conversation_id, &first, err);
    if (code == HF_OK) code = find_page(store, "before", op->before, op->conversation_id, &last, err);
    if (code == HF_OK) code = hf__rows_start(&rows, sizeof(hf_message), result, err);
    if (code == HF_NOT_FOUND) return hf__name_missing(store, op->conversation_id, code, err);
    if (code == HF_OK && !hf__copy_text(result, op->conversation_id, &conversation_id))
        code = hf__fail_memory(err);
    if (code != HF_OK) return code;

    hf__query query =
        hf__query_start(store, forward ? HF__SQL_MESSAGES_FORWARD : HF__SQL_MESSAGES_BACKWARD, err);
    hf__bind_text(&query, op->conversation_id);
    hf__bind_int(&query, first);
    hf__bind_int(&query, last);
    while (hf__query_row(&query)) {
        hf_state state = hf__read_state(&query, (hf_text){NULL, 0});
        if (!wanted(op, state)) continue;
        if (rows.count == limit) {
            result->has_more = 1;
            break;
        }
        hf_message *message = hf__rows_next(&rows, result);
        if (message != NULL) {
            message->conversation_id = conversation_id;
            hf__read_message(&query, state, result, message);
        } else {
            hf__query_fail(&query, hf__fail_memory(err));
        }
    }
    if (!forward) reverse(rows.data, rows.count);
    result->messages = rows.data;
    result->messages_count = rows.count;
    code = hf__query_end(&query);
    return code == HF_OK && rows.count == 0 ? hf__name_missing(store, op->conversation_id, code, err) : code;
}

int hf__store_listConversations(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int64_t updated_at = INT64_MAX, position = INT64_MAX;
    size_t limit = op->limit > 0 ? (size_t)op->limit : DEFAULT_LIMIT;
    hf__rows rows;
    int code = hf__rows_start(&rows, sizeof(hf_conversation), result, err);
    if (code == HF_OK && op->before.data != NULL) {
        code = hf__find_place(store, "before", op->before, &updated_at, &position, err);
    }
    if (code != HF_OK) return code;

    hf__query query = hf__query_start(store, HF__SQL_CONVERSATIONS, err);
    hf__bind_int(&query, updated_at);
    hf__bind_int(&query, position);
    hf__bind_int(&query, (int64_t)limit + 1); /* one more tells whether there is more */
    while (hf__query_row(&query)) {
        if (rows.count == limit) {
            result->has_more = 1;
            break;
        }
        hf_conversation *conversation = hf__rows_next(&rows, result);
        if (conversation != NULL) {
            read_conversation(&query, result, conversation);
        } else {
            hf__query_fail(&query, hf__fail_memory(err));
        }
    }
    result->conversations = rows.data;
    result->conversations_count = rows.count;
    return hf__query_end(&query);
}
