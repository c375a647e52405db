// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/payload.h"
#include "store/record.h"
#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct payload_compressor *compressor;
static struct payload_decompressor *decompressor;

static void setup(void)
{
    compressor = payload_compressor_new();
    decompressor = payload_decompressor_new();
    ck_assert_ptr_nonnull(compressor);
    ck_assert_ptr_nonnull(decompressor);
}

static void teardown(void)
{
    payload_compressor_free(compressor);
    payload_decompressor_free(decompressor);
}

static uint8_t *text_make(size_t len)
{
    static const char words[] =
        "{\"temperature\": 21.5, \"unit\": \"C\", \"device\": \"kitchen\"} ";
    uint8_t *bytes = malloc(len + 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)words[i % (sizeof(words) - 1)];
    return bytes;
}

static uint8_t *noise_make(size_t len)
{
    uint64_t seed = 42;
    uint8_t *bytes = malloc(len + 1);
    ck_assert_ptr_nonnull(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)seed_next(&seed, 256);
    return bytes;
}

static void round_trip(const uint8_t *bytes, size_t len, int level)
{
    struct store_error err = {0};
    struct span frame;
    struct span payload;
    ck_assert(payload_compress(compressor, level, span_of(bytes, len), &frame));
    ck_assert_uint_le(frame.len + len / 8 + PAYLOAD_SAVE_MIN_BYTES, len);
    ck_assert_msg(payload_decompress(decompressor, frame, (uint32_t)len, &payload, &err) == 0, "%s",
                  err.sentence);
    ck_assert(span_equal(payload, span_of(bytes, len)));
}

START_TEST(what_compresses_comes_back)
{
    static const size_t lengths[] = {200, 1000, 65536, 3000000};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t *bytes = text_make(lengths[i]);
        memset(bytes, 'a', lengths[i] / 2);
        for (int level = -5; level <= 19; level += 6)
            round_trip(bytes, lengths[i], level);
        free(bytes);
    }
}
END_TEST

START_TEST(small_payloads_stay_plain)
{
    struct span frame = span_str("untouched");
    char zeros[63] = {0};
    for (size_t len = 0; len <= sizeof(zeros); len++)
        ck_assert(!payload_compress(compressor, 1, span_of(zeros, len), &frame));
    ck_assert(!payload_compress(compressor, 1, span_str(NULL), &frame));
    ck_assert(span_equal(frame, span_str("untouched")));
}
END_TEST

START_TEST(what_does_not_compress_stays_plain)
{
    struct span frame = span_str("untouched");
    uint8_t *bytes = noise_make(100000);
    for (size_t len = 64; len <= 100000; len = len * 3 + 1)
        ck_assert(!payload_compress(compressor, 1, span_of(bytes, len), &frame));
    ck_assert(span_equal(frame, span_str("untouched")));
    free(bytes);
}
END_TEST

START_TEST(memory_of_a_large_payload_is_given_back)
{
    uint8_t *bytes = text_make(20000000);
    round_trip(bytes, 20000000, 3);
    payload_compressor_trim(compressor);
    round_trip(bytes, 1000, 1);
    free(bytes);
}
END_TEST

START_TEST(another_length_than_the_frame_has_is_damage)
{
    uint8_t *bytes = text_make(5000);
    struct span frame;
    struct span payload;
    ck_assert(payload_compress(compressor, 1, span_of(bytes, 5000), &frame));
    static const uint32_t wrong[] = {0, 1, 4999, 5001, 268435456, UINT32_MAX};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct store_error err = {0};
        ck_assert_int_eq(payload_decompress(decompressor, frame, wrong[i], &payload, &err),
                         STORE_EDAMAGED);
        ck_assert_int_eq(err.code, STORE_EDAMAGED);
    }
    free(bytes);
}
END_TEST

START_TEST(a_frame_that_claims_to_be_huge_takes_no_memory)
{
    // A frame header that says 4 GiB - 1, and a block that would be it.
    static const uint8_t bomb[] = {0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0xff, 0xff,
                                   0xff, 0xff, 0x03, 0xff, 0x7f, 0x00};
    struct store_error err = {0};
    struct span payload;
    ck_assert_int_eq(
        payload_decompress(decompressor, span_of(bomb, sizeof(bomb)), UINT32_MAX, &payload, &err),
        STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "the payload is longer than MQTT allows");
    ck_assert_int_eq(
        payload_decompress(decompressor, span_of(bomb, sizeof(bomb)), 1000, &payload, &err),
        STORE_EDAMAGED);
}
END_TEST

START_TEST(a_frame_cut_short_is_damage)
{
    uint8_t *bytes = text_make(3000);
    struct span frame;
    struct span payload;
    ck_assert(payload_compress(compressor, 1, span_of(bytes, 3000), &frame));
    for (uint32_t len = 0; len < frame.len; len++) {
        // In memory of its own, so that a sanitizer sees a read beyond.
        uint8_t *copy = malloc(len + 1u);
        memcpy(copy, frame.data, len);
        ck_assert_int_eq(payload_decompress(decompressor, span_of(copy, len), 3000, &payload, NULL),
                         STORE_EDAMAGED);
        free(copy);
    }
    free(bytes);
}
END_TEST

START_TEST(no_flipped_bit_leads_out_of_the_buffer)
{
    uint8_t *bytes = text_make(3000);
    struct span frame;
    struct span payload;
    ck_assert(payload_compress(compressor, 1, span_of(bytes, 3000), &frame));
    uint8_t *copy = malloc(frame.len);
    memcpy(copy, frame.data, frame.len);
    for (uint32_t bit = 0; bit < frame.len * 8; bit++) {
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
        int rc = payload_decompress(decompressor, span_of(copy, frame.len), 3000, &payload, NULL);
        ck_assert(rc == STORE_EDAMAGED || payload.len == 3000);
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
    }
    free(copy);
    free(bytes);
}
END_TEST

START_TEST(frame_after_frame_of_noise_is_refused)
{
    uint8_t *bytes = noise_make(4096);
    struct span payload;
    bytes[0] = 0x28, bytes[1] = 0xb5, bytes[2] = 0x2f, bytes[3] = 0xfd;
    for (uint32_t at = 4; at + 300 < 4096; at += 7) {
        uint8_t frame[300];
        memcpy(frame, bytes, 4);
        memcpy(frame + 4, bytes + at, sizeof(frame) - 4);
        ck_assert_int_eq(
            payload_decompress(decompressor, span_of(frame, sizeof(frame)), 100, &payload, NULL),
            STORE_EDAMAGED);
    }
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("payload");
    TCase *tests = tcase_create("payload");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, what_compresses_comes_back);
    tcase_add_test(tests, small_payloads_stay_plain);
    tcase_add_test(tests, what_does_not_compress_stays_plain);
    tcase_add_test(tests, memory_of_a_large_payload_is_given_back);
    tcase_add_test(tests, another_length_than_the_frame_has_is_damage);
    tcase_add_test(tests, a_frame_that_claims_to_be_huge_takes_no_memory);
    tcase_add_test(tests, a_frame_cut_short_is_damage);
    tcase_add_test(tests, no_flipped_bit_leads_out_of_the_buffer);
    tcase_add_test(tests, frame_after_frame_of_noise_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
