// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whether what was read belongs together: nobody held the store meanwhile, nor had it in between.
#include "store/lock.h"
#include "store/store_internal.h"
#include "store/tables.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static struct store *store;
static uint64_t life, covered;

// What is found when it is looked at again.
static struct found {
    const char *holder; // NULL: nobody
    bool holder_fails, meta_fails;
    uint64_t lives, moved; // by so much
} then;

int __wrap_lock_holder(struct os_dir *dir, char *dst, struct store_error *err);
int __wrap_lock_holder(struct os_dir *dir, char *dst, struct store_error *err)
{
    (void)dir;
    if (then.holder_fails)
        return error_set(err, STORE_EIO, "the lock cannot be read");
    snprintf(dst, LOCK_HOLDER_BYTES, "%s", then.holder ? then.holder : "");
    return 0;
}

int __real_tables_meta(struct tables *tables, struct tables_meta *ret_meta,
                       struct store_error *err);
int __wrap_tables_meta(struct tables *tables, struct tables_meta *ret_meta,
                       struct store_error *err);
int __wrap_tables_meta(struct tables *tables, struct tables_meta *ret_meta, struct store_error *err)
{
    if (then.meta_fails)
        return error_set(err, STORE_EIO, "the tables cannot be read");
    int rc = __real_tables_meta(tables, ret_meta, err);
    ret_meta->life += then.lives;
    ret_meta->covered += then.moved;
    return rc;
}

static void setup(void)
{
    struct store_error err = {0};
    struct store_stats stats;
    folder = folder_make();
    struct store_options options = {.path = folder, .create = true, .holder = "test_left_alone"};
    then = (struct found){0};
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(store_close(store, true, NULL), 0);
    options.access = STORE_READ_ONLY;
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(store_stats(store, &stats, NULL), 0);
    life = stats.life;
    covered = stats.journal_covered;
}

static void teardown(void)
{
    store_close(store, false, NULL);
    folder_remove(folder);
}

static void assert_refused(int code, const char *words)
{
    struct store_error err = {0};
    ck_assert_int_eq(store_left_alone(store, life, covered, &err), code);
    ck_assert_msg(strstr(err.sentence, words), "%s", err.sentence);
}

START_TEST(what_nobody_touched_belongs_together)
{
    ck_assert_int_eq(store_left_alone(store, life, covered, NULL), 0);
}
END_TEST

START_TEST(who_holds_it_now_is_named)
{
    then.holder = "mosquitto (process 7)";
    assert_refused(STORE_EHELD, "mosquitto (process 7) took the store");
}
END_TEST

START_TEST(who_came_and_went_is_noticed)
{
    then.lives = 1;
    assert_refused(STORE_EHELD, "another program had the store");
    then.lives = 0;
    then.moved = 8;
    assert_refused(STORE_EHELD, "another program had the store");
}
END_TEST

START_TEST(what_cannot_be_looked_at_is_not_taken_for_untouched)
{
    struct store_error err = {0};
    then.meta_fails = true;
    assert_refused(STORE_EIO, "the tables cannot be read");
    then.holder_fails = true;
    assert_refused(STORE_EIO, "the lock cannot be read");
    ck_assert_int_eq(store_unseen_refuse(store, &err), STORE_EIO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("left_alone");
    TCase *tcase = tcase_create("left_alone");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_nobody_touched_belongs_together);
    tcase_add_test(tcase, who_holds_it_now_is_named);
    tcase_add_test(tcase, who_came_and_went_is_noticed);
    tcase_add_test(tcase, what_cannot_be_looked_at_is_not_taken_for_untouched);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
