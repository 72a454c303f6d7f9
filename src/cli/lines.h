/* The lines of a file or of standard input, of bounded size. */
#ifndef HF_CLI_LINES_H
#define HF_CLI_LINES_H

#include <stdbool.h>

#include "base/buf.h"

/* Bytes of one line: the engine's bound on one op as JSON. */
#define HF__LINE_MAX ((size_t)128 << 20)

typedef struct hf__lines {
    const char *name; /* for messages */
    int fd;
    bool ended;
    int64_t number; /* of the line that was read last, from 1; blank ones count */
    hf__buf line;
    size_t begin, end; /* what of `chunk` is still to be handed out */
    char chunk[1 << 16];
} hf__lines;

/* Opens the file; "-" is standard input. 0, or -1 with errno set. */
int hf__lines_open(hf__lines *lines, const char *path);
void hf__lines_close(hf__lines *lines);

/*
 * The next line that is not blank, without its newline; false at the end. A line that is too long, or
 * that cannot be read, comes as err->code != 0 in place of its text; the lines after it can still be
 * read. Reads no further than what a pipe has to give. A byte order mark at the beginning is passed over.
 * The text lives until the next call.
 */
bool hf__lines_next(hf__lines *lines, hf_text *line, hf_error *err);

/* Refuses, with HF_INVALID, what shows at a glance that the input is not one JSON object a line: a list, or the first
 * line of an object that was laid out over several. */
int hf__lines_check_object(hf_text line, hf_error *err);

#endif
