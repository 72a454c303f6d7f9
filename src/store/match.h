/*
 * What a user typed into a search box, as an expression that FTS5 accepts.
 *
 * A word is whatever stands between white space, quotes and parentheses: `what's`, `C++`, `50%`. Words that follow
 * each other must all be there. The rest of the language is that of FTS5, without its column filters:
 *
 *     "a string"         always, to the next quote; "" within it is a quote
 *     ( )                always; before and behind them AND may be left out
 *     AND OR NOT         words of their own, in upper case. NOT binds tightest, OR loosest
 *     NEAR(a b, 5)       NEAR before a parenthesis; only words, strings and phrases within
 *     word* "string"*    a star at the end: words that begin so
 *     ^word ^"string"    at the start of a word, or of the first of a phrase, outside of NEAR: the text begins so
 *     a + b              a plus that stands alone between two words or strings: a phrase
 *     , 5                a comma and digits at the end of NEAR: how many words may be between
 *
 * Anywhere else these characters are part of a word, where the tokenizer passes them over. A word without a letter
 * or a digit vanishes with the operator beside it, so that `a AND -` is `a`; so do () and NEAR(); with what vanishes
 * left of NOT goes what is right of it. A word, string or phrase that stands again among those that must all be there is
 * asked for once.
 */
#ifndef HF_STORE_MATCH_H
#define HF_STORE_MATCH_H

#include "base/buf.h"

enum {
    HF__MATCH_BYTES = 4096, /* the longest query */
    HF__MATCH_LEVELS = 64,  /* of parentheses; fewer behind operators, as FTS5 bounds both together */
    HF__MATCH_NEAR = 16,    /* phrases within NEAR: its cost is their square */
    HF__MATCH_WORDS = 64,   /* in all: each place in a text of a hit may cost their square */
};

/* Puts at the end of `out` what FTS5 (tokenizer unicode61) should match for `query`, which is well-formed text. Fails
 * with HF_INVALID and the place, counted in characters, where the query is not of the language, and where it has no
 * word to search for; `out` then holds anything. */
int hf__match_write(hf__buf *out, hf_text query, hf_error *err);

#endif
