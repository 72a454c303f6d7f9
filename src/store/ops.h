/* The functions that answer the ops, one for each op of the list, and what they share. */
#ifndef HF_STORE_OPS_H
#define HF_STORE_OPS_H

#include "store/stmt.h"

/* int hf__store_NAME(store, op, result, err): lookups come first, so that what can fail for the op's sake
 * fails before anything is written. */
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) \
    int hf__store_##name(hf__store *store, const hf_op *op, hf_result *result, hf_error *err);
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"

#define HF__PLACEHOLDER "[]" /* what a reserved message's content reads as */

/* ---- Shared by the writes ---------------------------------------------------------------------- */

/* The time of what is written now: never before the newest row or what this handle ever gave out, and after
 * `updated_at`, the last time of the conversation. So it keeps rising when the clock does not. */
int64_t hf__next_time(hf__store *store, int64_t newest, int64_t updated_at);

/* Copies a text that was given into `result`; leaves `out` alone where it was not. Whether memory sufficed. */
bool hf__copy_text(hf_result *result, hf_text given, hf_text *out);

/* A copy of the message with all its texts in the memory of `result`, NULL where that ran out. */
hf_message *hf__copy_message(hf_result *result, const hf_message *message);

/* `base`, which may be absent, with `updates` merged over it, in the memory of `result`. */
int hf__merge_metadata(hf__store *store, hf_text base, hf_text updates, hf_result *result, hf_text *out,
                       hf_error *err);

/* Stores a message, unless its id, its client's id in the conversation or its place is taken: `stored` says. */
int hf__insert_message(hf__store *store, const hf_message *message, int64_t position, bool *stored,
                       hf_error *err);
int hf__fail_unstored(hf_error *err, const char *what, hf_text id); /* where that cannot be */

/* Of many messages in a row, the row of their conversation is written for the first and the last: this writes what is due,
 * before anything but an `add` or `reserve` looks at it, and before a mark, so that an undo need but forget it. */
int hf__growth_write(hf__store *store, hf_error *err);
void hf__growth_forget(hf__store *store);

int hf__insert_conversation(hf__store *store, const hf_conversation *conversation, bool *stored,
                            hf_error *err);
int hf__find_newest(hf__store *store, int64_t *newest, hf_error *err); /* the latest time in the store */

/* ---- Anchors ----------------------------------------------------------------------------------- */

/* Makes this handle one that can own anchors: store->owner_id is set after it. */
int hf__anchor_own(hf__store *store, hf_error *err);

/* Looks at the owner of an anchor that is about to be written to. Where it is dead, its anchors become
 * interrupted, and `dead` (may be NULL) is set. */
int hf__anchor_meet(hf__store *store, hf_text owner, bool *dead, hf_error *err);

/* The same for a message that an op finds stored already, and its state. */
int hf__anchor_repeat(hf__store *store, hf_message *message, hf_result *result, hf_error *err);

/* Makes the anchors of every dead owner interrupted. Called outside a transaction. */
int hf__anchors_recover(hf__store *store, hf_error *err);

/* Takes away the files of owners that died, if that can be done. Called outside a transaction. */
void hf__anchors_sweep(hf__store *store);

/* Makes them interrupted after a transaction that met one. It needs one of its own, as a failed op's writes are undone. */
void hf__anchors_settle(hf__store *store);

/* What was streamed so far into the message at `position`; leaves `out` alone where nothing was. */
int hf__stream_text(hf__store *store, int64_t position, hf_result *result, hf_text *out, hf_error *err);

/* ---- Projections ------------------------------------------------------------------------------- */

/* The search index, under the position of a message. The text of its content goes in, absent or empty for none, in
 * the place of what somebody's own DELETE left there; is taken out (`found`: whether it was in), or those of a whole
 * conversation; or gives way to that of another content, absent for none. */
int hf__index_add(hf__store *store, int64_t position, hf_text content, hf_error *err);
int hf__index_remove(hf__store *store, int64_t position, bool *found, hf_error *err);
int hf__index_remove_all(hf__store *store, hf_text conversation_id, hf_error *err);
int hf__index_change(hf__store *store, int64_t position, hf_text content, hf_error *err);

/* Whether it is of the role of answers. */
bool hf__is_answer(const hf_message *message);

/* A message became final: the newest answer of its conversation, where it is one. */
int hf__attend(hf__store *store, const hf_message *message, hf_error *err);

/* The conversation was seen up to that message. */
int hf__see(hf__store *store, hf_text conversation_id, hf_text message_id, int64_t created_at, hf_error *err);

/* ---- Rows -------------------------------------------------------------------------------------- */

/* Rows that grow by doubling, in the memory of the result. */
typedef struct hf__rows {
    void *data;
    size_t count, room, size;
} hf__rows;

int hf__rows_start(hf__rows *rows, size_t size, hf_result *result, hf_error *err);
void *hf__rows_next(hf__rows *rows, hf_result *result); /* NULL where memory ran out */

/* The next columns of HF__MESSAGE_COLUMNS. The state stands first, so that an unwanted row costs no more. The statement
 * does not give what is known: the `id`, absent where it is not, and in `out`, which is zeroed else. */
hf_state hf__read_state(hf__query *query, hf_text id);
void hf__read_message(hf__query *query, hf_state state, hf_result *result, hf_message *out);

/* Makes `code`, which a check of a stored row gave, an error that names the row. Returns the code. */
int hf__row_fail(const char *table, hf_text id, int code, hf_error *err);

/* Runs a query of HF__MESSAGE_COLUMNS for at most one row, which becomes result->message, and ends it. `id` is the
 * message's where it is known, else absent. */
int hf__query_message(hf__query *query, hf_text id, hf_result *result);

/* A message by its id, as result->message; a conversation, as result->conversation; NULL where there is none. */
int hf__find_message(hf__store *store, hf_text id, hf_result *result, hf_error *err);
int hf__find_conversation(hf__store *store, hf_text id, hf_result *result, hf_error *err);

/* What of it was seen, as result->attention: NULL where there is nothing to see; or HF_NOT_FOUND. */
int hf__find_attention(hf__store *store, hf_text id, hf_result *result, hf_error *err);

/* Where a conversation stands in the order of activity, or HF_NOT_FOUND. `field` is the op's that names it;
 * both numbers may be NULL. */
int hf__find_place(hf__store *store, const char *field, hf_text id, int64_t *updated_at, int64_t *position,
                   hf_error *err);

/* Nothing was found of a conversation, which came to `code`: HF_NOT_FOUND where it is not there itself. */
int hf__name_missing(hf__store *store, hf_text conversation_id, int code, hf_error *err);

/* A message of a conversation, or HF_NOT_FOUND. */
typedef struct hf__cursor {
    int64_t position, created_at;
    hf_state state;
} hf__cursor;
int hf__find_cursor(hf__store *store, const char *field, hf_text id, hf_text conversation_id, hf__cursor *out,
                    hf_error *err);

/* The newest final message of a conversation; `id` is left alone where there is none. */
int hf__find_newest_final(hf__store *store, hf_text conversation_id, hf_result *result, hf_text *id,
                          hf__cursor *out, hf_error *err);

int hf__no_conversation(hf_error *err, const char *field, hf_text id);
int hf__no_message(hf_error *err, const char *field, hf_text id);

#endif
