/* A store in the hands of many: threads on one handle, and processes on one file. */
#define _DEFAULT_SOURCE /* for usleep */

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/store.h"

enum { THREADS = 8, ROUNDS = 25, PROCESSES = 2, ADDS = 150, APPENDS = 600, OPENINGS = 40 };

static int pass(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

typedef struct worker {
    hf_store *store;
    int number, wrong;
    hf_error err;
} worker;

static void expect(worker *w, int found, int expected) {
    if (found != expected) w->wrong++;
}

/* Each in turn: adds, streams, edits, lists, fails. cmocka's assertions are for the main thread alone. */
static void *work(void *data) {
    worker *w = data;
    hf_result result = {0};
    char id[32], conversation[32], name[32];
    snprintf(conversation, sizeof conversation, "c%d", w->number % 2 + 1);
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(id, sizeof id, "m-%d-%d", w->number, i);
        hf_op add = {.op = i % 2 == 0 ? "add" : "reserve",
                     .conversation_id = T(conversation),
                     .role = T("user"),
                     .message_id = T(id),
                     .content = i % 2 == 0 ? T("x") : NONE};
        expect(w, hf_exec(w->store, &add, &result, &w->err), HF_OK);
        expect(w, result.message != NULL && strcmp(result.message->id.data, id) == 0, 1);
        hf_op edit = {.op = "updateContent", .message_id = T(id), .content = T("bad")};
        expect(w, hf_exec(w->store, &edit, &result, &w->err), HF_DENIED);
        edit.content = T("good");
        expect(w, hf_exec(w->store, &edit, &result, &w->err), HF_OK);
        hf_op list = {.op = "list", .conversation_id = T(conversation), .limit = 5};
        expect(w, hf_exec(w->store, &list, &result, &w->err), HF_OK);
        hf_op drop = {.op = "delete", .message_id = T(id)};
        if (i % 5 == 0) expect(w, hf_exec(w->store, &drop, &result, &w->err), HF_OK);
        hf_json json;
        expect(w, hf_exec_json(w->store, T("{\"op\":\"listConversations\"}"), &json, &w->err), HF_OK);
        hf_json_free(&json);
    }
    snprintf(name, sizeof name, "late-%d", w->number);
    hf_layer_options options = {.size = sizeof options, .name = name};
    expect(w, hf_use_function(w->store, &options, pass, &w->err), HF_OK);
    hf_result_free(&result);
    return NULL;
}

static void threads_share_a_store(void **state) {
    fixture *f = *state;
    pthread_t threads[THREADS];
    worker workers[THREADS];
    f->options.log = NULL;
    done(f, .op = "createConversation", .conversation_id = T("c2"));
    use_lua(f, "guards",
            "return {ops = {'add', 'updateContent'}, handle = function(op, next, ctx)\n"
            "  ctx.state.calls = (ctx.state.calls or 0) + 1\n"
            "  if op.content == 'bad' then ctx:reject('denied', 'bad') end\n"
            "  local result = next(op)\n"
            "  if ctx.shared.once then error('shared between ops') end\n"
            "  ctx.shared.once = true\n"
            "  return result\n"
            "end}");
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.store = f->store, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].wrong != 0)
            fail_msg("thread %d: %d wrong: %s", i, workers[i].wrong, workers[i].err.message);
    }
    assert_int_equal(messages_in(f), THREADS * (ROUNDS - ROUNDS / 5));
    assert_int_equal(
        fixture_ask(f, "SELECT count(*) FROM messages WHERE content <> 'good' OR state <> 'final'"), 0);
}

/* Rows of one conversation whose time is not after that of the row before. */
#define NOT_RISING                                                   \
    "SELECT count(*) FROM (SELECT created_at - lag(created_at) OVER" \
    " (PARTITION BY conversation_id ORDER BY position) AS step FROM messages) WHERE step <= 0"

static int add_many(const char *path, int number) {
    hf_options options = {
        .size = sizeof options, .durability = HF_DURABILITY_NORMAL, .busy_timeout_ms = 5000};
    hf_store *store = NULL;
    hf_error err;
    int wrong = hf_open(path, &options, &store, &err) != HF_OK;
    for (int i = 0; i < ADDS && !wrong; i++) {
        char id[32];
        snprintf(id, sizeof id, "m-%d-%d", number, i);
        wrong = hf_exec(store, &(hf_op){ADD(id, "x")}, NULL, &err) != HF_OK;
    }
    hf_close(store);
    return wrong;
}

static void processes_share_a_file(void **state) {
    fixture *f = *state;
    fixture_close(f);
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) _exit(add_many(f->path, i));
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(messages_in(f), PROCESSES * ADDS);
    assert_int_equal(fixture_ask(f, NOT_RISING), 0);
    assert_int_equal(
        fixture_ask(f, "SELECT count(*) = 1 AND max(c.last_message_at) = max(m.created_at)"
                       " FROM conversations AS c, (SELECT max(created_at) AS created_at FROM messages)"
                       " AS m"),
        1);
    fixture_open(f);
}

static void two_handles_of_one_process_keep_one_order_of_time(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 2; i++) { /* two handles in one process, in turn */
        hf_store *other = NULL;
        assert_code(hf_open(f->path, &f->options, &other, &f->err), HF_OK);
        for (int j = 0; j < 20; j++)
            assert_code(
                hf_exec(j % 2 == 0 ? other : f->store,
                        &(hf_op){.op = "add", .conversation_id = T("c1"), .role = T("u"), .content = T("x")},
                        NULL, &f->err),
                HF_OK);
        hf_close(other);
    }
    assert_int_equal(fixture_ask(f, NOT_RISING), 0);
}

/* ---- Anchors between processes ----------------------------------------------------------------- */

static int say(const char *who, const hf_error *err) {
    fprintf(stderr, "%s: %s\n", who, err->message);
    return 1;
}

static hf_op reserve_of(const char *id) {
    return (hf_op){.op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id)};
}

static hf_op append_to(const char *id, int64_t seq) {
    return (hf_op){.op = "append", .message_id = T(id), .delta = T("0123456789"), .seq = seq};
}

/* The owner of two anchors: streams into both, and goes on with the one when the other is aborted. Says when they are
 * there. */
static int own(const char *path, int ready) {
    hf_options options = {
        .size = sizeof options, .durability = HF_DURABILITY_NORMAL, .busy_timeout_ms = 5000};
    hf_store *store = NULL;
    hf_result result = {0};
    hf_error err;
    bool aborted = false;
    if (hf_open(path, &options, &store, &err) != HF_OK) return say("owner", &err);
    hf_op ops[] = {reserve_of("kept"), reserve_of("aborted")};
    for (int i = 0; i < 2; i++)
        if (hf_exec(store, &ops[i], NULL, &err) != HF_OK) return say("owner", &err);
    if (write(ready, "x", 1) != 1) return 1;
    for (int64_t seq = 1; seq <= APPENDS || !aborted; seq++) {
        hf_op append = append_to("kept", seq), other = append_to("aborted", 0);
        if (hf_exec(store, &append, &result, &err) != HF_OK) return say("owner", &err);
        if (result.seq != seq || result.length != 10 * seq) return 2;
        int code = hf_exec(store, &other, NULL, &err);
        if (code != HF_OK && (code != HF_CONFLICT || strstr(err.message, "aborted") == NULL))
            return say("owner", &err);
        if (aborted && code == HF_OK) return 3;
        aborted = code != HF_OK;
        usleep(100);
    }
    hf_op whole = {.op = "updateContent", .message_id = T("kept"), .content = T("whole")};
    if (hf_exec(store, &whole, NULL, &err) != HF_OK) return say("owner", &err);
    hf_close(store);
    return 0;
}

/* What the owner's message looks like to another: it grows, or is final, and nothing else. */
static int watch(hf_store *store, hf_result *result, int64_t *seen, hf_error *err) {
    hf_op list = {.op = "list", .conversation_id = T("c1"), .limit = 2};
    list.after = T("first");
    if (hf_exec(store, &list, result, err) != HF_OK) return say("other", err);
    const hf_message *kept = &result->messages[0];
    if (kept->state == HF_STATE_FINAL) return strcmp(kept->content.data, "whole") != 0;
    int64_t size = kept->state == HF_STATE_RESERVED ? 0 : (int64_t)kept->content.size;
    bool grows = (kept->state == HF_STATE_RESERVED || kept->state == HF_STATE_STREAMING) && size >= *seen;
    *seen = size;
    if (grows && size % 10 == 0) return 0;
    fprintf(stderr, "other: state %d, %lld bytes\n", kept->state, (long long)size);
    return 1;
}

/* Opens again and again, looks, may not append to what is the owner's, aborts the one message of it, streams into one of
 * its own, and leaves that behind. */
static int come_and_go(const char *path, int number) {
    hf_options options = {
        .size = sizeof options, .durability = HF_DURABILITY_NORMAL, .busy_timeout_ms = 5000};
    hf_result result = {0};
    hf_error err;
    int64_t seen = 0;
    for (int i = 0; i < OPENINGS; i++) {
        char id[32];
        hf_store *store = NULL;
        snprintf(id, sizeof id, "left-%d-%d", number, i);
        hf_op mine = reserve_of(id), grow = append_to(id, 1), theirs = append_to("kept", 0);
        hf_op abort = {.op = "abort", .message_id = T("aborted"), .reason = T("stop")};
        if (hf_open(path, &options, &store, &err) != HF_OK) return say("other", &err);
        if (watch(store, &result, &seen, &err) != 0) return 1;
        if (hf_exec(store, &theirs, NULL, &err) != HF_CONFLICT) return 2;
        if (hf_exec(store, &mine, NULL, &err) != HF_OK) return say("other", &err);
        if (hf_exec(store, &grow, NULL, &err) != HF_OK) return say("other", &err);
        if (i == OPENINGS / 2 && hf_exec(store, &abort, NULL, &err) != HF_OK) return say("other", &err);
        if (watch(store, &result, &seen, &err) != 0) return 1;
        hf_close(store);
    }
    hf_result_free(&result);
    return 0;
}

static void opening_touches_nothing_of_an_owner_that_lives(void **state) {
    fixture *f = *state;
    int ready[2];
    char byte;
    pid_t children[1 + PROCESSES];
    done(f, ADD("first", "x"));
    fixture_close(f);
    assert_int_equal(pipe(ready), 0);
    for (int i = 0; i < 1 + PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0) _exit(i == 0 ? own(f->path, ready[1]) : come_and_go(f->path, i));
        if (i == 0) {
            close(ready[1]);
            assert_int_equal(read(ready[0], &byte, 1), 1);
        }
    }
    close(ready[0]);
    for (int i = 0; i < 1 + PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    fixture_open(f);
    assert_string_equal(content_of(f, "kept"), "whole");
    assert_int_equal(done(f, .op = "read", .message_id = T("aborted"))->state, HF_STATE_ABORTED);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE state = 'interrupted'"),
                     PROCESSES * OPENINGS);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE owner IS NOT NULL"), 0);
    assert_int_equal(fixture_ask(f, NOT_RISING), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(threads_share_a_store),
        TEST(processes_share_a_file),
        TEST(two_handles_of_one_process_keep_one_order_of_time),
        TEST(opening_touches_nothing_of_an_owner_that_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
