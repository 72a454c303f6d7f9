/*
 * A store's connection and its prepared statements, and the one way to use them:
 *
 *     hf__query query = hf__query_start(store, HF__SQL_MESSAGE, err);
 *     hf__bind_text(&query, id);                    parameters, in order
 *     if (hf__query_row(&query)) ...hf__read_...    columns, in order
 *     return hf__query_end(&query);                 always: resets the statement
 *
 * The first failure fills `err` and makes the rest do nothing; hf__query_end returns its code.
 */
#ifndef HF_STORE_STMT_H
#define HF_STORE_STMT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "store/checkpoint.h"
#include "store/outbox.h"
#include "store/owner.h"
#include "store/recent.h"
#include "store/sql.h"
#include "store/store.h"

/* Where the file is, for whoever opens it again. */
typedef struct hf__place {
    const char *path; /* absolute, and alive as long as the connection; NULL where there is none: in memory */
    const char *vfs;
    dev_t device;
    ino_t inode;
} hf__place;

/* What the row of a conversation has yet to say of the messages that were stored in it last. */
typedef struct hf__growth_due {
    int64_t position; /* the conversation of the last message since the transaction began, or its last mark */
    bool waits;       /* the rest is to be written */
    int64_t updated_at, answered_at;
    size_t answer_size; /* 0: no answer among them */
    char answer[HF__RECENT_ID];
} hf__growth_due;

typedef struct hf__store {
    sqlite3 *db;
    hf__place place;
    sqlite3_stmt *statements[HF__SQLS];
    hf__store_options options;
    int64_t newest;                   /* the latest time this handle gave to a row */
    hf__owner *owner;                 /* NULL until the first message was reserved */
    char owner_id[HF__UUID_SIZE + 1]; /* whose lock `owner` is */
    bool met_dead;                    /* this transaction met an anchor whose owner is dead */
    bool dry_run;                     /* nothing that it brings about may stay */
    bool faltered;                    /* a statement of this op failed */
    int shaken;                       /* the code of a step that failed in SQLite; HF_OK for none */
    int shaken_sqlite;                /* and SQLite's own */
    hf__outbox outbox;                /* lines for the disk view */
    hf__recent recent;                /* what the last writes told */
    hf__growth_due due;               /* what of them is yet to be written */
    char *view_dir;                   /* the store's copy of options.view_dir */
    hf__checkpointer *checkpointer;   /* NULL for a database in memory */
    unsigned told;                    /* what of its news the host's log has */
    bool writing;                     /* the transaction is a writer's */
    int64_t writes, commits;          /* ops that write, and transactions of theirs, since it was opened */
} hf__store;

/* Fills `err` with what SQLite has to say about the result code `rc` of `db`; returns its code. Nothing
 * may be called on `db` in between. */
int hf__sqlite_fail(hf_error *err, sqlite3 *db, int rc);

/* Prepares what transactions are made of, which is not to fail in their midst for want of memory. All other statements
 * are prepared where they are first used. On failure those prepared so far stay for hf__statements_finalize. */
int hf__statements_prepare(hf__store *store, hf_error *err);

/* Whether the tables are those of a store, HF_CORRUPT where not: prepares a few statements, which between them name every
 * column and need every key. */
int hf__statements_check(hf__store *store, hf_error *err);

void hf__statements_finalize(hf__store *store);

typedef struct hf__query {
    hf__store *store;
    sqlite3_stmt *stmt;
    hf_error *err;
    int code;  /* HF_OK, or that of the first failure */
    int place; /* the last parameter bound, or column read */
    bool stepped;
} hf__query;

hf__query hf__query_start(hf__store *store, hf__sql sql, hf_error *err);

/* Bound text is borrowed until hf__query_end; absent text is NULL. What the statement then still holds of it is never
 * read: each use binds every parameter. */
void hf__bind_text(hf__query *query, hf_text text);
void hf__bind_int(hf__query *query, int64_t integer);

/* Runs on to the next row: whether there is one. */
bool hf__query_row(hf__query *query);

/* The next column of the row. Text is absent for NULL; a view of it lives until the next row or the end,
 * otherwise it is copied into `result`. A NULL integer is 0. */
hf_text hf__read_view(hf__query *query);
hf_text hf__read_text(hf__query *query, hf_result *result);
int64_t hf__read_int(hf__query *query);

/* The next columns, up to HF__MOST_TEXTS, copied into `result` in one piece. A text that is there already has no column. */
enum { HF__MOST_TEXTS = 4 };
void hf__read_texts(hf__query *query, hf_result *result, hf_text *const *texts, size_t count);

/* Past a column that nobody wants. */
void hf__read_nothing(hf__query *query);
double hf__read_real(hf__query *query);

/* Makes the query fail for a reason of the caller's, who has filled its `err`. */
void hf__query_fail(hf__query *query, int code);

int hf__query_end(hf__query *query);

/* Runs a query that gives no row, and ends it. */
int hf__query_do(hf__query *query);

/* A statement without parameters and rows. */
int hf__query_run(hf__store *store, hf__sql sql, hf_error *err);

#endif
