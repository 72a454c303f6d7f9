/* What the program prints: whole lines on standard output, everything else on standard error. */
#ifndef HF_CLI_OUTPUT_H
#define HF_CLI_OUTPUT_H

#include <stdbool.h>

#include "base/buf.h"

/* To be called first: looks at the streams, and makes a closed pipe an error of the write. */
void hf__out_start(void);

/* Puts one line (without its newline) on standard output, as it is, or with what could steer a terminal
 * escaped where it is one. 0, or -1 once standard output is broken, which has then been said: the
 * caller stops. Lines may wait for hf__out_flush. */
int hf__out_line(hf_text line);
int hf__out_escaped(hf_text line);
int hf__out_flush(void);

/* Puts text on standard output that need not be whole lines, escaped likewise. */
int hf__out_text(hf_text text);

/* Waits; false at once where nobody reads standard output any more. A signal ends the wait as well. */
bool hf__out_wait(int ms);

bool hf__out_terminal(void); /* whether standard output is one */

/* Whether standard output is a terminal that wants colours. */
bool hf__out_colours(void);

/* How many columns a line may have: the terminal's, or 80. */
size_t hf__out_width(void);

/* Adds `text` with its control characters written as \u001b; newlines and tabs stay where `lines` is set,
 * and each newline is followed by `indent`. */
void hf__out_escape(hf__buf *buf, hf_text text, bool lines, const char *indent);

/* Says something on standard error, on one line after the program's name. */
void hf__out_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An hf_log_fn: one line of JSON on standard error for each record. */
void hf__out_log(void *unused, hf_level level, const char *layer, const char *message, hf_text fields);

/* Opens the file that hf__out_trace, an hf_trace_fn, appends its records to, a line each. 0, or -1 with errno set. */
int hf__out_trace_open(const char *path);
void hf__out_trace(void *unused, hf_text record);

/* The progress line: only where standard error is a terminal, at most ten times a second. */
void hf__out_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hf__out_progress_end(void);

/* The name of a state. */
const char *hf__out_state(hf_state state);

/* The time `ms` as ISO 8601 in UTC, to the second. */
#define HF__TIME_SIZE 40
void hf__out_time(int64_t ms, char out[HF__TIME_SIZE]);

#endif
