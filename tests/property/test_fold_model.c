// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Random events in random stretches, through the fold and into the tables, against a plain model
// that takes one event at a time. SEED=n repeats a run, EVENTS=n sets its length.
#include "store/fold.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <inttypes.h>
#include <stdio.h>
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

#define CLIENTS 7
#define FILTERS 7
#define QUEUE_MAX 256
#define MESSAGES_MAX 256

struct model_client {
    bool stored;
    bool has_will;
    struct session session;
    struct will will;
    bool has_subscription[FILTERS];
    struct subscription subscriptions[FILTERS];
    struct queued queue[QUEUE_MAX];
    unsigned queue_count;
    uint64_t next_cmsg_id; // begins anew with a new session, as the broker's does
};

struct model {
    struct model_client clients[CLIENTS];
    uint64_t retained[FILTERS]; // store_id + 1
    struct message messages[MESSAGES_MAX];
    unsigned message_count;
    uint64_t next_store_id;
};

static struct model *model;
static uint64_t seed;

// In the order of their keys. Long ones share their first bytes: the hash alone tells them apart.
static struct span client_name(unsigned client)
{
    static char names[CLIENTS][70000];
    if (!names[1][0]) {
        for (unsigned i = 1; i < CLIENTS; i++) {
            memset(names[i], 'a' + (int)i, 20);
            if (i >= 3)
                memset(names[i], 'x', i == 3 ? 480 : i == 6 ? 65530 : 480 + 10 * i);
            if (i != 3)
                snprintf(names[i] + strlen(names[i]), 8, "%u", i);
        }
    }
    return span_str(names[client]);
}

static struct span filter_name(unsigned filter)
{
    static char names[FILTERS][4096];
    if (!names[0][0]) {
        for (unsigned i = 0; i < FILTERS; i++) {
            if (i >= 4)
                memset(names[i], 'f', 1000);
            snprintf(names[i] + strlen(names[i]), 32, "floor/%u/+", i);
        }
    }
    return span_str(names[filter]);
}

static struct span any_string(void)
{
    static const char *const strings[] = {NULL, "", "anna", "b\001\xff", "a somewhat longer one"};
    return span_str(strings[seed_next(&seed, 5)]);
}

static struct span any_payload(void)
{
    static uint8_t bytes[6000];
    if (!bytes[0])
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] =
                i < 3000 ? (uint8_t)(i * 2654435761u >> 24) : (uint8_t) "the same again "[i % 15];
    switch (seed_next(&seed, 5)) {
    case 0:
        return span_str(NULL);
    case 1:
        return span_str("");
    case 2:
        return span_of(bytes + seed_next(&seed, 100), 1 + seed_next(&seed, 2800));
    default:
        return span_of(bytes + 3000 + seed_next(&seed, 100), 1 + seed_next(&seed, 2800));
    }
}

static struct session any_session(struct span client_id)
{
    return (struct session){.client_id = client_id,
                            .username = any_string(),
                            .auth_method = any_string(),
                            .session_expiry_time = seed_next(&seed, 1000),
                            .will_delay_time = seed_next(&seed, 1000),
                            .changed_time_ms = seed_next(&seed, 100000),
                            .session_expiry_interval = seed_next(&seed, 1000),
                            .will_delay_interval = seed_next(&seed, 1000),
                            .max_packet_size = seed_next(&seed, 1000),
                            .listener_port = (uint16_t)seed_next(&seed, 65536),
                            .max_qos = (uint8_t)seed_next(&seed, 3),
                            .retain_available = seed_next(&seed, 2),
                            .connected = seed_next(&seed, 2)};
}

static void model_session_add(struct model_client *client, const struct event *event)
{
    struct model_client added = {.stored = true,
                                 .session = event->session,
                                 .has_will = client->has_will,
                                 .will = client->will};
    *client = added;
    client->session.connected = true;
}

static void model_session_update(struct model_client *client, const struct event *event)
{
    struct session session = event->session;
    if (!client->stored)
        return;
    session.connected = client->session.connected;
    session.changed_time_ms = client->session.changed_time_ms;
    client->session = session;
}

static void model_connection(struct model_client *client, const struct event *event)
{
    const struct connection *connection = &event->connection;
    struct session *session = &client->session;
    if (event->type != RECORD_SESSION_CONNECTED)
        client->has_will = false;
    if (event->type == RECORD_SESSION_DELETE) {
        memset(client, 0, sizeof(*client));
    } else if (event->type == RECORD_CONNECTION_ENDED) {
        if (client->stored && session->connected)
            session->changed_time_ms = connection->time_ms;
        session->connected = false;
    } else if (client->stored && (event->type == RECORD_SESSION_CONNECTED || session->connected)) {
        session->connected = event->type == RECORD_SESSION_CONNECTED;
        session->changed_time_ms = connection->time_ms;
        session->session_expiry_time = session->connected ? 0 : connection->session_expiry_time;
        if (session->connected)
            session->username = connection->username;
        if (connection->listener_port)
            session->listener_port = connection->listener_port;
        if (connection->session_expiry_time == CONNECTION_NEVER_EXPIRES) {
            session->session_expiry_time = 0;
            session->session_expiry_interval = SESSION_EXPIRY_NEVER;
        }
    }
}

static struct event step_session(struct model_client *client, struct span client_id)
{
    static const enum record_type types[] = {
        RECORD_SESSION_ADD,     RECORD_SESSION_ADD,       RECORD_SESSION_ADD,
        RECORD_SESSION_UPDATE,  RECORD_SESSION_DELETE,    RECORD_SESSION_CONNECTED,
        RECORD_SESSION_OFFLINE, RECORD_SESSION_CONNECTED, RECORD_CONNECTION_ENDED};
    struct event event = {.type = types[seed_next(&seed, 9)]};
    switch (event.type) {
    case RECORD_SESSION_ADD:
        event.session = any_session(client_id);
        model_session_add(client, &event);
        break;
    case RECORD_SESSION_UPDATE:
        event.session = any_session(client_id);
        model_session_update(client, &event);
        break;
    default:
        event.connection = (struct connection){.client_id = client_id,
                                               .username = any_string(),
                                               .time_ms = seed_next(&seed, 100000),
                                               .session_expiry_time = seed_next(&seed, 1000)};
        if (seed_next(&seed, 3) == 0)
            event.connection.session_expiry_time = CONNECTION_NEVER_EXPIRES;
        if (event.type == RECORD_SESSION_CONNECTED)
            event.connection.listener_port = (uint16_t)seed_next(&seed, 3);
        model_connection(client, &event);
    }
    return event;
}

static struct event step_subscription(struct model_client *client, struct span client_id)
{
    unsigned filter = seed_next(&seed, FILTERS);
    bool adds = seed_next(&seed, 3) > 0;
    struct event event = {.type = adds ? RECORD_SUBSCRIPTION_ADD : RECORD_SUBSCRIPTION_DELETE,
                          .subscription = {.client_id = client_id,
                                           .topic_filter = filter_name(filter),
                                           .identifier = seed_next(&seed, 3),
                                           .options = (uint8_t)seed_next(&seed, 64)}};
    if (client->stored) {
        client->has_subscription[filter] = adds;
        client->subscriptions[filter] = event.subscription;
    }
    return event;
}

static struct event step_queue_add(struct model_client *client, struct span client_id)
{
    struct event event = {.type = RECORD_QUEUE_ADD,
                          .queued = {.client_id = client_id,
                                     .cmsg_id = ++client->next_cmsg_id,
                                     .store_id = seed_next(&seed, 1000),
                                     .subscription_identifier = seed_next(&seed, 3),
                                     .mid = (uint16_t)seed_next(&seed, 65536),
                                     .direction = (uint8_t)seed_next(&seed, 2),
                                     .qos = (uint8_t)seed_next(&seed, 3),
                                     .state = (uint8_t)seed_next(&seed, 12),
                                     .dup = (uint8_t)seed_next(&seed, 2),
                                     .retain = seed_next(&seed, 2)}};
    if (client->stored && client->queue_count < QUEUE_MAX)
        client->queue[client->queue_count++] = event.queued;
    return event;
}

static struct event step_queue(struct model_client *client, struct span client_id)
{
    if (client->queue_count == QUEUE_MAX)
        return (struct event){.type = RECORD_LOOP_MARK};
    if (seed_next(&seed, 5) < 2 || client->queue_count == 0)
        return step_queue_add(client, client_id);
    unsigned at = seed_next(&seed, client->queue_count);
    struct queued *entry = &client->queue[at];
    struct event event = {.queued = *entry};
    event.queued.client_id = client_id;
    if (seed_next(&seed, 2)) {
        event.type = RECORD_QUEUE_DELETE;
        client->queue_count--;
        memmove(entry, entry + 1, (client->queue_count - at) * sizeof(*entry));
        return event;
    }
    event.type = RECORD_QUEUE_UPDATE;
    event.queued.subscription_identifier = seed_next(&seed, 3);
    event.queued.mid = (uint16_t)seed_next(&seed, 65536);
    event.queued.qos = (uint8_t)seed_next(&seed, 3);
    event.queued.state = (uint8_t)seed_next(&seed, 12);
    event.queued.dup = (uint8_t)seed_next(&seed, 3);
    *entry = event.queued;
    // An update is not asked for these.
    event.queued.store_id = seed_next(&seed, 1000);
    event.queued.retain = seed_next(&seed, 2);
    return event;
}

static struct event step_will(struct model_client *client, struct span client_id)
{
    struct event event = {.type = RECORD_WILL_DELETE, .will = {.client_id = client_id}};
    client->has_will = seed_next(&seed, 3) > 0;
    if (client->has_will) {
        event.type = RECORD_WILL_SET;
        event.will = (struct will){.client_id = client_id,
                                   .topic = filter_name(seed_next(&seed, FILTERS)),
                                   .payload = any_payload(),
                                   .properties = any_string(),
                                   .username = any_string(),
                                   .listener_port = (uint16_t)seed_next(&seed, 65536),
                                   .qos = (uint8_t)seed_next(&seed, 3),
                                   .retain = seed_next(&seed, 2)};
        client->will = event.will;
    }
    return event;
}

static struct event step_message(void)
{
    if (model->message_count == MESSAGES_MAX || (model->message_count && seed_next(&seed, 2))) {
        unsigned at = seed_next(&seed, model->message_count);
        struct event event = {.type = RECORD_MESSAGE_DELETE,
                              .message = {.store_id = model->messages[at].store_id}};
        model->message_count--;
        memmove(&model->messages[at], &model->messages[at + 1],
                (model->message_count - at) * sizeof(model->messages[0]));
        return event;
    }
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = ++model->next_store_id,
                                      .expiry_time = seed_next(&seed, 3),
                                      .topic = filter_name(seed_next(&seed, FILTERS)),
                                      .payload = any_payload(),
                                      .properties = any_string(),
                                      .source_id = any_string(),
                                      .source_username = any_string(),
                                      .source_mid = (uint16_t)seed_next(&seed, 65536),
                                      .source_port = (uint16_t)seed_next(&seed, 65536),
                                      .qos = (uint8_t)seed_next(&seed, 3),
                                      .retain = seed_next(&seed, 2)}};
    model->messages[model->message_count++] = event.message;
    return event;
}

static struct event step_retained(void)
{
    unsigned topic = seed_next(&seed, FILTERS);
    bool sets = seed_next(&seed, 3) > 0;
    struct event event = {.type = sets ? RECORD_RETAINED_SET : RECORD_RETAINED_DELETE,
                          .retained = {filter_name(topic), seed_next(&seed, 1000)}};
    model->retained[topic] = sets ? event.retained.store_id + 1 : 0;
    return event;
}

static struct event step(void)
{
    unsigned number = seed_next(&seed, CLIENTS);
    struct model_client *client = &model->clients[number];
    struct span client_id = client_name(number);
    uint32_t kind = seed_next(&seed, 1000);
    if (kind < 2) {
        for (unsigned i = 0; i < CLIENTS; i++)
            model->clients[i].has_will = false;
        return (struct event){.type = RECORD_STOP_MARK};
    }
    if (kind < 120)
        return step_session(client, client_id);
    if (kind < 250)
        return step_subscription(client, client_id);
    if (kind < 600)
        return step_queue(client, client_id);
    if (kind < 700)
        return step_will(client, client_id);
    if (kind < 900)
        return step_message();
    return step_retained();
}

static void text_of_model(struct text *text)
{
    text->len = 0;
    text_add(text, "%s", "");
    for (unsigned i = 0; i < CLIENTS; i++) {
        model->clients[i].session.client_id = client_name(i);
        if (model->clients[i].stored)
            text_session(text, &model->clients[i].session);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        for (unsigned f = 0; f < FILTERS; f++)
            if (model->clients[i].stored && model->clients[i].has_subscription[f])
                text_subscription(text, &model->clients[i].subscriptions[f]);
    for (unsigned i = 0; i < model->message_count; i++)
        text_message(text, &model->messages[i]);
    for (unsigned i = 0; i < CLIENTS; i++)
        for (uint8_t direction = QUEUE_IN; direction <= QUEUE_OUT; direction++)
            for (unsigned q = 0; q < model->clients[i].queue_count; q++)
                if (model->clients[i].queue[q].direction == direction)
                    text_queued(text, &model->clients[i].queue[q]);
    for (unsigned f = 0; f < FILTERS; f++)
        if (model->retained[f])
            text_retained(text, &(struct retained){filter_name(f), model->retained[f] - 1});
    for (unsigned i = 0; i < CLIENTS; i++)
        if (model->clients[i].has_will)
            text_will(text, &model->clients[i].will);
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Long keys come in the order of their hashes, which the model does not know: sort their lines. All
// that the order says otherwise, test_view looks at.
static char *sorted(const struct text *text)
{
    char *copy = strdup(text->bytes);
    char *result = malloc(text->len + 1);
    char **lines = calloc(text->len / 2 + 2, sizeof(*lines));
    size_t count = 0;
    for (char *line = strtok(copy, "\n"); line; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof(*lines), by_line);
    char *at = result;
    *at = '\0';
    for (size_t i = 0; i < count; i++)
        at += sprintf(at, "%s\n", lines[i]);
    free(lines);
    free(copy);
    return result;
}

static void compare(uint64_t events)
{
    static struct text expected;
    text_of_tables(&found, tables);
    text_of_model(&expected);
    char *a = sorted(&found);
    char *b = sorted(&expected);
    if (strcmp(a, b) != 0) {
        size_t at = 0;
        while (a[at] == b[at])
            at++;
        while (at > 0 && a[at - 1] != '\n')
            at--;
        ck_abort_msg("after %" PRIu64 " events the tables have\n%.300s\nand the model\n%.300s",
                     events, a + at, b + at);
    }
    free(a);
    free(b);
}

// Nothing that the stretch names may be lost when it is forgotten: strings of events live on.
static void end_stretch(void)
{
    struct store_error err = {0};
    if (fold_is_empty(fold)) {
        fold_clear(fold);
        return;
    }
    ck_assert_msg(tables_apply(tables, fold, ++position, false, &err) == 0, "%s", err.sentence);
    fold_clear(fold);
    if (seed_next(&seed, 40) == 0) {
        tables_close(tables);
        tables_begin(false);
    }
    if (seed_next(&seed, 40) == 0) {
        fold_free(fold);
        ck_assert_int_eq(fold_new(&fold, NULL), 0);
    }
}

START_TEST(random_events_in_random_stretches_agree_with_the_model)
{
    const char *text = getenv("EVENTS");
    uint64_t events = text ? strtoull(text, NULL, 10) : 40000;
    uint64_t stretch = 1;
    model = calloc(1, sizeof(*model));
    seed = seed_choose();
    for (uint64_t i = 1; i <= events; i++) {
        struct event event = step();
        add(&event);
        if (--stretch > 0)
            continue;
        end_stretch();
        compare(i);
        stretch = 1 + seed_next(&seed, seed_next(&seed, 4) ? 20 : 400);
    }
    struct store_error err = {0};
    ck_assert_msg(tables_check(tables, &err) == 0, "%s", err.sentence);
    free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fold_model");
    TCase *random = tcase_create("model");
    tcase_add_checked_fixture(random, setup, teardown);
    tcase_set_timeout(random, 600);
    tcase_add_test(random, random_events_in_random_stretches_agree_with_the_model);
    suite_add_tcase(suite, random);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
