// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The table of verdicts: what recovery says to each thing that can be found behind the last good
// record. Each test names a condition and asserts the sentence.
#include "store/journal.h"
#include "store/journal_scan.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST position_of(1, SEGMENT_HEADER_BYTES)
#define RECORDS 40u

static const uint8_t store_id[16] = "0123456789abcdef";

static char *folder;
static struct os_dir *dir;
static uint64_t positions[RECORDS + 1]; // of each record, and the end

static void append_range(struct journal *journal, unsigned from, unsigned to)
{
    uint8_t payload[2000];
    for (unsigned i = from; i < to; i++) {
        struct store_error err = {0};
        memset(payload, (int)i, sizeof(payload));
        struct event event = {.type = RECORD_MESSAGE_ADD,
                              .message = {.store_id = i,
                                          .topic = span_str("topic"),
                                          .payload = span_of(payload, sizeof(payload))}};
        ck_assert_msg(journal_append(journal, &event, &err) == 0, "%s", err.sentence);
        positions[i + 1] = journal_end(journal);
    }
}

static const char *segment_path(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    return path_in(folder, name);
}

// A journal of RECORDS records in two segments, left as a killed process leaves it. Records before
// `durable` are known durable by those after them.
static void journal_make(unsigned durable)
{
    struct store_error err = {0};
    struct journal *journal = NULL;
    struct journal_options options = {.dir = dir,
                                      .life = 1,
                                      .next_number = 1,
                                      .link = {.previous_end = FIRST},
                                      .sync = STORE_SYNC_OS,
                                      .sync_interval_ms = 1000,
                                      .segment_bytes = SEGMENT_MIN_BYTES,
                                      .max_bytes = 16 * SEGMENT_MIN_BYTES};
    memcpy(options.store_id, store_id, 16);
    ck_assert_msg(journal_open(&journal, &options, &err) == 0, "%s", err.sentence);
    positions[0] = journal_end(journal);
    append_range(journal, 0, durable);
    if (durable)
        ck_assert_int_eq(journal_sync(journal, NULL), 0);
    append_range(journal, durable, RECORDS);
    // The keeper has the next segment ready sooner or later.
    while (access(segment_path(3), F_OK) != 0)
        usleep(1000);
    journal_close(journal);
    ck_assert_uint_eq(position_segment(positions[RECORDS]), 2);
}

static const char *record_path(unsigned record)
{
    return segment_path(position_segment(positions[record]));
}

static void setup(void)
{
    struct store_error err = {0};
    folder = folder_make();
    ck_assert_msg(os_dir_open(&dir, folder, 0, &err) == 0, "%s", err.sentence);
}

static void teardown(void)
{
    os_dir_close(dir);
    folder_remove(folder);
}

static void assert_ends_at(uint64_t from, unsigned record, bool torn)
{
    struct store_error err = {0};
    struct journal_extent extent;
    ck_assert_msg(journal_scan(dir, store_id, from, &extent, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(extent.end, positions[record]);
    ck_assert_int_eq(extent.torn_bytes != 0, torn);
}

static void assert_refused(int code, const char *words, const char *more)
{
    struct store_error err = {0};
    struct journal_extent extent;
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST, &extent, &err), code);
    ck_assert_msg(strstr(err.sentence, words) && strstr(err.sentence, more), "%s", err.sentence);
}

START_TEST(a_killed_process_leaves_a_clean_end)
{
    journal_make(0);
    assert_ends_at(FIRST, RECORDS, false);
    assert_ends_at(positions[7], RECORDS, false);
    assert_ends_at(positions[RECORDS], RECORDS, false);
}
END_TEST

START_TEST(the_last_record_is_torn)
{
    journal_make(0);
    file_flip_bit(record_path(RECORDS - 1), position_offset(positions[RECORDS - 1]) + 700, 3);
    assert_ends_at(FIRST, RECORDS - 1, true);
}
END_TEST

START_TEST(a_record_in_the_middle_is_lost_and_was_never_known_durable)
{
    // A power cut keeps any subset of what was not synced.
    journal_make(0);
    uint8_t zeros[512] = {0};
    file_overwrite(record_path(10), position_offset(positions[10]), zeros, sizeof(zeros));
    assert_ends_at(FIRST, 10, true);
}
END_TEST

START_TEST(a_record_that_was_durable_is_damaged)
{
    char where[64];
    journal_make(20);
    file_flip_bit(record_path(10), position_offset(positions[10]) + 100, 0);
    snprintf(where, sizeof(where), "0000000001.log: the record at offset %llu",
             (unsigned long long)position_offset(positions[10]));
    assert_refused(STORE_EDAMAGED, where, "repair");
}
END_TEST

START_TEST(only_later_records_of_the_segment_say_that_it_was_durable)
{
    journal_make(10);
    ck_assert_int_eq(unlink(segment_path(2)), 0);
    ck_assert_int_eq(unlink(segment_path(3)), 0);
    file_flip_bit(segment_path(1), position_offset(positions[5]) + 50, 1);
    assert_refused(STORE_EDAMAGED, "later records say that it was on the disk", "0000000001.log");
}
END_TEST

START_TEST(only_the_next_segment_says_that_it_was_durable)
{
    static const uint8_t zeros[SEGMENT_MIN_BYTES];
    journal_make(10);
    uint64_t offset = position_offset(positions[9]);
    file_overwrite(segment_path(1), offset, zeros, SEGMENT_MIN_BYTES - offset);
    assert_refused(STORE_EDAMAGED, "later records say that it was on the disk", "0000000001.log");
}
END_TEST

START_TEST(a_durable_record_is_wiped_to_zeros)
{
    uint8_t zeros[4096] = {0};
    journal_make(20);
    file_overwrite(record_path(10), position_offset(positions[10]), zeros, sizeof(zeros));
    assert_refused(STORE_EDAMAGED, "0000000001.log", "later records say that it was on the disk");
}
END_TEST

START_TEST(the_end_of_the_first_segment_is_lost_and_the_second_is_there)
{
    // Neither was known durable: a power cut between two syncs.
    journal_make(0);
    unsigned last_of_first = 0;
    while (position_segment(positions[last_of_first + 2]) == 1)
        last_of_first++;
    file_flip_bit(segment_path(1), position_offset(positions[last_of_first]) + 50, 1);
    assert_ends_at(FIRST, last_of_first, true);
}
END_TEST

START_TEST(a_segment_in_the_middle_is_missing)
{
    journal_make(0);
    ck_assert_int_eq(unlink(segment_path(2)), 0);
    // The third was prepared and never used; without the second nobody can tell.
    assert_refused(STORE_EDAMAGED, "0000000002.log is missing", "put it back");
}
END_TEST

START_TEST(the_first_segment_is_missing)
{
    journal_make(0);
    ck_assert_int_eq(unlink(segment_path(1)), 0);
    assert_refused(STORE_EDAMAGED, "0000000001.log is missing", "put it back");
}
END_TEST

START_TEST(a_segment_of_another_store_was_copied_here)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    journal_make(0);
    ck_assert_int_eq(segment_header_load(dir, 2, &header, NULL), 0);
    memcpy(header.store_id, "fedcba9876543210", 16);
    segment_header_encode(&header, block);
    file_overwrite(segment_path(2), 0, block, sizeof(block));
    struct store_error err = {0};
    struct journal_extent extent;
    int rc = journal_scan(dir, store_id, FIRST, &extent, &err);
    ck_assert_int_eq(rc, STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000002.log belongs to another store"));
}
END_TEST

START_TEST(a_segment_was_renamed)
{
    journal_make(0);
    file_copy(segment_path(1), segment_path(2));
    assert_refused(STORE_EDAMAGED, "0000000002.log", "this is segment 1");
}
END_TEST

START_TEST(a_segment_of_a_newer_format)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    journal_make(0);
    ck_assert_int_eq(segment_header_load(dir, 1, &header, NULL), 0);
    header.version = 7;
    header.incompat = 4;
    segment_header_encode(&header, block);
    file_overwrite(segment_path(1), 0, block, sizeof(block));
    assert_refused(STORE_EVERSION, "format 7", "knows format 1");
}
END_TEST

START_TEST(the_last_segment_was_being_made)
{
    // The header of the last file is bad and the one before ends cleanly.
    journal_make(0);
    uint64_t *numbers = NULL;
    size_t count = 0;
    ck_assert_int_eq(segment_list(dir, &numbers, &count, NULL), 0);
    file_flip_bit(segment_path(numbers[count - 1]), 50, 2);
    if (numbers[count - 1] > 2)
        assert_ends_at(FIRST, RECORDS, false);
    free(numbers);
}
END_TEST

START_TEST(the_header_of_the_last_segment_with_records_is_damaged)
{
    // No crash does that: a header is synced before the file gets its name.
    journal_make(20);
    uint64_t *numbers = NULL;
    size_t count = 0;
    ck_assert_int_eq(segment_list(dir, &numbers, &count, NULL), 0);
    for (size_t i = 2; i < count; i++)
        ck_assert_int_eq(unlink(segment_path(numbers[i])), 0);
    free(numbers);
    file_flip_bit(segment_path(2), 1000, 2);
    assert_refused(STORE_EDAMAGED, "0000000002.log", "header's checksum");
    file_flip_bit(segment_path(2), 1000, 2);
    file_flip_bit(segment_path(2), 3, 2);
    assert_refused(STORE_EFOREIGN, "0000000002.log", "not a journal segment");
}
END_TEST

START_TEST(the_header_of_a_needed_segment_is_damaged)
{
    journal_make(0);
    file_flip_bit(segment_path(1), 60, 2);
    assert_refused(STORE_EDAMAGED, "0000000001.log", "header");
}
END_TEST

START_TEST(the_file_was_cut)
{
    journal_make(0);
    ck_assert_int_eq(truncate(segment_path(1), 30000), 0);
    assert_refused(STORE_EDAMAGED, "0000000001.log: the file has 30000 bytes", "its header says");
    ck_assert_int_eq(truncate(segment_path(1), 1000), 0);
    assert_refused(STORE_EDAMAGED, "0000000001.log", "ends inside the segment header");
}
END_TEST

START_TEST(a_perfect_record_inside_a_payload_is_not_taken_for_one)
{
    // A publisher sends a whole frame of this very segment as payload; then the end is torn off in
    // front of it. It must not be found, for its position is not the one it was made for.
    journal_make(0);
    uint8_t frame[4096];
    FILE *file = fopen(segment_path(1), "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, (long)position_offset(positions[3]), SEEK_SET), 0);
    size_t len = (size_t)(positions[4] - positions[3]);
    ck_assert_uint_eq(fread(frame, 1, len, file), len);
    fclose(file);
    uint64_t end = position_offset(positions[RECORDS]);
    file_overwrite(segment_path(2), end + 64, frame, len);
    file_overwrite(segment_path(2), end, "x", 1);
    assert_ends_at(FIRST, RECORDS, true);
    // At the place behind the end where the next record would lie it is not one either.
    file_overwrite(segment_path(2), end, frame, len);
    assert_ends_at(FIRST, RECORDS, true);
}
END_TEST

START_TEST(the_tables_hold_more_than_the_file)
{
    static const uint64_t offsets[] = {100, SEGMENT_MIN_BYTES + 8};
    struct store_error err = {0};
    struct journal_extent extent;
    journal_make(0);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_int_eq(journal_scan(dir, store_id, position_of(1, offsets[i]), &extent, &err),
                         STORE_EDAMAGED);
        ck_assert_ptr_nonnull(strstr(err.sentence, "the file was replaced"));
    }
}
END_TEST

START_TEST(the_tables_hold_more_than_there_is)
{
    struct store_error err = {0};
    struct journal_extent extent;
    uint64_t records = 7, end = 7;
    // At the very end of a file nothing can be torn.
    uint64_t last = position_of(1, SEGMENT_MIN_BYTES);
    journal_make(0);
    ck_assert_int_eq(unlink(segment_path(2)), 0);
    ck_assert_int_eq(unlink(segment_path(3)), 0);
    ck_assert_msg(journal_scan(dir, store_id, last, &extent, &err) == 0, "%s", err.sentence);
    ck_assert(extent.end == last && extent.records == 0 && extent.torn_bytes == 0);
    // Behind it there is nothing to count or to cut.
    struct journal_cut found;
    uint64_t behind = position_of(1, SEGMENT_MIN_BYTES + 8);
    ck_assert_int_eq(journal_count(dir, store_id, behind, &records, &end, &err), 0);
    ck_assert(records == 0 && end == behind);
    ck_assert_int_eq(journal_cut_find(dir, store_id, behind, &found, &err), 0);
    ck_assert(found.extent.end == behind && found.bytes == 0 && found.records == 0);
    // Without any file, only a store that never had one is whole.
    ck_assert_int_eq(unlink(segment_path(1)), 0);
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST, &extent, &err), 0);
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST + 8, &extent, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000001.log is missing"));
}
END_TEST

// Of a record that was begun only its own length tells how much that is.
START_TEST(a_torn_record_may_state_any_length)
{
    static const struct {
        uint8_t word[8];
        uint64_t torn_bytes;
    } cases[] = {
        {{200, 0, 0, 0, 9, 0, 0xab, 0xcd}, 200},
        {{3, 0, 0, 0, 9, 0, 0xab, 0xcd}, SEGMENT_HEADER_BYTES},
        {{0xff, 0xff, 0xff, 0xff, 9, 0, 0xab, 0xcd}, SEGMENT_HEADER_BYTES},
    };
    struct store_error err = {0};
    struct journal_extent extent;
    journal_make(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        file_overwrite(segment_path(2), position_offset(positions[RECORDS]), cases[i].word, 8);
        ck_assert_msg(journal_scan(dir, store_id, FIRST, &extent, &err) == 0, "%s", err.sentence);
        ck_assert_uint_eq(extent.torn_bytes, cases[i].torn_bytes);
    }
}
END_TEST

// Neither damage nor another program's bytes in the first header keep a cut from being found; it
// takes the whole of that file.
START_TEST(a_cut_where_the_first_header_is_damaged)
{
    struct store_error err = {0};
    struct journal_cut found;
    journal_make(20);
    file_flip_bit(segment_path(1), _i ? 3 : 60, 2);
    ck_assert_msg(journal_cut_find(dir, store_id, FIRST, &found, &err) == 0, "%s", err.sentence);
    ck_assert_uint_eq(found.extent.end, FIRST);
    ck_assert_uint_eq(found.extent.records, 0);
    ck_assert_uint_ge(found.bytes, SEGMENT_MIN_BYTES);
    ck_assert_uint_gt(found.records, 0); // those of the second segment can be read
    ck_assert_uint_ge(found.extent.next_number, 4);
}
END_TEST

START_TEST(a_cut_is_not_looked_for_in_a_newer_journal)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    struct store_error err = {0};
    struct journal_cut found;
    journal_make(0);
    // Behind the end, and then in front.
    for (uint64_t number = 2; number > 0; number--) {
        ck_assert_int_eq(segment_header_load(dir, number, &header, NULL), 0);
        header.incompat = 4;
        segment_header_encode(&header, block);
        file_overwrite(segment_path(number), 0, block, sizeof(block));
        ck_assert_int_eq(journal_cut_find(dir, store_id, FIRST, &found, &err), STORE_EVERSION);
        ck_assert_int_eq(journal_cut_find(dir, store_id, FIRST, &found, NULL), STORE_EVERSION);
    }
}
END_TEST

static uint64_t segment_salt(uint64_t number)
{
    struct segment_header header;
    ck_assert_int_eq(segment_header_load(dir, number, &header, NULL), 0);
    return header.salt;
}

// Puts a record that checks where only a bug could.
static void record_forge(uint64_t number, uint64_t offset, uint8_t type, size_t body_bytes,
                         uint64_t durable)
{
    uint8_t frame[256] = {0};
    frame_seal(frame, type, body_bytes, segment_salt(number), position_of(number, offset), durable);
    file_overwrite(segment_path(number), offset, frame,
                   frame_total_bytes(body_bytes) + FRAME_TERMINATOR_BYTES);
}

static int count_event(void *user, const struct event *event, uint64_t position,
                       struct store_error *err)
{
    unsigned *left = user;
    (void)event;
    (void)position;
    return (*left)-- ? 0 : error_set(err, STORE_ENOSPC, "no more");
}

START_TEST(a_record_of_an_unknown_type_is_named)
{
    struct store_error err = {0};
    struct journal_extent extent;
    unsigned left = 1000;
    struct journal_reader reader = {.event = count_event, .user = &left};
    char words[128];
    journal_make(0);
    uint64_t offset = position_offset(positions[RECORDS]);
    record_forge(2, offset, 250, 8, 0);
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST, &extent, &err), 0);
    ck_assert_uint_gt(extent.end, positions[RECORDS]);
    ck_assert_int_eq(journal_replay(dir, store_id, FIRST, extent.end, &reader, &err),
                     STORE_EDAMAGED);
    snprintf(words, sizeof(words),
             "0000000002.log: record at offset %llu: record type 250 is unknown",
             (unsigned long long)offset);
    ck_assert_str_eq(err.sentence, words);
}
END_TEST

START_TEST(an_error_of_the_reader_gets_its_place)
{
    struct store_error err = {0};
    unsigned left = 4;
    struct journal_reader reader = {.event = count_event, .user = &left};
    journal_make(0);
    ck_assert_int_eq(journal_replay(dir, store_id, FIRST, positions[1], &reader, &err), 0);
    ck_assert_int_eq(journal_replay(dir, store_id, FIRST, positions[RECORDS], &reader, &err),
                     STORE_ENOSPC);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000001.log: record at offset "));
    // The file changed after the scan.
    left = 1000;
    file_flip_bit(record_path(5), position_offset(positions[5]) + 100, 1);
    ck_assert_int_eq(journal_replay(dir, store_id, FIRST, positions[9], &reader, &err),
                     STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "the record changed while it was read"));
    // A segment went away.
    ck_assert_int_eq(unlink(segment_path(2)), 0);
    file_flip_bit(record_path(5), position_offset(positions[5]) + 100, 1);
    ck_assert_int_eq(journal_replay(dir, store_id, FIRST, positions[RECORDS], &reader, &err),
                     STORE_ENOTFOUND);
}
END_TEST

// The second segment does not say that it goes on where the first one ended: it does not belong to
// the log, and since nothing vouches for it, the log ends before it.
START_TEST(a_segment_that_does_not_begin_with_a_link)
{
    struct journal_extent extent;
    journal_make(0);
    record_forge(2, SEGMENT_HEADER_BYTES, RECORD_LOOP_MARK, 0, 0);
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST, &extent, NULL), 0);
    ck_assert_uint_eq(position_segment(extent.end), 1);
    ck_assert_uint_gt(extent.torn_bytes, 0);
    // A link that does not decode is none.
    record_forge(2, SEGMENT_HEADER_BYTES, RECORD_SEGMENT_LINK, 8, 0);
    ck_assert_int_eq(journal_scan(dir, store_id, FIRST, &extent, NULL), 0);
    ck_assert_uint_eq(position_segment(extent.end), 1);
}
END_TEST

START_TEST(a_look_at_a_journal_counts_what_can_be_read)
{
    struct store_error err = {0};
    uint64_t records = 7, end = 7;
    journal_make(0);
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), 0);
    ck_assert_uint_eq(records, RECORDS);
    ck_assert_uint_eq(end, positions[RECORDS]);
    // What is behind a segment that cannot be read is not known: that is no end.
    ck_assert_int_eq(chmod(segment_path(2), 0644), 0);
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), STORE_EUNSAFE);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000002.log"));
    ck_assert_int_eq(chmod(segment_path(2), 0600), 0);
    file_flip_bit(segment_path(2), 60, 2);
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000002.log"));
    file_flip_bit(segment_path(2), 60, 2);
    // One that was prepared and never used has nothing behind it.
    file_flip_bit(segment_path(3), 60, 2);
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), 0);
    ck_assert_uint_eq(end, positions[RECORDS]);
    file_flip_bit(segment_path(1), 60, 2);
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), STORE_EDAMAGED);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000001.log"));
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, NULL), STORE_EDAMAGED);
    ck_assert_int_eq(unlink(segment_path(1)), 0); // it was recycled
    ck_assert_int_eq(journal_count(dir, store_id, positions[1], &records, &end, &err),
                     STORE_ENOTFOUND);
    // But a store that is just being made has none yet.
    ck_assert_int_eq(journal_count(dir, store_id, FIRST, &records, &end, &err), 0);
    ck_assert_uint_eq(records, 0);
    ck_assert_uint_eq(end, FIRST);
}
END_TEST

// Every bit of a small journal: the scan ends at a record before the flip, or refuses, or the flip
// hit bytes that hold nothing. It never accepts a changed record and never reads past one.
START_TEST(every_flipped_bit_is_noticed)
{
    journal_make(20);
    uint64_t bytes = file_bytes(segment_path(1));
    uint64_t seed = seed_choose();
    for (int round = 0; round < 3000; round++) {
        uint64_t offset = seed_next(&seed, (uint32_t)bytes);
        unsigned bit = seed_next(&seed, 8);
        unsigned hit = 0;
        while (hit < RECORDS && positions[hit + 1] <= position_of(1, offset))
            hit++;
        struct store_error err = {0};
        struct journal_extent extent;
        file_flip_bit(segment_path(1), offset, bit);
        int rc = journal_scan(dir, store_id, FIRST, &extent, &err);
        file_flip_bit(segment_path(1), offset, bit);
        bool in_log = position_segment(positions[hit + 1]) == 1;
        if (rc == 0)
            ck_assert_msg(!in_log || extent.end <= positions[hit],
                          "bit %u at offset %llu went unnoticed", bit, (unsigned long long)offset);
        // What was durable is never given up in silence.
        if (in_log && hit < 19)
            ck_assert_msg(rc == STORE_EDAMAGED || rc == STORE_EFOREIGN || rc == STORE_EVERSION,
                          "bit %u at offset %llu cost durable records", bit,
                          (unsigned long long)offset);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_scan");
    TCase *cases = tcase_create("journal_scan");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 120);
    tcase_add_test(cases, a_killed_process_leaves_a_clean_end);
    tcase_add_test(cases, the_last_record_is_torn);
    tcase_add_test(cases, a_record_in_the_middle_is_lost_and_was_never_known_durable);
    tcase_add_test(cases, a_record_that_was_durable_is_damaged);
    tcase_add_test(cases, only_later_records_of_the_segment_say_that_it_was_durable);
    tcase_add_test(cases, only_the_next_segment_says_that_it_was_durable);
    tcase_add_test(cases, a_durable_record_is_wiped_to_zeros);
    tcase_add_test(cases, the_end_of_the_first_segment_is_lost_and_the_second_is_there);
    tcase_add_test(cases, a_segment_in_the_middle_is_missing);
    tcase_add_test(cases, the_first_segment_is_missing);
    tcase_add_test(cases, a_segment_of_another_store_was_copied_here);
    tcase_add_test(cases, a_segment_was_renamed);
    tcase_add_test(cases, a_segment_of_a_newer_format);
    tcase_add_test(cases, the_last_segment_was_being_made);
    tcase_add_test(cases, the_header_of_the_last_segment_with_records_is_damaged);
    tcase_add_test(cases, the_header_of_a_needed_segment_is_damaged);
    tcase_add_test(cases, the_file_was_cut);
    tcase_add_test(cases, a_perfect_record_inside_a_payload_is_not_taken_for_one);
    tcase_add_test(cases, the_tables_hold_more_than_the_file);
    tcase_add_test(cases, the_tables_hold_more_than_there_is);
    tcase_add_test(cases, a_torn_record_may_state_any_length);
    tcase_add_loop_test(cases, a_cut_where_the_first_header_is_damaged, 0, 2);
    tcase_add_test(cases, a_cut_is_not_looked_for_in_a_newer_journal);
    tcase_add_test(cases, a_record_of_an_unknown_type_is_named);
    tcase_add_test(cases, an_error_of_the_reader_gets_its_place);
    tcase_add_test(cases, a_segment_that_does_not_begin_with_a_link);
    tcase_add_test(cases, a_look_at_a_journal_counts_what_can_be_read);
    tcase_add_test(cases, every_flipped_bit_is_noticed);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
