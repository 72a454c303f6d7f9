/* The text of contents: blocks flattened, everything else as it is, with any allocation failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/flat.h"
#include "base/json.h"
#include "support/fault_alloc.h"

#define DIALOGS "../shared/data/taskmaster4.chat.jsonl" /* one a line, where it is there */

static hf_text flat(hf__arena *arena, hf_text content) {
    hf_error err = {0};
    hf_text text;
    if (hf__flat_text(arena, content, &text, &err) != HF_OK) fail_msg("%s: %s", content.data, err.message);
    assert_int_equal(err.code, HF_OK);
    return text;
}

/* The text of `content`, which is copied to a heap block of its size, so that a sanitizer sees reads past the end. */
static void assert_flat(const char *content, const char *expected) {
    hf__arena arena = {0};
    hf_text copy = {malloc(strlen(content) + !*content), strlen(content)};
    assert_non_null(copy.data);
    memcpy((char *)copy.data, content, copy.size);
    hf_text text = flat(&arena, copy);
    if (text.size != strlen(expected) || memcmp(text.data, expected, text.size) != 0)
        fail_msg("%s: found %.*s", content, (int)text.size, text.data);
    hf__arena_free(&arena);
    free((char *)copy.data);
}

/* The content itself, not a copy, and no blocks. */
static void assert_as_it_is(hf_text content) {
    hf__arena arena = {0};
    hf_error err = {0};
    const hf__value *blocks;
    hf_text text = flat(&arena, content);
    assert_ptr_equal(text.data, content.data);
    assert_int_equal(text.size, content.size);
    assert_int_equal(hf__flat_blocks(&arena, content, &blocks, &err), HF_OK);
    assert_null(blocks);
    hf__arena_free(&arena);
}

static void test_blocks_are_flattened_to_their_texts(void **state) {
    (void)state;
    assert_flat("[{\"type\":\"text\",\"text\":\"Hello.\"}]", "Hello.");
    assert_flat(" \t\r\n[{\"text\":\"one\",\"type\":\"text\"} , {\"type\":\"text\",\"text\":\"two\"}] ",
                "one\ntwo");
    assert_flat("[{\"type\":\"text\",\"text\":\"a \\\"b\\\" \\u00e9\\n\"}]", "a \"b\" é\n");
    assert_flat("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"1\",\"text\":\"no\"},"
                "{\"type\":\"text\",\"text\":\"b\"}]",
                "a\nb");
    assert_flat("[{\"type\":\"text\",\"text\":\"\"},{\"type\":\"text\",\"text\":\"b\"}]", "\nb");
    assert_flat("[{\"type\":\"text\"},{\"type\":\"text\",\"text\":7},{\"type\":\"text\",\"text\":\"b\"}]",
                "b");
}

static void test_blocks_without_text_are_the_empty_text(void **state) {
    (void)state;
    assert_flat("[]", "");
    assert_flat(" [ ]\n", "");
    assert_flat("[{\"type\":\"image\",\"url\":\"x\"}]", "");
    assert_flat("[{\"type\":\"texts\",\"text\":\"x\"}]", "");
    assert_flat("[{\"type\":\"\",\"text\":\"x\"}]", "");
}

static void test_what_is_no_list_of_blocks_is_its_own_text(void **state) {
    (void)state;
    static const char *const contents[] = {
        "",
        "   ",
        "hello",
        "[",
        " [note] call back",
        "[1,2]",
        "[\"text\"]",
        "[[]]",
        "[null]",
        "[{}]",
        "[{\"text\":\"a\"}]",
        "[{\"type\":1,\"text\":\"a\"}]",
        "[{\"type\":\"text\",\"text\":\"a\"},\"b\"]",
        "[{\"type\":\"text\",\"text\":\"a\"}] and more",
        "[{\"type\":\"text\",\"text\":\"a\",}]",
        "[{\"type\":\"text\",\"type\":\"text\",\"text\":\"a\"}]",
        "[{\"type\":\"text\",\"text\":\"\\ud800\"}]",
        "[{\"type\":\"n\",\"n\":123456789012345678901234567890}]",
        "{\"type\":\"text\",\"text\":\"a\"}",
        "\"[]\"",
        "\xC2\xA0[]",
        "null",
        "12",
    };
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++)
        assert_as_it_is(hf_text_of(contents[i]));
}

static void test_only_as_much_nesting_is_read_as_ever_is(void **state) {
    (void)state;
    static char content[2 * HF__JSON_DEPTH + 64];
    for (int levels = HF__JSON_DEPTH - 2; levels <= HF__JSON_DEPTH - 1; levels++) {
        char *end = content + sprintf(content, "[{\"type\":\"x\",\"deep\":");
        memset(end, '[', (size_t)levels);
        memset(end + levels, ']', (size_t)levels);
        strcpy(end + 2 * levels, "}]");
        if (levels == HF__JSON_DEPTH - 2)
            assert_flat(content, "");
        else
            assert_as_it_is(hf_text_of(content));
    }
}

/* Nothing is allocated where the content does not begin as a list. */
static void test_plain_text_costs_no_memory(void **state) {
    (void)state;
    static const char *const contents[] = {"hello", "{\"a\":[]}", "", "  x[", "\"[]\""};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        hf__arena arena = {0};
        flat(&arena, hf_text_of(contents[i]));
        assert_int_equal(arena.size, 0);
        assert_null(arena.newest);
    }
}

static void test_one_parse_serves_blocks_and_text(void **state) {
    (void)state;
    hf__arena arena = {0};
    hf_error err = {0};
    const hf__value *blocks;
    hf_text text,
        content =
            hf_text_of("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"input\":{\"q\": 1.0}}]");
    assert_int_equal(hf__flat_blocks(&arena, content, &blocks, &err), HF_OK);
    assert_non_null(blocks);
    assert_int_equal(blocks->is.items.count, 2);
    hf_text raw = hf__value_get(blocks->is.items.last, "input")->raw;
    assert_int_equal(raw.size, 10);
    assert_memory_equal(raw.data, "{\"q\": 1.0}", 10);
    assert_int_equal(hf__flat_join(&arena, blocks, &text, &err), HF_OK);
    assert_string_equal(text.data, "a");
    hf__arena_free(&arena);
}

static void test_every_failed_allocation_is_reported_as_such(void **state) {
    (void)state;
    fault_alloc_cover_cjson();
    hf_text content =
        hf_text_of("[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":\"two\"}]");
    bool failed = true;
    long nth = 0;
    while (failed) {
        hf__arena arena = {0};
        hf_error err = {0};
        hf_text text;
        fault_alloc_plan(++nth);
        int code = hf__flat_text(&arena, content, &text, &err);
        failed = fault_alloc_happened();
        assert_int_equal(code, failed ? HF_MEMORY : HF_OK);
        assert_int_equal(err.code, code);
        if (failed)
            assert_null(text.data);
        else
            assert_string_equal(text.data, "one\ntwo");
        hf__arena_free(&arena);
    }
    assert_in_range(nth, 3, 1000);
}

/* Each content of real dialogs is its own text; as a block it is flattened to just that. */
static void test_contents_of_real_dialogs_are_kept(void **state) {
    (void)state;
    FILE *file = fopen(DIALOGS, "r");
    if (file == NULL) skip();
    static char line[1 << 20];
    int seen = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        hf__arena arena = {0};
        hf_error err = {0};
        const hf__value *dialog;
        if (hf__json_parse(&arena, hf_text_of(line), HF__JSON_DEPTH, &dialog, &err) != HF_OK)
            fail_msg("%s", err.message);
        const hf__value *messages = hf__value_get(dialog, "messages");
        for (const hf__value *message = messages->is.items.first; message != NULL; message = message->next) {
            const hf__value *content = hf__value_get(message, "content");
            if (content->type != HF__TEXT) continue;
            assert_as_it_is(content->is.text);
            hf__buf block;
            hf__buf_init(&block, 0);
            hf__buf_string(&block, "[{\"type\":\"text\",\"text\":");
            hf__json_write_text(&block, content->is.text);
            hf__buf_string(&block, "},{\"type\":\"tool_result\"}]");
            assert_string_equal(flat(&arena, hf__buf_view(&block)).data, content->is.text.data);
            hf__buf_free(&block);
            seen++;
        }
        hf__arena_free(&arena);
    }
    fclose(file);
    assert_in_range(seen, 1000, 100000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_flattened_to_their_texts),
        cmocka_unit_test(test_blocks_without_text_are_the_empty_text),
        cmocka_unit_test(test_what_is_no_list_of_blocks_is_its_own_text),
        cmocka_unit_test(test_only_as_much_nesting_is_read_as_ever_is),
        cmocka_unit_test(test_plain_text_costs_no_memory),
        cmocka_unit_test(test_one_parse_serves_blocks_and_text),
        cmocka_unit_test(test_every_failed_allocation_is_reported_as_such),
        cmocka_unit_test(test_contents_of_real_dialogs_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
