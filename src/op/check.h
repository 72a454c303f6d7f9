/* Whether an op, or an answer, is what the list says. */
#ifndef HF_OP_CHECK_H
#define HF_OP_CHECK_H

#include "op/record.h"

/* Finds the op of `op` in the list and checks every field of it, ops inside a batch included. On failure
 * `err` bears the op's name, and the id of the message it was about where there is one. `out` may be NULL. */
int hf__op_check(const hf_op *op, const hf__limits *limits, const hf__op_def **out, hf_error *err);

/* Checks an answer to the op `def`: HF_BAD_RESULT names the field. It is checked for its form alone: what is
 * stored may be larger than what this handle may store. */
int hf__result_check(const hf__op_def *def, const hf_result *result, hf_error *err);

/* The same for a row as it was found in a file: HF_CORRUPT names the field. */
int hf__row_check(const hf__record *record, const void *row, hf_error *err);

/* Puts the op's name and the id of its message into `err` (may be NULL), where they are not there yet. */
void hf__error_about(hf_error *err, const hf_op *op);

/* Makes the error of `op`, which is at `index` in a batch, one of the batch: its message says which op it was, and
 * the id stays that of the op's message. */
void hf__error_in_batch(hf_error *err, const hf_op *op, size_t index);

#endif
