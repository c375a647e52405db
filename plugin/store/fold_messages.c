// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "fold_parts.h"

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
        if (!fold_array_reserve(messages, sizeof(struct fold_message)))
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
    else if (fold_array_reserve(data, sizeof(struct message)))
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

int fold_message_add(struct fold *fold, const struct message *message, struct store_error *err)
{
    uint32_t hash = hash_of_u64(message->store_id);
    struct fold_message *entry = message_find(fold, message->store_id, hash);
    uint32_t data = entry ? entry->data : FOLD_NONE;
    if (data == FOLD_NONE && (data = message_data_take(fold)) == FOLD_NONE)
        return fold_out_of_memory(err);
    MESSAGE_DATA(fold)[data] = *message;
    if (!entry) {
        entry = message_make(fold, message->store_id, hash);
        if (!entry) {
            MESSAGE_DATA(fold)[data].store_id = fold->message_data.free_list;
            fold->message_data.free_list = data;
            return fold_out_of_memory(err);
        }
        entry->fresh = true;
    }
    entry->data = data;
    entry->outcome = FOLD_PUT;
    return 0;
}

int fold_message_delete(struct fold *fold, uint64_t store_id, struct store_error *err)
{
    uint32_t hash = hash_of_u64(store_id);
    struct fold_message *entry = message_find(fold, store_id, hash);
    if (!entry)
        return message_make(fold, store_id, hash) ? 0 : fold_out_of_memory(err);
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
    const struct fold_client *owner = &CLIENTS(fold)[client];
    uint32_t index = queue->free_list;
    if (!hash_reserve(&fold->queue_hash))
        return NULL;
    if (index != FOLD_NONE) {
        queue->free_list = QUEUE(fold)[index].client;
    } else {
        if (!fold_array_reserve(queue, sizeof(struct fold_queued)))
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
    fold->live++;
    return entry;
}

static void queued_drop(struct fold *fold, struct fold_queued *entry, uint32_t hash)
{
    uint32_t index = (uint32_t)(entry - QUEUE(fold));
    hash_remove(&fold->queue_hash, hash, index + 1);
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

int fold_queued_change(struct fold *fold, uint32_t client, enum record_type type,
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
        return fold_out_of_memory(err);
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
