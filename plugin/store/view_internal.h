// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What view.c and view_ahead.c share.
#ifndef STORE_VIEW_INTERNAL_H
#define STORE_VIEW_INTERNAL_H

#include "tables_internal.h"

struct store_view {
    struct tables *tables;
    MDB_txn *txn;
    size_t page_bytes;
    struct payload_decompressor *decompressor; // made when it is first needed
    store_damage_fn *damage;                   // NULL: the first damage ends a walk
    void *damage_user;
};

// Gets one entry; non-zero ends the walk.
typedef int view_entry_fn(void *user, struct span key, struct span value, struct store_error *err);

// All entries of a table in the order of their keys. What key and value point to stays until the
// view is closed.
int view_walk(struct store_view *view, enum table table, view_entry_fn *fn, void *user,
              struct store_error *err);

// Checks and unpacks one message; it is valid until the next call.
int view_message(struct store_view *view, struct span key, struct span value,
                 struct message *ret_message, struct store_error *err);

#endif
