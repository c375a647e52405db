// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Saying no before the broker takes what the store could not keep: to a PUBLISH that would have to
// be stored, and, once the journal has failed for good, to SUBSCRIBE and UNSUBSCRIBE.
#ifndef PLUGIN_ADMISSION_H
#define PLUGIN_ADMISSION_H

#include <stdbool.h>
#include <stdint.h>

struct plugin;

// Zero-initialise it. Only for the log: whether a PUBLISH is taken is asked for each.
struct admission {
    bool closed;            // it was said that publishers are refused
    uint64_t refused_bytes; // the largest that was, since then
    int64_t room_since_ms;  // there has been room for that one since, 0: there is none
};

// Callbacks for MOSQ_EVT_MESSAGE_IN, MOSQ_EVT_SUBSCRIBE and MOSQ_EVT_UNSUBSCRIBE.
int admission_message_in(int event, void *event_data, void *userdata);
int admission_subscribe(int event, void *event_data, void *userdata);
int admission_unsubscribe(int event, void *event_data, void *userdata);

// Each pass of the broker's loop: says when it opens again; ends the broker if the journal failed
// and plugin_opt_on_failure wants that.
void admission_tick(struct plugin *plugin);

#endif
