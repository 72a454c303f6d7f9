/* Reads beside the writer: what they wait for and what not, what they see, what they leave behind, and who answers where
 * no reader can. */
#define _POSIX_C_SOURCE 200809L

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/together.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A read of each kind. */
static const hf_op reads[] = {
    {.op = "get", .message_id = {"m1", 2}},
    {.op = "list", .conversation_id = {"c1", 2}},
    {.op = "read", .message_id = {"r1", 2}},
    {.op = "search", .query = {"hello", 5}},
    {.op = "getConversation", .conversation_id = {"c1", 2}},
    {.op = "listConversations"},
};

static void fill(fixture *f) {
    done(f, ADD("m1", "hello"));
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("r1"));
    done(f, .op = "append", .message_id = T("r1"), .delta = T("so far"));
}

/* How many readers are open, and idle. */
static size_t open_readers(fixture *f) {
    pthread_mutex_lock(&f->store->readers.lock);
    size_t count = f->store->readers.open;
    pthread_mutex_unlock(&f->store->readers.lock);
    return count;
}

/* As if another thread had had the turn since. */
static void forget_turn(fixture *f) {
    atomic_store(&f->store->last, 0);
}

/* ---- Beside the writer ------------------------------------------------------------------------- */

/* Stops when the layers below have written, before the commit. */
static int stop_behind(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    gate *g = hf_layer_data(layer);
    int code = hf_next(layer, op, result, err);
    atomic_store(&g->entered, true);
    while (atomic_load(&g->closed))
        nap();
    return code;
}

static void reads_answer_in_the_midst_of_a_write_and_see_the_last_commit(void **state) {
    fixture *f = *state;
    gate open_write = {.closed = true};
    static const char *const ops[] = {"batch", NULL};
    use_c(f, "stop", ops, stop_behind, &open_write);
    fill(f);
    hf_op inside[] = {{ADD("m2", "hello again")},
                      {.op = "updateContent", .message_id = T("m1"), .content = T("other")},
                      {.op = "append", .message_id = T("r1"), .delta = T(" and more")},
                      {.op = "updateConversation", .conversation_id = T("c1"), .title = T("new")},
                      {.op = "createConversation", .conversation_id = T("c2")}};
    caller writer = {.op = {.op = "batch", .ops = inside, .ops_count = COUNT(inside)}};
    caller_start(f, &writer);
    while (!atomic_load(&open_write.entered))
        nap();
    for (int i = 0; i < 2; i++) {
        assert_string_equal(content_of(f, "m1"), "hello");
        assert_null(content_of(f, "m2"));
        assert_int_equal(done(f, .op = "list", .conversation_id = T("c1"))->messages_count, 2);
        assert_int_equal(done(f, .op = "read", .message_id = T("r1"))->seq, 1);
        assert_int_equal(done(f, .op = "search", .query = T("hello"))->hits_count, 1);
        assert_null(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation->title.data);
        assert_int_equal(done(f, .op = "listConversations")->conversations_count, 1);
        assert_code(failed(f, .op = "read", .message_id = T("m2")), HF_NOT_FOUND);
        assert_string_equal(f->err.op, "read");
        assert_code(failed(f, .op = "get", .message_id = T("")), HF_INVALID);
    }
    atomic_store(&open_write.closed, false);
    pthread_join(writer.thread, NULL);
    assert_code(writer.code, HF_OK);
    callers_free(&writer, 1);
    assert_string_equal(content_of(f, "m1"), "other");
    assert_string_equal(content_of(f, "r1"), "so far and more");
    assert_int_equal(done(f, .op = "search", .query = T("hello"))->hits_count, 1);
    assert_text(f->result.hits[0].message->id, "m2");
    assert_int_equal(done(f, .op = "listConversations")->conversations_count, 2);
    assert_int_equal(open_readers(f), 1); /* one thread needs no more */
}

static int call_inside(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    fixture *f = hf_layer_data(layer);
    hf_error why;
    if (hf_exec(f->store, &reads[0], NULL, &why) != HF_MISUSE) fixture_note(f, "read inside");
    return hf_next(layer, op, result, err);
}

static void a_layer_reads_by_its_own_call_alone(void **state) {
    fixture *f = *state;
    use_c(f, "calls", NULL, call_inside, f);
    done(f, ADD("m1", "x"));
    assert_string_equal(f->trace, "");
}

static void hear_trace(void *data, hf_text record) {
    (void)record;
    fixture_note(data, "told ");
}

static void a_read_that_somebody_listens_to_waits_for_its_turn(void **state) {
    fixture *f = *state;
    static const char *const ops[] = {"get", NULL};
    gate open = {.closed = false};
    fill(f);
    use_c(f, "gate", ops, gate_layer, &open);
    content_of(f, "m1");
    assert_int_equal(open_readers(f), 0);
    done(f, .op = "listConversations"); /* which no layer wants */
    assert_int_equal(open_readers(f), 1);
    fixture_close(f);
    f->options.trace = hear_trace;
    f->options.trace_data = f;
    fixture_open(f);
    content_of(f, "m1");
    assert_string_equal(f->trace, "told ");
    assert_int_equal(open_readers(f), 0);
}

/* ---- What was acknowledged --------------------------------------------------------------------- */

enum { WRITERS = 3, READERS = 6, WRITES = 60 };

typedef struct crowd {
    hf_store *store;
    _Atomic int acknowledged[WRITERS]; /* how many of each writer's */
    _Atomic int wrong, ended;
} crowd;

typedef struct one_writer {
    crowd *crowd;
    int number;
} one_writer;

static void *write_on(void *data) {
    const one_writer *w = data;
    char id[32];
    for (int i = 0; i < WRITES; i++) {
        snprintf(id, sizeof id, "m-%d-%d", w->number, i);
        if (hf_exec(w->crowd->store, &(hf_op){ADD(id, "hello")}, NULL, NULL) != HF_OK) w->crowd->wrong++;
        atomic_store(&w->crowd->acknowledged[w->number], i + 1);
    }
    w->crowd->ended++;
    return NULL;
}

/* Whoever learns of an answer finds what it told of. Reads once at least, though all may have been written by then. */
static void *read_on(void *data) {
    crowd *c = data;
    hf_result result = {0};
    char id[32];
    int round = 0;
    do {
        int number = round++ % WRITERS, count = atomic_load(&c->acknowledged[number]), all = 0;
        for (int i = 0; i < WRITERS; i++)
            all += atomic_load(&c->acknowledged[i]);
        if (count == 0) continue;
        snprintf(id, sizeof id, "m-%d-%d", number, count - 1);
        hf_op get = {.op = "get", .message_id = T(id)};
        if (hf_exec(c->store, &get, &result, NULL) != HF_OK || result.message == NULL) c->wrong++;
        hf_op list = {.op = "list", .conversation_id = T("c1"), .limit = 1000};
        if (hf_exec(c->store, &list, &result, NULL) != HF_OK || (int)result.messages_count < all) c->wrong++;
        hf_op search = {.op = "search", .query = T("hello"), .limit = 1000};
        if (hf_exec(c->store, &search, &result, NULL) != HF_OK || (int)result.hits_count < all) c->wrong++;
    } while (atomic_load(&c->ended) < WRITERS);
    hf_result_free(&result);
    return NULL;
}

static void a_crowd_reads_what_was_acknowledged(fixture *f) {
    crowd c = {.store = f->store};
    pthread_t threads[WRITERS + READERS];
    one_writer writers[WRITERS];
    for (int i = 0; i < WRITERS + READERS; i++) {
        bool writes = i < WRITERS;
        if (writes) writers[i] = (one_writer){&c, i};
        void *data = writes ? (void *)&writers[i] : &c;
        assert_int_equal(pthread_create(&threads[i], NULL, writes ? write_on : read_on, data), 0);
    }
    for (int i = 0; i < WRITERS + READERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c.wrong, 0);
}

static void what_was_acknowledged_is_seen_on_every_thread(void **state) {
    fixture *f = *state;
    a_crowd_reads_what_was_acknowledged(f);
    assert_in_range(open_readers(f), 1, 4);
}

static void threads_without_a_reader_wait_for_one(void **state) {
    fixture *f = *state;
    fixture_close(f);
    f->options.max_readers = 1;
    fixture_open(f);
    a_crowd_reads_what_was_acknowledged(f);
    assert_int_equal(open_readers(f), 1);
}

/* ---- The chain changes ------------------------------------------------------------------------- */

static int answer_get(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    int code = hf_next(layer, op, result, err);
    if (code == HF_OK) result->message->role = hf_result_text(result, T("layer"));
    return code;
}

typedef struct chain_watch {
    hf_store *store;
    _Atomic bool used, stop;
    _Atomic int wrong, passed;
} chain_watch;

static void *read_while_it_changes(void *data) {
    chain_watch *w = data;
    hf_result result = {0};
    while (!atomic_load(&w->stop)) {
        bool used = atomic_load(&w->used);
        if (hf_exec(w->store, &reads[0], &result, NULL) != HF_OK || result.message == NULL) {
            w->wrong++;
            break;
        }
        bool layered = strcmp(result.message->role.data, "layer") == 0;
        if (used && !layered) w->wrong++;
        if (layered) w->passed++;
    }
    hf_result_free(&result);
    return NULL;
}

static void a_layer_that_wants_a_read_gets_all_that_follow(void **state) {
    fixture *f = *state;
    static const char *const ops[] = {"get", NULL};
    chain_watch w = {.store = f->store};
    pthread_t threads[4];
    fill(f);
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_while_it_changes, &w), 0);
    for (int i = 0; i < 20; i++)
        nap();
    use_c(f, "answers", ops, answer_get, NULL);
    atomic_store(&w.used, true);
    while (atomic_load(&w.passed) < 50 && atomic_load(&w.wrong) == 0)
        nap();
    assert_code(hf_reload(f->store, &f->err), HF_OK);
    for (int i = 0; i < 20; i++)
        nap();
    atomic_store(&w.stop, true);
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(w.wrong, 0);
}

/* ---- What a read leaves behind ----------------------------------------------------------------- */

static void no_read_holds_what_it_saw_beyond_its_end(void **state) {
    fixture *f = *state;
    fill(f);
    for (size_t i = 0; i < COUNT(reads) + 2; i++) {
        if (i < COUNT(reads))
            done_op(f, &reads[i]);
        else if (i == COUNT(reads))
            assert_code(failed(f, .op = "list", .conversation_id = T("c1"), .after = T("m9")), HF_NOT_FOUND);
        else
            assert_code(failed(f, .op = "search", .query = T("\"")), HF_INVALID);
        char id[8];
        snprintf(id, sizeof id, "n%zu", i);
        done(f, ADD(id, "x"));
        if (fixture_ask(f, "PRAGMA wal_checkpoint(TRUNCATE)") != 0) fail_msg("read %zu is still open", i);
    }
    assert_int_equal(open_readers(f), 1);
}

static int64_t size_of(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

static void closing_with_readers_open_leaves_the_file_alone(void **state) {
    fixture *f = *state;
    char path[128];
    fill(f);
    a_crowd_reads_what_was_acknowledged(f);
    fixture_close(f);
    assert_true(size_of(f->path) > 0);
    snprintf(path, sizeof path, "%s-wal", f->path);
    assert_int_equal(size_of(path), -1);
    snprintf(path, sizeof path, "%s-shm", f->path);
    assert_int_equal(size_of(path), -1);
    assert_int_equal(messages_in(f), 2 + WRITERS * WRITES);
    fixture_open(f);
}

/* ---- Processes --------------------------------------------------------------------------------- */

/* Writes, and tells of each write; waits to be asked for the next. */
static int write_when_asked(const fixture *f, int ask, int told) {
    hf_store *store;
    char byte, id[16];
    if (hf_open(f->path, &f->options, &store, NULL) != HF_OK) return 1;
    for (int i = 0; read(ask, &byte, 1) == 1; i++) {
        snprintf(id, sizeof id, "p%d", i);
        if (hf_exec(store, &(hf_op){ADD(id, "x")}, NULL, NULL) != HF_OK) return 2;
        if (write(told, &byte, 1) != 1) return 3;
    }
    hf_close(store);
    return 0;
}

static void another_process_is_heard_of_at_once(void **state) {
    fixture *f = *state;
    int ask[2], told[2], status = -1;
    char byte = 'x', id[16];
    fixture_close(f);
    f->options.log = NULL;
    assert_int_equal(pipe(ask), 0);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ask[1]);
        _exit(write_when_asked(f, ask[0], told[1]));
    }
    fixture_open(f);
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof id, "p%d", i);
        assert_null(content_of(f, id));
        assert_int_equal(write(ask[1], &byte, 1), 1);
        assert_int_equal(read(told[0], &byte, 1), 1);
        assert_non_null(content_of(f, id));
    }
    close(ask[1]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(ask[0]), close(told[0]), close(told[1]);
}

static void a_thread_finds_what_it_wrote_where_it_wrote_it(void **state) {
    fixture *f = *state;
    fill(f);
    watch_statements(f); /* of the connection that writes */
    assert_string_equal(content_of(f, "m1"), "hello");
    done(f, .op = "list", .conversation_id = T("c1"));
    assert_int_equal(open_readers(f), 0);
    assert_int_equal(times(f, "commit"), 2);
    done(f, .op = "search", .query = T("hello")); /* which may take long */
    assert_int_equal(open_readers(f), 1);
    caller other = {.op = reads[0]};
    caller_start(f, &other);
    pthread_join(other.thread, NULL);
    assert_text(other.result.message->content, "hello");
    callers_free(&other, 1);
    assert_int_equal(times(f, "commit"), 2);
}

static void a_child_may_not_read_by_what_it_inherited(void **state) {
    fixture *f = *state;
    int status = -1;
    fill(f);
    content_of(f, "m1");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int code = hf_exec(f->store, &reads[0], NULL, NULL);
        hf_close(f->store);
        _exit(code == HF_MISUSE ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_string_equal(content_of(f, "m1"), "hello");
}

/* ---- No reader --------------------------------------------------------------------------------- */

static void a_store_in_memory_answers_by_itself(void **state) {
    fixture *f = *state;
    hf_store *store;
    assert_code(hf_open(":memory:", &f->options, &store, &f->err), HF_OK);
    hf_op create = {.op = "createConversation", .conversation_id = T("mine")};
    assert_code(hf_exec(store, &create, NULL, &f->err), HF_OK);
    assert_code(hf_exec(store, &reads[5], &f->result, &f->err), HF_OK);
    assert_int_equal(f->result.conversations_count, 1);
    assert_text(f->result.conversations[0].id, "mine");
    hf_close(store);
}

/* A reader is of the file that the store has open, whatever stands under its name by now. */
static void a_file_that_was_moved_is_read_all_the_same(void **state) {
    fixture *f = *state;
    char away[128];
    hf_store *other;
    fill(f);
    snprintf(away, sizeof away, "%s.away", f->path);
    assert_int_equal(rename(f->path, away), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(done(f, .op = "search", .query = T("hello"))->hits_count, 1);
        assert_int_equal(open_readers(f), 0);
        if (i > 0) break;
        char impostor[128];
        snprintf(impostor, sizeof impostor, "%s.other", f->path);
        assert_code(hf_open(impostor, &f->options, &other, &f->err), HF_OK);
        hf_close(other);
        assert_int_equal(rename(impostor, f->path), 0);
    }
    assert_int_equal(rename(away, f->path), 0);
    assert_int_equal(done(f, .op = "search", .query = T("hello"))->hits_count, 1);
    assert_int_equal(open_readers(f), 1);
}

/* ---- A terminal of the host's own -------------------------------------------------------------- */

typedef struct host {
    fixture *f;
    int fails, opened; /* how open_reader ends; how often it was called */
    int exec;          /* how a reader's exec ends */
} host;

static int note(void *data, const char *word) {
    fixture_note(((host *)data)->f, word);
    return HF_OK;
}

static int host_begin(void *data, int write, hf_error *err) {
    (void)err;
    return note(data, write ? "begin " : "begin-read ");
}

static int host_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result, (void)err;
    return note(data, "exec ");
}

static int host_commit(void *data, hf_error *err) {
    (void)err;
    return note(data, "commit ");
}

static void host_rollback(void *data) {
    note(data, "rollback ");
}

static void host_close(void *data) {
    note(data, "close ");
}

static int reader_begin(void *data, int write, hf_error *err) {
    (void)write, (void)err;
    return note(data, "reader-begin ");
}

static int reader_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    (void)op, (void)result;
    note(data, "reader-exec ");
    if (((host *)data)->exec == HF_OK) return HF_OK;
    *err = (hf_error){.code = HF_CORRUPT, .name = "corrupt", .message = "planned"};
    return HF_CORRUPT;
}

static void reader_close(void *data) {
    note(data, "reader-close ");
}

static int host_open_reader(void *data, hf_terminal *out, hf_error *err) {
    host *h = data;
    h->opened++;
    *err = (hf_error){.code = HF_IO, .message = "planned"};
    if (h->fails) return HF_IO;
    *out = (hf_terminal){.size = sizeof *out,
                         .data = data,
                         .exec = reader_exec,
                         .begin = reader_begin,
                         .commit = host_commit,
                         .rollback = host_rollback,
                         .close = reader_close};
    return HF_OK;
}

static void a_hosts_terminal_may_have_readers(void **state) {
    fixture *f = *state;
    host h = {.f = f, .fails = 1};
    hf_terminal terminal = {.size = sizeof terminal,
                            .data = &h,
                            .exec = host_exec,
                            .begin = host_begin,
                            .commit = host_commit,
                            .rollback = host_rollback,
                            .close = host_close,
                            .open_reader = host_open_reader};
    fixture_close(f);
    f->options.terminal = &terminal;
    fixture_open(f);
    done_op(f, &reads[0]);
    assert_string_equal(f->trace, "begin-read exec commit ");
    h.fails = 0;
    f->trace[0] = '\0';
    forget_turn(f);
    done_op(f, &reads[0]);
    done_op(f, &reads[0]);
    assert_string_equal(f->trace, "reader-begin reader-exec commit reader-begin reader-exec commit ");
    h.exec = HF_CORRUPT;
    f->trace[0] = '\0';
    assert_code(failed_op(f, &reads[0]), HF_CORRUPT);
    assert_string_equal(f->trace, "reader-begin reader-exec rollback ");
    assert_string_equal(f->err.op, "get");
    assert_int_equal(h.opened, 2);
    f->trace[0] = '\0';
    fixture_close(f);
    assert_string_equal(f->trace, "reader-close close ");
    f->options.terminal = NULL;
    fixture_open(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(reads_answer_in_the_midst_of_a_write_and_see_the_last_commit),
        TEST(a_layer_reads_by_its_own_call_alone),
        TEST(a_read_that_somebody_listens_to_waits_for_its_turn),
        TEST(what_was_acknowledged_is_seen_on_every_thread),
        TEST(threads_without_a_reader_wait_for_one),
        TEST(a_layer_that_wants_a_read_gets_all_that_follow),
        TEST(no_read_holds_what_it_saw_beyond_its_end),
        TEST(closing_with_readers_open_leaves_the_file_alone),
        TEST(another_process_is_heard_of_at_once),
        TEST(a_thread_finds_what_it_wrote_where_it_wrote_it),
        TEST(a_child_may_not_read_by_what_it_inherited),
        TEST(a_store_in_memory_answers_by_itself),
        TEST(a_file_that_was_moved_is_read_all_the_same),
        TEST(a_hosts_terminal_may_have_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
