// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Sessions that connect, subscribe and leave; and the time until a broker that starts answers.
#include "load_error.h"
#include "sessions.h"

#include <time.h>

#define RETRY_NS 500000

void workload_sessions(struct load_run *run)
{
    run_begin(run);
    sessions_make(run, run->options->sessions, FILTER_OWN, &run->ack);
    run_end(run);
    run->acknowledged = run->ack.total;
}

// ---- wait

struct waiter {
    struct load_run *run;
    struct connection connection;
    bool answered;
};

static void on_packet(void *user, struct connection *connection, const struct mqtt_packet *packet)
{
    struct waiter *waiter = user;
    (void)connection;
    if (packet->type != MQTT_CONNACK || packet->reason != 0)
        load_die("the broker answered with packet type %d, reason %u", (int)packet->type,
                 packet->reason);
    waiter->answered = true;
    waiter->run->loop.stop = true;
}

static void on_closed(void *user, struct connection *connection)
{
    struct waiter *waiter = user;
    (void)connection;
    waiter->run->loop.stop = true;
}

static const struct connection_events waiter_events = {.packet = on_packet, .closed = on_closed};

void workload_wait(struct load_run *run)
{
    const struct load_options *options = run->options;
    const struct timespec retry = {0, RETRY_NS};
    struct waiter waiter = {.run = run};
    run_begin(run);
    if (options->since_ns)
        run->begin_ns = options->since_ns;
    uint64_t give_up_ns = clock_ns() + options->timeout_s * (uint64_t)1000000000;
    while (!waiter.answered) {
        if (clock_ns() > give_up_ns)
            load_die("no broker answered on port %u in %u s", options->port, options->timeout_s);
        if (!connection_open(&waiter.connection, &run->loop, options->port, options->version,
                             &waiter_events, &waiter)) {
            nanosleep(&retry, NULL);
            continue;
        }
        connection_send_connect(&waiter.connection, "bench-wait", true);
        connection_flush(&waiter.connection);
        run_loop(run, "the first CONNACK");
    }
    histogram_add(&run->ack, run->loop.now_ns - run->begin_ns);
    run->acknowledged = 1;
    run_end(run);
    connection_send_disconnect(&waiter.connection);
    connection_flush(&waiter.connection);
    connection_close(&waiter.connection);
}
