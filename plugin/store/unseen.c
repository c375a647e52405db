// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_internal.h"

int store_read_confirm(struct store *store, struct store_error *err)
{
    return store->unseen ? store_left_alone(store, store->life, store->opened_covered, err) : 0;
}

int store_unseen_refuse(struct store *store, struct store_error *err)
{
    char holder[LOCK_HOLDER_BYTES];
    int rc = lock_holder(store->dir, holder, err);
    if (rc == 0 && holder[0])
        return error_set(err, STORE_EHELD,
                         "%s holds the store, and %s is mounted read-only here, so that it would "
                         "change pages while they are read; mount it writable (reading changes "
                         "nothing in it), or stop that first",
                         holder, os_dir_path(store->dir));
    return rc;
}
