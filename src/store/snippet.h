/* What a search shows of a message: the words around what was found. */
#ifndef HF_STORE_SNIPPET_H
#define HF_STORE_SNIPPET_H

#include "store/stmt.h"

enum {
    HF__SNIPPET_WORDS = 16,
    HF__SNIPPET_BYTES = 1024, /* of the text; marks and ellipses come on top */
};

/* Gives SQL holdfast_snippet(search), where `search` is matched: at most HF__SNIPPET_WORDS words of the text, those with
 * the most different finds; the finds in [brackets], an ellipsis where the text goes on. HF_MISUSE: this SQLite has no
 * FTS5. */
int hf__snippet_offer(sqlite3 *db, hf_error *err);

#endif
