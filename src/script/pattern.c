/*
 * string.find, match, gmatch and gsub over the matcher that counts its steps: the results and messages are
 * those of Lua 5.4.
 */
#include "script/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "script/matcher.h"
#include "script/vm.h"

/* ---- Arguments and results --------------------------------------------------------------------- */

/* The subject and the pattern at 1 and 2. */
static void l_read_texts(lua_State *L, hf__matcher *m) {
    size_t size, pattern_size;
    m->L = L;
    m->subject = luaL_checklstring(L, 1, &size);
    m->subject_end = m->subject + size;
    m->pattern = luaL_checklstring(L, 2, &pattern_size);
    m->pattern_end = m->pattern + pattern_size;
    m->anchored = false;
    m->work = 0;
}

static void take_anchor(hf__matcher *m) {
    m->anchored = *m->pattern == '^';
    if (m->anchored) m->pattern++;
}

/* Where to begin by the argument at 3, counted from 0; past the end of the subject where it says so. */
static size_t l_read_init(lua_State *L, const hf__matcher *m) {
    size_t size = (size_t)(m->subject_end - m->subject);
    lua_Integer init = luaL_optinteger(L, 3, 1);
    if (init > 0) return (size_t)init - 1;
    return init == 0 || init < -(lua_Integer)size ? 0 : size - (size_t)-init;
}

/* One capture of the match from `s` to `end`; the first of a pattern without any is the whole. */
static hf__capture l_capture(const hf__matcher *m, int index, const char *s, const char *end) {
    if (index == 0 && m->level == 0) return (hf__capture){s, end - s};
    if (index >= m->level) luaL_error(m->L, "invalid capture index %%%d", index + 1);
    if (m->captures[index].size == HF__CAPTURE_OPEN) luaL_error(m->L, "unfinished capture");
    return m->captures[index];
}

static void l_push_capture(const hf__matcher *m, int index, const char *s, const char *end) {
    hf__capture it = l_capture(m, index, s, end);
    if (it.size == HF__CAPTURE_POSITION)
        lua_pushinteger(m->L, it.start - m->subject + 1);
    else
        lua_pushlstring(m->L, it.start, (size_t)it.size);
}

static int l_push_captures(const hf__matcher *m, const char *s, const char *end, int least) {
    int count = m->level > least ? m->level : least;
    l_room(m->L, count);
    for (int i = 0; i < count; i++)
        l_push_capture(m, i, s, end);
    return count;
}

/* ---- find, match, gmatch ----------------------------------------------------------------------- */

static int l_find_or_match(lua_State *L, bool find) {
    hf__matcher m;
    l_read_texts(L, &m);
    size_t init = l_read_init(L, &m);
    const char *s = NULL, *end = NULL;
    if (init <= (size_t)(m.subject_end - m.subject)) {
        s = m.subject + init;
        m.level = 0;
        if (find && (lua_toboolean(L, 4) || l_matcher_is_plain(&m))) {
            s = l_matcher_find_plain(&m, s);
            if (s != NULL) end = s + (m.pattern_end - m.pattern);
        } else {
            take_anchor(&m);
            s = l_matcher_search(&m, s, NULL, &end);
        }
    }
    l_matcher_finish(&m);
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
    hf__matcher m;
    const char *at, *last; /* where to go on, and the end of the last match */
} walk;

/* Upvalues: the subject and the pattern, which the walk shows, and the walk. */
static int l_walk(lua_State *L) {
    walk *w = lua_touserdata(L, lua_upvalueindex(3));
    const char *end;
    w->m.L = L;
    const char *s = l_matcher_search(&w->m, w->at, w->last, &end);
    l_matcher_finish(&w->m);
    if (s == NULL) return 0;
    w->at = w->last = end;
    return l_push_captures(&w->m, s, end, 1);
}

int l_pattern_gmatch(lua_State *L) {
    hf__matcher m;
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
static void l_add_text(hf__matcher *m, luaL_Buffer *out, const char *s, const char *end) {
    size_t size;
    const char *text = lua_tolstring(m->L, 3, &size), *stop = text + size, *percent;
    for (; (percent = memchr(text, '%', (size_t)(stop - text))) != NULL; text = percent + 2) {
        luaL_addlstring(out, text, (size_t)(percent - text));
        l_matcher_charge(m, (size_t)(percent - text));
        unsigned char name = (unsigned char)percent[1];
        if (name == '%') {
            luaL_addchar(out, '%');
            continue;
        }
        if (!isdigit(name)) luaL_error(m->L, "invalid use of '%%' in replacement string");
        hf__capture it = name == '0' ? (hf__capture){s, end - s} : l_capture(m, name - '1', s, end);
        if (it.size == HF__CAPTURE_POSITION) {
            lua_pushinteger(m->L, it.start - m->subject + 1);
            luaL_addvalue(out);
        } else {
            luaL_addlstring(out, it.start, (size_t)it.size);
            l_matcher_charge(m, (size_t)it.size);
        }
    }
    luaL_addlstring(out, text, (size_t)(stop - text));
    l_matcher_charge(m, (size_t)(stop - text));
}

/* Adds what the function or table at 3 gives for the match, unless that is false or nil. */
static bool l_add_value(hf__matcher *m, luaL_Buffer *out, const char *s, const char *end) {
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
    hf__matcher m;
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
    while (count < most && (s = l_matcher_search(&m, s, end, &end)) != NULL) {
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
    l_matcher_finish(&m);
    if (changed) {
        luaL_addlstring(&out, kept, (size_t)(m.subject_end - kept));
        luaL_pushresult(&out);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}
