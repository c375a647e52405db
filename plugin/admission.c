// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "admission.h"

#include "clock.h"
#include "log.h"
#include "plugin.h"

// How long there must be room before that is said: at the edge it comes and goes many times a
// second.
#define ROOM_MS 1000

// Closes a connection without an acknowledgement, and stands in the broker's log.
#define REFUSE_BY_CLOSING MOSQ_ERR_SERVER_BUSY

// A topic or topic filter that is longer than MQTT allows. The broker looks before it puts the
// listener's mount_point in front, and would hand such a message on with half a topic. It closes
// the connection of a client that sends one by itself, and so it does here.
#define REFUSE_AS_MALFORMED MOSQ_ERR_MALFORMED_PACKET

static bool is_too_long(const char *topic)
{
    return strlen(topic) > EVENT_STRING_MAX_BYTES;
}

// How the client is refused. Quota exceeded becomes reason code 0x97 in the PUBACK or PUBREC;
// without MQTT 5 that would be a plain acknowledgement, so the connection is closed and the client
// sends it again. At QoS 0 there is no acknowledgement: the message is dropped. A bridge's context
// has no listener: the broker at its other end would take 0x97 for the message's end, and must keep
// it.
static int refusal_of(const struct mosquitto_evt_message *publish)
{
    if (publish->qos == 0)
        return MOSQ_ERR_QUOTA_EXCEEDED;
    if (mosquitto_client_protocol_version(publish->client) == 5 &&
        mosquitto_client_port(publish->client) != 0)
        return MOSQ_ERR_QUOTA_EXCEEDED;
    return REFUSE_BY_CLOSING;
}

static void refusal_note(struct admission *admission, uint64_t bytes, const char *reason)
{
    if (!admission->closed)
        log_line(LOG_LEVEL_WARNING, "publishers are refused: %s", reason);
    admission->closed = true;
    admission->room_since_ms = 0;
    if (bytes > admission->refused_bytes)
        admission->refused_bytes = bytes;
}

int admission_message_in(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_message *publish = event_data;
    struct plugin *plugin = userdata;
    struct store_error err;
    (void)event;

    error_init(&err);
    backlog_fill(plugin);
    if (is_too_long(publish->topic))
        return REFUSE_AS_MALFORMED;
    if (publish->qos == 0 && !publish->retain)
        return MOSQ_ERR_SUCCESS;
    append_publish_begins(plugin, publish);
    uint64_t bytes = publish->payloadlen + strlen(publish->topic);
    if (publish->properties)
        bytes += mosquitto_property_get_remaining_length(publish->properties);
    if (store_admit(plugin->store, bytes, &err) == 0)
        return MOSQ_ERR_SUCCESS;

    refusal_note(&plugin->admission, bytes, err.sentence);
    return refusal_of(publish);
}

// Whether the client may have a session that outlives its connection; the broker does not tell for
// MQTT 5.
static bool may_be_stored(const struct mosquitto *client)
{
    return !mosquitto_client_clean_session(client) ||
           mosquitto_client_protocol_version(client) == 5;
}

static int admit_subscriber(struct plugin *plugin, const struct mosquitto *client)
{
    struct store_error err = {0};
    if (store_admit(plugin->store, 0, &err) == STORE_EPOISONED && may_be_stored(client))
        return REFUSE_BY_CLOSING;
    return MOSQ_ERR_SUCCESS;
}

int admission_subscribe(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_subscribe *subscribe = event_data;
    (void)event;
    backlog_fill(userdata);
    if (is_too_long(subscribe->data.topic_filter))
        return REFUSE_AS_MALFORMED;
    append_subscribe_begins(userdata, subscribe->client);
    return admit_subscriber(userdata, subscribe->client);
}

int admission_unsubscribe(int event, void *event_data, void *userdata)
{
    const struct mosquitto_evt_unsubscribe *unsubscribe = event_data;
    (void)event;
    append_unsubscribe_begins(userdata, unsubscribe->client);
    return admit_subscriber(userdata, unsubscribe->client);
}

static void room_note(struct admission *admission, bool room)
{
    int64_t now_ms = clock_steady_ms();
    if (!room) {
        admission->room_since_ms = 0;
    } else if (!admission->room_since_ms) {
        admission->room_since_ms = now_ms;
    } else if (now_ms - admission->room_since_ms >= ROOM_MS) {
        *admission = (struct admission){0};
        log_line(LOG_LEVEL_NOTICE, "publishers are taken again");
    }
}

void admission_tick(struct plugin *plugin)
{
    struct admission *admission = &plugin->admission;
    struct store_error err = {0};
    bool stop = plugin->options.on_failure == ON_FAILURE_STOP;
    if (!admission->closed && !stop)
        return;
    int rc = store_admit(plugin->store, admission->refused_bytes, &err);
    // A segment that cannot be prepared for lack of room is no failure of the disk.
    if (stop && (rc == STORE_EPOISONED || rc == STORE_EIO)) {
        log_line(LOG_LEVEL_ERROR, "the broker ends, as plugin_opt_on_failure stop wants: %s",
                 err.sentence);
        plugin_die();
    }
    if (admission->closed)
        room_note(admission, rc == 0);
}
