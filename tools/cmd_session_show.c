// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// session show: the whole story of one client.
#include "commands.h"
#include "entries.h"
#include "escape.h"
#include "human.h"
#include "list.h"
#include "queue_totals.h"
#include "session_words.h"
#include "subscription_words.h"
#include "topic_totals.h"

#include <stdio.h>

#define STATES 16u

struct show {
    struct context *ctx;
    cJSON *document; // NULL: text
    struct span client_id;
    struct queue_totals totals;
    struct topic_totals topics;
    uint64_t states[2][STATES]; // by direction and state
    struct list list;
};

static void print_line(const char *label, struct text *value)
{
    printf("%-14s %s\n", label, value->data ? value->data : "");
    text_clear(value);
}

static void add_ago(struct text *value, int64_t time_s)
{
    int64_t age_s = context_now_s() - time_s;
    human_duration(value, age_s > 0 ? (uint64_t)age_s * 1000 : 0);
    text_adds(value, " ago (");
    human_time(value, time_s);
    text_addc(value, ')');
}

static void add_username(struct text *value, const struct context *ctx, struct span username)
{
    if (!username.data) {
        text_adds(value, "none");
    } else if (context_given(ctx, OPT_USERS)) {
        escape_add(value, username);
    } else {
        human_plural(value, username.len, "byte");
        text_adds(value, " (--users shows it)");
    }
}

static void print_session(const struct context *ctx, const struct session *session)
{
    struct text value = {0};
    escape_add(&value, session->client_id);
    print_line("client id", &value);
    text_adds(&value, session_state(ctx, session));
    if (session->changed_time_ms) {
        text_adds(&value, " for ");
        human_duration(&value, session_state_ms(session));
        text_adds(&value, " (since ");
        human_time(&value, session->changed_time_ms / 1000);
        text_addc(&value, ')');
    }
    print_line("state", &value);
    session_add_expiry(&value, session);
    if (!session->connected && session->session_expiry_time) {
        text_adds(&value, " (");
        human_time(&value, session->session_expiry_time);
        text_addc(&value, ')');
    }
    print_line("expires", &value);
    add_username(&value, ctx, session->username);
    print_line("user name", &value);
    if (session->auth_method.data) {
        escape_add(&value, session->auth_method);
        print_line("auth method", &value);
    }
    text_addf(&value, "%u", session->listener_port);
    print_line("listener port", &value);
    text_addf(&value, "QoS up to %u, %s, packets ", session->max_qos,
              session->retain_available ? "retain" : "no retain");
    if (session->max_packet_size) {
        text_adds(&value, "up to ");
        human_bytes(&value, session->max_packet_size);
    } else {
        text_adds(&value, "of any size");
    }
    print_line("limits", &value);
    text_release(&value);
}

static void add_session_json(const struct show *show, const struct session *session)
{
    bool users = context_given(show->ctx, OPT_USERS);
    cJSON *entry = entry_session(session, false);
    cJSON_DeleteItemFromObject(entry, "type");
    if (!users) {
        cJSON_DeleteItemFromObject(entry, "username");
        if (session->username.data)
            json_add_number(entry, "username_len", session->username.len);
        else
            cJSON_AddNullToObject(entry, "username_len");
    }
    json_add_signed(entry, "changed_time_ms", session->changed_time_ms);
    cJSON_AddItemToObject(show->document, "session", entry);
}

static int show_will(struct show *show, const struct session *session)
{
    struct context *ctx = show->ctx;
    struct will will = {0};
    struct text value = {0};
    int rc = store_get_will(ctx->view, show->client_id, &will, &ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    if (show->document && rc) {
        cJSON_AddNullToObject(show->document, "will");
    } else if (show->document) {
        cJSON *entry = cJSON_AddObjectToObject(show->document, "will");
        json_add_span(entry, "topic", will.topic);
        json_add_number(entry, "payload_len", will.payload.len);
        json_add_number(entry, "qos", will.qos);
        json_add_bool(entry, "retain", will.retain);
    } else if (rc) {
        text_adds(&value, "none");
        print_line("will", &value);
    } else {
        escape_add(&value, will.topic);
        text_addf(&value, ", QoS %u%s, ", will.qos, will.retain ? ", retain" : "");
        human_bytes(&value, will.payload.len);
        if (session->will_delay_interval) {
            text_adds(&value, ", delayed by ");
            human_duration(&value, (uint64_t)session->will_delay_interval * 1000);
        }
        print_line("will", &value);
    }
    text_release(&value);
    return 0;
}

static int on_queued(void *user, const struct queued *queued)
{
    struct show *show = user;
    struct message message;
    struct context *ctx = show->ctx;
    uint64_t store_id = queued->store_id;
    if (queued->state < STATES)
        show->states[queued->direction == QUEUE_OUT][queued->state]++;
    struct queued entry = *queued;
    int rc = store_get_message(ctx->view, store_id, &message, &ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    queue_totals_add(&show->totals, &entry, rc ? 0 : message.payload.len);
    topic_totals_add(&show->topics, rc ? span_str("(message is missing)") : message.topic,
                     rc ? 0 : message.payload.len, message_time_s(store_id));
    return 0;
}

static void show_totals(struct show *show)
{
    const struct queue_totals *totals = &show->totals;
    struct text value = {0};
    if (show->document) {
        cJSON *entry = cJSON_AddObjectToObject(show->document, "queue");
        json_add_number(entry, "out", totals->out);
        json_add_number(entry, "in", totals->in);
        json_add_number(entry, "inflight", totals->inflight);
        json_add_number(entry, "bytes", totals->bytes);
        json_add_signed(entry, "oldest_time", totals->oldest_s);
        json_add_signed(entry, "newest_time", totals->newest_s);
        return;
    }
    human_plural(&value, totals->out, "message");
    text_adds(&value, " out (");
    human_count(&value, totals->inflight);
    text_adds(&value, " in flight), ");
    human_count(&value, totals->in);
    text_adds(&value, " in, ");
    human_bytes(&value, totals->bytes);
    print_line("queue", &value);
    if (totals->oldest_s) {
        add_ago(&value, totals->oldest_s);
        print_line("oldest", &value);
        add_ago(&value, totals->newest_s);
        print_line("newest", &value);
    }
    text_release(&value);
}

static void show_states(struct show *show)
{
    static const struct column columns[] = {
        {"direction", "DIRECTION", COLUMN_WORD},
        {"state", "STATE", COLUMN_WORD},
        {"count", "COUNT", COLUMN_COUNT},
    };
    struct list list;
    if (!show->document && show->totals.out + show->totals.in)
        printf("\nqueue by state\n");
    else if (!show->document)
        return;
    list_begin_part(&list, show->ctx, show->document, "states", columns, 3);
    for (unsigned direction = 0; direction < 2; direction++) {
        for (unsigned state = 0; state < STATES; state++) {
            if (!show->states[direction][state])
                continue;
            list_row(&list);
            list_word(&list, direction ? "out" : "in");
            list_word(&list, queue_state_name(state));
            list_number(&list, show->states[direction][state]);
        }
    }
    list_end(&list, "");
}

static void show_topics(struct show *show)
{
    static const struct column columns[] = {
        {"topic", "TOPIC", COLUMN_TEXT},   {"count", "COUNT", COLUMN_COUNT},
        {"bytes", "BYTES", COLUMN_BYTES},  {"oldest_time", NULL, COLUMN_NUMBER},
        {NULL, "OLDEST", COLUMN_DURATION}, {"newest_time", NULL, COLUMN_NUMBER},
        {NULL, "NEWEST", COLUMN_DURATION},
    };
    struct list list;
    topic_totals_sort(&show->topics);
    if (!show->document && show->topics.count)
        printf("\nqueue by topic\n");
    else if (!show->document)
        return;
    list_begin_part(&list, show->ctx, show->document, "topics", columns,
                    sizeof(columns) / sizeof(columns[0]));
    if (!context_given(show->ctx, OPT_LIMIT) && !show->document)
        list.limit = 20;
    for (size_t i = 0; i < show->topics.count; i++) {
        const struct topic_total *total = &show->topics.entries[i];
        if (!list_row(&list))
            continue;
        list_text(&list, total->topic);
        list_number(&list, total->count);
        list_number(&list, total->bytes);
        list_age(&list, total->oldest_s);
        list_age(&list, total->newest_s);
    }
    list_end(&list, "");
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct show *show = user;
    subscription_list_add(&show->list, subscription);
    return 0;
}

static int show_subscriptions(struct show *show)
{
    struct context *ctx = show->ctx;
    if (!show->document)
        printf("\nsubscriptions\n");
    subscription_list_begin(&show->list, ctx, show->document, false);
    int rc = store_each_subscription(ctx->view, show->client_id, on_subscription, show, &ctx->err);
    list_end(&show->list, "none");
    return rc;
}

int cmd_session_show(struct context *ctx)
{
    struct session session;
    struct show show = {.ctx = ctx, .client_id = context_positional(ctx, 0)};
    int rc = store_get_session(ctx->view, show.client_id, &session, &ctx->err);
    if (rc == STORE_ENOTFOUND)
        return session_refuse_unknown(show.client_id);
    if (rc)
        return context_fail(ctx);

    if (ctx->json) {
        show.document = json_document();
        add_session_json(&show, &session);
    } else {
        print_session(ctx, &session);
    }
    // Copied: the session's strings last only until the next call on the view.
    session.username = session.auth_method = session.client_id = (struct span){NULL, 0};
    if ((rc = show_will(&show, &session)) ||
        (rc = store_each_queued(ctx->view, show.client_id, on_queued, &show, &ctx->err)))
        goto done;
    show_totals(&show);
    if ((rc = show_subscriptions(&show)))
        goto done;
    show_topics(&show);
    show_states(&show);
    if (show.document) {
        json_print(show.document);
        show.document = NULL;
    }

done:
    cJSON_Delete(show.document);
    topic_totals_release(&show.topics);
    return rc ? context_fail(ctx) : STATUS_DONE;
}
