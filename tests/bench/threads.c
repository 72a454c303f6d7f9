/*
 * What many writers at once come to: threads that wait for each other, one thread with many ops in flight, and SQLite
 * alone, with one connection and with several. A slice is a number of adds; its time is that of the wall, from the
 * moment all threads are let go until the last one is done.
 */
#define _XOPEN_SOURCE 700

#include <pthread.h>

#include "bench/bench.h"

enum { BUSY_MS = 60000 }; /* for SQLite's connections that wait for each other */

typedef struct crew crew;

typedef struct member {
    crew *crew;
    pthread_t thread;
    bare *bare;
    char id[40];
} member;

/* The threads of a case. They wait at `go` for work, and at `done` for each other. */
struct crew {
    subject *subject;
    pthread_barrier_t go, done;
    size_t each; /* ops for each thread; 0 to end */
    size_t count;
    member *members;
};

static void add_one(subject *s, bare *alone, char *id) {
    const hf_text bench = {"bench", 5}, user = {"user", 4}, content = {s->content, s->is->size};
    if (s->is->sqlite)
        bare_add(alone, &(bare_message){.conversation = bench, .role = user, .content = content}, id);
    else
        run(s, &(hf_op){.op = "add",
                        .conversation_id = bench,
                        .role = user,
                        .content = content,
                        .skip_indexing = HF_YES});
}

static void *work(void *data) {
    member *m = data;
    crew *c = m->crew;
    for (;;) {
        pthread_barrier_wait(&c->go);
        if (c->each == 0) return NULL;
        for (size_t i = 0; i < c->each; i++)
            add_one(c->subject, m->bare, m->id);
        pthread_barrier_wait(&c->done);
    }
}

static void open_crew(subject *s) {
    crew *c = allocate(1, sizeof *c);
    open_subject(s, NULL);
    s->data = c;
    c->subject = s;
    c->count = s->is->count;
    c->members = allocate(c->count, sizeof *c->members);
    pthread_barrier_init(&c->go, NULL, (unsigned)c->count + 1);
    pthread_barrier_init(&c->done, NULL, (unsigned)c->count + 1);
    for (size_t i = 0; i < c->count; i++) {
        member *m = &c->members[i];
        m->crew = c;
        if (s->is->sqlite) m->bare = bare_open(s->path, s->is->full, BUSY_MS);
        if (pthread_create(&m->thread, NULL, work, m) != 0) die("%s: no thread", s->is->name);
    }
}

static void slice_crew(subject *s, size_t steps, slice *out) {
    crew *c = s->data;
    c->each = (steps + c->count - 1) / c->count;
    pthread_barrier_wait(&c->go);
    double begun = now_ns();
    pthread_barrier_wait(&c->done);
    out->total = now_ns() - begun;
    out->ops = (double)(c->each * c->count);
    out->median = out->total / out->ops;
}

static void close_crew(subject *s) {
    crew *c = s->data;
    c->each = 0;
    pthread_barrier_wait(&c->go);
    for (size_t i = 0; i < c->count; i++) {
        pthread_join(c->members[i].thread, NULL);
        bare_close(c->members[i].bare);
    }
    pthread_barrier_destroy(&c->go);
    pthread_barrier_destroy(&c->done);
    free(c->members);
    free(c);
    close_subject(s);
}

static const kind by_threads = {.open = open_crew, .slice = slice_crew, .close = close_crew};

/* ---- In flight --------------------------------------------------------------------------------- */

static void open_flight(subject *s) {
    open_subject(s, NULL);
    s->data = allocate(1, sizeof(room));
    room_open(s->data, (unsigned)s->is->count);
}

static void land(void *data, int code, hf_result *result, const hf_error *err) {
    (void)result;
    if (code != HF_OK) die("submit: %s", err->message);
    room_give(data);
}

static void slice_flight(subject *s, size_t steps, slice *out) {
    room *places = s->data;
    hf_error err;
    const hf_op op = {.op = "add",
                      .conversation_id = {"bench", 5},
                      .role = {"user", 4},
                      .content = {s->content, s->is->size},
                      .skip_indexing = HF_YES};
    double begun = now_ns();
    for (size_t i = 0; i < steps; i++) {
        room_take(places);
        if (hf_submit(s->store, &op, land, places, &err) != HF_OK) die("%s: %s", s->is->name, err.message);
    }
    for (size_t i = 0; i < s->is->count; i++)
        room_take(places);
    out->total = now_ns() - begun;
    out->ops = (double)steps;
    out->median = out->total / out->ops;
    for (size_t i = 0; i < s->is->count; i++)
        room_give(places);
}

static void close_flight(subject *s) {
    close_subject(s); /* whose thread may still be in its last room_give */
    room_close(s->data);
    free(s->data);
}

static const kind in_flight = {.open = open_flight, .slice = slice_flight, .close = close_flight};

/* ---- The cases --------------------------------------------------------------------------------- */

static const struct {
    const char *name, *what;
    const kind *kind;
    size_t count, steps, full_steps;
    bool sqlite;
    int layers;
} ways[] = {
    {"threads-sqlite", "1 thread, by SQLite alone, a commit for each", &by_threads, 1, 400, 200, true, 0},
    {"threads-sqlite-8", "8 threads of SQLite alone, a connection each", &by_threads, 8, 400, 100, true, 0},
    {"threads-1", "1 thread", &by_threads, 1, 400, 200, false, 0},
    {"threads-8", "8 threads", &by_threads, 8, 400, 400, false, 0},
    {"threads-64", "64 threads", &by_threads, 64, 1280, 1280, false, 0},
    {"threads-64-lua-5", "64 threads, 5 Lua layers", &by_threads, 64, 1280, 1280, false, 5},
    {"submit-256", "1 thread, 256 in flight", &in_flight, 256, 2560, 2560, false, 0},
    {"submit-256-lua-5", "1 thread, 256 in flight, 5 Lua layers", &in_flight, 256, 2560, 2560, false, 5},
};

void list_threads(void) {
    for (int full = 0; full < 2; full++) {
        const char *ending = full ? "-full" : "-normal";
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            bench_case one = {
                .group = "threads",
                .kind = ways[i].kind,
                .steps = full ? ways[i].full_steps : ways[i].steps,
                .rounds = 25,
                .sqlite = ways[i].sqlite,
                .full = full,
                .layers = ways[i].layers,
                .size = 1024,
                .count = ways[i].count,
            };
            put(one.family, sizeof one.family, "threads%s", ending);
            put(one.name, sizeof one.name, "%s%s", ways[i].name, ending);
            put(one.what, sizeof one.what, "%s, %s", ways[i].what, ending + 1);
            if (i > 0) put(one.baseline, sizeof one.baseline, "threads-sqlite%s", ending);
            add_case(one);
        }
    }
}
