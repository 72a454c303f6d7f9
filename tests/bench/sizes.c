/* What `add` and `batch` cost by size and durability, and what a long run of ops comes to, checkpoints included. */
#include "bench/bench.h"

/* A case and the same by SQLite alone, its baseline. */
static void add_pair(bench_case one) {
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
        {"100", "100 B", 100, 30},      {"1k", "1 KiB", 1024, 30},   {"16k", "16 KiB", 16384, 20},
        {"256k", "256 KiB", 262144, 4}, {"1m", "1 MiB", 1048576, 2},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int full = 0; full < 2; full++) {
            bench_case one = case_of_op("add");
            one.group = "sizes";
            one.size = sizes[i].size;
            one.steps = sizes[i].steps;
            one.rounds = 30;
            one.full = full;
            put(one.name, sizeof one.name, "size-%s%s", sizes[i].name, full ? "-full" : "");
            put(one.family, sizeof one.family, "%s", one.name);
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
            one.steps = count < 100 ? 20 : 2;
            one.rounds = 30;
            one.full = full;
            put(one.name, sizeof one.name, "batch-%zu%s", count, full ? "-full" : "");
            put(one.family, sizeof one.family, "%s", one.name);
            put(one.what, sizeof one.what, "a batch of %zu adds of 1 KiB, %s; for one of them", count,
                full ? "full" : "normal");
            add_pair(one);
        }
    }
}

void list_sizes(void) {
    list_contents();
    list_batches();
}
