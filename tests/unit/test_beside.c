// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Readers beside a writer that starts, stops, or goes on at a moment that is chosen exactly: in
// front of the n-th call of something.
#include "store/journal_scan.h"
#include "store/lock.h"
#include "store/maintain.h"
#include "store/segment.h"
#include "store/store.h"
#include "store/tables.h"
#include "support.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT 65536u

enum call { LOCK_HOLDER, IMAGE_LOAD, FILE_OPEN, VIEW_OPEN, DIR_RENAME };

static char *folder;
static struct store *writer, *reader;
static struct store_error err;
static pthread_t reading; // the thread whose calls count

// What happens in front of the call, once.
static struct {
    enum call call;
    unsigned at; // counts down, 0: nothing
    void (*fn)(void);
} meanwhile;

static void call_begins(enum call call)
{
    if (pthread_equal(pthread_self(), reading) && meanwhile.at > 0 && meanwhile.call == call &&
        --meanwhile.at == 0)
        meanwhile.fn();
}

static void meanwhile_do(enum call call, unsigned at, void (*fn)(void))
{
    meanwhile.call = call;
    meanwhile.at = at;
    meanwhile.fn = fn;
}

int __real_lock_holder(struct os_dir *dir, char *dst, struct store_error *error);
int __wrap_lock_holder(struct os_dir *dir, char *dst, struct store_error *error);
int __wrap_lock_holder(struct os_dir *dir, char *dst, struct store_error *error)
{
    call_begins(LOCK_HOLDER);
    return __real_lock_holder(dir, dst, error);
}

int __real_segment_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                              const uint8_t store_id[16], struct store_error *error);
int __wrap_segment_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                              const uint8_t store_id[16], struct store_error *error);
int __wrap_segment_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                              const uint8_t store_id[16], struct store_error *error)
{
    call_begins(IMAGE_LOAD);
    return __real_segment_image_load(image, dir, number, store_id, error);
}

int __real_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *error);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *error);
int __wrap_os_file_open(struct os_file **ret_file, struct os_dir *dir, const char *name,
                        unsigned flags, struct store_error *error)
{
    call_begins(FILE_OPEN);
    return __real_os_file_open(ret_file, dir, name, flags, error);
}

int __real_tables_view_open(struct store_view **ret_view, struct tables *tables,
                            struct store_error *error);
int __wrap_tables_view_open(struct store_view **ret_view, struct tables *tables,
                            struct store_error *error);
int __wrap_tables_view_open(struct store_view **ret_view, struct tables *tables,
                            struct store_error *error)
{
    call_begins(VIEW_OPEN);
    return __real_tables_view_open(ret_view, tables, error);
}

int __real_os_dir_rename(struct os_dir *dir, const char *from, const char *to,
                         struct store_error *error);
int __wrap_os_dir_rename(struct os_dir *dir, const char *from, const char *to,
                         struct store_error *error);
int __wrap_os_dir_rename(struct os_dir *dir, const char *from, const char *to,
                         struct store_error *error)
{
    call_begins(DIR_RENAME);
    return __real_os_dir_rename(dir, from, to, error);
}

static int tells_fd = -1; // whoever is about to wait for the folder tells so here

int __real_os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *error);
int __wrap_os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *error);
int __wrap_os_dir_lock(struct os_dir *dir, bool exclusive, struct store_error *error)
{
    int rc = __real_os_dir_lock(dir, exclusive, error);
    if (rc && tells_fd >= 0 && write(tells_fd, "w", 1) != 1)
        abort();
    return rc;
}

static struct store *open_as(enum store_access access)
{
    struct store_options options = {.path = folder,
                                    .access = access,
                                    .create = access == STORE_READ_WRITE,
                                    .commit_interval_ms = 3600 * 1000,
                                    .journal_segment_bytes = SEGMENT,
                                    .holder = "test_beside"};
    struct store *opened = NULL;
    ck_assert_msg(store_open(&opened, &options, &err) == 0, "%s", err.sentence);
    return opened;
}

static uint64_t id; // of the message that was appended last

static void append(unsigned count)
{
    static const uint8_t payload[1000];
    for (unsigned i = 0; i < count; i++) {
        struct event event = {
            .type = RECORD_MESSAGE_ADD,
            .message = {.store_id = ++id, .payload = span_of(payload, sizeof(payload))}};
        ck_assert_msg(store_append(writer, &event, &err) == 0, "%s", err.sentence);
    }
}

static void writer_starts(void)
{
    writer = open_as(STORE_READ_WRITE);
}

static void writer_starts_and_goes_on(void)
{
    writer_starts();
    append(10);
    ck_assert_msg(store_flush(writer, &err) == 0, "%s", err.sentence);
    append(10);
}

static void writer_stops(void)
{
    ck_assert_msg(store_close(writer, true, &err) == 0, "%s", err.sentence);
    writer = NULL;
}

static void writer_dies(void)
{
    store_close(writer, false, NULL);
    writer = NULL;
}

static void setup(void)
{
    folder = folder_make();
    meanwhile.at = 0;
    reading = pthread_self();
    id = 0;
    writer = open_as(STORE_READ_WRITE);
    reader = open_as(STORE_READ_ONLY);
}

static void teardown(void)
{
    store_close(reader, false, NULL);
    store_close(writer, false, NULL);
    folder_remove(folder);
}

static struct store_stats stats_of_a_sound_store(void)
{
    struct store_stats stats;
    int rc = store_stats(reader, &stats, &err);
    ck_assert_msg(rc == 0, "%s", err.sentence);
    ck_assert_uint_eq(meanwhile.at, 0);
    ck_assert_str_eq(stats.journal_damage, "");
    return stats;
}

START_TEST(a_writer_stops_while_it_is_asked_who_holds_the_store)
{
    append(150); // some segments, none of which the tables have
    meanwhile_do(LOCK_HOLDER, 1, writer_stops);
    struct store_stats stats = stats_of_a_sound_store();
    ck_assert_str_eq(stats.lock_holder, "");
    ck_assert_uint_eq(stats.journal_covered, stats.journal_end);
    ck_assert_uint_eq(stats.behind_records, 0);
}
END_TEST

// The judge reads the segments from the first to the last, and then, for the verdict, each of them
// again. Whatever a writer does then, it is no damage.
START_TEST(a_writer_starts_while_the_journal_is_judged)
{
    static void (*const starts[])(void) = {writer_starts, writer_starts_and_goes_on};
    unsigned moments = 0;
    for (size_t i = 0; i < 2; i++) {
        for (unsigned at = 1;; at++) {
            append(150);
            writer_dies();
            meanwhile_do(IMAGE_LOAD, at, starts[i]);
            struct store_stats stats;
            int rc = store_stats(reader, &stats, &err);
            ck_assert_msg(rc == 0, "call %u: %s", at, err.sentence);
            ck_assert_msg(!stats.journal_damage[0], "call %u: %s", at, stats.journal_damage);
            if (meanwhile.at > 0)
                break; // there were not so many calls
            ck_assert_ptr_nonnull(strstr(stats.lock_holder, "test_beside"));
            moments++;
        }
        meanwhile.at = 0;
        writer_starts();
    }
    ck_assert_uint_ge(moments, 2 * 6);
}
END_TEST

// Nobody holds the store before, and nobody after.
static void a_life_passes(void)
{
    writer_starts_and_goes_on();
    writer_stops();
}

static void a_life_without_an_event_passes(void)
{
    writer_starts();
    writer_dies();
}

START_TEST(a_whole_life_passes_while_the_journal_is_judged)
{
    append(150);
    writer_dies();
    uint64_t life = stats_of_a_sound_store().life;
    meanwhile_do(IMAGE_LOAD, 1, a_life_passes);
    struct store_stats stats = stats_of_a_sound_store();
    ck_assert_uint_eq(stats.life, life + 1);
    ck_assert_uint_eq(stats.behind_records, 0);
    meanwhile_do(IMAGE_LOAD, 1, a_life_without_an_event_passes);
    ck_assert_uint_eq(stats_of_a_sound_store().life, life + 2);
}
END_TEST

static bool segment_is_there(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    return access(path_in(folder, name), F_OK) == 0;
}

// The writer goes on until this segment has gone, as all do in time that the tables hold.
static void segment_outlive(uint64_t number)
{
    for (unsigned tries = 0; segment_is_there(number); tries++) {
        ck_assert_uint_lt(tries, 2000);
        append(100);
        ck_assert_msg(store_flush(writer, &err) == 0, "%s", err.sentence);
    }
    append(10);
}

static void first_segment_goes(void)
{
    segment_outlive(1);
}

// Reads on; returns with what that ends.
static int read_on(struct store_cursor *cursor, uint64_t *ret_last)
{
    struct event event;
    uint64_t position, before = 0;
    int rc;
    while ((rc = store_cursor_next(cursor, &event, &position, &err)) == 1) {
        ck_assert_uint_gt(position, before);
        before = position;
        if (event.type == RECORD_MESSAGE_ADD)
            *ret_last = event.message.store_id;
    }
    return rc;
}

// The writer's keeper may still be giving back segments: then there is one more gap.
static void reads_to_the_end(struct store_cursor *cursor)
{
    uint64_t last = 0;
    int rc = read_on(cursor, &last);
    for (unsigned gaps = 0; rc == STORE_ENOTFOUND; gaps++) {
        ck_assert_uint_lt(gaps, 1000);
        ck_assert_msg(store_cursor_skip(cursor, &err) == 0, "%s", err.sentence);
        rc = read_on(cursor, &last);
    }
    ck_assert_msg(rc == 0, "%s", err.sentence);
    ck_assert_uint_eq(last, id);
    store_cursor_close(cursor);
}

static struct store_cursor *cursor_at_the_beginning(void)
{
    struct store_cursor *cursor = NULL;
    int rc = store_cursor_open(&cursor, reader, 0, &err);
    ck_assert_msg(rc == 0, "%s", err.sentence);
    return cursor;
}

static void another_store_takes_its_place(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    char *ours = folder;
    segment_name(number, name);
    folder = folder_make();
    writer = open_as(STORE_READ_WRITE);
    append(150);
    writer_dies();
    file_copy(path_in(folder, name), path_in(ours, name));
    folder_remove(folder);
    folder = ours;
}

static int count_damaged(void *user, const struct store_segment *segment)
{
    *(unsigned *)user += strcmp(segment->state, "damaged") == 0;
    return 0;
}

static void something_else_takes_its_place(uint64_t number)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(number, name);
    file_overwrite(path_in(folder, name), 0, "thesis", 6);
}

START_TEST(a_segment_that_is_not_of_this_store_is_damage)
{
    static const struct {
        void (*take_place)(uint64_t number);
        const char *says;
        int code;
    } others[] = {
        {another_store_takes_its_place, "0000000002.log belongs to another store", STORE_EDAMAGED},
        {something_else_takes_its_place, "0000000002.log: this is not a journal segment",
         STORE_EFOREIGN},
    };
    struct store_stats stats;
    uint64_t last = 0;
    append(150);
    writer_dies();
    struct store_cursor *cursor = cursor_at_the_beginning();
    others[_i].take_place(2);
    ck_assert_msg(store_stats(reader, &stats, &err) == 0, "%s", err.sentence);
    ck_assert_msg(strstr(stats.journal_damage, others[_i].says) != NULL, "%s",
                  stats.journal_damage);
    ck_assert_uint_eq(position_segment(stats.journal_end), 1);
    ck_assert_uint_gt(stats.behind_records, 40);
    unsigned damaged = 0;
    ck_assert_int_eq(store_each_segment(reader, count_damaged, &damaged, &err), 0);
    ck_assert_uint_eq(damaged, 1);
    ck_assert_int_eq(read_on(cursor, &last), others[_i].code);
    ck_assert_ptr_nonnull(strstr(err.sentence, others[_i].says));
    ck_assert_uint_eq(last, stats.behind_records);
    store_cursor_close(cursor);
}
END_TEST

// The file is under its name no more, and the writer has put other records into it.
START_TEST(a_reader_in_a_segment_that_goes_is_told)
{
    uint64_t last = 0;
    append(20);
    struct store_cursor *cursor = cursor_at_the_beginning();
    ck_assert_int_eq(read_on(cursor, &last), 0);
    ck_assert_uint_eq(last, 20);
    segment_outlive(1);
    segment_outlive(2);
    ck_assert_int_eq(read_on(cursor, &last), STORE_ENOTFOUND);
    ck_assert_ptr_nonnull(strstr(err.sentence, "0000000001.log"));
    ck_assert_uint_lt(last, id);
    ck_assert_int_eq(read_on(cursor, &last), STORE_ENOTFOUND); // and stays so
    reads_to_the_end(cursor);
}
END_TEST

// The first segment waits for its next use under its old name, while the second has gone. A writer
// leaves that at times, for as long as it has no use for the file.
static void only_the_second_segment_goes(void)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(1, name);
    file_copy(path_in(folder, name), path_in(folder, "kept"));
    segment_outlive(1);
    segment_outlive(2);
    ck_assert_int_eq(rename(path_in(folder, "kept"), path_in(folder, name)), 0);
}

START_TEST(a_reader_at_the_end_of_a_segment_whose_next_one_went_is_told)
{
    uint64_t last = 0;
    append(20);
    struct store_cursor *cursor = cursor_at_the_beginning();
    ck_assert_int_eq(read_on(cursor, &last), 0);
    append(160);
    only_the_second_segment_goes();
    ck_assert_int_eq(read_on(cursor, &last), STORE_ENOTFOUND);
    ck_assert_uint_gt(last, 20);
    ck_assert_uint_lt(last, 100);
    reads_to_the_end(cursor);
}
END_TEST

START_TEST(a_segment_that_waits_for_its_next_use_is_not_the_oldest)
{
    struct event event;
    uint64_t position = 0;
    append(180);
    only_the_second_segment_goes();
    struct store_cursor *cursor = cursor_at_the_beginning();
    int rc = store_cursor_next(cursor, &event, &position, &err);
    ck_assert_msg(rc == 1 || rc == STORE_ENOTFOUND, "%s", err.sentence);
    ck_assert_uint_ne(position_segment(position), 1);
    reads_to_the_end(cursor);
}
END_TEST

START_TEST(the_oldest_segment_goes_before_it_is_opened)
{
    unsigned moments = 0;
    for (unsigned at = 1; at <= 2; at++) {
        teardown();
        setup();
        append(20);
        meanwhile_do(FILE_OPEN, at, first_segment_goes);
        struct store_cursor *cursor = cursor_at_the_beginning();
        moments += meanwhile.at == 0;
        meanwhile.at = 0;
        reads_to_the_end(cursor);
    }
    ck_assert_uint_gt(moments, 0);
}
END_TEST

static char first_log[SEGMENT_NAME_BYTES];

// The only one gets the next name.
static void the_oldest_segment_goes(void)
{
    char next[SEGMENT_NAME_BYTES];
    static uint64_t number = 1;
    segment_name(++number, next);
    ck_assert_int_eq(rename(path_in(folder, first_log), path_in(folder, next)), 0);
    memcpy(first_log, next, sizeof(first_log));
    meanwhile_do(FILE_OPEN, 1, the_oldest_segment_goes);
}

START_TEST(segments_go_faster_than_they_can_be_opened)
{
    struct store_cursor *cursor = NULL;
    append(20);
    writer_dies();
    segment_name(2, first_log); // prepared
    unlink(path_in(folder, first_log));
    segment_name(1, first_log);
    meanwhile_do(FILE_OPEN, 1, the_oldest_segment_goes);
    ck_assert_int_eq(store_cursor_open(&cursor, reader, 0, &err), STORE_EIO);
    ck_assert_str_eq(err.sentence, "the journal goes on faster than it can be read");
    meanwhile.at = 0;
    ck_assert_int_eq(unlink(path_in(folder, first_log)), 0);
    ck_assert_int_eq(store_cursor_open(&cursor, reader, 0, &err), STORE_ENOTFOUND);
    ck_assert_str_eq(err.sentence, "the journal holds no segment");
}
END_TEST

// Under the name of the one that was read another file begins a life.
START_TEST(a_reader_in_a_segment_that_was_made_anew_is_told)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    struct segment_header header;
    uint64_t last = 0;
    append(20);
    writer_dies();
    struct store_cursor *cursor = cursor_at_the_beginning();
    ck_assert_int_eq(read_on(cursor, &last), 0);
    FILE *file = fopen(path_in(folder, "0000000001.log"), "rb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(block, sizeof(block), 1, file), 1);
    fclose(file);
    ck_assert_int_eq(segment_header_decode(block, &header, &err), 0);
    header.salt++;
    segment_header_encode(&header, block);
    file_overwrite(path_in(folder, "0000000001.log"), 0, block, sizeof(block));
    ck_assert_int_eq(read_on(cursor, &last), STORE_ENOTFOUND);
    ck_assert_uint_eq(last, 20);
    store_cursor_close(cursor);
}
END_TEST

static void sessions_come(void)
{
    static const char *const clients[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        struct event event = {.type = RECORD_SESSION_ADD,
                              .session = {.client_id = span_str(clients[i]), .connected = true}};
        ck_assert_msg(store_append(writer, &event, &err) == 0, "%s", err.sentence);
    }
    ck_assert_msg(store_flush(writer, &err) == 0, "%s", err.sentence);
}

START_TEST(sessions_come_while_they_are_counted)
{
    meanwhile_do(VIEW_OPEN, 1, sessions_come);
    struct store_stats stats = stats_of_a_sound_store();
    ck_assert_uint_eq(stats.sessions_connected, 3);
    ck_assert_uint_eq(stats.sessions, 3);
}
END_TEST

static void sessions_come_and_one_is_damaged(void)
{
    static char bytes[1 << 20];
    sessions_come();
    FILE *file = fopen(path_in(folder, "data.mdb"), "rb");
    ck_assert_ptr_nonnull(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    // The value of the last one, at which the walk then ends, begins behind its key.
    char *found = memmem(bytes, len,
                         "\x01"
                         "c",
                         2);
    ck_assert_ptr_nonnull(found);
    file_flip_bit(path_in(folder, "data.mdb"), (uint64_t)(found - bytes) + 12, 0);
}

// Of a damaged table LMDB's count is kept, unless more were seen.
START_TEST(sessions_come_while_they_are_counted_and_one_is_damaged)
{
    meanwhile_do(VIEW_OPEN, 1, sessions_come_and_one_is_damaged);
    struct store_stats stats = stats_of_a_sound_store();
    ck_assert_uint_eq(stats.sessions_connected, 2);
    ck_assert_uint_eq(stats.sessions, 2);
    stats = stats_of_a_sound_store();
    ck_assert_uint_eq(stats.sessions_connected, 2);
    ck_assert_uint_eq(stats.sessions, 3);
}
END_TEST

static unsigned waits;

static void holder_ends(void *user, enum store_notice_level level, const char *sentence)
{
    (void)user;
    (void)level;
    if (!strstr(sentence, "waiting for mosquitto_lmdb"))
        return;
    waits++;
    writer_dies();
}

static int open_beside(const char *holder, uint32_t wait_ms, bool ends)
{
    struct store_options first = {.path = folder, .holder = holder};
    struct store_options second = {
        .path = folder, .lock_wait_ms = wait_ms, .notice = ends ? holder_ends : NULL};
    struct store *opened = NULL;
    writer_dies();
    ck_assert_int_eq(store_open(&writer, &first, &err), 0);
    waits = 0;
    int rc = store_open(&opened, &second, &err);
    store_close(opened, false, NULL);
    return rc;
}

// A broker that is started while a command line finishes what its crash left.
START_TEST(who_has_patience_waits_for_a_command_line)
{
    ck_assert_int_eq(open_beside("mosquitto_lmdb", 0, true), STORE_EHELD);
    ck_assert_int_eq(open_beside("mosquitto_lmdb", 50, false), STORE_EHELD);
    ck_assert_ptr_nonnull(strstr(err.sentence, "is held by mosquitto_lmdb"));
    ck_assert_int_eq(open_beside("mosquitto_lmdb", 3600 * 1000, true), 0);
    ck_assert_uint_eq(waits, 1);
    writer = open_as(STORE_READ_WRITE);
    // But not for another broker.
    ck_assert_int_eq(open_beside("mosquitto", 3600 * 1000, true), STORE_EHELD);
    ck_assert_uint_eq(waits, 0);
}
END_TEST

// A reader in a process of its own, as LMDB wants it.
static struct {
    pid_t pid;
    int fd; // it tells: 'w' waits, 'o' has opened, 'x' could not
    char told;
} other;

static char other_tells(void)
{
    char byte = 0;
    if (read(other.fd, &byte, 1) != 1)
        abort();
    return byte;
}

static void other_opens(void)
{
    int ends[2];
    if (pipe(ends) != 0 || (other.pid = fork()) < 0)
        abort();
    if (other.pid == 0) {
        struct store_options options = {.path = folder, .access = STORE_READ_ONLY};
        struct store *opened = NULL;
        tells_fd = ends[1];
        int rc = store_open(&opened, &options, &err);
        if (rc)
            printf("%s\n", err.sentence);
        fflush(stdout);
        if (write(ends[1], rc ? "x" : "o", 1) != 1)
            abort();
        for (;;)
            pause();
    }
    close(ends[1]);
    other.fd = ends[0];
    other.told = other_tells();
}

static void other_ends(void)
{
    close(other.fd);
    kill(other.pid, SIGKILL);
    ck_assert_int_eq(waitpid(other.pid, NULL, 0), other.pid);
}

// LMDB's lock file says which transaction was the last, and so which of two heads holds. One that
// was made beside the old tables must not be used with the new ones. In a half of all cases it
// would go well: a commit more or less decides.
START_TEST(a_reader_opens_while_compacted_tables_get_their_name)
{
    struct store_options options = {.path = folder, .holder = "test_beside"};
    struct store_compact_report report;
    store_close(reader, false, NULL);
    reader = NULL;
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned commits = 0; commits <= i; commits++) {
            append(1);
            ck_assert_int_eq(store_flush(writer, &err), 0);
        }
        writer_dies();
        meanwhile_do(DIR_RENAME, 1, other_opens);
        int rc = store_compact(&options, NULL, NULL, &report, &err);
        ck_assert_msg(rc == 0, "%s", err.sentence);
        ck_assert_uint_eq(meanwhile.at, 0);
        while (other.told == 'w')
            other.told = other_tells();
        ck_assert_int_eq(other.told, 'o');
        int first_fd = other.fd;
        pid_t first_pid = other.pid;
        other_opens();
        char told = other.told;
        other_ends();
        other.fd = first_fd;
        other.pid = first_pid;
        other_ends();
        ck_assert_int_eq(told, 'o');
        writer_starts();
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("beside");
    TCase *cases = tcase_create("beside");
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_writer_stops_while_it_is_asked_who_holds_the_store);
    tcase_add_test(cases, a_writer_starts_while_the_journal_is_judged);
    tcase_add_test(cases, a_whole_life_passes_while_the_journal_is_judged);
    tcase_add_loop_test(cases, a_segment_that_is_not_of_this_store_is_damage, 0, 2);
    tcase_add_test(cases, a_reader_in_a_segment_that_goes_is_told);
    tcase_add_test(cases, a_reader_at_the_end_of_a_segment_whose_next_one_went_is_told);
    tcase_add_test(cases, a_segment_that_waits_for_its_next_use_is_not_the_oldest);
    tcase_add_test(cases, the_oldest_segment_goes_before_it_is_opened);
    tcase_add_test(cases, segments_go_faster_than_they_can_be_opened);
    tcase_add_test(cases, a_reader_in_a_segment_that_was_made_anew_is_told);
    tcase_add_test(cases, sessions_come_while_they_are_counted);
    tcase_add_test(cases, a_reader_opens_while_compacted_tables_get_their_name);
    tcase_add_test(cases, sessions_come_while_they_are_counted_and_one_is_damaged);
    tcase_add_test(cases, who_has_patience_waits_for_a_command_line);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
