// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// repair, when a call fails in the new store that it fills, when that store's journal is full, and
// when Ctrl-C comes between any two of its steps: it says what failed and leaves nothing half made,
// or saves what it would have saved. And what goes through the pipe from who reads the damaged
// store, when that is not what it should be.
//
// Linked with -Wl,--wrap for the functions below.
#include "command.h"
#include "new_store.h"
#include "salvage.h"
#include "store/record.h"
#include "support.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

// ---- faults --------------------------------------------------------------------------------

enum call {
    OPEN_AGAIN, // of the damaged store, when all of it was read
    LEFT_ALONE, // whether it was
    APPEND,
    FLUSH,
    STATS,
    VIEW_OPEN,
    GET_MESSAGE,
    RECORD_SIZE,
    INTERRUPT, // fails in no way: SIGINT comes in front of it
    WAITPID,
    CALLS
};

// Which call of a kind fails, counted in each process. Shared, so that this one sees whether it
// came to that.
static struct shared {
    unsigned at[CALLS]; // 0: none
    int code;           // what it fails with
    bool readers_too;   // STATS fails in the store that is read
    bool readers_die;   // in place of the failure of RECORD_SIZE
    atomic_uint met[CALLS];
} * shared;

static unsigned counted[CALLS];
static struct store *fresh; // the new store, in the process that fills it
static bool filling;        // this is that process

static void counting_begins(void)
{
    memset(counted, 0, sizeof(counted));
}

static bool fault_here(enum call call, bool is_ours)
{
    if (!is_ours || ++counted[call] != shared->at[call])
        return false;
    atomic_fetch_add(&shared->met[call], 1);
    return true;
}

static int failure(struct store_error *err)
{
    return error_set(err, shared->code, "a call fails");
}

int __real_new_store_open(struct new_store *new_store, struct context *ctx, const char *target);
int __wrap_new_store_open(struct new_store *new_store, struct context *ctx, const char *target);
int __wrap_new_store_open(struct new_store *new_store, struct context *ctx, const char *target)
{
    filling = true;
    int status = __real_new_store_open(new_store, ctx, target);
    fresh = ctx->store;
    return status;
}

// A small journal is made faster.
int __real_store_open(struct store **ret_store, const struct store_options *options,
                      struct store_error *err);
int __wrap_store_open(struct store **ret_store, const struct store_options *options,
                      struct store_error *err);
int __wrap_store_open(struct store **ret_store, const struct store_options *options,
                      struct store_error *err)
{
    struct store_options small = *options;
    small.journal_segment_bytes = 65536;
    if (fault_here(OPEN_AGAIN, filling && options->access == STORE_READ_ONLY))
        return failure(err);
    return __real_store_open(ret_store, &small, err);
}

// WRAP(kind, name, (parameters), (arguments), whether it is a call in the new store)
#define WRAP(kind, name, parameters, arguments, is_ours)                           \
    int __real_##name parameters;                                                  \
    int __wrap_##name parameters;                                                  \
    int __wrap_##name parameters                                                   \
    {                                                                              \
        return fault_here(kind, is_ours) ? failure(err) : __real_##name arguments; \
    }
WRAP(APPEND, store_append,
     (struct store * store, const struct event *event, struct store_error *err),
     (store, event, err), store == fresh)
WRAP(LEFT_ALONE, store_left_alone,
     (struct store * store, uint64_t life, uint64_t covered, struct store_error *err),
     (store, life, covered, err), filling)
WRAP(FLUSH, store_flush, (struct store * store, struct store_error *err), (store, err),
     store == fresh)
WRAP(STATS, store_stats, (struct store * store, struct store_stats *stats, struct store_error *err),
     (store, stats, err), store == fresh || shared->readers_too)
WRAP(VIEW_OPEN, store_view_open,
     (struct store_view * *view, struct store *store, struct store_error *err), (view, store, err),
     store == fresh)
WRAP(GET_MESSAGE, store_get_message,
     (struct store_view * view, uint64_t store_id, struct message *message,
      struct store_error *err),
     (view, store_id, message, err), fresh)

// Of what a reader of the damaged store puts into its pipe.
int __real_record_size(const struct event *event, size_t *ret_len, struct store_error *err);
int __wrap_record_size(const struct event *event, size_t *ret_len, struct store_error *err);
int __wrap_record_size(const struct event *event, size_t *ret_len, struct store_error *err)
{
    if (!fault_here(RECORD_SIZE, !filling))
        return __real_record_size(event, ret_len, err);
    if (shared->readers_die)
        kill(getpid(), SIGSEGV);
    return failure(err);
}

bool __real_interrupt_pending(void);
bool __wrap_interrupt_pending(void);
bool __wrap_interrupt_pending(void)
{
    if (fault_here(INTERRUPT, fresh))
        kill(getpid(), SIGINT);
    return __real_interrupt_pending();
}

pid_t __real_waitpid(pid_t pid, int *state, int options);
pid_t __wrap_waitpid(pid_t pid, int *state, int options);
pid_t __wrap_waitpid(pid_t pid, int *state, int options)
{
    if (!fault_here(WAITPID, fresh))
        return __real_waitpid(pid, state, options);
    errno = ECHILD;
    return -1;
}

// ---- the store that is repaired ------------------------------------------------------------

static char *folder, *store_path, *new_path;
static struct command_result usual, result;

static void append(struct store *store, const struct event *event)
{
    struct store_error err = {0};
    ck_assert_msg(store_append(store, event, &err) == 0, "%s", err.sentence);
}

static void add_queued(struct store *store, const char *client, uint64_t cmsg_id, uint64_t store_id)
{
    append(store, &(struct event){.type = RECORD_QUEUE_ADD,
                                  .queued = {.client_id = span_str(client),
                                             .cmsg_id = cmsg_id,
                                             .store_id = store_id,
                                             .direction = QUEUE_OUT,
                                             .state = QUEUE_STATE_QUEUED}});
}

static void add_message(struct store *store, uint64_t store_id)
{
    append(store, &(struct event){.type = RECORD_MESSAGE_ADD,
                                  .message = {.store_id = store_id,
                                              .topic = span_str("topic"),
                                              .payload = span_str("payload")}});
}

// Of each kind of reference one that holds and one that does not, and a message that nothing names;
// the last events only in the journal.
static void store_make(void)
{
    struct store_error err = {0};
    struct store *store = NULL;
    struct store_options options = {.path = store_path,
                                    .create = true,
                                    .commit_interval_ms = 3600 * 1000,
                                    .holder = "test_repair_faults"};
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    append(store, &(struct event){.type = RECORD_SESSION_ADD,
                                  .session = {.client_id = span_str("client")}});
    append(store, &(struct event){.type = RECORD_SESSION_OFFLINE,
                                  .connection = {.client_id = span_str("client")}});
    append(store, &(struct event){.type = RECORD_SUBSCRIPTION_ADD,
                                  .subscription = {.client_id = span_str("client"),
                                                   .topic_filter = span_str("#")}});
    append(store,
           &(struct event){.type = RECORD_WILL_SET, .will = {.client_id = span_str("client")}});
    for (uint64_t id = 1; id <= 3; id++)
        add_message(store, id);
    add_queued(store, "client", 1, 1);
    add_queued(store, "client", 2, 98);
    append(store, &(struct event){.type = RECORD_RETAINED_SET, .retained = {span_str("a"), 2}});
    ck_assert_int_eq(store_flush(store, NULL), 0);
    append(store, &(struct event){.type = RECORD_RETAINED_SET, .retained = {span_str("b"), 99}});
    store_close(store, false, NULL);
}

static void repair(void)
{
    const char *words[] = {"--store", store_path, "--json", "repair", "--output", new_path, NULL};
    folder_remove(strdup(new_path));
    memset(shared->met, 0, sizeof(shared->met));
    command_run(&result, words, counting_begins);
}

static void setup(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    folder = folder_make();
    store_path = strdup(path_in(folder, "store"));
    new_path = strdup(path_in(folder, "new"));
    store_make();
    repair();
    usual = result;
    ck_assert_int_eq(usual.status, STATUS_FOUND);
    ck_assert_ptr_nonnull(strstr(usual.out, "\"messages_that_nothing_names\":1"));
}

static void teardown(void)
{
    free(store_path);
    free(new_path);
    folder_remove(folder);
    munmap(shared, sizeof(*shared));
}

static void assert_nothing_is_left(void)
{
    ck_assert_int_ne(access(new_path, F_OK), 0);
    ck_assert_int_ne(access(path_in(folder, "new.new"), F_OK), 0);
    ck_assert_str_eq(result.out, "");
}

// Each call of the kind in its turn; gives how many there were.
static unsigned each_call(enum call call, void (*look)(void))
{
    for (unsigned at = 1;; at++) {
        shared->at[call] = at;
        repair();
        if (!shared->met[call]) {
            ck_assert_str_eq(result.out, usual.out);
            shared->at[call] = 0;
            return at - 1;
        }
        look();
    }
}

static void assert_usual(void)
{
    const char *verify[] = {"--store", new_path, "verify", NULL};
    ck_assert_str_eq(result.out, usual.out);
    ck_assert_str_eq(result.err, usual.err);
    ck_assert_int_eq(result.status, usual.status);
    command_run(&result, verify, NULL);
    ck_assert_msg(result.status == STATUS_DONE, "%s", result.out);
}

// ---- the new store -------------------------------------------------------------------------

static void assert_failed(void)
{
    ck_assert_int_eq(result.status, STATUS_ERROR);
    ck_assert_str_eq(result.err, "mosquitto_lmdb: a call fails\n");
    assert_nothing_is_left();
}

START_TEST(a_call_fails_in_the_new_store)
{
    static const struct {
        enum call call;
        unsigned least;
    } calls[] = {{APPEND, 10}, {FLUSH, 3}, {STATS, 1}, {VIEW_OPEN, 1}, {GET_MESSAGE, 4}};
    shared->code = STORE_EIO;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        ck_assert_uint_ge(each_call(calls[i].call, assert_failed), calls[i].least);
}
END_TEST

static void assert_not_made(void)
{
    char expected[1200];
    snprintf(expected, sizeof(expected), "mosquitto_lmdb: a call fails; %s was not made\n",
             new_path);
    ck_assert_int_eq(result.status, STATUS_HELD);
    ck_assert_str_eq(result.err, expected);
    assert_nothing_is_left();
}

START_TEST(a_broker_came_meanwhile)
{
    shared->code = STORE_EHELD;
    ck_assert_uint_eq(each_call(LEFT_ALONE, assert_not_made), 1);
    ck_assert_uint_eq(each_call(OPEN_AGAIN, assert_not_made), 1);
}
END_TEST

START_TEST(a_full_journal_is_flushed_and_the_event_given_again)
{
    shared->code = STORE_EFULL;
    ck_assert_uint_ge(each_call(APPEND, assert_usual), 10);
}
END_TEST

START_TEST(a_full_journal_that_cannot_be_flushed_ends_the_repair)
{
    shared->code = STORE_EFULL;
    unsigned appends = each_call(APPEND, assert_usual);
    for (unsigned at = 1; at <= appends; at++) {
        shared->at[APPEND] = at;
        // There is one flush between what is salvaged and what is taken away again.
        for (shared->at[FLUSH] = 1; shared->at[FLUSH] <= 2; shared->at[FLUSH]++) {
            repair();
            assert_failed();
        }
    }
}
END_TEST

// ---- Ctrl-C, and readers that die ----------------------------------------------------------

static void assert_interrupted(void)
{
    ck_assert_int_eq(result.status, -SIGINT);
    ck_assert_str_eq(result.err, "");
    assert_nothing_is_left();
}

START_TEST(ctrl_c_comes_at_any_time)
{
    ck_assert_uint_ge(each_call(INTERRUPT, assert_interrupted), 10);
    assert_usual();
}
END_TEST

START_TEST(ctrl_c_comes_while_readers_die)
{
    shared->readers_die = true;
    shared->at[RECORD_SIZE] = 1;
    repair();
    usual = result;
    ck_assert_int_eq(usual.status, STATUS_FOUND);
    ck_assert_uint_eq(shared->met[RECORD_SIZE], salvage_stages_count);
    ck_assert_ptr_nonnull(strstr(usual.out, "reading ended before its end, by signal 11"));
    // It is asked after each of them.
    ck_assert_uint_ge(each_call(INTERRUPT, assert_interrupted), salvage_stages_count);
}
END_TEST

START_TEST(how_a_reader_ended_cannot_be_told)
{
    ck_assert_uint_eq(each_call(WAITPID, assert_usual), salvage_stages_count);
    shared->readers_die = true;
    shared->at[RECORD_SIZE] = 2; // of the first: a session that is offline has two
    shared->at[WAITPID] = 1;
    repair();
    ck_assert_int_eq(result.status, STATUS_FOUND);
    ck_assert_ptr_nonnull(strstr(result.out, "\"what\":\"reading ended before its end\""));
}
END_TEST

// ---- the pipe ------------------------------------------------------------------------------

static struct findings findings;
static struct salvage_reader reader;

static void pipe_begin(const void *bytes, size_t len)
{
    int ends[2];
    ck_assert_int_eq(findings_open(&findings), STATUS_DONE);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], bytes, len), (ssize_t)len);
    close(ends[1]);
    reader = (struct salvage_reader){.fd = ends[0], .where = "queue", .findings = &findings};
}

static void pipe_end(uint64_t damages)
{
    ck_assert_uint_eq(reader.damages, damages);
    close(reader.fd);
    salvage_reader_release(&reader);
    findings_close(&findings);
}

START_TEST(what_is_no_frame_ends_the_reading)
{
    static const struct span pipes[] = {
        {"", 0},
        {"\xff\0\0\0", 4},
        {"\x01\xff\xff\xff\xff", 5},    // longer than a record may be
        {"\x01\x04\0\0\0abc", 8},       // shorter than it says
        {"\xfe\x04\0\0\0a; b\x01", 10}, // and that after a finding
    };
    for (size_t i = 0; i < sizeof(pipes) / sizeof(pipes[0]); i++) {
        struct store_error err = {0};
        struct event event;
        pipe_begin(pipes[i].data, pipes[i].len);
        ck_assert_int_eq(salvage_next(&reader, &event, &err), STORE_EDAMAGED);
        ck_assert_str_eq(err.sentence, "reading ended before its end");
        ck_assert_uint_le(reader.body_size, 4);
        pipe_end(i == 4);
    }
}
END_TEST

START_TEST(what_is_no_record_is_none)
{
    struct store_error err = {0};
    struct event event;
    pipe_begin("\x01\x03\0\0\0abc\xff\0\0\0\0", 13);
    ck_assert_int_lt(salvage_next(&reader, &event, &err), 0);
    ck_assert_int_ne(err.code, 0);
    ck_assert_int_eq(salvage_next(&reader, &event, &err), 0);
    pipe_end(0);
}
END_TEST

// What a stage puts into the pipe, read back.
static unsigned stage_read(const char *where)
{
    struct context ctx = {.path = store_path};
    struct store_error err = {0};
    struct event event;
    unsigned events = 0;
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < salvage_stages_count; i++) {
        if (strcmp(salvage_stages[i].where, where) == 0)
            ck_assert_int_eq(salvage_stages[i].run(&ctx, fileno(file)), STATUS_DONE);
    }
    pipe_begin("", 0);
    dup2(fileno(file), reader.fd);
    lseek(reader.fd, 0, SEEK_SET);
    int got;
    while ((got = salvage_next(&reader, &event, &err)) > 0)
        events++;
    ck_assert_int_eq(got, 0);
    fclose(file);
    return events;
}

START_TEST(a_value_that_is_larger_than_any_record_is_damage)
{
    ck_assert_uint_eq(stage_read("messages"), 3);
    pipe_end(0);
    shared->code = STORE_ETOOBIG;
    for (unsigned at = 1; at <= 3; at++) {
        counted[RECORD_SIZE] = 0;
        shared->at[RECORD_SIZE] = at;
        ck_assert_uint_eq(stage_read("messages"), 2);
        pipe_end(1);
    }
}
END_TEST

START_TEST(a_journal_that_cannot_be_looked_at_is_told)
{
    ck_assert_uint_eq(stage_read("journal"), 1);
    pipe_end(0);
    shared->code = STORE_EIO;
    shared->at[STATS] = 1;
    shared->readers_too = true;
    ck_assert_uint_eq(stage_read("journal"), 0);
    pipe_end(1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("repair_faults");
    TCase *tests = tcase_create("repair_faults");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_call_fails_in_the_new_store);
    tcase_add_test(tests, a_broker_came_meanwhile);
    tcase_add_test(tests, a_full_journal_is_flushed_and_the_event_given_again);
    tcase_add_test(tests, a_full_journal_that_cannot_be_flushed_ends_the_repair);
    tcase_add_test(tests, ctrl_c_comes_at_any_time);
    tcase_add_test(tests, ctrl_c_comes_while_readers_die);
    tcase_add_test(tests, how_a_reader_ended_cannot_be_told);
    tcase_add_test(tests, what_is_no_frame_ends_the_reading);
    tcase_add_test(tests, what_is_no_record_is_none);
    tcase_add_test(tests, a_value_that_is_larger_than_any_record_is_damage);
    tcase_add_test(tests, a_journal_that_cannot_be_looked_at_is_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
