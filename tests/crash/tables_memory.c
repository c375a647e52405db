// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "tables_memory.h"

#include "os_memory.h"
#include "store/tables.h"

#include <stdlib.h>
#include <string.h>

#define ID_MASK (((uint64_t)1 << STORE_CMSG_LIFE_SHIFT) - 1)

struct fold {
    uint64_t ids[1024];
    size_t count;
    bool empty; // nothing in it would change a table
};

struct tables {
    struct disk *disk;
    struct memory_tables *on_disk;
    struct os_file *file;
};

uint64_t event_id(const struct event *event)
{
    switch (event->type) {
    case RECORD_MESSAGE_ADD:
    case RECORD_MESSAGE_DELETE:
        return event->message.store_id;
    case RECORD_QUEUE_ADD:
        return event->queued.cmsg_id & ID_MASK;
    case RECORD_LOOP_MARK:
    case RECORD_STOP_MARK:
    case RECORD_SEGMENT_LINK:
        return 0;
    default:
        return UINT64_MAX; // no workload appends this
    }
}

void memory_tables_copy(struct memory_tables *dst, const struct memory_tables *src)
{
    *dst = *src;
    dst->room = src->count;
    dst->ids = malloc((src->count + 1) * sizeof(*dst->ids));
    if (!dst->ids)
        abort();
    if (src->count > 0)
        memcpy(dst->ids, src->ids, src->count * sizeof(*dst->ids));
}

void memory_tables_release(struct memory_tables *tables)
{
    free(tables->ids);
    tables->ids = NULL;
    tables->count = tables->room = 0;
}

static void ids_add(struct memory_tables *tables, const uint64_t *ids, size_t count)
{
    if (tables->count + count > tables->room) {
        tables->room = (tables->count + count) * 2;
        tables->ids = realloc(tables->ids, tables->room * sizeof(*tables->ids));
        if (!tables->ids)
            abort();
    }
    for (size_t i = 0; i < count; i++) {
        if (!event_id_vanishes(ids[i]))
            tables->ids[tables->count++] = ids[i];
    }
}

int fold_new(struct fold **ret_fold, struct store_error *err)
{
    (void)err;
    *ret_fold = calloc(1, sizeof(**ret_fold));
    if (!*ret_fold)
        abort();
    (*ret_fold)->empty = true;
    return 0;
}

void fold_free(struct fold *fold)
{
    free(fold);
}

int fold_add(struct fold *fold, const struct event *event, struct store_error *err)
{
    uint64_t id = event_id(event);
    if (id == 0)
        return 0;
    if (fold->count == sizeof(fold->ids) / sizeof(fold->ids[0]))
        return error_set(err, STORE_ENOMEM, "a workload of the test is too long");
    fold->ids[fold->count++] = id;
    fold->empty = fold->empty && event_id_vanishes(id);
    return 0;
}

bool fold_is_empty(const struct fold *fold)
{
    return fold->empty;
}

void fold_clear(struct fold *fold)
{
    fold->count = 0;
    fold->empty = true;
}

int tables_open(struct tables **ret_tables, const struct tables_options *options,
                struct store_error *err)
{
    struct disk *disk = disk_selected();
    struct os_dir *dir = NULL;
    struct tables *tables = calloc(1, sizeof(*tables));
    if (!tables)
        abort();
    tables->disk = disk;
    tables->on_disk = disk->tables;
    int rc = os_dir_open(&dir, options->path, 0, err);
    if (rc == 0)
        rc = os_file_open(&tables->file, dir, options->name ? options->name : "data.mdb",
                          OS_READ | (options->create ? OS_WRITE | OS_CREATE : 0u), err);
    os_dir_close(dir);
    if (rc) {
        tables_close(tables);
        return rc;
    }
    if (options->create) {
        memory_tables_release(tables->on_disk);
        *tables->on_disk = (struct memory_tables){.covered = options->first_position};
        memcpy(tables->on_disk->store_id, options->store_id, 16);
    }
    *ret_tables = tables;
    return 0;
}

void tables_close(struct tables *tables)
{
    if (!tables)
        return;
    os_file_close(tables->file);
    free(tables);
}

int tables_meta(struct tables *tables, struct tables_meta *ret_meta, struct store_error *err)
{
    int rc = disk_call(tables->disk, "read the tables", err);
    if (rc)
        return rc;
    *ret_meta = (struct tables_meta){.format_version = STORE_FORMAT_VERSION,
                                     .life = tables->on_disk->life,
                                     .covered = tables->on_disk->covered,
                                     .clean = tables->on_disk->clean};
    memcpy(ret_meta->store_id, tables->on_disk->store_id, 16);
    return 0;
}

int tables_begin_life(struct tables *tables, uint64_t *ret_life, struct store_error *err)
{
    disk_point(tables->disk);
    int rc = disk_call(tables->disk, "commit to the tables", err);
    if (rc)
        return rc;
    *ret_life = ++tables->on_disk->life;
    tables->on_disk->clean = false;
    disk_point(tables->disk);
    return 0;
}

void tables_train(struct tables *tables, struct fold *fold)
{
    (void)tables;
    (void)fold;
}

void tables_set_caught_up(struct tables *tables, int64_t caught_up_ms)
{
    (void)tables;
    (void)caught_up_ms;
}

int tables_apply(struct tables *tables, struct fold *fold, uint64_t covered, bool clean,
                 struct store_error *err)
{
    disk_point(tables->disk);
    int rc = disk_call(tables->disk, "commit to the tables", err);
    if (rc)
        return rc;
    ids_add(tables->on_disk, fold->ids, fold->count);
    tables->on_disk->covered = covered;
    tables->on_disk->clean = clean;
    disk_point(tables->disk);
    return 0;
}

void tables_set_compression(struct tables *tables, enum store_compression compression, int level)
{
    (void)tables;
    (void)compression;
    (void)level;
}

int tables_stats(struct tables *tables, struct store_stats *stats, struct store_error *err)
{
    (void)tables;
    (void)err;
    stats->sessions = 1;
    return 0;
}

unsigned tables_run_class(uint64_t value_bytes)
{
    (void)value_bytes;
    return 0;
}

void tables_map_reach(struct tables *tables, uint64_t file_bytes)
{
    (void)tables;
    (void)file_bytes;
}

int tables_room(struct tables *tables, bool count_free, struct tables_room *ret_room,
                struct store_error *err)
{
    (void)tables;
    (void)count_free;
    (void)err;
    *ret_room = (struct tables_room){.map_bytes = UINT64_MAX, .sessions = 1};
    return 0;
}

int tables_check(struct tables *tables, struct store_error *err)
{
    (void)tables;
    (void)err;
    return 0;
}

void tables_check_readers(struct tables *tables)
{
    (void)tables;
}

int tables_view_open(struct store_view **ret_view, struct tables *tables, struct store_error *err)
{
    (void)ret_view;
    (void)tables;
    return error_set(err, STORE_EINVAL, "these tables have no view");
}

const char *tables_library_versions(void)
{
    return "memory";
}
