/* JSON that stays text: finding values in it, and joining pieces of it. See json_text.h. */
#define _POSIX_C_SOURCE 200809L /* strdup */

#include "json_text.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_NESTING = 500 };

static const char DIGITS[] = "0123456789";
static const char HEX_DIGITS[] = "0123456789abcdefABCDEF";

/* ---- Skipping: each returns what follows the value, or NULL where there is none ------------------ */

static const char *skip_space(const char *at) {
    return at + strspn(at, " \t\r\n");
}

static const char *skip_string(const char *at) {
    if (*at++ != '"') return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) return NULL; /* the NUL at the end included */
        if (*at != '\\') continue;
        at++;
        if (*at == 'u') {
            if (strspn(at + 1, HEX_DIGITS) < 4) return NULL;
        } else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *skip_digits(const char *at) {
    size_t digits = strspn(at, DIGITS);
    return digits > 0 ? at + digits : NULL;
}

static const char *skip_number(const char *at) {
    if (*at == '-') at++;
    at = *at == '0' ? at + 1 : skip_digits(at);
    if (at != NULL && *at == '.') at = skip_digits(at + 1);
    if (at != NULL && (*at == 'e' || *at == 'E')) {
        at++;
        if (*at == '+' || *at == '-') at++;
        at = skip_digits(at);
    }
    return at;
}

static const char *skip_value(const char *at, int depth);

static const char *skip_container(const char *at, int depth) {
    bool object = *at == '{';
    char close = object ? '}' : ']';
    if (depth == 0) return NULL;
    at = skip_space(at + 1);
    if (*at == close) return at + 1;
    for (;;) {
        if (object) {
            if ((at = skip_string(at)) == NULL) return NULL;
            at = skip_space(at);
            if (*at++ != ':') return NULL;
        }
        if ((at = skip_value(skip_space(at), depth - 1)) == NULL) return NULL;
        at = skip_space(at);
        if (*at == close) return at + 1;
        if (*at++ != ',') return NULL;
        at = skip_space(at);
    }
}

static const char *skip_value(const char *at, int depth) {
    if (*at == '"') return skip_string(at);
    if (*at == '{' || *at == '[') return skip_container(at, depth);
    if (strncmp(at, "true", 4) == 0 || strncmp(at, "null", 4) == 0) return at + 4;
    if (strncmp(at, "false", 5) == 0) return at + 5;
    return skip_number(at);
}

/* ---- Finding ------------------------------------------------------------------------------------- */

static hf_text between(const char *start, const char *end) {
    return (hf_text){start, (size_t)(end - start)};
}

bool json_valid(hf_text json) {
    if (json.data == NULL) return false;
    const char *end = skip_value(skip_space(json.data), MAX_NESTING);
    return end != NULL && skip_space(end) == json.data + json.size;
}

bool json_each(hf_text *rest, hf_text *key, hf_text *value) {
    *key = (hf_text){0};
    if (rest->data == NULL || rest->size == 0) return false;
    const char *limit = rest->data + rest->size;
    const char *at = skip_space(rest->data);
    if (*at != '{' && *at != '[' && *at != ',') return false; /* '}' or ']' among them: the end */
    at = skip_space(at + 1);
    if (*at == '}' || *at == ']') return false;

    const char *end = skip_value(at, MAX_NESTING);
    if (*skip_space(end) == ':') {
        *key = json_body(between(at, end));
        at = skip_space(skip_space(end) + 1);
        end = skip_value(at, MAX_NESTING);
    }
    *value = between(at, end);
    *rest = between(skip_space(end), limit);
    return true;
}

hf_text json_member(hf_text object, const char *key) {
    size_t size = strlen(key);
    hf_text rest = object, name, value;
    while (json_each(&rest, &name, &value)) {
        if (name.size != size || name.data == NULL || memcmp(name.data, key, size) != 0) continue;
        return *value.data == 'n' ? (hf_text){0} : value;
    }
    return (hf_text){0};
}

hf_text json_body(hf_text string) {
    if (string.data == NULL || *string.data != '"') return (hf_text){0};
    return (hf_text){string.data + 1, string.size - 2};
}

bool json_is(hf_text value, const char *string) {
    hf_text body = json_body(value);
    return body.data != NULL && body.size == strlen(string) && memcmp(body.data, string, body.size) == 0;
}

long json_long(hf_text value) {
    return value.data != NULL ? strtol(value.data, NULL, 10) : 0;
}

char *json_decode(hf_text string) {
    if (string.data == NULL) return NULL;
    cJSON *parsed = cJSON_ParseWithLength(string.data, string.size);
    const char *decoded = cJSON_GetStringValue(parsed);
    char *copy = decoded != NULL ? need(strdup(decoded)) : NULL;
    cJSON_Delete(parsed);
    return copy;
}

/* ---- Joining ------------------------------------------------------------------------------------- */

void *need(void *memory) {
    if (memory != NULL) return memory;
    fputs("agent_host: out of memory\n", stderr);
    exit(EXIT_FAILURE);
}

void text_add(struct text *text, hf_text piece) {
    if (piece.size >= text->capacity - text->size) {
        text->capacity = 2 * text->capacity + piece.size + 1;
        text->data = need(realloc(text->data, text->capacity));
    }
    if (piece.size > 0) memcpy(text->data + text->size, piece.data, piece.size);
    text->size += piece.size;
    text->data[text->size] = '\0';
}

void text_puts(struct text *text, const char *string) {
    text_add(text, hf_text_of(string));
}

void text_quote(struct text *text, const char *string) {
    cJSON *value = need(cJSON_CreateStringReference(string));
    char *quoted = need(cJSON_PrintUnformatted(value));
    text_puts(text, quoted);
    cJSON_free(quoted);
    cJSON_Delete(value);
}

void text_clear(struct text *text) {
    text->size = 0;
    if (text->data != NULL) *text->data = '\0';
}

void text_free(struct text *text) {
    free(text->data);
    *text = (struct text){0};
}

hf_text text_view(const struct text *text) {
    return text->data != NULL ? between(text->data, text->data + text->size) : hf_text_of("");
}
