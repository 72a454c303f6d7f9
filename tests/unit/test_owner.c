/* The proof that an owner lives: seen from this process and from others, for as long as the owner lives and no
 * longer, whatever is done to its file, and with every call failing in turn. */
#define _XOPEN_SOURCE 700

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/uuid.h"
#include "store/owner.h"
#include "support/fault_alloc.h"
#include "support/fault_vfs.h"
#include "support/terminal.h"

#define OWNER "01890a5d-ac96-774b-bcce-b302099a8057"
#define OTHER "01890a5d-ac96-774b-bcce-b302099a8058"

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static hf__owner *claim(fixture *f, const char *id) {
    hf__owner *owner = NULL;
    if (hf__owner_claim(fixture_db(f), id, &owner, &f->err) != HF_OK) fail_msg("%s", f->err.message);
    assert_non_null(owner);
    return owner;
}

static bool lives_in(sqlite3 *db, const char *id) {
    hf_error err;
    bool lives = true;
    if (hf__owner_lives(db, id, &lives, &err) != HF_OK) fail_msg("%s", err.message);
    return lives;
}

static bool lives(fixture *f, const char *id) {
    return lives_in(fixture_db(f), id);
}

/* The code of a question that gets no answer. */
static int unknown(fixture *f, const char *id) {
    bool answer = true;
    int code = hf__owner_lives(fixture_db(f), id, &answer, &f->err);
    assert_int_not_equal(code, HF_OK);
    assert_int_equal(code, f->err.code);
    assert_non_null(strstr(f->err.message, f->path));
    assert_false(answer);
    return code;
}

static const char *file_of(const fixture *f, const char *id) {
    static char path[200];
    snprintf(path, sizeof path, "%s-owner-%s", f->path, id);
    return path;
}

static bool is_there(const fixture *f, const char *id) {
    struct stat info;
    return lstat(file_of(f, id), &info) == 0;
}

static int entries(const char *folder) {
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static int descriptors(void) {
    return entries("/proc/self/fd");
}

/* ---- In this process --------------------------------------------------------------------------- */

static void an_owner_lives_until_its_release(void **state) {
    fixture *f = *state;
    hf__owner *owner = claim(f, OWNER);
    assert_true(lives(f, OWNER));
    assert_false(lives(f, OTHER));
    hf__owner_release(owner);
    assert_false(lives(f, OWNER));
    assert_false(is_there(f, OWNER));
    hf__owner_release(NULL);
}

static void another_connection_sees_it_and_the_lock_outlasts_those_who_looked(void **state) {
    fixture *f = *state;
    fixture second = *f;
    fixture_open(&second);
    hf__owner *owner = claim(f, OWNER), *other = claim(&second, OTHER);
    int before = descriptors();
    for (int i = 0; i < 20; i++) {
        assert_true(lives(&second, OWNER));
        assert_true(lives(f, OTHER));
        assert_true(lives(f, OWNER));
    }
    assert_true(descriptors() <=
                before + 2); /* SQLite keeps one for each file that is locked, and closes it with the lock */
    fixture_close(&second);
    assert_true(lives(f, OTHER)); /* it is the owner that counts, not the connection */
    hf__owner_release(owner);
    hf__owner_release(other);
    assert_false(lives(f, OWNER));
    assert_false(lives(f, OTHER));
}

static void its_file_is_its_owners_alone(void **state) {
    fixture *f = *state;
    struct stat info;
    mode_t mask = umask(0);
    hf__owner *owner = claim(f, OWNER);
    umask(mask);
    assert_int_equal(stat(file_of(f, OWNER), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 0);
    hf__owner_release(owner);
}

static void an_id_is_claimed_once(void **state) {
    fixture *f = *state;
    hf__owner *owner = claim(f, OWNER), *second = NULL;
    assert_int_equal(hf__owner_claim(fixture_db(f), OWNER, &second, &f->err), HF_IO);
    assert_null(second);
    assert_true(lives(f, OWNER)); /* the failure took nothing from the first */
    hf__owner_release(owner);
}

static void no_descriptor_and_no_file_is_left(void **state) {
    fixture *f = *state;
    int before = descriptors(), files = entries(f->folder);
    for (int i = 0; i < 20; i++) {
        hf__owner *owner = claim(f, OWNER);
        assert_true(lives(f, OWNER));
        assert_false(lives(f, OTHER));
        hf__owner_release(owner);
        hf__owner_clear(fixture_db(f), OWNER);
    }
    assert_int_equal(descriptors(), before);
    assert_int_equal(entries(f->folder), files);
}

/* The store is another one's to look at by a path of another name. */
static void a_link_to_the_database_leads_to_the_same_owners(void **state) {
    fixture *f = *state;
    fixture linked = *f;
    snprintf(linked.path, sizeof linked.path, "%s/link.db", f->folder);
    assert_int_equal(symlink("store.db", linked.path), 0);
    fixture_open(&linked);
    hf__owner *owner = claim(f, OWNER), *other = claim(&linked, OTHER);
    assert_true(lives(&linked, OWNER));
    assert_true(lives(f, OTHER));
    assert_true(is_there(f, OTHER));
    assert_false(is_there(&linked, OTHER));
    hf__owner_release(owner);
    hf__owner_release(other);
    fixture_close(&linked);
}

static void in_memory_an_owner_needs_no_file(void **state) {
    fixture *f = *state;
    fixture memory = *f;
    snprintf(memory.path, sizeof memory.path, ":memory:");
    fixture_open(&memory);
    int files = entries(f->folder);
    hf__owner *owner = claim(&memory, OWNER);
    assert_int_equal(entries(f->folder), files);
    assert_int_not_equal(access(":memory:-owner-" OWNER, F_OK), 0);
    assert_false(lives(&memory, OTHER));
    hf__owner_clear(fixture_db(&memory), OTHER);
    hf__owner_release(owner);
    fixture_close(&memory);
}

/* ---- In other processes ------------------------------------------------------------------------ */

enum { LIFE = 30 }; /* s: no process outlives a test that failed by more */

static pid_t other_process(void) {
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) alarm(LIFE);
    return child;
}

static void tell(int pipe_end) {
    assert_int_equal(write(pipe_end, "x", 1), 1);
}

/* The child's part: opens the store by itself, claims, and lives on until it is killed. With `orphan` it has a child
 * of its own, which goes on after it. Says when it is ready, and who that child is. */
static void live_as_owner(const char *path, int said, bool orphan) {
    fixture f;
    sqlite3 *db = NULL;
    hf__owner *owner = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK) _exit(1);
    if (hf__owner_claim(db, OWNER, &owner, &f.err) != HF_OK) _exit(2);
    pid_t grandchild = orphan ? fork() : 0;
    if (grandchild < 0) _exit(3);
    if (orphan && grandchild == 0) {
        alarm(LIFE);
        pause();
    }
    if (write(said, &grandchild, sizeof grandchild) != sizeof grandchild) _exit(4);
    for (;;)
        pause();
}

/* Starts a process that claims OWNER, and waits until it has. No store may be open here: a child of fork would
 * inherit it. */
static pid_t start_owner(const fixture *f, bool orphan, pid_t *grandchild) {
    int pipe_ends[2];
    pid_t inherited = 0;
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = other_process();
    if (child == 0) live_as_owner(f->path, pipe_ends[1], orphan);
    close(pipe_ends[1]);
    assert_int_equal(read(pipe_ends[0], &inherited, sizeof inherited), sizeof inherited);
    close(pipe_ends[0]);
    if (grandchild != NULL) *grandchild = inherited;
    return child;
}

static void end_by_force(pid_t child) {
    int status = -1;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void an_owner_in_another_process_lives_until_it_is_killed(void **state) {
    fixture *f = *state;
    fixture_close(f);
    pid_t child = start_owner(f, false, NULL);
    fixture_open(f);
    int before = descriptors();
    assert_true(lives(f, OWNER));
    assert_true(lives(f, OWNER)); /* looking took nothing from it */
    assert_int_equal(descriptors(), before);
    end_by_force(child);
    assert_true(is_there(f, OWNER));
    assert_false(lives(f, OWNER));
    hf__owner_clear(fixture_db(f), OWNER);
    assert_false(is_there(f, OWNER));
    assert_false(lives(f, OWNER));
    assert_int_equal(descriptors(), before);
}

static void a_child_that_outlives_its_parent_does_not_keep_the_owner_alive(void **state) {
    fixture *f = *state;
    pid_t grandchild = 0;
    fixture_close(f);
    pid_t child = start_owner(f, true, &grandchild);
    fixture_open(f);
    assert_true(grandchild > 0);
    assert_true(lives(f, OWNER));
    end_by_force(child);
    assert_int_equal(kill(grandchild, 0), 0);
    assert_false(lives(f, OWNER));
    kill(grandchild, SIGKILL);
}

/* The process that looks opens the store itself, so this one may open it only once the other is there. */
static void an_owner_of_this_process_is_seen_by_another(void **state) {
    fixture *f = *state;
    int asks[2], answers[2];
    fixture_close(f);
    assert_int_equal(pipe(asks) | pipe(answers), 0);
    pid_t child = other_process();
    if (child == 0) {
        sqlite3 *db = NULL;
        close(asks[1]);
        for (char byte; read(asks[0], &byte, 1) == 1;) {
            hf_error err;
            bool alive = false;
            if (db == NULL && sqlite3_open(f->path, &db) != SQLITE_OK) _exit(1);
            int code = hf__owner_lives(db, OWNER, &alive, &err);
            byte = code != HF_OK ? '?' : alive ? '1' : '0';
            if (write(answers[1], &byte, 1) != 1) _exit(2);
        }
        sqlite3_close(db);
        raise(SIGKILL);
    }
    close(asks[0]);
    close(answers[1]);
    fixture_open(f);
    hf__owner *owner = claim(f, OWNER);
    assert_true(lives(f, OWNER)); /* a second handle of the file, closed again: the lock has to stay */
    char seen[4] = "";
    for (int i = 0; i < 3; i++) {
        tell(asks[1]);
        assert_int_equal(read(answers[0], &seen[i], 1), 1);
        if (i == 1) hf__owner_release(owner);
    }
    assert_string_equal(seen, "110");
    close(asks[1]);
    close(answers[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- What the file system may hold ------------------------------------------------------------- */

static void an_id_that_is_no_uuid_is_dead_and_touches_nothing(void **state) {
    static const char *const ids[] = {
        "",
        "../../x",
        "../store.db",
        "01890a5d-ac96-774b-bcce-b302099a805",
        "01890a5d-ac96-774b-bcce-b302099a80570",
        "01890A5D-AC96-774B-BCCE-B302099A8057",
        "01890a5dxac96-774b-bcce-b302099a8057",
        "01890a5d-ac96-774b-bcce-b302099a805/",
        "0/../../../../../../../../tmp/holdfa",
    };
    fixture *f = *state;
    sqlite3 *db = fixture_db(f);
    /* Met, both would show: every file that is opened fails, and this one would go. */
    char bait[200];
    snprintf(bait, sizeof bait, "%s-owner-", f->path);
    assert_int_equal(close(open(bait, O_CREAT | O_WRONLY, 0600)), 0);
    fault_vfs_plan(FAULT_OPEN, SQLITE_CANTOPEN, 1, 1000);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        hf__owner *owner = NULL;
        assert_false(lives_in(db, ids[i]));
        hf__owner_clear(db, ids[i]);
        assert_int_equal(hf__owner_claim(db, ids[i], &owner, &f->err), HF_INTERNAL);
        assert_null(owner);
    }
    assert_false(lives_in(db, NULL));
    hf__owner_clear(db, NULL);
    assert_int_equal(fault_vfs_failed(), 0);
    assert_int_equal(access(bait, F_OK), 0);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void what_cannot_be_looked_at_is_not_called_dead(void **state) {
    fixture *f = *state;
    assert_int_equal(mkdir(file_of(f, OWNER), 0700), 0);
    assert_int_equal(unknown(f, OWNER), HF_IO);
    assert_int_equal(rmdir(file_of(f, OWNER)), 0);
    assert_int_equal(symlink(strrchr(file_of(f, OWNER), '/') + 1, file_of(f, OWNER)), 0);
    assert_int_equal(unknown(f, OWNER), HF_IO);
    assert_non_null(strstr(f->err.message, OWNER));
}

/* Where the database was moved away, so were, or were not, the files of those who live. */
static void beside_a_database_that_moved_nobody_is_called_dead(void **state) {
    fixture *f = *state;
    char away[110];
    snprintf(away, sizeof away, "%s.away", f->path);
    assert_int_equal(rename(f->path, away), 0);
    assert_int_equal(unknown(f, OWNER), HF_IO);
    assert_int_equal(rename(away, f->path), 0);
    assert_false(lives(f, OWNER));
}

static void a_folder_that_takes_no_file_is_told(void **state) {
    fixture *f = *state;
    hf__owner *owner = NULL;
    int before = descriptors();
    assert_int_equal(mkdir(file_of(f, OWNER), 0700), 0);
    assert_int_equal(hf__owner_claim(fixture_db(f), OWNER, &owner, &f->err), HF_IO);
    assert_null(owner);
    assert_non_null(strstr(f->err.message, file_of(f, OWNER)));
    assert_true(is_there(f, OWNER)); /* it is not ours to delete */
    assert_int_equal(descriptors(), before);
}

/* ---- Failing calls ----------------------------------------------------------------------------- */

static void a_claim_that_fails_leaves_nothing(void **state) {
    static const struct {
        fault_kind kind;
        int rc, code;
        long calls;
    } faults[] = {
        {FAULT_OPEN, SQLITE_CANTOPEN, HF_IO, 1},
        {FAULT_OPEN, SQLITE_NOMEM, HF_MEMORY, 1},
        {FAULT_LOCK, SQLITE_BUSY, HF_BUSY, 2},
        {FAULT_LOCK, SQLITE_IOERR_LOCK, HF_IO, 2},
    };
    fixture *f = *state;
    int before = descriptors(), files = entries(f->folder);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        for (long nth = 1; nth <= faults[i].calls; nth++) {
            hf__owner *owner = NULL;
            fault_vfs_plan(faults[i].kind, faults[i].rc, nth, 1);
            assert_int_equal(hf__owner_claim(fixture_db(f), OWNER, &owner, &f->err), faults[i].code);
            assert_int_equal(fault_vfs_failed(), 1);
            assert_int_equal(f->err.code, faults[i].code);
            if (faults[i].code != HF_MEMORY) assert_int_equal(f->err.sqlite_code, faults[i].rc);
            assert_null(owner);
            assert_int_equal(descriptors(), before);
            assert_int_equal(entries(f->folder), files);
            assert_false(lives(f, OWNER));
        }
    }
}

static void a_look_that_fails_calls_nobody_dead(void **state) {
    fixture *f = *state;
    hf__owner *owner = claim(f, OWNER);
    assert_true(lives(f, OWNER));
    int before = descriptors();
    fault_vfs_plan(FAULT_OPEN, SQLITE_CANTOPEN, 1, 1);
    assert_int_equal(unknown(f, OWNER), HF_IO);
    assert_int_equal(fault_vfs_failed(), 1);
    fault_vfs_plan(FAULT_RESERVED, SQLITE_IOERR_CHECKRESERVEDLOCK, 1, 1);
    assert_int_equal(unknown(f, OWNER), HF_IO);
    assert_int_equal(fault_vfs_failed(), 1);
    assert_int_equal(f->err.sqlite_code, SQLITE_IOERR_CHECKRESERVEDLOCK);
    assert_true(lives(f, OWNER));
    assert_int_equal(descriptors(), before);
    hf__owner_release(owner);
}

/* A VFS that fails after it has opened the file, and leaves it to be closed. */
static int (*open_well)(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out);

static int open_late(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out) {
    int rc = open_well(vfs, name, file, flags, out);
    return rc != SQLITE_OK ? rc : SQLITE_IOERR;
}

static void a_file_that_opens_and_fails_is_closed(void **state) {
    fixture *f = *state;
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    hf__owner *owner = claim(f, OWNER), *other = NULL;
    assert_true(lives(f, OWNER));
    int before = descriptors(), files = entries(f->folder);
    open_well = vfs->xOpen;
    vfs->xOpen = open_late;
    int claimed = hf__owner_claim(fixture_db(f), OTHER, &other, &f->err);
    int looked = unknown(f, OWNER);
    vfs->xOpen = open_well;
    assert_int_equal(claimed, HF_IO);
    assert_int_equal(looked, HF_IO);
    assert_int_equal(descriptors(), before);
    assert_int_equal(entries(f->folder), files);
    assert_true(lives(f, OWNER));
    hf__owner_release(owner);
}

static void memory_that_runs_out_leaves_nothing_and_calls_nobody_dead(void **state) {
    fixture *f = *state;
    hf__owner *owner = claim(f, OWNER);
    assert_true(lives(f, OWNER));
    int before = descriptors(), files = entries(f->folder);
    bool happened = true;
    long met = 0;
    for (long nth = 1; happened; nth++) {
        hf__owner *other = NULL;
        bool alive = false;
        fault_alloc_plan(nth);
        int code = hf__owner_claim(fixture_db(f), OTHER, &other, &f->err);
        if (code == HF_OK) code = hf__owner_lives(fixture_db(f), OWNER, &alive, &f->err);
        happened = fault_alloc_happened();
        met += happened;
        if (code != HF_OK) assert_int_equal(code, HF_MEMORY);
        assert_int_equal(code == HF_OK, alive);
        hf__owner_release(other);
        assert_int_equal(descriptors(), before);
        assert_int_equal(entries(f->folder), files);
    }
    assert_true(met >= 6); /* two names and their owner, two files, and what SQLite wants for each */
    hf__owner_release(owner);
}

/* SQLite's memory comes out of the same plan as ours. */
static sqlite3_mem_methods memory;
void *__wrap_malloc(size_t size);

static void *planned_malloc(int size) {
    void *probe = __wrap_malloc(1);
    free(probe);
    return probe != NULL ? memory.xMalloc(size) : NULL;
}

static int install(void **state) {
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK) return -1;
    sqlite3_mem_methods planned = memory;
    planned.xMalloc = planned_malloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &planned) != SQLITE_OK) return -1;
    fault_vfs_install();
    return 0;
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest rules[] = {
        RULE(an_owner_lives_until_its_release),
        RULE(another_connection_sees_it_and_the_lock_outlasts_those_who_looked),
        RULE(its_file_is_its_owners_alone),
        RULE(an_id_is_claimed_once),
        RULE(no_descriptor_and_no_file_is_left),
        RULE(a_link_to_the_database_leads_to_the_same_owners),
        RULE(in_memory_an_owner_needs_no_file),
        RULE(an_owner_in_another_process_lives_until_it_is_killed),
        RULE(a_child_that_outlives_its_parent_does_not_keep_the_owner_alive),
        RULE(an_owner_of_this_process_is_seen_by_another),
        RULE(an_id_that_is_no_uuid_is_dead_and_touches_nothing),
        RULE(what_cannot_be_looked_at_is_not_called_dead),
        RULE(beside_a_database_that_moved_nobody_is_called_dead),
        RULE(a_folder_that_takes_no_file_is_told),
        RULE(a_claim_that_fails_leaves_nothing),
        RULE(a_look_that_fails_calls_nobody_dead),
        RULE(a_file_that_opens_and_fails_is_closed),
        RULE(memory_that_runs_out_leaves_nothing_and_calls_nobody_dead),
    };
    return cmocka_run_group_tests(rules, install, NULL);
}
