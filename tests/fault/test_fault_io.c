/* The disk fails at every point in turn: each op gives the right answer or an error of the list, nothing that was
 * acknowledged is lost, nothing is there by half, and asking again settles what is open. The file is looked at as
 * a process finds it that opens it after this one died. */
#define _POSIX_C_SOURCE 200809L

#include "support/fault_vfs.h"
#include "support/store.h"

/* What can go wrong, what it is called, and what a store without layers makes of one such failure. */
typedef struct fault {
    fault_kind kind;
    int rc, code, alone;
} fault;

static const fault faults[] = {
    {FAULT_WRITE, SQLITE_IOERR_WRITE, HF_IO, HF_OK}, {FAULT_SYNC, SQLITE_IOERR_FSYNC, HF_UNKNOWN, HF_UNKNOWN},
    {FAULT_WRITE, SQLITE_FULL, HF_FULL, HF_FULL},    {FAULT_LOCK, SQLITE_BUSY, HF_BUSY, HF_OK},
    {FAULT_LOCK, SQLITE_IOERR_LOCK, HF_IO, HF_OK},   {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, HF_IO, HF_OK},
    {FAULT_READ, SQLITE_IOERR_READ, HF_IO, HF_OK},
};

enum { FAULTS = sizeof faults / sizeof *faults };

static int pass(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

/* ---- Jobs: what is done while the disk fails --------------------------------------------------- */

/* The ops of each job, and what the file holds afterwards if all of them, or none, succeeded. */
typedef struct job {
    hf_op ops[2];
    size_t count;
    const char *all, *none; /* "id=content ..." by position */
} job;

enum { JOBS = 4 };

static char long_text[9000]; /* it fills pages of its own */

static void make_job(int which, job *out) {
    static hf_op inside[4];
    inside[0] = (hf_op){ADD("m1", "one")};
    inside[1] =
        (hf_op){.op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m2")};
    inside[2] = (hf_op){.op = "updateContent", .message_id = T("m2"), .content = T("two")};
    inside[3] = (hf_op){ADD("m3", "three")}; /* its conversation is written at the commit */
    memset(out, 0, sizeof *out);
    out->none = "m0=before";
    out->count = 1;
    if (which == 0) {
        out->ops[0] = (hf_op){ADD("m1", long_text)};
        out->all = "m0=before m1=long";
    } else if (which == 1) {
        out->ops[0] = inside[1];
        out->ops[1] = inside[2];
        out->count = 2;
        out->all = "m0=before m2=two";
    } else if (which == 2) {
        out->ops[0] = (hf_op){.op = "batch", .ops = inside, .ops_count = 4};
        out->all = "m0=before m1=one m2=two m3=three";
    } else {
        out->ops[0] = inside[1];
        out->ops[1] = (hf_op){.op = "append", .message_id = T("m2"), .delta = T(long_text), .seq = 1};
        out->count = 2;
        out->all = "m0=before m2=long";
    }
}

/* ---- What the file holds ----------------------------------------------------------------------- */

/* A copy of the file as it is now, for whoever comes after a crash of this process. Another process makes it:
 * who closes a file of the store in this one drops its locks. */
static void crash(const fixture *f, char *image, size_t size) {
    char command[1024];
    snprintf(image, size, "%s/image.db", f->folder);
    snprintf(command, sizeof command, "rm -f %s-*; cp %s %s; [ ! -e %s-wal ] || cp %s-wal %s-wal", image,
             f->path, image, f->path, f->path, image);
    assert_int_equal(system(command), 0);
}

static void look(const char *path, char *out, size_t size) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT group_concat(id || '=' || iif(length(text) > 1000, 'long', text), ' ')"
                           " FROM (SELECT id, coalesce((SELECT group_concat(delta, '') FROM deltas"
                           " WHERE position >> 24 = messages.position), content) AS text"
                           " FROM messages ORDER BY position)",
                           -1, &stmt, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    snprintf(out, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT last_message_at IS updated_at AND updated_at IS"
                                        " (SELECT created_at FROM messages ORDER BY position DESC LIMIT 1)"
                                        " FROM conversations",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(stmt, 0), 1); /* it tells of the last one */
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

/* ---- One failure ------------------------------------------------------------------------------- */

static void start(fixture *f, bool layered) {
    fixture_start(f);
    f->options.durability = HF_DURABILITY_FULL;
    f->options.busy_timeout_ms = 20;
    fixture_open(f);
    if (layered) {
        hf_layer_options options = {.size = sizeof options, .name = "pass"};
        assert_code(hf_use_function(f->store, &options, pass, &f->err), HF_OK);
    }
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    done(f, ADD("m0", "before"));
}

/* Runs the job until an op fails. */
static int run(fixture *f, const job *todo, size_t *acknowledged) {
    int code = HF_OK;
    for (*acknowledged = 0; *acknowledged < todo->count; ++*acknowledged) {
        code = hf_exec(f->store, &todo->ops[*acknowledged], &f->result, &f->err);
        if (code != HF_OK) break;
    }
    return code;
}

/* What the file may hold when `acknowledged` ops succeeded and the next one failed with `code`. */
static bool is_right(const job *todo, size_t acknowledged, int code, const char *held) {
    const char *half = todo->count == 2 ? "m0=before m2=[]" : todo->all;
    const char *states[] = {todo->none, half, todo->all};
    size_t now = acknowledged == todo->count ? 2 : acknowledged;
    if (strcmp(held, states[now]) == 0) return true;
    return code == HF_UNKNOWN && strcmp(held, states[now + 1]) == 0;
}

/* Whether the plan was met: the sweep goes on while it is. */
static bool try_one(const fault *what, int which, bool layered, long nth, long times) {
    fixture f;
    job todo;
    size_t acknowledged;
    char image[128], held[200];
    make_job(which, &todo);
    start(&f, layered);
    fault_vfs_plan(what->kind, what->rc, nth, times);
    int code = run(&f, &todo, &acknowledged);
    bool met = fault_vfs_failed() > 0;

#define WHERE "%s at %ld, job %d%s: %s", sqlite3_errstr(what->rc), nth, which, layered ? ", layered" : ""
    if (code != HF_OK && code != what->code) fail_msg(WHERE, f.err.message);
    if (!met && code != HF_OK) fail_msg(WHERE, "an error out of nothing");
    if (times == 1 && !layered && code != HF_OK && code != what->alone) fail_msg(WHERE, f.err.message);
    if (code != HF_OK) {
        assert_int_equal(f.err.code, code);
        assert_int_equal(f.err.sqlite_code, what->rc);
        assert_string_equal(f.err.layer, "");
    }
    crash(&f, image, sizeof image);
    look(image, held, sizeof held);
    if (!is_right(&todo, acknowledged, code, held)) fail_msg(WHERE, held);

    assert_code(run(&f, &todo, &acknowledged), HF_OK); /* asking again, with the same ids */
    crash(&f, image, sizeof image);
    look(image, held, sizeof held);
    if (strcmp(held, todo.all) != 0) fail_msg(WHERE, held);
    fixture_close(&f);
    look(f.path, held, sizeof held);
    if (strcmp(held, todo.all) != 0) fail_msg(WHERE, held);
    fixture_end(&f);
    return met;
}

/* ---- The sweeps -------------------------------------------------------------------------------- */

static void one_failure_at_any_point_leaves_all_or_nothing(void **state) {
    (void)state;
    for (int i = 0; i < FAULTS; i++) {
        for (int which = 0; which < JOBS; which++) {
            for (int layered = 0; layered < 2; layered++) {
                long nth = 1;
                while (try_one(&faults[i], which, layered, nth, 1))
                    nth++;
                assert_true(nth < 1000);
            }
        }
    }
}

static void a_failure_that_stays_is_given_up_with_its_name(void **state) {
    (void)state;
    static const fault staying[] = {
        {FAULT_WRITE, SQLITE_IOERR_WRITE, HF_IO, HF_IO},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC, HF_UNKNOWN, HF_UNKNOWN},
        {FAULT_WRITE, SQLITE_FULL, HF_FULL, HF_FULL},
        {FAULT_WRITER, SQLITE_BUSY, HF_BUSY, HF_BUSY},
    };
    for (size_t i = 0; i < sizeof staying / sizeof *staying; i++)
        for (int layered = 0; layered < 2; layered++)
            assert_true(try_one(&staying[i], 2, layered, 1, 1000000));
}

static void the_faults_are_really_met(void **state) {
    (void)state;
    assert_true(try_one(&faults[0], 0, false, 1, 1));
    assert_true(try_one(&faults[1], 0, false, 1, 1));
    assert_true(try_one(&faults[3], 0, false, 1, 1));
}

/* After a sync that failed, the row may come up in the next process: then it must be the one row. */
static void an_unknown_outcome_is_settled_by_asking_again(void **state) {
    (void)state;
    fixture f;
    char image[128], held[200];
    start(&f, false);
    fault_vfs_plan(FAULT_SYNC, SQLITE_IOERR_FSYNC, 1, 1);
    assert_code(hf_exec(f.store, &(hf_op){ADD("m1", "one")}, NULL, &f.err), HF_UNKNOWN);
    assert_int_equal(fault_vfs_failed(), 1);
    assert_string_equal(f.err.message_id, "m1");
    assert_int_equal(f.err.sqlite_code, SQLITE_IOERR_FSYNC);
    crash(&f, image, sizeof image);
    fixture_close(&f);
    for (int i = 0; i < 2; i++) { /* the process that lives, and the one after a crash */
        hf_store *store = NULL;
        const char *path = i == 0 ? f.path : image;
        assert_code(hf_open(path, &f.options, &store, &f.err), HF_OK);
        assert_code(hf_exec(store, &(hf_op){ADD("m1", "one")}, &f.result, &f.err), HF_OK);
        assert_text(f.result.message->content, "one");
        hf_close(store);
        look(path, held, sizeof held);
        assert_string_equal(held, "m0=before m1=one");
    }
    fixture_end(&f);
}

static void opening_under_failures_says_so_and_can_be_repeated(void **state) {
    static const fault openings[] = {
        {FAULT_OPEN, SQLITE_CANTOPEN, HF_IO, 0},   {FAULT_WRITE, SQLITE_IOERR_WRITE, HF_IO, 0},
        {FAULT_WRITE, SQLITE_FULL, HF_FULL, 0},    {FAULT_SYNC, SQLITE_IOERR_FSYNC, HF_UNKNOWN, 0},
        {FAULT_LOCK, SQLITE_IOERR_LOCK, HF_IO, 0}, {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, HF_IO, 0},
        {FAULT_READ, SQLITE_IOERR_READ, HF_IO, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        bool met = true;
        for (long nth = 1; met; nth++) {
            fixture f;
            fixture_start(&f);
            fault_vfs_plan(openings[i].kind, openings[i].rc, nth, 1);
            int code = hf_open(f.path, &f.options, &f.store, &f.err);
            met = fault_vfs_failed() > 0;
            if (code != HF_OK && code != openings[i].code)
                fail_msg("%s at %ld: %s", sqlite3_errstr(openings[i].rc), nth, f.err.message);
            assert_int_equal(code == HF_OK, f.store != NULL);
            fixture_close(&f);
            fixture_open(&f);
            done(&f, .op = "createConversation", .conversation_id = T("c1"));
            done(&f, ADD("m1", "x"));
            fixture_end(&f);
        }
    }
}

/* A reader that cannot be opened leaves the read to the turn; one whose disk fails says so, and reads on afterwards. */
static void reads_under_failures_are_answered_or_say_so(void **state) {
    static const fault failures[] = {
        {FAULT_OPEN, SQLITE_CANTOPEN, HF_IO, HF_OK},
        {FAULT_LOCK, SQLITE_BUSY, HF_BUSY, HF_OK},
        {FAULT_LOCK, SQLITE_IOERR_LOCK, HF_IO, HF_OK},
        {FAULT_READ, SQLITE_IOERR_READ, HF_IO, HF_OK},
    };
    static const hf_op reads[] = {{.op = "get", .message_id = {"m0", 2}},
                                  {.op = "list", .conversation_id = {"c1", 2}},
                                  {.op = "search", .query = {"before", 6}}};
    (void)state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const fault *what = &failures[i];
        for (int staying = 0; staying < 2; staying++) {
            bool met = true;
            for (long nth = 1; met && (nth == 1 || !staying); nth++) {
                fixture f;
                start(&f, false);
                fault_vfs_plan(what->kind, what->rc, nth, staying ? 1000000 : 1);
                for (int j = 0; j < 3; j++) {
                    int code = hf_exec(f.store, &reads[j], &f.result, &f.err);
                    if (code != HF_OK && code != what->code)
                        fail_msg("%s at %ld: %s", sqlite3_errstr(what->rc), nth, f.err.message);
                    if (code != HF_OK && !staying)
                        fail_msg("%s at %ld alone: %s", sqlite3_errstr(what->rc), nth, f.err.message);
                    if (code == HF_OK && j == 0) assert_text(f.result.message->content, "before");
                    if (code == HF_OK && j == 1) assert_int_equal(f.result.messages_count, 1);
                    if (code == HF_OK && j == 2) assert_int_equal(f.result.hits_count, 1);
                }
                met = fault_vfs_failed() > 0;
                if (nth == 1) assert_true(met);
                done_op(&f, &reads[0]);
                done(&f, ADD("m1", "x"));
                done_op(&f, &reads[1]);
                assert_int_equal(f.result.messages_count, 2);
                assert_int_equal(fixture_ask(&f, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
                fixture_end(&f);
            }
        }
    }
}

static int install(void **state) {
    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    fault_vfs_install();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_faults_are_really_met),
        cmocka_unit_test(one_failure_at_any_point_leaves_all_or_nothing),
        cmocka_unit_test(a_failure_that_stays_is_given_up_with_its_name),
        cmocka_unit_test(an_unknown_outcome_is_settled_by_asking_again),
        cmocka_unit_test(opening_under_failures_says_so_and_can_be_repeated),
        cmocka_unit_test(reads_under_failures_are_answered_or_say_so),
    };
    return cmocka_run_group_tests(tests, install, NULL);
}
