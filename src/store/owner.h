/*
 * Who owns an anchor, and whether it lives. An owner is an open store; its id is a UUID that is never used again, and
 * its life is a lock on a file of its own beside the database, `<database>-owner-<id>`, which dies with its process.
 */
#ifndef HF_STORE_OWNER_H
#define HF_STORE_OWNER_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/uuid.h"

typedef struct hf__owner hf__owner;

/* Whether `id`, which may be NULL, can be that of an owner: a lower-case UUID. */
bool hf__owner_is_id(const char *id);

/* Makes the file of `id`, a lower-case UUID, and locks it until hf__owner_release. The owner of a database in memory
 * has no file: nobody else can meet it. On failure no file stays. */
int hf__owner_claim(sqlite3 *db, const char *id, hf__owner **out, hf_error *err);

/* Ends the owner's life, and takes its file away; NULL is fine. Not in a process that inherited it over fork. */
void hf__owner_release(hf__owner *owner);

/* Whether the owner lives, in this process or another. `id` may be whatever the database holds, or NULL: what is no
 * lower-case UUID was never an owner. In memory nobody lives but the caller, who knows its own id. On failure
 * nothing is known, and what it owns has to be left alone. */
int hf__owner_lives(sqlite3 *db, const char *id, bool *lives, hf_error *err);

/* Takes the file of a dead owner away, if that can be done. */
void hf__owner_clear(sqlite3 *db, const char *id);

/* How many files of dead owners there are, as crashes leave them, also of owners whose anchors were all settled;
 * `example` (may be NULL) gets the id of one. With `clear`, takes them away; nobody may claim an owner meanwhile, since
 * his file is there before its lock. */
int64_t hf__owner_sweep(sqlite3 *db, bool clear, char example[HF__UUID_SIZE + 1]);

#endif
