// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How the load generator gives up: one sentence on standard error, exit status 1. And its clock.
#ifndef BENCH_LOAD_ERROR_H
#define BENCH_LOAD_ERROR_H

#include <stdint.h>

_Noreturn void load_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

// As calloc, but never NULL.
void *load_calloc(uint64_t count, uint64_t size);

// CLOCK_MONOTONIC in nanoseconds.
uint64_t clock_ns(void);

#endif
