// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What apply sees of a fold: for each client, subscription, message, queue entry and retained topic
// that a stretch named, what is left of it in the end. Read only for apply.
//
// The fold does not know what LMDB holds. An addition takes it for granted that there was no such
// message or queue entry before (the broker's store_ids are new, and cmsg_ids are made unique by
// store_append), so that an addition and its deletion leave nothing. Everything else is written
// such that it is right whatever LMDB holds.
#ifndef STORE_FOLD_INTERNAL_H
#define STORE_FOLD_INTERNAL_H

#include "fold.h"
#include "hash.h"

#define FOLD_NONE UINT32_MAX

// What the stretch says of a session.
enum fold_existence {
    FOLD_AS_BEFORE, // it is stored if LMDB has it
    FOLD_PRESENT,   // it was added
    FOLD_ABSENT,    // it was deleted
};

// Which members of fold_client's session hold.
enum fold_session_changes {
    FOLD_ATTRIBUTES = 1, // all but the ones below
    FOLD_USERNAME = 2,
    FOLD_EXPIRY_TIME = 4,
    FOLD_CONNECTED = 8,         // connected and changed_time_ms
    FOLD_CONNECTION_ENDED = 16, // if LMDB has it connected: no longer, from changed_time_ms on
    FOLD_NEVER_EXPIRES = 32,    // whatever the interval was
    FOLD_OFFLINE = 64,          // if LMDB has it connected: no longer, as `offline` says
    FOLD_LISTENER_PORT = 128,
    FOLD_EVERYTHING = FOLD_ATTRIBUTES | FOLD_USERNAME | FOLD_EXPIRY_TIME | FOLD_CONNECTED,
};

// The end of a connection of which the stretch does not know whether there was one.
struct fold_offline {
    int64_t time_ms;
    int64_t session_expiry_time;
    bool has_expiry_time; // nothing later has set it
    bool never_expires;   // likewise the interval
};

enum fold_will_change { FOLD_WILL_AS_BEFORE, FOLD_WILL_SET, FOLD_WILL_GONE };

struct fold_client {
    struct span client_id;
    uint32_t
        incarnation;  // how many sessions began or ended; entries of earlier incarnations are gone
    uint32_t session; // index into sessions, FOLD_NONE
    uint32_t will;    // index into wills, FOLD_NONE
    uint8_t existence;
    uint8_t changes;
    struct fold_offline offline;
    uint8_t will_change;
    bool purge; // what LMDB has under this client id goes first
};

// What is left of an entry that can be added, updated and deleted.
enum fold_outcome {
    FOLD_FREE,   // nothing; the place is used again
    FOLD_PUT,    // it is there, as given
    FOLD_UPDATE, // what LMDB has, with the members of an update (queue entries only)
    FOLD_DELETE, // it is not there
};

struct fold_queued {
    uint64_t cmsg_id;
    uint64_t store_id;
    uint32_t subscription_identifier;
    uint32_t client; // index into clients; of a free place the next one
    uint32_t incarnation;
    uint16_t mid;
    uint8_t direction;
    uint8_t qos;
    uint8_t state;
    uint8_t dup;
    bool retain;
    bool fresh;       // the stretch added it: LMDB has none
    bool conditional; // came when the session was FOLD_AS_BEFORE: void if LMDB has none
    uint8_t outcome;
};

struct fold_subscription {
    struct span topic_filter;
    uint32_t client;
    uint32_t incarnation;
    uint32_t identifier;
    uint8_t options;
    bool conditional;
    uint8_t outcome;
};

struct fold_message {
    uint64_t store_id;
    uint32_t data; // index into message_data, FOLD_NONE; of a free place the next one
    bool fresh;
    uint8_t outcome;
};

struct fold_retained {
    struct span topic;
    uint64_t store_id;
    uint8_t outcome;
};

struct fold_array {
    void *items;
    uint32_t count;
    uint32_t capacity;
    uint32_t free_list; // index of the first place to use again, FOLD_NONE
};

struct fold {
    uint64_t seed;
    uint64_t effects;   // events on sessions, wills, subscriptions, retained: never taken back
    uint64_t live;      // messages and queue entries that are not FOLD_FREE
    uint64_t anomalies; // found within the stretch
    bool all_wills_gone;

    struct fold_array clients;       // struct fold_client
    struct fold_array sessions;      // struct session
    struct fold_array wills;         // struct will
    struct fold_array subscriptions; // struct fold_subscription
    struct fold_array messages;      // struct fold_message
    struct fold_array message_data;  // struct message
    struct fold_array queue;         // struct fold_queued
    struct fold_array retained;      // struct fold_retained

    struct hash client_hash;
    struct hash subscription_hash;
    struct hash message_hash;
    struct hash queue_hash;
    struct hash retained_hash;
};

#define FOLD_ITEMS(fold, member, type) ((type *)(fold)->member.items)

#endif
