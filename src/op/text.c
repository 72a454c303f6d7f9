/*
 * Ops, answers and errors as JSON. The records say which key goes where; what JSON is, and the bounds of
 * the fields, are left to base/json and check.c.
 */
#include "op/text.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "op/check.h"

/* ---- From JSON --------------------------------------------------------------------------------- */

enum { SHOWN_BYTES = 40 }; /* of a number, in a message */

struct reader {
    hf__arena *arena;
    const hf__limits *limits;
};

#define MEMBER(type, base, field) ((type *)(void *)((char *)(base) + (field)->offset))

/* Fails for a value of the wrong type. */
static int wrong_type(const hf__field *field, const hf__value *value, hf_error *err) {
    bool number = (value->type == HF__INT || value->type == HF__REAL) && value->raw.size <= SHOWN_BYTES;
    hf_text found = number ? value->raw : hf_text_of(hf__type_name(value->type));
    return hf__fail(err, HF_INVALID, "field \"%s%s%s\": expected %s, found %.*s",
                    field->group != NULL ? field->group : "", field->group != NULL ? "." : "", field->name,
                    hf__type_expectation(field->type), (int)found.size, found.data);
}

static int read_op(const struct reader *reader, const hf__value *map, bool nested, hf_op *out, hf_error *err);

static int read_texts(const struct reader *reader, const hf__field *field, const hf__value *list, hf_op *base,
                      hf_error *err) {
    hf_text *texts = hf__arena_array(reader->arena, list->is.items.count, sizeof *texts);
    size_t count = 0;
    if (texts == NULL) return hf__fail_memory(err);
    for (const hf__value *item = list->is.items.first; item != NULL; item = item->next) {
        if (item->type != HF__TEXT) {
            wrong_type(field, item, err);
            hf__error_prefix(err, "item %zu of ", count);
            return HF_INVALID;
        }
        texts[count++] = item->is.text;
    }
    *MEMBER(const hf_text *, base, field) = texts;
    memcpy(MEMBER(char, base, field) + sizeof texts, &count, sizeof count);
    return HF_OK;
}

static int read_ops(const struct reader *reader, const hf__field *field, const hf__value *list, hf_op *base,
                    hf_error *err) {
    size_t count = 0;
    if (list->is.items.count > reader->limits->batch) {
        return hf__fail(err, HF_INVALID, "field \"%s\": expected at most %zu ops, found %zu", field->name,
                        reader->limits->batch, list->is.items.count);
    }
    hf_op *ops = hf__arena_array(reader->arena, list->is.items.count, sizeof *ops);
    if (ops == NULL) return hf__fail_memory(err);
    for (const hf__value *item = list->is.items.first; item != NULL; item = item->next, count++) {
        int code = read_op(reader, item, true, &ops[count], err);
        if (code == HF_OK) continue;
        hf__error_in_batch(err, &ops[count], count);
        return code;
    }
    *MEMBER(const hf_op *, base, field) = ops;
    memcpy(MEMBER(char, base, field) + sizeof ops, &count, sizeof count);
    return HF_OK;
}

/* Reads one field, or column of the context, into the struct at `base`. null is absence. */
static int read_field(const struct reader *reader, const hf__field *field, const hf__value *value, void *base,
                      hf_error *err) {
    if (value->type == HF__NULL) return HF_OK;
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT:
        if (value->type != HF__TEXT) break;
        *MEMBER(hf_text, base, field) = value->is.text;
        return HF_OK;
    case HF__T_OBJECT:
        if (value->type != HF__MAP) break;
        *MEMBER(hf_text, base, field) = value->raw;
        return HF_OK;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: /* 0 is absence in the struct, and so must be refused here where it is too small */
        if (value->type != HF__INT || value->is.integer < (field->type != HF__T_COUNT)) break;
        *MEMBER(int64_t, base, field) = value->is.integer;
        return HF_OK;
    case HF__T_FLAG:
        if (value->type != HF__BOOL) break;
        *MEMBER(int, base, field) = value->is.boolean ? HF_YES : HF_NO;
        return HF_OK;
    case HF__T_STATES:
        return value->type == HF__LIST ? read_texts(reader, field, value, base, err)
                                       : wrong_type(field, value, err);
    case HF__T_OPS:
        return value->type == HF__LIST ? read_ops(reader, field, value, base, err)
                                       : wrong_type(field, value, err);
    default: break; /* no op has a field of another type */
    }
    return wrong_type(field, value, err);
}

static int read_group(const struct reader *reader, const hf__op_def *def, const hf__value *group, hf_op *out,
                      hf_error *err) {
    char name[64];
    hf__error_copy(name, sizeof name, group->key.data, group->key.size, 1);
    if (group->type == HF__NULL) return HF_OK;
    if (group->type != HF__MAP) {
        return hf__fail(err, HF_INVALID, "field \"%s\": expected an object, found %s", name,
                        hf__type_name(group->type));
    }
    for (const hf__value *item = group->is.items.first; item != NULL; item = item->next) {
        bool is_group;
        const hf__field *field = hf__record_find(&def->fields, name, item->key, &is_group);
        int code = field != NULL ? read_field(reader, field, item, out, err)
                                 : hf__unknown_field(&def->fields, name, item->key, "op", def->name, err);
        if (code != HF_OK) return code;
    }
    return HF_OK;
}

/* Reads "ctx". What the record of the context does not know goes into `extras`, with the bytes it had. */
static int read_context(const struct reader *reader, const hf__value *map, hf_op *out, hf_error *err) {
    if (map->type == HF__NULL) return HF_OK;
    if (map->type != HF__MAP) {
        return hf__fail(err, HF_INVALID, "field \"ctx\": expected an object, found %s",
                        hf__type_name(map->type));
    }
    hf_context *context = hf__arena_alloc(reader->arena, sizeof *context);
    if (context == NULL) return hf__fail_memory(err);
    hf__buf extras;
    hf__buf_init(&extras, 0);
    int code = HF_OK;
    for (const hf__value *item = map->is.items.first; item != NULL && code == HF_OK; item = item->next) {
        bool is_group;
        const hf__field *field = hf__record_find(&hf__context_record, NULL, item->key, &is_group);
        /* A turn 0 is told as it is; the member's 0 says that there is none. */
        bool zero = item->type == HF__INT && item->is.integer == 0;
        if (field != NULL && !(zero && field->type == HF__T_COUNT)) {
            code = read_field(reader, field, item, context, err);
            if (code != HF_OK) hf__error_prefix(err, "ctx: ");
            continue;
        }
        hf__buf_char(&extras, extras.size == 0 ? '{' : ',');
        hf__json_write_text(&extras, item->key);
        hf__buf_char(&extras, ':');
        hf__buf_text(&extras, item->raw);
    }
    if (extras.size > 0) hf__buf_char(&extras, '}');
    if (code == HF_OK) code = hf__buf_check(&extras, "ctx", err);
    if (code == HF_OK && extras.size > 0) {
        context->extras = hf__arena_text(reader->arena, hf__buf_view(&extras));
        if (context->extras.data == NULL) code = hf__fail_memory(err);
    }
    hf__buf_free(&extras);
    if (code == HF_OK) out->context = context;
    return code;
}

static bool is_key(const hf__value *item, const char *name) {
    return item->key.size == strlen(name) && memcmp(item->key.data, name, item->key.size) == 0;
}

static int read_item(const struct reader *reader, const hf__op_def *def, const hf__value *item, bool nested,
                     hf_op *out, hf_error *err) {
    bool is_group;
    const hf__field *field = hf__record_find(&def->fields, NULL, item->key, &is_group);
    if (field != NULL) return read_field(reader, field, item, out, err);
    if (is_group) return read_group(reader, def, item, out, err);
    if (is_key(item, "op")) return HF_OK;
    if (!is_key(item, "ctx")) {
        return hf__unknown_field(&def->fields, NULL, item->key, "op", def->name, err);
    }
    if (nested && item->type != HF__NULL)
        return hf__fail(err, HF_INVALID, "\"ctx\" belongs to the outermost op alone");
    return read_context(reader, item, out, err);
}

static int read_op(const struct reader *reader, const hf__value *map, bool nested, hf_op *out,
                   hf_error *err) {
    if (map->type != HF__MAP) {
        return hf__fail(err, HF_INVALID, "expected an op, an object, found %s", hf__type_name(map->type));
    }
    const hf__value *name = hf__value_get(map, "op");
    if (name == NULL || name->type == HF__NULL) {
        return hf__fail(err, HF_INVALID, "field \"op\" is missing: expected the name of an op");
    }
    if (name->type != HF__TEXT) {
        return hf__fail(err, HF_INVALID, "field \"op\": expected the name of an op, found %s",
                        hf__type_name(name->type));
    }
    const hf__op_def *def = hf__op_find(name->is.text.data, name->is.text.size);
    out->op = def != NULL ? def->name : name->is.text.data;
    int code = def != NULL ? HF_OK : hf__unknown_op(name->is.text, err);
    /* The first failure counts; the rest is still read, so that the error can bear the message's id. */
    for (const hf__value *item = map->is.items.first; def != NULL && item != NULL; item = item->next) {
        int another = read_item(reader, def, item, nested, out, code == HF_OK ? err : NULL);
        if (code == HF_OK) code = another;
    }
    if (code != HF_OK) hf__error_about(err, out);
    return code;
}

int hf__op_from_json(hf__arena *arena, hf_text json, const hf__limits *limits, hf_op *out, hf_error *err) {
    const hf__value *value;
    *out = (hf_op){0};
    if (json.size > limits->json) {
        return hf__fail(err, HF_INVALID, "expected an op of at most %zu bytes of JSON, found %zu",
                        limits->json, json.size);
    }
    /* The depth of a field is for the check of the op, whose error can name it. */
    int code = hf__json_parse(arena, json, HF__JSON_DEPTH, &value, err);
    return code == HF_OK ? read_op(&(struct reader){arena, limits}, value, false, out, err) : code;
}

/* ---- To JSON ----------------------------------------------------------------------------------- */

#define CONST_MEMBER(type, base, field) ((const type *)(const void *)((const char *)(base) + (field)->offset))

/* Begins a member of an object: `first` says whether a comma is due. */
static void write_key(hf__buf *buf, const char *key, bool *first) {
    if (!*first) hf__buf_char(buf, ',');
    *first = false;
    hf__buf_char(buf, '"');
    hf__buf_string(buf, key);
    hf__buf_string(buf, "\":");
}

/* An object keeps its bytes, but for line ends: JSON has them only between its parts. */
static void write_object(hf__buf *buf, hf_text json) {
    const char *at = json.data, *end = json.data + json.size;
    for (const char *c = at; c < end; c++) {
        if (*c != '\n' && *c != '\r') continue;
        hf__buf_add(buf, at, (size_t)(c - at));
        hf__buf_char(buf, ' ');
        at = c + 1;
    }
    hf__buf_add(buf, at, (size_t)(end - at));
}

static void write_record(hf__buf *buf, const hf__record *record, const void *base, bool first);

static void write_row(hf__buf *buf, const hf__record *record, const void *row) {
    hf__buf_char(buf, '{');
    write_record(buf, record, row, true);
    hf__buf_char(buf, '}');
}

static void write_list(hf__buf *buf, hf__field_type type, hf__list list) {
    size_t size;
    const hf__record *record = hf__row_record(type, &size);
    hf__buf_char(buf, '[');
    for (size_t i = 0; i < list.count; i++) {
        if (i > 0) hf__buf_char(buf, ',');
        switch (type) {
        case HF__T_STATES:
        case HF__T_IDS: hf__json_write_text(buf, ((const hf_text *)list.items)[i]); break;
        case HF__T_OPS: hf__op_to_json(buf, (const hf_op *)list.items + i); break;
        case HF__T_RESULTS: hf__result_to_json(buf, (const hf_result *)list.items + i); break;
        default: write_row(buf, record, (const char *)list.items + i * size); break;
        }
    }
    hf__buf_char(buf, ']');
}

static void write_field(hf__buf *buf, const hf__field *field, const void *base) {
    const void *row;
    size_t size;
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT: hf__json_write_text(buf, *CONST_MEMBER(hf_text, base, field)); return;
    case HF__T_OBJECT: write_object(buf, *CONST_MEMBER(hf_text, base, field)); return;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: hf__json_write_int(buf, *CONST_MEMBER(int64_t, base, field)); return;
    case HF__T_REAL: hf__json_write_real(buf, *CONST_MEMBER(double, base, field)); return;
    case HF__T_FLAG:
        hf__buf_string(buf, *CONST_MEMBER(int, base, field) == HF_YES ? "true" : "false");
        return;
    case HF__T_BOOL: hf__buf_string(buf, *CONST_MEMBER(int, base, field) ? "true" : "false"); return;
    case HF__T_STATE:
        hf__json_write_text(buf, hf_text_of(hf__state_name(*CONST_MEMBER(hf_state, base, field))));
        return;
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION:
        memcpy(&row, CONST_MEMBER(char, base, field), sizeof row);
        write_row(buf, hf__row_record(field->type, &size), row);
        return;
    default: write_list(buf, field->type, hf__field_list(field, base)); return;
    }
}

/* Writes the members of the object that stands for the struct at `base`; a group's fields are neighbours. */
static void write_record(hf__buf *buf, const hf__record *record, const void *base, bool first) {
    const char *open = NULL;
    for (size_t i = 0; i < record->count; i++) {
        const hf__field *field = &record->fields[i];
        if (hf__field_absent(field, base)) continue;
        if (open != NULL && (field->group == NULL || strcmp(field->group, open) != 0)) {
            hf__buf_char(buf, '}');
            open = NULL;
        }
        if (field->group != NULL && open == NULL) {
            write_key(buf, field->group, &first);
            hf__buf_char(buf, '{');
            open = field->group;
            first = true;
        }
        write_key(buf, field->name, &first);
        write_field(buf, field, base);
    }
    if (open != NULL) hf__buf_char(buf, '}');
}

static void write_named(hf__buf *buf, const char *op, const hf__record *record, const void *base) {
    hf__buf_string(buf, "{\"op\":\"");
    hf__buf_string(buf, op);
    hf__buf_char(buf, '"');
    write_record(buf, record, base, false);
    hf__buf_char(buf, '}');
}

void hf__op_to_json(hf__buf *buf, const hf_op *op) {
    write_named(buf, op->op, &hf__op_find(op->op, strlen(op->op))->fields, op);
}

void hf__result_to_json(hf__buf *buf, const hf_result *result) {
    write_named(buf, result->op, &hf__op_find(result->op, strlen(result->op))->answer, result);
}

static void write_text(hf__buf *buf, const char *key, const char *text, bool *first) {
    if (text == NULL || *text == '\0') return;
    write_key(buf, key, first);
    hf__json_write_text(buf, hf_text_of(text));
}

void hf__error_to_json(hf__buf *buf, const hf_error *err) {
    bool first = true;
    hf__buf_char(buf, '{');
    write_text(buf, "code", err->name[0] != '\0' ? err->name : hf_code_name(err->code), &first);
    write_text(buf, "message", err->message, &first);
    write_text(buf, "layer", err->layer, &first);
    write_text(buf, "op", err->op, &first);
    write_text(buf, "messageId", err->message_id, &first);
    if (err->sqlite_code != 0) {
        write_key(buf, "sqliteCode", &first);
        hf__json_write_int(buf, err->sqlite_code);
    }
    write_text(buf, "traceback", err->traceback, &first);
    hf__buf_char(buf, '}');
}
