/* The functions that answer the ops, one for each op of the list, and what they share. */
#ifndef HF_STORE_OPS_H
#define HF_STORE_OPS_H

#include "store/stmt.h"

/* int hf__store_NAME(store, op, result, err): lookups come first, so that what can fail for the op's sake
 * fails before anything is written. */
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) \
    int hf__store_##name(hf__store *store, const hf_op *op, hf_result *result, hf_error *err);
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"

/* Makes `code`, which a check of a stored row gave, an error that names the row. Returns the code. */
int hf__row_fail(const char *table, hf_text id, int code, hf_error *err);

/* Runs a query of HF__MESSAGE_COLUMNS for at most one row, which becomes result->message, and ends it. */
int hf__query_message(hf__query *query, hf_result *result);

/* The same for a conversation by its id, and result->conversation. */
int hf__find_conversation(hf__store *store, hf_text id, hf_result *result, hf_error *err);

/* Where a conversation stands in the order of activity, or HF_NOT_FOUND. `field` is the op's that names it;
 * both numbers may be NULL. */
int hf__find_place(hf__store *store, const char *field, hf_text id, int64_t *updated_at, int64_t *position,
                   hf_error *err);

int hf__no_conversation(hf_error *err, const char *field, hf_text id);
int hf__no_message(hf_error *err, const char *field, hf_text id);

#endif
