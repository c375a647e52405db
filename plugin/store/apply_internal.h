// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the files of apply share: a transaction that takes in a fold, and one table of it.
#ifndef STORE_APPLY_INTERNAL_H
#define STORE_APPLY_INTERNAL_H

#include "apply.h"

// A client's session in LMDB.
struct apply_client {
    uint64_t number_before; // 0: LMDB had none, or what it had is purged
    uint64_t number;        // 0: there is none now
};

struct apply {
    struct tables *tables;
    MDB_txn *txn;
    struct fold *fold;
    struct tables_state *state;
    struct store_error *err;
    struct apply_client *clients; // by the index of the fold's clients
};

// All of these return as apply_fold does.
int apply_out_of_memory(struct apply *apply);

int apply_open(struct apply *apply, enum table table, MDB_cursor **ret_cursor);
int apply_get(struct apply *apply, enum table table, const struct key *key, struct span *ret_value);
// 0 also if there was nothing.
int apply_delete(struct apply *apply, enum table table, const struct key *key);
// Gives the place for a value of `bytes` bytes, to be filled and told to apply_added before the
// next call of LMDB.
int apply_reserve(struct apply *apply, enum table table, const struct key *key, size_t bytes,
                  uint8_t **ret_place);
// Every value that comes into a table or leaves it passes these: they keep the sum of what is in
// it.
void apply_added(struct apply *apply, enum table table, struct span value);
void apply_removed(struct apply *apply, enum table table, struct span value);
// Deletes all keys that begin with the number of a session.
int apply_purge(struct apply *apply, enum table table, uint64_t session);
// Before a key made of a string is written or deleted: whether what lies there, if anything, is of
// this very string. Only asked of long ones, which share a key when their hashes do.
int apply_check_string(struct apply *apply, enum table table, const struct key *key,
                       struct span string);

// Whether an entry came after the last deletion of its client's session, and that session's number;
// 0 if there is none. An entry that came before the session was added in the stretch needs one that
// LMDB had.
bool apply_is_current(const struct apply *apply, uint32_t client, uint32_t incarnation);
uint64_t apply_session_number(const struct apply *apply, uint32_t client, bool conditional);

// The steps, in this order (apply_sessions.c, apply_messages.c, apply.c).
int apply_clients(struct apply *apply);
int apply_subscriptions(struct apply *apply);
int apply_messages(struct apply *apply);
int apply_queue(struct apply *apply);

#endif
