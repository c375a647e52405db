// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "queue_restore.h"

#include "clock.h"
#include "log.h"
#include "mid.h"
#include "plugin.h"
#include "text.h"

#include <stdlib.h>

#define MIDS 65536u

// A message whose PUBREC has come and that is not in flight yet.
struct pubrec_entry {
    uint64_t cmsg_id;
    uint16_t mid;
    bool moved;
    bool deleted;
};

struct queue_restore {
    struct plugin *plugin;
    struct store_view *lookup;
    struct restore_counts *counts;

    // The session at hand.
    struct text client_id;
    uint32_t client_id_len;
    bool full;              // its queue takes no more: the rest waits
    bool incoming_full;     // likewise what is on its way in
    bool copies;            // it has been told that one message may be queued twice
    bool unmoved;           // what was in flight has been added since the last move
    uint64_t last_store_id; // of the outgoing entry before, 0: none
    struct queued newest;   // of those that wait; its client_id is not kept
    uint16_t last_mid;      // the newest packet id of the entries so far
    struct pubrec_entry *pubrecs;
    size_t pubrecs_count;
    size_t pubrecs_capacity;
    bool mids_used; // `mids` has bits set
    uint8_t mids[MIDS / 8];
};

int queue_restore_new(struct queue_restore **ret_restore, struct plugin *plugin,
                      struct store_view *lookup, struct restore_counts *counts,
                      struct store_error *err)
{
    struct queue_restore *restore = calloc(1, sizeof(*restore));
    if (!restore)
        return error_set(err, STORE_ENOMEM, "out of memory");
    restore->plugin = plugin;
    restore->lookup = lookup;
    restore->counts = counts;
    *ret_restore = restore;
    return 0;
}

void queue_restore_free(struct queue_restore *restore)
{
    if (!restore)
        return;
    text_release(&restore->client_id);
    free(restore->pubrecs);
    free(restore);
}

// ---- packet ids of the session -------------------------------------------------------------

static void mid_use(struct queue_restore *restore, uint16_t mid)
{
    restore->mids[mid / 8] |= (uint8_t)(1u << (mid % 8));
    restore->mids_used = true;
}

// One that the session does not use; 0 if it uses them all.
static uint16_t mid_unused(const struct queue_restore *restore)
{
    for (unsigned mid = MIDS - 1; mid > 0; mid--) {
        if (!(restore->mids[mid / 8] & 1u << (mid % 8)))
            return (uint16_t)mid;
    }
    return 0;
}

// ---- in flight -----------------------------------------------------------------------------

static int compare_pubrecs(const void *a, const void *b)
{
    uint64_t left = ((const struct pubrec_entry *)a)->cmsg_id;
    uint64_t right = ((const struct pubrec_entry *)b)->cmsg_id;
    return left < right ? -1 : left > right;
}

// They came in the order of their numbers.
static struct pubrec_entry *pubrec_find(struct queue_restore *restore, uint64_t cmsg_id)
{
    struct pubrec_entry key = {.cmsg_id = cmsg_id};
    return restore->pubrecs_count ? bsearch(&key, restore->pubrecs, restore->pubrecs_count,
                                            sizeof(key), compare_pubrecs)
                                  : NULL;
}

void queue_restore_moved(struct queue_restore *restore, uint64_t cmsg_id)
{
    struct pubrec_entry *entry = pubrec_find(restore, cmsg_id);
    if (entry)
        entry->moved = true;
}

void queue_restore_deleted(struct queue_restore *restore, uint64_t cmsg_id)
{
    struct pubrec_entry *entry = pubrec_find(restore, cmsg_id);
    if (entry)
        entry->deleted = true;
}

static int pubrec_add(struct queue_restore *restore, const struct queued *queued,
                      struct store_error *err)
{
    if (restore->pubrecs_count == restore->pubrecs_capacity) {
        size_t capacity = restore->pubrecs_capacity ? restore->pubrecs_capacity * 2 : 32;
        struct pubrec_entry *entries = realloc(restore->pubrecs, capacity * sizeof(*entries));
        if (!entries)
            return error_set(err, STORE_ENOMEM, "out of memory");
        restore->pubrecs = entries;
        restore->pubrecs_capacity = capacity;
    }
    restore->pubrecs[restore->pubrecs_count++] =
        (struct pubrec_entry){.cmsg_id = queued->cmsg_id, .mid = queued->mid};
    return 0;
}

// Brings what has been added so far in flight, and puts those right that have had their PUBREC.
static void flight_move(struct queue_restore *restore)
{
    struct plugin *plugin = restore->plugin;
    const char *client_id = restore->client_id.data;
    struct mosquitto_client_msg msg = {
        .clientid = client_id, .mid = mid_unused(restore), .direction = mosq_bmd_out, .qos = 2};
    restore->unmoved = false;
    if (msg.mid) {
        plugin->moving = restore;
        mosquitto_persist_client_msg_delete(&msg);
        plugin->moving = NULL;
    }
    for (size_t i = 0; i < restore->pubrecs_count; i++) {
        const struct pubrec_entry *entry = &restore->pubrecs[i];
        if (entry->deleted)
            continue; // it has expired
        if (!entry->moved) {
            pubrel_defer(plugin, client_id, entry->cmsg_id, entry->mid, false);
            continue;
        }
        msg.mid = entry->mid;
        msg.state = QUEUE_STATE_WAIT_FOR_PUBCOMP;
        mosquitto_persist_client_msg_update(&msg);
    }
    restore->pubrecs_count = 0;
}

// ---- entries -------------------------------------------------------------------------------

// With allow_duplicate_messages false the broker silently skips a message that a session already
// has, unless the session is one of MQTT 5. Only such a session can have got it twice, and a
// restored one has no protocol version yet: setting a will with properties gives it one. The topic
// makes sure that no will comes of it.
static int copies_allow(struct queue_restore *restore, struct store_error *err)
{
    mosquitto_property *properties = NULL;
    int rc = mosquitto_property_add_byte(&properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR, 0);
    if (rc)
        return restore_failed(err, rc, "session %.200s", restore->client_id.data);
    mosquitto_client_will_set(restore->client_id.data, "#", 0, NULL, 0, false, properties);
    mosquitto_property_free_all(&properties);
    restore->copies = true;
    return 0;
}

static int entry_offer(struct queue_restore *restore, const struct queued *queued)
{
    struct mosquitto_client_msg msg = {
        .clientid = restore->client_id.data,
        .cmsg_id = queued->cmsg_id,
        .store_id = queued->store_id,
        .subscription_identifier = queued->subscription_identifier,
        .mid = queued->mid,
        .qos = queued->qos,
        .retain = queued->retain,
        .dup = queued->dup,
        .direction = queued->direction,
        .state = queued->state,
    };
    return mosquitto_persist_client_msg_add(&msg);
}

static void entry_forget(struct queue_restore *restore, const struct queued *queued)
{
    struct event event = {.type = RECORD_QUEUE_DELETE, .queued = *queued};
    event.queued.client_id = span_str(restore->client_id.data); // terminated, as append.h wants it
    append_event(restore->plugin, &event);
}

// The broker does not know the message. Bringing another session's messages in flight makes it drop
// those that have expired; with the last entry that it knew of, the message itself. And it may have
// let go of all that was queued for a bridge, telling of the messages only.
static bool entry_forget_without_message(struct queue_restore *restore, const struct queued *queued)
{
    struct message message;
    struct store_error err = {0};
    int rc = store_get_message(restore->lookup, queued->store_id, &message, &err);
    bool missing = rc == STORE_ENOTFOUND;
    bool expired = rc == 0 && message.expiry_time && message.expiry_time <= clock_seconds();
    restore->counts->queued_without_message += missing;
    if (missing || expired)
        entry_forget(restore, queued);
    return missing || expired;
}

static int entry_failed(struct queue_restore *restore, const struct queued *queued, int rc,
                        struct store_error *err)
{
    if (rc == MOSQ_ERR_NOT_FOUND && entry_forget_without_message(restore, queued))
        return 0;
    return restore_failed(err, rc, "message %llu in the %s queue of session %.200s",
                          (unsigned long long)queued->store_id,
                          queued->direction == QUEUE_IN ? "incoming" : "outgoing",
                          restore->client_id.data);
}

static int entry_wait(struct queue_restore *restore, const struct queued *queued,
                      struct store_error *err)
{
    if (queued->qos == 0) {
        // It promised nothing, and the broker no longer wants to keep it.
        entry_forget(restore, queued);
        restore->counts->queued_qos0_dropped++;
        return 0;
    }
    restore->full = true;
    restore->newest = *queued;
    restore->counts->queued_waiting++;
    return backlog_add(&restore->plugin->backlog, queued, restore->last_mid, err);
}

// What is above max_inflight_messages, which may have been lowered, and which a client exceeds that
// has had a PUBACK in between, the broker only queues (incoming.h).
static int incoming_add(struct queue_restore *restore, const struct queued *queued,
                        struct store_error *err)
{
    int rc = entry_offer(restore, queued);
    if (rc != BROKER_QUEUED_OR_DROPPED)
        return rc ? entry_failed(restore, queued, rc, err) : 0;
    if (!restore->incoming_full)
        log_line(LOG_LEVEL_NOTICE,
                 "session %.200s has more QoS 2 messages on their way in than "
                 "max_inflight_messages; the others follow with the first that is released",
                 restore->client_id.data);
    restore->incoming_full = true;
    incoming_wait(&restore->plugin->incoming);
    return deletions_need(&restore->plugin->deletions, queued->store_id)
               ? 0
               : error_set(err, STORE_ENOMEM, "out of memory");
}

// Of entries that had to wait after the restart before, those that are not in flight yet stand with
// their old packet ids behind some that were given newer ones (backlog.h). The next in line keeps
// them apart. It need not be stored: each restore comes to the same.
static void mid_renew(struct queue_restore *restore, struct queued *queued)
{
    if (!queued->mid)
        return;
    if (queued->state == QUEUE_STATE_QUEUED && !mid_is_newer(queued->mid, restore->last_mid))
        queued->mid = mid_next(restore->last_mid);
    if (mid_is_newer(queued->mid, restore->last_mid))
        restore->last_mid = queued->mid;
}

static int outgoing_add(struct queue_restore *restore, const struct queued *queued,
                        struct store_error *err)
{
    bool in_flight = queued->state != QUEUE_STATE_QUEUED && queued->qos > 0;
    int rc = 0;
    if (queued->store_id == restore->last_store_id && !restore->copies &&
        (rc = copies_allow(restore, err)))
        return rc;
    restore->last_store_id = queued->store_id;
    if (restore->full)
        return entry_wait(restore, queued, err);

    // Only what was in flight is to take a place there.
    if (restore->unmoved && !in_flight)
        flight_move(restore);
    rc = entry_offer(restore, queued);
    if (rc == BROKER_QUEUED_OR_DROPPED && restore->unmoved) {
        flight_move(restore);
        rc = entry_offer(restore, queued);
    }
    if (rc == BROKER_QUEUED_OR_DROPPED)
        return entry_wait(restore, queued, err);
    if (rc)
        return entry_failed(restore, queued, rc, err);
    if (queued->mid)
        mid_use(restore, queued->mid);
    restore->unmoved |= in_flight;
    if (queued->qos == 2 && state_is_pubrel(queued->state))
        return pubrec_add(restore, queued, err);
    return 0;
}

// ---- sessions ------------------------------------------------------------------------------

static void session_end(struct queue_restore *restore)
{
    if (restore->unmoved)
        flight_move(restore);
    // The broker counts packet ids on from the last entry that it was offered.
    restore->newest.mid = restore->last_mid;
    if (restore->full)
        entry_offer(restore, &restore->newest);
}

static int session_begin(struct queue_restore *restore, struct span client_id,
                         struct store_error *err)
{
    if (!text_set(&restore->client_id, client_id))
        return error_set(err, STORE_ENOMEM, "out of memory");
    restore->client_id_len = client_id.len;
    restore->full = restore->incoming_full = restore->copies = restore->unmoved = false;
    restore->last_store_id = 0;
    restore->last_mid = 0;
    if (restore->mids_used)
        memset(restore->mids, 0, sizeof(restore->mids));
    restore->mids_used = false;
    return 0;
}

static bool session_is(const struct queue_restore *restore, struct span client_id)
{
    return restore->client_id.data &&
           span_equal(span_of(restore->client_id.data, restore->client_id_len), client_id);
}

int queue_restore_add(struct queue_restore *restore, const struct queued *queued,
                      struct store_error *err)
{
    int rc = 0;
    if (!session_is(restore, queued->client_id)) {
        session_end(restore);
        if ((rc = session_begin(restore, queued->client_id, err)))
            return rc;
    }
    restore->counts->queued++;
    if (queued->direction == QUEUE_IN)
        return incoming_add(restore, queued, err);
    struct queued outgoing = *queued;
    mid_renew(restore, &outgoing);
    return outgoing_add(restore, &outgoing, err);
}

void queue_restore_finish(struct queue_restore *restore)
{
    session_end(restore);
}
