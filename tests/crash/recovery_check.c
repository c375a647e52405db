// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "recovery_check.h"

#include "schedule.h"
#include "store/journal_scan.h"
#include "support.h"
#include "tables_memory.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NESTED_ONE_IN 150u // places of a recovery at which the next recovery is run as a whole

void recovery_check_init(struct recovery_check *check, const struct run *run, struct crash *crash,
                         uint64_t seed, unsigned round)
{
    *check = (struct recovery_check){.run = run, .crash = crash, .seed = seed, .round = round};
    struct disk *before = disk_select(crash_disk(crash));
    os_dir_open(&check->dir, "memory", 0, NULL);
    disk_select(before);
}

void recovery_check_release(struct recovery_check *check)
{
    os_dir_close(check->dir);
}

__attribute__((format(printf, 2, 3), noreturn)) static void
check_fail(const struct recovery_check *check, const char *format, ...)
{
    char what[1024], choice[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    crash_describe(check->crash, choice, sizeof(choice));
    ck_abort_msg(
        "workload \"%s\" (%s), round or call %u, seed %llu, crash %u, at step \"%s\", %zu events, "
        "%zu of them durable, covered %llx: %s\n%s",
        check->run->workload->name, check->run->workload->steps, check->round,
        (unsigned long long)check->seed, check->run->depth, check->run->at,
        check->run->oracle.count, check->run->oracle.acked,
        (unsigned long long)check->run->disk->tables->covered, what, choice);
    __builtin_unreachable();
}

// How many events the tables hold; they must be the first ones, but for those that vanish.
static size_t tables_check_prefix(const struct recovery_check *check,
                                  const struct memory_tables *tables)
{
    const struct oracle *oracle = &check->run->oracle;
    size_t before = oracle_before(oracle, tables->covered), found = 0;
    // One that is being appended has no end yet, and may be in the tables already.
    if (before + 1 == oracle->count && tables->count &&
        tables->ids[tables->count - 1] == oracle->ids[before])
        before++;
    for (size_t i = 0; i < before; i++) {
        if (event_id_vanishes(oracle->ids[i]))
            continue;
        if (found >= tables->count || tables->ids[found] != oracle->ids[i])
            check_fail(check, "the tables lack event %zu", i);
        found++;
    }
    if (found != tables->count)
        check_fail(check, "the tables hold %zu events where %zu are due", tables->count, found);
    return before;
}

struct reading {
    const struct recovery_check *check;
    size_t next;
};

static int event_compare(void *user, const struct event *event, uint64_t position,
                         struct store_error *err)
{
    struct reading *reading = user;
    const struct oracle *oracle = &reading->check->run->oracle;
    uint64_t id = event_id(event);
    (void)position;
    if (id == 0)
        return 0;
    if (reading->next == oracle->count)
        return error_set(err, STORE_EDAMAGED, "event %llx was never appended",
                         (unsigned long long)id);
    if (id != oracle->ids[reading->next] || event_sum(event) != oracle->sums[reading->next])
        return error_set(err, STORE_EDAMAGED, "event %llx is not what was appended as %zu",
                         (unsigned long long)id, reading->next);
    reading->next++;
    return 0;
}

size_t recovery_check(struct recovery_check *check, struct disk *disk)
{
    const struct oracle *oracle = &check->run->oracle;
    struct store_error err = {0};
    struct journal_extent extent;
    check->torn_bytes = 0;
    if (disk_name_find(disk->names, disk->name_count, "data.mdb") < 0) {
        // The crash came before there was a store: it will be made anew.
        if (oracle->acked)
            check_fail(check, "the store is gone");
        return 0;
    }
    const struct memory_tables *tables = disk->tables;
    struct reading reading = {.check = check, .next = tables_check_prefix(check, tables)};
    if (journal_scan(check->dir, tables->store_id, tables->covered, &extent, &err))
        check_fail(check, "scan: %s", err.sentence);
    struct journal_reader reader = {.event = event_compare, .user = &reading};
    check->end = extent.end;
    check->torn_bytes = extent.torn_bytes;
    if (journal_replay(check->dir, tables->store_id, tables->covered, extent.end, &reader, &err))
        check_fail(check, "replay: %s", err.sentence);
    if (reading.next < oracle->acked)
        check_fail(check, "event %zu was durable and is lost", reading.next);
    if (check->newest) {
        bool in_flight = oracle->count && oracle->ends[oracle->count - 1] == UINT64_MAX;
        if (reading.next + in_flight < oracle->count)
            check_fail(check, "event %zu is lost although no power was cut", reading.next);
        if (extent.torn_bytes)
            check_fail(check, "%llu bytes are called torn although no power was cut",
                       (unsigned long long)extent.torn_bytes);
    }
    return reading.next;
}

// ---- recovery as a whole, and crashes in it --------------------------------------------------

struct nested {
    struct run run;
    struct disk disk;
    struct memory_tables tables;
    struct crash *crash;
    struct recovery_check check;
    uint64_t *seed;
    uint64_t changes; // of the disk, at the last place
    uint64_t states;
};

static void nested_place(void *user)
{
    struct nested *nested = user;
    disk_look(&nested->disk);
    run_note_durable(&nested->run);
    if (nested->changes == nested->disk.changes)
        return;
    nested->changes = nested->disk.changes;
    crash_prepare(nested->crash, &nested->disk);
    crash_choose_random(nested->crash, nested->seed);
    size_t recovered = recovery_check(&nested->check, crash_disk(nested->crash));
    nested->states++;
    if (nested->run.depth < RUN_DEPTH_MAX && seed_next(nested->seed, NESTED_ONE_IN) == 0)
        nested->states +=
            recovery_open_check(&nested->check, crash_disk(nested->crash), recovered, nested->seed);
}

// What was cut must lie aside, whole and synced.
static void torn_check_kept(const struct nested *nested)
{
    const struct disk *disk = &nested->disk;
    const struct store_recovery *recovery = store_recovery(nested->run.store);
    int at = disk_name_find(disk->durable_names, disk->durable_name_count, recovery->torn_file);
    if (at < 0)
        check_fail(&nested->check, "what was cut is not kept aside");
    if (disk->files[disk->durable_names[at].file].durable_bytes < recovery->torn_bytes)
        check_fail(&nested->check, "what was cut is not whole in %s", recovery->torn_file);
}

uint64_t recovery_open_check(struct recovery_check *check, struct disk *disk, size_t recovered,
                             uint64_t *seed)
{
    static const char *const lives[] = {"", "q", "ms", "mfq", "l4", "k", "c", "F2fw10m", "hhsm"};
    struct nested nested = {.run = *check->run, .crash = crash_new(), .seed = seed};
    struct run *run = &nested.run;
    disk_copy(&nested.disk, disk);
    memory_tables_copy(&nested.tables, disk->tables);
    nested.disk.tables = &nested.tables;
    run->disk = &nested.disk;
    run->store = NULL;
    run->depth++;
    // From now on these are on the disk, and nothing else is.
    run->oracle.count = run->oracle.acked = recovered;
    if (recovered && run->oracle.ends[recovered - 1] == UINT64_MAX)
        run->oracle.ends[recovered - 1] = check->end;
    recovery_check_init(&nested.check, run, nested.crash, check->seed, check->round);
    nested.disk.at_point = nested_place;
    nested.disk.at_point_user = &nested;

    struct disk *before = disk_select(&nested.disk);
    uint64_t now_ms = memory_clock_ms();
    schedule_begin(seed_next(seed, UINT32_MAX), seed_next(seed, 2) ? 4 : 0);
    run_open(run);
    size_t found = tables_check_prefix(&nested.check, &nested.tables);
    if (found != recovered)
        check_fail(&nested.check, "recovery took %zu events into the tables, not %zu", found,
                   recovered);
    if (check->torn_bytes)
        torn_check_kept(&nested);
    run_steps(run, lives[seed_next(seed, sizeof(lives) / sizeof(lives[0]))]);
    nested_place(&nested);
    run_close(run, false);
    schedule_end();
    memory_clock_set(now_ms);
    disk_select(before);

    recovery_check_release(&nested.check);
    crash_free(nested.crash);
    memory_tables_release(&nested.tables);
    disk_release(&nested.disk);
    return nested.states;
}
