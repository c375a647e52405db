// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Reading the journal from a position on: where it ends, whether what lies behind that is a torn
// tail or damage, and the events up to there. Changes nothing.
#ifndef STORE_JOURNAL_SCAN_H
#define STORE_JOURNAL_SCAN_H

#include "event.h"
#include "segment.h"

struct journal_extent {
    uint64_t end;          // position behind the last good record
    uint64_t end_checksum; // of that record, 0 if none was read
    uint64_t records;      // events between the start and the end, marks not counted
    uint64_t torn_bytes;   // bytes behind the end that were begun but never durable, 0: none
    uint64_t next_number;  // number of the next segment to be written
};

// Finds the end of the journal by the table of verdicts in FORMAT.md.
//   0               the journal is whole from `from` to the end; torn_bytes says if a tail was cut
//   STORE_EDAMAGED  what was durable is not there any more; the sentence names file and offset
//   STORE_EVERSION  a segment of a newer format
int journal_scan(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                 struct journal_extent *ret_extent, struct store_error *err);

// What goes if the journal is made to end at the first place that cannot be read.
struct journal_cut {
    struct journal_extent extent; // up to that place; next_number is one that no segment had
    uint64_t bytes;               // behind it
    uint64_t records;             // events behind it that can be read
};

// Passes no verdict and changes nothing. Codes other than damage as journal_scan.
int journal_cut_find(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                     struct journal_cut *ret_cut, struct store_error *err);

// Receives what journal_replay reads. Spans of an event stay valid until the next segment_done.
struct journal_reader {
    int (*event)(void *user, const struct event *event, uint64_t position, struct store_error *err);
    // A segment is read up to `position`, and its memory is about to go. May be NULL.
    int (*segment_done)(void *user, uint64_t position, struct store_error *err);
    void *user;
};

// Reads the records from `from` up to `to`, as found by journal_scan. Each body is decoded; one
// that does not decode although its checksum matches is STORE_EDAMAGED.
int journal_replay(struct os_dir *dir, const uint8_t store_id[16], uint64_t from, uint64_t to,
                   const struct journal_reader *reader, struct store_error *err);

// Counts the events from `from` on without a verdict: for a look at a journal that somebody else is
// writing. *ret_end is where it stood. Fails at a segment that cannot be read, and STORE_ENOTFOUND
// if not even the first one is there.
int journal_count(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                  uint64_t *ret_records, uint64_t *ret_end, struct store_error *err);

#endif
