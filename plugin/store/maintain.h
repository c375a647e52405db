// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What is done to a whole store: backup, restore, compaction, a cut of its journal. Any thread, one
// call at a time.
#ifndef STORE_MAINTAIN_H
#define STORE_MAINTAIN_H

#include "archive.h"
#include "store.h"

struct store_backup_report {
    struct archive_head head;
    uint64_t bytes; // of contents
    uint64_t
        behind_records; // events that were in the journal and not yet in the tables at the start
                        // and are not in the backup; 0: it holds all that was acknowledged then
};

// Writes an archive of the store, also beside a running broker, which it does not delay: it waits,
// up to `wait_ms`, until the tables hold what the journal held when it began, and copies the
// tables.
int store_backup(struct store *store, uint32_t wait_ms, archive_write_fn *write, void *user,
                 struct store_backup_report *ret_report, struct store_error *err);

// Checks an archive to its end and makes a store of it in `path`, a missing or empty folder.
// Nothing is left there on failure, but for a lock file that could not be locked. Until all is
// there nobody takes it for a store, and nobody else makes one there: STORE_EHELD. With `dry_run`
// it only checks. The store opens in a new life.
int store_restore(const char *path, bool dry_run, const struct archive_source *source,
                  struct store_backup_report *ret_report, struct store_error *err);

struct store_compact_report {
    uint64_t before_bytes; // of data.mdb
    uint64_t after_bytes;
};

// Rewrites the tables of a store that nobody holds without their free pages. A kill at any point
// leaves either the old file or the new one. `step` (may be NULL) is called for each piece that is
// written. STORE_EHELD names the holder.
int store_compact(const struct store_options *options, void (*step)(void *user), void *user,
                  struct store_compact_report *ret_report, struct store_error *err);

// Where a journal that recovery refuses can be read up to, and what a cut there would take away.
struct store_cut {
    uint64_t position; // where the journal would end
    uint64_t kept;     // events before it that the tables do not have yet
    uint64_t bytes;    // behind it
    uint64_t records;  // events behind it that can be read, and would be lost too
    char damage[1024]; // the sentence of the refusal; "": there is nothing to cut
};

// Changes nothing. STORE_EHELD names the holder.
int store_cut_look(const struct store_options *options, struct store_cut *ret_cut,
                   struct store_error *err);

// Folds in what can be read, and lets the journal end at cut->position. The segments from there on
// are kept aside as torn-NNNNNNNNNN-OFFSET.bin. A kill at any point leaves the journal as it was,
// or cut. STORE_EINVAL if the journal is not the one that was looked at.
int store_cut_journal(const struct store_options *options, const struct store_cut *cut,
                      struct store_error *err);

struct store_train_report {
    struct store_dictionary trial; // what came out of the training, without id and uses
    bool too_few;                  // messages, or too different ones: nothing came out
    bool gains;                    // enough to put it in the place of the one in use
    uint64_t rewritten;            // messages that were stored anew, and so became smaller
    uint64_t before_bytes;         // contents of all messages as they were stored
    uint64_t after_bytes;          // and are now
};

// Trains a dictionary on the messages of a store that nobody holds. If a trial shows a gain, and
// unless `dry_run`, it is put in use, and the messages are stored anew. A kill at any point leaves
// a whole store. STORE_EHELD names the holder.
int store_train(const struct store_options *options, bool dry_run,
                struct store_train_report *ret_report, struct store_error *err);

#endif
