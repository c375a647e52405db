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

// A message as it lies in LMDB: message.payload is what is stored.
struct stored_message {
    struct message message;
    uint32_t payload_len; // as published
    uint32_t dictionary;  // id of the dictionary that the frame needs, 0: none
    bool compressed;      // message.payload is a zstd frame
};

size_t value_message_bytes(const struct stored_message *stored);
void value_message_encode(const struct stored_message *stored, struct span key, uint8_t *dst);
const char *value_message_decode(struct span key, struct span value,
                                 struct stored_message *ret_stored);
// Without the checksum, which would read the whole payload: for what is about to be deleted.
const char *value_message_decode_head(struct span key, struct span value,
                                      struct stored_message *ret_stored);

size_t value_retained_bytes(const struct retained *retained);
void value_retained_encode(const struct retained *retained, struct span key, uint8_t *dst);
const char *value_retained_decode(struct span key, struct span value,
                                  struct retained *ret_retained);

size_t value_will_bytes(const struct will *will);
void value_will_encode(const struct will *will, struct span key, uint8_t *dst);
const char *value_will_decode(struct span key, struct span value, struct will *ret_will);

#endif
