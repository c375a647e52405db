// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The journal's writing side, read back by the scan: what was appended is there, in order, over
// roll-overs, recycling and large records; and what happens at the size limit.
#include "store/journal.h"
#include "store/journal_scan.h"

#include "support.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST position_of(1, SEGMENT_HEADER_BYTES)

static const uint8_t store_id[16] = "0123456789abcdef";

static char *folder;
static struct os_dir *dir;
static struct journal *journal;
static uint32_t sync_interval_ms;
static _Atomic unsigned wakes; // of any thread, by any

int __real_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    wakes++;
    return __real_pthread_cond_signal(cond);
}

static void setup(void)
{
    struct store_error err = {0};
    sync_interval_ms = 10;
    folder = folder_make();
    ck_assert_msg(os_dir_open(&dir, folder, 0, &err) == 0, "%s", err.sentence);
}

static void teardown(void)
{
    journal_close(journal);
    journal = NULL;
    os_dir_close(dir);
    folder_remove(folder);
}

static void open_with(enum store_sync sync, uint64_t segment_bytes, uint64_t max_bytes)
{
    struct store_error err = {0};
    struct journal_options options = {
        .dir = dir,
        .life = 1,
        .next_number = 1,
        .link = {.previous_end = FIRST},
        .sync = sync,
        .sync_interval_ms = sync_interval_ms,
        .segment_bytes = segment_bytes,
        .max_bytes = max_bytes,
    };
    memcpy(options.store_id, store_id, 16);
    ck_assert_msg(journal_open(&journal, &options, &err) == 0, "%s", err.sentence);
}

static int append_message(uint64_t store_id_, const void *payload, size_t len,
                          struct store_error *err)
{
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = store_id_,
                                      .topic = span_str("t"),
                                      .payload = span_of(payload, len)}};
    return journal_append(journal, &event, err);
}

struct seen {
    uint64_t count;
    uint64_t next_id;
    uint64_t payload_bytes;
};

static int see(void *user, const struct event *event, uint64_t position, struct store_error *err)
{
    struct seen *seen = user;
    (void)position;
    if (event->type != RECORD_MESSAGE_ADD)
        return 0;
    if (event->message.store_id != seen->next_id)
        return error_set(err, STORE_EDAMAGED, "message %llu where %llu was due",
                         (unsigned long long)event->message.store_id,
                         (unsigned long long)seen->next_id);
    seen->next_id++;
    seen->count++;
    seen->payload_bytes += event->message.payload.len;
    return 0;
}

static struct seen replay_from(uint64_t from, uint64_t first_id)
{
    struct store_error err = {0};
    struct journal_extent extent;
    struct seen seen = {.next_id = first_id};
    struct journal_reader reader = {.event = see, .user = &seen};
    ck_assert_msg(journal_scan(dir, store_id, from, &extent, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(extent.torn_bytes, 0);
    ck_assert_uint_eq(extent.end, journal_end(journal));
    ck_assert_msg(journal_replay(dir, store_id, from, extent.end, &reader, &err) == 0, "%s",
                  err.sentence);
    ck_assert_uint_eq(seen.count, extent.records);
    return seen;
}

START_TEST(what_was_appended_is_in_the_kernel_in_order)
{
    uint8_t payload[300] = {1};
    open_with(STORE_SYNC_OS, SEGMENT_MIN_BYTES, 64u << 20);
    for (uint64_t id = 0; id < 5000; id++)
        ck_assert_int_eq(append_message(id, payload, (size_t)(id % 300), NULL), 0);
    // Nothing was closed or synced: this reads what a killed process would leave.
    ck_assert_uint_eq(replay_from(FIRST, 0).count, 5000);
    ck_assert_uint_gt(position_segment(journal_end(journal)), 10);
}
END_TEST

START_TEST(covered_segments_are_recycled_and_others_kept)
{
    uint8_t payload[1000] = {2};
    struct journal_usage usage = {0};
    open_with(STORE_SYNC_OS, SEGMENT_MIN_BYTES, 4 * SEGMENT_MIN_BYTES);
    uint64_t covered = FIRST, covered_id = 0;
    for (uint64_t id = 0; id < 2000; id++) {
        struct store_error err = {0};
        int rc;
        // At the limit of four segments the tables must catch up first.
        while ((rc = append_message(id, payload, sizeof(payload), &err)) == STORE_EFULL) {
            covered = journal_end(journal);
            covered_id = id;
            ck_assert_int_eq(journal_sync(journal, NULL), 0);
            journal_cover(journal, covered);
            usleep(1000);
        }
        ck_assert_msg(rc == 0, "%s", err.sentence);
    }
    ck_assert_uint_gt(covered_id, 0);
    ck_assert_uint_eq(replay_from(covered, covered_id).count, 2000 - covered_id);
    journal_usage(journal, &usage);
    ck_assert_uint_le(usage.bytes, 4 * SEGMENT_MIN_BYTES);
}
END_TEST

START_TEST(a_record_larger_than_a_segment_gets_one_of_its_own)
{
    size_t large = 1u << 20;
    uint8_t *payload = calloc(1, large);
    open_with(STORE_SYNC_INTERVAL, SEGMENT_MIN_BYTES, 64u << 20);
    for (uint64_t id = 0; id < 10; id++) {
        struct store_error err = {0};
        size_t len = id % 3 == 1 ? large : 10;
        ck_assert_msg(journal_admit(journal, len, &err) == 0, "%s", err.sentence);
        ck_assert_msg(append_message(id, payload, len, &err) == 0, "%s", err.sentence);
    }
    struct seen seen = replay_from(FIRST, 0);
    ck_assert_uint_eq(seen.count, 10);
    ck_assert_uint_eq(seen.payload_bytes, 3 * large + 7 * 10);
    free(payload);
}
END_TEST

START_TEST(sync_makes_durable_and_an_idle_log_gets_a_mark)
{
    open_with(STORE_SYNC_OS, SEGMENT_MIN_BYTES, 64u << 20);
    ck_assert_int_eq(append_message(0, "x", 1, NULL), 0);
    uint64_t end = journal_end(journal);
    ck_assert_uint_lt(journal_durable(journal), end);
    ck_assert_uint_ne(journal_tick(journal), 0); // not durable: it wants to be called again
    ck_assert_uint_eq(journal_end(journal), end);
    ck_assert_int_eq(journal_sync(journal, NULL), 0);
    ck_assert_uint_eq(journal_durable(journal), end);
    ck_assert_uint_eq(journal_tick(journal), 0);
    ck_assert_uint_gt(journal_end(journal), end); // the mark
    end = journal_end(journal);
    ck_assert_uint_eq(journal_tick(journal), 0);
    ck_assert_uint_eq(journal_end(journal), end); // one is enough
}
END_TEST

static void wait_until_durable(void)
{
    for (int i = 0; i < 5000 && journal_durable(journal) < journal_end(journal); i++)
        usleep(1000);
    ck_assert_uint_eq(journal_durable(journal), journal_end(journal));
}

START_TEST(the_syncer_needs_no_call)
{
    open_with(STORE_SYNC_INTERVAL, SEGMENT_MIN_BYTES, 64u << 20);
    ck_assert_int_eq(append_message(0, "x", 1, NULL), 0);
    wait_until_durable();
}
END_TEST

START_TEST(a_shorter_interval_counts_at_once)
{
    sync_interval_ms = 3600000;
    open_with(STORE_SYNC_INTERVAL, SEGMENT_MIN_BYTES, 64u << 20);
    ck_assert_int_eq(append_message(0, "x", 1, NULL), 0);
    usleep(50000); // lets the syncer begin its hour, else there is nothing to cut short
    journal_reconfigure(journal, STORE_SYNC_INTERVAL, 10, 64u << 20);
    wait_until_durable();
}
END_TEST

START_TEST(sync_always_is_durable_on_return)
{
    struct event promised = {.type = RECORD_QUEUE_ADD, .queued = {.client_id = span_str("c")}};
    open_with(STORE_SYNC_ALWAYS, SEGMENT_MIN_BYTES, 64u << 20);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(journal_append(journal, &promised, NULL), 0);
        ck_assert_uint_eq(journal_durable(journal), journal_end(journal));
    }
}
END_TEST

// It would be woken for each message, to find that it has nothing to do. A new segment does wake
// the keeper, and so does the first record, which asks for pages.
START_TEST(a_sync_of_the_writers_segment_wakes_nobody)
{
    struct event promised = {.type = RECORD_QUEUE_ADD, .queued = {.client_id = span_str("c")}};
    open_with(STORE_SYNC_ALWAYS, SEGMENT_MIN_BYTES, 64u << 20);
    unsigned quiet = 0;
    for (int i = 0; i < 500 && quiet < 20; i++) {
        wakes = 0;
        ck_assert_int_eq(journal_append(journal, &promised, NULL), 0);
        quiet = wakes ? 0 : quiet + 1;
    }
    ck_assert_uint_eq(quiet, 20);
}
END_TEST

START_TEST(admission_closes_at_the_limit_leaves_a_reserve_and_opens_again)
{
    uint8_t payload[1000] = {3};
    struct store_error err = {0};
    uint64_t reserve = 8 * 1024, id = 0;
    open_with(STORE_SYNC_OS, SEGMENT_MIN_BYTES, 4 * SEGMENT_MIN_BYTES);
    journal_set_reserve(journal, reserve);
    while (journal_admit(journal, sizeof(payload), &err) == 0) {
        ck_assert_int_eq(append_message(id++, payload, sizeof(payload), NULL), 0);
        ck_assert_uint_lt(id, 1000);
    }
    ck_assert_int_eq(err.code, STORE_EFULL);
    ck_assert_ptr_nonnull(strstr(err.sentence, "journal_max_bytes 262144"));
    ck_assert_uint_gt(id, 150); // most of the limit was used
    // What must still pass does pass.
    struct event small = {.type = RECORD_MESSAGE_DELETE};
    for (uint64_t bytes = 0; bytes < reserve; bytes += 32)
        ck_assert_int_eq(journal_append(journal, &small, NULL), 0);
    ck_assert_int_eq(journal_admit(journal, sizeof(payload), NULL), STORE_EFULL);
    ck_assert_int_eq(journal_sync(journal, NULL), 0);
    journal_cover(journal, journal_end(journal));
    int rc = STORE_EFULL;
    for (int i = 0; i < 5000 && rc; i++) {
        usleep(1000);
        rc = journal_admit(journal, sizeof(payload), NULL);
    }
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(a_poisoned_journal_takes_nothing_and_says_why)
{
    struct store_error err = {0}, reason = {.code = STORE_EIO, .sentence = "the disk is on fire"};
    open_with(STORE_SYNC_OS, SEGMENT_MIN_BYTES, 64u << 20);
    journal_poison(journal, &reason);
    uint64_t end = journal_end(journal);
    ck_assert_int_eq(append_message(0, "x", 1, &err), STORE_EPOISONED);
    ck_assert_str_eq(err.sentence, "the disk is on fire");
    ck_assert_int_eq(journal_admit(journal, 1, NULL), STORE_EPOISONED);
    ck_assert_int_eq(journal_sync(journal, NULL), STORE_EPOISONED);
    ck_assert_uint_eq(journal_end(journal), end);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal");
    TCase *cases = tcase_create("journal");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_was_appended_is_in_the_kernel_in_order);
    tcase_add_test(cases, covered_segments_are_recycled_and_others_kept);
    tcase_add_test(cases, a_record_larger_than_a_segment_gets_one_of_its_own);
    tcase_add_test(cases, sync_makes_durable_and_an_idle_log_gets_a_mark);
    tcase_add_test(cases, the_syncer_needs_no_call);
    tcase_add_test(cases, a_shorter_interval_counts_at_once);
    tcase_add_test(cases, sync_always_is_durable_on_return);
    tcase_add_test(cases, a_sync_of_the_writers_segment_wakes_nobody);
    tcase_add_test(cases, admission_closes_at_the_limit_leaves_a_reserve_and_opens_again);
    tcase_add_test(cases, a_poisoned_journal_takes_nothing_and_says_why);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
