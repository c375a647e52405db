// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "restore.h"

#include "client_order.h"
#include "clock.h"
#include "plugin.h"
#include "queue_restore.h"
#include "release.h"
#include "text.h"
#include "wills.h"

#include <stdarg.h>
#include <stdio.h>

struct restore {
    struct plugin *plugin;
    struct store_view *view;   // is walked
    struct store_view *lookup; // gives single entries meanwhile
    struct restore_counts *counts;
    struct store_error *err;
    struct text client_id;
    struct text filter;
    struct client_order order;
    int64_t begin_time;
    struct queue_restore *queue;
    struct release *release;
};

int restore_failed(struct store_error *err, int rc, const char *format, ...)
{
    char thing[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(thing, sizeof(thing), format, args);
    va_end(args);
    if (rc == MOSQ_ERR_NOMEM)
        return error_set(err, STORE_ENOMEM, "%s: out of memory", n < 0 ? format : thing);
    return error_set(err, STORE_EDAMAGED, "%s: the broker does not take it (%d: %s)",
                     n < 0 ? format : thing, rc, mosquitto_strerror(rc));
}

// ---- messages ------------------------------------------------------------------------------

int restore_message(const struct message *message, bool *ret_had, struct store_error *err)
{
    struct text source_id = {0}, source_username = {0};
    unsigned long long id = message->store_id;
    struct mosquitto_base_msg msg = {
        .store_id = message->store_id,
        .expiry_time = message->expiry_time,
        .topic = text_for_broker(message->topic),
        .payload = message->payload.len ? text_for_broker(message->payload) : NULL,
        .source_id = (char *)(uintptr_t)text_set(&source_id, message->source_id),
        .source_username = (char *)(uintptr_t)text_set(&source_username, message->source_username),
        .payloadlen = message->payload.len,
        .source_mid = message->source_mid,
        .source_port = message->source_port,
        .qos = message->qos,
        .retain = message->retain,
    };
    int rc = 0;
    if (!msg.topic || (message->payload.len && !msg.payload) ||
        (message->source_id.data && !msg.source_id) ||
        (message->source_username.data && !msg.source_username)) {
        rc = restore_failed(err, MOSQ_ERR_NOMEM, "message %llu", id);
        goto done;
    }
    rc = properties_decode(message->properties, &msg.properties, err);
    if (rc) {
        error_prefix(err, "message %llu", id);
        goto done;
    }
    // The broker owns topic, payload and properties from here on, on failure too.
    int added = mosquitto_persist_base_msg_add(&msg);
    msg.topic = NULL;
    msg.payload = NULL;
    if (added && added != MOSQ_ERR_ALREADY_EXISTS)
        rc = restore_failed(err, added, "message %llu", id);
    else if (added && !ret_had)
        rc = restore_failed(err, added, "message %llu stands in the store twice", id);
    if (ret_had)
        *ret_had = added == MOSQ_ERR_ALREADY_EXISTS;

done:
    mosquitto_free(msg.topic);
    mosquitto_free(msg.payload);
    text_release(&source_id);
    text_release(&source_username);
    return rc;
}

static int on_message(void *user, const struct message *message)
{
    struct restore *restore = user;
    restore->counts->messages++;
    return restore_message(message, NULL, restore->err);
}

static int on_retained(void *user, const struct retained *retained)
{
    struct restore *restore = user;
    const char *topic = text_set(&restore->filter, retained->topic);
    int rc = topic ? mosquitto_persist_retain_msg_set(topic, retained->store_id) : MOSQ_ERR_NOMEM;
    if (rc)
        return restore_failed(restore->err, rc, "retained message %llu of topic %.200s",
                              (unsigned long long)retained->store_id, topic ? topic : "");
    restore->counts->retained++;
    return 0;
}

// ---- sessions ------------------------------------------------------------------------------

static int session_has_will(struct restore *restore, const struct session *session, bool *ret_has)
{
    struct will will;
    int rc = store_get_will(restore->lookup, session->client_id, &will, restore->err);
    *ret_has = rc == 0;
    return rc == STORE_ENOTFOUND ? 0 : rc;
}

static int on_session(struct restore *restore, const struct session *session)
{
    bool has_will = false;
    int rc = 0;
    if ((session->connected || session->will_delay_interval) &&
        (rc = session_has_will(restore, session, &has_will)))
        return rc;
    const char *client_id = text_set(&restore->client_id, session->client_id);
    struct mosquitto_client client = {
        .clientid = text_for_broker(session->client_id),
        .username = text_for_broker(session->username),
        .auth_method = text_for_broker(session->auth_method),
        .will_delay_time = (time_t)session->will_delay_time,
        // 0: the interval begins now. It had not begun while the client was connected.
        .session_expiry_time = session->connected ? 0 : (time_t)session->session_expiry_time,
        // The broker would wait for a will that never comes before it lets go of the session.
        .will_delay_interval = has_will ? wills_delay_left(session) : 0,
        .session_expiry_interval = session->session_expiry_interval,
        .max_packet_size = session->max_packet_size,
        .listener_port = session->listener_port,
        .max_qos = session->max_qos,
        .retain_available = session->retain_available,
    };
    bool complete = client_id && client.clientid && (client.username || !session->username.data) &&
                    (client.auth_method || !session->auth_method.data);
    // Whatever comes of it, the broker owns or frees the strings.
    rc = mosquitto_persist_client_add(&client);
    if (!complete)
        rc = MOSQ_ERR_NOMEM;
    if (rc)
        return restore_failed(restore->err, rc, "session %.200s", client_id ? client_id : "");
    if (session->connected && !has_will)
        wills_session_offline(restore->plugin, session);
    if ((rc = release_session(restore->release, session->client_id, restore->err)))
        return rc;
    restore->counts->sessions++;
    restore->counts->sessions_connected += session->connected;
    return 0;
}

// By the time at which the broker lets it expire, about. The interval of one that was connected
// begins now.
static int on_session_noted(void *user, const struct session *session)
{
    struct restore *restore = user;
    int64_t time = restore->begin_time + session->session_expiry_interval;
    if (!session->connected && session->session_expiry_time)
        time = session->session_expiry_time;
    else if (session->session_expiry_interval == SESSION_EXPIRY_NEVER)
        time = INT64_MAX;
    return client_order_add(&restore->order, session->client_id, time, restore->err);
}

static int on_session_in_order(void *user, struct span client_id)
{
    struct restore *restore = user;
    struct session session;
    int rc = store_get_session(restore->view, client_id, &session, restore->err);
    return rc ? rc : on_session(restore, &session);
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct restore *restore = user;
    struct mosquitto_subscription sub = {
        .clientid = (char *)(uintptr_t)text_set(&restore->client_id, subscription->client_id),
        .topic_filter = (char *)(uintptr_t)text_set(&restore->filter, subscription->topic_filter),
        .identifier = subscription->identifier,
        .options = subscription->options,
    };
    int rc = sub.clientid && sub.topic_filter ? mosquitto_subscription_add(&sub) : MOSQ_ERR_NOMEM;
    if (rc && rc != MOSQ_ERR_SUB_EXISTS)
        return restore_failed(restore->err, rc, "subscription of %.200s to %.200s",
                              sub.clientid ? sub.clientid : "",
                              sub.topic_filter ? sub.topic_filter : "");
    restore->counts->subscriptions++;
    return 0;
}

static int on_queued(void *user, const struct queued *queued)
{
    struct restore *restore = user;
    int rc = release_queued(restore->release, queued, restore->err);
    return rc ? rc : queue_restore_add(restore->queue, queued, restore->err);
}

static int restore_all(struct restore *restore)
{
    const struct span everyone = {0};
    struct store_view *view = restore->view;
    struct store_error *err = restore->err;
    int rc;
    if ((rc = store_each_message_ahead(view, on_message, restore, err)) ||
        (rc = store_each_retained(view, on_retained, restore, err)) ||
        (rc = store_each_session(view, on_session_noted, restore, err)) ||
        (rc = client_order_each(&restore->order, on_session_in_order, restore)) ||
        (rc = store_each_subscription(view, everyone, on_subscription, restore, err)) ||
        (rc = store_each_queued(view, everyone, on_queued, restore, err)))
        return rc;
    queue_restore_finish(restore->queue);
    if ((rc = release_finish(restore->release, view, err)) ||
        (rc = backlog_ready(&restore->plugin->backlog, err)))
        return rc;
    // Last, so that a will queues up behind what its subscribers were already owed.
    return wills_restore(restore->plugin, &restore->view, &restore->lookup, &restore->counts->wills,
                         err);
}

int restore_run(struct plugin *plugin, struct restore_counts *ret_counts, struct store_error *err)
{
    struct restore_counts counts = {0};
    struct restore restore = {
        .plugin = plugin, .counts = &counts, .err = err, .begin_time = clock_seconds()};
    int rc = store_view_open(&restore.view, plugin->store, err);
    if (rc == 0)
        rc = store_view_open(&restore.lookup, plugin->store, err);
    if (rc == 0)
        rc = queue_restore_new(&restore.queue, plugin, restore.lookup, &counts, err);
    if (rc == 0)
        rc = release_new(&restore.release, plugin, restore.lookup, err);
    if (rc == 0)
        rc = restore_all(&restore);
    client_order_release(&restore.order);
    release_free(restore.release);
    queue_restore_free(restore.queue);
    store_view_close(restore.lookup);
    store_view_close(restore.view);
    text_release(&restore.client_id);
    text_release(&restore.filter);
    if (rc == 0)
        *ret_counts = counts;
    return rc;
}
