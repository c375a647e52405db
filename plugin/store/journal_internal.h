// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What journal.c, journal_keeper.c and journal_syncer.c share.
#ifndef STORE_JOURNAL_INTERNAL_H
#define STORE_JOURNAL_INTERNAL_H

#include "journal.h"

#include <pthread.h>
#include <stdatomic.h>

// How far ahead of the writer pages are made present by the keeper. A store to a page that is not
// costs the broker's thread a fault.
#define JOURNAL_POPULATE_BYTES (512u * 1024u)

struct journal {
    struct journal_options options; // sync, sync_interval_ms, max_bytes: under `lock`

    // The writer's thread.
    uint64_t given; // what all frames may need in the tables, by room_cost
    struct segment *current;
    uint64_t offset;        // in `current`, where the next frame goes
    uint64_t last_checksum; // of the last frame
    bool unmarked;          // records came after the last mark
    uint64_t unmarked_end;  // behind the last of them
    uint64_t bytes_trigger, bytes_since;
    journal_on_bytes_fn *on_bytes; // set under `lock`, so that the keeper may call it there too
    void *on_bytes_user;

    // Shared, without a lock.
    _Atomic uint64_t end;
    _Atomic uint64_t durable;
    _Atomic uint64_t reserve_bytes;
    _Atomic uint64_t populate_at; // offset at which the writer asks for more pages
    _Atomic bool poisoned;
    _Atomic bool closed;
    _Atomic int sync_mode;

    // Under `lock`.
    pthread_mutex_t lock;
    pthread_cond_t keeper_wake;
    pthread_cond_t syncer_wake;
    pthread_cond_t ready_more; // for the writer, while it waits
    bool stopping;
    struct segment *live_first, *live_last; // by number; the last is `current`
    struct segment *ready_first, *ready_last;
    uint64_t ready_bytes; // room in the ready segments
    uint64_t covered;
    uint64_t next_number;
    uint64_t total_bytes; // of all files, spares included
    uint64_t total_files;
    struct spares spares; // files to recycle, which have the usual size
    bool populate_wanted;
    bool keeper_waits;
    bool wanted; // somebody waits for room
    struct store_error poison;
    struct store_error closed_reason; // while `closed`
    struct store_error prepare_error; // why the last preparation failed, code 0: it did not
    uint64_t prepare_retry_ms;        // when to try again

    // Held while a segment is made: numbers must come in order.
    pthread_mutex_t prepare_lock;
    pthread_mutex_t sync_lock;

    pthread_t keeper, syncer;
    bool keeper_runs, syncer_runs;
};

static inline uint64_t segment_room(const struct segment *segment)
{
    return segment->header.bytes - SEGMENT_HEADER_BYTES - FRAME_TERMINATOR_BYTES;
}

// Makes one segment of `bytes` and puts it at the end of the ready ones. Any thread, no lock held.
int journal_prepare(struct journal *journal, uint64_t bytes, struct store_error *err);

// Thread functions.
void *journal_keeper_run(void *journal);
void *journal_syncer_run(void *journal);

// The first half of journal_poison, without the notice: whether this was the first reason. For a
// caller that holds a lock, who then calls journal_say_poisoned without it.
bool journal_set_poisoned(struct journal *journal, const struct store_error *reason);
void journal_say_poisoned(struct journal *journal, const struct store_error *reason);

void journal_say(struct journal *journal, enum store_notice_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
