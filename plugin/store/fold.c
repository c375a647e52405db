// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "fold.h"

#include "checksum.h"
#include "fold_parts.h"

#include <stdlib.h>
#include <time.h>

#define KEEP_BYTES ((size_t)32 << 20)

int fold_out_of_memory(struct store_error *err)
{
    return error_set(err, STORE_ENOMEM, "out of memory while folding the journal");
}

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

bool fold_array_reserve(struct fold_array *array, size_t item_bytes)
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
        return fold_out_of_memory(err);
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

uint32_t fold_client_get(struct fold *fold, struct span client_id)
{
    uint32_t hash = (uint32_t)checksum64(client_id.data, client_id.len, fold->seed);
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&fold->client_hash, hash, &at)) != 0;)
        if (span_equal(CLIENTS(fold)[ref - 1].client_id, client_id))
            return ref - 1;

    if (!fold_array_reserve(&fold->clients, sizeof(struct fold_client)) ||
        !hash_reserve(&fold->client_hash))
        return FOLD_NONE;
    uint32_t index = fold->clients.count++;
    struct fold_client client = {.client_id = client_id, .session = FOLD_NONE, .will = FOLD_NONE};
    CLIENTS(fold)[index] = client;
    hash_insert(&fold->client_hash, hash, index + 1);
    return index;
}

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
        if (!fold_array_reserve(&fold->subscriptions, sizeof(struct fold_subscription)) ||
            !hash_reserve(&fold->subscription_hash))
            return fold_out_of_memory(err);
        uint32_t index = fold->subscriptions.count++;
        hash_insert(&fold->subscription_hash, hash, index + 1);
        entry = &SUBSCRIPTIONS(fold)[index];
        *entry = (struct fold_subscription){.topic_filter = subscription->topic_filter,
                                            .client = client,
                                            .incarnation = owner->incarnation};
    }
    entry->conditional = owner->existence == FOLD_AS_BEFORE;
    entry->identifier = subscription->identifier;
    entry->options = subscription->options;
    entry->outcome = (uint8_t)outcome;
    fold->effects++;
    return 0;
}

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
        if (!fold_array_reserve(&fold->retained, sizeof(struct fold_retained)) ||
            !hash_reserve(&fold->retained_hash))
            return fold_out_of_memory(err);
        uint32_t index = fold->retained.count++;
        hash_insert(&fold->retained_hash, hash, index + 1);
        entry = &RETAINED(fold)[index];
        *entry = (struct fold_retained){.topic = retained->topic};
    }
    entry->store_id = retained->store_id;
    entry->outcome = (uint8_t)outcome;
    fold->effects++;
    return 0;
}

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
        return fold_session_add(fold, client, &event->session, err);
    case RECORD_SESSION_UPDATE:
        return fold_session_update(fold, client, &event->session, err);
    case RECORD_SESSION_DELETE:
        fold_session_delete(fold, client);
        return 0;
    case RECORD_SUBSCRIPTION_ADD:
        return subscription_change(fold, index, &event->subscription, FOLD_PUT, err);
    case RECORD_SUBSCRIPTION_DELETE:
        return subscription_change(fold, index, &event->subscription, FOLD_DELETE, err);
    case RECORD_QUEUE_ADD:
    case RECORD_QUEUE_UPDATE:
    case RECORD_QUEUE_DELETE:
        return fold_queued_change(fold, index, event->type, &event->queued, err);
    case RECORD_WILL_SET:
        return fold_will_set(fold, client, &event->will, err);
    case RECORD_WILL_DELETE:
        fold_will_end(fold, client);
        return 0;
    default:
        return fold_connection_change(fold, client, event->type, &event->connection, err);
    }
}

int fold_add(struct fold *fold, const struct event *event, struct store_error *err)
{
    const struct span *client_id = event_client_id(event);
    if (client_id) {
        uint32_t index = fold_client_get(fold, *client_id);
        return index == FOLD_NONE ? fold_out_of_memory(err)
                                  : fold_add_of_client(fold, index, event, err);
    }
    switch (event->type) {
    case RECORD_MESSAGE_ADD:
        return fold_message_add(fold, &event->message, err);
    case RECORD_MESSAGE_DELETE:
        return fold_message_delete(fold, event->message.store_id, err);
    case RECORD_RETAINED_SET:
        return retained_change(fold, &event->retained, FOLD_PUT, err);
    case RECORD_RETAINED_DELETE:
        return retained_change(fold, &event->retained, FOLD_DELETE, err);
    case RECORD_STOP_MARK:
        fold_wills_end(fold);
        return 0;
    case RECORD_LOOP_MARK:
    case RECORD_SEGMENT_LINK:
        return 0;
    default:
        return error_set(err, STORE_EINVAL, "event of unknown type %d", (int)event->type);
    }
}
