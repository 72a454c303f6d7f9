/*
 * What ops cost by the size of the store: of 10 to 1,000,000 messages, all of them indexed. Half are in one
 * conversation, the others in many; messages are picked at random. The stores are filled once, by batches, and shared
 * by all cases: first Holdfast works on them, then SQLite alone. Last, a process of its own opens each, and tells how
 * long that took and how much memory it holds.
 */
#define _XOPEN_SOURCE 700

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/bench.h"

enum { BATCH = 1000, FOUND = 5, MANY = 100, PAGE = 20, GETS = 100, SIZES = 6, BASE = 3, ACTIVE = 32 };

static const hf_text bench = {"bench", 5};

/* A store that cases share. Of each ten messages, number 3 is there to be deleted. */
typedef struct place {
    const char *name;
    size_t rows, added, deleted;
    char path[160];
    hf_store *store; /* or */
    bare *bare;
    unsigned short seed[3];
} place;

static place places[SIZES] = {
    {.name = "10", .rows = 10},     {.name = "100", .rows = 100},     {.name = "1k", .rows = 1000},
    {.name = "10k", .rows = 10000}, {.name = "100k", .rows = 100000}, {.name = "1m", .rows = 1000000},
};

/* ---- Messages ---------------------------------------------------------------------------------- */

static size_t any(place *p, size_t below) {
    return (size_t)(erand48(p->seed) * (double)below);
}

static void make_id(char id[40], size_t number) {
    put(id, 40, "0191c2a4-0000-7000-8000-%012zu", number);
}

/* One message in two is in the same conversation. */
static void make_conversation(char id[40], size_t number) {
    if (number % 2 == 0)
        put(id, 40, "bench");
    else
        put(id, 40, "conversation-%zu", number / 200);
}

/* About 200 bytes: words, some frequent and some not, and `first`. */
static void make_text(place *p, char *out, size_t size, const char *first) {
    static const char *const words[] = {"the", "tool", "returned", "three", "files", "and", "one", "looks"};
    size_t at = strlen(first);
    put(out, size, "%s", first);
    while (at < 192) {
        char rare[16];
        const char *word = words[any(p, 8)];
        if (any(p, 3) == 0) {
            put(rare, sizeof rare, "w%zu", any(p, 20000));
            word = rare;
        }
        size_t length = strlen(word);
        out[at++] = ' ';
        memcpy(out + at, word, length + 1);
        at += length;
    }
}

/* FOUND messages have a word of their own, one in MANY has another. */
static const char *first_word(const place *p, size_t number) {
    size_t part = p->rows / FOUND;
    if (number % part == part / 2) return "quokka";
    return number % MANY == 1 ? "wombat" : "answer";
}

typedef struct row {
    char id[40], conversation[40], content[224];
} row;

static hf_op make_row(place *p, row *r) {
    size_t number = p->added++;
    make_id(r->id, number);
    make_conversation(r->conversation, number);
    make_text(p, r->content, sizeof r->content, number < p->rows ? first_word(p, number) : "answer");
    return (hf_op){.op = "add",
                   .conversation_id = hf_text_of(r->conversation),
                   .role = hf_text_of("user"),
                   .message_id = hf_text_of(r->id),
                   .content = hf_text_of(r->content)};
}

static void exec(place *p, const hf_op *op, size_t hits) {
    hf_result result = {0};
    hf_error err;
    if (hf_exec(p->store, op, &result, &err) != HF_OK) die("%s rows: %s: %s", p->name, op->op, err.message);
    if (result.hits_count != hits) die("%s rows: %zu hits, not %zu", p->name, result.hits_count, hits);
    hf_result_free(&result);
}

static void fill(place *p) {
    row *rows = allocate(BATCH, sizeof *rows);
    hf_op *ops = allocate(2 * BATCH, sizeof *ops);
    exec(p, &(hf_op){.op = "createConversation", .conversation_id = bench}, 0);
    while (p->added < p->rows) {
        size_t count = 0;
        for (size_t i = 0; i < BATCH && p->added < p->rows; i++) {
            bool opens = p->added % 200 == 1 || p->added == 1;
            hf_op add = make_row(p, &rows[i]);
            if (opens)
                ops[count++] = (hf_op){.op = "createConversation", .conversation_id = add.conversation_id};
            ops[count++] = add;
        }
        exec(p, &(hf_op){.op = "batch", .ops = ops, .ops_count = count}, 0);
    }
    free(ops);
    free(rows);
}

/* ---- Places ------------------------------------------------------------------------------------ */

static void leave(place *p) {
    hf_close(p->store);
    bare_close(p->bare);
    p->store = NULL;
    p->bare = NULL;
}

/* The subject's store, filled where it is not there yet. */
static place *reach(const bench_case *is) {
    place *p = &places[is->place];
    if (p->path[0] == '\0') {
        double begun = now_ns();
        if (bench_small && p->rows > 1000) p->rows /= 100;
        put(p->path, sizeof p->path, "%s/growth-%s.db", bench_folder, p->name);
        p->store = open_at(p->path, is);
        fill(p);
        leave(p);
        if (p->rows >= 100000)
            fprintf(stderr, "bench: %zu rows filled in in %.1f s\n", p->rows, (now_ns() - begun) / 1e9);
    }
    return p;
}

static void open_place(subject *s) {
    place *p = reach(s->is);
    s->data = p;
    if (s->is->sqlite ? p->bare != NULL : p->store != NULL) return;
    leave(p);
    if (s->is->sqlite)
        p->bare = bare_open(p->path, false, 0);
    else
        p->store = open_at(p->path, s->is);
}

/* The next case finds it open. */
static void close_place(subject *s) {
    (void)s;
}

void end_growth(void) {
    for (size_t i = 0; i < SIZES; i++) {
        leave(&places[i]);
        if (places[i].path[0] != '\0') remove_database(places[i].path);
    }
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static char *any_id(place *p, char id[40]) {
    size_t number = any(p, p->rows);
    make_id(id, number % 10 == 3 ? number + 1 : number);
    return id;
}

static void add_to(subject *s, size_t target, bool indexed) {
    place *p = s->data;
    row r;
    char conversation[40];
    hf_op op = make_row(p, &r);
    make_conversation(conversation, target);
    op.message_id = (hf_text){0};
    op.conversation_id = hf_text_of(conversation);
    op.skip_indexing = indexed ? HF_NO : HF_YES;
    bare_message message = {
        .conversation = op.conversation_id, .role = op.role, .content = op.content, .indexed = indexed};
    if (s->is->sqlite)
        bare_add(p->bare, &message, r.id);
    else
        exec(p, &op, 0);
}

/* One of ACTIVE messages that lie far from each other: their conversations are those in use. */
static size_t any_active(place *p) {
    return any(p, ACTIVE) * (p->rows / ACTIVE) | 1;
}

static void step_add(subject *s) {
    add_to(s, any_active(s->data), false);
}

static void step_add_indexed(subject *s) {
    add_to(s, any_active(s->data), true);
}

static void step_add_anywhere(subject *s) {
    place *p = s->data;
    add_to(s, any(p, p->rows), false);
}

static void step_content(subject *s) {
    place *p = s->data;
    char id[40], content[224];
    size_t number = any(p, p->rows / 10) * 10 + 5; /* the words that are searched for stay */
    make_id(id, number);
    make_text(p, content, sizeof content, first_word(p, number));
    if (s->is->sqlite)
        bare_edit(p->bare, id, hf_text_of(content));
    else
        exec(p, &(hf_op){.op = "updateContent", .message_id = hf_text_of(id), .content = hf_text_of(content)},
             0);
}

static void step_update(subject *s) {
    place *p = s->data;
    char id[40], updates[40];
    put(updates, sizeof updates, "{\"n\":%zu}", any(p, 1000000));
    any_id(p, id);
    if (s->is->sqlite)
        bare_update(p->bare, id, hf_text_of(updates));
    else
        exec(p, &(hf_op){.op = "update", .message_id = hf_text_of(id), .updates = hf_text_of(updates)}, 0);
}

/* Each of those that are there to be deleted, near and far. */
static void step_delete(subject *s) {
    place *p = s->data;
    char id[40];
    size_t tenths = p->rows / 10, number = p->deleted++;
    if (number == tenths) die("%s rows: nothing is left to delete: take fewer rounds", p->name);
    make_id(id, number * 7919 % tenths * 10 + 3);
    if (s->is->sqlite)
        bare_delete(p->bare, id);
    else
        exec(p, &(hf_op){.op = "delete", .message_id = hf_text_of(id)}, 0);
}

static void step_get(subject *s) {
    place *p = s->data;
    char id[40];
    any_id(p, id);
    if (s->is->sqlite)
        bare_get(p->bare, id);
    else
        exec(p, &(hf_op){.op = "get", .message_id = hf_text_of(id)}, 0);
}

static void step_list(subject *s) {
    place *p = s->data;
    if (s->is->sqlite)
        bare_list(p->bare, bench, PAGE);
    else
        exec(p, &(hf_op){.op = "list", .conversation_id = bench, .limit = PAGE}, 0);
}

static void step_search(subject *s) {
    place *p = s->data;
    if (s->is->sqlite)
        bare_search(p->bare, hf_text_of("quokka"), PAGE);
    else
        exec(p, &(hf_op){.op = "search", .query = hf_text_of("quokka")}, FOUND);
}

/* A word that one message in a hundred has, and the best 20 of them. */
static void step_search_many(subject *s) {
    place *p = s->data;
    size_t all = p->rows / MANY;
    if (s->is->sqlite)
        bare_search(p->bare, hf_text_of("wombat"), PAGE);
    else
        exec(p, &(hf_op){.op = "search", .query = hf_text_of("wombat")}, all < PAGE ? all : PAGE);
}

/* ---- Alone ------------------------------------------------------------------------------------- */

/* A line of /proc/self/status, in KiB. */
static long resident(void) {
    char line[128];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0) kib = strtol(line + 6, NULL, 10);
    fclose(status);
    return kib;
}

/* `bench open PATH ROWS sqlite|holdfast`: opens a store, gets a few messages, and prints the time of the opening in
 * ns, and its memory: resident, and what of it SQLite has, in KiB. */
int open_alone(char **arguments) {
    const bench_case is = {.name = "open", .sqlite = strcmp(arguments[2], "sqlite") == 0};
    place p = {.name = arguments[1], .rows = (size_t)strtoul(arguments[1], NULL, 10)};
    subject s = {.is = &is, .data = &p};
    double begun = now_ns();
    if (is.sqlite)
        p.bare = bare_open(arguments[0], false, 0);
    else
        p.store = open_at(arguments[0], &is);
    double took = now_ns() - begun;
    for (int i = 0; i < GETS; i++)
        step_get(&s);
    printf("%.0f %ld %ld\n", took, resident(), (long)(sqlite3_memory_used() / 1024));
    leave(&p);
    return fflush(stdout) == 0 ? 0 : 1;
}

static void open_to_leave(subject *s) {
    s->data = reach(s->is);
    leave(s->data);
}

static void slice_open(subject *s, size_t steps, slice *out) {
    place *p = s->data;
    char command[320], self[128] = "";
    long rss = 0, used = 0;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) die("the program does not know its own path");
    put(command, sizeof command, "'%s' open '%s' %zu %s", self, p->path, p->rows,
        s->is->sqlite ? "sqlite" : "holdfast");
    for (size_t i = 0; i < steps; i++) {
        FILE *child = popen(command, "r");
        char answer[96] = "", *at = answer;
        if (child == NULL || fgets(answer, sizeof answer, child) == NULL || pclose(child) != 0)
            die("%s: no answer", command);
        out->total += strtod(at, &at);
        rss = strtol(at, &at, 10);
        used = strtol(at, &at, 10);
    }
    out->ops = (double)steps;
    out->median = out->total / out->ops;
    out->extra[0] = (double)rss;
    out->extra[1] = (double)used;
}

static void tell_rows(subject *s, size_t rounds) {
    (void)rounds;
    printf(",\"rows\":%zu", ((place *)s->data)->rows);
}

static void tell_open(subject *s, size_t rounds) {
    tell_rows(s, rounds);
    printf(",\"residentKiB\":%.0f,\"sqliteKiB\":%.0f", quantile(s->extras[0], rounds, 0.5),
           quantile(s->extras[1], rounds, 0.5));
}

/* ---- The cases --------------------------------------------------------------------------------- */

static kind shared = {.open = open_place, .close = close_place, .tell = tell_rows};
static const kind alone = {
    .open = open_to_leave, .slice = slice_open, .close = close_place, .tell = tell_open};

static const action actions[] = {
    {.name = "add",
     .what = "200 B, unindexed, to one of 32 conversations",
     .step = step_add,
     .ops = 1,
     .weight = 2},
    {.name = "add-indexed", .what = "the same, indexed", .step = step_add_indexed, .ops = 1, .weight = 3},
    {.name = "add-anywhere",
     .what = "200 B, unindexed, to any conversation",
     .step = step_add_anywhere,
     .ops = 1,
     .weight = 2},
    {.name = "update", .what = "a key of metadata", .step = step_update, .ops = 1, .weight = 1},
    {.name = "updateContent",
     .what = "200 B of a final message, indexed",
     .step = step_content,
     .ops = 1,
     .weight = 3},
    {.name = "delete", .what = "one that is indexed", .step = step_delete, .ops = 1, .weight = 3},
    {.name = "get", .what = "a message anywhere", .step = step_get, .ops = 1, .weight = 1},
    {.name = "list", .what = "the last 20 of half of the messages", .step = step_list, .ops = 1, .weight = 1},
    {.name = "search", .what = "a word of 5 messages", .step = step_search, .ops = 1, .weight = 2},
    {.name = "search-many",
     .what = "a word of one message in 100, the best 20",
     .step = step_search_many,
     .ops = 1,
     .weight = 15},
};

static void list_sizes_of(const action *does, bool sqlite) {
    bool reads = does->step == step_list || does->step == step_search;
    const char *by = sqlite ? "-sqlite" : "";
    for (size_t i = reads ? 0 : BASE; i < SIZES; i++) {
        bench_case one = {.group = "growth",
                          .kind = &shared,
                          .action = does,
                          .steps = 30 / does->weight,
                          .rounds = 40,
                          .sqlite = sqlite,
                          .indexed = true,
                          .place = i};
        put(one.family, sizeof one.family, "growth-%s%s", does->name, by);
        put(one.name, sizeof one.name, "%s-at-%s%s", does->name, places[i].name, by);
        if (i != BASE) put(one.baseline, sizeof one.baseline, "%s-at-10k%s", does->name, by);
        put(one.what, sizeof one.what, "%s%s", does->what, sqlite ? ": by SQLite alone" : "");
        add_case(one);
    }
}

static void list_open(void) {
    for (size_t i = 0; i < SIZES; i++) {
        for (int sqlite = 1; sqlite >= 0; sqlite--) {
            bench_case one = {
                .group = "growth", .kind = &alone, .steps = 1, .rounds = 10, .sqlite = sqlite, .place = i};
            put(one.family, sizeof one.family, "growth-open-%s", places[i].name);
            put(one.name, sizeof one.name, "open-%s%s", places[i].name, sqlite ? "-sqlite" : "");
            if (!sqlite) put(one.baseline, sizeof one.baseline, "open-%s-sqlite", places[i].name);
            put(one.what, sizeof one.what, "opening%s; memory after %d gets",
                sqlite ? " by SQLite alone" : "", GETS);
            add_case(one);
        }
    }
}

void list_growth(void) {
    shared.slice = step_by_step.slice;
    for (int sqlite = 0; sqlite < 2; sqlite++)
        for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
            list_sizes_of(&actions[i], sqlite);
    list_open();
}
