// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_internal.h"

#include "journal_scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int connected_count(void *user, const struct session *session)
{
    if (session->connected)
        ++*(uint64_t *)user;
    return 0;
}

// Damage among the sessions is for those to say who read them: a damaged store has statistics too.
static int sessions_stats(struct store *store, struct store_stats *stats, struct store_error *err)
{
    struct store_view *view = NULL;
    struct store_error own = {0};
    int rc = store_view_open(&view, store, &own);
    if (rc == 0)
        rc = store_each_session(view, connected_count, &stats->sessions_connected, &own);
    store_view_close(view);
    if (rc == STORE_EDAMAGED)
        return 0;
    if (rc && err)
        *err = own;
    return rc;
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
        if (rc && err)
            *err = reason;
        if (rc == 0)
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
        stats->journal_end = stats->journal_covered;
        journal_count(store->dir, store->store_id, stats->journal_covered, &stats->behind_records,
                      &stats->journal_end, NULL);
        return 0;
    }
    if (rc && err)
        *err = reason;
    stats->behind_records = extent.records;
    stats->journal_end = extent.end;
    stats->torn_bytes = extent.torn_bytes;
    return rc;
}

static int behind_stats(struct store *store, struct tables_meta *meta, struct store_stats *stats,
                        struct store_error *err)
{
    stats->journal_covered = meta->covered;
    int rc = stats->lock_holder[0] || store->lock
                 ? store_behind(store, meta, &stats->behind_records, &stats->journal_end, err)
                 : journal_judge(store, stats, err);
    stats->journal_covered = meta->covered;
    if (rc || stats->behind_records == 0)
        return rc;
    int64_t caught_up_ms = (int64_t)meta->caught_up_ms;
    int64_t behind_ms = caught_up_ms ? os_realtime_ms() - caught_up_ms : 0;
    stats->behind_ms = behind_ms > 0 ? (uint64_t)behind_ms : 0;
    return 0;
}

int store_stats(struct store *store, struct store_stats *ret_stats, struct store_error *err)
{
    struct store_stats stats = {0};
    struct tables_meta meta;
    int rc;
    if ((rc = tables_meta(store->tables, &meta, err)) ||
        (rc = tables_stats(store->tables, &stats, err)) ||
        (rc = sessions_stats(store, &stats, err)) || (rc = files_stats(store, &stats, err)) ||
        (rc = lock_holder(store->dir, stats.lock_holder, err)))
        return rc;
    for (size_t i = 0; i < sizeof(meta.store_id); i++)
        snprintf(stats.store_id + 2 * i, 3, "%02x", meta.store_id[i]);
    stats.format_version = meta.format_version;
    stats.life = meta.life;
    if ((rc = behind_stats(store, &meta, &stats, err)))
        return rc;
    stats.journal_durable =
        store->journal ? journal_durable(store->journal) : stats.journal_covered;
    *ret_stats = stats;
    return 0;
}
