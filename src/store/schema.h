/* Opening the file: created where it is not there, refused where it is not ours. */
#ifndef HF_STORE_SCHEMA_H
#define HF_STORE_SCHEMA_H

#include "store/stmt.h"

/* Opens store->db as store->options say, with the schema in place. On failure store->db may be open, and
 * closing it changes nothing in the file. */
int hf__schema_open(hf__store *store, const char *path, hf_error *err);

/* Creates an empty file for its owner alone. One that is there already is fine, unless it has to come `anew`. */
int hf__create_file(const char *path, bool anew, hf_error *err);

#endif
