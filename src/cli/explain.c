/*
 * `holdfast explain`: the way of one op through the layers, run dry, drawn as an onion. Going in, each layer
 * shows what it made of the op; coming out, what it made of the answer. What happened is told by the engine;
 * here it is only drawn, in lines no longer than the terminal is wide.
 */
#include <errno.h>
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/output.h"
#include "cli/walk.h"

#define DIM "2"
#define BOLD "1"
#define RED "31"
#define GREEN "32"
#define YELLOW "33"
#define CYAN "36"

struct drawing {
    hf__buf line;
    size_t column; /* of the line so far */
    size_t width;
    bool colours;
    const hf__value *error; /* that the op ends with, or NULL */
    bool told;              /* the error's message stands beside the layer that it is of */
};

/* ---- Columns ----------------------------------------------------------------------------------- */

/* The character at `at`, which is well-formed, and its size in bytes. */
static uint32_t character_at(const char *at, size_t *size) {
    unsigned char first = (unsigned char)at[0];
    *size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t code = *size == 1 ? first : first & (0x7fu >> *size);
    for (size_t i = 1; i < *size; i++)
        code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    return code;
}

/* How many columns a terminal gives to the character: marks that combine have none, East Asian ones and
 * pictures two. */
static size_t columns_of(uint32_t code) {
    static const struct {
        uint32_t first, last;
        size_t columns;
    } ranges[] = {
        {0x300, 0x36f, 0},   {0x1100, 0x115f, 2}, {0x200b, 0x200f, 0},   {0x2e80, 0xa4cf, 2},
        {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return ranges[i].columns;
    return 1;
}

/* How many bytes of the text fit into `room` columns; `taken`: how many of those they take. */
static size_t fitting(hf_text text, size_t room, size_t *taken) {
    size_t end = 0;
    *taken = 0;
    for (size_t size; end < text.size; end += size) {
        size_t columns = columns_of(character_at(text.data + end, &size));
        if (*taken + columns > room) break;
        *taken += columns;
    }
    return end;
}

/* ---- Lines ------------------------------------------------------------------------------------- */

/* Adds text without control characters, as much as fits. */
static void put_text(struct drawing *d, const char *style, hf_text text) {
    size_t taken, room = d->width > d->column ? d->width - d->column : 0;
    bool cut = fitting(text, room, &taken) < text.size;
    if (cut) text.size = fitting(text, room > 0 ? room - 1 : 0, &taken);
    if (d->colours && style != NULL) {
        hf__buf_string(&d->line, "\033[");
        hf__buf_string(&d->line, style);
        hf__buf_char(&d->line, 'm');
    }
    hf__buf_text(&d->line, text);
    if (cut && room > 0) hf__buf_string(&d->line, "…");
    if (d->colours && style != NULL) hf__buf_string(&d->line, "\033[0m");
    d->column += taken + (cut && room > 0);
}

static void put(struct drawing *d, const char *style, const char *string) {
    put_text(d, style, hf_text_of(string));
}

/* Adds text of any kind. */
static void put_escaped(struct drawing *d, const char *style, hf_text text) {
    hf__buf safe;
    hf__buf_init(&safe, 0);
    hf__buf_string(&safe, "");
    hf__out_escape(&safe, text, false, "");
    put_text(d, style, hf__buf_view(&safe));
    hf__buf_free(&safe);
}

static void put_time(struct drawing *d, int64_t us) {
    char text[40];
    if (us < 10000)
        snprintf(text, sizeof text, "  %lld µs", (long long)us);
    else
        snprintf(text, sizeof text, "  %.1f ms", (double)us / 1000);
    put(d, DIM, text);
}

/* Begins a line within `depth` layers. */
static void begin_line(struct drawing *d, int64_t depth) {
    hf__buf_clear(&d->line);
    d->column = 0;
    for (int64_t i = 0; i < depth && d->column < d->width / 2; i++)
        put(d, DIM, "│ ");
}

static void end_line(struct drawing *d) {
    hf__out_line(hf__buf_view(&d->line));
}

/* ---- Values ------------------------------------------------------------------------------------ */

/* The value as JSON that can be shown, in `buf`. */
static hf_text spell(hf__buf *buf, const hf__value *value) {
    hf__buf json;
    hf__buf_init(buf, 0);
    hf__buf_init(&json, 0);
    hf__json_write(&json, value);
    hf__out_escape(buf, hf__buf_view(&json), false, "");
    hf__buf_free(&json);
    return hf__buf_view(buf);
}

/* A line "  - path: value", of which the first `skip` bytes are left out. */
static void draw_value(struct drawing *d, int64_t depth, const char *sign, const char *style,
                       const char *prefix, hf_text path, hf_text value, size_t skip) {
    begin_line(d, depth);
    put(d, NULL, "  ");
    put(d, style, sign);
    put(d, style, prefix);
    put_escaped(d, style, path);
    put(d, style, path.size > 0 ? ": " : "");
    if (skip > 0) put(d, DIM, "…");
    put_text(d, NULL, (hf_text){value.data + skip, value.size - skip});
    end_line(d);
}

static size_t common_size(hf_text a, hf_text b) {
    size_t size = 0;
    while (size < a.size && size < b.size && a.data[size] == b.data[size])
        size++;
    return size;
}

/* Where both texts may begin so that their first difference is seen in lines of `room` columns. */
static size_t skip_of(hf_text before, hf_text after, size_t room) {
    size_t taken, same = common_size(before, after);
    hf_text shared = {before.data, same};
    if (fitting(before, room, &taken) == before.size && fitting(after, room, &taken) == after.size) return 0;
    if (fitting(shared, room / 2, &taken) == same) return 0;
    size_t skip = same > room / 3 ? same - room / 3 : 0;
    while (skip > 0 && ((unsigned char)before.data[skip] & 0xc0) == 0x80)
        skip--;
    return skip;
}

static void draw_changes(struct drawing *d, int64_t depth, const char *prefix, const hf__value *changes) {
    const hf__value *change = changes != NULL ? changes->is.items.first : NULL;
    for (; change != NULL; change = change->next) {
        hf_text path = hf__row_text(change, "path");
        const hf__value *before = hf__value_get(change, "before"), *after = hf__value_get(change, "after");
        hf__buf old, new;
        hf__buf_init(&old, 0);
        hf__buf_init(&new, 0);
        if (before != NULL) spell(&old, before);
        if (after != NULL) spell(&new, after);
        size_t used = 2 * (size_t)depth + 7 + strlen(prefix) + path.size, skip = 0;
        if (before != NULL && after != NULL)
            skip =
                skip_of(hf__buf_view(&old), hf__buf_view(&new), used + 20 < d->width ? d->width - used : 20);
        if (before != NULL) draw_value(d, depth, "- ", RED, prefix, path, hf__buf_view(&old), skip);
        if (after != NULL) draw_value(d, depth, "+ ", GREEN, prefix, path, hf__buf_view(&new), skip);
        hf__buf_free(&old);
        hf__buf_free(&new);
    }
}

/* The fields of an answer, each on a line after `sign`; those of a row in it by their paths. */
static void draw_fields(struct drawing *d, int64_t depth, const char *sign, const char *prefix,
                        const hf__value *map) {
    const hf__value *item = map != NULL && map->type == HF__MAP ? map->is.items.first : NULL;
    for (; item != NULL; item = item->next) {
        bool outermost = prefix[0] == '\0';
        if (outermost && strcmp(item->key.data, "op") == 0) continue;
        char inner[80];
        snprintf(inner, sizeof inner, "%s.", item->key.data);
        if (outermost && item->type == HF__MAP) {
            draw_fields(d, depth, sign, inner, item);
            continue;
        }
        hf__buf text;
        draw_value(d, depth, sign, DIM, prefix, item->key, spell(&text, item), 0);
        hf__buf_free(&text);
    }
}

/* ---- The onion --------------------------------------------------------------------------------- */

static bool same_text(hf_text a, hf_text b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static const char *style_of(hf_text did) {
    static const struct {
        const char *did, *style;
    } styles[] = {{"rewrote", YELLOW}, {"answered", CYAN}, {"refused", RED}, {"failed", RED}};
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++)
        if (same_text(did, hf_text_of(styles[i].did))) return styles[i].style;
    return DIM;
}

/* The message of the error, whole. */
static void put_message(struct drawing *d) {
    size_t width = d->width;
    d->width = SIZE_MAX;
    put(d, NULL, ": ");
    put_escaped(d, NULL, hf__row_text(d->error, "message"));
    d->width = width;
}

/* "code: message" of the step where it is the one that the op ends with, else its code. */
static void draw_failure(struct drawing *d, int64_t depth, const hf__value *step) {
    hf_text code = hf__row_text(step, "code");
    if (code.size == 0) return;
    begin_line(d, depth);
    put(d, NULL, "  ");
    put_escaped(d, RED, code);
    if (d->error != NULL && same_text(code, hf__row_text(d->error, "code")) &&
        same_text(hf__row_text(step, "layer"), hf__row_text(d->error, "layer"))) {
        put_message(d);
        d->told = true;
    }
    end_line(d);
}

/* Draws the step and those within it; returns the one after them. `op` is what is done around it. */
static const hf__value *draw_step(struct drawing *d, const hf__value *step, hf_text op) {
    int64_t depth = hf__row_integer(step, "depth");
    bool terminal = hf__value_get(step, "terminal") != NULL;
    hf_text did = hf__row_text(step, "did"), own = hf__row_text(step, "op");
    begin_line(d, depth);
    put(d, DIM, terminal ? "■ " : "╭ ");
    put_escaped(d, BOLD, terminal ? hf_text_of("terminal") : hf__row_text(step, "layer"));
    if (!same_text(op, own)) {
        put(d, NULL, "  ");
        put_escaped(d, NULL, own);
    }
    if (did.size > 0) put(d, NULL, "  ");
    put_text(d, style_of(did), did.size > 0 ? did : hf_text_of(""));
    put_time(d, hf__row_integer(step, "us"));
    end_line(d);
    if (terminal) {
        draw_failure(d, depth, step);
        draw_fields(d, depth, "  ", "", hf__value_get(step, "stored"));
        return step->next;
    }
    draw_changes(d, depth + 1, "", hf__value_get(step, "changes"));
    const hf__value *next = step->next;
    while (next != NULL && hf__row_integer(next, "depth") > depth)
        next = draw_step(d, next, own);
    draw_failure(d, depth + 1, step);
    draw_fields(d, depth + 1, "= ", "", hf__value_get(step, "answer"));
    draw_changes(d, depth + 1, "result.", hf__value_get(step, "resultChanges"));
    begin_line(d, depth);
    put(d, DIM, "╰ ");
    put_escaped(d, DIM, hf__row_text(step, "layer"));
    end_line(d);
    return next;
}

static void draw_outcome(struct drawing *d, const hf__value *told) {
    begin_line(d, 0);
    if (d->error == NULL) {
        put(d, GREEN, "would succeed");
    } else {
        hf_text layer = hf__row_text(d->error, "layer");
        put(d, RED, "would fail: ");
        put_escaped(d, RED, hf__row_text(d->error, "code"));
        if (layer.size > 0) put(d, RED, ", by ");
        if (layer.size > 0) put_escaped(d, RED, layer);
        if (!d->told) put_message(d);
    }
    put_time(d, hf__row_integer(told, "us"));
    put(d, DIM, "  (a dry run: nothing was stored)");
    end_line(d);
}

static void draw(const hf__value *told) {
    struct drawing d = {
        .width = hf__out_width(), .colours = hf__out_colours(), .error = hf__value_get(told, "error")};
    hf_text op = hf__row_text(told, "op");
    const hf__value *steps = hf__value_get(told, "steps");
    hf__buf_init(&d.line, 0);
    begin_line(&d, 0);
    put_escaped(&d, BOLD, op);
    end_line(&d);
    for (const hf__value *step = steps != NULL ? steps->is.items.first : NULL; step != NULL;)
        step = draw_step(&d, step, op);
    draw_outcome(&d, told);
    hf__buf_free(&d.line);
}

/* ---- The command ------------------------------------------------------------------------------- */

/* Reads one op, which may take several lines. Returns 0 or the exit status, after saying what is wrong. */
static int read_op(const char *path, hf__buf *op) {
    hf__lines lines;
    hf_text line;
    hf_error err;
    if (hf__lines_open(&lines, path) != 0) {
        hf__out_note("%s: %s", path, strerror(errno));
        return HF__EXIT_USAGE;
    }
    while (hf__lines_next(&lines, &line, &err) && err.code == HF_OK) {
        hf__buf_text(op, line);
        hf__buf_char(op, '\n');
    }
    if (err.code == HF_OK) hf__buf_check(op, "the op", &err);
    if (err.code != HF_OK) hf__out_note("%s: %s", lines.name, err.message);
    hf__lines_close(&lines);
    return err.code == HF_OK ? HF__EXIT_OK : HF__EXIT_FAILED;
}

/* Shows what the engine told. Whether the op would succeed. */
static bool show(const hf__cli *cli, hf_text json, hf_error *err) {
    hf__arena arena = {0};
    const hf__value *told;
    bool good = false;
    if (hf__json_parse(&arena, json, 1000, &told, err) == HF_OK) {
        good = hf__value_get(told, "error") == NULL;
        if (cli->json)
            hf__out_escaped(json);
        else
            draw(told);
    }
    hf__arena_free(&arena);
    return good;
}

int hf__cli_explain(const hf__cli *cli) {
    hf_error err = {0};
    hf_store *store;
    hf_json told;
    hf__buf op;
    hf__buf_init(&op, HF__LINE_MAX);
    int status = hf__cli_check_files(cli);
    if (status == HF__EXIT_OK) status = hf__cli_open(cli, false, &store);
    if (status != HF__EXIT_OK) return status;
    status = read_op(cli->args_count > 0 ? cli->args[0] : "-", &op);
    if (status == HF__EXIT_OK && hf_explain_json(store, hf__buf_view(&op), &told, &err) == HF_OK) {
        status = show(cli, (hf_text){told.data, told.size}, &err) ? HF__EXIT_OK : HF__EXIT_FAILED;
        hf_json_free(&told);
    }
    if (err.code != HF_OK) {
        hf__out_note("%s: %s", err.name, err.message);
        status = HF__EXIT_FAILED;
    }
    hf__buf_free(&op);
    hf_close(store);
    return status;
}
