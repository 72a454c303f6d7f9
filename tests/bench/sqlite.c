/* The baseline: see sqlite.h. A statement has one entry in the list below; each op is a few lines of them. */
#include "bench/sqlite.h"

#include <sqlite3.h>
#include <string.h>

#include "base/uuid.h"
#include "bench/bench.h"

#define MESSAGE "state, position, id, conversation_id, role, content, created_at, metadata, client_message_id"
#define CONVERSATION                                                                   \
    "id, title, origin_channel, created_at, updated_at, last_message_at, metadata,"    \
    " latest_assistant_message_id, latest_assistant_at, last_seen_message_id, unseen," \
    " fork_parent_conversation_id, fork_parent_message_id"
#define KEYS_OF(message) " position > (" message ") << 24 AND position < (" message ") + 1 << 24"

#define STATEMENTS(XX)                                                                                       \
    XX(BEGIN, "BEGIN IMMEDIATE")                                                                             \
    XX(COMMIT, "COMMIT")                                                                                     \
    XX(ADD, "INSERT INTO messages(id, conversation_id, role, state, owner, content, created_at, metadata)"   \
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?)")                                                               \
    XX(GROW, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1 WHERE id = ?2")                 \
    XX(GROW_ATTEND, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1, unseen = 1,"            \
                    " latest_assistant_message_id = ?3, latest_assistant_at = ?1 WHERE id = ?2")             \
    XX(ATTEND, "UPDATE conversations SET unseen = 1, latest_assistant_message_id = ?2,"                      \
               " latest_assistant_at = (SELECT created_at FROM messages WHERE id = ?2) WHERE id = ?1")       \
    XX(INDEX, "INSERT INTO search(rowid, text) VALUES(?, ?)")                                                \
    XX(UNINDEX, "DELETE FROM search WHERE rowid = ?")                                                        \
    XX(INDEXED, "SELECT id FROM messages WHERE conversation_id = ?"                                          \
                " AND EXISTS (SELECT 1 FROM search WHERE search.rowid = position)")                          \
    XX(UNINDEX_ALL, "DELETE FROM search WHERE rowid IN"                                                      \
                    " (SELECT position FROM messages WHERE conversation_id = ?)")                            \
    XX(HOLDS, "SELECT count(*) FROM messages WHERE conversation_id = ?")                                     \
    XX(DELETE_CONVERSATION, "DELETE FROM conversations WHERE id = ?")                                        \
    XX(PLACE, "SELECT position, conversation_id FROM messages WHERE id = ?")                                 \
    XX(APPEND, "INSERT INTO deltas(position, length, delta)"                                                 \
               " SELECT (m.position << 24) + ?2,"                                                            \
               " coalesce((SELECT length FROM deltas WHERE position = (m.position << 24) + ?2 - 1), 0)"      \
               " + length(CAST(?3 AS BLOB)), ?3"                                                             \
               " FROM messages AS m WHERE id = ?1 AND state IN ('reserved', 'streaming')")                   \
    XX(STREAM, "UPDATE messages SET state = 'streaming' WHERE id = ?")                                       \
    XX(FINAL,                                                                                                \
       "UPDATE messages SET state = 'final', owner = NULL, last_seq = ?, content = ? WHERE position = ?")    \
    XX(DROP, "DELETE FROM deltas WHERE" KEYS_OF("?1"))                                                       \
    XX(REWRITE, "UPDATE messages SET content = ? WHERE id = ?")                                              \
    XX(EDIT, "UPDATE messages SET content = ? WHERE position = ?")                                           \
    XX(REINDEX, "UPDATE search SET text = ? WHERE rowid = ?")                                                \
    XX(UPDATE, "UPDATE messages SET metadata = json_patch(coalesce(metadata, '{}'), ?) WHERE id = ?")        \
    XX(DELETE, "DELETE FROM messages WHERE position = ?")                                                    \
    XX(BURY, "INSERT INTO deleted_messages(position, id, conversation_id) VALUES(?, ?, ?)")                  \
    XX(SHRINK, "UPDATE conversations SET last_message_at = (SELECT created_at FROM messages"                 \
               " WHERE conversation_id = ?1 ORDER BY position DESC LIMIT 1) WHERE id = ?1")                  \
    XX(UNSEE, "UPDATE conversations SET (last_seen_message_id, last_seen_at)"                                \
              " = (SELECT id, created_at FROM messages WHERE conversation_id = ?1"                           \
              " AND position < ?3 ORDER BY position DESC LIMIT 1)"                                           \
              " WHERE id = ?1 AND last_seen_message_id = ?2")                                                \
    XX(ABORT, "UPDATE messages SET state = 'aborted', owner = NULL,"                                         \
              " metadata = json_set(coalesce(metadata, '{}'), '$.abortReason', ?) WHERE id = ?")             \
    XX(NEWEST, "SELECT created_at, id FROM messages WHERE conversation_id = ? AND state = 'final'"           \
               " ORDER BY position DESC LIMIT 1")                                                            \
    XX(TIME, "SELECT created_at FROM messages WHERE id = ? AND conversation_id = ?")                         \
    XX(SEE, "UPDATE conversations SET last_seen_message_id = ?1, last_seen_at = ?2,"                         \
            " unseen = coalesce(latest_assistant_at, 0) > ?2 WHERE id = ?3")                                 \
    XX(ATTENTION, "SELECT latest_assistant_message_id, latest_assistant_at, last_seen_message_id, unseen"    \
                  " FROM conversations WHERE id = ?")                                                        \
    XX(CREATE, "INSERT INTO conversations(id, title, created_at, updated_at) VALUES(?1, ?2, ?3, ?3)")        \
    XX(CHANGE, "UPDATE conversations SET title = ?, metadata = json_patch(coalesce(metadata, '{}'), ?),"     \
               " updated_at = ? WHERE id = ?")                                                               \
    XX(FORK, "INSERT INTO conversations(id, title, origin_channel, metadata, created_at, updated_at,"        \
             " fork_parent_conversation_id, fork_parent_message_id)"                                         \
             " SELECT ?1, title, origin_channel, metadata, ?2, ?2, id, ?3 FROM conversations WHERE id = ?4") \
    XX(FORKED, "SELECT position, id, role, content, metadata,"                                               \
               " EXISTS (SELECT 1 FROM search WHERE search.rowid = position) FROM messages"                  \
               " WHERE conversation_id = ? AND state = 'final' ORDER BY position")                           \
    XX(COPY, "INSERT INTO messages(id, conversation_id, role, state, content, created_at, metadata)"         \
             " VALUES(?, ?, ?, 'final', ?, ?, json_set(coalesce(?, '{}'), '$.forkSourceMessageId', ?))")     \
    XX(COPY_INDEX, "INSERT INTO search(rowid, text) SELECT ?1, text FROM search WHERE rowid = ?2")           \
    XX(FILLED, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1, last_seen_message_id = ?2,"  \
               " last_seen_at = ?1, unseen = 0 WHERE id = ?3")                                               \
    XX(GET, "SELECT " MESSAGE " FROM messages WHERE id = ?")                                                 \
    XX(LIST, "SELECT " MESSAGE " FROM messages WHERE conversation_id = ? ORDER BY position DESC LIMIT ?")    \
    XX(READ, "SELECT m.state, m.last_seq, d.position, d.delta FROM messages AS m LEFT JOIN deltas AS d"      \
             " ON d.position > (m.position << 24) + ?2 AND d.position < m.position + 1 << 24"                \
             " WHERE m.id = ?1 ORDER BY d.position")                                                         \
    XX(SEARCH, "SELECT " MESSAGE ", snippet(search, 0, '[', ']', '…', 16), -rank"                          \
               " FROM search CROSS JOIN messages ON position = search.rowid"                                 \
               " WHERE search MATCH ?1 AND state = 'final' ORDER BY rank LIMIT ?2")                          \
    XX(GET_CONVERSATION, "SELECT " CONVERSATION " FROM conversations WHERE id = ?")                          \
    XX(LIST_CONVERSATIONS, "SELECT " CONVERSATION " FROM conversations"                                      \
                           " ORDER BY updated_at DESC, position DESC LIMIT ?")

enum {
#define XX(name, text) name,
    STATEMENTS(XX)
#undef XX
        COUNT
};

struct bare {
    sqlite3 *db;
    sqlite3_stmt *statements[COUNT];
    hf__uuid_source uuids;
    int64_t time;  /* of the last write */
    bool together; /* several ops in one transaction */
    char *copy;    /* what was read last */
    size_t room;
    int64_t number; /* the last one that was read */
};

/* ---- A statement ------------------------------------------------------------------------------- */

static void check(bare *b, int rc, int expected) {
    if (rc != expected) die("SQLite %d: %s", rc, sqlite3_errmsg(b->db));
}

/* Binds by `types`, a letter for each value: i an int64_t, t an hf_text, s a C string. */
static sqlite3_stmt *bind(bare *b, int name, const char *types, ...) {
    sqlite3_stmt *statement = b->statements[name];
    va_list values;
    va_start(values, types);
    for (int i = 1; *types != '\0'; i++, types++) {
        if (*types == 'i') {
            check(b, sqlite3_bind_int64(statement, i, va_arg(values, int64_t)), SQLITE_OK);
        } else {
            hf_text text = *types == 't' ? va_arg(values, hf_text) : hf_text_of(va_arg(values, const char *));
            check(b, sqlite3_bind_text(statement, i, text.data, (int)text.size, SQLITE_STATIC), SQLITE_OK);
        }
    }
    va_end(values);
    return statement;
}

static void finish(bare *b, sqlite3_stmt *statement) {
    check(b, sqlite3_step(statement), SQLITE_DONE);
    check(b, sqlite3_reset(statement), SQLITE_OK);
}

static bool row(bare *b, sqlite3_stmt *statement) {
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW) check(b, rc, SQLITE_DONE);
    return rc == SQLITE_ROW;
}

static hf_text column(sqlite3_stmt *statement, int i) {
    return (hf_text){(const char *)sqlite3_column_text(statement, i),
                     (size_t)sqlite3_column_bytes(statement, i)};
}

static void reset(bare *b, sqlite3_stmt *statement) {
    check(b, sqlite3_reset(statement), SQLITE_OK);
}

/* The columns of all rows, copied one behind the other: a caller has them when the statement is done with. */
static int copy_rows(bare *b, sqlite3_stmt *statement) {
    int rows = 0, columns = sqlite3_column_count(statement);
    size_t at = 0;
    for (; row(b, statement); rows++) {
        for (int i = 0; i < columns; i++) {
            if (sqlite3_column_type(statement, i) == SQLITE_INTEGER) {
                b->number = sqlite3_column_int64(statement, i);
                continue;
            }
            const unsigned char *text = sqlite3_column_text(statement, i);
            size_t size = (size_t)sqlite3_column_bytes(statement, i);
            if (at + size > b->room) {
                b->room = 2 * (at + size);
                b->copy = realloc(b->copy, b->room);
                if (b->copy == NULL) die("out of memory");
            }
            if (text != NULL) memcpy(b->copy + at, text, size);
            at += size;
        }
    }
    reset(b, statement);
    return rows;
}

static void start(bare *b) {
    if (!b->together) finish(b, b->statements[BEGIN]);
}

static void end(bare *b) {
    if (!b->together) finish(b, b->statements[COMMIT]);
}

void bare_begin(bare *b) {
    start(b);
    b->together = true;
}

void bare_commit(bare *b) {
    b->together = false;
    end(b);
}

/* ---- The connection ---------------------------------------------------------------------------- */

bare *bare_open(const char *path, bool full, int busy_ms) {
    static const char *const texts[COUNT] = {
#define XX(name, text) text,
        STATEMENTS(XX)
#undef XX
    };
    bare *b = allocate(1, sizeof *b);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    check(b, sqlite3_open_v2(path, &b->db, flags, NULL), SQLITE_OK);
    check(b, sqlite3_busy_timeout(b->db, busy_ms), SQLITE_OK);
    check(b,
          sqlite3_exec(b->db,
                       "PRAGMA foreign_keys = ON; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                       "PRAGMA wal_autocheckpoint = 2000",
                       NULL, NULL, NULL),
          SQLITE_OK);
    check(b,
          sqlite3_exec(b->db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", NULL, NULL,
                       NULL),
          SQLITE_OK);
    for (int i = 0; i < COUNT; i++)
        check(b, sqlite3_prepare_v3(b->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &b->statements[i], NULL),
              SQLITE_OK);
    return b;
}

void bare_close(bare *b) {
    if (b == NULL) return;
    for (int i = 0; i < COUNT; i++)
        sqlite3_finalize(b->statements[i]);
    check(b, sqlite3_close(b->db), SQLITE_OK);
    free(b->copy);
    free(b);
}

/* The time of a write: rising, as that of messages has to, though a clock of milliseconds stands still between two. */
static int64_t rise(bare *b, int64_t now) {
    b->time = now > b->time ? now : b->time + 1;
    return b->time;
}

static int64_t mint(bare *b, char *id) {
    unsigned char random[10];
    int64_t now = hf__now(NULL);
    if (hf__random(NULL, random, sizeof random) != 0) die("no random bytes");
    hf__uuid_make(&b->uuids, now, random, id);
    return rise(b, now);
}

/* ---- Messages ---------------------------------------------------------------------------------- */

static bool is_assistant(hf_text role) {
    return role.size == 9 && memcmp(role.data, "assistant", 9) == 0;
}

void bare_add(bare *b, const bare_message *m, char *id) {
    int64_t now = mint(b, id);
    start(b);
    finish(b, bind(b, ADD, "sttsstit", id, m->conversation, m->role, "final", NULL, m->content, now,
                   m->metadata));
    if (m->indexed) finish(b, bind(b, INDEX, "it", sqlite3_last_insert_rowid(b->db), m->content));
    if (is_assistant(m->role))
        finish(b, bind(b, GROW_ATTEND, "its", now, m->conversation, id));
    else
        finish(b, bind(b, GROW, "it", now, m->conversation));
    end(b);
}

void bare_reserve(bare *b, const bare_message *m, char *id) {
    static const char owner[] = "01890a5d-ac96-774b-bcce-b302099a8057";
    int64_t now = mint(b, id);
    start(b);
    finish(b,
           bind(b, ADD, "sttsssit", id, m->conversation, m->role, "reserved", owner, "[]", now, m->metadata));
    finish(b, bind(b, GROW, "it", now, m->conversation));
    end(b);
}

void bare_append(bare *b, const char *id, long seq, hf_text delta) {
    start(b);
    finish(b, bind(b, APPEND, "sit", id, (int64_t)seq, delta));
    if (sqlite3_changes(b->db) != 1) die("%s: there is no such anchor", id);
    if (seq == 1) finish(b, bind(b, STREAM, "s", id));
    end(b);
}

static int64_t place_of(bare *b, const char *id, char *conversation, size_t size) {
    sqlite3_stmt *place = bind(b, PLACE, "s", id);
    if (!row(b, place)) die("%s: there is no such message", id);
    int64_t position = sqlite3_column_int64(place, 0);
    if (conversation != NULL) snprintf(conversation, size, "%s", (const char *)sqlite3_column_text(place, 1));
    reset(b, place);
    return position;
}

void bare_finish(bare *b, const char *id, const bare_message *m, long seq) {
    start(b);
    int64_t position = place_of(b, id, NULL, 0);
    finish(b, bind(b, FINAL, "iti", (int64_t)seq, m->content, position));
    if (seq > 0) finish(b, bind(b, DROP, "i", position));
    if (m->indexed) finish(b, bind(b, INDEX, "it", position, m->content));
    finish(b, bind(b, ATTEND, "ts", m->conversation, id));
    end(b);
}

void bare_rewrite(bare *b, const char *id, hf_text content) {
    start(b);
    finish(b, bind(b, REWRITE, "ts", content, id));
    end(b);
}

void bare_edit(bare *b, const char *id, hf_text content) {
    start(b);
    int64_t position = place_of(b, id, NULL, 0);
    finish(b, bind(b, REINDEX, "ti", content, position));
    finish(b, bind(b, EDIT, "ti", content, position));
    end(b);
}

void bare_update(bare *b, const char *id, hf_text updates) {
    start(b);
    finish(b, bind(b, UPDATE, "ts", updates, id));
    end(b);
}

void bare_delete(bare *b, const char *id) {
    char conversation[132];
    start(b);
    int64_t position = place_of(b, id, conversation, sizeof conversation);
    finish(b, bind(b, UNINDEX, "i", position));
    finish(b, bind(b, DELETE, "i", position));
    finish(b, bind(b, BURY, "iss", position, id, conversation));
    finish(b, bind(b, SHRINK, "s", conversation));
    finish(b, bind(b, UNSEE, "ssi", conversation, id, position));
    end(b);
}

void bare_abort(bare *b, const char *id, hf_text reason) {
    start(b);
    finish(b, bind(b, ABORT, "ts", reason, id));
    copy_rows(b, bind(b, GET, "s", id));
    copy_rows(b, bind(b, READ, "si", id, INT64_C(0)));
    end(b);
}

/* ---- Conversations ----------------------------------------------------------------------------- */

void bare_mark_seen(bare *b, hf_text conversation, const char *id) {
    start(b);
    sqlite3_stmt *time = bind(b, TIME, "st", id, conversation);
    if (!row(b, time)) die("%s: there is no such message", id);
    finish(b, bind(b, SEE, "sit", id, (int64_t)sqlite3_column_int64(time, 0), conversation));
    reset(b, time);
    copy_rows(b, bind(b, ATTENTION, "t", conversation));
    end(b);
}

void bare_create(bare *b, hf_text title) {
    char id[HF__UUID_SIZE + 1];
    int64_t now = mint(b, id);
    start(b);
    finish(b, bind(b, CREATE, "sti", id, title, now));
    end(b);
}

void bare_change(bare *b, hf_text conversation, hf_text title, hf_text updates) {
    start(b);
    finish(b, bind(b, CHANGE, "ttit", title, updates, rise(b, hf__now(NULL)), conversation));
    copy_rows(b, bind(b, GET_CONVERSATION, "t", conversation));
    end(b);
}

void bare_fork(bare *b, hf_text conversation, char fork[40]) {
    char id[HF__UUID_SIZE + 1], through[HF__UUID_SIZE + 1];
    int64_t now = mint(b, fork);
    start(b);
    sqlite3_stmt *newest = bind(b, NEWEST, "t", conversation);
    if (!row(b, newest)) die("there is no final message");
    snprintf(through, sizeof through, "%s", (const char *)sqlite3_column_text(newest, 1));
    reset(b, newest);
    finish(b, bind(b, FORK, "sist", fork, now, through, conversation));
    sqlite3_stmt *forked = bind(b, FORKED, "t", conversation);
    while (row(b, forked)) {
        hf_text role = column(forked, 2);
        now = mint(b, id);
        finish(b, bind(b, COPY, "ssttitt", id, fork, role, column(forked, 3), now, column(forked, 4),
                       column(forked, 1)));
        if (sqlite3_column_int(forked, 5))
            finish(b, bind(b, COPY_INDEX, "ii", (int64_t)sqlite3_last_insert_rowid(b->db),
                           (int64_t)sqlite3_column_int64(forked, 0)));
        if (is_assistant(role)) finish(b, bind(b, ATTEND, "ss", fork, id));
    }
    reset(b, forked);
    finish(b, bind(b, FILLED, "iss", now, id, fork));
    copy_rows(b, bind(b, GET_CONVERSATION, "s", fork));
    end(b);
}

void bare_delete_conversation(bare *b, const char *id) {
    start(b);
    if (copy_rows(b, bind(b, INDEXED, "s", id)) > 0) finish(b, bind(b, UNINDEX_ALL, "s", id));
    copy_rows(b, bind(b, HOLDS, "s", id));
    finish(b, bind(b, DELETE_CONVERSATION, "s", id));
    end(b);
}

/* ---- Reads ------------------------------------------------------------------------------------- */

int bare_get(bare *b, const char *id) {
    return copy_rows(b, bind(b, GET, "s", id));
}

int bare_list(bare *b, hf_text conversation, int limit) {
    return copy_rows(b, bind(b, LIST, "ti", conversation, (int64_t)limit + 1));
}

int bare_read(bare *b, const char *id, long after) {
    return copy_rows(b, bind(b, READ, "si", id, (int64_t)after));
}

int bare_search(bare *b, hf_text query, int limit) {
    return copy_rows(b, bind(b, SEARCH, "ti", query, (int64_t)limit));
}

int bare_conversation(bare *b, hf_text conversation) {
    return copy_rows(b, bind(b, GET_CONVERSATION, "t", conversation));
}

int bare_conversations(bare *b, int limit) {
    return copy_rows(b, bind(b, LIST_CONVERSATIONS, "i", (int64_t)limit + 1));
}
