// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A power cut for a real broker. Loaded with LD_PRELOAD, this keeps beside the store an image of
// what a disk would hold if the power failed now. It changes nothing for the broker, which sees its
// files as ever; a test kills it, and puts what the image holds in the place of the store.
//
// The disk is as unkind as POSIX lets it be:
//   - contents and size of a file are on the disk when fdatasync or fsync of it, or a write to a
//     descriptor with O_DSYNC, has returned, the contents of pages also when msync of them has;
//     they are taken as they were when the call began;
//   - a name (made, renamed, removed) is there when fsync of the folder has returned, the folder's
//     own when fsync of the folder above it has.
// powercut.py reads the image, and can let through some of what had not been synced.
//
// POWERCUT_STORE is the store's folder, POWERCUT_IMAGE an existing folder for the image, and
// POWERCUT_SYNC_US how long a sync of the journal takes at most. The image: `N` is what is durable
// of file number N, `disk` is struct disk below.

// The C library must not give the calls that are defined here other names.
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 255
#define VERSIONS_MAX 1024
#define SYNCS_MAX 4096
#define FDS_MAX 1024
#define MAPS_MAX 64
#define PATH_BYTES 512
#define PAGE_BYTES 4096u
#define OTHER_SYNC_US 2000u

// All in the byte order and layout that powercut.py knows.
struct disk_file {
    uint64_t number; // 0: no file
    uint64_t inode;
    char name[48];
};

// The folder's names after one change.
struct disk_names {
    struct disk_file files[FILES_MAX];
};

struct disk_sync {
    _Atomic uint64_t begin_ns, end_ns; // end 0: under way
};

// Shared with the file, so that it outlives the process.
struct disk {
    _Atomic uint64_t newest, durable; // numbers of versions
    _Atomic uint64_t folder_durable;  // whether the folder's own name is
    _Atomic uint64_t last_number;     // of a file
    _Atomic uint64_t syncs_begun;     // of segments of the journal
    struct disk_sync syncs[SYNCS_MAX];
    struct disk_names versions[VERSIONS_MAX]; // by number, the oldest overwritten
};

enum fd_kind { FD_OTHER, FD_FILE, FD_FOLDER, FD_PARENT };

static struct {
    char store[PATH_BYTES], parent[PATH_BYTES], image[PATH_BYTES];
    unsigned sync_us;
    struct disk *disk;
    pthread_mutex_t names_lock;
    struct {
        enum fd_kind kind;
        bool dsync;
        uint64_t number;
    } fds[FDS_MAX];
    struct {
        uint8_t *address; // NULL: none
        size_t bytes;
        uint64_t number; // of the file
    } maps[MAPS_MAX];    // under names_lock
} cut = {.names_lock = PTHREAD_MUTEX_INITIALIZER};

#define REAL(name, type, ...)                                     \
    static type (*real)(__VA_ARGS__);                             \
    if (!real) {                                                  \
        *(void **)&real = dlsym(RTLD_NEXT, #name);                \
        need(real != NULL, "the real " #name " cannot be found"); \
    }

// The test must not go on with an image that is not true.
static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "powercut: %s\n", what);
    abort();
}

static int real_open(const char *path, int flags)
{
    REAL(open, int, const char *, int, ...)
    return real(path, flags, 0600);
}

static int real_unlink(const char *path)
{
    REAL(unlink, int, const char *)
    return real(path);
}

static ssize_t real_pwrite(int fd, const void *buf, size_t len, off_t at)
{
    REAL(pwrite, ssize_t, int, const void *, size_t, off_t)
    return real(fd, buf, len, at);
}

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

// ---- names -------------------------------------------------------------------------------------

static struct disk_names *names_at(uint64_t version)
{
    return &cut.disk->versions[version % VERSIONS_MAX];
}

static struct disk_file *names_find(struct disk_names *names, const char *name)
{
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (names->files[i].number && strcmp(names->files[i].name, name) == 0)
            return &names->files[i];
    }
    return NULL;
}

// A copy of the newest names, to be changed. Under the lock, until names_commit.
static struct disk_names *names_begin(void)
{
    uint64_t newest = atomic_load(&cut.disk->newest);
    need(newest + 1 - atomic_load(&cut.disk->durable) < VERSIONS_MAX,
         "too many changes of names without a sync of the folder");
    struct disk_names *changed = names_at(newest + 1);
    memcpy(changed, names_at(newest), sizeof(*changed));
    return changed;
}

static void names_commit(void)
{
    atomic_fetch_add(&cut.disk->newest, 1);
}

static uint64_t names_add(const char *name, uint64_t inode)
{
    struct disk_names *names = names_begin();
    struct disk_file *file = names->files;
    while (file->number && file < names->files + FILES_MAX - 1)
        file++;
    need(file->number == 0 && strlen(name) < sizeof(file->name), "too many files");
    *file = (struct disk_file){.number = atomic_fetch_add(&cut.disk->last_number, 1) + 1,
                               .inode = inode};
    strcpy(file->name, name);
    names_commit();
    return file->number;
}

static void names_remove(const char *name)
{
    struct disk_file *file = names_find(names_begin(), name);
    if (!file)
        return;
    *file = (struct disk_file){0};
    names_commit();
}

static void names_rename(const char *from, const char *to)
{
    struct disk_names *names = names_begin();
    struct disk_file *file = names_find(names, from), *replaced = names_find(names, to);
    if (!file)
        return;
    if (replaced)
        *replaced = (struct disk_file){0};
    need(strlen(to) < sizeof(file->name), "a name is too long");
    memset(file->name, 0, sizeof(file->name));
    strcpy(file->name, to);
    names_commit();
}

// ---- contents ----------------------------------------------------------------------------------

static int image_open(uint64_t number)
{
    char path[PATH_BYTES * 2];
    snprintf(path, sizeof(path), "%s/%llu", cut.image, (unsigned long long)number);
    int fd = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC);
    need(fd >= 0, "a file of the image cannot be opened");
    return fd;
}

struct snapshot {
    uint64_t bytes;   // of the file
    size_t count;     // of pages that differ from the image
    uint64_t *places; // their offsets
    uint8_t *pages;
};

static void snapshot_add(struct snapshot *snapshot, uint64_t at, const uint8_t *page, size_t len)
{
    if ((snapshot->count & (snapshot->count + 1)) == 0) {
        size_t room = 2 * snapshot->count + 1;
        snapshot->places = realloc(snapshot->places, room * sizeof(*snapshot->places));
        snapshot->pages = realloc(snapshot->pages, room * PAGE_BYTES);
        need(snapshot->places && snapshot->pages, "out of memory");
    }
    snapshot->places[snapshot->count] = at;
    memcpy(snapshot->pages + snapshot->count * PAGE_BYTES, page, len);
    snapshot->count++;
}

static const uint8_t *map(int fd, uint64_t bytes)
{
    REAL(mmap, void *, void *, size_t, int, int, int, off_t)
    void *address = bytes ? real(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0) : NULL;
    need(address != MAP_FAILED, "a file cannot be mapped");
    return address;
}

static uint64_t file_bytes(int fd)
{
    struct stat st;
    need(fstat(fd, &st) == 0, "a file cannot be looked at");
    return (uint64_t)st.st_size;
}

// What a sync of `now`, which is the file from `begin` to `end`, will have made durable.
static void snapshot_take(struct snapshot *snapshot, const uint8_t *now, uint64_t begin,
                          uint64_t end, int image_fd)
{
    uint64_t known = file_bytes(image_fd);
    const uint8_t *before = map(image_fd, known);
    *snapshot = (struct snapshot){.bytes = end > known ? end : known};
    for (uint64_t at = begin; at < end; at += PAGE_BYTES) {
        uint64_t left = end - at;
        size_t len = left < PAGE_BYTES ? (size_t)left : PAGE_BYTES;
        if (at + len > known || memcmp(now + (at - begin), before + at, len) != 0)
            snapshot_add(snapshot, at, now + (at - begin), len);
    }
    if (before)
        munmap((void *)before, (size_t)known);
}

// A kill leaves a page whole, old or new.
static void snapshot_apply(struct snapshot *snapshot, int image_fd)
{
    need(ftruncate(image_fd, (off_t)snapshot->bytes) == 0, "the image cannot be written");
    for (size_t i = 0; i < snapshot->count; i++) {
        uint64_t left = snapshot->bytes - snapshot->places[i];
        size_t len = left < PAGE_BYTES ? (size_t)left : PAGE_BYTES;
        need(real_pwrite(image_fd, snapshot->pages + i * PAGE_BYTES, len,
                         (off_t)snapshot->places[i]) == (ssize_t)len,
             "the image cannot be written");
    }
    free(snapshot->places);
    free(snapshot->pages);
}

static bool file_is_segment(uint64_t number)
{
    bool segment = false;
    pthread_mutex_lock(&cut.names_lock);
    struct disk_names *names = names_at(atomic_load(&cut.disk->newest));
    for (size_t i = 0; i < FILES_MAX; i++)
        segment |= names->files[i].number == number && strstr(names->files[i].name, ".log");
    pthread_mutex_unlock(&cut.names_lock);
    return segment;
}

static void wait_for_the_disk(unsigned most_us)
{
    if (most_us)
        usleep((unsigned)(now_ns() / 1000 * 2654435761u >> 7) % most_us);
}

// `now` is the file from `begin` to `end`; `bytes` its size from then on, if that is part of it.
static void contents_sync(uint64_t number, const uint8_t *now, uint64_t begin, uint64_t end,
                          const uint64_t *bytes)
{
    struct snapshot snapshot;
    struct disk_sync *sync = NULL;
    if (file_is_segment(number)) {
        sync = &cut.disk->syncs[atomic_fetch_add(&cut.disk->syncs_begun, 1) % SYNCS_MAX];
        atomic_store(&sync->end_ns, 0);
        atomic_store(&sync->begin_ns, now_ns());
    }
    int image_fd = image_open(number);
    snapshot_take(&snapshot, now, begin, end, image_fd);
    if (bytes)
        snapshot.bytes = *bytes;
    wait_for_the_disk(sync ? cut.sync_us : OTHER_SYNC_US);
    snapshot_apply(&snapshot, image_fd);
    close(image_fd);
    if (sync)
        atomic_store(&sync->end_ns, now_ns());
}

static void file_sync(int fd, uint64_t number)
{
    uint64_t bytes = file_bytes(fd);
    const uint8_t *now = map(fd, bytes);
    contents_sync(number, now, 0, bytes, &bytes);
    if (now)
        munmap((void *)now, (size_t)bytes);
}

static void folder_sync(void)
{
    uint64_t newest = atomic_load(&cut.disk->newest);
    wait_for_the_disk(OTHER_SYNC_US);
    pthread_mutex_lock(&cut.names_lock);
    if (atomic_load(&cut.disk->durable) < newest)
        atomic_store(&cut.disk->durable, newest);
    pthread_mutex_unlock(&cut.names_lock);
}

// ---- beginning ---------------------------------------------------------------------------------

// What lies there when the power comes back is on the disk.
static void folder_adopt(const char *name)
{
    char path[PATH_BYTES * 2];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", cut.store, name);
    int fd = real_open(path, O_RDONLY | O_CLOEXEC);
    need(fd >= 0 && fstat(fd, &st) == 0, "a file of the store cannot be opened");
    file_sync(fd, names_add(name, (uint64_t)st.st_ino));
    close(fd);
}

static void disk_begin(void)
{
    DIR *folder = opendir(cut.store);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_name[0] != '.')
            folder_adopt(entry->d_name);
    }
    closedir(folder);
    atomic_store(&cut.disk->folder_durable, 1);
    atomic_store(&cut.disk->durable, atomic_load(&cut.disk->newest));
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    need(value && strlen(value) < PATH_BYTES, name);
    return value;
}

__attribute__((constructor)) static void begin(void)
{
    char path[PATH_BYTES * 2];
    struct stat st;
    strcpy(cut.store, setting("POWERCUT_STORE"));
    strcpy(cut.image, setting("POWERCUT_IMAGE"));
    cut.sync_us = (unsigned)atoi(setting("POWERCUT_SYNC_US"));
    strcpy(cut.parent, cut.store);
    *strrchr(cut.parent, '/') = '\0';
    snprintf(path, sizeof(path), "%s/disk", cut.image);
    int fd = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC);
    need(fd >= 0 && fstat(fd, &st) == 0 && ftruncate(fd, sizeof(struct disk)) == 0,
         "the image cannot be made");
    cut.disk = mmap(NULL, sizeof(struct disk), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(cut.disk != MAP_FAILED, "the image cannot be mapped");
    close(fd);
    // After a kill without a power cut the image goes on.
    if (st.st_size == 0)
        disk_begin();
}

// ---- the calls ---------------------------------------------------------------------------------

// The name within the store of `name` relative to `dir_fd`; NULL if it lies elsewhere.
static const char *store_name(int dir_fd, const char *name)
{
    size_t len = strlen(cut.store);
    if (name[0] == '/')
        return strncmp(name, cut.store, len) == 0 && name[len] == '/' ? name + len + 1 : NULL;
    if (dir_fd >= 0 && dir_fd < FDS_MAX && cut.fds[dir_fd].kind == FD_FOLDER)
        return name;
    return NULL;
}

static void opened(int fd, const char *name, int flags)
{
    char link[64], path[PATH_BYTES];
    struct stat st;
    need(fd < FDS_MAX, "too many descriptors");
    cut.fds[fd].kind = FD_OTHER;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return;
    path[len] = '\0';
    if (strcmp(path, cut.store) == 0) {
        cut.fds[fd].kind = FD_FOLDER;
    } else if (strcmp(path, cut.parent) == 0) {
        cut.fds[fd].kind = FD_PARENT;
    } else if (name && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        pthread_mutex_lock(&cut.names_lock);
        struct disk_file *file = names_find(names_at(atomic_load(&cut.disk->newest)), name);
        cut.fds[fd].number = file ? file->number : names_add(name, (uint64_t)st.st_ino);
        cut.fds[fd].dsync = (flags & O_DSYNC) != 0;
        cut.fds[fd].kind = FD_FILE;
        pthread_mutex_unlock(&cut.names_lock);
    }
}

#define OPEN(symbol)                                                  \
    int symbol(const char *path, int flags, ...);                     \
    int symbol(const char *path, int flags, ...)                      \
    {                                                                 \
        va_list args;                                                 \
        va_start(args, flags);                                        \
        unsigned mode = flags & O_CREAT ? va_arg(args, unsigned) : 0; \
        va_end(args);                                                 \
        REAL(symbol, int, const char *, int, ...)                     \
        int fd = real(path, flags, mode);                             \
        if (fd >= 0)                                                  \
            opened(fd, store_name(-1, path), flags);                  \
        return fd;                                                    \
    }
#define OPENAT(symbol)                                                \
    int symbol(int dir, const char *path, int flags, ...);            \
    int symbol(int dir, const char *path, int flags, ...)             \
    {                                                                 \
        va_list args;                                                 \
        va_start(args, flags);                                        \
        unsigned mode = flags & O_CREAT ? va_arg(args, unsigned) : 0; \
        va_end(args);                                                 \
        REAL(symbol, int, int, const char *, int, ...)                \
        int fd = real(dir, path, flags, mode);                        \
        if (fd >= 0)                                                  \
            opened(fd, store_name(dir, path), flags);                 \
        return fd;                                                    \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    REAL(close, int, int)
    if (fd >= 0 && fd < FDS_MAX)
        cut.fds[fd].kind = FD_OTHER;
    return real(fd);
}

static int synced(int fd)
{
    need(fd >= 0 && fd < FDS_MAX, "an unknown descriptor is synced");
    switch (cut.fds[fd].kind) {
    case FD_FILE:
        file_sync(fd, cut.fds[fd].number);
        break;
    case FD_FOLDER:
        folder_sync();
        break;
    case FD_PARENT:
        atomic_store(&cut.disk->folder_durable, 1);
        break;
    case FD_OTHER:
        break;
    }
    return 0;
}

int fdatasync(int fd)
{
    return synced(fd);
}

int fsync(int fd)
{
    return synced(fd);
}

static void mapped(void *address, size_t bytes, int flags, int fd)
{
    if (address == MAP_FAILED || !(flags & MAP_SHARED) || fd < 0 || fd >= FDS_MAX ||
        cut.fds[fd].kind != FD_FILE)
        return;
    size_t at = 0;
    pthread_mutex_lock(&cut.names_lock);
    while (at < MAPS_MAX && cut.maps[at].address)
        at++;
    need(at < MAPS_MAX, "too many mappings");
    cut.maps[at].address = address;
    cut.maps[at].bytes = bytes;
    cut.maps[at].number = cut.fds[fd].number;
    pthread_mutex_unlock(&cut.names_lock);
}

#define MMAP(symbol)                                                               \
    void *symbol(void *to, size_t len, int prot, int flags, int fd, off_t offset); \
    void *symbol(void *to, size_t len, int prot, int flags, int fd, off_t offset)  \
    {                                                                              \
        REAL(symbol, void *, void *, size_t, int, int, int, off_t)                 \
        void *address = real(to, len, prot, flags, fd, offset);                    \
        mapped(address, len, flags, fd);                                           \
        return address;                                                            \
    }
MMAP(mmap)
MMAP(mmap64)

int munmap(void *address, size_t len)
{
    REAL(munmap, int, void *, size_t)
    pthread_mutex_lock(&cut.names_lock);
    for (size_t i = 0; i < MAPS_MAX; i++) {
        if (cut.maps[i].address == address)
            cut.maps[i].address = NULL;
    }
    pthread_mutex_unlock(&cut.names_lock);
    return real(address, len);
}

int msync(void *address, size_t len, int flags)
{
    uint8_t *begin = address;
    uint64_t number = 0, offset = 0, end = 0;
    pthread_mutex_lock(&cut.names_lock);
    for (size_t i = 0; i < MAPS_MAX && !number; i++) {
        if (cut.maps[i].address && begin >= cut.maps[i].address &&
            begin < cut.maps[i].address + cut.maps[i].bytes) {
            number = cut.maps[i].number;
            offset = (uint64_t)(begin - cut.maps[i].address);
            end = (offset + len + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
            if (end > cut.maps[i].bytes)
                end = cut.maps[i].bytes;
        }
    }
    pthread_mutex_unlock(&cut.names_lock);
    need(number && (flags & MS_SYNC), "an unknown mapping is synced");
    contents_sync(number, begin, offset, end, NULL);
    return 0;
}

static ssize_t written(int fd, const void *buf, size_t len, off_t at)
{
    ssize_t n = real_pwrite(fd, buf, len, at);
    if (n > 0 && fd < FDS_MAX && cut.fds[fd].kind == FD_FILE && cut.fds[fd].dsync) {
        int image_fd = image_open(cut.fds[fd].number);
        wait_for_the_disk(OTHER_SYNC_US);
        need(real_pwrite(image_fd, buf, (size_t)n, at) == n, "the image cannot be written");
        close(image_fd);
    }
    return n;
}

ssize_t pwrite(int fd, const void *buf, size_t len, off_t at)
{
    return written(fd, buf, len, at);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at);
ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
    return written(fd, buf, len, at);
}

// A name goes from the image's books before it goes, and comes into them after it has come: what is
// killed in between is a file of which nothing is known, and nothing durable.
int unlinkat(int dir, const char *path, int flags)
{
    REAL(unlinkat, int, int, const char *, int)
    const char *name = store_name(dir, path);
    if (!name)
        return real(dir, path, flags);
    pthread_mutex_lock(&cut.names_lock);
    int rc = faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW);
    if (rc == 0) {
        names_remove(name);
        rc = real(dir, path, flags);
        need(rc == 0, "a file of the store cannot be removed");
    }
    pthread_mutex_unlock(&cut.names_lock);
    return rc;
}

int unlink(const char *path)
{
    need(!store_name(-1, path), "the store is not expected to call unlink");
    return real_unlink(path);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    REAL(renameat, int, int, const char *, int, const char *)
    const char *from_name = store_name(from_dir, from), *to_name = store_name(to_dir, to);
    pthread_mutex_lock(&cut.names_lock);
    int rc = real(from_dir, from, to_dir, to);
    if (rc == 0 && from_name && to_name)
        names_rename(from_name, to_name);
    pthread_mutex_unlock(&cut.names_lock);
    return rc;
}

int rename(const char *from, const char *to)
{
    REAL(rename, int, const char *, const char *)
    need(!store_name(-1, from) && !store_name(-1, to), "the store is not expected to call rename");
    return real(from, to);
}
