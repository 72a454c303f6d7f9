/* Text that grows: one allocation that doubles, a maximum, and a failure that sticks until it is asked for. */
#include "base/buf.h"

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

void hf__buf_init(hf__buf *buf, size_t max) {
    memset(buf, 0, sizeof *buf);
    buf->max = max;
}

void hf__buf_free(hf__buf *buf) {
    hf__free(buf->data);
    hf__buf_init(buf, buf->max);
}

void hf__buf_clear(hf__buf *buf) {
    buf->size = 0;
    buf->state = HF__BUF_OK;
    if (buf->data != NULL) buf->data[0] = '\0';
}

/* Makes room for `more` bytes and the NUL behind them. */
static bool reserve(hf__buf *buf, size_t more) {
    if (buf->state != HF__BUF_OK) return false;
    if (buf->max != 0 && more > buf->max - buf->size) {
        buf->state = HF__BUF_TOO_LONG;
        return false;
    }
    if (more < buf->capacity - buf->size) return true;
    if (more >= SIZE_MAX / 4 - buf->size) {
        buf->state = HF__BUF_NO_MEMORY;
        return false;
    }
    size_t capacity = buf->capacity != 0 ? buf->capacity * 2 : 128;
    if (capacity < buf->size + more + 1) capacity = buf->size + more + 1;
    char *data = hf__realloc(buf->data, capacity);
    if (data == NULL) {
        buf->state = HF__BUF_NO_MEMORY;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void hf__buf_add(hf__buf *buf, const void *data, size_t size) {
    if (!reserve(buf, size)) return;
    if (size != 0) memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    buf->data[buf->size] = '\0';
}

void hf__buf_text(hf__buf *buf, hf_text text) {
    hf__buf_add(buf, text.data, text.size);
}

void hf__buf_string(hf__buf *buf, const char *string) {
    hf__buf_add(buf, string, strlen(string));
}

void hf__buf_char(hf__buf *buf, char c) {
    hf__buf_add(buf, &c, 1);
}

int hf__buf_check(const hf__buf *buf, const char *what, hf_error *err) {
    switch (buf->state) {
    case HF__BUF_OK: return HF_OK;
    case HF__BUF_NO_MEMORY: return hf__fail_memory(err);
    case HF__BUF_TOO_LONG: break;
    }
    return hf__fail(err, HF_INVALID, "%s: found more than %zu bytes, expected at most that many", what,
                    buf->max);
}

hf_text hf__buf_view(const hf__buf *buf) {
    hf_text view = {buf->data != NULL ? buf->data : "", buf->size};
    return view;
}

char *hf__buf_take(hf__buf *buf, size_t *size) {
    char *data = buf->data;
    if (size != NULL) *size = buf->size;
    hf__buf_init(buf, buf->max);
    return data;
}
