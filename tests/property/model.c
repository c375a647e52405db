// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "model.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX_BYTES 3000u

static uint64_t next_store_id = 1;
static uint64_t next_cmsg_id[MODEL_CLIENTS];

void model_restart(void)
{
    memset(next_cmsg_id, 0, sizeof(next_cmsg_id));
}

// Every third name is too long to be a key, and they share their first thousand bytes.
static struct span name_of(const char *kind, unsigned number)
{
    static char names[2][MODEL_TOPICS][1600];
    char *name = names[kind[0] == 't'][number];
    if (!name[0]) {
        if (number % 3 == 2)
            memset(name, kind[0], 1000 + number);
        snprintf(name + strlen(name), 100, "%s/%u", kind, number);
    }
    return span_str(name);
}

struct span model_client_id(unsigned client)
{
    return name_of("client", client);
}

struct span model_topic(unsigned topic)
{
    return name_of("topic", topic);
}

struct span model_username(unsigned username)
{
    static const char *const names[] = {NULL, "", "anna", "b\001\xff"};
    return span_str(names[username]);
}

static struct span payload_of(uint8_t fill, uint32_t bytes)
{
    static uint8_t payloads[256][PAYLOAD_MAX_BYTES];
    if (bytes && payloads[fill][0] != fill)
        memset(payloads[fill], fill, PAYLOAD_MAX_BYTES);
    return span_of(payloads[fill], bytes);
}

static void session_set(struct model_session *session, uint64_t *seed, struct event *event,
                        unsigned client)
{
    session->expiry_interval = seed_next(seed, 3) ? SESSION_EXPIRY_NEVER : seed_next(seed, 1000);
    session->expiry_time = (int64_t)seed_next(seed, 1000000);
    session->username = (uint8_t)seed_next(seed, 4);
    session->listener_port = (uint16_t)seed_next(seed, 65536);
    event->session = (struct session){.client_id = model_client_id(client),
                                      .username = model_username(session->username),
                                      .session_expiry_interval = session->expiry_interval,
                                      .session_expiry_time = session->expiry_time,
                                      .listener_port = session->listener_port,
                                      .max_qos = 2,
                                      .connected = true};
}

static void step_session(struct model *model, uint64_t *seed, struct event *event)
{
    unsigned client = seed_next(seed, MODEL_CLIENTS);
    struct model_session *session = &model->sessions[client];
    struct connection connection = {.client_id = model_client_id(client),
                                    .time_ms = (int64_t)seed_next(seed, 1000)};
    switch (seed_next(seed, 12)) {
    case 0:
        event->type = RECORD_SESSION_DELETE;
        event->connection = connection;
        memset(session, 0, sizeof(*session));
        model->wills[client].exists = false;
        next_cmsg_id[client] = 0;
        break;
    case 1:
    case 2:
        event->type = RECORD_SESSION_OFFLINE;
        connection.session_expiry_time = (int64_t)seed_next(seed, 1000000);
        event->connection = connection;
        if (session->connected)
            session->expiry_time = connection.session_expiry_time;
        session->connected = false;
        model->wills[client].exists = false;
        break;
    case 3:
    case 4:
        event->type = RECORD_SESSION_CONNECTED;
        session->username = (uint8_t)seed_next(seed, 4);
        connection.username = model_username(session->username);
        connection.listener_port = (uint16_t)seed_next(seed, 3);
        if (connection.listener_port)
            session->listener_port = connection.listener_port;
        event->connection = connection;
        session->connected = true;
        session->expiry_time = 0;
        break;
    case 5:
        event->type = RECORD_CONNECTION_ENDED;
        event->connection = connection;
        session->connected = false;
        model->wills[client].exists = false;
        break;
    case 6:
        event->type = RECORD_SESSION_UPDATE;
        session_set(session, seed, event, client);
        break;
    default:
        event->type = RECORD_SESSION_ADD;
        // Mostly of one that was not there, as a broker does; all that a session had goes.
        if (session->exists && seed_next(seed, 4)) {
            event->type = RECORD_SESSION_UPDATE;
            session_set(session, seed, event, client);
            break;
        }
        memset(session, 0, sizeof(*session));
        next_cmsg_id[client] = 0;
        session_set(session, seed, event, client);
        session->exists = session->connected = true;
    }
}

static void step_subscription(struct model *model, uint64_t *seed, struct event *event)
{
    unsigned client = seed_next(seed, MODEL_CLIENTS), topic = seed_next(seed, MODEL_TOPICS);
    struct model_session *session = &model->sessions[client];
    bool add = seed_next(seed, 3) != 0;
    event->type = add ? RECORD_SUBSCRIPTION_ADD : RECORD_SUBSCRIPTION_DELETE;
    event->subscription = (struct subscription){.client_id = model_client_id(client),
                                                .topic_filter = model_topic(topic),
                                                .options = (uint8_t)seed_next(seed, 40),
                                                .identifier = seed_next(seed, 268435456)};
    if (!session->exists)
        return;
    session->subscriptions[topic].exists = add;
    session->subscriptions[topic].options = event->subscription.options;
    session->subscriptions[topic].identifier = event->subscription.identifier;
}

static void step_message(struct model *model, uint64_t *seed, struct event *event)
{
    if (model->message_count && seed_next(seed, 2)) {
        unsigned at = seed_next(seed, model->message_count);
        event->type = RECORD_MESSAGE_DELETE;
        event->message.store_id = model->messages[at].store_id;
        model->messages[at] = model->messages[--model->message_count];
        return;
    }
    if (model->message_count == MODEL_MESSAGES_MAX)
        return;
    uint32_t bytes = seed_next(seed, 4) ? seed_next(seed, 300) : seed_next(seed, PAYLOAD_MAX_BYTES);
    struct model_message message = {
        .store_id = next_store_id++, .payload_bytes = bytes, .fill = (uint8_t)(1 + bytes % 255)};
    model->messages[model->message_count++] = message;
    event->type = RECORD_MESSAGE_ADD;
    event->message = (struct message){.store_id = message.store_id,
                                      .topic = model_topic(seed_next(seed, MODEL_TOPICS)),
                                      .payload = payload_of(message.fill, bytes),
                                      .qos = 1};
}

static struct queued queued_event(unsigned client, const struct model_queued *entry)
{
    return (struct queued){.client_id = model_client_id(client),
                           .cmsg_id = entry->cmsg_id,
                           .store_id = entry->store_id,
                           .mid = entry->mid,
                           .direction = entry->direction,
                           .state = entry->state,
                           .dup = entry->dup,
                           .qos = 1};
}

static void step_queue(struct model *model, uint64_t *seed, const struct store *store,
                       struct event *event)
{
    unsigned client = seed_next(seed, MODEL_CLIENTS);
    struct model_session *session = &model->sessions[client];
    if (!session->exists)
        return;
    unsigned what = seed_next(seed, 5);
    if (what < 2 || session->queue_count == 0) {
        if (session->queue_count == MODEL_QUEUE_MAX)
            return;
        struct model_queued entry = {.cmsg_id = ++next_cmsg_id[client],
                                     .store_id = seed_next(seed, 100000),
                                     .mid = (uint16_t)seed_next(seed, 65536),
                                     .direction = seed_next(seed, 8) ? QUEUE_OUT : QUEUE_IN,
                                     .state = (uint8_t)seed_next(seed, 12)};
        event->type = RECORD_QUEUE_ADD;
        event->queued = queued_event(client, &entry);
        entry.cmsg_id = store_cmsg_id(store, entry.cmsg_id);
        session->queue[session->queue_count++] = entry;
        return;
    }
    unsigned at = seed_next(seed, 4) ? 0 : seed_next(seed, session->queue_count);
    struct model_queued *entry = &session->queue[at];
    if (what == 2) {
        entry->state = (uint8_t)seed_next(seed, 12);
        entry->dup = (uint8_t)seed_next(seed, 3);
        event->type = RECORD_QUEUE_UPDATE;
        event->queued = queued_event(client, entry);
        return;
    }
    event->type = RECORD_QUEUE_DELETE;
    event->queued = queued_event(client, entry);
    memmove(entry, entry + 1, (session->queue_count - at - 1) * sizeof(*entry));
    session->queue_count--;
    if (session->queue_count == 0)
        next_cmsg_id[client] = 0; // as the broker does when a session comes back to an empty queue
}

static void step_retained_or_will(struct model *model, uint64_t *seed, struct event *event)
{
    unsigned topic = seed_next(seed, MODEL_TOPICS), client = seed_next(seed, MODEL_CLIENTS);
    switch (seed_next(seed, 4)) {
    case 0:
        event->type = RECORD_RETAINED_DELETE;
        event->retained.topic = model_topic(topic);
        model->retained[topic] = 0;
        break;
    case 1:
        event->type = RECORD_WILL_DELETE;
        event->will.client_id = model_client_id(client);
        model->wills[client].exists = false;
        break;
    case 2: {
        uint8_t fill = (uint8_t)(1 + seed_next(seed, 255));
        event->type = RECORD_WILL_SET;
        event->will = (struct will){.client_id = model_client_id(client),
                                    .topic = model_topic(topic),
                                    .payload = payload_of(fill, 20)};
        model->wills[client] = (struct model_will){.exists = true, .fill = fill};
        break;
    }
    default:
        model->retained[topic] = 1 + seed_next(seed, 100000);
        event->type = RECORD_RETAINED_SET;
        event->retained =
            (struct retained){.topic = model_topic(topic), .store_id = model->retained[topic]};
    }
}

void model_step(struct model *model, uint64_t *seed, const struct store *store,
                struct event *ret_event)
{
    memset(ret_event, 0, sizeof(*ret_event));
    ret_event->type = RECORD_LOOP_MARK;
    uint32_t kind = seed_next(seed, 100);
    if (kind < 10)
        step_session(model, seed, ret_event);
    else if (kind < 20)
        step_subscription(model, seed, ret_event);
    else if (kind < 50)
        step_message(model, seed, ret_event);
    else if (kind < 90)
        step_queue(model, seed, store, ret_event);
    else
        step_retained_or_will(model, seed, ret_event);
}

struct walk {
    const struct model *model;
    unsigned client;
    unsigned count; // entries seen
    uint64_t last_store_id;
};

static unsigned client_number(struct span client_id)
{
    for (unsigned client = 0; client < MODEL_CLIENTS; client++) {
        if (span_equal(model_client_id(client), client_id))
            return client;
    }
    ck_abort_msg("a client id that was never stored");
    return 0;
}

static unsigned topic_number(struct span topic)
{
    for (unsigned number = 0; number < MODEL_TOPICS; number++) {
        if (span_equal(model_topic(number), topic))
            return number;
    }
    ck_abort_msg("a topic that was never stored");
    return 0;
}

static int compare_session(void *user, const struct session *session)
{
    struct walk *walk = user;
    unsigned client = client_number(session->client_id);
    const struct model_session *expected = &walk->model->sessions[client];
    ck_assert_msg(expected->exists, "session %u should be gone", client);
    ck_assert_int_eq(session->connected, expected->connected);
    ck_assert_uint_eq(session->session_expiry_interval, expected->expiry_interval);
    ck_assert_int_eq(session->session_expiry_time, expected->expiry_time);
    ck_assert_uint_eq(session->listener_port, expected->listener_port);
    ck_assert(span_equal(session->username, model_username(expected->username)));
    ck_assert_int_eq(session->username.data == NULL, expected->username == 0);
    walk->count++;
    return 0;
}

static int compare_subscription(void *user, const struct subscription *subscription)
{
    struct walk *walk = user;
    unsigned client = client_number(subscription->client_id);
    unsigned topic = topic_number(subscription->topic_filter);
    const struct model_session *session = &walk->model->sessions[client];
    ck_assert_msg(session->exists && session->subscriptions[topic].exists,
                  "subscription of %u to %u should be gone", client, topic);
    ck_assert_uint_eq(subscription->options, session->subscriptions[topic].options);
    ck_assert_uint_eq(subscription->identifier, session->subscriptions[topic].identifier);
    walk->count++;
    return 0;
}

static int compare_message(void *user, const struct message *message)
{
    struct walk *walk = user;
    ck_assert_uint_gt(message->store_id, walk->last_store_id);
    walk->last_store_id = message->store_id;
    for (unsigned i = 0; i < walk->model->message_count; i++) {
        const struct model_message *expected = &walk->model->messages[i];
        if (expected->store_id != message->store_id)
            continue;
        ck_assert(
            span_equal(message->payload, payload_of(expected->fill, expected->payload_bytes)));
        walk->count++;
        return 0;
    }
    ck_abort_msg("message %llu should be gone", (unsigned long long)message->store_id);
    return 0;
}

// The model's queue holds both directions in the order of adding; a walk gives one after the other.
static int compare_queued(void *user, const struct queued *queued)
{
    struct walk *walk = user;
    const struct model_session *session = &walk->model->sessions[walk->client];
    unsigned at = walk->count++, index = 0;
    for (uint8_t direction = QUEUE_IN; direction <= QUEUE_OUT; direction++) {
        for (unsigned i = 0; i < session->queue_count; i++) {
            const struct model_queued *expected = &session->queue[i];
            if (expected->direction != direction || index++ != at)
                continue;
            ck_assert_uint_eq(queued->cmsg_id, expected->cmsg_id);
            ck_assert_uint_eq(queued->store_id, expected->store_id);
            ck_assert_uint_eq(queued->mid, expected->mid);
            ck_assert_uint_eq(queued->direction, expected->direction);
            ck_assert_uint_eq(queued->state, expected->state);
            ck_assert_uint_eq(queued->dup, expected->dup);
            return 0;
        }
    }
    ck_abort_msg("client %u has more in its queue than it should", walk->client);
    return 0;
}

static int compare_retained(void *user, const struct retained *retained)
{
    struct walk *walk = user;
    ck_assert_uint_eq(walk->model->retained[topic_number(retained->topic)], retained->store_id);
    walk->count++;
    return 0;
}

static int compare_will(void *user, const struct will *will)
{
    struct walk *walk = user;
    const struct model_will *expected = &walk->model->wills[client_number(will->client_id)];
    ck_assert(expected->exists);
    ck_assert(span_equal(will->payload, payload_of(expected->fill, 20)));
    walk->count++;
    return 0;
}

void model_compare(const struct model *model, struct store *store)
{
    struct store_error err = {0};
    struct store_view *view = NULL;
    unsigned sessions = 0, subscriptions = 0, retained = 0, wills = 0;
    for (unsigned client = 0; client < MODEL_CLIENTS; client++) {
        const struct model_session *session = &model->sessions[client];
        sessions += session->exists;
        wills += model->wills[client].exists;
        for (unsigned topic = 0; session->exists && topic < MODEL_TOPICS; topic++)
            subscriptions += session->subscriptions[topic].exists;
    }
    for (unsigned topic = 0; topic < MODEL_TOPICS; topic++)
        retained += model->retained[topic] != 0;

    ck_assert_msg(store_view_open(&view, store, &err) == 0, "%s", err.sentence);
    struct span all = {0};
#define WALK(call, expected)                            \
    do {                                                \
        struct walk walk = {.model = model};            \
        ck_assert_msg((call) == 0, "%s", err.sentence); \
        ck_assert_uint_eq(walk.count, expected);        \
    } while (0)
    WALK(store_each_session(view, compare_session, &walk, &err), sessions);
    WALK(store_each_subscription(view, all, compare_subscription, &walk, &err), subscriptions);
    WALK(store_each_message(view, compare_message, &walk, &err), model->message_count);
    WALK(store_each_retained(view, compare_retained, &walk, &err), retained);
    WALK(store_each_will(view, compare_will, &walk, &err), wills);
#undef WALK
    for (unsigned client = 0; client < MODEL_CLIENTS; client++) {
        struct walk walk = {.model = model, .client = client};
        if (!model->sessions[client].exists)
            continue;
        ck_assert_msg(
            store_each_queued(view, model_client_id(client), compare_queued, &walk, &err) == 0,
            "%s", err.sentence);
        ck_assert_uint_eq(walk.count, model->sessions[client].queue_count);
    }
    store_view_close(view);
}
