/* Snippets: which words are shown, where the marks stand, and what is made of texts that are long, odd or damaged. */
#define _POSIX_C_SOURCE 200809L

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "store/snippet.h"

enum { RANDOM_TEXTS = 4000, MOST_MARKS = 2 * HF__SNIPPET_WORDS + 2 * 3 };

static sqlite3 *db;

static void sql(const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", text, sqlite3_errmsg(db));
}

static int open_index(void **state) {
    (void)state;
    hf_error err = {0};
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    if (hf__snippet_offer(db, &err) != HF_OK) fail_msg("%s", err.message);
    sql("CREATE VIRTUAL TABLE search USING fts5(text)");
    return 0;
}

static int close_index(void **state) {
    (void)state;
    return sqlite3_close(db);
}

static void store_text(hf_text text) {
    sqlite3_stmt *stmt = NULL;
    sql("DELETE FROM search");
    assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO search(rowid, text) VALUES(1, ?)", -1, &stmt, NULL),
                     SQLITE_OK);
    sqlite3_bind_text64(stmt, 1, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    assert_int_equal(sqlite3_step(stmt), SQLITE_DONE);
    sqlite3_finalize(stmt);
}

/* A row for the text that is stored, if it matches: to be finalized. */
static sqlite3_stmt *match(const char *query) {
    sqlite3_stmt *stmt = NULL;
    const char *select = "SELECT holdfast_snippet(search), snippet(search, 0, '[', ']', '…', 16)"
                         " FROM search WHERE search MATCH ?";
    if (sqlite3_prepare_v2(db, select, -1, &stmt, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_bind_text(stmt, 1, query, -1, SQLITE_STATIC);
    if (sqlite3_step(stmt) == SQLITE_ROW) return stmt;
    if (sqlite3_finalize(stmt) != SQLITE_OK) fail_msg("%s: %s", query, sqlite3_errmsg(db));
    return NULL;
}

/* As match; without FTS5's own, which would take too long. */
static char *snippet_of(hf_text text, const char *query) {
    sqlite3_stmt *stmt = NULL;
    if (text.data != NULL) store_text(text);
    const char *select =
        "SELECT holdfast_snippet(search), -rank FROM search WHERE search MATCH ? ORDER BY rank";
    assert_int_equal(sqlite3_prepare_v2(db, select, -1, &stmt, NULL), SQLITE_OK);
    sqlite3_bind_text(stmt, 1, query, -1, SQLITE_STATIC);
    if (sqlite3_step(stmt) != SQLITE_ROW) fail_msg("%s: %s", query, sqlite3_errmsg(db));
    size_t size = (size_t)sqlite3_column_bytes(stmt, 0);
    assert_in_range(size, 0, HF__SNIPPET_BYTES + MOST_MARKS);
    char *copy = calloc(1, size + 1);
    assert_non_null(copy);
    memcpy(copy, sqlite3_column_text(stmt, 0), size);
    sqlite3_finalize(stmt);
    return copy;
}

static void assert_snippet(const char *text, const char *query, const char *expected) {
    char *found = snippet_of(hf_text_of(text), query);
    assert_string_equal(found, expected);
    free(found);
}

/* `before`, `piece` so often that it fills `size` bytes, `after`. */
static hf_text long_text(const char *before, const char *piece, size_t size, const char *after) {
    char *text = malloc(strlen(before) + size + strlen(piece) + strlen(after) + 1), *end = text;
    assert_non_null(text);
    end = stpcpy(end, before);
    for (const char *until = end + size; end < until;)
        end = stpcpy(end, piece);
    end = stpcpy(end, after);
    return (hf_text){text, (size_t)(end - text)};
}

/* ---- Which words ------------------------------------------------------------------------------- */

#define TEN "one two three four five six seven eight nine ten "

static void a_short_text_is_shown_whole(void **state) {
    (void)state;
    assert_snippet("sea", "sea", "[sea]");
    assert_snippet("(The sea, and the Sea!)", "sea", "(The [sea], and the [Sea]!)");
    assert_snippet("\n\n  über allem  ", "uber", "\n\n  [über] allem  ");
    assert_snippet("a b c d e f g h i j k l m n o p", "p", "a b c d e f g h i j k l m n o [p]");
}

static void of_a_long_text_sixteen_words_are_shown_around_the_finds(void **state) {
    (void)state;
    assert_snippet(TEN TEN "sea " TEN TEN, "sea",
                   "…four five six seven eight nine ten [sea] one two three four five six seven eight…");
    assert_snippet("sea " TEN TEN, "sea",
                   "[sea] one two three four five six seven eight nine ten one two three four five…");
    assert_snippet(TEN TEN "sea.", "sea",
                   "…six seven eight nine ten one two three four five six seven eight nine ten [sea].");
    assert_snippet(TEN TEN "sea " TEN TEN "sea and land " TEN, "sea OR land",
                   "…five six seven eight nine ten [sea] and [land] one two three four five six seven…");
    assert_snippet(TEN TEN "sea sea " TEN TEN "sea sea sea " TEN TEN, "sea",
                   "…five six seven eight nine ten [sea] [sea] [sea] one two three four five six seven…");
}

static void a_sentence_is_shown_from_its_beginning(void **state) {
    (void)state;
    assert_snippet(TEN TEN ". By the deep sea there is nothing. " TEN TEN, "sea",
                   "…By the deep [sea] there is nothing. one two three four five six seven eight nine…");
    assert_snippet("By the sea: " TEN TEN, "sea",
                   "By the [sea]: one two three four five six seven eight nine ten one two three…");
}

static void finds_that_overlap_have_one_pair_of_marks(void **state) {
    (void)state;
    assert_snippet("the deep blue sea", "\"the deep blue\" \"blue sea\"", "[the deep blue sea]");
    assert_snippet("the deep blue sea", "\"the deep\" \"blue sea\" deep", "[the deep] [blue sea]");
    assert_snippet("the deep blue sea", "\"deep blue\" b* deep", "the [deep blue] sea");
    assert_snippet("the the the", "\"the the\"", "[the the the]");
}

static void of_a_find_longer_than_the_snippet_a_part_is_marked(void **state) {
    (void)state;
    assert_snippet(TEN TEN "a b c d e f g h i j k l m n o p q r s t " TEN,
                   "\"a b c d e f g h i j k l m n o p q r s t\"", "…[c d e f g h i j k l m n o p q r]…");
}

static uint64_t seed = 1;

static unsigned next_random(void) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33);
}

/* Phrases may cross the edge of a window, which FTS5 leaves without marks: single words do not. */
static void for_words_it_is_what_fts5_shows(void **state) {
    (void)state;
    static const char *const words[] = {"a", "b", "c", "d", "fox", "é", "日本", "The"};
    static const char *const joints[] = {" ", " ", " ", ". ", ": ", ", ", "\n", ".", "  ", "-", "… "};
    int seen = 0;
    for (int i = 0; i < RANDOM_TEXTS; i++) {
        char text[4096] = "", query[256] = "", *end = text;
        unsigned size = next_random() % (i % 3 == 0 ? 200 : 40), vocabulary = next_random() % 8 + 1;
        unsigned filled = next_random() % 8;
        for (unsigned k = 0; k < size; k++) {
            const char *word = next_random() % 8 < filled ? "filler" : words[next_random() % vocabulary];
            end += sprintf(end, "%s%s", word, joints[next_random() % 11]);
        }
        end = query;
        for (unsigned k = 0, count = next_random() % 4 + 1; k < count; k++)
            end += sprintf(end, "%s%s", k > 0 ? " OR " : "", words[next_random() % vocabulary]);
        store_text(hf_text_of(text));
        sqlite3_stmt *row = match(query);
        if (row == NULL) continue;
        const char *ours = (const char *)sqlite3_column_text(row, 0);
        const char *theirs = (const char *)sqlite3_column_text(row, 1);
        if (strcmp(ours, theirs) != 0) fail_msg("%s\n%s\nis   %s\nFTS5 %s", text, query, ours, theirs);
        sqlite3_finalize(row);
        seen++;
    }
    assert_in_range(seen, RANDOM_TEXTS / 2, RANDOM_TEXTS);
}

/* ---- Long texts -------------------------------------------------------------------------------- */

/* What takes the square of the finds takes more time here than any test has. */
static void a_word_that_is_everywhere_in_a_long_text_is_no_burden(void **state) {
    (void)state;
    hf_text text = long_text("", "calm ", 1 << 20, "");
    char *found = snippet_of(text, "calm");
    assert_memory_equal(found, "[calm] [calm]", 13);
    free(found);
    free((char *)text.data);
    text = long_text("", "some words. To find ", 1 << 20, "the end");
    found = snippet_of(text, "some words find end");
    assert_string_equal(found,
                        "…To [find] [some] [words]. To [find] [some] [words]. To [find] [some] [words]."
                        " To [find] the [end]");
    free(found);
    free((char *)text.data);
}

static void assert_long(const char *before, const char *piece, const char *after, const char *query,
                        const char *begin, const char *part, const char *end) {
    hf_text text = long_text(before, piece, 1 << 20, after);
    char *found = snippet_of(text, query);
    size_t size = strlen(found);
    assert_in_range(size, HF__SNIPPET_BYTES / 4, HF__SNIPPET_BYTES + MOST_MARKS);
    assert_int_equal(hf__utf8_check(found, size), size);
    if (strncmp(found, begin, strlen(begin)) != 0) fail_msg("%s does not begin with %s", found, begin);
    if (strstr(found, part) == NULL) fail_msg("%s lacks %s", found, part);
    if (strcmp(found + size - strlen(end), end) != 0) fail_msg("%s does not end with %s", found, end);
    free(found);
    free((char *)text.data);
}

static void a_word_without_an_end_is_cut_between_characters(void **state) {
    (void)state;
    assert_long("the key ", "QUJDREVG", " in base64", "key", "the [key] QUJD", "[key]", "…");
    assert_long("the key ", "QUJDREVG", " in base64", "base64", "…", "DREVG in [base64]", "[base64]");
    assert_long("the key ", "QUJDREVG", " in base64", "quj*", "the key [QUJD", "key [QUJD", "]…");
    assert_long("", "海", " 山 水", "山", "…海", "海 [山] 水", "水");
    assert_long("x", "海", " 山 水", "山", "…海", "海 [山] 水", "水");
    assert_long("山 x", "海", " 水", "山", "[山] x海", "海", "海…");
    assert_long("山 xy", "海", " 水", "山 水", "[山] xy海", "海", "海…");
    assert_long("", "-", "sea", "sea", "…-", "-[sea]", "[sea]");
    assert_long("sea", "…", "", "sea", "[sea]…", "[sea]", "…");
    assert_long("sea", "- 🎉", "land", "sea land", "[sea]- 🎉", "[sea]", "…");
}

/* ---- Texts that are damaged -------------------------------------------------------------------- */

static void a_zero_byte_ends_no_snippet(void **state) {
    (void)state;
    store_text((hf_text){"sea\0land", 8});
    sqlite3_stmt *row = match("sea");
    assert_non_null(row);
    assert_int_equal(sqlite3_column_bytes(row, 0), 10);
    assert_memory_equal(sqlite3_column_text(row, 0), "[sea]\0land", 10);
    sqlite3_finalize(row);
}

static void text_that_is_not_utf8_is_cut_all_the_same(void **state) {
    (void)state;
    static const char *const pieces[] = {"\x80", "\xFF", "\xF0\x80", "\xE6\xB5", "sea\x80\x80\x80\x80\x80"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        hf_text text = long_text("sea ", pieces[i], 10000, " land");
        free(snippet_of(text, "sea"));
        free(snippet_of(text, "land"));
        free(snippet_of(text, "s*"));
        free((char *)text.data);
    }
}

static void an_index_that_says_more_than_its_text_shows_the_text(void **state) {
    (void)state;
    hf_text stored = {NULL, 0}; /* as it is */
    static const struct {
        const char *value, *expected;
    } texts[] = {{"'one two'", "one two"}, {"''", ""}, {"NULL", ""}, {"17", "17"}, {"x'73656120'", "[sea] "}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char update[128];
        store_text(hf_text_of(i < 4 ? TEN TEN "sea" : "sea " TEN TEN));
        snprintf(update, sizeof update, "UPDATE search_content SET c0 = %s", texts[i].value);
        sql(update);
        char *found = snippet_of(stored, "sea");
        assert_string_equal(found, texts[i].expected);
        free(found);
        sql("DROP TABLE search; CREATE VIRTUAL TABLE search USING fts5(text)");
    }
}

static void a_column_that_somebody_added_is_not_shown(void **state) {
    (void)state;
    sql("DROP TABLE search; CREATE VIRTUAL TABLE search USING fts5(text, more);"
        "INSERT INTO search VALUES('the land', 'the sea'), ('sea', 'sea sea')");
    char *found = snippet_of((hf_text){NULL, 0}, "sea NOT land");
    assert_string_equal(found, "[sea]");
    free(found);
    found = snippet_of((hf_text){NULL, 0}, "land");
    assert_string_equal(found, "the [land]");
    free(found);
    found = snippet_of((hf_text){NULL, 0}, "more: sea NOT text: sea");
    assert_string_equal(found, "the land");
    free(found);
}

int main(void) {
#define RULE(name) cmocka_unit_test_setup_teardown(name, open_index, close_index)
    const struct CMUnitTest rules[] = {
        RULE(a_short_text_is_shown_whole),
        RULE(of_a_long_text_sixteen_words_are_shown_around_the_finds),
        RULE(a_sentence_is_shown_from_its_beginning),
        RULE(finds_that_overlap_have_one_pair_of_marks),
        RULE(of_a_find_longer_than_the_snippet_a_part_is_marked),
        RULE(for_words_it_is_what_fts5_shows),
        RULE(a_word_that_is_everywhere_in_a_long_text_is_no_burden),
        RULE(a_word_without_an_end_is_cut_between_characters),
        RULE(a_zero_byte_ends_no_snippet),
        RULE(text_that_is_not_utf8_is_cut_all_the_same),
        RULE(an_index_that_says_more_than_its_text_shows_the_text),
        RULE(a_column_that_somebody_added_is_not_shown),
    };
    return cmocka_run_group_tests(rules, NULL, NULL);
}
