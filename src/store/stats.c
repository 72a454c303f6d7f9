/* How large a store is, and what has become of its WAL. Counts come from the smallest index that has them. */
#include "base/error.h"
#include "base/json.h"
#include "op/transaction.h"
#include "store/stmt.h"

/* An object's next member. */
static void write_key(hf__buf *out, const char *key) {
    if (out->size > 0 && out->data[out->size - 1] != '{') hf__buf_char(out, ',');
    hf__json_write_text(out, hf_text_of(key));
    hf__buf_char(out, ':');
}

static void write_int(hf__buf *out, const char *key, int64_t number) {
    write_key(out, key);
    hf__json_write_int(out, number);
}

static void write_string(hf__buf *out, const char *key, const char *text) {
    write_key(out, key);
    hf__json_write_text(out, hf_text_of(text));
}

static int write_database(hf__store *store, hf__buf *out, hf_error *err) {
    static const char *const counts[] = {"conversations", "messages", "reserved", "streaming",
                                         "indexed",       "deltas",   NULL};
    hf__query query = hf__query_start(store, HF__SQL_STATS, err);
    if (hf__query_row(&query)) {
        for (size_t i = 0; counts[i] != NULL; i++)
            write_int(out, counts[i], hf__read_int(&query));
        int64_t page = hf__read_int(&query);
        write_int(out, "pageSize", page);
        write_int(out, "databaseBytes", page * hf__read_int(&query));
        write_int(out, "freePages", hf__read_int(&query));
        write_int(out, "schemaVersion", hf__read_int(&query));
    }
    return hf__query_end(&query);
}

static int find_wal_size(hf__store *store, sqlite3_int64 *out, hf_error *err) {
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(store->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    if (rc == SQLITE_OK && file != NULL && file->pMethods != NULL) rc = file->pMethods->xFileSize(file, out);
    if (rc == SQLITE_OK) return HF_OK;
    return hf__fail(err, HF_IO, "the size of the WAL: %s (SQLite %d)", sqlite3_errstr(rc), rc);
}

static void write_checkpoints(const hf__checkpoints *seen, hf__buf *out) {
    write_key(out, "checkpoints");
    hf__buf_char(out, '{');
    write_int(out, "passes", seen->passes);
    write_int(out, "frames", seen->frames);
    write_int(out, "failures", seen->failures);
    write_string(out, "outcome", seen->outcome == SQLITE_OK ? "ok" : sqlite3_errstr(seen->outcome));
    write_int(out, "behind", seen->behind);
    if (seen->starved_since != 0) write_int(out, "starvedSince", seen->starved_since);
    hf__buf_char(out, '}');
}

int hf__store_stats(const hf_terminal *terminal, hf__buf *out, hf_error *err) {
    hf__store *store = terminal->data;
    hf__transaction txn = {.terminal = terminal};
    hf__checkpoints seen;
    sqlite3_int64 wal_size = 0;
    hf__buf_char(out, '{');
    int code = hf__transaction_begin(&txn, err);
    if (code == HF_OK) code = write_database(store, out, err);
    hf__transaction_rollback(&txn);
    if (code == HF_OK) code = find_wal_size(store, &wal_size, err);
    if (code != HF_OK) return code;
    hf__checkpointer_inquire(store->checkpointer, wal_size, &seen);
    write_int(out, "walBytes", wal_size);
    write_int(out, "walFrames", seen.wal_frames);
    write_checkpoints(&seen, out);
    write_int(out, "writes", store->writes);
    write_int(out, "commits", store->commits);
    write_string(out, "durability", store->options.durability == HF_DURABILITY_FULL ? "full" : "normal");
    write_string(out, "sqliteVersion", sqlite3_libversion());
    hf__buf_char(out, '}');
    return HF_OK;
}
