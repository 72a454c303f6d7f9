/*
 * The ops that write messages, and what all writes share. Each looks up what it needs, fails if it must, and then writes. It runs inside a
 * transaction that store.c began with the write lock, so nothing changes between the two; what is undone
 * after a failure in mid-write is left to the layer above, as is the check of the op.
 */
#include "base/error.h"
#include "base/json.h"
#include "store/ops.h"

/* ---- Time -------------------------------------------------------------------------------------- */

int64_t hf__next_time(hf__store *store, int64_t newest, int64_t updated_at) {
    int64_t time = hf__host_now(store->options.host);
    if (updated_at < INT64_MAX) updated_at++;
    if (time < updated_at) time = updated_at;
    if (time < newest) time = newest;
    if (time < store->newest) time = store->newest;
    store->newest = time;
    return time;
}

bool hf__copy_text(hf_result *result, hf_text given, hf_text *out) {
    if (given.data == NULL) return true;
    *out = hf_result_text(result, given);
    return out->data != NULL;
}

/* Puts a copy of `text` to `at`, behind which the next one goes. */
static hf_text place_text(char **at, hf_text text) {
    if (text.data == NULL) return text;
    hf_text copy = {memcpy(*at, text.data, text.size), text.size};
    *at += text.size + 1; /* the NUL is there */
    return copy;
}

hf_message *hf__copy_message(hf_result *result, const hf_message *message) {
    size_t size = sizeof *message + message->id.size + message->conversation_id.size + message->role.size +
                  message->content.size + message->metadata.size + message->client_message_id.size;
    hf_message *copy = hf_result_alloc(result, size + 6); /* each ends in NUL */
    if (copy == NULL) return NULL;
    char *at = (char *)(copy + 1);
    *copy = *message;
    copy->id = place_text(&at, message->id);
    copy->conversation_id = place_text(&at, message->conversation_id);
    copy->role = place_text(&at, message->role);
    copy->content = place_text(&at, message->content);
    copy->metadata = place_text(&at, message->metadata);
    copy->client_message_id = place_text(&at, message->client_message_id);
    return copy;
}

/* ---- Metadata ---------------------------------------------------------------------------------- */

int hf__merge_metadata(hf__store *store, hf_text base, hf_text updates, hf_result *result, hf_text *out,
                       hf_error *err) {
    hf__buf merged;
    hf__buf_init(&merged, store->options.host->limits.metadata);
    int code = hf__json_merge(&merged, base, updates, HF__JSON_DEPTH, err);
    if (code == HF_OK) code = hf__buf_check(&merged, "the merged metadata", err);
    if (code == HF_OK && !hf__copy_text(result, hf__buf_view(&merged), out)) code = hf__fail_memory(err);
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

/* Whether the word may be in a JSON text: false only where it surely is not. */
static bool may_hold(hf_text json, const char *word) {
    size_t size = strlen(word);
    if (memchr(json.data, '\\', json.size) != NULL) return true; /* an escape may spell anything */
    const char *at = json.data, *end = json.data + json.size;
    while ((size_t)(end - at) >= size && (at = memchr(at, *word, (size_t)(end - at) - size + 1)) != NULL) {
        if (memcmp(at, word, size) == 0) return true;
        at++;
    }
    return false;
}

/* The text at the top of a message's metadata that names its conversation's channel; absent without one. */
static int find_channel(hf__store *store, hf_text metadata, hf__arena *arena, hf_text *out, hf_error *err) {
    static const char key[] = "userMessageChannel";
    const hf__value *map = NULL;
    if (metadata.data == NULL || !may_hold(metadata, key)) return HF_OK;
    int code = hf__json_parse(arena, metadata, store->options.host->limits.depth, &map, err);
    if (code != HF_OK) return code;
    const hf__value *channel = map->type == HF__MAP ? hf__value_get(map, key) : NULL;
    if (channel != NULL && channel->type == HF__TEXT) *out = channel->is.text;
    return HF_OK;
}

/* ---- add, reserve ------------------------------------------------------------------------------ */

/* What is known of the conversation that gets a message. */
typedef struct parent {
    hf__growth growth;
    int64_t newest; /* the time of the store's newest row, 0 where this handle gave it */
    int64_t next;   /* the new message's position */
    bool recent;    /* nobody was asked */
} parent;

static int find_parent(hf__store *store, hf_text id, parent *out, hf_error *err) {
    out->recent = hf__recent_find(store, id, &out->growth, &out->next);
    if (out->recent) return HF_OK;
    int code = hf__growth_write(store, err);
    if (code != HF_OK) return code;
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_GROWTH, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found) {
        out->growth.position = hf__read_int(&query);
        out->growth.updated_at = hf__read_int(&query);
        out->growth.needs_channel = hf__read_int(&query) != 0;
        out->newest = hf__read_int(&query);
        out->next = hf__read_int(&query);
    }
    code = hf__query_end(&query);
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
        int code = hf__query_message(&query, (hf_text){NULL, 0}, result);
        if (code != HF_OK || result->message != NULL) return code;
    }
    int code = hf__find_message(store, op->message_id, result, err);
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

int hf__insert_message(hf__store *store, const hf_message *message, int64_t position, bool *stored,
                       hf_error *err) {
    bool anchor = message->state == HF_STATE_RESERVED;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_ADD, err);
    hf__bind_text(&query, hf_text_of(hf__state_name(message->state)));
    hf__bind_int(&query, position);
    hf__bind_text(&query, message->id);
    hf__bind_text(&query, message->conversation_id);
    hf__bind_text(&query, message->role);
    hf__bind_text(&query, message->content);
    hf__bind_int(&query, message->created_at);
    hf__bind_text(&query, message->metadata);
    hf__bind_text(&query, message->client_message_id);
    hf__bind_text(&query, hf_text_of(anchor ? store->owner_id : NULL));
    int code = hf__query_do(&query);
    *stored = code == HF_OK && sqlite3_changes(store->db) > 0;
    return code;
}

int hf__fail_unstored(hf_error *err, const char *what, hf_text id) {
    return hf__fail(
        err, HF_INTERNAL,
        "%s \"%.*s\": SQLite did not store it: its id or place is taken, or a trigger of the file's own "
        "kept it out",
        what, (int)id.size, id.data);
}

/* What the conversation has to say of its newest messages, in one write of its row; `answer` is absent where none of them
 * is one. */
static int write_growth(hf__store *store, int64_t position, int64_t updated_at, hf_text channel,
                        hf_text answer, int64_t answered_at, hf_error *err) {
    bool answered = answer.data != NULL;
    hf__query query =
        hf__query_start(store, answered ? HF__SQL_CONVERSATION_ANSWER : HF__SQL_CONVERSATION_GROW, err);
    hf__bind_int(&query, updated_at);
    hf__bind_text(&query, channel);
    hf__bind_int(&query, position);
    if (answered) hf__bind_text(&query, answer);
    if (answered) hf__bind_int(&query, answered_at);
    return hf__query_do(&query);
}

int hf__growth_write(hf__store *store, hf_error *err) {
    hf__growth_due *due = &store->due;
    if (!due->waits) return HF_OK;
    hf_text answer = {due->answer_size > 0 ? due->answer : NULL, due->answer_size};
    int code =
        write_growth(store, due->position, due->updated_at, (hf_text){0}, answer, due->answered_at, err);
    if (code != HF_OK) return code;
    due->waits = false;
    due->answer_size = 0;
    return HF_OK;
}

void hf__growth_forget(hf__store *store) {
    store->due = (hf__growth_due){0};
}

static int grow_conversation(hf__store *store, int64_t position, const hf_message *message, hf_text channel,
                             hf_error *err) {
    hf__growth_due *due = &store->due;
    bool answers = message->state == HF_STATE_FINAL && hf__is_answer(message);
    hf_text answer = answers ? message->id : (hf_text){0};
    int64_t time = message->created_at;
    if (due->position != position || channel.data != NULL || answer.size > sizeof due->answer) {
        int code = hf__growth_write(store, err);
        if (code == HF_OK) code = write_growth(store, position, time, channel, answer, time, err);
        if (code == HF_OK) due->position = position;
        return code;
    }
    due->waits = true;
    due->updated_at = time;
    if (!answers) return HF_OK;
    due->answered_at = time;
    due->answer_size = answer.size;
    memcpy(due->answer, answer.data, answer.size);
    return HF_OK;
}

/* What follows from a message that was stored. */
static int project(hf__store *store, const hf_op *op, const hf_message *message, parent *into,
                   hf_error *err) {
    hf__arena arena = {0};
    hf_text channel = {NULL, 0};
    bool indexed = message->state == HF_STATE_FINAL && op->skip_indexing != HF_YES;
    int code = HF_OK;
    if (into->growth.needs_channel) code = find_channel(store, op->metadata, &arena, &channel, err);
    if (code == HF_OK && indexed) code = hf__index_add(store, into->next, message->content, err);
    if (code == HF_OK) code = grow_conversation(store, into->growth.position, message, channel, err);
    if (channel.data != NULL) into->growth.needs_channel = false;
    hf__arena_free(&arena);
    return code;
}

/* The insert itself says whether the op is a repeat: then nothing was stored. */
static int try_message(hf__store *store, const hf_op *op, hf_text content, hf_state state, parent *into,
                       bool *stored, hf_result *result, hf_error *err) {
    int64_t newest = store->newest;
    hf_message message = {
        .id = op->message_id,
        .conversation_id = op->conversation_id,
        .role = op->role,
        .content = content,
        .created_at = hf__next_time(store, into->newest, into->growth.updated_at),
        .state = state,
        .metadata = op->metadata,
        .client_message_id = op->client_message_id,
    };
    int code = state != HF_STATE_FINAL ? hf__anchor_own(store, err) : HF_OK;
    if (code == HF_OK) code = hf__insert_message(store, &message, into->next, stored, err);
    if (code == HF_OK && !*stored) store->newest = newest; /* no row bears the time */
    if (code == HF_OK && *stored) code = project(store, op, &message, into, err);
    if (code != HF_OK || !*stored) return code;
    result->message = hf__copy_message(result, &message);
    if (result->message == NULL) return hf__fail_memory(err);
    into->growth.updated_at = message.created_at;
    hf__recent_keep(store, op->conversation_id, &into->growth, into->next + 1);
    return HF_OK;
}

static int store_message(hf__store *store, const hf_op *op, hf_text content, hf_state state,
                         hf_result *result, hf_error *err) {
    parent into = {0};
    bool stored = false;
    int code = find_parent(store, op->conversation_id, &into, err);
    bool claims = state != HF_STATE_FINAL && store->owner == NULL; /* a file, which a repeat must not leave */
    if (code == HF_OK && claims) code = find_repeat(store, op, result, err);
    if (code == HF_OK && result->message == NULL)
        code = try_message(store, op, content, state, &into, &stored, result, err);
    if (code != HF_OK || stored) return code;
    if (result->message == NULL) code = find_repeat(store, op, result, err);
    if (code != HF_OK) return code;
    if (result->message != NULL) {
        result->deduplicated = HF_YES;
        return hf__anchor_repeat(store, result->message, result, err);
    }
    if (!into.recent) return hf__fail_unstored(err, "message", op->message_id);
    hf__recent_forget(store); /* a trigger of the file's own may have taken the place */
    return store_message(store, op, content, state, result, err);
}

int hf__store_add(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = store_message(store, op, op->content, HF_STATE_FINAL, result, err);
    bool shown = op->sync_to_disk == HF_YES && store->options.view_dir != NULL;
    if (code != HF_OK || !shown || result->deduplicated == HF_YES) return code;
    return hf__outbox_add(store, result->message, op->created_at_ms, err);
}

int hf__store_reserve(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    return store_message(store, op, hf_text_of(HF__PLACEHOLDER), HF_STATE_RESERVED, result, err);
}

/* ---- update, delete ---------------------------------------------------------------------------- */

/* The op's updates, which have been checked, over the stored metadata, which has not been. */
static int merge_into(const hf_op *op, hf_text stored, hf__buf *out, hf_error *err) {
    int code = hf__json_merge(out, stored, op->updates, HF__JSON_DEPTH, err);
    if (code == HF_OK) return hf__buf_check(out, "the merged metadata", err);
    int found = stored.data != NULL ? check_metadata(op->message_id, stored, err) : HF_OK;
    return found == HF_OK ? code : found;
}

/* What update finds, and the metadata that it makes of that. */
static int find_and_merge(hf__store *store, const hf_op *op, int64_t *position, hf_text *owner,
                          hf__buf *merged, hf_result *memory, hf_error *err) {
    int code = HF_OK;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_METADATA, err);
    hf__bind_text(&query, op->message_id);
    bool found = hf__query_row(&query);
    if (found) {
        *position = hf__read_int(&query);
        *owner = hf__read_text(&query, memory);
        hf_text stored = hf__read_view(&query);
        if (query.code == HF_OK) code = merge_into(op, stored, merged, err);
    }
    int ended = hf__query_end(&query);
    if (ended != HF_OK) return ended;
    return found ? code : hf__no_message(err, "messageId", op->message_id);
}

int hf__store_update(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int64_t position = 0;
    hf_text owner = {NULL, 0};
    hf__buf merged;
    hf__buf_init(&merged, store->options.host->limits.metadata);
    int code = find_and_merge(store, op, &position, &owner, &merged, result, err);
    if (code == HF_OK && owner.data != NULL)
        hf__anchor_meet(store, owner, NULL, NULL); /* its state is by the way */
    if (code == HF_OK) {
        hf__query set = hf__query_start(store, HF__SQL_MESSAGE_SET_METADATA, err);
        hf__bind_text(&set, hf__buf_view(&merged));
        hf__bind_int(&set, position);
        code = hf__query_do(&set);
    }
    hf__buf_free(&merged);
    return code;
}

/* A message that is to go, and which columns of its conversation tell of it. */
typedef struct leaving {
    hf_text id, conversation_id;
    int64_t position;
    hf_state state;
    bool is_answer, is_seen;
    bool is_dated; /* the time of its newest message is another without it */
} leaving;

static int find_leaving(hf__store *store, hf_text id, leaving *out, bool *found, hf_result *result,
                        hf_error *err) {
    out->id = id;
    hf__query query = hf__query_start(store, HF__SQL_MESSAGE_PLACE, err);
    hf__bind_text(&query, id);
    *found = hf__query_row(&query);
    if (*found) {
        out->position = hf__read_int(&query);
        out->conversation_id = hf__read_text(&query, result);
        out->state = hf__state_of(hf__read_view(&query));
        out->is_answer = hf__read_int(&query) != 0;
        out->is_seen = hf__read_int(&query) != 0;
        out->is_dated = hf__read_int(&query) != 0;
    }
    return hf__query_end(&query);
}

/* What a conversation has to say of a message that is no more. */
static int shrink_conversation(hf__store *store, const leaving *gone, hf_error *err) {
    int code = HF_OK;
    if (gone->is_dated) {
        hf__query shrink = hf__query_start(store, HF__SQL_CONVERSATION_SHRINK, err);
        hf__bind_text(&shrink, gone->conversation_id);
        code = hf__query_do(&shrink);
    }
    if (code == HF_OK && gone->is_answer) {
        hf__query unattend = hf__query_start(store, HF__SQL_CONVERSATION_UNATTEND, err);
        hf__bind_text(&unattend, gone->conversation_id);
        code = hf__query_do(&unattend);
    }
    if (code == HF_OK && gone->is_seen) {
        hf__query unsee = hf__query_start(store, HF__SQL_CONVERSATION_UNSEE, err);
        hf__bind_text(&unsee, gone->conversation_id);
        hf__bind_int(&unsee, gone->position);
        code = hf__query_do(&unsee);
    }
    return code;
}

/* Removes a message, and leaves a mark in its place for the lists that page from it. There is none where somebody's
 * own DELETE took the conversation alone. */
static int bury(hf__store *store, const leaving *gone, hf_error *err) {
    hf__query remove = hf__query_start(store, HF__SQL_MESSAGE_DELETE, err);
    hf__bind_int(&remove, gone->position);
    int code = hf__query_do(&remove);
    if (code != HF_OK) return code;
    hf__query mark = hf__query_start(store, HF__SQL_MESSAGE_BURY, err);
    hf__bind_int(&mark, gone->position);
    hf__bind_text(&mark, gone->id);
    hf__bind_text(&mark, gone->conversation_id);
    return hf__query_do(&mark);
}

int hf__store_delete(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    leaving gone = {0};
    bool found = false, indexed = false;
    result->segment_ids = hf_result_alloc(result, sizeof(hf_text));
    result->deleted_summary_ids = hf_result_alloc(result, sizeof(hf_text)); /* always empty */
    if (result->segment_ids == NULL || result->deleted_summary_ids == NULL) return hf__fail_memory(err);
    int code = find_leaving(store, op->message_id, &gone, &found, result, err);
    if (code != HF_OK || !found) return code;

    if (gone.state == HF_STATE_FINAL) code = hf__index_remove(store, gone.position, &indexed, err);
    if (code == HF_OK && indexed) {
        result->segment_ids_count = 1;
        if (!hf__copy_text(result, op->message_id, result->segment_ids)) return hf__fail_memory(err);
    }
    if (code == HF_OK) code = bury(store, &gone, err);
    if (code == HF_OK) code = shrink_conversation(store, &gone, err);
    if (code == HF_OK) result->deleted = 1;
    return code;
}
