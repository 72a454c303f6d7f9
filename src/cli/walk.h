/* Going through the rows of a store, page by page, as the JSON that the engine answers with. */
#ifndef HF_CLI_WALK_H
#define HF_CLI_WALK_H

#include "base/value.h"

/* Runs one op, given as JSON. Its answer lives in `arena`. */
int hf__ask(hf_store *store, hf_text op, hf__arena *arena, const hf__value **out, hf_error *err);

/* The conversation of that id; NULL where there is none. */
int hf__ask_conversation(hf_store *store, hf_text id, hf__arena *arena, const hf__value **out, hf_error *err);

/* Called with each row, which is gone afterwards; false ends the walk. */
typedef bool (*hf__row_fn)(void *data, const hf__value *row);

/* Every conversation, newest activity first. */
int hf__walk_conversations(hf_store *store, hf__row_fn each, void *data, hf_error *err);

/* Every message of a conversation, oldest first. */
int hf__walk_messages(hf_store *store, hf_text conversation_id, hf__row_fn each, void *data, hf_error *err);

/* The same, for messages in the states of a JSON list; NULL for all. */
int hf__walk_messages_in(hf_store *store, hf_text conversation_id, const char *states, hf__row_fn each,
                         void *data, hf_error *err);

/* A field of a row: text, absent where there is none; an integer, 0 where there is none. */
hf_text hf__row_text(const hf__value *row, const char *key);
int64_t hf__row_integer(const hf__value *row, const char *key);

/* metadata.chat of a row, which `import` wrote; NULL where there is no such object. */
const hf__value *hf__row_chat(const hf__value *row);

#endif
