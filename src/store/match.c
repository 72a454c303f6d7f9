/*
 * One pass over the query: each function writes what it reads, and says whether anything is left of it. What
 * vanishes is cut off the output again, together with the operator before it; so is what is asked for already.
 *
 * FTS5 is kept content: every word is quoted; implicit AND between parentheses, which it does not know, becomes
 * AND; a NOT b NOT c becomes a NOT (b OR c), whose tree is flat; and `held` counts what its parser, a stack of 100
 * symbols, holds at each place. What a word means is the tokenizer's; how the expression is run is left to others.
 */
#include "store/match.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

enum {
    HELD_MAX = 78,    /* symbols before a parenthesis; within it, up to the next one, there can be 20 more */
    LIMIT_DIGITS = 9, /* of the number of NEAR: FTS5 reads an int, and no text has more words */
};

_Static_assert(HF__MATCH_NEAR == 16 && HF__MATCH_LEVELS == 64 && HF__MATCH_WORDS == 64,
               "the messages name them");

#define ANY_WORD "a word, a \"string\" or '('"

typedef enum kind { END, OPEN, CLOSE, AND, OR, NOT, NEAR, LIMIT, PLUS, WORD, STRING } kind;

typedef struct token {
    kind kind;
    size_t at;    /* where it begins in the query */
    hf_text text; /* of a word, a string (quotes in it doubled) or a limit (its digits) */
    bool first;   /* ^ before it */
    bool prefix;  /* * behind it */
} token;

/* A phrase as it was written. */
typedef struct phrase {
    size_t at, size; /* in the output */
    size_t side;     /* the number of the side that it is of */
} phrase;

typedef struct reader {
    hf_text query;
    size_t at; /* behind `next` */
    token next;
    bool near; /* within NEAR */
    size_t held, levels, words, sides;
    phrase phrases[HF__MATCH_WORDS]; /* but those of NEAR */
    size_t phrases_count;
    hf__buf *out;
    hf_error *err;
    int code;
} reader;

/* ---- Characters -------------------------------------------------------------------------------- */

/* The character at `*at`, which is moved behind it. */
static uint32_t take_character(hf_text text, size_t *at) {
    const unsigned char *c = (const unsigned char *)text.data + *at;
    size_t more = c[0] < 0xC0 ? 0 : c[0] < 0xE0 ? 1 : c[0] < 0xF0 ? 2 : 3;
    uint32_t character = more == 0 ? c[0] : c[0] & (0x3FU >> more);
    for (size_t i = 1; i <= more; i++)
        character = character << 6 | (c[i] & 0x3FU);
    *at += more + 1;
    return character;
}

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= 0x09 && c <= 0x0D) || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
           c == 0x3000;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Punctuation, marks and symbols that people type, none of which unicode61 keeps. Of characters that are not here,
 * FTS5 judges: a word without any token does no harm among words, and finds nothing beside AND. */
static bool is_kept(uint32_t c) {
    static const struct range {
        uint32_t first, last;
    } passed_over[] = {
        {0x0080, 0x00A9},   {0x00AB, 0x00B1},   {0x00B4, 0x00B4},   {0x00B6, 0x00B8},   {0x00BB, 0x00BB},
        {0x00BF, 0x00BF},   {0x00D7, 0x00D7},   {0x00F7, 0x00F7},   {0x02C2, 0x02C5},   {0x02D2, 0x02DF},
        {0x02EF, 0x036F},   {0x055A, 0x055F},   {0x0606, 0x061B},   {0x066A, 0x066D},   {0x0964, 0x0965},
        {0x2000, 0x2064},   {0x206A, 0x206F},   {0x207A, 0x207E},   {0x20A0, 0x20B9},   {0x20D0, 0x20F0},
        {0x2190, 0x23F3},   {0x2500, 0x26FF},   {0x2701, 0x2775},   {0x2794, 0x2B4C},   {0x2B50, 0x2B59},
        {0x2DE0, 0x2E2E},   {0x2E30, 0x2E3B},   {0x3000, 0x3004},   {0x3008, 0x3020},   {0x302A, 0x3030},
        {0x3099, 0x309C},   {0x30A0, 0x30A0},   {0x30FB, 0x30FB},   {0xFE00, 0xFE19},   {0xFE20, 0xFE26},
        {0xFE30, 0xFE52},   {0xFE54, 0xFE66},   {0xFE68, 0xFE6B},   {0xFEFF, 0xFEFF},   {0xFF01, 0xFF0F},
        {0xFF1A, 0xFF20},   {0xFF3B, 0xFF40},   {0xFF5B, 0xFF65},   {0xFFE0, 0xFFE6},   {0xFFFD, 0xFFFD},
        {0x1F1E6, 0x1F202}, {0x1F300, 0x1F320}, {0x1F330, 0x1F335}, {0x1F337, 0x1F37C}, {0x1F380, 0x1F393},
        {0x1F3A0, 0x1F3C4}, {0x1F3C6, 0x1F3CA}, {0x1F3E0, 0x1F3F0}, {0x1F400, 0x1F43E}, {0x1F440, 0x1F440},
        {0x1F442, 0x1F4F7}, {0x1F4F9, 0x1F4FC}, {0x1F500, 0x1F53D}, {0x1F5FB, 0x1F640}, {0x1F645, 0x1F64F},
        {0x1F680, 0x1F6C5},
    };
    if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    for (size_t i = 0; i < sizeof passed_over / sizeof *passed_over; i++)
        if (c >= passed_over[i].first && c <= passed_over[i].last) return false;
    return true;
}

static size_t count_words(hf_text text) {
    size_t count = 0;
    bool within = false;
    for (size_t at = 0; at < text.size;) {
        bool kept = is_kept(take_character(text, &at));
        count += kept && !within;
        within = kept;
    }
    return count;
}

/* As FTS5 compares letters of ASCII. */
static bool is_same(const char *a, const char *b, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = a[i], d = b[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c - 'A' + 'a');
        if (d >= 'A' && d <= 'Z') d = (char)(d - 'A' + 'a');
        if (c != d) return false;
    }
    return true;
}

/* ---- Failures ---------------------------------------------------------------------------------- */

/* The first failure stands, and ends the query for all who read on. */
static void refuse(reader *r, size_t at, const char *found, const char *expected) {
    if (r->code != HF_OK) return;
    size_t character = 1;
    for (size_t i = 0; i < at; character++)
        take_character(r->query, &i);
    r->code = hf__fail(r->err, HF_INVALID, "query: character %zu: found %s, expected %s", character, found,
                       expected);
    r->at = r->query.size;
    r->next.kind = END;
}

/* Words never come where they are not expected. */
static void refuse_next(reader *r, const char *expected) {
    static const char *const names[] = {"the end", "'('", "')'", "AND", "OR", "NOT", "NEAR("};
    refuse(r, r->next.at, names[r->next.kind], expected);
}

/* ---- Tokens ------------------------------------------------------------------------------------ */

static char byte_at(const reader *r, size_t at) {
    return at < r->query.size ? r->query.data[at] : '\0';
}

static size_t skip_space(const reader *r, size_t at) {
    for (size_t behind = at; at < r->query.size && is_space(take_character(r->query, &behind));)
        at = behind;
    return at;
}

/* Whether the comma at `at` has the number of NEAR behind it, and then the end of NEAR; `digits` shows the number. */
static bool limit_at(const reader *r, size_t at, hf_text *digits) {
    if (!r->near || byte_at(r, at) != ',') return false;
    size_t from = skip_space(r, at + 1), to = from;
    while (is_digit(byte_at(r, to)))
        to++;
    digits->data = r->query.data + from;
    digits->size = to - from;
    return to > from && byte_at(r, skip_space(r, to)) == ')';
}

static bool ends_word(const reader *r, size_t at) {
    if (at >= r->query.size || strchr("\"()", r->query.data[at]) != NULL) return true;
    hf_text digits;
    return limit_at(r, at, &digits) || is_space(take_character(r->query, &at));
}

static bool is_word(hf_text text, const char *word) {
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* A string whose opening quote is at `quote`. */
static void take_string(reader *r, size_t quote) {
    size_t end = quote + 1;
    while (end < r->query.size && (r->query.data[end] != '"' || byte_at(r, end + 1) == '"'))
        end += r->query.data[end] == '"' ? 2 : 1;
    if (end >= r->query.size) {
        refuse(r, quote, "a string without an end", "another '\"'");
        return;
    }
    r->next.kind = STRING;
    r->next.text = (hf_text){r->query.data + quote + 1, end - quote - 1};
    r->next.prefix = byte_at(r, end + 1) == '*' && ends_word(r, end + 2);
    r->at = end + (r->next.prefix ? 2 : 1);
}

static void take_word(reader *r) {
    size_t start = r->at;
    do
        take_character(r->query, &r->at);
    while (!ends_word(r, r->at));
    hf_text text = {r->query.data + start, r->at - start};
    size_t behind = skip_space(r, r->at);
    if (is_word(text, "AND"))
        r->next.kind = AND;
    else if (is_word(text, "OR"))
        r->next.kind = OR;
    else if (is_word(text, "NOT"))
        r->next.kind = NOT;
    else if (is_word(text, "+"))
        r->next.kind = PLUS;
    else if (is_word(text, "NEAR") && byte_at(r, behind) == '(') {
        r->next.kind = NEAR;
        r->at = behind + 1;
    } else {
        r->next.kind = WORD;
        r->next.prefix = text.size > 1 && text.data[text.size - 1] == '*';
        text.size -= r->next.prefix;
        r->next.first = text.size > 1 && text.data[0] == '^';
        text.data += r->next.first;
        text.size -= r->next.first;
        r->next.text = text;
    }
}

/* Goes on to the token behind `next`. */
static void advance(reader *r) {
    if (r->code != HF_OK) return;
    r->at = skip_space(r, r->at);
    r->next = (token){.kind = END, .at = r->at};
    if (r->at == r->query.size) return;
    char c = byte_at(r, r->at);
    if (c == '(' || c == ')') {
        r->next.kind = c == '(' ? OPEN : CLOSE;
        r->at++;
    } else if (c == '"') {
        take_string(r, r->at);
    } else if (c == '^' && byte_at(r, r->at + 1) == '"') {
        r->next.first = true;
        take_string(r, r->at + 1);
    } else if (limit_at(r, r->at, &r->next.text)) {
        r->next.kind = LIMIT;
        r->at = (size_t)(r->next.text.data + r->next.text.size - r->query.data);
    } else {
        take_word(r);
    }
}

/* ---- Expressions ------------------------------------------------------------------------------- */

static void cut(reader *r, size_t size) {
    if (r->out->state != HF__BUF_OK || r->out->data == NULL) return;
    r->out->size = size;
    r->out->data[size] = '\0';
}

/* Whether the phrase that was written from `at` on stood in that side already; if not, it does now. */
static bool is_repeated(reader *r, size_t side, size_t at) {
    if (r->out->state != HF__BUF_OK) return false;
    size_t size = r->out->size - at;
    for (const phrase *old = r->phrases; old < r->phrases + r->phrases_count; old++)
        if (old->side == side && old->size == size &&
            is_same(r->out->data + old->at, r->out->data + at, size))
            return true;
    if (r->phrases_count < HF__MATCH_WORDS) r->phrases[r->phrases_count++] = (phrase){at, size, side};
    return false;
}

/* Words and strings that a plus joins. */
static bool write_phrase(reader *r) {
    bool any = false, first = r->next.first && !r->near, joined;
    if (r->next.kind == PLUS) { /* it has nothing before it to join */
        advance(r);
        return false;
    }
    do {
        size_t words = count_words(r->next.text);
        if (words > 0) {
            r->words += words;
            hf__buf_string(r->out, any ? " + \"" : first ? "^\"" : "\"");
            hf__buf_text(r->out, r->next.text);
            hf__buf_string(r->out, r->next.prefix ? "\"*" : "\"");
            any = true;
        }
        joined = false;
        for (advance(r); r->next.kind == PLUS; advance(r))
            joined = true;
    } while (joined && (r->next.kind == WORD || r->next.kind == STRING));
    return any;
}

/* From behind "NEAR(" to behind its end. */
static bool write_near(reader *r) {
    size_t count = 0, start;
    r->near = true;
    advance(r);
    hf__buf_string(r->out, "NEAR(");
    while (r->next.kind >= PLUS) {
        start = r->next.at;
        if (count > 0) hf__buf_char(r->out, ' ');
        if (write_phrase(r) && ++count > HF__MATCH_NEAR)
            refuse(r, start, "a 17th phrase", "at most 16 within NEAR");
    }
    if (r->next.kind == LIMIT) {
        hf_text digits = r->next.text;
        for (; digits.size > 1 && digits.data[0] == '0'; digits.size--)
            digits.data++;
        hf__buf_string(r->out, ", ");
        if (digits.size <= LIMIT_DIGITS)
            hf__buf_text(r->out, digits);
        else
            hf__buf_string(r->out, "999999999");
        advance(r);
    }
    if (r->next.kind != CLOSE) refuse_next(r, "a word or ')' within NEAR");
    r->near = false;
    advance(r);
    hf__buf_char(r->out, ')');
    return count > 0;
}

static bool write_either(reader *r);

static bool write_group(reader *r) {
    if (r->levels == HF__MATCH_LEVELS || r->held >= HELD_MAX)
        refuse(r, r->next.at, "a '(' too deep within others", "at most 64 levels, fewer behind operators");
    advance(r);
    bool any = false;
    if (r->next.kind != CLOSE) {
        r->levels++;
        r->held++;
        hf__buf_char(r->out, '(');
        any = write_either(r);
        hf__buf_char(r->out, ')');
        r->held--;
        r->levels--;
    }
    if (r->next.kind != CLOSE) refuse_next(r, "AND, OR, NOT, a word or ')'");
    advance(r);
    return any;
}

/* What stands side by side without an operator: all of it must be there. */
static bool write_side(reader *r) {
    bool any = false, after_group = false;
    size_t held = r->held, side = r->sides++;
    if (r->next.kind < PLUS && r->next.kind != OPEN && r->next.kind != NEAR) refuse_next(r, ANY_WORD);
    while (r->next.kind >= PLUS || r->next.kind == OPEN || r->next.kind == NEAR) {
        size_t mark = r->out->size, words = r->words, place = r->next.at;
        bool group = r->next.kind == OPEN, near = r->next.kind == NEAR;
        if (any) hf__buf_string(r->out, group || after_group ? " AND " : " ");
        if (any) r->held = held + 2;
        size_t at = r->out->size;
        if (!(group ? write_group(r) : near ? write_near(r) : write_phrase(r))) {
            cut(r, mark);
        } else if (!group && !near && is_repeated(r, side, at)) {
            cut(r, mark);
            r->words = words;
        } else {
            if (r->words > HF__MATCH_WORDS) refuse(r, place, "more words", "at most 64 in a query");
            any = true;
            after_group = group;
        }
    }
    r->held = held;
    return any;
}

/* Operands of which `joint` is written between those that are left. */
static bool write_joined(reader *r, kind by, const char *joint, bool (*write_operand)(reader *)) {
    bool any = false;
    size_t held = r->held;
    for (;;) {
        size_t mark = r->out->size;
        if (any) hf__buf_string(r->out, joint);
        if (any) r->held = held + 2;
        if (write_operand(r))
            any = true;
        else
            cut(r, mark);
        r->held = held;
        if (r->next.kind != by) return any;
        advance(r);
    }
}

static bool write_without(reader *r) {
    bool any = write_side(r);
    if (r->next.kind != NOT) return any;
    advance(r);
    size_t mark = r->out->size;
    r->held += 3;
    hf__buf_string(r->out, " NOT (");
    if (write_joined(r, NOT, " OR ", write_side))
        hf__buf_char(r->out, ')');
    else
        cut(r, mark);
    r->held -= 3;
    return any;
}

static bool write_all(reader *r) {
    return write_joined(r, AND, " AND ", write_without);
}

static bool write_either(reader *r) {
    return write_joined(r, OR, " OR ", write_all);
}

int hf__match_write(hf__buf *out, hf_text query, hf_error *err) {
    reader r = {.query = query, .out = out, .err = err};
    if (query.size > HF__MATCH_BYTES)
        return hf__fail(err, HF_INVALID, "query: found %zu bytes, expected at most %d", query.size,
                        HF__MATCH_BYTES);
    advance(&r);
    bool any = r.next.kind != END && write_either(&r);
    if (r.next.kind != END) refuse_next(&r, "a '(' before it");
    if (r.code == HF_OK && !any)
        r.code = hf__fail(err, HF_INVALID,
                          "query: found nothing to search for, expected a word with a letter or digit");
    return r.code != HF_OK ? r.code : hf__buf_check(out, "query", err);
}
