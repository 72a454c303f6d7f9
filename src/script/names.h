/*
 * The names of ops and of fields, as strings of a state: made once, so that the tables of ops and answers are filled
 * and looked over without making them again. Lua has one object for all short strings that say the same, so a name is
 * known by its address; one that has another address may still be the same.
 */
#ifndef HF_SCRIPT_NAMES_H
#define HF_SCRIPT_NAMES_H

#include <lua.h>

#include "op/record.h"

/* Where they are: that of a kind of op, of a field and of its group are so much further on. */
enum {
    HF__NAME_OP = 1, /* "op" */
    HF__NAME_KIND,
    HF__NAME_FIELD = HF__NAME_KIND + HF__KINDS,
    HF__NAME_GROUP = HF__NAME_FIELD + HF__FIELDS,
    HF__NAMES = HF__NAME_GROUP + HF__FIELDS
};

typedef struct hf__names {
    int table; /* registry reference: the names, as a list */
    const void *of[HF__NAMES];
} hf__names;

/* Whether the value on the top is the kind's name, as far as its address tells. [-0, +0] */
static inline bool hf__is_kind_name(lua_State *L, const hf__names *names, hf__kind kind) {
    return lua_topointer(L, -1) == names->of[HF__NAME_KIND + (int)kind];
}

/* Makes them. [-0, +0] */
void l_names_setup(lua_State *L, hf__names *names);

#endif
