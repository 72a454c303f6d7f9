/* A store's terminal in the hands of a test: each op in a transaction of its own, its answer checked against
 * the list of ops. Everything lives in a folder that goes away with the test. */
#ifndef HF_TESTS_SUPPORT_TERMINAL_H
#define HF_TESTS_SUPPORT_TERMINAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "op/check.h"
#include "store/stmt.h"

#define T(text) hf_text_of(text)
#define assert_text(text, expected) assert_string_equal((text).data, expected)

typedef struct fixture {
    char folder[64], path[96];
    hf__host host;
    hf__store_options options;
    int64_t clock; /* what the store takes for the time */
    hf_terminal terminal;
    hf_result result; /* of the last `done` */
    hf_error err;     /* of the last `failed` */
} fixture;

static inline int64_t fixture_now(void *data) {
    return *(int64_t *)data;
}

static inline int fixture_random(void *data, void *bytes, size_t size) {
    (void)data;
    return hf__random(NULL, bytes, size);
}

/* A folder, and options; nothing is open yet. */
static inline void fixture_start(fixture *f) {
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/holdfast-store-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/store.db", f->folder);
    f->clock = 1000000;
    f->options = (hf__store_options){
        .durability = HF_DURABILITY_NORMAL,
        .busy_timeout_ms = 20,
        .host = &f->host,
    };
    f->host = (hf__host){
        .limits = {.content = 1 << 20, .metadata = 4096, .depth = 64, .batch = 100, .json = 1 << 21},
        .now = fixture_now,
        .random = fixture_random,
        .source_data = &f->clock,
    };
}

static inline void fixture_open(fixture *f) {
    if (hf__store_open(f->path, &f->options, &f->terminal, &f->err) != HF_OK) fail_msg("%s", f->err.message);
}

static inline void fixture_close(fixture *f) {
    hf_result_free(&f->result);
    if (f->terminal.close != NULL) f->terminal.close(f->terminal.data);
    f->terminal = (hf_terminal){0};
}

static inline void fixture_end(fixture *f) {
    char command[96];
    fixture_close(f);
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
}

/* The connection, for what no op shows. */
static inline sqlite3 *fixture_db(fixture *f) {
    return ((hf__store *)f->terminal.data)->db;
}

static inline void fixture_sql(fixture *f, const char *sql) {
    char *message = NULL;
    if (sqlite3_exec(fixture_db(f), sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
}

static inline int64_t fixture_ask(fixture *f, const char *sql) {
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(fixture_db(f), sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return answer;
}

/* What a check that ought to pass says: nothing, unless memory ran out. */
static inline int sound(const hf_op *op, int code, const hf_error *err) {
    if (code != HF_OK && code != HF_MEMORY) fail_msg("%s: %s", op->op, err->message);
    return code;
}

/* Runs the op within the transaction that is open. */
static inline int inside(fixture *f, const hf_op *op) {
    const hf__op_def *def = NULL;
    const hf__limits *limits = &f->host.limits;
    int code = sound(op, hf__op_check(op, limits, &def, &f->err), &f->err);
    if (code != HF_OK) return code;
    hf_result_free(&f->result);
    f->result.op = def->name;
    code = f->terminal.exec(f->terminal.data, op, &f->result, &f->err);
    return code != HF_OK ? code : sound(op, hf__result_check(def, &f->result, &f->err), &f->err);
}

static inline int whole(fixture *f, const hf_op *op) {
    int code = f->terminal.begin(f->terminal.data, hf_op_writes(op->op), &f->err);
    if (code == HF_OK) code = inside(f, op);
    if (code == HF_OK) code = f->terminal.commit(f->terminal.data, &f->err);
    if (code != HF_OK) f->terminal.rollback(f->terminal.data);
    return code;
}

/* The answer to an op that succeeds; valid until the next op. */
#define done(f, ...) (done_op((f), &(hf_op){__VA_ARGS__}))
static inline const hf_result *done_op(fixture *f, const hf_op *op) {
    if (whole(f, op) != HF_OK) fail_msg("%s: %s: %s", op->op, f->err.name, f->err.message);
    return &f->result;
}

/* The code of an op that fails. */
#define failed(f, ...) (failed_op((f), &(hf_op){__VA_ARGS__}))
static inline int failed_op(fixture *f, const hf_op *op) {
    int code = whole(f, op);
    assert_int_not_equal(code, HF_OK);
    assert_int_equal(code, f->err.code);
    assert_true(f->err.message[0] != '\0');
    return code;
}

#endif
