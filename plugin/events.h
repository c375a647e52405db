// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The broker's events, as records in the store.
#ifndef PLUGIN_EVENTS_H
#define PLUGIN_EVENTS_H

#include "store/error.h"

struct plugin;

// Registers a callback for every event of the table. If one fails, those before it are taken back,
// and the sentence says what the broker lacks.
int events_register(struct plugin *plugin, struct store_error *err);
void events_unregister(struct plugin *plugin);

#endif
