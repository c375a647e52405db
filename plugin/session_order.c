// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "session_order.h"

#include <stdlib.h>

struct session_place {
    int64_t expiry_time; // about when the broker will let it expire
    size_t client_id;    // where it begins in `client_ids`
    uint32_t client_id_len;
};

// The interval of a session that was connected begins now.
static int64_t expiry_time_of(const struct session *session, int64_t now)
{
    bool counts = !session->connected && session->session_expiry_time;
    if (counts)
        return session->session_expiry_time;
    return session->session_expiry_interval == SESSION_EXPIRY_NEVER
               ? INT64_MAX
               : now + session->session_expiry_interval;
}

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

int session_order_add(struct session_order *order, const struct session *session, int64_t now,
                      struct store_error *err)
{
    void *places = order->places, *client_ids = order->client_ids;
    struct span client_id = session->client_id;
    bool room = items_grow(&places, order->count, 1, &order->capacity, sizeof(*order->places));
    order->places = places;
    room = room && items_grow(&client_ids, order->client_ids_bytes, client_id.len,
                              &order->client_ids_capacity, 1);
    order->client_ids = client_ids;
    if (!room)
        return error_set(err, STORE_ENOMEM, "out of memory");
    order->places[order->count++] =
        (struct session_place){.expiry_time = expiry_time_of(session, now),
                               .client_id = order->client_ids_bytes,
                               .client_id_len = client_id.len};
    memcpy(order->client_ids + order->client_ids_bytes, client_id.data, client_id.len);
    order->client_ids_bytes += client_id.len;
    return 0;
}

// The latest first, and equals as they came.
static int compare_places(const void *a, const void *b)
{
    const struct session_place *left = a, *right = b;
    if (left->expiry_time != right->expiry_time)
        return left->expiry_time > right->expiry_time ? -1 : 1;
    return left->client_id < right->client_id ? -1 : left->client_id > right->client_id;
}

int session_order_each(struct session_order *order, struct store_view *view, store_session_fn *fn,
                       void *user, struct store_error *err)
{
    int rc = 0;
    if (order->count)
        qsort(order->places, order->count, sizeof(*order->places), compare_places);
    for (size_t i = 0; rc == 0 && i < order->count; i++) {
        const struct session_place *place = &order->places[i];
        struct span client_id = span_of(order->client_ids + place->client_id, place->client_id_len);
        struct session session;
        rc = store_get_session(view, client_id, &session, err);
        if (rc == 0)
            rc = fn(user, &session);
    }
    return rc;
}

void session_order_release(struct session_order *order)
{
    free(order->places);
    free(order->client_ids);
    *order = (struct session_order){0};
}
