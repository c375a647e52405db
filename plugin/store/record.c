// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A body is the fields of its type in the order of the tables below, without padding. Fixed fields
// are little-endian; a string is a 32-bit length and its bytes, length 0xffffffff for an absent
// one.
#include "record.h"

#include "bytes.h"
#include "seeded.h"

#define PROPERTIES_MAX_BYTES 268435455u
#define ABSENT 0xffffffffu

enum field_kind {
    FIELD_U8,
    FIELD_BOOL, // one byte, 0 or 1
    FIELD_U16,
    FIELD_U16_OPTIONAL, // the last field, left out if it is 0
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

// X(member of struct event, field, kind, maximum of a U8 or 0). One list per shape of body gives
// the table for reading and messages, and straight-line code for writing.
#define SESSION_FIELDS(X)                       \
    X(session, client_id, STRING, 0)            \
    X(session, username, STRING, 0)             \
    X(session, auth_method, STRING, 0)          \
    X(session, session_expiry_time, U64, 0)     \
    X(session, will_delay_time, U64, 0)         \
    X(session, changed_time_ms, U64, 0)         \
    X(session, session_expiry_interval, U32, 0) \
    X(session, will_delay_interval, U32, 0)     \
    X(session, max_packet_size, U32, 0)         \
    X(session, listener_port, U16, 0)           \
    X(session, max_qos, U8, 0)                  \
    X(session, retain_available, BOOL, 0)       \
    X(session, connected, BOOL, 0)

#define CONNECTION_FIELDS(X)            \
    X(connection, client_id, STRING, 0) \
    X(connection, username, STRING, 0)  \
    X(connection, time_ms, U64, 0)      \
    X(connection, session_expiry_time, U64, 0)

#define CONNECTED_FIELDS(X) \
    CONNECTION_FIELDS(X)    \
    X(connection, listener_port, U16_OPTIONAL, 0)

#define SUBSCRIPTION_FIELDS(X)               \
    X(subscription, client_id, STRING, 0)    \
    X(subscription, topic_filter, STRING, 0) \
    X(subscription, identifier, U32, 0)      \
    X(subscription, options, U8, 0)

#define MESSAGE_FIELDS(X)                  \
    X(message, store_id, U64, 0)           \
    X(message, expiry_time, U64, 0)        \
    X(message, source_mid, U16, 0)         \
    X(message, source_port, U16, 0)        \
    X(message, qos, U8, 2)                 \
    X(message, retain, BOOL, 0)            \
    X(message, topic, STRING, 0)           \
    X(message, source_id, STRING, 0)       \
    X(message, source_username, STRING, 0) \
    X(message, properties, PROPERTIES, 0)  \
    X(message, payload, PAYLOAD, 0)

#define MESSAGE_DELETE_FIELDS(X) X(message, store_id, U64, 0)

#define QUEUED_FIELDS(X)                       \
    X(queued, cmsg_id, U64, 0)                 \
    X(queued, store_id, U64, 0)                \
    X(queued, subscription_identifier, U32, 0) \
    X(queued, mid, U16, 0)                     \
    X(queued, direction, U8, 1)                \
    X(queued, qos, U8, 2)                      \
    X(queued, state, U8, 0)                    \
    X(queued, dup, U8, 0)                      \
    X(queued, retain, BOOL, 0)                 \
    X(queued, client_id, STRING, 0)

#define RETAINED_FIELDS(X)        \
    X(retained, store_id, U64, 0) \
    X(retained, topic, STRING, 0)

#define WILL_FIELDS(X)                 \
    X(will, client_id, STRING, 0)      \
    X(will, topic, STRING, 0)          \
    X(will, username, STRING, 0)       \
    X(will, listener_port, U16, 0)     \
    X(will, qos, U8, 2)                \
    X(will, retain, BOOL, 0)           \
    X(will, properties, PROPERTIES, 0) \
    X(will, payload, PAYLOAD, 0)

#define LINK_FIELDS(X)            \
    X(link, previous_end, U64, 0) \
    X(link, previous_checksum, U64, 0)

#define NONE_FIELDS(X)

#define FIELD_ENTRY(member, name, kind, maximum) \
    {#name, FIELD_##kind, offsetof(struct event, member.name), maximum},
static const struct field session_fields[] = {SESSION_FIELDS(FIELD_ENTRY)};
static const struct field connection_fields[] = {CONNECTION_FIELDS(FIELD_ENTRY)};
static const struct field connected_fields[] = {CONNECTED_FIELDS(FIELD_ENTRY)};
static const struct field subscription_fields[] = {SUBSCRIPTION_FIELDS(FIELD_ENTRY)};
static const struct field message_fields[] = {MESSAGE_FIELDS(FIELD_ENTRY)};
static const struct field message_delete_fields[] = {MESSAGE_DELETE_FIELDS(FIELD_ENTRY)};
static const struct field queued_fields[] = {QUEUED_FIELDS(FIELD_ENTRY)};
static const struct field retained_fields[] = {RETAINED_FIELDS(FIELD_ENTRY)};
static const struct field will_fields[] = {WILL_FIELDS(FIELD_ENTRY)};
static const struct field link_fields[] = {LINK_FIELDS(FIELD_ENTRY)};
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
#define ENTRY(id, name, member, shape, promised, text) [id] = LAYOUT(shape##_fields),
    RECORD_TYPES(ENTRY)
#undef ENTRY
};

static bool type_is_known(unsigned type)
{
    return type < sizeof(layouts) / sizeof(layouts[0]) && layouts[type].fields != NULL;
}

// Of a known type.
static struct layout layout_of(unsigned type)
{
    if (layouts[type].fields == none_fields)
        return (struct layout){NULL, 0};
    return layouts[type];
}

bool record_promised(const struct event *event)
{
    if (SEEDED(PROMISE_FORGOTTEN) && event->type == RECORD_QUEUE_ADD)
        return false;
    static const bool promised_types[] = {
#define PROMISED(id, name, member, shape, promised, text) [id] = (promised),
        RECORD_TYPES(PROMISED)
#undef PROMISED
    };
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
        return promised_types[event->type];
    }
}

static uint32_t span_limit(enum field_kind kind)
{
    return kind == FIELD_STRING ? EVENT_STRING_MAX_BYTES : PROPERTIES_MAX_BYTES;
}

// Added to a size by a member that is too long, so that the sum needs one look.
#define TOO_LONG ((uint64_t)1 << 40)

static inline uint64_t span_size(const struct span *span, uint32_t limit)
{
    uint64_t bytes = span->data ? span->len : 0;
    return 4 + bytes + (bytes > limit ? TOO_LONG : 0);
}

static inline uint8_t *span_put(uint8_t *dst, const struct span *span)
{
    put_u32(dst, span->data ? span->len : ABSENT);
    dst += 4;
    if (span->data && span->len) {
        memcpy(dst, span->data, span->len);
        dst += span->len;
    }
    return dst;
}

#define SIZE_U8(at) 1
#define SIZE_BOOL(at) 1
#define SIZE_U16(at) 2
#define SIZE_U16_OPTIONAL(at) ((at) ? 2 : 0)
#define SIZE_U32(at) 4
#define SIZE_U64(at) 8
#define SIZE_STRING(at) span_size(&(at), EVENT_STRING_MAX_BYTES)
#define SIZE_PROPERTIES(at) span_size(&(at), PROPERTIES_MAX_BYTES)
#define SIZE_PAYLOAD(at) span_size(&(at), PROPERTIES_MAX_BYTES)
#define SIZE(member, name, kind, maximum) +SIZE_##kind(event->member.name)

#define PUT_U8(at) *dst++ = (at);
#define PUT_BOOL(at) *dst++ = (at) ? 1 : 0;
#define PUT_U16(at) put_u16(dst, (at)), dst += 2;
#define PUT_U16_OPTIONAL(at) \
    if (at) {                \
        PUT_U16(at)          \
    }
#define PUT_U32(at) put_u32(dst, (at)), dst += 4;
#define PUT_U64(at) put_u64(dst, (uint64_t)(at)), dst += 8;
#define PUT_STRING(at) dst = span_put(dst, &(at));
#define PUT_PROPERTIES(at) dst = span_put(dst, &(at));
#define PUT_PAYLOAD(at) dst = span_put(dst, &(at));
#define PUT(member, name, kind, maximum) PUT_##kind(event->member.name)

// X(shape of body, its list).
#define SHAPES(X)                            \
    X(session, SESSION_FIELDS)               \
    X(connection, CONNECTION_FIELDS)         \
    X(connected, CONNECTED_FIELDS)           \
    X(subscription, SUBSCRIPTION_FIELDS)     \
    X(message, MESSAGE_FIELDS)               \
    X(message_delete, MESSAGE_DELETE_FIELDS) \
    X(queued, QUEUED_FIELDS)                 \
    X(retained, RETAINED_FIELDS)             \
    X(will, WILL_FIELDS)                     \
    X(link, LINK_FIELDS)                     \
    X(none, NONE_FIELDS)

#define SHAPE_CODE(shape, LIST)                                             \
    static inline uint64_t shape##_size(const struct event *event)          \
    {                                                                       \
        (void)event;                                                        \
        return 0 LIST(SIZE);                                                \
    }                                                                       \
    static inline void shape##_put(const struct event *event, uint8_t *dst) \
    {                                                                       \
        (void)event;                                                        \
        LIST(PUT)                                                           \
        (void)dst;                                                          \
    }
SHAPES(SHAPE_CODE)

static int size_refuse(const struct event *event, uint64_t bytes, struct store_error *err)
{
    struct layout layout = layout_of(event->type);
    for (size_t i = 0; i < layout.count; i++) {
        const struct field *field = &layout.fields[i];
        const struct span *span = (const void *)((const char *)event + field->offset);
        if (field->kind >= FIELD_STRING && span->data && span->len > span_limit(field->kind))
            return error_set(err, STORE_ETOOBIG,
                             "%s: %s has %lu bytes, more than the %lu that MQTT allows",
                             record_type_name(event->type), field->name, (unsigned long)span->len,
                             (unsigned long)span_limit(field->kind));
    }
    return error_set(err, STORE_ETOOBIG, "%s: a record of %llu bytes is too large",
                     record_type_name(event->type), (unsigned long long)bytes);
}

int record_size(const struct event *event, size_t *ret_bytes, struct store_error *err)
{
    uint64_t bytes = 0;
    switch (event->type) {
#define CASE(id, name, member, shape, promised, text) \
    case id:                                          \
        bytes = shape##_size(event);                  \
        break;
        RECORD_TYPES(CASE)
#undef CASE
    default:
        return error_set(err, STORE_EINVAL, "record type %u is unknown", (unsigned)event->type);
    }
    if (bytes > RECORD_BODY_MAX_BYTES)
        return size_refuse(event, bytes, err);
    *ret_bytes = (size_t)bytes;
    return 0;
}

void record_encode(const struct event *event, uint8_t *dst)
{
    switch (event->type) {
#define CASE(id, name, member, shape, promised, text) \
    case id:                                          \
        shape##_put(event, dst);                      \
        break;
        RECORD_TYPES(CASE)
#undef CASE
    default:
        break; // record_size has refused it
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
    case FIELD_U16_OPTIONAL:
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
    case FIELD_U16_OPTIONAL:
        *(uint16_t *)dst = get_u16(at);
        return get_u16(at) ? 0 : field_damaged(type, field, "is 0 instead of absent", err);
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
        if (field->kind == FIELD_U16_OPTIONAL && len == 0)
            break;
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
