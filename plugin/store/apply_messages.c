// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "apply_internal.h"
#include "values.h"

#include <stdlib.h>

// A cursor that puts in the order of the keys.
struct appender {
    MDB_cursor *cursor;
    struct key last; // the table's last key, if `filled`
    bool filled;
};

static int appender_open(struct apply *apply, enum table table, struct appender *appender)
{
    MDB_val key;
    MDB_val value;
    int rc = apply_open(apply, table, &appender->cursor);
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

static int by_store_id(const void *a, const void *b)
{
    uint64_t x = (*(const struct fold_message *const *)a)->store_id;
    uint64_t y = (*(const struct fold_message *const *)b)->store_id;
    return (x > y) - (x < y);
}

// A damaged value that is about to go is not counted: the counts are for people, and for knowing
// which dictionaries are needed, where one that names none can do no harm.
static void message_uncount(struct tables_state *state, const struct key *key, const MDB_val *value)
{
    struct stored_message stored;
    struct span bytes = span_of_val(value);
    const char *why = value_message_decode_head(key_span(key), bytes, &stored);
    if (!why && stored.dictionary)
        why = value_message_decode(key_span(key), bytes, &stored);
    if (!why)
        dictionaries_uncount(state, &stored);
}

static void message_store(struct apply *apply, const struct message *message, size_t content_bytes,
                          struct stored_message *stored)
{
    struct tables *tables = apply->tables;
    *stored = (struct stored_message){.message = *message};
    if (atomic_load(&tables->compression) != STORE_COMPRESSION_ZSTD)
        return;
    uint8_t *plain = payload_compressor_room(tables->compressor, content_bytes);
    if (!plain)
        return;
    value_content_encode(message, plain);
    struct span content = span_of(plain, content_bytes);
    stored->compressed =
        payload_compress(tables->compressor, content, &stored->content, &stored->dictionary);
}

static int message_put(struct apply *apply, struct appender *appender, const struct key *key,
                       const struct message *message)
{
    struct stored_message stored;
    size_t content_bytes = value_content_bytes(message);
    message_store(apply, message, content_bytes, &stored);
    size_t bytes = value_message_bytes(&stored);
    unsigned flags = appender_flags(appender, key) | MDB_RESERVE;
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {bytes, NULL};
    int rc = mdb_cursor_put(appender->cursor, &key_val, &value, flags | MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) {
        message_uncount(apply->state, key, &value);
        apply_removed(apply, TABLE_MESSAGES, span_of_val(&value));
        value = (MDB_val){bytes, NULL};
        rc = mdb_cursor_put(appender->cursor, &key_val, &value, MDB_RESERVE);
    }
    if (rc)
        return rc;
    value_message_encode(&stored, key_span(key), value.mv_data);
    apply_added(apply, TABLE_MESSAGES, span_of(value.mv_data, bytes));
    dictionaries_count(apply->state, &stored, content_bytes,
                       stored.compressed ? stored.content.len : content_bytes);
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
    message_uncount(apply->state, key, &value);
    apply_removed(apply, TABLE_MESSAGES, span_of_val(&value));
    return mdb_cursor_del(appender->cursor, 0);
}

int apply_messages(struct apply *apply)
{
    const struct fold_message *entries = FOLD_ITEMS(apply->fold, messages, struct fold_message);
    const struct message *data = FOLD_ITEMS(apply->fold, message_data, struct message);
    uint32_t count = apply->fold->messages.count;
    const struct fold_message **order = malloc((count + 1) * sizeof(*order));
    struct appender appender = {0};
    uint32_t used = 0;
    if (!order)
        return apply_out_of_memory(apply);
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

static int queued_put(struct apply *apply, struct appender *appender, const struct key *key,
                      const struct queued *queued, unsigned flags)
{
    uint8_t bytes[VALUE_QUEUED_MAX_BYTES];
    struct span encoded = span_of(bytes, value_queued_bytes(queued));
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = val_of_span(encoded);
    value_queued_encode(queued, key_span(key), bytes);
    int rc = mdb_cursor_put(appender->cursor, &key_val, &value, flags | MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) {
        apply_removed(apply, TABLE_QUEUE, span_of_val(&value));
        value = val_of_span(encoded);
        rc = mdb_cursor_put(appender->cursor, &key_val, &value, 0);
    }
    if (rc == 0)
        apply_added(apply, TABLE_QUEUE, encoded);
    return rc;
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
    return queued_put(apply, appender, key, &queued, 0);
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
        // An import brings ids of later lives: those of our next life must sort behind them.
        uint64_t life = entry->cmsg_id >> STORE_CMSG_LIFE_SHIFT;
        if (life > apply->state->life)
            apply->state->life = life;
        return queued_put(apply, appender, &key, &queued, appender_flags(appender, &key));
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
    if (entry->outcome != FOLD_DELETE)
        return queued_update(apply, appender, &key, entry, &value);
    apply_removed(apply, TABLE_QUEUE, span_of_val(&value));
    return mdb_cursor_del(appender->cursor, 0);
}

// ---- runs of new entries -----------------------------------------------------------------------

// LMDB splits a page in the middle, and leaves it half empty, unless what is put comes behind all
// that is in it. New entries of a session never do, for the next session's first entries lie in the
// same page. So after the first ones of a long run (with fewer the page would become too empty, and
// be filled from its neighbour) these are lifted off the page, and put back behind the run.
#define RUN_MIN 256u
#define RUN_HEAD 64u
#define LIFT_MAX 128u // more than a page of 4 KiB has

struct lifted {
    struct key key;
    uint8_t value[VALUE_QUEUED_MAX_BYTES];
    size_t value_bytes;
};

// How many entries from `refs` on are new ones of the same session and direction.
static uint32_t run_length(const struct queued_ref *refs, uint32_t count)
{
    uint32_t length = 0;
    while (length < count && refs[length].entry->outcome == FOLD_PUT &&
           refs[length].session == refs[0].session &&
           refs[length].entry->direction == refs[0].entry->direction)
        length++;
    return length;
}

// Whether two things lie in the same page, which was changed in this transaction and so is in
// memory of its own. To be wrong costs room, nothing else.
static bool same_page(const void *a, const void *b, size_t page_bytes)
{
    uintptr_t x = (uintptr_t)a;
    uintptr_t y = (uintptr_t)b;
    return (x > y ? x - y : y - x) < page_bytes;
}

// From behind the entry that the cursor stands on to the end of its page.
static int run_lift(struct apply *apply, struct appender *appender, struct lifted *lifted,
                    uint32_t *ret_count)
{
    MDB_stat stat;
    MDB_val key;
    MDB_val value;
    uint32_t count = 0;
    int rc = mdb_stat(apply->txn, apply->tables->dbi[TABLE_QUEUE], &stat);
    if (rc == 0)
        rc = mdb_cursor_get(appender->cursor, &key, &value, MDB_GET_CURRENT);
    if (rc)
        return rc;
    const void *anchor = value.mv_data;
    rc = mdb_cursor_get(appender->cursor, &key, &value, MDB_NEXT);
    while (rc == 0 && count < LIFT_MAX && same_page(anchor, value.mv_data, stat.ms_psize) &&
           key.mv_size <= sizeof(lifted->key.bytes) && value.mv_size <= sizeof(lifted->value)) {
        struct lifted *one = &lifted[count++];
        one->key.len = (uint16_t)key.mv_size;
        memcpy(one->key.bytes, key.mv_data, key.mv_size);
        one->value_bytes = value.mv_size;
        memcpy(one->value, value.mv_data, value.mv_size);
        apply_removed(apply, TABLE_QUEUE, span_of_val(&value));
        rc = mdb_cursor_del(appender->cursor, 0);
        // The cursor stands before what came next, which MDB_NEXT gives.
        if (rc == 0)
            rc = mdb_cursor_get(appender->cursor, &key, &value, MDB_NEXT);
    }
    *ret_count = count;
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int run_put_back(struct apply *apply, struct appender *appender, struct lifted *lifted,
                        uint32_t count)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        MDB_val key = val_of_span(key_span(&lifted[i].key));
        MDB_val value = {lifted[i].value_bytes, lifted[i].value};
        // What the run itself has put in this place is newer.
        rc = mdb_cursor_put(appender->cursor, &key, &value, MDB_NOOVERWRITE);
        if (rc == 0)
            apply_added(apply, TABLE_QUEUE, span_of(lifted[i].value, (uint32_t)value.mv_size));
        rc = rc == MDB_KEYEXIST ? 0 : rc;
    }
    return rc;
}

static int apply_run(struct apply *apply, struct appender *appender, const struct queued_ref *refs,
                     uint32_t count)
{
    uint32_t lifted_count = 0;
    struct lifted *lifted = malloc(LIFT_MAX * sizeof(*lifted));
    if (!lifted)
        return apply_out_of_memory(apply);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        if (i == RUN_HEAD)
            rc = run_lift(apply, appender, lifted, &lifted_count);
        if (rc == 0)
            rc = apply_queued(apply, appender, &refs[i]);
    }
    if (rc == 0)
        rc = run_put_back(apply, appender, lifted, lifted_count);
    free(lifted);
    return rc;
}

int apply_queue(struct apply *apply)
{
    const struct fold_queued *entries = FOLD_ITEMS(apply->fold, queue, struct fold_queued);
    uint32_t count = apply->fold->queue.count;
    struct queued_ref *refs = malloc((count + 1) * sizeof(*refs));
    struct appender appender = {0};
    uint32_t used = 0;
    if (!refs)
        return apply_out_of_memory(apply);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_queued *entry = &entries[i];
        if (entry->outcome == FOLD_FREE ||
            !apply_is_current(apply, entry->client, entry->incarnation))
            continue;
        uint64_t session = apply_session_number(apply, entry->client, entry->conditional);
        if (session)
            refs[used++] = (struct queued_ref){session, entry->cmsg_id, entry};
        else
            apply->state->anomalies++;
    }
    qsort(refs, used, sizeof(*refs), by_session_and_place);
    int rc = appender_open(apply, TABLE_QUEUE, &appender);
    for (uint32_t i = 0; rc == 0 && i < used;) {
        uint32_t length = run_length(refs + i, used - i);
        if (length >= RUN_MIN)
            rc = apply_run(apply, &appender, refs + i, length);
        else
            rc = apply_queued(apply, &appender, &refs[i]);
        i += length >= RUN_MIN ? length : 1;
    }
    if (appender.cursor)
        mdb_cursor_close(appender.cursor);
    free(refs);
    return rc;
}
