/* The life of a store, and the look at one that is not open. */
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/engine.h"
#include "store/doctor.h"
#include "store/store.h"

const char *hf_version(void) {
    return HF_VERSION;
}

static int open_terminal(hf_store *store, const char *path, const hf_options *options, hf_error *err) {
    if (options != NULL && options->terminal != NULL) {
        if (options->terminal->size != sizeof(hf_terminal) || options->terminal->exec == NULL)
            return hf__fail(err, HF_MISUSE, "hf_options.terminal: expected its size and its exec to be set");
        store->terminal = *options->terminal;
        store->host_terminal = true;
        return HF_OK;
    }
    hf__store_options settings = {
        .durability = options != NULL ? options->durability : HF_DURABILITY_FULL,
        .busy_timeout_ms = options != NULL && options->busy_timeout_ms != 0 ? options->busy_timeout_ms : 250,
        .host = &store->host,
        .view_dir = options != NULL ? options->view_dir : NULL,
    };
    if (path == NULL) return hf__fail(err, HF_MISUSE, "hf_open: expected a path, found NULL");
    if (settings.busy_timeout_ms < 0 || settings.durability > HF_DURABILITY_NORMAL)
        return hf__fail(err, HF_MISUSE, "hf_options: a durability or busy_timeout_ms that makes no sense");
    return hf__store_open(path, &settings, &store->terminal, err);
}

enum { MS = 1000000 }; /* in ns */

static void take_options(hf_store *store, const hf_options *options) {
    hf_options given = {0};
    if (options != NULL) given = *options;
    int64_t most_ms = INT64_MAX / 2 / MS; /* 146 years, so that a clock may be added */
    int64_t ms = given.max_lua_ms != 0 ? given.max_lua_ms : 1000;
    store->budget = (hf__budget_limits){
        .time_ns = (ms < most_ms ? ms : most_ms) * MS,
        .instructions = given.max_lua_instructions != 0 ? given.max_lua_instructions : 100000000,
        .memory = given.max_lua_memory != 0 ? given.max_lua_memory : (size_t)64 * 1024 * 1024,
    };
    store->trusted = given.trusted == HF_YES;
    store->inbox.most = given.max_submitted != 0 ? given.max_submitted : 10000;
    store->readers.most = given.max_readers != 0 ? given.max_readers : 4;
    store->trace = given.trace;
    store->trace_data = given.trace_data;
}

/* An op among others must be undone alone, and all of them together. */
static bool can_share(const hf_terminal *terminal) {
    return terminal->begin != NULL && terminal->commit != NULL && terminal->rollback != NULL &&
           terminal->mark != NULL && terminal->release != NULL && terminal->undo != NULL;
}

static int open_parts(hf_store *store, const char *path, const hf_options *options, hf_error *err) {
    int rc = hf__line_open(&store->line, err);
    if (rc != HF_OK) return rc;
    take_options(store, options);
    rc = hf__readers_open(&store->readers, err);
    if (rc == HF_OK) {
        rc = open_terminal(store, path, options, err);
        if (rc != HF_OK) hf__readers_close(&store->readers);
    }
    if (rc != HF_OK) hf__line_close(&store->line);
    return rc;
}

int hf_open(const char *path, const hf_options *options, hf_store **out, hf_error *err) {
    if (out == NULL) return hf__fail(err, HF_MISUSE, "hf_open: expected a place for the store, found NULL");
    *out = NULL;
    hf_store *store = hf__alloc_zero(sizeof *store);
    if (store == NULL) return hf__fail_memory(err);
    int rc = hf__host_init(&store->host, options, err);
    if (rc == HF_OK) rc = open_parts(store, path, options, err);
    if (rc != HF_OK) {
        hf__free(store);
        return rc;
    }
    store->txn = (hf__transaction){.terminal = &store->terminal, .checks_answers = store->host_terminal};
    if (can_share(&store->terminal)) {
        store->txn.stays = hf__turn_goes_on;
        store->txn.stays_data = store;
    }
    hf__home_make(&store->home);
    store->chain.quarantine_after = options != NULL ? options->quarantine_after : 0;
    *out = store;
    return HF_OK;
}

int hf_doctor_json(const char *path, int repair, hf_json *out, hf_error *err) {
    hf__buf report;
    if (out == NULL)
        return hf__fail(err, HF_MISUSE, "hf_doctor_json: expected a place for the report, found NULL");
    *out = (hf_json){0};
    hf__buf_init(&report, 0);
    int rc = hf__store_doctor(path, repair != 0, &report, err);
    if (rc == HF_OK) return hf__engine_give(&report, out, err);
    hf__buf_free(&report);
    return rc;
}

void hf_close(hf_store *store) {
    if (store == NULL || !hf__home_is_here(&store->home) || hf__engine_is_inside(store)) return;
    if (!hf__inbox_close(store)) return;
    hf__chain_free(&store->chain);
    hf__vm_free(store->vm);
    hf__readers_close(&store->readers);
    if (store->terminal.close != NULL) store->terminal.close(store->terminal.data);
    hf__line_close(&store->line);
    hf__home_leave(&store->home);
    hf__free(store);
}
