/* What an op leaves for the disk view: written once the transaction is in the store, and best effort then. */
#ifndef HF_STORE_OUTBOX_H
#define HF_STORE_OUTBOX_H

#include "holdfast.h"

typedef struct hf__outbox {
    struct hf__letter *newest;
    unsigned marks; /* of the transaction that are open */
} hf__outbox;       /* zeroed: empty */

struct hf__store;

/* A line for `message`, which was just stored. `created_at`: the conversation's creation time for the view, 0
 * for the stored one. */
int hf__outbox_add(struct hf__store *store, const hf_message *message, int64_t created_at, hf_error *err);

/* The transaction's marks, as hf_terminal's: what was added since one is dropped where it is undone. */
void hf__outbox_mark(hf__outbox *outbox);
void hf__outbox_release(hf__outbox *outbox);
void hf__outbox_undo(hf__outbox *outbox);

/* Writes all lines, in order; failures go to the log. */
void hf__outbox_send(struct hf__store *store);

void hf__outbox_clear(hf__outbox *outbox);

#endif
