/*
 * What an op costs by the number of messages in the store. There is a store of each size, indexed for search and not,
 * filled by batches into one conversation; they take turns in short slices of each op. One JSON line for each op
 * and store goes to standard output, README.md says what is in it.
 */
#define _XOPEN_SOURCE 700

#include "bench/bench.h"

enum { BATCH = 1000, RARE = 5, OPS = 6 }; /* RARE messages bear the rare word */

typedef struct place {
    size_t rows;
    size_t *live, count, added; /* messages that are there and bear no rare word; all that were ever added */
    double *slices[OPS];        /* the median step of each round, ns */
    hf_store *store;
    char path[128];
    unsigned short seed[3];
    bool indexed;
} place;

/* ---- Messages ---------------------------------------------------------------------------------- */

static size_t any(place *p, size_t below) {
    return (size_t)(erand48(p->seed) * (double)below);
}

/* A sentence of words, some frequent and some not, and the rare one where it is asked for. */
static void make_text(place *p, char *out, size_t size, bool rare) {
    static const char *const words[] = {"the", "tool", "returned", "three", "files", "and", "one", "looks"};
    size_t at = (size_t)snprintf(out, size, "%s", rare ? "quokka" : "answer");
    for (int i = 0; i < 24; i++) {
        if (any(p, 3) == 0)
            at += (size_t)snprintf(out + at, size - at, " w%zu", any(p, 20000));
        else
            at += (size_t)snprintf(out + at, size - at, " %s", words[any(p, 8)]);
    }
}

static void run(const place *p, const hf_op *op) {
    hf_result result = {0};
    hf_error err;
    if (hf_exec(p->store, op, &result, &err) != HF_OK) die("%zu rows: %s: %s", p->rows, op->op, err.message);
    if (strcmp(op->op, "search") == 0 && result.hits_count != RARE * p->indexed)
        die("%zu rows: %zu hits", p->rows, result.hits_count);
    hf_result_free(&result);
}

static hf_op make_add(place *p, char *id, size_t room, char *content, size_t size) {
    size_t number = p->added++;
    bool rare = number < p->rows && number % (p->rows / RARE) == 7;
    if (!rare) p->live[p->count++] = number;
    make_text(p, content, size, rare);
    snprintf(id, room, "m%zu", number);
    return (hf_op){.op = "add",
                   .conversation_id = hf_text_of("bench"),
                   .role = hf_text_of(number % 2 == 0 ? "user" : "assistant"),
                   .message_id = hf_text_of(id),
                   .content = hf_text_of(content),
                   .skip_indexing = p->indexed ? HF_NO : HF_YES};
}

static void fill(place *p) {
    typedef struct row {
        char id[24], content[400];
    } row;
    row *rows = allocate(BATCH, sizeof *rows);
    hf_op *ops = allocate(BATCH, sizeof *ops);
    run(p, &(hf_op){.op = "createConversation", .conversation_id = hf_text_of("bench")});
    for (size_t done = 0; done < p->rows; done += BATCH) {
        for (size_t i = 0; i < BATCH; i++)
            ops[i] = make_add(p, rows[i].id, sizeof rows[i].id, rows[i].content, sizeof rows[i].content);
        run(p, &(hf_op){.op = "batch", .ops = ops, .ops_count = BATCH});
    }
    free(ops);
    free(rows);
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static hf_text any_id(place *p, char *id, size_t size) {
    snprintf(id, size, "m%zu", p->live[any(p, p->count)]);
    return hf_text_of(id);
}

static void step_add(place *p) {
    char id[24], content[400];
    hf_op op = make_add(p, id, sizeof id, content, sizeof content);
    run(p, &op);
}

static void step_content(place *p) {
    char id[24], content[400];
    make_text(p, content, sizeof content, false);
    run(p, &(hf_op){.op = "updateContent",
                    .message_id = any_id(p, id, sizeof id),
                    .content = hf_text_of(content),
                    .index = p->indexed ? HF_YES : HF_NO});
}

static void step_update(place *p) {
    char id[24], updates[40];
    snprintf(updates, sizeof updates, "{\"n\":%zu}", any(p, 1000000));
    run(p, &(hf_op){.op = "update", .message_id = any_id(p, id, sizeof id), .updates = hf_text_of(updates)});
}

static void step_delete(place *p) {
    char id[24];
    size_t which = any(p, p->count);
    snprintf(id, sizeof id, "m%zu", p->live[which]);
    p->live[which] = p->live[--p->count];
    run(p, &(hf_op){.op = "delete", .message_id = hf_text_of(id)});
}

static void step_get(place *p) {
    char id[24];
    run(p, &(hf_op){.op = "get", .message_id = any_id(p, id, sizeof id)});
}

static void step_search(place *p) {
    run(p, &(hf_op){.op = "search", .query = hf_text_of("quokka")});
}

/* Of add and delete there are as many, so that the stores stay as large as they are. */
static const struct {
    const char *name;
    void (*step)(place *);
} steps_of[OPS] = {
    {"add", step_add}, {"updateContent", step_content}, {"update", step_update}, {"delete", step_delete},
    {"get", step_get}, {"search", step_search},
};

/* ---- Stores and rounds ------------------------------------------------------------------------- */

static void open_place(place *p, const char *folder, size_t rounds, size_t steps) {
    hf_error err;
    hf_options options = {.size = sizeof options, .durability = HF_DURABILITY_NORMAL};
    snprintf(p->path, sizeof p->path, "%s/%zu-%d.db", folder, p->rows, p->indexed);
    p->live = allocate(p->rows + rounds * (steps + 1), sizeof *p->live);
    for (int i = 0; i < OPS; i++)
        p->slices[i] = allocate(rounds, sizeof(double));
    if (hf_open(p->path, &options, &p->store, &err) != HF_OK) die("%s: %s", p->path, err.message);
    double begun = now_ns();
    fill(p);
    fprintf(stderr, "%zu rows%s: filled in %.1f s\n", p->rows, p->indexed ? ", indexed" : "",
            (now_ns() - begun) / 1e9);
}

static void close_place(place *p) {
    hf_close(p->store);
    remove_database(p->path);
    free(p->live);
    for (int i = 0; i < OPS; i++)
        free(p->slices[i]);
}

/* One slice of an op. Its first step, which finds the caches full of another store, does not count. */
static double run_slice(place *p, int op, double *spent, size_t steps) {
    steps_of[op].step(p);
    for (size_t i = 0; i < steps; i++) {
        double begun = now_ns();
        steps_of[op].step(p);
        spent[i] = now_ns() - begun;
    }
    return quantile(spent, steps, 0.5);
}

static void report(const place *p, const place *smallest, int op, size_t rounds) {
    double *ratios = allocate(rounds, sizeof *ratios);
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = p->slices[op][i] / smallest->slices[op][i];
    double ratio = quantile(ratios, rounds, 0.5), low = quantile(ratios, rounds, 0.25);
    double high = quantile(ratios, rounds, 0.75), us = quantile(p->slices[op], rounds, 0.5) / 1e3;
    printf("{\"case\":\"%s\",\"what\":\"%s\",\"rows\":%zu,\"us\":%.2f,\"ratio\":%.3f,\"low\":%.3f,"
           "\"high\":%.3f}\n",
           steps_of[op].name, p->indexed ? "indexed" : "unindexed", p->rows, us, ratio, low, high);
    free(ratios);
}

static const size_t sizes[] = {1000, 100000, 1000000};

enum { SIZES = sizeof sizes / sizeof *sizes };

int main(int argc, char **argv) {
    static place places[2 * SIZES]; /* the smallest of each kind first */
    size_t rounds = 100, steps = 20, most = 100000, count = 0;
    char folder[64];
    int option;
    while ((option = getopt(argc, argv, "r:s:n:")) != -1) {
        if (option == 'r')
            rounds = number(optarg);
        else if (option == 's')
            steps = number(optarg);
        else if (option == 'n')
            most = number(optarg);
        else
            die("usage: growth [-r ROUNDS] [-s STEPS] [-n MOST_ROWS]");
    }
    make_folder(folder, sizeof folder);
    double *spent = allocate(steps, sizeof *spent);
    for (size_t i = 0; i < SIZES && (i == 0 || sizes[i] <= most); i++) {
        for (int indexed = 0; indexed < 2; indexed++) {
            place *p = &places[count++];
            *p = (place){.rows = sizes[i], .indexed = indexed, .seed = {1, 2, 3}};
            open_place(p, folder, rounds, steps);
        }
    }
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++)
            for (int op = 0; op < OPS; op++) {
                place *p = &places[(i + round) % count];
                p->slices[op][round] = run_slice(p, op, spent, steps);
            }
    for (int op = 0; op < OPS; op++)
        for (size_t i = count; i-- > 0;) /* the smallest last, because reporting sorts */
            report(&places[i], &places[i % 2], op, rounds);
    for (size_t i = 0; i < count; i++)
        close_place(&places[i]);
    free(spent);
    rmdir(folder);
    return fflush(stdout) == 0 ? 0 : 1;
}
