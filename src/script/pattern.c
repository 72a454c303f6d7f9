/*
 * Lua patterns, matched in counted steps: the same results and messages as those of Lua 5.4, but no pattern
 * and no subject outlasts the budget of the state.
 *
 * A pattern is walked item by item as it stands. Where there is a choice - how often an item is repeated,
 * whether a capture was rightly opened here - it goes on a trail, and a failure resumes the last one: the
 * C stack does not grow with the subject. Text that is only looked through is charged in windows, so that
 * no single loop runs on unseen.
 */
#include "script/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdbool.h>
#include <string.h>

#include "script/budget.h"
#include "script/vm.h"

#define MOST_CAPTURES 32
#define MOST_CHOICES 199 /* where Lua, which recurses at each, gives up as well */

#define STEPS 512     /* at most between two looks at the budget */
#define BYTES 8       /* that are looked through count as one step, */
#define WINDOW 1024   /* so many of them between two looks; */
#define STRETCH 65536 /* and so many where the C library does it */

enum { OPEN = -1, POSITION = -2 }; /* sizes of captures that have none */

typedef struct capture {
    const char *start;
    ptrdiff_t size;
} capture;

typedef struct matcher {
    lua_State *L;
    hf__budget *budget;
    const char *subject, *subject_end;
    const char *pattern, *pattern_end; /* without the anchor */
    bool anchored;
    size_t work; /* not charged yet */
    int level;   /* captures begun */
    capture captures[MOST_CAPTURES];
} matcher;

typedef enum kind { OPENED, CLOSED, OPTIONAL, GREEDY, LAZY } kind;

typedef struct choice {
    kind kind;
    int index;         /* CLOSED: of the capture */
    const char *at;    /* in the subject: where the repetition has come to */
    const char *rest;  /* of the pattern, after the repetition */
    const char *least; /* GREEDY: it goes back to here */
    const char *item;  /* LAZY: what is repeated */
} choice;

typedef struct trail {
    int count;
    choice choices[MOST_CHOICES];
} trail;

/* ---- Work -------------------------------------------------------------------------------------- */

static void l_pay(matcher *m) {
    size_t work = m->work;
    m->work = 0;
    l_budget_charge(m->L, m->budget, work);
}

static inline void l_work(matcher *m, size_t steps) {
    m->work += steps;
    if (m->work >= STEPS) l_pay(m);
}

/* Charges for looking through what lies between the two, and returns the second. */
static inline const char *l_looked(matcher *m, const char *from, const char *to) {
    l_work(m, (size_t)(to - from) / BYTES);
    return to;
}

static bool l_equal(matcher *m, const char *a, const char *b, size_t size) {
    size_t part;
    for (size_t done = 0; done < size; done += part) {
        part = size - done < done + 64 ? size - done : done + 64;
        l_looked(m, a, a + part);
        if (memcmp(a + done, b + done, part) != 0) return false;
    }
    return true;
}

/* ---- Single characters ------------------------------------------------------------------------- */

/* Whether `c` is of the class that is called by a letter; any other `name` stands for itself. */
static inline bool in_class(unsigned char c, unsigned char name) {
    int in;
    switch (name | 0x20) { /* the capital of a letter */
    case 'a': in = isalpha(c); break;
    case 'c': in = iscntrl(c); break;
    case 'd': in = isdigit(c); break;
    case 'g': in = isgraph(c); break;
    case 'l': in = islower(c); break;
    case 'p': in = ispunct(c); break;
    case 's': in = isspace(c); break;
    case 'u': in = isupper(c); break;
    case 'w': in = isalnum(c); break;
    case 'x': in = isxdigit(c); break;
    case 'z': in = c == 0; break; /* from the days when patterns could not hold a NUL */
    default: return c == name;
    }
    return (in != 0) == ((name & 0x20) != 0);
}

/* Whether `c` is in the set from the bracket at `p` to the one at `end`. */
static bool l_in_set(matcher *m, unsigned char c, const char *p, const char *end) {
    bool inverted = *++p == '^';
    if (inverted) p++;
    /* The first window is charged at once, in whatever place the set is left; each further one when it is reached. */
    const char *seen = end - p < WINDOW ? end : p + WINDOW;
    m->work += (size_t)(seen - p) / BYTES;
    for (; p < end; p++) {
        if (p > seen) seen = l_looked(m, seen, p + WINDOW);
        if (*p == '%') {
            if (in_class(c, (unsigned char)*++p)) return !inverted;
        } else if (p[1] == '-' && end - p > 2) {
            p += 2;
            if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p) return !inverted;
        } else if ((unsigned char)*p == c) {
            return !inverted;
        }
    }
    return inverted;
}

/* Whether the item from `p` to `end` matches the character at `s`. */
static inline bool l_matches(matcher *m, const char *s, const char *p, const char *end) {
    if (s == m->subject_end) return false;
    switch (*p) {
    case '.': return true;
    case '%': return in_class((unsigned char)*s, (unsigned char)p[1]);
    case '[': return l_in_set(m, (unsigned char)*s, p, end - 1);
    default: return *p == *s;
    }
}

static const char *l_set_end(matcher *m, const char *p) {
    const char *from = p++;
    if (*p == '^') p++;
    do { /* a bracket that comes first is one of the set */
        if (p - from >= WINDOW) from = l_looked(m, from, p);
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%' && p < m->pattern_end) p++;
    } while (*p != ']');
    l_looked(m, from, p);
    return p + 1;
}

static inline const char *l_item_end(matcher *m, const char *p) {
    if (*p == '[') return l_set_end(m, p);
    if (*p != '%') return p + 1;
    if (p + 1 == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 2;
}

/* Where the longest row of such characters from `s` on ends. */
static const char *l_row_end(matcher *m, const char *s, const char *p, const char *end) {
    if (*p == '.') return m->subject_end;
    const char *from = s;
    for (; l_matches(m, s, p, end); s++)
        if (s - from >= WINDOW) from = l_looked(m, from, s);
    return l_looked(m, from, s);
}

/* ---- Items of the pattern ---------------------------------------------------------------------- */

/* Each returns where in the subject the match has come to, or NULL, and sets `*p` after the item. */

static inline choice *l_choose(matcher *m, trail *t, kind kind_of, const char *at, const char *rest) {
    if (t->count == MOST_CHOICES) luaL_error(m->L, "pattern too complex");
    choice *made = &t->choices[t->count++];
    made->kind = kind_of;
    made->at = at;
    made->rest = rest;
    return made;
}

static const char *l_open(matcher *m, trail *t, const char *s, const char **p) {
    bool position = (*p)[1] == ')';
    if (m->level == MOST_CAPTURES) luaL_error(m->L, "too many captures");
    m->captures[m->level++] = (capture){s, position ? POSITION : OPEN};
    l_choose(m, t, OPENED, s, NULL);
    *p += position ? 2 : 1;
    return s;
}

static const char *l_close(matcher *m, trail *t, const char *s, const char **p) {
    int index = m->level - 1;
    while (index >= 0 && m->captures[index].size != OPEN)
        index--;
    if (index < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[index].size = s - m->captures[index].start;
    l_choose(m, t, CLOSED, s, NULL)->index = index;
    ++*p;
    return s;
}

static const char *l_balanced(matcher *m, const char *s, const char **p) {
    if (m->pattern_end - *p < 4) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    char opening = (*p)[2], closing = (*p)[3];
    *p += 4;
    if (s == m->subject_end || *s != opening) return NULL;
    const char *from = s;
    for (size_t open = 1; ++s < m->subject_end;) {
        if (s - from >= WINDOW) from = l_looked(m, from, s);
        if (*s == closing) {
            if (--open > 0) continue;
            l_looked(m, from, s);
            return s + 1;
        }
        if (*s == opening) open++;
    }
    l_looked(m, from, s);
    return NULL;
}

static const char *l_frontier(matcher *m, const char *s, const char **p) {
    const char *set = *p + 2;
    if (*set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *p = l_set_end(m, set);
    unsigned char before = s == m->subject ? '\0' : (unsigned char)s[-1]; /* a NUL stands at either end */
    if (l_in_set(m, before, set, *p - 1) || !l_in_set(m, (unsigned char)*s, set, *p - 1)) return NULL;
    return s;
}

static const char *l_again(matcher *m, const char *s, const char **p) {
    int index = (*p)[1] - '1';
    *p += 2;
    if (index < 0 || index >= m->level || m->captures[index].size == OPEN)
        luaL_error(m->L, "invalid capture index %%%d", index + 1);
    const capture *seen = &m->captures[index];
    if (seen->size < 0 || seen->size > m->subject_end - s) return NULL;
    return l_equal(m, seen->start, s, (size_t)seen->size) ? s + seen->size : NULL;
}

/* One character, and how often. */
static inline const char *l_item(matcher *m, trail *t, const char *s, const char **p) {
    const char *item = *p, *end = l_item_end(m, item);
    char times = end < m->pattern_end ? *end : '\0';
    bool here = l_matches(m, s, item, end);
    switch (times) {
    case '?':
        *p = end + 1;
        if (!here) return s;
        l_choose(m, t, OPTIONAL, s, *p);
        return s + 1;
    case '*':
    case '+': {
        *p = end + 1;
        if (!here) return times == '*' ? s : NULL;
        const char *last = l_row_end(m, s + 1, item, end);
        l_choose(m, t, GREEDY, last, *p)->least = times == '*' ? s : s + 1;
        return last;
    }
    case '-':
        *p = end + 1;
        if (here) l_choose(m, t, LAZY, s, *p)->item = item;
        return s;
    default: *p = end; return here ? s + 1 : NULL;
    }
}

/* ---- The match --------------------------------------------------------------------------------- */

/* Takes up the last choice that leaves another way, there in the subject and in the pattern. */
static bool l_retry(matcher *m, trail *t, const char **s, const char **p) {
    for (; t->count > 0; t->count--) {
        choice *last = &t->choices[t->count - 1];
        *p = last->rest;
        switch (last->kind) {
        case OPENED: m->level--; break;
        case CLOSED: m->captures[last->index].size = OPEN; break;
        case OPTIONAL:
            t->count--;
            *s = last->at;
            return true;
        case GREEDY:
            if (last->at == last->least) break;
            *s = --last->at;
            return true;
        case LAZY:
            if (!l_matches(m, last->at, last->item, last->rest - 1)) break;
            *s = ++last->at;
            return true;
        }
    }
    return false;
}

/* Where the match that begins at `s` ends; NULL where none does. */
static const char *l_match(matcher *m, const char *s) {
    const char *p = m->pattern;
    trail t;
    t.count = 0;
    m->level = 0;
    do {
        l_work(m, 1);
        if (p == m->pattern_end) return s;
        if (*p == '(')
            s = l_open(m, &t, s, &p);
        else if (*p == ')')
            s = l_close(m, &t, s, &p);
        else if (*p == '$' && p + 1 == m->pattern_end)
            s = s == m->subject_end ? (p++, s) : NULL;
        else if (*p == '%' && p[1] == 'b')
            s = l_balanced(m, s, &p);
        else if (*p == '%' && p[1] == 'f')
            s = l_frontier(m, s, &p);
        else if (*p == '%' && p[1] >= '0' && p[1] <= '9')
            s = l_again(m, s, &p);
        else
            s = l_item(m, &t, s, &p);
    } while (s != NULL || l_retry(m, &t, &s, &p));
    return NULL;
}

/* The first place from `s` on where a match begins that does not end at `last`, and its end; NULL for none. */
static const char *l_search(matcher *m, const char *s, const char *last, const char **end) {
    for (; s <= m->subject_end; s++) {
        const char *found = l_match(m, s);
        if (found != NULL && found != last) {
            *end = found;
            return s;
        }
        if (m->anchored) break;
    }
    return NULL;
}

/* ---- Arguments and results --------------------------------------------------------------------- */

/* The subject and the pattern at 1 and 2. */
static void l_read_texts(lua_State *L, matcher *m) {
    size_t size, pattern_size;
    m->L = L;
    m->subject = luaL_checklstring(L, 1, &size);
    m->subject_end = m->subject + size;
    m->pattern = luaL_checklstring(L, 2, &pattern_size);
    m->pattern_end = m->pattern + pattern_size;
    m->budget = l_vm_of(L)->budget;
    m->anchored = false;
    m->work = 0;
}

static void take_anchor(matcher *m) {
    m->anchored = *m->pattern == '^';
    if (m->anchored) m->pattern++;
}

/* Where to begin by the argument at 3, counted from 0; past the end of the subject where it says so. */
static size_t l_read_init(lua_State *L, const matcher *m) {
    size_t size = (size_t)(m->subject_end - m->subject);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    if (init > 0) return (size_t)init - 1;
    return init == 0 || init < -(lua_Integer)size ? 0 : size - (size_t)-init;
}

/* One capture of the match from `s` to `end`; the first of a pattern without any is the whole. */
static capture l_capture(const matcher *m, int index, const char *s, const char *end) {
    if (index == 0 && m->level == 0) return (capture){s, end - s};
    if (index >= m->level) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    if (m->captures[index].size == OPEN) luaL_error(m->L, "unfinished capture");
    return m->captures[index];
}

static void l_push_capture(const matcher *m, int index, const char *s, const char *end) {
    capture it = l_capture(m, index, s, end);
    if (it.size == POSITION)
        lua_pushinteger(m->L, it.start - m->subject + 1);
    else
        lua_pushlstring(m->L, it.start, (size_t)it.size);
}

static int l_push_captures(const matcher *m, const char *s, const char *end, int least) {
    int count = m->level > least ? m->level : least;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++)
        l_push_capture(m, i, s, end);
    return count;
}

/* ---- find, match, gmatch ----------------------------------------------------------------------- */

/* Whether nothing in the pattern means anything but itself. */
static bool l_is_plain(matcher *m) {
    const char *p = m->pattern, *from = p;
    for (; p < m->pattern_end; p++) {
        if (p - from >= WINDOW) from = l_looked(m, from, p);
        if (ispunct((unsigned char)*p) && strchr("^$*+?.([%-", *p) != NULL) return false;
    }
    l_looked(m, from, p);
    return true;
}

static const char *l_find_text(matcher *m, const char *s) {
    const char *text = m->pattern;
    size_t size = (size_t)(m->pattern_end - text);
    if (size == 0) return s;
    while ((size_t)(m->subject_end - s) >= size) {
        size_t window = (size_t)(m->subject_end - s) - size + 1;
        if (window > STRETCH) window = STRETCH;
        const char *first = memchr(s, *text, window);
        s = l_looked(m, s, first != NULL ? first : s + window);
        if (first == NULL) continue;
        l_work(m, 1);
        if (s[size - 1] == text[size - 1] && l_equal(m, s, text, size)) return s;
        s++;
    }
    return NULL;
}

static int l_find_or_match(lua_State *L, bool find) {
    matcher m;
    l_read_texts(L, &m);
    size_t init = l_read_init(L, &m);
    const char *s = NULL, *end = NULL;
    if (init <= (size_t)(m.subject_end - m.subject)) {
        s = m.subject + init;
        m.level = 0;
        if (find && (lua_toboolean(L, 4) || l_is_plain(&m))) {
            s = l_find_text(&m, s);
            if (s != NULL) end = s + (m.pattern_end - m.pattern);
        } else {
            take_anchor(&m);
            s = l_search(&m, s, NULL, &end);
        }
    }
    l_pay(&m);
    if (s == NULL) {
        lua_pushnil(L);
        return 1;
    }
    if (!find) return l_push_captures(&m, s, end, 1);
    lua_pushinteger(L, s - m.subject + 1);
    lua_pushinteger(L, end - m.subject);
    return 2 + l_push_captures(&m, s, end, 0);
}

int l_pattern_find(lua_State *L) {
    return l_find_or_match(L, true);
}

int l_pattern_match(lua_State *L) {
    return l_find_or_match(L, false);
}

typedef struct walk {
    matcher m;
    const char *at, *last; /* where to go on, and the end of the last match */
} walk;

/* Upvalues: the subject and the pattern, which the walk shows, and the walk. */
static int l_walk(lua_State *L) {
    walk *w = lua_touserdata(L, lua_upvalueindex(3));
    const char *end;
    w->m.L = L;
    const char *s = l_search(&w->m, w->at, w->last, &end);
    l_pay(&w->m);
    if (s == NULL) return 0;
    w->at = w->last = end;
    return l_push_captures(&w->m, s, end, 1);
}

int l_pattern_gmatch(lua_State *L) {
    matcher m;
    l_read_texts(L, &m);
    size_t init = l_read_init(L, &m), size = (size_t)(m.subject_end - m.subject);
    lua_settop(L, 2);
    walk *w = lua_newuserdatauv(L, sizeof *w, 0);
    w->m = m;
    w->at = m.subject + (init <= size ? init : size + 1);
    w->last = NULL;
    lua_pushcclosure(L, l_walk, 3);
    return 1;
}

/* ---- gsub -------------------------------------------------------------------------------------- */

/* Adds the text at 3, with what its percent signs stand for. */
static void l_add_text(matcher *m, luaL_Buffer *out, const char *s, const char *end) {
    size_t size;
    const char *text = lua_tolstring(m->L, 3, &size), *stop = text + size, *percent;
    for (; (percent = memchr(text, '%', (size_t)(stop - text))) != NULL; text = percent + 2) {
        luaL_addlstring(out, text, (size_t)(percent - text));
        l_looked(m, text, percent);
        l_work(m, 1);
        unsigned char name = (unsigned char)percent[1];
        if (name == '%') {
            luaL_addchar(out, '%');
            continue;
        }
        if (!isdigit(name)) luaL_error(m->L, "invalid use of '%%' in replacement string");
        capture it = name == '0' ? (capture){s, end - s} : l_capture(m, name - '1', s, end);
        if (it.size == POSITION) {
            lua_pushinteger(m->L, it.start - m->subject + 1);
            luaL_addvalue(out);
        } else {
            luaL_addlstring(out, it.start, (size_t)it.size);
            l_looked(m, it.start, it.start + it.size);
        }
    }
    luaL_addlstring(out, text, (size_t)(stop - text));
    l_looked(m, text, stop);
}

/* Adds what the function or table at 3 gives for the match, unless that is false or nil. */
static bool l_add_value(matcher *m, luaL_Buffer *out, const char *s, const char *end) {
    lua_State *L = m->L;
    if (lua_type(L, 3) == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, l_push_captures(m, s, end, 1), 1);
    } else {
        l_push_capture(m, 0, s, end);
        lua_gettable(L, 3);
    }
    bool given = lua_toboolean(L, -1);
    if (given && !lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    if (given)
        luaL_addvalue(out);
    else
        lua_pop(L, 1);
    return given;
}

int l_pattern_gsub(lua_State *L) {
    matcher m;
    l_read_texts(L, &m);
    int type = lua_type(L, 3);
    bool text = type == LUA_TSTRING || type == LUA_TNUMBER;
    lua_Integer most = luaL_optinteger(L, 4, m.subject_end - m.subject + 1), count = 0;
    luaL_argexpected(L, text || type == LUA_TFUNCTION || type == LUA_TTABLE, 3, "string/function/table");
    take_anchor(&m);
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    bool changed = false;
    const char *s = m.subject, *end = NULL, *kept = s; /* from `kept` on nothing has been written out */
    while (count < most && (s = l_search(&m, s, end, &end)) != NULL) {
        count++;
        luaL_addlstring(&out, kept, (size_t)(s - kept));
        kept = s;
        if (text) l_add_text(&m, &out, s, end);
        if (text || l_add_value(&m, &out, s, end)) {
            kept = end;
            changed = true;
        }
        s = end;
        if (m.anchored) break;
    }
    l_pay(&m);
    if (changed) {
        luaL_addlstring(&out, kept, (size_t)(m.subject_end - kept));
        luaL_pushresult(&out);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}
