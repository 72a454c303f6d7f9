/* What the files of the codec share with each other alone. */
#ifndef HF_SCRIPT_MARSHAL_INTERNAL_H
#define HF_SCRIPT_MARSHAL_INTERNAL_H

#include "script/marshal.h"

void l_value_setup(lua_State *L);
void l_error_setup(lua_State *L);

/* The JSON text of the table at `index`, which must be an object: the very bytes it was decoded from where it
 * still says the same. Lives in `arena`, or as long as the table. */
hf_text l_read_object(lua_State *L, int index, hf__arena *arena, const hf__limits *limits, hf_code code,
                      const char *what);

#endif
