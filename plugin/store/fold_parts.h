// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the files of the fold share: one function for each kind of event, and the arrays.
#ifndef STORE_FOLD_PARTS_H
#define STORE_FOLD_PARTS_H

#include "fold_internal.h"

#define CLIENTS(fold) FOLD_ITEMS(fold, clients, struct fold_client)
#define SESSIONS(fold) FOLD_ITEMS(fold, sessions, struct session)
#define WILLS(fold) FOLD_ITEMS(fold, wills, struct will)
#define SUBSCRIPTIONS(fold) FOLD_ITEMS(fold, subscriptions, struct fold_subscription)
#define MESSAGES(fold) FOLD_ITEMS(fold, messages, struct fold_message)
#define MESSAGE_DATA(fold) FOLD_ITEMS(fold, message_data, struct message)
#define QUEUE(fold) FOLD_ITEMS(fold, queue, struct fold_queued)
#define RETAINED(fold) FOLD_ITEMS(fold, retained, struct fold_retained)

// Makes room for one more item at the end; false when out of memory, the array is as it was.
bool fold_array_reserve(struct fold_array *array, size_t item_bytes);

int fold_out_of_memory(struct store_error *err);

// Index of the client, which is made if the stretch has not named it before; FOLD_NONE when out of
// memory.
uint32_t fold_client_get(struct fold *fold, struct span client_id);

// Sessions, connections and wills (fold_sessions.c).
int fold_session_add(struct fold *fold, struct fold_client *client, const struct session *session,
                     struct store_error *err);
int fold_session_update(struct fold *fold, struct fold_client *client,
                        const struct session *session, struct store_error *err);
void fold_session_delete(struct fold *fold, struct fold_client *client);
int fold_connection_change(struct fold *fold, struct fold_client *client, enum record_type type,
                           const struct connection *connection, struct store_error *err);
int fold_will_set(struct fold *fold, struct fold_client *client, const struct will *will,
                  struct store_error *err);
void fold_will_end(struct fold *fold, struct fold_client *client);
void fold_wills_end(struct fold *fold);

// Messages and queues (fold_messages.c).
int fold_message_add(struct fold *fold, const struct message *message, struct store_error *err);
int fold_message_delete(struct fold *fold, uint64_t store_id, struct store_error *err);
int fold_queued_change(struct fold *fold, uint32_t client, enum record_type type,
                       const struct queued *queued, struct store_error *err);

#endif
