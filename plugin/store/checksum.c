// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "checksum.h"

#include "bytes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SECRET_BYTES XXH3_SECRET_SIZE_MIN
#define SECRET_WORDS ((SECRET_BYTES + 7) / 8)

uint64_t checksum64(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}

// Stretches 32 bytes to the secret that XXH3 wants: word i is a hash of the 32 bytes under seed i.
static void secret_derive(const uint8_t secret[32], uint8_t derived[SECRET_WORDS * 8])
{
    for (unsigned i = 0; i < SECRET_WORDS; i++)
        put_u64(derived + 8 * (size_t)i, XXH3_64bits_withSeed(secret, 32, i));
}

void checksum_keyed128(const uint8_t secret[32], const void *data, size_t len, uint8_t out[16])
{
    uint8_t derived[SECRET_WORDS * 8];
    secret_derive(secret, derived);
    XXH128_hash_t hash = XXH3_128bits_withSecret(data, len, derived, sizeof(derived));
    put_be64(out, hash.high64);
    put_be64(out + 8, hash.low64);
}
