// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "lmdb_disk.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ATTACHED_MAX 8
#define OPENED_MAX 32
#define WRITE_PARTS_MAX 64 // LMDB's own limit

struct attached {
    struct disk *disk; // NULL: a free place
    const char *folder;
};

// A descriptor through which LMDB writes to a disk.
struct opened {
    int fd;
    bool used;
    bool synchronous; // O_DSYNC
    struct disk *disk;
    unsigned file;
};

static struct attached attached[ATTACHED_MAX];
static struct opened opened[OPENED_MAX];

void lmdb_disk_attach(struct disk *disk, const char *folder)
{
    unsigned i = 0;
    while (attached[i].disk) {
        if (++i == ATTACHED_MAX)
            abort();
    }
    attached[i] = (struct attached){disk, folder};
}

void lmdb_disk_detach(struct disk *disk)
{
    for (unsigned i = 0; i < ATTACHED_MAX; i++) {
        if (attached[i].disk == disk)
            attached[i].disk = NULL;
    }
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// The disk on which the path lies, NULL: on none.
static struct disk *disk_of_path(const char *path)
{
    const char *name = name_of(path);
    if (name == path || (strcmp(name, "data.mdb") != 0 && strcmp(name, "create.tmp") != 0))
        return NULL;
    size_t folder = (size_t)(name - path) - 1;
    for (unsigned i = 0; i < ATTACHED_MAX; i++) {
        if (attached[i].disk && strlen(attached[i].folder) == folder &&
            memcmp(attached[i].folder, path, folder) == 0)
            return attached[i].disk;
    }
    return NULL;
}

static struct opened *opened_find(int fd)
{
    for (unsigned i = 0; i < OPENED_MAX; i++) {
        if (opened[i].used && opened[i].fd == fd)
            return &opened[i];
    }
    return NULL;
}

static void opened_add(int fd, bool synchronous, struct disk *disk, unsigned file)
{
    unsigned i = 0;
    while (opened[i].used) {
        if (++i == OPENED_MAX)
            abort();
    }
    opened[i] = (struct opened){fd, true, synchronous, disk, file};
    disk->files[file].handles++;
}

// ---- what LMDB calls -----------------------------------------------------------------------

// These take the place of the C library's functions, under both names that a header may give them.
#define IN_PLACE_OF(name) __asm__(name) __attribute__((visibility("default"), used))

int caught_open(const char *path, int flags, ...) IN_PLACE_OF("open");
int caught_open64(const char *path, int flags, ...) IN_PLACE_OF("open64");
int caught_lstat(const char *path, struct stat *st) IN_PLACE_OF("lstat");
int caught_lstat64(const char *path, struct stat *st) IN_PLACE_OF("lstat64");
int caught_close(int fd) IN_PLACE_OF("close");
ssize_t caught_pwrite(int fd, const void *bytes, size_t len, off_t offset) IN_PLACE_OF("pwrite");
ssize_t caught_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
    IN_PLACE_OF("pwrite64");
ssize_t caught_writev(int fd, const struct iovec *parts, int count) IN_PLACE_OF("writev");
int caught_fdatasync(int fd) IN_PLACE_OF("fdatasync");
int caught_fsync(int fd) IN_PLACE_OF("fsync");

static void *real_find(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function)
        abort();
    return function;
}

#define REAL(type, name) \
    static type *real;   \
    if (!real)           \
    real = (type *)(uintptr_t)real_find(name)

static int real_open(const char *path, int flags, mode_t mode)
{
    typedef int open_fn(const char *, int, ...);
    REAL(open_fn, "open");
    return real(path, flags, mode);
}

static ssize_t real_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
    REAL(pwrite_fn, "pwrite");
    return real(fd, bytes, len, offset);
}

static int real_close(int fd)
{
    typedef int close_fn(int);
    REAL(close_fn, "close");
    return real(fd);
}

// Makes the real file what the disk holds, unless somebody has it open: then it is.
static void tables_load(struct disk *disk, const char *path)
{
    int at = disk_name_find(disk->names, disk->name_count, name_of(path));
    if (at < 0) {
        unlink(path);
        return;
    }
    for (unsigned i = 0; i < OPENED_MAX; i++) {
        if (opened[i].used && opened[i].disk == disk)
            return;
    }
    const struct disk_file *file = &disk->files[disk->names[at].file];
    int fd = real_open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || real_pwrite(fd, file->data, file->bytes, 0) != (ssize_t)file->bytes)
        abort();
    real_close(fd);
}

int caught_lstat(const char *path, struct stat *st)
{
    typedef int lstat_fn(const char *, struct stat *);
    REAL(lstat_fn, "lstat");
    struct disk *disk = disk_of_path(path);
    if (disk)
        tables_load(disk, path);
    return real(path, st);
}

int caught_lstat64(const char *path, struct stat *st)
{
    return caught_lstat(path, st);
}

static int tables_file_open(struct disk *disk, const char *path, int flags, mode_t mode)
{
    int at = disk_name_find(disk->names, disk->name_count, name_of(path));
    if (at < 0 && (flags & O_CREAT)) {
        disk_point(disk);
        unsigned file = disk_file_add(disk, 0);
        disk_name_set(disk->names, &disk->name_count, name_of(path), file);
        disk_pending_add(disk, DISK_ADDED, file, name_of(path), NULL);
        at = disk_name_find(disk->names, disk->name_count, name_of(path));
    }
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && at >= 0 && (flags & O_ACCMODE) != O_RDONLY) {
        unsigned file = disk->names[at].file;
        disk_file_watch(&disk->files[file]);
        disk->files[file].whole_granules = true;
        opened_add(fd, (flags & O_DSYNC) != 0, disk, file);
    }
    return fd;
}

int caught_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    struct disk *disk = disk_of_path(path);
    return disk ? tables_file_open(disk, path, flags, mode) : real_open(path, flags, mode);
}

int caught_open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(args, mode_t) : 0;
    va_end(args);
    return caught_open(path, flags, mode);
}

int caught_close(int fd)
{
    struct opened *at = opened_find(fd);
    if (at) {
        at->used = false;
        at->disk->files[at->file].handles--;
    }
    return real_close(fd);
}

// A failed call of the disk, as LMDB sees it.
static int disk_errno(const struct disk *disk)
{
    return disk->failure.sys_errno ? disk->failure.sys_errno : EIO;
}

static ssize_t tables_write(const struct opened *at, const struct iovec *parts, int count,
                            off_t offset)
{
    size_t done = 0;
    disk_point(at->disk);
    int rc = disk_call(at->disk, "write to the tables", NULL);
    for (int i = 0; i < count; i++) {
        // A write that fails may have begun.
        size_t len = rc ? parts[i].iov_len / 2 : parts[i].iov_len;
        disk_file_put(at->disk, at->file, (uint64_t)offset + done, parts[i].iov_base, len);
        if (real_pwrite(at->fd, parts[i].iov_base, len, offset + (off_t)done) != (ssize_t)len)
            abort();
        done += len;
        if (rc)
            break;
    }
    disk_point(at->disk);
    if (rc == 0 && at->synchronous) {
        rc = disk_range_sync(at->disk, at->file, (uint64_t)offset, done, NULL);
        disk_point(at->disk);
    }
    if (rc) {
        errno = disk_errno(at->disk);
        return -1;
    }
    return (ssize_t)done;
}

ssize_t caught_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    const struct opened *at = opened_find(fd);
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    return at ? tables_write(at, &part, 1, offset) : real_pwrite(fd, bytes, len, offset);
}

ssize_t caught_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    return caught_pwrite(fd, bytes, len, offset);
}

ssize_t caught_writev(int fd, const struct iovec *parts, int count)
{
    typedef ssize_t writev_fn(int, const struct iovec *, int);
    REAL(writev_fn, "writev");
    const struct opened *at = opened_find(fd);
    if (!at)
        return real(fd, parts, count);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = count > WRITE_PARTS_MAX ? -1 : tables_write(at, parts, count, offset);
    if (done > 0)
        lseek(fd, offset + done, SEEK_SET);
    return done;
}

int caught_fdatasync(int fd)
{
    const struct opened *at = opened_find(fd);
    if (!at || disk_file_sync(at->disk, at->file, NULL) == 0)
        return 0;
    errno = disk_errno(at->disk);
    return -1;
}

int caught_fsync(int fd)
{
    return caught_fdatasync(fd);
}
