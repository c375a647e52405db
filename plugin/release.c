// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "release.h"

#include "items.h"
#include "mid.h"
#include "plugin.h"
#include "restore.h"
#include "text.h"

#include <stdlib.h>

// MQTT 5 section 3.8.3.1: the bits of the subscription options.
#define OPTION_QOS 0x03
#define OPTION_NO_LOCAL 0x04
#define OPTION_RETAIN_AS_PUBLISHED 0x08
#define SHARE_PREFIX "$share/"

struct waiting {
    uint64_t store_id;
    uint16_t mid;
    char *client_id;
};

// Who has the message already, and who is to get it. A client is to get one copy for its plain
// subscriptions, and one for each share group that is for it.
struct recipient {
    char *client_id;
    uint32_t client_id_len;
    uint8_t qos;
    bool retain;
    uint32_t subscription_identifier;
    uint32_t copies; // that it has already, and not by one of its plain subscriptions
};

struct recipients {
    struct recipient *items;
    size_t count, capacity;
    struct hash by_id; // index plus one
};

struct release {
    struct plugin *plugin;
    struct store_view *lookup;
    struct text client_id, topic, filter;

    struct waiting *waiting; // sorted by store_id once the queues are walked
    size_t waiting_count, waiting_capacity;
    bool sorted;

    const struct waiting *begun; // the one that somebody has; the broker handles one at a time
    struct recipients served;    // in the order of client ids, as the walk gives them
    struct recipients owed;      // plain copies in that order, then those for share groups
    struct recipients groups;    // one member each of the share groups that match; `client_id` is
                                 // the group's filter with "$share/" in front
    struct message message;      // valid until the next call on `lookup`
    struct text source_id;
    bool message_retain;
};

static int out_of_memory(struct store_error *err)
{
    return error_set(err, STORE_ENOMEM, "out of memory while finishing a release");
}

int release_new(struct release **ret_release, struct plugin *plugin, struct store_view *lookup,
                struct store_error *err)
{
    struct release *release = calloc(1, sizeof(*release));
    if (!release)
        return out_of_memory(err);
    release->plugin = plugin;
    release->lookup = lookup;
    *ret_release = release;
    return 0;
}

static void recipients_release(struct recipients *recipients)
{
    for (size_t i = 0; i < recipients->count; i++)
        free(recipients->items[i].client_id);
    free(recipients->items);
    hash_release(&recipients->by_id);
}

void release_free(struct release *release)
{
    if (!release)
        return;
    for (size_t i = 0; i < release->waiting_count; i++)
        free(release->waiting[i].client_id);
    free(release->waiting);
    recipients_release(&release->served);
    recipients_release(&release->owed);
    recipients_release(&release->groups);
    text_release(&release->client_id);
    text_release(&release->topic);
    text_release(&release->filter);
    text_release(&release->source_id);
    free(release);
}

static struct recipient *recipients_add(struct recipients *recipients, struct span client_id)
{
    if (!items_grow(&recipients->items, recipients->count, 1, &recipients->capacity,
                    sizeof(*recipients->items)) ||
        !hash_reserve(&recipients->by_id))
        return NULL;
    struct recipient *recipient = &recipients->items[recipients->count];
    *recipient =
        (struct recipient){.client_id = text_for_broker(client_id), .client_id_len = client_id.len};
    if (!recipient->client_id)
        return NULL;
    recipients->count++;
    hash_insert(&recipients->by_id, text_hash(recipient->client_id), (uint32_t)recipients->count);
    return recipient;
}

static bool recipient_is(const struct recipient *recipient, struct span client_id)
{
    return span_equal(span_of(recipient->client_id, recipient->client_id_len), client_id);
}

static struct recipient *recipients_find(const struct recipients *recipients, struct span client_id)
{
    uint32_t hash = text_span_hash(client_id), at = hash, ref;
    while ((ref = hash_next(&recipients->by_id, hash, &at))) {
        if (recipient_is(&recipients->items[ref - 1], client_id))
            return &recipients->items[ref - 1];
    }
    return NULL;
}

// The last one, if it is the client's.
static struct recipient *recipients_last(const struct recipients *recipients, struct span client_id)
{
    struct recipient *last = recipients->count ? &recipients->items[recipients->count - 1] : NULL;
    return last && recipient_is(last, client_id) ? last : NULL;
}

// ---- what waits ----------------------------------------------------------------------------

struct session_look {
    struct release *release;
    struct store_error *err;
};

#define LOOKED_ENOUGH 1 // ends a walk that has seen what it came for

static int on_session_queued(void *user, const struct queued *queued)
{
    struct session_look *look = user;
    struct release *release = look->release;
    if (queued->direction != QUEUE_IN)
        return LOOKED_ENOUGH; // the incoming ones come first
    struct waiting waiting = {.store_id = queued->store_id,
                              .mid = queued->mid,
                              .client_id = text_for_broker(queued->client_id)};
    if (!waiting.client_id || !items_grow(&release->waiting, release->waiting_count, 1,
                                          &release->waiting_capacity, sizeof(waiting))) {
        free(waiting.client_id);
        return out_of_memory(look->err);
    }
    release->waiting[release->waiting_count++] = waiting;
    return 0;
}

int release_session(struct release *release, struct span client_id, struct store_error *err)
{
    struct session_look look = {release, err};
    int rc = store_each_queued(release->lookup, client_id, on_session_queued, &look, err);
    return rc == LOOKED_ENOUGH ? 0 : rc;
}

static int by_store_id(const void *a, const void *b)
{
    uint64_t x = ((const struct waiting *)a)->store_id;
    uint64_t y = ((const struct waiting *)b)->store_id;
    return (x > y) - (x < y);
}

static const struct waiting *waiting_find(struct release *release, uint64_t store_id)
{
    struct waiting wanted = {.store_id = store_id};
    if (!release->sorted && release->waiting_count)
        qsort(release->waiting, release->waiting_count, sizeof(wanted), by_store_id);
    release->sorted = true;
    if (!release->waiting_count)
        return NULL;
    return bsearch(&wanted, release->waiting, release->waiting_count, sizeof(wanted), by_store_id);
}

int release_queued(struct release *release, const struct queued *queued, struct store_error *err)
{
    if (queued->direction != QUEUE_OUT || !release->waiting_count)
        return 0;
    const struct waiting *waiting = waiting_find(release, queued->store_id);
    if (!waiting)
        return 0;
    release->begun = waiting;
    if (queued->qos == 0)
        return 0;
    struct recipient *served = recipients_last(&release->served, queued->client_id);
    if (!served)
        served = recipients_add(&release->served, queued->client_id);
    if (!served)
        return out_of_memory(err);
    served->copies++;
    return 0;
}

// ---- who is owed ---------------------------------------------------------------------------

struct subscription_look {
    struct release *release;
    const char *topic;
    bool groups; // those of share groups, else the plain ones
    struct store_error *err;
};

// The filter behind "$share/group/"; NULL if it is no shared one.
static const char *shared_filter(const char *filter)
{
    if (strncmp(filter, SHARE_PREFIX, sizeof(SHARE_PREFIX) - 1) != 0)
        return NULL;
    const char *slash = strchr(filter + sizeof(SHARE_PREFIX) - 1, '/');
    return slash ? slash + 1 : NULL;
}

static void recipient_raise(struct recipient *recipient, const struct subscription *subscription,
                            bool message_retain)
{
    uint8_t qos = subscription->options & OPTION_QOS;
    if (qos <= recipient->qos)
        return;
    recipient->qos = qos;
    recipient->retain = message_retain && (subscription->options & OPTION_RETAIN_AS_PUBLISHED) != 0;
    recipient->subscription_identifier = subscription->identifier;
}

// One member of a share group gets a message; a group of which one has it is done.
static int group_note(struct release *release, const struct subscription *subscription,
                      struct store_error *err)
{
    struct recipients *groups = &release->groups;
    struct recipient *group = recipients_find(groups, subscription->topic_filter);
    struct recipient *served = recipients_find(&release->served, subscription->client_id);
    bool fresh = !group, done = served && served->copies > 0;
    if (fresh)
        group = recipients_add(groups, subscription->topic_filter);
    if (!group)
        return out_of_memory(err);
    if (done && (fresh || group->qos)) {
        // The member that was taken for it first may have been the wrong one.
        if (group->qos)
            release->owed.items[group->subscription_identifier].qos = 0;
        group->qos = 0;
        served->copies--;
    } else if (fresh) {
        struct recipient *owed = recipients_add(&release->owed, subscription->client_id);
        if (!owed)
            return out_of_memory(err);
        recipient_raise(owed, subscription, release->message_retain);
        group->qos = owed->qos;
        group->subscription_identifier = (uint32_t)(release->owed.count - 1);
    }
    return 0;
}

static int plain_note(struct release *release, const struct subscription *subscription,
                      struct store_error *err)
{
    const char *source_id = release->source_id.data;
    if ((subscription->options & OPTION_NO_LOCAL) && source_id &&
        span_equal(subscription->client_id, span_str(source_id)))
        return 0;
    struct recipient *served = recipients_find(&release->served, subscription->client_id);
    if (served) {
        // The broker serves plain subscriptions first.
        served->copies -= served->copies > 0;
        return 0;
    }
    // Overlapping subscriptions come one after the other; one copy at the highest QoS will do
    // (MQTT 5 section 3.3.4).
    struct recipient *owed = recipients_last(&release->owed, subscription->client_id);
    if (!owed)
        owed = recipients_add(&release->owed, subscription->client_id);
    if (!owed)
        return out_of_memory(err);
    recipient_raise(owed, subscription, release->message_retain);
    return 0;
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct subscription_look *look = user;
    struct release *release = look->release;
    bool matches = false;
    const char *filter = text_set(&release->filter, subscription->topic_filter);
    if (!filter)
        return out_of_memory(look->err);
    const char *shared = shared_filter(filter);
    if ((shared != NULL) != look->groups || (subscription->options & OPTION_QOS) == 0)
        return 0; // nobody is owed a message of QoS 0
    if (mosquitto_topic_matches_sub(shared ? shared : filter, look->topic, &matches) || !matches)
        return 0;
    return shared ? group_note(release, subscription, look->err)
                  : plain_note(release, subscription, look->err);
}

// ---- the end of it -------------------------------------------------------------------------

static int on_last_mid(void *user, const struct queued *queued)
{
    if (queued->direction == QUEUE_OUT && queued->mid)
        *(uint16_t *)user = queued->mid;
    return 0;
}

// Behind all that was restored and all that it has been given of the same message.
static int recipient_next_mid(struct release *release, const struct recipient *recipient,
                              uint16_t *ret_mid, struct store_error *err)
{
    struct span client_id = span_of(recipient->client_id, recipient->client_id_len);
    uint16_t mid = 0;
    int rc = store_each_queued(release->lookup, client_id, on_last_mid, &mid, err);
    uint32_t hash = text_span_hash(client_id), at = hash, ref;
    while (rc == 0 && (ref = hash_next(&release->owed.by_id, hash, &at))) {
        const struct recipient *other = &release->owed.items[ref - 1];
        if (other < recipient && other->qos && recipient_is(other, client_id))
            mid = mid_next(mid);
    }
    *ret_mid = mid_next(mid);
    return rc;
}

static int recipient_give(struct release *release, const struct recipient *recipient,
                          struct store_error *err)
{
    struct plugin *plugin = release->plugin;
    struct span client_id = span_of(recipient->client_id, recipient->client_id_len);
    uint64_t behind = (uint64_t)(&release->owed.items[release->owed.count - 1] - recipient);
    uint16_t mid;
    int rc = recipient_next_mid(release, recipient, &mid, err);
    if (rc)
        return rc;
    struct event event = {.type = RECORD_QUEUE_ADD,
                          .queued = {.client_id = client_id,
                                     // Behind all that was restored, each behind the one before,
                                     // the last before the broker's first: 1.
                                     .cmsg_id = store_cmsg_id(plugin->store, 0) - behind,
                                     .store_id = release->begun->store_id,
                                     .subscription_identifier = recipient->subscription_identifier,
                                     .mid = mid,
                                     .direction = QUEUE_OUT,
                                     .qos = recipient->qos,
                                     .state = QUEUE_STATE_QUEUED,
                                     .retain = recipient->retain}};
    struct mosquitto_client_msg msg = {.clientid = recipient->client_id,
                                       .cmsg_id = event.queued.cmsg_id,
                                       .store_id = event.queued.store_id,
                                       .subscription_identifier =
                                           event.queued.subscription_identifier,
                                       .mid = event.queued.mid,
                                       .qos = event.queued.qos,
                                       .retain = event.queued.retain,
                                       .direction = mosq_bmd_out,
                                       .state = QUEUE_STATE_QUEUED};
    int added = mosquitto_persist_client_msg_add(&msg);
    if (added == MOSQ_ERR_NOT_FOUND)
        return 0;
    // A queue that is full now need not have been then, when the client was connected.
    if (added == BROKER_QUEUED_OR_DROPPED) {
        rc = backlog_add(&plugin->backlog, &event.queued, mid, err);
        if (rc)
            return rc;
    } else if (added)
        return restore_failed(err, added, "message %llu for session %.200s",
                              (unsigned long long)event.queued.store_id, recipient->client_id);
    append_event(plugin, &event);
    return 0;
}

static int retained_settle(struct release *release, const char *topic, struct store_error *err)
{
    struct event event = {
        .retained = {.topic = span_str(topic), .store_id = release->begun->store_id}};
    int rc;
    if (!release->message_retain || topic[0] == '$')
        return 0;
    if (release->message.payload.len) {
        event.type = RECORD_RETAINED_SET;
        rc = mosquitto_persist_retain_msg_set(topic, event.retained.store_id);
    } else {
        event.type = RECORD_RETAINED_DELETE;
        rc = mosquitto_persist_retain_msg_delete(topic);
    }
    if (rc)
        return restore_failed(err, rc, "retained message of topic %.200s", topic);
    append_event(release->plugin, &event);
    return 0;
}

static int release_complete(struct release *release, struct store_view *view,
                            struct store_error *err)
{
    const struct waiting *begun = release->begun;
    int rc = store_get_message(release->lookup, begun->store_id, &release->message, err);
    if (rc)
        return rc;
    // What a client has published carries its name; anything else was never its to release.
    if (release->message.qos != 2 ||
        !span_equal(release->message.source_id, span_str(begun->client_id)))
        return 0;
    release->message_retain = release->message.retain;
    const char *topic = text_set(&release->topic, release->message.topic);
    if (!topic || (release->message.source_id.data &&
                   !text_set(&release->source_id, release->message.source_id)))
        return out_of_memory(err);

    // First, while the message is still valid.
    struct subscription_look look = {release, topic, false, err};
    struct span everyone = {0};
    if ((rc = retained_settle(release, topic, err)) ||
        (rc = store_each_subscription(view, everyone, on_subscription, &look, err)))
        return rc;
    look.groups = true;
    if ((rc = store_each_subscription(view, everyone, on_subscription, &look, err)))
        return rc;
    for (size_t i = 0; rc == 0 && i < release->owed.count; i++) {
        if (release->owed.items[i].qos)
            rc = recipient_give(release, &release->owed.items[i], err);
    }
    if (rc)
        return rc;
    // The broker tells of it, and so it leaves the store.
    struct mosquitto_client_msg msg = {
        .clientid = begun->client_id, .mid = begun->mid, .direction = mosq_bmd_in, .qos = 2};
    int removed = mosquitto_persist_client_msg_delete(&msg);
    // What is above max_inflight_messages is only queued, and would be released once more.
    if (removed == MOSQ_ERR_NOT_FOUND &&
        deletions_is_needed(&release->plugin->deletions, begun->store_id))
        return error_set(err, STORE_EINVAL,
                         "session %.200s has more QoS 2 messages on their way in than "
                         "max_inflight_messages allows, and the release of one of them was cut "
                         "short; set it as it was before",
                         begun->client_id);
    if (removed && removed != MOSQ_ERR_NOT_FOUND)
        return restore_failed(err, removed, "packet id %u of session %.200s", begun->mid,
                              begun->client_id);
    return 0;
}

// A message without subscribers may have become the retained one, and that is all.
static int retained_look(struct release *release, struct store_error *err)
{
    for (size_t i = 0; !release->begun && i < release->waiting_count; i++) {
        const struct waiting *waiting = &release->waiting[i];
        struct message message;
        struct retained retained;
        struct store_error ignored = {0};
        int rc = store_get_message(release->lookup, waiting->store_id, &message, &ignored);
        if (rc == STORE_ENOTFOUND)
            continue; // queue_restore.c has forgotten it
        if (rc)
            return error_set(err, rc, "%s", ignored.sentence);
        if (!message.retain || !message.topic.data)
            continue;
        const char *topic = text_set(&release->topic, message.topic);
        if (!topic)
            return out_of_memory(err);
        rc = store_get_retained(release->lookup, span_str(topic), &retained, &ignored);
        if (rc == 0 && retained.store_id == waiting->store_id)
            release->begun = waiting;
        else if (rc && rc != STORE_ENOTFOUND)
            return error_set(err, rc, "%s", ignored.sentence);
    }
    return 0;
}

int release_finish(struct release *release, struct store_view *view, struct store_error *err)
{
    int rc = retained_look(release, err);
    if (rc || !release->begun)
        return rc;
    return release_complete(release, view, err);
}
