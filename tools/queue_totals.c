// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "queue_totals.h"

#include "human.h"

bool queued_is_inflight(const struct queued *queued)
{
    switch (queued->state) {
    case QUEUE_STATE_WAIT_FOR_PUBACK:
    case QUEUE_STATE_WAIT_FOR_PUBREC:
    case QUEUE_STATE_WAIT_FOR_PUBREL:
    case QUEUE_STATE_WAIT_FOR_PUBCOMP:
    case QUEUE_STATE_RESEND_PUBREL:
    case QUEUE_STATE_RESEND_PUBCOMP:
    case QUEUE_STATE_SEND_PUBREC:
        return true;
    default:
        return false;
    }
}

void queue_totals_add(struct queue_totals *totals, const struct queued *queued,
                      uint64_t payload_bytes)
{
    int64_t time_s = message_time_s(queued->store_id);
    if (queued->direction == QUEUE_IN)
        totals->in++;
    else
        totals->out++;
    if (queued->direction == QUEUE_OUT && queued_is_inflight(queued))
        totals->inflight++;
    totals->bytes += payload_bytes;
    if (time_s && (!totals->oldest_s || time_s < totals->oldest_s))
        totals->oldest_s = time_s;
    if (time_s > totals->newest_s)
        totals->newest_s = time_s;
}

int queue_message_bytes(struct store_view *view, uint64_t store_id, uint64_t *ret_bytes,
                        struct store_error *err)
{
    struct message message;
    int rc = store_get_message(view, store_id, &message, err);
    if (rc == 0)
        *ret_bytes = message.payload.len;
    else if (rc == STORE_ENOTFOUND)
        *ret_bytes = 0;
    return rc == STORE_ENOTFOUND ? 0 : rc;
}

struct reading {
    struct queue_totals *totals;
    struct store_view *view;
    bool with_bytes;
    struct store_error *err;
};

static int on_queued(void *user, const struct queued *queued)
{
    struct reading *reading = user;
    uint64_t bytes = 0;
    int rc = 0;
    if (reading->with_bytes)
        rc = queue_message_bytes(reading->view, queued->store_id, &bytes, reading->err);
    if (rc == 0)
        queue_totals_add(reading->totals, queued, bytes);
    return rc;
}

int queue_totals_read(struct queue_totals *totals, struct store_view *view, struct span client_id,
                      bool with_bytes, struct store_error *err)
{
    struct reading reading = {totals, view, with_bytes, err};
    return store_each_queued(view, client_id, on_queued, &reading, err);
}
