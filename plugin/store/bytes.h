// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Fixed-width integers as bytes, whatever the machine: put_uN / get_uN little-endian for everything
// that is stored, put_beN / get_beN big-endian for keys, whose order LMDB takes from the bytes.
#ifndef STORE_BYTES_H
#define STORE_BYTES_H

#include <stdint.h>

static inline void put_u16(uint8_t *dst, uint16_t value)
{
    dst[0] = (uint8_t)value;
    dst[1] = (uint8_t)(value >> 8);
}

static inline void put_u32(uint8_t *dst, uint32_t value)
{
    put_u16(dst, (uint16_t)value);
    put_u16(dst + 2, (uint16_t)(value >> 16));
}

static inline void put_u64(uint8_t *dst, uint64_t value)
{
    put_u32(dst, (uint32_t)value);
    put_u32(dst + 4, (uint32_t)(value >> 32));
}

static inline uint16_t get_u16(const uint8_t *src)
{
    return (uint16_t)(src[0] | src[1] << 8);
}

static inline uint32_t get_u32(const uint8_t *src)
{
    return (uint32_t)get_u16(src) | (uint32_t)get_u16(src + 2) << 16;
}

static inline uint64_t get_u64(const uint8_t *src)
{
    return (uint64_t)get_u32(src) | (uint64_t)get_u32(src + 4) << 32;
}

static inline void put_be32(uint8_t *dst, uint32_t value)
{
    dst[0] = (uint8_t)(value >> 24);
    dst[1] = (uint8_t)(value >> 16);
    dst[2] = (uint8_t)(value >> 8);
    dst[3] = (uint8_t)value;
}

static inline void put_be64(uint8_t *dst, uint64_t value)
{
    put_be32(dst, (uint32_t)(value >> 32));
    put_be32(dst + 4, (uint32_t)value);
}

static inline uint32_t get_be32(const uint8_t *src)
{
    return (uint32_t)src[0] << 24 | (uint32_t)src[1] << 16 | (uint32_t)src[2] << 8 | src[3];
}

static inline uint64_t get_be64(const uint8_t *src)
{
    return (uint64_t)get_be32(src) << 32 | get_be32(src + 4);
}

#endif
