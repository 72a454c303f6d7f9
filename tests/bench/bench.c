/*
 * The benchmark: what ops, layers and threads cost, as ratios to a baseline in the same run. The cases of a family
 * take turns in short slices, in another order each round, so that whatever else the machine does falls on all of them
 * alike. One JSON line for each case goes to standard output; README.md says what is in it.
 *
 * What there is to measure is left to the lists, drawing tables and plots to table.lua.
 */
#define _XOPEN_SOURCE 700

#include "bench/bench.h"

#include <fnmatch.h>
#include <unistd.h>

enum { MOST_CASES = 512 };

static bench_case cases[MOST_CASES];
static size_t cases_count;

char bench_folder[64];
bool bench_small;

/* ---- Tools ------------------------------------------------------------------------------------- */

void remove_database(const char *path) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char file[256];
        snprintf(file, sizeof file, "%s%s", path, endings[i]);
        unlink(file);
    }
}

void add_case(bench_case one) {
    if (cases_count == MOST_CASES) die("there is no room for more than %d cases", MOST_CASES);
    cases[cases_count++] = one;
}

/* ---- Rounds ------------------------------------------------------------------------------------ */

/* Each round in another order, so that no case always comes behind the same neighbour. */
static void shuffle(subject **all, size_t count, unsigned short seed[3]) {
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)(erand48(seed) * (double)i);
        subject *swapped = all[i - 1];
        all[i - 1] = all[other];
        all[other] = swapped;
    }
}

static void run_rounds(subject **all, size_t count, size_t rounds, size_t most) {
    unsigned short seed[3] = {1, 2, 3};
    for (size_t round = 0; round < rounds; round++) {
        shuffle(all, count, seed);
        for (size_t i = 0; i < count; i++) {
            subject *s = all[i];
            slice one = {0};
            s->is->kind->slice(s, s->is->steps < most ? s->is->steps : most, &one);
            s->slices[round] = one.median;
            s->extras[0][round] = one.extra[0];
            s->extras[1][round] = one.extra[1];
            s->total += one.total;
            s->ops += one.ops;
        }
    }
}

/* ---- Report ------------------------------------------------------------------------------------ */

/* The rounds of a case against those of its baseline. */
static void tell_ratio(const subject *s, const subject *baseline, size_t rounds) {
    double *values = allocate(rounds, sizeof *values);
    for (size_t i = 0; i < rounds; i++)
        values[i] = baseline->slices[i] / s->slices[i];
    double ratio = quantile(values, rounds, 0.5);
    printf(",\"baseline\":\"%s\",\"ratio\":%.4f", baseline->is->name, ratio);
    if (!s->is->kind->counts) {
        double low = quantile(values, rounds, 0.25), high = quantile(values, rounds, 0.75);
        for (size_t i = 0; i < rounds; i++)
            values[i] = s->slices[i] - baseline->slices[i];
        double added = quantile(values, rounds, 0.5), mean = baseline->total / baseline->ops;
        printf(",\"low\":%.4f,\"high\":%.4f,\"addedUs\":%.2f,\"sustained\":%.4f", low, high, added / 1e3,
               mean / (mean + added));
    }
    free(values);
}

static void report(subject *s, const subject *baseline, size_t rounds) {
    const bench_case *is = s->is;
    double *values = allocate(rounds, sizeof *values);
    memcpy(values, s->slices, rounds * sizeof *values);
    double median = quantile(values, rounds, 0.5);
    printf("{\"group\":\"%s\",\"case\":\"%s\",\"what\":\"%s\"", is->group, is->name, is->what);
    if (is->kind->counts)
        printf(",\"count\":%.3f", median);
    else
        printf(",\"us\":%.2f,\"meanUs\":%.2f,\"opsPerSecond\":%.0f", median / 1e3, s->total / s->ops / 1e3,
               1e9 / median);
    if (baseline != NULL) tell_ratio(s, baseline, rounds);
    if (is->kind->tell != NULL) is->kind->tell(s, rounds);
    printf("}\n");
    fflush(stdout);
    free(values);
}

/* ---- Families ---------------------------------------------------------------------------------- */

static subject *find(subject *all, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].is->name, name) == 0) return &all[i];
    return NULL;
}

/* The cases take turns; the most steps and rounds that are asked for hold, or 0 for their own. */
static void run_family(subject *all, size_t count, size_t rounds, size_t steps) {
    subject *order[MOST_CASES];
    for (size_t i = 0; rounds == 0 || i < count; i++) {
        if (i == count) die("a family without rounds: %s", all[0].is->family);
        if (rounds == 0 && all[i].is->rounds > 0) rounds = all[i].is->rounds;
    }
    for (size_t i = 0; i < count; i++) {
        subject *s = &all[i];
        s->slices = allocate(3 * rounds, sizeof(double));
        s->extras[0] = s->slices + rounds;
        s->extras[1] = s->slices + 2 * rounds;
        put(s->path, sizeof s->path, "%s/%s.db", bench_folder, s->is->name);
        s->is->kind->open(s);
        order[i] = s;
    }
    sync(); /* what was made so far is not written while the clock runs */
    run_rounds(order, count, rounds, steps > 0 ? steps : SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        report(&all[i], find(all, count, all[i].is->baseline), rounds);
    for (size_t i = 0; i < count; i++) {
        all[i].is->kind->close(&all[i]);
        free(all[i].slices);
    }
}

static bool matches(const char *name, const bench_case *one) {
    return strcmp(name, one->group) == 0 || fnmatch(name, one->name, 0) == 0;
}

/* Whether the case is named, or one that is compared with it. */
static bool wanted(char **names, const bench_case *one) {
    bool any = *names == NULL;
    for (char **name = names; *name != NULL && !any; name++) {
        any = matches(*name, one);
        for (size_t i = 0; i < cases_count && !any; i++)
            any = matches(*name, &cases[i]) && strcmp(cases[i].baseline, one->name) == 0;
    }
    return any;
}

static void check_names(char **names) {
    for (char **name = names; *name != NULL; name++) {
        bool found = false;
        for (size_t i = 0; i < cases_count; i++)
            found = found || matches(*name, &cases[i]);
        if (!found) die("there is no case or group \"%s\": bench -l lists them", *name);
    }
}

static void run_all(char **names, size_t rounds, size_t steps) {
    for (size_t begin = 0, end; begin < cases_count; begin = end) {
        subject *family = allocate(MOST_CASES, sizeof *family);
        size_t count = 0;
        for (end = begin; end < cases_count && strcmp(cases[end].family, cases[begin].family) == 0; end++)
            if (wanted(names, &cases[end])) family[count++].is = &cases[end];
        if (count > 0) run_family(family, count, rounds, steps);
        free(family);
    }
}

/* ---- The command line -------------------------------------------------------------------------- */

static size_t number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*end != '\0' || value < 1 || value > 1000000) die("expected a number from 1, found \"%s\"", text);
    return (size_t)value;
}

/* A folder for the stores, which goes when the program ends. */
static void make_folder(void) {
    const char *parent = getenv("TMPDIR");
    put(bench_folder, sizeof bench_folder, "%s/holdfast-bench-XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(bench_folder) == NULL) die("%s: %s", bench_folder, strerror(errno));
}

static void list_cases(void) {
    for (size_t i = 0; i < cases_count; i++)
        printf("%-10s %-24s %s\n", cases[i].group, cases[i].name, cases[i].what);
}

int main(int argc, char **argv) {
    size_t rounds = 0, steps = 0;
    bool list = false;
    int option;
    if (argc > 1 && strcmp(argv[1], "open") == 0) return open_alone(argv + 2);
    while ((option = getopt(argc, argv, "r:s:lq")) != -1) {
        if (option == 'r')
            rounds = number(optarg);
        else if (option == 's')
            steps = number(optarg);
        else if (option == 'l')
            list = true;
        else if (option == 'q')
            bench_small = true;
        else
            die("usage: bench [-r ROUNDS] [-s STEPS] [-q] [-l] [CASE|GROUP...]");
    }
    list_ops();
    list_sizes();
    list_threads();
    list_readers();
    list_streams();
    list_growth();
    list_counted();
    check_names(argv + optind);
    if (list) {
        list_cases();
        return 0;
    }
    make_folder();
    run_all(argv + optind, rounds, steps);
    end_growth();
    rmdir(bench_folder);
    return fflush(stdout) == 0 ? 0 : 1;
}
