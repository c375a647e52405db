// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The values of the tables as bytes, and back. Pure functions, no LMDB.
//
// A value begins with a version byte and ends with a checksum over table, key and value (8 bytes;
// 4 in the queue table, where there may be millions). FORMAT.md has the offsets.
//
// value_x_bytes says how much value_x_encode writes. value_x_decode checks every length and range,
// that nothing is left over, and the checksum; it returns NULL, or a few words that say what is
// wrong ("checksum does not match"). The spans it gives point into key and value.
#ifndef STORE_VALUES_H
#define STORE_VALUES_H

#include "event.h"
#include "keys.h"

#define VALUE_VERSION 1

size_t value_session_bytes(const struct session *session);
void value_session_encode(const struct session *session, struct span key, uint8_t *dst);
const char *value_session_decode(struct span key, struct span value, struct session *ret_session);

// Sessions are named by number in the keys: client_id is left absent for the caller to fill.
size_t value_subscription_bytes(const struct subscription *subscription);
void value_subscription_encode(const struct subscription *subscription, struct span key,
                               uint8_t *dst);
const char *value_subscription_decode(struct span key, struct span value, uint64_t *ret_session,
                                      struct subscription *ret_subscription);

#define VALUE_QUEUED_MAX_BYTES 24
size_t value_queued_bytes(const struct queued *queued);
void value_queued_encode(const struct queued *queued, struct span key, uint8_t *dst);
const char *value_queued_decode(struct span key, struct span value, uint64_t *ret_session,
                                struct queued *ret_queued);

// A message as it lies in LMDB. What is long or often the same (topic, source, properties, payload)
// is its content: one run of bytes, plain or as a zstd frame.
struct stored_message {
    struct message message; // when read from a frame: only what lies beside the content
    struct span content;    // the frame, or, when read, the plain content
    uint16_t dictionary;    // id of the dictionary that the frame needs, 0: none
    bool compressed;        // the content is a frame
};

size_t value_message_bytes(const struct stored_message *stored);
void value_message_encode(const struct stored_message *stored, struct span key, uint8_t *dst);
const char *value_message_decode(struct span key, struct span value,
                                 struct stored_message *ret_stored);
// Without the checksum, which would read the whole content: for what is about to be deleted. A
// plain content is not looked into.
const char *value_message_decode_head(struct span key, struct span value,
                                      struct stored_message *ret_stored);

size_t value_content_bytes(const struct message *message);
void value_content_encode(const struct message *message, uint8_t *dst);
// Fills the members of `message` that a content has; they point into it.
const char *value_content_decode(struct span content, struct message *message);

// A dictionary, and how the trial went that it was taken after.
#define DICTIONARY_MAX_BYTES (128u * 1024u)
struct dictionary {
    struct span bytes;
    uint16_t id;
    int64_t trained_ms;    // since the epoch
    uint32_t samples;      // contents it was trained on
    uint64_t trial_bytes;  // of other contents
    uint64_t before_bytes; // the same as they would have been stored before
    uint64_t after_bytes;  // and with this dictionary
};

size_t value_dictionary_bytes(const struct dictionary *dictionary);
void value_dictionary_encode(const struct dictionary *dictionary, struct span key, uint8_t *dst);
const char *value_dictionary_decode(struct span key, struct span value,
                                    struct dictionary *ret_dictionary);

size_t value_retained_bytes(const struct retained *retained);
void value_retained_encode(const struct retained *retained, struct span key, uint8_t *dst);
const char *value_retained_decode(struct span key, struct span value,
                                  struct retained *ret_retained);

size_t value_will_bytes(const struct will *will);
void value_will_encode(const struct will *will, struct span key, uint8_t *dst);
const char *value_will_decode(struct span key, struct span value, struct will *ret_will);

#endif
