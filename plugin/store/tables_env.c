// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The LMDB environment: opening it and its tables, its map, read transactions, LMDB's errors.
#include "seeded.h"
#include "tables_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define MAP_MIN_BYTES ((size_t)16 << 20)
#define READERS_MAX 126u
#define PATH_MAX_BYTES 4096
// How often LMDB is asked again for a place among the readers.
#define PLACE_TRIES 3u
#define NAMESAKE_TRIES 50u
#define NAMESAKE_POLL_MS 10
// A file system with less room than this is full: the write that failed took what there was.
#define FULL_BYTES (1024u * 1024u)

// ---- errors --------------------------------------------------------------------------------

int tables_error(struct tables *tables, struct store_error *err, int rc, const char *what)
{
    // LMDB marks a living reader by a lock on the byte of its process number.
    if (rc == EAGAIN)
        return error_set(err, STORE_EIO,
                         "%s/lock.mdb: %s: another program that reads the store, in a container of "
                         "its own, has the same process number (%ld); try again",
                         tables->path, what, (long)getpid());
    if (rc > 0)
        return error_set_errno(err, rc, "%s/data.mdb: %s", tables->path, what);
    switch (rc) {
    case MDB_MAP_FULL:
        return error_set(err, STORE_ENOSPC, "%s/data.mdb: %s: the address space is used up",
                         tables->path, what);
    case MDB_READERS_FULL:
        return error_set(err, STORE_EIO,
                         "%s/lock.mdb: %s: too many programs read the store; end one of them",
                         tables->path, what);
    case MDB_MAP_RESIZED:
        return error_set(err, STORE_EIO,
                         "%s/data.mdb: %s: the file has grown beyond what was mapped; close all "
                         "views and open anew",
                         tables->path, what);
    case MDB_PANIC:
        return error_set(err, STORE_EIO, "%s/data.mdb: %s: writing its head failed before",
                         tables->path, what);
    case MDB_VERSION_MISMATCH:
        return error_set(err, STORE_EVERSION,
                         "%s/data.mdb: %s: written by another version of LMDB than %s",
                         tables->path, what, mdb_version(NULL, NULL, NULL));
    case MDB_INVALID:
        return error_set(err, STORE_EDAMAGED,
                         "%s/data.mdb: %s: it is not an LMDB file, or its head is damaged",
                         tables->path, what);
    default:
        return error_set(err, STORE_EDAMAGED, "%s/data.mdb: %s: %s", tables->path, what,
                         mdb_strerror(rc));
    }
}

static bool file_system_is_full(const struct tables *tables)
{
    struct statvfs fs;
    if (statvfs(tables->path, &fs) != 0)
        return false;
    return (uint64_t)fs.f_bavail * fs.f_frsize < FULL_BYTES;
}

int tables_write_error(struct tables *tables, struct store_error *err, int rc, const char *what)
{
    // LMDB calls a write that came out short, as the last one before a full disk may, EIO.
    if (rc == EIO && file_system_is_full(tables))
        rc = ENOSPC;
    int code = tables_error(tables, err, rc, what);
    if (code != STORE_ENOSPC && code != STORE_ENOMEM && !SEEDED(FAILED_TABLES_WRITTEN))
        atomic_store(&tables->broken, true);
    return code;
}

int tables_damaged(struct store_error *err, enum table table, struct span key, const char *why)
{
    char text[KEY_TEXT_BYTES];
    key_text(table, key, text);
    return error_set(err, STORE_EDAMAGED, "%s: key %s: %s; %s", table_name(table), text, why,
                     table_lost(table));
}

// ---- the environment -----------------------------------------------------------------------

static bool path_of(const struct tables *tables, const char *name, char *dst)
{
    int n = snprintf(dst, PATH_MAX_BYTES, "%s/%s", tables->path, name);
    return n >= 0 && n < PATH_MAX_BYTES;
}

// LMDB follows links and takes what it finds: look before it does.
static int file_check(const struct tables *tables, const char *name, struct store_error *err)
{
    char path[PATH_MAX_BYTES];
    struct stat folder;
    struct stat file;
    if (!path_of(tables, name, path))
        return error_set(err, STORE_EINVAL, "the path of the store is too long");
    if (stat(tables->path, &folder) != 0)
        return error_set_errno(err, errno, "cannot look at %s", tables->path);
    if (lstat(path, &file) != 0)
        return errno == ENOENT ? STORE_ENOTFOUND
                               : error_set_errno(err, errno, "cannot look at %s", path);
    // None: it is being removed.
    if (!S_ISREG(file.st_mode) || file.st_nlink > 1)
        return error_set(err, STORE_EUNSAFE, "%s is not a regular file with a single link", path);
    if (file.st_uid != folder.st_uid)
        return error_set(err, STORE_EUNSAFE, "%s belongs to another user than its folder", path);
    if (file.st_mode & 077)
        return error_set(err, STORE_EUNSAFE, "%s is open to other users (mode %03o); chmod 600 it",
                         path, (unsigned)(file.st_mode & 0777));
    return 0;
}

static int files_check(const struct tables *tables, bool may_be_missing, struct store_error *err)
{
    int rc = file_check(tables, tables->name ? tables->name : "data.mdb", err);
    if (rc == STORE_ENOTFOUND && !may_be_missing)
        return error_set(err, STORE_ENOSTORE, "there is no store in %s", tables->path);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    rc = file_check(tables, "lock.mdb", err);
    return rc == STORE_ENOTFOUND ? 0 : rc;
}

// LMDB would print its own words first. Whoever reads a damaged file turns the signal into a
// sentence.
static void on_assertion(MDB_env *env, const char *words)
{
    (void)env;
    (void)words;
    abort();
}

static int env_try(struct tables *tables, size_t map_bytes)
{
    unsigned flags = MDB_NOTLS | (tables->read_only ? (unsigned)MDB_RDONLY : 0u) |
                     (tables->name ? (unsigned)(MDB_NOSUBDIR | MDB_NOLOCK) : 0u);
    char path[PATH_MAX_BYTES];
    MDB_env *env = NULL;
    if (SEEDED(TABLES_NOT_SYNCED))
        flags |= MDB_NOSYNC;
    if (SEEDED(TABLES_HEAD_NOT_SYNCED))
        flags |= MDB_NOMETASYNC;
    if (tables->name && !path_of(tables, tables->name, path))
        return ENAMETOOLONG;
    int rc = mdb_env_create(&env);
    if (rc)
        return rc;
    if ((rc = mdb_env_set_assert(env, on_assertion)) == 0 &&
        (rc = mdb_env_set_mapsize(env, map_bytes)) == 0 &&
        (rc = mdb_env_set_maxdbs(env, TABLE_COUNT)) == 0 &&
        (rc = mdb_env_set_maxreaders(env, READERS_MAX)) == 0 &&
        (rc = mdb_env_open(env, tables->name ? path : tables->path, flags, 0600)) == 0) {
        MDB_envinfo info;
        if ((rc = mdb_env_info(env, &info)) == 0) {
            tables->env = env;
            tables->map_bytes = info.me_mapsize;
            return 0;
        }
    }
    // After a failed open too: it frees what was begun.
    mdb_env_close(env);
    return rc;
}

// A head that could not be written may be on the disk all the same, while LMDB has put the one
// before back into memory only: the next transaction would write over the pages of the head on the
// disk, and a power cut leave them mixed. So the disk gets the head that is seen before anything
// else is written. This is not tried twice: a second sync says nothing about what the first lost.
static int head_settle(struct tables *tables)
{
    if (tables->read_only || SEEDED(HEAD_NOT_SETTLED))
        return 0;
    return mdb_env_sync(tables->env, 1);
}

int tables_env_open(struct tables *tables, size_t map_bytes, bool create, struct store_error *err)
{
    int rc = files_check(tables, create, err);
    if (rc)
        return rc;
    // A limit on the address space (ulimit -v, a small machine) leaves room for less. Valgrind,
    // which maps no more than 32 GiB at once, says so with EINVAL.
    while (((rc = env_try(tables, map_bytes)) == ENOMEM || rc == EINVAL) &&
           map_bytes > MAP_MIN_BYTES)
        map_bytes /= 2;
    if (rc)
        return tables_error(tables, err, rc, "cannot open it");
    if ((rc = head_settle(tables))) {
        tables_env_close(tables);
        return tables_error(tables, err, rc, "cannot sync its head");
    }
    if (mdb_env_get_maxkeysize(tables->env) < KEY_MAX_BYTES) {
        tables_env_close(tables);
        return error_set(err, STORE_EVERSION, "this LMDB was built for keys of less than %d bytes",
                         KEY_MAX_BYTES);
    }
    return 0;
}

void tables_env_close(struct tables *tables)
{
    if (tables->env)
        mdb_env_close(tables->env);
    tables->env = NULL;
}

// ---- beginning to read ---------------------------------------------------------------------

// Another process has made the file larger than our map. Only who is alone can exchange that.
static int env_adopt_size(struct tables *tables)
{
    int rc = MDB_MAP_RESIZED;
    MDB_envinfo info;
    pthread_mutex_lock(&tables->gate);
    if (tables->within <= 1) {
        rc = mdb_env_set_mapsize(tables->env, 0);
        if (rc)
            tables_env_close(tables);
        else if (mdb_env_info(tables->env, &info) == 0)
            tables->map_bytes = info.me_mapsize;
    }
    pthread_mutex_unlock(&tables->gate);
    return rc;
}

int tables_ask(struct tables *tables, tables_ask_fn *fn, void *user)
{
    const struct timespec pause = {.tv_nsec = NAMESAKE_POLL_MS * 1000000};
    unsigned places = 1, namesakes = 1;
    for (;;) {
        int rc = fn(tables->env, user);
        if (rc == MDB_READERS_FULL && places++ < PLACE_TRIES)
            tables_check_readers(tables);
        else if (rc == MDB_MAP_RESIZED && places++ < PLACE_TRIES && env_adopt_size(tables) == 0)
            continue;
        else if (rc == EAGAIN && namesakes++ < NAMESAKE_TRIES)
            nanosleep(&pause, NULL);
        else
            return rc;
    }
}

static int txn_begin(MDB_env *env, void *user)
{
    return mdb_txn_begin(env, NULL, MDB_RDONLY, user);
}

// MDB_NOTFOUND for a table that is not there or is of another kind.
static int dbi_open(struct tables *tables, MDB_txn *txn, enum table table)
{
    unsigned found = 0;
    int rc = mdb_dbi_open(txn, table_name(table), 0, &tables->dbi[table]);
    if (rc == MDB_INCOMPATIBLE)
        return MDB_NOTFOUND;
    if (rc == 0)
        rc = mdb_dbi_flags(txn, tables->dbi[table], &found);
    return rc == 0 && found != 0 ? MDB_NOTFOUND : rc;
}

static int dbis_open(struct tables *tables, MDB_txn *txn, struct store_error *err)
{
    MDB_dbi root;
    MDB_stat stat;
    int magic;
    int rc = mdb_dbi_open(txn, NULL, 0, &root);
    if (rc == 0)
        rc = mdb_stat(txn, root, &stat);
    if (rc == 0 && stat.ms_entries == 0)
        return error_set(err, STORE_ENOSTORE, "there is no store in %s", tables->path);
    if (rc == 0)
        rc = dbi_open(tables, txn, TABLE_META);
    if (rc == MDB_NOTFOUND)
        return error_set(err, STORE_EFOREIGN,
                         "%s/data.mdb is an LMDB file of another program; use an empty folder",
                         tables->path);
    if (rc == 0 && (magic = meta_check_magic(tables, txn, err)) != 0)
        return magic;
    for (int table = TABLE_META + 1; rc == 0 && table < TABLE_COUNT; table++) {
        rc = dbi_open(tables, txn, (enum table)table);
        if (rc == MDB_NOTFOUND)
            return error_set(err, STORE_EDAMAGED, "%s/data.mdb: the table \"%s\" is missing",
                             tables->path, table_name((enum table)table));
    }
    return rc ? tables_error(tables, err, rc, "cannot open its tables") : 0;
}

int tables_env_open_dbis(struct tables *tables, struct store_error *err)
{
    MDB_txn *txn = NULL;
    int rc = tables_ask(tables, txn_begin, &txn);
    if (rc)
        return tables_error(tables, err, rc, "cannot open its tables");
    rc = dbis_open(tables, txn, err);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    // Handles outlive only a transaction that is committed.
    rc = mdb_txn_commit(txn);
    return rc ? tables_error(tables, err, rc, "cannot open its tables") : 0;
}

int tables_env_create_dbis(struct tables *tables, MDB_txn *txn)
{
    int rc = 0;
    for (int table = 0; rc == 0 && table < TABLE_COUNT; table++)
        rc = mdb_dbi_open(txn, table_name((enum table)table), MDB_CREATE, &tables->dbi[table]);
    return rc;
}

// ---- the gate ------------------------------------------------------------------------------

// How often this thread is within. It may need a second view before it can close the first, so who
// is within is let in again, while others wait their turn.
static _Thread_local unsigned gate_entered;

static void gate_enter(struct tables *tables)
{
    pthread_mutex_lock(&tables->gate);
    while (tables->gate_closed || (tables->gate_wanted && gate_entered == 0))
        pthread_cond_wait(&tables->gate_changed, &tables->gate);
    tables->within++;
    gate_entered++;
    pthread_mutex_unlock(&tables->gate);
}

static void gate_leave(struct tables *tables)
{
    pthread_mutex_lock(&tables->gate);
    tables->within--;
    gate_entered--;
    pthread_cond_broadcast(&tables->gate_changed);
    pthread_mutex_unlock(&tables->gate);
}

static void gate_close(struct tables *tables)
{
    pthread_mutex_lock(&tables->gate);
    tables->gate_wanted = true;
    while (tables->within > 0)
        pthread_cond_wait(&tables->gate_changed, &tables->gate);
    tables->gate_closed = true;
    pthread_mutex_unlock(&tables->gate);
}

static void gate_open(struct tables *tables)
{
    pthread_mutex_lock(&tables->gate);
    tables->gate_wanted = false;
    tables->gate_closed = false;
    pthread_cond_broadcast(&tables->gate_changed);
    pthread_mutex_unlock(&tables->gate);
}

// Opens the environment anew: mdb_env_set_mapsize leaves one without a map when the larger one
// cannot be had.
static int env_exchange(struct tables *tables, size_t map_bytes, struct store_error *err)
{
    size_t before_bytes = tables->map_bytes;
    tables_env_close(tables);
    int rc = env_try(tables, map_bytes);
    bool grown = rc == 0;
    tables->map_is_last = !grown;
    if (!grown)
        rc = env_try(tables, before_bytes);
    if (rc == 0)
        rc = head_settle(tables);
    rc = rc ? tables_error(tables, err, rc, "cannot open it anew")
            : tables_env_open_dbis(tables, err);
    if (rc) {
        tables_env_close(tables);
        atomic_store(&tables->broken, true);
        return rc;
    }
    return grown ? 0
                 : error_set(err, STORE_ENOSPC,
                             "%s/data.mdb: its map of %llu bytes is full, and the address space "
                             "has no room for a larger one",
                             tables->path, (unsigned long long)before_bytes);
}

int tables_env_reopen(struct tables *tables, struct store_error *err)
{
    gate_close(tables);
    int rc = env_exchange(tables, tables->map_bytes, err);
    gate_open(tables);
    return rc;
}

int tables_env_grow(struct tables *tables, struct store_error *err)
{
    if (tables->map_bytes > SIZE_MAX / 2)
        return tables_error(tables, err, MDB_MAP_FULL, "cannot grow");
    gate_close(tables);
    int rc = env_exchange(tables, tables->map_bytes * 2, err);
    gate_open(tables);
    return rc;
}

int tables_enter(struct tables *tables, struct store_error *err)
{
    gate_enter(tables);
    if (tables->env)
        return 0;
    gate_leave(tables);
    return error_set(err, STORE_EIO, "%s/data.mdb could not be mapped and is closed", tables->path);
}

void tables_leave(struct tables *tables)
{
    gate_leave(tables);
}

int tables_read_begin(struct tables *tables, MDB_txn **ret_txn, struct store_error *err)
{
    int rc = tables_enter(tables, err);
    if (rc || (rc = tables_ask(tables, txn_begin, ret_txn)) == 0)
        return rc;
    tables_leave(tables);
    return tables_error(tables, err, rc, "cannot begin to read");
}

void tables_read_end(struct tables *tables, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    tables_leave(tables);
}

void tables_check_readers(struct tables *tables)
{
    int dead = 0;
    if (tables->env)
        mdb_reader_check(tables->env, &dead);
}
