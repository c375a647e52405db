// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Wills that wait for their delay while the broker runs. The broker publishes them without telling
// anybody, and a will that stays in the store is published again after a crash.
//
// So the broker's list is kept a second time, in its order: by the length of the delay, the newest
// of equals first. Once a second the broker publishes from its front what is due, up to the first
// that is not.
#ifndef PLUGIN_WILL_DELAYS_H
#define PLUGIN_WILL_DELAYS_H

#include "store/event.h"

struct plugin;
struct will_delay;

// Zero-initialise it.
struct will_delays {
    struct will_delay *first;
    int64_t last_tick;   // when the last pass of the loop began, in seconds
    int64_t before_tick; // and the one before
};

// The client's will begins to wait, unless it does already.
void will_delays_begin(struct plugin *plugin, const char *client_id, uint32_t interval,
                       int64_t due_time);

// The client has connected, or its session has ended: the will waits no longer.
void will_delays_end(struct plugin *plugin, const char *client_id);

// Each pass of the broker's loop: takes from the store what the broker has published.
void will_delays_tick(struct plugin *plugin);

void will_delays_release(struct plugin *plugin);

#endif
