// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "will_delays.h"

#include "clock.h"
#include "items.h"
#include "log.h"
#include "plugin.h"
#include "text.h"

#include <stdlib.h>

struct will_delay {
    char *client_id;
    int64_t due_time;
    int32_t length;
    uint32_t newer, older; // of the same length; a free place is chained by `older`
};

// Those that wait equally long.
struct will_delay_length {
    int32_t length;
    uint32_t newest;
};

// ---- lengths -------------------------------------------------------------------------------

static bool length_is_longer(const void *item, const void *length)
{
    return ((const struct will_delay_length *)item)->length > *(const int32_t *)length;
}

static size_t length_place(const struct will_delays *delays, int32_t length)
{
    return items_place(delays->lengths, delays->lengths_count, sizeof(*delays->lengths),
                       length_is_longer, &length);
}

// Makes sure that the length is there. False: out of memory.
static bool length_add(struct will_delays *delays, int32_t length)
{
    size_t at = length_place(delays, length);
    if (at < delays->lengths_count && delays->lengths[at].length == length)
        return true;
    if (!items_grow(&delays->lengths, delays->lengths_count, 1, &delays->lengths_capacity,
                    sizeof(*delays->lengths)))
        return false;
    memmove(delays->lengths + at + 1, delays->lengths + at,
            (delays->lengths_count - at) * sizeof(*delays->lengths));
    delays->lengths[at] = (struct will_delay_length){.length = length};
    delays->lengths_count++;
    return true;
}

static void length_remove_unused(struct will_delays *delays, int32_t length)
{
    size_t at = length_place(delays, length);
    if (delays->lengths[at].newest)
        return;
    delays->lengths_count--;
    memmove(delays->lengths + at, delays->lengths + at + 1,
            (delays->lengths_count - at) * sizeof(*delays->lengths));
}

// ---- wills ---------------------------------------------------------------------------------

static uint32_t will_find(const struct will_delays *delays, const char *client_id)
{
    if (!delays->by_client.used)
        return 0;
    uint32_t at = text_hash(client_id), hash = at, will;
    while ((will = hash_next(&delays->by_client, hash, &at))) {
        if (strcmp(delays->wills[will - 1].client_id, client_id) == 0)
            return will;
    }
    return 0;
}

// A place for one more; 0: out of memory.
static uint32_t will_place(struct will_delays *delays)
{
    uint32_t will = delays->unused;
    if (will) {
        delays->unused = delays->wills[will - 1].older;
        return will;
    }
    if (!items_grow(&delays->wills, delays->wills_count, 1, &delays->wills_capacity,
                    sizeof(*delays->wills)))
        return 0;
    return ++delays->wills_count;
}

static void will_place_free(struct will_delays *delays, uint32_t will)
{
    delays->wills[will - 1] = (struct will_delay){.older = delays->unused};
    delays->unused = will;
}

// 0: out of memory.
static uint32_t will_add(struct will_delays *delays, const char *client_id, int32_t length,
                         int64_t due_time)
{
    char *copy = strdup(client_id);
    uint32_t will = copy && hash_reserve(&delays->by_client) ? will_place(delays) : 0;
    if (!will || !length_add(delays, length)) {
        if (will)
            will_place_free(delays, will);
        free(copy);
        return 0;
    }
    struct will_delay_length *equals = &delays->lengths[length_place(delays, length)];
    delays->wills[will - 1] = (struct will_delay){
        .client_id = copy, .due_time = due_time, .length = length, .older = equals->newest};
    if (equals->newest)
        delays->wills[equals->newest - 1].newer = will;
    equals->newest = will;
    hash_insert(&delays->by_client, text_hash(client_id), will);
    return will;
}

static void will_remove(struct will_delays *delays, uint32_t will)
{
    struct will_delay gone = delays->wills[will - 1];
    if (delays->taken_back == will)
        delays->taken_back = 0;
    hash_remove(&delays->by_client, text_hash(gone.client_id), will);
    if (gone.older)
        delays->wills[gone.older - 1].newer = gone.newer;
    if (gone.newer)
        delays->wills[gone.newer - 1].older = gone.older;
    else
        delays->lengths[length_place(delays, gone.length)].newest = gone.older;
    length_remove_unused(delays, gone.length);
    will_place_free(delays, will);
    free(gone.client_id);
}

void will_delays_begin(struct plugin *plugin, const char *client_id, uint32_t interval,
                       int64_t due_time, bool ends)
{
    struct will_delays *delays = &plugin->will_delays;
    if (will_find(delays, client_id))
        return;
    uint32_t will = will_add(delays, client_id, (int32_t)interval, due_time);
    // The will stays in the store: after a crash it is published twice rather than never.
    if (!will)
        log_line(LOG_LEVEL_WARNING, "out of memory: the will of client %s may come twice",
                 client_id);
    delays->taken_back = ends ? will : 0;
}

bool will_delays_keep(struct plugin *plugin, const char *client_id)
{
    struct will_delays *delays = &plugin->will_delays;
    uint32_t will = delays->taken_back;
    delays->taken_back = 0;
    return will && strcmp(delays->wills[will - 1].client_id, client_id) == 0;
}

void will_delays_end(struct plugin *plugin, const char *client_id)
{
    uint32_t will = will_find(&plugin->will_delays, client_id);
    if (will)
        will_remove(&plugin->will_delays, will);
}

// The one that the broker would publish first, 0: none.
static uint32_t will_first(const struct will_delays *delays)
{
    return delays->lengths_count ? delays->lengths[delays->lengths_count - 1].newest : 0;
}

// In each pass the broker calls us first and then publishes what was due at the end of the pass
// before. So what was due when the last pass but one began is published by now.
void will_delays_tick(struct plugin *plugin)
{
    struct will_delays *delays = &plugin->will_delays;
    uint32_t will = will_first(delays);
    delays->taken_back = 0;
    if (!will && !delays->last_tick)
        return;
    while (will && delays->before_tick && delays->wills[will - 1].due_time <= delays->before_tick) {
        struct event event = {.type = RECORD_WILL_DELETE,
                              .will.client_id = span_str(delays->wills[will - 1].client_id)};
        append_event(plugin, &event);
        will_remove(delays, will);
        will = will_first(delays);
    }
    delays->before_tick = will ? delays->last_tick : 0;
    delays->last_tick = will ? clock_seconds() : 0;
}

void will_delays_release(struct plugin *plugin)
{
    struct will_delays *delays = &plugin->will_delays;
    for (uint32_t i = 0; i < delays->wills_count; i++)
        free(delays->wills[i].client_id);
    free(delays->wills);
    free(delays->lengths);
    hash_release(&delays->by_client);
    *delays = (struct will_delays){0};
}
