// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "replay.h"

#include "fold.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>

struct replay {
    struct tables *tables;
    struct fold *fold;
    uint64_t applied;
    uint64_t stretch_bytes; // after so many it is applied within a segment
    bool ends_with_stop;
};

// On a full disk, where the pages that one transaction frees must serve another.
#define STRETCH_MIN_BYTES ((uint64_t)4096)

static int stretch_apply(struct replay *replay, uint64_t position, struct store_error *err)
{
    if (position == replay->applied)
        return 0;
    int rc = tables_apply(replay->tables, replay->fold, position, replay->ends_with_stop, err);
    if (rc)
        return rc;
    fold_clear(replay->fold);
    replay->applied = position;
    return 0;
}

static int replay_event(void *user, const struct event *event, uint64_t position,
                        struct store_error *err)
{
    struct replay *replay = user;
    bool same_segment = position_segment(position) == position_segment(replay->applied);
    if (same_segment && position - replay->applied >= replay->stretch_bytes) {
        int rc = stretch_apply(replay, position, err);
        if (rc)
            return rc;
    }
    if (event->type != RECORD_LOOP_MARK && event->type != RECORD_SEGMENT_LINK)
        replay->ends_with_stop = event->type == RECORD_STOP_MARK;
    return fold_add(replay->fold, event, err);
}

static int replay_segment_done(void *user, uint64_t position, struct store_error *err)
{
    return stretch_apply(user, position, err);
}

void torn_name(uint64_t number, uint64_t offset, char *dst, size_t size)
{
    snprintf(dst, size, "torn-%010llu-%llu.bin", (unsigned long long)number,
             (unsigned long long)offset);
}

// A cut tail was never acknowledged as durable, but a person may want to look at it.
static int torn_keep(struct os_dir *dir, const uint8_t store_id[16],
                     const struct journal_extent *extent, char *ret_name, size_t name_bytes,
                     struct store_error *err)
{
    struct segment_image image = {0};
    struct os_file *file = NULL;
    uint64_t number = position_segment(extent->end), offset = position_offset(extent->end);
    int rc = segment_image_load(&image, dir, number, store_id, err);
    if (rc)
        return rc;
    uint64_t bytes = image.header.bytes - offset;
    if (bytes > extent->torn_bytes)
        bytes = extent->torn_bytes;
    torn_name(number, offset, ret_name, name_bytes);
    if ((rc = os_file_open(&file, dir, ret_name, OS_READ | OS_WRITE | OS_CREATE, err)) == 0 &&
        (rc = os_file_write(file, 0, image.data + offset, (size_t)bytes, err)) == 0 &&
        (rc = os_file_sync(file, err)) == 0)
        rc = os_dir_sync(dir, err);
    os_file_close(file);
    segment_image_release(&image);
    return rc;
}

// A segment at a time; in ever smaller stretches if the tables have no room for more at once.
static int replay_all(struct replay *replay, struct os_dir *dir, const uint8_t store_id[16],
                      uint64_t end, struct store_error *err)
{
    struct journal_reader reader = {
        .event = replay_event, .segment_done = replay_segment_done, .user = replay};
    for (;;) {
        int rc = journal_replay(dir, store_id, replay->applied, end, &reader, err);
        if (rc != STORE_ENOSPC || replay->stretch_bytes <= STRETCH_MIN_BYTES)
            return rc;
        replay->stretch_bytes =
            replay->stretch_bytes == UINT64_MAX ? 1024 * 1024 : replay->stretch_bytes / 4;
        fold_clear(replay->fold);
        // A transaction that changes nothing lets the next one have what the last one freed.
        (void)tables_apply(replay->tables, replay->fold, replay->applied, false, NULL);
    }
}

static int replay_apply(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16],
                        uint64_t from, uint64_t end, struct store_error *err)
{
    struct replay replay = {.tables = tables, .applied = from, .stretch_bytes = UINT64_MAX};
    int rc = fold_new(&replay.fold, err);
    if (rc == 0)
        rc = replay_all(&replay, dir, store_id, end, err);
    fold_free(replay.fold);
    return rc;
}

int replay_run(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16], uint64_t from,
               struct replay_result *ret_result, struct store_error *err)
{
    struct replay_result result = {0};
    int rc = journal_scan(dir, store_id, from, &result.extent, err);
    if (rc)
        return rc;
    if (result.extent.torn_bytes && !SEEDED(TORN_NOT_KEPT))
        rc = torn_keep(dir, store_id, &result.extent, result.torn_file, sizeof(result.torn_file),
                       err);
    if (rc == 0)
        rc = replay_apply(dir, tables, store_id, from, result.extent.end, err);
    if (rc == 0)
        *ret_result = result;
    return rc;
}

int replay_cut(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16], uint64_t from,
               uint64_t end, struct replay_result *ret_result, struct store_error *err)
{
    struct journal_cut cut;
    int rc = journal_cut_find(dir, store_id, from, &cut, err);
    if (rc == 0 && cut.extent.end != end)
        rc = error_set(err, STORE_EINVAL, "the journal changed meanwhile; nothing was cut");
    if (rc == 0)
        rc = replay_apply(dir, tables, store_id, from, end, err);
    if (rc == 0)
        *ret_result = (struct replay_result){.extent = cut.extent};
    return rc;
}
