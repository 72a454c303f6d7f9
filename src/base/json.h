/* The one JSON codec, and the only user of cJSON: lossless, or refusing. */
#ifndef HF_BASE_JSON_H
#define HF_BASE_JSON_H

#include "base/buf.h"
#include "base/value.h"

enum { HF__JSON_DEPTH = 1000 }; /* the deepest nesting that is ever read */

/*
 * Reads one JSON value. Refused with HF_INVALID and a message that bears the byte offset: what is not
 * RFC 8259, ill-formed UTF-8, a NUL byte or \u0000, a lone surrogate, a duplicate key, nesting beyond
 * `max_depth` (HF__JSON_DEPTH at most), an integer beyond 64 bits, another number that is not finite, needs more
 * than 17 digits or falls to 0, a number spelt in more than 63 bytes, anything after the value. The tree lives in `arena`, its `raw` parts in `json`.
 */
int hf__json_parse(hf__arena *arena, hf_text json, size_t max_depth, const hf__value **out, hf_error *err);

/* Checks, as hf__json_parse does, that `json` is one object, and keeps nothing. */
int hf__json_check_object(hf_text json, size_t max_depth, hf_error *err);

/* Writes a value as compact JSON. Reals print so that they read back as the same real. A `raw` part
 * is not used. */
void hf__json_write(hf__buf *buf, const hf__value *value);
void hf__json_write_text(hf__buf *buf, hf_text text); /* quoted and escaped */
void hf__json_write_int(hf__buf *buf, int64_t integer);
void hf__json_write_real(hf__buf *buf, double real); /* must be finite */

/* Writes the object `base` with the members of `updates` over it: a key of both takes the bytes of
 * `updates` in the place that it has in `base`, other keys of `base` keep their bytes, new keys follow
 * in order. Both must have passed hf__json_check_object; `base` may be absent. */
int hf__json_merge(hf__buf *buf, hf_text base, hf_text updates, size_t max_depth, hf_error *err);

#endif
