/*
 * Names, lines and meta.json of the disk view. Touches no file: that is left to view.c and file.c; what
 * the flat text of a content is, to flat.c.
 */
#include "view/text.h"

#include <stdio.h>
#include <time.h>

#include "base/error.h"
#include "base/flat.h"
#include "base/json.h"

enum { ID_MAX = 128, TIME_ROOM = 96 };

/* ---- Names ------------------------------------------------------------------------------------- */

/* ISO 8601 in UTC with milliseconds. */
static void write_time(char out[TIME_ROOM], int64_t ms, char separator) {
    struct tm tm = {0};
    time_t seconds = ms > 0 ? (time_t)(ms / 1000) : 0;
    gmtime_r(&seconds, &tm);
    snprintf(out, TIME_ROOM, "%04d-%02d-%02dT%02d%c%02d%c%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, separator, tm.tm_min, separator, tm.tm_sec,
             ms > 0 ? (int)(ms % 1000) : 0);
}

/* Whether the byte stands for itself in a name. It asks no locale. */
static bool is_safe(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Writes the id with %XX; whether it fits. */
static bool write_percent(char *out, size_t room, hf_text id) {
    size_t at = 0;
    for (size_t i = 0; i < id.size; i++) {
        unsigned char c = (unsigned char)id.data[i];
        bool plain = is_safe(c) && !(c == '.' && i == 0);
        if (room - at <= (plain ? 1 : 3)) return false;
        if (plain)
            out[at++] = (char)c;
        else
            at += (size_t)snprintf(out + at, room - at, "%%%02X", c);
    }
    out[at] = '\0';
    return true;
}

/* Writes the id in base32 of RFC 4648, lower case, without padding: 128 bytes fill 205. */
static void write_base32(char *out, hf_text id) {
    unsigned bits = 0, kept = 0;
    for (size_t i = 0; i < id.size; i++) {
        bits = (bits << 8 | (unsigned char)id.data[i]) & 0xFFFF;
        for (kept += 8; kept >= 5; kept -= 5)
            *out++ = "abcdefghijklmnopqrstuvwxyz234567"[bits >> (kept - 5) & 31];
    }
    if (kept > 0) *out++ = "abcdefghijklmnopqrstuvwxyz234567"[bits << (5 - kept) & 31];
    *out = '\0';
}

int hf__view_name(char out[HF__VIEW_NAME], int64_t created_at, hf_text id, hf_error *err) {
    if (id.size == 0 || id.size > ID_MAX)
        return hf__fail(err, HF_INVALID, "an id of %zu bytes: expected 1 to %d", id.size, ID_MAX);
    char time[TIME_ROOM];
    write_time(time, created_at, '-');
    size_t at = (size_t)snprintf(out, HF__VIEW_NAME, "%s_", time);
    if (write_percent(out + at, HF__VIEW_NAME - at, id)) return HF_OK;
    out[at] = '~';
    write_base32(out + at + 1, id);
    return HF_OK;
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static void write_key(hf__buf *buf, const char *key) {
    if (buf->size > 0 && buf->data[buf->size - 1] != '{') hf__buf_char(buf, ',');
    hf__json_write_text(buf, hf_text_of(key));
    hf__buf_char(buf, ':');
}

static void write_text(hf__buf *buf, const char *key, hf_text text) {
    if (text.size == 0) return;
    write_key(buf, key);
    hf__json_write_text(buf, text);
}

/* Writes JSON as its own bytes, but on one line: a line break can only stand between its tokens. */
static void write_raw(hf__buf *buf, hf_text json) {
    size_t done = 0;
    for (size_t i = 0; i < json.size; i++) {
        if (json.data[i] != '\n' && json.data[i] != '\r') continue;
        hf__buf_add(buf, json.data + done, i - done);
        hf__buf_char(buf, ' ');
        done = i + 1;
    }
    hf__buf_add(buf, json.data + done, json.size - done);
}

/* An object's metadata, which was parsed; left out where it has no member. */
static void write_metadata(hf__buf *buf, hf_text metadata, const hf__value *parsed) {
    if (parsed == NULL || parsed->type != HF__MAP || parsed->is.items.count == 0) return;
    write_key(buf, "metadata");
    write_raw(buf, metadata);
}

/* ---- Lines ------------------------------------------------------------------------------------- */

/* What a line is made of beside the message itself. */
typedef struct parts {
    hf_text text;              /* the content, flat */
    const hf__value *blocks;   /* the content as a list of blocks, NULL where it is none */
    const hf__value *metadata; /* NULL where there is none */
} parts;

static bool is(const hf__value *value, const char *text) {
    return value != NULL && value->type == HF__TEXT && value->is.text.size == strlen(text) &&
           memcmp(value->is.text.data, text, value->is.text.size) == 0;
}

static const hf__value *member(const hf__value *value, const char *key) {
    return value != NULL && value->type == HF__MAP ? hf__value_get(value, key) : NULL;
}

/* Writes the items of a list - with `type`, the blocks of that type - as they stand. Whether there were any. */
static bool write_items(hf__buf *buf, const char *key, const hf__value *list, const char *type) {
    bool any = false;
    const hf__value *item = list != NULL && list->type == HF__LIST ? list->is.items.first : NULL;
    for (; item != NULL; item = item->next) {
        if (type != NULL && !is(member(item, "type"), type)) continue;
        if (any) {
            hf__buf_char(buf, ',');
        } else {
            write_key(buf, key);
            hf__buf_char(buf, '[');
        }
        any = true;
        write_raw(buf, item->raw);
    }
    if (any) hf__buf_char(buf, ']');
    return any;
}

static void write_message(hf__buf *buf, const hf_message *message, const parts *of) {
    char time[TIME_ROOM];
    write_time(time, message->created_at, ':');
    hf__buf_char(buf, '{');
    write_text(buf, "id", message->id);
    write_text(buf, "role", message->role);
    write_text(buf, "ts", hf_text_of(time));
    write_text(buf, "content", of->text);
    /* Imported histories keep their tool calls as the chat APIs wrote them. */
    if (!write_items(buf, "toolCalls", of->blocks, "tool_use"))
        write_items(buf, "toolCalls", member(member(of->metadata, "chat"), "tool_calls"), NULL);
    write_items(buf, "toolResults", of->blocks, "tool_result");
    write_metadata(buf, message->metadata, of->metadata);
    hf__buf_string(buf, "}\n");
}

static int parse_metadata(hf__arena *arena, hf_text metadata, const hf__value **out, hf_error *err) {
    *out = NULL;
    return metadata.data != NULL ? hf__json_parse(arena, metadata, HF__JSON_DEPTH, out, err) : HF_OK;
}

int hf__view_write_line(hf__buf *buf, const hf_message *message, hf_error *err) {
    hf__arena arena = {0};
    parts found = {0};
    found.text = message->content;
    int code = hf__flat_blocks(&arena, message->content, &found.blocks, err);
    if (code == HF_OK && found.blocks != NULL) code = hf__flat_join(&arena, found.blocks, &found.text, err);
    if (code == HF_OK) code = parse_metadata(&arena, message->metadata, &found.metadata, err);
    if (code == HF_OK) {
        write_message(buf, message, &found);
        code = hf__buf_check(buf, "a line of the disk view", err);
    }
    hf__arena_free(&arena);
    return code;
}

/* ---- meta.json --------------------------------------------------------------------------------- */

int hf__view_write_meta(hf__buf *buf, const hf_conversation *conversation, int64_t created_at,
                        hf_error *err) {
    hf__arena arena = {0};
    const hf__value *metadata;
    int code = parse_metadata(&arena, conversation->metadata, &metadata, err);
    if (code == HF_OK) {
        hf__buf_char(buf, '{');
        write_text(buf, "id", conversation->id);
        write_text(buf, "title", conversation->title);
        write_text(buf, "originChannel", conversation->origin_channel);
        write_key(buf, "createdAt");
        hf__json_write_int(buf, created_at);
        write_text(buf, "forkParentConversationId", conversation->fork_parent_conversation_id);
        write_text(buf, "forkParentMessageId", conversation->fork_parent_message_id);
        write_metadata(buf, conversation->metadata, metadata);
        hf__buf_string(buf, "}\n");
        code = hf__buf_check(buf, "meta.json of the disk view", err);
    }
    hf__arena_free(&arena);
    return code;
}

int hf__view_read_meta(hf__arena *arena, hf_text meta, hf_text *id, int64_t *created_at, hf_error *err) {
    const hf__value *value = NULL;
    *id = (hf_text){NULL, 0};
    int code = meta.size > 0 ? hf__json_parse(arena, meta, HF__JSON_DEPTH, &value, err) : HF_OK;
    if (code != HF_OK) return code == HF_INVALID ? HF_OK : code;
    const hf__value *name = member(value, "id"), *time = member(value, "createdAt");
    if (name == NULL || name->type != HF__TEXT || time == NULL || time->type != HF__INT) return HF_OK;
    *id = name->is.text;
    *created_at = time->is.integer;
    return HF_OK;
}
