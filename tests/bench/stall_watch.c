// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whether the machine itself stands still: sleeps a millisecond at a time, ahead of all other
// programs where it may, and prints for each second by how much the longest sleep was too long, in
// us, a line each. Ends by SIGTERM or when whoever reads it is gone. What a virtual machine is
// denied by its host shows here, and in no other figure of the benchmark.
#include "load_error.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>

#define SLEEP_NS 1000000u
#define SECOND_NS 1000000000u

int main(void)
{
    struct sched_param first = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};
    if (sched_setscheduler(0, SCHED_FIFO, &first) != 0)
        fputs("stall_watch: not allowed to run ahead of others: it also counts what they take\n",
              stderr);
    uint64_t second_ends_ns = clock_ns() + SECOND_NS;
    uint64_t longest_ns = 0;
    for (;;) {
        uint64_t before_ns = clock_ns();
        nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
        uint64_t now_ns = clock_ns();
        uint64_t late_ns = now_ns - before_ns > SLEEP_NS ? now_ns - before_ns - SLEEP_NS : 0;
        if (late_ns > longest_ns)
            longest_ns = late_ns;
        while (now_ns >= second_ends_ns) {
            if (printf("%llu\n", (unsigned long long)(longest_ns / 1000)) < 0 || fflush(stdout))
                return 1;
            longest_ns = 0;
            second_ends_ns += SECOND_NS;
        }
    }
}
