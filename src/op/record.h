/*
 * Records: what the list of ops says of a C struct. A record describes the fields of hf_op for one op,
 * of hf_result for one answer, or of a row; checks and every conversion walk it, so none of them knows
 * an op by name.
 */
#ifndef HF_OP_RECORD_H
#define HF_OP_RECORD_H

#include <stdbool.h>

#include "base/arena.h"
#include "holdfast.h"

/* The type of a field: what it is in JSON and Lua, its member in C, and its bounds. */
typedef enum hf__field_type {
    HF__T_ID,            /* text of 1 to 128 bytes, no control characters; hf_text */
    HF__T_ROLE,          /* text of 1 to 64 bytes; hf_text */
    HF__T_TEXT,          /* text of at most max_metadata bytes; hf_text */
    HF__T_CONTENT,       /* text of at most max_content bytes; hf_text */
    HF__T_OBJECT,        /* a JSON object of at most max_metadata bytes; hf_text with its JSON */
    HF__T_TIME,          /* an integer from 1: ms since 1970; int64_t, 0 for absent */
    HF__T_LIMIT,         /* an integer from 1 to 1,000,000; int64_t, 0 for absent */
    HF__T_POSITIVE,      /* an integer from 1; int64_t, 0 for absent */
    HF__T_COUNT,         /* an integer from 0; int64_t, always there */
    HF__T_REAL,          /* a finite number; double, always there */
    HF__T_FLAG,          /* a boolean; hf_flag, HF_DEFAULT for absent */
    HF__T_BOOL,          /* a boolean; int, always there */
    HF__T_STATE,         /* the name of a state; hf_state */
    HF__T_STATES,        /* a list of names of states; const hf_text * and a size_t behind it */
    HF__T_IDS,           /* a list of ids; hf_text * and a size_t behind it */
    HF__T_OPS,           /* a list of ops; const hf_op * and a size_t behind it */
    HF__T_RESULTS,       /* a list of results; hf_result * and a size_t behind it */
    HF__T_MESSAGE,       /* a row; hf_message *, NULL for absent */
    HF__T_MESSAGES,      /* a list of rows; hf_message * and a size_t behind it */
    HF__T_CONVERSATION,  /* likewise */
    HF__T_CONVERSATIONS, /* likewise */
    HF__T_ATTENTION,     /* a row; hf_attention *, NULL for absent */
    HF__T_DELTAS,        /* a list of rows; hf_delta * and a size_t behind it */
    HF__T_HITS,          /* a list of rows; hf_hit * and a size_t behind it */
} hf__field_type;

/* Whether the member is one hf_text, absent where its data is NULL. */
static inline bool hf__type_is_text(hf__field_type type) {
    return type <= HF__T_OBJECT;
}

typedef struct hf__field {
    const char *name;  /* in JSON and Lua */
    const char *group; /* the object that holds it, or NULL */
    size_t offset;     /* of its member */
    hf__field_type type;
    bool required;
    unsigned short number; /* among all fields; those of a record follow each other */
} hf__field;

typedef struct hf__record {
    const hf__field *fields;
    size_t count;
} hf__record;

typedef enum hf__kind {
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) HF__KIND_##name,
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"
    HF__KINDS
} hf__kind;

enum {
    HF__FIELDS = /* of all records */
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need) 1 +
#define HF_ROW_END(row)
#define HF_OP(name, access, mints)
#define HF_FIELD(op, name, member, type, need) 1 +
#define HF_SUBFIELD(op, group, name, member, type, need) 1 +
#define HF_RESULT(op, name, member, type, need) 1 +
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"
    4 /* of the context */
};

typedef enum hf__mints { HF__MINTS_NOTHING, HF__MINTS_MESSAGE, HF__MINTS_CONVERSATION } hf__mints;

typedef struct hf__op_def {
    const char *name;
    size_t size; /* of the name */
    hf__kind kind;
    bool writes;
    hf__mints mints;
    hf__record fields; /* over hf_op */
    hf__record answer; /* over hf_result */
} hf__op_def;

extern const hf__op_def hf__ops[HF__KINDS];
extern const hf__record hf__message_record;
extern const hf__record hf__conversation_record;
extern const hf__record hf__attention_record;
extern const hf__record hf__delta_record;
extern const hf__record hf__hit_record;
extern const hf__record hf__context_record; /* over hf_context; `extras` is beside it */

/* A set of kinds. */
typedef uint32_t hf__kinds;
#define HF__KIND_BIT(kind) ((hf__kinds)1 << (kind))

/* The op of that name, or NULL; `name` need not end in NUL. */
const hf__op_def *hf__op_find(const char *name, size_t size);

/* Bounds on sizes, resolved from hf_options. */
typedef struct hf__limits {
    size_t content, metadata, depth, batch, json;
    unsigned exec_depth;
} hf__limits;

/* Where a list type keeps its rows: the record of one row and its size in bytes; NULL for other types. */
const hf__record *hf__row_record(hf__field_type type, size_t *size);

/* Whether the record is that of a row, which, other than an op or an answer, has no name. */
bool hf__record_is_row(const hf__record *record);

/* Whether the field is absent from the struct at `base`: never, for counts, booleans and the lists of an
 * answer. */
bool hf__field_absent(const hf__field *field, const void *base);

/* Whether the field's member is zero: what it must be where the op, or the answer, does not have the
 * field. */
bool hf__field_zero(const hf__field *field, const void *base);

/* Which of the record's fields a table of the struct at `base` shows: a bit for each, by its place. */
uint32_t hf__shown(const hf__record *record, const void *base);

/* Copies `op`, which has been checked, with all that it shows, its context included. HF_MEMORY. (copy.c) */
int hf__op_copy(hf__arena *arena, const hf_op *op, hf_op *out, hf_error *err);

/* hf_result_alloc of bytes with anything in them. (result.c) */
void *hf__result_room(hf_result *result, size_t size);

/* What a field of a list type shows. */
typedef struct hf__list {
    const void *items;
    size_t count;
} hf__list;
hf__list hf__field_list(const hf__field *field, const void *base);

/* The field called `name` (in `group`, which may be NULL), or NULL. `is_group` is set where `name` is the
 * name of a group instead. */
const hf__field *hf__record_find(const hf__record *record, const char *group, hf_text name, bool *is_group);

/* The name nearest to `name` among the record's fields, or among the ops where `record` is NULL; NULL
 * where none is near. */
const char *hf__nearest(const hf__record *record, const char *group, hf_text name);
const char *hf__nearest_of(const char *const *names, size_t count, hf_text name); /* among `names` */

/* Fails with HF_INVALID for a name that no op has: names the nearest. */
int hf__unknown_op(hf_text name, hf_error *err);

/* Fails with HF_INVALID for a name that the record does not have: names the nearest. `what` is "op" or
 * "result", `of` the op. */
int hf__unknown_field(const hf__record *record, const char *group, hf_text name, const char *what,
                      const char *of, hf_error *err);

/* The name of a state, NULL for none; the state of a name, HF_STATE_ABSENT for none. */
const char *hf__state_name(hf_state state);
hf_state hf__state_of(hf_text name);

/* "text of 1 to 128 bytes", ...: what a field of the type must be, for messages. */
const char *hf__type_expectation(hf__field_type type);

#endif
