/* The disk view: names of its folders, lines of its files, and what stands in their way. */
#define _XOPEN_SOURCE 700 /* mkdtemp, symlink */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/fault_alloc.h"
#include "view/text.h"
#include "view/view.h"

#define T(text) hf_text_of(text)
#define NOON INT64_C(1795341600000) /* 2026-11-22T10:00:00Z */
#define FOLDER "2026-11-22T10-00-00.000Z_"

#define assert_code(found, expected) assert_string_equal(hf_code_name(found), hf_code_name(expected))
#define assert_says(part)                                                                            \
    do {                                                                                             \
        if (strstr(err.message, part) == NULL) fail_msg("\"%s\" lacks \"%s\"", err.message, (part)); \
    } while (0)

static char base[64];     /* a folder that goes away with the test */
static char view_dir[96]; /* in it; not made yet */
static hf_error err;

static int make_base(void **state) {
    (void)state;
    snprintf(base, sizeof base, "/tmp/holdfast-view-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(view_dir, sizeof view_dir, "%s/view", base);
    memset(&err, 0, sizeof err);
    return 0;
}

static int remove_base(void **state) {
    (void)state;
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+rwx %s && rm -r %s", base, base);
    return system(command);
}

/* A path below the view; valid until the fourth next call. */
static const char *in_view(const char *path) {
    static char paths[4][512];
    static unsigned next;
    char *out = paths[next++ % 4];
    snprintf(out, sizeof paths[0], "%s/%s", view_dir, path);
    return out;
}

/* What is in a file; "" where there is none. Valid until the next call. */
static const char *contents(const char *path) {
    static char text[16384];
    FILE *file = fopen(in_view(path), "r");
    size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file != NULL) fclose(file);
    return text;
}

static void put(const char *path, const char *text) {
    FILE *file = fopen(in_view(path), "w");
    assert_non_null(file);
    assert_int_not_equal(fputs(text, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *path) {
    struct stat st;
    return lstat(in_view(path), &st) == 0;
}

static hf_conversation conversation_of(const char *id) {
    return (hf_conversation){.id = T(id), .created_at = NOON};
}

static hf_message message_of(const char *id, const char *content) {
    return (hf_message){
        .id = T(id), .role = T("user"), .content = T(content), .created_at = NOON, .state = HF_STATE_FINAL};
}

static int add(const char *conversation_id, const char *id, const char *content) {
    hf_conversation conversation = conversation_of(conversation_id);
    hf_message message = message_of(id, content);
    return hf__view_add(view_dir, &conversation, 0, &message, &err);
}

#define assert_added(call)                                              \
    do {                                                                \
        if ((call) != HF_OK) fail_msg("%s: %s", err.name, err.message); \
    } while (0)

/* ---- Names ---- */

static const char *name_of(hf_text id) {
    static char name[HF__VIEW_NAME];
    assert_code(hf__view_name(name, NOON, id, &err), HF_OK);
    assert_memory_equal(name, FOLDER, strlen(FOLDER));
    return name + strlen(FOLDER);
}

static void test_a_name_bears_time_and_id(void **state) {
    (void)state;
    char name[HF__VIEW_NAME];
    assert_code(hf__view_name(name, 1, T("c1"), &err), HF_OK);
    assert_string_equal(name, "1970-01-01T00-00-00.001Z_c1");
    assert_code(hf__view_name(name, INT64_C(1709251199999), T("Conv_2.x-y"), &err), HF_OK);
    assert_string_equal(name, "2024-02-29T23-59-59.999Z_Conv_2.x-y");
    assert_code(hf__view_name(name, INT64_MAX, T("c1"), &err), HF_OK);
    assert_string_equal(name, "292278994-08-17T07-12-55.807Z_c1");
}

static void test_a_hostile_id_is_made_safe(void **state) {
    (void)state;
    assert_string_equal(name_of(T(".")), "%2E");
    assert_string_equal(name_of(T("..")), "%2E.");
    assert_string_equal(name_of(T("a..")), "a..");
    assert_string_equal(name_of(T("/etc/passwd")), "%2Fetc%2Fpasswd");
    assert_string_equal(name_of(T("a b%20~")), "a%20b%2520%7E");
    assert_string_equal(name_of(T("\xC3\xA4\xE2\x82\xAC")), "%C3%A4%E2%82%AC");
    assert_string_equal(name_of(T("a\nb\x7F")), "a%0Ab%7F");
}

static void test_an_id_of_any_length_fits_a_file_name(void **state) {
    (void)state;
    char id[129] = "", twin[129] = "", name[HF__VIEW_NAME];
    memset(id, '/', 128);
    snprintf(name, sizeof name, "%s", name_of(T(id)));
    assert_true(strlen(FOLDER) + strlen(name) <= 255);
    assert_int_equal(name[0], '~');
    assert_int_equal(strspn(name + 1, "abcdefghijklmnopqrstuvwxyz234567"), 205);
    memcpy(twin, id, 128);
    twin[127] = '0';
    assert_string_not_equal(name, name_of(T(twin)));
    memset(id, 'a', 128);
    assert_string_equal(name_of(T(id)), id);
    for (size_t size = 1; size <= 128; size++) { /* at the longest time */
        memset(id, '/', size);
        assert_code(hf__view_name(name, INT64_MAX, (hf_text){id, size}, &err), HF_OK);
        assert_true(strlen(name) <= 255);
    }
}

static void test_base32_is_that_of_the_rfc(void **state) {
    (void)state;
    char id[129];
    memset(id, '/', 128);
    memcpy(id, "fooba", 5);
    assert_memory_equal(name_of((hf_text){id, 128}), "~mzxw6ytb", 9);
}

static void test_no_two_ids_share_a_name(void **state) {
    (void)state;
    static const char *const ids[] = {"a",  "A",  "%61",  "a%",  "a%25", "~a",
                                      "a~", ".a", "%2Ea", "a/b", "a_b",  "a%2Fb"};
    enum { COUNT = sizeof ids / sizeof *ids };
    char names[COUNT][HF__VIEW_NAME];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%s", name_of(T(ids[i])));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    }
}

static void test_what_is_no_id_has_no_name(void **state) {
    (void)state;
    char name[HF__VIEW_NAME], id[130];
    memset(id, 'a', sizeof id);
    assert_code(hf__view_name(name, NOON, T(""), &err), HF_INVALID);
    assert_code(hf__view_name(name, NOON, (hf_text){id, 129}, &err), HF_INVALID);
}

/* ---- Lines ---- */

static const char *line_of(const hf_message *message) {
    static char text[4096];
    hf__buf buf;
    hf__buf_init(&buf, 0);
    if (hf__view_write_line(&buf, message, &err) != HF_OK) fail_msg("%s", err.message);
    snprintf(text, sizeof text, "%s", buf.data);
    hf__buf_free(&buf);
    return text;
}

static void test_a_line_bears_what_there_is_in_order(void **state) {
    (void)state;
    hf_message message = {.id = T("m1"),
                          .conversation_id = T("c1"),
                          .role = T("assistant"),
                          .content =
                              T("[{\"type\":\"text\",\"text\":\"Look.\"},"
                                "{\"type\":\"tool_use\",\"id\":\"t1\",\"input\":{\"x\":1.50}},"
                                "{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",\n \"content\":\"ok\"}]"),
                          .created_at = NOON + 7,
                          .state = HF_STATE_FINAL,
                          .metadata = T("{\"b\":1.0,\r\n\"a\":\"x\\ny\"}"),
                          .client_message_id = T("k1")};
    assert_string_equal(
        line_of(&message),
        "{\"id\":\"m1\",\"role\":\"assistant\",\"ts\":\"2026-11-22T10:00:00.007Z\","
        "\"content\":\"Look.\","
        "\"toolCalls\":[{\"type\":\"tool_use\",\"id\":\"t1\",\"input\":{\"x\":1.50}}],"
        "\"toolResults\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\",  \"content\":\"ok\"}],"
        "\"metadata\":{\"b\":1.0,  \"a\":\"x\\ny\"}}\n");
}

static void test_what_is_empty_is_left_out(void **state) {
    (void)state;
    hf_message message = message_of("m1", "[]");
    message.metadata = T("{ }");
    assert_string_equal(line_of(&message),
                        "{\"id\":\"m1\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\"}\n");
}

static void test_plain_text_is_content_as_it_is(void **state) {
    (void)state;
    hf_message message = message_of("m1", "[1, 2\n\"x\"");
    assert_string_equal(line_of(&message),
                        "{\"id\":\"m1\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\","
                        "\"content\":\"[1, 2\\n\\\"x\\\"\"}\n");
}

static void test_an_imported_history_shows_its_tool_calls(void **state) {
    (void)state;
    hf_message message = message_of("m1", "[]");
    message.metadata = T("{\"chat\":{\"tool_calls\":[{\"id\":\"t1\"},{\"id\":\"t2\"}]}}");
    assert_string_equal(line_of(&message),
                        "{\"id\":\"m1\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\","
                        "\"toolCalls\":[{\"id\":\"t1\"},{\"id\":\"t2\"}],"
                        "\"metadata\":{\"chat\":{\"tool_calls\":[{\"id\":\"t1\"},{\"id\":\"t2\"}]}}}\n");
    message.content = T("[{\"type\":\"tool_use\",\"id\":\"t3\"}]");
    assert_non_null(strstr(line_of(&message), "\"toolCalls\":[{\"type\":\"tool_use\",\"id\":\"t3\"}],"));
}

static void test_any_json_makes_a_line(void **state) {
    (void)state;
    hf_message message =
        message_of("m1", " [{\"type\":\"image\"},{\"type\":\"tool_use\",\"type2\":1},{\"type\":\"text\"}]");
    message.metadata = T("{\"chat\":[1]}");
    assert_non_null(strstr(line_of(&message), ".000Z\",\"toolCalls\":[{\"type\":\"tool_use\",\"type2\":1}],"
                                              "\"metadata\":{\"chat\":[1]}}\n"));
    message.content = T("[{\"type\":\"tool_use\"},{\"type\":1}]"); /* no list of blocks */
    assert_non_null(strstr(line_of(&message), "\"content\":\"[{\\\"type\\\":\\\"tool_use\\\"},"));
    assert_null(strstr(line_of(&message), "toolCalls"));
    message.content = T("x");
    message.metadata = T("{\"chat\":{\"tool_calls\":{\"0\":1}}}");
    assert_null(strstr(line_of(&message), "toolCalls"));
}

/* ---- Files ---- */

static void test_lines_are_added_and_folders_made(void **state) {
    (void)state;
    struct stat st;
    assert_added(add("c1", "m1", "one"));
    assert_added(add("c1", "m2", "two"));
    assert_string_equal(
        contents(FOLDER "c1/messages.jsonl"),
        "{\"id\":\"m1\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\",\"content\":\"one\"}\n"
        "{\"id\":\"m2\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\",\"content\":\"two\"}\n");
    assert_string_equal(contents(FOLDER "c1/meta.json"), "{\"id\":\"c1\",\"createdAt\":1795341600000}\n");
    assert_int_equal(stat(view_dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_view(FOLDER "c1"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_view(FOLDER "c1/messages.jsonl"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(in_view(FOLDER "c1/meta.json"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_a_hostile_id_stays_inside_the_view(void **state) {
    (void)state;
    assert_added(add("../../c1", "m1", "one"));
    assert_true(is_there(FOLDER "%2E.%2F..%2Fc1/messages.jsonl"));
}

static void test_the_time_of_the_view_is_the_hosts_where_it_says_so(void **state) {
    (void)state;
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m1", "one");
    assert_added(hf__view_add(view_dir, &conversation, 1000, &message, &err));
    assert_string_equal(contents("1970-01-01T00-00-01.000Z_c1/meta.json"),
                        "{\"id\":\"c1\",\"createdAt\":1000}\n");
}

static void test_meta_follows_the_conversation(void **state) {
    (void)state;
    struct stat before, after;
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m1", "one");
    assert_added(add("c1", "m1", "one"));
    assert_int_equal(stat(in_view(FOLDER "c1/meta.json"), &before), 0);
    assert_added(add("c1", "m2", "two"));
    assert_int_equal(stat(in_view(FOLDER "c1/meta.json"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* nothing changed, nothing written */
    conversation.title = T("A \"title\"");
    conversation.origin_channel = T("mail");
    conversation.fork_parent_conversation_id = T("c0");
    conversation.fork_parent_message_id = T("m0");
    conversation.metadata = T("{\"a\":1,\n\"b\":2.50}");
    assert_added(hf__view_add(view_dir, &conversation, 0, &message, &err));
    assert_string_equal(contents(FOLDER "c1/meta.json"),
                        "{\"id\":\"c1\",\"title\":\"A \\\"title\\\"\",\"originChannel\":\"mail\","
                        "\"createdAt\":1795341600000,\"forkParentConversationId\":\"c0\","
                        "\"forkParentMessageId\":\"m0\",\"metadata\":{\"a\":1, \"b\":2.50}}\n");
    assert_false(is_there(FOLDER "c1/meta.json.new"));
}

static void test_a_broken_meta_is_mended(void **state) {
    (void)state;
    assert_added(add("c1", "m1", "one"));
    put(FOLDER "c1/meta.json", "{\"id\":");
    put(FOLDER "c1/meta.json.new", "left by a crash");
    assert_added(add("c1", "m2", "two"));
    assert_string_equal(contents(FOLDER "c1/meta.json"), "{\"id\":\"c1\",\"createdAt\":1795341600000}\n");
    assert_false(is_there(FOLDER "c1/meta.json.new"));
}

static void test_a_folder_of_another_conversation_is_left_alone(void **state) {
    (void)state;
    assert_added(add("c1", "m1", "one"));
    put(FOLDER "c1/meta.json",
        "{\"id\":\"C1\",\"createdAt\":1795341600000}\n"); /* on a disk that folds case */
    assert_code(add("c1", "m2", "two"), HF_CONFLICT);
    assert_says("belongs to the conversation \"C1\"");
    assert_null(strstr(contents(FOLDER "c1/messages.jsonl"), "two"));
}

static void test_a_line_after_half_a_line_begins_on_its_own(void **state) {
    (void)state;
    assert_added(add("c1", "m1", "one"));
    put(FOLDER "c1/messages.jsonl", "{\"id\":\"m0\",\"ro");
    assert_added(add("c1", "m2", "two"));
    assert_string_equal(
        contents(FOLDER "c1/messages.jsonl"),
        "{\"id\":\"m0\",\"ro\n"
        "{\"id\":\"m2\",\"role\":\"user\",\"ts\":\"2026-11-22T10:00:00.000Z\",\"content\":\"two\"}\n");
}

static void test_standard_descriptors_are_never_taken(void **state) {
    (void)state;
    int kept[3];
    bool before[10];
    hf__view_rebuild *rebuild = NULL;
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m1", "one");
    for (int fd = 3; fd < 10; fd++)
        before[fd] = fcntl(fd, F_GETFD) >= 0;
    for (int fd = 0; fd < 3; fd++) {
        kept[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 10);
        close(fd);
    }
    int code = hf__view_rebuild_open(view_dir, &rebuild, &err); /* holds view, folder and file open */
    if (code == HF_OK) code = hf__view_rebuild_begin(rebuild, &conversation, &err);
    if (code == HF_OK) code = hf__view_rebuild_line(rebuild, &message, &err);
    bool taken = fcntl(0, F_GETFD) >= 0 || fcntl(1, F_GETFD) >= 0 || fcntl(2, F_GETFD) >= 0;
    bool inherited = false;
    for (int fd = 3; fd < 10; fd++)
        inherited = inherited || (!before[fd] && fcntl(fd, F_GETFD) == 0);
    for (int fd = 0; fd < 3; fd++) {
        if (kept[fd] < 0) continue;
        dup2(kept[fd], fd);
        close(kept[fd]);
    }
    hf__view_rebuild_close(rebuild);
    assert_code(code, HF_OK);
    assert_false(taken);
    assert_false(inherited);
}

static void test_no_descriptor_is_inherited(void **state) {
    (void)state;
    hf__view_rebuild *rebuild;
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m1", "one");
    int first = dup(0), opened = 0;
    close(first);
    assert_added(hf__view_rebuild_open(view_dir, &rebuild, &err));
    assert_added(hf__view_rebuild_begin(rebuild, &conversation, &err));
    assert_added(hf__view_rebuild_line(rebuild, &message, &err));
    for (int fd = first; fcntl(fd, F_GETFD) >= 0; fd++, opened++)
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    hf__view_rebuild_close(rebuild);
    assert_true(opened >= 3); /* view, folder and file */
}

static void test_no_descriptor_is_left_open(void **state) {
    (void)state;
    int before = dup(0);
    close(before);
    assert_added(add("c1", "m1", "one"));
    put(FOLDER "c1/meta.json", "{\"id\":\"C1\",\"createdAt\":1795341600000}\n");
    assert_code(add("c1", "m2", "two"), HF_CONFLICT);
    assert_int_equal(rename(in_view(FOLDER "c1"), in_view("x")), 0);
    put(FOLDER "c1", "");
    assert_code(add("c1", "m2", "two"), HF_IO);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
}

/* ---- What stands in the way ---- */

static void test_a_view_folder_that_is_a_file_is_an_error(void **state) {
    (void)state;
    FILE *file = fopen(view_dir, "w");
    assert_non_null(file);
    fclose(file);
    assert_code(add("c1", "m1", "one"), HF_IO);
    assert_says(view_dir);
    assert_says("Not a directory");
}

static void test_nothing_is_made_above_the_view(void **state) {
    (void)state;
    snprintf(view_dir, sizeof view_dir, "%s/a/b", base);
    assert_code(add("c1", "m1", "one"), HF_IO);
    assert_says("No such file");
}

static void test_a_read_only_view_is_an_error(void **state) {
    (void)state;
    assert_int_equal(mkdir(view_dir, 0755), 0);
    assert_int_equal(chmod(view_dir, 0555), 0);
    assert_int_equal(chmod(base, 0755), 0);
    bool root = geteuid() == 0;
    if (root) assert_int_equal(seteuid(65534), 0); /* nothing is read-only for root */
    int code = add("c1", "m1", "one");
    if (root) assert_int_equal(seteuid(0), 0);
    assert_code(code, HF_READONLY);
    assert_says("Permission denied");
    assert_says(FOLDER "c1");
}

static void test_a_planted_symlink_is_not_followed(void **state) {
    (void)state;
    char elsewhere[96];
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", base);
    assert_int_equal(mkdir(elsewhere, 0700), 0);
    assert_int_equal(mkdir(view_dir, 0700), 0);
    assert_int_equal(symlink("../elsewhere", in_view(FOLDER "c1")), 0);
    assert_int_not_equal(add("c1", "m1", "one"), HF_OK);
    assert_int_equal(rmdir(elsewhere), 0); /* still empty */

    assert_added(add("c2", "m1", "one"));
    assert_int_equal(unlink(in_view(FOLDER "c2/messages.jsonl")), 0);
    put("victim", "");
    assert_int_equal(symlink("../victim", in_view(FOLDER "c2/messages.jsonl")), 0);
    assert_code(add("c2", "m2", "two"), HF_IO);
    assert_says(FOLDER "c2/messages.jsonl");
    assert_string_equal(contents("victim"), "");

    /* meta.json takes the place of whatever bears its name. */
    assert_int_equal(unlink(in_view(FOLDER "c2/messages.jsonl")), 0);
    assert_int_equal(unlink(in_view(FOLDER "c2/meta.json")), 0);
    assert_int_equal(symlink("../victim", in_view(FOLDER "c2/meta.json")), 0);
    assert_int_equal(symlink("../victim", in_view(FOLDER "c2/meta.json.new")), 0);
    assert_added(add("c2", "m2", "two"));
    assert_string_equal(contents("victim"), "");
    assert_string_equal(contents(FOLDER "c2/meta.json"), "{\"id\":\"c2\",\"createdAt\":1795341600000}\n");
}

static void test_a_fifo_does_not_hold_it_up(void **state) {
    (void)state;
    assert_added(add("c1", "m1", "one"));
    assert_int_equal(unlink(in_view(FOLDER "c1/messages.jsonl")), 0);
    assert_int_equal(mkfifo(in_view(FOLDER "c1/messages.jsonl"), 0600), 0);
    assert_code(add("c1", "m2", "two"), HF_IO);
    assert_int_equal(unlink(in_view(FOLDER "c1/meta.json")), 0);
    assert_int_equal(mkfifo(in_view(FOLDER "c1/meta.json"), 0600), 0);
    assert_int_equal(unlink(in_view(FOLDER "c1/messages.jsonl")), 0);
    assert_added(add("c1", "m2", "two"));
}

static void test_a_write_that_comes_short_leaves_no_part_of_a_line(void **state) {
    (void)state;
    struct rlimit before, small = {0};
    char first[512], text[256];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_added(add("c1", "m1", "one"));
    snprintf(first, sizeof first, "%s", contents(FOLDER "c1/messages.jsonl"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    small.rlim_cur = strlen(first) + 100; /* in the middle of the second line */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = add("c1", "m2", text);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_code(code, HF_FULL);
    assert_says("messages.jsonl");
    assert_string_equal(contents(FOLDER "c1/messages.jsonl"), first);
    assert_added(add("c1", "m2", "two"));
    assert_non_null(strstr(contents(FOLDER "c1/messages.jsonl"), "one\"}\n{\"id\":\"m2\""));
}

static void test_a_meta_that_comes_short_leaves_the_old_one(void **state) {
    (void)state;
    struct rlimit before, small = {0};
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m2", "two");
    conversation.title = T("longer");
    assert_added(add("c1", "m1", "one"));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    small.rlim_cur = 20;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    int code = hf__view_add(view_dir, &conversation, 0, &message, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_code(code, HF_FULL);
    assert_string_equal(contents(FOLDER "c1/meta.json"), "{\"id\":\"c1\",\"createdAt\":1795341600000}\n");
    assert_false(is_there(FOLDER "c1/meta.json.new"));
}

static void test_a_folder_that_stays_locked_is_busy(void **state) {
    (void)state;
    assert_added(add("c1", "m1", "one"));
    int fd = open(in_view(FOLDER "c1"), O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_SH), 0); /* whoever adds wants it alone */
    int code = add("c1", "m2", "two");
    close(fd);
    assert_code(code, HF_BUSY);
    assert_added(add("c1", "m2", "two"));
}

static void test_want_of_memory_leaves_no_part_of_a_line(void **state) {
    (void)state;
    const char *blocks = "[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"tool_use\"}]";
    assert_int_equal(mkdir(view_dir, 0700), 0);
    fault_alloc_cover_cjson();
    for (long nth = 1;; nth++) {
        assert_true(nth < 1000);
        fault_alloc_plan(nth);
        int code = add("c1", "m1", blocks);
        if (!fault_alloc_happened()) {
            assert_code(code, HF_OK);
            break;
        }
        assert_code(code, HF_MEMORY);
        assert_string_equal(contents(FOLDER "c1/messages.jsonl"), "");
    }
}

/* ---- Writing it anew ---- */

typedef struct lines {
    hf_conversation conversation;
    hf_message messages[4];
    size_t count;
} lines;

static int rebuild(const lines *all, size_t count, int64_t *written) {
    hf__view_rebuild *rebuild;
    int code = hf__view_rebuild_open(view_dir, &rebuild, &err);
    for (size_t i = 0; i < count && code == HF_OK; i++) {
        code = hf__view_rebuild_begin(rebuild, &all[i].conversation, &err);
        for (size_t k = 0; k < all[i].count && code == HF_OK; k++)
            code = hf__view_rebuild_line(rebuild, &all[i].messages[k], &err);
        if (code == HF_OK) code = hf__view_rebuild_end(rebuild, &err);
    }
    if (code == HF_OK) code = hf__view_rebuild_finish(rebuild, &err);
    if (code == HF_OK) *written = hf__view_rebuild_count(rebuild);
    hf__view_rebuild_close(rebuild);
    return code;
}

#define LINES(id, ...)                                                    \
    {                                                                     \
        .conversation = conversation_of(id), .messages = {__VA_ARGS__},   \
        .count = sizeof((hf_message[]){__VA_ARGS__}) / sizeof(hf_message) \
    }

static void test_a_view_written_anew_is_what_adds_wrote(void **state) {
    (void)state;
    int64_t written = 0;
    char file[4096], meta[512];
    const lines all[] = {LINES("c1", message_of("m1", "one"), message_of("m2", "two")),
                         LINES("/", message_of("m3", "three"))};
    assert_added(add("c1", "m1", "one"));
    assert_added(add("c1", "m2", "two"));
    assert_added(add("/", "m3", "three"));
    snprintf(file, sizeof file, "%s", contents(FOLDER "c1/messages.jsonl"));
    snprintf(meta, sizeof meta, "%s", contents(FOLDER "c1/meta.json"));
    put(FOLDER "c1/messages.jsonl", "torn");
    put(FOLDER "c1/meta.json", "{}");
    assert_int_equal(unlink(in_view(FOLDER "%2F/messages.jsonl")), 0);
    assert_added(rebuild(all, 2, &written));
    assert_int_equal(written, 2);
    assert_string_equal(contents(FOLDER "c1/messages.jsonl"), file);
    assert_string_equal(contents(FOLDER "c1/meta.json"), meta);
    assert_non_null(strstr(contents(FOLDER "%2F/messages.jsonl"), "three"));
    assert_false(is_there(FOLDER "c1/messages.jsonl.new"));
}

static void test_a_view_is_made_where_there_is_none(void **state) {
    (void)state;
    int64_t written = 0;
    const lines all[] = {LINES("c1", message_of("m1", "one"))};
    assert_added(rebuild(all, 1, &written));
    assert_int_equal(written, 1);
    assert_non_null(strstr(contents(FOLDER "c1/messages.jsonl"), "one"));
}

static void test_what_is_gone_is_removed_and_what_is_strange_stays(void **state) {
    (void)state;
    int64_t written = 0;
    const lines all[] = {LINES("c2", message_of("m2", "two")), {.conversation = conversation_of("c3")}};
    assert_added(add("c1", "m1", "one"));
    assert_added(add("c3", "m3", "three"));
    assert_added(add("c4", "m4", "four"));
    assert_added(add("c6", "m6", "six"));
    put(FOLDER "c4/notes.txt", "mine");
    put("notes.txt", "mine");
    assert_int_equal(mkdir(in_view("photos"), 0700), 0);
    assert_int_equal(mkdir(in_view(FOLDER "c5"), 0700), 0);
    put(FOLDER "c5/meta.json", "{\"id\":\"c5\"}");
    assert_int_equal(mkdir(in_view("copy"), 0700), 0);
    put("copy/meta.json", "{\"id\":\"c2\",\"createdAt\":1000}\n");
    assert_int_equal(symlink(base, in_view("link")), 0);
    assert_int_equal(rename(in_view(FOLDER "c1"), in_view("away")), 0);
    assert_int_equal(symlink("away", in_view(FOLDER "c1")), 0);
    assert_added(rebuild(all, 2, &written));
    assert_int_equal(written, 1);
    assert_true(is_there(FOLDER "c1")); /* it is the view's no more */
    assert_true(is_there("away/messages.jsonl"));
    assert_true(is_there(FOLDER "c2/messages.jsonl"));
    assert_false(is_there("1970-01-01T00-00-01.000Z_c2"));
    assert_false(is_there(FOLDER "c6"));
    assert_false(is_there(FOLDER "c3")); /* no final message is left in it */
    assert_false(is_there(FOLDER "c4/messages.jsonl"));
    assert_false(is_there(FOLDER "c4/meta.json"));
    assert_string_equal(contents(FOLDER "c4/notes.txt"), "mine");
    assert_true(is_there("notes.txt"));
    assert_true(is_there("photos"));
    assert_true(is_there(FOLDER "c5/meta.json"));
    assert_true(is_there("copy/meta.json"));
    assert_true(is_there("link"));
}

static void test_a_conversation_keeps_its_time_in_the_view(void **state) {
    (void)state;
    int64_t written = 0;
    hf_message message = message_of("m1", "one");
    const lines all[] = {LINES("c1", message_of("m1", "one"))};
    assert_added(hf__view_add(view_dir, &all[0].conversation, 2000, &message, &err));
    assert_added(hf__view_add(view_dir, &all[0].conversation, 1000, &message, &err));
    assert_added(rebuild(all, 1, &written));
    assert_non_null(strstr(contents("1970-01-01T00-00-01.000Z_c1/messages.jsonl"), "one"));
    assert_string_equal(contents("1970-01-01T00-00-01.000Z_c1/meta.json"),
                        "{\"id\":\"c1\",\"createdAt\":1000}\n");
    assert_false(is_there("1970-01-01T00-00-02.000Z_c1"));
    assert_false(is_there(FOLDER "c1"));
    assert_added(add("c1", "m1", "one")); /* the stored time wins where it is there */
    assert_added(rebuild(all, 1, &written));
    assert_true(is_there(FOLDER "c1/messages.jsonl"));
    assert_false(is_there("1970-01-01T00-00-01.000Z_c1"));
}

static void test_many_folders_are_told_apart(void **state) {
    (void)state;
    enum { COUNT = 150 };
    int64_t written = 0;
    static lines all[COUNT];
    static char ids[COUNT][24];
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(ids[i], sizeof ids[i], "c%zu", i * 7 % COUNT);
        all[i] = (lines)LINES(ids[i], message_of("m1", "one"));
        assert_added(add(ids[i], "m1", "gone"));
    }
    assert_added(rebuild(all, COUNT / 2, &written));
    assert_int_equal(written, COUNT / 2);
    for (size_t i = 0; i < COUNT; i++) {
        char path[128] = FOLDER;
        strcat(strcat(path, ids[i]), "/messages.jsonl");
        if (i < COUNT / 2)
            assert_non_null(strstr(contents(path), "one"));
        else
            assert_false(is_there(path));
    }
}

static void test_a_long_conversation_is_written_piece_by_piece(void **state) {
    (void)state;
    struct stat st;
    hf__view_rebuild *rebuild;
    hf_conversation conversation = conversation_of("c1");
    static char text[10001];
    memset(text, 'x', sizeof text - 1);
    hf_message message = message_of("m1", text);
    assert_added(hf__view_rebuild_open(view_dir, &rebuild, &err));
    assert_added(hf__view_rebuild_begin(rebuild, &conversation, &err));
    for (int i = 0; i < 100; i++)
        assert_added(hf__view_rebuild_line(rebuild, &message, &err));
    assert_false(is_there(FOLDER "c1/messages.jsonl")); /* until it is whole */
    assert_added(hf__view_rebuild_end(rebuild, &err));
    hf__view_rebuild_close(rebuild);
    assert_int_equal(stat(in_view(FOLDER "c1/messages.jsonl"), &st), 0);
    assert_int_equal(
        st.st_size,
        100 * (10000 + strlen("{'id':'m1','role':'user','ts':'2026-11-22T10:00:00.000Z','content':''}\n")));
}

static void test_a_rebuild_that_breaks_off_leaves_the_old_file(void **state) {
    (void)state;
    hf__view_rebuild *rebuild;
    hf_conversation conversation = conversation_of("c1");
    hf_message message = message_of("m2", "two");
    assert_added(add("c1", "m1", "one"));
    assert_added(hf__view_rebuild_open(view_dir, &rebuild, &err));
    assert_added(hf__view_rebuild_begin(rebuild, &conversation, &err));
    assert_added(hf__view_rebuild_line(rebuild, &message, &err));
    hf__view_rebuild_close(rebuild);
    assert_non_null(strstr(contents(FOLDER "c1/messages.jsonl"), "one"));
    assert_false(is_there(FOLDER "c1/messages.jsonl.new"));
}

static void test_a_rebuild_does_not_follow_a_symlink(void **state) {
    (void)state;
    int64_t written = 0;
    const lines all[] = {LINES("c1", message_of("m1", "one"))};
    assert_added(add("c1", "m1", "one"));
    assert_int_equal(unlink(in_view(FOLDER "c1/messages.jsonl")), 0);
    put("victim", "");
    assert_int_equal(symlink("../victim", in_view(FOLDER "c1/messages.jsonl")), 0);
    assert_added(rebuild(all, 1, &written));
    assert_string_equal(contents("victim"), "");
    assert_non_null(strstr(contents(FOLDER "c1/messages.jsonl"), "one"));
}

static void test_want_of_memory_ends_a_rebuild_cleanly(void **state) {
    (void)state;
    int64_t written = 0;
    const lines all[] = {LINES("c1", message_of("m1", "one"))};
    assert_added(add("c1", "m1", "old"));
    assert_added(add("c2", "m1", "old"));
    fault_alloc_cover_cjson();
    for (long nth = 1;; nth++) {
        assert_true(nth < 1000);
        fault_alloc_plan(nth);
        int code = rebuild(all, 1, &written);
        if (!fault_alloc_happened()) {
            assert_code(code, HF_OK);
            break;
        }
        if (code == HF_OK) continue; /* the C library coped */
        assert_true(code == HF_MEMORY);
        assert_false(is_there(FOLDER "c1/messages.jsonl.new"));
        assert_int_not_equal(contents(FOLDER "c1/messages.jsonl")[0], '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_name_bears_time_and_id, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_hostile_id_is_made_safe, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_an_id_of_any_length_fits_a_file_name, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_base32_is_that_of_the_rfc, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_no_two_ids_share_a_name, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_what_is_no_id_has_no_name, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_line_bears_what_there_is_in_order, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_what_is_empty_is_left_out, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_plain_text_is_content_as_it_is, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_an_imported_history_shows_its_tool_calls, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_any_json_makes_a_line, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_lines_are_added_and_folders_made, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_hostile_id_stays_inside_the_view, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_the_time_of_the_view_is_the_hosts_where_it_says_so, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_meta_follows_the_conversation, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_broken_meta_is_mended, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_folder_of_another_conversation_is_left_alone, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_line_after_half_a_line_begins_on_its_own, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_standard_descriptors_are_never_taken, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_inherited, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_no_descriptor_is_left_open, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_view_folder_that_is_a_file_is_an_error, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_nothing_is_made_above_the_view, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_read_only_view_is_an_error, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_planted_symlink_is_not_followed, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_fifo_does_not_hold_it_up, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_write_that_comes_short_leaves_no_part_of_a_line, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_meta_that_comes_short_leaves_the_old_one, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_folder_that_stays_locked_is_busy, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_want_of_memory_leaves_no_part_of_a_line, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_view_written_anew_is_what_adds_wrote, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_view_is_made_where_there_is_none, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_what_is_gone_is_removed_and_what_is_strange_stays, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_conversation_keeps_its_time_in_the_view, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_many_folders_are_told_apart, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_a_long_conversation_is_written_piece_by_piece, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_rebuild_that_breaks_off_leaves_the_old_file, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(test_a_rebuild_does_not_follow_a_symlink, make_base, remove_base),
        cmocka_unit_test_setup_teardown(test_want_of_memory_ends_a_rebuild_cleanly, make_base, remove_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
