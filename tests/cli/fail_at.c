// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Preloaded into the command line: the FAIL_AT-th call of the function FAIL_CALL fails, with the
// error number FAIL_ERRNO, or is not made at all since the process gets the signal FAIL_SIGNAL.
// Calls of its children count; CALLS_TO names a file for their number in all.
// Both kinds of each call are wrapped, so neither may stand for the other, nor a checking one for
// them.
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include "shared_count.h"

#include <dirent.h>
#include <errno.h>
#include <lmdb.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>

static bool fails(const char *name)
{
    const char *call = getenv("FAIL_CALL");
    if (!calls || !call || strcmp(call, name) != 0)
        return false;
    if (!is_now("FAIL_AT", atomic_fetch_add(calls, 1) + 1))
        return false;
    const char *number = getenv("FAIL_SIGNAL");
    if (number)
        raise(atoi(number));
    number = getenv("FAIL_ERRNO");
    errno = number ? atoi(number) : EIO;
    return true;
}

// FAIL(type, name, (parameters), (arguments), what a failure gives); `kind` is the name in
// FAIL_CALL
#define FAIL_AS(kind, type, name, parameters, arguments, failure) \
    PRELOADED(type, name, parameters)                             \
    {                                                             \
        REAL(type, name, parameters);                             \
        return fails(kind) ? (failure) : real.function arguments; \
    }
#define FAIL(type, name, parameters, arguments, failure) \
    FAIL_AS(#name, type, name, parameters, arguments, failure)

FAIL(int, pipe, (int ends[2]), (ends), -1)
FAIL(pid_t, fork, (void), (), -1)
FAIL(pid_t, waitpid, (pid_t pid, int *state, int options), (pid, state, options), -1)
FAIL(ssize_t, read, (int fd, void *data, size_t len), (fd, data, len), -1)
FAIL(ssize_t, write, (int fd, const void *data, size_t len), (fd, data, len), -1)
FAIL(DIR *, opendir, (const char *path), (path), NULL)
FAIL(FILE *, tmpfile, (void), (), NULL)
FAIL_AS("tmpfile", FILE *, tmpfile64, (void), (), NULL)
struct stat;
struct stat64;
struct statvfs;
struct statvfs64;
FAIL(int, fstat, (int fd, struct stat *st), (fd, st), -1)
FAIL_AS("fstat", int, fstat64, (int fd, struct stat64 *st), (fd, st), -1)
FAIL(int, fstatat, (int fd, const char *name, struct stat *st, int flags), (fd, name, st, flags),
     -1)
FAIL(int, statvfs, (const char *path, struct statvfs *fs), (path, fs), -1)
FAIL_AS("statvfs", int, statvfs64, (const char *path, struct statvfs64 *fs), (path, fs), -1)
FAIL_AS("fstatat", int, fstatat64, (int fd, const char *name, struct stat64 *st, int flags),
        (fd, name, st, flags), -1)
FAIL(void *, mmap, (void *at, size_t len, int protection, int flags, int fd, off_t offset),
     (at, len, protection, flags, fd, offset), MAP_FAILED)
FAIL_AS("mmap", void *, mmap64,
        (void *at, size_t len, int protection, int flags, int fd, off64_t offset),
        (at, len, protection, flags, fd, offset), MAP_FAILED)
FAIL(ssize_t, pread, (int fd, void *data, size_t len, off_t at), (fd, data, len, at), -1)
FAIL_AS("pread", ssize_t, pread64, (int fd, void *data, size_t len, off64_t at),
        (fd, data, len, at), -1)

FAIL(int, fsync, (int fd), (fd), -1)
FAIL(int, fdatasync, (int fd), (fd), -1)
FAIL(int, msync, (void *at, size_t len, int flags), (at, len, flags), -1)

FAIL(int, mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t mode),
     (env, path, flags, mode), errno)
FAIL(int, mdb_txn_begin, (MDB_env * env, MDB_txn *above, unsigned flags, MDB_txn **txn),
     (env, above, flags, txn), errno)
FAIL(int, mdb_stat, (MDB_txn * txn, MDB_dbi dbi, MDB_stat *stat), (txn, dbi, stat), errno)
FAIL(int, mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op),
     (cursor, key, value, op), errno)
FAIL(int, mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags),
     (txn, dbi, key, value, flags), errno)
FAIL(int, mdb_txn_commit, (MDB_txn * txn), (txn), errno)
