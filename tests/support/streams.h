/* Replies of language models as they streamed in: the pieces, and the whole that the host stores at the end. They
 * come from the recordings, by the agent host's own reading of them. */
#ifndef HF_TESTS_SUPPORT_STREAMS_H
#define HF_TESTS_SUPPORT_STREAMS_H

#include <stddef.h>

#include "holdfast.h"

typedef struct stream {
    char *name;
    hf_text *deltas; /* texts that a provider sent; some are empty */
    size_t count;
    char *text;     /* all of them in a row */
    size_t *length; /* of the text before each delta, and, behind the last, of all of it */
    char *content;  /* the blocks of the reply, as JSON */
} stream;

/* Those of every `*.chunks.txt` in the folder, one for each reply, behind the `count` in `*streams`; returns how many
 * there are then. A folder that is not there has none; a file that cannot be read as a stream ends the program. */
size_t streams_load(const char *folder, stream **streams, size_t count);

/* One that is made of these deltas, up to a NULL. */
stream stream_make(const char *name, const char *const *deltas, const char *content);

void streams_free(stream *streams, size_t count);

#endif
