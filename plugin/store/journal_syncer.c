// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Making the journal durable: journal_sync for whoever needs it now, and the thread that calls it
// at intervals.
#include "journal_internal.h"

#include "seeded.h"

// Syncs what `segment` holds between two positions, and the terminator behind it.
static int segment_sync(struct segment *segment, uint64_t durable, uint64_t target,
                        struct store_error *err)
{
    uint64_t number = segment->header.number;
    uint64_t begin = number == position_segment(durable) ? position_offset(durable) : 0;
    // `used_bytes` was set before the writer published a position in a later segment.
    uint64_t end =
        number == position_segment(target) ? position_offset(target) : segment->used_bytes;
    end += FRAME_TERMINATOR_BYTES;
    if (end > segment->header.bytes)
        end = segment->header.bytes;
    if (SEEDED(SYNC_RANGE_SHORT))
        end = begin + (end - begin) / 2;
    return os_map_sync(segment->file, segment->map, begin, end - begin, err);
}

// Syncs the live segments from the one with the durable position on to the one with `target`.
static int segments_sync(struct journal *journal, uint64_t target, struct store_error *err)
{
    uint64_t durable = atomic_load(&journal->durable);
    uint64_t number = position_segment(SEEDED(LAST_SEGMENT_ONLY) ? target : durable);
    for (; number <= position_segment(target); number++) {
        // Segments are only recycled behind the covered position, and that is never ahead of the
        // durable one.
        struct segment *segment = journal_pin(journal, number);
        if (!segment)
            continue;
        int rc = segment_sync(segment, durable, target, err);
        if (rc && SEEDED(SYNC_RETRIED))
            rc = segment_sync(segment, durable, target, err);
        journal_unpin(journal, segment);
        if (rc)
            return rc;
    }
    return 0;
}

int journal_sync(struct journal *journal, struct store_error *err)
{
    uint64_t target = journal_end(journal);
    struct store_error reason = {0};
    bool poisoned = false;
    int rc = 0;

    pthread_mutex_lock(&journal->sync_lock);
    if (journal_is_poisoned(journal, err)) {
        rc = STORE_EPOISONED;
    } else if (atomic_load(&journal->durable) < target) {
        if (SEEDED(DURABLE_BEFORE_SYNC))
            atomic_store(&journal->durable, target);
        rc = segments_sync(journal, target, &reason);
        if (SEEDED(DURABLE_AFTER_SYNC))
            target = journal_end(journal);
        if (rc == 0)
            atomic_store_explicit(&journal->durable, target, memory_order_release);
        else if (!SEEDED(SYNC_NOT_POISONING) && !SEEDED(POISONED_LATE))
            // before the lock goes: the kernel may tell the next who syncs that all is well
            poisoned = journal_set_poisoned(journal, &reason);
    }
    pthread_mutex_unlock(&journal->sync_lock);

    if (SEEDED(POISONED_LATE) && reason.code)
        journal_poison(journal, &reason);
    if (poisoned)
        journal_say_poisoned(journal, &reason);
    if (rc && reason.code) {
        if (err)
            *err = reason;
        rc = error_set(err, STORE_EPOISONED, "%s", reason.sentence);
    }
    return rc;
}

void *journal_syncer_run(void *arg)
{
    struct journal *journal = arg;
    uint64_t begun_ms = os_monotonic_ms();
    pthread_mutex_lock(&journal->lock);
    while (!journal->stopping) {
        // From the beginning of the sync before: what came while that ran must not wait for its end
        // and an interval.
        uint64_t wake_ms = begun_ms + journal->options.sync_interval_ms;
        if (os_monotonic_ms() < wake_ms) {
            struct timespec wake = {.tv_sec = (time_t)(wake_ms / 1000),
                                    .tv_nsec = (long)(wake_ms % 1000) * 1000000};
            // Woken early, another interval may have been set.
            (void)pthread_cond_timedwait(&journal->syncer_wake, &journal->lock, &wake);
            continue;
        }
        begun_ms = os_monotonic_ms();
        if (atomic_load(&journal->sync_mode) == STORE_SYNC_OS)
            continue;
        pthread_mutex_unlock(&journal->lock);
        if (journal_durable(journal) < journal_end(journal))
            (void)journal_sync(journal, NULL); // a failure has poisoned the journal and been said
        pthread_mutex_lock(&journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}
