// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Wills that wait for their delay while the broker runs. The broker publishes them without telling
// anybody, and a will that stays in the store is published again after a crash.
//
// Where the session ends with its connection, the will is due at once (MQTT 5 section 3.1.2.5). The
// broker lets it wait nevertheless, but says right behind that that it is gone, as are a session
// and its will: it is not, and a crash must not lose it.
//
// So the broker's list is kept a second time, in its order: by the length of the delay, the newest
// of equals first. Once a second the broker publishes from its front what is due, up to the first
// that is not. It compares lengths by the sign of their difference in 32 bits: the longest ones
// stand in front, and hold up all others for good.
#ifndef PLUGIN_WILL_DELAYS_H
#define PLUGIN_WILL_DELAYS_H

#include "store/event.h"
#include "store/hash.h"

struct plugin;
struct will_delay;
struct will_delay_length;

// Zero-initialise it. Wills are named by their index plus one, 0: none.
struct will_delays {
    struct will_delay *wills;
    uint32_t wills_count; // places in use or free again
    size_t wills_capacity;
    uint32_t unused; // the first place that is free again
    struct hash by_client;
    struct will_delay_length *lengths; // the shortest last
    size_t lengths_count;
    size_t lengths_capacity;
    int64_t last_tick;   // when the last pass of the loop began, in seconds
    int64_t before_tick; // and the one before
    // One that began to wait when its session ended, of which the broker will say that it is gone.
    uint32_t taken_back;
};

// The client's will begins to wait, unless it does already. `ends`: its session does not.
void will_delays_begin(struct plugin *plugin, const char *client_id, uint32_t interval,
                       int64_t due_time, bool ends);

// The broker says that the client's will is gone. True: it waits all the same.
bool will_delays_keep(struct plugin *plugin, const char *client_id);

// The client has connected, or its session has ended: the will waits no longer.
void will_delays_end(struct plugin *plugin, const char *client_id);

// Each pass of the broker's loop: takes from the store what the broker has published.
void will_delays_tick(struct plugin *plugin);

void will_delays_release(struct plugin *plugin);

#endif
