// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "entries_read.h"

#include "base64.h"
#include "store/properties_wire.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

// A life's number has 24 bits above STORE_CMSG_LIFE_SHIFT; lives to come need some.
#define LIFE_MAX (UINT64_C(1) << 23)

enum field_kind {
    FIELD_STRING, // or null
    FIELD_BASE64, // or null
    FIELD_PROPERTIES,
    FIELD_ID,
    FIELD_BOOL,
    FIELD_TIME, // int64_t
    FIELD_U8,
    FIELD_U16,
    FIELD_U32,
    FIELD_QOS, // uint8_t up to 2
    FIELD_STATE,
    FIELD_DIRECTION,
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset; // in struct event
    bool needed;   // a string that must not be null
};

#define FIELD(member, name, kind)                                       \
    {                                                                   \
#name, FIELD_##kind, offsetof(struct event, member.name), false \
    }
#define NEEDED(member, name, kind)                                     \
    {                                                                  \
#name, FIELD_##kind, offsetof(struct event, member.name), true \
    }

static const struct field session_fields[] = {
    NEEDED(session, client_id, STRING),
    FIELD(session, username, STRING),
    FIELD(session, auth_method, STRING),
    FIELD(session, connected, BOOL),
    FIELD(session, session_expiry_interval, U32),
    FIELD(session, session_expiry_time, TIME),
    FIELD(session, will_delay_interval, U32),
    FIELD(session, will_delay_time, TIME),
    FIELD(session, listener_port, U16),
    FIELD(session, max_packet_size, U32),
    FIELD(session, max_qos, QOS),
    FIELD(session, retain_available, BOOL),
};

static const struct field subscription_fields[] = {
    NEEDED(subscription, client_id, STRING),
    NEEDED(subscription, topic_filter, STRING),
    FIELD(subscription, options, U8),
    FIELD(subscription, identifier, U32),
};

static const struct field message_fields[] = {
    FIELD(message, store_id, ID),
    NEEDED(message, topic, STRING),
    NEEDED(message, payload, BASE64),
    FIELD(message, source_id, STRING),
    FIELD(message, source_username, STRING),
    FIELD(message, source_mid, U16),
    FIELD(message, source_port, U16),
    FIELD(message, qos, QOS),
    FIELD(message, retain, BOOL),
    FIELD(message, expiry_time, TIME),
    FIELD(message, properties, PROPERTIES),
};

static const struct field queued_fields[] = {
    NEEDED(queued, client_id, STRING), FIELD(queued, direction, DIRECTION),
    FIELD(queued, cmsg_id, ID),        FIELD(queued, store_id, ID),
    FIELD(queued, mid, U16),           FIELD(queued, qos, QOS),
    FIELD(queued, retain, BOOL),       FIELD(queued, dup, BOOL),
    FIELD(queued, state, STATE),       FIELD(queued, subscription_identifier, U32),
};

static const struct field retained_fields[] = {
    NEEDED(retained, topic, STRING),
    FIELD(retained, store_id, ID),
};

static const struct field will_fields[] = {
    NEEDED(will, client_id, STRING), NEEDED(will, topic, STRING),
    NEEDED(will, payload, BASE64),   FIELD(will, qos, QOS),
    FIELD(will, retain, BOOL),       FIELD(will, properties, PROPERTIES),
};

struct layout {
    const char *name;
    const char *plural;
    enum record_type type;
    const struct field *fields;
    size_t count;
};

#define FIELDS(fields) fields, sizeof(fields) / sizeof((fields)[0])
static const struct layout layouts[] = {
    [ENTRY_STORE] = {"store", "stores", 0, NULL, 0},
    [ENTRY_SESSION] = {"session", "sessions", RECORD_SESSION_ADD, FIELDS(session_fields)},
    [ENTRY_SUBSCRIPTION] = {"subscription", "subscriptions", RECORD_SUBSCRIPTION_ADD,
                            FIELDS(subscription_fields)},
    [ENTRY_MESSAGE] = {"message", "messages", RECORD_MESSAGE_ADD, FIELDS(message_fields)},
    [ENTRY_QUEUED] = {"queued", "queued", RECORD_QUEUE_ADD, FIELDS(queued_fields)},
    [ENTRY_RETAINED] = {"retained", "retained", RECORD_RETAINED_SET, FIELDS(retained_fields)},
    [ENTRY_WILL] = {"will", "wills", RECORD_WILL_SET, FIELDS(will_fields)},
};

const char *entry_type_plural(enum entry_type type)
{
    return layouts[type].plural;
}

static struct text *buffer_new(struct entry_reader *reader)
{
    reader->buffers =
        xrealloc(reader->buffers, (reader->buffers_count + 1) * sizeof(*reader->buffers));
    reader->buffers[reader->buffers_count] = (struct text){0};
    return &reader->buffers[reader->buffers_count++];
}

static struct span span_of_text(const struct text *text)
{
    return span_of(text->data, text->len);
}

static bool read_base64(struct entry_reader *reader, const cJSON *item, struct span *ret_span)
{
    if (!cJSON_IsString(item))
        return false;
    // The buffer's bytes stay where they are when more buffers come.
    struct text *buffer = buffer_new(reader);
    if (!base64_decode(buffer, item->valuestring) || buffer->len > UINT32_MAX)
        return false;
    *ret_span = span_of_text(buffer);
    return true;
}

static bool read_string(struct entry_reader *reader, const cJSON *item, struct span *ret_span)
{
    if (cJSON_IsNull(item)) {
        *ret_span = (struct span){NULL, 0};
        return true;
    }
    if (cJSON_IsObject(item))
        return read_base64(reader, cJSON_GetObjectItemCaseSensitive(item, "base64"), ret_span);
    if (!cJSON_IsString(item))
        return false;
    *ret_span = span_str(item->valuestring);
    return true;
}

static bool read_id(const cJSON *item, uint64_t *ret_id)
{
    char *end = NULL;
    if (!cJSON_IsString(item) || !isdigit((unsigned char)item->valuestring[0]))
        return false;
    errno = 0;
    *ret_id = strtoull(item->valuestring, &end, 10);
    return errno == 0 && *end == '\0';
}

static bool read_integer(const cJSON *item, double least, double most, int64_t *ret_number)
{
    // NaN compares false.
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most))
        return false;
    double value = item->valuedouble;
    if (value != (double)(int64_t)value)
        return false;
    *ret_number = (int64_t)value;
    return true;
}

static bool read_property(struct entry_reader *reader, const cJSON *item,
                          struct property *ret_property)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "identifier"));
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, "value");
    struct property property = {.type = name ? property_type_by_name(name) : NULL};
    int64_t number = 0;
    if (!property.type || !value)
        return false;
    switch (property.type->kind) {
    case PROPERTY_PAIR:
        if (!read_string(reader, cJSON_GetObjectItemCaseSensitive(item, "name"), &property.name) ||
            !property.name.data || !read_string(reader, value, &property.value))
            return false;
        break;
    case PROPERTY_STRING:
        if (!read_string(reader, value, &property.value))
            return false;
        break;
    case PROPERTY_BINARY:
        if (!read_base64(reader, value, &property.value))
            return false;
        break;
    default:
        if (!read_integer(value, 0, UINT32_MAX, &number))
            return false;
        property.number = (uint32_t)number;
        *ret_property = property;
        return true;
    }
    *ret_property = property;
    return property.value.data != NULL;
}

static bool add_property(struct entry_reader *reader, const cJSON *item, struct text *wire)
{
    struct property property;
    struct span raw;
    size_t bytes;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "identifier"));
    if (name && strcmp(name, "raw") == 0) {
        if (!read_base64(reader, cJSON_GetObjectItemCaseSensitive(item, "value"), &raw))
            return false;
        text_add(wire, raw.data, raw.len);
        return true;
    }
    if (!read_property(reader, item, &property) || property_size(&property, &bytes, NULL))
        return false;
    property_encode(&property, (uint8_t *)text_room(wire, bytes));
    wire->len += bytes;
    return true;
}

// An empty list is what a message without properties has.
static bool read_properties(struct entry_reader *reader, const cJSON *list, struct span *ret_span)
{
    struct text wire = {0};
    const cJSON *item;
    bool good = cJSON_IsArray(list);
    cJSON_ArrayForEach(item, list)
    {
        good = good && add_property(reader, item, &wire);
    }
    *buffer_new(reader) = wire;
    *ret_span = wire.len ? span_of_text(&wire) : (struct span){NULL, 0};
    return good && wire.len <= UINT32_MAX;
}

static bool read_state(const cJSON *item, uint8_t *ret_state)
{
    int state = cJSON_IsString(item) ? queue_state_from_name(item->valuestring) : -1;
    *ret_state = (uint8_t)state;
    return state >= 0;
}

static bool read_direction(const cJSON *item, uint8_t *ret_direction)
{
    const char *word = cJSON_GetStringValue(item);
    if (!word || (strcmp(word, "in") != 0 && strcmp(word, "out") != 0))
        return false;
    *ret_direction = word[0] == 'i' ? QUEUE_IN : QUEUE_OUT;
    return true;
}

// Puts the item's value where the field lies.
static bool read_field(struct entry_reader *reader, const struct field *field, const cJSON *item,
                       void *at)
{
    static const double most[] = {[FIELD_U8] = UINT8_MAX,
                                  [FIELD_U16] = UINT16_MAX,
                                  [FIELD_U32] = UINT32_MAX,
                                  [FIELD_QOS] = 2};
    int64_t number = 0;
    switch (field->kind) {
    case FIELD_STRING:
        return read_string(reader, item, at) && (!field->needed || ((struct span *)at)->data);
    case FIELD_BASE64:
        return read_base64(reader, item, at);
    case FIELD_PROPERTIES:
        return read_properties(reader, item, at);
    case FIELD_ID:
        return read_id(item, at);
    case FIELD_STATE:
        return read_state(item, at);
    case FIELD_DIRECTION:
        return read_direction(item, at);
    case FIELD_BOOL:
        *(bool *)at = cJSON_IsTrue(item);
        return cJSON_IsBool(item);
    case FIELD_TIME:
        return read_integer(item, -9007199254740992.0, 9007199254740992.0, at);
    default:
        break;
    }
    if (!read_integer(item, 0, most[field->kind], &number))
        return false;
    if (field->kind == FIELD_U16)
        *(uint16_t *)at = (uint16_t)number;
    else if (field->kind == FIELD_U32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(uint8_t *)at = (uint8_t)number;
    return true;
}

static int read_store(const cJSON *line, struct store_error *err)
{
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(line, "format");
    if (!cJSON_IsNumber(format) || format->valuedouble != JSON_FORMAT_VERSION)
        return error_set(err, STORE_EVERSION,
                         "the lines have another format than %d, the one this program knows",
                         JSON_FORMAT_VERSION);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "redacted")))
        return error_set(err, STORE_EINVAL,
                         "this export was made with --redact: payloads are not in it");
    return 0;
}

static int type_find(const cJSON *line, enum entry_type *ret_type, struct store_error *err)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "type"));
    for (unsigned type = 0; name && type < ENTRY_TYPES; type++) {
        if (strcmp(name, layouts[type].name) == 0) {
            *ret_type = (enum entry_type)type;
            return 0;
        }
    }
    return error_set(err, STORE_EINVAL, "no \"type\" that export writes");
}

int entry_read(struct entry_reader *reader, const char *line, size_t len, enum entry_type *ret_type,
               struct event *ret_event, struct store_error *err)
{
    entry_reader_release(reader);
    reader->line = cJSON_ParseWithLength(line, len);
    if (!cJSON_IsObject(reader->line))
        return error_set(err, STORE_EINVAL, "not a JSON object");
    int rc = type_find(reader->line, ret_type, err);
    if (rc)
        return rc;
    if (*ret_type == ENTRY_STORE)
        return read_store(reader->line, err);

    const struct layout *layout = &layouts[*ret_type];
    *ret_event = (struct event){.type = layout->type};
    for (size_t i = 0; i < layout->count; i++) {
        const struct field *field = &layout->fields[i];
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(reader->line, field->name);
        if (!item)
            return error_set(err, STORE_EINVAL, "%s: \"%s\" is missing", layout->name, field->name);
        if (!read_field(reader, field, item, (char *)ret_event + field->offset))
            return error_set(err, STORE_EINVAL, "%s: \"%s\" holds what it must not", layout->name,
                             field->name);
    }
    if (*ret_type == ENTRY_QUEUED && ret_event->queued.cmsg_id >> STORE_CMSG_LIFE_SHIFT >= LIFE_MAX)
        return error_set(err, STORE_EINVAL,
                         "queued: \"cmsg_id\" is larger than any store makes it");
    return 0;
}

void entry_reader_release(struct entry_reader *reader)
{
    for (size_t i = 0; i < reader->buffers_count; i++)
        text_release(&reader->buffers[i]);
    free(reader->buffers);
    cJSON_Delete(reader->line);
    *reader = (struct entry_reader){0};
}
