/*
 * Lua states and the way into them. A longjmp never crosses C code of ours that holds anything: every
 * entry goes through hf__lua_enter, which turns what was raised into an hf_error, itself protected.
 */
#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "script/guard.h"
#include "script/marshal.h"
#include "script/sandbox.h"

static const char vm_key = 0;

/* A new cycle begins once the memory has grown to four times what the last one left: most garbage is an op's tables,
 * and each cycle goes over the libraries as well. The budget's cap holds all the same. */
enum { GC_PAUSE = 400 };
static const char breach_key = 0; /* the error of the budget that was spent last */
static const char no_room = 0;    /* the error of a stack that could not grow, until it is described */

static const luaL_Reg safe_libraries[] = {{"_G", luaopen_base},
                                          {"table", luaopen_table},
                                          {"string", luaopen_string},
                                          {"math", luaopen_math},
                                          {"utf8", luaopen_utf8},
                                          {"os", luaopen_os},
                                          {NULL, NULL}};

/* (light vm): what the sandbox's allow-list picks from, which scripts never see as it is, or everything for
 * scripts that are trusted. */
static int l_open_libraries(lua_State *L) {
    hf__vm *vm = lua_touserdata(L, 1);
    if (vm->budget == NULL) luaL_openlibs(L);
    for (const luaL_Reg *library = safe_libraries; vm->budget != NULL && library->func != NULL; library++) {
        luaL_requiref(L, library->name, library->func, 1);
        lua_pop(L, 1);
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_key);
    l_marshal_setup(L);
    l_names_setup(L, &vm->names);
    if (vm->budget == NULL) return 0;
    l_push_environment(L, NULL, false);
    lua_getfield(L, -1, "string");
    l_guard_strings(L);
    return 0;
}

hf__vm *hf__vm_new(const hf__budget_limits *limits) {
    hf__vm *vm = hf__alloc_zero(sizeof *vm);
    hf__budget *budget = hf__alloc_zero(sizeof *budget);
    if (vm != NULL && budget != NULL) {
        vm->own = true;
        vm->memory = budget;
        vm->L = lua_newstate(hf__budget_allocate, budget);
    } else {
        hf__free(budget);
    }
    if (vm != NULL && vm->L != NULL) {
        budget->L = vm->L;
        lua_gc(vm->L, LUA_GCINC, GC_PAUSE, 0, 0);
        if (limits != NULL) {
            budget->limits = *limits;
            vm->budget = budget;
        }
        lua_pushcfunction(vm->L, l_open_libraries);
        lua_pushlightuserdata(vm->L, vm);
        if (lua_pcall(vm->L, 1, 0, 0) == LUA_OK) {
#ifdef HF_STRESS_COLLECTOR /* tests: collect all the time */
            lua_gc(vm->L, LUA_GCINC, 1, 1000, 1);
#endif
            hf__budget_begin(vm->budget);
            return vm;
        }
    }
    hf__vm_free(vm);
    return NULL;
}

void hf__vm_free(hf__vm *vm) {
    if (vm == NULL) return;
    if (vm->L != NULL) lua_close(vm->L);
    if (vm->memory != NULL) hf__spares_free(&vm->memory->spares);
    hf__free(vm->memory);
    hf__free(vm);
}

/* NULL for a state of the host's before its first use. Takes one slot of the stack, and nothing else. */
static hf__vm *find_vm_safe(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &vm_key);
    hf__vm *vm = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return vm;
}

/* The stack has the few slots more that an error takes. */
void l_room(lua_State *L, int count) {
    if (lua_checkstack(L, count)) return;
    lua_pushlightuserdata(L, (void *)&no_room);
    lua_error(L);
}

hf__vm *l_vm_of(lua_State *L) {
    l_room(L, 4);
    hf__vm *vm = find_vm_safe(L);
    if (vm != NULL) return vm;
    l_marshal_setup(L);
    vm = lua_newuserdatauv(L, sizeof *vm, 0);
    *vm = (hf__vm){0};
    l_names_setup(L, &vm->names);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    vm->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &vm_key);
    return vm;
}

void l_say_where(lua_State *L) {
    const hf__visit *visit = l_vm_of(L)->visit;
    if (visit == NULL || visit->layer == SIZE_MAX) return;
    const char *const names[] = {"layer", "op"};
    const char *const values[] = {visit->name_of(visit->frame, visit->layer), visit->op};
    for (int i = 0; i < 2; i++) {
        lua_pushstring(L, names[i]);
        if (lua_rawget(L, -2) == LUA_TNIL) {
            lua_pushstring(L, names[i]);
            lua_pushstring(L, values[i]);
            lua_rawset(L, -4);
        }
        lua_pop(L, 1);
    }
}

/* Gives the table at `index` the value on the top. [-1, +0] */
static void l_set_raw(lua_State *L, int index, const char *name) {
    index = lua_absindex(L, index);
    lua_pushstring(L, name);
    lua_insert(L, -2);
    lua_rawset(L, index);
}

/* A layer's own error, {code = "denied", message = ...}: whether it is one. */
static bool l_has_code(lua_State *L, int index) {
    lua_pushliteral(L, "code");
    size_t size = 0;
    bool good = lua_rawget(L, index) == LUA_TSTRING && lua_rawlen(L, -1) > 0;
    if (good) {
        lua_tolstring(L, -1, &size);
        good = size < sizeof(((hf_error *)0)->name);
    }
    lua_pop(L, 1);
    return good;
}

/* The turn that a breach is due to: the innermost that has used up half of the budget itself, with what ran on its
 * behalf; else the one that runs. */
static const hf__turn *blamed_turn(const hf__visit *visit, const hf__budget *budget) {
    const hf__budget_limits *limits = &budget->limits;
    const hf__turn *turns = visit->vm->turns;
    const hf__turn *last = visit->turns_count > 0 ? &turns[visit->turns_count - 1] : NULL;
    int64_t left = hf__budget_time_left(budget);
    for (const hf__turn *turn = last; turn != NULL && turn >= turns; turn--) {
        bool time = turn->time - left >= limits->time_ns / 2;
        bool instructions = turn->instructions - budget->instructions >= limits->instructions / 2;
        bool memory = budget->used > turn->used && budget->used - turn->used >= limits->memory / 2;
        if (budget->spent == HF_MEMORY ? memory : time || instructions) return turn;
    }
    return last;
}

void l_push_breach(lua_State *L, hf__budget *budget) {
    l_room(L, 8);
    if (!budget->told) {
        char message[96];
        hf_error err;
        const hf__visit *visit = l_vm_of(L)->visit;
        const hf__turn *turn = visit != NULL ? blamed_turn(visit, budget) : NULL;
        hf__budget_describe(budget, message, sizeof message);
        hf__fail(&err, budget->spent, "%s", message);
        if (turn != NULL) {
            const char *layer = visit->name_of(visit->frame, turn->position);
            hf__error_copy(err.layer, sizeof err.layer, layer, strlen(layer), 1);
            hf__error_copy(err.op, sizeof err.op, turn->op, strlen(turn->op), 1);
        }
        hf__budget_grant(budget);
        l_push_error(L, &err);
        luaL_traceback(L, L, NULL, 0);
        l_set_raw(L, -2, "traceback");
        l_say_where(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &breach_key);
        hf__budget_granted(budget);
        budget->told = true;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, &breach_key);
}

static const char out_of_memory[] = "Lua ran out of memory";
static const char too_deep[] = "nested so deep that the error could not be described";

static int l_push_fault(lua_State *L, hf_code code, const char *message) {
    hf_error err;
    hf__fail(&err, code, "%s", message);
    l_push_error(L, &err);
    l_say_where(L);
    return 1;
}

/* (what Lua raised without asking the handler) -> error table. */
static int l_describe_bare(lua_State *L) {
    hf__budget *budget = l_vm_of(L)->budget;
    hf__budget_grant(budget);
    if (budget != NULL && hf__budget_is_spent(budget)) return l_push_breach(L, budget), 1;
    const char *text = lua_tostring(L, 1);
    if (text != NULL && strcmp(text, "not enough memory") == 0)
        return l_push_fault(L, HF_MEMORY, out_of_memory);
    return l_push_fault(L, HF_DEPTH, too_deep);
}

/* The message handler: makes an error table of whatever was raised, where it was raised. */
static int l_describe_error(lua_State *L) {
    hf__budget *budget = l_vm_of(L)->budget;
    hf__budget_grant(budget); /* whoever made the protected call takes it back */
    l_room(L, 8);
    if (budget != NULL && hf__budget_is_spent(budget)) return l_push_breach(L, budget), 1;
    if (lua_touserdata(L, 1) == &no_room) return l_push_fault(L, HF_MEMORY, out_of_memory);
    if (l_is_error(L, 1)) return 1;
    bool table = lua_type(L, 1) == LUA_TTABLE && !lua_getmetatable(L, 1);
    if (table && l_has_code(L, 1)) {
        lua_pushnil(L);
        l_set_raw(L, 1, "layer");
        lua_pushnil(L);
        l_set_raw(L, 1, "op");
        l_mark_error(L, 1);
        lua_settop(L, 1);
        l_say_where(L);
        return 1;
    }
    lua_newtable(L);
    int error = lua_gettop(L);
    lua_pushliteral(L, "middleware");
    l_set_raw(L, error, "code");
    if (lua_type(L, 1) == LUA_TSTRING || lua_type(L, 1) == LUA_TNUMBER)
        lua_pushvalue(L, 1), lua_tostring(L, -1);
    else
        lua_pushfstring(L, "raised a %s: expected text, or a table with a `code`", luaL_typename(L, 1));
    l_set_raw(L, error, "message");
    luaL_traceback(L, L, NULL, 1);
    l_set_raw(L, error, "traceback");
    l_mark_error(L, error);
    l_say_where(L);
    return 1;
}

void l_push_handler(lua_State *L) {
    lua_pushcfunction(L, l_describe_error);
}

void l_describe_unhandled(lua_State *L) {
    lua_pushcfunction(L, l_describe_bare);
    lua_insert(L, -2);
    lua_pcall(L, 1, 1, 0);
}

/* Unprotected as yet. */
static hf__budget *budget_of(lua_State *L) {
    const hf__vm *vm = find_vm_safe(L);
    return vm != NULL ? vm->budget : NULL;
}

int l_protected_call(lua_State *L, int arguments, int results) {
    int handler = lua_gettop(L) - arguments;
    l_push_handler(L);
    lua_insert(L, handler);
    int status = l_guarded_call(L, budget_of(L), arguments, results);
    lua_remove(L, handler);
    return status;
}

static int l_error_to_c(lua_State *L) {
    l_read_error(L, 1, lua_touserdata(L, 2));
    return 0;
}

int hf__lua_enter(lua_State *L, lua_CFunction body, void *data, int index, hf_error *err) {
    hf_error unwanted;
    if (err == NULL) err = &unwanted;
    if (!lua_checkstack(L, LUA_MINSTACK)) return hf__fail(err, HF_MEMORY, "%s", out_of_memory);
    if (index != 0) index = lua_absindex(L, index);
    int top = lua_gettop(L);
    l_push_handler(L);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, data);
    if (index != 0) lua_pushvalue(L, index);
    int status = l_guarded_call(L, budget_of(L), index != 0 ? 2 : 1, 0);
    if (status == LUA_OK) {
        lua_settop(L, top);
        return HF_OK;
    }
    bool described = lua_type(L, -1) == LUA_TTABLE;
    lua_pushcfunction(L, l_error_to_c);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, err);
    int read = lua_pcall(L, 2, 0, 0);
    lua_settop(L, top);
    if (read != LUA_OK || (status == LUA_ERRMEM && !described))
        hf__fail(err, HF_MEMORY, "%s", out_of_memory);
    else if (!described)
        hf__fail(err, HF_DEPTH, "%s", too_deep);
    return err->code;
}
