/*
 * A process knows itself by a page that fork leaves empty in the child: to look at it costs nothing, where getpid is a
 * system call. Where there is no such page, or it is empty, getpid says.
 */
#define _DEFAULT_SOURCE /* madvise, MADV_WIPEONFORK */

#include "base/home.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

void hf__home_make(hf__home *home) {
    *home = (hf__home){.pid = getpid()};
#ifdef MADV_WIPEONFORK
    void *page = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    if (madvise(page, 1, MADV_WIPEONFORK) != 0) {
        munmap(page, 1);
        return;
    }
    home->mark = page;
    *home->mark = 1;
#endif
}

void hf__home_leave(hf__home *home) {
    if (home->mark != NULL) munmap(home->mark, 1);
    home->mark = NULL;
}

bool hf__home_is_here(const hf__home *home) {
    return (home->mark != NULL && *home->mark != 0) || home->pid == getpid();
}
