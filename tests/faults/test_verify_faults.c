// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// verify, when a broker commits between two of its stages, and when the journal cannot be listed
// any more.
//
// Linked with -Wl,--wrap for the functions below.
#include "child.h"
#include "command.h"
#include "support.h"
#include "verify.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static struct command_result result;
static unsigned probes_left; // counts down: then a broker changes the store; 0: none does
static bool listing_fails;

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

int __real_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal);
int __wrap_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal);
int __wrap_child_probe(struct context *ctx, int (*work)(struct context *), int *ret_signal)
{
    if (probes_left > 0 && --probes_left == 0)
        store_change(1, 2, "another, and longer");
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

static void verify(void)
{
    const char *words[] = {"--store", folder, "--json", "verify", NULL};
    command_run(&result, words, NULL);
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
    for (unsigned before = 1; before <= 1 + verify_stages_count; before++) {
        teardown();
        setup();
        probes_left = before;
        verify();
        ck_assert_msg(result.status == STATUS_DONE, "before process %u: %s", before, result.out);
        ck_assert_ptr_nonnull(strstr(result.out, "\"messages\":1,"));
    }
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
    tcase_add_test(tests, a_journal_that_cannot_be_listed_is_not_called_sound);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
