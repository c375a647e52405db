// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "maintain.h"

#include "seeded.h"
#include "store_internal.h"
#include "tables_copy.h"

struct compact_sink {
    struct os_file *file;
    uint64_t bytes;
    void (*step)(void *user);
    void *user;
};

static int compact_write(void *user, const void *data, size_t len, struct store_error *err)
{
    struct compact_sink *sink = user;
    int rc = os_file_write(sink->file, sink->bytes, data, len, err);
    sink->bytes += len;
    if (sink->step)
        sink->step(sink->user);
    return rc;
}

static int file_bytes(struct os_dir *dir, const char *name, uint64_t *ret_bytes,
                      struct store_error *err)
{
    struct os_file *file = NULL;
    int rc = os_file_open(&file, dir, name, OS_READ, err);
    if (rc == 0)
        rc = os_file_size(file, ret_bytes, err);
    os_file_close(file);
    return rc;
}

int store_compact(const struct store_options *options, void (*step)(void *user), void *user,
                  struct store_compact_report *ret_report, struct store_error *err)
{
    struct store_options recover = *options;
    struct store_compact_report report = {0};
    struct compact_sink sink = {.step = step, .user = user};
    struct store *store = NULL;
    recover.access = STORE_RECOVER;
    recover.create = false;
    int rc = store_open(&store, &recover, err);
    if (rc)
        return rc;
    struct os_dir *dir = store->dir;
    if ((rc = file_bytes(dir, TABLES_NAME, &report.before_bytes, err)) ||
        (rc = os_dir_remove(dir, COMPACT_NAME, err)) ||
        (rc = os_file_open(&sink.file, dir, COMPACT_NAME,
                           OS_READ | OS_WRITE | OS_CREATE | OS_EXCLUSIVE, err)) ||
        (rc = tables_copy(store->tables, compact_write, &sink, err)) ||
        (!SEEDED(COMPACT_NOT_SYNCED) && (rc = os_file_sync(sink.file, err))))
        goto done;
    tables_close(store->tables);
    store->tables = NULL;
    // LMDB keeps the number of the last transaction in lock.mdb as long as a reader has it open,
    // and the new file begins anew: nobody may bring the two together. Without lock.mdb a new one
    // is made, and must not be beside the old tables.
    if ((!SEEDED(COMPACT_NOT_ALONE) && (rc = lock_names(dir, true, err))) ||
        (rc = os_dir_remove(dir, "lock.mdb", err)) || (rc = os_dir_sync(dir, err)) ||
        (rc = os_dir_rename(dir, COMPACT_NAME, TABLES_NAME, err)) || (rc = os_dir_sync(dir, err)))
        goto done;
    report.after_bytes = sink.bytes;
    *ret_report = report;

done:
    lock_names_end(dir);
    if (rc)
        os_dir_remove(dir, COMPACT_NAME, NULL);
    os_file_close(sink.file);
    store_close(store, false, NULL);
    return rc;
}
