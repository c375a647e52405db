// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the files of the tables share: the environment, its meta values, read transactions, and
// LMDB's errors as ours.
#ifndef STORE_TABLES_INTERNAL_H
#define STORE_TABLES_INTERNAL_H

#include "keys.h"
#include "payload.h"
#include "tables.h"
#include "trainer.h"
#include "value_bytes.h"
#include "values.h"

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

// What the messages that need a dictionary come to; id 0: those that need none.
struct dictionary_use {
    uint16_t id;
    uint64_t messages;
    uint64_t content_bytes; // as published
    uint64_t stored_bytes;  // the same as it lies in the table
};

// The value "state" of the meta table: all that changes with each transaction.
#define STATE_USES_MAX 16u // the first is that of id 0
struct tables_state {
    uint64_t life;
    uint64_t covered;
    uint64_t next_session;
    uint64_t anomalies;
    // By table: the sum of the checksums of all its values, so that a page that is whole but not
    // the one that was written last is told.
    uint64_t contents[TABLE_COUNT];
    struct dictionary_use uses[STATE_USES_MAX];
    uint16_t dictionary; // in use, 0: none
    uint8_t use_count;
    bool clean;
    // What came before this time is in the tables, in ms since the epoch. 0: not known.
    uint64_t caught_up_ms;
};

// Every value that comes into a table or leaves it passes these.
static inline void contents_added(struct tables_state *state, enum table table, struct span value)
{
    state->contents[table] += value_checksum_stored(table, value);
}

static inline void contents_removed(struct tables_state *state, enum table table, struct span value)
{
    state->contents[table] -= value_checksum_stored(table, value);
}

struct tables {
    // Set by tables_open.
    char *path;
    const char *name; // of the file, NULL: data.mdb
    bool read_only;
    uint8_t store_id[16];
    uint8_t secret[KEY_SECRET_BYTES];
    uint32_t format_version;

    // Any thread, within tables_enter and tables_leave; changed only when nobody is within.
    MDB_env *env;
    MDB_dbi dbi[TABLE_COUNT];
    size_t map_bytes;
    bool map_is_last; // a larger one could not be had

    // The committer's thread.
    struct payload_compressor *compressor;
    struct trainer *trainer;
    uint64_t caught_up_ms; // for the next transaction, 0: as it was

    _Atomic bool broken; // LMDB failed in a way after which it must not be used
    _Atomic int compression;
    _Atomic int compression_level;

    // Who is within: the map can only be exchanged when nobody is.
    pthread_mutex_t gate;
    pthread_cond_t gate_changed;
    unsigned within;
    bool gate_wanted; // somebody waits for the last to leave
    bool gate_closed; // and now has it alone
};

static inline struct span span_of_val(const MDB_val *val)
{
    return span_of(val->mv_data, val->mv_size);
}

static inline MDB_val val_of_span(struct span span)
{
    return (MDB_val){span.len, (void *)(uintptr_t)span.data};
}

// ---- environment (tables_env.c) ------------------------------------------------------------

// Opens data.mdb, makes it if need be and `create`, with this much map, or less if the address
// space does not have it. STORE_ENOSTORE, STORE_EUNSAFE.
int tables_env_open(struct tables *tables, size_t map_bytes, bool create, struct store_error *err);
void tables_env_close(struct tables *tables);

// Opens the tables' handles. STORE_ENOSTORE if there is nothing at all, STORE_EFOREIGN if there is
// something else.
int tables_env_open_dbis(struct tables *tables, struct store_error *err);

// Makes the tables. Returns LMDB's result.
int tables_env_create_dbis(struct tables *tables, MDB_txn *txn);

// Exchanges the map for one of twice the size; waits until no view is open. The caller's thread
// must have no view or transaction. STORE_ENOSPC if the address space has no room: nothing has
// changed.
int tables_env_grow(struct tables *tables, struct store_error *err);

// As it is, but without what LMDB remembers of a failure. Waits as above.
int tables_env_reopen(struct tables *tables, struct store_error *err);

// The map stays in place between the two. STORE_EIO: there is none any more.
int tables_enter(struct tables *tables, struct store_error *err);
void tables_leave(struct tables *tables);

// Has LMDB begin to read, as `fn` does: again, where readers that died are in its way, the file has
// grown beyond the map, or, for a moment, a process of the same number in another container reads.
// Within tables_enter and tables_leave, or where nobody else can be. Returns LMDB's result.
typedef int tables_ask_fn(MDB_env *env, void *user);
int tables_ask(struct tables *tables, tables_ask_fn *fn, void *user);

// Begins and ends a read transaction; the map stays in place between the two.
int tables_read_begin(struct tables *tables, MDB_txn **ret_txn, struct store_error *err);
void tables_read_end(struct tables *tables, MDB_txn *txn);

// Fills `err` for a result of LMDB: "<path>: <what>: <reason>".
int tables_error(struct tables *tables, struct store_error *err, int rc, const char *what);

// As above, for a result within a write transaction: a full disk is told from a failing one, and
// after the latter the tables are broken.
int tables_write_error(struct tables *tables, struct store_error *err, int rc, const char *what);

// STORE_EDAMAGED with table, key and what is lost.
int tables_damaged(struct store_error *err, enum table table, struct span key, const char *why);

// ---- meta (tables_meta.c) ------------------------------------------------------------------

int meta_create(struct tables *tables, MDB_txn *txn, const struct tables_options *options);
// Before anything else is read, with the meta table open. STORE_EFOREIGN: another program's file
// may have a table called "meta"; STORE_EVERSION.
int meta_check_magic(struct tables *tables, MDB_txn *txn, struct store_error *err);
// Fills the members of `tables` that the meta table says.
int meta_read_identity(struct tables *tables, MDB_txn *txn, struct store_error *err);
int meta_read_state(struct tables *tables, MDB_txn *txn, struct tables_state *ret_state,
                    struct store_error *err);
// Returns LMDB's result.
int meta_write_state(struct tables *tables, MDB_txn *txn, const struct tables_state *state);

// ---- dictionaries (tables_dictionaries.c) ---------------------------------------------------

// Within a write transaction: takes in what the trainer has made, has the compressor use what is
// in use, and removes what no message needs any more. Return LMDB's result.
int dictionaries_begin(struct tables *tables, MDB_txn *txn, struct tables_state *state);
int dictionaries_end(struct tables *tables, MDB_txn *txn, struct tables_state *state);

// Counts a message in or out.
void dictionaries_count(struct tables_state *state, const struct stored_message *stored,
                        size_t content_bytes, size_t stored_bytes);
void dictionaries_uncount(struct tables_state *state, const struct stored_message *stored);

void dictionaries_totals(const struct tables_state *state, uint64_t *ret_content_bytes,
                         uint64_t *ret_stored_bytes);

// Puts the plain content in the place of a frame, with the dictionary that the transaction sees.
// The decompressor, made when it is first needed, keeps what was digested: one for each picture of
// the tables.
int dictionaries_unpack(struct tables *tables, MDB_txn *txn,
                        struct payload_decompressor **decompressor, struct span key,
                        struct stored_message *stored, struct store_error *err);

// The dictionary of this id, as the transaction sees it; it points into LMDB. STORE_ENOTFOUND,
// STORE_EDAMAGED.
int dictionaries_get(struct tables *tables, MDB_txn *txn, uint16_t id,
                     struct dictionary *ret_dictionary, struct store_error *err);

// ---- storing messages anew (tables_rewrite.c) -------------------------------------------------

struct rewrite {
    uint64_t from; // store_id to begin with
    uint64_t next; // and to go on with
    bool done;     // there are no more
    uint64_t messages;
    struct payload_decompressor *decompressor;
};

// Within a write transaction: stores some thousand messages anew, those that get smaller. Returns
// as apply_fold does; `from` stays, so that it may be repeated.
int rewrite_some(struct tables *tables, MDB_txn *txn, struct tables_state *state,
                 struct rewrite *rewrite, struct store_error *err);

// One transaction around it.
int tables_change_rewrite(struct tables *tables, struct rewrite *rewrite, struct store_error *err);

#endif
