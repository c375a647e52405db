// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Against libmosquitto, whose property functions are those of the broker. It lacks three that only
// the broker exports; they stand below.
#include "properties.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

void *mosquitto_malloc(size_t size)
{
    return malloc(size);
}

const char *mosquitto_property_string_name(const mosquitto_property *property)
{
    static char kept[65536];
    char *name = NULL, *value = NULL;
    mosquitto_property_read_string_pair(property, mosquitto_property_identifier(property), &name,
                                        &value, false);
    snprintf(kept, sizeof(kept), "%s", name ? name : "");
    free(name);
    free(value);
    return kept;
}

uint16_t mosquitto_property_string_name_length(const mosquitto_property *property)
{
    return (uint16_t)strlen(mosquitto_property_string_name(property));
}

static struct store_error err;
static struct properties_buffer buffer;

static void setup(void)
{
    err = (struct store_error){0};
}

static void teardown(void)
{
    properties_buffer_release(&buffer);
}

static const uint8_t everything[] = {
    1,  1,                                       // payload format
    3,  0,    4,    't',  'e',  'x',  't',       // content type
    8,  0,    3,    'a',  '/',  'b',             // response topic
    9,  0,    5,    0,    1,    0,    255,  128, // correlation data
    38, 0,    1,    'k',  0,    2,    'v',  'v', // user properties: in order, a name may come twice
    38, 0,    1,    'k',  0,    0,               //
    38, 0,    0,    0,    3,    0xe2, 0x82, 0xac, // no name; a character of three bytes
    2,  0,    0,    1,    0,                      // message expiry
    11, 0xff, 0xff, 0xff, 0x7f,                   // subscription identifier, the largest
    35, 1,    2,                                  // topic alias
    9,  0,    0,                                  // empty correlation data
    3,  0,    0,                                  // empty content type
};

START_TEST(what_is_read_is_written_again)
{
    mosquitto_property *list = NULL;
    struct span wire = {0};
    ck_assert_msg(properties_decode(span_of(everything, sizeof(everything)), &list, &err) == 0,
                  "%s", err.sentence);
    ck_assert_msg(properties_encode(&buffer, list, &wire, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(wire.len, sizeof(everything));
    ck_assert_mem_eq(wire.data, everything, sizeof(everything));
    mosquitto_property_free_all(&list);
}
END_TEST

START_TEST(no_properties_are_absent_and_come_back_as_none)
{
    mosquitto_property *list = (void *)&buffer;
    struct span wire = {&buffer, 1};
    ck_assert_int_eq(properties_encode(&buffer, NULL, &wire, &err), 0);
    ck_assert_ptr_null(wire.data);
    ck_assert_int_eq(properties_decode(wire, &list, &err), 0);
    ck_assert_ptr_null(list);
    list = (void *)&buffer;
    ck_assert_int_eq(properties_decode(span_of("", 0), &list, &err), 0);
    ck_assert_ptr_null(list);
}
END_TEST

START_TEST(every_cut_in_the_wire_form_is_damage_or_a_shorter_list)
{
    mosquitto_property *list = NULL;
    unsigned damaged = 0;
    for (size_t len = 0; len < sizeof(everything); len++) {
        struct span cut = span_of(everything, len), wire;
        list = NULL;
        int rc = properties_decode(cut, &list, &err);
        if (rc) {
            ck_assert_int_eq(rc, STORE_EDAMAGED);
            ck_assert_ptr_null(list);
            damaged++;
            continue;
        }
        ck_assert_int_eq(properties_encode(&buffer, list, &wire, &err), 0);
        ck_assert(span_equal(wire, cut));
        mosquitto_property_free_all(&list);
    }
    ck_assert_uint_eq(damaged, sizeof(everything) - 12);
}
END_TEST

static const struct {
    const char *name;
    uint8_t wire[8];
    size_t len;
} damaged[] = {
    {"an unknown identifier", {4, 0}, 2},
    {"a varint without end", {11, 0xff, 0xff, 0xff, 0xff, 0x7f}, 6},
    {"a string that is no UTF-8", {3, 0, 1, 0xff}, 4},
    {"a string with a zero in it", {3, 0, 3, 'a', 0, 'b'}, 6},
    {"a name with a zero in it", {38, 0, 1, 0, 0, 1, 'v'}, 7},
};

START_TEST(damage_is_refused)
{
    mosquitto_property *list = NULL;
    int rc = properties_decode(span_of(damaged[_i].wire, damaged[_i].len), &list, &err);
    ck_assert_msg(rc == STORE_EDAMAGED, "%s was taken", damaged[_i].name);
    ck_assert_ptr_null(list);
    ck_assert_str_ne(err.sentence, "");
}
END_TEST

START_TEST(a_string_of_the_largest_size_comes_back)
{
    static uint8_t wire[3 + 65535];
    mosquitto_property *list = NULL;
    struct span again;
    wire[0] = 3;
    wire[1] = wire[2] = 0xff;
    memset(wire + 3, 'x', 65535);
    ck_assert_int_eq(properties_decode(span_of(wire, sizeof(wire)), &list, &err), 0);
    ck_assert_int_eq(properties_encode(&buffer, list, &again, &err), 0);
    ck_assert(span_equal(again, span_of(wire, sizeof(wire))));
    mosquitto_property_free_all(&list);
}
END_TEST

// Quadratic work on what a publisher chose would let it hold up every restart.
START_TEST(half_a_million_properties_take_no_time)
{
    enum { COUNT = 500000 };
    uint8_t *wire = malloc(COUNT * 7);
    mosquitto_property *list = NULL;
    struct span again;
    for (size_t i = 0; i < COUNT; i++)
        memcpy(wire + i * 7, (const uint8_t[]){38, 0, 1, 'k', 0, 1, 'v'}, 7);
    ck_assert_int_eq(properties_decode(span_of(wire, COUNT * 7), &list, &err), 0);
    ck_assert_int_eq(properties_encode(&buffer, list, &again, &err), 0);
    ck_assert(span_equal(again, span_of(wire, COUNT * 7)));
    mosquitto_property_free_all(&list);
    free(wire);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("properties");
    TCase *tcase = tcase_create("properties");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, what_is_read_is_written_again);
    tcase_add_test(tcase, no_properties_are_absent_and_come_back_as_none);
    tcase_add_test(tcase, every_cut_in_the_wire_form_is_damage_or_a_shorter_list);
    tcase_add_loop_test(tcase, damage_is_refused, 0, (int)(sizeof(damaged) / sizeof(damaged[0])));
    tcase_add_test(tcase, a_string_of_the_largest_size_comes_back);
    tcase_add_test(tcase, half_a_million_properties_take_no_time);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
