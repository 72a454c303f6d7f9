/*
 * The tables that ops.def becomes, and what can be asked of them: ops and fields by name, the nearest name
 * to a misspelt one, what a field must be. What a field must be is enforced in check.c.
 */
#include "op/record.h"

#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

/* ---- Each member has the C type that its field's type stands for ------------------------------- */

#define MEMBER_IS(ctype, s, m) \
    _Static_assert(_Generic(((s *)0)->m, ctype : 1, default : 0), #s "." #m " is no " #ctype)
#define LIST_IS(ctype, s, m)                                                                         \
    MEMBER_IS(ctype, s, m);                                                                          \
    MEMBER_IS(size_t, s, m##_count);                                                                 \
    _Static_assert(offsetof(s, m##_count) == offsetof(s, m) + sizeof(void *), #s "." #m "_count is " \
                                                                                 "elsewhere")

#define MEMBER_ID(s, m) MEMBER_IS(hf_text, s, m)
#define MEMBER_ROLE(s, m) MEMBER_IS(hf_text, s, m)
#define MEMBER_TEXT(s, m) MEMBER_IS(hf_text, s, m)
#define MEMBER_CONTENT(s, m) MEMBER_IS(hf_text, s, m)
#define MEMBER_OBJECT(s, m) MEMBER_IS(hf_text, s, m)
#define MEMBER_TIME(s, m) MEMBER_IS(int64_t, s, m)
#define MEMBER_LIMIT(s, m) MEMBER_IS(int64_t, s, m)
#define MEMBER_POSITIVE(s, m) MEMBER_IS(int64_t, s, m)
#define MEMBER_COUNT(s, m) MEMBER_IS(int64_t, s, m)
#define MEMBER_REAL(s, m) MEMBER_IS(double, s, m)
#define MEMBER_FLAG(s, m) \
    MEMBER_IS(int, s, m) /* hf_flag is an int to the compiler: it has a negative value */
#define MEMBER_BOOL(s, m) MEMBER_IS(int, s, m)
#define MEMBER_STATE(s, m) MEMBER_IS(hf_state, s, m)
#define MEMBER_STATES(s, m) LIST_IS(const hf_text *, s, m)
#define MEMBER_IDS(s, m) LIST_IS(hf_text *, s, m)
#define MEMBER_OPS(s, m) LIST_IS(const hf_op *, s, m)
#define MEMBER_RESULTS(s, m) LIST_IS(hf_result *, s, m)
#define MEMBER_MESSAGE(s, m) MEMBER_IS(hf_message *, s, m)
#define MEMBER_MESSAGES(s, m) LIST_IS(hf_message *, s, m)
#define MEMBER_CONVERSATION(s, m) MEMBER_IS(hf_conversation *, s, m)
#define MEMBER_CONVERSATIONS(s, m) LIST_IS(hf_conversation *, s, m)
#define MEMBER_ATTENTION(s, m) MEMBER_IS(hf_attention *, s, m)
#define MEMBER_DELTAS(s, m) LIST_IS(hf_delta *, s, m)
#define MEMBER_HITS(s, m) LIST_IS(hf_hit *, s, m)

#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need) MEMBER_##type(hf_##row, member);
#define HF_ROW_END(row)
#define HF_OP(name, access, mints)
#define HF_FIELD(op, name, member, type, need) MEMBER_##type(hf_op, member);
#define HF_SUBFIELD(op, group, name, member, type, need) MEMBER_##type(hf_op, member);
#define HF_RESULT(op, name, member, type, need) MEMBER_##type(hf_result, member);
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"

_Static_assert(HF__KINDS <= 32, "hf__kinds has a bit for each kind");

/* ---- The tables -------------------------------------------------------------------------------- */

#define NEED_REQUIRED true
#define NEED_OPTIONAL false
#define FIELD(s, group, name, member, type, need) \
    {name, group, offsetof(s, member), HF__T_##type, NEED_##need, __COUNTER__},
#define LAST_FIELD \
    { NULL, NULL, 0, HF__T_ID, false, 0 } /* not counted: C has no empty arrays */

#define HF_ROW(row) static const hf__field row##_columns[] = {
#define HF_COLUMN(row, name, member, type, need) FIELD(hf_##row, NULL, #name, member, type, need)
#define HF_ROW_END(row) \
    LAST_FIELD          \
    }                   \
    ;
#define HF_OP(name, access, mints) static const hf__field name##_fields[] = {
#define HF_FIELD(op, name, member, type, need) FIELD(hf_op, NULL, #name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need) FIELD(hf_op, #group, #name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op) \
    LAST_FIELD        \
    }                 \
    ;
#include "op/ops.def"
#include "op/ops_undef.h"

#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) static const hf__field name##_answer[] = {
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need) FIELD(hf_result, NULL, #name, member, type, need)
#define HF_OP_END(op) \
    LAST_FIELD        \
    }                 \
    ;
#include "op/ops.def"
#include "op/ops_undef.h"

#define RECORD(fields) \
    { fields, sizeof fields / sizeof *fields - 1 }
#define ACCESS_WRITE true
#define ACCESS_READ false

const hf__op_def hf__ops[HF__KINDS] = {
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) \
    {#name,                        \
     sizeof #name - 1,             \
     HF__KIND_##name,              \
     ACCESS_##access,              \
     HF__MINTS_##mints,            \
     RECORD(name##_fields),        \
     RECORD(name##_answer)},
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"
};

const hf__record hf__message_record = RECORD(message_columns);
const hf__record hf__conversation_record = RECORD(conversation_columns);
const hf__record hf__attention_record = RECORD(attention_columns);
const hf__record hf__delta_record = RECORD(delta_columns);
const hf__record hf__hit_record = RECORD(hit_columns);

/* The context is no part of the list: it belongs to no op in particular. */
static const hf__field context_fields[] = {
    {"requestId", NULL, offsetof(hf_context, request_id), HF__T_TEXT, false, __COUNTER__},
    {"conversationId", NULL, offsetof(hf_context, conversation_id), HF__T_TEXT, false, __COUNTER__},
    {"turnIndex", NULL, offsetof(hf_context, turn_index), HF__T_COUNT, false, __COUNTER__},
    {"trust", NULL, offsetof(hf_context, trust), HF__T_TEXT, false, __COUNTER__},
    LAST_FIELD,
};
const hf__record hf__context_record = RECORD(context_fields);

_Static_assert(__COUNTER__ == HF__FIELDS, "each field has a number below HF__FIELDS");

/* ---- Ops by name ------------------------------------------------------------------------------- */

const hf__op_def *hf__op_find(const char *name, size_t size) {
    for (size_t i = 0; i < HF__KINDS; i++) {
        if (hf__ops[i].size == size && memcmp(hf__ops[i].name, name, size) == 0) return &hf__ops[i];
    }
    return NULL;
}

const char *hf_op_name(size_t index) {
    return index < HF__KINDS ? hf__ops[index].name : NULL;
}

int hf_op_writes(const char *op) {
    const hf__op_def *def = op != NULL ? hf__op_find(op, strlen(op)) : NULL;
    return def != NULL ? def->writes : -1;
}

/* ---- Fields ------------------------------------------------------------------------------------ */

const hf__record *hf__row_record(hf__field_type type, size_t *size) {
    switch (type) {
    case HF__T_MESSAGE:
    case HF__T_MESSAGES: *size = sizeof(hf_message); return &hf__message_record;
    case HF__T_CONVERSATION:
    case HF__T_CONVERSATIONS: *size = sizeof(hf_conversation); return &hf__conversation_record;
    case HF__T_ATTENTION: *size = sizeof(hf_attention); return &hf__attention_record;
    case HF__T_DELTAS: *size = sizeof(hf_delta); return &hf__delta_record;
    case HF__T_HITS: *size = sizeof(hf_hit); return &hf__hit_record;
    default: *size = 0; return NULL;
    }
}

bool hf__record_is_row(const hf__record *record) {
    return record == &hf__message_record || record == &hf__conversation_record ||
           record == &hf__attention_record || record == &hf__delta_record || record == &hf__hit_record;
}

bool hf__field_zero(const hf__field *field, const void *base) {
    const void *member = (const char *)base + field->offset;
    switch (field->type) {
    case HF__T_ID:
    case HF__T_ROLE:
    case HF__T_TEXT:
    case HF__T_CONTENT:
    case HF__T_OBJECT: return ((const hf_text *)member)->data == NULL;
    case HF__T_TIME:
    case HF__T_LIMIT:
    case HF__T_POSITIVE:
    case HF__T_COUNT: return *(const int64_t *)member == 0;
    case HF__T_REAL: return *(const double *)member == 0;
    case HF__T_FLAG:
    case HF__T_BOOL: return *(const int *)member == 0;
    case HF__T_STATE: return *(const hf_state *)member == HF_STATE_ABSENT;
    case HF__T_MESSAGE: return *(hf_message *const *)member == NULL;
    case HF__T_CONVERSATION: return *(hf_conversation *const *)member == NULL;
    case HF__T_ATTENTION: return *(hf_attention *const *)member == NULL;
    default: return hf__field_list(field, base).items == NULL && hf__field_list(field, base).count == 0;
    }
}

bool hf__field_absent(const hf__field *field, const void *base) {
    switch (field->type) {
    case HF__T_COUNT:
    case HF__T_REAL:
    case HF__T_BOOL:
    case HF__T_IDS:
    case HF__T_RESULTS:
    case HF__T_MESSAGES:
    case HF__T_CONVERSATIONS:
    case HF__T_DELTAS:
    case HF__T_HITS: return false;
    default: return hf__field_zero(field, base);
    }
}

uint32_t hf__shown(const hf__record *record, const void *base) {
    uint32_t shown = 0;
    for (size_t i = 0; i < record->count; i++) {
        const hf__field *field = &record->fields[i];
        const void *member = (const char *)base + field->offset;
        bool here;
        if (field->type <= HF__T_OBJECT) /* most are */
            here = ((const hf_text *)member)->data != NULL;
        else
            here = (field->required && field->type >= HF__T_IDS) || !hf__field_absent(field, base);
        if (here) shown |= (uint32_t)1 << i;
    }
    return shown;
}

hf__list hf__field_list(const hf__field *field, const void *base) {
    const char *member = (const char *)base + field->offset;
    hf__list list;
    memcpy(&list.items, member, sizeof list.items);
    memcpy(&list.count, member + sizeof list.items, sizeof list.count);
    return list;
}

static bool is_named(const char *name, hf_text text) {
    return text.size > 0 && name[0] == text.data[0] && strlen(name) == text.size &&
           memcmp(name, text.data, text.size) == 0;
}

static bool same_group(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

const hf__field *hf__record_find(const hf__record *record, const char *group, hf_text name, bool *is_group) {
    *is_group = false;
    for (size_t i = 0; i < record->count; i++) {
        const hf__field *field = &record->fields[i];
        if (same_group(field->group, group) && is_named(field->name, name)) return field;
        if (group == NULL && field->group != NULL && is_named(field->group, name)) *is_group = true;
    }
    return NULL;
}

/* ---- Near names -------------------------------------------------------------------------------- */

enum { LONGEST_NAME = 64 };

static unsigned char lower(char c) {
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b`, case apart. */
static size_t distance(hf_text a, hf_text b) {
    size_t rows[3][LONGEST_NAME + 1];
    for (size_t j = 0; j <= b.size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            bool same = lower(a.data[i - 1]) == lower(b.data[j - 1]);
            size_t least = above[j - 1] + !same;
            if (above[j] + 1 < least) least = above[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            if (i > 1 && j > 1 && lower(a.data[i - 1]) == lower(b.data[j - 2]) &&
                lower(a.data[i - 2]) == lower(b.data[j - 1]) && above2[j - 2] + 1 < least) {
                least = above2[j - 2] + 1;
            }
            row[j] = least;
        }
    }
    return rows[a.size % 3][b.size];
}

/* One past the distance that still counts as near. */
static size_t too_far(hf_text name) {
    if (name.size > LONGEST_NAME) return 0;
    return name.size / 3 > 0 ? name.size / 3 + 1 : 2;
}

/* Makes `candidate` the nearest where it is nearer than the `best` so far. */
static void consider(hf_text name, const char *candidate, size_t *best, const char **nearest) {
    size_t found = *best > 0 ? distance(name, hf_text_of(candidate)) : 0;
    if (found >= *best) return;
    *best = found;
    *nearest = candidate;
}

const char *hf__nearest_of(const char *const *names, size_t count, hf_text name) {
    const char *nearest = NULL;
    size_t best = too_far(name);
    for (size_t i = 0; i < count; i++)
        consider(name, names[i], &best, &nearest);
    return nearest;
}

const char *hf__nearest(const hf__record *record, const char *group, hf_text name) {
    const char *nearest = NULL;
    size_t best = too_far(name);
    size_t count = record != NULL ? record->count : (size_t)HF__KINDS;
    for (size_t i = 0; i < count; i++) {
        const char *candidate = hf__ops[record == NULL ? i : 0].name;
        if (record != NULL) {
            const hf__field *field = &record->fields[i];
            if (group == NULL) {
                candidate = field->group != NULL ? field->group : field->name;
            } else if (same_group(field->group, group)) {
                candidate = field->name;
            } else {
                continue;
            }
        }
        consider(name, candidate, &best, &nearest);
    }
    return nearest;
}

/* Fails for `name`, which is cut where it is long, with the nearest known name. */
static int unknown(const char *what, const char *group, hf_text name, const char *nearest, hf_error *err) {
    int size = (int)hf__utf8_cut(name.data, name.size, LONGEST_NAME);
    return hf__fail(err, HF_INVALID, "%s \"%s%s%.*s%s\"%s%s%s", what, group != NULL ? group : "",
                    group != NULL ? "." : "", size, name.data, (size_t)size < name.size ? "..." : "",
                    nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                    nearest != NULL ? "\"?" : "");
}

int hf__unknown_op(hf_text name, hf_error *err) {
    return unknown("unknown op", NULL, name, hf__nearest(NULL, NULL, name), err);
}

int hf__unknown_field(const hf__record *record, const char *group, hf_text name, const char *what,
                      const char *of, hf_error *err) {
    int code = unknown("has no field", group, name, hf__nearest(record, group, name), err);
    hf__error_prefix(err, "%s%s \"%s\" ", what, strcmp(what, "op") == 0 ? "" : " of", of);
    return code;
}

/* ---- States and expectations ------------------------------------------------------------------- */

#define XX(symbol, name) name,
static const char *const states[] = {NULL, HF_STATE_MAP(XX)};
#undef XX
enum { STATES = sizeof states / sizeof *states };

const char *hf__state_name(hf_state state) {
    return (unsigned)state < STATES ? states[state] : NULL;
}

hf_state hf__state_of(hf_text name) {
    for (int i = 1; i < STATES; i++) {
        if (is_named(states[i], name)) return (hf_state)i;
    }
    return HF_STATE_ABSENT;
}

#define XX(symbol, name) " " name
#define STATE_NAMES HF_STATE_MAP(XX)

const char *hf__type_expectation(hf__field_type type) {
    switch (type) {
    case HF__T_ID: return "text of 1 to 128 bytes without control characters";
    case HF__T_ROLE: return "text of 1 to 64 bytes";
    case HF__T_TEXT:
    case HF__T_CONTENT: return "text";
    case HF__T_OBJECT: return "an object";
    case HF__T_TIME: return "an integer from 1, in ms since 1970";
    case HF__T_LIMIT: return "an integer from 1 to 1000000";
    case HF__T_POSITIVE: return "an integer from 1";
    case HF__T_COUNT: return "an integer from 0";
    case HF__T_REAL: return "a finite number";
    case HF__T_FLAG:
    case HF__T_BOOL: return "a boolean";
    case HF__T_STATE: return "one of the states:" STATE_NAMES;
    case HF__T_STATES: return "a list of states, each one of:" STATE_NAMES;
    case HF__T_IDS: return "a list of ids";
    case HF__T_OPS: return "a list of ops";
    case HF__T_RESULTS: return "a list of results";
    case HF__T_MESSAGE: return "a message";
    case HF__T_MESSAGES: return "a list of messages";
    case HF__T_CONVERSATION: return "a conversation";
    case HF__T_CONVERSATIONS: return "a list of conversations";
    case HF__T_ATTENTION: return "the attention of a conversation";
    case HF__T_DELTAS: return "a list of deltas";
    case HF__T_HITS: return "a list of hits";
    }
    return "a value";
}
