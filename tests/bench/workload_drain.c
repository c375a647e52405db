// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Offline sessions come back and take all they hold. What must be there is either --count messages
// of each publisher, or what --acked-file says was acknowledged.
#include "load_error.h"
#include "subscriber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// What has not come after so long will not come: longer while something is known to be missing.
#define QUIET_NS ((uint64_t)1000000000)
#define QUIET_MISSING_NS (5 * (uint64_t)1000000000)
#define TICK_NS 20000000u

struct drain {
    struct load_run *run;
    struct subscriber *subscribers;
    struct seqset *wanted; // per publisher, from the file; NULL: --count of each
    uint32_t session_count;
    uint64_t expected;  // messages in all, when there is no file
    uint64_t finish_ns; // when the last message came
};

static uint64_t lost_count(const struct drain *drain)
{
    struct load_run *run = drain->run;
    uint64_t lost = 0;
    if (!drain->wanted)
        return drain->expected - (run->received - run->repeated);
    for (uint32_t i = 0; i < run->options->publishers; i++)
        lost += seqset_missing(&run->received_set[i], &drain->wanted[i]);
    return lost;
}

static void on_tick(void *user)
{
    struct drain *drain = user;
    struct load_run *run = drain->run;
    uint64_t now_ns = clock_ns();
    uint64_t quiet_ns = now_ns - run->loop.now_ns;
    run->loop.tick_at_ns = now_ns + TICK_NS;
    if (quiet_ns > QUIET_MISSING_NS || (quiet_ns > QUIET_NS && lost_count(drain) == 0))
        run->loop.stop = true;
}

// Without a file the end is known to the message, and stops the clock.
static void on_changed(struct subscriber *subscriber)
{
    struct load_run *run = subscriber->run;
    struct drain *drain = run->loop.tick_user;
    drain->finish_ns = run->loop.now_ns;
    if (!drain->wanted && run->received - run->repeated >= drain->expected)
        run->loop.stop = true;
}

static struct seqset *wanted_read(const struct load_options *options)
{
    struct seqset *wanted = load_calloc(options->publishers, sizeof *wanted);
    FILE *in = fopen(options->acked_file, "r");
    if (!in)
        load_die("%s: %s", options->acked_file, strerror(errno));
    if (!seqset_read(wanted, options->publishers, in))
        load_die("%s: not a list of acknowledged messages", options->acked_file);
    fclose(in);
    return wanted;
}

static void all_connect(struct drain *drain)
{
    for (uint32_t i = 0; i < drain->session_count; i++) {
        drain->subscribers[i].changed = on_changed;
        if (!subscriber_connect(&drain->subscribers[i], false))
            load_die("nothing listens on port %u", drain->run->options->port);
    }
}

// Lets the last acknowledgements go out before the connections end.
static void all_leave(struct drain *drain)
{
    for (uint32_t i = 0; i < drain->session_count; i++)
        subscriber_leave(&drain->subscribers[i]);
}

void workload_drain(struct load_run *run)
{
    const struct load_options *options = run->options;
    struct drain drain = {.run = run};
    enum subscriber_filter filter = options->sessions ? FILTER_ALL : FILTER_OWN;
    uint64_t per_session =
        filter == FILTER_ALL ? options->count * options->publishers : options->count;
    drain.session_count = options->sessions ? options->sessions : options->publishers;
    drain.expected = per_session * drain.session_count;
    if (options->acked_file)
        drain.wanted = wanted_read(options);
    drain.subscribers = subscribers_new(run, drain.session_count, filter);
    run->loop.tick = on_tick;
    run->loop.tick_user = &drain;
    run->loop.tick_at_ns = clock_ns() + TICK_NS;

    run_begin(run);
    drain.finish_ns = run->begin_ns;
    all_connect(&drain);
    // A CONNACK stops the loop too; the end is when everything has come or nothing comes any more.
    do {
        run_loop(run, "queued messages");
    } while (drain.wanted ? clock_ns() - run->loop.now_ns < QUIET_NS
                          : run->received - run->repeated < drain.expected &&
                                clock_ns() - run->loop.now_ns < QUIET_MISSING_NS);
    run_end(run);
    run->end_ns = drain.finish_ns;
    run->lost = lost_count(&drain);
    run->loop.tick_at_ns = UINT64_MAX;
    all_leave(&drain);
    subscribers_free(drain.subscribers, drain.session_count);
    for (uint32_t i = 0; drain.wanted && i < options->publishers; i++)
        seqset_release(&drain.wanted[i]);
    free(drain.wanted);
}
