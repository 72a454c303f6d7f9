/*
 * The streams of the program. Standard output receives whole lines or nothing: they gather in one buffer
 * that is written up to a line's end, and what a full disk cut short is taken back. Standard error
 * receives notes, records of the layers and the progress line, which never mix. What comes from a store
 * cannot steer a terminal: control characters are escaped on the way.
 */
#define _POSIX_C_SOURCE 200809L
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/utf8.h"

enum { FLUSH_AT = 1 << 16, PROGRESS_MS = 100 };

static hf__buf pending;
static bool broken;
static bool out_is_terminal, err_is_terminal;
static bool progress_shown;
static int64_t progress_at;
static int trace_fd = -1;

void hf__out_start(void) {
    /* A store must not be given one of the three streams' numbers. A stream that was closed stays
     * unusable: its number is taken by /dev/null, opened the wrong way round. */
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(EXIT_FAILURE);
    signal(SIGPIPE, SIG_IGN);
    hf__buf_init(&pending, 0);
    out_is_terminal = isatty(STDOUT_FILENO);
    err_is_terminal = isatty(STDERR_FILENO);
}

/* ---- Standard output --------------------------------------------------------------------------- */

/* Writes everything, to a pipe that does not block as well; returns what was written, and errno tells why it is
 * less. */
static size_t write_all(int fd, const char *data, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t count = write(fd, data + done, size - done);
        if (count > 0)
            done += (size_t)count;
        else if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1); /* where that fails, write says why */
        else if (count == 0 || errno != EINTR)
            break;
    }
    return done;
}

/* Takes back the last `count` bytes of a file, the rest of which did not fit. */
static void take_back(size_t count) {
    struct stat file;
    off_t end = lseek(STDOUT_FILENO, 0, SEEK_CUR);
    if (count == 0 || end < (off_t)count || fstat(STDOUT_FILENO, &file) != 0 || !S_ISREG(file.st_mode) ||
        file.st_size != end)
        return;
    if (ftruncate(STDOUT_FILENO, end - (off_t)count) == 0) lseek(STDOUT_FILENO, end - (off_t)count, SEEK_SET);
}

/* The bytes of `text`, of which the first `count` were written, that belong to a line cut short. */
static size_t cut_line(const char *text, size_t count) {
    size_t cut = 0;
    while (cut < count && text[count - cut - 1] != '\n')
        cut++;
    return cut;
}

int hf__out_flush(void) {
    hf_error err;
    if (broken) return -1;
    if (hf__buf_check(&pending, "the output", &err) != HF_OK) {
        broken = true;
        hf__out_note("standard output: %s", err.message);
        return -1;
    }
    size_t written = write_all(STDOUT_FILENO, pending.data, pending.size);
    if (written < pending.size) {
        int reason = errno;
        broken = true;
        take_back(cut_line(pending.data, written));
        if (reason != EPIPE) hf__out_note("standard output: %s", strerror(reason));
        return -1;
    }
    hf__buf_clear(&pending);
    return 0;
}

int hf__out_line(hf_text line) {
    if (broken) return -1;
    hf__buf_text(&pending, line);
    hf__buf_char(&pending, '\n');
    return pending.size < FLUSH_AT && pending.state == HF__BUF_OK ? 0 : hf__out_flush();
}

int hf__out_escaped(hf_text line) {
    if (!out_is_terminal) return hf__out_line(line);
    hf__out_escape(&pending, line, false, "");
    return hf__out_line((hf_text){"", 0});
}

int hf__out_text(hf_text text) {
    if (broken) return -1;
    if (out_is_terminal)
        hf__out_escape(&pending, text, true, "");
    else
        hf__buf_text(&pending, text);
    return pending.size < FLUSH_AT && pending.state == HF__BUF_OK ? 0 : hf__out_flush();
}

bool hf__out_wait(int ms) {
    struct pollfd reader = {.fd = STDOUT_FILENO};
    return !broken && (poll(&reader, 1, ms) <= 0 || (reader.revents & (POLLERR | POLLHUP)) == 0);
}

bool hf__out_terminal(void) {
    return out_is_terminal;
}

bool hf__out_colours(void) {
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return out_is_terminal && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

size_t hf__out_width(void) {
    struct winsize size;
    if (!out_is_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 80;
    return size.ws_col;
}

/* The control character at `at`, and its size in bytes; -1 for anything else. */
static int control_at(const unsigned char *at, size_t left, size_t *size) {
    *size = 1;
    if (at[0] < 0x20 || at[0] == 0x7f) return at[0];
    if (at[0] != 0xc2 || left < 2 || at[1] > 0x9f) return -1;
    *size = 2;
    return at[1];
}

void hf__out_escape(hf__buf *buf, hf_text text, bool lines, const char *indent) {
    const unsigned char *data = (const unsigned char *)text.data;
    size_t kept = 0;
    for (size_t i = 0, size; i < text.size; i += size) {
        int control = control_at(data + i, text.size - i, &size);
        if (control < 0 || (lines && control == '\t') || (lines && control == '\n' && indent[0] == '\0'))
            continue;
        char code[16];
        snprintf(code, sizeof code, "\\u%04x", (unsigned)control);
        hf__buf_add(buf, data + kept, i - kept);
        if (lines && control == '\n') {
            hf__buf_char(buf, '\n');
            hf__buf_string(buf, indent);
        } else {
            hf__buf_string(buf, code);
        }
        kept = i + size;
    }
    if (kept < text.size) hf__buf_add(buf, data + kept, text.size - kept);
}

/* ---- Standard error ---------------------------------------------------------------------------- */

/* Adds the newline and writes the line at once, so that the lines of several programs do not mix. */
static void err_line(hf__buf *line) {
    hf__out_progress_end();
    hf__buf_char(line, '\n');
    if (line->state == HF__BUF_OK) write_all(STDERR_FILENO, line->data, line->size);
    hf__buf_free(line);
}

void hf__out_note(const char *format, ...) {
    char text[4096];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0) return;
    hf__buf line;
    hf__buf_init(&line, 0);
    hf__buf_string(&line, "holdfast: ");
    size_t cut =
        (size_t)size < sizeof text ? (size_t)size : hf__utf8_cut(text, sizeof text - 1, sizeof text - 1);
    hf__out_escape(&line, (hf_text){text, cut}, false, "");
    err_line(&line);
}

void hf__out_log(void *unused, hf_level level, const char *layer, const char *message, hf_text fields) {
    static const char *const names[] = {"debug", "info", "warn", "error"};
    (void)unused;
    hf__buf json, line;
    hf__buf_init(&json, 0);
    hf__buf_init(&line, 0);
    hf__buf_string(&json, "{\"level\":");
    hf__json_write_text(&json, hf_text_of(names[level]));
    if (layer != NULL && layer[0] != '\0') {
        hf__buf_string(&json, ",\"layer\":");
        hf__json_write_text(&json, hf_text_of(layer));
    }
    hf__buf_string(&json, ",\"message\":");
    hf__json_write_text(&json, hf_text_of(message));
    if (fields.data != NULL) {
        hf__buf_string(&json, ",\"fields\":");
        hf__buf_text(&json, fields);
    }
    hf__buf_char(&json, '}');
    if (json.state == HF__BUF_OK) {
        if (err_is_terminal)
            hf__out_escape(&line, hf__buf_view(&json), false, "");
        else
            hf__buf_text(&line, hf__buf_view(&json));
        err_line(&line);
    }
    hf__buf_free(&json);
}

int hf__out_trace_open(const char *path) {
    trace_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return trace_fd < 0 ? -1 : 0;
}

/* One write a line, so that several programs may share the file. */
void hf__out_trace(void *unused, hf_text record) {
    (void)unused;
    hf__buf line;
    hf__buf_init(&line, 0);
    hf__buf_text(&line, record);
    hf__buf_char(&line, '\n');
    if (trace_fd >= 0 &&
        (line.state != HF__BUF_OK || write_all(trace_fd, line.data, line.size) < line.size)) {
        hf__out_note("--trace: %s; no more is traced",
                     line.state == HF__BUF_OK ? strerror(errno) : "out of memory");
        close(trace_fd);
        trace_fd = -1;
    }
    hf__buf_free(&line);
}

void hf__out_progress(const char *format, ...) {
    struct timespec clock;
    if (!err_is_terminal || clock_gettime(CLOCK_MONOTONIC, &clock) != 0) return;
    int64_t now = (int64_t)clock.tv_sec * 1000 + clock.tv_nsec / 1000000;
    if (progress_at != 0 && now - progress_at < PROGRESS_MS) return;
    progress_at = now;
    char text[128];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0) return;
    char line[sizeof text + 8]; /* and what a longer line left behind is wiped out */
    size = snprintf(line, sizeof line, "\r%s\033[K", text);
    progress_shown = true;
    write_all(STDERR_FILENO, line, (size_t)size);
}

void hf__out_progress_end(void) {
    if (!progress_shown) return;
    progress_shown = false;
    write_all(STDERR_FILENO, "\r\033[K", 4);
}

const char *hf__out_state(hf_state state) {
    switch (state) {
#define XX(symbol, name) \
    case HF_STATE_##symbol: return name;
        HF_STATE_MAP(XX)
#undef XX
    default: return "in no state";
    }
}

void hf__out_time(int64_t ms, char out[HF__TIME_SIZE]) {
    time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(out, HF__TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        snprintf(out, HF__TIME_SIZE, "%" PRId64 " ms", ms);
}
