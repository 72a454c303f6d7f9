/* `holdfast stats`: the figures of hf_stats_json that are the file's, a line for each; the others are a process's. */
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/walk.h"

static const char *const shown[] = {
    "conversations", "messages",  "reserved", "streaming",     "indexed",       "deltas", "databaseBytes",
    "pageSize",      "freePages", "walBytes", "schemaVersion", "sqliteVersion", NULL,
};

static void print_figure(hf__buf *line, const hf__value *stats, const char *key) {
    char text[64];
    int64_t integer = hf__row_integer(stats, key);
    hf__buf_clear(line);
    snprintf(text, sizeof text, "%-15s", key);
    hf__buf_string(line, text);
    if (hf__value_get(stats, key)->type == HF__TEXT)
        hf__buf_text(line, hf__row_text(stats, key));
    else
        hf__json_write_int(line, integer);
    if (strstr(key, "Bytes") != NULL && integer >= 1 << 20) {
        snprintf(text, sizeof text, " (%.1f MiB)", (double)integer / (1 << 20));
        hf__buf_string(line, text);
    }
    hf__out_line(hf__buf_view(line));
}

/* What keeps the WAL as it is, where something does. */
static void print_readers(hf__buf *line, const hf__value *stats) {
    const hf__value *checkpoints = hf__value_get(stats, "checkpoints");
    if (hf__value_get(checkpoints, "starvedSince") == NULL) return;
    hf__buf_clear(line);
    hf__buf_string(line, "checkpoints    readers that do not end, of any process, keep ");
    hf__json_write_int(line, hf__row_integer(checkpoints, "behind"));
    hf__buf_string(line, " pages in the WAL");
    hf__out_line(hf__buf_view(line));
}

static int print_stats(const hf__cli *cli, hf_text stats, hf_error *err) {
    hf__arena arena = {0};
    const hf__value *value;
    hf__buf line;
    hf__buf_init(&line, 0);
    int code = hf__json_parse(&arena, stats, HF__CLI_DEPTH, &value, err);
    if (code == HF_OK && cli->json) hf__out_line(stats);
    for (size_t i = 0; code == HF_OK && !cli->json && shown[i] != NULL; i++)
        print_figure(&line, value, shown[i]);
    if (code == HF_OK && !cli->json) print_readers(&line, value);
    hf__buf_free(&line);
    hf__arena_free(&arena);
    return code;
}

int hf__cli_stats(const hf__cli *cli) {
    hf_error err;
    hf_store *store;
    hf_json stats;
    int status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    int code = hf_stats_json(store, &stats, &err);
    if (code == HF_OK) code = print_stats(cli, (hf_text){stats.data, stats.size}, &err);
    if (code != HF_OK) {
        hf__out_note("%s: %s", cli->store, err.message);
        status = HF__EXIT_FAILED;
    }
    hf_json_free(&stats);
    hf_close(store);
    return status;
}
