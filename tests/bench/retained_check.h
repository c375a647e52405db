// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Asks the broker for its retained messages and holds them against what was published last.
#ifndef BENCH_RETAINED_CHECK_H
#define BENCH_RETAINED_CHECK_H

#include "load.h"

// Fills run->retained with the number of topics whose retained message is the last one published
// there, and counts others in run->damaged.
void retained_check(struct load_run *run);

#endif
