/* A store in the hands of a test, through the public header alone. Its file lives in a folder that goes away
 * with the test. Layers and the library tell `trace` what they do. */
#ifndef HF_TESTS_SUPPORT_STORE_H
#define HF_TESTS_SUPPORT_STORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "holdfast.h"

#define T(text) hf_text_of(text)
#define NONE ((hf_text){NULL, 0})
#define assert_text(text, expected) assert_string_equal((text).data, expected)
#define assert_code(found, expected) assert_string_equal(hf_code_name(found), hf_code_name(expected))
#define assert_says(err, part)                                                                               \
    do {                                                                                                     \
        if (strstr((err)->message, (part)) == NULL) fail_msg("\"%s\" lacks \"%s\"", (err)->message, (part)); \
    } while (0)

typedef struct fixture {
    char folder[64], path[96];
    hf_options options;
    hf_store *store;
    hf_result result; /* of the last `done` */
    hf_error err;     /* of the last `failed` */
    char trace[4096];
} fixture;

static inline void fixture_note(fixture *f, const char *text) {
    size_t size = strlen(f->trace);
    snprintf(f->trace + size, sizeof f->trace - size, "%s", text);
}

static inline void fixture_log(void *data, hf_level level, const char *layer, const char *message,
                               hf_text fields) {
    (void)level, (void)layer, (void)fields;
    fixture_note(data, message);
}

/* A folder, and options; nothing is open yet. */
static inline void fixture_start(fixture *f) {
    memset(f, 0, sizeof *f);
    snprintf(f->folder, sizeof f->folder, "/tmp/holdfast-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/store.db", f->folder);
    f->options.size = sizeof f->options;
    f->options.durability = HF_DURABILITY_NORMAL;
    f->options.log = fixture_log;
    f->options.log_data = f;
}

static inline void fixture_open(fixture *f) {
    if (hf_open(f->path, &f->options, &f->store, &f->err) != HF_OK) fail_msg("%s", f->err.message);
}

static inline void fixture_close(fixture *f) {
    hf_result_free(&f->result);
    hf_close(f->store);
    f->store = NULL;
}

static inline void fixture_end(fixture *f) {
    char command[96];
    fixture_close(f);
    snprintf(command, sizeof command, "rm -r %s", f->folder);
    assert_int_equal(system(command), 0);
}

/* The answer to an op that succeeds; valid until the next op. */
#define done(f, ...) (done_op((f), &(hf_op){__VA_ARGS__}))
static inline const hf_result *done_op(fixture *f, const hf_op *op) {
    if (hf_exec(f->store, op, &f->result, &f->err) != HF_OK)
        fail_msg("%s: %s: layer \"%s\": %s\n%s", op->op, f->err.name, f->err.layer, f->err.message,
                 f->err.traceback);
    assert_string_equal(f->result.op, op->op);
    return &f->result;
}

/* The code of an op that fails, its answer having been left empty. */
#define failed(f, ...) (failed_op((f), &(hf_op){__VA_ARGS__}))
static inline int failed_op(fixture *f, const hf_op *op) {
    int code = hf_exec(f->store, op, &f->result, &f->err);
    assert_int_not_equal(code, HF_OK);
    assert_int_equal(code, f->err.code);
    assert_true(f->err.message[0] != '\0');
    assert_null(strchr(f->err.message, '\n'));
    assert_memory_equal(&f->result, &(hf_result){0}, sizeof f->result);
    return code;
}

/* What an ordinary test asks for, all but its op's name and what it is about. */
#define ADD(id, text) \
    .op = "add", .conversation_id = T("c1"), .role = T("user"), .message_id = T(id), .content = T(text)

/* Puts a Lua layer, or one in C, at the inner end. */
static inline void use_lua(fixture *f, const char *name, const char *source) {
    if (hf_use_string(f->store, name, T(source), NONE, &f->err) != HF_OK)
        fail_msg("%s: %s\n%s", name, f->err.message, f->err.traceback);
}

static inline void use_c(fixture *f, const char *name, const char *const *ops, hf_layer_fn fn, void *data) {
    hf_layer_options options = {.size = sizeof options, .name = name, .ops = ops, .data = data};
    if (hf_use_function(f->store, &options, fn, &f->err) != HF_OK) fail_msg("%s: %s", name, f->err.message);
}

/* The first column of the first row, as somebody else finds it in the file. */
static inline int64_t fixture_ask(const fixture *f, const char *sql) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 1000);
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    return answer;
}

static inline int64_t messages_in(const fixture *f) {
    return fixture_ask(f, "SELECT count(*) FROM messages");
}

/* The stored content of a message; valid until the next op. */
static inline const char *content_of(fixture *f, const char *id) {
    const hf_result *result = done(f, .op = "get", .message_id = T(id));
    return result->message != NULL ? result->message->content.data : NULL;
}

/* A store with the conversation "c1", for cmocka's setup and teardown. */
static inline int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    *state = f;
    return 0;
}

static inline int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

#endif
