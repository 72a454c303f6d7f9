/* Whether this is the process that made something, or one that inherited it over fork. */
#ifndef HF_BASE_HOME_H
#define HF_BASE_HOME_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct hf__home {
    pid_t pid;
    unsigned char *mark; /* not 0 at home; NULL where the system has no such memory */
} hf__home;

void hf__home_make(hf__home *home); /* here */
void hf__home_leave(hf__home *home);

bool hf__home_is_here(const hf__home *home);

#endif
