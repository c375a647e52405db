// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Bit rot in the tables. LMDB has no checksums: what is told, and that nothing wrong is served, is
// our own work. The file of a store that has lived for a while (make_store lived) is damaged in one
// place after the other; a reader then either gives exactly what was stored, or says what is
// damaged, or dies in LMDB: then the command line, which reads in a child, says so, and the
// plugin's guard does.
//
//   DAMAGES  how many, of random kinds and places; "all": every bit of the file (default 8,000)
//   SEED     which
//   FIRST    number of the first one: with DAMAGES=1 a single one is run again
// Besides, every leaf is put in the place of every other one, and every branch: pages that are
// whole but old, as a write that went astray leaves them.
#include "store/store.h"
#include "store/tables.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096u
#define SECTOR 512u
#define PAGE_HEAD_BYTES 16u
#define PAGE_LOWER_AT 12u
#define PAGE_UPPER_AT 14u
#define PAGE_BRANCH 1u
#define CPU_LIMIT_S 20u

#define DAMAGES(X)                                     \
    X(DAMAGE_BIT, "a bit flipped")                     \
    X(DAMAGE_BIT_OF_HEAD, "of a page's head")          \
    X(DAMAGE_SECTOR, "a sector zeroed")                \
    X(DAMAGE_PAGE, "a page zeroed")                    \
    X(DAMAGE_NOISE, "a page of noise")                 \
    X(DAMAGE_SWAP, "two pages swapped")                \
    X(DAMAGE_STALE, "a page written to another place") \
    X(DAMAGE_CUT, "the file cut")
#define DAMAGE_ENUM(name, text) name,
enum damage { DAMAGES(DAMAGE_ENUM) DAMAGE_COUNT };
#undef DAMAGE_ENUM
#define DAMAGE_TEXT(name, text) text,
static const char *const damage_texts[] = {DAMAGES(DAMAGE_TEXT)};
#undef DAMAGE_TEXT

enum outcome { OUTCOME_SAME, OUTCOME_TOLD, OUTCOME_DIED, OUTCOME_WRONG, OUTCOME_COUNT };

// Shared with the reading processes.
struct progress {
    uint64_t next; // that is being read, or about to be
    uint64_t outcomes[DAMAGE_COUNT][OUTCOME_COUNT];
    char first_wrong[4096];
};

static char *folder;      // the store that is damaged
static char *scratch;     // a copy of it, for what changes files
static uint8_t *original; // its data.mdb
static size_t file_size;
static struct text sound; // what it holds
static uint64_t sound_covered;
static uint64_t seed, first, count;
static enum { DICE, EVERY_BIT, EVERY_PLACE, EVERY_BRANCH } order; // in which damage comes
static struct progress *progress;

// ---- the damage ------------------------------------------------------------------------------

static size_t touched[2]; // pages to put right again

static void write_at(int fd, size_t offset, const void *data, size_t bytes)
{
    ck_assert_msg(pwrite(fd, data, bytes, (off_t)offset) == (ssize_t)bytes, "cannot write: %s",
                  strerror(errno));
}

static int file_open(void)
{
    int fd = open(path_in(folder, "data.mdb"), O_WRONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "cannot open %s/data.mdb: %s", folder, strerror(errno));
    return fd;
}

static void flip(int fd, size_t bit)
{
    uint8_t byte = original[bit / 8] ^ (uint8_t)(1u << bit % 8);
    write_at(fd, bit / 8, &byte, 1);
}

// Where in the file it happened, for the report.
static size_t damage_do(int fd, enum damage damage, uint64_t *dice)
{
    static const uint8_t zeros[PAGE];
    uint8_t noise[PAGE];
    size_t pages = file_size / PAGE;
    size_t a = (size_t)seed_next(dice, (uint32_t)pages) * PAGE;
    size_t b = (size_t)seed_next(dice, (uint32_t)pages) * PAGE;
    size_t within = seed_next(dice, PAGE);
    touched[0] = a;
    touched[1] = b;
    switch (damage) {
    case DAMAGE_BIT:
        flip(fd, (a + within) * 8 + seed_next(dice, 8));
        return a + within;
    case DAMAGE_BIT_OF_HEAD: // and what describes trees, in the heads of the file
        within %= 160;
        flip(fd, (a + within) * 8 + seed_next(dice, 8));
        return a + within;
    case DAMAGE_SECTOR:
        within -= within % SECTOR;
        write_at(fd, a + within, zeros, SECTOR);
        return a + within;
    case DAMAGE_PAGE:
        write_at(fd, a, zeros, PAGE);
        return a;
    case DAMAGE_NOISE:
        for (size_t i = 0; i < PAGE; i++)
            noise[i] = (uint8_t)seed_next(dice, 256);
        write_at(fd, a, noise, PAGE);
        return a;
    case DAMAGE_SWAP:
        write_at(fd, a, original + b, PAGE);
        write_at(fd, b, original + a, PAGE);
        return a;
    case DAMAGE_STALE:
        write_at(fd, a, original + b, PAGE);
        return a;
    default:
        ck_assert_int_eq(ftruncate(fd, (off_t)(a + within)), 0);
        return a + within;
    }
}

static void undo(int fd, enum damage damage)
{
    if (damage == DAMAGE_CUT)
        write_at(fd, 0, original, file_size);
    else
        write_at(fd, touched[0], original + touched[0], PAGE);
    if (damage == DAMAGE_SWAP)
        write_at(fd, touched[1], original + touched[1], PAGE);
}

// ---- reading ---------------------------------------------------------------------------------

// What is found by its key must be what the walks found: a damaged branch of a tree hides it.
struct lookup {
    struct store_view *view;
    struct text *text;
    struct store_error *err;
};

static int find_session(void *user, const struct session *session)
{
    struct lookup *lookup = user;
    struct session found;
    text_session(lookup->text, session);
    return store_get_session(lookup->view, session->client_id, &found, lookup->err);
}

static int find_message(void *user, const struct message *message)
{
    struct lookup *lookup = user;
    struct message found;
    text_message(lookup->text, message);
    return store_get_message(lookup->view, message->store_id, &found, lookup->err);
}

static int find_retained(void *user, const struct retained *retained)
{
    struct lookup *lookup = user;
    struct retained found;
    text_retained(lookup->text, retained);
    return store_get_retained(lookup->view, retained->topic, &found, lookup->err);
}

static int find_will(void *user, const struct will *will)
{
    struct lookup *lookup = user;
    struct will found;
    text_will(lookup->text, will);
    return store_get_will(lookup->view, will->client_id, &found, lookup->err);
}

static int read_view(struct store_view *walked, struct lookup *lookup, bool *ret_hidden)
{
    const struct span all = {NULL, 0};
    struct text *text = lookup->text;
    struct store_error *err = lookup->err;
    int rc;
    text->len = 0;
    if ((rc = store_each_session(walked, text_session, text, err)) ||
        (rc = store_each_subscription(walked, all, text_subscription, text, err)) ||
        (rc = store_each_message(walked, text_message, text, err)) ||
        (rc = store_each_queued(walked, all, text_queued, text, err)) ||
        (rc = store_each_retained(walked, text_retained, text, err)) ||
        (rc = store_each_will(walked, text_will, text, err)))
        return rc;
    // Nothing is wrong, say the walks.
    size_t len = text->len;
    *ret_hidden = store_each_session(walked, find_session, lookup, err) ||
                  store_each_message(walked, find_message, lookup, err) ||
                  store_each_retained(walked, find_retained, lookup, err) ||
                  store_each_will(walked, find_will, lookup, err);
    text->len = len;
    text->bytes[len] = '\0';
    return 0;
}

static int read_tables(struct tables *tables, struct text *text, bool *ret_hidden,
                       struct store_error *err)
{
    struct store_view *walked = NULL;
    struct lookup lookup = {.text = text, .err = err};
    int rc = tables_view_open(&walked, tables, err);
    if (rc == 0)
        rc = tables_view_open(&lookup.view, tables, err);
    if (rc == 0)
        rc = read_view(walked, &lookup, ret_hidden);
    store_view_close(lookup.view);
    store_view_close(walked);
    return rc;
}

static int read_folder(const char *path, struct text *text, uint64_t *ret_covered, bool *ret_hidden,
                       struct store_error *err)
{
    struct tables_options options = {.path = path, .read_only = true};
    struct tables *tables = NULL;
    struct tables_meta meta = {0};
    int rc = tables_open(&tables, &options, err);
    if (rc == 0)
        rc = tables_meta(tables, &meta, err);
    if (rc == 0)
        rc = read_tables(tables, text, ret_hidden, err);
    tables_close(tables);
    *ret_covered = meta.covered;
    return rc;
}

// As a broker or the command line does when the tables are behind the journal.
static int recover_copy(struct text *text, struct store_error *err)
{
    static const char *const names[] = {"data.mdb", "0000000001.log", "0000000002.log"};
    struct store_options options = {
        .path = scratch, .access = STORE_RECOVER, .journal_segment_bytes = 1 << 20};
    struct store *store = NULL;
    uint64_t covered;
    bool hidden = false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        file_copy(path_in(folder, names[i]), path_in(scratch, names[i]));
    unlink(path_in(scratch, "lock.mdb"));
    int rc = store_open(&store, &options, err);
    store_close(store, false, NULL);
    return rc ? rc : read_folder(scratch, text, &covered, &hidden, err);
}

// STORE_ENOTFOUND would be told of a damaged store as well as of a sound one.
static bool sentence_is_good(const struct store_error *err)
{
    static const char *const places[] = {
        "data.mdb", ".log",       "meta: ",  "sessions: ",     "messages: ",
        "queue: ",  "retained: ", "wills: ", "subscriptions: "};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (strstr(err->sentence, places[i]))
            return true;
    }
    return false;
}

static enum outcome read_damaged(struct text *text, const char **ret_why, struct store_error *err)
{
    uint64_t covered;
    bool hidden = false;
    int rc = read_folder(folder, text, &covered, &hidden, err);
    if (rc == 0 && covered != sound_covered)
        rc = recover_copy(text, err);
    *ret_why = hidden ? err->sentence : "what is read is not what was stored";
    if (rc) {
        *ret_why = err->sentence;
        return sentence_is_good(err) ? OUTCOME_TOLD : OUTCOME_WRONG;
    }
    return hidden || strcmp(text->bytes, sound.bytes) != 0 ? OUTCOME_WRONG : OUTCOME_SAME;
}

// ---- processes -------------------------------------------------------------------------------

static enum damage damage_of(uint64_t number)
{
    // Bits are what no other check would find; most cuts only end the reader.
    static const uint8_t kinds[] = {
        DAMAGE_BIT,    DAMAGE_BIT_OF_HEAD, DAMAGE_SECTOR,      DAMAGE_BIT,
        DAMAGE_SWAP,   DAMAGE_PAGE,        DAMAGE_BIT_OF_HEAD, DAMAGE_SWAP,
        DAMAGE_BIT,    DAMAGE_STALE,       DAMAGE_BIT,         DAMAGE_NOISE,
        DAMAGE_SECTOR, DAMAGE_BIT_OF_HEAD, DAMAGE_SWAP,        DAMAGE_CUT,
    };
    if (order == DICE)
        return (enum damage)kinds[number % sizeof(kinds)];
    return order == EVERY_PLACE ? DAMAGE_STALE : DAMAGE_BIT;
}

static size_t branch_bits[20000]; // to be flipped, of the keys and pointers of all branch pages

// Branch, leaf, overflow, meta: the flags of LMDB's page.
static unsigned page_kind(size_t offset)
{
    return original[offset + 10] | (unsigned)original[offset + 11] << 8;
}

static size_t damage_number(int fd, uint64_t number)
{
    uint64_t dice = seed ^ number * 0x9e3779b97f4a7c15u;
    size_t pages = file_size / PAGE;
    switch (order) {
    case EVERY_BIT:
        touched[0] = (size_t)number / 8 / PAGE * PAGE;
        flip(fd, (size_t)number);
        return (size_t)number / 8;
    case EVERY_PLACE:
        touched[0] = (size_t)number / pages * PAGE;
        if (page_kind(touched[0]) == page_kind((size_t)number % pages * PAGE))
            write_at(fd, touched[0], original + (size_t)number % pages * PAGE, PAGE);
        return touched[0];
    case EVERY_BRANCH:
        touched[0] = branch_bits[number] / 8 / PAGE * PAGE;
        flip(fd, branch_bits[number]);
        return branch_bits[number] / 8;
    default:
        return damage_do(fd, damage_of(number), &dice);
    }
}

static void first_difference(const char *read, const char *stored, char *dst, size_t bytes)
{
    size_t same = 0;
    while (read[same] && read[same] == stored[same])
        same++;
    while (same > 0 && read[same - 1] != '\n')
        same--;
    snprintf(dst, bytes, "read:   %.*s\n  stored: %.*s", (int)strcspn(read + same, "\n"),
             read + same, (int)strcspn(stored + same, "\n"), stored + same);
}

static void note_wrong(uint64_t number, size_t offset, const char *why, const char *read)
{
    char difference[1024];
    if (progress->first_wrong[0])
        return;
    first_difference(read ? read : "", sound.bytes, difference, sizeof(difference));
    snprintf(progress->first_wrong, sizeof(progress->first_wrong),
             "SEED=%llu FIRST=%llu DAMAGES=%s: %s, page %zu offset %zu: %s\n  %s",
             (unsigned long long)seed, (unsigned long long)number, order == DICE ? "1" : "all",
             damage_texts[damage_of(number)], offset / PAGE, offset % PAGE, why, difference);
}

// Reads until it has read all, or dies.
static _Noreturn void reader_main(void)
{
    struct rlimit cpu = {CPU_LIMIT_S, CPU_LIMIT_S}, core = {0, 0};
    struct text text = {0};
    int fd = file_open();
    if (freopen("/dev/null", "w", stderr) == NULL) // assertions of LMDB
        _exit(1);
    setrlimit(RLIMIT_CORE, &core);
    while (progress->next < first + count) {
        struct store_error err = {0};
        const char *why;
        struct rusage used;
        getrusage(RUSAGE_SELF, &used);
        // A tree that damage has closed to a ring is cut off by the limit, for each one anew.
        cpu.rlim_cur = (rlim_t)used.ru_utime.tv_sec + (rlim_t)used.ru_stime.tv_sec + CPU_LIMIT_S;
        cpu.rlim_max = RLIM_INFINITY;
        setrlimit(RLIMIT_CPU, &cpu);
        size_t offset = damage_number(fd, progress->next);
        enum outcome outcome = read_damaged(&text, &why, &err);
        if (outcome == OUTCOME_WRONG)
            note_wrong(progress->next, offset, why, text.bytes);
        progress->outcomes[damage_of(progress->next)][outcome]++;
        undo(fd, damage_of(progress->next));
        progress->next++;
    }
    exit(0);
}

static void read_on(void)
{
    int state = 0;
    fflush(stdout);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        reader_main();
    ck_assert_int_eq(waitpid(pid, &state, 0), pid);
    if (WIFEXITED(state)) {
        ck_assert_int_eq(WEXITSTATUS(state), 0);
        return;
    }
    // As child.c and guard.c know them.
    int death = WTERMSIG(state);
    ck_assert_msg(death == SIGSEGV || death == SIGBUS || death == SIGABRT || death == SIGFPE ||
                      death == SIGXCPU,
                  "the reader of %llu died of signal %d", (unsigned long long)progress->next,
                  death);
    progress->outcomes[damage_of(progress->next)][OUTCOME_DIED]++;
    progress->next++;
    int fd = file_open();
    write_at(fd, 0, original, file_size);
    close(fd);
}

// ---- the tests -------------------------------------------------------------------------------

static void store_make(const char *path)
{
    char command[4096];
    snprintf(command, sizeof(command), "'%s' lived '%s'", MAKE_STORE, path);
    ck_assert_int_eq(system(command), 0);
}

static void setup(void)
{
    struct store_error err = {0};
    bool hidden = false;
    folder = folder_make();
    scratch = folder_make();
    store_make(folder);
    int rc = read_folder(folder, &sound, &sound_covered, &hidden, &err);
    ck_assert_msg(rc == 0 && !hidden, "%s", err.sentence);

    const char *path = path_in(folder, "data.mdb");
    file_size = (size_t)file_bytes(path);
    original = malloc(file_size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(read(fd, original, file_size), (ssize_t)file_size);
    close(fd);
    progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(progress, MAP_FAILED);
}

static void teardown(void)
{
    munmap(progress, sizeof(*progress));
    free(original);
    free(sound.bytes);
    folder_remove(folder);
    folder_remove(scratch);
}

static void report(void)
{
    printf("%-34s %10s %10s %10s %10s\n", "", "no harm", "told", "reader died", "wrong");
    for (int damage = 0; damage < DAMAGE_COUNT; damage++) {
        const uint64_t *outcomes = progress->outcomes[damage];
        printf("%-34s %10llu %10llu %10llu %10llu\n", damage_texts[damage],
               (unsigned long long)outcomes[OUTCOME_SAME],
               (unsigned long long)outcomes[OUTCOME_TOLD],
               (unsigned long long)outcomes[OUTCOME_DIED],
               (unsigned long long)outcomes[OUTCOME_WRONG]);
    }
    fflush(stdout);
}

static void damage_from_to(uint64_t from, uint64_t number)
{
    first = from;
    count = number;
    progress->next = first;
    while (progress->next < first + count)
        read_on();
    report();
    uint64_t sums[OUTCOME_COUNT] = {0};
    for (int damage = 0; damage < DAMAGE_COUNT; damage++) {
        for (int outcome = 0; outcome < OUTCOME_COUNT; outcome++)
            sums[outcome] += progress->outcomes[damage][outcome];
    }
    ck_assert_msg(sums[OUTCOME_WRONG] == 0, "%llu of %llu damages served; the first: %s",
                  (unsigned long long)sums[OUTCOME_WRONG], (unsigned long long)count,
                  progress->first_wrong);
    ck_assert_uint_eq(sums[OUTCOME_SAME] + sums[OUTCOME_TOLD] + sums[OUTCOME_DIED], count);
    ck_assert(count < 1000 || (sums[OUTCOME_SAME] > 0 && sums[OUTCOME_TOLD] > 0));
}

START_TEST(nothing_wrong_is_served)
{
    const char *damages = getenv("DAMAGES"), *from = getenv("FIRST");
    bool all = damages && strcmp(damages, "all") == 0;
    uint64_t begin = from ? strtoull(from, NULL, 10) : 0;
    seed = seed_choose();
    order = all ? EVERY_BIT : DICE;
    damage_from_to(begin, all       ? file_size * 8 - begin
                          : damages ? strtoull(damages, NULL, 10)
                                    : 8000);
}
END_TEST

START_TEST(a_page_in_the_place_of_another_is_not_served)
{
    size_t pages = file_size / PAGE;
    order = EVERY_PLACE;
    damage_from_to(0, pages * pages);
}
END_TEST

static size_t page_u16(size_t page, size_t at)
{
    return original[page + at] | (size_t)original[page + at + 1] << 8;
}

// A bit of each byte that is used in a page that leads to others: what LMDB looks for by its key
// then lies elsewhere, and a walk, which does not look at these keys, still finds everything.
START_TEST(a_search_that_is_led_astray_is_not_served)
{
    size_t bits = 0;
    for (size_t page = 0; page < file_size; page += PAGE) {
        size_t lower = page_u16(page, PAGE_LOWER_AT), upper = page_u16(page, PAGE_UPPER_AT);
        for (size_t at = PAGE_HEAD_BYTES; page_kind(page) == PAGE_BRANCH && at < PAGE; at++) {
            if (at >= lower && at < upper)
                continue;
            ck_assert_uint_lt(bits, sizeof(branch_bits) / sizeof(branch_bits[0]));
            branch_bits[bits++] = (page + at) * 8 + at % 8;
        }
    }
    ck_assert_uint_gt(bits, 100);
    order = EVERY_BRANCH;
    damage_from_to(0, bits);
}
END_TEST

// Whole, and of this very store, but from before it was opened last.
START_TEST(an_older_copy_is_not_served)
{
    struct store_options options = {.path = folder, .journal_segment_bytes = 1 << 20};
    struct store *store = NULL;
    struct store_error err = {0};
    ck_assert_int_eq(store_open(&store, &options, &err), 0);
    ck_assert_int_eq(store_close(store, true, &err), 0);
    // What the tables have may go from the journal, and on a disk with room it has gone.
    unlink(path_in(folder, "0000000001.log"));
    file_overwrite(path_in(folder, "data.mdb"), 0, original, file_size);
    ck_assert_int_eq(store_open(&store, &options, &err), STORE_EDAMAGED);
    ck_assert_msg(strstr(err.sentence, ".log is missing"), "%s", err.sentence);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tables_damage");
    TCase *cases = tcase_create("tables_damage");
    tcase_set_timeout(cases, 0);
    tcase_add_checked_fixture(cases, setup, teardown);
    tcase_add_test(cases, nothing_wrong_is_served);
    tcase_add_test(cases, a_page_in_the_place_of_another_is_not_served);
    tcase_add_test(cases, a_search_that_is_led_astray_is_not_served);
    tcase_add_test(cases, an_older_copy_is_not_served);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
