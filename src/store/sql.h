/*
 * Every piece of SQL of this room. A statement has one entry in the list below, whose name indexes the
 * prepared statements of a store; parameters are bound, and columns read, in the order they are written in.
 */
#ifndef HF_STORE_SQL_H
#define HF_STORE_SQL_H

#define HF__APPLICATION_ID 0x48464453 /* "HFDS", at byte 68 of the file */
#define HF__SCHEMA_VERSION 2          /* user_version, at byte 60 */

/* Columns of the rows, in the order in which reads.c reads them. What a row was looked up by is known: a statement for one
 * message or conversation leaves out its id, a list the conversation's. */
#define HF__MESSAGE_REST "role, content, created_at, metadata, client_message_id"
#define HF__MESSAGE_COLUMNS "state, position, id, conversation_id, " HF__MESSAGE_REST
#define HF__MESSAGE_COLUMNS_OF_ID "state, position, conversation_id, " HF__MESSAGE_REST
#define HF__MESSAGE_COLUMNS_OF_CONVERSATION "state, position, id, " HF__MESSAGE_REST
#define HF__ATTENTION_COLUMNS "latest_assistant_message_id, latest_assistant_at, last_seen_message_id, unseen"
#define HF__CONVERSATION_COLUMNS_OF_ID                                   \
    "title, origin_channel, created_at, updated_at, last_message_at,"    \
    " metadata, " HF__ATTENTION_COLUMNS ", fork_parent_conversation_id," \
    " fork_parent_message_id"
#define HF__CONVERSATION_COLUMNS "id, " HF__CONVERSATION_COLUMNS_OF_ID

/* The creation time of the newest row of the store, 0 where there is none. */
#define HF__NEWEST                                                                       \
    "max(coalesce((SELECT created_at FROM messages ORDER BY position DESC LIMIT 1), 0)," \
    " coalesce((SELECT created_at FROM conversations ORDER BY position DESC LIMIT 1), 0))"

/* The position of the next message: behind those that were deleted, too, so that their places stay theirs, and behind
 * what somebody's own DELETE left in the search index. */
#define HF__NEXT_POSITION                                         \
    "1 + max(coalesce((SELECT max(position) FROM messages), 0),"  \
    " coalesce((SELECT max(position) FROM deleted_messages), 0)," \
    " coalesce((SELECT max(id) FROM search_content), 0))"

/* XX(name, text). An insert that may be a repeat names the keys by which it knows that: SQLite refuses to prepare it
 * where somebody dropped one, and nothing is doubled. */
#define HF__SQL_MAP(XX)                                                                                      \
    XX(BEGIN_READ, "BEGIN")                                                                                  \
    XX(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                       \
    XX(COMMIT, "COMMIT")                                                                                     \
    XX(ROLLBACK, "ROLLBACK")                                                                                 \
    XX(MARK, "SAVEPOINT mark")                                                                               \
    XX(RELEASE, "RELEASE mark")                                                                              \
    XX(UNDO, "ROLLBACK TO mark")                                                                             \
                                                                                                             \
    XX(NEWEST, "SELECT " HF__NEWEST)                                                                         \
    XX(NEXT_POSITION, "SELECT " HF__NEXT_POSITION)                                                           \
                                                                                                             \
    XX(STATS, "SELECT (SELECT count(*) FROM conversations), (SELECT count(*) FROM messages),"                \
              " (SELECT count(*) FROM messages WHERE owner IS NOT NULL AND state = 'reserved'),"             \
              " (SELECT count(*) FROM messages WHERE owner IS NOT NULL AND state = 'streaming'),"            \
              " (SELECT count(*) FROM search_docsize), (SELECT count(*) FROM deltas),"                       \
              " page_size, page_count, freelist_count, user_version"                                         \
              " FROM pragma_page_size, pragma_page_count, pragma_freelist_count, pragma_user_version")       \
                                                                                                             \
    XX(CONVERSATION, "SELECT " HF__CONVERSATION_COLUMNS_OF_ID " FROM conversations WHERE id = ?")            \
    XX(CONVERSATION_ATTENTION, "SELECT " HF__ATTENTION_COLUMNS " FROM conversations WHERE id = ?")           \
    XX(CONVERSATION_PLACE, "SELECT updated_at, position FROM conversations WHERE id = ?")                    \
    XX(CONVERSATION_GROWTH, "SELECT position, updated_at, origin_channel IS NULL, " HF__NEWEST               \
                            ", " HF__NEXT_POSITION " FROM conversations WHERE id = ?")                       \
    XX(CONVERSATION_ADD, "INSERT INTO conversations(id, title, origin_channel, created_at, updated_at,"      \
                         " metadata, fork_parent_conversation_id, fork_parent_message_id)"                   \
                         " VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(id) DO NOTHING")                       \
    XX(CONVERSATION_SET, "UPDATE conversations SET title = ?, origin_channel = ?, metadata = ?,"             \
                         " updated_at = ? WHERE id = ?")                                                     \
    XX(CONVERSATION_GROW, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1,"                  \
                          " origin_channel = coalesce(origin_channel, ?2) WHERE position = ?3")              \
    XX(CONVERSATION_ANSWER, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1,"                \
                            " origin_channel = coalesce(origin_channel, ?2), unseen = 1,"                    \
                            " latest_assistant_message_id = CASE WHEN coalesce(latest_assistant_at, 0) < ?5" \
                            " THEN ?4 ELSE latest_assistant_message_id END,"                                 \
                            " latest_assistant_at = max(coalesce(latest_assistant_at, 0), ?5)"               \
                            " WHERE position = ?3")                                                          \
    XX(CONVERSATION_FILLED, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1 WHERE id = ?2")  \
    XX(CONVERSATION_ATTEND, "UPDATE conversations SET unseen = 1,"                                           \
                            " latest_assistant_message_id = CASE WHEN coalesce(latest_assistant_at, 0) < ?2" \
                            " THEN ?1 ELSE latest_assistant_message_id END,"                                 \
                            " latest_assistant_at = max(coalesce(latest_assistant_at, 0), ?2)"               \
                            " WHERE id = ?3")                                                                \
    XX(CONVERSATION_SEEN, "UPDATE conversations SET last_seen_message_id = ?1, last_seen_at = ?2,"           \
                          " unseen = coalesce(latest_assistant_at, 0) > ?2 WHERE id = ?3")                   \
    XX(CONVERSATION_SHRINK, "UPDATE conversations SET last_message_at = (SELECT created_at FROM messages"    \
                            " WHERE conversation_id = ?1 ORDER BY position DESC LIMIT 1) WHERE id = ?1")     \
    XX(CONVERSATION_UNATTEND,                                                                                \
       "UPDATE conversations SET (latest_assistant_message_id, latest_assistant_at, unseen)"                 \
       " = (SELECT id, created_at, unseen AND created_at > coalesce(last_seen_at, 0)"                        \
       " FROM messages WHERE conversation_id = ?1"                                                           \
       " AND role = 'assistant' AND state = 'final'"                                                         \
       " ORDER BY position DESC LIMIT 1)"                                                                    \
       " WHERE id = ?1")                                                                                     \
    XX(CONVERSATION_UNSEE, "UPDATE conversations SET (last_seen_message_id, last_seen_at)"                   \
                           " = (SELECT id, created_at FROM messages WHERE conversation_id = ?1"              \
                           " AND position < ?2 ORDER BY position DESC LIMIT 1) WHERE id = ?1")               \
    XX(CONVERSATION_NEXT, "SELECT position, id FROM conversations WHERE position > ?"                        \
                          " ORDER BY position LIMIT 1")                                                      \
    XX(CONVERSATION_DELETE, "DELETE FROM conversations WHERE id = ?")                                        \
    XX(CONVERSATIONS, "SELECT " HF__CONVERSATION_COLUMNS " FROM conversations"                               \
                      " WHERE (updated_at, position) < (?, ?)"                                               \
                      " ORDER BY updated_at DESC, position DESC LIMIT ?")                                    \
                                                                                                             \
    XX(MESSAGE, "SELECT " HF__MESSAGE_COLUMNS_OF_ID " FROM messages WHERE id = ?")                           \
    XX(MESSAGE_OF_CLIENT, "SELECT " HF__MESSAGE_COLUMNS " FROM messages"                                     \
                          " WHERE conversation_id = ? AND client_message_id = ?")                            \
    XX(MESSAGE_PLACE, "SELECT m.position, conversation_id, state, latest_assistant_message_id IS m.id,"      \
                      " last_seen_message_id IS m.id, last_message_at IS NOT (SELECT created_at"             \
                      " FROM messages AS other WHERE other.conversation_id = m.conversation_id"              \
                      " AND other.position <> m.position ORDER BY other.position DESC LIMIT 1)"              \
                      " FROM messages AS m LEFT JOIN conversations AS c ON c.id = conversation_id"           \
                      " WHERE m.id = ?")                                                                     \
    XX(MESSAGE_METADATA, "SELECT position, owner, metadata FROM messages WHERE id = ?")                      \
    XX(MESSAGE_ADD, "INSERT INTO messages(" HF__MESSAGE_COLUMNS ", owner)"                                   \
                    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"                                                  \
                    " ON CONFLICT(id) DO NOTHING"                                                            \
                    " ON CONFLICT(conversation_id, client_message_id)"                                       \
                    " WHERE client_message_id IS NOT NULL DO NOTHING"                                        \
                    " ON CONFLICT DO NOTHING")                                                               \
    XX(MESSAGE_SET_METADATA, "UPDATE messages SET metadata = ? WHERE position = ?")                          \
    XX(MESSAGE_DELETE, "DELETE FROM messages WHERE position = ?")                                            \
    XX(MESSAGE_BURY, "INSERT OR REPLACE INTO deleted_messages(position, id, conversation_id)"                \
                     " SELECT ?1, ?2, id FROM conversations WHERE id = ?3")                                  \
    XX(MESSAGE_CURSOR, "SELECT position, state, created_at FROM messages"                                    \
                       " WHERE id = ?1 AND conversation_id = ?2")                                            \
    XX(MESSAGE_GRAVE, "SELECT position FROM deleted_messages WHERE id = ? AND conversation_id = ?")          \
    XX(MESSAGE_NEWEST_FINAL, "SELECT position, created_at, id FROM messages"                                 \
                             " WHERE conversation_id = ? AND state = 'final'"                                \
                             " ORDER BY position DESC LIMIT 1")                                              \
    XX(MESSAGE_NEXT_FINAL, "SELECT " HF__MESSAGE_COLUMNS ", position,"                                       \
                           " EXISTS (SELECT 1 FROM search WHERE search.rowid = position) FROM messages"      \
                           " WHERE conversation_id = ? AND position > ? AND position <= ?"                   \
                           " AND state = 'final' ORDER BY position LIMIT 1")                                 \
    XX(MESSAGES_COUNT, "SELECT count(*) FROM messages WHERE conversation_id = ?")                            \
    XX(MESSAGES_INDEXED, "SELECT id FROM messages WHERE conversation_id = ?"                                 \
                         " AND EXISTS (SELECT 1 FROM search WHERE search.rowid = position)"                  \
                         " ORDER BY position")                                                               \
    XX(MESSAGES_FORWARD, "SELECT " HF__MESSAGE_COLUMNS_OF_CONVERSATION " FROM messages"                      \
                         " WHERE conversation_id = ? AND position > ? AND position < ? ORDER BY position")   \
    XX(MESSAGES_BACKWARD, "SELECT " HF__MESSAGE_COLUMNS_OF_CONVERSATION " FROM messages"                     \
                          " WHERE conversation_id = ? AND position > ? AND position < ?"                     \
                          " ORDER BY position DESC")                                                         \
                                                                                                             \
    XX(ANCHOR, "SELECT position, state, owner FROM messages WHERE id = ?")                                   \
    XX(ANCHOR_READ, "SELECT position, state, last_seq FROM messages WHERE id = ?")                           \
    XX(ANCHOR_CONTENT, "SELECT position, state, conversation_id, role, created_at"                           \
                       " FROM messages WHERE id = ?")                                                        \
    XX(ANCHOR_STREAM, "UPDATE messages SET state = 'streaming' WHERE position = ?")                          \
    XX(ANCHOR_FINAL, "UPDATE messages SET state = 'final', owner = NULL, last_seq = ?, content = ?"          \
                     " WHERE position = ?")                                                                  \
    XX(ANCHOR_EDIT, "UPDATE messages SET content = ? WHERE position = ?")                                    \
    XX(ANCHOR_ABORT, "UPDATE messages SET state = 'aborted', owner = NULL, metadata = ?"                     \
                     " WHERE id = ?")                                                                        \
    XX(OWNERS, "SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL")                                \
    XX(OWNER_GONE, "UPDATE messages SET owner = NULL, state = CASE WHEN state IN"                            \
                   " ('reserved', 'streaming') THEN 'interrupted' ELSE state END WHERE owner = ?")           \
                                                                                                             \
    XX(DELTA_ADD, "INSERT INTO deltas(position, length, delta) VALUES(?, ?, ?)")                             \
    XX(DELTA_LAST, "SELECT position, length, delta FROM deltas WHERE position > ? AND position < ?"          \
                   " ORDER BY position DESC LIMIT 1")                                                        \
    XX(DELTAS, "SELECT position, delta FROM deltas WHERE position > ? AND position < ?"                      \
               " ORDER BY position")                                                                         \
    XX(DELTAS_DROP, "DELETE FROM deltas WHERE position > ? AND position < ?")                                \
                                                                                                             \
    XX(INDEX_ADD, "INSERT OR REPLACE INTO search(rowid, text) VALUES(?, ?)")                                 \
    XX(INDEX_FIND, "SELECT c0 FROM search_content WHERE id = ?")                                             \
    XX(INDEX_REMOVE, "DELETE FROM search WHERE rowid = ?")                                                   \
    XX(INDEX_REMOVE_ALL, "DELETE FROM search WHERE rowid IN"                                                 \
                         " (SELECT position FROM messages WHERE conversation_id = ?)")                       \
    XX(SEARCH, "SELECT " HF__MESSAGE_COLUMNS ", holdfast_snippet(search), -rank"                             \
               " FROM search CROSS JOIN messages ON position = search.rowid"                                 \
               " WHERE search MATCH ?1 AND state = 'final' AND (?2 IS NULL OR conversation_id = ?2)"         \
               " ORDER BY rank LIMIT ?3")

typedef enum hf__sql {
#define XX(name, text) HF__SQL_##name,
    HF__SQL_MAP(XX)
#undef XX
        HF__SQLS
} hf__sql;

/*
 * The schema of version 2. `position` is the order of insertion. The content stands last in its row, so
 * that reading what is before it never walks the overflow pages of a long one. The indexes serve lists, the
 * foreign key and repeats; messages_by_owner has anchors only. An index on conversations(updated_at) would
 * make each `add` write a page or two more, for the sake of listConversations alone.
 *
 * The states stand in comparisons, not in an IN: for that SQLite builds a table of its own at every insert, a quarter of
 * what an add takes.
 *
 * `deltas` is keyed by its message's position and its seq in one number (HF__DELTA_BITS), so that an append
 * goes to the end of a table that has no index, and writes one page. No foreign key fits that: a trigger
 * takes the deltas along with their message, also with one that somebody made final by hand: the next message of
 * its position must not begin with them.
 *
 * `search` keeps a copy of each text, under its message's position: an entry is then taken out as it was put
 * in, whatever became of the content, and any SQLite shell can ask it. An entry that somebody's own DELETE
 * left behind finds no message, and its position is given to none.
 */
#define HF__DELTA_BITS 24

#define HF__SCHEMA_CONVERSATIONS     \
    "CREATE TABLE conversations ("   \
    " position INTEGER PRIMARY KEY," \
    " id TEXT NOT NULL UNIQUE,"      \
    " title TEXT,"                   \
    " origin_channel TEXT,"          \
    " created_at INTEGER NOT NULL,"  \
    " updated_at INTEGER NOT NULL,"  \
    " last_message_at INTEGER,"      \
    " metadata TEXT"                 \
    ") STRICT;"

#define HF__SCHEMA_ATTENTION_AND_FORKS                                       \
    "ALTER TABLE conversations ADD COLUMN latest_assistant_message_id TEXT;" \
    "ALTER TABLE conversations ADD COLUMN latest_assistant_at INTEGER;"      \
    "ALTER TABLE conversations ADD COLUMN last_seen_message_id TEXT;"        \
    "ALTER TABLE conversations ADD COLUMN last_seen_at INTEGER;"             \
    "ALTER TABLE conversations ADD COLUMN unseen INTEGER;"                   \
    "ALTER TABLE conversations ADD COLUMN fork_parent_conversation_id TEXT;" \
    "ALTER TABLE conversations ADD COLUMN fork_parent_message_id TEXT;"

#define HF__SCHEMA_MESSAGES                                                                    \
    "CREATE TABLE messages ("                                                                  \
    " position INTEGER PRIMARY KEY,"                                                           \
    " id TEXT NOT NULL UNIQUE,"                                                                \
    " conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,"           \
    " role TEXT NOT NULL,"                                                                     \
    " created_at INTEGER NOT NULL,"                                                            \
    " state TEXT NOT NULL CHECK (state = 'final' OR state = 'reserved' OR state = 'streaming'" \
    " OR state = 'aborted' OR state = 'interrupted'),"                                         \
    " client_message_id TEXT,"                                                                 \
    " owner TEXT,"                                                                             \
    " last_seq INTEGER NOT NULL DEFAULT 0,"                                                    \
    " metadata TEXT,"                                                                          \
    " content TEXT NOT NULL"                                                                   \
    ") STRICT;"

#define HF__SCHEMA_MESSAGE_INDEXES                                                           \
    "CREATE INDEX messages_by_conversation ON messages(conversation_id);"                    \
    "CREATE UNIQUE INDEX messages_by_client ON messages(conversation_id, client_message_id)" \
    " WHERE client_message_id IS NOT NULL;"                                                  \
    "CREATE INDEX messages_by_owner ON messages(owner) WHERE owner IS NOT NULL;"

#define HF__SCHEMA_STREAMS                                                                           \
    "CREATE TABLE deltas ("                                                                          \
    " position INTEGER PRIMARY KEY,"                                                                 \
    " length INTEGER NOT NULL,"                                                                      \
    " delta TEXT NOT NULL"                                                                           \
    ") STRICT;"                                                                                      \
    "CREATE TRIGGER deltas_of_message AFTER DELETE ON messages BEGIN"                                \
    " DELETE FROM deltas WHERE position > old.position << 24 AND position < old.position + 1 << 24;" \
    " END;"                                                                                          \
    "CREATE TABLE deleted_messages ("                                                                \
    " position INTEGER PRIMARY KEY,"                                                                 \
    " id TEXT NOT NULL,"                                                                             \
    " conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE"                  \
    ") STRICT;"                                                                                      \
    "CREATE UNIQUE INDEX deleted_messages_by_id ON deleted_messages(conversation_id, id);"

#define HF__SCHEMA_SEARCHES "CREATE VIRTUAL TABLE search USING fts5(text);"

#define HF__SCHEMA_MARKS                  \
    "PRAGMA application_id = 0x48464453;" \
    "PRAGMA user_version = 2"

#define HF__SQL_CREATE                                                                                     \
    HF__SCHEMA_CONVERSATIONS HF__SCHEMA_ATTENTION_AND_FORKS HF__SCHEMA_MESSAGES HF__SCHEMA_MESSAGE_INDEXES \
        HF__SCHEMA_STREAMS HF__SCHEMA_SEARCHES HF__SCHEMA_MARKS

/* Version 1 knew no owners: an anchor in it has none that lives. */
#define HF__SQL_FROM_VERSION_1                                                                            \
    HF__SCHEMA_ATTENTION_AND_FORKS                                                                        \
    "DROP INDEX messages_by_conversation;"                                                                \
    "DROP INDEX messages_by_client;"                                                                      \
    "ALTER TABLE messages RENAME TO messages_of_version_1;" HF__SCHEMA_MESSAGES                           \
    "INSERT INTO messages(position, id, conversation_id, role, created_at, state, client_message_id,"     \
    " metadata, content)"                                                                                 \
    " SELECT position, id, conversation_id, role, created_at,"                                            \
    " CASE WHEN state = 'final' THEN state ELSE 'interrupted' END, client_message_id,"                    \
    " metadata, content"                                                                                  \
    " FROM messages_of_version_1;"                                                                        \
    "DROP TABLE messages_of_version_1;" HF__SCHEMA_MESSAGE_INDEXES HF__SCHEMA_STREAMS HF__SCHEMA_SEARCHES \
    "INSERT INTO search(rowid, text) SELECT position, holdfast_flat(content) FROM messages"               \
    " WHERE state = 'final' AND holdfast_flat(content) <> '';"                                            \
    "UPDATE conversations SET (latest_assistant_message_id, latest_assistant_at) ="                       \
    " (SELECT id, created_at FROM messages WHERE conversation_id = conversations.id"                      \
    " AND role = 'assistant' AND state = 'final' ORDER BY position DESC LIMIT 1);"                        \
    "UPDATE conversations SET unseen = 1 WHERE latest_assistant_at IS NOT NULL;" HF__SCHEMA_MARKS

#define HF__SQL_FORGET_SCHEMA \
    "PRAGMA writable_schema = RESET" /* and with it what virtual tables keep in memory */

/* What opening asks and sets; README.md says why. */
#define HF__SQL_CREATE_BEGIN "BEGIN IMMEDIATE"
#define HF__SQL_CREATE_COMMIT "COMMIT"
#define HF__SQL_CREATE_ROLLBACK "ROLLBACK"
#define HF__SQL_ASK_APPLICATION "PRAGMA application_id"
#define HF__SQL_ASK_VERSION "PRAGMA user_version"
#define HF__SQL_ASK_OBJECTS "SELECT count(*) FROM sqlite_schema"
#define HF__SQL_ASK_FTS5 "SELECT fts5(?)"
#define HF__SQL_WAL "PRAGMA journal_mode = WAL"
#define HF__SQL_SETTINGS                                                                \
    "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0;" \
    "PRAGMA journal_size_limit = 67108864" /* of HF__WAL_MOST frames, and some more */
#define HF__SQL_QUERY_ONLY "PRAGMA query_only = ON"
#define HF__SQL_DURABILITY_FULL "PRAGMA synchronous = FULL"
#define HF__SQL_DURABILITY_NORMAL "PRAGMA synchronous = NORMAL"

/* The checkpointer's connections; its reading transaction has to read, whatever it is. */
#define HF__SQL_CHECKPOINTER                                                                    \
    "PRAGMA mmap_size = 0; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA " \
    "schema_version"
#define HF__SQL_CHECKPOINTER_BEGIN "BEGIN; PRAGMA schema_version"

#endif
