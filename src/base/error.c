/*
 * Errors: the names of the codes, and the one place where an hf_error is filled. What SQLite, Lua or a
 * layer makes of an error is left to the rooms that speak to them.
 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

static const char *const names[] = {"ok",
#define XX(symbol, name, advice) name,
                                    HF_CODE_MAP(XX)
#undef XX
};

enum { NAMES = sizeof names / sizeof *names };

const char *hf_code_name(int code) {
    return code >= 0 && code < NAMES ? names[code] : NULL;
}

hf_code hf__code_of(const char *name) {
    for (int code = HF_OK + 1; code < NAMES; code++)
        if (strcmp(names[code], name) == 0) return (hf_code)code;
    return HF_LAYER;
}

void hf__error_copy(char *buffer, size_t size, const char *text, size_t length, int one_line) {
    size_t kept = hf__utf8_cut(text, length, size - 1);
    memmove(buffer, text, kept);
    buffer[kept] = '\0';
    /* Texts come from anywhere, but an error has to fit into JSON. */
    for (size_t at = hf__utf8_check(buffer, kept); at < kept; at += hf__utf8_check(buffer + at, kept - at))
        buffer[at++] = '?';
    if (!one_line) return;
    for (char *c = buffer; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F) *c = ' ';
}

/* Arguments may point into `err`: the text is complete before `err` is touched. It is a little longer than
 * what fits, so that the cut sees where the last character begins. */
enum { ROOM = sizeof(((hf_error *)0)->message) + 4 };

int hf__fail(hf_error *err, hf_code code, const char *format, ...) {
    if (err == NULL) return code;
    char text[ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    memset(err, 0, sizeof *err);
    err->code = code;
    hf__error_copy(err->name, sizeof err->name, names[code], strlen(names[code]), 1);
    hf__error_copy(err->message, sizeof err->message, text, strlen(text), 1);
    return code;
}

int hf__fail_memory(hf_error *err) {
    return hf__fail(err, HF_MEMORY, "out of memory");
}

void hf__error_prefix(hf_error *err, const char *format, ...) {
    if (err == NULL) return;
    char text[ROOM];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, "%s", err->message);
    hf__error_copy(err->message, sizeof err->message, text, strlen(text), 1);
}
