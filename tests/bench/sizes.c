/* More cases of the ops of ops.c: by size and durability, in long rows, and by way of JSON. */
#include "bench/bench.h"

/* Steps of so many bytes meet a checkpoint every few times: they are taken together. */
enum { OFTEN = 100 * 1024 };

void add_pair(bench_case one) {
    bench_case alone = one;
    put(one.baseline, sizeof one.baseline, "%s-sqlite", one.name);
    memcpy(alone.name, one.baseline, sizeof alone.name);
    put(alone.what, sizeof alone.what, "%s: by SQLite alone", one.what);
    alone.sqlite = true;
    alone.layers = 0;
    add_case(alone);
    add_case(one);
}

static void list_contents(void) {
    static const struct {
        const char *name, *what;
        size_t size, steps;
    } sizes[] = {
        {"100", "100 B", 100, 30},       {"1k", "1 KiB", 1024, 30},   {"16k", "16 KiB", 16384, 20},
        {"256k", "256 KiB", 262144, 16}, {"1m", "1 MiB", 1048576, 8},
    };
    for (int full = 0; full < 2; full++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            bench_case one = case_of_op("add");
            one.group = "sizes";
            one.size = sizes[i].size;
            one.steps = sizes[i].steps;
            one.rounds = 20;
            if (one.size >= OFTEN) one.kind = &in_a_row;
            one.full = full;
            put(one.name, sizeof one.name, "size-%s%s", sizes[i].name, full ? "-full" : "");
            put(one.family, sizeof one.family, "sizes-%s", full ? "full" : "normal");
            put(one.what, sizeof one.what, "an add of %s, %s", sizes[i].what, full ? "full" : "normal");
            add_pair(one);
        }
    }
}

static void list_batches(void) {
    for (size_t count = 1; count <= 1000; count *= 10) {
        for (int full = 0; full < 2; full++) {
            bench_case one = case_of_op("batch");
            one.group = "batches";
            one.count = count;
            one.steps = count < 100 ? 20 : 1000 / count;
            one.rounds = 20;
            if (count * one.size >= OFTEN) one.kind = &in_a_row;
            one.full = full;
            put(one.name, sizeof one.name, "batch-%zu%s", count, full ? "-full" : "");
            put(one.family, sizeof one.family, "%s", one.name);
            put(one.what, sizeof one.what, "a batch of %zu adds of 1 KiB, %s; for one of them", count,
                full ? "full" : "normal");
            add_pair(one);
        }
    }
}

/* ---- In a row ---------------------------------------------------------------------------------- */

/* What a host gets on and on: SQLite's checkpoints, and ours, within the time. */
static void list_rows(void) {
    static const struct {
        const char *name, *op;
        size_t steps;
        bool full;
    } rows[] = {{"row-add", "add", 1000, false},
                {"row-add-full", "add", 400, true},
                {"row-add-indexed", "add-indexed", 400, false},
                {"row-mixed", "mixed", 100, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench_case one = case_of_op(rows[i].op);
        one.group = "rows";
        one.kind = &in_a_row;
        one.steps = rows[i].steps;
        one.rounds = 15;
        one.full = rows[i].full;
        put(one.name, sizeof one.name, "%s", rows[i].name);
        put(one.family, sizeof one.family, "%s", rows[i].name);
        put(one.what, sizeof one.what, "%s, %zu times in a row", rows[i].op, rows[i].steps);
        add_pair(one);
        put(one.baseline, sizeof one.baseline, "%s", rows[i].name);
        put(one.name, sizeof one.name, "%s-lua-5", rows[i].name);
        put(one.what, sizeof one.what, "%s, %zu times in a row: 5 Lua layers that pass the op on", rows[i].op,
            rows[i].steps);
        one.layers = 5;
        add_case(one);
    }
}

/* ---- JSON -------------------------------------------------------------------------------------- */

static void run_json(const subject *s, const char *text) {
    hf_json out;
    hf_error err;
    if (hf_exec_json(s->store, hf_text_of(text), &out, &err) != HF_OK)
        die("%s: %s", s->is->name, err.message);
    hf_json_free(&out);
}

static void step_json_add(subject *s) {
    char text[1400];
    put(text, sizeof text,
        "{\"op\":\"add\",\"conversationId\":\"bench\",\"role\":\"user\",\"content\":\"%s\","
        "\"addOptions\":{\"skipIndexing\":true}}",
        s->content);
    run_json(s, text);
}

static void step_json_get(subject *s) {
    char text[100];
    put(text, sizeof text, "{\"op\":\"get\",\"messageId\":\"%s\"}", s->ids[s->next++ % 1000]);
    run_json(s, text);
}

static void step_json_list(subject *s) {
    run_json(s, "{\"op\":\"list\",\"conversationId\":\"bench\",\"limit\":20}");
}

static void list_json(void) {
    static action actions[] = {
        {.name = "add", .step = step_json_add},
        {.name = "get", .step = step_json_get},
        {.name = "list", .step = step_json_list},
    };
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        bench_case one = case_of_op(actions[i].name);
        actions[i].fill = one.action->fill;
        actions[i].ops = one.action->ops;
        one.group = "entry";
        put(one.name, sizeof one.name, "%s-struct", actions[i].name);
        put(one.family, sizeof one.family, "%s-json", actions[i].name);
        put(one.what, sizeof one.what, "%s by hf_exec", actions[i].name);
        add_case(one);
        put(one.baseline, sizeof one.baseline, "%s-struct", actions[i].name);
        put(one.name, sizeof one.name, "%s-json", actions[i].name);
        put(one.what, sizeof one.what, "%s by hf_exec_json, JSON in and out", actions[i].name);
        one.action = &actions[i];
        add_case(one);
    }
}

void list_sizes(void) {
    list_contents();
    list_batches();
    list_rows();
    list_json();
}
