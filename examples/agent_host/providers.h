/*
 * What the providers' chunks mean: Anthropic's messages API, OpenAI's chat completions and responses
 * APIs. Each chunk says by itself which of the three it belongs to.
 */
#ifndef AGENT_HOST_PROVIDERS_H
#define AGENT_HOST_PROVIDERS_H

#include "reply.h"

/* Where a response comes from; `model` and `id` are JSON strings, cut out of its first chunk. */
struct origin {
    const char *provider;
    const char *api;
    hf_text model;
    hf_text id;
};

enum chunk_kind {
    CHUNK_BEGINS,  /* a new response; it may bear content already */
    CHUNK_GOES_ON, /* belongs to the response that is open */
    CHUNK_IDLE,    /* a ping, or figures about a response that is over: nothing to do */
    CHUNK_FAILS,   /* the provider gives up, and says why */
    CHUNK_FOREIGN, /* of none of the three formats */
};

/* Says what `chunk`, a JSON object, is to `reply`, and fills `origin` where a new response begins, and
 * `failure` where the provider gives up. */
enum chunk_kind chunk_look(hf_text chunk, const struct reply *reply, struct origin *origin,
                           struct text *failure);

/* Puts a chunk that begins or goes on into the open reply. Returns NULL, or what is wrong with it. */
const char *chunk_apply(hf_text chunk, struct reply *reply);

#endif
