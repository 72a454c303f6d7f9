/*
 * Lines for the disk view that wait for the commit. What becomes of them with the marks of a transaction is
 * decided here, how a line looks and where it goes in the room `view`.
 */
#include "store/outbox.h"

#include "base/arena.h"
#include "base/error.h"
#include "store/ops.h"
#include "view/view.h"

struct hf__letter {
    struct hf__letter *older;
    hf_result row; /* the conversation, and a copy of the message */
    int64_t created_at;
    unsigned mark; /* how many marks were open: an undo of the last of them takes it back */
};

static void discard(struct hf__letter *letter) {
    hf_result_free(&letter->row);
    hf__free(letter);
}

static int fill(hf__store *store, struct hf__letter *letter, const hf_message *message, hf_error *err) {
    hf_result *row = &letter->row;
    int code = hf__find_conversation(store, message->conversation_id, row, err);
    if (code != HF_OK) return code;
    row->message = hf__copy_message(row, message);
    return row->message != NULL ? HF_OK : hf__fail_memory(err);
}

static void log_failure(hf__store *store, hf_error *why) {
    hf__error_prefix(why, "disk view: ");
    hf__host_log(store->options.host, HF_WARN, "", why->message, (hf_text){NULL, 0});
}

int hf__outbox_add(hf__store *store, const hf_message *message, int64_t created_at, hf_error *err) {
    struct hf__letter *letter = hf__alloc_zero(sizeof *letter);
    if (letter == NULL) return hf__fail_memory(err);
    hf_error why = {0};
    int code = fill(store, letter, message, &why);
    if (code != HF_OK) discard(letter);
    if (code == HF_CORRUPT) { /* a line that cannot be written is no matter of the op's */
        log_failure(store, &why);
        return HF_OK;
    }
    if (code != HF_OK && err != NULL) *err = why;
    if (code != HF_OK) return code;
    letter->created_at = created_at > 0 ? created_at : letter->row.conversation->created_at;
    letter->mark = store->outbox.marks;
    letter->older = store->outbox.newest;
    store->outbox.newest = letter;
    return HF_OK;
}

void hf__outbox_mark(hf__outbox *outbox) {
    outbox->marks++;
}

void hf__outbox_release(hf__outbox *outbox) {
    if (outbox->marks > 0) outbox->marks--;
    for (struct hf__letter *letter = outbox->newest; letter != NULL && letter->mark > outbox->marks;
         letter = letter->older)
        letter->mark = outbox->marks;
}

void hf__outbox_undo(hf__outbox *outbox) {
    while (outbox->newest != NULL && outbox->newest->mark >= outbox->marks && outbox->marks > 0) {
        struct hf__letter *letter = outbox->newest;
        outbox->newest = letter->older;
        discard(letter);
    }
    if (outbox->marks > 0) outbox->marks--;
}

void hf__outbox_send(hf__store *store) {
    struct hf__letter *oldest = NULL;
    for (struct hf__letter *letter = store->outbox.newest; letter != NULL;) {
        struct hf__letter *older = letter->older;
        letter->older = oldest;
        oldest = letter;
        letter = older;
    }
    store->outbox = (hf__outbox){0};
    while (oldest != NULL) {
        struct hf__letter *letter = oldest;
        hf_error why = {0};
        oldest = letter->older;
        if (hf__view_add(store->options.view_dir, letter->row.conversation, letter->created_at,
                         letter->row.message, &why) != HF_OK)
            log_failure(store, &why);
        discard(letter);
    }
}

void hf__outbox_clear(hf__outbox *outbox) {
    while (outbox->newest != NULL) {
        struct hf__letter *letter = outbox->newest;
        outbox->newest = letter->older;
        discard(letter);
    }
    outbox->marks = 0;
}
