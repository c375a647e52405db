// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "topic.h"

#include <check.h>
#include <stdlib.h>

struct match {
    const char *filter;
    const char *topic;
    bool matches;
};

static const struct match matches[] = {
    {"a", "a", true},
    {"a", "b", false},
    {"a", "a/", false},
    {"a/", "a/", true},
    {"/a", "/a", true},
    {"/a", "a", false},
    {"a/b/c", "a/b/c", true},
    {"a/b", "a/b/c", false},
    {"a/b/c", "a/b", false},
    {"+", "a", true},
    {"+", "", false},
    {"+", "a/b", false},
    {"+", "/a", false},
    {"+/+", "/a", true},
    {"/+", "/a", true},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a//c", true},
    {"a/+", "a", false},
    {"a/+", "a/", true},
    {"#", "a", true},
    {"#", "a/b/c", true},
    {"#", "/", true},
    {"a/#", "a", true},
    {"a/#", "a/", true},
    {"a/#", "a/b/c", true},
    {"a/#", "ab", false},
    {"a/+/#", "a", false},
    {"a/+/#", "a/b", true},
    {"A", "a", false},
    // MQTT 5 section 4.7.2.
    {"#", "$SYS/uptime", false},
    {"+/uptime", "$SYS/uptime", false},
    {"$SYS/#", "$SYS/uptime", true},
    {"$SYS/+", "$SYS/uptime", true},
    {"a/#", "a/$b", true},
    {"a/+", "a/$b", true},
    // MQTT 5 section 4.8.2.
    {"$share/g/a/+", "a/b", true},
    {"$share/g/#", "a", true},
    {"$share/g/#", "$SYS/uptime", false},
    {"$share/g/$SYS/#", "$SYS/uptime", true},
    {"$share/g/a", "b", false},
    {"$share/g//a", "/a", true},
    {"$shared/a", "$shared/a", true},
};

START_TEST(matching)
{
    const struct match *row = &matches[_i];
    ck_assert_msg(topic_matches(span_str(row->filter), span_str(row->topic)) == row->matches,
                  "\"%s\" and \"%s\"", row->filter, row->topic);
}
END_TEST

struct validity {
    const char *string;
    bool valid;
};

static const struct validity filters[] = {
    {"a", true},          {"/", true},           {"//", true},           {"+", true},
    {"#", true},          {"a/#", true},         {"+/+/#", true},        {"", false},
    {"#/a", false},       {"a/#/b", false},      {"a#", false},          {"#a", false},
    {"a+", false},        {"+a/b", false},       {"a/b+", false},        {"##", false},
    {"$share/g/a", true}, {"$share/g/#", true},  {"$share/g", false},    {"$share/g/", false},
    {"$share//a", false}, {"$share/+/a", false}, {"$share/g#/a", false}, {"$share/g/a#", false},
    {"$sharea", true},    {"$SYS/#", true},
};

START_TEST(filters_are_checked)
{
    ck_assert_msg(topic_filter_valid(span_str(filters[_i].string)) == filters[_i].valid, "\"%s\"",
                  filters[_i].string);
}
END_TEST

START_TEST(names_are_checked)
{
    ck_assert(topic_name_valid(span_str("a/b c/\xc3\xa9")));
    ck_assert(topic_name_valid(span_str("$SYS")));
    ck_assert(!topic_name_valid(span_str("")));
    ck_assert(!topic_name_valid(span_str("a/+")));
    ck_assert(!topic_name_valid(span_str("a/#")));
    ck_assert(!topic_name_valid(span_of("a\0b", 3)));
    ck_assert(!topic_filter_valid(span_of("a\0b", 3)));
}
END_TEST

START_TEST(shares_are_split)
{
    struct span group, rest;
    ck_assert(topic_share_split(span_str("$share/workers/jobs/+"), &group, &rest));
    ck_assert(span_equal(group, span_str("workers")));
    ck_assert(span_equal(rest, span_str("jobs/+")));
    ck_assert(!topic_share_split(span_str("share/workers/jobs"), &group, &rest));
    ck_assert_ptr_null(group.data);
    ck_assert(span_equal(rest, span_str("share/workers/jobs")));
    ck_assert(!topic_share_split(span_str("$share/workers"), &group, &rest));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("topic");
    TCase *tcase = tcase_create("topic");
    tcase_add_loop_test(tcase, matching, 0, (int)(sizeof(matches) / sizeof(matches[0])));
    tcase_add_loop_test(tcase, filters_are_checked, 0, (int)(sizeof(filters) / sizeof(filters[0])));
    tcase_add_test(tcase, names_are_checked);
    tcase_add_test(tcase, shares_are_split);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
