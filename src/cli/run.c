/*
 * `holdfast run`: ops in, results out, one JSON object a line. Plainly, each op is answered before the
 * next one is read, so that a program can drive it through two pipes; with --atomic all lines make one
 * batch. What an op means is left to the engine: here it is a line of text.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/output.h"

struct run {
    hf_store *store;
    bool failed; /* an op has failed */
    bool broken; /* nothing more can be printed */

    /* With --watch: what the file of each --use was when it was loaded last. */
    const hf__cli *watched; /* NULL without */
    struct stat *seen;

    /* With --atomic: the batch so far, and where each of its ops came from. */
    bool atomic;
    hf__buf batch;
    hf__buf origins; /* of struct origin */
    size_t ops;
};

struct origin {
    const char *file; /* NULL where there is but one */
    int64_t line;
};

/* Prints an error in the place of a result. `where` may be NULL: the failure belongs to no one line. */
static void print_error(struct run *run, const char *op, const struct origin *where, const hf_error *err) {
    hf_json json;
    hf__buf line;
    run->failed = true;
    if (hf_error_json(err, &json) != HF_OK) {
        hf__out_note("out of memory while reporting: %s", err->message);
        run->broken = true;
        return;
    }
    hf__buf_init(&line, 0);
    hf__buf_string(&line, "{\"op\":");
    if (op[0] != '\0')
        hf__json_write_text(&line, hf_text_of(op));
    else
        hf__buf_string(&line, "null");
    if (where != NULL && where->file != NULL) {
        hf__buf_string(&line, ",\"file\":");
        hf__json_write_text(&line, hf_text_of(where->file));
    }
    if (where != NULL) {
        hf__buf_string(&line, ",\"line\":");
        hf__json_write_int(&line, where->line);
    }
    hf__buf_string(&line, ",\"error\":");
    hf__buf_text(&line, (hf_text){json.data, json.size});
    hf__buf_char(&line, '}');
    if (hf__out_escaped(hf__buf_view(&line)) != 0 || hf__out_flush() != 0) run->broken = true;
    hf__buf_free(&line);
    hf_json_free(&json);
}

/* ---- Watching ---------------------------------------------------------------------------------- */

static bool is_changed(const struct stat *a, const struct stat *b) {
    return a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec ||
           a->st_size != b->st_size || a->st_ino != b->st_ino || a->st_dev != b->st_dev;
}

/* Looks at the files of the layers; whether one has changed since the last look. One that is not there is
 * empty. */
static bool look(struct run *run) {
    bool changed = false;
    for (size_t i = 0; i < run->watched->uses_count; i++) {
        struct stat now;
        if (stat(run->watched->uses[i].path, &now) != 0) memset(&now, 0, sizeof now);
        changed = is_changed(&run->seen[i], &now) || changed;
        run->seen[i] = now;
    }
    return changed;
}

static void reload_if_changed(struct run *run) {
    hf_error err;
    if (run->watched == NULL || !look(run)) return;
    if (hf_reload(run->store, &err) != HF_OK)
        hf__out_note("not reloaded, the layers stay as they were: %s", err.message);
}

/* ---- One op after the other -------------------------------------------------------------------- */

static void run_line(struct run *run, hf_text line, const struct origin *where) {
    hf_error err;
    hf_json result;
    reload_if_changed(run);
    if (hf_exec_json(run->store, line, &result, &err) != HF_OK) {
        print_error(run, err.op, where, &err);
        return;
    }
    if (hf__out_escaped((hf_text){result.data, result.size}) != 0 || hf__out_flush() != 0) run->broken = true;
    hf_json_free(&result);
}

/* ---- All of them at once ----------------------------------------------------------------------- */

/* Puts the op of a line into the batch. It must be one object, for a line is put among the others. */
static void collect_line(struct run *run, hf_text line, const struct origin *where) {
    hf_error err;
    if (hf__json_check_object(line, HF__CLI_DEPTH, &err) != HF_OK) {
        print_error(run, "", where, &err);
        return;
    }
    hf__buf_string(&run->batch, run->ops++ == 0 ? "{\"op\":\"batch\",\"ops\":[" : ",");
    hf__buf_text(&run->batch, line);
    hf__buf_add(&run->origins, where, sizeof *where);
}

static void print_results(struct run *run, hf_text answer) {
    hf_error err;
    hf__arena arena = {0};
    const hf__value *value;
    if (hf__json_parse(&arena, answer, HF__CLI_DEPTH, &value, &err) != HF_OK) {
        print_error(run, "batch", NULL, &err);
    } else {
        const hf__value *results = hf__value_get(value, "results");
        const hf__value *result = results != NULL ? results->is.items.first : NULL;
        for (; result != NULL && !run->broken; result = result->next)
            if (hf__out_escaped(result->raw) != 0) run->broken = true;
    }
    hf__arena_free(&arena);
}

static void run_batch(struct run *run) {
    hf_error err;
    hf_json answer;
    hf__buf_string(&run->batch, "]}");
    reload_if_changed(run);
    if (hf__buf_check(&run->batch, "the batch", &err) == HF_OK &&
        hf__buf_check(&run->origins, "the batch", &err) == HF_OK &&
        hf_exec_json(run->store, hf__buf_view(&run->batch), &answer, &err) == HF_OK) {
        print_results(run, (hf_text){answer.data, answer.size});
        hf_json_free(&answer);
        return;
    }
    const struct origin *where = NULL;
    size_t failed;
    if (hf__cli_batch_index(&err, &failed) && failed < run->ops)
        where = (const struct origin *)(const void *)run->origins.data + failed;
    print_error(run, err.op, where, &err);
    if (err.code != HF_UNKNOWN) hf__out_note("nothing was stored");
}

/* ---- The command ------------------------------------------------------------------------------- */

static void run_file(struct run *run, const char *path, bool named) {
    hf__lines lines;
    hf_text line;
    hf_error err;
    if (hf__lines_open(&lines, path) != 0) {
        hf__out_note("%s: %s", path, strerror(errno));
        run->failed = true;
        return;
    }
    while (!run->broken && hf__lines_next(&lines, &line, &err)) {
        struct origin where = {named ? path : NULL, lines.number};
        if (err.code != HF_OK || hf__lines_check_object(line, &err) != HF_OK)
            print_error(run, "", &where, &err);
        else if (run->atomic)
            collect_line(run, line, &where);
        else
            run_line(run, line, &where);
    }
    hf__lines_close(&lines);
}

int hf__cli_run(const hf__cli *cli) {
    struct run run = {.atomic = cli->atomic};
    int status = hf__cli_check_files(cli);
    if (status != HF__EXIT_OK) return status;
    if (cli->watch) {
        run.watched = cli;
        run.seen = calloc(cli->uses_count + 1, sizeof *run.seen);
        if (run.seen == NULL) {
            hf__out_note("out of memory");
            return HF__EXIT_FAILED;
        }
        look(&run); /* before they are loaded: what changes from here on is noticed */
    }
    status = hf__cli_open(cli, true, &run.store);
    if (status != HF__EXIT_OK) {
        free(run.seen);
        return status;
    }
    hf__buf_init(&run.batch, HF__LINE_MAX);
    hf__buf_init(&run.origins, 0);
    for (size_t i = 0; i < cli->args_count && !run.broken; i++)
        run_file(&run, cli->args[i], cli->args_count > 1);
    if (cli->args_count == 0) run_file(&run, "-", false);
    if (run.atomic && run.failed)
        hf__out_note("nothing was stored");
    else if (run.ops > 0 && !run.broken)
        run_batch(&run);
    hf__buf_free(&run.batch);
    hf__buf_free(&run.origins);
    hf_close(run.store);
    free(run.seen);
    return run.failed || run.broken ? HF__EXIT_FAILED : HF__EXIT_OK;
}
