// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/deferral.h"

#include <check.h>
#include <stdlib.h>

#define LIMIT_BYTES 1000u
#define FEW_BYTES (LIMIT_BYTES - 1)

static struct deferral deferral;
static struct deferral_look look;

static void begin(void)
{
    deferral = (struct deferral){.limit_bytes = LIMIT_BYTES};
    look = (struct deferral_look){
        .now_ms = 5000, .cpu_ms = 700, .behind_bytes = FEW_BYTES, .free_bytes = UINT64_MAX};
}

// `used_ms` of `passed_ms` later.
static bool goes_on_after(uint64_t passed_ms, uint64_t used_ms)
{
    look.now_ms += passed_ms;
    look.cpu_ms += used_ms;
    return deferral_goes_on(&deferral, &look);
}

START_TEST(it_ends_when_the_thread_is_idle)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    ck_assert(goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    ck_assert(goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS / 2));
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS / 2 - 1));
}
END_TEST

// What happened before it was time to apply says nothing.
START_TEST(the_first_look_only_begins)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, 0));
    look.cpu_ms += 100000;
    ck_assert(goes_on_after(1, 0));
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, 0));
}
END_TEST

START_TEST(a_look_too_early_tells_nothing)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    for (unsigned i = 0; i < DEFERRAL_LOOK_MS / 2 - 1; i++)
        ck_assert(goes_on_after(1, 0));
    ck_assert(!goes_on_after(1, 0));
}
END_TEST

START_TEST(it_ends_at_the_limit_of_bytes)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    look.behind_bytes = LIMIT_BYTES;
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    deferral.limit_bytes = 0;
    look.behind_bytes = 0;
    ck_assert(!deferral_goes_on(&deferral, &look));
}
END_TEST

START_TEST(it_ends_at_the_limit_of_files)
{
    look.behind_files = DEFERRAL_MAX_FILES;
    ck_assert(deferral_goes_on(&deferral, &look));
    look.behind_files++;
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
}
END_TEST

START_TEST(it_ends_at_once_when_room_is_wanted)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    look.urgent = true;
    ck_assert(!goes_on_after(1, 1));
    ck_assert(!deferral_goes_on(&deferral, &look));
}
END_TEST

START_TEST(it_ends_while_the_disk_has_room)
{
    look.free_bytes = (uint64_t)DEFERRAL_FREE_SHARE * (FEW_BYTES + 1);
    ck_assert(deferral_goes_on(&deferral, &look));
    look.free_bytes--;
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    look.free_bytes = 0;
    look.behind_bytes = 0;
    ck_assert(!deferral_goes_on(&deferral, &look));
}
END_TEST

START_TEST(it_eases_while_too_much_is_behind)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    ck_assert(!deferral.eases);
    look.behind_bytes = LIMIT_BYTES;
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    ck_assert(deferral.eases);
    look.behind_bytes = FEW_BYTES;
    ck_assert(goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    look.behind_files = DEFERRAL_MAX_FILES + 1;
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    ck_assert(deferral.eases);
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, 0));
    ck_assert(!deferral.eases);
}
END_TEST

START_TEST(nothing_is_eased_when_room_is_wanted_or_nothing_deferred)
{
    look.behind_bytes = LIMIT_BYTES;
    ck_assert(!deferral_goes_on(&deferral, &look));
    ck_assert(deferral.eases);
    look.urgent = true;
    ck_assert(!deferral_goes_on(&deferral, &look));
    ck_assert(!deferral.eases);
    look.urgent = false;
    deferral.limit_bytes = 0;
    ck_assert(!deferral_goes_on(&deferral, &look));
    ck_assert(!deferral.eases);
}
END_TEST

START_TEST(its_time_goes_on_while_it_eases)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    look.behind_bytes = LIMIT_BYTES;
    ck_assert(!goes_on_after(DEFERRAL_MAX_MS - 1, DEFERRAL_MAX_MS));
    ck_assert(deferral.eases);
    look.behind_bytes = FEW_BYTES;
    ck_assert(!goes_on_after(1, 1));
    ck_assert(!deferral.eases);
}
END_TEST

START_TEST(it_ends_in_time)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    for (uint64_t ms = DEFERRAL_LOOK_MS; ms < DEFERRAL_MAX_MS; ms += DEFERRAL_LOOK_MS)
        ck_assert(goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
    ck_assert(!goes_on_after(DEFERRAL_LOOK_MS, DEFERRAL_LOOK_MS));
}
END_TEST

START_TEST(the_next_one_has_its_own_time)
{
    ck_assert(deferral_goes_on(&deferral, &look));
    deferral_end(&deferral);
    look.now_ms += DEFERRAL_MAX_MS;
    ck_assert(deferral_goes_on(&deferral, &look));
    ck_assert(goes_on_after(DEFERRAL_MAX_MS - 1, DEFERRAL_MAX_MS));
    ck_assert(!goes_on_after(1, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("deferral");
    TCase *tcase = tcase_create("deferral");
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, it_ends_when_the_thread_is_idle);
    tcase_add_test(tcase, the_first_look_only_begins);
    tcase_add_test(tcase, a_look_too_early_tells_nothing);
    tcase_add_test(tcase, it_ends_at_the_limit_of_bytes);
    tcase_add_test(tcase, it_ends_at_the_limit_of_files);
    tcase_add_test(tcase, it_ends_at_once_when_room_is_wanted);
    tcase_add_test(tcase, it_ends_while_the_disk_has_room);
    tcase_add_test(tcase, it_eases_while_too_much_is_behind);
    tcase_add_test(tcase, nothing_is_eased_when_room_is_wanted_or_nothing_deferred);
    tcase_add_test(tcase, its_time_goes_on_while_it_eases);
    tcase_add_test(tcase, it_ends_in_time);
    tcase_add_test(tcase, the_next_one_has_its_own_time);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
