/*
 * holdfast_lua.h - Holdfast for programs that hold a lua_State of their own.
 *
 * The state's functions can be layers of a store. They run in that state, outside the sandbox and its
 * budgets: the host answers for them. A state is used by one thread at a time, and so is then a store
 * with such layers; close the store before the state.
 */
#ifndef HOLDFAST_LUA_H
#define HOLDFAST_LUA_H

#include <lua.h>

#include "holdfast.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The module `holdfast`: luaL_requiref(L, "holdfast", luaopen_holdfast, 0). Since 0.1. */
HF_API int luaopen_holdfast(lua_State *L);

/* Puts the middleware at `index` of the stack - a function, or a table as a middleware file returns it -
 * at the inner end of the chain. `name` is what it is called unless the table says; it may be NULL there.
 * Throws no Lua error; errors as hf_use_function's. Since 0.1. */
HF_API int hf_use_lua(hf_store *store, lua_State *L, int index, const char *name, hf_error *err);

#ifdef __cplusplus
}
#endif

#endif
