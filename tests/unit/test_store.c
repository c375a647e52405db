// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The facade: opening what is and what is not a store, the lock, lives, the end of a life, and
// looking at a store that somebody else holds.
#include "store/lock.h"
#include "store/segment.h"
#include "store/store.h"

#include "support.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *folder;

static void setup(void)
{
    folder = folder_make();
}

static void teardown(void)
{
    folder_remove(folder);
}

static struct store_options options_for(enum store_access access)
{
    return (struct store_options){.path = folder,
                                  .access = access,
                                  .create = access == STORE_READ_WRITE,
                                  .journal_segment_bytes = SEGMENT_MIN_BYTES,
                                  .holder = "test_store"};
}

static struct store *must_open(enum store_access access)
{
    struct store_options options = options_for(access);
    struct store_error err = {0};
    struct store *store = NULL;
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    return store;
}

static void must_refuse(enum store_access access, int code, const char *words)
{
    struct store_options options = options_for(access);
    struct store_error err = {0};
    struct store *store = NULL;
    ck_assert_int_eq(store_open(&store, &options, &err), code);
    ck_assert_msg(strstr(err.sentence, words), "%s", err.sentence);
    ck_assert_ptr_null(store);
}

static void append(struct store *store, const struct event *event)
{
    struct store_error err = {0};
    ck_assert_msg(store_append(store, event, &err) == 0, "%s", err.sentence);
}

static void append_session(struct store *store, const char *client_id)
{
    struct event event = {.type = RECORD_SESSION_ADD,
                          .session = {.client_id = span_str(client_id),
                                      .session_expiry_interval = SESSION_EXPIRY_NEVER}};
    append(store, &event);
}

static void append_queued(struct store *store, const char *client_id, uint64_t cmsg_id,
                          uint64_t store_id)
{
    struct event message = {.type = RECORD_MESSAGE_ADD,
                            .message = {.store_id = store_id,
                                        .topic = span_str("t"),
                                        .payload = span_str("payload"),
                                        .qos = 1}};
    struct event queued = {.type = RECORD_QUEUE_ADD,
                           .queued = {.client_id = span_str(client_id),
                                      .cmsg_id = cmsg_id,
                                      .store_id = store_id,
                                      .direction = QUEUE_OUT,
                                      .qos = 1}};
    append(store, &message);
    append(store, &queued);
}

static struct store_stats stats_of(struct store *store)
{
    struct store_stats stats;
    struct store_error err = {0};
    ck_assert_msg(store_stats(store, &stats, &err) == 0, "%s", err.sentence);
    return stats;
}

static int collect_store_id(void *user, const struct queued *queued)
{
    uint64_t **at = user;
    *(*at)++ = queued->store_id;
    return 0;
}

START_TEST(a_new_store_is_private_and_empty)
{
    struct stat st;
    struct store *store = must_open(STORE_READ_WRITE);
    ck_assert(store_recovery(store)->created);
    ck_assert_int_eq(stat(folder, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    static const char *const names[] = {"data.mdb", "lock.mdb", "store.lock", "0000000001.log"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ck_assert_msg(stat(path_in(folder, names[i]), &st) == 0, "%s", names[i]);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    struct store_stats stats = stats_of(store);
    ck_assert_uint_eq(stats.sessions + stats.messages + stats.queued + stats.retained, 0);
    ck_assert_uint_eq(stats.life, 1);
    ck_assert_uint_eq(strlen(stats.store_id), 32);
    store_close(store, true, NULL);
}
END_TEST

// The first start was cut short while LMDB wrote the beginning of its file.
START_TEST(a_creation_that_was_cut_short_is_begun_again)
{
    static const char *const beginnings[] = {"", "half a head"};
    for (size_t i = 0; i < sizeof(beginnings) / sizeof(beginnings[0]); i++) {
        FILE *file = fopen(path_in(folder, "create.tmp"), "w");
        ck_assert_ptr_nonnull(file);
        fputs(beginnings[i], file);
        fclose(file);
        must_refuse(STORE_READ_ONLY, STORE_ENOSTORE, "there is no store");
        struct store *store = must_open(STORE_READ_WRITE);
        ck_assert(store_recovery(store)->created);
        ck_assert_int_ne(access(path_in(folder, "create.tmp"), F_OK), 0);
        store_close(store, true, NULL);
        folder_remove(folder);
        folder = folder_make();
    }
}
END_TEST

START_TEST(an_empty_folder_open_to_others_is_closed_to_them)
{
    struct stat st;
    ck_assert_int_eq(chmod(folder, 0755), 0);
    store_close(must_open(STORE_READ_WRITE), true, NULL);
    ck_assert_int_eq(stat(folder, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(a_store_open_to_others_is_refused)
{
    store_close(must_open(STORE_READ_WRITE), true, NULL);
    ck_assert_int_eq(chmod(folder, 0750), 0);
    must_refuse(STORE_READ_WRITE, STORE_EUNSAFE, "chmod 700");
    ck_assert_int_eq(chmod(folder, 0700), 0);
    ck_assert_int_eq(chmod(path_in(folder, "store.lock"), 0644), 0);
    must_refuse(STORE_READ_WRITE, STORE_EUNSAFE, "chmod 600");
}
END_TEST

START_TEST(a_folder_with_other_files_is_not_made_a_store)
{
    FILE *file = fopen(path_in(folder, "holiday.jpg"), "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    must_refuse(STORE_READ_WRITE, STORE_EFOREIGN, "holiday.jpg");
    ck_assert_int_ne(access(path_in(folder, "store.lock"), F_OK), 0);
    ck_assert_int_ne(access(path_in(folder, "data.mdb"), F_OK), 0);
}
END_TEST

START_TEST(what_is_not_there_is_said_and_not_made)
{
    struct store_options options = options_for(STORE_READ_ONLY);
    struct store_error err = {0};
    struct store *store = NULL;
    must_refuse(STORE_READ_ONLY, STORE_ENOSTORE, "there is no store at");
    must_refuse(STORE_RECOVER, STORE_ENOSTORE, "there is no store at");
    options.path = path_in(folder, "missing");
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_ENOSTORE);
    ck_assert_ptr_nonnull(strstr(err.sentence, "no such folder"));
    options.path = path_in(folder, "a/b");
    options.access = STORE_READ_WRITE;
    options.create = true;
    ck_assert_int_ne(store_open(&store, &options, &err), 0);
}
END_TEST

START_TEST(a_link_is_not_followed)
{
    struct store_options options = options_for(STORE_READ_WRITE);
    struct store_error err = {0};
    struct store *store = NULL;
    ck_assert_int_eq(symlink(folder, path_in(folder, "link")), 0);
    options.path = path_in(folder, "link");
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EUNSAFE);
    ck_assert_int_eq(unlink(path_in(folder, "link")), 0);

    store_close(must_open(STORE_READ_WRITE), true, NULL);
    ck_assert_int_eq(rename(path_in(folder, "store.lock"), path_in(folder, "torn-x")), 0);
    ck_assert_int_eq(symlink("torn-x", path_in(folder, "store.lock")), 0);
    must_refuse(STORE_READ_WRITE, STORE_EUNSAFE, "store.lock is a symbolic link");
}
END_TEST

START_TEST(a_file_with_two_names_is_refused)
{
    store_close(must_open(STORE_READ_WRITE), true, NULL);
    ck_assert_int_eq(link(path_in(folder, "store.lock"), path_in(folder, "torn-x")), 0);
    must_refuse(STORE_READ_WRITE, STORE_EUNSAFE, "has 2 links");
}
END_TEST

START_TEST(a_second_holder_is_refused_by_the_name_of_the_first)
{
    char who[64];
    struct store *store = must_open(STORE_READ_WRITE);
    snprintf(who, sizeof(who), "test_store, process %ld", (long)getpid());
    must_refuse(STORE_READ_WRITE, STORE_EHELD, who);
    must_refuse(STORE_RECOVER, STORE_EHELD, who);
    store_close(store, false, NULL);
    store_close(must_open(STORE_READ_WRITE), true, NULL);
}
END_TEST

START_TEST(a_running_store_can_be_looked_at_and_says_how_far_behind_it_is)
{
    struct store *writer = must_open(STORE_READ_WRITE);
    append_session(writer, "one");
    ck_assert_int_eq(store_flush(writer, NULL), 0);

    struct store *reader = must_open(STORE_READ_ONLY);
    struct store_stats stats = stats_of(reader);
    ck_assert_uint_eq(stats.sessions, 1);
    ck_assert_uint_eq(stats.sessions_connected, 1);
    ck_assert_uint_eq(stats.behind_records, 0);
    ck_assert_ptr_nonnull(strstr(stats.lock_holder, "test_store, process"));
    struct store_error err = {0};
    struct event event = {.type = RECORD_LOOP_MARK};
    ck_assert_int_eq(store_append(reader, &event, &err), STORE_EREADONLY);
    store_close(reader, false, NULL);
    store_close(writer, false, NULL);

    // A killed writer's records that did not reach the tables.
    writer = must_open(STORE_READ_WRITE);
    for (int i = 0; i < 10; i++)
        append_session(writer, "two");
    store_close(writer, false, NULL);
    reader = must_open(STORE_READ_ONLY);
    stats = stats_of(reader);
    ck_assert_uint_le(stats.behind_records, 10);
    ck_assert_uint_eq(stats.sessions + (stats.behind_records ? 1 : 0), 2);
    ck_assert_str_eq(stats.lock_holder, "");
    store_close(reader, false, NULL);
}
END_TEST

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// data.mdb changes for other reasons too: room is allocated behind its end.
START_TEST(how_long_it_is_behind_counts_from_when_it_had_caught_up)
{
    struct store_options options = options_for(STORE_READ_WRITE);
    struct store *store = NULL;
    options.commit_interval_ms = 3600000;
    ck_assert_int_eq(store_open(&store, &options, NULL), 0);
    int64_t caught_up_ms = now_ms();
    append_session(store, "one");
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    ck_assert_int_eq(utimensat(AT_FDCWD, path_in(folder, "data.mdb"), NULL, 0), 0);
    int64_t least_ms = now_ms() - caught_up_ms;
    struct store_stats stats = stats_of(store);
    ck_assert_uint_eq(stats.behind_records, 1);
    ck_assert_int_ge((int64_t)stats.behind_ms, least_ms);

    ck_assert_int_eq(store_flush(store, NULL), 0);
    append_session(store, "two");
    stats = stats_of(store);
    ck_assert_uint_eq(stats.behind_records, 1);
    ck_assert_int_le((int64_t)stats.behind_ms, now_ms() - caught_up_ms - 50);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(a_clean_stop_leaves_nothing_to_recover)
{
    struct store *store = must_open(STORE_READ_WRITE);
    struct store_error err = {0};
    append_session(store, "one");
    ck_assert_msg(store_close(store, true, &err) == 0, "%s", err.sentence);
    store = must_open(STORE_READ_WRITE);
    ck_assert(store_recovery(store)->clean);
    ck_assert_uint_eq(store_recovery(store)->records, 0);
    store_close(store, false, NULL);
    store = must_open(STORE_READ_WRITE);
    ck_assert(!store_recovery(store)->clean);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(wills_survive_a_kill_and_not_a_clean_stop)
{
    struct event will = {.type = RECORD_WILL_SET,
                         .will = {.client_id = span_str("c"), .topic = span_str("gone")}};
    struct store *store = must_open(STORE_READ_WRITE);
    append(store, &will);
    store_close(store, false, NULL);
    store = must_open(STORE_READ_WRITE);
    ck_assert_uint_eq(stats_of(store).wills, 1);
    store_close(store, true, NULL);
    store = must_open(STORE_READ_WRITE);
    ck_assert_uint_eq(stats_of(store).wills, 0);
    store_close(store, true, NULL);
}
END_TEST

// Trap 1 of the broker's interface: it numbers queue entries from 1 in each of its lives.
START_TEST(ids_that_start_again_overwrite_nothing_and_keep_the_order)
{
    uint64_t seen[16], *at = seen;
    struct store_view *view = NULL;
    struct store *store = must_open(STORE_READ_WRITE);
    append_session(store, "c");
    uint64_t first_of_old = store_cmsg_id(store, 1);
    for (uint64_t i = 1; i <= 3; i++)
        append_queued(store, "c", i, 100 + i);
    store_close(store, false, NULL);

    store = must_open(STORE_READ_WRITE);
    ck_assert_uint_gt(store_cmsg_id(store, 1), first_of_old + 1000000);
    ck_assert_uint_eq(store_cmsg_id(store, first_of_old), first_of_old);
    for (uint64_t i = 1; i <= 3; i++)
        append_queued(store, "c", i, 200 + i);
    // The broker deletes a restored entry by the id it was given.
    struct event gone = {.type = RECORD_QUEUE_DELETE,
                         .queued = {.client_id = span_str("c"),
                                    .cmsg_id = first_of_old,
                                    .store_id = 101,
                                    .direction = QUEUE_OUT}};
    append(store, &gone);
    ck_assert_int_eq(store_flush(store, NULL), 0);

    ck_assert_int_eq(store_view_open(&view, store, NULL), 0);
    ck_assert_int_eq(store_each_queued(view, span_str("c"), collect_store_id, &at, NULL), 0);
    store_view_close(view);
    static const uint64_t expected[] = {102, 103, 201, 202, 203};
    ck_assert_int_eq(at - seen, 5);
    ck_assert_mem_eq(seen, expected, sizeof(expected));
    store_close(store, true, NULL);
}
END_TEST

START_TEST(a_torn_tail_is_kept_aside_and_said)
{
    struct store *store = must_open(STORE_READ_WRITE);
    append_session(store, "one");
    ck_assert_int_eq(store_flush(store, NULL), 0);
    uint64_t end = stats_of(store).journal_end;
    char name[SEGMENT_NAME_BYTES];
    segment_name(end >> 32, name);
    store_close(store, false, NULL);
    file_overwrite(path_in(folder, name), end & 0xffffffff, "half a record", 13);

    store = must_open(STORE_READ_WRITE);
    ck_assert_uint_gt(store_recovery(store)->torn_bytes, 0);
    const char *kept = path_in(folder, store_recovery(store)->torn_file);
    ck_assert_uint_eq(file_bytes(kept), store_recovery(store)->torn_bytes);
    ck_assert_uint_eq(stats_of(store).sessions, 1);
    store_close(store, true, NULL);
    store = must_open(STORE_READ_WRITE);
    ck_assert_uint_eq(store_recovery(store)->torn_bytes, 0);
    store_close(store, true, NULL);
}
END_TEST

// Neither segment was known to be on the disk: all behind the damaged record is kept aside.
START_TEST(a_torn_tail_may_begin_in_the_segment_before)
{
    struct store_options options = options_for(STORE_READ_WRITE);
    struct store_error err = {0};
    struct store *store = NULL;
    uint64_t last = 0, position, i = 0;
    options.sync = STORE_SYNC_OS;
    options.commit_interval_ms = 3600 * 1000;
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    append_session(store, "c");
    while (position_segment(position = stats_of(store).journal_end) == 1) {
        last = position;
        append_queued(store, "c", i + 1, i + 1);
        i++;
    }
    store_close(store, false, NULL);
    char name[SEGMENT_NAME_BYTES];
    segment_name(1, name);
    file_flip_bit(path_in(folder, name), position_offset(last) - 30, 1);

    store = must_open(STORE_READ_WRITE);
    const struct store_recovery *recovery = store_recovery(store);
    uint64_t kept = file_bytes(path_in(folder, recovery->torn_file));
    ck_assert_uint_eq(kept, recovery->torn_bytes);
    ck_assert_uint_gt(kept, SEGMENT_MIN_BYTES - position_offset(last));
    ck_assert_uint_lt(kept, SEGMENT_MIN_BYTES / 2);
    ck_assert_uint_eq(stats_of(store).sessions, 1);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(a_cursor_reads_what_was_appended_while_it_is_written)
{
    struct store_error err = {0};
    struct store_cursor *cursor = NULL;
    struct event event;
    uint64_t position = 0, messages = 0, last = 0;
    struct store *store = must_open(STORE_READ_WRITE);
    struct store *reader = must_open(STORE_READ_ONLY);
    append_session(store, "c");
    ck_assert_msg(store_cursor_open(&cursor, reader, 0, &err) == 0, "%s", err.sentence);
    for (uint64_t i = 1; i <= 3000; i++) {
        append_queued(store, "c", i, i);
        int rc;
        while ((rc = store_cursor_next(cursor, &event, &position, &err)) == 1) {
            ck_assert_uint_gt(position, last);
            last = position;
            messages += event.type == RECORD_MESSAGE_ADD;
        }
        ck_assert_msg(rc == 0, "%s", err.sentence);
        ck_assert_uint_eq(messages, i);
    }
    store_cursor_close(cursor);
    store_close(reader, false, NULL);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(options_out_of_range_are_named)
{
    struct store_options options = options_for(STORE_READ_WRITE);
    struct store_error err = {0};
    struct store *store = NULL;
    options.journal_segment_bytes = 1000;
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.sentence, "journal_segment_bytes"));
    options.journal_segment_bytes = 1 << 20;
    options.journal_max_bytes = 1 << 20;
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.sentence, "journal_max_bytes"));
    options.path = "";
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EINVAL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store");
    TCase *cases = tcase_create("store");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_new_store_is_private_and_empty);
    tcase_add_test(cases, a_creation_that_was_cut_short_is_begun_again);
    tcase_add_test(cases, an_empty_folder_open_to_others_is_closed_to_them);
    tcase_add_test(cases, a_store_open_to_others_is_refused);
    tcase_add_test(cases, a_folder_with_other_files_is_not_made_a_store);
    tcase_add_test(cases, what_is_not_there_is_said_and_not_made);
    tcase_add_test(cases, a_link_is_not_followed);
    tcase_add_test(cases, a_file_with_two_names_is_refused);
    tcase_add_test(cases, a_second_holder_is_refused_by_the_name_of_the_first);
    tcase_add_test(cases, a_running_store_can_be_looked_at_and_says_how_far_behind_it_is);
    tcase_add_test(cases, how_long_it_is_behind_counts_from_when_it_had_caught_up);
    tcase_add_test(cases, a_clean_stop_leaves_nothing_to_recover);
    tcase_add_test(cases, wills_survive_a_kill_and_not_a_clean_stop);
    tcase_add_test(cases, ids_that_start_again_overwrite_nothing_and_keep_the_order);
    tcase_add_test(cases, a_torn_tail_is_kept_aside_and_said);
    tcase_add_test(cases, a_torn_tail_may_begin_in_the_segment_before);
    tcase_add_test(cases, a_cursor_reads_what_was_appended_while_it_is_written);
    tcase_add_test(cases, options_out_of_range_are_named);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
