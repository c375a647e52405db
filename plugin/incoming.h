// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// QoS 2 messages on their way in that the broker has queued at the restore, because they are more
// than max_inflight_messages. It takes all of one client in at the client's next PUBREL or PUBLISH,
// and sends PUBREC for each.
//
// If that PUBREL is for one of these themselves, the broker does not find it, asks for it in this
// way, and then sends the PUBCOMP: the client may forget a message that is not handed on, and the
// packet id is not free (MQTT 5 section 4.3.3, MQTT 3.1.1 likewise). No event tells of a PUBREL,
// but what it does tells: then the connection is closed before PUBCOMP is sent, and the client,
// which sends its PUBREL again when it is back (section 4.4), finds the message.
#ifndef PLUGIN_INCOMING_H
#define PLUGIN_INCOMING_H

#include "broker.h"

#include <stddef.h>

struct plugin;

// Zero-initialise it.
struct incoming {
    size_t waiting; // entries that the broker queued; 0: nothing else here counts
    // Whose packet of this pass has released a message, or closed the connection: one at a time.
    const struct mosquitto *handled;
};

// At the restore: the broker has queued one.
void incoming_wait(struct incoming *incoming);

// The broker tells of one that has left, or that it has taken in.
void incoming_deleted(struct plugin *plugin, const struct mosquitto_client_msg *msg);
void incoming_taken(struct plugin *plugin, const struct mosquitto_client_msg *msg);

// At the begin of each pass of the broker's loop, which handles one packet of a client.
void incoming_tick(struct incoming *incoming);

#endif
