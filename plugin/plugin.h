// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The one instance of the plugin: what its parts share. Everything here belongs to the broker's
// thread.
#ifndef PLUGIN_PLUGIN_H
#define PLUGIN_PLUGIN_H

#include "admission.h"
#include "append.h"
#include "backlog.h"
#include "broker.h"
#include "deletions.h"
#include "incoming.h"
#include "options.h"
#include "properties.h"
#include "pubrel.h"
#include "store/store.h"
#include "will_delays.h"
#include "wills.h"

struct queue_restore;

struct plugin {
    mosquitto_plugin_id_t *identifier;
    struct store *store;
    struct options configured; // from the broker's configuration, without the options file
    struct options options;    // in force

    bool restoring;   // within the RESTORE event, or publishing what it left to be published
    bool restored;    // it has come and gone well
    uint32_t wake_ms; // when the store wants the next tick, 0: whenever
    // A session whose messages are just being moved in flight by queue_restore.c, or NULL.
    struct queue_restore *moving;

    struct admission admission;
    struct append append;
    struct backlog backlog;
    struct deletions deletions;
    struct incoming incoming;
    struct pubrel pubrel;
    struct will_delays will_delays;
    struct wills wills;
    struct properties_buffer properties; // scratch of the callbacks
};

// Ends the process with status 1, at once: nothing more is acknowledged, nothing more is stored.
// The store is left as a killed process would leave it.
_Noreturn void plugin_die(void);

#endif
