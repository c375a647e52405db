// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The body of a record as bytes, and back: pure functions, no file, no clock. What frames a body in
// a segment (length, checksum, position) is segment.h's; what it does to the tables is fold.h's.
#ifndef STORE_RECORD_H
#define STORE_RECORD_H

#include "error.h"
#include "event.h"

// The largest legal body: an MQTT packet of 268,435,455 bytes (MQTT 5 section 1.5.5) and the
// strings that go with it.
#define RECORD_BODY_MAX_BYTES ((size_t)268435456 + 6 * 65536)

// Whether an acknowledgement may rest on this event (see RECORD_TYPES). Finer than the list: a QoS
// 1 delete or an update that only says "sent" promises nothing.
bool record_promised(const struct event *event);

// Bytes that record_encode will write; STORE_ETOOBIG when a member is beyond what MQTT allows.
int record_size(const struct event *event, size_t *ret_bytes, struct store_error *err);

// Writes exactly record_size() bytes at `dst`. Cannot fail.
void record_encode(const struct event *event, uint8_t *dst);

// Reads a body of `len` bytes. The spans of the event point into `body`. Checks every length, every
// range and that nothing is left over; STORE_EDAMAGED says which field.
int record_decode(unsigned type, const uint8_t *body, size_t len, struct event *ret_event,
                  struct store_error *err);

#endif
