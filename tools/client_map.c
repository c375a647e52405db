// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "client_map.h"

#include "store/checksum.h"

#include <time.h>
#include <unistd.h>

static uint64_t seed_make(const struct client_map *map)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    uint64_t parts[] = {(uint64_t)ts.tv_sec, (uint64_t)ts.tv_nsec, (uint64_t)getpid(),
                        (uint64_t)(uintptr_t)map};
    return checksum64(parts, sizeof(parts), 0);
}

static uint32_t hash_of(const struct client_map *map, struct span client_id)
{
    return (uint32_t)checksum64(client_id.data, client_id.len, map->seed);
}

struct client *client_map_find(const struct client_map *map, struct span client_id)
{
    uint32_t hash = hash_of(map, client_id);
    uint32_t at = hash;
    for (uint32_t ref; (ref = hash_next(&map->hash, hash, &at)) != 0;) {
        struct client *client = map->clients[ref - 1];
        if (span_equal(client->client_id, client_id))
            return client;
    }
    return NULL;
}

struct client *client_map_add(struct client_map *map, struct span client_id)
{
    if (!map->seed)
        map->seed = seed_make(map);
    if (map->count == map->capacity) {
        map->capacity = map->capacity ? map->capacity * 2 : 64;
        map->clients = xrealloc(map->clients, map->capacity * sizeof(struct client *));
    }
    if (!hash_reserve(&map->hash))
        out_of_memory();
    struct client *client = xcalloc(1, sizeof(*client));
    client->client_id = xspan_copy(client_id);
    map->clients[map->count++] = client;
    hash_insert(&map->hash, hash_of(map, client_id), map->count);
    return client;
}

void client_map_release(struct client_map *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        xspan_free(map->clients[i]->client_id);
        xspan_free(map->clients[i]->username);
        free(map->clients[i]);
    }
    free(map->clients);
    hash_release(&map->hash);
    *map = (struct client_map){0};
}
