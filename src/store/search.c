/*
 * Full-text search: what goes into the index, what leaves it, and who is found. The index is FTS5,
 * keyed by the message's position, and touched only when a text changes. What the text of a content is, is left to
 * flat.c, the language of queries to match.c.
 */
#include "base/error.h"
#include "base/flat.h"
#include "store/match.h"
#include "store/ops.h"

enum { DEFAULT_HITS = 20 };

/* ---- The index --------------------------------------------------------------------------------- */

static int add_text(hf__store *store, int64_t position, hf_text text, hf_error *err) {
    if (text.size == 0) return HF_OK;
    hf__query query = hf__query_start(store, HF__SQL_INDEX_ADD, err);
    hf__bind_int(&query, position);
    hf__bind_text(&query, text);
    return hf__query_do(&query);
}

/* Whether there is an entry, and whether it is of that text. */
static int find_entry(hf__store *store, int64_t position, hf_text text, bool *found, bool *same,
                      hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_INDEX_FIND, err);
    hf__bind_int(&query, position);
    *found = hf__query_row(&query);
    hf_text old = *found ? hf__read_view(&query) : (hf_text){NULL, 0};
    *same = old.data != NULL && old.size == text.size && memcmp(old.data, text.data, text.size) == 0;
    return hf__query_end(&query);
}

static int remove_entry(hf__store *store, int64_t position, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_INDEX_REMOVE, err);
    hf__bind_int(&query, position);
    return hf__query_do(&query);
}

int hf__index_remove(hf__store *store, int64_t position, bool *found, hf_error *err) {
    bool same;
    int code = find_entry(store, position, hf_text_of(""), found, &same, err);
    return code == HF_OK && *found ? remove_entry(store, position, err) : code;
}

int hf__index_remove_all(hf__store *store, hf_text conversation_id, hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_INDEX_REMOVE_ALL, err);
    hf__bind_text(&query, conversation_id);
    return hf__query_do(&query);
}

int hf__index_add(hf__store *store, int64_t position, hf_text content, hf_error *err) {
    hf__arena arena = {0};
    hf_text text = {"", 0};
    bool found;
    int code = content.data != NULL ? hf__flat_text(&arena, content, &text, err) : HF_OK;
    if (code == HF_OK)
        code = text.size > 0 ? add_text(store, position, text, err)
                             : hf__index_remove(store, position, &found, err);
    hf__arena_free(&arena);
    return code;
}

int hf__index_change(hf__store *store, int64_t position, hf_text content, hf_error *err) {
    hf__arena arena = {0};
    hf_text text = {"", 0};
    bool found = false, same = false;
    int code = content.data != NULL ? hf__flat_text(&arena, content, &text, err) : HF_OK;
    if (code == HF_OK) code = find_entry(store, position, text, &found, &same, err);
    if (code == HF_OK && found && !same) code = remove_entry(store, position, err);
    if (code == HF_OK && !same) code = add_text(store, position, text, err);
    hf__arena_free(&arena);
    return code;
}

/* ---- search ------------------------------------------------------------------------------------ */

static void read_hit(hf__query *query, hf__rows *rows, hf_result *result) {
    hf_hit *hit = hf__rows_next(rows, result);
    hf_message *message = hf_result_alloc(result, sizeof *message);
    if (hit == NULL || message == NULL) {
        hf__query_fail(query, hf__fail_memory(query->err));
        return;
    }
    hf__read_message(query, hf__read_state(query, (hf_text){NULL, 0}), result, message);
    hit->message = message;
    hit->snippet = hf__read_text(query, result);
    hit->score = hf__read_real(query);
}

int hf__store_search(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf__rows rows;
    hf__buf match;
    hf__buf_init(&match, 0);
    int code = hf__match_write(&match, op->query, err);
    if (code == HF_OK && op->conversation_id.data != NULL)
        code = hf__find_place(store, "conversationId", op->conversation_id, NULL, NULL, err);
    if (code == HF_OK) code = hf__rows_start(&rows, sizeof(hf_hit), result, err);
    if (code == HF_OK) {
        hf__query query = hf__query_start(store, HF__SQL_SEARCH, err);
        hf__bind_text(&query, hf__buf_view(&match));
        hf__bind_text(&query, op->conversation_id);
        hf__bind_int(&query, op->limit > 0 ? op->limit : DEFAULT_HITS);
        while (hf__query_row(&query))
            read_hit(&query, &rows, result);
        result->hits = rows.data;
        result->hits_count = rows.count;
        code = hf__query_end(&query);
    }
    hf__buf_free(&match);
    return code;
}
