/* One assistant message while it streams in: how blocks open, grow and close. See reply.h. */
#define _POSIX_C_SOURCE 200809L /* strndup */

#include "reply.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Fields -------------------------------------------------------------------------------------- */

static struct field *find_field(const struct block *block, hf_text key) {
    for (size_t i = 0; i < block->count; i++) {
        struct field *field = &block->fields[i];
        if (strlen(field->key) == key.size && memcmp(field->key, key.data, key.size) == 0) return field;
    }
    return NULL;
}

static struct field *make_field(struct block *block, hf_text key) {
    struct field *field = find_field(block, key);
    if (field != NULL) return field;
    block->fields = need(realloc(block->fields, (block->count + 1) * sizeof *block->fields));
    field = &block->fields[block->count++];
    *field = (struct field){.key = need(strndup(key.data, key.size))};
    return field;
}

static void set_field(struct block *block, hf_text key, hf_text value) {
    struct field *field = make_field(block, key);
    field->kind = *value.data == '"' ? FIELD_STRING : *value.data == '[' ? FIELD_LIST : FIELD_VALUE;
    text_clear(&field->value);
    if (field->kind == FIELD_VALUE)
        text_add(&field->value, value);
    else
        text_add(&field->value, (hf_text){value.data + 1, value.size - 2});
}

static void free_field(struct field *field) {
    free(field->key);
    text_free(&field->value);
}

static void drop_field(struct block *block, struct field *field) {
    size_t after = (size_t)(block->fields + block->count - field) - 1;
    free_field(field);
    memmove(field, field + 1, after * sizeof *field);
    block->count--;
}

static void clear_block(struct block *block) {
    for (size_t i = 0; i < block->count; i++)
        free_field(&block->fields[i]);
    free(block->fields);
    block->fields = NULL;
    block->count = 0;
}

static void write_block(const struct block *block, struct text *out) {
    static const char *const open[] = {":", ":\"", ":["};
    static const char *const close[] = {"", "\"", "]"};
    for (size_t i = 0; i < block->count; i++) {
        const struct field *field = &block->fields[i];
        text_puts(out, i == 0 ? "{\"" : ",\"");
        text_puts(out, field->key);
        text_puts(out, "\"");
        text_puts(out, open[field->kind]);
        text_add(out, text_view(&field->value));
        text_puts(out, close[field->kind]);
    }
    text_puts(out, block->count == 0 ? "{}" : "}");
}

/* ---- Replies ------------------------------------------------------------------------------------- */

static void start_event(struct reply *reply, const struct block *block) {
    char index[48];
    snprintf(index, sizeof index, "\"index\":%zu", (size_t)(block - reply->blocks));
    text_clear(&reply->scratch);
    text_puts(&reply->scratch, index);
}

static void send_event(struct reply *reply, const char *event) {
    reply->event(reply->data, event, text_view(&reply->scratch));
}

static void send_block(struct reply *reply, const char *event, const struct block *block) {
    start_event(reply, block);
    text_puts(&reply->scratch, ",\"content_block\":");
    write_block(block, &reply->scratch);
    send_event(reply, event);
}

static bool is_text(hf_text key) {
    return key.size == 4 && memcmp(key.data, "text", 4) == 0;
}

/* Blocks of other types may have a text too, which is not the answer's. */
static void send_text(struct reply *reply, const struct block *block, hf_text escaped) {
    const struct field *type = find_field(block, hf_text_of("type"));
    if (type != NULL && is_text(text_view(&type->value))) reply->text(reply->data, escaped);
}

void reply_begin(struct reply *reply, hf_text id) {
    for (size_t i = 0; i < reply->count; i++)
        clear_block(&reply->blocks[i]);
    reply->count = 0;
    reply->open = true;
    reply->ended = false;
    text_clear(&reply->stop_reason);
    text_clear(&reply->id);
    text_add(&reply->id, id);
}

void reply_free(struct reply *reply) {
    reply_begin(reply, (hf_text){0});
    free(reply->blocks);
    text_free(&reply->id);
    text_free(&reply->stop_reason);
    text_free(&reply->scratch);
    *reply = (struct reply){0};
}

struct block *reply_find(const struct reply *reply, long index, long part) {
    for (size_t i = reply->count; i-- > 0;) {
        struct block *block = &reply->blocks[i];
        if (block->index == index && block->part == part) return block;
    }
    return NULL;
}

struct block *reply_open(struct reply *reply, long index, long part, hf_text object) {
    reply->blocks = need(realloc(reply->blocks, (reply->count + 1) * sizeof *reply->blocks));
    struct block *block = &reply->blocks[reply->count++];
    *block = (struct block){.index = index, .part = part};
    reply_replace(block, object);
    const struct field *text = find_field(block, hf_text_of("text"));
    if (text != NULL) send_text(reply, block, text_view(&text->value));
    send_block(reply, "content_block_start", block);
    return block;
}

void reply_replace(struct block *block, hf_text object) {
    hf_text key, value;
    clear_block(block);
    while (json_each(&object, &key, &value) && key.data != NULL)
        set_field(block, key, value);
}

void reply_grow(struct reply *reply, struct block *block, hf_text delta) {
    hf_text rest = delta, key, value;
    if (delta.data == NULL) return;
    while (json_each(&rest, &key, &value) && key.data != NULL) {
        if (key.size == 4 && memcmp(key.data, "type", 4) == 0) continue;
        bool citation = key.size == 8 && memcmp(key.data, "citation", 8) == 0;
        struct field *field = find_field(block, citation ? hf_text_of("citations") : key);
        if (citation) {
            if (field == NULL || field->kind != FIELD_LIST) {
                set_field(block, hf_text_of("citations"), hf_text_of("[]"));
                field = find_field(block, hf_text_of("citations"));
            }
            if (field->value.size > 0) text_puts(&field->value, ",");
            text_add(&field->value, value);
        } else if (field != NULL && field->kind == FIELD_STRING) {
            text_add(&field->value, json_body(value)); /* nothing where it is no string */
            if (is_text(key)) send_text(reply, block, json_body(value));
        } else {
            set_field(block, key, value);
        }
    }
    start_event(reply, block);
    text_puts(&reply->scratch, ",\"delta\":");
    text_add(&reply->scratch, delta);
    send_event(reply, "content_block_delta");
}

void reply_grow_member(struct reply *reply, struct block *block, const char *type, const char *key,
                       hf_text value) {
    if (value.data == NULL) return;
    struct text delta = {0};
    text_puts(&delta, "{\"type\":\"");
    text_puts(&delta, type);
    text_puts(&delta, "\",\"");
    text_puts(&delta, key);
    text_puts(&delta, "\":");
    text_add(&delta, value);
    text_puts(&delta, "}");
    reply_grow(reply, block, text_view(&delta));
    text_free(&delta);
}

/* Makes `input` of the JSON text that came in pieces. The text goes in as it is, but for the white space
 * between its values, because an event is one line. */
static void settle_input(struct block *block) {
    struct field *partial = find_field(block, hf_text_of("partial_json"));
    if (partial == NULL) return;
    struct text string = {0};
    text_puts(&string, "\"");
    text_add(&string, text_view(&partial->value));
    text_puts(&string, "\"");
    char *input = json_decode(text_view(&string));
    if (input != NULL && json_valid(hf_text_of(input))) {
        cJSON_Minify(input);
        drop_field(block, partial);
        set_field(block, hf_text_of("input"), hf_text_of(input));
    } else if (partial->value.size == 0) {
        drop_field(block, partial);
    }
    free(input);
    text_free(&string);
}

void reply_close(struct reply *reply, struct block *block) {
    if (block->closed) return;
    settle_input(block);
    block->closed = true;
    send_block(reply, "content_block_stop", block);
}

void reply_close_all(struct reply *reply) {
    for (size_t i = 0; i < reply->count; i++)
        reply_close(reply, &reply->blocks[i]);
}

void reply_content(const struct reply *reply, struct text *out) {
    for (size_t i = 0; i < reply->count; i++) {
        text_puts(out, i == 0 ? "[" : ",");
        write_block(&reply->blocks[i], out);
    }
    text_puts(out, reply->count == 0 ? "[]" : "]");
}
