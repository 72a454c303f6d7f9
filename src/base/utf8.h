/* What text may be: UTF-8 without NUL. */
#ifndef HF_BASE_UTF8_H
#define HF_BASE_UTF8_H

#include <stdbool.h>

#include "holdfast.h"

/* The offset of the first byte that is NUL or no part of well-formed UTF-8 (RFC 3629: no overlong
 * forms, no surrogates, nothing past U+10FFFF); `size` where all is well. */
size_t hf__utf8_check(const char *data, size_t size);

/* The largest length <= `limit` at which well-formed text can be cut without splitting a character. */
size_t hf__utf8_cut(const char *data, size_t size, size_t limit);

/* Whether all of it is ASCII without control characters: well-formed, and nothing more to look for. */
bool hf__utf8_is_printable_ascii(const char *data, size_t size);

/* Whether `data` has a control character: U+0000 to U+001F, U+007F, U+0080 to U+009F. */
bool hf__utf8_has_control(const char *data, size_t size);

#endif
