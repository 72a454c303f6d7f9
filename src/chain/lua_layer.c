/*
 * Layers in Lua: one call of a layer, with its `op`, its `next` and its `ctx`. Neighbours in the same
 * state hand the op's table on as it is; anywhere else it crosses through the C form.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "chain/frame.h"
#include "chain/hoard.h"
#include "chain/tables.h"
#include "op/check.h"
#include "script/marshal.h"

/* What `next` is a closure of: where it belongs, the answer that it gave, the error that came from below. */
enum { NEXT_VM = 1, NEXT_SERIAL, NEXT_RESULT, NEXT_ERROR };

static int l_next(lua_State *L);

/* Each layer is a dozen C calls within the one before, most of them Lua's, and processors foresee the returns from thirty
 * or so: each call that is not made saves a wrong guess. */
#define IN_LINE static inline __attribute__((always_inline))

/* Begins a call of the layer at `position`. */
static hf__call *l_begin_call(lua_State *L, hf__visit *visit, size_t position, const hf__op_def *def) {
    hf__call *call = visit->over;
    if (call != NULL)
        visit->over = call->outer;
    else
        call = hf__arena_alloc(&visit->frame->arena, sizeof *call);
    if (call == NULL) l_throwf(L, HF_MEMORY, "out of memory");
    *call = (hf__call){
        .outer = visit->live,
        .serial = ++visit->vm->serials,
        .def = def,
        .position = (uint32_t)position,
        .catching = visit->vm->catching,
    };
    visit->live = call;
    return call;
}

/* Ends the calls within `call`, or all of the visit. */
static void end_calls(hf__visit *visit, const hf__call *call) {
    while (visit->live != call) {
        hf__call *over = visit->live;
        visit->live = over->outer;
        over->outer = visit->over;
        visit->over = over;
    }
}

/* The call's `next`. [-0, +1] */
static void l_push_next(lua_State *L, hf__vm *vm, const hf__call *call) {
    lua_pushlightuserdata(L, vm);
    lua_pushinteger(L, (lua_Integer)call->serial);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushcclosure(L, l_next, 4);
}

/* Checks what the layer's function returned, which is on the top: leaves the table of its answer. */
static void l_settle_result(lua_State *L, const hf__names *names, const hf__call *call, int next) {
    if (lua_isnil(L, -1)) {
        if (!call->passed)
            l_throwf(L, HF_MIDDLEWARE, "neither called next nor returned a result for \"%s\"",
                     call->def->name);
        lua_pop(L, 1);
        lua_getupvalue(L, next, NEXT_RESULT);
    }
    if (lua_type(L, -1) != LUA_TTABLE)
        l_throwf(L, HF_BAD_RESULT, "returned a %s: expected a result, a table", luaL_typename(L, -1));
    if (lua_getmetatable(L, -1))
        l_throwf(L, HF_BAD_RESULT, "returned a result with a metatable: expected a plain table");
    int type = lua_getfield(L, -1, "op");
    if (!hf__is_kind_name(L, names, call->def->kind)) {
        const char *op = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        if (op == NULL)
            l_throwf(L, HF_BAD_RESULT, "returned a result without its \"op\": expected op = \"%s\"",
                     call->def->name);
        if (strcmp(op, call->def->name) != 0)
            l_throwf(L, HF_BAD_RESULT, "returned a result of \"%s\": expected one of \"%s\"", op,
                     call->def->name);
    }
    lua_pop(L, 1);
}

/* [op table, next, at `op`] -> [answer's table]: the layer's function, and what it returned. */
IN_LINE void l_handle(lua_State *L, const hf__visit *visit, const hf__call *call, int op) {
    const hf__layer_def *layer = &visit->frame->chain->layers[call->position];
    int most = visit->frame->chain->quarantine_after, arguments = 2;
    if (most > 0 && layer->breaches >= most)
        l_throwf(L, HF_TIMEOUT, "is in quarantine: it went past a budget %d times", layer->breaches);
    if (layer->stopped) l_throwf(L, HF_MEMORY, "is stopped until it is loaded anew: it kept too much memory");
    lua_rawgeti(L, LUA_REGISTRYINDEX, layer->handlers[call->def->kind]);
    lua_pushvalue(L, op);
    lua_pushvalue(L, op + 1);
    if ((layer->takes_ctx & HF__KIND_BIT(call->def->kind)) != 0) {
        l_push_context_of(L, visit, call);
        arguments++;
    }
    lua_call(L, arguments, 1);
    l_budget_check(L, visit->vm->budget); /* a script may have swallowed it */
    l_settle_result(L, &visit->vm->names, call, op + 1);
}

/* (op table, next, light visit) -> answer's table */
static int l_handle_protected(lua_State *L) {
    const hf__visit *visit = lua_touserdata(L, 3);
    lua_settop(L, 2);
    l_handle(L, visit, visit->live, 1);
    return 1;
}

/* The code of the error on the top; borrowed from it. */
static const char *l_code(lua_State *L) {
    const char *code = "middleware";
    if (lua_type(L, -1) != LUA_TTABLE) return code;
    lua_pushliteral(L, "code");
    if (lua_rawget(L, -2) == LUA_TSTRING) code = lua_tostring(L, -1);
    lua_pop(L, 1);
    return code;
}

/* Whether the error on the top is the layer's own slip, which its onError = "continue" covers. */
static bool l_is_own_slip(lua_State *L, const hf__call *call, const hf__visit *visit, int next) {
    static const char *const budgets[] = {"timeout", "memory", "depth"};
    for (int i = 0; i < 3; i++)
        if (strcmp(l_code(L), budgets[i]) == 0) return false;
    if (call->refused || (visit->vm->budget != NULL && visit->vm->budget->spent != HF_OK)) return false;
    lua_getupvalue(L, next, NEXT_ERROR);
    bool from_below = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return !from_below;
}

/* [op, next] -> [answer's table]: a layer whose slips are logged, and passed over. It works on copies. */
static void l_call_tolerated(lua_State *L, hf__visit *visit, hf__call *call, int op) {
    lua_pushcfunction(L, l_handle_protected);
    l_push_copy(L, op);
    lua_pushvalue(L, op + 1);
    lua_pushlightuserdata(L, visit);
    if (l_protected_call(L, 3, 1) == LUA_OK) return;
    end_calls(visit, call);
    if (!l_is_own_slip(L, call, visit, op + 1)) lua_error(L);
    if (call->step != NULL) call->step->tolerated = true;
    hf_error err;
    l_read_error(L, -1, &err);
    hf__frame_log_error(visit, "passed over", &err);
    lua_settop(L, op + 1);
    if (call->passed)
        lua_getupvalue(L, op + 1, NEXT_RESULT);
    else if (l_descend(L, call, visit, op, false) != LUA_OK)
        lua_error(L);
}

/* [op table] -> [answer's table]: calls the layer at `position`. Like all here, it is a C function's whole work, or nearly,
 * and needs no more slots than Lua gives each. */
IN_LINE void l_call_layer(lua_State *L, hf__visit *visit, size_t position, const hf__op_def *def) {
    int op = lua_gettop(L);
    size_t outer_layer = visit->layer;
    const char *outer_op = visit->op;
    visit->layer = position; /* whoever catches an error puts the outer ones back */
    visit->op = def->name;
    size_t turns = visit->turns_count;
    hf__budget *budget = visit->vm->budget;
    hf__budget_glance(budget);
    if (budget != NULL && turns < HF__MOST_TURNS)
        visit->vm->turns[visit->turns_count++] =
            (hf__turn){position, def->name, budget->time_left, budget->instructions, budget->used};
    hf__trace *trace = visit->frame->trace;
    hf__step *outer = trace != NULL ? trace->open : NULL; /* ended by whoever catches an error */
    hf__call *call = l_begin_call(L, visit, position, def);
    call->step = hf__trace_begin(trace, hf__frame_layer_name(visit->frame, position), def->name);
    if (call->step != NULL) call->step->given = hf__trace_table(trace, L, op);
    l_push_next(L, visit->vm, call);
    if (visit->frame->chain->layers[position].tolerated)
        l_call_tolerated(L, visit, call, op);
    else
        l_handle(L, visit, call, op);
    if (call->step != NULL) call->step->gave = hf__trace_table(trace, L, -1);
    hf__trace_end(trace, outer, NULL);
    end_calls(visit, call->outer);
    visit->layer = outer_layer;
    visit->op = outer_op;
    visit->turns_count = turns;
    lua_replace(L, op);
    lua_settop(L, op);
}

/* ---- Downwards --------------------------------------------------------------------------------- */

/* The terminal's time is no script's, but a script must not keep the terminal at work for ever: each op that it gives
 * down costs it instructions, by the bytes it bears, and where it was the script's own idea, or one failed before, by the
 * work that it took: waiting for a lock or a disk is none. */
#define DESCENT_COST 1000
#define NS_CHARGED 10 /* as one instruction */

typedef struct descent {
    hf__call *call;
    hf__visit *visit;
    bool nested; /* exec, rather than next */
} descent;

/* Gives the table at index 1 its minted id, where it lacks one. */
static void l_mint(lua_State *L, hf__frame *frame, const hf__op_def *def) {
    if (def->mints == HF__MINTS_NOTHING) return;
    const char *field = def->mints == HF__MINTS_MESSAGE ? "messageId" : "conversationId";
    lua_pushstring(L, field);
    int type = lua_rawget(L, 1);
    if (type == LUA_TNIL || (type == LUA_TLIGHTUSERDATA && hf__is_null(L, -1))) {
        char id[HF__UUID_SIZE + 1];
        hf_error err;
        if (hf__host_uuid(frame->host, id, &err) != HF_OK) l_throw(L, &err);
        lua_pushstring(L, field);
        lua_pushlstring(L, id, HF__UUID_SIZE);
        lua_rawset(L, 1);
    }
    lua_settop(L, 1);
}

/* The op that the table at index 1 names: most often the one that the layer was given. */
static const hf__op_def *l_handed(lua_State *L, const hf__names *names, const hf__op_def *given) {
    lua_pushliteral(L, "op");
    lua_rawget(L, 1);
    bool same = hf__is_kind_name(L, names, given->kind);
    lua_settop(L, 1);
    return same ? given : l_op_def(L, 1);
}

/* (op table, light descent) -> answer's table */
static int l_descend_protected(lua_State *L) {
    descent *way = lua_touserdata(L, 2);
    hf__visit *visit = way->visit;
    hf__frame *frame = visit->frame;
    hf_error err;
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) l_throwf(L, HF_INVALID, "the op has a metatable: expected a plain table");
    const hf__op_def *def = l_handed(L, &visit->vm->names, way->call->def);
    l_budget_fee(L, visit->vm->budget, DESCENT_COST);
    if (!way->nested && hf__frame_may_become(way->call->def, def, &err) != HF_OK) l_throw_own(L, &err);
    l_mint(L, frame, def);
    size_t position = hf__frame_next(frame, way->call->position + 1, def->kind);
    if (position < frame->chain->count && frame->chain->layers[position].vm == visit->vm) {
        l_call_layer(L, visit, position, def);
        return 1;
    }
    hf__hop *hop = hf__frame_take_hop(frame);
    if (hop == NULL) return l_throwf(L, HF_MEMORY, "out of memory");
    if (l_is_op(L, &visit->vm->names, 1, def, visit->given)) {
        hop->op = *visit->given;
    } else {
        l_read_op(L, 1, &hop->arena, &frame->host->limits, def, &hop->op);
        l_budget_charge(L, visit->vm->budget, hop->arena.size / 4 + hop->op.ops_count * DESCENT_COST);
        if (hf__op_check(&hop->op, &frame->host->limits, NULL, &err) != HF_OK) {
            err.op[0] = '\0'; /* the slip is in the layer's work on the op that it was given */
            return l_throw_own(L, &err);
        }
    }
    hf__budget_pause(visit->vm->budget);
    bool nested = frame->depth > 0; /* the op, or one around it, came from ctx:exec */
    bool charged = nested || frame->failed;
    int64_t before = charged ? hf__worked_ns() : 0;
    int rc = hf__frame_descend(frame, way->call->position + 1, def, &hop->op, &hop->result, &err);
    int64_t work = charged ? hf__worked_ns() - before : 0;
    if (nested || rc != HF_OK)
        hf__budget_resume(visit->vm->budget);
    else
        hf__budget_resume_unread(visit->vm->budget); /* next succeeds but once */
    if (charged) l_budget_charge(L, visit->vm->budget, (size_t)work / NS_CHARGED);
    if (!nested) hf__budget_grant(visit->vm->budget); /* what the op itself brings */
    if (rc != HF_OK) {
        hf__error_about(&err, &hop->op);
        return l_throw(L, &err);
    }
    lua_pushliteral(L, "content");
    lua_rawget(L, 1); /* a layer below may have given the op's table a metatable */
    l_push_result(L, &visit->vm->names, &hop->arena, def, &hop->result, lua_gettop(L));
    if (!nested) {
        hf__budget_granted(visit->vm->budget);
        hf_result_free(&frame->answer);
        frame->answer = hop->result;
        frame->answer_checked = frame->checked;
        hop->result = (hf_result){0};
    }
    hf__frame_return_hop(frame, hop);
    return 1;
}

/* Whether the layer may go on after an error from below. One with a budget may not where no pcall of its own runs: the error
 * leaves it then. */
static bool may_go_on(const hf__call *call, const hf__visit *visit) {
    const hf__vm *vm = visit->vm;
    return vm->budget == NULL || vm->catching != call->catching ||
           visit->frame->chain->layers[call->position].tolerated;
}

/* What l_descend says. */
IN_LINE int l_give_down(lua_State *L, hf__call *call, hf__visit *visit, int index, bool nested) {
    hf__frame *frame = visit->frame;
    descent way = {call, visit, nested};
    hf_error err;
    hf__mark mark;
    index = lua_absindex(L, index);
    if (hf__transaction_mark(frame->txn, may_go_on(call, visit), &mark, &err) != HF_OK) {
        l_push_error(L, &err);
        return LUA_ERRRUN;
    }
    size_t layer = visit->layer, turns = visit->turns_count;
    const char *op = visit->op;
    unsigned depth = frame->depth;
    const hf__after *after = frame->after;
    hf__hop *used = frame->used;
    size_t batch_from = frame->batch_from;
    if (nested || call->def->kind != HF__KIND_batch) frame->batch_from = call->position + 1;
    hf__step *step = call->step;
    if (step != NULL && !nested) {
        step->passed = true;
        step->handed = hf__trace_table(frame->trace, L, index);
    }
    lua_State *entry = visit->vm->L;
    visit->vm->L = L; /* what comes up from C below enters here, a coroutine perhaps */
    l_push_handler(L);
    int handler = lua_gettop(L);
    lua_pushcfunction(L, l_descend_protected);
    lua_pushvalue(L, index);
    lua_pushlightuserdata(L, &way);
    int status = l_guarded_call(L, visit->vm->budget, 2, 1);
    lua_replace(L, handler);
    visit->vm->L = entry;
    if (lua_type(L, index) == LUA_TTABLE &&
        lua_getmetatable(L, index)) { /* what a layer below did stays there */
        lua_pop(L, 1);
        lua_pushnil(L);
        lua_setmetatable(L, index);
    }
    end_calls(visit, call);
    visit->layer = layer;
    visit->op = op;
    visit->turns_count = turns;
    frame->depth = depth;
    frame->batch_from = batch_from;
    if (status != LUA_OK) {
        frame->failed = true;
        if (step != NULL) hf__trace_end(frame->trace, step, l_code(L));
        hf__transaction_undo(frame->txn, mark);
        hf__frame_forget(frame, after); /* what waited for the commit is undone as well */
        while (frame->used != used)
            hf__frame_return_hop(frame, frame->used);
    } else if (hf__transaction_release(frame->txn, mark, &err) != HF_OK) {
        l_push_error(L, &err);
        return LUA_ERRRUN;
    }
    return status;
}

int l_descend(lua_State *L, hf__call *call, hf__visit *visit, int index, bool nested) {
    return l_give_down(L, call, visit, index, nested);
}

static int l_next(lua_State *L) {
    hf__vm *vm = lua_touserdata(L, lua_upvalueindex(NEXT_VM));
    l_budget_check(L, vm->budget);
    hf__call *call = l_live_call(L, vm, (uint64_t)lua_tointeger(L, lua_upvalueindex(NEXT_SERIAL)), "next");
    hf__visit *visit = vm->visit;
    if (call->passed) return l_throwf(L, HF_MIDDLEWARE, "next was called again after it had succeeded");
    if (lua_type(L, 1) != LUA_TTABLE)
        return l_throwf(L, HF_MIDDLEWARE, "next: expected the op, a table, found %s", luaL_typename(L, 1));
    call->passing = true;
    int status = l_give_down(L, call, visit, 1, false);
    call->passing = false;
    if (status != LUA_OK) {
        lua_pushvalue(L, -1);
        lua_replace(L, lua_upvalueindex(NEXT_ERROR));
        return lua_error(L);
    }
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(NEXT_RESULT));
    call->passed = true;
    if (call->step != NULL) call->step->got = hf__trace_table(visit->frame->trace, L, -1);
    if (visit->frame->chain->layers[call->position].tolerated) {
        l_push_copy(L, -1); /* where memory for it is lacking, the layer does not get what it is of either */
        lua_replace(L, lua_upvalueindex(NEXT_RESULT));
    }
    return 1;
}

/* ---- In from C --------------------------------------------------------------------------------- */

typedef struct entry {
    hf__frame *frame;
    hf__visit *visit;
    size_t position;
    const hf__op_def *def;
    const hf_op *op;
    hf_result *result;
    hf__arena arena;
} entry;

static int l_enter(lua_State *L) {
    entry *in = lua_touserdata(L, 1);
    hf__frame *frame = in->frame;
    hf__budget_grant(in->visit->vm->budget);
    l_push_op(L, &in->visit->vm->names, &in->arena, in->def, in->op);
    hf__budget_granted(in->visit->vm->budget);
    l_call_layer(L, in->visit, in->position, in->def);
    in->visit->layer = in->position; /* a slip in the answer is told as this layer's */
    in->visit->op = in->def->name;
    if (l_is_result(L, &in->visit->vm->names, -1, in->def, &frame->answer)) {
        *in->result = frame->answer;
        frame->answer = (hf_result){0};
        frame->checked = frame->answer_checked;
    } else {
        frame->checked = false;
        l_read_result(L, -1, &in->arena, &frame->host->limits, in->def, in->result);
    }
    return 0;
}

/* Counts a breach against the layer that `err` names. */
static void count_breach(hf__frame *frame, const hf_error *err) {
    for (size_t i = 0; i < frame->chain->count; i++)
        if (strcmp(frame->chain->layers[i].name, err->layer) == 0) frame->chain->layers[i].breaches++;
}

int hf__lua_layer_run(hf__frame *frame, size_t position, const hf__op_def *def, const hf_op *op,
                      hf_result *result, hf_error *err) {
    hf__visit *visit = hf__frame_visit(frame, frame->chain->layers[position].vm);
    if (visit == NULL) return hf__fail_memory(err);
    entry in = {frame, visit, position, def, op, result, {0}};
    size_t layer = visit->layer, turns = visit->turns_count;
    const char *outer_op = visit->op;
    const hf_op *given = visit->given;
    const hf__call *live = visit->live;
    visit->given = op;
    hf__step *outer = frame->trace != NULL ? frame->trace->open : NULL;
    if (layer == SIZE_MAX) { /* in a batch, each op has its own */
        hf__budget_begin(visit->vm->budget);
        hf__budget_resume_unread(visit->vm->budget);
    } else {
        hf__budget_resume(visit->vm->budget);
    }
    int rc = hf__lua_enter(visit->vm->L, l_enter, &in, 0, err);
    hf__budget_pause(visit->vm->budget);
    hf__arena_free(&in.arena);
    hf__budget *budget = visit->vm->budget;
    bool breach = rc != HF_OK && budget != NULL && budget->spent != HF_OK;
    if (breach && layer == SIZE_MAX) {
        if (budget->spent == HF_MEMORY) hf__hoard_settle(frame->chain, visit->vm, err);
        count_breach(frame, err);
    }
    if (rc != HF_OK) hf__trace_end(frame->trace, outer, err->name);
    visit->layer = layer;
    visit->op = outer_op;
    visit->given = given;
    end_calls(visit, live);
    visit->turns_count = turns;
    return rc;
}
