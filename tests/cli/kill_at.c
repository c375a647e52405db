// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Preloaded into a program: KILL_AT=n kills it with SIGKILL instead of its n-th call that changes a
// file, a name or a folder, or makes one durable. So a test can try every point there is. With
// INTERRUPT_AT=n its process group gets SIGINT then, as from a terminal; with STOP_AT=n whoever
// makes that call stops, and the group's leader, so that something else can be done before they go
// on. Others of the group do not: one may hold LMDB's lock of readers, which that would wait for.
// Calls of its children count; CALLS_TO names a file for their number in all.
// Both kinds of each call are wrapped, so neither may stand for the other.
#undef _FILE_OFFSET_BITS

#include "shared_count.h"

#include <signal.h>
#include <sys/types.h>
#include <sys/uio.h>

static void count_call(void)
{
    long call = atomic_fetch_add(calls, 1) + 1;
    if (is_now("KILL_AT", call))
        kill(getpid(), SIGKILL);
    if (is_now("INTERRUPT_AT", call))
        kill(0, SIGINT);
    if (is_now("STOP_AT", call)) {
        if (getpgrp() != getpid())
            kill(getpgrp(), SIGSTOP);
        kill(getpid(), SIGSTOP);
    }
}

#define WRAP(type, name, parameters, ...)  \
    PRELOADED(type, name, parameters)      \
    {                                      \
        REAL(type, name, parameters);      \
        count_call();                      \
        return real.function(__VA_ARGS__); \
    }

WRAP(ssize_t, write, (int fd, const void *data, size_t len), fd, data, len)
WRAP(ssize_t, writev, (int fd, const struct iovec *parts, int count), fd, parts, count)
WRAP(ssize_t, pwrite, (int fd, const void *data, size_t len, off_t at), fd, data, len, at)
WRAP(ssize_t, pwrite64, (int fd, const void *data, size_t len, off_t at), fd, data, len, at)
WRAP(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off64_t at), fd, parts, count,
     at)
WRAP(int, ftruncate, (int fd, off_t bytes), fd, bytes)
WRAP(int, ftruncate64, (int fd, off64_t bytes), fd, bytes)
WRAP(int, posix_fallocate, (int fd, off_t at, off_t bytes), fd, at, bytes)
WRAP(int, posix_fallocate64, (int fd, off64_t at, off64_t bytes), fd, at, bytes)
WRAP(int, fsync, (int fd), fd)
WRAP(int, fdatasync, (int fd), fd)
WRAP(int, msync, (void *at, size_t len, int flags), at, len, flags)
WRAP(int, rename, (const char *from, const char *to), from, to)
WRAP(int, renameat, (int from_dir, const char *from, int to_dir, const char *to), from_dir, from,
     to_dir, to)
WRAP(int, linkat, (int from_dir, const char *from, int to_dir, const char *to, int flags), from_dir,
     from, to_dir, to, flags)
WRAP(int, unlink, (const char *name), name)
WRAP(int, unlinkat, (int dir, const char *name, int flags), dir, name, flags)
WRAP(int, mkdir, (const char *name, mode_t mode), name, mode)
