/* Chunks into deltas: each delta event of a reply that the agent host would send is one. */
#define _POSIX_C_SOURCE 200809L

#include "support/streams.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent_host/providers.h"

static void die(const char *path, const char *why) {
    fprintf(stderr, "%s: %s\n", path, why);
    exit(1);
}

/* ---- One stream -------------------------------------------------------------------------------- */

/* Takes `delta`, which was allocated, over. */
static void add_delta(stream *to, char *delta) {
    size_t size = strlen(delta), before = to->length != NULL ? to->length[to->count] : 0;
    to->deltas = need(realloc(to->deltas, (to->count + 1) * sizeof *to->deltas));
    to->length = need(realloc(to->length, (to->count + 2) * sizeof *to->length));
    to->text = need(realloc(to->text, before + size + 1));
    memcpy(to->text + before, delta, size + 1);
    to->deltas[to->count++] = (hf_text){delta, size};
    to->length[to->count - 1] = before;
    to->length[to->count] = before + size;
}

stream stream_make(const char *name, const char *const *deltas, const char *content) {
    stream made = {.name = need(strdup(name)), .content = need(strdup(content))};
    while (*deltas != NULL)
        add_delta(&made, need(strdup(*deltas++)));
    return made;
}

void streams_free(stream *streams, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < streams[i].count; j++)
            free((char *)streams[i].deltas[j].data);
        free(streams[i].deltas);
        free(streams[i].length);
        free(streams[i].text);
        free(streams[i].content);
        free(streams[i].name);
    }
    free(streams);
}

/* ---- One file ---------------------------------------------------------------------------------- */

/* What of an event a client appends: the texts of its delta, and what is no text, as JSON. */
static void take_event(void *data, const char *event, hf_text members) {
    stream *to = data;
    hf_text rest, key, value;
    struct text object = {0};
    if (strcmp(event, "content_block_delta") != 0) return;
    text_puts(&object, "{");
    text_add(&object, members);
    text_puts(&object, "}");
    rest = json_member(text_view(&object), "delta");
    while (json_each(&rest, &key, &value)) {
        if (key.size == 4 && memcmp(key.data, "type", 4) == 0) continue;
        char *text = json_decode(value);
        add_delta(to, text != NULL ? text : need(strndup(value.data, value.size)));
    }
    text_free(&object);
}

/* The text comes once more in the events. */
static void leave_text(void *data, hf_text escaped) {
    (void)data, (void)escaped;
}

/* Ends the reply that is open, as the next one of `streams`. */
static size_t end_reply(const char *path, struct reply *reply, stream *open, stream **streams, size_t count) {
    struct text content = {0};
    const char *slash = strrchr(path, '/');
    reply_close_all(reply);
    reply->open = false;
    reply_content(reply, &content);
    if (open->count == 0) die(path, "a reply without a delta");
    open->name = need(strdup(slash != NULL ? slash + 1 : path));
    open->content = content.data;
    *streams = need(realloc(*streams, (count + 1) * sizeof **streams));
    (*streams)[count] = *open;
    *open = (stream){0};
    return count + 1;
}

static size_t load_file(const char *path, stream **streams, size_t count) {
    stream open = {0};
    struct reply reply = {.event = take_event, .text = leave_text, .data = &open};
    struct text failure = {0};
    char *line = NULL;
    size_t room = 0, before = count;
    FILE *file = fopen(path, "r");
    if (file == NULL) die(path, "it cannot be read");
    while (getline(&line, &room, file) >= 0) {
        struct origin origin = {0};
        hf_text chunk = {line, strcspn(line, "\r\n")};
        line[chunk.size] = '\0';
        if (chunk.size == 0) continue;
        if (!json_valid(chunk)) die(path, "a line that is no JSON");
        enum chunk_kind kind = chunk_look(chunk, &reply, &origin, &failure);
        if (kind == CHUNK_IDLE) continue;
        if (kind == CHUNK_BEGINS && reply.open) count = end_reply(path, &reply, &open, streams, count);
        if (kind == CHUNK_BEGINS) reply_begin(&reply, origin.id);
        if ((kind != CHUNK_BEGINS && kind != CHUNK_GOES_ON) || !reply.open || chunk_apply(chunk, &reply))
            die(path, "a chunk that fits no reply");
        if (reply.ended && reply.open) count = end_reply(path, &reply, &open, streams, count);
    }
    if (reply.open) count = end_reply(path, &reply, &open, streams, count);
    if (count == before) die(path, "no reply in it");
    fclose(file);
    free(line);
    reply_free(&reply);
    text_free(&failure);
    return count;
}

size_t streams_load(const char *folder, stream **streams, size_t count) {
    glob_t found;
    char pattern[256];
    snprintf(pattern, sizeof pattern, "%s/*.chunks.txt", folder);
    int rc = glob(pattern, 0, NULL, &found);
    if (rc == GLOB_NOMATCH) return count;
    if (rc != 0) die(pattern, "it cannot be looked for");
    for (size_t i = 0; i < found.gl_pathc; i++)
        count = load_file(found.gl_pathv[i], streams, count);
    globfree(&found);
    return count;
}
