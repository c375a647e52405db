// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The journal's writing side: segments that are prepared ahead, a record copied into the mapping of
// the current one, and two threads: the keeper, which prepares and recycles segments, and the
// syncer.
//
// A record is in the kernel when journal_append returns, for the mapping is shared with the page
// cache. It is on the disk once journal_durable has passed it.
//
// "The writer's thread" is the one that appends; it is always the same. Other calls say from where.
#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H

#include "event.h"
#include "os.h"
#include "room.h"
#include "segment.h"
#include "spares.h"
#include "store.h"

struct journal;

struct journal_options {
    struct os_dir *dir; // must outlive the journal
    struct spares spares;
    struct room *room; // for what the journal will hold, must outlive it; NULL: not looked after
    uint8_t store_id[16];
    uint64_t life;
    uint64_t next_number;     // of the first segment this journal makes
    struct segment_link link; // what that segment begins with
    enum store_sync sync;
    uint32_t sync_interval_ms;
    uint64_t segment_bytes;
    uint64_t max_bytes; // of all segment files together
    bool keeper_waits;  // it makes no segment before journal_start_keeper
    // Called from any thread, with no lock held. May be NULL.
    void (*notice)(void *user, enum store_notice_level level, const char *sentence);
    void *notice_user;
};

// Makes the first segment, of a spare file if there is one, and starts the threads.
int journal_open(struct journal **ret_journal, const struct journal_options *options,
                 struct store_error *err);

// Files that journal_take_over has had by now are used before new ones are made. Any thread.
void journal_start_keeper(struct journal *journal);

// Stops the threads and closes. Does not sync: see journal_sync. NULL is fine.
void journal_close(struct journal *journal);

// Appends one event. The writer's thread. Codes as store_append.
int journal_append(struct journal *journal, const struct event *event, struct store_error *err);

// See store_admit. The writer's thread.
int journal_admit(struct journal *journal, uint64_t bytes, struct store_error *err);

// Appends the loop mark if the log has gone idle and is durable. Milliseconds until it wants to be
// called again, 0: not before the next append. The writer's thread.
uint32_t journal_tick(struct journal *journal);

// Everything appended before the call is on the disk when this returns 0. A failure poisons the
// journal: it takes nothing more, and later calls fail with the same sentence. Any thread.
int journal_sync(struct journal *journal, struct store_error *err);

// Marks the journal as failed, for a reason outside of it. The first reason stays. Any thread.
void journal_poison(struct journal *journal, const struct store_error *reason);
bool journal_is_poisoned(struct journal *journal, struct store_error *err);

uint64_t journal_end(struct journal *journal);     // behind the last record; any thread
uint64_t journal_durable(struct journal *journal); // any thread

// The tables hold everything before `position`: segments that lie wholly before it are recycled.
// Any thread.
void journal_cover(struct journal *journal, uint64_t position);

// The segment, which lies before this journal and is in the tables, becomes a spare file, or is
// removed. Any thread.
int journal_take_over(struct journal *journal, uint64_t number, struct store_error *err);

// Closes admission for a reason outside of the journal, or opens it again (NULL). Any thread.
void journal_set_closed(struct journal *journal, const struct store_error *reason);

// How many bytes admission leaves free for what must still pass when it is closed. Any thread.
void journal_set_reserve(struct journal *journal, uint64_t bytes);

void journal_reconfigure(struct journal *journal, enum store_sync sync, uint32_t sync_interval_ms,
                         uint64_t max_bytes);

// Calls `fn` when appended bytes since the last call of `fn` pass `bytes`, and, as urgent, when
// another segment cannot be had; on the writer's or the keeper's thread, with a lock held,
// so it must only wake somebody. Not called any more once this has returned for another `fn`. The
// writer's thread.
typedef void journal_on_bytes_fn(void *user, bool urgent);
void journal_on_bytes(struct journal *journal, uint64_t bytes, journal_on_bytes_fn *fn, void *user);

// The mapping of a segment that is still alive, for reading up to journal_end; NULL if it is gone.
// Unpin it again. Any thread.
struct segment *journal_pin(struct journal *journal, uint64_t number);
void journal_unpin(struct journal *journal, struct segment *segment);

struct journal_usage {
    uint64_t bytes;    // of all segment files
    uint64_t segments; // number of files
    uint64_t live;     // segments that the tables do not cover yet
    uint64_t live_bytes;
};
void journal_usage(struct journal *journal, struct journal_usage *ret_usage);

#endif
