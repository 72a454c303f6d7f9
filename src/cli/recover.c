/*
 * `holdfast recover`: the messages that were being written when their writer died, and a way to settle them. Opening
 * the store is what makes them interrupted; here they are found by `list` and `get`, and settled by `updateContent` and
 * `abort`, through the layers. Whoever else settles one at the same time comes first: a layer of its own, at the inner
 * end of the chain, sees that it is still interrupted.
 */
#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/walk.h"

struct id {
    hf_text text;
    struct id *next;
};

struct job {
    const hf__cli *cli;
    hf_store *store;
    hf__arena arena; /* of the ids */
    struct id *first, **end;
    bool no_memory, failed, broken;
    hf_error *err;
    int code; /* of a walk within a walk */
};

/* ---- Finding them ------------------------------------------------------------------------------ */

static bool collect_message(void *data, const hf__value *row) {
    struct job *job = data;
    struct id *id = hf__arena_alloc(&job->arena, sizeof *id);
    if (id != NULL) id->text = hf__arena_text(&job->arena, hf__row_text(row, "id"));
    job->no_memory = id == NULL || id->text.data == NULL;
    if (job->no_memory) return false;
    *job->end = id;
    job->end = &id->next;
    return true;
}

/* A conversation that was deleted meanwhile has nothing to recover. */
static bool collect_conversation(void *data, const hf__value *row) {
    struct job *job = data;
    hf_text id = hf__row_text(row, "id");
    job->code = hf__walk_messages_in(job->store, id, "[\"interrupted\"]", collect_message, job, job->err);
    if (job->code == HF_NOT_FOUND) job->code = HF_OK;
    return job->code == HF_OK && !job->no_memory;
}

static int find_all(struct job *job) {
    int code = hf__walk_conversations(job->store, collect_conversation, job, job->err);
    if (code == HF_OK) code = job->code;
    return code == HF_OK && job->no_memory ? hf__fail_memory(job->err) : code;
}

/* ---- One of them ------------------------------------------------------------------------------- */

/* A layer: a message that is no longer interrupted is somebody else's. */
static int keep_interrupted(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    hf_result found = {0};
    const hf_op get = {.op = "get", .message_id = op->message_id};
    int code = hf_layer_exec(layer, &get, &found, err);
    bool still = code == HF_OK && found.message != NULL && found.message->state == HF_STATE_INTERRUPTED;
    hf_result_free(&found);
    if (code != HF_OK) return code;
    return still ? hf_next(layer, op, result, err)
                 : hf_layer_reject(layer, "conflict", "the message is not interrupted any more", err);
}

/* The last seq of a message, without its deltas. */
static int find_seq(hf_store *store, hf_text id, int64_t *seq, hf_error *err) {
    hf_result result = {0};
    const hf_op read = {.op = "read", .message_id = id, .after_seq = INT64_MAX};
    int code = hf_exec(store, &read, &result, err);
    *seq = result.seq;
    hf_result_free(&result);
    return code;
}

/* What becomes of a message: one that never got a delta has nothing to be final with. */
static hf_state fate_of(const hf__cli *cli, int64_t seq) {
    if (cli->final && seq > 0) return HF_STATE_FINAL;
    return cli->final || cli->abort ? HF_STATE_ABORTED : HF_STATE_INTERRUPTED;
}

static int settle(const struct job *job, const hf_message *message, hf_state fate) {
    const hf_op final = {.op = "updateContent", .message_id = message->id, .content = message->content};
    const hf_op abort = {.op = "abort", .message_id = message->id};
    if (fate == HF_STATE_INTERRUPTED) return HF_OK;
    return hf_exec(job->store, fate == HF_STATE_FINAL ? &final : &abort, NULL, job->err);
}

/* Each field by its key, or as a column. */
static void put_key(hf__buf *line, const hf__cli *cli, const char *key) {
    bool first = line->size == 0;
    if (!cli->json && !first) hf__buf_char(line, '\t');
    if (!cli->json) return;
    hf__buf_char(line, first ? '{' : ',');
    hf__json_write_text(line, hf_text_of(key));
    hf__buf_char(line, ':');
}

static void put_text(hf__buf *line, const hf__cli *cli, const char *key, hf_text text) {
    put_key(line, cli, key);
    if (cli->json)
        hf__json_write_text(line, text);
    else
        hf__out_escape(line, text, false, "");
}

static void put_number(hf__buf *line, const hf__cli *cli, const char *key, int64_t number) {
    put_key(line, cli, key);
    hf__json_write_int(line, number);
}

static void print_message(struct job *job, const hf_message *message, int64_t seq) {
    const hf__cli *cli = job->cli;
    const char *state = hf__out_state(fate_of(cli, seq));
    char time[HF__TIME_SIZE];
    hf__buf line;
    hf__buf_init(&line, 0);
    put_text(&line, cli, "id", message->id);
    put_text(&line, cli, "conversationId", message->conversation_id);
    put_text(&line, cli, "role", message->role);
    put_number(&line, cli, "bytes", seq > 0 ? (int64_t)message->content.size : 0); /* else a placeholder's */
    put_number(&line, cli, "seq", seq);
    hf__out_time(message->created_at, time);
    if (cli->json)
        put_number(&line, cli, "createdAt", message->created_at);
    else
        put_text(&line, cli, "createdAt", hf_text_of(time));
    put_text(&line, cli, "state", hf_text_of(state));
    if (cli->json) hf__buf_char(&line, '}');
    job->broken = hf__out_escaped(hf__buf_view(&line)) != 0;
    hf__buf_free(&line);
}

static void say(struct job *job, hf_text id, const char *what) {
    hf__out_note("%s: %s", id.data, what);
    job->failed = true;
}

static void recover(struct job *job, hf_text id) {
    hf_result result = {0};
    int64_t seq = 0;
    const hf_op get = {.op = "get", .message_id = id};
    int code = hf_exec(job->store, &get, &result, job->err);
    const hf_message *message = result.message;
    if (code == HF_OK) code = message != NULL ? find_seq(job->store, id, &seq, job->err) : HF_OK;
    if (code == HF_OK && message == NULL) {
        say(job, id, "there is no such message");
    } else if (code == HF_OK && message->state != HF_STATE_INTERRUPTED) {
        hf__out_note("%s: it is %s: expected an interrupted message", id.data, hf__out_state(message->state));
        job->failed = true;
    } else {
        if (code == HF_OK) code = settle(job, message, fate_of(job->cli, seq));
        if (code == HF_OK)
            print_message(job, message, seq);
        else
            say(job, id, job->err->message);
    }
    hf_result_free(&result);
}

/* ---- The command ------------------------------------------------------------------------------- */

static int use_guard(hf_store *store, hf_error *err) {
    static const char *const ops[] = {"updateContent", "abort", NULL};
    const hf_layer_options guard = {.size = sizeof guard, .name = "recover-guard", .ops = ops};
    return hf_use_function(store, &guard, keep_interrupted, err);
}

int hf__cli_recover(const hf__cli *cli) {
    hf_error err;
    struct job job = {.cli = cli, .err = &err, .end = &job.first};
    int status = hf__cli_open(cli, false, &job.store);
    if (status != HF__EXIT_OK) return status;
    int code = use_guard(job.store, &err);
    if (code == HF_OK && cli->args_count == 0) code = find_all(&job);
    if (code != HF_OK) {
        hf__out_note("%s: %s", cli->store, err.message);
        job.failed = true;
    } else {
        for (size_t i = 0; i < cli->args_count && !job.broken; i++)
            recover(&job, hf_text_of(cli->args[i]));
        for (const struct id *id = job.first; id != NULL && !job.broken; id = id->next)
            recover(&job, id->text);
    }
    hf__arena_free(&job.arena);
    hf_close(job.store);
    return job.failed || job.broken ? HF__EXIT_FAILED : HF__EXIT_OK;
}
