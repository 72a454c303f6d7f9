/*
 * Chat histories to ops, and rows to chat histories. Values that no column holds keep their bytes, so
 * that numbers come out as they went in. What the store does with the ops is left to `import`, and where
 * the lines go to `export`.
 */
#include "cli/chat.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/walk.h"

enum { COLUMNS_MAX = 3 };

/* What an object keeps elsewhere than in metadata.chat. */
struct shape {
    const char *columns[COLUMNS_MAX]; /* may end in NULL */
    const char *settled; /* a column that a row always has: where it was not there, its type is "none" */
    const char *usual;   /* the metadata that goes without saying */
};

static const struct shape dialog_shape = {
    {"id", "title", "messages"},
    NULL,
    "{\"chat\":{\"id\":\"text\",\"title\":\"text\",\"messages\":\"list\"}}"};
static const struct shape message_shape = {
    {"role", "content", NULL}, "content", "{\"chat\":{\"role\":\"text\",\"content\":\"text\"}}"};

/* What content reads as that is none. */
static const char nothing[] = "[]";

static bool is(hf_text text, const char *string) {
    return text.data != NULL && text.size == strlen(string) && memcmp(text.data, string, text.size) == 0;
}

static size_t column_of(const struct shape *shape, hf_text key) {
    size_t i = 0;
    while (i < COLUMNS_MAX && (shape->columns[i] == NULL || !is(key, shape->columns[i])))
        i++;
    return i;
}

/* A type as metadata.chat names it. */
static const char *type_word(hf__type type) {
    switch (type) {
    case HF__NULL: return "null";
    case HF__BOOL: return "boolean";
    case HF__INT:
    case HF__REAL: return "number";
    case HF__TEXT: return "text";
    case HF__LIST: return "list";
    case HF__MAP: return "object";
    }
    return "";
}

static void write_member(hf__buf *buf, bool *first, hf_text key, hf_text json) {
    if (!*first) hf__buf_char(buf, ',');
    *first = false;
    hf__json_write_text(buf, key);
    hf__buf_char(buf, ':');
    hf__buf_text(buf, json);
}

/* ---- Reading ----------------------------------------------------------------------------------- */

/* Writes {"chat":...} of `object`; leaves `out` absent where it is the usual one. */
static int write_metadata(hf__arena *arena, const struct shape *shape, const hf__value *object, hf_text *out,
                          hf_error *err) {
    bool first = true;
    hf__buf buf, word;
    hf__buf_init(&buf, 0);
    hf__buf_init(&word, 0);
    hf__buf_string(&buf, "{\"chat\":{");
    for (const hf__value *item = object->is.items.first; item != NULL; item = item->next) {
        hf__buf_clear(&word);
        hf__json_write_text(&word, hf_text_of(type_word(item->type)));
        bool has_column = column_of(shape, item->key) < COLUMNS_MAX;
        write_member(&buf, &first, item->key, has_column ? hf__buf_view(&word) : item->raw);
    }
    if (shape->settled != NULL && hf__value_get(object, shape->settled) == NULL)
        write_member(&buf, &first, hf_text_of(shape->settled), hf_text_of("\"none\""));
    hf__buf_string(&buf, "}}");
    int code = hf__buf_check(&word, "a type", err);
    if (code == HF_OK) code = hf__buf_check(&buf, "metadata.chat", err);
    if (code == HF_OK && !is(hf__buf_view(&buf), shape->usual)) {
        *out = hf__arena_text(arena, hf__buf_view(&buf));
        if (out->data == NULL) code = hf__fail_memory(err);
    }
    hf__buf_free(&buf);
    hf__buf_free(&word);
    return code;
}

/* The member `key`, which must be of `type`. */
static int find_member(const hf__value *object, const char *key, hf__type type, const hf__value **out,
                       hf_error *err) {
    *out = hf__value_get(object, key);
    if (*out != NULL && (*out)->type == type) return HF_OK;
    return hf__fail(err, HF_INVALID, "field \"%s\"%s: expected %s, found %s", key,
                    *out == NULL ? " is missing" : "", hf__type_name(type),
                    *out == NULL ? "nothing" : hf__type_name((*out)->type));
}

int hf__chat_read_dialog(hf__arena *arena, const hf__value *dialog, hf_op *out, const hf__value **messages,
                         hf_error *err) {
    const hf__value *id, *title = NULL;
    if (dialog->type != HF__MAP)
        return hf__fail(err, HF_INVALID, "a dialog: expected an object, found %s",
                        hf__type_name(dialog->type));
    int code = find_member(dialog, "id", HF__TEXT, &id, err);
    if (code == HF_OK) code = find_member(dialog, "messages", HF__LIST, messages, err);
    const hf__value *given = hf__value_get(dialog, "title");
    if (code == HF_OK && given != NULL && given->type != HF__NULL)
        code = find_member(dialog, "title", HF__TEXT, &title, err);
    if (code != HF_OK) return code;
    memset(out, 0, sizeof *out);
    out->op = "createConversation";
    out->conversation_id = id->is.text;
    if (title != NULL) out->title = title->is.text;
    return write_metadata(arena, &dialog_shape, dialog, &out->metadata, err);
}

/* The id of a message: the dialog's id, a colon and the position. An id too long to leave room for that is
 * shortened to its first 100 bytes, a tilde, and its FNV-1a hash. */
int hf__chat_make_id(hf__arena *arena, hf_text dialog_id, size_t position, hf_text *out, hf_error *err) {
    enum { ID_MAX = 128, POSITION_MAX = 11, KEPT = 100 };
    char id[ID_MAX + 32], hash[24] = "";
    size_t kept = dialog_id.size;
    if (kept > ID_MAX - POSITION_MAX) {
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        for (size_t i = 0; i < dialog_id.size; i++)
            sum = (sum ^ (unsigned char)dialog_id.data[i]) * UINT64_C(0x100000001b3);
        kept = hf__utf8_cut(dialog_id.data, dialog_id.size, KEPT);
        snprintf(hash, sizeof hash, "~%016" PRIx64, sum);
    }
    memcpy(id, dialog_id.data, kept);
    snprintf(id + kept, sizeof id - kept, "%s:%04zu", hash, position);
    *out = hf__arena_text(arena, hf_text_of(id));
    return out->data != NULL ? HF_OK : hf__fail_memory(err);
}

int hf__chat_read_message(hf__arena *arena, const hf__value *message, hf_text dialog_id, size_t position,
                          hf_op *out, hf_error *err) {
    const hf__value *role;
    if (message->type != HF__MAP)
        return hf__fail(err, HF_INVALID, "expected an object, found %s", hf__type_name(message->type));
    int code = find_member(message, "role", HF__TEXT, &role, err);
    if (code != HF_OK) return code;
    memset(out, 0, sizeof *out);
    out->op = "add";
    out->conversation_id = dialog_id;
    out->role = role->is.text;
    const hf__value *content = hf__value_get(message, "content");
    if (content == NULL || content->type == HF__NULL)
        out->content = hf_text_of(nothing);
    else
        out->content = content->type == HF__TEXT ? content->is.text : content->raw;
    code = hf__chat_make_id(arena, dialog_id, position, &out->message_id, err);
    if (code == HF_OK) code = write_metadata(arena, &message_shape, message, &out->metadata, err);
    return code;
}

/* metadata.chat, or what is usual where there is none. */
static const hf__value *chat_of(hf__arena *arena, const struct shape *shape, hf_text metadata) {
    const hf__value *value, *chat = NULL;
    if (metadata.data != NULL && hf__json_parse(arena, metadata, HF__CLI_DEPTH, &value, NULL) == HF_OK)
        chat = hf__value_get(value, "chat");
    if (chat == NULL && hf__json_parse(arena, hf_text_of(shape->usual), HF__CLI_DEPTH, &value, NULL) == HF_OK)
        chat = hf__value_get(value, "chat");
    return chat;
}

hf_text hf__chat_difference(hf__arena *arena, const hf_op *op, hf_text stored_metadata) {
    const struct shape *shape = op->role.data != NULL ? &message_shape : &dialog_shape;
    const hf__value *sides[] = {chat_of(arena, shape, op->metadata), chat_of(arena, shape, stored_metadata)};
    for (size_t i = 0; i < 2 && sides[0] != NULL && sides[1] != NULL; i++) {
        if (sides[i]->type != HF__MAP) return hf_text_of("chat");
        for (const hf__value *item = sides[i]->is.items.first; item != NULL; item = item->next) {
            const hf__value *other = hf__value_get(sides[1 - i], item->key.data);
            if (other == NULL || !hf__value_equal(item, other)) return item->key;
        }
    }
    return (hf_text){NULL, 0};
}

/* ---- Writing ----------------------------------------------------------------------------------- */

/* Writes an object in the order of its metadata.chat, and then the columns that this does not have. A
 * value that is absent is left out. */
static void write_object(hf__buf *buf, const struct shape *shape, const hf__value *chat,
                         const hf_text *values) {
    bool first = true, written[COLUMNS_MAX] = {false};
    hf__buf_char(buf, '{');
    const hf__value *item = chat != NULL ? chat->is.items.first : NULL;
    for (; item != NULL; item = item->next) {
        size_t column = column_of(shape, item->key);
        hf_text value = column < COLUMNS_MAX ? values[column] : item->raw;
        if (column < COLUMNS_MAX) written[column] = true;
        if (value.data != NULL) write_member(buf, &first, item->key, value);
    }
    for (size_t i = 0; i < COLUMNS_MAX; i++)
        if (!written[i] && shape->columns[i] != NULL && values[i].data != NULL)
            write_member(buf, &first, hf_text_of(shape->columns[i]), values[i]);
    hf__buf_char(buf, '}');
}

static hf_text raw_of(const hf__value *row, const char *key) {
    const hf__value *value = hf__value_get(row, key);
    return value != NULL ? value->raw : (hf_text){NULL, 0};
}

void hf__chat_write_dialog(hf__buf *buf, const hf__value *conversation, hf_text messages) {
    const hf__value *chat = hf__row_chat(conversation);
    hf_text title = raw_of(conversation, "title");
    if (title.data == NULL && chat != NULL && is(hf__row_text(chat, "title"), "null"))
        title = hf_text_of("null");
    write_object(buf, &dialog_shape, chat, (hf_text[]){raw_of(conversation, "id"), title, messages});
}

/* The JSON of a message's content: text, unless metadata.chat says that it was something else and the
 * content is still that. Absent where there was none. */
static hf_text content_json(hf__arena *arena, const hf__value *message, const hf__value *chat) {
    hf_text type = chat != NULL ? hf__row_text(chat, "content") : (hf_text){NULL, 0};
    hf_text stored = hf__row_text(message, "content");
    const hf__value *value;
    if (is(type, "none") && is(stored, nothing)) return (hf_text){NULL, 0};
    if (is(type, "null") && is(stored, nothing)) return hf_text_of("null");
    if (type.data != NULL && !is(type, "text") && !is(type, "null") &&
        hf__json_parse(arena, stored, HF__CLI_DEPTH, &value, NULL) == HF_OK &&
        is(type, type_word(value->type)))
        return stored;
    return raw_of(message, "content");
}

void hf__chat_write_message(hf__buf *buf, const hf__value *message) {
    hf__arena arena = {0};
    const hf__value *chat = hf__row_chat(message);
    hf_text content = content_json(&arena, message, chat);
    write_object(buf, &message_shape, chat, (hf_text[]){raw_of(message, "role"), content, {NULL, 0}});
    hf__arena_free(&arena);
}
