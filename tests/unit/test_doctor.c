/* The doctor: what it finds in stores that somebody damaged, what a repair makes of them, and that without one it
 * leaves no trace. */
#define _XOPEN_SOURCE 700

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/doctor.h"
#include "support/folder.h"

#define OWNER "01890a5d-ac96-774b-bcce-b302099a8057"

/* The doctor finds it, leaves it as it is, repairs it, and then finds nothing. */
static void assert_repaired(fixture *f, const char *check, const char *level, const char *found) {
    char part[200], mended[400];
    snprintf(part, sizeof part, "{\"check\":\"%s\",\"level\":\"%s\",\"message\":\"%s", check, level, found);
    for (int i = 0; i < 2; i++) {
        hf_json report = examine(f, 0);
        assert_has(report.data, part);
        assert_has(report.data, "],\"ok\":false}");
        assert_false(has(report.data, "\"repaired\""));
        hf_json_free(&report);
    }
    hf_json report = examine(f, 1);
    assert_has(report.data, part);
    const char *finding = strstr(report.data, part);
    snprintf(mended, sizeof mended, "%.*s", (int)(strchr(finding, '}') - finding), finding);
    assert_has(mended, ",\"repaired\":true");
    assert_has(report.data, "],\"ok\":true}");
    hf_json_free(&report);
    assert_well(f);
    fixture_open(f);
}

/* ---- A store that is well ---------------------------------------------------------------------- */

static void a_sound_store_is_well_and_left_as_it_was(void **state) {
    fixture *f = *state;
    uint64_t before = folder_hash(f->folder);
    assert_well(f);
    assert_true(folder_hash(f->folder) == before);
    hf_json report = examine(f, 0);
    assert_has(report.data,
               "{\"check\":\"version\",\"level\":\"ok\",\"message\":\"a store of schema version 2");
    assert_has(report.data, "{\"check\":\"unindexed\",\"level\":\"ok\",\"message\":\"1 final messages");
    hf_json_free(&report);
    report = examine(f, 1);
    assert_false(has(report.data, "repaired"));
    hf_json_free(&report);
    assert_true(folder_hash(f->folder) == before);
}

static void an_empty_store_is_well(void **state) {
    fixture *f = *state;
    fixture_start(f);
    fixture_open(f);
    fixture_close(f);
    assert_well(f);
}

static void a_store_in_use_is_looked_at_beside_its_users(void **state) {
    fixture *f = *state;
    fixture_open(f);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("a2"));
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    hf_json report = examine(f, 0); /* in the midst of a write */
    assert_has(report.data, "\"check\":\"anchors\",\"level\":\"ok\",\"message\":\"1 reserved or streaming");
    assert_has(report.data, "],\"ok\":true}");
    hf_json_free(&report);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    report = examine(f, 1); /* what lives is left alone */
    assert_has(report.data, "],\"ok\":true}");
    assert_false(has(report.data, "repaired"));
    hf_json_free(&report);
    done(f, .op = "append", .message_id = T("a2"), .delta = T("x"));
}

/* ---- What can be repaired ---------------------------------------------------------------------- */

static void messages_of_no_conversation_are_dropped_with_what_hangs_on_them(void **state) {
    fixture *f = *state;
    by_someone(f, "DELETE FROM conversations"); /* without foreign keys, as the shell has it */
    assert_repaired(f, "orphans", "error", "4 messages whose conversation is gone");
    assert_int_equal(messages_in(f), 0);
    assert_int_equal(fixture_ask(f, "SELECT (SELECT count(*) FROM deltas) + (SELECT count(*) FROM search)"
                                    " + (SELECT count(*) FROM deleted_messages)"),
                     0);
}

static void marks_of_no_conversation_are_dropped(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE deleted_messages SET conversation_id = 'c9'");
    assert_repaired(f, "orphanMarks", "warn", "1 marks");
}

static void settled_messages_lose_their_owner(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE messages SET owner = '" OWNER "' WHERE id = 'm1'");
    assert_repaired(f, "owners", "warn", "1 settled messages that still name an owner");
    assert_string_equal(content_of(f, "m1"), "hello big world");
    assert_int_equal(f->result.message->state, HF_STATE_FINAL);
}

static void deltas_of_final_and_of_no_messages_are_dropped(void **state) {
    fixture *f = *state;
    by_someone(f, "INSERT INTO deltas VALUES((99 << 24) + 1, 1, 'x');"
                  "INSERT INTO deltas SELECT (position << 24) + 1, 1, 'x' FROM messages WHERE id = 'm1'");
    assert_repaired(f, "deltas", "warn", "2 deltas of messages that are gone or final");
}

static void streams_with_gaps_are_numbered_anew(void **state) {
    fixture *f = *state;
    by_someone(f, "DELETE FROM deltas WHERE position & 16777215 = 2");
    hf_json report = examine(f, 0);
    assert_has(report.data,
               "{\"check\":\"messages\",\"level\":\"error\",\"message\":\"1 rows of messages cannot");
    hf_json_free(&report);
    assert_repaired(f, "streams", "error", "1 messages whose deltas have a gap or a wrong length");
    assert_string_equal(content_of(f, "a1"), "\xc3\xa9t\xc3\xa9t");
    const hf_result *read = done(f, .op = "read", .message_id = T("a1"));
    assert_int_equal(read->deltas_count, 2);
    assert_int_equal(read->seq, 2);
}

static void wrong_lengths_are_counted_anew(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE deltas SET length = length + 1 WHERE position & 16777215 = 3");
    assert_repaired(f, "streams", "error", "1 messages whose deltas");
    assert_string_equal(content_of(f, "a1"), "\xc3\xa9t\xc3\xa9t\xc3\xa9t");
}

static size_t hits_of(fixture *f, const char *query) {
    return done(f, .op = "search", .query = T(query))->hits_count;
}

static void entries_of_no_message_are_taken_out_of_the_index(void **state) {
    fixture *f = *state;
    by_someone(f, "DELETE FROM messages WHERE id = 'm1'");
    assert_repaired(f, "indexEntries", "warn", "1 entries of the search index whose message is gone");
    assert_int_equal(hits_of(f, "hello"), 1);
}

static void texts_that_were_edited_are_indexed_anew(void **state) {
    fixture *f = *state;
    by_someone(f,
               "UPDATE messages SET content = '[{\"type\":\"text\",\"text\":\"farewell\"}]' WHERE id = 'm1';"
               "UPDATE messages SET content = '[]' WHERE id = 'm2';"
               "UPDATE messages SET content = 'farewell' WHERE id = 'm3'");
    assert_repaired(f, "indexTexts", "error", "2 messages that the search index has with another text");
    assert_int_equal(hits_of(f, "hello"), 0);
    assert_int_equal(hits_of(f, "farewell"), 1); /* what was left out stays left out */
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM search"), 1);
}

static void a_damaged_index_is_built_anew(void **state) {
    static const char *const damages[] = {
        /* the index as it was, of texts that are others: another word, or the words of another message */
        ("UPDATE search_content SET c0 = replace(c0, 'big', 'old');"
         "UPDATE messages SET content = replace(content, 'big', 'old') WHERE state = 'final'"),
        ("UPDATE search_content SET c0 = CASE WHEN c0 LIKE '%old%' THEN 'hello small world' ELSE 'hello old "
         "world' END;"
         "UPDATE messages SET content = c0 FROM search_content AS s WHERE s.id = position"),
        "DELETE FROM search_docsize WHERE id = 1",
        "DELETE FROM search_data WHERE id > 10",
        "UPDATE search_data SET block = zeroblob(200) WHERE id > 10",
        "UPDATE search_data SET block = x'0102030405060708' WHERE id > 10",
        "UPDATE search_data SET block = x'0102' WHERE id = 1",
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        by_someone(f, damages[i]);
        assert_repaired(f, "index", "error", "the search index does not say what its entries do");
        assert_int_equal(hits_of(f, "hello world"), 2);
        assert_int_equal(hits_of(f, "secret"), 0);
        fixture_close(f);
    }
}

/* Of an index of many pages, those that say where a word is. */
static void an_index_that_does_not_find_its_words_is_built_anew(void **state) {
    fixture *f = *state;
    char content[40000] = "";
    for (size_t i = 0, size = 0; i < 4000; i++)
        size += (size_t)snprintf(content + size, sizeof content - size, "w%zu ", i * 7919 % 100000);
    fixture_open(f);
    done(f, ADD("m5", content));
    fixture_close(f);
    assert_well(f);
    by_someone(f, "DELETE FROM search_idx");
    assert_repaired(f, "index", "error", "the search index does not say what its entries do");
    assert_int_equal(hits_of(f, "w7919"), 1);
    assert_int_equal(hits_of(f, "w99996"), 0);
}

/* ---- Owners that died -------------------------------------------------------------------------- */

/* A process that reserves and streams, and is killed in the midst of it. */
static void die_while_streaming(fixture *f, const char *id) {
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f);
        done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id));
        done(f, .op = "append", .message_id = T(id), .delta = T("half a "));
        if (write(told[1], "x", 1) != 1) _exit(1);
        for (;;)
            pause();
    }
    char byte;
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(told[0]);
    close(told[1]);
}

static int entries(const char *folder) {
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static void anchors_of_the_dead_are_shown_and_settled_only_by_a_repair(void **state) {
    fixture *f = *state;
    die_while_streaming(f, "a2");
    hf_json report = examine(f, 0);
    assert_has(report.data,
               "{\"check\":\"deadOwners\",\"level\":\"warn\",\"message\":\"1 reserved or streaming "
               "messages whose owner died: opening the store makes them interrupted\","
               "\"count\":1,\"example\":\"a2\"}");
    assert_has(report.data, "{\"check\":\"ownerFiles\",\"level\":\"warn\",\"message\":\"1 files");
    hf_json_free(&report);
    assert_int_equal(fixture_ask(f, "SELECT count(*) FROM messages WHERE state = 'streaming'"), 1);
    report = examine(f, 1);
    assert_has(report.data,
               "whose owner died: made interrupted\",\"count\":1,\"example\":\"a2\",\"repaired\":true}");
    assert_has(report.data, "\"check\":\"interrupted\",\"level\":\"ok\",\"message\":\"1 interrupted");
    hf_json_free(&report);
    assert_int_equal(entries(f->folder), 1);
    assert_well(f);
    fixture_open(f);
    assert_string_equal(content_of(f, "a2"), "half a ");
    assert_int_equal(f->result.message->state, HF_STATE_INTERRUPTED);
}

static void a_wal_left_by_a_crash_is_not_put_into_the_file_by_looking(void **state) {
    fixture *f = *state;
    struct stat before, after;
    die_while_streaming(f, "a2");
    char wal[120];
    snprintf(wal, sizeof wal, "%s-wal", f->path);
    assert_int_equal(stat(wal, &before), 0);
    assert_true(before.st_size > 0);
    hf_json report = examine(f, 0);
    hf_json_free(&report);
    assert_int_equal(stat(wal, &after), 0);
    assert_true(after.st_size == before.st_size);
    report = examine(f, 1);
    assert_has(report.data, "the WAL was put into the file, and is empty");
    hf_json_free(&report);
    assert_int_equal(stat(wal, &after), -1);
}

static void anchors_that_name_no_owner_are_of_the_dead(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE messages SET state = 'reserved', owner = NULL WHERE id = 'a1'");
    assert_repaired(f, "deadOwners", "warn", "1 reserved or streaming messages whose owner died");
}

static void files_of_dead_owners_are_taken_away(void **state) {
    fixture *f = *state;
    char path[200];
    fixture_open(f);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("a2"));
    snprintf(path, sizeof path, "%s-owner-" OWNER, f->path);
    fclose(fopen(path, "w"));
    snprintf(path, sizeof path, "%s-owner-notes.txt", f->path); /* somebody else's */
    fclose(fopen(path, "w"));
    hf_json report = examine(f, 0);
    assert_has(report.data,
               "{\"check\":\"ownerFiles\",\"level\":\"warn\",\"message\":\"1 files of owners that died\"");
    hf_json_free(&report);
    report = examine(f, 1);
    assert_has(report.data, "\"1 files of owners that died: taken away\",\"count\":1,\"example\":\"" OWNER);
    hf_json_free(&report);
    done(f, .op = "append", .message_id = T("a2"), .delta = T("x"));
    fixture_close(f);
    assert_int_equal(entries(f->folder), 2);
}

/* ---- What cannot ------------------------------------------------------------------------------- */

/* Overwrites a part of the file. */
static void scribble(const fixture *f, long at, const char *bytes, size_t size) {
    FILE *file = fopen(f->path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void damage_is_told_and_never_repaired(void **state) {
    fixture *f = *state;
    int64_t page =
        fixture_ask(f, "SELECT rootpage FROM sqlite_schema WHERE name = 'messages_by_conversation'");
    scribble(f, (long)(page - 1) * 4096, "scribbled over", 14);
    uint64_t before = folder_hash(f->folder);
    for (int repair = 0; repair < 2; repair++) {
        hf_json report = examine(f, repair);
        assert_has(report.data, "{\"check\":\"integrity\",\"level\":\"error\",\"message\":\"");
        assert_has(report.data, "restore a backup");
        assert_has(report.data, "],\"ok\":false}");
        assert_false(has(report.data, "\"repaired\""));
        hf_json_free(&report);
        assert_true(folder_hash(f->folder) == before);
    }
}

static void nothing_is_repaired_in_a_file_that_is_damaged(void **state) {
    fixture *f = *state;
    by_someone(f, "PRAGMA ignore_check_constraints = ON; UPDATE messages SET state = 'odd' WHERE id = 'm1';"
                  "DELETE FROM conversations");
    hf_json report = examine(f, 1);
    assert_has(report.data, "CHECK constraint failed in messages");
    assert_has(report.data, "restore a backup");
    assert_has(report.data, "],\"ok\":false}");
    hf_json_free(&report);
    assert_int_equal(messages_in(f), 4);
}

static void the_stream_of_a_living_writer_is_not_touched(void **state) {
    fixture *f = *state;
    fixture_open(f);
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("a2"));
    for (int i = 0; i < 3; i++)
        done(f, .op = "append", .message_id = T("a2"), .delta = T("x"));
    by_someone(f, "DELETE FROM deltas WHERE position & 16777215 = 2"); /* of a1 as well */
    hf_json report = examine(f, 1);
    assert_has(report.data,
               "{\"check\":\"streams\",\"level\":\"error\",\"message\":\"2 messages whose deltas have a "
               "gap or a wrong length, of which 1 cannot be repaired now\",\"count\":1,\"example\":\"a2\"}");
    assert_has(report.data, "],\"ok\":false}");
    hf_json_free(&report);
    assert_int_equal(done(f, .op = "append", .message_id = T("a2"), .delta = T("x"), .seq = 4)->seq, 4);
}

static void rows_that_no_op_would_hand_out_are_told(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE messages SET metadata = 'none' WHERE id = 'm1';"
                  "UPDATE conversations SET metadata = '[]'");
    hf_json report = examine(f, 1);
    assert_has(report.data,
               "{\"check\":\"messages\",\"level\":\"error\",\"message\":\"1 rows of messages cannot be "
               "read: messages, id \\\"m1\\\": field \\\"metadata\\\"");
    assert_has(report.data, "\"count\":1,\"example\":\"m1\"}");
    assert_has(report.data, "{\"check\":\"conversations\",\"level\":\"error\"");
    assert_has(report.data, "],\"ok\":false}");
    hf_json_free(&report);
}

static void rows_of_other_tables_are_told(void **state) {
    fixture *f = *state;
    by_someone(f, "CREATE TABLE notes(message TEXT REFERENCES messages(id)); INSERT INTO notes VALUES('m9')");
    hf_json report = examine(f, 1);
    assert_has(report.data,
               "{\"check\":\"foreignKeys\",\"level\":\"warn\",\"message\":\"1 rows of other tables that "
               "refer to what is gone\",\"count\":1,\"example\":\"notes\"}");
    hf_json_free(&report);
}

static void tables_that_are_not_a_stores_are_told(void **state) {
    static const char *const damages[] = {
        "CREATE TABLE notes(message TEXT REFERENCES messages(role))", /* then SQLite deletes no message */
        "DROP TABLE notes; ALTER TABLE messages DROP COLUMN last_seq",
        "DROP TABLE search",
        "DROP TABLE deltas",
    };
    fixture *f = *state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        by_someone(f, damages[i]);
        hf_json report = examine(f, 1);
        assert_has(report.data, "{\"check\":\"tables\",\"level\":\"error\",\"message\":\"");
        assert_has(report.data, "],\"ok\":false}");
        hf_json_free(&report);
    }
}

static void an_older_store_is_told_and_left_so(void **state) {
    fixture *f = *state;
    by_someone(f, "PRAGMA user_version = 1");
    uint64_t before = folder_hash(f->folder);
    hf_json report = examine(f, 0);
    assert_has(report.data,
               "{\"check\":\"version\",\"level\":\"warn\",\"message\":\"the store is of schema version 1, "
               "this library's is 2");
    hf_json_free(&report);
    assert_true(folder_hash(f->folder) == before);
}

static void refused(fixture *f, int code, const char *part) {
    hf_json report = {(char *)"", 1};
    uint64_t before = folder_hash(f->folder);
    for (int repair = 0; repair < 2; repair++) {
        assert_code(hf_doctor_json(f->path, repair, &report, &f->err), code);
        assert_says(&f->err, part);
        assert_null(report.data);
        assert_true(folder_hash(f->folder) == before);
    }
}

static void what_is_no_store_is_refused_untouched(void **state) {
    fixture *f = *state;
    by_someone(f, "PRAGMA user_version = 3");
    refused(f, HF_CORRUPT, "schema version 3, this library knows 2");
    by_someone(f, "PRAGMA application_id = 7");
    refused(f, HF_CORRUPT, "not one of Holdfast");
    scribble(f, 0, "scribbled over", 14);
    refused(f, HF_CORRUPT, "not an SQLite database");
    assert_int_equal(truncate(f->path, 0), 0);
    refused(f, HF_CORRUPT, "there is no store in it");
    assert_int_equal(remove(f->path), 0);
    refused(f, HF_IO, f->path);
}

static void misuse_is_told(void **state) {
    fixture *f = *state;
    hf_json report;
    assert_code(hf_doctor_json(":memory:", 0, &report, &f->err), HF_MISUSE);
    assert_code(hf_doctor_json(NULL, 0, &report, &f->err), HF_MISUSE);
    assert_code(hf_doctor_json("", 0, &report, &f->err), HF_MISUSE);
    assert_code(hf_doctor_json(f->path, 0, NULL, &f->err), HF_MISUSE);
    assert_code(hf_doctor_json("", 0, &report, NULL), HF_MISUSE);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_is_well_and_left_as_it_was),
        TEST(an_empty_store_is_well),
        TEST(a_store_in_use_is_looked_at_beside_its_users),
        TEST(messages_of_no_conversation_are_dropped_with_what_hangs_on_them),
        TEST(marks_of_no_conversation_are_dropped),
        TEST(settled_messages_lose_their_owner),
        TEST(deltas_of_final_and_of_no_messages_are_dropped),
        TEST(streams_with_gaps_are_numbered_anew),
        TEST(wrong_lengths_are_counted_anew),
        TEST(entries_of_no_message_are_taken_out_of_the_index),
        TEST(texts_that_were_edited_are_indexed_anew),
        TEST(a_damaged_index_is_built_anew),
        TEST(an_index_that_does_not_find_its_words_is_built_anew),
        TEST(anchors_of_the_dead_are_shown_and_settled_only_by_a_repair),
        TEST(a_wal_left_by_a_crash_is_not_put_into_the_file_by_looking),
        TEST(anchors_that_name_no_owner_are_of_the_dead),
        TEST(files_of_dead_owners_are_taken_away),
        TEST(damage_is_told_and_never_repaired),
        TEST(nothing_is_repaired_in_a_file_that_is_damaged),
        TEST(the_stream_of_a_living_writer_is_not_touched),
        TEST(rows_that_no_op_would_hand_out_are_told),
        TEST(rows_of_other_tables_are_told),
        TEST(tables_that_are_not_a_stores_are_told),
        TEST(an_older_store_is_told_and_left_so),
        TEST(what_is_no_store_is_refused_untouched),
        TEST(misuse_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
