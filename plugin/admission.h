// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Saying no before the broker takes what the store could not keep: to a PUBLISH that would have to
// be stored, and, once the journal has failed for good, to SUBSCRIBE and UNSUBSCRIBE.
#ifndef PLUGIN_ADMISSION_H
#define PLUGIN_ADMISSION_H

#include <stdbool.h>

struct plugin;

// Zero-initialise it.
struct admission {
    bool closed; // the last PUBLISH that would have to be stored was refused
};

// Callbacks for MOSQ_EVT_MESSAGE_IN, MOSQ_EVT_SUBSCRIBE and MOSQ_EVT_UNSUBSCRIBE.
int admission_message_in(int event, void *event_data, void *userdata);
int admission_subscribe(int event, void *event_data, void *userdata);
int admission_unsubscribe(int event, void *event_data, void *userdata);

// Each pass of the broker's loop: says when it opens again; ends the broker if the journal failed
// and plugin_opt_on_failure wants that.
void admission_tick(struct plugin *plugin);

#endif
