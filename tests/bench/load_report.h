// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a run saw, as one JSON object.
#ifndef BENCH_LOAD_REPORT_H
#define BENCH_LOAD_REPORT_H

#include "load.h"

#include <stdio.h>

void load_report_write(const struct load_run *run, const char *workload, FILE *out);

#endif
