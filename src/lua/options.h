/* The options of holdfast.open: a table in Lua, hf_options in C, and the functions between them. */
#ifndef HF_LUA_OPTIONS_H
#define HF_LUA_OPTIONS_H

#include <lua.h>

#include "base/arena.h"
#include "op/record.h"

/* The host's functions that a store calls: registry references, and the state that they live in. */
typedef struct hf__lua_options {
    struct hf__vm *vm;
    int now, random, log, trace;
    hf__limits limits;
} hf__lua_options;

/* Reads the table at `index` (nil: all defaults). `options` refers to `functions`, which must stay in place until the
 * store is closed. Throws. */
void l_read_options(lua_State *L, int index, hf__lua_options *functions, hf_options *options);
void hf__lua_options_free(hf__lua_options *functions);

/* The configuration of a layer, at `index`, as JSON; absent for nil. Throws. */
hf_text l_read_config(lua_State *L, int index, hf__arena *arena, const hf__limits *limits);

#endif
