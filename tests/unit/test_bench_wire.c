// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the load generator writes and reads, against bytes taken from the MQTT standards; and its
// payloads and sets of sequence numbers.
#include "mqtt_wire.h"
#include "payload.h"
#include "seqset.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define ASSERT_BYTES(len, bytes, expected)                       \
    do {                                                         \
        ck_assert_uint_eq(len, sizeof(expected) - 1);            \
        ck_assert_mem_eq(bytes, expected, sizeof(expected) - 1); \
    } while (0)

static uint8_t bytes[2048];

START_TEST(connect_is_as_the_standards_say)
{
    struct mqtt_connect clean = {
        .client_id = "ab", .version = MQTT_V311, .clean = true, .keepalive_s = 258};
    ASSERT_BYTES(mqtt_connect_encode(bytes, sizeof(bytes), &clean), bytes,
                 "\x10\x0e\x00\x04MQTT\x04\x02\x01\x02\x00\x02"
                 "ab");
    struct mqtt_connect kept = {
        .client_id = "ab", .version = MQTT_V5, .username = "u", .password = "pw"};
    ASSERT_BYTES(mqtt_connect_encode(bytes, sizeof(bytes), &kept), bytes,
                 "\x10\x1b\x00\x04MQTT\x05\xc0\x00\x00\x05\x11\xff\xff\xff\xff\x00\x02"
                 "ab\x00\x01u\x00\x02pw");
    clean.version = MQTT_V5;
    ASSERT_BYTES(mqtt_connect_encode(bytes, sizeof(bytes), &clean), bytes,
                 "\x10\x0f\x00\x04MQTT\x05\x02\x01\x02\x00\x00\x02"
                 "ab");
}
END_TEST

START_TEST(subscribe_and_acks_are_as_the_standards_say)
{
    ASSERT_BYTES(mqtt_subscribe_encode(bytes, sizeof(bytes), MQTT_V311, 0x1234, "a/#", 2), bytes,
                 "\x82\x08\x12\x34\x00\x03"
                 "a/#\x02");
    ASSERT_BYTES(mqtt_subscribe_encode(bytes, sizeof(bytes), MQTT_V5, 0x1234, "a/#", 1), bytes,
                 "\x82\x09\x12\x34\x00\x00\x03"
                 "a/#\x01");
    ASSERT_BYTES(mqtt_ack_encode(bytes, sizeof(bytes), MQTT_PUBACK, 0xabcd), bytes,
                 "\x40\x02\xab\xcd");
    ASSERT_BYTES(mqtt_ack_encode(bytes, sizeof(bytes), MQTT_PUBREL, 1), bytes, "\x62\x02\x00\x01");
    ASSERT_BYTES(mqtt_empty_encode(bytes, sizeof(bytes), MQTT_DISCONNECT), bytes, "\xe0\x00");
}
END_TEST

static size_t publish_encode(const struct mqtt_publish *publish, const char *payload)
{
    size_t header_len = mqtt_publish_header_encode(bytes, sizeof(bytes), publish);
    ck_assert_uint_gt(header_len, 0);
    memcpy(bytes + header_len, payload, publish->payload_len);
    return header_len + publish->payload_len;
}

START_TEST(publish_is_as_the_standards_say)
{
    struct mqtt_publish publish = {.topic = "a/b",
                                   .topic_len = 3,
                                   .payload_len = 2,
                                   .packet_id = 10,
                                   .version = MQTT_V311,
                                   .qos = 1,
                                   .retain = true};
    ASSERT_BYTES(publish_encode(&publish, "xy"), bytes,
                 "\x33\x09\x00\x03"
                 "a/b\x00\x0axy");
    publish.version = MQTT_V5;
    publish.qos = 2;
    publish.dup = true;
    publish.retain = false;
    ASSERT_BYTES(publish_encode(&publish, "xy"), bytes,
                 "\x3c\x0a\x00\x03"
                 "a/b\x00\x0a\x00xy");
    publish.version = MQTT_V311;
    publish.qos = 0;
    publish.dup = false;
    ASSERT_BYTES(publish_encode(&publish, "xy"), bytes,
                 "\x30\x07\x00\x03"
                 "a/bxy");
}
END_TEST

START_TEST(the_remaining_length_grows_at_128_and_16384)
{
    static char payload[17000];
    static uint8_t large[17100];
    static const struct {
        size_t payload_len;
        const char *header;
        size_t header_len;
    } cases[] = {{122, "\x32\x7f", 2},
                 {123, "\x32\x80\x01", 3},
                 {16378, "\x32\xff\x7f", 3},
                 {16379, "\x32\x80\x80\x01", 4}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mqtt_publish publish = {.topic = "t",
                                       .topic_len = 1,
                                       .payload_len = cases[i].payload_len,
                                       .packet_id = 1,
                                       .version = MQTT_V311,
                                       .qos = 1};
        struct mqtt_packet packet;
        size_t len = mqtt_publish_header_encode(large, sizeof(large), &publish);
        ck_assert_mem_eq(large, cases[i].header, cases[i].header_len);
        ck_assert_uint_eq(len, cases[i].header_len + 5);
        ck_assert_uint_le(len + cases[i].payload_len, mqtt_publish_bound(1, cases[i].payload_len));
        memcpy(large + len, payload, cases[i].payload_len);
        ck_assert_int_eq(mqtt_decode(large, len + cases[i].payload_len, MQTT_V311, &packet), 1);
        ck_assert_uint_eq(packet.payload_len, cases[i].payload_len);
    }
}
END_TEST

START_TEST(an_encoder_without_room_writes_nothing)
{
    struct mqtt_connect connect = {.client_id = "ab", .version = MQTT_V5};
    struct mqtt_publish publish = {.topic = "a/b",
                                   .topic_len = 3,
                                   .payload_len = 2,
                                   .packet_id = 10,
                                   .version = MQTT_V5,
                                   .qos = 1};
    for (size_t room = 0; room < 21; room++)
        ck_assert_uint_eq(mqtt_connect_encode(bytes, room, &connect), 0);
    ck_assert_uint_eq(mqtt_connect_encode(bytes, 22, &connect), 22);
    for (size_t room = 0; room < 12; room++)
        ck_assert_uint_eq(mqtt_publish_header_encode(bytes, room, &publish), 0);
    ck_assert_uint_eq(mqtt_publish_header_encode(bytes, 12, &publish), 10);
    ck_assert_uint_eq(mqtt_ack_encode(bytes, 3, MQTT_PUBACK, 1), 0);
    ck_assert_uint_eq(mqtt_empty_encode(bytes, 1, MQTT_PINGREQ), 0);
    ck_assert_uint_eq(mqtt_subscribe_encode(bytes, 9, MQTT_V311, 1, "a/#", 1), 0);
}
END_TEST

START_TEST(what_a_broker_sends_is_read)
{
    struct mqtt_packet packet;
    ck_assert_int_eq(mqtt_decode((const uint8_t *)"\x20\x02\x01\x00", 4, MQTT_V311, &packet), 1);
    ck_assert_int_eq(packet.type, MQTT_CONNACK);
    ck_assert(packet.session_present);
    ck_assert_uint_eq(packet.receive_maximum, 65535);

    static const uint8_t connack[] = {0x20, 0x12, 0x00, 0x00, 0x0f, 0x26, 0x00, 0x01, 'k',  0x00,
                                      0x01, 'v',  0x22, 0x00, 0x0a, 0x21, 0x00, 0x64, 0x24, 0x01};
    ck_assert_int_eq(mqtt_decode(connack, sizeof(connack), MQTT_V5, &packet), 1);
    ck_assert_uint_eq(packet.receive_maximum, 100);
    ck_assert(!packet.session_present);

    static const uint8_t publish[] = {0x3d, 0x0a, 0x00, 0x01, 't', 0x01,
                                      0x02, 0x02, 0x01, 0x01, 'x', 'y'};
    ck_assert_int_eq(mqtt_decode(publish, sizeof(publish), MQTT_V5, &packet), 1);
    ck_assert_int_eq(packet.type, MQTT_PUBLISH);
    ck_assert_uint_eq(packet.qos, 2);
    ck_assert(packet.dup && packet.retain);
    ck_assert_uint_eq(packet.packet_id, 0x0102);
    ck_assert_uint_eq(packet.payload_len, 2);
    ck_assert_mem_eq(packet.payload, "xy", 2);
    ck_assert_mem_eq(packet.topic, "t", packet.topic_len);

    ck_assert_int_eq(mqtt_decode((const uint8_t *)"\x40\x03\x00\x07\x97", 5, MQTT_V5, &packet), 1);
    ck_assert_uint_eq(packet.packet_id, 7);
    ck_assert_uint_eq(packet.reason, 0x97);
    ck_assert_int_eq(mqtt_decode((const uint8_t *)"\x90\x03\x00\x07\x01", 5, MQTT_V311, &packet),
                     1);
    ck_assert_uint_eq(packet.reason, 0);
    ck_assert_int_eq(mqtt_decode((const uint8_t *)"\x90\x03\x00\x07\x80", 5, MQTT_V311, &packet),
                     1);
    ck_assert_uint_eq(packet.reason, 0x80);
}
END_TEST

START_TEST(a_packet_cut_short_asks_for_more)
{
    static const uint8_t publish[] = {0x32, 0x07, 0x00, 0x01, 't', 0x01, 0x02, 'x', 'y'};
    struct mqtt_packet packet;
    for (size_t len = 0; len < sizeof(publish); len++) {
        ck_assert_int_eq(mqtt_decode(publish, len, MQTT_V311, &packet), 0);
        ck_assert_uint_eq(packet.wire_len, len < 2 ? 0 : sizeof(publish));
    }
    ck_assert_int_eq(mqtt_decode(publish, sizeof(publish), MQTT_V311, &packet), 1);
}
END_TEST

START_TEST(nonsense_is_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x30\xff\xff\xff\xff\x01", 6},    // remaining length of five bytes
        {"\x36\x07\x00\x01t\x01\x02xy", 9}, // QoS 3
        {"\x32\x03\x00\x05t", 5},           // topic longer than the packet
        {"\x32\x03\x00\x01t", 5},           // no room for the packet id
        {"\x40\x01\x00", 3},                // PUBACK of one byte
        {"\x40\x03\x00\x01\x00", 5},        // PUBACK of three bytes in MQTT 3.1.1
        {"\x20\x03\x00\x00\x00", 5},        // CONNACK with a byte too many
        {"\x10\x00", 2},                    // CONNECT, which no broker sends
        {"\xe0\x00", 2},                    // DISCONNECT, which none sends in MQTT 3.1.1
    };
    struct mqtt_packet packet;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_msg(
            mqtt_decode((const uint8_t *)cases[i].bytes, cases[i].len, MQTT_V311, &packet) == -1,
            "case %zu", i);
}
END_TEST

// The loop's number is the kind.
START_TEST(a_payload_tells_which_message_it_is)
{
    enum payload_kind kind = (enum payload_kind)_i;
    for (uint64_t seq = 0; seq < 3000000; seq += 9973) {
        size_t len = payload_size(kind, 1000, 3, seq);
        uint32_t publisher = 0;
        uint64_t found = 0;
        ck_assert_uint_le(len, sizeof(bytes));
        memset(bytes, 0xee, sizeof(bytes));
        payload_write(kind, bytes, len, 3, seq);
        ck_assert_uint_eq(bytes[len], 0xee);
        ck_assert(payload_is_whole(kind, bytes, len, 3, seq));
        bytes[len - 1] ^= 1;
        ck_assert(!payload_is_whole(kind, bytes, len, 3, seq));
        if (kind == PAYLOAD_NUMBER)
            continue;
        ck_assert(payload_identify(kind, bytes, len, &publisher, &found));
        ck_assert_uint_eq(publisher, 3);
        ck_assert_uint_eq(found, seq);
    }
}
END_TEST

START_TEST(the_json_payload_keeps_its_frame)
{
    static const char *const members[] = {
        "{\"id\":\"",     "\",\"device\":\"sensor-",
        "\",\"ts\":",     ",\"temperature\":",
        ",\"humidity\":", ",\"pressure\":",
        ",\"battery\":",  ",\"rssi\":-",
        ",\"uptime\":",   ",\"ok\":true,\"fw\":\"2.4.1-r12\",\"n\":"};
    char text[201] = {0};
    for (uint64_t seq = 0; seq < 5000000; seq += 99991) {
        payload_write(PAYLOAD_JSON, (uint8_t *)text, 200, 2, seq);
        const char *at = text;
        for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            ck_assert_msg(strncmp(at, members[i], strlen(members[i])) == 0, "%s", text);
            at += strlen(members[i]);
            ck_assert_msg(i == 0 || i == 1 || *at != '0', "a number begins with 0: %s", text);
            while (i + 1 < sizeof(members) / sizeof(members[0]) &&
                   strncmp(at, members[i + 1], strlen(members[i + 1])) != 0 && *at)
                at++;
        }
        ck_assert_int_eq(text[199], '}');
    }
}
END_TEST

START_TEST(a_set_of_numbers_survives_its_text_form)
{
    struct seqset set = {0}, read[3] = {{0}, {0}, {0}};
    FILE *file = tmpfile();
    for (uint64_t seq = 0; seq < 100000; seq++)
        if (seq % 7 && (seq < 5000 || seq > 5100))
            ck_assert(seqset_add(&set, seq));
    ck_assert(!seqset_add(&set, 1));
    ck_assert(!seqset_has(&set, 5050));
    seqset_write(&set, 2, file);
    rewind(file);
    ck_assert(seqset_read(read, 3, file));
    ck_assert_uint_eq(read[2].count, set.count);
    ck_assert_uint_eq(seqset_missing(&read[2], &set), 0);
    ck_assert_uint_eq(read[0].count, 0);
    ck_assert_uint_eq(seqset_missing(&read[0], &set), set.count);
    rewind(file);
    ck_assert(!seqset_read(read, 2, file));
    fclose(file);
    seqset_release(&set);
    for (int i = 0; i < 3; i++)
        seqset_release(&read[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench_wire");
    TCase *tests = tcase_create("wire");
    tcase_add_test(tests, connect_is_as_the_standards_say);
    tcase_add_test(tests, subscribe_and_acks_are_as_the_standards_say);
    tcase_add_test(tests, publish_is_as_the_standards_say);
    tcase_add_test(tests, the_remaining_length_grows_at_128_and_16384);
    tcase_add_test(tests, an_encoder_without_room_writes_nothing);
    tcase_add_test(tests, what_a_broker_sends_is_read);
    tcase_add_test(tests, a_packet_cut_short_asks_for_more);
    tcase_add_test(tests, nonsense_is_refused);
    tcase_add_loop_test(tests, a_payload_tells_which_message_it_is, 0, PAYLOAD_KINDS);
    tcase_add_test(tests, the_json_payload_keeps_its_frame);
    tcase_add_test(tests, a_set_of_numbers_survives_its_text_form);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
