// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "import.h"

#include "context.h"
#include "escape.h"
#include "interrupt.h"
#include "store/properties_wire.h"
#include "topic.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

// What the journal may hold before the tables must have it.
#define FLUSH_BYTES (UINT64_C(64) << 20)

// ---- what no broker could take -------------------------------------------------------------

static bool holds_zero(struct span span)
{
    return span.len && memchr(span.data, '\0', span.len);
}

static const char *check_client_id(struct span client_id)
{
    if (!client_id.len)
        return "it has no client id";
    return holds_zero(client_id) ? "its client id holds a zero byte" : NULL;
}

static const char *check_properties(struct span properties)
{
    struct property property;
    uint32_t offset = 0;
    int rc;
    while ((rc = property_next(properties, &offset, &property, NULL)) > 0)
        continue;
    return rc ? "its properties are not MQTT 5's" : NULL;
}

static const char *check_session(struct import *import, struct event *event)
{
    const struct session *session = &event->session;
    const char *why = check_client_id(session->client_id);
    if (why)
        return why;
    if (holds_zero(session->username) || holds_zero(session->auth_method))
        return "its user name or authentication method holds a zero byte";
    return client_map_find(&import->clients, session->client_id) ? "the client is there twice"
                                                                 : NULL;
}

static const char *check_subscription(struct import *import, struct event *event)
{
    const struct subscription *subscription = &event->subscription;
    if (!client_map_find(&import->clients, subscription->client_id))
        return "there is no session of that client";
    if (!topic_filter_valid(subscription->topic_filter))
        return "its topic filter is not MQTT's";
    uint8_t options = subscription->options;
    if ((options & 3) == 3 || (options >> 4 & 3) == 3 || options >> 6)
        return "its options are not MQTT's";
    return NULL;
}

static const char *check_message(struct import *import, struct event *event)
{
    const struct message *message = &event->message;
    if (!message->store_id)
        return "it has no number";
    if (!topic_name_valid(message->topic))
        return "its topic is not MQTT's";
    if (holds_zero(message->source_id) || holds_zero(message->source_username))
        return "its publisher's client id or user name holds a zero byte";
    const char *why = check_properties(message->properties);
    if (why)
        return why;
    return id_set_add(&import->messages, message->store_id) ? NULL : "its number is there twice";
}

// The id as the store will keep it.
static uint64_t raised_cmsg_id(const struct import *import, uint64_t cmsg_id)
{
    if (import->store)
        return store_cmsg_id(import->store, cmsg_id);
    return cmsg_id >> STORE_CMSG_LIFE_SHIFT ? cmsg_id
                                            : cmsg_id | UINT64_C(1) << STORE_CMSG_LIFE_SHIFT;
}

static const char *check_queued(struct import *import, struct event *event)
{
    struct queued *queued = &event->queued;
    struct client *client = client_map_find(&import->clients, queued->client_id);
    if (!client)
        return "there is no session of that client";
    if (!id_set_find(&import->messages, queued->store_id))
        return "there is no message of that number";
    uint64_t *last = &client->last_cmsg_id[queued->direction & 1];
    if (!queued->cmsg_id)
        queued->cmsg_id = ++client->numbered;
    uint64_t cmsg_id = raised_cmsg_id(import, queued->cmsg_id);
    if (cmsg_id <= *last)
        return "its cmsg_id is not greater than that of the entry before it";
    *last = cmsg_id;
    return NULL;
}

static const char *check_retained(struct import *import, struct event *event)
{
    const struct retained *retained = &event->retained;
    if (!topic_name_valid(retained->topic))
        return "its topic is not MQTT's";
    return id_set_find(&import->messages, retained->store_id)
               ? NULL
               : "there is no message of that number";
}

// The will is published in the name of the session's user, if the source names nobody.
static const char *check_will(struct import *import, struct event *event)
{
    struct will *will = &event->will;
    const char *why = check_client_id(will->client_id);
    if (!why && !topic_name_valid(will->topic))
        why = "its topic is not MQTT's";
    if (!why)
        why = check_properties(will->properties);
    if (why)
        return why;
    struct client *client = client_map_find(&import->clients, will->client_id);
    if (!client)
        return NULL;
    if (client->has_will)
        return "the client is there twice";
    client->has_will = true;
    if (!will->username.data) {
        will->username = client->username;
        will->listener_port = client->listener_port;
    }
    return NULL;
}

static const char *check(struct import *import, enum entry_type type, struct event *event)
{
    static const char *(*const checks[ENTRY_TYPES])(struct import *, struct event *) = {
        [ENTRY_SESSION] = check_session,   [ENTRY_SUBSCRIPTION] = check_subscription,
        [ENTRY_MESSAGE] = check_message,   [ENTRY_QUEUED] = check_queued,
        [ENTRY_RETAINED] = check_retained, [ENTRY_WILL] = check_will,
    };
    return checks[type](import, event);
}

// ---- losses and notes ----------------------------------------------------------------------

static void add_name(struct text *text, const char *what, struct span name)
{
    if (text->len)
        text_adds(text, ", ");
    text_addf(text, "%s ", what);
    escape_add_quoted(text, name.data ? name : span_str(""));
}

static void add_number(struct text *text, const char *what, uint64_t number)
{
    text_addf(text, "%s%s %" PRIu64, text->len ? ", " : "", what, number);
}

static void describe(struct text *text, enum entry_type type, const struct event *event)
{
    switch (type) {
    case ENTRY_SESSION:
        add_name(text, "client", event->session.client_id);
        break;
    case ENTRY_SUBSCRIPTION:
        add_name(text, "client", event->subscription.client_id);
        add_name(text, "filter", event->subscription.topic_filter);
        break;
    case ENTRY_MESSAGE:
        add_number(text, "message", event->message.store_id);
        add_name(text, "topic", event->message.topic);
        break;
    case ENTRY_QUEUED:
        add_name(text, "client", event->queued.client_id);
        add_number(text, "message", event->queued.store_id);
        add_number(text, "packet id", event->queued.mid);
        break;
    case ENTRY_RETAINED:
        add_name(text, "topic", event->retained.topic);
        add_number(text, "message", event->retained.store_id);
        break;
    default:
        add_name(text, "client", event->will.client_id);
    }
}

static void list_loss(struct import *import, enum entry_type type, const char *why,
                      const char *what)
{
    if (import->losses_count == IMPORT_LOSSES_LISTED) {
        import->losses_more++;
        return;
    }
    size_t bytes = (import->losses_count + 1) * sizeof(*import->losses);
    import->losses = xrealloc(import->losses, bytes);
    import->losses[import->losses_count++] =
        (struct import_loss){type, xstrdup(what), xstrdup(why)};
}

static void vlist_loss(struct import *import, enum entry_type type, const char *why,
                       const char *format, va_list args)
{
    char what[512];
    if (vsnprintf(what, sizeof(what), format, args) < 0)
        what[0] = '\0';
    list_loss(import, type, why, what);
}

void import_lose(struct import *import, enum entry_type type, const char *why, const char *what,
                 ...)
{
    va_list args;
    va_start(args, what);
    vlist_loss(import, type, why, what, args);
    va_end(args);
    import->in[type]++;
}

void import_lose_part(struct import *import, enum entry_type type, const char *why,
                      const char *what, ...)
{
    va_list args;
    va_start(args, what);
    vlist_loss(import, type, why, what, args);
    va_end(args);
}

void import_note(struct import *import, const char *format, ...)
{
    char sentence[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    size_t bytes = (import->notes_count + 1) * sizeof(*import->notes);
    import->notes = xrealloc(import->notes, bytes);
    struct text *note = &import->notes[import->notes_count++];
    *note = (struct text){0};
    text_adds(note, n < 0 ? format : sentence);
}

// ---- appending -----------------------------------------------------------------------------

static int append(struct import *import, const struct event *event, struct store_error *err)
{
    if (!import->store)
        return 0;
    int rc = store_append(import->store, event, err);
    if (rc == STORE_EFULL) {
        rc = store_flush(import->store, err);
        if (rc == 0)
            rc = store_append(import->store, event, err);
    }
    return rc;
}

// A session is added as connected; one that is not has left since.
static int append_session(struct import *import, const struct event *event, struct store_error *err)
{
    const struct session *session = &event->session;
    struct client *client = client_map_add(&import->clients, session->client_id);
    client->username = xspan_copy(session->username);
    client->listener_port = session->listener_port;
    int rc = append(import, event, err);
    if (rc || session->connected)
        return rc;
    if (session->session_expiry_time && session->session_expiry_time < context_now_s())
        import->expired_sessions++;
    struct event offline = {.type = RECORD_SESSION_OFFLINE};
    offline.connection = (struct connection){
        .client_id = session->client_id,
        .time_ms = session->changed_time_ms,
        .session_expiry_time = session->session_expiry_time,
    };
    return append(import, &offline, err);
}

static int append_message(struct import *import, const struct event *event, struct store_error *err)
{
    const struct message *message = &event->message;
    if (message->expiry_time && message->expiry_time <= context_now_s())
        import->expired_messages++;
    import->unflushed_bytes += message->payload.len;
    return append(import, event, err);
}

static int flush_some(struct import *import, struct store_error *err)
{
    if (!import->store || import->unflushed_bytes <= FLUSH_BYTES)
        return 0;
    import->unflushed_bytes = 0;
    return store_flush(import->store, err);
}

int import_take(struct import *import, enum entry_type type, struct event *event,
                struct store_error *err)
{
    const char *why = check(import, type, event);
    import->in[type]++;
    if (import->progress)
        progress_step(import->progress);
    if (interrupt_pending())
        return error_set(err, STORE_ESTOPPED, "stopped");
    if (why) {
        struct text what = {0};
        describe(&what, type, event);
        list_loss(import, type, why, what.data);
        text_release(&what);
        return 0;
    }
    int rc;
    if (type == ENTRY_SESSION)
        rc = append_session(import, event, err);
    else if (type == ENTRY_MESSAGE)
        rc = append_message(import, event, err);
    else
        rc = append(import, event, err);
    if (rc == 0)
        rc = flush_some(import, err);
    if (rc == 0)
        import->out[type]++;
    return rc;
}

bool import_has_session(const struct import *import, struct span client_id)
{
    return client_map_find(&import->clients, client_id) != NULL;
}

void import_release(struct import *import)
{
    for (size_t i = 0; i < import->losses_count; i++) {
        free(import->losses[i].what);
        free(import->losses[i].why);
    }
    free(import->losses);
    for (size_t i = 0; i < import->notes_count; i++)
        text_release(&import->notes[i]);
    free(import->notes);
    client_map_release(&import->clients);
    id_set_release(&import->messages);
    *import = (struct import){0};
}
