// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "id_set.h"

#include "text.h"

#include <stdlib.h>

#define FIRST_CAPACITY 256u

// Ids that count up must not fill neighbouring places: a multiplier with a random look, and its
// upper bits.
static size_t place_of(const struct id_set *set, uint64_t id)
{
    uint64_t mixed = id * 0x9e3779b97f4a7c15u;
    return (size_t)(mixed ^ mixed >> 32) & (set->capacity - 1);
}

static struct id_entry *find(const struct id_set *set, uint64_t id)
{
    size_t at = place_of(set, id);
    while (set->entries[at].count && set->entries[at].id != id)
        at = (at + 1) & (set->capacity - 1);
    return &set->entries[at];
}

static void grow(struct id_set *set)
{
    struct id_set larger = {.capacity = set->capacity * 2, .count = set->count};
    if (!larger.capacity)
        larger.capacity = FIRST_CAPACITY;
    larger.entries = xcalloc(larger.capacity, sizeof(*larger.entries));
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->entries[i].count)
            *find(&larger, set->entries[i].id) = set->entries[i];
    }
    free(set->entries);
    *set = larger;
}

bool id_set_add(struct id_set *set, uint64_t id)
{
    if (set->count * 4 >= set->capacity * 3)
        grow(set);
    struct id_entry *entry = find(set, id);
    if (entry->count++)
        return false;
    entry->id = id;
    set->count++;
    return true;
}

struct id_entry *id_set_find(const struct id_set *set, uint64_t id)
{
    struct id_entry *entry = set->capacity ? find(set, id) : NULL;
    return entry && entry->count ? entry : NULL;
}

void id_set_release(struct id_set *set)
{
    free(set->entries);
    *set = (struct id_set){0};
}
