/* Whether an op, or an answer, is what the list says. */
#ifndef HF_OP_CHECK_H
#define HF_OP_CHECK_H

#include "op/record.h"

/* Finds the op of `op` in the list and checks every field of it, ops inside a batch included. On failure
 * `err` bears the op's name, and the id of the message it was about where there is one. `out` may be NULL. */
int hf__op_check(const hf_op *op, const hf__limits *limits, const hf__op_def **out, hf_error *err);

/* Checks an answer to the op `def`: HF_BAD_RESULT names the field. */
int hf__result_check(const hf__op_def *def, const hf_result *result, const hf__limits *limits, hf_error *err);

/* Puts the op's name and the id of its message into `err` (may be NULL), where they are not there yet. */
void hf__error_about(hf_error *err, const hf_op *op);

#endif
