/* Lua patterns, matched in steps that are charged to the budget of the state. */
#ifndef HF_SCRIPT_MATCHER_H
#define HF_SCRIPT_MATCHER_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#define HF__MOST_CAPTURES 32

enum { HF__CAPTURE_OPEN = -1, HF__CAPTURE_POSITION = -2 }; /* sizes of captures that have none */

typedef struct hf__capture {
    const char *start;
    ptrdiff_t size;
} hf__capture;

typedef struct hf__matcher {
    lua_State *L;
    const char *subject, *subject_end; /* borrowed, each with a NUL at its end */
    const char *pattern, *pattern_end; /* without the anchor */
    bool anchored;
    size_t work; /* not charged yet */
    int level;   /* captures of the last match */
    hf__capture captures[HF__MOST_CAPTURES];
} hf__matcher;

/* The first place from `s` on where a match begins that does not end at `last`, and its end; NULL for none. */
const char *l_matcher_search(hf__matcher *m, const char *s, const char *last, const char **end);

/* Whether nothing in the pattern means anything but itself; and the first place from `s` on where the pattern
 * stands just as it is, NULL for none. */
bool l_matcher_is_plain(hf__matcher *m);
const char *l_matcher_find_plain(hf__matcher *m, const char *s);

/* Charges what is done with a match, a step and so many bytes; and, at the end of each call of a library
 * function, what has not been charged yet. */
void l_matcher_charge(hf__matcher *m, size_t bytes);
void l_matcher_finish(hf__matcher *m);

#endif
