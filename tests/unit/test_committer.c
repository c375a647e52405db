// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How much of what was deferred is applied while the writer goes on being busy. Whether it is busy
// is decided here, so that no other process has a say.
#include "store/deferral.h"
#include "store/journal.h"
#include "store/os.h"
#include "store/store.h"

#include "support.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB (1024u * 1024u)
#define SEGMENT_BYTES (4u * MIB)
#define JOURNAL_MAX_BYTES (128u * MIB) // 32 MiB may be deferred, 16 MiB are applied at a time
#define PAYLOAD_BYTES 4096u
#define WAIT_MS 30000u
// Without a look between two stretches all is applied within a fraction of this.
#define STILL_MS 1000u

static char *folder;
static struct store *store;
static uint64_t stored;
static atomic_bool busy;
static _Atomic uint64_t covered;

uint64_t __wrap_os_thread_cpu_ms(struct os_thread thread);
uint64_t __wrap_os_thread_cpu_ms(struct os_thread thread)
{
    (void)thread;
    // Far more than can have passed, however late the look at it comes.
    return busy ? 1000 * os_monotonic_ms() : 0;
}

void __real_journal_cover(struct journal *journal, uint64_t position);
void __wrap_journal_cover(struct journal *journal, uint64_t position);
void __wrap_journal_cover(struct journal *journal, uint64_t position)
{
    covered = position;
    __real_journal_cover(journal, position);
}

static void setup(void)
{
    struct store_error err = {0};
    struct store_options options = {.create = true,
                                    .commit_interval_ms = DEFERRAL_LOOK_MS,
                                    .journal_segment_bytes = SEGMENT_BYTES,
                                    .journal_max_bytes = JOURNAL_MAX_BYTES,
                                    .compression = STORE_COMPRESSION_NONE,
                                    .holder = "test_committer"};
    folder = folder_make();
    options.path = folder;
    stored = 0;
    covered = 0;
    busy = true;
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
}

static void teardown(void)
{
    ck_assert_int_eq(store_close(store, false, NULL), 0);
    folder_remove(folder);
}

static void append_message(void)
{
    static const char payload[PAYLOAD_BYTES];
    struct store_error err = {0};
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = ++stored,
                                      .topic = span_str("t"),
                                      .source_id = span_str("c"),
                                      .payload = span_of(payload, sizeof(payload))}};
    ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
}

static void append_mib(unsigned mib)
{
    for (uint64_t bytes = 0; bytes < (uint64_t)mib * MIB; bytes += PAYLOAD_BYTES)
        append_message();
}

// Of the journal's bytes, to a segment.
static uint64_t covered_bytes(void)
{
    uint64_t number = position_segment(covered);
    return number ? (number - 1) * SEGMENT_BYTES : 0;
}

static void covered_await(uint64_t bytes)
{
    uint64_t until_ms = os_monotonic_ms() + WAIT_MS;
    while (covered_bytes() < bytes && os_monotonic_ms() < until_ms)
        usleep(1000);
    ck_assert_uint_ge(covered_bytes(), bytes);
}

static void covered_stays_below(uint64_t bytes)
{
    uint64_t until_ms = os_monotonic_ms() + STILL_MS;
    while (covered_bytes() < bytes && os_monotonic_ms() < until_ms)
        usleep(1000);
    ck_assert_uint_lt(covered_bytes(), bytes);
}

START_TEST(beside_a_busy_writer_only_what_is_too_much_is_applied)
{
    append_mib(40);
    covered_await(8 * MIB);
    covered_stays_below(24 * MIB);
    append_mib(12);
    covered_await(24 * MIB);
    covered_stays_below(40 * MIB);
}
END_TEST

START_TEST(the_rest_follows_when_the_writer_is_idle)
{
    append_mib(40);
    covered_await(8 * MIB);
    busy = false;
    covered_await(40 * MIB);
}
END_TEST

START_TEST(the_rest_follows_when_it_is_asked_for)
{
    struct store_error err = {0};
    uint64_t since_ms = os_monotonic_ms();
    append_mib(40);
    covered_await(8 * MIB);
    ck_assert_msg(store_flush(store, &err) == 0, "%s", err.sentence);
    ck_assert_uint_ge(covered_bytes(), 40 * MIB);
    ck_assert_uint_lt(os_monotonic_ms() - since_ms, DEFERRAL_MAX_MS);
}
END_TEST

static void *flush_run(void *arg)
{
    atomic_bool *flushed = arg;
    *flushed = store_flush(store, NULL) == 0;
    return NULL;
}

START_TEST(a_flush_does_not_wait_for_what_comes_after_it)
{
    atomic_bool flushed = false;
    pthread_t thread;
    uint64_t since_ms = os_monotonic_ms();
    append_mib(40);
    covered_await(8 * MIB);
    ck_assert_int_eq(pthread_create(&thread, NULL, flush_run, &flushed), 0);
    while (!flushed && os_monotonic_ms() - since_ms < DEFERRAL_MAX_MS) {
        append_message();
        usleep(1000);
    }
    ck_assert(flushed);
    pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("committer");
    TCase *tcase = tcase_create("committer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, WAIT_MS / 1000 + 30);
    tcase_add_test(tcase, beside_a_busy_writer_only_what_is_too_much_is_applied);
    tcase_add_test(tcase, the_rest_follows_when_the_writer_is_idle);
    tcase_add_test(tcase, the_rest_follows_when_it_is_asked_for);
    tcase_add_test(tcase, a_flush_does_not_wait_for_what_comes_after_it);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
