// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "tables.h"

#include "apply.h"
#include "seeded.h"
#include "tables_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Address space to begin with; the file only grows with what is in it.
#if SIZE_MAX > UINT32_MAX
#define MAP_DEFAULT_BYTES ((size_t)64 << 30)
#else
#define MAP_DEFAULT_BYTES ((size_t)256 << 20)
#endif

static struct tables *tables_new(const struct tables_options *options)
{
    struct tables *tables = calloc(1, sizeof(*tables));
    if (!tables)
        return NULL;
    pthread_mutex_init(&tables->gate, NULL);
    pthread_cond_init(&tables->gate_changed, NULL);
    tables->read_only = options->read_only;
    tables->name = options->name;
    tables->path = strdup(options->path);
    if (!options->read_only) {
        tables->compressor = payload_compressor_new();
        tables->trainer = trainer_new();
    }
    if (!tables->path || (!options->read_only && !(tables->compressor && tables->trainer))) {
        tables_close(tables);
        return NULL;
    }
    tables_set_compression(tables, options->compression, options->compression_level);
    return tables;
}

static int tables_create(struct tables *tables, const struct tables_options *options,
                         struct store_error *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(tables->env, NULL, 0, &txn);
    if (rc == 0)
        rc = tables_env_create_dbis(tables, txn);
    if (rc == 0)
        rc = meta_create(tables, txn, options);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else if (txn)
        mdb_txn_abort(txn);
    return rc ? tables_write_error(tables, err, rc, "cannot make the tables") : 0;
}

static int tables_load(struct tables *tables, struct store_error *err)
{
    struct tables_state state;
    MDB_txn *txn;
    int rc = tables_read_begin(tables, &txn, err);
    if (rc)
        return rc;
    rc = meta_read_identity(tables, txn, err);
    if (rc == 0)
        rc = meta_read_state(tables, txn, &state, err);
    tables_read_end(tables, txn);
    return rc;
}

int tables_open(struct tables **ret_tables, const struct tables_options *options,
                struct store_error *err)
{
    struct store_error ignored = {0};
    bool create = options->create && !options->read_only;
    size_t map_bytes = options->map_bytes ? (size_t)options->map_bytes : MAP_DEFAULT_BYTES;
    struct tables *tables = tables_new(options);
    if (!tables)
        return error_set(err, STORE_ENOMEM, "out of memory while opening %s", options->path);
    int rc = tables_env_open(tables, map_bytes, create, err);
    if (rc)
        goto done;
    rc = tables_env_open_dbis(tables, create ? &ignored : err);
    if (rc == STORE_ENOSTORE && create)
        rc = tables_create(tables, options, err);
    else if (rc && create && err)
        *err = ignored;
    if (rc == 0)
        rc = tables_load(tables, err);

done:
    if (rc) {
        tables_close(tables);
        return rc;
    }
    *ret_tables = tables;
    return 0;
}

void tables_close(struct tables *tables)
{
    if (!tables)
        return;
    tables_env_close(tables);
    payload_compressor_free(tables->compressor);
    trainer_free(tables->trainer);
    pthread_cond_destroy(&tables->gate_changed);
    pthread_mutex_destroy(&tables->gate);
    free(tables->path);
    free(tables);
}

void tables_set_compression(struct tables *tables, enum store_compression compression, int level)
{
    atomic_store(&tables->compression, (int)compression);
    atomic_store(&tables->compression_level, level);
}

// ---- write transactions --------------------------------------------------------------------

struct change {
    struct fold *fold;       // NULL: begin a life, or
    struct rewrite *rewrite; // store messages anew
    uint64_t covered;
    bool clean;
    bool reopened; // after a commit that failed at its very end
};

// Returns as apply_fold does.
static int contents_change(struct tables *tables, MDB_txn *txn, const struct change *change,
                           struct tables_state *state, struct store_error *err)
{
    int rc = dictionaries_begin(tables, txn, state);
    if (rc == 0)
        rc = change->fold ? apply_fold(tables, txn, change->fold, state, err)
                          : rewrite_some(tables, txn, state, change->rewrite, err);
    return rc ? rc : dictionaries_end(tables, txn, state);
}

// Returns as apply_fold does.
static int change_in(struct tables *tables, MDB_txn *txn, const struct change *change,
                     struct tables_state *state, struct store_error *err)
{
    int rc = meta_read_state(tables, txn, state, err);
    if (rc)
        return rc;
    // The commit that failed may have reached the file all the same.
    if (change->reopened && change->fold && state->covered == change->covered &&
        !SEEDED(LANDED_TWICE))
        return 0;
    if (change->fold || change->rewrite)
        rc = contents_change(tables, txn, change, state, err);
    if (change->fold) {
        state->covered = change->covered;
        state->clean = change->clean;
        if (tables->caught_up_ms)
            state->caught_up_ms = tables->caught_up_ms;
    } else if (!change->rewrite) {
        state->life += SEEDED(LIFE_NOT_COUNTED) ? 0 : 1;
        state->clean = false;
    }
    return rc ? rc : meta_write_state(tables, txn, state);
}

// One attempt. Returns as apply_fold does.
static int change_try(struct tables *tables, const struct change *change,
                      struct tables_state *state, struct store_error *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(tables->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = change_in(tables, txn, change, state, err);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static int change_make(struct tables *tables, struct change *change, struct tables_state *state,
                       struct store_error *err)
{
    if (tables->read_only)
        return error_set(err, STORE_EREADONLY, "%s was opened read-only", tables->path);
    if (atomic_load(&tables->broken))
        return error_set(err, STORE_EIO,
                         "%s/data.mdb failed before and is not written any more; look at the disk "
                         "and start again",
                         tables->path);
    for (;;) {
        struct store_error own = {0};
        int rc = change_try(tables, change, state, &own);
        if (rc == 0)
            return 0;
        if (rc == MDB_MAP_FULL || rc == MDB_MAP_RESIZED) {
            rc = tables_env_grow(tables, &own);
        } else if (rc == MDB_PANIC && !change->reopened) {
            change->reopened = true;
            rc = tables_env_reopen(tables, &own);
        } else if (own.code == 0) {
            rc = tables_write_error(tables, &own, rc, "cannot change the tables");
        }
        if (rc == 0)
            continue;
        if (rc == STORE_EDAMAGED)
            atomic_store(&tables->broken, true);
        return error_pass(err, rc, &own);
    }
}

int tables_begin_life(struct tables *tables, uint64_t *ret_life, struct store_error *err)
{
    struct tables_state state;
    int rc = change_make(tables, &(struct change){0}, &state, err);
    if (rc == 0)
        *ret_life = state.life;
    return rc;
}

int tables_apply(struct tables *tables, struct fold *fold, uint64_t covered, bool clean,
                 struct store_error *err)
{
    struct tables_state state;
    struct change change = {.fold = fold, .covered = covered, .clean = clean};
    int rc = change_make(tables, &change, &state, err);
    if (rc == 0)
        trainer_taken(tables->trainer);
    return rc;
}

void tables_set_caught_up(struct tables *tables, int64_t caught_up_ms)
{
    tables->caught_up_ms = (uint64_t)caught_up_ms;
}

int tables_change_rewrite(struct tables *tables, struct rewrite *rewrite, struct store_error *err)
{
    struct tables_state state;
    struct change change = {.rewrite = rewrite};
    int rc = change_make(tables, &change, &state, err);
    if (rc == 0)
        trainer_taken(tables->trainer);
    return rc;
}

// ---- meta and statistics -------------------------------------------------------------------

int tables_meta(struct tables *tables, struct tables_meta *ret_meta, struct store_error *err)
{
    struct tables_state state;
    MDB_txn *txn;
    int rc = tables_read_begin(tables, &txn, err);
    if (rc)
        return rc;
    rc = meta_read_state(tables, txn, &state, err);
    tables_read_end(tables, txn);
    if (rc)
        return rc;
    *ret_meta = (struct tables_meta){
        .format_version = tables->format_version,
        .life = state.life,
        .covered = state.covered,
        .clean = state.clean,
        .dictionary = state.dictionary,
        .anomalies = state.anomalies,
        .caught_up_ms = state.caught_up_ms,
    };
    dictionaries_totals(&state, &ret_meta->content_bytes, &ret_meta->stored_bytes);
    memcpy(ret_meta->store_id, tables->store_id, sizeof(ret_meta->store_id));
    return 0;
}

// Pages that earlier transactions gave back: each entry of LMDB's free list is a count and as many
// page numbers.
static int free_pages_count(MDB_txn *txn, uint64_t *ret_pages)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val value;
    uint64_t pages = 0;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t count = 0;
        if (value.mv_size >= sizeof(count))
            memcpy(&count, value.mv_data, sizeof(count));
        pages += count;
    }
    mdb_cursor_close(cursor);
    *ret_pages = pages;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int counts_read(struct tables *tables, MDB_txn *txn, struct store_stats *stats)
{
    const struct {
        enum table table;
        uint64_t *count;
    } counts[] = {
        {TABLE_SESSIONS, &stats->sessions},         {TABLE_SUBSCRIPTIONS, &stats->subscriptions},
        {TABLE_MESSAGES, &stats->messages},         {TABLE_QUEUE, &stats->queued},
        {TABLE_RETAINED, &stats->retained},         {TABLE_WILLS, &stats->wills},
        {TABLE_DICTIONARIES, &stats->dictionaries},
    };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(counts) / sizeof(counts[0]); i++) {
        MDB_stat stat;
        rc = mdb_stat(txn, tables->dbi[counts[i].table], &stat);
        if (rc == 0)
            *counts[i].count = stat.ms_entries;
    }
    return rc;
}

static int pages_read(struct tables *tables, MDB_txn *txn, struct store_stats *stats)
{
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t fd;
    struct stat file;
    uint64_t free_pages;
    int rc;
    if ((rc = mdb_env_info(tables->env, &info)) || (rc = mdb_env_stat(tables->env, &stat)) ||
        (rc = free_pages_count(txn, &free_pages)) || (rc = mdb_env_get_fd(tables->env, &fd)))
        return rc;
    uint64_t pages = (uint64_t)info.me_last_pgno + 1;
    if (free_pages > pages)
        free_pages = pages;
    stats->lmdb_free_bytes = free_pages * stat.ms_psize;
    stats->lmdb_used_bytes = (pages - free_pages) * stat.ms_psize;
    stats->lmdb_map_bytes = info.me_mapsize;
    stats->lmdb_file_bytes = fstat(fd, &file) == 0 ? (uint64_t)file.st_size : 0;
    return 0;
}

int tables_stats(struct tables *tables, struct store_stats *stats, struct store_error *err)
{
    struct tables_state state;
    struct store_stats found = *stats;
    MDB_txn *txn;
    int rc = tables_read_begin(tables, &txn, err);
    if (rc)
        return rc;
    rc = meta_read_state(tables, txn, &state, err);
    if (rc == 0 &&
        ((rc = counts_read(tables, txn, &found)) || (rc = pages_read(tables, txn, &found))))
        rc = tables_error(tables, err, rc, "cannot count");
    tables_read_end(tables, txn);
    if (rc)
        return rc;
    dictionaries_totals(&state, &found.content_bytes, &found.stored_bytes);
    found.dictionary = state.dictionary;
    found.anomalies = state.anomalies;
    *stats = found;
    return 0;
}

const char *tables_library_versions(void)
{
    static char text[96];
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    int major;
    int minor;
    int patch;
    mdb_version(&major, &minor, &patch);
    pthread_mutex_lock(&lock);
    if (!text[0])
        snprintf(text, sizeof(text), "lmdb %d.%d.%d, zstd %s", major, minor, patch,
                 payload_library_version());
    pthread_mutex_unlock(&lock);
    return text;
}
