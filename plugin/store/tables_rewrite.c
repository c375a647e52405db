// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// All messages at once, for who has the tables alone: training on them, storing them anew.
#include "tables_internal.h"

// What one transaction looks at.
#define SOME_MESSAGES 20000u
#define SOME_BYTES (16u * 1024u * 1024u)

static int sample_take(void *user, const struct message *message)
{
    uint8_t *room = trainer_offer(user, value_content_bytes(message));
    if (room)
        value_content_encode(message, room);
    return 0;
}

// The dictionary in use, in memory that LMDB does not take away while `txn` lasts. Absent: none.
static int dictionary_in_use(struct tables *tables, MDB_txn *txn, struct dictionary *ret_dictionary,
                             struct store_error *err)
{
    struct tables_state state;
    int rc = meta_read_state(tables, txn, &state, err);
    if (rc || !state.dictionary)
        return rc;
    return dictionaries_get(tables, txn, state.dictionary, ret_dictionary, err);
}

int tables_train_on_all(struct tables *tables, struct store_dictionary *ret_made, bool *ret_gains,
                        struct store_error *err)
{
    struct store_view *view = NULL;
    struct dictionary current = {0};
    struct dictionary made;
    MDB_txn *txn;
    int rc = tables_view_open(&view, tables, err);
    if (rc == 0)
        rc = store_each_message(view, sample_take, tables->trainer, err);
    store_view_close(view);
    if (rc || (rc = tables_read_begin(tables, &txn, err)))
        return rc;
    rc = dictionary_in_use(tables, txn, &current, err);
    if (rc == 0)
        rc = trainer_train_now(tables->trainer, atomic_load(&tables->compression_level),
                               current.bytes, &made, err);
    tables_read_end(tables, txn);
    if (rc)
        return rc;
    *ret_gains = made.bytes.data != NULL;
    *ret_made = (struct store_dictionary){.bytes = made.bytes.len,
                                          .trained_ms = made.trained_ms,
                                          .samples = made.samples,
                                          .trial_bytes = made.trial_bytes,
                                          .before_bytes = made.before_bytes,
                                          .after_bytes = made.after_bytes};
    return 0;
}

// Puts the message that the cursor stands on anew, if it gets smaller. `plain` is what `before` is
// unpacked. Returns LMDB's result.
static int message_rewrite(struct tables *tables, MDB_cursor *cursor, struct tables_state *state,
                           struct rewrite *rewrite, const struct stored_message *before,
                           const struct stored_message *plain)
{
    struct stored_message after = {.message = plain->message};
    size_t content_bytes = value_content_bytes(&plain->message);
    uint8_t *room = payload_compressor_room(tables->compressor, content_bytes);
    if (!room)
        return 0;
    value_content_encode(&plain->message, room);
    after.compressed = payload_compress(tables->compressor, span_of(room, content_bytes),
                                        &after.content, &after.dictionary);
    if (!after.compressed || value_message_bytes(&after) >= value_message_bytes(before))
        return 0;
    struct key key;
    key_of_message(&key, before->message.store_id);
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value;
    int rc = mdb_cursor_get(cursor, &key_val, &value, MDB_GET_CURRENT);
    if (rc)
        return rc;
    // Before the put, which moves what `before` points to.
    contents_removed(state, TABLE_MESSAGES, span_of_val(&value));
    dictionaries_uncount(state, before);
    dictionaries_count(state, &after, content_bytes, after.content.len);
    key_val = val_of_span(key_span(&key));
    value = (MDB_val){value_message_bytes(&after), NULL};
    rc = mdb_cursor_put(cursor, &key_val, &value, MDB_CURRENT | MDB_RESERVE);
    if (rc)
        return rc;
    value_message_encode(&after, key_span(&key), value.mv_data);
    contents_added(state, TABLE_MESSAGES, span_of_val(&value));
    rewrite->messages++;
    return 0;
}

static int rewrite_one(struct tables *tables, MDB_txn *txn, MDB_cursor *cursor, struct span key,
                       struct span value, struct tables_state *state, struct rewrite *rewrite,
                       struct store_error *err)
{
    struct stored_message before;
    const char *why = value_message_decode(key, value, &before);
    if (why)
        return tables_damaged(err, TABLE_MESSAGES, key, why);
    if (before.dictionary && before.dictionary == state->dictionary)
        return 0;
    struct stored_message plain = before;
    int rc = dictionaries_unpack(tables, txn, &rewrite->decompressor, key, &plain, err);
    return rc ? rc : message_rewrite(tables, cursor, state, rewrite, &before, &plain);
}

int rewrite_some(struct tables *tables, MDB_txn *txn, struct tables_state *state,
                 struct rewrite *rewrite, struct store_error *err)
{
    MDB_cursor *cursor = NULL;
    struct key from;
    uint64_t bytes = 0;
    uint32_t count = 0;
    key_of_message(&from, rewrite->from);
    MDB_val key = val_of_span(key_span(&from));
    MDB_val value;
    int rc = mdb_cursor_open(txn, tables->dbi[TABLE_MESSAGES], &cursor);
    if (rc)
        return rc;
    rewrite->messages = 0;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    for (; rc == 0 && count < SOME_MESSAGES && bytes < SOME_BYTES; count++) {
        bytes += value.mv_size;
        rc = rewrite_one(tables, txn, cursor, span_of_val(&key), span_of_val(&value), state,
                         rewrite, err);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    rewrite->done = rc == MDB_NOTFOUND;
    if (rc == 0 && !key_read_message(span_of_val(&key), &rewrite->next))
        rc = tables_damaged(err, TABLE_MESSAGES, span_of_val(&key), "the key is malformed");
    mdb_cursor_close(cursor);
    return rewrite->done ? 0 : rc;
}

int tables_rewrite(struct tables *tables, uint64_t *ret_messages, struct store_error *err)
{
    struct rewrite rewrite = {0};
    uint64_t messages = 0;
    int rc = 0;
    while (rc == 0 && !rewrite.done) {
        rc = tables_change_rewrite(tables, &rewrite, err);
        if (rc == 0) {
            messages += rewrite.messages;
            rewrite.from = rewrite.next;
        }
    }
    payload_decompressor_free(rewrite.decompressor);
    *ret_messages = messages;
    return rc;
}
