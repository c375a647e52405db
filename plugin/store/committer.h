// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The committer: the thread that reads the journal behind the writer, folds what it reads and
// applies the rest to the tables. It owns the tables' write transactions.
#ifndef STORE_COMMITTER_H
#define STORE_COMMITTER_H

#include "journal.h"
#include "tables.h"

struct committer;

struct committer_options {
    struct journal *journal; // all must outlive the committer
    struct tables *tables;
    struct room *room;
    uint64_t from;               // position up to which the tables hold everything
    uint32_t commit_interval_ms; // this long after an event its fold is applied,
    uint64_t stretch_bytes;      // or after so many bytes of journal, 0: 16 MiB;
    uint64_t defer_bytes;        // later while `writer` is busy (deferral.h), 0: never
    struct os_thread writer;     // that which appends; runs until the committer is closed
    void (*notice)(void *user, enum store_notice_level level, const char *sentence);
    void *notice_user;
};

int committer_open(struct committer **ret_committer, const struct committer_options *options,
                   struct store_error *err);

// Stops the thread where it is; what it has not applied stays in the journal. NULL is fine.
void committer_close(struct committer *committer);

// Returns when the tables hold, durably, everything that was in the journal at the call. Any
// thread. STORE_ENOSPC when the tables cannot grow (the journal still has everything), other codes
// when they failed for good.
int committer_flush(struct committer *committer, struct store_error *err);

// Changes these two options. Any thread.
void committer_reconfigure(struct committer *committer, uint32_t commit_interval_ms,
                           uint64_t defer_bytes);

// Position up to which the tables hold everything. Any thread.
uint64_t committer_covered(struct committer *committer);

#endif
