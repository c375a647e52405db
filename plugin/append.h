// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// An event goes to the store, and what is done if the store cannot take it.
//
// The rule is that nothing is acknowledged that is not stored. A callback cannot hold an
// acknowledgement back, but closing the connection that it would go to does: the broker then finds
// no socket to write it to. append.c says event by event whose connection that is, and when no
// connection can be named the broker is ended. What is not acknowledged to anybody is let go.
#ifndef PLUGIN_APPEND_H
#define PLUGIN_APPEND_H

#include "broker.h"
#include "missing.h"
#include "store/event.h"

struct plugin;

// The base message that was stored last: the queue entries and the retained message that come right
// behind it belong to it.
struct append_message {
    uint64_t store_id;
    bool from_publisher; // it is the PUBLISH that is being handled
    bool unpromised;     // it came from no client's PUBLISH with a packet id: a will, the broker
    bool closed;         // its publisher's connection has been closed
};

// Zero-initialise it.
struct append {
    uint64_t let_go; // message whose deletion waits, 0: none
    int64_t said_ms; // when the log was last told that the store fails, 0: never
    // The PUBLISH that is being handled. Only good within one pass of the broker's loop.
    const struct mosquitto *publisher;
    const char *topic;
    char *clears; // topic of the retained message that it clears, NULL: none
    bool closing; // a connection is being closed, and what happens is not to be acknowledged
    struct append_message message;
    struct missing missing;
    const struct mosquitto *subscriber;   // whose SUBSCRIBE is being handled
    bool subscriber_lacks;                // a retained message for it could not be stored
    const struct mosquitto *unsubscriber; // whose UNSUBSCRIBE is being handled
    char **refused;                       // ids of sessions that could not be stored
    size_t refused_count;
};

// Stores the event. The strings in it must be zero-terminated, as the broker's are.
void append_event(struct plugin *plugin, const struct event *event);

// The same for a message or a will, whose properties come as the broker's list.
void append_with_properties(struct plugin *plugin, struct event *event,
                            const mosquitto_property *properties);

// The broker has let go of a message. It does so with a retained one before it tells of the one in
// its place, and a kill in between must not leave a topic without a message that is there: the
// record waits for what comes next, at most for the next pass of the loop.
void append_message_delete(struct plugin *plugin, uint64_t store_id);

// Leaves nothing that waits.
void append_settle(struct plugin *plugin);

// Before a PUBLISH of a client is handled, a topic filter of its SUBSCRIBE, or of its UNSUBSCRIBE.
void append_publish_begins(struct plugin *plugin, const struct mosquitto_evt_message *publish);
void append_subscribe_begins(struct plugin *plugin, const struct mosquitto *client);
void append_unsubscribe_begins(struct plugin *plugin, const struct mosquitto *client);

// The client's connection has ended; the broker may free it from now on.
void append_client_gone(struct plugin *plugin, const struct mosquitto *client);

// At the begin of each pass of the broker's loop.
void append_tick(struct plugin *plugin);

void append_release(struct append *append);

#endif
