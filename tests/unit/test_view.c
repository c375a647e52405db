// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a view gives: order, narrowing, single entries, a picture that stays, damage by name, and
// strings and payloads of any size.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_internal.h"
#include "store/values.h"
#include "support.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
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
                                     .map_bytes = 32u << 20,
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

static void add(const struct event *event)
{
    ck_assert_msg(fold_add(fold, event, &err) == 0, "%s", err.sentence);
}

// Applies what was added and opens a new view.
static void look(void)
{
    static uint64_t position;
    store_view_close(view);
    view = NULL;
    ck_assert_msg(tables_apply(tables, fold, ++position, false, &err) == 0, "%s", err.sentence);
    fold_clear(fold);
    ck_assert_msg(tables_view_open(&view, tables, &err) == 0, "%s", err.sentence);
}

static void session_add(struct span client)
{
    add(&(struct event){.type = RECORD_SESSION_ADD, .session = {.client_id = client}});
}

static void queue_add(struct span client, uint8_t direction, uint64_t cmsg_id)
{
    add(&(struct event){.type = RECORD_QUEUE_ADD,
                        .queued = {.client_id = client,
                                   .direction = direction,
                                   .cmsg_id = cmsg_id,
                                   .store_id = 1000 - cmsg_id}});
}

static void subscribe(struct span client, struct span filter)
{
    add(&(struct event){.type = RECORD_SUBSCRIPTION_ADD,
                        .subscription = {.client_id = client, .topic_filter = filter}});
}

// ---- order ---------------------------------------------------------------------------------

struct list {
    char text[1024];
    unsigned count;
    unsigned stop_after;
};

static int list_add(struct list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int list_add(struct list *list, const char *format, ...)
{
    va_list args;
    size_t used = strlen(list->text);
    va_start(args, format);
    vsnprintf(list->text + used, sizeof(list->text) - used, format, args);
    va_end(args);
    return ++list->count == list->stop_after ? 4711 : 0;
}

#define TEXT(span) (int)((span).len < 10 ? (span).len : 10), (const char *)(span).data

static int list_session(void *user, const struct session *session)
{
    return list_add(user, "%.*s ", TEXT(session->client_id));
}

static int list_subscription(void *user, const struct subscription *s)
{
    return list_add(user, "%.*s:%.*s ", TEXT(s->client_id), TEXT(s->topic_filter));
}

static int list_message(void *user, const struct message *message)
{
    return list_add(user, "%d ", (int)message->store_id);
}

static int list_queued(void *user, const struct queued *q)
{
    return list_add(user, "%.*s:%s%d ", TEXT(q->client_id), q->direction == QUEUE_IN ? "in" : "out",
                    (int)q->cmsg_id);
}

static int list_retained(void *user, const struct retained *retained)
{
    return list_add(user, "%.*s ", TEXT(retained->topic));
}

static int list_will(void *user, const struct will *will)
{
    return list_add(user, "%.*s ", TEXT(will->client_id));
}

static const struct span all = {NULL, 0};

#define WALK(expected, call)                            \
    do {                                                \
        struct list list = {.count = 0};                \
        ck_assert_msg((call) == 0, "%s", err.sentence); \
        ck_assert_str_eq(list.text, expected);          \
    } while (0)

// Three clients, the last to come is the first in order; one has more than one of everything.
static void fill(void)
{
    static const char *const clients[] = {"zoe", "bob", "anna"};
    static const char *const topics[] = {"b", "a/b", "a"};
    for (int i = 0; i < 3; i++) {
        struct span client = span_str(clients[i]);
        session_add(client);
        subscribe(client, span_str("x/#"));
        queue_add(client, QUEUE_OUT, (uint64_t)(10 + i));
        add(&(struct event){.type = RECORD_WILL_SET, .will = {.client_id = client}});
        add(&(struct event){.type = RECORD_RETAINED_SET, .retained = {span_str(topics[i]), 5}});
        add(&(struct event){.type = RECORD_MESSAGE_ADD,
                            .message = {.store_id = (uint64_t)(300 - 100 * i)}});
    }
    subscribe(span_str("bob"), span_str("c"));
    subscribe(span_str("bob"), span_str("+"));
    queue_add(span_str("bob"), QUEUE_OUT, 256);
    queue_add(span_str("bob"), QUEUE_OUT, 9);
    queue_add(span_str("bob"), QUEUE_IN, 1000);
}

START_TEST(walks_go_in_order)
{
    fill();
    look();
    WALK("anna bob zoe ", store_each_session(view, list_session, &list, &err));
    WALK("anna:x/# bob:+ bob:c bob:x/# zoe:x/# ",
         store_each_subscription(view, all, list_subscription, &list, &err));
    WALK("100 200 300 ", store_each_message(view, list_message, &list, &err));
    WALK("anna:out12 bob:in1000 bob:out9 bob:out11 bob:out256 zoe:out10 ",
         store_each_queued(view, all, list_queued, &list, &err));
    WALK("a a/b b ", store_each_retained(view, list_retained, &list, &err));
    WALK("anna bob zoe ", store_each_will(view, list_will, &list, &err));
}
END_TEST

START_TEST(a_walk_can_be_narrowed_to_a_client)
{
    fill();
    look();
    WALK("bob:+ bob:c bob:x/# ",
         store_each_subscription(view, span_str("bob"), list_subscription, &list, &err));
    WALK("zoe:out10 ", store_each_queued(view, span_str("zoe"), list_queued, &list, &err));
    WALK("", store_each_queued(view, span_str("nobody"), list_queued, &list, &err));
    WALK("", store_each_subscription(view, span_str(""), list_subscription, &list, &err));
}
END_TEST

START_TEST(an_empty_store_has_nothing_to_walk)
{
    look();
    WALK("", store_each_session(view, list_session, &list, &err));
    WALK("", store_each_subscription(view, all, list_subscription, &list, &err));
    WALK("", store_each_message(view, list_message, &list, &err));
    WALK("", store_each_queued(view, all, list_queued, &list, &err));
    WALK("", store_each_retained(view, list_retained, &list, &err));
    WALK("", store_each_will(view, list_will, &list, &err));
}
END_TEST

START_TEST(a_callback_ends_a_walk_with_its_own_value)
{
    fill();
    look();
    for (int walk = 0; walk < 6; walk++) {
        struct list list = {.stop_after = 2};
        int rc = walk == 0   ? store_each_session(view, list_session, &list, &err)
                 : walk == 1 ? store_each_subscription(view, all, list_subscription, &list, &err)
                 : walk == 2 ? store_each_message(view, list_message, &list, &err)
                 : walk == 3 ? store_each_queued(view, all, list_queued, &list, &err)
                 : walk == 4 ? store_each_retained(view, list_retained, &list, &err)
                             : store_each_will(view, list_will, &list, &err);
        ck_assert_int_eq(rc, 4711);
        ck_assert_uint_eq(list.count, 2);
    }
}
END_TEST

// ---- single entries ------------------------------------------------------------------------

START_TEST(single_entries_are_found)
{
    struct session session;
    struct message message;
    struct retained retained;
    struct will will;
    fill();
    look();
    char name[] = "bob";
    ck_assert_int_eq(store_get_session(view, span_str(name), &session, &err), 0);
    ck_assert_int_eq(store_get_will(view, span_str(name), &will, &err), 0);
    ck_assert_int_eq(store_get_retained(view, span_str("a/b"), &retained, &err), 0);
    ck_assert_int_eq(store_get_message(view, 200, &message, &err), 0);
    // What they give does not lie in what was asked with.
    memset(name, 'x', 3);
    ck_assert(span_equal(session.client_id, span_str("bob")));
    ck_assert(span_equal(will.client_id, span_str("bob")));
    ck_assert(span_equal(retained.topic, span_str("a/b")));
    ck_assert_uint_eq(retained.store_id, 5);
    ck_assert_uint_eq(message.store_id, 200);
}
END_TEST

START_TEST(what_is_not_there_is_named)
{
    struct session session = {.max_qos = 99};
    struct message message;
    struct retained retained;
    struct will will;
    fill();
    look();
    ck_assert_int_eq(store_get_session(view, span_str("bo"), &session, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "sessions: there is no \"bo\"");
    ck_assert_uint_eq(session.max_qos, 99);
    ck_assert_int_eq(store_get_message(view, 201, &message, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "messages: there is no 201");
    ck_assert_int_eq(store_get_retained(view, span_str("a/"), &retained, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "retained: there is no \"a/\"");
    ck_assert_int_eq(store_get_will(view, span_str(""), &will, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "wills: there is no \"\"");
}
END_TEST

// ---- sizes ---------------------------------------------------------------------------------

START_TEST(strings_of_any_length_are_kept)
{
    static char longest[65535];
    static const uint32_t lengths[] = {0, 1, 479, 480, 481, 511, 512, 4096, 65535};
    enum { COUNT = sizeof(lengths) / sizeof(lengths[0]) };
    struct list seen = {.count = 0};
    memset(longest, 'x', sizeof(longest));
    for (int i = 0; i < COUNT; i++) {
        struct span name = span_of(longest, lengths[i]);
        add(&(struct event){.type = RECORD_SESSION_ADD,
                            .session = {name, .username = name, .auth_method = name}});
        subscribe(name, name);
        queue_add(name, QUEUE_OUT, 7);
        add(&(struct event){.type = RECORD_WILL_SET,
                            .will = {name, name, name, name, .username = name}});
        add(&(struct event){.type = RECORD_RETAINED_SET, .retained = {name, lengths[i]}});
        add(&(struct event){.type = RECORD_MESSAGE_ADD,
                            .message = {.store_id = lengths[i],
                                        .topic = name,
                                        .payload = name,
                                        .properties = name,
                                        .source_id = name,
                                        .source_username = name}});
    }
    look();
    for (int i = 0; i < COUNT; i++) {
        struct span name = span_of(longest, lengths[i]);
        struct session session;
        struct message message;
        struct retained retained;
        struct will will;
        ck_assert_int_eq(store_get_session(view, name, &session, &err), 0);
        ck_assert(span_equal(session.client_id, name) && span_equal(session.username, name) &&
                  span_equal(session.auth_method, name));
        ck_assert_int_eq(store_get_retained(view, name, &retained, &err), 0);
        ck_assert(span_equal(retained.topic, name) && retained.store_id == lengths[i]);
        ck_assert_int_eq(store_get_will(view, name, &will, &err), 0);
        ck_assert(span_equal(will.client_id, name) && span_equal(will.topic, name) &&
                  span_equal(will.payload, name) && span_equal(will.properties, name) &&
                  span_equal(will.username, name));
        ck_assert_int_eq(store_get_message(view, lengths[i], &message, &err), 0);
        ck_assert(span_equal(message.topic, name) && span_equal(message.payload, name) &&
                  span_equal(message.properties, name) && span_equal(message.source_id, name) &&
                  span_equal(message.source_username, name));
        ck_assert_int_eq(store_each_subscription(view, name, list_subscription, &seen, &err), 0);
        ck_assert_int_eq(store_each_queued(view, name, list_queued, &seen, &err), 0);
    }
    ck_assert_uint_eq(seen.count, 2 * COUNT);

    for (int i = 0; i < COUNT; i++) {
        struct span name = span_of(longest, lengths[i]);
        add(&(struct event){.type = RECORD_SESSION_DELETE, .connection = {.client_id = name}});
        add(&(struct event){.type = RECORD_RETAINED_DELETE, .retained = {name, 0}});
    }
    look();
    WALK("", store_each_session(view, list_session, &list, &err));
    WALK("", store_each_retained(view, list_retained, &list, &err));
    WALK("", store_each_will(view, list_will, &list, &err));
}
END_TEST

// Plain and as a frame, larger than the map was at first.
START_TEST(a_large_payload_is_kept)
{
    const uint32_t len = 40u << 20;
    uint8_t *payload = malloc(len);
    uint64_t seed = 1;
    struct message message;
    ck_assert_ptr_nonnull(payload);
    for (uint32_t i = 0; i < len; i++)
        payload[i] = _i ? (uint8_t)(i >> 12) : (uint8_t)seed_next(&seed, 256);
    add(&(struct event){.type = RECORD_MESSAGE_ADD,
                        .message = {.store_id = 1, .payload = span_of(payload, len)}});
    look();
    ck_assert_msg(store_get_message(view, 1, &message, &err) == 0, "%s", err.sentence);
    ck_assert(span_equal(message.payload, span_of(payload, len)));
    free(payload);
}
END_TEST

// ---- a picture that stays ------------------------------------------------------------------

START_TEST(a_view_does_not_see_what_comes_later)
{
    struct store_view *before;
    fill();
    look();
    before = view;
    view = NULL;
    add(&(struct event){.type = RECORD_SESSION_DELETE,
                        .connection = {.client_id = span_str("bob")}});
    for (uint64_t i = 1; i < 400; i++)
        add(&(struct event){.type = RECORD_MESSAGE_ADD, .message = {.store_id = 1000 + i}});
    look();
    struct list seen = {.count = 0};
    ck_assert_int_eq(store_each_message(before, list_message, &seen, &err), 0);
    ck_assert_str_eq(seen.text, "100 200 300 ");
    seen = (struct list){.count = 0};
    ck_assert_int_eq(store_each_queued(before, span_str("bob"), list_queued, &seen, &err), 0);
    ck_assert_str_eq(seen.text, "bob:in1000 bob:out9 bob:out11 bob:out256 ");
    store_view_close(before);
    WALK("anna zoe ", store_each_session(view, list_session, &list, &err));
    WALK("", store_each_queued(view, span_str("bob"), list_queued, &list, &err));
}
END_TEST

// A callback may ask for more: what it was given stays.
static int join_queued(void *user, const struct queued *queued)
{
    struct session session;
    struct message message;
    char before[10];
    snprintf(before, sizeof(before), "%.*s", TEXT(queued->client_id));
    ck_assert_int_eq(store_get_session(view, queued->client_id, &session, &err), 0);
    ck_assert_int_eq(store_get_message(view, queued->store_id, &message, &err), 0);
    ck_assert(span_equal(message.payload, span_str("0123456789012345678901234567890123456789"
                                                   "0123456789012345678901234567890123456789")));
    ck_assert(span_equal(queued->client_id, span_str(before)));
    ck_assert(span_equal(session.client_id, queued->client_id));
    return list_add(user, "%d ", (int)message.store_id);
}

START_TEST(a_walk_may_look_up_other_entries)
{
    session_add(span_str("bob"));
    for (uint64_t i = 1; i < 5; i++) {
        queue_add(span_str("bob"), QUEUE_OUT, i);
        add(&(struct event){
            .type = RECORD_MESSAGE_ADD,
            .message = {.store_id = 1000 - i,
                        .payload = span_str("0123456789012345678901234567890123456789"
                                            "0123456789012345678901234567890123456"
                                            "789")}});
    }
    look();
    WALK("999 998 997 996 ", store_each_queued(view, all, join_queued, &list, &err));
}
END_TEST

// ---- damage --------------------------------------------------------------------------------

// Changes the first value of a table behind the library's back.
static void damage(enum table table, uint32_t offset_from_end)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t copy[512];
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_cursor_open(txn, tables->dbi[table], &cursor), 0);
    ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    ck_assert_uint_le(value.mv_size, sizeof(copy));
    memcpy(copy, value.mv_data, value.mv_size);
    copy[value.mv_size - offset_from_end] ^= 1;
    value.mv_data = copy;
    ck_assert_int_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
}

#define DAMAGED(sentence_, call)                    \
    do {                                            \
        struct list list = {.count = 0};            \
        (void)list;                                 \
        memset(&err, 0, sizeof(err));               \
        ck_assert_int_eq((call), STORE_EDAMAGED);   \
        ck_assert_int_eq(err.code, STORE_EDAMAGED); \
        ck_assert_str_eq(err.sentence, sentence_);  \
    } while (0)

START_TEST(damage_is_named_and_never_served)
{
    static const enum table damaged[] = {TABLE_SESSIONS, TABLE_SUBSCRIPTIONS, TABLE_MESSAGES,
                                         TABLE_QUEUE,    TABLE_RETAINED,      TABLE_WILLS};
    struct session session;
    struct message message;
    struct retained retained;
    struct will will;
    session_add(span_str("anna"));
    subscribe(span_str("anna"), span_str("x/#"));
    queue_add(span_str("anna"), QUEUE_OUT, 12);
    add(&(struct event){.type = RECORD_MESSAGE_ADD, .message = {.store_id = 100}});
    add(&(struct event){.type = RECORD_RETAINED_SET, .retained = {span_str("a\n"), 5}});
    add(&(struct event){.type = RECORD_WILL_SET, .will = {.client_id = span_str("anna")}});
    look();
    store_view_close(view);
    view = NULL;
    for (size_t i = 1; i < sizeof(damaged) / sizeof(damaged[0]); i++)
        damage(damaged[i], 1);
    ck_assert_int_eq(tables_view_open(&view, tables, &err), 0);

    DAMAGED("subscriptions: key session 1 \"x/#\": checksum does not match; this subscription is "
            "lost",
            store_each_subscription(view, all, list_subscription, &list, &err));
    DAMAGED("messages: key 100: checksum does not match; this message is lost",
            store_each_message(view, list_message, &list, &err));
    DAMAGED("messages: key 100: checksum does not match; this message is lost",
            store_get_message(view, 100, &message, &err));
    DAMAGED("queue: key session 1 out 12: checksum does not match; this queued message is lost",
            store_each_queued(view, span_str("anna"), list_queued, &list, &err));
    DAMAGED("retained: key \"a\\x0a\": checksum does not match; this retained message is lost",
            store_each_retained(view, list_retained, &list, &err));
    DAMAGED("retained: key \"a\\x0a\": checksum does not match; this retained message is lost",
            store_get_retained(view, span_str("a\n"), &retained, &err));
    DAMAGED("wills: key \"anna\": checksum does not match; this will is lost",
            store_each_will(view, list_will, &list, &err));
    DAMAGED("wills: key \"anna\": checksum does not match; this will is lost",
            store_get_will(view, span_str("anna"), &will, &err));

    store_view_close(view);
    view = NULL;
    damage(TABLE_SESSIONS, 9);
    ck_assert_int_eq(tables_view_open(&view, tables, &err), 0);
    const char *sentence = "sessions: key \"anna\": checksum does not match; this session is lost";
    DAMAGED(sentence, store_each_session(view, list_session, &list, &err));
    DAMAGED(sentence, store_get_session(view, span_str("anna"), &session, &err));
    DAMAGED(sentence, store_each_queued(view, all, list_queued, &list, &err));
    DAMAGED(sentence, store_each_queued(view, span_str("anna"), list_queued, &list, &err));
}
END_TEST

// A value whose checksum is right and whose payload is not: written so by a mistake, not by a disk.
START_TEST(a_frame_that_cannot_be_unpacked_is_damage)
{
    static const struct {
        struct stored_message stored;
        const char *sentence;
    } cases[] = {
        {{.content = {"no frame at all", 15}},
         "messages: key 1: the frame states no size, or more than MQTT allows; this message is "
         "lost"},
        // One byte of size, 100, and a block that is not there.
        {{.content = {"\x20\x64\xff\xff", 4}},
         "messages: key 1: the content cannot be decompressed; this message is lost"},
        // Four bytes of size, 16 MiB.
        {{.content = {"\xa0\x00\x00\x00\x01\x01\x00\x00", 8}},
         "messages: key 1: the frame is too short for the size that it states; this message is "
         "lost"},
        // A block of three bytes, in place of the four that are stated.
        {{.content = {"\x20\x04\x19\x00\x00zzz", 8}},
         "messages: key 1: the content cannot be decompressed; this message is lost"},
        // A whole frame around a content that is none.
        {{.content = {"\x20\x03\x19\x00\x00\xff\x00\x00", 8}},
         "messages: key 1: unknown flags; this message is lost"},
        {{.content = {"needs a dictionary", 18}, .dictionary = 3},
         "messages: key 1: it needs dictionary 3, which is not there; this message is lost"},
    };
    struct key key;
    uint8_t bytes[200];
    MDB_txn *txn;
    struct message message;
    struct stored_message stored = cases[_i].stored;
    stored.compressed = true;
    key_of_message(&key, 1);
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value = {value_message_bytes(&stored), bytes};
    value_message_encode(&stored, key_span(&key), bytes);
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_put(txn, tables->dbi[TABLE_MESSAGES], &key_val, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    look();
    DAMAGED(cases[_i].sentence, store_get_message(view, 1, &message, &err));
    DAMAGED(cases[_i].sentence, store_each_message(view, list_message, &list, &err));
}
END_TEST

START_TEST(a_string_under_anothers_key_is_damage)
{
    static char name[600];
    static char other[600];
    struct key key;
    struct retained retained;
    uint8_t bytes[700];
    MDB_txn *txn;
    memset(name, 'x', sizeof(name));
    memset(other, 'x', sizeof(other));
    other[599] = 'y';
    retained = (struct retained){span_of(other, sizeof(other)), 1};
    key_of_string(&key, tables->secret, span_of(name, sizeof(name)));
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value = {value_retained_bytes(&retained), bytes};
    value_retained_encode(&retained, key_span(&key), bytes);
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_put(txn, tables->dbi[TABLE_RETAINED], &key_val, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    look();
    ck_assert_int_eq(store_get_retained(view, span_of(name, sizeof(name)), &retained, &err),
                     STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "another string lies under the same key"));

    // Nor is it overwritten.
    add(&(struct event){.type = RECORD_RETAINED_SET, .retained = {span_of(name, sizeof(name)), 2}});
    ck_assert_int_eq(tables_apply(tables, fold, 99, false, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "another string lies under the same key"));
    ck_assert_int_eq(tables_apply(tables, fold, 99, false, &err), STORE_EIO);
}
END_TEST

// Behind the entries of the last session.
START_TEST(a_key_that_is_too_short_ends_a_narrowed_walk)
{
    MDB_txn *txn;
    MDB_val key = {1, "\xff"}, value = {1, ""};
    fill();
    look();
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_put(txn, tables->dbi[TABLE_SUBSCRIPTIONS], &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    store_view_close(view);
    ck_assert_int_eq(tables_view_open(&view, tables, &err), 0);
    WALK("anna:x/# ",
         store_each_subscription(view, span_str("anna"), list_subscription, &list, &err));
    struct list list = {.count = 0};
    ck_assert_int_eq(store_each_subscription(view, all, list_subscription, &list, &err),
                     STORE_EDAMAGED);
}
END_TEST

// Turns the order of a table's entries round, of which all lie in one page.
static void reverse_page(enum table table)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, value;
    MDB_stat stat;
    uint16_t places[64];
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, MDB_RDONLY, &txn), 0);
    ck_assert_int_eq(mdb_stat(txn, tables->dbi[table], &stat), 0);
    ck_assert_uint_eq(stat.ms_leaf_pages, 1);
    ck_assert_int_eq(mdb_cursor_open(txn, tables->dbi[table], &cursor), 0);
    ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    // A page begins with its number (8 bytes); at 16 begin the places of its entries.
    uint8_t *page = (uint8_t *)((uintptr_t)key.mv_data & ~((uintptr_t)stat.ms_psize - 1));
    uint64_t number;
    memcpy(&number, page, sizeof(number));
    ck_assert_uint_le(stat.ms_entries, 64);
    for (size_t i = 0; i < stat.ms_entries; i++)
        memcpy(&places[i], page + 16 + 2 * (stat.ms_entries - 1 - i), 2);
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    file_overwrite(path_in(folder, "data.mdb"), number * stat.ms_psize + 16, places,
                   2 * stat.ms_entries);
}

static void count_damage(void *user, const struct store_error *told)
{
    struct list *damages = user;
    list_add(damages, "%s\n", told->sentence);
}

// Each of its entries but the first is out of its place.
START_TEST(a_page_in_reverse_order_is_told_once)
{
    struct list damages = {.count = 0};
    for (uint64_t id = 1; id <= 9; id++)
        add(&(struct event){.type = RECORD_MESSAGE_ADD, .message = {.store_id = id}});
    look();
    store_view_close(view);
    view = NULL;
    reverse_page(TABLE_MESSAGES);
    ck_assert_int_eq(tables_view_open(&view, tables, &err), 0);
    DAMAGED("messages: key 9: a search for it does not find it; this message is lost",
            store_each_message(view, list_message, &list, &err));
    store_view_pass_damage(view, count_damage, &damages);
    WALK("9 8 7 6 5 4 3 2 1 ", store_each_message(view, list_message, &list, &err));
    ck_assert_uint_eq(damages.count, 1);
    ck_assert_str_eq(damages.text,
                     "messages: key 9: a search for it does not find it; this message "
                     "is lost\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view");
    TCase *tests = tcase_create("view");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, walks_go_in_order);
    tcase_add_test(tests, a_walk_can_be_narrowed_to_a_client);
    tcase_add_test(tests, an_empty_store_has_nothing_to_walk);
    tcase_add_test(tests, a_callback_ends_a_walk_with_its_own_value);
    tcase_add_test(tests, single_entries_are_found);
    tcase_add_test(tests, what_is_not_there_is_named);
    tcase_add_test(tests, strings_of_any_length_are_kept);
    tcase_add_loop_test(tests, a_large_payload_is_kept, 0, 2);
    tcase_add_test(tests, a_view_does_not_see_what_comes_later);
    tcase_add_test(tests, a_walk_may_look_up_other_entries);
    tcase_add_test(tests, damage_is_named_and_never_served);
    tcase_add_loop_test(tests, a_frame_that_cannot_be_unpacked_is_damage, 0, 6);
    tcase_add_test(tests, a_string_under_anothers_key_is_damage);
    tcase_add_test(tests, a_key_that_is_too_short_ends_a_narrowed_walk);
    tcase_add_test(tests, a_page_in_reverse_order_is_told_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
