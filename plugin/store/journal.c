// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "journal_internal.h"

#include "record.h"
#include "seeded.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// What a message brings besides its payload and strings: frames, fixed fields, the link of a new
// segment, one queue entry.
#define ADMIT_OVERHEAD_BYTES 4096u
// Pages of a record of this size or more are made present at once, not by a fault each.
#define LARGE_BYTES 131072u
#define READY_WAIT_MS 1000u

void journal_say(struct journal *journal, enum store_notice_level level, const char *format, ...)
{
    char sentence[512];
    va_list args;
    if (!journal->options.notice)
        return;
    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    journal->options.notice(journal->options.notice_user, level, sentence);
}

bool journal_set_poisoned(struct journal *journal, const struct store_error *reason)
{
    bool first = false;
    pthread_mutex_lock(&journal->lock);
    if (!atomic_load(&journal->poisoned)) {
        journal->poison = *reason;
        atomic_store(&journal->poisoned, true);
        first = true;
    }
    pthread_mutex_unlock(&journal->lock);
    return first;
}

void journal_say_poisoned(struct journal *journal, const struct store_error *reason)
{
    journal_say(journal, STORE_NOTICE_ERROR,
                "%s; the journal takes nothing more until the broker is started again",
                reason->sentence);
}

void journal_poison(struct journal *journal, const struct store_error *reason)
{
    if (journal_set_poisoned(journal, reason))
        journal_say_poisoned(journal, reason);
}

bool journal_is_poisoned(struct journal *journal, struct store_error *err)
{
    if (!atomic_load_explicit(&journal->poisoned, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&journal->lock);
    error_set(err, STORE_EPOISONED, "%s", journal->poison.sentence);
    pthread_mutex_unlock(&journal->lock);
    return true;
}

// Writes a frame at the writer's offset, for which there is room.
static void frame_append(struct journal *journal, const struct event *event, size_t body_bytes)
{
    struct segment *segment = journal->current;
    uint8_t *at = segment->map + journal->offset;
    uint64_t position = position_of(segment->header.number, journal->offset);
    uint64_t durable = atomic_load_explicit(&journal->durable, memory_order_relaxed);
    if (SEEDED(DURABLE_CLAIMS_ALL))
        durable = position;
    record_encode(event, at + FRAME_HEADER_BYTES);
    journal->last_checksum =
        frame_seal(at, (uint8_t)event->type, body_bytes, segment->header.salt, position, durable);
    journal->offset += frame_total_bytes(body_bytes);
    journal->given += room_cost(frame_total_bytes(body_bytes));
    atomic_store_explicit(&journal->end, position_of(segment->header.number, journal->offset),
                          memory_order_release);
}

// The disk has no room for another segment: waits for one that the tables give back. It is the last
// resort of what is not asked for admission, acknowledgements above all.
static bool ready_wait(struct journal *journal)
{
    uint64_t until_ms = os_monotonic_ms() + READY_WAIT_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int waited = 0;
    pthread_mutex_lock(&journal->lock);
    if (journal->on_bytes)
        journal->on_bytes(journal->on_bytes_user, true);
    pthread_cond_signal(&journal->keeper_wake);
    while (!journal->ready_first && !atomic_load(&journal->closed) &&
           journal->live_first != journal->live_last && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&journal->ready_more, &journal->lock, &until);
    bool ready = journal->ready_first != NULL;
    pthread_mutex_unlock(&journal->lock);
    return ready;
}

// Goes on in the next ready segment.
static int journal_roll(struct journal *journal, struct store_error *err)
{
    pthread_mutex_lock(&journal->lock);
    bool late = journal->ready_first == NULL;
    pthread_mutex_unlock(&journal->lock);
    if (late) {
        uint64_t began_ms = os_monotonic_ms();
        struct store_error reason = {0};
        int rc = journal_prepare(journal, journal->options.segment_bytes, &reason);
        if ((rc == STORE_EFULL || rc == STORE_ENOSPC) && ready_wait(journal))
            rc = 0;
        if (error_pass(err, rc, &reason))
            return rc;
        journal_say(journal, STORE_NOTICE_WARNING,
                    "a journal segment was not ready in time and was made on the broker's thread, "
                    "which stood still for %llu ms; the disk is slow, or journal_segment_bytes is "
                    "small for this load",
                    (unsigned long long)(os_monotonic_ms() - began_ms));
    }

    struct event link = {.type = RECORD_SEGMENT_LINK,
                         .link = {.previous_end = SEEDED(NO_LINK) ? 0 : atomic_load(&journal->end),
                                  .previous_checksum = journal->last_checksum}};
    size_t link_bytes = 0;
    record_size(&link, &link_bytes, NULL);

    pthread_mutex_lock(&journal->lock);
    struct segment *next = journal->ready_first;
    journal->ready_first = next->next;
    if (!journal->ready_first)
        journal->ready_last = NULL;
    journal->ready_bytes -= segment_room(next);
    next->next = NULL;
    journal->current->used_bytes = journal->offset;
    journal->live_last->next = next;
    journal->live_last = next;
    journal->current = next;
    journal->offset = SEGMENT_HEADER_BYTES;
    atomic_store(&journal->populate_at, SEGMENT_HEADER_BYTES + JOURNAL_POPULATE_BYTES / 2);
    // The link goes in before anybody can see the new segment as the current one.
    frame_append(journal, &link, link_bytes);
    pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

static uint64_t current_room(const struct journal *journal)
{
    uint64_t usable = journal->current->header.bytes - FRAME_TERMINATOR_BYTES;
    return usable > journal->offset ? usable - journal->offset : 0;
}

// Leaves `current` with room for a frame of `total` bytes.
static int journal_make_room(struct journal *journal, size_t total, struct store_error *err)
{
    uint64_t usual = journal->options.segment_bytes - SEGMENT_HEADER_BYTES - FRAME_TERMINATOR_BYTES;
    uint64_t link_bytes = frame_total_bytes(16);
    while (current_room(journal) < total) {
        pthread_mutex_lock(&journal->lock);
        bool ready = journal->ready_first != NULL;
        pthread_mutex_unlock(&journal->lock);
        if (!ready && total + link_bytes > usual) {
            // Too large for a segment of the usual size: it gets one of its own.
            uint64_t bytes = SEGMENT_HEADER_BYTES + link_bytes + total + FRAME_TERMINATOR_BYTES;
            int rc = journal_prepare(journal, (bytes + 4095) & ~(uint64_t)4095, err);
            if (rc)
                return rc;
        }
        int rc = journal_roll(journal, err);
        if (rc)
            return rc;
    }
    return 0;
}

static void populate_ask(struct journal *journal)
{
    if (journal->offset < atomic_load_explicit(&journal->populate_at, memory_order_relaxed))
        return;
    atomic_store_explicit(&journal->populate_at, UINT64_MAX, memory_order_relaxed);
    // The keeper may be busy with a segment: then a few faults are cheaper than waiting for it.
    if (pthread_mutex_trylock(&journal->lock) != 0)
        return;
    journal->populate_wanted = true;
    pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
}

int journal_append(struct journal *journal, const struct event *event, struct store_error *err)
{
    size_t body_bytes = 0;
    if (journal_is_poisoned(journal, err))
        return STORE_EPOISONED;
    int rc = record_size(event, &body_bytes, err);
    if (rc)
        return rc;
    size_t total = frame_total_bytes(body_bytes);
    if (current_room(journal) < total && (rc = journal_make_room(journal, total, err)))
        return rc;

    if (total >= LARGE_BYTES) {
        uint64_t page = journal->offset & ~(uint64_t)4095;
        os_map_populate(journal->current->map + page, (size_t)(journal->offset - page + total));
    }
    frame_append(journal, event, body_bytes);
    populate_ask(journal);
    if (event->type != RECORD_LOOP_MARK) {
        journal->unmarked = true;
        journal->unmarked_end = atomic_load_explicit(&journal->end, memory_order_relaxed);
    }
    journal->bytes_since += total;
    if (journal->on_bytes && journal->bytes_since >= journal->bytes_trigger) {
        journal->bytes_since = 0;
        journal->on_bytes(journal->on_bytes_user, false);
    }
    if (atomic_load_explicit(&journal->sync_mode, memory_order_relaxed) == STORE_SYNC_ALWAYS &&
        record_promised(event) && !SEEDED(ALWAYS_NOT_SYNCED))
        return journal_sync(journal, err);
    return 0;
}

// Whether current and ready segments hold `need` bytes and leave the reserve.
static bool room_is_enough(struct journal *journal, uint64_t need, uint64_t reserve, bool oversize)
{
    uint64_t room = current_room(journal);
    if (room >= need + reserve)
        return true;
    pthread_mutex_lock(&journal->lock);
    bool fits = !oversize;
    for (struct segment *ready = journal->ready_first; ready && !fits; ready = ready->next)
        fits = segment_room(ready) >= need;
    // The reserve is for small records: what is left in this segment serves them, unless the record
    // at hand makes the writer leave it.
    bool enough = room >= need ? room + journal->ready_bytes >= need + reserve
                               : fits && journal->ready_bytes >= need + reserve;
    if (!enough) {
        journal->wanted = true;
        pthread_cond_signal(&journal->keeper_wake);
    }
    pthread_mutex_unlock(&journal->lock);
    return enough;
}

// The reason of a failed preparation, while it is too early to try again: 0 if there is none.
static int prepare_hopeless(struct journal *journal, struct store_error *err)
{
    int code = 0;
    pthread_mutex_lock(&journal->lock);
    if (journal->prepare_error.code && os_monotonic_ms() < journal->prepare_retry_ms)
        code = error_set(err, journal->prepare_error.code, "%s", journal->prepare_error.sentence);
    pthread_mutex_unlock(&journal->lock);
    return code;
}

static int journal_is_closed(struct journal *journal, struct store_error *err)
{
    if (!atomic_load_explicit(&journal->closed, memory_order_relaxed))
        return 0;
    pthread_mutex_lock(&journal->lock);
    int code = error_set(err, journal->closed_reason.code, "%s", journal->closed_reason.sentence);
    pthread_mutex_unlock(&journal->lock);
    return code;
}

// Whether there are segments for a record of `need` bytes and the reserve, or now there are.
static int segments_admit(struct journal *journal, uint64_t need, uint64_t reserve,
                          struct store_error *err)
{
    uint64_t usual = journal->options.segment_bytes;
    bool oversize = need > usual - SEGMENT_HEADER_BYTES;
    if (room_is_enough(journal, need, reserve, oversize))
        return 0;

    struct store_error reason = {0};
    int rc = oversize ? 0 : prepare_hopeless(journal, &reason);
    if (rc == 0) {
        uint64_t size = oversize ? (need + SEGMENT_HEADER_BYTES + 4095) & ~(uint64_t)4095 : usual;
        rc = journal_prepare(journal, size, &reason);
    }
    // The keeper may have made room while this waited for it.
    if (rc == 0 || room_is_enough(journal, need, reserve, oversize))
        return 0;
    return error_pass(err, rc, &reason);
}

int journal_admit(struct journal *journal, uint64_t bytes, struct store_error *err)
{
    if (journal_is_poisoned(journal, err))
        return STORE_EPOISONED;
    int rc = journal_is_closed(journal, err);
    if (rc)
        return rc;
    uint64_t reserve = SEEDED(RESERVE_NOT_KEPT)
                           ? 0
                           : atomic_load_explicit(&journal->reserve_bytes, memory_order_relaxed);
    uint64_t need = bytes + ADMIT_OVERHEAD_BYTES;
    rc = segments_admit(journal, need, reserve, err);
    if (rc == 0 && journal->options.room)
        rc = room_admit(journal->options.room, journal->given + room_cost(need) + 2 * reserve,
                        bytes, err);
    return rc;
}

uint32_t journal_tick(struct journal *journal)
{
    if (!journal->unmarked || SEEDED(NO_IDLE_MARK))
        return 0;
    pthread_mutex_lock(&journal->lock);
    uint32_t interval_ms = journal->options.sync_interval_ms;
    pthread_mutex_unlock(&journal->lock);
    if (journal_durable(journal) >= journal->unmarked_end) {
        struct event mark = {.type = RECORD_LOOP_MARK};
        if (journal_append(journal, &mark, NULL) == 0)
            journal->unmarked = false;
        return 0;
    }
    return interval_ms < 50 ? 50 : interval_ms;
}

uint64_t journal_end(struct journal *journal)
{
    return atomic_load_explicit(&journal->end, memory_order_acquire);
}

uint64_t journal_durable(struct journal *journal)
{
    return atomic_load_explicit(&journal->durable, memory_order_acquire);
}

void journal_set_closed(struct journal *journal, const struct store_error *reason)
{
    pthread_mutex_lock(&journal->lock);
    if (reason)
        journal->closed_reason = *reason;
    atomic_store(&journal->closed, reason != NULL);
    pthread_cond_signal(&journal->keeper_wake); // it may make segments again
    pthread_mutex_unlock(&journal->lock);
}

void journal_set_reserve(struct journal *journal, uint64_t bytes)
{
    // A small journal must not be all reserve.
    pthread_mutex_lock(&journal->lock);
    uint64_t most = journal->options.max_bytes / 8;
    uint64_t reserve = bytes < most ? bytes : most;
    if (atomic_exchange(&journal->reserve_bytes, reserve) < reserve)
        pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
}

void journal_reconfigure(struct journal *journal, enum store_sync sync, uint32_t sync_interval_ms,
                         uint64_t max_bytes)
{
    pthread_mutex_lock(&journal->lock);
    journal->options.sync_interval_ms = sync_interval_ms;
    journal->options.max_bytes = max_bytes;
    journal->prepare_retry_ms = 0;
    atomic_store(&journal->sync_mode, (int)sync);
    pthread_cond_signal(&journal->syncer_wake);
    pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
}

void journal_on_bytes(struct journal *journal, uint64_t bytes, journal_on_bytes_fn *fn, void *user)
{
    pthread_mutex_lock(&journal->lock);
    journal->bytes_trigger = bytes;
    journal->on_bytes = fn;
    journal->on_bytes_user = user;
    pthread_mutex_unlock(&journal->lock);
}

struct segment *journal_pin(struct journal *journal, uint64_t number)
{
    pthread_mutex_lock(&journal->lock);
    struct segment *segment = journal->live_first;
    while (segment && segment->header.number != number)
        segment = segment->next;
    if (segment)
        segment->pins++;
    pthread_mutex_unlock(&journal->lock);
    return segment;
}

void journal_unpin(struct journal *journal, struct segment *segment)
{
    pthread_mutex_lock(&journal->lock);
    segment->pins--;
    // The writer's own is not taken back: with sync always that would be a wake-up for each record.
    if (segment->pins == 0 && segment != journal->live_last)
        pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
}

void journal_usage(struct journal *journal, struct journal_usage *ret_usage)
{
    struct journal_usage usage = {0};
    pthread_mutex_lock(&journal->lock);
    usage.bytes = journal->total_bytes;
    usage.segments = journal->total_files;
    for (struct segment *segment = journal->live_first; segment; segment = segment->next) {
        if (segment->header.number < position_segment(journal->covered))
            continue; // the keeper is about to take it back
        usage.live++;
        usage.live_bytes += segment->header.bytes;
    }
    pthread_mutex_unlock(&journal->lock);
    *ret_usage = usage;
}

int journal_open(struct journal **ret_journal, const struct journal_options *options,
                 struct store_error *err)
{
    struct journal *journal = calloc(1, sizeof(*journal));
    if (!journal)
        return error_set(err, STORE_ENOMEM, "out of memory");
    pthread_mutex_init(&journal->lock, NULL);
    pthread_mutex_init(&journal->prepare_lock, NULL);
    pthread_mutex_init(&journal->sync_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->keeper_wake, &monotonic);
    pthread_cond_init(&journal->syncer_wake, &monotonic);
    pthread_cond_init(&journal->ready_more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    journal->options = *options;
    journal->keeper_waits = options->keeper_waits;
    journal->next_number = options->next_number;
    journal->spares = options->spares;
    journal->total_files = options->spares.count;
    journal->total_bytes = options->spares.count * options->segment_bytes;
    atomic_store(&journal->sync_mode, (int)options->sync);

    int rc = journal_prepare(journal, options->segment_bytes, err);
    if (rc)
        goto done;
    struct segment *first = journal->ready_first;
    journal->ready_first = journal->ready_last = NULL;
    journal->ready_bytes = 0;
    journal->current = journal->live_first = journal->live_last = first;
    journal->offset = SEGMENT_HEADER_BYTES;
    journal->covered = position_of(first->header.number, SEGMENT_HEADER_BYTES);
    // Nothing of this segment is durable yet; what lies before it is.
    atomic_store(&journal->durable, journal->covered);
    atomic_store(&journal->populate_at, 0);

    struct event link = {.type = RECORD_SEGMENT_LINK, .link = options->link};
    size_t link_bytes = 0;
    record_size(&link, &link_bytes, NULL);
    frame_append(journal, &link, link_bytes);

    int failed = pthread_create(&journal->keeper, NULL, journal_keeper_run, journal);
    journal->keeper_runs = failed == 0;
    if (!failed) {
        failed = pthread_create(&journal->syncer, NULL, journal_syncer_run, journal);
        journal->syncer_runs = failed == 0;
    }
    if (failed)
        rc = error_set_errno(err, failed, "cannot start a thread for the journal");

done:
    if (rc) {
        journal_close(journal);
        return rc;
    }
    *ret_journal = journal;
    return 0;
}

static void segments_close(struct segment *segment)
{
    while (segment) {
        struct segment *next = segment->next;
        segment_close(segment);
        segment = next;
    }
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->stopping = true;
    pthread_cond_broadcast(&journal->keeper_wake);
    pthread_cond_broadcast(&journal->syncer_wake);
    pthread_mutex_unlock(&journal->lock);
    if (journal->keeper_runs)
        pthread_join(journal->keeper, NULL);
    if (journal->syncer_runs)
        pthread_join(journal->syncer, NULL);
    segments_close(journal->live_first);
    segments_close(journal->ready_first);
    pthread_cond_destroy(&journal->keeper_wake);
    pthread_cond_destroy(&journal->syncer_wake);
    pthread_cond_destroy(&journal->ready_more);
    pthread_mutex_destroy(&journal->lock);
    pthread_mutex_destroy(&journal->prepare_lock);
    pthread_mutex_destroy(&journal->sync_lock);
    free(journal);
}
