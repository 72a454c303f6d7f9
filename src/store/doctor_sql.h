/*
 * What the doctor asks of a store, and the SQL that repairs it, one entry for each check: a question that gives a count
 * and, where it can, the id of one of them.
 */
#ifndef HF_STORE_DOCTOR_SQL_H
#define HF_STORE_DOCTOR_SQL_H

#include "store/sql.h"

#define HF__OF_NO_CONVERSATION \
    "NOT EXISTS (SELECT 1 FROM conversations WHERE conversations.id = conversation_id)"

#define HF__DELTAS_ASTRAY                                       \
    "NOT EXISTS (SELECT 1 FROM messages WHERE state <> 'final'" \
    " AND messages.position = deltas.position >> 24)"

/* Each delta, with the seq and the length that it ought to have; and the messages where one has another. */
#define HF__STREAMS                                                     \
    "(SELECT position, delta, length, row_number() OVER stream AS seq," \
    " sum(length(CAST(delta AS BLOB))) OVER stream AS whole"            \
    " FROM deltas WINDOW stream AS (PARTITION BY position >> 24 ORDER BY position))"
#define HF__STREAMS_BROKEN \
    "(SELECT position >> 24 FROM " HF__STREAMS " WHERE position & 16777215 <> seq OR length <> whole)"

/* The entries of the index are looked at where FTS5 keeps them: that can be read though the index itself is damaged. */
#define HF__ENTRIES_ASTRAY \
    "NOT EXISTS (SELECT 1 FROM messages WHERE position = search_content.id AND state = 'final')"
#define HF__ENTRIES_STALE                                          \
    "search_content JOIN messages ON position = search_content.id" \
    " WHERE state = 'final' AND c0 IS NOT holdfast_flat(content)"

/* XX(check, level, what is counted, what the repair did to them, question, repair). NULL: it cannot be repaired. */
#define HF__DOCTOR_MAP(XX)                                                                                  \
    XX("orphans", ERROR, "messages whose conversation is gone", "deleted",                                  \
       "SELECT count(*), min(id) FROM messages WHERE " HF__OF_NO_CONVERSATION,                              \
       "DELETE FROM messages WHERE " HF__OF_NO_CONVERSATION)                                                \
    XX("orphanMarks", WARN, "marks of deleted messages whose conversation is gone", "deleted",              \
       "SELECT count(*), min(id) FROM deleted_messages WHERE " HF__OF_NO_CONVERSATION,                      \
       "DELETE FROM deleted_messages WHERE " HF__OF_NO_CONVERSATION)                                        \
    XX("foreignKeys", WARN, "rows of other tables that refer to what is gone", NULL,                        \
       "SELECT count(*), min(\"table\") FROM pragma_foreign_key_check"                                      \
       " WHERE \"table\" NOT IN ('messages', 'deleted_messages')",                                          \
       NULL)                                                                                                \
    XX("owners", WARN, "settled messages that still name an owner", "freed of it",                          \
       "SELECT count(*), min(id) FROM messages"                                                             \
       " WHERE owner IS NOT NULL AND state NOT IN ('reserved', 'streaming')",                               \
       "UPDATE messages SET owner = NULL"                                                                   \
       " WHERE owner IS NOT NULL AND state NOT IN ('reserved', 'streaming')")                               \
    XX("deltas", WARN, "deltas of messages that are gone or final", "deleted",                              \
       "SELECT count(*), NULL FROM deltas WHERE " HF__DELTAS_ASTRAY,                                        \
       "DELETE FROM deltas WHERE " HF__DELTAS_ASTRAY)                                                       \
    XX("streams", ERROR, "messages whose deltas have a gap or a wrong length",                              \
       "numbered anew, with the text that is there",                                                        \
       "SELECT count(*), min(id) FROM messages WHERE position IN " HF__STREAMS_BROKEN,                      \
       "CREATE TEMP TABLE mended AS"                                                                        \
       " SELECT (position >> 24 << 24) | seq AS position, whole AS length, delta FROM " HF__STREAMS         \
       " WHERE position >> 24 IN " HF__STREAMS_BROKEN                                                       \
       " AND position >> 24 IN (SELECT position FROM messages WHERE owner IS NULL);"                        \
       "DELETE FROM deltas WHERE position >> 24 IN (SELECT position >> 24 FROM temp.mended);"               \
       "INSERT INTO deltas(position, length, delta) SELECT position, length, delta FROM temp.mended;"       \
       "DROP TABLE temp.mended")                                                                            \
    XX("indexEntries", WARN, "entries of the search index whose message is gone or not final", "taken out", \
       "SELECT count(*), NULL FROM search_content WHERE " HF__ENTRIES_ASTRAY,                               \
       "DELETE FROM search WHERE rowid IN"                                                                  \
       " (SELECT id FROM search_content WHERE " HF__ENTRIES_ASTRAY ")")                                     \
    XX("indexTexts", ERROR, "messages that the search index has with another text", "indexed anew",         \
       "SELECT count(*), min(messages.id) FROM " HF__ENTRIES_STALE,                                         \
       "CREATE TEMP TABLE stale AS SELECT position, holdfast_flat(content) AS text"                         \
       " FROM " HF__ENTRIES_STALE ";"                                                                       \
       "DELETE FROM search WHERE rowid IN (SELECT position FROM temp.stale);"                               \
       "INSERT INTO search(rowid, text) SELECT position, text FROM temp.stale WHERE text <> '';"            \
       "DROP TABLE temp.stale")

#define HF__SQL_DOCTOR_BEGIN "BEGIN"
#define HF__SQL_DOCTOR_INTEGRITY "PRAGMA integrity_check"

/*
 * Whether the index says what is in its entries. FTS5's own check is an INSERT, and so not for a reader: instead an
 * index is made of the same texts, beside the store, and the two are read side by side. That goes through all of it, so
 * each word is also looked up, as a search would; the sizes and totals go into the order of the hits.
 */
#define HF__SQL_DOCTOR_FRESH                                                              \
    "CREATE VIRTUAL TABLE temp.fresh USING fts5(text, content = '');"                     \
    "INSERT INTO temp.fresh(rowid, text) SELECT id, c0 FROM main.search_content;"         \
    "CREATE VIRTUAL TABLE temp.words USING fts5vocab('main', 'search', 'instance');"      \
    "CREATE VIRTUAL TABLE temp.fresh_words USING fts5vocab('temp', 'fresh', 'instance');" \
    "CREATE VIRTUAL TABLE temp.fresh_terms USING fts5vocab('temp', 'fresh', 'row')"
#define HF__SQL_DOCTOR_FRESH_DROP            \
    "DROP TABLE IF EXISTS temp.fresh_terms;" \
    "DROP TABLE IF EXISTS temp.fresh_words;" \
    "DROP TABLE IF EXISTS temp.words;"       \
    "DROP TABLE IF EXISTS temp.fresh"
#define HF__SQL_DOCTOR_WORDS "SELECT term, doc, \"offset\" FROM temp.words"
#define HF__SQL_DOCTOR_FRESH_WORDS "SELECT term, doc, \"offset\" FROM temp.fresh_words"
#define HF__SQL_DOCTOR_LOOKUPS                                                                          \
    "SELECT (SELECT count(*) FROM temp.fresh_terms WHERE NOT EXISTS"                                    \
    " (SELECT 1 FROM temp.words WHERE words.term = fresh_terms.term))"                                  \
    " + (SELECT count(*) FROM (SELECT id, sz FROM temp.fresh_docsize EXCEPT SELECT id, sz FROM "        \
    "main.search_docsize))"                                                                             \
    " + ((SELECT count(*) FROM main.search_docsize) <> (SELECT count(*) FROM temp.fresh_docsize))"      \
    " + EXISTS (SELECT 1 FROM main.search_data AS a JOIN temp.fresh_data AS b ON a.id = 1 AND b.id = 1" \
    " WHERE a.block <> b.block AND EXISTS (SELECT 1 FROM main.search_content))"
#define HF__SQL_DOCTOR_REBUILD "INSERT INTO search(search) VALUES('rebuild')"
#define HF__SQL_DOCTOR_UNINDEXED                                                        \
    "SELECT count(*), NULL FROM messages WHERE state = 'final'"                         \
    " AND NOT EXISTS (SELECT 1 FROM search_content WHERE search_content.id = position)" \
    " AND holdfast_flat(content) <> ''"

#define HF__SQL_DOCTOR_ANCHORS                      \
    "SELECT owner, count(*), min(id) FROM messages" \
    " WHERE state IN ('reserved', 'streaming') GROUP BY owner"
#define HF__SQL_DOCTOR_SETTLE                                 \
    "UPDATE messages SET state = 'interrupted', owner = NULL" \
    " WHERE state IN ('reserved', 'streaming') AND owner IS ?1"
#define HF__SQL_DOCTOR_INTERRUPTED "SELECT count(*), min(id) FROM messages WHERE state = 'interrupted'"

#define HF__SQL_DOCTOR_MESSAGES "SELECT id FROM messages ORDER BY position"
#define HF__SQL_DOCTOR_CONVERSATIONS "SELECT id FROM conversations ORDER BY position"

#define HF__SQL_DOCTOR_CHECKPOINT "PRAGMA wal_checkpoint(TRUNCATE)"

#endif
