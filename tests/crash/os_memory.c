// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "os_memory.h"

#include "schedule.h"
#include "support.h"

#include <errno.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct os_dir {
    struct disk *disk;
    char path[256];
};

struct os_file {
    struct disk *disk;
    unsigned file;
    char name[64];
};

static struct disk *selected;
static uint64_t clock_ms = 1000000;
static uint64_t random_state = 1;

uint64_t memory_clock_ms(void)
{
    return clock_ms;
}

void memory_clock_reach(uint64_t ms)
{
    if (ms > clock_ms)
        clock_ms = ms;
}

void memory_clock_set(uint64_t ms)
{
    clock_ms = ms;
}

void memory_random_seed(uint64_t seed)
{
    random_state = seed;
}

#ifdef __GLIBC__
// Files come and go by the million: their memory is not to go back to the kernel each time.
__attribute__((constructor)) static void memory_keep(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    mallopt(M_ARENA_MAX, 1);
}
#endif

static void *take(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        abort();
    return memory;
}

// ---- the disk --------------------------------------------------------------------------------

void disk_init(struct disk *disk)
{
    memset(disk, 0, sizeof(*disk));
}

static void file_release(struct disk_file *file)
{
    free(file->data);
    free(file->seen);
    free(file->durable);
    free(file->granule_of);
    memset(file, 0, sizeof(*file));
}

void disk_release(struct disk *disk)
{
    for (unsigned i = 0; i < DISK_FILES_MAX; i++)
        file_release(&disk->files[i]);
    free(disk->granules);
    disk_init(disk);
}

struct disk *disk_select(struct disk *disk)
{
    struct disk *before = selected;
    selected = disk;
    return before;
}

struct disk *disk_selected(void)
{
    return selected;
}

int disk_name_find(const struct disk_name *names, unsigned count, const char *name)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(names[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

void disk_name_set(struct disk_name *names, unsigned *count, const char *name, unsigned file)
{
    int at = disk_name_find(names, *count, name);
    if (at < 0) {
        if (*count == DISK_NAMES_MAX)
            abort();
        at = (int)(*count)++;
        snprintf(names[at].name, sizeof(names[at].name), "%s", name);
    }
    names[at].file = file;
}

void disk_name_remove(struct disk_name *names, unsigned *count, const char *name)
{
    int at = disk_name_find(names, *count, name);
    if (at >= 0)
        names[at] = names[--*count];
}

static bool file_is_used(const struct disk *disk, unsigned file)
{
    if (disk->files[file].handles)
        return true;
    for (unsigned i = 0; i < disk->name_count; i++) {
        if (disk->names[i].file == file)
            return true;
    }
    for (unsigned i = 0; i < disk->durable_name_count; i++) {
        if (disk->durable_names[i].file == file)
            return true;
    }
    for (unsigned i = 0; i < disk->pending_count; i++) {
        if (disk->pending[i].file == file)
            return true;
    }
    return false;
}

static void granules_forget(struct disk *disk, unsigned file)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < disk->granule_count; i++) {
        struct disk_granule *granule = &disk->granules[i];
        if (granule->file == file) {
            disk->files[file].granule_of[granule->index] = -1;
            continue;
        }
        if (kept != i) {
            disk->granules[kept] = *granule;
            disk->files[granule->file].granule_of[granule->index] = (int32_t)kept;
        }
        kept++;
    }
    disk->granule_count = kept;
    disk->changes++;
}

unsigned disk_file_add(struct disk *disk, uint64_t room)
{
    unsigned file = 0;
    while (disk->files[file].data && file_is_used(disk, file)) {
        if (++file == DISK_FILES_MAX)
            abort();
    }
    if (disk->files[file].granule_of)
        granules_forget(disk, file);
    file_release(&disk->files[file]);
    room = (room + DISK_GRANULE_BYTES - 1) / DISK_GRANULE_BYTES * DISK_GRANULE_BYTES;
    disk->files[file].data = take(room ? room : DISK_GRANULE_BYTES);
    disk->files[file].room = room ? room : DISK_GRANULE_BYTES;
    return file;
}

void disk_copy(struct disk *dst, const struct disk *src)
{
    disk_init(dst);
    for (unsigned i = 0; i < src->name_count; i++) {
        const struct disk_file *from = &src->files[src->names[i].file];
        unsigned file = disk_file_add(dst, from->bytes);
        memcpy(dst->files[file].data, from->data, from->bytes);
        dst->files[file].bytes = dst->files[file].durable_bytes = from->bytes;
        disk_name_set(dst->names, &dst->name_count, src->names[i].name, file);
        disk_name_set(dst->durable_names, &dst->durable_name_count, src->names[i].name, file);
    }
    dst->tables = src->tables;
}

// From now on changes of the file are noted.
static void file_watch(struct disk_file *file)
{
    if (file->seen)
        return;
    size_t granules = file->room / DISK_GRANULE_BYTES;
    file->seen = take(file->room);
    file->durable = take(file->room);
    file->granule_of = take(granules * sizeof(*file->granule_of));
    memcpy(file->seen, file->data, file->room);
    memcpy(file->durable, file->data, file->room);
    for (size_t i = 0; i < granules; i++)
        file->granule_of[i] = -1;
}

static void *grown(void *memory, uint64_t from, uint64_t to)
{
    uint8_t *larger = take(to);
    memcpy(larger, memory, from);
    free(memory);
    return larger;
}

static void file_make_room(struct disk_file *file, uint64_t bytes)
{
    if (bytes <= file->room)
        return;
    if (file->mapped)
        abort();
    uint64_t room = (bytes + DISK_GRANULE_BYTES - 1) / DISK_GRANULE_BYTES * DISK_GRANULE_BYTES;
    size_t before = file->room / DISK_GRANULE_BYTES, after = room / DISK_GRANULE_BYTES;
    file->data = grown(file->data, file->room, room);
    file->seen = grown(file->seen, file->room, room);
    file->durable = grown(file->durable, file->room, room);
    file->granule_of = grown(file->granule_of, before * 4, after * 4);
    for (size_t i = before; i < after; i++)
        file->granule_of[i] = -1;
    file->room = room;
}

static void granule_note(struct disk *disk, unsigned number, uint32_t index)
{
    struct disk_file *file = &disk->files[number];
    size_t offset = (size_t)index * DISK_GRANULE_BYTES;
    struct disk_granule *granule;
    if (file->granule_of[index] < 0) {
        if (disk->granule_count == disk->granule_room) {
            disk->granule_room = disk->granule_room ? disk->granule_room * 2 : 256;
            disk->granules = realloc(disk->granules, disk->granule_room * sizeof(*disk->granules));
            if (!disk->granules)
                abort();
        }
        file->granule_of[index] = (int32_t)disk->granule_count;
        granule = &disk->granules[disk->granule_count++];
        granule->file = number;
        granule->index = index;
        granule->count = 1;
        memcpy(granule->versions[0], file->durable + offset, DISK_GRANULE_BYTES);
    }
    granule = &disk->granules[file->granule_of[index]];
    // Of many versions the newest are kept, and the one that was synced.
    if (granule->count == DISK_VERSIONS_MAX) {
        memmove(granule->versions[1], granule->versions[2],
                (DISK_VERSIONS_MAX - 2) * sizeof(granule->versions[0]));
        granule->count--;
    }
    memcpy(granule->versions[granule->count++], file->data + offset, DISK_GRANULE_BYTES);
    memcpy(file->seen + offset, file->data + offset, DISK_GRANULE_BYTES);
    disk->changes++;
}

void disk_look(struct disk *disk)
{
    const size_t stride = 8 * DISK_GRANULE_BYTES;
    for (unsigned number = 0; number < DISK_FILES_MAX; number++) {
        struct disk_file *file = &disk->files[number];
        if (!file->seen)
            continue;
        for (size_t at = 0; at < file->room; at += stride) {
            size_t bytes = file->room - at < stride ? (size_t)(file->room - at) : stride;
            if (memcmp(file->data + at, file->seen + at, bytes) == 0)
                continue;
            for (size_t offset = at; offset < at + bytes; offset += DISK_GRANULE_BYTES) {
                if (memcmp(file->data + offset, file->seen + offset, DISK_GRANULE_BYTES) != 0)
                    granule_note(disk, number, (uint32_t)(offset / DISK_GRANULE_BYTES));
            }
        }
    }
}

void disk_point(struct disk *disk)
{
    if (disk->at_point)
        disk->at_point(disk->at_point_user);
    schedule_point();
}

static int call_fail(const struct disk *disk, uint64_t number, const char *what,
                     struct store_error *err)
{
    const struct disk_failure *failure = &disk->failure;
    if (failure->call == 0 || number < failure->call ||
        (number > failure->call && !failure->for_good))
        return 0;
    return error_set_errno(err, failure->sys_errno, "the memory disk cannot %s", what);
}

int disk_call(struct disk *disk, const char *what, struct store_error *err)
{
    disk->calls++;
    return disk->failure.syncs_only ? 0 : call_fail(disk, disk->calls, what, err);
}

static void pending_add(struct disk *disk, enum disk_change change, unsigned file, const char *name,
                        const char *from)
{
    if (disk->pending_count == DISK_PENDING_MAX)
        abort();
    struct disk_pending *pending = &disk->pending[disk->pending_count++];
    disk->changes++;
    pending->change = change;
    pending->file = file;
    snprintf(pending->name, sizeof(pending->name), "%s", name);
    snprintf(pending->from, sizeof(pending->from), "%s", from ? from : "");
}

static void pending_drop(struct disk *disk, unsigned count)
{
    disk->changes++;
    disk->pending_gone += count;
    disk->pending_count -= count;
    memmove(disk->pending, disk->pending + count, disk->pending_count * sizeof(*disk->pending));
}

void disk_pending_apply(const struct disk_pending *pending, struct disk_name *names,
                        unsigned *count)
{
    int from = disk_name_find(names, *count, pending->from);
    if (pending->change == DISK_REMOVED) {
        disk_name_remove(names, count, pending->name);
        return;
    }
    if (pending->change == DISK_RENAMED && from >= 0 && names[from].file == pending->file)
        disk_name_remove(names, count, pending->from);
    disk_name_set(names, count, pending->name, pending->file);
}

// ---- os.h: the folder --------------------------------------------------------------------------

int os_dir_open(struct os_dir **ret_dir, const char *path, unsigned flags, struct store_error *err)
{
    (void)flags;
    int rc = disk_call(selected, "open the folder", err);
    if (rc)
        return rc;
    struct os_dir *dir = take(sizeof(*dir));
    dir->disk = selected;
    snprintf(dir->path, sizeof(dir->path), "%s", path);
    *ret_dir = dir;
    return 0;
}

void os_dir_close(struct os_dir *dir)
{
    free(dir);
}

const char *os_dir_path(const struct os_dir *dir)
{
    return dir->path;
}

int os_dir_sync_name(struct os_dir *dir, struct store_error *err)
{
    return disk_call(dir->disk, "sync the folder above", err);
}

int os_dir_sync(struct os_dir *dir, struct store_error *err)
{
    struct disk *disk = dir->disk;
    disk_point(disk);
    int rc = disk_call(disk, "sync the folder", err);
    if (rc)
        return rc;
    uint64_t target = disk->pending_gone + disk->pending_count;
    disk_point(disk); // others may change names, or sync them, while this one syncs
    if (target > disk->pending_gone) {
        unsigned count = (unsigned)(target - disk->pending_gone);
        for (unsigned i = 0; i < count; i++)
            disk_pending_apply(&disk->pending[i], disk->durable_names, &disk->durable_name_count);
        pending_drop(disk, count);
    }
    disk_point(disk);
    return 0;
}

int os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                struct store_error *err)
{
    int rc = disk_call(dir->disk, "list the folder", err);
    for (unsigned i = 0; rc == 0 && i < dir->disk->name_count; i++)
        rc = fn(user, dir->disk->names[i].name);
    return rc;
}

int os_dir_rename(struct os_dir *dir, const char *from, const char *to, struct store_error *err)
{
    struct disk *disk = dir->disk;
    disk_point(disk);
    int rc = disk_call(disk, "rename a file", err);
    int at = disk_name_find(disk->names, disk->name_count, from);
    if (rc == 0 && at < 0)
        rc = error_set_errno(err, ENOENT, "cannot rename %s to %s", from, to);
    if (rc)
        return rc;
    unsigned file = disk->names[at].file;
    disk_name_remove(disk->names, &disk->name_count, from);
    disk_name_set(disk->names, &disk->name_count, to, file);
    pending_add(disk, DISK_RENAMED, file, to, from);
    disk_point(disk);
    return 0;
}

int os_dir_remove(struct os_dir *dir, const char *name, struct store_error *err)
{
    struct disk *disk = dir->disk;
    disk_point(disk);
    int rc = disk_call(disk, "remove a file", err);
    int at = disk_name_find(disk->names, disk->name_count, name);
    if (rc || at < 0)
        return rc;
    pending_add(disk, DISK_REMOVED, disk->names[at].file, name, NULL);
    disk_name_remove(disk->names, &disk->name_count, name);
    disk_point(disk);
    return 0;
}

int os_dir_free_bytes(struct os_dir *dir, uint64_t *ret_bytes, struct store_error *err)
{
    int rc = disk_call(dir->disk, "query free space", err);
    if (rc == 0)
        *ret_bytes = 1u << 30;
    return rc;
}

// ---- os.h: files -------------------------------------------------------------------------------

static struct disk_file *file_of(struct os_file *file)
{
    return &file->disk->files[file->file];
}

int os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name, unsigned flags,
                 struct store_error *err)
{
    struct disk *disk = dir->disk;
    int rc = disk_call(disk, "open a file", err);
    if (rc)
        return rc;
    int at = disk_name_find(disk->names, disk->name_count, name);
    if (at >= 0 && (flags & OS_EXCLUSIVE))
        return error_set_errno(err, EEXIST, "cannot create %s", name);
    if (at < 0 && !(flags & OS_CREATE))
        return error_set(err, STORE_ENOTFOUND, "%s is missing", name);
    struct os_file *file = take(sizeof(*file));
    file->disk = disk;
    snprintf(file->name, sizeof(file->name), "%s", name);
    if (at >= 0) {
        file->file = disk->names[at].file;
    } else {
        disk_point(disk);
        file->file = disk_file_add(disk, 0);
        disk_name_set(disk->names, &disk->name_count, name, file->file);
        pending_add(disk, DISK_ADDED, file->file, name, NULL);
    }
    if (flags & OS_WRITE)
        file_watch(file_of(file));
    file_of(file)->handles++;
    *ret_file = file;
    return 0;
}

void os_file_close(struct os_file *file)
{
    if (!file)
        return;
    file_of(file)->handles--;
    if (file_of(file)->locked_by == file)
        file_of(file)->locked_by = NULL;
    free(file);
}

const char *os_file_name(const struct os_file *file)
{
    return file->name;
}

int os_file_size(struct os_file *file, uint64_t *ret_bytes, struct store_error *err)
{
    int rc = disk_call(file->disk, "stat a file", err);
    if (rc == 0)
        *ret_bytes = file_of(file)->bytes;
    return rc;
}

int os_file_changed_ms(struct os_file *file, int64_t *ret_ms, struct store_error *err)
{
    int rc = disk_call(file->disk, "stat a file", err);
    if (rc == 0)
        *ret_ms = (int64_t)clock_ms;
    return rc;
}

int os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                 struct store_error *err)
{
    int rc = disk_call(file->disk, "read from a file", err);
    if (rc)
        return rc;
    const struct disk_file *at = file_of(file);
    uint64_t left = offset < at->bytes ? at->bytes - offset : 0;
    *ret_len = left < len ? (size_t)left : len;
    memcpy(buf, at->data + offset, *ret_len);
    return 0;
}

static void file_put(struct disk_file *file, uint64_t offset, const void *buf, size_t len)
{
    file_make_room(file, offset + len);
    if (buf)
        memcpy(file->data + offset, buf, len);
    if (offset + len > file->bytes)
        file->bytes = offset + len;
}

int os_file_write(struct os_file *file, uint64_t offset, const void *buf, size_t len,
                  struct store_error *err)
{
    disk_point(file->disk);
    int rc = disk_call(file->disk, "write to a file", err);
    // A write that fails may have begun.
    file_put(file_of(file), offset, buf, rc ? len / 2 : len);
    disk_point(file->disk);
    return rc;
}

int os_file_fill(struct os_file *file, uint64_t bytes, struct store_error *err)
{
    struct disk_file *at = file_of(file);
    if (at->bytes > bytes)
        return os_file_truncate(file, bytes, err);
    disk_point(file->disk);
    int rc = disk_call(file->disk, "allocate space for a file", err);
    uint64_t grow = rc ? (bytes - at->bytes) / 2 : bytes - at->bytes;
    file_put(at, at->bytes, NULL, (size_t)grow);
    disk_point(file->disk);
    return rc;
}

int os_file_truncate(struct os_file *file, uint64_t bytes, struct store_error *err)
{
    disk_point(file->disk);
    int rc = disk_call(file->disk, "set the size of a file", err);
    if (rc)
        return rc;
    struct disk_file *at = file_of(file);
    file_make_room(at, bytes);
    if (bytes < at->bytes)
        memset(at->data + bytes, 0, at->room - bytes);
    at->bytes = bytes;
    disk_point(file->disk);
    return 0;
}

static int sync_fail(struct os_file *file, int rc)
{
    struct disk_file *at = file_of(file);
    file->disk->sync_failed = true;
    if (file->disk->failure.after_sync == DISK_MARKED_CLEAN) {
        granules_forget(file->disk, file->file);
        at->durable_bytes = at->bytes;
    }
    return rc;
}

int os_file_sync(struct os_file *file, struct store_error *err)
{
    struct disk_file *at = file_of(file);
    disk_point(file->disk);
    disk_look(file->disk);
    int rc = disk_call(file->disk, "sync a file", err);
    file->disk->syncs++;
    if (rc == 0 && file->disk->failure.syncs_only)
        rc = call_fail(file->disk, file->disk->syncs, "sync a file", err);
    if (rc)
        return sync_fail(file, rc);
    uint64_t bytes = at->bytes;
    size_t granules = at->room / DISK_GRANULE_BYTES;
    uint8_t *picture = take(at->room);
    int32_t *dirty = take(granules * sizeof(*dirty));
    memcpy(picture, at->data, at->room);
    memcpy(dirty, at->granule_of, granules * sizeof(*dirty));
    disk_point(file->disk); // others may store into it while this one syncs
    granules_forget(file->disk, file->file);
    // What a failed sync has marked clean is not written by the next.
    for (size_t i = 0; i < granules; i++) {
        size_t offset = i * DISK_GRANULE_BYTES;
        if (dirty[i] >= 0)
            memcpy(at->durable + offset, picture + offset, DISK_GRANULE_BYTES);
    }
    memcpy(at->seen, picture, granules * DISK_GRANULE_BYTES);
    at->durable_bytes = bytes;
    free(picture);
    free(dirty);
    disk_look(file->disk);
    disk_point(file->disk);
    return 0;
}

int os_file_map(struct os_file *file, size_t bytes, void **ret_address, struct store_error *err)
{
    int rc = disk_call(file->disk, "map a file", err);
    if (rc)
        return rc;
    file_make_room(file_of(file), bytes);
    file_of(file)->mapped = true;
    *ret_address = file_of(file)->data;
    return 0;
}

void os_unmap(void *address, size_t bytes)
{
    (void)address;
    (void)bytes;
}

void os_map_populate(void *address, size_t bytes)
{
    (void)address;
    (void)bytes;
}

int os_file_lock(struct os_file *file, struct store_error *err)
{
    int rc = disk_call(file->disk, "lock a file", err);
    struct disk_file *at = file_of(file);
    if (rc == 0 && at->locked_by && at->locked_by != file)
        rc = error_set(err, STORE_EHELD, "%s is locked by another process", file->name);
    if (rc == 0)
        at->locked_by = file;
    return rc;
}

int os_file_lock_held(struct os_file *file, bool *ret_held, struct store_error *err)
{
    int rc = disk_call(file->disk, "query a lock", err);
    if (rc == 0)
        *ret_held = file_of(file)->locked_by && file_of(file)->locked_by != file;
    return rc;
}

// ---- os.h: the rest ----------------------------------------------------------------------------

int os_random(void *buf, size_t len, struct store_error *err)
{
    int rc = disk_call(selected, "get random bytes", err);
    for (size_t i = 0; rc == 0 && i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)seed_next(&random_state, 256);
    return rc;
}

uint64_t os_monotonic_ms(void)
{
    return clock_ms;
}

int64_t os_realtime_ms(void)
{
    return (int64_t)clock_ms + 1600000000000;
}

void os_thread_lower_priority(void)
{
}
