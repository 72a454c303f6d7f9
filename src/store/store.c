/*
 * The terminal itself: transactions and their marks, and each op handed to the function that answers it.
 * What the functions do is left to the files that README.md names, whether to try again to the layer above.
 */
#include "store/store.h"

#include <assert.h>

#include "base/arena.h"
#include "base/error.h"
#include "store/ops.h"
#include "store/schema.h"

/* After some failures (a full disk, for one) SQLite has rolled the transaction back by itself. Whatever came
 * now would be stored at once, apart from the rest: it is refused until the rollback. */
static int check_inside(hf__store *store, hf_error *err) {
    if (store->shaken != HF_OK) {
        hf__fail(err, (hf_code)store->shaken,
                 "the transaction cannot go on: an earlier step failed in SQLite");
        if (err != NULL) err->sqlite_code = store->shaken_sqlite;
        return store->shaken;
    }
    if (!sqlite3_get_autocommit(store->db)) return HF_OK;
    return hf__fail(err, HF_IO,
                    "no transaction is open: it was not begun, or SQLite ended it after a failure");
}

static int run_inside(hf__store *store, hf__sql sql, hf_error *err) {
    int code = check_inside(store, err);
    return code == HF_OK ? hf__query_run(store, sql, err) : code;
}

static int roll_back(hf__store *store, hf_error *err) {
    return sqlite3_get_autocommit(store->db) ? HF_OK : hf__query_run(store, HF__SQL_ROLLBACK, err);
}

/* FTS5 of SQLite 3.40 may keep what a failed statement had done to its totals, also over the rollback: they are
 * read anew before anything else is done. */
static int steady(hf__store *store, hf_error *err) {
    if (store->shaken == HF_OK) return HF_OK;
    int code = roll_back(store, err); /* the one before may have lacked the memory */
    if (code != HF_OK) return code;
    int rc = sqlite3_exec(store->db, HF__SQL_FORGET_SCHEMA, NULL, NULL, NULL);
    if (rc != SQLITE_OK) return hf__sqlite_fail(err, store->db, rc);
    store->shaken = HF_OK;
    return HF_OK;
}

/* Writers may come to be held just behind the gate. */
static int begin_write(hf__store *store, hf_error *err) {
    hf__checkpointer_pass_gate(store->checkpointer);
    int code = hf__query_run(store, HF__SQL_BEGIN_WRITE, err);
    if (code != HF_BUSY || !hf__checkpointer_pass_gate(store->checkpointer)) return code;
    if (err != NULL) hf__zero(err, sizeof *err);
    return hf__query_run(store, HF__SQL_BEGIN_WRITE, err);
}

static int terminal_begin(void *data, int write, hf_error *err) {
    hf__store *store = data;
    int code = steady(store, err);
    store->writing = write;
    hf__growth_forget(store);
    if (code == HF_OK) code = write ? begin_write(store, err) : hf__query_run(store, HF__SQL_BEGIN_READ, err);
    if (code == HF_OK) hf__recent_begin(store, write);
    return code;
}

static int terminal_commit(void *data, hf_error *err) {
    hf__store *store = data;
    int code = check_inside(store, err);
    if (code == HF_OK) code = hf__growth_write(store, err);
    if (code == HF_OK) code = hf__query_run(store, HF__SQL_COMMIT, err);
    if (code != HF_OK) return code;
    store->commits += store->writing;
    hf__recent_commit(store);
    hf__outbox_send(store);
    hf__anchors_settle(store);
    hf__checkpointer_tell(store->checkpointer, &store->told, store->options.host);
    return HF_OK;
}

static void terminal_rollback(void *data) {
    hf__store *store = data;
    if (roll_back(store, NULL) != HF_OK) store->shaken = HF_MEMORY;
    hf__recent_forget(store);
    hf__outbox_clear(&store->outbox);
    hf__anchors_settle(store);
}

static int terminal_mark(void *data, hf_error *err) {
    hf__store *store = data;
    int code = check_inside(store, err);
    if (code == HF_OK) code = hf__growth_write(store, err);
    if (code == HF_OK) code = hf__query_run(store, HF__SQL_MARK, err);
    if (code != HF_OK) return code;
    hf__growth_forget(store);
    hf__outbox_mark(&store->outbox);
    return HF_OK;
}

static int terminal_release(void *data, hf_error *err) {
    hf__store *store = data;
    int code = run_inside(store, HF__SQL_RELEASE, err);
    if (code == HF_OK) hf__outbox_release(&store->outbox);
    return code;
}

static int terminal_undo(void *data, hf_error *err) {
    hf__store *store = data;
    hf__recent_forget(store);
    hf__growth_forget(store);
    int code = run_inside(store, HF__SQL_UNDO, err);
    if (code == HF_OK) code = run_inside(store, HF__SQL_RELEASE, err);
    if (code == HF_OK) hf__outbox_undo(&store->outbox);
    return code;
}

int hf__store_batch(hf__store *store, const hf_op *op, hf_result *result, hf_error *err) {
    (void)store, (void)op, (void)result;
    return hf__fail(err, HF_INTERNAL, "a batch came to the terminal: its ops come one by one");
}

static int terminal_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    static int (*const functions[HF__KINDS])(hf__store *, const hf_op *, hf_result *, hf_error *) = {
#define HF_ROW(row)
#define HF_COLUMN(row, name, member, type, need)
#define HF_ROW_END(row)
#define HF_OP(name, access, mints) hf__store_##name,
#define HF_FIELD(op, name, member, type, need)
#define HF_SUBFIELD(op, group, name, member, type, need)
#define HF_RESULT(op, name, member, type, need)
#define HF_OP_END(op)
#include "op/ops.def"
#include "op/ops_undef.h"
    };
    const hf__op_def *def = hf__op_find(op->op, strlen(op->op));
    if (def == NULL) return hf__fail(err, HF_INVALID, "there is no op \"%s\"", op->op);
    hf__store *store = data;
    int code = check_inside(store, err);
    if (code != HF_OK) return code;
    store->faltered = false;
    store->writes += def->writes;
    bool grows = def->kind == HF__KIND_add || def->kind == HF__KIND_reserve;
    if (!grows) code = hf__growth_write(store, err);
    if (code == HF_OK) code = functions[def->kind](store, op, result, err);
    hf__recent_after(store, def->kind, code);
    bool grave = code == HF_MEMORY || code == HF_IO || code == HF_FULL;
    if (grave && store->faltered) { /* an owner's file is no concern of SQLite's: that op alone is undone */
        store->shaken = code;
        store->shaken_sqlite = err != NULL ? err->sqlite_code : SQLITE_OK;
    }
    return code;
}

static void terminal_close(void *data) {
    hf__store *store = data;
    hf__statements_finalize(store);
    hf__outbox_clear(&store->outbox);
    hf__owner_release(store->owner);
    hf__free(store->view_dir);
    hf__checkpointer_leave(store->db, store->checkpointer);
    int rc = sqlite3_close(store->db);
    assert(rc == SQLITE_OK); /* every statement is finalised */
    (void)rc;
    hf__free(store);
}

static int copy_view_dir(hf__store *store, const char *given, hf_error *err) {
    store->options.view_dir = NULL;
    if (given == NULL) return HF_OK;
    store->view_dir = hf__alloc(strlen(given) + 1);
    if (store->view_dir == NULL) return hf__fail_memory(err);
    store->options.view_dir = strcpy(store->view_dir, given);
    return HF_OK;
}

void hf__store_dry_run(const hf_terminal *terminal, bool yes) {
    ((hf__store *)terminal->data)->dry_run = yes;
}

/* ---- A terminal for reads ---------------------------------------------------------------------- */

static int reader_begin(void *data, int write, hf_error *err) {
    (void)write;
    return steady(data, err);
}

/* A page from the end of a conversation is one statement. That there is none, or no conversation, is told by two. */
static bool is_first_page(const hf_op *op) {
    return strcmp(op->op, "list") == 0 && op->before.data == NULL && op->after.data == NULL;
}

/* An op of one statement sees one state of the store by itself; what it asks further, it asks while that one runs. */
static int reader_exec(void *data, const hf_op *op, hf_result *result, hf_error *err) {
    if (strcmp(op->op, "get") == 0) return hf__store_get(data, op, result, err);
    if (strcmp(op->op, "getConversation") == 0) return hf__store_getConversation(data, op, result, err);
    if (strcmp(op->op, "read") == 0) return hf__store_read(data, op, result, err);
    if (is_first_page(op)) {
        int code = hf__store_list(data, op, result, err);
        if (code != HF_OK || result->messages_count > 0) return code;
    }
    int code = hf__query_run(data, HF__SQL_BEGIN_READ, err);
    return code == HF_OK ? terminal_exec(data, op, result, err) : code;
}

static int reader_commit(void *data, hf_error *err) {
    const hf__store *reader = data;
    return sqlite3_get_autocommit(reader->db) ? HF_OK : hf__query_run(data, HF__SQL_COMMIT, err);
}

/* Another store on the same file that only reads. It looks at nothing of this one but what stays as it is from open to
 * close, so that any thread may call it. */
static int terminal_open_reader(void *data, hf_terminal *out, hf_error *err) {
    const hf__store *store = data;
    hf__store *reader = hf__alloc_zero(sizeof *reader);
    if (reader == NULL) return hf__fail_memory(err);
    reader->options = store->options;
    int code = hf__schema_open_reader(reader, &store->place, err);
    if (code == HF_OK) code = hf__statements_prepare(reader, err);
    if (code != HF_OK) {
        terminal_close(reader);
        return code;
    }
    *out = (hf_terminal){
        .size = sizeof *out,
        .data = reader,
        .exec = reader_exec,
        .begin = reader_begin,
        .commit = reader_commit,
        .rollback = terminal_rollback,
        .close = terminal_close,
    };
    return HF_OK;
}

int hf__store_open(const char *path, const hf__store_options *options, hf_terminal *out, hf_error *err) {
    hf__store *store = hf__alloc_zero(sizeof *store);
    if (store == NULL) return hf__fail_memory(err);
    store->options = *options;
    int code = copy_view_dir(store, options->view_dir, err);
    if (code == HF_OK) code = hf__schema_open(store, path, err);
    if (code == HF_OK) code = hf__statements_prepare(store, err);
    if (code == HF_OK) code = hf__statements_check(store, err);
    if (code == HF_OK) code = hf__anchors_recover(store, err);
    if (code == HF_OK) hf__anchors_sweep(store);
    if (code != HF_OK) {
        terminal_close(store);
        return code;
    }
    *out = (hf_terminal){
        .size = sizeof *out,
        .data = store,
        .exec = terminal_exec,
        .begin = terminal_begin,
        .commit = terminal_commit,
        .rollback = terminal_rollback,
        .mark = terminal_mark,
        .release = terminal_release,
        .undo = terminal_undo,
        .close = terminal_close,
        .open_reader = store->place.path != NULL ? terminal_open_reader : NULL,
    };
    return HF_OK;
}
