// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The journal's bytes: offsets and sizes of what FORMAT.md describes, and pure functions that write
// and check them. No file, no thread.
#ifndef STORE_FORMAT_H
#define STORE_FORMAT_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

#define FORMAT_VERSION 1u
#define FORMAT_INCOMPAT_KNOWN 0u // incompatible features this program can read

#define SEGMENT_MAGIC "MQLMDBJ\n"
#define SEGMENT_HEADER_BYTES 4096u
#define SEGMENT_MIN_BYTES (64u * 1024u)
#define SEGMENT_MAX_BYTES UINT32_MAX // an offset is the lower half of a position

#define FRAME_HEADER_BYTES 24u
#define FRAME_TERMINATOR_BYTES 8u
#define FRAME_ALIGN 8u

// Position: segment number and offset in one number that only grows.
static inline uint64_t position_of(uint64_t segment_number, uint64_t offset)
{
    return segment_number << 32 | offset;
}

static inline uint64_t position_segment(uint64_t position)
{
    return position >> 32;
}

static inline uint64_t position_offset(uint64_t position)
{
    return position & 0xffffffffu;
}

struct segment_header {
    uint32_t version;
    uint32_t incompat;
    uint8_t store_id[16];
    uint64_t number;
    uint64_t life; // which opening of the store wrote it
    uint64_t salt; // random, anew each time the file begins a life as a segment
    uint64_t bytes;
    int64_t created_ms;
};

// Writes SEGMENT_HEADER_BYTES bytes.
void segment_header_encode(const struct segment_header *header, uint8_t *dst);

// STORE_EFOREIGN (no magic), STORE_EVERSION (incompatible flags of a later version),
// STORE_EDAMAGED.
int segment_header_decode(const uint8_t *src, struct segment_header *ret_header,
                          struct store_error *err);

// A frame around a record's body, as it lies at `offset` of a segment:
//   0  u32 length of the frame without padding    4  u8 type   5  u8 flags   6  u16 header check
//   8  u64 checksum    16  u64 durable position   24  body, then zeros up to a multiple of 8
// A length of 0 stands where the next frame will be written.
struct frame {
    uint64_t position;
    uint64_t durable; // how far the log was known durable when this was written
    uint64_t checksum;
    uint8_t type;
    const uint8_t *body;
    size_t body_bytes;
    size_t total_bytes; // with padding: offset of the next frame minus that of this one
};

static inline size_t frame_total_bytes(size_t body_bytes)
{
    return (FRAME_HEADER_BYTES + body_bytes + FRAME_ALIGN - 1) & ~(size_t)(FRAME_ALIGN - 1);
}

// Completes a frame whose body already lies at `at` + FRAME_HEADER_BYTES: zeros the padding, writes
// the terminator behind it, then header and checksum, and the first eight bytes last, in one store,
// so that a process killed at any instant leaves either no frame or a whole one. `at` is aligned to
// 8. Returns the checksum.
uint64_t frame_seal(uint8_t *at, uint8_t type, size_t body_bytes, uint64_t salt, uint64_t position,
                    uint64_t durable);

enum frame_verdict {
    FRAME_VALID,
    FRAME_END,     // length 0: nothing was written here
    FRAME_INVALID, // something else lies here
};

// Looks at `offset` of a segment of `bytes` bytes at `segment`. Trusts no length before it was held
// against the segment's end and the largest legal record.
enum frame_verdict frame_read(const uint8_t *segment, uint64_t bytes, uint64_t number,
                              uint64_t salt, uint64_t offset, struct frame *ret_frame);

#endif
