// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The keeper: a thread that has the next segment ready before it is needed, makes the pages ahead
// of the writer present, and takes back segments that the tables cover.
#include "journal_internal.h"

#include "seeded.h"

#include <errno.h>
#include <string.h>

#define PREPARE_RETRY_MS 200u
#define PAGE_PIECE_BYTES 4096u
// A spare file saves writing zeros under load; an idle journal does without.
#define SPARE_IDLE_MS 5000u

static void prepare_failed(struct journal *journal, const struct store_error *reason)
{
    journal->prepare_error = *reason;
    journal->prepare_retry_ms = os_monotonic_ms() + PREPARE_RETRY_MS;
}

// Takes the spare file, or room for a new one, under the lock. 0 or STORE_EFULL.
static int space_take(struct journal *journal, uint64_t bytes, char *recycle,
                      struct store_error *err)
{
    recycle[0] = '\0';
    if (journal->spares.count && bytes == journal->options.segment_bytes) {
        spares_pop(&journal->spares, recycle);
        return 0;
    }
    if (journal->total_bytes + bytes > journal->options.max_bytes)
        return error_set(err, STORE_EFULL,
                         "the journal has reached its size limit (journal_max_bytes %llu), since "
                         "the tables do not take in what it holds fast enough",
                         (unsigned long long)journal->options.max_bytes);
    journal->total_bytes += bytes;
    journal->total_files++;
    return 0;
}

static void space_give_back(struct journal *journal, uint64_t bytes)
{
    pthread_mutex_lock(&journal->lock);
    journal->total_bytes -= bytes;
    journal->total_files--;
    pthread_mutex_unlock(&journal->lock);
}

// What a segment of `bytes` may need in the tables. One of its own size holds one large record.
static uint64_t segment_cost(const struct journal *journal, uint64_t bytes)
{
    return bytes > journal->options.segment_bytes ? room_cost(bytes) : 2 * bytes;
}

// What all segments may need in the tables once they are full. Under the lock.
static uint64_t segments_cost(const struct journal *journal)
{
    uint64_t cost = 0;
    for (const struct segment *segment = journal->live_first; segment; segment = segment->next)
        cost += segment_cost(journal, segment->header.bytes);
    for (const struct segment *segment = journal->ready_first; segment; segment = segment->next)
        cost += segment_cost(journal, segment->header.bytes);
    return cost;
}

static bool ready_is_short(const struct journal *journal)
{
    uint64_t usual = journal->options.segment_bytes;
    return journal->ready_bytes <
           atomic_load(&journal->reserve_bytes) + (journal->wanted ? usual : 1);
}

// A new file is only made when the tables will have room for what it comes to hold; but for the few
// without which not even a deletion could be taken, these come first.
static bool room_comes_first(const struct journal *journal)
{
    uint64_t least = 2 * journal->options.segment_bytes + atomic_load(&journal->reserve_bytes);
    return journal->total_bytes > least;
}

static int segment_make(struct journal *journal, struct segment **ret_segment,
                        const struct segment_header *header, const char *recycle,
                        struct store_error *err)
{
    // With sync always each sync covers one page, and must be as short as it can be.
    bool always = atomic_load(&journal->sync_mode) == STORE_SYNC_ALWAYS;
    struct segment_zeros zeros = {
        .synced = always, .piece_bytes = always ? PAGE_PIECE_BYTES : OS_ZERO_PIECE_MAX_BYTES};
    int rc = segment_prepare(ret_segment, journal->options.dir, header, recycle[0] ? recycle : NULL,
                             zeros, err);
    if (rc && recycle[0])
        os_dir_remove(journal->options.dir, recycle, NULL);
    if (rc == 0)
        os_map_populate((*ret_segment)->map, JOURNAL_POPULATE_BYTES < header->bytes
                                                 ? JOURNAL_POPULATE_BYTES
                                                 : (size_t)header->bytes);
    return rc;
}

int journal_prepare(struct journal *journal, uint64_t bytes, struct store_error *err)
{
    char recycle[SEGMENT_NAME_BYTES];
    struct store_error reason = {0};
    struct segment *segment = NULL;
    struct room *room = journal->options.room;
    pthread_mutex_lock(&journal->prepare_lock);

    pthread_mutex_lock(&journal->lock);
    struct segment_header header = {
        .version = FORMAT_VERSION,
        .number = journal->next_number,
        .life = journal->options.life,
        .bytes = bytes,
        .created_ms = os_realtime_ms(),
    };
    memcpy(header.store_id, journal->options.store_id, sizeof(header.store_id));
    int rc = bytes > SEGMENT_MAX_BYTES
                 ? error_set(&reason, STORE_ETOOBIG, "a segment of %llu bytes is too large",
                             (unsigned long long)bytes)
                 : space_take(journal, bytes, recycle, &reason);
    uint64_t cost = segments_cost(journal) + segment_cost(journal, bytes);
    bool room_first = rc == 0 && !recycle[0] && room_comes_first(journal);
    pthread_mutex_unlock(&journal->lock);

    if (rc == 0) {
        if (room && room_first)
            rc = room_keep(room, cost, &reason);
        if (rc == 0)
            rc = segment_make(journal, &segment, &header, recycle, &reason);
        if (rc)
            space_give_back(journal, bytes);
    }

    pthread_mutex_lock(&journal->lock);
    if (rc) {
        prepare_failed(journal, &reason);
    } else {
        journal->prepare_error.code = 0;
        journal->next_number++;
        if (journal->ready_last)
            journal->ready_last->next = segment;
        else
            journal->ready_first = segment;
        journal->ready_last = segment;
        journal->ready_bytes += segment_room(segment);
        pthread_cond_broadcast(&journal->ready_more);
    }
    bool is_short = ready_is_short(journal);
    pthread_mutex_unlock(&journal->lock);
    // What there is of it: admission looks at that.
    if (room && !room_first && rc == 0 && !is_short)
        (void)room_keep(room, cost, NULL);
    else if (room && !room_first && rc == STORE_ENOSPC && is_short)
        room_give_way(room, &reason);
    pthread_mutex_unlock(&journal->prepare_lock);
    if (rc && err)
        *err = reason;
    return rc;
}

// The keeper's chores. Each is called with the lock held, may release it while it works, and
// returns whether it did something, so that the loop looks again.

static bool pages_populate(struct journal *journal)
{
    if (!journal->populate_wanted)
        return false;
    journal->populate_wanted = false;
    struct segment *segment = journal->live_last;
    uint64_t end = atomic_load_explicit(&journal->end, memory_order_acquire);
    uint64_t offset = position_offset(end) & ~(uint64_t)4095;
    uint64_t bytes = segment->header.bytes > offset ? segment->header.bytes - offset : 0;
    if (bytes > JOURNAL_POPULATE_BYTES)
        bytes = JOURNAL_POPULATE_BYTES;
    segment->pins++;
    pthread_mutex_unlock(&journal->lock);
    os_map_populate(segment->map + offset, (size_t)bytes);
    pthread_mutex_lock(&journal->lock);
    segment->pins--;
    if (segment == journal->live_last)
        atomic_store(&journal->populate_at, offset + JOURNAL_POPULATE_BYTES / 2);
    return true;
}

static bool segment_take_back(struct journal *journal)
{
    struct segment *segment = journal->live_first;
    if (segment == journal->live_last || segment->pins > 0 ||
        segment->header.number >=
            position_segment(journal->covered) + (SEEDED(RECYCLED_EARLY) ? 1 : 0))
        return false;
    // A full disk would have no room for one that is removed.
    if (journal->spares.count && ready_is_short(journal))
        return false;
    journal->live_first = segment->next;
    char name[SEGMENT_NAME_BYTES];
    segment_name(segment->header.number, name);
    uint64_t bytes = segment->header.bytes;
    bool spare = !journal->spares.count && bytes == journal->options.segment_bytes;
    pthread_mutex_unlock(&journal->lock);

    segment_close(segment);
    if (!spare)
        os_dir_remove(journal->options.dir, name, NULL);

    pthread_mutex_lock(&journal->lock);
    if (spare) {
        spares_push(&journal->spares, name);
    } else {
        journal->total_bytes -= bytes;
        journal->total_files--;
    }
    journal->prepare_retry_ms = 0;
    return true;
}

static bool segment_make_ready(struct journal *journal)
{
    bool is_short = ready_is_short(journal);
    if (!is_short)
        journal->wanted = false;
    // On a full disk the room is the tables'; a spare file takes none.
    if (!is_short || atomic_load(&journal->poisoned) ||
        (atomic_load(&journal->closed) && !journal->spares.count) ||
        os_monotonic_ms() < journal->prepare_retry_ms)
        return false;
    pthread_mutex_unlock(&journal->lock);
    int rc = journal_prepare(journal, journal->options.segment_bytes, NULL);
    pthread_mutex_lock(&journal->lock);
    // What the tables take in makes room here, and gives descriptors and mappings back.
    if (rc && journal->on_bytes)
        journal->on_bytes(journal->on_bytes_user, true);
    return rc == 0;
}

static void spare_drop(struct journal *journal)
{
    char name[SEGMENT_NAME_BYTES];
    spares_pop(&journal->spares, name);
    journal->total_bytes -= journal->options.segment_bytes;
    journal->total_files--;
    pthread_mutex_unlock(&journal->lock);
    os_dir_remove(journal->options.dir, name, NULL);
    pthread_mutex_lock(&journal->lock);
}

void *journal_keeper_run(void *arg)
{
    struct journal *journal = arg;
    os_thread_lower_priority();
    pthread_mutex_lock(&journal->lock);
    while (!journal->stopping) {
        if (!journal->keeper_waits &&
            (pages_populate(journal) || segment_take_back(journal) || segment_make_ready(journal)))
            continue;

        uint64_t idle_from = journal_end(journal);
        uint32_t wait_ms = journal->prepare_error.code ? PREPARE_RETRY_MS : SPARE_IDLE_MS;
        uint64_t wake_ms = os_monotonic_ms() + wait_ms;
        struct timespec wake = {.tv_sec = (time_t)(wake_ms / 1000),
                                .tv_nsec = (long)(wake_ms % 1000) * 1000000};
        int waited = pthread_cond_timedwait(&journal->keeper_wake, &journal->lock, &wake);
        if (waited == ETIMEDOUT && wait_ms == SPARE_IDLE_MS && journal->spares.count &&
            idle_from == journal_end(journal))
            spare_drop(journal);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

void journal_start_keeper(struct journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    journal->keeper_waits = false;
    pthread_cond_signal(&journal->keeper_wake);
    pthread_mutex_unlock(&journal->lock);
}

int journal_take_over(struct journal *journal, uint64_t number, struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    pthread_mutex_lock(&journal->lock);
    bool wanted = journal->spares.count < SPARES_MAX;
    if (wanted) {
        spares_push(&journal->spares, name);
        journal->total_files++;
        journal->total_bytes += journal->options.segment_bytes;
        journal->prepare_retry_ms = 0;
        pthread_cond_signal(&journal->keeper_wake);
    }
    pthread_mutex_unlock(&journal->lock);
    return wanted ? 0 : os_dir_remove(journal->options.dir, name, err);
}

void journal_cover(struct journal *journal, uint64_t position)
{
    pthread_mutex_lock(&journal->lock);
    if (position > journal->covered) {
        journal->covered = position;
        pthread_cond_signal(&journal->keeper_wake);
    }
    pthread_mutex_unlock(&journal->lock);
}
