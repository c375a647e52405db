// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A body is the fields of its type in the order of the tables below, without padding. Fixed fields
// are little-endian; a string is a 32-bit length and its bytes, length 0xffffffff for an absent
// one.
#include "record.h"

#include "bytes.h"

#define STRING_MAX_BYTES 65535u
#define PROPERTIES_MAX_BYTES 268435455u
#define ABSENT 0xffffffffu

enum field_kind {
    FIELD_U8,
    FIELD_BOOL, // one byte, 0 or 1
    FIELD_U16,
    FIELD_U32,
    FIELD_U64,
    FIELD_STRING,     // up to 65,535 bytes (MQTT 5 section 1.5.4)
    FIELD_PROPERTIES, // up to what a packet may hold
    FIELD_PAYLOAD,    // likewise
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;   // in struct event
    uint8_t maximum; // of a FIELD_U8, 0: any
};

#define FIELD(member, name, kind)                                   \
    {                                                               \
#name, FIELD_##kind, offsetof(struct event, member.name), 0 \
    }
#define FIELD_UP_TO(member, name, maximum)                            \
    {                                                                 \
#name, FIELD_U8, offsetof(struct event, member.name), maximum \
    }

static const struct field session_fields[] = {
    FIELD(session, client_id, STRING),
    FIELD(session, username, STRING),
    FIELD(session, auth_method, STRING),
    FIELD(session, session_expiry_time, U64),
    FIELD(session, will_delay_time, U64),
    FIELD(session, changed_time_ms, U64),
    FIELD(session, session_expiry_interval, U32),
    FIELD(session, will_delay_interval, U32),
    FIELD(session, max_packet_size, U32),
    FIELD(session, listener_port, U16),
    FIELD(session, max_qos, U8),
    FIELD(session, retain_available, BOOL),
    FIELD(session, connected, BOOL),
};

static const struct field connection_fields[] = {
    FIELD(connection, client_id, STRING),
    FIELD(connection, username, STRING),
    FIELD(connection, time_ms, U64),
    FIELD(connection, session_expiry_time, U64),
};

static const struct field subscription_fields[] = {
    FIELD(subscription, client_id, STRING),
    FIELD(subscription, topic_filter, STRING),
    FIELD(subscription, identifier, U32),
    FIELD(subscription, options, U8),
};

static const struct field message_fields[] = {
    FIELD(message, store_id, U64),
    FIELD(message, expiry_time, U64),
    FIELD(message, source_mid, U16),
    FIELD(message, source_port, U16),
    FIELD_UP_TO(message, qos, 2),
    FIELD(message, retain, BOOL),
    FIELD(message, topic, STRING),
    FIELD(message, source_id, STRING),
    FIELD(message, source_username, STRING),
    FIELD(message, properties, PROPERTIES),
    FIELD(message, payload, PAYLOAD),
};

static const struct field message_delete_fields[] = {
    FIELD(message, store_id, U64),
};

static const struct field queued_fields[] = {
    FIELD(queued, cmsg_id, U64),
    FIELD(queued, store_id, U64),
    FIELD(queued, subscription_identifier, U32),
    FIELD(queued, mid, U16),
    FIELD_UP_TO(queued, direction, 1),
    FIELD_UP_TO(queued, qos, 2),
    FIELD(queued, state, U8),
    FIELD(queued, dup, U8),
    FIELD(queued, retain, BOOL),
    FIELD(queued, client_id, STRING),
};

static const struct field retained_fields[] = {
    FIELD(retained, store_id, U64),
    FIELD(retained, topic, STRING),
};

static const struct field will_fields[] = {
    FIELD(will, client_id, STRING),      FIELD(will, topic, STRING),
    FIELD(will, username, STRING),       FIELD(will, listener_port, U16),
    FIELD_UP_TO(will, qos, 2),           FIELD(will, retain, BOOL),
    FIELD(will, properties, PROPERTIES), FIELD(will, payload, PAYLOAD),
};

static const struct field link_fields[] = {
    FIELD(link, previous_end, U64),
    FIELD(link, previous_checksum, U64),
};

static const struct field none_fields[] = {{0}};

struct layout {
    const struct field *fields;
    size_t count;
};

#define LAYOUT(fields)                               \
    {                                                \
        fields, sizeof(fields) / sizeof((fields)[0]) \
    }

static const struct layout layouts[] = {
#define ENTRY(id, name, member, promised, text) [id] = LAYOUT(member##_fields),
    RECORD_TYPES(ENTRY)
#undef ENTRY
};

static struct layout layout_of(unsigned type)
{
    if (type == RECORD_MESSAGE_DELETE)
        return (struct layout)LAYOUT(message_delete_fields);
    if (type >= sizeof(layouts) / sizeof(layouts[0]) || layouts[type].fields == none_fields)
        return (struct layout){NULL, 0};
    return layouts[type];
}

static bool type_is_known(unsigned type)
{
    return type < sizeof(layouts) / sizeof(layouts[0]) && layouts[type].fields != NULL;
}

bool record_promised(const struct event *event)
{
    switch (event->type) {
    case RECORD_QUEUE_DELETE:
        // Losing the end of an outgoing message costs a legal second delivery or a second PUBREL
        // (MQTT 5 section 4.3); losing the end of an incoming one would swallow the next message
        // that has its packet id.
        return event->queued.direction == QUEUE_IN;
    case RECORD_QUEUE_UPDATE:
        return event->queued.state == QUEUE_STATE_WAIT_FOR_PUBCOMP ||
               event->queued.state == QUEUE_STATE_WAIT_FOR_PUBREL;
    default:
        break;
    }
    switch (event->type) {
#define CASE(id, name, member, promised, text) \
    case id:                                   \
        return promised;
        RECORD_TYPES(CASE)
#undef CASE
    default:
        return true;
    }
}

static uint32_t span_limit(enum field_kind kind)
{
    return kind == FIELD_STRING ? STRING_MAX_BYTES : PROPERTIES_MAX_BYTES;
}

int record_size(const struct event *event, size_t *ret_bytes, struct store_error *err)
{
    struct layout layout = layout_of(event->type);
    size_t bytes = 0;
    for (size_t i = 0; i < layout.count; i++) {
        const struct field *field = &layout.fields[i];
        const void *at = (const char *)event + field->offset;
        switch (field->kind) {
        case FIELD_U8:
        case FIELD_BOOL:
            bytes += 1;
            break;
        case FIELD_U16:
            bytes += 2;
            break;
        case FIELD_U32:
            bytes += 4;
            break;
        case FIELD_U64:
            bytes += 8;
            break;
        case FIELD_STRING:
        case FIELD_PROPERTIES:
        case FIELD_PAYLOAD: {
            const struct span *span = at;
            if (span->data && span->len > span_limit(field->kind))
                return error_set(err, STORE_ETOOBIG,
                                 "%s: %s has %lu bytes, more than the %lu that MQTT allows",
                                 record_type_name(event->type), field->name,
                                 (unsigned long)span->len, (unsigned long)span_limit(field->kind));
            bytes += 4 + (size_t)(span->data ? span->len : 0);
            break;
        }
        }
    }
    if (bytes > RECORD_BODY_MAX_BYTES)
        return error_set(err, STORE_ETOOBIG, "%s: a record of %zu bytes is too large",
                         record_type_name(event->type), bytes);
    *ret_bytes = bytes;
    return 0;
}

void record_encode(const struct event *event, uint8_t *dst)
{
    struct layout layout = layout_of(event->type);
    for (size_t i = 0; i < layout.count; i++) {
        const struct field *field = &layout.fields[i];
        const void *at = (const char *)event + field->offset;
        switch (field->kind) {
        case FIELD_U8:
            *dst++ = *(const uint8_t *)at;
            break;
        case FIELD_BOOL:
            *dst++ = *(const bool *)at ? 1 : 0;
            break;
        case FIELD_U16:
            put_u16(dst, *(const uint16_t *)at);
            dst += 2;
            break;
        case FIELD_U32:
            put_u32(dst, *(const uint32_t *)at);
            dst += 4;
            break;
        case FIELD_U64:
            put_u64(dst, *(const uint64_t *)at);
            dst += 8;
            break;
        case FIELD_STRING:
        case FIELD_PROPERTIES:
        case FIELD_PAYLOAD: {
            const struct span *span = at;
            put_u32(dst, span->data ? span->len : ABSENT);
            dst += 4;
            if (span->data && span->len) {
                memcpy(dst, span->data, span->len);
                dst += span->len;
            }
            break;
        }
        }
    }
}

static int field_damaged(unsigned type, const struct field *field, const char *what,
                         struct store_error *err)
{
    return error_set(err, STORE_EDAMAGED, "%s: %s %s", record_type_name(type), field->name, what);
}

static int span_decode(unsigned type, const struct field *field, const uint8_t **at, size_t *left,
                       struct span *ret_span, struct store_error *err)
{
    if (*left < 4)
        return field_damaged(type, field, "is cut off", err);
    uint32_t len = get_u32(*at);
    *at += 4;
    *left -= 4;
    if (len == ABSENT) {
        *ret_span = (struct span){NULL, 0};
        return 0;
    }
    if (len > span_limit(field->kind))
        return field_damaged(type, field, "is longer than MQTT allows", err);
    if (len > *left)
        return field_damaged(type, field, "is cut off", err);
    *ret_span = span_of(*at, len);
    *at += len;
    *left -= len;
    return 0;
}

static size_t fixed_bytes(enum field_kind kind)
{
    switch (kind) {
    case FIELD_U16:
        return 2;
    case FIELD_U32:
        return 4;
    case FIELD_U64:
        return 8;
    default:
        return 1;
    }
}

static int fixed_decode(unsigned type, const struct field *field, const uint8_t *at, void *dst,
                        struct store_error *err)
{
    switch (field->kind) {
    case FIELD_U16:
        *(uint16_t *)dst = get_u16(at);
        return 0;
    case FIELD_U32:
        *(uint32_t *)dst = get_u32(at);
        return 0;
    case FIELD_U64:
        *(uint64_t *)dst = get_u64(at);
        return 0;
    case FIELD_BOOL:
        if (*at > 1)
            return field_damaged(type, field, "is neither 0 nor 1", err);
        *(bool *)dst = *at == 1;
        return 0;
    default:
        if (field->maximum && *at > field->maximum)
            return field_damaged(type, field, "is out of range", err);
        *(uint8_t *)dst = *at;
        return 0;
    }
}

int record_decode(unsigned type, const uint8_t *body, size_t len, struct event *ret_event,
                  struct store_error *err)
{
    if (!type_is_known(type))
        return error_set(err, STORE_EDAMAGED, "record type %u is unknown", type);

    struct layout layout = layout_of(type);
    struct event event = {.type = (enum record_type)type};
    for (size_t i = 0; i < layout.count; i++) {
        const struct field *field = &layout.fields[i];
        void *dst = (char *)&event + field->offset;
        int rc;
        if (field->kind >= FIELD_STRING) {
            rc = span_decode(type, field, &body, &len, dst, err);
        } else {
            size_t bytes = fixed_bytes(field->kind);
            if (len < bytes)
                return field_damaged(type, field, "is cut off", err);
            rc = fixed_decode(type, field, body, dst, err);
            body += bytes;
            len -= bytes;
        }
        if (rc)
            return rc;
    }
    if (len)
        return error_set(err, STORE_EDAMAGED, "%s: %zu bytes follow its last field",
                         record_type_name(type), len);
    *ret_event = event;
    return 0;
}
