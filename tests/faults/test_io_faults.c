// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Each workload of the crash tests again and again, and each time another call of the disk fails,
// until one run meets no failure. Whatever failed: an error comes with a sentence, a poisoned
// journal stays so and says it once, nothing that was said to be durable is lost by a power cut
// right after, nothing that was taken is lost at all when the store is opened again.
//
//   SEED      where chance begins
//   WORKLOAD  only those whose name has this in it
//   RUNS      runs with threads in random order (default 2,000)
#include "crash_state.h"
#include "recovery_check.h"
#include "schedule.h"
#include "support.h"
#include "tables_memory.h"
#include "workload.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOICES 4u

static const struct disk_failure modes[] = {
    {.sys_errno = EIO, .after_sync = DISK_STAYS_DIRTY},
    {.sys_errno = EIO, .after_sync = DISK_MARKED_CLEAN},
    {.sys_errno = EIO, .after_sync = DISK_MARKED_CLEAN, .for_good = true},
    {.sys_errno = ENOSPC, .after_sync = DISK_MARKED_CLEAN},
    {.sys_errno = ENOSPC, .after_sync = DISK_STAYS_DIRTY, .for_good = true},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

struct world {
    struct run run;
    struct disk disk;
    struct memory_tables tables;
    struct crash *crash;
    struct recovery_check check;
    uint64_t seed;
    bool lost_pages;
};

static void power_cuts_check(struct world *world)
{
    world->lost_pages |=
        world->disk.sync_failed && world->disk.failure.after_sync == DISK_MARKED_CLEAN;
    disk_look(&world->disk);
    run_note_durable(&world->run);
    crash_prepare(world->crash, &world->disk);
    recovery_check(&world->check, crash_disk(world->crash));
    for (unsigned i = 0; i < CHOICES; i++) {
        crash_choose_random(world->crash, &world->seed);
        recovery_check(&world->check, crash_disk(world->crash));
    }
    crash_choose_newest(world->crash);
    // Pages that the kernel thinks written are only in memory.
    world->check.newest = !world->lost_pages;
    recovery_check(&world->check, crash_disk(world->crash));
    world->check.newest = false;
}

// Whether the call that was to fail was reached.
static bool workload_run(const struct workload *workload, const struct disk_failure *failure,
                         uint64_t seed, unsigned restless)
{
    struct world world = {.seed = seed, .crash = crash_new()};
    struct run *run = &world.run;
    disk_init(&world.disk);
    world.disk.tables = &world.tables;
    world.disk.failure = *failure;
    run_init(run, workload, &world.disk, seed);
    run->faults = true;
    recovery_check_init(&world.check, run, world.crash, seed, (unsigned)failure->call);
    schedule_begin(seed, restless);
    if (run_open(run) == 0)
        run_steps(run, workload->steps);
    power_cuts_check(&world);
    run_close(run, false);
    bool reached = world.disk.calls >= failure->call;

    // The disk is well again, and the process was restarted.
    world.disk.failure = (struct disk_failure){0};
    run->faults = false;
    size_t count = run->oracle.count;
    run_open(run);
    ck_assert_uint_eq(run->oracle.acked, count);
    run_steps(run, "qm");
    power_cuts_check(&world);
    run_close(run, true);
    schedule_end();

    recovery_check_release(&world.check);
    crash_free(world.crash);
    memory_tables_release(&world.tables);
    disk_release(&world.disk);
    return reached;
}

static bool workload_is_chosen(const struct workload *workload)
{
    const char *name = getenv("WORKLOAD");
    return !name || strstr(workload->name, name);
}

START_TEST(every_call_fails_once_and_for_good)
{
    uint64_t runs = 0, seed = seed_choose();
    for (size_t i = 0; i < workload_count * MODES; i++) {
        const struct workload *workload = &workloads[i / MODES];
        struct disk_failure failure = modes[i % MODES];
        if (!workload_is_chosen(workload))
            continue;
        do {
            failure.call++;
            runs++;
        } while (workload_run(workload, &failure, seed, 0));
    }
    printf("%llu runs\n", (unsigned long long)runs);
}
END_TEST

START_TEST(calls_fail_while_threads_meet)
{
    const char *text = getenv("RUNS");
    uint64_t runs = text ? strtoull(text, NULL, 10) : 2000, seed = seed_choose();
    for (uint64_t i = 0; i < runs; i++) {
        const struct workload *workload = &workloads[i % workload_count];
        struct disk_failure failure = modes[seed_next(&seed, MODES)];
        uint64_t run_seed = seed;
        failure.syncs_only = seed_next(&seed, 2);
        failure.call = 1 + seed_next(&seed, failure.syncs_only ? 20 : 250);
        if (workload_is_chosen(workload))
            workload_run(workload, &failure, run_seed, 2 + (unsigned)i % 3);
    }
}
END_TEST

// The keeper, the syncer and the committer: the store does not open without one of them.
START_TEST(a_thread_cannot_be_started)
{
    for (int thread = 0; thread < 3; thread++) {
        struct world world = {0};
        struct run *run = &world.run;
        disk_init(&world.disk);
        world.disk.tables = &world.tables;
        run_init(run, &workloads[0], &world.disk, 1);
        schedule_begin(1, 0);
        run_open(run);
        run_steps(run, "m3");
        run_close(run, false);
        run->faults = true;
        schedule_fail_create(thread);
        ck_assert_int_ne(run_open(run), 0);
        schedule_fail_create(-1);
        run->faults = false;
        run_open(run);
        ck_assert_uint_eq(world.tables.count, 3);
        run_close(run, true);
        schedule_end();
        memory_tables_release(&world.tables);
        disk_release(&world.disk);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io_faults");
    TCase *cases = tcase_create("io_faults");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, every_call_fails_once_and_for_good);
    tcase_add_test(cases, calls_fail_while_threads_meet);
    tcase_add_test(cases, a_thread_cannot_be_started);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
