// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Taking sessions, queued messages and retained messages out of a store, by a person's wish: first
// everything that is to go is gathered and counted, then it goes as events, as a broker would have
// appended them.
//
// Built on the reading and appending calls of store.h only. One thread, the writer's. It keeps some
// 40 bytes for each queued message that is to go.
#ifndef STORE_REMOVAL_H
#define STORE_REMOVAL_H

#include "store.h"

struct removal;

struct removal_counts {
    uint64_t sessions;
    uint64_t subscriptions;
    uint64_t wills;
    uint64_t queued;
    uint64_t queued_bytes; // of payload, a message queued twice counted twice
    uint64_t retained;
    uint64_t retained_bytes;
    uint64_t messages; // that nothing else names, and so go too
    uint64_t message_bytes;
};

int removal_new(struct removal **ret_removal, struct store_error *err);
void removal_free(struct removal *removal); // NULL is fine

// A session with its subscriptions, queue and will. STORE_ENOTFOUND if there is none.
int removal_add_session(struct removal *removal, struct store_view *view, struct span client_id,
                        struct store_error *err);

// What a queue may lose: messages to the client, but for those of QoS 2 that it has received and
// whose handshake is not over. Asked for each such entry, in the order of the queue; the message is
// NULL if the store does not have it.
typedef bool removal_queued_fn(void *user, const struct queued *queued,
                               const struct message *message);

// The entries of a client's queue that `wants` wants, but for the newest `keep` of them.
int removal_add_queued(struct removal *removal, struct store_view *view, struct span client_id,
                       removal_queued_fn *wants, void *user, uint64_t keep,
                       struct store_error *err);

int removal_add_retained(struct removal *removal, struct store_view *view,
                         const struct retained *retained, struct store_error *err);

// Finds the messages that nothing else names, by a walk over all queues and retained topics. Once,
// after everything was added and before the counts are asked for.
int removal_close(struct removal *removal, struct store_view *view, struct store_error *err);

const struct removal_counts *removal_counts(const struct removal *removal);

// Appends the events. The caller has closed its view, and calls store_flush after.
int removal_apply(struct removal *removal, struct store *store, struct store_error *err);

#endif
