// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Bit rot in the journal: bits flip, blocks turn to zeros or turn up in another place, files are
// cut or come from elsewhere. What was durable is either all there or refused with a sentence; what
// is read is never anything but what was written; and a flipped bit in a header or a record is
// never passed over in silence.
//
// The journals have 2,621,440 bits together, and every single one is flipped, over rotating seeds:
// a run takes an eighth, one bit of each byte, and eight seeds in a row take all.
//
//   SEED      which eighth, and where blocks are damaged
//   BITS=all  every bit at once; BITS=1/n: every n-th
//   BLOCKS    how many blocks of each journal are damaged (default 20,000)
//   VARIANT   other contents of the same sizes: 0 to 3 make 1.25 MiB of journals
#include "os_memory.h"
#include "schedule.h"
#include "store/journal_scan.h"
#include "store/record.h"
#include "store/store_internal.h"
#include "support.h"
#include "tables_memory.h"
#include "workload.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct workload journals[] = {
    {"one segment, vouched for", STORE_SYNC_OS, 8, "m60sl1m120sq100sm50sts"},
    {"two segments, vouched for by the last record", STORE_SYNC_OS, 8, "l2m9l2m9h1m9sts"},
    {"one segment, and a tail that was never durable", STORE_SYNC_OS, 8, "m20slm20"},
};
#define JOURNALS (int)(sizeof(journals) / sizeof(journals[0]))

struct record {
    uint64_t number; // of the segment
    uint64_t offset;
    uint64_t bytes;
    uint8_t type;
};

static struct run run;
static struct disk original, disk; // `disk` is the one that is damaged
static struct memory_tables tables;
static struct os_dir *dir;
static struct record records[ORACLE_EVENTS_MAX + 32];
static size_t record_count;
static uint64_t segment_count;
static uint64_t seed;
static unsigned contents; // VARIANT

static struct disk_file *segment_file(struct disk *of, uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    int at = disk_name_find(of->names, of->name_count, name);
    ck_assert_int_ge(at, 0);
    return &of->files[of->names[at].file];
}

static void records_find(void)
{
    uint64_t durable = 0;
    record_count = 0;
    for (uint64_t number = 1; number <= segment_count; number++) {
        const struct disk_file *file = segment_file(&disk, number);
        struct segment_header header;
        struct frame frame;
        ck_assert_int_eq(segment_header_decode(file->data, &header, NULL), 0);
        uint64_t offset = SEGMENT_HEADER_BYTES;
        while (frame_read(file->data, header.bytes, number, header.salt, offset, &frame) ==
               FRAME_VALID) {
            ck_assert_uint_lt(record_count, sizeof(records) / sizeof(records[0]));
            records[record_count++] =
                (struct record){number, offset, frame.total_bytes, frame.type};
            durable = frame.durable > durable ? frame.durable : durable;
            offset += frame.total_bytes;
        }
    }
    // What is durable is vouched for, so that damage to it can be told.
    ck_assert_uint_eq(oracle_before(&run.oracle, durable), run.oracle.acked);
}

// `variant` changes the contents of events, not their sizes.
static void store_make(const struct workload *workload, struct disk *on, uint64_t random_seed,
                       unsigned variant)
{
    disk_init(on);
    tables = (struct memory_tables){0};
    on->tables = &tables;
    run_init(&run, workload, on, random_seed);
    run.variant = variant;
    schedule_begin(1, 0);
    run_open(&run);
    run_steps(&run, workload->steps);
    run_note_durable(&run);
    segment_count = position_segment(journal_end(run.store->journal));
    run_close(&run, false);
    schedule_end();
}

static void journal_make(const struct workload *workload)
{
    store_make(workload, &original, 1, contents);
    disk_copy(&disk, &original);
    disk_select(&disk);
    ck_assert_int_eq(os_dir_open(&dir, "memory", 0, NULL), 0);
    records_find();
}

static void journal_release(void)
{
    os_dir_close(dir);
    memory_tables_release(&tables);
    disk_release(&original);
    disk_release(&disk);
}

struct found {
    enum { ALL_WELL, TORN, REFUSED } verdict;
    size_t events;
    bool wrong; // something that was never written
    struct store_error err;
};

static int event_see(void *user, const struct event *event, uint64_t position,
                     struct store_error *err)
{
    struct found *found = user;
    uint64_t id = event_id(event);
    (void)position;
    (void)err;
    if (id == 0)
        return 0;
    if (found->events == run.oracle.count || id != run.oracle.ids[found->events] ||
        event_sum(event) != run.oracle.sums[found->events])
        found->wrong = true;
    else
        found->events++;
    return 0;
}

static struct found journal_find(void)
{
    struct found found = {.verdict = ALL_WELL};
    struct journal_extent extent;
    struct journal_reader reader = {.event = event_see, .user = &found};
    if (journal_scan(dir, tables.store_id, tables.covered, &extent, &found.err) ||
        journal_replay(dir, tables.store_id, tables.covered, extent.end, &reader, &found.err))
        found.verdict = REFUSED;
    else if (extent.torn_bytes)
        found.verdict = TORN;
    return found;
}

// `evidence`: the record that vouches for the others is unharmed.
static struct found found_check(bool evidence, const char *what, uint64_t number, uint64_t offset)
{
    struct found found = journal_find();
    unsigned long long at = offset, segment = number;
    ck_assert_msg(!found.wrong, "%s in segment %llu at %llu: recovery reads what was never written",
                  what, segment, at);
    ck_assert_msg(found.verdict != REFUSED || strstr(found.err.sentence, ".log"),
                  "%s in segment %llu at %llu: the sentence names no file: %s", what, segment, at,
                  found.err.sentence);
    ck_assert_msg(found.verdict == REFUSED || found.events >= run.oracle.acked || !evidence,
                  "%s in segment %llu at %llu: %zu events of %zu that were durable are left, and "
                  "recovery goes on",
                  what, segment, at, found.events, run.oracle.acked);
    return found;
}

static bool range_meets_record(const struct record *record, uint64_t number, uint64_t offset,
                               uint64_t bytes)
{
    return record->number == number && offset < record->offset + record->bytes &&
           offset + bytes > record->offset;
}

static bool range_is_used(uint64_t number, uint64_t offset, uint64_t bytes)
{
    if (offset < SEGMENT_HEADER_BYTES)
        return true;
    for (size_t i = 0; i < record_count; i++) {
        if (range_meets_record(&records[i], number, offset, bytes))
            return true;
    }
    return false;
}

// The last record is the one that vouches, or stands in for it.
static bool range_meets_evidence(uint64_t number, uint64_t offset, uint64_t bytes)
{
    return range_meets_record(&records[record_count - 1], number, offset, bytes);
}

static void bit_flip(uint64_t number, uint64_t offset, unsigned bit)
{
    uint8_t *byte = &segment_file(&disk, number)->data[offset];
    *byte = (uint8_t)(*byte ^ 1u << bit);
    struct found found = found_check(true, "a flipped bit", number, offset);
    *byte = (uint8_t)(*byte ^ 1u << bit);
    ck_assert_msg(found.verdict != ALL_WELL ||
                      (!range_is_used(number, offset, 1) && found.events == run.oracle.count),
                  "bit %u in segment %llu at %llu flipped, and nothing is said", bit,
                  (unsigned long long)number, (unsigned long long)offset);
}

// Of each byte the bit that belongs to this slice, the bytes spread over the workers.
static void bits_flip(uint64_t bits, unsigned slices, unsigned worker, unsigned workers)
{
    unsigned slice = (unsigned)(seed % slices);
    for (uint64_t bit = 0; bit < bits; bit++) {
        uint64_t byte = bit / 8;
        if (byte % workers == worker && (byte + bit) % slices == slice)
            bit_flip(1 + byte / SEGMENT_MIN_BYTES, byte % SEGMENT_MIN_BYTES, bit % 8);
    }
}

START_TEST(a_bit_flips)
{
    const char *text = getenv("BITS"), *variant = getenv("VARIANT");
    unsigned slices = 8;
    if (text)
        slices = strncmp(text, "1/", 2) == 0 ? (unsigned)strtoul(text + 2, NULL, 10) : 1;
    ck_assert_uint_gt(slices, 0);
    unsigned workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    contents = variant ? (unsigned)strtoul(variant, NULL, 10) : 0;
    journal_make(&journals[_i]);
    seed = seed_choose();
    uint64_t bits = segment_count * SEGMENT_MIN_BYTES * 8;
    printf("%s: %llu of %llu bits\n", journals[_i].name, (unsigned long long)(bits / slices),
           (unsigned long long)bits);
    fflush(stdout);
    for (unsigned worker = 0; worker < workers; worker++) {
        pid_t pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
            bits_flip(bits, slices, worker, workers);
            exit(0);
        }
    }
    for (unsigned worker = 0; worker < workers; worker++) {
        int state = 0;
        ck_assert_int_gt(wait(&state), 0);
        ck_assert_msg(WIFEXITED(state) && WEXITSTATUS(state) == 0,
                      "recovery crashed, or see above: wait status %d", state);
    }
    journal_release();
}
END_TEST

enum block_damage { BLOCK_ZEROED, BLOCK_FROM_ELSEWHERE, BLOCK_RANDOM, BLOCK_ONES, BLOCK_DAMAGES };

static void block_damage(uint8_t *block, size_t bytes, enum block_damage damage)
{
    uint64_t from = 1 + seed_next(&seed, (uint32_t)segment_count);
    uint64_t at = seed_next(&seed, (uint32_t)(SEGMENT_MIN_BYTES / bytes)) * bytes;
    switch (damage) {
    case BLOCK_ZEROED:
        memset(block, 0, bytes);
        break;
    case BLOCK_FROM_ELSEWHERE:
        memcpy(block, segment_file(&original, from)->data + at, bytes);
        break;
    case BLOCK_ONES:
        memset(block, 0xff, bytes);
        break;
    default:
        for (size_t i = 0; i < bytes; i++)
            block[i] = (uint8_t)seed_next(&seed, 256);
    }
}

// A sector or a page that was lost, written to the wrong place or read as something else.
START_TEST(a_block_is_not_what_it_was)
{
    static const size_t sizes[] = {8, 512, 4096};
    const char *text = getenv("BLOCKS");
    unsigned blocks = text ? (unsigned)strtoul(text, NULL, 10) : 20000;
    uint8_t kept[4096];
    journal_make(&journals[_i]);
    seed = seed_choose();
    for (unsigned i = 0; i < blocks; i++) {
        size_t bytes = sizes[seed_next(&seed, 3)];
        uint64_t number = 1 + seed_next(&seed, (uint32_t)segment_count);
        uint64_t offset = seed_next(&seed, (uint32_t)(SEGMENT_MIN_BYTES / bytes)) * bytes;
        uint8_t *block = segment_file(&disk, number)->data + offset;
        memcpy(kept, block, bytes);
        block_damage(block, bytes, (enum block_damage)(i % BLOCK_DAMAGES));
        found_check(!range_meets_evidence(number, offset, bytes), "a damaged block", number,
                    offset);
        memcpy(block, kept, bytes);
    }
    journal_release();
}
END_TEST

// Whole records in the place of others of their length.
START_TEST(a_record_turns_up_in_the_place_of_another)
{
    static uint8_t kept[SEGMENT_MIN_BYTES];
    unsigned moved = 0;
    journal_make(&journals[_i]);
    for (size_t i = 0; i < record_count; i++) {
        for (size_t j = 0; j < record_count; j++) {
            if (i == j || records[i].bytes != records[j].bytes ||
                records[i].type != records[j].type)
                continue;
            uint8_t *to = segment_file(&disk, records[j].number)->data + records[j].offset;
            memcpy(kept, to, records[j].bytes);
            memcpy(to, segment_file(&original, records[i].number)->data + records[i].offset,
                   records[i].bytes);
            found_check(j + 1 < record_count, "another record", records[j].number,
                        records[j].offset);
            memcpy(to, kept, records[j].bytes);
            moved++;
        }
    }
    ck_assert_uint_gt(moved, 10);
    journal_release();
}
END_TEST

START_TEST(a_file_has_another_size)
{
    journal_make(&journals[_i]);
    for (uint64_t number = 1; number <= segment_count; number++) {
        struct disk_file *file = segment_file(&disk, number);
        for (uint64_t bytes = 0; bytes < SEGMENT_MIN_BYTES; bytes += 97) {
            file->bytes = bytes;
            struct found found = found_check(true, "a file that was cut", number, bytes);
            ck_assert_int_eq(found.verdict, REFUSED);
        }
        file->bytes = SEGMENT_MIN_BYTES;
    }
    journal_release();
}
END_TEST

START_TEST(a_segment_is_gone)
{
    journal_make(&journals[_i]);
    for (uint64_t number = 1; number <= segment_count; number++) {
        char name[SEGMENT_NAME_BYTES];
        segment_name(number, name);
        int at = disk_name_find(disk.names, disk.name_count, name);
        struct disk_name kept = disk.names[at];
        disk_name_remove(disk.names, &disk.name_count, name);
        struct found found = found_check(true, "a file that is gone", number, 0);
        ck_assert_int_eq(found.verdict, REFUSED);
        ck_assert_ptr_nonnull(strstr(found.err.sentence, name));
        disk_name_set(disk.names, &disk.name_count, name, kept.file);
    }
    journal_release();
}
END_TEST

// The second segment of a store that was copied once and lived on in two places: its records are
// good, and so is everything about them but what they follow.
START_TEST(a_segment_of_another_history_is_put_here)
{
    struct disk other;
    struct memory_tables others;
    store_make(&journals[1], &other, 1, 1);
    others = tables;
    journal_make(&journals[1]);
    ck_assert_mem_eq(others.store_id, tables.store_id, 16);
    const struct disk_file *from = segment_file(&other, 2);
    struct disk_file *to = segment_file(&disk, 2);
    ck_assert_mem_eq(from->data, to->data, 80);
    memcpy(to->data, from->data, SEGMENT_MIN_BYTES);
    struct found found = found_check(true, "another history", 2, 0);
    ck_assert_int_eq(found.verdict, REFUSED);
    memory_tables_release(&others);
    disk_release(&other);
    journal_release();
}
END_TEST

START_TEST(a_segment_of_another_store_is_put_here)
{
    struct disk other;
    struct memory_tables others;
    store_make(&journals[1], &other, 2, 0);
    others = tables;
    journal_make(&journals[1]);
    ck_assert_mem_ne(others.store_id, tables.store_id, 16);
    for (uint64_t number = 1; number <= 2; number++) {
        struct disk_file *to = segment_file(&disk, number);
        memcpy(to->data, segment_file(&other, number)->data, SEGMENT_MIN_BYTES);
        struct found found = found_check(true, "another store", number, 0);
        ck_assert_int_eq(found.verdict, REFUSED);
        ck_assert_ptr_nonnull(strstr(found.err.sentence, "another store"));
        memcpy(to->data, segment_file(&original, number)->data, SEGMENT_MIN_BYTES);
    }
    memory_tables_release(&others);
    disk_release(&other);
    journal_release();
}
END_TEST

// A frame is only believed if all of it, and the terminator, lies within the segment.
START_TEST(a_record_reaches_over_the_end_of_its_segment)
{
    for (size_t body_bytes = 0; body_bytes < 100; body_bytes++) {
        size_t total = frame_total_bytes(body_bytes), whole = 64 + total + FRAME_TERMINATOR_BYTES;
        for (size_t bytes = 64; bytes <= whole; bytes++) {
            struct frame frame;
            uint8_t *segment = calloc(1, whole), *cut = malloc(bytes);
            memset(segment + 64 + FRAME_HEADER_BYTES, 'x', body_bytes);
            frame_seal(segment + 64, RECORD_MESSAGE_ADD, body_bytes, 5, position_of(1, 64), 0);
            memcpy(cut, segment, bytes);
            enum frame_verdict verdict = frame_read(cut, bytes, 1, 5, 64, &frame);
            ck_assert_int_eq(verdict, bytes == whole ? FRAME_VALID : FRAME_INVALID);
            free(segment);
            free(cut);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_damage");
    TCase *cases = tcase_create("journal_damage");
    tcase_set_timeout(cases, 0);
    tcase_add_loop_test(cases, a_bit_flips, 0, JOURNALS);
    tcase_add_loop_test(cases, a_block_is_not_what_it_was, 0, JOURNALS);
    tcase_add_loop_test(cases, a_record_turns_up_in_the_place_of_another, 0, JOURNALS);
    tcase_add_loop_test(cases, a_file_has_another_size, 0, JOURNALS);
    tcase_add_loop_test(cases, a_segment_is_gone, 0, JOURNALS);
    tcase_add_test(cases, a_segment_of_another_history_is_put_here);
    tcase_add_test(cases, a_segment_of_another_store_is_put_here);
    tcase_add_test(cases, a_record_reaches_over_the_end_of_its_segment);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
