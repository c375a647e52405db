// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Tables that are a list in memory: tables_memory.c has all functions of tables.h and fold.h that
// the journal's half of the engine calls, and is linked in place of the real ones. A commit is
// atomic and durable, which is what LMDB promises; that LMDB keeps it is for other tests.
//
// They know only which events were folded in, by number and in order.
#ifndef TESTS_TABLES_MEMORY_H
#define TESTS_TABLES_MEMORY_H

#include "store/event.h"

struct disk;

struct memory_tables {
    uint8_t store_id[16];
    uint64_t life, covered;
    bool clean;
    uint64_t *ids; // of the events that were applied
    size_t count, room;
};

// The number under which workload.c made an event, 0: it is a mark.
uint64_t event_id(const struct event *event);

// An event that leaves nothing in the tables, as most do that connected clients cause.
bool event_id_vanishes(uint64_t id);

void memory_tables_copy(struct memory_tables *dst, const struct memory_tables *src);
void memory_tables_release(struct memory_tables *tables);

#endif
