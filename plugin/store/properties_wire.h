// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// MQTT 5 properties as bytes (section 2.2.2), without the length in front: reading them one by one
// and writing them. Pure functions over bytes; nothing is allocated.
#ifndef STORE_PROPERTIES_WIRE_H
#define STORE_PROPERTIES_WIRE_H

#include "error.h"
#include "event.h"

enum property_kind {
    PROPERTY_BYTE,
    PROPERTY_U16,
    PROPERTY_U32,
    PROPERTY_VARINT,
    PROPERTY_BINARY,
    PROPERTY_STRING,
    PROPERTY_PAIR,
};

// X(identifier, name, kind): section 2.2.2.2, names as Mosquitto's tools write them.
#define PROPERTY_TYPES(X)                                     \
    X(1, "payload-format-indicator", PROPERTY_BYTE)           \
    X(2, "message-expiry-interval", PROPERTY_U32)             \
    X(3, "content-type", PROPERTY_STRING)                     \
    X(8, "response-topic", PROPERTY_STRING)                   \
    X(9, "correlation-data", PROPERTY_BINARY)                 \
    X(11, "subscription-identifier", PROPERTY_VARINT)         \
    X(17, "session-expiry-interval", PROPERTY_U32)            \
    X(18, "assigned-client-identifier", PROPERTY_STRING)      \
    X(19, "server-keep-alive", PROPERTY_U16)                  \
    X(21, "authentication-method", PROPERTY_STRING)           \
    X(22, "authentication-data", PROPERTY_BINARY)             \
    X(23, "request-problem-information", PROPERTY_BYTE)       \
    X(24, "will-delay-interval", PROPERTY_U32)                \
    X(25, "request-response-information", PROPERTY_BYTE)      \
    X(26, "response-information", PROPERTY_STRING)            \
    X(28, "server-reference", PROPERTY_STRING)                \
    X(31, "reason-string", PROPERTY_STRING)                   \
    X(33, "receive-maximum", PROPERTY_U16)                    \
    X(34, "topic-alias-maximum", PROPERTY_U16)                \
    X(35, "topic-alias", PROPERTY_U16)                        \
    X(36, "maximum-qos", PROPERTY_BYTE)                       \
    X(37, "retain-available", PROPERTY_BYTE)                  \
    X(38, "user-property", PROPERTY_PAIR)                     \
    X(39, "maximum-packet-size", PROPERTY_U32)                \
    X(40, "wildcard-subscription-available", PROPERTY_BYTE)   \
    X(41, "subscription-identifier-available", PROPERTY_BYTE) \
    X(42, "shared-subscription-available", PROPERTY_BYTE)

#define PROPERTY_VARINT_MAX 268435455u

struct property_type {
    uint8_t identifier;
    enum property_kind kind;
    const char *name;
};

// NULL if there is none.
const struct property_type *property_type_by_id(unsigned identifier);
const struct property_type *property_type_by_name(const char *name);

struct property {
    const struct property_type *type;
    uint32_t number;   // of the numeric kinds
    struct span name;  // of a pair; points into the bytes it was read from
    struct span value; // of binary, string and pair
};

// Reads the property at *offset and moves it behind. 1: there was one, 0: the end,
// STORE_EDAMAGED: what lies there is not a property; the sentence names the offset.
int property_next(struct span bytes, uint32_t *offset, struct property *ret_property,
                  struct store_error *err);

// Bytes that property_encode writes. STORE_EINVAL if the value does not fit its kind.
int property_size(const struct property *property, size_t *ret_bytes, struct store_error *err);

// Writes exactly property_size() bytes at `dst`. Cannot fail.
void property_encode(const struct property *property, uint8_t *dst);

#endif
