/* The functions of the sandbox that take the place of Lua's own: those that must be charged, or bounded. */
#ifndef HF_SCRIPT_GUARD_H
#define HF_SCRIPT_GUARD_H

#include <lua.h>

/* Where `path` ("pcall", "string.rep") must be guarded, puts the guarded function in the place of the
 * original on the top. [-1, +1] */
void l_guard(lua_State *L, const char *path);

/* Closes the string metatable of a sandboxed state: `("x"):rep(2)` finds what stands on the top, a table that no
 * script can reach. [-1, +0] */
void l_guard_strings(lua_State *L);

#endif
