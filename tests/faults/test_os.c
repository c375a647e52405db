// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// os.c when the kernel does less than it was asked for, is interrupted, or refuses.
//
// Linked with -Wl,--wrap for the calls below.
#include "store/os.h"

#include "support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum call {
    CALL_NONE,
    CALL_PREAD,
    CALL_PWRITE,
    CALL_FDATASYNC,
    CALL_MSYNC,
    CALL_FSYNC,
    CALL_FALLOCATE,
    CALL_FTRUNCATE,
    CALL_OPENAT,
    CALL_RENAMEAT,
    CALL_UNLINKAT,
    CALL_MMAP,
    CALL_GETRANDOM,
    CALL_FCNTL,
    CALL_FLOCK,
    CALL_FSTATVFS,
};

static enum call fault_call;
static int fault_errno;      // 0: the call does less than it was asked for
static unsigned fault_times; // so many calls fail
static unsigned fault_hits;

// Whether this call is to fail; sets errno.
static bool fault_here(enum call call)
{
    if (call != fault_call || fault_hits >= fault_times || !fault_errno)
        return false;
    fault_hits++;
    errno = fault_errno;
    return true;
}

static size_t fault_shorten(enum call call, size_t len)
{
    if (call != fault_call || fault_errno || len < 2)
        return len;
    fault_hits++;
    return 1 + len / 3;
}

static void fault_set(enum call call, int sys_errno, unsigned times)
{
    fault_call = call;
    fault_errno = sys_errno;
    fault_times = times;
    fault_hits = 0;
}

// A header may call each function by two names.
#define WRAPPED(type, name, arguments, body) \
    type __real_##name arguments;            \
    type __wrap_##name arguments;            \
    type __wrap_##name arguments             \
    {                                        \
        body                                 \
    }
#ifdef __GLIBC__
#define WRAPPED64(type, name, name64, arguments, body) \
    WRAPPED(type, name, arguments, body)               \
    type __wrap_##name64 arguments;                    \
    type __wrap_##name64 arguments                     \
    {                                                  \
        body                                           \
    }
#else
#define WRAPPED64(type, name, name64, arguments, body) WRAPPED(type, name, arguments, body)
#endif

WRAPPED64(ssize_t, pread, pread64, (int fd, void *buf, size_t len, off_t at), {
    return fault_here(CALL_PREAD) ? -1 : __real_pread(fd, buf, fault_shorten(CALL_PREAD, len), at);
})
WRAPPED64(ssize_t, pwrite, pwrite64, (int fd, const void *buf, size_t len, off_t at), {
    return fault_here(CALL_PWRITE) ? -1
                                   : __real_pwrite(fd, buf, fault_shorten(CALL_PWRITE, len), at);
})
WRAPPED64(int, ftruncate, ftruncate64, (int fd, off_t bytes),
          { return fault_here(CALL_FTRUNCATE) ? -1 : __real_ftruncate(fd, bytes); })
WRAPPED64(int, fallocate, fallocate64, (int fd, int mode, off_t at, off_t len),
          { return fault_here(CALL_FALLOCATE) ? -1 : __real_fallocate(fd, mode, at, len); })
WRAPPED64(void *, mmap, mmap64, (void *to, size_t len, int prot, int flags, int fd, off_t at), {
    return fault_here(CALL_MMAP) ? MAP_FAILED : __real_mmap(to, len, prot, flags, fd, at);
})
WRAPPED64(int, fstatvfs, fstatvfs64, (int fd, struct statvfs *fs),
          { return fault_here(CALL_FSTATVFS) ? -1 : __real_fstatvfs(fd, fs); })
WRAPPED(int, fdatasync, (int fd),
        { return fault_here(CALL_FDATASYNC) ? -1 : __real_fdatasync(fd); })
WRAPPED(int, msync, (void *at, size_t len, int flags),
        { return fault_here(CALL_MSYNC) ? -1 : __real_msync(at, len, flags); })
WRAPPED(int, fsync, (int fd), { return fault_here(CALL_FSYNC) ? -1 : __real_fsync(fd); })
WRAPPED(int, renameat, (int from_fd, const char *from, int to_fd, const char *to),
        { return fault_here(CALL_RENAMEAT) ? -1 : __real_renameat(from_fd, from, to_fd, to); })
WRAPPED(int, unlinkat, (int fd, const char *name, int flags),
        { return fault_here(CALL_UNLINKAT) ? -1 : __real_unlinkat(fd, name, flags); })
WRAPPED(ssize_t, getrandom, (void *buf, size_t len, unsigned flags), {
    return fault_here(CALL_GETRANDOM)
               ? -1
               : __real_getrandom(buf, fault_shorten(CALL_GETRANDOM, len), flags);
})
WRAPPED64(int, openat, openat64, (int fd, const char *name, int flags, ...), {
    va_list args;
    va_start(args, flags);
    unsigned mode = flags & O_CREAT ? va_arg(args, unsigned) : 0;
    va_end(args);
    return fault_here(CALL_OPENAT) ? -1 : __real_openat(fd, name, flags, mode);
})
WRAPPED64(int, fcntl, fcntl64, (int fd, int command, ...), {
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return fault_here(CALL_FCNTL) ? -1 : __real_fcntl(fd, command, argument);
})

WRAPPED(int, flock, (int fd, int operation),
        { return fault_here(CALL_FLOCK) ? -1 : __real_flock(fd, operation); })

static char *folder;
static struct os_dir *dir;
static struct os_file *file;
static struct store_error err;

static void setup(void)
{
    fault_set(CALL_NONE, 0, 0);
    err = (struct store_error){0};
    folder = folder_make();
    ck_assert_int_eq(os_dir_open(&dir, folder, 0, &err), 0);
    ck_assert_int_eq(
        os_file_open(&file, dir, "a.file", OS_READ | OS_WRITE | OS_CREATE | OS_EXCLUSIVE, &err), 0);
    ck_assert_int_eq(os_file_write(file, 0, "0123456789", 10, &err), 0);
}

static void teardown(void)
{
    fault_set(CALL_NONE, 0, 0);
    os_file_close(file);
    os_dir_close(dir);
    folder_remove(folder);
}

// ---- one function for each thing that can be asked of os.h -------------------------------------

static int do_read(void)
{
    char text[32] = "";
    size_t len = 0;
    int rc = os_file_read(file, 2, text, sizeof(text), &len, &err);
    if (rc == 0) {
        ck_assert_uint_eq(len, 8);
        ck_assert_mem_eq(text, "23456789", 8);
    }
    return rc;
}

static int do_write(void)
{
    char text[32] = "";
    size_t len = 0;
    int rc = os_file_write(file, 4, "abcdefghijklmnop", 16, &err);
    if (rc == 0) {
        ck_assert_int_eq(os_file_read(file, 0, text, sizeof(text), &len, NULL), 0);
        ck_assert_uint_eq(len, 20);
        ck_assert_mem_eq(text, "0123abcdefghijklmnop", 20);
    }
    return rc;
}

static int zeros_at(uint64_t offset)
{
    uint8_t bytes[1000];
    size_t len = 0;
    int rc = os_file_read(file, offset, bytes, sizeof(bytes), &len, &err);
    ck_assert_uint_eq(len, sizeof(bytes));
    for (size_t i = 0; i < len; i++)
        ck_assert_int_eq(bytes[i], 0);
    return rc;
}

static int do_reserve(void)
{
    struct stat st;
    uint64_t written = 99;
    bool kept = false;
    int rc = os_file_reserve(file, 200000, &written, &kept, &err);
    if (rc == 0) {
        ck_assert_int_eq(stat(path_in(folder, "a.file"), &st), 0);
        ck_assert_int_eq(st.st_size, 200000);
        ck_assert(!kept || st.st_blocks * 512 >= 200000);
        ck_assert_uint_eq(written, 10);
        zeros_at(199000);
    }
    return rc;
}

static int do_zero(void)
{
    int rc = os_file_zero(file, 4, 200000, OS_ZERO_PIECE_MAX_BYTES, &err);
    if (rc == 0) {
        ck_assert_uint_eq(file_bytes(path_in(folder, "a.file")), 200000);
        zeros_at(4);
        zeros_at(199000);
    }
    return rc;
}

static int do_allocate(void)
{
    struct stat st;
    int rc = os_file_allocate(file, 10, 200000, &err);
    if (rc == 0) {
        ck_assert_int_eq(stat(path_in(folder, "a.file"), &st), 0);
        ck_assert_int_eq(st.st_size, 10);
        ck_assert_int_ge(st.st_blocks * 512, 200000);
    }
    return rc;
}

static int do_truncate(void)
{
    int rc = os_file_truncate(file, 5, &err);
    if (rc == 0)
        ck_assert_uint_eq(file_bytes(path_in(folder, "a.file")), 5);
    return rc;
}

static int do_sync(void)
{
    return os_file_sync(file, &err);
}

static int do_dir_sync(void)
{
    return os_dir_sync(dir, &err);
}

static int do_dir_sync_name(void)
{
    return os_dir_sync_name(dir, &err);
}

static int do_open(void)
{
    struct os_file *other = NULL;
    int rc = os_file_open(&other, dir, "a.file", OS_READ, &err);
    os_file_close(other);
    return rc;
}

static int do_create(void)
{
    struct os_file *other = NULL;
    int rc = os_file_open(&other, dir, "another.file", OS_READ | OS_WRITE | OS_CREATE, &err);
    os_file_close(other);
    return rc;
}

static int list_nothing(void *user, const char *name)
{
    (void)user;
    (void)name;
    return 0;
}

static int do_list(void)
{
    return os_dir_list(dir, list_nothing, NULL, &err);
}

static int do_rename(void)
{
    return os_dir_rename(dir, "a.file", "b.file", &err);
}

static int do_remove(void)
{
    return os_dir_remove(dir, "a.file", &err);
}

static int do_map(void)
{
    void *address = NULL;
    int rc = os_file_map(file, 10, &address, &err);
    if (rc == 0)
        os_unmap(address, 10);
    return rc;
}

// What is stored before and after a sync of the middle stays, in the mapping and in the file.
static int do_map_sync(void)
{
    enum { PAGE = 65536, BYTES = 4 * PAGE };
    static uint8_t found[BYTES];
    void *address = NULL;
    size_t len = 0;
    ck_assert_int_eq(os_file_zero(file, 0, BYTES, 4096, &err), 0);
    ck_assert_int_eq(os_file_map(file, BYTES, &address, &err), 0);
    uint8_t *map = address;
    memset(map, 'm', BYTES);
    int rc = os_map_sync(file, map, PAGE / 2, 3 * PAGE, &err);
    for (size_t i = 0; i < BYTES; i++)
        ck_assert_uint_eq(map[i], 'm');
    map[PAGE] = 'n';
    ck_assert_int_eq(os_file_read(file, 0, found, BYTES, &len, NULL), 0);
    ck_assert_int_eq(memcmp(found, map, BYTES), 0);
    os_unmap(map, BYTES);
    return rc;
}

static int do_random(void)
{
    uint8_t bytes[64] = {0};
    unsigned zeros = 0;
    int rc = os_random(bytes, sizeof(bytes), &err);
    for (size_t i = 0; i < sizeof(bytes); i++)
        zeros += bytes[i] == 0;
    if (rc == 0)
        ck_assert_uint_lt(zeros, 10);
    return rc;
}

static int do_lock(void)
{
    return os_file_lock(file, &err);
}

static int do_lock_held(void)
{
    bool held = true;
    int rc = os_file_lock_held(file, &held, &err);
    if (rc == 0)
        ck_assert(!held);
    return rc;
}

static int do_dir_lock(void)
{
    struct os_dir *other = NULL;
    int rc = os_dir_lock(dir, false, &err);
    if (rc)
        return rc;
    ck_assert_int_eq(os_dir_open(&other, folder, 0, &err), 0);
    ck_assert_int_eq(os_dir_lock(other, true, &err), STORE_EHELD);
    ck_assert_int_eq(os_dir_lock(other, false, &err), 0);
    os_dir_unlock(other);
    os_dir_unlock(dir);
    ck_assert_int_eq(os_dir_lock(other, true, &err), 0);
    os_dir_close(other);
    return 0;
}

static int do_free_bytes(void)
{
    uint64_t bytes = 0;
    int rc = os_dir_free_bytes(dir, &bytes, &err);
    if (rc == 0)
        ck_assert_uint_gt(bytes, 0);
    return rc;
}

static const struct {
    int (*act)(void);
    enum call call;
    const char *names; // what a sentence about its failure must name
    bool goes_on;      // after EINTR
    bool shortens;     // the kernel may do less than asked for
} acts[] = {
    {do_read, CALL_PREAD, "a.file", true, true},
    {do_write, CALL_PWRITE, "a.file", true, true},
    {do_reserve, CALL_FALLOCATE, "a.file", true, false},
    {do_zero, CALL_PWRITE, "a.file", true, true},
    {do_allocate, CALL_FALLOCATE, "a.file", true, false},
    {do_truncate, CALL_FTRUNCATE, "a.file", true, false},
    {do_sync, CALL_FDATASYNC, "a.file", false, false},
    {do_dir_sync, CALL_FSYNC, "folder", false, false},
    {do_dir_sync_name, CALL_OPENAT, "folder", true, false},
    {do_dir_sync_name, CALL_FSYNC, "folder", false, false},
    {do_open, CALL_OPENAT, "a.file", true, false},
    {do_create, CALL_OPENAT, "another.file", true, false},
    {do_list, CALL_OPENAT, "folder", true, false},
    {do_rename, CALL_RENAMEAT, "a.file", false, false},
    {do_remove, CALL_UNLINKAT, "a.file", false, false},
    {do_map, CALL_MMAP, "a.file", false, false},
    {do_map_sync, CALL_MSYNC, "a.file", false, false},
    {do_random, CALL_GETRANDOM, "random", true, true},
    {do_lock, CALL_FCNTL, "a.file", false, false},
    {do_lock_held, CALL_FCNTL, "a.file", false, false},
    {do_dir_lock, CALL_FLOCK, "lock the folder", true, false},
    {do_free_bytes, CALL_FSTATVFS, "free space", false, false},
};
#define ACTS (int)(sizeof(acts) / sizeof(acts[0]))

START_TEST(a_failure_has_its_code_and_names_the_thing)
{
    static const struct {
        int sys_errno, code;
    } failures[] = {{EIO, STORE_EIO}, {ENOSPC, STORE_ENOSPC}, {EDQUOT, STORE_ENOSPC}};
    for (size_t i = 0; i < 3; i++) {
        fault_set(acts[_i].call, failures[i].sys_errno, 1);
        err = (struct store_error){0};
        ck_assert_int_eq(acts[_i].act(), failures[i].code);
        ck_assert_uint_eq(fault_hits, 1);
        ck_assert_int_eq(err.code, failures[i].code);
        ck_assert_int_eq(err.sys_errno, failures[i].sys_errno);
        ck_assert_msg(strstr(err.sentence, acts[_i].names), "%s", err.sentence);
    }
    // And then it goes well.
    ck_assert_msg(acts[_i].act() == 0, "%s", err.sentence);
}
END_TEST

START_TEST(an_interrupted_call_is_made_again)
{
    fault_set(acts[_i].call, EINTR, 3);
    int rc = acts[_i].act();
    if (acts[_i].goes_on) {
        ck_assert_msg(rc == 0, "%s", err.sentence);
        ck_assert_uint_eq(fault_hits, 3);
    } else {
        // Above all a sync: whether it can be repeated, nobody knows.
        ck_assert_int_eq(rc, STORE_EIO);
        ck_assert_uint_eq(fault_hits, 1);
    }
}
END_TEST

START_TEST(a_call_that_does_less_is_completed)
{
    fault_set(acts[_i].call, 0, 0);
    ck_assert_msg(acts[_i].act() == 0, "%s", err.sentence);
    ck_assert(!acts[_i].shortens || fault_hits > 1);
}
END_TEST

// Some file systems cannot allocate, and say so: then only zeros keep the room.
START_TEST(a_file_system_cannot_allocate)
{
    static const int refusals[] = {EOPNOTSUPP, ENOSYS};
    uint64_t written = 99;
    bool kept = true;
    fault_set(CALL_FALLOCATE, refusals[_i], 1);
    ck_assert_msg(os_file_reserve(file, 200000, &written, &kept, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(fault_hits, 1);
    ck_assert(!kept && written == 10);
    ck_assert_uint_eq(file_bytes(path_in(folder, "a.file")), 200000);
    // A file that is longer is cut.
    ck_assert_int_eq(os_file_reserve(file, 5, &written, &kept, &err), 0);
    ck_assert(written == 5 && file_bytes(path_in(folder, "a.file")) == 5);
}
END_TEST

START_TEST(where_nothing_can_be_allocated_ahead_the_free_space_decides)
{
    fault_set(CALL_FALLOCATE, EOPNOTSUPP, 1);
    ck_assert_int_eq(os_file_allocate(file, 10, 4096, &err), 0);
    fault_set(CALL_FALLOCATE, EOPNOTSUPP, 1);
    ck_assert_int_eq(os_file_allocate(file, 10, (uint64_t)1 << 60, &err), STORE_ENOSPC);
    ck_assert_uint_eq(fault_hits, 1);
    ck_assert_ptr_nonnull(strstr(err.sentence, "a.file"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("os");
    TCase *cases = tcase_create("os");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_loop_test(cases, a_failure_has_its_code_and_names_the_thing, 0, ACTS);
    tcase_add_loop_test(cases, an_interrupted_call_is_made_again, 0, ACTS);
    tcase_add_loop_test(cases, a_call_that_does_less_is_completed, 0, ACTS);
    tcase_add_loop_test(cases, a_file_system_cannot_allocate, 0, 2);
    tcase_add_test(cases, where_nothing_can_be_allocated_ahead_the_free_space_decides);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
