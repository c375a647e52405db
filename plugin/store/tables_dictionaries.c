// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The dictionaries in the tables: which is in use, which are needed by how many messages.
//
// The counts change in the same transaction as the messages. A message that names a dictionary is
// only counted out after its checksum held, so damage may keep a dictionary that nobody needs, and
// never costs one that somebody does.
#include "fold_internal.h"
#include "tables_internal.h"

static struct dictionary_use *use_find(struct tables_state *state, uint16_t id)
{
    for (unsigned i = 0; i < state->use_count; i++) {
        if (state->uses[i].id == id)
            return &state->uses[i];
    }
    return NULL;
}

static struct dictionary_use *use_make(struct tables_state *state, uint16_t id)
{
    struct dictionary_use *use = use_find(state, id);
    if (use || state->use_count == STATE_USES_MAX)
        return use;
    use = &state->uses[state->use_count++];
    *use = (struct dictionary_use){.id = id};
    return use;
}

void dictionaries_totals(const struct tables_state *state, uint64_t *ret_content_bytes,
                         uint64_t *ret_stored_bytes)
{
    *ret_content_bytes = 0;
    *ret_stored_bytes = 0;
    for (unsigned i = 0; i < state->use_count; i++) {
        *ret_content_bytes += state->uses[i].content_bytes;
        *ret_stored_bytes += state->uses[i].stored_bytes;
    }
}

void dictionaries_count(struct tables_state *state, const struct stored_message *stored,
                        size_t content_bytes, size_t stored_bytes)
{
    struct dictionary_use *use = use_make(state, stored->dictionary);
    if (!use)
        return;
    use->messages++;
    use->content_bytes += content_bytes;
    use->stored_bytes += stored_bytes;
}

static void subtract(uint64_t *from, uint64_t what)
{
    *from -= what < *from ? what : *from;
}

void dictionaries_uncount(struct tables_state *state, const struct stored_message *stored)
{
    struct dictionary_use *use = use_find(state, stored->dictionary);
    uint32_t content_bytes = stored->content.len;
    if (!use ||
        (stored->compressed && !payload_frame_content_bytes(stored->content, &content_bytes)))
        return;
    subtract(&use->messages, 1);
    subtract(&use->content_bytes, content_bytes);
    subtract(&use->stored_bytes, stored->content.len);
}

int dictionaries_get(struct tables *tables, MDB_txn *txn, uint16_t id,
                     struct dictionary *ret_dictionary, struct store_error *err)
{
    struct key key;
    key_of_dictionary(&key, id);
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value;
    int rc = mdb_get(txn, tables->dbi[TABLE_DICTIONARIES], &key_val, &value);
    if (rc == MDB_NOTFOUND)
        return error_set(err, STORE_ENOTFOUND, "it needs dictionary %u, which is not there",
                         (unsigned)id);
    if (rc)
        return tables_error(tables, err, rc, "cannot read a dictionary");
    const char *why = value_dictionary_decode(key_span(&key), span_of_val(&value), ret_dictionary);
    return why ? tables_damaged(err, TABLE_DICTIONARIES, key_span(&key), why) : 0;
}

static int dictionary_add(struct tables *tables, MDB_txn *txn,
                          struct payload_decompressor *decompressor, uint16_t id,
                          struct store_error *err)
{
    struct dictionary dictionary;
    int rc = dictionaries_get(tables, txn, id, &dictionary, err);
    if (rc == 0)
        rc = payload_decompressor_add(decompressor, id, dictionary.bytes, err);
    return rc == STORE_ENOTFOUND ? STORE_EDAMAGED : rc;
}

int dictionaries_unpack(struct tables *tables, MDB_txn *txn,
                        struct payload_decompressor **decompressor, struct span key,
                        struct stored_message *stored, struct store_error *err)
{
    struct store_error own = {0};
    int rc = 0;
    if (!stored->compressed)
        return 0;
    if (!*decompressor)
        *decompressor = payload_decompressor_new();
    if (!*decompressor)
        return error_set(err, STORE_ENOMEM, "out of memory while reading a message");
    if (stored->dictionary && !payload_decompressor_has(*decompressor, stored->dictionary))
        rc = dictionary_add(tables, txn, *decompressor, stored->dictionary, &own);
    if (rc == 0)
        rc = payload_decompress(*decompressor, stored->content, stored->dictionary,
                                &stored->content, &own);
    if (rc == STORE_EDAMAGED)
        return tables_damaged(err, TABLE_MESSAGES, key, own.sentence);
    if (rc && err)
        *err = own;
    if (rc)
        return rc;
    const char *why = value_content_decode(stored->content, &stored->message);
    return why ? tables_damaged(err, TABLE_MESSAGES, key, why) : 0;
}

static int dictionary_put(struct tables *tables, MDB_txn *txn, struct tables_state *state,
                          const struct dictionary *dictionary)
{
    struct key key;
    key_of_dictionary(&key, dictionary->id);
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value = {value_dictionary_bytes(dictionary), NULL};
    int rc = mdb_put(txn, tables->dbi[TABLE_DICTIONARIES], &key_val, &value, MDB_RESERVE);
    if (rc)
        return rc;
    value_dictionary_encode(dictionary, key_span(&key), value.mv_data);
    contents_added(state, TABLE_DICTIONARIES, span_of_val(&value));
    return 0;
}

static int dictionary_delete(struct tables *tables, MDB_txn *txn, struct tables_state *state,
                             uint16_t id)
{
    struct key key;
    key_of_dictionary(&key, id);
    MDB_val key_val = val_of_span(key_span(&key));
    MDB_val value;
    int rc = mdb_get(txn, tables->dbi[TABLE_DICTIONARIES], &key_val, &value);
    if (rc)
        return rc == MDB_NOTFOUND ? 0 : rc;
    contents_removed(state, TABLE_DICTIONARIES, span_of_val(&value));
    return mdb_del(txn, tables->dbi[TABLE_DICTIONARIES], &key_val, NULL);
}

// Ids go round: the next one that no dictionary has.
static uint16_t id_next(struct tables_state *state)
{
    uint16_t id = state->dictionary;
    do
        id++;
    while (id == 0 || use_find(state, id));
    return id;
}

static int made_take(struct tables *tables, MDB_txn *txn, struct tables_state *state)
{
    const struct dictionary *made = trainer_made(tables->trainer);
    // One place stays for the messages without a dictionary.
    if (!made || state->use_count + (use_find(state, 0) ? 0u : 1u) >= STATE_USES_MAX)
        return 0;
    struct dictionary dictionary = *made;
    dictionary.id = id_next(state);
    int rc = dictionary_put(tables, txn, state, &dictionary);
    if (rc)
        return rc;
    use_make(state, dictionary.id);
    state->dictionary = dictionary.id;
    // The id may have been another's in a transaction that failed.
    payload_compressor_use(tables->compressor, atomic_load(&tables->compression_level),
                           dictionary.id, dictionary.bytes);
    return 0;
}

int dictionaries_begin(struct tables *tables, MDB_txn *txn, struct tables_state *state)
{
    int level = atomic_load(&tables->compression_level);
    struct dictionary dictionary = {0};
    int rc = made_take(tables, txn, state);
    if (rc || payload_compressor_uses(tables->compressor, level, state->dictionary))
        return rc;
    // A damaged one is not used; who reads a message that needs it will say so.
    if (state->dictionary)
        dictionaries_get(tables, txn, state->dictionary, &dictionary, NULL);
    payload_compressor_use(tables->compressor, level, state->dictionary, dictionary.bytes);
    return 0;
}

int dictionaries_end(struct tables *tables, MDB_txn *txn, struct tables_state *state)
{
    unsigned i = 0;
    while (i < state->use_count) {
        const struct dictionary_use *use = &state->uses[i];
        if (use->messages > 0 || (use->id && use->id == state->dictionary)) {
            i++;
            continue;
        }
        int rc = use->id ? dictionary_delete(tables, txn, state, use->id) : 0;
        if (rc)
            return rc;
        state->uses[i] = state->uses[--state->use_count];
    }
    return 0;
}

static void samples_take(struct trainer *trainer, struct fold *fold)
{
    const struct fold_message *entries = FOLD_ITEMS(fold, messages, struct fold_message);
    const struct message *data = FOLD_ITEMS(fold, message_data, struct message);
    for (uint32_t i = 0; i < fold->messages.count; i++) {
        if (entries[i].outcome != FOLD_PUT)
            continue;
        const struct message *message = &data[entries[i].data];
        size_t bytes = value_content_bytes(message);
        uint8_t *room = trainer_offer(trainer, bytes);
        if (room)
            value_content_encode(message, room);
    }
}

void tables_train(struct tables *tables, struct fold *fold)
{
    struct tables_state state;
    struct dictionary current = {0};
    MDB_txn *txn;
    if (atomic_load(&tables->compression) != STORE_COMPRESSION_ZSTD)
        return;
    samples_take(tables->trainer, fold);
    if (!trainer_is_due(tables->trainer) || tables_read_begin(tables, &txn, NULL))
        return;
    if (meta_read_state(tables, txn, &state, NULL) == 0) {
        if (state.dictionary)
            dictionaries_get(tables, txn, state.dictionary, &current, NULL);
        trainer_train(tables->trainer, atomic_load(&tables->compression_level), current.bytes);
    }
    tables_read_end(tables, txn);
}
