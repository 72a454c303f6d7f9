/* See tools.h. */
#define _XOPEN_SOURCE 700

#include "bench/tools.h"

#include <time.h>

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

void put(char *out, size_t size, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(out, size, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= size) die("no room for \"%s\"", out);
}

void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL) die("out of memory");
    return memory;
}

double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
    const double *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

double quantile(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)(share * (double)(count - 1) + 0.5)];
}

void room_open(room *r, unsigned most) {
    atomic_init(&r->free, (long)most);
    if (sem_init(&r->freed, 0, 0) != 0) die("no semaphore: %s", strerror(errno));
}

void room_close(room *r) {
    sem_destroy(&r->freed);
}

void room_take(room *r) {
    if (atomic_fetch_sub(&r->free, 1) > 0) return;
    while (sem_wait(&r->freed) != 0)
        if (errno != EINTR) die("sem_wait: %s", strerror(errno));
}

void room_give(room *r) {
    if (atomic_fetch_add(&r->free, 1) < 0) sem_post(&r->freed);
}
