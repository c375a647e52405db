// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Dictionaries in the tables: they come into use, stay as long as a message needs them, and go.
// And the queue's pages, which long runs of entries fill.
#include "store/fold.h"
#include "store/tables_internal.h"
#include "store/value_bytes.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT 3000u // messages of one family: enough for a training

static char *folder;
static struct tables *tables;
static struct fold *fold;
static struct store_error err;
static uint64_t position;
static uint64_t map_bytes = 64u << 20;

static void tables_begin(bool create)
{
    struct tables_options options = {.path = folder, .create = create, .map_bytes = map_bytes};
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
}

static void setup(void)
{
    folder = folder_make();
    tables_begin(true);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
    position = 5000;
}

static void teardown(void)
{
    fold_free(fold);
    tables_close(tables);
    folder_remove(folder);
}

static void add(const struct event *event)
{
    ck_assert_msg(fold_add(fold, event, &err) == 0, "%s", err.sentence);
}

// As the committer does it.
static void apply(void)
{
    tables_train(tables, fold);
    ck_assert_msg(tables_apply(tables, fold, ++position, false, &err) == 0, "%s", err.sentence);
    fold_clear(fold);
}

// Messages are told by their ids: the family, and a number.
#define FAMILY_IDS 100000u

static size_t payload_write(char dst[200], uint64_t store_id)
{
    static const char *const formats[] = {
        "{\"device\":\"boiler-%04u\",\"degrees\":%u.%02u,\"humidity\":%u,\"firmware\":\"2.4\"}",
        "<reading unit='chimney' analyser='%04u'><o2>%u.%02u</o2><co>%u</co></reading>",
        "@valve;%04u;open=%u.%02u;closed=%u;maintenance=never;position=unknown;manual=0;",
    };
    unsigned n = (unsigned)(store_id * 2654435761u >> 7);
    return (size_t)snprintf(dst, 200, formats[store_id / FAMILY_IDS], n % 10000, n % 40, n % 100,
                            n % 97);
}

static void messages_add(uint64_t first, uint64_t count)
{
    // The fold keeps what the spans point to.
    static char payloads[COUNT][200];
    ck_assert_uint_le(count, COUNT);
    for (uint64_t i = 0; i < count; i++) {
        size_t len = payload_write(payloads[i], first + i);
        add(&(struct event){.type = RECORD_MESSAGE_ADD,
                            .message = {.store_id = first + i,
                                        .topic = span_str("site/line/telemetry"),
                                        .payload = span_of(payloads[i], len),
                                        .source_id = span_str("gateway"),
                                        .source_mid = (uint16_t)i,
                                        .source_port = 1883,
                                        .qos = 1}});
    }
    apply();
}

static void messages_delete(uint64_t first, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        add(&(struct event){.type = RECORD_MESSAGE_DELETE, .message = {.store_id = first + i}});
    apply();
}

// Adds messages until they bring about a dictionary of their own. Gives how many.
static uint64_t family_add(unsigned family)
{
    struct tables_meta meta;
    uint64_t first = (uint64_t)family * FAMILY_IDS;
    ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
    uint16_t before = meta.dictionary;
    for (uint64_t count = 0; count < FAMILY_IDS;) {
        messages_add(first + count, COUNT);
        count += COUNT;
        ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
        if (meta.dictionary != before)
            return count;
    }
    ck_abort_msg("no dictionary came of it");
    return 0;
}

static int expect_message(void *user, const struct message *message)
{
    char payload[200];
    size_t len = payload_write(payload, message->store_id);
    ck_assert_msg(span_equal(message->payload, span_of(payload, len)), "message %llu",
                  (unsigned long long)message->store_id);
    ck_assert(span_equal(message->topic, span_str("site/line/telemetry")));
    ck_assert(span_equal(message->source_id, span_str("gateway")));
    ck_assert_uint_eq(message->source_port, 1883);
    ++*(uint64_t *)user;
    return 0;
}

static void expect_messages(struct store_view *view, uint64_t count)
{
    uint64_t seen = 0;
    ck_assert_msg(store_each_message(view, expect_message, &seen, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(seen, count);
    seen = 0;
    ck_assert_msg(store_each_message_ahead(view, expect_message, &seen, &err) == 0, "%s",
                  err.sentence);
    ck_assert_uint_eq(seen, count);
}

static struct store_view *look(void)
{
    struct store_view *view = NULL;
    ck_assert_msg(tables_view_open(&view, tables, &err) == 0, "%s", err.sentence);
    return view;
}

static void expect_all(uint64_t count)
{
    struct store_view *view = look();
    expect_messages(view, count);
    store_view_close(view);
    ck_assert_msg(tables_check(tables, &err) == 0, "%s", err.sentence);
}

#define KEPT_MAX 20
struct kept {
    struct store_dictionary dictionaries[KEPT_MAX];
    unsigned count;
};

static int keep(void *user, const struct store_dictionary *dictionary)
{
    struct kept *kept = user;
    ck_assert_uint_lt(kept->count, KEPT_MAX);
    kept->dictionaries[kept->count++] = *dictionary;
    return 0;
}

static struct kept dictionaries(void)
{
    struct kept kept = {.count = 0};
    struct store_view *view = look();
    ck_assert_msg(store_each_dictionary(view, keep, &kept, &err) == 0, "%s", err.sentence);
    store_view_close(view);
    return kept;
}

// Changes the tables behind the library's back.
static MDB_txn *txn_begin(void)
{
    MDB_txn *txn = NULL;
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    return txn;
}

static void value_change(enum table table, const struct key *key, size_t at, uint8_t flip)
{
    static uint8_t copy[DICTIONARY_MAX_BYTES];
    MDB_txn *txn = txn_begin();
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    ck_assert_int_eq(mdb_get(txn, tables->dbi[table], &key_val, &value), 0);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[at] ^= flip;
    value.mv_data = copy;
    ck_assert_int_eq(mdb_put(txn, tables->dbi[table], &key_val, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
}

START_TEST(messages_that_are_alike_bring_about_a_dictionary)
{
    uint64_t count = family_add(0);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    struct store_dictionary *one = &kept.dictionaries[0];
    ck_assert_uint_eq(one->id, 1);
    ck_assert(one->in_use);
    ck_assert_uint_gt(one->samples, 100);
    ck_assert_uint_lt(one->after_bytes, one->before_bytes);
    // The very messages that it was trained on have it: nothing waits for a second stretch.
    ck_assert_uint_ge(one->messages, COUNT);
    ck_assert_uint_lt(one->stored_bytes, one->content_bytes / 2);
    expect_all(count);

    // It stays in use over a restart, and with another level.
    tables_close(tables);
    tables_begin(false);
    tables_set_compression(tables, STORE_COMPRESSION_ZSTD, 9);
    messages_add(count, 100);
    struct kept more = dictionaries();
    ck_assert_uint_eq(more.dictionaries[0].messages, one->messages + 100);
    expect_all(count + 100);

    // And rests when compression is off.
    tables_set_compression(tables, STORE_COMPRESSION_NONE, 1);
    messages_add(count + 100, COUNT);
    more = dictionaries();
    ck_assert_uint_eq(more.count, 1);
    ck_assert_uint_eq(more.dictionaries[0].messages, one->messages + 100);
    expect_all(count + 100 + COUNT);
}
END_TEST

START_TEST(an_old_dictionary_goes_with_its_last_message)
{
    uint64_t first = family_add(0);
    uint64_t second = family_add(1);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 2);
    ck_assert(!kept.dictionaries[0].in_use && kept.dictionaries[1].in_use);
    expect_all(first + second);

    messages_delete(0, first - 1);
    if (second > COUNT)
        messages_delete(FAMILY_IDS, second - COUNT);
    kept = dictionaries();
    ck_assert_uint_eq(kept.count, 2);
    ck_assert_uint_eq(kept.dictionaries[0].messages, 1);
    messages_delete(first - 1, 1);
    kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_uint_eq(kept.dictionaries[0].id, 2);
    expect_all(COUNT);

    // The one in use stays although nobody needs it at the moment.
    messages_delete(FAMILY_IDS + second - COUNT, COUNT);
    kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_uint_eq(kept.dictionaries[0].messages, 0);
    ck_assert_uint_eq(kept.dictionaries[0].content_bytes, 0);
    ck_assert_uint_eq(kept.dictionaries[0].stored_bytes, 0);
}
END_TEST

START_TEST(a_message_that_is_put_again_needs_another_dictionary)
{
    uint64_t first = family_add(0);
    uint64_t second = family_add(1);
    for (uint64_t at = 0; at < first; at += COUNT)
        messages_add(at, COUNT);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_uint_eq(kept.dictionaries[0].id, 2);
    expect_all(first + second);
}
END_TEST

START_TEST(a_view_keeps_the_dictionary_of_its_picture)
{
    uint64_t first = family_add(0);
    struct store_view *view = look();
    // Before it has read a single message: it must find the dictionary in its own picture.
    messages_delete(0, first);
    uint64_t second = family_add(1);
    ck_assert_uint_eq(dictionaries().count, 1);
    expect_messages(view, first);
    store_view_close(view);
    expect_all(second);
}
END_TEST

START_TEST(a_missing_dictionary_is_named)
{
    struct key key;
    struct message message;
    uint64_t count = family_add(0);
    key_of_dictionary(&key, 1);
    MDB_txn *txn = txn_begin();
    MDB_val key_val = val_of_span(key_span(&key));
    ck_assert_int_eq(mdb_del(txn, tables->dbi[TABLE_DICTIONARIES], &key_val, NULL), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    struct store_view *view = look();
    ck_assert_int_eq(store_get_message(view, count - 1, &message, &err), STORE_EDAMAGED);
    char expected[200];
    snprintf(expected, sizeof(expected),
             "messages: key %llu: it needs dictionary 1, which is not there; this message is lost",
             (unsigned long long)count - 1);
    ck_assert_str_eq(err.sentence, expected);
    store_view_close(view);

    // What comes does without, and can be read.
    tables_close(tables);
    tables_begin(false);
    messages_add(count, 1);
    view = look();
    ck_assert_int_eq(store_get_message(view, count, &message, &err), 0);
    store_view_close(view);
}
END_TEST

START_TEST(a_damaged_dictionary_is_named)
{
    struct key key;
    struct message message;
    uint64_t count = family_add(0);
    key_of_dictionary(&key, 1);
    value_change(TABLE_DICTIONARIES, &key, 5000, 1);
    struct kept kept = {.count = 0};
    struct store_view *view = look();
    static const char sentence[] = "dictionaries: key 1: checksum does not match; messages that "
                                   "need this dictionary are lost";
    ck_assert_int_eq(store_each_dictionary(view, keep, &kept, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, sentence);
    ck_assert_int_eq(tables_check(tables, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, sentence);
    ck_assert_int_eq(store_get_message(view, count - 1, &message, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, sentence));
    store_view_close(view);
}
END_TEST

// Were it counted out by what the damaged bytes say, a dictionary would go that others need.
START_TEST(a_damaged_message_takes_no_dictionary_along)
{
    uint64_t first = family_add(0);
    uint64_t second = family_add(1);
    struct key key;
    struct kept before = dictionaries();
    ck_assert_uint_eq(before.count, 2);
    key_of_message(&key, FAMILY_IDS + second - 1);
    value_change(TABLE_MESSAGES, &key, 20, 1);
    messages_delete(FAMILY_IDS + second - 1, 1);
    // One that says of itself that it needs the other dictionary: 2 in place of 1.
    key_of_message(&key, first - 1);
    value_change(TABLE_MESSAGES, &key, 4, 3);
    messages_delete(first - 1, 1);
    struct kept after = dictionaries();
    ck_assert_uint_eq(after.count, 2);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_uint_eq(after.dictionaries[i].messages, before.dictionaries[i].messages);
    expect_all(first + second - 2);
}
END_TEST

START_TEST(the_map_may_grow_while_a_dictionary_comes_into_use)
{
    static uint8_t large[3u << 20];
    static char payloads[COUNT][200];
    struct store_stats stats = {0};
    tables_close(tables);
    map_bytes = 1u << 20;
    tables_begin(false);
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_eq(stats.lmdb_map_bytes, map_bytes);
    uint64_t seed = 1;
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (uint8_t)seed_next(&seed, 256);
    // One stretch: what brings about the dictionary, and what does not fit beside it.
    for (uint64_t i = 0; i < COUNT; i++) {
        size_t len = payload_write(payloads[i], i);
        add(&(struct event){.type = RECORD_MESSAGE_ADD,
                            .message = {.store_id = i,
                                        .topic = span_str("site/line/telemetry"),
                                        .payload = span_of(payloads[i], len),
                                        .source_id = span_str("gateway"),
                                        .source_port = 1883}});
    }
    add(&(struct event){
        .type = RECORD_MESSAGE_ADD,
        .message = {.store_id = FAMILY_IDS, .payload = span_of(large, sizeof(large))}});
    tables_train(tables, fold);
    ck_assert_ptr_nonnull(trainer_made(tables->trainer));
    ck_assert_msg(tables_apply(tables, fold, ++position, false, &err) == 0, "%s", err.sentence);
    fold_clear(fold);
    ck_assert_ptr_null(trainer_made(tables->trainer));
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_gt(stats.lmdb_map_bytes, map_bytes);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_uint_eq(kept.dictionaries[0].messages, COUNT);
    messages_delete(FAMILY_IDS, 1);
    expect_all(COUNT);
}
END_TEST

START_TEST(ids_go_round_past_those_that_are_kept)
{
    struct tables_state state;
    uint64_t count = family_add(0);
    MDB_txn *txn = txn_begin();
    ck_assert_int_eq(meta_read_state(tables, txn, &state, &err), 0);
    state.dictionary = UINT16_MAX;
    ck_assert_int_eq(meta_write_state(tables, txn, &state), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    uint64_t second = family_add(1);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 2);
    ck_assert_uint_eq(kept.dictionaries[0].id, 1);
    ck_assert_uint_eq(kept.dictionaries[1].id, 2);
    ck_assert(kept.dictionaries[1].in_use);
    expect_all(count + second);
}
END_TEST

START_TEST(no_more_dictionaries_than_are_counted)
{
    struct tables_state state;
    uint64_t count = family_add(0);
    MDB_txn *txn = txn_begin();
    ck_assert_int_eq(meta_read_state(tables, txn, &state, &err), 0);
    while (state.use_count < STATE_USES_MAX)
        state.uses[state.use_count++] =
            (struct dictionary_use){.id = (uint16_t)(100 + state.use_count), .messages = 1};
    ck_assert_int_eq(meta_write_state(tables, txn, &state), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    for (uint64_t i = 0; i < 10; i++)
        messages_add(FAMILY_IDS + i * COUNT, COUNT);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    expect_all(count + 10 * COUNT);
}
END_TEST

START_TEST(all_messages_can_be_stored_anew)
{
    struct store_dictionary made;
    struct tables_meta before;
    struct tables_meta after;
    bool gains = false;
    uint64_t rewritten = 0;
    tables_set_compression(tables, STORE_COMPRESSION_NONE, 1);
    for (uint64_t i = 0; i < 10; i++)
        messages_add(i * COUNT, COUNT);
    tables_set_compression(tables, STORE_COMPRESSION_ZSTD, 1);
    ck_assert_int_eq(tables_meta(tables, &before, &err), 0);
    ck_assert_uint_eq(before.stored_bytes, before.content_bytes);
    ck_assert_msg(tables_train_on_all(tables, &made, &gains, &err) == 0, "%s", err.sentence);
    ck_assert(gains);
    // So far nothing has changed.
    ck_assert_uint_eq(dictionaries().count, 0);
    ck_assert_msg(tables_rewrite(tables, &rewritten, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(rewritten, 10 * COUNT);
    ck_assert_int_eq(tables_meta(tables, &after, &err), 0);
    ck_assert_uint_eq(after.content_bytes, before.content_bytes);
    ck_assert_uint_lt(after.stored_bytes, before.stored_bytes / 2);
    ck_assert_uint_eq(after.covered, before.covered);
    struct kept kept = dictionaries();
    ck_assert_uint_eq(kept.count, 1);
    ck_assert_uint_eq(kept.dictionaries[0].messages, 10 * COUNT);
    ck_assert_uint_eq(kept.dictionaries[0].stored_bytes, after.stored_bytes);
    expect_all(10 * COUNT);
    // A second time there is nothing to gain, and nothing to do.
    ck_assert_int_eq(tables_rewrite(tables, &rewritten, &err), 0);
    ck_assert_uint_eq(rewritten, 0);
}
END_TEST

// ---- walks on two threads ------------------------------------------------------------------

struct ids {
    uint64_t next;
    uint64_t end_at; // the walk ends here, with 4711
};

static int expect_in_order(void *user, const struct message *message)
{
    struct ids *ids = user;
    ck_assert_uint_eq(message->store_id, ids->next++);
    return message->store_id == ids->end_at ? 4711 : 0;
}

START_TEST(a_walk_ahead_goes_in_order_and_ends_where_it_should)
{
    struct ids none = {0, UINT64_MAX};
    struct store_view *view = look();
    ck_assert_int_eq(store_each_message_ahead(view, expect_in_order, &none, &err), 0);
    ck_assert_uint_eq(none.next, 0);
    store_view_close(view);
    uint64_t count = family_add(0);
    view = look();
    // Around the ends of batches too.
    static const uint64_t ends[] = {0, 1, 254, 255, 256, 257, 511, 512, 513, 1000, UINT64_MAX};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct ids ids = {0, ends[i]};
        int rc = store_each_message_ahead(view, expect_in_order, &ids, &err);
        ck_assert_int_eq(rc, ends[i] < count ? 4711 : 0);
        ck_assert_uint_eq(ids.next, ends[i] < count ? ends[i] + 1 : count);
    }
    store_view_close(view);
}
END_TEST

START_TEST(a_walk_ahead_serves_what_is_before_damage_and_names_it)
{
    struct key key;
    struct ids ids = {0, UINT64_MAX};
    family_add(0);
    key_of_message(&key, 700);
    value_change(TABLE_MESSAGES, &key, 20, 1);
    struct store_view *view = look();
    ck_assert_int_eq(store_each_message_ahead(view, expect_in_order, &ids, &err), STORE_EDAMAGED);
    ck_assert_uint_eq(ids.next, 700);
    ck_assert_str_eq(err.sentence,
                     "messages: key 700: checksum does not match; this message is lost");
    store_view_close(view);

    messages_delete(700, 1);
    key_of_dictionary(&key, 1);
    value_change(TABLE_DICTIONARIES, &key, 5000, 1);
    ids.next = 0;
    view = look();
    ck_assert_int_eq(store_each_message_ahead(view, expect_in_order, &ids, &err), STORE_EDAMAGED);
    ck_assert_uint_eq(ids.next, 0);
    ck_assert_ptr_nonnull(strstr(err.sentence, "dictionaries: key 1: checksum does not match"));
    store_view_close(view);
}
END_TEST

struct sizes {
    const uint8_t *bytes;
    uint64_t seen;
};

static int expect_size(void *user, const struct message *message)
{
    struct sizes *sizes = user;
    ck_assert(
        span_equal(message->payload, span_of(sizes->bytes, (size_t)message->store_id * 300000u)));
    sizes->seen++;
    return 0;
}

// More than a batch holds, in one message and in several.
START_TEST(a_walk_ahead_gives_large_messages_too)
{
    static uint8_t bytes[20 * 300000];
    struct sizes sizes = {bytes, 0};
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i % 251 + i / 7919);
    for (uint64_t id = 0; id <= 20; id++)
        add(&(struct event){
            .type = RECORD_MESSAGE_ADD,
            .message = {.store_id = id, .payload = span_of(bytes, (size_t)id * 300000u)}});
    apply();
    struct store_view *view = look();
    ck_assert_msg(store_each_message_ahead(view, expect_size, &sizes, &err) == 0, "%s",
                  err.sentence);
    ck_assert_uint_eq(sizes.seen, 21);
    store_view_close(view);
}
END_TEST

// ---- runs of the queue ---------------------------------------------------------------------

static void queue_add(const char *client, uint64_t cmsg_id, uint16_t mid)
{
    add(&(struct event){.type = RECORD_QUEUE_ADD,
                        .queued = {.client_id = span_str(client),
                                   .cmsg_id = cmsg_id,
                                   .store_id = cmsg_id,
                                   .mid = mid,
                                   .direction = QUEUE_OUT,
                                   .qos = 1,
                                   .state = QUEUE_STATE_QUEUED}});
}

static void sessions_add(unsigned count)
{
    static char names[8][16];
    for (unsigned i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "c%u", i);
        add(&(struct event){.type = RECORD_SESSION_ADD,
                            .session = {.client_id = span_str(names[i])}});
    }
    apply();
}

struct order {
    uint64_t next;
    uint16_t mid;
};

static int expect_next(void *user, const struct queued *queued)
{
    struct order *order = user;
    ck_assert_uint_eq(queued->cmsg_id, order->next++);
    ck_assert_uint_eq(queued->mid, order->mid);
    return 0;
}

static void expect_queue(const char *client, uint64_t first, uint64_t last, uint16_t mid)
{
    struct store_view *view = look();
    struct order order = {first, mid};
    ck_assert_int_eq(store_each_queued(view, span_str(client), expect_next, &order, &err), 0);
    ck_assert_uint_eq(order.next, last + 1);
    store_view_close(view);
}

// Each stretch adds to every queue; the next one's entries are in the way.
START_TEST(queues_that_grow_side_by_side_fill_their_pages)
{
    static const char *const names[] = {"c0", "c1", "c2", "c3"};
    const uint64_t each = 600;
    MDB_stat stat;
    MDB_txn *txn;
    sessions_add(4);
    for (uint64_t stretch = 0; stretch < 30; stretch++) {
        for (uint64_t i = 1; i <= each; i++)
            for (unsigned c = 0; c < 4; c++)
                queue_add(names[c], stretch * each + i, 7);
        apply();
    }
    for (unsigned c = 0; c < 4; c++)
        expect_queue(names[c], 1, 30 * each, 7);
    ck_assert_msg(tables_check(tables, &err) == 0, "%s", err.sentence);

    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, MDB_RDONLY, &txn), 0);
    ck_assert_int_eq(mdb_stat(txn, tables->dbi[TABLE_QUEUE], &stat), 0);
    mdb_txn_abort(txn);
    ck_assert_uint_eq(stat.ms_entries, 4 * 30 * each);
    // 8 bytes of header and 2 of index for each entry, and 26 that are ours.
    size_t full = stat.ms_entries * 36 / stat.ms_psize;
    ck_assert_msg(stat.ms_leaf_pages * 10 < full * 11, "%zu pages, %zu would do",
                  stat.ms_leaf_pages, full);
}
END_TEST

// A run over entries that are there already: what is lifted off the page must not come back over
// what the run has put there.
START_TEST(a_run_over_what_is_there_is_newer)
{
    sessions_add(2);
    for (uint64_t id = 500; id < 700; id++)
        queue_add("c0", id, 1);
    for (uint64_t id = 1; id <= 500; id++)
        queue_add("c1", id, 2);
    apply();
    for (uint64_t id = 1; id <= 2000; id++)
        queue_add("c0", id, 3);
    apply();
    expect_queue("c0", 1, 2000, 3);
    expect_queue("c1", 1, 500, 2);
    // And one in front of what stays.
    for (uint64_t id = 2500; id <= 2600; id++)
        queue_add("c0", id, 3);
    apply();
    for (uint64_t id = 2001; id < 2500; id++)
        queue_add("c0", id, 3);
    apply();
    expect_queue("c0", 1, 2600, 3);
    expect_queue("c1", 1, 500, 2);
    ck_assert_msg(tables_check(tables, &err) == 0, "%s", err.sentence);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables_dictionaries");
    TCase *tests = tcase_create("tables_dictionaries");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, messages_that_are_alike_bring_about_a_dictionary);
    tcase_add_test(tests, an_old_dictionary_goes_with_its_last_message);
    tcase_add_test(tests, a_message_that_is_put_again_needs_another_dictionary);
    tcase_add_test(tests, a_view_keeps_the_dictionary_of_its_picture);
    tcase_add_test(tests, a_missing_dictionary_is_named);
    tcase_add_test(tests, a_damaged_dictionary_is_named);
    tcase_add_test(tests, a_damaged_message_takes_no_dictionary_along);
    tcase_add_test(tests, the_map_may_grow_while_a_dictionary_comes_into_use);
    tcase_add_test(tests, ids_go_round_past_those_that_are_kept);
    tcase_add_test(tests, no_more_dictionaries_than_are_counted);
    tcase_add_test(tests, all_messages_can_be_stored_anew);
    tcase_add_test(tests, a_walk_ahead_goes_in_order_and_ends_where_it_should);
    tcase_add_test(tests, a_walk_ahead_serves_what_is_before_damage_and_names_it);
    tcase_add_test(tests, a_walk_ahead_gives_large_messages_too);
    tcase_add_test(tests, queues_that_grow_side_by_side_fill_their_pages);
    tcase_add_test(tests, a_run_over_what_is_there_is_newer);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
