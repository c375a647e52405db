// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Property: whatever happens to a store (events, flushes, kills, clean stops, reopenings with other
// options), it holds what the model holds. EVENTS from the environment, 200,000 by default.
#include "model.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct store *store;

static void notice(void *user, enum store_notice_level level, const char *sentence)
{
    (void)user;
    if (level == STORE_NOTICE_ERROR)
        ck_abort_msg("notice: %s", sentence);
}

static void open_store(const char *folder, uint64_t *seed)
{
    static const enum store_sync syncs[] = {STORE_SYNC_INTERVAL, STORE_SYNC_OS};
    struct store_error err = {0};
    struct store_options options = {
        .path = folder,
        .create = true,
        .sync = syncs[seed_next(seed, 2)],
        .sync_interval_ms = 1 + seed_next(seed, 20),
        .commit_interval_ms = 1 + seed_next(seed, 50),
        .journal_segment_bytes = 65536u << seed_next(seed, 3),
        .journal_max_bytes = 64u << 20,
        .compression = seed_next(seed, 3) ? STORE_COMPRESSION_ZSTD : STORE_COMPRESSION_NONE,
        .notice = notice,
    };
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    model_restart();
}

START_TEST(a_store_holds_what_the_model_holds)
{
    static struct model model;
    const char *events_text = getenv("EVENTS");
    uint64_t events = events_text ? strtoull(events_text, NULL, 10) : 200000;
    uint64_t seed = seed_choose();
    uint64_t kills = 0, stops = 0, flushes = 0;
    char *folder = folder_make();

    open_store(folder, &seed);
    for (uint64_t i = 0; i < events; i++) {
        struct store_error err = {0};
        struct event event;
        model_step(&model, &seed, store, &event);
        ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
        uint32_t what = seed_next(&seed, 4000);
        if (what == 0) {
            ck_assert_msg(store_close(store, false, &err) == 0, "%s", err.sentence);
            open_store(folder, &seed);
            model_compare(&model, store);
            kills++;
        } else if (what == 1) {
            ck_assert_msg(store_close(store, true, &err) == 0, "%s", err.sentence);
            for (unsigned client = 0; client < MODEL_CLIENTS; client++)
                model.wills[client].exists = false; // after a clean stop no will is owed
            open_store(folder, &seed);
            ck_assert(store_recovery(store)->clean);
            ck_assert_uint_eq(store_recovery(store)->records, 0);
            model_compare(&model, store);
            stops++;
        } else if (what < 6) {
            ck_assert_msg(store_flush(store, &err) == 0, "%s", err.sentence);
            model_compare(&model, store);
            flushes++;
        }
    }
    ck_assert_msg(store_flush(store, NULL) == 0, "flush");
    model_compare(&model, store);
    ck_assert_int_eq(store_close(store, true, NULL), 0);
    folder_remove(folder);
    printf("%llu events, %llu kills, %llu stops, %llu flushes\n", (unsigned long long)events,
           (unsigned long long)kills, (unsigned long long)stops, (unsigned long long)flushes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_model");
    TCase *cases = tcase_create("store_model");
    tcase_set_timeout(cases, 600);
    tcase_add_test(cases, a_store_holds_what_the_model_holds);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
