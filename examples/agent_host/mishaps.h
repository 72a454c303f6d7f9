/*
 * What happens to an answer on its way, as the command line asks for it: the client loses its connection, the
 * user stops the answer, the host dies. In a host that is no demonstration, this is the network and people.
 */
#ifndef AGENT_HOST_MISHAPS_H
#define AGENT_HOST_MISHAPS_H

#include "turn.h"

struct mishaps {
    long drop, cancel, crash; /* after so many pieces of text; 0 for never */

    /* The client: what it was sent, and the number of the last piece. */
    bool connected;
    int64_t seen;
    struct text text;
};

void mishaps_begin(struct mishaps *mishaps);
void mishaps_follow(struct mishaps *mishaps, struct turn *turn); /* after each event */
void mishaps_end(struct mishaps *mishaps, struct turn *turn);    /* before the message becomes final */

#endif
