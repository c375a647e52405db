// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How much the file of the tables can take in without growing.
#include "tables_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// The longest runs of the classes, in pages. A large run is rare among free pages: the last class
// has none.
static const uint64_t run_pages[TABLES_RUN_CLASSES - 1] = {1, 16, 256};

// Of a value's first page: LMDB's head of a run, ours of a value, and the strings.
#define RUN_HEAD_BYTES 512u
#define PAGE_BYTES 4096u
// What is beyond is not looked at: 16 GiB.
#define FREE_PAGES_MAX ((size_t)1 << 22)

unsigned tables_run_class(uint64_t value_bytes)
{
    unsigned run = 0;
    while (run < TABLES_RUN_CLASSES - 1 &&
           value_bytes + RUN_HEAD_BYTES > run_pages[run] * PAGE_BYTES)
        run++;
    return run;
}

struct free_pages {
    size_t *numbers;
    size_t count, room;
};

static int free_pages_add(struct free_pages *pages, const MDB_val *list)
{
    size_t count = 0;
    if (list->mv_size >= sizeof(count))
        memcpy(&count, list->mv_data, sizeof(count));
    if (count > list->mv_size / sizeof(count) - 1)
        return MDB_CORRUPTED;
    if (pages->count + count > FREE_PAGES_MAX)
        count = FREE_PAGES_MAX - pages->count;
    if (pages->count + count > pages->room) {
        size_t room = (pages->count + count) * 2;
        size_t *grown = realloc(pages->numbers, room * sizeof(*grown));
        if (!grown)
            return ENOMEM;
        pages->numbers = grown;
        pages->room = room;
    }
    if (count > 0)
        memcpy(pages->numbers + pages->count, (const size_t *)list->mv_data + 1,
               count * sizeof(*pages->numbers));
    pages->count += count;
    return 0;
}

// The free list has an entry for each transaction, a count and as many page numbers. What the last
// one freed still stands for what was before it; the next must leave it alone.
static int free_pages_read(MDB_txn *txn, size_t last_txn, struct free_pages *pages)
{
    MDB_cursor *cursor = NULL;
    MDB_val key;
    MDB_val list;
    int rc = mdb_cursor_open(txn, 0, &cursor);
    if (rc)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &list, MDB_NEXT)) == 0) {
        size_t freed_by = 0;
        if (key.mv_size == sizeof(freed_by))
            memcpy(&freed_by, key.mv_data, sizeof(freed_by));
        if (freed_by >= last_txn)
            continue;
        if ((rc = free_pages_add(pages, &list)))
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int number_compare(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

// A run of pages that is filled with shorter ones is left with a rest that is too short for
// another.
static void runs_count(const struct free_pages *pages, size_t page_bytes,
                       uint64_t ret_bytes[TABLES_RUN_CLASSES])
{
    for (size_t first = 0, next = 1; first < pages->count; first = next++) {
        while (next < pages->count && pages->numbers[next] == pages->numbers[next - 1] + 1)
            next++;
        for (unsigned i = 0; i < TABLES_RUN_CLASSES - 1; i++) {
            if (next - first >= run_pages[i])
                ret_bytes[i] += (next - first - (run_pages[i] - 1)) * page_bytes;
        }
    }
}

static int free_count(MDB_txn *txn, size_t last_txn, size_t page_bytes,
                      uint64_t ret_bytes[TABLES_RUN_CLASSES])
{
    struct free_pages pages = {0};
    int rc = free_pages_read(txn, last_txn, &pages);
    if (rc == 0 && pages.count > 0) {
        qsort(pages.numbers, pages.count, sizeof(*pages.numbers), number_compare);
        runs_count(&pages, page_bytes, ret_bytes);
    }
    free(pages.numbers);
    return rc;
}

void tables_map_reach(struct tables *tables, uint64_t file_bytes)
{
    int rc = 0;
    while (rc == 0 && !tables->map_is_last && tables->map_bytes < file_bytes)
        rc = tables_env_grow(tables, NULL); // what cannot be used any more says so itself
}

int tables_room(struct tables *tables, bool count_free, struct tables_room *ret_room,
                struct store_error *err)
{
    struct tables_room room = {0};
    MDB_envinfo info;
    MDB_stat env;
    MDB_stat sessions;
    MDB_txn *txn;
    int rc = tables_read_begin(tables, &txn, err);
    if (rc)
        return rc;
    if ((rc = mdb_env_info(tables->env, &info)) == 0 &&
        (rc = mdb_env_stat(tables->env, &env)) == 0 &&
        (rc = mdb_stat(txn, tables->dbi[TABLE_SESSIONS], &sessions)) == 0 && count_free)
        rc = free_count(txn, mdb_txn_id(txn), env.ms_psize, room.free_bytes);
    if (rc)
        rc = tables_error(tables, err, rc, "cannot look for free pages");
    tables_read_end(tables, txn);
    if (rc)
        return rc;
    room.file_bytes = ((uint64_t)info.me_last_pgno + 1) * env.ms_psize;
    room.map_bytes = tables->map_is_last ? info.me_mapsize : UINT64_MAX;
    room.sessions = sessions.ms_entries;
    *ret_room = room;
    return 0;
}
