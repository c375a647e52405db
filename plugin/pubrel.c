// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "pubrel.h"

#include "items.h"
#include "log.h"
#include "plugin.h"
#include "text.h"

#include <stdlib.h>

struct pubrel_entry {
    uint64_t cmsg_id;
    uint16_t mid;
    bool in_flight;
};

struct pubrel_client {
    char *client_id;
    struct pubrel_entry *entries; // in the order of their numbers
    size_t count;
    size_t capacity;
    size_t in_flight; // so many of them are
};

// ---- clients -------------------------------------------------------------------------------

static struct pubrel_client *client_find(const struct pubrel *pubrel, const char *client_id)
{
    if (!pubrel->count)
        return NULL;
    uint32_t at = text_hash(client_id), hash = at, ref;
    while ((ref = hash_next(&pubrel->by_client, hash, &at))) {
        if (strcmp(pubrel->clients[ref - 1].client_id, client_id) == 0)
            return &pubrel->clients[ref - 1];
    }
    return NULL;
}

// NULL: out of memory.
static struct pubrel_client *client_add(struct pubrel *pubrel, const char *client_id)
{
    char *copy = strdup(client_id);
    if (!copy || !hash_reserve(&pubrel->by_client) ||
        !items_grow(&pubrel->clients, pubrel->count, 1, &pubrel->capacity,
                    sizeof(*pubrel->clients))) {
        free(copy);
        return NULL;
    }
    struct pubrel_client *client = &pubrel->clients[pubrel->count++];
    *client = (struct pubrel_client){.client_id = copy};
    hash_insert(&pubrel->by_client, text_hash(copy), pubrel->count);
    return client;
}

// The last one takes its place.
static void client_remove(struct pubrel *pubrel, struct pubrel_client *client)
{
    uint32_t ref = (uint32_t)(client - pubrel->clients) + 1, last = pubrel->count;
    hash_remove(&pubrel->by_client, text_hash(client->client_id), ref);
    free(client->client_id);
    free(client->entries);
    if (ref != last) {
        *client = pubrel->clients[last - 1];
        hash_remove(&pubrel->by_client, text_hash(client->client_id), last);
        hash_insert(&pubrel->by_client, text_hash(client->client_id), ref);
    }
    pubrel->count--;
}

// ---- entries -------------------------------------------------------------------------------

static bool entry_is_before(const void *entry, const void *cmsg_id)
{
    return ((const struct pubrel_entry *)entry)->cmsg_id < *(const uint64_t *)cmsg_id;
}

static size_t entry_place(const struct pubrel_client *client, uint64_t cmsg_id)
{
    return items_place(client->entries, client->count, sizeof(*client->entries), entry_is_before,
                       &cmsg_id);
}

static struct pubrel_entry *entry_find(const struct pubrel_client *client, uint64_t cmsg_id)
{
    size_t at = client ? entry_place(client, cmsg_id) : 0;
    bool found = client && at < client->count && client->entries[at].cmsg_id == cmsg_id;
    return found ? &client->entries[at] : NULL;
}

static bool entry_add(struct pubrel_client *client, struct pubrel_entry entry)
{
    if (!items_grow(&client->entries, client->count, 1, &client->capacity, sizeof(entry)))
        return false;
    size_t at = entry_place(client, entry.cmsg_id);
    memmove(client->entries + at + 1, client->entries + at,
            (client->count - at) * sizeof(*client->entries));
    client->entries[at] = entry;
    client->count++;
    client->in_flight += entry.in_flight;
    return true;
}

// ---- what the broker does ------------------------------------------------------------------

// Any message of the client, not just one on the list: the event does not tell which message it is,
// and what is refused here is sent at the next connection like any message in flight.
static int on_message_out(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_message *publish = event_data;
    const struct plugin *plugin = userdata;
    (void)event;
    if (!plugin->pubrel.due || publish->qos == 0)
        return MOSQ_ERR_SUCCESS;
    const struct pubrel_client *client =
        client_find(&plugin->pubrel, mosquitto_client_id(publish->client));
    return client && client->in_flight ? MOSQ_ERR_ACL_DENIED // dropped quietly
                                       : MOSQ_ERR_SUCCESS;
}

static void listen_while_needed(struct plugin *plugin, uint32_t count_before)
{
    struct pubrel *pubrel = &plugin->pubrel;
    if (!count_before || pubrel->count)
        return;
    pubrel->due = false;
    mosquitto_callback_unregister(plugin->identifier, MOSQ_EVT_MESSAGE_OUT, on_message_out, NULL);
}

void pubrel_defer(struct plugin *plugin, const char *client_id, uint64_t cmsg_id, uint16_t mid,
                  bool in_flight)
{
    struct pubrel *pubrel = &plugin->pubrel;
    int rc = MOSQ_ERR_SUCCESS;
    if (pubrel->count == 0)
        rc = mosquitto_callback_register(plugin->identifier, MOSQ_EVT_MESSAGE_OUT, on_message_out,
                                         NULL, plugin);
    struct pubrel_client *client = client_find(pubrel, client_id);
    if (rc == MOSQ_ERR_SUCCESS && !client)
        client = client_add(pubrel, client_id);
    struct pubrel_entry entry = {.cmsg_id = cmsg_id, .mid = mid, .in_flight = in_flight};
    if (rc || !client || !entry_add(client, entry)) {
        log_line(LOG_LEVEL_ERROR,
                 "QoS 2 message %u of client %s would be sent twice (%s); the broker ends", mid,
                 client_id, mosquitto_strerror(rc ? rc : MOSQ_ERR_NOMEM));
        plugin_die();
    }
    pubrel->due |= in_flight;
}

bool pubrel_updated(struct plugin *plugin, const char *client_id, uint64_t cmsg_id)
{
    struct pubrel_client *client = client_find(&plugin->pubrel, client_id);
    struct pubrel_entry *entry = entry_find(client, cmsg_id);
    if (!entry)
        return false;
    // The broker tells of a message that waits in the queue only when it leaves it.
    client->in_flight += !entry->in_flight;
    entry->in_flight = true;
    plugin->pubrel.due = true;
    return true;
}

void pubrel_deleted(struct plugin *plugin, const char *client_id, uint64_t cmsg_id)
{
    struct pubrel *pubrel = &plugin->pubrel;
    struct pubrel_client *client = client_find(pubrel, client_id);
    struct pubrel_entry *entry = entry_find(client, cmsg_id);
    uint32_t before = pubrel->count;
    if (!entry)
        return;
    client->in_flight -= entry->in_flight;
    size_t behind = client->count - (size_t)(entry - client->entries) - 1;
    memmove(entry, entry + 1, behind * sizeof(*entry));
    if (--client->count == 0)
        client_remove(pubrel, client);
    listen_while_needed(plugin, before);
}

void pubrel_client_deleted(struct plugin *plugin, const char *client_id)
{
    struct pubrel *pubrel = &plugin->pubrel;
    struct pubrel_client *client = client_find(pubrel, client_id);
    uint32_t before = pubrel->count;
    if (client)
        client_remove(pubrel, client);
    listen_while_needed(plugin, before);
}

// Puts all of the client that are in flight right, and takes them off the list.
static void client_settle(struct pubrel_client *client)
{
    size_t left = 0;
    for (size_t i = 0; i < client->count; i++) {
        const struct pubrel_entry entry = client->entries[i];
        struct mosquitto_client_msg state = {.clientid = client->client_id,
                                             .mid = entry.mid,
                                             .direction = mosq_bmd_out,
                                             .qos = 2,
                                             .state = QUEUE_STATE_WAIT_FOR_PUBCOMP};
        if (entry.in_flight)
            mosquitto_persist_client_msg_update(&state);
        else
            client->entries[left++] = entry;
    }
    client->count = left;
    client->in_flight = 0;
}

void pubrel_tick(struct plugin *plugin)
{
    struct pubrel *pubrel = &plugin->pubrel;
    if (!pubrel->due)
        return;
    pubrel->due = false;
    // From the end: what takes the place of one that is removed has had its turn. The kick may end
    // a session.
    for (uint32_t i = pubrel->count; i > 0; i = i - 1 < pubrel->count ? i - 1 : pubrel->count) {
        struct pubrel_client *client = &pubrel->clients[i - 1];
        char *client_id = client->in_flight ? strdup(client->client_id) : NULL;
        uint32_t before = pubrel->count;
        pubrel->due |= client->in_flight && !client_id; // the next pass tries again
        if (!client_id)
            continue;
        client_settle(client);
        if (client->count == 0)
            client_remove(pubrel, client);
        listen_while_needed(plugin, before);
        mosquitto_kick_client_by_clientid(client_id, false);
        free(client_id);
    }
}

void pubrel_release(struct plugin *plugin)
{
    struct pubrel *pubrel = &plugin->pubrel;
    uint32_t before = pubrel->count;
    while (pubrel->count)
        client_remove(pubrel, &pubrel->clients[pubrel->count - 1]);
    listen_while_needed(plugin, before);
    free(pubrel->clients);
    hash_release(&pubrel->by_client);
    *pubrel = (struct pubrel){0};
}
