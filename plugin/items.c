// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "items.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_FIRST 16

bool items_grow(void *items, size_t count, size_t more, size_t *capacity, size_t item_bytes)
{
    size_t grown = *capacity ? *capacity : ITEMS_FIRST;
    void *moved;
    while (grown < count + more)
        grown *= 2;
    if (grown == *capacity)
        return true;
    memcpy(&moved, items, sizeof(moved));
    moved = realloc(moved, grown * item_bytes);
    if (!moved)
        return false;
    memcpy(items, &moved, sizeof(moved));
    *capacity = grown;
    return true;
}

size_t items_place(const void *items, size_t count, size_t item_bytes, items_before_fn *before,
                   const void *wanted)
{
    const char *bytes = items;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (before(bytes + middle * item_bytes, wanted))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
