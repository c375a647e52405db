// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What arrays of any type need that grow, or are sorted.
#ifndef PLUGIN_ITEMS_H
#define PLUGIN_ITEMS_H

#include <stdbool.h>
#include <stddef.h>

// Makes room for `more` items behind `count`. `items` is the address of a pointer to them. False:
// out of memory, all is as it was.
bool items_grow(void *items, size_t count, size_t more, size_t *capacity, size_t item_bytes);

// Index of the first item that does not stand before what is looked for.
typedef bool items_before_fn(const void *item, const void *wanted);
size_t items_place(const void *items, size_t count, size_t item_bytes, items_before_fn *before,
                   const void *wanted);

#endif
