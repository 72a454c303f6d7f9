/*
 * `holdfast doctor`: the report of hf_doctor_json, a line for each finding. What is looked at, and repaired, is left to
 * the library.
 */
#include "base/error.h"
#include "base/json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/walk.h"

static bool is_true(const hf__value *object, const char *key) {
    const hf__value *value = hf__value_get(object, key);
    return value != NULL && value->type == HF__BOOL && value->is.boolean;
}

static const char *colour_of(const char *level) {
    if (strcmp(level, "error") == 0) return "\033[31m";
    return strcmp(level, "warn") == 0 ? "\033[33m" : "\033[32m";
}

static void pad(hf__buf *line, size_t size, size_t width) {
    for (; size < width; size++)
        hf__buf_char(line, ' ');
}

static void print_finding(hf__buf *line, const hf__value *finding) {
    hf_text check = hf__row_text(finding, "check"), level = hf__row_text(finding, "level");
    hf_text example = hf__row_text(finding, "example");
    bool wrong = strcmp(level.data, "ok") != 0;
    if (is_true(finding, "repaired")) level = hf_text_of("repaired");
    hf__buf_clear(line);
    if (hf__out_colours()) hf__buf_string(line, colour_of(level.data));
    hf__buf_text(line, level);
    if (hf__out_colours()) hf__buf_string(line, "\033[0m");
    pad(line, level.size, sizeof "repaired  " - 1);
    hf__buf_text(line, check);
    pad(line, check.size, sizeof "conversations  " - 1);
    hf__out_escape(line, hf__row_text(finding, "message"), false, "");
    if (wrong && example.data != NULL) {
        hf__buf_string(line, " (");
        hf__out_escape(line, example, false, "");
        hf__buf_string(line, is_true(finding, "repaired") ? ")" : ", for one)");
    }
    hf__out_line(hf__buf_view(line));
}

/* Prints the report; `well` is what it says of the store. */
static int print_report(const hf__cli *cli, hf_text report, bool *well, hf_error *err) {
    hf__arena arena = {0};
    const hf__value *value;
    hf__buf line;
    hf__buf_init(&line, 0);
    int code = hf__json_parse(&arena, report, HF__CLI_DEPTH, &value, err);
    if (code == HF_OK) {
        const hf__value *finding = hf__value_get(value, "findings")->is.items.first;
        if (cli->json) hf__out_escaped(report);
        for (; finding != NULL && !cli->json; finding = finding->next)
            print_finding(&line, finding);
        *well = is_true(value, "ok");
    }
    hf__buf_free(&line);
    hf__arena_free(&arena);
    return code;
}

int hf__cli_doctor(const hf__cli *cli) {
    hf_error err;
    hf_json report;
    bool well = false;
    int status = hf__cli_check_store(cli);
    if (status != HF__EXIT_OK) return status;
    if (hf_doctor_json(cli->store, cli->repair, &report, &err) != HF_OK) {
        hf__cli_note_file("", cli->store, err.message);
        return HF__EXIT_STORE;
    }
    if (print_report(cli, (hf_text){report.data, report.size}, &well, &err) != HF_OK)
        hf__out_note("%s: %s", cli->store, err.message);
    hf_json_free(&report);
    return well ? HF__EXIT_OK : HF__EXIT_FAILED;
}
