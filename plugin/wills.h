// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Publishes the wills that are still owed after a crash: those of the clients that were connected,
// and those that were waiting for their delay.
//
// The broker itself does it: the will is set on the restored session, which is then disconnected.
// That checks the ACL in the client's name, keeps a delay, and sends a session's noLocal
// subscription nothing of its own. A client without a stored session is added for that moment.
#ifndef PLUGIN_WILLS_H
#define PLUGIN_WILLS_H

#include "store/store.h"

struct plugin;

// Seconds from now until the will of a stored session is due, 0: at once.
uint32_t wills_delay_left(const struct session *session);

// Remembers in the store that a session that was connected when the broker ended is so no longer,
// which also ends its will there, and from when on its expiry counts: a second crash must not begin
// it anew.
void wills_session_offline(struct plugin *plugin, const struct session *session);

// Zero-initialise it: what is still owed once the restore is done.
struct wills {
    struct store_view *walk;   // of the store as it was restored; NULL: nothing is owed
    struct store_view *lookup; // for single entries meanwhile
    int64_t restored_time;
};

// At the end of the restore. Publishes only those of the sessions that the broker ends right after
// it, and gives the number of all. Should any be left, it keeps the views and sets the caller's to
// NULL.
int wills_restore(struct plugin *plugin, struct store_view **walk, struct store_view **lookup,
                  uint64_t *ret_count, struct store_error *err);

// Publishes the others: on the first pass of the broker's loop, when bridges have subscribed, and
// before any packet is read.
int wills_publish(struct plugin *plugin, struct store_error *err);

void wills_release(struct wills *wills);

#endif
