/*
 * The rules of every op and every answer, as the records state them. Allocates nothing; what well-formed
 * JSON and UTF-8 are is left to base.
 */
#include "op/check.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"

enum { MAX_ID = 128, MAX_ROLE = 64, MAX_LIMIT = 1000000 };

/* The bounds of what is checked for its form alone. */
static const hf__limits form = {.content = SIZE_MAX, .metadata = SIZE_MAX, .depth = HF__JSON_DEPTH};

/* What a check is about: the bounds, the code of a failure, where to put it. */
struct check {
    const hf__limits *limits;
    hf_code code;
    hf_error *err;
};

#define FAIL_FIELD(check, field, format, ...)                                                                \
    hf__fail((check)->err, (check)->code, "field \"%s%s%s\"" format,                                         \
             (field)->group != NULL ? (field)->group : "", (field)->group != NULL ? "." : "", (field)->name, \
             __VA_ARGS__)

static size_t max_size(hf__field_type type, const hf__limits *limits) {
    switch (type) {
    case HF__T_ID: return MAX_ID;
    case HF__T_ROLE: return MAX_ROLE;
    case HF__T_CONTENT: return limits->content;
    default: return limits->metadata;
    }
}

/* The expectation of a type, with its bound where that is an option. */
static const char *expectation(hf__field_type type, const hf__limits *limits, char *buffer, size_t size) {
    const char *expected = hf__type_expectation(type);
    size_t most = max_size(type, limits);
    bool bounded = type == HF__T_TEXT || type == HF__T_CONTENT || type == HF__T_OBJECT;
    if (!bounded || most == SIZE_MAX) return expected;
    snprintf(buffer, size, "%s of at most %zu bytes", expected, most);
    return buffer;
}

static int refuse_size(const struct check *check, const hf__field *field, hf__field_type type, hf_text text) {
    char buffer[64];
    return FAIL_FIELD(check, field, ": expected %s, found %zu bytes",
                      expectation(type, check->limits, buffer, sizeof buffer), text.size);
}

static int check_object(const struct check *check, const hf__field *field, hf_text text) {
    hf_error why;
    int code = hf__json_check_object(text, check->limits->depth, &why);
    if (code == HF_INVALID) return FAIL_FIELD(check, field, ": %s", why.message);
    return code == HF_OK ? HF_OK : hf__fail(check->err, (hf_code)code, "%s", why.message);
}

static int refuse_byte(const struct check *check, const hf__field *field, hf_text text, size_t at) {
    return FAIL_FIELD(check, field, ": expected UTF-8 without NUL, found byte 0x%02x at offset %zu",
                      (unsigned char)text.data[at], at);
}

static int check_text(const struct check *check, const hf__field *field, hf__field_type type, hf_text text) {
    size_t least = type == HF__T_ID || type == HF__T_ROLE;
    if (text.data == NULL || text.size < least || text.size > max_size(type, check->limits))
        return refuse_size(check, field, type, text);
    if (type == HF__T_OBJECT) return check_object(check, field, text);
    if (type == HF__T_ID && hf__utf8_is_printable_ascii(text.data, text.size)) return HF_OK;
    size_t end = hf__utf8_check(text.data, text.size);
    if (end < text.size) return refuse_byte(check, field, text, end);
    if (type == HF__T_ID && hf__utf8_has_control(text.data, text.size)) {
        return FAIL_FIELD(check, field, ": expected %s, found a control character",
                          hf__type_expectation(type));
    }
    return HF_OK;
}

static int check_integer(const struct check *check, const hf__field *field, int64_t found) {
    int64_t least = field->type == HF__T_COUNT ? 0 : 1;
    int64_t most = field->type == HF__T_LIMIT ? MAX_LIMIT : INT64_MAX;
    if (found >= least && found <= most) return HF_OK;
    return FAIL_FIELD(check, field, ": expected %s, found %" PRId64, hf__type_expectation(field->type),
                      found);
}

static int check_record(const struct check *check, const hf__record *record, const void *base);

static int check_row(const struct check *check, const hf__field *field, const void *member) {
    const void *row;
    size_t size;
    memcpy(&row, member, sizeof row);
    int code = check_record(check, hf__row_record(field->type, &size), row);
    if (code != HF_OK) hf__error_prefix(check->err, "%s: ", field->name);
    return code;
}

static int check_op(const struct check *check, const hf_op *op, bool nested, const hf__op_def **out);
static int check_nested_result(const struct check *check, const hf_result *result);

/* The item at `index` of a list. */
static int check_item(const struct check *check, const hf__field *field, const void *items, size_t index) {
    switch (field->type) {
    case HF__T_IDS: return check_text(check, field, HF__T_ID, ((const hf_text *)items)[index]);
    case HF__T_STATES: {
        hf_text name = ((const hf_text *)items)[index];
        int code = check_text(check, field, HF__T_ROLE, name);
        if (code != HF_OK || hf__state_of(name) != HF_STATE_ABSENT) return code;
        return FAIL_FIELD(check, field, ": expected %s, found \"%.*s\"", hf__type_expectation(HF__T_STATE),
                          (int)name.size, name.data);
    }
    case HF__T_OPS: return check_op(check, (const hf_op *)items + index, true, NULL);
    case HF__T_RESULTS: return check_nested_result(check, (const hf_result *)items + index);
    default: {
        size_t size;
        const hf__record *row = hf__row_record(field->type, &size);
        return check_record(check, row, (const char *)items + index * size);
    }
    }
}

static int check_list(const struct check *check, const hf__field *field, const void *base) {
    hf__list list = hf__field_list(field, base);
    if (list.items == NULL && list.count > 0) {
        return FAIL_FIELD(check, field, ": expected %s, found a count of %zu and NULL",
                          hf__type_expectation(field->type), list.count);
    }
    if (field->type == HF__T_OPS && list.count > check->limits->batch) {
        return FAIL_FIELD(check, field, ": expected at most %zu ops, found %zu", check->limits->batch,
                          list.count);
    }
    for (size_t i = 0; i < list.count; i++) {
        int code = check_item(check, field, list.items, i);
        if (code == HF_OK) continue;
        bool of_text = field->type == HF__T_IDS || field->type == HF__T_STATES;
        if (field->type == HF__T_OPS) {
            hf__error_in_batch(check->err, (const hf_op *)list.items + i, i);
        } else if (of_text) {
            hf__error_prefix(check->err, "item %zu of ", i);
        } else {
            hf__error_prefix(check->err, "%s[%zu]: ", field->name, i);
        }
        return code;
    }
    return HF_OK;
}

static int check_field(const struct check *check, const hf__field *field, const void *base) {
    const void *member = (const char *)base + field->offset;
    switch (field->type) {
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: return check_integer(check, field, *(const int64_t *)member);
    case HF__T_REAL:
        if (isfinite(*(const double *)member)) return HF_OK;
        return FAIL_FIELD(check, field, ": expected %s", hf__type_expectation(HF__T_REAL));
    case HF__T_FLAG: {
        int flag = *(const int *)member;
        if (flag >= HF_NO && flag <= HF_YES) return HF_OK;
        return FAIL_FIELD(check, field, ": expected 1, -1, or 0 for the default, found %d", flag);
    }
    case HF__T_BOOL: return HF_OK;
    case HF__T_STATE: {
        hf_state state = *(const hf_state *)member;
        if (hf__state_name(state) != NULL) return HF_OK;
        return FAIL_FIELD(check, field, ": expected %s, found the number %d",
                          hf__type_expectation(field->type), (int)state);
    }
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: return check_row(check, field, member);
    default: return check_list(check, field, base);
    }
}

static int refuse_absence(const struct check *check, const hf__field *field) {
    char buffer[64];
    return FAIL_FIELD(check, field, " is missing: expected %s",
                      expectation(field->type, check->limits, buffer, sizeof buffer));
}

static int check_record(const struct check *check, const hf__record *record, const void *base) {
    for (const hf__field *field = record->fields, *end = field + record->count; field < end; field++) {
        int code = HF_OK;
        bool absent;
        if (hf__type_is_text(field->type)) {
            hf_text text = *(const hf_text *)((const char *)base + field->offset);
            absent = text.data == NULL;
            if (!absent) code = check_text(check, field, field->type, text);
        } else {
            absent = hf__field_absent(field, base);
            if (!absent) code = check_field(check, field, base);
        }
        if (absent && field->required) code = refuse_absence(check, field);
        if (code != HF_OK) return code;
    }
    return HF_OK;
}

static size_t member_size(hf__field_type type) {
    if (hf__type_is_text(type)) return sizeof(hf_text);
    switch (type) {
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: return sizeof(int64_t);
    case HF__T_REAL: return sizeof(double);
    case HF__T_FLAG:
    case HF__T_BOOL: return sizeof(int);
    case HF__T_STATE: return sizeof(hf_state);
    case HF__T_MESSAGE:
    case HF__T_CONVERSATION:
    case HF__T_ATTENTION: return sizeof(void *);
    default: return sizeof(void *) + sizeof(size_t);
    }
}

/* How many words are not zero. */
static uint32_t count_set(const char *data, size_t size) {
    uint32_t count = 0, word;
    for (size_t at = 0; at < size; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        count += word != 0;
    }
    return count;
}

static bool has_member(const hf__record *record, size_t offset) {
    for (size_t i = 0; i < record->count; i++)
        if (record->fields[i].offset == offset) return true;
    return false;
}

/* What an op, or answer, does not have must be zero: then no more words from `first` to `end` are set than its own fields
 * account for. Where there are, the list, which names every member at least once, tells which; it may also be padding. */
static int check_others(const struct check *check, const hf__op_def *def, bool answer, const void *given,
                        size_t first, size_t end) {
    const hf__record *own = answer ? &def->answer : &def->fields;
    uint32_t accounted = 0;
    for (size_t i = 0; i < own->count; i++)
        accounted += count_set((const char *)given + own->fields[i].offset, member_size(own->fields[i].type));
    if (accounted == count_set((const char *)given + first, end - first)) return HF_OK;
    for (size_t k = 0; k < HF__KINDS; k++) {
        const hf__record *other = answer ? &hf__ops[k].answer : &hf__ops[k].fields;
        for (size_t i = 0; i < other->count; i++) {
            const hf__field *field = &other->fields[i];
            if (hf__field_zero(field, given) || has_member(own, field->offset)) continue;
            return hf__fail(check->err, check->code, "%s \"%s\" has no field \"%s\"",
                            answer ? "result of" : "op", def->name, field->name);
        }
    }
    return HF_OK;
}

static int check_context(const struct check *check, const hf_context *context) {
    static const hf__field extras = {.name = "extras", .type = HF__T_OBJECT};
    int code = check_record(check, &hf__context_record, context);
    if (code == HF_OK && context->extras.data != NULL) {
        code = check_text(check, &extras, HF__T_OBJECT, context->extras);
    }
    if (code != HF_OK) hf__error_prefix(check->err, "ctx: ");
    return code;
}

static bool has_type(const hf__record *record, hf__field_type type) {
    for (size_t i = 0; i < record->count; i++) {
        if (record->fields[i].type == type) return true;
    }
    return false;
}

static int check_named_op(const struct check *check, const hf__op_def *def, const hf_op *op, bool nested) {
    if (nested && (!def->writes || has_type(&def->fields, HF__T_OPS))) {
        return hf__fail(check->err, check->code, "expected an op that writes one thing, found \"%s\"",
                        def->name);
    }
    if (nested && op->context != NULL) {
        return hf__fail(check->err, check->code, "\"ctx\" belongs to the outermost op alone");
    }
    int code = op->context != NULL ? check_context(check, op->context) : HF_OK;
    if (code == HF_OK) code = check_record(check, &def->fields, op);
    if (code != HF_OK) return code;
    return check_others(check, def, false, op, offsetof(hf_op, conversation_id), sizeof *op);
}

static int check_op(const struct check *check, const hf_op *op, bool nested, const hf__op_def **out) {
    if (op == NULL || op->op == NULL) {
        return hf__fail(check->err, check->code, "field \"op\" is missing: expected the name of an op");
    }
    size_t size = strlen(op->op);
    const hf__op_def *def = hf__op_find(op->op, size);
    int code = def != NULL ? check_named_op(check, def, op, nested)
                           : hf__unknown_op((hf_text){op->op, size}, check->err);
    if (code != HF_OK) hf__error_about(check->err, op);
    if (code == HF_OK && out != NULL) *out = def;
    return code;
}

int hf__op_check(const hf_op *op, const hf__limits *limits, const hf__op_def **out, hf_error *err) {
    return check_op(&(struct check){limits, HF_INVALID, err}, op, false, out);
}

static int check_result(const struct check *check, const hf__op_def *def, const hf_result *result) {
    int code = check_record(check, &def->answer, result);
    if (code != HF_OK) return code;
    return check_others(check, def, true, result, offsetof(hf_result, message), offsetof(hf_result, memory));
}

static int check_nested_result(const struct check *check, const hf_result *result) {
    const hf__op_def *def = result->op != NULL ? hf__op_find(result->op, strlen(result->op)) : NULL;
    if (def == NULL || !def->writes || has_type(&def->fields, HF__T_OPS)) {
        return hf__fail(check->err, check->code,
                        "field \"op\": expected the name of an op that writes one thing, found %s",
                        def != NULL ? def->name : "none");
    }
    return check_result(check, def, result);
}

int hf__result_check(const hf__op_def *def, const hf_result *result, hf_error *err) {
    if (result->op == NULL || strcmp(result->op, def->name) != 0) {
        const hf__op_def *found = result->op != NULL ? hf__op_find(result->op, strlen(result->op)) : NULL;
        return hf__fail(err, HF_BAD_RESULT, "field \"op\": expected \"%s\", found %s", def->name,
                        found != NULL        ? found->name
                        : result->op != NULL ? "no op's name"
                                             : "none");
    }
    return check_result(&(struct check){&form, HF_BAD_RESULT, err}, def, result);
}

int hf__row_check(const hf__record *record, const void *row, hf_error *err) {
    return check_record(&(struct check){&form, HF_CORRUPT, err}, record, row);
}

void hf__error_about(hf_error *err, const hf_op *op) {
    if (err == NULL || op == NULL || op->op == NULL) return;
    if (err->op[0] == '\0') hf__error_copy(err->op, sizeof err->op, op->op, strlen(op->op), 1);
    hf_text id = op->message_id;
    bool whole = id.data != NULL && id.size <= MAX_ID && hf__utf8_check(id.data, id.size) == id.size &&
                 !hf__utf8_has_control(id.data, id.size);
    if (whole && err->message_id[0] == '\0' && hf_op_writes(op->op) == 1) {
        hf__error_copy(err->message_id, sizeof err->message_id, id.data, id.size, 1);
    }
}

void hf__error_in_batch(hf_error *err, const hf_op *op, size_t index) {
    static const char batch[] = "batch";
    if (err == NULL) return;
    hf__error_about(err, op);
    memcpy(err->op, batch, sizeof batch);
    hf__error_prefix(err, "ops[%zu]: ", index);
}
