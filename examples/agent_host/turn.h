/*
 * One turn of a conversation: the user asks, the answer streams in and is kept while it does. This is the
 * part of a host to copy: each function is one op of the store or two, and the event that tells the client.
 *
 *     turn_ask      add                      the user's message
 *     turn_begin    reserve                  the answer has its id before its first word
 *     turn_grow     append                   a piece of text is on the disk before the client sees it
 *     turn_finish   updateContent + update   the blocks take the place of the streamed text
 *     turn_stop     abort                    what was streamed until then stays
 *     turn_missed   read                     what a client that lost its connection has not seen
 *     turn_recover  list, read, then finish  what a host that died in mid-stream left behind
 */
#ifndef AGENT_HOST_TURN_H
#define AGENT_HOST_TURN_H

#include "json_text.h"

struct turn {
    hf_store *store;
    hf_text conversation;
    struct text message_id; /* of the answer */
    int64_t seq;            /* of its last piece that the store acknowledged; each event bears both */
    struct text piece;      /* the last one */
    struct text half;       /* JSON text that ends within a character: it waits for the other half */
    const char *stop;       /* why the answer goes on no further; NULL while it does */
    bool failed;            /* something went wrong in this turn or an earlier one */
};

/* Runs an op, and reports what goes wrong. */
bool turn_exec(struct turn *turn, const hf_op *op, hf_result *result);
void turn_report(const hf_error *err);

/* Sends one event; `members` is the inside of a JSON object, and may be empty. */
void turn_send(struct turn *turn, const char *event, hf_text members);

/* Each returns whether the store did it. `content` is a list of blocks as JSON, `members` the inside of a JSON
 * object that goes into the message's metadata. */
bool turn_ask(struct turn *turn, const char *words);
bool turn_begin(struct turn *turn, hf_text members);
void turn_grow(struct turn *turn, hf_text escaped); /* of a JSON string; where it fails, `stop` says why */
bool turn_finish(struct turn *turn, hf_text content, hf_text members);
bool turn_stop(struct turn *turn);
bool turn_missed(struct turn *turn, int64_t after, struct text *text, int64_t *last);
bool turn_recover(struct turn *turn);

void turn_free(struct turn *turn); /* all but the store */

#endif
