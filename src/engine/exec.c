/* One op, from the host's call to its answer. Whose turn it is, and who commits, is left to turn.c. */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "engine/engine.h"
#include "op/check.h"
#include "op/text.h"

/* What every op goes through before its turn comes. */
int hf__job_check(const hf_store *store, hf__job *job) {
    const hf_op *op = job->op;
    const hf__op_def *def = NULL;
    job->rc = hf__op_check(op, &store->host.limits, &def, job->err);
    if (job->rc != HF_OK) return job->rc;
    job->def = def;
    job->kinds = HF__KIND_BIT(def->kind);
    for (size_t i = 0; i < op->ops_count; i++)
        job->kinds |= HF__KIND_BIT(hf__op_find(op->ops[i].op, strlen(op->ops[i].op))->kind);
    return HF_OK;
}

bool hf__job_is_plain(const hf_store *store, const hf__job *job) {
    return !job->traced && (store->chain.wanted & job->kinds) == 0;
}

/* The ids of a batch's ops, which are copied for that. */
static int mint_inside(hf__host *host, hf__arena *arena, hf_op *batch, hf_error *err) {
    hf_op *ops = hf__arena_array(arena, batch->ops_count, sizeof *ops);
    char(*ids)[HF__UUID_SIZE + 1] = hf__arena_array(arena, batch->ops_count, sizeof *ids);
    if (ops == NULL || ids == NULL) return hf__fail_memory(err);
    for (size_t i = 0; i < batch->ops_count; i++) {
        ops[i] = batch->ops[i];
        int rc = hf__host_mint(host, hf__op_find(ops[i].op, strlen(ops[i].op)), &ops[i], ids[i], err);
        if (rc != HF_OK) return rc;
    }
    batch->ops = ops;
    return HF_OK;
}

/* A copy of the host's op with the ids that are minted before the chain runs. */
static int mint(hf_store *store, hf__job *job) {
    job->minted = *job->op;
    if (job->def->kind == HF__KIND_batch)
        return mint_inside(&store->host, &job->arena, &job->minted, job->err);
    return hf__host_mint(&store->host, job->def, &job->minted, job->id, job->err);
}

static int run_through_chain(hf_store *store, hf__job *job) {
    job->frame = (hf__frame){.chain = &store->chain,
                             .txn = &store->txn,
                             .host = &store->host,
                             .context = job->minted.context,
                             .trace = job->traced ? &job->trace : NULL,
                             .dry_run = job->dry_run};
    hf_op bare = job->minted;
    bare.context = NULL;
    int rc = hf__frame_run(&job->frame, job->def, &bare, job->result, job->err);
    if (rc == HF_OK && !job->dry_run)
        rc = hf__transaction_end(&store->txn, job->err);
    else
        hf__transaction_rollback(&store->txn);
    job->awaits = rc == HF_OK && !job->dry_run && hf__frame_awaits(&job->frame);
    if (!job->awaits) hf__frame_end(&job->frame, false);
    return rc;
}

/* Whether it has a part in a transaction that stayed open. Then its frame, where it is not at its end, lets go of the
 * states that the next op may enter. */
static void note_part(hf_store *store, hf__job *job) {
    if (store->txn.phase == HF__IDLE) return;
    if (store->line.ops++ == 0) store->line.since = hf__monotonic_ns();
    job->shared = store->txn.touched;
    if (job->shared && job->awaits) hf__frame_park(&job->frame);
}

void hf__job_run(hf_store *store, hf__job *job) {
    if (job->traced) job->begun = hf__monotonic_ns();
    if (job->rc == HF_OK) job->rc = mint(store, job);
    if (job->rc != HF_OK) return;
    hf__transaction_next(&store->txn, job->def->writes);
    if (hf__job_is_plain(store, job))
        job->rc = hf__transaction_whole(&store->txn, job->def, &job->minted, job->result, job->err);
    else
        job->rc = run_through_chain(store, job);
    note_part(store, job);
}

bool hf__job_needs_turn(const hf__job *job) {
    return job->awaits || job->traced;
}

static void tell(hf_store *store, hf__job *job) {
    static const hf_error good;
    hf__buf buf;
    hf__buf_init(&buf, 0);
    hf__trace_write(&buf, store, &job->trace, job->op, job->result, hf__monotonic_ns() - job->begun,
                    job->rc == HF_OK ? &good : job->err);
    if (buf.state == HF__BUF_OK) store->trace(store->trace_data, hf__buf_view(&buf));
    hf__buf_free(&buf);
    hf__arena_free(&job->trace.arena);
}

void hf__job_finish(hf_store *store, hf__job *job, int outcome, const hf_error *why) {
    bool own = job->rc == outcome; /* it brought that about itself, and says more */
    if (outcome != HF_OK && !own) {
        job->rc = outcome;
        *job->err = *why;
    }
    if (job->awaits) {
        if (job->shared) hf__frame_resume(&job->frame);
        hf__frame_end(&job->frame, job->rc == HF_OK);
    }
    if (job->rc != HF_OK && job->def != NULL) {
        hf__error_about(job->err, &job->minted);
        if (job->rc == HF_UNKNOWN && job->def->mints == HF__MINTS_CONVERSATION)
            hf__error_prefix(job->err, "conversation \"%.*s\": ", (int)job->minted.conversation_id.size,
                             job->minted.conversation_id.data);
        hf_result_free(job->result);
    }
    if (job->traced && !job->dry_run) tell(store, job);
    hf__arena_free(&job->arena);
}

/* From the line to the commit, and out of the store. */
static void take_turn(hf_store *store, hf__seat *seat, hf__job *job) {
    hf__turn_take(store, seat, false, job);
    if (seat->has_turn) hf__job_run(store, job);
    if (!job->shared) hf__job_finish(store, job, HF_OK, NULL);
    if (seat->has_turn) hf__turn_share(store, seat, job->shared, hf__job_needs_turn(job));
    if (job->shared) hf__job_finish(store, job, seat->outcome, &seat->why);
    hf__turn_leave(store, seat);
}

int hf_exec(hf_store *store, const hf_op *op, hf_result *result, hf_error *err) {
    hf_result unwanted;
    hf_error unwanted_error;
    hf__seat seat;
    hf__job job;
    if (err == NULL) err = &unwanted_error;
    if (op == NULL) return hf__fail(err, HF_MISUSE, "hf_exec: expected an op, found NULL");
    if (result == NULL) {
        result = &unwanted;
        hf__zero(&unwanted, sizeof unwanted);
    }
    hf_result_free(result);
    int rc = hf__engine_check(store, err);
    if (rc != HF_OK) return rc;
    hf__zero(&job, sizeof job);
    job.op = op;
    job.result = result;
    job.err = err;
    job.traced = store->trace != NULL;
    bool answered = hf__job_check(store, &job) == HF_OK ? hf__readers_answer(store, &job) : !job.traced;
    if (!answered) {
        rc = hf__seat_open(&seat, err);
        if (rc != HF_OK) return rc;
        take_turn(store, &seat, &job);
        hf__seat_close(&seat);
    }
    if (result == &unwanted) hf_result_free(&unwanted);
    return job.rc;
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
