/*
 * Readers beside a writer that never stops: a slice is a number of reads, spread over the readers; the writer adds
 * messages of 1 KiB to another conversation until the last reader is done.
 */
#define _XOPEN_SOURCE 700

#include <pthread.h>
#include <stdatomic.h>

#include "bench/bench.h"

enum { BUSY_MS = 60000, ROWS = 1000, PAGE = 20, MOST = 8 };

static const hf_text bench = {"bench", 5}, other = {"other", 5}, user = {"user", 4};

typedef struct crew crew;

typedef struct reader {
    crew *crew;
    pthread_t thread;
    bare *bare;
    size_t next;
} reader;

/* The readers, and the writer behind them where there is one. */
struct crew {
    subject *subject;
    pthread_barrier_t go, done;
    reader members[MOST];
    size_t count, readers;
    size_t each;        /* reads of each reader, or writes of a writer that is alone; 0 to end */
    atomic_size_t left; /* readers that are not done */
    size_t written;
    double wrote_for; /* ns */
};

/* ---- Reads and writes -------------------------------------------------------------------------- */

static void read_one(subject *s, reader *r) {
    const char *id = s->ids[r->next++ * 7 % ROWS];
    if (s->is->sqlite)
        bare_get(r->bare, id);
    else
        run(s, &(hf_op){.op = "get", .message_id = hf_text_of(id)});
}

static void list_some(subject *s, reader *r) {
    if (s->is->sqlite)
        bare_list(r->bare, bench, PAGE);
    else
        run(s, &(hf_op){.op = "list", .conversation_id = bench, .limit = PAGE});
}

static void write_one(subject *s, reader *w) {
    hf_text content = {s->content, s->is->size};
    char id[40];
    if (s->is->sqlite)
        bare_add(w->bare, &(bare_message){.conversation = other, .role = user, .content = content}, id);
    else
        run(s, &(hf_op){.op = "add",
                        .conversation_id = other,
                        .role = user,
                        .content = content,
                        .skip_indexing = HF_YES});
}

/* ---- Threads ----------------------------------------------------------------------------------- */

static void *write_on(void *data) {
    reader *w = data;
    crew *c = w->crew;
    for (;;) {
        pthread_barrier_wait(&c->go);
        if (c->each == 0) return NULL;
        size_t alone = c->readers == 0 ? c->each : 0;
        double begun = now_ns();
        for (c->written = 0; c->written < alone || atomic_load(&c->left) > 0; c->written++)
            write_one(c->subject, w);
        c->wrote_for = now_ns() - begun;
        pthread_barrier_wait(&c->done);
    }
}

static void *read_on(void *data) {
    reader *r = data;
    crew *c = r->crew;
    bool list = strstr(c->subject->is->name, "list") != NULL;
    for (;;) {
        pthread_barrier_wait(&c->go);
        if (c->each == 0) return NULL;
        for (size_t i = 0; i < c->each; i++)
            (list ? list_some : read_one)(c->subject, r);
        atomic_fetch_sub(&c->left, 1);
        pthread_barrier_wait(&c->done);
    }
}

static void fill(subject *s) {
    s->ids = allocate(ROWS, sizeof *s->ids);
    hf_op *ops = allocate(ROWS, sizeof *ops);
    for (int i = 0; i < ROWS; i++) {
        put(s->ids[i], sizeof s->ids[i], "0191c2a4-0000-7000-8000-%012d", i);
        ops[i] = (hf_op){.op = "add",
                         .conversation_id = bench,
                         .role = user,
                         .message_id = hf_text_of(s->ids[i]),
                         .content = {s->content, s->is->size},
                         .skip_indexing = HF_YES};
    }
    run(s, &(hf_op){.op = "batch", .ops = ops, .ops_count = ROWS});
    run(s, &(hf_op){.op = "createConversation", .conversation_id = other});
    free(ops);
}

static void open_crew(subject *s) {
    crew *c = allocate(1, sizeof *c);
    open_subject(s, fill);
    s->data = c;
    c->subject = s;
    c->readers = s->is->count;
    c->count = c->readers + s->is->writes;
    if (pthread_barrier_init(&c->go, NULL, (unsigned)c->count + 1) != 0 ||
        pthread_barrier_init(&c->done, NULL, (unsigned)c->count + 1) != 0)
        die("%s: no barrier", s->is->name);
    for (size_t i = 0; i < c->count; i++) {
        reader *r = &c->members[i];
        r->crew = c;
        r->next = i * 100;
        if (s->is->sqlite) r->bare = bare_open(s->path, s->is->full, BUSY_MS);
        if (pthread_create(&r->thread, NULL, i < c->readers ? read_on : write_on, r) != 0)
            die("%s: no thread", s->is->name);
    }
}

/* `extra`: the writes per second. */
static void slice_crew(subject *s, size_t steps, slice *out) {
    crew *c = s->data;
    c->each = c->readers == 0 ? steps : (steps + c->readers - 1) / c->readers;
    atomic_store(&c->left, c->readers);
    pthread_barrier_wait(&c->go);
    double begun = now_ns();
    pthread_barrier_wait(&c->done);
    out->total = now_ns() - begun;
    out->ops = (double)(c->each * (c->readers > 0 ? c->readers : 1));
    out->median = out->total / out->ops;
    if (s->is->writes) out->extra[0] = (double)c->written / c->wrote_for * 1e9;
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
    free(c);
    close_subject(s);
}

static void tell_crew(subject *s, size_t rounds) {
    if (s->is->writes) printf(",\"writesPerSecond\":%.0f", quantile(s->extras[0], rounds, 0.5));
}

static const kind readers = {.open = open_crew, .slice = slice_crew, .close = close_crew, .tell = tell_crew};

/* ---- The cases --------------------------------------------------------------------------------- */

static void list_reads(const char *read, size_t count, bool writes, bool sqlite) {
    bench_case one = {.group = "readers",
                      .kind = &readers,
                      .steps = read[0] == 'g' ? 2000 : 800,
                      .rounds = 15,
                      .sqlite = sqlite,
                      .writes = writes,
                      .count = count,
                      .size = 1024};
    const char *alone = sqlite ? "-sqlite" : "";
    put(one.family, sizeof one.family, "readers-%s", read);
    put(one.name, sizeof one.name, "readers-%s-%zu%s%s", read, count, writes ? "-writer" : "", alone);
    if (writes) put(one.baseline, sizeof one.baseline, "readers-%s-%zu%s", read, count, alone);
    put(one.what, sizeof one.what, "%s by %zu thread%s%s%s", read, count, count > 1 ? "s" : "",
        writes ? " beside a writer" : "", sqlite ? ", SQLite alone, a connection each" : "");
    add_case(one);
}

static void list_writer(bool sqlite) {
    bench_case one = {.group = "readers",
                      .family = "readers-get",
                      .kind = &readers,
                      .steps = 300,
                      .rounds = 15,
                      .sqlite = sqlite,
                      .writes = true,
                      .size = 1024};
    put(one.name, sizeof one.name, "writer%s", sqlite ? "-sqlite" : "");
    put(one.what, sizeof one.what, "the writer without readers%s", sqlite ? ", SQLite alone" : "");
    add_case(one);
}

void list_readers(void) {
    static const char *const reads[] = {"get", "list"};
    list_writer(true);
    list_writer(false);
    for (int read = 0; read < 2; read++)
        for (size_t count = 1; count <= 4; count += 3)
            for (int sqlite = 1; sqlite >= 0; sqlite--)
                for (int writes = 0; writes < 2; writes++)
                    list_reads(reads[read], count, writes, sqlite);
}
