/*
 * `holdfast export`: each conversation as one line in the shape of chat APIs. The lines come in the order
 * of activity, oldest first, so that what was imported comes out in the order of its file.
 */
#include "cli/chat.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/walk.h"

#include "base/error.h"
#include "base/json.h"

/* The conversations in reverse: they are listed newest first. */
struct entry {
    hf_text row; /* its JSON */
    struct entry *next;
};

struct job {
    hf_store *store;
    hf__arena arena; /* of the entries */
    struct entry *entries;
    size_t count, done;
    bool no_memory;
    hf__buf messages; /* of the conversation at hand, as a JSON list */
};

static bool collect_conversation(void *data, const hf__value *row) {
    struct job *job = data;
    struct entry *entry = hf__arena_alloc(&job->arena, sizeof *entry);
    if (entry != NULL) entry->row = hf__arena_text(&job->arena, row->raw);
    job->no_memory = entry == NULL || entry->row.data == NULL;
    if (job->no_memory) return false;
    entry->next = job->entries;
    job->entries = entry;
    job->count++;
    return true;
}

static bool write_message(void *data, const hf__value *row) {
    struct job *job = data;
    hf__buf_char(&job->messages, job->messages.size == 0 ? '[' : ',');
    hf__chat_write_message(&job->messages, row);
    return job->messages.state == HF__BUF_OK;
}

/* Lines stay lines: a newline within JSON is white space. */
static void join_lines(hf__buf *line) {
    for (size_t i = 0; i < line->size; i++)
        if (line->data[i] == '\n' || line->data[i] == '\r') line->data[i] = ' ';
}

/* Prints a conversation, or nothing where it has been deleted meanwhile. `broken` is set where nothing more can be
 * printed. */
static int print_conversation(struct job *job, hf_text row, bool *broken, hf_error *err) {
    const hf__value *conversation;
    hf__arena arena = {0};
    hf__buf line;
    hf__buf_init(&line, 0);
    hf__buf_clear(&job->messages);
    int code = hf__json_parse(&arena, row, HF__CLI_DEPTH, &conversation, err);
    if (code == HF_OK)
        code = hf__walk_messages_in(job->store, hf__row_text(conversation, "id"), "[\"final\"]",
                                    write_message, job, err);
    if (code == HF_OK) {
        hf__buf_string(&job->messages, job->messages.size == 0 ? "[]" : "]");
        hf__chat_write_dialog(&line, conversation, hf__buf_view(&job->messages));
        code = hf__buf_check(&job->messages, "the messages", err);
    }
    if (code == HF_OK) code = hf__buf_check(&line, "the line", err);
    if (code == HF_OK) {
        join_lines(&line);
        *broken = hf__out_escaped(hf__buf_view(&line)) != 0;
    }
    const hf__value *still = NULL;
    hf_error ignored;
    if (code == HF_NOT_FOUND &&
        hf__ask_conversation(job->store, hf__row_text(conversation, "id"), &arena, &still, &ignored) ==
            HF_OK &&
        still == NULL)
        code = HF_OK;
    hf__buf_free(&line);
    hf__arena_free(&arena);
    return code;
}

int hf__cli_export(const hf__cli *cli) {
    hf_error err;
    bool broken = false;
    struct job job = {0};
    int status = hf__cli_open(cli, false, &job.store);
    if (status != HF__EXIT_OK) return status;
    hf__buf_init(&job.messages, 0);
    int code = hf__walk_conversations(job.store, collect_conversation, &job, &err);
    if (code == HF_OK && job.no_memory) code = hf__fail_memory(&err);
    for (struct entry *entry = job.entries; entry != NULL && code == HF_OK && !broken; entry = entry->next) {
        code = print_conversation(&job, entry->row, &broken, &err);
        hf__out_progress("%zu of %zu conversations", ++job.done, job.count);
    }
    hf__out_progress_end();
    if (code != HF_OK) hf__out_note("%s: %s", cli->store, err.message);
    hf__buf_free(&job.messages);
    hf__arena_free(&job.arena);
    hf_close(job.store);
    return code == HF_OK && !broken ? HF__EXIT_OK : HF__EXIT_FAILED;
}
