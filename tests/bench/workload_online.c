// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Pairs of a publisher and a connected subscriber with a persistent session.
#include "load_error.h"
#include "publisher.h"
#include "subscriber.h"

static void on_changed(struct subscriber *subscriber)
{
    if (subscriber->received >= subscriber->run->options->count)
        subscriber->run->loop.stop = true;
}

static bool all_received(const struct load_run *run, const struct subscriber *subscribers)
{
    for (uint32_t i = 0; i < run->options->publishers; i++)
        if (subscribers[i].received < run->options->count)
            return false;
    return true;
}

void workload_online(struct load_run *run)
{
    uint32_t pairs = run->options->publishers;
    struct subscriber *subscribers = subscribers_new(run, pairs, FILTER_OWN);
    for (uint32_t i = 0; i < pairs; i++) {
        if (!subscriber_connect(&subscribers[i], true))
            load_die("nothing listens on port %u", run->options->port);
        subscriber_wait(&subscribers[i]);
    }
    struct publisher *publishers = publishers_open(run, false, true);
    for (uint32_t i = 0; i < pairs; i++) {
        subscribers[i].publisher = &publishers[i];
        publishers[i].lead = run->options->lead;
        subscribers[i].changed = on_changed;
    }
    run_begin(run);
    publishers_start(run, publishers);
    while (!publishers_finished(run, publishers) || !all_received(run, subscribers))
        run_loop(run, "messages and acknowledgements");
    run_end(run);
    publishers_close(run, publishers);
    for (uint32_t i = 0; i < pairs; i++)
        subscriber_leave(&subscribers[i]);
    subscribers_free(subscribers, pairs);
}
