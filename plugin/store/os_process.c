// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What has nothing to do with files: random bytes, clocks, threads.
#include "os.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int os_random(void *buf, size_t len, struct store_error *err)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = getrandom((char *)buf + done, len - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, errno, "cannot get random bytes from the kernel");
        done += (size_t)n;
    }
    return 0;
}

uint64_t os_monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t os_realtime_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void os_thread_lower_priority(void)
{
#ifdef SYS_gettid
    // On Linux a nice value belongs to the thread (setpriority(2), "C library/kernel differences").
    id_t thread = (id_t)syscall(SYS_gettid);
    errno = 0;
    int nice_before = getpriority(PRIO_PROCESS, thread);
    if (errno == 0)
        (void)setpriority(PRIO_PROCESS, thread, nice_before + 10);
#endif
}

struct os_thread os_thread_self(void)
{
    return (struct os_thread){.thread = pthread_self()};
}

uint64_t os_thread_cpu_ms(struct os_thread thread)
{
    struct timespec used;
    clockid_t clock;
    if (pthread_getcpuclockid(thread.thread, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec * 1000u + (uint64_t)used.tv_nsec / 1000000u;
}
