// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Hands everything that the store holds to the broker: messages, retained messages, sessions,
// subscriptions, queues in the order of adding, then the wills that are due. What cannot be handed
// over ends it with a sentence that names the thing: less than was promised is never served.
#ifndef PLUGIN_RESTORE_H
#define PLUGIN_RESTORE_H

#include "store/store.h"

struct plugin;

// What mosquitto_persist_client_msg_add returns for an entry that it has queued, and for one that
// it has dropped because the queue is full: for a client that is not connected only the latter.
#define BROKER_QUEUED_OR_DROPPED 2

struct restore_counts {
    uint64_t sessions;
    uint64_t sessions_connected; // when the broker ended
    uint64_t subscriptions;
    uint64_t messages;
    uint64_t queued;
    uint64_t queued_waiting; // of them: the broker has no room before the client connects
    uint64_t queued_qos0_dropped;
    uint64_t queued_without_message; // entries whose message the broker had let go of
    uint64_t retained;
    uint64_t wills;
};

// Within the RESTORE event. The broker's thread.
int restore_run(struct plugin *plugin, struct restore_counts *ret_counts, struct store_error *err);

// Hands one message to the broker. `ret_had` (may be NULL): the broker had it already.
int restore_message(const struct message *message, bool *ret_had, struct store_error *err);

// Fills `err` for a call of the broker that failed with `rc`, and returns its code.
int restore_failed(struct store_error *err, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
