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

// The name under which what was cut from segment `number` at `offset` is kept.
void torn_name(uint64_t number, uint64_t offset, char *dst, size_t size);

// Judges the journal from `from` on, then applies it to the tables; durable on return. When the
// verdict is damage nothing has changed. Codes as journal_scan and tables_apply.
int replay_run(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16], uint64_t from,
               struct replay_result *ret_result, struct store_error *err);

// Applies what can be read from `from` on, whatever the verdict is: the journal ends there. `end`
// is where the caller knows that to be; STORE_EINVAL if it is elsewhere.
int replay_cut(struct os_dir *dir, struct tables *tables, const uint8_t store_id[16], uint64_t from,
               uint64_t end, struct replay_result *ret_result, struct store_error *err);

#endif
