// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "missing.h"

#include <stdlib.h>
#include <string.h>

struct missing_message {
    uint64_t store_id;
    bool unpromised;
};

// Index of the first whose number is not lower.
static size_t place_of(const struct missing *missing, uint64_t store_id)
{
    size_t low = 0, high = missing->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (missing->messages[middle].store_id < store_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct missing_message *message_find(const struct missing *missing, uint64_t store_id)
{
    size_t at = place_of(missing, store_id);
    bool found = at < missing->count && missing->messages[at].store_id == store_id;
    return found ? &missing->messages[at] : NULL;
}

bool missing_add(struct missing *missing, uint64_t store_id, bool unpromised)
{
    if (missing->count == missing->capacity) {
        size_t capacity = missing->capacity ? 2 * missing->capacity : 64;
        struct missing_message *messages = realloc(missing->messages, capacity * sizeof(*messages));
        if (!messages)
            return false;
        missing->messages = messages;
        missing->capacity = capacity;
    }
    size_t at = place_of(missing, store_id);
    memmove(missing->messages + at + 1, missing->messages + at,
            (missing->count - at) * sizeof(*missing->messages));
    missing->messages[at] = (struct missing_message){store_id, unpromised};
    missing->count++;
    return true;
}

bool missing_has(const struct missing *missing, uint64_t store_id)
{
    return missing->count && message_find(missing, store_id);
}

bool missing_is_unpromised(const struct missing *missing, uint64_t store_id)
{
    const struct missing_message *message = missing->count ? message_find(missing, store_id) : NULL;
    return message && message->unpromised;
}

void missing_forget(struct missing *missing, uint64_t store_id)
{
    struct missing_message *message = missing->count ? message_find(missing, store_id) : NULL;
    if (!message)
        return;
    size_t at = (size_t)(message - missing->messages);
    missing->count--;
    memmove(message, message + 1, (missing->count - at) * sizeof(*message));
}

void missing_release(struct missing *missing)
{
    free(missing->messages);
    *missing = (struct missing){0};
}
