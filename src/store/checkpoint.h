/*
 * Who brings the WAL into the database: one checkpointer for each file that this process has stores on, with a thread
 * and connections of its own, so that no commit does it on its caller's back. Both are made when the WAL first reaches
 * HF__WAL_LIMIT, and end with the last store of the file.
 */
#ifndef HF_STORE_CHECKPOINT_H
#define HF_STORE_CHECKPOINT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "op/host.h"

enum {
    /* Frames, 8 MiB. Fewer cost more passes; and while the file still grows, each commit costs more. */
    HF__WAL_LIMIT = 2000,
    HF__WAL_AGAIN = HF__WAL_LIMIT / 4,
    /* Where it grows so large while it is copied, the disk is slower than the writers: they wait. And readers that
     * keep it so large are worth a word in the log. */
    HF__WAL_MOST = 8 * HF__WAL_LIMIT,
};

typedef struct hf__checkpointer hf__checkpointer;

/* Makes a connection one of those whose commits are looked after. `out` is left NULL for a database in memory. */
int hf__checkpointer_join(sqlite3 *db, hf__checkpointer **out, hf_error *err);

/* Before the connection is closed; NULL is fine. The last to leave waits for the thread to end. */
void hf__checkpointer_leave(sqlite3 *db, hf__checkpointer *checkpointer);

/* Before a writer begins; NULL is fine. Waits while writers are held; whether they were. */
bool hf__checkpointer_pass_gate(hf__checkpointer *checkpointer);

/* What has become of checkpoints, as far as this process knows. */
typedef struct hf__checkpoints {
    int64_t passes;     /* that were done */
    int64_t frames;     /* of the WAL that they brought into the database; a page may have many */
    int64_t wal_frames; /* in the WAL */
    int64_t behind;     /* of them, those that the last pass had to leave, because of a reader */
    int64_t
        starved_since; /* when readers began to keep the WAL past its limit, ms since 1970; 0: they do not */
    int64_t failures;  /* passes that failed */
    int outcome;       /* SQLite's code of the last pass */
    bool threaded;     /* there is a thread */
} hf__checkpoints;

void hf__checkpointer_look(hf__checkpointer *checkpointer, hf__checkpoints *out);

/* The same for somebody who asks, outside a transaction: a file of `wal_size` bytes that is past its limit, and that no
 * thread of this process looks after, gets a pass first, on this thread. */
void hf__checkpointer_inquire(hf__checkpointer *checkpointer, int64_t wal_size, hf__checkpoints *out);

/* Tells the host's log, on the calling thread, what there is to warn of since `told`, a place of the store's own. */
void hf__checkpointer_tell(hf__checkpointer *checkpointer, unsigned *told, const hf__host *host);

#endif
