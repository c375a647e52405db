// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The fold of a stretch of the journal: events go in in the order of the journal, what is left in
// the end goes to LMDB. What is added and removed within the stretch leaves nothing behind.
//
// Pure memory, no LMDB: apply.h turns what is left into table changes. Spans of events are kept,
// not copied: what they point into must stay until fold_clear. One thread.
#ifndef STORE_FOLD_H
#define STORE_FOLD_H

#include "error.h"
#include "event.h"

struct fold;

int fold_new(struct fold **ret_fold, struct store_error *err);
void fold_free(struct fold *fold); // NULL is fine

// Takes one event. LOOP_MARK and SEGMENT_LINK are accepted and do nothing; STOP_MARK takes back all
// wills (after a clean stop no will is owed, for the broker has published them).
int fold_add(struct fold *fold, const struct event *event, struct store_error *err);

// True when applying it would change no table: all that came went again.
bool fold_is_empty(const struct fold *fold);

// Memory it holds, in bytes; spans not counted.
size_t fold_bytes(const struct fold *fold);

// Forgets everything, keeps its memory for the next stretch.
void fold_clear(struct fold *fold);

#endif
