// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "events.h"

#include "clock.h"
#include "life.h"
#include "plugin.h"
#include "queue_restore.h"

// The reason that the broker gives when it ends sessions because it stops.
#define REASON_BROKER_STOPS -1

// ---- sessions ------------------------------------------------------------------------------

static struct session session_of(const struct mosquitto_client *client)
{
    return (struct session){
        .client_id = span_str(client->clientid),
        .username = span_str(client->username),
        .auth_method = span_str(client->auth_method),
        .session_expiry_time = client->session_expiry_time,
        .will_delay_time = client->will_delay_time,
        .changed_time_ms = clock_ms(),
        .session_expiry_interval = client->session_expiry_interval,
        .will_delay_interval = client->will_delay_interval,
        .max_packet_size = client->max_packet_size,
        .listener_port = client->listener_port,
        .max_qos = client->max_qos,
        .retain_available = client->retain_available,
    };
}

// A connection that is refused, for a wrong password say, or given up before it was let in, ends
// under the client id that it brought, as far as the events tell; the client that has this id is
// another. `client_id` is as the broker holds it.
static bool is_strangers(const char *client_id)
{
    const struct mosquitto *client = mosquitto_client(client_id);
    return !client || mosquitto_client_id(client) != client_id;
}

static int on_client_add(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_client *data = event_data;
    struct event event = {.type = RECORD_SESSION_ADD, .session = session_of(&data->data)};
    (void)number;
    event.session.connected = true;
    append_event(userdata, &event);
    return MOSQ_ERR_SUCCESS;
}

static int on_client_update(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_client *data = event_data;
    struct event event = {.type = RECORD_SESSION_UPDATE, .session = session_of(&data->data)};
    (void)number;
    if (is_strangers(data->data.clientid))
        return MOSQ_ERR_SUCCESS;
    if (data->data.will_delay_interval && data->data.will_delay_time)
        will_delays_begin(userdata, data->data.clientid, data->data.will_delay_interval,
                          data->data.will_delay_time, data->data.session_expiry_interval == 0);
    // Also called when the will of a client without a stored session is delayed.
    if (data->data.session_expiry_interval != 0)
        append_event(userdata, &event);
    return MOSQ_ERR_SUCCESS;
}

static void append_connection(struct plugin *plugin, enum record_type type,
                              struct connection connection)
{
    struct event event = {.type = type, .connection = connection};
    event.connection.time_ms = clock_ms();
    append_event(plugin, &event);
}

static int on_client_delete(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_client *data = event_data;
    (void)number;
    append_connection(userdata, RECORD_SESSION_DELETE,
                      (struct connection){.client_id = span_str(data->data.clientid)});
    backlog_client_deleted(userdata, data->data.clientid);
    pubrel_client_deleted(userdata, data->data.clientid);
    will_delays_end(userdata, data->data.clientid);
    return MOSQ_ERR_SUCCESS;
}

// ---- connections ---------------------------------------------------------------------------

static int on_connect(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_connect *data = event_data;
    const char *client_id = mosquitto_client_id(data->client);
    (void)number;
    will_delays_end(userdata, client_id);
    // A clean start either has no stored session or begins one, and then CLIENT_ADD says all this.
    if (mosquitto_client_clean_session(data->client))
        return MOSQ_ERR_SUCCESS;
    // Without MQTT 5 there is no interval: such a session never expires.
    bool never = mosquitto_client_protocol_version(data->client) != 5;
    append_connection(
        userdata, RECORD_SESSION_CONNECTED,
        (struct connection){.client_id = span_str(client_id),
                            .username = span_str(mosquitto_client_username(data->client)),
                            .session_expiry_time = never ? CONNECTION_NEVER_EXPIRES : 0,
                            .listener_port = (uint16_t)mosquitto_client_port(data->client)});
    backlog_client_connected(userdata, client_id);
    return MOSQ_ERR_SUCCESS;
}

// During the restore wills.c disconnects clients to have their wills published, and says itself
// what becomes of them.
static int on_client_offline(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_client_offline *data = event_data;
    struct plugin *plugin = userdata;
    const char *client_id = mosquitto_client_id(data->client);
    (void)number;
    append_client_gone(plugin, data->client);
    if (plugin->restoring || is_strangers(client_id))
        return MOSQ_ERR_SUCCESS;
    // The broker tells the interval right behind this by a CLIENT_UPDATE, unless there is none:
    // then the session does not expire, whatever it was stored with.
    append_connection(plugin, RECORD_SESSION_OFFLINE,
                      (struct connection){.client_id = span_str(client_id),
                                          .session_expiry_time = CONNECTION_NEVER_EXPIRES});
    backlog_client_offline(plugin, client_id);
    return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_disconnect *data = event_data;
    struct plugin *plugin = userdata;
    (void)number;
    append_client_gone(plugin, data->client);
    if (is_strangers(mosquitto_client_id(data->client)))
        return MOSQ_ERR_SUCCESS;
    // A stopping broker disconnects the sessions that it has restored; they live on in the store.
    if (plugin->restoring || data->reason == REASON_BROKER_STOPS)
        return MOSQ_ERR_SUCCESS;
    append_connection(
        plugin, RECORD_CONNECTION_ENDED,
        (struct connection){.client_id = span_str(mosquitto_client_id(data->client))});
    return MOSQ_ERR_SUCCESS;
}

// ---- subscriptions -------------------------------------------------------------------------

static void append_subscription(struct plugin *plugin, enum record_type type,
                                const struct mosquitto_subscription *subscription)
{
    struct event event = {.type = type,
                          .subscription = {.client_id = span_str(subscription->clientid),
                                           .topic_filter = span_str(subscription->topic_filter),
                                           .identifier = subscription->identifier,
                                           .options = subscription->options}};
    append_event(plugin, &event);
}

static int on_subscription_add(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_subscription *data = event_data;
    (void)number;
    append_subscription(userdata, RECORD_SUBSCRIPTION_ADD, &data->data);
    return MOSQ_ERR_SUCCESS;
}

static int on_subscription_delete(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_subscription *data = event_data;
    (void)number;
    append_subscription(userdata, RECORD_SUBSCRIPTION_DELETE, &data->data);
    return MOSQ_ERR_SUCCESS;
}

// ---- messages ------------------------------------------------------------------------------

static int on_base_msg_add(int number, void *event_data, void *userdata)
{
    const struct mosquitto_base_msg *msg =
        &((const struct mosquitto_evt_persist_base_msg *)event_data)->data;
    struct plugin *plugin = userdata;
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = msg->store_id,
                                      .expiry_time = msg->expiry_time,
                                      .topic = span_str(msg->topic),
                                      .payload = span_of(msg->payload ? msg->payload : "",
                                                         msg->payload ? msg->payloadlen : 0),
                                      .source_id = span_str(msg->source_id),
                                      .source_username = span_str(msg->source_username),
                                      .source_mid = msg->source_mid,
                                      .source_port = msg->source_port,
                                      .qos = msg->qos,
                                      .retain = msg->retain}};
    (void)number;
    append_with_properties(plugin, &event, msg->properties);
    return MOSQ_ERR_SUCCESS;
}

static int on_base_msg_delete(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_base_msg *data = event_data;
    struct plugin *plugin = userdata;
    (void)number;
    missing_forget(&plugin->append.missing, data->data.store_id);
    if (!backlog_keeps_message(plugin, data->data.store_id) &&
        !deletions_hold(&plugin->deletions, data->data.store_id))
        append_message_delete(plugin, data->data.store_id);
    return MOSQ_ERR_SUCCESS;
}

static void append_queued(struct plugin *plugin, enum record_type type,
                          const struct mosquitto_client_msg *msg)
{
    // The most frequent event: neither is the rest of the union cleared, nor does store_append have
    // to copy it.
    struct event event;
    event.type = type;
    event.queued = (struct queued){.client_id = span_str(msg->clientid),
                                   .cmsg_id = store_cmsg_id(plugin->store, msg->cmsg_id),
                                   .store_id = msg->store_id,
                                   .subscription_identifier = msg->subscription_identifier,
                                   .mid = msg->mid,
                                   .direction = msg->direction,
                                   .qos = msg->qos,
                                   .state = msg->state,
                                   .dup = msg->dup,
                                   .retain = msg->retain};
    append_event(plugin, &event);
}

static int on_client_msg_add(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_client_msg *data = event_data;
    (void)number;
    append_queued(userdata, RECORD_QUEUE_ADD, &data->data);
    if (data->data.direction == mosq_bmd_out && data->data.mid)
        backlog_mid_seen(userdata, data->data.clientid, data->data.mid);
    return MOSQ_ERR_SUCCESS;
}

static int on_client_msg_delete(int number, void *event_data, void *userdata)
{
    const struct mosquitto_client_msg *msg =
        &((const struct mosquitto_evt_persist_client_msg *)event_data)->data;
    struct plugin *plugin = userdata;
    (void)number;
    if (plugin->moving)
        queue_restore_deleted(plugin->moving, msg->cmsg_id);
    if (backlog_is_placeholder(plugin, msg->cmsg_id))
        return MOSQ_ERR_SUCCESS;
    append_queued(plugin, RECORD_QUEUE_DELETE, msg);
    if (msg->direction == mosq_bmd_out) {
        pubrel_deleted(plugin, msg->clientid, msg->cmsg_id);
        backlog_queue_shrank(plugin, msg->clientid);
    } else {
        incoming_deleted(plugin, msg);
    }
    return MOSQ_ERR_SUCCESS;
}

static int on_client_msg_update(int number, void *event_data, void *userdata)
{
    const struct mosquitto_client_msg *msg =
        &((const struct mosquitto_evt_persist_client_msg *)event_data)->data;
    struct plugin *plugin = userdata;
    (void)number;
    // What the restore moves keeps its state in the store.
    if (plugin->moving)
        queue_restore_moved(plugin->moving, msg->cmsg_id);
    else if (msg->direction != mosq_bmd_out || !pubrel_updated(plugin, msg->clientid, msg->cmsg_id))
        append_queued(plugin, RECORD_QUEUE_UPDATE, msg);
    if (msg->direction == mosq_bmd_in)
        incoming_taken(plugin, msg);
    // It has left the queue, and no other event tells that a bridge has connected.
    if (msg->state == QUEUE_STATE_PUBLISH_QOS1 || msg->state == QUEUE_STATE_PUBLISH_QOS2)
        backlog_queue_shrank(plugin, msg->clientid);
    return MOSQ_ERR_SUCCESS;
}

static void append_retained(struct plugin *plugin, enum record_type type,
                            const struct mosquitto_evt_persist_retain_msg *data)
{
    struct event event = {.type = type,
                          .retained = {.topic = span_str(data->topic), .store_id = data->store_id}};
    append_event(plugin, &event);
}

static int on_retain_msg_set(int number, void *event_data, void *userdata)
{
    (void)number;
    append_retained(userdata, RECORD_RETAINED_SET, event_data);
    return MOSQ_ERR_SUCCESS;
}

static int on_retain_msg_delete(int number, void *event_data, void *userdata)
{
    (void)number;
    append_retained(userdata, RECORD_RETAINED_DELETE, event_data);
    return MOSQ_ERR_SUCCESS;
}

// ---- wills ---------------------------------------------------------------------------------

// The broker gives WILL_DELETE the number of WILL_ADD: only the function tells them apart.
static int on_will_add(int number, void *event_data, void *userdata)
{
    const struct mosquitto_will_msg *msg =
        &((const struct mosquitto_evt_persist_will_msg *)event_data)->data;
    const struct mosquitto *client = mosquitto_client(msg->clientid);
    struct event event = {.type = RECORD_WILL_SET,
                          .will = {.client_id = span_str(msg->clientid),
                                   .topic = span_str(msg->topic),
                                   .payload = span_of(msg->payload ? msg->payload : "",
                                                      msg->payload ? msg->payloadlen : 0),
                                   .username = span_str(mosquitto_client_username(client)),
                                   .listener_port = (uint16_t)mosquitto_client_port(client),
                                   .qos = msg->qos,
                                   .retain = msg->retain}};
    (void)number;
    append_with_properties(userdata, &event, msg->properties);
    return MOSQ_ERR_SUCCESS;
}

static int on_will_delete(int number, void *event_data, void *userdata)
{
    const struct mosquitto_evt_persist_will_msg *data = event_data;
    struct event event = {.type = RECORD_WILL_DELETE,
                          .will.client_id = span_str(data->data.clientid)};
    (void)number;
    if (!is_strangers(data->data.clientid) && !will_delays_keep(userdata, data->data.clientid))
        append_event(userdata, &event);
    return MOSQ_ERR_SUCCESS;
}

// ---- the table -----------------------------------------------------------------------------

struct registration {
    int event; // one of enum mosquitto_plugin_event
    MOSQ_FUNC_generic_callback callback;
    const char *name;
};

static const struct registration registrations[] = {
    {MOSQ_EVT_PERSIST_RESTORE, life_restore, "PERSIST_RESTORE"},
    {MOSQ_EVT_PERSIST_CLIENT_ADD, on_client_add, "PERSIST_CLIENT_ADD"},
    {MOSQ_EVT_PERSIST_CLIENT_UPDATE, on_client_update, "PERSIST_CLIENT_UPDATE"},
    {MOSQ_EVT_PERSIST_CLIENT_DELETE, on_client_delete, "PERSIST_CLIENT_DELETE"},
    {MOSQ_EVT_PERSIST_SUBSCRIPTION_ADD, on_subscription_add, "PERSIST_SUBSCRIPTION_ADD"},
    {MOSQ_EVT_PERSIST_SUBSCRIPTION_DELETE, on_subscription_delete, "PERSIST_SUBSCRIPTION_DELETE"},
    {MOSQ_EVT_PERSIST_BASE_MSG_ADD, on_base_msg_add, "PERSIST_BASE_MSG_ADD"},
    {MOSQ_EVT_PERSIST_BASE_MSG_DELETE, on_base_msg_delete, "PERSIST_BASE_MSG_DELETE"},
    {MOSQ_EVT_PERSIST_CLIENT_MSG_ADD, on_client_msg_add, "PERSIST_CLIENT_MSG_ADD"},
    {MOSQ_EVT_PERSIST_CLIENT_MSG_DELETE, on_client_msg_delete, "PERSIST_CLIENT_MSG_DELETE"},
    {MOSQ_EVT_PERSIST_CLIENT_MSG_UPDATE, on_client_msg_update, "PERSIST_CLIENT_MSG_UPDATE"},
    {MOSQ_EVT_PERSIST_RETAIN_MSG_SET, on_retain_msg_set, "PERSIST_RETAIN_MSG_SET"},
    {MOSQ_EVT_PERSIST_RETAIN_MSG_DELETE, on_retain_msg_delete, "PERSIST_RETAIN_MSG_DELETE"},
    {MOSQ_EVT_PERSIST_WILL_ADD, on_will_add, "PERSIST_WILL_ADD"},
    {MOSQ_EVT_PERSIST_WILL_DELETE, on_will_delete, "PERSIST_WILL_DELETE"},
    {MOSQ_EVT_CONNECT, on_connect, "CONNECT"},
    {MOSQ_EVT_CLIENT_OFFLINE, on_client_offline, "CLIENT_OFFLINE"},
    {MOSQ_EVT_DISCONNECT, on_disconnect, "DISCONNECT"},
    {MOSQ_EVT_MESSAGE_IN, admission_message_in, "MESSAGE_IN"},
    {MOSQ_EVT_SUBSCRIBE, admission_subscribe, "SUBSCRIBE"},
    {MOSQ_EVT_UNSUBSCRIBE, admission_unsubscribe, "UNSUBSCRIBE"},
    {MOSQ_EVT_TICK, life_tick, "TICK"},
    {MOSQ_EVT_TICK, life_wake, "TICK"},
    {MOSQ_EVT_RELOAD, life_reload, "RELOAD"},
};

#define REGISTRATIONS (sizeof(registrations) / sizeof(registrations[0]))

static void unregister_first(struct plugin *plugin, size_t count)
{
    while (count-- > 0)
        mosquitto_callback_unregister(plugin->identifier, registrations[count].event,
                                      registrations[count].callback, NULL);
}

int events_register(struct plugin *plugin, struct store_error *err)
{
    for (size_t i = 0; i < REGISTRATIONS; i++) {
        int rc = mosquitto_callback_register(plugin->identifier, registrations[i].event,
                                             registrations[i].callback, NULL, plugin);
        if (rc == MOSQ_ERR_SUCCESS)
            continue;
        unregister_first(plugin, i);
        if (rc == MOSQ_ERR_NOT_SUPPORTED)
            return error_set(err, STORE_EVERSION,
                             "this broker has no event %s; Mosquitto 2.1 or newer is needed",
                             registrations[i].name);
        return error_set(err, STORE_EINVAL,
                         "the broker refuses event %s (%s); `persistence true` must not be set",
                         registrations[i].name, mosquitto_strerror(rc));
    }
    return 0;
}

void events_unregister(struct plugin *plugin)
{
    unregister_first(plugin, REGISTRATIONS);
}
