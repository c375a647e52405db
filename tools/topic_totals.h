// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Counts by topic: one entry for each topic that was added, in memory.
#ifndef TOOLS_TOPIC_TOTALS_H
#define TOOLS_TOPIC_TOTALS_H

#include "text.h"

struct topic_total {
    struct span topic; // a copy
    uint64_t count;
    uint64_t bytes;
    int64_t oldest_s; // 0: unknown
    int64_t newest_s;
};

struct topic_totals {
    struct topic_total *entries; // open addressing until topic_totals_sort
    size_t count;
    size_t capacity; // a power of two
};

void topic_totals_add(struct topic_totals *totals, struct span topic, uint64_t bytes,
                      int64_t time_s);

// Puts the entries in front, the largest count first. Nothing may be added after it.
void topic_totals_sort(struct topic_totals *totals);
void topic_totals_release(struct topic_totals *totals);

#endif
