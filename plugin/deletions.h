// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Deletions of messages that the broker tells of before its loop begins.
//
// A broker that cannot listen, because its port is taken for example, lets go of all that it has
// restored, and tells plugins that the retained messages are deleted. So what is told before the
// first pass of the loop waits for that pass, and is forgotten if it does not come: a message that
// was to go then goes after the next restore, which finds it named by nobody.
#ifndef PLUGIN_DELETIONS_H
#define PLUGIN_DELETIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plugin;

// Zero-initialise it.
struct deletions {
    bool looping; // the first pass has come
    uint64_t *store_ids;
    size_t count;
    size_t capacity;
    uint64_t *needed; // messages that must not be deleted before the loop begins
    size_t needed_count;
};

// A message is deleted. True: that is not to be stored yet.
bool deletions_hold(struct deletions *deletions, uint64_t store_id);

// At the restore: the broker was handed an entry of this message and may have dropped it without a
// word, which shows when it lets go of the message. The broker then ends at the first pass of its
// loop, and the store is as it was. False: out of memory.
bool deletions_need(struct deletions *deletions, uint64_t store_id);
bool deletions_is_needed(const struct deletions *deletions, uint64_t store_id);

// Each pass of the broker's loop.
void deletions_tick(struct plugin *plugin);

void deletions_release(struct deletions *deletions);

#endif
