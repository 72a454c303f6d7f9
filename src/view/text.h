/* What the disk view is made of: the names of its folders and the lines of its files, as text. */
#ifndef HF_VIEW_TEXT_H
#define HF_VIEW_TEXT_H

#include "base/arena.h"
#include "base/buf.h"

enum { HF__VIEW_NAME = 256 };

/*
 * The name of the folder of a conversation: the time, an underscore, and the id in which each byte outside
 * [A-Za-z0-9._-], and a dot at its start, is %XX. An id that would then be too long for a file system is a tilde
 * and its base32 instead. Either can be undone, so that no two ids share a name.
 * HF_INVALID: an id of no or of more than 128 bytes.
 */
int hf__view_name(char out[HF__VIEW_NAME], int64_t created_at, hf_text id, hf_error *err);

/* Writes the line of a message, its newline included: id, role, ts, content as flat text, toolCalls, toolResults,
 * metadata; what is empty is left out. */
int hf__view_write_line(hf__buf *buf, const hf_message *message, hf_error *err);

/* Writes meta.json, on one line. */
int hf__view_write_meta(hf__buf *buf, const hf_conversation *conversation, int64_t created_at, hf_error *err);

/* What a meta.json says of the folder it lies in, in `arena`; `id` is absent where it is none of ours. */
int hf__view_read_meta(hf__arena *arena, hf_text meta, hf_text *id, int64_t *created_at, hf_error *err);

#endif
