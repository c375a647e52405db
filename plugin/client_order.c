// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "client_order.h"

#include "items.h"

#include <stdlib.h>

struct client_place {
    int64_t number;
    size_t client_id; // where it begins in `client_ids`
    uint32_t client_id_len;
};

int client_order_add(struct client_order *order, struct span client_id, int64_t number,
                     struct store_error *err)
{
    if (!items_grow(&order->places, order->count, 1, &order->capacity, sizeof(*order->places)) ||
        !items_grow(&order->client_ids, order->client_ids_bytes, client_id.len,
                    &order->client_ids_capacity, 1))
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
