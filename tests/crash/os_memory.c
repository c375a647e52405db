// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "os_memory.h"

#include "support.h"

#include <errno.h>
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

static uint64_t random_state = 1;

void memory_random_seed(uint64_t seed)
{
    random_state = seed;
}

static void *take(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        abort();
    return memory;
}

// ---- os.h: the folder --------------------------------------------------------------------------

int os_dir_open(struct os_dir **ret_dir, const char *path, unsigned flags, struct store_error *err)
{
    (void)flags;
    int rc = disk_call(disk_selected(), "open the folder", err);
    if (rc)
        return rc;
    struct os_dir *dir = take(sizeof(*dir));
    dir->disk = disk_selected();
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
        disk_pending_drop(disk, count);
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
    disk_pending_add(disk, DISK_RENAMED, file, to, from);
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
    disk_pending_add(disk, DISK_REMOVED, disk->names[at].file, name, NULL);
    disk_name_remove(disk->names, &disk->name_count, name);
    disk_point(disk);
    return 0;
}

int os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *err)
{
    (void)exclusive;
    return disk_call(dir->disk, "lock the folder", err);
}

void os_dir_unlock(struct os_dir *dir)
{
    (void)dir;
}

bool os_dir_is_read_only(struct os_dir *dir, const char *name)
{
    (void)dir;
    (void)name;
    return false;
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
        disk_pending_add(disk, DISK_ADDED, file->file, name, NULL);
    }
    if (flags & OS_WRITE)
        disk_file_watch(file_of(file));
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

void os_file_set_name(struct os_file *file, const char *name)
{
    snprintf(file->name, sizeof(file->name), "%s", name);
}

int os_file_has_name(struct os_file *file, bool *ret_has_name, struct store_error *err)
{
    (void)file;
    (void)err;
    *ret_has_name = true; // no lock file is ever removed here
    return 0;
}

int os_file_size(struct os_file *file, uint64_t *ret_bytes, struct store_error *err)
{
    int rc = disk_call(file->disk, "stat a file", err);
    if (rc == 0)
        *ret_bytes = file_of(file)->bytes;
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
    uint64_t room = offset < at->room ? at->room - offset : 0;
    size_t have = room < *ret_len ? (size_t)room : *ret_len;
    if (have)
        memcpy(buf, at->data + offset, have);
    memset((uint8_t *)buf + have, 0, *ret_len - have);
    return 0;
}

int os_file_write(struct os_file *file, uint64_t offset, const void *buf, size_t len,
                  struct store_error *err)
{
    return disk_file_write(file->disk, file->file, offset, buf, len, err);
}

int os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written, bool *ret_kept,
                    struct store_error *err)
{
    struct disk_file *at = file_of(file);
    *ret_kept = true;
    *ret_written = at->bytes < bytes ? at->bytes : bytes;
    if (at->bytes > bytes)
        return os_file_truncate(file, bytes, err);
    disk_point(file->disk);
    int rc = disk_call(file->disk, "allocate space for a file", err);
    at->bytes += rc ? (bytes - at->bytes) / 2 : bytes - at->bytes;
    disk_point(file->disk);
    return rc;
}

// What is not written reads as zeros here too.
int os_file_zero(struct os_file *file, uint64_t from, uint64_t to, uint32_t piece_bytes,
                 struct store_error *err)
{
    (void)from;
    (void)to;
    (void)piece_bytes;
    return disk_call(file->disk, "write zeros to a file", err);
}

int os_file_allocate(struct os_file *file, uint64_t offset, uint64_t bytes, struct store_error *err)
{
    (void)offset;
    (void)bytes;
    return disk_call(file->disk, "allocate space for a file", err);
}

int os_file_truncate(struct os_file *file, uint64_t bytes, struct store_error *err)
{
    disk_point(file->disk);
    int rc = disk_call(file->disk, "set the size of a file", err);
    if (rc)
        return rc;
    struct disk_file *at = file_of(file);
    if (bytes < at->room)
        memset(at->data + bytes, 0, at->room - bytes);
    at->bytes = bytes;
    disk_point(file->disk);
    return 0;
}

int os_file_sync(struct os_file *file, struct store_error *err)
{
    return disk_file_sync(file->disk, file->file, err);
}

int os_map_sync(struct os_file *file, void *map, uint64_t offset, uint64_t bytes,
                struct store_error *err)
{
    (void)map;
    return disk_map_sync(file->disk, file->file, offset, bytes, err);
}

int os_file_map(struct os_file *file, size_t bytes, void **ret_address, struct store_error *err)
{
    int rc = disk_call(file->disk, "map a file", err);
    if (rc)
        return rc;
    disk_file_make_room(file_of(file), bytes);
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
    int rc = disk_call(disk_selected(), "get random bytes", err);
    for (size_t i = 0; rc == 0 && i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)seed_next(&random_state, 256);
    return rc;
}

uint64_t os_monotonic_ms(void)
{
    return memory_clock_ms();
}

int64_t os_realtime_ms(void)
{
    return (int64_t)memory_clock_ms() + 1600000000000;
}

void os_thread_lower_priority(void)
{
}

struct os_thread os_thread_self(void)
{
    return (struct os_thread){.thread = pthread_self()};
}

uint64_t os_thread_cpu_ms(struct os_thread thread)
{
    (void)thread;
    return 0;
}
