/*
 * The doctor: looks a store over and says what is wrong with it, and repairs what can be where it is asked to. It
 * opens the file without what opening a store does: nothing is made, migrated, or settled. Without --repair it only
 * reads, in one transaction and so of one state, and waits for nobody; with it, it holds the write lock meanwhile.
 * That is also when owners' files are safe to take away: an owner is born inside a transaction that writes.
 *
 * What a check asks stands in doctor_sql.h. A question that finds the file corrupt has found something; any other
 * failure, and that of a repair, ends it all and undoes what was repaired.
 */
#define _POSIX_C_SOURCE 200809L

#include "store/doctor.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "store/doctor_sql.h"
#include "store/ops.h"
#include "store/schema.h"

enum {
    WAIT_MS = 5000,
    SHOWN_MAX = 3,                /* lines of integrity_check */
    WAL_LARGE = 64 * 1024 * 1024, /* SQLite's own checkpoints begin at 4 MiB */
};

typedef enum severity { OK, WARN, ERROR } severity;

typedef struct doctor {
    hf__store store;
    bool repair;
    bool whole; /* every check could be made */
    bool wrong; /* something was found that is not repaired */
    bool any;   /* a finding was written */
    hf__buf *out;
    hf_error *err;
} doctor;

/* ---- Findings ---------------------------------------------------------------------------------- */

/* Counted rows, and one of them. */
typedef struct count {
    int64_t rows;
    char example[160];
} count;

static void report(doctor *d, const char *check, severity level, const count *found, bool repaired,
                   const char *format, ...) __attribute__((format(printf, 6, 7)));

/* One finding. `found` may be NULL. */
static void report(doctor *d, const char *check, severity level, const count *found, bool repaired,
                   const char *format, ...) {
    static const char *const names[] = {"ok", "warn", "error"};
    char message[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    char whole[sizeof message];
    hf__error_copy(whole, sizeof whole, message, size > 0 ? strlen(message) : 0, 1);
    hf__buf_string(d->out, d->any ? ",{\"check\":" : "{\"check\":");
    hf__json_write_text(d->out, hf_text_of(check));
    hf__buf_string(d->out, ",\"level\":");
    hf__json_write_text(d->out, hf_text_of(names[level]));
    hf__buf_string(d->out, ",\"message\":");
    hf__json_write_text(d->out, hf_text_of(whole));
    if (found != NULL) {
        hf__buf_string(d->out, ",\"count\":");
        hf__json_write_int(d->out, found->rows);
    }
    if (found != NULL && found->rows > 0 && found->example[0] != '\0') {
        hf__buf_string(d->out, ",\"example\":");
        hf__json_write_text(d->out, hf_text_of(found->example));
    }
    if (repaired) hf__buf_string(d->out, ",\"repaired\":true");
    hf__buf_char(d->out, '}');
    d->any = true;
    d->wrong = d->wrong || (level != OK && !repaired);
}

/* What a check met: a damaged file is what it was looking for. */
static int met(doctor *d, const char *check, int code) {
    if (code != HF_CORRUPT) return code;
    char why[sizeof d->err->message];
    snprintf(why, sizeof why, "%s", d->err->message);
    report(d, check, ERROR, NULL, false, "%s", why);
    return HF_OK;
}

/* ---- Asking ------------------------------------------------------------------------------------ */

static int fail(doctor *d, int rc) {
    return hf__sqlite_fail(d->err, d->store.db, rc);
}

static int run(doctor *d, const char *sql) {
    int rc = sqlite3_exec(d->store.db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? HF_OK : fail(d, rc);
}

static int start(doctor *d, const char *sql, sqlite3_stmt **out) {
    int rc = sqlite3_prepare_v2(d->store.db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? HF_OK : fail(d, rc);
}

/* Runs on to the next row: `row` says whether there is one. */
static int step(doctor *d, sqlite3_stmt *stmt, bool *row) {
    int rc = sqlite3_step(stmt);
    *row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? HF_OK : fail(d, rc);
}

static void read_text(sqlite3_stmt *stmt, int column, char *out, size_t size) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    out[0] = '\0';
    if (text != NULL) hf__error_copy(out, size, text, strlen(text), 1);
}

/* A question of one row: a count and an example. */
static int ask(doctor *d, const char *sql, count *out) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    *out = (count){0};
    int code = start(d, sql, &stmt);
    if (code == HF_OK) code = step(d, stmt, &row);
    if (row) {
        out->rows = sqlite3_column_int64(stmt, 0);
        if (sqlite3_column_count(stmt) > 1) read_text(stmt, 1, out->example, sizeof out->example);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* ---- The file ---------------------------------------------------------------------------------- */

/* `sound` is set where nothing is damaged. A newer SQLite looks at the search index here as well: that is left to
 * check_index, since it can be made anew. */
static int check_integrity(doctor *d, bool *sound) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    count found = {0};
    int code = start(d, HF__SQL_DOCTOR_INTEGRITY, &stmt);
    while (code == HF_OK && (code = step(d, stmt, &row)) == HF_OK && row) {
        char line[512];
        read_text(stmt, 0, line, sizeof line);
        if (strcmp(line, "ok") == 0 || strstr(line, "FTS5 table main.search") != NULL) continue;
        if (++found.rows > SHOWN_MAX) continue;
        report(d, "integrity", ERROR, NULL, false, "SQLite: %s", line);
    }
    sqlite3_finalize(stmt);
    *sound = code == HF_OK && found.rows == 0;
    code = met(d, "integrity", code);
    if (code != HF_OK) return code;
    if (*sound)
        report(d, "integrity", OK, &found, false, "SQLite finds no damage");
    else
        report(d, "integrity", ERROR, found.rows > 0 ? &found : NULL, false,
               "the file is damaged, which cannot be repaired: restore a backup");
    return HF_OK;
}

/* The version of the schema, and whether the tables are those of it: no more can be asked of others. */
static int check_tables(doctor *d, int64_t version, bool *ours) {
    *ours = false;
    if (version < HF__SCHEMA_VERSION) {
        report(
            d, "version", WARN, NULL, false,
            "the store is of schema version %lld, this library's is %d: opening the store brings it forward, "
            "and only then can the rest be checked",
            (long long)version, HF__SCHEMA_VERSION);
        return HF_OK;
    }
    report(d, "version", OK, NULL, false, "a store of schema version %lld, SQLite is %s", (long long)version,
           sqlite3_libversion());
    int code = hf__statements_check(&d->store, d->err);
    *ours = code == HF_OK;
    return met(d, "tables", code);
}

/* ---- The search index -------------------------------------------------------------------------- */

static bool same_word(sqlite3_stmt *a, sqlite3_stmt *b) {
    int size = sqlite3_column_bytes(a, 0);
    const void *one = sqlite3_column_blob(a, 0), *other = sqlite3_column_blob(b, 0);
    return size == sqlite3_column_bytes(b, 0) && (size == 0 || memcmp(one, other, (size_t)size) == 0) &&
           sqlite3_column_int64(a, 1) == sqlite3_column_int64(b, 1) &&
           sqlite3_column_int64(a, 2) == sqlite3_column_int64(b, 2);
}

/* Whether every word is where the fresh index has it. */
static int compare_words(doctor *d, bool *same) {
    sqlite3_stmt *words = NULL, *fresh = NULL;
    bool one = true, other = true;
    int code = start(d, HF__SQL_DOCTOR_WORDS, &words);
    if (code == HF_OK) code = start(d, HF__SQL_DOCTOR_FRESH_WORDS, &fresh);
    for (*same = true; code == HF_OK && *same && one;) {
        code = step(d, words, &one);
        if (code == HF_OK) code = step(d, fresh, &other);
        *same = code == HF_OK && one == other && (!one || same_word(words, fresh));
    }
    sqlite3_finalize(words);
    sqlite3_finalize(fresh);
    return code;
}

/* A failure that says that the index is damaged is an answer as well. */
static int compare_index(doctor *d, bool *same) {
    count found;
    *same = false;
    int code = run(d, HF__SQL_DOCTOR_FRESH);
    if (code == HF_OK) code = compare_words(d, same);
    if (code == HF_OK && *same) {
        code = ask(d, HF__SQL_DOCTOR_LOOKUPS, &found);
        *same = code == HF_OK && found.rows == 0;
    }
    hf_error *err = d->err;
    hf_error ignored;
    if (code != HF_OK) d->err = &ignored; /* the first failure counts */
    int dropped = run(d, HF__SQL_DOCTOR_FRESH_DROP);
    d->err = err;
    if (code == HF_CORRUPT) code = HF_OK;
    return code == HF_OK ? dropped : code;
}

static int check_index(doctor *d) {
    static const char what[] = "the search index does not say what its entries do";
    bool same = false;
    int code = compare_index(d, &same);
    if (code == HF_OK && same) report(d, "index", OK, NULL, false, "the search index fits its entries");
    if (code != HF_OK || same) return code;
    if (d->repair) code = run(d, HF__SQL_DOCTOR_REBUILD);
    if (code == HF_OK && d->repair) code = compare_index(d, &same);
    if (code == HF_OK) report(d, "index", ERROR, NULL, same, same ? "%s: built anew" : "%s", what);
    return code;
}

/* What has no entry may have been left out on purpose: nobody can tell. */
static int count_unindexed(doctor *d) {
    count found;
    int code = ask(d, HF__SQL_DOCTOR_UNINDEXED, &found);
    if (code != HF_OK) return met(d, "unindexed", code);
    report(d, "unindexed", OK, &found, false,
           "%lld final messages are not in the search index; skipIndexing leaves one out",
           (long long)found.rows);
    return HF_OK;
}

/* ---- Rows -------------------------------------------------------------------------------------- */

static const struct check {
    const char *name;
    severity level;
    const char *what, *done, *question, *repair;
} checks[] = {
#define XX(name, level, what, done, question, repair) {name, level, what, done, question, repair},
    HF__DOCTOR_MAP(XX)
#undef XX
};

static int run_check(doctor *d, const struct check *check) {
    count found, left = {0};
    int code = ask(d, check->question, &found);
    if (code != HF_OK) return met(d, check->name, code);
    bool mend = found.rows > 0 && d->repair && check->repair != NULL;
    if (mend) code = run(d, check->repair);
    if (mend && code == HF_OK) code = ask(d, check->question, &left);
    if (code != HF_OK) return code;
    long long rows = (long long)found.rows;
    if (rows == 0)
        report(d, check->name, OK, &found, false, "no %s", check->what);
    else if (!mend)
        report(d, check->name, check->level, &found, false, "%lld %s", rows, check->what);
    else if (left.rows == 0)
        report(d, check->name, check->level, &found, true, "%lld %s: %s", rows, check->what, check->done);
    else
        report(d, check->name, check->level, &left, false, "%lld %s, of which %lld cannot be repaired now",
               rows, check->what, (long long)left.rows);
    return HF_OK;
}

static int check_list(doctor *d) {
    int code = HF_OK;
    for (size_t i = 0; code == HF_OK && i < sizeof checks / sizeof *checks; i++)
        code = run_check(d, &checks[i]);
    return code;
}

typedef int (*read_row)(hf__store *store, hf_text id, hf_result *result, hf_error *err);

/* Reads every row as an op would, and counts those that it would not hand out. */
static int check_rows(doctor *d, const char *check, const char *sql, read_row read) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    count found = {0};
    char why[sizeof d->err->message] = "";
    int code = start(d, sql, &stmt);
    while (code == HF_OK && (code = step(d, stmt, &row)) == HF_OK && row) {
        hf_result result = {0};
        hf_text id = {(const char *)sqlite3_column_text(stmt, 0), 0};
        if (id.data != NULL) id.size = (size_t)sqlite3_column_bytes(stmt, 0);
        code = id.data != NULL ? read(&d->store, id, &result, d->err) : hf__fail_memory(d->err);
        hf_result_free(&result);
        if (code != HF_CORRUPT) continue;
        code = HF_OK;
        if (found.rows++ > 0) continue;
        read_text(stmt, 0, found.example, sizeof found.example);
        snprintf(why, sizeof why, "%s", d->err->message);
    }
    sqlite3_finalize(stmt);
    if (code != HF_OK) return met(d, check, code);
    if (found.rows == 0)
        report(d, check, OK, &found, false, "every row of %s can be read", check);
    else
        report(d, check, ERROR, &found, false, "%lld rows of %s cannot be read: %s", (long long)found.rows,
               check, why);
    return HF_OK;
}

/* ---- Anchors and their owners ------------------------------------------------------------------ */

/* An owner that cannot be looked at is left alone, as one that lives. */
static bool is_dead(doctor *d, const char *owner) {
    bool lives = true;
    return owner == NULL || (hf__owner_lives(d->store.db, owner, &lives, NULL) == HF_OK && !lives);
}

static int settle(doctor *d, sqlite3_value *owner) {
    sqlite3_stmt *stmt = NULL;
    bool row;
    int code = start(d, HF__SQL_DOCTOR_SETTLE, &stmt);
    if (code == HF_OK) {
        int rc = sqlite3_bind_value(stmt, 1, owner);
        code = rc == SQLITE_OK ? step(d, stmt, &row) : fail(d, rc);
    }
    sqlite3_finalize(stmt);
    return code;
}

/* The anchors of one owner, NULL for none, go to those of the living or of the dead. */
static int take_owner(doctor *d, sqlite3_stmt *stmt, count *alive, count *dead) {
    const char *owner = (const char *)sqlite3_column_text(stmt, 0);
    if (owner == NULL && sqlite3_column_type(stmt, 0) != SQLITE_NULL) return hf__fail_memory(d->err);
    bool gone = is_dead(d, owner);
    count *which = gone ? dead : alive;
    if (which->rows == 0) read_text(stmt, 2, which->example, sizeof which->example);
    which->rows += sqlite3_column_int64(stmt, 1);
    return gone && d->repair ? settle(d, sqlite3_column_value(stmt, 0)) : HF_OK;
}

static int check_anchors(doctor *d) {
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    count alive = {0}, dead = {0}, interrupted;
    int code = start(d, HF__SQL_DOCTOR_ANCHORS, &stmt);
    while (code == HF_OK && (code = step(d, stmt, &row)) == HF_OK && row)
        code = take_owner(d, stmt, &alive, &dead);
    sqlite3_finalize(stmt);
    if (code == HF_OK) code = ask(d, HF__SQL_DOCTOR_INTERRUPTED, &interrupted);
    if (code != HF_OK) return code;
    report(d, "anchors", OK, &alive, false, "%lld reserved or streaming messages of open stores",
           (long long)alive.rows);
    report(d, "deadOwners", dead.rows > 0 ? WARN : OK, &dead, dead.rows > 0 && d->repair,
           "%lld reserved or streaming messages whose owner died%s", (long long)dead.rows,
           dead.rows == 0 ? ""
           : d->repair    ? ": made interrupted"
                          : ": opening the store makes them interrupted");
    report(d, "interrupted", OK, &interrupted, false, "%lld interrupted messages%s",
           (long long)interrupted.rows,
           interrupted.rows > 0 ? ": holdfast recover lists and settles them" : "");
    return HF_OK;
}

/* The files of dead owners, those whose anchors were settled just now among them. */
static void check_owner_files(doctor *d) {
    count found = {0};
    char id[HF__UUID_SIZE + 1] = "";
    found.rows = hf__owner_sweep(d->store.db, d->repair, id);
    snprintf(found.example, sizeof found.example, "%s", id);
    report(d, "ownerFiles", found.rows > 0 ? WARN : OK, &found, found.rows > 0 && d->repair,
           "%lld files of owners that died%s", (long long)found.rows,
           found.rows > 0 && d->repair ? ": taken away" : "");
}

/* ---- The WAL ----------------------------------------------------------------------------------- */

static int check_wal(doctor *d) {
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(d->store.db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (rc == SQLITE_OK && file != NULL && file->pMethods != NULL)
        rc = file->pMethods->xFileSize(file, &size);
    if (rc != SQLITE_OK) return fail(d, rc);
    /* With nothing in it, the last to leave tidies up. */
    if (size == 0) sqlite3_db_config(d->store.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    count bytes = {.rows = size};
    report(d, "wal", size > WAL_LARGE ? WARN : OK, &bytes, false, "the WAL has %lld bytes%s", (long long)size,
           size > WAL_LARGE ? ": a reader that does not end may keep it from being emptied" : "");
    return HF_OK;
}

/* Puts the WAL into the file, after the commit: the repair has succeeded, whatever comes of this. */
static void checkpoint(doctor *d) {
    count blocked;
    sqlite3_db_config(d->store.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    int code = ask(d, HF__SQL_DOCTOR_CHECKPOINT, &blocked);
    if (code == HF_OK && blocked.rows == 0)
        report(d, "wal", OK, NULL, false, "the WAL was put into the file, and is empty");
    else if (code == HF_OK || code == HF_BUSY)
        report(d, "wal", WARN, NULL, false, "the WAL cannot be emptied: somebody is reading or writing now");
    else
        report(d, "wal", WARN, NULL, false, "the WAL cannot be emptied: %s", d->err->message);
}

/* ---- All of it --------------------------------------------------------------------------------- */

static int check_store(doctor *d) {
    int code = check_anchors(d);
    if (code == HF_OK) check_owner_files(d);
    if (code == HF_OK) code = check_index(d);
    if (code == HF_OK) code = check_list(d);
    if (code == HF_OK) code = count_unindexed(d);
    if (code == HF_OK)
        code = check_rows(d, "conversations", HF__SQL_DOCTOR_CONVERSATIONS, hf__find_conversation);
    return code == HF_OK ? check_rows(d, "messages", HF__SQL_DOCTOR_MESSAGES, hf__find_message) : code;
}

static int check_all(doctor *d, int64_t version) {
    bool sound = false;
    int code = check_integrity(d, &sound);
    if (code == HF_OK && sound) code = check_tables(d, version, &d->whole);
    if (code == HF_OK && d->whole) code = check_store(d);
    return code == HF_OK && !(d->repair && d->whole) ? check_wal(d) : code;
}

/* A reader has nothing to commit; and of a damaged file, SQLite may refuse to. */
static int examine(doctor *d, int64_t version) {
    int code = run(d, d->repair ? HF__SQL_CREATE_BEGIN : HF__SQL_DOCTOR_BEGIN);
    if (code != HF_OK) return code;
    code = check_all(d, version);
    bool repaired = code == HF_OK && d->repair && d->whole;
    if (repaired) code = run(d, HF__SQL_CREATE_COMMIT);
    if (!sqlite3_get_autocommit(d->store.db))
        sqlite3_exec(d->store.db, HF__SQL_CREATE_ROLLBACK, NULL, NULL, NULL);
    if (code == HF_OK && repaired) checkpoint(d);
    return code;
}

int hf__store_doctor(const char *path, bool repair, hf__buf *out, hf_error *err) {
    int64_t version = 0;
    hf_error own;
    doctor d = {.repair = repair, .out = out, .err = err != NULL ? err : &own};
    d.store.options.busy_timeout_ms = WAIT_MS;
    int code = hf__schema_visit(&d.store, path, &version, d.err);
    if (code == HF_OK && repair && sqlite3_db_readonly(d.store.db, "main") != 0)
        code = hf__fail(d.err, HF_READONLY, "%s: the file may be read but not written", path);
    hf__buf_string(out, "{\"findings\":[");
    if (code == HF_OK) code = examine(&d, version);
    hf__buf_string(out, d.wrong ? "],\"ok\":false}" : "],\"ok\":true}");
    hf__statements_finalize(&d.store);
    int rc = sqlite3_close(d.store.db);
    assert(rc == SQLITE_OK); /* every statement is finalised */
    (void)rc;
    return code;
}
