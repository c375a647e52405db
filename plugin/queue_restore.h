// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Hands the queues of the sessions to the broker, in the order of adding, and brings what was in
// flight back in flight.
//
// The broker puts every restored outgoing message at the end of its session's queue as if it had
// never been sent. Left like that, a message whose PUBREC had come would be published again, and
// the queue would hold more than the broker lets it. Deleting a message that is not there makes the
// broker fill up what is in flight from the queue, as far as max_inflight_messages goes; what has
// then had its PUBREC is set to that state, and the broker sends PUBREL when the client connects.
#ifndef PLUGIN_QUEUE_RESTORE_H
#define PLUGIN_QUEUE_RESTORE_H

#include "restore.h"

struct queue_restore;

// `lookup` is for single entries while another view is walked.
int queue_restore_new(struct queue_restore **ret_restore, struct plugin *plugin,
                      struct store_view *lookup, struct restore_counts *counts,
                      struct store_error *err);
void queue_restore_free(struct queue_restore *restore); // NULL is fine

// The next entry of the walk over all queues.
int queue_restore_add(struct queue_restore *restore, const struct queued *queued,
                      struct store_error *err);
void queue_restore_finish(struct queue_restore *restore);

// The broker has moved an entry in flight, or has deleted it, while plugin->moving was set.
void queue_restore_moved(struct queue_restore *restore, uint64_t cmsg_id);
void queue_restore_deleted(struct queue_restore *restore, uint64_t cmsg_id);

#endif
