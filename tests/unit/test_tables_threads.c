// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Views on several threads while the tables change and their map is exchanged for larger ones.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_internal.h"
#include "support.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 40u
#define MESSAGES 100u // in a round
#define LOOKERS 2

static char *folder;
static struct tables *tables;
static struct fold *fold;
static struct store_error err;
static atomic_bool stop;

static void setup(void)
{
    struct tables_options options = {
        .create = true, .map_bytes = 1u << 20, .compression = STORE_COMPRESSION_NONE};
    folder = folder_make();
    options.path = folder;
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
}

static void teardown(void)
{
    fold_free(fold);
    tables_close(tables);
    folder_remove(folder);
}

static void round_apply(uint64_t number)
{
    static char payload[500];
    fold_clear(fold);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        struct event event = {.type = RECORD_MESSAGE_ADD,
                              .message = {.store_id = number * MESSAGES + i,
                                          .payload = span_of(payload, sizeof(payload))}};
        ck_assert_int_eq(fold_add(fold, &event, &err), 0);
    }
    ck_assert_msg(tables_apply(tables, fold, number + 1, false, &err) == 0, "%s", err.sentence);
}

static int count_message(void *user, const struct message *message)
{
    unsigned *count = user;
    // Reads every byte: a map that went away would be felt.
    const uint8_t *bytes = message->payload.data;
    for (uint32_t i = 0; i < message->payload.len; i++)
        *count += bytes[i];
    (*count)++;
    return 0;
}

// Opens views, now and then two at once, and walks them.
static void *look_on(void *user)
{
    uint64_t *views = user;
    unsigned before = 0;
    while (!atomic_load(&stop) || *views == 0) {
        struct store_view *view = NULL;
        struct store_view *second = NULL;
        unsigned count = 0;
        unsigned again = 0;
        if (tables_view_open(&view, tables, NULL) ||
            store_each_message(view, count_message, &count, NULL))
            return NULL;
        if (*views % 3 == 0 && tables_view_open(&second, tables, NULL))
            return NULL;
        // The same view gives the same again, and no later one less.
        if (store_each_message(view, count_message, &again, NULL) || count != again ||
            count < before)
            return NULL;
        before = count;
        store_view_close(view);
        store_view_close(second);
        ++*views;
    }
    return user;
}

START_TEST(views_stay_whole_while_the_map_grows)
{
    pthread_t threads[LOOKERS];
    uint64_t views[LOOKERS] = {0};
    struct store_stats stats = {0};
    atomic_store(&stop, false);
    for (int i = 0; i < LOOKERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look_on, &views[i]), 0);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        round_apply(i);
        tables_set_compression(tables, STORE_COMPRESSION_NONE, (int)i);
        tables_check_readers(tables);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < LOOKERS; i++) {
        void *result;
        ck_assert_int_eq(pthread_join(threads[i], &result), 0);
        ck_assert_ptr_nonnull(result);
        ck_assert_uint_gt(views[i], 0);
    }
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_eq(stats.messages, ROUNDS * MESSAGES);
    ck_assert_uint_ge(stats.lmdb_map_bytes, 4u << 20);
}
END_TEST

static void *apply_much(void *user)
{
    (void)user;
    for (uint64_t i = 0; i < ROUNDS; i++)
        round_apply(i);
    return NULL;
}

// Else it would wait for the map, and the map for it.
START_TEST(a_thread_with_a_view_gets_a_second_one_while_the_map_waits)
{
    pthread_t writer;
    struct store_view *first = NULL;
    struct store_view *second = NULL;
    bool waits = false;
    ck_assert_int_eq(tables_view_open(&first, tables, &err), 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, apply_much, NULL), 0);
    while (!waits) {
        sched_yield();
        pthread_mutex_lock(&tables->gate);
        waits = tables->gate_wanted;
        ck_assert(!tables->gate_closed);
        pthread_mutex_unlock(&tables->gate);
    }
    ck_assert_int_eq(tables_view_open(&second, tables, &err), 0);
    store_view_close(first);
    store_view_close(second);
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    ck_assert_int_eq(tables_check(tables, &err), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables_threads");
    TCase *tests = tcase_create("tables_threads");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, views_stay_whole_while_the_map_grows);
    tcase_add_test(tests, a_thread_with_a_view_gets_a_second_one_while_the_map_waits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
