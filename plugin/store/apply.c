// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "apply.h"

#include "bytes.h"
#include "values.h"

#include <stdlib.h>

struct apply {
    struct tables *tables;
    MDB_txn *txn;
    struct fold *fold;
    struct tables_state *state;
    struct store_error *err;
    struct apply_client *clients; // by the index of the fold's clients
};

// A client's session in LMDB.
struct apply_client {
    uint64_t number_before; // 0: LMDB had none, or what it had is purged
    uint64_t number;        // 0: there is none now
};

static int out_of_memory(struct apply *apply)
{
    return error_set(apply->err, STORE_ENOMEM, "out of memory while changing the tables");
}

// ---- one table -----------------------------------------------------------------------------

// A cursor that puts in the order of the keys.
struct appender {
    MDB_cursor *cursor;
    struct key last; // the table's last key, if `filled`
    bool filled;
};

static int table_open(struct apply *apply, enum table table, MDB_cursor **ret_cursor)
{
    return mdb_cursor_open(apply->txn, apply->tables->dbi[table], ret_cursor);
}

static int table_delete(struct apply *apply, enum table table, const struct key *key)
{
    MDB_val key_val = val_of_span(key_span(key));
    return mdb_del(apply->txn, apply->tables->dbi[table], &key_val, NULL);
}

static int table_get(struct apply *apply, enum table table, const struct key *key,
                     struct span *ret_value)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    int rc = mdb_get(apply->txn, apply->tables->dbi[table], &key_val, &value);
    if (rc == 0)
        *ret_value = span_of_val(&value);
    return rc;
}

// Gives the place for a value of `bytes` bytes, to be filled before the next call of LMDB.
static int table_reserve(struct apply *apply, enum table table, const struct key *key, size_t bytes,
                         uint8_t **ret_place)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {bytes, NULL};
    int rc = mdb_put(apply->txn, apply->tables->dbi[table], &key_val, &value, MDB_RESERVE);
    *ret_place = value.mv_data;
    return rc;
}

// Deletes all keys that begin with the number of a session.
static int table_purge(struct apply *apply, enum table table, uint64_t session)
{
    MDB_cursor *cursor = NULL;
    uint8_t prefix[KEY_SESSION_BYTES];
    put_be64(prefix, session);
    int rc = table_open(apply, table, &cursor);
    if (rc)
        return rc;
    MDB_val key = {sizeof(prefix), prefix};
    MDB_val value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && key.mv_size >= sizeof(prefix) &&
           memcmp(key.mv_data, prefix, sizeof(prefix)) == 0) {
        rc = mdb_cursor_del(cursor, 0);
        // The cursor stands before what came next, which MDB_NEXT gives.
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int appender_open(struct apply *apply, enum table table, struct appender *appender)
{
    MDB_val key;
    MDB_val value;
    int rc = table_open(apply, table, &appender->cursor);
    if (rc)
        return rc;
    rc = mdb_cursor_get(appender->cursor, &key, &value, MDB_LAST);
    appender->filled = rc == 0 && key.mv_size <= sizeof(appender->last.bytes);
    if (appender->filled) {
        appender->last.len = (uint16_t)key.mv_size;
        memcpy(appender->last.bytes, key.mv_data, key.mv_size);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

// LMDB fills pages to the end only when it is told that a key comes behind all others.
static unsigned appender_flags(struct appender *appender, const struct key *key)
{
    const struct key *last = &appender->last;
    if (appender->filled) {
        size_t common = key->len < last->len ? key->len : last->len;
        int order = memcmp(key->bytes, last->bytes, common);
        if (order < 0 || (order == 0 && key->len <= last->len))
            return 0;
    }
    appender->last = *key;
    appender->filled = true;
    return MDB_APPEND;
}

static int by_client_id(const void *a, const void *b)
{
    struct span x = (*(const struct fold_client *const *)a)->client_id;
    struct span y = (*(const struct fold_client *const *)b)->client_id;
    uint32_t common = x.len < y.len ? x.len : y.len;
    int order = common > 0 ? memcmp(x.data, y.data, common) : 0;
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

// ---- sessions and wills --------------------------------------------------------------------

static struct apply_client *client_of(struct apply *apply, const struct fold_client *client)
{
    const struct fold_client *first = FOLD_ITEMS(apply->fold, clients, struct fold_client);
    return &apply->clients[client - first];
}

// Two strings under one key: somebody would have to know the store's secret, or be damaged.
static int check_string(struct apply *apply, enum table table, const struct key *key,
                        struct span stored, struct span wanted)
{
    return span_equal(stored, wanted) ? 0
                                      : tables_damaged(apply->err, table, key_span(key),
                                                       "another string lies under the same key");
}

static int session_get(struct apply *apply, const struct key *key, struct span client_id,
                       struct session *ret_session)
{
    struct span value;
    int rc = table_get(apply, TABLE_SESSIONS, key, &value);
    if (rc)
        return rc;
    const char *why = value_session_decode(key_span(key), value, ret_session);
    if (why)
        return tables_damaged(apply->err, TABLE_SESSIONS, key_span(key), why);
    return check_string(apply, TABLE_SESSIONS, key, ret_session->client_id, client_id);
}

static int session_put(struct apply *apply, const struct key *key, const struct session *session)
{
    uint8_t *place;
    int rc = table_reserve(apply, TABLE_SESSIONS, key, value_session_bytes(session), &place);
    if (rc == 0)
        value_session_encode(session, key_span(key), place);
    return rc;
}

static int session_purge(struct apply *apply, const struct key *key, uint64_t number)
{
    int rc = table_purge(apply, TABLE_SUBSCRIPTIONS, number);
    if (rc == 0)
        rc = table_purge(apply, TABLE_QUEUE, number);
    return rc ? rc : table_delete(apply, TABLE_SESSIONS, key);
}

// Puts the members that the fold has over those of LMDB.
static void session_merge(struct session *session, const struct session *changed, unsigned changes)
{
    struct session merged = changes & FOLD_ATTRIBUTES ? *changed : *session;
    const struct session *source = changes & FOLD_USERNAME ? changed : session;
    merged.username = source->username;
    source = changes & FOLD_EXPIRY_TIME ? changed : session;
    merged.session_expiry_time = source->session_expiry_time;
    source = changes & FOLD_CONNECTED ? changed : session;
    merged.connected = source->connected;
    merged.changed_time_ms = source->changed_time_ms;
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
                          const struct session *changed, unsigned changes)
{
    size_t kept = session->client_id.len + (size_t)session->username.len + session->auth_method.len;
    uint8_t *copy = malloc(kept + 1);
    if (!copy)
        return out_of_memory(apply);
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
    session_merge(session, changed, changes);
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
        return session_change(apply, key, &session, changed, client->changes);
    return 0;
}

static int apply_will(struct apply *apply, const struct fold_client *client, const struct key *key)
{
    if (client->will_change == FOLD_WILL_SET) {
        const struct will *will = &FOLD_ITEMS(apply->fold, wills, struct will)[client->will];
        uint8_t *place;
        int rc = table_reserve(apply, TABLE_WILLS, key, value_will_bytes(will), &place);
        if (rc == 0)
            value_will_encode(will, key_span(key), place);
        return rc;
    }
    if (client->will_change == FOLD_WILL_GONE && !apply->fold->all_wills_gone) {
        int rc = table_delete(apply, TABLE_WILLS, key);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    return 0;
}

static int apply_clients(struct apply *apply)
{
    const struct fold_client *clients = FOLD_ITEMS(apply->fold, clients, struct fold_client);
    uint32_t count = apply->fold->clients.count;
    const struct fold_client **order = malloc((count + 1) * sizeof(*order));
    int rc = 0;
    if (!order)
        return out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++)
        order[i] = &clients[i];
    qsort(order, count, sizeof(*order), by_client_id);
    if (apply->fold->all_wills_gone)
        rc = mdb_drop(apply->txn, apply->tables->dbi[TABLE_WILLS], 0);
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

// ---- subscriptions -------------------------------------------------------------------------

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

// The session's number under which an entry of the fold stands; 0: the entry is void. One that came
// before its session was added in the stretch needs a session that LMDB had.
static uint64_t entry_session(struct apply *apply, uint32_t client, uint32_t incarnation,
                              bool conditional)
{
    if (FOLD_ITEMS(apply->fold, clients, struct fold_client)[client].incarnation != incarnation)
        return 0;
    const struct apply_client *numbers = &apply->clients[client];
    return conditional ? numbers->number_before : numbers->number;
}

static bool entry_is_current(const struct apply *apply, uint32_t client, uint32_t incarnation)
{
    return FOLD_ITEMS(apply->fold, clients, struct fold_client)[client].incarnation == incarnation;
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
    if (entry->outcome == FOLD_DELETE) {
        int rc = table_delete(apply, TABLE_SUBSCRIPTIONS, &key);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    int rc = table_reserve(apply, TABLE_SUBSCRIPTIONS, &key,
                           value_subscription_bytes(&subscription), &place);
    if (rc == 0)
        value_subscription_encode(&subscription, key_span(&key), place);
    return rc;
}

static int apply_subscriptions(struct apply *apply)
{
    const struct fold_subscription *entries =
        FOLD_ITEMS(apply->fold, subscriptions, struct fold_subscription);
    uint32_t count = apply->fold->subscriptions.count;
    struct subscription_ref *refs = malloc((count + 1) * sizeof(*refs));
    uint32_t used = 0;
    int rc = 0;
    if (!refs)
        return out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_subscription *entry = &entries[i];
        if (!entry_is_current(apply, entry->client, entry->incarnation))
            continue;
        uint64_t session =
            entry_session(apply, entry->client, entry->incarnation, entry->conditional);
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

// ---- messages ------------------------------------------------------------------------------

static int by_store_id(const void *a, const void *b)
{
    uint64_t x = (*(const struct fold_message *const *)a)->store_id;
    uint64_t y = (*(const struct fold_message *const *)b)->store_id;
    return (x > y) - (x < y);
}

// The counts are for people: a damaged value that is about to go takes nothing from them.
static void payload_uncount(struct tables_state *state, const struct key *key, const MDB_val *value)
{
    struct stored_message stored;
    if (value_message_decode_head(key_span(key), span_of_val(value), &stored))
        return;
    uint64_t bytes = stored.payload_len;
    uint64_t stored_bytes = stored.message.payload.len;
    state->payload_bytes -= bytes < state->payload_bytes ? bytes : state->payload_bytes;
    state->payload_stored_bytes -=
        stored_bytes < state->payload_stored_bytes ? stored_bytes : state->payload_stored_bytes;
}

static void message_store(struct apply *apply, const struct message *message,
                          struct stored_message *stored)
{
    struct tables *tables = apply->tables;
    *stored = (struct stored_message){.message = *message, .payload_len = message->payload.len};
    if (atomic_load(&tables->compression) == STORE_COMPRESSION_ZSTD)
        stored->compressed =
            payload_compress(tables->compressor, atomic_load(&tables->compression_level),
                             message->payload, &stored->message.payload);
}

static int message_put(struct apply *apply, struct appender *appender, const struct key *key,
                       const struct message *message)
{
    struct stored_message stored;
    message_store(apply, message, &stored);
    size_t bytes = value_message_bytes(&stored);
    unsigned flags = appender_flags(appender, key) | MDB_RESERVE;
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {bytes, NULL};
    int rc = mdb_cursor_put(appender->cursor, &key_val, &value, flags | MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) {
        payload_uncount(apply->state, key, &value);
        value = (MDB_val){bytes, NULL};
        rc = mdb_cursor_put(appender->cursor, &key_val, &value, MDB_RESERVE);
    }
    if (rc)
        return rc;
    value_message_encode(&stored, key_span(key), value.mv_data);
    apply->state->payload_bytes += stored.payload_len;
    apply->state->payload_stored_bytes += stored.message.payload.len;
    return 0;
}

static int message_delete(struct apply *apply, struct appender *appender, const struct key *key)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    int rc = mdb_cursor_get(appender->cursor, &key_val, &value, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND) {
        apply->state->anomalies++;
        return 0;
    }
    if (rc)
        return rc;
    payload_uncount(apply->state, key, &value);
    return mdb_cursor_del(appender->cursor, 0);
}

static int apply_messages(struct apply *apply)
{
    const struct fold_message *entries = FOLD_ITEMS(apply->fold, messages, struct fold_message);
    const struct message *data = FOLD_ITEMS(apply->fold, message_data, struct message);
    uint32_t count = apply->fold->messages.count;
    const struct fold_message **order = malloc((count + 1) * sizeof(*order));
    struct appender appender = {0};
    uint32_t used = 0;
    if (!order)
        return out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++)
        if (entries[i].outcome != FOLD_FREE)
            order[used++] = &entries[i];
    qsort(order, used, sizeof(*order), by_store_id);
    int rc = appender_open(apply, TABLE_MESSAGES, &appender);
    for (uint32_t i = 0; rc == 0 && i < used; i++) {
        struct key key;
        key_of_message(&key, order[i]->store_id);
        if (order[i]->outcome == FOLD_PUT)
            rc = message_put(apply, &appender, &key, &data[order[i]->data]);
        else
            rc = message_delete(apply, &appender, &key);
    }
    if (appender.cursor)
        mdb_cursor_close(appender.cursor);
    payload_compressor_trim(apply->tables->compressor);
    free(order);
    return rc;
}

// ---- queue ---------------------------------------------------------------------------------

struct queued_ref {
    uint64_t session;
    uint64_t cmsg_id;
    const struct fold_queued *entry;
};

static int by_session_and_place(const void *a, const void *b)
{
    const struct queued_ref *x = a;
    const struct queued_ref *y = b;
    if (x->session != y->session)
        return x->session < y->session ? -1 : 1;
    if (x->entry->direction != y->entry->direction)
        return x->entry->direction < y->entry->direction ? -1 : 1;
    return (x->cmsg_id > y->cmsg_id) - (x->cmsg_id < y->cmsg_id);
}

static int queued_put(struct appender *appender, const struct key *key, const struct queued *queued,
                      unsigned flags)
{
    uint8_t bytes[VALUE_QUEUED_MAX_BYTES];
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {value_queued_bytes(queued), bytes};
    value_queued_encode(queued, key_span(key), bytes);
    return mdb_cursor_put(appender->cursor, &key_val, &value, flags);
}

static int queued_update(struct apply *apply, struct appender *appender, const struct key *key,
                         const struct fold_queued *entry, const MDB_val *value)
{
    struct queued queued;
    uint64_t session;
    const char *why = value_queued_decode(key_span(key), span_of_val(value), &session, &queued);
    if (why)
        return tables_damaged(apply->err, TABLE_QUEUE, key_span(key), why);
    queued.subscription_identifier = entry->subscription_identifier;
    queued.mid = entry->mid;
    queued.qos = entry->qos;
    queued.state = entry->state;
    queued.dup = entry->dup;
    return queued_put(appender, key, &queued, 0);
}

static int apply_queued(struct apply *apply, struct appender *appender,
                        const struct queued_ref *ref)
{
    const struct fold_queued *entry = ref->entry;
    struct key key;
    key_of_queued(&key, ref->session, entry->direction, entry->cmsg_id);
    if (entry->outcome == FOLD_PUT) {
        struct queued queued = {.cmsg_id = entry->cmsg_id,
                                .store_id = entry->store_id,
                                .subscription_identifier = entry->subscription_identifier,
                                .mid = entry->mid,
                                .direction = entry->direction,
                                .qos = entry->qos,
                                .state = entry->state,
                                .dup = entry->dup,
                                .retain = entry->retain};
        return queued_put(appender, &key, &queued, appender_flags(appender, &key));
    }
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value;
    int rc = mdb_cursor_get(appender->cursor, &key_val, &value, MDB_SET_KEY);
    if (rc == MDB_NOTFOUND) {
        apply->state->anomalies++;
        return 0;
    }
    if (rc)
        return rc;
    return entry->outcome == FOLD_DELETE ? mdb_cursor_del(appender->cursor, 0)
                                         : queued_update(apply, appender, &key, entry, &value);
}

static int apply_queue(struct apply *apply)
{
    const struct fold_queued *entries = FOLD_ITEMS(apply->fold, queue, struct fold_queued);
    uint32_t count = apply->fold->queue.count;
    struct queued_ref *refs = malloc((count + 1) * sizeof(*refs));
    struct appender appender = {0};
    uint32_t used = 0;
    if (!refs)
        return out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_queued *entry = &entries[i];
        if (entry->outcome == FOLD_FREE ||
            !entry_is_current(apply, entry->client, entry->incarnation))
            continue;
        uint64_t session =
            entry_session(apply, entry->client, entry->incarnation, entry->conditional);
        if (session)
            refs[used++] = (struct queued_ref){session, entry->cmsg_id, entry};
        else
            apply->state->anomalies++;
    }
    qsort(refs, used, sizeof(*refs), by_session_and_place);
    int rc = appender_open(apply, TABLE_QUEUE, &appender);
    for (uint32_t i = 0; rc == 0 && i < used; i++)
        rc = apply_queued(apply, &appender, &refs[i]);
    if (appender.cursor)
        mdb_cursor_close(appender.cursor);
    free(refs);
    return rc;
}

// ---- retained ------------------------------------------------------------------------------

static int apply_retained(struct apply *apply)
{
    const struct fold_retained *entries = FOLD_ITEMS(apply->fold, retained, struct fold_retained);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < apply->fold->retained.count; i++) {
        struct retained retained = {entries[i].topic, entries[i].store_id};
        struct key key;
        uint8_t *place;
        key_of_string(&key, apply->tables->secret, retained.topic);
        if (entries[i].outcome == FOLD_DELETE) {
            rc = table_delete(apply, TABLE_RETAINED, &key);
            rc = rc == MDB_NOTFOUND ? 0 : rc;
            continue;
        }
        rc = table_reserve(apply, TABLE_RETAINED, &key, value_retained_bytes(&retained), &place);
        if (rc == 0)
            value_retained_encode(&retained, key_span(&key), place);
    }
    return rc;
}

int apply_fold(struct tables *tables, MDB_txn *txn, struct fold *fold, struct tables_state *state,
               struct store_error *err)
{
    static int (*const steps[])(struct apply *) = {apply_clients, apply_subscriptions,
                                                   apply_messages, apply_queue, apply_retained};
    struct apply apply = {.tables = tables, .txn = txn, .fold = fold, .state = state, .err = err};
    apply.clients = calloc(fold->clients.count + 1, sizeof(*apply.clients));
    if (!apply.clients)
        return out_of_memory(&apply);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
        rc = steps[i](&apply);
    state->anomalies += fold->anomalies;
    free(apply.clients);
    return rc;
}
