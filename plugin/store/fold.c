// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "fold_internal.h"

#include "checksum.h"

#include <stdlib.h>
#include <time.h>

#define KEEP_BYTES ((size_t)32 << 20)

static int out_of_memory(struct store_error *err)
{
    return error_set(err, STORE_ENOMEM, "out of memory while folding the journal");
}

// ---- arrays --------------------------------------------------------------------------------

static void array_clear(struct fold_array *array)
{
    array->count = 0;
    array->free_list = FOLD_NONE;
}

static void array_release(struct fold_array *array)
{
    free(array->items);
    *array = (struct fold_array){.free_list = FOLD_NONE};
}

// Makes room for one more item at the end.
static bool array_reserve(struct fold_array *array, size_t item_bytes)
{
    if (array->count < array->capacity)
        return true;
    if (array->capacity > UINT32_MAX / 4 || array->capacity > SIZE_MAX / 4 / item_bytes)
        return false;
    uint32_t capacity = array->capacity ? array->capacity * 2 : 32;
    void *items = realloc(array->items, capacity * item_bytes);
    if (!items)
        return false;
    array->items = items;
    array->capacity = capacity;
    return true;
}

#define CLIENTS(fold) FOLD_ITEMS(fold, clients, struct fold_client)
#define SESSIONS(fold) FOLD_ITEMS(fold, sessions, struct session)
#define WILLS(fold) FOLD_ITEMS(fold, wills, struct will)
#define SUBSCRIPTIONS(fold) FOLD_ITEMS(fold, subscriptions, struct fold_subscription)
#define MESSAGES(fold) FOLD_ITEMS(fold, messages, struct fold_message)
#define MESSAGE_DATA(fold) FOLD_ITEMS(fold, message_data, struct message)
#define QUEUE(fold) FOLD_ITEMS(fold, queue, struct fold_queued)
#define RETAINED(fold) FOLD_ITEMS(fold, retained, struct fold_retained)

// X(array, item type)
#define ARRAYS(X)                              \
    X(clients, struct fold_client)             \
    X(sessions, struct session)                \
    X(wills, struct will)                      \
    X(subscriptions, struct fold_subscription) \
    X(messages, struct fold_message)           \
    X(message_data, struct message)            \
    X(queue, struct fold_queued)               \
    X(retained, struct fold_retained)

#define HASHES(X)        \
    X(client_hash)       \
    X(subscription_hash) \
    X(message_hash)      \
    X(queue_hash)        \
    X(retained_hash)

int fold_new(struct fold **ret_fold, struct store_error *err)
{
    struct fold *fold = calloc(1, sizeof(*fold));
    if (!fold)
        return out_of_memory(err);
    // Clients choose ids and topics: they should not know where those land in our hash tables.
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fold->seed = (uint64_t)(uintptr_t)fold ^ (uint64_t)now.tv_nsec << 20 ^ (uint64_t)now.tv_sec;
#define INIT(array, type) array_clear(&fold->array);
    ARRAYS(INIT)
#undef INIT
    *ret_fold = fold;
    return 0;
}

static void fold_release_memory(struct fold *fold)
{
#define RELEASE(array, type) array_release(&fold->array);
    ARRAYS(RELEASE)
#undef RELEASE
#define RELEASE(hash) hash_release(&fold->hash);
    HASHES(RELEASE)
#undef RELEASE
}

void fold_free(struct fold *fold)
{
    if (!fold)
        return;
    fold_release_memory(fold);
    free(fold);
}

bool fold_is_empty(const struct fold *fold)
{
    return fold->effects == 0 && fold->live == 0 && fold->anomalies == 0;
}

size_t fold_bytes(const struct fold *fold)
{
    size_t bytes = sizeof(*fold);
#define ADD(array, type) bytes += fold->array.capacity * sizeof(type);
    ARRAYS(ADD)
#undef ADD
#define ADD(hash) bytes += hash_bytes(&fold->hash);
    HASHES(ADD)
#undef ADD
    return bytes;
}

void fold_clear(struct fold *fold)
{
    if (fold_bytes(fold) > KEEP_BYTES)
        fold_release_memory(fold);
#define CLEAR(array, type) array_clear(&fold->array);
    ARRAYS(CLEAR)
#undef CLEAR
#define CLEAR(hash) hash_clear(&fold->hash);
    HASHES(CLEAR)
#undef CLEAR
    fold->effects = 0;
    fold->live = 0;
    fold->anomalies = 0;
    fold->all_wills_gone = false;
}

// ---- clients -------------------------------------------------------------------------------

// Index of the client, which is made if the stretch has not named it before; FOLD_NONE when out of
// memory.
static uint32_t client_get(struct fold *fold, struct span client_id)
{
    uint32_t hash = (uint32_t)checksum64(client_id.data, client_id.len, fold->seed);
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&fold->client_hash, hash, &at)) != 0;)
        if (span_equal(CLIENTS(fold)[ref - 1].client_id, client_id))
            return ref - 1;

    if (!array_reserve(&fold->clients, sizeof(struct fold_client)) ||
        !hash_reserve(&fold->client_hash))
        return FOLD_NONE;
    uint32_t index = fold->clients.count++;
    CLIENTS(fold)
    [index] = (struct fold_client){
        .client_id = client_id, .hash = hash, .session = FOLD_NONE, .will = FOLD_NONE};
    hash_insert(&fold->client_hash, hash, index + 1);
    return index;
}

// The place for changes of a client's session; NULL when out of memory.
static struct session *client_session(struct fold *fold, struct fold_client *client)
{
    if (client->session == FOLD_NONE) {
        if (!array_reserve(&fold->sessions, sizeof(struct session)))
            return NULL;
        client->session = fold->sessions.count++;
        SESSIONS(fold)[client->session] = (struct session){0};
    }
    return &SESSIONS(fold)[client->session];
}

static void client_will_end(struct fold *fold, struct fold_client *client)
{
    client->will_change = FOLD_WILL_GONE;
    fold->effects++;
}

static int session_add(struct fold *fold, struct fold_client *client, const struct session *session,
                       struct store_error *err)
{
    struct session *place = client_session(fold, client);
    if (!place)
        return out_of_memory(err);
    *place = *session;
    place->connected = true;
    client->existence = FOLD_PRESENT;
    client->changes = FOLD_EVERYTHING;
    fold->effects++;
    return 0;
}

// The broker also updates clients that have no stored session: then nothing comes of it.
static int session_update(struct fold *fold, struct fold_client *client,
                          const struct session *session, struct store_error *err)
{
    if (client->existence == FOLD_ABSENT)
        return 0;
    struct session *place = client_session(fold, client);
    if (!place)
        return out_of_memory(err);
    bool connected = place->connected;
    int64_t changed_time_ms = place->changed_time_ms;
    *place = *session;
    place->connected = connected;
    place->changed_time_ms = changed_time_ms;
    client->changes |= FOLD_ATTRIBUTES | FOLD_USERNAME | FOLD_EXPIRY_TIME;
    fold->effects++;
    return 0;
}

static void session_delete(struct fold *fold, struct fold_client *client)
{
    client->existence = FOLD_ABSENT;
    client->changes = 0;
    client->purge = true;
    client->incarnation++;
    fold->live -= client->queue_live;
    client->queue_live = 0;
    client_will_end(fold, client);
}

static void session_set_connected(struct fold_client *client, struct session *place, bool connected,
                                  int64_t time_ms)
{
    place->connected = connected;
    place->changed_time_ms = time_ms;
    client->changes =
        (uint8_t)((client->changes & ~FOLD_CONNECTION_ENDED) | FOLD_CONNECTED | FOLD_EXPIRY_TIME);
}

static void session_end_connection(struct fold_client *client, struct session *place,
                                   int64_t time_ms)
{
    if (client->changes & FOLD_CONNECTED) {
        if (place->connected)
            place->changed_time_ms = time_ms;
        place->connected = false;
    } else if (!(client->changes & FOLD_CONNECTION_ENDED)) {
        client->changes |= FOLD_CONNECTION_ENDED;
        place->changed_time_ms = time_ms;
    }
}

static int connection_change(struct fold *fold, struct fold_client *client, enum record_type type,
                             const struct connection *connection, struct store_error *err)
{
    if (type != RECORD_SESSION_CONNECTED)
        client_will_end(fold, client);
    if (client->existence == FOLD_ABSENT)
        return 0;
    struct session *place = client_session(fold, client);
    if (!place)
        return out_of_memory(err);
    switch (type) {
    case RECORD_SESSION_CONNECTED:
        session_set_connected(client, place, true, connection->time_ms);
        place->session_expiry_time = 0;
        place->username = connection->username;
        client->changes |= FOLD_USERNAME;
        break;
    case RECORD_SESSION_OFFLINE:
        session_set_connected(client, place, false, connection->time_ms);
        place->session_expiry_time = connection->session_expiry_time;
        break;
    default:
        session_end_connection(client, place, connection->time_ms);
        break;
    }
    fold->effects++;
    return 0;
}

static int will_set(struct fold *fold, struct fold_client *client, const struct will *will,
                    struct store_error *err)
{
    if (client->will == FOLD_NONE) {
        if (!array_reserve(&fold->wills, sizeof(struct will)))
            return out_of_memory(err);
        client->will = fold->wills.count++;
    }
    WILLS(fold)[client->will] = *will;
    client->will_change = FOLD_WILL_SET;
    fold->effects++;
    return 0;
}

static void wills_end(struct fold *fold)
{
    fold->all_wills_gone = true;
    for (uint32_t i = 0; i < fold->clients.count; i++)
        CLIENTS(fold)[i].will_change = FOLD_WILL_GONE;
    fold->effects++;
}

// ---- subscriptions -------------------------------------------------------------------------

static uint32_t subscription_hash_of(const struct fold *fold, uint32_t client, struct span filter)
{
    return (uint32_t)checksum64(filter.data, filter.len, fold->seed + client);
}

static struct fold_subscription *subscription_find(struct fold *fold, uint32_t client,
                                                   struct span filter, uint32_t hash)
{
    uint32_t incarnation = CLIENTS(fold)[client].incarnation;
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&fold->subscription_hash, hash, &at)) != 0;) {
        struct fold_subscription *entry = &SUBSCRIPTIONS(fold)[ref - 1];
        if (entry->client == client && entry->incarnation == incarnation &&
            span_equal(entry->topic_filter, filter))
            return entry;
    }
    return NULL;
}

static int subscription_change(struct fold *fold, uint32_t client,
                               const struct subscription *subscription, enum fold_outcome outcome,
                               struct store_error *err)
{
    const struct fold_client *owner = &CLIENTS(fold)[client];
    if (owner->existence == FOLD_ABSENT) {
        fold->anomalies += outcome == FOLD_PUT;
        return 0;
    }
    uint32_t hash = subscription_hash_of(fold, client, subscription->topic_filter);
    struct fold_subscription *entry =
        subscription_find(fold, client, subscription->topic_filter, hash);
    if (!entry) {
        if (!array_reserve(&fold->subscriptions, sizeof(struct fold_subscription)) ||
            !hash_reserve(&fold->subscription_hash))
            return out_of_memory(err);
        uint32_t index = fold->subscriptions.count++;
        hash_insert(&fold->subscription_hash, hash, index + 1);
        entry = &SUBSCRIPTIONS(fold)[index];
        *entry = (struct fold_subscription){.topic_filter = subscription->topic_filter,
                                            .client = client,
                                            .incarnation = owner->incarnation,
                                            .hash = hash};
    }
    entry->conditional = owner->existence == FOLD_AS_BEFORE;
    entry->identifier = subscription->identifier;
    entry->options = subscription->options;
    entry->outcome = (uint8_t)outcome;
    fold->effects++;
    return 0;
}

// ---- messages ------------------------------------------------------------------------------

static struct fold_message *message_find(struct fold *fold, uint64_t store_id, uint32_t hash)
{
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&fold->message_hash, hash, &at)) != 0;) {
        struct fold_message *entry = &MESSAGES(fold)[ref - 1];
        if (entry->store_id == store_id)
            return entry;
    }
    return NULL;
}

static struct fold_message *message_make(struct fold *fold, uint64_t store_id, uint32_t hash)
{
    struct fold_array *messages = &fold->messages;
    uint32_t index = messages->free_list;
    if (!hash_reserve(&fold->message_hash))
        return NULL;
    if (index != FOLD_NONE) {
        messages->free_list = MESSAGES(fold)[index].data;
    } else {
        if (!array_reserve(messages, sizeof(struct fold_message)))
            return NULL;
        index = messages->count++;
    }
    hash_insert(&fold->message_hash, hash, index + 1);
    struct fold_message *entry = &MESSAGES(fold)[index];
    *entry = (struct fold_message){.store_id = store_id, .data = FOLD_NONE, .outcome = FOLD_DELETE};
    fold->live++;
    return entry;
}

// A free place among the data is chained by its store_id.
static uint32_t message_data_take(struct fold *fold)
{
    struct fold_array *data = &fold->message_data;
    uint32_t index = data->free_list;
    if (index != FOLD_NONE)
        data->free_list = (uint32_t)MESSAGE_DATA(fold)[index].store_id;
    else if (array_reserve(data, sizeof(struct message)))
        index = data->count++;
    return index;
}

static void message_data_give(struct fold *fold, struct fold_message *entry)
{
    if (entry->data == FOLD_NONE)
        return;
    MESSAGE_DATA(fold)[entry->data].store_id = fold->message_data.free_list;
    fold->message_data.free_list = entry->data;
    entry->data = FOLD_NONE;
}

static int message_add(struct fold *fold, const struct message *message, struct store_error *err)
{
    uint32_t hash = hash_of_u64(message->store_id);
    struct fold_message *entry = message_find(fold, message->store_id, hash);
    uint32_t data = entry ? entry->data : FOLD_NONE;
    if (data == FOLD_NONE && (data = message_data_take(fold)) == FOLD_NONE)
        return out_of_memory(err);
    MESSAGE_DATA(fold)[data] = *message;
    if (!entry) {
        entry = message_make(fold, message->store_id, hash);
        if (!entry) {
            MESSAGE_DATA(fold)[data].store_id = fold->message_data.free_list;
            fold->message_data.free_list = data;
            return out_of_memory(err);
        }
        entry->fresh = true;
    }
    entry->data = data;
    entry->outcome = FOLD_PUT;
    return 0;
}

static int message_delete(struct fold *fold, uint64_t store_id, struct store_error *err)
{
    uint32_t hash = hash_of_u64(store_id);
    struct fold_message *entry = message_find(fold, store_id, hash);
    if (!entry)
        return message_make(fold, store_id, hash) ? 0 : out_of_memory(err);
    if (entry->outcome == FOLD_DELETE) {
        fold->anomalies++;
        return 0;
    }
    message_data_give(fold, entry);
    entry->outcome = FOLD_DELETE;
    if (entry->fresh) {
        uint32_t index = (uint32_t)(entry - MESSAGES(fold));
        hash_remove(&fold->message_hash, hash, index + 1);
        entry->outcome = FOLD_FREE;
        entry->data = fold->messages.free_list;
        fold->messages.free_list = index;
        fold->live--;
    }
    return 0;
}

// ---- queue ---------------------------------------------------------------------------------

static uint32_t queued_hash_of(uint32_t client, uint8_t direction, uint64_t cmsg_id)
{
    return hash_of_u64(cmsg_id ^
                       (uint64_t)(client * 2u + direction) * UINT64_C(0x9e3779b97f4a7c15));
}

static struct fold_queued *queued_find(struct fold *fold, uint32_t client,
                                       const struct queued *queued, uint32_t hash)
{
    uint32_t incarnation = CLIENTS(fold)[client].incarnation;
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&fold->queue_hash, hash, &at)) != 0;) {
        struct fold_queued *entry = &QUEUE(fold)[ref - 1];
        if (entry->cmsg_id == queued->cmsg_id && entry->client == client &&
            entry->direction == queued->direction && entry->incarnation == incarnation)
            return entry;
    }
    return NULL;
}

static struct fold_queued *queued_make(struct fold *fold, uint32_t client,
                                       const struct queued *queued, uint32_t hash)
{
    struct fold_array *queue = &fold->queue;
    struct fold_client *owner = &CLIENTS(fold)[client];
    uint32_t index = queue->free_list;
    if (!hash_reserve(&fold->queue_hash))
        return NULL;
    if (index != FOLD_NONE) {
        queue->free_list = QUEUE(fold)[index].client;
    } else {
        if (!array_reserve(queue, sizeof(struct fold_queued)))
            return NULL;
        index = queue->count++;
    }
    hash_insert(&fold->queue_hash, hash, index + 1);
    struct fold_queued *entry = &QUEUE(fold)[index];
    *entry = (struct fold_queued){.cmsg_id = queued->cmsg_id,
                                  .client = client,
                                  .incarnation = owner->incarnation,
                                  .direction = queued->direction,
                                  .conditional = owner->existence == FOLD_AS_BEFORE};
    owner->queue_live++;
    fold->live++;
    return entry;
}

static void queued_drop(struct fold *fold, struct fold_queued *entry, uint32_t hash)
{
    uint32_t index = (uint32_t)(entry - QUEUE(fold));
    hash_remove(&fold->queue_hash, hash, index + 1);
    CLIENTS(fold)[entry->client].queue_live--;
    entry->outcome = FOLD_FREE;
    entry->client = fold->queue.free_list;
    fold->queue.free_list = index;
    fold->live--;
}

static void queued_update(struct fold_queued *entry, const struct queued *queued)
{
    entry->subscription_identifier = queued->subscription_identifier;
    entry->mid = queued->mid;
    entry->qos = queued->qos;
    entry->state = queued->state;
    entry->dup = queued->dup;
}

static int queued_change(struct fold *fold, uint32_t client, enum record_type type,
                         const struct queued *queued, struct store_error *err)
{
    if (CLIENTS(fold)[client].existence == FOLD_ABSENT) {
        fold->anomalies++;
        return 0;
    }
    uint32_t hash = queued_hash_of(client, queued->direction, queued->cmsg_id);
    struct fold_queued *entry = queued_find(fold, client, queued, hash);
    bool known = entry != NULL;
    if (known && entry->outcome == FOLD_DELETE && type != RECORD_QUEUE_ADD) {
        fold->anomalies++;
        return 0;
    }
    if (!known && !(entry = queued_make(fold, client, queued, hash)))
        return out_of_memory(err);
    if (!known)
        entry->fresh = type == RECORD_QUEUE_ADD;
    if (type == RECORD_QUEUE_DELETE) {
        if (entry->fresh)
            queued_drop(fold, entry, hash);
        else
            entry->outcome = FOLD_DELETE;
        return 0;
    }
    queued_update(entry, queued);
    if (type == RECORD_QUEUE_ADD) {
        entry->store_id = queued->store_id;
        entry->retain = queued->retain;
        entry->conditional = CLIENTS(fold)[client].existence == FOLD_AS_BEFORE;
        entry->outcome = FOLD_PUT;
    } else if (!known) {
        entry->outcome = FOLD_UPDATE;
    }
    return 0;
}

// ---- retained ------------------------------------------------------------------------------

static int retained_change(struct fold *fold, const struct retained *retained,
                           enum fold_outcome outcome, struct store_error *err)
{
    uint32_t hash = (uint32_t)checksum64(retained->topic.data, retained->topic.len, fold->seed);
    struct fold_retained *entry = NULL;
    uint32_t at = hash;
    for (uint32_t ref; !entry && (ref = hash_next(&fold->retained_hash, hash, &at)) != 0;)
        if (span_equal(RETAINED(fold)[ref - 1].topic, retained->topic))
            entry = &RETAINED(fold)[ref - 1];
    if (!entry) {
        if (!array_reserve(&fold->retained, sizeof(struct fold_retained)) ||
            !hash_reserve(&fold->retained_hash))
            return out_of_memory(err);
        uint32_t index = fold->retained.count++;
        hash_insert(&fold->retained_hash, hash, index + 1);
        entry = &RETAINED(fold)[index];
        *entry = (struct fold_retained){.topic = retained->topic, .hash = hash};
    }
    entry->store_id = retained->store_id;
    entry->outcome = (uint8_t)outcome;
    fold->effects++;
    return 0;
}

// ---- events --------------------------------------------------------------------------------

// The client id of an event that has one, else NULL.
static const struct span *event_client_id(const struct event *event)
{
    switch (event->type) {
    case RECORD_SESSION_ADD:
    case RECORD_SESSION_UPDATE:
        return &event->session.client_id;
    case RECORD_SESSION_DELETE:
    case RECORD_SESSION_CONNECTED:
    case RECORD_SESSION_OFFLINE:
    case RECORD_CONNECTION_ENDED:
        return &event->connection.client_id;
    case RECORD_SUBSCRIPTION_ADD:
    case RECORD_SUBSCRIPTION_DELETE:
        return &event->subscription.client_id;
    case RECORD_QUEUE_ADD:
    case RECORD_QUEUE_DELETE:
    case RECORD_QUEUE_UPDATE:
        return &event->queued.client_id;
    case RECORD_WILL_SET:
    case RECORD_WILL_DELETE:
        return &event->will.client_id;
    default:
        return NULL;
    }
}

static int fold_add_of_client(struct fold *fold, uint32_t index, const struct event *event,
                              struct store_error *err)
{
    struct fold_client *client = &CLIENTS(fold)[index];
    switch (event->type) {
    case RECORD_SESSION_ADD:
        return session_add(fold, client, &event->session, err);
    case RECORD_SESSION_UPDATE:
        return session_update(fold, client, &event->session, err);
    case RECORD_SESSION_DELETE:
        session_delete(fold, client);
        return 0;
    case RECORD_SUBSCRIPTION_ADD:
        return subscription_change(fold, index, &event->subscription, FOLD_PUT, err);
    case RECORD_SUBSCRIPTION_DELETE:
        return subscription_change(fold, index, &event->subscription, FOLD_DELETE, err);
    case RECORD_QUEUE_ADD:
    case RECORD_QUEUE_UPDATE:
    case RECORD_QUEUE_DELETE:
        return queued_change(fold, index, event->type, &event->queued, err);
    case RECORD_WILL_SET:
        return will_set(fold, client, &event->will, err);
    case RECORD_WILL_DELETE:
        client_will_end(fold, client);
        return 0;
    default:
        return connection_change(fold, client, event->type, &event->connection, err);
    }
}

int fold_add(struct fold *fold, const struct event *event, struct store_error *err)
{
    const struct span *client_id = event_client_id(event);
    if (client_id) {
        uint32_t index = client_get(fold, *client_id);
        return index == FOLD_NONE ? out_of_memory(err)
                                  : fold_add_of_client(fold, index, event, err);
    }
    switch (event->type) {
    case RECORD_MESSAGE_ADD:
        return message_add(fold, &event->message, err);
    case RECORD_MESSAGE_DELETE:
        return message_delete(fold, event->message.store_id, err);
    case RECORD_RETAINED_SET:
        return retained_change(fold, &event->retained, FOLD_PUT, err);
    case RECORD_RETAINED_DELETE:
        return retained_change(fold, &event->retained, FOLD_DELETE, err);
    case RECORD_STOP_MARK:
        wills_end(fold);
        return 0;
    case RECORD_LOOP_MARK:
    case RECORD_SEGMENT_LINK:
        return 0;
    default:
        return error_set(err, STORE_EINVAL, "event of unknown type %d", (int)event->type);
    }
}
