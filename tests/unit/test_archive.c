// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The archive as bytes: each field of it that may be wrong, each write and read that may fail.
#include "store/archive.h"
#include "store/bytes.h"
#include "store/checksum.h"

#include <check.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 56
#define AT_VERSION 8
#define AT_HEAD_CHECKSUM 48

static uint8_t bytes[4096];
static size_t count;    // of `bytes`
static size_t at;       // where the reader is
static unsigned passes; // calls that succeed before one fails; UINT_MAX: all
static struct store_error err;

static int call(struct store_error *ret_err)
{
    return passes-- ? 0 : error_set(ret_err, STORE_EIO, "the pipe broke");
}

static int put(void *user, const void *data, size_t len, struct store_error *ret_err)
{
    (void)user;
    memcpy(bytes + count, data, len);
    count += len;
    return call(ret_err);
}

static int get(void *user, void *data, size_t len, size_t *ret_len, struct store_error *ret_err)
{
    (void)user;
    *ret_len = len < count - at ? len : count - at;
    memcpy(data, bytes + at, *ret_len);
    at += *ret_len;
    return call(ret_err);
}

static int sink_refuses(void *user, const void *data, size_t len, struct store_error *ret_err)
{
    (void)user;
    (void)data;
    (void)len;
    return error_set(ret_err, STORE_ENOSPC, "the disk is full");
}

static int archive_write_it(void)
{
    static const struct archive_head head = {.format_version = 1, .position = 99};
    struct archive_writer writer = {.write = put};
    int rc = archive_begin(&writer, &head, &err);
    if (rc == 0)
        rc = archive_put(&writer, "first", 5, &err);
    if (rc == 0)
        rc = archive_put(&writer, "second", 6, &err);
    return rc ? rc : archive_finish(&writer, &err);
}

static int archive_read_it(int (*sink)(void *, const void *, size_t, struct store_error *))
{
    struct archive_source source = {.read = get, .name = "a.backup"};
    struct archive_head head;
    uint64_t len = 0;
    at = 0;
    err = (struct store_error){0};
    int rc = archive_read(&source, sink, NULL, &head, &len, &err);
    if (rc == 0)
        ck_assert_uint_eq(len, 11);
    return rc;
}

static void setup(void)
{
    count = 0;
    passes = UINT_MAX;
    ck_assert_int_eq(archive_write_it(), 0);
    ck_assert_int_eq(archive_read_it(NULL), 0);
}

START_TEST(every_write_may_fail)
{
    unsigned failing = 0;
    for (;; failing++) {
        count = 0;
        passes = failing;
        if (archive_write_it() == 0)
            break;
        ck_assert_str_eq(err.sentence, "the pipe broke");
    }
    ck_assert_uint_ge(failing, 4);
}
END_TEST

START_TEST(every_read_may_fail)
{
    unsigned failing = 0;
    for (;; failing++) {
        passes = failing;
        if (archive_read_it(NULL) == 0)
            break;
        ck_assert_str_eq(err.sentence, "a.backup: the pipe broke");
    }
    ck_assert_uint_ge(failing, 4);
}
END_TEST

START_TEST(what_cannot_be_written_to_is_said)
{
    ck_assert_int_eq(archive_read_it(sink_refuses), STORE_ENOSPC);
    ck_assert_str_eq(err.sentence, "the disk is full");
}
END_TEST

START_TEST(every_byte_counts)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] ^= 1;
        ck_assert_msg(archive_read_it(NULL) != 0, "byte %zu", i);
        bytes[i] ^= 1;
    }
    for (size_t whole = count; count > 0; count--) {
        if (count < whole)
            ck_assert_int_eq(archive_read_it(NULL), STORE_EDAMAGED);
    }
}
END_TEST

static void head_seal(void)
{
    put_u64(bytes + AT_HEAD_CHECKSUM, checksum64(bytes, AT_HEAD_CHECKSUM, 0));
}

START_TEST(the_head_is_looked_at_first)
{
    put_u32(bytes + AT_VERSION, 2);
    head_seal();
    ck_assert_int_eq(archive_read_it(NULL), STORE_EVERSION);
    ck_assert_str_eq(
        err.sentence,
        "a.backup: the archive has format 2, this program knows 1; use a newer version");
    put_u32(bytes + AT_VERSION, 1);
    ck_assert_int_eq(archive_read_it(NULL), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "a.backup: the archive's head is damaged");
    bytes[0] = 'x';
    ck_assert_int_eq(archive_read_it(NULL), STORE_EFOREIGN);
}
END_TEST

START_TEST(no_block_is_larger_than_a_mebibyte)
{
    put_u32(bytes + HEAD_BYTES, (1u << 20) + 1);
    ck_assert_int_eq(archive_read_it(NULL), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "a.backup: the archive is damaged at offset 56");
}
END_TEST

// A whole end mark, of an archive that was longer.
START_TEST(the_end_says_how_much_there_was)
{
    uint64_t chain = get_u64(bytes + AT_HEAD_CHECKSUM);
    uint8_t *end = bytes + HEAD_BYTES;
    put_u32(end, 0);
    put_u64(end + 12, 11);
    put_u64(end + 4, checksum64(end + 12, 8, chain));
    count = HEAD_BYTES + 20;
    ck_assert_int_eq(archive_read_it(NULL), STORE_EDAMAGED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("archive");
    TCase *cases = tcase_create("archive");
    tcase_add_checked_fixture(cases, setup, NULL);
    tcase_add_test(cases, every_write_may_fail);
    tcase_add_test(cases, every_read_may_fail);
    tcase_add_test(cases, what_cannot_be_written_to_is_said);
    tcase_add_test(cases, every_byte_counts);
    tcase_add_test(cases, the_head_is_looked_at_first);
    tcase_add_test(cases, no_block_is_larger_than_a_mebibyte);
    tcase_add_test(cases, the_end_says_how_much_there_was);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
