// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_internal.h"

#include "deferral.h"
#include "replay.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SYNC_INTERVAL_DEFAULT_MS 100u
#define COMMIT_INTERVAL_DEFAULT_MS 1000u
#define SEGMENT_DEFAULT_BYTES (16u * 1024u * 1024u)
#define JOURNAL_MAX_DEFAULT_BYTES (1024u * 1024u * 1024u)
#define COMPRESSION_DEFAULT_LEVEL 1
// The writer's segment, one ready, one the tables read, one to spare.
#define JOURNAL_MIN_SEGMENTS 4u
#define MARGIN_MIN_BYTES ((uint64_t)1024 * 1024)
#define MARGIN_MAX_BYTES ((uint64_t)4 * 1024 * 1024)
// A disk with so many segments free has plenty of room.
#define PLENTY_SEGMENTS 64u
#define PLENTY_MIN_BYTES ((uint64_t)1024 * 1024 * 1024)
#define STRETCH_MAX_BYTES (16u * 1024u * 1024u)

static void store_notice(void *user, enum store_notice_level level, const char *sentence)
{
    struct store *store = user;
    if (!store->options.notice)
        return;
    pthread_mutex_lock(&store->notice_lock);
    store->options.notice(store->options.notice_user, level, sentence);
    pthread_mutex_unlock(&store->notice_lock);
}

static int options_complete(struct store_options *options, struct store_error *err)
{
    if (!options->path || !options->path[0])
        return error_set(err, STORE_EINVAL, "no store folder was given");
    if (!options->sync_interval_ms)
        options->sync_interval_ms = SYNC_INTERVAL_DEFAULT_MS;
    if (!options->commit_interval_ms)
        options->commit_interval_ms = COMMIT_INTERVAL_DEFAULT_MS;
    if (!options->journal_segment_bytes)
        options->journal_segment_bytes = SEGMENT_DEFAULT_BYTES;
    if (!options->journal_max_bytes)
        options->journal_max_bytes = JOURNAL_MAX_DEFAULT_BYTES;
    if (!options->compression_level)
        options->compression_level = COMPRESSION_DEFAULT_LEVEL;
    if (!options->holder)
        options->holder = "a program that uses the store library";
    // A mapping and an offset in a page want whole pages.
    options->journal_segment_bytes = (options->journal_segment_bytes + 4095) & ~(uint64_t)4095;
    if (options->journal_segment_bytes < SEGMENT_MIN_BYTES ||
        options->journal_segment_bytes > SEGMENT_MAX_BYTES / 2)
        return error_set(err, STORE_EINVAL,
                         "journal_segment_bytes %llu is out of range: %u to %u are allowed",
                         (unsigned long long)options->journal_segment_bytes, SEGMENT_MIN_BYTES,
                         (unsigned)(SEGMENT_MAX_BYTES / 2));
    if (options->journal_max_bytes < JOURNAL_MIN_SEGMENTS * options->journal_segment_bytes)
        return error_set(err, STORE_EINVAL,
                         "journal_max_bytes %llu is too small: %u segments of %llu bytes must fit",
                         (unsigned long long)options->journal_max_bytes, JOURNAL_MIN_SEGMENTS,
                         (unsigned long long)options->journal_segment_bytes);
    return 0;
}

struct folder_look {
    bool has_tables;
    char foreign[64]; // a name that is not ours, "": none
};

static int folder_look_at(void *user, const char *name)
{
    static const char *const ours[] = {LOCK_NAME,   TABLES_NAME, "lock.mdb", SEGMENT_PREPARE_NAME,
                                       CREATE_NAME, COMPACT_NAME};
    struct folder_look *look = user;
    uint64_t number;
    bool known = segment_name_parse(name, &number) || strncmp(name, "torn-", 5) == 0 ||
                 strncmp(name, SPARE_PREFIX, strlen(SPARE_PREFIX)) == 0;
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        known |= strcmp(name, ours[i]) == 0;
    if (strcmp(name, TABLES_NAME) == 0)
        look->has_tables = true;
    if (!known && !look->foreign[0]) {
        size_t len =
            strlen(name) < sizeof(look->foreign) ? strlen(name) : sizeof(look->foreign) - 1;
        memcpy(look->foreign, name, len);
    }
    return 0;
}

// Makes the tables under another name: LMDB's own beginning is a file without a head, and one that
// was cut short there could not be told from a damaged store.
static int store_tables_make(struct store *store, struct tables_options *options,
                             struct store_error *err)
{
    struct tables *tables = NULL;
    int rc = os_dir_remove(store->dir, CREATE_NAME, err);
    options->create = true;
    options->name = SEEDED(CREATED_IN_PLACE) ? NULL : CREATE_NAME;
    if (rc || (rc = os_random(options->store_id, sizeof(options->store_id), err)) ||
        (rc = os_random(options->secret, sizeof(options->secret), err)) ||
        (rc = tables_open(&tables, options, err)))
        return rc;
    tables_close(tables);
    options->create = false;
    options->name = NULL;
    if (!SEEDED(CREATED_IN_PLACE) &&
        (rc = os_dir_rename(store->dir, CREATE_NAME, TABLES_NAME, err)))
        return rc;
    return os_dir_sync(store->dir, err);
}

static int reader_tables_open(struct store *store, const struct tables_options *options,
                              struct store_error *err)
{
    store->unseen = os_dir_is_read_only(store->dir, "lock.mdb");
    int rc = store->unseen ? store_unseen_refuse(store, err) : 0;
    if (rc || (rc = lock_names(store->dir, false, err)))
        return rc;
    rc = tables_open(&store->tables, options, err);
    lock_names_end(store->dir);
    // What was read is a writer's doing, should one have come.
    if (rc && store->unseen && store_unseen_refuse(store, NULL) == STORE_EHELD)
        rc = store_unseen_refuse(store, err);
    return rc;
}

// A new store is only made in a folder that holds nothing else.
static int store_tables_open(struct store *store, struct store_error *err)
{
    struct tables_options options = {
        .path = store->options.path,
        .read_only = store->options.access == STORE_READ_ONLY,
        .first_position = position_of(1, SEGMENT_HEADER_BYTES),
        .compression = store->options.compression,
        .compression_level = store->options.compression_level,
    };
    struct folder_look look = {0};
    int rc = os_dir_list(store->dir, folder_look_at, &look, err);
    if (rc)
        return rc;
    if (!look.has_tables) {
        if (look.foreign[0])
            return error_set(err, STORE_EFOREIGN,
                             "%s is not a store and holds other files (%s); use an empty folder",
                             store->options.path, look.foreign);
        if (!store->options.create || options.read_only)
            return error_set(err, STORE_ENOSTORE, "there is no store at %s", store->options.path);
        store->recovery.created = true;
        if ((rc = os_dir_sync_name(store->dir, err)) ||
            (rc = store_tables_make(store, &options, err)))
            return rc;
    }
    // They came after the look that decides on the lock: a restore has just ended.
    if (!options.read_only && !store->lock)
        return error_set(err, STORE_EHELD, "a store was restored to %s meanwhile; try again",
                         store->options.path);
    return options.read_only ? reader_tables_open(store, &options, err)
                             : tables_open(&store->tables, &options, err);
}

static int store_recover(struct store *store, struct replay_result *ret_replay,
                         struct store_error *err)
{
    struct tables_meta meta;
    int rc = tables_meta(store->tables, &meta, err);
    if (rc)
        return rc;
    memcpy(store->store_id, meta.store_id, sizeof(store->store_id));
    store->life = meta.life;
    store->opened_covered = meta.covered;
    if (store->options.access == STORE_READ_ONLY)
        return 0;
    if (store->cut)
        rc = replay_cut(store->dir, store->tables, meta.store_id, meta.covered,
                        store->cut->position, ret_replay, err);
    else
        rc = replay_run(store->dir, store->tables, meta.store_id, meta.covered, ret_replay, err);
    if (rc)
        return rc;
    store->recovery.records = ret_replay->extent.records;
    store->recovery.torn_bytes = ret_replay->extent.torn_bytes;
    memcpy(store->recovery.torn_file, ret_replay->torn_file, sizeof(store->recovery.torn_file));
    rc = tables_meta(store->tables, &meta, err);
    store->recovery.clean = meta.clean;
    return rc;
}

static int segment_drop(struct store *store, uint64_t number, struct spares *spares,
                        struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    if (spares)
        return spares_take(spares, store->dir, number, err);
    segment_name(number, name);
    return os_dir_remove(store->dir, name, err);
}

// Leaves the segments from `first` to `last`. Those behind go one by one, the highest first: a
// crash in between must not leave a gap, which would look like a segment that was lost. Some become
// spares; NULL: none.
static int segments_remove_outside(struct store *store, uint64_t first, uint64_t last,
                                   struct spares *spares, struct store_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(store->dir, &numbers, &count, err);
    for (size_t left = count; rc == 0 && left > 0; left--) {
        size_t i = SEEDED(REMOVED_UPWARDS) ? count - left : left - 1;
        if (numbers[i] < first || numbers[i] > last)
            rc = segment_drop(store, numbers[i], spares, err);
        if (rc == 0 && numbers[i] > last && !SEEDED(REMOVED_UPWARDS))
            rc = os_dir_sync(store->dir, err);
    }
    free(numbers);
    return rc;
}

// Segments from the end of a journal that was cut get names under which nobody reads them.
static int segments_keep_aside(struct store *store, uint64_t end, uint64_t before,
                               struct store_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(store->dir, &numbers, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        char name[SEGMENT_NAME_BYTES], aside[64];
        if (numbers[i] < position_segment(end) || numbers[i] >= before ||
            segment_is_blank(store->dir, numbers[i]))
            continue;
        uint64_t offset = numbers[i] == position_segment(end) ? position_offset(end) : 0;
        segment_name(numbers[i], name);
        torn_name(numbers[i], offset, aside, sizeof(aside));
        rc = os_dir_rename(store->dir, name, aside, err);
    }
    free(numbers);
    return rc ? rc : os_dir_sync(store->dir, err);
}

// In proportion to a small device.
static int store_room_open(struct store *store, struct store_error *err)
{
    uint64_t bytes = store->options.journal_segment_bytes / 4;
    uint64_t margin = bytes < MARGIN_MIN_BYTES ? MARGIN_MIN_BYTES : bytes;
    if (margin > MARGIN_MAX_BYTES)
        margin = MARGIN_MAX_BYTES;
    return room_open(&store->room, store->dir, store->tables, margin, bytes, err);
}

// A small journal must be folded in before it is full, however long the interval is. Half of this
// wakes the committer.
static uint64_t stretch_bytes(const struct store_options *options)
{
    uint64_t bytes = options->journal_max_bytes / 4;
    return bytes < STRETCH_MAX_BYTES ? bytes : STRETCH_MAX_BYTES;
}

// Most of the journal is for what comes while the tables are busy with what was deferred.
static uint64_t defer_bytes(const struct store_options *options)
{
    uint64_t bytes = options->journal_max_bytes / 4;
    return bytes < DEFERRAL_MAX_BYTES ? bytes : DEFERRAL_MAX_BYTES;
}

// What lies before the first segment of this life is in the tables: the journal may have the files.
static int last_segments_drop(struct store *store, uint64_t number, struct store_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(store->dir, &numbers, &count, err);
    for (size_t i = 0; rc == 0 && i < count && numbers[i] < number; i++)
        rc = journal_take_over(store->journal, numbers[i], err);
    free(numbers);
    return rc;
}

static int store_begin_writing(struct store *store, const struct replay_result *replay,
                               struct store_error *err)
{
    const struct store_options *options = &store->options;
    uint64_t number = replay->extent.next_number;
    struct fold *nothing = NULL;

    // What lies before the end is in the tables; segments behind it were prepared and never used,
    // and stand in the way of the next number. Those behind a cut do not.
    uint64_t last = position_segment(replay->extent.end);
    struct spares spares;
    spares_find(&spares, store->dir);
    int rc = store->cut ? 0 : segments_remove_outside(store, last, last, &spares, err);
    if (rc == 0)
        rc = tables_begin_life(store->tables, &store->life, err);
    if (rc == 0)
        rc = store_room_open(store, err);
    if (rc)
        return rc;
    struct journal_options journal = {
        .dir = store->dir,
        .room = store->room,
        .spares = spares,
        .life = store->life,
        .next_number = number,
        .link = {.previous_end = replay->extent.end,
                 .previous_checksum = replay->extent.end_checksum},
        .sync = options->sync,
        .sync_interval_ms = options->sync_interval_ms,
        .segment_bytes = options->journal_segment_bytes,
        .max_bytes = options->journal_max_bytes,
        .keeper_waits = true,
        .notice = store_notice,
        .notice_user = store,
    };
    memcpy(journal.store_id, store->store_id, sizeof(journal.store_id));
    uint64_t first_position = position_of(number, SEGMENT_HEADER_BYTES);
    tables_set_caught_up(store->tables, os_realtime_ms());
    if ((rc = fold_new(&nothing, err)) ||
        (SEEDED(POSITION_BEFORE_JOURNAL) &&
         (rc = tables_apply(store->tables, nothing, first_position, false, err))) ||
        (rc = journal_open(&store->journal, &journal, err)) ||
        (SEEDED(REMOVED_BEFORE_APPLIED) && (rc = last_segments_drop(store, number, err))) ||
        (rc = tables_apply(store->tables, nothing, first_position, false, err)) ||
        (store->cut && (rc = segments_keep_aside(store, replay->extent.end, number, err))) ||
        (rc = last_segments_drop(store, number, err)))
        goto done;
    journal_start_keeper(store->journal);

    struct committer_options committer = {
        .journal = store->journal,
        .tables = store->tables,
        .room = store->room,
        .from = first_position,
        .commit_interval_ms = options->commit_interval_ms,
        .stretch_bytes = stretch_bytes(options),
        .defer_bytes = defer_bytes(options),
        .writer = os_thread_self(),
        .notice = store_notice,
        .notice_user = store,
    };
    rc = committer_open(&store->committer, &committer, err);

done:
    fold_free(nothing);
    return rc;
}

// Removes the segments that nobody needs, where those up to `last` hold something.
static int segments_clear(struct store *store, uint64_t covered, uint64_t last)
{
    struct spares spares;
    spares_find(&spares, store->dir);
    int rc = segments_remove_outside(store, position_segment(covered), last, NULL, NULL);
    return rc ? rc : spares_remove(&spares, store->dir, NULL);
}

// On a full disk. Whether that made any difference.
static bool store_make_room(struct store *store)
{
    struct tables_meta meta;
    struct journal_extent extent;
    uint64_t before_bytes = 0, after_bytes = 0;
    return os_dir_free_bytes(store->dir, &before_bytes, NULL) == 0 &&
           tables_meta(store->tables, &meta, NULL) == 0 &&
           journal_scan(store->dir, store->store_id, meta.covered, &extent, NULL) == 0 &&
           segments_clear(store, meta.covered, position_segment(extent.end)) == 0 &&
           os_dir_free_bytes(store->dir, &after_bytes, NULL) == 0 && after_bytes > before_bytes;
}

// After a clean stop nothing needs room any more. Where the disk has so much that the next start
// finds it again, it does not keep it either.
static void store_give_back(struct store *store)
{
    uint64_t free_bytes = 0;
    uint64_t plenty = PLENTY_SEGMENTS * store->options.journal_segment_bytes;
    if (os_dir_free_bytes(store->dir, &free_bytes, NULL) || free_bytes < PLENTY_MIN_BYTES ||
        free_bytes < plenty)
        return;
    room_give_back(store->room);
    // The stop mark ends the journal, and the tables have it.
    struct tables_meta meta;
    if (tables_meta(store->tables, &meta, NULL) == 0)
        (void)segments_clear(store, meta.covered, position_segment(meta.covered));
}

static void store_end_writing(struct store *store, bool give_back)
{
    committer_close(store->committer);
    journal_close(store->journal);
    if (give_back)
        store_give_back(store);
    room_close(store->room);
    store->committer = NULL;
    store->journal = NULL;
    store->room = NULL;
}

static int store_recover_and_begin(struct store *store, struct store_error *err)
{
    for (;;) {
        struct replay_result replay = {0};
        int rc = store_recover(store, &replay, err);
        if (rc == 0 && store->options.access == STORE_READ_WRITE)
            rc = store_begin_writing(store, &replay, err);
        if (rc != STORE_ENOSPC || store->options.access == STORE_READ_ONLY)
            return rc;
        store_end_writing(store, false);
        if (!store_make_room(store))
            return rc;
    }
}

static void store_waits(void *user, const char *holder)
{
    char sentence[LOCK_HOLDER_BYTES + 64];
    snprintf(sentence, sizeof(sentence), "waiting for %s, which holds the store", holder);
    store_notice(user, STORE_NOTICE_WARNING, sentence);
}

int store_open_cut(struct store **ret_store, const struct store_options *options,
                   const struct store_cut *cut, struct store_error *err)
{
    struct store *store = calloc(1, sizeof(*store));
    if (!store)
        return error_set(err, STORE_ENOMEM, "out of memory");
    pthread_mutex_init(&store->notice_lock, NULL);
    store->options = *options;
    store->cut = cut;
    int rc = options_complete(&store->options, err);
    if (rc)
        goto done;
    options = &store->options;

    bool read_only = options->access == STORE_READ_ONLY;
    unsigned flags = (options->create && !read_only ? OS_DIR_CREATE : 0u) |
                     (options->must_own ? OS_DIR_MUST_OWN : 0u) |
                     (options->allow_network_filesystem ? OS_DIR_ALLOW_NETWORK : 0u);
    if ((rc = os_dir_open(&store->dir, options->path, flags, err)))
        goto done;
    if (!read_only) {
        // The lock file must not be left in a folder that is not to become a store.
        struct folder_look look = {0};
        if ((rc = os_dir_list(store->dir, folder_look_at, &look, err)))
            goto done;
        if (look.has_tables || (options->create && !look.foreign[0])) {
            rc = lock_wait(&store->lock, store->dir, options->holder, options->lock_wait_ms,
                           store_waits, store, err);
            if (rc)
                goto done;
            // A compaction that was cut short.
            if ((rc = os_dir_remove(store->dir, COMPACT_NAME, err)))
                goto done;
        }
    }
    if ((rc = store_tables_open(store, err)) ||
        (options->check_values && (rc = tables_check(store->tables, err))) ||
        (rc = store_recover_and_begin(store, err)))
        goto done;

done:
    if (rc) {
        store_close(store, false, NULL);
        return rc;
    }
    *ret_store = store;
    return 0;
}

int store_open(struct store **ret_store, const struct store_options *options,
               struct store_error *err)
{
    return store_open_cut(ret_store, options, NULL, err);
}

// The stop mark, and everything before it, goes into the tables.
static int store_stop(struct store *store, struct store_error *err)
{
    struct event mark = {.type = RECORD_STOP_MARK};
    int rc = journal_append(store->journal, &mark, err);
    if (rc == 0)
        rc = committer_flush(store->committer, err);
    return rc;
}

int store_close(struct store *store, bool clean, struct store_error *err)
{
    int rc = 0;
    if (!store)
        return 0;
    bool stopped = clean && store->committer;
    if (stopped)
        rc = store_stop(store, err);
    store_end_writing(store, stopped && rc == 0);
    tables_close(store->tables);
    lock_close(store->lock);
    os_dir_close(store->dir);
    pthread_mutex_destroy(&store->notice_lock);
    free(store);
    return rc;
}

uint64_t store_cmsg_id(const struct store *store, uint64_t cmsg_id)
{
    if (cmsg_id >> STORE_CMSG_LIFE_SHIFT)
        return cmsg_id;
    return store->life << STORE_CMSG_LIFE_SHIFT | cmsg_id;
}

int store_append(struct store *store, const struct event *event, struct store_error *err)
{
    if (!store->journal)
        return error_set(err, STORE_EREADONLY, "the store was opened for reading");
    switch (event->type) {
    case RECORD_QUEUE_ADD:
    case RECORD_QUEUE_DELETE:
    case RECORD_QUEUE_UPDATE: {
        uint64_t cmsg_id = store_cmsg_id(store, event->queued.cmsg_id);
        if (cmsg_id == event->queued.cmsg_id)
            break;
        struct event raised = *event;
        raised.queued.cmsg_id = cmsg_id;
        return journal_append(store->journal, &raised, err);
    }
    default:
        break;
    }
    return journal_append(store->journal, event, err);
}

int store_admit(struct store *store, uint64_t bytes, struct store_error *err)
{
    if (!store->journal)
        return error_set(err, STORE_EREADONLY, "the store was opened for reading");
    return journal_admit(store->journal, bytes, err);
}

uint32_t store_tick(struct store *store)
{
    return store->journal ? journal_tick(store->journal) : 0;
}

int store_flush(struct store *store, struct store_error *err)
{
    return store->committer ? committer_flush(store->committer, err) : 0;
}

void store_reconfigure(struct store *store, const struct store_options *options)
{
    struct store_options merged = store->options;
    merged.sync = options->sync;
    merged.sync_interval_ms = options->sync_interval_ms;
    merged.commit_interval_ms = options->commit_interval_ms;
    merged.journal_max_bytes = options->journal_max_bytes;
    merged.compression = options->compression;
    merged.compression_level = options->compression_level;
    if (options_complete(&merged, NULL) || !store->journal)
        return;
    store->options = merged;
    journal_reconfigure(store->journal, merged.sync, merged.sync_interval_ms,
                        merged.journal_max_bytes);
    committer_reconfigure(store->committer, merged.commit_interval_ms, defer_bytes(&merged));
    tables_set_compression(store->tables, merged.compression, merged.compression_level);
}

int store_view_open(struct store_view **ret_view, struct store *store, struct store_error *err)
{
    return tables_view_open(ret_view, store->tables, err);
}

const struct store_recovery *store_recovery(const struct store *store)
{
    return &store->recovery;
}

const char *store_library_versions(void)
{
    return tables_library_versions();
}
