/*
 * The disk view written anew from what the store holds, one row in memory at a time. Files and folders are left
 * to the room `view`.
 */
#include "op/transaction.h"
#include "store/ops.h"
#include "view/view.h"

#include "base/error.h"

/* The conversation behind `position`, as result->conversation; none at the end. */
static int next_conversation(hf__store *store, int64_t *position, hf_result *result, hf_error *err) {
    hf_text id = {NULL, 0};
    hf__query query = hf__query_start(store, HF__SQL_CONVERSATION_NEXT, err);
    hf__bind_int(&query, *position);
    if (hf__query_row(&query)) {
        *position = hf__read_int(&query);
        id = hf__read_text(&query, result);
    }
    int code = hf__query_end(&query);
    return code == HF_OK && id.data != NULL ? hf__find_conversation(store, id, result, err) : code;
}

static int write_messages(hf__store *store, hf__view_rebuild *rebuild, hf_text conversation_id,
                          hf_error *err) {
    hf__query query = hf__query_start(store, HF__SQL_MESSAGES_FORWARD, err);
    hf__bind_text(&query, conversation_id);
    hf__bind_int(&query, INT64_MIN);
    hf__bind_int(&query, INT64_MAX);
    while (hf__query_row(&query)) {
        hf_result row = {0};
        hf_message message = {.conversation_id = conversation_id};
        hf_state state = hf__read_state(&query, (hf_text){NULL, 0});
        if (state != HF_STATE_FINAL) continue;
        hf__read_message(&query, state, &row, &message);
        int code = query.code == HF_OK ? hf__view_rebuild_line(rebuild, &message, err) : HF_OK;
        if (code != HF_OK) hf__query_fail(&query, code);
        hf_result_free(&row);
    }
    return hf__query_end(&query);
}

/* Writes the next conversation; `more` is cleared where there is none. It holds the write lock meanwhile, so that
 * no line is added to a file that is about to be replaced. */
static int write_next(const hf_terminal *terminal, hf__view_rebuild *rebuild, int64_t *position, bool *more,
                      hf_error *err) {
    hf__transaction txn = {.terminal = terminal, .wants_write = true};
    hf_result row = {0};
    int code = hf__transaction_begin(&txn, err);
    if (code == HF_OK) code = next_conversation(terminal->data, position, &row, err);
    *more = row.conversation != NULL;
    if (code == HF_OK && *more) {
        code = hf__view_rebuild_begin(rebuild, row.conversation, err);
        if (code == HF_OK) code = write_messages(terminal->data, rebuild, row.conversation->id, err);
        if (code == HF_OK) code = hf__view_rebuild_end(rebuild, err);
    }
    hf__transaction_rollback(&txn);
    hf_result_free(&row);
    return code;
}

int hf__store_rebuild_view(const hf_terminal *terminal, int64_t *conversations, hf_error *err) {
    const hf__store *store = terminal->data;
    hf__view_rebuild *rebuild;
    int64_t position = INT64_MIN;
    bool more = true;
    if (store->options.view_dir == NULL)
        return hf__fail(err, HF_MISUSE, "the store has no disk view: hf_options.view_dir is not set");
    int code = hf__view_rebuild_open(store->options.view_dir, &rebuild, err);
    while (code == HF_OK && more)
        code = write_next(terminal, rebuild, &position, &more, err);
    if (code == HF_OK) code = hf__view_rebuild_finish(rebuild, err);
    if (code == HF_OK) *conversations = hf__view_rebuild_count(rebuild);
    hf__view_rebuild_close(rebuild);
    return code;
}
