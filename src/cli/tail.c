/*
 * `holdfast tail`: what a message has got so far, and with --follow what it gets. It asks the store by the op `read`,
 * ten times a second: a change that is not there costs a look at two rows. A writer that died is found by opening the
 * store anew, now and then: that is what makes its messages interrupted.
 *
 * Deltas are gone once a message is final. So all of them are kept, those that --after leaves out as well: the final
 * content then shows whether it goes on from there.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "base/flat.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"

enum { WAIT_MS = 100, WAITS_PER_OPENING = 10 };

struct tail {
    const hf__cli *cli;
    hf_store *store;
    hf_text id;
    hf__buf text; /* of the deltas through `seq` */
    int64_t seq;
    hf_state state;
    bool all_read; /* `text` begins with the first delta */
    bool newline;  /* what was printed last is one */
    int waits;     /* since the store was opened, or brought something */
    int status;
};

static volatile sig_atomic_t caught;

static void catch (int number) {
    caught = number;
}

static void catch_signals(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = catch};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &action, NULL);
}

static bool is_settled(hf_state state) {
    return state != HF_STATE_RESERVED && state != HF_STATE_STREAMING;
}

/* ---- Printing ---------------------------------------------------------------------------------- */

static void print_text(struct tail *tail, hf_text text) {
    if (text.size == 0) return;
    tail->newline = text.data[text.size - 1] == '\n';
    hf__out_text(text);
}

static void print_delta(struct tail *tail, const hf_delta *delta) {
    hf__buf line;
    if (!tail->cli->json) {
        print_text(tail, delta->delta);
        return;
    }
    hf__buf_init(&line, 0);
    hf__buf_string(&line, "{\"seq\":");
    hf__json_write_int(&line, delta->seq);
    hf__buf_string(&line, ",\"delta\":");
    hf__json_write_text(&line, delta->delta);
    hf__buf_char(&line, '}');
    hf__out_escaped(hf__buf_view(&line));
    hf__buf_free(&line);
}

/* The last line with --json; `content` is absent for a message that is not final. */
static void print_state(const struct tail *tail, hf_text content) {
    hf__buf line;
    hf__buf_init(&line, 0);
    hf__buf_string(&line, "{\"state\":");
    hf__json_write_text(&line, hf_text_of(hf__out_state(tail->state)));
    hf__buf_string(&line, ",\"seq\":");
    hf__json_write_int(&line, tail->seq);
    if (content.data != NULL) {
        hf__buf_string(&line, ",\"content\":");
        hf__json_write_text(&line, content);
    }
    hf__buf_char(&line, '}');
    hf__out_escaped(hf__buf_view(&line));
    hf__buf_free(&line);
}

/* ---- The final content ------------------------------------------------------------------------- */

/* Prints what of the content is new, or says why that cannot be known. */
static void print_rest(struct tail *tail, hf_text content) {
    const hf__buf *text = &tail->text;
    if (!tail->all_read) {
        hf__out_note("%s is final and has no deltas any more: what came after seq %" PRId64
                     " cannot be told, and nothing was printed; without --after its content is",
                     tail->id.data, tail->cli->after);
        tail->status = HF__EXIT_FAILED;
    } else if (content.size >= text->size &&
               (text->size == 0 || memcmp(content.data, text->data, text->size) == 0)) {
        print_text(tail, (hf_text){content.data + text->size, content.size - text->size});
    } else {
        hf__out_note("%s is final, and its content is another than what was printed: print it anew",
                     tail->id.data);
        tail->status = HF__EXIT_FAILED;
    }
}

/* The text of a content: deltas are text, whatever blocks the host made of them in the end. */
static void print_text_of(struct tail *tail, hf_text content) {
    hf_error err;
    hf__arena arena = {0};
    hf_text text;
    if (hf__flat_text(&arena, content, &text, &err) == HF_OK) {
        print_rest(tail, text);
    } else {
        hf__out_note("%s", err.message);
        tail->status = HF__EXIT_FAILED;
    }
    hf__arena_free(&arena);
}

static void print_final(struct tail *tail) {
    hf_error err;
    hf_result result = {0};
    const hf_op get = {.op = "get", .message_id = tail->id};
    int code = hf_exec(tail->store, &get, &result, &err);
    if (code != HF_OK || result.message == NULL) {
        hf__out_note("%s: %s", tail->cli->store, code != HF_OK ? err.message : "the message was deleted");
        tail->status = HF__EXIT_FAILED;
    } else if (tail->cli->json) {
        print_state(tail, result.message->content);
    } else {
        print_text_of(tail, result.message->content);
    }
    hf_result_free(&result);
}

/* ---- Looking ----------------------------------------------------------------------------------- */

static void take(struct tail *tail, const hf_result *result) {
    for (size_t i = 0; i < result->deltas_count; i++) {
        const hf_delta *delta = &result->deltas[i];
        hf__buf_text(&tail->text, delta->delta);
        if (delta->seq > tail->cli->after) print_delta(tail, delta);
        tail->waits = 0;
    }
    if (tail->state == HF_STATE_ABSENT)
        tail->all_read = tail->cli->after == 0 || result->state != HF_STATE_FINAL;
    tail->state = result->state;
    tail->seq = result->seq;
}

/* Asks once, and prints what is new; whether that worked. A store that is busy has nothing new. */
static bool look(struct tail *tail) {
    hf_error err;
    hf_result result = {0};
    const hf_op read = {.op = "read", .message_id = tail->id, .after_seq = tail->seq};
    int code = hf_exec(tail->store, &read, &result, &err);
    if (code == HF_OK) {
        take(tail, &result);
        code = hf__buf_check(&tail->text, "the text", &err);
    } else if (code == HF_BUSY && tail->state != HF_STATE_ABSENT) {
        code = HF_OK;
    }
    hf_result_free(&result);
    if (code == HF_OK) return hf__out_flush() == 0;
    hf__out_note("%s: %s", tail->cli->store, err.message);
    return false;
}

/* Waits until it is time to look again; whether it is. */
static bool await(struct tail *tail) {
    if (caught != 0 || !hf__out_wait(WAIT_MS) || caught != 0) return false;
    if (++tail->waits < WAITS_PER_OPENING) return true;
    tail->waits = 0;
    hf_close(tail->store);
    tail->store = NULL;
    tail->status = hf__cli_open(tail->cli, false, &tail->store);
    return tail->status == HF__EXIT_OK;
}

static void tail_message(struct tail *tail) {
    bool good = look(tail);
    while (good && tail->cli->follow && !is_settled(tail->state))
        good = await(tail) && look(tail);
    if (!good) {
        if (tail->status == HF__EXIT_OK) tail->status = HF__EXIT_FAILED;
    } else if (tail->state == HF_STATE_FINAL) {
        print_final(tail);
    } else if (tail->cli->json) {
        print_state(tail, (hf_text){NULL, 0});
    }
    if (!tail->newline && hf__out_terminal()) hf__out_text(hf_text_of("\n"));
    hf__out_flush();
    if (tail->state != HF_STATE_ABSENT && !tail->cli->json)
        hf__out_note("%s: %s, seq %" PRId64, tail->id.data, hf__out_state(tail->state), tail->seq);
}

int hf__cli_tail(const hf__cli *cli) {
    struct tail tail = {.cli = cli, .id = hf_text_of(cli->args[0]), .newline = true};
    int status = hf__cli_open(cli, false, &tail.store);
    if (status != HF__EXIT_OK) return status;
    hf__buf_init(&tail.text, 0);
    if (cli->follow) catch_signals();
    tail_message(&tail);
    hf__buf_free(&tail.text);
    hf_close(tail.store);
    if (caught != 0) { /* ends as it would have, but tidily */
        signal(caught, SIG_DFL);
        raise(caught);
    }
    return tail.status;
}
