// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A mosquitto.db that is damaged in every place: cut, flipped, with lengths that are not true.
#include "import.h"
#include "mosquitto_db.h"
#include "support.h"

#include <check.h>
#include <stdlib.h>

#define CHUNKS_MAX 32

// A file in the making.
struct file {
    unsigned version;
    uint8_t data[2048];
    size_t len;
    size_t chunks[CHUNKS_MAX]; // where each begins
    size_t chunks_count;
};

static void put(struct file *file, const void *data, size_t len)
{
    ck_assert(file->len + len <= sizeof(file->data));
    memcpy(file->data + file->len, data, len);
    file->len += len;
}

static void put_big(struct file *file, uint64_t number, size_t bytes)
{
    while (bytes-- > 0) {
        uint8_t byte = (uint8_t)(number >> (8 * bytes));
        put(file, &byte, 1);
    }
}

static void put_little(struct file *file, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte = (uint8_t)(number >> (8 * i));
        put(file, &byte, 1);
    }
}

static void put_text(struct file *file, const char *text)
{
    put(file, text, strlen(text));
}

// As versions before 5 have it.
static void put_string(struct file *file, const char *text)
{
    put_big(file, strlen(text), 2);
    put_text(file, text);
}

static bool is_struct(const struct file *file)
{
    return file->version >= 5;
}

static void chunk_begin(struct file *file, unsigned type)
{
    ck_assert(file->chunks_count < CHUNKS_MAX);
    file->chunks[file->chunks_count++] = file->len;
    put_big(file, type, is_struct(file) ? 4 : 2);
    put_big(file, 0, 4);
}

static void chunk_end(struct file *file)
{
    size_t header = is_struct(file) ? 8 : 6;
    size_t start = file->chunks[file->chunks_count - 1] + header;
    size_t end = file->len;
    file->len = start - 4;
    put_big(file, end - start, 4);
    file->len = end;
}

static void put_cfg(struct file *file)
{
    chunk_begin(file, MOSQUITTO_DB_CFG);
    if (is_struct(file)) {
        put_little(file, 9, 8);
        put(file, "\1\x08\0\0\0\0\0\0", 8);
    } else {
        put(file, "\1\x08", 2);
        put_little(file, 9, 8);
    }
    chunk_end(file);
}

static void put_message(struct file *file, uint64_t number, const char *topic, const char *payload)
{
    static const char properties[] = "\x06\x01\x01\x03\0\1a";
    chunk_begin(file, MOSQUITTO_DB_MESSAGE);
    put_little(file, number, 8);
    if (is_struct(file)) {
        put_little(file, 4000000000, 8);
        put_big(file, strlen(payload), 4);
        put_big(file, 7, 2);
        put_big(file, 6, 2);
        put_big(file, 4, 2);
        put_big(file, strlen(topic), 2);
        put_big(file, 1883, 2);
        put(file, "\1\0", 2);
        put_text(file, "source");
        put_text(file, "user");
        put_text(file, topic);
        put_text(file, payload);
        put(file, properties, sizeof(properties) - 1);
    } else {
        put_string(file, "source");
        if (file->version == 4) {
            put_string(file, "user");
            put_big(file, 1883, 2);
        }
        put_big(file, 7, 2);
        put_big(file, 0, 2);
        put_string(file, topic);
        put(file, "\1\0", 2);
        put_big(file, strlen(payload), 4);
        put_text(file, payload);
    }
    chunk_end(file);
}

static void put_session(struct file *file, const char *client_id)
{
    chunk_begin(file, MOSQUITTO_DB_SESSION);
    if (is_struct(file)) {
        put_little(file, 4000000000, 8);
        put_big(file, 3600, 4);
        put_big(file, 3, 2);
        put_big(file, strlen(client_id), 2);
        if (file->version == 6)
            put(file, "\x07\x5b\0\4\0\0\0\0", 8);
        put_text(file, client_id);
        if (file->version == 6)
            put_text(file, "user");
    } else {
        put_string(file, client_id);
        put_big(file, 3, 2);
        if (file->version > 2)
            put_little(file, 1500000000, 8);
    }
    chunk_end(file);
}

static void put_queued(struct file *file, const char *client_id, uint64_t number)
{
    chunk_begin(file, MOSQUITTO_DB_QUEUED);
    if (is_struct(file)) {
        put_little(file, number, 8);
        put_big(file, 5, 2);
        put_big(file, strlen(client_id), 2);
        put(file, "\1\3\x11\1", 4);
        put_text(file, client_id);
        put(file, "\2\x0b\7", 3);
    } else {
        put_string(file, client_id);
        put_little(file, number, 8);
        put_big(file, 5, 2);
        put(file, "\1\0\1\3\1", 5);
    }
    chunk_end(file);
}

static void put_subscription(struct file *file, const char *client_id, const char *filter)
{
    chunk_begin(file, MOSQUITTO_DB_SUBSCRIPTION);
    if (is_struct(file)) {
        put_big(file, 7, 4);
        put_big(file, strlen(client_id), 2);
        put_big(file, strlen(filter), 2);
        put(file, "\1\4\0\0", 4);
        put_text(file, client_id);
        put_text(file, filter);
    } else {
        put_string(file, client_id);
        put_string(file, filter);
        put(file, "\1", 1);
    }
    chunk_end(file);
}

static void put_retained(struct file *file, uint64_t number)
{
    chunk_begin(file, MOSQUITTO_DB_RETAINED);
    put_little(file, number, 8);
    chunk_end(file);
}

static void file_make(struct file *file, unsigned version)
{
    *file = (struct file){.version = version};
    put(file, MOSQUITTO_DB_MAGIC, MOSQUITTO_DB_MAGIC_BYTES);
    put_big(file, 0, 4);
    put_big(file, version, 4);
    put_cfg(file);
    put_message(file, 5, "t/1", "payload");
    put_message(file, 9, "t/2", "");
    put_session(file, "one");
    put_queued(file, "one", 5);
    put_queued(file, "one", 9);
    put_session(file, "two");
    put_queued(file, "two", 9);
    put_subscription(file, "one", "t/#");
    put_subscription(file, "two", "+/2");
    put_retained(file, 9);
    put_retained(file, 5);
}

static const unsigned versions[] = {2, 3, 4, 5, 6};
#define VERSIONS (int)(sizeof(versions) / sizeof(versions[0]))

// A dry run over the bytes.
static int run(struct import *import, const uint8_t *data, size_t len, struct store_error *err)
{
    // fmemopen takes no empty buffer, and may write a zero behind the bytes.
    uint8_t *copy = malloc(len + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    FILE *input = fmemopen(copy, len ? len : 1, "rb");
    ck_assert_ptr_nonnull(input);
    *import = (struct import){.name = "a.db"};
    *err = (struct store_error){0};
    int rc = import_mosquitto_db(import, input, err);
    fclose(input);
    free(copy);
    return rc;
}

// Whatever was done to the file: it is refused with a sentence, or read with nothing lost in
// silence.
static void check_sane(const struct import *import, int rc, const struct store_error *err)
{
    bool short_of_some = false;
    for (unsigned type = 0; type < ENTRY_TYPES; type++) {
        ck_assert_uint_le(import->out[type], import->in[type]);
        short_of_some |= import->out[type] != import->in[type];
    }
    if (rc) {
        ck_assert_int_eq(rc, STORE_EINVAL);
        ck_assert_int_eq(err->code, STORE_EINVAL);
        ck_assert(strncmp(err->sentence, "a.db: ", 6) == 0);
    } else {
        ck_assert(!short_of_some || import->losses_count > 0);
    }
}

START_TEST(good)
{
    struct file file;
    struct import import;
    struct store_error err;
    file_make(&file, versions[_i]);
    int rc = run(&import, file.data, file.len, &err);
    ck_assert_msg(rc == 0, "version %u: %s", versions[_i], err.sentence);
    static const uint64_t expected[ENTRY_TYPES] = {
        [ENTRY_SESSION] = 2, [ENTRY_SUBSCRIPTION] = 2, [ENTRY_MESSAGE] = 2,
        [ENTRY_QUEUED] = 3,  [ENTRY_RETAINED] = 2,
    };
    for (unsigned type = 0; type < ENTRY_TYPES; type++) {
        ck_assert_uint_eq(import.in[type], expected[type]);
        ck_assert_uint_eq(import.out[type], expected[type]);
    }
    ck_assert_uint_eq(import.losses_count, 0);
    ck_assert_uint_eq(import.notes_count, 0);
    import_release(&import);
}
END_TEST

// A cut cannot be seen only where a chunk ends: the file does not say how many there are.
START_TEST(cut_at_every_byte)
{
    struct file file;
    struct import import;
    struct store_error err;
    file_make(&file, versions[_i]);
    for (size_t len = 1; len < file.len; len++) {
        bool between = false;
        for (size_t i = 1; i < file.chunks_count; i++)
            between |= file.chunks[i] == len;
        int rc = run(&import, file.data, len, &err);
        check_sane(&import, rc, &err);
        ck_assert_msg((rc == 0) == between, "version %u cut at %zu: %d %s", versions[_i], len, rc,
                      err.sentence);
        import_release(&import);
    }
}
END_TEST

START_TEST(every_bit_flipped)
{
    struct file file;
    struct import import;
    struct store_error err;
    unsigned refused = 0;
    file_make(&file, versions[_i]);
    for (size_t at = 0; at < file.len; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            file.data[at] ^= (uint8_t)(1u << bit);
            int rc = run(&import, file.data, file.len, &err);
            check_sane(&import, rc, &err);
            refused += rc != 0;
            import_release(&import);
            file.data[at] ^= (uint8_t)(1u << bit);
        }
    }
    // There is no checksum: text and numbers may be anything. But lengths, ids and the like may
    // not.
    ck_assert_uint_gt(refused, file.len * 8 / 4);
}
END_TEST

START_TEST(untrue_lengths)
{
    static const uint32_t lengths[] = {0, 0xffff, 0x7fffffff, 0xfffffff0};
    struct file file;
    struct import import;
    struct store_error err;
    uint8_t saved[4];
    file_make(&file, versions[_i]);
    for (size_t at = 0; at + 4 <= file.len; at++) {
        memcpy(saved, file.data + at, 4);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            size_t len = file.len;
            file.len = at;
            put_big(&file, lengths[i], 4);
            file.len = len;
            int rc = run(&import, file.data, file.len, &err);
            check_sane(&import, rc, &err);
            import_release(&import);
        }
        memcpy(file.data + at, saved, 4);
    }
}
END_TEST

START_TEST(random_damage)
{
    uint64_t seed = seed_choose();
    struct file file;
    struct import import;
    struct store_error err;
    for (unsigned round = 0; round < 5000; round++) {
        file_make(&file, versions[seed_next(&seed, VERSIONS)]);
        unsigned changes = 1 + seed_next(&seed, 8);
        for (unsigned i = 0; i < changes; i++)
            file.data[seed_next(&seed, (uint32_t)file.len)] = (uint8_t)seed_next(&seed, 256);
        int rc = run(&import, file.data, file.len - seed_next(&seed, 2) * 3, &err);
        check_sane(&import, rc, &err);
        import_release(&import);
    }
}
END_TEST

// Where a chunk of these versions may end early: a struct without its filling, before properties,
// with a time of 4 bytes.
static uint32_t enough_without_end(const struct mosquitto_db *db, uint32_t type, uint32_t bytes)
{
    bool v56 = db->version >= 5;
    if (type == MOSQUITTO_DB_CFG && v56)
        return bytes - 4;
    if (type == MOSQUITTO_DB_MESSAGE && v56)
        return bytes - 7;
    if (type == MOSQUITTO_DB_QUEUED && v56)
        return bytes - 3;
    if (type == MOSQUITTO_DB_SESSION && (db->version == 3 || db->version == 4))
        return bytes - 4;
    return bytes;
}

// Each chunk alone in memory of its own size, whole and cut: a sanitizer sees a byte too far.
START_TEST(chunks_alone)
{
    struct file file;
    file_make(&file, versions[_i]);
    struct mosquitto_db db, cut_db;
    ck_assert_ptr_null(mosquitto_db_header(file.data, &db));
    size_t header = mosquitto_db_chunk_header_bytes(&db);
    for (size_t i = 0; i < file.chunks_count; i++) {
        uint32_t type, bytes;
        const uint8_t *start = file.data + file.chunks[i];
        mosquitto_db_chunk_header(&db, start, &type, &bytes);
        for (uint32_t len = 0; len <= bytes; len++) {
            struct event event;
            uint8_t *copy = malloc(len ? len : 1);
            ck_assert_ptr_nonnull(copy);
            memcpy(copy, start + header, len);
            const char *problem;
            cut_db = db;
            if (type == MOSQUITTO_DB_CFG)
                problem = mosquitto_db_cfg(len == bytes ? &db : &cut_db, span_of(copy, len));
            else
                problem = mosquitto_db_chunk(&db, type, span_of(copy, len), &event);
            if (len == bytes)
                ck_assert_ptr_null(problem);
            else if (len != enough_without_end(&db, type, bytes))
                ck_assert_ptr_nonnull(problem);
            free(copy);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("import_mosquitto_db");
    TCase *tests = tcase_create("damage");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, good, 0, VERSIONS);
    tcase_add_loop_test(tests, cut_at_every_byte, 0, VERSIONS);
    tcase_add_loop_test(tests, every_bit_flipped, 0, VERSIONS);
    tcase_add_loop_test(tests, untrue_lengths, 0, VERSIONS);
    tcase_add_loop_test(tests, chunks_alone, 0, VERSIONS);
    tcase_add_test(tests, random_damage);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
