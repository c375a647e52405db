// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "publisher.h"

#include "load_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// More is not written while so much waits to be sent.
#define BACKLOG_BYTES_MAX ((size_t)65536)

static void digits_write(char *dst, unsigned digits, uint64_t value)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        dst[i] = (char)('0' + value % 10);
}

size_t topic_write(char dst[TOPIC_BYTES_MAX], const struct load_options *options,
                   uint32_t publisher, uint64_t seq)
{
    static const char template[] = "bench/p000/line000/sensor000/telemetry";
    uint64_t topic = seq % options->topics;
    memcpy(dst, template, sizeof template);
    digits_write(dst + 7, 3, publisher);
    digits_write(dst + 15, 3, topic / 1000);
    digits_write(dst + 25, 3, topic % 1000);
    return sizeof template - 1;
}

static uint64_t due_ns(const struct publisher *publisher, uint64_t seq)
{
    return publisher->due_ns + seq * 1000000000u / publisher->run->options->rate;
}

static bool may_publish(const struct publisher *publisher, uint64_t now_ns)
{
    const struct load_options *options = publisher->run->options;
    if (publisher->next_seq >= publisher->limit ||
        connection_backlog(&publisher->connection) >= BACKLOG_BYTES_MAX)
        return false;
    if (options->qos > 0 && publisher->free_count == 0)
        return false;
    if (publisher->lead > 0 && publisher->next_seq - publisher->delivered >= publisher->lead)
        return false;
    return options->rate == 0 || due_ns(publisher, publisher->next_seq) <= now_ns;
}

static uint16_t slot_take(struct publisher *publisher, uint64_t seq, uint64_t sent_ns)
{
    uint16_t place = publisher->free_slots[--publisher->free_count];
    publisher->slots[place] = (struct publisher_slot){
        seq, sent_ns, publisher->run->options->qos == 1 ? SLOT_WAIT_PUBACK : SLOT_WAIT_PUBREC};
    return (uint16_t)(place + 1);
}

static void publish_one(struct publisher *publisher, uint64_t now_ns)
{
    const struct load_options *options = publisher->run->options;
    char topic[TOPIC_BYTES_MAX];
    uint64_t seq = publisher->next_seq++;
    uint64_t sent_ns = options->rate ? due_ns(publisher, seq) : now_ns;
    size_t payload_len =
        payload_size(options->payload, options->image_bytes, publisher->index, seq);
    size_t topic_len = topic_write(topic, options, publisher->index, seq);
    struct mqtt_publish publish = {
        .topic = topic,
        .topic_len = topic_len,
        .payload_len = payload_len,
        .packet_id = options->qos ? slot_take(publisher, seq, sent_ns) : 0,
        .version = options->version,
        .qos = options->qos,
        .retain = publisher->retain,
    };
    size_t bound = mqtt_publish_bound(topic_len, payload_len);
    uint8_t *dst = connection_reserve(&publisher->connection, bound);
    size_t header_len = mqtt_publish_header_encode(dst, bound, &publish);
    payload_write(options->payload, dst + header_len, payload_len, publisher->index, seq);
    connection_commit(&publisher->connection, header_len + payload_len);
    if (publisher->sent_ns)
        publisher->sent_ns[seq] = sent_ns;
    publisher->run->published++;
    if (options->qos == 0)
        publisher->finished++;
}

void publisher_fill(struct publisher *publisher)
{
    if (!publisher->started || publisher->connection.fd < 0)
        return;
    uint64_t now_ns = clock_ns();
    while (may_publish(publisher, now_ns))
        publish_one(publisher, now_ns);
    connection_flush(&publisher->connection);
}

static void second_note(struct load_run *run, uint64_t now_ns, uint64_t took_ns)
{
    uint64_t second = (now_ns - run->begin_ns) / 1000000000u;
    if (second < run->second_count && took_ns > run->by_second[second].ack_max_ns)
        run->by_second[second].ack_max_ns = took_ns;
}

static void slot_finish(struct publisher *publisher, uint16_t place, bool accepted)
{
    struct load_run *run = publisher->run;
    struct publisher_slot *slot = &publisher->slots[place];
    uint64_t now_ns = run->loop.now_ns;
    uint64_t took_ns = now_ns > slot->sent_ns ? now_ns - slot->sent_ns : 0;
    slot->state = SLOT_FREE;
    publisher->free_slots[publisher->free_count++] = place;
    publisher->finished++;
    histogram_add(&run->ack, took_ns);
    if (run->by_second)
        second_note(run, now_ns, took_ns);
    if (!accepted) {
        run->refused++;
        return;
    }
    run->acknowledged++;
    if (run->acked)
        seqset_add(&run->acked[publisher->index], slot->seq);
}

static void ack_take(struct publisher *publisher, const struct mqtt_packet *packet)
{
    uint16_t place = (uint16_t)(packet->packet_id - 1);
    if (packet->packet_id == 0 || place >= publisher->slot_count)
        load_die("the broker acknowledged packet id %u, which is not in use", packet->packet_id);
    struct publisher_slot *slot = &publisher->slots[place];
    bool accepted = packet->reason < 0x80;
    if (packet->type == MQTT_PUBACK && slot->state == SLOT_WAIT_PUBACK) {
        slot_finish(publisher, place, accepted);
    } else if (packet->type == MQTT_PUBREC && slot->state == SLOT_WAIT_PUBREC) {
        if (!accepted) {
            slot_finish(publisher, place, false);
            return;
        }
        slot->state = SLOT_WAIT_PUBCOMP;
        connection_send_ack(&publisher->connection, MQTT_PUBREL, packet->packet_id);
    } else if (packet->type == MQTT_PUBCOMP && slot->state == SLOT_WAIT_PUBCOMP) {
        slot_finish(publisher, place, accepted);
    } else {
        load_die("the broker sent packet type %d for packet id %u, which was not due",
                 (int)packet->type, packet->packet_id);
    }
}

static void slots_open(struct publisher *publisher, uint32_t count)
{
    publisher->slot_count = publisher->free_count = count;
    publisher->slots = load_calloc(count, sizeof *publisher->slots);
    publisher->free_slots = load_calloc(count, sizeof *publisher->free_slots);
    for (uint32_t i = 0; i < count; i++)
        publisher->free_slots[i] = (uint16_t)(count - 1 - i);
}

static void connack_take(struct publisher *publisher, const struct mqtt_packet *packet)
{
    if (packet->reason != 0)
        load_die("the broker refused a publisher with reason %u", packet->reason);
    uint32_t window = publisher->run->options->window;
    slots_open(publisher, window < packet->receive_maximum ? window : packet->receive_maximum);
    publisher->ready = true;
    publisher->run->loop.stop = true;
}

static void on_packet(void *user, struct connection *connection, const struct mqtt_packet *packet)
{
    struct publisher *publisher = user;
    (void)connection;
    switch (packet->type) {
    case MQTT_CONNACK:
        connack_take(publisher, packet);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBCOMP:
        ack_take(publisher, packet);
        break;
    case MQTT_DISCONNECT:
        load_die("the broker disconnected a publisher with reason %u", packet->reason);
    default:
        load_die("a publisher got packet type %d", (int)packet->type);
    }
}

static void on_idle(void *user, struct connection *connection)
{
    struct publisher *publisher = user;
    (void)connection;
    publisher_fill(publisher);
    if (!publisher->started || publisher->next_seq < publisher->limit)
        return;
    connection_acknowledge(&publisher->connection);
    if (publisher->finished >= publisher->limit)
        publisher->run->loop.stop = true;
}

static const struct connection_events publisher_events = {.packet = on_packet, .idle = on_idle};

struct publisher *publishers_open(struct load_run *run, bool retain, bool keep_sent_times)
{
    const struct load_options *options = run->options;
    struct publisher *publishers = load_calloc(options->publishers, sizeof *publishers);
    for (uint32_t i = 0; i < options->publishers; i++) {
        struct publisher *publisher = &publishers[i];
        char client_id[64];
        publisher->run = run;
        publisher->index = i;
        publisher->retain = retain;
        publisher->limit = options->count;
        if (keep_sent_times)
            publisher->sent_ns = load_calloc(options->count, sizeof *publisher->sent_ns);
        if (!connection_open(&publisher->connection, &run->loop, options->port, options->version,
                             &publisher_events, publisher))
            load_die("nothing listens on port %u", options->port);
        snprintf(client_id, sizeof client_id, "%s-pub-%u", options->client_name, i);
        connection_send_connect(&publisher->connection, client_id, true);
        connection_flush(&publisher->connection);
        while (!publisher->ready)
            run_loop(run, "a publisher's CONNACK");
    }
    return publishers;
}

void publishers_close(struct load_run *run, struct publisher *publishers)
{
    for (uint32_t i = 0; i < run->options->publishers; i++) {
        struct publisher *publisher = &publishers[i];
        connection_send_disconnect(&publisher->connection);
        connection_flush(&publisher->connection);
        connection_close(&publisher->connection);
        free(publisher->sent_ns);
        free(publisher->slots);
        free(publisher->free_slots);
    }
    free(publishers);
}

void publishers_start(struct load_run *run, struct publisher *publishers)
{
    for (uint32_t i = 0; i < run->options->publishers; i++) {
        publishers[i].due_ns = run->begin_ns;
        publishers[i].started = true;
        publisher_fill(&publishers[i]);
    }
}

bool publishers_finished(const struct load_run *run, const struct publisher *publishers)
{
    for (uint32_t i = 0; i < run->options->publishers; i++)
        if (publishers[i].finished < publishers[i].limit)
            return false;
    return true;
}
