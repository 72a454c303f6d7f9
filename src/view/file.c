/*
 * Folders and files of the disk view. Each is reached from the descriptor of the folder above it, so that neither
 * a symlink nor the working directory can lead elsewhere. What they are for is left to view.c.
 */
#include "view/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

enum {
    FOLDER_MODE = 0700,
    FILE_MODE = 0600,
    LOCK_TRIES = 100,
    LOCK_WAIT_NS = 10000000, /* between two tries: it gives up after a second */
    META_MAX = 16 << 20,     /* what is longer was not written by the view */
    NEW_NAME = 32,
};

int hf__view_fail(const hf__view *view, const char *file, hf_error *err) {
    char why[128] = "";
    int number = errno;
    if (number == ENOMEM) return hf__fail_memory(err);
    hf_code code = HF_IO;
    if (number == ENOSPC || number == EDQUOT || number == EFBIG) code = HF_FULL;
    if (number == EROFS || number == EACCES || number == EPERM) code = HF_READONLY;
    if (strerror_r(number, why, sizeof why) != 0) snprintf(why, sizeof why, "errno %d", number);
    return hf__fail(err, code, "\"%.300s%s%s%s%s\": %s", view->path, view->name[0] ? "/" : "", view->name,
                    file != NULL ? "/" : "", file != NULL ? file : "", why);
}

/* openat whose descriptor is none of the standard ones: what a host writes there must not end up in a file. */
static int open_above(int folder, const char *name, int flags) {
    int fd = openat(folder, name, flags | O_CLOEXEC, FILE_MODE);
    if (fd < 0 || fd > STDERR_FILENO) return fd;
    int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int reason = errno;
    close(fd);
    errno = reason;
    return above;
}

/* ---- Folders ----------------------------------------------------------------------------------- */

/* Opens a folder, which is made where it is missing. */
static int open_folder(int above, const char *name, int flags) {
    int fd = open_above(above, name, O_RDONLY | O_DIRECTORY | flags);
    if (fd >= 0 || errno != ENOENT) return fd;
    if (mkdirat(above, name, FOLDER_MODE) != 0 && errno != EEXIST) return -1;
    return open_above(above, name, O_RDONLY | O_DIRECTORY | flags);
}

int hf__view_open(hf__view *view, const char *path, hf_error *err) {
    *view = (hf__view){.path = path, .folder = -1};
    view->view = open_folder(AT_FDCWD, path, 0);
    return view->view >= 0 ? HF_OK : hf__view_fail(view, NULL, err);
}

int hf__view_again(const hf__view *view) {
    return open_above(view->view, ".", O_RDONLY | O_DIRECTORY);
}

int hf__view_look(hf__view *view) {
    view->folder = open_above(view->view, view->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return view->folder >= 0 ? 0 : -1;
}

/* Waits for no more than a second: who holds the lock may have been stopped. */
static int lock_folder(const hf__view *view, hf_error *err) {
    const struct timespec wait = {.tv_nsec = LOCK_WAIT_NS};
    for (int tries = 0; flock(view->folder, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (errno != EWOULDBLOCK) return HF_OK; /* no locks here */
        if (tries == LOCK_TRIES)
            return hf__fail(err, HF_BUSY, "\"%.300s/%s\": another process keeps it locked", view->path,
                            view->name);
        nanosleep(&wait, NULL);
    }
    return HF_OK;
}

int hf__view_enter(hf__view *view, hf_error *err) {
    view->folder = open_folder(view->view, view->name, O_NOFOLLOW);
    if (view->folder < 0) return hf__view_fail(view, NULL, err);
    int code = lock_folder(view, err);
    if (code != HF_OK) hf__view_leave(view);
    return code;
}

void hf__view_leave(hf__view *view) {
    if (view->folder >= 0) close(view->folder);
    view->folder = -1;
}

void hf__view_close(hf__view *view) {
    hf__view_leave(view);
    if (view->view >= 0) close(view->view);
    view->view = -1;
}

/* ---- Files ------------------------------------------------------------------------------------- */

int hf__view_file(const hf__view *view, const char *file, int flags) {
    struct stat st;
    int fd = open_above(view->folder, file, flags | O_NOFOLLOW | O_NONBLOCK); /* a FIFO must not hold us up */
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

size_t hf__view_write(int fd, hf_text text) {
    size_t done = 0;
    while (done < text.size) {
        ssize_t count = write(fd, text.data + done, text.size - done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        done += (size_t)count;
    }
    return done;
}

static void new_name(char out[NEW_NAME], const char *file) {
    snprintf(out, NEW_NAME, "%s.new", file);
}

int hf__view_new(const hf__view *view, const char *file, int *fd, hf_error *err) {
    char name[NEW_NAME];
    new_name(name, file);
    unlinkat(view->folder, name, 0); /* what a crash left */
    *fd = hf__view_file(view, name, O_WRONLY | O_CREAT | O_EXCL);
    return *fd >= 0 ? HF_OK : hf__view_fail(view, name, err);
}

int hf__view_put(const hf__view *view, const char *file, int fd, int code, hf_error *err) {
    char name[NEW_NAME];
    new_name(name, file);
    if (close(fd) != 0 && code == HF_OK) code = hf__view_fail(view, name, err);
    if (code == HF_OK && renameat(view->folder, name, view->folder, file) != 0)
        code = hf__view_fail(view, file, err);
    if (code != HF_OK) unlinkat(view->folder, name, 0);
    return code;
}

/* ---- meta.json --------------------------------------------------------------------------------- */

int hf__view_get_meta(const hf__view *view, hf__buf *out, hf_error *err) {
    char piece[4096];
    ssize_t count = 0;
    int fd = hf__view_file(view, HF__VIEW_META, O_RDONLY);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == EINVAL)) return HF_OK;
    if (fd < 0) return hf__view_fail(view, HF__VIEW_META, err);
    while (out->size <= META_MAX && out->state == HF__BUF_OK && (count = read(fd, piece, sizeof piece)) > 0)
        hf__buf_add(out, piece, (size_t)count);
    int code = count < 0 ? hf__view_fail(view, HF__VIEW_META, err) : hf__buf_check(out, HF__VIEW_META, err);
    close(fd);
    if (out->size > META_MAX) hf__buf_clear(out);
    return code;
}

static bool same_text(hf_text a, hf_text b) {
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* Two ids that differ in case alone have one folder where the file system thinks them the same. */
static int check_owner(const hf__view *view, hf_text found, hf_text meta, hf_error *err) {
    hf__arena arena = {0};
    hf_text theirs, ours;
    int64_t time;
    int code = hf__view_read_meta(&arena, found, &theirs, &time, err);
    if (code == HF_OK) code = hf__view_read_meta(&arena, meta, &ours, &time, err);
    if (code == HF_OK && theirs.data != NULL && ours.data != NULL && !same_text(theirs, ours))
        code = hf__fail(err, HF_CONFLICT, "\"%.300s/%s\": the folder belongs to the conversation \"%.*s\"",
                        view->path, view->name, (int)theirs.size, theirs.data);
    hf__arena_free(&arena);
    return code;
}

static int write_meta(const hf__view *view, hf_text meta, hf_error *err) {
    int fd;
    int code = hf__view_new(view, HF__VIEW_META, &fd, err);
    if (code != HF_OK) return code;
    if (hf__view_write(fd, meta) < meta.size) code = hf__view_fail(view, HF__VIEW_META, err);
    return hf__view_put(view, HF__VIEW_META, fd, code, err);
}

int hf__view_put_meta(const hf__view *view, hf_text meta, hf_error *err) {
    hf__buf found;
    hf__buf_init(&found, 0);
    int code = hf__view_get_meta(view, &found, err);
    if (code == HF_OK && !same_text(hf__buf_view(&found), meta)) {
        code = check_owner(view, hf__buf_view(&found), meta, err);
        if (code == HF_OK) code = write_meta(view, meta, err);
    }
    hf__buf_free(&found);
    return code;
}

/* ---- What is gone ------------------------------------------------------------------------------ */

int hf__view_remove(hf__view *view, hf_error *err) {
    static const char *const files[] = {HF__VIEW_MESSAGES, HF__VIEW_MESSAGES ".new", HF__VIEW_META ".new",
                                        HF__VIEW_META}; /* the last one says that the folder is ours */
    int code = HF_OK;
    if (hf__view_look(view) != 0) return errno == ENOENT ? HF_OK : hf__view_fail(view, NULL, err);
    for (size_t i = 0; i < sizeof files / sizeof *files && code == HF_OK; i++)
        if (unlinkat(view->folder, files[i], 0) != 0 && errno != ENOENT)
            code = hf__view_fail(view, files[i], err);
    hf__view_leave(view);
    if (code == HF_OK && unlinkat(view->view, view->name, AT_REMOVEDIR) != 0 && errno != ENOTEMPTY &&
        errno != EEXIST && errno != ENOENT)
        code = hf__view_fail(view, NULL, err);
    return code;
}
