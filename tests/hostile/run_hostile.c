/*
 * Runs the hostile scripts beside it: each in a process of its own, in a store with small budgets, on a thread with
 * the least stack that a host may give. A script is contained if its op ends in time and memory with the error that
 * it should, names it, and leaves nothing behind: neither rows nor a damaged file nor a spent budget nor a change in
 * what other layers see.
 *
 *   run_hostile FOLDER [--trace|--explain] [SCRIPT…]
 *
 * With --trace the host listens to each op; with --explain the attacks are dry runs, of which nothing may be left. What
 * is told of a script that was contained: the memory, and the time that its slowest op took.
 *
 * The first line of a script says what it tries, the second what is expected:
 *
 *   -- expect: CODE… [load] [any] [then=CODE,CODE] [ms=N] [instructions=N] [memory=MIB] [config=JSON]
 *
 * One of the codes, "ok" among them, blanks being '_'; "load": already when it is used; "any": the error may name any
 * layer, where a neighbour handed on what this one made; "then": what the next op gives, through this layer (default
 * ok).
 */
#define _DEFAULT_SOURCE 1 /* scandir, mkdtemp */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "holdfast.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* The sanitizer is slow, keeps freed memory for a while, and its frames are large. */
enum {
    MOST_MS = SANITIZED ? 8000 : 2000,
    MOST_MIB = SANITIZED ? 1024 : 256,
    STACK = SANITIZED ? 16 << 20 : 1 << 20,
    LUA_MS = SANITIZED ? 500 : 250,
    MOST_LOGGED = 80 * 1024,
};

/* A layer on either side of the hostile one. It works with what a script may use, and sees whether somebody spoilt
 * it. */
static const char witness[] =
    "local function check(ok, what) if not ok then error {code = 'spoilt', message = what} end end\n"
    "return {ops = '*', handle = function(op, next, ctx)\n"
    "  check(('x'):rep(3) == 'xxx' and string.rep('y', 2) == 'yy', 'string.rep')\n"
    "  check(('a-b'):gsub('%-', '+') == 'a+b' and #table.concat({'a', 'b'}) == 2, 'text')\n"
    "  check(leaked == nil and _G.leaked == nil and string.leaked == nil and table.leaked == nil, "
    "'globals')\n"
    "  check(('x').leaked == nil and math.leaked == nil, 'libraries')\n"
    "  check(getmetatable('') == false and getmetatable(op) == nil, 'metatables')\n"
    "  check(require('holdfast').null ~= nil and require('holdfast').leaked == nil, 'stock modules')\n"
    "  check(next ~= nil and pcall(function() error 'x' end) == false, 'pcall')\n"
    "  local list = {}\n"
    "  for i = 1, 100 do list[i] = {i, tostring(i)} end\n"
    "  local result = next(op)\n"
    "  check(result.op == op.op or op.op == nil, 'result')\n"
    "  return result\n"
    "end}\n";

/* One below that works on copies. */
static const char copier[] =
    "return {ops = '*', onError = 'continue', handle = function(op, next) return next(op) end}\n";

typedef struct script {
    char path[512], name[64], codes[128], then[32], config[256];
    bool load, any, trace, explain;
    hf_options options;
} script;

/* ---- What goes wrong --------------------------------------------------------------------------- */

static const script *running;

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list arguments;
    char message[2048];
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    printf("not ok %s: %s\n", running->name, message);
    fflush(stdout);
    _exit(1);
}

/* The time that this process has worked: other people's load is no script's. */
static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A figure of this process's memory in MiB: "VmRSS:", "VmHWM:". */
static long memory_mib(const char *what) {
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, what, strlen(what)) == 0) kib = strtol(line + strlen(what), NULL, 10);
    if (file != NULL) fclose(file);
    return kib / 1024;
}

/* Whether `word` is one of those in `list`. */
static bool is_among(const char *list, const char *word) {
    size_t size = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += size)
        if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0')) return true;
    return false;
}

/* ---- The store --------------------------------------------------------------------------------- */

static size_t logged;
static int64_t slowest; /* ms */

static void take_log(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)data, (void)level, (void)layer;
    logged += strlen(message) + fields.size;
    for (const char *c = message; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20) fail("a control byte went to the log");
}

static void take_trace(void *data, hf_text record) {
    (void)data;
    if (record.size == 0) fail("an empty record of the trace");
}

static void use(hf_store *store, const char *name, const char *source) {
    hf_error err;
    if (hf_use_string(store, name, hf_text_of(source), (hf_text){NULL, 0}, &err) != HF_OK)
        fail("%s: %s", name, err.message);
}

/* The member of the error that ends an explanation; "" where it has none. */
static void read_member(hf_text error, const char *name, char *out, size_t size) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT json_extract(?1, '$.' || ?2)", -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 1, error.data, (int)error.size, SQLITE_STATIC) != SQLITE_OK ||
        sqlite3_bind_text(stmt, 2, name, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(stmt) != SQLITE_ROW)
        fail("the error of an explanation: %s", sqlite3_errmsg(db));
    const char *found = (const char *)sqlite3_column_text(stmt, 0);
    snprintf(out, size, "%s", found != NULL ? found : "");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

/* A dry run of the add, with the error that it would have had. */
static int explain(hf_store *store, const hf_op *op, hf_error *err) {
    static const char outcome[] = "\"outcome\":\"error\"", head[] = "],\"error\":{\"code\"";
    char json[256];
    hf_json told;
    snprintf(json, sizeof json,
             "{\"op\":\"add\",\"conversationId\":\"c1\",\"role\":\"user\",\"messageId\":\"%s\",\"content\":"
             "\"%s\"}",
             op->message_id.data, op->content.data);
    int rc = hf_explain_json(store, hf_text_of(json), &told, err);
    if (rc != HF_OK) return rc;
    const char *at = strstr(told.data, outcome), *end = told.data + told.size - 1;
    if (at != NULL && at - told.data < 64) {
        for (at = end - sizeof head; strncmp(at, head, sizeof head - 1) != 0; at--)
            if (at == told.data) fail("an explanation without its error");
        at += strlen("],\"error\":");
        hf_text error = {at, (size_t)(end - at)};
        read_member(error, "code", err->name, sizeof err->name);
        read_member(error, "layer", err->layer, sizeof err->layer);
        read_member(error, "message", err->message, sizeof err->message);
        rc = HF_LAYER;
    }
    hf_json_free(&told);
    return rc;
}

/* Notes what was begun then as done; it may have taken too long. */
static void note_time(const char *what, int64_t begun) {
    int64_t took = now_ms() - begun;
    if (took > slowest) slowest = took;
    if (took > MOST_MS) fail("%s took %lld ms", what, (long long)took);
}

/* Runs an op; the name of its code is in err->name. */
static void run(hf_store *store, hf_op op, hf_error *err) {
    memset(err, 0, sizeof *err);
    bool attack = op.content.data != NULL && strcmp(op.content.data, "attack") == 0;
    op.conversation_id = hf_text_of("c1");
    if (strcmp(op.op, "add") == 0) op.role = hf_text_of("user");
    if (strcmp(op.op, "update") == 0 || strcmp(op.op, "get") == 0) op.conversation_id = (hf_text){NULL, 0};
    int64_t begun = now_ms();
    logged = 0;
    int rc = running->explain && attack ? explain(store, &op, err) : hf_exec(store, &op, NULL, err);
    if (rc == HF_OK) snprintf(err->name, sizeof err->name, "ok");
    note_time(op.op, begun);
    if (logged > MOST_LOGGED) fail("%zu bytes went to the log", logged);
    for (const char *c = err->message; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20) fail("a control byte is in the message");
    for (char *c = err->name; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20) fail("a control byte is in the code");
        if (*c == ' ') *c = '_';
    }
}

static void expect_ok(hf_store *store, const char *when, hf_op op) {
    hf_error err;
    run(store, op, &err);
    if (strcmp(err.name, "ok") != 0)
        fail("%s: %s: layer \"%s\": %s\n%s", when, err.name, err.layer, err.message, err.traceback);
}

static hf_op add(const char *id, const char *content) {
    return (hf_op){.op = "add", .message_id = hf_text_of(id), .content = hf_text_of(content)};
}

static void ask_file(const char *path, const char *sql, char *answer, size_t size) {
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW)
        fail("%s: %s", sql, sqlite3_errmsg(db));
    snprintf(answer, size, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

static void check_error(const script *s, const char *when, const char *codes, const hf_error *err) {
    if (!is_among(codes, err->name))
        fail("%s: expected %s, found %s: layer \"%s\": %s\n%s", when, codes, err->name, err->layer,
             err->message, err->traceback);
    if (strcmp(err->name, "ok") == 0) return;
    if (s->any ? err->layer[0] == '\0' : strcmp(err->layer, s->name) != 0)
        fail("%s: the error names the layer \"%s\": %s: %s\n%s", when, err->layer, err->name, err->message,
             err->traceback);
}

static void *contain(void *data) {
    const script *s = data;
    char folder[] = "/tmp/holdfast-hostile-XXXXXX", path[64], answer[256];
    hf_store *store;
    hf_error err;
    if (mkdtemp(folder) == NULL) fail("no folder");
    snprintf(path, sizeof path, "%s/store.db", folder);
    if (hf_open(path, &s->options, &store, &err) != HF_OK) fail("open: %s", err.message);
    use(store, "witness-outer", witness);
    long base = memory_mib("VmRSS:");

    int64_t begun = now_ms();
    hf_text config = s->config[0] != '\0' ? hf_text_of(s->config) : (hf_text){NULL, 0};
    int rc = hf_use_file(store, s->path, config, &err);
    if (rc == HF_OK) snprintf(err.name, sizeof err.name, "ok");
    note_time("its loading", begun);
    check_error(s, "at load", s->load ? s->codes : "ok", &err);
    use(store, "witness-inner", witness);
    use(store, "copier", copier);

    expect_ok(store, "before", (hf_op){.op = "createConversation"});
    expect_ok(store, "before", add("m0", "calm"));
    bool stored = true;
    int expected = 1;
    if (!s->load) {
        run(store, add("m1", "attack"), &err);
        check_error(s, "the attack", s->codes, &err);
        stored = strcmp(err.name, "ok") == 0;
        if (stored && s->explain) expected--;
    }
    expect_ok(store, "an op without the layer",
              (hf_op){.op = "update", .message_id = hf_text_of("m0"), .updates = hf_text_of("{\"a\":1}")});
    run(store, add("m2", "calm"), &err);
    check_error(s, "the next op", s->then, &err);
    expected += (!s->load && stored) + (strcmp(err.name, "ok") == 0);
    if (!s->load && !stored) {
        run(store, add("m3", "attack"), &err);
        check_error(s, "the second attack", strcmp(s->then, "ok") == 0 ? s->codes : s->then, &err);
        expected += !s->explain && strcmp(err.name, "ok") == 0;
    }
    expect_ok(store, "in the end",
              (hf_op){.op = "update", .message_id = hf_text_of("m0"), .updates = hf_text_of("{\"b\":2}")});
    hf_close(store);
    long peak = memory_mib("VmHWM:");
    if (peak - base > MOST_MIB) fail("it took %ld MiB", peak - base);

    ask_file(path, "PRAGMA integrity_check", answer, sizeof answer);
    if (strcmp(answer, "ok") != 0) fail("integrity_check: %s", answer);
    ask_file(path, "SELECT count(*) FROM messages", answer, sizeof answer);
    if ((int)strtol(answer, NULL, 10) != expected)
        fail("%d messages were expected, found %s", expected, answer);
    printf("ok %s (%ld MiB, %lld ms)\n", s->name, peak - base, (long long)slowest);
    fflush(stdout);
    char command[80];
    snprintf(command, sizeof command, "rm -r %s", folder);
    if (system(command) != 0) fail("%s", command);
    _exit(0);
}

/* ---- The scripts ------------------------------------------------------------------------------- */

/* Reads the script's second line. */
static bool read_expectation(script *s) {
    char line[1024];
    FILE *file = fopen(s->path, "rb");
    bool good = file != NULL && fgets(line, sizeof line, file) != NULL && strncmp(line, "-- ", 3) == 0 &&
                fgets(line, sizeof line, file) != NULL && strncmp(line, "-- expect: ", 11) == 0;
    if (file != NULL) fclose(file);
    if (!good) return false;
    s->options = (hf_options){.size = sizeof s->options,
                              .durability = HF_DURABILITY_NORMAL,
                              .log = take_log,
                              .trace = s->trace ? take_trace : NULL,
                              .max_lua_ms = LUA_MS};
    snprintf(s->then, sizeof s->then, "ok");
    for (char *rest, *word = strtok_r(line + 11, " \n", &rest); word != NULL;
         word = strtok_r(NULL, " \n", &rest)) {
        char *value = strchr(word, '=');
        if (value != NULL) *value++ = '\0';
        if (value == NULL && strcmp(word, "load") == 0)
            s->load = true;
        else if (value == NULL && strcmp(word, "any") == 0)
            s->any = true;
        else if (value == NULL)
            snprintf(s->codes + strlen(s->codes), sizeof s->codes - strlen(s->codes), "%s ", word);
        else if (strcmp(word, "then") == 0)
            for (snprintf(s->then, sizeof s->then, "%s", value); (value = strchr(s->then, ',')) != NULL;)
                *value = ' ';
        else if (strcmp(word, "config") == 0)
            snprintf(s->config, sizeof s->config, "%s", value);
        else if (strcmp(word, "ms") == 0)
            s->options.max_lua_ms = strtol(value, NULL, 10);
        else if (strcmp(word, "instructions") == 0)
            s->options.max_lua_instructions = strtol(value, NULL, 10);
        else if (strcmp(word, "memory") == 0)
            s->options.max_lua_memory = (size_t)strtol(value, NULL, 10) << 20;
        else
            return false;
    }
    return s->codes[0] != '\0';
}

/* One try in a process of its own: 0 where the script was contained, 1 where it was not, 2 where the process died. */
static int try_script(script *s) {
    fflush(stdout);
    running = s;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, STACK);
        alarm(MOST_MS / 1000 * 10);
        if (pthread_create(&thread, &attributes, contain, s) != 0) fail("no thread");
        pthread_join(thread, NULL);
        _exit(1);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 2;
    if (WIFSIGNALED(status))
        printf("not ok %s: %s\n", s->name,
               WTERMSIG(status) == SIGALRM ? "it never ended" : strsignal(WTERMSIG(status)));
    return !WIFEXITED(status) ? 2 : WEXITSTATUS(status) == 0 ? 0 : 1;
}

/* Whether the script was contained. The budgets go by the wall clock, so that a busy machine can make a calm layer late:
 * what is the engine's fault shows in each of three tries. */
static bool run_script(script *s) {
    int result = 1;
    for (int tries = 0; tries < 3 && result == 1; tries++)
        result = try_script(s);
    running = NULL;
    return result == 0;
}

static int is_script(const struct dirent *entry) {
    size_t size = strlen(entry->d_name);
    return size > 4 && strcmp(entry->d_name + size - 4, ".lua") == 0;
}

int main(int count, char **arguments) {
    if (count < 2) return 2;
    struct dirent **files;
    int found = scandir(arguments[1], &files, is_script, alphasort), scripts = 0, failures = 0, first = 2;
    bool trace = count > 2 && strcmp(arguments[2], "--trace") == 0;
    bool explained = count > 2 && strcmp(arguments[2], "--explain") == 0;
    if (trace || explained) first++;
    for (int i = 0; i < found; i++) {
        script s = {.trace = trace, .explain = explained};
        snprintf(s.path, sizeof s.path, "%s/%s", arguments[1], files[i]->d_name);
        snprintf(s.name, sizeof s.name, "%.*s", (int)strlen(files[i]->d_name) - 4, files[i]->d_name);
        free(files[i]);
        for (char *c = s.name; *c != '\0'; c++)
            if (*c == '_') *c = '-';
        bool wanted = first == count;
        for (int j = first; j < count; j++)
            wanted = wanted || strcmp(arguments[j], s.name) == 0;
        if (!wanted) continue;
        scripts++;
        if (!read_expectation(&s)) {
            printf("not ok %s: its first lines do not say what it tries and what is expected\n", s.name);
            failures++;
        } else if (!run_script(&s)) {
            failures++;
        }
    }
    if (found >= 0) free(files);
    printf("%d of %d hostile scripts were contained\n", scripts - failures, scripts);
    return scripts > 0 && failures == 0 ? 0 : 1;
}
