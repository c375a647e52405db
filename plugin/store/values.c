// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "values.h"

#include "bytes.h"
#include "checksum.h"
#include "record.h"
#include "value_bytes.h"

#include <string.h>

// A whole string is in the value only when the key does not hold it.
static size_t long_string_bytes(struct span string)
{
    return key_string_is_long(string) ? 2 + (size_t)string.len : 0;
}

static void write_long_string(struct value_writer *writer, struct span string)
{
    if (key_string_is_long(string))
        value_write_string16(writer, string);
}

// Gives the string of a key, from the key itself or, behind which the reader stands, the value.
static const char *read_key_string(struct value_reader *reader, struct span string_key,
                                   struct span *ret_string)
{
    struct span head;
    switch (key_read_string(string_key, &head)) {
    case KEY_SHORT:
        *ret_string = head;
        return NULL;
    case KEY_LONG:
        *ret_string = value_read_string16(reader);
        if (reader->failed || !key_string_is_long(*ret_string) ||
            memcmp(ret_string->data, head.data, head.len) != 0)
            return "the string in the value is not the one of the key";
        return NULL;
    default:
        return "the key is malformed";
    }
}

enum session_flags {
    SESSION_HAS_USERNAME = 1,
    SESSION_HAS_AUTH_METHOD = 2,
    SESSION_RETAIN_AVAILABLE = 4,
    SESSION_IS_CONNECTED = 8,
    SESSION_FLAGS_KNOWN = 15,
};

#define SESSION_FIXED_BYTES 49u

size_t value_session_bytes(const struct session *session)
{
    return SESSION_FIXED_BYTES + long_string_bytes(session->client_id) +
           value_string16_bytes(session->username) + value_string16_bytes(session->auth_method) +
           VALUE_CHECKSUM_BYTES;
}

void value_session_encode(const struct session *session, struct span key, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u8(&writer, (uint8_t)((session->username.data ? SESSION_HAS_USERNAME : 0) |
                                      (session->auth_method.data ? SESSION_HAS_AUTH_METHOD : 0) |
                                      (session->retain_available ? SESSION_RETAIN_AVAILABLE : 0) |
                                      (session->connected ? SESSION_IS_CONNECTED : 0)));
    value_write_u8(&writer, session->max_qos);
    value_write_u16(&writer, session->listener_port);
    value_write_u32(&writer, session->max_packet_size);
    value_write_u32(&writer, session->session_expiry_interval);
    value_write_u32(&writer, session->will_delay_interval);
    value_write_u64(&writer, (uint64_t)session->session_expiry_time);
    value_write_u64(&writer, (uint64_t)session->will_delay_time);
    value_write_u64(&writer, (uint64_t)session->changed_time_ms);
    value_write_u64(&writer, session->number);
    write_long_string(&writer, session->client_id);
    value_write_optional16(&writer, session->username);
    value_write_optional16(&writer, session->auth_method);
    value_seal(&writer, TABLE_SESSIONS, key);
}

const char *value_session_decode(struct span key, struct span value, struct session *ret_session)
{
    struct value_reader reader;
    struct session session = {0};
    const char *why = value_open(&reader, TABLE_SESSIONS, key, value);
    if (why)
        return why;

    uint8_t flags = value_read_u8(&reader);
    session.retain_available = flags & SESSION_RETAIN_AVAILABLE;
    session.connected = flags & SESSION_IS_CONNECTED;
    session.max_qos = value_read_u8(&reader);
    session.listener_port = value_read_u16(&reader);
    session.max_packet_size = value_read_u32(&reader);
    session.session_expiry_interval = value_read_u32(&reader);
    session.will_delay_interval = value_read_u32(&reader);
    session.session_expiry_time = (int64_t)value_read_u64(&reader);
    session.will_delay_time = (int64_t)value_read_u64(&reader);
    session.changed_time_ms = (int64_t)value_read_u64(&reader);
    session.number = value_read_u64(&reader);
    why = read_key_string(&reader, key, &session.client_id);
    if (why)
        return why;
    session.username = value_read_optional16(&reader, flags & SESSION_HAS_USERNAME);
    session.auth_method = value_read_optional16(&reader, flags & SESSION_HAS_AUTH_METHOD);
    if ((flags & ~SESSION_FLAGS_KNOWN) != 0)
        return "unknown flags";
    why = value_close(&reader);
    if (!why)
        *ret_session = session;
    return why;
}

#define SUBSCRIPTION_FIXED_BYTES 6u

size_t value_subscription_bytes(const struct subscription *subscription)
{
    return SUBSCRIPTION_FIXED_BYTES + long_string_bytes(subscription->topic_filter) +
           VALUE_CHECKSUM_BYTES;
}

void value_subscription_encode(const struct subscription *subscription, struct span key,
                               uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u8(&writer, subscription->options);
    value_write_u32(&writer, subscription->identifier);
    write_long_string(&writer, subscription->topic_filter);
    value_seal(&writer, TABLE_SUBSCRIPTIONS, key);
}

const char *value_subscription_decode(struct span key, struct span value, uint64_t *ret_session,
                                      struct subscription *ret_subscription)
{
    struct value_reader reader;
    struct subscription subscription = {0};
    struct span string_key;
    uint64_t session;
    const char *why = value_open(&reader, TABLE_SUBSCRIPTIONS, key, value);
    if (why)
        return why;
    if (!key_read_subscription(key, &session, &string_key))
        return "the key is malformed";

    subscription.options = value_read_u8(&reader);
    subscription.identifier = value_read_u32(&reader);
    why = read_key_string(&reader, string_key, &subscription.topic_filter);
    if (!why)
        why = value_close(&reader);
    if (why)
        return why;
    *ret_session = session;
    *ret_subscription = subscription;
    return NULL;
}

// One byte: QoS (bits 0-1), then these, then the version in bits 5-7.
enum queued_flags {
    QUEUED_QOS = 3,
    QUEUED_RETAIN = 4,
    QUEUED_HAS_DUP = 8,
    QUEUED_HAS_IDENTIFIER = 16,
};
#define QUEUED_VERSION_SHIFT 5

#define QUEUED_FIXED_BYTES 12u

size_t value_queued_bytes(const struct queued *queued)
{
    return QUEUED_FIXED_BYTES + (queued->dup ? 1u : 0u) +
           (queued->subscription_identifier ? 4u : 0u) + VALUE_QUEUED_CHECKSUM_BYTES;
}

void value_queued_encode(const struct queued *queued, struct span key, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer,
                   (uint8_t)((queued->qos & QUEUED_QOS) | (queued->retain ? QUEUED_RETAIN : 0) |
                             (queued->dup ? QUEUED_HAS_DUP : 0) |
                             (queued->subscription_identifier ? QUEUED_HAS_IDENTIFIER : 0) |
                             VALUE_VERSION << QUEUED_VERSION_SHIFT));
    value_write_u8(&writer, queued->state);
    value_write_u16(&writer, queued->mid);
    value_write_u64(&writer, queued->store_id);
    if (queued->dup)
        value_write_u8(&writer, queued->dup);
    if (queued->subscription_identifier)
        value_write_u32(&writer, queued->subscription_identifier);
    value_seal(&writer, TABLE_QUEUE, key);
}

const char *value_queued_decode(struct span key, struct span value, uint64_t *ret_session,
                                struct queued *ret_queued)
{
    struct value_reader reader;
    struct queued queued = {0};
    uint64_t session;
    const char *why = value_open(&reader, TABLE_QUEUE, key, value);
    if (why)
        return why;
    if (!key_read_queued(key, &session, &queued.direction, &queued.cmsg_id))
        return "the key is malformed";

    uint8_t flags = value_read_u8(&reader);
    queued.qos = flags & QUEUED_QOS;
    queued.retain = flags & QUEUED_RETAIN;
    queued.state = value_read_u8(&reader);
    queued.mid = value_read_u16(&reader);
    queued.store_id = value_read_u64(&reader);
    if (flags & QUEUED_HAS_DUP)
        queued.dup = value_read_u8(&reader);
    if (flags & QUEUED_HAS_IDENTIFIER)
        queued.subscription_identifier = value_read_u32(&reader);
    if (flags >> QUEUED_VERSION_SHIFT != VALUE_VERSION)
        return "written by another version";
    why = value_close(&reader);
    if (why)
        return why;
    if (queued.qos > 2 || ((flags & QUEUED_HAS_DUP) && !queued.dup) ||
        ((flags & QUEUED_HAS_IDENTIFIER) && !queued.subscription_identifier))
        return "a field is out of range";
    *ret_session = session;
    *ret_queued = queued;
    return NULL;
}

#define RETAINED_FIXED_BYTES 9u

size_t value_retained_bytes(const struct retained *retained)
{
    return RETAINED_FIXED_BYTES + long_string_bytes(retained->topic) + VALUE_CHECKSUM_BYTES;
}

void value_retained_encode(const struct retained *retained, struct span key, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u64(&writer, retained->store_id);
    write_long_string(&writer, retained->topic);
    value_seal(&writer, TABLE_RETAINED, key);
}

const char *value_retained_decode(struct span key, struct span value, struct retained *ret_retained)
{
    struct value_reader reader;
    struct retained retained = {0};
    const char *why = value_open(&reader, TABLE_RETAINED, key, value);
    if (why)
        return why;
    retained.store_id = value_read_u64(&reader);
    why = read_key_string(&reader, key, &retained.topic);
    if (!why)
        why = value_close(&reader);
    if (!why)
        *ret_retained = retained;
    return why;
}

enum will_flags {
    WILL_QOS = 3,
    WILL_RETAIN = 4,
    WILL_HAS_TOPIC = 8,
    WILL_HAS_USERNAME = 16,
    WILL_HAS_PROPERTIES = 32,
    WILL_HAS_PAYLOAD = 64,
    WILL_FLAGS_KNOWN = 127,
};

#define WILL_FIXED_BYTES 4u

size_t value_will_bytes(const struct will *will)
{
    return WILL_FIXED_BYTES + long_string_bytes(will->client_id) +
           value_string16_bytes(will->topic) + value_string16_bytes(will->username) +
           value_string32_bytes(will->properties) + value_string32_bytes(will->payload) +
           VALUE_CHECKSUM_BYTES;
}

void value_will_encode(const struct will *will, struct span key, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u8(&writer, (uint8_t)((will->qos & WILL_QOS) | (will->retain ? WILL_RETAIN : 0) |
                                      (will->topic.data ? WILL_HAS_TOPIC : 0) |
                                      (will->username.data ? WILL_HAS_USERNAME : 0) |
                                      (will->properties.data ? WILL_HAS_PROPERTIES : 0) |
                                      (will->payload.data ? WILL_HAS_PAYLOAD : 0)));
    value_write_u16(&writer, will->listener_port);
    write_long_string(&writer, will->client_id);
    value_write_optional16(&writer, will->topic);
    value_write_optional16(&writer, will->username);
    value_write_optional32(&writer, will->properties);
    value_write_optional32(&writer, will->payload);
    value_seal(&writer, TABLE_WILLS, key);
}

const char *value_will_decode(struct span key, struct span value, struct will *ret_will)
{
    struct value_reader reader;
    struct will will = {0};
    const char *why = value_open(&reader, TABLE_WILLS, key, value);
    if (why)
        return why;
    uint8_t flags = value_read_u8(&reader);
    will.qos = flags & WILL_QOS;
    will.retain = flags & WILL_RETAIN;
    will.listener_port = value_read_u16(&reader);
    why = read_key_string(&reader, key, &will.client_id);
    if (why)
        return why;
    will.topic = value_read_optional16(&reader, flags & WILL_HAS_TOPIC);
    will.username = value_read_optional16(&reader, flags & WILL_HAS_USERNAME);
    will.properties = value_read_optional32(&reader, flags & WILL_HAS_PROPERTIES);
    will.payload = value_read_optional32(&reader, flags & WILL_HAS_PAYLOAD);
    if ((flags & ~WILL_FLAGS_KNOWN) != 0)
        return "unknown flags";
    if (will.qos > 2)
        return "a field is out of range";
    why = value_close(&reader);
    if (!why)
        *ret_will = will;
    return why;
}
