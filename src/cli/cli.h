/* What the commands of the program share: the command line as it was read, and exit statuses. */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <stdbool.h>

#include "holdfast.h"

enum {
    HF__EXIT_OK = 0,
    HF__EXIT_FAILED = 1, /* an op, a check or a spec failed, or what was asked for is not there */
    HF__EXIT_USAGE = 2,
    HF__EXIT_STORE = 3, /* the store or a middleware could not be opened */
};

/* What the JSON codec takes at most: bounds on metadata are the engine's to check, and what a store holds may have
 * been written by a host with others. */
#define HF__CLI_DEPTH 1000

/* FILE or FILE=JSON, taken apart. */
typedef struct hf__use {
    const char *path;   /* or the bare name of a stock middleware */
    const char *config; /* JSON, or NULL */
} hf__use;

/* Takes the argument apart in its place. */
hf__use hf__use_of(char *argument);

typedef struct hf__cli {
    const char *store; /* NULL for a command without one */
    char **args;       /* what follows the store on the command line */
    size_t args_count;
    hf__use *uses; /* of --use, in order */
    size_t uses_count;
    const char *trace; /* the file of --trace, or NULL */
    const char *view;  /* the folder of --view, or NULL */
    hf_durability durability;
    size_t max_batch; /* 0: what the engine takes by default */
    bool atomic, json, watch, follow, final, abort, repair;
    int64_t after;            /* a seq */
    int64_t limit;            /* 0: what the op takes by default */
    const char *conversation; /* or NULL */
} hf__cli;

/* Opens the store with its layers. A store that does not exist is made only where `create` is set.
 * Returns 0, or the exit status after saying what is wrong. */
int hf__cli_open(const hf__cli *cli, bool create, hf_store **out);

/* Checks that there is a file for a store. Returns 0 or the exit status, as above. */
int hf__cli_check_store(const hf__cli *cli);

/* Says what is wrong with a file, and which, unless the message begins with that. */
void hf__cli_note_file(const char *option, const char *path, const char *message);

/* Checks that the files named on the command line can be read. Returns 0 or the exit status, as above. */
int hf__cli_check_files(const hf__cli *cli);

/* Whether a batch failed at one of its ops, and which, from 0; the message then speaks of that op alone. */
bool hf__cli_batch_index(hf_error *err, size_t *index);

/* The commands: each returns the exit status. */
int hf__cli_run(const hf__cli *cli);
int hf__cli_ls(const hf__cli *cli);
int hf__cli_show(const hf__cli *cli);
int hf__cli_search(const hf__cli *cli);
int hf__cli_tail(const hf__cli *cli);
int hf__cli_recover(const hf__cli *cli);
int hf__cli_doctor(const hf__cli *cli);
int hf__cli_stats(const hf__cli *cli);
int hf__cli_import(const hf__cli *cli);
int hf__cli_export(const hf__cli *cli);
int hf__cli_explain(const hf__cli *cli);
int hf__cli_check(const hf__cli *cli);
int hf__cli_spec(const hf__cli *cli);
int hf__cli_view_rebuild(const hf__cli *cli);

#endif
