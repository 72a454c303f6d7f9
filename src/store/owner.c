/*
 * The proof that an owner lives: a lock on its file, held and asked about through the VFS of the connection, as
 * SQLite holds and asks about those of a database. So two handles in one process see each other, a third one that is
 * closed drops nobody's lock, a forked child inherits none, and kill -9 ends it. Which owner reserved what, and what
 * becomes of a dead one's anchors, is left to the rest of the room.
 *
 * SQLite knows the locks of its own process from a table in memory. A child of fork without exec has a copy of it:
 * to that child the owners of its parent seem to live for good, and their anchors are left alone.
 *
 * A living owner never looks dead: nobody knows an id before it is claimed, and a release is the end of it, in
 * whatever order its steps are seen. The file goes first, so that a crash between the two leaves none behind.
 */
#define _POSIX_C_SOURCE 200809L

#include "store/owner.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/uuid.h"
#include "store/schema.h"

struct hf__owner {
    sqlite3_vfs *vfs;
    char *name;         /* of its file, as a VFS wants names; NULL for a database in memory */
    sqlite3_file *file; /* NULL while it is not open */
    bool made;          /* the file is there by our hand */
};

static int fail(hf_error *err, const hf__owner *owner, const char *what, int rc) {
    if ((rc & 0xff) == SQLITE_NOMEM || rc == SQLITE_IOERR_NOMEM) return hf__fail_memory(err);
    hf_code code = (rc & 0xff) == SQLITE_BUSY ? HF_BUSY : HF_IO;
    hf__fail(err, code, "%s: the lock of an open store cannot be %s: %s (SQLite %d)", owner->name, what,
             sqlite3_errstr(rc), rc);
    if (err != NULL) err->sqlite_code = rc;
    return code;
}

/* ---- The file ---------------------------------------------------------------------------------- */

/* Ids come from a file that anybody may edit, and become a part of a path. */
bool hf__owner_is_id(const char *id) {
    if (id == NULL) return false;
    for (int i = 0; i < HF__UUID_SIZE; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f');
        if (dash ? id[i] != '-' : !hex) return false;
    }
    return id[HF__UUID_SIZE] == '\0';
}

static int find_file(sqlite3 *db, const char *id, hf__owner *owner, hf_error *err) {
    const char *database = sqlite3_db_filename(db, "main"); /* absolute, and links are resolved */
    if (database == NULL || *database == '\0') return HF_OK;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &owner->vfs);
    if (rc != SQLITE_OK || owner->vfs == NULL)
        return hf__fail(err, HF_INTERNAL, "%s: the connection names no VFS (SQLite %d)", database, rc);
    char *name = sqlite3_mprintf("%s-owner-%s", database, id);
    if (name != NULL) owner->name = (char *)sqlite3_create_filename(name, "", "", 0, NULL);
    sqlite3_free(name);
    return owner->name != NULL ? HF_OK : hf__fail_memory(err);
}

/* Opens the file, which has to be there. Only a main database has locks; and that of the connection was opened in the
 * same way, so the VFS has all the methods. */
static int open_file(hf__owner *owner) {
    sqlite3_file *file = hf__alloc_zero((size_t)owner->vfs->szOsFile);
    if (file == NULL) return SQLITE_NOMEM;
    int flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE;
    int rc = owner->vfs->xOpen(owner->vfs, owner->name, file, flags, &flags);
    if (rc == SQLITE_OK) {
        owner->file = file;
        return SQLITE_OK;
    }
    if (file->pMethods != NULL) file->pMethods->xClose(file); /* a VFS may fail late */
    hf__free(file);
    return rc;
}

/* Ends what find_file and open_file began. */
static void leave_file(hf__owner *owner) {
    if (owner->file != NULL) owner->file->pMethods->xClose(owner->file);
    hf__free(owner->file);
    sqlite3_free_filename(owner->name);
}

/* ---- The owner --------------------------------------------------------------------------------- */

/* For its owner alone: who may open the file may lock it. */
static int make_file(hf__owner *owner, hf_error *err) {
    int code = hf__create_file(owner->name, true, err);
    owner->made = code == HF_OK;
    return code;
}

static int lock_file(hf__owner *owner, hf_error *err) {
    int rc = open_file(owner);
    if (rc == SQLITE_OK) rc = owner->file->pMethods->xLock(owner->file, SQLITE_LOCK_SHARED);
    if (rc == SQLITE_OK) rc = owner->file->pMethods->xLock(owner->file, SQLITE_LOCK_RESERVED);
    return rc == SQLITE_OK ? HF_OK : fail(err, owner, "taken", rc);
}

int hf__owner_claim(sqlite3 *db, const char *id, hf__owner **out, hf_error *err) {
    if (!hf__owner_is_id(id)) {
        return hf__fail(err, HF_INTERNAL, "the id of an owner is a lower-case UUID, not \"%s\"",
                        id != NULL ? id : "");
    }
    hf__owner *owner = hf__alloc_zero(sizeof *owner);
    if (owner == NULL) return hf__fail_memory(err);
    int code = find_file(db, id, owner, err);
    if (code == HF_OK && owner->name != NULL) code = make_file(owner, err);
    if (code == HF_OK && owner->name != NULL) code = lock_file(owner, err);
    if (code != HF_OK) {
        hf__owner_release(owner);
        return code;
    }
    *out = owner;
    return HF_OK;
}

void hf__owner_release(hf__owner *owner) {
    if (owner == NULL) return;
    if (owner->made) owner->vfs->xDelete(owner->vfs, owner->name, 0);
    if (owner->file != NULL) owner->file->pMethods->xUnlock(owner->file, SQLITE_LOCK_NONE);
    leave_file(owner);
    hf__free(owner);
}

/* ---- Somebody else's --------------------------------------------------------------------------- */

/* xAccess takes an empty file for none. Where the database itself is no longer in its place, neither are the files
 * of those who live. */
static bool is_gone(sqlite3 *db, const char *name) {
    struct stat info;
    int moved = 0;
    if (stat(name, &info) == 0 || errno != ENOENT) return false;
    sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved); /* stays 0 where the VFS cannot tell */
    return !moved;
}

static int look(sqlite3 *db, hf__owner *owner, bool *lives, hf_error *err) {
    int reserved = 0;
    int rc = open_file(owner);
    if (rc != SQLITE_OK && is_gone(db, owner->name)) return HF_OK;
    if (rc == SQLITE_OK) rc = owner->file->pMethods->xCheckReservedLock(owner->file, &reserved);
    if (rc != SQLITE_OK) return fail(err, owner, "looked at", rc);
    *lives = reserved != 0;
    return HF_OK;
}

int hf__owner_lives(sqlite3 *db, const char *id, bool *lives, hf_error *err) {
    hf__owner owner = {0};
    *lives = false;
    if (!hf__owner_is_id(id)) return HF_OK;
    int code = find_file(db, id, &owner, err);
    if (code == HF_OK && owner.name != NULL) code = look(db, &owner, lives, err);
    leave_file(&owner);
    return code;
}

void hf__owner_clear(sqlite3 *db, const char *id) {
    hf__owner owner = {0};
    if (!hf__owner_is_id(id)) return;
    if (find_file(db, id, &owner, NULL) == HF_OK && owner.name != NULL)
        owner.vfs->xDelete(owner.vfs, owner.name, 0);
    leave_file(&owner);
}

/* Whether the name is that of an owner's file of the database `base`; `id` shows whose. */
static bool is_owner_file(const char *name, const char *base, const char **id) {
    static const char infix[] = "-owner-";
    size_t size = strlen(base);
    if (strncmp(name, base, size) != 0 || strncmp(name + size, infix, sizeof infix - 1) != 0) return false;
    *id = name + size + sizeof infix - 1;
    return hf__owner_is_id(*id);
}

int64_t hf__owner_sweep(sqlite3 *db, bool clear, char example[HF__UUID_SIZE + 1]) {
    const char *database = sqlite3_db_filename(db, "main"), *id;
    const char *base = database != NULL ? strrchr(database, '/') : NULL;
    if (base == NULL) return 0;
    char *folder = sqlite3_mprintf("%.*s", (int)(++base - database), database);
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    sqlite3_free(folder);
    if (dir == NULL) return 0;
    int64_t found = 0;
    bool lives;
    for (const struct dirent *file; (file = readdir(dir)) != NULL;) {
        if (!is_owner_file(file->d_name, base, &id)) continue;
        if (hf__owner_lives(db, id, &lives, NULL) != HF_OK || lives) continue;
        if (found++ == 0 && example != NULL) memcpy(example, id, HF__UUID_SIZE + 1);
        if (clear) hf__owner_clear(db, id);
    }
    closedir(dir);
    return found;
}
