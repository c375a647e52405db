// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "journal_scan.h"
#include "store_internal.h"

#include <string.h>

static int cut_find(struct store *store, const struct store_stats *stats, struct store_cut *ret_cut,
                    struct store_error *err)
{
    struct journal_cut found;
    int rc = journal_cut_find(store->dir, store->store_id, stats->journal_covered, &found, err);
    if (rc)
        return rc;
    *ret_cut = (struct store_cut){
        .position = found.extent.end,
        .kept = found.extent.records,
        .bytes = found.bytes,
        .records = found.records,
    };
    memcpy(ret_cut->damage, stats->journal_damage, sizeof(ret_cut->damage));
    return 0;
}

int store_cut_look(const struct store_options *options, struct store_cut *ret_cut,
                   struct store_error *err)
{
    struct store_options look = *options;
    struct store_stats stats;
    struct store *store = NULL;
    look.access = STORE_READ_ONLY;
    look.create = false;
    int rc = store_open(&store, &look, err);
    if (rc == 0)
        rc = store_stats(store, &stats, err);
    if (rc == 0 && stats.lock_holder[0])
        rc = error_set(err, STORE_EHELD, "%s holds the store; stop it first", stats.lock_holder);
    else if (rc == 0 && stats.journal_damage[0])
        rc = cut_find(store, &stats, ret_cut, err);
    else if (rc == 0)
        *ret_cut = (struct store_cut){.position = stats.journal_end, .kept = stats.behind_records};
    store_close(store, false, NULL);
    return rc;
}

int store_cut_journal(const struct store_options *options, const struct store_cut *cut,
                      struct store_error *err)
{
    struct store_options writing = *options;
    struct store *store = NULL;
    writing.access = STORE_READ_WRITE;
    writing.create = false;
    int rc = store_open_cut(&store, &writing, cut, err);
    if (rc == 0)
        rc = store_flush(store, err);
    store_close(store, false, NULL);
    return rc;
}
