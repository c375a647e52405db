// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a queue adds up to.
#ifndef TOOLS_QUEUE_TOTALS_H
#define TOOLS_QUEUE_TOTALS_H

#include "store/store.h"

struct queue_totals {
    uint64_t out;
    uint64_t in;
    uint64_t inflight; // of `out`: sent and not confirmed
    uint64_t bytes;    // of payload, a message queued twice counted twice
    int64_t oldest_s;  // when the broker made the oldest message, 0: unknown
    int64_t newest_s;
};

// Whether an entry was sent and waits for an answer.
bool queued_is_inflight(const struct queued *queued);

void queue_totals_add(struct queue_totals *totals, const struct queued *queued,
                      uint64_t payload_bytes);

// Adds up the queue of one session. Without `with_bytes` messages are not looked at.
int queue_totals_read(struct queue_totals *totals, struct store_view *view, struct span client_id,
                      bool with_bytes, struct store_error *err);

// Payload bytes of a message; 0 if the store does not have it, which verify reports.
int queue_message_bytes(struct store_view *view, uint64_t store_id, uint64_t *ret_bytes,
                        struct store_error *err);

#endif
