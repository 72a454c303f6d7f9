/*
 * Reads beside the writer. A read that no layer wants and nobody traces needs nothing of what the turn guards but the
 * terminal, so it has one of its own: it runs on its caller's thread, on one of a few readers, in a transaction of its
 * own. All other reads, and those for which no reader can be opened, are left to the turn.
 */
#include "base/error.h"
#include "engine/engine.h"
#include "op/check.h"

typedef struct hf__reader {
    struct hf__reader *next;
    hf_terminal terminal;
    hf__transaction txn;
} hf__reader;

/* ---- The pool ---------------------------------------------------------------------------------- */

int hf__readers_open(hf__readers *readers, hf_error *err) {
    if (pthread_mutex_init(&readers->lock, NULL) != 0) return hf__fail_memory(err);
    if (pthread_cond_init(&readers->freed, NULL) == 0) return HF_OK;
    pthread_mutex_destroy(&readers->lock);
    return hf__fail_memory(err);
}

void hf__readers_close(hf__readers *readers) {
    for (hf__reader *reader = readers->idle, *next; reader != NULL; reader = next) {
        next = reader->next;
        if (reader->terminal.close != NULL) reader->terminal.close(reader->terminal.data);
        hf__free(reader);
    }
    pthread_cond_destroy(&readers->freed);
    pthread_mutex_destroy(&readers->lock);
}

/* NULL where that fails: why is of no interest to a read that is answered all the same. */
static hf__reader *open_reader(hf_store *store) {
    hf__reader *reader = hf__alloc_zero(sizeof *reader);
    if (reader == NULL) return NULL;
    hf_error unwanted;
    int code = store->terminal.open_reader(store->terminal.data, &reader->terminal, &unwanted);
    if (code != HF_OK) {
        hf__free(reader);
        return NULL;
    }
    reader->txn = (hf__transaction){.terminal = &reader->terminal, .checks_answers = store->host_terminal};
    return reader;
}

/* The one that was used last, which has the most in its cache; waits where all are in use. */
static hf__reader *take(hf_store *store) {
    hf__readers *readers = &store->readers;
    pthread_mutex_lock(&readers->lock);
    while (readers->idle == NULL && readers->open == readers->most)
        pthread_cond_wait(&readers->freed, &readers->lock);
    hf__reader *reader = readers->idle;
    if (reader != NULL) {
        readers->idle = reader->next;
    } else {
        reader = open_reader(store);
        if (reader != NULL) readers->open++;
    }
    pthread_mutex_unlock(&readers->lock);
    return reader;
}

static void give_back(hf__readers *readers, hf__reader *reader) {
    pthread_mutex_lock(&readers->lock);
    reader->next = readers->idle;
    readers->idle = reader;
    pthread_cond_signal(&readers->freed);
    pthread_mutex_unlock(&readers->lock);
}

/* ---- One read ---------------------------------------------------------------------------------- */

void hf__readers_note_chain(hf_store *store) {
    atomic_store(&store->readers.wanted, store->chain.wanted);
}

/* The chain changes under the turn, which a reader has not: it looks at a copy of what the layers want, and at nothing
 * else of them. A read that begins after hf_use_... or hf_reload returned finds what they left there; one that overlaps
 * them came either before or after, and either is right. */
static bool is_wanted(const hf_store *store, const hf__job *job) {
    return (atomic_load(&store->readers.wanted) & job->kinds) != 0;
}

static void answer(hf__transaction *txn, hf__job *job) {
    hf__transaction_next(txn, false);
    job->rc = hf__transaction_whole(txn, job->def, job->op, job->result, job->err);
    if (job->rc != HF_OK) hf__error_about(job->err, job->op);
}

/* Reads of a few rows. */
static const hf__kinds brief =
    HF__KIND_BIT(HF__KIND_get) | HF__KIND_BIT(HF__KIND_getConversation) | HF__KIND_BIT(HF__KIND_list);

/* A thread that reads what it has just written finds it in the cache of the connection that wrote, where a reader has
 * lost its own by that commit. Other threads leave the turn to who writes. */
static bool answer_in_turn(hf_store *store, hf__job *job) {
    if ((brief & job->kinds) == 0 || !hf__turn_take_again(store)) return false;
    answer(&store->txn, job);
    hf__engine_leave(store);
    return true;
}

bool hf__readers_answer(hf_store *store, hf__job *job) {
    if (job->def->writes || job->traced || store->terminal.open_reader == NULL || is_wanted(store, job))
        return false;
    if (answer_in_turn(store, job)) return true;
    hf__reader *reader = take(store);
    if (reader == NULL) return false;
    answer(&reader->txn, job);
    give_back(&store->readers, reader);
    return true;
}
