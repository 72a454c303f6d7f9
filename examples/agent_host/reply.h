/*
 * One assistant message while it streams in: a list of content blocks, named as Anthropic's messages API
 * names them, whatever the provider. A block is opened with what is known of it, grows by deltas, and is
 * closed. What happens is passed on as events, and reply_content gives the list at any time.
 */
#ifndef AGENT_HOST_REPLY_H
#define AGENT_HOST_REPLY_H

#include "json_text.h"

/* A member of a block. A string keeps only what stands between its quotes, and a list what stands between
 * its brackets: both can grow at the end, and the bytes that came are the bytes that stay. */
struct field {
    char *key;
    enum { FIELD_VALUE, FIELD_STRING, FIELD_LIST } kind;
    struct text value;
};

struct block {
    long index, part; /* the provider's own numbers for it */
    bool closed;
    struct field *fields;
    size_t count;
};

/* Where the events go: `members` is the inside of a JSON object on one line. */
typedef void (*reply_event_fn)(void *data, const char *event, hf_text members);

/* Where the text of the answer goes, piece by piece, each before the event about it: what stands between the
 * quotes of a JSON string. */
typedef void (*reply_text_fn)(void *data, hf_text escaped);

struct reply {
    reply_event_fn event;
    reply_text_fn text;
    void *data;
    bool open;               /* it began, and is not stored yet */
    bool ended;              /* the provider said that it is complete */
    struct text id;          /* the provider's id of the response, as JSON */
    struct text stop_reason; /* as JSON, empty where none came */
    struct block *blocks;
    size_t count;
    struct text scratch;
};

void reply_begin(struct reply *reply, hf_text id);
void reply_free(struct reply *reply);

/* The newest block with these numbers, or NULL. It is valid until the next reply_open. */
struct block *reply_find(const struct reply *reply, long index, long part);

/* Opens a block with the members of `object`. A member "partial_json" is a string of JSON text that grows:
 * when the block is closed, the value that it spells becomes `input`; where it spells none, it stays. */
struct block *reply_open(struct reply *reply, long index, long part, hf_text object);

/* Puts the members of `object` in place of all that the block has so far. */
void reply_replace(struct block *block, hf_text object);

/* Grows a block by a delta such as {"type":"text_delta","text":"..."}: a string is added to the string of
 * its name, "citation" to the list "citations", and any other value replaces its member. */
void reply_grow(struct reply *reply, struct block *block, hf_text delta);

/* The same for a delta of one member: {"type":TYPE,KEY:VALUE}. Where the value is absent, nothing happens. */
void reply_grow_member(struct reply *reply, struct block *block, const char *type, const char *key,
                       hf_text value);

void reply_close(struct reply *reply, struct block *block); /* once; later calls do nothing */
void reply_close_all(struct reply *reply);

/* Adds the list of blocks, as JSON. */
void reply_content(const struct reply *reply, struct text *out);

#endif
