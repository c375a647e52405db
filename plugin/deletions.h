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
};

// A message is deleted. True: that is not to be stored yet.
bool deletions_hold(struct deletions *deletions, uint64_t store_id);

// Each pass of the broker's loop.
void deletions_tick(struct plugin *plugin);

void deletions_release(struct deletions *deletions);

#endif
