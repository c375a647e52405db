// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The order in which sessions are handed to the broker: the one that expires last comes first.
//
// The broker keeps those that will expire in a list, in the order in which they do, and looks for a
// session's place from its front. In any other order each would be compared with most of those
// before it: a start with 40,000 sessions took a minute and a half.
#ifndef PLUGIN_SESSION_ORDER_H
#define PLUGIN_SESSION_ORDER_H

#include "store/store.h"

struct session_place;

// Zero-initialise it.
struct session_order {
    struct session_place *places;
    size_t count;
    size_t capacity;
    char *client_ids; // one behind the other
    size_t client_ids_bytes;
    size_t client_ids_capacity;
};

// Takes note of a session.
int session_order_add(struct session_order *order, const struct session *session, int64_t now,
                      struct store_error *err);

// Calls `fn` for each, in order. The sessions are looked up in `view`. The walk ends when `fn` does
// not return 0.
int session_order_each(struct session_order *order, struct store_view *view, store_session_fn *fn,
                       void *user, struct store_error *err);

void session_order_release(struct session_order *order);

#endif
