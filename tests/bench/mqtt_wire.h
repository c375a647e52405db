// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// MQTT 3.1.1 and 5 packets as bytes, as a client writes and reads them. Pure functions; no socket,
// no allocation. Only what the load generator needs: no wills, no authentication exchange.
#ifndef BENCH_MQTT_WIRE_H
#define BENCH_MQTT_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mqtt_packet_type {
    MQTT_CONNECT = 1,
    MQTT_CONNACK = 2,
    MQTT_PUBLISH = 3,
    MQTT_PUBACK = 4,
    MQTT_PUBREC = 5,
    MQTT_PUBREL = 6,
    MQTT_PUBCOMP = 7,
    MQTT_SUBSCRIBE = 8,
    MQTT_SUBACK = 9,
    MQTT_PINGREQ = 12,
    MQTT_PINGRESP = 13,
    MQTT_DISCONNECT = 14,
};

#define MQTT_V311 4
#define MQTT_V5 5
#define MQTT_REMAINING_MAX 268435455u

struct mqtt_connect {
    const char *client_id;
    const char *username; // NULL: none
    const char *password; // NULL: none
    uint16_t keepalive_s;
    uint8_t version; // MQTT_V311 or MQTT_V5
    bool clean;      // not clean: MQTT 5 also asks that the session never expires
};

struct mqtt_publish {
    const char *topic;
    size_t topic_len;
    size_t payload_len;
    uint16_t packet_id; // ignored for QoS 0
    uint8_t version;
    uint8_t qos;
    bool retain;
    bool dup;
};

// What a client may receive. Pointers point into the bytes that were decoded.
struct mqtt_packet {
    enum mqtt_packet_type type;
    uint8_t qos; // PUBLISH
    bool retain;
    bool dup;
    bool session_present; // CONNACK
    uint8_t reason;       // CONNACK, acknowledgements, SUBACK (the first), DISCONNECT; 0: success
    uint16_t packet_id;
    uint16_t receive_maximum; // CONNACK of MQTT 5, 65535 when not given
    const uint8_t *topic;
    size_t topic_len;
    const uint8_t *payload;
    size_t payload_len;
    size_t wire_len; // bytes of the whole packet
};

// Encoders write at `dst` and return the bytes written, or 0 when they need more than `capacity`
// or a string is too long for MQTT.
size_t mqtt_connect_encode(uint8_t *dst, size_t capacity, const struct mqtt_connect *connect);
size_t mqtt_subscribe_encode(uint8_t *dst, size_t capacity, uint8_t version, uint16_t packet_id,
                             const char *filter, uint8_t qos);
// PUBACK, PUBREC, PUBREL, PUBCOMP: always four bytes, in both versions.
#define MQTT_ACK_BYTES 4
size_t mqtt_ack_encode(uint8_t *dst, size_t capacity, enum mqtt_packet_type type,
                       uint16_t packet_id);
// PINGREQ, DISCONNECT (normal): two bytes.
size_t mqtt_empty_encode(uint8_t *dst, size_t capacity, enum mqtt_packet_type type);

// All of a PUBLISH but its payload, which the caller writes behind it. `capacity` must hold both.
size_t mqtt_publish_header_encode(uint8_t *dst, size_t capacity,
                                  const struct mqtt_publish *publish);
// An upper bound of the whole packet.
size_t mqtt_publish_bound(size_t topic_len, size_t payload_len);

// Reads one packet. Returns 1 and fills `ret_packet`; 0 when more bytes are needed, with their
// whole number in ret_packet->wire_len if it is known already, else 0; -1 when the bytes are not a
// packet that a broker may send.
int mqtt_decode(const uint8_t *bytes, size_t len, uint8_t version, struct mqtt_packet *ret_packet);

#endif
