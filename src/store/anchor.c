/*
 * The life of an anchor: a message that was reserved grows by deltas and becomes final, aborted or, where its
 * owner died, interrupted. Deltas stand in a table of their own, keyed by the message's position and their seq
 * in one number, each with the length of the content through it: so an append looks at the last one and adds a
 * row behind it, however long the content is. The proof that an owner lives is left to owner.c.
 */
#include "base/error.h"
#include "base/json.h"
#include "op/check.h"
#include "store/ops.h"

static const int64_t MAX_SEQ = ((int64_t)1 << HF__DELTA_BITS) - 1;

/* ---- Deltas ------------------------------------------------------------------------------------ */

/* The key of a delta; that of seq 0 is before the first one. */
static int64_t key_of(int64_t position, int64_t seq) {
    return (int64_t)(((uint64_t)position << HF__DELTA_BITS) + (uint64_t)seq);
}

/* The keys between which the deltas behind `after` lie. */
static void bind_keys(hf__query *query, int64_t position, int64_t after) {
    hf__bind_int(query, key_of(position, after < MAX_SEQ ? after : MAX_SEQ));
    hf__bind_int(query, key_of(position, MAX_SEQ + 1));
}

/* The newest delta of a message; `seq` 0 where it has none. */
typedef struct last_delta {
    int64_t seq;
    int64_t length; /* of the content through it, in bytes */
    bool repeated;  /* its text is the one that was asked for */
} last_delta;

static int find_last(hf__store *store, int64_t position, hf_text asked, last_delta *out, hf_error *err) {
    *out = (last_delta){0};
    hf__query query = hf__query_start(store, HF__SQL_DELTA_LAST, err);
    bind_keys(&query, position, 0);
    if (hf__query_row(&query)) {
        out->seq = hf__read_int(&query) - key_of(position, 0);
        out->length = hf__read_int(&query);
        if (asked.data != NULL) {
            hf_text delta = hf__read_view(&query);
            out->repeated = delta.data != NULL && delta.size == asked.size &&
                            memcmp(delta.data, asked.data, asked.size) == 0;
        }
    }
    return hf__query_end(&query);
}

static int drop_deltas(hf__store *store, int64_t position, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_DELTAS_DROP, err);
    bind_keys(&query, position, 0);
    return hf__query_do(&query);
}

int hf__stream_text(hf__store *store, int64_t position, hf_result *result, hf_text *out, hf_error *err) {
    last_delta last;
    int code = find_last(store, position, (hf_text){NULL, 0}, &last, err);
    if (code != HF_OK || last.seq == 0) return code;
    int64_t most = sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, -1); /* what could become a content */
    size_t room = last.length >= 0 && last.length <= most ? (size_t)last.length : 0, size = 0;
    char *text = hf_result_alloc(result, room + 1);
    if (text == NULL) return hf__fail_memory(err);
    hf__query query = hf__query_start(store, HF__SQL_DELTAS, err);
    bind_keys(&query, position, 0);
    bool fits = true;
    while (hf__query_row(&query)) {
        hf__read_int(&query);
        hf_text delta = hf__read_view(&query);
        fits = fits && delta.size <= room - size;
        if (!fits || delta.data == NULL) continue;
        memcpy(text + size, delta.data, delta.size);
        size += delta.size;
    }
    code = hf__query_end(&query);
    if (code != HF_OK) return code;
    if (!fits || size != room)
        return hf__fail(err, HF_CORRUPT, "deltas of position %lld: they add up to another length than %lld",
                        (long long)position, (long long)last.length);
    *out = (hf_text){text, size};
    return HF_OK;
}

/* ---- Owners ------------------------------------------------------------------------------------ */

/* A dry run needs the id alone: whatever bears it is rolled back. */
int hf__anchor_own(hf__store *store, hf_error *err) {
    bool named = store->owner_id[0] != '\0';
    if (store->owner != NULL || (store->dry_run && named)) return HF_OK;
    int code = hf__host_uuid(store->options.host, store->owner_id, err);
    if (code != HF_OK || store->dry_run) return code;
    return hf__owner_claim(store->db, store->owner_id, &store->owner, err);
}

int hf__anchor_meet(hf__store *store, hf_text owner, bool *dead, hf_error *err) {
    bool lives = strcmp(owner.data, store->owner_id) == 0;
    int code = lives ? HF_OK : hf__owner_lives(store->db, owner.data, &lives, err);
    if (code == HF_OK && !lives) store->met_dead = true;
    if (code == HF_OK && dead != NULL) *dead = !lives;
    return code;
}

static int interrupt(hf__store *store, hf_text owner, hf_error *err) {
    int code = hf__query_run(store, HF__SQL_BEGIN_WRITE, err);
    if (code != HF_OK) return code;
    hf__query query = hf__query_start(store, HF__SQL_OWNER_GONE, err);
    hf__bind_text(&query, owner);
    code = hf__query_do(&query);
    if (code == HF_OK) code = hf__query_run(store, HF__SQL_COMMIT, err);
    if (code != HF_OK && !sqlite3_get_autocommit(store->db)) hf__query_run(store, HF__SQL_ROLLBACK, NULL);
    if (code == HF_OK) hf__owner_clear(store->db, owner.data);
    return code;
}

/* A store that another process writes to can be opened all the same: what is left over, a write will meet. An
 * owner that cannot be looked at is left alone. */
int hf__anchors_recover(hf__store *store, hf_error *err) {
    hf_result memory = {0};
    hf__rows owners;
    int code = hf__rows_start(&owners, sizeof(hf_text), &memory, err);
    hf__query query = hf__query_start(store, HF__SQL_OWNERS, err);
    while (code == HF_OK && hf__query_row(&query)) {
        hf_text *owner = hf__rows_next(&owners, &memory);
        if (owner != NULL)
            *owner = hf__read_text(&query, &memory);
        else
            code = hf__fail_memory(err);
    }
    int ended = hf__query_end(&query);
    if (code == HF_OK) code = ended;
    for (size_t i = 0; code == HF_OK && i < owners.count; i++) {
        hf_text owner = ((hf_text *)owners.data)[i];
        bool lives = true;
        if (hf__owner_lives(store->db, owner.data, &lives, NULL) != HF_OK || lives) continue;
        code = interrupt(store, owner, err);
    }
    hf_result_free(&memory);
    return code == HF_BUSY ? HF_OK : code;
}

void hf__anchors_sweep(hf__store *store) {
    if (hf__owner_sweep(store->db, false, NULL) == 0) return;
    if (hf__query_run(store, HF__SQL_BEGIN_WRITE, NULL) != HF_OK)
        return; /* who claims an owner holds this lock */
    hf__owner_sweep(store->db, true, NULL);
    hf__query_run(store, HF__SQL_ROLLBACK, NULL);
}

void hf__anchors_settle(hf__store *store) {
    bool met = store->met_dead;
    store->met_dead = false;
    if (met && !store->dry_run) hf__anchors_recover(store, NULL); /* else the next write tries */
}

/* ---- append ------------------------------------------------------------------------------------ */

typedef struct anchor {
    int64_t position;
    hf_state state;
    hf_text owner; /* absent where it has none */
} anchor;

static int find_anchor(hf__store *store, hf_text id, hf_result *result, anchor *out, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_ANCHOR, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found) {
        out->position = hf__read_int(&query);
        out->state = hf__state_of(hf__read_view(&query));
        out->owner = hf__read_text(&query, result);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_message(err, "messageId", id) : code;
}

int hf__anchor_repeat(hf__store *store, hf_message *message, hf_result *result, hf_error *err) {
    anchor found = {0};
    bool dead = false;
    if (message->state != HF_STATE_RESERVED && message->state != HF_STATE_STREAMING) return HF_OK;
    int code = find_anchor(store, message->id, result, &found, err);
    if (code == HF_OK && found.owner.data != NULL)
        hf__anchor_meet(store, found.owner, &dead, NULL); /* one that cannot be looked at is left alone */
    if (dead) message->state = HF_STATE_INTERRUPTED;
    return code;
}

/* Whether this handle may append to the message. */
static int check_owner(hf__store *store, const hf_op *op, const anchor *found, hf_error *err) {
    bool open = found->state == HF_STATE_RESERVED || found->state == HF_STATE_STREAMING;
    const char *state = hf__state_name(found->state);
    hf_text id = op->message_id;
    bool dead = found->owner.data == NULL;
    int code = open && !dead ? hf__anchor_meet(store, found->owner, &dead, err) : HF_OK;
    if (code != HF_OK) return code;
    if (!open || dead)
        return hf__fail(
            err, HF_CONFLICT,
            "messageId: \"%.*s\" is %s: expected one that this open store reserved and that is not settled; "
            "updateContent makes it final, a new reserve begins another",
            (int)id.size, id.data,
            open            ? "interrupted"
            : state != NULL ? state
                            : "in no state");
    if (strcmp(found->owner.data, store->owner_id) == 0) return HF_OK;
    return hf__fail(err, HF_CONFLICT,
                    "messageId: \"%.*s\" belongs to another open store, which reserved it and lives: only "
                    "that one may append",
                    (int)id.size, id.data);
}

static int check_seq(const hf__store *store, const hf_op *op, const last_delta *last, hf_error *err) {
    int64_t next = last->seq + 1;
    if (op->seq != 0 && op->seq != next && op->seq == last->seq)
        return hf__fail(err, HF_CONFLICT,
                        "seq: %lld was stored with another delta: expected the same, or %lld",
                        (long long)op->seq, (long long)next);
    if (op->seq != 0 && op->seq != next)
        return hf__fail(err, HF_CONFLICT, "seq: expected %lld, found %lld", (long long)next,
                        (long long)op->seq);
    if (next > MAX_SEQ)
        return hf__fail(err, HF_INVALID, "seq: a message has room for %lld deltas", (long long)MAX_SEQ);
    size_t most = store->options.host->limits.content;
    if (last->length < 0 || (size_t)last->length + op->delta.size > most)
        return hf__fail(err, HF_INVALID,
                        "delta: expected a content of at most %zu bytes, found %lld and %zu more", most,
                        (long long)last->length, op->delta.size);
    return HF_OK;
}

/* The end of a message that this handle may append to: as it was left, or looked up. */
static int find_end(hf__store *store, const hf_op *op, hf_result *result, anchor *found, last_delta *last,
                    hf_error *err) {
    hf__stream stream;
    bool known = hf__recent_find_stream(store, op->message_id, &stream);
    if (known && (op->seq == 0 || op->seq == stream.seq + 1)) {
        *found = (anchor){.position = stream.position, .state = HF_STATE_STREAMING};
        *last = (last_delta){.seq = stream.seq, .length = stream.length};
        return HF_OK;
    }
    int code = find_anchor(store, op->message_id, result, found, err);
    if (code == HF_OK) code = check_owner(store, op, found, err);
    if (code != HF_OK) return code;
    return find_last(store, found->position, op->seq != 0 ? op->delta : (hf_text){NULL, 0}, last, err);
}

int hf__store_append(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    anchor found = {0};
    last_delta last;
    int code = find_end(store, op, result, &found, &last, err);
    if (code != HF_OK) return code;
    result->seq = last.seq;
    result->length = last.length;
    if (op->seq != 0 && op->seq == last.seq && last.repeated) return HF_OK;
    code = check_seq(store, op, &last, err);
    if (code != HF_OK) return code;
    result->seq++;
    result->length += (int64_t)op->delta.size;

    hf__query add = hf__query_start(store, HF__SQL_DELTA_ADD, err);
    hf__bind_int(&add, key_of(found.position, result->seq));
    hf__bind_int(&add, result->length);
    hf__bind_text(&add, op->delta);
    code = hf__query_do(&add);
    if (code == HF_OK && found.state != HF_STATE_STREAMING) {
        hf__query stream = hf__query_start(store, HF__SQL_ANCHOR_STREAM, err);
        hf__bind_int(&stream, found.position);
        code = hf__query_do(&stream);
    }
    if (code == HF_OK)
        hf__recent_keep_stream(store, op->message_id,
                               &(hf__stream){found.position, result->seq, result->length});
    return code;
}

/* ---- updateContent, abort ---------------------------------------------------------------------- */

/* What updateContent finds of the message. */
static int find_content(hf__store *store, hf_text id, hf_result *memory, int64_t *position,
                        hf_message *message, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_ANCHOR_CONTENT, err);
    hf__bind_text(&query, id);
    bool found = hf__query_row(&query);
    if (found) {
        *position = hf__read_int(&query);
        message->state = hf__state_of(hf__read_view(&query));
        message->conversation_id = hf__read_text(&query, memory);
        message->role = hf__read_text(&query, memory);
        message->created_at = hf__read_int(&query);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_message(err, "messageId", id) : code;
}

static int edit(hf__store *store, int64_t position, hf_text content, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_ANCHOR_EDIT, err);
    hf__bind_text(&query, content);
    hf__bind_int(&query, position);
    return hf__query_do(&query);
}

static int finalise(hf__store *store, int64_t position, hf_text content, hf_error *err) {
    last_delta last;
    int code = find_last(store, position, (hf_text){NULL, 0}, &last, err);
    if (code == HF_OK && last.seq > 0) code = drop_deltas(store, position, err);
    if (code != HF_OK) return code;
    hf__query query = hf__query_start(store, HF__SQL_ANCHOR_FINAL, err);
    hf__bind_int(&query, last.seq);
    hf__bind_text(&query, content);
    hf__bind_int(&query, position);
    return hf__query_do(&query);
}

int hf__store_updateContent(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int64_t position = 0;
    hf_message found = {.id = op->message_id};
    hf_text indexed = op->index != HF_NO ? op->content : (hf_text){NULL, 0};
    int code = find_content(store, op->message_id, result, &position, &found, err);
    if (code != HF_OK) return code;
    if (found.state == HF_STATE_FINAL) {
        code = hf__index_change(store, position, indexed, err);
        return code == HF_OK ? edit(store, position, op->content, err) : code;
    }
    code = finalise(store, position, op->content, err);
    if (code == HF_OK && indexed.data != NULL) code = hf__index_add(store, position, indexed, err);
    return code == HF_OK ? hf__attend(store, &found, err) : code;
}

/* The reason, as an object to merge into the metadata. */
static int write_reason(hf_text reason, hf__buf *out, hf_error *err) {
    hf__buf_string(out, "{\"abortReason\":");
    hf__json_write_text(out, reason);
    hf__buf_char(out, '}');
    return hf__buf_check(out, "reason", err);
}

int hf__store_abort(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf__find_message(store, op->message_id, result, err);
    hf_message *message = result->message;
    if (code == HF_OK && message == NULL) code = hf__no_message(err, "messageId", op->message_id);
    if (code == HF_OK && message->state == HF_STATE_FINAL)
        code = hf__fail(err, HF_CONFLICT, "messageId: \"%.*s\" is final: expected a message that is not",
                        (int)op->message_id.size, op->message_id.data);
    if (code != HF_OK || message->state == HF_STATE_ABORTED) return code;
    if (op->reason.data != NULL) {
        hf__buf updates;
        hf__buf_init(&updates, 0);
        code = write_reason(op->reason, &updates, err);
        if (code == HF_OK)
            code = hf__merge_metadata(store, message->metadata, hf__buf_view(&updates), result,
                                      &message->metadata, err);
        hf__buf_free(&updates);
        if (code != HF_OK) return code;
    }
    message->state = HF_STATE_ABORTED;
    hf__query abort = hf__query_start(store, HF__SQL_ANCHOR_ABORT, err);
    hf__bind_text(&abort, message->metadata);
    hf__bind_text(&abort, message->id);
    return hf__query_do(&abort);
}

/* ---- read -------------------------------------------------------------------------------------- */

static int read_deltas(hf__store *store, int64_t position, int64_t after, hf__rows *rows, hf_result *result,
                       hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_DELTAS, err);
    bind_keys(&query, position, after);
    while (hf__query_row(&query)) {
        hf_delta *delta = hf__rows_next(rows, result);
        if (delta == NULL) {
            hf__query_fail(&query, hf__fail_memory(err));
            break;
        }
        delta->seq = hf__read_int(&query) - key_of(position, 0);
        delta->delta = hf__read_text(&query, result);
        if (query.code != HF_OK) break;
        int code = hf__row_check(&hf__delta_record, delta, err);
        if (code != HF_OK) hf__query_fail(&query, code);
    }
    return hf__query_end(&query);
}

/* The deltas behind `after` of a message that is not final, and the seq of its last one. */
static int read_stream(hf__store *store, int64_t position, int64_t after, hf_result *result, hf_error *err) {
    last_delta last = {0};
    hf__rows rows;
    int code = hf__rows_start(&rows, sizeof(hf_delta), result, err);
    if (code == HF_OK) code = read_deltas(store, position, after, &rows, result, err);
    if (code != HF_OK) return code;
    result->deltas = rows.data;
    result->deltas_count = rows.count;
    if (rows.count > 0)
        last.seq = result->deltas[rows.count - 1].seq;
    else
        code = find_last(store, position, (hf_text){NULL, 0}, &last, err);
    result->seq = last.seq;
    return code;
}

/* The row of the message stays under its statement, and with it the state of the store that its deltas are read in. */
int hf__store_read(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_ANCHOR_READ, err);
    hf__bind_text(&query, op->message_id);
    bool found = hf__query_row(&query);
    if (found) {
        int64_t position = hf__read_int(&query);
        result->state = hf__state_of(hf__read_view(&query));
        result->seq = hf__read_int(&query);
        int code = query.code;
        if (code == HF_OK && result->state == HF_STATE_ABSENT)
            code = hf__fail(err, HF_CORRUPT, "messages, id \"%.*s\": its state is none",
                            (int)op->message_id.size, op->message_id.data);
        if (code == HF_OK && result->state != HF_STATE_FINAL)
            code = read_stream(store, position, op->after_seq, result, err);
        if (code != HF_OK) hf__query_fail(&query, code);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && !found ? hf__no_message(err, "messageId", op->message_id) : code;
}
