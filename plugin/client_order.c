// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "client_order.h"

#include <stdlib.h>

struct client_place {
    int64_t number;
    size_t client_id; // where it begins in `client_ids`
    uint32_t client_id_len;
};

// Makes room for `more` items behind `count`. Returns whether there is.
static bool items_grow(void **items, size_t count, size_t more, size_t *capacity, size_t item_bytes)
{
    size_t grown = *capacity ? *capacity : 256;
    while (grown < count + more)
        grown *= 2;
    if (grown == *capacity)
        return true;
    void *moved = realloc(*items, grown * item_bytes);
    if (!moved)
        return false;
    *items = moved;
    *capacity = grown;
    return true;
}

int client_order_add(struct client_order *order, struct span client_id, int64_t number,
                     struct store_error *err)
{
    void *places = order->places, *client_ids = order->client_ids;
    bool room = items_grow(&places, order->count, 1, &order->capacity, sizeof(*order->places));
    order->places = places;
    room = room && items_grow(&client_ids, order->client_ids_bytes, client_id.len,
                              &order->client_ids_capacity, 1);
    order->client_ids = client_ids;
    if (!room)
        return error_set(err, STORE_ENOMEM, "out of memory");
    order->places[order->count++] = (struct client_place){
        .number = number, .client_id = order->client_ids_bytes, .client_id_len = client_id.len};
    memcpy(order->client_ids + order->client_ids_bytes, client_id.data, client_id.len);
    order->client_ids_bytes += client_id.len;
    return 0;
}

static int compare_places(const void *a, const void *b)
{
    const struct client_place *left = a, *right = b;
    if (left->number != right->number)
        return left->number > right->number ? -1 : 1;
    return left->client_id < right->client_id ? -1 : left->client_id > right->client_id;
}

int client_order_each(struct client_order *order, client_order_fn *fn, void *user)
{
    int rc = 0;
    if (order->count)
        qsort(order->places, order->count, sizeof(*order->places), compare_places);
    for (size_t i = 0; rc == 0 && i < order->count; i++) {
        const struct client_place *place = &order->places[i];
        rc = fn(user, span_of(order->client_ids + place->client_id, place->client_id_len));
    }
    return rc;
}

void client_order_release(struct client_order *order)
{
    free(order->places);
    free(order->client_ids);
    *order = (struct client_order){0};
}
