// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The archive of a backup: one stream of checked blocks, written and read from front to end, so
// that it can go through a pipe. FORMAT.md describes it. No file: the caller moves the bytes.
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_head {
    uint32_t format_version; // of the store's files
    uint8_t store_id[16];
    int64_t taken_ms;  // when, milliseconds since the epoch
    uint64_t position; // of the journal up to which it holds everything
};

// Moves exactly `len` bytes or fails. A read that finds the end of the input sets *ret_len short.
typedef int archive_write_fn(void *user, const void *data, size_t len, struct store_error *err);
typedef int archive_read_fn(void *user, void *data, size_t len, size_t *ret_len,
                            struct store_error *err);

// Where an archive comes from. Sentences about it begin with its name.
struct archive_source {
    archive_read_fn *read;
    void *user;
    const char *name;
};

struct archive_writer {
    archive_write_fn *write;
    void *user;
    uint64_t chain; // checksum of all that was written so far
    uint64_t bytes; // of contents
};

int archive_begin(struct archive_writer *writer, const struct archive_head *head,
                  struct store_error *err);
int archive_put(struct archive_writer *writer, const void *data, size_t len,
                struct store_error *err);
int archive_finish(struct archive_writer *writer, struct store_error *err);

// Reads a whole archive, gives its contents to `sink`, and returns 0 only if it ended with its own
// end mark and every checksum held. `sink` may be NULL: then it is only checked.
// STORE_EFOREIGN, STORE_EVERSION, STORE_EDAMAGED with the offset.
int archive_read(const struct archive_source *source,
                 int (*sink)(void *sink_user, const void *data, size_t len,
                             struct store_error *err),
                 void *sink_user, struct archive_head *ret_head, uint64_t *ret_bytes,
                 struct store_error *err);

#endif
