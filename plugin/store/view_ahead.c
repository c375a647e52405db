// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A walk over the messages on two threads. The caller's walks LMDB, which only one thread may do
// within a transaction, collects entries in batches, and delivers what is unpacked; the store's
// unpacks a batch while the one before is delivered.
//
// The store's thread knows no errors: what it cannot do, the caller's does again, and meets them.
#include "view_internal.h"

#include <stdlib.h>

#define PAGE_MIN_BYTES 4096u
#define BATCH_MESSAGES 256u
#define BATCH_VALUE_BYTES (1u << 20) // of entries, as they are stored
#define BATCH_BYTES (4u << 20)       // of contents, unpacked

struct batch {
    struct span keys[BATCH_MESSAGES];
    struct span values[BATCH_MESSAGES];
    struct message messages[BATCH_MESSAGES];
    bool unpacked[BATCH_MESSAGES]; // false: the caller's thread does it
    uint32_t count;
    size_t value_bytes;
    uint8_t *bytes; // what the messages point to, BATCH_BYTES
};

struct ahead {
    // The caller's thread.
    struct store_view *view;
    store_message_fn *fn;
    void *user;
    struct store_error *err;
    struct batch *filling;
    struct batch *before; // given to the other thread and not delivered yet; NULL: none
    int ended;            // what delivery ended with, 0: it goes on

    // The other thread, once it runs.
    struct payload_decompressor *decompressor; // knows all dictionaries
    struct batch *batches;                     // two; each is one thread's at a time

    // Under `lock`.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct batch *given; // to be unpacked, NULL: it is
    bool ending;
};

// ---- the store's thread --------------------------------------------------------------------

static bool message_unpack(struct ahead *ahead, struct batch *batch, uint32_t i, size_t *used)
{
    struct stored_message stored;
    struct span content;
    uint32_t bytes;
    if (value_message_decode(batch->keys[i], batch->values[i], &stored))
        return false;
    if (stored.compressed) {
        if (!payload_frame_content_bytes(stored.content, &bytes) || bytes > BATCH_BYTES - *used ||
            payload_decompress(ahead->decompressor, stored.content, stored.dictionary, &content,
                               NULL))
            return false;
        uint8_t *place = batch->bytes + *used;
        memcpy(place, content.data, content.len);
        *used += content.len;
        if (value_content_decode(span_of(place, content.len), &stored.message))
            return false;
    }
    batch->messages[i] = stored.message;
    return true;
}

static void batch_unpack(struct ahead *ahead, struct batch *batch)
{
    size_t used = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        batch->unpacked[i] = message_unpack(ahead, batch, i, &used);
}

static void *ahead_run(void *arg)
{
    struct ahead *ahead = arg;
    pthread_mutex_lock(&ahead->lock);
    for (;;) {
        while (!ahead->given && !ahead->ending)
            pthread_cond_wait(&ahead->changed, &ahead->lock);
        if (!ahead->given)
            break;
        pthread_mutex_unlock(&ahead->lock);
        batch_unpack(ahead, ahead->given);
        pthread_mutex_lock(&ahead->lock);
        ahead->given = NULL;
        pthread_cond_broadcast(&ahead->changed);
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

// ---- the caller's thread -------------------------------------------------------------------

static int batch_deliver(struct ahead *ahead, struct batch *batch)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < batch->count; i++) {
        if (!batch->unpacked[i])
            rc = view_message(ahead->view, batch->keys[i], batch->values[i], &batch->messages[i],
                              ahead->err);
        if (rc == 0)
            rc = ahead->fn(ahead->user, &batch->messages[i]);
    }
    batch->count = 0;
    batch->value_bytes = 0;
    return rc;
}

// Waits until the batch before is unpacked, gives `batch` (NULL: none) away, delivers the former.
static int batch_give(struct ahead *ahead, struct batch *batch)
{
    struct batch *before = ahead->before;
    pthread_mutex_lock(&ahead->lock);
    while (ahead->given)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    ahead->given = batch;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    ahead->before = batch;
    if (before)
        ahead->ended = batch_deliver(ahead, before);
    return ahead->ended;
}

// A damaged file may lead to where there is no memory. To find that out is for the caller's thread,
// which may be prepared for it.
static void bytes_touch(struct span bytes)
{
    const volatile uint8_t *at = bytes.data;
    for (uint32_t i = 0; i < bytes.len; i += PAGE_MIN_BYTES)
        (void)at[i];
    if (bytes.len > 0)
        (void)at[bytes.len - 1];
}

static int entry_collect(void *user, struct span key, struct span value, struct store_error *err)
{
    struct ahead *ahead = user;
    struct batch *batch = ahead->filling;
    (void)err;
    bytes_touch(key);
    bytes_touch(value);
    batch->keys[batch->count] = key;
    batch->values[batch->count++] = value;
    batch->value_bytes += value.len;
    if (batch->count < BATCH_MESSAGES && batch->value_bytes < BATCH_VALUE_BYTES)
        return 0;
    int rc = batch_give(ahead, batch);
    ahead->filling = batch == ahead->batches ? batch + 1 : ahead->batches;
    return rc;
}

// One that cannot be used is left out: the messages that need it are damage, and will be met.
static int dictionary_learn(void *user, struct span key, struct span value, struct store_error *err)
{
    struct ahead *ahead = user;
    struct dictionary dictionary;
    (void)err;
    if (!value_dictionary_decode(key, value, &dictionary))
        payload_decompressor_add(ahead->decompressor, dictionary.id, dictionary.bytes, NULL);
    return 0;
}

static bool ahead_begin(struct ahead *ahead, pthread_t *ret_thread)
{
    ahead->decompressor = payload_decompressor_new();
    ahead->batches = calloc(2, sizeof(*ahead->batches));
    for (unsigned i = 0; ahead->batches && i < 2; i++)
        ahead->batches[i].bytes = malloc(BATCH_BYTES);
    if (!ahead->decompressor || !ahead->batches || !ahead->batches[0].bytes ||
        !ahead->batches[1].bytes ||
        view_walk(ahead->view, TABLE_DICTIONARIES, dictionary_learn, ahead, NULL))
        return false;
    ahead->filling = ahead->batches;
    return pthread_create(ret_thread, NULL, ahead_run, ahead) == 0;
}

static void ahead_release(struct ahead *ahead)
{
    for (unsigned i = 0; ahead->batches && i < 2; i++)
        free(ahead->batches[i].bytes);
    free(ahead->batches);
    payload_decompressor_free(ahead->decompressor);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
}

int store_each_message_ahead(struct store_view *view, store_message_fn *fn, void *user,
                             struct store_error *err)
{
    struct store_error own = {0};
    struct ahead ahead = {.view = view, .fn = fn, .user = user, .err = err ? err : &own};
    pthread_t thread;
    pthread_mutex_init(&ahead.lock, NULL);
    pthread_cond_init(&ahead.changed, NULL);
    // Who passes over damage has time.
    if (view->damage || !ahead_begin(&ahead, &thread)) {
        ahead_release(&ahead);
        return store_each_message(view, fn, user, err);
    }
    struct store_error walked = {0};
    int rc = view_walk(view, TABLE_MESSAGES, entry_collect, &ahead, &walked);
    // What was collected lies before that which ended the walk, and may name what is damaged.
    if (ahead.ended || batch_give(&ahead, ahead.filling) || batch_give(&ahead, NULL))
        rc = ahead.ended;
    else if (rc)
        *ahead.err = walked;
    pthread_mutex_lock(&ahead.lock);
    ahead.ending = true;
    pthread_cond_broadcast(&ahead.changed);
    pthread_mutex_unlock(&ahead.lock);
    pthread_join(thread, NULL);
    ahead_release(&ahead);
    return rc;
}
