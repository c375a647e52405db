// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Every kind of value through the same tests: random ones come back, no damaged one does. SEED=n
// repeats a run.
#include "store/value_bytes.h"
#include "store/values.h"
#include "support.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t secret[KEY_SECRET_BYTES] = {7, 1, 2, 3};
static uint64_t seed;

struct sample {
    struct key key;
    uint8_t *value; // in memory of exactly its size, so that a sanitizer sees a read beyond
    size_t len;
};

static void sample_make(struct sample *sample, size_t len)
{
    free(sample->value);
    sample->value = malloc(len ? len : 1);
    ck_assert_ptr_nonnull(sample->value);
    sample->len = len;
}

static struct span sample_value(const struct sample *sample)
{
    return span_of(sample->value, sample->len);
}

// Absent, empty, short or, if `longest` allows, longer than any key.
static struct span any_string(uint32_t longest)
{
    static uint8_t bytes[70000];
    static size_t at;
    if (seed_next(&seed, 6) == 0)
        return span_str(NULL);
    uint32_t len = seed_next(&seed, 4) ? seed_next(&seed, 40) : seed_next(&seed, longest + 1);
    if (at + len > sizeof(bytes))
        at = 0;
    for (uint32_t i = 0; i < len; i++)
        bytes[at + i] = (uint8_t)seed_next(&seed, 256);
    struct span string = span_of(bytes + at, len);
    at += len;
    return string;
}

// A string of a key: never absent.
static struct span any_name(uint32_t longest)
{
    struct span name = any_string(longest);
    return name.data ? name : span_str("");
}

static bool span_same(struct span a, struct span b)
{
    return (a.data == NULL) == (b.data == NULL) && span_equal(a, b);
}

static int64_t any_time(void)
{
    return seed_next(&seed, 3) ? (int64_t)seed_next(&seed, UINT32_MAX) << seed_next(&seed, 31) : 0;
}

// What a kind's decoder says of key and value.
typedef const char *decode_fn(struct span key, struct span value);
// A random value of a kind, encoded, decoded and compared.
typedef void round_trip_fn(struct sample *sample);

static const char *session_decode(struct span key, struct span value)
{
    struct session session;
    return value_session_decode(key, value, &session);
}

static void session_round_trip(struct sample *sample)
{
    struct session in = {.client_id = any_name(2000),
                         .username = any_string(2000),
                         .auth_method = any_string(50),
                         .session_expiry_time = any_time(),
                         .will_delay_time = any_time(),
                         .changed_time_ms = any_time(),
                         .session_expiry_interval = seed_next(&seed, UINT32_MAX),
                         .will_delay_interval = seed_next(&seed, UINT32_MAX),
                         .max_packet_size = seed_next(&seed, UINT32_MAX),
                         .listener_port = (uint16_t)seed_next(&seed, 65536),
                         .max_qos = (uint8_t)seed_next(&seed, 3),
                         .retain_available = seed_next(&seed, 2),
                         .connected = seed_next(&seed, 2),
                         .number = 1 + seed_next(&seed, 1000)};
    struct session out;
    key_of_string(&sample->key, secret, in.client_id);
    sample_make(sample, value_session_bytes(&in));
    value_session_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(value_session_decode(key_span(&sample->key), sample_value(sample), &out));
    ck_assert(span_same(in.client_id, out.client_id));
    ck_assert(span_same(in.username, out.username));
    ck_assert(span_same(in.auth_method, out.auth_method));
    ck_assert_int_eq(in.session_expiry_time, out.session_expiry_time);
    ck_assert_int_eq(in.will_delay_time, out.will_delay_time);
    ck_assert_int_eq(in.changed_time_ms, out.changed_time_ms);
    ck_assert_uint_eq(in.session_expiry_interval, out.session_expiry_interval);
    ck_assert_uint_eq(in.will_delay_interval, out.will_delay_interval);
    ck_assert_uint_eq(in.max_packet_size, out.max_packet_size);
    ck_assert_uint_eq(in.listener_port, out.listener_port);
    ck_assert_uint_eq(in.max_qos, out.max_qos);
    ck_assert_int_eq(in.retain_available, out.retain_available);
    ck_assert_int_eq(in.connected, out.connected);
    ck_assert_uint_eq(in.number, out.number);
}

static const char *subscription_decode(struct span key, struct span value)
{
    struct subscription subscription;
    uint64_t session;
    return value_subscription_decode(key, value, &session, &subscription);
}

static void subscription_round_trip(struct sample *sample)
{
    struct subscription in = {.topic_filter = any_name(2000),
                              .identifier = seed_next(&seed, 268435456),
                              .options = (uint8_t)seed_next(&seed, 256)};
    struct subscription out;
    uint64_t number = seed_next(&seed, UINT32_MAX);
    uint64_t session;
    key_of_subscription(&sample->key, secret, number, in.topic_filter);
    sample_make(sample, value_subscription_bytes(&in));
    value_subscription_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(
        value_subscription_decode(key_span(&sample->key), sample_value(sample), &session, &out));
    ck_assert_uint_eq(session, number);
    ck_assert_ptr_null(out.client_id.data);
    ck_assert(span_same(in.topic_filter, out.topic_filter));
    ck_assert_uint_eq(in.identifier, out.identifier);
    ck_assert_uint_eq(in.options, out.options);
}

static const char *message_decode(struct span key, struct span value)
{
    struct stored_message stored;
    return value_message_decode(key, value, &stored);
}

static void content_compare(const struct message *a, const struct message *b)
{
    ck_assert(span_same(a->topic, b->topic));
    ck_assert(span_same(a->payload, b->payload));
    ck_assert(span_same(a->properties, b->properties));
    ck_assert(span_same(a->source_id, b->source_id));
    ck_assert(span_same(a->source_username, b->source_username));
    ck_assert_uint_eq(a->source_port, b->source_port);
}

static void message_compare(const struct stored_message *in, const struct stored_message *out)
{
    const struct message *a = &in->message;
    const struct message *b = &out->message;
    ck_assert_uint_eq(a->store_id, b->store_id);
    ck_assert_int_eq(a->expiry_time, b->expiry_time);
    ck_assert_uint_eq(a->source_mid, b->source_mid);
    ck_assert_uint_eq(a->qos, b->qos);
    ck_assert_int_eq(a->retain, b->retain);
    ck_assert_uint_eq(in->dictionary, out->dictionary);
    ck_assert_int_eq(in->compressed, out->compressed);
    if (in->compressed)
        ck_assert(span_same(in->content, out->content));
}

static void message_round_trip(struct sample *sample)
{
    struct stored_message in = {.message = {.store_id = seed_next(&seed, UINT32_MAX),
                                            .expiry_time = any_time(),
                                            .topic = any_string(2000),
                                            .payload = any_string(3000),
                                            .properties = any_string(300),
                                            .source_id = any_string(2000),
                                            .source_username = any_string(50),
                                            .source_mid = (uint16_t)seed_next(&seed, 65536),
                                            .source_port = (uint16_t)seed_next(&seed, 65536),
                                            .qos = (uint8_t)seed_next(&seed, 3),
                                            .retain = seed_next(&seed, 2)}};
    struct stored_message out;
    if (seed_next(&seed, 2)) {
        in.compressed = true;
        in.content = any_name(3000);
        in.dictionary = (uint16_t)seed_next(&seed, 3);
    }
    key_of_message(&sample->key, in.message.store_id);
    sample_make(sample, value_message_bytes(&in));
    value_message_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(value_message_decode(key_span(&sample->key), sample_value(sample), &out));
    message_compare(&in, &out);
    if (!in.compressed)
        content_compare(&in.message, &out.message);
    ck_assert_ptr_null(
        value_message_decode_head(key_span(&sample->key), sample_value(sample), &out));
    message_compare(&in, &out);
    if (!in.compressed)
        ck_assert_uint_eq(out.content.len, value_content_bytes(&in.message));
}

static const char *dictionary_decode(struct span key, struct span value)
{
    struct dictionary dictionary;
    return value_dictionary_decode(key, value, &dictionary);
}

static void dictionary_round_trip(struct sample *sample)
{
    static uint8_t bytes[1000] = {0x37, 0xa4, 0x30, 0xec};
    struct dictionary in = {.bytes = span_of(bytes, 9 + seed_next(&seed, 900)),
                            .id = (uint16_t)(1 + seed_next(&seed, 65535)),
                            .trained_ms = any_time(),
                            .samples = seed_next(&seed, UINT32_MAX),
                            .trial_bytes = seed_next(&seed, UINT32_MAX),
                            .before_bytes = seed_next(&seed, UINT32_MAX),
                            .after_bytes = seed_next(&seed, UINT32_MAX)};
    struct dictionary out;
    key_of_dictionary(&sample->key, in.id);
    sample_make(sample, value_dictionary_bytes(&in));
    value_dictionary_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(value_dictionary_decode(key_span(&sample->key), sample_value(sample), &out));
    ck_assert(span_same(in.bytes, out.bytes));
    ck_assert_uint_eq(in.id, out.id);
    ck_assert_int_eq(in.trained_ms, out.trained_ms);
    ck_assert_uint_eq(in.samples, out.samples);
    ck_assert_uint_eq(in.trial_bytes, out.trial_bytes);
    ck_assert_uint_eq(in.before_bytes, out.before_bytes);
    ck_assert_uint_eq(in.after_bytes, out.after_bytes);
}

static const char *queued_decode(struct span key, struct span value)
{
    struct queued queued;
    uint64_t session;
    return value_queued_decode(key, value, &session, &queued);
}

static void queued_round_trip(struct sample *sample)
{
    struct queued in = {.cmsg_id = (uint64_t)seed_next(&seed, UINT32_MAX) << 20,
                        .store_id = (uint64_t)seed_next(&seed, UINT32_MAX) << 31,
                        .subscription_identifier =
                            seed_next(&seed, 2) ? seed_next(&seed, UINT32_MAX) : 0,
                        .mid = (uint16_t)seed_next(&seed, 65536),
                        .direction = (uint8_t)seed_next(&seed, 2),
                        .qos = (uint8_t)seed_next(&seed, 3),
                        .state = (uint8_t)seed_next(&seed, 256),
                        .dup = (uint8_t)(seed_next(&seed, 2) ? seed_next(&seed, 256) : 0),
                        .retain = seed_next(&seed, 2)};
    struct queued out;
    uint64_t number = seed_next(&seed, UINT32_MAX);
    uint64_t session;
    key_of_queued(&sample->key, number, in.direction, in.cmsg_id);
    sample_make(sample, value_queued_bytes(&in));
    ck_assert_uint_le(sample->len, VALUE_QUEUED_MAX_BYTES);
    value_queued_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(
        value_queued_decode(key_span(&sample->key), sample_value(sample), &session, &out));
    ck_assert_uint_eq(session, number);
    ck_assert_ptr_null(out.client_id.data);
    ck_assert_uint_eq(in.cmsg_id, out.cmsg_id);
    ck_assert_uint_eq(in.store_id, out.store_id);
    ck_assert_uint_eq(in.subscription_identifier, out.subscription_identifier);
    ck_assert_uint_eq(in.mid, out.mid);
    ck_assert_uint_eq(in.direction, out.direction);
    ck_assert_uint_eq(in.qos, out.qos);
    ck_assert_uint_eq(in.state, out.state);
    ck_assert_uint_eq(in.dup, out.dup);
    ck_assert_int_eq(in.retain, out.retain);
}

static const char *retained_decode(struct span key, struct span value)
{
    struct retained retained;
    return value_retained_decode(key, value, &retained);
}

static void retained_round_trip(struct sample *sample)
{
    struct retained in = {any_name(2000), (uint64_t)seed_next(&seed, UINT32_MAX) << 31};
    struct retained out;
    key_of_string(&sample->key, secret, in.topic);
    sample_make(sample, value_retained_bytes(&in));
    value_retained_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(value_retained_decode(key_span(&sample->key), sample_value(sample), &out));
    ck_assert(span_same(in.topic, out.topic));
    ck_assert_uint_eq(in.store_id, out.store_id);
}

static const char *will_decode(struct span key, struct span value)
{
    struct will will;
    return value_will_decode(key, value, &will);
}

static void will_round_trip(struct sample *sample)
{
    struct will in = {.client_id = any_name(2000),
                      .topic = any_string(2000),
                      .payload = any_string(3000),
                      .properties = any_string(100),
                      .username = any_string(100),
                      .listener_port = (uint16_t)seed_next(&seed, 65536),
                      .qos = (uint8_t)seed_next(&seed, 3),
                      .retain = seed_next(&seed, 2)};
    struct will out;
    key_of_string(&sample->key, secret, in.client_id);
    sample_make(sample, value_will_bytes(&in));
    value_will_encode(&in, key_span(&sample->key), sample->value);
    ck_assert_ptr_null(value_will_decode(key_span(&sample->key), sample_value(sample), &out));
    ck_assert(span_same(in.client_id, out.client_id));
    ck_assert(span_same(in.topic, out.topic));
    ck_assert(span_same(in.payload, out.payload));
    ck_assert(span_same(in.properties, out.properties));
    ck_assert(span_same(in.username, out.username));
    ck_assert_uint_eq(in.listener_port, out.listener_port);
    ck_assert_uint_eq(in.qos, out.qos);
    ck_assert_int_eq(in.retain, out.retain);
}

static const struct kind {
    enum table table;
    round_trip_fn *round_trip;
    decode_fn *decode;
} kinds[] = {
    {TABLE_SESSIONS, session_round_trip, session_decode},
    {TABLE_SUBSCRIPTIONS, subscription_round_trip, subscription_decode},
    {TABLE_MESSAGES, message_round_trip, message_decode},
    {TABLE_DICTIONARIES, dictionary_round_trip, dictionary_decode},
    {TABLE_QUEUE, queued_round_trip, queued_decode},
    {TABLE_RETAINED, retained_round_trip, retained_decode},
    {TABLE_WILLS, will_round_trip, will_decode},
};
#define KINDS (int)(sizeof(kinds) / sizeof(kinds[0]))

static void setup(void)
{
    seed = seed_choose();
}

// Makes the checksum right again after a change.
static void seal(enum table table, struct sample *sample)
{
    size_t body = sample->len - value_checksum_bytes(table);
    struct value_writer writer = {sample->value, sample->value + body};
    value_seal(&writer, table, key_span(&sample->key));
}

START_TEST(random_values_come_back)
{
    struct sample sample = {0};
    for (int i = 0; i < 1000; i++)
        kinds[_i].round_trip(&sample);
    free(sample.value);
}
END_TEST

START_TEST(a_flipped_bit_is_noticed)
{
    struct sample sample = {0};
    const struct kind *kind = &kinds[_i];
    for (int i = 0; i < 15; i++) {
        kind->round_trip(&sample);
        for (size_t bit = 0; bit < sample.len * 8 && bit < 1024; bit++) {
            sample.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_msg(kind->decode(key_span(&sample.key), sample_value(&sample)) != NULL,
                          "%s: bit %zu of a value", table_name(kind->table), bit);
            sample.value[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        for (size_t bit = 0; bit < sample.key.len * 8u; bit++) {
            sample.key.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_msg(kind->decode(key_span(&sample.key), sample_value(&sample)) != NULL,
                          "%s: bit %zu of a key", table_name(kind->table), bit);
            sample.key.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        ck_assert_ptr_null(kind->decode(key_span(&sample.key), sample_value(&sample)));
    }
    free(sample.value);
}
END_TEST

START_TEST(a_value_of_another_table_is_noticed)
{
    struct sample sample = {0};
    kinds[_i].round_trip(&sample);
    for (int other = 0; other < KINDS; other++) {
        const char *why = kinds[other].decode(key_span(&sample.key), sample_value(&sample));
        ck_assert_msg((why == NULL) == (other == _i), "%s read as %s", table_name(kinds[_i].table),
                      table_name(kinds[other].table));
    }
    free(sample.value);
}
END_TEST

// With a checksum that is right, the lengths themselves must hold.
// Whether the last member is whatever is left, and how many of its bytes may be missing: its length
// is only held by the checksum.
static bool last_is_rest(enum table table, const struct sample *sample, size_t *ret_bytes)
{
    struct stored_message stored;
    struct dictionary dictionary;
    if (table == TABLE_DICTIONARIES) {
        ck_assert_ptr_null(
            value_dictionary_decode(key_span(&sample->key), sample_value(sample), &dictionary));
        *ret_bytes = dictionary.bytes.len - 9;
        return true;
    }
    if (table != TABLE_MESSAGES)
        return false;
    ck_assert_ptr_null(value_message_decode(key_span(&sample->key), sample_value(sample), &stored));
    *ret_bytes = stored.compressed ? stored.content.len : stored.message.payload.len;
    return stored.compressed || stored.message.payload.data;
}

START_TEST(a_value_that_ends_early_or_late_is_noticed)
{
    struct sample sample = {0};
    struct sample other = {0};
    const struct kind *kind = &kinds[_i];
    for (int i = 0; i < 20; i++) {
        kind->round_trip(&sample);
        other.key = sample.key;
        size_t rest = 0;
        bool is_rest = last_is_rest(kind->table, &sample, &rest);
        for (size_t len = 0; len < sample.len + 3; len++) {
            if (len == sample.len)
                continue;
            sample_make(&other, len);
            memset(other.value, 0, len);
            memcpy(other.value, sample.value, len < sample.len ? len : sample.len);
            if (len > value_checksum_bytes(kind->table))
                seal(kind->table, &other);
            const char *why = kind->decode(key_span(&other.key), sample_value(&other));
            bool may_pass = is_rest && len >= sample.len - rest;
            ck_assert_msg(why != NULL || may_pass, "%s: %zu bytes of %zu", table_name(kind->table),
                          len, sample.len);
        }
    }
    free(sample.value);
    free(other.value);
}
END_TEST

// Whatever a value holds, the reader stays within it (a sanitizer looks on).
START_TEST(noise_with_a_right_checksum_does_no_harm)
{
    struct sample sample = {0};
    const struct kind *kind = &kinds[_i];
    unsigned passed = 0;
    for (int i = 0; i < 5000; i++) {
        if (i % 50 == 0)
            kind->round_trip(&sample);
        struct sample other = {.key = sample.key};
        sample_make(&other, sample.len);
        memcpy(other.value, sample.value, sample.len);
        for (uint32_t n = 1 + seed_next(&seed, 4); n > 0; n--) {
            uint32_t head = sample.len < 80 ? (uint32_t)sample.len : 80;
            other.value[seed_next(&seed, head)] = (uint8_t)seed_next(&seed, 256);
        }
        seal(kind->table, &other);
        passed += kind->decode(key_span(&other.key), sample_value(&other)) == NULL;
        free(other.value);
    }
    ck_assert_uint_gt(passed, 0);
    free(sample.value);
}
END_TEST

START_TEST(another_version_is_told)
{
    struct sample sample = {0};
    const struct kind *kind = &kinds[_i];
    kind->round_trip(&sample);
    if (kind->table == TABLE_QUEUE)
        sample.value[0] = (uint8_t)((sample.value[0] & 0x1f) | 2 << 5);
    else
        sample.value[0] = VALUE_VERSION + 1;
    seal(kind->table, &sample);
    const char *why = kind->decode(key_span(&sample.key), sample_value(&sample));
    ck_assert_ptr_nonnull(why);
    ck_assert_str_eq(why, "written by another version");
    free(sample.value);
}
END_TEST

START_TEST(a_long_string_must_be_the_one_of_its_key)
{
    static char name[1000];
    memset(name, 'x', sizeof(name));
    struct retained retained = {span_of(name, sizeof(name)), 1};
    struct sample sample = {0};
    key_of_string(&sample.key, secret, retained.topic);
    sample_make(&sample, value_retained_bytes(&retained));
    name[5] = 'y';
    value_retained_encode(&retained, key_span(&sample.key), sample.value);
    ck_assert_str_eq(retained_decode(key_span(&sample.key), sample_value(&sample)),
                     "the string in the value is not the one of the key");

    // A string shorter than the key says, and nothing behind it.
    sample.len = 1 + 8 + 2 + 20 + 8;
    put_u16(sample.value + 9, 20);
    uint8_t *cut = malloc(sample.len);
    memcpy(cut, sample.value, sample.len);
    free(sample.value);
    sample.value = cut;
    seal(TABLE_RETAINED, &sample);
    ck_assert_str_eq(retained_decode(key_span(&sample.key), sample_value(&sample)),
                     "the string in the value is not the one of the key");
    free(sample.value);
}
END_TEST

// Right checksums around what no writer writes.
START_TEST(a_message_is_refused_that_contradicts_itself)
{
    struct message message = {.topic = span_str("t"), .payload = span_str("four")};
    struct stored_message stored = {.message = message, .dictionary = 1};
    struct sample sample = {0};
    uint8_t content[16];
    ck_assert_uint_eq(value_content_bytes(&message), 10);
    value_content_encode(&message, content);

    // A dictionary without a frame.
    key_of_message(&sample.key, 0);
    sample_make(&sample, value_message_bytes(&stored));
    value_message_encode(&stored, key_span(&sample.key), sample.value);
    ck_assert_str_eq(message_decode(key_span(&sample.key), sample_value(&sample)),
                     "a field is out of range");
    // A flag that says of dictionary 0 that it follows.
    stored.compressed = true;
    stored.content = span_str("frame");
    sample_make(&sample, value_message_bytes(&stored));
    value_message_encode(&stored, key_span(&sample.key), sample.value);
    ck_assert_ptr_null(message_decode(key_span(&sample.key), sample_value(&sample)));
    struct value_writer writer = {sample.value, sample.value + sample.len - VALUE_CHECKSUM_BYTES};
    sample.value[4] = 0;
    value_seal(&writer, TABLE_MESSAGES, key_span(&sample.key));
    ck_assert_str_eq(message_decode(key_span(&sample.key), sample_value(&sample)),
                     "a field is out of range");
    free(sample.value);

    // Contents: cut short, and with a flag that nobody knows.
    for (uint32_t len = 0; len < 6; len++)
        ck_assert_str_eq(value_content_decode(span_of(content, len), &message),
                         "the value ends too early");
    content[0] |= 32;
    ck_assert_str_eq(value_content_decode(span_of(content, 10), &message), "unknown flags");
    // Bytes after the last member when there is no payload.
    content[0] = 1;
    ck_assert_str_eq(value_content_decode(span_of(content, 10), &message),
                     "the value has bytes left over");
}
END_TEST

START_TEST(what_is_no_dictionary_is_refused)
{
    static uint8_t bytes[DICTIONARY_MAX_BYTES + 1] = {0x37, 0xa4, 0x30, 0xec};
    struct dictionary dictionary = {.id = 1};
    const struct {
        struct span bytes;
        const char *why;
    } cases[] = {
        {span_of(bytes, 9), NULL},
        {span_of(bytes, 8), "it is not a dictionary"},
        {span_of(bytes + 1, 100), "it is not a dictionary"},
        {span_of(bytes, DICTIONARY_MAX_BYTES), NULL},
        {span_of(bytes, DICTIONARY_MAX_BYTES + 1), "it is not a dictionary"},
    };
    struct sample sample = {0};
    key_of_dictionary(&sample.key, dictionary.id);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        dictionary.bytes = cases[i].bytes;
        sample_make(&sample, value_dictionary_bytes(&dictionary));
        value_dictionary_encode(&dictionary, key_span(&sample.key), sample.value);
        const char *why = dictionary_decode(key_span(&sample.key), sample_value(&sample));
        if (cases[i].why)
            ck_assert_str_eq(why, cases[i].why);
        else
            ck_assert_ptr_null(why);
    }
    free(sample.value);
}
END_TEST

// As damage, or a program that does not know them, would leave keys: the checksum is right, since
// it covers them too.
START_TEST(a_malformed_key_is_told)
{
    static const size_t lengths[] = {0, 1, 7, 8, 9, 16, 18, 490, KEY_MAX_BYTES};
    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            struct sample sample = {0};
            kinds[kind].round_trip(&sample);
            sample.key.len = (uint16_t)lengths[i];
            memset(sample.key.bytes, 0xfe, sizeof(sample.key.bytes));
            if (kinds[kind].table == TABLE_MESSAGES && lengths[i] == 8)
                sample.key.len = 9; // any eight bytes are a message's
            seal(kinds[kind].table, &sample);
            const char *why = kinds[kind].decode(key_span(&sample.key), sample_value(&sample));
            ck_assert_msg(why && strcmp(why, "the key is malformed") == 0,
                          "table %d, %zu bytes: %s", (int)kinds[kind].table, lengths[i],
                          why ? why : "taken");
            free(sample.value);
        }
    }
}
END_TEST

START_TEST(a_value_shorter_than_its_checksum_is_told)
{
    for (int kind = 0; kind < KINDS; kind++) {
        struct sample sample = {0};
        kinds[kind].round_trip(&sample);
        for (sample.len = 0; sample.len <= (kinds[kind].table == TABLE_QUEUE ? 4 : 8); sample.len++)
            ck_assert_str_eq(kinds[kind].decode(key_span(&sample.key), sample_value(&sample)),
                             "the value is too short");
        free(sample.value);
    }
    struct stored_message stored;
    struct key key;
    key_of_message(&key, 1);
    for (uint32_t len = 0; len <= 8; len++) {
        struct span value = span_of("........", len);
        ck_assert_str_eq(value_message_decode_head(key_span(&key), value, &stored),
                         "the value is too short");
    }
}
END_TEST

// Else one entry would have two forms. Found by fuzz_values.
START_TEST(what_may_be_left_out_is_not_zero)
{
    static const struct {
        enum table table;
        size_t at, bytes;
    } parts[] = {
        {TABLE_QUEUE, 12, 1},
        {TABLE_QUEUE, 13, 4},
        {TABLE_MESSAGES, 4, 8},
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct queued queued = {
            .cmsg_id = 1, .store_id = 2, .dup = 1, .subscription_identifier = 1};
        struct stored_message message = {.message = {.store_id = 1, .expiry_time = 1}};
        bool of_queue = parts[i].table == TABLE_QUEUE;
        const char *(*decode)(struct span, struct span) = of_queue ? queued_decode : message_decode;
        struct sample sample = {0};
        if (of_queue) {
            key_of_queued(&sample.key, 9, QUEUE_OUT, queued.cmsg_id);
            sample_make(&sample, value_queued_bytes(&queued));
            value_queued_encode(&queued, key_span(&sample.key), sample.value);
        } else {
            key_of_message(&sample.key, 1);
            sample_make(&sample, value_message_bytes(&message));
            value_message_encode(&message, key_span(&sample.key), sample.value);
        }
        ck_assert_ptr_null(decode(key_span(&sample.key), sample_value(&sample)));
        memset(sample.value + parts[i].at, 0, parts[i].bytes);
        seal(parts[i].table, &sample);
        const char *why = decode(key_span(&sample.key), sample_value(&sample));
        ck_assert_ptr_nonnull(why);
        ck_assert_str_eq(why, "a field is out of range");
        free(sample.value);
    }
}
END_TEST

static void expect_bytes(const struct sample *sample, const uint8_t *bytes, size_t len)
{
    ck_assert_uint_eq(sample->len, len);
    ck_assert_mem_eq(sample->value, bytes, len);
}

// Format 1. If one of these fails, stores that exist can no longer be read.
START_TEST(the_bytes_of_values_never_change)
{
    static const uint8_t session_bytes[] = {
        0x01, 0x0d, 0x02, 0x5b, 0x07, 0x08, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00,
        0x00, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x03, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x06, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x75, 0x3e, 0x52, 0x5c, 0x7d, 0x09, 0x1d, 0x71, 0x5f};
    static const uint8_t subscription_bytes[] = {0x01, 0x1a, 0x05, 0x00, 0x00, 0x00, 0xe9,
                                                 0x4c, 0x36, 0xeb, 0xe1, 0xbe, 0x2c, 0x0c};
    static const uint8_t message_bytes[] = {0x01, 0x3e, 0x0b, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00,
                                            0x00, 0x00, 0x00, 0x0c, 0x00, 0x66, 0x72, 0x61, 0x6d,
                                            0x65, 0x86, 0x2d, 0xac, 0xe5, 0xa8, 0x6c, 0xde, 0x03};
    static const uint8_t plain_bytes[] = {
        0x01, 0x16, 0x0b, 0x00, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f,
        0x5b, 0x07, 0x01, 0x00, 0x73, 0x01, 0x00, 0x75, 0x01, 0x00, 0x74, 0x01, 0x00,
        0x00, 0x00, 0x70, 0x7a, 0x7a, 0x29, 0xc8, 0xf1, 0x59, 0x0e, 0xe0, 0xea, 0x98};
    static const uint8_t dictionary_bytes[] = {
        0x01, 0x02, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x04,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x37, 0xa4, 0x30, 0xec, 0x01,
        0x02, 0x03, 0x04, 0x05, 0x97, 0x15, 0x25, 0xb8, 0x55, 0x47, 0x68, 0xb4};
    static const uint8_t queued_bytes[] = {0x3d, 0x0b, 0x0e, 0x00, 0x0a, 0x00, 0x00,
                                           0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x05,
                                           0x00, 0x00, 0x00, 0xc4, 0xbe, 0x60, 0xe0};
    static const uint8_t retained_bytes[] = {0x01, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                             0x9a, 0x19, 0xd2, 0x4c, 0x96, 0xf4, 0x2b, 0x18};
    static const uint8_t will_bytes[] = {0x01, 0x7d, 0x5b, 0x07, 0x01, 0x00, 0x74, 0x01, 0x00, 0x75,
                                         0x01, 0x00, 0x00, 0x00, 0x70, 0x02, 0x00, 0x00, 0x00, 0x7a,
                                         0x7a, 0xef, 0x7b, 0x5e, 0x9f, 0x1c, 0xc6, 0x4d, 0xd1};
    struct sample sample = {0};

    struct session session = {.client_id = span_str("c"),
                              .username = span_str("u"),
                              .session_expiry_time = 0x0102,
                              .will_delay_time = 0x0304,
                              .changed_time_ms = 0x0506,
                              .session_expiry_interval = SESSION_EXPIRY_NEVER,
                              .will_delay_interval = 7,
                              .max_packet_size = 8,
                              .listener_port = 1883,
                              .max_qos = 2,
                              .retain_available = true,
                              .connected = true,
                              .number = 9};
    key_of_string(&sample.key, secret, session.client_id);
    sample_make(&sample, value_session_bytes(&session));
    value_session_encode(&session, key_span(&sample.key), sample.value);
    expect_bytes(&sample, session_bytes, sizeof(session_bytes));

    struct subscription subscription = {
        .topic_filter = span_str("a/#"), .identifier = 5, .options = 0x1a};
    key_of_subscription(&sample.key, secret, 9, subscription.topic_filter);
    sample_make(&sample, value_subscription_bytes(&subscription));
    value_subscription_encode(&subscription, key_span(&sample.key), sample.value);
    expect_bytes(&sample, subscription_bytes, sizeof(subscription_bytes));

    struct stored_message message = {.message = {.store_id = 10,
                                                 .expiry_time = 0x0102,
                                                 .topic = span_str("t"),
                                                 .payload = span_str("zz"),
                                                 .properties = span_str("p"),
                                                 .source_id = span_str("s"),
                                                 .source_username = span_str("u"),
                                                 .source_mid = 11,
                                                 .source_port = 1883,
                                                 .qos = 2,
                                                 .retain = true},
                                     .content = span_str("frame"),
                                     .dictionary = 12,
                                     .compressed = true};
    key_of_message(&sample.key, 10);
    sample_make(&sample, value_message_bytes(&message));
    value_message_encode(&message, key_span(&sample.key), sample.value);
    expect_bytes(&sample, message_bytes, sizeof(message_bytes));
    message.compressed = false;
    message.dictionary = 0;
    sample_make(&sample, value_message_bytes(&message));
    value_message_encode(&message, key_span(&sample.key), sample.value);
    expect_bytes(&sample, plain_bytes, sizeof(plain_bytes));

    static uint8_t dictionary_content[] = {0x37, 0xa4, 0x30, 0xec, 1, 2, 3, 4, 5};
    struct dictionary dictionary = {.bytes =
                                        span_of(dictionary_content, sizeof(dictionary_content)),
                                    .id = 12,
                                    .trained_ms = 0x0102,
                                    .samples = 3,
                                    .trial_bytes = 4,
                                    .before_bytes = 5,
                                    .after_bytes = 6};
    key_of_dictionary(&sample.key, 12);
    sample_make(&sample, value_dictionary_bytes(&dictionary));
    value_dictionary_encode(&dictionary, key_span(&sample.key), sample.value);
    expect_bytes(&sample, dictionary_bytes, sizeof(dictionary_bytes));

    struct queued queued = {.cmsg_id = 13,
                            .store_id = 10,
                            .subscription_identifier = 5,
                            .mid = 14,
                            .direction = QUEUE_OUT,
                            .qos = 1,
                            .state = QUEUE_STATE_QUEUED,
                            .dup = 1,
                            .retain = true};
    key_of_queued(&sample.key, 9, queued.direction, queued.cmsg_id);
    sample_make(&sample, value_queued_bytes(&queued));
    value_queued_encode(&queued, key_span(&sample.key), sample.value);
    expect_bytes(&sample, queued_bytes, sizeof(queued_bytes));

    struct retained retained = {span_str("t"), 10};
    key_of_string(&sample.key, secret, retained.topic);
    sample_make(&sample, value_retained_bytes(&retained));
    value_retained_encode(&retained, key_span(&sample.key), sample.value);
    expect_bytes(&sample, retained_bytes, sizeof(retained_bytes));

    struct will will = {.client_id = span_str("c"),
                        .topic = span_str("t"),
                        .payload = span_str("zz"),
                        .properties = span_str("p"),
                        .username = span_str("u"),
                        .listener_port = 1883,
                        .qos = 1,
                        .retain = true};
    key_of_string(&sample.key, secret, will.client_id);
    sample_make(&sample, value_will_bytes(&will));
    value_will_encode(&will, key_span(&sample.key), sample.value);
    expect_bytes(&sample, will_bytes, sizeof(will_bytes));
    free(sample.value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("values");
    TCase *tests = tcase_create("values");
    tcase_add_unchecked_fixture(tests, setup, NULL);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, random_values_come_back, 0, KINDS);
    tcase_add_loop_test(tests, a_flipped_bit_is_noticed, 0, KINDS);
    tcase_add_loop_test(tests, a_value_of_another_table_is_noticed, 0, KINDS);
    tcase_add_loop_test(tests, a_value_that_ends_early_or_late_is_noticed, 0, KINDS);
    tcase_add_loop_test(tests, noise_with_a_right_checksum_does_no_harm, 0, KINDS);
    tcase_add_loop_test(tests, another_version_is_told, 0, KINDS);
    tcase_add_test(tests, a_long_string_must_be_the_one_of_its_key);
    tcase_add_test(tests, a_message_is_refused_that_contradicts_itself);
    tcase_add_test(tests, what_is_no_dictionary_is_refused);
    tcase_add_test(tests, what_may_be_left_out_is_not_zero);
    tcase_add_test(tests, a_malformed_key_is_told);
    tcase_add_test(tests, a_value_shorter_than_its_checksum_is_told);
    tcase_add_test(tests, the_bytes_of_values_never_change);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
