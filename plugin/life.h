// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The plugin's life within the broker's: opening the store, the restore, each pass of the broker's
// loop, a reload, the end. Those with the shape of a callback are called by the broker, with the
// plugin as userdata.
#ifndef PLUGIN_LIFE_H
#define PLUGIN_LIFE_H

#include "store/error.h"

struct plugin;

// Opens and recovers the store that the options name, and says what was found.
int life_open(struct plugin *plugin, struct store_error *err);

// Callback for MOSQ_EVT_PERSIST_RESTORE. The broker ignores what it returns: a restore that fails
// ends the process.
int life_restore(int event, void *event_data, void *userdata);

// Callbacks for MOSQ_EVT_TICK: the first is called on each pass, the second makes the loop wake up
// when the store wants to be called.
int life_tick(int event, void *event_data, void *userdata);
int life_wake(int event, void *event_data, void *userdata);

// Callback for MOSQ_EVT_RELOAD.
int life_reload(int event, void *event_data, void *userdata);

// Closes the store: cleanly, unless its wills have not gone out yet.
void life_close(struct plugin *plugin);

#endif
