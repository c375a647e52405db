// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Backup, restore and compaction of a store with random contents.
#include "store/maintain.h"

#include "model.h"
#include "store/journal_scan.h"
#include "store/tables.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct archive_bytes {
    uint8_t *data;
    size_t len, room, at;
};

static char *folder, *store_path, *target_path;
static struct model model;
static struct archive_bytes archive;

// What happens while a reader is about to count the journal beside its writer.
static struct {
    struct store *writer; // NULL: nothing
    uint64_t seed;
    unsigned times;
} meanwhile;
static uint64_t covered_moves; // by so much each time it is read
static unsigned meta_fails_at; // counts down, 0: it does not
static unsigned lives_begin;   // counts down from one reading to the next, 0: none does
static unsigned counts;        // of the journal
static bool never_caught_up;   // as in tables of the first version, which did not say when

int __real_journal_count(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                         uint64_t *ret_records, uint64_t *ret_end, struct store_error *err);
int __wrap_journal_count(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                         uint64_t *ret_records, uint64_t *ret_end, struct store_error *err);
int __real_tables_meta(struct tables *tables, struct tables_meta *ret_meta,
                       struct store_error *err);
int __wrap_tables_meta(struct tables *tables, struct tables_meta *ret_meta,
                       struct store_error *err);

// What happens in front of the n-th opening of a file by this thread.
static _Thread_local unsigned opens_left; // counts down, 0: nothing
static _Thread_local void (*at_open)(void);

int __real_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *err)
{
    if (opens_left > 0 && --opens_left == 0)
        at_open();
    return __real_os_file_open(ret_file, dir, name, flags, err);
}

// Likewise in front of the n-th look at a folder.
static _Thread_local unsigned lists_left;
static _Thread_local void (*at_list)(void);

int __real_os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                       struct store_error *err);
int __wrap_os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                       struct store_error *err);
int __wrap_os_dir_list(struct os_dir *dir, int (*fn)(void *user, const char *name), void *user,
                       struct store_error *err)
{
    if (lists_left > 0 && --lists_left == 0)
        at_list();
    return __real_os_dir_list(dir, fn, user, err);
}

static int archive_take(void *user, const void *data, size_t len, struct store_error *err)
{
    struct archive_bytes *bytes = user;
    (void)err;
    while (bytes->len + len > bytes->room) {
        bytes->room = bytes->room ? bytes->room * 2 : 1 << 20;
        bytes->data = realloc(bytes->data, bytes->room);
    }
    memcpy(bytes->data + bytes->len, data, len);
    bytes->len += len;
    return 0;
}

static int archive_give(void *user, void *data, size_t len, size_t *ret_len,
                        struct store_error *err)
{
    struct archive_bytes *bytes = user;
    (void)err;
    *ret_len = bytes->len - bytes->at < len ? bytes->len - bytes->at : len;
    memcpy(data, bytes->data + bytes->at, *ret_len);
    bytes->at += *ret_len;
    return 0;
}

static struct store *open_at(const char *path)
{
    struct store_error err = {0};
    struct store *store = NULL;
    struct store_options options = {.path = path,
                                    .create = true,
                                    .commit_interval_ms = 20,
                                    .journal_segment_bytes = 65536,
                                    .holder = "test_maintain"};
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    model_restart();
    return store;
}

static void append_events(struct store *store, uint64_t *seed, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct store_error err = {0};
        struct event event;
        model_step(&model, seed, store, &event);
        ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
    }
}

static const char *segment_path(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    return path_in(store_path, name);
}

// Goes on until the segment has no use for the writer any more and is given back.
static void segment_outlive(uint64_t number)
{
    for (unsigned tries = 0; access(segment_path(number), F_OK) == 0; tries++) {
        ck_assert_uint_lt(tries, 2000);
        append_events(meanwhile.writer, &meanwhile.seed, 100);
        ck_assert_int_eq(store_flush(meanwhile.writer, NULL), 0);
    }
}

int __wrap_journal_count(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                         uint64_t *ret_records, uint64_t *ret_end, struct store_error *err)
{
    counts++;
    if (meanwhile.writer && meanwhile.times > 0) {
        meanwhile.times--;
        segment_outlive(position_segment(from));
    }
    return __real_journal_count(dir, store_id, from, ret_records, ret_end, err);
}

int __wrap_tables_meta(struct tables *tables, struct tables_meta *ret_meta, struct store_error *err)
{
    static uint64_t moved;
    int rc = __real_tables_meta(tables, ret_meta, err);
    if (covered_moves)
        ret_meta->covered += moved += covered_moves;
    ret_meta->life += lives_begin;
    if (lives_begin > 0)
        lives_begin--;
    if (never_caught_up)
        ret_meta->caught_up_ms = 0;
    if (meta_fails_at && --meta_fails_at == 0)
        return error_set(err, STORE_EIO, "the tables cannot be read");
    return rc;
}

static void setup(void)
{
    folder = folder_make();
    store_path = strdup(path_in(folder, "store"));
    target_path = strdup(path_in(folder, "target"));
    memset(&model, 0, sizeof(model));
    archive = (struct archive_bytes){0};
}

static void teardown(void)
{
    free(archive.data);
    free(store_path);
    free(target_path);
    folder_remove(folder);
}

static struct store_backup_report backup(struct store *store)
{
    struct store_backup_report report;
    struct store_error err = {0};
    ck_assert_msg(store_backup(store, 5000, archive_take, &archive, &report, &err) == 0, "%s",
                  err.sentence);
    return report;
}

static int restore(bool dry_run, struct store_error *err)
{
    struct archive_source source = {archive_give, &archive, "archive"};
    struct store_backup_report report;
    archive.at = 0;
    return store_restore(target_path, dry_run, &source, &report, err);
}

START_TEST(a_backup_beside_a_running_writer_holds_all_that_was_there)
{
    uint64_t seed = seed_choose();
    struct store_error err = {0};
    struct store_options read_only = {.path = store_path, .access = STORE_READ_ONLY};
    struct store *store = open_at(store_path), *reader = NULL;
    append_events(store, &seed, 20000);
    ck_assert_msg(store_open(&reader, &read_only, &err) == 0, "%s", err.sentence);
    struct store_backup_report report = backup(reader);
    ck_assert_uint_eq(report.behind_records, 0);
    store_close(reader, false, NULL);

    ck_assert_msg(restore(false, &err) == 0, "%s", err.sentence);
    struct store *copy = open_at(target_path);
    model_compare(&model, copy);
    // The copy goes on by itself.
    append_events(copy, &seed, 2000);
    ck_assert_int_eq(store_flush(copy, NULL), 0);
    model_compare(&model, copy);
    store_close(copy, false, NULL);
    copy = open_at(target_path);
    model_compare(&model, copy);
    store_close(copy, true, NULL);
    store_close(store, true, NULL);
}
END_TEST

// Found by the test above, once in some hundred runs: a count from a place in a segment that was
// given back meanwhile found nothing, and the backup said that it held everything.
START_TEST(a_segment_goes_while_it_is_counted)
{
    struct store_error err = {0};
    struct store_options read_only = {.path = store_path, .access = STORE_READ_ONLY};
    struct store *store = open_at(store_path), *reader = NULL;
    struct store_stats stats;
    meanwhile.seed = seed_choose();
    append_events(store, &meanwhile.seed, 2000);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    ck_assert_msg(store_open(&reader, &read_only, &err) == 0, "%s", err.sentence);
    meanwhile.writer = store;
    meanwhile.times = 3;
    ck_assert_msg(store_stats(store, &stats, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(meanwhile.times, 0);
    ck_assert_uint_gt(stats.journal_end, position_of(3, 0));
    ck_assert_uint_ge(stats.journal_end, stats.journal_covered);

    meanwhile.times = 3;
    struct store_backup_report report = backup(reader);
    ck_assert_uint_eq(meanwhile.times, 0);
    ck_assert_uint_eq(report.behind_records, 0);
    ck_assert_msg(restore(false, &err) == 0, "%s", err.sentence);
    struct store *copy = open_at(target_path);
    model_compare(&model, copy);
    store_close(copy, true, NULL);

    covered_moves = (uint64_t)1 << 32;
    ck_assert_int_eq(store_stats(store, &stats, &err), STORE_EIO);
    ck_assert_ptr_nonnull(strstr(err.sentence, "faster than it can be read"));
    ck_assert_int_eq(store_backup(reader, 0, archive_take, &archive, &report, &err), STORE_EIO);
    covered_moves = 0;
    // Another life begins, in the same segment.
    lives_begin = 3; // it is read twice before
    counts = 0;
    ck_assert_msg(store_stats(store, &stats, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(counts, 2);
    store_close(store, true, NULL);

    // And when nobody holds it, but the tables say that somebody did.
    ck_assert_msg(store_stats(reader, &stats, &err) == 0, "%s", err.sentence);
    covered_moves = 8;
    ck_assert_int_eq(store_stats(reader, &stats, &err), STORE_EIO);
    ck_assert_ptr_nonnull(strstr(err.sentence, "opened and closed faster than"));
    covered_moves = 0;
    store_close(reader, false, NULL);
}
END_TEST

START_TEST(a_backup_beside_a_journal_that_cannot_be_read_is_none)
{
    struct store_error err = {0};
    struct store_backup_report report;
    struct store_stats stats;
    struct store_options lazy = {.path = store_path,
                                 .create = true,
                                 .commit_interval_ms = 3600 * 1000,
                                 .journal_segment_bytes = 65536};
    struct store_options read_only = {.path = store_path, .access = STORE_READ_ONLY};
    struct store *store = NULL, *reader = NULL;
    uint64_t seed = seed_choose();
    ck_assert_msg(store_open(&store, &lazy, &err) == 0, "%s", err.sentence);
    append_events(store, &seed, 4000);
    ck_assert_msg(store_open(&reader, &read_only, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(store_stats(reader, &stats, &err), 0);
    ck_assert_uint_gt(position_segment(stats.journal_end), position_segment(stats.journal_covered));
    ck_assert_int_eq(chmod(segment_path(position_segment(stats.journal_covered) + 1), 0644), 0);
    ck_assert_int_eq(store_backup(reader, 0, archive_take, &archive, &report, &err), STORE_EUNSAFE);
    store_close(reader, false, NULL);
    store_close(store, false, NULL);
}
END_TEST

START_TEST(how_far_the_tables_are_behind_may_be_unknown)
{
    struct store_error err = {0};
    struct store_stats stats;
    struct store *store = open_at(store_path);
    uint64_t seed = seed_choose();
    append_events(store, &seed, 200);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    ck_assert_int_eq(store_stats(store, &stats, &err), 0);
    // store_stats reads the tables' state twice itself, and then twice to see that it holds.
    for (unsigned at = 1; at <= 4; at++) {
        meta_fails_at = at;
        ck_assert_int_eq(store_stats(store, &stats, &err), STORE_EIO);
        ck_assert_str_eq(err.sentence, "the tables cannot be read");
    }
    // A cursor at the beginning asks them which segment that is.
    struct store_cursor *cursor = NULL;
    meta_fails_at = 1;
    ck_assert_int_eq(store_cursor_open(&cursor, store, 0, &err), STORE_EIO);
    ck_assert_str_eq(err.sentence, "the tables cannot be read");
    ck_assert_ptr_null(cursor);
    file_flip_bit(segment_path(position_segment(stats.journal_covered)), 60, 2);
    ck_assert_int_eq(store_stats(store, &stats, &err), STORE_EDAMAGED);
    ck_assert_int_eq(store_stats(store, &stats, NULL), STORE_EDAMAGED);
    file_flip_bit(segment_path(position_segment(stats.journal_covered)), 60, 2);
    store_close(store, false, NULL);

    struct store_options lazy = {
        .path = target_path, .create = true, .commit_interval_ms = 3600 * 1000, .holder = "lazy"};
    ck_assert_msg(store_open(&store, &lazy, &err) == 0, "%s", err.sentence);
    append_events(store, &seed, 200);
    usleep(2000);
    ck_assert_int_eq(store_stats(store, &stats, &err), 0);
    ck_assert_uint_gt(stats.behind_records, 0);
    ck_assert_uint_gt(stats.behind_ms, 0);
    never_caught_up = true;
    ck_assert_int_eq(store_stats(store, &stats, &err), 0);
    ck_assert_uint_gt(stats.behind_records, 0);
    ck_assert_uint_eq(stats.behind_ms, 0);
    store_close(store, false, NULL);
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
    uint64_t seed = 1;
    struct store_error err = {0};
    struct store *store = open_at(store_path);
    append_events(store, &seed, 100);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    backup(store);
    ck_assert_msg(restore(true, &err) == 0, "%s", err.sentence);
    ck_assert_int_ne(access(target_path, F_OK), 0);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(a_folder_that_is_not_empty_is_refused)
{
    uint64_t seed = 1;
    struct store_error err = {0};
    struct store *store = open_at(store_path);
    append_events(store, &seed, 100);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    backup(store);
    store_close(store, true, NULL);
    store_close(open_at(target_path), true, NULL);
    ck_assert_int_eq(restore(false, &err), STORE_EINVAL);
    ck_assert_ptr_nonnull(strstr(err.sentence, "is not empty"));
    store_close(open_at(target_path), true, NULL);
    // A lock file alone, which nobody has locked, is nothing.
    ck_assert_int_eq(rename(path_in(target_path, "store.lock"), path_in(folder, "lock")), 0);
    folder_remove(strdup(target_path));
    ck_assert_int_eq(mkdir(target_path, 0700), 0);
    ck_assert_int_eq(rename(path_in(folder, "lock"), path_in(target_path, "store.lock")), 0);
    ck_assert_msg(restore(false, &err) == 0, "%s", err.sentence);
    store = open_at(target_path);
    model_compare(&model, store);
    store_close(store, true, NULL);
}
END_TEST

static struct model archived; // what the archive holds
static int inner_rc;
static struct store *inner;
static uint64_t inner_seed;

static void another_restore(void)
{
    struct archive_bytes before = archive;
    struct store_error err = {0};
    inner_rc = restore(false, &err);
    archive = before;
}

// A broker that makes its own store of an empty folder, and may be gone before anybody looks.
static void a_broker_begins(void)
{
    struct store_error err = {0};
    struct store_options options = {.path = target_path, .create = true};
    inner_rc = store_open(&inner, &options, &err);
    if (inner_rc)
        return;
    memset(&model, 0, sizeof(model));
    model_restart();
    append_events(inner, &inner_seed, 100);
}

static void a_broker_begins_and_ends(void)
{
    a_broker_begins();
    ck_assert_int_eq(store_close(inner, false, NULL), 0);
    inner = NULL;
}

// Whoever comes second is refused, and harms nothing of what the first one makes.
START_TEST(somebody_else_uses_the_folder_of_a_restore)
{
    static void (*const others[])(void) = {another_restore, a_broker_begins,
                                           a_broker_begins_and_ends};
    struct store_error err = {0};
    uint64_t seed = inner_seed = seed_choose();
    unsigned moments = 0;
    struct store *store = open_at(store_path);
    append_events(store, &seed, 500);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    backup(store);
    store_close(store, true, NULL);
    archived = model;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (unsigned at = 1;; at++) {
            model = archived;
            opens_left = at;
            at_open = others[i];
            int rc = restore(false, &err);
            bool happened = opens_left == 0;
            opens_left = 0;
            ck_assert_int_eq(store_close(inner, false, NULL), 0);
            inner = NULL;
            ck_assert_msg(!happened || (rc == 0) != (inner_rc == 0), "%zu, %u: %d and %d", i, at,
                          rc, inner_rc);
            if (rc == 0)
                model = archived;
            store = open_at(target_path);
            model_compare(&model, store);
            store_close(store, true, NULL);
            folder_remove(strdup(target_path));
            if (!happened)
                break;
            moments++;
        }
    }
    ck_assert_uint_ge(moments, 9);
}
END_TEST

static void restored_tables_get_their_name(void)
{
    ck_assert_int_eq(rename(path_in(target_path, "restore.tmp"), path_in(target_path, "data.mdb")),
                     0);
}

// It looked at the folder before it was a store, did not take the lock therefore, and finds one.
START_TEST(a_restore_ends_while_a_broker_starts)
{
    struct store_error err = {0};
    struct store_options options = {.path = target_path, .create = true};
    uint64_t seed = seed_choose();
    struct store *store = open_at(store_path);
    append_events(store, &seed, 500);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    backup(store);
    store_close(store, false, NULL);
    ck_assert_int_eq(restore(false, &err), 0);
    ck_assert_int_eq(rename(path_in(target_path, "data.mdb"), path_in(target_path, "restore.tmp")),
                     0);
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EFOREIGN);
    lists_left = 2;
    at_list = restored_tables_get_their_name;
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EHELD);
    ck_assert_ptr_nonnull(strstr(err.sentence, "try again"));
    ck_assert_uint_eq(lists_left, 0);
    store = open_at(target_path);
    model_compare(&model, store);
    store_close(store, false, NULL);
}
END_TEST

START_TEST(a_damaged_or_cut_archive_is_refused_and_leaves_nothing)
{
    uint64_t seed = seed_choose();
    struct store *store = open_at(store_path);
    append_events(store, &seed, 500);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    backup(store);
    store_close(store, true, NULL);
    for (int round = 0; round < 400; round++) {
        struct store_error err = {0};
        size_t whole = archive.len, at = seed_next(&seed, (uint32_t)whole);
        uint8_t before = archive.data[at];
        if (round % 2)
            archive.len = at;
        else
            archive.data[at] = (uint8_t)(before ^ 1u << seed_next(&seed, 8));
        ck_assert_msg(restore(round % 8 != 0, &err) != 0, "round %d at %zu", round, at);
        ck_assert_int_ne(err.sentence[0], 0);
        archive.len = whole;
        archive.data[at] = before;
    }
    struct store_error err = {0};
    ck_assert_msg(restore(false, &err) == 0, "%s", err.sentence);
}
END_TEST

START_TEST(compaction_gives_space_back_and_keeps_everything)
{
    uint64_t seed = seed_choose();
    struct store_error err = {0};
    struct store_compact_report report;
    struct store_options options = {.path = store_path, .holder = "test_maintain"};
    struct store *store = open_at(store_path);
    uint8_t large[20000];
    for (uint64_t i = 1; i <= 500; i++) {
        for (size_t k = 0; k < sizeof(large); k++)
            large[k] = (uint8_t)seed_next(&seed, 256);
        struct event event = {.type = RECORD_MESSAGE_ADD,
                              .message = {.store_id = (uint64_t)1 << 40 | i,
                                          .topic = span_str("t"),
                                          .payload = span_of(large, sizeof(large))}};
        ck_assert_int_eq(store_append(store, &event, NULL), 0);
    }
    ck_assert_int_eq(store_flush(store, NULL), 0);
    for (uint64_t i = 1; i <= 500; i++) {
        struct event event = {.type = RECORD_MESSAGE_DELETE,
                              .message = {.store_id = (uint64_t)1 << 40 | i}};
        ck_assert_int_eq(store_append(store, &event, NULL), 0);
    }
    append_events(store, &seed, 5000);
    ck_assert_int_eq(store_compact(&options, NULL, NULL, &report, &err), STORE_EHELD);
    store_close(store, false, NULL);
    ck_assert_msg(store_compact(&options, NULL, NULL, &report, &err) == 0, "%s", err.sentence);
    ck_assert_uint_lt(report.after_bytes, report.before_bytes / 2);
    ck_assert_uint_eq(file_bytes(path_in(store_path, "data.mdb")), report.after_bytes);
    store = open_at(store_path);
    model_compare(&model, store);
    store_close(store, true, NULL);
}
END_TEST

START_TEST(a_journal_that_cannot_be_read_is_cut)
{
    uint64_t seed = seed_choose();
    struct store_error err = {0};
    struct store_cut cut = {0};
    struct store_options options = {.path = store_path, .holder = "test_maintain"};
    struct store *store = open_at(store_path);
    append_events(store, &seed, 200);
    ck_assert_int_eq(store_cut_look(&options, &cut, &err), STORE_EHELD);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    store_close(store, false, NULL);
    ck_assert_msg(store_cut_look(&options, &cut, &err) == 0, "%s", err.sentence);
    ck_assert_str_eq(cut.damage, "");

    char name[32];
    snprintf(name, sizeof(name), "%010llu.log", (unsigned long long)(cut.position >> 32));
    ck_assert_int_eq(unlink(path_in(store_path, name)), 0);
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EDAMAGED);
    ck_assert_msg(store_cut_look(&options, &cut, &err) == 0, "%s", err.sentence);
    ck_assert_ptr_nonnull(strstr(cut.damage, name));
    struct store_cut elsewhere = cut;
    elsewhere.position += 8;
    ck_assert_int_eq(store_cut_journal(&options, &elsewhere, &err), STORE_EINVAL);
    ck_assert_msg(store_cut_journal(&options, &cut, &err) == 0, "%s", err.sentence);
    ck_assert_msg(store_cut_look(&options, &cut, &err) == 0, "%s", err.sentence);
    ck_assert_str_eq(cut.damage, "");
    store = open_at(store_path);
    append_events(store, &seed, 10);
    store_close(store, true, NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("maintain");
    TCase *cases = tcase_create("maintain");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_backup_beside_a_running_writer_holds_all_that_was_there);
    tcase_add_test(cases, a_segment_goes_while_it_is_counted);
    tcase_add_test(cases, a_backup_beside_a_journal_that_cannot_be_read_is_none);
    tcase_add_test(cases, how_far_the_tables_are_behind_may_be_unknown);
    tcase_add_test(cases, a_dry_run_changes_nothing);
    tcase_add_test(cases, a_folder_that_is_not_empty_is_refused);
    tcase_add_test(cases, somebody_else_uses_the_folder_of_a_restore);
    tcase_add_test(cases, a_restore_ends_while_a_broker_starts);
    tcase_add_test(cases, a_damaged_or_cut_archive_is_refused_and_leaves_nothing);
    tcase_add_test(cases, compaction_gives_space_back_and_keeps_everything);
    tcase_add_test(cases, a_journal_that_cannot_be_read_is_cut);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
