/*
 * What is counted and not timed, in a run that comes last: the pages of 4 KiB that a step writes to the WAL, and the
 * allocations of our own. The linker leads malloc, calloc and realloc of this program and of libholdfast, which is a
 * part of it, to the functions here; SQLite and Lua are libraries of their own, whose calls stay theirs. What Lua asks
 * for, it asks our allocator for: that counts.
 */
#include "bench/bench.h"
#include "support/fault_vfs.h"

enum { FRAME = 4096 + 24 }; /* a page in the WAL, with its header */

/* ---- Allocations ------------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

/* Of this thread: the steps that are counted run on it. */
static _Thread_local size_t allocations;

void *__wrap_malloc(size_t size) {
    allocations++;
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    allocations++;
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    allocations++;
    return __real_realloc(memory, size);
}

/* ---- A slice ----------------------------------------------------------------------------------- */

static void run_steps(subject *s, size_t steps) {
    const action *does = s->is->action;
    for (size_t i = 0; i < steps; i++) {
        if (does->prepare != NULL) does->prepare(s);
        does->step(s);
    }
}

/* After some that do not count: in them, what is made once is made. */
static void open_counted(subject *s) {
    static bool installed;
    if (!installed) fault_vfs_install();
    installed = true;
    open_subject(s, s->is->action->fill);
    run_steps(s, bench_small ? 2 : 200);
}

/* What is prepared does not count. */
static double count(subject *s, size_t steps, bool pages) {
    const action *does = s->is->action;
    double total = 0;
    for (size_t i = 0; i < steps; i++) {
        if (does->prepare != NULL) does->prepare(s);
        size_t before = allocations;
        fault_vfs_wal_bytes();
        does->step(s);
        total += pages ? (double)fault_vfs_wal_bytes() / FRAME : (double)(allocations - before);
    }
    return total / (double)(steps * does->ops);
}

static void slice_pages(subject *s, size_t steps, slice *out) {
    out->median = count(s, steps, true);
    out->ops = (double)steps;
}

static void slice_allocations(subject *s, size_t steps, slice *out) {
    out->median = count(s, steps, false);
    out->ops = (double)steps;
}

static const kind pages = {
    .open = open_counted, .slice = slice_pages, .close = close_subject, .counts = true};
static const kind ours = {
    .open = open_counted, .slice = slice_allocations, .close = close_subject, .counts = true};

/* ---- The cases --------------------------------------------------------------------------------- */

static void list_one(const char *op, const kind *kind_of, const char *what) {
    bench_case one = case_of_op(op);
    one.group = "counted";
    one.kind = kind_of;
    one.rounds = 1;
    one.steps = 1000;
    put(one.name, sizeof one.name, "%s-%s", what, op);
    put(one.family, sizeof one.family, "%s-%s", what, op);
    if (kind_of == &pages) {
        put(one.what, sizeof one.what, "pages of 4 KiB written to the WAL, %s", op);
        add_pair(one);
        return;
    }
    put(one.what, sizeof one.what, "allocations of our own, %s, no layer", op);
    add_case(one);
    one.layers = 5;
    put(one.name, sizeof one.name, "%s-%s-lua-5", what, op);
    put(one.what, sizeof one.what, "allocations of our own and for Lua, %s, 5 Lua layers", op);
    add_case(one);
}

void list_counted(void) {
    static const char *const written[] = {"add",    "add-indexed", "append", "updateContent",
                                          "update", "delete",      "mixed"};
    static const char *const allocated[] = {"add", "add-indexed", "append", "updateContent",
                                            "get", "list",        "mixed"};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++)
        list_one(written[i], &pages, "pages");
    for (size_t i = 0; i < sizeof allocated / sizeof *allocated; i++)
        list_one(allocated[i], &ours, "allocations");
}
