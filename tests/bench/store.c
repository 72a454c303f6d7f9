/* How a case's store comes and goes: made and filled, then opened with its layers, or taken over by SQLite alone. */
#include "bench/bench.h"

static const char pass[] = "return {ops = '*', handle = function(op, next) return next(op) end}";

static int pass_in_c(hf_layer *layer, const hf_op *op, hf_result *result, hf_error *err) {
    return hf_next(layer, op, result, err);
}

void ask(const subject *s, const hf_op *op, hf_result *result) {
    hf_error err;
    if (hf_exec(s->store, op, result, &err) != HF_OK) die("%s: %s: %s", s->is->name, op->op, err.message);
}

void run(const subject *s, const hf_op *op) {
    hf_result result = {0};
    ask(s, op, &result);
    hf_result_free(&result);
}

char *make_content(size_t size) {
    static const char words[] = "The tool returned three files, and the second of them looks like a match. ";
    char *content = allocate(size + 1, 1);
    for (size_t i = 0; i < size; i++)
        content[i] = words[i % (sizeof words - 1)];
    return content;
}

static void swallow(void *data, hf_level level, const char *layer, const char *message, hf_text fields) {
    (void)data, (void)level, (void)layer, (void)message, (void)fields;
}

static int add_layer(subject *s, const char *name, const char **stock, hf_error *err) {
    const bench_case *is = s->is;
    static const char *const all[] = {"*", NULL};
    if (*stock != NULL) {
        char file[32];
        size_t length = strcspn(*stock, ",");
        snprintf(file, sizeof file, "%.*s", (int)length, *stock);
        *stock += length + ((*stock)[length] == ',');
        return hf_use_file(s->store, file, (hf_text){0}, err);
    }
    if (is->in_c)
        return hf_use_function(
            s->store, &(hf_layer_options){.size = sizeof(hf_layer_options), .name = name, .ops = all},
            pass_in_c, err);
    return hf_use_string(s->store, name, hf_text_of(is->script != NULL ? is->script : pass), (hf_text){0},
                         err);
}

hf_store *open_at(const char *path, const bench_case *is) {
    hf_store *store;
    hf_error err;
    hf_options options = {
        .size = sizeof options,
        .durability = is->full ? HF_DURABILITY_FULL : HF_DURABILITY_NORMAL,
        .trusted = is->trusted ? HF_YES : HF_DEFAULT,
        .log = swallow,
    };
    if (hf_open(path, &options, &store, &err) != HF_OK) die("%s: %s", is->name, err.message);
    return store;
}

void open_subject(subject *s, void (*fill)(subject *)) {
    s->content = make_content(s->is->size);
    s->store = open_at(s->path, s->is);
    run(s, &(hf_op){.op = "createConversation", .conversation_id = hf_text_of("bench")});
    if (fill != NULL) fill(s);
    hf_close(s->store);
    s->store = NULL;
    if (s->is->sqlite) {
        s->bare = bare_open(s->path, s->is->full, 0);
        return;
    }
    s->store = open_at(s->path, s->is);
    const char *stock = s->is->stock;
    for (int i = 0; i < s->is->layers; i++) {
        char name[16];
        hf_error err;
        put(name, sizeof name, "layer-%d", i);
        if (add_layer(s, name, &stock, &err) != HF_OK) die("%s: %s: %s", s->is->name, name, err.message);
    }
}

void close_subject(subject *s) {
    hf_close(s->store);
    bare_close(s->bare);
    remove_database(s->path);
    free(s->content);
    free(s->ids);
}
