// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "largest.h"

#include "text.h"

#include <stdlib.h>

void largest_init(struct largest *largest, uint64_t limit, void (*release)(void *data))
{
    *largest = (struct largest){.limit = limit, .release = release};
}

static bool row_is_less(const struct largest_row *a, const struct largest_row *b)
{
    return a->key != b->key ? a->key < b->key : a->order > b->order;
}

static void swap(struct largest_row *a, struct largest_row *b)
{
    struct largest_row row = *a;
    *a = *b;
    *b = row;
}

static void sift_up(struct largest_row *rows, size_t at)
{
    while (at > 0 && row_is_less(&rows[at], &rows[(at - 1) / 2])) {
        swap(&rows[at], &rows[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(struct largest_row *rows, size_t count)
{
    for (size_t at = 0; 2 * at + 1 < count;) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && row_is_less(&rows[child + 1], &rows[child]))
            child++;
        if (!row_is_less(&rows[child], &rows[at]))
            return;
        swap(&rows[child], &rows[at]);
        at = child;
    }
}

bool largest_wants(const struct largest *largest, uint64_t key)
{
    return largest->count < largest->limit || (largest->count && key > largest->rows[0].key);
}

void largest_skip(struct largest *largest)
{
    largest->added++;
}

void largest_add(struct largest *largest, uint64_t key, void *data)
{
    struct largest_row row = {key, largest->added++, data};
    if (largest->count < largest->limit) {
        if (largest->count == largest->capacity) {
            largest->capacity += largest->capacity / 2 + 64;
            largest->rows = xrealloc(largest->rows, largest->capacity * sizeof(struct largest_row));
        }
        largest->rows[largest->count] = row;
        sift_up(largest->rows, largest->count++);
    } else if (largest->count && row_is_less(&largest->rows[0], &row)) {
        largest->release(largest->rows[0].data);
        largest->rows[0] = row;
        sift_down(largest->rows, largest->count);
    } else {
        largest->release(data);
    }
}

static int compare(const void *a, const void *b)
{
    return row_is_less(a, b) ? 1 : -1;
}

void largest_sort(struct largest *largest)
{
    if (largest->count)
        qsort(largest->rows, largest->count, sizeof(struct largest_row), compare);
}

void largest_release(struct largest *largest)
{
    for (size_t i = 0; i < largest->count; i++)
        largest->release(largest->rows[i].data);
    free(largest->rows);
    *largest = (struct largest){0};
}
