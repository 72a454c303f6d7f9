/* The doctor on a disk, and with a memory, that fails at every point in turn: a repair is done or undone as a whole. */
#define _XOPEN_SOURCE 700

#include "support/doctor.h"
#include "support/fault_alloc.h"
#include "support/fault_vfs.h"

/* ---- Memory ------------------------------------------------------------------------------------ */

static void memory_that_runs_out_leaves_the_store_as_it_was_or_repaired(void **state) {
    fixture *f = *state;
    by_someone(f, "UPDATE messages SET content = 'farewell' WHERE id = 'm1'; DELETE FROM search_docsize");
    int failures = 0;
    for (int at = 1;; at++) {
        hf_json report = {0};
        fault_alloc_plan(at);
        int code = hf_doctor_json(f->path, at % 2, &report, &f->err);
        bool reached = fault_alloc_happened();
        hf_json_free(&report);
        if (code != HF_OK) {
            failures++;
            assert_code(code, HF_MEMORY);
        }
        if (!reached) break;
    }
    assert_true(failures > 0);
    hf_json report = examine(f, 1);
    assert_has(report.data, "],\"ok\":true}");
    hf_json_free(&report);
    assert_well(f);
}

/* ---- The disk ---------------------------------------------------------------------------------- */

static void copy_store(const fixture *f, const char *from, const char *to) {
    char command[300];
    snprintf(command, sizeof command, "cd %s && rm -f %s-wal %s-shm && cp %s %s", f->folder, to, to, from,
             to);
    assert_int_equal(system(command), 0);
}

/* One repair, during which the disk fails once; whether it did. Afterwards all is as before, or repaired. */
static bool fail_once(fixture *f, fault_kind kind, int rc, long nth) {
    hf_json report = {0};
    copy_store(f, "damaged.db", "store.db");
    fault_vfs_plan(kind, rc, nth, 1);
    int code = hf_doctor_json(f->path, 1, &report, &f->err);
    bool reached = fault_vfs_failed() > 0;
    bool repaired = code == HF_OK && has(report.data, "],\"ok\":true}");
    if (code != HF_OK && code != HF_IO && code != HF_FULL && code != HF_BUSY && code != HF_UNKNOWN)
        fail_msg("%s: %s", f->err.name, f->err.message);
    hf_json_free(&report);
    report = examine(f, 0);
    assert_has(report.data, "SQLite finds no damage");
    if (repaired) assert_has(report.data, "],\"ok\":true}");
    hf_json_free(&report);
    report = examine(f, 1);
    assert_has(report.data, "],\"ok\":true}");
    hf_json_free(&report);
    assert_well(f);
    return reached;
}

static void a_disk_that_fails_leaves_the_store_as_it_was_or_repaired(void **state) {
    static const struct {
        fault_kind kind;
        int rc;
    } faults[] = {
        {FAULT_READ, SQLITE_IOERR_READ},
        {FAULT_WRITE, SQLITE_IOERR_WRITE},
        {FAULT_WRITE, SQLITE_FULL},
        {FAULT_SYNC, SQLITE_IOERR_FSYNC},
        {FAULT_LOCK, SQLITE_BUSY},
        {FAULT_LOCK, SQLITE_IOERR_LOCK},
        {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE},
    };
    fixture *f = *state;
    by_someone(f, "UPDATE messages SET content = 'farewell' WHERE id = 'm1'; DELETE FROM search_docsize;"
                  "DELETE FROM deltas WHERE position & 16777215 = 2");
    copy_store(f, "store.db", "damaged.db");
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        long nth = 1;
        while (fail_once(f, faults[i].kind, faults[i].rc, nth))
            nth++;
        assert_true(nth > 1);
    }
}

int main(void) {
    fault_vfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_that_runs_out_leaves_the_store_as_it_was_or_repaired, make,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_leaves_the_store_as_it_was_or_repaired, make,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
