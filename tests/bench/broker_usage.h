// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a broker has used so far, from Linux's /proc: time, memory, bytes written.
#ifndef BENCH_BROKER_USAGE_H
#define BENCH_BROKER_USAGE_H

#include <stdint.h>

struct broker_usage {
    uint64_t main_cpu_ns; // of the thread that serves clients
    uint64_t cpu_ns;      // of the whole process
    uint64_t rss_peak_kib;
    uint64_t rss_kib;
    uint64_t rss_anonymous_kib;
    uint64_t write_bytes; // pages made dirty on a disk
    uint64_t write_chars; // bytes given to write calls
    uint64_t write_calls;
    uint64_t machine_busy_ns; // of all processors, whoever used them
    uint64_t own_cpu_ns;      // of the process that asks
};

// Reads what can be read; the rest, and everything of the broker when `pid` is 0, stays 0.
void broker_usage_read(int32_t pid, struct broker_usage *ret_usage);

// Makes the peak of memory start again from now.
void broker_usage_reset_peak(int32_t pid);

#endif
