// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Makes stores for the tests of the command line, through the store library as a broker would:
//   make_store empty DIR
//   make_store busy DIR           a few of everything
//   make_store crashed DIR        as busy, and a tail of the journal that no table has
//   make_store newer DIR          as busy, with a segment of a later format
//   make_store hold DIR           takes the store, says so, and holds it until its input ends; does
//                                 what its input says: "add" one event, "flush" them to the tables
//   make_store queue DIR ID       queues one more message for a client
//   make_store large DIR S M      S sessions, M messages spread over their queues
//   make_store readings DIR I N   N more retained messages that are alike, from number I on
//   make_store unsound DIR        whole, but what is in it does not belong together
//   make_store long DIR           killed with more than a segment that the tables do not have
//   make_store heavy DIR          70 MiB of payloads that take little space
//   make_store miscounted DIR     as busy, but the tables count a byte of contents too many
//   make_store lived DIR          entries changed and removed over many commits: pages
//                                 of every kind, old and new, lie in the file
#include "store/segment.h"
#include "store/store.h"
#include "store/tables_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// 2026-01-01 00:00:00Z as the broker would put it into a store_id.
#define FIRST_ID ((uint64_t)(1767225600 - 1637168273) << 23)
#define DAY_MS (86400 * INT64_C(1000))

static struct store *store;

static void fail(const struct store_error *err)
{
    fprintf(stderr, "make_store: %s\n", err->sentence);
    exit(1);
}

static void append(const struct event *event)
{
    struct store_error err = {0};
    if (store_append(store, event, &err))
        fail(&err);
}

static void open_store(const char *path)
{
    struct store_error err = {0};
    struct store_options options = {
        .path = path,
        .create = true,
        .holder = "make_store",
        .journal_segment_bytes = 1 << 20,
        // The tables change when we say so, and never behind a crash.
        .commit_interval_ms = 3600 * 1000,
    };
    if (store_open(&store, &options, &err))
        fail(&err);
}

static void flush(void)
{
    struct store_error err = {0};
    if (store_flush(store, &err))
        fail(&err);
}

// RECORD_SESSION_ADD, or RECORD_SESSION_UPDATE of one that is there.
static void put_session(enum record_type type, const char *client_id, const char *username,
                        uint32_t expiry_interval, bool connected, int64_t time_ms)
{
    struct event event = {.type = type};
    event.session = (struct session){
        .client_id = span_str(client_id),
        .username = span_str(username),
        .session_expiry_interval = expiry_interval,
        .listener_port = 1883,
        .max_qos = 2,
        .retain_available = true,
        .connected = true,
        .changed_time_ms = time_ms,
    };
    append(&event);
    if (connected && type == RECORD_SESSION_ADD)
        return;
    bool expires = !connected && expiry_interval != SESSION_EXPIRY_NEVER;
    event = (struct event){.type = connected ? RECORD_SESSION_CONNECTED : RECORD_SESSION_OFFLINE};
    event.connection = (struct connection){
        .client_id = span_str(client_id),
        .username = span_str(connected ? username : NULL),
        .time_ms = time_ms,
        .session_expiry_time = expires ? time_ms / 1000 + expiry_interval : 0,
        .listener_port = connected ? 1884 : 0,
    };
    append(&event);
}

static void add_session(const char *client_id, const char *username, uint32_t expiry_interval,
                        bool connected, int64_t time_ms)
{
    put_session(RECORD_SESSION_ADD, client_id, username, expiry_interval, connected, time_ms);
}

static void add_subscription(const char *client_id, const char *filter, uint8_t options,
                             uint32_t identifier)
{
    struct event event = {.type = RECORD_SUBSCRIPTION_ADD};
    event.subscription = (struct subscription){
        .client_id = span_str(client_id),
        .topic_filter = span_str(filter),
        .options = options,
        .identifier = identifier,
    };
    append(&event);
}

static void add_message(uint64_t number, const char *topic, struct span payload, uint8_t qos,
                        struct span properties)
{
    struct event event = {.type = RECORD_MESSAGE_ADD};
    event.message = (struct message){
        .store_id = FIRST_ID + number,
        .topic = span_str(topic),
        .payload = payload,
        .properties = properties,
        .source_id = span_str("publisher"),
        .source_username = span_str("alice"),
        .source_mid = (uint16_t)number,
        .source_port = 1883,
        .qos = qos,
    };
    append(&event);
}

static void add_queued(const char *client_id, uint64_t cmsg_id, uint64_t number, uint8_t qos,
                       enum queue_direction direction, enum queue_state state)
{
    struct event event = {.type = RECORD_QUEUE_ADD};
    event.queued = (struct queued){
        .client_id = span_str(client_id),
        .cmsg_id = cmsg_id,
        .store_id = FIRST_ID + number,
        .mid = (uint16_t)cmsg_id,
        .direction = (uint8_t)direction,
        .qos = qos,
        .state = (uint8_t)state,
    };
    append(&event);
}

static void add_retained(const char *topic, uint64_t number)
{
    struct event event = {.type = RECORD_RETAINED_SET};
    event.retained = (struct retained){.topic = span_str(topic), .store_id = FIRST_ID + number};
    append(&event);
}

static void add_will(const char *client_id, const char *topic, const char *payload)
{
    struct event event = {.type = RECORD_WILL_SET};
    event.will = (struct will){
        .client_id = span_str(client_id),
        .topic = span_str(topic),
        .payload = span_str(payload),
        .username = span_str("alice"),
        .listener_port = 1883,
        .qos = 1,
        .retain = true,
    };
    append(&event);
}

static void make_busy(void)
{
    static const uint8_t properties[] = "\x03\x00\x10"
                                        "application/json\x09\x00\x03\x00\xff\x01\x26\x00\x04unit"
                                        "\x00\x07"
                                        "celsius";
    const struct span none = {NULL, 0};
    const int64_t start_ms = INT64_C(1767225600000);
    add_session("alpha", "alice", 3600, true, start_ms);
    add_session("beta", "bob", SESSION_EXPIRY_NEVER, false, start_ms + DAY_MS);
    add_session("gamma \xe2\x82\xac\x1b[31m", NULL, 3600, false, start_ms + 2 * DAY_MS);
    add_subscription("alpha", "home/+/temperature", 1, 0);
    add_subscription("beta", "home/#", 2 | 4 | 8, 7);
    add_subscription("beta", "$share/workers/jobs/+", 1, 0);
    add_subscription("gamma \xe2\x82\xac\x1b[31m", "$share/workers/jobs/#", 1 | 1 << 4, 0);

    add_message(1, "home/kitchen/temperature",
                span_str("{\"t\":21.50,\"id\":12345678901234567890}"), 1,
                span_of(properties, sizeof(properties) - 1));
    add_message(2, "home/door", span_str("open\nwide"), 2, none);
    add_message(3, "jobs/7", span_of("\x00\x01\xfe\xff", 4), 1, none);
    add_message(4, "home/empty", span_of("", 0), 1, none);
    add_message(5, "home/door", span_str("closed"), 0, none);
    add_message(6, "in/flight", span_str("twice?"), 2, none);

    add_queued("beta", 1, 1, 1, QUEUE_OUT, QUEUE_STATE_WAIT_FOR_PUBACK);
    add_queued("beta", 2, 2, 2, QUEUE_OUT, QUEUE_STATE_WAIT_FOR_PUBCOMP);
    add_queued("beta", 3, 4, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    add_queued("gamma \xe2\x82\xac\x1b[31m", 1, 3, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    add_queued("alpha", 1, 6, 2, QUEUE_IN, QUEUE_STATE_WAIT_FOR_PUBREL);
    add_queued("beta", 4, 1, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    add_retained("home/door", 5);
    add_retained("home/kitchen/temperature", 1);
    add_will("alpha", "home/alpha/gone", "alpha is lost");
    add_will("passer-by", "home/gone", "lost");
}

static void make_large(unsigned long sessions, unsigned long messages)
{
    char client_id[32], topic[64], payload[256];
    for (unsigned long i = 0; i < sessions; i++) {
        snprintf(client_id, sizeof(client_id), "client-%07lu", i);
        add_session(client_id, NULL, SESSION_EXPIRY_NEVER, i % 10 == 0, INT64_C(1767225600000));
        snprintf(topic, sizeof(topic), "site/%lu/#", i);
        add_subscription(client_id, topic, 1, 0);
    }
    for (unsigned long i = 0; i < messages; i++) {
        unsigned long session = i % sessions;
        snprintf(client_id, sizeof(client_id), "client-%07lu", session);
        snprintf(topic, sizeof(topic), "site/%lu/sensor/%lu", session, i % 17);
        snprintf(payload, sizeof(payload),
                 "{\"sensor\":\"s-%lu\",\"value\":%lu.%02lu,\"unit\":\"celsius\",\"sequence\":%lu,"
                 "\"quality\":\"good\",\"site\":\"plant 7, hall 3\"}",
                 i % 17, i % 97, i % 100, i);
        add_message(i, topic, span_str(payload), 1, (struct span){NULL, 0});
        add_queued(client_id, 1 + i / sessions, i, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    }
}

static void make_readings(unsigned long first, unsigned long count)
{
    for (unsigned long i = first; i < first + count; i++) {
        char topic[64], payload[200];
        snprintf(topic, sizeof(topic), "plant/hall/%lu/reading", i);
        snprintf(payload, sizeof(payload),
                 "{\"meter\":%lu,\"power\":%lu.%02lu,\"unit\":\"kilowatt\",\"tariff\":\"night\"}",
                 i % 4001, i * 7 % 97, i * 13 % 100);
        add_message(i, topic, span_str(payload), 1, (struct span){NULL, 0});
        append(&(struct event){.type = RECORD_RETAINED_SET,
                               .retained = {span_str(topic), FIRST_ID + i}});
    }
}

static void make_heavy(void)
{
    static char payload[1 << 20];
    for (uint64_t i = 0; i < 70; i++) {
        char topic[32];
        snprintf(topic, sizeof(topic), "heavy/%u", (unsigned)i);
        memset(payload, (int)('0' + i), sizeof(payload));
        add_message(i, topic, span_of(payload, sizeof(payload)), 1, (struct span){NULL, 0});
        add_retained(topic, i);
    }
}

// What no broker does: entries that name messages that are not there, a message that nothing names,
// a state that does not exist, properties that are none.
static void make_unsound(void)
{
    const struct span none = {NULL, 0};
    const struct span broken = span_of("\x03\xff\xff", 3);
    add_session("alpha", NULL, SESSION_EXPIRY_NEVER, false, 0);
    add_message(1, "fine", span_str("fine"), 1, none);
    add_queued("alpha", 1, 1, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    add_queued("alpha", 2, 77, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    add_retained("gone", 78);
    add_message(2, "orphan", span_str("orphan"), 1, none);
    add_queued("alpha", 3, 1, 1, QUEUE_OUT, (enum queue_state)99);
    add_message(3, "broken", span_str("broken"), 1, broken);
    add_retained("broken", 3);
    struct event event = {.type = RECORD_WILL_SET};
    event.will = (struct will){
        .client_id = span_str("alpha"), .topic = span_str("will"), .properties = broken};
    append(&event);
}

#define LIVED_SESSIONS 40u
#define LIVED_ROUNDS 6u

static void queue_change(enum record_type type, const char *client_id, uint64_t cmsg_id,
                         uint64_t number)
{
    struct event event = {.type = type};
    event.queued = (struct queued){
        .client_id = span_str(client_id),
        .cmsg_id = cmsg_id,
        .store_id = FIRST_ID + number,
        .mid = (uint16_t)cmsg_id,
        .direction = QUEUE_OUT,
        .qos = 2,
        .state = QUEUE_STATE_WAIT_FOR_PUBCOMP,
    };
    append(&event);
}

static void message_gone(uint64_t number)
{
    struct event event = {.type = RECORD_MESSAGE_DELETE};
    event.message.store_id = FIRST_ID + number;
    append(&event);
}

// A round gives each session a message, moves the one of the round before on and ends the one
// before that; every seventh session gets a new attribute, subscription, retained message or will.
static void live_round(unsigned round)
{
    static char topic[900], payload[9000];
    for (unsigned i = 0; i < LIVED_SESSIONS; i++) {
        char client_id[32];
        uint64_t number = 1000 + round * LIVED_SESSIONS + i;
        // Every tenth topic is longer than a key of LMDB, one payload than a page.
        int long_topic = i % 10 == 3 ? 700 : 1;
        size_t bytes = i == 7 ? sizeof(payload) : 20 + i;
        snprintf(client_id, sizeof(client_id), "device-%04u", i);
        snprintf(topic, sizeof(topic), "lived/%u/%0*u", i, long_topic, round % 2);
        for (size_t at = 0, noise = number; at < bytes; at++) {
            noise = noise * 1103515245u + 12345u; // zstd makes nothing of it
            payload[at] = (char)(noise >> 16);
        }
        add_message(number, topic, span_of(payload, (uint32_t)bytes), 2, (struct span){NULL, 0});
        add_queued(client_id, round + 1, number, 2, QUEUE_OUT, QUEUE_STATE_QUEUED);
        if (round >= 1)
            queue_change(RECORD_QUEUE_UPDATE, client_id, round, number - LIVED_SESSIONS);
        if (round >= 3 && i % 20 != 0) { // retained ones stay
            queue_change(RECORD_QUEUE_DELETE, client_id, round - 2, number - 3 * LIVED_SESSIONS);
            message_gone(number - 3 * LIVED_SESSIONS);
        }
        if (i % 7 == round % 7) {
            put_session(RECORD_SESSION_UPDATE, client_id, round % 2 ? "odd" : "even", 3600,
                        i % 2 == 0, 1000 * round);
            add_subscription(client_id, topic, (uint8_t)(round % 3), round + 1);
            add_will(client_id, "lived/will", round % 2 ? "odd" : "even");
        }
        if (i % 20 == 0)
            add_retained(topic, number);
    }
    flush();
}

static void make_lived(void)
{
    for (unsigned i = 0; i < LIVED_SESSIONS; i++) {
        char client_id[32], filter[64];
        snprintf(client_id, sizeof(client_id), "device-%04u", i);
        add_session(client_id, NULL, SESSION_EXPIRY_NEVER, i % 3 == 0, INT64_C(1767225600000));
        for (unsigned j = 0; j < 3; j++) {
            snprintf(filter, sizeof(filter), "site/%u/%u/#", i, j);
            add_subscription(client_id, filter, 1, 0);
        }
    }
    for (unsigned round = 0; round < LIVED_ROUNDS; round++)
        live_round(round);
}

// Says in the header of the first segment that a reader must know a feature of the future.
static void make_newer(const char *path)
{
    char name[SEGMENT_NAME_BYTES], file[4096];
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    segment_name(1, name);
    snprintf(file, sizeof(file), "%s/%s", path, name);
    FILE *segment = fopen(file, "r+b");
    if (!segment || fread(block, sizeof(block), 1, segment) != 1 ||
        segment_header_decode(block, &header, NULL) != 0)
        exit(1);
    header.version = FORMAT_VERSION + 1;
    header.incompat = 1;
    segment_header_encode(&header, block);
    rewind(segment);
    if (fwrite(block, sizeof(block), 1, segment) != 1 || fclose(segment) != 0)
        exit(1);
}

static void make_miscounted(const char *path)
{
    struct tables_options options = {.path = path};
    struct tables *tables = NULL;
    struct tables_state state;
    MDB_txn *txn = NULL;
    if (tables_open(&tables, &options, NULL) || mdb_txn_begin(tables->env, NULL, 0, &txn) ||
        meta_read_state(tables, txn, &state, NULL))
        exit(1);
    state.uses[0].content_bytes++;
    if (meta_write_state(tables, txn, &state) || mdb_txn_commit(txn))
        exit(1);
    tables_close(tables);
}

static void hold(void)
{
    char word[16], topic[32];
    unsigned added = 0;
    puts("held");
    fflush(stdout);
    while (scanf("%15s", word) == 1) {
        if (strcmp(word, "add") == 0) {
            snprintf(topic, sizeof(topic), "added/%u", ++added);
            add_retained(topic, 5);
        } else {
            flush();
        }
        puts(word);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *kind = argv[1];
    open_store(argv[2]);
    if (strcmp(kind, "busy") == 0 || strcmp(kind, "crashed") == 0 || strcmp(kind, "newer") == 0 ||
        strcmp(kind, "miscounted") == 0)
        make_busy();
    if (strcmp(kind, "large") == 0 && argc == 5)
        make_large(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    if (strcmp(kind, "readings") == 0 && argc == 5)
        make_readings(strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    if (strcmp(kind, "unsound") == 0)
        make_unsound();
    if (strcmp(kind, "lived") == 0)
        make_lived();
    if (strcmp(kind, "heavy") == 0)
        make_heavy();
    if (strcmp(kind, "queue") == 0 && argc == 4) {
        add_message(7, "home/later", span_str("later"), 1, (struct span){NULL, 0});
        add_queued(argv[3], 1, 7, 1, QUEUE_OUT, QUEUE_STATE_QUEUED);
    }
    flush();
    if (strcmp(kind, "crashed") == 0) {
        add_session("delta", NULL, 60, true, INT64_C(1767225600000));
        add_retained("home/delta", 2);
        _exit(0);
    }
    if (strcmp(kind, "long") == 0) {
        make_readings(0, 8000);
        append(&(struct event){.type = RECORD_LOOP_MARK});
        add_retained("behind/the/mark", 1);
        _exit(0);
    }
    if (strcmp(kind, "hold") == 0)
        hold();
    store_close(store, false, NULL);
    if (strcmp(kind, "newer") == 0)
        make_newer(argv[2]);
    if (strcmp(kind, "miscounted") == 0)
        make_miscounted(argv[2]);
    return 0;
}
