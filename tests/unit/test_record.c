// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store/record.h"

#include "support.h"

#include <check.h>
#include <stdlib.h>

static uint8_t *encode(const struct event *event, size_t *ret_len)
{
    struct store_error err = {0};
    ck_assert_msg(record_size(event, ret_len, &err) == 0, "%s", err.sentence);
    // Exactly as large as it must be, so that a sanitizer sees a byte too many.
    uint8_t *body = malloc(*ret_len ? *ret_len : 1);
    record_encode(event, body);
    return body;
}

static struct event full_message(void)
{
    static const uint8_t payload[] = {0, 1, 2, 255, 0};
    static const uint8_t properties[] = {0x09, 0x00, 0x02, 0x00, 0xff};
    return (struct event){.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = 0xfedcba9876543210u,
                                      .expiry_time = -5,
                                      .topic = span_str("a/\001b"),
                                      .payload = span_of(payload, sizeof(payload)),
                                      .properties = span_of(properties, sizeof(properties)),
                                      .source_id = span_str(""),
                                      .source_username = span_str(NULL),
                                      .source_mid = 65535,
                                      .source_port = 1883,
                                      .qos = 2,
                                      .retain = true}};
}

START_TEST(a_message_comes_back_as_it_went)
{
    struct event in = full_message(), out;
    struct store_error err = {0};
    size_t len;
    uint8_t *body = encode(&in, &len);
    ck_assert_msg(record_decode(RECORD_MESSAGE_ADD, body, len, &out, &err) == 0, "%s",
                  err.sentence);
    ck_assert_uint_eq(out.message.store_id, in.message.store_id);
    ck_assert_int_eq(out.message.expiry_time, -5);
    ck_assert(span_equal(out.message.topic, in.message.topic));
    ck_assert(span_equal(out.message.payload, in.message.payload));
    ck_assert(span_equal(out.message.properties, in.message.properties));
    ck_assert_ptr_nonnull(out.message.source_id.data);
    ck_assert_uint_eq(out.message.source_id.len, 0);
    ck_assert_ptr_null(out.message.source_username.data);
    ck_assert_uint_eq(out.message.source_mid, 65535);
    ck_assert_uint_eq(out.message.qos, 2);
    ck_assert(out.message.retain);
    free(body);
}
END_TEST

// Every record type with every member set, so that a member missing from a table shows.
START_TEST(every_type_comes_back_byte_for_byte)
{
    for (unsigned type = 1; strcmp(record_type_name(type), "unknown") != 0; type++) {
        struct event in, out;
        struct store_error err = {0};
        size_t len, again_len;
        memset(&in, 0, sizeof(in));
        in = type == RECORD_MESSAGE_ADD ? full_message() : in;
        in.type = (enum record_type)type;
        uint8_t *body = encode(&in, &len);
        ck_assert_msg(record_decode(type, body, len, &out, &err) == 0, "%s", err.sentence);
        uint8_t *again = encode(&out, &again_len);
        ck_assert_uint_eq(len, again_len);
        ck_assert_mem_eq(body, again, len);
        ck_assert_int_ne(record_decode(type, body, len + 1, &out, NULL), 0);
        free(again);
        free(body);
    }
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct event in = full_message(), out;
    size_t len;
    uint8_t *body = encode(&in, &len);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *part = malloc(cut ? cut : 1);
        struct store_error err = {0};
        memcpy(part, body, cut);
        ck_assert_int_eq(record_decode(RECORD_MESSAGE_ADD, part, cut, &out, &err), STORE_EDAMAGED);
        ck_assert_ptr_nonnull(strstr(err.sentence, "message_add: "));
        free(part);
    }
    free(body);
}
END_TEST

START_TEST(what_is_out_of_range_is_refused)
{
    struct event in = full_message(), out;
    struct store_error err = {0};
    size_t len;
    uint8_t *body = encode(&in, &len);
    body[20] = 3;
    ck_assert_int_eq(record_decode(RECORD_MESSAGE_ADD, body, len, &out, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "message_add: qos is out of range");
    body[20] = 2;
    body[21] = 2;
    ck_assert_int_eq(record_decode(RECORD_MESSAGE_ADD, body, len, &out, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "message_add: retain is neither 0 nor 1");
    ck_assert_int_eq(record_decode(99, body, len, &out, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "record type 99 is unknown");
    ck_assert_int_eq(record_decode(0, body, len, &out, &err), STORE_EDAMAGED);
    free(body);
}
END_TEST

// FORMAT.md: a field in brackets.
START_TEST(a_port_that_is_not_known_leaves_no_trace)
{
    struct event out, in = {.type = RECORD_SESSION_CONNECTED,
                            .connection = {.client_id = span_str("c"),
                                           .username = span_str("anna"),
                                           .time_ms = 5,
                                           .session_expiry_time = CONNECTION_NEVER_EXPIRES}};
    struct store_error err = {0};
    size_t old_len, len;
    uint8_t *old = encode(&in, &old_len);
    in.connection.listener_port = 0x75b;
    uint8_t *body = encode(&in, &len);
    ck_assert_uint_eq(old_len, 4 + 1 + 4 + 4 + 8 + 8); // as every version has written it
    ck_assert_uint_eq(len, old_len + 2);
    ck_assert_mem_eq(body, old, old_len);
    ck_assert_uint_eq(body[old_len], 0x5b);
    ck_assert_uint_eq(body[old_len + 1], 7);

    ck_assert_msg(record_decode(RECORD_SESSION_CONNECTED, body, len, &out, &err) == 0, "%s",
                  err.sentence);
    ck_assert_uint_eq(out.connection.listener_port, 0x75b);
    ck_assert_int_eq(out.connection.session_expiry_time, CONNECTION_NEVER_EXPIRES);
    ck_assert_int_eq(record_decode(RECORD_SESSION_CONNECTED, old, old_len, &out, &err), 0);
    ck_assert_uint_eq(out.connection.listener_port, 0);
    ck_assert(span_equal(out.connection.username, in.connection.username));

    ck_assert_int_eq(record_decode(RECORD_SESSION_CONNECTED, body, len - 1, &out, &err),
                     STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "session_connected: listener_port is cut off");
    ck_assert_int_eq(record_decode(RECORD_SESSION_OFFLINE, body, len, &out, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "session_offline: 2 bytes follow its last field");
    body[old_len] = body[old_len + 1] = 0;
    ck_assert_int_eq(record_decode(RECORD_SESSION_CONNECTED, body, len, &out, &err),
                     STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, "session_connected: listener_port is 0 instead of absent");
    free(body);
    free(old);
}
END_TEST

START_TEST(a_string_may_have_65535_bytes_and_not_one_more)
{
    char *text = calloc(1, 65537);
    struct store_error err = {0};
    size_t len;
    memset(text, 'x', 65536);
    struct event event = {.type = RECORD_RETAINED_DELETE,
                          .retained = {.topic = span_of(text, 65535)}};
    ck_assert_int_eq(record_size(&event, &len, &err), 0);
    event.retained.topic.len = 65536;
    ck_assert_int_eq(record_size(&event, &len, &err), STORE_ETOOBIG);
    ck_assert_str_eq(
        err.sentence,
        "retained_delete: topic has 65536 bytes, more than the 65535 that MQTT allows");
    // Each string by itself, behind others that are as long as they may be.
    event = (struct event){
        .type = RECORD_MESSAGE_ADD,
        .message = {.topic = span_of(text, 65535), .source_username = span_of(text, 65536)}};
    ck_assert_int_eq(record_size(&event, &len, &err), STORE_ETOOBIG);
    ck_assert_ptr_nonnull(strstr(err.sentence, "message_add: source_username has 65536 bytes"));
    event.message.source_username = (struct span){NULL, 65536}; // absent, whatever its length
    ck_assert_int_eq(record_size(&event, &len, &err), 0);
    free(text);
}
END_TEST

START_TEST(a_record_may_not_be_larger_than_a_packet)
{
    // Never read: only the lengths count.
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.properties = {"", 200u << 20}, .payload = {"", 200u << 20}}};
    struct store_error err = {0};
    size_t len = 7;
    ck_assert_int_eq(record_size(&event, &len, &err), STORE_ETOOBIG);
    ck_assert_str_eq(err.sentence, "message_add: a record of 419430442 bytes is too large");
    ck_assert_uint_eq(len, 7);
    event.message.properties.len = 1u << 20;
    ck_assert_int_eq(record_size(&event, &len, &err), 0);
}
END_TEST

START_TEST(an_unknown_type_is_never_written)
{
    struct event event = {.type = (enum record_type)21};
    struct store_error err = {0};
    uint8_t byte = 7;
    size_t len = 7;
    ck_assert_int_eq(record_size(&event, &len, &err), STORE_EINVAL);
    ck_assert_str_eq(err.sentence, "record type 21 is unknown");
    ck_assert_uint_eq(len, 7);
    record_encode(&event, &byte);
    ck_assert_uint_eq(byte, 7);
}
END_TEST

START_TEST(random_bytes_never_harm)
{
    uint64_t seed = seed_choose();
    for (int round = 0; round < 200000; round++) {
        struct event out;
        size_t len = seed_next(&seed, 80);
        uint8_t *body = malloc(len ? len : 1);
        for (size_t i = 0; i < len; i++)
            body[i] = (uint8_t)(seed_next(&seed, 4) ? seed_next(&seed, 12) : seed_next(&seed, 256));
        (void)record_decode(seed_next(&seed, 24), body, len, &out, NULL);
        free(body);
    }
}
END_TEST

START_TEST(promises_are_those_of_the_protocol)
{
    struct event event = {.type = RECORD_QUEUE_DELETE, .queued = {.direction = QUEUE_OUT}};
    ck_assert(!record_promised(&event));
    event.queued.direction = QUEUE_IN;
    ck_assert(record_promised(&event));
    event.type = RECORD_QUEUE_UPDATE;
    event.queued.state = QUEUE_STATE_WAIT_FOR_PUBACK;
    ck_assert(!record_promised(&event));
    event.queued.state = QUEUE_STATE_WAIT_FOR_PUBCOMP;
    ck_assert(record_promised(&event));
    event.queued.state = QUEUE_STATE_WAIT_FOR_PUBREL;
    ck_assert(record_promised(&event));
    event.type = RECORD_MESSAGE_ADD;
    ck_assert(!record_promised(&event));
    event.type = RECORD_QUEUE_ADD;
    ck_assert(record_promised(&event));

    // broker-contract: what a SUBACK, an UNSUBACK, a PUBACK, or the end of a session stands on.
    static const enum record_type promised[] = {
        RECORD_SESSION_DELETE, RECORD_SUBSCRIPTION_ADD, RECORD_SUBSCRIPTION_DELETE,
        RECORD_RETAINED_SET,   RECORD_RETAINED_DELETE,  RECORD_STOP_MARK,
    };
    static const enum record_type others[] = {
        RECORD_SESSION_ADD,      RECORD_SESSION_UPDATE, RECORD_SESSION_CONNECTED,
        RECORD_SESSION_OFFLINE,  RECORD_MESSAGE_DELETE, RECORD_WILL_SET,
        RECORD_CONNECTION_ENDED, RECORD_WILL_DELETE,    RECORD_LOOP_MARK,
        RECORD_SEGMENT_LINK,
    };
    for (size_t i = 0; i < sizeof(promised) / sizeof(promised[0]); i++)
        ck_assert(record_promised(&(struct event){.type = promised[i]}));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        ck_assert(!record_promised(&(struct event){.type = others[i]}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record");
    TCase *cases = tcase_create("record");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_message_comes_back_as_it_went);
    tcase_add_test(cases, every_type_comes_back_byte_for_byte);
    tcase_add_test(cases, every_cut_is_refused);
    tcase_add_test(cases, what_is_out_of_range_is_refused);
    tcase_add_test(cases, a_port_that_is_not_known_leaves_no_trace);
    tcase_add_test(cases, a_string_may_have_65535_bytes_and_not_one_more);
    tcase_add_test(cases, a_record_may_not_be_larger_than_a_packet);
    tcase_add_test(cases, an_unknown_type_is_never_written);
    tcase_add_test(cases, random_bytes_never_harm);
    tcase_add_test(cases, promises_are_those_of_the_protocol);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
