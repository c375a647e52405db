// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "topic_totals.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64u

// FNV-1a. A client that makes all its topics collide only slows the look at its own queue.
static uint64_t hash_of(struct span topic)
{
    const uint8_t *data = topic.data;
    uint64_t hash = 14695981039346656037u;
    for (uint32_t i = 0; i < topic.len; i++)
        hash = (hash ^ data[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

static struct topic_total *find(struct topic_totals *totals, struct span topic)
{
    size_t at = (size_t)hash_of(topic) & (totals->capacity - 1);
    while (totals->entries[at].count && !span_equal(totals->entries[at].topic, topic))
        at = (at + 1) & (totals->capacity - 1);
    return &totals->entries[at];
}

static void grow(struct topic_totals *totals)
{
    struct topic_totals larger = {.capacity = totals->capacity * 2, .count = totals->count};
    if (!larger.capacity)
        larger.capacity = FIRST_CAPACITY;
    larger.entries = xcalloc(larger.capacity, sizeof(*larger.entries));
    for (size_t i = 0; i < totals->capacity; i++) {
        if (totals->entries[i].count)
            *find(&larger, totals->entries[i].topic) = totals->entries[i];
    }
    free(totals->entries);
    *totals = larger;
}

void topic_totals_add(struct topic_totals *totals, struct span topic, uint64_t bytes,
                      int64_t time_s)
{
    if (totals->count * 4 >= totals->capacity * 3)
        grow(totals);
    struct topic_total *total = find(totals, topic);
    if (total->count == 0) {
        total->topic = xspan_copy(topic);
        totals->count++;
    }
    total->count++;
    total->bytes += bytes;
    if (time_s && (!total->oldest_s || time_s < total->oldest_s))
        total->oldest_s = time_s;
    if (time_s > total->newest_s)
        total->newest_s = time_s;
}

static int compare(const void *a, const void *b)
{
    const struct topic_total *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    uint32_t len = x->topic.len < y->topic.len ? x->topic.len : y->topic.len;
    int order = len ? memcmp(x->topic.data, y->topic.data, len) : 0;
    return order ? order : x->topic.len < y->topic.len ? -1 : 1;
}

void topic_totals_sort(struct topic_totals *totals)
{
    size_t count = 0;
    for (size_t i = 0; i < totals->capacity; i++) {
        if (totals->entries[i].count)
            totals->entries[count++] = totals->entries[i];
    }
    totals->capacity = count;
    if (count)
        qsort(totals->entries, count, sizeof(*totals->entries), compare);
}

void topic_totals_release(struct topic_totals *totals)
{
    for (size_t i = 0; i < totals->capacity; i++)
        xspan_free(totals->entries[i].topic);
    free(totals->entries);
    *totals = (struct topic_totals){0};
}
