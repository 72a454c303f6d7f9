/*
 * The baseline: what Holdfast's ops do to the file, by SQLite alone, as somebody who wrote it by hand for one program would:
 * no check that the caller can do without, no answer that the caller knows. It takes over a file that Holdfast has made.
 */
#ifndef HF_TESTS_BENCH_SQLITE_H
#define HF_TESTS_BENCH_SQLITE_H

#include <stdbool.h>

#include "holdfast.h"

typedef struct bare bare;

/* A connection, set up as src/store/schema.c does, with SQLite's own checkpoints. `busy_ms` is for those that share. */
bare *bare_open(const char *path, bool full, int busy_ms);
void bare_close(bare *b);

/* For several ops in one transaction; without, each write has one of its own. */
void bare_begin(bare *b);
void bare_commit(bare *b);

/* What an op needs. */
typedef struct bare_message {
    hf_text conversation, role, content, metadata;
    bool indexed;
} bare_message;

/* `id` receives the id, 36 characters and a NUL. */
void bare_add(bare *b, const bare_message *message, char *id);
void bare_reserve(bare *b, const bare_message *message, char *id);
void bare_append(bare *b, const char *id, long seq, hf_text delta);
/* Makes an anchor with so many deltas final; its role is "assistant". */
void bare_finish(bare *b, const char *id, const bare_message *message, long seq);
/* The content of a final message, unindexed. */
void bare_rewrite(bare *b, const char *id, hf_text content);
/* The content of a final message that is indexed. */
void bare_edit(bare *b, const char *id, hf_text content);
void bare_update(bare *b, const char *id, hf_text updates);
void bare_delete(bare *b, const char *id);
void bare_abort(bare *b, const char *id, hf_text reason);

void bare_mark_seen(bare *b, hf_text conversation, const char *id);
void bare_create(bare *b, hf_text title);
void bare_change(bare *b, hf_text conversation, hf_text title, hf_text updates);
/* Copies all messages of a conversation into a new one. */
void bare_fork(bare *b, hf_text conversation, char id[40]);
void bare_delete_conversation(bare *b, const char *id);

/* Reads; each gives the number of rows, whose columns it has copied out. */
int bare_get(bare *b, const char *id);
int bare_list(bare *b, hf_text conversation, int limit);
int bare_read(bare *b, const char *id, long after);
int bare_search(bare *b, hf_text query, int limit);
int bare_conversation(bare *b, hf_text conversation);
int bare_conversations(bare *b, int limit);

#endif
