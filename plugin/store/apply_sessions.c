// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "apply_internal.h"
#include "values.h"

#include <stdlib.h>

static int by_client_id(const void *a, const void *b)
{
    struct span x = (*(const struct fold_client *const *)a)->client_id;
    struct span y = (*(const struct fold_client *const *)b)->client_id;
    uint32_t common = x.len < y.len ? x.len : y.len;
    int order = common > 0 ? memcmp(x.data, y.data, common) : 0;
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

static struct apply_client *client_of(struct apply *apply, const struct fold_client *client)
{
    const struct fold_client *first = FOLD_ITEMS(apply->fold, clients, struct fold_client);
    return &apply->clients[client - first];
}

static int session_get(struct apply *apply, const struct key *key, struct span client_id,
                       struct session *ret_session)
{
    struct span value;
    int rc = apply_get(apply, TABLE_SESSIONS, key, &value);
    if (rc)
        return rc;
    const char *why = value_session_decode(key_span(key), value, ret_session);
    if (why)
        return tables_damaged(apply->err, TABLE_SESSIONS, key_span(key), why);
    if (!span_equal(ret_session->client_id, client_id))
        return tables_damaged(apply->err, TABLE_SESSIONS, key_span(key),
                              "another string lies under the same key");
    return 0;
}

static int session_put(struct apply *apply, const struct key *key, const struct session *session)
{
    uint8_t *place;
    size_t bytes = value_session_bytes(session);
    int rc = apply_reserve(apply, TABLE_SESSIONS, key, bytes, &place);
    if (rc)
        return rc;
    value_session_encode(session, key_span(key), place);
    apply_added(apply, TABLE_SESSIONS, span_of(place, bytes));
    return 0;
}

static int session_purge(struct apply *apply, const struct key *key, uint64_t number)
{
    int rc = apply_purge(apply, TABLE_SUBSCRIPTIONS, number);
    if (rc == 0)
        rc = apply_purge(apply, TABLE_QUEUE, number);
    return rc ? rc : apply_delete(apply, TABLE_SESSIONS, key);
}

static void session_leave(struct session *session, const struct fold_client *client)
{
    const struct fold_offline *offline = &client->offline;
    if (!(client->changes & FOLD_CONNECTED)) {
        session->connected = false;
        session->changed_time_ms = offline->time_ms;
    }
    if (offline->has_expiry_time)
        session->session_expiry_time = offline->session_expiry_time;
    if (offline->never_expires)
        session->session_expiry_interval = SESSION_EXPIRY_NEVER;
}

// Puts the members that the fold has over those of LMDB.
static void session_merge(struct session *session, const struct session *changed,
                          const struct fold_client *client)
{
    unsigned changes = client->changes;
    struct session merged = changes & FOLD_ATTRIBUTES ? *changed : *session;
    const struct session *source = changes & FOLD_USERNAME ? changed : session;
    merged.username = source->username;
    source = changes & FOLD_EXPIRY_TIME ? changed : session;
    merged.session_expiry_time = source->session_expiry_time;
    if (changes & FOLD_NEVER_EXPIRES)
        merged.session_expiry_interval = SESSION_EXPIRY_NEVER;
    if (changes & FOLD_LISTENER_PORT)
        merged.listener_port = changed->listener_port;
    source = changes & FOLD_CONNECTED ? changed : session;
    merged.connected = source->connected;
    merged.changed_time_ms = source->changed_time_ms;
    if ((changes & FOLD_OFFLINE) && session->connected)
        session_leave(&merged, client);
    if ((changes & FOLD_CONNECTION_ENDED) && merged.connected) {
        merged.connected = false;
        merged.changed_time_ms = changed->changed_time_ms;
    }
    merged.client_id = session->client_id;
    merged.number = session->number;
    *session = merged;
}

// A put may move what it reads: the strings of LMDB's value are copied out first.
static int session_change(struct apply *apply, const struct key *key, struct session *session,
                          const struct session *changed, const struct fold_client *client)
{
    size_t kept = session->client_id.len + (size_t)session->username.len + session->auth_method.len;
    uint8_t *copy = malloc(kept + 1);
    if (!copy)
        return apply_out_of_memory(apply);
    uint8_t *at = copy;
    struct span *const strings[] = {&session->client_id, &session->username, &session->auth_method};
    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        if (!strings[i]->data)
            continue;
        if (strings[i]->len > 0)
            memcpy(at, strings[i]->data, strings[i]->len);
        strings[i]->data = at;
        at += strings[i]->len;
    }
    session_merge(session, changed, client);
    int rc = session_put(apply, key, session);
    free(copy);
    return rc;
}

static int apply_session(struct apply *apply, const struct fold_client *client,
                         const struct key *key)
{
    struct apply_client *numbers = client_of(apply, client);
    struct session session = {0};
    int rc = session_get(apply, key, client->client_id, &session);
    bool stored = rc == 0;
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    if (stored && client->purge) {
        rc = session_purge(apply, key, session.number);
        stored = false;
        if (rc)
            return rc;
    }
    numbers->number_before = stored ? session.number : 0;
    numbers->number = numbers->number_before;

    const struct session *changed = NULL;
    if (client->session != FOLD_NONE)
        changed = &FOLD_ITEMS(apply->fold, sessions, struct session)[client->session];
    if (client->existence == FOLD_PRESENT) {
        struct session added = *changed;
        if (!stored)
            numbers->number = apply->state->next_session++;
        added.client_id = client->client_id;
        added.number = numbers->number;
        return session_put(apply, key, &added);
    }
    if (stored && client->changes)
        return session_change(apply, key, &session, changed, client);
    return 0;
}

static int apply_will(struct apply *apply, const struct fold_client *client, const struct key *key)
{
    if (client->will_change == FOLD_WILL_AS_BEFORE)
        return 0;
    int rc = apply_check_string(apply, TABLE_WILLS, key, client->client_id);
    if (rc)
        return rc;
    if (client->will_change == FOLD_WILL_GONE)
        return apply->fold->all_wills_gone ? 0 : apply_delete(apply, TABLE_WILLS, key);

    const struct will *will = &FOLD_ITEMS(apply->fold, wills, struct will)[client->will];
    uint8_t *place;
    size_t bytes = value_will_bytes(will);
    rc = apply_reserve(apply, TABLE_WILLS, key, bytes, &place);
    if (rc)
        return rc;
    value_will_encode(will, key_span(key), place);
    apply_added(apply, TABLE_WILLS, span_of(place, bytes));
    return 0;
}

int apply_clients(struct apply *apply)
{
    const struct fold_client *clients = FOLD_ITEMS(apply->fold, clients, struct fold_client);
    uint32_t count = apply->fold->clients.count;
    const struct fold_client **order = malloc((count + 1) * sizeof(*order));
    int rc = 0;
    if (!order)
        return apply_out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++)
        order[i] = &clients[i];
    qsort(order, count, sizeof(*order), by_client_id);
    if (apply->fold->all_wills_gone) {
        rc = mdb_drop(apply->txn, apply->tables->dbi[TABLE_WILLS], 0);
        apply->state->contents[TABLE_WILLS] = 0;
    }
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        struct key key;
        key_of_string(&key, apply->tables->secret, order[i]->client_id);
        rc = apply_session(apply, order[i], &key);
        if (rc == 0)
            rc = apply_will(apply, order[i], &key);
    }
    free(order);
    return rc;
}

struct subscription_ref {
    uint64_t session;
    const struct fold_subscription *entry;
};

static int by_session_and_filter(const void *a, const void *b)
{
    const struct subscription_ref *x = a;
    const struct subscription_ref *y = b;
    if (x->session != y->session)
        return x->session < y->session ? -1 : 1;
    struct span p = x->entry->topic_filter;
    struct span q = y->entry->topic_filter;
    uint32_t common = p.len < q.len ? p.len : q.len;
    int order = common > 0 ? memcmp(p.data, q.data, common) : 0;
    return order ? order : (p.len > q.len) - (p.len < q.len);
}

static int apply_subscription(struct apply *apply, const struct subscription_ref *ref)
{
    const struct fold_subscription *entry = ref->entry;
    struct subscription subscription = {.topic_filter = entry->topic_filter,
                                        .identifier = entry->identifier,
                                        .options = entry->options};
    struct key key;
    uint8_t *place;
    key_of_subscription(&key, apply->tables->secret, ref->session, entry->topic_filter);
    int rc = apply_check_string(apply, TABLE_SUBSCRIPTIONS, &key, entry->topic_filter);
    if (rc)
        return rc;
    if (entry->outcome == FOLD_DELETE)
        return apply_delete(apply, TABLE_SUBSCRIPTIONS, &key);
    size_t bytes = value_subscription_bytes(&subscription);
    rc = apply_reserve(apply, TABLE_SUBSCRIPTIONS, &key, bytes, &place);
    if (rc)
        return rc;
    value_subscription_encode(&subscription, key_span(&key), place);
    apply_added(apply, TABLE_SUBSCRIPTIONS, span_of(place, bytes));
    return 0;
}

int apply_subscriptions(struct apply *apply)
{
    const struct fold_subscription *entries =
        FOLD_ITEMS(apply->fold, subscriptions, struct fold_subscription);
    uint32_t count = apply->fold->subscriptions.count;
    struct subscription_ref *refs = malloc((count + 1) * sizeof(*refs));
    uint32_t used = 0;
    int rc = 0;
    if (!refs)
        return apply_out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_subscription *entry = &entries[i];
        if (!apply_is_current(apply, entry->client, entry->incarnation))
            continue;
        uint64_t session = apply_session_number(apply, entry->client, entry->conditional);
        if (session)
            refs[used++] = (struct subscription_ref){session, entry};
        else if (entry->outcome == FOLD_PUT)
            apply->state->anomalies++;
    }
    qsort(refs, used, sizeof(*refs), by_session_and_filter);
    for (uint32_t i = 0; rc == 0 && i < used; i++)
        rc = apply_subscription(apply, &refs[i]);
    free(refs);
    return rc;
}
