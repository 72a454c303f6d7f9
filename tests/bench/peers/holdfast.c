/*
 * Holdfast's side of the peers: runs one case for a given time. Reads lines "CASE SECONDS" from standard input and
 * answers each with the ops per second on a line. Each case has a store of its own in the folder that is named on the
 * command line, opened at its first line and kept, as a host does. The content is in the environment, CONTENT, the
 * same for every peer; run.sh decides what is compared with what.
 */
#define _XOPEN_SOURCE 700

#include <pthread.h>

#include "bench/tools.h"
#include "holdfast.h"

enum { CONVERSATIONS = 64, IN_FLIGHT = 256 };

typedef struct peer_case {
    const char *name;
    hf_durability durability;
    int threads; /* that call hf_exec; 0: one thread that calls hf_submit */
    int layers;
    size_t batch; /* adds in one op */
} peer_case;

static const peer_case cases[] = {
    {"add-full-1", HF_DURABILITY_FULL, 1, 0, 1},
    {"add-full-64", HF_DURABILITY_FULL, 64, 0, 1},
    {"add-full-inflight", HF_DURABILITY_FULL, 0, 0, 1},
    {"add-full-inflight-lua-5", HF_DURABILITY_FULL, 0, 5, 1},
    {"add-normal-1", HF_DURABILITY_NORMAL, 1, 0, 1},
    {"add-normal-64", HF_DURABILITY_NORMAL, 64, 0, 1},
    {"add-normal-inflight", HF_DURABILITY_NORMAL, 0, 0, 1},
    {"add-normal-inflight-lua-5", HF_DURABILITY_NORMAL, 0, 5, 1},
    {"add-lua-5", HF_DURABILITY_NORMAL, 1, 5, 1},
    {"add-lua-5-batch-100", HF_DURABILITY_NORMAL, 1, 5, 100},
};

enum { CASES = sizeof cases / sizeof *cases };

/* A case's store, and one slice of it. */
typedef struct slice {
    const peer_case *is;
    hf_store *store;
    double deadline;    /* ns */
    atomic_size_t done; /* ops */
    room room;          /* for ops in flight */
} slice;

static slice slices[CASES];
static char conversations[CONVERSATIONS][8];
static hf_text content;

/* ---- Ops --------------------------------------------------------------------------------------- */

/* An add as a host without ids of its own makes it: the store mints one, of 36 bytes and in the order of time. */
static hf_op make_add(size_t conversation) {
    return (hf_op){.op = "add",
                   .conversation_id = hf_text_of(conversations[conversation % CONVERSATIONS]),
                   .role = hf_text_of("user"),
                   .content = content,
                   .skip_indexing = HF_YES};
}

static void run(const slice *s, const hf_op *op) {
    hf_result result = {0};
    hf_error err;
    if (hf_exec(s->store, op, &result, &err) != HF_OK) die("%s: %s", s->is->name, err.message);
    hf_result_free(&result);
}

typedef struct writer {
    slice *slice;
    size_t number;
    pthread_t thread;
} writer;

/* A thread that writes into a conversation of its own until the time is up. */
static void *write_on(void *data) {
    writer *w = data;
    slice *s = w->slice;
    size_t batch = s->is->batch, done = 0;
    hf_op *adds = allocate(batch, sizeof *adds);
    for (size_t i = 0; i < batch; i++)
        adds[i] = make_add(w->number);
    hf_op op = batch == 1 ? adds[0] : (hf_op){.op = "batch", .ops = adds, .ops_count = batch};
    for (; now_ns() < s->deadline; done += batch)
        run(s, &op);
    atomic_fetch_add(&s->done, done);
    free(adds);
    return NULL;
}

static void write_by_threads(slice *s) {
    writer writers[CONVERSATIONS];
    for (int i = 0; i < s->is->threads; i++) {
        writers[i] = (writer){.slice = s, .number = (size_t)i};
        if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]) != 0)
            die("%s: no thread", s->is->name);
    }
    for (int i = 0; i < s->is->threads; i++)
        pthread_join(writers[i].thread, NULL);
}

static void submitted(void *data, int code, hf_result *result, const hf_error *err) {
    slice *s = data;
    (void)result;
    if (code != HF_OK) die("%s: %s", s->is->name, err->message);
    atomic_fetch_add(&s->done, 1);
    room_give(&s->room);
}

/* One thread that keeps IN_FLIGHT ops on their way until the time is up, and waits for the last. */
static void write_in_flight(slice *s) {
    hf_error err;
    room_open(&s->room, IN_FLIGHT);
    for (size_t i = 0; now_ns() < s->deadline; i++) {
        hf_op op = make_add(i);
        room_take(&s->room);
        if (hf_submit(s->store, &op, submitted, s, &err) != HF_OK) die("%s: %s", s->is->name, err.message);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        room_take(&s->room);
    room_close(&s->room);
}

/* ---- Slices ------------------------------------------------------------------------------------ */

static void open_store(slice *s, const peer_case *is, const char *folder) {
    static const char pass[] = "return {ops = {'add'}, handle = function(op, next) return next(op) end}";
    char path[256], name[16];
    hf_error err;
    hf_options options = {.size = sizeof options, .durability = is->durability};
    s->is = is;
    snprintf(path, sizeof path, "%s/%s.db", folder, is->name);
    if (hf_open(path, &options, &s->store, &err) != HF_OK) die("%s: %s", path, err.message);
    for (int i = 0; i < is->layers; i++) {
        snprintf(name, sizeof name, "pass-%d", i);
        if (hf_use_string(s->store, name, hf_text_of(pass), (hf_text){0}, &err) != HF_OK)
            die("%s: %s", is->name, err.message);
    }
    for (int i = 0; i < CONVERSATIONS; i++)
        run(s, &(hf_op){.op = "createConversation", .conversation_id = hf_text_of(conversations[i])});
}

static double run_slice(slice *s, double seconds) {
    double begun = now_ns();
    atomic_store(&s->done, 0);
    s->deadline = begun + seconds * 1e9;
    if (s->is->threads > 0)
        write_by_threads(s);
    else
        write_in_flight(s);
    return (double)atomic_load(&s->done) / ((now_ns() - begun) / 1e9);
}

static size_t find(const char *name) {
    size_t i = 0;
    while (i < CASES && strcmp(cases[i].name, name) != 0)
        i++;
    if (i == CASES) die("no case is called %s", name);
    return i;
}

int main(int argc, char **argv) {
    char name[64], seconds[32], *end;
    if (argc != 2 || getenv("CONTENT") == NULL) die("usage: CONTENT=… peers_holdfast FOLDER");
    content = hf_text_of(getenv("CONTENT"));
    for (int i = 0; i < CONVERSATIONS; i++)
        snprintf(conversations[i], sizeof conversations[i], "c%d", i);
    printf("ready Holdfast %s\n", hf_version());
    fflush(stdout);
    while (scanf("%63s %31s", name, seconds) == 2) {
        size_t i = find(name);
        double time = strtod(seconds, &end);
        if (*end != '\0' || !(time > 0)) die("expected a time in seconds, found \"%s\"", seconds);
        if (slices[i].store == NULL) open_store(&slices[i], &cases[i], argv[1]);
        printf("%.1f\n", run_slice(&slices[i], time));
        fflush(stdout);
    }
    for (int i = 0; i < CASES; i++)
        hf_close(slices[i].store);
    return ferror(stdout) == 0 ? 0 : 1;
}
