/*
 * Whose turn it is, and who shares a commit. Threads stand in a line, and the one inside hands the turn to the first.
 * Where that one brings an op too, a transaction that was written to stays open for it: the one inside runs the op in
 * its place, or, where it needs its own thread, hands it the turn and waits outside for the commit. The last one in
 * commits for all. How an op runs is left to exec.c and submit.c, marks and retries to the transaction.
 */
#include <errno.h>

#include "base/error.h"
#include "engine/engine.h"

/* A number of this thread's own: the address of a variable that each thread has its own of. */
static uintptr_t this_thread(void) {
    static _Thread_local char self;
    return (uintptr_t)&self;
}

/* ---- Seats ------------------------------------------------------------------------------------- */

int hf__seat_open(hf__seat *seat, hf_error *err) {
    seat->callees = NULL;
    return sem_init(&seat->called, 0, 0) == 0 ? HF_OK : hf__fail_memory(err);
}

void hf__seat_close(hf__seat *seat) {
    sem_destroy(&seat->called);
}

/* Outside the lock, which whoever is called would run into. The seat may be gone when this returns. */
static void call(hf__seat *seat) {
    if (seat != NULL) sem_post(&seat->called);
}

static void call_all(hf__seat *seat) {
    for (hf__seat *next; seat != NULL; seat = next) {
        next = seat->next;
        call(seat);
    }
}

/* Calls many by way of few: a call takes as long as a part of an op, and whoever has the turn should run ops. */
static void call_many(hf__seat *seat) {
    enum { BY_ONE = 8 };
    for (hf__seat *next; seat != NULL; seat = next) {
        hf__seat *last = seat;
        for (int i = 1; i < BY_ONE && last->next != NULL; i++)
            last = last->next;
        next = last->next;
        last->next = NULL;
        seat->callees = seat->next;
        call(seat);
    }
}

static void await_call(hf__seat *seat) {
    while (sem_wait(&seat->called) != 0 && errno == EINTR)
        continue;
    call_all(seat->callees);
    seat->callees = NULL;
}

static void append(hf__seats *seats, hf__seat *seat) {
    seat->next = NULL;
    if (seats->first == NULL)
        seats->first = seat;
    else
        seats->last->next = seat;
    seats->last = seat;
}

/* Puts `from`, which is emptied, before `to`. */
static void put_before(hf__seats *to, hf__seats *from) {
    if (from->first == NULL) return;
    from->last->next = to->first;
    if (to->first == NULL) to->last = from->last;
    to->first = from->first;
    *from = (hf__seats){0};
}

int hf__line_open(hf__line *line, hf_error *err) {
    line->most_ns = HF__MOST_NS_SHARING;
    return pthread_mutex_init(&line->lock, NULL) == 0 ? HF_OK : hf__fail_memory(err);
}

void hf__line_close(hf__line *line) {
    pthread_mutex_destroy(&line->lock);
}

/* ---- The turn ---------------------------------------------------------------------------------- */

/* Gives the turn away: to the seat that is returned, which has to be called then, or to nobody. */
static hf__seat *hand_on(hf__line *line) {
    hf__seat *next = line->waiting.first;
    line->taken = next != NULL;
    if (next == NULL) return NULL;
    line->waiting.first = next->next;
    next->has_turn = true;
    return next;
}

/* The turn is this thread's. */
static void enter(hf_store *store) {
    atomic_store(&store->runner, this_thread());
    atomic_store(&store->last, this_thread());
}

void hf__turn_take(hf_store *store, hf__seat *seat, bool alone, hf__job *job) {
    hf__line *line = &store->line;
    seat->alone = alone;
    seat->job = job;
    seat->again = false;
    pthread_mutex_lock(&line->lock);
    bool waits = line->taken;
    seat->has_turn = !waits;
    if (waits) append(&line->waiting, seat);
    line->taken = true;
    pthread_mutex_unlock(&line->lock);
    if (waits) await_call(seat);
    if (seat->has_turn) enter(store);
}

bool hf__turn_take_again(hf_store *store) {
    hf__line *line = &store->line;
    if (atomic_load(&store->last) != this_thread()) return false;
    pthread_mutex_lock(&line->lock);
    bool free = !line->taken;
    line->taken = true;
    pthread_mutex_unlock(&line->lock);
    if (free) enter(store);
    return free;
}

void hf__turn_leave(hf_store *store, hf__seat *seat) {
    if (!seat->has_turn) return;
    seat->has_turn = false;
    hf__engine_leave(store);
}

bool hf__engine_is_inside(const hf_store *store) {
    return atomic_load(&store->runner) == this_thread();
}

int hf__engine_check(hf_store *store, hf_error *err) {
    if (store == NULL) return hf__fail(err, HF_MISUSE, "expected a store, found NULL");
    if (!hf__home_is_here(&store->home))
        return hf__fail(err, HF_MISUSE,
                        "the store was opened by process %ld and inherited over fork: open one "
                        "of this process's own",
                        (long)store->home.pid);
    if (hf__engine_is_inside(store))
        return hf__fail(err, HF_MISUSE,
                        "the store was called from inside one of its own layers: use ctx:exec or "
                        "hf_layer_exec");
    return HF_OK;
}

int hf__engine_enter(hf_store *store, hf_error *err) {
    hf__seat seat;
    int rc = hf__engine_check(store, err);
    if (rc == HF_OK) rc = hf__seat_open(&seat, err);
    if (rc != HF_OK) return rc;
    hf__turn_take(store, &seat, true, NULL);
    hf__seat_close(&seat);
    return HF_OK;
}

void hf__engine_leave(hf_store *store) {
    atomic_store(&store->runner, 0);
    pthread_mutex_lock(&store->line.lock);
    hf__seat *next = hand_on(&store->line);
    pthread_mutex_unlock(&store->line.lock);
    call(next);
}

/* ---- The shared commit ------------------------------------------------------------------------- */

/* Whether an op waits that may come next in the transaction. Under the lock. */
static bool has_next(const hf__line *line) {
    const hf__seat *next = line->waiting.first;
    return next != NULL && !next->alone;
}

static bool has_room(const hf_store *store) {
    const hf__line *line = &store->line;
    if (line->ops == 0) return true;
    if (store->vm != NULL && !hf__budget_has_room(store->vm->budget)) return false;
    return line->ops < HF__MOST_SHARING && hf__monotonic_ns() - line->since < line->most_ns;
}

bool hf__turn_goes_on(void *data) {
    hf_store *store = data;
    hf__line *line = &store->line;
    bool next = line->more;
    if (!next) {
        pthread_mutex_lock(&line->lock);
        next = has_next(line);
        pthread_mutex_unlock(&line->lock);
    }
    return next && has_room(store);
}

/* Whether the transaction that is open goes on with those who wait. Under the lock. */
static bool goes_on(const hf_store *store) {
    return !store->txn.broken && has_next(&store->line) && has_room(store);
}

/* Takes the first out of the line, where its op may run on this thread. Under the lock. */
static hf__seat *take_guest(hf_store *store) {
    hf__line *line = &store->line;
    hf__seat *first = line->waiting.first;
    if (first->job == NULL || !hf__job_is_plain(store, first->job)) return NULL;
    line->waiting.first = first->next;
    return first;
}

/* Runs, for those who wait, the ops that come next: a thread that is called for each of them would take longer than the
 * op. Ends before the first that needs its own. Under the lock, without which an op runs. */
static void run_guests(hf_store *store) {
    hf__line *line = &store->line;
    hf__seat *guest;
    while (goes_on(store) && (guest = take_guest(store)) != NULL) {
        pthread_mutex_unlock(&line->lock);
        hf__job_run(store, guest->job);
        bool shared = guest->job->shared;
        if (!shared) call(guest);
        pthread_mutex_lock(&line->lock);
        if (shared) append(&line->members, guest);
    }
}

/* Tells all members the outcome. Those who want the turn again come first in the line, in the order of their ops; the
 * others are returned, and have to be called. */
static hf__seat *publish(hf__line *line, int outcome, const hf_error *why) {
    hf__seats again = {0}, done = {0};
    for (hf__seat *seat = line->members.first, *next; seat != NULL; seat = next) {
        next = seat->next;
        seat->outcome = outcome;
        if (outcome != HF_OK) seat->why = *why;
        append(seat->again ? &again : &done, seat);
    }
    line->members = (hf__seats){0};
    line->ops = 0;
    put_before(&line->waiting, &again);
    return done.first;
}

/* Commits, and calls the members before the turn goes on: who comes again at once is then in the next group, which
 * would else be half as large. Under the lock. */
static void commit_for_all(hf_store *store) {
    hf__line *line = &store->line;
    pthread_mutex_unlock(&line->lock);
    hf_error why = {0};
    int outcome = hf__transaction_commit(&store->txn, &why);
    pthread_mutex_lock(&line->lock);
    hf__seat *done = publish(line, outcome, &why);
    pthread_mutex_unlock(&line->lock);
    call_many(done);
    pthread_mutex_lock(&line->lock);
}

void hf__turn_share(hf_store *store, hf__seat *seat, bool shared, bool again) {
    hf__line *line = &store->line;
    if (store->txn.phase == HF__IDLE) return;
    pthread_mutex_lock(&line->lock);
    seat->again = again;
    if (shared) { /* who has no part does not wait, if somebody else can go on */
        append(&line->members, seat);
        run_guests(store);
    }
    if (!goes_on(store)) commit_for_all(store);
    seat->has_turn = false;
    atomic_store(&store->runner, 0);
    hf__seat *next = hand_on(line);
    pthread_mutex_unlock(&line->lock);
    call(next);
    if (shared) await_call(seat);
    if (seat->has_turn) enter(store);
}
