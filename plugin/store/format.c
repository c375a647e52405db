// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "format.h"

#include "bytes.h"
#include "checksum.h"
#include "record.h"
#include "seeded.h"

#include <string.h>

enum segment_header_offset {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_COMPAT = 12,
    AT_INCOMPAT = 16,
    AT_HEADER_BYTES = 20,
    AT_STORE_ID = 24,
    AT_NUMBER = 40,
    AT_LIFE = 48,
    AT_SALT = 56,
    AT_FIRST_POSITION = 64,
    AT_BYTES = 72,
    AT_CREATED = 80,
    AT_CHECKSUM = 88,
    AT_END = 96,
};

_Static_assert(AT_END <= SEGMENT_HEADER_BYTES, "the header fits its block");
_Static_assert(sizeof(SEGMENT_MAGIC) - 1 == AT_VERSION - AT_MAGIC, "the magic has eight bytes");

void segment_header_encode(const struct segment_header *header, uint8_t *dst)
{
    memset(dst, 0, SEGMENT_HEADER_BYTES);
    memcpy(dst + AT_MAGIC, SEGMENT_MAGIC, 8);
    put_u32(dst + AT_VERSION, header->version);
    put_u32(dst + AT_INCOMPAT, header->incompat);
    put_u32(dst + AT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    memcpy(dst + AT_STORE_ID, header->store_id, 16);
    put_u64(dst + AT_NUMBER, header->number);
    put_u64(dst + AT_LIFE, header->life);
    put_u64(dst + AT_SALT, header->salt);
    put_u64(dst + AT_FIRST_POSITION, position_of(header->number, SEGMENT_HEADER_BYTES));
    put_u64(dst + AT_BYTES, header->bytes);
    put_u64(dst + AT_CREATED, (uint64_t)header->created_ms);
    put_u64(dst + AT_CHECKSUM, checksum64(dst, SEGMENT_HEADER_BYTES, 0));
}

// Over the whole block, the checksum's own place taken as zero.
static bool segment_header_checks(const uint8_t *src)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    memcpy(block, src, sizeof(block));
    put_u64(block + AT_CHECKSUM, 0);
    return get_u64(src + AT_CHECKSUM) == checksum64(block, sizeof(block), 0);
}

int segment_header_decode(const uint8_t *src, struct segment_header *ret_header,
                          struct store_error *err)
{
    if (memcmp(src + AT_MAGIC, SEGMENT_MAGIC, 8) != 0)
        return error_set(err, STORE_EFOREIGN, "this is not a journal segment");
    if (!segment_header_checks(src) && !SEEDED(HEADER_NOT_CHECKED))
        return error_set(err, STORE_EDAMAGED, "the segment header's checksum does not match");
    uint32_t unknown = get_u32(src + AT_INCOMPAT) & ~FORMAT_INCOMPAT_KNOWN;
    if (unknown)
        return error_set(err, STORE_EVERSION,
                         "the segment was written in format %lu with features (0x%lx) that this "
                         "program, which knows format %lu, cannot read; use a newer version",
                         (unsigned long)get_u32(src + AT_VERSION), (unsigned long)unknown,
                         (unsigned long)FORMAT_VERSION);
    struct segment_header header = {
        .version = get_u32(src + AT_VERSION),
        .incompat = get_u32(src + AT_INCOMPAT),
        .number = get_u64(src + AT_NUMBER),
        .life = get_u64(src + AT_LIFE),
        .salt = get_u64(src + AT_SALT),
        .bytes = get_u64(src + AT_BYTES),
        .created_ms = (int64_t)get_u64(src + AT_CREATED),
    };
    memcpy(header.store_id, src + AT_STORE_ID, 16);
    if (get_u32(src + AT_HEADER_BYTES) != SEGMENT_HEADER_BYTES || header.number == 0 ||
        header.number > UINT32_MAX || header.bytes < SEGMENT_MIN_BYTES ||
        header.bytes > SEGMENT_MAX_BYTES ||
        get_u64(src + AT_FIRST_POSITION) != position_of(header.number, SEGMENT_HEADER_BYTES))
        return error_set(err, STORE_EDAMAGED, "the segment header contradicts itself");
    *ret_header = header;
    return 0;
}

// Binds a frame to its place and to this life of the segment: recycled segments are full of bytes
// that publishers chose, and one could hold a perfect frame. Rounds of multiply and shift as in
// splitmix64 (Steele, Lea, Flood 2014).
static uint64_t frame_seed(uint64_t salt, uint64_t position, uint32_t length, uint8_t type)
{
    if (SEEDED(SALT_NOT_IN_SEED))
        salt = 0;
    if (SEEDED(POSITION_NOT_IN_SEED))
        position = 0;
    uint64_t seed = salt ^ position * 0x9e3779b97f4a7c15u;
    seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    seed ^= (uint64_t)length << 8 | type;
    seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
    return seed ^ seed >> 31;
}

// First eight bytes of a frame as a little-endian number; the sixteen bits of the seed in it let a
// scan pass over other people's bytes without a checksum at every offset.
static uint64_t frame_first_word(uint32_t length, uint8_t type, uint64_t seed)
{
    return (uint64_t)length | (uint64_t)type << 32 | (seed & 0xffff) << 48;
}

static void first_word_store(uint8_t *at, uint64_t first_word)
{
    uint8_t word[8];
    uint64_t in_memory_order;
    put_u64(word, first_word);
    memcpy(&in_memory_order, word, sizeof(word));
    __atomic_store_n((uint64_t *)(void *)at, in_memory_order, __ATOMIC_RELEASE);
}

// Over the durable position and the body.
static uint64_t frame_checksum(const uint8_t *at, size_t body_bytes, uint64_t seed)
{
    if (SEEDED(DURABLE_NOT_COVERED))
        return checksum64(at + FRAME_HEADER_BYTES, body_bytes, seed);
    return checksum64(at + 16, 8 + body_bytes, seed);
}

// Zeros the padding and the terminator behind it, in two stores that may overlap.
static void frame_terminate(uint8_t *at, size_t length, size_t total)
{
    if (SEEDED(NO_TERMINATOR)) {
        memset(at + length, 0, total - length);
        return;
    }
    put_u64(at + length, 0);
    put_u64(at + total, 0);
}

uint64_t frame_seal(uint8_t *at, uint8_t type, size_t body_bytes, uint64_t salt, uint64_t position,
                    uint64_t durable)
{
    size_t length = FRAME_HEADER_BYTES + body_bytes;
    size_t total = frame_total_bytes(body_bytes);
    uint64_t seed = frame_seed(salt, position, (uint32_t)length, type);
    uint64_t first_word = frame_first_word((uint32_t)length, type, seed);
    if (SEEDED(FIRST_WORD_FIRST))
        first_word_store(at, first_word);
    frame_terminate(at, length, total);
    put_u64(at + 16, durable);
    uint64_t checksum = frame_checksum(at, body_bytes, seed);
    put_u64(at + 8, checksum);
    first_word_store(at, first_word);
    return checksum;
}

enum frame_verdict frame_read(const uint8_t *segment, uint64_t bytes, uint64_t number,
                              uint64_t salt, uint64_t offset, struct frame *ret_frame)
{
    if (offset > bytes || bytes - offset < FRAME_TERMINATOR_BYTES)
        return FRAME_INVALID;
    const uint8_t *at = segment + offset;
    uint64_t word = get_u64(at);
    if (word == 0)
        return FRAME_END;

    uint32_t length = (uint32_t)word;
    uint8_t type = (uint8_t)(word >> 32);
    if (length < FRAME_HEADER_BYTES || length - FRAME_HEADER_BYTES > RECORD_BODY_MAX_BYTES)
        return FRAME_INVALID;
    size_t body_bytes = length - FRAME_HEADER_BYTES;
    size_t total = frame_total_bytes(body_bytes);
    if (bytes - offset < total + FRAME_TERMINATOR_BYTES && !SEEDED(LENGTH_NOT_CHECKED))
        return FRAME_INVALID;

    uint64_t position = position_of(number, offset);
    uint64_t seed = frame_seed(salt, position, length, type);
    if (word != frame_first_word(length, type, seed))
        return FRAME_INVALID;
    uint64_t checksum = get_u64(at + 8);
    if (checksum != frame_checksum(at, body_bytes, seed) && !SEEDED(CHECKSUM_NOT_CHECKED))
        return FRAME_INVALID;
    for (size_t i = length; i < total; i++) {
        if (at[i] != 0)
            return FRAME_INVALID;
    }

    *ret_frame = (struct frame){
        .position = position,
        .durable = get_u64(at + 16),
        .checksum = checksum,
        .type = type,
        .body = at + FRAME_HEADER_BYTES,
        .body_bytes = body_bytes,
        .total_bytes = total,
    };
    return FRAME_VALID;
}
