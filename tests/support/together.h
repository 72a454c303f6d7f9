/* Ops that wait for each other, on purpose: the first one stops in a layer until the others stand in line behind it, in
 * the order in which they are given. And what SQLite is told meanwhile, in the fixture's `trace`. */
#ifndef HF_TESTS_SUPPORT_TOGETHER_H
#define HF_TESTS_SUPPORT_TOGETHER_H

#include <pthread.h>
#include <time.h>

#include "engine/engine.h"
#include "store/stmt.h"
#include "support/store.h"

/* The op that stops: nothing else in these tests is of its kind. */
#define GATE .op = "updateConversation", .conversation_id = T("c1"), .title = T("gate")

static inline void nap(void) {
    nanosleep(&(struct timespec){0, 200000}, NULL);
}

typedef struct gate {
    _Atomic bool closed, entered;
} gate;

static inline int gate_layer(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    gate *g = hf_layer_data(layer);
    atomic_store(&g->entered, true);
    while (atomic_load(&g->closed))
        nap();
    return hf_next(layer, op, result, err);
}

/* Puts the gate into the chain. What shares a commit is then a matter of who waits, and not of how fast the machine is. */
static inline void use_gate(fixture *f, gate *g) {
    f->store->line.most_ns = INT64_C(60000000000);
    static const char *const ops[] = {"updateConversation", NULL};
    use_c(f, "gate", ops, gate_layer, g);
}

static inline size_t count_seats(hf_store *store, const hf__seats *seats) {
    size_t count = 0;
    pthread_mutex_lock(&store->line.lock);
    for (const hf__seat *seat = seats->first; seat != NULL; seat = seat->next)
        count++;
    pthread_mutex_unlock(&store->line.lock);
    return count;
}

/* How many wait for the turn, and for the commit. */
static inline size_t waiting(hf_store *store) {
    return count_seats(store, &store->line.waiting);
}

static inline size_t members(hf_store *store) {
    return count_seats(store, &store->line.members);
}

static inline void await_waiting(hf_store *store, size_t count) {
    while (waiting(store) < count)
        nap();
}

/* One call on a thread of its own. */
typedef struct caller {
    hf_op op;
    int (*call)(hf_store *store, hf_error *err); /* in place of an op */
    hf_store *store;
    pthread_t thread;
    hf_result result;
    int code;
    hf_error err;
} caller;

static inline void *caller_run(void *data) {
    caller *c = data;
    c->code = c->call != NULL ? c->call(c->store, &c->err) : hf_exec(c->store, &c->op, &c->result, &c->err);
    return NULL;
}

static inline void caller_start(fixture *f, caller *c) {
    c->store = f->store;
    assert_int_equal(pthread_create(&c->thread, NULL, caller_run, c), 0);
}

/* Runs the gate's op, and the callers' behind it, who stand in line before it goes on. */
static inline int run_together(fixture *f, gate *g, caller *callers, size_t count) {
    caller first = {.op = {GATE}};
    atomic_store(&g->entered, false);
    atomic_store(&g->closed, true);
    caller_start(f, &first);
    while (!atomic_load(&g->entered))
        nap();
    for (size_t i = 0; i < count; i++) {
        caller_start(f, &callers[i]);
        await_waiting(f->store, i + 1);
    }
    f->trace[0] = '\0';
    atomic_store(&g->closed, false);
    pthread_join(first.thread, NULL);
    for (size_t i = 0; i < count; i++)
        pthread_join(callers[i].thread, NULL);
    hf_result_free(&first.result);
    return first.code;
}

static inline void callers_free(caller *callers, size_t count) {
    for (size_t i = 0; i < count; i++)
        hf_result_free(&callers[i].result);
}

/* ---- What SQLite is told ----------------------------------------------------------------------- */

static inline int tell_statement(unsigned kind, void *data, void *stmt, void *text) {
    static const char *const words[][2] = {
        {"BEGIN IMMEDIATE", "begin "}, {"BEGIN", "read "},        {"COMMIT", "commit "},
        {"ROLLBACK TO", "undo "},      {"ROLLBACK", "rollback "}, {"SAVEPOINT", "mark "},
        {"RELEASE", "release "},
    };
    (void)kind, (void)stmt;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strncmp(text, words[i][0], strlen(words[i][0])) != 0) continue;
        fixture_note(data, words[i][1]);
        break;
    }
    return 0;
}

/* From now on the transaction's statements go to the trace. */
static inline void watch_statements(fixture *f) {
    sqlite3 *db = ((hf__store *)f->store->terminal.data)->db;
    sqlite3_trace_v2(db, SQLITE_TRACE_STMT, tell_statement, f);
    f->trace[0] = '\0';
}

/* How often `word` is in the trace. */
static inline int times(const fixture *f, const char *word) {
    int count = 0;
    for (const char *at = f->trace; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

/* All messages, as "id=content ..." in their order. */
static inline const char *messages_of(const fixture *f) {
    static char held[2000];
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT coalesce(group_concat(id || '=' || content, ' '), '')"
                                        " FROM (SELECT * FROM messages ORDER BY position)",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    snprintf(held, sizeof held, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return held;
}

#endif
