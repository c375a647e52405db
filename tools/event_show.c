// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "event_show.h"

#include "entries.h"
#include "escape.h"
#include "human.h"
#include "payload.h"

#include <inttypes.h>
#include <stdio.h>

// Which member of the event a record type fills, by the list of types.
enum member {
    MEMBER_session,
    MEMBER_connection,
    MEMBER_subscription,
    MEMBER_message,
    MEMBER_queued,
    MEMBER_retained,
    MEMBER_will,
    MEMBER_none,
    MEMBER_link,
};

static enum member member_of(unsigned type)
{
    switch (type) {
#define CASE(id, name, member, shape, promised, text) \
    case id:                                          \
        return MEMBER_##member;
        RECORD_TYPES(CASE)
#undef CASE
    default:
        return MEMBER_none;
    }
}

// ---- JSON ----------------------------------------------------------------------------------

static cJSON *connection_entry(const struct connection *connection)
{
    cJSON *entry = cJSON_CreateObject();
    json_add_span(entry, "client_id", connection->client_id);
    json_add_span(entry, "username", connection->username);
    json_add_signed(entry, "time_ms", connection->time_ms);
    json_add_signed(entry, "session_expiry_time", connection->session_expiry_time);
    if (connection->listener_port)
        cJSON_AddNumberToObject(entry, "listener_port", connection->listener_port);
    return entry;
}

static cJSON *only_id(uint64_t store_id)
{
    cJSON *entry = cJSON_CreateObject();
    json_add_id(entry, "store_id", store_id);
    return entry;
}

static cJSON *only_client(struct span client_id)
{
    cJSON *entry = cJSON_CreateObject();
    json_add_span(entry, "client_id", client_id);
    return entry;
}

static cJSON *event_entry(const struct event *event)
{
    switch (member_of(event->type)) {
    case MEMBER_session:
        return entry_session(&event->session, false);
    case MEMBER_connection:
        return connection_entry(&event->connection);
    case MEMBER_subscription:
        return entry_subscription(&event->subscription);
    case MEMBER_message:
        return event->type == RECORD_MESSAGE_DELETE ? only_id(event->message.store_id)
                                                    : entry_message(&event->message, false);
    case MEMBER_queued:
        return entry_queued(&event->queued);
    case MEMBER_retained:
        return entry_retained(&event->retained);
    case MEMBER_will:
        return event->type == RECORD_WILL_DELETE ? only_client(event->will.client_id)
                                                 : entry_will(&event->will, false);
    default:
        return cJSON_CreateObject();
    }
}

static void event_print_json(const struct context *ctx, uint64_t position,
                             const struct event *event)
{
    cJSON *line = json_document();
    json_add_id(line, "position", position);
    json_add_string(line, "type", record_type_name(event->type));
    cJSON *entry = event_entry(event);
    cJSON_DeleteItemFromObjectCaseSensitive(entry, "type");
    if (!context_given(ctx, OPT_PAYLOAD))
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "payload");
    if (!context_given(ctx, OPT_USERS)) {
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "username");
        cJSON_DeleteItemFromObjectCaseSensitive(entry, "source_username");
    }
    // The entry's fields follow in the same object.
    while (entry->child) {
        cJSON *item = cJSON_DetachItemViaPointer(entry, entry->child);
        cJSON_AddItemToObject(line, item->string, item);
    }
    cJSON_Delete(entry);
    json_print(line);
}

// ---- text ----------------------------------------------------------------------------------

static void add_username(struct text *line, const struct context *ctx, struct span username)
{
    if (!username.data || !context_given(ctx, OPT_USERS))
        return;
    text_adds(line, ", user ");
    escape_add_quoted(line, username);
}

static void add_connection(struct text *line, const struct context *ctx,
                           const struct connection *connection)
{
    escape_add_quoted(line, connection->client_id);
    add_username(line, ctx, connection->username);
    if (connection->time_ms) {
        text_adds(line, ", ");
        human_time(line, connection->time_ms / 1000);
    }
    if (connection->listener_port)
        text_addf(line, ", listener port %u", connection->listener_port);
}

static void add_message(struct text *line, const struct context *ctx, const struct event *event)
{
    const struct message *message = &event->message;
    text_addf(line, "%" PRIu64, message->store_id);
    if (event->type == RECORD_MESSAGE_DELETE)
        return;
    text_addc(line, ' ');
    escape_add_quoted(line, message->topic);
    text_addf(line, ", QoS %u%s, ", message->qos, message->retain ? ", retain" : "");
    human_bytes(line, message->payload.len);
    text_adds(line, ", from ");
    escape_add_quoted(line, message->source_id);
    add_username(line, ctx, message->source_username);
}

static void add_queued(struct text *line, const struct queued *queued)
{
    const char *state = queue_state_name(queued->state);
    escape_add_quoted(line, queued->client_id);
    text_addf(line, " %s message %" PRIu64 ", entry %" PRIu64 ", QoS %u, packet id %u, %s%s%s",
              queued->direction == QUEUE_IN ? "in" : "out", queued->store_id, queued->cmsg_id,
              queued->qos, queued->mid, state ? state : "unknown state",
              queued->retain ? ", retain" : "", queued->dup ? ", dup" : "");
}

static void add_event(struct text *line, const struct context *ctx, const struct event *event)
{
    switch (member_of(event->type)) {
    case MEMBER_session:
        escape_add_quoted(line, event->session.client_id);
        add_username(line, ctx, event->session.username);
        break;
    case MEMBER_connection:
        add_connection(line, ctx, &event->connection);
        break;
    case MEMBER_subscription:
        escape_add_quoted(line, event->subscription.client_id);
        text_addc(line, ' ');
        escape_add_quoted(line, event->subscription.topic_filter);
        break;
    case MEMBER_message:
        add_message(line, ctx, event);
        break;
    case MEMBER_queued:
        add_queued(line, &event->queued);
        break;
    case MEMBER_retained:
        escape_add_quoted(line, event->retained.topic);
        text_addf(line, " message %" PRIu64, event->retained.store_id);
        break;
    case MEMBER_will:
        escape_add_quoted(line, event->will.client_id);
        if (event->type == RECORD_WILL_SET) {
            text_addc(line, ' ');
            escape_add_quoted(line, event->will.topic);
        }
        break;
    case MEMBER_link:
        text_addf(line, "after %" PRIu64, event->link.previous_end);
        break;
    case MEMBER_none:
        break;
    }
}

static void event_print_text(const struct context *ctx, uint64_t position,
                             const struct event *event)
{
    struct text line = {0};
    text_addf(&line, "%" PRIu64 "  %-20s", position, record_type_name(event->type));
    add_event(&line, ctx, event);
    while (line.len && line.data[line.len - 1] == ' ')
        line.data[--line.len] = '\0';
    text_addc(&line, '\n');
    const char *form = context_text(ctx, OPT_PAYLOAD, "none");
    if (event->type == RECORD_MESSAGE_ADD)
        payload_add(&line, event->message.payload, form);
    if (event->type == RECORD_WILL_SET)
        payload_add(&line, event->will.payload, form);
    fwrite(line.data, 1, line.len, stdout);
    text_release(&line);
}

void event_print(const struct context *ctx, uint64_t position, const struct event *event)
{
    if (ctx->json)
        event_print_json(ctx, position, event);
    else
        event_print_text(ctx, position, event);
}
