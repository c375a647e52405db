// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "properties.h"

#include "store/properties_wire.h"
#include "text.h"

#include <stdlib.h>

static int property_from_broker(const mosquitto_property *from, struct property *ret_property,
                                struct store_error *err)
{
    int identifier = mosquitto_property_identifier(from);
    struct property property = {.type = property_type_by_id((unsigned)identifier)};
    if (!property.type)
        return error_set(err, STORE_EINVAL, "property %d is not one of MQTT 5", identifier);
    switch (property.type->kind) {
    case PROPERTY_BYTE:
        property.number = mosquitto_property_byte_value(from);
        break;
    case PROPERTY_U16:
        property.number = mosquitto_property_int16_value(from);
        break;
    case PROPERTY_U32:
        property.number = mosquitto_property_int32_value(from);
        break;
    case PROPERTY_VARINT:
        property.number = mosquitto_property_varint_value(from);
        break;
    case PROPERTY_BINARY:
        property.value = span_of(mosquitto_property_binary_value(from),
                                 mosquitto_property_binary_value_length(from));
        break;
    case PROPERTY_PAIR:
        property.name = span_of(mosquitto_property_string_name(from),
                                mosquitto_property_string_name_length(from));
        property.value = span_of(mosquitto_property_string_value(from),
                                 mosquitto_property_string_value_length(from));
        break;
    case PROPERTY_STRING:
        property.value = span_of(mosquitto_property_string_value(from),
                                 mosquitto_property_string_value_length(from));
        break;
    }
    *ret_property = property;
    return 0;
}

static int buffer_reserve(struct properties_buffer *buffer, size_t bytes, struct store_error *err)
{
    if (bytes <= buffer->capacity)
        return 0;
    size_t capacity = bytes < 256 ? 256 : bytes;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return error_set(err, STORE_ENOMEM, "out of memory for %zu bytes of properties", bytes);
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

int properties_encode(struct properties_buffer *buffer, const mosquitto_property *list,
                      struct span *ret_wire, struct store_error *err)
{
    struct property property;
    size_t total = 0, bytes = 0;
    int rc;

    for (const mosquitto_property *at = list; at; at = mosquitto_property_next(at)) {
        if ((rc = property_from_broker(at, &property, err)) ||
            (rc = property_size(&property, &bytes, err)))
            return rc;
        total += bytes;
    }
    if (!total) {
        *ret_wire = (struct span){0};
        return 0;
    }
    if ((rc = buffer_reserve(buffer, total, err)))
        return rc;
    uint8_t *dst = buffer->data;
    for (const mosquitto_property *at = list; at; at = mosquitto_property_next(at)) {
        if ((rc = property_from_broker(at, &property, err)) ||
            (rc = property_size(&property, &bytes, err)))
            return rc;
        property_encode(&property, dst);
        dst += bytes;
    }
    *ret_wire = span_of(buffer->data, total);
    return 0;
}

void properties_buffer_release(struct properties_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct properties_buffer){0};
}

// The broker's strings end at a zero byte: what is behind one would be lost without a word.
static bool string_is_whole(struct span span)
{
    return span.len == 0 || !memchr(span.data, '\0', span.len);
}

// Adds the property behind `tail`, the last of a list.
static int property_add(mosquitto_property **tail, const struct property *property,
                        struct text *name, struct text *value)
{
    int id = property->type->identifier;
    const char *text = "", *name_text = "";
    if (property->type->kind == PROPERTY_STRING || property->type->kind == PROPERTY_PAIR)
        text = text_set(value, property->value);
    if (property->type->kind == PROPERTY_PAIR)
        name_text = text_set(name, property->name);
    if (!text || !name_text)
        return MOSQ_ERR_NOMEM;
    if (property->type->kind != PROPERTY_BINARY &&
        (!string_is_whole(property->name) || !string_is_whole(property->value)))
        return MOSQ_ERR_MALFORMED_UTF8;
    switch (property->type->kind) {
    case PROPERTY_BYTE:
        return mosquitto_property_add_byte(tail, id, (uint8_t)property->number);
    case PROPERTY_U16:
        return mosquitto_property_add_int16(tail, id, (uint16_t)property->number);
    case PROPERTY_U32:
        return mosquitto_property_add_int32(tail, id, property->number);
    case PROPERTY_VARINT:
        return mosquitto_property_add_varint(tail, id, property->number);
    case PROPERTY_BINARY:
        return mosquitto_property_add_binary(tail, id, property->value.data,
                                             (uint16_t)property->value.len);
    case PROPERTY_STRING:
        return mosquitto_property_add_string(tail, id, text);
    case PROPERTY_PAIR:
        return mosquitto_property_add_string_pair(tail, id, name_text, text);
    }
    return MOSQ_ERR_INVAL;
}

int properties_decode(struct span wire, mosquitto_property **ret_list, struct store_error *err)
{
    // The broker looks for a list's end from the property it is given: handing it the last one
    // keeps a message with a hundred thousand properties from taking hours.
    mosquitto_property *list = NULL, *tail = NULL;
    struct text name = {0}, value = {0};
    struct property property;
    uint32_t offset = 0;
    int rc;

    while ((rc = property_next(wire, &offset, &property, err)) == 1) {
        int added = property_add(&tail, &property, &name, &value);
        if (added) {
            rc = error_set(err, added == MOSQ_ERR_NOMEM ? STORE_ENOMEM : STORE_EDAMAGED,
                           "property %s before offset %lu: %s", property.type->name,
                           (unsigned long)offset, mosquitto_strerror(added));
            break;
        }
        if (!list)
            list = tail;
        else
            tail = mosquitto_property_next(tail);
    }
    text_release(&name);
    text_release(&value);
    if (rc) {
        mosquitto_property_free_all(&list);
        return rc;
    }
    *ret_list = list;
    return 0;
}
