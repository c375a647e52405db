// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A disk in memory under the engine's own I/O layer: os_memory.c has all functions of os.h and is
// linked in place of os.c. It knows, for each granule of 512 bytes, each size and each name, what
// is on the disk and what only a running kernel has, so that a test can build any disk that a power
// cut may leave (crash_state.h), and it can let any call fail.
//
// What it promises is the least that POSIX does: a write, a store to a mapping and a new size are
// on the disk after os_file_sync, a store to the range after os_map_sync, a name after os_dir_sync;
// until then each may be there or not, in any order. What was stored while a sync runs is not part
// of it.
#ifndef TESTS_OS_MEMORY_H
#define TESTS_OS_MEMORY_H

#include "store/os.h"

struct memory_tables;

#define DISK_GRANULE_BYTES 512u
#define DISK_FILES_MAX 64
#define DISK_NAMES_MAX 32
#define DISK_PENDING_MAX 512
#define DISK_VERSIONS_MAX 6

struct disk_file {
    uint8_t *data;    // as a process sees it, `room` bytes; a mapping hands this out. Behind them,
                      // up to `bytes`, there are zeros
    uint8_t *seen;    // at the last look for changes; NULL: it was never open for writing
    uint8_t *durable; // likewise
    int32_t *granule_of; // likewise: index into the disk's granules, -1: nothing unsynced
    uint64_t room;
    uint64_t bytes, durable_bytes;
    unsigned handles;
    bool mapped;
    bool whole_granules; // a granule of it is never torn: LMDB relies on that for its head pages
    const void *locked_by;
};

struct disk_name {
    char name[64];
    unsigned file;
};

// A granule of which the disk may hold more than one version: [0] is the one last synced, the last
// one is what a process sees.
struct disk_granule {
    unsigned file;
    uint32_t index;
    unsigned count;
    uint8_t versions[DISK_VERSIONS_MAX][DISK_GRANULE_BYTES];
};

enum disk_change { DISK_ADDED, DISK_RENAMED, DISK_REMOVED };

// A change of names since the last os_dir_sync.
struct disk_pending {
    enum disk_change change;
    unsigned file;
    char name[64]; // added, removed, renamed to
    char from[64];
};

// After a failed sync of a file: what was stored waits for the next one, or the kernel thinks it
// written.
enum disk_sync_failure { DISK_STAYS_DIRTY, DISK_MARKED_CLEAN };

// The call with the number `call` (from 1) fails, or all from there on. 0: none.
struct disk_failure {
    uint64_t call;
    bool syncs_only; // of files and ranges: only these are counted, and fail
    bool for_good;
    int sys_errno;
    enum disk_sync_failure after_sync;
};

struct disk {
    struct disk_file files[DISK_FILES_MAX];
    struct disk_name names[DISK_NAMES_MAX], durable_names[DISK_NAMES_MAX];
    unsigned name_count, durable_name_count;
    struct disk_pending pending[DISK_PENDING_MAX];
    unsigned pending_count;
    uint64_t pending_gone;         // changes that have left the list
    struct disk_granule *granules; // of all files, in no order
    unsigned granule_count, granule_room;

    uint64_t changes; // of what is or is not on the disk
    uint64_t calls;   // that could have failed
    uint64_t syncs;   // of which so many were syncs of files and ranges
    struct disk_failure failure;
    bool sync_failed; // a sync of a file failed

    // Called before and after everything that changes the disk: power may be cut here.
    void (*at_point)(void *user);
    void *at_point_user;

    struct memory_tables *tables; // what tables_memory.c keeps on it; the disk does not own it
};

void disk_init(struct disk *disk);
void disk_release(struct disk *disk);

// The disk that os_dir_open opens from now on, whatever the path. Returns the one before.
struct disk *disk_select(struct disk *disk);
struct disk *disk_selected(void);

// A disk without anything unsynced: what a machine that was shut down properly would find.
void disk_copy(struct disk *dst, const struct disk *src);

// Takes note of what was stored into mappings since the last look.
void disk_look(struct disk *disk);

// Counts a call, and lets it fail if it is to. For tables_memory.c.
int disk_call(struct disk *disk, const char *what, struct store_error *err);

// Power may be cut here, and the turn may go to another thread.
void disk_point(struct disk *disk);

// What os_memory.c and lmdb_disk.c make of it. A write, and a sync of a whole file or of a
// part of a mapping, are calls that can fail, with points around them; a range written with
// O_DSYNC, which can fail too, is synced at once.
unsigned disk_file_add(struct disk *disk, uint64_t room);
void disk_file_watch(struct disk_file *file); // from now on changes of it are noted
void disk_file_make_room(struct disk_file *file, uint64_t bytes);
void disk_file_put(struct disk *disk, unsigned number, uint64_t offset, const void *buf,
                   size_t len);
int disk_file_write(struct disk *disk, unsigned number, uint64_t offset, const void *buf,
                    size_t len, struct store_error *err);
int disk_file_sync(struct disk *disk, unsigned number, struct store_error *err);
int disk_map_sync(struct disk *disk, unsigned number, uint64_t offset, uint64_t bytes,
                  struct store_error *err);
int disk_range_sync(struct disk *disk, unsigned number, uint64_t offset, size_t len,
                    struct store_error *err);
void disk_pending_add(struct disk *disk, enum disk_change change, unsigned file, const char *name,
                      const char *from);
void disk_pending_drop(struct disk *disk, unsigned count);
int disk_name_find(const struct disk_name *names, unsigned count, const char *name);
void disk_name_set(struct disk_name *names, unsigned *count, const char *name, unsigned file);
void disk_name_remove(struct disk_name *names, unsigned *count, const char *name);
void disk_pending_apply(const struct disk_pending *pending, struct disk_name *names,
                        unsigned *count);

// The clock of os_monotonic_ms and os_realtime_ms. It only moves when it is told to.
uint64_t memory_clock_ms(void);
void memory_clock_reach(uint64_t ms);
void memory_clock_set(uint64_t ms);

// Where os_random begins.
void memory_random_seed(uint64_t seed);

#endif
