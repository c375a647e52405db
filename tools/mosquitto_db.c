// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "mosquitto_db.h"

#include "store/properties_wire.h"

#define PAYLOAD_MAX_BYTES 268435455u
#define STATE_MAX QUEUE_STATE_QUEUED
#define STORE_ID_BYTES 8u
// Beyond it JSON could not give a time back; a real one is far below.
#define TIME_MAX (INT64_C(1) << 53)

// What is left of a chunk. The first problem stays; after it everything reads as zero.
struct reader {
    const struct mosquitto_db *db;
    const uint8_t *at;
    size_t left;
    const char *problem;
};

static void reader_fail(struct reader *reader, const char *problem)
{
    if (!reader->problem)
        reader->problem = problem;
    reader->left = 0;
}

static void reader_check(struct reader *reader, bool good, const char *problem)
{
    if (!good)
        reader_fail(reader, problem);
}

static struct span take_bytes(struct reader *reader, size_t len)
{
    static const uint8_t nothing[1];
    if (len > reader->left) {
        reader_fail(reader, "it is shorter than what it must hold");
        return (struct span){nothing, 0};
    }
    struct span span = span_of(reader->at, len);
    reader->at += len;
    reader->left -= len;
    return span;
}

static uint64_t take_number(struct reader *reader, size_t bytes, bool big_endian)
{
    struct span span = take_bytes(reader, bytes);
    const uint8_t *src = span.data;
    uint64_t number = 0;
    for (size_t i = 0; i < span.len; i++)
        number = number << 8 | src[big_endian ? i : span.len - 1 - i];
    return number;
}

static uint8_t take_u8(struct reader *reader)
{
    return (uint8_t)take_number(reader, 1, true);
}

static uint16_t take_u16(struct reader *reader)
{
    return (uint16_t)take_number(reader, 2, true);
}

static uint32_t take_u32(struct reader *reader)
{
    return (uint32_t)take_number(reader, 4, true);
}

static uint64_t take_id(struct reader *reader)
{
    return take_number(reader, STORE_ID_BYTES, reader->db->big_endian);
}

static int64_t take_time(struct reader *reader)
{
    uint64_t time = take_number(reader, 8, reader->db->big_endian);
    reader_check(reader, time <= (uint64_t)TIME_MAX, "it holds a time that cannot be");
    return reader->problem ? 0 : (int64_t)time;
}

// The broker writes an absent string as an empty one.
static struct span take_string(struct reader *reader, size_t len)
{
    return len ? take_bytes(reader, len) : (struct span){NULL, 0};
}

static struct span take_long_string(struct reader *reader)
{
    return take_string(reader, take_u16(reader));
}

static uint8_t take_qos(struct reader *reader)
{
    uint8_t qos = take_u8(reader);
    reader_check(reader, qos <= 2, "its QoS is not 0, 1 or 2");
    return qos;
}

static struct span take_payload(struct reader *reader, uint32_t len)
{
    reader_check(reader, len <= PAYLOAD_MAX_BYTES, "its payload is larger than MQTT allows");
    return take_bytes(reader, len);
}

// All that is left: a length, and as many bytes of properties.
static struct span take_properties(struct reader *reader)
{
    uint32_t len = 0;
    uint8_t byte = 0x80;
    struct property property;
    uint32_t offset = 0;
    int rc;
    if (!reader->left)
        return (struct span){NULL, 0};
    for (unsigned shift = 0; shift < 28 && byte & 0x80; shift += 7) {
        byte = take_u8(reader);
        len |= (uint32_t)(byte & 0x7f) << shift;
    }
    reader_check(reader, !(byte & 0x80) && len == reader->left,
                 "the length of its properties does not fit");
    struct span properties = take_string(reader, reader->left);
    while ((rc = property_next(properties, &offset, &property, NULL)) > 0)
        continue;
    reader_check(reader, rc == 0, "its properties are not MQTT 5's");
    return properties;
}

static bool this_machine_is_big_endian(void)
{
    const uint16_t one = 1;
    return *(const uint8_t *)&one == 0;
}

// ---- header and cfg ------------------------------------------------------------------------

const char *mosquitto_db_header(const uint8_t header[MOSQUITTO_DB_HEADER_BYTES],
                                struct mosquitto_db *ret_db)
{
    if (memcmp(header, MOSQUITTO_DB_MAGIC, MOSQUITTO_DB_MAGIC_BYTES) != 0)
        return "it does not begin as a mosquitto.db does";
    const uint8_t *version = header + MOSQUITTO_DB_HEADER_BYTES - 4;
    *ret_db = (struct mosquitto_db){
        .version = (uint32_t)version[0] << 24 | (uint32_t)version[1] << 16 |
                   (uint32_t)version[2] << 8 | version[3],
        .big_endian = this_machine_is_big_endian(),
    };
    return NULL;
}

static bool is_struct(const struct mosquitto_db *db)
{
    return db->version >= 5;
}

size_t mosquitto_db_chunk_header_bytes(const struct mosquitto_db *db)
{
    return is_struct(db) ? 8 : 6;
}

void mosquitto_db_chunk_header(const struct mosquitto_db *db, const uint8_t *header,
                               uint32_t *ret_type, uint32_t *ret_bytes)
{
    struct reader reader = {.db = db, .at = header, .left = mosquitto_db_chunk_header_bytes(db)};
    *ret_type = is_struct(db) ? take_u32(&reader) : take_u16(&reader);
    *ret_bytes = take_u32(&reader);
}

// Ids count up from 1, or hold the time above 23 bits: their upper end is the one that is zero.
// When neither end tells, it is this machine's order.
static bool order_of_id(const uint8_t bytes[STORE_ID_BYTES], bool otherwise)
{
    bool first = bytes[0] != 0;
    bool last = bytes[STORE_ID_BYTES - 1] != 0;
    return first == last ? otherwise : last;
}

const char *mosquitto_db_cfg(struct mosquitto_db *db, struct span chunk)
{
    struct reader reader = {.db = db, .at = chunk.data, .left = chunk.len};
    uint8_t id_bytes;
    struct span id;
    if (is_struct(db)) {
        id = take_bytes(&reader, STORE_ID_BYTES);
        take_u8(&reader);
        id_bytes = take_u8(&reader);
        // The struct's end is filled up to a multiple of what 64-bit numbers lie at.
        db->filled = reader.left == 6;
        take_bytes(&reader, db->filled ? 6 : 2);
    } else {
        take_u8(&reader);
        id_bytes = take_u8(&reader);
        reader_check(&reader, id_bytes == STORE_ID_BYTES || reader.problem,
                     "its ids do not have 8 bytes: the broker was built in another way");
        id = take_bytes(&reader, STORE_ID_BYTES);
    }
    reader_check(&reader, id_bytes == STORE_ID_BYTES || reader.problem,
                 "its ids do not have 8 bytes: the broker was built in another way");
    reader_check(&reader, reader.left == 0 || reader.problem,
                 "it is longer than what it must hold");
    if (!reader.problem)
        db->big_endian = order_of_id(id.data, db->big_endian);
    return reader.problem;
}

// ---- chunks --------------------------------------------------------------------------------

static void read_message_v56(struct reader *reader, struct message *message)
{
    message->store_id = take_id(reader);
    message->expiry_time = take_time(reader);
    uint32_t payload_len = take_u32(reader);
    message->source_mid = take_u16(reader);
    uint16_t source_id_len = take_u16(reader);
    uint16_t source_username_len = take_u16(reader);
    uint16_t topic_len = take_u16(reader);
    message->source_port = take_u16(reader);
    message->qos = take_qos(reader);
    message->retain = take_u8(reader) != 0;
    message->source_id = take_string(reader, source_id_len);
    message->source_username = take_string(reader, source_username_len);
    message->topic = take_string(reader, topic_len);
    message->payload = take_payload(reader, payload_len);
    message->properties = take_properties(reader);
}

static void read_message_v234(struct reader *reader, struct message *message)
{
    message->store_id = take_id(reader);
    message->source_id = take_long_string(reader);
    if (reader->db->version == 4) {
        message->source_username = take_long_string(reader);
        message->source_port = take_u16(reader);
    }
    message->source_mid = take_u16(reader);
    take_u16(reader); // the packet id of nobody
    message->topic = take_long_string(reader);
    message->qos = take_qos(reader);
    message->retain = take_u8(reader) != 0;
    message->payload = take_payload(reader, take_u32(reader));
}

static void queued_check(struct reader *reader, const struct queued *queued)
{
    reader_check(reader, queued->direction <= QUEUE_OUT, "its direction is not in or out");
    reader_check(reader, queued->state <= STATE_MAX, "its state is not one of the broker's");
}

static uint32_t subscription_identifier(struct span properties)
{
    struct property property;
    uint32_t offset = 0;
    uint32_t identifier = 0;
    while (property_next(properties, &offset, &property, NULL) > 0) {
        if (strcmp(property.type->name, "subscription-identifier") == 0)
            identifier = property.number;
    }
    return identifier;
}

static void read_queued_v56(struct reader *reader, struct queued *queued)
{
    queued->store_id = take_id(reader);
    queued->mid = take_u16(reader);
    uint16_t id_len = take_u16(reader);
    queued->qos = take_qos(reader);
    queued->state = take_u8(reader);
    uint8_t retain_dup = take_u8(reader);
    queued->retain = retain_dup >> 4;
    queued->dup = (retain_dup & 0x0f) != 0;
    queued->direction = take_u8(reader);
    queued->client_id = take_string(reader, id_len);
    queued->subscription_identifier = subscription_identifier(take_properties(reader));
    queued_check(reader, queued);
}

static void read_queued_v234(struct reader *reader, struct queued *queued)
{
    queued->client_id = take_long_string(reader);
    queued->store_id = take_id(reader);
    queued->mid = take_u16(reader);
    queued->qos = take_qos(reader);
    queued->retain = take_u8(reader) != 0;
    queued->direction = take_u8(reader);
    queued->state = take_u8(reader);
    queued->dup = take_u8(reader) != 0;
    queued_check(reader, queued);
}

static void read_retained(struct reader *reader, struct retained *retained)
{
    retained->store_id = take_id(reader);
}

static void read_subscription_v56(struct reader *reader, struct subscription *subscription)
{
    subscription->identifier = take_u32(reader);
    uint16_t id_len = take_u16(reader);
    uint16_t filter_len = take_u16(reader);
    uint8_t qos = take_qos(reader);
    subscription->options = qos | take_u8(reader);
    take_bytes(reader, 2); // the struct's end
    subscription->client_id = take_string(reader, id_len);
    subscription->topic_filter = take_string(reader, filter_len);
}

static void read_subscription_v234(struct reader *reader, struct subscription *subscription)
{
    subscription->client_id = take_long_string(reader);
    subscription->topic_filter = take_long_string(reader);
    subscription->options = take_qos(reader);
}

static void read_session_v56(struct reader *reader, struct session *session)
{
    uint16_t username_len = 0;
    session->session_expiry_time = take_time(reader);
    session->session_expiry_interval = take_u32(reader);
    take_u16(reader); // the last packet id: the broker goes on from the last one in the queue
    uint16_t id_len = take_u16(reader);
    if (reader->db->version == 6) {
        session->listener_port = take_u16(reader);
        username_len = take_u16(reader);
        take_bytes(reader, reader->db->filled ? 4 : 0);
    }
    session->client_id = take_string(reader, id_len);
    session->username = take_string(reader, username_len);
}

// Before MQTT 5 a session that is kept did not expire. From version 3 on it says since when the
// client is away, as a time_t of 4 or 8 bytes.
static void read_session_v234(struct reader *reader, struct session *session)
{
    session->session_expiry_interval = SESSION_EXPIRY_NEVER;
    session->client_id = take_long_string(reader);
    take_u16(reader);
    if (reader->db->version == 2)
        return;
    size_t bytes = reader->left == 4 ? 4 : 8;
    uint64_t time = take_number(reader, bytes, reader->db->big_endian);
    reader_check(reader, time <= (uint64_t)TIME_MAX / 1000, "it holds a time that cannot be");
    if (!reader->problem)
        session->changed_time_ms = (int64_t)time * 1000;
}

const char *mosquitto_db_chunk(const struct mosquitto_db *db, uint32_t type, struct span chunk,
                               struct event *ret_event)
{
    struct reader reader = {.db = db, .at = chunk.data, .left = chunk.len};
    bool v56 = is_struct(db);
    *ret_event = (struct event){0};
    switch (type) {
    case MOSQUITTO_DB_MESSAGE:
        ret_event->type = RECORD_MESSAGE_ADD;
        (v56 ? read_message_v56 : read_message_v234)(&reader, &ret_event->message);
        break;
    case MOSQUITTO_DB_QUEUED:
        ret_event->type = RECORD_QUEUE_ADD;
        (v56 ? read_queued_v56 : read_queued_v234)(&reader, &ret_event->queued);
        break;
    case MOSQUITTO_DB_RETAINED:
        ret_event->type = RECORD_RETAINED_SET;
        read_retained(&reader, &ret_event->retained);
        break;
    case MOSQUITTO_DB_SUBSCRIPTION:
        ret_event->type = RECORD_SUBSCRIPTION_ADD;
        (v56 ? read_subscription_v56 : read_subscription_v234)(&reader, &ret_event->subscription);
        break;
    case MOSQUITTO_DB_SESSION:
        ret_event->type = RECORD_SESSION_ADD;
        // What the file does not say is as the broker makes it.
        ret_event->session = (struct session){.max_qos = 2, .retain_available = true};
        (v56 ? read_session_v56 : read_session_v234)(&reader, &ret_event->session);
        break;
    default:
        return "its type is not known";
    }
    reader_check(&reader, reader.left == 0 || reader.problem,
                 "it is longer than what it must hold");
    return reader.problem;
}
