/* A store in the hands of very many threads at once, whose commits they share; and one whose process is killed. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/store.h"

enum { CROWD = 64, ROUNDS = 8, RELOADS = 20, MORTALS = 8 };

/* ---- A crowd ----------------------------------------------------------------------------------- */

/* What the host hears of, one at a time: whoever wrote this down without the turn would race. */
typedef struct hearing {
    int after, traced;
} hearing;

static void hear_log(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)level, (void)layer, (void)fields;
    if (strcmp(message, "after") == 0) ((hearing *)data)->after++;
}

static void hear_trace(void *data, hf_text record) {
    (void)record;
    ((hearing *)data)->traced++;
}

static void hear_done(void *data, int code, hf_result *result, const hf_error *err) {
    (void)err;
    if (code == HF_OK && result->message != NULL) atomic_fetch_add((atomic_int *)data, 1);
}

static const char crowd_lua[] =
    "return {ops = {'add', 'get'}, handle = function(op, next, ctx)\n"
    "  if op.op == 'add' then ctx:afterCommit(function() ctx:log('info', 'after') end) end\n"
    "  if op.content == 'caught' then\n"
    "    pcall(next, {op = 'add', conversationId = 'nowhere', role = 'u', content = 'x'})\n"
    "  end\n"
    "  local result = next(op)\n"
    "  if op.content == 'bad' then ctx:reject('denied', 'bad') end\n"
    "  return result\n"
    "end}\n";

typedef struct worker {
    hf_store *store;
    int number, wrong;
    atomic_int *submitted;
    hf_error err;
} worker;

/* cmocka's assertions are for the main thread alone. */
static void expect(worker *w, int found, int expected) {
    if (found != expected) w->wrong++;
}

static void *jostle(void *data) {
    static const char *const contents[] = {"good", "bad", "caught"};
    worker *w = data;
    hf_result result = {0};
    char id[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(id, sizeof id, "m-%d-%d", w->number, i);
        int kind = (w->number + i) % 3;
        expect(w, hf_exec(w->store, &(hf_op){ADD(id, contents[kind])}, &result, &w->err),
               kind == 1 ? HF_DENIED : HF_OK);
        expect(w, hf_exec(w->store, &(hf_op){.op = "get", .message_id = T(id)}, &result, &w->err), HF_OK);
        expect(w, result.message == NULL, kind == 1);
        hf_op lost = {.op = "append", .message_id = T("nowhere"), .delta = T("x")};
        expect(w, hf_exec(w->store, &lost, &result, &w->err), HF_NOT_FOUND);
        hf_op more = {.op = "add", .conversation_id = T("c1"), .role = T("u"), .content = T(contents[kind])};
        expect(w, hf_submit(w->store, &more, hear_done, w->submitted, &w->err), HF_OK);
    }
    hf_result_free(&result);
    return NULL;
}

static void a_crowd_shares_its_commits(void **state) {
    fixture *f = *state;
    hearing heard = {0};
    atomic_int submitted = 0;
    pthread_t threads[CROWD];
    worker workers[CROWD];
    char path[128];
    fixture_close(f);
    snprintf(path, sizeof path, "%s/crowd.lua", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(crowd_lua, file);
    assert_int_equal(fclose(file), 0);
    f->options.log = hear_log;
    f->options.log_data = f->options.trace_data = &heard;
    f->options.trace = hear_trace;
    fixture_open(f);
    assert_code(hf_use_file(f->store, path, NONE, &f->err), HF_OK);
    for (int i = 0; i < CROWD; i++) {
        workers[i] = (worker){.store = f->store, .number = i, .submitted = &submitted};
        assert_int_equal(pthread_create(&threads[i], NULL, jostle, &workers[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++)
        assert_code(hf_reload(f->store, &f->err), HF_OK);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].wrong != 0)
            fail_msg("thread %d: %d wrong: %s", i, workers[i].wrong, workers[i].err.message);
    }
    fixture_close(f);
    int stored = (int)messages_in(f), wanted = 0;
    for (int i = 0; i < CROWD * ROUNDS; i++)
        wanted += (i / ROUNDS + i % ROUNDS) % 3 != 1;
    assert_int_equal(atomic_load(&submitted), wanted);
    assert_int_equal(stored, 2 * wanted);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE content = 'bad'"), 0);
    assert_int_equal(heard.after, stored);
    assert_int_equal(heard.traced, CROWD * ROUNDS * 4);
    f->options.log = NULL;
    f->options.trace = NULL;
    fixture_open(f);
}

/* ---- A crowd that runs one another's ops ------------------------------------------------------- */

static const char streams_lua[] = "return {ops = {'updateContent'}, handle = function(op, next, ctx)\n"
                                  "  ctx:afterCommit(function() ctx:log('info', 'after') end)\n"
                                  "  return next(op)\n"
                                  "end}\n";

/* Of each round, all but one op is wanted by no layer. */
static void *help(void *data) {
    worker *w = data;
    hf_result result = {0};
    char id[32];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(id, sizeof id, "m-%d-%d", w->number, i);
        hf_op lost = {.op = "add", .conversation_id = T("nowhere"), .role = T("u"), .content = T("lost")};
        hf_op inside[] = {lost, {ADD(id, "inside")}};
        inside[0].conversation_id = T("c1");
        inside[1].conversation_id = T("nowhere");
        hf_op undone = {.op = "batch", .ops = inside, .ops_count = 2};
        hf_op more = {.op = "add", .conversation_id = T("c1"), .role = T("u"), .content = T("more")};
        hf_op edit = {.op = "updateContent", .message_id = T(id), .content = T("edited")};
        expect(w, hf_exec(w->store, &(hf_op){ADD(id, id)}, &result, &w->err), HF_OK);
        expect(w, result.message != NULL && strcmp(result.message->content.data, id) == 0, true);
        expect(w, hf_exec(w->store, &lost, &result, &w->err), HF_NOT_FOUND);
        expect(w, hf_exec(w->store, &undone, &result, &w->err), HF_NOT_FOUND);
        expect(w, hf_submit(w->store, &more, hear_done, w->submitted, &w->err), HF_OK);
        expect(w, hf_exec(w->store, &(hf_op){.op = "get", .message_id = T(id)}, &result, &w->err), HF_OK);
        expect(w, result.message != NULL && strcmp(result.message->id.data, id) == 0, true);
        expect(w, hf_exec(w->store, &edit, &result, &w->err), HF_OK);
    }
    hf_result_free(&result);
    return NULL;
}

static void a_crowd_runs_one_anothers_ops(void **state) {
    fixture *f = *state;
    hearing heard = {0};
    atomic_int submitted = 0;
    pthread_t threads[CROWD];
    worker workers[CROWD];
    fixture_close(f);
    f->options.log = hear_log;
    f->options.log_data = &heard;
    fixture_open(f);
    use_lua(f, "streams", streams_lua);
    for (int i = 0; i < CROWD; i++) {
        workers[i] = (worker){.store = f->store, .number = i, .submitted = &submitted};
        assert_int_equal(pthread_create(&threads[i], NULL, help, &workers[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++)
        assert_code(hf_reload(f->store, &f->err), HF_OK);
    for (int i = 0; i < CROWD; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].wrong != 0)
            fail_msg("thread %d: %d wrong: %s", i, workers[i].wrong, workers[i].err.message);
    }
    fixture_close(f);
    assert_int_equal(atomic_load(&submitted), CROWD * ROUNDS);
    assert_int_equal(messages_in(f), 2 * CROWD * ROUNDS);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE content = 'edited'"),
                     CROWD * ROUNDS);
    assert_int_equal(heard.after, CROWD * ROUNDS);
    f->options.log = NULL;
    fixture_open(f);
}

/* ---- A crowd that dies ------------------------------------------------------------------------- */

/* What a caller tells of each answer: one write, which comes through whole or not at all. */
typedef struct acknowledgement {
    int number, round;
} acknowledgement;

typedef struct mortal {
    hf_store *store;
    int number, told;
} mortal;

static void *write_on(void *data) {
    const mortal *m = data;
    char id[32];
    for (int i = 0;; i++) {
        acknowledgement told = {m->number, i};
        snprintf(id, sizeof id, "m-%d-%d", m->number, i);
        if (hf_exec(m->store, &(hf_op){ADD(id, "x")}, NULL, NULL) != HF_OK) _exit(1);
        if (write(m->told, &told, sizeof told) != sizeof told) _exit(1);
    }
    return NULL;
}

static void write_until_killed(const fixture *f, int told) {
    hf_store *store;
    pthread_t threads[MORTALS];
    mortal mortals[MORTALS];
    if (hf_open(f->path, &f->options, &store, NULL) != HF_OK) _exit(1);
    alarm(60);
    for (int i = 0; i < MORTALS; i++) {
        mortals[i] = (mortal){store, i, told};
        if (pthread_create(&threads[i], NULL, write_on, &mortals[i]) != 0) _exit(1);
    }
    pthread_join(threads[0], NULL);
    _exit(1);
}

static void what_a_shared_commit_acknowledged_survives_a_kill(void **state) {
    fixture *f = *state;
    fixture_close(f);
    f->options.log = NULL;
    for (int durability = 0; durability < 2; durability++) {
        int pipes[2], heard = 0, status = 0;
        int last[MORTALS];
        acknowledgement told;
        memset(last, -1, sizeof last);
        f->options.durability = durability == 0 ? HF_DURABILITY_FULL : HF_DURABILITY_NORMAL;
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) write_until_killed(f, pipes[1]);
        close(pipes[1]);
        while (read(pipes[0], &told, sizeof told) == sizeof told) {
            assert_in_range(told.number, 0, MORTALS - 1);
            assert_int_equal(told.round, last[told.number] + 1);
            last[told.number]++;
            if (++heard == 200) assert_int_equal(kill(child, SIGKILL), 0);
        }
        close(pipes[0]);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_true(heard >= 200);
        fixture_open(f);
        for (int i = 0; i < MORTALS; i++) { /* at most the one that was under way is more than was told */
            char sql[128];
            snprintf(sql, sizeof sql, "SELECT count(*) FROM messages WHERE id LIKE 'm-%d-%%'", i);
            int64_t stored = fixture_ask(f, sql);
            assert_in_range(stored, last[i] + 1, last[i] + 2);
        }
        assert_int_equal(fixture_ask(f, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
        done(f, .op = "deleteConversation", .conversation_id = T("c1"));
        done(f, .op = "createConversation", .conversation_id = T("c1"));
        fixture_close(f);
    }
    fixture_open(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_crowd_shares_its_commits),
        TEST(a_crowd_runs_one_anothers_ops),
        TEST(what_a_shared_commit_acknowledged_survives_a_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
