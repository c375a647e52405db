// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A growing set of sequence numbers, one bit each: which messages of a publisher were acknowledged,
// which were received. One thread.
#ifndef BENCH_SEQSET_H
#define BENCH_SEQSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Zero-initialised it is empty; release with seqset_release.
struct seqset {
    uint64_t *words;
    size_t word_count;
    uint64_t count; // members
};

void seqset_release(struct seqset *set);

// True when `seq` was not in the set before. Ends the program when memory runs out.
bool seqset_add(struct seqset *set, uint64_t seq);
bool seqset_has(const struct seqset *set, uint64_t seq);

// Members of `wanted` that `set` lacks.
uint64_t seqset_missing(const struct seqset *set, const struct seqset *wanted);

// Text form: a line "NUMBER FIRST LAST" for each run of members. Reading adds to sets[NUMBER] and
// gives false on a line that is not of this form or a number not below `set_count`.
void seqset_write(const struct seqset *set, unsigned number, FILE *out);
bool seqset_read(struct seqset *sets, unsigned set_count, FILE *in);

#endif
