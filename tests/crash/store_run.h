// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Short lives of a whole store, journal and LMDB, on a memory disk: events as a broker sends them,
// and what the store must hold after each of them.
#ifndef TESTS_STORE_RUN_H
#define TESTS_STORE_RUN_H

#include "model.h"
#include "os_memory.h"
#include "store/store.h"
#include "store/tables.h"

#define STORE_EVENTS_MAX 240

// An event as it lies in the journal.
struct stored_event {
    uint8_t type;
    uint8_t *body;
    size_t bytes;
    uint64_t end; // position behind it; UINT64_MAX: it is being appended
};

struct store_oracle {
    struct stored_event events[STORE_EVENTS_MAX];
    char *texts[STORE_EVENTS_MAX + 1]; // of the tables after so many events
    size_t count;
    size_t acked; // so many, from the first, were said to be durable
};

// Steps are letters, each may have a count behind it:
//   e l           append what the model draws, a message of 20,000 bytes
//   s f t         journal_sync, store_flush, store_tick
//   w p i         let 1 ms, 1.1 s (an interval of the committer), 6 s (idleness) pass
//   c k           close and open again: cleanly, or as a killed process would
//   C             close, compact, open again
//   A I O         change to sync always, interval, os
struct store_workload {
    const char *name;
    enum store_sync sync;
    const char *steps;
};

extern const struct store_workload store_workloads[];
extern const size_t store_workload_count;

struct store_run {
    const struct store_workload *workload;
    struct disk *disk;
    const char *folder;  // where LMDB finds the disk's data.mdb
    struct store *store; // NULL while it is opened
    const char *expected_folder;
    struct tables *expected; // tables of their own that get one event after the other
    struct store_oracle oracle;
    struct model model;
    uint64_t seed;     // of the model
    uint64_t schedule; // seed of the threads' order
    unsigned restless; // likewise
    uint64_t large;    // large messages so far
    const char *at;    // the step
    bool faults;       // calls of the disk fail: so may the steps
    bool failed;       // one did; nothing is appended after that
};

// `expected_folder` is an empty folder for the tables of comparison.
void store_run_init(struct store_run *run, const struct store_workload *workload, struct disk *disk,
                    const char *folder, const char *expected_folder, uint64_t seed,
                    unsigned restless);
void store_run_release(struct store_run *run);

// How all of them open their stores.
struct store_options store_run_options(const char *folder, enum store_sync sync);

// Returns the store's code; one that is not 0 aborts the test, unless faults are let through.
int store_run_open(struct store_run *run);
void store_run_close(struct store_run *run, bool clean);
void store_run_steps(struct store_run *run, const char *steps);

// The tables hold all events. Where the last of them ends nobody may have been told: a stop mark,
// or one whose appending failed.
void store_run_settle(struct store_run *run);

// Brings oracle.acked up to what the journal calls durable now. Called at each point.
void store_run_note_durable(struct store_run *run);

#endif
