/*
 * `holdfast import`: chat histories, one dialog a line, into a store. A dialog is one batch, so that it is
 * stored as a whole or not at all and each of its ops passes the layers. Ids follow from the dialog, which
 * is why importing again finds everything there, and what is there and fits is left as it is; a dialog that
 * does not fit what is stored is reported and left out. What a dialog looks like is chat.c's.
 */
#define _GNU_SOURCE /* tdestroy */
#include <errno.h>
#include <search.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "cli/chat.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/output.h"

enum { BATCH_MAX = 1000000 }; /* ops of one dialog */

struct job {
    hf_store *store;
    hf__arena ids;                  /* of the dialogs of this run */
    void *seen;                     /* the tree of them */
    hf_text prefix;                 /* of the ids of the messages of the dialog at hand: its id and a colon */
    size_t gap;                     /* the first position of it that was not there, 0 for none */
    bool has_layers;                /* what is stored may rightly differ from what came in */
    bool hopeless;                  /* the disk or another process is in the way: no use to go on */
    size_t conversations, messages; /* new ones */
    size_t known_conversations, known_messages; /* those that were there already */
    size_t failed;                              /* lines that were left out */
};

/* ---- A dialog as ops --------------------------------------------------------------------------- */

struct dialog {
    hf__arena arena;
    hf_op *ops; /* createConversation, then an `add` for each message */
    size_t count;
};

static int read_dialog(hf_text line, struct dialog *out, hf_error *err) {
    const hf__value *value, *messages;
    hf_op create;
    int code = hf__json_parse(&out->arena, line, HF__CLI_DEPTH, &value, err);
    if (code == HF_OK) code = hf__chat_read_dialog(&out->arena, value, &create, &messages, err);
    if (code != HF_OK) return code;
    if (messages->is.items.count >= BATCH_MAX)
        return hf__fail(err, HF_INVALID, "field \"messages\": expected at most %d messages, found %zu",
                        BATCH_MAX - 1, messages->is.items.count);
    out->ops = hf__arena_array(&out->arena, messages->is.items.count + 1, sizeof *out->ops);
    if (out->ops == NULL) return hf__fail_memory(err);
    out->ops[out->count++] = create;
    const hf__value *message = messages->is.items.first;
    for (; message != NULL && code == HF_OK; message = message->next, out->count++) {
        code = hf__chat_read_message(&out->arena, message, create.conversation_id, out->count,
                                     &out->ops[out->count], err);
        if (code != HF_OK) hf__error_prefix(err, "message %zu: ", out->count);
    }
    return code;
}

/* ---- What is there already --------------------------------------------------------------------- */

static bool same_text(hf_text a, hf_text b) {
    if (a.data == NULL || b.data == NULL) return a.data == b.data;
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static int differs(hf_error *err, const char *what, const char *key, const char *where) {
    return hf__fail(err, HF_CONFLICT, "%s%s%s%s differs from what is stored, which is left as it is", what,
                    key, key[0] != '\0' ? "\"" : "", where);
}

static int compare_conversation(hf__arena *arena, const hf_op *create, const hf_conversation *stored,
                                hf_error *err) {
    if (!same_text(stored->title, create->title)) return differs(err, "the title", "", "");
    hf_text key = hf__chat_difference(arena, create, stored->metadata);
    return key.data != NULL ? differs(err, "the key \"", key.data, " of the dialog") : HF_OK;
}

static int compare_message(hf__arena *arena, const hf_op *add, const hf_message *stored, hf_error *err) {
    if (!same_text(stored->role, add->role)) return differs(err, "role", "", "");
    if (!same_text(stored->content, add->content)) return differs(err, "content", "", "");
    if (!same_text(stored->conversation_id, add->conversation_id))
        return differs(err, "conversation", "", "");
    hf_text key = hf__chat_difference(arena, add, stored->metadata);
    return key.data != NULL ? differs(err, "the key \"", key.data, "") : HF_OK;
}

static int get(struct job *job, hf_text message_id, hf_result *result, hf_error *err) {
    const hf_op op = {.op = "get", .message_id = message_id};
    return hf_exec(job->store, &op, result, err);
}

/* Finds whether the conversation is there. Fails with HF_CONFLICT where what is stored goes on beyond the
 * dialog, or differs from it; layers may have meant it to differ, so with layers that is not compared. */
static int compare(struct job *job, struct dialog *dialog, bool *exists, hf_error *err) {
    const hf_op *ops = dialog->ops;
    const hf_op find = {.op = "getConversation", .conversation_id = ops->conversation_id};
    hf_result result = {0};
    hf_text next;
    int code = hf_exec(job->store, &find, &result, err);
    *exists = code == HF_OK && result.conversation != NULL;
    if (!*exists) return code;
    if (!job->has_layers) code = compare_conversation(&dialog->arena, ops, result.conversation, err);
    for (size_t i = 1; i < dialog->count && !job->has_layers && code == HF_OK; i++) {
        code = get(job, ops[i].message_id, &result, err);
        if (code == HF_OK && result.message != NULL)
            code = compare_message(&dialog->arena, &ops[i], result.message, err);
        if (code != HF_OK) hf__error_prefix(err, "message %zu: ", i);
    }
    if (code == HF_OK)
        code = hf__chat_make_id(&dialog->arena, ops->conversation_id, dialog->count, &next, err);
    if (code == HF_OK) code = get(job, next, &result, err);
    if (code == HF_OK && result.message != NULL)
        code = hf__fail(err, HF_CONFLICT, "what is stored goes on beyond message %zu, and is left as it is",
                        dialog->count - 1);
    hf_result_free(&result);
    return code;
}

/* ---- Storing ----------------------------------------------------------------------------------- */

/* The position that the id of a message tells, 0 where it is not one of the dialog at hand. */
static size_t position_of(const struct job *job, hf_text id) {
    size_t position = 0;
    if (id.size <= job->prefix.size || memcmp(id.data, job->prefix.data, job->prefix.size) != 0) return 0;
    for (size_t i = job->prefix.size; i < id.size; i++) {
        if (id.data[i] < '0' || id.data[i] > '9') return 0;
        position = position * 10 + (size_t)(id.data[i] - '0');
    }
    return position;
}

/* The innermost layer: sees what the store makes of each message, and refuses the dialog where one that is
 * missing was put behind one that is there. */
static int keep_order(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    struct job *job = hf_layer_data(layer);
    int code = hf_next(layer, op, result, err);
    size_t position = code == HF_OK ? position_of(job, result->message->id) : 0;
    if (position == 0) return code;
    if (!result->deduplicated && job->gap == 0) job->gap = position;
    if (!result->deduplicated || job->gap == 0 || position < job->gap) return HF_OK;
    char text[128];
    snprintf(text, sizeof text, "message %zu is gone, and this one is there: what is stored is left as it is",
             job->gap);
    return hf_layer_reject(layer, "conflict", text, err);
}

static int store_dialog(struct job *job, const struct dialog *dialog, hf_error *err) {
    const hf_op batch = {.op = "batch", .ops = dialog->ops, .ops_count = dialog->count};
    hf_result result = {0};
    job->gap = 0;
    job->prefix = (hf_text){"", 0};
    if (dialog->count > 1) {
        hf_text id = dialog->ops[1].message_id;
        job->prefix = (hf_text){id.data, (size_t)(strrchr(id.data, ':') + 1 - id.data)};
    }
    int code = hf_exec(job->store, &batch, &result, err);
    size_t failed;
    if (code != HF_OK && hf__cli_batch_index(err, &failed) && failed > 0)
        hf__error_prefix(err, "message %zu: ", failed);
    for (size_t i = 1; i < result.results_count; i++) {
        if (result.results[i].deduplicated)
            job->known_messages++;
        else
            job->messages++;
    }
    hf_result_free(&result);
    return code;
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static void keep(void *id) {
    (void)id; /* the arena's */
}

/* Two dialogs with one id would become one. */
static int check_id(struct job *job, hf_text id, hf_error *err) {
    hf_text copy = hf__arena_text(&job->ids, id);
    char *const *node = copy.data != NULL ? tsearch(copy.data, &job->seen, by_text) : NULL;
    if (node == NULL) return hf__fail_memory(err);
    return *node == copy.data ? HF_OK : hf__fail(err, HF_CONFLICT, "an earlier line of this run has that id");
}

static int import_line(struct job *job, hf_text line, struct dialog *dialog, hf_error *err) {
    bool exists = false;
    int code = hf__lines_check_object(line, err);
    if (code == HF_OK) code = read_dialog(line, dialog, err);
    if (code == HF_OK) code = check_id(job, dialog->ops->conversation_id, err);
    if (code == HF_OK) code = compare(job, dialog, &exists, err);
    if (code == HF_OK) code = store_dialog(job, dialog, err);
    if (code != HF_OK) return code;
    if (exists)
        job->known_conversations++;
    else
        job->conversations++;
    hf__out_progress("%zu conversations, %zu messages", job->conversations + job->known_conversations,
                     job->messages + job->known_messages);
    return HF_OK;
}

static void import_file(struct job *job, const char *path) {
    hf__lines lines;
    hf_text line;
    hf_error err;
    if (hf__lines_open(&lines, path) != 0) {
        hf__out_note("%s: %s", path, strerror(errno));
        job->failed++;
        return;
    }
    while (!job->hopeless && hf__lines_next(&lines, &line, &err)) {
        struct dialog dialog = {0};
        int code = err.code;
        if (code == HF_OK) {
            code = import_line(job, line, &dialog, &err);
            job->hopeless = code >= HF_BUSY && code <= HF_UNKNOWN;
        }
        if (code != HF_OK) {
            long long number = lines.number;
            if (dialog.count > 0)
                hf__out_note("%s:%lld: dialog \"%s\": %s", lines.name, number,
                             dialog.ops[0].conversation_id.data, err.message);
            else
                hf__out_note("%s:%lld: %s", lines.name, number, err.message);
            job->failed++;
        }
        hf__arena_free(&dialog.arena);
    }
    hf__lines_close(&lines);
}

static const char *plural(size_t count) {
    return count == 1 ? "" : "s";
}

static void print_summary(const struct job *job) {
    char known[128] = "", failed[64] = "";
    if (job->known_conversations > 0)
        snprintf(known, sizeof known, "; already there: %zu conversation%s, %zu message%s",
                 job->known_conversations, plural(job->known_conversations), job->known_messages,
                 plural(job->known_messages));
    if (job->failed > 0)
        snprintf(failed, sizeof failed, "; not imported: %zu line%s", job->failed, plural(job->failed));
    hf__out_progress_end();
    hf__out_note("imported %zu conversation%s, %zu message%s%s%s", job->conversations,
                 plural(job->conversations), job->messages, plural(job->messages), known, failed);
    if (job->hopeless) hf__out_note("the rest was not read: to go on, import again");
}

int hf__cli_import(const hf__cli *cli) {
    static const char *const ops[] = {"add", NULL};
    struct job job = {.has_layers = cli->uses_count > 0};
    const hf_layer_options order = {.size = sizeof order, .name = "import-order", .ops = ops, .data = &job};
    hf__cli with = *cli;
    hf_error err;
    with.max_batch = BATCH_MAX;
    int status = hf__cli_check_files(cli);
    if (status == HF__EXIT_OK) status = hf__cli_open(&with, true, &job.store);
    if (status != HF__EXIT_OK) return status;
    if (hf_use_function(job.store, &order, keep_order, &err) != HF_OK) {
        hf__out_note("%s", err.message);
        hf_close(job.store);
        return HF__EXIT_STORE;
    }
    for (size_t i = 0; i < cli->args_count && !job.hopeless; i++)
        import_file(&job, cli->args[i]);
    print_summary(&job);
    tdestroy(job.seen, keep);
    hf__arena_free(&job.ids);
    hf_close(job.store);
    return job.failed > 0 ? HF__EXIT_FAILED : HF__EXIT_OK;
}
