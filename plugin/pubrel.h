// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Outgoing QoS 2 messages whose PUBREC had come before a crash and that found no place in flight at
// the restore: the broker would publish them a second time.
//
// Most such messages are put right at the restore (queue_restore.c). These are left when a client
// had more of them than max_inflight_messages. When its next connection brings one of them in
// flight, its PUBLISHes of QoS 1 and 2 are refused until the next pass of the loop sets the state
// in which the broker, at the connection after that, sends PUBREL; the client is disconnected once
// for it. In the store they stay what they are until then.
#ifndef PLUGIN_PUBREL_H
#define PLUGIN_PUBREL_H

#include "store/event.h"
#include "store/hash.h"

struct plugin;
struct pubrel_client;

// Whether an outgoing message in this state has had its PUBREC: it must not be published again.
static inline bool state_is_pubrel(unsigned state)
{
    return state == QUEUE_STATE_WAIT_FOR_PUBCOMP || state == QUEUE_STATE_RESEND_PUBREL;
}

// Zero-initialise it.
struct pubrel {
    struct pubrel_client *clients; // with a message on the list
    uint32_t count;
    size_t capacity;
    struct hash by_client; // index plus one
    bool due;              // one of the messages is in flight
};

// Takes a message on the list. Ends the process if there is no memory for it.
void pubrel_defer(struct plugin *plugin, const char *client_id, uint64_t cmsg_id, uint16_t mid,
                  bool in_flight);

// A queue entry is about to be updated. True: it is on the list, and the change is not to be
// stored.
bool pubrel_updated(struct plugin *plugin, const char *client_id, uint64_t cmsg_id);

// A queue entry, or a client's whole queue, is gone.
void pubrel_deleted(struct plugin *plugin, const char *client_id, uint64_t cmsg_id);
void pubrel_client_deleted(struct plugin *plugin, const char *client_id);

// Each pass of the broker's loop.
void pubrel_tick(struct plugin *plugin);

void pubrel_release(struct plugin *plugin);

#endif
