/* What a middleware script can reach: an environment built from an allow-list, and its own modules. */
#ifndef HF_SCRIPT_SANDBOX_H
#define HF_SCRIPT_SANDBOX_H

#include <lua.h>
#include <stdbool.h>

#include "holdfast.h"

/* Scripts beyond this are refused: Lua 5.4.4's compiler can be brought down by larger ones. */
#define HF__MAX_SCRIPT ((size_t)256 * 1024)

/* A new environment whose `require` finds the stock modules and, where `folder` is not NULL, the files below
 * it; a trusted one has everything else that Lua has. [-0, +1] */
void l_push_environment(lua_State *L, const char *folder, bool trusted);

/* Compiles `source`, text only, as a function with the environment on the top as its _ENV. Throws HF_INVALID with
 * the compiler's message. [-1, +1] */
void l_load_chunk(lua_State *L, const char *chunk, hf_text source);

/* The functions that the Lua module and the sandbox offer alike: null, list, json. [-0, +1] */
void l_push_stock_library(lua_State *L);

#endif
