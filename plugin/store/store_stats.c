// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_internal.h"

#include "journal_scan.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct session_counts {
    uint64_t all, connected;
};

static int session_count(void *user, const struct session *session)
{
    struct session_counts *counts = user;
    counts->all++;
    counts->connected += session->connected;
    return 0;
}

// Both out of the same picture: their difference is of interest. Damage among the sessions is for
// those to say who read them: a damaged store has statistics too, which tell what was seen.
static int sessions_stats(struct store *store, struct store_stats *stats, struct store_error *err)
{
    struct session_counts counts = {0};
    struct store_view *view = NULL;
    struct store_error own = {0};
    int rc = store_view_open(&view, store, &own);
    if (rc == 0)
        rc = store_each_session(view, session_count, &counts, &own);
    store_view_close(view);
    if (rc && rc != STORE_EDAMAGED)
        return error_pass(err, rc, &own);
    if (rc == 0 || stats->sessions < counts.all)
        stats->sessions = counts.all;
    stats->sessions_connected = counts.connected;
    return 0;
}

static int files_stats(struct store *store, struct store_stats *stats, struct store_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(store->dir, &numbers, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char name[SEGMENT_NAME_BYTES];
        struct os_file *file = NULL;
        uint64_t bytes = 0;
        segment_name(numbers[i], name);
        struct store_error reason = {0};
        rc = os_file_open(&file, store->dir, name, OS_READ, &reason);
        if (rc == STORE_ENOTFOUND) { // recycled meanwhile
            rc = 0;
            continue;
        }
        if (error_pass(err, rc, &reason) == 0)
            rc = os_file_size(file, &bytes, err);
        os_file_close(file);
        stats->journal_bytes += bytes;
        stats->journal_segments++;
    }
    free(numbers);
    return rc;
}

// A journal that nobody writes is judged as the next start will judge it. Damage is for those to
// say who read it.
static int journal_judge(struct store *store, struct store_stats *stats, struct store_error *err)
{
    struct journal_extent extent = {0};
    struct store_error reason = {0};
    int rc = journal_scan(store->dir, store->store_id, stats->journal_covered, &extent, &reason);
    if (rc == STORE_EDAMAGED || rc == STORE_EFOREIGN) {
        memcpy(stats->journal_damage, reason.sentence, sizeof(stats->journal_damage));
        struct journal_cut cut = {.extent = {.end = stats->journal_covered}};
        (void)journal_cut_find(store->dir, store->store_id, stats->journal_covered, &cut, NULL);
        stats->behind_records = cut.extent.records;
        stats->journal_end = cut.extent.end;
        return 0;
    }
    stats->behind_records = extent.records;
    stats->journal_end = extent.end;
    stats->torn_bytes = extent.torn_bytes;
    return error_pass(err, rc, &reason);
}

static void behind_age(const struct tables_meta *meta, struct store_stats *stats)
{
    int64_t caught_up_ms = (int64_t)meta->caught_up_ms;
    int64_t behind_ms = caught_up_ms ? os_realtime_ms() - caught_up_ms : 0;
    stats->behind_ms = stats->behind_records && behind_ms > 0 ? (uint64_t)behind_ms : 0;
}

// One look. Beside a writer, who has judged the journal, only at how far it goes.
static int behind_look(struct store *store, struct tables_meta *meta, struct store_stats *stats,
                       struct store_error *err)
{
    stats->journal_covered = meta->covered;
    int rc = stats->lock_holder[0]
                 ? store_behind(store, meta, &stats->behind_records, &stats->journal_end, err)
                 : journal_judge(store, stats, err);
    stats->journal_covered = meta->covered;
    stats->life = meta->life;
    behind_age(meta, stats);
    return rc;
}

// Whether a writer came or went since `before` was read and `stats` says who held the store. One
// that did both in between has left a life or a position.
static int writer_moved(struct store *store, const struct tables_meta *before,
                        const struct store_stats *stats, bool *ret_moved, struct store_error *err)
{
    char holder[LOCK_HOLDER_BYTES];
    struct tables_meta after;
    int rc = lock_holder(store->dir, holder, err);
    if (rc == 0)
        rc = tables_meta(store->tables, &after, err);
    if (rc)
        return rc;
    bool held = stats->lock_holder[0];
    // As long as it is held the position moves all the time, and store_behind has seen to that.
    *ret_moved = held != (holder[0] != 0) || before->life != after.life ||
                 (!held && before->covered != after.covered);
    return 0;
}

// A writer that starts or stops meanwhile takes segments away, or adds some, under the eyes of who
// judges them: what was seen then says nothing, error or not.
static int behind_stats(struct store *store, struct store_stats *stats, struct store_error *err)
{
    struct store_error reason = {0};
    for (unsigned looks = 0; looks < STORE_LOOKS_MAX; looks++) {
        struct store_stats look = *stats;
        struct tables_meta meta, before;
        bool moved = false;
        int rc = tables_meta(store->tables, &before, err);
        if (rc == 0)
            rc = lock_holder(store->dir, look.lock_holder, err);
        if (rc)
            return rc;
        meta = before;
        error_init(&reason);
        int look_rc = behind_look(store, &meta, &look, &reason);
        bool beside = look_rc == 0 && look.lock_holder[0];
        if (!beside && (rc = writer_moved(store, &before, &look, &moved, err)))
            return rc;
        if (moved && !SEEDED(JUDGED_ONCE))
            continue;
        *stats = look;
        return error_pass(err, look_rc, &reason);
    }
    return error_set(err, STORE_EIO,
                     "the store is opened and closed faster than its journal can be read; try "
                     "again");
}

int store_stats(struct store *store, struct store_stats *ret_stats, struct store_error *err)
{
    struct store_stats stats = {0};
    struct tables_meta meta;
    int rc;
    if ((rc = tables_meta(store->tables, &meta, err)) ||
        (rc = tables_stats(store->tables, &stats, err)) ||
        (rc = sessions_stats(store, &stats, err)) || (rc = files_stats(store, &stats, err)))
        return rc;
    for (size_t i = 0; i < sizeof(meta.store_id); i++)
        snprintf(stats.store_id + 2 * i, 3, "%02x", meta.store_id[i]);
    stats.format_version = meta.format_version;
    stats.unseen = store->unseen;
    if ((rc = behind_stats(store, &stats, err)))
        return rc;
    stats.journal_durable =
        store->journal ? journal_durable(store->journal) : stats.journal_covered;
    *ret_stats = stats;
    return 0;
}
