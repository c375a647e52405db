// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "committer.h"

#include "deferral.h"
#include "fold.h"
#include "record.h"
#include "room.h"
#include "seeded.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define STRETCH_DEFAULT_BYTES (16u * 1024u * 1024u)
// Live segments beyond which a stretch that folded to nothing is committed all the same, so that
// the journal can be recycled.
#define LIVE_SEGMENTS_MAX 2u
#define APPLY_RETRY_MS 1000u
// The broker may make a session's worth of queue entries for a message that was admitted.
#define RESERVE_PER_SESSION_BYTES 160u
#define RESERVE_MIN_BYTES (256u * 1024u)
#define READERS_CHECK_MS 60000u
#define PINNED_MAX 64u
// On a full disk the stretches get smaller, so that the pages that one frees serve the next.
#define STRETCH_MIN_BYTES (4u * 1024u)

struct committer {
    struct committer_options options; // commit_interval_ms: under `lock`
    pthread_t thread;
    bool runs;

    // The committer's thread.
    struct fold *fold;
    uint64_t position; // read up to here
    uint64_t cost;     // by room_cost, of all that was read
    uint64_t cost_covered;
    bool ends_with_stop, covered_ends_with_stop;
    struct segment *pinned[PINNED_MAX]; // the fold points into these
    size_t pinned_count;
    bool full;              // the tables could not grow the last time
    bool settled;           // nothing was changed by the last commit
    uint64_t stretch_bytes; // at present
    uint64_t readers_checked_ms;
    struct deferral deferral;
    int64_t round_begun_ms;

    // Under `lock`.
    pthread_mutex_t lock;
    pthread_cond_t wake;    // for the thread
    pthread_cond_t applied; // for those who flush
    bool stopping;
    bool bytes_reached;
    uint64_t flush_target;
    uint64_t attempts;          // of applying
    struct store_error failure; // of the last attempt, code 0: it went well

    _Atomic uint64_t covered;
    _Atomic bool urgent; // the journal cannot have another segment
};

static void committer_say(struct committer *committer, enum store_notice_level level,
                          const char *sentence)
{
    if (committer->options.notice)
        committer->options.notice(committer->options.notice_user, level, sentence);
}

static void pinned_release(struct committer *committer)
{
    for (size_t i = 0; i < committer->pinned_count; i++)
        journal_unpin(committer->options.journal, committer->pinned[i]);
    committer->pinned_count = 0;
}

// The mapping that holds `number`, pinned until the fold is cleared.
static struct segment *segment_hold(struct committer *committer, uint64_t number)
{
    if (committer->pinned_count) {
        struct segment *last = committer->pinned[committer->pinned_count - 1];
        if (last->header.number == number)
            return last;
    }
    if (committer->pinned_count == PINNED_MAX)
        return NULL;
    struct segment *segment = journal_pin(committer->options.journal, number);
    if (segment)
        committer->pinned[committer->pinned_count++] = segment;
    return segment;
}

static int record_fold(struct committer *committer, struct segment *segment, uint64_t offset,
                       size_t *ret_bytes, struct store_error *err)
{
    struct frame frame;
    struct event event;
    int rc = 0;
    if (frame_read(segment->map, segment->header.bytes, segment->header.number,
                   segment->header.salt, offset, &frame) != FRAME_VALID)
        rc = error_set(err, STORE_EDAMAGED,
                       "the record does not check any more; memory or disk is failing");
    if (rc == 0)
        rc = record_decode(frame.type, frame.body, frame.body_bytes, &event, err);
    if (rc == 0)
        rc = fold_add(committer->fold, &event, err);
    if (rc)
        return error_prefix(err, "%010llu.log: record at offset %llu",
                            (unsigned long long)segment->header.number, (unsigned long long)offset);
    if (event.type != RECORD_LOOP_MARK && event.type != RECORD_SEGMENT_LINK)
        committer->ends_with_stop = event.type == RECORD_STOP_MARK;
    *ret_bytes = frame.total_bytes;
    return 0;
}

// Folds from committer->position towards `end`, at most a stretch's worth of bytes.
static int stretch_fold(struct committer *committer, uint64_t end, struct store_error *err)
{
    uint64_t bytes = 0;
    while (committer->position < end && bytes < committer->stretch_bytes) {
        uint64_t number = position_segment(committer->position);
        uint64_t offset = position_offset(committer->position);
        struct segment *segment = segment_hold(committer, number);
        if (!segment)
            break;
        // `used_bytes` was set before the writer published a position in a later segment.
        uint64_t stop =
            number == position_segment(end) ? position_offset(end) : segment->used_bytes;
        if (offset >= stop) {
            committer->position = position_of(number + 1, SEGMENT_HEADER_BYTES);
            continue;
        }
        size_t record_bytes = 0;
        int rc = record_fold(committer, segment, offset, &record_bytes, err);
        if (rc)
            return rc;
        bytes += record_bytes;
        committer->position += record_bytes;
        committer->cost += room_cost(record_bytes);
    }
    return 0;
}

static void room_update(struct committer *committer)
{
    room_look(committer->options.room, committer->cost_covered);
    journal_set_reserve(committer->options.journal,
                        RESERVE_MIN_BYTES +
                            room_sessions(committer->options.room) * RESERVE_PER_SESSION_BYTES);
}

static int fold_apply(struct committer *committer, bool last, struct store_error *err)
{
    struct journal *journal = committer->options.journal;
    // What the tables cover must be in the journal after a power cut, else its end would lie before
    // the covered position.
    int rc = 0;
    if (journal_durable(journal) < committer->position)
        rc = journal_sync(journal, err);
    if (SEEDED(COVERED_BEFORE_COMMIT)) {
        pinned_release(committer);
        journal_cover(journal, committer->position);
    }
    tables_train(committer->options.tables, committer->fold);
    tables_set_caught_up(committer->options.tables, last ? committer->round_begun_ms : 0);
    if (rc == 0)
        rc = tables_apply(committer->options.tables, committer->fold, committer->position,
                          committer->ends_with_stop, err);
    // Not with another stretch, nor with a transaction that only settles.
    tables_set_caught_up(committer->options.tables, 0);
    if (rc)
        return rc;
    committer->settled = fold_is_empty(committer->fold);
    committer->cost_covered = committer->cost;
    committer->covered_ends_with_stop = committer->ends_with_stop;
    atomic_store(&committer->covered, committer->position);
    fold_clear(committer->fold);
    pinned_release(committer);
    journal_cover(journal, committer->position);
    room_update(committer);
    return 0;
}

// Whether a stretch that came to nothing must still move the covered position in the tables.
static bool cover_wanted(struct committer *committer, bool flush)
{
    struct journal_usage usage;
    if (committer->position == atomic_load(&committer->covered))
        return false;
    journal_usage(committer->options.journal, &usage);
    return flush || usage.live > LIVE_SEGMENTS_MAX;
}

// On a full disk. The pages that a transaction gives up serve the one after the next: one that
// changes nothing brings it on. If it fails, so did others before.
static void room_settle(struct committer *committer)
{
    if (!room_is_short(committer->options.room))
        return;
    if (!committer->settled && fold_is_empty(committer->fold) &&
        tables_apply(committer->options.tables, committer->fold, atomic_load(&committer->covered),
                     committer->covered_ends_with_stop, NULL) == 0)
        committer->settled = true;
    room_update(committer);
}

// The tables could not grow. What was folded is folded anew, in smaller stretches.
static void full_begin(struct committer *committer, const struct store_error *err)
{
    char sentence[sizeof(err->sentence) + 128];
    fold_clear(committer->fold);
    pinned_release(committer);
    if (!SEEDED(FULL_POSITION_KEPT))
        committer->position = atomic_load(&committer->covered);
    committer->cost = committer->cost_covered;
    committer->ends_with_stop = committer->covered_ends_with_stop;
    if (committer->stretch_bytes > STRETCH_MIN_BYTES)
        committer->stretch_bytes /= 4;
    journal_set_closed(committer->options.journal, err);
    if (committer->full)
        return;
    committer->full = true;
    snprintf(sentence, sizeof(sentence),
             "%s; the journal keeps what the tables cannot take, until it is full", err->sentence);
    committer_say(committer, STORE_NOTICE_ERROR, sentence);
}

static void full_end(struct committer *committer)
{
    committer->stretch_bytes = committer->options.stretch_bytes;
    if (!committer->full)
        return;
    committer->full = false;
    journal_set_closed(committer->options.journal, NULL);
    committer_say(committer, STORE_NOTICE_INFO,
                  "there is room again: the tables take in what the journal kept");
}

// Folds and applies one stretch. STORE_ENOSPC only when smaller ones would not do either.
static int committer_stretch(struct committer *committer, uint64_t end, bool flush,
                             struct store_error *err)
{
    for (;;) {
        uint64_t stretch_bytes = committer->stretch_bytes;
        int rc = stretch_fold(committer, end, err);
        bool empty = fold_is_empty(committer->fold);
        if (rc == 0 && (!empty || cover_wanted(committer, flush)))
            rc = fold_apply(committer, committer->position >= end, err);
        if (rc == 0 && empty) {
            fold_clear(committer->fold);
            pinned_release(committer);
        }
        if (rc != STORE_ENOSPC)
            return rc;
        full_begin(committer, err);
        if (committer->stretch_bytes == stretch_bytes)
            return rc;
    }
}

static void timespec_of_ms(uint64_t ms, struct timespec *ret)
{
    ret->tv_sec = (time_t)(ms / 1000);
    ret->tv_nsec = (long)(ms % 1000) * 1000000;
}

// Whether what is due may wait. Under the lock, which it gives up meanwhile: others hold theirs
// while they allocate. On a short disk, and for those who wait for it, nothing does.
static bool committer_defers(struct committer *committer, bool retry, uint64_t now_ms)
{
    struct journal_usage usage;
    committer->deferral.limit_bytes = committer->options.defer_bytes;
    if (retry || committer->full || committer->options.commit_interval_ms < DEFERRAL_LOOK_MS ||
        journal_end(committer->options.journal) == committer->position) {
        deferral_end(&committer->deferral);
        return false;
    }
    pthread_mutex_unlock(&committer->lock);
    journal_usage(committer->options.journal, &usage);
    bool urgent = room_is_short(committer->options.room) || atomic_load(&committer->urgent);
    bool defers = deferral_goes_on(&committer->deferral,
                                   &(struct deferral_look){
                                       .now_ms = now_ms,
                                       .cpu_ms = os_thread_cpu_ms(committer->options.writer),
                                       .behind_bytes = usage.live_bytes,
                                       .behind_files = usage.live,
                                       .free_bytes = room_free_bytes(committer->options.room),
                                       .urgent = urgent,
                                   });
    pthread_mutex_lock(&committer->lock);
    return defers;
}

// Under the lock.
static void committer_sleep(struct committer *committer, uint64_t until_ms)
{
    struct timespec until;
    timespec_of_ms(until_ms, &until);
    (void)pthread_cond_timedwait(&committer->wake, &committer->lock, &until);
}

// Between two stretches: no more is applied than must be, while the broker's thread is busy and too
// much behind was all that ended the deferral. Returns whether it has waited.
static bool committer_eases(struct committer *committer)
{
    bool waited = false;
    pthread_mutex_lock(&committer->lock);
    // Who flushes may have all it asked for.
    pthread_cond_broadcast(&committer->applied);
    while (committer->deferral.eases || committer->deferral.runs) {
        bool defers = committer_defers(committer, false, os_monotonic_ms());
        bool flush = committer->flush_target > atomic_load(&committer->covered);
        if (flush || committer->stopping)
            deferral_end(&committer->deferral);
        if (!defers || flush || committer->stopping)
            break;
        committer_sleep(committer, os_monotonic_ms() + DEFERRAL_LOOK_MS);
        waited = true;
    }
    waited = waited && !committer->stopping;
    pthread_mutex_unlock(&committer->lock);
    return waited;
}

// One round: fold what is there, apply what is left of it. Returns 0 when all of it is done.
static int committer_round(struct committer *committer, bool flush, struct store_error *err)
{
    int rc = 0;
    uint64_t end = 0;
    bool waited = true;
    do {
        if (waited) {
            committer->round_begun_ms = os_realtime_ms();
            end = journal_end(committer->options.journal);
        }
        rc = committer_stretch(committer, end, flush, err);
        waited = rc == 0 && committer_eases(committer);
    } while (rc == 0 && (waited || committer->position < end));
    deferral_end(&committer->deferral);
    if (rc == 0 || rc == STORE_ENOSPC)
        room_settle(committer);
    if (rc == 0)
        full_end(committer);
    else if (rc != STORE_ENOSPC)
        journal_poison(committer->options.journal, err);
    return rc;
}

// Sleeps until there is something to do. Under the lock. Returns whether a flush is wanted.
static bool committer_wait(struct committer *committer, bool retry)
{
    uint64_t since_ms = os_monotonic_ms();
    while (!committer->stopping) {
        uint64_t covered = atomic_load(&committer->covered);
        if (committer->flush_target > covered && !(retry && committer->failure.code))
            break;
        uint32_t interval_ms = retry ? APPLY_RETRY_MS : committer->options.commit_interval_ms;
        uint64_t now_ms = os_monotonic_ms();
        uint64_t wake_ms = since_ms + interval_ms;
        if (committer->bytes_reached || now_ms >= wake_ms) {
            if (!committer_defers(committer, retry, now_ms))
                break;
            // While the lock was free, somebody may have asked for a flush, or for the end.
            if (committer->stopping || committer->flush_target > atomic_load(&committer->covered))
                continue;
            wake_ms = now_ms + DEFERRAL_LOOK_MS;
        }
        committer_sleep(committer, wake_ms);
    }
    if (committer->stopping || committer->flush_target > atomic_load(&committer->covered))
        deferral_end(&committer->deferral);
    return committer->flush_target > atomic_load(&committer->covered);
}

static void *committer_run(void *arg)
{
    struct committer *committer = arg;
    os_thread_lower_priority();
    bool retry = false;

    pthread_mutex_lock(&committer->lock);
    while (!committer->stopping) {
        bool flush = committer_wait(committer, retry);
        if (committer->stopping)
            break;
        committer->bytes_reached = false;
        atomic_store(&committer->urgent, false);
        pthread_mutex_unlock(&committer->lock);

        struct store_error err = {0};
        int rc = committer_round(committer, flush, &err);
        retry = rc != 0 || room_is_short(committer->options.room);
        uint64_t now_ms = os_monotonic_ms();
        if (now_ms - committer->readers_checked_ms > READERS_CHECK_MS) {
            tables_check_readers(committer->options.tables);
            committer->readers_checked_ms = now_ms;
        }

        pthread_mutex_lock(&committer->lock);
        committer->attempts++;
        if (rc)
            committer->failure = err;
        else
            committer->failure.code = 0;
        pthread_cond_broadcast(&committer->applied);
        if (rc && rc != STORE_ENOSPC)
            break; // the journal is poisoned: nothing more will come of it
    }
    pthread_mutex_unlock(&committer->lock);
    return NULL;
}

// On the writer's or the keeper's thread: only wakes. A missed wake-up costs one interval, or one
// look of a deferral.
static void committer_bytes_reached(void *arg, bool urgent)
{
    struct committer *committer = arg;
    if (urgent)
        atomic_store(&committer->urgent, true);
    if (pthread_mutex_trylock(&committer->lock) != 0)
        return;
    committer->bytes_reached = true;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
}

int committer_flush(struct committer *committer, struct store_error *err)
{
    uint64_t target = journal_end(committer->options.journal);
    int rc = 0;
    pthread_mutex_lock(&committer->lock);
    if (target > committer->flush_target)
        committer->flush_target = target;
    uint64_t attempts = committer->attempts;
    bool dead = committer->failure.code && committer->failure.code != STORE_ENOSPC;
    committer->failure.code = dead ? committer->failure.code : 0;
    pthread_cond_signal(&committer->wake);
    while (rc == 0 && atomic_load(&committer->covered) < target) {
        if (committer->failure.code && (dead || committer->attempts > attempts)) {
            rc = error_pass(err, committer->failure.code, &committer->failure);
            break;
        }
        if (committer->stopping) {
            rc = error_set(err, STORE_ESTOPPED, "the store is being closed");
            break;
        }
        pthread_cond_wait(&committer->applied, &committer->lock);
    }
    pthread_mutex_unlock(&committer->lock);
    return rc;
}

void committer_reconfigure(struct committer *committer, uint32_t commit_interval_ms,
                           uint64_t defer_bytes)
{
    pthread_mutex_lock(&committer->lock);
    committer->options.commit_interval_ms = commit_interval_ms;
    committer->options.defer_bytes = defer_bytes;
    pthread_cond_signal(&committer->wake);
    pthread_mutex_unlock(&committer->lock);
}

uint64_t committer_covered(struct committer *committer)
{
    return atomic_load(&committer->covered);
}

int committer_open(struct committer **ret_committer, const struct committer_options *options,
                   struct store_error *err)
{
    struct committer *committer = calloc(1, sizeof(*committer));
    if (!committer)
        return error_set(err, STORE_ENOMEM, "out of memory");
    committer->options = *options;
    if (!committer->options.stretch_bytes)
        committer->options.stretch_bytes = STRETCH_DEFAULT_BYTES;
    committer->stretch_bytes = committer->options.stretch_bytes;
    committer->position = options->from;
    atomic_store(&committer->covered, options->from);
    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->wake, &monotonic);
    pthread_cond_init(&committer->applied, NULL);
    pthread_condattr_destroy(&monotonic);

    int rc = fold_new(&committer->fold, err);
    if (rc == 0) {
        room_update(committer);
        journal_on_bytes(options->journal, committer->options.stretch_bytes / 2,
                         committer_bytes_reached, committer);
        int failed = pthread_create(&committer->thread, NULL, committer_run, committer);
        committer->runs = failed == 0;
        if (failed)
            rc = error_set_errno(err, failed, "cannot start the committer's thread");
    }
    if (rc) {
        committer_close(committer);
        return rc;
    }
    *ret_committer = committer;
    return 0;
}

void committer_close(struct committer *committer)
{
    if (!committer)
        return;
    pthread_mutex_lock(&committer->lock);
    committer->stopping = true;
    pthread_cond_broadcast(&committer->wake);
    pthread_cond_broadcast(&committer->applied);
    pthread_mutex_unlock(&committer->lock);
    if (committer->runs)
        pthread_join(committer->thread, NULL);
    journal_on_bytes(committer->options.journal, 0, NULL, NULL);
    pinned_release(committer);
    fold_free(committer->fold);
    pthread_cond_destroy(&committer->wake);
    pthread_cond_destroy(&committer->applied);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}
