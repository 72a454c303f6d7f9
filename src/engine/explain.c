/* What happened to an op, told: the record of the host's trace, and the dry run that shows each change. */
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "engine/engine.h"
#include "op/check.h"
#include "op/text.h"
#include "store/store.h"

/* Whether the text so far ends so; it may be empty where memory ran out. */
static bool ends_in(const hf__buf *buf, char c) {
    return buf->size > 0 && buf->data[buf->size - 1] == c;
}

static void write_key(hf__buf *buf, const char *key) {
    if (buf->size > 0 && !ends_in(buf, '{')) hf__buf_char(buf, ',');
    hf__json_write_text(buf, hf_text_of(key));
    hf__buf_char(buf, ':');
}

/* What is no UTF-8 is left out: the op that was refused for it is told all the same. */
static void write_text(hf__buf *buf, const char *key, hf_text text) {
    if (text.data == NULL || hf__utf8_check(text.data, text.size) != text.size) return;
    write_key(buf, key);
    hf__json_write_text(buf, text);
}

static void write_string(hf__buf *buf, const char *key, const char *text) {
    if (text != NULL && text[0] != '\0') write_text(buf, key, hf_text_of(text));
}

static void write_int(hf__buf *buf, const char *key, int64_t number) {
    write_key(buf, key);
    hf__json_write_int(buf, number);
}

static int64_t us(int64_t ns) {
    return (ns + 500) / 1000;
}

/* ---- What a layer changed ---------------------------------------------------------------------- */

typedef struct path {
    const struct path *outer;
    hf_text key;
    size_t position; /* in a list, from 1; 0 in a map */
} path;

static void write_path(hf__buf *buf, const path *at) {
    if (at->outer != NULL) {
        write_path(buf, at->outer);
        if (at->position == 0 && buf->size > 0 && buf->data[buf->size - 1] != '"') hf__buf_char(buf, '.');
    }
    if (at->position != 0) {
        hf__buf_char(buf, '[');
        hf__json_write_int(buf, (int64_t)at->position);
        hf__buf_char(buf, ']');
    } else if (at->key.data != NULL) {
        hf__buf_text(buf, at->key);
    }
}

static void write_change(hf__buf *buf, const path *at, const hf__value *before, const hf__value *after) {
    hf__buf name;
    hf__buf_init(&name, 0);
    write_path(&name, at);
    if (!ends_in(buf, '[')) hf__buf_char(buf, ',');
    hf__buf_char(buf, '{');
    write_text(buf, "path", name.size > 0 ? hf__buf_view(&name) : hf_text_of(""));
    if (name.state == HF__BUF_NO_MEMORY) buf->state = HF__BUF_NO_MEMORY;
    if (before != NULL) {
        write_key(buf, "before");
        hf__json_write(buf, before);
    }
    if (after != NULL) {
        write_key(buf, "after");
        hf__json_write(buf, after);
    }
    hf__buf_char(buf, '}');
    hf__buf_free(&name);
}

static void write_changes(hf__buf *buf, hf__arena *arena, const path *at, const hf__value *before,
                          const hf__value *after);

static void write_list_changes(hf__buf *buf, hf__arena *arena, const path *at, const hf__value *before,
                               const hf__value *after) {
    path inner = {.outer = at};
    const hf__value *other = after->is.items.first;
    for (const hf__value *item = before->is.items.first; item != NULL;
         item = item->next, other = other->next) {
        inner.position++;
        write_changes(buf, arena, &inner, item, other);
    }
}

static void write_map_changes(hf__buf *buf, hf__arena *arena, const path *at, const hf__value *before,
                              const hf__value *after) {
    const hf__value **olds = hf__value_sorted(arena, before), **news = hf__value_sorted(arena, after);
    if (olds == NULL || news == NULL) {
        buf->state = HF__BUF_NO_MEMORY;
        return;
    }
    for (const hf__value *item = before->is.items.first; item != NULL; item = item->next) {
        path inner = {.outer = at, .key = item->key};
        const hf__value *other = hf__value_find(news, after->is.items.count, item);
        if (other != NULL)
            write_changes(buf, arena, &inner, item, other);
        else
            write_change(buf, &inner, item, NULL);
    }
    for (const hf__value *item = after->is.items.first; item != NULL; item = item->next) {
        path inner = {.outer = at, .key = item->key};
        if (hf__value_find(olds, before->is.items.count, item) == NULL) write_change(buf, &inner, NULL, item);
    }
}

/* Maps and lists of equal length are compared within; anything else as a whole. */
static void write_changes(hf__buf *buf, hf__arena *arena, const path *at, const hf__value *before,
                          const hf__value *after) {
    if (hf__value_equal(before, after)) return;
    if (before->type == HF__LIST && after->type == HF__LIST &&
        before->is.items.count == after->is.items.count)
        write_list_changes(buf, arena, at, before, after);
    else if (before->type == HF__MAP && after->type == HF__MAP)
        write_map_changes(buf, arena, at, before, after);
    else
        write_change(buf, at, before, after);
}

static void write_difference(hf__buf *buf, const char *key, hf_text before, hf_text after) {
    hf__arena arena = {0};
    const hf__value *old, *new;
    write_key(buf, key);
    hf__buf_char(buf, '[');
    if (before.data != NULL && after.data != NULL &&
        hf__json_parse(&arena, before, 500, &old, NULL) == HF_OK &&
        hf__json_parse(&arena, after, 500, &new, NULL) == HF_OK) {
        path root = {0};
        write_changes(buf, &arena, &root, old, new);
    }
    hf__buf_char(buf, ']');
    hf__arena_free(&arena);
}

/* ---- The trace --------------------------------------------------------------------------------- */

static void write_step(hf__buf *buf, const hf__step *step) {
    write_string(buf, "layer", step->layer);
    write_string(buf, "op", step->op);
    write_int(buf, "depth", step->depth);
    const char *did = hf__step_did(step);
    bool erred = strcmp(did, "refused") == 0 || strcmp(did, "failed") == 0;
    if (step->layer != NULL || erred) write_string(buf, "did", did);
    write_int(buf, "us", us(step->spent - step->within));
    if (erred) write_string(buf, "code", step->code);
}

void hf__trace_write(hf__buf *buf, const hf_store *store, const hf__trace *trace, const hf_op *op,
                     const hf_result *result, int64_t spent_ns, const hf_error *err) {
    int64_t terminal = 0;
    const hf_context *context = op->context;
    hf__buf_char(buf, '{');
    write_string(buf, "op", op->op);
    write_text(buf, "conversationId", op->conversation_id);
    if (op->message_id.data != NULL)
        write_text(buf, "messageId", op->message_id);
    else if (err->code != HF_OK)
        write_string(buf, "messageId", err->message_id);
    else if (result->message != NULL)
        write_text(buf, "messageId", result->message->id);
    if (context != NULL) write_text(buf, "requestId", context->request_id);
    write_key(buf, "chain");
    hf__buf_char(buf, '[');
    for (size_t i = 0; i < store->chain.count; i++) {
        if (i > 0) hf__buf_char(buf, ',');
        hf__json_write_text(buf, hf_text_of(store->chain.layers[i].name));
    }
    hf__buf_string(buf, "],\"layers\":[");
    for (const hf__step *step = trace->first; step != NULL; step = step->next) {
        if (step->layer == NULL) terminal += step->spent;
        if (step->layer == NULL) continue;
        if (!ends_in(buf, '[')) hf__buf_char(buf, ',');
        hf__buf_char(buf, '{');
        write_step(buf, step);
        hf__buf_char(buf, '}');
    }
    hf__buf_char(buf, ']');
    write_int(buf, "terminalUs", us(terminal));
    write_int(buf, "us", us(spent_ns));
    write_string(buf, "outcome", err->code == HF_OK ? "ok" : "error");
    write_string(buf, "code", err->name);
    hf__buf_char(buf, '}');
}

/* ---- Explain ----------------------------------------------------------------------------------- */

static void write_raw(hf__buf *buf, const char *key, hf_text json) {
    if (json.data == NULL) return;
    write_key(buf, key);
    hf__buf_text(buf, json);
}

static void write_steps(hf__buf *buf, const hf__trace *trace) {
    hf__buf_string(buf, ",\"steps\":[");
    for (const hf__step *step = trace->first; step != NULL; step = step->next) {
        if (step != trace->first) hf__buf_char(buf, ',');
        hf__buf_char(buf, '{');
        if (step->layer == NULL) {
            hf__buf_string(buf, "\"terminal\":true");
            write_step(buf, step);
            write_raw(buf, "stored", step->gave);
        } else {
            write_step(buf, step);
            if (step->passed) {
                write_difference(buf, "changes", step->given, step->handed);
                write_difference(buf, "resultChanges", step->got, step->gave);
            } else {
                write_raw(buf, "answer", step->gave);
            }
        }
        hf__buf_char(buf, '}');
    }
    hf__buf_char(buf, ']');
}

static void write_explanation(hf__buf *buf, const hf_op *op, const hf__trace *trace, int64_t spent_ns,
                              const hf_result *result, const hf_error *err) {
    hf__buf_char(buf, '{');
    write_string(buf, "op", op->op);
    write_string(buf, "outcome", err->code == HF_OK ? "ok" : "error");
    write_int(buf, "us", us(spent_ns));
    write_steps(buf, trace);
    if (err->code != HF_OK) {
        write_key(buf, "error");
        hf__error_to_json(buf, err);
    } else {
        write_key(buf, "result");
        hf__result_to_json(buf, result);
    }
    hf__buf_char(buf, '}');
}

int hf_explain_json(hf_store *store, hf_text json, hf_json *out, hf_error *err) {
    hf_error unwanted_error;
    if (err == NULL) err = &unwanted_error;
    if (out == NULL) return hf__fail(err, HF_MISUSE, "expected a place for the explanation, found NULL");
    *out = (hf_json){0};
    if (store == NULL) return hf__fail(err, HF_MISUSE, "expected a store, found NULL");
    if (store->terminal.begin == NULL || store->terminal.rollback == NULL)
        return hf__fail(err, HF_MISUSE,
                        "explain needs a terminal with transactions: this one cannot roll back");
    hf__arena arena = {0};
    hf_op op = {0};
    hf_result result = {0};
    hf_error outcome = {0};
    hf__job job = {.op = &op, .result = &result, .err = err, .traced = true, .dry_run = true};
    int rc = hf__op_from_json(&arena, json, &store->host.limits, &op, err);
    if (rc == HF_OK) rc = hf__job_check(store, &job);
    job.err = &outcome;
    if (rc == HF_OK) rc = hf__engine_enter(store, err);
    if (rc == HF_OK) {
        if (!store->host_terminal) hf__store_dry_run(&store->terminal, true);
        hf__job_run(store, &job);
        hf__job_finish(store, &job, HF_OK, NULL);
        if (!store->host_terminal) hf__store_dry_run(&store->terminal, false);
        if (job.rc == HF_OK) outcome = (hf_error){0};
        int64_t spent = hf__monotonic_ns() - job.begun;
        hf__buf buf;
        hf__buf_init(&buf, 0);
        write_explanation(&buf, &op, &job.trace, spent, &result, &outcome);
        hf__engine_leave(store);
        rc = hf__engine_give(&buf, out, err);
    }
    hf_result_free(&result);
    hf__arena_free(&job.trace.arena);
    hf__arena_free(&arena);
    return rc;
}
