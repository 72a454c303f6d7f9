/* Text that grows, up to a maximum set at its birth. */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include "holdfast.h"

typedef enum { HF__BUF_OK, HF__BUF_NO_MEMORY, HF__BUF_TOO_LONG } hf__buf_state;

/* A failed append sets `state` and makes every later one do nothing: check once, at the end. */
typedef struct hf__buf {
    char *data; /* ends in NUL once anything was put in; NULL before */
    size_t size;
    size_t capacity;
    size_t max;
    hf__buf_state state;
} hf__buf;

void hf__buf_init(hf__buf *buf, size_t max); /* max 0: as much as memory holds */
void hf__buf_free(hf__buf *buf);
void hf__buf_clear(hf__buf *buf); /* keeps the memory */
void hf__buf_add(hf__buf *buf, const void *data, size_t size);
void hf__buf_text(hf__buf *buf, hf_text text);
void hf__buf_string(hf__buf *buf, const char *string);
void hf__buf_char(hf__buf *buf, char c);

/* HF_OK, or HF_MEMORY or HF_INVALID with a message that calls the text `what`. */
int hf__buf_check(const hf__buf *buf, const char *what, hf_error *err);

/* The text so far; valid until the next call on `buf`. */
hf_text hf__buf_view(const hf__buf *buf);

/* Hands the memory over to the caller (to be given to hf__free) and leaves `buf` empty. */
char *hf__buf_take(hf__buf *buf, size_t *size);

#endif
