/*
 * The disk view: a line added to it, and the whole of it written anew. How a line reads is left to text.c,
 * how files are opened and put in place to file.c, and when either happens to the store.
 */
#include "view/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "view/file.h"

enum { FLUSH_SIZE = 256 * 1024, FIRST_ROOM = 64 };

/* ---- One line ---------------------------------------------------------------------------------- */

/* Appends `line`, whose first byte is a newline that is needed only where the file ends in the middle of one:
 * after a crash, or an edit. What came short is cut off again. */
static int append_line(const hf__view *view, hf_text line, hf_error *err) {
    struct stat before, after;
    char last = '\n';
    int code = HF_OK;
    int fd = hf__view_file(view, HF__VIEW_MESSAGES, O_RDWR | O_APPEND | O_CREAT);
    if (fd < 0) return hf__view_fail(view, HF__VIEW_MESSAGES, err);
    if (fstat(fd, &before) != 0 || (before.st_size > 0 && pread(fd, &last, 1, before.st_size - 1) < 0))
        code = hf__view_fail(view, HF__VIEW_MESSAGES, err);
    if (code == HF_OK) {
        if (last == '\n') line = (hf_text){line.data + 1, line.size - 1};
        size_t written = hf__view_write(fd, line);
        if (written < line.size) {
            code = hf__view_fail(view, HF__VIEW_MESSAGES, err);
            bool ours = fstat(fd, &after) == 0 && after.st_size - before.st_size == (off_t)written;
            if (ours && ftruncate(fd, before.st_size) != 0)
                hf__error_prefix(err, "a part of a line stays in the file: ");
        }
    }
    if (close(fd) != 0 && code == HF_OK) code = hf__view_fail(view, HF__VIEW_MESSAGES, err);
    return code;
}

/* The folder of the conversation is made, said whose it is, and gets the line. */
static int add_line(hf__view *view, hf_text meta, hf_text line, hf_error *err) {
    int code = hf__view_enter(view, err);
    if (code == HF_OK) code = hf__view_put_meta(view, meta, err);
    if (code == HF_OK) code = append_line(view, line, err);
    hf__view_leave(view);
    return code;
}

int hf__view_add(const char *view_dir, const hf_conversation *conversation, int64_t created_at,
                 const hf_message *message, hf_error *err) {
    hf__view view;
    hf__buf line, meta;
    if (created_at == 0) created_at = conversation->created_at;
    hf__buf_init(&line, 0);
    hf__buf_init(&meta, 0);
    hf__buf_char(&line, '\n');
    int code = hf__view_write_line(&line, message, err);
    if (code == HF_OK) code = hf__view_write_meta(&meta, conversation, created_at, err);
    if (code == HF_OK) code = hf__view_open(&view, view_dir, err);
    if (code == HF_OK) {
        code = hf__view_name(view.name, created_at, conversation->id, err);
        if (code == HF_OK) code = add_line(&view, hf__buf_view(&meta), hf__buf_view(&line), err);
        hf__view_close(&view);
    }
    hf__buf_free(&line);
    hf__buf_free(&meta);
    return code;
}

/* ---- What a view holds ------------------------------------------------------------------------- */

/* A folder that is ours. */
typedef struct entry {
    hf_text id;
    int64_t created_at;
    bool seen; /* its conversation came by */
} entry;

struct hf__view_rebuild {
    hf__view view;
    hf__arena ids;
    entry *entries; /* in the order of id and time */
    size_t count, room;
    int64_t written; /* conversations */

    /* The conversation at hand. */
    size_t first, end; /* its entries */
    int64_t created_at;
    int file; /* -1 before its first line */
    hf__buf lines, meta;
};

static int compare_texts(hf_text a, hf_text b) {
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_id_and_time(const void *left, const void *right) {
    const entry *a = left, *b = right;
    int order = compare_texts(a->id, b->id);
    return order != 0 ? order : (a->created_at > b->created_at) - (a->created_at < b->created_at);
}

static int add_entry(hf__view_rebuild *rebuild, hf_text id, int64_t created_at, hf_error *err) {
    if (rebuild->count == rebuild->room) {
        size_t room = rebuild->room > 0 ? rebuild->room * 2 : FIRST_ROOM;
        entry *entries = hf__realloc(rebuild->entries, room * sizeof *entries);
        if (entries == NULL) return hf__fail_memory(err);
        rebuild->entries = entries;
        rebuild->room = room;
    }
    entry *fresh = &rebuild->entries[rebuild->count];
    fresh->id = hf__arena_text(&rebuild->ids, id);
    fresh->created_at = created_at;
    fresh->seen = false;
    if (fresh->id.data == NULL) return hf__fail_memory(err);
    rebuild->count++;
    return HF_OK;
}

/* Takes the folder view->name down where its meta.json gives it this very name. */
static int scan_folder(hf__view_rebuild *rebuild, hf_error *err) {
    char name[HF__VIEW_NAME];
    hf__arena arena = {0};
    hf__buf meta;
    hf_text id;
    int64_t created_at;
    if (hf__view_look(&rebuild->view) != 0) return HF_OK;
    hf__buf_init(&meta, 0);
    int code = hf__view_get_meta(&rebuild->view, &meta, err);
    if (code == HF_OK) code = hf__view_read_meta(&arena, hf__buf_view(&meta), &id, &created_at, err);
    if (code == HF_OK && id.data != NULL && hf__view_name(name, created_at, id, NULL) == HF_OK &&
        strcmp(name, rebuild->view.name) == 0)
        code = add_entry(rebuild, id, created_at, err);
    hf__view_leave(&rebuild->view);
    hf__buf_free(&meta);
    hf__arena_free(&arena);
    return code;
}

static int scan_view(hf__view_rebuild *rebuild, hf_error *err) {
    hf__view *view = &rebuild->view;
    int code = HF_OK;
    int fd = hf__view_again(view);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (dir == NULL) {
        code = hf__view_fail(view, NULL, err);
        if (fd >= 0) close(fd);
        return code;
    }
    while (code == HF_OK) {
        errno = 0;
        view->name[0] = '\0';
        const struct dirent *found = readdir(dir);
        if (found == NULL && errno != 0) code = hf__view_fail(view, NULL, err);
        if (found == NULL) break;
        size_t size = strlen(found->d_name);
        if (found->d_name[0] == '.' || size >= sizeof view->name) continue;
        memcpy(view->name, found->d_name, size + 1);
        code = scan_folder(rebuild, err);
    }
    closedir(dir);
    if (rebuild->count > 0) qsort(rebuild->entries, rebuild->count, sizeof(entry), by_id_and_time);
    return code;
}

/* ---- The whole --------------------------------------------------------------------------------- */

int hf__view_rebuild_open(const char *view_dir, hf__view_rebuild **out, hf_error *err) {
    hf__view_rebuild *rebuild = hf__alloc_zero(sizeof *rebuild);
    *out = NULL;
    if (rebuild == NULL) return hf__fail_memory(err);
    rebuild->file = -1;
    hf__buf_init(&rebuild->lines, 0);
    hf__buf_init(&rebuild->meta, 0);
    int code = hf__view_open(&rebuild->view, view_dir, err);
    if (code == HF_OK) code = scan_view(rebuild, err);
    if (code == HF_OK)
        *out = rebuild;
    else
        hf__view_rebuild_close(rebuild);
    return code;
}

/* Where the entries of the id begin. */
static size_t find_entries(const hf__view_rebuild *rebuild, hf_text id) {
    size_t low = 0, high = rebuild->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_texts(rebuild->entries[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The creation time that the conversation keeps in the view: the stored one, unless the view knows others only. */
static int64_t time_in_view(const hf__view_rebuild *rebuild, int64_t stored) {
    for (size_t i = rebuild->first; i < rebuild->end; i++)
        if (rebuild->entries[i].created_at == stored) return stored;
    return rebuild->first < rebuild->end ? rebuild->entries[rebuild->first].created_at : stored;
}

int hf__view_rebuild_begin(hf__view_rebuild *rebuild, const hf_conversation *conversation, hf_error *err) {
    size_t at = rebuild->first = find_entries(rebuild, conversation->id);
    for (; at < rebuild->count && compare_texts(rebuild->entries[at].id, conversation->id) == 0; at++)
        rebuild->entries[at].seen = true;
    rebuild->end = at;
    rebuild->created_at = time_in_view(rebuild, conversation->created_at);
    hf__buf_clear(&rebuild->meta);
    hf__buf_clear(&rebuild->lines);
    int code = hf__view_name(rebuild->view.name, rebuild->created_at, conversation->id, err);
    return code == HF_OK ? hf__view_write_meta(&rebuild->meta, conversation, rebuild->created_at, err) : code;
}

static int flush(hf__view_rebuild *rebuild, hf_error *err) {
    hf_text lines = hf__buf_view(&rebuild->lines);
    if (hf__view_write(rebuild->file, lines) < lines.size)
        return hf__view_fail(&rebuild->view, HF__VIEW_MESSAGES, err);
    hf__buf_clear(&rebuild->lines);
    return HF_OK;
}

int hf__view_rebuild_line(hf__view_rebuild *rebuild, const hf_message *message, hf_error *err) {
    int code = HF_OK;
    if (rebuild->file < 0) {
        code = hf__view_enter(&rebuild->view, err);
        if (code == HF_OK) code = hf__view_new(&rebuild->view, HF__VIEW_MESSAGES, &rebuild->file, err);
    }
    if (code == HF_OK) code = hf__view_write_line(&rebuild->lines, message, err);
    if (code == HF_OK && rebuild->lines.size >= FLUSH_SIZE) code = flush(rebuild, err);
    return code;
}

/* Ends the file at hand: it takes its place, or, where `code` is a failure, it goes. */
static int end_file(hf__view_rebuild *rebuild, int code, hf_error *err) {
    if (rebuild->file >= 0) code = hf__view_put(&rebuild->view, HF__VIEW_MESSAGES, rebuild->file, code, err);
    rebuild->file = -1;
    hf__view_leave(&rebuild->view);
    return code;
}

static int remove_entry(hf__view_rebuild *rebuild, const entry *gone, hf_error *err) {
    int code = hf__view_name(rebuild->view.name, gone->created_at, gone->id, err);
    return code == HF_OK ? hf__view_remove(&rebuild->view, err) : code;
}

int hf__view_rebuild_end(hf__view_rebuild *rebuild, hf_error *err) {
    int code = HF_OK;
    bool written = rebuild->file >= 0;
    if (written) {
        code = flush(rebuild, err);
        if (code == HF_OK) code = hf__view_put_meta(&rebuild->view, hf__buf_view(&rebuild->meta), err);
        code = end_file(rebuild, code, err);
        if (code == HF_OK) rebuild->written++;
    }
    for (size_t i = rebuild->first; i < rebuild->end && code == HF_OK; i++)
        if (!written || rebuild->entries[i].created_at != rebuild->created_at)
            code = remove_entry(rebuild, &rebuild->entries[i], err);
    return code;
}

int hf__view_rebuild_finish(hf__view_rebuild *rebuild, hf_error *err) {
    int code = HF_OK;
    for (size_t i = 0; i < rebuild->count && code == HF_OK; i++)
        if (!rebuild->entries[i].seen) code = remove_entry(rebuild, &rebuild->entries[i], err);
    return code;
}

int64_t hf__view_rebuild_count(const hf__view_rebuild *rebuild) {
    return rebuild->written;
}

void hf__view_rebuild_close(hf__view_rebuild *rebuild) {
    if (rebuild == NULL) return;
    end_file(rebuild, HF_IO, NULL); /* the one at hand was not ended */
    hf__view_close(&rebuild->view);
    hf__buf_free(&rebuild->lines);
    hf__buf_free(&rebuild->meta);
    hf__arena_free(&rebuild->ids);
    hf__free(rebuild->entries);
    hf__free(rebuild);
}
