// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "payload.h"

#include <stdlib.h>
#include <string.h>

// The identity of a message: 4 hexadecimal digits of the publisher, 12 of the sequence number.
#define ID_DIGITS 16
#define IMAGE_BYTES_MIN 64

static const size_t id_offsets[PAYLOAD_KINDS] = {
    [PAYLOAD_JSON] = 7,
    [PAYLOAD_SPARKPLUG] = 9,
    [PAYLOAD_NUMBER] = 0,
    [PAYLOAD_IMAGE] = 24,
};

static const char json_template[] =
    "{\"id\":\"0000000000000000\",\"device\":\"sensor-0000\",\"ts\":1700000000000,"
    "\"temperature\":00.00,\"humidity\":00.0,\"pressure\":1000.0,\"battery\":3.00,\"rssi\":-00,"
    "\"uptime\":1000000,\"ok\":true,\"fw\":\"2.4.1-r12\",\"n\":1000}";
#define JSON_BYTES 200
// Where the digits of each member begin in the template; of the time all but the first three.
enum {
    JSON_AT_DEVICE = 42,
    JSON_AT_TIME = 56,
    JSON_AT_TEMPERATURE = 81,
    JSON_AT_HUMIDITY = 98,
    JSON_AT_PRESSURE = 114,
    JSON_AT_BATTERY = 131,
    JSON_AT_RSSI = 144,
    JSON_AT_UPTIME = 156,
    JSON_AT_N = 195,
};
_Static_assert(sizeof json_template - 1 == JSON_BYTES, "the JSON payload is 200 bytes");

static const uint8_t jpeg_header[] = {0xff, 0xd8, 0xff, 0xe0, 0x00, 0x10, 'J',  'F',
                                      'I',  'F',  0x00, 0x01, 0x01, 0x01, 0x00, 0x48,
                                      0,    0x48, 0x00, 0x00, 0xff, 0xfe, 0x00, 0x12};
_Static_assert(sizeof jpeg_header == 24, "the comment's text stands right behind the header");

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t seed_of(uint32_t publisher, uint64_t seq)
{
    return mix((uint64_t)publisher << 48 ^ seq);
}

static void hex_write(uint8_t *dst, unsigned digits, uint64_t value)
{
    for (unsigned i = digits; i-- > 0; value >>= 4)
        dst[i] = (uint8_t) "0123456789abcdef"[value & 15];
}

static bool hex_read(const uint8_t *src, unsigned digits, uint64_t *ret)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < digits; i++) {
        unsigned digit;
        if (src[i] >= '0' && src[i] <= '9')
            digit = (unsigned)(src[i] - '0');
        else if (src[i] >= 'a' && src[i] <= 'f')
            digit = (unsigned)(src[i] - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret = value;
    return true;
}

static void id_write(uint8_t *dst, uint32_t publisher, uint64_t seq)
{
    hex_write(dst, 4, publisher);
    hex_write(dst + 4, 12, seq);
}

static void decimal_write(char *dst, unsigned digits, uint64_t value)
{
    for (unsigned i = digits; i-- > 0; value /= 10)
        dst[i] = (char)('0' + value % 10);
}

// Writes "II.F…" over a field of the template.
static void fixed_write(char *dst, unsigned whole, unsigned fraction, uint64_t value)
{
    uint64_t scale = 1;
    for (unsigned i = 0; i < fraction; i++)
        scale *= 10;
    decimal_write(dst, whole, value / scale);
    decimal_write(dst + whole + 1, fraction, value % scale);
}

// A reading has its device's own level and a little noise: what compresses in real telemetry
// (names, levels) compresses here, what does not (noise, times) does not.
static void json_write(uint8_t *dst, uint32_t publisher, uint64_t seq)
{
    char *text = (char *)dst;
    uint64_t noise = seed_of(publisher, seq);
    uint64_t device = (seq % 100) + 100 * (publisher % 100);
    uint64_t level = mix(device);
    memcpy(text, json_template, JSON_BYTES);
    id_write(dst + id_offsets[PAYLOAD_JSON], publisher, seq);
    decimal_write(text + JSON_AT_DEVICE, 4, device);
    decimal_write(text + JSON_AT_TIME, 10, seq * 37 + noise % 37);
    fixed_write(text + JSON_AT_TEMPERATURE, 2, 2, 1500 + level % 2000 + noise % 100);
    fixed_write(text + JSON_AT_HUMIDITY, 2, 1, 300 + level / 2000 % 400 + (noise >> 8) % 20);
    fixed_write(text + JSON_AT_PRESSURE, 4, 1, 10000 + level / 800000 % 200 + (noise >> 16) % 10);
    fixed_write(text + JSON_AT_BATTERY, 1, 2, 320 + level % 60 + (noise >> 24) % 3);
    decimal_write(text + JSON_AT_RSSI, 2, 40 + level % 40 + (noise >> 32) % 10);
    decimal_write(text + JSON_AT_UPTIME, 7, 1000000 + (seq / 100 * 4 + level % 900000) % 9000000);
    decimal_write(text + JSON_AT_N, 4, 1000 + seq / 100 % 9000);
}

// The metrics of a Sparkplug B payload: Payload.metrics is field 2, and within a metric name is 1,
// timestamp 3, datatype 4, int 10, float 12, double 13, boolean 14.
enum metric_type { METRIC_INT, METRIC_FLOAT, METRIC_DOUBLE, METRIC_BOOLEAN };
static const struct {
    uint8_t tag;
    uint8_t datatype;
    uint8_t value_bytes;
} metric_types[] = {
    [METRIC_INT] = {0x50, 3, 3},
    [METRIC_FLOAT] = {0x65, 9, 4},
    [METRIC_DOUBLE] = {0x69, 10, 8},
    [METRIC_BOOLEAN] = {0x70, 11, 1},
};
static const struct {
    const char *name;
    enum metric_type type;
} metrics[] = {
    {"Inputs/Temperature", METRIC_DOUBLE}, {"Inputs/Pressure", METRIC_FLOAT},
    {"Inputs/Flow", METRIC_FLOAT},         {"Outputs/Speed", METRIC_INT},
    {"Outputs/Running", METRIC_BOOLEAN},   {"Properties/Cycles", METRIC_INT},
};
#define METRICS (sizeof metrics / sizeof metrics[0])
#define TIME_BYTES 6

static uint8_t *varint_write(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, value >>= 7)
        *at++ = (uint8_t)((value & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
    return at;
}

static size_t metric_bytes(size_t i)
{
    return 2 + strlen(metrics[i].name) + 1 + TIME_BYTES + 2 + 1 +
           metric_types[metrics[i].type].value_bytes;
}

static uint8_t *little_endian_write(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> (8 * i));
    return at;
}

static uint8_t *metric_value_write(uint8_t *at, enum metric_type type, uint64_t level,
                                   uint64_t noise)
{
    double reading = 20.0 + (double)(level % 1000) / 10.0 + (double)(noise % 100) / 100.0;
    float reading_float = (float)reading;
    uint64_t bits = 0;
    uint32_t bits_float = 0;
    switch (type) {
    case METRIC_INT:
        return varint_write(at, 20000 + level % 100000 + noise % 100, 3);
    case METRIC_FLOAT:
        memcpy(&bits_float, &reading_float, sizeof bits_float);
        return little_endian_write(at, bits_float, 4);
    case METRIC_DOUBLE:
        memcpy(&bits, &reading, sizeof bits);
        return little_endian_write(at, bits, 8);
    case METRIC_BOOLEAN:
    default:
        return varint_write(at, noise % 8 != 0, 1);
    }
}

static size_t sparkplug_size(void)
{
    size_t size = 1 + TIME_BYTES + 2 + ID_DIGITS + 2;
    for (size_t i = 0; i < METRICS; i++)
        size += 2 + metric_bytes(i);
    return size;
}

static void sparkplug_write(uint8_t *dst, uint32_t publisher, uint64_t seq)
{
    uint64_t noise = seed_of(publisher, seq);
    uint64_t time_ms = 1700000000000u + seq * 37 + noise % 37;
    uint8_t *at = dst;
    *at++ = 0x08;
    at = varint_write(at, time_ms, TIME_BYTES);
    *at++ = 0x22;
    *at++ = ID_DIGITS;
    id_write(at, publisher, seq);
    at += ID_DIGITS;
    for (size_t i = 0; i < METRICS; i++) {
        size_t name_len = strlen(metrics[i].name);
        *at++ = 0x12;
        *at++ = (uint8_t)metric_bytes(i);
        *at++ = 0x0a;
        *at++ = (uint8_t)name_len;
        memcpy(at, metrics[i].name, name_len);
        at += name_len;
        *at++ = 0x18;
        at = varint_write(at, time_ms, TIME_BYTES);
        *at++ = 0x20;
        *at++ = metric_types[metrics[i].type].datatype;
        *at++ = metric_types[metrics[i].type].tag;
        at = metric_value_write(at, metrics[i].type, mix(publisher * 16 + i), noise >> (8 * i));
    }
    *at++ = 0x18;
    varint_write(at, seq % 128, 1);
}

// "21.57": four to six bytes.
static size_t number_write(uint8_t *dst, uint32_t publisher, uint64_t seq)
{
    uint64_t value = mix(publisher * 100 + seq % 100) % 12000 + seed_of(publisher, seq) % 100;
    unsigned whole = value >= 10000 ? 3 : value >= 1000 ? 2 : 1;
    dst[whole] = '.';
    fixed_write((char *)dst, whole, 2, value);
    return whole + 3;
}

static void image_write(uint8_t *dst, size_t len, uint32_t publisher, uint64_t seq)
{
    memcpy(dst, jpeg_header, sizeof jpeg_header);
    id_write(dst + sizeof jpeg_header, publisher, seq);
    uint64_t state = seed_of(publisher, seq);
    for (size_t at = sizeof jpeg_header + ID_DIGITS; at < len; at += 8) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint64_t word = state ^ (state >> 29);
        uint8_t bytes[8];
        little_endian_write(bytes, word, 8);
        memcpy(dst + at, bytes, len - at < 8 ? len - at : 8);
    }
}

// ---- by kind

static const char *const kind_names[] = {
#define PAYLOAD_NAME(name, size, text, help) text,
    PAYLOADS(PAYLOAD_NAME)
#undef PAYLOAD_NAME
};

int payload_kind_from_name(const char *name)
{
    for (int i = 0; i < PAYLOAD_KINDS; i++)
        if (strcmp(kind_names[i], name) == 0)
            return i;
    return -1;
}

const char *payload_kind_name(enum payload_kind kind)
{
    return kind_names[kind];
}

size_t payload_size(enum payload_kind kind, size_t image_bytes, uint32_t publisher, uint64_t seq)
{
    uint8_t number[8];
    switch (kind) {
    case PAYLOAD_JSON:
        return JSON_BYTES;
    case PAYLOAD_SPARKPLUG:
        return sparkplug_size();
    case PAYLOAD_NUMBER:
        return number_write(number, publisher, seq);
    case PAYLOAD_IMAGE:
    default:
        if (image_bytes == 0)
            return 1048576;
        return image_bytes < IMAGE_BYTES_MIN ? IMAGE_BYTES_MIN : image_bytes;
    }
}

void payload_write(enum payload_kind kind, uint8_t *dst, size_t len, uint32_t publisher,
                   uint64_t seq)
{
    switch (kind) {
    case PAYLOAD_JSON:
        json_write(dst, publisher, seq);
        break;
    case PAYLOAD_SPARKPLUG:
        sparkplug_write(dst, publisher, seq);
        break;
    case PAYLOAD_NUMBER:
        number_write(dst, publisher, seq);
        break;
    case PAYLOAD_IMAGE:
    default:
        image_write(dst, len, publisher, seq);
        break;
    }
}

bool payload_identify(enum payload_kind kind, const uint8_t *payload, size_t len,
                      uint32_t *ret_publisher, uint64_t *ret_seq)
{
    uint64_t publisher;
    if (kind == PAYLOAD_NUMBER || len < id_offsets[kind] + ID_DIGITS)
        return false;
    if (!hex_read(payload + id_offsets[kind], 4, &publisher) ||
        !hex_read(payload + id_offsets[kind] + 4, 12, ret_seq))
        return false;
    *ret_publisher = (uint32_t)publisher;
    return true;
}

bool payload_is_whole(enum payload_kind kind, const uint8_t *payload, size_t len,
                      uint32_t publisher, uint64_t seq)
{
    if (payload_size(kind, len, publisher, seq) != len)
        return false;
    uint8_t *expected = malloc(len);
    if (!expected)
        return false;
    payload_write(kind, expected, len, publisher, seq);
    bool same = memcmp(expected, payload, len) == 0;
    free(expected);
    return same;
}
