/* Ops and answers as JSON: the codec between the wire and the structs. */
#ifndef HF_OP_TEXT_H
#define HF_OP_TEXT_H

#include "base/arena.h"
#include "base/buf.h"
#include "op/record.h"

/* Reads an op. What it shows lives in `arena`, or borrows from `json`. Its fields are of the right types, but
 * their bounds are left to hf__op_check. */
int hf__op_from_json(hf__arena *arena, hf_text json, const hf__limits *limits, hf_op *out, hf_error *err);

/* Writes an op (without its context), or an answer, as one line of JSON. Both must have been checked. */
void hf__op_to_json(hf__buf *buf, const hf_op *op);
void hf__result_to_json(hf__buf *buf, const hf_result *result);

/* Writes an error as one line of JSON, with the keys of Lua's error tables; what is empty is left out. */
void hf__error_to_json(hf__buf *buf, const hf_error *err);

#endif
