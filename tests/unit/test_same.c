/* What is compared with its table at one look: that no change is taken for none, and that what nobody changed is
 * known. The changes are in same_changes.lua. And what one look makes of a text: nothing else than the codec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "base/buf.h"
#include "base/json.h"
#include "chain/tables.h"
#include "op/text.h"
#include "script/marshal.h"
#include "script/vm.h"

#define CHANGES "tests/unit/same_changes.lua"

static const hf__limits limits = {
    .content = 1 << 20, .metadata = 1 << 20, .depth = 64, .batch = 100, .json = 1 << 24};

/* What was pushed last. */
static struct {
    char kind;
    hf__arena arena;
    hf_text json;
    const hf__op_def *def;
    hf_op op;
    hf_result result;
} pushed;

static void forget(void) {
    hf_result_free(&pushed.result);
    hf__arena_free(&pushed.arena);
    memset(&pushed, 0, sizeof pushed);
}

static int l_push(lua_State *L) {
    forget();
    pushed.kind = luaL_checkstring(L, 1)[0];
    hf_text json;
    json.data = luaL_checklstring(L, 2, &json.size);
    pushed.json = hf__arena_text(&pushed.arena, json);
    if (pushed.kind == 'o' && strcmp(lua_tostring(L, 1), "object") == 0) {
        pushed.kind = 'j';
        l_push_object(L, &pushed.arena, pushed.json);
        return 1;
    }
    l_push_json(L, &pushed.arena, pushed.json);
    pushed.def = l_op_def(L, -1);
    if (pushed.kind == 'o') {
        l_read_op(L, -1, &pushed.arena, &limits, pushed.def, &pushed.op);
        l_push_op(L, &l_vm_of(L)->names, &pushed.arena, pushed.def, &pushed.op);
    } else {
        l_read_result(L, -1, &pushed.arena, &limits, pushed.def, &pushed.result);
        l_push_result(L, &l_vm_of(L)->names, &pushed.arena, pushed.def, &pushed.result, 0);
    }
    return 1;
}

static int l_looks(lua_State *L) {
    int top = lua_gettop(L);
    bool same = pushed.kind == 'j'   ? l_is_json(L, 2, pushed.json)
                : pushed.kind == 'o' ? l_is_op(L, &l_vm_of(L)->names, 2, pushed.def, &pushed.op)
                                     : l_is_result(L, &l_vm_of(L)->names, 2, pushed.def, &pushed.result);
    assert_int_equal(lua_gettop(L), top);
    lua_pushboolean(L, same);
    return 1;
}

typedef struct again {
    hf_text json; /* in the arena */
    hf_result result;
} again;

/* What the table at 1 is once it was read. */
static int l_read_again(lua_State *L) {
    again *a = lua_touserdata(L, 2);
    hf__buf buf;
    if (pushed.kind == 'j') {
        a->json = l_read_object(L, 1, &pushed.arena, &limits, HF_INVALID, "object");
        a->json = hf__arena_text(&pushed.arena, a->json);
        return 0;
    }
    if (lua_getmetatable(L, 1)) return luaL_error(L, "a metatable");
    if (l_op_def(L, 1) != pushed.def) return luaL_error(L, "another op");
    hf_op op;
    hf__buf_init(&buf, 0);
    if (pushed.kind == 'o') {
        l_read_op(L, 1, &pushed.arena, &limits, pushed.def, &op);
        hf__op_to_json(&buf, &op);
    } else {
        l_read_result(L, 1, &pushed.arena, &limits, pushed.def, &a->result);
        hf__result_to_json(&buf, &a->result);
    }
    a->json = hf__arena_text(&pushed.arena, hf__buf_view(&buf));
    hf__buf_free(&buf);
    return 0;
}

static int l_reads(lua_State *L) {
    again found = {0};
    hf_text expected = pushed.json;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    lua_pushcfunction(L, l_read_again);
    lua_pushvalue(L, 2);
    lua_pushlightuserdata(L, &found);
    int status = lua_pcall(L, 2, 0, 0);
    hf_result_free(&found.result);
    if (status != LUA_OK) return 0;
    if (pushed.kind == 'o') hf__op_to_json(&buf, &pushed.op);
    if (pushed.kind == 'r') hf__result_to_json(&buf, &pushed.result);
    if (pushed.kind != 'j') expected = hf__buf_view(&buf);
    lua_pushboolean(L, found.json.size == expected.size &&
                           memcmp(found.json.data, expected.data, expected.size) == 0);
    hf__buf_free(&buf);
    return 1;
}

static int l_list(lua_State *L) {
    lua_settop(L, 1);
    l_mark_list(L);
    return 1;
}

typedef struct tally {
    const char *check;
    lua_Integer seed, count;          /* for it */
    lua_Integer done, known, changed; /* it gives */
} tally;

static int l_check(lua_State *L) {
    static const luaL_Reg engine[] = {
        {"push", l_push}, {"looks", l_looks}, {"reads", l_reads}, {"list", l_list}, {NULL, NULL}};
    tally *t = lua_touserdata(L, 1);
    if (luaL_loadfile(L, CHANGES) != LUA_OK) return lua_error(L);
    luaL_newlib(L, engine);
    hf__push_null(L);
    lua_setfield(L, -2, "null");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, t->check);
    lua_pushinteger(L, t->seed);
    lua_pushinteger(L, t->count);
    lua_call(L, 2, 3);
    t->done = lua_tointeger(L, -3);
    t->known = lua_tointeger(L, -2);
    t->changed = lua_tointeger(L, -1);
    return 0;
}

static tally run(const char *check, lua_Integer count) {
    const char *seed = getenv("HOLDFAST_SEED");
    tally t = {check, seed != NULL ? strtol(seed, NULL, 10) : 1, count, 0, 0, 0};
    hf__vm *vm = hf__vm_new(NULL);
    assert_non_null(vm);
    hf_error err;
    if (hf__lua_enter(vm->L, l_check, &t, 0, &err) != HF_OK) fail_msg("%s\n%s", err.message, err.traceback);
    forget();
    hf__vm_free(vm);
    return t;
}

static void the_smallest_change_of_metadata_is_seen(void **state) {
    (void)state;
    assert_in_range(run("one_by_one", 0).done, 50, 500);
}

static void metadata_that_nobody_changed_is_known_at_a_look(void **state) {
    (void)state;
    assert_in_range(run("plain", 0).done, 5, 100);
}

static void a_change_deep_in_metadata_is_seen(void **state) {
    (void)state;
    assert_int_equal(run("deep", 0).done, 128);
}

static void a_look_at_metadata_finds_no_other_than_reading_it(void **state) {
    (void)state;
    tally t = run("random", 20000);
    assert_in_range(t.known, t.done / 10, t.done);
    assert_in_range(t.changed, t.done / 10, t.done);
}

static void a_look_at_an_op_or_an_answer_finds_no_other_than_reading_it(void **state) {
    (void)state;
    tally t = run("records", 2000);
    assert_in_range(t.known, t.done / 100, t.done);
    assert_in_range(t.changed, t.done / 2, t.done);
}

/* ---- Plain texts ------------------------------------------------------------------------------- */

typedef struct plainness {
    hf_text json;
    bool good, plain, same; /* the codec takes it; one look does; and gives the same */
} plainness;

static int l_compare_plain(lua_State *L) {
    plainness *p = lua_touserdata(L, 1);
    hf__arena arena = {0};
    const hf__value *value;
    hf_error err;
    p->good = hf__json_parse(&arena, p->json, 500, &value, &err) == HF_OK;
    int top = lua_gettop(L);
    p->plain = l_push_plain(L, p->json);
    assert_int_equal(lua_gettop(L), top + p->plain);
    p->same = p->good && p->plain &&
              hf__value_equal(value, l_read_value(L, -1, &arena, SIZE_MAX, INT64_MAX, "test"));
    hf__arena_free(&arena);
    return 0;
}

static plainness compare_plain(hf__vm *vm, hf_text json) {
    plainness p = {.json = json};
    hf_error err;
    if (hf__lua_enter(vm->L, l_compare_plain, &p, 0, &err) != HF_OK)
        fail_msg("%s: %s", json.data, err.message);
    return p;
}

#define TEN(text) text text text text text text text text text text

/* Those with one member: values that are read have theirs in the order of the keys. */
static const char *const plain_texts[] = {
    "null",
    " true ",
    "false",
    "0",
    "-7",
    "999999999999999999",
    "\"\"",
    "\"\xC3\xA4 \x7F\"",
    "[]",
    "{}",
    "[1,\"b\",[],{},null]",
    "{\"tags\":[\"a\",\"b\"]}",
    "{ \"\" : [ 1 , -2 ] }\n",
};

static const char *const other_texts[] = {
    "",
    " ",
    "-",
    "--1",
    "+1",
    "01",
    "-01",
    "-0",
    "1.5",
    "1e3",
    "1.",
    "9999999999999999999",
    "tru",
    "nulll",
    "truefalse",
    "1 2",
    "[1 2]",
    "[1,]",
    "[,1]",
    "[",
    "]",
    "{",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\" 1}",
    "{\"a\":1,}",
    "{a:1}",
    "{1:1}",
    "{\"a\":1]",
    "[1}",
    "\"a",
    "\"\\u0041\"",
    "\"a\tb\"",
    "\"\xC3\"",
    "\"\xED\xA0\x80\"",
    "{\"a\":1,\"a\":2}",
    "{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
    "[" TEN("1,") TEN("1,") "1]",
    TEN("[") TEN("[") TEN("]") TEN("]"),
};

static void a_plain_text_gives_what_the_codec_gives(void **state) {
    (void)state;
    hf__vm *vm = hf__vm_new(NULL);
    for (size_t i = 0; i < sizeof plain_texts / sizeof *plain_texts; i++)
        if (!compare_plain(vm, hf_text_of(plain_texts[i])).same) fail_msg("not plain: %s", plain_texts[i]);
    for (size_t i = 0; i < sizeof other_texts / sizeof *other_texts; i++)
        if (compare_plain(vm, hf_text_of(other_texts[i])).plain)
            fail_msg("taken for plain: %s", other_texts[i]);
    hf__vm_free(vm);
}

static void a_text_that_one_byte_makes_another_gives_what_the_codec_gives(void **state) {
    (void)state;
    size_t plain = 0, done = 0;
    hf__vm *vm = hf__vm_new(NULL);
    for (size_t i = 0; i < sizeof plain_texts / sizeof *plain_texts; i++) {
        char text[64];
        size_t size = strlen(plain_texts[i]);
        for (size_t at = 0; at < size; at++)
            for (int byte = 0; byte < 256; byte++) {
                memcpy(text, plain_texts[i], size + 1);
                text[at] = (char)byte;
                plainness p = compare_plain(vm, (hf_text){text, size});
                if (p.plain && !p.same) fail_msg("%s with byte %zu %d", plain_texts[i], at, byte);
                plain += p.plain;
                done++;
            }
    }
    assert_in_range(plain, done / 50, done / 2);
    hf__vm_free(vm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_change_of_metadata_is_seen),
        cmocka_unit_test(metadata_that_nobody_changed_is_known_at_a_look),
        cmocka_unit_test(a_change_deep_in_metadata_is_seen),
        cmocka_unit_test(a_look_at_metadata_finds_no_other_than_reading_it),
        cmocka_unit_test(a_look_at_an_op_or_an_answer_finds_no_other_than_reading_it),
        cmocka_unit_test(a_plain_text_gives_what_the_codec_gives),
        cmocka_unit_test(a_text_that_one_byte_makes_another_gives_what_the_codec_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
