/*
 * The text of a content, as the index and the disk view want it. A content is a list of blocks where it is a JSON
 * array whose every element is an object with a text member `type`; anything else is text by itself, whatever it
 * looks like. Only memory can make these fail.
 */
#ifndef HF_BASE_FLAT_H
#define HF_BASE_FLAT_H

#include "base/value.h"

/* The blocks of a content, as a list; NULL where it has none. They live in `arena`, and borrow from `content`. */
int hf__flat_blocks(hf__arena *arena, hf_text content, const hf__value **blocks, hf_error *err);

/* The texts of the blocks of type "text", joined by a newline; in `arena`. */
int hf__flat_join(hf__arena *arena, const hf__value *blocks, hf_text *out, hf_error *err);

/* The text of a content: its blocks joined, or a view of the content itself where it has none. */
int hf__flat_text(hf__arena *arena, hf_text content, hf_text *out, hf_error *err);

#endif
