/* JSON out: compact, and such that reading it back gives the same value. Reading is json.c's. */
#include "base/json.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

void hf__json_write_text(hf__buf *buf, hf_text text) {
    static const char short_escapes[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
    };
    static const char digits[] = "0123456789abcdef";
    hf__buf_char(buf, '"');
    size_t done = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        hf__buf_add(buf, text.data + done, i - done);
        done = i + 1;
        char letter = c >= 0x20 ? (char)c : short_escapes[c];
        const char escape[6] = {'\\',          letter != '\0' ? letter : 'u', '0', '0', digits[c >> 4],
                                digits[c & 15]};
        hf__buf_add(buf, escape, letter != '\0' ? 2 : sizeof escape);
    }
    hf__buf_add(buf, text.data + done, text.size - done);
    hf__buf_char(buf, '"');
}

void hf__json_write_int(hf__buf *buf, int64_t integer) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRId64, integer);
    hf__buf_string(buf, digits);
}

void hf__json_write_real(hf__buf *buf, double real) {
    char digits[32 + MB_LEN_MAX];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (strtod(digits, NULL) == real) break;
    }
    /* Whatever is no part of a number in JSON is the decimal point of the locale. */
    bool marked = false;
    for (const char *c = digits; *c != '\0'; c++) {
        if (strchr("0123456789+-e", *c) != NULL) {
            marked = marked || *c == 'e';
            hf__buf_char(buf, *c);
        } else if (!marked) {
            marked = true;
            hf__buf_char(buf, '.');
        }
    }
    if (!marked) hf__buf_string(buf, ".0");
}

static void write_items(hf__buf *buf, const hf__value *parent) {
    for (const hf__value *item = parent->is.items.first; item != NULL; item = item->next) {
        if (item != parent->is.items.first) hf__buf_char(buf, ',');
        if (parent->type == HF__MAP) {
            hf__json_write_text(buf, item->key);
            hf__buf_char(buf, ':');
        }
        hf__json_write(buf, item);
    }
}

void hf__json_write(hf__buf *buf, const hf__value *value) {
    switch (value->type) {
    case HF__NULL: hf__buf_string(buf, "null"); break;
    case HF__BOOL: hf__buf_string(buf, value->is.boolean ? "true" : "false"); break;
    case HF__INT: hf__json_write_int(buf, value->is.integer); break;
    case HF__REAL: hf__json_write_real(buf, value->is.real); break;
    case HF__TEXT: hf__json_write_text(buf, value->is.text); break;
    case HF__LIST:
        hf__buf_char(buf, '[');
        write_items(buf, value);
        hf__buf_char(buf, ']');
        break;
    case HF__MAP:
        hf__buf_char(buf, '{');
        write_items(buf, value);
        hf__buf_char(buf, '}');
        break;
    }
}
