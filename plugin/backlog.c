// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "backlog.h"

#include "log.h"
#include "plugin.h"
#include "restore.h"

#include <stdlib.h>

struct backlog_client {
    char *client_id;
    size_t first; // index of the first entry that still waits
    size_t end;   // behind the last; equal to `first`: none
    bool due;
};

struct backlog_entry {
    uint64_t cmsg_id;
    uint64_t store_id;
    uint32_t subscription_identifier;
    uint16_t mid;
    uint8_t qos;
    uint8_t state;
    bool retain;
};

struct backlog_message {
    uint64_t store_id;
    uint32_t count; // entries that name it
    bool gone;      // the broker does not have it
};

// ---- at the restore ------------------------------------------------------------------------

static int out_of_memory(struct store_error *err)
{
    return error_set(err, STORE_ENOMEM, "out of memory for messages that wait for room");
}

static struct backlog_client *client_add(struct backlog *backlog, struct span client_id,
                                         struct store_error *err)
{
    struct backlog_client *clients =
        realloc(backlog->clients, (backlog->clients_count + 1) * sizeof(*clients));
    if (!clients) {
        out_of_memory(err);
        return NULL;
    }
    backlog->clients = clients;
    char *copy = calloc(1, (size_t)client_id.len + 1);
    if (!copy) {
        out_of_memory(err);
        return NULL;
    }
    memcpy(copy, client_id.data, client_id.len);
    struct backlog_client *client = &clients[backlog->clients_count++];
    *client = (struct backlog_client){
        .client_id = copy, .first = backlog->entries_count, .end = backlog->entries_count};
    return client;
}

int backlog_add(struct backlog *backlog, const struct queued *queued, struct store_error *err)
{
    struct backlog_client *client =
        backlog->clients_count ? &backlog->clients[backlog->clients_count - 1] : NULL;
    if (!client || !span_equal(span_str(client->client_id), queued->client_id)) {
        client = client_add(backlog, queued->client_id, err);
        if (!client)
            return err->code;
    }
    if (backlog->entries_count == backlog->entries_capacity) {
        size_t capacity = backlog->entries_capacity ? backlog->entries_capacity * 2 : 64;
        struct backlog_entry *entries = realloc(backlog->entries, capacity * sizeof(*entries));
        if (!entries)
            return out_of_memory(err);
        backlog->entries = entries;
        backlog->entries_capacity = capacity;
    }
    backlog->entries[backlog->entries_count++] =
        (struct backlog_entry){.cmsg_id = queued->cmsg_id,
                               .store_id = queued->store_id,
                               .subscription_identifier = queued->subscription_identifier,
                               .mid = queued->mid,
                               .qos = queued->qos,
                               .state = queued->state,
                               .retain = queued->retain};
    client->end = backlog->entries_count;
    backlog->waiting++;
    return 0;
}

static int compare_clients(const void *a, const void *b)
{
    return strcmp(((const struct backlog_client *)a)->client_id,
                  ((const struct backlog_client *)b)->client_id);
}

static int compare_messages(const void *a, const void *b)
{
    uint64_t left = ((const struct backlog_message *)a)->store_id;
    uint64_t right = ((const struct backlog_message *)b)->store_id;
    return left < right ? -1 : left > right;
}

int backlog_ready(struct backlog *backlog, struct store_error *err)
{
    if (!backlog->waiting)
        return 0;
    qsort(backlog->clients, backlog->clients_count, sizeof(*backlog->clients), compare_clients);
    backlog->messages = calloc(backlog->entries_count, sizeof(*backlog->messages));
    if (!backlog->messages)
        return out_of_memory(err);
    for (size_t i = 0; i < backlog->entries_count; i++)
        backlog->messages[i] =
            (struct backlog_message){.store_id = backlog->entries[i].store_id, .count = 1};
    qsort(backlog->messages, backlog->entries_count, sizeof(*backlog->messages), compare_messages);
    for (size_t i = 0; i < backlog->entries_count; i++) {
        struct backlog_message *last = &backlog->messages[backlog->messages_count];
        if (backlog->messages_count && last[-1].store_id == backlog->messages[i].store_id)
            last[-1].count++;
        else
            backlog->messages[backlog->messages_count++] = backlog->messages[i];
    }
    return 0;
}

// ---- what still waits ----------------------------------------------------------------------

static struct backlog_client *client_find(struct backlog *backlog, const char *client_id)
{
    if (!backlog->waiting)
        return NULL;
    struct backlog_client key = {.client_id = (char *)(uintptr_t)client_id};
    struct backlog_client *client = bsearch(&key, backlog->clients, backlog->clients_count,
                                            sizeof(*backlog->clients), compare_clients);
    return client && client->first < client->end ? client : NULL;
}

static struct backlog_message *message_find(struct backlog *backlog, uint64_t store_id)
{
    if (!backlog->waiting)
        return NULL;
    struct backlog_message key = {.store_id = store_id};
    struct backlog_message *message = bsearch(&key, backlog->messages, backlog->messages_count,
                                              sizeof(*backlog->messages), compare_messages);
    return message && message->count ? message : NULL;
}

bool backlog_keeps_message(struct plugin *plugin, uint64_t store_id)
{
    struct backlog_message *message = message_find(&plugin->backlog, store_id);
    if (!message)
        return false;
    message->gone = true;
    return true;
}

// ---- into the broker's queue ---------------------------------------------------------------

// Hands the message itself to the broker, unless it has it.
static int message_offer(struct plugin *plugin, uint64_t store_id, bool *ret_had,
                         struct store_error *err)
{
    struct store_view *view = NULL;
    struct message message;
    int rc = store_view_open(&view, plugin->store, err);
    if (rc == 0)
        rc = store_get_message(view, store_id, &message, err);
    if (rc == 0)
        rc = restore_message(&message, ret_had, err);
    store_view_close(view);
    return rc;
}

static struct mosquitto_client_msg entry_for_broker(const char *client_id,
                                                    const struct backlog_entry *entry)
{
    return (struct mosquitto_client_msg){.clientid = client_id,
                                         .cmsg_id = entry->cmsg_id,
                                         .store_id = entry->store_id,
                                         .subscription_identifier = entry->subscription_identifier,
                                         .mid = entry->mid,
                                         .qos = entry->qos,
                                         .retain = entry->retain,
                                         .direction = mosq_bmd_out};
}

static void entry_forget(struct plugin *plugin, const char *client_id,
                         const struct backlog_entry *entry)
{
    struct event event = {.type = RECORD_QUEUE_DELETE,
                          .queued = {.client_id = span_str(client_id),
                                     .cmsg_id = entry->cmsg_id,
                                     .store_id = entry->store_id,
                                     .mid = entry->mid,
                                     .direction = QUEUE_OUT,
                                     .qos = entry->qos}};
    append_event(plugin, &event);
}

// What the broker returns: 0, the entry is in flight; 2, it is queued or dropped; else an error.
// 0 also for one whose message has expired during the restore: it is no longer in the store.
static int entry_offer(struct plugin *plugin, const char *client_id,
                       const struct backlog_entry *entry)
{
    struct mosquitto_client_msg msg = entry_for_broker(client_id, entry);
    int rc = mosquitto_persist_client_msg_add(&msg);
    if (rc == MOSQ_ERR_NOT_FOUND) {
        struct store_error err = {0};
        bool had;
        int offered = message_offer(plugin, entry->store_id, &had, &err);
        if (offered == STORE_ENOTFOUND) {
            entry_forget(plugin, client_id, entry);
            return 0;
        }
        if (offered) {
            log_line(LOG_LEVEL_ERROR, "a message for client %s stays behind: %s", client_id,
                     err.sentence);
            return MOSQ_ERR_NOT_FOUND;
        }
        rc = mosquitto_persist_client_msg_add(&msg);
    }
    if (state_is_pubrel(entry->state) && (rc == 0 || rc == BROKER_QUEUED_OR_DROPPED))
        pubrel_defer(plugin, client_id, entry->cmsg_id, entry->mid, rc == 0);
    return rc;
}

bool backlog_probes(struct plugin *plugin, uint64_t cmsg_id)
{
    struct backlog *backlog = &plugin->backlog;
    if (!backlog->probed || backlog->probed != cmsg_id)
        return false;
    backlog->probe_found = true;
    return true;
}

// Whether the broker has the entry: deletes it there, and sees whether that raises an event. The
// entry is put back if it was there, and forgotten by the broker if not.
static bool entry_probe(struct plugin *plugin, const char *client_id,
                        const struct backlog_entry *entry)
{
    struct backlog *backlog = &plugin->backlog;
    struct mosquitto_client_msg msg = entry_for_broker(client_id, entry);
    backlog->probed = entry->cmsg_id;
    backlog->probe_found = false;
    mosquitto_persist_client_msg_delete(&msg);
    backlog->probed = 0;
    pubrel_deleted(plugin, client_id, entry->cmsg_id);
    if (backlog->probe_found) {
        // Where it was there is room for it.
        entry_offer(plugin, client_id, entry);
        return true;
    }
    struct backlog_message *message = message_find(backlog, entry->store_id);
    mosquitto_persist_base_msg_delete(entry->store_id); // if no other queue names it
    if (message)
        message->gone = true;
    return false;
}

// An entry no longer waits: the broker has it, or its session has ended.
static void entry_leave(struct plugin *plugin, const struct backlog_entry *entry,
                        bool session_ended)
{
    struct backlog *backlog = &plugin->backlog;
    struct backlog_message *message = message_find(backlog, entry->store_id);
    struct store_error err = {0};
    bool had = true;
    if (message && --message->count == 0 && message->gone && session_ended &&
        message_offer(plugin, entry->store_id, &had, &err) == 0 && !had) {
        // Nobody but us had it any more.
        struct event event = {.type = RECORD_MESSAGE_DELETE, .message.store_id = entry->store_id};
        mosquitto_persist_base_msg_delete(entry->store_id);
        append_event(plugin, &event);
    }
    if (--backlog->waiting == 0)
        backlog_release(backlog);
}

// Takes the client's first `count` entries off. Frees everything with the last of all.
static void entries_leave(struct plugin *plugin, struct backlog_client *client, size_t count,
                          bool session_ended)
{
    size_t first = client->first;
    client->first += count;
    for (size_t i = first; i < first + count; i++) {
        struct backlog_entry entry = plugin->backlog.entries[i];
        entry_leave(plugin, &entry, session_ended);
    }
}

// Offers the client's entries in order; returns how many the broker has taken. It says the same of
// a queued and of a dropped entry, so the first and the last of them are asked for; once one is
// dropped, all behind it are.
static size_t entries_offer(struct plugin *plugin, const struct backlog_client *client)
{
    const struct backlog_entry *entries = &plugin->backlog.entries[client->first];
    size_t count = client->end - client->first, sure = 0, at = 0;
    bool asked = false;
    for (; at < count; at++) {
        int rc = entry_offer(plugin, client->client_id, &entries[at]);
        if (rc && rc != BROKER_QUEUED_OR_DROPPED)
            break;
        if (rc == 0) {
            sure = at + 1;
        } else if (!asked) {
            if (!entry_probe(plugin, client->client_id, &entries[at]))
                break;
            asked = true;
            sure = at + 1;
        }
    }
    while (at > sure && !entry_probe(plugin, client->client_id, &entries[at - 1]))
        at--;
    return at;
}

static void client_fill(struct plugin *plugin, struct backlog_client *client)
{
    client->due = false;
    size_t taken = entries_offer(plugin, client);
    if (!taken)
        return;
    log_line(LOG_LEVEL_INFO, "%zu messages that waited for room are in the queue of client %s",
             taken, client->client_id);
    // Deletes nothing, for no message of QoS 1 has packet id 0, and makes the broker send what has
    // come in flight.
    struct mosquitto_client_msg nothing = {
        .clientid = client->client_id, .mid = 0, .qos = 1, .direction = mosq_bmd_out};
    mosquitto_persist_client_msg_delete(&nothing);
    entries_leave(plugin, client, taken, false);
}

void backlog_client_connected(struct plugin *plugin, const char *client_id)
{
    struct backlog_client *client = client_find(&plugin->backlog, client_id);
    if (client)
        client_fill(plugin, client);
}

void backlog_client_offline(struct plugin *plugin, const char *client_id)
{
    struct backlog_client *client = client_find(&plugin->backlog, client_id);
    if (client)
        client->due = false;
}

void backlog_queue_shrank(struct plugin *plugin, const char *client_id)
{
    struct backlog_client *client = client_find(&plugin->backlog, client_id);
    if (client)
        client->due = plugin->backlog.due = true;
}

void backlog_tick(struct plugin *plugin)
{
    struct backlog *backlog = &plugin->backlog;
    if (!backlog->due)
        return;
    backlog->due = false;
    // The last entry to leave takes the list along.
    for (size_t i = 0; i < backlog->clients_count; i++) {
        if (backlog->clients[i].due && backlog->clients[i].first < backlog->clients[i].end)
            client_fill(plugin, &backlog->clients[i]);
    }
}

void backlog_client_deleted(struct plugin *plugin, const char *client_id)
{
    struct backlog_client *client = client_find(&plugin->backlog, client_id);
    if (client)
        entries_leave(plugin, client, client->end - client->first, true);
}

void backlog_release(struct backlog *backlog)
{
    for (size_t i = 0; i < backlog->clients_count; i++)
        free(backlog->clients[i].client_id);
    free(backlog->clients);
    free(backlog->entries);
    free(backlog->messages);
    *backlog = (struct backlog){0};
}
