/*
 * A copy of a conversation up to one of its messages: a new conversation with new ids and times, whose rows
 * say where they came from. Only what is final is copied.
 */
#include "base/error.h"
#include "base/json.h"
#include "store/ops.h"

/* What is copied, and how far it got. */
typedef struct copying {
    hf__store *store;
    const hf_op *op;
    hf_text id;                   /* of the new conversation */
    hf_text through;              /* the last message to copy; absent where there is none */
    int64_t end;                  /* its position */
    int64_t place;                /* the position of the last message that was copied */
    int64_t next;                 /* the position of the next copy */
    int64_t time;                 /* of the last row that was made */
    char last[HF__UUID_SIZE + 1]; /* the id of the last copy; "" before the first */
    bool done;
} copying;

static bool says_private(const hf__value *metadata) {
    const hf__value *value = metadata->type == HF__MAP ? hf__value_get(metadata, "private") : NULL;
    return value != NULL && value->type == HF__BOOL && value->is.boolean;
}

static int check_source(const hf_op *op, const hf_conversation *source, hf_error *err) {
    if (source == NULL) return hf__no_conversation(err, "conversationId", op->conversation_id);
    if (source->metadata.data == NULL) return HF_OK;
    hf__arena arena = {0};
    const hf__value *metadata = NULL;
    int code = hf__json_parse(&arena, source->metadata, HF__JSON_DEPTH, &metadata, err);
    if (code == HF_OK && says_private(metadata))
        code = hf__fail(err, HF_DENIED,
                        "conversationId: \"%.*s\" is private, as its metadata says, and not to be copied",
                        (int)op->conversation_id.size, op->conversation_id.data);
    hf__arena_free(&arena);
    return code;
}

/* Where the copy ends. */
static int find_through(copying *c, hf_result *memory, hf_error *err) {
    const hf_op *op = c->op;
    hf__cursor cursor = {.state = HF_STATE_FINAL};
    c->through = op->through_message_id;
    int code =
        c->through.data == NULL
            ? hf__find_newest_final(c->store, op->conversation_id, memory, &c->through, &cursor, err)
            : hf__find_cursor(c->store, "throughMessageId", c->through, op->conversation_id, &cursor, err);
    c->end = cursor.position;
    if (code != HF_OK || cursor.state == HF_STATE_FINAL) return code;
    const char *state = hf__state_name(cursor.state);
    return hf__fail(err, HF_CONFLICT, "throughMessageId: \"%.*s\" is %s: expected a final message",
                    (int)c->through.size, c->through.data, state != NULL ? state : "in no state");
}

static int find_next_position(copying *c, hf_error *err) {
    hf__query query = hf__query_start(c->store, HF__SQL_NEXT_POSITION, err);
    if (hf__query_row(&query)) c->next = hf__read_int(&query);
    return hf__query_end(&query);
}

static int make_conversation(copying *c, const hf_conversation *source, hf_result *result, hf_error *err) {
    char id[HF__UUID_SIZE + 1];
    int64_t newest = 0;
    int code = hf__find_newest(c->store, &newest, err);
    if (code == HF_OK) code = hf__host_uuid(c->store->options.host, id, err);
    if (code != HF_OK) return code;
    hf_conversation *fork = hf_result_alloc(result, sizeof *fork);
    if (fork == NULL) return hf__fail_memory(err);
    c->time = hf__next_time(c->store, newest, 0);
    fork->created_at = c->time;
    fork->updated_at = c->time;
    hf_text title = c->op->title.data != NULL ? c->op->title : source->title;
    if (!hf__copy_text(result, (hf_text){id, HF__UUID_SIZE}, &fork->id) ||
        !hf__copy_text(result, title, &fork->title) ||
        !hf__copy_text(result, source->origin_channel, &fork->origin_channel) ||
        !hf__copy_text(result, source->metadata, &fork->metadata) ||
        !hf__copy_text(result, source->id, &fork->fork_parent_conversation_id) ||
        !hf__copy_text(result, c->through, &fork->fork_parent_message_id)) {
        return hf__fail_memory(err);
    }
    c->id = fork->id;
    result->conversation = fork;
    bool stored = false;
    code = hf__insert_conversation(c->store, fork, &stored, err);
    return code == HF_OK && !stored ? hf__fail_unstored(err, "conversation", fork->id) : code;
}

/* The source's next final message, with whether it is indexed; `done` where there is none. */
static int find_next(copying *c, hf_result *memory, bool *indexed, hf_error *err) {
    hf__query query = hf__query_start(c->store, HF__SQL_MESSAGE_NEXT_FINAL, err);
    hf__bind_text(&query, c->op->conversation_id);
    hf__bind_int(&query, c->place);
    hf__bind_int(&query, c->end);
    c->done = !hf__query_row(&query);
    if (!c->done) {
        hf_message *message = hf_result_alloc(memory, sizeof *message);
        if (message != NULL) {
            hf__read_message(&query, hf__read_state(&query, (hf_text){NULL, 0}), memory, message);
            c->place = hf__read_int(&query);
            *indexed = hf__read_int(&query) != 0;
            memory->message = message;
        } else {
            hf__query_fail(&query, hf__fail_memory(err));
        }
    }
    return hf__query_end(&query);
}

static int name_source(copying *c, hf_message *message, hf_result *memory, hf_error *err) {
    hf__buf updates;
    hf__buf_init(&updates, 0);
    hf__buf_string(&updates, "{\"forkSourceMessageId\":");
    hf__json_write_text(&updates, message->id);
    hf__buf_char(&updates, '}');
    int code = hf__buf_check(&updates, "forkSourceMessageId", err);
    if (code == HF_OK)
        code = hf__merge_metadata(c->store, message->metadata, hf__buf_view(&updates), memory,
                                  &message->metadata, err);
    hf__buf_free(&updates);
    return code;
}

/* Stores a copy of the message, which is turned into it. */
static int copy_message(copying *c, hf_message *message, bool indexed, hf_result *memory, hf_error *err) {
    int code = name_source(c, message, memory, err);
    if (code == HF_OK) code = hf__host_uuid(c->store->options.host, c->last, err);
    if (code != HF_OK) return code;
    c->time = hf__next_time(c->store, c->time, c->time);
    message->id = hf_text_of(c->last);
    message->conversation_id = c->id;
    message->created_at = c->time;
    bool stored = false;
    code = hf__insert_message(c->store, message, c->next, &stored, err);
    if (code == HF_OK && !stored) code = hf__fail_unstored(err, "message", message->id);
    if (code == HF_OK && indexed) code = hf__index_add(c->store, c->next, message->content, err);
    c->next++;
    return code == HF_OK ? hf__attend(c->store, message, err) : code;
}

/* Copies one message after the other, so that no more than one is in memory. */
static int copy_messages(copying *c, hf_error *err) {
    int code = find_next_position(c, err);
    while (code == HF_OK && !c->done) {
        hf_result memory = {0};
        bool indexed = false;
        code = find_next(c, &memory, &indexed, err);
        if (code == HF_OK && !c->done) code = copy_message(c, memory.message, indexed, &memory, err);
        hf_result_free(&memory);
    }
    if (code != HF_OK || c->last[0] == '\0') return code;
    hf__query query = hf__query_start(c->store, HF__SQL_CONVERSATION_FILLED, err);
    hf__bind_int(&query, c->time);
    hf__bind_text(&query, c->id);
    code = hf__query_do(&query);
    return code == HF_OK ? hf__see(c->store, c->id, hf_text_of(c->last), c->time, err) : code;
}

int hf__store_fork(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    copying c = {.store = store, .op = op, .place = INT64_MIN};
    int code = hf__find_conversation(store, op->conversation_id, result, err);
    if (code == HF_OK) code = check_source(op, result->conversation, err);
    if (code == HF_OK) code = find_through(&c, result, err);
    if (code == HF_OK) code = make_conversation(&c, result->conversation, result, err);
    if (code == HF_OK && c.through.data != NULL) code = copy_messages(&c, err);
    return code == HF_OK ? hf__find_conversation(store, c.id, result, err) : code;
}
