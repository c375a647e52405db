// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// In which order a segment file is made.
#include "store/os.h"
#include "store/segment.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static struct os_dir *dir;
static struct store_error err;
static char steps[256];
static bool space_is_kept;

static void step(const char *name)
{
    size_t len = strlen(steps);
    snprintf(steps + len, sizeof(steps) - len, "%s ", name);
}

// Linked with --wrap.
#define STEP(name, parameters, arguments) \
    int __real_##name parameters;         \
    int __wrap_##name parameters;         \
    int __wrap_##name parameters          \
    {                                     \
        step(&#name[strlen("os_")]);      \
        return __real_##name arguments;   \
    }
STEP(os_dir_rename,
     (struct os_dir * at, const char *from, const char *to, struct store_error *error),
     (at, from, to, error))
STEP(os_dir_sync, (struct os_dir * at, struct store_error *error), (at, error))
STEP(os_file_write,
     (struct os_file * file, uint64_t offset, const void *buf, size_t len,
      struct store_error *error),
     (file, offset, buf, len, error))
STEP(os_file_zero,
     (struct os_file * file, uint64_t from, uint64_t to, uint32_t piece_bytes,
      struct store_error *error),
     (file, from, to, piece_bytes, error))
STEP(os_file_sync, (struct os_file * file, struct store_error *error), (file, error))

int __real_os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written,
                           bool *ret_kept, struct store_error *error);
int __wrap_os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written,
                           bool *ret_kept, struct store_error *error);
int __wrap_os_file_reserve(struct os_file *file, uint64_t bytes, uint64_t *ret_written,
                           bool *ret_kept, struct store_error *error)
{
    int rc = __real_os_file_reserve(file, bytes, ret_written, ret_kept, error);
    step("file_reserve");
    *ret_kept = space_is_kept;
    return rc;
}

static void setup(void)
{
    folder = folder_make();
    err = (struct store_error){0};
    ck_assert_int_eq(os_dir_open(&dir, folder, 0, &err), 0);
}

static void teardown(void)
{
    os_dir_close(dir);
    folder_remove(folder);
}

static const char *steps_of(const char *recycle, bool synced)
{
    struct segment *segment = NULL;
    struct segment_header header = {
        .version = FORMAT_VERSION, .number = 7, .life = 1, .bytes = SEGMENT_MIN_BYTES};
    struct segment_zeros zeros = {.synced = synced, .piece_bytes = 4096};
    steps[0] = '\0';
    ck_assert_msg(segment_prepare(&segment, dir, &header, recycle, zeros, &err) == 0, "%s",
                  err.sentence);
    segment_close(segment);
    return steps;
}

// With sync always no sync of an append has to tell the disk which blocks are in use.
START_TEST(zeros_that_are_to_be_synced_come_before_the_sync)
{
    space_is_kept = true;
    ck_assert_str_eq(steps_of(NULL, true), "file_reserve file_zero file_write file_sync "
                                           "dir_rename dir_sync ");
}
END_TEST

// Else the disk need not be told of zeros that will soon be something else: what is not written
// reads as zeros.
START_TEST(zeros_that_need_not_be_synced_come_behind_the_sync)
{
    space_is_kept = true;
    ck_assert_str_eq(steps_of(NULL, false), "file_reserve file_write file_sync file_zero "
                                            "dir_rename dir_sync ");
}
END_TEST

// But where only zeros keep the room, the disk must have them before there are records.
START_TEST(zeros_that_keep_the_room_come_before_the_sync)
{
    space_is_kept = false;
    ck_assert_str_eq(steps_of(NULL, false), "file_reserve file_zero file_write file_sync "
                                            "dir_rename dir_sync ");
}
END_TEST

START_TEST(a_segment_is_zeros_behind_its_header_and_a_recycled_one_is_not_written)
{
    static const char *const old = "old.tmp";
    char name[SEGMENT_NAME_BYTES];
    space_is_kept = true;
    for (unsigned synced = 0; synced < 2; synced++) {
        struct segment_image image = {0};
        steps_of(NULL, synced);
        ck_assert_int_eq(segment_image_load(&image, dir, 7, (uint8_t[16]){0}, &err), 0);
        ck_assert_uint_eq(image.header.bytes, SEGMENT_MIN_BYTES);
        for (uint64_t at = SEGMENT_HEADER_BYTES; at < SEGMENT_MIN_BYTES; at++)
            ck_assert_uint_eq(image.data[at], 0);
        segment_image_release(&image);
    }
    segment_name(7, name);
    ck_assert_int_eq(os_dir_rename(dir, name, old, &err), 0);
    ck_assert_str_eq(steps_of(old, false), "dir_rename file_reserve file_write file_sync "
                                           "file_zero dir_rename dir_sync ");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("segment");
    TCase *cases = tcase_create("segment");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, zeros_that_are_to_be_synced_come_before_the_sync);
    tcase_add_test(cases, zeros_that_need_not_be_synced_come_behind_the_sync);
    tcase_add_test(cases, zeros_that_keep_the_room_come_before_the_sync);
    tcase_add_test(cases, a_segment_is_zeros_behind_its_header_and_a_recycled_one_is_not_written);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
