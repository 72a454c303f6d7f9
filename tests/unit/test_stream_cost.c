/* What a stream costs, in bytes that go to the WAL: counted, not timed. */
#define _POSIX_C_SOURCE 200809L

#include "support/fault_vfs.h"
#include "support/terminal.h"

enum { APPENDS = 2000, DELTA = 80, PAGE = 4096, FEW = 100 };

static int setup(void **state) {
    fixture *f = malloc(sizeof *f);
    fixture_start(f);
    f->host.limits.content = 1 << 24;
    fixture_open(f);
    fixture_sql(f, "PRAGMA wal_autocheckpoint = 0");
    done(f, .op = "createConversation", .conversation_id = T("c1"));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_end(*state);
    free(*state);
    return 0;
}

static void reserve(fixture *f, const char *id) {
    done(f, .op = "reserve", .conversation_id = T("c1"), .role = T("assistant"), .message_id = T(id));
}

/* The bytes of the next appends to that message. */
static long bytes_of(fixture *f, const char *id, int appends) {
    char delta[DELTA];
    memset(delta, 'x', sizeof delta);
    fault_vfs_wal_bytes();
    for (int i = 0; i < appends; i++)
        done(f, .op = "append", .message_id = T(id), .delta = {delta, sizeof delta});
    return fault_vfs_wal_bytes();
}

static void a_stream_writes_a_page_an_append_and_little_more(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    long bytes = bytes_of(f, "m1", APPENDS);
    assert_int_equal(f->result.length, APPENDS * DELTA);
    assert_true(bytes > APPENDS * PAGE); /* they are counted at all */
    print_message("%.2f pages an append\n", (double)bytes / PAGE / APPENDS);
    assert_true(bytes < 4L * APPENDS * DELTA + (long)APPENDS * PAGE);
}

static void the_last_appends_write_as_much_as_the_first(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    bytes_of(f, "m1", 1); /* which also says that it streams */
    long first = bytes_of(f, "m1", FEW);
    bytes_of(f, "m1", APPENDS);
    long last = bytes_of(f, "m1", FEW);
    print_message("%ld bytes by the first %d, %ld by the last\n", first, FEW, last);
    assert_true(last <= first + 4 * PAGE); /* where a leaf of the table is full, more than one page changes */
}

/* The earlier of two that grow at the same time does so in the middle of the table, where pages are split. */
static void streams_beside_each_other_write_less_than_two_pages_an_append(void **state) {
    fixture *f = *state;
    reserve(f, "m1");
    reserve(f, "m2");
    long bytes = 0;
    for (int i = 0; i < APPENDS / 2; i++)
        bytes += bytes_of(f, "m1", 1) + bytes_of(f, "m2", 1);
    print_message("%.2f pages an append\n", (double)bytes / PAGE / APPENDS);
    assert_true(bytes < 2L * APPENDS * PAGE);
}

static int install(void **state) {
    (void)state;
    fault_vfs_install();
    return 0;
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest rules[] = {
        RULE(a_stream_writes_a_page_an_append_and_little_more),
        RULE(the_last_appends_write_as_much_as_the_first),
        RULE(streams_beside_each_other_write_less_than_two_pages_an_append),
    };
    return cmocka_run_group_tests(rules, install, NULL);
}
