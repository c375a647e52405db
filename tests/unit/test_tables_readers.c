// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What stands in the way of a process that begins to read the tables beside others: the places of
// readers that died, a file that grows, a process of its own number in another container. All of
// them are made by real processes, in front of the very call.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_copy.h"
#include "store/tables_internal.h"
#include "support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define READERS 126
#define SMALL_MAP (1u << 20)

static char *folder;
static struct tables *writer; // of this process; who reads is another one
static struct store_error err;

// ---- in front of calls -----------------------------------------------------------------------

static void (*before_begin)(void), (*before_copy)(void), (*after_lstat)(nlink_t *links);
static unsigned begins;

int __real_mdb_txn_begin(MDB_env *env, MDB_txn *above, unsigned flags, MDB_txn **ret_txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *above, unsigned flags, MDB_txn **ret_txn);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *above, unsigned flags, MDB_txn **ret_txn)
{
    begins++;
    if (before_begin)
        before_begin();
    return __real_mdb_txn_begin(env, above, flags, ret_txn);
}

int __real_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags);
int __wrap_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags);
int __wrap_mdb_env_copyfd2(MDB_env *env, mdb_filehandle_t fd, unsigned flags)
{
    void (*first)(void) = before_copy;
    before_copy = NULL;
    if (first)
        first();
    return __real_mdb_env_copyfd2(env, fd, flags);
}

// The C library may have it under two names.
#define LSTAT(name)                                       \
    int __real_##name(const char *path, struct stat *st); \
    int __wrap_##name(const char *path, struct stat *st); \
    int __wrap_##name(const char *path, struct stat *st)  \
    {                                                     \
        int rc = __real_##name(path, st);                 \
        if (after_lstat)                                  \
            after_lstat(&st->st_nlink);                   \
        return rc;                                        \
    }
LSTAT(lstat)
#ifdef __GLIBC__
LSTAT(lstat64)
#endif

// ---- processes -------------------------------------------------------------------------------

// Runs `fn` in a process of its own, which exits with its result. Its standard output says why.
static int in_process(int (*fn)(void))
{
    int state = 0;
    fflush(stdout);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        int rc = fn();
        if (rc)
            printf("%s\n", err.sentence);
        fflush(stdout);
        _exit(rc != 0);
    }
    ck_assert_int_eq(waitpid(pid, &state, 0), pid);
    ck_assert(WIFEXITED(state));
    return WEXITSTATUS(state);
}

// Starts one that does `fn` and then waits until it is killed.
static pid_t process_start(void (*fn)(void))
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        before_begin = NULL;
        fn();
        if (write(ends[1], "!", 1) != 1)
            abort();
        for (;;)
            pause();
    }
    close(ends[1]);
    if (pid < 0 || read(ends[0], &byte, 1) != 1)
        abort();
    close(ends[0]);
    return pid;
}

static void process_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    if (waitpid(pid, NULL, 0) != pid)
        abort();
}

static struct tables *open_with(bool read_only, uint64_t map_bytes)
{
    struct tables_options options = {.path = folder,
                                     .read_only = read_only,
                                     .create = !read_only,
                                     .map_bytes = map_bytes,
                                     .compression = STORE_COMPRESSION_NONE};
    struct tables *tables = NULL;
    error_init(&err);
    return tables_open(&tables, &options, &err) ? NULL : tables;
}

static void places_take(void)
{
    MDB_env *env;
    MDB_txn *txn;
    if (mdb_env_create(&env) || mdb_env_set_maxreaders(env, READERS) ||
        mdb_env_open(env, folder, MDB_RDONLY | MDB_NOTLS, 0600))
        abort();
    while (__real_mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0)
        continue;
}

static void places_of_dead_readers(void)
{
    before_begin = NULL;
    process_kill(process_start(places_take));
}

static int file_grows(void)
{
    static uint8_t payload[100000];
    struct tables *tables = open_with(false, 0);
    struct fold *fold = NULL;
    if (!tables || fold_new(&fold, &err))
        return 1;
    for (uint64_t i = 1; i <= 40; i++) {
        struct event event = {
            .type = RECORD_MESSAGE_ADD,
            .message = {.store_id = i, .payload = span_of(payload, sizeof(payload))}};
        if (fold_add(fold, &event, &err))
            return 1;
    }
    return tables_apply(tables, fold, 1, false, &err);
}

static void file_grows_meanwhile(void)
{
    before_begin = NULL;
    if (in_process(file_grows))
        abort();
}

// The byte of lock.mdb by which LMDB knows that the process of this number lives.
static void number_take(void)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = getppid(), .l_len = 1};
    int fd = open(path_in(folder, "lock.mdb"), O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0)
        abort();
}

static pid_t namesake;

static void namesake_ends_later(void)
{
    if (begins == 1)
        namesake = process_start(number_take);
    if (begins == 3)
        process_kill(namesake);
}

static void namesake_stays(void)
{
    if (begins == 1)
        namesake = process_start(number_take);
}

// ---- tests -----------------------------------------------------------------------------------

static void setup(void)
{
    folder = folder_make();
    writer = open_with(false, SMALL_MAP);
    ck_assert_msg(writer != NULL, "%s", err.sentence);
    begins = 0;
}

static void teardown(void)
{
    tables_close(writer);
    folder_remove(folder);
}

static int read_at_first(void)
{
    struct tables *tables = open_with(true, SMALL_MAP);
    return !tables || before_begin == places_of_dead_readers;
}

static int copied(void *user, const void *data, size_t len, struct store_error *error)
{
    size_t *bytes = user;
    (void)data;
    (void)error;
    *bytes += len;
    return 0;
}

static int read_to_copy(void)
{
    struct tables *tables = open_with(true, SMALL_MAP);
    size_t bytes = 0;
    if (!tables)
        return 1;
    int rc = tables_copy(tables, copied, &bytes, &err);
    return rc || bytes == 0 || before_copy;
}

START_TEST(the_places_of_dead_readers_are_taken)
{
    before_begin = places_of_dead_readers;
    ck_assert_int_eq(in_process(read_at_first), 0);
    before_begin = NULL;
    before_copy = places_of_dead_readers;
    ck_assert_int_eq(in_process(read_to_copy), 0);
}
END_TEST

START_TEST(the_places_of_living_readers_are_not)
{
    pid_t living = process_start(places_take);
    ck_assert_ptr_null(open_with(true, 0));
    ck_assert_ptr_nonnull(strstr(err.sentence, "too many programs read the store"));
    process_kill(living);
}
END_TEST

START_TEST(the_file_grows_beyond_a_map_that_was_just_made)
{
    before_begin = file_grows_meanwhile;
    ck_assert_int_eq(in_process(read_at_first), 0);
}
END_TEST

START_TEST(the_file_grows_in_front_of_a_copy)
{
    before_copy = file_grows_meanwhile;
    ck_assert_int_eq(in_process(read_to_copy), 0);
}
END_TEST

START_TEST(a_namesake_in_another_container_is_waited_for)
{
    before_begin = namesake_ends_later;
    ck_assert_int_eq(in_process(read_at_first), 0);
}
END_TEST

static int read_beside_a_namesake(void)
{
    struct tables *tables = open_with(true, 0);
    process_kill(namesake);
    return tables || !strstr(err.sentence, "has the same process number");
}

START_TEST(a_namesake_that_stays_is_named)
{
    before_begin = namesake_stays;
    ck_assert_int_eq(in_process(read_beside_a_namesake), 0);
}
END_TEST

static unsigned links_now;

static void links_are(nlink_t *links)
{
    *links = links_now;
}

// Its last name went between the look for the name and the look at the file.
START_TEST(a_file_that_is_being_removed_has_not_too_many_names)
{
    after_lstat = links_are;
    links_now = 0;
    struct tables *tables = open_with(true, 0);
    ck_assert_msg(tables != NULL, "%s", err.sentence);
    tables_close(tables);
    links_now = 2;
    ck_assert_ptr_null(open_with(true, 0));
    ck_assert_int_eq(err.code, STORE_EUNSAFE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables_readers");
    TCase *cases = tcase_create("tables_readers");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, the_places_of_dead_readers_are_taken);
    tcase_add_test(cases, the_places_of_living_readers_are_not);
    tcase_add_test(cases, the_file_grows_beyond_a_map_that_was_just_made);
    tcase_add_test(cases, the_file_grows_in_front_of_a_copy);
    tcase_add_test(cases, a_namesake_in_another_container_is_waited_for);
    tcase_add_test(cases, a_namesake_that_stays_is_named);
    tcase_add_test(cases, a_file_that_is_being_removed_has_not_too_many_names);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
