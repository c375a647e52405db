// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What is kept on the disk for the tables, and what admission makes of it, on a disk whose end is
// where the test says. Linked with -Wl,--wrap for fallocate.
#include "store/room.h"

#include "support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MARGIN ((uint64_t)64 * 1024)
#define REOPEN ((uint64_t)256 * 1024)
#define MEGABYTE ((uint64_t)1 << 20)
#define MESSAGES 200u
#define PAYLOAD 10000u

static uint64_t disk_end; // data.mdb cannot be allocated beyond

int __real_fallocate(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate(int fd, int mode, off_t at, off_t len);
int __wrap_fallocate64(int fd, int mode, off_t at, off_t len);

int __wrap_fallocate(int fd, int mode, off_t at, off_t len)
{
    if ((uint64_t)(at + len) > disk_end) {
        errno = ENOSPC;
        return -1;
    }
    return __real_fallocate(fd, mode, at, len);
}

int __wrap_fallocate64(int fd, int mode, off_t at, off_t len)
{
    return __wrap_fallocate(fd, mode, at, len);
}

static char *folder;
static struct os_dir *dir;
static struct tables *tables;
static struct room *room;
static struct store_error err;
static uint64_t covered;

static void setup(void)
{
    struct tables_options options = {.create = true, .compression = STORE_COMPRESSION_NONE};
    disk_end = UINT64_MAX;
    covered = 1;
    err = (struct store_error){0};
    folder = folder_make();
    options.path = folder;
    ck_assert_int_eq(os_dir_open(&dir, folder, 0, &err), 0);
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(room_open(&room, dir, tables, MARGIN, REOPEN, &err), 0);
}

static void teardown(void)
{
    room_close(room);
    tables_close(tables);
    os_dir_close(dir);
    folder_remove(folder);
}

static void apply(enum record_type type, unsigned first, unsigned count)
{
    static uint8_t payload[PAYLOAD];
    struct fold *fold = NULL;
    ck_assert_int_eq(fold_new(&fold, &err), 0);
    for (unsigned i = first; i < first + count; i++) {
        struct event event = {.type = type};
        event.message.store_id = i;
        event.message.topic = span_of("t", 1);
        event.message.payload = span_of(payload, sizeof(payload));
        ck_assert_int_eq(fold_add(fold, &event, &err), 0);
    }
    ck_assert_msg(tables_apply(tables, fold, ++covered, false, &err) == 0, "%s", err.sentence);
    fold_free(fold);
}

static uint64_t file_end(void)
{
    struct tables_room found;
    ck_assert_int_eq(tables_room(tables, false, &found, &err), 0);
    return found.file_bytes;
}

START_TEST(what_is_kept_lies_behind_the_end_of_the_file)
{
    struct stat before, after;
    ck_assert_int_eq(stat(path_in(folder, "data.mdb"), &before), 0);
    ck_assert_int_eq(room_keep(room, 3 * MEGABYTE, &err), 0);
    ck_assert_int_eq(stat(path_in(folder, "data.mdb"), &after), 0);
    ck_assert_int_eq(after.st_size, before.st_size);
    ck_assert_uint_ge((uint64_t)after.st_blocks * 512, file_end() + 3 * MEGABYTE + MARGIN);
    ck_assert(!room_is_short(room));
    ck_assert_int_eq(room_admit(room, 100 * MEGABYTE, 10, &err), 0);
}
END_TEST

START_TEST(a_full_disk_gives_what_it_has_and_no_more_is_admitted)
{
    uint64_t given = 0;
    disk_end = file_end() + MEGABYTE;
    ck_assert_int_eq(room_keep(room, 3 * MEGABYTE, &err), STORE_ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.sentence, "data.mdb"));
    ck_assert(room_is_short(room));
    while (room_admit(room, given + 10000, 10, &err) == 0)
        given += 10000;
    ck_assert_int_eq(err.code, STORE_ENOSPC);
    ck_assert_uint_gt(given, MEGABYTE - MARGIN - MEGABYTE / 8);
    ck_assert_uint_le(given, MEGABYTE - MARGIN);
    // What the tables have taken in counts no longer, but the file has grown.
    apply(RECORD_MESSAGE_ADD, 1, 10);
    room_look(room, given);
    ck_assert_int_eq(room_admit(room, given + MEGABYTE / 2, 10, &err), 0);
    ck_assert_int_eq(room_admit(room, given + MEGABYTE, 10, &err), STORE_ENOSPC);
}
END_TEST

START_TEST(what_was_refused_is_taken_again_when_there_is_room_for_more_than_a_little)
{
    disk_end = file_end() + MARGIN;
    ck_assert_int_eq(room_keep(room, 3 * MEGABYTE, &err), STORE_ENOSPC);
    ck_assert_int_eq(room_admit(room, 50000, 10, &err), STORE_ENOSPC);
    disk_end += REOPEN - 65536;
    room_look(room, 0);
    ck_assert_int_eq(room_admit(room, 50000, 10, &err), STORE_ENOSPC);
    disk_end += 2 * 65536;
    room_look(room, 0);
    ck_assert_int_eq(room_admit(room, 50000, 10, &err), 0);
    disk_end = UINT64_MAX;
    room_look(room, 0);
    ck_assert(!room_is_short(room));
    ck_assert_int_eq(room_admit(room, 100 * MEGABYTE, 10, &err), 0);
}
END_TEST

START_TEST(pages_that_become_free_make_room_on_a_full_disk)
{
    apply(RECORD_MESSAGE_ADD, 1, MESSAGES);
    room_look(room, 0);
    disk_end = file_end() + MARGIN;
    ck_assert_int_eq(room_keep(room, 3 * MEGABYTE, &err), STORE_ENOSPC);
    ck_assert_int_eq(room_admit(room, 200000, 10, &err), STORE_ENOSPC);
    apply(RECORD_MESSAGE_DELETE, 1, MESSAGES);
    apply(RECORD_MESSAGE_DELETE, 1, 0); // the next transaction may have what the last one freed
    room_look(room, 0);
    uint64_t freed = (uint64_t)MESSAGES * PAYLOAD;
    ck_assert_int_eq(room_admit(room, freed / 2, 10, &err), 0);
    ck_assert_int_eq(room_admit(room, freed / 2, 60000, &err), 0);
    ck_assert_int_eq(room_admit(room, 2 * freed, 10, &err), STORE_ENOSPC);
    // It is as long a run as that, but nobody knows how it will be used up.
    ck_assert_int_eq(room_admit(room, 2 * MEGABYTE, 2 * MEGABYTE, &err), STORE_ENOSPC);
    uint64_t end = file_end();
    apply(RECORD_MESSAGE_ADD, 1, MESSAGES / 2);
    ck_assert_uint_le(file_end(), end);
}
END_TEST

START_TEST(single_pages_are_no_room_for_long_values)
{
    struct tables_room found;
    apply(RECORD_MESSAGE_ADD, 1, MESSAGES);
    for (unsigned i = 1; i <= MESSAGES; i += 2) // every second one
        apply(RECORD_MESSAGE_DELETE, i, 1);
    apply(RECORD_MESSAGE_DELETE, 1, 0);
    ck_assert_int_eq(tables_room(tables, true, &found, &err), 0);
    ck_assert_uint_ge(found.free_bytes[tables_run_class(10)], MESSAGES / 2 * PAYLOAD);
    ck_assert_uint_lt(found.free_bytes[tables_run_class(60000)], MESSAGES / 4 * PAYLOAD);
    ck_assert_uint_eq(found.free_bytes[tables_run_class(MEGABYTE * 4 / 5)], 0);
    ck_assert_uint_eq(found.free_bytes[tables_run_class(MEGABYTE * 2)], 0);
}
END_TEST

START_TEST(while_the_journal_lacks_its_files_the_tables_take_nothing)
{
    struct store_error reason = {.code = STORE_ENOSPC, .sentence = "no room for prepare.tmp"};
    struct stat before, after;
    ck_assert_int_eq(stat(path_in(folder, "data.mdb"), &before), 0);
    room_give_way(room, &reason);
    room_look(room, 0);
    ck_assert_int_eq(stat(path_in(folder, "data.mdb"), &after), 0);
    ck_assert_uint_le((uint64_t)(after.st_blocks - before.st_blocks) * 512, 2 * MARGIN);
    ck_assert(room_is_short(room));
    ck_assert_int_eq(room_admit(room, MEGABYTE, 10, &err), STORE_ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.sentence, "no room for prepare.tmp"));
    ck_assert_int_eq(room_keep(room, MEGABYTE, &err), 0);
    ck_assert_int_eq(room_admit(room, MEGABYTE, 10, &err), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("room");
    TCase *cases = tcase_create("room");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, what_is_kept_lies_behind_the_end_of_the_file);
    tcase_add_test(cases, a_full_disk_gives_what_it_has_and_no_more_is_admitted);
    tcase_add_test(cases,
                   what_was_refused_is_taken_again_when_there_is_room_for_more_than_a_little);
    tcase_add_test(cases, pages_that_become_free_make_room_on_a_full_disk);
    tcase_add_test(cases, single_pages_are_no_room_for_long_values);
    tcase_add_test(cases, while_the_journal_lacks_its_files_the_tables_take_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
