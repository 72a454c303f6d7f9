/* string.find, match, gmatch and gsub for scripts with a budget: what Lua's own give, each step charged. */
#ifndef HF_SCRIPT_PATTERN_H
#define HF_SCRIPT_PATTERN_H

#include <lua.h>

int l_pattern_find(lua_State *L);
int l_pattern_match(lua_State *L);
int l_pattern_gmatch(lua_State *L);
int l_pattern_gsub(lua_State *L);

#endif
