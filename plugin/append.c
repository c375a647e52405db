// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "append.h"

#include "clock.h"
#include "log.h"
#include "plugin.h"
#include "store/record.h"

#include <stdlib.h>

#define SAY_AGAIN_MS 10000

enum remedy {
    REMEDY_NONE,            // nobody is told of the event
    REMEDY_CLOSE_LATER,     // the client's SUBACK would be: its subscription will not be taken
    REMEDY_CLOSE_CLIENT,    // the client that the event names would be
    REMEDY_CLOSE_PUBLISHER, // the publisher of the message would be
    REMEDY_DROP_SESSION,    // the client was told of a session that will not be there
    REMEDY_STOP,            // somebody would be, and we cannot know or reach whom
};

// Closing a connection makes the broker hold the client's subscriptions against its ACLs and free
// those that are denied, while it may be walking that very list to deliver the message. It does not
// do so for sessions that end with their connection, and has nothing to free without subscriptions.
static bool publisher_can_be_closed(const struct mosquitto *client)
{
    return mosquitto_client_sub_count(client) == 0 ||
           (mosquitto_client_clean_session(client) &&
            mosquitto_client_protocol_version(client) < 5);
}

static enum remedy remedy_for_message(const struct append *append, uint64_t store_id)
{
    const struct append_message *message = &append->message;
    if (message->store_id != store_id)
        return REMEDY_STOP; // e.g. a PUBREL hands on what was published long ago
    if (message->closed || message->unpromised)
        return REMEDY_NONE;
    if (!message->from_publisher || !append->publisher)
        return REMEDY_STOP;
    return publisher_can_be_closed(append->publisher) ? REMEDY_CLOSE_PUBLISHER : REMEDY_STOP;
}

// The broker is handing a new subscriber the retained messages. Walking their tree, it would not
// bear that a connection is closed, which may publish a will.
static bool is_for_subscriber(const struct append *append, const struct event *event)
{
    return append->subscriber &&
           strcmp(mosquitto_client_id(append->subscriber), event->queued.client_id.data) == 0;
}

// What ends for this reason is acknowledged to nobody. Of a retained message the broker tells the
// topic only. `unknown`: what is said of one that the tables do not have, or not yet.
static bool has_expired(const struct plugin *plugin, uint64_t store_id, struct span topic,
                        bool unknown)
{
    struct store_view *view = NULL;
    struct retained retained = {.store_id = store_id};
    struct message message;
    int rc = store_view_open(&view, plugin->store, NULL);
    if (rc == 0 && topic.data)
        rc = store_get_retained(view, topic, &retained, NULL);
    if (rc == 0)
        rc = store_get_message(view, retained.store_id, &message, NULL);
    bool expired = rc == STORE_ENOTFOUND
                       ? unknown
                       : rc == 0 && message.expiry_time && message.expiry_time <= clock_seconds();
    store_view_close(view);
    return expired;
}

static enum remedy remedy_for_cleared(const struct plugin *plugin, const struct retained *retained)
{
    const struct append *append = &plugin->append;
    // Those that are handed to a subscriber are looked at then. What a connection that is being
    // closed clears, its will does.
    if (append->closing || has_expired(plugin, 0, retained->topic, append->subscriber != NULL))
        return REMEDY_NONE;
    // Else it is a PUBREL, and no event tells whose before PUBCOMP goes out.
    bool is_publishers =
        append->publisher && append->clears && strcmp(append->clears, retained->topic.data) == 0;
    return is_publishers && publisher_can_be_closed(append->publisher) ? REMEDY_CLOSE_PUBLISHER
                                                                       : REMEDY_STOP;
}

// `lasting`: the store takes nothing any more, so whoever is sent away is refused when it comes
// back.
static enum remedy remedy_for(const struct plugin *plugin, const struct event *event, bool lasting)
{
    const struct append *append = &plugin->append;
    switch (event->type) {
    case RECORD_SESSION_ADD:
        return REMEDY_DROP_SESSION;
    case RECORD_QUEUE_UPDATE:
        // PUBREL would go out, now or when the client comes back, and the message itself once more
        // after a restart. A store that failed takes no state of anything: whoever cannot have that
        // sets on_failure stop.
        return event->queued.state == QUEUE_STATE_WAIT_FOR_PUBCOMP && !lasting ? REMEDY_STOP
                                                                               : REMEDY_NONE;
    case RECORD_SUBSCRIPTION_ADD:
        return REMEDY_CLOSE_CLIENT;
    case RECORD_SUBSCRIPTION_DELETE:
        // Others come when a session ends, while its subscriptions are being freed.
        return append->unsubscriber ? REMEDY_CLOSE_CLIENT : REMEDY_NONE;
    case RECORD_QUEUE_ADD:
        if (event->queued.qos == 0 ||
            missing_is_unpromised(&append->missing, event->queued.store_id))
            return REMEDY_NONE;
        if (event->queued.direction == QUEUE_OUT && is_for_subscriber(append, event))
            return REMEDY_CLOSE_LATER;
        if (event->queued.direction == QUEUE_OUT)
            return remedy_for_message(append, event->queued.store_id);
        // Published again, the broker would know the message, and acknowledge it without a word.
        return lasting ? REMEDY_CLOSE_CLIENT : REMEDY_STOP;
    case RECORD_RETAINED_SET:
        return remedy_for_message(append, event->retained.store_id);
    case RECORD_RETAINED_DELETE:
        return remedy_for_cleared(plugin, &event->retained);
    case RECORD_QUEUE_DELETE:
        // Of one that is released, for PUBCOMP: after a restart it would be on its way in still, to
        // be handed on once more, also to who has had it.
        return event->queued.direction == QUEUE_IN &&
                       event->queued.state == QUEUE_STATE_WAIT_FOR_PUBREL && !lasting &&
                       !has_expired(plugin, event->queued.store_id, (struct span){NULL, 0}, false)
                   ? REMEDY_STOP
                   : REMEDY_NONE;
    default:
        // The end of a session, or of a message's way to a client: nothing is lost, but it comes
        // once more after a restart.
        return REMEDY_NONE;
    }
}

static const char *client_of(const struct event *event)
{
    switch (event->type) {
    case RECORD_SUBSCRIPTION_ADD:
    case RECORD_SUBSCRIPTION_DELETE:
        return event->subscription.client_id.data;
    default:
        return event->queued.client_id.data;
    }
}

// Its will goes out, as for any connection that breaks; the will's own events must not hide what is
// known of the message at hand.
static void connection_close(struct append *append, const char *client_id)
{
    struct append_message message = append->message;
    bool closing = append->closing;
    append->closing = true;
    mosquitto_kick_client_by_clientid(client_id, true);
    append->closing = closing;
    append->message = message;
}

static void session_refuse(struct append *append, const struct event *event)
{
    char **refused = realloc(append->refused, (append->refused_count + 1) * sizeof(*refused));
    char *client_id = strdup(event->session.client_id.data);
    if (refused)
        append->refused = refused;
    if (!refused || !client_id) {
        log_line(LOG_LEVEL_ERROR, "out of memory; the broker ends");
        plugin_die();
    }
    append->refused[append->refused_count++] = client_id;
}

// With log_dest topic the broker publishes the line at once: that message's events must not hide
// what is known of the one at hand.
static void failure_say(struct append *append, const struct event *event, const char *sentence)
{
    struct append_message message = append->message;
    int64_t now_ms = clock_steady_ms();
    if (append->said_ms && now_ms - append->said_ms < SAY_AGAIN_MS)
        return;
    append->said_ms = now_ms;
    log_line(LOG_LEVEL_ERROR, "%s cannot be stored: %s; what cannot be stored is not acknowledged",
             record_type_name(event->type), sentence);
    append->message = message;
}

static void failure_handle(struct plugin *plugin, const struct event *event,
                           const struct store_error *err)
{
    struct append *append = &plugin->append;
    bool lasting = err->code != STORE_EFULL && err->code != STORE_ENOSPC;
    enum remedy remedy = remedy_for(plugin, event, lasting);

    failure_say(append, event, err->sentence);
    if (plugin->options.on_failure == ON_FAILURE_STOP && lasting &&
        (remedy != REMEDY_NONE || record_promised(event)))
        remedy = REMEDY_STOP;
    switch (remedy) {
    case REMEDY_NONE:
        break;
    case REMEDY_CLOSE_LATER:
        append->subscriber_lacks = true;
        break;
    case REMEDY_CLOSE_CLIENT:
        connection_close(append, client_of(event));
        // Of an incoming message it is the publisher.
        append->message.closed |= event->type == RECORD_QUEUE_ADD;
        break;
    case REMEDY_CLOSE_PUBLISHER:
        connection_close(append, mosquitto_client_id(append->publisher));
        append->message.closed = true;
        break;
    case REMEDY_DROP_SESSION:
        session_refuse(append, event);
        break;
    case REMEDY_STOP:
        log_line(LOG_LEVEL_ERROR, "the broker ends, so that %s is not acknowledged: %s",
                 record_type_name(event->type), err->sentence);
        plugin_die();
    }
}

// What names a message that the store did not take must not be stored either.
static bool message_is_missing(const struct append *append, const struct event *event)
{
    if (event->type == RECORD_QUEUE_ADD)
        return missing_has(&append->missing, event->queued.store_id);
    return event->type == RECORD_RETAINED_SET &&
           missing_has(&append->missing, event->retained.store_id);
}

static void missing_keep(struct append *append, uint64_t store_id)
{
    if (missing_add(&append->missing, store_id, append->message.unpromised))
        return;
    log_line(LOG_LEVEL_ERROR, "out of memory; the broker ends");
    plugin_die();
}

// A message that nobody has asked admission for must leave the reserve to acknowledgements, and to
// those who come and go.
static int message_admit(struct plugin *plugin, const struct message *message,
                         struct store_error *err)
{
    uint64_t bytes = (uint64_t)message->payload.len + message->topic.len + message->properties.len;
    return plugin->append.message.unpromised ? store_admit(plugin->store, bytes, err) : 0;
}

void append_settle(struct plugin *plugin)
{
    uint64_t store_id = plugin->append.let_go;
    if (!store_id)
        return;
    struct event event = {.type = RECORD_MESSAGE_DELETE, .message.store_id = store_id};
    plugin->append.let_go = 0;
    append_event(plugin, &event);
}

void append_message_delete(struct plugin *plugin, uint64_t store_id)
{
    append_settle(plugin);
    plugin->append.let_go = store_id;
}

// `rc` and `err` say what is wrong with the event already, if anything is.
static void append_checked(struct plugin *plugin, const struct event *event, int rc,
                           struct store_error *err)
{
    struct append *append = &plugin->append;
    bool replaces = event->type == RECORD_RETAINED_SET ||
                    (event->type == RECORD_MESSAGE_ADD && event->message.retain);
    if (append->let_go && !replaces)
        append_settle(plugin);
    if (event->type == RECORD_MESSAGE_ADD) {
        append->message = (struct append_message){
            .store_id = event->message.store_id,
            .from_publisher = append->publisher && event->message.topic.data == append->topic,
            .unpromised = event->message.source_mid == 0,
        };
        if (rc == 0)
            rc = message_admit(plugin, &event->message, err);
    }
    if (rc == 0 && message_is_missing(append, event))
        rc = error_set(err, STORE_ENOSPC, "the message that it names could not be stored");
    if (rc == 0 && event->type == RECORD_SUBSCRIPTION_ADD && append->subscriber_lacks)
        rc = error_set(err, STORE_ENOSPC, "the retained messages for it could not be stored");
    if (rc == 0)
        rc = store_append(plugin->store, event, err);
    // In the store the topic still has the message that was to be replaced.
    if (rc && event->type == RECORD_RETAINED_SET)
        append->let_go = 0;
    if (rc) {
        if (event->type == RECORD_MESSAGE_ADD)
            missing_keep(append, event->message.store_id);
        failure_handle(plugin, event, err);
    }
    if (event->type == RECORD_RETAINED_SET)
        append_settle(plugin);
    if (event->type == RECORD_SUBSCRIPTION_DELETE)
        append->unsubscriber = NULL;
    if (event->type == RECORD_SUBSCRIPTION_ADD)
        append_subscribe_begins(plugin, NULL);
}

void append_event(struct plugin *plugin, const struct event *event)
{
    struct store_error err;
    error_init(&err);
    append_checked(plugin, event, 0, &err);
}

void append_with_properties(struct plugin *plugin, struct event *event,
                            const mosquitto_property *properties)
{
    struct store_error err;
    error_init(&err);
    bool is_will = event->type == RECORD_WILL_SET;
    int rc =
        properties_encode(&plugin->properties, properties,
                          is_will ? &event->will.properties : &event->message.properties, &err);
    append_checked(plugin, event, rc, &err);
}

void append_publish_begins(struct plugin *plugin, const struct mosquitto_evt_message *publish)
{
    struct append *append = &plugin->append;
    append->publisher = publish->client;
    append->topic = publish->topic;
    free(append->clears);
    // One of QoS 2 clears it with its PUBREL.
    bool clears = publish->retain && publish->payloadlen == 0 && publish->qos < 2;
    append->clears = clears ? strdup(publish->topic) : NULL;
}

void append_subscribe_begins(struct plugin *plugin, const struct mosquitto *client)
{
    plugin->append.subscriber = client;
    plugin->append.subscriber_lacks = false;
}

void append_unsubscribe_begins(struct plugin *plugin, const struct mosquitto *client)
{
    plugin->append.unsubscriber = client;
}

void append_client_gone(struct plugin *plugin, const struct mosquitto *client)
{
    struct append *append = &plugin->append;
    if (append->publisher == client)
        append->publisher = NULL;
    if (append->subscriber == client)
        append->subscriber = NULL;
    if (append->unsubscriber == client)
        append->unsubscriber = NULL;
}

void append_tick(struct plugin *plugin)
{
    struct append *append = &plugin->append;
    append_settle(plugin);
    append->publisher = NULL;
    append->topic = NULL;
    free(append->clears);
    append->clears = NULL;
    append->subscriber = NULL;
    append->unsubscriber = NULL;
    for (size_t i = 0; i < append->refused_count; i++) {
        // The client finds no session when it comes back, which is the truth.
        mosquitto_persist_client_delete(append->refused[i]);
        free(append->refused[i]);
    }
    append->refused_count = 0;
}

void append_release(struct append *append)
{
    for (size_t i = 0; i < append->refused_count; i++)
        free(append->refused[i]);
    free(append->refused);
    free(append->clears);
    missing_release(&append->missing);
    *append = (struct append){0};
}
