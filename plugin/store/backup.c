// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "maintain.h"

#include "store_internal.h"
#include "tables_copy.h"

#include <string.h>
#include <time.h>

#define POLL_MS 20

static int covered_position(struct store *store, uint64_t *ret_covered, struct store_error *err)
{
    struct tables_meta meta;
    int rc = tables_meta(store->tables, &meta, err);
    if (rc == 0)
        *ret_covered = meta.covered;
    return rc;
}

// The committer of a running broker folds at intervals; nobody can be asked to hurry.
static int tables_wait(struct store *store, uint64_t end, uint32_t wait_ms, struct store_error *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
    uint64_t until_ms = os_monotonic_ms() + wait_ms, covered = 0;
    int rc = covered_position(store, &covered, err);
    while (rc == 0 && covered < end && os_monotonic_ms() < until_ms) {
        nanosleep(&pause, NULL);
        rc = covered_position(store, &covered, err);
    }
    return rc;
}

static int backup_sink(void *user, const void *data, size_t len, struct store_error *err)
{
    return archive_put(user, data, len, err);
}

int store_backup(struct store *store, uint32_t wait_ms, archive_write_fn *write, void *user,
                 struct store_backup_report *ret_report, struct store_error *err)
{
    struct store_backup_report report = {0};
    struct archive_writer writer = {.write = write, .user = user};
    struct tables_meta meta;
    uint64_t end = 0;
    int rc = store_behind(store, &meta, &report.behind_records, &end, err);
    if (rc == 0 && report.behind_records)
        rc = tables_wait(store, end, wait_ms, err);
    if (rc == 0)
        rc = tables_meta(store->tables, &meta, err);
    if (rc)
        return rc;
    if (meta.covered >= end)
        report.behind_records = 0;

    report.head = (struct archive_head){.format_version = meta.format_version,
                                        .taken_ms = os_realtime_ms(),
                                        .position = meta.covered};
    memcpy(report.head.store_id, meta.store_id, sizeof(report.head.store_id));
    if ((rc = archive_begin(&writer, &report.head, err)) ||
        (rc = tables_copy(store->tables, backup_sink, &writer, err)) ||
        (rc = archive_finish(&writer, err)))
        return error_prefix(err, "backup");
    report.bytes = writer.bytes;
    *ret_report = report;
    return 0;
}
