/* The lowest room but for JSON: errors, memory, text, ids, the value tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/utf8.h"
#include "base/uuid.h"
#include "base/value.h"
#include "support/fault_alloc.h"

/* ---- Errors ---- */

static void test_every_code_has_a_name_that_leads_back_to_it(void **state) {
    (void)state;
    assert_string_equal(hf_code_name(HF_OK), "ok");
    assert_string_equal(hf_code_name(HF_NOT_FOUND), "notFound");
    assert_string_equal(hf_code_name(HF_INTERNAL), "internal");
    for (int code = HF_INVALID; code <= HF_INTERNAL; code++)
        assert_int_equal(hf__code_of(hf_code_name(code)), code);
    assert_null(hf_code_name(-1));
    assert_null(hf_code_name(HF_INTERNAL + 1));
    assert_int_equal(hf__code_of("teapot"), HF_LAYER);
    assert_int_equal(hf__code_of("ok"), HF_LAYER);
}

static void test_fail_fills_code_name_and_message_and_empties_the_rest(void **state) {
    (void)state;
    hf_error err;
    memset(&err, 'x', sizeof err);
    assert_int_equal(hf__fail(&err, HF_CONFLICT, "found %d\nof %s", 7, "them"), HF_CONFLICT);
    assert_int_equal(err.code, HF_CONFLICT);
    assert_int_equal(err.sqlite_code, 0);
    assert_string_equal(err.name, "conflict");
    assert_string_equal(err.message, "found 7 of them");
    assert_string_equal(err.layer, "");
    assert_string_equal(err.op, "");
    assert_string_equal(err.message_id, "");
    assert_string_equal(err.traceback, "");
    assert_int_equal(hf__fail(NULL, HF_BUSY, "nobody listens"), HF_BUSY);
    assert_int_equal(hf__fail_memory(&err), HF_MEMORY);
    assert_string_equal(err.name, "memory");
}

static void test_fail_may_quote_the_error_that_it_fills(void **state) {
    (void)state;
    hf_error err;
    hf__fail(&err, HF_IO, "inner");
    hf__fail(&err, HF_CORRUPT, "outer: %s", err.message);
    assert_string_equal(err.message, "outer: inner");
}

static void test_a_long_message_is_cut_between_characters(void **state) {
    (void)state;
    hf_error err;
    char text[2001];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 <= 2000; i += 3)
            memcpy(text + i, "\xE2\x82\xAC", 4);
        hf__fail(&err, HF_INVALID, "%s", text);
        size_t length = strlen(err.message);
        assert_true(length <= sizeof err.message - 1 && length > sizeof err.message - 4);
        assert_int_equal(hf__utf8_check(err.message, length), length);
    }
}

static void test_a_prefix_goes_before_the_message(void **state) {
    (void)state;
    hf_error err;
    hf__fail(&err, HF_INVALID, "found %s", "nothing");
    hf__error_prefix(&err, "ops[%d]: ", 3);
    assert_string_equal(err.message, "ops[3]: found nothing");
    assert_int_equal(err.code, HF_INVALID);
    for (int i = 0; i < 200; i++)
        hf__error_prefix(&err, "ops[%d]: ", i);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    hf__error_prefix(NULL, "nobody listens");
}

static void test_a_copied_text_is_cut_and_cleaned(void **state) {
    (void)state;
    char buffer[8];
    hf__error_copy(buffer, sizeof buffer, "a\tb\x7F", 4, 1);
    assert_string_equal(buffer, "a b ");
    hf__error_copy(buffer, sizeof buffer, "a\n\tb", 4, 0);
    assert_string_equal(buffer, "a\n\tb");
    hf__error_copy(buffer, sizeof buffer, "abcdef\xC3\xA4", 8, 1);
    assert_string_equal(buffer, "abcdef");
    hf__error_copy(buffer, sizeof buffer, "a\xFF\0b\xC3", 5, 1);
    assert_string_equal(buffer, "a??b?");
    hf__error_copy(buffer, sizeof buffer, "", 0, 1);
    assert_string_equal(buffer, "");
}

/* ---- Memory ---- */

static void test_arena_memory_is_zeroed_aligned_and_apart(void **state) {
    (void)state;
    hf__arena arena = {0};
    unsigned char *blocks[400];
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * i % 3000;
        blocks[i] = hf__arena_alloc(&arena, size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], 0);
        memset(blocks[i], (int)(i % 251) + 1, size);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < i * i % 3000; k++)
            assert_int_equal(blocks[i][k], i % 251 + 1);
    hf__arena_free(&arena);
    assert_null(arena.newest);
    hf__arena_free(&arena);
}

static void test_a_small_use_of_an_arena_is_one_allocation(void **state) {
    (void)state;
    hf__arena arena = {0};
    fault_alloc_plan(2);
    for (int i = 0; i < 10; i++)
        assert_non_null(hf__arena_alloc(&arena, 90));
    assert_false(fault_alloc_happened());
    hf__arena_free(&arena);
}

static void test_a_big_request_leaves_the_room_of_the_newest_block(void **state) {
    (void)state;
    hf__arena arena = {0};
    char *first = hf__arena_alloc(&arena, 16);
    assert_non_null(hf__arena_alloc(&arena, 1000000));
    char *second = hf__arena_alloc(&arena, 16);
    assert_ptr_equal(second, first + 16);
    hf__arena_free(&arena);
}

static void test_an_arena_goes_back_to_a_mark(void **state) {
    (void)state;
    static const size_t before[] = {0, 100, 1000, 3000, 200000};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        hf__arena arena = {0};
        char *kept = before[i] > 0 ? hf__arena_alloc(&arena, before[i]) : NULL;
        if (kept != NULL) memset(kept, 'k', before[i]);
        hf__arena_mark mark = hf__arena_here(&arena);
        size_t size = arena.size;
        for (int round = 0; round < 3; round++) {
            for (size_t taken = 1; taken < 300000; taken = taken * 3 + 1)
                memset(hf__arena_alloc(&arena, taken), 'x', taken);
            hf__arena_cut(&arena, mark);
            assert_int_equal(arena.size, size);
            assert_ptr_equal(arena.newest, mark.newest);
        }
        for (size_t k = 0; k < before[i]; k++)
            assert_int_equal(kept[k], 'k');
        assert_non_null(hf__arena_alloc(&arena, 500));
        hf__arena_free(&arena);
    }
}

static void test_an_arena_refuses_absurd_sizes(void **state) {
    (void)state;
    hf__arena arena = {0};
    assert_null(hf__arena_alloc(&arena, SIZE_MAX));
    assert_null(hf__arena_alloc(&arena, SIZE_MAX / 2 + 1));
    assert_null(hf__arena_array(&arena, SIZE_MAX / 4, 8));
    assert_non_null(hf__arena_array(&arena, 0, 8));
    assert_non_null(hf__arena_array(&arena, 5, 0));
    hf_text absurd = {"x", SIZE_MAX};
    assert_null(hf__arena_text(&arena, absurd).data);
    hf__arena_free(&arena);
}

static void test_an_arena_copies_text_with_a_nul_behind(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf_text part = {"abcdef", 3};
    hf_text copy = hf__arena_text(&arena, part);
    assert_string_equal(copy.data, "abc");
    assert_int_equal(copy.size, 3);
    copy = hf__arena_text(&arena, hf_text_of(""));
    assert_string_equal(copy.data, "");
    copy = hf__arena_text(&arena, hf_text_of(NULL));
    assert_null(copy.data);
    hf__arena_free(&arena);
}

static void test_an_arena_takes_over_the_blocks_of_another(void **state) {
    (void)state;
    hf__arena to = {0}, from = {0}, none = {0};
    char *kept[8];
    for (int round = 0; round < 4; round++) {
        kept[round] =
            hf__arena_text(&from, hf_text_of("from")).data != NULL ? hf__arena_alloc(&from, 5000) : NULL;
        assert_non_null(kept[round]);
        memset(kept[round], 'k', 5000);
        hf__arena_adopt(&to, &from);
        assert_null(from.newest);
        hf__arena_adopt(&to, &none);
        assert_non_null(hf__arena_alloc(&to, 700));
    }
    for (int round = 0; round < 4; round++)
        assert_int_equal(kept[round][4999], 'k');
    hf__arena_free(&to);
}

static void test_an_arena_survives_the_failure_of_any_allocation(void **state) {
    (void)state;
    bool happened = true;
    for (long nth = 1; happened; nth++) {
        hf__arena arena = {0};
        int refused = 0;
        fault_alloc_plan(nth);
        for (size_t i = 0; i < 50; i++)
            refused += hf__arena_alloc(&arena, i * 40) == NULL;
        refused += hf__arena_text(&arena, hf_text_of("text")).data == NULL;
        happened = fault_alloc_happened();
        assert_int_equal(refused, happened ? 1 : 0);
        hf__arena_free(&arena);
    }
}

/* ---- Text that grows ---- */

static void test_a_buffer_grows_and_ends_in_nul(void **state) {
    (void)state;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    assert_string_equal(hf__buf_view(&buf).data, "");
    hf__buf_add(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
    for (int i = 0; i < 1000; i++) {
        hf__buf_string(&buf, "ab");
        hf__buf_char(&buf, 'c');
        hf__buf_text(&buf, hf_text_of("de"));
        hf__buf_text(&buf, hf_text_of(NULL));
    }
    assert_int_equal(hf__buf_view(&buf).size, 5000);
    assert_int_equal(strlen(buf.data), 5000);
    assert_memory_equal(buf.data + 4990, "abcdeabcde", 11);
    hf__buf_clear(&buf);
    assert_string_equal(hf__buf_view(&buf).data, "");
    hf__buf_string(&buf, "again");
    size_t size;
    char *taken = hf__buf_take(&buf, &size);
    assert_string_equal(taken, "again");
    assert_int_equal(size, 5);
    assert_null(buf.data);
    hf__free(taken);
    hf__buf_free(&buf);
}

static void test_a_buffer_keeps_to_its_maximum_and_says_so(void **state) {
    (void)state;
    hf_error err;
    hf__buf buf;
    hf__buf_init(&buf, 5);
    hf__buf_string(&buf, "12345");
    assert_int_equal(hf__buf_check(&buf, "content", &err), HF_OK);
    hf__buf_char(&buf, '6');
    assert_int_equal(buf.state, HF__BUF_TOO_LONG);
    hf__buf_add(&buf, "", 0);
    assert_int_equal(hf__buf_check(&buf, "content", &err), HF_INVALID);
    assert_string_equal(err.message, "content: found more than 5 bytes, expected at most that many");
    assert_string_equal(hf__buf_view(&buf).data, "12345");
    hf__buf_clear(&buf);
    hf__buf_string(&buf, "1");
    assert_int_equal(hf__buf_check(&buf, "content", &err), HF_OK);
    hf__buf_free(&buf);
    hf__buf_string(&buf, "123456");
    assert_int_equal(buf.state, HF__BUF_TOO_LONG);
    hf__buf_free(&buf);
}

static void test_a_buffer_remembers_that_memory_ran_out(void **state) {
    (void)state;
    bool happened = true;
    for (long nth = 1; happened; nth++) {
        hf_error err;
        hf__buf buf;
        hf__buf_init(&buf, 0);
        fault_alloc_plan(nth);
        for (int i = 0; i < 1000; i++)
            hf__buf_string(&buf, "abcde");
        happened = fault_alloc_happened();
        assert_int_equal(hf__buf_check(&buf, "text", &err), happened ? HF_MEMORY : HF_OK);
        if (!happened) assert_int_equal(buf.size, 5000);
        hf__buf_free(&buf);
    }
    hf__buf buf;
    hf__buf_init(&buf, 0);
    hf__buf_add(&buf, "x", SIZE_MAX - 1);
    assert_int_equal(buf.state, HF__BUF_NO_MEMORY);
    hf__buf_free(&buf);
}

/* ---- UTF-8 ---- */

static size_t check(const char *text) {
    return hf__utf8_check(text, strlen(text));
}

static void test_utf8_well_formed_text_passes(void **state) {
    (void)state;
    const char *good[] = {"",
                          "a",
                          "\x7F",
                          "\xC2\x80",
                          "\xDF\xBF",
                          "\xE0\xA0\x80",
                          "\xED\x9F\xBF",
                          "\xEE\x80\x80",
                          "\xEF\xBF\xBF",
                          "\xF0\x90\x80\x80",
                          "\xF4\x8F\xBF\xBF",
                          "gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80!"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(check(good[i]), strlen(good[i]));
}

static void test_utf8_ill_formed_text_is_found_at_its_offset(void **state) {
    (void)state;
    const char *bad[] = {"\x80",
                         "\xBF",
                         "\xC0\x80",
                         "\xC1\xBF",
                         "\xC3",
                         "\xC3(",
                         "\xE0\x9F\xBF",
                         "\xE2\x82",
                         "\xE2\x82(",
                         "\xED\xA0\x80",
                         "\xED\xBF\xBF",
                         "\xF0\x8F\xBF\xBF",
                         "\xF0\x9F\x98",
                         "\xF4\x90\x80\x80",
                         "\xF5\x80\x80\x80",
                         "\xFE",
                         "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        for (size_t before = 0; before < 150; before++) {
            char text[200];
            memset(text, 'a', before);
            snprintf(text + before, sizeof text - before, "%s", bad[i]);
            assert_int_equal(check(text), before);
            memset(text + before + strlen(bad[i]), 'z', 12);
            assert_int_equal(hf__utf8_check(text, before + strlen(bad[i]) + 12), before);
        }
    }
}

static void test_utf8_nul_is_found_at_its_offset(void **state) {
    (void)state;
    for (size_t at = 0; at < 150; at++) {
        char text[150];
        memset(text, 1, sizeof text);
        text[at] = 0;
        assert_int_equal(hf__utf8_check(text, sizeof text), at);
    }
}

static void test_utf8_is_cut_between_characters(void **state) {
    (void)state;
    const char *text = "a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80z"; /* boundaries: 0 1 3 6 10 11 */
    const size_t cuts[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (size_t limit = 0; limit < sizeof cuts / sizeof *cuts; limit++)
        assert_int_equal(hf__utf8_cut(text, 11, limit), cuts[limit]);
}

static void test_utf8_control_characters_are_seen(void **state) {
    (void)state;
    const char *with[] = {"\n", "a\x1F", "\x7F", "a\xC2\x80", "\xC2\x9F"};
    const char *without[] = {
        "", " ", "~", "\xC2\xA0", "\xC3\x80\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        assert_true(hf__utf8_has_control(with[i], strlen(with[i])));
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        assert_false(hf__utf8_has_control(without[i], strlen(without[i])));
    assert_true(hf__utf8_has_control("\0", 1));
}

static void test_utf8_printable_ascii_is_told_from_all_else(void **state) {
    (void)state;
    char text[80] = "";
    for (size_t size = 0; size <= sizeof text; size++) {
        for (size_t i = 0; i < size; i++)
            text[i] = (char)(' ' + i % 95); /* to '~' */
        assert_true(hf__utf8_is_printable_ascii(text, size));
        for (size_t at = 0; at < size; at++) {
            char kept = text[at];
            for (int c = 0; c < 256; c++) {
                text[at] = (char)c;
                assert_int_equal(hf__utf8_is_printable_ascii(text, size), c >= ' ' && c <= '~');
            }
            text[at] = kept;
        }
    }
}

/* ---- Ids ---- */

static void test_uuid_is_laid_out_as_version_7(void **state) {
    (void)state;
    const unsigned char random[10] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    hf__uuid_source source = {0, 0};
    char id[HF__UUID_SIZE + 1];
    hf__uuid_make(&source, 0x0123456789AB, random, id);
    assert_string_equal(id, "01234567-89ab-77ff-bfff-ffffffffffff");
    const unsigned char zeros[10] = {0};
    hf__uuid_make(&source, 0x0123456789AC, zeros, id);
    assert_string_equal(id, "01234567-89ac-7000-8000-000000000000");
}

static void test_uuids_increase_when_the_clock_stands_still_or_goes_back(void **state) {
    (void)state;
    hf__uuid_source source = {0, 0};
    char last[HF__UUID_SIZE + 1] = "", id[HF__UUID_SIZE + 1];
    for (int i = 0; i < 20000; i++) {
        unsigned char random[10];
        assert_int_equal(hf__random(NULL, random, sizeof random), 0);
        int64_t now = 1700000000000 - (i > 10000 ? 3600000 : 0);
        hf__uuid_make(&source, now, random, id);
        assert_int_equal(strlen(id), HF__UUID_SIZE);
        assert_true(strcmp(last, id) < 0);
        memcpy(last, id, sizeof id);
    }
    assert_true(source.last_ms >= 1700000000004 && source.last_ms <= 1700000000010);
}

static void test_a_uuid_counter_that_ran_over_advances_the_time(void **state) {
    (void)state;
    const unsigned char random[10] = {0, 5};
    hf__uuid_source source = {1000, 4095};
    char id[HF__UUID_SIZE + 1];
    hf__uuid_make(&source, 1000, random, id);
    assert_int_equal(source.last_ms, 1001);
    assert_int_equal(source.counter, 5);
}

static void test_random_bytes_differ_and_the_clock_is_of_this_age(void **state) {
    (void)state;
    unsigned char a[600] = {0}, b[600] = {0};
    assert_int_equal(hf__random(NULL, a, sizeof a), 0);
    assert_int_equal(hf__random(NULL, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 590, "\0\0\0\0\0\0\0\0\0", 10);
    assert_int_equal(hf__random(NULL, a, 0), 0);
    assert_true(hf__now(NULL) > INT64_C(1600000000000));
}

/* ---- Values ---- */

static hf__value *text_value(hf__arena *arena, const char *key, const char *text) {
    hf__value *value = hf__value_new(arena, HF__TEXT);
    value->key = hf_text_of(key);
    value->is.text = hf_text_of(text);
    return value;
}

static void test_a_map_keeps_its_order_and_finds_exact_keys(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf__value *map = hf__value_new(&arena, HF__MAP);
    assert_null(hf__value_get(map, "a"));
    hf__value_append(map, text_value(&arena, "b", "1"));
    hf__value_append(map, text_value(&arena, "a", "2"));
    hf__value_append(map, text_value(&arena, "", "3"));
    assert_int_equal(map->is.items.count, 3);
    assert_string_equal(map->is.items.first->key.data, "b");
    assert_string_equal(hf__value_get(map, "a")->is.text.data, "2");
    assert_string_equal(hf__value_get(map, "")->is.text.data, "3");
    assert_null(hf__value_get(map, "A"));
    assert_null(hf__value_get(map->is.items.first, "a"));
    hf__arena_free(&arena);
}

static void test_values_are_equal_by_content(void **state) {
    (void)state;
    hf__arena arena = {0};
    const char *keys[] = {"a", "b", "c"};
    hf__value *maps[2], *lists[2];
    for (int side = 0; side < 2; side++) {
        maps[side] = hf__value_new(&arena, HF__MAP);
        lists[side] = hf__value_new(&arena, HF__LIST);
        for (int i = 0; i < 3; i++) {
            hf__value_append(maps[side], text_value(&arena, keys[side ? 2 - i : i], keys[side ? 2 - i : i]));
            hf__value_append(lists[side], text_value(&arena, NULL, keys[side ? 2 - i : i]));
        }
    }
    assert_true(hf__value_equal(maps[0], maps[1]));
    assert_true(hf__value_equal(lists[0], lists[0]));
    assert_false(hf__value_equal(lists[0], lists[1]));
    hf__value_append(maps[1], text_value(&arena, "d", ""));
    assert_false(hf__value_equal(maps[0], maps[1]));
    hf__value_append(maps[0], text_value(&arena, "e", ""));
    assert_false(hf__value_equal(maps[0], maps[1]));

    hf__value integer = {.type = HF__INT}, real = {.type = HF__REAL}, minus = {.type = HF__REAL};
    minus.is.real = -0.0;
    assert_true(hf__value_equal(&integer, &integer));
    assert_false(hf__value_equal(&integer, &real));
    assert_false(hf__value_equal(&real, &minus));
    hf__arena_free(&arena);
}

static void test_every_type_has_a_name(void **state) {
    (void)state;
    const char *type_names[] = {"null", "a boolean", "a number", "a number", "text", "a list", "an object"};
    for (int type = HF__NULL; type <= HF__MAP; type++)
        assert_string_equal(hf__type_name((hf__type)type), type_names[type]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_a_name_that_leads_back_to_it),
        cmocka_unit_test(test_fail_fills_code_name_and_message_and_empties_the_rest),
        cmocka_unit_test(test_fail_may_quote_the_error_that_it_fills),
        cmocka_unit_test(test_a_long_message_is_cut_between_characters),
        cmocka_unit_test(test_a_prefix_goes_before_the_message),
        cmocka_unit_test(test_a_copied_text_is_cut_and_cleaned),
        cmocka_unit_test(test_arena_memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(test_a_small_use_of_an_arena_is_one_allocation),
        cmocka_unit_test(test_a_big_request_leaves_the_room_of_the_newest_block),
        cmocka_unit_test(test_an_arena_goes_back_to_a_mark),
        cmocka_unit_test(test_an_arena_refuses_absurd_sizes),
        cmocka_unit_test(test_an_arena_copies_text_with_a_nul_behind),
        cmocka_unit_test(test_an_arena_takes_over_the_blocks_of_another),
        cmocka_unit_test(test_an_arena_survives_the_failure_of_any_allocation),
        cmocka_unit_test(test_a_buffer_grows_and_ends_in_nul),
        cmocka_unit_test(test_a_buffer_keeps_to_its_maximum_and_says_so),
        cmocka_unit_test(test_a_buffer_remembers_that_memory_ran_out),
        cmocka_unit_test(test_utf8_well_formed_text_passes),
        cmocka_unit_test(test_utf8_ill_formed_text_is_found_at_its_offset),
        cmocka_unit_test(test_utf8_nul_is_found_at_its_offset),
        cmocka_unit_test(test_utf8_is_cut_between_characters),
        cmocka_unit_test(test_utf8_control_characters_are_seen),
        cmocka_unit_test(test_utf8_printable_ascii_is_told_from_all_else),
        cmocka_unit_test(test_uuid_is_laid_out_as_version_7),
        cmocka_unit_test(test_uuids_increase_when_the_clock_stands_still_or_goes_back),
        cmocka_unit_test(test_a_uuid_counter_that_ran_over_advances_the_time),
        cmocka_unit_test(test_random_bytes_differ_and_the_clock_is_of_this_age),
        cmocka_unit_test(test_a_map_keeps_its_order_and_finds_exact_keys),
        cmocka_unit_test(test_values_are_equal_by_content),
        cmocka_unit_test(test_every_type_has_a_name),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
