// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "archive.h"

#include "bytes.h"
#include "checksum.h"

#include <stdlib.h>
#include <string.h>

#define ARCHIVE_MAGIC "MQLMDBA\n"
#define ARCHIVE_VERSION 1u
#define BLOCK_MAX_BYTES (1024u * 1024u)

enum head_offset {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_FORMAT_VERSION = 12,
    AT_STORE_ID = 16,
    AT_TAKEN = 32,
    AT_POSITION = 40,
    AT_CHECKSUM = 48,
    HEAD_BYTES = 56,
};

// A block is its length (0: the end mark), the chained checksum, and the bytes. The end mark's
// "bytes" are the 64-bit count of all contents.
#define BLOCK_HEAD_BYTES 12u

int archive_begin(struct archive_writer *writer, const struct archive_head *head,
                  struct store_error *err)
{
    uint8_t bytes[HEAD_BYTES];
    memcpy(bytes + AT_MAGIC, ARCHIVE_MAGIC, 8);
    put_u32(bytes + AT_VERSION, ARCHIVE_VERSION);
    put_u32(bytes + AT_FORMAT_VERSION, head->format_version);
    memcpy(bytes + AT_STORE_ID, head->store_id, 16);
    put_u64(bytes + AT_TAKEN, (uint64_t)head->taken_ms);
    put_u64(bytes + AT_POSITION, head->position);
    writer->chain = checksum64(bytes, AT_CHECKSUM, 0);
    writer->bytes = 0;
    put_u64(bytes + AT_CHECKSUM, writer->chain);
    return writer->write(writer->user, bytes, sizeof(bytes), err);
}

static int block_write(struct archive_writer *writer, uint32_t length, const void *data, size_t len,
                       struct store_error *err)
{
    uint8_t head[BLOCK_HEAD_BYTES];
    writer->chain = checksum64(data, len, writer->chain ^ length);
    put_u32(head, length);
    put_u64(head + 4, writer->chain);
    int rc = writer->write(writer->user, head, sizeof(head), err);
    return rc ? rc : writer->write(writer->user, data, len, err);
}

int archive_put(struct archive_writer *writer, const void *data, size_t len,
                struct store_error *err)
{
    const uint8_t *at = data;
    while (len > 0) {
        size_t part = len < BLOCK_MAX_BYTES ? len : BLOCK_MAX_BYTES;
        int rc = block_write(writer, (uint32_t)part, at, part, err);
        if (rc)
            return rc;
        writer->bytes += part;
        at += part;
        len -= part;
    }
    return 0;
}

int archive_finish(struct archive_writer *writer, struct store_error *err)
{
    uint8_t count[8];
    put_u64(count, writer->bytes);
    return block_write(writer, 0, count, sizeof(count), err);
}

struct reading {
    const struct archive_source *source;
    uint64_t offset;
    uint64_t chain; // checksum of all that was read so far
};

static int exactly(struct reading *reading, void *data, size_t len, struct store_error *err)
{
    size_t got = 0;
    int rc = reading->source->read(reading->source->user, data, len, &got, err);
    if (rc)
        return rc;
    if (got < len)
        return error_set(err, STORE_EDAMAGED,
                         "the archive ends at offset %llu in the middle; it was cut, or is still "
                         "being written",
                         (unsigned long long)(reading->offset + got));
    reading->offset += len;
    return 0;
}

static int head_read(struct reading *reading, struct archive_head *ret_head,
                     struct store_error *err)
{
    uint8_t bytes[HEAD_BYTES];
    int rc = exactly(reading, bytes, sizeof(bytes), err);
    if (rc)
        return rc;
    if (memcmp(bytes + AT_MAGIC, ARCHIVE_MAGIC, 8) != 0)
        return error_set(err, STORE_EFOREIGN,
                         "this is not an archive that mosquitto_lmdb backup made");
    if (get_u32(bytes + AT_VERSION) != ARCHIVE_VERSION)
        return error_set(err, STORE_EVERSION,
                         "the archive has format %lu, this program knows %u; use a newer version",
                         (unsigned long)get_u32(bytes + AT_VERSION), ARCHIVE_VERSION);
    uint64_t chain = checksum64(bytes, AT_CHECKSUM, 0);
    if (get_u64(bytes + AT_CHECKSUM) != chain)
        return error_set(err, STORE_EDAMAGED, "the archive's head is damaged");
    *ret_head = (struct archive_head){
        .format_version = get_u32(bytes + AT_FORMAT_VERSION),
        .taken_ms = (int64_t)get_u64(bytes + AT_TAKEN),
        .position = get_u64(bytes + AT_POSITION),
    };
    memcpy(ret_head->store_id, bytes + AT_STORE_ID, 16);
    reading->chain = chain;
    return 0;
}

// The next block, which has at most BLOCK_MAX_BYTES; `*ret_len` is 0 behind the last one. `bytes`
// came before it.
static int block_read(struct reading *reading, uint8_t *block, size_t *ret_len, uint64_t bytes,
                      struct store_error *err)
{
    uint8_t head[BLOCK_HEAD_BYTES];
    uint64_t at = reading->offset;
    int rc = exactly(reading, head, sizeof(head), err);
    if (rc)
        return rc;
    uint32_t length = get_u32(head);
    size_t len = length ? length : 8;
    if (len <= BLOCK_MAX_BYTES) {
        if ((rc = exactly(reading, block, len, err)))
            return rc;
        reading->chain = checksum64(block, len, reading->chain ^ length);
    }
    if (len > BLOCK_MAX_BYTES || reading->chain != get_u64(head + 4) ||
        (length == 0 && get_u64(block) != bytes))
        return error_set(err, STORE_EDAMAGED, "the archive is damaged at offset %llu",
                         (unsigned long long)at);
    *ret_len = length;
    return 0;
}

int archive_read(const struct archive_source *source,
                 int (*sink)(void *sink_user, const void *data, size_t len,
                             struct store_error *err),
                 void *sink_user, struct archive_head *ret_head, uint64_t *ret_bytes,
                 struct store_error *err)
{
    struct reading reading = {.source = source};
    struct store_error reason = {0};
    uint64_t bytes = 0;
    size_t len = 1;
    uint8_t *block = malloc(BLOCK_MAX_BYTES);
    if (!block)
        return error_set(err, STORE_ENOMEM, "out of memory");
    int rc = head_read(&reading, ret_head, &reason);
    while (rc == 0 && (rc = block_read(&reading, block, &len, bytes, &reason)) == 0 && len > 0) {
        bytes += len;
        if (sink && (rc = sink(sink_user, block, len, err)))
            break;
    }
    free(block);
    if (rc == 0)
        *ret_bytes = bytes;
    if (reason.code) {
        error_prefix(&reason, "%s", source->name);
        error_pass(err, rc, &reason);
    }
    return rc;
}
