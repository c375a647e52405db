// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The tables when the world fails: a full disk, a failing disk, no address space, a file
// that another process makes larger. The calls that LMDB makes are caught here and made to fail on
// demand.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_internal.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- faults --------------------------------------------------------------------------------

static unsigned fault_after;    // 0: none, else the n-th call from now on fails
static bool fault_goes_on;      // and all after it
static int fault_errno;         // 0: a short write
static unsigned fault_hits;     // how many calls failed
static size_t fault_mmap_bytes; // 0: no limit, else larger maps cannot be had
static bool fault_disk_is_full; // what statvfs says
static bool fault_head;         // only writes of a head page, LMDB's last in a commit, fail,
static bool fault_head_lands;   // and the first of them is made all the same
static bool head_unsure;        // one failed, and no sync went well since
static bool head_sync_fails;    // the first that could make it sure
static unsigned head_overtaken; // writes of other pages before that

static bool fault_here(void)
{
    if (fault_after == 0 || (fault_after > 1 && --fault_after >= 1))
        return false;
    if (!fault_goes_on)
        fault_after = 0;
    fault_hits++;
    errno = fault_errno;
    return true;
}

static void fault_arm(unsigned after, int error, bool goes_on)
{
    fault_after = after + 1;
    fault_errno = error;
    fault_goes_on = goes_on;
    fault_hits = 0;
}

static void fault_disarm(void)
{
    fault_after = 0;
    fault_mmap_bytes = 0;
    fault_disk_is_full = false;
    fault_head = false;
    fault_head_lands = false;
    head_sync_fails = false;
}

// These take the place of the C library's functions, under both names that a header may give them.
#define IN_PLACE_OF(name) __asm__(name) __attribute__((visibility("default"), used))

ssize_t fault_pwrite(int fd, const void *bytes, size_t len, off_t offset) IN_PLACE_OF("pwrite");
ssize_t fault_pwrite64(int fd, const void *bytes, size_t len, off_t offset) IN_PLACE_OF("pwrite64");
ssize_t fault_writev(int fd, const struct iovec *vectors, int count) IN_PLACE_OF("writev");
int fault_fdatasync(int fd) IN_PLACE_OF("fdatasync");
void *fault_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
    IN_PLACE_OF("mmap");
void *fault_mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
    IN_PLACE_OF("mmap64");
int fault_statvfs(const char *path, struct statvfs *fs) IN_PLACE_OF("statvfs");
int fault_statvfs64(const char *path, struct statvfs *fs) IN_PLACE_OF("statvfs64");

ssize_t fault_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
    pwrite_fn *real = (pwrite_fn *)(uintptr_t)dlsym(RTLD_NEXT, "pwrite");
    head_overtaken += head_unsure && len > 512;
    if ((fault_head && len > 512) || !fault_here())
        return real(fd, bytes, len, offset);
    head_unsure = fault_head;
    if (fault_head_lands && fault_hits == 1 && real(fd, bytes, len, offset) > 0)
        errno = fault_errno;
    return fault_errno ? -1 : (ssize_t)(len / 2);
}

ssize_t fault_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
    return fault_pwrite(fd, bytes, len, offset);
}

ssize_t fault_writev(int fd, const struct iovec *vectors, int count)
{
    typedef ssize_t writev_fn(int, const struct iovec *, int);
    writev_fn *real = (writev_fn *)(uintptr_t)dlsym(RTLD_NEXT, "writev");
    head_overtaken += head_unsure;
    if (fault_head || !fault_here())
        return real(fd, vectors, count);
    return fault_errno ? -1 : 100;
}

int fault_fdatasync(int fd)
{
    typedef int fdatasync_fn(int);
    fdatasync_fn *real = (fdatasync_fn *)(uintptr_t)dlsym(RTLD_NEXT, "fdatasync");
    if (head_unsure && head_sync_fails) {
        head_sync_fails = false;
        errno = ENOSPC;
        return -1;
    }
    // A sync is never short.
    if (fault_errno == 0 || fault_head || !fault_here()) {
        head_unsure = false;
        return real(fd);
    }
    return -1;
}

void *fault_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    typedef void *mmap_fn(void *, size_t, int, int, int, off_t);
    mmap_fn *real = (mmap_fn *)(uintptr_t)dlsym(RTLD_NEXT, "mmap");
    if (fault_mmap_bytes && fd >= 0 && len > fault_mmap_bytes) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return real(address, len, protection, flags, fd, offset);
}

void *fault_mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return fault_mmap(address, len, protection, flags, fd, offset);
}

int fault_statvfs(const char *path, struct statvfs *fs)
{
    typedef int statvfs_fn(const char *, struct statvfs *);
    statvfs_fn *real = (statvfs_fn *)(uintptr_t)dlsym(RTLD_NEXT, "statvfs");
    int rc = real(path, fs);
    fs->f_bavail = fault_disk_is_full ? 0 : 1u << 30;
    return rc;
}

int fault_statvfs64(const char *path, struct statvfs *fs)
{
    return fault_statvfs(path, fs);
}

// ---- tables for a test ---------------------------------------------------------------------

#define MAP_BYTES (1u << 20)

static char *folder;
static struct tables *tables;
static struct fold *fold;
static struct store_error err;
static uint64_t position;
static struct text found;

static void tables_begin(bool create)
{
    struct tables_options options = {.path = folder,
                                     .create = create,
                                     .map_bytes = MAP_BYTES,
                                     .compression = STORE_COMPRESSION_NONE};
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
}

static void setup(void)
{
    memset(&err, 0, sizeof(err));
    folder = folder_make();
    tables_begin(true);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
}

static void teardown(void)
{
    fold_free(fold);
    tables_close(tables);
    folder_remove(folder);
    free(found.bytes);
}

#define CONTENT_BYTES (3 + 500) // of each message: what comes before the payload, and that

// Queued messages `first` to `last` of one client, 500 bytes each.
static void fold_fill(uint64_t first, uint64_t last)
{
    static char payload[500];
    struct span client = span_str("c");
    fold_clear(fold);
    struct event session = {.type = first == 1 ? RECORD_SESSION_ADD : RECORD_SESSION_UPDATE,
                            .session = {.client_id = client}};
    ck_assert_int_eq(fold_add(fold, &session, &err), 0);
    for (uint64_t i = first; i <= last; i++) {
        struct event message = {
            .type = RECORD_MESSAGE_ADD,
            .message = {.store_id = i, .payload = span_of(payload, sizeof(payload))}};
        struct event queued = {.type = RECORD_QUEUE_ADD,
                               .queued = {.client_id = client, .cmsg_id = i, .store_id = i}};
        ck_assert_int_eq(fold_add(fold, &message, &err), 0);
        ck_assert_int_eq(fold_add(fold, &queued, &err), 0);
    }
    position++;
}

static int apply(void)
{
    memset(&err, 0, sizeof(err));
    int rc = tables_apply(tables, fold, position, false, &err);
    ck_assert_int_eq(err.code, rc);
    return rc;
}

static void expect_messages(uint64_t count)
{
    struct store_stats stats = {0};
    ck_assert_msg(tables_stats(tables, &stats, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(stats.messages, count);
    ck_assert_uint_eq(stats.queued, count);
    ck_assert_uint_eq(stats.content_bytes, count * CONTENT_BYTES);
    ck_assert_msg(tables_check(tables, &err) == 0, "%s", err.sentence);
}

static uint64_t covered(void)
{
    struct tables_meta meta;
    ck_assert_msg(tables_meta(tables, &meta, &err) == 0, "%s", err.sentence);
    return meta.covered;
}

// ---- writing -------------------------------------------------------------------------------

// The n-th call fails, for each n: nothing has changed, and when there is room again all is well.
static void full_at_each_call(int error, bool goes_on)
{
    uint64_t count = 0;
    unsigned failures = 0;
    for (unsigned n = 0;; n++) {
        fold_fill(count + 1, count + 20);
        fault_disk_is_full = true;
        fault_arm(n, error, goes_on);
        int rc = apply();
        unsigned hits = fault_hits;
        fault_disarm();
        if (rc) {
            failures++;
            ck_assert_msg(rc == STORE_ENOSPC, "call %u: %s", n, err.sentence);
            ck_assert_msg(apply() == 0, "call %u: %s", n, err.sentence);
        }
        count += 20;
        expect_messages(count);
        ck_assert_uint_eq(covered(), position);
        if (hits == 0)
            break;
    }
    ck_assert_uint_ge(failures, 3);
    tables_close(tables);
    tables_begin(false);
    expect_messages(count);
}

START_TEST(a_full_disk_changes_nothing_and_passes)
{
    static const int errors[] = {ENOSPC, EDQUOT, 0};
    full_at_each_call(errors[_i % 3], _i >= 3);
}
END_TEST

// What a new start would find.
static uint64_t covered_in_file(void)
{
    char *other = folder_make();
    struct tables_options options = {.path = other, .map_bytes = MAP_BYTES};
    struct tables *copy = NULL;
    struct tables_meta meta;
    file_copy(path_in(folder, "data.mdb"), path_in(other, "data.mdb"));
    ck_assert_msg(tables_open(&copy, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(tables_meta(copy, &meta, &err), 0);
    tables_close(copy);
    folder_remove(other);
    return meta.covered;
}

// Whether the transaction is in the file after a failure of the last write, only the file says.
START_TEST(a_commit_that_landed_is_not_made_again)
{
    struct tables_meta meta;
    fold_fill(1, 20);
    ck_assert_int_eq(apply(), 0);
    fold_clear(fold);
    for (uint64_t i = 1; i <= 20; i++) {
        struct event message = {.type = RECORD_MESSAGE_DELETE, .message = {.store_id = i}};
        struct event queued = {.type = RECORD_QUEUE_DELETE,
                               .queued = {.client_id = span_str("c"), .cmsg_id = i, .store_id = i}};
        ck_assert_int_eq(fold_add(fold, &message, &err), 0);
        ck_assert_int_eq(fold_add(fold, &queued, &err), 0);
    }
    position++;
    fault_head = true;
    fault_head_lands = _i;
    fault_arm(0, ENOSPC, true);
    ck_assert_int_eq(apply(), STORE_ENOSPC);
    fault_disarm();
    ck_assert_uint_eq(covered_in_file(), _i ? position : position - 1);
    ck_assert_msg(apply() == 0, "%s", err.sentence);
    expect_messages(0);
    ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
    ck_assert_uint_eq(meta.covered, position);
    // Deleted a second time, each would have been counted.
    ck_assert_uint_eq(meta.anomalies, 0);
}
END_TEST

// The head that failed may be on the disk while the one before is seen: until a sync the pages of
// both must stay. One that fails ends the writing, for the next would go well without the head.
START_TEST(the_disk_has_the_head_that_is_seen_before_pages_change)
{
    bool new_start = _i & 1;
    bool sync_fails = _i & 2;
    fold_fill(1, 20);
    ck_assert_int_eq(apply(), 0);
    head_unsure = false;
    head_overtaken = 0;
    fault_head = true;
    fault_head_lands = true;
    fold_fill(21, 40);
    fault_arm(0, new_start ? EIO : ENOSPC, false); // what LMDB puts back is written
    ck_assert_int_eq(apply(), new_start ? STORE_EIO : STORE_ENOSPC);
    fault_disarm();
    ck_assert(head_unsure);
    head_sync_fails = sync_fails;
    if (new_start) {
        struct tables_options options = {.path = folder, .map_bytes = MAP_BYTES};
        tables_close(tables);
        tables = NULL;
        if (sync_fails)
            ck_assert_int_eq(tables_open(&tables, &options, &err), STORE_ENOSPC);
        ck_assert_int_eq(tables_open(&tables, &options, &err), 0);
        ck_assert(!head_unsure);
    }
    if (sync_fails && !new_start) {
        ck_assert_int_eq(apply(), STORE_ENOSPC);
        ck_assert_int_eq(apply(), STORE_EIO);
        ck_assert_msg(strstr(err.sentence, "failed before") != NULL, "%s", err.sentence);
        ck_assert(head_unsure);
    } else {
        ck_assert_msg(apply() == 0, "%s", err.sentence);
    }
    ck_assert_uint_eq(head_overtaken, 0);
}
END_TEST

// After an error of the device nobody knows what is on it: the tables take nothing more, and what
// is read after a new start is the state before or, whole, the one after.
START_TEST(a_failing_disk_ends_the_writing)
{
    uint64_t count = 0;
    unsigned failures = 0;
    for (unsigned n = 0;; n++) {
        fold_fill(count + 1, count + 20);
        fault_arm(n, EIO, _i);
        int rc = apply();
        unsigned hits = fault_hits;
        fault_disarm();
        if (hits == 0) {
            ck_assert_int_eq(rc, 0);
            break;
        }
        failures++;
        ck_assert_int_eq(rc, STORE_EIO);
        ck_assert_int_eq(err.sys_errno, EIO);
        ck_assert_int_eq(apply(), STORE_EIO);
        ck_assert_msg(strstr(err.sentence, "failed before") != NULL, "%s", err.sentence);
        uint64_t life;
        ck_assert_int_eq(tables_begin_life(tables, &life, &err), STORE_EIO);
        tables_close(tables);
        tables_begin(false);
        count += covered() == position ? 20 : 0;
        expect_messages(count);
    }
    ck_assert_uint_ge(failures, 3);
}
END_TEST

START_TEST(a_short_write_with_room_left_is_a_failing_disk)
{
    fold_fill(1, 20);
    fault_arm(0, 0, false);
    ck_assert_int_eq(apply(), STORE_EIO);
    fault_disarm();
    ck_assert_int_eq(apply(), STORE_EIO);
}
END_TEST

START_TEST(a_store_that_cannot_be_made_says_why)
{
    for (unsigned n = 0;; n++) {
        struct tables_options options = {.create = true, .map_bytes = MAP_BYTES};
        struct tables *made = NULL;
        char *other = folder_make();
        options.path = other;
        memset(&err, 0, sizeof(err));
        fault_arm(n, ENOSPC, true);
        int rc = tables_open(&made, &options, &err);
        unsigned hits = fault_hits;
        fault_disarm();
        if (rc) {
            ck_assert_int_eq(rc, STORE_ENOSPC);
            ck_assert_msg(strstr(err.sentence, "No space left") != NULL, "%s", err.sentence);
            ck_assert_msg(tables_open(&made, &options, &err) == 0, "call %u: %s", n, err.sentence);
        }
        tables_close(made);
        folder_remove(other);
        if (hits == 0)
            break;
        ck_assert_int_ne(rc, 0);
    }
}
END_TEST

// ---- the map -------------------------------------------------------------------------------

START_TEST(the_map_grows_as_often_as_it_takes)
{
    struct store_stats stats = {0};
    fold_fill(1, 20000);
    ck_assert_msg(apply() == 0, "%s", err.sentence);
    expect_messages(20000);
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_ge(stats.lmdb_map_bytes, 16 * MAP_BYTES);
    ck_assert_uint_eq(covered(), position);
    // What is larger than the map asked for is opened all the same, and grows on.
    tables_close(tables);
    tables_begin(false);
    expect_messages(20000);
    fold_fill(20001, 24000);
    ck_assert_msg(apply() == 0, "%s", err.sentence);
    expect_messages(24000);
}
END_TEST

START_TEST(without_address_space_the_tables_are_full_and_go_on)
{
    fold_fill(1, 100);
    ck_assert_int_eq(apply(), 0);
    fold_fill(101, 20000);
    fault_mmap_bytes = 4 * MAP_BYTES;
    ck_assert_int_eq(apply(), STORE_ENOSPC);
    ck_assert_msg(strstr(err.sentence, "address space") != NULL, "%s", err.sentence);
    expect_messages(100);
    ck_assert_int_eq(apply(), STORE_ENOSPC);
    fault_disarm();
    ck_assert_msg(apply() == 0, "%s", err.sentence);
    expect_messages(20000);
}
END_TEST

START_TEST(a_small_address_space_is_made_do_with)
{
    struct store_stats stats = {0};
    struct tables_options options = {.path = folder, .map_bytes = 1u << 30};
    tables_close(tables);
    fault_mmap_bytes = 100u << 20;
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_eq(stats.lmdb_map_bytes, 64u << 20);
    fault_disarm();
}
END_TEST

// ---- another process -----------------------------------------------------------------------

static int count_message(void *user, const struct message *message)
{
    unsigned *count = user;
    // Reads every byte: a map that went away would be felt.
    const uint8_t *bytes = message->payload.data;
    for (uint32_t i = 0; i < message->payload.len; i++)
        *count += bytes[i];
    (*count)++;
    return 0;
}

// Another process made the file larger than this one's map.
START_TEST(a_reader_follows_a_file_that_grew)
{
    int to_child[2];
    int to_parent[2];
    int status;
    char byte;
    fold_fill(1, 10);
    ck_assert_int_eq(apply(), 0);
    ck_assert_int_eq(pipe(to_child), 0);
    ck_assert_int_eq(pipe(to_parent), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct tables_options options = {.path = folder, .read_only = true, .map_bytes = MAP_BYTES};
        struct store_view *view = NULL;
        struct tables *own = NULL;
        unsigned before = 0;
        unsigned after = 0;
        bool ok = tables_open(&own, &options, NULL) == 0 &&
                  tables_view_open(&view, own, NULL) == 0 &&
                  store_each_message(view, count_message, &before, NULL) == 0;
        ok = ok && write(to_parent[1], "r", 1) == 1 && read(to_child[0], &byte, 1) == 1;
        // With a view open the map must stay: a second one is refused, the first still good.
        struct store_view *second = NULL;
        struct store_error own_err = {0};
        ok = ok && tables_view_open(&second, own, &own_err) == STORE_EIO &&
             strstr(own_err.sentence, "grown beyond") &&
             store_each_message(view, count_message, &after, NULL) == 0 && after == before;
        store_view_close(view);
        after = 0;
        ok = ok && tables_view_open(&view, own, NULL) == 0 &&
             store_each_message(view, count_message, &after, NULL) == 0;
        store_view_close(view);
        tables_close(own);
        _exit(ok && before == 10 && after == 20000 ? 0 : 1);
    }
    ck_assert_int_eq(read(to_parent[0], &byte, 1), 1);
    fold_fill(11, 20000);
    ck_assert_msg(apply() == 0, "%s", err.sentence);
    ck_assert_int_eq(write(to_child[1], "g", 1), 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    for (int i = 0; i < 2; i++) {
        close(to_child[i]);
        close(to_parent[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables_faults");
    TCase *tests = tcase_create("tables_faults");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_full_disk_changes_nothing_and_passes, 0, 6);
    tcase_add_loop_test(tests, a_commit_that_landed_is_not_made_again, 0, 2);
    tcase_add_loop_test(tests, the_disk_has_the_head_that_is_seen_before_pages_change, 0, 4);
    tcase_add_loop_test(tests, a_failing_disk_ends_the_writing, 0, 2);
    tcase_add_test(tests, a_short_write_with_room_left_is_a_failing_disk);
    tcase_add_test(tests, a_store_that_cannot_be_made_says_why);
    tcase_add_test(tests, the_map_grows_as_often_as_it_takes);
    tcase_add_test(tests, without_address_space_the_tables_are_full_and_go_on);
    tcase_add_test(tests, a_small_address_space_is_made_do_with);
    tcase_add_test(tests, a_reader_follows_a_file_that_grew);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
