// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "options.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct options options;
static struct store_error err;

static void setup(void)
{
    options_init(&options);
    err = (struct store_error){0};
}

static int set(const char *key, const char *value)
{
    return options_set(&options, "test", key, value, &err);
}

static void taken(const char *key, const char *value)
{
    ck_assert_msg(set(key, value) == 0, "%s", err.sentence);
}

static void says(const char *part)
{
    ck_assert_msg(strstr(err.sentence, part) != NULL, "'%s' is not in: %s", part, err.sentence);
}

START_TEST(defaults_are_those_of_the_readme)
{
    struct store_options store = {0};
    options_for_store(&options, &store);
    ck_assert_int_eq(store.sync, STORE_SYNC_INTERVAL);
    ck_assert_uint_eq(store.sync_interval_ms, 100);
    ck_assert_uint_eq(store.commit_interval_ms, 1000);
    ck_assert_uint_eq(store.journal_segment_bytes, 16u << 20);
    ck_assert_uint_eq(store.journal_max_bytes, 1u << 30);
    ck_assert_int_eq(store.compression, STORE_COMPRESSION_ZSTD);
    ck_assert_int_eq(store.compression_level, 1);
    ck_assert(!store.check_values);
    ck_assert_uint_eq(options.on_failure, ON_FAILURE_REFUSE);
    ck_assert_str_eq(options.path, "");
    ck_assert_int_eq(options_check(&options, &err), 0);
}
END_TEST

START_TEST(every_option_reaches_the_store)
{
    struct store_options store = {0};
    taken("path", "/a b/c");
    taken("sync", "ALWAYS");
    taken("sync_interval_ms", "2s");
    taken("commit_interval_ms", "250ms");
    taken("journal_segment_bytes", "64k");
    taken("journal_max_bytes", "3M");
    taken("compression", "none");
    taken("compression_level", "19");
    taken("on_failure", "stop");
    taken("check_at_start", "true");
    options_for_store(&options, &store);
    ck_assert_str_eq(store.path, "/a b/c");
    ck_assert_int_eq(store.sync, STORE_SYNC_ALWAYS);
    ck_assert_uint_eq(store.sync_interval_ms, 2000);
    ck_assert_uint_eq(store.commit_interval_ms, 250);
    ck_assert_uint_eq(store.journal_segment_bytes, 65536);
    ck_assert_uint_eq(store.journal_max_bytes, 3u << 20);
    ck_assert_int_eq(store.compression, STORE_COMPRESSION_NONE);
    ck_assert_int_eq(store.compression_level, 19);
    ck_assert(store.check_values);
    ck_assert_uint_eq(options.on_failure, ON_FAILURE_STOP);
}
END_TEST

static const struct {
    const char *key, *value;
    uint64_t expected;
} numbers[] = {
    {"journal_max_bytes", "262144", 262144},
    {"journal_max_bytes", "256K", 262144},
    {"journal_max_bytes", "1m", 1048576},
    {"journal_max_bytes", "2G", UINT64_C(2) << 30},
    {"journal_max_bytes", "1024G", UINT64_C(1) << 40},
    {"journal_max_bytes", "512 k  ", 524288},
};

START_TEST(sizes_take_units)
{
    taken(numbers[_i].key, numbers[_i].value);
    ck_assert_uint_eq(options.journal_max_bytes, numbers[_i].expected);
}
END_TEST

static const struct {
    const char *key, *value, *allowed;
} refused[] = {
    {"sync", "sometimes", "always"},
    {"sync", "", "interval"},
    {"sync", "always now", "os"},
    {"compression", "lzma", "zstd or none"},
    {"check_at_start", "1", "true or false"},
    {"sync_interval_ms", "0", "1ms to 60s"},
    {"sync_interval_ms", "60001", "1ms to 60s"},
    {"sync_interval_ms", "61s", "1ms to 60s"},
    {"sync_interval_ms", "1m", "1ms to 60s"},
    {"sync_interval_ms", "-1", "1ms to 60s"},
    {"sync_interval_ms", "+1", "1ms to 60s"},
    {"sync_interval_ms", "0x10", "1ms to 60s"},
    {"sync_interval_ms", "1.5s", "1ms to 60s"},
    {"sync_interval_ms", "ms", "1ms to 60s"},
    {"sync_interval_ms", "", "1ms to 60s"},
    {"journal_max_bytes", "1025G", "256k to 1024G"},
    {"journal_max_bytes", "18446744073709551616", "256k to 1024G"},
    {"journal_max_bytes", "17179869184G", "256k to 1024G"}, // 2^64
    {"journal_segment_bytes", "65535", "64k to 1G"},
    {"journal_segment_bytes", "1GiB", "64k to 1G"},
    {"compression_level", "20", "1 to 19"},
    {"compression_level", "1k", "1 to 19"},
    {"path", "", "up to"},
};

START_TEST(a_bad_value_is_refused_with_key_value_and_what_is_allowed)
{
    struct options before = options;
    char key[64];
    snprintf(key, sizeof(key), "plugin_opt_%s", refused[_i].key);
    ck_assert_int_eq(set(refused[_i].key, refused[_i].value), STORE_EINVAL);
    says(key);
    says(refused[_i].value);
    says(refused[_i].allowed);
    ck_assert_uint_eq(options.given, before.given);
}
END_TEST

static const struct {
    const char *key, *nearest;
} unknown[] = {
    {"snyc", "plugin_opt_sync"},
    {"sync_intervall_ms", "plugin_opt_sync_interval_ms"},
    {"journal_max", "plugin_opt_journal_max_bytes"},
    {"Path", "plugin_opt_path"},
    {"SYNC", "plugin_opt_sync"},
    {"on_fail", "plugin_opt_on_failure"},
    {"x", "plugin_opt_"},
    {"", "plugin_opt_"},
};

START_TEST(an_unknown_key_is_refused_with_the_nearest)
{
    ck_assert_int_eq(set(unknown[_i].key, "1"), STORE_EINVAL);
    says("nearest");
    says(unknown[_i].nearest);
}
END_TEST

START_TEST(a_very_long_key_or_value_is_refused)
{
    char *text = malloc(100001);
    memset(text, 'x', 100000);
    text[100000] = '\0';
    ck_assert_int_eq(set(text, "1"), STORE_EINVAL);
    ck_assert_int_eq(set("path", text), STORE_EINVAL);
    ck_assert_int_eq(set("sync", text), STORE_EINVAL);
    text[OPTIONS_PATH_BYTES - 1] = '\0';
    taken("path", text);
    ck_assert_str_eq(options.path, text);
    free(text);
}
END_TEST

START_TEST(a_key_may_be_given_once)
{
    taken("sync", "os");
    ck_assert_int_eq(set("sync", "os"), STORE_EINVAL);
    says("plugin_opt_sync is given twice");
}
END_TEST

START_TEST(four_segments_must_fit_into_the_journal)
{
    taken("journal_segment_bytes", "1M");
    taken("journal_max_bytes", "4095k");
    ck_assert_int_eq(options_check(&options, &err), STORE_EINVAL);
    says("plugin_opt_journal_max_bytes 4095k");
    says("plugin_opt_journal_segment_bytes 1M");
}
END_TEST

static int read_text(const char *text)
{
    char *folder = folder_make();
    const char *path = path_in(folder, "options");
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    int rc = options_read_file(&options, path, &err);
    folder_remove(folder);
    return rc;
}

START_TEST(a_file_is_read_line_by_line)
{
    int rc = read_text("# one\n\n  sync\talways \r\nplugin_opt_commit_interval_ms   5s\n"
                       "journal_max_bytes 64M");
    ck_assert_msg(rc == 0, "%s", err.sentence);
    ck_assert_uint_eq(options.sync, STORE_SYNC_ALWAYS);
    ck_assert_uint_eq(options.commit_interval_ms, 5000);
    ck_assert_uint_eq(options.journal_max_bytes, 64u << 20);
}
END_TEST

static const struct {
    const char *text, *part;
} bad_files[] = {
    {"sync always\nsync os\n", "line 2: plugin_opt_sync is given twice"},
    {"\n\nsink os\n", "line 3: there is no option plugin_opt_sink"},
    {"sync\n", "line 1: plugin_opt_sync"},
    {"path /x\n", "plugin_opt_path must stand in the broker's configuration"},
    {"options_file /x\n", "plugin_opt_options_file must stand"},
};

START_TEST(a_bad_file_is_refused_with_file_and_line)
{
    ck_assert_int_eq(read_text(bad_files[_i].text), STORE_EINVAL);
    says("/options");
    says(bad_files[_i].part);
}
END_TEST

START_TEST(a_line_that_is_too_long_is_refused)
{
    char *text = malloc(OPTIONS_PATH_BYTES * 2);
    memset(text, 'x', OPTIONS_PATH_BYTES * 2 - 1);
    text[OPTIONS_PATH_BYTES * 2 - 1] = '\0';
    ck_assert_int_eq(read_text(text), STORE_EINVAL);
    says("line 1 is too long");
    free(text);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
    ck_assert_int_ne(options_read_file(&options, "/nowhere/options", &err), 0);
    says("/nowhere/options");
}
END_TEST

struct change {
    char text[512];
};

static void on_change(void *user, const char *key, const char *from, const char *to,
                      bool changeable)
{
    struct change *change = user;
    size_t used = strlen(change->text);
    snprintf(change->text + used, sizeof(change->text) - used, "%s %s->%s %s;", key, from, to,
             changeable ? "now" : "restart");
}

START_TEST(a_comparison_names_what_changed_and_when_it_counts)
{
    struct options other;
    struct change change = {""};
    options_init(&other);
    options_compare(&options, &other, on_change, &change);
    ck_assert_str_eq(change.text, "");
    ck_assert_int_eq(options_set(&other, "test", "sync", "always", &err), 0);
    ck_assert_int_eq(options_set(&other, "test", "journal_segment_bytes", "1M", &err), 0);
    ck_assert_int_eq(options_set(&other, "test", "commit_interval_ms", "1500", &err), 0);
    options_compare(&options, &other, on_change, &change);
    ck_assert_str_eq(change.text, "sync interval->always now;commit_interval_ms 1s->1500ms now;"
                                  "journal_segment_bytes 16M->1M restart;");
    options_take_changeable(&options, &other);
    ck_assert_uint_eq(options.sync, STORE_SYNC_ALWAYS);
    ck_assert_uint_eq(options.commit_interval_ms, 1500);
    ck_assert_uint_eq(options.journal_segment_bytes, 16u << 20);
}
END_TEST

#define LOOP(test, array) \
    tcase_add_loop_test(tcase, test, 0, (int)(sizeof(array) / sizeof((array)[0])))

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, defaults_are_those_of_the_readme);
    tcase_add_test(tcase, every_option_reaches_the_store);
    LOOP(sizes_take_units, numbers);
    LOOP(a_bad_value_is_refused_with_key_value_and_what_is_allowed, refused);
    LOOP(an_unknown_key_is_refused_with_the_nearest, unknown);
    tcase_add_test(tcase, a_very_long_key_or_value_is_refused);
    tcase_add_test(tcase, a_key_may_be_given_once);
    tcase_add_test(tcase, four_segments_must_fit_into_the_journal);
    tcase_add_test(tcase, a_file_is_read_line_by_line);
    LOOP(a_bad_file_is_refused_with_file_and_line, bad_files);
    tcase_add_test(tcase, a_line_that_is_too_long_is_refused);
    tcase_add_test(tcase, a_file_that_is_not_there_is_named);
    tcase_add_test(tcase, a_comparison_names_what_changed_and_when_it_counts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
