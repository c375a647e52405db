// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Power cuts in the whole store: the journal, the real tables and LMDB below them lie on one memory
// disk (lmdb_disk.h says how). Short lives of a store run on it, with commits, recycled segments,
// kills, stops and compactions; at each place where the disk changes, recovery is given disks that
// a cut could leave there, and crashes again while it recovers.
//
//   STATES    how many disks to recover from (default 50,000)
//   SEED      where chance begins; each push takes a new one
//   WORKLOAD  only those whose name has this in it
//   ROUND     only this round
//   FAULTS    runs in which a call of the disk fails (default 400); all: every call of every
//             workload, where each push takes one workload to its end
#include "lmdb_disk.h"
#include "schedule.h"
#include "store/store_internal.h"
#include "store_check.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOICES 3u         // at each place
#define RECOVER_ONE_IN 30u // states in which the whole store is opened

struct sweep {
    struct store_run run;
    struct disk disk;
    char *folder, *expected;
    struct store_check check;
    uint64_t seed;
    uint64_t changes; // of the disk, at the last place
    size_t acked;
};

static uint64_t places, states, recoveries;

static struct sweep *sweep_new(const struct store_workload *workload, uint64_t seed, unsigned round,
                               unsigned restless)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep));
    ck_assert_ptr_nonnull(sweep);
    sweep->seed = seed;
    sweep->folder = folder_make();
    sweep->expected = folder_make();
    disk_init(&sweep->disk);
    lmdb_disk_attach(&sweep->disk, sweep->folder);
    store_run_init(&sweep->run, workload, &sweep->disk, sweep->folder, sweep->expected, seed,
                   restless);
    store_check_init(&sweep->check, &sweep->run, 0, seed, round);
    return sweep;
}

static void sweep_free(struct sweep *sweep)
{
    store_check_release(&sweep->check);
    store_run_release(&sweep->run);
    lmdb_disk_detach(&sweep->disk);
    disk_release(&sweep->disk);
    folder_remove(sweep->folder);
    folder_remove(sweep->expected);
    free(sweep);
}

static void state_check(struct sweep *sweep, bool newest)
{
    sweep->check.newest = newest;
    size_t recovered = store_check(&sweep->check);
    states++;
    if (seed_next(&sweep->seed, RECOVER_ONE_IN) == 0) {
        states += store_check_open(&sweep->check, recovered, &sweep->seed);
        recoveries++;
    }
}

static void place(void *user)
{
    struct sweep *sweep = user;
    struct store_run *run = &sweep->run;
    disk_look(run->disk);
    store_run_note_durable(run);
    if (sweep->changes == run->disk->changes && sweep->acked == run->oracle.acked)
        return;
    sweep->changes = run->disk->changes;
    sweep->acked = run->oracle.acked;
    sweep->check.count = run->oracle.count;
    sweep->check.acked = run->oracle.acked;
    places++;

    schedule_begin(1, 0); // the store's threads stand still, although this takes locks
    crash_prepare(sweep->check.crash, run->disk);
    state_check(sweep, false);
    for (unsigned i = 0; i < CHOICES; i++) {
        crash_choose_random(sweep->check.crash, &sweep->seed);
        state_check(sweep, false);
    }
    crash_choose_newest(sweep->check.crash);
    state_check(sweep, true);
    schedule_end();
}

static void workload_sweep(const struct store_workload *workload, uint64_t seed, unsigned round)
{
    static const unsigned restless[] = {0, 2, 3, 5, 10, 30};
    struct sweep *sweep = sweep_new(workload, seed, round, restless[round % 6]);
    sweep->disk.at_point = place;
    sweep->disk.at_point_user = sweep;
    schedule_begin(seed, restless[round % 6]);
    store_run_open(&sweep->run);
    store_run_steps(&sweep->run, workload->steps);
    place(sweep);
    store_run_close(&sweep->run, false);
    schedule_end();
    sweep_free(sweep);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static bool workload_is_chosen(const struct store_workload *workload)
{
    const char *name = getenv("WORKLOAD");
    return !name || strstr(workload->name, name);
}

START_TEST(a_store_holds_what_was_acknowledged_and_nothing_else)
{
    uint64_t goal = number_of("STATES", 50000), only = number_of("ROUND", UINT64_MAX);
    uint64_t seed = seed_choose();
    unsigned round = only == UINT64_MAX ? 0 : (unsigned)only, ran = 0;
    do {
        // Where the goal ends within a round, each seed begins elsewhere.
        for (size_t i = 0; i < store_workload_count && (states < goal || only == round); i++) {
            size_t at = (seed + i) % store_workload_count;
            if (!workload_is_chosen(&store_workloads[at]))
                continue;
            ran++;
            workload_sweep(&store_workloads[at], seed + round * 1000u + at, round);
        }
        round++;
    } while (ran && only == UINT64_MAX && states < goal);
    ck_assert_uint_gt(ran, 0);
    printf("%zu workloads, %u rounds, %llu places, %llu states, %llu whole recoveries\n",
           store_workload_count, round, (unsigned long long)places, (unsigned long long)states,
           (unsigned long long)recoveries);
}
END_TEST

// ---- calls of the disk fail ------------------------------------------------------------------

// LMDB makes a call again that was interrupted, and takes a short write for a failure; the engine's
// own calls are tried with both in faults/test_os.c.
static const struct disk_failure modes[] = {
    {.sys_errno = EIO, .after_sync = DISK_STAYS_DIRTY},
    {.sys_errno = EIO, .after_sync = DISK_MARKED_CLEAN},
    {.sys_errno = EIO, .after_sync = DISK_MARKED_CLEAN, .for_good = true},
    {.sys_errno = ENOSPC, .after_sync = DISK_MARKED_CLEAN},
    {.sys_errno = ENOSPC, .after_sync = DISK_STAYS_DIRTY, .for_good = true},
};
#define MODES (sizeof(modes) / sizeof(modes[0]))

static size_t power_cuts_check(struct sweep *sweep)
{
    struct store_check *check = &sweep->check;
    bool lost_pages =
        sweep->disk.sync_failed && sweep->disk.failure.after_sync == DISK_MARKED_CLEAN;
    disk_look(&sweep->disk);
    store_run_note_durable(&sweep->run);
    check->count = sweep->run.oracle.count;
    check->acked = sweep->run.oracle.acked;
    check->newest = false;
    schedule_begin(1, 0);
    crash_prepare(check->crash, &sweep->disk);
    store_check(check);
    for (unsigned i = 0; i < CHOICES; i++) {
        crash_choose_random(check->crash, &sweep->seed);
        store_check(check);
    }
    crash_choose_newest(check->crash);
    // Pages that the kernel thinks written are only in memory.
    check->newest = !lost_pages;
    size_t recovered = store_check(check);
    schedule_end();
    return recovered;
}

// Whether the call that was to fail was reached.
static bool faults_run(const struct store_workload *workload, const struct disk_failure *failure,
                       uint64_t seed, unsigned restless)
{
    struct sweep *sweep = sweep_new(workload, seed, (unsigned)failure->call, restless);
    struct store_run *run = &sweep->run;
    struct text text = {0};
    sweep->disk.failure = *failure;
    run->faults = true;
    schedule_begin(seed, restless);
    if (store_run_open(run) == 0)
        store_run_steps(run, workload->steps);
    power_cuts_check(sweep);
    store_run_close(run, false);
    bool reached = (failure->syncs_only ? sweep->disk.syncs : sweep->disk.calls) >= failure->call;

    // The disk is well again, and the process was restarted: all that was taken is there. What was
    // refused last may be.
    sweep->disk.failure = (struct disk_failure){0};
    run->faults = false;
    size_t taken = run->oracle.count;
    ck_assert_int_eq(store_run_open(run), 0);
    text_of_tables(&text, run->store->tables);
    if (run->failed && taken && strcmp(text.bytes, run->oracle.texts[taken]) != 0)
        run->oracle.acked = --taken;
    ck_assert_msg(strcmp(text.bytes, run->oracle.texts[taken]) == 0,
                  "workload \"%s\", call %u, seed %llu: something is lost that was taken",
                  workload->name, (unsigned)failure->call, (unsigned long long)seed);
    free(text.bytes);
    if (taken && run->failed && taken == run->oracle.count)
        store_run_settle(run);
    if (taken == run->oracle.count)
        ck_assert_uint_eq(power_cuts_check(sweep), taken);
    store_run_close(run, true);
    schedule_end();
    sweep_free(sweep);
    return reached;
}

START_TEST(what_was_taken_survives_failing_calls)
{
    uint64_t runs = number_of("FAULTS", 400), seed = seed_choose();
    for (uint64_t i = 0; i < runs; i++) {
        const struct store_workload *workload = &store_workloads[i % store_workload_count];
        struct disk_failure failure = modes[seed_next(&seed, MODES)];
        uint64_t run_seed = seed;
        failure.syncs_only = seed_next(&seed, 2);
        failure.call = 1 + seed_next(&seed, failure.syncs_only ? 25 : 400);
        if (workload_is_chosen(workload))
            faults_run(workload, &failure, run_seed, (unsigned)i % 3);
    }
}
END_TEST

START_TEST(every_call_of_one_workload_fails)
{
    uint64_t runs = 0, seed = seed_choose();
    const char *faults = getenv("FAULTS");
    bool all = faults && strcmp(faults, "all") == 0, none = faults && strcmp(faults, "0") == 0;
    size_t chosen = seed % (store_workload_count * MODES);
    for (size_t i = 0; i < store_workload_count * MODES && !none; i++) {
        struct disk_failure failure = modes[i % MODES];
        bool reached = all || i == chosen;
        while (reached) {
            failure.call++;
            runs++;
            reached = faults_run(&store_workloads[i / MODES], &failure, seed, 0);
        }
    }
    ck_assert(none || runs > 0);
    printf("%llu runs\n", (unsigned long long)runs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_crash");
    TCase *cases = tcase_create("store_crash");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, a_store_holds_what_was_acknowledged_and_nothing_else);
    tcase_add_test(cases, what_was_taken_survives_failing_calls);
    tcase_add_test(cases, every_call_of_one_workload_fails);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
