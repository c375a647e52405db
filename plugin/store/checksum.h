// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Checksums of everything that is stored, and the keyed hash that stands for a string too long to
// be a key. Pure functions, any thread. The results are numbers: the same on every machine.
#ifndef STORE_CHECKSUM_H
#define STORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// XXH3-64 with a seed.
uint64_t checksum64(const void *data, size_t len, uint64_t seed);

// A 128-bit hash that depends on a secret: who does not know it cannot find two strings that share
// one by more than chance. Whoever finds a string by it compares the whole string all the same.
void checksum_keyed128(const uint8_t secret[32], const void *data, size_t len, uint8_t out[16]);

#endif
