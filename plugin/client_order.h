// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Client ids in falling order of a number.
//
// The broker keeps sessions that will expire, and wills that wait for their delay, in lists with
// the lowest number in front, and seeks the place of each new one from there. What is handed to it
// in any other order is compared with most of what came before: a start with 40,000 sessions took a
// minute and a half.
#ifndef PLUGIN_CLIENT_ORDER_H
#define PLUGIN_CLIENT_ORDER_H

#include "store/error.h"
#include "store/event.h"

struct client_place;

// Zero-initialise it.
struct client_order {
    struct client_place *places;
    size_t count;
    size_t capacity;
    char *client_ids; // one behind the other
    size_t client_ids_bytes;
    size_t client_ids_capacity;
};

int client_order_add(struct client_order *order, struct span client_id, int64_t number,
                     struct store_error *err);

// Called with each of them, equals in the order of coming. Another value than 0 ends the walk,
// which returns it.
typedef int client_order_fn(void *user, struct span client_id);
int client_order_each(struct client_order *order, client_order_fn *fn, void *user);

void client_order_release(struct client_order *order);

#endif
