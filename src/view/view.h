/*
 * The disk view: conversations as text files, for whoever reads with an editor, grep or jq. It is a projection
 * of what the store holds, never read back into it, and can be written anew at any time.
 *
 *     <view folder>/2026-11-22T10-00-00.000Z_<safe id>/messages.jsonl    a line for each final message
 *                                                     /meta.json         whose conversation it is
 *
 * Folders are made with mode 0700, files with 0600. Nothing here follows a symlink below the view folder, and no
 * process-wide state is touched. Whoever works in the folder of a conversation holds its flock, so that several
 * processes may share a view; where the file system has no such locks it goes without.
 */
#ifndef HF_VIEW_VIEW_H
#define HF_VIEW_VIEW_H

#include "base/buf.h"

/*
 * Adds the line of `message` to the view of its conversation, whose creation time in the view is `created_at`, or
 * the stored one for 0. Folders that are missing are made, the view folder included, but nothing above it. The
 * line is there as a whole or not at all; where an earlier one ends in the middle, it begins on a new line.
 *
 * HF_IO, HF_FULL, HF_READONLY with the path and why; HF_BUSY where another process keeps the conversation's folder
 * locked; HF_CONFLICT where the folder is another conversation's (on a file system that ignores case); HF_MEMORY.
 */
int hf__view_add(const char *view_dir, const hf_conversation *conversation, int64_t created_at,
                 const hf_message *message, hf_error *err);

/*
 * A view that is written anew, in which a conversation with final messages has one folder, and what is gone has
 * none:
 *
 *     hf__view_rebuild_open(view_dir, &rebuild, err)
 *     for each conversation:
 *         hf__view_rebuild_begin(rebuild, conversation, err)
 *         hf__view_rebuild_line(rebuild, message, err)          for each of its final messages, in order
 *         hf__view_rebuild_end(rebuild, err)                    takes the place of the old file at once
 *     hf__view_rebuild_finish(rebuild, err)                     removes the folders that are not wanted any more
 *     hf__view_rebuild_close(rebuild)                           always, also after a failure
 *
 * A conversation that the view knows keeps its creation time there; of several folders of it one is kept. A folder
 * is taken for one of the view's only where its meta.json gives it its name; others, and strange files, stay as
 * they are. What is borrowed is borrowed for the call. Between begin and end nobody else may commit messages of
 * the conversation, or their lines may be lost. Errors as hf__view_add's.
 */
typedef struct hf__view_rebuild hf__view_rebuild;
int hf__view_rebuild_open(const char *view_dir, hf__view_rebuild **out, hf_error *err);
int hf__view_rebuild_begin(hf__view_rebuild *rebuild, const hf_conversation *conversation, hf_error *err);
int hf__view_rebuild_line(hf__view_rebuild *rebuild, const hf_message *message, hf_error *err);
int hf__view_rebuild_end(hf__view_rebuild *rebuild, hf_error *err);
int hf__view_rebuild_finish(hf__view_rebuild *rebuild, hf_error *err);
int64_t hf__view_rebuild_count(const hf__view_rebuild *rebuild); /* conversations that were written */
void hf__view_rebuild_close(hf__view_rebuild *rebuild);

#endif
