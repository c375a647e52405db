// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "base64.h"
#include "escape.h"
#include "human.h"

#include <check.h>
#include <stdlib.h>

struct row {
    const char *given;
    size_t len;
    const char *shown;
};

#define ROW(given, shown)               \
    {                                   \
        given, sizeof(given) - 1, shown \
    }

static const struct row escapes[] = {
    ROW("", ""),
    ROW("plain", "plain"),
    ROW("a\\b", "a\\\\b"),
    ROW("a\nb\tc\rd", "a\\nb\\tc\\rd"),
    ROW("\x1b[31m", "\\x1b[31m"),
    ROW("\0", "\\x00"),
    ROW("\x7f", "\\x7f"),
    ROW("caf\xc3\xa9", "caf\xc3\xa9"),
    ROW("\xe2\x82\xac", "\xe2\x82\xac"),
    ROW("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"),
    ROW("\xc2\x9b", "\\u{9b}"), // CSI in one character
    ROW("\xe2\x80\xae"
        "abc",
        "\\u{202e}abc"),              // right to left
    ROW("\xe2\x80\x8b", "\\u{200b}"), // no width
    ROW("\xff", "\\xff"),
    ROW("\xc3", "\\xc3"), // cut off
    ROW("\xc3(", "\\xc3("),
    ROW("\xc0\xaf", "\\xc0\\xaf"), // overlong
    ROW("\xe0\x80\xaf", "\\xe0\\x80\\xaf"),
    ROW("\xed\xa0\x80", "\\xed\\xa0\\x80"),          // surrogate
    ROW("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"), // behind the last
};

START_TEST(escaping)
{
    struct text text = {0};
    escape_add(&text, span_of(escapes[_i].given, escapes[_i].len));
    ck_assert_str_eq(text.data, escapes[_i].shown);
    text_release(&text);
}
END_TEST

START_TEST(absent_is_a_dash)
{
    struct text text = {0};
    escape_add(&text, (struct span){NULL, 0});
    ck_assert_str_eq(text.data, "-");
    text_release(&text);
}
END_TEST

START_TEST(lines_stay)
{
    struct text text = {0};
    escape_add_lines(&text, span_str("C:\\dir\n\t\x1b"));
    ck_assert_str_eq(text.data, "C:\\dir\n\t\\x1b");
    text_release(&text);
}
END_TEST

START_TEST(plain_strings)
{
    ck_assert(utf8_is_plain(span_str("a\n\x1b\xe2\x82\xac")));
    ck_assert(!utf8_is_plain(span_of("a\0", 2)));
    ck_assert(!utf8_is_plain(span_str("\xff")));
    ck_assert(utf8_is_readable(span_str("{\n\t\"a\\b\"\r\n}")));
    ck_assert(!utf8_is_readable(span_str("\x1b")));
}
END_TEST

static const struct row codes[] = {
    ROW("", ""),
    ROW("f", "Zg=="),
    ROW("fo", "Zm8="),
    ROW("foo", "Zm9v"),
    ROW("foob", "Zm9vYg=="),
    ROW("fooba", "Zm9vYmE="),
    ROW("\0\xff", "AP8="),
    ROW("\xfb\xff\xbf", "+/+/"),
};

START_TEST(base64_both_ways)
{
    struct text code = {0}, back = {0};
    base64_add(&code, span_of(codes[_i].given, codes[_i].len));
    ck_assert_str_eq(code.data, codes[_i].shown);
    ck_assert(base64_decode(&back, code.data));
    ck_assert_uint_eq(back.len, codes[_i].len);
    ck_assert_mem_eq(back.data, codes[_i].given, back.len);
    text_release(&code);
    text_release(&back);
}
END_TEST

START_TEST(what_is_no_base64)
{
    static const char *const wrong[] = {"Z",    "Zg",   "Zg=",  "Zg==Zg==", "====", "Zg=a",
                                        "Z===", "Zm9!", "Zm-_", "Zm9 v",    "Zh==", "Zm9="};
    struct text text = {0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!base64_decode(&text, wrong[i]) && text.len == 0, "%s", wrong[i]);
    text_release(&text);
}
END_TEST

#define ck_shows(call, expected)                \
    do {                                        \
        struct text shown = {0};                \
        call;                                   \
        ck_assert_str_eq(shown.data, expected); \
        text_release(&shown);                   \
    } while (0)

START_TEST(numbers_for_people)
{
    ck_shows(human_count(&shown, 0), "0");
    ck_shows(human_count(&shown, 999), "999");
    ck_shows(human_count(&shown, 1000), "1,000");
    ck_shows(human_count(&shown, UINT64_MAX), "18,446,744,073,709,551,615");
    ck_shows(human_bytes(&shown, 1023), "1023 B");
    ck_shows(human_bytes(&shown, 1024), "1.0 KiB");
    ck_shows(human_bytes(&shown, 1048575), "1.0 MiB");
    ck_shows(human_bytes(&shown, UINT64_MAX), "16.0 EiB");
    ck_shows(human_duration(&shown, 0), "0 ms");
    ck_shows(human_duration(&shown, 59999), "59 s");
    ck_shows(human_duration(&shown, 3599999), "59 min");
    ck_shows(human_duration(&shown, 3600000), "1 h");
    ck_shows(human_duration(&shown, 5400000), "1 h 30 min");
    ck_shows(human_duration(&shown, 90000000), "1 d 1 h");
    ck_shows(human_duration(&shown, UINT64_C(86400000) * 400), "400 d");
    ck_shows(human_plural(&shown, 1, "message"), "1 message");
    ck_shows(human_plural(&shown, 1234, "message"), "1,234 messages");
    ck_shows(human_time(&shown, 1767225600), "2026-01-01 00:00:00Z");
}
END_TEST

START_TEST(numbers_from_people)
{
    uint64_t value = 7;
    ck_assert(human_parse_count("10k", &value) && value == 10000);
    ck_assert(human_parse_bytes("10k", &value) && value == 10240);
    ck_assert(human_parse_bytes("1G", &value) && value == 1073741824);
    ck_assert(human_parse_duration("90", &value) && value == 90000);
    ck_assert(human_parse_duration("5ms", &value) && value == 5);
    ck_assert(human_parse_duration("2h", &value) && value == 7200000);
    ck_assert(human_parse_duration("30d", &value) && value == UINT64_C(2592000000));
    ck_assert(human_parse_count("18446744073709551615", &value) && value == UINT64_MAX);
    value = 7;
    ck_assert(!human_parse_count("18446744073709551616", &value));
    ck_assert(!human_parse_count("18446744073709551615k", &value));
    ck_assert(!human_parse_count("", &value) && !human_parse_count("-1", &value));
    ck_assert(!human_parse_count("+1", &value) && !human_parse_count(" 1", &value));
    ck_assert(!human_parse_count("1 k", &value) && !human_parse_count("k", &value));
    ck_assert(!human_parse_duration("2 h", &value) && !human_parse_bytes("1x", &value));
    ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST(time_of_a_message)
{
    // database.c of Mosquitto 2.1: seconds since 1637168273, above 23 bits of fraction.
    ck_assert_int_eq(message_time_s(UINT64_C(130057327) << 23 | 12345), 1767225600);
    ck_assert_int_eq(message_time_s(UINT64_C(5) << 54 | UINT64_C(130057327) << 23), 1767225600);
    ck_assert_int_eq(message_time_s(17), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("escape");
    TCase *tcase = tcase_create("escape");
    tcase_add_loop_test(tcase, escaping, 0, (int)(sizeof(escapes) / sizeof(escapes[0])));
    tcase_add_test(tcase, absent_is_a_dash);
    tcase_add_test(tcase, lines_stay);
    tcase_add_test(tcase, plain_strings);
    tcase_add_loop_test(tcase, base64_both_ways, 0, (int)(sizeof(codes) / sizeof(codes[0])));
    tcase_add_test(tcase, what_is_no_base64);
    tcase_add_test(tcase, numbers_for_people);
    tcase_add_test(tcase, numbers_from_people);
    tcase_add_test(tcase, time_of_a_message);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
