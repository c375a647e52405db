// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A histogram of times in nanoseconds: counts in log-linear buckets, so that any percentile is
// known to better than 1 % over the whole range, in constant memory and with a few instructions per
// value. One thread.
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

// Each power of two is cut into this many buckets of equal width.
#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB_COUNT (1u << HISTOGRAM_SUB_BITS)
// Values from 2^42 ns (73 minutes) up share the last bucket.
#define HISTOGRAM_VALUE_BITS 42
#define HISTOGRAM_BUCKETS ((HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

// Zero-initialised it is empty. It owns nothing.
struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS];
    uint64_t total;
    uint64_t max;
    uint64_t sum;
};

void histogram_add(struct histogram *histogram, uint64_t value);

// Adds all of `from` to `histogram`.
void histogram_merge(struct histogram *histogram, const struct histogram *from);

// The smallest value that at least `percent` % of the values do not exceed, as the upper bound of
// its bucket and never above the maximum; 0 when empty.
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

double histogram_mean(const struct histogram *histogram);

// The bucket that counts `value`, and the largest value that a bucket counts.
unsigned histogram_bucket(uint64_t value);
uint64_t histogram_bucket_max(unsigned bucket);

#endif
