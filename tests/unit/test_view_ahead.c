// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The walk over messages on two threads gives what the one on a single thread gives: every message
// of any size, and the same words for damage. And long strings that hide behind another's key.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_internal.h"
#include "store/values.h"
#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *folder;
static struct tables *tables;
static struct fold *fold;
static struct store_view *view;
static struct store_error err;

static void setup(void)
{
    struct tables_options options = {.create = true,
                                     .secret = {3, 2, 1},
                                     .map_bytes = 64u << 20,
                                     .compression = STORE_COMPRESSION_ZSTD,
                                     .compression_level = 1};
    folder = folder_make();
    options.path = folder;
    memset(&err, 0, sizeof(err));
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
}

static void teardown(void)
{
    store_view_close(view);
    view = NULL;
    fold_free(fold);
    tables_close(tables);
    folder_remove(folder);
}

static void look(void)
{
    ck_assert_msg(tables_view_open(&view, tables, &err) == 0, "%s", err.sentence);
}

static void messages_add(unsigned count, size_t bytes, bool alike)
{
    static uint8_t payload[4u << 20];
    uint64_t seed = 1;
    ck_assert_uint_le(bytes, sizeof(payload));
    for (unsigned id = 1; id <= count; id++) {
        for (size_t i = 0; i < bytes; i++)
            payload[i] = alike ? (uint8_t)id : (uint8_t)seed_next(&seed, 256);
        struct event event = {.type = RECORD_MESSAGE_ADD,
                              .message = {.store_id = id, .payload = span_of(payload, bytes)}};
        ck_assert_int_eq(fold_add(fold, &event, &err), 0);
        ck_assert_msg(tables_apply(tables, fold, id, false, &err) == 0, "%s", err.sentence);
        fold_clear(fold);
    }
}

static void value_put(enum table table, const struct key *key, const void *bytes, size_t len)
{
    MDB_txn *txn;
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {len, (void *)(uintptr_t)bytes};
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_put(txn, tables->dbi[table], &key_val, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
}

static int sum_up(void *user, const struct message *message)
{
    const uint8_t *payload = message->payload.data;
    uint64_t *sum = user;
    *sum = *sum * 31 + message->store_id;
    for (uint32_t i = 0; i < message->payload.len; i++)
        *sum = *sum * 31 + payload[i];
    return 0;
}

// More in a batch than is unpacked ahead at once, more than is collected for one, and the least.
START_TEST(messages_of_any_size_come_as_they_do_on_one_thread)
{
    static const struct {
        unsigned count;
        size_t bytes;
        bool alike;
    } cases[] = {{3, 3u << 20, true}, {5, 600u << 10, false}, {600, 0, true}, {3, 1, false}};
    uint64_t alone = 0, ahead = 0, unnamed = 0;
    messages_add(cases[_i].count, cases[_i].bytes, cases[_i].alike);
    look();
    ck_assert_int_eq(store_each_message(view, sum_up, &alone, &err), 0);
    ck_assert_msg(store_each_message_ahead(view, sum_up, &ahead, &err) == 0, "%s", err.sentence);
    ck_assert_int_eq(store_each_message_ahead(view, sum_up, &unnamed, NULL), 0);
    ck_assert_uint_ne(alone, 0);
    ck_assert_uint_eq(ahead, alone);
    ck_assert_uint_eq(unnamed, alone);
}
END_TEST

static int note_id(void *user, const struct message *message)
{
    uint64_t *ids = user;
    *ids = *ids * 10 + message->store_id;
    return 0;
}

static void on_damage(void *user, const struct store_error *damage)
{
    ck_assert_int_eq(damage->code, STORE_EDAMAGED);
    ++*(unsigned *)user;
}

// Written so by a mistake, not by a disk: the checksums are right.
START_TEST(damage_has_the_same_words)
{
    static const struct {
        struct span content;
        uint16_t dictionary;
        const char *sentence;
    } cases[] = {
        {{"no frame at all", 15}, 0, "messages: key 2: the frame states no size, or more than"},
        {{"\x20\x04\x19\x00\x00zzz", 8}, 0, "messages: key 2: the content cannot be decompressed"},
        {{"\x20\x03\x19\x00\x00\xff\x00\x00", 8}, 0, "messages: key 2: unknown flags"},
        {{"needs a dictionary", 18}, 3, "messages: key 2: it needs dictionary 3, which is not"},
        {{NULL, 0}, 0, "messages: key 2: the value is too short"},
    };
    struct key key;
    uint8_t bytes[200];
    uint64_t ids = 0;
    unsigned damages = 0;
    struct stored_message stored = {
        .compressed = true, .content = cases[_i].content, .dictionary = cases[_i].dictionary};
    messages_add(3, 10, false);
    key_of_message(&key, 2);
    if (stored.content.data)
        value_message_encode(&stored, key_span(&key), bytes);
    value_put(TABLE_MESSAGES, &key, bytes, stored.content.data ? value_message_bytes(&stored) : 0);
    look();
    ck_assert_int_eq(store_each_message_ahead(view, note_id, &ids, &err), STORE_EDAMAGED);
    ck_assert_msg(strstr(err.sentence, cases[_i].sentence) == err.sentence, "%s", err.sentence);
    ck_assert_uint_eq(ids, 1); // the one before it
    ck_assert_int_eq(store_each_message_ahead(view, note_id, &ids, NULL), STORE_EDAMAGED);
    ck_assert_uint_eq(ids, 11);
    // Who passes over damage gets the others.
    store_view_pass_damage(view, on_damage, &damages);
    ck_assert_msg(store_each_message_ahead(view, note_id, &ids, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(ids, 1113);
    ck_assert_uint_eq(damages, 1);
}
END_TEST

static int end_at_three(void *user, const struct message *message)
{
    ++*(unsigned *)user;
    return message->store_id == 3 ? 4711 : 0;
}

// While the walk has collected more than a batch.
START_TEST(a_callback_ends_it_with_its_own_value)
{
    unsigned count = 0;
    messages_add(300, 1, true);
    look();
    ck_assert_int_eq(store_each_message_ahead(view, end_at_three, &count, &err), 4711);
    ck_assert_uint_eq(count, 3);
}
END_TEST

START_TEST(a_client_under_anothers_key_is_damage)
{
    static char name[600], other[600];
    struct session session = {.client_id = span_of(other, sizeof(other))};
    struct will will = {.client_id = span_of(other, sizeof(other))};
    struct span wanted = span_of(name, sizeof(name));
    struct key key;
    uint8_t bytes[800];
    memset(name, 'x', sizeof(name));
    memset(other, 'x', sizeof(other));
    other[599] = 'y';
    key_of_string(&key, tables->secret, wanted);
    value_session_encode(&session, key_span(&key), bytes);
    value_put(TABLE_SESSIONS, &key, bytes, value_session_bytes(&session));
    value_will_encode(&will, key_span(&key), bytes);
    value_put(TABLE_WILLS, &key, bytes, value_will_bytes(&will));
    look();
    ck_assert_int_eq(store_get_session(view, wanted, &session, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "sessions: key \"xxx"));
    ck_assert_ptr_nonnull(strstr(err.sentence, "another string lies under the same key"));
    ck_assert_int_eq(store_get_will(view, wanted, &will, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "wills: key \"xxx"));
    ck_assert_ptr_nonnull(strstr(err.sentence, "another string lies under the same key"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view_ahead");
    TCase *tests = tcase_create("view_ahead");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, messages_of_any_size_come_as_they_do_on_one_thread, 0, 4);
    tcase_add_loop_test(tests, damage_has_the_same_words, 0, 5);
    tcase_add_test(tests, a_callback_ends_it_with_its_own_value);
    tcase_add_test(tests, a_client_under_anothers_key_is_damage);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
