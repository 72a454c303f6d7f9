/* The folders and files of the disk view, by descriptors: what adding a line and writing a view anew share. */
#ifndef HF_VIEW_FILE_H
#define HF_VIEW_FILE_H

#include <stdbool.h>

#include "view/text.h"

#define HF__VIEW_MESSAGES "messages.jsonl"
#define HF__VIEW_META "meta.json"

/* A view, and the folder of one conversation in it. -1 for a descriptor that is not open. */
typedef struct hf__view {
    const char *path;
    int view;
    char name[HF__VIEW_NAME];
    int folder;
} hf__view;

/* Fills `err` with what errno says of `file` in the folder (NULL: of the folder); returns the code. */
int hf__view_fail(const hf__view *view, const char *file, hf_error *err);

/* Opens the view folder, which is made where it is missing. */
int hf__view_open(hf__view *view, const char *path, hf_error *err);

/* Another descriptor of the view folder, to be read from its start: -1 with errno. */
int hf__view_again(const hf__view *view);

/* Opens the folder view->name as it is: 0, or -1 with errno. */
int hf__view_look(hf__view *view);

/* Opens and locks it, made where it is missing. */
int hf__view_enter(hf__view *view, hf_error *err);

void hf__view_leave(hf__view *view); /* closes the folder, which unlocks it */
void hf__view_close(hf__view *view); /* closes both */

/* Opens a regular file in the folder: its descriptor, or -1 with errno. */
int hf__view_file(const hf__view *view, const char *file, int flags);

/* Writes as much as can be written, all of it in one call as a rule: how much, with errno where it is less. */
size_t hf__view_write(int fd, hf_text text);

/* A file that is written beside the one whose place it will take: hf__view_new makes it, hf__view_put closes it
 * and puts it there; where `code` is a failure, it removes it instead and returns that. */
int hf__view_new(const hf__view *view, const char *file, int *fd, hf_error *err);
int hf__view_put(const hf__view *view, const char *file, int fd, int code, hf_error *err);

/* What is in meta.json; nothing where it is not there. */
int hf__view_get_meta(const hf__view *view, hf__buf *out, hf_error *err);

/* Puts meta.json in its place, unless the same is there. HF_CONFLICT: what is there is another conversation's. */
int hf__view_put_meta(const hf__view *view, hf_text meta, hf_error *err);

/* Removes the files of the view from the folder view->name, and the folder where nothing else is in it. */
int hf__view_remove(hf__view *view, hf_error *err);

#endif
