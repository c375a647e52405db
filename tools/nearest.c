// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "nearest.h"

#include <string.h>

#define NAME_MAX_BYTES 32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Levenshtein distance of strings of at most NAME_MAX_BYTES.
static size_t edits_between(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES + 1];
    size_t a_len = strlen(a), b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            row[j] = least(change, least(above, row[j - 1]) + 1);
            diagonal = above;
        }
    }
    return row[b_len];
}

void nearest_init(struct nearest *nearest, const char *typed)
{
    // More edits than a third of the word is a guess, not a slip.
    *nearest = (struct nearest){typed, NULL, 2 + strlen(typed) / 3};
}

void nearest_add(struct nearest *nearest, const char *candidate)
{
    if (strlen(nearest->typed) > NAME_MAX_BYTES || strlen(candidate) > NAME_MAX_BYTES)
        return;
    size_t edits = edits_between(nearest->typed, candidate);
    if (edits < nearest->edits) {
        nearest->edits = edits;
        nearest->name = candidate;
    }
}
