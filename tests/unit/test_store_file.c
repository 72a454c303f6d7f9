/* The file under the default terminal: how it is made, whose it must be, and what happens when the disk, the
 * memory or another process gets in the way. */
#define _XOPEN_SOURCE 700

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/fault_alloc.h"
#include "support/folder.h"
#include "support/terminal.h"

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static void create(fixture *f) {
    done(f, .op = "createConversation", .conversation_id = T("c1"));
}

static int try_open(fixture *f) {
    int code = hf__store_open(f->path, &f->options, &f->terminal, &f->err);
    assert_int_equal(code, code != HF_OK ? f->err.code : HF_OK);
    return code;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static void assert_refused_untouched(fixture *f) {
    uint64_t before = folder_hash(f->folder);
    assert_int_equal(try_open(f), HF_CORRUPT);
    assert_non_null(strstr(f->err.message, f->path));
    assert_true(folder_hash(f->folder) == before);
}

/* Runs SQL on the file through a connection of somebody else's. */
static sqlite3 *someone(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    return db;
}

static void by_someone(const char *path, const char *sql) {
    sqlite3_close(someone(path, sql));
}

/* ---- Making it --------------------------------------------------------------------------------- */

static void a_new_file_is_its_owners_alone(void **state) {
    fixture *f = *state;
    char wal[110];
    struct stat info;
    mode_t mask = umask(0);
    fixture_open(f);
    create(f);
    umask(mask);
    assert_int_equal(stat(f->path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void an_empty_file_becomes_a_store(void **state) {
    fixture *f = *state;
    write_file(f->path, "", 0);
    fixture_open(f);
    create(f);
}

static void a_store_is_what_it_says(void **state) {
    fixture *f = *state;
    fixture_open(f);
    assert_int_equal(fixture_ask(f, "PRAGMA application_id"), 0x48464453);
    assert_int_equal(fixture_ask(f, "PRAGMA user_version"), 2);
    assert_int_equal(fixture_ask(f, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
    assert_int_equal(fixture_ask(f, "PRAGMA foreign_keys"), 1);
    assert_int_equal(fixture_ask(f, "PRAGMA trusted_schema"), 0);
    assert_int_equal(fixture_ask(f, "PRAGMA cell_size_check"), 1);
    assert_int_equal(fixture_ask(f, "PRAGMA mmap_size"), 0);
    assert_int_equal(fixture_ask(f, "PRAGMA synchronous"), 1);
    fixture_close(f);
    f->options.durability = HF_DURABILITY_FULL;
    fixture_open(f);
    assert_int_equal(fixture_ask(f, "PRAGMA synchronous"), 2);
    assert_int_equal(sqlite3_exec(fixture_db(f), "SELECT \"text\"", NULL, NULL, NULL), SQLITE_ERROR);
}

static void what_was_committed_is_there_when_opened_again(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    fixture_close(f);
    fixture_open(f);
    assert_non_null(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation);
}

static void a_store_in_memory_makes_no_file(void **state) {
    fixture *f = *state;
    uint64_t before = folder_hash(f->folder);
    strcpy(f->path, ":memory:");
    fixture_open(f);
    create(f);
    fixture_close(f);
    assert_int_not_equal(access(":memory:", F_OK), 0);
    assert_true(folder_hash(f->folder) == before);
}

/* A process that died between making the schema and turning to WAL. */
static void a_store_that_was_left_half_made_is_finished(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    fixture_close(f);
    by_someone(f->path, "PRAGMA journal_mode = DELETE");
    fixture_open(f);
    assert_non_null(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation);
    assert_int_equal(fixture_ask(f, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
}

static void processes_may_create_one_store_at_once(void **state) {
    fixture *f = *state;
    enum { ROUNDS = 5, PROCESSES = 4 };
    for (int round = 0; round < ROUNDS; round++) {
        snprintf(f->path, sizeof f->path, "%s/%d.db", f->folder, round);
        for (int i = 0; i < PROCESSES; i++) {
            pid_t child = fork();
            assert_int_not_equal(child, -1);
            if (child != 0) continue;
            f->options.busy_timeout_ms = 5000;
            int code = try_open(f);
            char id[] = {'c', (char)('0' + i), '\0'};
            if (code == HF_OK)
                code = whole(f, &(hf_op){.op = "createConversation", .conversation_id = T(id)});
            if (code != HF_OK) fprintf(stderr, "%s\n", f->err.message);
            fixture_close(f);
            _exit(code);
        }
        for (int i = 0; i < PROCESSES; i++) {
            int status = -1;
            assert_true(wait(&status) > 0);
            assert_int_equal(status, 0);
        }
        fixture_open(f);
        assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations"), PROCESSES);
        fixture_close(f);
    }
}

/* ---- Refusing it ------------------------------------------------------------------------------- */

static void a_file_that_is_no_database_is_left_untouched(void **state) {
    fixture *f = *state;
    char text[5000];
    memset(text, 'x', sizeof text);
    write_file(f->path, "hello", 5);
    assert_refused_untouched(f);
    write_file(f->path, text, sizeof text);
    assert_refused_untouched(f);
    write_file(f->path, "SQLite format 3", 16);
    assert_refused_untouched(f);
}

static void a_database_of_another_program_is_left_untouched(void **state) {
    fixture *f = *state;
    by_someone(f->path, "PRAGMA application_id = 7; CREATE TABLE messages(id)");
    assert_refused_untouched(f);
    assert_non_null(strstr(f->err.message, "found 7"));
    unlink(f->path);
    by_someone(f->path, "CREATE TABLE messages(id); DROP TABLE messages");
    assert_refused_untouched(f);
}

/* Opening it the ordinary way would fold its WAL into the file, or play its journal back. */
static void a_crashed_database_of_another_program_is_left_untouched(void **state) {
    fixture *f = *state;
    static const char *const modes[] = {"PRAGMA journal_mode = WAL", "PRAGMA cache_size = 1"};
    static const char work[] = "CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(90000));"
                               "BEGIN IMMEDIATE; UPDATE t SET x = randomblob(99999)";
    static const char *const suffixes[] = {"-wal", "-journal"};
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        assert_int_not_equal(child, -1);
        if (child == 0) {
            sqlite3_exec(someone(f->path, modes[i]), work, NULL, NULL, NULL);
            raise(SIGKILL);
        }
        int status = -1;
        assert_true(wait(&status) > 0);
        assert_true(WIFSIGNALED(status));
        char beside[110];
        struct stat info;
        snprintf(beside, sizeof beside, "%s%s", f->path, suffixes[i]);
        assert_int_equal(stat(beside, &info), 0);
        assert_true(info.st_size > 0);
        assert_refused_untouched(f);
        unlink(f->path);
        unlink(beside);
        snprintf(beside, sizeof beside, "%s-shm", f->path);
        unlink(beside);
    }
}

static void a_store_of_a_newer_version_is_left_untouched(void **state) {
    fixture *f = *state;
    fixture_open(f);
    fixture_sql(f, "PRAGMA user_version = 3");
    fixture_close(f);
    assert_refused_untouched(f);
    assert_non_null(strstr(f->err.message, "version 3"));
}

static void a_newer_version_that_only_the_wal_knows_is_refused(void **state) {
    fixture *f = *state;
    fixture_open(f);
    sqlite3 *other = someone(f->path, "PRAGMA user_version = 3");
    fixture second = *f;
    assert_int_equal(try_open(&second), HF_CORRUPT);
    sqlite3_close(other);
}

static void a_store_without_its_tables_is_corrupt(void **state) {
    fixture *f = *state;
    fixture_open(f);
    fixture_sql(f, "DROP TABLE messages");
    fixture_close(f);
    assert_int_equal(try_open(f), HF_CORRUPT);
    assert_non_null(strstr(f->err.message, "messages"));
}

/* Opening prepares a few statements of many: between them, they name everything. */
static void a_store_that_lacks_one_column_is_corrupt(void **state) {
    static const char *const tables[] = {"conversations", "messages", "deltas", "deleted_messages"};
    fixture *f = *state;
    fixture_open(f);
    fixture_close(f);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        char sql[200], name[60], column[64];
        for (int at = 0;; at++) {
            sqlite3 *db = someone(f->path, "");
            sqlite3_stmt *stmt = NULL;
            snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') LIMIT 1 OFFSET %d", tables[i],
                     at);
            assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
            bool more = sqlite3_step(stmt) == SQLITE_ROW;
            if (more) snprintf(name, sizeof name, "%s", (const char *)sqlite3_column_text(stmt, 0));
            sqlite3_finalize(stmt);
            sqlite3_close(db);
            if (!more) break;
            for (int back = 0; back < 2; back++) {
                snprintf(column, sizeof column, "no_%s", name);
                snprintf(sql, sizeof sql, "ALTER TABLE %s RENAME COLUMN %s TO %s", tables[i],
                         back ? column : name, back ? name : column);
                by_someone(f->path, sql);
                if (back) break;
                if (try_open(f) != HF_CORRUPT) fail_msg("%s.%s was not missed", tables[i], name);
            }
        }
    }
    by_someone(f->path, "DROP TABLE search");
    assert_int_equal(try_open(f), HF_CORRUPT);
    assert_non_null(strstr(f->err.message, "search"));
}

/* By the keys an insert knows a repeat: without one it would double messages. */
static void a_store_that_lacks_a_key_is_corrupt(void **state) {
    static const char *const losses[] = {
        "DROP INDEX messages_by_client",
        ("CREATE TABLE other AS SELECT * FROM messages; DROP TABLE messages;"
         "ALTER TABLE other RENAME TO messages;"
         "CREATE UNIQUE INDEX messages_by_client ON messages(conversation_id, client_message_id)"
         " WHERE client_message_id IS NOT NULL"),
        ("CREATE TABLE other AS SELECT * FROM conversations; DROP TABLE conversations;"
         "ALTER TABLE other RENAME TO conversations"),
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof losses / sizeof *losses; i++) {
        fixture_open(f);
        fixture_close(f);
        by_someone(f->path, losses[i]);
        if (try_open(f) != HF_CORRUPT) fail_msg("not missed after: %s", losses[i]);
        unlink(f->path);
    }
}

static void a_key_that_somebody_drops_from_an_open_store_is_missed(void **state) {
    fixture *f = *state;
    hf_op add = {.op = "add",
                 .conversation_id = T("c1"),
                 .role = T("user"),
                 .content = T("x"),
                 .client_message_id = T("k1")};
    fixture_open(f);
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    add.message_id = T("m1");
    done_op(f, &add);
    by_someone(f->path, "DROP INDEX messages_by_client");
    add.message_id = T("m2");
    failed_op(f, &add);
    assert_non_null(strstr(f->err.message, "UNIQUE"));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 1);
}

static void a_path_that_cannot_hold_a_store_says_why(void **state) {
    fixture *f = *state;
    snprintf(f->path, sizeof f->path, "%s/none/store.db", f->folder);
    assert_int_equal(try_open(f), HF_IO);
    assert_non_null(strstr(f->err.message, f->path));
    strcpy(f->path, f->folder);
    assert_int_equal(try_open(f), HF_IO);
    assert_non_null(strstr(f->err.message, f->path));
    strcpy(f->path, "file:store.db");
    assert_int_equal(try_open(f), HF_MISUSE);
    f->path[0] = '\0';
    assert_int_equal(try_open(f), HF_MISUSE);
}

static void a_link_to_nowhere_makes_no_file(void **state) {
    fixture *f = *state;
    char target[110];
    snprintf(target, sizeof target, "%s/target", f->folder);
    assert_int_equal(symlink(target, f->path), 0);
    assert_int_equal(try_open(f), HF_IO);
    assert_int_not_equal(access(target, F_OK), 0);
    unlink(f->path);
}

static void what_may_not_be_written_is_readonly(void **state) {
    fixture *f = *state;
    fixture_open(f);
    fixture_close(f);
    chmod(f->path, 0444);
    chmod(f->folder, 0555);
    bool superuser = geteuid() == 0; /* nothing is forbidden to it */
    if (superuser) assert_int_equal(seteuid(65534), 0);
    int existing = try_open(f);
    bool told = strstr(f->err.message, f->path) != NULL;
    f->path[strlen(f->path) - 1] = 'x';
    int created = try_open(f);
    if (superuser) assert_int_equal(seteuid(0), 0);
    chmod(f->folder, 0755);
    assert_true(told);
    assert_int_equal(existing, HF_READONLY);
    assert_int_equal(created, HF_READONLY);
}

/* ---- Other processes, disk and memory ---------------------------------------------------------- */

static void a_folder_that_may_not_be_written_is_named(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    fixture_close(f);
    chmod(f->path, 0666);
    chmod(f->folder, 0555);
    bool superuser = geteuid() == 0;
    if (superuser) assert_int_equal(seteuid(65534), 0);
    int code = try_open(f);
    if (superuser) assert_int_equal(seteuid(0), 0);
    chmod(f->folder, 0755);
    assert_int_equal(code, HF_READONLY);
    assert_non_null(strstr(f->err.message, f->path));
    assert_non_null(strstr(f->err.message, "the file or its folder is not writable"));
}

static void a_store_that_is_locked_is_waited_for_and_busy(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    fixture_close(f);
    f->options.busy_timeout_ms = 100;
    sqlite3 *other = someone(f->path, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t(a)");
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    int code = try_open(f);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    sqlite3_close(other);
    assert_string_equal(hf_code_name(code), "busy");
    assert_non_null(strstr(f->err.message, f->path));
    assert_non_null(strstr(f->err.message, "another connection holds the store"));
    int64_t waited = (ended.tv_sec - begun.tv_sec) * 1000 + (ended.tv_nsec - begun.tv_nsec) / 1000000;
    assert_in_range(waited, 90, 5000);
    fixture_open(f);
}

static void a_write_waits_for_another_connection_and_is_busy(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    sqlite3 *other = someone(f->path, "BEGIN IMMEDIATE");
    assert_int_equal(failed(f, .op = "createConversation", .conversation_id = T("c2")), HF_BUSY);
    assert_int_equal(f->err.sqlite_code, SQLITE_BUSY);
    assert_non_null(strstr(f->err.message, "nothing was stored, try again"));
    assert_non_null(done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation);
    sqlite3_close(other);
    done(f, .op = "createConversation", .conversation_id = T("c2"));
}

static void after_a_full_disk_nothing_goes_on_outside_of_the_transaction(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    fixture_sql(f, "PRAGMA max_page_count = 20");
    char *content = malloc(200000);
    memset(content, 'x', 200000);
    hf_op op = {.op = "add", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m1")};
    op.content = (hf_text){content, 200000};
    assert_int_equal(f->terminal.begin(f->terminal.data, 1, NULL), HF_OK);
    assert_int_equal(inside(f, &op), HF_FULL);
    assert_int_equal(f->err.sqlite_code, SQLITE_FULL);
    fixture_sql(f, "PRAGMA max_page_count = 1000");
    if (sqlite3_get_autocommit(fixture_db(f))) { /* SQLite has ended the transaction by itself */
        assert_int_not_equal(inside(f, &op), HF_OK);
        assert_int_not_equal(f->terminal.commit(f->terminal.data, NULL), HF_OK);
    }
    f->terminal.rollback(f->terminal.data);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages"), 0);
    done_op(f, &op);
    free(content);
}

/* A text beyond what SQLite holds in a row. */
static void what_is_too_big_for_sqlite_is_invalid(void **state) {
    fixture *f = *state;
    fixture_open(f);
    create(f);
    sqlite3_limit(fixture_db(f), SQLITE_LIMIT_LENGTH, 1000);
    char content[2000];
    memset(content, 'x', sizeof content);
    assert_int_equal(failed(f, .op = "add", .conversation_id = T("c1"), .role = T("user"),
                            .message_id = T("m1"), .content = {content, sizeof content}),
                     HF_INVALID);
}

/* The WAL's file, whose writes or syncs fail on demand. */
static sqlite3_io_methods faulty_methods, sound_methods;
static bool sync_fails, write_fails;

static int faulty_sync(sqlite3_file *file, int flags) {
    return sync_fails ? SQLITE_IOERR_FSYNC : sound_methods.xSync(file, flags);
}

static int faulty_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
    return write_fails ? SQLITE_IOERR_WRITE : sound_methods.xWrite(file, data, size, offset);
}

static void make_wal_faulty(sqlite3 *db) {
    sqlite3_file *file = NULL;
    assert_int_equal(sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file), SQLITE_OK);
    assert_non_null(file->pMethods);
    faulty_methods = sound_methods = *file->pMethods;
    faulty_methods.xSync = faulty_sync;
    faulty_methods.xWrite = faulty_write;
    file->pMethods = &faulty_methods;
}

static void a_failed_sync_is_unknown_and_another_failure_is_io(void **state) {
    fixture *f = *state;
    f->options.durability = HF_DURABILITY_FULL;
    fixture_open(f);
    create(f);
    make_wal_faulty(fixture_db(f));
    sync_fails = true;
    assert_int_equal(failed(f, .op = "createConversation", .conversation_id = T("c2")), HF_UNKNOWN);
    assert_int_equal(f->err.sqlite_code, SQLITE_IOERR_FSYNC);
    sync_fails = false;
    write_fails = true;
    assert_int_equal(failed(f, .op = "createConversation", .conversation_id = T("c2")), HF_IO);
    assert_int_equal(f->err.sqlite_code, SQLITE_IOERR_WRITE);
    write_fails = false;
    done(f, .op = "createConversation", .conversation_id = T("c2")); /* the same id settles it */
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM conversations"), 2);
}

/* One of every op. Stops at the first failure. */
static int every_op(fixture *f) {
    const hf_op ops[] = {
        {.op = "createConversation", .conversation_id = T("c1"), .title = T("t"), .metadata = T("{\"a\":1}")},
        {.op = "updateConversation", .conversation_id = T("c1"), .updates = T("{\"b\":2}")},
        {.op = "add",
         .conversation_id = T("c1"),
         .role = T("user"),
         .content = T("text"),
         .message_id = T("m1"),
         .metadata = T("{\"userMessageChannel\":\"web\"}"),
         .client_message_id = T("k1")},
        {.op = "add",
         .conversation_id = T("c1"),
         .role = T("user"),
         .content = T("text"),
         .message_id = T("m2"),
         .client_message_id = T("k1")},
        {.op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("m3")},
        {.op = "updateContent", .message_id = T("m3"), .content = T("text")},
        {.op = "update", .message_id = T("m1"), .updates = T("{\"n\":1}")},
        {.op = "get", .message_id = T("m1")},
        {.op = "list", .conversation_id = T("c1"), .after = T("m1")},
        {.op = "getConversation", .conversation_id = T("c1")},
        {.op = "listConversations"},
        {.op = "delete", .message_id = T("m3")},
        {.op = "deleteConversation", .conversation_id = T("c1")},
    };
    int code = HF_OK;
    for (size_t i = 0; i < sizeof ops / sizeof *ops && code == HF_OK; i++)
        code = whole(f, &ops[i]);
    return code;
}

/* SQLite can do without some allocations, so a refused one may also go unnoticed. */
static void assert_told(int code, bool happened) {
    if (code != HF_OK && code != HF_MEMORY) fail_msg("code %d", code);
    if (!happened) assert_int_equal(code, HF_OK);
}

static void memory_that_runs_out_in_opening_leaves_a_file_that_opens(void **state) {
    fixture *f = *state;
    for (int existing = 0; existing < 2; existing++) {
        bool happened = true;
        /* Most of it is the preparing of statements, which are alike: the later, the wider the steps. */
        for (long nth = 1; happened; nth += 1 + nth / 100) {
            if (!existing) unlink(f->path);
            fault_alloc_plan(nth);
            int code = try_open(f);
            happened = fault_alloc_happened();
            assert_told(code, happened);
            fixture_close(f);
            fixture_open(f);
            fixture_close(f);
        }
    }
}

static void memory_that_runs_out_in_an_op_leaves_no_half_of_it(void **state) {
    fixture *f = *state;
    fixture_open(f);
    bool happened = true;
    for (long nth = 1; happened; nth++) {
        fault_alloc_plan(nth);
        int code = every_op(f);
        happened = fault_alloc_happened();
        if (code != HF_OK && code != HF_MEMORY)
            fail_msg("nth %ld, happened %d, op %s: %s", nth, (int)happened, f->err.op, f->err.message);
        assert_told(code, happened);
        /* A message and its conversation's bump come together, or not at all. */
        assert_int_equal(fixture_ask(f,
                                     "SELECT count(*) FROM conversations AS c WHERE last_message_at IS NOT"
                                     " (SELECT max(created_at) FROM messages WHERE conversation_id = c.id)"),
                         0);
        fixture_sql(f, "DELETE FROM conversations");
    }
    assert_int_equal(fixture_ask(f, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
}

/* ---- A store of version 1 ---------------------------------------------------------------------- */

static const char version_1[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE conversations ("
    " position INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " title TEXT,"
    " origin_channel TEXT,"
    " created_at INTEGER NOT NULL,"
    " updated_at INTEGER NOT NULL,"
    " last_message_at INTEGER,"
    " metadata TEXT"
    ") STRICT;"
    "CREATE TABLE messages ("
    " position INTEGER PRIMARY KEY,"
    " id TEXT NOT NULL UNIQUE,"
    " conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,"
    " role TEXT NOT NULL,"
    " created_at INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('final', 'reserved', 'streaming', 'aborted', 'interrupted')),"
    " client_message_id TEXT,"
    " metadata TEXT,"
    " content TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX messages_by_conversation ON messages(conversation_id);"
    "CREATE UNIQUE INDEX messages_by_client ON messages(conversation_id, client_message_id)"
    " WHERE client_message_id IS NOT NULL;"
    "PRAGMA application_id = 0x48464453;"
    "PRAGMA user_version = 1;"
    "INSERT INTO conversations(id, title, created_at, updated_at, last_message_at) VALUES('c1', 'One', 5, 9, "
    "9);"
    "INSERT INTO messages(id, conversation_id, role, created_at, state, client_message_id, metadata, content)"
    " VALUES('m1', 'c1', 'user', 6, 'final', 'k1', '{ \"n\":1.50}', 'sea'),"
    " ('m2', 'c1', 'assistant', 7, 'final', NULL, NULL, '[{\"type\":\"text\",\"text\":\"land\"}]'),"
    " ('m3', 'c1', 'assistant', 9, 'reserved', NULL, NULL, '[]');";

static void a_store_of_version_1_is_brought_forward_whole(void **state) {
    fixture *f = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, version_1, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    for (int i = 0; i < 2; i++) { /* brought forward, and opened as it is then */
        fixture_open(f);
        assert_int_equal(fixture_ask(f, "PRAGMA user_version"), 2);
        const hf_message *row = done(f, .op = "get", .message_id = T("m1"))->message;
        assert_text(row->content, "sea");
        assert_text(row->metadata, "{ \"n\":1.50}");
        assert_int_equal(row->created_at, 6);
        assert_int_equal(done(f, .op = "get", .message_id = T("m3"))->message->state, HF_STATE_INTERRUPTED);
        assert_int_equal(done(f, .op = "search", .query = T("sea OR land"))->hits_count, 2);
        assert_int_equal(done(f, .op = "search", .query = T("type"))->hits_count, 0);
        const hf_conversation *parent =
            done(f, .op = "getConversation", .conversation_id = T("c1"))->conversation;
        assert_text(parent->attention->latest_assistant_message_id, "m2");
        assert_int_equal(fixture_ask(f, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
        fixture_close(f);
    }
    fixture_open(f);
    done(f, .op = "add", .conversation_id = T("c1"), .role = T("user"), .content = T("x"),
         .message_id = T("m4"), .client_message_id = T("k1"));
    assert_text(f->result.message->id, "m1");
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("user"), .message_id = T("m5"));
    done(f, .op = "append", .message_id = T("m5"), .delta = T("x"));
}

/* The file is the user's own: a shell, where foreign keys are off, may have left messages without their conversation,
 * and there may be tables and views beside ours. */
static void what_a_user_did_to_a_store_of_version_1_outlives_its_migration(void **state) {
    fixture *f = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
    const char *edits = "INSERT INTO messages(id, conversation_id, role, created_at, state, content)"
                        " VALUES('m9', 'gone', 'user', 9, 'final', 'left');"
                        "CREATE TABLE notes(message TEXT REFERENCES messages(id) ON DELETE CASCADE);"
                        "INSERT INTO notes VALUES('m1');"
                        "CREATE VIEW ids AS SELECT id FROM messages;"
                        "CREATE VIEW broken AS SELECT id FROM nowhere";
    if (sqlite3_exec(db, edits, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(db));
    sqlite3_close(db);
    fixture_open(f);
    assert_text(done(f, .op = "get", .message_id = T("m9"))->message->content, "left");
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM notes"), 1);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM ids"), 4);
    assert_int_equal(fixture_ask(f, "PRAGMA foreign_keys"), 1);
    fixture_sql(f, "INSERT INTO notes VALUES('m2')");
    done(f, .op = "delete", .message_id = T("m1"));
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM notes"), 1);
}

static void a_store_whose_migration_lacks_memory_stays_of_version_1(void **state) {
    fixture *f = *state;
    bool happened = true;
    for (long nth = 1; happened; nth += 1 + nth / 8) {
        sqlite3 *db = NULL;
        unlink(f->path);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        fault_alloc_plan(nth);
        int code = try_open(f);
        happened = fault_alloc_happened();
        assert_told(code, happened);
        fixture_close(f);
        fixture_open(f);
        assert_text(done(f, .op = "get", .message_id = T("m1"))->message->content, "sea");
        assert_int_equal(done(f, .op = "search", .query = T("sea OR land"))->hits_count, 2);
        fixture_close(f);
    }
}

/* SQLite's memory comes out of the same plan as ours. */
static sqlite3_mem_methods memory;
void *__wrap_malloc(size_t size);

static bool refused(void) {
    void *probe = __wrap_malloc(1);
    free(probe);
    return probe == NULL;
}

static void *planned_malloc(int size) {
    return refused() ? NULL : memory.xMalloc(size);
}

static void *planned_realloc(void *old, int size) {
    return refused() ? NULL : memory.xRealloc(old, size);
}

static int plan_sqlite_memory(void **state) {
    (void)state;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK) return -1;
    sqlite3_mem_methods planned = memory;
    planned.xMalloc = planned_malloc;
    planned.xRealloc = planned_realloc;
    fault_alloc_cover_cjson();
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &planned);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest rules[] = {
        RULE(a_new_file_is_its_owners_alone),
        RULE(an_empty_file_becomes_a_store),
        RULE(a_store_is_what_it_says),
        RULE(what_was_committed_is_there_when_opened_again),
        RULE(a_store_in_memory_makes_no_file),
        RULE(a_store_that_was_left_half_made_is_finished),
        RULE(processes_may_create_one_store_at_once),
        RULE(a_file_that_is_no_database_is_left_untouched),
        RULE(a_database_of_another_program_is_left_untouched),
        RULE(a_crashed_database_of_another_program_is_left_untouched),
        RULE(a_store_of_a_newer_version_is_left_untouched),
        RULE(a_store_of_version_1_is_brought_forward_whole),
        RULE(what_a_user_did_to_a_store_of_version_1_outlives_its_migration),
        RULE(a_store_whose_migration_lacks_memory_stays_of_version_1),
        RULE(a_newer_version_that_only_the_wal_knows_is_refused),
        RULE(a_store_without_its_tables_is_corrupt),
        RULE(a_store_that_lacks_one_column_is_corrupt),
        RULE(a_store_that_lacks_a_key_is_corrupt),
        RULE(a_key_that_somebody_drops_from_an_open_store_is_missed),
        RULE(a_path_that_cannot_hold_a_store_says_why),
        RULE(a_link_to_nowhere_makes_no_file),
        RULE(what_may_not_be_written_is_readonly),
        RULE(a_folder_that_may_not_be_written_is_named),
        RULE(a_store_that_is_locked_is_waited_for_and_busy),
        RULE(a_write_waits_for_another_connection_and_is_busy),
        RULE(after_a_full_disk_nothing_goes_on_outside_of_the_transaction),
        RULE(what_is_too_big_for_sqlite_is_invalid),
        RULE(a_failed_sync_is_unknown_and_another_failure_is_io),
        RULE(memory_that_runs_out_in_opening_leaves_a_file_that_opens),
        RULE(memory_that_runs_out_in_an_op_leaves_no_half_of_it),
    };
    return cmocka_run_group_tests(rules, plan_sqlite_memory, NULL);
}
