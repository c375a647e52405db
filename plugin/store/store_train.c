// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "maintain.h"

#include "store_internal.h"

static int stored_bytes(struct store *store, uint64_t *ret_bytes, struct store_error *err)
{
    struct tables_meta meta;
    int rc = tables_meta(store->tables, &meta, err);
    if (rc == 0)
        *ret_bytes = meta.stored_bytes;
    return rc;
}

int store_train(const struct store_options *options, bool dry_run,
                struct store_train_report *ret_report, struct store_error *err)
{
    struct store_options recover = *options;
    struct store_train_report report = {0};
    struct store_error reason = {0};
    struct store *store = NULL;
    recover.access = STORE_RECOVER;
    recover.create = false;
    int rc = store_open(&store, &recover, err);
    if (rc)
        return rc;
    if ((rc = stored_bytes(store, &report.before_bytes, err)))
        goto done;
    rc = tables_train_on_all(store->tables, &report.trial, &report.gains, &reason);
    report.too_few = rc == STORE_ENOTFOUND;
    rc = report.too_few ? 0 : error_pass(err, rc, &reason);
    if (rc)
        goto done;
    if (report.gains && !dry_run)
        rc = tables_rewrite(store->tables, &report.rewritten, err);
    if (rc == 0)
        rc = stored_bytes(store, &report.after_bytes, err);

done:
    store_close(store, false, NULL);
    if (rc == 0)
        *ret_report = report;
    return rc;
}
