// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The engine's only way to files: every call that changes a file, a name or a folder stands in
// os.c. A test can link another implementation of this header, one that keeps the disk in memory.
//
// Everything lies in one folder and is named relative to it, so a path that changes under us cannot
// lead elsewhere. Files are opened without following links and must be regular, with one link,
// owned by the folder's owner, and closed to group and others. Nothing here retries a failed sync.
//
// Any thread; one handle must not be closed while another thread uses it.
#ifndef STORE_OS_H
#define STORE_OS_H

#include "error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct os_dir;
struct os_file;

enum os_dir_flags {
    OS_DIR_CREATE = 1,        // make it (0700) if it is missing; its parent must exist
    OS_DIR_ALLOW_NETWORK = 2, // else NFS, SMB and their like are refused
    OS_DIR_MUST_OWN = 4,      // root too must be the owner
};

// Opens the folder. STORE_ENOSTORE if it is missing, or open to others and not a store, with
// OS_DIR_CREATE STORE_EFOREIGN for the latter; STORE_EUNSAFE if it is not a folder, belongs
// to somebody else, is open to group or others and not empty, or lies on a network file system.
// With OS_DIR_CREATE an empty folder of ours that is open to others is closed to them.
int os_dir_open(struct os_dir **ret_dir, const char *path, unsigned flags, struct store_error *err);
void os_dir_close(struct os_dir *dir);
const char *os_dir_path(const struct os_dir *dir);

// Makes the names in the folder durable.
int os_dir_sync(struct os_dir *dir, struct store_error *err);

// Makes the folder's own name durable, in the folder above it.
int os_dir_sync_name(struct os_dir *dir, struct store_error *err);

// Calls fn for each name but "." and "..", in no order; non-zero from fn ends the walk and is
// returned.
int os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                struct store_error *err);

// Neither is durable before os_dir_sync.
int os_dir_rename(struct os_dir *dir, const char *from, const char *to, struct store_error *err);
int os_dir_remove(struct os_dir *dir, const char *name, struct store_error *err);

enum os_file_flags {
    OS_READ = 1,
    OS_WRITE = 2,
    OS_CREATE = 4,    // make it (0600) if it is missing
    OS_EXCLUSIVE = 8, // with OS_CREATE: fail if it exists
};

// STORE_ENOTFOUND if the file is missing and not to be created, STORE_EUNSAFE by the rules above.
int os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name, unsigned flags,
                 struct store_error *err);
void os_file_close(struct os_file *file);
const char *os_file_name(const struct os_file *file);
void os_file_set_name(struct os_file *file, const char *name); // after os_dir_rename

// Whether the file still has a name: it may have been removed since it was opened.
int os_file_has_name(struct os_file *file, bool *ret_has_name, struct store_error *err);

int os_file_size(struct os_file *file, uint64_t *ret_bytes, struct store_error *err);

// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
int os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                 struct store_error *err);

// Writes all of it or fails. Not durable before os_file_sync.
int os_file_write(struct os_file *file, uint64_t offset, const void *buf, size_t len,
                  struct store_error *err);

#define OS_ZERO_PIECE_MAX_BYTES 65536u

// Sets the size to exactly `bytes`, with space allocated. What was not written before, from
// *ret_written on, reads as zeros. *ret_kept: the file system keeps the space, so that no later
// write there is short of it; else only os_file_zero makes sure. Not durable before os_file_sync.
int os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written, bool *ret_kept,
                    struct store_error *err);

// Writes zeros from `from` up to `to`, in pieces of `piece_bytes`. The kernel may keep what was
// written at once as one unit of its cache (large folios), of which each later sync writes the
// whole. Larger pieces are cheaper. Not durable before os_file_sync.
int os_file_zero(struct os_file *file, uint64_t from, uint64_t to, uint32_t piece_bytes,
                 struct store_error *err);

// Has the disk keep room for `bytes` at `offset`, without changing size or contents: a file that is
// written elsewhere can grow into it. Where the file system cannot do that, only that as much is
// free at present. STORE_ENOSPC: there is less.
int os_file_allocate(struct os_file *file, uint64_t offset, uint64_t bytes,
                     struct store_error *err);

int os_file_truncate(struct os_file *file, uint64_t bytes, struct store_error *err);

// Contents and size are on the disk when this returns 0. After a failure nobody knows what is: the
// caller must not rely on a later success.
int os_file_sync(struct os_file *file, struct store_error *err);

// Maps the first `bytes`, shared and writable. What is stored there is in the kernel at once (it
// survives the process), and durable after os_file_sync or os_map_sync.
int os_file_map(struct os_file *file, size_t bytes, void **ret_address, struct store_error *err);
void os_unmap(void *address, size_t bytes);

// As os_file_sync, for what was stored in `map`, the mapping of `file`, at `offset` and the `bytes`
// behind it. The size must be on the disk already. From any thread, also while others store there.
int os_map_sync(struct os_file *file, void *map, uint64_t offset, uint64_t bytes,
                struct store_error *err);

// Makes pages of a mapping present and writable, so that a store to them does not fault. Best
// effort.
void os_map_populate(void *address, size_t bytes);

// Takes the exclusive open-file-description lock. STORE_EHELD if another process, or another handle
// of this one, has it. Held until the file is closed.
int os_file_lock(struct os_file *file, struct store_error *err);

// Whether somebody else's lock stands in the way, without taking it.
int os_file_lock_held(struct os_file *file, bool *ret_held, struct store_error *err);

// Takes a lock on the folder itself, shared or exclusive. STORE_EHELD if another handle, of any
// process, stands in the way. Held until os_dir_unlock or os_dir_close.
int os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *err);
void os_dir_unlock(struct os_dir *dir);

// Whether the file system lets nobody write `name`, or make it. Else an error of writing it will
// say what stands in the way.
bool os_dir_is_read_only(struct os_dir *dir, const char *name);

// Free bytes for this user on the folder's file system.
int os_dir_free_bytes(struct os_dir *dir, uint64_t *ret_bytes, struct store_error *err);

// Random bytes of the kernel, for ids, salts and secrets.
int os_random(void *buf, size_t len, struct store_error *err);

uint64_t os_monotonic_ms(void);
int64_t os_realtime_ms(void);

// Lets the calling thread have only what the broker's leaves over. Best effort.
void os_thread_lower_priority(void);

// The calling thread, for os_thread_cpu_ms on another one.
struct os_thread {
    pthread_t thread;
};
struct os_thread os_thread_self(void);

// The processor time that a thread which still runs has used, in milliseconds; 0 if nobody knows.
uint64_t os_thread_cpu_ms(struct os_thread thread);

#endif
