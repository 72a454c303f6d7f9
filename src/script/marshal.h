/*
 * JSON values and errors in Lua, and back.
 *
 * Every function here that begins with l_ may throw a Lua error. C memory that a throw would leak is
 * always in an arena that the caller has anchored elsewhere.
 */
#ifndef HF_SCRIPT_MARSHAL_H
#define HF_SCRIPT_MARSHAL_H

#include <lua.h>

#include "base/value.h"
#include "op/record.h"

/* Puts what the codec needs into the state's registry: the metatables of lists and errors, and the map
 * from decoded objects to the text they came from. Harmless when repeated. */
void l_marshal_setup(lua_State *L);
void l_error_setup(lua_State *L); /* its part for errors */

/* JSON null, wherever nil cannot stand. */
void hf__push_null(lua_State *L);
bool hf__is_null(lua_State *L, int index);

/* Makes the table on the top a list that stays one when it is empty; whether a table is one. [-0, +0] */
void l_mark_list(lua_State *L);
bool l_is_list(lua_State *L, int index);

/* A JSON value as a Lua value. [-0, +1] */
void l_push_value(lua_State *L, const hf__value *value);

/* A Lua value as a JSON value: text is UTF-8 without NUL, numbers are finite, tables are lists or have
 * text keys only, nesting has the bound of what is in a store, the arena holds little more than `memory` bytes, and the
 * monotonic clock stays before `deadline`. `what` names it in the message of the HF_INVALID, HF_MEMORY or HF_TIMEOUT that
 * is thrown otherwise. Charged to nobody. [-0, +0] */
hf__value *l_read_value(lua_State *L, int index, hf__arena *arena, size_t memory, int64_t deadline,
                        const char *what);

/* The value at `index` as JSON text of at most `bytes` in the arena, and a JSON text as a value; both throw
 * HF_INVALID. [-0, +0], [-0, +1] */
hf_text l_read_text_of(lua_State *L, int index, hf__arena *arena, size_t depth, size_t bytes,
                       const char *what);
void l_push_json(lua_State *L, hf__arena *arena, hf_text json);

/* A JSON object's text as a table that remembers the text. [-0, +1] */
void l_push_object(lua_State *L, hf__arena *arena, hf_text json);

/* The JSON text of the table at `index`, which must be an object: the very bytes it was decoded from where it
 * still says the same. It alone is left in the arena. */
hf_text l_read_object(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, hf_code code,
                      const char *what);

/* Whether the value at `index` says what a JSON text does, as far as one look tells: false also for what has to be
 * read to be known. [-0, +0] (marshal_plain.c) */
bool l_is_json(lua_State *L, int index, hf_text json);

/* A JSON text as a value, where one look tells it; false, and nothing is pushed, for any other. [-0, +1] (marshal_plain.c) */
bool l_push_plain(lua_State *L, hf_text json);

/* Charges for a table among many: going over one that was large once takes long, empty as it is. The first few, of
 * `before` that were met, are free. [-0, +0] */
void l_charge_table(lua_State *L, size_t before);

/* Whether the table on the top has so many keys, neither more nor less. [-0, +0] */
bool l_has_keys(lua_State *L, size_t count);

/* A copy of the table at `index`, and of the tables within it. [-0, +1] */
void l_push_copy(lua_State *L, int index);

/* Errors. l_push_error makes the table of an hf_error; l_throw throws it as it is; l_throw_own as the slip of
 * the layer that runs just now, where one does; l_throwf makes a new one for that. l_read_error reads one back; what is no error table of ours becomes HF_MIDDLEWARE. */
void l_push_error(lua_State *L, const hf_error *err);
int l_throw(lua_State *L, const hf_error *err);
int l_throw_own(lua_State *L, const hf_error *err);
int l_throwf(lua_State *L, hf_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
void l_read_error(lua_State *L, int index, hf_error *err);

/* Whether the value is an error table of ours; makes the table at `index` one. */
bool l_is_error(lua_State *L, int index);
void l_mark_error(lua_State *L, int index);

#endif
