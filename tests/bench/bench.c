/*
 * What the chain costs, as ratios to a baseline in the same run. Each case has a store of its own and one kind of
 * step; the cases take turns in short slices, in another order each round, so that whatever else the machine does
 * falls on all of them alike. One JSON line for each case goes to standard output; README.md says what is in it.
 *
 * A new case is an entry in `cases`; a new kind of work is a `step`. Drawing the table is left to table.lua.
 */
#define _XOPEN_SOURCE 700

#include <sqlite3.h>

#include "base/uuid.h"
#include "bench/bench.h"

enum { ROWS = 1000 }; /* for the cases that read */

/* ---- What a case is ---------------------------------------------------------------------------- */

typedef struct subject subject;

typedef struct bench_case {
    const char *name;
    const char *baseline; /* the name of an earlier or later case; NULL for none */
    const char *what;
    void (*step)(subject *);
    int ops; /* in one step */

    /* The store: its layers, one above the other. */
    int layers;
    const char *script; /* each layer runs it, */
    hf_layer_fn fn;     /* or calls it, */
    const char *stock;  /* or they are these stock middlewares, one for each, with commas */
    bool indexed;       /* the text goes into the search index; else it skips it */
    bool trusted;

    /* The op. */
    size_t size; /* bytes of content */
    const char *metadata;
} bench_case;

struct subject {
    const bench_case *is;
    char path[128];
    char *content;
    hf_store *store;
    sqlite3 *db; /* for the case without Holdfast */
    sqlite3_stmt *begin, *insert, *update, *commit;
    hf__uuid_source uuids;
    char (*ids)[HF__UUID_SIZE + 1]; /* of the messages that are read */
    size_t next;
    double *slices;      /* the median of each round's steps, ns */
    double total, steps; /* of all rounds, ns */
};

/* ---- Steps ------------------------------------------------------------------------------------- */

static void run(const subject *s, const hf_op *op) {
    hf_result result = {0};
    hf_error err;
    if (hf_exec(s->store, op, &result, &err) != HF_OK) die("%s: %s", s->is->name, err.message);
    hf_result_free(&result);
}

static void step_add(subject *s) {
    run(s, &(hf_op){.op = "add",
                    .conversation_id = hf_text_of("bench"),
                    .role = hf_text_of("user"),
                    .content = {s->content, s->is->size},
                    .metadata = hf_text_of(s->is->metadata),
                    .skip_indexing = s->is->indexed ? HF_NO : HF_YES});
}

static void step_get(subject *s) {
    run(s, &(hf_op){.op = "get", .message_id = hf_text_of(s->ids[s->next++ % ROWS])});
}

static void check(const subject *s, int rc, int expected) {
    if (rc != expected) die("%s: SQLite %d: %s", s->is->name, rc, sqlite3_errmsg(s->db));
}

static void finish(const subject *s, sqlite3_stmt *statement) {
    check(s, sqlite3_step(statement), SQLITE_DONE);
    check(s, sqlite3_reset(statement), SQLITE_OK);
}

/* The least that an `add` can be: a new id, the row, and the conversation's times, in one transaction. */
static void step_sqlite_add(subject *s) {
    char id[HF__UUID_SIZE + 1];
    unsigned char random[10];
    int64_t now = hf__now(NULL);
    if (hf__random(NULL, random, sizeof random) != 0) die("%s: no random bytes", s->is->name);
    hf__uuid_make(&s->uuids, now, random, id);
    finish(s, s->begin);
    check(s, sqlite3_bind_text(s->insert, 1, id, HF__UUID_SIZE, SQLITE_STATIC), SQLITE_OK);
    check(s, sqlite3_bind_text(s->insert, 2, s->content, (int)s->is->size, SQLITE_STATIC), SQLITE_OK);
    check(s, sqlite3_bind_int64(s->insert, 3, now), SQLITE_OK);
    finish(s, s->insert);
    check(s, sqlite3_bind_int64(s->update, 1, now), SQLITE_OK);
    finish(s, s->update);
    finish(s, s->commit);
}

/* ---- Layers ------------------------------------------------------------------------------------ */

static const char pass[] = "return {ops = '*', handle = function(op, next) return next(op) end}";

static const char observe[] = "local bytes = 0\n"
                              "return {ops = '*', handle = function(op, next)\n"
                              "  local result = next(op)\n"
                              "  if result.message then bytes = bytes + #result.message.content end\n"
                              "  return result\n"
                              "end}";

static int pass_in_c(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

/* ---- The cases --------------------------------------------------------------------------------- */

#define ADD .step = step_add, .ops = 1, .size = 1024
#define GET .step = step_get, .ops = 1, .size = 1024

static const bench_case cases[] = {
    {"add-sqlite", NULL, "the same rows by SQLite alone", .step = step_sqlite_add, .ops = 1, .size = 1024},
    {"add", "add-sqlite", "no layer", ADD},
    {"add-indexed", "add", "no layer, with the search index", ADD, .indexed = true},
    {"add-lua-1", "add", "1 Lua layer that passes the op on", ADD, .layers = 1, .script = pass},
    {"add-lua-5", "add", "5 of them", ADD, .layers = 5, .script = pass},
    {"add-lua-20", "add", "20 of them", ADD, .layers = 20, .script = pass},
    {"add-trusted-5", "add", "5, without budgets", ADD, .layers = 5, .script = pass, .trusted = true},
    {"add-c-5", "add", "5 C layers that pass the op on", ADD, .layers = 5, .fn = pass_in_c},
    {"add-observe-5", "add", "5 Lua layers that look at the result", ADD, .layers = 5, .script = observe},
    {"add-redact-audit", "add", "redact and audit", ADD, .layers = 2, .stock = "redact,audit"},
    {"add-metadata", "add", "3 keys of metadata, no layer", ADD,
     .metadata = "{\"model\":\"m-1\",\"tokens\":311,\"tags\":[\"a\",\"b\"]}"},
    {"add-metadata-5", "add-metadata", "the same through 5 Lua layers", ADD, .layers = 5, .script = pass,
     .metadata = "{\"model\":\"m-1\",\"tokens\":311,\"tags\":[\"a\",\"b\"]}"},
    {"get", NULL, "no layer", GET},
    {"get-lua-5", "get", "5 Lua layers that pass the op on", GET, .layers = 5, .script = pass},
};

enum { CASES = sizeof cases / sizeof *cases };

/* ---- Stores ------------------------------------------------------------------------------------ */

/* English enough for a pattern, and the same in every run. */
static char *make_content(size_t size) {
    static const char words[] = "The tool returned three files, and the second of them looks like a match. ";
    char *content = allocate(size + 1, 1);
    for (size_t i = 0; i < size; i++)
        content[i] = words[i % (sizeof words - 1)];
    return content;
}

static void swallow(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)data, (void)level, (void)layer, (void)message, (void)fields;
}

static void add_layers(subject *s) {
    const bench_case *is = s->is;
    const char *stock = is->stock;
    hf_error err;
    for (int i = 0; i < is->layers; i++) {
        char name[64];
        int rc;
        snprintf(name, sizeof name, "layer-%d", i);
        if (stock != NULL) {
            snprintf(name, sizeof name, "%.*s", (int)strcspn(stock, ","), stock);
            stock += strcspn(stock, ",");
            stock += *stock == ',';
            rc = hf_use_file(s->store, name, (hf_text){0}, &err);
        } else if (is->fn != NULL) {
            static const char *const all[] = {"*", NULL};
            rc = hf_use_function(
                s->store, &(hf_layer_options){sizeof(hf_layer_options), name, all, NULL, NULL}, is->fn, &err);
        } else {
            rc = hf_use_string(s->store, name, hf_text_of(is->script), (hf_text){0}, &err);
        }
        if (rc != HF_OK) die("%s: %s: %s", is->name, name, err.message);
    }
}

/* SQLite alone takes over a file that Holdfast has made, and sets what Holdfast sets. */
static void take_over(subject *s) {
    static const char *const settings = "PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
                                        "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0";
    const struct {
        sqlite3_stmt **out;
        const char *sql;
    } statements[] = {
        {&s->begin, "BEGIN IMMEDIATE"},
        {&s->insert, "INSERT INTO messages(id, conversation_id, role, state, content, created_at)"
                     " VALUES(?1, 'bench', 'user', 'final', ?2, ?3)"},
        {&s->update, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1 WHERE id = 'bench'"},
        {&s->commit, "COMMIT"},
    };
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    hf_close(s->store);
    s->store = NULL;
    check(s, sqlite3_open_v2(s->path, &s->db, flags, NULL), SQLITE_OK);
    check(s, sqlite3_exec(s->db, settings, NULL, NULL, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        check(s,
              sqlite3_prepare_v3(s->db, statements[i].sql, -1, SQLITE_PREPARE_PERSISTENT, statements[i].out,
                                 NULL),
              SQLITE_OK);
}

/* ROWS messages to read, and their ids. */
static void fill(subject *s) {
    s->ids = allocate(ROWS, sizeof *s->ids);
    for (int i = 0; i < ROWS; i++) {
        snprintf(s->ids[i], sizeof s->ids[i], "row-%d", i);
        run(s, &(hf_op){.op = "add",
                        .conversation_id = hf_text_of("bench"),
                        .role = hf_text_of("user"),
                        .message_id = hf_text_of(s->ids[i]),
                        .content = {s->content, s->is->size}});
    }
}

static void open_subject(subject *s, const char *folder) {
    hf_error err;
    hf_options options = {
        .size = sizeof options,
        .durability = HF_DURABILITY_NORMAL,
        .trusted = s->is->trusted ? HF_YES : HF_DEFAULT,
        .log = swallow,
    };
    snprintf(s->path, sizeof s->path, "%s/%s.db", folder, s->is->name);
    s->content = make_content(s->is->size);
    if (hf_open(s->path, &options, &s->store, &err) != HF_OK) die("%s: %s", s->is->name, err.message);
    run(s, &(hf_op){.op = "createConversation", .conversation_id = hf_text_of("bench")});
    if (s->is->step == step_get) fill(s);
    if (s->is->step == step_sqlite_add) take_over(s);
    add_layers(s);
}

static void close_subject(subject *s) {
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->insert);
    sqlite3_finalize(s->update);
    sqlite3_finalize(s->commit);
    if (sqlite3_close(s->db) != SQLITE_OK) die("%s: the database stays open", s->is->name);
    hf_close(s->store);
    remove_database(s->path);
    free(s->content);
    free(s->ids);
    free(s->slices);
}

/* ---- Rounds ------------------------------------------------------------------------------------ */

/* One slice of a case. Its first step, which finds the caches full of another case, does not count. */
static double run_slice(subject *s, double *spent, size_t steps) {
    s->is->step(s);
    for (size_t i = 0; i < steps; i++) {
        double begun = now_ns();
        s->is->step(s);
        spent[i] = now_ns() - begun;
        s->total += spent[i];
    }
    s->steps += (double)steps;
    return quantile(spent, steps, 0.5);
}

static void run_rounds(subject **subjects, size_t count, size_t rounds, size_t steps) {
    double *spent = allocate(steps, sizeof *spent);
    unsigned short seed[3] = {1, 2, 3};
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = count; i > 1; i--) { /* another order */
            size_t other = (size_t)(erand48(seed) * (double)i);
            subject *swapped = subjects[i - 1];
            subjects[i - 1] = subjects[other];
            subjects[other] = swapped;
        }
        for (size_t i = 0; i < count; i++)
            subjects[i]->slices[round] = run_slice(subjects[i], spent, steps);
    }
    free(spent);
}

/* ---- What comes out ---------------------------------------------------------------------------- */

static void report(const subject *s, const subject *baseline, size_t rounds) {
    double *values = allocate(rounds, sizeof *values);
    double ops = s->is->ops;
    memcpy(values, s->slices, rounds * sizeof *values);
    double median = quantile(values, rounds, 0.5) / ops;
    double mean = s->total / s->steps / ops;
    printf("{\"case\":\"%s\",\"what\":\"%s\",\"us\":%.2f,\"meanUs\":%.2f,\"opsPerSecond\":%.0f", s->is->name,
           s->is->what, median / 1e3, mean / 1e3, 1e9 / median);
    if (baseline != NULL) {
        double base_ops = baseline->is->ops, base_mean = baseline->total / baseline->steps / base_ops;
        for (size_t i = 0; i < rounds; i++)
            values[i] = s->slices[i] / ops - baseline->slices[i] / base_ops;
        double added = quantile(values, rounds, 0.5);
        for (size_t i = 0; i < rounds; i++)
            values[i] = baseline->slices[i] / base_ops / (s->slices[i] / ops);
        double low = quantile(values, rounds, 0.25), high = quantile(values, rounds, 0.75);
        printf(",\"baseline\":\"%s\",\"ratio\":%.4f,\"low\":%.4f,\"high\":%.4f,\"addedUs\":%.2f,"
               "\"sustained\":%.4f",
               baseline->is->name, quantile(values, rounds, 0.5), low, high, added / 1e3,
               base_mean / (base_mean + added));
    }
    printf("}\n");
    free(values);
}

static subject *find(subject *all, const char *name) {
    for (size_t i = 0; i < CASES; i++)
        if (name != NULL && strcmp(all[i].is->name, name) == 0) return &all[i];
    return NULL;
}

/* Marks the cases that are named, and what they are compared with; all without names. */
static size_t choose(subject *all, char **names, subject **chosen) {
    size_t count = 0;
    for (char **name = names; *name != NULL; name++)
        if (find(all, *name) == NULL) die("there is no case \"%s\"", *name);
    for (size_t i = 0; i < CASES; i++) {
        bool wanted = *names == NULL;
        for (char **name = names; *name != NULL && !wanted; name++) {
            const char *baseline = find(all, *name)->is->baseline;
            wanted = strcmp(*name, cases[i].name) == 0 ||
                     (baseline != NULL && strcmp(baseline, cases[i].name) == 0);
        }
        if (wanted) chosen[count++] = &all[i];
    }
    return count;
}

int main(int argc, char **argv) {
    static subject all[CASES];
    subject *chosen[CASES], *order[CASES];
    size_t rounds = 200, steps = 40;
    int option;
    while ((option = getopt(argc, argv, "r:s:")) != -1) {
        if (option == 'r')
            rounds = number(optarg);
        else if (option == 's')
            steps = number(optarg);
        else
            die("usage: bench [-r ROUNDS] [-s STEPS] [CASE...]");
    }
    char folder[64];
    make_folder(folder, sizeof folder);

    for (size_t i = 0; i < CASES; i++)
        all[i].is = &cases[i];
    size_t count = choose(all, argv + optind, chosen);
    for (size_t i = 0; i < count; i++) {
        chosen[i]->slices = allocate(rounds, sizeof(double));
        open_subject(chosen[i], folder);
        order[i] = chosen[i];
    }
    run_rounds(order, count, rounds, steps);
    for (size_t i = 0; i < count; i++) {
        const subject *baseline = find(all, chosen[i]->is->baseline);
        report(chosen[i], baseline != NULL && baseline->slices != NULL ? baseline : NULL, rounds);
    }
    for (size_t i = 0; i < count; i++)
        close_subject(chosen[i]);
    rmdir(folder);
    return fflush(stdout) == 0 ? 0 : 1;
}
