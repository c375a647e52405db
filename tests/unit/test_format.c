// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The journal's bytes by themselves: what a header and a frame may say, and what a file of a
// segment is called and holds.
#include "store/bytes.h"
#include "store/checksum.h"
#include "store/segment.h"

#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_CHECKSUM 88
#define SALT 4711u

static const uint8_t store_id[16] = "0123456789abcdef";

static char *folder;
static struct os_dir *dir;

static void setup(void)
{
    folder = folder_make();
    ck_assert_int_eq(os_dir_open(&dir, folder, 0, NULL), 0);
}

static void teardown(void)
{
    os_dir_close(dir);
    folder_remove(folder);
}

static struct segment_header header_sample(void)
{
    struct segment_header header = {
        .version = 1, .number = 1, .life = 1, .salt = SALT, .bytes = SEGMENT_MIN_BYTES};
    memcpy(header.store_id, store_id, 16);
    return header;
}

// ---- headers -------------------------------------------------------------------------------

// A checksum that is right, over fields that cannot be.
START_TEST(a_header_must_not_contradict_itself)
{
    static const struct {
        size_t at, bytes;
        uint64_t value;
        bool fine;
    } cases[] = {
        {20, 4, SEGMENT_HEADER_BYTES, true},
        {20, 4, 512, false},
        {40, 8, 0, false},
        {40, 8, 2, false}, // the first position is that of segment 1
        {40, 8, UINT64_C(1) << 32, false},
        {72, 8, SEGMENT_MIN_BYTES - 1, false},
        {72, 8, SEGMENT_MAX_BYTES, true},
        {72, 8, UINT64_C(1) + SEGMENT_MAX_BYTES, false},
        {64, 8, 0, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t block[SEGMENT_HEADER_BYTES];
        struct segment_header header = header_sample();
        struct store_error err = {0};
        segment_header_encode(&header, block);
        if (cases[i].bytes == 4)
            put_u32(block + cases[i].at, (uint32_t)cases[i].value);
        else
            put_u64(block + cases[i].at, cases[i].value);
        put_u64(block + HEADER_CHECKSUM, 0);
        put_u64(block + HEADER_CHECKSUM, checksum64(block, sizeof(block), 0));
        int rc = segment_header_decode(block, &header, &err);
        ck_assert_msg(rc == (cases[i].fine ? 0 : STORE_EDAMAGED), "case %zu: %d", i, rc);
        if (!cases[i].fine)
            ck_assert_str_eq(err.sentence, "the segment header contradicts itself");
    }
}
END_TEST

// ---- frames --------------------------------------------------------------------------------

START_TEST(a_frame_is_only_read_within_its_segment)
{
    uint8_t segment[256] = {0};
    struct frame frame;
    size_t body = 20, total = frame_total_bytes(body);
    frame_seal(segment + 64, 3, body, SALT, position_of(1, 64), 0);
    ck_assert_int_eq(frame_read(segment, sizeof(segment), 1, SALT, 64, &frame), FRAME_VALID);
    ck_assert_int_eq(frame_read(segment, 64 + total + 7, 1, SALT, 64, &frame), FRAME_INVALID);
    ck_assert_int_eq(frame_read(segment, 256, 1, SALT, 256, &frame), FRAME_INVALID);
    ck_assert_int_eq(frame_read(segment, 256, 1, SALT, 264, &frame), FRAME_INVALID);
    ck_assert_int_eq(frame_read(segment, 256, 1, SALT, 64 + total, &frame), FRAME_END);
}
END_TEST

START_TEST(what_fills_a_frame_up_is_zero)
{
    for (size_t body = 0; body < 16; body++) {
        uint8_t segment[256] = {0};
        struct frame frame;
        size_t end = FRAME_HEADER_BYTES + body, total = frame_total_bytes(body);
        frame_seal(segment, 3, body, SALT, position_of(1, 0), 0);
        for (size_t at = end; at < total; at++) {
            segment[at] = 1;
            ck_assert_int_eq(frame_read(segment, 256, 1, SALT, 0, &frame), FRAME_INVALID);
            segment[at] = 0;
        }
        ck_assert_int_eq(frame_read(segment, 256, 1, SALT, 0, &frame), FRAME_VALID);
        ck_assert_uint_eq(frame.body_bytes, body);
    }
}
END_TEST

// ---- files ---------------------------------------------------------------------------------

START_TEST(only_ten_digits_name_a_segment)
{
    static const char *const others[] = {
        "0000000000.log", "000000001.log",  "00000000001.log", "0000000001.txt", "000000000a.log",
        "00000 0001.log", "-000000001.log", "9999999999.log",  "0000000001log.", "",
        "prepare.tmp",
    };
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert_msg(!segment_name_parse(others[i], &number), "%s", others[i]);
    ck_assert_uint_eq(number, 7);
    ck_assert(segment_name_parse("4294967295.log", &number) && number == UINT32_MAX);
    ck_assert(!segment_name_parse("4294967296.log", &number));
    for (number = 1; number < UINT32_MAX / 3; number = number * 3 + 1) {
        char name[SEGMENT_NAME_BYTES];
        uint64_t back;
        segment_name(number, name);
        ck_assert(segment_name_parse(name, &back) && back == number);
    }
}
END_TEST

static void file_write(const char *name, const void *data, size_t bytes)
{
    struct os_file *file = NULL;
    ck_assert_int_eq(os_dir_remove(dir, name, NULL), 0);
    ck_assert_int_eq(os_file_open(&file, dir, name, OS_READ | OS_WRITE | OS_CREATE, NULL), 0);
    ck_assert_int_eq(os_file_write(file, 0, data, bytes, NULL), 0);
    os_file_close(file);
}

// A header of some kind, right or wrong, and nothing behind it.
START_TEST(a_blank_segment_holds_nothing_behind_its_first_block)
{
    size_t bytes = SEGMENT_MIN_BYTES;
    uint8_t *data = calloc(1, bytes);
    data[100] = 1;
    file_write("0000000001.log", data, bytes);
    ck_assert(segment_is_blank(dir, 1));
    file_write("0000000001.log", data, bytes - 1); // too short to have been one
    ck_assert(!segment_is_blank(dir, 1));
    data[100] = 0; // not even a header
    file_write("0000000001.log", data, bytes);
    ck_assert(!segment_is_blank(dir, 1));
    data[100] = 1;
    data[bytes - 1] = 1;
    file_write("0000000001.log", data, bytes);
    ck_assert(!segment_is_blank(dir, 1));
    data[bytes - 1] = 0;
    data[SEGMENT_HEADER_BYTES] = 1;
    file_write("0000000001.log", data, bytes);
    ck_assert(!segment_is_blank(dir, 1));
    ck_assert(!segment_is_blank(dir, 2)); // is not there
    free(data);
}
END_TEST

START_TEST(the_header_and_the_file_must_agree)
{
    uint8_t *data = calloc(1, SEGMENT_MIN_BYTES + 1);
    struct segment_header header = header_sample();
    struct segment_image image;
    struct store_error err = {0};
    segment_header_encode(&header, data);
    file_write("0000000001.log", data, SEGMENT_MIN_BYTES);
    ck_assert_int_eq(segment_image_load(&image, dir, 1, store_id, &err), 0);
    segment_image_release(&image);
    ck_assert_int_eq(segment_header_load(dir, 1, &header, &err), 0);
    ck_assert_int_eq(segment_header_load(dir, 2, &header, &err), STORE_ENOTFOUND);

    file_write("0000000001.log", data, SEGMENT_MIN_BYTES + 1);
    ck_assert_int_eq(segment_header_load(dir, 1, &header, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence,
                     "0000000001.log: the file has 65537 bytes, its header says 65536");
    file_write("0000000001.log", data, SEGMENT_HEADER_BYTES - 1);
    ck_assert_int_eq(segment_image_load(&image, dir, 1, store_id, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "0000000001.log: the file ends inside the segment header");
    free(data);
}
END_TEST

START_TEST(many_segments_are_listed_in_order)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    for (uint64_t i = 40; i > 0; i--) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(i * 7 % 41 + 1, name);
        file_write(name, "x", 1);
    }
    file_write("prepare.tmp", "x", 1);
    ck_assert_int_eq(segment_list(dir, &numbers, &count, NULL), 0);
    ck_assert_uint_eq(count, 40);
    for (size_t i = 1; i < count; i++)
        ck_assert_uint_lt(numbers[i - 1], numbers[i]);
    free(numbers);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("format");
    TCase *cases = tcase_create("format");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, a_header_must_not_contradict_itself);
    tcase_add_test(cases, a_frame_is_only_read_within_its_segment);
    tcase_add_test(cases, what_fills_a_frame_up_is_zero);
    tcase_add_test(cases, only_ten_digits_name_a_segment);
    tcase_add_test(cases, a_blank_segment_holds_nothing_behind_its_first_block);
    tcase_add_test(cases, the_header_and_the_file_must_agree);
    tcase_add_test(cases, many_segments_are_listed_in_order);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
