// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Finishes what a kill cut short while a PUBREL was handled.
//
// The broker then queues the QoS 2 message for one subscriber after the other and forgets the
// publisher's packet id last (MQTT 5 section 4.3.3). Killed in between, it would queue the message
// for everybody once more when the publisher repeats its PUBREL, and those who had it already would
// get it twice. The store shows at the first start after the kill that a release had begun: an
// incoming message that waits for PUBREL stands in outgoing queues, or is the retained one,
// already. The subscribers that are missing get it then, and the packet id is forgotten; a repeated
// PUBREL finds nothing and is answered with PUBCOMP.
#ifndef PLUGIN_RELEASE_H
#define PLUGIN_RELEASE_H

#include "store/store.h"

struct plugin;
struct release;

// `lookup` is for single entries while another view is walked.
int release_new(struct release **ret_release, struct plugin *plugin, struct store_view *lookup,
                struct store_error *err);
void release_free(struct release *release); // NULL is fine

// Takes note of what waits for PUBREL in a session's queue.
int release_session(struct release *release, struct span client_id, struct store_error *err);

// Then takes note of each entry of all queues, in the order of a walk.
int release_queued(struct release *release, const struct queued *queued, struct store_error *err);

// Last: finishes the release that had begun, if any. The broker must have all sessions and queues.
// `view` is walked.
int release_finish(struct release *release, struct store_view *view, struct store_error *err);

#endif
