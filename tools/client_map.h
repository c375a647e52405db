// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The sessions of an import, found by client id. Memory for each: the strings and about 80 bytes.
#ifndef TOOLS_CLIENT_MAP_H
#define TOOLS_CLIENT_MAP_H

#include "store/hash.h"
#include "text.h"

struct client {
    struct span client_id; // copies
    struct span username;
    uint64_t last_cmsg_id[2]; // of the queue entries so far, by direction; 0: none
    uint64_t numbered;        // queue entries that the import has given a number
    uint16_t listener_port;
    bool has_will;
};

// Zero-initialise it.
struct client_map {
    struct hash hash;
    struct client **clients;
    uint32_t count;
    uint32_t capacity;
    uint64_t seed; // so that nobody can choose client ids that share a hash
};

// NULL if there is none. A client stays where it is until the map is released.
struct client *client_map_find(const struct client_map *map, struct span client_id);

// Adds a client that is not in the map.
struct client *client_map_add(struct client_map *map, struct span client_id);

void client_map_release(struct client_map *map);

#endif
