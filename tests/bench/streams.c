/*
 * What it costs to store a reply while it streams in, each delta before the next: by `append`, by `updateContent` of
 * all there is so far, and by SQLite alone, which rewrites the content or appends as well. A slice is a whole stream.
 */
#include "bench/bench.h"

enum { DELTA = 80, END = 100 }; /* bytes of a delta; how many deltas an end of the stream has */

static const hf_text bench = {"bench", 5}, assistant = {"assistant", 9};

static void begin(subject *s) {
    hf_result result = {0};
    if (s->is->sqlite) {
        bare_reserve(s->bare, &(bare_message){.conversation = bench, .role = assistant}, s->id);
        return;
    }
    ask(s, &(hf_op){.op = "reserve", .conversation_id = bench, .role = assistant}, &result);
    put(s->id, sizeof s->id, "%s", result.message->id.data);
    hf_result_free(&result);
}

static void append(subject *s) {
    size_t seq = ++s->next;
    hf_text delta = {s->content + (seq - 1) * DELTA, DELTA};
    if (s->is->sqlite)
        bare_append(s->bare, s->id, (long)seq, delta);
    else
        run(s,
            &(hf_op){.op = "append", .message_id = hf_text_of(s->id), .delta = delta, .seq = (int64_t)seq});
}

static void rewrite(subject *s) {
    hf_text content = {s->content, ++s->next * DELTA};
    if (s->is->sqlite)
        bare_rewrite(s->bare, s->id, content);
    else
        run(s,
            &(hf_op){
                .op = "updateContent", .message_id = hf_text_of(s->id), .content = content, .index = HF_NO});
}

static void end(subject *s) {
    hf_text content = {s->content, s->next * DELTA};
    bare_message message = {.conversation = bench, .role = assistant, .content = content};
    if (s->is->sqlite)
        bare_finish(s->bare, s->id, &message, s->is->action->step == append ? (long)s->next : 0);
    else
        run(s,
            &(hf_op){
                .op = "updateContent", .message_id = hf_text_of(s->id), .content = content, .index = HF_NO});
}

static const action by_append = {.step = append, .ops = 1}, by_rewriting = {.step = rewrite, .ops = 1};

/* ---- A stream ---------------------------------------------------------------------------------- */

static void open_stream(subject *s) {
    open_subject(s, NULL);
}

/* `extra`: the median of the last deltas by that of the first. */
static void slice_stream(subject *s, size_t steps, slice *out) {
    double *spent = allocate(steps, sizeof *spent);
    size_t few = steps < END ? steps : END;
    begin(s);
    s->next = 0;
    for (size_t i = 0; i < steps; i++) {
        double begun = now_ns();
        s->is->action->step(s);
        spent[i] = now_ns() - begun;
        out->total += spent[i];
    }
    end(s);
    double last = quantile(spent + steps - few, few, 0.5);
    out->extra[0] = last / quantile(spent, few, 0.5);
    out->ops = (double)steps;
    out->median = out->total / out->ops;
    free(spent);
}

static void tell_stream(subject *s, size_t rounds) {
    printf(",\"deltas\":%zu,\"lastByFirst\":%.3f", s->is->steps, quantile(s->extras[0], rounds, 0.5));
}

static const kind stream = {
    .open = open_stream, .slice = slice_stream, .close = close_subject, .tell = tell_stream};

/* ---- The cases --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *baseline, *what;
    const action *action;
    size_t deltas;
    bool sqlite;
    int layers;
} ways[] = {
    {"stream-sqlite", "", "the content rewritten by SQLite alone", &by_rewriting, 500, true, 0},
    {"stream-append", "stream-sqlite", "append", &by_append, 500, false, 0},
    {"stream-append-lua-5", "stream-append", "append through 5 Lua layers", &by_append, 500, false, 5},
    {"stream-append-sqlite", "stream-sqlite", "a row for each delta by SQLite alone", &by_append, 500, true,
     0},
    {"stream-update", "stream-sqlite", "updateContent of all so far, unindexed", &by_rewriting, 500, false,
     0},
    {"stream-append-2000", "stream-append", "append, 2,000 deltas", &by_append, 2000, false, 0},
};

void list_streams(void) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bench_case one = {
            .group = "streams",
            .family = "streams",
            .kind = &stream,
            .action = ways[i].action,
            .steps = ways[i].deltas,
            .rounds = 25,
            .sqlite = ways[i].sqlite,
            .layers = ways[i].layers,
            .size = ways[i].deltas * DELTA,
        };
        put(one.name, sizeof one.name, "%s", ways[i].name);
        put(one.baseline, sizeof one.baseline, "%s", ways[i].baseline);
        put(one.what, sizeof one.what, "%s; for one delta of 80 bytes", ways[i].what);
        add_case(one);
    }
}
