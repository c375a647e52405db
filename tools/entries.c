// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "entries.h"

#include "store/properties_wire.h"

static cJSON *entry_new(const char *type)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "type", type);
    return entry;
}

static void add_secret(cJSON *entry, const char *key, struct span span, bool redact)
{
    json_add_span(entry, key, redact && span.data ? span_str("redacted") : span);
}

static void add_payload(cJSON *entry, struct span payload, bool redact)
{
    json_add_base64(entry, "payload", redact ? (struct span){NULL, 0} : payload);
}

static cJSON *property_entry(const struct property *property, bool redact)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "identifier", property->type->name);
    switch (property->type->kind) {
    case PROPERTY_PAIR:
        add_secret(entry, "name", property->name, redact);
        add_secret(entry, "value", property->value, redact);
        break;
    case PROPERTY_STRING:
        add_secret(entry, "value", property->value, redact);
        break;
    case PROPERTY_BINARY:
        json_add_base64(entry, "value", redact ? (struct span){NULL, 0} : property->value);
        break;
    default:
        json_add_number(entry, "value", property->number);
    }
    return entry;
}

cJSON *entry_properties(struct span bytes, bool redact)
{
    cJSON *list = cJSON_CreateArray();
    struct property property;
    uint32_t offset = 0;
    int rc;
    while ((rc = property_next(bytes, &offset, &property, NULL)) > 0)
        cJSON_AddItemToArray(list, property_entry(&property, redact));
    if (rc == 0)
        return list;
    cJSON_Delete(list);
    list = cJSON_CreateArray();
    cJSON *raw = cJSON_CreateObject();
    cJSON_AddStringToObject(raw, "identifier", "raw");
    json_add_base64(raw, "value", redact ? (struct span){NULL, 0} : bytes);
    cJSON_AddItemToArray(list, raw);
    return list;
}

cJSON *entry_store(const struct store_stats *stats, bool redact)
{
    cJSON *entry = entry_new("store");
    cJSON_AddNumberToObject(entry, "format", JSON_FORMAT_VERSION);
    json_add_string(entry, "store_id", stats->store_id);
    json_add_id(entry, "position", stats->journal_covered);
    if (redact)
        cJSON_AddTrueToObject(entry, "redacted");
    return entry;
}

cJSON *entry_session(const struct session *session, bool redact)
{
    cJSON *entry = entry_new("session");
    json_add_span(entry, "client_id", session->client_id);
    add_secret(entry, "username", session->username, redact);
    json_add_span(entry, "auth_method", session->auth_method);
    json_add_bool(entry, "connected", session->connected);
    json_add_number(entry, "session_expiry_interval", session->session_expiry_interval);
    json_add_signed(entry, "session_expiry_time", session->session_expiry_time);
    json_add_number(entry, "will_delay_interval", session->will_delay_interval);
    json_add_signed(entry, "will_delay_time", session->will_delay_time);
    json_add_number(entry, "listener_port", session->listener_port);
    json_add_number(entry, "max_packet_size", session->max_packet_size);
    json_add_number(entry, "max_qos", session->max_qos);
    json_add_bool(entry, "retain_available", session->retain_available);
    return entry;
}

cJSON *entry_subscription(const struct subscription *subscription)
{
    cJSON *entry = entry_new("subscription");
    json_add_span(entry, "client_id", subscription->client_id);
    json_add_span(entry, "topic_filter", subscription->topic_filter);
    json_add_number(entry, "options", subscription->options);
    json_add_number(entry, "identifier", subscription->identifier);
    return entry;
}

cJSON *entry_message(const struct message *message, bool redact)
{
    cJSON *entry = entry_new("message");
    json_add_id(entry, "store_id", message->store_id);
    json_add_span(entry, "topic", message->topic);
    add_payload(entry, message->payload, redact);
    json_add_number(entry, "payload_len", message->payload.len);
    json_add_span(entry, "source_id", message->source_id);
    add_secret(entry, "source_username", message->source_username, redact);
    json_add_number(entry, "source_mid", message->source_mid);
    json_add_number(entry, "source_port", message->source_port);
    json_add_number(entry, "qos", message->qos);
    json_add_bool(entry, "retain", message->retain);
    json_add_signed(entry, "expiry_time", message->expiry_time);
    cJSON_AddItemToObject(entry, "properties", entry_properties(message->properties, redact));
    return entry;
}

cJSON *entry_queued(const struct queued *queued)
{
    cJSON *entry = entry_new("queued");
    json_add_span(entry, "client_id", queued->client_id);
    json_add_string(entry, "direction", queued->direction == QUEUE_IN ? "in" : "out");
    json_add_id(entry, "cmsg_id", queued->cmsg_id);
    json_add_id(entry, "store_id", queued->store_id);
    json_add_number(entry, "mid", queued->mid);
    json_add_number(entry, "qos", queued->qos);
    json_add_bool(entry, "retain", queued->retain);
    json_add_bool(entry, "dup", queued->dup != 0);
    json_add_string(entry, "state", queue_state_name(queued->state));
    json_add_number(entry, "subscription_identifier", queued->subscription_identifier);
    return entry;
}

cJSON *entry_retained(const struct retained *retained)
{
    cJSON *entry = entry_new("retained");
    json_add_span(entry, "topic", retained->topic);
    json_add_id(entry, "store_id", retained->store_id);
    return entry;
}

cJSON *entry_will(const struct will *will, bool redact)
{
    cJSON *entry = entry_new("will");
    json_add_span(entry, "client_id", will->client_id);
    json_add_span(entry, "topic", will->topic);
    add_payload(entry, will->payload, redact);
    json_add_number(entry, "qos", will->qos);
    json_add_bool(entry, "retain", will->retain);
    cJSON_AddItemToObject(entry, "properties", entry_properties(will->properties, redact));
    return entry;
}
