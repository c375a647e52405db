// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "deletions.h"

#include "log.h"
#include "plugin.h"

#include <stdlib.h>

bool deletions_hold(struct deletions *deletions, uint64_t store_id)
{
    if (deletions->looping)
        return false;
    if (deletions->count == deletions->capacity) {
        size_t capacity = deletions->capacity ? deletions->capacity * 2 : 64;
        uint64_t *store_ids = realloc(deletions->store_ids, capacity * sizeof(*store_ids));
        if (!store_ids)
            return true; // the next restore will do
        deletions->store_ids = store_ids;
        deletions->capacity = capacity;
    }
    deletions->store_ids[deletions->count++] = store_id;
    return true;
}

bool deletions_need(struct deletions *deletions, uint64_t store_id)
{
    uint64_t *needed = realloc(deletions->needed, (deletions->needed_count + 1) * sizeof(*needed));
    if (!needed)
        return false;
    deletions->needed = needed;
    deletions->needed[deletions->needed_count++] = store_id;
    return true;
}

bool deletions_is_needed(const struct deletions *deletions, uint64_t store_id)
{
    for (size_t i = 0; i < deletions->needed_count; i++) {
        if (deletions->needed[i] == store_id)
            return true;
    }
    return false;
}

void deletions_tick(struct plugin *plugin)
{
    struct deletions *deletions = &plugin->deletions;
    if (deletions->looping)
        return;
    for (size_t i = 0; i < deletions->count; i++) {
        if (!deletions_is_needed(deletions, deletions->store_ids[i]))
            continue;
        log_line(LOG_LEVEL_ERROR,
                 "a QoS 2 message that is to be released finds no room in the broker; set "
                 "max_inflight_messages and max_queued_messages as they were before; the broker "
                 "ends");
        plugin_die();
    }
    for (size_t i = 0; i < deletions->count; i++) {
        // When the broker told of it, the backlog may not have been complete.
        if (!backlog_keeps_message(plugin, deletions->store_ids[i]))
            append_message_delete(plugin, deletions->store_ids[i]);
    }
    deletions_release(deletions);
    deletions->looping = true;
}

void deletions_release(struct deletions *deletions)
{
    free(deletions->store_ids);
    free(deletions->needed);
    *deletions = (struct deletions){0};
}
