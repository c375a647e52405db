// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Short lives of a store on a memory disk, as a table of strings, and what each of them may expect
// to find after a crash.
#ifndef TESTS_WORKLOAD_H
#define TESTS_WORKLOAD_H

#include "os_memory.h"
#include "store/store.h"

#define ORACLE_EVENTS_MAX 400
#define RUN_DEPTH_MAX 2

// What was appended, in order, and how much of it must survive a power cut.
struct oracle {
    uint64_t ids[ORACLE_EVENTS_MAX];
    uint64_t sums[ORACLE_EVENTS_MAX]; // of the event's contents
    uint64_t ends[ORACLE_EVENTS_MAX]; // position behind it; UINT64_MAX: it is being appended
    size_t count;
    size_t acked; // so many, from the first, were said to be durable
};

// Steps are letters, each may have a count behind it:
//   q m l h o     append a queue entry (promised), a small, large, huge, oversize message
//   F             append a message full of forged frames
//   e             append a message that ends where a granule ends
//   v             append an event that leaves nothing in the tables
//   d             ask for admission of a large message
//   s f t         journal_sync, store_flush, store_tick
//   w p i         let 1 ms, 1.1 s (an interval of the committer), 6 s (idleness) pass
//   c k           close and open again: cleanly, or as a killed process would
//   A I O         change to sync always, interval, os
struct workload {
    const char *name;
    enum store_sync sync;
    unsigned segments_max;
    const char *steps;
};

extern const struct workload workloads[];
extern const size_t workload_count;

struct run {
    const struct workload *workload;
    struct disk *disk;
    struct store *store; // NULL while it is opened
    struct oracle oracle;
    uint64_t serial;
    unsigned depth;          // crashes before this run
    unsigned variant;        // of the contents of events
    const char *at;          // the step
    bool faults;             // calls of the disk fail: so may the steps
    unsigned refused;        // steps that failed
    unsigned poison_notices; // of this opening
};

void run_init(struct run *run, const struct workload *workload, struct disk *disk, uint64_t seed);

// Opens the store; an error unless faults are let through aborts the test.
int run_open(struct run *run);
void run_close(struct run *run, bool clean);
void run_steps(struct run *run, const char *steps);

// Brings oracle.acked up to what the journal calls durable now. Called at each point.
void run_note_durable(struct run *run);

// How many events lie before `position`.
size_t oracle_before(const struct oracle *oracle, uint64_t position);
uint64_t event_sum(const struct event *event);

#endif
