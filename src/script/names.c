/* The names of ops and fields as strings of a state. */
#include "script/names.h"

#include <lauxlib.h>

/* Puts the name into the table on the top. [-0, +0] */
static void l_name(lua_State *L, hf__names *names, int at, const char *name) {
    lua_pushstring(L, name);
    names->of[at] = lua_topointer(L, -1);
    lua_rawseti(L, -2, at);
}

static void l_name_fields(lua_State *L, hf__names *names, const hf__record *record) {
    for (const hf__field *field = record->fields; field < record->fields + record->count; field++) {
        l_name(L, names, HF__NAME_FIELD + field->number, field->name);
        if (field->group != NULL) l_name(L, names, HF__NAME_GROUP + field->number, field->group);
    }
}

void l_names_setup(lua_State *L, hf__names *names) {
    static const hf__record *const others[] = {&hf__message_record,   &hf__conversation_record,
                                               &hf__attention_record, &hf__delta_record,
                                               &hf__hit_record,       &hf__context_record};
    lua_createtable(L, HF__NAMES, 0);
    l_name(L, names, HF__NAME_OP, "op");
    for (size_t i = 0; i < HF__KINDS; i++) {
        l_name(L, names, HF__NAME_KIND + (int)i, hf__ops[i].name);
        l_name_fields(L, names, &hf__ops[i].fields);
        l_name_fields(L, names, &hf__ops[i].answer);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        l_name_fields(L, names, others[i]);
    names->table = luaL_ref(L, LUA_REGISTRYINDEX);
}
