// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One consistent picture of the tables: a read transaction, and what it takes to unpack payloads.
#include "value_bytes.h"
#include "view_internal.h"

#include <stdlib.h>

int tables_view_open(struct store_view **ret_view, struct tables *tables, struct store_error *err)
{
    struct store_view *view = calloc(1, sizeof(*view));
    if (!view)
        return error_set(err, STORE_ENOMEM, "out of memory while opening a view");
    view->tables = tables;
    int rc = tables_read_begin(tables, &view->txn, err);
    if (rc) {
        free(view);
        return rc;
    }
    MDB_stat stat;
    mdb_env_stat(tables->env, &stat); // fails only without an environment
    view->page_bytes = stat.ms_psize;
    *ret_view = view;
    return 0;
}

void store_view_close(struct store_view *view)
{
    if (!view)
        return;
    tables_read_end(view->tables, view->txn);
    payload_decompressor_free(view->decompressor);
    free(view);
}

void store_view_pass_damage(struct store_view *view, store_damage_fn *fn, void *user)
{
    view->damage = fn;
    view->damage_user = user;
}

// 0 if `rc` is damage that the view passes over: it has been told.
static int view_pass(struct store_view *view, int rc, const struct store_error *err)
{
    if (rc != STORE_EDAMAGED || !view->damage)
        return rc;
    view->damage(view->damage_user, err);
    return 0;
}

// ---- walking -------------------------------------------------------------------------------

// What walks over a table have met.
struct tally {
    uint64_t entries;
    uint64_t contents; // sum of the checksums, as in the state
    uint64_t most;     // entries that LMDB says there are
    bool passed;       // damage that the view passes over
    bool misplaced;    // the entry before was not in its place
};

// Whether a search for the key ends at this very entry. A walk goes from page to page and does not
// see what is wrong with the keys that lead a search there; one search for the first and one for
// the last entry of a page stand for all between them.
static bool entry_is_found(struct store_view *view, enum table table, const MDB_val *key)
{
    MDB_cursor *cursor = NULL;
    MDB_val found = *key;
    MDB_val value;
    if (mdb_cursor_open(view->txn, view->tables->dbi[table], &cursor))
        return false;
    int rc = mdb_cursor_get(cursor, &found, &value, MDB_SET_KEY);
    mdb_cursor_close(cursor);
    return rc == 0 && found.mv_data == key->mv_data;
}

static bool same_page(const struct store_view *view, const MDB_val *a, const MDB_val *b)
{
    return (uintptr_t)a->mv_data / view->page_bytes == (uintptr_t)b->mv_data / view->page_bytes;
}

// Looks at an entry in its turn. `last`: the one before, its mv_data NULL if there is none.
static const char *entry_place_check(struct store_view *view, enum table table, const MDB_val *last,
                                     const MDB_val *key)
{
    if (last->mv_data && mdb_cmp(view->txn, view->tables->dbi[table], last, key) >= 0)
        return "it is not in its place";
    if (last->mv_data && same_page(view, last, key))
        return NULL;
    if ((last->mv_data && !entry_is_found(view, table, last)) || !entry_is_found(view, table, key))
        return "a search for it does not find it";
    return NULL;
}

// Sees to one entry; non-zero ends the walk. Damage that the view passes over is told, and what is
// whole but not in its place given out all the same: whoever salvages wants it.
static int entry_visit(struct store_view *view, enum table table, MDB_val *last, const MDB_val *key,
                       const MDB_val *value, view_entry_fn *fn, void *user, struct tally *tally,
                       struct store_error *err)
{
    const char *why = entry_place_check(view, table, last, key);
    // Of a page that is not in its place the first entry is told.
    if (why && !tally->misplaced) {
        int rc = view_pass(view, tables_damaged(err, table, span_of_val(key), why), err);
        if (rc)
            return rc;
    }
    tally->misplaced = why != NULL;
    int rc = fn(user, span_of_val(key), span_of_val(value), err);
    int ended = view_pass(view, rc, err);
    if (ended)
        return ended;
    tally->passed |= why || rc;
    tally->entries++;
    tally->contents += value_checksum_stored(table, span_of_val(value));
    if (rc == 0)
        *last = *key; // a damaged key says nothing of the place of the next
    return 0;
}

// All entries whose keys begin with `prefix`, in the order of the keys. Adds them to *tally. A page
// that damage put in another's place shows in keys that are out of order or cannot be found, or in
// a walk that misses entries or meets others (walk_complete).
static int table_walk(struct store_view *view, enum table table, struct span prefix,
                      view_entry_fn *fn, void *user, struct tally *tally, struct store_error *err)
{
    struct store_error own = {0};
    MDB_cursor *cursor = NULL;
    MDB_val key = val_of_span(prefix);
    MDB_val value, last = {0, NULL};
    MDB_stat stat;
    if (!err)
        err = &own;
    int rc = mdb_stat(view->txn, view->tables->dbi[table], &stat);
    if (rc == 0)
        rc = mdb_cursor_open(view->txn, view->tables->dbi[table], &cursor);
    if (rc)
        return tables_error(view->tables, err, rc, "cannot read it");
    tally->most = stat.ms_entries;
    rc = mdb_cursor_get(cursor, &key, &value, prefix.len > 0 ? MDB_SET_RANGE : MDB_FIRST);
    while (rc == 0) {
        if (prefix.len > 0 &&
            (key.mv_size < prefix.len || memcmp(key.mv_data, prefix.data, prefix.len) != 0))
            break;
        int ended = entry_visit(view, table, &last, &key, &value, fn, user, tally, err);
        // A tree that damage has closed to a ring has no end.
        if (ended || tally->entries > tally->most) {
            mdb_cursor_close(cursor);
            return ended;
        }
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc && rc != MDB_NOTFOUND ? tables_error(view->tables, err, rc, "cannot read it") : 0;
}

// Whether a walk over a whole table met as many entries as LMDB says it has, and the very ones that
// were written last.
static int walk_complete(struct store_view *view, enum table table, const struct tally *tally,
                         struct store_error *err)
{
    struct store_error own = {0};
    struct tables_state state;
    MDB_stat stat;
    if (!err)
        err = &own;
    int rc = mdb_stat(view->txn, view->tables->dbi[table], &stat);
    if (rc)
        return tables_error(view->tables, err, rc, "cannot count");
    if ((rc = meta_read_state(view->tables, view->txn, &state, err)))
        return rc;
    if (tally->entries != stat.ms_entries)
        error_set(err, STORE_EDAMAGED,
                  "%s: %llu entries can be reached of %llu; the others are lost, and some of these "
                  "may be older ones",
                  table_name(table), (unsigned long long)tally->entries,
                  (unsigned long long)stat.ms_entries);
    else if (!tally->passed && tally->contents != state.contents[table])
        error_set(
            err, STORE_EDAMAGED,
            "%s: some entries are not those that were written last; which ones cannot be told, "
            "and the newer ones are lost",
            table_name(table));
    else
        return 0;
    return view_pass(view, STORE_EDAMAGED, err);
}

int view_walk(struct store_view *view, enum table table, view_entry_fn *fn, void *user,
              struct store_error *err)
{
    struct tally tally = {0};
    int rc = table_walk(view, table, (struct span){NULL, 0}, fn, user, &tally, err);
    return rc ? rc : walk_complete(view, table, &tally, err);
}

// Gives value and key as they lie in LMDB. STORE_ENOTFOUND names the key.
static int table_get(struct store_view *view, enum table table, const struct key *key,
                     struct span *ret_key, struct span *ret_value, struct store_error *err)
{
    MDB_cursor *cursor = NULL;
    MDB_val key_val = val_of_span(key_span(key));
    MDB_val value;
    int rc = mdb_cursor_open(view->txn, view->tables->dbi[table], &cursor);
    if (rc == 0)
        rc = mdb_cursor_get(cursor, &key_val, &value, MDB_SET_KEY);
    if (cursor)
        mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND) {
        char text[KEY_TEXT_BYTES];
        key_text(table, key_span(key), text);
        return error_set(err, STORE_ENOTFOUND, "%s: there is no %s", table_name(table), text);
    }
    if (rc)
        return tables_error(view->tables, err, rc, "cannot read it");
    *ret_key = span_of_val(&key_val);
    *ret_value = span_of_val(&value);
    return 0;
}

// As table_get, for a key made of a string.
static int table_get_string(struct store_view *view, enum table table, struct span string,
                            struct span *ret_key, struct span *ret_value, struct store_error *err)
{
    struct key key;
    key_of_string(&key, view->tables->secret, string);
    return table_get(view, table, &key, ret_key, ret_value, err);
}

static int string_differs(enum table table, struct span key, struct store_error *err)
{
    return tables_damaged(err, table, key, "another string lies under the same key");
}

// ---- sessions ------------------------------------------------------------------------------

struct session_walk {
    store_session_fn *fn;
    void *user;
};

static int session_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct session_walk *walk = user;
    struct session session;
    const char *why = value_session_decode(key, value, &session);
    if (why)
        return tables_damaged(err, TABLE_SESSIONS, key, why);
    return walk->fn(walk->user, &session);
}

int store_each_session(struct store_view *view, store_session_fn *fn, void *user,
                       struct store_error *err)
{
    struct session_walk walk = {fn, user};
    return view_walk(view, TABLE_SESSIONS, session_entry, &walk, err);
}

int store_get_session(struct store_view *view, struct span client_id, struct session *ret_session,
                      struct store_error *err)
{
    struct span key;
    struct span value;
    struct session session;
    int rc = table_get_string(view, TABLE_SESSIONS, client_id, &key, &value, err);
    if (rc)
        return rc;
    const char *why = value_session_decode(key, value, &session);
    if (why)
        return tables_damaged(err, TABLE_SESSIONS, key, why);
    if (!span_equal(session.client_id, client_id))
        return string_differs(TABLE_SESSIONS, key, err);
    *ret_session = session;
    return 0;
}

// ---- what belongs to sessions --------------------------------------------------------------

// A walk over the entries of one session after another, in the order of client ids.
struct member_walk {
    struct store_view *view;
    enum table table;
    view_entry_fn *entry;
    struct span client_id; // of the session that is being walked
    store_subscription_fn *subscription_fn;
    store_queued_fn *queued_fn;
    void *user;
    struct tally tally;
    struct store_error *err;
};

static int session_members(void *user, const struct session *session)
{
    struct member_walk *walk = user;
    struct key prefix;
    key_of_session(&prefix, session->number);
    walk->client_id = session->client_id;
    return table_walk(walk->view, walk->table, key_span(&prefix), walk->entry, walk, &walk->tally,
                      walk->err);
}

static int members_walk(struct member_walk *walk, struct span client_id)
{
    struct session session;
    if (!client_id.data) {
        int ended = store_each_session(walk->view, session_members, walk, walk->err);
        return ended ? ended : walk_complete(walk->view, walk->table, &walk->tally, walk->err);
    }
    struct store_error own = {0};
    int rc = store_get_session(walk->view, client_id, &session, &own);
    if (rc == 0)
        return session_members(walk, &session);
    if (rc == STORE_ENOTFOUND)
        return 0;
    if (walk->err)
        *walk->err = own;
    return rc;
}

static int subscription_entry(void *user, struct span key, struct span value,
                              struct store_error *err)
{
    struct member_walk *walk = user;
    struct subscription subscription;
    uint64_t session;
    const char *why = value_subscription_decode(key, value, &session, &subscription);
    if (why)
        return tables_damaged(err, TABLE_SUBSCRIPTIONS, key, why);
    subscription.client_id = walk->client_id;
    return walk->subscription_fn(walk->user, &subscription);
}

int store_each_subscription(struct store_view *view, struct span client_id,
                            store_subscription_fn *fn, void *user, struct store_error *err)
{
    struct member_walk walk = {.view = view,
                               .table = TABLE_SUBSCRIPTIONS,
                               .entry = subscription_entry,
                               .subscription_fn = fn,
                               .user = user,
                               .err = err};
    return members_walk(&walk, client_id);
}

static int queued_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct member_walk *walk = user;
    struct queued queued;
    uint64_t session;
    const char *why = value_queued_decode(key, value, &session, &queued);
    if (why)
        return tables_damaged(err, TABLE_QUEUE, key, why);
    queued.client_id = walk->client_id;
    return walk->queued_fn(walk->user, &queued);
}

int store_each_queued(struct store_view *view, struct span client_id, store_queued_fn *fn,
                      void *user, struct store_error *err)
{
    struct member_walk walk = {.view = view,
                               .table = TABLE_QUEUE,
                               .entry = queued_entry,
                               .queued_fn = fn,
                               .user = user,
                               .err = err};
    return members_walk(&walk, client_id);
}

// ---- messages ------------------------------------------------------------------------------

int view_message(struct store_view *view, struct span key, struct span value,
                 struct message *ret_message, struct store_error *err)
{
    struct stored_message stored;
    const char *why = value_message_decode(key, value, &stored);
    if (why)
        return tables_damaged(err, TABLE_MESSAGES, key, why);
    int rc = dictionaries_unpack(view->tables, view->txn, &view->decompressor, key, &stored, err);
    if (rc == 0)
        *ret_message = stored.message;
    return rc;
}

struct message_walk {
    struct store_view *view;
    store_message_fn *fn;
    void *user;
};

static int message_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct message_walk *walk = user;
    struct message message;
    int rc = view_message(walk->view, key, value, &message, err);
    return rc ? rc : walk->fn(walk->user, &message);
}

int store_each_message(struct store_view *view, store_message_fn *fn, void *user,
                       struct store_error *err)
{
    struct message_walk walk = {view, fn, user};
    return view_walk(view, TABLE_MESSAGES, message_entry, &walk, err);
}

int store_get_message(struct store_view *view, uint64_t store_id, struct message *ret_message,
                      struct store_error *err)
{
    struct key wanted;
    struct span key;
    struct span value;
    key_of_message(&wanted, store_id);
    int rc = table_get(view, TABLE_MESSAGES, &wanted, &key, &value, err);
    return rc ? rc : view_message(view, key, value, ret_message, err);
}

// ---- retained messages and wills -----------------------------------------------------------

struct retained_walk {
    store_retained_fn *fn;
    void *user;
};

static int retained_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct retained_walk *walk = user;
    struct retained retained;
    const char *why = value_retained_decode(key, value, &retained);
    if (why)
        return tables_damaged(err, TABLE_RETAINED, key, why);
    return walk->fn(walk->user, &retained);
}

int store_each_retained(struct store_view *view, store_retained_fn *fn, void *user,
                        struct store_error *err)
{
    struct retained_walk walk = {fn, user};
    return view_walk(view, TABLE_RETAINED, retained_entry, &walk, err);
}

int store_get_retained(struct store_view *view, struct span topic, struct retained *ret_retained,
                       struct store_error *err)
{
    struct span key;
    struct span value;
    struct retained retained;
    int rc = table_get_string(view, TABLE_RETAINED, topic, &key, &value, err);
    if (rc)
        return rc;
    const char *why = value_retained_decode(key, value, &retained);
    if (why)
        return tables_damaged(err, TABLE_RETAINED, key, why);
    if (!span_equal(retained.topic, topic))
        return string_differs(TABLE_RETAINED, key, err);
    *ret_retained = retained;
    return 0;
}

struct will_walk {
    store_will_fn *fn;
    void *user;
};

static int will_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct will_walk *walk = user;
    struct will will;
    const char *why = value_will_decode(key, value, &will);
    if (why)
        return tables_damaged(err, TABLE_WILLS, key, why);
    return walk->fn(walk->user, &will);
}

int store_each_will(struct store_view *view, store_will_fn *fn, void *user, struct store_error *err)
{
    struct will_walk walk = {fn, user};
    return view_walk(view, TABLE_WILLS, will_entry, &walk, err);
}

int store_get_will(struct store_view *view, struct span client_id, struct will *ret_will,
                   struct store_error *err)
{
    struct span key;
    struct span value;
    struct will will;
    int rc = table_get_string(view, TABLE_WILLS, client_id, &key, &value, err);
    if (rc)
        return rc;
    const char *why = value_will_decode(key, value, &will);
    if (why)
        return tables_damaged(err, TABLE_WILLS, key, why);
    if (!span_equal(will.client_id, client_id))
        return string_differs(TABLE_WILLS, key, err);
    *ret_will = will;
    return 0;
}

// ---- dictionaries --------------------------------------------------------------------------

struct dictionary_walk {
    const struct tables_state *state;
    store_dictionary_fn *fn;
    void *user;
};

static int dictionary_entry(void *user, struct span key, struct span value, struct store_error *err)
{
    struct dictionary_walk *walk = user;
    struct dictionary dictionary;
    const char *why = value_dictionary_decode(key, value, &dictionary);
    if (why)
        return tables_damaged(err, TABLE_DICTIONARIES, key, why);
    struct store_dictionary shown = {.id = dictionary.id,
                                     .bytes = dictionary.bytes.len,
                                     .in_use = dictionary.id == walk->state->dictionary,
                                     .trained_ms = dictionary.trained_ms,
                                     .samples = dictionary.samples,
                                     .trial_bytes = dictionary.trial_bytes,
                                     .before_bytes = dictionary.before_bytes,
                                     .after_bytes = dictionary.after_bytes};
    for (unsigned i = 0; i < walk->state->use_count; i++) {
        const struct dictionary_use *use = &walk->state->uses[i];
        if (use->id != dictionary.id)
            continue;
        shown.messages = use->messages;
        shown.content_bytes = use->content_bytes;
        shown.stored_bytes = use->stored_bytes;
    }
    return walk->fn(walk->user, &shown);
}

int store_each_dictionary(struct store_view *view, store_dictionary_fn *fn, void *user,
                          struct store_error *err)
{
    struct tables_state state;
    struct dictionary_walk walk = {&state, fn, user};
    int rc = meta_read_state(view->tables, view->txn, &state, err);
    return rc ? rc : view_walk(view, TABLE_DICTIONARIES, dictionary_entry, &walk, err);
}

// ---- checking ------------------------------------------------------------------------------

static int check_session(void *user, struct span key, struct span value, struct store_error *err)
{
    struct session session;
    const char *why = value_session_decode(key, value, &session);
    (void)user;
    return why ? tables_damaged(err, TABLE_SESSIONS, key, why) : 0;
}

static int check_subscription(void *user, struct span key, struct span value,
                              struct store_error *err)
{
    struct subscription subscription;
    uint64_t session;
    const char *why = value_subscription_decode(key, value, &session, &subscription);
    (void)user;
    return why ? tables_damaged(err, TABLE_SUBSCRIPTIONS, key, why) : 0;
}

static int check_message(void *user, struct span key, struct span value, struct store_error *err)
{
    struct stored_message stored;
    const char *why = value_message_decode(key, value, &stored);
    (void)user;
    return why ? tables_damaged(err, TABLE_MESSAGES, key, why) : 0;
}

static int check_queued(void *user, struct span key, struct span value, struct store_error *err)
{
    struct queued queued;
    uint64_t session;
    const char *why = value_queued_decode(key, value, &session, &queued);
    (void)user;
    return why ? tables_damaged(err, TABLE_QUEUE, key, why) : 0;
}

static int check_retained(void *user, struct span key, struct span value, struct store_error *err)
{
    struct retained retained;
    const char *why = value_retained_decode(key, value, &retained);
    (void)user;
    return why ? tables_damaged(err, TABLE_RETAINED, key, why) : 0;
}

static int check_will(void *user, struct span key, struct span value, struct store_error *err)
{
    struct will will;
    const char *why = value_will_decode(key, value, &will);
    (void)user;
    return why ? tables_damaged(err, TABLE_WILLS, key, why) : 0;
}

static int check_dictionary(void *user, struct span key, struct span value, struct store_error *err)
{
    struct dictionary dictionary;
    const char *why = value_dictionary_decode(key, value, &dictionary);
    (void)user;
    return why ? tables_damaged(err, TABLE_DICTIONARIES, key, why) : 0;
}

int tables_check(struct tables *tables, struct store_error *err)
{
    static const struct {
        enum table table;
        view_entry_fn *check;
    } checks[] = {
        {TABLE_SESSIONS, check_session},        {TABLE_SUBSCRIPTIONS, check_subscription},
        {TABLE_MESSAGES, check_message},        {TABLE_QUEUE, check_queued},
        {TABLE_RETAINED, check_retained},       {TABLE_WILLS, check_will},
        {TABLE_DICTIONARIES, check_dictionary},
    };
    struct store_view *view = NULL;
    int rc = tables_view_open(&view, tables, err);
    for (size_t i = 0; rc == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
        rc = view_walk(view, checks[i].table, checks[i].check, NULL, err);
    store_view_close(view);
    return rc;
}
