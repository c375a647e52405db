// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Opening the tables in every state a folder can be in, their meta values, statistics and check.
#include "store/fold.h"
#include "store/tables.h"
#include "store/tables_internal.h"
#include "store/value_bytes.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *folder;
static struct store_error err;

static void setup(void)
{
    folder = folder_make();
    memset(&err, 0, sizeof(err));
}

static void teardown(void)
{
    folder_remove(folder);
}

static struct tables_options options_make(bool create)
{
    return (struct tables_options){.path = folder,
                                   .create = create,
                                   .store_id = {1, 2, 3, 4, 5, 6, 7, 8},
                                   .secret = {9, 8, 7},
                                   .first_position = 4711,
                                   .map_bytes = 8u << 20};
}

static struct tables *tables_make(bool create)
{
    struct tables_options options = options_make(create);
    struct tables *tables = NULL;
    ck_assert_msg(tables_open(&tables, &options, &err) == 0, "%s", err.sentence);
    return tables;
}

static void expect_refused(int code, const char *sentence)
{
    struct tables_options options = options_make(false);
    struct tables *tables = NULL;
    int rc = tables_open(&tables, &options, &err);
    ck_assert_ptr_null(tables);
    ck_assert_msg(rc == code && err.code == code, "%d: %s", rc, err.sentence);
    ck_assert_msg(strstr(err.sentence, sentence) != NULL, "%s", err.sentence);
}

static void apply(struct tables *tables, struct event *events, size_t count, uint64_t covered,
                  bool clean)
{
    struct fold *fold = NULL;
    ck_assert_int_eq(fold_new(&fold, &err), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(fold_add(fold, &events[i], &err), 0);
    ck_assert_msg(tables_apply(tables, fold, covered, clean, &err) == 0, "%s", err.sentence);
    fold_free(fold);
}

static void one_of_each(struct tables *tables)
{
    struct span c = span_str("c");
    struct event events[] = {
        {.type = RECORD_SESSION_ADD, .session = {.client_id = c}},
        {.type = RECORD_SUBSCRIPTION_ADD, .subscription = {c, span_str("a/#"), 0, 0}},
        {.type = RECORD_MESSAGE_ADD, .message = {.store_id = 5, .payload = span_str("p")}},
        {.type = RECORD_QUEUE_ADD, .queued = {.client_id = c, .cmsg_id = 6, .store_id = 5}},
        {.type = RECORD_RETAINED_SET, .retained = {span_str("t"), 5}},
        {.type = RECORD_WILL_SET, .will = {.client_id = c}},
    };
    apply(tables, events, sizeof(events) / sizeof(events[0]), 5000, false);
}

// ---- opening -------------------------------------------------------------------------------

START_TEST(a_new_store_says_what_it_was_made_with)
{
    static const uint8_t store_id[16] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (int round = 0; round < 2; round++) {
        struct tables *tables = tables_make(round == 0);
        struct tables_meta meta;
        ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
        ck_assert_mem_eq(meta.store_id, store_id, sizeof(store_id));
        ck_assert_uint_eq(meta.format_version, STORE_FORMAT_VERSION);
        ck_assert_uint_eq(meta.covered, 4711);
        ck_assert_uint_eq(meta.life, 0);
        ck_assert(!meta.clean);
        ck_assert_uint_eq(meta.content_bytes, 0);
        ck_assert_uint_eq(meta.anomalies, 0);
        tables_close(tables);
    }
}
END_TEST

START_TEST(files_are_closed_to_others_whatever_the_umask)
{
    static const char *const names[] = {"data.mdb", "lock.mdb"};
    umask(0);
    tables_close(tables_make(true));
    for (int i = 0; i < 2; i++) {
        struct stat st;
        ck_assert_int_eq(stat(path_in(folder, names[i]), &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0600);
    }
}
END_TEST

START_TEST(what_exists_is_not_made_again)
{
    struct tables *tables = tables_make(true);
    one_of_each(tables);
    tables_close(tables);
    struct tables_options options = options_make(true);
    struct tables_meta meta;
    options.store_id[0] = 99;
    options.first_position = 1;
    ck_assert_int_eq(tables_open(&tables, &options, &err), 0);
    ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
    ck_assert_uint_eq(meta.store_id[0], 1);
    ck_assert_uint_eq(meta.covered, 5000);
    tables_close(tables);
}
END_TEST

START_TEST(without_a_store_nothing_is_made)
{
    struct tables_options options = options_make(true);
    struct tables *tables = NULL;
    options.read_only = true;
    expect_refused(STORE_ENOSTORE, "there is no store in");
    ck_assert_int_eq(tables_open(&tables, &options, &err), STORE_ENOSTORE);
    ck_assert_int_ne(access(path_in(folder, "data.mdb"), F_OK), 0);
    ck_assert_int_ne(access(path_in(folder, "lock.mdb"), F_OK), 0);
}
END_TEST

static void file_make(const char *name, const void *bytes, size_t len)
{
    FILE *file = fopen(path_in(folder, name), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
    ck_assert_int_eq(chmod(path_in(folder, name), 0600), 0);
}

// An LMDB environment of somebody else, with `table` if it is not NULL.
static void foreign_make(const char *table, unsigned flags, bool filled)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {3, "key"};
    MDB_val value = {5, "value"};
    ck_assert_int_eq(mdb_env_create(&env), 0);
    ck_assert_int_eq(mdb_env_set_maxdbs(env, 4), 0);
    ck_assert_int_eq(mdb_env_open(env, folder, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, table, flags, &dbi), 0);
    if (filled)
        ck_assert_int_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(a_creation_that_was_cut_short_is_made_up_for)
{
    foreign_make(NULL, 0, false);
    expect_refused(STORE_ENOSTORE, "there is no store in");
    tables_close(tables_make(true));
    tables_close(tables_make(false));
    unlink(path_in(folder, "data.mdb"));
    file_make("data.mdb", "", 0);
    tables_close(tables_make(true));
    tables_close(tables_make(false));
}
END_TEST

START_TEST(a_file_that_is_no_lmdb_is_damage)
{
    static char zeros[65536];
    char text[20000];
    memset(text, 'x', sizeof(text));
    file_make("data.mdb", text, sizeof(text));
    expect_refused(STORE_EDAMAGED, "not an LMDB file, or its head is damaged");
    file_make("data.mdb", text, 100);
    expect_refused(STORE_EDAMAGED, "not an LMDB file, or its head is damaged");
    file_make("data.mdb", zeros, sizeof(zeros));
    expect_refused(STORE_EDAMAGED, "not an LMDB file, or its head is damaged");
}
END_TEST

START_TEST(keys_of_another_program_are_foreign)
{
    foreign_make(NULL, 0, true);
    expect_refused(STORE_EFOREIGN, "another program");
}
END_TEST

START_TEST(tables_of_another_program_are_foreign)
{
    foreign_make("sessions", MDB_CREATE, true);
    expect_refused(STORE_EFOREIGN, "another program");
}
END_TEST

START_TEST(a_meta_table_of_another_program_is_foreign)
{
    foreign_make("meta", MDB_CREATE | MDB_DUPSORT, true);
    expect_refused(STORE_EFOREIGN, "another program");
}
END_TEST

// Nothing of it is overwritten when a store is to be made either.
START_TEST(a_foreign_file_stays_as_it_is)
{
    struct tables_options options = options_make(true);
    struct tables *tables = NULL;
    foreign_make("meta", MDB_CREATE, true);
    ck_assert_int_eq(tables_open(&tables, &options, &err), STORE_EFOREIGN);
    foreign_make("other", MDB_CREATE, true);
    ck_assert_int_eq(tables_open(&tables, &options, &err), STORE_EFOREIGN);
    ck_assert_msg(strstr(err.sentence, "another program") != NULL, "%s", err.sentence);
}
END_TEST

// Changes the value of a key to what `change` makes of it, of the length that it returns; with NULL
// the key is deleted.
static void value_change(enum table table, const char *name, size_t (*change)(uint8_t *, size_t))
{
    struct tables *tables = tables_make(false);
    MDB_txn *txn;
    MDB_val key = {strlen(name), (void *)(uintptr_t)name};
    MDB_val value;
    uint8_t copy[256];
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_get(txn, tables->dbi[table], &key, &value), 0);
    ck_assert_uint_le(value.mv_size, sizeof(copy));
    if (change) {
        memcpy(copy, value.mv_data, value.mv_size);
        value.mv_size = change(copy, value.mv_size);
        value.mv_data = copy;
        ck_assert_int_eq(mdb_put(txn, tables->dbi[table], &key, &value, 0), 0);
    } else {
        ck_assert_int_eq(mdb_del(txn, tables->dbi[table], &key, NULL), 0);
    }
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    tables_close(tables);
}

static void magic_seal(uint8_t *value, size_t len)
{
    static const char name[] = "mosquitto-persist-lmdb";
    ck_assert_uint_eq(len, 20);
    put_u64(value + 12, value_checksum(TABLE_META, span_of(name, sizeof(name) - 1), value, 12));
}

static size_t need_a_feature(uint8_t *value, size_t len)
{
    put_u32(value, 7);
    put_u32(value + 8, 0x10);
    magic_seal(value, len);
    return len;
}

static size_t offer_a_feature(uint8_t *value, size_t len)
{
    put_u32(value, 2);
    put_u32(value + 4, 0x10);
    magic_seal(value, len);
    return len;
}

static size_t flip_a_bit(uint8_t *value, size_t len)
{
    value[len / 2] ^= 4;
    return len;
}

static size_t cut_short(uint8_t *value, size_t len)
{
    (void)value;
    return len / 3;
}

START_TEST(a_format_that_needs_more_is_refused_with_both_versions)
{
    tables_close(tables_make(true));
    value_change(TABLE_META, "mosquitto-persist-lmdb", need_a_feature);
    expect_refused(STORE_EVERSION, "written in format 7 with features (0x10)");
    expect_refused(STORE_EVERSION, "knows format 1");
}
END_TEST

START_TEST(a_format_that_only_offers_more_is_read)
{
    struct tables_meta meta;
    tables_close(tables_make(true));
    value_change(TABLE_META, "mosquitto-persist-lmdb", offer_a_feature);
    struct tables *tables = tables_make(false);
    ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
    ck_assert_uint_eq(meta.format_version, 2);
    tables_close(tables);
}
END_TEST

START_TEST(a_damaged_meta_value_is_named)
{
    static const char *const names[] = {"mosquitto-persist-lmdb", "identity", "state"};
    char sentence[100];
    tables_close(tables_make(true));
    value_change(TABLE_META, names[_i], flip_a_bit);
    snprintf(sentence, sizeof(sentence), "meta: key \"%s\": checksum does not match", names[_i]);
    expect_refused(STORE_EDAMAGED, sentence);
}
END_TEST

START_TEST(a_meta_value_cut_short_is_damage)
{
    static const char *const names[] = {"mosquitto-persist-lmdb", "identity", "state"};
    tables_close(tables_make(true));
    value_change(TABLE_META, names[_i], cut_short);
    expect_refused(STORE_EDAMAGED, names[_i]);
}
END_TEST

// A value of right checksum, one byte shorter or longer than it must be, or with more dictionaries
// than there can be.
static size_t meta_seal(const char *name, uint8_t *value, size_t len)
{
    put_u64(value + len, value_checksum(TABLE_META, span_str(name), value, len));
    return len + 8;
}

static size_t identity_shorten(uint8_t *value, size_t len)
{
    return meta_seal("identity", value, len - 9);
}

static size_t identity_extend(uint8_t *value, size_t len)
{
    value[len - 8] = 0;
    return meta_seal("identity", value, len - 7);
}

static size_t state_shorten(uint8_t *value, size_t len)
{
    return meta_seal("state", value, len - 17); // the last member may be missing
}

static size_t state_extend(uint8_t *value, size_t len)
{
    value[len - 8] = 0;
    return meta_seal("state", value, len - 7);
}

static size_t state_overfill(uint8_t *value, size_t len)
{
    value[len - 17] = STATE_USES_MAX + 1; // of an empty store the last byte but for a time
    return meta_seal("state", value, len - 8);
}

START_TEST(a_meta_value_that_contradicts_itself_is_damage)
{
    static const struct {
        const char *name;
        size_t (*change)(uint8_t *, size_t);
        const char *why;
    } cases[] = {
        {"identity", identity_shorten, "the value ends too early"},
        {"identity", identity_extend, "the value has bytes left over"},
        {"state", state_shorten, "the value ends too early"},
        {"state", state_extend, "the value has bytes left over"},
        {"state", state_overfill, "a field is out of range"},
    };
    char sentence[100];
    tables_close(tables_make(true));
    value_change(TABLE_META, cases[_i].name, cases[_i].change);
    snprintf(sentence, sizeof(sentence), "meta: key \"%s\": %s", cases[_i].name, cases[_i].why);
    expect_refused(STORE_EDAMAGED, sentence);
}
END_TEST

START_TEST(a_missing_meta_value_is_named)
{
    static const char *const names[] = {"identity", "state"};
    char sentence[100];
    tables_close(tables_make(true));
    value_change(TABLE_META, names[_i], NULL);
    snprintf(sentence, sizeof(sentence), "meta: key \"%s\": it is missing", names[_i]);
    expect_refused(STORE_EDAMAGED, sentence);
}
END_TEST

START_TEST(a_missing_table_is_named)
{
    char sentence[100];
    struct tables *tables = tables_make(true);
    MDB_txn *txn;
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_drop(txn, tables->dbi[_i], 1), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    tables_close(tables);
    snprintf(sentence, sizeof(sentence), "the table \"%s\" is missing", table_name((enum table)_i));
    expect_refused(STORE_EDAMAGED, sentence);
}
END_TEST

START_TEST(a_table_of_another_kind_is_not_ours)
{
    struct tables *tables = tables_make(true);
    MDB_txn *txn;
    MDB_dbi dbi;
    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_drop(txn, tables->dbi[TABLE_QUEUE], 1), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "queue", MDB_CREATE | MDB_REVERSEKEY, &dbi), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    tables_close(tables);
    expect_refused(STORE_EDAMAGED, "the table \"queue\" is missing");
}
END_TEST

START_TEST(unsafe_files_are_refused)
{
    const char *name = _i % 2 ? "lock.mdb" : "data.mdb";
    tables_close(tables_make(true));
    char *path = strdup(path_in(folder, name));
    char *other = strdup(path_in(folder, "other"));
    ck_assert_int_eq(chmod(path, 0640), 0);
    expect_refused(STORE_EUNSAFE, "open to other users (mode 640)");
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(link(path, other), 0);
    expect_refused(STORE_EUNSAFE, "not a regular file with a single link");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(symlink("other", path), 0);
    expect_refused(STORE_EUNSAFE, "not a regular file with a single link");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    expect_refused(STORE_EUNSAFE, "not a regular file with a single link");
    free(path);
    free(other);
}
END_TEST

// ---- meta ----------------------------------------------------------------------------------

START_TEST(lives_are_counted_and_a_stop_is_remembered_until_the_next)
{
    struct tables_meta meta;
    uint64_t life = 0;
    for (uint64_t i = 1; i <= 3; i++) {
        struct tables *tables = tables_make(i == 1);
        ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
        ck_assert_int_eq(meta.clean, i > 1);
        ck_assert_int_eq(tables_begin_life(tables, &life, &err), 0);
        ck_assert_uint_eq(life, i);
        ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
        ck_assert_uint_eq(meta.life, i);
        ck_assert(!meta.clean);
        apply(tables, NULL, 0, 10000 + i, true);
        ck_assert_int_eq(tables_meta(tables, &meta, &err), 0);
        ck_assert(meta.clean);
        ck_assert_uint_eq(meta.covered, 10000 + i);
        tables_close(tables);
    }
}
END_TEST

START_TEST(read_only_changes_nothing)
{
    struct tables_options options = options_make(false);
    struct tables *tables = tables_make(true);
    struct store_view *view = NULL;
    struct fold *fold = NULL;
    uint64_t life = 77;
    one_of_each(tables);
    tables_close(tables);

    options.read_only = true;
    ck_assert_int_eq(tables_open(&tables, &options, &err), 0);
    ck_assert_int_eq(fold_new(&fold, &err), 0);
    ck_assert_int_eq(tables_apply(tables, fold, 1, false, &err), STORE_EREADONLY);
    ck_assert_int_eq(tables_begin_life(tables, &life, &err), STORE_EREADONLY);
    ck_assert_uint_eq(life, 77);
    ck_assert_int_eq(tables_view_open(&view, tables, &err), 0);
    store_view_close(view);
    ck_assert_int_eq(tables_check(tables, &err), 0);
    fold_free(fold);
    tables_close(tables);
}
END_TEST

// ---- statistics and check ------------------------------------------------------------------

START_TEST(statistics_count_what_is_there)
{
    struct tables *tables = tables_make(true);
    struct store_stats stats = {.behind_records = 17};
    one_of_each(tables);
    ck_assert_int_eq(tables_stats(tables, &stats, &err), 0);
    ck_assert_uint_eq(stats.behind_records, 17);
    ck_assert_uint_eq(stats.sessions, 1);
    ck_assert_uint_eq(stats.subscriptions, 1);
    ck_assert_uint_eq(stats.messages, 1);
    ck_assert_uint_eq(stats.queued, 1);
    ck_assert_uint_eq(stats.retained, 1);
    ck_assert_uint_eq(stats.wills, 1);
    ck_assert_uint_gt(stats.content_bytes, 0);
    ck_assert_uint_eq(stats.stored_bytes, stats.content_bytes);
    ck_assert_uint_eq(stats.lmdb_map_bytes, 8u << 20);
    ck_assert_uint_eq(stats.lmdb_file_bytes, file_bytes(path_in(folder, "data.mdb")));
    ck_assert_uint_le(stats.lmdb_used_bytes + stats.lmdb_free_bytes, stats.lmdb_file_bytes);
    tables_close(tables);
}
END_TEST

START_TEST(free_pages_are_what_deletions_leave)
{
    static char payload[2000];
    struct tables *tables = tables_make(true);
    static struct event events[500];
    struct store_stats full = {0};
    struct store_stats empty = {0};
    for (uint64_t i = 0; i < 500; i++) {
        events[i].type = RECORD_MESSAGE_ADD;
        events[i].message.store_id = i;
        events[i].message.payload = span_of(payload, sizeof(payload));
    }
    tables_set_compression(tables, STORE_COMPRESSION_NONE, 0);
    apply(tables, events, 500, 1, false);
    ck_assert_int_eq(tables_stats(tables, &full, &err), 0);
    ck_assert_uint_gt(full.lmdb_used_bytes, 1000000);
    ck_assert_uint_eq(full.stored_bytes, 1000000 + 500 * 3);
    for (uint64_t i = 0; i < 500; i++)
        events[i].type = RECORD_MESSAGE_DELETE;
    apply(tables, events, 500, 2, false);
    ck_assert_int_eq(tables_stats(tables, &empty, &err), 0);
    ck_assert_uint_lt(empty.lmdb_used_bytes, 200000);
    ck_assert_uint_gt(empty.lmdb_free_bytes, 900000);
    tables_close(tables);
}
END_TEST

START_TEST(the_check_names_the_first_damaged_value)
{
    static const struct {
        enum table table;
        const char *sentence;
    } cases[] = {
        {TABLE_SESSIONS, "sessions: key \"c\": checksum does not match; this session is lost"},
        {TABLE_SUBSCRIPTIONS, "subscriptions: key session 1 \"a/#\": checksum does not match; this "
                              "subscription is lost"},
        {TABLE_MESSAGES, "messages: key 5: checksum does not match; this message is lost"},
        {TABLE_QUEUE,
         "queue: key session 1 in 6: checksum does not match; this queued message is lost"},
        {TABLE_RETAINED,
         "retained: key \"t\": checksum does not match; this retained message is lost"},
        {TABLE_WILLS, "wills: key \"c\": checksum does not match; this will is lost"},
    };
    struct tables *tables = tables_make(true);
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key;
    MDB_val value;
    uint8_t copy[256];
    one_of_each(tables);
    ck_assert_int_eq(tables_check(tables, &err), 0);

    ck_assert_int_eq(mdb_txn_begin(tables->env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_cursor_open(txn, tables->dbi[cases[_i].table], &cursor), 0);
    ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
    memcpy(copy, value.mv_data, value.mv_size);
    copy[value.mv_size - 6] ^= 1;
    value.mv_data = copy;
    ck_assert_int_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
    mdb_cursor_close(cursor);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    ck_assert_int_eq(tables_check(tables, &err), STORE_EDAMAGED);
    ck_assert_str_eq(err.sentence, cases[_i].sentence);
    tables_close(tables);
}
END_TEST

START_TEST(dead_readers_are_removed)
{
    int status;
    int dead = -1;
    struct tables *tables = tables_make(true);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        struct store_view *view = NULL;
        struct tables *own = tables_make(false);
        _exit(tables_view_open(&view, own, &err) ? 1 : 0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    tables_check_readers(tables);
    ck_assert_int_eq(mdb_reader_check(tables->env, &dead), 0);
    ck_assert_int_eq(dead, 0);
    tables_close(tables);
}
END_TEST

START_TEST(the_libraries_are_named)
{
    const char *versions = tables_library_versions();
    ck_assert_msg(strncmp(versions, "lmdb 0.9.", 9) == 0, "%s", versions);
    ck_assert_msg(strstr(versions, ", zstd 1.") != NULL, "%s", versions);
    ck_assert_ptr_eq(tables_library_versions(), versions);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables");
    TCase *tests = tcase_create("tables");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_new_store_says_what_it_was_made_with);
    tcase_add_test(tests, files_are_closed_to_others_whatever_the_umask);
    tcase_add_test(tests, what_exists_is_not_made_again);
    tcase_add_test(tests, without_a_store_nothing_is_made);
    tcase_add_test(tests, a_creation_that_was_cut_short_is_made_up_for);
    tcase_add_test(tests, a_file_that_is_no_lmdb_is_damage);
    tcase_add_test(tests, keys_of_another_program_are_foreign);
    tcase_add_test(tests, tables_of_another_program_are_foreign);
    tcase_add_test(tests, a_meta_table_of_another_program_is_foreign);
    tcase_add_test(tests, a_foreign_file_stays_as_it_is);
    tcase_add_test(tests, a_format_that_needs_more_is_refused_with_both_versions);
    tcase_add_test(tests, a_format_that_only_offers_more_is_read);
    tcase_add_loop_test(tests, a_damaged_meta_value_is_named, 0, 3);
    tcase_add_loop_test(tests, a_meta_value_cut_short_is_damage, 0, 3);
    tcase_add_loop_test(tests, a_meta_value_that_contradicts_itself_is_damage, 0, 5);
    tcase_add_loop_test(tests, a_missing_meta_value_is_named, 0, 2);
    tcase_add_loop_test(tests, a_missing_table_is_named, 1, TABLE_COUNT);
    tcase_add_test(tests, a_table_of_another_kind_is_not_ours);
    tcase_add_loop_test(tests, unsafe_files_are_refused, 0, 2);
    tcase_add_test(tests, lives_are_counted_and_a_stop_is_remembered_until_the_next);
    tcase_add_test(tests, read_only_changes_nothing);
    tcase_add_test(tests, statistics_count_what_is_there);
    tcase_add_test(tests, free_pages_are_what_deletions_leave);
    tcase_add_loop_test(tests, the_check_names_the_first_damaged_value, 0, 6);
    tcase_add_test(tests, dead_readers_are_removed);
    tcase_add_test(tests, the_libraries_are_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
