// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "histogram.h"

#include <math.h>

static unsigned bits_of(uint64_t value)
{
    return value ? 64u - (unsigned)__builtin_clzll(value) : 0;
}

// Values below 2^SUB_BITS have a bucket each. Above, a value's top SUB_BITS + 1 bits choose: the
// number of bits gives the row, the bits after the leading one the place in it.
unsigned histogram_bucket(uint64_t value)
{
    if (value >> HISTOGRAM_VALUE_BITS)
        return HISTOGRAM_BUCKETS - 1;
    if (value < HISTOGRAM_SUB_COUNT)
        return (unsigned)value;
    unsigned shift = bits_of(value) - HISTOGRAM_SUB_BITS - 1;
    unsigned place = (unsigned)(value >> shift) - HISTOGRAM_SUB_COUNT;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + place;
}

uint64_t histogram_bucket_max(unsigned bucket)
{
    if (bucket < HISTOGRAM_SUB_COUNT)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t place = bucket & (HISTOGRAM_SUB_COUNT - 1);
    return ((HISTOGRAM_SUB_COUNT + place + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->counts[histogram_bucket(value)]++;
    histogram->total++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        histogram->counts[i] += from->counts[i];
    histogram->total += from->total;
    histogram->sum += from->sum;
    if (from->max > histogram->max)
        histogram->max = from->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
    if (histogram->total == 0)
        return 0;
    uint64_t rank = (uint64_t)ceil(percent / 100.0 * (double)histogram->total);
    if (rank < 1)
        rank = 1;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->counts[i];
        if (seen >= rank) {
            uint64_t value = histogram_bucket_max(i);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
    return histogram->total ? (double)histogram->sum / (double)histogram->total : 0.0;
}
