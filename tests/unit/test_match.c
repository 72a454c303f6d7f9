/* Queries as users type them: what FTS5 is given, that it accepts it, what it finds, and what is refused where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/match.h"
#include "support/fault_alloc.h"

enum { RANDOM_QUERIES = 40000 };

/* Found as bits: the first text is 1, the second 2, the third 4, and so on. */
static const char *const texts[] = {
    "foo bar",                             /* 1 */
    "bar baz foo",                         /* 2 */
    "Error: file not found, what's up?",   /* 4 */
    "日本語 café C++ e.g. a/b: 50% 🎉",     /* 8 */
    "one two three four five six seven 8", /* 16 */
};

static sqlite3 *db;
static sqlite3_stmt *find;

static int open_index(void **state) {
    (void)state;
    sqlite3_stmt *insert = NULL;
    int rc = sqlite3_open(":memory:", &db);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, "CREATE VIRTUAL TABLE t USING fts5(text)", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "INSERT INTO t(rowid, text) VALUES(?, ?)", -1, &insert, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof texts / sizeof *texts; i++) {
        sqlite3_bind_int(insert, 1, 1 << i);
        sqlite3_bind_text(insert, 2, texts[i], -1, SQLITE_STATIC);
        rc = sqlite3_step(insert) == SQLITE_DONE ? sqlite3_reset(insert) : SQLITE_ERROR;
    }
    sqlite3_finalize(insert);
    if (rc == SQLITE_OK) rc = sqlite3_prepare_v2(db, "SELECT rowid FROM t WHERE t MATCH ?", -1, &find, NULL);
    return rc;
}

static int close_index(void **state) {
    (void)state;
    sqlite3_finalize(find);
    return sqlite3_close(db);
}

/* What FTS5 finds; fails the test where it does not accept the expression. */
static int run(hf_text expression, hf_text query) {
    int found = 0, rc;
    sqlite3_bind_text(find, 1, expression.data, (int)expression.size, SQLITE_STATIC);
    while ((rc = sqlite3_step(find)) == SQLITE_ROW)
        found += sqlite3_column_int(find, 0);
    if (rc != SQLITE_DONE)
        fail_msg("%.*s\nbecame %s\nwhich FTS5 refuses: %s", (int)query.size, query.data, expression.data,
                 sqlite3_errmsg(db));
    sqlite3_reset(find);
    return found;
}

/* What `query` finds; -1 where it is refused. A copy on the heap, so that a sanitizer sees reads past the end. */
static int search(const char *query, size_t size, hf_error *err) {
    char *copy = malloc(size + !size);
    assert_non_null(copy);
    memcpy(copy, query, size);
    hf_text text = {copy, size};
    hf__buf out;
    hf__buf_init(&out, 0);
    int code = hf__match_write(&out, text, err);
    int found = -1;
    if (code == HF_OK)
        found = run(hf__buf_view(&out), text);
    else
        assert_int_equal(code, HF_INVALID);
    hf__buf_free(&out);
    free(copy);
    return found;
}

static void assert_finds(const char *query, int expected) {
    hf_error err = {0};
    int found = search(query, strlen(query), &err);
    if (found != expected) fail_msg("%s: found %d, expected %d %s", query, found, expected, err.message);
}

static void assert_refused(const char *query, const char *message) {
    hf_error err = {0};
    assert_int_equal(search(query, strlen(query), &err), -1);
    assert_string_equal(err.message, message);
}

static void assert_written(const char *query, const char *expected) {
    hf_error err = {0};
    hf__buf out;
    hf__buf_init(&out, 0);
    if (hf__match_write(&out, hf_text_of(query), &err) != HF_OK) fail_msg("%s: %s", query, err.message);
    assert_string_equal(hf__buf_view(&out).data, expected);
    hf__buf_free(&out);
}

/* ---- What is found ---- */

static void test_plain_words_are_all_wanted_whatever_is_between_them(void **state) {
    (void)state;
    assert_finds("foo", 3);
    assert_finds("foo bar", 3);
    assert_finds(" foo\t\nbaz  ", 2);
    assert_finds("what's up?", 4);
    assert_finds("error: not found", 4);
    assert_finds("not", 4);
    assert_finds("C++", 8);
    assert_finds("e.g. a/b: 50%", 8);
    assert_finds("日本語", 8);
    assert_finds("日本語　cafe", 8); /* an ideographic space */
    assert_finds("foo\xC2\xA0"
                 "baz",
                 2);
    assert_finds("foo-bar", 1);
    assert_finds("bar-foo", 0);
    assert_finds("foo, - bar ? … – 🎉 ॥", 3);
    assert_finds("text: foo", 0); /* no column filter */
    assert_finds("-text:foo {a b}: [x]", 0);
    assert_finds("foo; DROP TABLE t; --", 0);
    assert_finds("foo = 'bar' || ^ * & $1 ~ \\ %", 0);
    assert_finds("foo = 'bar' || ^ * & ~ \\ % + ++ ** ^^ ,", 3);
    assert_finds("near and NEAR", 0);
    assert_finds("foo()", 3);
    assert_finds("foo(bar)", 3);
}

static void test_operators_are_those_of_fts5(void **state) {
    (void)state;
    assert_finds("\"foo bar\"", 1);
    assert_finds("\"bar\" \"foo\"", 3);
    assert_finds("\"what\"\"s\"", 4);
    assert_finds("foo\"baz\"bar", 2);
    assert_finds("fo*", 23);
    assert_finds("\"ba\"* caf*", 0);
    assert_finds("\"bar ba\"*", 2);
    assert_finds("fo*o", 0);
    assert_finds("^foo", 1);
    assert_finds("^\"bar\"", 2);
    assert_finds("^ba*", 2);
    assert_finds("foo^bar", 1);
    assert_finds("foo + bar", 1);
    assert_finds("bar + ba* + foo", 2);
    assert_finds("^foo + bar", 1);
    assert_finds("foo+bar", 1);
    assert_finds("bar ^foo", 1);
    assert_finds("+ ^foo", 1);
    assert_finds("foo + (bar)", 3);
    assert_finds("foo AND baz", 2);
    assert_finds("baz OR 日本語", 10);
    assert_finds("foo NOT baz", 1);
    assert_finds("foo OR one NOT two OR café", 11);
    assert_finds("(foo OR one) NOT two", 3);
    assert_finds("foo NOT baz NOT bar", 0);
    assert_finds("foo NOT (baz NOT bar)", 3);
    assert_finds("foo NOT baz AND bar", 1);
    assert_finds("foo NOT bar (baz)", 1);
    assert_finds("foo NOT bar baz", 1);
    assert_finds("foo (bar OR baz)", 3);
    assert_finds("(foo OR one)(baz OR two)", 18);
    assert_finds("(foo) bar (baz) NEAR(foo baz)", 2);
    assert_finds("one OR foo (baz)", 18);
    assert_finds("NEAR(one four, 1)", 0);
    assert_finds("NEAR(one four, 2)", 16);
    assert_finds("NEAR (one fou*,0002 )", 16);
    assert_finds("NEAR(one seven, 99999999999999999999)", 16);
    assert_finds("NEAR(one, 8)", 16);
    assert_finds("NEAR(one, seven 8)", 16);
    assert_finds("NEAR(one + two four, 1) NEAR(six eight)", 0);
    assert_finds("NEAR(one + two four, 1) NEAR(six ^8)", 16);
    assert_finds("NEAR", 0);
}

static void test_what_has_no_letter_or_digit_vanishes_wherever_it_stands(void **state) {
    (void)state;
    assert_finds("foo AND -", 3);
    assert_finds("- AND foo", 3);
    assert_finds("foo AND (-)", 3);
    assert_finds("foo AND (- OR ?) AND baz", 2);
    assert_finds("foo AND ()", 3);
    assert_finds("(-) foo", 3);
    assert_finds("((-) (?)) foo (…)", 3);
    assert_finds("foo OR -", 3);
    assert_finds("- OR foo", 3);
    assert_finds("foo NOT -", 3);
    assert_finds("foo NOT - NOT baz NOT (?)", 1);
    assert_finds("(- NOT baz) foo", 3);
    assert_finds("foo + - + bar", 1);
    assert_finds("- + foo", 3);
    assert_finds("foo + -", 3);
    assert_finds("^- + foo", 1);
    assert_finds("NEAR(- foo)", 3);
    assert_finds("NEAR(foo - bar ?, 0)", 1);
    assert_finds("NEAR(- ?) foo", 3);
    assert_finds("foo AND NEAR()", 3);
    assert_finds("foo AND -*", 3);
    assert_finds("foo AND \"\"", 3);
    assert_finds("foo AND \" – \"*", 3);
    assert_finds("foo AND 🎉", 3);
    assert_finds("foo AND “”", 3);
}

static void test_the_expression_is_made_of_quoted_words(void **state) {
    (void)state;
    assert_written("foo bar", "\"foo\" \"bar\"");
    assert_written("a AND b OR c NOT d", "\"a\" AND \"b\" OR \"c\" NOT (\"d\")");
    assert_written("a NOT b NOT c d", "\"a\" NOT (\"b\" OR \"c\" \"d\")");
    assert_written("a (b) c", "\"a\" AND (\"b\") AND \"c\"");
    assert_written("^a* + \"b\"\"c\"*", "^\"a\"* + \"b\"\"c\"*");
    assert_written("NEAR( a b+ , 05)", "NEAR(\"a\" \"b+\", 5)");
    assert_written("and:", "\"and:\"");
}

/* ---- What is refused ---- */

#define WORD ", expected a word, a \"string\" or '('"
#define NOTHING "query: found nothing to search for, expected a word with a letter or digit"

static void test_mistakes_are_named_by_place(void **state) {
    (void)state;
    assert_refused("AND", "query: character 1: found AND" WORD);
    assert_refused("foo AND", "query: character 8: found the end" WORD);
    assert_refused("日本語 OR OR x", "query: character 8: found OR" WORD);
    assert_refused("NOT foo", "query: character 1: found NOT" WORD);
    assert_refused("foo AND NOT bar", "query: character 9: found NOT" WORD);
    assert_refused("(AND)", "query: character 2: found AND" WORD);
    assert_refused("(foo OR )", "query: character 9: found ')'" WORD);
    assert_refused("foo) bar", "query: character 4: found ')', expected a '(' before it");
    assert_refused(")", "query: character 1: found ')'" WORD);
    assert_refused("(foo (bar)", "query: character 11: found the end, expected AND, OR, NOT, a word or ')'");
    assert_refused("(", "query: character 2: found the end" WORD);
    assert_refused("é \"foo", "query: character 3: found a string without an end, expected another '\"'");
    assert_refused("foo \"\"\"", "query: character 5: found a string without an end, expected another '\"'");
    assert_refused("^\"", "query: character 2: found a string without an end, expected another '\"'");
    assert_refused("NEAR(a b", "query: character 9: found the end, expected a word or ')' within NEAR");
    assert_refused("NEAR(a (b))", "query: character 8: found '(', expected a word or ')' within NEAR");
    assert_refused("NEAR(a OR b)", "query: character 8: found OR, expected a word or ')' within NEAR");
    assert_refused("NEAR(NEAR(a))", "query: character 6: found NEAR(, expected a word or ')' within NEAR");
    assert_refused("NEAR(1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7)",
                   "query: character 38: found a 17th phrase, expected at most 16 within NEAR");
}

static void test_a_query_without_a_word_is_refused(void **state) {
    (void)state;
    assert_refused("", NOTHING);
    assert_refused(" \t\n\xE3\x80\x80", NOTHING);
    assert_refused("-", NOTHING);
    assert_refused("?! … () \"\" NEAR(-, 5) ^ * + 🎉", NOTHING);
    assert_refused("- NOT foo", NOTHING);
}

static char *repeated(const char *before, const char *middle, const char *after, size_t count) {
    size_t size = count * (strlen(before) + strlen(after)) + strlen(middle) + 1;
    char *query = calloc(1, size), *end = query;
    assert_non_null(query);
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "%s", before);
    end += sprintf(end, "%s", middle);
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "%s", after);
    return query;
}

/* What makes FTS5's parser hold most without another parenthesis to be counted. */
#define HEAVIEST "x OR x AND x NOT x NOT (x) x NEAR(foo foo + bar*)"

static void test_long_and_deep_queries_are_taken_as_far_as_fts5_goes(void **state) {
    (void)state;
    static const struct nest {
        const char *before, *middle, *after;
        size_t most; /* at most so many are taken; the next one is refused */
    } nests[] = {
        {"", "foo", " foo", 1000},
        {"", "foo", " OR x", 63},
        {"", "foo", " AND foo", 63},
        {"", "foo", " NOT x", 63},
        {"", "foo", "*", 4000},
        {"", "foo", " + bar", 63},
        {"(", "foo", ")", 64},
        {"(", "foo", " OR x)", 63},
        {"(", "foo", " NOT x AND foo OR x)", 21},
        {"foo (", "foo", ")", 25},
        {"(", HEAVIEST, ")", 63},
        {"foo (", HEAVIEST, ")", 22},
        {"foo (", "(" HEAVIEST ")", ")", 22},
        {"foo (", "((" HEAVIEST "))", ")", 22},
        {"foo OR (", "foo", ")", 25},
        {"foo NOT (", "x", ")", 18},
        {"(foo OR x) (", "foo", ")", 25},
        {"x OR foo AND foo NOT x OR foo NOT (x NOT x NOT foo (", "NEAR(foo + bar foo)", "))", 4},
    };
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++) {
        hf_error err = {0};
        char *good = repeated(nests[i].before, nests[i].middle, nests[i].after, nests[i].most);
        if (search(good, strlen(good), &err) == -1) fail_msg("%.60s: %s", good, err.message);
        free(good);
        if (strchr(nests[i].before, '(') == NULL || strchr(nests[i].after, 'x') != NULL) continue;
        size_t deepest = nests[i].most;
        char *query;
        do {
            query = repeated(nests[i].before, nests[i].middle, nests[i].after, ++deepest);
            assert_true(deepest < 66);
        } while (search(query, strlen(query), &err) != -1 && (free(query), true));
        assert_non_null(
            strstr(err.message, ": found a '(' too deep within others, expected at most 64 levels"));
        free(query);
    }
}

static void test_a_query_is_bounded(void **state) {
    (void)state;
    char query[HF__MATCH_BYTES + 2];
    memset(query, 'x', sizeof query);
    query[HF__MATCH_BYTES + 1] = '\0';
    assert_refused(query, "query: found 4097 bytes, expected at most 4096");
    query[HF__MATCH_BYTES] = '\0';
    assert_finds(query, 0);
}

/* Words w0, w1, and so on, with a joint between them, and what follows. */
static const char *many(size_t count, const char *joint, const char *rest) {
    static char query[HF__MATCH_BYTES];
    char *end = query;
    for (size_t i = 0; i < count; i++)
        end += sprintf(end, "%sw%zu", i > 0 ? joint : "", i);
    sprintf(end, "%s", rest);
    return query;
}

static void test_words_are_bounded_however_they_are_joined(void **state) {
    (void)state;
    assert_finds(many(64, " ", ""), 0);
    assert_finds(many(64, " ", " w0 w63 ? W7"), 0);
    assert_refused(many(65, " ", ""),
                   "query: character 247: found more words, expected at most 64 in a query");
    static const char *const joints[] = {" AND ", " OR ", " NOT ", " + ", ".", "/", "* "};
    for (size_t i = 0; i < sizeof joints / sizeof *joints; i++) {
        hf_error err = {0};
        const char *query = many(64, joints[i], "");
        assert_int_not_equal(search(query, strlen(query), &err), -1);
        query = many(65, joints[i], "");
        assert_int_equal(search(query, strlen(query), &err), -1);
        assert_non_null(strstr(err.message, "found more words"));
    }
    assert_finds(many(64, " ", " (foo)"), -1);
    assert_finds(many(64, " ", " NEAR(foo bar)"), -1);
    assert_finds(many(63, " ", " \"foo bar\""), -1);
    assert_finds(many(63, " ", " foo"), 0);
}

static void test_what_stands_again_is_asked_for_once(void **state) {
    (void)state;
    assert_written("foo foo", "\"foo\"");
    assert_written("foo bar Foo FOO baz bar", "\"foo\" \"bar\" \"baz\"");
    assert_written("foo \"foo\" foo* ^foo foo*", "\"foo\" \"foo\"* ^\"foo\"");
    assert_written("foo + bar foo bar foo + bar", "\"foo\" + \"bar\" \"foo\" \"bar\"");
    assert_written("é É é", "\"é\" \"É\"");
    assert_written("foo (foo foo OR bar) foo", "\"foo\" AND (\"foo\" OR \"bar\")");
    assert_written("foo NOT foo foo", "\"foo\" NOT (\"foo\")");
    assert_written("foo OR foo", "\"foo\" OR \"foo\"");
    assert_written("NEAR(foo foo) foo", "NEAR(\"foo\" \"foo\") \"foo\"");
    assert_finds("foo bar foo", 3);
    assert_finds("foo \"foo bar\" foo", 1);
}

/* ---- Everything else ---- */

/* A character that is refused by itself is none that FTS5 keeps. */
static void test_no_character_that_fts5_keeps_is_passed_over(void **state) {
    (void)state;
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE VIRTUAL TABLE characters USING fts5(text);"
                                  "CREATE VIRTUAL TABLE tokens USING fts5vocab(characters, instance)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_stmt *insert = NULL;
    assert_int_equal(
        sqlite3_prepare_v2(db, "INSERT INTO characters(rowid, text) VALUES(?, ?)", -1, &insert, NULL),
        SQLITE_OK);
    int refused = 0;
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    for (int c = 1; c < 0x20000; c++) {
        if (c >= 0xD800 && c <= 0xDFFF) continue;
        char text[4];
        size_t size = 0;
        if (c < 0x80) {
            text[size++] = (char)c;
        } else {
            if (c >= 0x10000) text[size++] = (char)(0xF0 | c >> 18);
            if (c >= 0x800) text[size++] = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3F) : 0xE0 | c >> 12);
            text[size++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3F) : 0xC0 | c >> 6);
            text[size++] = (char)(0x80 | (c & 0x3F));
        }
        hf__buf out;
        hf__buf_init(&out, 0);
        int code = hf__match_write(&out, (hf_text){text, size}, NULL);
        hf__buf_free(&out);
        if (code != HF_OK) {
            refused++;
            sqlite3_bind_int(insert, 1, c);
            sqlite3_bind_text(insert, 2, text, (int)size, SQLITE_STATIC);
            assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
            assert_int_equal(sqlite3_reset(insert), SQLITE_OK);
        }
    }
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_finalize(insert);
    assert_in_range(refused, 3000, 6000);
    sqlite3_stmt *kept;
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT doc FROM tokens", -1, &kept, NULL), SQLITE_OK);
    if (sqlite3_step(kept) == SQLITE_ROW) fail_msg("U+%04X is kept", (unsigned)sqlite3_column_int(kept, 0));
    sqlite3_finalize(kept);
}

static unsigned next_random(uint64_t *seed) {
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33);
}

static void test_whatever_is_accepted_fts5_accepts(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "foo", "bar", "AND", "OR",  "NOT",  "NEAR(",    "NEAR", "(",  ")", "(",  ")",     "\"",
        "*",   "^",   "+",   " + ", ",",    ", 5)",     ":",    "-",  "?", "日", "🎉",     "é",
        "{",   "}",   "'",   "\\",  "near", "\xCC\x81", "0",    "\t", "॥", "--", "\"a\"", ";"};
    uint64_t seed = 1;
    int accepted = 0;
    for (int i = 0; i < RANDOM_QUERIES; i++) {
        char query[512] = "";
        size_t size = 0;
        for (unsigned n = next_random(&seed) % 24; n > 0; n--) {
            const char *piece = pieces[next_random(&seed) % (sizeof pieces / sizeof *pieces)];
            size += (size_t)sprintf(query + size, "%s%s", piece, next_random(&seed) % 3 != 0 ? " " : "");
        }
        hf_error err = {0};
        if (search(query, size, &err) != -1)
            accepted++;
        else
            assert_memory_equal(err.message, "query: ", 7);
    }
    assert_in_range(accepted, RANDOM_QUERIES / 10, RANDOM_QUERIES);
}

/* Well-formed queries, deep in parentheses: refused, if at all, for their depth or their words. */
static size_t grow(uint64_t *seed, char *query, size_t size, unsigned levels) {
    static const char *const joints[] = {" ", " AND ", " OR ", " NOT ", " NOT "};
    unsigned count = next_random(seed) % 4 + 1, deep = next_random(seed) % count;
    for (unsigned i = 0; i < count; i++) {
        if (i > 0) size += (size_t)sprintf(query + size, "%s", joints[next_random(seed) % 5]);
        bool group = levels > 0 && (i == deep || next_random(seed) % 8 == 0);
        if (group) {
            query[size++] = '(';
            size = grow(seed, query, size, i == deep ? levels - 1 : 0);
            query[size++] = ')';
        } else {
            size += (size_t)sprintf(query + size, "%s",
                                    next_random(seed) % 4 != 0 ? "foo" : "NEAR(bar* + x foo, 2)");
        }
    }
    return size;
}

static void test_nested_queries_are_accepted_or_too_deep(void **state) {
    (void)state;
    static char query[HF__MATCH_BYTES * 4];
    uint64_t seed = 2;
    int accepted = 0, deep = 0, long_ones = 0;
    for (int i = 0; i < 4000; i++) {
        hf_error err = {0};
        size_t size = grow(&seed, query, 0, next_random(&seed) % 40);
        if (size > HF__MATCH_BYTES) continue;
        if (search(query, size, &err) != -1)
            accepted++;
        else if (strstr(err.message, "too deep") != NULL)
            deep++;
        else if (strstr(err.message, "found more words") != NULL)
            long_ones++;
        else
            fail_msg("%.*s: %s", (int)size, query, err.message);
    }
    assert_in_range(accepted, 1000, 4000);
    assert_in_range(deep, 100, 4000);
    assert_in_range(long_ones, 100, 4000);
}

/* A random query over the letters a to d and words of nothing, with the meaning that it has by itself: text `i` has
 * letter `j` where bit `j` of `i` is set. */
typedef struct meaning {
    char query[1 << 16];
    size_t size;
    uint64_t seed;
} meaning;

typedef struct set {
    unsigned texts; /* a bit each */
    bool any;       /* false: it vanishes */
} set;

static void put(meaning *m, const char *text) {
    m->size += (size_t)sprintf(m->query + m->size, "%s", text);
}

static set either(meaning *m, int levels);

static set word_or_group(meaning *m, int levels) {
    static const char *const nothing[] = {"-", "()", "\"\"", "?*", "NEAR(-)", "🎉"};
    static const unsigned letters[] = {0xAAAA, 0xCCCC, 0xF0F0, 0xFF00};
    unsigned which = next_random(&m->seed) % (levels > 0 ? 8 : 5);
    set all = {0, false};
    if (which > 4) {
        put(m, "(");
        all = either(m, levels - 1);
        put(m, ")");
    } else if (which == 4) {
        put(m, nothing[next_random(&m->seed) % 6]);
    } else {
        const char letter[] = {(char)('a' + which), '\0'};
        put(m, letter);
        all = (set){letters[which], true};
    }
    return all;
}

static set side(meaning *m, int levels) {
    set all = word_or_group(m, levels);
    while (next_random(&m->seed) % 3 == 0) {
        put(m, " ");
        set more = word_or_group(m, levels);
        if (more.any) all = (set){all.any ? all.texts & more.texts : more.texts, true};
    }
    return all;
}

static set without(meaning *m, int levels) {
    set all = side(m, levels);
    while (next_random(&m->seed) % 3 == 0) {
        put(m, " NOT ");
        set less = side(m, levels);
        if (less.any) all.texts &= ~less.texts;
    }
    return all;
}

static set every(meaning *m, int levels) {
    set all = without(m, levels);
    while (next_random(&m->seed) % 3 == 0) {
        put(m, " AND ");
        set more = without(m, levels);
        if (more.any) all = (set){all.any ? all.texts & more.texts : more.texts, true};
    }
    return all;
}

static set either(meaning *m, int levels) {
    set all = every(m, levels);
    while (next_random(&m->seed) % 3 == 0) {
        put(m, " OR ");
        set more = every(m, levels);
        if (more.any) all = (set){all.texts | more.texts, true};
    }
    return all;
}

static void test_operators_find_what_they_mean(void **state) {
    (void)state;
    assert_int_equal(
        sqlite3_exec(db,
                     "CREATE VIRTUAL TABLE letters USING fts5(text);"
                     "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 15)"
                     "INSERT INTO letters(rowid, text) SELECT 1 << i, 'z' || iif(i & 1, ' a', '') ||"
                     "iif(i & 2, ' b', '') || iif(i & 4, ' c', '') || iif(i & 8, ' d', '') FROM n",
                     NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_stmt *find_texts = find;
    assert_int_equal(
        sqlite3_prepare_v2(db, "SELECT rowid FROM letters WHERE letters MATCH ?", -1, &find, NULL),
        SQLITE_OK);
    meaning *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->seed = 3;
    int seen = 0;
    for (int i = 0; i < 10000; i++) {
        m->size = 0;
        set all = either(m, (int)(next_random(&m->seed) % 4));
        if (m->size > HF__MATCH_BYTES / 4) continue;
        hf_error err = {0};
        int found = search(m->query, m->size, &err), expected = all.any ? (int)all.texts : -1;
        if (strstr(err.message, "found more words") != NULL) continue;
        if (found != expected)
            fail_msg("%s: found %x, expected %x %s", m->query, found, expected, err.message);
        seen++;
    }
    assert_in_range(seen, 5000, 10000);
    free(m);
    sqlite3_finalize(find);
    find = find_texts;
}

static void test_every_failed_allocation_is_reported(void **state) {
    (void)state;
    bool failed = true;
    long nth = 0;
    while (failed) {
        hf_error err = {0};
        hf__buf out;
        hf__buf_init(&out, 0);
        fault_alloc_plan(++nth);
        int code = hf__match_write(
            &out,
            hf_text_of(
                "(foo OR -) NOT (- OR NEAR(bar baz, 5)) (one two three four five six seven eight nine ten)"),
            &err);
        failed = fault_alloc_happened();
        assert_int_equal(code, failed ? HF_MEMORY : HF_OK);
        hf__buf_free(&out);
    }
    assert_in_range(nth, 2, 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_words_are_all_wanted_whatever_is_between_them),
        cmocka_unit_test(test_operators_are_those_of_fts5),
        cmocka_unit_test(test_what_has_no_letter_or_digit_vanishes_wherever_it_stands),
        cmocka_unit_test(test_the_expression_is_made_of_quoted_words),
        cmocka_unit_test(test_mistakes_are_named_by_place),
        cmocka_unit_test(test_a_query_without_a_word_is_refused),
        cmocka_unit_test(test_long_and_deep_queries_are_taken_as_far_as_fts5_goes),
        cmocka_unit_test(test_a_query_is_bounded),
        cmocka_unit_test(test_words_are_bounded_however_they_are_joined),
        cmocka_unit_test(test_what_stands_again_is_asked_for_once),
        cmocka_unit_test(test_no_character_that_fts5_keeps_is_passed_over),
        cmocka_unit_test(test_whatever_is_accepted_fts5_accepts),
        cmocka_unit_test(test_nested_queries_are_accepted_or_too_deep),
        cmocka_unit_test(test_operators_find_what_they_mean),
        cmocka_unit_test(test_every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, open_index, close_index);
}
