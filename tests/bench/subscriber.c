// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "subscriber.h"

#include "load_error.h"

#include <stdio.h>
#include <stdlib.h>

// Every byte of one payload in so many is held against what was sent; the identity of each.
#define WHOLE_CHECK_EVERY 64
#define HELD_BYTES (65536 / 8)

void subscriber_filter_write(char dst[TOPIC_BYTES_MAX], enum subscriber_filter filter,
                             uint32_t index)
{
    if (filter == FILTER_ALL)
        snprintf(dst, TOPIC_BYTES_MAX, "bench/#");
    else
        snprintf(dst, TOPIC_BYTES_MAX, "bench/p%03u/#", index);
}

void subscriber_client_id_write(char dst[64], const struct load_options *options, uint32_t index)
{
    snprintf(dst, 64, "%s-sub-%u", options->client_name, index);
}

struct subscriber *subscribers_new(struct load_run *run, uint32_t count,
                                   enum subscriber_filter filter)
{
    struct subscriber *subscribers = load_calloc(count, sizeof *subscribers);
    for (uint32_t i = 0; i < count; i++) {
        struct subscriber *subscriber = &subscribers[i];
        subscriber->run = run;
        subscriber->index = i;
        subscriber->filter = filter;
        subscriber->connection.fd = -1;
        subscriber->next_seqs = load_calloc(run->options->publishers, sizeof(uint64_t));
        if (run->options->qos == 2)
            subscriber->held_ids = load_calloc(HELD_BYTES, 1);
    }
    return subscribers;
}

void subscribers_free(struct subscriber *subscribers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        connection_close(&subscribers[i].connection);
        free(subscribers[i].next_seqs);
        free(subscribers[i].held_ids);
    }
    free(subscribers);
}

static void order_check(struct subscriber *subscriber, uint32_t publisher, uint64_t seq)
{
    struct load_run *run = subscriber->run;
    uint64_t *next = &subscriber->next_seqs[publisher];
    if (seq < *next) {
        run->repeated++;
        return;
    }
    run->missing += seq - *next;
    *next = seq + 1;
}

static void delivery_note(struct subscriber *subscriber, uint64_t seq)
{
    struct publisher *publisher = subscriber->publisher;
    uint64_t now_ns = subscriber->run->loop.now_ns;
    publisher->delivered = seq + 1;
    if (publisher->sent_ns && now_ns > publisher->sent_ns[seq])
        histogram_add(&subscriber->run->delivery, now_ns - publisher->sent_ns[seq]);
}

static void message_take(struct subscriber *subscriber, const struct mqtt_packet *packet)
{
    struct load_run *run = subscriber->run;
    const struct load_options *options = run->options;
    uint32_t publisher = subscriber->index;
    uint64_t seq = subscriber->received++;
    run->received++;
    if (run->by_second) {
        uint64_t second = (run->loop.now_ns - run->begin_ns) / 1000000000u;
        if (second < run->second_count)
            run->by_second[second].received++;
    }
    if (options->payload != PAYLOAD_NUMBER &&
        (!payload_identify(options->payload, packet->payload, packet->payload_len, &publisher,
                           &seq) ||
         publisher >= options->publishers)) {
        run->damaged++;
        return;
    }
    if (subscriber->received % WHOLE_CHECK_EVERY == 0 &&
        !payload_is_whole(options->payload, packet->payload, packet->payload_len, publisher, seq))
        run->damaged++;
    order_check(subscriber, publisher, seq);
    if (run->received_set)
        seqset_add(&run->received_set[publisher], seq);
    if (subscriber->publisher && seq < subscriber->publisher->next_seq)
        delivery_note(subscriber, seq);
}

static void publish_take(struct subscriber *subscriber, const struct mqtt_packet *packet)
{
    if (packet->qos == 2) {
        uint8_t *held = &subscriber->held_ids[packet->packet_id / 8];
        uint8_t bit = (uint8_t)(1u << packet->packet_id % 8);
        if (!(*held & bit))
            message_take(subscriber, packet);
        *held |= bit;
        connection_send_ack(&subscriber->connection, MQTT_PUBREC, packet->packet_id);
        return;
    }
    message_take(subscriber, packet);
    if (packet->qos == 1)
        connection_send_ack(&subscriber->connection, MQTT_PUBACK, packet->packet_id);
}

static void pubrel_take(struct subscriber *subscriber, const struct mqtt_packet *packet)
{
    if (subscriber->held_ids)
        subscriber->held_ids[packet->packet_id / 8] &= (uint8_t) ~(1u << packet->packet_id % 8);
    connection_send_ack(&subscriber->connection, MQTT_PUBCOMP, packet->packet_id);
}

static void ready_set(struct subscriber *subscriber)
{
    subscriber->ready = true;
    subscriber->run->loop.stop = true;
}

static void connack_take(struct subscriber *subscriber, const struct mqtt_packet *packet)
{
    if (packet->reason != 0)
        load_die("the broker refused a subscriber with reason %u", packet->reason);
    subscriber->session_present = packet->session_present;
    if (!subscriber->subscribes) {
        ready_set(subscriber);
        return;
    }
    char filter[TOPIC_BYTES_MAX];
    subscriber_filter_write(filter, subscriber->filter, subscriber->index);
    connection_send_subscribe(&subscriber->connection, 1, filter, subscriber->run->options->qos);
}

static void on_packet(void *user, struct connection *connection, const struct mqtt_packet *packet)
{
    struct subscriber *subscriber = user;
    (void)connection;
    switch (packet->type) {
    case MQTT_CONNACK:
        connack_take(subscriber, packet);
        break;
    case MQTT_SUBACK:
        if (packet->reason != 0)
            load_die("the broker refused a subscription");
        ready_set(subscriber);
        break;
    case MQTT_PUBLISH:
        publish_take(subscriber, packet);
        break;
    case MQTT_PUBREL:
        pubrel_take(subscriber, packet);
        break;
    default:
        load_die("a subscriber got packet type %d, reason %u", (int)packet->type, packet->reason);
    }
}

static void on_idle(void *user, struct connection *connection)
{
    struct subscriber *subscriber = user;
    (void)connection;
    if (subscriber->publisher)
        publisher_fill(subscriber->publisher);
    if (subscriber->changed)
        subscriber->changed(subscriber);
}

static const struct connection_events subscriber_events = {.packet = on_packet, .idle = on_idle};

bool subscriber_connect(struct subscriber *subscriber, bool subscribe)
{
    struct load_run *run = subscriber->run;
    char client_id[64];
    if (!connection_open(&subscriber->connection, &run->loop, run->options->port,
                         run->options->version, &subscriber_events, subscriber))
        return false;
    subscriber->subscribes = subscribe;
    subscriber->ready = false;
    subscriber_client_id_write(client_id, run->options, subscriber->index);
    connection_send_connect(&subscriber->connection, client_id, false);
    connection_flush(&subscriber->connection);
    return true;
}

void subscriber_wait(struct subscriber *subscriber)
{
    while (!subscriber->ready)
        run_loop(subscriber->run, "a subscriber's SUBACK");
}

void subscriber_leave(struct subscriber *subscriber)
{
    connection_send_disconnect(&subscriber->connection);
    connection_flush(&subscriber->connection);
    connection_close(&subscriber->connection);
    subscriber->ready = false;
}
