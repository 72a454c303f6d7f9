/*
 * An agent's host, with recorded streams in place of a provider:
 *
 *     agent_host STORE STREAM_FILE... [OPTION]...
 *
 * For each file it stores a user message, then reads the file's chunks as if they came over the wire. The
 * assistant message is reserved before its first token, so each server-sent event on standard output bears
 * the id under which the message can be found ever after; each piece of text is stored before the event that
 * tells of it. When the response is complete, its blocks take the place of the text, in one op. At the end the
 * stored conversation is printed.
 *
 * The turn itself is in turn.c, and that is the file to copy. What the chunks mean is in providers.c; how
 * blocks grow, in reply.c; what may happen on the way, in mishaps.c.
 */
#define _POSIX_C_SOURCE 200809L /* getline */

#include "mishaps.h"
#include "providers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXIT_OP_FAILED = 1, EXIT_USAGE = 2, EXIT_NO_STORE = 3 };

static const char usage[] =
    "usage: agent_host STORE STREAM_FILE... [OPTION]...\n"
    "\n"
    "Plays recorded provider streams, one JSON chunk a line, into a Holdfast store: Anthropic's messages,\n"
    "OpenAI's chat completions and OpenAI's responses. What an earlier run left behind in mid-stream is\n"
    "recovered first.\n"
    "\n"
    "  --use LAYER         a middleware file, or the name of a stock one; the first is the outermost\n"
    "  --conversation ID   the conversation to write to (default: demo)\n"
    "  --search WORDS      search the conversation at the end\n"
    "\n"
    "What may happen to a response, after N pieces of its text:\n"
    "  --drop N            the client loses its connection, is back after 2 N, and gets what it missed\n"
    "  --cancel N          the user stops the response, and the host reads no more of the file\n"
    "  --crash N           the host dies, by SIGKILL\n"
    "\n"
    "Exit status: 0 all well; 1 an op failed or a stream was cut off; 2 wrong usage; 3 the store or a\n"
    "middleware could not be opened.\n";

struct host {
    struct turn turn;
    struct reply reply;
    struct mishaps mishaps;
    const char *search;
};

static void print_log(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    (void)data;
    fprintf(stderr, "%s %s: %s %.*s\n", names[level], layer[0] != '\0' ? layer : "holdfast", message,
            (int)fields.size, fields.data != NULL ? fields.data : "");
}

/* ---- One response -------------------------------------------------------------------------------- */

static void send_event(void *data, const char *event, hf_text members) {
    struct host *host = data;
    turn_send(&host->turn, event, members);
    mishaps_follow(&host->mishaps, &host->turn);
}

static void take_text(void *data, hf_text escaped) {
    struct host *host = data;
    turn_grow(&host->turn, escaped);
}

static bool begin_reply(struct host *host, const struct origin *origin) {
    struct text members = {0};
    text_puts(&members, "\"provider\":\"");
    text_puts(&members, origin->provider);
    text_puts(&members, "\",\"api\":\"");
    text_puts(&members, origin->api);
    text_puts(&members, "\",\"model\":");
    text_add(&members, origin->model.data != NULL ? origin->model : hf_text_of("null"));
    text_puts(&members, ",\"responseId\":");
    text_add(&members, origin->id.data != NULL ? origin->id : hf_text_of("null"));
    bool ok = turn_begin(&host->turn, text_view(&members));
    if (ok) {
        reply_begin(&host->reply, origin->id);
        mishaps_begin(&host->mishaps);
    }
    text_free(&members);
    return ok;
}

/* Stores what came of the reply. `problem` says why it was cut off, NULL where it is complete. Where a layer
 * refuses, the message stays as it was streamed, and the next start of the program recovers it. */
static bool finish_reply(struct host *host, const char *problem) {
    struct reply *reply = &host->reply;
    struct text content = {0}, ending = {0};
    reply_close_all(reply);
    reply->open = false;
    reply_content(reply, &content);
    if (problem != NULL) {
        text_puts(&ending, "\"interrupted\":true,\"problem\":");
        text_quote(&ending, problem);
        turn_send(&host->turn, "error", text_view(&ending));
    } else {
        text_puts(&ending, "\"stopReason\":");
        text_add(&ending, reply->stop_reason.size > 0 ? text_view(&reply->stop_reason) : hf_text_of("null"));
    }
    mishaps_end(&host->mishaps, &host->turn);
    bool ok = turn_finish(&host->turn, text_view(&content), text_view(&ending));
    text_free(&content);
    text_free(&ending);
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
            host->turn.failed = true;
            fprintf(stderr, "agent_host: a response began before the one with id %s was complete\n",
                    text_view(&reply->id).data);
            if (!finish_reply(host, "another response began before this one was complete")) return false;
        }
        if (!begin_reply(host, &origin)) return false;
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
    if (host->turn.stop != NULL) {
        reply->open = false;
        turn_stop(&host->turn);
        mishaps_end(&host->mishaps, &host->turn);
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
        host->turn.failed = true;
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
        host->turn.failed = true;
        return;
    }
    const char *slash = strrchr(path, '/');
    struct text prompt = {0};
    text_puts(&prompt, "Play ");
    text_puts(&prompt, slash != NULL ? slash + 1 : path);
    if (turn_ask(&host->turn, prompt.data)) play_chunks(host, file, path);
    text_free(&prompt);
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

/* Whoever is shown the conversation has seen its newest answer: markSeen tells every other client too. */
static void show_conversation(struct turn *turn) {
    hf_result conversation = {0}, listed = {0};
    hf_op get = {.op = "getConversation", .conversation_id = turn->conversation};
    hf_op list = {.op = "list", .conversation_id = turn->conversation};
    hf_op seen = {.op = "markSeen", .conversation_id = turn->conversation};
    if (turn_exec(turn, &get, &conversation) && turn_exec(turn, &list, &listed)) {
        printf("--- conversation %s%s\n", turn->conversation.data,
               listed.has_more ? ", its latest messages" : "");
        for (size_t i = 0; i < listed.messages_count; i++)
            print_message(&listed.messages[i]);
        const hf_attention *attention = conversation.conversation->attention;
        if (attention != NULL && attention->unseen && turn_exec(turn, &seen, NULL))
            printf("\n--- not seen until now: %s\n", attention->latest_assistant_message_id.data);
    }
    hf_result_free(&conversation);
    hf_result_free(&listed);
}

static void show_hits(struct turn *turn, const char *words) {
    hf_result result = {0};
    hf_op search = {.op = "search", .query = hf_text_of(words), .conversation_id = turn->conversation};
    if (turn_exec(turn, &search, &result)) printf("\n--- search %s: %zu found\n", words, result.hits_count);
    for (size_t i = 0; i < result.hits_count; i++)
        printf("%s: %s\n", result.hits[i].message->id.data, result.hits[i].snippet.data);
    hf_result_free(&result);
}

/* ---- The program --------------------------------------------------------------------------------- */

static int play(struct host *host, char **files) {
    struct turn *turn = &host->turn;
    hf_op create = {.op = "createConversation", .conversation_id = turn->conversation};
    if (turn_exec(turn, &create, NULL)) {
        turn_recover(turn);
        for (; *files != NULL; files++)
            play_file(host, *files);
        show_conversation(turn);
        if (host->search != NULL) show_hits(turn, host->search);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "agent_host: standard output: it cannot be written\n");
        host->turn.failed = true;
    }
    return host->turn.failed ? EXIT_OP_FAILED : EXIT_SUCCESS;
}

/* The value of an option `name`, or NULL where the word at `*at` is another. */
static const char *option(char **argv, int *at, const char *name) {
    return strcmp(argv[*at], name) == 0 && argv[*at + 1] != NULL ? argv[++*at] : NULL;
}

static bool option_count(char **argv, int *at, const char *name, long *count) {
    const char *value = option(argv, at, name);
    char *end = NULL;
    if (value == NULL) return false;
    *count = strtol(value, &end, 10);
    if (*count < 1 || *end != '\0') *count = -1;
    return true;
}

/* Takes the command line apart: `files` and `layers` have room for all its words. Returns whether it makes
 * sense. */
static bool read_options(struct host *host, char **argv, char **files, const char **layers) {
    struct mishaps *mishaps = &host->mishaps;
    for (int i = 1; argv[i] != NULL; i++) {
        const char *value;
        if ((value = option(argv, &i, "--use")) != NULL)
            *layers++ = value;
        else if ((value = option(argv, &i, "--conversation")) != NULL)
            host->turn.conversation = hf_text_of(value);
        else if ((value = option(argv, &i, "--search")) != NULL)
            host->search = value;
        else if (option_count(argv, &i, "--drop", &mishaps->drop) ||
                 option_count(argv, &i, "--cancel", &mishaps->cancel) ||
                 option_count(argv, &i, "--crash", &mishaps->crash))
            continue;
        else if (argv[i][0] == '-')
            return false;
        else
            *files++ = argv[i];
    }
    return mishaps->drop >= 0 && mishaps->cancel >= 0 && mishaps->crash >= 0;
}

static int open_store(struct host *host, const char *path, const char **layers) {
    hf_options options = {.size = sizeof options, .log = print_log};
    hf_error err;
    int code = hf_open(path, &options, &host->turn.store, &err);
    for (; code == HF_OK && *layers != NULL; layers++)
        code = hf_use_file(host->turn.store, *layers, (hf_text){0}, &err);
    if (code != HF_OK) turn_report(&err);
    return code;
}

int main(int argc, char **argv) {
    struct host host = {.turn.conversation = hf_text_of("demo")};
    char **words = need(calloc((size_t)argc + 1, sizeof *words)); /* the store and the files */
    const char **layers = need(calloc((size_t)argc + 1, sizeof *layers));
    int status = EXIT_NO_STORE;
    host.reply.event = send_event;
    host.reply.text = take_text;
    host.reply.data = &host;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(usage, stdout);
        status = EXIT_SUCCESS;
    } else if (!read_options(&host, argv, words, layers) || words[0] == NULL || words[1] == NULL) {
        fputs(usage, stderr);
        status = EXIT_USAGE;
    } else if (open_store(&host, words[0], layers) == HF_OK) {
        status = play(&host, words + 1);
    }
    reply_free(&host.reply);
    turn_free(&host.turn);
    text_free(&host.mishaps.text);
    hf_close(host.turn.store);
    free(words);
    free(layers);
    return status;
}
