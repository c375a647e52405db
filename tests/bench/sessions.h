// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Makes persistent sessions: connect, subscribe, leave; many at a time.
#ifndef BENCH_SESSIONS_H
#define BENCH_SESSIONS_H

#include "subscriber.h"

// Makes the sessions numbered 0 to count - 1 with one subscription each. `times` (may be NULL) gets
// how long each took from the connection to the SUBACK.
void sessions_make(struct load_run *run, uint32_t count, enum subscriber_filter filter,
                   struct histogram *times);

#endif
