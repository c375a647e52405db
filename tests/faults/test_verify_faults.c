// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// verify and check, when a broker commits between two stages or comes where it cannot see who
// reads, and when the journal cannot be listed any more.
//
// Linked with -Wl,--wrap for the functions below.
#include "child.h"
#include "command.h"
#include "support.h"
#include "verify.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *folder;
static struct command_result result;
static size_t probes_left; // counts down, and then something happens; 0: nothing does
static void (*meanwhile)(void);
static bool listing_fails;
static bool unseen;      // the store is mounted read-only
static bool came;        // a broker, of whom a second look tells
static bool reader_dies; // of what it met

static void store_change(uint64_t removed, uint64_t added, const char *payload)
{
    struct store_error err = {0};
    struct store *store = NULL;
    struct store_options options = {.path = folder,
                                    .create = true,
                                    .journal_segment_bytes = 65536,
                                    .holder = "test_verify_faults"};
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = added, .payload = span_str(payload)}};
    ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
    event = (struct event){.type = RECORD_RETAINED_SET, .retained = {span_str("topic"), added}};
    ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
    event = (struct event){.type = RECORD_MESSAGE_DELETE, .message = {.store_id = removed}};
    if (removed)
        ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
    ck_assert_msg(store_close(store, true, &err) == 0, "%s", err.sentence);
}

static void a_broker_commits(void)
{
    store_change(1, 2, "another, and longer");
}

static void the_store_goes(void)
{
    ck_assert_int_eq(unlink(path_in(folder, "data.mdb")), 0);
}

int __real_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal);
int __wrap_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal);
int __wrap_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal)
{
    if (probes_left > 0 && --probes_left == 0)
        meanwhile();
    return __real_child_probe(ctx, work, ret_signal);
}

int __real_store_each_segment(struct store *store, store_segment_fn *fn, void *user,
                              struct store_error *err);
int __wrap_store_each_segment(struct store *store, store_segment_fn *fn, void *user,
                              struct store_error *err);
int __wrap_store_each_segment(struct store *store, store_segment_fn *fn, void *user,
                              struct store_error *err)
{
    return listing_fails ? error_set(err, STORE_EIO, "the folder cannot be listed")
                         : __real_store_each_segment(store, fn, user, err);
}

int __real_store_stats(struct store *store, struct store_stats *stats, struct store_error *err);
int __wrap_store_stats(struct store *store, struct store_stats *stats, struct store_error *err);
int __wrap_store_stats(struct store *store, struct store_stats *stats, struct store_error *err)
{
    int rc = __real_store_stats(store, stats, err);
    stats->unseen = unseen;
    return rc;
}

bool __wrap_child_disturbed(struct context *ctx);
bool __wrap_child_disturbed(struct context *ctx)
{
    if (came)
        error_set(&ctx->err, STORE_EHELD, "a broker came");
    return came;
}

int __wrap_store_read_confirm(struct store *store, struct store_error *err);
int __wrap_store_read_confirm(struct store *store, struct store_error *err)
{
    (void)store;
    return came ? error_set(err, STORE_EHELD, "a broker came") : 0;
}

int __real_store_each_queued(struct store_view *view, struct span client_id, store_queued_fn *fn,
                             void *user, struct store_error *err);
int __wrap_store_each_queued(struct store_view *view, struct span client_id, store_queued_fn *fn,
                             void *user, struct store_error *err);
int __wrap_store_each_queued(struct store_view *view, struct span client_id, store_queued_fn *fn,
                             void *user, struct store_error *err)
{
    if (reader_dies)
        kill(getpid(), SIGSEGV);
    return __real_store_each_queued(view, client_id, fn, user, err);
}

static void run(const char *command)
{
    const char *words[] = {"--store", folder, "--json", command, NULL};
    command_run(&result, words, NULL);
}

static void verify(void)
{
    run("verify");
}

static void setup(void)
{
    folder = folder_make();
    store_change(0, 1, "payload");
    verify();
    ck_assert_msg(result.status == STATUS_DONE, "%s", result.out);
}

static void teardown(void)
{
    folder_remove(folder);
}

// The stages then have seen different stores: one message before and one after, and not as many
// bytes. Each that could be counted with another's total would be called damage.
START_TEST(a_broker_commits_between_two_stages)
{
    for (size_t before = 1; before <= 1 + verify_stages_count; before++) {
        teardown();
        setup();
        probes_left = before;
        meanwhile = a_broker_commits;
        verify();
        ck_assert_msg(result.status == STATUS_DONE, "before process %zu: %s", before, result.out);
        ck_assert_ptr_nonnull(strstr(result.out, "\"messages\":1,"));
    }
}
END_TEST

static void assert_held(const char *why)
{
    ck_assert_int_eq(result.status, STATUS_HELD);
    ck_assert_str_eq(result.out, "");
    ck_assert_msg(strstr(result.err, why) != NULL, "%s", result.err);
}

START_TEST(a_broker_commits_that_cannot_see_the_reader)
{
    unseen = true;
    verify();
    ck_assert_int_eq(result.status, STATUS_DONE);
    probes_left = verify_stages_count;
    meanwhile = a_broker_commits;
    verify();
    assert_held("another program had the store while it was read");
    probes_left = 0;
    verify();
    ck_assert_int_eq(result.status, STATUS_DONE);
    probes_left = 1 + verify_stages_count;
    meanwhile = the_store_goes;
    verify();
    ck_assert_int_eq(result.status, STATUS_ERROR);
    ck_assert_str_eq(result.out, "");
}
END_TEST

START_TEST(what_cannot_be_read_since_a_broker_came_is_no_damage)
{
    reader_dies = true;
    run("check");
    ck_assert_int_eq(result.status, 2); // CRITICAL
    ck_assert_ptr_nonnull(strstr(result.out, "signal 11"));
    came = true;
    run("check");
    ck_assert_int_eq(result.status, 3); // UNKNOWN
    ck_assert_ptr_nonnull(strstr(result.out, "\"reasons\":\"a broker came\""));
    reader_dies = false;
    run("check");
    ck_assert_int_eq(result.status, 3);
    ck_assert_ptr_nonnull(strstr(result.out, "\"reasons\":\"a broker came\""));
    file_overwrite(path_in(folder, "data.mdb"), 0, (char[8192]){0}, 8192);
    verify();
    assert_held("a broker came");
    came = false;
    verify();
    ck_assert_int_eq(result.status, STATUS_FOUND);
}
END_TEST

START_TEST(a_journal_that_cannot_be_listed_is_not_called_sound)
{
    listing_fails = true;
    verify();
    ck_assert_int_eq(result.status, STATUS_FOUND);
    ck_assert_ptr_nonnull(strstr(result.out,
                                 "\"where\":\"journal\",\"what\":\"the folder cannot be "
                                 "listed\",\"lost\":\"what LMDB does not have yet\""));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("verify_faults");
    TCase *tests = tcase_create("verify_faults");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_broker_commits_between_two_stages);
    tcase_add_test(tests, a_broker_commits_that_cannot_see_the_reader);
    tcase_add_test(tests, what_cannot_be_read_since_a_broker_came_is_no_damage);
    tcase_add_test(tests, a_journal_that_cannot_be_listed_is_not_called_sound);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
