// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "retained_check.h"

#include "load_error.h"
#include "publisher.h"

#include <stdio.h>
#include <string.h>

// The check ends when so long nothing has come.
#define QUIET_NS (3 * (uint64_t)1000000000)
#define TICK_NS 50000000u

struct check {
    struct load_run *run;
    struct connection connection;
    uint64_t wanted;
};

static uint64_t topics_of_publisher(const struct load_options *options)
{
    return options->topics < options->count ? options->topics : options->count;
}

// The topic tells the publisher's topic number; the last message there is the one with the largest
// sequence number that has it.
static bool is_last(const struct load_options *options, const struct mqtt_packet *packet)
{
    uint32_t publisher;
    uint64_t seq;
    char topic[TOPIC_BYTES_MAX];
    if (options->payload == PAYLOAD_NUMBER)
        return true;
    if (!payload_identify(options->payload, packet->payload, packet->payload_len, &publisher,
                          &seq) ||
        publisher >= options->publishers || seq >= options->count ||
        seq + topics_of_publisher(options) < options->count)
        return false;
    size_t topic_len = topic_write(topic, options, publisher, seq);
    return topic_len == packet->topic_len && memcmp(topic, packet->topic, topic_len) == 0 &&
           payload_is_whole(options->payload, packet->payload, packet->payload_len, publisher, seq);
}

static void on_packet(void *user, struct connection *connection, const struct mqtt_packet *packet)
{
    struct check *check = user;
    struct load_run *run = check->run;
    if (packet->type == MQTT_CONNACK && packet->reason == 0) {
        connection_send_subscribe(connection, 1, "bench/#", 0);
    } else if (packet->type == MQTT_PUBLISH) {
        if (is_last(run->options, packet))
            run->retained++;
        else
            run->damaged++;
        if (run->retained + run->damaged == check->wanted)
            run->loop.stop = true;
    } else if (packet->type != MQTT_SUBACK || packet->reason != 0) {
        load_die("while retained messages were counted the broker sent packet type %d",
                 (int)packet->type);
    }
}

static const struct connection_events check_events = {.packet = on_packet};

static void on_tick(void *user)
{
    struct check *check = user;
    uint64_t now_ns = clock_ns();
    check->run->loop.tick_at_ns = now_ns + TICK_NS;
    if (now_ns - check->run->loop.now_ns > QUIET_NS)
        check->run->loop.stop = true;
}

void retained_check(struct load_run *run)
{
    const struct load_options *options = run->options;
    struct check check = {.run = run, .wanted = topics_of_publisher(options) * options->publishers};
    char client_id[64];
    if (!connection_open(&check.connection, &run->loop, options->port, options->version,
                         &check_events, &check))
        load_die("nothing listens on port %u", options->port);
    snprintf(client_id, sizeof client_id, "%s-check", options->client_name);
    connection_send_connect(&check.connection, client_id, true);
    connection_flush(&check.connection);
    run->loop.tick = on_tick;
    run->loop.tick_user = &check;
    run->loop.now_ns = clock_ns();
    run->loop.tick_at_ns = run->loop.now_ns + TICK_NS;
    run_loop(run, "retained messages");
    run->loop.tick_at_ns = UINT64_MAX;
    connection_close(&check.connection);
}
