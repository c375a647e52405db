// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "pubrel.h"

#include "log.h"
#include "plugin.h"

#include <stdlib.h>

struct pubrel_entry {
    char *client_id;
    uint64_t cmsg_id;
    uint16_t mid;
    bool in_flight;
};

// Any message of the client, not just one on the list: the event does not tell which message it is,
// and what is refused here is sent at the next connection like any message in flight.
static int on_message_out(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_message *publish = event_data;
    const struct plugin *plugin = userdata;
    (void)event;
    if (!plugin->pubrel.due || publish->qos == 0)
        return MOSQ_ERR_SUCCESS;
    const char *client_id = mosquitto_client_id(publish->client);
    for (size_t i = 0; i < plugin->pubrel.count; i++) {
        const struct pubrel_entry *entry = &plugin->pubrel.entries[i];
        if (entry->in_flight && strcmp(entry->client_id, client_id) == 0)
            return MOSQ_ERR_ACL_DENIED; // dropped quietly
    }
    return MOSQ_ERR_SUCCESS;
}

void pubrel_defer(struct plugin *plugin, const char *client_id, uint64_t cmsg_id, uint16_t mid,
                  bool in_flight)
{
    struct pubrel *pubrel = &plugin->pubrel;
    int rc = MOSQ_ERR_SUCCESS;
    if (pubrel->count == 0)
        rc = mosquitto_callback_register(plugin->identifier, MOSQ_EVT_MESSAGE_OUT, on_message_out,
                                         NULL, plugin);
    if (rc == MOSQ_ERR_SUCCESS && pubrel->count == pubrel->capacity) {
        size_t capacity = pubrel->capacity ? pubrel->capacity * 2 : 16;
        struct pubrel_entry *entries = realloc(pubrel->entries, capacity * sizeof(*entries));
        if (entries) {
            pubrel->entries = entries;
            pubrel->capacity = capacity;
        } else {
            rc = MOSQ_ERR_NOMEM;
        }
    }
    char *copy = strdup(client_id);
    if (rc || !copy) {
        log_line(LOG_LEVEL_ERROR,
                 "QoS 2 message %u of client %s would be sent twice (%s); the broker ends", mid,
                 client_id, mosquitto_strerror(rc ? rc : MOSQ_ERR_NOMEM));
        plugin_die();
    }
    pubrel->entries[pubrel->count++] = (struct pubrel_entry){
        .client_id = copy, .cmsg_id = cmsg_id, .mid = mid, .in_flight = in_flight};
    pubrel->due |= in_flight;
}

static void entry_remove(struct plugin *plugin, size_t i)
{
    struct pubrel *pubrel = &plugin->pubrel;
    free(pubrel->entries[i].client_id);
    // The order of the rest is the order in which they were sent: it does not matter here.
    pubrel->entries[i] = pubrel->entries[--pubrel->count];
    if (pubrel->count == 0) {
        pubrel->due = false;
        mosquitto_callback_unregister(plugin->identifier, MOSQ_EVT_MESSAGE_OUT, on_message_out,
                                      NULL);
    }
}

bool pubrel_updated(struct plugin *plugin, const char *client_id, uint64_t cmsg_id)
{
    struct pubrel *pubrel = &plugin->pubrel;
    for (size_t i = 0; i < pubrel->count; i++) {
        struct pubrel_entry *entry = &pubrel->entries[i];
        if (entry->cmsg_id == cmsg_id && strcmp(entry->client_id, client_id) == 0) {
            // The broker tells of a message that waits in the queue only when it leaves it.
            entry->in_flight = true;
            pubrel->due = true;
            return true;
        }
    }
    return false;
}

void pubrel_deleted(struct plugin *plugin, const char *client_id, uint64_t cmsg_id)
{
    struct pubrel *pubrel = &plugin->pubrel;
    for (size_t i = 0; i < pubrel->count; i++) {
        if (pubrel->entries[i].cmsg_id == cmsg_id &&
            strcmp(pubrel->entries[i].client_id, client_id) == 0) {
            entry_remove(plugin, i);
            return;
        }
    }
}

void pubrel_client_deleted(struct plugin *plugin, const char *client_id)
{
    for (size_t i = plugin->pubrel.count; i-- > 0;) {
        if (strcmp(plugin->pubrel.entries[i].client_id, client_id) == 0)
            entry_remove(plugin, i);
    }
}

void pubrel_tick(struct plugin *plugin)
{
    struct pubrel *pubrel = &plugin->pubrel;
    while (pubrel->due) {
        // All that are in flight of one client, then one kick.
        char *client_id = NULL;
        for (size_t i = pubrel->count; i-- > 0;) {
            struct pubrel_entry *entry = &pubrel->entries[i];
            if (!entry->in_flight || (client_id && strcmp(client_id, entry->client_id) != 0))
                continue;
            if (!client_id && !(client_id = strdup(entry->client_id)))
                return; // the next pass tries again
            struct mosquitto_client_msg state = {.clientid = client_id,
                                                 .mid = entry->mid,
                                                 .direction = mosq_bmd_out,
                                                 .qos = 2,
                                                 .state = QUEUE_STATE_WAIT_FOR_PUBCOMP};
            mosquitto_persist_client_msg_update(&state);
            entry_remove(plugin, i);
        }
        if (!client_id)
            pubrel->due = false;
        else
            mosquitto_kick_client_by_clientid(client_id, false);
        free(client_id);
    }
}

void pubrel_release(struct plugin *plugin)
{
    for (size_t i = 0; i < plugin->pubrel.count; i++)
        free(plugin->pubrel.entries[i].client_id);
    if (plugin->pubrel.count)
        mosquitto_callback_unregister(plugin->identifier, MOSQ_EVT_MESSAGE_OUT, on_message_out,
                                      NULL);
    free(plugin->pubrel.entries);
    plugin->pubrel = (struct pubrel){0};
}
