// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A client that receives: acknowledges at once, and holds what comes against what was sent: order,
// gaps, repetitions, payloads.
#ifndef BENCH_SUBSCRIBER_H
#define BENCH_SUBSCRIBER_H

#include "load.h"
#include "publisher.h"

// Which messages a session gets.
enum subscriber_filter { FILTER_OWN, FILTER_ALL }; // of the publisher of its number, of all

struct subscriber {
    struct connection connection;
    struct load_run *run;
    struct publisher *publisher; // whose lead and sending times it looks at; may be NULL
    enum subscriber_filter filter;
    uint32_t index;
    bool subscribes; // SUBSCRIBE follows the CONNACK
    bool ready;      // CONNACK, and SUBACK if it subscribes, came
    bool session_present;
    bool leaving;        // the end of the connection is expected
    uint64_t received;   // messages, repetitions included
    uint64_t *next_seqs; // by publisher: the sequence number that is due
    uint8_t *held_ids;   // QoS 2: one bit for each packet id whose PUBREL is awaited
    void (*changed)(struct subscriber *subscriber); // called after each batch; may be NULL
};

// The filter's text.
void subscriber_filter_write(char dst[TOPIC_BYTES_MAX], enum subscriber_filter filter,
                             uint32_t index);
void subscriber_client_id_write(char dst[64], const struct load_options *options, uint32_t index);

// Makes `count` subscribers, not yet connected.
struct subscriber *subscribers_new(struct load_run *run, uint32_t count,
                                   enum subscriber_filter filter);
void subscribers_free(struct subscriber *subscribers, uint32_t count);

// Connects to the persistent session of its number. Returns false when nothing listens.
bool subscriber_connect(struct subscriber *subscriber, bool subscribe);
// Runs the loop until it is ready.
void subscriber_wait(struct subscriber *subscriber);
// Sends DISCONNECT and closes; the session stays.
void subscriber_leave(struct subscriber *subscriber);

#endif
