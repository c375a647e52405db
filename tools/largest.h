// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Keeps the rows with the largest keys of a long walk: a heap of --limit rows, or all of them.
#ifndef TOOLS_LARGEST_H
#define TOOLS_LARGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct largest_row {
    uint64_t key;
    uint64_t order; // of equal keys the one that came first wins
    void *data;
};

struct largest {
    struct largest_row *rows; // a heap, the smallest at the top, while it is filled
    size_t count;
    size_t capacity;
    uint64_t limit;
    uint64_t added;
    void (*release)(void *data);
};

void largest_init(struct largest *largest, uint64_t limit, void (*release)(void *data));

// Whether a row with this key would be kept: ask before making one.
bool largest_wants(const struct largest *largest, uint64_t key);
// Counts a row that is not wanted.
void largest_skip(struct largest *largest);
// Takes `data`, and releases it, or the row it drives out, with `release`.
void largest_add(struct largest *largest, uint64_t key, void *data);

// Sorts the rows, largest first. Nothing may be added after it.
void largest_sort(struct largest *largest);
void largest_release(struct largest *largest);

#endif
