/* A process that streams is ended by kill -9, at moments left to chance and at every call of its disk in turn. Whoever
 * opens the store afterwards finds what was acknowledged, or that and the op that was under way, and never a mixture;
 * resumes reading; and finishes. HOLDFAST_KILLS=N kills that often, HOLDFAST_SEED=N makes the choices of an
 * earlier run again. */
#define _DEFAULT_SOURCE /* for mmap of memory */

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/fault_vfs.h"
#include "support/store.h"
#include "support/streams.h"

enum { KILLS = 200, MOST_ANCHORS = 3, LIFE_S = 120 };

/* ---- Chance ------------------------------------------------------------------------------------ */

static uint64_t seed;

static uint64_t number_of(const char *name, uint64_t otherwise) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? strtoull(value, NULL, 10) : otherwise;
}

/* From 0 to `below` - 1; splitmix64. */
static size_t chance(size_t below) {
    uint64_t z = seed += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return (size_t)((z ^ (z >> 31)) % below);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void spin(int64_t ns) {
    for (int64_t until = now_ns() + ns; now_ns() < until;) {}
}

/* ---- What a process does before it dies -------------------------------------------------------- */

/* One stream, into each of its anchors in turn: all are reserved, all get each delta, all are made final. */
typedef struct job {
    const stream *is;
    size_t anchors;
    bool apart;     /* every other anchor is that of another open store */
    size_t ballast; /* bytes of a message that is added before, so that a checkpoint is near */
    hf_durability durability;
    char ids[MOST_ANCHORS][32];
} job;

static job make_job(const stream *is, size_t anchors, bool apart, hf_durability durability) {
    static unsigned made;
    job new = {.is = is, .anchors = anchors, .apart = apart, .durability = durability};
    made++;
    for (size_t i = 0; i < anchors; i++)
        snprintf(new.ids[i], sizeof new.ids[i], "m%u-%zu", made, i);
    return new;
}

static size_t ops_in(const job *todo) {
    return todo->anchors * (todo->is->count + 2);
}

/* What there is of an anchor after so many of the job's ops. */
typedef struct stage {
    bool exists, final;
    size_t seq;
} stage;

static stage stage_after(const job *todo, size_t ops, size_t anchor) {
    size_t before = ops / todo->anchors, mine = before + (ops % todo->anchors > anchor);
    if (mine == 0) return (stage){0};
    return (stage){.exists = true,
                   .final = mine == todo->is->count + 2,
                   .seq = mine - 1 < todo->is->count ? mine - 1 : todo->is->count};
}

static hf_op op_at(const job *todo, size_t ops) {
    size_t nth = ops / todo->anchors;
    hf_text id = T(todo->ids[ops % todo->anchors]);
    if (nth == 0)
        return (hf_op){.op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = id};
    if (nth > todo->is->count)
        return (hf_op){.op = "updateContent", .message_id = id, .content = T(todo->is->content)};
    return (hf_op){.op = "append", .message_id = id, .delta = todo->is->deltas[nth - 1], .seq = (int64_t)nth};
}

typedef struct ack {
    int64_t seq, length;
} ack;

static void say(int said, const void *data, size_t size) {
    if (write(said, data, size) != (ssize_t)size) _exit(3);
}

static void give_up(const hf_error *err) {
    fprintf(stderr, "the process that was to be killed: %s\n", err->message);
    _exit(2);
}

static void add_ballast(hf_store *store, size_t size) {
    hf_error err;
    char *content = malloc(size);
    if (content == NULL) _exit(1);
    memset(content, 'x', size);
    hf_op add = {ADD("ballast", ""), .skip_indexing = HF_YES};
    add.content = (hf_text){content, size};
    if (hf_exec(store, &add, NULL, &err) != HF_OK) give_up(&err);
    free(content);
}

/* The child's part. Dies at that call of its disk, counted once it is open; 0 for none. */
static void work(const char *path, const job *todo, int said, long death) {
    hf_options options = {.size = sizeof options, .durability = todo->durability, .busy_timeout_ms = 10000};
    hf_store *stores[2] = {NULL, NULL};
    hf_result result = {0};
    hf_error err;
    alarm(LIFE_S); /* no process outlives a test that failed by more */
    for (size_t i = 0; i < (todo->apart ? 2 : 1); i++)
        if (hf_open(path, &options, &stores[i], &err) != HF_OK) give_up(&err);
    if (todo->ballast > 0) add_ballast(stores[0], todo->ballast);
    if (death > 0) fault_vfs_plan(FAULT_ANY, FAULT_DEATH, death, 1);
    for (size_t i = 0; i < ops_in(todo); i++) {
        hf_op op = op_at(todo, i);
        if (hf_exec(stores[todo->apart ? i % todo->anchors % 2 : 0], &op, &result, &err) != HF_OK)
            give_up(&err);
        say(said, &(ack){result.seq, result.length}, sizeof(ack));
    }
    for (size_t i = 0; i < 2 && todo->ballast > 0; i++)
        hf_close(stores[i]); /* which waits for a checkpoint to end */
    if (death > 0) _exit(0);
    for (;;)
        pause();
}

/* No store may be open here: a child of fork would inherit it. */
static pid_t start(const char *path, const job *todo, long death, int *heard) {
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        if (death > 0) fault_vfs_install();
        work(path, todo, pipe_ends[1], death);
    }
    close(pipe_ends[1]);
    *heard = pipe_ends[0];
    return child;
}

/* Hears at most `most` acknowledgements, and checks each; returns how many there were. */
static size_t hear(const job *todo, int heard, size_t before, size_t most) {
    ack got;
    size_t count = 0;
    ssize_t size;
    while (count < most && (size = read(heard, &got, sizeof got)) > 0) {
        size_t nth = (before + count++) / todo->anchors;
        bool appended = nth >= 1 && nth <= todo->is->count;
        assert_int_equal(size, sizeof got);
        assert_int_equal(got.seq, appended ? nth : 0);
        assert_int_equal(got.length, appended ? todo->is->length[nth] : 0);
    }
    return count;
}

/* Waits for the end of the child: whether it was killed. */
static bool was_killed(pid_t child) {
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return true;
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

/* Lets the child do some of its ops, kills it within the next one or shortly after, and returns how many it has
 * acknowledged. */
static size_t kill_after(pid_t child, const job *todo, int heard, size_t ops, int64_t ns) {
    size_t acknowledged = hear(todo, heard, 0, ops);
    spin(ns);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_true(was_killed(child));
    acknowledged += hear(todo, heard, acknowledged, SIZE_MAX);
    close(heard);
    return acknowledged;
}

/* ---- What is there afterwards ------------------------------------------------------------------ */

static void assert_content(fixture *f, const char *id, hf_state state, hf_text expected) {
    const hf_message *message = done(f, .op = "get", .message_id = T(id))->message;
    assert_non_null(message);
    assert_int_equal(message->state, state);
    assert_int_equal(message->content.size, expected.size);
    assert_memory_equal(message->content.data, expected.data, expected.size);
}

/* A client that had seen `after` deltas gets the rest. */
static void assert_resumed(fixture *f, const job *todo, const char *id, stage there, size_t after) {
    const hf_result *result = done(f, .op = "read", .message_id = T(id), .after_seq = (int64_t)after);
    assert_int_equal(result->seq, there.seq);
    assert_int_equal(result->state, there.final ? HF_STATE_FINAL : HF_STATE_INTERRUPTED);
    assert_int_equal(result->deltas_count, there.final ? 0 : there.seq - after);
    for (size_t i = 0; i < result->deltas_count; i++) {
        hf_text expected = todo->is->deltas[after + i], found = result->deltas[i].delta;
        assert_int_equal(result->deltas[i].seq, after + i + 1);
        assert_int_equal(found.size, expected.size);
        assert_memory_equal(found.data, expected.data, expected.size);
    }
}

/* What there is of the anchor now: as it was acknowledged, or one op further where that one was under way. */
static stage find_stage(fixture *f, const job *todo, size_t acknowledged, size_t anchor) {
    stage sure = stage_after(todo, acknowledged, anchor), further = sure;
    if (acknowledged < ops_in(todo)) further = stage_after(todo, acknowledged + 1, anchor);
    const char *id = todo->ids[anchor];
    if (done(f, .op = "get", .message_id = T(id))->message == NULL) {
        assert_false(sure.exists);
        return sure;
    }
    assert_true(further.exists);
    size_t seq = (size_t)done(f, .op = "read", .message_id = T(id))->seq;
    bool final = f->result.state == HF_STATE_FINAL;
    assert_true((seq == sure.seq && final == sure.final) || (seq == further.seq && final == further.final));
    return (stage){.exists = true, .final = final, .seq = seq};
}

/* The next process: finds the anchor as it must be, and finishes it. */
static void settle(fixture *f, const job *todo, size_t acknowledged, size_t anchor) {
    const char *id = todo->ids[anchor];
    const stream *is = todo->is;
    stage sure = stage_after(todo, acknowledged, anchor), there = find_stage(f, todo, acknowledged, anchor);
    if (there.exists) {
        hf_text partial = there.seq == 0 ? T("[]") : (hf_text){is->text, is->length[there.seq]};
        assert_content(f, id, there.final ? HF_STATE_FINAL : HF_STATE_INTERRUPTED,
                       there.final ? T(is->content) : partial);
        assert_resumed(f, todo, id, there, chance(sure.seq + 1));
        assert_code(failed(f, .op = "append", .message_id = T(id), .delta = T("x")), HF_CONFLICT);
        assert_code(
            failed(f, .op = "append", .message_id = T(id), .delta = T("x"), .seq = (int64_t)there.seq + 1),
            HF_CONFLICT);
    } else {
        done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id));
    }
    done(f, .op = "updateContent", .message_id = T(id), .content = T(is->content));
    assert_content(f, id, HF_STATE_FINAL, T(is->content));
}

static void assert_settled(fixture *f, const job *todo, int64_t living) {
    for (size_t i = 0; i < todo->anchors; i++)
        assert_content(f, todo->ids[i], HF_STATE_FINAL, T(todo->is->content));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE state <> 'final'"), living);
    if (living == 0) assert_int_equal(fixture_ask(f, "SELECT count(*) FROM deltas"), 0);
    assert_int_equal(fixture_ask(f, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* After a kill: a second process settles, and a third finds it so. `living`: messages of others that are open. */
static void settle_all(fixture *f, const job *todo, size_t acknowledged, int64_t living) {
    fixture_open(f);
    for (size_t i = 0; i < todo->anchors; i++)
        settle(f, todo, acknowledged, i);
    fixture_close(f);
    fixture_open(f);
    assert_settled(f, todo, living);
    fixture_close(f);
}

/* ---- Kills at random --------------------------------------------------------------------------- */

static stream *streams;
static size_t streams_count;

static void create(fixture *f) {
    fixture_start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    fixture_close(f);
}

/* After how many acknowledgements: a sixth of the kills fall at the beginning, a sixth at the end. */
static size_t choose_moment(const job *todo) {
    size_t total = ops_in(todo), edge = todo->anchors + 1;
    switch (chance(6)) {
    case 0: return chance(edge);
    case 1: return total - edge + chance(edge + 1);
    default: return chance(total);
    }
}

/* The streams take turns; every fourth kill ends three anchors, and every eighth those of two handles. */
static job choose_job(size_t round) {
    hf_durability durability = round % 2 == 0 ? HF_DURABILITY_NORMAL : HF_DURABILITY_FULL;
    size_t anchors = round % 4 == 3 ? MOST_ANCHORS : 1;
    return make_job(&streams[round % streams_count], anchors, round % 8 == 7, durability);
}

static void a_stream_survives_a_kill_at_any_delta(void **state) {
    (void)state;
    fixture f;
    size_t kills = (size_t)number_of("HOLDFAST_KILLS", KILLS), partial = 0;
    create(&f);
    for (size_t round = 0; round < kills; round++) {
        int heard;
        job todo = choose_job(round);
        size_t moment = choose_moment(&todo);
        int64_t ns = (int64_t)chance(moment == 0 ? 10000000 : 300000);
        pid_t child = start(f.path, &todo, 0, &heard);
        size_t acknowledged = kill_after(child, &todo, heard, moment, ns);
        partial += acknowledged > 0 && acknowledged < ops_in(&todo);
        settle_all(&f, &todo, acknowledged, 0);
    }
    print_message("%zu kills, %zu of them in a stream\n", kills, partial);
    assert_true(kills < KILLS || partial >= kills / 10); /* on a slow machine many come late */
    fixture_end(&f);
}

/* ---- Beside a process that lives --------------------------------------------------------------- */

/* What the living process has done; it shares the page with this one. */
typedef struct neighbour {
    atomic_long appended;
    atomic_int failed, stop;
    char why[800];
} neighbour;

/* Appends on and on, until it is told to stop; then it makes its message final. */
static void live(const char *path, neighbour *self) {
    hf_options options = {
        .size = sizeof options, .durability = HF_DURABILITY_NORMAL, .busy_timeout_ms = 10000};
    hf_store *store;
    hf_result result = {0};
    hf_error err;
    alarm(LIFE_S);
    int code = hf_open(path, &options, &store, &err);
    hf_op reserve = {
        .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("n")};
    if (code == HF_OK) code = hf_exec(store, &reserve, NULL, &err);
    for (int64_t seq = 1; code == HF_OK && !atomic_load(&self->stop); seq++) {
        hf_op append = {.op = "append", .message_id = T("n"), .delta = T("0123456789"), .seq = seq};
        code = hf_exec(store, &append, &result, &err);
        if (code == HF_OK && (result.seq != seq || result.length != 10 * seq)) _exit(4);
        if (code == HF_OK) atomic_store(&self->appended, (long)seq);
        nanosleep(&(struct timespec){0, 200000}, NULL);
    }
    hf_op settled = {.op = "updateContent", .message_id = T("n"), .content = T("whole")};
    if (code == HF_OK) code = hf_exec(store, &settled, NULL, &err);
    if (code != HF_OK) {
        snprintf(self->why, sizeof self->why, "%s", err.message);
        atomic_store(&self->failed, 1);
        _exit(5);
    }
    hf_close(store);
    _exit(0);
}

/* It goes on: after this call began it has appended again. */
static void assert_goes_on(neighbour *other) {
    long before = atomic_load(&other->appended);
    for (int i = 0; i < 20000 && !atomic_load(&other->failed); i++) {
        if (atomic_load(&other->appended) > before + 1) return;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    fail_msg("the living process is stuck: %s", other->why);
}

static void the_anchors_of_a_living_process_are_left_alone(void **state) {
    (void)state;
    fixture f;
    neighbour *other = mmap(NULL, sizeof *other, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(other != MAP_FAILED);
    create(&f);
    pid_t living = fork();
    assert_int_not_equal(living, -1);
    if (living == 0) live(f.path, other);
    assert_goes_on(other);
    size_t kills = (size_t)number_of("HOLDFAST_KILLS", KILLS) / 4;
    for (size_t round = 0; round < kills; round++) {
        int heard;
        job todo = choose_job(round);
        pid_t child = start(f.path, &todo, 0, &heard);
        size_t acknowledged =
            kill_after(child, &todo, heard, choose_moment(&todo) % 100, (int64_t)chance(1000000));
        settle_all(&f, &todo, acknowledged, 1);
        fixture_open(&f);
        assert_int_equal(done(&f, .op = "read", .message_id = T("n"))->state, HF_STATE_STREAMING);
        long before = atomic_load(&other->appended);
        assert_true(done(&f, .op = "read", .message_id = T("n"))->seq >= before);
        assert_code(failed(&f, .op = "append", .message_id = T("n"), .delta = T("x")), HF_CONFLICT);
        fixture_close(&f);
        assert_goes_on(other);
    }
    atomic_store(&other->stop, 1);
    int status = -1;
    assert_int_equal(waitpid(living, &status, 0), living);
    if (status != 0) fail_msg("the living process: %s", other->why);
    fixture_open(&f);
    assert_content(&f, "n", HF_STATE_FINAL, T("whole"));
    fixture_end(&f);
    munmap(other, sizeof *other);
}

/* ---- Death at every call of the disk ----------------------------------------------------------- */

static stream short_stream;

/* The job, with death at that call: whether it came that far. */
static bool die_at(fixture *f, job todo, long nth) {
    int heard;
    pid_t child = start(f->path, &todo, nth, &heard);
    size_t acknowledged = hear(&todo, heard, 0, SIZE_MAX);
    close(heard);
    bool died = was_killed(child);
    bool all = acknowledged == ops_in(&todo);
    assert_true(died ? !all || todo.ballast > 0 : all); /* with ballast, it may also die in closing */
    settle_all(f, &todo, acknowledged, 0);
    return died;
}

/* Every write, sync, lock, unlock and barrier of the whole life of an anchor, the file of its owner included. */
static void an_anchor_survives_death_at_every_call_of_the_disk(void **state) {
    (void)state;
    fixture f;
    long nth = 1;
    create(&f);
    while (die_at(&f, make_job(&short_stream, 1, false, HF_DURABILITY_FULL), nth))
        nth++;
    print_message("%ld deaths from reserve to updateContent\n", nth - 1);
    assert_true(nth > 40);
    fixture_end(&f);
}

/* One of the commits makes the WAL so large that it is brought into the database, beside the ops that follow. */
static void an_anchor_survives_death_in_a_checkpoint(void **state) {
    (void)state;
    fixture f;
    long nth = 1;
    job todo;
    create(&f);
    do {
        todo = make_job(&short_stream, 1, false, HF_DURABILITY_FULL);
        todo.ballast = 1985 * 4084; /* what an overflow page holds */
        nth += 1 + (long)chance(200);
        fixture_open(&f);
        done(&f, .op = "delete", .message_id = T("ballast"));
        fixture_close(&f);
    } while (die_at(&f, todo, nth));
    assert_true(nth > 1500); /* there was one */
    fixture_end(&f);
}

/* The child's part: opens the store, and dies at that call. */
static void open_and_die(const char *path, long death) {
    hf_store *store;
    hf_error err;
    fault_vfs_install();
    fault_vfs_plan(FAULT_ANY, FAULT_DEATH, death, 1);
    if (hf_open(path, NULL, &store, &err) != HF_OK) give_up(&err);
    _exit(0);
}

/* The one that finds a dead owner's anchor dies in its turn. */
static void opening_survives_death_at_every_call_of_the_disk(void **state) {
    (void)state;
    fixture f;
    bool died = true;
    long deaths = 0;
    create(&f);
    for (long nth = 1; died; nth++) {
        int heard;
        job todo = make_job(&short_stream, 1, false, HF_DURABILITY_NORMAL);
        pid_t child = start(f.path, &todo, 0, &heard);
        size_t acknowledged = kill_after(child, &todo, heard, 3, 0);
        child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0) open_and_die(f.path, nth);
        died = was_killed(child);
        deaths += died;
        settle_all(&f, &todo, acknowledged, 0);
    }
    print_message("%ld deaths in opening\n", deaths);
    assert_true(deaths > 10);
    fixture_end(&f);
}

/* ---- Set-up ------------------------------------------------------------------------------------ */

static int load(void **state) {
    static char long_delta[9001]; /* it fills pages of its own */
    static const char *deltas[] = {"one ", "", long_delta, "two", NULL};
    (void)state;
    memset(long_delta, 'x', sizeof long_delta - 1);
    short_stream = stream_make("short", deltas, "[{\"type\":\"text\",\"text\":\"one two\"}]");
    streams_count = streams_load("examples/data/streams", &streams, 0);
    streams_count = streams_load("../shared/data/streams", &streams, streams_count);
    seed = number_of("HOLDFAST_SEED", (uint64_t)now_ns() % 1000000000);
    print_message("HOLDFAST_SEED=%llu, %zu streams\n", (unsigned long long)seed, streams_count);
    return streams_count == 0;
}

static int unload(void **state) {
    (void)state;
    streams_free(streams, streams_count);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_survives_a_kill_at_any_delta),
        cmocka_unit_test(the_anchors_of_a_living_process_are_left_alone),
        cmocka_unit_test(an_anchor_survives_death_at_every_call_of_the_disk),
        cmocka_unit_test(an_anchor_survives_death_in_a_checkpoint),
        cmocka_unit_test(opening_survives_death_at_every_call_of_the_disk),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
