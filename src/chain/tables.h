/*
 * Ops and answers as Lua tables, and back: the one codec of the Lua form. Functions that begin with l_ may throw a
 * Lua error; C memory that a throw would leak is in an arena that the caller has anchored elsewhere.
 */
#ifndef HF_CHAIN_TABLES_H
#define HF_CHAIN_TABLES_H

#include "script/marshal.h"
#include "script/names.h"

/* An op or an answer as a table with its `op`. `names` are those of the state; `likely` is the position on the stack of a
 * text that the answer's content
 * most likely is, 0 for none. [-0, +1] */
void l_push_op(lua_State *L, const hf__names *names, hf__arena *arena, const hf__op_def *def,
               const hf_op *op);
void l_push_result(lua_State *L, const hf__names *names, hf__arena *arena, const hf__op_def *def,
                   const hf_result *result, int likely);

/* Whether the table at `index` says what the op or the answer does, to the byte, so that it need be neither read nor
 * checked. False also where that would take more than a look. [-0, +0] */
bool l_is_op(lua_State *L, const hf__names *names, int index, const hf__op_def *def, const hf_op *op);
bool l_is_result(lua_State *L, const hf__names *names, int index, const hf__op_def *def,
                 const hf_result *result);

/* The member at the field's offset. */
#define CONST_MEMBER(base, field, type) ((const type *)(const void *)((const char *)(base) + (field)->offset))

/* The op that the table at `index` names; throws HF_INVALID for what is no op. [-0, +0] */
const hf__op_def *l_op_def(lua_State *L, int index);

/* Reads the table at `index`. What `out` shows lives in `arena`. Throws HF_INVALID, naming the
 * field. Bounds are left to hf__op_check. [-0, +0] */
void l_read_op(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, const hf__op_def *def,
               hf_op *out);

/* Reads an answer, and copies it into the memory of `out`. Throws HF_BAD_RESULT. [-0, +0] */
void l_read_result(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, const hf__op_def *def,
                   hf_result *out);

/* Reads what a host says of the caller, {requestId = ..., ...}; nil gives zeroes. [-0, +0] */
void l_read_context(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, hf_context *out);
void l_push_context(lua_State *L, const hf__names *names, hf__arena *arena, const hf_context *context);

#endif
