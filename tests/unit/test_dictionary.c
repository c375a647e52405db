// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Training, and frames that need a dictionary. SEED=n repeats a run.
#include "store/payload.h"
#include "store/trainer.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed;
static struct trainer *trainer;
static struct payload_compressor *compressor;
static struct payload_decompressor *decompressor;
static struct store_error err;

static void setup(void)
{
    seed = seed_choose();
    trainer = trainer_new();
    compressor = payload_compressor_new();
    decompressor = payload_decompressor_new();
    ck_assert_ptr_nonnull(trainer);
    ck_assert_ptr_nonnull(compressor);
    ck_assert_ptr_nonnull(decompressor);
}

static void teardown(void)
{
    trainer_free(trainer);
    payload_compressor_free(compressor);
    payload_decompressor_free(decompressor);
}

// A reading as a device of this family would send it.
static size_t reading_write(char *dst, size_t size, const char *family)
{
    return (size_t)snprintf(dst, size,
                            "%s/line%u/telemetry{\"device\":\"%s-%04u\",\"temperature\":%u.%02u,"
                            "\"humidity\":%u,\"battery\":3.%02u,\"firmware\":\"2.4.1-r12\"}",
                            family, seed_next(&seed, 10), family, seed_next(&seed, 10000),
                            seed_next(&seed, 40), seed_next(&seed, 100), seed_next(&seed, 100),
                            seed_next(&seed, 100));
}

static void offer(const void *bytes, size_t len)
{
    uint8_t *place = trainer_offer(trainer, len);
    if (place)
        memcpy(place, bytes, len);
}

// Offers readings until the trainer is due.
static void offer_readings(const char *family)
{
    char reading[400];
    while (!trainer_is_due(trainer))
        offer(reading, reading_write(reading, sizeof(reading), family));
}

static void train(const char *family)
{
    offer_readings(family);
    ck_assert(trainer_train(trainer, 1, span_str(NULL)));
}

// What a reading is stored as.
static size_t stored_bytes(const char *family, bool *ret_with)
{
    char reading[400];
    size_t len = reading_write(reading, sizeof(reading), family);
    struct span frame;
    uint16_t id = 0;
    bool smaller = payload_compress(compressor, span_of(reading, len), &frame, &id);
    *ret_with = smaller && id;
    return smaller ? frame.len : len;
}

START_TEST(what_a_dictionary_compresses_comes_back)
{
    train("boiler");
    const struct dictionary *made = trainer_made(trainer);
    ck_assert_ptr_nonnull(made);
    ck_assert(payload_is_dictionary(made->bytes));
    ck_assert_uint_le(made->bytes.len, DICTIONARY_TRAIN_BYTES);
    ck_assert_uint_lt(made->after_bytes, made->before_bytes);
    ck_assert_uint_le(made->before_bytes, made->trial_bytes);
    ck_assert_int_eq(payload_decompressor_add(decompressor, 7, made->bytes, &err), 0);
    for (int level = 1; level <= 19; level += 9) {
        payload_compressor_use(compressor, level, 7, made->bytes);
        ck_assert(payload_compressor_uses(compressor, level, 7));
        for (int i = 0; i < 200; i++) {
            char reading[400];
            size_t len = reading_write(reading, sizeof(reading), "boiler");
            struct span frame;
            struct span content;
            uint16_t id = 0;
            ck_assert(payload_compress(compressor, span_of(reading, len), &frame, &id));
            ck_assert_uint_eq(id, 7);
            ck_assert_uint_lt(frame.len, len / 2);
            ck_assert_int_eq(payload_decompress(decompressor, frame, 7, &content, &err), 0);
            ck_assert(span_equal(content, span_of(reading, len)));
        }
    }
}
END_TEST

START_TEST(long_contents_do_without)
{
    static uint8_t bytes[PAYLOAD_DICTIONARY_MAX_BYTES + 1];
    struct span frame;
    uint16_t id;
    train("boiler");
    payload_compressor_use(compressor, 1, 7, trainer_made(trainer)->bytes);
    ck_assert(payload_compress(compressor, span_of(bytes, sizeof(bytes) - 1), &frame, &id));
    ck_assert_uint_eq(id, 7);
    ck_assert(payload_compress(compressor, span_of(bytes, sizeof(bytes)), &frame, &id));
    ck_assert_uint_eq(id, 0);
    // And the next short one has it again, whatever memory the long one took.
    payload_compressor_trim(compressor);
    ck_assert(payload_compress(compressor, span_of(bytes, 100), &frame, &id));
    ck_assert_uint_eq(id, 7);
}
END_TEST

START_TEST(a_missing_dictionary_is_damage)
{
    char reading[400];
    size_t len = reading_write(reading, sizeof(reading), "boiler");
    struct span frame;
    struct span content;
    uint16_t id;
    train("boiler");
    payload_compressor_use(compressor, 1, 7, trainer_made(trainer)->bytes);
    ck_assert(payload_compress(compressor, span_of(reading, len), &frame, &id));
    ck_assert(!payload_decompressor_has(decompressor, 7));
    ck_assert_int_eq(payload_decompress(decompressor, frame, 7, &content, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "it needs dictionary 7, which is not here");
    // Nor does it unpack without one, or with another, to what was never published.
    ck_assert_int_eq(payload_decompress(decompressor, frame, 0, &content, &err), STORE_EDAMAGED);
}
END_TEST

START_TEST(a_malformed_dictionary_is_refused_or_harmless)
{
    char reading[400];
    size_t len = reading_write(reading, sizeof(reading), "boiler");
    struct span frame;
    struct span content;
    uint16_t id;
    train("boiler");
    struct span good = trainer_made(trainer)->bytes;
    payload_compressor_use(compressor, 1, 7, good);
    ck_assert(payload_compress(compressor, span_of(reading, len), &frame, &id));
    ck_assert_int_eq(payload_decompressor_add(decompressor, 1, span_str(NULL), &err),
                     STORE_EDAMAGED);
    ck_assert_int_eq(payload_decompressor_add(decompressor, 1, span_str("no dictionary"), &err),
                     STORE_EDAMAGED);
    ck_assert(!payload_decompressor_has(decompressor, 1));
    unsigned refused = 0;
    for (unsigned i = 0; i < 600; i++) {
        // Half of them in the tables at the front, half cut short.
        uint32_t keep = i % 2 ? good.len : 9 + seed_next(&seed, good.len - 9);
        uint8_t *copy = malloc(keep);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, good.data, keep);
        if (i % 2)
            copy[4 + seed_next(&seed, 200)] ^= (uint8_t)(1 + seed_next(&seed, 255));
        int rc =
            payload_decompressor_add(decompressor, (uint16_t)(1 + i), span_of(copy, keep), &err);
        if (rc == 0)
            payload_decompress(decompressor, frame, (uint16_t)(1 + i), &content, &err);
        refused += rc != 0;
        // For compression too: it is left out, and what is compressed says so.
        payload_compressor_use(compressor, 1, 9, span_of(copy, keep));
        payload_compress(compressor, span_of(reading, len), &frame, &id);
        free(copy);
        payload_compressor_use(compressor, 1, 7, good);
        ck_assert(payload_compress(compressor, span_of(reading, len), &frame, &id));
    }
    ck_assert_uint_gt(refused, 50);
    payload_compressor_use(compressor, 1, 9, span_str("no dictionary"));
    bool with;
    stored_bytes("boiler", &with);
    ck_assert(!with);
}
END_TEST

START_TEST(more_dictionaries_than_a_store_has_are_thrown_out_in_turn)
{
    train("boiler");
    struct span bytes = trainer_made(trainer)->bytes;
    for (uint16_t id = 1; id <= 100; id++) {
        ck_assert_int_eq(payload_decompressor_add(decompressor, id, bytes, &err), 0);
        ck_assert(payload_decompressor_has(decompressor, id));
        ck_assert(id < 17 || !payload_decompressor_has(decompressor, (uint16_t)(id - 16)));
        ck_assert(id < 16 || payload_decompressor_has(decompressor, (uint16_t)(id - 15)));
    }
    ck_assert(!payload_decompressor_has(decompressor, 0));
}
END_TEST

START_TEST(noise_makes_no_dictionary)
{
    uint8_t noise[200];
    while (!trainer_is_due(trainer)) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)seed_next(&seed, 256);
        offer(noise, sizeof(noise));
    }
    ck_assert(!trainer_train(trainer, 1, span_str(NULL)));
    ck_assert_ptr_null(trainer_made(trainer));
}
END_TEST

START_TEST(too_few_samples_make_no_dictionary)
{
    struct dictionary made;
    ck_assert_int_eq(trainer_train_now(trainer, 1, span_str(NULL), &made, &err), STORE_ENOTFOUND);
    offer("one sample alone", 16);
    ck_assert_int_eq(trainer_train_now(trainer, 1, span_str(NULL), &made, &err), STORE_ENOTFOUND);
    ck_assert(!trainer_train(trainer, 1, span_str(NULL)));
}
END_TEST

START_TEST(the_same_messages_again_gain_nothing)
{
    train("boiler");
    struct span first =
        span_of(malloc(trainer_made(trainer)->bytes.len), trainer_made(trainer)->bytes.len);
    memcpy((void *)(uintptr_t)first.data, trainer_made(trainer)->bytes.data, first.len);
    trainer_taken(trainer);
    ck_assert_ptr_null(trainer_made(trainer));
    offer_readings("boiler");
    ck_assert(!trainer_train(trainer, 1, first));
    ck_assert_ptr_null(trainer_made(trainer));
    // Another kind of messages does.
    offer_readings("chimney/exhaust/analyser");
    ck_assert(trainer_train(trainer, 1, first));
    ck_assert_ptr_nonnull(trainer_made(trainer));
    free((void *)(uintptr_t)first.data);
}
END_TEST

START_TEST(training_gets_rarer)
{
    uint64_t expected = TRAINER_FIRST_BYTES;
    static uint8_t zeros[TRAINER_SAMPLE_MAX_BYTES];
    for (int round = 0; round < 8; round++) {
        uint64_t offered = 0;
        while (!trainer_is_due(trainer)) {
            offer(zeros, sizeof(zeros));
            offered += sizeof(zeros);
        }
        ck_assert_uint_ge(offered, expected);
        ck_assert_uint_lt(offered, expected + sizeof(zeros));
        trainer_train(trainer, 1, span_str(NULL));
        ck_assert(!trainer_is_due(trainer));
        expected = expected * 4 < TRAINER_LAST_BYTES ? expected * 4 : TRAINER_LAST_BYTES;
    }
}
END_TEST

// Long ones are no samples, and what is kept is spread over all that came: of messages that come
// in two halves, each of its own kind, both are in the dictionary.
START_TEST(samples_are_spread_over_all_that_came)
{
    bool with;
    struct dictionary made;
    char reading[400];
    ck_assert_ptr_null(trainer_offer(trainer, TRAINER_SAMPLE_MAX_BYTES + 1));
    ck_assert_ptr_null(trainer_offer(trainer, 0));
    ck_assert(!trainer_is_due(trainer));
    for (int i = 0; i < 60000; i++)
        offer(reading,
              reading_write(reading, sizeof(reading), i < 30000 ? "boiler" : "chimney-exhaust"));
    ck_assert_int_eq(trainer_train_now(trainer, 1, span_str(NULL), &made, &err), 0);
    // Seven of eight; with twice as many a sample more would not fit.
    ck_assert_uint_lt(made.samples, TRAINER_SAMPLES_MAX);
    ck_assert_uint_gt(made.samples, 1000);
    payload_compressor_use(compressor, 1, 3, made.bytes);
    ck_assert_uint_lt(stored_bytes("boiler", &with), 80);
    ck_assert(with);
    ck_assert_uint_lt(stored_bytes("chimney-exhaust", &with), 80);
    ck_assert(with);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dictionary");
    TCase *tests = tcase_create("dictionary");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_a_dictionary_compresses_comes_back);
    tcase_add_test(tests, long_contents_do_without);
    tcase_add_test(tests, a_missing_dictionary_is_damage);
    tcase_add_test(tests, a_malformed_dictionary_is_refused_or_harmless);
    tcase_add_test(tests, more_dictionaries_than_a_store_has_are_thrown_out_in_turn);
    tcase_add_test(tests, noise_makes_no_dictionary);
    tcase_add_test(tests, too_few_samples_make_no_dictionary);
    tcase_add_test(tests, the_same_messages_again_gain_nothing);
    tcase_add_test(tests, training_gets_rarer);
    tcase_add_test(tests, samples_are_spread_over_all_that_came);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
