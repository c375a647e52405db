// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_internal.h"

int store_left_alone(struct store *store, uint64_t life, uint64_t covered, struct store_error *err)
{
    char holder[LOCK_HOLDER_BYTES];
    struct tables_meta meta;
    int rc = lock_holder(store->dir, holder, err);
    if (rc == 0 && holder[0])
        return error_set(err, STORE_EHELD,
                         "%s took the store while it was read; what was read may not belong "
                         "together; stop that first",
                         holder);
    // One that has ended by now left its life, or a position.
    if (rc == 0)
        rc = tables_meta(store->tables, &meta, err);
    if (rc == 0 && (meta.life != life || meta.covered != covered))
        return error_set(err, STORE_EHELD,
                         "another program had the store while it was read; what was read may not "
                         "belong together; try again");
    return rc;
}
