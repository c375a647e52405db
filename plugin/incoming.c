// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "incoming.h"

#include "plugin.h"

void incoming_wait(struct incoming *incoming)
{
    incoming->waiting++;
}

void incoming_deleted(struct plugin *plugin, const struct mosquitto_client_msg *msg)
{
    struct incoming *incoming = &plugin->incoming;
    if (incoming->waiting)
        incoming->handled = mosquitto_client(msg->clientid);
}

// A PUBLISH is told before it is handled, a release before others are taken in.
void incoming_taken(struct plugin *plugin, const struct mosquitto_client_msg *msg)
{
    struct incoming *incoming = &plugin->incoming;
    if (!incoming->waiting)
        return;
    const struct mosquitto *client = mosquitto_client(msg->clientid);
    bool answered = incoming->handled == client || plugin->append.publisher == client;
    incoming->waiting--;
    incoming->handled = client;
    if (!answered)
        mosquitto_kick_client_by_clientid(msg->clientid, false);
}

void incoming_tick(struct incoming *incoming)
{
    incoming->handled = NULL;
}
