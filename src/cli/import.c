/*
 * `holdfast import`: chat histories, one dialog a line, into a store. A dialog is one batch, so that it is
 * stored as a whole or not at all and each of its ops passes the layers. Ids follow from the dialog, which
 * is why importing again finds everything there. What a dialog looks like is chat.c's.
 */
#include <errno.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "cli/chat.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/output.h"

struct job {
    hf_store *store;
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

/* metadata.chat of a JSON text that may be absent; NULL where there is none. */
static const hf__value *chat_of(hf__arena *arena, hf_text metadata) {
    const hf__value *value;
    if (metadata.data == NULL || hf__json_parse(arena, metadata, HF__CLI_DEPTH, &value, NULL) != HF_OK)
        return NULL;
    return hf__value_get(value, "chat");
}

/* Whether two metadata agree in what import writes; the rest is not its own. */
static bool same_chat(hf_text a, hf_text b) {
    if (same_text(a, b)) return true;
    hf__arena arena = {0};
    const hf__value *one = chat_of(&arena, a), *other = chat_of(&arena, b);
    bool same = one == NULL || other == NULL ? one == other : hf__value_equal(one, other);
    hf__arena_free(&arena);
    return same;
}

/* Finds whether the conversation is there. Fails with HF_CONFLICT where what is stored differs from the
 * dialog; layers may have meant it to, so with layers nothing is compared. */
static int compare(const struct job *job, const struct dialog *dialog, bool *exists, hf_error *err) {
    const hf_op *create = &dialog->ops[0];
    const hf_op find = {.op = "getConversation", .conversation_id = create->conversation_id};
    hf_result result = {0};
    int code = hf_exec(job->store, &find, &result, err);
    *exists = code == HF_OK && result.conversation != NULL;
    const char *differs = NULL;
    if (*exists && !job->has_layers) {
        if (!same_text(result.conversation->title, create->title)) differs = "the title";
        if (!same_chat(result.conversation->metadata, create->metadata)) differs = "a key of the dialog";
        if (differs != NULL)
            code =
                hf__fail(err, HF_CONFLICT, "%s differs from what is stored, which is left as it is", differs);
    }
    for (size_t i = 1; i < dialog->count && *exists && !job->has_layers && code == HF_OK; i++) {
        const hf_op *add = &dialog->ops[i];
        const hf_op get = {.op = "get", .message_id = add->message_id};
        code = hf_exec(job->store, &get, &result, err);
        const hf_message *stored = code == HF_OK ? result.message : NULL;
        if (stored == NULL) continue;
        if (!same_text(stored->conversation_id, add->conversation_id)) differs = "conversation";
        if (!same_chat(stored->metadata, add->metadata)) differs = "another key";
        if (!same_text(stored->content, add->content)) differs = "content";
        if (!same_text(stored->role, add->role)) differs = "role";
        if (differs != NULL)
            code =
                hf__fail(err, HF_CONFLICT,
                         "message %zu: %s differs from what is stored, which is left as it is", i, differs);
    }
    hf_result_free(&result);
    return code;
}

/* ---- Storing ----------------------------------------------------------------------------------- */

/* Stores the dialog: in one batch, unless it is longer than a batch may be. */
static int store_dialog(struct job *job, const struct dialog *dialog, hf_error *err) {
    hf_result result = {0};
    int code = HF_OK;
    for (size_t begin = 0, count; begin < dialog->count && code == HF_OK; begin += count) {
        count = dialog->count - begin < HF__CLI_BATCH ? dialog->count - begin : HF__CLI_BATCH;
        const hf_op batch = {.op = "batch", .ops = dialog->ops + begin, .ops_count = count};
        code = hf_exec(job->store, &batch, &result, err);
        size_t failed;
        if (code != HF_OK && hf__cli_batch_index(err, &failed) && begin + failed > 0)
            hf__error_prefix(err, "message %zu: ", begin + failed);
        for (size_t i = begin == 0 ? 1 : 0; i < result.results_count; i++) {
            if (result.results[i].deduplicated)
                job->known_messages++;
            else
                job->messages++;
        }
    }
    hf_result_free(&result);
    return code;
}

static int import_line(struct job *job, hf_text line, struct dialog *dialog, hf_error *err) {
    bool exists = false;
    int code = read_dialog(line, dialog, err);
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
    struct job job = {.has_layers = cli->uses_count > 0};
    int status = hf__cli_check_files(cli);
    if (status == HF__EXIT_OK) status = hf__cli_open(cli, true, &job.store);
    if (status != HF__EXIT_OK) return status;
    for (size_t i = 0; i < cli->args_count && !job.hopeless; i++)
        import_file(&job, cli->args[i]);
    print_summary(&job);
    hf_close(job.store);
    return job.failed > 0 ? HF__EXIT_FAILED : HF__EXIT_OK;
}
