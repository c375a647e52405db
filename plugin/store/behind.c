// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "journal_scan.h"
#include "seeded.h"
#include "store_internal.h"

int store_behind(struct store *store, struct tables_meta *ret_meta, uint64_t *ret_records,
                 uint64_t *ret_end, struct store_error *err)
{
    struct tables_meta before, after;
    struct store_error reason = {0};
    int rc = tables_meta(store->tables, &after, err);
    if (rc)
        return rc;
    for (unsigned looks = 0; looks < STORE_LOOKS_MAX; looks++) {
        before = after;
        error_init(&reason);
        int count_rc = journal_count(store->dir, store->store_id, before.covered, ret_records,
                                     ret_end, &reason);
        if ((rc = tables_meta(store->tables, &after, err)))
            return rc;
        // Until the tables held all of the first segment, none of those read was given back; and
        // only a life that begins makes others of those that were not used yet.
        if ((position_segment(after.covered) != position_segment(before.covered) ||
             after.life != before.life) &&
            !SEEDED(LOOKED_ONCE))
            continue;
        *ret_meta = before;
        return error_pass(err, count_rc, &reason);
    }
    return error_set(err, STORE_EIO,
                     "the journal goes on faster than it can be read; try again when the broker "
                     "has less to do");
}
