/*
 * Reading a store for the commands that show it. Lists come newest page first, paged by `before`;
 * messages are handed out oldest first all the same, so their pages are kept until the oldest is there.
 * Where the row that ended a page has been deleted meanwhile, the one before it in the walk takes its place.
 */
#include "cli/walk.h"

#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"

enum { CONVERSATIONS_PER_PAGE = 10000, MESSAGES_PER_PAGE = 1000 };

int hf__ask(hf_store *store, hf_text op, hf__arena *arena, const hf__value **out, hf_error *err) {
    hf_json answer;
    int code = hf_exec_json(store, op, &answer, err);
    if (code != HF_OK) return code;
    hf_text text = hf__arena_text(arena, (hf_text){answer.data, answer.size});
    hf_json_free(&answer);
    if (text.data == NULL) return hf__fail_memory(err);
    return hf__json_parse(arena, text, HF__CLI_DEPTH, out, err);
}

int hf__ask_conversation(hf_store *store, hf_text id, hf__arena *arena, const hf__value **out,
                         hf_error *err) {
    const hf__value *answer = NULL;
    hf__buf op;
    hf__buf_init(&op, 0);
    hf__buf_string(&op, "{\"op\":\"getConversation\",\"conversationId\":");
    hf__json_write_text(&op, id);
    hf__buf_char(&op, '}');
    int code = hf__buf_check(&op, "the op", err);
    if (code == HF_OK) code = hf__ask(store, hf__buf_view(&op), arena, &answer, err);
    if (code == HF_OK) *out = hf__value_get(answer, "conversation");
    hf__buf_free(&op);
    return code;
}

/* ---- Pages ------------------------------------------------------------------------------------- */

/* What to list: the beginning of the op, and where its answer keeps the rows. */
struct list {
    hf_store *store;
    const char *op, *rows;
    hf_text conversation_id; /* absent for a list of conversations */
    int limit;
    const char *states; /* a JSON list, or NULL for all */
};

struct page {
    hf__arena arena;
    const hf__value *rows;
    bool has_more;
    struct page *newer;
};

static void page_free(struct page *page) {
    if (page == NULL) return;
    hf__arena_free(&page->arena);
    hf__free(page);
}

/* Reads the page that ends before the row `before`, or the newest one where that is absent. */
static int page_read(const struct list *list, hf_text before, struct page **out, hf_error *err) {
    const hf__value *answer = NULL;
    hf__buf op;
    *out = hf__alloc_zero(sizeof **out);
    if (*out == NULL) return hf__fail_memory(err);
    hf__buf_init(&op, 0);
    hf__buf_string(&op, "{\"op\":");
    hf__json_write_text(&op, hf_text_of(list->op));
    if (list->conversation_id.data != NULL) {
        hf__buf_string(&op, ",\"conversationId\":");
        hf__json_write_text(&op, list->conversation_id);
    }
    hf__buf_string(&op, ",\"limit\":");
    hf__json_write_int(&op, list->limit);
    if (list->states != NULL) {
        hf__buf_string(&op, ",\"states\":");
        hf__buf_string(&op, list->states);
    }
    if (before.data != NULL) {
        hf__buf_string(&op, ",\"before\":");
        hf__json_write_text(&op, before);
    }
    hf__buf_char(&op, '}');
    int code = hf__buf_check(&op, "the op", err);
    if (code == HF_OK) code = hf__ask(list->store, hf__buf_view(&op), &(*out)->arena, &answer, err);
    hf__buf_free(&op);
    if (code == HF_OK) {
        const hf__value *has_more = hf__value_get(answer, "hasMore");
        (*out)->rows = hf__value_get(answer, list->rows);
        (*out)->has_more = has_more->is.boolean && (*out)->rows->is.items.count > 0;
        return HF_OK;
    }
    page_free(*out);
    *out = NULL;
    return code;
}

static bool each_row(const struct page *page, hf__row_fn each, void *data) {
    for (const hf__value *row = page->rows->is.items.first; row != NULL; row = row->next)
        if (!each(data, row)) return false;
    return true;
}

/* The row of the page that stands before `row`; NULL for its first. */
static const hf__value *row_before(const struct page *page, const hf__value *row) {
    const hf__value *before = NULL;
    for (const hf__value *at = page->rows->is.items.first; at != row; at = at->next)
        before = at;
    return before;
}

int hf__walk_conversations(hf_store *store, hf__row_fn each, void *data, hf_error *err) {
    const struct list list = {
        .store = store, .op = "listConversations", .rows = "conversations", .limit = CONVERSATIONS_PER_PAGE};
    struct page *last = NULL;
    int code = HF_OK;
    for (bool more = true; more;) {
        struct page *next;
        const hf__value *row = last != NULL ? last->rows->is.items.last : NULL;
        do {
            hf_text before = row != NULL ? hf__row_text(row, "id") : (hf_text){NULL, 0};
            code = page_read(&list, before, &next, err);
            if (row != NULL) row = row_before(last, row);
        } while (code == HF_NOT_FOUND && row != NULL); /* it was deleted meanwhile */
        page_free(last);
        last = next;
        more = code == HF_OK && each_row(next, each, data) && next->has_more;
    }
    page_free(last);
    return code;
}

int hf__walk_messages_in(hf_store *store, hf_text conversation_id, const char *states, hf__row_fn each,
                         void *data, hf_error *err) {
    const struct list list = {store, "list", "messages", conversation_id, MESSAGES_PER_PAGE, states};
    struct page *oldest = NULL;
    int code = HF_OK;
    for (bool more = true; more;) {
        struct page *next;
        const hf__value *row = oldest != NULL ? oldest->rows->is.items.first : NULL;
        do {
            hf_text before = row != NULL ? hf__row_text(row, "id") : (hf_text){NULL, 0};
            code = page_read(&list, before, &next, err);
            if (row != NULL) row = row->next;
        } while (code == HF_NOT_FOUND && row != NULL); /* it was deleted meanwhile */
        if (code != HF_OK) break;
        next->newer = oldest;
        oldest = next;
        more = next->has_more;
    }
    bool go_on = code == HF_OK;
    while (oldest != NULL) {
        struct page *page = oldest;
        go_on = go_on && each_row(page, each, data);
        oldest = page->newer;
        page_free(page);
    }
    return code;
}

int hf__walk_messages(hf_store *store, hf_text conversation_id, hf__row_fn each, void *data, hf_error *err) {
    return hf__walk_messages_in(store, conversation_id, NULL, each, data, err);
}

/* ---- Rows -------------------------------------------------------------------------------------- */

hf_text hf__row_text(const hf__value *row, const char *key) {
    const hf__value *value = hf__value_get(row, key);
    return value != NULL && value->type == HF__TEXT ? value->is.text : (hf_text){NULL, 0};
}

int64_t hf__row_integer(const hf__value *row, const char *key) {
    const hf__value *value = hf__value_get(row, key);
    return value != NULL && value->type == HF__INT ? value->is.integer : 0;
}

const hf__value *hf__row_chat(const hf__value *row) {
    const hf__value *metadata = hf__value_get(row, "metadata");
    const hf__value *chat = metadata != NULL ? hf__value_get(metadata, "chat") : NULL;
    return chat != NULL && chat->type == HF__MAP ? chat : NULL;
}
