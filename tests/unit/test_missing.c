// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "missing.h"

#include "support.h"

#include <check.h>
#include <stdlib.h>

START_TEST(what_is_missing_is_known_until_it_is_forgotten)
{
    enum { IDS = 2000 };
    static bool there[IDS], unpromised[IDS];
    struct missing missing = {0};
    uint64_t seed = seed_choose();
    size_t count = 0;
    ck_assert(!missing_has(&missing, 1));
    missing_forget(&missing, 1);
    for (unsigned step = 0; step < 20 * IDS; step++) {
        uint64_t id = seed_next(&seed, IDS);
        if (there[id]) {
            missing_forget(&missing, id + 1);
            count--;
        } else {
            unpromised[id] = seed_next(&seed, 2);
            ck_assert(missing_add(&missing, id + 1, unpromised[id]));
            count++;
        }
        there[id] = !there[id];
        uint64_t other = seed_next(&seed, IDS);
        ck_assert(missing_has(&missing, other + 1) == there[other]);
        ck_assert(missing_is_unpromised(&missing, other + 1) ==
                  (there[other] && unpromised[other]));
        ck_assert_uint_eq(missing.count, count);
    }
    missing_release(&missing);
    ck_assert(!missing_has(&missing, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("missing");
    TCase *cases = tcase_create("missing");
    tcase_add_test(cases, what_is_missing_is_known_until_it_is_forgotten);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
