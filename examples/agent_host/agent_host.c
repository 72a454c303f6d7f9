/*
 * An agent's host, with recorded streams in place of a provider:
 *
 *     agent_host STORE STREAM_FILE... [--use LAYER]... [--conversation ID]
 *
 * For each file it stores a user message, then reads the file's chunks as if they came over the wire. The
 * assistant message is reserved before its first token, so each server-sent event on standard output bears
 * the id under which the message can be found ever after. When the response is complete, its blocks take
 * the reserved message's place, in one op. At the end the stored conversation is printed.
 *
 * What the chunks mean is in providers.c; how blocks grow, in reply.c.
 */
#define _POSIX_C_SOURCE 200809L /* getline */

#include "providers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_OP_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_STORE = 3 };

static const char usage[] =
    "usage: agent_host STORE STREAM_FILE... [--use LAYER]... [--conversation ID]\n"
    "\n"
    "Plays recorded provider streams, one JSON chunk a line, into a Holdfast store: Anthropic's messages,\n"
    "OpenAI's chat completions and OpenAI's responses.\n"
    "\n"
    "  --use LAYER         a middleware file, or the name of a stock one; the first is the outermost\n"
    "  --conversation ID   the conversation to write to (default: demo)\n"
    "\n"
    "Exit status: 0 all well; 1 an op failed or a stream was cut off; 2 wrong usage; 3 the store or a\n"
    "middleware could not be opened.\n";

struct host {
    hf_store *store;
    hf_text conversation;
    struct reply reply;
    struct text message_id; /* of the assistant message that is being received */
    bool failed;
};

/* ---- Ops ----------------------------------------------------------------------------------------- */

static void report(const hf_error *err) {
    const char *op = err->op[0] != '\0' ? err->op : "open";
    if (err->layer[0] != '\0')
        fprintf(stderr, "agent_host: %s: %s, from layer %s: %s\n", op, err->name, err->layer, err->message);
    else
        fprintf(stderr, "agent_host: %s: %s: %s\n", op, err->name, err->message);
}

static bool run(struct host *host, const hf_op *op, hf_result *result) {
    hf_error err;
    if (hf_exec(host->store, op, result, &err) == HF_OK) return true;
    report(&err);
    host->failed = true;
    return false;
}

static void print_log(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    (void)data;
    fprintf(stderr, "%s %s: %s %.*s\n", names[level], layer[0] != '\0' ? layer : "holdfast", message,
            (int)fields.size, fields.data != NULL ? fields.data : "");
}

/* ---- Events -------------------------------------------------------------------------------------- */

/* One server-sent event: `members` is the inside of a JSON object, and may be empty. */
static void send_event(void *data, const char *event, hf_text members) {
    const struct host *host = data;
    printf("event: %s\ndata: {\"messageId\":%s%s%s}\n\n", event, host->message_id.data,
           members.size > 0 ? "," : "", members.data);
    fflush(stdout); /* a failure stays on the stream, and main looks at the end */
}

/* ---- One response -------------------------------------------------------------------------------- */

static bool start_reply(struct host *host, const struct origin *origin) {
    struct text metadata = {0};
    text_puts(&metadata, "\"provider\":\"");
    text_puts(&metadata, origin->provider);
    text_puts(&metadata, "\",\"api\":\"");
    text_puts(&metadata, origin->api);
    text_puts(&metadata, "\",\"model\":");
    text_add(&metadata, origin->model.data != NULL ? origin->model : hf_text_of("null"));
    text_puts(&metadata, ",\"responseId\":");
    text_add(&metadata, origin->id.data != NULL ? origin->id : hf_text_of("null"));

    struct text object = {0};
    text_puts(&object, "{");
    text_add(&object, text_view(&metadata));
    text_puts(&object, "}");

    hf_result result = {0};
    hf_op reserve = {.op = "reserve",
                     .conversation_id = host->conversation,
                     .role = hf_text_of("assistant"),
                     .metadata = text_view(&object)};
    bool ok = run(host, &reserve, &result);
    if (ok) {
        text_clear(&host->message_id);
        text_quote(&host->message_id, result.message->id.data);
        reply_begin(&host->reply, origin->id);
        send_event(host, "message_start", text_view(&metadata));
    }
    hf_result_free(&result);
    text_free(&metadata);
    text_free(&object);
    return ok;
}

/* Stores what came of the reply, and how it ended, as one batch: either both are in the store or neither.
 * `problem` says why it was cut off, NULL where it is complete. Where a layer refuses, the message stays
 * reserved. */
static bool finish_reply(struct host *host, const char *problem) {
    struct reply *reply = &host->reply;
    struct text content = {0}, ending = {0};
    reply_close_all(reply);
    reply->open = false;
    reply_content(reply, &content);
    if (problem != NULL) {
        text_puts(&ending, "\"interrupted\":true,\"problem\":");
        text_quote(&ending, problem);
        send_event(host, "error", text_view(&ending));
    } else {
        text_puts(&ending, "\"stopReason\":");
        text_add(&ending, reply->stop_reason.size > 0 ? text_view(&reply->stop_reason) : hf_text_of("null"));
    }
    struct text updates = {0};
    text_puts(&updates, "{");
    text_add(&updates, text_view(&ending));
    text_puts(&updates, "}");

    char *id = need(json_decode(text_view(&host->message_id)));
    hf_op ops[] = {
        {.op = "updateContent", .message_id = hf_text_of(id), .content = text_view(&content)},
        {.op = "update", .message_id = hf_text_of(id), .updates = text_view(&updates)},
    };
    hf_op batch = {.op = "batch", .ops = ops, .ops_count = 2};
    bool ok = run(host, &batch, NULL);
    if (ok) send_event(host, "message_stop", text_view(&ending)); /* after the commit: it is a promise */
    free(id);
    text_free(&content);
    text_free(&ending);
    text_free(&updates);
    return ok;
}

/* ---- One file ------------------------------------------------------------------------------------ */

/* Takes one chunk. Returns false where the file need not be read further: an op failed, or `problem` was
 * filled with what is wrong. */
static bool take_chunk(struct host *host, hf_text chunk, struct text *problem) {
    struct reply *reply = &host->reply;
    struct origin origin = {0};
    const char *wrong = NULL;

    if (!json_valid(chunk) || *chunk.data != '{') {
        text_puts(problem, "it is no JSON object, or only a part of one");
        return false;
    }
    switch (chunk_look(chunk, reply, &origin, problem)) {
    case CHUNK_IDLE: return true;
    case CHUNK_FAILS: return false;
    case CHUNK_FOREIGN: wrong = "it is no chunk of a provider that this program knows"; break;
    case CHUNK_BEGINS:
        if (reply->open) {
            host->failed = true;
            fprintf(stderr, "agent_host: a response began before the one with id %s was complete\n",
                    text_view(&reply->id).data);
            if (!finish_reply(host, "another response began before this one was complete")) return false;
        }
        if (!start_reply(host, &origin)) return false;
        wrong = chunk_apply(chunk, reply);
        break;
    case CHUNK_GOES_ON:
        wrong = reply->open ? chunk_apply(chunk, reply) : "it belongs to no response that has begun";
        break;
    }
    if (wrong != NULL) {
        text_puts(problem, wrong);
        return false;
    }
    return !reply->ended || !reply->open || finish_reply(host, NULL);
}

static hf_text trimmed(char *line, size_t size) {
    while (size > 0 && strchr(" \t\r\n", line[size - 1]) != NULL)
        line[--size] = '\0';
    size_t blank = strspn(line, " \t");
    return (hf_text){line + blank, size - blank};
}

static void play_chunks(struct host *host, FILE *file, const char *path) {
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t size;
    bool going = true, any = false;
    struct text problem = {0};

    while (going && (size = getline(&line, &capacity, file)) >= 0) {
        hf_text chunk = trimmed(line, (size_t)size);
        number++;
        if (chunk.size == 0) continue;
        going = take_chunk(host, chunk, &problem);
        any = any || host->reply.open || host->reply.ended;
    }
    free(line);
    if (problem.size == 0 && ferror(file))
        text_puts(&problem, "reading it ended with an error");
    else if (problem.size == 0 && going && host->reply.open)
        text_puts(&problem, "the stream ended before the response did");
    else if (problem.size == 0 && going && !any)
        text_puts(&problem, "the stream holds no response");

    if (problem.size > 0) {
        host->failed = true;
        fprintf(stderr, "agent_host: %s: line %zu: %s\n", path, number, problem.data);
        if (host->reply.open) finish_reply(host, problem.data);
    }
    host->reply.ended = false; /* the next file starts afresh */
    text_free(&problem);
}

static void play_file(struct host *host, const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fprintf(stderr, "agent_host: %s: %s\n", path, strerror(errno));
        host->failed = true;
        return;
    }
    const char *slash = strrchr(path, '/');
    struct text prompt = {0}, content = {0};
    text_puts(&prompt, "Play ");
    text_puts(&prompt, slash != NULL ? slash + 1 : path);
    text_puts(&content, "[{\"type\":\"text\",\"text\":");
    text_quote(&content, prompt.data);
    text_puts(&content, "}]");

    hf_op add = {.op = "add",
                 .conversation_id = host->conversation,
                 .role = hf_text_of("user"),
                 .content = text_view(&content)};
    if (run(host, &add, NULL)) play_chunks(host, file, path);
    text_free(&prompt);
    text_free(&content);
    fclose(file); /* it was only read */
}

/* ---- The conversation ---------------------------------------------------------------------------- */

static void print_block(hf_text block) {
    enum { SHOWN = 160 };
    char *text = json_is(json_member(block, "type"), "text") ? json_decode(json_member(block, "text")) : NULL;
    if (text != NULL) {
        printf("%s\n", text);
    } else {
        size_t size = block.size < SHOWN ? block.size : SHOWN;
        while (size < block.size && ((unsigned char)block.data[size] & 0xC0) == 0x80)
            size++; /* whole characters only */
        printf("%.*s%s\n", (int)size, block.data, size < block.size ? "..." : "");
    }
    free(text);
}

static void print_message(const hf_message *message) {
    static const char *const states[] = {"",
#define XX(symbol, name) name,
                                         HF_STATE_MAP(XX)
#undef XX
    };
    printf("\n%s %s (%s) %s\n", message->role.data, message->id.data, states[message->state],
           message->metadata.data != NULL ? message->metadata.data : "");
    hf_text rest = message->content, key, block;
    if (!json_valid(rest) || *rest.data != '[') {
        printf("%s\n", message->content.data);
        return;
    }
    while (json_each(&rest, &key, &block))
        print_block(block);
}

static void print_conversation(struct host *host) {
    hf_result result = {0};
    hf_op list = {.op = "list", .conversation_id = host->conversation};
    if (!run(host, &list, &result)) return;
    printf("--- conversation %s%s\n", host->conversation.data,
           result.has_more ? ", its latest messages" : "");
    for (size_t i = 0; i < result.messages_count; i++)
        print_message(&result.messages[i]);
    hf_result_free(&result);
}

/* ---- The program --------------------------------------------------------------------------------- */

static int play(struct host *host, char **files, int files_count) {
    hf_op create = {.op = "createConversation", .conversation_id = host->conversation};
    if (run(host, &create, NULL)) {
        for (int i = 0; i < files_count; i++)
            play_file(host, files[i]);
        print_conversation(host);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "agent_host: standard output: it cannot be written\n");
        host->failed = true;
    }
    return host->failed ? EXIT_OP_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    struct host host = {.conversation = hf_text_of("demo")};
    char **words = need(calloc((size_t)argc, sizeof *words)),
         **layers = need(calloc((size_t)argc, sizeof *layers));
    int words_count = 0, layers_count = 0, status = EXIT_NO_STORE;
    hf_options options = {.size = sizeof options, .log = print_log};
    hf_error err;

    for (int i = 1; i < argc; i++) {
        bool use = strcmp(argv[i], "--use") == 0, name = strcmp(argv[i], "--conversation") == 0;
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            status = EXIT_SUCCESS;
            goto done;
        }
        if ((argv[i][0] == '-' && !use && !name) || ((use || name) && i + 1 == argc)) {
            words_count = 0;
            break;
        }
        if (use)
            layers[layers_count++] = argv[++i];
        else if (name)
            host.conversation = hf_text_of(argv[++i]);
        else
            words[words_count++] = argv[i];
    }
    if (words_count < 2) {
        fputs(usage, stderr);
        status = EXIT_USAGE;
        goto done;
    }

    if (hf_open(words[0], &options, &host.store, &err) != HF_OK) {
        report(&err);
        goto done;
    }
    for (int i = 0; i < layers_count; i++) {
        if (hf_use_file(host.store, layers[i], (hf_text){0}, &err) == HF_OK) continue;
        report(&err);
        goto done;
    }
    host.reply.event = send_event;
    host.reply.data = &host;
    status = play(&host, words + 1, words_count - 1);

done:
    reply_free(&host.reply);
    text_free(&host.message_id);
    hf_close(host.store);
    free(words);
    free(layers);
    return status;
}
