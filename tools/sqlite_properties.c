// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "sqlite_properties.h"

#include "store/properties_wire.h"

#include <cJSON.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_decode(struct text *bytes, const char *hex)
{
    size_t len = strlen(hex);
    if (len % 2)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = hex_value(hex[i]);
        int low = hex_value(hex[i + 1]);
        if (high < 0 || low < 0)
            return false;
        text_addc(bytes, (char)(high << 4 | low));
    }
    return true;
}

static bool read_number(const cJSON *value, uint32_t *ret_number)
{
    double number = cJSON_IsNumber(value) ? value->valuedouble : -1;
    if (!(number >= 0 && number <= UINT32_MAX) || number != (double)(uint32_t)number)
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

// The property's spans point into the JSON and `binary`.
static bool read_value(const cJSON *item, struct property *property, struct text *binary)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
    const char *string = cJSON_GetStringValue(value);
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
    switch (property->type->kind) {
    case PROPERTY_PAIR:
        property->name = span_str(name);
        property->value = span_str(string);
        return name && string;
    case PROPERTY_STRING:
        property->value = span_str(string);
        return string;
    case PROPERTY_BINARY:
        if (!string || !hex_decode(binary, string))
            return false;
        property->value = span_of(binary->data ? binary->data : "", binary->len);
        return true;
    default:
        return read_number(value, &property->number);
    }
}

static const char *read_one(struct text *wire, const cJSON *item)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "identifier"));
    struct property property = {.type = name ? property_type_by_name(name) : NULL};
    struct text binary = {0};
    const char *why = NULL;
    size_t bytes;
    if (!property.type) {
        why = "one of its properties has no name that MQTT 5 knows";
    } else if (!read_value(item, &property, &binary) || property_size(&property, &bytes, NULL)) {
        why = "one of its properties has no value, or one that MQTT 5 does not allow";
    } else {
        property_encode(&property, (uint8_t *)text_room(wire, bytes));
        wire->len += bytes;
    }
    text_release(&binary);
    return why;
}

const char *sqlite_properties_read(struct text *wire, const char *json, size_t len)
{
    cJSON *list = cJSON_ParseWithLength(json, len);
    const char *first = cJSON_IsArray(list) ? NULL : "its properties are not a JSON list";
    const cJSON *item;
    if (!first) {
        cJSON_ArrayForEach(item, list)
        {
            const char *why = read_one(wire, item);
            first = first ? first : why;
        }
    }
    cJSON_Delete(list);
    return first;
}
