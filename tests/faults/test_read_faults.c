// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Whoever reads what the disk holds - recovery, the walks, restore, the cut of a journal - again
// and again, and each time another call fails: of the disk, of LMDB, of malloc; or a read gives
// nothing, as if the file had become shorter. Either the reader says what failed, or what it gives
// is right; and without the failure everything is still there.
//
// Linked with -Wl,--wrap for the functions below.
#include "model.h"
#include "store/archive.h"
#include "store/fold.h"
#include "store/maintain.h"
#include "store/os.h"
#include "store/segment.h"
#include "store/tables.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- faults --------------------------------------------------------------------------------

enum mode {
    CALLS_FAIL, // any of them
    READS_END,  // as if the file had become shorter
    FILES_GO,   // when they are opened: they were recycled meanwhile
};

static atomic_bool armed;
static bool one_thread; // others, which go on behind, meet no failure
static pthread_t main_thread;
static enum mode mode;
static atomic_ulong calls, fail_at;

static bool fault_here(enum mode kind)
{
    if (!atomic_load(&armed) || kind != mode ||
        (one_thread && !pthread_equal(pthread_self(), main_thread)))
        return false;
    return atomic_fetch_add(&calls, 1) + 1 == fail_at;
}

// WRAP(result type, name, (parameters), arguments, what a failure gives)
#define WRAP(type, name, parameters, arguments, failure)                     \
    type __real_##name parameters;                                           \
    type __wrap_##name parameters;                                           \
    type __wrap_##name parameters                                            \
    {                                                                        \
        return fault_here(CALLS_FAIL) ? (failure) : __real_##name arguments; \
    }

WRAP(void *, malloc, (size_t bytes), (bytes), NULL)
WRAP(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAP(void *, realloc, (void *memory, size_t bytes), (memory, bytes), NULL)
WRAP(char *, strdup, (const char *text), (text), NULL)

#define OS_CALL(name, parameters, arguments) \
    WRAP(int, name, parameters, arguments, error_set(err, STORE_EIO, #name " fails"))
OS_CALL(os_dir_open,
        (struct os_dir * *ret_dir, const char *path, unsigned flags, struct store_error *err),
        (ret_dir, path, flags, err))
OS_CALL(os_dir_sync, (struct os_dir * dir, struct store_error *err), (dir, err))
OS_CALL(os_dir_sync_name, (struct os_dir * dir, struct store_error *err), (dir, err))
OS_CALL(os_dir_list,
        (struct os_dir * dir, int (*fn)(void *, const char *), void *user, struct store_error *err),
        (dir, fn, user, err))
OS_CALL(os_dir_rename,
        (struct os_dir * dir, const char *from, const char *to, struct store_error *err),
        (dir, from, to, err))
OS_CALL(os_file_size, (struct os_file * file, uint64_t *ret_bytes, struct store_error *err),
        (file, ret_bytes, err))
OS_CALL(os_file_write,
        (struct os_file * file, uint64_t offset, const void *buf, size_t len,
         struct store_error *err),
        (file, offset, buf, len, err))
OS_CALL(os_file_reserve,
        (struct os_file * file, uint64_t bytes, uint64_t *ret_written, bool *ret_kept,
         struct store_error *err),
        (file, bytes, ret_written, ret_kept, err))
OS_CALL(os_file_zero,
        (struct os_file * file, uint64_t from, uint64_t to, uint32_t piece_bytes,
         struct store_error *err),
        (file, from, to, piece_bytes, err))
OS_CALL(os_file_sync, (struct os_file * file, struct store_error *err), (file, err))
OS_CALL(os_file_map,
        (struct os_file * file, size_t bytes, void **ret_address, struct store_error *err),
        (file, bytes, ret_address, err))
OS_CALL(os_random, (void *buf, size_t len, struct store_error *err), (buf, len, err))

int __real_os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len,
                        size_t *ret_len, struct store_error *err);
int __wrap_os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len,
                        size_t *ret_len, struct store_error *err);
int __wrap_os_file_read(struct os_file *file, uint64_t offset, void *buf, size_t len,
                        size_t *ret_len, struct store_error *err)
{
    if (fault_here(CALLS_FAIL))
        return error_set(err, STORE_EIO, "os_file_read fails");
    if (!fault_here(READS_END))
        return __real_os_file_read(file, offset, buf, len, ret_len, err);
    *ret_len = 0;
    return 0;
}

int __real_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err)
{
    if (fault_here(FILES_GO))
        return error_set(err, STORE_ENOTFOUND, "%s is gone", name);
    return fault_here(CALLS_FAIL) ? error_set(err, STORE_EIO, "os_file_open fails")
                                  : __real_os_file_open(ret_file, dir, name, flags, err);
}

#define LMDB_CALL(name, parameters, arguments) WRAP(int, name, parameters, arguments, EIO)
LMDB_CALL(mdb_env_create, (MDB_env * *env), (env))
LMDB_CALL(mdb_env_open, (MDB_env * env, const char *path, unsigned flags, mdb_mode_t file_mode),
          (env, path, flags, file_mode))
LMDB_CALL(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
          (env, parent, flags, txn))
LMDB_CALL(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *dbi),
          (txn, name, flags, dbi))
LMDB_CALL(mdb_stat, (MDB_txn * txn, MDB_dbi dbi, MDB_stat *stat), (txn, dbi, stat))
LMDB_CALL(mdb_get, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value),
          (txn, dbi, key, value))
LMDB_CALL(mdb_put, (MDB_txn * txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags),
          (txn, dbi, key, value, flags))
LMDB_CALL(mdb_cursor_open, (MDB_txn * txn, MDB_dbi dbi, MDB_cursor **cursor), (txn, dbi, cursor))
LMDB_CALL(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op),
          (cursor, key, value, op))

int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn)
{
    if (!fault_here(CALLS_FAIL))
        return __real_mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return EIO;
}

// How far apart positions may be that the tables have room for at once; 0: any.
static uint64_t room_bytes, room_from;
static unsigned refused;

int __real_tables_apply(struct tables *tables, struct fold *fold, uint64_t position, bool clean,
                        struct store_error *err);
int __wrap_tables_apply(struct tables *tables, struct fold *fold, uint64_t position, bool clean,
                        struct store_error *err);
int __wrap_tables_apply(struct tables *tables, struct fold *fold, uint64_t position, bool clean,
                        struct store_error *err)
{
    if (room_bytes && position_segment(position) == position_segment(room_from) &&
        position - room_from > room_bytes) {
        refused++;
        return error_set(err, STORE_ENOSPC, "there is no room");
    }
    int rc = __real_tables_apply(tables, fold, position, clean, err);
    if (rc == 0)
        room_from = position;
    return rc;
}

// ---- stores --------------------------------------------------------------------------------

enum place { FIRST, WHOLE, DAMAGED, HEADLESS, WORK, PLACES };

static char *folder;
static char paths[PLACES][600];
static struct store_error own;

static struct store_options options_at(enum place place, enum store_access access)
{
    return (struct store_options){.path = paths[place],
                                  .access = access,
                                  .create = access == STORE_READ_WRITE,
                                  .sync = STORE_SYNC_ALWAYS,
                                  .check_values = true,
                                  .commit_interval_ms = 3600 * 1000,
                                  .journal_segment_bytes = 65536,
                                  .holder = "test_read_faults"};
}

static void folder_copy(enum place from, enum place to)
{
    folder_remove(strdup(paths[to]));
    ck_assert_int_eq(mkdir(paths[to], 0700), 0);
    DIR *dir = opendir(paths[from]);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        // A segment in the making gets its name at any moment.
        if (entry->d_name[0] != '.' && !strstr(entry->d_name, ".tmp"))
            file_copy(path_in(paths[from], entry->d_name), path_in(paths[to], entry->d_name));
    }
    closedir(dir);
}

static struct model model;
static struct text text, expected;

struct bytes {
    uint8_t *data;
    size_t len, at;
};
static struct bytes archive;
static uint64_t covered; // by the tables of "whole"

static int archive_take(void *user, const void *data, size_t len, struct store_error *err)
{
    struct bytes *bytes = user;
    (void)err;
    bytes->data = realloc(bytes->data, bytes->len + len);
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    return 0;
}

static int archive_give(void *user, void *data, size_t len, size_t *ret_len,
                        struct store_error *err)
{
    struct bytes *bytes = user;
    (void)err;
    *ret_len = bytes->len - bytes->at < len ? bytes->len - bytes->at : len;
    memcpy(data, bytes->data + bytes->at, *ret_len);
    bytes->at += *ret_len;
    return 0;
}

static void append_events(struct store *store, unsigned count)
{
    static uint64_t seed = 1;
    for (unsigned i = 0; i < count; i++) {
        struct event event;
        model_step(&model, &seed, store, &event);
        ck_assert_msg(store_append(store, &event, &own) == 0, "%s", own.sentence);
    }
}

static struct store *open_at(enum place place, enum store_access access)
{
    struct store *store = NULL;
    struct store_options options = options_at(place, access);
    ck_assert_msg(store_open(&store, &options, &own) == 0, "%s: %s", paths[place], own.sentence);
    return store;
}

static const char *segment_of(enum place place, uint64_t position)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(position_segment(position), name);
    return path_in(paths[place], name);
}

// "whole": the tables have most, the journal the rest, as a kill leaves it, and behind its end the
// beginning of a record; an archive of it. "damaged": a bit is wrong in the middle of that rest.
// "headless": in the header of its segment.
static void stores_make(void)
{
    static const uint8_t torn[] = {0x80, 1, 0, 0, 5, 0, 0xab, 0xcd, 1, 2, 3, 4};
    struct store_stats stats;
    struct store_backup_report report;
    struct store *store = open_at(FIRST, STORE_READ_WRITE);
    append_events(store, 60);
    ck_assert_int_eq(store_flush(store, &own), 0);
    append_events(store, 20);
    ck_assert_int_eq(store_stats(store, &stats, &own), 0);
    uint64_t middle = stats.journal_end;
    covered = stats.journal_covered;
    append_events(store, 40);
    ck_assert_int_eq(store_stats(store, &stats, &own), 0);
    folder_copy(FIRST, WHOLE);
    folder_copy(FIRST, DAMAGED);
    folder_copy(FIRST, HEADLESS);
    file_overwrite(segment_of(WHOLE, stats.journal_end), position_offset(stats.journal_end), torn,
                   sizeof(torn));
    file_flip_bit(segment_of(DAMAGED, middle), position_offset(middle) + 20, 3);
    file_flip_bit(segment_of(HEADLESS, middle), 100, 3);
    ck_assert_int_eq(store_flush(store, &own), 0);
    ck_assert_int_eq(store_backup(store, 0, archive_take, &archive, &report, &own), 0);
    store_close(store, false, NULL);
}

static void setup(void)
{
    static const char *const names[] = {"first", "whole", "damaged", "headless", "work"};
    folder = folder_make();
    for (int i = 0; i < PLACES; i++)
        snprintf(paths[i], sizeof(paths[i]), "%s/%s", folder, names[i]);
    main_thread = pthread_self();
    memset(&model, 0, sizeof(model));
    model_restart();
    archive = (struct bytes){0};
    // No test's own allocation may fail.
    text.capacity = expected.capacity = 4u << 20;
    text.bytes = malloc(text.capacity);
    expected.bytes = malloc(expected.capacity);
    stores_make();
}

static void teardown(void)
{
    free(archive.data);
    free(text.bytes);
    free(expected.bytes);
    folder_remove(folder);
}

// ---- what is read --------------------------------------------------------------------------

static int on_segment(void *user, const struct store_segment *segment)
{
    // So it says it.
    if (strcmp(segment->state, "damaged") == 0)
        return error_set(&own, STORE_EDAMAGED, "segment %u", (unsigned)segment->number);
    text_add(user, "segment %llu %s\n", (unsigned long long)segment->number, segment->state);
    return 0;
}

static int on_dictionary(void *user, const struct store_dictionary *dictionary)
{
    text_add(user, "dictionary %u\n", (unsigned)dictionary->id);
    return 0;
}

static int journal_text(struct store *store, struct store_error *err)
{
    struct store_cursor *cursor = NULL;
    struct store_stats stats;
    struct event event;
    uint64_t position;
    int rc = store_each_segment(store, on_segment, &text, err);
    if (rc == 0)
        rc = store_stats(store, &stats, err);
    if (rc == 0)
        rc = store_cursor_open(&cursor, store, stats.journal_covered, err);
    while (rc == 0 && (rc = store_cursor_next(cursor, &event, &position, err)) == 1) {
        text_add(&text, "%s\n", record_type_name(event.type));
        rc = 0;
    }
    store_cursor_close(cursor);
    return rc;
}

static int store_text(struct store *store, struct store_error *err)
{
    struct store_view *view = NULL;
    struct session session;
    struct will will;
    int rc = store_view_open(&view, store, err);
    if (rc == 0)
        rc = text_of_view(&text, view, err);
    if (rc == 0)
        rc = store_each_message_ahead(view, text_message, &text, err);
    if (rc == 0)
        rc = store_each_dictionary(view, on_dictionary, &text, err);
    for (unsigned i = 0; rc == 0 && i < MODEL_CLIENTS; i++) {
        int found = store_get_session(view, model_client_id(i), &session, err);
        int owed = found == 0 ? store_get_will(view, model_client_id(i), &will, err) : 0;
        text_add(&text, "%d %d\n", found, owed);
        rc = found && found != STORE_ENOTFOUND ? found : owed == STORE_ENOTFOUND ? 0 : owed;
        if (rc == 0)
            rc = store_each_queued(view, model_client_id(i), text_queued, &text, err);
    }
    store_view_close(view);
    return rc;
}

static int look(struct store_error *err)
{
    struct store_options options = options_at(WHOLE, STORE_READ_ONLY);
    struct store *store = NULL;
    int rc = store_open(&store, &options, err);
    if (rc == 0)
        rc = store_text(store, err);
    if (rc == 0)
        rc = journal_text(store, err);
    store_close(store, false, NULL);
    return rc;
}

static void work_is_whole(int rc)
{
    (void)rc;
    struct store *store = open_at(WORK, STORE_READ_WRITE);
    model_compare(&model, store);
    ck_assert_int_eq(store_close(store, true, &own), 0);
}

static int recover(struct store_error *err)
{
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct store *store = NULL;
    int rc = store_open(&store, &options, err);
    if (rc == 0)
        rc = store_text(store, err);
    store_close(store, false, NULL);
    return rc;
}

static int cut(struct store_error *err)
{
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct store_cut found;
    struct store *store = NULL;
    int rc = store_cut_look(&options, &found, err);
    if (rc == 0)
        rc = store_cut_journal(&options, &found, err);
    if (rc == 0)
        rc = store_open(&store, &options, err);
    if (rc == 0)
        rc = store_text(store, err);
    store_close(store, false, NULL);
    return rc;
}

static void assert_expected(void)
{
    size_t same = 0;
    while (text.bytes[same] && text.bytes[same] == expected.bytes[same])
        same++;
    ck_assert_msg(text.bytes[same] == expected.bytes[same], "call %lu: at %zu %.200s, not %.200s",
                  (unsigned long)fail_at, same, text.bytes + same, expected.bytes + same);
}

// The cut was made, or it can still be made.
static void cut_is_possible(int rc)
{
    (void)rc;
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct store *store = NULL;
    int opened = store_open(&store, &options, &own);
    ck_assert_msg(opened == 0 || opened == STORE_EDAMAGED, "%s", own.sentence);
    if (opened == 0)
        ck_assert_msg(store_text(store, &own) == 0, "%s", own.sentence);
    else
        ck_assert_msg(cut(&own) == 0, "%s", own.sentence);
    store_close(store, false, NULL);
    assert_expected();
}

static int restore(struct store_error *err)
{
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct archive_source source = {archive_give, &archive, "archive"};
    struct store_backup_report report;
    struct store *store = NULL;
    archive.at = 0;
    int rc = store_restore(paths[WORK], true, &source, &report, err);
    archive.at = 0;
    if (rc == 0)
        rc = store_restore(paths[WORK], false, &source, &report, err);
    if (rc)
        return rc;
    // What is restored is there, whatever comes then.
    atomic_store(&armed, false);
    rc = store_open(&store, &options, &own);
    if (rc == 0)
        rc = store_text(store, &own);
    store_close(store, false, NULL);
    return rc;
}

static void nothing_or_all_is_restored(int rc)
{
    if (rc == 0) {
        work_is_whole(0);
        return;
    }
    // The folder it may have made, and which is empty, but for a lock file that could not be
    // locked.
    if (rmdir(paths[WORK]) != 0)
        unlink(path_in(paths[WORK], "store.lock"));
    rmdir(paths[WORK]);
    ck_assert_int_ne(access(paths[WORK], F_OK), 0);
    ck_assert_msg(restore(&own) == 0, "%s", own.sentence);
    work_is_whole(0);
}

static void can_be_made(int rc)
{
    (void)rc;
    ck_assert_msg(recover(&own) == 0, "%s", own.sentence);
    assert_expected();
}

// ---- the tests -----------------------------------------------------------------------------

static const struct reader {
    int (*run)(struct store_error *err);
    enum place from;       // a copy of it is made for each run; WORK: none
    void (*after)(int rc); // NULL: nothing can have changed
    bool one_thread;
} readers[] = {
    {look, WORK, NULL, false},
    {recover, WHOLE, work_is_whole, true},
    {cut, DAMAGED, cut_is_possible, true},
    {cut, HEADLESS, cut_is_possible, true},
    {restore, WORK, nothing_or_all_is_restored, true},
    {recover, WORK, can_be_made, true},
};
#define READERS (int)(sizeof(readers) / sizeof(readers[0]))
#define READS 4 // of them read files by themselves

static void work_prepare(const struct reader *reader)
{
    folder_remove(strdup(paths[WORK]));
    if (reader->from != WORK)
        folder_copy(reader->from, WORK);
    text.len = 0;
    text.bytes[0] = '\0';
}

// Whether the call that was to fail was reached.
static bool run_once(const struct reader *reader, struct store_error *err)
{
    work_prepare(reader);
    one_thread = reader->one_thread;
    atomic_store(&calls, 0);
    own = (struct store_error){0};
    atomic_store(&armed, true);
    int rc = reader->run(err);
    atomic_store(&armed, false);
    bool reached = calls >= fail_at;
    // A segment that is gone is not listed, which is right.
    if (rc == 0 && mode != FILES_GO)
        assert_expected();
    if (rc)
        ck_assert_msg(reached, "%d: %s", rc, own.sentence);
    if (rc && err) {
        ck_assert_int_eq(err->code, rc);
        ck_assert_msg(err->sentence[0], "%d without a sentence", rc);
    }
    if (reader->after)
        reader->after(rc);
    return reached;
}

static void each_call_fails(const struct reader *reader, enum mode which)
{
    work_prepare(reader);
    ck_assert_msg(reader->run(&own) == 0, "%s", own.sentence);
    strcpy(expected.bytes, text.bytes);
    mode = which;
    for (int said = 0; said < 2; said++) {
        atomic_store(&fail_at, 1);
        while (run_once(reader, said ? &own : NULL))
            atomic_fetch_add(&fail_at, 1);
    }
    printf("%d: %lu calls\n", (int)(reader - readers), (unsigned long)fail_at - 1);
}

START_TEST(every_call_fails)
{
    each_call_fails(&readers[_i], CALLS_FAIL);
}
END_TEST

START_TEST(every_read_finds_the_end)
{
    each_call_fails(&readers[_i], READS_END);
}
END_TEST

START_TEST(every_file_goes_before_it_is_opened)
{
    each_call_fails(&readers[_i], FILES_GO);
}
END_TEST

// As on a full disk, on which the pages that one transaction frees serve the next.
START_TEST(tables_with_little_room_take_the_journal_in_pieces)
{
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct store *store = NULL;
    folder_copy(WHOLE, WORK);
    room_from = covered;
    room_bytes = 9000;
    ck_assert_msg(store_open(&store, &options, &own) == 0, "%s", own.sentence);
    room_bytes = 0;
    ck_assert_uint_gt(refused, 2);
    model_compare(&model, store);
    store_close(store, false, NULL);
}
END_TEST

START_TEST(tables_without_room_lose_nothing)
{
    struct store_options options = options_at(WORK, STORE_READ_WRITE);
    struct store *store = NULL;
    folder_copy(WHOLE, WORK);
    room_from = covered;
    room_bytes = 16;
    ck_assert_int_eq(store_open(&store, &options, &own), STORE_ENOSPC);
    ck_assert_msg(strstr(own.sentence, "there is no room"), "%s", own.sentence);
    room_bytes = 0;
    work_is_whole(0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("read_faults");
    TCase *cases = tcase_create("read_faults");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 0);
    tcase_add_loop_test(cases, every_call_fails, 0, READERS);
    tcase_add_loop_test(cases, every_read_finds_the_end, 0, READS);
    tcase_add_loop_test(cases, every_file_goes_before_it_is_opened, 0, READS);
    tcase_add_test(cases, tables_with_little_room_take_the_journal_in_pieces);
    tcase_add_test(cases, tables_without_room_lose_nothing);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
