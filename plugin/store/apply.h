// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What is left in a fold becomes changes of the tables, within a transaction of the caller's, in
// the order of the keys. The committer's thread.
#ifndef STORE_APPLY_H
#define STORE_APPLY_H

#include "fold_internal.h"
#include "tables_internal.h"

// Changes tables and counts in `state`. Returns 0 or LMDB's result (MDB_MAP_FULL among them), or,
// with *err filled, a code of ours: STORE_EDAMAGED, STORE_ENOMEM. The two do not overlap: the
// caller looks at err->code first. `err` must be given, with code 0.
int apply_fold(struct tables *tables, MDB_txn *txn, struct fold *fold, struct tables_state *state,
               struct store_error *err);

#endif
