// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The meaning of each event, through the fold and into the tables.
#include "store/fold.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static struct tables *tables;
static struct fold *fold;
static uint64_t position;
static struct text found;

static void tables_begin(bool create)
{
    struct store_error err = {0};
    struct tables_options options = {.path = folder,
                                     .create = create,
                                     .secret = {1, 2, 3},
                                     .map_bytes = 8u << 20,
                                     .compression = STORE_COMPRESSION_ZSTD,
                                     .compression_level = 1};
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
}

static void setup(void)
{
    struct store_error err = {0};
    folder = folder_make();
    tables_begin(true);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
    position = 1000;
}

static void teardown(void)
{
    fold_free(fold);
    tables_close(tables);
    folder_remove(folder);
    free(found.bytes);
    found = (struct text){0};
}

static void add(const struct event *event)
{
    struct store_error err = {0};
    ck_assert_msg(fold_add(fold, event, &err) == 0, "%s", err.sentence);
}

static void apply(void)
{
    struct store_error err = {0};
    ck_assert_msg(tables_apply(tables, fold, ++position, false, &err) == 0, "%s", err.sentence);
    fold_clear(fold);
}

static uint64_t anomalies(void)
{
    struct tables_meta meta;
    ck_assert_int_eq(tables_meta(tables, &meta, NULL), 0);
    return meta.anomalies;
}

static void session_add(const char *client)
{
    add(&(struct event){.type = RECORD_SESSION_ADD, .session = {.client_id = span_str(client)}});
}

static void connection(enum record_type type, const char *client, int64_t time_ms)
{
    add(&(struct event){.type = type,
                        .connection = {.client_id = span_str(client), .time_ms = time_ms}});
}

static void queue(enum record_type type, const char *client, uint64_t cmsg_id, uint8_t state)
{
    add(&(struct event){.type = type,
                        .queued = {.client_id = span_str(client),
                                   .cmsg_id = cmsg_id,
                                   .store_id = 7,
                                   .direction = QUEUE_OUT,
                                   .qos = 1,
                                   .state = state}});
}

static void message(enum record_type type, uint64_t store_id)
{
    add(&(struct event){
        .type = type,
        .message = {.store_id = store_id, .topic = span_str("t"), .payload = span_str("p")}});
}

static void will_set(const char *client)
{
    add(&(struct event){.type = RECORD_WILL_SET,
                        .will = {.client_id = span_str(client), .topic = span_str("w")}});
}

static void expect(const char *text)
{
    text_of_tables(&found, tables);
    ck_assert_str_eq(found.bytes, text);
}

static void expect_counts(uint64_t sessions, uint64_t subscriptions, uint64_t messages,
                          uint64_t queued, uint64_t retained, uint64_t wills)
{
    struct store_stats stats = {0};
    ck_assert_int_eq(tables_stats(tables, &stats, NULL), 0);
    ck_assert_uint_eq(stats.sessions, sessions);
    ck_assert_uint_eq(stats.subscriptions, subscriptions);
    ck_assert_uint_eq(stats.messages, messages);
    ck_assert_uint_eq(stats.queued, queued);
    ck_assert_uint_eq(stats.retained, retained);
    ck_assert_uint_eq(stats.wills, wills);
}

START_TEST(what_comes_and_goes_in_a_stretch_leaves_nothing)
{
    session_add("c");
    apply();
    ck_assert(fold_is_empty(fold));
    for (uint64_t first = 1; first <= 2000; first += 10) {
        for (uint64_t i = first; i < first + 10; i++) {
            message(RECORD_MESSAGE_ADD, i);
            queue(RECORD_QUEUE_ADD, "c", i, QUEUE_STATE_WAIT_FOR_PUBACK);
            queue(RECORD_QUEUE_UPDATE, "c", i, QUEUE_STATE_PUBLISH_QOS1);
        }
        for (uint64_t i = first; i < first + 10; i++) {
            ck_assert(!fold_is_empty(fold));
            queue(RECORD_QUEUE_DELETE, "c", i, 0);
            message(RECORD_MESSAGE_DELETE, i);
        }
        ck_assert(fold_is_empty(fold));
    }
    ck_assert_msg(fold_bytes(fold) < 32768, "traffic that passes through must not pile up");
    apply();
    expect_counts(1, 0, 0, 0, 0, 0);
    ck_assert_uint_eq(anomalies(), 0);
}
END_TEST

START_TEST(marks_change_nothing)
{
    add(&(struct event){.type = RECORD_LOOP_MARK});
    add(&(struct event){.type = RECORD_SEGMENT_LINK});
    ck_assert(fold_is_empty(fold));
}
END_TEST

START_TEST(updates_keep_the_last_state)
{
    session_add("c");
    queue(RECORD_QUEUE_ADD, "c", 1, 1);
    queue(RECORD_QUEUE_UPDATE, "c", 1, 2);
    queue(RECORD_QUEUE_ADD, "c", 2, 1);
    apply();
    queue(RECORD_QUEUE_UPDATE, "c", 1, 3);
    queue(RECORD_QUEUE_UPDATE, "c", 1, 4);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "cmsg=1 store=7 sub=0 mid=0 qos=1 state=4"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "cmsg=2 store=7 sub=0 mid=0 qos=1 state=1"));
}
END_TEST

START_TEST(a_deleted_session_takes_its_own_along)
{
    session_add("c");
    session_add("d");
    for (uint64_t i = 1; i <= 500; i++) {
        queue(RECORD_QUEUE_ADD, "c", i, 1);
        queue(RECORD_QUEUE_ADD, "d", i, 1);
    }
    add(&(struct event){
        .type = RECORD_SUBSCRIPTION_ADD,
        .subscription = {.client_id = span_str("c"), .topic_filter = span_str("a/#")}});
    will_set("c");
    message(RECORD_MESSAGE_ADD, 7);
    apply();
    expect_counts(2, 1, 1, 1000, 0, 1);
    connection(RECORD_SESSION_DELETE, "c", 1);
    apply();
    expect_counts(1, 0, 1, 500, 0, 0);
    ck_assert_uint_eq(anomalies(), 0);
}
END_TEST

START_TEST(a_session_deleted_and_added_again_begins_empty)
{
    struct store_view *view = NULL;
    struct session before;
    struct session after;
    session_add("c");
    queue(RECORD_QUEUE_ADD, "c", 1, 1);
    apply();
    ck_assert_int_eq(tables_view_open(&view, tables, NULL), 0);
    ck_assert_int_eq(store_get_session(view, span_str("c"), &before, NULL), 0);
    store_view_close(view);

    queue(RECORD_QUEUE_ADD, "c", 2, 1);
    connection(RECORD_SESSION_DELETE, "c", 1);
    session_add("c");
    queue(RECORD_QUEUE_ADD, "c", 3, 1);
    apply();
    expect_counts(1, 0, 0, 1, 0, 0);
    ck_assert_int_eq(tables_view_open(&view, tables, NULL), 0);
    ck_assert_int_eq(store_get_session(view, span_str("c"), &after, NULL), 0);
    ck_assert_uint_gt(after.number, before.number);
    store_view_close(view);
}
END_TEST

START_TEST(session_numbers_are_never_used_again)
{
    struct store_view *view = NULL;
    struct session session;
    uint64_t last = 0;
    for (int i = 0; i < 5; i++) {
        session_add("c");
        apply();
        ck_assert_int_eq(tables_view_open(&view, tables, NULL), 0);
        ck_assert_int_eq(store_get_session(view, span_str("c"), &session, NULL), 0);
        store_view_close(view);
        ck_assert_uint_gt(session.number, last);
        last = session.number;
        connection(RECORD_SESSION_DELETE, "c", 1);
        apply();
    }
}
END_TEST

START_TEST(an_added_session_begins_with_nothing)
{
    session_add("c");
    queue(RECORD_QUEUE_ADD, "c", 1, 1);
    connection(RECORD_SESSION_OFFLINE, "c", 5);
    apply();
    add(&(struct event){
        .type = RECORD_SESSION_ADD,
        .session = {.client_id = span_str("c"), .max_qos = 1, .changed_time_ms = 9}});
    queue(RECORD_QUEUE_ADD, "c", 2, 1);
    apply();
    expect_counts(1, 0, 0, 1, 0, 0);
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "changed=9"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "qos=1 retain=0 connected=1"));
}
END_TEST

START_TEST(a_connection_brings_a_name_and_stops_the_expiry)
{
    session_add("c");
    add(&(struct event){
        .type = RECORD_SESSION_OFFLINE,
        .connection = {.client_id = span_str("c"), .time_ms = 50, .session_expiry_time = 900}});
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "expires=900 delay=0 changed=50"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "connected=0"));
    add(&(struct event){
        .type = RECORD_SESSION_CONNECTED,
        .connection = {.client_id = span_str("c"), .username = span_str("anna"), .time_ms = 60}});
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "user='anna'"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "expires=0 delay=0 changed=60"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "connected=1"));
    connection(RECORD_SESSION_CONNECTED, "c", 70);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "user=-"));
}
END_TEST

START_TEST(a_connection_moves_the_session_to_its_listener)
{
    session_add("c");
    apply();
    struct event connected = {
        .type = RECORD_SESSION_CONNECTED,
        .connection = {.client_id = span_str("c"), .time_ms = 60, .listener_port = 1884}};
    add(&connected);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "port=1884"));
    // Of a Unix socket, or an older version's record: it stays as it was, also within a stretch.
    connection(RECORD_SESSION_CONNECTED, "c", 70);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "port=1884"));
    connected.connection.listener_port = 1885;
    add(&connected);
    connection(RECORD_SESSION_OFFLINE, "c", 80);
    connection(RECORD_SESSION_CONNECTED, "c", 90);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "port=1885"));
}
END_TEST

START_TEST(an_update_keeps_whether_it_is_connected)
{
    session_add("c");
    connection(RECORD_SESSION_OFFLINE, "c", 50);
    apply();
    add(&(struct event){.type = RECORD_SESSION_UPDATE,
                        .session = {.client_id = span_str("c"),
                                    .session_expiry_time = 77,
                                    .connected = true,
                                    .changed_time_ms = 99}});
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "expires=77 delay=0 changed=50"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "connected=0"));
}
END_TEST

START_TEST(an_ended_connection_changes_the_time_only_once)
{
    session_add("c");
    connection(RECORD_SESSION_CONNECTED, "c", 10);
    apply();
    connection(RECORD_CONNECTION_ENDED, "c", 20);
    connection(RECORD_CONNECTION_ENDED, "c", 30);
    apply();
    connection(RECORD_CONNECTION_ENDED, "c", 40);
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "changed=20"));
    ck_assert_ptr_nonnull(strstr(found.bytes, "connected=0"));
}
END_TEST

START_TEST(events_of_unknown_sessions_make_none)
{
    connection(RECORD_SESSION_CONNECTED, "c", 1);
    connection(RECORD_SESSION_OFFLINE, "c", 2);
    connection(RECORD_CONNECTION_ENDED, "c", 3);
    connection(RECORD_SESSION_DELETE, "c", 3);
    add(&(struct event){.type = RECORD_SESSION_UPDATE, .session = {.client_id = span_str("d")}});
    apply();
    expect("");
    ck_assert_uint_eq(anomalies(), 0);
}
END_TEST

START_TEST(queue_entries_of_unknown_sessions_are_dropped_and_counted)
{
    queue(RECORD_QUEUE_ADD, "c", 1, 1);
    apply();
    expect("");
    ck_assert_uint_eq(anomalies(), 1);

    // Of an entry before the session came nothing is left, of one after it everything; with a
    // session in LMDB too.
    for (uint64_t id = 2; id <= 4; id += 2) {
        queue(RECORD_QUEUE_ADD, "c", id, 1);
        session_add("c");
        queue(RECORD_QUEUE_ADD, "c", id + 1, 1);
        apply();
        ck_assert_uint_eq(anomalies(), 1);
        expect_counts(1, 0, 0, 1, 0, 0);
    }

    connection(RECORD_SESSION_DELETE, "c", 1);
    queue(RECORD_QUEUE_ADD, "c", 6, 1);
    apply();
    ck_assert_uint_eq(anomalies(), 2);
    expect("");
}
END_TEST

START_TEST(an_entry_added_after_its_session_needs_none_before)
{
    queue(RECORD_QUEUE_DELETE, "c", 1, 1);
    session_add("c");
    queue(RECORD_QUEUE_ADD, "c", 1, 1);
    apply();
    expect_counts(1, 0, 0, 1, 0, 0);
}
END_TEST

START_TEST(what_names_nothing_is_counted)
{
    session_add("c");
    apply();
    queue(RECORD_QUEUE_UPDATE, "c", 1, 1);
    apply();
    ck_assert_uint_eq(anomalies(), 1);
    queue(RECORD_QUEUE_DELETE, "c", 1, 1);
    apply();
    ck_assert_uint_eq(anomalies(), 2);
    message(RECORD_MESSAGE_DELETE, 99);
    apply();
    ck_assert_uint_eq(anomalies(), 3);
    message(RECORD_MESSAGE_DELETE, 99);
    message(RECORD_MESSAGE_DELETE, 99);
    ck_assert(!fold_is_empty(fold));
    apply();
    ck_assert_uint_eq(anomalies(), 5);
    add(&(struct event){
        .type = RECORD_SUBSCRIPTION_ADD,
        .subscription = {.client_id = span_str("x"), .topic_filter = span_str("a")}});
    apply();
    ck_assert_uint_eq(anomalies(), 6);
    add(&(struct event){
        .type = RECORD_SUBSCRIPTION_DELETE,
        .subscription = {.client_id = span_str("x"), .topic_filter = span_str("a")}});
    add(&(struct event){.type = RECORD_RETAINED_DELETE, .retained = {.topic = span_str("a")}});
    add(&(struct event){.type = RECORD_WILL_DELETE, .will = {.client_id = span_str("x")}});
    apply();
    ck_assert_uint_eq(anomalies(), 6);
}
END_TEST

START_TEST(wills_go_with_the_connection)
{
    static const enum record_type ends[] = {RECORD_SESSION_OFFLINE, RECORD_CONNECTION_ENDED,
                                            RECORD_SESSION_DELETE};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        will_set("c");
        apply();
        expect_counts(0, 0, 0, 0, 0, 1);
        connection(ends[i], "c", 1);
        apply();
        expect_counts(0, 0, 0, 0, 0, 0);
    }
    // A delayed will is set again right after the end of the connection.
    will_set("c");
    connection(RECORD_SESSION_OFFLINE, "c", 1);
    will_set("c");
    apply();
    expect_counts(0, 0, 0, 0, 0, 1);
    connection(RECORD_SESSION_CONNECTED, "c", 2);
    apply();
    expect_counts(0, 0, 0, 0, 0, 1);
}
END_TEST

START_TEST(a_stop_mark_ends_all_wills)
{
    will_set("a");
    apply();
    will_set("b");
    add(&(struct event){.type = RECORD_STOP_MARK});
    will_set("c");
    ck_assert(!fold_is_empty(fold));
    apply();
    text_of_tables(&found, tables);
    ck_assert_ptr_nonnull(strstr(found.bytes, "will of 'c'"));
    expect_counts(0, 0, 0, 0, 0, 1);
}
END_TEST

START_TEST(content_counts_follow_the_messages)
{
    static char json[2000];
    const size_t heads = 2 * 3; // what two contents say before their payloads
    struct tables_meta meta;
    memset(json, 'x', sizeof(json));
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = 1, .payload = span_of(json, sizeof(json))}};
    add(&event);
    event.message.store_id = 2;
    event.message.payload = span_of(json, 10);
    add(&event);
    apply();
    ck_assert_int_eq(tables_meta(tables, &meta, NULL), 0);
    ck_assert_uint_eq(meta.content_bytes, heads + sizeof(json) + 10);
    ck_assert_uint_lt(meta.stored_bytes, 200);
    // The same message again takes the place of the first.
    event.message.payload = span_of(json, 11);
    add(&event);
    apply();
    ck_assert_int_eq(tables_meta(tables, &meta, NULL), 0);
    ck_assert_uint_eq(meta.content_bytes, heads + sizeof(json) + 11);
    message(RECORD_MESSAGE_DELETE, 1);
    message(RECORD_MESSAGE_DELETE, 2);
    apply();
    ck_assert_int_eq(tables_meta(tables, &meta, NULL), 0);
    ck_assert_uint_eq(meta.content_bytes, 0);
    ck_assert_uint_eq(meta.stored_bytes, 0);
}
END_TEST

START_TEST(a_large_fold_gives_its_memory_back)
{
    size_t before = fold_bytes(fold);
    for (uint64_t i = 0; fold_bytes(fold) <= 32u << 20; i++)
        message(RECORD_MESSAGE_ADD, i);
    fold_clear(fold);
    ck_assert(fold_is_empty(fold));
    ck_assert_uint_eq(fold_bytes(fold), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold");
    TCase *one = tcase_create("meanings");
    tcase_add_checked_fixture(one, setup, teardown);
    tcase_set_timeout(one, 60);
    tcase_add_test(one, what_comes_and_goes_in_a_stretch_leaves_nothing);
    tcase_add_test(one, marks_change_nothing);
    tcase_add_test(one, updates_keep_the_last_state);
    tcase_add_test(one, a_deleted_session_takes_its_own_along);
    tcase_add_test(one, a_session_deleted_and_added_again_begins_empty);
    tcase_add_test(one, session_numbers_are_never_used_again);
    tcase_add_test(one, an_added_session_begins_with_nothing);
    tcase_add_test(one, a_connection_brings_a_name_and_stops_the_expiry);
    tcase_add_test(one, a_connection_moves_the_session_to_its_listener);
    tcase_add_test(one, an_update_keeps_whether_it_is_connected);
    tcase_add_test(one, an_ended_connection_changes_the_time_only_once);
    tcase_add_test(one, events_of_unknown_sessions_make_none);
    tcase_add_test(one, queue_entries_of_unknown_sessions_are_dropped_and_counted);
    tcase_add_test(one, an_entry_added_after_its_session_needs_none_before);
    tcase_add_test(one, what_names_nothing_is_counted);
    tcase_add_test(one, wills_go_with_the_connection);
    tcase_add_test(one, a_stop_mark_ends_all_wills);
    tcase_add_test(one, content_counts_follow_the_messages);
    tcase_add_test(one, a_large_fold_gives_its_memory_back);
    suite_add_tcase(suite, one);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
