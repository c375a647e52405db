// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The disk itself: its files, names and granules, and what is on it. os_memory.c gives it to the
// engine, lmdb_disk.c to LMDB.
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

static struct disk *selected;
static uint64_t clock_ms = 1000000;

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

// Those from `first` to `last` of a file are synced, or lost.
static void granules_forget(struct disk *disk, unsigned file, uint32_t first, uint32_t last)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < disk->granule_count; i++) {
        struct disk_granule *granule = &disk->granules[i];
        if (granule->file == file && granule->index >= first && granule->index <= last) {
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
        granules_forget(disk, file, 0, UINT32_MAX);
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
        uint64_t bytes = from->bytes < from->room ? from->bytes : from->room;
        unsigned file = disk_file_add(dst, bytes);
        memcpy(dst->files[file].data, from->data, bytes);
        dst->files[file].bytes = dst->files[file].durable_bytes = from->bytes;
        disk_name_set(dst->names, &dst->name_count, src->names[i].name, file);
        disk_name_set(dst->durable_names, &dst->durable_name_count, src->names[i].name, file);
    }
    dst->tables = src->tables;
}

// From now on changes of the file are noted.
void disk_file_watch(struct disk_file *file)
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

void disk_file_make_room(struct disk_file *file, uint64_t bytes)
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

void disk_pending_add(struct disk *disk, enum disk_change change, unsigned file, const char *name,
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

void disk_pending_drop(struct disk *disk, unsigned count)
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

// What a failed sync has marked clean is dirty again once it is written again, even with the same
// bytes: the kernel does not compare. A look for changes does, and alone would take pages that are
// written anew after a failed sync, as LMDB does in its next transaction, for lost.
static void written_note(struct disk *disk, unsigned number, uint64_t offset, size_t len)
{
    struct disk_file *file = &disk->files[number];
    if (!file->seen || len == 0)
        return;
    uint32_t last = (uint32_t)((offset + len - 1) / DISK_GRANULE_BYTES);
    for (uint32_t i = (uint32_t)(offset / DISK_GRANULE_BYTES); i <= last; i++) {
        size_t at = (size_t)i * DISK_GRANULE_BYTES;
        if (file->granule_of[i] < 0 &&
            memcmp(file->data + at, file->durable + at, DISK_GRANULE_BYTES) != 0)
            granule_note(disk, number, i);
    }
}

void disk_file_put(struct disk *disk, unsigned number, uint64_t offset, const void *buf, size_t len)
{
    struct disk_file *file = &disk->files[number];
    disk_file_make_room(file, offset + len);
    memcpy(file->data + offset, buf, len);
    if (offset + len > file->bytes)
        file->bytes = offset + len;
    written_note(disk, number, offset, len);
}

int disk_file_write(struct disk *disk, unsigned number, uint64_t offset, const void *buf,
                    size_t len, struct store_error *err)
{
    disk_point(disk);
    int rc = disk_call(disk, "write to a file", err);
    // A write that fails may have begun.
    disk_file_put(disk, number, offset, buf, rc ? len / 2 : len);
    disk_point(disk);
    return rc;
}

static int sync_try(struct disk *disk, struct store_error *err)
{
    int rc = disk_call(disk, "sync a file", err);
    disk->syncs++;
    if (rc == 0 && disk->failure.syncs_only)
        rc = call_fail(disk, disk->syncs, "sync a file", err);
    return rc;
}

static int sync_fail(struct disk *disk, unsigned number, uint32_t first, uint32_t last, int rc)
{
    disk->sync_failed = true;
    if (disk->failure.after_sync == DISK_MARKED_CLEAN)
        granules_forget(disk, number, first, last);
    return rc;
}

// Those granules as they are at the point in the middle: others may store into the file while it is
// synced.
static int granules_sync(struct disk *disk, unsigned number, size_t first, size_t last,
                         struct store_error *err)
{
    struct disk_file *at = &disk->files[number];
    disk_point(disk);
    disk_look(disk);
    int rc = sync_try(disk, err);
    if (rc)
        return sync_fail(disk, number, (uint32_t)first, (uint32_t)last, rc);
    uint8_t *picture = take(at->room);
    int32_t *dirty = take(at->room / DISK_GRANULE_BYTES * sizeof(*dirty));
    memcpy(picture, at->data, at->room);
    memcpy(dirty, at->granule_of, at->room / DISK_GRANULE_BYTES * sizeof(*dirty));
    disk_point(disk);
    granules_forget(disk, number, (uint32_t)first, (uint32_t)last);
    // What a failed sync has marked clean is not written by the next.
    for (size_t i = first; i <= last; i++) {
        size_t offset = i * DISK_GRANULE_BYTES;
        if (dirty[i] >= 0)
            memcpy(at->durable + offset, picture + offset, DISK_GRANULE_BYTES);
        memcpy(at->seen + offset, picture + offset, DISK_GRANULE_BYTES);
    }
    free(picture);
    free(dirty);
    return 0;
}

static int sync_end(struct disk *disk, int rc)
{
    if (rc)
        return rc;
    disk_look(disk);
    disk_point(disk);
    return 0;
}

int disk_file_sync(struct disk *disk, unsigned number, struct store_error *err)
{
    struct disk_file *at = &disk->files[number];
    uint64_t bytes = at->bytes;
    int rc = granules_sync(disk, number, 0, at->room / DISK_GRANULE_BYTES - 1, err);
    if (rc == 0 || disk->failure.after_sync == DISK_MARKED_CLEAN)
        at->durable_bytes = bytes;
    return sync_end(disk, rc);
}

int disk_map_sync(struct disk *disk, unsigned number, uint64_t offset, uint64_t bytes,
                  struct store_error *err)
{
    return sync_end(disk, granules_sync(disk, number, (size_t)offset / DISK_GRANULE_BYTES,
                                        (size_t)(offset + bytes - 1) / DISK_GRANULE_BYTES, err));
}

int disk_range_sync(struct disk *disk, unsigned number, uint64_t offset, size_t len,
                    struct store_error *err)
{
    struct disk_file *at = &disk->files[number];
    uint32_t first = (uint32_t)(offset / DISK_GRANULE_BYTES);
    uint32_t last = (uint32_t)((offset + len - 1) / DISK_GRANULE_BYTES);
    disk_look(disk);
    int rc = sync_try(disk, err);
    // A write that is synced at once and is called a failure may have reached the disk all the
    // same.
    if (rc && disk->calls % 2)
        return sync_fail(disk, number, first, last, rc);
    disk->sync_failed |= rc != 0;
    granules_forget(disk, number, first, last);
    memcpy(at->durable + (size_t)first * DISK_GRANULE_BYTES,
           at->data + (size_t)first * DISK_GRANULE_BYTES,
           (size_t)(last - first + 1) * DISK_GRANULE_BYTES);
    if (at->durable_bytes < offset + len)
        at->durable_bytes = offset + len;
    return rc;
}
