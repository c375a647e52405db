// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Messages, their contents, and the dictionaries that contents are compressed with.
#include "values.h"

#include "payload.h"
#include "record.h"
#include "value_bytes.h"

enum message_flags {
    MESSAGE_QOS = 3,
    MESSAGE_RETAIN = 4,
    MESSAGE_COMPRESSED = 8,
    MESSAGE_HAS_EXPIRY = 16,
    MESSAGE_HAS_DICTIONARY = 32,
    MESSAGE_FLAGS_KNOWN = 63,
};

// The first byte of a content.
enum content_has {
    CONTENT_HAS_TOPIC = 1,
    CONTENT_HAS_SOURCE_ID = 2,
    CONTENT_HAS_USERNAME = 4,
    CONTENT_HAS_PROPERTIES = 8,
    CONTENT_HAS_PAYLOAD = 16,
    CONTENT_HAS_KNOWN = 31,
};

#define MESSAGE_FIXED_BYTES 4u
#define CONTENT_FIXED_BYTES 3u

size_t value_content_bytes(const struct message *message)
{
    return CONTENT_FIXED_BYTES + value_string16_bytes(message->topic) +
           value_string16_bytes(message->source_id) +
           value_string16_bytes(message->source_username) +
           value_string32_bytes(message->properties) + message->payload.len;
}

static void content_write(struct value_writer *writer, const struct message *message)
{
    value_write_u8(writer, (uint8_t)((message->topic.data ? CONTENT_HAS_TOPIC : 0) |
                                     (message->source_id.data ? CONTENT_HAS_SOURCE_ID : 0) |
                                     (message->source_username.data ? CONTENT_HAS_USERNAME : 0) |
                                     (message->properties.data ? CONTENT_HAS_PROPERTIES : 0) |
                                     (message->payload.data ? CONTENT_HAS_PAYLOAD : 0)));
    value_write_u16(writer, message->source_port);
    value_write_optional16(writer, message->source_id);
    value_write_optional16(writer, message->source_username);
    value_write_optional16(writer, message->topic);
    value_write_optional32(writer, message->properties);
    value_write_bytes(writer, message->payload);
}

void value_content_encode(const struct message *message, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    content_write(&writer, message);
}

const char *value_content_decode(struct span content, struct message *message)
{
    struct value_reader reader = {content.data, content.len, false};
    uint8_t has = value_read_u8(&reader);
    message->source_port = value_read_u16(&reader);
    message->source_id = value_read_optional16(&reader, has & CONTENT_HAS_SOURCE_ID);
    message->source_username = value_read_optional16(&reader, has & CONTENT_HAS_USERNAME);
    message->topic = value_read_optional16(&reader, has & CONTENT_HAS_TOPIC);
    message->properties = value_read_optional32(&reader, has & CONTENT_HAS_PROPERTIES);
    message->payload = (struct span){NULL, 0};
    if (has & CONTENT_HAS_PAYLOAD)
        message->payload = value_read_rest(&reader);
    if ((has & ~CONTENT_HAS_KNOWN) != 0)
        return "unknown flags";
    return value_close(&reader);
}

size_t value_message_bytes(const struct stored_message *stored)
{
    return MESSAGE_FIXED_BYTES + (stored->message.expiry_time ? 8u : 0u) +
           (stored->dictionary ? 2u : 0u) +
           (stored->compressed ? stored->content.len : value_content_bytes(&stored->message)) +
           VALUE_CHECKSUM_BYTES;
}

void value_message_encode(const struct stored_message *stored, struct span key, uint8_t *dst)
{
    const struct message *message = &stored->message;
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u8(&writer,
                   (uint8_t)((message->qos & MESSAGE_QOS) | (message->retain ? MESSAGE_RETAIN : 0) |
                             (stored->compressed ? MESSAGE_COMPRESSED : 0) |
                             (message->expiry_time ? MESSAGE_HAS_EXPIRY : 0) |
                             (stored->dictionary ? MESSAGE_HAS_DICTIONARY : 0)));
    value_write_u16(&writer, message->source_mid);
    if (message->expiry_time)
        value_write_u64(&writer, (uint64_t)message->expiry_time);
    if (stored->dictionary)
        value_write_u16(&writer, stored->dictionary);
    if (stored->compressed)
        value_write_bytes(&writer, stored->content);
    else
        content_write(&writer, message);
    value_seal(&writer, TABLE_MESSAGES, key);
}

static const char *message_decode(struct value_reader *reader, struct span key,
                                  struct stored_message *ret_stored)
{
    struct stored_message stored = {0};
    struct message *message = &stored.message;
    if (!key_read_message(key, &message->store_id))
        return "the key is malformed";
    uint8_t flags = value_read_u8(reader);
    message->qos = flags & MESSAGE_QOS;
    message->retain = flags & MESSAGE_RETAIN;
    stored.compressed = flags & MESSAGE_COMPRESSED;
    message->source_mid = value_read_u16(reader);
    if (flags & MESSAGE_HAS_EXPIRY)
        message->expiry_time = (int64_t)value_read_u64(reader);
    if (flags & MESSAGE_HAS_DICTIONARY)
        stored.dictionary = value_read_u16(reader);
    stored.content = value_read_rest(reader);
    if ((flags & ~MESSAGE_FLAGS_KNOWN) != 0)
        return "unknown flags";
    const char *why = value_close(reader);
    if (why)
        return why;
    bool named = (flags & MESSAGE_HAS_DICTIONARY) != 0;
    if (message->qos > 2 || named != (stored.dictionary != 0) || (named && !stored.compressed) ||
        ((flags & MESSAGE_HAS_EXPIRY) && !message->expiry_time))
        return "a field is out of range";
    *ret_stored = stored;
    return NULL;
}

const char *value_message_decode(struct span key, struct span value,
                                 struct stored_message *ret_stored)
{
    struct value_reader reader;
    const char *why = value_open(&reader, TABLE_MESSAGES, key, value);
    if (!why)
        why = message_decode(&reader, key, ret_stored);
    if (!why && !ret_stored->compressed)
        why = value_content_decode(ret_stored->content, &ret_stored->message);
    return why;
}

const char *value_message_decode_head(struct span key, struct span value,
                                      struct stored_message *ret_stored)
{
    struct value_reader reader;
    const char *why = value_open_unchecked(&reader, TABLE_MESSAGES, value);
    return why ? why : message_decode(&reader, key, ret_stored);
}

#define DICTIONARY_FIXED_BYTES 37u

size_t value_dictionary_bytes(const struct dictionary *dictionary)
{
    return DICTIONARY_FIXED_BYTES + dictionary->bytes.len + VALUE_CHECKSUM_BYTES;
}

void value_dictionary_encode(const struct dictionary *dictionary, struct span key, uint8_t *dst)
{
    struct value_writer writer = {dst, dst};
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u64(&writer, (uint64_t)dictionary->trained_ms);
    value_write_u32(&writer, dictionary->samples);
    value_write_u64(&writer, dictionary->trial_bytes);
    value_write_u64(&writer, dictionary->before_bytes);
    value_write_u64(&writer, dictionary->after_bytes);
    value_write_bytes(&writer, dictionary->bytes);
    value_seal(&writer, TABLE_DICTIONARIES, key);
}

const char *value_dictionary_decode(struct span key, struct span value,
                                    struct dictionary *ret_dictionary)
{
    struct value_reader reader;
    struct dictionary dictionary = {0};
    const char *why = value_open(&reader, TABLE_DICTIONARIES, key, value);
    if (why)
        return why;
    if (!key_read_dictionary(key, &dictionary.id))
        return "the key is malformed";
    dictionary.trained_ms = (int64_t)value_read_u64(&reader);
    dictionary.samples = value_read_u32(&reader);
    dictionary.trial_bytes = value_read_u64(&reader);
    dictionary.before_bytes = value_read_u64(&reader);
    dictionary.after_bytes = value_read_u64(&reader);
    dictionary.bytes = value_read_rest(&reader);
    why = value_close(&reader);
    if (why)
        return why;
    if (dictionary.bytes.len > DICTIONARY_MAX_BYTES || !payload_is_dictionary(dictionary.bytes))
        return "it is not a dictionary";
    *ret_dictionary = dictionary;
    return NULL;
}
