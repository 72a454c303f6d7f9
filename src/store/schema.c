/*
 * From a path to a connection that is safe to use: the file is created for its owner alone, its header is
 * looked at before SQLite may touch a byte of it, the schema is made where it is new, and the connection is
 * set up. Statements and transactions are left to stmt.c and store.c.
 *
 * The schema is created in rollback-journal mode, in one transaction, and the file turned to WAL
 * afterwards. So page 1, which is written whole, bears the application id from its first appearance in the
 * file, and whoever looks at the header meanwhile sees either an empty file or a store.
 */
#define _POSIX_C_SOURCE 200809L

#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/flat.h"
#include "store/snippet.h"

enum {
    HEADER_SIZE = 100,
    AT_READ_FORMAT = 19, /* 2 for a file in WAL mode */
    AT_VERSION = 60,
    AT_APPLICATION = 68,
    CREATION_WAIT_MS = 10000, /* another process is creating the file: it takes a few fsyncs */
    WAL_WAIT_MS = 5,
};

/* An existing file is never opened here: closing it would drop every lock that SQLite holds on it in this
 * process. */
int hf__create_file(const char *path, bool anew, hf_error *err) {
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd); /* nothing was written, so there is nothing to lose */
        return HF_OK;
    }
    int reason = errno;
    if (reason == EEXIST && !anew) return HF_OK;
    char why[128];
    if (strerror_r(reason, why, sizeof why) != 0) why[0] = '\0';
    hf_code code = reason == EACCES || reason == EPERM || reason == EROFS ? HF_READONLY
                   : reason == ENOSPC || reason == EDQUOT                 ? HF_FULL
                                                                          : HF_IO;
    return hf__fail(err, code, "%s: the file cannot be created: %s (errno %d)", path, why, reason);
}

static int run(sqlite3 *db, const char *sql, hf_error *err) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? HF_OK : hf__sqlite_fail(err, db, rc);
}

static int ask(sqlite3 *db, const char *sql, int64_t *out, hf_error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW) *out = sqlite3_column_int64(stmt, 0);
    }
    int code = rc == SQLITE_ROW ? HF_OK : hf__sqlite_fail(err, db, rc);
    sqlite3_finalize(stmt);
    return code;
}

/* ---- Whose file it is -------------------------------------------------------------------------- */

static int check_version(const char *path, int64_t version, hf_error *err) {
    if (version >= 1 && version <= HF__SCHEMA_VERSION) return HF_OK;
    return hf__fail(err, HF_CORRUPT, "%s: the store is of schema version %lld, this library knows %d", path,
                    (long long)version, HF__SCHEMA_VERSION);
}

static int foreign(const char *path, int64_t application, hf_error *err) {
    return hf__fail(err, HF_CORRUPT,
                    "%s: an SQLite database, but not one of Holdfast: expected application id %d, found %lld",
                    path, HF__APPLICATION_ID, (long long)application);
}

static int64_t big_endian(const unsigned char *at) {
    uint32_t bits = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return bits <= INT32_MAX ? (int64_t)bits : (int64_t)bits - ((int64_t)UINT32_MAX + 1);
}

/* Reads the header through SQLite's own file handle: no lock, no recovery, no other file. Sets `ready` for a
 * store in WAL mode, and leaves it for a file that is empty, or still being made. */
static int check_header(sqlite3 *db, const char *path, bool *ready, hf_error *err) {
    unsigned char header[HEADER_SIZE];
    sqlite3_int64 size = 0;
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    bool on_disk = rc == SQLITE_OK && file != NULL && file->pMethods != NULL;
    if (on_disk) rc = file->pMethods->xFileSize(file, &size);
    if (rc == SQLITE_OK && size >= HEADER_SIZE) rc = file->pMethods->xRead(file, header, HEADER_SIZE, 0);
    if (rc != SQLITE_OK) {
        hf__fail(err, HF_IO, "%s: the header cannot be read: %s", path, sqlite3_errstr(rc));
        if (err != NULL) err->sqlite_code = rc;
        return HF_IO;
    }
    if (size == 0) return HF_OK;
    if (size < HEADER_SIZE || memcmp(header, "SQLite format 3", 16) != 0) {
        return hf__fail(err, HF_CORRUPT, "%s: not an SQLite database", path);
    }
    int64_t application = big_endian(header + AT_APPLICATION);
    if (application != HF__APPLICATION_ID) return foreign(path, application, err);
    *ready = header[AT_READ_FORMAT] == 2;
    return check_version(path, big_endian(header + AT_VERSION), err);
}

/* ---- Creation ---------------------------------------------------------------------------------- */

/* Makes the schema, unless another process came first, under the lock. */
static int create_schema(sqlite3 *db, const char *path, hf_error *err) {
    int64_t application = 0, objects = 0;
    int code = run(db, HF__SQL_CREATE_BEGIN, err);
    if (code != HF_OK) return code;
    code = ask(db, HF__SQL_ASK_APPLICATION, &application, err);
    if (code == HF_OK) code = ask(db, HF__SQL_ASK_OBJECTS, &objects, err);
    if (code == HF_OK && application != HF__APPLICATION_ID) {
        code =
            application != 0 || objects != 0 ? foreign(path, application, err) : run(db, HF__SQL_CREATE, err);
    }
    if (code == HF_OK) code = run(db, HF__SQL_CREATE_COMMIT, err);
    if (code != HF_OK && !sqlite3_get_autocommit(db)) run(db, HF__SQL_CREATE_ROLLBACK, NULL);
    return code;
}

/* holdfast_flat(content): the text of a content, for a store that had no search index. */
static void flat_of(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    hf__arena arena = {0};
    hf_text content = {(const char *)sqlite3_value_text(values[0]), 0}, text;
    if (content.data == NULL) return; /* NULL of NULL; where memory ran out, SQLite knows */
    content.size = (size_t)sqlite3_value_bytes(values[0]);
    if (hf__flat_text(&arena, content, &text, NULL) == HF_OK)
        sqlite3_result_text64(context, text.data, text.size, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        sqlite3_result_error_nomem(context);
    hf__arena_free(&arena);
}

static int add_flat(sqlite3 *db, hf_error *err) {
    int rc = sqlite3_create_function(db, "holdfast_flat", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
                                     flat_of, NULL, NULL);
    return rc == SQLITE_OK ? HF_OK : hf__sqlite_fail(err, db, rc);
}

static int bring_forward(sqlite3 *db, hf_error *err) {
    int64_t version = 0;
    int code = run(db, HF__SQL_CREATE_BEGIN, err);
    if (code != HF_OK) return code;
    code = ask(db, HF__SQL_ASK_VERSION, &version, err);
    if (code == HF_OK && version == 1) code = run(db, HF__SQL_FROM_VERSION_1, err);
    if (code == HF_OK) code = run(db, HF__SQL_CREATE_COMMIT, err);
    if (code != HF_OK && !sqlite3_get_autocommit(db)) run(db, HF__SQL_CREATE_ROLLBACK, NULL);
    return code;
}

/* Sets what a table that is built anew needs: rows stay that a shell, where foreign keys are off, left without their
 * conversation; and tables and views of the user's own go on to mean the new table, and lose nothing with the old. */
static int prepare_to_rebuild(sqlite3 *db, bool yes, hf_error *err) {
    int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, !yes, NULL);
    if (rc == SQLITE_OK) rc = sqlite3_db_config(db, SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, yes, NULL);
    return rc == SQLITE_OK ? HF_OK : hf__sqlite_fail(err, db, rc);
}

/* Brings an older store forward, unless another process came first, under the lock. */
static int migrate(sqlite3 *db, const char *path, hf_error *err) {
    int64_t version = 0; /* that of the header may be older than what the WAL holds */
    int code = ask(db, HF__SQL_ASK_VERSION, &version, err);
    if (code == HF_OK) code = check_version(path, version, err);
    if (code != HF_OK || version == HF__SCHEMA_VERSION) return code;
    code = add_flat(db, err);
    if (code == HF_OK) code = prepare_to_rebuild(db, true, err);
    if (code == HF_OK) code = bring_forward(db, err);
    int restored = prepare_to_rebuild(db, false, code == HF_OK ? err : NULL);
    return code == HF_OK ? restored : code;
}

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The change of mode starts as a reader, so SQLite answers a second process that is at it with BUSY at once
 * and never calls the busy handler: the waiting is done here. Preparing reads the schema, and may be BUSY as well,
 * after it did call the handler. */
static int turn_to_wal(sqlite3 *db, const char *path, int wait_ms, hf_error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc;
    for (int64_t until = monotonic_ms() + wait_ms;;) {
        rc = sqlite3_prepare_v2(db, HF__SQL_WAL, -1, &stmt, NULL);
        if (rc == SQLITE_OK) rc = sqlite3_step(stmt);
        if ((rc & 0xff) != SQLITE_BUSY || monotonic_ms() >= until) break;
        sqlite3_finalize(stmt);
        sqlite3_sleep(WAL_WAIT_MS);
    }
    int code = HF_OK;
    if (rc != SQLITE_ROW) {
        code = hf__sqlite_fail(err, db, rc);
    } else {
        const char *mode = (const char *)sqlite3_column_text(stmt, 0);
        if (mode == NULL) {
            code = hf__fail_memory(err);
        } else if (strcmp(mode, "wal") != 0 && strcmp(mode, "memory") != 0) {
            code =
                hf__fail(err, HF_IO, "%s: the file system does not allow WAL mode: SQLite stays in mode %s",
                         path, mode);
        }
    }
    sqlite3_finalize(stmt);
    return code;
}

/* ---- The connection ---------------------------------------------------------------------------- */

static int configure(sqlite3 *db, hf_error *err) {
    static const struct {
        int what, value;
    } settings[] = {
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},    {SQLITE_DBCONFIG_DEFENSIVE, 1}, {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0}, {SQLITE_DBCONFIG_DQS_DDL, 0},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int now = -1;
        int rc = sqlite3_db_config(db, settings[i].what, settings[i].value, &now);
        if (rc != SQLITE_OK) return hf__sqlite_fail(err, db, rc);
        if (now != settings[i].value) {
            return hf__fail(err, HF_MISUSE,
                            "this SQLite, %s, was built without a setting that is needed (%d)",
                            sqlite3_libversion(), settings[i].what);
        }
    }
    int code = run(db, HF__SQL_SETTINGS, err);
    return code == HF_OK ? hf__snippet_offer(db, err) : code;
}

static int prepare_file(hf__store *store, const char *path, hf_error *err) {
    sqlite3 *db = store->db;
    bool ready = false;
    int code = check_header(db, path, &ready, err);
    if (code != HF_OK) return code;
    if (sqlite3_db_readonly(db, "main") != 0) {
        return hf__fail(err, HF_READONLY, "%s: the file may be read but not written", path);
    }
    int wait_ms = store->options.busy_timeout_ms;
    if (!ready && wait_ms < CREATION_WAIT_MS) wait_ms = CREATION_WAIT_MS;
    sqlite3_busy_timeout(db, wait_ms);
    code = configure(db, err);
    if (code == HF_OK && !ready) code = create_schema(db, path, err);
    if (code == HF_OK) code = turn_to_wal(db, path, wait_ms, err);
    if (code == HF_OK) code = migrate(db, path, err);
    if (code != HF_OK) return code;
    sqlite3_busy_timeout(db, store->options.busy_timeout_ms);
    bool full = store->options.durability == HF_DURABILITY_FULL;
    code = run(db, full ? HF__SQL_DURABILITY_FULL : HF__SQL_DURABILITY_NORMAL, err);
    return code == HF_OK ? hf__checkpointer_join(db, &store->checkpointer, err) : code;
}

static int check_path(const char *path, hf_error *err) {
    if (!sqlite3_threadsafe()) {
        return hf__fail(err, HF_MISUSE, "this SQLite, %s, was built without thread safety",
                        sqlite3_libversion());
    }
    if (path == NULL || *path == '\0' || strncmp(path, "file:", 5) == 0) {
        return hf__fail(err, HF_MISUSE,
                        "the path \"%s\" is none of a file; where \"file:\" is part of a name, "
                        "put \"./\" before it",
                        path != NULL ? path : "");
    }
    return HF_OK;
}

static int open_file(hf__store *store, const char *path, hf_error *err) {
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(path, &store->db, flags, store->place.vfs);
    if (rc == SQLITE_OK) return HF_OK;
    int code = hf__sqlite_fail(err, store->db, rc);
    hf__error_prefix(err, "%s: ", path);
    return code;
}

/* Notes which file it is, and the VFS that locks it: through another one its locks would not be seen. */
static void note_place(hf__store *store) {
    const char *path = sqlite3_db_filename(store->db, "main");
    sqlite3_vfs *vfs = NULL;
    struct stat info;
    if (path == NULL || *path == '\0' || stat(path, &info) != 0) return;
    if (sqlite3_file_control(store->db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) != SQLITE_OK || vfs == NULL)
        return;
    store->place = (hf__place){path, vfs->zName, info.st_dev, info.st_ino};
}

int hf__schema_open(hf__store *store, const char *path, hf_error *err) {
    int code = check_path(path, err);
    if (code == HF_OK && strcmp(path, ":memory:") != 0) code = hf__create_file(path, false, err);
    if (code == HF_OK) code = open_file(store, path, err);
    if (code != HF_OK) return code;
    code = prepare_file(store, path, err);
    if (code == HF_OK) note_place(store);
    if (code != HF_OK) sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return code;
}

/* The settings that make it one for reads: nothing that it does, its close included, changes the file. */
static int prepare_reader(hf__store *reader, hf_error *err) {
    sqlite3_busy_timeout(reader->db, reader->options.busy_timeout_ms);
    sqlite3_wal_autocheckpoint(reader->db, 0);
    sqlite3_db_config(reader->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    int code = configure(reader->db, err);
    return code == HF_OK ? run(reader->db, HF__SQL_QUERY_ONLY, err) : code;
}

int hf__schema_open_reader(hf__store *reader, const hf__place *place, hf_error *err) {
    struct stat info;
    reader->place.vfs = place->vfs;
    int code = open_file(reader, place->path, err);
    if (code == HF_OK) code = prepare_reader(reader, err);
    if (code != HF_OK) return code;
    if (stat(place->path, &info) == 0 && info.st_dev == place->device && info.st_ino == place->inode)
        return HF_OK;
    return hf__fail(err, HF_IO, "%s: another file has taken the place of the store's", place->path);
}

static int visit_file(hf__store *store, const char *path, int64_t *version, hf_error *err) {
    bool ready = false;
    int64_t application = 0;
    int code = check_header(store->db, path, &ready, err);
    if (code != HF_OK) return code;
    sqlite3_busy_timeout(store->db, store->options.busy_timeout_ms);
    code = configure(store->db, err);
    if (code == HF_OK) code = add_flat(store->db, err);
    if (code == HF_OK) code = ask(store->db, HF__SQL_ASK_APPLICATION, &application, err);
    if (code == HF_OK && application != HF__APPLICATION_ID)
        code = hf__fail(err, HF_CORRUPT, "%s: there is no store in it yet", path);
    if (code == HF_OK) code = ask(store->db, HF__SQL_ASK_VERSION, version, err);
    return code == HF_OK ? check_version(path, *version, err) : code;
}

int hf__schema_visit(hf__store *store, const char *path, int64_t *version, hf_error *err) {
    int code = check_path(path, err);
    if (code == HF_OK && strcmp(path, ":memory:") == 0)
        code = hf__fail(err, HF_MISUSE, "expected the path of a store, found \":memory:\"");
    if (code == HF_OK) code = open_file(store, path, err);
    if (code == HF_OK) code = visit_file(store, path, version, err);
    if (store->db != NULL) sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return code;
}
