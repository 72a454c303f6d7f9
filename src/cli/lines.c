/*
 * Reading by lines. A line that passes the bound is read to its end but not kept, so that no input can
 * take more memory than one line may have. What a line means is left to the commands.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"

int hf__lines_open(hf__lines *lines, const char *path) {
    bool is_stdin = strcmp(path, "-") == 0;
    lines->name = is_stdin ? "standard input" : path;
    lines->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    lines->ended = false;
    lines->number = 0;
    lines->begin = lines->end = 0;
    hf__buf_init(&lines->line, HF__LINE_MAX);
    return lines->fd < 0 ? -1 : 0;
}

void hf__lines_close(hf__lines *lines) {
    if (lines->fd > STDERR_FILENO) close(lines->fd);
    hf__buf_free(&lines->line);
}

/* Reads the next piece into the empty chunk; false at the end and after a failure. */
static bool refill(hf__lines *lines, hf_error *err) {
    ssize_t count;
    while ((count = read(lines->fd, lines->chunk, sizeof lines->chunk)) < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) /* a pipe that does not block */
            poll(&(struct pollfd){.fd = lines->fd, .events = POLLIN}, 1, -1);
        else if (errno != EINTR)
            break;
    }
    if (count < 0) hf__fail(err, HF_IO, "the line cannot be read: %s", strerror(errno));
    lines->begin = 0;
    lines->end = count > 0 ? (size_t)count : 0;
    return count > 0;
}

/* Reads up to and with the next newline; false where there was nothing more. */
static bool read_line(hf__lines *lines, hf_error *err) {
    if (lines->line.state != HF__BUF_OK) { /* the last line was too long: forget it all */
        hf__buf_free(&lines->line);
        hf__buf_init(&lines->line, HF__LINE_MAX);
    }
    hf__buf_clear(&lines->line);
    for (bool any = false;; any = true) {
        if (lines->begin == lines->end && !refill(lines, err)) {
            lines->ended = true;
            return any || err->code != HF_OK;
        }
        const char *begin = lines->chunk + lines->begin;
        size_t left = lines->end - lines->begin;
        const char *newline = memchr(begin, '\n', left);
        size_t size = newline != NULL ? (size_t)(newline - begin) : left;
        hf__buf_add(&lines->line, begin, size);
        lines->begin += size + (newline != NULL);
        if (newline != NULL) return true;
    }
}

static bool is_blank(hf_text line) {
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') return false;
    return true;
}

bool hf__lines_next(hf__lines *lines, hf_text *line, hf_error *err) {
    for (;;) {
        memset(err, 0, sizeof *err);
        if (lines->ended || !read_line(lines, err)) return false;
        lines->number++;
        *line = hf__buf_view(&lines->line);
        if (lines->number == 1 && line->size >= 3 && memcmp(line->data, "\xef\xbb\xbf", 3) == 0)
            *line = (hf_text){line->data + 3, line->size - 3};
        if (err->code == HF_OK) hf__buf_check(&lines->line, "the line", err);
        if (err->code != HF_OK || !is_blank(*line)) return true;
    }
}

int hf__lines_check_object(hf_text line, hf_error *err) {
    size_t begin = 0, end = line.size;
    while (begin < end && is_blank((hf_text){line.data + begin, 1}))
        begin++;
    while (end > begin && is_blank((hf_text){line.data + end - 1, 1}))
        end--;
    const char *found = NULL;
    if (begin < end && line.data[begin] == '[') found = "a list";
    if (end - begin == 1 && line.data[begin] == '{') found = "only the beginning of one";
    return found == NULL ? HF_OK
                         : hf__fail(err, HF_INVALID, "expected one JSON object a line, found %s", found);
}
