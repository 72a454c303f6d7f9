/*
 * The checkpointer of a file. Each commit of a store tells it how many frames the WAL holds; it wakes when there are
 * enough, and copies them into the database beside the writers. What a commit and a transaction are is left to store.c.
 *
 * A pass is a passive checkpoint on one connection, inside a transaction of another one, the holder. Before version
 * 3.51.3, SQLite may lose commits where a checkpoint starts when everything was copied before, and another connection,
 * committing, starts the WAL over between two of its steps: it takes the new frames for old ones. The holder rules
 * that out, whoever else writes and checkpoints, other processes included. While it reads a frame of the WAL, nobody
 * can start the WAL over. Where it reads none, because all had been copied when it began, it has the lock without
 * which the checkpoint cannot copy, so that this pass does nothing. So nobody else in a process may checkpoint: the
 * stores' own connections have SQLite's automatic checkpoints turned off.
 *
 * Beside a writer that never pauses, a pass never comes to the end of the WAL, and only from there can it be started
 * over. So when it is past its limit, a second pass follows whose holder begins as a writer: nobody adds to the
 * WAL, and little is left to copy. The stores of this process are held at a gate meanwhile, since they would win the
 * lock over and over; those of others wait for the lock. The next commit then starts the WAL over and cuts the file.
 * The gate is before BEGIN alone. It opens when the pass has ended, however slow the disk is: no writer hears of a lock
 * that its own process holds. A layer of one store may call another store of the same file, and then wait there with
 * the lock that the holder wants: which gives up soon.
 *
 * Writers that are faster than the disk would make the WAL grow without end as well: past HF__WAL_MOST they are held
 * until all of it was copied.
 *
 * A reader that stays keeps what is newer than it from being copied, and readers that never leave all at once keep the
 * WAL from being started over. Both are told, and the writers are held a little longer each time, so that readers who
 * began before all was copied have the time to leave: who begins afterwards needs nothing of the WAL.
 */
#include "store/checkpoint.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/uuid.h"
#include "store/sql.h"

enum {
    WRITER_WAIT_MS = 100, /* for the writer inside to end, before a pass that holds the others */
    POLL_US = 200,
    GATE_WAIT_S = 10,   /* of a writer, then it tries its luck */
    ASK_MS = 200,       /* to see whether a reader stays */
    STARVED_WAIT_S = 1, /* how often it is looked whether the reader has gone */
    LEAST_PATIENCE_MS = 5,
    MOST_PATIENCE_MS = 32,
    LONG_WAL = HF__WAL_LIMIT * 4096, /* bytes */
    MUCH = 250,                      /* frames that are better copied while writers go on */
    ALONE_LIMIT = 2 * HF__WAL_LIMIT,
    STACK = 256 * 1024,
};

struct hf__checkpointer {
    hf__checkpointer *next; /* of all in the process */
    dev_t device;           /* whose file it is */
    ino_t inode;
    pid_t pid;
    unsigned stores;
    const char *vfs;

    /* What commits look at. */
    atomic_int frames;  /* in the WAL */
    atomic_int next_at; /* when there are so many, it is wanted */
    atomic_int done;    /* so many of them are in the database, as the last pass left it */
    atomic_int end;     /* all were, with no writer inside, when there were so many; else 0 */
    atomic_bool gate;   /* writers are held */
    atomic_uint news;   /* how often there was something to warn of */

    pthread_mutex_t lock; /* of the rest, but for what only the pass uses */
    pthread_cond_t called, opened;
    pthread_t thread;
    bool threaded, alone;    /* there is a thread; none was to be had */
    bool wanted, busy, ends; /* busy: it is at work */
    hf__checkpoints seen;
    char warning[256];

    /* The pass's. */
    sqlite3 *db, *holder;
    int log,
        copied; /* what the last one found: frames in the WAL, and how many of them are in the database now */
    int stuck; /* how often in a row the WAL could have been started over, and was not; a writer may cause one */
    int patience_ms;
    bool starved, warned_starved, warned_failed;
    char path[]; /* as SQLite gave it: absolute, with links resolved */
};

/* ---- A pass ------------------------------------------------------------------------------------ */

static void sleep_us(long us) {
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* SQLite's own handler waits longer and longer, and the writers are held. */
static int poll_lock(void *data, int times) {
    (void)data;
    if (times >= WRITER_WAIT_MS * 1000 / POLL_US) return 0;
    sleep_us(POLL_US);
    return 1;
}

static int run(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void close_both(hf__checkpointer *c) {
    sqlite3_close(c->holder);
    sqlite3_close(c->db);
    c->holder = c->db = NULL;
}

/* The file may have been moved away since: whatever lies in its place is none of ours. */
static bool is_there(const hf__checkpointer *c) {
    struct stat info;
    return stat(c->path, &info) == 0 && info.st_dev == c->device && info.st_ino == c->inode;
}

static int open_one(hf__checkpointer *c, sqlite3 **out) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(c->path, out, flags, c->vfs);
    if (rc != SQLITE_OK) return rc;
    sqlite3_db_config(*out, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_handler(*out, poll_lock, NULL);
    return run(*out, HF__SQL_CHECKPOINTER);
}

static int open_both(hf__checkpointer *c) {
    if (c->db != NULL) return SQLITE_OK;
    int rc = is_there(c) ? open_one(c, &c->db) : SQLITE_CANTOPEN;
    if (rc == SQLITE_OK) rc = open_one(c, &c->holder);
    if (rc == SQLITE_OK && !is_there(c)) rc = SQLITE_CANTOPEN;
    if (rc != SQLITE_OK) close_both(c);
    return rc;
}

/* Within the holder's transaction, so that what it found is noted while nobody can start the WAL over. */
static int copy_frames(hf__checkpointer *c) {
    int done = 0, log = 0;
    int rc = sqlite3_wal_checkpoint_v2(c->db, "main", SQLITE_CHECKPOINT_PASSIVE, &log, &done);
    if (rc != SQLITE_OK) return rc;
    c->log = log;
    c->copied = done;
    atomic_store(&c->next_at, log + HF__WAL_AGAIN);
    int before = atomic_exchange(&c->done, done);
    pthread_mutex_lock(&c->lock);
    c->seen.passes++;
    c->seen.frames += done >= before ? done - before : done;
    pthread_mutex_unlock(&c->lock);
    return SQLITE_OK;
}

/* Ends what came out as `rc`. A rollback may lack the memory; to close needs none, and ends the pass. */
static int let_go(hf__checkpointer *c, int rc) {
    if (!sqlite3_get_autocommit(c->holder)) run(c->holder, HF__SQL_CREATE_ROLLBACK);
    if (sqlite3_get_autocommit(c->holder)) return rc;
    close_both(c);
    return rc != SQLITE_OK ? rc : SQLITE_NOMEM;
}

/* Beside the writers. */
static int copy_some(hf__checkpointer *c) {
    int rc = run(c->holder, HF__SQL_CHECKPOINTER_BEGIN);
    if (rc == SQLITE_OK) rc = copy_frames(c);
    return let_go(c, rc);
}

/* How many frames came since the last pass; less than none where the WAL was started over. */
static int came_since(hf__checkpointer *c) {
    return atomic_load(&c->frames) - c->copied;
}

/* The pass that comes to the end of the WAL. Readers that began before the last commits get some time to leave, also
 * once all is copied where they kept the WAL from being started over the last time: those who begin now are in nobody's
 * way. */
static int copy_last(hf__checkpointer *c) {
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->gate, true);
    pthread_mutex_unlock(&c->lock);
    int rc = run(c->holder, HF__SQL_CREATE_BEGIN);
    if (rc == SQLITE_OK) rc = copy_frames(c);
    for (int ms = 0; rc == SQLITE_OK && c->copied < c->log && ms < LEAST_PATIENCE_MS + c->patience_ms; ms++) {
        sleep_us(1000);
        rc = copy_frames(c);
    }
    bool all = rc == SQLITE_OK && c->copied == c->log;
    if (all) atomic_store(&c->end, c->log);
    if (all && c->stuck > 0) sleep_us(c->patience_ms * 1000L);
    if (all && c->stuck == 0)
        c->patience_ms = 0;
    else if (c->patience_ms < MOST_PATIENCE_MS)
        c->patience_ms = c->patience_ms * 2 + LEAST_PATIENCE_MS;
    return let_go(c, rc);
}

/* ---- What is told ------------------------------------------------------------------------------ */

/* Under the lock. */
static void warn(hf__checkpointer *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void warn(hf__checkpointer *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->warning, sizeof c->warning, format, arguments);
    va_end(arguments);
    atomic_fetch_add(&c->news, 1);
}

static void note_outcome(hf__checkpointer *c, int rc, bool held) {
    int log = c->log, behind = log - c->copied;
    bool failed = rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY;
    pthread_mutex_lock(&c->lock);
    c->seen.outcome = rc;
    c->seen.failures += failed;
    if (failed && !c->warned_failed)
        warn(c, "a checkpoint failed, and the WAL goes on growing: %s (SQLite %d)", sqlite3_errstr(rc), rc);
    c->warned_failed = failed || (c->warned_failed && rc != SQLITE_OK);
    if (rc == SQLITE_OK) {
        held = held && log >= HF__WAL_LIMIT;
        c->seen.behind = held ? behind : 0;
        if (!held || c->seen.starved_since == 0) c->seen.starved_since = held ? hf__now(NULL) : 0;
        if (held && log >= HF__WAL_MOST && !c->warned_starved)
            warn(c,
                 "readers keep the WAL from being emptied: it has %d pages, %d of them not yet in the "
                 "database",
                 log, behind);
        c->warned_starved = held && (c->warned_starved || log >= HF__WAL_MOST);
    }
    pthread_mutex_unlock(&c->lock);
}

/* ---- The thread -------------------------------------------------------------------------------- */

/* Somebody asks: what is left only a reader keeps, and one that stays lets nothing more be copied for a while. */
static int ask_readers(hf__checkpointer *c, bool *clear) {
    int stood = c->copied, rc = SQLITE_OK;
    for (int ms = 0; ms < ASK_MS && c->copied < c->log && c->copied == stood && rc == SQLITE_OK; ms += 10) {
        sleep_us(10000);
        rc = copy_some(c);
    }
    atomic_store(&c->frames, c->log);
    *clear = c->copied == c->log || c->copied != stood;
    return rc;
}

/* Copies what there is beside the writers, and a second time what came meanwhile where that is much; then the rest,
 * where writers go on. Clears `clear` where a reader is in the way. */
static int copy_all(hf__checkpointer *c, int before, bool *clear) {
    int stood = c->copied, rc = copy_some(c);
    if (rc != SQLITE_OK) return rc;
    if (before == 0) return ask_readers(c, clear);
    *clear = c->log < before || c->copied >= before;
    if (!*clear && c->starved && c->copied == stood)
        return SQLITE_OK; /* the same one: it will not leave soon */
    if (came_since(c) >= MUCH) rc = copy_some(c);
    if (rc == SQLITE_OK && came_since(c) > 0) rc = copy_last(c);
    if (rc == SQLITE_OK) *clear = c->copied == c->log || came_since(c) <= 0;
    return rc;
}

/* All that is to be done when the WAL has grown. */
static void copy_and_tell(hf__checkpointer *c) {
    int before = atomic_load(&c->frames), end = atomic_load(&c->end);
    bool clear = true;
    if (end == 0 || before > end) c->stuck = end == 0 ? 0 : c->stuck + 1;
    int rc = open_both(c);
    if (rc == SQLITE_OK) rc = copy_all(c, before, &clear);
    if (rc != SQLITE_OK) atomic_store(&c->next_at, atomic_load(&c->frames) + HF__WAL_AGAIN);
    if (rc == SQLITE_OK) c->starved = !clear || c->stuck > 1;
    note_outcome(c, rc, c->starved);
}

/* Under the lock, but not while it copies. Whoever held the writers, they may go on then. */
static void work(hf__checkpointer *c) {
    c->busy = true;
    pthread_mutex_unlock(&c->lock);
    copy_and_tell(c);
    pthread_mutex_lock(&c->lock);
    c->busy = false;
    if (came_since(c) <= 0) c->wanted = false; /* by a commit that was copied as well */
    atomic_store(&c->gate, false);
    pthread_cond_broadcast(&c->opened);
    pthread_cond_signal(&c->called); /* the thread may have waited for somebody else's pass */
}

/* Waits until it is wanted, or for a while where a reader may go. */
static void await_call(hf__checkpointer *c) {
    struct timespec until;
    if (c->seen.starved_since == 0) {
        pthread_cond_wait(&c->called, &c->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STARVED_WAIT_S;
    if (pthread_cond_timedwait(&c->called, &c->lock, &until) == ETIMEDOUT) c->wanted = true;
}

static void *serve(void *data) {
    hf__checkpointer *c = data;
    pthread_mutex_lock(&c->lock);
    while (!c->ends) {
        if (!c->wanted || c->busy) {
            await_call(c);
            continue;
        }
        c->wanted = false;
        work(c);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* The host's signals are for the host's threads. Under the lock. */
static bool start(hf__checkpointer *c) {
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setstacksize(&attributes, STACK);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = pthread_create(&c->thread, &attributes, serve, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return good;
}

/* Where there is no thread, whoever commits does the work, later than a thread would. */
static void call(hf__checkpointer *c, int frames) {
    atomic_store(&c->next_at, INT_MAX);
    pthread_mutex_lock(&c->lock);
    if (!c->threaded && !c->alone) {
        c->threaded = start(c);
        c->alone = !c->threaded;
    }
    c->wanted = c->threaded;
    if (c->threaded) {
        pthread_cond_signal(&c->called);
    } else if (frames < ALONE_LIMIT) {
        atomic_store(&c->next_at, ALONE_LIMIT);
    } else if (!c->busy) {
        work(c);
    }
    pthread_mutex_unlock(&c->lock);
}

/* The writers may fill the WAL faster than the disk lets it be copied. */
static void hold_writers(hf__checkpointer *c) {
    pthread_mutex_lock(&c->lock);
    if (c->busy && c->seen.starved_since == 0) atomic_store(&c->gate, true);
    pthread_mutex_unlock(&c->lock);
}

/* After each commit of a store's connection, on the thread that commits. */
static int note_commit(void *data, sqlite3 *db, const char *name, int frames) {
    hf__checkpointer *c = data;
    (void)db, (void)name;
    if (frames < atomic_exchange(&c->frames, frames)) { /* it was started over */
        atomic_store(&c->done, 0);
        atomic_store(&c->end, 0);
        atomic_store(&c->next_at, HF__WAL_LIMIT);
    }
    if (frames >= atomic_load(&c->next_at)) call(c, frames);
    if (frames >= HF__WAL_MOST) hold_writers(c);
    return SQLITE_OK;
}

/* ---- The stores' side -------------------------------------------------------------------------- */

/* All that there are. A child of fork has its parent's as well, and leaves them alone. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static hf__checkpointer *all;

static hf__checkpointer *find(const struct stat *info) {
    for (hf__checkpointer *c = all; c != NULL; c = c->next)
        if (c->device == info->st_dev && c->inode == info->st_ino && c->pid == getpid()) return c;
    return NULL;
}

static bool open_locks(hf__checkpointer *c) {
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) return false;
    bool good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_mutex_init(&c->lock, NULL) == 0;
    if (good && pthread_cond_init(&c->called, &attributes) != 0) {
        pthread_mutex_destroy(&c->lock);
        good = false;
    }
    if (good && pthread_cond_init(&c->opened, &attributes) != 0) {
        pthread_cond_destroy(&c->called);
        pthread_mutex_destroy(&c->lock);
        good = false;
    }
    pthread_condattr_destroy(&attributes);
    return good;
}

static hf__checkpointer *make(const char *path, const char *vfs, const struct stat *info) {
    hf__checkpointer *c = hf__alloc_zero(sizeof *c + strlen(path) + 1);
    if (c == NULL) return NULL;
    if (!open_locks(c)) {
        hf__free(c);
        return NULL;
    }
    strcpy(c->path, path);
    c->vfs = vfs;
    c->device = info->st_dev;
    c->inode = info->st_ino;
    c->pid = getpid();
    atomic_init(&c->next_at, HF__WAL_LIMIT);
    return c;
}

/* The one that is there, or a new one; NULL where memory ran out. */
static hf__checkpointer *find_or_make(const char *path, const char *vfs, const struct stat *info) {
    pthread_mutex_lock(&all_lock);
    hf__checkpointer *c = find(info);
    if (c == NULL) {
        c = make(path, vfs, info);
        if (c != NULL) {
            c->next = all;
            all = c;
        }
    }
    if (c != NULL) c->stores++;
    pthread_mutex_unlock(&all_lock);
    return c;
}

int hf__checkpointer_join(sqlite3 *db, hf__checkpointer **out, hf_error *err) {
    const char *path = sqlite3_db_filename(db, "main");
    sqlite3_vfs *vfs = NULL;
    struct stat info;
    *out = NULL;
    if (path == NULL || *path == '\0') return HF_OK;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs);
    if (rc != SQLITE_OK || vfs == NULL)
        return hf__fail(err, HF_INTERNAL, "%s: the connection names no VFS (SQLite %d)", path, rc);
    if (stat(path, &info) != 0) return hf__fail(err, HF_IO, "%s: the file has gone (errno %d)", path, errno);
    hf__checkpointer *c = find_or_make(path, vfs->zName, &info);
    if (c == NULL) return hf__fail_memory(err);
    sqlite3_wal_hook(db, note_commit, c);
    *out = c;
    return HF_OK;
}

/* Whether the caller was the last; then nobody finds it any more. */
static bool drop(hf__checkpointer *c) {
    pthread_mutex_lock(&all_lock);
    bool last = --c->stores == 0;
    for (hf__checkpointer **at = &all; last && *at != NULL; at = &(*at)->next) {
        if (*at != c) continue;
        *at = c->next;
        break;
    }
    pthread_mutex_unlock(&all_lock);
    return last;
}

void hf__checkpointer_leave(sqlite3 *db, hf__checkpointer *c) {
    if (c == NULL) return;
    sqlite3_wal_hook(db, NULL, NULL);
    if (!drop(c)) return;
    pthread_mutex_lock(&c->lock);
    c->ends = true;
    pthread_cond_signal(&c->called);
    pthread_mutex_unlock(&c->lock);
    if (c->threaded) pthread_join(c->thread, NULL);
    close_both(c);
    pthread_cond_destroy(&c->opened);
    pthread_cond_destroy(&c->called);
    pthread_mutex_destroy(&c->lock);
    hf__free(c);
}

bool hf__checkpointer_pass_gate(hf__checkpointer *c) {
    struct timespec until;
    if (c == NULL || !atomic_load(&c->gate)) return false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += GATE_WAIT_S;
    pthread_mutex_lock(&c->lock);
    while (atomic_load(&c->gate))
        if (pthread_cond_timedwait(&c->opened, &c->lock, &until) == ETIMEDOUT) break;
    pthread_mutex_unlock(&c->lock);
    return true;
}

void hf__checkpointer_look(hf__checkpointer *c, hf__checkpoints *out) {
    *out = (hf__checkpoints){0};
    if (c == NULL) return;
    pthread_mutex_lock(&c->lock);
    *out = c->seen;
    out->threaded = c->threaded;
    pthread_mutex_unlock(&c->lock);
    out->wal_frames = atomic_load(&c->frames);
}

void hf__checkpointer_inquire(hf__checkpointer *c, int64_t wal_size, hf__checkpoints *out) {
    if (c != NULL) {
        pthread_mutex_lock(&c->lock);
        bool unknown = c->seen.passes == 0 || c->seen.starved_since != 0;
        if (unknown && !c->threaded && !c->busy && wal_size >= LONG_WAL) {
            atomic_store(&c->frames, 0); /* others added to what was told here */
            work(c);
        }
        pthread_mutex_unlock(&c->lock);
    }
    hf__checkpointer_look(c, out);
}

void hf__checkpointer_tell(hf__checkpointer *c, unsigned *told, const hf__host *host) {
    char text[sizeof c->warning];
    if (c == NULL || atomic_load(&c->news) == *told) return;
    pthread_mutex_lock(&c->lock);
    *told = atomic_load(&c->news);
    memcpy(text, c->warning, sizeof text);
    pthread_mutex_unlock(&c->lock);
    hf__host_log(host, HF_WARN, "", text, (hf_text){NULL, 0});
}
