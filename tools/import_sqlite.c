// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A file of Mosquitto's persist-sqlite plugin, schema 0.9 (which has no version in it), 1.0 or 1.1.
//
// The plugin declares topics and the publisher's names as STRING, which SQLite takes for a number:
// what looks like one came back changed ("007" as 7), and nobody can tell.
#include "escape.h"
#include "import.h"
#include "sqlite_properties.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// Where SQLite locks a file of its own, whoever has it open (its file format, "locking").
#define SQLITE_LOCKS_START 0x40000000
#define SQLITE_LOCKS_BYTES 512

#define VARINT_MAX 268435455

struct source {
    struct import *import;
    sqlite3 *db;
    sqlite3_stmt *row;
    struct text properties;
    const char *problem;  // of the row at hand, the first one
    uint64_t like_number; // strings that SQLite has made numbers of
    bool has_identifiers; // of subscriptions, in the queue
    bool has_wills;
};

// What SQLite says may hold names out of the file.
static int said(const struct source *source, const char *words, struct store_error *err)
{
    struct text shown = {0};
    escape_add(&shown, span_str(words ? words : "nothing"));
    int rc =
        error_set(err, STORE_EINVAL, "%s: SQLite says: %.400s", source->import->name, shown.data);
    text_release(&shown);
    return rc;
}

static int failed(const struct source *source, struct store_error *err)
{
    return said(source, sqlite3_errmsg(source->db), err);
}

// ---- columns of the row at hand ------------------------------------------------------------

static struct span column_string(struct source *source, int column)
{
    int type = sqlite3_column_type(source->row, column);
    if (type == SQLITE_NULL)
        return (struct span){NULL, 0};
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        source->like_number++;
    const void *data = sqlite3_column_text(source->row, column);
    return span_of(data ? data : "", (size_t)sqlite3_column_bytes(source->row, column));
}

static struct span column_blob(struct source *source, int column)
{
    const void *data = sqlite3_column_blob(source->row, column);
    return span_of(data ? data : "", (size_t)sqlite3_column_bytes(source->row, column));
}

static int64_t column_number(struct source *source, int column, int64_t least, int64_t most)
{
    int64_t number = sqlite3_column_int64(source->row, column);
    if (number >= least && number <= most)
        return number;
    if (!source->problem)
        source->problem = "one of its numbers is out of range";
    return least;
}

static uint8_t column_u8(struct source *source, int column, uint8_t most)
{
    return (uint8_t)column_number(source, column, 0, most);
}

static uint16_t column_u16(struct source *source, int column)
{
    return (uint16_t)column_number(source, column, 0, UINT16_MAX);
}

// The plugin writes an unsigned number as a signed one of 32 bits.
static uint32_t column_u32(struct source *source, int column)
{
    return (uint32_t)column_number(source, column, INT32_MIN, UINT32_MAX);
}

static int64_t column_time(struct source *source, int column)
{
    return column_number(source, column, 0, INT64_C(1) << 53);
}

static uint64_t column_id(struct source *source, int column)
{
    return (uint64_t)sqlite3_column_int64(source->row, column);
}

static void lose_part(struct source *source, enum entry_type type, const char *why, uint64_t id,
                      struct span topic)
{
    struct text what = {0};
    if (id)
        text_addf(&what, "message %" PRIu64 ", ", id);
    text_adds(&what, "topic ");
    escape_add_quoted(&what, topic);
    import_lose_part(source->import, type, why, "%s", what.data);
    text_release(&what);
}

// Properties that cannot be read are left out: the plugin does the same, and the message is there.
static struct span column_properties(struct source *source, int column, enum entry_type type,
                                     uint64_t id, struct span topic)
{
    if (sqlite3_column_type(source->row, column) == SQLITE_NULL)
        return (struct span){NULL, 0};
    struct span json = column_blob(source, column);
    text_clear(&source->properties);
    const char *why = sqlite_properties_read(&source->properties, json.data, json.len);
    if (why)
        lose_part(source, type, why, id, topic);
    if (!source->properties.len)
        return (struct span){NULL, 0};
    return span_of(source->properties.data, source->properties.len);
}

// ---- rows ----------------------------------------------------------------------------------

static void read_session(struct source *source, struct event *event)
{
    event->type = RECORD_SESSION_ADD;
    event->session = (struct session){
        .client_id = column_string(source, 0),
        .username = column_string(source, 1),
        .will_delay_time = column_time(source, 2),
        .session_expiry_time = column_time(source, 3),
        .listener_port = column_u16(source, 4),
        .max_packet_size = column_u32(source, 5),
        .max_qos = column_u8(source, 6, 2),
        .retain_available = sqlite3_column_int(source->row, 7) != 0,
        .session_expiry_interval = column_u32(source, 8),
        .will_delay_interval = column_u32(source, 9),
    };
}

static void read_subscription(struct source *source, struct event *event)
{
    event->type = RECORD_SUBSCRIPTION_ADD;
    event->subscription = (struct subscription){
        .client_id = column_string(source, 0),
        .topic_filter = column_string(source, 1),
        .options = column_u8(source, 2, UINT8_MAX),
        .identifier = (uint32_t)column_number(source, 3, 0, VARINT_MAX),
    };
}

static void read_message(struct source *source, struct event *event)
{
    struct span topic = column_string(source, 2);
    uint64_t id = column_id(source, 0);
    event->type = RECORD_MESSAGE_ADD;
    event->message = (struct message){
        .store_id = id,
        .expiry_time = column_time(source, 1),
        .topic = topic,
        .payload = column_blob(source, 3),
        .source_id = column_string(source, 4),
        .source_username = column_string(source, 5),
        .source_mid = column_u16(source, 7),
        .source_port = column_u16(source, 8),
        .qos = column_u8(source, 9, 2),
        .retain = sqlite3_column_int(source->row, 10) != 0,
        .properties = column_properties(source, 11, ENTRY_MESSAGE, id, topic),
    };
    if (sqlite3_column_int64(source->row, 6) != event->message.payload.len)
        lose_part(source, ENTRY_MESSAGE, "its payload does not have the length that the file says",
                  id, topic);
}

static void read_queued(struct source *source, struct event *event)
{
    event->type = RECORD_QUEUE_ADD;
    event->queued = (struct queued){
        .client_id = column_string(source, 0),
        .store_id = column_id(source, 1),
        .dup = sqlite3_column_int(source->row, 2) != 0,
        .direction = column_u8(source, 3, QUEUE_OUT),
        .mid = column_u16(source, 4),
        .qos = column_u8(source, 5, 2),
        .retain = sqlite3_column_int(source->row, 6) != 0,
        .state = column_u8(source, 7, QUEUE_STATE_QUEUED),
        .subscription_identifier = (uint32_t)column_number(source, 8, 0, VARINT_MAX),
    };
}

static void read_retained(struct source *source, struct event *event)
{
    uint64_t like_number = source->like_number;
    event->type = RECORD_RETAINED_SET;
    event->retained = (struct retained){
        .topic = column_string(source, 0),
        .store_id = column_id(source, 1),
    };
    source->like_number = like_number; // the message's topic was counted
}

static void read_will(struct source *source, struct event *event)
{
    struct span topic = column_string(source, 1);
    event->type = RECORD_WILL_SET;
    event->will = (struct will){
        .client_id = column_string(source, 0),
        .topic = topic,
        .payload = column_blob(source, 2),
        .qos = column_u8(source, 3, 2),
        .retain = sqlite3_column_int(source->row, 4) != 0,
        .properties = column_properties(source, 5, ENTRY_WILL, 0, topic),
    };
}

// The plugin restores a queue in the order of the rows.
static const struct table {
    enum entry_type type;
    const char *query;
    void (*read)(struct source *source, struct event *event);
} tables[] = {
    {ENTRY_SESSION,
     "SELECT client_id, username, will_delay_time, session_expiry_time, listener_port, "
     "max_packet_size, max_qos, retain_available, session_expiry_interval, will_delay_interval "
     "FROM clients ORDER BY rowid",
     read_session},
    {ENTRY_SUBSCRIPTION,
     "SELECT client_id, topic, subscription_options, subscription_identifier FROM subscriptions "
     "ORDER BY rowid",
     read_subscription},
    {ENTRY_MESSAGE,
     "SELECT store_id, expiry_time, topic, payload, source_id, source_username, payloadlen, "
     "source_mid, source_port, qos, retain, properties FROM base_msgs ORDER BY rowid",
     read_message},
    {ENTRY_QUEUED,
     "SELECT client_id, store_id, dup, direction, mid, qos, retain, state, "
     "subscription_identifier FROM client_msgs ORDER BY rowid",
     read_queued},
    {ENTRY_RETAINED, "SELECT topic, store_id FROM retains ORDER BY rowid", read_retained},
    {ENTRY_WILL,
     "SELECT client_id, topic, payload, qos, retain, properties FROM wills ORDER BY rowid",
     read_will},
};

static const char queue_query_0_9[] = "SELECT client_id, store_id, dup, direction, mid, qos, "
                                      "retain, state, 0 FROM client_msgs ORDER BY rowid";

static int take_row(struct source *source, const struct table *table, struct store_error *err)
{
    struct event event = {0};
    source->problem = NULL;
    table->read(source, &event);
    if (!source->problem)
        return import_take(source->import, table->type, &event, err);
    import_lose(source->import, table->type, source->problem, "row %" PRIu64,
                source->import->in[table->type] + 1);
    return 0;
}

static int take_table(struct source *source, const struct table *table, struct store_error *err)
{
    bool old_queue = table->type == ENTRY_QUEUED && !source->has_identifiers;
    const char *query = old_queue ? queue_query_0_9 : table->query;
    if (sqlite3_prepare_v2(source->db, query, -1, &source->row, NULL) != SQLITE_OK)
        return failed(source, err);
    int rc = 0;
    int step;
    while (rc == 0 && (step = sqlite3_step(source->row)) == SQLITE_ROW)
        rc = take_row(source, table, err);
    if (rc == 0 && step != SQLITE_DONE)
        rc = failed(source, err);
    sqlite3_finalize(source->row);
    source->row = NULL;
    return rc;
}

// ---- opening -------------------------------------------------------------------------------

// The first column of a query's first row as a number, `otherwise` if there is no row.
static int query_number(struct source *source, const char *query, int64_t otherwise,
                        int64_t *ret_number, struct store_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(source->db, query, -1, &row, NULL);
    int step = rc == SQLITE_OK ? sqlite3_step(row) : rc;
    *ret_number = step == SQLITE_ROW ? sqlite3_column_int64(row, 0) : otherwise;
    rc = step == SQLITE_ROW || step == SQLITE_DONE ? 0 : failed(source, err);
    sqlite3_finalize(row);
    return rc;
}

static int look_at_schema(struct source *source, struct store_error *err)
{
    struct import *import = source->import;
    int64_t ours, versioned, identifiers, wills;
    int64_t major = 0;
    int64_t minor = 9;
    int rc;
    if ((rc = query_number(source,
                           "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN "
                           "('clients', 'subscriptions', 'base_msgs', 'client_msgs', 'retains')",
                           0, &ours, err)) ||
        (rc = query_number(source,
                           "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND "
                           "name = 'version_info'",
                           0, &versioned, err)) ||
        (rc = query_number(source,
                           "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND "
                           "name = 'wills'",
                           0, &wills, err)) ||
        (rc = query_number(source,
                           "SELECT count(*) FROM pragma_table_info('client_msgs') WHERE "
                           "name = 'subscription_identifier'",
                           0, &identifiers, err)))
        return rc;
    if (ours != 5)
        return error_set(err, STORE_EINVAL,
                         "%s: an SQLite file, but not of the persist-sqlite "
                         "plugin: its tables are not there",
                         import->name);
    if (versioned &&
        ((rc = query_number(source,
                            "SELECT major FROM version_info WHERE component = 'database_schema'", 0,
                            &major, err)) ||
         (rc = query_number(source,
                            "SELECT minor FROM version_info WHERE component = 'database_schema'", 9,
                            &minor, err))))
        return rc;
    bool known = (major == 0 && minor == 9) || (major == 1 && (minor == 0 || minor == 1));
    if (!known)
        return error_set(err, STORE_EINVAL,
                         "%s: a file of the persist-sqlite plugin with schema %" PRId64 ".%" PRId64
                         ", which is not known; 0.9 to 1.1 can be read",
                         import->name, major, minor);
    source->has_identifiers = identifiers != 0;
    source->has_wills = wills != 0;
    snprintf(import->format_text, sizeof(import->format_text), "persist-sqlite schema %d.%d",
             (int)major, (int)minor);
    import->format = import->format_text;
    return 0;
}

static int check_damage(struct source *source, struct store_error *err)
{
    sqlite3_stmt *row = NULL;
    int rc = 0;
    if (sqlite3_prepare_v2(source->db, "PRAGMA quick_check(1)", -1, &row, NULL) != SQLITE_OK ||
        sqlite3_step(row) != SQLITE_ROW) {
        rc = failed(source, err);
    } else {
        // A headline may come first.
        const char *words = (const char *)sqlite3_column_text(row, 0);
        const char *line = words ? strchr(words, '\n') : NULL;
        if (!words || strcmp(words, "ok") != 0) {
            rc = said(source, line ? line + 1 : words, err);
            error_prefix(err, "damaged");
        }
    }
    sqlite3_finalize(row);
    return rc;
}

// A broker on it goes on writing, and what it has not committed is nowhere to be seen.
static int check_unused(const struct import *import, const char *path, struct store_error *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    lock.l_start = SQLITE_LOCKS_START;
    lock.l_len = SQLITE_LOCKS_BYTES;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot read %s as user %lu, the owner of the store",
                               import->name, (unsigned long)geteuid());
    int got = fcntl(fd, F_GETLK, &lock);
    close(fd);
    if (got == 0 && lock.l_type != F_UNLCK)
        return error_set(err, STORE_EHELD,
                         "%s is in use (by process %ld): stop the broker that has it first",
                         import->name, (long)lock.l_pid);
    return 0;
}

static bool wal_is_empty(const char *path)
{
    struct text name = {0};
    struct stat st;
    text_addf(&name, "%s-wal", path);
    bool empty = stat(name.data, &st) != 0 || st.st_size == 0;
    text_release(&name);
    return empty;
}

// Without a write-ahead log that is to be read too, the file is opened as one that nobody changes:
// SQLite then makes no files of its own beside it.
static int open_file(struct source *source, const char *path, struct store_error *err)
{
    static const char digits[] = "0123456789ABCDEF";
    struct text uri = {0};
    text_adds(&uri, "file:");
    for (const char *at = path; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c != '%' && c != '?' && c != '#') {
            text_addc(&uri, *at);
            continue;
        }
        text_addc(&uri, '%');
        text_addc(&uri, digits[c >> 4]);
        text_addc(&uri, digits[c & 15]);
    }
    text_adds(&uri, wal_is_empty(path) ? "?immutable=1" : "?mode=ro");
    int rc = 0;
    if (sqlite3_open_v2(uri.data, &source->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) !=
            SQLITE_OK ||
        sqlite3_exec(source->db, "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN",
                     NULL, NULL, NULL) != SQLITE_OK)
        rc = source->db ? failed(source, err) : error_set(err, STORE_ENOMEM, "out of memory");
    text_release(&uri);
    return rc;
}

static void add_notes(struct source *source)
{
    struct import *import = source->import;
    if (source->like_number)
        import_note(import,
                    "%" PRIu64 " topics, client ids or user names of publishers look like numbers; "
                    "persist-sqlite changes such strings when it stores them (\"007\" becomes "
                    "\"7\"), and what they were cannot be known",
                    source->like_number);
    if (import->out[ENTRY_WILL])
        import_note(import,
                    "persist-sqlite also keeps wills of clients that left in good order; the "
                    "broker will publish all %" PRIu64 " when it starts, as with persist-sqlite",
                    import->out[ENTRY_WILL]);
    if (import->expired_sessions)
        import_note(import, "persist-sqlite does not notice that a client has come back: sessions "
                            "that have expired by this file may have been connected");
}

int import_sqlite(struct import *import, const char *path, struct store_error *err)
{
    struct source source = {.import = import};
    char *real = realpath(path, NULL);
    int rc = real ? check_unused(import, real, err)
                  : error_set_errno(err, errno, "cannot read %s", import->name);
    if (rc == 0)
        rc = open_file(&source, real, err);
    if (rc == 0)
        rc = check_damage(&source, err);
    if (rc == 0)
        rc = look_at_schema(&source, err);
    for (size_t i = 0; rc == 0 && i < sizeof(tables) / sizeof(tables[0]); i++) {
        if (tables[i].type != ENTRY_WILL || source.has_wills)
            rc = take_table(&source, &tables[i], err);
    }
    if (rc == 0)
        add_notes(&source);
    sqlite3_close(source.db);
    text_release(&source.properties);
    free(real);
    return rc;
}
