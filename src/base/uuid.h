/* UUIDs of version 7 (RFC 9562): ids that sort by the time of their birth. */
#ifndef HF_BASE_UUID_H
#define HF_BASE_UUID_H

#include "holdfast.h"

#define HF__UUID_SIZE 36

/* What makes the ids of one store increase: the time of the last one and a 12-bit counter within it. */
typedef struct hf__uuid_source {
    int64_t last_ms;
    unsigned counter;
} hf__uuid_source;

/* Writes 36 lower-case characters and a NUL. Ids of one source are strictly increasing, also when
 * `now_ms` stands still or goes back. `random` is 10 bytes of randomness. */
void hf__uuid_make(hf__uuid_source *source, int64_t now_ms, const unsigned char random[10],
                   char out[HF__UUID_SIZE + 1]);

/* The default random source and clock: getrandom(2) (0 on success) and the wall clock in ms. */
int hf__random(void *unused, void *bytes, size_t size);
int64_t hf__now(void *unused);

/* The monotonic clock, and the time that the calling thread has worked, in ns. */
int64_t hf__monotonic_ns(void);
int64_t hf__worked_ns(void);

#endif
