// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/payload.h"
#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

// Linked with --wrap: zstd allocates in its own library, where no other test can let it fail.
static bool memory_is_short;
static unsigned contexts_made; // for compressing

void *__real_ZSTD_createCCtx(void);
void *__wrap_ZSTD_createCCtx(void);
void *__real_ZSTD_createDCtx(void);
void *__wrap_ZSTD_createDCtx(void);

void *__wrap_ZSTD_createCCtx(void)
{
    contexts_made++;
    return memory_is_short ? NULL : __real_ZSTD_createCCtx();
}

void *__wrap_ZSTD_createDCtx(void)
{
    return memory_is_short ? NULL : __real_ZSTD_createDCtx();
}

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

static uint8_t *content_make(uint8_t *bytes, size_t len)
{
    uint8_t *room = payload_compressor_room(compressor, len);
    ck_assert_ptr_nonnull(room);
    memcpy(room, bytes, len);
    return room;
}

static void round_trip(uint8_t *bytes, size_t len, int level)
{
    struct store_error err = {0};
    struct span frame;
    struct span content;
    uint16_t dictionary = 99;
    payload_compressor_use(compressor, level, 0, span_str(NULL));
    ck_assert(
        payload_compress(compressor, span_of(content_make(bytes, len), len), &frame, &dictionary));
    ck_assert_uint_eq(dictionary, 0);
    ck_assert_uint_le(frame.len + len / 8 + PAYLOAD_SAVE_MIN_BYTES, len);
    ck_assert_msg(payload_decompress(decompressor, frame, 0, &content, &err) == 0, "%s",
                  err.sentence);
    ck_assert(span_equal(content, span_of(bytes, len)));
}

// A frame of `len` bytes of text, in memory of the compressor.
static struct span frame_make(size_t len)
{
    struct span frame;
    uint16_t dictionary;
    uint8_t *bytes = text_make(len);
    ck_assert(payload_compress(compressor, span_of(bytes, len), &frame, &dictionary));
    free(bytes);
    return frame;
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

START_TEST(small_contents_stay_plain)
{
    struct span frame = span_str("untouched");
    uint16_t dictionary = 99;
    char zeros[63] = {0};
    for (size_t len = 0; len <= sizeof(zeros); len++)
        ck_assert(!payload_compress(compressor, span_of(zeros, len), &frame, &dictionary));
    ck_assert(!payload_compress(compressor, span_str(NULL), &frame, &dictionary));
    ck_assert(span_equal(frame, span_str("untouched")));
    ck_assert_uint_eq(dictionary, 99);
}
END_TEST

START_TEST(what_does_not_compress_stays_plain)
{
    struct span frame = span_str("untouched");
    uint16_t dictionary = 99;
    uint8_t *bytes = noise_make(100000);
    for (size_t len = 64; len <= 100000; len = len * 3 + 1)
        ck_assert(!payload_compress(compressor, span_of(bytes, len), &frame, &dictionary));
    ck_assert(span_equal(frame, span_str("untouched")));
    ck_assert_uint_eq(dictionary, 99);
    free(bytes);
}
END_TEST

// A level at which zstd itself takes much memory.
#define HUNGRY_LEVEL 19

START_TEST(memory_of_a_large_content_is_given_back)
{
    uint8_t *bytes = text_make(20000000);
    round_trip(bytes, 20000000, HUNGRY_LEVEL);
    contexts_made = 0;
    payload_compressor_trim(compressor);
    ck_assert_uint_eq(contexts_made, 1);
    round_trip(bytes, 1000, 1);
    payload_compressor_trim(compressor); // nothing to give back
    ck_assert_uint_eq(contexts_made, 1);
    round_trip(bytes, 1000, 1);
    free(bytes);
}
END_TEST

// What is set for the life of a context must be set in the next one too.
START_TEST(a_new_context_has_the_level_of_the_old_one)
{
    uint8_t *bytes = text_make(20000000);
    struct span before, after;
    uint16_t dictionary;
    uint64_t seed = 42;
    for (size_t i = 0; i < 3000; i += 2 + seed_next(&seed, 30))
        bytes[i] = (uint8_t)seed_next(&seed, 256);
    payload_compressor_use(compressor, HUNGRY_LEVEL, 0, span_str(NULL));
    ck_assert(payload_compress(compressor, span_of(bytes, 3000), &before, &dictionary));
    uint32_t len = before.len;
    round_trip(bytes, 20000000, HUNGRY_LEVEL);
    contexts_made = 0;
    payload_compressor_trim(compressor);
    ck_assert_uint_eq(contexts_made, 1);
    ck_assert(payload_compress(compressor, span_of(bytes, 3000), &after, &dictionary));
    ck_assert_uint_eq(after.len, len);
    payload_compressor_use(compressor, 1, 0, span_str(NULL));
    ck_assert(payload_compress(compressor, span_of(bytes, 3000), &after, &dictionary));
    ck_assert_uint_ne(after.len, len); // or this test says nothing
    free(bytes);
}
END_TEST

START_TEST(without_memory_there_is_no_compressor_and_an_old_one_goes_on)
{
    uint8_t *bytes = text_make(20000000);
    round_trip(bytes, 20000000, HUNGRY_LEVEL);
    memory_is_short = true;
    ck_assert_ptr_null(payload_compressor_new());
    ck_assert_ptr_null(payload_decompressor_new());
    contexts_made = 0;
    payload_compressor_trim(compressor);
    ck_assert_uint_eq(contexts_made, 1);
    round_trip(bytes, 1000, 1);
    memory_is_short = false;
    free(bytes);
}
END_TEST

START_TEST(a_frame_that_lies_about_its_size_is_damage)
{
    // The text is 200 bytes: the frame says so in one byte, behind its first.
    struct span frame = frame_make(200);
    struct span content;
    uint32_t stated;
    uint8_t copy[200];
    memcpy(copy, frame.data, frame.len);
    ck_assert_uint_eq(copy[1], 200);
    ck_assert(payload_frame_content_bytes(span_of(copy, frame.len), &stated));
    ck_assert_uint_eq(stated, 200);
    for (unsigned lie = 0; lie < 256; lie++) {
        struct store_error err = {0};
        copy[1] = (uint8_t)lie;
        int rc = payload_decompress(decompressor, span_of(copy, frame.len), 0, &content, &err);
        ck_assert_int_eq(rc, lie == 200 ? 0 : STORE_EDAMAGED);
        ck_assert_int_eq(err.code, rc);
    }
}
END_TEST

START_TEST(a_frame_that_claims_to_be_huge_takes_no_memory)
{
    static const struct {
        struct span frame;
        const char *sentence;
    } bombs[] = {
        // 4 GiB - 1, and a block that would be it.
        {{"\xa0\xff\xff\xff\xff\x03\xff\x7f\x00", 9},
         "the frame states no size, or more than MQTT allows"},
        // 256 MiB in a block of one repeated byte.
        {{"\xa0\x00\x00\x00\x10\x03\xff\x7f\x00", 9},
         "the frame is too short for the size that it states"},
        // No size at all, a window of 2 GiB.
        {{"\x00\xa8\x01\x00\x00", 5}, "the frame states no size, or more than MQTT allows"},
        {{"", 0}, "the frame states no size, or more than MQTT allows"},
        {{NULL, 0}, "the frame states no size, or more than MQTT allows"},
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        struct store_error err = {0};
        struct span content;
        ck_assert_int_eq(payload_decompress(decompressor, bombs[i].frame, 0, &content, &err),
                         STORE_EDAMAGED);
        ck_assert_str_eq(err.sentence, bombs[i].sentence);
    }
}
END_TEST

START_TEST(a_frame_cut_short_is_damage)
{
    struct span frame = frame_make(3000);
    struct span content;
    for (uint32_t len = 0; len < frame.len; len++) {
        // In memory of its own, so that a sanitizer sees a read beyond.
        uint8_t *copy = malloc(len + 1u);
        memcpy(copy, frame.data, len);
        ck_assert_int_eq(payload_decompress(decompressor, span_of(copy, len), 0, &content, NULL),
                         STORE_EDAMAGED);
        free(copy);
    }
}
END_TEST

START_TEST(no_flipped_bit_leads_out_of_the_buffer)
{
    struct span frame = frame_make(3000);
    struct span content;
    uint8_t *copy = malloc(frame.len);
    memcpy(copy, frame.data, frame.len);
    for (uint32_t bit = 0; bit < frame.len * 8; bit++) {
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
        uint32_t stated = 0;
        int rc = payload_decompress(decompressor, span_of(copy, frame.len), 0, &content, NULL);
        ck_assert(rc == STORE_EDAMAGED || rc == 0);
        if (rc == 0) {
            ck_assert(payload_frame_content_bytes(span_of(copy, frame.len), &stated));
            ck_assert_uint_eq(content.len, stated);
        }
        copy[bit / 8] = (uint8_t)(copy[bit / 8] ^ 1u << bit % 8);
    }
    free(copy);
}
END_TEST

START_TEST(frame_after_frame_of_noise_is_refused)
{
    uint8_t *bytes = noise_make(4096);
    struct span content;
    for (uint32_t at = 0; at + 300 < 4096; at += 7)
        ck_assert_int_eq(
            payload_decompress(decompressor, span_of(bytes + at, 300), 0, &content, NULL),
            STORE_EDAMAGED);
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
    tcase_add_test(tests, small_contents_stay_plain);
    tcase_add_test(tests, what_does_not_compress_stays_plain);
    tcase_add_test(tests, memory_of_a_large_content_is_given_back);
    tcase_add_test(tests, a_new_context_has_the_level_of_the_old_one);
    tcase_add_test(tests, without_memory_there_is_no_compressor_and_an_old_one_goes_on);
    tcase_add_test(tests, a_frame_that_lies_about_its_size_is_damage);
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
