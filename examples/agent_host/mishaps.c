/* What happens to an answer on its way. What it tells goes out between the events, as comments. See mishaps.h. */
#define _POSIX_C_SOURCE 200809L /* SIGKILL */

#include "mishaps.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

void mishaps_begin(struct mishaps *mishaps) {
    mishaps->connected = true;
    mishaps->seen = 0;
    text_clear(&mishaps->text);
}

/* The client names the last piece that it saw, as a browser does with Last-Event-ID, and is sent the rest. From
 * there on the events are enough again. */
static void come_back(struct mishaps *mishaps, struct turn *turn) {
    int64_t last, seen = mishaps->seen;
    size_t before = mishaps->text.size;
    if (!turn_missed(turn, seen, &mishaps->text, &last)) return;
    printf(": the client is back, it saw %" PRId64 ": read gives it %zu bytes, through %" PRId64 "\n\n", seen,
           mishaps->text.size - before, last);
    mishaps->seen = last;
    mishaps->connected = true;
}

void mishaps_follow(struct mishaps *mishaps, struct turn *turn) {
    if (mishaps->connected && mishaps->seen < turn->seq) {
        text_add(&mishaps->text, text_view(&turn->piece));
        mishaps->seen = turn->seq;
        if (turn->seq == mishaps->drop) {
            printf(": the client lost its connection after %" PRId64 "\n\n", turn->seq);
            mishaps->connected = false;
        }
    } else if (!mishaps->connected && turn->seq >= 2 * mishaps->drop) {
        come_back(mishaps, turn);
    }
    if (turn->seq > 0 && turn->seq == mishaps->cancel && turn->stop == NULL)
        turn->stop = "the user stopped it";
    if (turn->seq > 0 && turn->seq == mishaps->crash) {
        printf(": the host dies after %" PRId64 "\n\n", turn->seq);
        fflush(stdout);
        raise(SIGKILL);
    }
}

/* A client that comes later than this finds the message final: `read` gives no pieces then, and it gets the
 * message. */
void mishaps_end(struct mishaps *mishaps, struct turn *turn) {
    struct text text = {0};
    if (!mishaps->connected) come_back(mishaps, turn);
    text_quote(&text, text_view(&mishaps->text).data);
    if (mishaps->drop > 0) printf(": the client has %s\n\n", text.data);
    text_free(&text);
}
