// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Recovery: folds what the journal holds beyond the tables into them, and keeps aside what it cuts.
#ifndef STORE_REPLAY_H
#define STORE_REPLAY_H

#include "journal_scan.h"
#include "store.h"
#include "tables.h"

struct replay_result {
    struct journal_extent extent;
    char torn_file[64]; // what was kept aside, "": nothing was cut
};

// Judges the journal from `from` on, then applies it to the tables; durable on return. When the
// verdict is damage nothing has changed. Codes as journal_scan and tables_apply.
int replay_run(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16], uint64_t from,
               struct replay_result *ret_result, struct store_error *err);

#endif
