// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "apply.h"

#include "apply_internal.h"
#include "value_bytes.h"
#include "values.h"

#include <stdlib.h>

int apply_out_of_memory(struct apply *apply)
{
    return error_set(apply->err, STORE_ENOMEM, "out of memory while changing the tables");
}

int apply_open(struct apply *apply, enum table table, MDB_cursor **ret_cursor)
{
    return mdb_cursor_open(apply->txn, apply->tables->dbi[table], ret_cursor);
}

void apply_added(struct apply *apply, enum table table, struct span value)
{
    contents_added(apply->state, table, value);
}

void apply_removed(struct apply *apply, enum table table, struct span value)
{
    contents_removed(apply->state, table, value);
}

int apply_delete(struct apply *apply, enum table table, const struct key *key)
{
    struct span value;
    int rc = apply_get(apply, table, key, &value);
    if (rc)
        return rc == MDB_NOTFOUND ? 0 : rc;
    apply_removed(apply, table, value);
    MDB_val key_val = val_of_span(key_span(key));
    return mdb_del(apply->txn, apply->tables->dbi[table], &key_val, NULL);
}

int apply_get(struct apply *apply, enum table table, const struct key *key, struct span *ret_value)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    int rc = mdb_get(apply->txn, apply->tables->dbi[table], &key_val, &value);
    if (rc == 0)
        *ret_value = span_of_val(&value);
    return rc;
}

int apply_reserve(struct apply *apply, enum table table, const struct key *key, size_t bytes,
                  uint8_t **ret_place)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {bytes, NULL};
    struct span before;
    int rc = apply_get(apply, table, key, &before);
    if (rc == 0)
        apply_removed(apply, table, before);
    else if (rc != MDB_NOTFOUND)
        return rc;
    rc = mdb_put(apply->txn, apply->tables->dbi[table], &key_val, &value, MDB_RESERVE);
    *ret_place = value.mv_data;
    return rc;
}

int apply_purge(struct apply *apply, enum table table, uint64_t session)
{
    MDB_cursor *cursor = NULL;
    struct key prefix;
    key_of_session(&prefix, session);
    int rc = apply_open(apply, table, &cursor);
    if (rc)
        return rc;
    MDB_val key = val_of_span(key_span(&prefix));
    MDB_val value;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0 && key.mv_size >= prefix.len &&
           memcmp(key.mv_data, prefix.bytes, prefix.len) == 0) {
        apply_removed(apply, table, span_of_val(&value));
        rc = mdb_cursor_del(cursor, 0);
        // The cursor stands before what came next, which MDB_NEXT gives.
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static const char *string_of_subscription(struct span key, struct span value,
                                          struct span *ret_string)
{
    struct subscription subscription;
    uint64_t session;
    const char *why = value_subscription_decode(key, value, &session, &subscription);
    if (!why)
        *ret_string = subscription.topic_filter;
    return why;
}

static const char *string_of_retained(struct span key, struct span value, struct span *ret_string)
{
    struct retained retained;
    const char *why = value_retained_decode(key, value, &retained);
    if (!why)
        *ret_string = retained.topic;
    return why;
}

static const char *string_of_will(struct span key, struct span value, struct span *ret_string)
{
    struct will will;
    const char *why = value_will_decode(key, value, &will);
    if (!why)
        *ret_string = will.client_id;
    return why;
}

// Damaged or another's: either way it must not be overwritten.
int apply_check_string(struct apply *apply, enum table table, const struct key *key,
                       struct span string)
{
    static const char *(*const string_of[TABLE_COUNT])(struct span, struct span, struct span *) = {
        [TABLE_SUBSCRIPTIONS] = string_of_subscription,
        [TABLE_RETAINED] = string_of_retained,
        [TABLE_WILLS] = string_of_will,
    };
    struct span value;
    struct span stored = {0};
    if (!key_string_is_long(string))
        return 0;
    int rc = apply_get(apply, table, key, &value);
    if (rc)
        return rc == MDB_NOTFOUND ? 0 : rc;
    const char *why = string_of[table](key_span(key), value, &stored);
    if (!why && !span_equal(stored, string))
        why = "another string lies under the same key";
    return why ? tables_damaged(apply->err, table, key_span(key), why) : 0;
}

bool apply_is_current(const struct apply *apply, uint32_t client, uint32_t incarnation)
{
    return FOLD_ITEMS(apply->fold, clients, struct fold_client)[client].incarnation == incarnation;
}

uint64_t apply_session_number(const struct apply *apply, uint32_t client, bool conditional)
{
    const struct apply_client *numbers = &apply->clients[client];
    return conditional ? numbers->number_before : numbers->number;
}

static int apply_retained(struct apply *apply)
{
    const struct fold_retained *entries = FOLD_ITEMS(apply->fold, retained, struct fold_retained);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < apply->fold->retained.count; i++) {
        struct retained retained = {entries[i].topic, entries[i].store_id};
        struct key key;
        uint8_t *place;
        key_of_string(&key, apply->tables->secret, retained.topic);
        rc = apply_check_string(apply, TABLE_RETAINED, &key, retained.topic);
        if (rc)
            break;
        if (entries[i].outcome == FOLD_DELETE) {
            rc = apply_delete(apply, TABLE_RETAINED, &key);
            continue;
        }
        size_t bytes = value_retained_bytes(&retained);
        rc = apply_reserve(apply, TABLE_RETAINED, &key, bytes, &place);
        if (rc == 0) {
            value_retained_encode(&retained, key_span(&key), place);
            apply_added(apply, TABLE_RETAINED, span_of(place, bytes));
        }
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
        return apply_out_of_memory(&apply);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
        rc = steps[i](&apply);
    state->anomalies += fold->anomalies;
    free(apply.clients);
    return rc;
}
