// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#ifndef PLUGIN_CLOCK_H
#define PLUGIN_CLOCK_H

#include <stdint.h>
#include <time.h>

// Since the epoch, in milliseconds.
static inline int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// For intervals: goes on evenly when the time of day is set.
static inline int64_t clock_steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Since the epoch, in seconds.
static inline int64_t clock_seconds(void)
{
    return (int64_t)time(NULL);
}

#endif
