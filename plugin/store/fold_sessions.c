// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "fold_parts.h"

// The place for changes of a client's session; NULL when out of memory.
static struct session *client_session(struct fold *fold, struct fold_client *client)
{
    if (client->session == FOLD_NONE) {
        if (!fold_array_reserve(&fold->sessions, sizeof(struct session)))
            return NULL;
        client->session = fold->sessions.count++;
        SESSIONS(fold)[client->session] = (struct session){0};
    }
    return &SESSIONS(fold)[client->session];
}

void fold_will_end(struct fold *fold, struct fold_client *client)
{
    client->will_change = FOLD_WILL_GONE;
    fold->effects++;
}

// The broker tells of a session once, when it begins: what an earlier one of this name has left is
// nobody's. The broker may have let go of that without a word, or its end could not be stored.
int fold_session_add(struct fold *fold, struct fold_client *client, const struct session *session,
                     struct store_error *err)
{
    struct session *place = client_session(fold, client);
    if (!place)
        return fold_out_of_memory(err);
    client->purge = true;
    client->incarnation++;
    *place = *session;
    place->connected = true;
    client->existence = FOLD_PRESENT;
    client->changes = FOLD_EVERYTHING;
    fold->effects++;
    return 0;
}

// The broker also updates clients that have no stored session: then nothing comes of it.
int fold_session_update(struct fold *fold, struct fold_client *client,
                        const struct session *session, struct store_error *err)
{
    if (client->existence == FOLD_ABSENT)
        return 0;
    struct session *place = client_session(fold, client);
    if (!place)
        return fold_out_of_memory(err);
    bool connected = place->connected;
    int64_t changed_time_ms = place->changed_time_ms;
    *place = *session;
    place->connected = connected;
    place->changed_time_ms = changed_time_ms;
    client->offline.has_expiry_time = client->offline.never_expires = false;
    client->changes = (uint8_t)((client->changes & ~FOLD_NEVER_EXPIRES) | FOLD_ATTRIBUTES |
                                FOLD_USERNAME | FOLD_EXPIRY_TIME);
    fold->effects++;
    return 0;
}

void fold_session_delete(struct fold *fold, struct fold_client *client)
{
    client->existence = FOLD_ABSENT;
    client->changes = 0;
    client->purge = true;
    client->incarnation++;
    fold_will_end(fold, client);
}

static void session_connect(struct fold_client *client, struct session *place,
                            const struct connection *connection)
{
    place->connected = true;
    place->changed_time_ms = connection->time_ms;
    place->session_expiry_time = 0;
    place->username = connection->username;
    client->offline.has_expiry_time = false;
    client->changes = (uint8_t)((client->changes & ~FOLD_CONNECTION_ENDED) | FOLD_CONNECTED |
                                FOLD_EXPIRY_TIME | FOLD_USERNAME);
    if (connection->session_expiry_time == CONNECTION_NEVER_EXPIRES) {
        place->session_expiry_interval = SESSION_EXPIRY_NEVER;
        client->changes |= FOLD_NEVER_EXPIRES;
    }
    if (connection->listener_port) {
        place->listener_port = connection->listener_port;
        client->changes |= FOLD_LISTENER_PORT;
    }
}

// The broker also says it of a session that is offline already, one that it restored for example,
// when a reload or a plugin sends that away, and then says no more: what the session has stays.
static void session_leave(struct fold_client *client, struct session *place,
                          const struct connection *connection)
{
    bool never = connection->session_expiry_time == CONNECTION_NEVER_EXPIRES;
    int64_t expiry_time = never ? 0 : connection->session_expiry_time;
    if (!(client->changes & FOLD_CONNECTED)) {
        if (client->changes & (FOLD_CONNECTION_ENDED | FOLD_OFFLINE))
            return;
        client->changes |= FOLD_OFFLINE;
        client->offline = (struct fold_offline){.time_ms = connection->time_ms,
                                                .session_expiry_time = expiry_time,
                                                .has_expiry_time = true,
                                                .never_expires = never};
        return;
    }
    if (!place->connected)
        return;
    place->connected = false;
    place->changed_time_ms = connection->time_ms;
    place->session_expiry_time = expiry_time;
    client->changes |= FOLD_EXPIRY_TIME;
    if (never) {
        place->session_expiry_interval = SESSION_EXPIRY_NEVER;
        client->changes |= FOLD_NEVER_EXPIRES;
    }
}

static void session_end_connection(struct fold_client *client, struct session *place,
                                   int64_t time_ms)
{
    if (client->changes & FOLD_CONNECTED) {
        if (place->connected)
            place->changed_time_ms = time_ms;
        place->connected = false;
    } else if (!(client->changes & FOLD_CONNECTION_ENDED)) {
        client->changes |= FOLD_CONNECTION_ENDED;
        place->changed_time_ms = time_ms;
    }
}

int fold_connection_change(struct fold *fold, struct fold_client *client, enum record_type type,
                           const struct connection *connection, struct store_error *err)
{
    if (type != RECORD_SESSION_CONNECTED)
        fold_will_end(fold, client);
    if (client->existence == FOLD_ABSENT)
        return 0;
    struct session *place = client_session(fold, client);
    if (!place)
        return fold_out_of_memory(err);
    if (type == RECORD_SESSION_CONNECTED)
        session_connect(client, place, connection);
    else if (type == RECORD_SESSION_OFFLINE)
        session_leave(client, place, connection);
    else
        session_end_connection(client, place, connection->time_ms);
    fold->effects++;
    return 0;
}

int fold_will_set(struct fold *fold, struct fold_client *client, const struct will *will,
                  struct store_error *err)
{
    if (client->will == FOLD_NONE) {
        if (!fold_array_reserve(&fold->wills, sizeof(struct will)))
            return fold_out_of_memory(err);
        client->will = fold->wills.count++;
    }
    WILLS(fold)[client->will] = *will;
    client->will_change = FOLD_WILL_SET;
    fold->effects++;
    return 0;
}

void fold_wills_end(struct fold *fold)
{
    fold->all_wills_gone = true;
    for (uint32_t i = 0; i < fold->clients.count; i++)
        CLIENTS(fold)[i].will_change = FOLD_WILL_GONE;
    fold->effects++;
}
