// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A set of 64-bit ids with a count for each, 16 bytes an entry and a quarter free. Zero-initialise
// it.
#ifndef TOOLS_ID_SET_H
#define TOOLS_ID_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_entry {
    uint64_t id;
    uint64_t count : 63; // 0: a free place
    uint64_t found : 1;  // the caller's
};

struct id_set {
    struct id_entry *entries;
    size_t count;
    size_t capacity; // a power of two
};

// Raises the id's count. True if it was not in the set.
bool id_set_add(struct id_set *set, uint64_t id);

// The id's entry, NULL if it is not in the set. Valid until the next id_set_add.
struct id_entry *id_set_find(const struct id_set *set, uint64_t id);

void id_set_release(struct id_set *set);

#endif
