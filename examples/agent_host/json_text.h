/*
 * JSON that stays text. What a provider sent is cut out of its chunk and put into the stored content
 * byte for byte, so no number loses digits and no key changes its place on the way. Only what the host
 * itself must understand is decoded, by cJSON.
 *
 * Every JSON text handed in here is followed by a NUL byte, as lines, buffers and Holdfast's results are.
 */
#ifndef AGENT_HOST_JSON_TEXT_H
#define AGENT_HOST_JSON_TEXT_H

#include "holdfast.h"

#include <stdbool.h>

/* True where `json` is one well-formed JSON value and nothing else. The other functions, but for those
 * of `struct text`, take only values that passed, or parts of them. */
bool json_valid(hf_text json);

/* Walks an object or a list: `rest` starts as the container. Gives each value, and for an object its
 * key, without quotes; false at the end, and at once for what is no container. */
bool json_each(hf_text *rest, hf_text *key, hf_text *value);

/* The value of a key; absent where `object` has no such key, or null there, or is no object. */
hf_text json_member(hf_text object, const char *key);

/* What stands between the quotes of a string, still escaped; absent for any other value. */
hf_text json_body(hf_text string);

/* Whether a value is the string `string`, which needs no escapes. */
bool json_is(hf_text value, const char *string);

/* A whole number, 0 for anything else. */
long json_long(hf_text value);

/* The string without its escapes, for the caller to free; NULL for what is no string, or has half a
 * surrogate pair. */
char *json_decode(hf_text string);

/* Text that grows. It ends in NUL once anything was put in; zero it before its first use. A program
 * this small ends when memory does: the reply that it was receiving is recovered at its next start. */
struct text {
    char *data;
    size_t size;
    size_t capacity;
};

void text_add(struct text *text, hf_text piece);
void text_puts(struct text *text, const char *string);
void text_quote(struct text *text, const char *string); /* as a JSON string */
void text_clear(struct text *text);                     /* keeps the memory */
void text_free(struct text *text);
hf_text text_view(const struct text *text); /* never absent */

/* Memory, or the end of the program. */
void *need(void *memory);

#endif
