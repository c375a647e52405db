// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The chunks of a mosquitto.db as bytes: pure functions, no file.
//
// The file is a header of 23 bytes (magic, a checksum that is always 0, version) and chunks. In
// versions 2 to 4 (Mosquitto 1.0 to 1.5) a chunk is fields one behind the other. In 5 (1.6) and 6
// (2.0, 2.1) it is a struct as the compiler lays it out, then strings, then MQTT 5 properties with
// their length in front. Ids and times are in the byte order of the machine that wrote them, all
// else is big-endian.
#ifndef TOOLS_MOSQUITTO_DB_H
#define TOOLS_MOSQUITTO_DB_H

#include "store/event.h"

#define MOSQUITTO_DB_MAGIC "\x00\xb5\x00mosquitto db"
#define MOSQUITTO_DB_MAGIC_BYTES 15u
#define MOSQUITTO_DB_HEADER_BYTES 23u
#define MOSQUITTO_DB_OLDEST 2u
#define MOSQUITTO_DB_NEWEST 6u

enum mosquitto_db_type {
    MOSQUITTO_DB_CFG = 1,
    MOSQUITTO_DB_MESSAGE = 2,
    MOSQUITTO_DB_QUEUED = 3,
    MOSQUITTO_DB_RETAINED = 4,
    MOSQUITTO_DB_SUBSCRIPTION = 5,
    MOSQUITTO_DB_SESSION = 6,
};

struct mosquitto_db {
    uint32_t version;
    bool big_endian; // ids and times; found in the cfg chunk, until then this machine's
    bool filled;     // structs end at multiples of 8 bytes, not of 4; found in the cfg chunk
};

// The version and this machine's byte order. NULL, or a sentence that says why it is not such a
// file.
const char *mosquitto_db_header(const uint8_t header[MOSQUITTO_DB_HEADER_BYTES],
                                struct mosquitto_db *ret_db);

// A chunk begins with its type and length, in 6 or 8 bytes.
#define MOSQUITTO_DB_CHUNK_HEADER_MAX 8u
size_t mosquitto_db_chunk_header_bytes(const struct mosquitto_db *db);
void mosquitto_db_chunk_header(const struct mosquitto_db *db, const uint8_t *header,
                               uint32_t *ret_type, uint32_t *ret_bytes);

// No chunk of a broker is larger.
#define MOSQUITTO_DB_CHUNK_MAX_BYTES ((uint32_t)268435456 * 2 + 6 * 65536)

// Reads a cfg chunk, which says how the others are to be read. NULL, or what is wrong with it.
const char *mosquitto_db_cfg(struct mosquitto_db *db, struct span chunk);

// Reads a chunk of another known type as the record that adds what it holds; the spans point into
// it. A retained message has no topic here: it is that of its message. A queued one has no cmsg_id.
// NULL, or what is wrong with the chunk.
const char *mosquitto_db_chunk(const struct mosquitto_db *db, uint32_t type, struct span chunk,
                               struct event *ret_event);

#endif
