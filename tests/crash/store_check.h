// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whether a whole store, journal and LMDB, is what it must be on a disk that a crash left.
#ifndef TESTS_STORE_CHECK_H
#define TESTS_STORE_CHECK_H

#include "crash_state.h"
#include "store_run.h"

#define STORE_DEPTH_MAX 3 // crashes in recoveries from crashes

// What the disk must hold, and where it is put.
struct store_check {
    const struct store_run *run;
    struct crash *crash;
    size_t count, acked; // events that may be there, and that must
    unsigned depth;      // crashes before this one
    uint64_t end;        // of the journal, as store_check found it last
    uint64_t last_end;   // of the last event, if it was being appended; UINT64_MAX: not known
    bool newest;         // a killed process, no power cut: everything must be there
    uint64_t seed;       // for the report
    unsigned round;      // likewise
    char *folder;        // where LMDB finds the crash's data.mdb
    struct os_dir *dir;  // of the crash's disk
};

void store_check_init(struct store_check *check, const struct store_run *run, unsigned depth,
                      uint64_t seed, unsigned round);
void store_check_release(struct store_check *check);

// Reads the disk of the crash's present choice as recovery does:
//   - LMDB opens, every value holds against its checksum,
//   - the tables hold exactly what the first events make of them, up to the covered position,
//   - the journal goes on from there without a gap, with the events that were appended,
//   - all that was said to be durable is in one or the other.
// Aborts the test otherwise. Returns how many events it found.
size_t store_check(struct store_check *check);

// Opens the store on a copy of that disk, with crashes at places of the recovery and further ones
// in the recoveries from these; then once more. Both times the store must hold `recovered` events.
// Returns how many more disks were checked.
uint64_t store_check_open(struct store_check *check, size_t recovered, uint64_t *seed);

#endif
