/*
 * The snippet of a hit, in the time of one walk over its text and its finds. FTS5's own snippet() weighs each find by
 * all others, so that a long text with a common word in it takes minutes; this one shows the same words. What is found
 * and how hits rank is left to FTS5.
 *
 * First the best window of words is chosen: one begins at each find, and one at the sentence of each find, which is
 * better where it holds as many phrases. Then the words of that window are looked up, and written with their marks.
 */
#include "store/snippet.h"

#include "base/error.h"
#include "base/utf8.h"

#define ELLIPSIS "…"

enum {
    FOR_PHRASE = 1000, /* points for the first find of a phrase in a window */
    FOR_AGAIN = 1,     /* for each further one */
    FOR_SENTENCE = 100,
    FOR_BEGINNING = 120, /* the sentence is the first of the text */
    BEFORE_FIND = HF__SNIPPET_BYTES / 4,
    OUT_BYTES = HF__SNIPPET_BYTES + 2 * HF__SNIPPET_WORDS + 2 * (int)(sizeof ELLIPSIS - 1),
};

/* A match of one text. Finds are in the order of their places, which are counted in words. */
typedef struct match {
    const Fts5ExtensionApi *api;
    Fts5Context *fts;
    hf_text text;
    int words, finds, phrases;
    int rc;
} match;

typedef struct find {
    int phrase, word;
} find;

/* The find of that number; behind the last, one that is behind every word. */
static find find_at(match *m, int number) {
    find found = {0, INT32_MAX};
    int column = 0;
    if (m->rc == SQLITE_OK && number < m->finds)
        m->rc = m->api->xInst(m->fts, number, &found.phrase, &column, &found.word);
    if (m->rc != SQLITE_OK || column > 0) found.word = INT32_MAX; /* of a column that somebody added */
    return found;
}

/* ---- The best window --------------------------------------------------------------------------- */

/* A window that is only ever moved on. */
typedef struct window {
    int first, behind; /* numbers of the finds in it */
    int score;
    int *counts; /* in it, of each phrase */
} window;

static void count_find(window *w, int phrase, int by) {
    int before = w->counts[phrase];
    w->counts[phrase] += by;
    bool only = before == 0 || w->counts[phrase] == 0;
    w->score += by * (only ? FOR_PHRASE : FOR_AGAIN);
}

static void move_window(match *m, window *w, int word) {
    find found;
    while (found = find_at(m, w->behind), found.word < word + HF__SNIPPET_WORDS) {
        count_find(w, found.phrase, 1);
        w->behind++;
    }
    while (found = find_at(m, w->first), w->first < w->behind && found.word < word) {
        count_find(w, found.phrase, -1);
        w->first++;
    }
}

typedef struct choice {
    match *m;
    window at_find, at_sentence;
    int word;     /* that the tokenizer is at */
    int next;     /* the number of the next find that a window is to begin at */
    int sentence; /* the word that begins it */
    int best, best_score;
} choice;

/* The window in the middle of which the finds of at_find stand. */
static int centred(match *m, const window *w) {
    find first = find_at(m, w->first), last = find_at(m, w->behind - 1);
    int end = last.word + m->api->xPhraseSize(m->fts, last.phrase);
    int word = first.word - (HF__SNIPPET_WORDS - (end - first.word)) / 2;
    if (word > m->words - HF__SNIPPET_WORDS) word = m->words - HF__SNIPPET_WORDS;
    return word > 0 ? word : 0;
}

static void weigh(choice *c, int score, int word) {
    if (score <= c->best_score) return;
    c->best_score = score;
    c->best = word;
}

/* The windows of the finds at this word. */
static void weigh_word(choice *c) {
    if (find_at(c->m, c->next).word > c->word) return;
    move_window(c->m, &c->at_find, c->word);
    if (c->at_find.score > c->best_score) weigh(c, c->at_find.score, centred(c->m, &c->at_find));
    if (c->sentence < c->word && c->m->words > HF__SNIPPET_WORDS) {
        move_window(c->m, &c->at_sentence, c->sentence);
        weigh(c, c->at_sentence.score + (c->sentence == 0 ? FOR_BEGINNING : FOR_SENTENCE), c->sentence);
    }
    while (find_at(c->m, c->next).word <= c->word)
        c->next++;
}

/* Whether a full stop or a colon, and white space, stand before the word that begins at `at`. */
static bool begins_sentence(hf_text text, int at) {
    int before = at - 1;
    while (before >= 0 && strchr(" \t\n\r", text.data[before]) != NULL && text.data[before] != '\0')
        before--;
    return before >= 0 && before < at - 1 && (text.data[before] == '.' || text.data[before] == ':');
}

static int choose_at_word(void *data, int flags, const char *token, int size, int from, int to) {
    choice *c = data;
    (void)token, (void)size, (void)to;
    if ((flags & FTS5_TOKEN_COLOCATED) != 0) return SQLITE_OK;
    if (begins_sentence(c->m->text, from)) c->sentence = c->word;
    weigh_word(c);
    c->word++;
    return c->m->rc != SQLITE_OK ? c->m->rc : c->next < c->m->finds ? SQLITE_OK : SQLITE_DONE;
}

static int tokenize(match *m, void *data, int (*at_word)(void *, int, const char *, int, int, int)) {
    int rc = m->api->xTokenize(m->fts, m->text.data, (int)m->text.size, data, at_word);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The word that the snippet begins with. */
static int choose(match *m) {
    choice c = {.m = m};
    size_t size = (size_t)m->phrases * sizeof(int);
    int *counts = sqlite3_malloc64(2 * size + 1);
    if (counts == NULL) {
        m->rc = SQLITE_NOMEM;
        return 0;
    }
    memset(counts, 0, 2 * size);
    c.at_find.counts = counts;
    c.at_sentence.counts = counts + m->phrases;
    int rc = tokenize(m, &c, choose_at_word);
    if (m->rc == SQLITE_OK) m->rc = rc;
    sqlite3_free(counts);
    return c.best;
}

/* ---- The words of it --------------------------------------------------------------------------- */

typedef struct word {
    int from, to;       /* bytes of the text */
    bool opens, closes; /* a find, or some that overlap */
} word;

typedef struct view {
    match *m;
    int start; /* the number of its first word */
    word words[HF__SNIPPET_WORDS];
    int count;
    int at;       /* the word that the tokenizer is at */
    int next;     /* the number of the next find */
    int covered;  /* the word behind the finds so far */
    bool goes_on; /* words follow */
} view;

/* Takes the finds that begin up to this word. */
static bool cover(view *v) {
    bool opens = false;
    for (find found; found = find_at(v->m, v->next), found.word <= v->at; v->next++) {
        int end = found.word + v->m->api->xPhraseSize(v->m->fts, found.phrase);
        if (v->covered <= found.word) opens = true;
        if (v->covered < end) v->covered = end;
    }
    return opens;
}

static int view_word(void *data, int flags, const char *token, int size, int from, int to) {
    view *v = data;
    (void)token, (void)size;
    if ((flags & FTS5_TOKEN_COLOCATED) != 0) return SQLITE_OK;
    if (v->count == HF__SNIPPET_WORDS) {
        v->goes_on = true;
        return SQLITE_DONE;
    }
    if (v->at >= v->start) {
        bool opens = cover(v), covered = v->covered > v->at;
        if (v->count == 0) opens = covered; /* a find may have begun before */
        v->words[v->count++] = (word){from, to, opens, covered && v->covered == v->at + 1};
    }
    v->at++;
    return v->m->rc;
}

/* ---- The snippet ------------------------------------------------------------------------------- */

/* The bytes of the text that are shown: all of the words, or where these are very long, some around the first find. */
static void bound(const view *v, int *from, int *to) {
    const hf_text text = v->m->text;
    const word *first = v->words, *behind = v->words + v->count, *found = first;
    while (found < behind && !found->opens)
        found++;
    *from = v->start > 0 && first < behind ? first->from : 0;
    *to = v->goes_on ? behind[-1].to : (int)text.size;
    if (*to - *from <= HF__SNIPPET_BYTES) return;
    if (found < behind && found->from - *from > BEFORE_FIND)
        *from = (int)hf__utf8_cut(text.data, text.size, (size_t)(found->from - BEFORE_FIND));
    *to = *from + (int)hf__utf8_cut(text.data + *from, (size_t)(*to - *from), HF__SNIPPET_BYTES);
}

typedef struct output {
    char bytes[OUT_BYTES];
    size_t size;
    hf_text text;
    int at; /* the byte of the text that is next */
} output;

static void put(output *out, const char *mark) {
    size_t size = strlen(mark);
    memcpy(out->bytes + out->size, mark, size);
    out->size += size;
}

static void put_text(output *out, int to) {
    if (to <= out->at) return;
    memcpy(out->bytes + out->size, out->text.data + out->at, (size_t)(to - out->at));
    out->size += (size_t)(to - out->at);
    out->at = to;
}

static void write_view(const view *v, output *out) {
    int end;
    bool open = false;
    out->text = v->m->text;
    bound(v, &out->at, &end);
    if (out->at > 0) put(out, ELLIPSIS);
    for (const word *w = v->words; w < v->words + v->count && w->from < end; w++) {
        if (w->opens) {
            put_text(out, w->from);
            put(out, "[");
            open = true;
        }
        if (open) put_text(out, w->to < end ? w->to : end);
        if (w->closes) {
            put(out, "]");
            open = false;
        }
    }
    if (open) put(out, "]");
    put_text(out, end);
    if ((size_t)end < out->text.size) put(out, ELLIPSIS);
}

static void snippet(const Fts5ExtensionApi *api, Fts5Context *fts, sqlite3_context *context, int count,
                    sqlite3_value **values) {
    (void)count, (void)values;
    match m = {.api = api, .fts = fts, .phrases = api->xPhraseCount(fts)};
    output out = {.size = 0};
    int size = 0;
    m.rc = api->xInstCount(fts, &m.finds);
    if (m.rc == SQLITE_OK && m.finds == 0) m.rc = SQLITE_NOMEM; /* for which FTS5 drops them without a word */
    if (m.rc == SQLITE_OK) m.rc = api->xColumnText(fts, 0, &m.text.data, &size);
    if (m.rc == SQLITE_OK) m.rc = api->xColumnSize(fts, 0, &m.words);
    if (m.rc == SQLITE_OK && m.text.data != NULL) {
        m.text.size = (size_t)size;
        view v = {.m = &m, .start = choose(&m)};
        int rc = tokenize(&m, &v, view_word);
        if (m.rc == SQLITE_OK) m.rc = rc;
        if (m.rc == SQLITE_OK) write_view(&v, &out);
    }
    if (m.rc == SQLITE_OK)
        sqlite3_result_text64(context, out.bytes, out.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        sqlite3_result_error_code(context, m.rc);
}

int hf__snippet_offer(sqlite3 *db, hf_error *err) {
    fts5_api *api = NULL;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, HF__SQL_ASK_FTS5, -1, &stmt, NULL);
    if (rc == SQLITE_ERROR)
        return hf__fail(err, HF_MISUSE, "this SQLite, %s, was built without FTS5", sqlite3_libversion());
    if (rc == SQLITE_OK) rc = sqlite3_bind_pointer(stmt, 1, &api, "fts5_api_ptr", NULL);
    if (rc == SQLITE_OK) sqlite3_step(stmt);
    int ended = sqlite3_finalize(stmt);
    if (rc == SQLITE_OK) rc = ended;
    if (rc == SQLITE_OK && api == NULL) rc = SQLITE_NOMEM;
    if (rc == SQLITE_OK) rc = api->xCreateFunction(api, "holdfast_snippet", NULL, snippet, NULL);
    return rc == SQLITE_OK ? HF_OK : hf__sqlite_fail(err, db, rc);
}
