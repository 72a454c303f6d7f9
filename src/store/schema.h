/* Opening the file: created where it is not there, refused where it is not ours. */
#ifndef HF_STORE_SCHEMA_H
#define HF_STORE_SCHEMA_H

#include "store/stmt.h"

/* Opens store->db as store->options say, with the schema in place. On failure store->db may be open, and
 * closing it changes nothing in the file. */
int hf__schema_open(hf__store *store, const char *path, hf_error *err);

/* Opens store->db on a store that is there, and writes nothing: no schema, no mode, no newer version. Not even its WAL
 * goes into it when it is closed. `version` is that of the schema, which may be older than this library's. SQL has
 * holdfast_flat(content). On failure store->db may be open. */
int hf__schema_visit(hf__store *store, const char *path, int64_t *version, hf_error *err);

/* Opens reader->db, as reader->options say, on the file of an open store, which another thread may be using: for reads
 * alone. On failure reader->db may be open. */
int hf__schema_open_reader(hf__store *reader, const hf__place *place, hf_error *err);

/* Creates an empty file for its owner alone. One that is there already is fine, unless it has to come `anew`. */
int hf__create_file(const char *path, bool anew, hf_error *err);

#endif
