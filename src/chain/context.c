/*
 * `ctx`: what a layer may ask and do beside its op. It is good until its op ends: each use looks for
 * the op that it belongs to among those that run in its state.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "chain/frame.h"
#include "chain/tables.h"
#include "script/marshal.h"

static const char context_key = 0;

static void l_push_metatable(lua_State *L);

/* What `ctx` is. Its user value: the table of the host's context. */
typedef struct context {
    hf__vm *vm; /* of the state that it lives in, and lives as long */
    uint64_t generation, serial;
    const hf__op_def *def;
    size_t position;
} context;

void l_push_context_of(lua_State *L, const hf__visit *visit, const hf__call *call) {
    context *ctx = lua_newuserdatauv(L, sizeof *ctx, 1);
    *ctx = (context){visit->vm, visit->generation, call->serial, call->def, call->position};
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key) != LUA_TTABLE) {
        lua_pop(L, 1);
        l_push_metatable(L);
    }
    lua_setmetatable(L, -2);
}

/* The visit that it belongs to; throws where its op has ended. */
static hf__visit *l_visit_of(lua_State *L, const context *ctx, const char *what) {
    for (hf__visit *visit = ctx->vm->visit; visit != NULL; visit = visit->outer)
        if (visit->generation == ctx->generation) {
            l_budget_check(L, visit->vm->budget);
            return visit;
        }
    l_throwf(L, HF_MIDDLEWARE, "%s was used after its op had ended", what);
    return NULL;
}

/* The call of that number that has not ended; NULL for none. */
static hf__call *find_call(const hf__vm *vm, uint64_t serial) {
    for (const hf__visit *visit = vm->visit; visit != NULL; visit = visit->outer)
        for (hf__call *call = visit->live; call != NULL; call = call->outer)
            if (call->serial == serial) return call;
    return NULL;
}

hf__call *l_live_call(lua_State *L, hf__vm *vm, uint64_t serial, const char *what) {
    const hf__visit *visit = vm->visit;
    hf__call *live = visit != NULL ? visit->live : NULL;
    if (live != NULL && live->serial == serial && !live->passing) return live;
    const hf__call *call = find_call(vm, serial);
    if (call == NULL) l_throwf(L, HF_MIDDLEWARE, "%s was called after its layer, or its op, had ended", what);
    if (call->passing) l_throwf(L, HF_MIDDLEWARE, "%s was called while next runs", what);
    l_throwf(L, HF_MIDDLEWARE, "%s was called by another layer than its own", what);
    return NULL;
}

static context *l_check_context(lua_State *L, const char *method) {
    context *ctx = NULL;
    if (lua_type(L, 1) == LUA_TUSERDATA && lua_getmetatable(L, 1)) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &context_key);
        if (lua_rawequal(L, -1, -2)) ctx = lua_touserdata(L, 1);
        lua_pop(L, 2);
    }
    if (ctx == NULL)
        l_throwf(L, HF_MIDDLEWARE, "ctx:%s: expected ctx before the arguments; call it with a colon", method);
    return ctx;
}

/* ---- Methods ----------------------------------------------------------------------------------- */

static int l_exec(lua_State *L) {
    const context *ctx = l_check_context(L, "exec");
    hf__visit *visit = l_visit_of(L, ctx, "ctx:exec");
    hf__call *call = l_live_call(L, ctx->vm, ctx->serial, "ctx:exec");
    if (lua_type(L, 2) != LUA_TTABLE)
        return l_throwf(L, HF_MIDDLEWARE, "ctx:exec: expected an op, a table, found %s", luaL_typename(L, 2));
    lua_settop(L, 2);
    if (visit->frame->depth >= visit->frame->host->limits.exec_depth)
        return l_throwf(L, HF_DEPTH, "ctx:exec within ctx:exec: expected at most %u levels",
                        visit->frame->depth);
    visit->frame->depth++;
    int status = l_descend(L, call, visit, 2, true);
    visit->frame->depth--;
    if (status == LUA_OK) return 1;
    if (l_is_error(L, -1) && lua_getfield(L, -1, "layer") == LUA_TNIL) { /* the op was this layer's idea */
        lua_pushstring(L, hf__frame_layer_name(visit->frame, call->position));
        lua_setfield(L, -3, "layer");
    }
    lua_settop(L, 3);
    return lua_error(L);
}

static int l_now(lua_State *L) {
    hf__visit *visit = l_visit_of(L, l_check_context(L, "now"), "ctx:now");
    lua_pushinteger(L, hf__host_now(visit->frame->host));
    return 1;
}

static int l_uuid(lua_State *L) {
    hf__visit *visit = l_visit_of(L, l_check_context(L, "uuid"), "ctx:uuid");
    char id[HF__UUID_SIZE + 1];
    hf_error err;
    if (hf__host_uuid(visit->frame->host, id, &err) != HF_OK) return l_throw(L, &err);
    lua_pushlstring(L, id, HF__UUID_SIZE);
    return 1;
}

typedef struct fields_reading {
    hf__hop *hop;
    const hf__limits *limits;
    hf_text fields;
} fields_reading;

/* (fields, light reading) */
static int l_read_fields(lua_State *L) {
    fields_reading *r = lua_touserdata(L, 2);
    r->fields = l_read_object(L, 1, &r->hop->arena, r->limits, HF_INVALID, "ctx:log fields");
    return 0;
}

static int l_log(lua_State *L) {
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
    const context *ctx = l_check_context(L, "log");
    hf__visit *visit = l_visit_of(L, ctx, "ctx:log");
    hf__frame *frame = visit->frame;
    int level = luaL_checkoption(L, 2, NULL, levels);
    const char *message = luaL_checkstring(L, 3);
    bool fields = !lua_isnoneornil(L, 4);
    if (fields) luaL_checktype(L, 4, LUA_TTABLE);
    if (frame->host->log == NULL || hf__budget_may_log(visit->vm->budget, 0) == 0) return 0;
    hf__hop *hop = hf__frame_take_hop(frame);
    if (hop == NULL) return l_throwf(L, HF_MEMORY, "out of memory");
    fields_reading r = {hop, &frame->host->limits, {0}};
    int status = LUA_OK;
    if (fields) { /* protected: what was read in part must not stay until the op ends */
        lua_pushcfunction(L, l_read_fields);
        lua_pushvalue(L, 4);
        lua_pushlightuserdata(L, &r);
        status = lua_pcall(L, 2, 0, 0);
    }
    if (status == LUA_OK)
        hf__frame_log(visit, (hf_level)level, hf__frame_layer_name(frame, ctx->position), message, r.fields);
    hf__frame_return_hop(frame, hop);
    return status == LUA_OK ? 0 : lua_error(L);
}

static int l_reply(lua_State *L) {
    const context *ctx = l_check_context(L, "reply");
    l_visit_of(L, ctx, "ctx:reply");
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (lua_type(L, 2) != LUA_TTABLE)
        return l_throwf(L, HF_MIDDLEWARE, "ctx:reply: expected a result, a table, found %s",
                        luaL_typename(L, 2));
    lua_pushliteral(L, "op");
    lua_pushstring(L, ctx->def->name);
    lua_rawset(L, 2);
    return 1;
}

static int l_reject(lua_State *L) {
    const context *ctx = l_check_context(L, "reject");
    hf__visit *visit = l_visit_of(L, ctx, "ctx:reject");
    size_t size;
    hf_error err;
    const char *code = luaL_checklstring(L, 2, &size);
    const char *message = luaL_optstring(L, 3, "refused");
    if (size == 0 || size >= sizeof err.name)
        return l_throwf(L, HF_MIDDLEWARE, "ctx:reject: expected a code of 1 to %zu bytes",
                        sizeof err.name - 1);
    hf__fail(&err, hf__code_of(code), "%s", message);
    hf__error_copy(err.name, sizeof err.name, code, size, 1);
    const char *layer = hf__frame_layer_name(visit->frame, ctx->position);
    hf__error_copy(err.layer, sizeof err.layer, layer, strlen(layer), 1);
    hf__error_copy(err.op, sizeof err.op, ctx->def->name, strlen(ctx->def->name), 1);
    hf__call *call = find_call(ctx->vm, ctx->serial);
    if (call != NULL) call->refused = true;
    if (call != NULL && call->step != NULL) call->step->refused = true;
    return l_throw(L, &err);
}

static int l_after_commit(lua_State *L) {
    const context *ctx = l_check_context(L, "afterCommit");
    hf__visit *visit = l_visit_of(L, ctx, "ctx:afterCommit");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (find_call(ctx->vm, ctx->serial) == NULL)
        return l_throwf(L, HF_MIDDLEWARE, "ctx:afterCommit was called after the layer had returned");
    if (visit->after == LUA_NOREF) {
        lua_newtable(L);
        visit->after = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->after);
    lua_pushinteger(L, (lua_Integer)ctx->position);
    lua_rawseti(L, -2, visit->after_count + 1);
    lua_pushvalue(L, 2);
    lua_rawseti(L, -2, visit->after_count + 2);
    return hf__frame_wait(visit) ? 0 : l_throwf(L, HF_MEMORY, "out of memory");
}

/* ---- Fields ------------------------------------------------------------------------------------ */

static int l_shared(lua_State *L, hf__visit *visit) {
    if (visit->shared == LUA_NOREF) {
        lua_newtable(L);
        visit->shared = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, visit->shared);
    return 1;
}

/* What the host said: one table for each layer's call, so that no layer changes what another sees. */
static int l_host_field(lua_State *L, hf__visit *visit) {
    hf__frame *frame = visit->frame;
    if (frame->context == NULL) return 0;
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
        lua_pop(L, 1);
        hf__hop *hop = hf__frame_take_hop(frame);
        if (hop == NULL) return l_throwf(L, HF_MEMORY, "out of memory");
        l_push_context(L, &visit->vm->names, &hop->arena, frame->context);
        hf__frame_return_hop(frame, hop);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, 1);
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    return 1;
}

static int l_index(lua_State *L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1; /* a method */
    const context *ctx = lua_touserdata(L, 1);
    hf__visit *visit = l_visit_of(L, ctx, "ctx");
    const hf__layer_def *layer = &visit->frame->chain->layers[ctx->position];
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "layer") == 0) {
        lua_pushstring(L, layer->name);
        return 1;
    }
    if (strcmp(name, "state") == 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, layer->state);
        return 1;
    }
    if (strcmp(name, "dryRun") == 0) {
        lua_pushboolean(L, visit->frame->dry_run);
        return 1;
    }
    if (strcmp(name, "shared") == 0) return l_shared(L, visit);
    return l_host_field(L, visit);
}

static int l_newindex(lua_State *L) {
    return l_throwf(L, HF_MIDDLEWARE, "ctx is read-only; what a layer wants to keep belongs into ctx.state");
}

/* The metatable of each `ctx` of a state, made at the first. [-0, +1] */
static void l_push_metatable(lua_State *L) {
    static const luaL_Reg methods[] = {{"exec", l_exec},
                                       {"now", l_now},
                                       {"uuid", l_uuid},
                                       {"log", l_log},
                                       {"reply", l_reply},
                                       {"reject", l_reject},
                                       {"afterCommit", l_after_commit},
                                       {NULL, NULL}};
    lua_createtable(L, 0, 4);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, l_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, l_newindex);
    lua_setfield(L, -2, "__newindex");
    lua_pushliteral(L, "ctx");
    lua_setfield(L, -2, "__metatable");
    lua_pushliteral(L, "ctx");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &context_key);
}
