/*
 * Ops that nobody waits for: kept in the order in which they came, and run by one thread of the store's own, as many
 * in one turn and one commit as are there. What a turn and a commit are is left to turn.c, an op to exec.c.
 */
#include <signal.h>

#include "base/error.h"
#include "engine/engine.h"
#include "op/check.h"
#include "op/text.h"

/* One op, from hf_submit to the end of its `done`. */
typedef struct hf__order {
    struct hf__order *next;
    hf__arena arena; /* of the op */
    hf_op op;
    hf_done_fn done;
    void *data;
    hf__job job;
    hf_result result;
    hf_error err;
} hf__order;

static void order_free(hf__order *order) {
    hf_result_free(&order->result);
    hf__arena_free(&order->arena);
    hf__free(order);
}

/* ---- The thread -------------------------------------------------------------------------------- */

/* All that is there, so that who submits and who runs seldom meet at the lock. */
static void empty(hf_store *store) {
    hf__inbox *inbox = &store->inbox;
    pthread_mutex_lock(&store->line.lock);
    inbox->taken = inbox->first;
    inbox->first = NULL;
    pthread_mutex_unlock(&store->line.lock);
}

/* The next one; notes whether there are more. NULL at the end. */
static hf__order *take_next(hf_store *store) {
    hf__inbox *inbox = &store->inbox;
    if (inbox->taken == NULL) empty(store);
    hf__order *order = inbox->taken;
    if (order != NULL) inbox->taken = order->next;
    if (inbox->taken == NULL) empty(store);
    store->line.more = inbox->taken != NULL;
    return order;
}

/* A host's Lua state belongs to the host's thread. */
static bool has_host_state(const hf__chain *chain) {
    for (size_t i = 0; i < chain->count; i++)
        if (chain->layers[i].vm != NULL && !chain->layers[i].vm->own) return true;
    return false;
}

static void run_order(hf_store *store, hf__order *order) {
    hf__job *job = &order->job;
    if (has_host_state(&store->chain)) {
        job->rc = hf__fail(&order->err, HF_MISUSE,
                           "the chain has a layer in a Lua state of the host's own, which the store's thread "
                           "must not enter: use hf_exec");
        hf__error_about(&order->err, &order->op);
        return;
    }
    hf__job_run(store, job);
    if (!job->shared) hf__job_finish(store, job, HF_OK, NULL);
}

/* Runs, in one turn, what is there, and gives the chain of what it ran. */
static hf__order *run_turn(hf_store *store) {
    hf__line *line = &store->line;
    hf__seat *seat = &store->inbox.seat;
    hf__order *first = NULL, **end = &first;
    bool shared = false, again = false;
    hf__turn_take(store, seat, false, NULL);
    int64_t until = hf__monotonic_ns() + line->most_ns;
    for (;;) {
        hf__order *order = take_next(store);
        if (order == NULL) break;
        *end = order;
        end = &order->next;
        run_order(store, order);
        shared = shared || order->job.shared;
        again = again || (order->job.shared && hf__job_needs_turn(&order->job));
        if (!line->more || store->txn.broken || hf__monotonic_ns() >= until) break;
        if (!hf__turn_goes_on(store)) break;
    }
    *end = NULL;
    line->more = false;
    hf__turn_share(store, seat, shared, again);
    for (hf__order *order = first; order != NULL; order = order->next)
        if (order->job.shared) hf__job_finish(store, &order->job, seat->outcome, &seat->why);
    hf__turn_leave(store, seat);
    return first;
}

static void call_done(hf_store *store, hf__order *order) {
    atomic_fetch_sub(&store->inbox.count, 1);
    int code = order->job.rc;
    if (order->done != NULL)
        order->done(order->data, code, &order->result, code != HF_OK ? &order->err : NULL);
    order_free(order);
}

static void *serve(void *data) {
    hf_store *store = data;
    hf__inbox *inbox = &store->inbox;
    for (;;) {
        pthread_mutex_lock(&store->line.lock);
        while (inbox->taken == NULL && inbox->first == NULL && !inbox->closing)
            pthread_cond_wait(&inbox->filled, &store->line.lock);
        bool ends = inbox->taken == NULL && inbox->first == NULL;
        pthread_mutex_unlock(&store->line.lock);
        if (ends) return NULL;
        for (hf__order *order = run_turn(store), *next; order != NULL; order = next) {
            next = order->next;
            call_done(store, order);
        }
    }
}

/* Scripts nest deep, and the host's signals are for the host's threads. Under the line's lock. */
static int start(hf_store *store, hf_error *err) {
    enum { LEAST_STACK = 2 << 20 };
    hf__inbox *inbox = &store->inbox;
    pthread_attr_t attributes;
    sigset_t all, before;
    size_t stack = 0;
    if (hf__seat_open(&inbox->seat, err) != HF_OK) return HF_MEMORY;
    bool good = pthread_cond_init(&inbox->filled, NULL) == 0;
    if (good && pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_getstacksize(&attributes, &stack) == 0 && stack < LEAST_STACK)
            pthread_attr_setstacksize(&attributes, LEAST_STACK);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        inbox->started = pthread_create(&inbox->thread, &attributes, serve, store) == 0;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
    }
    if (inbox->started) return HF_OK;
    if (good) pthread_cond_destroy(&inbox->filled);
    hf__seat_close(&inbox->seat);
    return hf__fail(err, HF_MEMORY, "hf_submit: the system gave no thread");
}

/* ---- From outside ------------------------------------------------------------------------------ */

static int put(hf_store *store, hf__order *order, hf_error *err) {
    hf__inbox *inbox = &store->inbox;
    int rc = HF_OK;
    pthread_mutex_lock(&store->line.lock);
    if (inbox->closing)
        rc = hf__fail(err, HF_CLOSED, "hf_submit: the store is being closed");
    else if (atomic_load(&inbox->count) >= inbox->most)
        rc = hf__fail(err, HF_BUSY, "hf_submit: %zu ops wait already: try again when some of them are done",
                      atomic_load(&inbox->count));
    else if (!inbox->started)
        rc = start(store, err);
    if (rc == HF_OK) {
        if (inbox->first == NULL)
            inbox->first = order;
        else
            inbox->last->next = order;
        inbox->last = order;
        atomic_fetch_add(&inbox->count, 1);
        pthread_cond_signal(&inbox->filled);
    }
    pthread_mutex_unlock(&store->line.lock);
    return rc;
}

int hf_submit(hf_store *store, const hf_op *op, hf_done_fn done, void *data, hf_error *err) {
    int rc = hf__engine_check(store, err);
    if (rc == HF_OK && op == NULL) rc = hf__fail(err, HF_MISUSE, "hf_submit: expected an op, found NULL");
    if (rc != HF_OK) return rc;
    hf__order *order = hf__alloc_zero(sizeof *order);
    if (order == NULL) return hf__fail_memory(err);
    order->done = done;
    order->data = data;
    order->job = (hf__job){.op = op, .err = err, .traced = store->trace != NULL};
    rc = hf__job_check(store, &order->job);
    order->job.op = &order->op;
    order->job.result = &order->result;
    order->job.err = &order->err;
    if (rc == HF_OK) rc = hf__op_copy(&order->arena, op, &order->op, err);
    if (rc == HF_OK) rc = put(store, order, err);
    if (rc != HF_OK) order_free(order);
    return rc;
}

bool hf__inbox_close(hf_store *store) {
    hf__inbox *inbox = &store->inbox;
    pthread_mutex_lock(&store->line.lock);
    bool started = inbox->started;
    bool own = started && pthread_equal(inbox->thread, pthread_self());
    inbox->closing = inbox->closing || !own;
    if (started && !own) pthread_cond_signal(&inbox->filled);
    pthread_mutex_unlock(&store->line.lock);
    if (own || !started) return !own;
    pthread_join(inbox->thread, NULL);
    pthread_cond_destroy(&inbox->filled);
    hf__seat_close(&inbox->seat);
    return true;
}
