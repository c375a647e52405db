// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The tables: the LMDB environment of a store. The only module that knows LMDB.
//
// Opened with LMDB's safe defaults. Every value carries a checksum that also covers its key.
// FORMAT.md describes keys and values. tables_apply runs on one thread at a time (the committer's);
// views and meta reads may run on any.
#ifndef STORE_TABLES_H
#define STORE_TABLES_H

#include "error.h"
#include "event.h"
#include "fold.h"
#include "store.h"

struct tables;

struct tables_options {
    const char *path; // the store folder; data.mdb and lock.mdb lie in it, mode 0600
    bool read_only;
    bool create;          // make the tables if the folder has none; needs meta's first values below
    const char *name;     // the file in the folder, NULL: data.mdb. One of another name is nobody
                          // else's and has no lock file
    uint8_t store_id[16]; // for create
    uint8_t secret[32];   // for create: keys the hash of long strings
    uint64_t first_position; // for create: where the journal will begin
    uint64_t map_bytes;      // address space to reserve at first, 0: the default
    enum store_compression compression;
    int compression_level;
};

// What the meta table says.
struct tables_meta {
    uint32_t format_version;
    uint8_t store_id[16];
    uint64_t life;          // number of opens for writing
    uint64_t covered;       // journal position up to which the tables hold everything
    bool clean;             // the last thing folded in was a stop mark
    uint64_t content_bytes; // of all messages, as published
    uint64_t stored_bytes;  // the same as they lie in the tables
    uint16_t dictionary;    // in use, 0: none
    uint64_t anomalies;
    uint64_t caught_up_ms; // what came before this time is in the tables (ms since the epoch), 0:
                           // unknown
};

// STORE_ENOSTORE, STORE_EFOREIGN (an LMDB file of another program), STORE_EVERSION,
// STORE_EDAMAGED (LMDB finds it invalid, or meta does not check).
int tables_open(struct tables **ret_tables, const struct tables_options *options,
                struct store_error *err);
void tables_close(struct tables *tables); // NULL is fine

int tables_meta(struct tables *tables, struct tables_meta *ret_meta, struct store_error *err);

// Begins a life: increments `life`, clears `clean`, durable on return.
int tables_begin_life(struct tables *tables, uint64_t *ret_life, struct store_error *err);

// Applies what is left in the fold and sets the covered position, in one transaction that is
// durable on return. The map grows as needed. On error nothing has changed and the call may be
// repeated (STORE_ENOSPC), or the tables must not be used any more (STORE_EIO, STORE_EDAMAGED).
// `clean`: the stretch ends with a stop mark.
int tables_apply(struct tables *tables, struct fold *fold, uint64_t covered, bool clean,
                 struct store_error *err);

// Before a tables_apply, on the same thread: with it the tables hold all that came before this
// time.
void tables_set_caught_up(struct tables *tables, int64_t caught_up_ms);

// Before a tables_apply, on the same thread: takes samples of what is about to go in. When enough
// has come since the last time it trains a dictionary on them and, should a trial on others show a
// gain, has tables_apply put it in use. That takes some tenths of a second at most. It never fails:
// without memory all stays as it is.
void tables_train(struct tables *tables, struct fold *fold);

// Trains on samples of all messages that the tables hold. *ret_made tells how the trial went,
// without a number. If *ret_gains, the next change of the tables puts it in use. The thread of
// tables_apply. STORE_ENOTFOUND: the messages are too few or too different.
int tables_train_on_all(struct tables *tables, struct store_dictionary *ret_made, bool *ret_gains,
                        struct store_error *err);

// Stores all messages anew that get smaller with the dictionary in use, in many transactions, each
// of which is durable. Gives how many these were.
int tables_rewrite(struct tables *tables, uint64_t *ret_messages, struct store_error *err);

void tables_set_compression(struct tables *tables, enum store_compression compression, int level);

// Fills the members of `stats` that LMDB knows (counts, bytes, pages, meta).
int tables_stats(struct tables *tables, struct store_stats *stats, struct store_error *err);

// A value of more than half a page lies in a run of pages that follow each other. By how many that
// may be, values fall into classes; the last one has no bound.
#define TABLES_RUN_CLASSES 4
unsigned tables_run_class(uint64_t value_bytes);

struct tables_room {
    uint64_t file_bytes; // behind its last page in use the file must grow
    uint64_t map_bytes;  // it cannot grow beyond, UINT64_MAX: the map grows with it
    uint64_t free_bytes[TABLES_RUN_CLASSES]; // pages within the file that any mixture of values of
                                             // this class and smaller ones can surely have
    uint64_t sessions;
};

// Has the map grow until it holds a file of so many bytes, or as far as it can. The committer's
// thread.
void tables_map_reach(struct tables *tables, uint64_t file_bytes);

// What the next transaction finds. `count_free`: reads the list of free pages, else free_bytes are
// 0.
int tables_room(struct tables *tables, bool count_free, struct tables_room *ret_room,
                struct store_error *err);

// Reads every value and holds it against its checksum: STORE_EDAMAGED names the first that fails.
int tables_check(struct tables *tables, struct store_error *err);

// Removes readers that died from LMDB's reader table.
void tables_check_readers(struct tables *tables);

// Views as in store.h; store_view_open calls this.
int tables_view_open(struct store_view **ret_view, struct tables *tables, struct store_error *err);

const char *tables_library_versions(void);

#endif
