// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A store's life again and again, and each time another allocation of the engine fails, until one
// life meets no failure: an error comes with a sentence, nothing is freed twice or used after, and
// what was taken is there when the store is opened again. The address sanitizer's build of this
// program also finds what leaks.
//
// Linked with -Wl,--wrap for the functions below, so the libraries' own allocations succeed.
#include "model.h"

#include "support.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t);
void *__real_calloc(size_t, size_t);
void *__real_realloc(void *, size_t);
char *__real_strdup(const char *);
void *__wrap_malloc(size_t);
void *__wrap_calloc(size_t, size_t);
void *__wrap_realloc(void *, size_t);
char *__wrap_strdup(const char *);

static atomic_bool armed; // only while the store is called: the test's own allocations succeed
static atomic_ulong allocations, fail_at;
static bool fail_for_good;

static bool allocation_fails(void)
{
    if (!atomic_load(&armed))
        return false;
    unsigned long number = atomic_fetch_add(&allocations, 1) + 1;
    return number == fail_at || (fail_for_good && number > fail_at);
}

void *__wrap_malloc(size_t bytes)
{
    return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
    return allocation_fails() ? NULL : __real_realloc(memory, bytes);
}

char *__wrap_strdup(const char *text)
{
    return allocation_fails() ? NULL : __real_strdup(text);
}

static struct store_error err;

static void call_begin(void)
{
    err = (struct store_error){0};
    atomic_store(&armed, true);
}

// Whether the call went well. Else its error must be one that says so.
static bool call_end(int rc)
{
    atomic_store(&armed, false);
    if (rc == 0)
        return true;
    ck_assert_int_eq(err.code, rc);
    ck_assert_msg(rc == STORE_ENOMEM || rc == STORE_EPOISONED, "%d: %s", rc, err.sentence);
    ck_assert_msg(strstr(err.sentence, "memory"), "%s", err.sentence);
    return false;
}

#define CALL(call) (call_begin(), call_end(call))

static int count_one(void *user, const void *entry)
{
    (void)entry;
    ++*(unsigned *)user;
    return 0;
}

static int count_session(void *user, const struct session *session)
{
    return count_one(user, session);
}

static int count_message(void *user, const struct message *message)
{
    return count_one(user, message);
}

static int count_queued(void *user, const struct queued *queued)
{
    return count_one(user, queued);
}

static int count_segment(void *user, const struct store_segment *segment)
{
    return count_one(user, segment);
}

// Everything that reads.
static void store_look(struct store *store)
{
    struct store_view *view = NULL;
    struct store_cursor *cursor = NULL;
    struct store_stats stats;
    struct event event;
    unsigned count = 0;
    uint64_t position;
    if (CALL(store_view_open(&view, store, &err))) {
        CALL(store_each_session(view, count_session, &count, &err));
        CALL(store_each_message(view, count_message, &count, &err));
        CALL(store_each_queued(view, span_str(NULL), count_queued, &count, &err));
        store_view_close(view);
    }
    if (CALL(store_cursor_open(&cursor, store, 0, &err))) {
        int rc = 1;
        while (rc == 1) {
            call_begin();
            rc = store_cursor_next(cursor, &event, &position, &err);
            call_end(rc == 1 ? 0 : rc);
        }
        store_cursor_close(cursor);
    }
    CALL(store_each_segment(store, count_segment, &count, &err));
    CALL(store_stats(store, &stats, &err));
}

static struct store *store_begin(const char *folder, bool fails)
{
    struct store *store = NULL;
    struct store_options options = {.path = folder,
                                    .create = true,
                                    .sync_interval_ms = 1000,
                                    .commit_interval_ms = 1000,
                                    .journal_segment_bytes = 65536,
                                    .journal_max_bytes = 4u << 20};
    if (!fails)
        ck_assert_msg(store_open(&store, &options, &err) == 0, "%s", err.sentence);
    else if (!CALL(store_open(&store, &options, &err)))
        return NULL;
    model_restart();
    return store;
}

// Whether an allocation was made to fail.
static bool life(const char *folder)
{
    static struct model model, before;
    uint64_t seed = 1;
    memset(&model, 0, sizeof(model));
    atomic_store(&allocations, 0);

    struct store *store = store_begin(folder, true);
    for (unsigned i = 0; store && i < 150; i++) {
        struct event event;
        memcpy(&before, &model, sizeof(model));
        model_step(&model, &seed, store, &event);
        if (!CALL(store_append(store, &event, &err)))
            memcpy(&model, &before, sizeof(model));
        else if (i % 50 == 49 && CALL(store_flush(store, &err)))
            store_look(store);
        if (i == 75) {
            CALL(store_close(store, false, &err));
            store = store_begin(folder, true);
        }
    }
    store_close(store, false, NULL);

    store = store_begin(folder, false);
    model_compare(&model, store);
    ck_assert_msg(store_close(store, true, &err) == 0, "%s", err.sentence);
    return allocations >= fail_at;
}

static void lives(bool for_good)
{
    fail_for_good = for_good;
    for (atomic_store(&fail_at, 1);; atomic_fetch_add(&fail_at, 1)) {
        char *folder = folder_make();
        bool failed = life(folder);
        folder_remove(folder);
        if (!failed)
            break;
    }
    printf("%lu lives\n", (unsigned long)fail_at);
}

START_TEST(every_allocation_fails_once)
{
    lives(false);
}
END_TEST

START_TEST(every_allocation_fails_and_all_after_it)
{
    lives(true);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("malloc_faults");
    TCase *cases = tcase_create("malloc_faults");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, every_allocation_fails_once);
    tcase_add_test(cases, every_allocation_fails_and_all_after_it);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
