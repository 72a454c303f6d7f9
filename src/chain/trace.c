/* The record of one op's way. */
#include "chain/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/uuid.h"
#include "op/text.h"
#include "script/marshal.h"
#include "script/vm.h"

/* Bytes that are kept of one op's way, and nanoseconds that reading its tables may take: a layer may go it very often,
 * and make tables that are slow to walk. What comes after is left out. */
#define MOST_KEPT ((size_t)48 << 20)
#define MOST_SPENT ((int64_t)500 * 1000000)

static const hf_text left_out = {NULL, 1}; /* absent, but not because there was none */

static bool is_full(const hf__trace *trace) {
    return trace == NULL || trace->arena.size > MOST_KEPT || trace->spent > MOST_SPENT;
}

hf__step *hf__trace_begin(hf__trace *trace, const char *layer, const char *op) {
    hf__step *step = !is_full(trace) ? hf__arena_alloc(&trace->arena, sizeof *step) : NULL;
    if (step == NULL) return NULL;
    step->layer = layer;
    step->op = op;
    step->outer = trace->open;
    step->depth = trace->open != NULL ? trace->open->depth + 1 : 0;
    if (trace->last != NULL)
        trace->last->next = step;
    else
        trace->first = step;
    trace->last = trace->open = step;
    step->begun = hf__monotonic_ns();
    return step;
}

void hf__trace_end(hf__trace *trace, hf__step *outer, const char *code) {
    if (trace == NULL) return;
    int64_t now = hf__monotonic_ns();
    while (trace->open != NULL && trace->open != outer) {
        hf__step *step = trace->open;
        step->spent = now - step->begun;
        if (code != NULL) snprintf(step->code, sizeof step->code, "%s", code);
        trace->open = step->outer;
        if (trace->open == NULL) continue;
        trace->open->within += step->spent;
        if (code != NULL) hf__trace_error_below(trace, code);
    }
}

void hf__trace_error_below(hf__trace *trace, const char *code) {
    if (trace == NULL || trace->open == NULL) return;
    snprintf(trace->open->below_code, sizeof trace->open->below_code, "%s", code);
}

/* For a text that has room among those that are kept. */
static void begin_text(const hf__trace *trace, hf__buf *buf) {
    hf__buf_init(buf, MOST_KEPT - trace->arena.size + 1);
}

static hf_text keep(hf__trace *trace, hf__buf *buf) {
    hf_text text = {0};
    if (buf->state == HF__BUF_OK) text = hf__arena_text(&trace->arena, hf__buf_view(buf));
    hf__buf_free(buf);
    return text.data != NULL ? text : left_out;
}

hf_text hf__trace_op(hf__trace *trace, const hf_op *op) {
    if (is_full(trace)) return left_out;
    hf__buf buf;
    begin_text(trace, &buf);
    hf__op_to_json(&buf, op);
    return keep(trace, &buf);
}

hf_text hf__trace_result(hf__trace *trace, const hf_result *result) {
    if (result->op == NULL) return (hf_text){0};
    if (is_full(trace)) return left_out;
    hf__buf buf;
    begin_text(trace, &buf);
    hf__result_to_json(&buf, result);
    return keep(trace, &buf);
}

typedef struct reading {
    hf__trace *trace;
    int64_t deadline;
    const hf__value *value;
} reading;

static int l_read_table(lua_State *L) {
    reading *r = lua_touserdata(L, 2);
    r->value = l_read_value(L, 1, &r->trace->arena, MOST_KEPT, r->deadline, "trace");
    return 0;
}

hf_text hf__trace_table(hf__trace *trace, lua_State *L, int index) {
    if (is_full(trace) || !lua_checkstack(L, LUA_MINSTACK)) return left_out;
    int64_t begun = hf__monotonic_ns();
    hf__arena_mark mark = hf__arena_here(&trace->arena);
    reading r = {trace, begun + MOST_SPENT - trace->spent, NULL};
    index = lua_absindex(L, index);
    lua_pushcfunction(L, l_read_table);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, &r);
    hf__budget *budget = l_vm_of(L)->budget;
    bool running = budget != NULL && budget->running;
    if (running) hf__budget_pause(budget); /* what is told of a script is no work of its own */
    int status = lua_pcall(L, 2, 0, 0);
    if (running) hf__budget_resume(budget);
    trace->spent += hf__monotonic_ns() - begun;
    if (status != LUA_OK) lua_pop(L, 1);
    bool full = is_full(trace);
    hf__buf buf;
    if (status == LUA_OK && !full) {
        begin_text(trace, &buf);
        hf__json_write(&buf, r.value);
    }
    hf__arena_cut(&trace->arena, mark);
    if (status == LUA_OK && !full) return keep(trace, &buf);
    return full ? left_out : (hf_text){0}; /* what is no JSON is told by those who need it */
}

/* As far as is known: what was left out counts as what it would be held against. */
static bool same(hf_text a, hf_text b) {
    if ((a.data == NULL && a.size != 0) || (b.data == NULL && b.size != 0)) return true;
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

const char *hf__step_did(const hf__step *step) {
    bool own_error = step->tolerated || (step->code[0] != '\0' && strcmp(step->code, step->below_code) != 0);
    if (step->refused && own_error) return "refused";
    if (own_error || (step->layer == NULL && step->code[0] != '\0')) return "failed";
    if (!step->passed) return "answered";
    bool rewrote =
        !same(step->given, step->handed) || (step->code[0] == '\0' && !same(step->got, step->gave));
    return rewrote ? "rewrote" : "passed";
}
