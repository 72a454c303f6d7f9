/* Putting layers into the chain: scripts, stock middleware and C functions; and loading them again. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/engine.h"
#include "script/sandbox.h"
#include "script/stock.h"

int hf__engine_use(hf_store *store, hf__layer_maker make, void *data, hf_error *err) {
    hf__layer_def layer = {0};
    int rc = hf__engine_enter(store, err);
    if (rc != HF_OK) return rc;
    rc = make(data, store, &layer, err);
    if (rc == HF_OK) {
        rc = hf__chain_add(&store->chain, &layer, err);
        layer.destroy = NULL; /* what a failed call was given stays its caller's */
        if (rc != HF_OK) hf__layer_free(&layer);
    }
    hf__readers_note_chain(store);
    hf__engine_leave(store);
    return rc;
}

/* ---- Scripts ----------------------------------------------------------------------------------- */

typedef struct script {
    char name[64];            /* of the layer, unless the chunk gives one */
    char chunk[PATH_MAX + 1]; /* what messages call the source */
    const char *folder;
    hf_text source;
    hf_text config;
    const hf__chain *chain; /* whose names are taken; NULL for the store's own */
} script;

static int make_from_script(void *data, hf_store *store, hf__layer_def *out, hf_error *err) {
    const script *from = data;
    if (store->vm == NULL) store->vm = hf__vm_new(store->trusted ? NULL : &store->budget);
    if (store->vm == NULL) return hf__fail_memory(err);
    return hf__layer_load(store->vm, from->chain != NULL ? from->chain : &store->chain, &store->host,
                          from->name, from->chunk, from->folder, from->source, from->config, out, err);
}

/* The layer's name from a file's: without folder and ending, '-' for '_'. */
static void name_from_path(const char *path, char name[64]) {
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    size_t size = dot != NULL && dot > base ? (size_t)(dot - base) : strlen(base);
    if (size > 63) size = 63;
    for (size_t i = 0; i < size; i++)
        name[i] = base[i] == '_' ? '-' : base[i];
    name[size] = '\0';
}

static int use_stock(hf_store *store, const char *name, hf_text config, hf_error *err) {
    static const char prefix[] = "holdfast.middleware.";
    script from = {.config = config};
    for (size_t i = 0; i < hf__stock_modules_count; i++) {
        const hf__stock_module *module = &hf__stock_modules[i];
        if (strncmp(module->name, prefix, sizeof prefix - 1) != 0) continue;
        name_from_path(module->name + sizeof prefix - 1, from.name);
        if (strcmp(from.name, name) != 0 && strcmp(module->name + sizeof prefix - 1, name) != 0) continue;
        snprintf(from.chunk, sizeof from.chunk, "=%s", module->name);
        from.source = (hf_text){module->source, module->size};
        return hf__engine_use(store, make_from_script, &from, err);
    }
    return hf__fail(err, HF_INVALID,
                    "\"%.200s\" is no stock middleware: expected one of their names, or the path "
                    "of a Lua file",
                    name);
}

/* Reads a whole file that is no larger than a script may be; the caller frees what it gets. */
static int read_script(const char *path, char **data, size_t *size, hf_error *err) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return hf__fail(err, HF_INVALID, "%.400s: %s", path, strerror(errno));
    int rc = HF_OK;
    *data = hf__alloc(HF__MAX_SCRIPT + 1);
    if (*data == NULL) {
        rc = hf__fail_memory(err);
    } else {
        *size = fread(*data, 1, HF__MAX_SCRIPT + 1, file);
        if (ferror(file))
            rc = hf__fail(err, HF_INVALID, "%.400s: %s", path, strerror(errno));
        else if (*size > HF__MAX_SCRIPT)
            rc = hf__fail(err, HF_INVALID, "%.400s: expected a script of at most %zu bytes", path,
                          HF__MAX_SCRIPT);
    }
    fclose(file);
    return rc;
}

/* Makes a layer of the file at `path`, which it remembers. `chain` is the one whose names are taken. */
static int make_from_file(hf_store *store, const hf__chain *chain, const char *path, hf_text config,
                          hf__layer_def *out, hf_error *err) {
    script from = {.config = config, .chain = chain};
    char *source = NULL, real[PATH_MAX];
    int rc = read_script(path, &source, &from.source.size, err);
    if (rc == HF_OK && realpath(path, real) == NULL)
        rc = hf__fail(err, HF_INVALID, "%.400s: %s", path, strerror(errno));
    if (rc == HF_OK) {
        name_from_path(path, from.name);
        snprintf(from.chunk, sizeof from.chunk, "@%s", path);
        *strrchr(real, '/') = '\0'; /* an absolute path has one; "" is the root folder */
        from.folder = real;
        from.source.data = source;
        rc = make_from_script(&from, store, out, err);
    }
    hf__free(source);
    if (rc != HF_OK) return rc;
    out->path = strdup(path);
    if (config.data != NULL) out->config = strndup(config.data, config.size);
    if (out->path != NULL && (config.data == NULL || out->config != NULL)) return HF_OK;
    hf__layer_free(out);
    return hf__fail_memory(err);
}

typedef struct file {
    const char *path;
    hf_text config;
} file;

static int make_from_path(void *data, hf_store *store, hf__layer_def *out, hf_error *err) {
    const file *from = data;
    return make_from_file(store, &store->chain, from->path, from->config, out, err);
}

int hf_use_file(hf_store *store, const char *path, hf_text config, hf_error *err) {
    if (path == NULL) return hf__fail(err, HF_MISUSE, "hf_use_file: expected a path, found NULL");
    if (strchr(path, '/') == NULL && strchr(path, '.') == NULL) return use_stock(store, path, config, err);
    file from = {path, config};
    return hf__engine_use(store, make_from_path, &from, err);
}

int hf_use_string(hf_store *store, const char *name, hf_text source, hf_text config, hf_error *err) {
    if (name == NULL || source.data == NULL)
        return hf__fail(err, HF_MISUSE, "hf_use_string: expected a name and a source, found NULL");
    script from = {.source = source, .config = config};
    if (strlen(name) >= sizeof from.name)
        return hf__fail(err, HF_INVALID, "layer name \"%.80s\": expected at most %zu bytes", name,
                        sizeof from.name - 1);
    snprintf(from.name, sizeof from.name, "%s", name);
    snprintf(from.chunk, sizeof from.chunk, "=%s", name);
    return hf__engine_use(store, make_from_script, &from, err);
}

/* ---- C functions ------------------------------------------------------------------------------- */

typedef struct function {
    const hf_layer_options *options;
    hf_layer_fn fn;
} function;

static int kinds_of(const char *const *ops, hf__kinds *kinds, hf_error *err) {
    *kinds = ops == NULL ? hf__default_kinds() : 0;
    for (; ops != NULL && *ops != NULL; ops++) {
        const hf__op_def *def = hf__op_find(*ops, strlen(*ops));
        if (strcmp(*ops, "*") == 0)
            *kinds = HF__KIND_BIT(HF__KINDS) - 1;
        else if (def != NULL)
            *kinds |= HF__KIND_BIT(def->kind);
        else
            return hf__unknown_op(hf_text_of(*ops), err);
    }
    return HF_OK;
}

static int make_from_function(void *data, hf_store *store, hf__layer_def *out, hf_error *err) {
    const function *from = data;
    const hf_layer_options *options = from->options;
    int rc = hf__chain_check_name(&store->chain, options->name, err);
    if (rc == HF_OK) rc = kinds_of(options->ops, &out->wants, err);
    if (rc != HF_OK) return rc;
    snprintf(out->name, sizeof out->name, "%s", options->name);
    out->fn = from->fn;
    out->data = options->data;
    out->destroy = options->destroy;
    return HF_OK;
}

int hf_use_function(hf_store *store, const hf_layer_options *options, hf_layer_fn fn, hf_error *err) {
    if (options == NULL || options->size != sizeof *options)
        return hf__fail(err, HF_MISUSE, "hf_use_function: expected options whose size is set");
    function from = {options, fn};
    int rc = options->name != NULL && fn != NULL
                 ? hf__engine_use(store, make_from_function, &from, err)
                 : hf__fail(err, HF_MISUSE, "hf_use_function: expected a name and a function, found NULL");
    if (rc != HF_OK && options->destroy != NULL) options->destroy(options->data);
    return rc;
}

/* ---- Reload ------------------------------------------------------------------------------------ */

/* The chain anew, beside the old one: files are loaded, other layers are the same. What it loaded bears its path; on
 * failure nothing is left of it. */
static int load_again(hf_store *store, hf__chain *fresh, hf_error *err) {
    for (size_t i = 0; i < store->chain.count; i++) {
        hf__layer_def layer = store->chain.layers[i];
        int rc = HF_OK;
        if (layer.path != NULL)
            rc = make_from_file(store, fresh, layer.path, hf_text_of(layer.config), &layer, err);
        else
            rc = hf__chain_check_name(fresh, layer.name, err);
        if (rc != HF_OK) return rc;
        rc = hf__chain_add(fresh, &layer, err);
        if (rc != HF_OK && layer.path != NULL) hf__layer_free(&layer);
        if (rc != HF_OK) return rc;
    }
    return HF_OK;
}

int hf_reload(hf_store *store, hf_error *err) {
    hf__chain fresh = {0};
    int rc = hf__engine_enter(store, err);
    if (rc != HF_OK) return rc;
    hf__chain *old = &store->chain;
    fresh.quarantine_after = old->quarantine_after;
    rc = load_again(store, &fresh, err);
    for (size_t i = 0; i < fresh.count; i++) {
        hf__layer_def *layer = &fresh.layers[i];
        if (layer->path == NULL) continue;
        if (rc == HF_OK) { /* ctx.state stays with the layer's place */
            int state = layer->state;
            layer->state = old->layers[i].state;
            old->layers[i].state = state;
            hf__layer_free(&old->layers[i]);
        } else {
            hf__layer_free(layer);
        }
    }
    hf__free(rc == HF_OK ? old->layers : fresh.layers);
    if (rc == HF_OK) *old = fresh;
    hf__readers_note_chain(store);
    hf__engine_leave(store);
    return rc;
}
