// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "wills.h"

#include "client_order.h"
#include "clock.h"
#include "plugin.h"
#include "restore.h"
#include "text.h"

struct publishing {
    struct plugin *plugin;
    struct store_view *walk;
    struct store_view *lookup;
    struct store_error *err;
    struct client_order delayed; // those that will wait: the broker gets them last
    bool restoring;              // not yet within the broker's loop
    int64_t restored_time;
    uint64_t count;
    uint64_t left;
    struct text client_id;
    struct text topic; // and the filter of a subscription
};

uint32_t wills_delay_left(const struct session *session)
{
    if (session->connected || !session->will_delay_time)
        return session->will_delay_interval;
    int64_t left = session->will_delay_time - clock_seconds();
    if (left <= 0)
        return 0;
    return left < session->will_delay_interval ? (uint32_t)left : session->will_delay_interval;
}

void wills_session_offline(struct plugin *plugin, const struct session *session)
{
    int64_t now_ms = clock_ms();
    bool never = session->session_expiry_interval == SESSION_EXPIRY_NEVER;
    struct event event = {
        .type = RECORD_SESSION_OFFLINE,
        .connection = {.client_id = session->client_id,
                       .time_ms = now_ms,
                       .session_expiry_time =
                           never ? 0 : now_ms / 1000 + session->session_expiry_interval}};
    append_event(plugin, &event);
}

static void will_forget(struct plugin *plugin, struct span client_id)
{
    struct event event = {.type = RECORD_WILL_DELETE, .will.client_id = client_id};
    append_event(plugin, &event);
}

static int will_set(struct publishing *wills, const struct will *will)
{
    const char *topic = text_set(&wills->topic, will->topic);
    mosquitto_property *properties = NULL;
    int rc = properties_decode(will->properties, &properties, wills->err);
    if (rc)
        return error_prefix(wills->err, "will of %.200s", wills->client_id.data);
    rc = topic ? mosquitto_client_will_set(wills->client_id.data, topic, (int)will->payload.len,
                                           will->payload.len ? will->payload.data : NULL, will->qos,
                                           will->retain, properties)
               : MOSQ_ERR_NOMEM;
    if (rc) {
        mosquitto_property_free_all(&properties);
        return restore_failed(wills->err, rc, "will of %.200s to %.200s", wills->client_id.data,
                              topic ? topic : "");
    }
    return 0;
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct publishing *wills = user;
    struct mosquitto_subscription sub = {
        .clientid = wills->client_id.data,
        .topic_filter = (char *)(uintptr_t)text_set(&wills->topic, subscription->topic_filter),
        .identifier = subscription->identifier,
        .options = subscription->options,
    };
    int rc = sub.topic_filter ? mosquitto_subscription_add(&sub) : MOSQ_ERR_NOMEM;
    if (rc && rc != MOSQ_ERR_SUB_EXISTS)
        return restore_failed(wills->err, rc, "subscription of %.200s to %.200s", sub.clientid,
                              sub.topic_filter ? sub.topic_filter : "");
    return 0;
}

static int will_of_session(struct publishing *wills, const struct will *will,
                           const struct session *session)
{
    struct plugin *plugin = wills->plugin;
    bool delayed = wills_delay_left(session) > 0;
    int rc = will_set(wills, will);
    if (rc)
        return rc;
    // A delayed will is stored anew while the client is disconnected, so what ends the old one must
    // come before. Any other must not end before its message is stored.
    if (delayed && session->connected)
        wills_session_offline(plugin, session);
    mosquitto_kick_client_by_clientid(wills->client_id.data, true);
    if (!delayed && session->connected)
        wills_session_offline(plugin, session);
    else if (!delayed)
        will_forget(plugin, will->client_id);
    // Disconnecting made the broker drop the subscriptions that the ACL denies at this moment,
    // without a word. It checks each message anyway, so they stay what they were.
    return store_each_subscription(wills->lookup, will->client_id, on_subscription, wills,
                                   wills->err);
}

static int will_without_session(struct publishing *wills, const struct will *will)
{
    struct mosquitto_client client = {
        .clientid = text_for_broker(will->client_id),
        .username = text_for_broker(will->username),
        .session_expiry_interval = SESSION_EXPIRY_NEVER, // or disconnecting ends it before the will
        .listener_port = will->listener_port,
        .max_qos = 2,
        .retain_available = true,
    };
    bool complete = client.username || !will->username.data;
    int rc = mosquitto_persist_client_add(&client);
    if (!complete)
        rc = MOSQ_ERR_NOMEM;
    if (rc)
        return restore_failed(wills->err, rc, "will of %.200s", wills->client_id.data);
    rc = will_set(wills, will);
    if (rc)
        return rc;
    mosquitto_kick_client_by_clientid(wills->client_id.data, true);
    mosquitto_persist_client_delete(wills->client_id.data);
    will_forget(wills->plugin, will->client_id);
    return 0;
}

// The broker looks for sessions that have expired between the restore and its loop. Their wills
// would be gone with them.
static bool session_ends_at_once(const struct session *session, int64_t now)
{
    return !session->connected && session->session_expiry_time &&
           session->session_expiry_time <= now + 1;
}

static int on_will(void *user, const struct will *will)
{
    struct publishing *wills = user;
    struct session session;
    if (!text_set(&wills->client_id, will->client_id))
        return error_set(wills->err, STORE_ENOMEM, "out of memory");
    wills->count++;
    int rc = store_get_session(wills->lookup, will->client_id, &session, wills->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    bool at_once = rc == 0 && session_ends_at_once(&session, wills->restored_time);
    if (wills->restoring != at_once) {
        wills->left++;
        return 0;
    }
    // It may have expired since the restore, if the broker took long to begin.
    bool has_session = rc == 0 && mosquitto_client(wills->client_id.data);
    if (!has_session)
        return will_without_session(wills, will);
    uint32_t delay = wills_delay_left(&session);
    // As the broker compares them, see will_delays.h.
    return delay ? client_order_add(&wills->delayed, will->client_id, (int32_t)delay, wills->err)
                 : will_of_session(wills, will, &session);
}

static int on_delayed_will(void *user, struct span client_id)
{
    struct publishing *wills = user;
    struct session session;
    struct will will;
    int rc = store_get_session(wills->lookup, client_id, &session, wills->err);
    if (rc == 0)
        rc = store_get_will(wills->walk, client_id, &will, wills->err);
    if (rc == 0 && !text_set(&wills->client_id, client_id))
        rc = error_set(wills->err, STORE_ENOMEM, "out of memory");
    return rc ? rc : will_of_session(wills, &will, &session);
}

static int wills_walk(struct publishing *wills)
{
    bool before = wills->plugin->restoring;
    wills->plugin->restoring = true;
    int rc = store_each_will(wills->walk, on_will, wills, wills->err);
    if (rc == 0)
        rc = client_order_each(&wills->delayed, on_delayed_will, wills);
    wills->plugin->restoring = before;
    client_order_release(&wills->delayed);
    text_release(&wills->client_id);
    text_release(&wills->topic);
    return rc;
}

int wills_restore(struct plugin *plugin, struct store_view **walk, struct store_view **lookup,
                  uint64_t *ret_count, struct store_error *err)
{
    struct publishing wills = {.plugin = plugin,
                               .walk = *walk,
                               .lookup = *lookup,
                               .err = err,
                               .restoring = true,
                               .restored_time = clock_seconds()};
    int rc = wills_walk(&wills);
    if (rc)
        return rc;
    *ret_count = wills.count;
    if (wills.left) {
        plugin->wills = (struct wills){*walk, *lookup, wills.restored_time};
        *walk = *lookup = NULL;
    }
    return 0;
}

int wills_publish(struct plugin *plugin, struct store_error *err)
{
    struct publishing wills = {.plugin = plugin,
                               .walk = plugin->wills.walk,
                               .lookup = plugin->wills.lookup,
                               .err = err,
                               .restored_time = plugin->wills.restored_time};
    int rc = wills_walk(&wills);
    if (rc == 0)
        wills_release(&plugin->wills);
    return rc;
}

void wills_release(struct wills *wills)
{
    store_view_close(wills->lookup);
    store_view_close(wills->walk);
    *wills = (struct wills){0};
}
