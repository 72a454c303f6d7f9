/* A store to be damaged, and what the doctor says of it. */
#ifndef HF_TESTS_SUPPORT_DOCTOR_H
#define HF_TESTS_SUPPORT_DOCTOR_H

#include "support/store.h"

/* A store with a bit of everything, which is not open. */
static inline int make(void **state) {
    setup(state);
    fixture *f = *state;
    done(f, ADD("m1", "hello big world"));
    done(f, ADD("m2", "[{\"type\":\"text\",\"text\":\"hello small world\"}]"));
    done(f, ADD("m3", "a secret"), .skip_indexing = HF_YES);
    done(f, ADD("m4", "gone"));
    done(f, .op = "delete", .message_id = T("m4"));
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T("a1"));
    for (int i = 0; i < 3; i++)
        done(f, .op = "append", .message_id = T("a1"), .delta = T("\xc3\xa9t"));
    done(f, .op = "abort", .message_id = T("a1"));
    fixture_close(f);
    return 0;
}

static inline void by_someone(const fixture *f, const char *sql) {
    sqlite3 *db = NULL;
    char *message = NULL;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK) fail_msg("%s: %s", sql, message);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static inline hf_json examine(fixture *f, int repair) {
    hf_json report;
    if (hf_doctor_json(f->path, repair, &report, &f->err) != HF_OK) fail_msg("%s", f->err.message);
    assert_int_equal(strlen(report.data), report.size);
    return report;
}

static inline bool has(const char *report, const char *part) {
    return strstr(report, part) != NULL;
}

static inline void assert_has(const char *report, const char *part) {
    if (!has(report, part)) fail_msg("the report lacks %s: %s", part, report);
}

static inline void assert_well(fixture *f) {
    hf_json report = examine(f, 0);
    if (!has(report.data, "\"ok\":true}") || has(report.data, "\"warn\"") || has(report.data, "\"error\""))
        fail_msg("expected nothing to be wrong: %s", report.data);
    hf_json_free(&report);
}

#endif
