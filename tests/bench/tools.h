/* How the programs of this folder and of peers/ end, allocate and look at the clock. */
#ifndef HF_TESTS_BENCH_TOOLS_H
#define HF_TESTS_BENCH_TOOLS_H

#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program, with a line on standard error. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* snprintf of what has to fit. */
void put(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Zeroed. */
void *allocate(size_t count, size_t size);

/* The monotonic clock. */
double now_ns(void);

/* The value below which `share` of the values lie; sorts them. */
double quantile(double *values, size_t count, double share);

/* Room for so many ops in flight, which one thread takes and any gives back. Only a thread that waits is called: a bare
 * semaphore asks the system for every op until whoever waits has come. */
typedef struct room {
    atomic_long free;
    sem_t freed;
} room;

void room_open(room *r, unsigned most);
void room_close(room *r);
void room_take(room *r);
void room_give(room *r);

#endif
