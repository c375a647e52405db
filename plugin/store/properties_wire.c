// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "properties_wire.h"

static const struct property_type types[] = {
#define ENTRY(identifier, name, kind) {identifier, kind, name},
    PROPERTY_TYPES(ENTRY)
#undef ENTRY
};

const struct property_type *property_type_by_id(unsigned identifier)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (types[i].identifier == identifier)
            return &types[i];
    }
    return NULL;
}

const struct property_type *property_type_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    }
    return NULL;
}

// A place in the bytes that never passes their end.
struct reader {
    const uint8_t *data;
    uint32_t len;
    uint32_t at;
};

static bool read_big_endian(struct reader *reader, unsigned bytes, uint32_t *ret_number)
{
    uint32_t number = 0;
    if (reader->len - reader->at < bytes)
        return false;
    for (unsigned i = 0; i < bytes; i++)
        number = number << 8 | reader->data[reader->at++];
    *ret_number = number;
    return true;
}

static bool read_varint(struct reader *reader, uint32_t *ret_number)
{
    uint32_t number = 0;
    for (unsigned shift = 0; shift <= 21; shift += 7) {
        if (reader->at == reader->len)
            return false;
        uint8_t byte = reader->data[reader->at++];
        number |= (uint32_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

static bool read_string(struct reader *reader, struct span *ret_span)
{
    uint32_t len = 0;
    if (!read_big_endian(reader, 2, &len) || reader->len - reader->at < len)
        return false;
    *ret_span = (struct span){reader->data + reader->at, len};
    reader->at += len;
    return true;
}

static bool read_value(struct reader *reader, struct property *property)
{
    switch (property->type->kind) {
    case PROPERTY_BYTE:
        return read_big_endian(reader, 1, &property->number);
    case PROPERTY_U16:
        return read_big_endian(reader, 2, &property->number);
    case PROPERTY_U32:
        return read_big_endian(reader, 4, &property->number);
    case PROPERTY_VARINT:
        return read_varint(reader, &property->number);
    case PROPERTY_BINARY:
    case PROPERTY_STRING:
        return read_string(reader, &property->value);
    case PROPERTY_PAIR:
    default: // there are no others
        return read_string(reader, &property->name) && read_string(reader, &property->value);
    }
}

int property_next(struct span bytes, uint32_t *offset, struct property *ret_property,
                  struct store_error *err)
{
    struct reader reader = {bytes.data, bytes.len, *offset};
    struct property property = {0};
    uint32_t identifier = 0;
    if (reader.at >= reader.len)
        return 0;
    if (!read_varint(&reader, &identifier) || !(property.type = property_type_by_id(identifier)))
        return error_set(err, STORE_EDAMAGED, "properties: no property begins at byte %u of %u",
                         *offset, bytes.len);
    if (!read_value(&reader, &property))
        return error_set(err, STORE_EDAMAGED, "properties: %s at byte %u does not end before %u",
                         property.type->name, *offset, bytes.len);
    *offset = reader.at;
    *ret_property = property;
    return 1;
}

static size_t varint_size(uint32_t number)
{
    return number < 128 ? 1 : number < 16384 ? 2 : number < 2097152 ? 3 : 4;
}

int property_size(const struct property *property, size_t *ret_bytes, struct store_error *err)
{
    static const uint32_t most[] = {
        [PROPERTY_BYTE] = UINT8_MAX,
        [PROPERTY_U16] = UINT16_MAX,
        [PROPERTY_U32] = UINT32_MAX,
        [PROPERTY_VARINT] = PROPERTY_VARINT_MAX,
    };
    enum property_kind kind = property->type->kind;
    bool fits = true;
    // Every identifier is below 128: one byte.
    switch (kind) {
    case PROPERTY_BYTE:
        *ret_bytes = 2;
        break;
    case PROPERTY_U16:
        *ret_bytes = 3;
        break;
    case PROPERTY_U32:
        *ret_bytes = 5;
        break;
    case PROPERTY_VARINT:
        *ret_bytes = 1 + varint_size(property->number);
        break;
    case PROPERTY_PAIR:
    case PROPERTY_BINARY:
    case PROPERTY_STRING:
    default:
        fits = property->value.len <= UINT16_MAX && property->name.len <= UINT16_MAX;
        *ret_bytes = 1 + 2 + (size_t)property->value.len;
        if (kind == PROPERTY_PAIR)
            *ret_bytes += 2 + (size_t)property->name.len;
        break;
    }
    if (kind <= PROPERTY_VARINT)
        fits = property->number <= most[kind];
    return fits ? 0
                : error_set(err, STORE_EINVAL, "the value of property %s is out of range",
                            property->type->name);
}

static uint8_t *write_big_endian(uint8_t *dst, unsigned bytes, uint32_t number)
{
    for (unsigned i = 0; i < bytes; i++)
        *dst++ = (uint8_t)(number >> 8 * (bytes - 1 - i));
    return dst;
}

static uint8_t *write_varint(uint8_t *dst, uint32_t number)
{
    for (; number >= 0x80; number >>= 7)
        *dst++ = (uint8_t)(number | 0x80);
    *dst++ = (uint8_t)number;
    return dst;
}

static uint8_t *write_string(uint8_t *dst, struct span span)
{
    dst = write_big_endian(dst, 2, span.len);
    if (span.len)
        memcpy(dst, span.data, span.len);
    return dst + span.len;
}

void property_encode(const struct property *property, uint8_t *dst)
{
    *dst++ = property->type->identifier;
    switch (property->type->kind) {
    case PROPERTY_BYTE:
        write_big_endian(dst, 1, property->number);
        break;
    case PROPERTY_U16:
        write_big_endian(dst, 2, property->number);
        break;
    case PROPERTY_U32:
        write_big_endian(dst, 4, property->number);
        break;
    case PROPERTY_VARINT:
        write_varint(dst, property->number);
        break;
    case PROPERTY_PAIR:
        dst = write_string(dst, property->name);
        write_string(dst, property->value);
        break;
    case PROPERTY_BINARY:
    case PROPERTY_STRING:
    default:
        write_string(dst, property->value);
        break;
    }
}
