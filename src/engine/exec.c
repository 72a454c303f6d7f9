/* One op, from the host's call to its answer. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "chain/frame.h"
#include "engine/engine.h"
#include "op/check.h"
#include "op/text.h"

/* A copy of the host's op with the ids that are minted before the chain runs, in a batch's ops too. */
static int mint(hf__host *host, hf__arena *arena, const hf__op_def *def, hf_op *op, hf_error *err) {
    if (def->kind == HF__KIND_batch) {
        hf_op *ops = hf__arena_array(arena, op->ops_count, sizeof *ops);
        if (ops == NULL) return hf__fail_memory(err);
        for (size_t i = 0; i < op->ops_count; i++) {
            ops[i] = op->ops[i];
            int rc = mint(host, arena, hf__op_find(ops[i].op, strlen(ops[i].op)), &ops[i], err);
            if (rc != HF_OK) return rc;
        }
        op->ops = ops;
        return HF_OK;
    }
    char id[HF__UUID_SIZE + 1];
    hf_text *field = def->mints == HF__MINTS_MESSAGE ? &op->message_id : &op->conversation_id;
    if (def->mints == HF__MINTS_NOTHING || field->data != NULL) return HF_OK;
    int rc = hf__host_uuid(host, id, err);
    if (rc != HF_OK) return rc;
    *field = hf__arena_text(arena, (hf_text){id, HF__UUID_SIZE});
    return field->data != NULL ? HF_OK : hf__fail_memory(err);
}

/* Whether any layer wants the op, or one of the ops inside it. */
static bool is_wanted(const hf__chain *chain, const hf_op *op, const hf__op_def *def) {
    if ((chain->wanted & HF__KIND_BIT(def->kind)) != 0) return true;
    for (size_t i = 0; i < op->ops_count; i++)
        if (is_wanted(chain, &op->ops[i], hf__op_find(op->ops[i].op, strlen(op->ops[i].op)))) return true;
    return false;
}

static int run_through_chain(hf_store *store, hf__transaction *txn, const hf__op_def *def, const hf_op *op,
                             hf__trace *trace, bool dry_run, hf_result *result, hf_error *err) {
    hf__frame frame = {.chain = &store->chain,
                       .txn = txn,
                       .host = &store->host,
                       .context = op->context,
                       .trace = trace,
                       .dry_run = dry_run};
    hf_op bare = *op;
    bare.context = NULL;
    int rc = hf__frame_run(&frame, def, &bare, result, err);
    if (rc == HF_OK && !dry_run)
        rc = hf__transaction_commit(txn, err);
    else
        hf__transaction_rollback(txn);
    hf__frame_end(&frame, rc == HF_OK && !dry_run);
    return rc;
}

int hf__engine_run(hf_store *store, const hf_op *op, hf__trace *trace, bool dry_run, hf_result *result,
                   hf_error *err) {
    const hf__op_def *def;
    int rc = hf__op_check(op, &store->host.limits, &def, err);
    if (rc != HF_OK) return rc;
    hf__arena arena = {0};
    hf_op minted = *op;
    hf__transaction txn = {
        .terminal = &store->terminal, .checks_answers = store->host_terminal, .wants_write = def->writes};
    rc = mint(&store->host, &arena, def, &minted, err);
    if (rc == HF_OK) {
        if (trace == NULL && !dry_run && !is_wanted(&store->chain, &minted, def))
            rc = hf__transaction_whole(&txn, def, &minted, result, err);
        else
            rc = run_through_chain(store, &txn, def, &minted, trace, dry_run, result, err);
    }
    if (rc != HF_OK) {
        hf__error_about(err, &minted);
        if (rc == HF_UNKNOWN && def->mints == HF__MINTS_CONVERSATION)
            hf__error_prefix(err, "conversation \"%.*s\": ", (int)minted.conversation_id.size,
                             minted.conversation_id.data);
        hf_result_free(result);
    }
    hf__arena_free(&arena);
    return rc;
}

/* hf__engine_run for a host that listens. */
static int run_traced(hf_store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf__trace trace = {0};
    hf_error good = {0};
    hf__buf buf;
    int64_t begun = hf__monotonic_ns();
    int rc = hf__engine_run(store, op, &trace, false, result, err);
    hf__buf_init(&buf, 0);
    hf__trace_write(&buf, store, &trace, op, result, hf__monotonic_ns() - begun, rc == HF_OK ? &good : err);
    if (buf.state == HF__BUF_OK) store->trace(store->trace_data, hf__buf_view(&buf));
    hf__buf_free(&buf);
    hf__arena_free(&trace.arena);
    return rc;
}

int hf_exec(hf_store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf_result unwanted = {0};
    hf_error unwanted_error;
    if (err == NULL) err = &unwanted_error;
    if (op == NULL) return hf__fail(err, HF_MISUSE, "hf_exec: expected an op, found NULL");
    if (result == NULL) result = &unwanted;
    hf_result_free(result);
    int rc = hf__engine_enter(store, err);
    if (rc != HF_OK) return rc;
    rc = store->trace != NULL ? run_traced(store, op, result, err)
                              : hf__engine_run(store, op, NULL, false, result, err);
    hf__engine_leave(store);
    hf_result_free(&unwanted);
    return rc;
}

/* ---- JSON -------------------------------------------------------------------------------------- */

void hf_json_free(hf_json *json) {
    if (json == NULL) return;
    hf__free(json->data);
    *json = (hf_json){0};
}

int hf__engine_give(hf__buf *buf, hf_json *out, hf_error *err) {
    int rc = hf__buf_check(buf, "the answer as JSON", err);
    if (rc == HF_OK) out->data = hf__buf_take(buf, &out->size);
    hf__buf_free(buf);
    return rc;
}

int hf_exec_json(hf_store *store, hf_text json, hf_json *out, hf_error *err) {
    hf_json unwanted = {0};
    if (out == NULL) out = &unwanted;
    *out = (hf_json){0};
    if (store == NULL) return hf__fail(err, HF_MISUSE, "expected a store, found NULL");
    hf__arena arena = {0};
    hf_op op = {0};
    hf_result result = {0};
    int rc = hf__op_from_json(&arena, json, &store->host.limits, &op, err);
    if (rc == HF_OK) rc = hf_exec(store, &op, &result, err);
    if (rc == HF_OK) {
        hf__buf buf;
        hf__buf_init(&buf, 0);
        hf__result_to_json(&buf, &result);
        rc = hf__engine_give(&buf, out, err);
    }
    hf_result_free(&result);
    hf__arena_free(&arena);
    hf_json_free(&unwanted);
    return rc;
}

int hf_error_json(const hf_error *error, hf_json *out) {
    hf__buf buf;
    hf_error err;
    if (error == NULL || out == NULL) return HF_MISUSE;
    *out = (hf_json){0};
    hf__buf_init(&buf, 0);
    hf__error_to_json(&buf, error);
    return hf__engine_give(&buf, out, &err);
}
