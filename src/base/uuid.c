/*
 * UUIDs of version 7, and the default clock and random source. The layout is RFC 9562, section 5.7, with
 * its method 1: a counter in rand_a keeps the ids of one millisecond in order.
 */
#define _POSIX_C_SOURCE 200809L

#include "base/uuid.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

enum { COUNTER_END = 1 << 12 };

/* Where the counter starts in a new millisecond: 11 random bits, the top one left 0 as room to count. */
static unsigned counter_start(const unsigned char random[10]) {
    return (unsigned)(random[0] & 0x07) << 8 | random[1];
}

void hf__uuid_make(hf__uuid_source *source, int64_t now_ms, const unsigned char random[10],
                   char out[HF__UUID_SIZE + 1]) {
    if (now_ms > source->last_ms) {
        source->last_ms = now_ms;
        source->counter = counter_start(random);
    } else if (++source->counter >= COUNTER_END) {
        source->last_ms++;
        source->counter = counter_start(random);
    }
    unsigned char bytes[16];
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)((uint64_t)source->last_ms >> (40 - 8 * i));
    bytes[6] = (unsigned char)(0x70 | source->counter >> 8);
    bytes[7] = (unsigned char)source->counter;
    memcpy(bytes + 8, random + 2, 8);
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3F));

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 0x0F];
    }
    *out = '\0';
}

int hf__random(void *unused, void *bytes, size_t size) {
    (void)unused;
    for (size_t done = 0; done < size;) {
        ssize_t got = getrandom((char *)bytes + done, size - done, 0);
        if (got >= 0)
            done += (size_t)got;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

int64_t hf__now(void *unused) {
    (void)unused;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t hf__monotonic_ns(void) {
    return read_clock(CLOCK_MONOTONIC);
}

int64_t hf__worked_ns(void) {
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}
