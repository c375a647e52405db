// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The disks that a power cut may leave: of each granule, size and name that was not synced, any
// version. A crash is prepared from a disk once; then it is given one choice after the other.
#ifndef TESTS_CRASH_STATE_H
#define TESTS_CRASH_STATE_H

#include "os_memory.h"

struct crash;

struct crash *crash_new(void);
void crash_free(struct crash *crash);

// Begins with what `from` holds now. The choice is: only what is synced.
void crash_prepare(struct crash *crash, const struct disk *from);

// How many choices there are without torn granules; UINT64_MAX: too many to count.
uint64_t crash_choices(const struct crash *crash);

// Takes the choice with this number. 0: only what is synced; the last: what a killed process leaves
// to the next one.
void crash_choose(struct crash *crash, uint64_t number);
void crash_choose_newest(struct crash *crash);

// Draws a choice, of which some granules may be torn: a part of one version and the rest of
// another.
void crash_choose_random(struct crash *crash, uint64_t *seed);

// The disk of the present choice. Only for reading; valid until the next choice.
struct disk *crash_disk(struct crash *crash);

// One line that tells the choice to a person.
void crash_describe(const struct crash *crash, char *dst, size_t size);

#endif
