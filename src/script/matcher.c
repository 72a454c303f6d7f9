/*
 * Lua patterns, matched in counted steps, so that no pattern and no subject outlasts the budget of the state.
 *
 * A pattern is walked item by item as it stands. Where there is a choice - how often an item is repeated,
 * whether a capture was rightly opened here - it goes on a trail, and a failure resumes the last one: the
 * C stack does not grow with the subject. Text that is only looked through is charged in windows, so that
 * no single loop runs on unseen. What is done with a match is the business of pattern.c.
 */
#include "script/matcher.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "script/vm.h"

#define MOST_CHOICES 199 /* where Lua, which recurses at each, gives up as well */

#define STEPS 512     /* at most between two looks at the budget */
#define BYTES 8       /* that are looked through count as one step, */
#define WINDOW 1024   /* so many of them between two looks; */
#define STRETCH 65536 /* and so many where the C library does it */
#define LITTLE 16     /* steps that a call of the library may do for nothing: Lua counts the call */

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

static void l_pay(hf__matcher *m) {
    size_t work = m->work;
    m->work = 0;
    l_budget_charge(m->L, l_vm_of(m->L)->budget, work);
}

void l_matcher_finish(hf__matcher *m) {
    if (m->work >= LITTLE) l_pay(m);
}

static inline void l_work(hf__matcher *m, size_t steps) {
    m->work += steps;
    if (m->work >= STEPS) l_pay(m);
}

/* Charges for looking through what lies between the two, and returns the second. */
static inline const char *l_looked(hf__matcher *m, const char *from, const char *to) {
    l_work(m, (size_t)(to - from) / BYTES);
    return to;
}

void l_matcher_charge(hf__matcher *m, size_t bytes) {
    l_work(m, 1 + bytes / BYTES);
}

static bool l_equal(hf__matcher *m, const char *a, const char *b, size_t size) {
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

/* Whether `c` is among the members of a set from `*p` to about `stop`; where not, `*p` is left there. */
static inline bool among(unsigned char c, const char **p, const char *stop, const char *end) {
    const char *at = *p;
    for (; at < stop; at++) {
        if (*at == '%') {
            if (in_class(c, (unsigned char)*++at)) return true;
        } else if (at[1] == '-' && end - at > 2) {
            at += 2;
            if ((unsigned char)at[-2] <= c && c <= (unsigned char)*at) return true;
        } else if ((unsigned char)*at == c) {
            return true;
        }
    }
    *p = at;
    return false;
}

/* Whether `c` is in the set from the bracket at `p` to the one at `end`. */
static bool l_in_set(hf__matcher *m, unsigned char c, const char *p, const char *end) {
    bool inverted = *++p == '^';
    if (inverted) p++;
    while (end - p > WINDOW) {
        l_work(m, WINDOW / BYTES);
        if (among(c, &p, p + WINDOW, end)) return !inverted;
    }
    return among(c, &p, end, end) != inverted;
}

/* Whether the item from `p` to `end` matches the character at `s`. */
static inline bool l_matches(hf__matcher *m, const char *s, const char *p, const char *end) {
    if (s == m->subject_end) return false;
    switch (*p) {
    case '.': return true;
    case '%': return in_class((unsigned char)*s, (unsigned char)p[1]);
    case '[': return l_in_set(m, (unsigned char)*s, p, end - 1);
    default: return *p == *s;
    }
}

static const char *l_set_end(hf__matcher *m, const char *p) {
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

static inline const char *l_item_end(hf__matcher *m, const char *p) {
    if (*p == '[') return l_set_end(m, p);
    if (*p != '%') return p + 1;
    if (p + 1 == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
    return p + 2;
}

/* Where the longest row of such characters from `s` on ends. */
static const char *l_row_end(hf__matcher *m, const char *s, const char *p, const char *end) {
    if (*p == '.') return m->subject_end;
    const char *from = s;
    for (; l_matches(m, s, p, end); s++) {
        if (s - from < WINDOW) continue;
        l_work(m, WINDOW * (size_t)(end - p) / BYTES);
        from = s;
    }
    l_work(m, (size_t)(s - from) * (size_t)(end - p) / BYTES);
    return s;
}

/* ---- Items of the pattern ---------------------------------------------------------------------- */

/* Each returns where in the subject the match has come to, or NULL, and sets `*p` after the item. */

static inline choice *l_choose(hf__matcher *m, trail *t, kind kind_of, const char *at, const char *rest) {
    if (t->count == MOST_CHOICES) luaL_error(m->L, "pattern too complex");
    choice *made = &t->choices[t->count++];
    made->kind = kind_of;
    made->at = at;
    made->rest = rest;
    return made;
}

static const char *l_open(hf__matcher *m, trail *t, const char *s, const char **p) {
    bool position = (*p)[1] == ')';
    if (m->level == HF__MOST_CAPTURES) luaL_error(m->L, "too many captures");
    m->captures[m->level++] = (hf__capture){s, position ? HF__CAPTURE_POSITION : HF__CAPTURE_OPEN};
    l_choose(m, t, OPENED, s, NULL);
    *p += position ? 2 : 1;
    return s;
}

static const char *l_close(hf__matcher *m, trail *t, const char *s, const char **p) {
    int index = m->level - 1;
    while (index >= 0 && m->captures[index].size != HF__CAPTURE_OPEN)
        index--;
    if (index < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[index].size = s - m->captures[index].start;
    l_choose(m, t, CLOSED, s, NULL)->index = index;
    ++*p;
    return s;
}

static const char *l_balanced(hf__matcher *m, const char *s, const char **p) {
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

static const char *l_frontier(hf__matcher *m, const char *s, const char **p) {
    const char *set = *p + 2;
    if (*set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    *p = l_set_end(m, set);
    unsigned char before = s == m->subject ? '\0' : (unsigned char)s[-1]; /* a NUL stands at either end */
    if (l_in_set(m, before, set, *p - 1) || !l_in_set(m, (unsigned char)*s, set, *p - 1)) return NULL;
    return s;
}

static const char *l_again(hf__matcher *m, const char *s, const char **p) {
    int index = (*p)[1] - '1';
    *p += 2;
    if (index < 0 || index >= m->level || m->captures[index].size == HF__CAPTURE_OPEN)
        luaL_error(m->L, "invalid capture index %%%d", index + 1);
    const hf__capture *seen = &m->captures[index];
    if (seen->size < 0 || seen->size > m->subject_end - s) return NULL;
    return l_equal(m, seen->start, s, (size_t)seen->size) ? s + seen->size : NULL;
}

/* One character, and how often. */
static inline const char *l_item(hf__matcher *m, trail *t, const char *s, const char **p) {
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
static bool l_retry(hf__matcher *m, trail *t, const char **s, const char **p) {
    for (; t->count > 0; t->count--) {
        choice *last = &t->choices[t->count - 1];
        *p = last->rest;
        switch (last->kind) {
        case OPENED: m->level--; break;
        case CLOSED: m->captures[last->index].size = HF__CAPTURE_OPEN; break;
        case OPTIONAL:
            t->count--;
            *s = last->at;
            return true;
        case GREEDY:
            if (last->at == last->least) break;
            *s = --last->at;
            return true;
        case LAZY:
            l_looked(m, last->item, last->rest);
            if (!l_matches(m, last->at, last->item, last->rest - 1)) break;
            *s = ++last->at;
            return true;
        }
    }
    return false;
}

/* Where the match that begins at `s` ends; NULL where none does. */
static const char *l_match(hf__matcher *m, const char *s) {
    const char *p = m->pattern;
    trail t;
    t.count = 0;
    m->level = 0;
    do {
        l_work(m, 1);
        if (p == m->pattern_end) return s;
        bool last = p + 1 == m->pattern_end;
        if (*p == '$' && last && s == m->subject_end) return s;
        if (*p == '(')
            s = l_open(m, &t, s, &p);
        else if (*p == ')')
            s = l_close(m, &t, s, &p);
        else if (*p == '$' && last)
            s = NULL;
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

const char *l_matcher_search(hf__matcher *m, const char *s, const char *last, const char **end) {
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

/* ---- Plain text -------------------------------------------------------------------------------- */

bool l_matcher_is_plain(hf__matcher *m) {
    const char *p = m->pattern, *from = p;
    for (; p < m->pattern_end; p++) {
        if (p - from >= WINDOW) from = l_looked(m, from, p);
        if (ispunct((unsigned char)*p) && strchr("^$*+?.([%-", *p) != NULL) return false;
    }
    l_looked(m, from, p);
    return true;
}

const char *l_matcher_find_plain(hf__matcher *m, const char *s) {
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
