/*
 * The shape of chat APIs - {"id","title","messages":[{"role","content",...}]} - and what of it goes where in
 * a store. Both directions are here, so that the one undoes the other.
 *
 * `id`, `title`, `role` and `content` have columns. All other keys go to `metadata.chat`, which is the
 * object as it came, in its order, but with the *type* of the value in place of what has a column:
 *
 *   {"role":"assistant","content":null,"tool_calls":[...]}
 *   metadata {"chat":{"role":"text","content":"null","tool_calls":[...]}}, content "[]"
 *
 * An object that is just {"role","content"} or {"id","title","messages"} of the usual types needs none.
 */
#ifndef HF_CLI_CHAT_H
#define HF_CLI_CHAT_H

#include "base/buf.h"
#include "base/value.h"

/* Reads a dialog into a createConversation, and gives its list of messages. */
int hf__chat_read_dialog(hf__arena *arena, const hf__value *dialog, hf_op *out, const hf__value **messages,
                         hf_error *err);

/* Reads the message at `position`, counted from 1, of the dialog into an `add`. */
int hf__chat_read_message(hf__arena *arena, const hf__value *message, hf_text dialog_id, size_t position,
                          hf_op *out, hf_error *err);

/* The id of the message at `position` of a dialog. */
int hf__chat_make_id(hf__arena *arena, hf_text dialog_id, size_t position, hf_text *out, hf_error *err);

/* The first key, in `arena`, at which the metadata.chat that is stored is not what the op - read as above - would
 * store; absent where they agree. Other metadata is not import's. */
hf_text hf__chat_difference(hf__arena *arena, const hf_op *op, hf_text stored_metadata);

/* Writes what was read back, from rows as the engine answers them. `messages` is the JSON of the list. */
void hf__chat_write_dialog(hf__buf *buf, const hf__value *conversation, hf_text messages);
void hf__chat_write_message(hf__buf *buf, const hf__value *message);

#endif
