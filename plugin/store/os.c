// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "os.h"

#include "seeded.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "build with _FILE_OFFSET_BITS=64");

struct os_dir {
    int fd;
    uid_t owner;
    gid_t group;
    char *path;
};

struct os_file {
    int fd;
    char name[64];
    char *dir_path;
};

// f_type of file systems on which a lock or a mapping may not be what it is on a local disk
// (statfs(2), linux/magic.h).
static bool filesystem_is_network(const struct statfs *fs)
{
    static const uint32_t magics[] = {
        0x6969,     // NFS
        0x517b,     // SMB
        0xff534d42, // CIFS
        0xfe534d42, // SMB2
        0x5346414f, // AFS
        0x00c36400, // Ceph
        0x01021997, // 9P
        0x73757245, // Coda
    };
    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++) {
        if ((uint32_t)fs->f_type == magics[i])
            return true;
    }
    return false;
}

static int open_at(int dir_fd, const char *name, int flags)
{
    int fd;
    do {
        fd = openat(dir_fd, name, flags, 0600);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static int dir_is_empty(int fd, bool *ret_empty)
{
    int copy = open_at(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return -1;
    }
    *ret_empty = true;
    for (struct dirent *entry; (entry = readdir(stream));) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *ret_empty = false;
    }
    closedir(stream);
    return 0;
}

static int dir_check(struct os_dir *dir, unsigned flags, struct store_error *err)
{
    struct stat st;
    struct statfs fs;
    if (fstat(dir->fd, &st) != 0 || fstatfs(dir->fd, &fs) != 0)
        return error_set_errno(err, errno, "%s", dir->path);
    dir->owner = st.st_uid;
    dir->group = st.st_gid;

    if (filesystem_is_network(&fs) && !(flags & OS_DIR_ALLOW_NETWORK))
        return error_set(err, STORE_EUNSAFE,
                         "%s lies on a network file system, where locks and mappings cannot be "
                         "relied on; choose a folder on a local disk",
                         dir->path);
    if (st.st_uid != geteuid() && (geteuid() != 0 || (flags & OS_DIR_MUST_OWN)))
        return error_set(err, STORE_EUNSAFE,
                         "%s belongs to user %lu, not to user %lu who opens it; run as its owner "
                         "or change the owner",
                         dir->path, (unsigned long)st.st_uid, (unsigned long)geteuid());
    if ((st.st_mode & 077) == 0)
        return 0;

    bool empty = false;
    if (dir_is_empty(dir->fd, &empty) != 0)
        return error_set_errno(err, errno, "%s", dir->path);
    // Advice that somebody may follow: not for a folder such as /etc that was named by mistake.
    bool store = faccessat(dir->fd, "data.mdb", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    if (!empty && !store && (flags & OS_DIR_CREATE))
        return error_set(err, STORE_EFOREIGN,
                         "%s is not empty and no store (it has mode %04o, too, and a store is "
                         "closed to others); name an empty folder, or one that does not exist",
                         dir->path, (unsigned)(st.st_mode & 07777));
    if (!empty && !store)
        return error_set(err, STORE_ENOSTORE,
                         "there is no store at %s: it has mode %04o, and a store is a folder of "
                         "its own that is closed to others",
                         dir->path, (unsigned)(st.st_mode & 07777));
    if (!empty)
        return error_set(err, STORE_EUNSAFE,
                         "%s has mode %04o and is open to others, who could read or change what it "
                         "holds; run: chmod 700 %s",
                         dir->path, (unsigned)(st.st_mode & 07777), dir->path);
    if (!(flags & OS_DIR_CREATE))
        return 0; // there is nothing in it to protect, and nothing will be
    if (fchmod(dir->fd, 0700) != 0)
        return error_set_errno(err, errno, "cannot set the mode of %s to 0700", dir->path);
    return 0;
}

int os_dir_open(struct os_dir **ret_dir, const char *path, unsigned flags, struct store_error *err)
{
    int rc = 0;
    struct os_dir *dir = calloc(1, sizeof(*dir));
    if (!dir || !(dir->path = strdup(path))) {
        free(dir);
        return error_set(err, STORE_ENOMEM, "out of memory");
    }
    dir->fd = -1;

    if (flags & OS_DIR_CREATE) {
        if (mkdir(path, 0700) == 0) {
            // The umask may have taken more away than we want.
            if (chmod(path, 0700) != 0)
                rc = error_set_errno(err, errno, "cannot set the mode of %s to 0700", path);
        } else if (errno != EEXIST) {
            rc = error_set_errno(err, errno, "cannot make the store folder %s", path);
        }
        if (rc)
            goto done;
    }

    dir->fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir->fd < 0) {
        switch (errno) {
        case ENOENT:
            rc = error_set(err, STORE_ENOSTORE, "there is no store at %s: no such folder", path);
            break;
        case ELOOP:
        case ENOTDIR:
            rc = error_set(err, STORE_EUNSAFE, "%s is not a folder (links are not followed)", path);
            break;
        default:
            rc = error_set_errno(err, errno, "cannot open the store folder %s", path);
        }
        goto done;
    }
    rc = dir_check(dir, flags, err);

done:
    if (rc) {
        os_dir_close(dir);
        return rc;
    }
    *ret_dir = dir;
    return 0;
}

void os_dir_close(struct os_dir *dir)
{
    if (!dir)
        return;
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->path);
    free(dir);
}

const char *os_dir_path(const struct os_dir *dir)
{
    return dir->path;
}

int os_dir_sync(struct os_dir *dir, struct store_error *err)
{
    if (fsync(dir->fd) != 0)
        return error_set_errno(err, errno, "cannot sync the folder %s", dir->path);
    return 0;
}

int os_dir_sync_name(struct os_dir *dir, struct store_error *err)
{
    int above = open_at(dir->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (above < 0 || fsync(above) != 0)
        rc = error_set_errno(err, errno, "cannot sync the folder above %s", dir->path);
    if (above >= 0)
        close(above);
    return rc;
}

int os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                struct store_error *err)
{
    int copy = open_at(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        int saved = errno;
        if (copy >= 0)
            close(copy);
        return error_set_errno(err, saved, "cannot list the folder %s", dir->path);
    }
    int rc = 0;
    while (rc == 0) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (!entry) {
            if (errno)
                rc = error_set_errno(err, errno, "cannot list the folder %s", dir->path);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = fn(user, entry->d_name);
    }
    closedir(stream);
    return rc;
}

int os_dir_rename(struct os_dir *dir, const char *from, const char *to, struct store_error *err)
{
    if (renameat(dir->fd, from, dir->fd, to) != 0)
        return error_set_errno(err, errno, "cannot rename %s/%s to %s", dir->path, from, to);
    return 0;
}

int os_dir_remove(struct os_dir *dir, const char *name, struct store_error *err)
{
    if (unlinkat(dir->fd, name, 0) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "cannot remove %s/%s", dir->path, name);
    return 0;
}

static int file_check(struct os_file *file, struct os_dir *dir, struct store_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return error_set_errno(err, errno, "%s/%s", dir->path, file->name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, STORE_EUNSAFE, "%s/%s is not a regular file; remove it", dir->path,
                         file->name);
    if (st.st_nlink > 1)
        return error_set(err, STORE_EUNSAFE,
                         "%s/%s has %lu links, so it can be changed under another name; remove the "
                         "others",
                         dir->path, file->name, (unsigned long)st.st_nlink);
    if (st.st_uid != dir->owner)
        return error_set(err, STORE_EUNSAFE,
                         "%s/%s belongs to user %lu, the folder to user %lu; give both one owner",
                         dir->path, file->name, (unsigned long)st.st_uid,
                         (unsigned long)dir->owner);
    if ((st.st_mode & 077) && !SEEDED(MODE_NOT_CHECKED))
        return error_set(
            err, STORE_EUNSAFE, "%s/%s has mode %04o and is open to others; run: chmod 600 %s/%s",
            dir->path, file->name, (unsigned)(st.st_mode & 07777), dir->path, file->name);
    return 0;
}

// A tool that root runs must not leave files that the broker's user cannot open.
static int file_adopt(struct os_file *file, struct os_dir *dir, struct store_error *err)
{
    if (fchmod(file->fd, 0600) != 0)
        return error_set_errno(err, errno, "cannot set the mode of %s/%s", dir->path, file->name);
    if (geteuid() == 0 && dir->owner != 0 && fchown(file->fd, dir->owner, dir->group) != 0)
        return error_set_errno(err, errno, "cannot set the owner of %s/%s", dir->path, file->name);
    return 0;
}

int os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name, unsigned flags,
                 struct store_error *err)
{
    int rc = 0;
    struct os_file *file = calloc(1, sizeof(*file));
    if (!file || strlen(name) >= sizeof(file->name) || !(file->dir_path = strdup(dir->path))) {
        free(file);
        return error_set(err, STORE_ENOMEM, "out of memory");
    }
    memcpy(file->name, name, strlen(name) + 1);

    int mode = (flags & OS_WRITE) ? O_RDWR : O_RDONLY;
    mode |= O_CLOEXEC | O_NONBLOCK | (SEEDED(LINKS_FOLLOWED) ? 0 : O_NOFOLLOW);
    file->fd = open_at(dir->fd, name, mode);
    if (file->fd >= 0 && (flags & OS_EXCLUSIVE)) {
        rc = error_set_errno(err, EEXIST, "cannot create %s/%s", dir->path, name);
        goto done;
    }
    if (file->fd < 0 && errno == ENOENT && (flags & OS_CREATE)) {
        file->fd = open_at(dir->fd, name, mode | O_CREAT | O_EXCL);
        if (file->fd >= 0)
            rc = file_adopt(file, dir, err);
    }
    if (file->fd < 0) {
        if (errno == ENOENT)
            rc = error_set(err, STORE_ENOTFOUND, "%s/%s is missing", dir->path, name);
        else if (errno == ELOOP)
            rc = error_set(err, STORE_EUNSAFE, "%s/%s is a symbolic link; remove it", dir->path,
                           name);
        else
            rc = error_set_errno(err, errno, "cannot open %s/%s", dir->path, name);
    }
    if (rc == 0)
        rc = file_check(file, dir, err);

done:
    if (rc) {
        os_file_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

void os_file_close(struct os_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file->dir_path);
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

static int file_error(struct os_file *file, int sys_errno, const char *verb,
                      struct store_error *err)
{
    return error_set_errno(err, sys_errno, "cannot %s %s/%s", verb, file->dir_path, file->name);
}

int os_file_has_name(struct os_file *file, bool *ret_has_name, struct store_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return file_error(file, errno, "stat", err);
    *ret_has_name = st.st_nlink > 0;
    return 0;
}

int os_file_size(struct os_file *file, uint64_t *ret_bytes, struct store_error *err)
{
    struct stat st;
    if (fstat(file->fd, &st) != 0)
        return file_error(file, errno, "stat", err);
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

int os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                 struct store_error *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(file->fd, (char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(file, errno, "read", err);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return 0;
}

int os_file_write(struct os_file *file, uint64_t offset, const void *buf, size_t len,
                  struct store_error *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = pwrite(file->fd, (const char *)buf + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(file, errno, "write to", err);
        done += (size_t)n;
    }
    return 0;
}

int os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written, bool *ret_kept,
                    struct store_error *err)
{
    uint64_t size = 0;
    int rc = os_file_size(file, &size, err);
    if (rc == 0 && size > bytes)
        rc = os_file_truncate(file, bytes, err);
    if (rc)
        return rc;
    *ret_kept = true;
    *ret_written = size < bytes ? size : bytes;
    while (fallocate(file->fd, 0, 0, (off_t)bytes) != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS) {
            *ret_kept = false;
            return os_file_truncate(file, bytes, err);
        }
        if (errno != EINTR)
            return file_error(file, errno, "allocate space for", err);
    }
    return 0;
}

int os_file_zero(struct os_file *file, uint64_t from, uint64_t to, uint32_t piece_bytes,
                 struct store_error *err)
{
    static const uint8_t zeros[OS_ZERO_PIECE_MAX_BYTES];
    int rc = 0;
    for (uint64_t at = from; rc == 0 && at < to; at += piece_bytes) {
        uint64_t chunk = to - at < piece_bytes ? to - at : piece_bytes;
        rc = os_file_write(file, at, zeros, (size_t)chunk, err);
    }
    return rc;
}

static int free_check(struct os_file *file, uint64_t bytes, struct store_error *err)
{
    struct statvfs fs;
    if (fstatvfs(file->fd, &fs) != 0)
        return file_error(file, errno, "query free space for", err);
    if ((uint64_t)fs.f_bavail * fs.f_frsize < bytes)
        return file_error(file, ENOSPC, "allocate space for", err);
    return 0;
}

int os_file_allocate(struct os_file *file, uint64_t offset, uint64_t bytes, struct store_error *err)
{
    while (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes) != 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return free_check(file, bytes, err);
        if (errno != EINTR)
            return file_error(file, errno, "allocate space for", err);
    }
    return 0;
}

int os_file_truncate(struct os_file *file, uint64_t bytes, struct store_error *err)
{
    while (ftruncate(file->fd, (off_t)bytes) != 0) {
        if (errno != EINTR)
            return file_error(file, errno, "set the size of", err);
    }
    return 0;
}

int os_file_sync(struct os_file *file, struct store_error *err)
{
    if (fdatasync(file->fd) != 0)
        return file_error(file, errno, "sync", err);
    return 0;
}

int os_file_map(struct os_file *file, size_t bytes, void **ret_address, struct store_error *err)
{
    void *address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);
    if (address == MAP_FAILED)
        return file_error(file, errno, "map", err);
    *ret_address = address;
    return 0;
}

void os_unmap(void *address, size_t bytes)
{
    if (address)
        munmap(address, bytes);
}

// A range, since the pages that were made present ahead of the writer count as changed: all of them
// would be written, and fault again. On Linux msync(2) is fdatasync(2) of a range
// (vfs_fsync_range).
int os_map_sync(struct os_file *file, void *map, uint64_t offset, uint64_t bytes,
                struct store_error *err)
{
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t begin = offset & ~(page_bytes - 1);
    uint64_t end = offset + bytes;
    uint8_t *address = (uint8_t *)map + begin;
#ifdef __linux__
    // Before a mapped page is written, the kernel takes the right to change it from each process,
    // and interrupts the processor where that runs, page by page. Pages that were unmapped before,
    // all at once, spare the broker that. Their contents stay: the mapping is shared.
    uint64_t full_end = end & ~(page_bytes - 1);
    if (full_end > begin)
        (void)madvise(address, (size_t)(full_end - begin), MADV_DONTNEED);
#endif
    if (msync(address, (size_t)(end - begin), MS_SYNC) != 0)
        return file_error(file, errno, "sync", err);
    return 0;
}

void os_map_populate(void *address, size_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    (void)madvise(address, bytes, MADV_POPULATE_WRITE);
#elif defined(__linux__)
    (void)madvise(address, bytes, 23); // MADV_POPULATE_WRITE of Linux 5.14; EINVAL on older kernels
#else
    (void)address;
    (void)bytes;
#endif
}

int os_file_lock(struct os_file *file, struct store_error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return error_set(err, STORE_EHELD, "%s/%s is locked by another process", file->dir_path,
                         file->name);
    return file_error(file, errno, "lock", err);
}

int os_file_lock_held(struct os_file *file, bool *ret_held, struct store_error *err)
{
    // A read lock is asked for, since the handle may be open for reading only.
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(file->fd, F_OFD_GETLK, &lock) != 0)
        return file_error(file, errno, "query the lock of", err);
    *ret_held = lock.l_type != F_UNLCK;
    return 0;
}

int os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *err)
{
    while (flock(dir->fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return error_set(err, STORE_EHELD, "%s is locked by another process", dir->path);
        if (errno != EINTR)
            return error_set_errno(err, errno, "cannot lock the folder %s", dir->path);
    }
    return 0;
}

void os_dir_unlock(struct os_dir *dir)
{
    (void)flock(dir->fd, LOCK_UN);
}

bool os_dir_is_read_only(struct os_dir *dir, const char *name)
{
    int rc = faccessat(dir->fd, name, W_OK, 0);
    if (rc != 0 && errno == ENOENT)
        rc = faccessat(dir->fd, ".", W_OK, 0);
    return rc != 0 && errno == EROFS;
}

int os_dir_free_bytes(struct os_dir *dir, uint64_t *ret_bytes, struct store_error *err)
{
    struct statvfs fs;
    if (fstatvfs(dir->fd, &fs) != 0)
        return error_set_errno(err, errno, "cannot query free space at %s", dir->path);
    *ret_bytes = (uint64_t)fs.f_bavail * (uint64_t)fs.f_frsize;
    return 0;
}
