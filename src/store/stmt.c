/*
 * Prepared statements: made at their first use, kept for the life of the store, reset on every path; and SQLite's result
 * codes turned into ours. What the statements mean is left to those who run them.
 */
#include "store/stmt.h"

#include <assert.h>
#include <errno.h>

#include "base/error.h"
#include "op/record.h"

static hf_code code_of(sqlite3 *db, int rc) {
    switch (rc) { /* extended codes that differ from their family */
    case SQLITE_IOERR_FSYNC:
    case SQLITE_IOERR_DIR_FSYNC: return HF_UNKNOWN;
    case SQLITE_IOERR_NOMEM: return HF_MEMORY;
    default: break;
    }
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL: return HF_BUSY;
    case SQLITE_IOERR: return HF_IO;
    case SQLITE_CANTOPEN: {
        int reason = sqlite3_system_errno(db);
        return reason == EACCES || reason == EPERM || reason == EROFS ? HF_READONLY : HF_IO;
    }
    case SQLITE_FULL: return HF_FULL;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH: return HF_READONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return HF_CORRUPT;
    case SQLITE_NOMEM: return HF_MEMORY;
    case SQLITE_TOOBIG: return HF_INVALID;
    default: return HF_INTERNAL;
    }
}

/* What SQLite's own words leave open. */
static const char *advice_on(hf_code code) {
    switch (code) {
    case HF_BUSY: return ": another connection holds the store; nothing was stored, try again";
    case HF_READONLY: return ": the file or its folder is not writable";
    default: return "";
    }
}

int hf__sqlite_fail(hf_error *err, sqlite3 *db, int rc) {
    if (db == NULL) return hf__fail_memory(err);
    hf_code code = code_of(db, rc);
    int reason = rc == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR ? sqlite3_system_errno(db) : 0;
    if (reason != 0) {
        hf__fail(err, code, "%s (SQLite %d, errno %d)%s", sqlite3_errmsg(db), rc, reason, advice_on(code));
    } else {
        hf__fail(err, code, "%s (SQLite %d)%s", sqlite3_errmsg(db), rc, advice_on(code));
    }
    const char *path = sqlite3_db_filename(db, "main");
    if (path != NULL && *path != '\0') hf__error_prefix(err, "%s: ", path);
    if (err != NULL) err->sqlite_code = rc;
    return code;
}

/* ---- All statements ---------------------------------------------------------------------------- */

static int prepare(hf__store *store, hf__sql sql, hf_error *err) {
    static const char *const texts[HF__SQLS] = {
#define XX(name, text) text,
        HF__SQL_MAP(XX)
#undef XX
    };
    int rc = sqlite3_prepare_v3(store->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[sql],
                                NULL);
    if (rc == SQLITE_OK) return HF_OK;
    int code = hf__sqlite_fail(err, store->db, rc);
    if (code != HF_INTERNAL) return code;
    /* The statements are right, so what they do not fit is the file. */
    hf__fail(err, HF_CORRUPT, "%s: the tables are not those of a store of version %d: %s",
             sqlite3_db_filename(store->db, "main"), HF__SCHEMA_VERSION, sqlite3_errmsg(store->db));
    if (err != NULL) err->sqlite_code = rc;
    return HF_CORRUPT;
}

static int prepare_all(hf__store *store, const hf__sql *which, size_t count, hf_error *err) {
    int code = HF_OK;
    for (size_t i = 0; code == HF_OK && i < count; i++)
        if (store->statements[which[i]] == NULL) code = prepare(store, which[i], err);
    return code;
}

int hf__statements_prepare(hf__store *store, hf_error *err) {
    static const hf__sql always[] = {HF__SQL_BEGIN_READ, HF__SQL_BEGIN_WRITE, HF__SQL_COMMIT,
                                     HF__SQL_ROLLBACK,   HF__SQL_MARK,        HF__SQL_RELEASE,
                                     HF__SQL_UNDO};
    return prepare_all(store, always, sizeof always / sizeof *always, err);
}

int hf__statements_check(hf__store *store, hf_error *err) {
    static const hf__sql telling[] = {
        HF__SQL_CONVERSATION_ANSWER, HF__SQL_CONVERSATION_ADD, HF__SQL_CONVERSATION_SEEN,
        HF__SQL_CONVERSATION_DELETE, HF__SQL_MESSAGE_ADD,      HF__SQL_ANCHOR_READ,
        HF__SQL_MESSAGE_DELETE,      HF__SQL_MESSAGE_BURY,     HF__SQL_DELTA_ADD,
        HF__SQL_INDEX_ADD,
    };
    return prepare_all(store, telling, sizeof telling / sizeof *telling, err);
}

void hf__statements_finalize(hf__store *store) {
    for (int i = 0; i < HF__SQLS; i++) {
        sqlite3_finalize(store->statements[i]); /* repeats the failure of the last use, already told */
        store->statements[i] = NULL;
    }
}

/* ---- One use of a statement -------------------------------------------------------------------- */

void hf__query_fail(hf__query *query, int code) {
    if (query->code == HF_OK) query->code = code;
    query->store->faltered = true;
}

hf__query hf__query_start(hf__store *store, hf__sql sql, hf_error *err) {
    hf__query query = {.store = store, .err = err, .code = HF_OK};
    if (store->statements[sql] == NULL) {
        int code = prepare(store, sql, err);
        if (code != HF_OK) hf__query_fail(&query, code);
    }
    query.stmt = store->statements[sql];
    return query;
}

static void check(hf__query *query, int rc) {
    if (rc == SQLITE_OK) return;
    hf__query_fail(query, hf__sqlite_fail(query->err, sqlite3_db_handle(query->stmt), rc));
}

void hf__bind_text(hf__query *query, hf_text text) {
    if (query->code != HF_OK) return;
    check(query,
          sqlite3_bind_text64(query->stmt, ++query->place, text.data, text.size, SQLITE_STATIC, SQLITE_UTF8));
}

void hf__bind_int(hf__query *query, int64_t integer) {
    if (query->code != HF_OK) return;
    check(query, sqlite3_bind_int64(query->stmt, ++query->place, integer));
}

bool hf__query_row(hf__query *query) {
    if (query->code != HF_OK) return false;
    assert(query->stepped || query->place == sqlite3_bind_parameter_count(query->stmt));
    query->stepped = true;
    query->place = 0;
    int rc = sqlite3_step(query->stmt);
    if (rc == SQLITE_ROW) return true;
    if (rc != SQLITE_DONE) check(query, rc);
    return false;
}

/* By the column's value: one look for the column instead of two or three. Such a value is unprotected, which asks for no
 * more than that one thread at a time uses the connection. */
hf_text hf__read_view(hf__query *query) {
    hf_text text = {NULL, 0};
    if (query->code != HF_OK) return text;
    sqlite3_value *value = sqlite3_column_value(query->stmt, query->place++);
    text.data = (const char *)sqlite3_value_text(value);
    if (text.data != NULL)
        text.size = (size_t)sqlite3_value_bytes(value);
    else if (sqlite3_value_type(value) != SQLITE_NULL)
        hf__query_fail(query, hf__fail_memory(query->err));
    return text;
}

hf_text hf__read_text(hf__query *query, hf_result *result) {
    hf_text view = hf__read_view(query);
    if (view.data == NULL) return view;
    hf_text copy = hf_result_text(result, view);
    if (copy.data == NULL) hf__query_fail(query, hf__fail_memory(query->err));
    return copy;
}

void hf__read_texts(hf__query *query, hf_result *result, hf_text *const *texts, size_t count) {
    hf_text views[HF__MOST_TEXTS];
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        views[i] = texts[i]->data == NULL ? hf__read_view(query) : (hf_text){NULL, 0};
        if (views[i].data != NULL) size += views[i].size + 1;
    }
    if (query->code != HF_OK || size == 0) return;
    char *copy = hf__result_room(result, size);
    if (copy == NULL) {
        hf__query_fail(query, hf__fail_memory(query->err));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (views[i].data == NULL) continue;
        memcpy(copy, views[i].data, views[i].size);
        copy[views[i].size] = '\0';
        *texts[i] = (hf_text){copy, views[i].size};
        copy += views[i].size + 1;
    }
}

void hf__read_nothing(hf__query *query) {
    query->place++;
}

int64_t hf__read_int(hf__query *query) {
    return query->code == HF_OK ? sqlite3_column_int64(query->stmt, query->place++) : 0;
}

double hf__read_real(hf__query *query) {
    return query->code == HF_OK ? sqlite3_column_double(query->stmt, query->place++) : 0;
}

int hf__query_end(hf__query *query) {
    if (query->stmt == NULL) return query->code; /* it could not be prepared */
    int rc = sqlite3_reset(query->stmt);
    if (query->code == HF_OK) check(query, rc); /* else it repeats what is known */
    return query->code;
}

int hf__query_do(hf__query *query) {
    hf__query_row(query);
    return hf__query_end(query);
}

int hf__query_run(hf__store *store, hf__sql sql, hf_error *err) {
    hf__query query = hf__query_start(store, sql, err);
    hf__query_row(&query);
    return hf__query_end(&query);
}
