// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Payloads like those that devices send. Each is a pure function of (kind, publisher, sequence
// number), so that a receiver can tell which message it got and check every byte of it.
#ifndef BENCH_PAYLOAD_H
#define BENCH_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(name, default size in bytes, text, what it is)
#define PAYLOADS(X)                                                              \
    X(PAYLOAD_JSON, 200, "json", "sensor readings as JSON, 200 bytes")           \
    X(PAYLOAD_SPARKPLUG, 0, "sparkplug", "protobuf as Sparkplug B devices send") \
    X(PAYLOAD_NUMBER, 0, "number", "one small decimal number as text")           \
    X(PAYLOAD_IMAGE, 1048576, "image", "random bytes behind a JPEG header")

#define PAYLOAD_ENUM(name, size, text, help) name,
enum payload_kind { PAYLOADS(PAYLOAD_ENUM) PAYLOAD_KINDS };
#undef PAYLOAD_ENUM

// -1 if no kind has this name.
int payload_kind_from_name(const char *name);
const char *payload_kind_name(enum payload_kind kind);

// Bytes of this payload. `image_bytes` is the size of images (0: the default, at least 64).
size_t payload_size(enum payload_kind kind, size_t image_bytes, uint32_t publisher, uint64_t seq);

// Writes exactly payload_size() bytes.
void payload_write(enum payload_kind kind, uint8_t *dst, size_t len, uint32_t publisher,
                   uint64_t seq);

// Reads back who sent which message. False when the kind does not carry it (number) or the bytes
// are not such a payload.
bool payload_identify(enum payload_kind kind, const uint8_t *payload, size_t len,
                      uint32_t *ret_publisher, uint64_t *ret_seq);

// True when every byte is what payload_write gives for that message.
bool payload_is_whole(enum payload_kind kind, const uint8_t *payload, size_t len,
                      uint32_t publisher, uint64_t seq);

#endif
