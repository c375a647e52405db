// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whether recovery finds, on a disk that a crash left, what it must, and nothing that it must not.
#ifndef TESTS_RECOVERY_CHECK_H
#define TESTS_RECOVERY_CHECK_H

#include "crash_state.h"
#include "workload.h"

struct recovery_check {
    const struct run *run;     // at the instant of the crash
    const struct crash *crash; // of which the disk is the choice, for the report
    uint64_t seed;             // likewise
    unsigned round;            // likewise; or the number of the call that fails
    bool newest;               // a killed process, no power cut: everything must be there
    struct os_dir *dir;        // of crash's disk
    uint64_t end;              // of the journal, as recovery_check found it last
    uint64_t torn_bytes;       // likewise
};

void recovery_check_init(struct recovery_check *check, const struct run *run, struct crash *crash,
                         uint64_t seed, unsigned round);
void recovery_check_release(struct recovery_check *check);

// Reads the journal as recovery does and holds it against the run's oracle:
//   - recovery does not refuse,
//   - tables and journal together hold a prefix of the events that were appended, as they were,
//   - all that was said to be durable is in it.
// Aborts the test otherwise. Returns how many events it found.
size_t recovery_check(struct recovery_check *check, struct disk *disk);

// Opens the store on a copy of the disk, with crashes in between, appends to it, crashes again.
// `recovered` is what recovery_check found. Returns how many more disks were checked.
uint64_t recovery_open_check(struct recovery_check *check, struct disk *disk, size_t recovered,
                             uint64_t *seed);

#endif
