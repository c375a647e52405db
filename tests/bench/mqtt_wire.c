// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "mqtt_wire.h"

#include <string.h>

// Where an encoder stands. `end` never moves; `failed` is set by the first write that does not fit.
struct writer {
    uint8_t *at;
    uint8_t *end;
    bool failed;
};

static void put_bytes(struct writer *w, const void *bytes, size_t len)
{
    if (w->failed || (size_t)(w->end - w->at) < len) {
        w->failed = true;
        return;
    }
    memcpy(w->at, bytes, len);
    w->at += len;
}

static void put_u8(struct writer *w, unsigned value)
{
    uint8_t byte = (uint8_t)value;
    put_bytes(w, &byte, 1);
}

static void put_u16(struct writer *w, unsigned value)
{
    put_u8(w, value >> 8);
    put_u8(w, value & 0xff);
}

static void put_varint(struct writer *w, size_t value)
{
    do {
        unsigned byte = value & 0x7f;
        value >>= 7;
        put_u8(w, value ? byte | 0x80 : byte);
    } while (value);
}

static void put_string(struct writer *w, const char *string, size_t len)
{
    if (len > UINT16_MAX)
        w->failed = true;
    put_u16(w, (unsigned)len);
    put_bytes(w, string, len);
}

static size_t writer_length(const struct writer *w, const uint8_t *start)
{
    return w->failed ? 0 : (size_t)(w->at - start);
}

static void put_header(struct writer *w, enum mqtt_packet_type type, unsigned flags,
                       size_t remaining)
{
    if (remaining > MQTT_REMAINING_MAX)
        w->failed = true;
    put_u8(w, (unsigned)type << 4 | flags);
    put_varint(w, remaining);
}

size_t mqtt_connect_encode(uint8_t *dst, size_t capacity, const struct mqtt_connect *connect)
{
    struct writer w = {dst, dst + capacity, false};
    bool five = connect->version == MQTT_V5;
    size_t id_len = strlen(connect->client_id);
    size_t properties_len = five && !connect->clean ? 5 : 0;
    size_t remaining = 10 + (five ? 1 + properties_len : 0) + 2 + id_len;
    unsigned flags = connect->clean ? 0x02 : 0;
    if (connect->username) {
        flags |= 0x80;
        remaining += 2 + strlen(connect->username);
    }
    if (connect->password) {
        flags |= 0x40;
        remaining += 2 + strlen(connect->password);
    }
    put_header(&w, MQTT_CONNECT, 0, remaining);
    put_string(&w, "MQTT", 4);
    put_u8(&w, connect->version);
    put_u8(&w, flags);
    put_u16(&w, connect->keepalive_s);
    if (five) {
        put_varint(&w, properties_len);
        if (properties_len)
            put_bytes(&w, "\x11\xff\xff\xff\xff", 5);
    }
    put_string(&w, connect->client_id, id_len);
    if (connect->username)
        put_string(&w, connect->username, strlen(connect->username));
    if (connect->password)
        put_string(&w, connect->password, strlen(connect->password));
    return writer_length(&w, dst);
}

size_t mqtt_subscribe_encode(uint8_t *dst, size_t capacity, uint8_t version, uint16_t packet_id,
                             const char *filter, uint8_t qos)
{
    struct writer w = {dst, dst + capacity, false};
    size_t filter_len = strlen(filter);
    put_header(&w, MQTT_SUBSCRIBE, 2, 2 + (version == MQTT_V5 ? 1u : 0u) + 2 + filter_len + 1);
    put_u16(&w, packet_id);
    if (version == MQTT_V5)
        put_u8(&w, 0);
    put_string(&w, filter, filter_len);
    put_u8(&w, qos);
    return writer_length(&w, dst);
}

size_t mqtt_ack_encode(uint8_t *dst, size_t capacity, enum mqtt_packet_type type,
                       uint16_t packet_id)
{
    if (capacity < MQTT_ACK_BYTES)
        return 0;
    dst[0] = (uint8_t)((unsigned)type << 4 | (type == MQTT_PUBREL ? 2u : 0u));
    dst[1] = 2;
    dst[2] = (uint8_t)(packet_id >> 8);
    dst[3] = (uint8_t)packet_id;
    return MQTT_ACK_BYTES;
}

size_t mqtt_empty_encode(uint8_t *dst, size_t capacity, enum mqtt_packet_type type)
{
    struct writer w = {dst, dst + capacity, false};
    put_header(&w, type, 0, 0);
    return writer_length(&w, dst);
}

size_t mqtt_publish_bound(size_t topic_len, size_t payload_len)
{
    return 1 + 4 + 2 + topic_len + 2 + 1 + payload_len;
}

size_t mqtt_publish_header_encode(uint8_t *dst, size_t capacity, const struct mqtt_publish *publish)
{
    if (capacity < publish->payload_len)
        return 0;
    struct writer w = {dst, dst + capacity - publish->payload_len, false};
    bool five = publish->version == MQTT_V5;
    size_t remaining =
        2 + publish->topic_len + (publish->qos ? 2u : 0u) + (five ? 1u : 0u) + publish->payload_len;
    put_header(&w, MQTT_PUBLISH,
               (publish->dup ? 8u : 0u) | (unsigned)publish->qos << 1 | (publish->retain ? 1u : 0u),
               remaining);
    put_string(&w, publish->topic, publish->topic_len);
    if (publish->qos)
        put_u16(&w, publish->packet_id);
    if (five)
        put_u8(&w, 0);
    return writer_length(&w, dst);
}

// ---- decoding

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static bool get_u8(struct reader *r, uint8_t *ret)
{
    if (left(r) < 1)
        return false;
    *ret = *r->at++;
    return true;
}

static bool get_u16(struct reader *r, uint16_t *ret)
{
    if (left(r) < 2)
        return false;
    *ret = (uint16_t)(r->at[0] << 8 | r->at[1]);
    r->at += 2;
    return true;
}

// 1: read, 0: cut short, -1: longer than four bytes.
static int get_varint(struct reader *r, size_t *ret)
{
    size_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t byte;
        if (!get_u8(r, &byte))
            return 0;
        value |= (size_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *ret = value;
            return 1;
        }
    }
    return -1;
}

static bool get_span(struct reader *r, size_t len, const uint8_t **ret)
{
    if (left(r) < len)
        return false;
    *ret = r->at;
    r->at += len;
    return true;
}

// Cuts the properties out of the packet.
static bool get_properties(struct reader *r, struct reader *ret)
{
    size_t len;
    const uint8_t *start;
    if (get_varint(r, &len) != 1 || !get_span(r, len, &start))
        return false;
    *ret = (struct reader){start, start + len};
    return true;
}

// Steps over the value of a property that may stand in a CONNACK (MQTT 5 section 2.2.2.2).
static bool skip_property_value(struct reader *r, uint8_t id)
{
    const uint8_t *ignored;
    uint16_t len;
    switch (id) {
    case 0x24: // maximum QoS
    case 0x25: // retain available
    case 0x28: // wildcard subscriptions
    case 0x29: // subscription identifiers
    case 0x2a: // shared subscriptions
        return get_span(r, 1, &ignored);
    case 0x13: // server keep alive
    case 0x21: // receive maximum
    case 0x22: // topic alias maximum
        return get_span(r, 2, &ignored);
    case 0x11: // session expiry interval
    case 0x27: // maximum packet size
        return get_span(r, 4, &ignored);
    case 0x26: // user property
        if (!get_u16(r, &len) || !get_span(r, len, &ignored))
            return false;
        return get_u16(r, &len) && get_span(r, len, &ignored);
    default: // a string or binary data
        return get_u16(r, &len) && get_span(r, len, &ignored);
    }
}

static bool connack_decode(struct reader *r, uint8_t version, struct mqtt_packet *packet)
{
    uint8_t flags;
    packet->receive_maximum = UINT16_MAX;
    if (!get_u8(r, &flags) || !get_u8(r, &packet->reason))
        return false;
    packet->session_present = flags & 1;
    if (version != MQTT_V5)
        return left(r) == 0;
    struct reader properties;
    if (!get_properties(r, &properties) || left(r) != 0)
        return false;
    while (left(&properties)) {
        uint8_t id;
        if (!get_u8(&properties, &id))
            return false;
        struct reader value = properties;
        if (!skip_property_value(&properties, id))
            return false;
        if (id == 0x21)
            (void)get_u16(&value, &packet->receive_maximum);
    }
    return true;
}

static bool publish_decode(struct reader *r, uint8_t version, struct mqtt_packet *packet)
{
    uint16_t topic_len;
    if (packet->qos > 2 || !get_u16(r, &topic_len) || !get_span(r, topic_len, &packet->topic))
        return false;
    packet->topic_len = topic_len;
    if (packet->qos && !get_u16(r, &packet->packet_id))
        return false;
    struct reader properties;
    if (version == MQTT_V5 && !get_properties(r, &properties))
        return false;
    packet->payload = r->at;
    packet->payload_len = left(r);
    return true;
}

static bool ack_decode(struct reader *r, uint8_t version, struct mqtt_packet *packet)
{
    if (!get_u16(r, &packet->packet_id))
        return false;
    if (version == MQTT_V5)
        (void)get_u8(r, &packet->reason);
    else if (left(r) != 0)
        return false;
    return true;
}

static bool suback_decode(struct reader *r, uint8_t version, struct mqtt_packet *packet)
{
    struct reader properties;
    if (!get_u16(r, &packet->packet_id))
        return false;
    if (version == MQTT_V5 && !get_properties(r, &properties))
        return false;
    uint8_t granted;
    if (!get_u8(r, &granted))
        return false;
    packet->reason = granted & 0x80 ? granted : 0;
    return true;
}

static bool body_decode(struct reader *r, uint8_t version, struct mqtt_packet *packet)
{
    switch (packet->type) {
    case MQTT_CONNACK:
        return connack_decode(r, version, packet);
    case MQTT_PUBLISH:
        return publish_decode(r, version, packet);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return ack_decode(r, version, packet);
    case MQTT_SUBACK:
        return suback_decode(r, version, packet);
    case MQTT_PINGRESP:
        return left(r) == 0;
    case MQTT_DISCONNECT:
        (void)get_u8(r, &packet->reason);
        return version == MQTT_V5;
    default:
        return false;
    }
}

int mqtt_decode(const uint8_t *bytes, size_t len, uint8_t version, struct mqtt_packet *ret_packet)
{
    struct reader r = {bytes, bytes + len};
    uint8_t first;
    size_t remaining;
    memset(ret_packet, 0, sizeof *ret_packet);
    if (!get_u8(&r, &first))
        return 0;
    int got = get_varint(&r, &remaining);
    if (got != 1)
        return got;
    ret_packet->wire_len = (size_t)(r.at - bytes) + remaining;
    if (left(&r) < remaining)
        return 0;
    ret_packet->type = (enum mqtt_packet_type)(first >> 4);
    ret_packet->dup = first & 8;
    ret_packet->qos = (first >> 1) & 3;
    ret_packet->retain = first & 1;
    r.end = r.at + remaining;
    return body_decode(&r, version, ret_packet) ? 1 : -1;
}
