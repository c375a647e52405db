// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A hash table of references: 32-bit numbers (an index plus one, say) that the caller finds by hash
// and compares itself. Open addressing, linear probing, removal without tombstones, so that a table
// through which much passes stays as small as what is in it.
#ifndef STORE_HASH_H
#define STORE_HASH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct hash_slot {
    uint32_t hash;
    uint32_t ref; // 0: empty
};

struct hash {
    struct hash_slot *slots;
    uint32_t capacity; // a power of two, or 0
    uint32_t used;
};

// Scatters a number that may be one of a row.
static inline uint32_t hash_of_u64(uint64_t value)
{
    value ^= value >> 33;
    value *= UINT64_C(0xff51afd7ed558ccd);
    value ^= value >> 33;
    value *= UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint32_t)(value >> 32);
}

static inline void hash_release(struct hash *table)
{
    free(table->slots);
    *table = (struct hash){0};
}

static inline void hash_clear(struct hash *table)
{
    if (table->used > 0)
        memset(table->slots, 0, table->capacity * sizeof(table->slots[0]));
    table->used = 0;
}

static inline size_t hash_bytes(const struct hash *table)
{
    return table->capacity * sizeof(table->slots[0]);
}

// Goes through the references that have this hash: begin with *at = hash; 0 when there is no more.
static inline uint32_t hash_next(const struct hash *table, uint32_t hash, uint32_t *at)
{
    if (table->used == 0)
        return 0;
    const uint32_t mask = table->capacity - 1;
    for (;; (*at)++) {
        const struct hash_slot *slot = &table->slots[*at & mask];
        if (slot->ref == 0)
            return 0;
        if (slot->hash == hash) {
            (*at)++;
            return slot->ref;
        }
    }
}

static inline void hash_place(struct hash *table, uint32_t hash, uint32_t ref)
{
    const uint32_t mask = table->capacity - 1;
    uint32_t at = hash & mask;
    while (table->slots[at].ref != 0)
        at = (at + 1) & mask;
    table->slots[at] = (struct hash_slot){hash, ref};
}

// Makes room for one more; false when out of memory, the table is as it was.
static inline bool hash_reserve(struct hash *table)
{
    if (table->used < table->capacity / 2)
        return true;
    if (table->capacity > UINT32_MAX / 4)
        return false;
    struct hash larger = {.capacity = table->capacity ? table->capacity * 2 : 64};
    larger.slots = calloc(larger.capacity, sizeof(larger.slots[0]));
    if (!larger.slots)
        return false;
    for (uint32_t i = 0; i < table->capacity; i++)
        if (table->slots[i].ref != 0)
            hash_place(&larger, table->slots[i].hash, table->slots[i].ref);
    larger.used = table->used;
    free(table->slots);
    *table = larger;
    return true;
}

// After a hash_reserve that succeeded.
static inline void hash_insert(struct hash *table, uint32_t hash, uint32_t ref)
{
    hash_place(table, hash, ref);
    table->used++;
}

// Takes out a reference that is in the table.
static inline void hash_remove(struct hash *table, uint32_t hash, uint32_t ref)
{
    const uint32_t mask = table->capacity - 1;
    uint32_t hole = hash & mask;
    while (table->slots[hole].ref != ref)
        hole = (hole + 1) & mask;
    // Entries behind the hole move up unless that would put them before the place they hash to.
    for (uint32_t at = (hole + 1) & mask; table->slots[at].ref != 0; at = (at + 1) & mask) {
        uint32_t home = table->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].ref = 0;
    table->used--;
}

#endif
