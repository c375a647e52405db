// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the files of a store share.
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "committer.h"
#include "journal.h"
#include "lock.h"
#include "maintain.h"
#include "room.h"
#include "store.h"
#include "tables.h"

#include <pthread.h>

#define TABLES_NAME "data.mdb"
#define CREATE_NAME "create.tmp"   // the first tables in the making
#define COMPACT_NAME "compact.tmp" // the tables in the making of a smaller file

struct store {
    struct store_options options; // complete: no zero stands for a default
    struct os_dir *dir;
    struct lock *lock;
    struct tables *tables;
    struct room *room;           // only when opened for writing
    struct journal *journal;     // likewise
    struct committer *committer; // likewise
    uint8_t store_id[16];
    uint64_t life;
    uint64_t opened_covered; // as the tables were
    bool unseen;             // reads where no writer can see it
    struct store_recovery recovery;
    const struct store_cut *cut; // where the journal is to end, NULL: recovery judges it
    pthread_mutex_t notice_lock;
};

// As store_open, for writing; with `cut` the journal ends there, and what lies behind is kept
// aside.
int store_open_cut(struct store **ret_store, const struct store_options *options,
                   const struct store_cut *cut, struct store_error *err);

// For a reader whom no writer sees: STORE_EHELD if there is one.
int store_unseen_refuse(struct store *store, struct store_error *err);

// How often a reader looks again at a journal that somebody changed meanwhile.
#define STORE_LOOKS_MAX 100u

// How far the tables are behind the journal, also beside its writer: *ret_records events stand
// between `covered` of *ret_meta and *ret_end, where the journal ended while this looked. A writer
// gives segments back that its tables hold; if it did so to one that was being read, or another
// began to write, this looks again, for what was read says nothing. Any thread.
//   STORE_EIO  the writer was faster each time
int store_behind(struct store *store, struct tables_meta *ret_meta, uint64_t *ret_records,
                 uint64_t *ret_end, struct store_error *err);

#endif
