// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// kill -9 at every instruction: a child appends, its parent lets it do one machine instruction
// after the other, and each time looks at the file as the next process would find it: whole records
// and a zero behind them, never anything begun.
#include "store/journal.h"
#include "store/journal_scan.h"
#include "store/record.h"

#include "support.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIRST position_of(1, SEGMENT_HEADER_BYTES)
#define APPENDS 24u

static const uint8_t store_id[16] = "0123456789abcdef";

static char *folder;
static struct os_dir *dir;

static struct journal *journal_begin(uint64_t number)
{
    struct store_error err = {0};
    struct journal *journal = NULL;
    struct journal_options options = {.dir = dir,
                                      .life = 1,
                                      .next_number = number,
                                      .link = {.previous_end = FIRST},
                                      .sync = STORE_SYNC_OS,
                                      .sync_interval_ms = 1000,
                                      .segment_bytes = SEGMENT_MIN_BYTES,
                                      .max_bytes = 4 * SEGMENT_MIN_BYTES};
    memcpy(options.store_id, store_id, 16);
    ck_assert_msg(journal_open(&journal, &options, &err) == 0, "%s", err.sentence);
    return journal;
}

static void append(struct journal *journal, uint64_t number)
{
    uint8_t payload[200];
    memset(payload, 0xee, sizeof(payload));
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = number,
                                      .topic = span_str("t"),
                                      .payload = span_of(payload, number * 37 % 200)}};
    journal_append(journal, &event, NULL);
}

// Whether the bytes that come next are those of an older life of the file.
static bool end_is_old(struct journal *journal)
{
    uint64_t end = journal_end(journal);
    struct segment *segment = journal_pin(journal, position_segment(end));
    bool old = segment->map[position_offset(end) + 4096] == 0xdd;
    journal_unpin(journal, segment);
    return old && position_offset(end) < SEGMENT_MIN_BYTES / 2;
}

// Goes on until the current segment is one that was recycled.
static void recycle(struct journal *journal)
{
    uint8_t payload[8000];
    memset(payload, 0xdd, sizeof(payload));
    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.payload = span_of(payload, sizeof(payload))}};
    while (!end_is_old(journal)) {
        ck_assert_uint_lt(position_segment(journal_end(journal)), 1000);
        if (journal_append(journal, &event, NULL) == 0)
            continue;
        ck_assert_int_eq(journal_sync(journal, NULL), 0);
        journal_cover(journal, journal_end(journal));
        usleep(1000);
    }
}

struct look {
    const uint8_t *map;
    struct segment_header header;
    uint64_t offset; // behind the last whole record
    unsigned records;
};

// What a process that starts now would find.
static void look(struct look *look, uint64_t instruction)
{
    struct frame frame;
    for (;;) {
        enum frame_verdict verdict = frame_read(look->map, look->header.bytes, look->header.number,
                                                look->header.salt, look->offset, &frame);
        if (verdict == FRAME_END)
            return;
        ck_assert_msg(verdict == FRAME_VALID,
                      "killed at instruction %llu: neither a record nor a zero at offset %llu",
                      (unsigned long long)instruction, (unsigned long long)look->offset);
        struct event event;
        ck_assert_int_eq(record_decode(frame.type, frame.body, frame.body_bytes, &event, NULL), 0);
        look->offset += frame.total_bytes;
        look->records++;
    }
}

// The child's whole life: it waits for its parent, appends, and stops itself again.
__attribute__((noreturn)) static void child_append(struct journal *journal)
{
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    for (uint64_t i = 1; i <= APPENDS; i++)
        append(journal, i);
    raise(SIGSTOP);
    _exit(0);
}

static void step_through(bool old_bytes)
{
    struct store_error err = {0};
    struct journal *journal = journal_begin(1);
    if (old_bytes)
        recycle(journal);
    uint64_t end = journal_end(journal), instructions = 0;
    struct look at = {.offset = position_offset(end)};
    char name[SEGMENT_NAME_BYTES];
    struct os_file *file = NULL;
    void *map = NULL;
    segment_name(position_segment(end), name);
    ck_assert_msg(segment_header_load(dir, position_segment(end), &at.header, &err) == 0, "%s",
                  err.sentence);
    ck_assert_int_eq(os_file_open(&file, dir, name, OS_READ | OS_WRITE, NULL), 0);
    ck_assert_int_eq(os_file_map(file, (size_t)at.header.bytes, &map, NULL), 0);
    at.map = map;

    int status = 0;
    pid_t child = fork();
    if (child == 0)
        child_append(journal);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSTOPPED(status));
    while (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 &&
           waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
           WSTOPSIG(status) == SIGTRAP) {
        look(&at, instructions++);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    look(&at, instructions);
    ck_assert_uint_eq(at.records, APPENDS);
    ck_assert_uint_gt(instructions, 100 * APPENDS);
    printf("%llu instructions, %s\n", (unsigned long long)instructions,
           old_bytes ? "over old bytes" : "in a new segment");

    struct journal_extent extent;
    ck_assert_int_eq(journal_scan(dir, store_id, end, &extent, &err), 0);
    ck_assert_uint_eq(extent.torn_bytes, 0);
    ck_assert_uint_eq(extent.records, APPENDS);
    os_unmap(map, (size_t)at.header.bytes);
    os_file_close(file);
    journal_close(journal);
}

START_TEST(killed_at_any_instruction)
{
    struct store_error err = {0};
    folder = folder_make();
    ck_assert_msg(os_dir_open(&dir, folder, 0, &err) == 0, "%s", err.sentence);
    step_through(_i == 1);
    os_dir_close(dir);
    folder_remove(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("journal_kill");
    TCase *cases = tcase_create("journal_kill");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, killed_at_any_instruction, 0, 2);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
