/*
 * What it costs to store a reply while it streams in: by `append`, by `updateContent` of all there is so far at each
 * delta, and by SQLite alone, which rewrites the content as well. The ways take turns, a whole stream each; one JSON
 * line for each goes to standard output, README.md says what is in it.
 */
#define _XOPEN_SOURCE 700

#include <sqlite3.h>

#include "bench/bench.h"
#include "support/fault_vfs.h"

enum { DELTA = 80, END = 100 }; /* bytes of a delta; how many deltas an end of the stream has */

typedef struct way way;

struct way {
    const char *name, *what;
    void (*flush)(way *, size_t count); /* stores delta number `count` */
    size_t deltas;
    char path[128], id[32];
    hf_store *store;
    sqlite3 *db;
    sqlite3_stmt *begin, *update, *commit;
    long wal_bytes;                           /* of the deltas of the last stream, where they are counted */
    double *totals, *firsts, *lasts, *ratios; /* of each round, ns */
};

static char *text; /* as long as the longest stream */

/* ---- Ways to store a delta --------------------------------------------------------------------- */

static void run(const way *w, const hf_op *op) {
    hf_result result = {0};
    hf_error err;
    if (hf_exec(w->store, op, &result, &err) != HF_OK) die("%s: %s: %s", w->name, op->op, err.message);
    hf_result_free(&result);
}

static void flush_append(way *w, size_t count) {
    run(w, &(hf_op){.op = "append",
                    .message_id = hf_text_of(w->id),
                    .delta = {text + (count - 1) * DELTA, DELTA},
                    .seq = (int64_t)count});
}

static void flush_content(way *w, size_t count) {
    run(w, &(hf_op){.op = "updateContent",
                    .message_id = hf_text_of(w->id),
                    .content = {text, count * DELTA},
                    .index = HF_NO});
}

static void check(const way *w, int rc, int expected) {
    if (rc != expected) die("%s: SQLite %d: %s", w->name, rc, sqlite3_errmsg(w->db));
}

static void finish(const way *w, sqlite3_stmt *statement) {
    check(w, sqlite3_step(statement), SQLITE_DONE);
    check(w, sqlite3_reset(statement), SQLITE_OK);
}

static void flush_sqlite(way *w, size_t count) {
    finish(w, w->begin);
    check(w, sqlite3_bind_text(w->update, 1, text, (int)(count * DELTA), SQLITE_STATIC), SQLITE_OK);
    check(w, sqlite3_bind_text(w->update, 2, w->id, -1, SQLITE_STATIC), SQLITE_OK);
    finish(w, w->update);
    finish(w, w->commit);
}

#define REWRITTEN "updateContent of all so far, unindexed"

static way ways[] = {
    {.name = "append-2000", .what = "append", .flush = flush_append, .deltas = 2000},
    {.name = "update-2000", .what = REWRITTEN, .flush = flush_content, .deltas = 2000},
    {.name = "append-500", .what = "append", .flush = flush_append, .deltas = 500},
    {.name = "update-500", .what = REWRITTEN, .flush = flush_content, .deltas = 500},
    {.name = "sqlite-500", .what = "UPDATE by SQLite alone", .flush = flush_sqlite, .deltas = 500},
};

enum { WAYS = sizeof ways / sizeof *ways };

/* ---- Stores ------------------------------------------------------------------------------------ */

/* For the way without Holdfast, a connection of its own to the same file. */
static void open_beside(way *w) {
    const struct {
        sqlite3_stmt **out;
        const char *sql;
    } statements[] = {
        {&w->begin, "BEGIN IMMEDIATE"},
        {&w->update, "UPDATE messages SET content = ? WHERE id = ?"},
        {&w->commit, "COMMIT"},
    };
    check(w, sqlite3_open_v2(w->path, &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL), SQLITE_OK);
    check(w, sqlite3_exec(w->db, "PRAGMA synchronous = NORMAL; PRAGMA mmap_size = 0", NULL, NULL, NULL),
          SQLITE_OK);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        check(w,
              sqlite3_prepare_v3(w->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT, statements[i].out,
                                 NULL),
              SQLITE_OK);
}

static void open_way(way *w, const char *folder) {
    hf_error err;
    hf_options options = {.size = sizeof options, .durability = HF_DURABILITY_NORMAL};
    snprintf(w->path, sizeof w->path, "%s/%s.db", folder, w->name);
    if (hf_open(w->path, &options, &w->store, &err) != HF_OK) die("%s: %s", w->name, err.message);
    run(w, &(hf_op){.op = "createConversation", .conversation_id = hf_text_of("bench")});
    if (w->flush == flush_sqlite) open_beside(w);
}

static void close_way(way *w) {
    sqlite3_finalize(w->begin);
    sqlite3_finalize(w->update);
    sqlite3_finalize(w->commit);
    if (sqlite3_close(w->db) != SQLITE_OK) die("%s: the database stays open", w->name);
    w->begin = w->update = w->commit = NULL;
    w->db = NULL;
    hf_close(w->store);
    remove_database(w->path);
}

/* ---- Streams ----------------------------------------------------------------------------------- */

/* A whole stream into a message of its own; `spent` gets the time of each delta. */
static void stream(way *w, size_t number, double *spent) {
    snprintf(w->id, sizeof w->id, "m%zu", number);
    run(w, &(hf_op){.op = "reserve",
                    .conversation_id = hf_text_of("bench"),
                    .role = hf_text_of("assistant"),
                    .message_id = hf_text_of(w->id)});
    fault_vfs_wal_bytes();
    for (size_t i = 1; i <= w->deltas; i++) {
        double begun = now_ns();
        w->flush(w, i);
        spent[i - 1] = now_ns() - begun;
    }
    w->wal_bytes = fault_vfs_wal_bytes();
    run(w, &(hf_op){.op = "updateContent",
                    .message_id = hf_text_of(w->id),
                    .content = {text, w->deltas * DELTA},
                    .index = HF_NO});
}

static double sum(const double *values, size_t count) {
    double total = 0;
    for (size_t i = 0; i < count; i++)
        total += values[i];
    return total;
}

static void run_round(way *w, size_t round, double *spent) {
    double *last = spent + w->deltas - END;
    stream(w, round, spent);
    w->totals[round] = sum(spent, w->deltas);
    w->firsts[round] = sum(spent, END);
    w->lasts[round] = sum(last, END);
    double first_step = quantile(spent, END, 0.5);
    w->ratios[round] = quantile(last, END, 0.5) / first_step;
}

static void report(way *w, size_t rounds) {
    double total = quantile(w->totals, rounds, 0.5), size = (double)(w->deltas * DELTA);
    double bytes = (double)w->wal_bytes;
    double first = quantile(w->firsts, rounds, 0.5), last = quantile(w->lasts, rounds, 0.5);
    printf("{\"case\":\"%s\",\"what\":\"%s\",\"deltas\":%zu,\"ms\":%.2f,\"us\":%.2f,\"firstUs\":%.1f,"
           "\"lastUs\":%.1f,\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f,\"walBytes\":%.0f,\"walPages\":%.2f,"
           "\"walTimes\":%.1f}\n",
           w->name, w->what, w->deltas, total / 1e6, total / 1e3 / (double)w->deltas, first / 1e3, last / 1e3,
           quantile(w->ratios, rounds, 0.5), quantile(w->ratios, rounds, 0.25),
           quantile(w->ratios, rounds, 0.75), bytes, bytes / 4096 / (double)w->deltas, bytes / size);
}

int main(int argc, char **argv) {
    size_t rounds = 15, most = 2000;
    char folder[64];
    int option;
    while ((option = getopt(argc, argv, "r:n:")) != -1) {
        if (option == 'r')
            rounds = number(optarg);
        else if (option == 'n')
            most = number(optarg);
        else
            die("usage: streams [-r ROUNDS] [-n MOST_DELTAS]");
    }
    if (most < END) die("expected at least %d deltas", END);
    double *spent = allocate(2000, sizeof *spent);
    text = allocate(2000, DELTA);
    memset(text, 'x', 2000 * DELTA);
    make_folder(folder, sizeof folder);

    for (size_t i = 0; i < WAYS; i++) {
        way *w = &ways[i];
        if (w->deltas > most) w->deltas = most;
        double **kept[] = {&w->totals, &w->firsts, &w->lasts, &w->ratios};
        for (size_t j = 0; j < 4; j++)
            *kept[j] = allocate(rounds + 1, sizeof(double));
        open_way(w, folder);
        run_round(w, rounds, spent); /* which does not count */
    }
    for (size_t round = 0; round < rounds; round++)
        for (size_t i = 0; i < WAYS; i++)
            run_round(&ways[(i + round) % WAYS], round, spent);
    for (size_t i = 0; i < WAYS; i++)
        close_way(&ways[i]);
    fault_vfs_install(); /* to count one more stream, which is not timed: whoever counts swallows the syncs */
    for (size_t i = 0; i < WAYS; i++) {
        way *w = &ways[i];
        open_way(w, folder);
        stream(w, 0, spent);
        close_way(w);
        report(w, rounds);
        free(w->totals);
        free(w->firsts);
        free(w->lasts);
        free(w->ratios);
    }
    free(text);
    free(spent);
    rmdir(folder);
    return fflush(stdout) == 0 ? 0 : 1;
}
