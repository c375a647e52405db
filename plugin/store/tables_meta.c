// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The meta table. The value under META_MAGIC never changes its shape, so that every version can
// tell a store of another one from damage.
#include "tables_internal.h"
#include "value_bytes.h"
#include "values.h"

#include "format.h"

#define META_MAGIC "mosquitto-persist-lmdb"
#define META_IDENTITY "identity"
#define META_STATE "state"

#define MAGIC_BYTES (12u + VALUE_CHECKSUM_BYTES)
#define IDENTITY_BYTES (1u + 16u + KEY_SECRET_BYTES + VALUE_CHECKSUM_BYTES)
#define STATE_FIXED_BYTES (2u + (4u + TABLE_COUNT - 1u) * 8u + 3u)
#define USE_BYTES (2u + 3u * 8u)
#define CAUGHT_UP_BYTES 8u
#define STATE_MAX_BYTES \
    (STATE_FIXED_BYTES + STATE_USES_MAX * USE_BYTES + CAUGHT_UP_BYTES + VALUE_CHECKSUM_BYTES)

static int meta_put(struct tables *tables, MDB_txn *txn, const struct key *key, uint8_t *bytes,
                    size_t len)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value = {len, bytes};
    return mdb_put(txn, tables->dbi[TABLE_META], &key_val, &value, 0);
}

static int put_magic(struct tables *tables, MDB_txn *txn)
{
    uint8_t bytes[MAGIC_BYTES];
    struct value_writer writer = {bytes, bytes};
    struct key key;
    key_of_name(&key, META_MAGIC);
    value_write_u32(&writer, FORMAT_VERSION);
    value_write_u32(&writer, 0); // compatible features
    value_write_u32(&writer, 0); // incompatible features
    value_seal(&writer, TABLE_META, key_span(&key));
    return meta_put(tables, txn, &key, bytes, sizeof(bytes));
}

static int put_identity(struct tables *tables, MDB_txn *txn, const struct tables_options *options)
{
    uint8_t bytes[IDENTITY_BYTES];
    struct value_writer writer = {bytes, bytes};
    struct key key;
    key_of_name(&key, META_IDENTITY);
    value_write_u8(&writer, VALUE_VERSION);
    value_write_bytes(&writer, span_of(options->store_id, sizeof(options->store_id)));
    value_write_bytes(&writer, span_of(options->secret, sizeof(options->secret)));
    value_seal(&writer, TABLE_META, key_span(&key));
    return meta_put(tables, txn, &key, bytes, sizeof(bytes));
}

int meta_write_state(struct tables *tables, MDB_txn *txn, const struct tables_state *state)
{
    uint8_t bytes[STATE_MAX_BYTES];
    struct value_writer writer = {bytes, bytes};
    struct key key;
    key_of_name(&key, META_STATE);
    value_write_u8(&writer, VALUE_VERSION);
    value_write_u8(&writer, state->clean ? 1 : 0);
    value_write_u64(&writer, state->life);
    value_write_u64(&writer, state->covered);
    value_write_u64(&writer, state->next_session);
    value_write_u64(&writer, state->anomalies);
    for (int table = TABLE_META + 1; table < TABLE_COUNT; table++)
        value_write_u64(&writer, state->contents[table]);
    value_write_u16(&writer, state->dictionary);
    value_write_u8(&writer, state->use_count);
    for (unsigned i = 0; i < state->use_count; i++) {
        value_write_u16(&writer, state->uses[i].id);
        value_write_u64(&writer, state->uses[i].messages);
        value_write_u64(&writer, state->uses[i].content_bytes);
        value_write_u64(&writer, state->uses[i].stored_bytes);
    }
    value_write_u64(&writer, state->caught_up_ms);
    value_seal(&writer, TABLE_META, key_span(&key));
    return meta_put(tables, txn, &key, bytes, (size_t)(writer.at - bytes));
}

int meta_create(struct tables *tables, MDB_txn *txn, const struct tables_options *options)
{
    struct tables_state state = {.covered = options->first_position, .next_session = 1};
    int rc = put_magic(tables, txn);
    tables->format_version = FORMAT_VERSION;
    if (rc == 0)
        rc = put_identity(tables, txn, options);
    if (rc == 0)
        rc = meta_write_state(tables, txn, &state);
    return rc;
}

static int meta_get(struct tables *tables, MDB_txn *txn, const struct key *key,
                    struct span *ret_value, struct store_error *err)
{
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    int rc = mdb_get(txn, tables->dbi[TABLE_META], &key_val, &value);
    if (rc == MDB_NOTFOUND)
        return STORE_ENOTFOUND;
    if (rc)
        return tables_error(tables, err, rc, "cannot read the meta table");
    *ret_value = span_of_val(&value);
    return 0;
}

int meta_check_magic(struct tables *tables, MDB_txn *txn, struct store_error *err)
{
    struct key key;
    struct span value = {NULL, 0};
    key_of_name(&key, META_MAGIC);
    int rc = meta_get(tables, txn, &key, &value, err);
    if (rc == STORE_ENOTFOUND)
        return error_set(err, STORE_EFOREIGN,
                         "%s/data.mdb is an LMDB file of another program; use an empty folder",
                         tables->path);
    if (rc)
        return rc;
    const uint8_t *bytes = value.data;
    if (value.len != MAGIC_BYTES ||
        value_checksum(TABLE_META, key_span(&key), bytes, 12) != get_u64(bytes + 12))
        return tables_damaged(err, TABLE_META, key_span(&key), "checksum does not match");
    tables->format_version = get_u32(bytes);
    uint32_t unknown = get_u32(bytes + 8) & ~FORMAT_INCOMPAT_KNOWN;
    if (unknown)
        return error_set(err, STORE_EVERSION,
                         "%s was written in format %lu with features (0x%lx) that this program, "
                         "which knows format %lu, cannot read; use a newer version",
                         tables->path, (unsigned long)tables->format_version,
                         (unsigned long)unknown, (unsigned long)FORMAT_VERSION);
    return 0;
}

static int meta_open(struct tables *tables, MDB_txn *txn, const char *name, struct key *key,
                     struct value_reader *reader, struct store_error *err)
{
    struct span value;
    key_of_name(key, name);
    int rc = meta_get(tables, txn, key, &value, err);
    if (rc == STORE_ENOTFOUND)
        return tables_damaged(err, TABLE_META, key_span(key), "it is missing");
    if (rc)
        return rc;
    const char *why = value_open(reader, TABLE_META, key_span(key), value);
    return why ? tables_damaged(err, TABLE_META, key_span(key), why) : 0;
}

int meta_read_identity(struct tables *tables, MDB_txn *txn, struct store_error *err)
{
    struct key key;
    struct value_reader reader;
    int rc = meta_open(tables, txn, META_IDENTITY, &key, &reader, err);
    if (rc)
        return rc;
    struct span store_id = value_read_bytes(&reader, sizeof(tables->store_id));
    struct span secret = value_read_bytes(&reader, sizeof(tables->secret));
    const char *why = value_close(&reader);
    if (why)
        return tables_damaged(err, TABLE_META, key_span(&key), why);
    memcpy(tables->store_id, store_id.data, sizeof(tables->store_id));
    memcpy(tables->secret, secret.data, sizeof(tables->secret));
    return 0;
}

int meta_read_state(struct tables *tables, MDB_txn *txn, struct tables_state *ret_state,
                    struct store_error *err)
{
    struct key key;
    struct value_reader reader;
    int rc = meta_open(tables, txn, META_STATE, &key, &reader, err);
    if (rc)
        return rc;
    struct tables_state state = {0};
    state.clean = value_read_u8(&reader) & 1;
    state.life = value_read_u64(&reader);
    state.covered = value_read_u64(&reader);
    state.next_session = value_read_u64(&reader);
    state.anomalies = value_read_u64(&reader);
    for (int table = TABLE_META + 1; table < TABLE_COUNT; table++)
        state.contents[table] = value_read_u64(&reader);
    state.dictionary = value_read_u16(&reader);
    state.use_count = value_read_u8(&reader);
    if (state.use_count > STATE_USES_MAX)
        return tables_damaged(err, TABLE_META, key_span(&key), "a field is out of range");
    for (unsigned i = 0; i < state.use_count; i++) {
        state.uses[i].id = value_read_u16(&reader);
        state.uses[i].messages = value_read_u64(&reader);
        state.uses[i].content_bytes = value_read_u64(&reader);
        state.uses[i].stored_bytes = value_read_u64(&reader);
    }
    // Version 0.1.0 did not know it before its release.
    if (reader.left >= CAUGHT_UP_BYTES)
        state.caught_up_ms = value_read_u64(&reader);
    const char *why = value_close(&reader);
    if (why)
        return tables_damaged(err, TABLE_META, key_span(&key), why);
    *ret_state = state;
    return 0;
}
