/* Planned failures of the disk: a layer between SQLite and its default VFS that fails the calls it is told to. */
#ifndef HF_TESTS_SUPPORT_FAULT_VFS_H
#define HF_TESTS_SUPPORT_FAULT_VFS_H

typedef enum fault_kind {
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_TRUNCATE,
    FAULT_LOCK,     /* any lock that is taken */
    FAULT_WRITER,   /* the lock of who writes to the WAL */
    FAULT_RESERVED, /* the question whether a lock is held */
    FAULT_OPEN,
    FAULT_STEP, /* an unlock, a memory barrier, a deletion: for FAULT_DEATH alone */
    FAULT_ANY,  /* all that others may see: no reading and no asking */
} fault_kind;

/* In place of a result code: the process ends there, as by kill -9. Of a write one half has happened. */
#define FAULT_DEATH (-1)

/* Puts it under everything that is opened afterwards. */
void fault_vfs_install(void);

/* Of the calls of the kind, the nth from now on and the `times` - 1 after it fail with the result code `rc`. */
void fault_vfs_plan(fault_kind kind, int rc, long nth, long times);

/* Ends the plan. How many calls have failed. */
long fault_vfs_failed(void);

/* From now on every sync takes so many milliseconds. */
void fault_vfs_slow_syncs(int ms);

/* The bytes that were written to WALs since it was asked last. */
long fault_vfs_wal_bytes(void);

/* How often the calling thread wrote to databases themselves, not to their WALs, since it asked last. */
long fault_vfs_own_writes(void);

#endif
