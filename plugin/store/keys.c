// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "keys.h"

#include "bytes.h"
#include "checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LONG_STRING_KEY_BYTES (1 + KEY_STRING_BYTES + KEY_HASH_BYTES)

_Static_assert(KEY_NUMBER_MAX_BYTES + LONG_STRING_KEY_BYTES <= KEY_MAX_BYTES,
               "LMDB takes every key");

const char *table_name(enum table table)
{
    static const char *const names[] = {
#define NAME(name, id, text, lost) [id] = (text),
        TABLES(NAME)
#undef NAME
    };
    return names[table];
}

const char *table_lost(enum table table)
{
    static const char *const lost_with[] = {
#define LOST(name, id, text, lost) [id] = (lost),
        TABLES(LOST)
#undef LOST
    };
    return lost_with[table];
}

static void key_append(struct key *key, const void *data, size_t len)
{
    if (len > 0)
        memcpy(key->bytes + key->len, data, len);
    key->len = (uint16_t)(key->len + len);
}

static void key_append_u64(struct key *key, uint64_t value)
{
    put_be64(key->bytes + key->len, value);
    key->len = (uint16_t)(key->len + 8);
}

// `tag` goes into the upper half of the byte in front.
static void key_append_number(struct key *key, uint8_t tag, uint64_t number)
{
    uint8_t bytes[8];
    unsigned skipped = 0;
    put_be64(bytes, number);
    while (skipped < 8 && bytes[skipped] == 0)
        skipped++;
    key->bytes[key->len++] = (uint8_t)((unsigned)tag << 4 | (8u - skipped));
    key_append(key, bytes + skipped, 8 - skipped);
}

// Takes the number off the front of the key. Only the form that key_append_number writes.
static bool key_take_number(struct span *key, uint8_t *ret_tag, uint64_t *ret_number)
{
    const uint8_t *bytes = key->data;
    uint64_t number = 0;
    unsigned len = key->len > 0 ? bytes[0] & 15u : 9;
    if (len > 8 || key->len < 1 + len || (len > 0 && bytes[1] == 0))
        return false;
    for (unsigned i = 1; i <= len; i++)
        number = number << 8 | bytes[i];
    *ret_tag = bytes[0] >> 4;
    *ret_number = number;
    *key = span_of(bytes + 1 + len, key->len - 1 - len);
    return true;
}

static void key_append_string(struct key *key, const uint8_t *secret, struct span string)
{
    key->bytes[key->len++] = KEY_STRING_TAG;
    if (!key_string_is_long(string)) {
        key_append(key, string.data, string.len);
        return;
    }
    key_append(key, string.data, KEY_STRING_BYTES);
    checksum_keyed128(secret, string.data, string.len, key->bytes + key->len);
    key->len = (uint16_t)(key->len + KEY_HASH_BYTES);
}

void key_of_name(struct key *key, const char *name)
{
    key->len = 0;
    key_append(key, name, strlen(name));
}

void key_of_string(struct key *key, const uint8_t *secret, struct span string)
{
    key->len = 0;
    key_append_string(key, secret, string);
}

void key_of_session(struct key *key, uint64_t session)
{
    key->len = 0;
    key_append_number(key, 0, session);
}

void key_of_subscription(struct key *key, const uint8_t *secret, uint64_t session,
                         struct span filter)
{
    key_of_session(key, session);
    key_append_string(key, secret, filter);
}

void key_of_message(struct key *key, uint64_t store_id)
{
    key->len = 0;
    key_append_u64(key, store_id);
}

void key_of_dictionary(struct key *key, uint16_t id)
{
    key->len = 2;
    key->bytes[0] = (uint8_t)(id >> 8);
    key->bytes[1] = (uint8_t)id;
}

void key_of_queued(struct key *key, uint64_t session, uint8_t direction, uint64_t cmsg_id)
{
    key_of_session(key, session);
    key_append_number(key, direction, cmsg_id);
}

enum key_kind key_read_string(struct span key, struct span *ret_string)
{
    const uint8_t *bytes = key.data;
    if (key.len < 1 || bytes[0] != KEY_STRING_TAG)
        return KEY_MALFORMED;
    if (key.len <= 1 + KEY_STRING_BYTES) {
        *ret_string = span_of(bytes + 1, key.len - 1u);
        return KEY_SHORT;
    }
    if (key.len != LONG_STRING_KEY_BYTES)
        return KEY_MALFORMED;
    *ret_string = span_of(bytes + 1, KEY_STRING_BYTES);
    return KEY_LONG;
}

bool key_read_message(struct span key, uint64_t *ret_store_id)
{
    if (key.len != 8)
        return false;
    *ret_store_id = get_be64(key.data);
    return true;
}

bool key_read_dictionary(struct span key, uint16_t *ret_id)
{
    const uint8_t *bytes = key.data;
    uint16_t id = (uint16_t)(key.len == 2 ? (unsigned)bytes[0] << 8 | bytes[1] : 0u);
    *ret_id = id;
    return id != 0;
}

bool key_read_queued(struct span key, uint64_t *ret_session, uint8_t *ret_direction,
                     uint64_t *ret_cmsg_id)
{
    uint8_t tag;
    uint8_t direction;
    uint64_t session;
    uint64_t cmsg_id;
    if (!key_take_number(&key, &tag, &session) || tag != 0 ||
        !key_take_number(&key, &direction, &cmsg_id) || direction > QUEUE_OUT || key.len > 0)
        return false;
    *ret_session = session;
    *ret_direction = direction;
    *ret_cmsg_id = cmsg_id;
    return true;
}

bool key_read_subscription(struct span key, uint64_t *ret_session, struct span *ret_string_key)
{
    uint8_t tag;
    uint64_t session;
    if (!key_take_number(&key, &tag, &session) || tag != 0 || key.len == 0)
        return false;
    *ret_session = session;
    *ret_string_key = key;
    return true;
}

static void text_of_string(struct span string, char *text, size_t size)
{
    const uint8_t *bytes = string.data;
    uint32_t shown = string.len < 64 ? string.len : 64;
    size_t used = 0;
    text[used++] = '"';
    for (uint32_t i = 0; i < shown; i++) {
        uint8_t c = bytes[i];
        if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
            used += (size_t)snprintf(text + used, size - used, "\\x%02x", c);
        else
            text[used++] = (char)c;
        if (used + 8 >= size)
            shown = i + 1;
    }
    snprintf(text + used, size - used, "%s\"", shown < string.len ? "..." : "");
}

static void text_of_bytes(struct span key, char *text, size_t size)
{
    const uint8_t *bytes = key.data;
    uint32_t shown = key.len < 32 ? key.len : 32;
    text[0] = '\0';
    for (uint32_t i = 0; i < shown; i++)
        snprintf(text + (size_t)i * 2, size - (size_t)i * 2, "%02x%s", bytes[i],
                 i + 1 == shown && shown < key.len ? "..." : "");
}

void key_text(enum table table, struct span key, char text[KEY_TEXT_BYTES])
{
    uint64_t number;
    uint64_t cmsg_id;
    uint16_t id;
    uint8_t direction;
    struct span string;
    int used = 0;

    switch (table) {
    case TABLE_META:
        text_of_string(key, text, KEY_TEXT_BYTES);
        return;
    case TABLE_MESSAGES:
        if (key_read_message(key, &number)) {
            snprintf(text, KEY_TEXT_BYTES, "%" PRIu64, number);
            return;
        }
        break;
    case TABLE_QUEUE:
        if (key_read_queued(key, &number, &direction, &cmsg_id)) {
            snprintf(text, KEY_TEXT_BYTES, "session %" PRIu64 " %s %" PRIu64, number,
                     direction == QUEUE_IN ? "in" : "out", cmsg_id);
            return;
        }
        break;
    case TABLE_SUBSCRIPTIONS: {
        struct span string_key;
        if (key_read_subscription(key, &number, &string_key) &&
            key_read_string(string_key, &string) != KEY_MALFORMED) {
            used = snprintf(text, KEY_TEXT_BYTES, "session %" PRIu64 " ", number);
            text_of_string(string, text + used, KEY_TEXT_BYTES - (size_t)used);
            return;
        }
        break;
    }
    case TABLE_SESSIONS:
    case TABLE_RETAINED:
    case TABLE_WILLS:
        if (key_read_string(key, &string) != KEY_MALFORMED) {
            text_of_string(string, text, KEY_TEXT_BYTES);
            return;
        }
        break;
    case TABLE_DICTIONARIES:
        if (key_read_dictionary(key, &id)) {
            snprintf(text, KEY_TEXT_BYTES, "%u", (unsigned)id);
            return;
        }
        break;
    }
    text_of_bytes(key, text, KEY_TEXT_BYTES);
}
