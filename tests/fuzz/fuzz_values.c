// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A value of a table: table (1 byte), length of the key (2), key, value without its checksum, which
// is put behind it here, so that what lies behind the checksum is looked at too. What decodes must
// encode to the same bytes.
#include "fuzz.h"
#include "store/payload.h"
#include "store/properties_wire.h"
#include "store/value_bytes.h"
#include "store/values.h"

#include <stdlib.h>
#include <string.h>

union decoded {
    struct session session;
    struct subscription subscription;
    struct stored_message message;
    struct queued queued;
    struct retained retained;
    struct will will;
    struct dictionary dictionary;
};

static void properties_read(struct span bytes)
{
    struct property property;
    uint32_t offset = 0;
    while (property_next(bytes, &offset, &property, NULL) > 0) {
        size_t size = 0;
        FUZZ_REQUIRE(property_size(&property, &size, NULL) == 0);
        uint8_t *encoded = malloc(size + 1);
        property_encode(&property, encoded);
        free(encoded);
    }
}

static void content_read(const struct stored_message *stored)
{
    static struct payload_decompressor *decompressor;
    struct message message = stored->message;
    struct span content;
    uint32_t bytes;
    if (!stored->compressed || !payload_frame_content_bytes(stored->content, &bytes) ||
        bytes > 1 << 24)
        return;
    if (!decompressor)
        decompressor = payload_decompressor_new();
    if (payload_decompress(decompressor, stored->content, stored->dictionary, &content, NULL))
        return;
    FUZZ_REQUIRE(content.len == bytes);
    value_content_decode(content, &message);
}

static const char *decode(enum table table, struct span key, struct span value, union decoded *ret)
{
    uint64_t session;
    switch (table) {
    case TABLE_SESSIONS:
        return value_session_decode(key, value, &ret->session);
    case TABLE_SUBSCRIPTIONS:
        return value_subscription_decode(key, value, &session, &ret->subscription);
    case TABLE_MESSAGES:
        return value_message_decode(key, value, &ret->message);
    case TABLE_QUEUE:
        return value_queued_decode(key, value, &session, &ret->queued);
    case TABLE_RETAINED:
        return value_retained_decode(key, value, &ret->retained);
    case TABLE_WILLS:
        return value_will_decode(key, value, &ret->will);
    case TABLE_DICTIONARIES:
        return value_dictionary_decode(key, value, &ret->dictionary);
    default:
        return "no such table";
    }
}

#define ENCODE(TABLE, name, member)                        \
    case TABLE:                                            \
        FUZZ_REQUIRE(value_##name##_bytes(member) == len); \
        value_##name##_encode(member, key, dst);           \
        break;

static void encode(enum table table, struct span key, const union decoded *decoded, size_t len,
                   uint8_t *dst)
{
    switch (table) {
        ENCODE(TABLE_SESSIONS, session, &decoded->session)
        ENCODE(TABLE_SUBSCRIPTIONS, subscription, &decoded->subscription)
        ENCODE(TABLE_MESSAGES, message, &decoded->message)
        ENCODE(TABLE_QUEUE, queued, &decoded->queued)
        ENCODE(TABLE_RETAINED, retained, &decoded->retained)
        ENCODE(TABLE_WILLS, will, &decoded->will)
        ENCODE(TABLE_DICTIONARIES, dictionary, &decoded->dictionary)
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    enum table table = (enum table)(fuzz_u8(&input) % TABLE_COUNT);
    struct span key = fuzz_bytes(&input, fuzz_u16(&input));
    char text[KEY_TEXT_BYTES];
    key_text(table, key, text);

    size_t len = input.left + value_checksum_bytes(table);
    uint8_t *value = malloc(len), *again = malloc(len);
    struct value_writer writer = {value, value};
    union decoded decoded;
    value_write_bytes(&writer, span_of(input.at, input.left));
    value_seal(&writer, table, key);
    if (!decode(table, key, span_of(value, len), &decoded)) {
        encode(table, key, &decoded, len, again);
        FUZZ_REQUIRE(memcmp(value, again, len) == 0);
        if (table == TABLE_MESSAGES) {
            content_read(&decoded.message);
            properties_read(decoded.message.message.properties);
        }
        if (table == TABLE_WILLS)
            properties_read(decoded.will.properties);
    }
    // And as it is, with a checksum that does not match.
    value[len - 1] ^= 1;
    FUZZ_REQUIRE(decode(table, key, span_of(value, len), &decoded) != NULL);
    free(again);
    free(value);
    return 0;
}
