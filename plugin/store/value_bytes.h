// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What values are made of: a writer into memory that is known to be large enough, a reader that
// never leaves the value, and the version byte and checksum around both.
#ifndef STORE_VALUE_BYTES_H
#define STORE_VALUE_BYTES_H

#include "bytes.h"
#include "checksum.h"
#include "event.h"
#include "keys.h"
#include "seeded.h"

#define VALUE_CHECKSUM_BYTES 8u
#define VALUE_QUEUED_CHECKSUM_BYTES 4u

static inline uint64_t value_checksum(enum table table, struct span key, const void *data,
                                      size_t len)
{
    if (SEEDED(KEY_NOT_COVERED))
        return checksum64(data, len, (uint64_t)table);
    return checksum64(data, len, checksum64(key.data, key.len, (uint64_t)table));
}

static inline size_t value_checksum_bytes(enum table table)
{
    return table == TABLE_QUEUE ? VALUE_QUEUED_CHECKSUM_BYTES : VALUE_CHECKSUM_BYTES;
}

// The checksum as it stands at the end of a value, right or wrong; 0 if the value is too short.
static inline uint64_t value_checksum_stored(enum table table, struct span value)
{
    size_t bytes = value_checksum_bytes(table);
    if (value.len < bytes)
        return 0;
    const uint8_t *at = (const uint8_t *)value.data + value.len - bytes;
    return bytes == 4 ? get_u32(at) : get_u64(at);
}

struct value_writer {
    uint8_t *begin;
    uint8_t *at;
};

static inline void value_write_u8(struct value_writer *writer, uint8_t value)
{
    *writer->at++ = value;
}

static inline void value_write_u16(struct value_writer *writer, uint16_t value)
{
    put_u16(writer->at, value);
    writer->at += 2;
}

static inline void value_write_u32(struct value_writer *writer, uint32_t value)
{
    put_u32(writer->at, value);
    writer->at += 4;
}

static inline void value_write_u64(struct value_writer *writer, uint64_t value)
{
    put_u64(writer->at, value);
    writer->at += 8;
}

static inline void value_write_bytes(struct value_writer *writer, struct span bytes)
{
    if (bytes.len > 0)
        memcpy(writer->at, bytes.data, bytes.len);
    writer->at += bytes.len;
}

static inline void value_write_string16(struct value_writer *writer, struct span string)
{
    value_write_u16(writer, (uint16_t)string.len);
    value_write_bytes(writer, string);
}

// An absent string takes no byte: a flag of the value says that it is absent.
static inline void value_write_optional16(struct value_writer *writer, struct span string)
{
    if (string.data)
        value_write_string16(writer, string);
}

static inline void value_write_optional32(struct value_writer *writer, struct span string)
{
    if (string.data) {
        value_write_u32(writer, string.len);
        value_write_bytes(writer, string);
    }
}

static inline size_t value_string16_bytes(struct span string)
{
    return string.data ? 2 + (size_t)string.len : 0;
}

static inline size_t value_string32_bytes(struct span string)
{
    return string.data ? 4 + (size_t)string.len : 0;
}

// Writes the checksum behind what was written; the value ends there.
static inline void value_seal(struct value_writer *writer, enum table table, struct span key)
{
    size_t len = (size_t)(writer->at - writer->begin);
    uint64_t checksum = value_checksum(table, key, writer->begin, len);
    if (value_checksum_bytes(table) == 4)
        value_write_u32(writer, (uint32_t)checksum);
    else
        value_write_u64(writer, checksum);
}

// After a read beyond the end every read gives zero or nothing, and value_close says so.
struct value_reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static inline const uint8_t *value_take(struct value_reader *reader, size_t bytes)
{
    if (bytes > reader->left) {
        reader->failed = true;
        reader->left = 0;
        return NULL;
    }
    const uint8_t *at = reader->at;
    reader->at += bytes;
    reader->left -= bytes;
    return at;
}

static inline uint8_t value_read_u8(struct value_reader *reader)
{
    const uint8_t *at = value_take(reader, 1);
    return at ? *at : 0;
}

static inline uint16_t value_read_u16(struct value_reader *reader)
{
    const uint8_t *at = value_take(reader, 2);
    return at ? get_u16(at) : 0;
}

static inline uint32_t value_read_u32(struct value_reader *reader)
{
    const uint8_t *at = value_take(reader, 4);
    return at ? get_u32(at) : 0;
}

static inline uint64_t value_read_u64(struct value_reader *reader)
{
    const uint8_t *at = value_take(reader, 8);
    return at ? get_u64(at) : 0;
}

static inline struct span value_read_bytes(struct value_reader *reader, size_t bytes)
{
    const uint8_t *at = value_take(reader, bytes);
    return at ? span_of(at, bytes) : (struct span){NULL, 0};
}

static inline struct span value_read_rest(struct value_reader *reader)
{
    return value_read_bytes(reader, reader->left);
}

static inline struct span value_read_string16(struct value_reader *reader)
{
    return value_read_bytes(reader, value_read_u16(reader));
}

static inline struct span value_read_optional16(struct value_reader *reader, bool present)
{
    return present ? value_read_string16(reader) : (struct span){NULL, 0};
}

static inline struct span value_read_optional32(struct value_reader *reader, bool present)
{
    return present ? value_read_bytes(reader, value_read_u32(reader)) : (struct span){NULL, 0};
}

// Begins to read a value. The reader stands behind the version byte (in the queue table, whose
// version shares a byte, at the beginning), and ends where the checksum begins. NULL or what is
// wrong.
const char *value_open(struct value_reader *reader, enum table table, struct span key,
                       struct span value);
const char *value_open_unchecked(struct value_reader *reader, enum table table, struct span value);

// NULL if everything was there and nothing is left over.
const char *value_close(const struct value_reader *reader);

#endif
