// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Power cuts in the journal's half of the store: each workload runs on a memory disk, and at each
// place where the disk changes, recovery is given the disks that a cut could leave there.
//
//   STATES    how many disks to recover from (default 1,000,000)
//   SEED      where chance begins
//   WORKLOAD  only those whose name has this in it
//   ROUND     only this round: 0 has no chance in its threads' order, and all choices of up to 12
//             granules
#include "crash_state.h"
#include "recovery_check.h"
#include "schedule.h"
#include "support.h"
#include "tables_memory.h"
#include "workload.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHOICES_ALL_MAX 4096u
#define CHOICES_DRAWN_FIRST 192u // at a place with more choices than that, in round 0
#define CHOICES_DRAWN 24u        // in the rounds after
#define RECOVER_ONE_IN 40u       // states in which the whole store is opened, and goes on

struct sweep {
    struct run run;
    struct crash *crash;
    struct recovery_check check;
    uint64_t seed;
    unsigned round;
    uint64_t changes; // of the disk, at the last place
    size_t acked;
    uint64_t covered;
};

static uint64_t places, states, recoveries;

static void state_check(struct sweep *sweep, bool newest)
{
    struct recovery_check *check = &sweep->check;
    check->newest = newest;
    size_t recovered = recovery_check(check, crash_disk(sweep->crash));
    states++;
    if (seed_next(&sweep->seed, RECOVER_ONE_IN) == 0) {
        states += recovery_open_check(check, crash_disk(sweep->crash), recovered, &sweep->seed);
        recoveries++;
    }
}

static void place(void *user)
{
    struct sweep *sweep = user;
    struct run *run = &sweep->run;
    disk_look(run->disk);
    run_note_durable(run);
    uint64_t covered = run->disk->tables->covered;
    if (sweep->changes == run->disk->changes && sweep->acked == run->oracle.acked &&
        sweep->covered == covered)
        return;
    sweep->changes = run->disk->changes;
    sweep->acked = run->oracle.acked;
    sweep->covered = covered;
    places++;

    crash_prepare(sweep->crash, run->disk);
    uint64_t choices = crash_choices(sweep->crash);
    if (sweep->round == 0 && choices <= CHOICES_ALL_MAX) {
        for (uint64_t i = 0; i < choices; i++) {
            crash_choose(sweep->crash, i);
            state_check(sweep, i == choices - 1);
        }
        return;
    }
    unsigned draws = sweep->round == 0 ? CHOICES_DRAWN_FIRST : CHOICES_DRAWN;
    state_check(sweep, false);
    for (unsigned i = 0; i < draws; i++) {
        crash_choose_random(sweep->crash, &sweep->seed);
        state_check(sweep, false);
    }
    crash_choose_newest(sweep->crash);
    state_check(sweep, true);
}

static void workload_sweep(const struct workload *workload, uint64_t seed, unsigned round)
{
    struct disk disk;
    struct memory_tables tables = {0};
    struct sweep sweep = {.seed = seed, .round = round, .crash = crash_new()};
    static const unsigned restless[] = {2, 3, 5, 10, 30};
    disk_init(&disk);
    disk.tables = &tables;
    run_init(&sweep.run, workload, &disk, seed);
    recovery_check_init(&sweep.check, &sweep.run, sweep.crash, seed, round);
    disk.at_point = place;
    disk.at_point_user = &sweep;
    schedule_begin(seed, round ? restless[round % 5] : 0);
    run_open(&sweep.run);
    run_steps(&sweep.run, workload->steps);
    place(&sweep);
    run_close(&sweep.run, false);
    schedule_end();
    recovery_check_release(&sweep.check);
    crash_free(sweep.crash);
    memory_tables_release(&tables);
    disk_release(&disk);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

START_TEST(recovery_finds_what_was_acknowledged_and_nothing_else)
{
    uint64_t goal = number_of("STATES", 1000000), only = number_of("ROUND", UINT64_MAX);
    const char *name = getenv("WORKLOAD");
    uint64_t seed = seed_choose();
    unsigned round = only == UINT64_MAX ? 0 : (unsigned)only, ran = 0;
    do {
        for (size_t i = 0; i < workload_count; i++) {
            if (name && !strstr(workloads[i].name, name))
                continue;
            ran++;
            workload_sweep(&workloads[i], seed + round * 1000u + i, round);
        }
        round++;
    } while (ran && only == UINT64_MAX && states < goal);
    ck_assert_uint_gt(ran, 0);
    printf("%zu workloads, %u rounds, %llu places, %llu states, %llu whole recoveries\n",
           workload_count, round, (unsigned long long)places, (unsigned long long)states,
           (unsigned long long)recoveries);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_crash");
    TCase *cases = tcase_create("journal_crash");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, recovery_finds_what_was_acknowledged_and_nothing_else);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
