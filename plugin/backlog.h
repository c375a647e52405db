// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Restored messages for which a session's queue in the broker has no room yet.
//
// A connected client may have max_queued_messages and those in flight waiting; for a client that is
// not connected, as all are at the restore, the broker takes max_queued_messages and drops the
// rest. What does not fit waits here, in order, and stays in the store all the time, and so do the
// messages themselves, which the broker lets go of when no queue of its own names them.
//
// When the client connects the rest has room, unless a limit is lower than it was; then each place
// that comes free in the broker's queue takes one from here. The places are filled before the
// broker handles a PUBLISH or SUBSCRIBE, and on each pass of its loop, so that nothing newer takes
// them. Only what the broker queues without asking a plugin first can come in between: a release of
// a QoS 2 message, a will.
//
// An entry that has never been sent gets the next packet id when it is its turn, for the one that
// it was stored with may be that of a newer message that is in flight. In the store it has the old
// one until it is in flight.
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
    size_t waiting;             // entries that still wait; 0: nothing else here counts
    struct backlog_client *due; // the first of a list: those whose queue may have got room
    uint64_t placeholder;       // cmsg_id of an entry that is about to be taken back, 0: none
};

// At the restore: takes an entry, after all of the same client that came before it, and the newest
// packet id among them all; then, when the last has come, sorts. Entries that one client gets in a
// row cost less.
int backlog_add(struct backlog *backlog, const struct queued *queued, uint16_t last_mid,
                struct store_error *err);
int backlog_ready(struct backlog *backlog, struct store_error *err);

// The client has connected, has gone, or something has left its queue while it was connected.
void backlog_client_connected(struct plugin *plugin, const char *client_id);
void backlog_client_offline(struct plugin *plugin, const char *client_id);
void backlog_queue_shrank(struct plugin *plugin, const char *client_id);

// The broker has given a packet id to a message for the client.
void backlog_mid_seen(struct plugin *plugin, const char *client_id, uint16_t mid);

// Fills what has got room: on each pass of the broker's loop, and before a message may be queued.
void backlog_fill(struct plugin *plugin);

// The client's session has ended.
void backlog_client_deleted(struct plugin *plugin, const char *client_id);

// The broker has let go of a message. True: an entry here names it, so it stays in the store.
bool backlog_keeps_message(struct plugin *plugin, uint64_t store_id);

// A queue entry is about to be deleted. True: it is one that nobody was to know of.
bool backlog_is_placeholder(const struct plugin *plugin, uint64_t cmsg_id);

void backlog_release(struct backlog *backlog);

#endif
