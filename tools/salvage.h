// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Reading what can be read of a damaged store, in processes that damage may kill, and handing it
// over a pipe as events: what the tables hold, then the journal behind them.
#ifndef TOOLS_SALVAGE_H
#define TOOLS_SALVAGE_H

#include "findings.h"

struct salvage_stage {
    const char *where; // "sessions", ..., "journal"
    int (*run)(struct context *ctx, int fd);
};

// In the order in which their events must be taken.
extern const struct salvage_stage salvage_stages[];
extern const size_t salvage_stages_count;

// Reads the next event of a stage's pipe. Its spans last until the next call. 1: an event, 0: the
// end; damage that the stage met is added to `findings` on the way. STORE_EDAMAGED if the stage was
// cut off.
struct salvage_reader {
    int fd;
    const char *where;
    struct findings *findings;
    uint64_t damages; // told on the way
    uint8_t *body;
    size_t body_size;
};
int salvage_next(struct salvage_reader *reader, struct event *ret_event, struct store_error *err);
void salvage_reader_release(struct salvage_reader *reader);

#endif
