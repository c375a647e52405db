// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A mosquitto.db of version 2 to 6, chunk by chunk. What the broker makes of it stands in its
// persist_read.c: so do we, but a file that is cut or holds what cannot be is refused, not read as
// far as it goes.
#include "import.h"
#include "mosquitto_db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

// Where the topic of a message lies: a retained chunk only has the message's number.
struct topic_place {
    uint64_t store_id;
    uint64_t offset;
    uint16_t len;
};

struct db_file {
    struct import *import;
    FILE *file;
    uint64_t bytes;  // of the file
    uint64_t offset; // of the next byte
    uint64_t chunk;  // where the chunk at hand begins
    struct mosquitto_db db;
    uint8_t *buffer; // the chunk at hand
    size_t capacity;
    bool cfg_seen;
    struct topic_place *topics;
    size_t topics_count;
    size_t topics_capacity;
    bool topics_sorted;
    struct text topic;
    uint64_t implied;  // sessions that have no chunk
    uint64_t misnamed; // sessions with what is not their user name
};

static int refuse(const struct db_file *file, struct store_error *err, const char *problem)
{
    return error_set(err, STORE_EINVAL, "%s: damaged at byte %" PRIu64 ": %s", file->import->name,
                     file->chunk, problem);
}

static int read_failed(const struct db_file *file, struct store_error *err)
{
    return error_set_errno(err, errno ? errno : EIO, "cannot read %s", file->import->name);
}

// Reads exactly `len` bytes, which the caller has held against the file's end.
static int read_bytes(struct db_file *file, void *data, size_t len, struct store_error *err)
{
    errno = 0;
    if (fread(data, 1, len, file->file) == len) {
        file->offset += len;
        return 0;
    }
    if (ferror(file->file))
        return read_failed(file, err);
    return refuse(file, err, "the file has become shorter");
}

static int seek_to(struct db_file *file, uint64_t offset, struct store_error *err)
{
    if (fseeko(file->file, (off_t)offset, SEEK_SET) != 0)
        return read_failed(file, err);
    file->offset = offset;
    return 0;
}

// ---- topics of retained messages -----------------------------------------------------------

static void topic_remember(struct db_file *file, const struct message *message)
{
    if (file->topics_count == file->topics_capacity) {
        file->topics_capacity = file->topics_capacity ? file->topics_capacity * 2 : 256;
        file->topics = xrealloc(file->topics, file->topics_capacity * sizeof(*file->topics));
    }
    const uint8_t *topic = message->topic.data;
    file->topics[file->topics_count++] = (struct topic_place){
        .store_id = message->store_id,
        .offset = file->chunk + mosquitto_db_chunk_header_bytes(&file->db) +
                  (uint64_t)(topic - file->buffer),
        .len = (uint16_t)message->topic.len,
    };
    file->topics_sorted = false;
}

static int by_store_id(const void *a, const void *b)
{
    uint64_t x = ((const struct topic_place *)a)->store_id;
    uint64_t y = ((const struct topic_place *)b)->store_id;
    return (x > y) - (x < y);
}

// Fills in the topic of a retained message. It stays absent if there is no such message.
static int topic_find(struct db_file *file, struct retained *retained, struct store_error *err)
{
    struct topic_place key = {.store_id = retained->store_id};
    uint64_t behind = file->offset;
    if (!file->topics_sorted && file->topics_count)
        qsort(file->topics, file->topics_count, sizeof(*file->topics), by_store_id);
    file->topics_sorted = true;
    const struct topic_place *place = NULL;
    if (file->topics_count)
        place = bsearch(&key, file->topics, file->topics_count, sizeof(key), by_store_id);
    if (!place)
        return 0;
    text_clear(&file->topic);
    char *room = text_room(&file->topic, place->len);
    int rc = seek_to(file, place->offset, err);
    if (rc == 0)
        rc = read_bytes(file, room, place->len, err);
    if (rc == 0)
        rc = seek_to(file, behind, err);
    retained->topic = span_of(room, place->len);
    return rc;
}

// ---- chunks --------------------------------------------------------------------------------

// A session may be known only by what is its own: the earliest brokers wrote no chunk for it, and
// later ones write none for some bridges. The broker makes one then.
static int session_imply(struct db_file *file, struct span client_id, struct store_error *err)
{
    if (!client_id.len || import_has_session(file->import, client_id))
        return 0;
    struct event event = {.type = RECORD_SESSION_ADD};
    event.session = (struct session){
        .client_id = client_id,
        .session_expiry_interval = SESSION_EXPIRY_NEVER,
        .max_qos = 2,
        .retain_available = true,
    };
    file->implied++;
    return import_take(file->import, ENTRY_SESSION, &event, err);
}

// Mosquitto 2.0 does not clear the length of the user name between two clients, and swaps its
// bytes each time: for a client that has none it writes the name of one before, a zero byte, and
// what lies in memory behind.
static int take_session(struct db_file *file, struct event *event, struct store_error *err)
{
    struct span *username = &event->session.username;
    if (username->len && memchr(username->data, '\0', username->len)) {
        *username = (struct span){NULL, 0};
        file->misnamed++;
    }
    return import_take(file->import, ENTRY_SESSION, event, err);
}

static int take_chunk(struct db_file *file, uint32_t type, struct span chunk,
                      struct store_error *err)
{
    struct import *import = file->import;
    struct event event;
    int rc = 0;
    const char *problem = mosquitto_db_chunk(&file->db, type, chunk, &event);
    if (problem)
        return refuse(file, err, problem);
    switch (type) {
    case MOSQUITTO_DB_MESSAGE:
        if (event.message.topic.len)
            topic_remember(file, &event.message);
        return import_take(import, ENTRY_MESSAGE, &event, err);
    case MOSQUITTO_DB_QUEUED:
        rc = session_imply(file, event.queued.client_id, err);
        return rc ? rc : import_take(import, ENTRY_QUEUED, &event, err);
    case MOSQUITTO_DB_RETAINED:
        rc = topic_find(file, &event.retained, err);
        return rc ? rc : import_take(import, ENTRY_RETAINED, &event, err);
    case MOSQUITTO_DB_SUBSCRIPTION:
        rc = session_imply(file, event.subscription.client_id, err);
        return rc ? rc : import_take(import, ENTRY_SUBSCRIPTION, &event, err);
    default:
        return take_session(file, &event, err);
    }
}

static int take_cfg(struct db_file *file, struct span chunk, struct store_error *err)
{
    const char *problem = file->cfg_seen ? "a second cfg chunk" : NULL;
    if (!problem)
        problem = mosquitto_db_cfg(&file->db, chunk);
    file->cfg_seen = true;
    return problem ? refuse(file, err, problem) : 0;
}

static int read_chunk(struct db_file *file, uint32_t type, uint32_t bytes, struct store_error *err)
{
    if (bytes > MOSQUITTO_DB_CHUNK_MAX_BYTES)
        return refuse(file, err, "a chunk is larger than any broker writes");
    if (bytes > file->capacity || !file->buffer) {
        free(file->buffer);
        file->capacity = bytes < 4096 ? 4096 : bytes;
        file->buffer = xmalloc(file->capacity);
    }
    int rc = read_bytes(file, file->buffer, bytes, err);
    if (rc)
        return rc;
    struct span chunk = span_of(file->buffer, bytes);
    if (type == MOSQUITTO_DB_CFG)
        return take_cfg(file, chunk, err);
    if (!file->cfg_seen)
        return refuse(file, err, "the cfg chunk is not the first");
    return take_chunk(file, type, chunk, err);
}

// The broker passes over a chunk that it does not know. So do we, but it is a loss.
static int skip_chunk(struct db_file *file, uint32_t type, uint32_t bytes, struct store_error *err)
{
    import_lose_part(file->import, ENTRY_STORE, "no version that is known has such chunks",
                     "a chunk of type %" PRIu32 " and %" PRIu32 " bytes at byte %" PRIu64, type,
                     bytes, file->chunk);
    return seek_to(file, file->offset + bytes, err);
}

static int next_chunk(struct db_file *file, struct store_error *err)
{
    uint8_t header[MOSQUITTO_DB_CHUNK_HEADER_MAX];
    size_t header_bytes = mosquitto_db_chunk_header_bytes(&file->db);
    uint32_t type, bytes;
    file->chunk = file->offset;
    if (file->bytes - file->offset < header_bytes)
        return refuse(file, err, "the file ends within a chunk");
    int rc = read_bytes(file, header, header_bytes, err);
    if (rc)
        return rc;
    mosquitto_db_chunk_header(&file->db, header, &type, &bytes);
    if (bytes > file->bytes - file->offset)
        return refuse(file, err, "the file ends within a chunk");
    if (type < MOSQUITTO_DB_CFG || type > MOSQUITTO_DB_SESSION)
        return skip_chunk(file, type, bytes, err);
    return read_chunk(file, type, bytes, err);
}

// ---- the file ------------------------------------------------------------------------------

static int read_header(struct db_file *file, struct store_error *err)
{
    struct import *import = file->import;
    uint8_t header[MOSQUITTO_DB_HEADER_BYTES];
    if (fseeko(file->file, 0, SEEK_END) != 0)
        return error_set(err, STORE_EINVAL,
                         "%s: a mosquitto.db can only be read from a file, not from a pipe",
                         import->name);
    off_t bytes = ftello(file->file);
    if (bytes < 0)
        return read_failed(file, err);
    file->bytes = (uint64_t)bytes;
    int rc = seek_to(file, 0, err);
    if (rc)
        return rc;
    if (file->bytes < sizeof(header))
        return refuse(file, err, "the file ends within its header");
    rc = read_bytes(file, header, sizeof(header), err);
    if (rc)
        return rc;
    const char *problem = mosquitto_db_header(header, &file->db);
    if (problem)
        return error_set(err, STORE_EINVAL, "%s: %s", import->name, problem);
    if (file->db.version < MOSQUITTO_DB_OLDEST || file->db.version > MOSQUITTO_DB_NEWEST)
        return error_set(err, STORE_EINVAL,
                         "%s: a mosquitto.db of version %" PRIu32
                         ", of which nothing is known; versions %u to %u can be read",
                         import->name, file->db.version, MOSQUITTO_DB_OLDEST, MOSQUITTO_DB_NEWEST);
    snprintf(import->format_text, sizeof(import->format_text), "mosquitto.db version %u",
             (unsigned)file->db.version);
    import->format = import->format_text;
    return 0;
}

static void add_notes(const struct db_file *file)
{
    if (file->implied)
        import_note(file->import,
                    "%" PRIu64 " of the sessions have no entry of their own in the file; they were "
                    "made for the subscriptions and messages that are theirs, as the broker does",
                    file->implied);
    if (file->misnamed)
        import_note(file->import,
                    "for %" PRIu64 " of the sessions the file has another session's user name and "
                    "what lay in memory behind it, as Mosquitto 2.0 writes for clients that have "
                    "none; they have none now, but others may have kept such a name: session show "
                    "--users tells",
                    file->misnamed);
}

int import_mosquitto_db(struct import *import, FILE *input, struct store_error *err)
{
    struct db_file file = {.import = import, .file = input};
    int rc = read_header(&file, err);
    while (rc == 0 && file.offset < file.bytes)
        rc = next_chunk(&file, err);
    if (rc == 0 && !file.cfg_seen)
        rc = refuse(&file, err, "the file ends before its first chunk");
    if (rc == 0)
        add_notes(&file);
    free(file.buffer);
    free(file.topics);
    text_release(&file.topic);
    return rc;
}
