/* The birth of every error: one function, so that one breakpoint sees them all. */
#ifndef HF_BASE_ERROR_H
#define HF_BASE_ERROR_H

#include "holdfast.h"

/* Fills `err` (may be NULL) with `code` and a formatted message, cut at a UTF-8 boundary, and empties
 * the rest of it. Returns `code`. */
int hf__fail(hf_error *err, hf_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failed allocation. */
int hf__fail_memory(hf_error *err);

/* Puts formatted text before the message of `err` (may be NULL): where in the whole the failure was. */
void hf__error_prefix(hf_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies `text` into a fixed buffer of an hf_error: cut at a UTF-8 boundary, control bytes made blanks
 * where `one_line` is set. */
void hf__error_copy(char *buffer, size_t size, const char *text, size_t length, int one_line);

/* The code whose name is `name`; HF_LAYER for any other name. */
hf_code hf__code_of(const char *name);

#endif
