// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/keys.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t secret[KEY_SECRET_BYTES] = {7, 1, 2, 3};

static struct key string_key(const void *bytes, size_t len)
{
    struct key key;
    key_of_string(&key, secret, span_of(bytes, len));
    return key;
}

// As LMDB orders keys.
static int compare(const struct key *a, const struct key *b)
{
    size_t common = a->len < b->len ? a->len : b->len;
    int order = memcmp(a->bytes, b->bytes, common);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static bool same(const struct key *a, const struct key *b)
{
    return compare(a, b) == 0;
}

START_TEST(a_short_string_is_its_own_key)
{
    char text[480];
    memset(text, 'x', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++) {
        struct key key = string_key(text, len);
        struct span string;
        ck_assert_uint_eq(key.len, len + 1);
        ck_assert_int_eq(key_read_string(key_span(&key), &string), KEY_SHORT);
        ck_assert(span_equal(string, span_of(text, len)));
    }
}
END_TEST

START_TEST(a_long_string_is_its_beginning_and_a_hash)
{
    static char text[65535];
    memset(text, 'x', sizeof(text));
    struct key first = string_key(text, 481);
    struct key last = string_key(text, sizeof(text));
    struct span head;
    ck_assert_uint_eq(first.len, 497);
    ck_assert_uint_eq(last.len, 497);
    ck_assert(!same(&first, &last));
    ck_assert_int_eq(key_read_string(key_span(&last), &head), KEY_LONG);
    ck_assert(span_equal(head, span_of(text, 480)));
}
END_TEST

START_TEST(long_strings_with_one_beginning_have_different_keys)
{
    static struct key keys[300];
    char text[1000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < 300; i++) {
        memcpy(text + 900, &i, sizeof(i));
        keys[i] = string_key(text, sizeof(text));
        for (size_t j = 0; j < i; j++)
            ck_assert(!same(&keys[i], &keys[j]));
    }
}
END_TEST

START_TEST(the_hash_depends_on_every_byte_of_the_secret)
{
    char text[600];
    uint8_t other[KEY_SECRET_BYTES];
    struct key changed;
    memset(text, 'x', sizeof(text));
    struct key key = string_key(text, sizeof(text));
    for (size_t i = 0; i < sizeof(other); i++) {
        memcpy(other, secret, sizeof(other));
        other[i] ^= 1;
        key_of_string(&changed, other, span_of(text, sizeof(text)));
        ck_assert(!same(&key, &changed));
    }
}
END_TEST

START_TEST(keys_sort_as_their_strings_do)
{
    char long_a[600];
    char long_b[600];
    memset(long_a, 'a', sizeof(long_a));
    memset(long_b, 'a', sizeof(long_b));
    long_b[479] = 'b';
    const struct span strings[] = {
        span_str(""),         span_str("\001"),     span_str("a"),        span_of(long_a, 100),
        span_of(long_a, 479), span_of(long_a, 480), span_of(long_a, 600), span_of(long_b, 600),
        span_str("a/b"),      span_str("aa"),
    };
    static const int order[] = {0, 1, 2, 8, 9, 3, 4, 5, 6, 7};
    struct key before;
    struct key key;
    key_of_string(&before, secret, strings[order[0]]);
    for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++) {
        key_of_string(&key, secret, strings[order[i]]);
        ck_assert_msg(compare(&before, &key) < 0, "string %d is not before %d", order[i - 1],
                      order[i]);
        before = key;
    }
}
END_TEST

START_TEST(malformed_string_keys_are_told)
{
    uint8_t bytes[KEY_MAX_BYTES] = {KEY_STRING_TAG};
    struct span string;
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        enum key_kind kind = key_read_string(span_of(bytes, len), &string);
        ck_assert_int_eq(kind, len >= 1 && len <= 481 ? KEY_SHORT
                               : len == 497           ? KEY_LONG
                                                      : KEY_MALFORMED);
    }
    bytes[0] = KEY_STRING_TAG + 1;
    ck_assert_int_eq(key_read_string(span_of(bytes, 5), &string), KEY_MALFORMED);
}
END_TEST

START_TEST(numbers_sort_as_numbers)
{
    static const uint64_t numbers[] = {0, 1, 255, 256, 65536, 1ull << 40, UINT64_MAX};
    struct key before;
    struct key key;
    for (size_t i = 1; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t number;
        key_of_message(&before, numbers[i - 1]);
        key_of_message(&key, numbers[i]);
        ck_assert_int_lt(compare(&before, &key), 0);
        ck_assert(key_read_message(key_span(&key), &number));
        ck_assert_uint_eq(number, numbers[i]);

        key_of_queued(&before, 5, QUEUE_OUT, numbers[i - 1]);
        key_of_queued(&key, 5, QUEUE_OUT, numbers[i]);
        ck_assert_int_lt(compare(&before, &key), 0);
        key_of_queued(&before, numbers[i - 1], QUEUE_OUT, UINT64_MAX);
        key_of_queued(&key, numbers[i], QUEUE_IN, 0);
        ck_assert_int_lt(compare(&before, &key), 0);
    }
    key_of_queued(&before, 5, QUEUE_IN, UINT64_MAX);
    key_of_queued(&key, 5, QUEUE_OUT, 0);
    ck_assert_int_lt(compare(&before, &key), 0);
}
END_TEST

START_TEST(queue_keys_are_read_back)
{
    struct key key;
    uint64_t session;
    uint64_t cmsg_id;
    uint8_t direction;
    key_of_queued(&key, 0x0102030405060708u, QUEUE_OUT, 0x1112131415161718u);
    ck_assert(key_read_queued(key_span(&key), &session, &direction, &cmsg_id));
    ck_assert_uint_eq(session, 0x0102030405060708u);
    ck_assert_uint_eq(direction, QUEUE_OUT);
    ck_assert_uint_eq(cmsg_id, 0x1112131415161718u);
    ck_assert(!key_read_queued(span_of(key.bytes, key.len - 1u), &session, &direction, &cmsg_id));
    key.bytes[9] = 0x28; // a direction that there is not
    ck_assert(!key_read_queued(key_span(&key), &session, &direction, &cmsg_id));
    ck_assert(!key_read_message(span_of(key.bytes, 7), &session));
    ck_assert(!key_read_message(span_of(key.bytes, 9), &session));
}
END_TEST

// Else one entry could lie under two keys.
START_TEST(a_number_has_one_form)
{
    static const struct {
        uint8_t bytes[12];
        uint32_t len;
    } malformed[] = {
        {{0}, 0},
        {{1}, 1},                                      // the number is missing
        {{1, 5}, 2},                                   // nothing follows
        {{1, 5, 0x11}, 3},                             // the second one is missing
        {{2, 0, 5, 0x11, 1}, 5},                       // a zero in front
        {{1, 5, 0x12, 0, 1}, 5},                       //
        {{0x11, 5, 0x11, 1}, 4},                       // a session with a direction
        {{1, 5, 0x21, 1}, 4},                          // a direction that there is not
        {{1, 5, 0x11, 1, 0}, 5},                       // bytes left over
        {{9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x11, 1}, 12}, // more than 64 bits
    };
    uint64_t session;
    uint64_t cmsg_id;
    uint8_t direction;
    struct span string_key;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct span key = span_of(malformed[i].bytes, malformed[i].len);
        ck_assert_msg(!key_read_queued(key, &session, &direction, &cmsg_id), "case %zu", i);
    }
    ck_assert(!key_read_subscription(span_of("\002\000\005\001a", 5), &session, &string_key));
    ck_assert(!key_read_subscription(span_of("\021\005\001a", 4), &session, &string_key));
}
END_TEST

START_TEST(dictionary_keys_are_read_back)
{
    struct key before;
    struct key key;
    uint16_t id;
    key_of_dictionary(&before, 255);
    key_of_dictionary(&key, 256);
    ck_assert_int_lt(compare(&before, &key), 0);
    ck_assert(key_read_dictionary(key_span(&key), &id));
    ck_assert_uint_eq(id, 256);
    ck_assert(!key_read_dictionary(span_of("\000\000", 2), &id));
    ck_assert(!key_read_dictionary(span_of("\001", 1), &id));
    ck_assert(!key_read_dictionary(span_of("\001\000\000", 3), &id));
}
END_TEST

START_TEST(subscription_keys_are_read_back)
{
    static char filter[65535];
    struct key key;
    uint64_t session;
    struct span string_key;
    struct span string;
    key_of_subscription(&key, secret, 77, span_str("a/#"));
    ck_assert(key_read_subscription(key_span(&key), &session, &string_key));
    ck_assert_uint_eq(session, 77);
    ck_assert_int_eq(key_read_string(string_key, &string), KEY_SHORT);
    ck_assert(span_equal(string, span_str("a/#")));
    ck_assert(!key_read_subscription(span_of(key.bytes, 2), &session, &string_key));

    memset(filter, 'f', sizeof(filter));
    key_of_subscription(&key, secret, UINT64_MAX, span_of(filter, sizeof(filter)));
    ck_assert_uint_le(key.len, KEY_MAX_BYTES);
    ck_assert(key_read_subscription(key_span(&key), &session, &string_key));
    ck_assert_int_eq(key_read_string(string_key, &string), KEY_LONG);
}
END_TEST

START_TEST(the_bytes_of_keys_never_change)
{
    static const uint8_t queued[] = {2, 1, 2, 0x16, 1, 0, 0, 0, 0, 9};
    static const uint8_t subscription[] = {1, 3, 1, 'a', '/', '#'};
    static const uint8_t dictionary[] = {1, 2};
    static const uint8_t hash[] = {0x9d, 0xe9, 0x88, 0x87, 0x7b, 0x9e, 0xcb, 0x23,
                                   0x8f, 0xf6, 0xe0, 0xb7, 0x7e, 0x2f, 0x4f, 0xaa};
    char text[500];
    struct key key;
    key_of_queued(&key, 0x102, QUEUE_OUT, (1ull << 40) + 9);
    ck_assert_uint_eq(key.len, sizeof(queued));
    ck_assert_mem_eq(key.bytes, queued, sizeof(queued));
    key_of_subscription(&key, secret, 3, span_str("a/#"));
    ck_assert_uint_eq(key.len, sizeof(subscription));
    ck_assert_mem_eq(key.bytes, subscription, sizeof(subscription));
    key_of_dictionary(&key, 0x102);
    ck_assert_uint_eq(key.len, sizeof(dictionary));
    ck_assert_mem_eq(key.bytes, dictionary, sizeof(dictionary));
    memset(text, 'x', sizeof(text));
    key = string_key(text, sizeof(text));
    ck_assert_mem_eq(key.bytes + 481, hash, sizeof(hash));
}
END_TEST

START_TEST(keys_are_told_to_a_person_without_control_characters)
{
    static const uint8_t nasty[] = "a\033[2J\"\\\377";
    char text[KEY_TEXT_BYTES];
    struct key key = string_key(nasty, sizeof(nasty) - 1);
    key_text(TABLE_SESSIONS, key_span(&key), text);
    ck_assert_str_eq(text, "\"a\\x1b[2J\\x22\\x5c\\xff\"");
    key_of_message(&key, 4711);
    key_text(TABLE_MESSAGES, key_span(&key), text);
    ck_assert_str_eq(text, "4711");
    key_of_queued(&key, 3, QUEUE_IN, 9);
    key_text(TABLE_QUEUE, key_span(&key), text);
    ck_assert_str_eq(text, "session 3 in 9");
    key_of_subscription(&key, secret, 3, span_str("a/#"));
    key_text(TABLE_SUBSCRIPTIONS, key_span(&key), text);
    ck_assert_str_eq(text, "session 3 \"a/#\"");
    key_of_dictionary(&key, 4711);
    key_text(TABLE_DICTIONARIES, key_span(&key), text);
    ck_assert_str_eq(text, "4711");
    key_text(TABLE_MESSAGES, span_of("\001\002", 2), text);
    ck_assert_str_eq(text, "0102");
    key_text(TABLE_QUEUE, span_of("", 0), text);
    ck_assert_str_eq(text, "");
    key_text((enum table)TABLE_COUNT, span_of("a", 1), text);
    ck_assert_str_eq(text, "61");
}
END_TEST

START_TEST(any_key_fits_the_text)
{
    uint8_t bytes[KEY_MAX_BYTES];
    for (int table = 0; table < TABLE_COUNT; table++) {
        for (int fill = 0; fill < 256; fill += 5) {
            memset(bytes, fill, sizeof(bytes));
            if (table == TABLE_SUBSCRIPTIONS)
                memcpy(bytes, "\001\005\001", 3);
            else
                bytes[0] = KEY_STRING_TAG;
            for (size_t len = 0; len <= sizeof(bytes); len++) {
                char text[KEY_TEXT_BYTES + 1];
                memset(text, '#', sizeof(text));
                key_text((enum table)table, span_of(bytes, len), text);
                ck_assert_int_eq(text[KEY_TEXT_BYTES], '#');
                ck_assert_ptr_nonnull(memchr(text, '\0', KEY_TEXT_BYTES));
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *tests = tcase_create("keys");
    tcase_add_test(tests, a_short_string_is_its_own_key);
    tcase_add_test(tests, a_long_string_is_its_beginning_and_a_hash);
    tcase_add_test(tests, long_strings_with_one_beginning_have_different_keys);
    tcase_add_test(tests, the_hash_depends_on_every_byte_of_the_secret);
    tcase_add_test(tests, keys_sort_as_their_strings_do);
    tcase_add_test(tests, malformed_string_keys_are_told);
    tcase_add_test(tests, numbers_sort_as_numbers);
    tcase_add_test(tests, queue_keys_are_read_back);
    tcase_add_test(tests, a_number_has_one_form);
    tcase_add_test(tests, dictionary_keys_are_read_back);
    tcase_add_test(tests, subscription_keys_are_read_back);
    tcase_add_test(tests, the_bytes_of_keys_never_change);
    tcase_add_test(tests, keys_are_told_to_a_person_without_control_characters);
    tcase_add_test(tests, any_key_fits_the_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
