// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Workloads that only publish: into offline sessions, into many at once, retained.
#include "publisher.h"
#include "retained_check.h"
#include "sessions.h"

static void publish_all(struct load_run *run, bool retain)
{
    struct publisher *publishers = publishers_open(run, retain, false);
    run_begin(run);
    publishers_start(run, publishers);
    while (!publishers_finished(run, publishers))
        run_loop(run, "acknowledgements");
    run_end(run);
    publishers_close(run, publishers);
}

void workload_offline(struct load_run *run)
{
    sessions_make(run, run->options->publishers, FILTER_OWN, NULL);
    publish_all(run, false);
}

void workload_fanout(struct load_run *run)
{
    sessions_make(run, run->options->sessions, FILTER_ALL, NULL);
    publish_all(run, false);
}

void workload_retained(struct load_run *run)
{
    publish_all(run, true);
    retained_check(run);
}
