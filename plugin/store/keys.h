// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The keys of the tables as bytes. Pure functions, no LMDB.
//
// LMDB's keys end at 511 bytes, MQTT's strings at 65,535. A string of up to 480 bytes is its own
// key, behind one tag byte; a longer one is its first 480 bytes and a 128-bit hash keyed with the
// store's secret, and the whole string lies in the value. The two cannot meet: a long key has 497
// bytes, a short one at most 481. Keys sort as the strings do, long ones by their first bytes.
//
// Numbers of which there may be millions are written in as few bytes as they need, behind their
// number: such keys sort as the numbers do, and none begins another.
#ifndef STORE_KEYS_H
#define STORE_KEYS_H

#include "event.h"

// X(name, id, name in LMDB, what is lost with a value). The ids go into checksums: never reused.
#define TABLES(X)                                                           \
    X(TABLE_META, 0, "meta", "the store cannot be used without it")         \
    X(TABLE_SESSIONS, 1, "sessions", "this session is lost")                \
    X(TABLE_SUBSCRIPTIONS, 2, "subscriptions", "this subscription is lost") \
    X(TABLE_MESSAGES, 3, "messages", "this message is lost")                \
    X(TABLE_QUEUE, 4, "queue", "this queued message is lost")               \
    X(TABLE_RETAINED, 5, "retained", "this retained message is lost")       \
    X(TABLE_WILLS, 6, "wills", "this will is lost")                         \
    X(TABLE_DICTIONARIES, 7, "dictionaries", "messages that need this dictionary are lost")

#define TABLE_ENUM(name, id, text, lost) name = id,
enum table { TABLES(TABLE_ENUM) };
#undef TABLE_ENUM
#define TABLE_COUNT 8

const char *table_name(enum table table);
const char *table_lost(enum table table);

#define KEY_MAX_BYTES 511
#define KEY_STRING_TAG 1
#define KEY_STRING_BYTES 480u // the longest string that is its own key
#define KEY_HASH_BYTES 16u
#define KEY_SECRET_BYTES 32u
#define KEY_NUMBER_MAX_BYTES 9u

struct key {
    uint16_t len;
    uint8_t bytes[KEY_MAX_BYTES];
};

static inline struct span key_span(const struct key *key)
{
    return span_of(key->bytes, key->len);
}

void key_of_name(struct key *key, const char *name);
void key_of_string(struct key *key, const uint8_t *secret, struct span string);
void key_of_subscription(struct key *key, const uint8_t *secret, uint64_t session,
                         struct span filter);
void key_of_message(struct key *key, uint64_t store_id);
void key_of_dictionary(struct key *key, uint16_t id);
void key_of_queued(struct key *key, uint64_t session, uint8_t direction, uint64_t cmsg_id);

// The first bytes of every key of a session in subscriptions and queue, and of no other session's.
void key_of_session(struct key *key, uint64_t session);

// Whether the string of this length is only named, not held, by its key.
static inline bool key_string_is_long(struct span string)
{
    return string.len > KEY_STRING_BYTES;
}

// What a key says of its string.
enum key_kind {
    KEY_MALFORMED,
    KEY_SHORT, // *ret_string is the string, within the key
    KEY_LONG,  // *ret_string is its first KEY_STRING_BYTES bytes
};
enum key_kind key_read_string(struct span key, struct span *ret_string);

// False if the key has not the length or a member is out of range.
bool key_read_message(struct span key, uint64_t *ret_store_id);
bool key_read_dictionary(struct span key, uint16_t *ret_id);
bool key_read_queued(struct span key, uint64_t *ret_session, uint8_t *ret_direction,
                     uint64_t *ret_cmsg_id);
bool key_read_subscription(struct span key, uint64_t *ret_session, struct span *ret_string_key);

// The key for a person, shortened, without control characters; always terminated.
#define KEY_TEXT_BYTES 192
void key_text(enum table table, struct span key, char text[KEY_TEXT_BYTES]);

#endif
