/* Every file is the default VFS's own with a header before it; every call is passed on unless it has to fail. A
 * sync that succeeds is not passed on: the tests look at what SQLite was told, not at power cuts. */
#include "support/fault_vfs.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct shim {
    sqlite3_file base;
    sqlite3_file *real; /* right behind */
    bool wal, database;
} shim;

static sqlite3_vfs vfs;
static sqlite3_vfs *real_vfs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* a store may have threads of its own */
static long wal_bytes;
static _Thread_local long own_writes;
static atomic_int sync_ms;
static struct {
    fault_kind kind;
    int rc;
    long before, times; /* calls to come that work, and then that fail */
    long failed;
} plan;

void fault_vfs_plan(fault_kind kind, int rc, long nth, long times) {
    pthread_mutex_lock(&lock);
    plan.kind = kind;
    plan.rc = rc;
    plan.before = nth - 1;
    plan.times = times;
    plan.failed = 0;
    pthread_mutex_unlock(&lock);
}

long fault_vfs_failed(void) {
    pthread_mutex_lock(&lock);
    plan.times = 0;
    long failed = plan.failed;
    pthread_mutex_unlock(&lock);
    return failed;
}

void fault_vfs_slow_syncs(int ms) {
    atomic_store(&sync_ms, ms);
}

long fault_vfs_wal_bytes(void) {
    pthread_mutex_lock(&lock);
    long bytes = wal_bytes;
    wal_bytes = 0;
    pthread_mutex_unlock(&lock);
    return bytes;
}

long fault_vfs_own_writes(void) {
    long writes = own_writes;
    own_writes = 0;
    return writes;
}

static int fails_now(fault_kind kind) {
    bool meant =
        plan.kind == kind || (plan.kind == FAULT_ANY && kind != FAULT_READ && kind != FAULT_RESERVED);
    if (plan.times == 0 || !meant) return SQLITE_OK;
    if (plan.before > 0) {
        plan.before--;
        return SQLITE_OK;
    }
    plan.times--;
    plan.failed++;
    if (plan.rc == FAULT_DEATH && kind != FAULT_WRITE) raise(SIGKILL);
    return plan.rc;
}

static int fails(fault_kind kind) {
    pthread_mutex_lock(&lock);
    int rc = fails_now(kind);
    pthread_mutex_unlock(&lock);
    return rc;
}

static void count_write(const shim *file, int size) {
    own_writes += file->database;
    pthread_mutex_lock(&lock);
    if (file->wal) wal_bytes += size;
    pthread_mutex_unlock(&lock);
}

#define REAL(file) (((shim *)(file))->real)
#define PASS(file, method, ...) (REAL(file)->pMethods->method(REAL(file), __VA_ARGS__))

static int shim_close(sqlite3_file *file) {
    return REAL(file)->pMethods->xClose(REAL(file));
}

static int shim_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at) {
    int rc = fails(FAULT_READ);
    return rc != SQLITE_OK ? rc : PASS(file, xRead, data, size, at);
}

/* A write that fails has half happened. */
static int shim_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at) {
    int rc = fails(FAULT_WRITE);
    count_write((shim *)file, size);
    if (rc == SQLITE_OK) return PASS(file, xWrite, data, size, at);
    PASS(file, xWrite, data, size / 2, at);
    if (rc == FAULT_DEATH) raise(SIGKILL);
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int rc = fails(FAULT_TRUNCATE);
    return rc != SQLITE_OK ? rc : PASS(file, xTruncate, size);
}

static int shim_sync(sqlite3_file *file, int flags) {
    (void)file, (void)flags;
    int ms = atomic_load(&sync_ms);
    if (ms > 0) sqlite3_sleep(ms);
    return fails(FAULT_SYNC);
}

static int shim_size(sqlite3_file *file, sqlite3_int64 *size) {
    return PASS(file, xFileSize, size);
}

static int shim_lock(sqlite3_file *file, int level) {
    int rc = fails(FAULT_LOCK);
    return rc != SQLITE_OK ? rc : PASS(file, xLock, level);
}

static int shim_unlock(sqlite3_file *file, int level) {
    fails(FAULT_STEP);
    return PASS(file, xUnlock, level);
}

static int shim_reserved(sqlite3_file *file, int *out) {
    int rc = fails(FAULT_RESERVED);
    return rc != SQLITE_OK ? rc : PASS(file, xCheckReservedLock, out);
}

static int shim_control(sqlite3_file *file, int what, void *data) {
    return PASS(file, xFileControl, what, data);
}

static int shim_sector(sqlite3_file *file) {
    return REAL(file)->pMethods->xSectorSize(REAL(file));
}

static int shim_traits(sqlite3_file *file) {
    return REAL(file)->pMethods->xDeviceCharacteristics(REAL(file));
}

static int shim_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
    return PASS(file, xShmMap, region, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    int rc = fails((flags & SQLITE_SHM_LOCK) != 0 ? FAULT_LOCK : FAULT_STEP);
    if (rc == SQLITE_OK && offset == 0 && (flags & SQLITE_SHM_LOCK) != 0) rc = fails(FAULT_WRITER);
    return rc != SQLITE_OK ? rc : PASS(file, xShmLock, offset, count, flags);
}

static void shim_barrier(sqlite3_file *file) {
    fails(FAULT_STEP);
    REAL(file)->pMethods->xShmBarrier(REAL(file));
}

static int shim_unmap(sqlite3_file *file, int drop) {
    return PASS(file, xShmUnmap, drop);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = shim_close,
    .xRead = shim_read,
    .xWrite = shim_write,
    .xTruncate = shim_truncate,
    .xSync = shim_sync,
    .xFileSize = shim_size,
    .xLock = shim_lock,
    .xUnlock = shim_unlock,
    .xCheckReservedLock = shim_reserved,
    .xFileControl = shim_control,
    .xSectorSize = shim_sector,
    .xDeviceCharacteristics = shim_traits,
    .xShmMap = shim_map,
    .xShmLock = shim_shm_lock,
    .xShmBarrier = shim_barrier,
    .xShmUnmap = shim_unmap,
};

static int shim_delete(sqlite3_vfs *self, const char *name, int sync) {
    (void)self;
    fails(FAULT_STEP);
    return real_vfs->xDelete(real_vfs, name, sync);
}

static int shim_open(sqlite3_vfs *self, const char *name, sqlite3_file *file, int flags, int *out) {
    shim *opened = (shim *)file;
    (void)self;
    opened->base.pMethods = NULL;
    int rc = fails(FAULT_OPEN);
    if (rc != SQLITE_OK) return rc;
    opened->real = (sqlite3_file *)(opened + 1);
    opened->real->pMethods = NULL;
    opened->wal = (flags & SQLITE_OPEN_WAL) != 0;
    opened->database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    rc = real_vfs->xOpen(real_vfs, name, opened->real, flags, out);
    if (opened->real->pMethods != NULL) opened->base.pMethods = &methods;
    return rc;
}

void fault_vfs_install(void) {
    real_vfs = sqlite3_vfs_find(NULL);
    vfs = *real_vfs; /* its other functions look at no vfs but themselves */
    vfs.pNext = NULL;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(shim) + real_vfs->szOsFile;
    vfs.xOpen = shim_open;
    vfs.xDelete = shim_delete;
    sqlite3_vfs_register(&vfs, 1);
}
