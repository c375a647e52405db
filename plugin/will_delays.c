// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "will_delays.h"

#include "clock.h"
#include "log.h"
#include "plugin.h"

#include <stdlib.h>

struct will_delay {
    struct will_delay *next;
    char *client_id;
    unsigned hash; // of the client id, so that most others are told apart without reading them
    uint32_t interval;
    int64_t due_time;
};

static unsigned hash_of(const char *client_id)
{
    unsigned hash = 2166136261u;
    for (; *client_id; client_id++)
        hash = (hash ^ (unsigned char)*client_id) * 16777619u;
    return hash;
}

// Where the pointer to the client's entry stands, or the end of the list.
static struct will_delay **place_of(struct will_delays *delays, const char *client_id)
{
    struct will_delay **place = &delays->first;
    if (!*place)
        return place;
    unsigned hash = hash_of(client_id);
    while (*place && ((*place)->hash != hash || strcmp((*place)->client_id, client_id) != 0))
        place = &(*place)->next;
    return place;
}

static void entry_remove(struct will_delays *delays, struct will_delay **place)
{
    struct will_delay *entry = *place;
    *place = entry->next;
    if (delays->taken_back == entry)
        delays->taken_back = NULL;
    free(entry->client_id);
    free(entry);
}

void will_delays_begin(struct plugin *plugin, const char *client_id, uint32_t interval,
                       int64_t due_time, bool ends)
{
    struct will_delays *delays = &plugin->will_delays;
    if (*place_of(delays, client_id))
        return;
    struct will_delay *entry = malloc(sizeof(*entry));
    char *copy = strdup(client_id);
    if (!entry || !copy) {
        // The will stays in the store: after a crash it is published twice rather than never.
        log_line(LOG_LEVEL_WARNING, "out of memory: the will of client %s may come twice",
                 client_id);
        free(entry);
        free(copy);
        return;
    }
    struct will_delay **place = &delays->first;
    while (*place && (*place)->interval < interval)
        place = &(*place)->next;
    *entry = (struct will_delay){.next = *place,
                                 .client_id = copy,
                                 .hash = hash_of(client_id),
                                 .interval = interval,
                                 .due_time = due_time};
    *place = entry;
    delays->taken_back = ends ? entry : NULL;
}

bool will_delays_keep(struct plugin *plugin, const char *client_id)
{
    struct will_delays *delays = &plugin->will_delays;
    const struct will_delay *entry = delays->taken_back;
    delays->taken_back = NULL;
    return entry && strcmp(entry->client_id, client_id) == 0;
}

void will_delays_end(struct plugin *plugin, const char *client_id)
{
    struct will_delay **place = place_of(&plugin->will_delays, client_id);
    if (*place)
        entry_remove(&plugin->will_delays, place);
}

// In each pass the broker calls us first and then publishes what was due at the end of the pass
// before. So what was due when the last pass but one began is published by now.
void will_delays_tick(struct plugin *plugin)
{
    struct will_delays *delays = &plugin->will_delays;
    delays->taken_back = NULL;
    if (!delays->first && !delays->last_tick)
        return;
    while (delays->first && delays->before_tick && delays->first->due_time <= delays->before_tick) {
        struct event event = {.type = RECORD_WILL_DELETE,
                              .will.client_id = span_str(delays->first->client_id)};
        append_event(plugin, &event);
        entry_remove(delays, &delays->first);
    }
    delays->before_tick = delays->first ? delays->last_tick : 0;
    delays->last_tick = delays->first ? clock_seconds() : 0;
}

void will_delays_release(struct plugin *plugin)
{
    while (plugin->will_delays.first)
        entry_remove(&plugin->will_delays, &plugin->will_delays.first);
}
