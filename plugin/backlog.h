// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Restored messages for which a session's queue in the broker has no room yet.
//
// A connected client may have max_queued_messages and those in flight waiting; for a client that is
// not connected, as all are at the restore, the broker takes max_queued_messages and drops the
// rest. What does not fit waits here, in order, until the client connects: nothing newer can have
// got in between, for its queue is full. It stays in the store all the time, and so do the messages
// themselves, which the broker lets go of when no queue of its own names them.
#ifndef PLUGIN_BACKLOG_H
#define PLUGIN_BACKLOG_H

#include "store/error.h"
#include "store/event.h"

struct plugin;
struct backlog_client;
struct backlog_entry;
struct backlog_message;

// Zero-initialise it.
struct backlog {
    struct backlog_client *clients; // sorted by id once the restore is done
    size_t clients_count;
    struct backlog_entry *entries; // a client's entries lie together, in order
    size_t entries_count;
    size_t entries_capacity;
    struct backlog_message *messages; // sorted by store_id
    size_t messages_count;
    size_t waiting;   // entries that still wait; 0: nothing else here counts
    uint64_t probed;  // cmsg_id that backlog_probe looks for, 0: none
    bool probe_found; // the broker had it
    bool due;         // a client on the list has got room
};

// At the restore: takes an entry, after all of the same client that came before it; then, when the
// last has come, sorts.
int backlog_add(struct backlog *backlog, const struct queued *queued, struct store_error *err);
int backlog_ready(struct backlog *backlog, struct store_error *err);

// The client has connected, has gone, or something has left its queue while it was connected.
void backlog_client_connected(struct plugin *plugin, const char *client_id);
void backlog_client_offline(struct plugin *plugin, const char *client_id);
void backlog_queue_shrank(struct plugin *plugin, const char *client_id);
void backlog_tick(struct plugin *plugin);

// The client's session has ended.
void backlog_client_deleted(struct plugin *plugin, const char *client_id);

// The broker has let go of a message. True: an entry here names it, so it stays in the store.
bool backlog_keeps_message(struct plugin *plugin, uint64_t store_id);

// A queue entry is about to be deleted. True: that was us, asking whether the broker has it.
bool backlog_probes(struct plugin *plugin, uint64_t cmsg_id);

void backlog_release(struct backlog *backlog);

#endif
