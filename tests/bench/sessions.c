// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "sessions.h"

#include "load_error.h"

#include <stdlib.h>

struct maker {
    struct connection connection;
    struct makers *all;
    uint32_t index; // of the session at hand
    uint64_t begin_ns;
};

struct makers {
    struct load_run *run;
    struct histogram *times;
    enum subscriber_filter filter;
    uint32_t count;
    uint32_t next;
    uint32_t finished;
};

static void on_packet(void *user, struct connection *connection, const struct mqtt_packet *packet)
{
    struct maker *maker = user;
    struct makers *all = maker->all;
    char filter[TOPIC_BYTES_MAX];
    if (packet->type == MQTT_CONNACK && packet->reason == 0) {
        subscriber_filter_write(filter, all->filter, maker->index);
        connection_send_subscribe(connection, 1, filter, all->run->options->qos);
    } else if (packet->type == MQTT_SUBACK && packet->reason == 0) {
        if (all->times)
            histogram_add(all->times, all->run->loop.now_ns - maker->begin_ns);
        connection_send_disconnect(connection);
    } else if (packet->type != MQTT_PUBLISH) {
        load_die("session %u: the broker sent packet type %d, reason %u", maker->index,
                 (int)packet->type, packet->reason);
    }
}

static void on_closed(void *user, struct connection *connection);

static const struct connection_events maker_events = {.packet = on_packet, .closed = on_closed};

static void maker_begin(struct maker *maker)
{
    struct makers *all = maker->all;
    const struct load_options *options = all->run->options;
    char client_id[64];
    maker->index = all->next++;
    maker->begin_ns = clock_ns();
    if (!connection_open(&maker->connection, &all->run->loop, options->port, options->version,
                         &maker_events, maker))
        load_die("nothing listens on port %u", options->port);
    subscriber_client_id_write(client_id, options, maker->index);
    connection_send_connect(&maker->connection, client_id, false);
    connection_flush(&maker->connection);
}

// The broker closes after DISCONNECT: only then is the session known to be offline.
static void on_closed(void *user, struct connection *connection)
{
    struct maker *maker = user;
    struct makers *all = maker->all;
    (void)connection;
    all->finished++;
    if (all->next < all->count)
        maker_begin(maker);
    else if (all->finished == all->count)
        all->run->loop.stop = true;
}

void sessions_make(struct load_run *run, uint32_t count, enum subscriber_filter filter,
                   struct histogram *times)
{
    struct makers all = {.run = run, .times = times, .filter = filter, .count = count};
    uint32_t parallel = run->options->parallel < count ? run->options->parallel : count;
    struct maker *makers = load_calloc(parallel, sizeof *makers);
    for (uint32_t i = 0; i < parallel; i++) {
        makers[i].all = &all;
        maker_begin(&makers[i]);
    }
    while (all.finished < count)
        run_loop(run, "sessions");
    free(makers);
}
