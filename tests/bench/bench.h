/*
 * What the files of this folder share. A case is measured in slices: `bench.c` opens the cases of a family, lets them
 * take turns, and reports. What a slice is, a kind of case says: `ops.c`, `threads.c` and their like have the kinds
 * and the lists of cases.
 */
#ifndef HF_TESTS_BENCH_BENCH_H
#define HF_TESTS_BENCH_BENCH_H

#include "bench/sqlite.h"
#include "bench/tools.h"
#include "holdfast.h"

/* ---- Cases ------------------------------------------------------------------------------------- */

typedef struct subject subject;

/* What a slice of steps came to. */
typedef struct slice {
    double median;   /* of its steps, ns an op; where steps overlap, the whole slice by its ops */
    double total;    /* ns in all steps */
    double ops;      /* in all steps */
    double extra[2]; /* what else the kind tells */
} slice;

/* What a step does, by Holdfast or by SQLite as the case has it. */
typedef struct action {
    const char *name, *what;
    void (*fill)(subject *);    /* what has to be there, by Holdfast without layers; or NULL */
    void (*prepare)(subject *); /* before each step, outside the time; or NULL */
    void (*step)(subject *);
    size_t ops;    /* in one step */
    size_t weight; /* how many steps of `get` come to one */
    bool indexed;
} action;

/* One shape for all that is measured. `slice` runs so many steps. `tell` prints further keys of the JSON line. */
typedef struct kind {
    void (*open)(subject *);
    void (*slice)(subject *, size_t steps, slice *out);
    void (*close)(subject *);
    void (*tell)(subject *, size_t rounds);
    bool counts; /* `median` is no time but a count */
} kind;

extern const kind step_by_step; /* the median of the steps of an action: no checkpoint, no neighbour */
extern const kind in_a_row;     /* all steps of a slice together: whatever comes with them */

typedef struct bench_case {
    const char *group;
    char family[40];   /* the cases that take turns */
    char name[40];     /* unique */
    char baseline[40]; /* a case of the same family; empty for none */
    char what[160];
    const kind *kind;
    const action *action;
    size_t steps, rounds; /* of a slice; of the case's family, the first one's */

    size_t size;  /* bytes of content */
    size_t count; /* of threads, or of ops in a batch */
    size_t place; /* which of the stores of growth */
    const char *metadata;
    const char *script; /* each layer runs it, */
    const char *stock;  /* or they are these stock middlewares, one for each, with commas, */
    bool in_c;          /* or they are C functions; without all of these they pass the op on in Lua */
    bool trusted;
    bool sqlite; /* by SQLite alone, else by Holdfast */
    bool full;   /* durability */
    bool indexed;
    bool writes; /* beside readers: one more thread that writes */
    int layers;
} bench_case;

struct subject {
    const bench_case *is;
    char path[160];
    char *content;
    hf_store *store; /* or */
    bare *bare;
    void *data; /* the kind's own */

    /* What the steps go through. */
    char id[40], newest[40]; /* of messages */
    char (*ids)[40];
    size_t next;
    long seq;

    double *slices, *extras[2]; /* of each round */
    double total, ops;          /* of all rounds */
};

/* Adds a case to the list. */
void add_case(bench_case one);

/* A case of the named op, as `ops` measures it without layers: for the lists that make others of it. */
bench_case case_of_op(const char *name);

/* Adds a case and the same by SQLite alone, its baseline. */
void add_pair(bench_case one);

/* The lists: one for each file that has cases. */
void list_ops(void);
void list_sizes(void);
void list_threads(void);
void list_readers(void);
void list_streams(void);
void list_growth(void);
void list_counted(void);

/* Takes away what the cases of growth share, when all are done. */
void end_growth(void);

/* What `bench open …` does, in a process of its own: see growth.c. */
int open_alone(char **arguments);

/* ---- Stores (store.c) -------------------------------------------------------------------------- */

/* Makes the subject's file with a conversation "bench" and what `fill` puts there (may be NULL), closes it, and opens
 * it again, with layers, or for SQLite alone. */
void open_subject(subject *s, void (*fill)(subject *));
void close_subject(subject *s);
void run(const subject *s, const hf_op *op);
/* The same; the answer is the caller's. */
void ask(const subject *s, const hf_op *op, hf_result *result);

/* A store at that path. */
hf_store *open_at(const char *path, const bench_case *is);

/* Text that is English enough for a pattern, and the same in every run. */
char *make_content(size_t size);

/* ---- What the files share ---------------------------------------------------------------------- */

extern char bench_folder[64]; /* where the stores are */
extern bool bench_small;      /* small sizes, to see only that every case runs */

/* Takes a database away, once nothing has it open. */
void remove_database(const char *path);

#endif
