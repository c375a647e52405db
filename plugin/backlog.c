// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "backlog.h"

#include "log.h"
#include "mid.h"
#include "plugin.h"
#include "restore.h"

#include <stdlib.h>

struct backlog_client {
    char *client_id;
    size_t first;      // index of the first entry that still waits
    size_t end;        // behind the last; equal to `first`: none
    uint16_t last_mid; // the newest packet id that the broker has given to one of its messages
    bool due;          // its queue may have got room
    bool listed;       // it is in the list of those that are due, or were
    struct backlog_client *next_due;
};

struct backlog_entry {
    uint64_t cmsg_id;
    uint64_t store_id;
    uint32_t subscription_identifier;
    uint16_t mid;
    uint8_t qos;
    uint8_t state;
    bool retain;
    bool said; // that its message cannot be read
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

int backlog_add(struct backlog *backlog, const struct queued *queued, uint16_t last_mid,
                struct store_error *err)
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
    client->last_mid = last_mid;
    backlog->waiting++;
    return 0;
}

static int compare_clients(const void *a, const void *b)
{
    return strcmp(((const struct backlog_client *)a)->client_id,
                  ((const struct backlog_client *)b)->client_id);
}

// Those of one client in the order of coming.
static int compare_clients_and_places(const void *a, const void *b)
{
    size_t left = ((const struct backlog_client *)a)->first;
    size_t right = ((const struct backlog_client *)b)->first;
    int order = compare_clients(a, b);
    return order ? order : left < right ? -1 : left > right;
}

static int compare_messages(const void *a, const void *b)
{
    uint64_t left = ((const struct backlog_message *)a)->store_id;
    uint64_t right = ((const struct backlog_message *)b)->store_id;
    return left < right ? -1 : left > right;
}

// Makes one of the clients that came more than once, and lays the entries of each together.
static int clients_unite(struct backlog *backlog, struct store_error *err)
{
    struct backlog_entry *entries = calloc(backlog->entries_count, sizeof(*entries));
    size_t clients_count = 0, entries_count = 0;
    if (!entries)
        return out_of_memory(err);
    for (size_t i = 0; i < backlog->clients_count; i++) {
        struct backlog_client *client = &backlog->clients[i];
        struct backlog_client *last = &backlog->clients[clients_count - (clients_count > 0)];
        size_t count = client->end - client->first;
        memcpy(entries + entries_count, backlog->entries + client->first, count * sizeof(*entries));
        client->first = entries_count;
        client->end = entries_count += count;
        if (clients_count && compare_clients(last, client) == 0) {
            last->end = client->end;
            last->last_mid = client->last_mid;
            free(client->client_id);
        } else {
            backlog->clients[clients_count++] = *client;
        }
    }
    free(backlog->entries);
    backlog->entries = entries;
    backlog->entries_capacity = backlog->entries_count;
    backlog->clients_count = clients_count;
    return 0;
}

int backlog_ready(struct backlog *backlog, struct store_error *err)
{
    if (!backlog->waiting)
        return 0;
    qsort(backlog->clients, backlog->clients_count, sizeof(*backlog->clients),
          compare_clients_and_places);
    if (clients_unite(backlog, err))
        return err->code;
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
    if (!backlog->waiting || !backlog->messages) // not ready
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

// ---- packet ids ----------------------------------------------------------------------------

// No message has this QoS. Told to delete one that has it, the broker looks at the first message
// with the packet id, in flight or queued, finds another QoS, and deletes nothing.
#define QOS_OF_NONE 3

// So many packet ids in a row are tried. All are in use only where a queue holds some 65,000.
#define MID_TRIES 16

static bool mid_is_used(const char *client_id, uint16_t mid)
{
    struct mosquitto_client_msg msg = {
        .clientid = client_id, .mid = mid, .qos = QOS_OF_NONE, .direction = mosq_bmd_out};
    return mosquitto_persist_client_msg_delete(&msg) == MOSQ_ERR_PROTOCOL;
}

// The next one that no message has; 0 if there is none nearby.
static uint16_t mid_unused(const struct backlog_client *client)
{
    uint16_t mid = client->last_mid;
    for (int i = 0; i < MID_TRIES; i++) {
        mid = mid_next(mid);
        if (!mid_is_used(client->client_id, mid))
            return mid;
    }
    return 0;
}

void backlog_mid_seen(struct plugin *plugin, const char *client_id, uint16_t mid)
{
    struct backlog_client *client = client_find(&plugin->backlog, client_id);
    if (client)
        client->last_mid = mid;
}

bool backlog_is_placeholder(const struct plugin *plugin, uint64_t cmsg_id)
{
    return plugin->backlog.placeholder && plugin->backlog.placeholder == cmsg_id;
}

// ---- into the broker's queue ---------------------------------------------------------------

enum outcome {
    ENTRY_WAITS, // there is no room for it
    ENTRY_QUEUED,
    ENTRY_IN_FLIGHT, // but not sent before the broker is told to
    ENTRY_OVER,      // its message has expired during the restore: it is no longer in the store
};

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

// Whether a queue, or a topic as its retained message, holds the message: what nobody does, the
// broker lets go of here. Looking for the message is the first that it does with an entry, before
// it sees that this one's direction is none.
static bool message_is_held(const char *client_id, uint64_t store_id)
{
    struct mosquitto_client_msg msg = {
        .clientid = client_id, .store_id = store_id, .direction = mosq_bmd_all};
    mosquitto_persist_base_msg_delete(store_id);
    return mosquitto_persist_client_msg_add(&msg) != MOSQ_ERR_NOT_FOUND;
}

static struct mosquitto_client_msg entry_for_broker(const struct backlog_client *client,
                                                    const struct backlog_entry *entry, uint16_t mid)
{
    return (struct mosquitto_client_msg){.clientid = client->client_id,
                                         .cmsg_id = entry->cmsg_id,
                                         .store_id = entry->store_id,
                                         .subscription_identifier = entry->subscription_identifier,
                                         .mid = mid,
                                         .qos = entry->qos,
                                         .retain = entry->retain,
                                         .direction = mosq_bmd_out};
}

// The entry changes in the store, or leaves it.
static void entry_record(struct plugin *plugin, enum record_type type,
                         const struct backlog_client *client, const struct backlog_entry *entry)
{
    struct event event = {.type = type,
                          .queued = {.client_id = span_str(client->client_id),
                                     .cmsg_id = entry->cmsg_id,
                                     .store_id = entry->store_id,
                                     .subscription_identifier = entry->subscription_identifier,
                                     .mid = entry->mid,
                                     .direction = QUEUE_OUT,
                                     .qos = entry->qos,
                                     .state = entry->state,
                                     .retain = entry->retain}};
    append_event(plugin, &event);
}

// The broker has been offered an old packet id, and would count on from there. It counts on from
// that of any entry that it is offered, whether it takes it or not: so once more, with the newest,
// and what it has taken of that goes again. Should that have had a place in flight, the broker does
// not give that place back before the next connection; then it was not the last one.
static void mids_count_on(struct plugin *plugin, struct backlog_client *client,
                          const struct backlog_entry *entry)
{
    uint16_t mid = client->last_mid == entry->mid ? 0 : mid_unused(client);
    if (!mid)
        return;
    struct mosquitto_client_msg msg = entry_for_broker(client, entry, mid);
    plugin->backlog.placeholder = entry->cmsg_id;
    mosquitto_persist_client_msg_add(&msg);
    // The listener may allow less than the message's QoS.
    while (mosquitto_persist_client_msg_delete(&msg) == MOSQ_ERR_PROTOCOL && msg.qos > 0)
        msg.qos--;
    plugin->backlog.placeholder = 0;
    client->last_mid = mid;
}

// An entry whose packet id the client may know. It waits while a newer message has that id.
static enum outcome sent_entry_offer(struct plugin *plugin, struct backlog_client *client,
                                     const struct backlog_entry *entry)
{
    struct mosquitto_client_msg msg = entry_for_broker(client, entry, entry->mid);
    if (mid_is_used(client->client_id, entry->mid))
        return ENTRY_WAITS;
    int rc = mosquitto_persist_client_msg_add(&msg);
    bool queued = rc == BROKER_QUEUED_OR_DROPPED && mid_is_used(client->client_id, entry->mid);
    if (state_is_pubrel(entry->state) && (rc == 0 || queued))
        pubrel_defer(plugin, client->client_id, entry->cmsg_id, entry->mid, rc == 0);
    mids_count_on(plugin, client, entry);
    return rc == 0 ? ENTRY_IN_FLIGHT : queued ? ENTRY_QUEUED : ENTRY_WAITS;
}

// An entry that has never been sent. The broker says the same of one that it has queued and of one
// that it has dropped: but a message that nobody else holds is held after the former only, and
// otherwise the packet id tells. To look for that the broker walks along the queue.
static enum outcome new_entry_offer(struct plugin *plugin, struct backlog_client *client,
                                    struct backlog_entry *entry, bool shared)
{
    uint16_t mid = shared ? mid_unused(client) : mid_next(client->last_mid);
    struct mosquitto_client_msg msg = entry_for_broker(client, entry, mid);
    if (!mid)
        return ENTRY_WAITS;
    int rc = mosquitto_persist_client_msg_add(&msg);
    if (rc && rc != BROKER_QUEUED_OR_DROPPED)
        return ENTRY_WAITS;
    if (rc && !(shared ? mid_is_used(client->client_id, mid)
                       : message_is_held(client->client_id, entry->store_id)))
        return ENTRY_WAITS;
    client->last_mid = entry->mid = mid;
    if (rc)
        return ENTRY_QUEUED;
    // Of a queued one the broker tells before it sends it.
    entry->state = entry->qos == 2 ? QUEUE_STATE_PUBLISH_QOS2 : QUEUE_STATE_PUBLISH_QOS1;
    entry_record(plugin, RECORD_QUEUE_UPDATE, client, entry);
    return ENTRY_IN_FLIGHT;
}

static enum outcome entry_offer(struct plugin *plugin, struct backlog_client *client,
                                struct backlog_entry *entry)
{
    struct store_error err = {0};
    bool shared = message_is_held(client->client_id, entry->store_id), had;
    int rc = shared ? 0 : message_offer(plugin, entry->store_id, &had, &err);
    if (rc == STORE_ENOTFOUND) {
        entry_record(plugin, RECORD_QUEUE_DELETE, client, entry);
        return ENTRY_OVER;
    }
    if (rc) {
        if (!entry->said)
            log_line(LOG_LEVEL_ERROR, "a message for client %s stays behind: %s", client->client_id,
                     err.sentence);
        entry->said = true;
        return ENTRY_WAITS;
    }
    enum outcome outcome = entry->state == QUEUE_STATE_QUEUED
                               ? new_entry_offer(plugin, client, entry, shared)
                               : sent_entry_offer(plugin, client, entry);
    struct backlog_message *message = message_find(&plugin->backlog, entry->store_id);
    if (outcome == ENTRY_WAITS && !message_is_held(client->client_id, entry->store_id) && message)
        message->gone = true;
    return outcome;
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

// Offers the client's entries in order, until one finds no room: none behind it would.
static void client_fill(struct plugin *plugin, struct backlog_client *client)
{
    size_t taken = 0;
    bool in_flight = false;
    client->due = false;
    for (; client->first + taken < client->end; taken++) {
        enum outcome outcome =
            entry_offer(plugin, client, &plugin->backlog.entries[client->first + taken]);
        if (outcome == ENTRY_WAITS)
            break;
        in_flight |= outcome == ENTRY_IN_FLIGHT;
    }
    if (client->first + taken == client->end)
        log_line(LOG_LEVEL_INFO,
                 "all messages that waited for room are in the queue of client %s now",
                 client->client_id);
    // Deletes nothing, for no message of QoS 1 has packet id 0, and makes the broker send what has
    // come in flight.
    struct mosquitto_client_msg nothing = {
        .clientid = client->client_id, .mid = 0, .qos = 1, .direction = mosq_bmd_out};
    if (in_flight)
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
    struct backlog *backlog = &plugin->backlog;
    struct backlog_client *client = client_find(backlog, client_id);
    if (!client)
        return;
    client->due = true;
    if (client->listed)
        return;
    client->listed = true;
    client->next_due = backlog->due;
    backlog->due = client;
}

void backlog_fill(struct plugin *plugin)
{
    struct backlog *backlog = &plugin->backlog;
    struct backlog_client *client = backlog->due;
    backlog->due = NULL; // what becomes due meanwhile has its turn the next time
    // The last entry to leave takes the list along.
    while (client && backlog->waiting) {
        struct backlog_client *next = client->next_due;
        client->listed = false;
        if (client->due && client->first < client->end)
            client_fill(plugin, client);
        client = next;
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
