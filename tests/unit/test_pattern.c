/* The matcher of the sandbox: that it gives what Lua's own gives, and that no budget is outlasted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "script/pattern.h"
#include "script/vm.h"

#define CORPUS "tests/unit/pattern_corpus.lua"

static void push_counted(lua_State *L) {
    static const luaL_Reg functions[] = {{"find", l_pattern_find},
                                         {"match", l_pattern_match},
                                         {"gmatch", l_pattern_gmatch},
                                         {"gsub", l_pattern_gsub},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
}

/* ---- As Lua's own ---- */

typedef struct tally {
    lua_Integer calls, matches, misses, errors;
} tally;

static tally compare(const char *check, lua_Integer count, lua_Integer seed) {
    lua_State *L = luaL_newstate();
    assert_non_null(L);
    luaL_openlibs(L);
    int status = luaL_loadfile(L, CORPUS);
    if (status == LUA_OK) {
        push_counted(L);
        status = lua_pcall(L, 1, 1, 0);
    }
    if (status == LUA_OK) {
        lua_getfield(L, -1, check);
        lua_pushinteger(L, count);
        lua_pushinteger(L, seed);
        status = lua_pcall(L, 2, 4, 0);
    }
    if (status != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
    tally found = {lua_tointeger(L, -4), lua_tointeger(L, -3), lua_tointeger(L, -2), lua_tointeger(L, -1)};
    lua_close(L);
    return found;
}

static void test_every_feature_and_edge_gives_what_lua_gives(void **state) {
    (void)state;
    tally found = compare("list", 0, 0);
    assert_in_range(found.calls, 500000, 5000000);
    assert_in_range(found.errors, 50000, found.calls);
}

static void test_arguments_are_taken_and_refused_as_by_lua(void **state) {
    (void)state;
    assert_in_range(compare("arguments", 0, 0).errors, 200, 5000);
}

static void test_bounds_are_where_lua_has_them(void **state) {
    (void)state;
    tally found = compare("bounds", 0, 0);
    assert_in_range(found.matches, 1000, found.calls);
    assert_in_range(found.errors, 300, found.calls);
}

static void test_random_patterns_give_what_lua_gives(void **state) {
    (void)state;
    tally found = compare("random", 240000, 5404);
    assert_in_range(found.matches, found.calls / 4, found.calls);
    assert_in_range(found.misses, found.calls / 10, found.calls);
    assert_in_range(found.errors, found.calls / 10, found.calls);
}

/* ---- Within the budget ---- */

#define DEADLINE_MS 200

/* The time that this process has worked: other people's load is no pattern's. */
static int64_t now_ms(void) {
    return (int64_t)clock() * 1000 / CLOCKS_PER_SEC;
}

/* Runs `script` with the counted functions as `counted`, in a vm with those limits. */
static hf__budget run(const char *script, int64_t milliseconds, int64_t instructions, bool *raised) {
    hf__budget_limits limits = {
        .time_ns = milliseconds * 1000000, .instructions = instructions, .memory = (size_t)512 << 20};
    hf__vm *vm = hf__vm_new(&limits);
    assert_non_null(vm);
    lua_State *L = vm->L;
    push_counted(L);
    lua_setglobal(L, "counted");
    assert_int_equal(luaL_loadstring(L, script), LUA_OK);
    hf__budget_begin(vm->budget);
    hf__budget_resume(vm->budget);
    *raised = lua_pcall(L, 0, 0, 0) != LUA_OK;
    hf__budget_pause(vm->budget);
    hf__budget after = *vm->budget;
    if (*raised && after.spent == HF_OK) fail_msg("%s: %s", script, lua_tostring(L, -1));
    hf__vm_free(vm);
    return after;
}

static void test_no_pattern_outlasts_the_deadline(void **state) {
    (void)state;
    static const char *const hostile[] = {
        "counted.find(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30))",
        "counted.match(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30))",
        "counted.gsub(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30), '')",
        "for _ in counted.gmatch(('a'):rep(30), ('a?'):rep(30) .. ('a'):rep(30)) do end",
        "counted.find(('a'):rep(4000), '.-.-.-x')",
        "counted.find(('a'):rep(4000), '.*.*.*x')",
        "counted.find(('a'):rep(4000), '(.*)(.*)%1%2x')",
        "counted.gsub((' '):rep(1000000) .. 'x', '%s+$', '')",
        "counted.find((' '):rep(1000000), '%s-x')",
        "counted.find((' '):rep(1000000), '[ \\t]*x')",
        "counted.find(('('):rep(1000000), '%b()')",
        "counted.find(('((x)'):rep(300000), '%b()%b()y')",
        "counted.find(('a'):rep(1000000), '[' .. ('bc'):rep(1000000) .. ']')",
        "counted.find(('a'):rep(1000000), '[' .. ('b-c'):rep(1000000) .. ']*x')",
        "counted.find(('a'):rep(1000000), '%f[' .. ('b'):rep(1000000) .. ']')",
        "counted.find(('a'):rep(1000000), '.-[' .. ('%d'):rep(1000000) .. ']')",
        "counted.find(('a'):rep(16000000), ('a'):rep(8000000) .. 'ba')",
        "counted.find(('a'):rep(16000000), ('a'):rep(8000000) .. 'ba', 1, true)",
        "counted.find(('a'):rep(4000000), '(.*)%1b')",
        "counted.find(('a'):rep(4000000) .. 'b', '^(.-)%1$')",
        "counted.gsub(('a'):rep(1000000), 'a', ('%%'):rep(1000000))",
        "local text = (' '):rep(16000000) while true do counted.find(text, 'x', 1, true) end",
        "local text = (' '):rep(16000000) while true do counted.find('', text) end",
        "local text = ('a'):rep(100) while true do counted.match(text, '[^a]') end",
        "while true do pcall(counted.find, (' '):rep(100000) .. 'x', '%s+$') end",
    };
    int64_t most = getenv("HOLDFAST_SLOW") != NULL ? DEADLINE_MS * 20 : DEADLINE_MS * 3 / 2;
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        bool raised;
        int64_t start = now_ms();
        hf__budget after = run(hostile[i], DEADLINE_MS, INT64_MAX, &raised);
        int64_t took = now_ms() - start;
        /* A fast machine may be done in time with some of them. */
        if (raised && after.spent != HF_TIMEOUT) fail_msg("%s: raised something else", hostile[i]);
        if (took > most) fail_msg("%s: took %lld ms", hostile[i], (long long)took);
    }
}

static int64_t instructions_of(const char *script) {
    bool raised;
    hf__budget after = run(script, 60000, INT64_MAX, &raised);
    assert_false(raised);
    return INT64_MAX - after.instructions;
}

static void test_work_is_charged_in_proportion(void **state) {
    (void)state;
    static const char *const scripts[] = {
        "counted.find(('a'):rep(%d), 'b')",
        "counted.find(('a'):rep(%d), '%%a-b', -100)  counted.find(('a'):rep(%d), '[^%%d]b')",
        "counted.find(('a'):rep(%d) .. 'b', ('a'):rep(100) .. 'b', 1, true)",
        "counted.find(('('):rep(%d), '^%%b()')",
        "counted.find('a', '[' .. ('b'):rep(%d) .. ']')",
        "counted.find('a', ('b'):rep(%d), 1, false)  counted.find(('a'):rep(%d), '^(.-)b')",
        "counted.gsub(('a'):rep(%d), 'a', 'b')",
        "for _ in counted.gmatch(('a'):rep(%d), 'a') do end",
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        char small[160], large[160];
        snprintf(small, sizeof small, scripts[i], 100000, 100000);
        snprintf(large, sizeof large, scripts[i], 400000, 400000);
        int64_t less = instructions_of(small), more = instructions_of(large);
        if (less < 100000 / 10 || more < less * 39 / 10 || more > less * 41 / 10)
            fail_msg("%s: %lld, and four times as much: %lld", small, (long long)less, (long long)more);
    }
}

static void test_a_spent_budget_of_instructions_says_so(void **state) {
    (void)state;
    bool raised;
    hf__budget after = run("counted.find(('a'):rep(4000), '.-.-.-x')", 60000, 100000, &raised);
    assert_true(raised);
    assert_int_equal(after.spent, HF_TIMEOUT);
    char message[96];
    hf__budget_describe(&after, message, sizeof message);
    assert_string_equal(message, "went past its budget of 100000 instructions");
}

static void test_honest_work_stays_within_small_budgets(void **state) {
    (void)state;
    bool raised;
    run("for i = 1, 100 do counted.gsub('my key is sk-abc, and the task goes on', '%f[%w]sk%-[%w_%-]+', '-') "
        "end",
        60000, 20000, &raised);
    assert_false(raised);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_feature_and_edge_gives_what_lua_gives),
        cmocka_unit_test(test_arguments_are_taken_and_refused_as_by_lua),
        cmocka_unit_test(test_bounds_are_where_lua_has_them),
        cmocka_unit_test(test_random_patterns_give_what_lua_gives),
        cmocka_unit_test(test_no_pattern_outlasts_the_deadline),
        cmocka_unit_test(test_work_is_charged_in_proportion),
        cmocka_unit_test(test_a_spent_budget_of_instructions_says_so),
        cmocka_unit_test(test_honest_work_stays_within_small_budgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
