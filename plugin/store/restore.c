// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "maintain.h"

#include "segment.h"
#include "store_internal.h"

#include <stdlib.h>
#include <string.h>

#define RESTORE_NAME "restore.tmp"

struct restore_sink {
    struct os_file *file;
    uint64_t offset;
};

static int restore_write(void *user, const void *data, size_t len, struct store_error *err)
{
    struct restore_sink *sink = user;
    int rc = os_file_write(sink->file, sink->offset, data, len, err);
    sink->offset += len;
    return rc;
}

// The lock file is left by a restore that could not lock it.
static int any_but_lock(void *user, const char *name)
{
    (void)user;
    return strcmp(name, LOCK_NAME) != 0;
}

static int folder_must_be_empty(struct os_dir *dir, struct store_error *err)
{
    int rc = os_dir_list(dir, any_but_lock, NULL, err);
    if (rc == 1)
        return error_set(err, STORE_EINVAL,
                         "%s is not empty; restore into a folder that is, or does not exist",
                         os_dir_path(dir));
    return rc;
}

// Has the folder to itself: another restore, or a broker that may make a store of its own, holds
// this lock too. No lock file is left in a folder that is not to become a store.
static int folder_take(struct os_dir *dir, struct lock **ret_lock, struct store_error *err)
{
    int rc = folder_must_be_empty(dir, err);
    if (rc || (rc = lock_open(ret_lock, dir, LOCK_BRIEF_HOLDER, err)))
        return rc;
    if ((rc = folder_must_be_empty(dir, err))) {
        lock_close(*ret_lock);
        *ret_lock = NULL;
    }
    return rc;
}

// The copy's position lies in a journal that stays with the original: begin a new one.
static int journal_begin(struct os_dir *dir, struct tables *tables, struct store_error *err)
{
    struct tables_meta meta;
    struct segment *segment = NULL;
    struct fold *nothing = NULL;
    int rc = tables_meta(tables, &meta, err);
    if (rc)
        return rc;
    struct segment_header header = {.version = FORMAT_VERSION,
                                    .number = position_segment(meta.covered) + 1,
                                    .life = meta.life,
                                    .bytes = SEGMENT_MIN_BYTES,
                                    .created_ms = os_realtime_ms()};
    memcpy(header.store_id, meta.store_id, sizeof(header.store_id));
    struct segment_zeros zeros = {.synced = true, .piece_bytes = OS_ZERO_PIECE_MAX_BYTES};
    if ((rc = segment_prepare(&segment, dir, &header, NULL, zeros, err)) == 0 &&
        (rc = fold_new(&nothing, err)) == 0)
        rc = tables_apply(tables, nothing, position_of(header.number, SEGMENT_HEADER_BYTES), false,
                          err);
    fold_free(nothing);
    segment_close(segment);
    return rc;
}

// They get their name when the journal that they need is there: nobody takes less for a store.
static int tables_take(struct os_dir *dir, struct store_error *err)
{
    struct tables *tables = NULL;
    struct tables_options options = {.path = os_dir_path(dir), .name = RESTORE_NAME};
    int rc = tables_open(&tables, &options, err);
    if (rc == 0)
        rc = tables_check(tables, err);
    if (rc == 0)
        rc = journal_begin(dir, tables, err);
    tables_close(tables);
    if (rc == 0)
        rc = os_dir_rename(dir, RESTORE_NAME, TABLES_NAME, err);
    if (rc == 0)
        rc = os_dir_sync(dir, err);
    if (rc == 0)
        rc = os_dir_sync_name(dir, err);
    return rc;
}

static int name_remove(void *user, const char *name)
{
    struct os_dir *dir = user;
    if (strcmp(name, LOCK_NAME) != 0)
        os_dir_remove(dir, name, NULL);
    return 0;
}

// All is ours as long as the lock is, which therefore goes last.
static void folder_clear(struct os_dir *dir)
{
    os_dir_list(dir, name_remove, dir, NULL);
    os_dir_remove(dir, LOCK_NAME, NULL);
}

int store_restore(const char *path, bool dry_run, const struct archive_source *source,
                  struct store_backup_report *ret_report, struct store_error *err)
{
    struct store_backup_report report = {0};
    struct restore_sink sink = {0};
    struct os_dir *dir = NULL;
    struct lock *lock = NULL;
    if (dry_run) {
        int checked = archive_read(source, NULL, NULL, &report.head, &report.bytes, err);
        if (checked == 0)
            *ret_report = report;
        return checked;
    }

    int rc = os_dir_open(&dir, path, OS_DIR_CREATE, err);
    if (rc || (rc = folder_take(dir, &lock, err)))
        goto done;
    if ((rc = os_file_open(&sink.file, dir, RESTORE_NAME,
                           OS_READ | OS_WRITE | OS_CREATE | OS_EXCLUSIVE, err)) ||
        (rc = archive_read(source, restore_write, &sink, &report.head, &report.bytes, err)) ||
        (rc = os_file_sync(sink.file, err)))
        goto done;
    rc = tables_take(dir, err);

done:
    os_file_close(sink.file);
    if (rc && lock)
        folder_clear(dir);
    lock_close(lock);
    os_dir_close(dir);
    if (rc == 0)
        *ret_report = report;
    return rc;
}
