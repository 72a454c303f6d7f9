/* Who brings the WAL into the database, and when: looked at in sizes and counts, never in times. */
#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault_vfs.h"
#include "support/terminal.h"

enum {
    PAGE = 4096,
    FRAME = PAGE + 24,
    CONTENT = 40 * PAGE, /* so that few ops fill the WAL */
    OPS_TO_LIMIT = HF__WAL_LIMIT / 40,
    PATIENCE = 60000, /* ms, of who waits for the thread: then it is not coming */
};

static char content[CONTENT];
static int logged;
static char said[256];

static void note_log(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)data, (void)layer, (void)fields;
    assert_int_equal(level, HF_WARN);
    snprintf(said, sizeof said, "%s", message);
    logged++;
}

static void start(fixture *f) {
    fixture_start(f);
    memset(content, 'x', sizeof content);
    logged = 0;
    f->host.log = note_log;
    f->options.busy_timeout_ms = PATIENCE;
}

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    start(f);
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fault_vfs_failed();
    fixture_end(*state);
    free(*state);
    return 0;
}

static void add(fixture *f, int times) {
    static int made;
    char id[16];
    for (int i = 0; i < times; i++) {
        snprintf(id, sizeof id, "m%d", ++made);
        done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .message_id = T(id),
             .content = {content, sizeof content}, .skip_indexing = HF_YES);
    }
}

static hf__checkpointer *checkpointer_of(fixture *f) {
    return ((hf__store *)f->terminal.data)->checkpointer;
}

static hf__checkpoints seen;

static hf__checkpoints look(fixture *f) {
    hf__checkpointer_look(checkpointer_of(f), &seen);
    return seen;
}

static off_t size_of(const fixture *f, const char *ending) {
    char path[110];
    struct stat info;
    snprintf(path, sizeof path, "%s%s", f->path, ending);
    return stat(path, &info) == 0 ? info.st_size : -1;
}

static int threads(void) {
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) skip();
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* A thread that was joined may be seen a moment longer. */
static bool has_threads(int expected) {
    for (int left = PATIENCE; threads() != expected && left > 0; left--)
        usleep(1000);
    return threads() == expected;
}

/* Adds until what is asked for is true of what was seen. */
#define add_until(f, condition)                                          \
    do {                                                                 \
        for (int left = PATIENCE; look(f), !(condition); left -= 2) {    \
            if (left < 0) fail_msg("%s does not come true", #condition); \
            add(f, 1);                                                   \
            usleep(2000);                                                \
        }                                                                \
    } while (0)

/* ---- The thread -------------------------------------------------------------------------------- */

static void a_small_store_has_neither_thread_nor_pass(void **state) {
    fixture *f = *state;
    int before = threads();
    add(f, OPS_TO_LIMIT / 2);
    assert_false(look(f).threaded);
    assert_int_equal(look(f).passes, 0);
    assert_true(has_threads(before));
    assert_true(look(f).wal_frames >= OPS_TO_LIMIT / 2 * 40);
}

static void a_store_in_memory_has_no_checkpointer(void **state) {
    fixture *f = *state, second = *f;
    second.result = (hf_result){0};
    strcpy(second.path, ":memory:");
    fixture_open(&second);
    done(&second, .op = "createConversation", .conversation_id = T("c1"));
    assert_null(checkpointer_of(&second));
    assert_int_equal(look(&second).passes, 0);
    second.terminal.close(second.terminal.data);
    hf_result_free(&second.result);
}

static void a_store_that_is_closed_leaves_no_thread_and_no_wal(void **state) {
    fixture *f = *state;
    int before = threads();
    add(f, OPS_TO_LIMIT + 1);
    assert_true(look(f).threaded);
    assert_true(has_threads(before + 1));
    fixture_close(f);
    assert_true(has_threads(before));
    assert_int_equal(size_of(f, "-wal"), -1);
    assert_true(size_of(f, "") > (off_t)OPS_TO_LIMIT * CONTENT);
}

static void stores_of_one_file_have_one_checkpointer(void **state) {
    fixture *f = *state, second = *f, third = *f, other = *f;
    char link_path[96];
    int before = threads();
    second.result = third.result = other.result = (hf_result){0};
    snprintf(link_path, sizeof link_path, "%.64s/link.db", f->folder);
    assert_int_equal(symlink(f->path, link_path), 0);
    strcpy(third.path, link_path);
    snprintf(other.path, sizeof other.path, "%.64s/other.db", f->folder);
    fixture_open(&second);
    fixture_open(&third);
    fixture_open(&other);
    assert_ptr_equal(checkpointer_of(&second), checkpointer_of(f));
    assert_ptr_equal(checkpointer_of(&third), checkpointer_of(f));
    assert_ptr_not_equal(checkpointer_of(&other), checkpointer_of(f));
    for (int i = 0; i < 3 * OPS_TO_LIMIT; i++)
        add(i % 2 == 0 ? f : &second, 1);
    add_until(&second, seen.passes > 0);
    assert_true(has_threads(before + 1));
    fixture_close(f);
    fixture_close(&other);
    assert_true(has_threads(before + 1));
    add(&third, 2 * OPS_TO_LIMIT); /* it goes on for those who stay */
    fixture_close(&second);
    fixture_close(&third);
    assert_true(has_threads(before));
    assert_int_equal(size_of(f, "-wal"), -1);
}

/* Neither by the commit that fills the WAL, nor by one behind it that waits at the gate. */
static void no_checkpoint_falls_on_the_thread_that_commits(void **state) {
    fixture *f = *state;
    fault_vfs_own_writes();
    add(f, 6 * OPS_TO_LIMIT);
    add_until(f, seen.passes > 1 && seen.frames > 4 * HF__WAL_LIMIT);
    assert_int_equal(fault_vfs_own_writes(), 0);
}

/* The thread takes none of the host's signals. */
static void signals_stay_with_the_hosts_threads(void **state) {
    fixture *f = *state;
    char path[64], line[128];
    unsigned long long blocked = 0;
    add(f, OPS_TO_LIMIT + 1);
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) skip();
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == getpid()) continue;
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        while (fgets(line, sizeof line, file) != NULL)
            if (strncmp(line, "SigBlk:", 7) == 0) blocked = strtoull(line + 7, NULL, 16);
        fclose(file);
        if ((blocked & 1ULL << (SIGTERM - 1)) != 0) break;
    }
    closedir(dir);
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM, SIGCHLD, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        assert_true((blocked & 1ULL << (signals[i] - 1)) != 0);
}

/* A child has the parent's checkpointers in its memory, and not their threads. */
static void a_child_of_fork_has_checkpointers_of_its_own(void **state) {
    fixture *f = *state;
#ifdef __SANITIZE_THREAD__
    skip(); /* the thread sanitizer lets no child of a process with threads have any */
#endif
    add_until(f, seen.passes > 0);
    usleep(100000); /* until the thread rests: what it has locked in fork stays locked in the child */
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        fixture own = *f;
        int before = threads();
        alarm(PATIENCE / 1000);
        own.result = (hf_result){0};
        snprintf(own.path, sizeof own.path, "%.64s/own.db", f->folder);
        fixture_open(&own);
        done(&own, .op = "createConversation", .conversation_id = T("c1"));
        add_until(&own, seen.passes > 0);
        own.terminal.close(own.terminal.data);
        if (has_threads(before) && size_of(&own, "-wal") == -1)
            raise(SIGKILL); /* no leak checker looks at its parent's */
        _exit(1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    int64_t passes = look(f).passes;
    add_until(f, seen.passes > passes);
}

/* ---- The size of the WAL ----------------------------------------------------------------------- */

static void the_wal_stays_bounded_under_a_writer_that_never_stops(void **state) {
    fixture *f = *state;
    off_t most = 0;
    for (int i = 0; i < 40 * OPS_TO_LIMIT; i++) {
        add(f, 1);
        off_t size = size_of(f, "-wal");
        if (size > most) most = size;
    }
    look(f);
    print_message("%ld frames at most, %ld passes, %ld frames copied\n", (long)(most / FRAME),
                  (long)seen.passes, (long)seen.frames);
    assert_true(most <= (off_t)(HF__WAL_MOST + 100) * FRAME);
    assert_true(seen.passes > 0 && seen.failures == 0 && seen.starved_since == 0);
    assert_true(seen.frames >= (40 - 10) * HF__WAL_LIMIT);
    assert_int_equal(logged, 0);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 40 * OPS_TO_LIMIT);
    assert_int_equal(fixture_ask(f, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

static void a_large_transaction_is_copied_and_the_wal_cut(void **state) {
    fixture *f = *state;
    char id[16];
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, &f->err), HF_OK);
    for (int i = 0; i < 16 * OPS_TO_LIMIT; i++) {
        snprintf(id, sizeof id, "big%d", i);
        hf_op op = {.op = "add",
                    .conversation_id = T("c1"),
                    .role = T("user"),
                    .message_id = T(id),
                    .content = {content, sizeof content},
                    .skip_indexing = HF_YES};
        assert_int_equal(inside(f, &op), HF_OK);
    }
    assert_int_equal(f->terminal.commit(f->terminal.data, &f->err), HF_OK);
    assert_true(size_of(f, "-wal") > (off_t)15 * HF__WAL_LIMIT * FRAME);
    add_until(f, seen.wal_frames < HF__WAL_LIMIT);
    assert_true(size_of(f, "-wal") <= 64 << 20);
}

/* ---- Readers ----------------------------------------------------------------------------------- */

static sqlite3 *read_for_long(const fixture *f) {
    sqlite3 *reader;
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM conversations", NULL, NULL, NULL),
                     SQLITE_OK);
    return reader;
}

typedef struct between {
    fixture *f;
    atomic_bool ends;
} between;

/* A writer that leaves checkpoints to others, as another process may. */
static void write_by_hand(const fixture *f, int frames) {
    sqlite3 *writer;
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(writer,
                     "PRAGMA wal_autocheckpoint = 0;"
                     "INSERT OR IGNORE INTO conversations(id, created_at, updated_at) VALUES('other', 1, 1)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    for (int i = 0; i < frames; i++)
        assert_int_equal(
            sqlite3_exec(writer, "UPDATE conversations SET updated_at = updated_at + 1", NULL, NULL, NULL),
            SQLITE_OK);
    sqlite3_close(writer);
}

static void who_asks_is_told_of_a_reader_that_keeps_the_wal_of_others(void **state) {
    fixture *f = *state;
    sqlite3 *reader = read_for_long(f);
    write_by_hand(f, HF__WAL_LIMIT + 10);
    hf__checkpointer_inquire(checkpointer_of(f), size_of(f, "-wal"), &seen);
    assert_true(seen.starved_since != 0);
    assert_true(seen.behind >= HF__WAL_LIMIT && seen.wal_frames >= seen.behind);
    assert_false(seen.threaded);
    sqlite3_close(reader);
    hf__checkpointer_inquire(checkpointer_of(f), size_of(f, "-wal"), &seen);
    assert_int_equal(seen.starved_since, 0);
    assert_int_equal(seen.behind, 0);
    add_until(f, seen.wal_frames < HF__WAL_LIMIT); /* the next writer begins the WAL anew */
}

/* Two readers, one of which always reads, but none for long, and a writer that never pauses. */
static void *read_in_turns_and_write(void *data) {
    const between *b = data;
    sqlite3 *readers[2] = {read_for_long(b->f), read_for_long(b->f)};
    for (int i = 0; !atomic_load(&b->ends); i = 1 - i) {
        assert_int_equal(sqlite3_exec(readers[i], "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        write_by_hand(b->f, 5);
        assert_int_equal(
            sqlite3_exec(readers[i], "BEGIN; SELECT count(*) FROM conversations", NULL, NULL, NULL),
            SQLITE_OK);
        write_by_hand(b->f, 5);
    }
    sqlite3_close(readers[0]);
    sqlite3_close(readers[1]);
    return NULL;
}

static void who_asks_is_not_told_of_readers_that_come_and_go(void **state) {
    between b = {.f = *state};
    pthread_t thread;
    sqlite3 *keeper = read_for_long(b.f); /* of the WAL */
    assert_int_equal(sqlite3_exec(keeper, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    write_by_hand(b.f, HF__WAL_LIMIT + 10);
    assert_int_equal(pthread_create(&thread, NULL, read_in_turns_and_write, &b), 0);
    usleep(20000);
    hf__checkpointer_inquire(checkpointer_of(b.f), size_of(b.f, "-wal"), &seen);
    atomic_store(&b.ends, true);
    pthread_join(thread, NULL);
    sqlite3_close(keeper);
    assert_true(seen.passes > 0);
    assert_int_equal(seen.starved_since, 0);
}

static void a_reader_that_stays_is_told_once_and_the_wal_shrinks_when_it_has_gone(void **state) {
    fixture *f = *state;
    sqlite3 *reader = read_for_long(f);
    f->options.busy_timeout_ms = 20;
    add_until(f, seen.starved_since != 0);
    assert_int_equal(logged, 0);
    add_until(f, logged > 0);
    look(f);
    assert_true(seen.starved_since != 0);
    assert_true(seen.behind >= HF__WAL_MOST - 100);
    assert_int_equal(seen.outcome, SQLITE_OK);
    assert_non_null(strstr(said, "readers keep the WAL from being emptied"));
    add(f, OPS_TO_LIMIT);
    assert_int_equal(logged, 1);
    assert_true(size_of(f, "-wal") > 64 << 20);
    assert_int_equal(sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(reader);
    add_until(f, seen.starved_since == 0 && seen.wal_frames < HF__WAL_LIMIT);
    assert_int_equal(look(f).behind, 0);
    assert_true(size_of(f, "-wal") <= 64 << 20);
    reader = read_for_long(f); /* the next one is another */
    add_until(f, logged > 1);
    sqlite3_close(reader);
}

static atomic_bool readers_stop;

/* Reads again and again, so that together with others there is always somebody who reads. */
static void *read_on(void *data) {
    fixture *f = data;
    while (!atomic_load(&readers_stop)) {
        sqlite3 *reader = NULL;
        int rc = sqlite3_open(f->path, &reader);
        if (rc == SQLITE_OK) rc = sqlite3_busy_timeout(reader, PATIENCE);
        if (rc == SQLITE_OK)
            rc = sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM conversations", NULL, NULL, NULL);
        if (rc != SQLITE_OK) return fprintf(stderr, "%s\n", sqlite3_errmsg(reader)), f;
        usleep(2000);
        sqlite3_close(reader);
    }
    return NULL;
}

static void readers_that_come_and_go_do_not_make_the_wal_grow(void **state) {
    fixture *f = *state;
    pthread_t reading[3];
    off_t most = 0;
    atomic_store(&readers_stop, false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&reading[i], NULL, read_on, f), 0);
    for (int i = 0; i < 24 * OPS_TO_LIMIT; i++) {
        add(f, 1);
        off_t size = size_of(f, "-wal");
        if (size > most) most = size;
    }
    atomic_store(&readers_stop, true);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(reading[i], &failed);
        assert_null(failed);
    }
    look(f);
    print_message("%ld frames at most, %ld passes\n", (long)(most / FRAME), (long)seen.passes);
    assert_true(most <= (off_t)2 * HF__WAL_MOST * FRAME);
}

static void a_reader_that_has_gone_is_noticed_by_a_store_that_rests(void **state) {
    fixture *f = *state;
    sqlite3 *reader = read_for_long(f);
    add_until(f, seen.starved_since != 0);
    sqlite3_close(reader);
    for (int left = PATIENCE; look(f).starved_since != 0; left -= 10) {
        if (left < 0) fail_msg("nobody noticed");
        usleep(10000);
    }
}

/* ---- Failures ---------------------------------------------------------------------------------- */

static void a_checkpoint_that_fails_fails_no_op_and_is_told_once(void **state) {
    fixture *f = *state;
    fault_vfs_plan(FAULT_SYNC, SQLITE_IOERR_FSYNC, 1,
                   1L << 40); /* a commit needs none while durability is normal */
    add_until(f, seen.failures > 1);
    add(f, 1);
    look(f);
    assert_int_equal(seen.outcome, SQLITE_IOERR_FSYNC);
    assert_int_equal(logged, 1);
    assert_non_null(strstr(said, "a checkpoint failed"));
    assert_true(fault_vfs_failed() > 1);
    add_until(f, seen.outcome == SQLITE_OK && seen.wal_frames < HF__WAL_LIMIT);
    fault_vfs_plan(FAULT_OPEN, SQLITE_CANTOPEN, 1, 1L << 40); /* its connections are open and stay so */
    int64_t passes = look(f).passes;
    add_until(f, seen.passes > passes);
    assert_int_equal(logged, 1);
}

static void a_checkpointer_that_cannot_open_the_file_tries_again(void **state) {
    fixture *f = *state;
    fault_vfs_plan(FAULT_OPEN, SQLITE_CANTOPEN, 1, 2);
    add_until(f, seen.failures == 2);
    assert_int_equal(fault_vfs_failed(), 2);
    add_until(f, seen.passes > 0 && seen.outcome == SQLITE_OK);
}

static void a_slow_disk_makes_a_checkpoint_slow_and_no_writer_busy(void **state) {
    fixture *f = *state;
    f->options.busy_timeout_ms = 1;
    fixture_close(f);
    fixture_open(f);
    fault_vfs_slow_syncs(100);
    add_until(f, seen.passes > 3);
    fault_vfs_slow_syncs(0);
}

/* Whether somebody had the writers' lock when one of this process was about to ask for it. */
static bool met_lock;

static int wait_for_lock(unsigned kind, void *other, void *stmt, void *text) {
    (void)kind, (void)stmt;
    if (strcmp(text, "BEGIN IMMEDIATE") != 0) return 0;
    usleep(3000); /* it is past the gate */
    if (sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_BUSY) met_lock = true;
    if (!sqlite3_get_autocommit(other)) sqlite3_exec(other, "COMMIT", NULL, NULL, NULL);
    return 0;
}

static void a_writer_past_the_gate_that_meets_the_lock_of_a_pass_hears_nothing_of_it(void **state) {
    fixture *f = *state;
    sqlite3 *other;
    f->options.busy_timeout_ms = 1;
    fixture_close(f);
    fixture_open(f);
    assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
    sqlite3_trace_v2(fixture_db(f), SQLITE_TRACE_STMT, wait_for_lock, other);
    fault_vfs_slow_syncs(30);
    met_lock = false;
    add_until(f, met_lock);
    fault_vfs_slow_syncs(0);
    assert_int_equal(f->err.code, HF_OK);
    sqlite3_trace_v2(fixture_db(f), 0, NULL, NULL);
    sqlite3_close(other);
}

static atomic_int rollbacks_to_fail;

int __real_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *data,
                        char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *data,
                        char **message);
int __wrap_sqlite3_exec(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *data,
                        char **message) {
    if (strcmp(sql, "ROLLBACK") == 0 && atomic_fetch_sub(&rollbacks_to_fail, 1) > 0) return SQLITE_NOMEM;
    return __real_sqlite3_exec(db, sql, row, data, message);
}

/* Behind the part that ended so, because a reader keeps it from copying all, another would follow. */
static void a_pass_whose_transaction_could_not_be_ended_is_over(void **state) {
    fixture *f = *state;
    sqlite3 *reader;
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_exec(reader, "BEGIN; SELECT * FROM conversations", NULL, NULL, NULL), SQLITE_OK);
    atomic_store(&rollbacks_to_fail, 1);
    add_until(f, seen.failures > 0);
    assert_int_equal(seen.outcome, SQLITE_NOMEM);
    sqlite3_close(reader);
    add_until(f, seen.outcome == SQLITE_OK && seen.wal_frames < HF__WAL_LIMIT);
}

/* What lies at the path of a file that was moved away is never touched. */
static void a_file_in_the_place_of_one_that_was_moved_is_left_alone(void **state) {
    fixture *f = *state;
    char moved[110];
    snprintf(moved, sizeof moved, "%s.moved", f->path);
    assert_int_equal(rename(f->path, moved), 0);
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    fclose(file);
    add_until(f, seen.failures > 0);
    assert_int_equal(look(f).outcome, SQLITE_CANTOPEN);
    assert_int_equal(look(f).passes, 0);
    assert_int_equal(size_of(f, ""), 0);
    unlink(f->path);
    assert_int_equal(rename(moved, f->path), 0);
    add_until(f, seen.passes > 0);
}

/* ---- Without a thread -------------------------------------------------------------------------- */

static bool no_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *data) {
    return no_threads ? EAGAIN : __real_pthread_create(thread, attributes, run, data);
}

static void where_there_is_no_thread_the_wal_is_bounded_all_the_same(void **state) {
    fixture *f = *state;
    off_t most = 0;
    no_threads = true;
    fault_vfs_own_writes();
    for (int i = 0; i < 6 * OPS_TO_LIMIT; i++) {
        add(f, 1);
        off_t size = size_of(f, "-wal");
        if (size > most) most = size;
    }
    no_threads = false;
    look(f);
    assert_false(seen.threaded);
    assert_true(seen.passes > 0);
    assert_true(fault_vfs_own_writes() > 0); /* whoever commits does what a thread would */
    assert_true(most <= (off_t)(2 * HF__WAL_LIMIT + 100) * FRAME);
    assert_true(most > (off_t)(2 * HF__WAL_LIMIT - 100) * FRAME);
}

static void *do_nothing(void *data) {
    return data;
}

/* The first thread of a process may bring another one along, of a sanitizer. */
static int install(void **state) {
    pthread_t thread;
    (void)state;
    fault_vfs_install();
    return pthread_create(&thread, NULL, do_nothing, NULL) == 0 ? pthread_join(thread, NULL) : -1;
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        RULE(a_small_store_has_neither_thread_nor_pass),
        RULE(a_store_in_memory_has_no_checkpointer),
        RULE(a_store_that_is_closed_leaves_no_thread_and_no_wal),
        RULE(stores_of_one_file_have_one_checkpointer),
        RULE(no_checkpoint_falls_on_the_thread_that_commits),
        RULE(signals_stay_with_the_hosts_threads),
        RULE(a_child_of_fork_has_checkpointers_of_its_own),
        RULE(the_wal_stays_bounded_under_a_writer_that_never_stops),
        RULE(a_large_transaction_is_copied_and_the_wal_cut),
        RULE(a_reader_that_stays_is_told_once_and_the_wal_shrinks_when_it_has_gone),
        RULE(who_asks_is_told_of_a_reader_that_keeps_the_wal_of_others),
        RULE(who_asks_is_not_told_of_readers_that_come_and_go),
        RULE(readers_that_come_and_go_do_not_make_the_wal_grow),
        RULE(a_reader_that_has_gone_is_noticed_by_a_store_that_rests),
        RULE(a_checkpoint_that_fails_fails_no_op_and_is_told_once),
        RULE(a_checkpointer_that_cannot_open_the_file_tries_again),
        RULE(a_slow_disk_makes_a_checkpoint_slow_and_no_writer_busy),
        RULE(a_writer_past_the_gate_that_meets_the_lock_of_a_pass_hears_nothing_of_it),
        RULE(a_pass_whose_transaction_could_not_be_ended_is_over),
        RULE(a_file_in_the_place_of_one_that_was_moved_is_left_alone),
        RULE(where_there_is_no_thread_the_wal_is_bounded_all_the_same),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
