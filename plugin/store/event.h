// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The things a store holds, as structs: what the plugin appends as events, what replay applies,
// and what every reader gets when it walks a table. One set of structs serves all of them.
//
// Nothing here owns memory. A span points into the caller's memory when it is given to the store,
// and into memory of the store, valid until the callback returns, when the store gives it out.
// A span with data == NULL is an absent string (JSON null); data != NULL with len == 0 is empty.
// Spans are not zero-terminated and may hold any byte.
#ifndef STORE_EVENT_H
#define STORE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// No string of an event is longer: client id, topic, topic filter, user name (MQTT 5
// section 1.5.4).
#define EVENT_STRING_MAX_BYTES 65535u

struct span {
    const void *data;
    uint32_t len;
};

static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){data, (uint32_t)len};
}

// NULL gives an absent span. The string must be shorter than 4 GiB.
static inline struct span span_str(const char *s)
{
    return s ? (struct span){s, (uint32_t)strlen(s)} : (struct span){NULL, 0};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

enum queue_direction { QUEUE_IN = 0, QUEUE_OUT = 1 };

// The broker's states of a message in a queue (enum mosquitto_msg_state), by its own numbers.
// X(name, value, text as in the JSON of `export`)
#define QUEUE_STATES(X)                                    \
    X(QUEUE_STATE_INVALID, 0, "invalid")                   \
    X(QUEUE_STATE_PUBLISH_QOS0, 1, "publish_qos0")         \
    X(QUEUE_STATE_PUBLISH_QOS1, 2, "publish_qos1")         \
    X(QUEUE_STATE_WAIT_FOR_PUBACK, 3, "wait_for_puback")   \
    X(QUEUE_STATE_PUBLISH_QOS2, 4, "publish_qos2")         \
    X(QUEUE_STATE_WAIT_FOR_PUBREC, 5, "wait_for_pubrec")   \
    X(QUEUE_STATE_RESEND_PUBREL, 6, "resend_pubrel")       \
    X(QUEUE_STATE_WAIT_FOR_PUBREL, 7, "wait_for_pubrel")   \
    X(QUEUE_STATE_RESEND_PUBCOMP, 8, "resend_pubcomp")     \
    X(QUEUE_STATE_WAIT_FOR_PUBCOMP, 9, "wait_for_pubcomp") \
    X(QUEUE_STATE_SEND_PUBREC, 10, "send_pubrec")          \
    X(QUEUE_STATE_QUEUED, 11, "queued")

#define QUEUE_STATE_ENUM(name, value, text) name = value,
enum queue_state { QUEUE_STATES(QUEUE_STATE_ENUM) };
#undef QUEUE_STATE_ENUM

#define SESSION_EXPIRY_NEVER UINT32_MAX

struct session {
    struct span client_id;
    struct span username;        // absent: none
    struct span auth_method;     // absent: none
    int64_t session_expiry_time; // seconds since the epoch, 0: not set
    int64_t will_delay_time;     // seconds since the epoch, 0: not set
    int64_t changed_time_ms;     // since the epoch: when `connected` took its value, 0: unknown
    uint32_t session_expiry_interval; // seconds, SESSION_EXPIRY_NEVER: never
    uint32_t will_delay_interval;     // seconds
    uint32_t max_packet_size;         // bytes, 0: no limit
    uint16_t listener_port;
    uint8_t max_qos;
    bool retain_available;
    bool connected;  // only meaningful when read; a session_add event sets it
    uint64_t number; // only when read: the store's own number of this session
};

struct subscription {
    struct span client_id;
    struct span topic_filter; // as the broker gives it, "$share/group/…" included
    uint32_t identifier;      // MQTT 5 subscription identifier, 0: none
    uint8_t options;          // MQTT 5 subscription options byte
};

struct message {
    uint64_t store_id;
    int64_t expiry_time; // seconds since the epoch, 0: never
    struct span topic;
    struct span payload;
    struct span properties; // MQTT 5 wire form, without the length in front; absent: none
    struct span source_id;
    struct span source_username;
    uint16_t source_mid;
    uint16_t source_port;
    uint8_t qos;
    bool retain;
};

// A queue is read in the order of adding. `cmsg_id` is unique within a session for the whole life
// of the store: what the broker numbers from 1 in each of its lives, store_append raises by the
// life's number (see store_cmsg_id in store.h).
struct queued {
    struct span client_id;
    uint64_t cmsg_id;
    uint64_t store_id;
    uint32_t subscription_identifier;
    uint16_t mid;
    uint8_t direction; // enum queue_direction
    uint8_t qos;
    uint8_t state; // enum queue_state
    uint8_t dup;
    bool retain;
};

struct retained {
    struct span topic;
    uint64_t store_id;
};

// `username` and `listener_port` are those of the connection that set the will: a client without a
// stored session has nothing else that says in whose name its will is to be published.
struct will {
    struct span client_id;
    struct span topic;
    struct span payload;
    struct span properties; // MQTT 5 wire form, absent: none
    struct span username;
    uint16_t listener_port;
    uint8_t qos;
    bool retain;
};

// A connection came or went. session_connected also carries the user name and the port, which may
// differ from those the session was stored with; the others leave both alone.
struct connection {
    struct span client_id;
    struct span username;
    int64_t time_ms; // since the epoch
    // session_offline: seconds since the epoch, 0: unknown. This and session_connected:
    // CONNECTION_NEVER_EXPIRES if the session's interval is now that it never does, until a
    // session_update says otherwise.
    int64_t session_expiry_time;
    uint16_t listener_port; // of session_connected, 0: not known, it stays as it was
};

#define CONNECTION_NEVER_EXPIRES INT64_MAX

struct segment_link {
    uint64_t previous_end;      // position where the segment before ends
    uint64_t previous_checksum; // checksum of its last record, 0 if it holds none
};

// One list of record types: id, enum suffix, member of union in struct event, shape of the body in
// record.c, promised, name.
// `promised` is 1 when an acknowledgement to a client may rest on the record (see
// MQTT 5 section 4.3 and the broker's order of events), so that `sync always` must have it on disk
// before the append returns. Ids are only ever added, never reused.
#define RECORD_TYPES(X)                                                             \
    X(1, SESSION_ADD, session, session, 0, "session_add")                           \
    X(2, SESSION_UPDATE, session, session, 0, "session_update")                     \
    X(3, SESSION_DELETE, connection, connection, 1, "session_delete")               \
    X(4, SESSION_CONNECTED, connection, connected, 0, "session_connected")          \
    X(5, SESSION_OFFLINE, connection, connection, 0, "session_offline")             \
    X(6, CONNECTION_ENDED, connection, connection, 0, "connection_ended")           \
    X(7, SUBSCRIPTION_ADD, subscription, subscription, 1, "subscription_add")       \
    X(8, SUBSCRIPTION_DELETE, subscription, subscription, 1, "subscription_delete") \
    X(9, MESSAGE_ADD, message, message, 0, "message_add")                           \
    X(10, MESSAGE_DELETE, message, message_delete, 0, "message_delete")             \
    X(11, QUEUE_ADD, queued, queued, 1, "queue_add")                                \
    X(12, QUEUE_DELETE, queued, queued, 1, "queue_delete")                          \
    X(13, QUEUE_UPDATE, queued, queued, 1, "queue_update")                          \
    X(14, RETAINED_SET, retained, retained, 1, "retained_set")                      \
    X(15, RETAINED_DELETE, retained, retained, 1, "retained_delete")                \
    X(16, WILL_SET, will, will, 0, "will_set")                                      \
    X(17, WILL_DELETE, will, will, 0, "will_delete")                                \
    X(18, LOOP_MARK, none, none, 0, "loop_mark")                                    \
    X(19, STOP_MARK, none, none, 1, "stop_mark")                                    \
    X(20, SEGMENT_LINK, link, link, 0, "segment_link")

#define RECORD_TYPE_ENUM(id, name, member, shape, promised, text) RECORD_##name = id,
enum record_type { RECORD_TYPES(RECORD_TYPE_ENUM) };
#undef RECORD_TYPE_ENUM

struct event {
    enum record_type type;
    union {
        struct session session;
        struct connection connection;
        struct subscription subscription;
        struct message message; // message_delete: store_id only
        struct queued queued;   // queue_delete: all that names it; queue_update: all but store_id
        struct retained retained;
        struct will will; // will_delete: client_id only
        struct segment_link link;
        uint8_t none;
    };
};

// The list's name of a record type, "unknown" if it has none.
const char *record_type_name(unsigned type);

// The list's name of a queue state and back; NULL and -1 if there is none.
const char *queue_state_name(unsigned state);
int queue_state_from_name(const char *name);

#endif
