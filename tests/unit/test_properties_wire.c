// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/properties_wire.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define BYTES(literal) span_of(literal, sizeof(literal) - 1)

// Reads all of `bytes`; returns how many properties there were, or the error.
static int read_all(struct span bytes, struct property *ret_last, struct store_error *err)
{
    uint32_t offset = 0;
    int count = 0, rc;
    while ((rc = property_next(bytes, &offset, ret_last, err)) > 0)
        count++;
    if (rc == 0)
        ck_assert_uint_eq(offset, bytes.len);
    return rc ? rc : count;
}

START_TEST(reads_each_kind)
{
    struct property property;
    uint32_t offset = 0;
    const struct span bytes = BYTES("\x01\x01"             // payload-format-indicator
                                    "\x02\x01\x02\x03\x04" // message-expiry-interval
                                    "\x03\x00\x04text"     // content-type
                                    "\x09\x00\x02\x00\xff" // correlation-data
                                    "\x0b\xff\xff\xff\x7f" // subscription-identifier
                                    "\x23\xff\xfe"         // topic-alias
                                    "\x26\x00\x01k\x00\x00");
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert_str_eq(property.type->name, "payload-format-indicator");
    ck_assert_uint_eq(property.number, 1);
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert_uint_eq(property.number, 0x01020304);
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert(span_equal(property.value, span_str("text")));
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert(span_equal(property.value, BYTES("\x00\xff")));
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert_uint_eq(property.number, PROPERTY_VARINT_MAX);
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert_uint_eq(property.number, 0xfffe);
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 1);
    ck_assert(span_equal(property.name, span_str("k")) && property.value.len == 0);
    ck_assert_ptr_nonnull(property.value.data);
    ck_assert_int_eq(property_next(bytes, &offset, &property, NULL), 0);
}
END_TEST

START_TEST(nothing_is_no_property)
{
    struct property property;
    ck_assert_int_eq(read_all((struct span){NULL, 0}, &property, NULL), 0);
    ck_assert_int_eq(read_all(BYTES(""), &property, NULL), 0);
}
END_TEST

START_TEST(refuses_what_is_none)
{
    static const struct {
        struct span bytes;
        const char *sentence;
    } rows[] = {
        {{"\x00", 1}, "no property begins at byte 0 of 1"},
        {{"\x04\x00", 2}, "no property begins at byte 0 of 2"},
        {{"\x80", 1}, "no property begins at byte 0 of 1"},
        {{"\x01\x01\x7f", 3}, "no property begins at byte 2 of 3"},
        {{"\x01", 1}, "payload-format-indicator at byte 0 does not end before 1"},
        {{"\x02\x00\x00\x00", 4}, "message-expiry-interval at byte 0 does not end before 4"},
        {{"\x03\x00", 2}, "content-type at byte 0 does not end before 2"},
        {{"\x03\x00\x02t", 4}, "content-type at byte 0 does not end before 4"},
        {{"\x03\xff\xfft", 4}, "content-type at byte 0 does not end before 4"},
        {{"\x26\x00\x01k\x00", 5}, "user-property at byte 0 does not end before 5"},
        {{"\x0b\xff\xff\xff\xff\x01", 6},
         "subscription-identifier at byte 0 does not end before 6"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct property property;
        struct store_error err = {0};
        ck_assert_int_eq(read_all(rows[i].bytes, &property, &err), STORE_EDAMAGED);
        ck_assert_msg(strstr(err.sentence, rows[i].sentence), "%s", err.sentence);
    }
}
END_TEST

START_TEST(names_and_identifiers_agree)
{
    for (unsigned identifier = 0; identifier < 256; identifier++) {
        const struct property_type *type = property_type_by_id(identifier);
        if (type)
            ck_assert_ptr_eq(property_type_by_name(type->name), type);
    }
    ck_assert_ptr_null(property_type_by_id(0));
    ck_assert_ptr_null(property_type_by_name("colour"));
    ck_assert_uint_eq(property_type_by_name("user-property")->identifier, 38);
}
END_TEST

START_TEST(values_out_of_range_are_refused)
{
    static const struct {
        const char *name;
        uint32_t number;
    } rows[] = {{"payload-format-indicator", 256},
                {"topic-alias", 65536},
                {"subscription-identifier", PROPERTY_VARINT_MAX + 1}};
    size_t bytes;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct property property = {.type = property_type_by_name(rows[i].name),
                                    .number = rows[i].number};
        ck_assert_int_eq(property_size(&property, &bytes, NULL), STORE_EINVAL);
        property.number--;
        ck_assert_int_eq(property_size(&property, &bytes, NULL), 0);
    }
    char *string = calloc(1, 65536);
    struct property property = {.type = property_type_by_name("content-type"),
                                .value = span_of(string, 65536)};
    ck_assert_int_eq(property_size(&property, &bytes, NULL), STORE_EINVAL);
    property.value.len--;
    ck_assert_int_eq(property_size(&property, &bytes, NULL), 0);
    property = (struct property){.type = property_type_by_name("user-property"),
                                 .name = span_of(string, 65536)};
    ck_assert_int_eq(property_size(&property, &bytes, NULL), STORE_EINVAL);
    property.name.len--;
    ck_assert_int_eq(property_size(&property, &bytes, NULL), 0);
    free(string);
}
END_TEST

static uint8_t noise[70000];

static struct property random_property(uint64_t *seed)
{
    static const uint32_t edges[] = {0,     1,       127,     128,       16383,     16384,
                                     65535, 2097151, 2097152, 268435455, UINT32_MAX};
    struct property property = {0};
    while (!property.type)
        property.type = property_type_by_id(seed_next(seed, 43));
    property.number = edges[seed_next(seed, sizeof(edges) / sizeof(edges[0]))];
    if (property.type->kind >= PROPERTY_BINARY)
        property.value = span_of(noise + seed_next(seed, 100), seed_next(seed, 300));
    if (property.type->kind == PROPERTY_PAIR)
        property.name = span_of(noise + seed_next(seed, 100), seed_next(seed, 300));
    return property;
}

START_TEST(what_is_written_is_read)
{
    uint64_t seed = seed_choose();
    uint8_t wire[8192];
    for (unsigned round = 0; round < 2000; round++) {
        struct property written[8], read;
        unsigned count = 0;
        size_t len = 0, bytes;
        for (unsigned i = 0; i < 8; i++) {
            written[count] = random_property(&seed);
            if (property_size(&written[count], &bytes, NULL) == 0) {
                property_encode(&written[count++], wire + len);
                len += bytes;
            }
        }
        uint32_t offset = 0;
        for (unsigned i = 0; i < count; i++) {
            ck_assert_int_eq(property_next(span_of(wire, len), &offset, &read, NULL), 1);
            ck_assert_ptr_eq(read.type, written[i].type);
            if (read.type->kind < PROPERTY_BINARY)
                ck_assert_uint_eq(read.number, written[i].number);
            ck_assert(span_equal(read.name, written[i].name));
            ck_assert(span_equal(read.value, written[i].value));
        }
        ck_assert_int_eq(property_next(span_of(wire, len), &offset, &read, NULL), 0);
    }
}
END_TEST

// Whatever the bytes are, what is read lies within them.
START_TEST(noise_stays_within_bounds)
{
    uint64_t seed = seed_choose();
    for (unsigned round = 0; round < 20000; round++) {
        uint32_t len = seed_next(&seed, 40), offset = 0;
        uint8_t *exact = malloc(len ? len : 1);
        struct property property;
        for (uint32_t i = 0; i < len; i++)
            exact[i] =
                (uint8_t)(seed_next(&seed, 3) ? seed_next(&seed, 48) : seed_next(&seed, 256));
        while (property_next(span_of(exact, len), &offset, &property, NULL) > 0) {
            const uint8_t *value = property.value.data;
            ck_assert_uint_le(offset, len);
            ck_assert(!value || (value >= exact && value + property.value.len <= exact + len));
        }
        free(exact);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("properties_wire");
    TCase *tcase = tcase_create("properties_wire");
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)(i * 31 + i / 7);
    tcase_add_test(tcase, reads_each_kind);
    tcase_add_test(tcase, nothing_is_no_property);
    tcase_add_test(tcase, refuses_what_is_none);
    tcase_add_test(tcase, names_and_identifiers_agree);
    tcase_add_test(tcase, values_out_of_range_are_refused);
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, noise_stays_within_bounds);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
