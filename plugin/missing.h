// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Messages that the store did not take and the broker still has. The broker gives a message to the
// store once, and may name it much later, when there is room again: a retained will that a new
// subscriber gets.
#ifndef PLUGIN_MISSING_H
#define PLUGIN_MISSING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct missing_message;

// Zero-initialise it. Sorted: the broker's numbers grow.
struct missing {
    struct missing_message *messages;
    size_t count;
    size_t capacity;
};

// False: out of memory. `unpromised`: no client was promised the message, see struct
// append_message.
bool missing_add(struct missing *missing, uint64_t store_id, bool unpromised);
bool missing_has(const struct missing *missing, uint64_t store_id);
bool missing_is_unpromised(const struct missing *missing, uint64_t store_id);

// The broker has let go of it.
void missing_forget(struct missing *missing, uint64_t store_id);
void missing_release(struct missing *missing);

#endif
