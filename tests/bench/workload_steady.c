// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Paced publishers, while each subscriber is connected half of the time, so that its queue fills
// and drains. Latency counts from when a message was due, so that a pause of the broker is seen by
// every message that it delayed.
#include "load_error.h"
#include "publisher.h"
#include "subscriber.h"

#include <stdlib.h>

#define SECOND_NS ((uint64_t)1000000000)
#define TICK_NS 1000000u
#define PERIOD_MAX_S 20
#define DRAIN_MAX_S 120 // seconds kept in the report for the last drain

struct steady {
    struct load_run *run;
    struct publisher *publishers;
    struct subscriber *subscribers;
    uint64_t period_ns;
    uint64_t publish_until_ns;
    uint64_t published; // as of the last tick
};

// Connected in the second half of its period; the pairs' periods are spread. In the end all are.
static bool should_be_connected(const struct steady *steady, uint32_t index, uint64_t now_ns)
{
    uint64_t since_ns = now_ns - steady->run->begin_ns;
    if (now_ns >= steady->publish_until_ns)
        return true;
    uint64_t phase_ns = steady->period_ns * index / steady->run->options->publishers;
    return (since_ns + phase_ns) % steady->period_ns >= steady->period_ns / 2;
}

static bool finished(const struct steady *steady)
{
    for (uint32_t i = 0; i < steady->run->options->publishers; i++)
        if (steady->subscribers[i].next_seqs[i] < steady->publishers[i].limit)
            return false;
    return publishers_finished(steady->run, steady->publishers);
}

static void on_tick(void *user)
{
    struct steady *steady = user;
    struct load_run *run = steady->run;
    uint64_t now_ns = clock_ns();
    uint64_t second = (now_ns - run->begin_ns) / SECOND_NS;
    run->loop.tick_at_ns = now_ns + TICK_NS;
    for (uint32_t i = 0; i < run->options->publishers; i++) {
        struct subscriber *subscriber = &steady->subscribers[i];
        bool connected = subscriber->connection.fd >= 0;
        bool wanted = should_be_connected(steady, i, now_ns);
        if (wanted && !connected && !subscriber_connect(subscriber, false))
            load_die("nothing listens on port %u", run->options->port);
        if (!wanted && connected)
            subscriber_leave(subscriber);
        publisher_fill(&steady->publishers[i]);
    }
    if (second < run->second_count)
        run->by_second[second].published += run->published - steady->published;
    steady->published = run->published;
    if (now_ns >= steady->publish_until_ns && finished(steady))
        run->loop.stop = true;
}

static void all_open(struct steady *steady)
{
    struct load_run *run = steady->run;
    uint32_t pairs = run->options->publishers;
    steady->subscribers = subscribers_new(run, pairs, FILTER_OWN);
    for (uint32_t i = 0; i < pairs; i++) {
        if (!subscriber_connect(&steady->subscribers[i], true))
            load_die("nothing listens on port %u", run->options->port);
        subscriber_wait(&steady->subscribers[i]);
        subscriber_leave(&steady->subscribers[i]);
    }
    steady->publishers = publishers_open(run, false, false);
}

void workload_steady(struct load_run *run)
{
    const struct load_options *options = run->options;
    uint64_t period_s = options->seconds / 3;
    struct steady steady = {.run = run};
    all_open(&steady);
    steady.period_ns = SECOND_NS * (period_s < 2              ? 2
                                    : period_s > PERIOD_MAX_S ? PERIOD_MAX_S
                                                              : period_s);
    run->second_count = options->seconds + DRAIN_MAX_S;
    run->by_second = load_calloc(run->second_count, sizeof *run->by_second);
    run_begin(run);
    steady.publish_until_ns = run->begin_ns + options->seconds * SECOND_NS;
    run->loop.tick = on_tick;
    run->loop.tick_user = &steady;
    run->loop.tick_at_ns = run->begin_ns;
    publishers_start(run, steady.publishers);
    // CONNACKs stop the loop too.
    while (!finished(&steady))
        run_loop(run, "paced messages");
    run->loop.tick_at_ns = UINT64_MAX;
    run_end(run);
    publishers_close(run, steady.publishers);
    for (uint32_t i = 0; i < options->publishers; i++)
        subscriber_leave(&steady.subscribers[i]);
    subscribers_free(steady.subscribers, options->publishers);
}
