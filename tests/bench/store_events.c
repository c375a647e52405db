// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Appends the events of one kind of traffic to a store, COUNT times over, as the broker's thread
// would: for callgrind, which counts what happens within `measured`, and for the clock.
#include "load_error.h"
#include "payload.h"

#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Messages that exist before and after a step, so that deletes and updates find theirs.
#define LAG 64
#define PAYLOAD_BYTES 200

struct traffic {
    struct store *store;
    uint64_t next; // number of the step
    bool counted;  // go through measured()
    uint8_t payload[PAYLOAD_BYTES];
};

// callgrind collects within this function only: not what it takes to make up an event. An event of
// NULL is a tick.
__attribute__((noinline)) int measured(struct store *store, const struct event *event,
                                       struct store_error *err);

__attribute__((noinline)) int measured(struct store *store, const struct event *event,
                                       struct store_error *err)
{
    if (event)
        return store_append(store, event, err);
    store_tick(store);
    return 0;
}

static void append(struct traffic *traffic, const struct event *event)
{
    struct store_error err = {0};
    int rc = traffic->counted ? measured(traffic->store, event, &err)
                              : store_append(traffic->store, event, &err);
    if (rc)
        load_die("%s", err.sentence);
}

static struct span topic_of(uint64_t number)
{
    static char topic[] = "bench/p000/line000/sensor000/telemetry";
    for (size_t i = 3; i-- > 0; number /= 10)
        topic[25 + i] = (char)('0' + number % 10);
    return span_str(topic);
}

static void message_add(struct traffic *traffic, uint64_t number, bool retain)
{
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = number,
                                      .topic = topic_of(number),
                                      .payload = span_of(traffic->payload, PAYLOAD_BYTES),
                                      .source_id = span_str("bench-pub-0"),
                                      .source_mid = (uint16_t)(number % 50 + 1),
                                      .source_port = 1883,
                                      .qos = 1,
                                      .retain = retain}};
    append(traffic, &event);
}

static void message_delete(struct traffic *traffic, uint64_t number)
{
    struct event event = {.type = RECORD_MESSAGE_DELETE, .message = {.store_id = number}};
    append(traffic, &event);
}

static void queue_event(struct traffic *traffic, enum record_type type, uint64_t number,
                        uint8_t qos, uint8_t state)
{
    struct event event = {.type = type,
                          .queued = {.client_id = span_str("bench-sub-0"),
                                     .cmsg_id = number,
                                     .store_id = number,
                                     .mid = (uint16_t)(number % 65535 + 1),
                                     .direction = QUEUE_OUT,
                                     .qos = qos,
                                     .state = state}};
    append(traffic, &event);
}

// ---- kinds of traffic: what the broker tells for one message

static void step_offline(struct traffic *traffic, uint64_t number)
{
    message_add(traffic, number, false);
    queue_event(traffic, RECORD_QUEUE_ADD, number, 1, QUEUE_STATE_QUEUED);
}

static void step_online(struct traffic *traffic, uint64_t number)
{
    message_add(traffic, number, false);
    queue_event(traffic, RECORD_QUEUE_ADD, number, 1, QUEUE_STATE_PUBLISH_QOS1);
    queue_event(traffic, RECORD_QUEUE_UPDATE, number, 1, QUEUE_STATE_WAIT_FOR_PUBACK);
    if (number > LAG) {
        queue_event(traffic, RECORD_QUEUE_DELETE, number - LAG, 1, QUEUE_STATE_WAIT_FOR_PUBACK);
        message_delete(traffic, number - LAG);
    }
}

static void step_online_2(struct traffic *traffic, uint64_t number)
{
    message_add(traffic, number, false);
    queue_event(traffic, RECORD_QUEUE_ADD, number, 2, QUEUE_STATE_PUBLISH_QOS2);
    queue_event(traffic, RECORD_QUEUE_UPDATE, number, 2, QUEUE_STATE_WAIT_FOR_PUBREC);
    if (number > LAG) {
        queue_event(traffic, RECORD_QUEUE_UPDATE, number - LAG, 2, QUEUE_STATE_WAIT_FOR_PUBCOMP);
        queue_event(traffic, RECORD_QUEUE_DELETE, number - LAG, 2, QUEUE_STATE_WAIT_FOR_PUBCOMP);
        message_delete(traffic, number - LAG);
    }
}

static void step_drain(struct traffic *traffic, uint64_t number)
{
    queue_event(traffic, RECORD_QUEUE_UPDATE, number, 1, QUEUE_STATE_PUBLISH_QOS1);
    queue_event(traffic, RECORD_QUEUE_UPDATE, number, 1, QUEUE_STATE_WAIT_FOR_PUBACK);
    queue_event(traffic, RECORD_QUEUE_DELETE, number, 1, QUEUE_STATE_WAIT_FOR_PUBACK);
    message_delete(traffic, number);
}

static void step_retained(struct traffic *traffic, uint64_t number)
{
    message_add(traffic, number, true);
    struct event event = {.type = RECORD_RETAINED_SET,
                          .retained = {.topic = topic_of(number), .store_id = number}};
    append(traffic, &event);
    if (number > 1000)
        message_delete(traffic, number - 1000);
}

static void step_queue_add(struct traffic *traffic, uint64_t number)
{
    queue_event(traffic, RECORD_QUEUE_ADD, number, 1, QUEUE_STATE_QUEUED);
}

static void step_queue_update(struct traffic *traffic, uint64_t number)
{
    queue_event(traffic, RECORD_QUEUE_UPDATE, number, 2, QUEUE_STATE_WAIT_FOR_PUBCOMP);
}

static void step_queue_delete(struct traffic *traffic, uint64_t number)
{
    queue_event(traffic, RECORD_QUEUE_DELETE, number, 1, QUEUE_STATE_WAIT_FOR_PUBACK);
}

static void step_tick(struct traffic *traffic, uint64_t number)
{
    (void)number;
    if (traffic->counted)
        append(traffic, NULL);
}

// `prepare` is what must be in the store for every number before its step comes.
static const struct kind {
    const char *name;
    void (*step)(struct traffic *traffic, uint64_t number);
    void (*prepare)(struct traffic *traffic, uint64_t number);
    const char *events;
} kinds[] = {
    {"offline-qos1", step_offline, NULL, "message_add, queue_add"},
    {"online-qos1", step_online, NULL,
     "message_add, queue_add, queue_update, queue_delete, message_delete"},
    {"online-qos2", step_online_2, NULL,
     "message_add, queue_add, 2 queue_update, queue_delete, message_delete"},
    {"drain", step_drain, step_offline, "2 queue_update, queue_delete, message_delete"},
    {"retained", step_retained, NULL, "message_add, retained_set, message_delete"},
    {"fanout", step_queue_add, NULL, "queue_add"},
    {"queue-update", step_queue_update, step_offline, "queue_update"},
    {"queue-delete", step_queue_delete, step_offline, "queue_delete"},
    {"tick", step_tick, NULL, "store_tick with nothing new"},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void traffic_open(struct traffic *traffic, const char *path)
{
    struct store_error err = {0};
    struct store_options options = {.path = path, .create = true, .holder = "store_events"};
    if (store_open(&traffic->store, &options, &err))
        load_die("%s", err.sentence);
    struct event session = {.type = RECORD_SESSION_ADD,
                            .session = {.client_id = span_str("bench-sub-0"),
                                        .session_expiry_interval = SESSION_EXPIRY_NEVER,
                                        .max_qos = 2,
                                        .retain_available = true}};
    append(traffic, &session);
    payload_write(PAYLOAD_JSON, traffic->payload, PAYLOAD_BYTES, 0, 1);
    traffic->next = 1;
}

int main(int argc, char **argv)
{
    struct traffic traffic = {0};
    struct store_error err = {0};
    char *end = NULL;
    uint64_t count = argc == 4 ? strtoull(argv[2], &end, 10) : 0;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (size_t i = 0; i < KINDS; i++)
            printf("%s\t%s\n", kinds[i].name, kinds[i].events);
        return 0;
    }
    const struct kind *kind = NULL;
    for (size_t i = 0; argc == 4 && i < KINDS; i++)
        if (strcmp(kinds[i].name, argv[1]) == 0)
            kind = &kinds[i];
    if (!kind || count == 0 || *end) {
        fputs("Usage: store_events --list | KIND COUNT FOLDER\n", stderr);
        return 2;
    }
    traffic_open(&traffic, argv[3]);
    // The first steps touch memory and fill queues for the first time; they are not counted.
    for (uint64_t i = 0; kind->prepare && i < count + 2000; i++)
        kind->prepare(&traffic, i + 1);
    for (uint64_t i = 0; i < 2000; i++)
        kind->step(&traffic, traffic.next++);
    traffic.counted = true;
    uint64_t begin_ns = clock_ns();
    for (uint64_t i = 0; i < count; i++)
        kind->step(&traffic, traffic.next++);
    uint64_t took_ns = clock_ns() - begin_ns;
    printf("{\"kind\": \"%s\", \"steps\": %llu, \"ns_per_step\": %.1f}\n", kind->name,
           (unsigned long long)count, (double)took_ns / (double)count);
    if (store_close(traffic.store, false, &err))
        load_die("%s", err.sentence);
    return 0;
}
