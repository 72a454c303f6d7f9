/*
 * Every piece of SQL of this room. A statement has one entry in the list below, whose name indexes the
 * prepared statements of a store; parameters are bound, and columns read, in the order they are written in.
 */
#ifndef HF_STORE_SQL_H
#define HF_STORE_SQL_H

#define HF__APPLICATION_ID 0x48464453 /* "HFDS", at byte 68 of the file */
#define HF__SCHEMA_VERSION 1          /* user_version, at byte 60 */

/* Columns of the rows, in the order in which reads.c reads them. */
#define HF__MESSAGE_COLUMNS \
    "state, id, conversation_id, role, content, created_at, metadata, client_message_id"
#define HF__CONVERSATION_COLUMNS \
    "id, title, origin_channel, created_at, updated_at, last_message_at, metadata"

/* The creation time of the newest row of the store, 0 where there is none. */
#define HF__NEWEST                                                                       \
    "max(coalesce((SELECT created_at FROM messages ORDER BY position DESC LIMIT 1), 0)," \
    " coalesce((SELECT created_at FROM conversations ORDER BY position DESC LIMIT 1), 0))"

/* XX(name, text) */
#define HF__SQL_MAP(XX)                                                                                    \
    XX(BEGIN_READ, "BEGIN")                                                                                \
    XX(BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                     \
    XX(COMMIT, "COMMIT")                                                                                   \
    XX(ROLLBACK, "ROLLBACK")                                                                               \
    XX(MARK, "SAVEPOINT mark")                                                                             \
    XX(RELEASE, "RELEASE mark")                                                                            \
    XX(UNDO, "ROLLBACK TO mark")                                                                           \
                                                                                                           \
    XX(NEWEST, "SELECT " HF__NEWEST)                                                                       \
                                                                                                           \
    XX(CONVERSATION, "SELECT " HF__CONVERSATION_COLUMNS " FROM conversations WHERE id = ?")                \
    XX(CONVERSATION_PLACE, "SELECT updated_at, position FROM conversations WHERE id = ?")                  \
    XX(CONVERSATION_GROWTH, "SELECT position, updated_at, origin_channel IS NULL, " HF__NEWEST             \
                            " FROM conversations WHERE id = ?")                                            \
    XX(CONVERSATION_ADD, "INSERT INTO conversations(" HF__CONVERSATION_COLUMNS ")"                         \
                         " VALUES(?, ?, ?, ?, ?, ?, ?)")                                                   \
    XX(CONVERSATION_SET, "UPDATE conversations SET title = ?, origin_channel = ?, metadata = ?,"           \
                         " updated_at = ? WHERE id = ?")                                                   \
    XX(CONVERSATION_GROW, "UPDATE conversations SET updated_at = ?1, last_message_at = ?1,"                \
                          " origin_channel = coalesce(origin_channel, ?2) WHERE position = ?3")            \
    XX(CONVERSATION_SHRINK, "UPDATE conversations SET last_message_at = (SELECT created_at FROM messages"  \
                            " WHERE conversation_id = ?1 ORDER BY position DESC LIMIT 1) WHERE id = ?1")   \
    XX(CONVERSATION_DELETE, "DELETE FROM conversations WHERE id = ?")                                      \
    XX(CONVERSATIONS, "SELECT " HF__CONVERSATION_COLUMNS " FROM conversations"                             \
                      " WHERE (updated_at, position) < (?, ?)"                                             \
                      " ORDER BY updated_at DESC, position DESC LIMIT ?")                                  \
                                                                                                           \
    XX(MESSAGE, "SELECT " HF__MESSAGE_COLUMNS " FROM messages WHERE id = ?")                               \
    XX(MESSAGE_OF_CLIENT, "SELECT " HF__MESSAGE_COLUMNS " FROM messages"                                   \
                          " WHERE conversation_id = ? AND client_message_id = ?")                          \
    XX(MESSAGE_PLACE, "SELECT position, conversation_id FROM messages WHERE id = ?")                       \
    XX(MESSAGE_METADATA, "SELECT position, metadata FROM messages WHERE id = ?")                           \
    XX(MESSAGE_ADD, "INSERT INTO messages(" HF__MESSAGE_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?)")        \
    XX(MESSAGE_SET_CONTENT, "UPDATE messages SET content = ?, state = 'final' WHERE id = ?")               \
    XX(MESSAGE_SET_METADATA, "UPDATE messages SET metadata = ? WHERE position = ?")                        \
    XX(MESSAGE_DELETE, "DELETE FROM messages WHERE position = ?")                                          \
    XX(MESSAGE_CURSOR, "SELECT position FROM messages WHERE id = ? AND conversation_id = ?")               \
    XX(MESSAGES_COUNT, "SELECT count(*) FROM messages WHERE conversation_id = ?")                          \
    XX(MESSAGES_FORWARD, "SELECT " HF__MESSAGE_COLUMNS " FROM messages"                                    \
                         " WHERE conversation_id = ? AND position > ? AND position < ? ORDER BY position") \
    XX(MESSAGES_BACKWARD, "SELECT " HF__MESSAGE_COLUMNS " FROM messages"                                   \
                          " WHERE conversation_id = ? AND position > ? AND position < ?"                   \
                          " ORDER BY position DESC")

typedef enum hf__sql {
#define XX(name, text) HF__SQL_##name,
    HF__SQL_MAP(XX)
#undef XX
        HF__SQLS
} hf__sql;

/*
 * The schema of version 1. `position` is the order of insertion. The content stands last in its row, so
 * that reading what is before it never walks the overflow pages of a long one. Both indexes serve lists and
 * the foreign key; an index on conversations(updated_at) would make each `add` write a page or two more, for
 * the sake of listConversations alone.
 */
#define HF__SQL_CREATE                                                                                    \
    "CREATE TABLE conversations ("                                                                        \
    " position INTEGER PRIMARY KEY,"                                                                      \
    " id TEXT NOT NULL UNIQUE,"                                                                           \
    " title TEXT,"                                                                                        \
    " origin_channel TEXT,"                                                                               \
    " created_at INTEGER NOT NULL,"                                                                       \
    " updated_at INTEGER NOT NULL,"                                                                       \
    " last_message_at INTEGER,"                                                                           \
    " metadata TEXT"                                                                                      \
    ") STRICT;"                                                                                           \
    "CREATE TABLE messages ("                                                                             \
    " position INTEGER PRIMARY KEY,"                                                                      \
    " id TEXT NOT NULL UNIQUE,"                                                                           \
    " conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,"                      \
    " role TEXT NOT NULL,"                                                                                \
    " created_at INTEGER NOT NULL,"                                                                       \
    " state TEXT NOT NULL CHECK (state IN ('final', 'reserved', 'streaming', 'aborted', 'interrupted'))," \
    " client_message_id TEXT,"                                                                            \
    " metadata TEXT,"                                                                                     \
    " content TEXT NOT NULL"                                                                              \
    ") STRICT;"                                                                                           \
    "CREATE INDEX messages_by_conversation ON messages(conversation_id);"                                 \
    "CREATE UNIQUE INDEX messages_by_client ON messages(conversation_id, client_message_id)"              \
    " WHERE client_message_id IS NOT NULL;"                                                               \
    "PRAGMA application_id = 0x48464453;"                                                                 \
    "PRAGMA user_version = 1"

/* What opening asks and sets; README.md says why. */
#define HF__SQL_CREATE_BEGIN "BEGIN IMMEDIATE"
#define HF__SQL_CREATE_COMMIT "COMMIT"
#define HF__SQL_CREATE_ROLLBACK "ROLLBACK"
#define HF__SQL_ASK_APPLICATION "PRAGMA application_id"
#define HF__SQL_ASK_VERSION "PRAGMA user_version"
#define HF__SQL_ASK_OBJECTS "SELECT count(*) FROM sqlite_schema"
#define HF__SQL_WAL "PRAGMA journal_mode = WAL"
#define HF__SQL_SETTINGS "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0"
#define HF__SQL_DURABILITY_FULL "PRAGMA synchronous = FULL"
#define HF__SQL_DURABILITY_NORMAL "PRAGMA synchronous = NORMAL"

#endif
