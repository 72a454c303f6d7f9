/* What the last writes told of the store, so that the next message need not ask. */
#ifndef HF_STORE_RECENT_H
#define HF_STORE_RECENT_H

#include <stdbool.h>

#include "op/record.h"

/* How many are remembered of each kind, at most: in sets, of which an id may be in one only. A longer id is not. */
enum { HF__RECENT_SETS = 64, HF__RECENT_IN_SET = 4, HF__RECENT_ID = 64 };

/* What a conversation that gets a message has to say. */
typedef struct hf__growth {
    int64_t position, updated_at;
    bool needs_channel;
} hf__growth;

/* Where a message ends that this handle streams into. */
typedef struct hf__stream {
    int64_t position;
    int64_t seq, length; /* of its last delta; of the content through it, in bytes */
} hf__stream;

typedef struct hf__recent_one {
    uint64_t since; /* it holds where that of the list is the same */
    size_t size;
    char id[HF__RECENT_ID];
    union {
        hf__growth growth;
        hf__stream stream;
    } is;
} hf__recent_one;

typedef struct hf__recent_list {
    uint64_t since; /* how often all was forgotten */
    struct {
        unsigned next; /* the one that gives way */
        hf__recent_one ones[HF__RECENT_IN_SET];
    } sets[HF__RECENT_SETS];
} hf__recent_list;

typedef struct hf__recent {
    bool known;       /* the rest holds */
    bool writing;     /* a transaction with the write lock is open */
    bool times;       /* no row is newer than what this handle ever gave, or saw */
    uint32_t version; /* of the data, after the last commit */
    int64_t next;     /* the position of the next message, 0 where it is not known */
    hf__recent_list conversations, streams;
} hf__recent; /* zeroed: nothing is known */

struct hf__store;

/* Around each transaction: when the lock is there, and when all is in the store. */
void hf__recent_begin(struct hf__store *store, bool writes);
void hf__recent_commit(struct hf__store *store);

/* After an op of that kind. */
void hf__recent_after(struct hf__store *store, hf__kind kind, int code);

/* After anything was undone. */
void hf__recent_forget(struct hf__store *store);

/* What is known of a conversation, and the position of the next message; false where that has to be looked up. */
bool hf__recent_find(const struct hf__store *store, hf_text id, hf__growth *out, int64_t *next);

/* The same of a message that this handle streams into; and its end, now that a delta was stored. */
bool hf__recent_find_stream(const struct hf__store *store, hf_text id, hf__stream *out);
void hf__recent_keep_stream(struct hf__store *store, hf_text id, const hf__stream *stream);

/* A conversation is as told since a message was stored in it, at the position before `next`; or since it was made. */
void hf__recent_keep(struct hf__store *store, hf_text id, const hf__growth *growth, int64_t next);
void hf__recent_made(struct hf__store *store, hf_text id, const hf__growth *growth);

#endif
