/*
 * One op on its way: from layer to layer, down to the terminal, and its answer back up. This file knows
 * the C form of ops and C layers; lua_layer.c knows the Lua form.
 */
#include "chain/frame.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "op/check.h"
#include "script/marshal.h"

/* One call of a C layer. */
struct hf_layer {
    hf__frame *frame;
    size_t position;
    const hf__op_def *def;
    bool passing;
    bool passed;
    bool failed_below; /* the last error came from below and is not this layer's */
    hf__step *step;
};

size_t hf__frame_next(const hf__frame *frame, size_t from, hf__kind kind) {
    const hf__chain *chain = frame->chain;
    if ((chain->wanted & HF__KIND_BIT(kind)) == 0) return chain->count;
    while (from < chain->count && (chain->layers[from].wants & HF__KIND_BIT(kind)) == 0)
        from++;
    return from;
}

int hf__frame_may_become(const hf__op_def *given, const hf__op_def *next, hf_error *err) {
    if (given->writes || !next->writes) return HF_OK;
    return hf__fail(err, HF_INVALID, "the read \"%s\" may not become the write \"%s\"; run that through exec",
                    given->name, next->name);
}

const char *hf__frame_layer_name(const hf__frame *frame, size_t position) {
    return frame->chain->layers[position].name;
}

hf__visit *hf__frame_visit(hf__frame *frame, hf__vm *vm) {
    hf__visit **place = &frame->visits;
    while (*place != NULL && (*place)->vm != vm)
        place = &(*place)->next;
    if (*place != NULL) return *place;
    hf__visit *visit = hf__arena_alloc(&frame->arena, sizeof *visit);
    if (visit == NULL) return NULL;
    *visit = (hf__visit){
        .vm = vm,
        .frame = frame,
        .name_of = hf__frame_layer_name,
        .outer = vm->visit,
        .generation = ++vm->generations,
        .shared = LUA_NOREF,
        .after = LUA_NOREF,
        .layer = SIZE_MAX,
        .op = "",
    };
    vm->visit = visit;
    *place = visit;
    hf__budget_arrive(vm->budget);
    return visit;
}

hf__hop *hf__frame_take_hop(hf__frame *frame) {
    hf__hop *hop = frame->unused;
    if (hop != NULL)
        frame->unused = hop->next;
    else
        hop = hf__arena_alloc(&frame->arena, sizeof *hop);
    if (hop == NULL) return NULL;
    hop->next = frame->used;
    frame->used = hop;
    return hop;
}

void hf__frame_return_hop(hf__frame *frame, hf__hop *hop) {
    hf_result_free(&hop->result);
    hf__hop **link = &frame->used;
    while (*link != hop)
        link = &(*link)->next;
    *link = hop->next;
    hf__arena_free(&hop->arena);
    hop->next = frame->unused;
    frame->unused = hop;
}

bool hf__frame_wait(hf__visit *visit) {
    hf__frame *frame = visit->frame;
    hf__after *after = frame->unused_after;
    if (after != NULL)
        frame->unused_after = after->older;
    else
        after = hf__arena_alloc(&frame->arena, sizeof *after);
    if (after == NULL) return false;
    *after = (hf__after){visit, frame->after};
    frame->after = after;
    visit->after_count += 2;
    return true;
}

void hf__frame_forget(hf__frame *frame, const hf__after *last) {
    while (frame->after != last) {
        hf__after *gone = frame->after;
        gone->visit->after_count -= 2;
        frame->after = gone->older;
        gone->older = frame->unused_after;
        frame->unused_after = gone;
    }
}

/* ---- C layers ---------------------------------------------------------------------------------- */

/* Whether the answers to the ops of a batch say what they answer: whoever looks at them goes by that. */
static bool are_named(const hf_result *result) {
    for (size_t i = 0; i < result->results_count; i++) {
        const char *op = result->results[i].op;
        const hf__op_def *def = op != NULL ? hf__op_find(op, strlen(op)) : NULL;
        if (def == NULL || def->kind == HF__KIND_batch) return false;
    }
    return true;
}

static int run_c_layer(hf__frame *frame, size_t position, const hf__op_def *def, const hf_op *op,
                       hf_result *result, hf_error *err) {
    const hf__layer_def *layer = &frame->chain->layers[position];
    struct hf_layer call = {.frame = frame, .position = position, .def = def};
    hf__step *outer = frame->trace != NULL ? frame->trace->open : NULL;
    call.step = hf__trace_begin(frame->trace, layer->name, def->name);
    if (call.step != NULL) call.step->given = hf__trace_op(frame->trace, op);
    hf_op shown = *op;
    shown.context = frame->context;
    hf_error own = {0};
    int rc = layer->fn(&call, &shown, result, &own);
    if (rc == HF_OK && result->op == NULL)
        rc = hf__fail(&own, HF_MIDDLEWARE, "neither called hf_next nor gave a result");
    else if (rc == HF_OK && strcmp(result->op, def->name) != 0)
        rc = hf__fail(&own, HF_BAD_RESULT, "gave a result of \"%.30s\": expected one of \"%s\"", result->op,
                      def->name);
    else if (rc == HF_OK && def->kind == HF__KIND_batch && !are_named(result))
        rc = hf__fail(&own, HF_BAD_RESULT,
                      "gave a result in \"results\" whose op is none: expected the name of a write");
    frame->checked = false;
    if (rc == HF_OK) {
        result->op = def->name;
        if (call.step != NULL) call.step->gave = hf__trace_result(frame->trace, result);
        hf__trace_end(frame->trace, outer, NULL);
        return HF_OK;
    }
    bool made_up = hf_code_name(rc) == NULL || own.code != rc;
    if (hf_code_name(rc) == NULL)
        hf__fail(&own, HF_MIDDLEWARE, "returned %d: expected an hf_code", rc);
    else if (made_up)
        hf__fail(&own, (hf_code)rc, "returned %s without saying why", hf_code_name(rc));
    if (own.layer[0] == '\0' && (made_up || !call.failed_below))
        hf__error_copy(own.layer, sizeof own.layer, layer->name, strlen(layer->name), 1);
    hf__trace_end(frame->trace, outer, own.name);
    *err = own;
    return own.code;
}

/* Gives an op of a C layer to the layers below it; what they did is undone where they fail. */
static int descend_from_c(hf_layer *layer, const hf__op_def *def, const hf_op *op, bool nested,
                          hf_result *result, hf_error *err) {
    hf__frame *frame = layer->frame;
    size_t batch_from = frame->batch_from;
    const hf__after *after = frame->after;
    char id[HF__UUID_SIZE + 1];
    hf_op minted = *op;
    minted.context = NULL;
    int rc = hf__host_mint(frame->host, def, &minted, id, err);
    if (rc != HF_OK) return rc;
    hf__mark mark;
    rc = hf__transaction_mark(frame->txn, true, &mark, err);
    if (rc != HF_OK) return rc;
    hf_result_free(result);
    if (nested || layer->def->kind != HF__KIND_batch) frame->batch_from = layer->position + 1;
    rc = hf__frame_descend(frame, layer->position + 1, def, &minted, result, err);
    frame->batch_from = batch_from;
    if (rc == HF_OK)
        rc = hf__transaction_release(frame->txn, mark, err);
    else
        hf__transaction_undo(frame->txn, mark);
    if (rc == HF_OK) return HF_OK;
    hf__frame_forget(frame, after);
    hf__error_about(err, &minted);
    hf_result_free(result);
    return rc;
}

int hf_next(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    const hf__op_def *def;
    hf_error unwanted_error;
    if (err == NULL) err = &unwanted_error;
    layer->failed_below = false;
    if (op == NULL || result == NULL)
        return hf__fail(err, HF_MISUSE, "hf_next: expected an op and a place for its result, found NULL");
    if (layer->passing) return hf__fail(err, HF_MISUSE, "hf_next was called while it runs");
    if (layer->passed) return hf__fail(err, HF_MISUSE, "hf_next was called again after it had succeeded");
    hf_op given = *op;
    given.context = NULL;
    int rc = hf__op_check(&given, &layer->frame->host->limits, &def, err);
    if (rc == HF_OK) rc = hf__frame_may_become(layer->def, def, err);
    if (rc != HF_OK) return rc;
    if (layer->step != NULL) layer->step->handed = hf__trace_op(layer->frame->trace, &given);
    layer->passing = true;
    rc = descend_from_c(layer, def, &given, false, result, err);
    layer->passing = false;
    layer->passed = rc == HF_OK;
    layer->failed_below = rc != HF_OK;
    if (layer->step != NULL) {
        layer->step->passed = true;
        layer->step->got = hf__trace_result(layer->frame->trace, result);
    }
    return rc;
}

int hf_layer_exec(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    const hf__op_def *def;
    hf_result unwanted = {0};
    hf_error unwanted_error;
    if (err == NULL) err = &unwanted_error;
    layer->failed_below = false;
    if (op == NULL) return hf__fail(err, HF_MISUSE, "hf_layer_exec: expected an op, found NULL");
    hf_op given = *op;
    given.context = NULL;
    int rc = hf__op_check(&given, &layer->frame->host->limits, &def, err);
    if (rc != HF_OK) return rc;
    if (layer->frame->depth >= layer->frame->host->limits.exec_depth)
        return hf__fail(err, HF_DEPTH, "exec within exec: expected at most %u levels", layer->frame->depth);
    layer->frame->depth++;
    rc = descend_from_c(layer, def, &given, true, result != NULL ? result : &unwanted, err);
    layer->frame->depth--;
    layer->failed_below = rc != HF_OK;
    if (rc != HF_OK && err->layer[0] == '\0') { /* the op was this layer's idea */
        const char *name = hf__frame_layer_name(layer->frame, layer->position);
        hf__error_copy(err->layer, sizeof err->layer, name, strlen(name), 1);
    }
    hf_result_free(&unwanted);
    return rc;
}

int hf_layer_reject(hf_layer *layer, const char *code, const char *message, hf_error *err) {
    hf_error unwanted;
    if (err == NULL) err = &unwanted;
    layer->failed_below = false;
    if (code == NULL || message == NULL)
        return hf__fail(err, HF_MISUSE, "hf_layer_reject: expected a code and a message, found NULL");
    if (code[0] == '\0' || strlen(code) >= sizeof err->name)
        return hf__fail(err, HF_MISUSE, "hf_layer_reject: expected a code of 1 to %zu bytes",
                        sizeof err->name - 1);
    hf__fail(err, hf__code_of(code), "%s", message);
    hf__error_copy(err->name, sizeof err->name, code, strlen(code), 1);
    const char *name = hf__frame_layer_name(layer->frame, layer->position);
    hf__error_copy(err->layer, sizeof err->layer, name, strlen(name), 1);
    if (layer->step != NULL) layer->step->refused = true;
    return err->code;
}

void *hf_layer_data(hf_layer *layer) {
    return layer->frame->chain->layers[layer->position].data;
}

/* ---- The way down ------------------------------------------------------------------------------ */

static int run_batch(hf__frame *frame, const hf_op *batch, hf_result *result, hf_error *err) {
    bool checked = true;
    result->results = hf_result_alloc(result, batch->ops_count * sizeof *result->results);
    if (result->results == NULL) return hf__fail_memory(err);
    for (size_t i = 0; i < batch->ops_count; i++) {
        hf_op op = batch->ops[i];
        char id[HF__UUID_SIZE + 1];
        const hf__op_def *def = hf__op_find(op.op, strlen(op.op));
        result->results_count = i + 1;
        int rc = hf__host_mint(frame->host, def, &op, id, err);
        if (rc == HF_OK) rc = hf__frame_descend(frame, frame->batch_from, def, &op, &result->results[i], err);
        if (rc != HF_OK) {
            hf__error_in_batch(err, &op, i);
            return rc;
        }
        checked = checked && frame->checked;
    }
    frame->checked = checked;
    result->op = hf__ops[HF__KIND_batch].name;
    return HF_OK;
}

int hf__frame_descend(hf__frame *frame, size_t from, const hf__op_def *def, const hf_op *op,
                      hf_result *result, hf_error *err) {
    size_t position = hf__frame_next(frame, from, def->kind);
    if (position < frame->chain->count) {
        if (frame->chain->layers[position].vm != NULL)
            return hf__lua_layer_run(frame, position, def, op, result, err);
        return run_c_layer(frame, position, def, op, result, err);
    }
    if (def->kind == HF__KIND_batch) return run_batch(frame, op, result, err);
    hf__step *outer = frame->trace != NULL ? frame->trace->open : NULL;
    hf__step *step = hf__trace_begin(frame->trace, NULL, def->name);
    int rc = hf__transaction_exec(frame->txn, def, op, result, err);
    frame->checked = true;
    if (step != NULL && rc == HF_OK) step->gave = hf__trace_result(frame->trace, result);
    hf__trace_end(frame->trace, outer, rc == HF_OK ? NULL : err->name);
    return rc;
}

int hf__frame_run(hf__frame *frame, const hf__op_def *def, const hf_op *op, hf_result *result,
                  hf_error *err) {
    int rc = hf__frame_descend(frame, 0, def, op, result, err);
    if (rc == HF_OK) {
        if (!frame->checked) rc = hf__result_check(def, result, err);
        if (rc == HF_OK && def->kind == HF__KIND_batch && result->results_count != op->ops_count)
            rc = hf__fail(err, HF_BAD_RESULT, "the batch of %zu ops was answered with %zu results",
                          op->ops_count, result->results_count);
        if (rc != HF_OK) hf__error_prefix(err, "the answer that left the chain: ");
        size_t layer = hf__frame_next(frame, 0, def->kind);
        bool alone =
            layer < frame->chain->count && hf__frame_next(frame, layer + 1, def->kind) == frame->chain->count;
        if (rc != HF_OK && err != NULL && alone) {
            const char *name = hf__frame_layer_name(frame, layer);
            hf__error_copy(err->layer, sizeof err->layer, name, strlen(name), 1);
        }
    }
    if (rc != HF_OK) hf__error_about(err, op);
    return rc;
}

/* ---- The log ----------------------------------------------------------------------------------- */

void hf__frame_log(const hf__visit *visit, hf_level level, const char *layer, const char *message,
                   hf_text fields) {
    char text[4096];
    hf__error_copy(text, sizeof text, message, strlen(message), 1);
    hf__budget *budget = visit->vm->budget;
    int may = hf__budget_may_log(budget, strlen(text) + fields.size);
    bool watched = budget != NULL && budget->running;
    hf__budget_pause(budget); /* the host's time is no script's */
    if (may < 0)
        hf__host_log(visit->frame->host, HF_WARN, layer, "logs too much: no more of this op", (hf_text){0});
    if (may > 0) hf__host_log(visit->frame->host, level, layer, text, fields);
    if (watched) hf__budget_resume(budget);
}

void hf__frame_log_error(const hf__visit *visit, const char *what, const hf_error *err) {
    char message[sizeof err->message + 128];
    snprintf(message, sizeof message, "%s: %s (%s)", what, err->message, err->name);
    hf__frame_log(visit, HF_ERROR, err->layer, message, (hf_text){0});
}

/* ---- The end ----------------------------------------------------------------------------------- */

/* Calls the functions of one layer that wait for the commit. Each is charged for the call, and for its error: one that
 * is of the library's runs no instruction. */
#define CALL_COST 100

static int l_call_after(lua_State *L) {
    hf__visit *visit = lua_touserdata(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->after);
    for (lua_Integer i = 2; i <= visit->after_count; i += 2) {
        lua_rawgeti(L, 2, i - 1);
        bool own = (size_t)lua_tointeger(L, -1) == visit->layer;
        lua_rawgeti(L, 2, i);
        if (own && l_protected_call(L, 0, 0) != LUA_OK) {
            hf_error err;
            l_read_error(L, -1, &err);
            hf__frame_log_error(visit, "afterCommit", &err);
            if (visit->vm->budget != NULL && visit->vm->budget->spent != HF_OK) return 0;
        }
        lua_settop(L, 2);
        if (own) l_budget_charge(L, visit->vm->budget, CALL_COST);
    }
    return 0;
}

/* The functions of each layer have a budget between them, so that those of one do not take another's. */
static void run_after(hf__visit *visit) {
    hf_error err;
    for (size_t i = 0; i < visit->frame->chain->count; i++) {
        if (visit->frame->chain->layers[i].vm != visit->vm) continue;
        hf__budget_begin(visit->vm->budget);
        hf__budget_resume(visit->vm->budget);
        visit->layer = i;
        visit->op = "afterCommit";
        if (hf__lua_enter(visit->vm->L, l_call_after, visit, 0, &err) != HF_OK)
            hf__frame_log_error(visit, "afterCommit", &err);
    }
}

bool hf__frame_awaits(const hf__frame *frame) {
    return frame->after != NULL;
}

void hf__frame_park(hf__frame *frame) {
    for (hf__visit *visit = frame->visits; visit != NULL; visit = visit->next) {
        visit->vm->visit = visit->outer;
        visit->brought = hf__budget_park(visit->vm->budget);
    }
}

void hf__frame_resume(hf__frame *frame) {
    for (hf__visit *visit = frame->visits; visit != NULL; visit = visit->next) {
        visit->outer = visit->vm->visit;
        visit->vm->visit = visit;
        hf__budget_unpark(visit->vm->budget, visit->brought);
    }
}

void hf__frame_end(hf__frame *frame, bool committed) {
    for (hf__visit *visit = frame->visits; visit != NULL; visit = visit->next) {
        if (committed && visit->after_count > 0) run_after(visit);
        hf__budget_begin(visit->vm->budget);
        luaL_unref(visit->vm->L, LUA_REGISTRYINDEX, visit->shared);
        luaL_unref(visit->vm->L, LUA_REGISTRYINDEX, visit->after);
        visit->vm->visit = visit->outer;
    }
    while (frame->used != NULL)
        hf__frame_return_hop(frame, frame->used);
    hf_result_free(&frame->answer);
    hf__arena_free(&frame->arena);
}
