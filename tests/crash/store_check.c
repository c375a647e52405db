// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_check.h"

#include "lmdb_disk.h"
#include "schedule.h"
#include "store/journal_scan.h"
#include "store/record.h"
#include "store/store_internal.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NESTED_ONE_IN 40u // places of a recovery at which the next recovery is run as a whole

void store_check_init(struct store_check *check, const struct store_run *run, unsigned depth,
                      uint64_t seed, unsigned round)
{
    *check = (struct store_check){
        .run = run, .depth = depth, .last_end = UINT64_MAX, .seed = seed, .round = round};
    check->crash = crash_new();
    check->folder = folder_make();
    lmdb_disk_attach(crash_disk(check->crash), check->folder);
    struct disk *before = disk_select(crash_disk(check->crash));
    os_dir_open(&check->dir, check->folder, 0, NULL);
    disk_select(before);
}

void store_check_release(struct store_check *check)
{
    lmdb_disk_detach(crash_disk(check->crash));
    os_dir_close(check->dir);
    folder_remove(check->folder);
    crash_free(check->crash);
}

__attribute__((format(printf, 2, 3), noreturn)) static void
check_fail(const struct store_check *check, const char *format, ...)
{
    char what[2048], choice[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    crash_describe(check->crash, choice, sizeof(choice));
    ck_abort_msg("workload \"%s\" (%s), round or call %u, seed %llu, crash %u, at step \"%s\", %zu "
                 "events, %zu of them durable: %s\n%s",
                 check->run->workload->name, check->run->workload->steps, check->round,
                 (unsigned long long)check->seed, check->depth + 1, check->run->at, check->count,
                 check->acked, what, choice);
    __builtin_unreachable();
}

// The first line in which two texts differ.
static void text_differ(const struct store_check *check, const char *what, const char *found,
                        const char *expected)
{
    while (*found && *found == *expected) {
        found++;
        expected++;
    }
    check_fail(check, "%s: \"%.120s\" where \"%.120s\" is due", what, found, expected);
}

// Position behind an event.
static uint64_t event_end(const struct store_check *check, size_t i)
{
    uint64_t end = check->run->oracle.events[i].end;
    return end == UINT64_MAX && i + 1 == check->count ? check->last_end : end;
}

// How many events the tables hold; they must be the first ones.
static size_t tables_check_prefix(const struct store_check *check, struct tables *tables,
                                  uint64_t covered, const char *what)
{
    const struct store_oracle *oracle = &check->run->oracle;
    struct text text = {0};
    size_t held = 0;
    while (held < check->count && event_end(check, held) <= covered)
        held++;
    text_of_tables(&text, tables);
    // One that is being appended has no end yet, and may be in the tables already.
    if (held + 1 == check->count && event_end(check, held) == UINT64_MAX &&
        strcmp(text.bytes, oracle->texts[held]) != 0)
        held++;
    if (strcmp(text.bytes, oracle->texts[held]) != 0)
        text_differ(check, what, text.bytes, oracle->texts[held]);
    free(text.bytes);
    return held;
}

struct reading {
    const struct store_check *check;
    size_t next;
};

static int event_compare(void *user, const struct event *event, uint64_t position,
                         struct store_error *err)
{
    static uint8_t body[64 * 1024];
    struct reading *reading = user;
    const struct stored_event *due = &reading->check->run->oracle.events[reading->next];
    size_t bytes = 0;
    (void)position;
    if (event->type == RECORD_LOOP_MARK || event->type == RECORD_SEGMENT_LINK)
        return 0;
    if (reading->next == reading->check->count)
        return error_set(err, STORE_EDAMAGED, "there is an event that was never appended");
    ck_assert_int_eq(record_size(event, &bytes, NULL), 0);
    ck_assert_uint_le(bytes, sizeof(body));
    record_encode(event, body);
    if (event->type != due->type || bytes != due->bytes || memcmp(body, due->body, bytes) != 0)
        return error_set(err, STORE_EDAMAGED, "event %zu is not what was appended", reading->next);
    reading->next++;
    return 0;
}

static void journal_check(struct store_check *check, const struct tables_meta *meta,
                          struct reading *reading)
{
    struct store_error err = {0};
    struct journal_extent extent;
    struct journal_reader reader = {.event = event_compare, .user = reading};
    if (journal_scan(check->dir, meta->store_id, meta->covered, &extent, &err))
        check_fail(check, "scan: %s", err.sentence);
    check->end = extent.end;
    if (journal_replay(check->dir, meta->store_id, meta->covered, extent.end, &reader, &err))
        check_fail(check, "replay: %s", err.sentence);
    if (reading->next < check->acked)
        check_fail(check, "event %zu was durable and is lost", reading->next);
    if (!check->newest)
        return;
    bool in_flight = check->count && event_end(check, check->count - 1) == UINT64_MAX;
    if (reading->next + in_flight < check->count)
        check_fail(check, "event %zu is lost although no power was cut", reading->next);
    if (extent.torn_bytes)
        check_fail(check, "%llu bytes are called torn although no power was cut",
                   (unsigned long long)extent.torn_bytes);
}

size_t store_check(struct store_check *check)
{
    const struct disk *disk = crash_disk(check->crash);
    struct store_error err = {0};
    struct tables *tables = NULL;
    struct tables_meta meta;
    // Only looks: the crash's disk must stay what it is.
    struct tables_options options = {.path = check->folder, .read_only = true};
    struct reading reading = {.check = check};
    if (disk_name_find(disk->names, disk->name_count, "data.mdb") < 0) {
        // The crash came before there was a store: it will be made anew.
        if (check->acked)
            check_fail(check, "the store is gone");
        return 0;
    }
    if (tables_open(&tables, &options, &err) || tables_meta(tables, &meta, &err) ||
        tables_check(tables, &err))
        check_fail(check, "%s", err.sentence);
    reading.next = tables_check_prefix(check, tables, meta.covered, "the tables");
    tables_close(tables);
    journal_check(check, &meta, &reading);
    return reading.next;
}

// ---- recovery as a whole, and crashes in it --------------------------------------------------

struct nested {
    struct store_check check;
    struct disk disk;
    size_t recovered;
    uint64_t changes; // of the disk, at the last place
    uint64_t states;
    uint64_t *seed;
};

static void nested_place(void *user)
{
    struct nested *nested = user;
    disk_look(&nested->disk);
    if (nested->changes == nested->disk.changes)
        return;
    nested->changes = nested->disk.changes;
    schedule_begin(1, 0); // the store's threads stand still, although this takes locks
    crash_prepare(nested->check.crash, &nested->disk);
    crash_choose_random(nested->check.crash, nested->seed);
    size_t recovered = store_check(&nested->check);
    nested->states++;
    if (nested->check.depth < STORE_DEPTH_MAX && seed_next(nested->seed, NESTED_ONE_IN) == 0)
        nested->states += store_check_open(&nested->check, recovered, nested->seed);
    schedule_end();
}

static void nested_open(struct nested *nested, const char *folder, const char *what)
{
    struct store_error err = {0};
    struct store *store = NULL;
    struct store_options options = store_run_options(folder, nested->check.run->workload->sync);
    if (store_open(&store, &options, &err))
        check_fail(&nested->check, "%s: %s", what, err.sentence);
    tables_check_prefix(&nested->check, store->tables, UINT64_MAX - 1, what);
    if (store_close(store, false, &err))
        check_fail(&nested->check, "%s: %s", what, err.sentence);
}

uint64_t store_check_open(struct store_check *check, size_t recovered, uint64_t *seed)
{
    struct nested *nested = calloc(1, sizeof(*nested));
    char *folder = folder_make();
    ck_assert_ptr_nonnull(nested);
    nested->seed = seed;
    disk_copy(&nested->disk, crash_disk(check->crash));
    lmdb_disk_attach(&nested->disk, folder);
    store_check_init(&nested->check, check->run, check->depth + 1, check->seed, check->round);
    // What was found is on the disk from now on, and nothing else is.
    nested->check.count = nested->check.acked = recovered;
    nested->check.last_end = check->last_end == UINT64_MAX ? check->end : check->last_end;
    nested->disk.at_point = nested_place;
    nested->disk.at_point_user = nested;

    struct disk *before = disk_select(&nested->disk);
    uint64_t now_ms = memory_clock_ms();
    schedule_begin(seed_next(seed, UINT32_MAX), seed_next(seed, 2) ? 4 : 0);
    nested_open(nested, folder, "recovery");
    nested_open(nested, folder, "the second recovery");
    nested_place(nested);
    schedule_end();
    memory_clock_set(now_ms);
    disk_select(before);

    uint64_t states = nested->states;
    store_check_release(&nested->check);
    lmdb_disk_detach(&nested->disk);
    disk_release(&nested->disk);
    folder_remove(folder);
    free(nested);
    return states;
}
