/* The JSON codec: what it keeps, what it refuses and where, in any locale, with any allocation failing. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "support/fault_alloc.h"

enum { DEPTH = 64 };

/* A copy on the heap of the exact size, so that a sanitizer sees every read past the end. */
static hf_text exact(const char *data, size_t size) {
    char *copy = hf__alloc(size != 0 ? size : 1);
    memcpy(copy, data, size);
    hf_text text = {copy, size};
    return text;
}

static void assert_refused_bytes(const char *data, size_t size, const char *message) {
    hf_text json = exact(data, size);
    hf__arena arena = {0};
    hf_error err = {0}, object_err = {0};
    const hf__value *value;
    assert_int_equal(hf__json_parse(&arena, json, DEPTH, &value, &err), HF_INVALID);
    assert_string_equal(err.message, message);
    assert_string_equal(err.name, "invalid");
    assert_null(value);
    assert_int_equal(hf__json_check_object(json, DEPTH, &object_err), HF_INVALID);
    assert_string_equal(object_err.message, message);
    hf__arena_free(&arena);
    hf__free((char *)json.data);
}

static void assert_refused(const char *json, const char *message) {
    assert_refused_bytes(json, strlen(json), message);
}

static const hf__value *parse(hf__arena *arena, hf_text json) {
    hf_error err = {0};
    const hf__value *value;
    if (hf__json_parse(arena, json, DEPTH, &value, &err) != HF_OK) fail_msg("%s", err.message);
    return value;
}

/* Reads `json` and writes it again. */
static void assert_written(const char *json, const char *expected) {
    hf__arena arena = {0};
    hf__buf buf;
    hf__buf_init(&buf, 0);
    hf_text text = exact(json, strlen(json));
    hf__json_write(&buf, parse(&arena, text));
    assert_string_equal(hf__buf_view(&buf).data, expected);
    hf__buf_free(&buf);
    hf__arena_free(&arena);
    hf__free((char *)text.data);
}

static double real_in(const char *json) {
    hf__arena arena = {0};
    const hf__value *value = parse(&arena, hf_text_of(json));
    assert_int_equal(value->type, HF__REAL);
    double real = value->is.real;
    hf__arena_free(&arena);
    return real;
}

static int64_t integer_in(const char *json) {
    hf__arena arena = {0};
    const hf__value *value = parse(&arena, hf_text_of(json));
    assert_int_equal(value->type, HF__INT);
    int64_t integer = value->is.integer;
    hf__arena_free(&arena);
    return integer;
}

/* ---- Numbers ---- */

#define INT_RANGE ", expected an integer from -9223372036854775808 to 9223372036854775807"

static void test_integers_are_kept_up_to_both_ends_of_64_bits(void **state) {
    (void)state;
    assert_true(integer_in("0") == 0);
    assert_true(integer_in("-1") == -1);
    assert_true(integer_in("9007199254740993") == INT64_C(9007199254740993));
    assert_true(integer_in("9223372036854775807") == INT64_MAX);
    assert_true(integer_in("-9223372036854775808") == INT64_MIN);
    assert_written("[9007199254740993,-9223372036854775808,9223372036854775807]",
                   "[9007199254740993,-9223372036854775808,9223372036854775807]");
}

static void test_integers_beyond_64_bits_are_refused(void **state) {
    (void)state;
    assert_refused("[1, 9223372036854775808]",
                   "JSON, byte 5: found the number 9223372036854775808" INT_RANGE);
    assert_refused("-9223372036854775809", "JSON, byte 1: found the number -9223372036854775809" INT_RANGE);
    assert_refused("18446744073709551616", "JSON, byte 1: found the number 18446744073709551616" INT_RANGE);
    assert_refused("{\"n\":100000000000000000000}",
                   "JSON, byte 6: found the number 100000000000000000000" INT_RANGE);
}

static void test_reals_are_kept_exactly(void **state) {
    (void)state;
    assert_true(real_in("1.10") == 1.1);
    assert_true(real_in("1e2") == 100.0);
    assert_true(real_in("1E+2") == 100.0);
    assert_true(real_in("25e-1") == 2.5);
    assert_true(real_in("0.30000000000000004") == 0.1 + 0.2);
    assert_true(real_in("1.7976931348623157e308") == 1.7976931348623157e308);
    assert_true(real_in("4.9406564584124654e-324") > 0);
    assert_true(real_in("0.0") == 0 && !signbit(real_in("0.0")));
    assert_true(real_in("0e999") == 0);
    assert_true(real_in("-0") == 0 && signbit(real_in("-0")));
    assert_true(real_in("-0.0") == 0 && signbit(real_in("-0.0")));
}

static void test_reals_that_cannot_be_kept_are_refused(void **state) {
    (void)state;
    assert_refused("1e400", "JSON, byte 1: found the number 1e400, expected a number within "
                            "1.7976931348623157e308 of 0");
    assert_refused("[-1.8e308]", "JSON, byte 2: found the number -1.8e308, expected a number within "
                                 "1.7976931348623157e308 of 0");
    assert_refused(" 1e-400",
                   "JSON, byte 2: found the number 1e-400, expected 0, or a number not nearer to it "
                   "than 4.9e-324");
    assert_refused(
        "0.123456789012345678",
        "JSON, byte 1: found the number 0.123456789012345678, expected at most 17 significant digits");
    assert_refused("9007199254740993.01",
                   "JSON, byte 1: found the number 9007199254740993.01, expected at most 17 "
                   "significant digits");
}

static void test_zeros_at_the_ends_are_no_significant_digits(void **state) {
    (void)state;
    assert_true(real_in("0.00000000000000000012345678901234567") == 1.2345678901234567e-19);
    assert_true(real_in("1.1000000000000000000000") == 1.1);
    assert_true(real_in("10000000000000000000000000.0") == 1e25);
}

static void test_a_number_of_more_than_63_bytes_is_refused(void **state) {
    (void)state;
    char json[80] = "0.5";
    memset(json + 3, '0', 60);
    assert_true(real_in(json) == 0.5);
    json[63] = '0';
    assert_refused(json, "JSON, byte 1: found a number of 64 bytes, expected at most 63");
}

static void assert_real_written(double real, const char *expected) {
    hf__buf buf;
    hf__buf_init(&buf, 0);
    hf__json_write_real(&buf, real);
    assert_string_equal(hf__buf_view(&buf).data, expected);
    hf__buf_free(&buf);
}

static void test_reals_are_written_short_and_stay_reals(void **state) {
    (void)state;
    assert_real_written(1000, "1000.0");
    assert_real_written(-0.0, "-0.0");
    assert_real_written(0, "0.0");
    assert_real_written(0.1, "0.1");
    assert_real_written(0.1 + 0.2, "0.30000000000000004");
    assert_real_written(1.1, "1.1");
    assert_real_written(1e300, "1e+300");
    assert_real_written(-2.5e-10, "-2.5e-10");
    assert_real_written(5e-324, "4.94065645841247e-324");
    assert_real_written(1.7976931348623157e308, "1.7976931348623157e+308");
    assert_real_written(9007199254740993.0, "9007199254740992.0");
}

static uint64_t seed = 20240229;

static uint64_t next_random(void) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (seed >> 32 | seed << 32) ^ seed >> 17;
}

static void test_random_numbers_come_back_exact(void **state) {
    (void)state;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = next_random();
        double real;
        int64_t integer = (int64_t)(bits >> (bits & 63));
        memcpy(&real, &bits, sizeof real);
        if (isfinite(real)) {
            hf__buf_clear(&buf);
            hf__json_write_real(&buf, real);
            assert_true(real_in(buf.data) == real);
        }
        hf__buf_clear(&buf);
        hf__json_write_int(&buf, i & 1 ? -integer : integer);
        assert_true(integer_in(buf.data) == (i & 1 ? -integer : integer));
    }
    hf__buf_free(&buf);
}

/* ---- Locale ---- */

static char folder[] = "/tmp/holdfast-locale-XXXXXX";

/* Sets a locale whose decimal point is a comma: one made in a folder of its own, where localedef and its sources
 * are there, else an installed one. `state` becomes its name, or stays NULL. */
static int set_comma_locale(void **state) {
    static char names[][16] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    char command[256];
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1", folder,
             folder);
    if (system(command) == 0) setenv("LOCPATH", folder, 1);
    for (size_t i = 0; i < sizeof names / sizeof *names && *state == NULL; i++)
        if (setlocale(LC_ALL, names[i]) != NULL && *localeconv()->decimal_point == ',') *state = names[i];
    return 0;
}

static int reset_locale(void **state) {
    (void)state;
    char command[64];
    setlocale(LC_ALL, "C");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void test_numbers_do_not_depend_on_the_locale(void **state) {
    if (*state == NULL) skip();
    char comma[8];
    snprintf(comma, sizeof comma, "%.1f", 0.5);
    assert_string_equal(comma, "0,5");
    test_reals_are_kept_exactly(state);
    test_reals_that_cannot_be_kept_are_refused(state);
    test_zeros_at_the_ends_are_no_significant_digits(state);
    test_reals_are_written_short_and_stay_reals(state);
    test_random_numbers_come_back_exact(state);
    assert_written("{\"f\":1.10}", "{\"f\":1.1}");
    assert_refused("[1,5.5,2,]", "JSON, byte 10: found ']', expected a value");
    assert_string_equal(setlocale(LC_ALL, NULL), *state);
}

/* ---- Text ---- */

static void assert_text(const char *json, const char *expected) {
    hf__arena arena = {0};
    const hf__value *value = parse(&arena, hf_text_of(json));
    assert_int_equal(value->type, HF__TEXT);
    assert_string_equal(value->is.text.data, expected);
    assert_int_equal(value->is.text.size, strlen(expected));
    hf__arena_free(&arena);
}

static void test_text_is_unescaped(void **state) {
    (void)state;
    assert_text("\"\"", "");
    assert_text("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "a\"\\/\b\f\n\r\tz");
    assert_text("\"\\u0041\\u00e4\\u20AC\\ud83d\\uDE00\"", "A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    assert_text("\"gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80 \x7F\"",
                "gr\xC3\xBC\xC3\x9F dich \xF0\x9F\x98\x80 \x7F");
}

static void test_text_is_written_with_the_fewest_escapes(void **state) {
    (void)state;
    assert_written("\"\\u0041\\u0001\\u001f\\/\\\"\\\\\\b\\f\\n\\r\\t\\u00e4\\u007f\"",
                   "\"A\\u0001\\u001f/\\\"\\\\\\b\\f\\n\\r\\t\xC3\xA4\x7F\"");
}

static void test_ill_formed_text_is_refused(void **state) {
    (void)state;
    assert_refused("{\"a\":\"\\u0000\"}",
                   "JSON, byte 7: found the escape \\u0000, expected text without NUL");
    assert_refused("{\"\\u0000\":1}", "JSON, byte 3: found the escape \\u0000, expected text without NUL");
    assert_refused("\"a\\q\"",
                   "JSON, byte 4: found 'q', expected one of \" \\ / b f n r t u after a backslash");
    assert_refused("\"\\",
                   "JSON, byte 3: found the end of the text, expected one of \" \\ / b f n r t u after a "
                   "backslash");
    assert_refused("\"\\u12g4\"",
                   "JSON, byte 2: found the escape \\u, expected four hexadecimal digits behind it");
    assert_refused("\"\\u12",
                   "JSON, byte 2: found the escape \\u, expected four hexadecimal digits behind it");
    assert_refused("\"a", "JSON, byte 3: found the end of the text, expected '\"' at the end of a string");
    assert_refused("\"a\nb\"",
                   "JSON, byte 3: found the byte 0x0A, expected control characters of a string as escapes");
    assert_refused("[\"\x1F\"]",
                   "JSON, byte 3: found the byte 0x1F, expected control characters of a string as escapes");
    assert_refused_bytes("[\"a\0b\"]", 7, "JSON, byte 4: found the byte 0x00, expected UTF-8 without NUL");
    assert_refused_bytes("[]\0", 3, "JSON, byte 3: found the byte 0x00, expected UTF-8 without NUL");
    assert_refused("\"\xC0\x80\"", "JSON, byte 2: found the byte 0xC0, expected UTF-8 without NUL");
    assert_refused("\"\xED\xA0\x80\"", "JSON, byte 2: found the byte 0xED, expected UTF-8 without NUL");
}

static void test_lone_surrogates_are_refused(void **state) {
    (void)state;
#define PAIR ", expected a pair, from \\uD800\\uDC00 to \\uDBFF\\uDFFF"
    assert_refused("\"\\ud800\"", "JSON, byte 2: found the lone surrogate \\uD800" PAIR);
    assert_refused("\"\\udc00\"", "JSON, byte 2: found the lone surrogate \\uDC00" PAIR);
    assert_refused("\"\\ud800\\u0041\"", "JSON, byte 2: found the lone surrogate \\uD800" PAIR);
    assert_refused("\"\\ud800\\ud800\"", "JSON, byte 2: found the lone surrogate \\uD800" PAIR);
    assert_refused("\"\\ud83d\\ude00\\udE00\"", "JSON, byte 14: found the lone surrogate \\uDE00" PAIR);
    assert_refused("\"\\udbff xxxxxx\"", "JSON, byte 2: found the lone surrogate \\uDBFF" PAIR);
}

/* ---- Grammar ---- */

static void test_null_and_empty_stay_what_they_are(void **state) {
    (void)state;
    assert_written(" { \"n\" : 9007199254740993 , \"f\":1.10,\"e\":{ },\"l\":[ "
                   "]\t,\r\n\"z\":null,\"t\":true,\"u\":false} ",
                   "{\"n\":9007199254740993,\"f\":1.1,\"e\":{},\"l\":[],\"z\":null,\"t\":true,\"u\":false}");
    assert_written("null", "null");
    assert_written("[[],{},null,[[]]]", "[[],{},null,[[]]]");
    assert_written("{\"\":\"\"}", "{\"\":\"\"}");
}

static void test_values_bear_the_bytes_they_were_read_from(void **state) {
    (void)state;
    hf__arena arena = {0};
    const char *json = " { \"f\" : 1.10 , \"\\u006c\":[ 1 , \"]\\\"\" ],\"z\":null } ";
    const hf__value *map = parse(&arena, hf_text_of(json));
    assert_ptr_equal(map->raw.data, json + 1);
    assert_int_equal(map->raw.size, strlen(json) - 2);
    const hf__value *real = hf__value_get(map, "f"), *list = hf__value_get(map, "l");
    assert_int_equal(real->raw.size, 4);
    assert_memory_equal(real->raw.data, "1.10", 4);
    assert_memory_equal(list->raw.data, "[ 1 , \"]\\\"\" ]", list->raw.size);
    assert_int_equal(list->raw.size, 13);
    assert_int_equal(list->is.items.last->raw.size, 5);
    assert_memory_equal(hf__value_get(map, "z")->raw.data, "null", 4);
    hf__arena_free(&arena);
}

static void test_what_is_no_json_is_refused(void **state) {
    (void)state;
    const struct {
        const char *json, *message;
    } cases[] = {
        {"", "JSON, byte 1: found the end of the text, expected a value"},
        {" \n", "JSON, byte 3: found the end of the text, expected a value"},
        {"{\"a\":1} x", "JSON, byte 9: found 'x', expected the end of the text"},
        {"{}{}", "JSON, byte 3: found '{', expected the end of the text"},
        {"nul", "JSON, byte 1: found 'n', expected a value"},
        {"nulll", "JSON, byte 5: found 'l', expected the end of the text"},
        {"True", "JSON, byte 1: found 'T', expected a value"},
        {"NaN", "JSON, byte 1: found 'N', expected a value"},
        {"-Infinity", "JSON, byte 2: found 'I', expected a digit"},
        {"-", "JSON, byte 2: found the end of the text, expected a digit"},
        {"+1", "JSON, byte 1: found '+', expected a value"},
        {".5", "JSON, byte 1: found '.', expected a value"},
        {"1.", "JSON, byte 3: found the end of the text, expected a digit"},
        {"[1.e5]", "JSON, byte 4: found 'e', expected a digit"},
        {"1e", "JSON, byte 3: found the end of the text, expected a digit"},
        {"1e+", "JSON, byte 4: found the end of the text, expected a digit"},
        {"01", "JSON, byte 2: found '1', expected the end of the text"},
        {"[-01]", "JSON, byte 4: found '1', expected ',' or ']'"},
        {"0x10", "JSON, byte 2: found 'x', expected the end of the text"},
        {"[1,5", "JSON, byte 5: found the end of the text, expected ',' or ']'"},
        {"[1,]", "JSON, byte 4: found ']', expected a value"},
        {"[,1]", "JSON, byte 2: found ',', expected a value"},
        {"[1 2]", "JSON, byte 4: found '2', expected ',' or ']'"},
        {"[1}", "JSON, byte 3: found '}', expected ',' or ']'"},
        {"[", "JSON, byte 2: found the end of the text, expected a value"},
        {"]", "JSON, byte 1: found ']', expected a value"},
        {"{", "JSON, byte 2: found the end of the text, expected a key in quotes"},
        {"{\"a\"}", "JSON, byte 5: found '}', expected ':' after a key"},
        {"{\"a\":}", "JSON, byte 6: found '}', expected a value"},
        {"{\"a\":1,}", "JSON, byte 8: found '}', expected a key in quotes"},
        {"{a:1}", "JSON, byte 2: found 'a', expected a key in quotes"},
        {"{'a':1}", "JSON, byte 2: found ''', expected a key in quotes"},
        {"{1:1}", "JSON, byte 2: found '1', expected a key in quotes"},
        {"{\"a\":1 \"b\":2}", "JSON, byte 8: found '\"', expected ',' or '}'"},
        {"{\"a\":1]", "JSON, byte 7: found ']', expected ',' or '}'"},
        {"[1\v]", "JSON, byte 3: found the byte 0x0B, expected ',' or ']'"},
        {"\x01[]", "JSON, byte 1: found the byte 0x01, expected a value"},
        {"\xEF\xBB\xBF{}", "JSON, byte 1: found the byte 0xEF, expected a value"},
        {"[1] // x", "JSON, byte 5: found '/', expected the end of the text"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].json, cases[i].message);

    hf__arena arena = {0};
    hf_error err;
    const hf__value *value;
    assert_int_equal(hf__json_parse(&arena, hf_text_of(NULL), DEPTH, &value, &err), HF_INVALID);
    assert_string_equal(err.message, "JSON, byte 1: found the end of the text, expected a value");
    assert_int_equal(hf__json_parse(&arena, hf_text_of("["), DEPTH, &value, NULL), HF_INVALID);
    hf__arena_free(&arena);
}

static void assert_depth(size_t depth, size_t max_depth, const char *message) {
    char json[4096];
    hf_error err = {0};
    hf__arena arena = {0};
    const hf__value *value;
    for (size_t i = 0; i < depth; i++) {
        json[i] = '[';
        json[depth + i] = ']';
    }
    hf_text text = {json, 2 * depth};
    assert_int_equal(hf__json_parse(&arena, text, max_depth, &value, &err),
                     message[0] == '\0' ? HF_OK : HF_INVALID);
    assert_string_equal(err.message, message);
    hf__arena_free(&arena);
}

static void test_nesting_is_bounded(void **state) {
    (void)state;
    assert_depth(1, 1, "");
    assert_depth(2, 1, "JSON, byte 2: found '[', expected nesting of at most 1 levels");
    assert_depth(64, 64, "");
    assert_depth(65, 64, "JSON, byte 65: found '[', expected nesting of at most 64 levels");
    assert_depth(1000, 100000, "");
    assert_depth(1001, 100000, "JSON, byte 1001: found '[', expected nesting of at most 1000 levels");
    hf_error err;
    assert_int_equal(hf__json_check_object(hf_text_of("{\"a\":{}}"), 2, &err), HF_OK);
    assert_int_equal(hf__json_check_object(hf_text_of("{\"a\":{}}"), 1, &err), HF_INVALID);
    assert_string_equal(err.message, "JSON, byte 6: found '{', expected nesting of at most 1 levels");
}

static void test_duplicate_keys_are_refused_however_they_are_spelt(void **state) {
    (void)state;
    assert_refused("{\"a\":1,\"b\":2, \"a\" :3}",
                   "JSON, byte 15: found the key \"a\" again, expected each key once");
    assert_refused("{\"a\":1,\"\\u0061\":2}",
                   "JSON, byte 8: found the key \"a\" again, expected each key once");
    assert_refused("[{\"x\":{\"\":1,\"\":2}}]",
                   "JSON, byte 13: found the key \"\" again, expected each key once");
    assert_refused("{\"a\":1,\"a\":1,\"b\":1,\"b\":1}",
                   "JSON, byte 8: found the key \"a\" again, expected each key once");
    assert_written("{\"a\":{\"a\":1},\"A\":{\"a\":2},\"aa\":3,\"\":4}",
                   "{\"a\":{\"a\":1},\"A\":{\"a\":2},\"aa\":3,\"\":4}");

    char json[400] = "{\"";
    memset(json + 2, 'k', 63);
    strcat(json, "\xC3\xA4\":1,\"");
    memset(json + 72, 'k', 63);
    strcat(json, "\xC3\xA4\":1}");
    char message[200] = "JSON, byte 72: found the key \"";
    memset(message + strlen(message), 'k', 63);
    strcat(message, "\" again, expected each key once");
    assert_refused(json, message);
}

static void test_duplicates_among_many_keys_are_refused(void **state) {
    (void)state;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    for (int count = 2; count < 3000; count = count * 3 / 2 + 1) {
        hf_error err = {0};
        char member[32], message[128];
        hf__buf_clear(&buf);
        hf__buf_char(&buf, '{');
        for (int i = 0; i < count; i++) {
            snprintf(member, sizeof member, "%s\"%d\":%d", i != 0 ? "," : "", i * 7919 % 104729, i);
            hf__buf_string(&buf, member);
        }
        size_t size = buf.size;
        hf__buf_char(&buf, '}');
        assert_int_equal(hf__json_check_object(hf__buf_view(&buf), DEPTH, &err), HF_OK);
        buf.size = size;
        hf__buf_string(&buf, ",\"7\\u00391\\u0039\":0}");
        snprintf(message, sizeof message,
                 "JSON, byte %zu: found the key \"7919\" again, expected each key once", size + 2);
        assert_int_equal(hf__json_check_object(hf__buf_view(&buf), DEPTH, &err), HF_INVALID);
        assert_string_equal(err.message, message);
    }
    hf__buf_free(&buf);
}

static void test_only_an_object_is_an_object(void **state) {
    (void)state;
    hf_error err;
    assert_int_equal(hf__json_check_object(hf_text_of(" {\"a\":[1,2.5,{}]} "), DEPTH, &err), HF_OK);
    assert_int_equal(hf__json_check_object(hf_text_of(" [1]"), DEPTH, &err), HF_INVALID);
    assert_string_equal(err.message, "JSON, byte 2: found a list, expected an object");
    assert_int_equal(hf__json_check_object(hf_text_of("null"), DEPTH, &err), HF_INVALID);
    assert_string_equal(err.message, "JSON, byte 1: found null, expected an object");
    assert_int_equal(hf__json_check_object(hf_text_of("\"x\""), DEPTH, NULL), HF_INVALID);
}

/* ---- Merging ---- */

static void assert_merged(const char *base, const char *updates, const char *expected) {
    hf_error err = {0};
    hf__buf buf;
    hf__buf_init(&buf, 0);
    if (hf__json_merge(&buf, hf_text_of(base), hf_text_of(updates), DEPTH, &err) != HF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(hf__buf_view(&buf).data, expected);
    assert_int_equal(hf__json_check_object(hf__buf_view(&buf), DEPTH, &err), HF_OK);
    hf__buf_free(&buf);
}

static void test_a_merge_replaces_and_appends_top_level_keys(void **state) {
    (void)state;
    assert_merged("{\"a\":1,\"b\":{\"x\":1},\"c\":3}", "{\"d\":4,\"b\":{\"y\":2},\"e\":5}",
                  "{\"a\":1,\"b\":{\"y\":2},\"c\":3,\"d\":4,\"e\":5}");
    assert_merged("{\"a\":1}", "{\"a\":null}", "{\"a\":null}");
    assert_merged("{\"A\":1}", "{\"a\":2}", "{\"A\":1,\"a\":2}");
}

static void test_a_merge_keeps_the_bytes_of_what_it_does_not_touch(void **state) {
    (void)state;
    assert_merged("{ \"n\" : 9007199254740993,\n \"f\": 1.10 ,\"\\u0065\":{ }, \"x\":0 }",
                  "{\"x\": 1.500, \"y\" :[ ]}",
                  "{ \"n\" : 9007199254740993,\n \"f\": 1.10 ,\"\\u0065\":{ }, \"x\":1.500,\"y\" :[ ] }");
    assert_merged("{\"a\":1.10}", "{}", "{\"a\":1.10}");
    assert_merged("{\"s\":\"}{,\\\"\"}", "{\"t\":\"\\\\\"}", "{\"s\":\"}{,\\\"\",\"t\":\"\\\\\"}");
}

static void test_a_merge_compares_unescaped_keys(void **state) {
    (void)state;
    assert_merged("{\"\\u0061\":1,\"b\":2}", "{\"a\":3,\"\\u0062\":4}", "{\"\\u0061\":3,\"b\":4}");
}

static void test_a_merge_with_nothing_in_one_of_them(void **state) {
    (void)state;
    assert_merged(NULL, "{\"a\":1 , \"b\":2}", "{\"a\":1,\"b\":2}");
    assert_merged("{}", "{}", "{}");
    assert_merged(" { } ", " { \"a\":1 } ", "{\"a\":1 }");
    assert_merged(NULL, "{}", "{}");
}

static void test_a_merge_of_many_keys(void **state) {
    (void)state;
    hf__buf base, updates, expected;
    hf__buf_init(&base, 0);
    hf__buf_init(&updates, 0);
    hf__buf_init(&expected, 0);
    char member[64];
    for (int i = 0; i < 500; i++) {
        snprintf(member, sizeof member, "%c\"k%d\":%d", i != 0 ? ',' : '{', i, i);
        hf__buf_string(&base, member);
        snprintf(member, sizeof member, "%c\"k%d\":%d", i != 0 ? ',' : '{', i, i % 2 == 0 ? -i : i);
        hf__buf_string(&expected, member);
    }
    for (int i = 0; i < 1000; i += 2) {
        snprintf(member, sizeof member, "%c\"k%d\":%d", i != 0 ? ',' : '{', i, -i);
        hf__buf_string(&updates, member);
        if (i >= 500) hf__buf_string(&expected, member);
    }
    hf__buf_char(&base, '}');
    hf__buf_char(&updates, '}');
    hf__buf_char(&expected, '}');
    assert_merged(base.data, updates.data, expected.data);
    hf__buf_free(&base);
    hf__buf_free(&updates);
    hf__buf_free(&expected);
}

static void test_a_merge_refuses_what_is_no_object(void **state) {
    (void)state;
    hf_error err;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    assert_int_equal(hf__json_merge(&buf, hf_text_of("[]"), hf_text_of("{}"), DEPTH, &err), HF_INVALID);
    assert_int_equal(hf__json_merge(&buf, hf_text_of("{}"), hf_text_of("{\"a\":1,\"a\":2}"), DEPTH, &err),
                     HF_INVALID);
    assert_int_equal(buf.size, 0);
    hf__buf_free(&buf);
}

/* ---- All together ---- */

static hf__value *random_value(hf__arena *arena, int depth) {
    hf__type type = (hf__type)(next_random() % (depth > 0 ? 7 : 5));
    hf__value *value = hf__value_new(arena, type);
    char text[40];
    switch (type) {
    case HF__NULL: break;
    case HF__BOOL: value->is.boolean = next_random() & 1; break;
    case HF__INT: value->is.integer = (int64_t)next_random(); break;
    case HF__REAL: value->is.real = (double)(int64_t)next_random() / 65536; break;
    case HF__TEXT: {
        size_t size = 0;
        while (size < 30 && next_random() % 8 != 0) {
            static const char *const pieces[] = {"\x01", "\"", "\\", "a", "\xC3\xA4", "\xF0\x9F\x98\x80",
                                                 "\n",   "/"};
            const char *piece = pieces[next_random() % 8];
            memcpy(text + size, piece, strlen(piece));
            size += strlen(piece);
        }
        text[size] = '\0';
        value->is.text = hf__arena_text(arena, hf_text_of(text));
        break;
    }
    case HF__LIST:
    case HF__MAP:
        for (uint64_t i = 0, count = next_random() % 14; i < count; i++) {
            hf__value *item = random_value(arena, depth - 1);
            snprintf(text, sizeof text, "%c\n%d", (char)('a' + next_random() % 26), (int)i);
            if (type == HF__MAP) item->key = hf__arena_text(arena, hf_text_of(text));
            hf__value_append(value, item);
        }
        break;
    }
    return value;
}

/* What is told without a tree is what the tree says. The same key, escaped, takes one. */
static void assert_told_alike(hf_text json, const hf__value *value) {
    static const char *const updates[] = {"{\"b\":[0],\"zz\":2,\"a\":3}",
                                          "{\"b\":[0],\"z\\u007a\":2,\"a\":3}"};
    bool object = value != NULL && value->type == HF__MAP;
    const hf__value *merged[2];
    hf__arena arena = {0};
    hf__buf bufs[2];
    assert_int_equal(hf__json_check_object(json, DEPTH, NULL) == HF_OK, object);
    for (int i = 0; i < 2; i++) {
        hf__buf_init(&bufs[i], 0);
        assert_int_equal(hf__json_merge(&bufs[i], json, hf_text_of(updates[i]), DEPTH, NULL) == HF_OK,
                         object);
        if (object) merged[i] = parse(&arena, hf__buf_view(&bufs[i]));
    }
    assert_true(!object || hf__value_equal(merged[0], merged[1]));
    hf__arena_free(&arena);
    hf__buf_free(&bufs[0]);
    hf__buf_free(&bufs[1]);
}

static void test_random_values_come_back_equal(void **state) {
    (void)state;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    for (int i = 0; i < 500; i++) {
        hf__arena arena = {0};
        const hf__value *value = random_value(&arena, 4);
        hf__buf_clear(&buf);
        hf__json_write(&buf, value);
        assert_true(hf__value_equal(value, parse(&arena, hf__buf_view(&buf))));
        assert_told_alike(hf__buf_view(&buf), value);
        hf__arena_free(&arena);
    }
    hf__buf_free(&buf);
}

/* Damaged texts are refused, or read as something that writes and reads back the same. */
static void test_damaged_texts_are_safe_to_read(void **state) {
    (void)state;
    const char *good = "{\"a\":[1,-2.5e3,true,false,null,\"\\ud83d\\ude00\\n\xC3\xA4\"],\"b\":{\"c\":{},"
                       "\"d\":[[]]},\"e\":-0}";
    const char *bytes = "{}[]\",:\\u0eE+-.19tfn \n\xC3\xA4\xF0";
    size_t size = strlen(good);
    int read = 0;
    for (int i = 0; i < 20000; i++) {
        char damaged[128];
        memcpy(damaged, good, size);
        size_t kept = i % 5 == 0 ? next_random() % size : size;
        for (uint64_t hits = next_random() % 3; hits > 0; hits--)
            damaged[next_random() % size] = bytes[next_random() % strlen(bytes)];
        hf_text json = exact(damaged, kept);
        hf__arena arena = {0};
        const hf__value *value;
        if (hf__json_parse(&arena, json, DEPTH, &value, NULL) == HF_OK) {
            hf__buf buf;
            hf__buf_init(&buf, 0);
            hf__json_write(&buf, value);
            assert_true(hf__value_equal(value, parse(&arena, hf__buf_view(&buf))));
            hf__buf_free(&buf);
            read++;
        }
        assert_told_alike(json, value);
        hf__arena_free(&arena);
        hf__free((char *)json.data);
    }
    assert_true(read > 100 && read < 19000);
}

static void test_any_failed_allocation_is_reported_and_leaves_nothing(void **state) {
    (void)state;
    const char *json = /* an escaped key takes a tree, also where it is only checked or merged */
        "{\"a\":[1,2.5,\"text\",{\"b\":null}],\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":7,"
        "\"8\":8,\"\\u0039\":\"a text that is longer than any of the others\",\"10\":[[],{},true]}";
    long parses = 0, checks = 0, merges = 0;
    for (bool happened = true; happened; parses++) {
        hf__arena arena = {0};
        hf_error err;
        const hf__value *value;
        fault_alloc_plan(parses + 1);
        int code = hf__json_parse(&arena, hf_text_of(json), DEPTH, &value, &err);
        happened = fault_alloc_happened();
        assert_int_equal(code, happened ? HF_MEMORY : HF_OK);
        assert_true((value == NULL) == happened);
        hf__arena_free(&arena);
    }
    for (bool happened = true; happened; checks++) {
        fault_alloc_plan(checks + 1);
        int code = hf__json_check_object(hf_text_of(json), DEPTH, NULL);
        happened = fault_alloc_happened();
        assert_int_equal(code, happened ? HF_MEMORY : HF_OK);
    }
    for (bool happened = true; happened; merges++) {
        hf__buf buf;
        hf__buf_init(&buf, 0);
        fault_alloc_plan(merges + 1);
        int code = hf__json_merge(&buf, hf_text_of(json), hf_text_of("{\"b\":1,\"a\":2}"), DEPTH, NULL);
        happened = fault_alloc_happened();
        if (code == HF_OK) code = hf__buf_check(&buf, "merged", NULL);
        assert_int_equal(code, happened ? HF_MEMORY : HF_OK);
        hf__buf_free(&buf);
    }
    assert_true(parses > 30 && checks > 30 && merges > 30);
}

static int setup(void **state) {
    (void)state;
    fault_alloc_cover_cjson();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_kept_up_to_both_ends_of_64_bits),
        cmocka_unit_test(test_integers_beyond_64_bits_are_refused),
        cmocka_unit_test(test_reals_are_kept_exactly),
        cmocka_unit_test(test_reals_that_cannot_be_kept_are_refused),
        cmocka_unit_test(test_zeros_at_the_ends_are_no_significant_digits),
        cmocka_unit_test(test_a_number_of_more_than_63_bytes_is_refused),
        cmocka_unit_test(test_reals_are_written_short_and_stay_reals),
        cmocka_unit_test(test_random_numbers_come_back_exact),
        cmocka_unit_test_setup_teardown(test_numbers_do_not_depend_on_the_locale, set_comma_locale,
                                        reset_locale),
        cmocka_unit_test(test_text_is_unescaped),
        cmocka_unit_test(test_text_is_written_with_the_fewest_escapes),
        cmocka_unit_test(test_ill_formed_text_is_refused),
        cmocka_unit_test(test_lone_surrogates_are_refused),
        cmocka_unit_test(test_null_and_empty_stay_what_they_are),
        cmocka_unit_test(test_values_bear_the_bytes_they_were_read_from),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_duplicate_keys_are_refused_however_they_are_spelt),
        cmocka_unit_test(test_duplicates_among_many_keys_are_refused),
        cmocka_unit_test(test_only_an_object_is_an_object),
        cmocka_unit_test(test_a_merge_replaces_and_appends_top_level_keys),
        cmocka_unit_test(test_a_merge_keeps_the_bytes_of_what_it_does_not_touch),
        cmocka_unit_test(test_a_merge_compares_unescaped_keys),
        cmocka_unit_test(test_a_merge_with_nothing_in_one_of_them),
        cmocka_unit_test(test_a_merge_of_many_keys),
        cmocka_unit_test(test_a_merge_refuses_what_is_no_object),
        cmocka_unit_test(test_random_values_come_back_equal),
        cmocka_unit_test(test_damaged_texts_are_safe_to_read),
        cmocka_unit_test(test_any_failed_allocation_is_reported_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("json", tests, setup, NULL);
}
