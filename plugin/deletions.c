// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "deletions.h"

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

void deletions_tick(struct plugin *plugin)
{
    struct deletions *deletions = &plugin->deletions;
    if (deletions->looping)
        return;
    for (size_t i = 0; i < deletions->count; i++)
        append_message_delete(plugin, deletions->store_ids[i]);
    deletions_release(deletions);
    deletions->looping = true;
}

void deletions_release(struct deletions *deletions)
{
    free(deletions->store_ids);
    *deletions = (struct deletions){0};
}
