// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Reading the journal beside its writer: records of any size, places where none begins, segments
// that do not go on where the one before ended.
#include "store/segment.h"
#include "store/store.h"
#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT 65536u

static char *folder;
static struct store *store, *reader;
static struct store_error err;

static struct store *open_as(enum store_access access)
{
    struct store_options options = {.path = folder,
                                    .access = access,
                                    .create = access == STORE_READ_WRITE,
                                    .commit_interval_ms = 3600 * 1000,
                                    .journal_segment_bytes = SEGMENT,
                                    .holder = "test_cursor"};
    struct store *opened = NULL;
    ck_assert_msg(store_open(&opened, &options, &err) == 0, "%s", err.sentence);
    return opened;
}

static void setup(void)
{
    folder = folder_make();
    store = open_as(STORE_READ_WRITE);
    reader = open_as(STORE_READ_ONLY);
}

static void teardown(void)
{
    store_close(reader, false, NULL);
    store_close(store, false, NULL);
    folder_remove(folder);
}

static void append(uint64_t id, size_t bytes)
{
    static uint8_t payload[1u << 20];
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = id, .payload = span_of(payload, bytes)}};
    ck_assert_uint_le(bytes, sizeof(payload));
    ck_assert_msg(store_append(store, &event, &err) == 0, "%s", err.sentence);
}

static uint64_t journal_end_now(void)
{
    struct store_stats stats;
    ck_assert_int_eq(store_stats(store, &stats, &err), 0);
    return stats.journal_end;
}

// How many messages a cursor gives, and with what it ends.
static unsigned messages_from(uint64_t from, int *ret_rc)
{
    struct store_cursor *cursor = NULL;
    struct event event;
    uint64_t position;
    unsigned count = 0;
    ck_assert_msg(store_cursor_open(&cursor, reader, from, &err) == 0, "%s", err.sentence);
    while ((*ret_rc = store_cursor_next(cursor, &event, &position, &err)) == 1)
        count += event.type == RECORD_MESSAGE_ADD;
    store_cursor_close(cursor);
    return count;
}

static const char *segment_path(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    return path_in(folder, name);
}

START_TEST(records_of_any_size_are_read)
{
    static const size_t sizes[] = {0, 1, 40000, 65400, 70000, 1u << 20, 5};
    enum { COUNT = sizeof(sizes) / sizeof(sizes[0]) };
    int rc;
    for (unsigned i = 0; i < COUNT; i++)
        append(i + 1, sizes[i]);
    ck_assert_uint_eq(messages_from(0, &rc), COUNT);
    ck_assert_int_eq(rc, 0);
}
END_TEST

START_TEST(a_place_where_no_record_begins_is_refused)
{
    static const uint64_t offsets[] = {8, SEGMENT_HEADER_BYTES + 1, SEGMENT};
    struct store_cursor *cursor = NULL;
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        ck_assert_int_eq(store_cursor_open(&cursor, reader, position_of(1, offsets[i]), &err),
                         STORE_EINVAL);
        ck_assert_ptr_nonnull(strstr(err.sentence, "is not the position of a record"));
        ck_assert_ptr_null(cursor);
    }
}
END_TEST

START_TEST(a_journal_without_segments_is_told)
{
    struct store_cursor *cursor = NULL;
    for (uint64_t number = 1; number < 10; number++)
        unlink(segment_path(number));
    ck_assert_int_eq(store_cursor_open(&cursor, reader, 0, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "the journal holds no segment");
}
END_TEST

START_TEST(a_stated_length_beyond_the_segment_is_no_record)
{
    static const uint8_t word[8] = {0xff, 0xff, 0xff, 0x7f, 9, 0, 1, 2};
    int rc;
    append(1, 10);
    file_overwrite(segment_path(1), position_offset(journal_end_now()), word, sizeof(word));
    ck_assert_uint_eq(messages_from(0, &rc), 1);
    ck_assert_int_eq(rc, 0);
}
END_TEST

// Puts a record that checks where only a bug could.
static void first_record_forge(uint64_t number, uint8_t type, const void *body, size_t body_bytes)
{
    uint8_t frame[256] = {0};
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    FILE *file = fopen(segment_path(number), "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(block, sizeof(block), 1, file), 1);
    fclose(file);
    ck_assert_int_eq(segment_header_decode(block, &header, &err), 0);
    memcpy(frame + FRAME_HEADER_BYTES, body, body_bytes);
    frame_seal(frame, type, body_bytes, header.salt, position_of(number, SEGMENT_HEADER_BYTES), 0);
    file_overwrite(segment_path(number), SEGMENT_HEADER_BYTES, frame,
                   frame_total_bytes(body_bytes) + FRAME_TERMINATOR_BYTES);
}

START_TEST(a_segment_that_does_not_go_on_is_not_followed)
{
    static const uint8_t nothing[16];
    unsigned in_first = 0;
    int rc;
    for (uint64_t i = 1; position_segment(journal_end_now()) == 1; i++, in_first++)
        append(i, 1000);
    in_first--; // the last one is in the second
    ck_assert_uint_eq(messages_from(0, &rc), in_first + 1);
    first_record_forge(2, RECORD_SEGMENT_LINK, nothing, 16); // of another end
    ck_assert_uint_eq(messages_from(0, &rc), in_first);
    ck_assert_int_eq(rc, 0);
    first_record_forge(2, RECORD_SEGMENT_LINK, nothing, 8); // does not decode
    ck_assert_uint_eq(messages_from(0, &rc), in_first);
    first_record_forge(2, RECORD_LOOP_MARK, nothing, 0);
    ck_assert_uint_eq(messages_from(0, &rc), in_first);
    file_overwrite(segment_path(2), SEGMENT_HEADER_BYTES, nothing, 16);
    ck_assert_uint_eq(messages_from(0, &rc), in_first);
    ck_assert_int_eq(rc, 0);
}
END_TEST

// In the middle of a record, of which the beginning was read.
START_TEST(a_file_that_becomes_shorter_is_damage)
{
    struct store_cursor *cursor = NULL;
    struct event event;
    uint64_t position = 0;
    append(1, 10);
    append(2, 200000);
    uint64_t number = position_segment(journal_end_now());
    store_close(store, false, NULL);
    store = NULL;
    ck_assert_int_eq(store_cursor_open(&cursor, reader, 0, &err), 0);
    while (position_segment(position) != number)
        ck_assert_int_eq(store_cursor_next(cursor, &event, &position, &err), 1);
    ck_assert_int_eq(event.type, RECORD_SEGMENT_LINK);
    ck_assert_int_eq(truncate(segment_path(number), 100000), 0);
    ck_assert_int_eq(store_cursor_next(cursor, &event, &position, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "became shorter while it was read"));
    store_cursor_close(cursor);
}
END_TEST

static int count_records(void *user, const struct store_segment *segment)
{
    *(uint64_t *)user += segment->records;
    return 0;
}

START_TEST(marks_are_not_counted_as_records)
{
    uint64_t records = 0;
    append(1, 10);
    append(2, 10);
    store_tick(store);
    ck_assert_int_eq(store_close(store, true, &err), 0);
    store = NULL;
    ck_assert_int_eq(store_each_segment(reader, count_records, &records, &err), 0);
    ck_assert_uint_eq(records, 2);
}
END_TEST

struct seen {
    char text[512];
    uint64_t unlink_after; // the segment behind this one goes once this one was told
};

static int segment_see(void *user, const struct store_segment *segment)
{
    struct seen *seen = user;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof(seen->text) - len, "%llu %s, ",
             (unsigned long long)segment->number, segment->state);
    if (segment->number == seen->unlink_after)
        ck_assert_int_eq(unlink(segment_path(segment->number + 1)), 0);
    return 0;
}

static const char *segments_seen(uint64_t unlink_after, int expected_rc)
{
    static struct seen seen;
    seen = (struct seen){.unlink_after = unlink_after};
    err = (struct store_error){0};
    int rc = store_each_segment(reader, segment_see, &seen, &err);
    ck_assert_msg(rc == expected_rc, "%d: %s", rc, err.sentence);
    return seen.text;
}

START_TEST(a_list_tells_what_each_segment_is)
{
    for (uint64_t id = 1; id <= 8; id++)
        append(id, SEGMENT / 3);
    ck_assert_int_eq(store_close(store, false, NULL), 0);
    store = NULL;
    const char *live = "1 live, 2 live, 3 live, 4 live, ";
    ck_assert_msg(strncmp(segments_seen(0, 0), live, strlen(live)) == 0, "%s", segments_seen(0, 0));
    file_flip_bit(segment_path(3), 20, 1);
    ck_assert_ptr_nonnull(strstr(segments_seen(0, 0), "2 live, 3 damaged, 4 live, "));
    file_flip_bit(segment_path(3), 20, 1);
    // One that a broker has recycled meanwhile is not missed.
    ck_assert_ptr_nonnull(strstr(segments_seen(1, 0), "1 live, 3 live, "));
    // One that is in order, and that the system does not give us, is not called damaged.
    ck_assert_int_eq(chmod(segment_path(3), 0644), 0);
    ck_assert_str_eq(segments_seen(0, STORE_EUNSAFE), "1 live, ");
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000003.log has mode 0644"));
    ck_assert_int_eq(store_each_segment(reader, segment_see, &(struct seen){0}, NULL),
                     STORE_EUNSAFE);
}
END_TEST

START_TEST(a_damaged_segment_that_the_tables_hold_is_nobodys_loss)
{
    for (uint64_t id = 1; id <= 8; id++)
        append(id, SEGMENT / 3);
    ck_assert_int_eq(store_flush(store, NULL), 0);
    ck_assert_int_eq(store_close(store, true, NULL), 0);
    store = NULL;
    // What a crash may leave: a file in front of what is needed, on its way to be recycled.
    const char *before = segments_seen(0, 0);
    uint64_t first = strtoull(before, NULL, 10);
    ck_assert_uint_gt(first, 1);
    ck_assert_int_eq(link(segment_path(first), segment_path(first - 1)), 0);
    ck_assert_int_eq(unlink(segment_path(first)), 0);
    char expected[64];
    snprintf(expected, sizeof(expected), "%llu covered, ", (unsigned long long)first - 1);
    ck_assert_ptr_nonnull(strstr(segments_seen(0, 0), expected));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cursor");
    TCase *cases = tcase_create("cursor");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, records_of_any_size_are_read);
    tcase_add_test(cases, a_place_where_no_record_begins_is_refused);
    tcase_add_test(cases, a_journal_without_segments_is_told);
    tcase_add_test(cases, a_stated_length_beyond_the_segment_is_no_record);
    tcase_add_test(cases, a_segment_that_does_not_go_on_is_not_followed);
    tcase_add_test(cases, a_file_that_becomes_shorter_is_damage);
    tcase_add_test(cases, marks_are_not_counted_as_records);
    tcase_add_test(cases, a_list_tells_what_each_segment_is);
    tcase_add_test(cases, a_damaged_segment_that_the_tables_hold_is_nobodys_loss);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
