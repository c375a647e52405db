// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How far long work is, on standard error: at most ten times a second, after the first second, and
// only if that is a terminal or --progress says so.
#ifndef TOOLS_PROGRESS_H
#define TOOLS_PROGRESS_H

#include "context.h"

struct progress {
    const char *what; // "reading messages"
    uint64_t done;
    uint64_t total; // 0: unknown
    uint64_t next_ms;
    bool active;
    bool terminal;
    bool shown;
};

void progress_begin(struct progress *progress, const struct context *ctx, const char *what,
                    uint64_t total);
void progress_step(struct progress *progress); // one more is done
void progress_end(struct progress *progress);  // takes the line away again

#endif
