// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "histogram.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct histogram histogram;

static void setup(void)
{
    memset(&histogram, 0, sizeof(histogram));
}

START_TEST(an_empty_histogram_has_zeros)
{
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), 0);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99.9), 0);
    ck_assert_double_eq(histogram_mean(&histogram), 0);
}
END_TEST

START_TEST(small_values_are_exact)
{
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), 50);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99), 99);
    ck_assert_uint_eq(histogram_percentile(&histogram, 99.9), 100);
    ck_assert_uint_eq(histogram_percentile(&histogram, 0), 1);
    ck_assert_double_eq(histogram_mean(&histogram), 50.5);
}
END_TEST

// Every bucket's largest value is counted by it, and the next value by the next bucket.
START_TEST(buckets_follow_each_other_without_gap)
{
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS - 1; bucket++) {
        uint64_t max = histogram_bucket_max(bucket);
        ck_assert_uint_eq(histogram_bucket(max), bucket);
        ck_assert_uint_eq(histogram_bucket(max + 1), bucket + 1);
    }
    ck_assert_uint_eq(histogram_bucket_max(HISTOGRAM_BUCKETS - 1),
                      ((uint64_t)1 << HISTOGRAM_VALUE_BITS) - 1);
}
END_TEST

START_TEST(values_beyond_the_range_share_the_last_bucket)
{
    ck_assert_uint_eq(histogram_bucket((uint64_t)1 << HISTOGRAM_VALUE_BITS), HISTOGRAM_BUCKETS - 1);
    ck_assert_uint_eq(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
    histogram_add(&histogram, UINT64_MAX);
    ck_assert_uint_eq(histogram_percentile(&histogram, 50), UINT64_MAX);
}
END_TEST

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

// Against a sorted list of the same values: never below the true percentile, and less than 1 %
// above it.
START_TEST(percentiles_agree_with_a_sorted_list)
{
    enum { COUNT = 20000 };
    static const double percents[] = {1, 50, 90, 99, 99.9, 100};
    uint64_t *values = malloc(COUNT * sizeof(*values));
    uint64_t state = (uint64_t)_i;
    for (unsigned i = 0; i < COUNT; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = (state >> 24) >> (state % 40);
        histogram_add(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(*values), compare);
    for (unsigned i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
        uint64_t exact = values[(size_t)(percents[i] / 100 * COUNT + 0.999999) - 1];
        uint64_t found = histogram_percentile(&histogram, percents[i]);
        ck_assert_msg(found >= exact && (double)found <= (double)exact * 1.01,
                      "seed %d: %f %% is %llu, found %llu", _i, percents[i],
                      (unsigned long long)exact, (unsigned long long)found);
    }
    ck_assert_uint_eq(histogram_percentile(&histogram, 100), values[COUNT - 1]);
    free(values);
}
END_TEST

START_TEST(merging_is_as_adding_to_one)
{
    static struct histogram other, both;
    memset(&other, 0, sizeof(other));
    memset(&both, 0, sizeof(both));
    for (uint64_t value = 0; value < 5000; value++) {
        histogram_add(value % 3 ? &histogram : &other, value * value);
        histogram_add(&both, value * value);
    }
    histogram_merge(&histogram, &other);
    ck_assert_mem_eq(&histogram, &both, sizeof(both));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_histogram");
    TCase *tests = tcase_create("histogram");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, an_empty_histogram_has_zeros);
    tcase_add_test(tests, small_values_are_exact);
    tcase_add_test(tests, buckets_follow_each_other_without_gap);
    tcase_add_test(tests, values_beyond_the_range_share_the_last_bucket);
    tcase_add_loop_test(tests, percentiles_agree_with_a_sorted_list, 1, 9);
    tcase_add_test(tests, merging_is_as_adding_to_one);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
