// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "store_run.h"

#include "schedule.h"
#include "store/format.h"
#include "store/journal_internal.h"
#include "store/maintain.h"
#include "store/record.h"
#include "store/store_internal.h"
#include "store/tables_internal.h"
#include "support.h"
#include "tables_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL STORE_SYNC_INTERVAL
#define ALWAYS STORE_SYNC_ALWAYS
#define OS STORE_SYNC_OS

const struct store_workload store_workloads[] = {
    {"nothing", INTERVAL, ""},
    {"a few events", INTERVAL, "e5"},
    {"acknowledged events", ALWAYS, "e12"},
    {"commits between", INTERVAL, "e6fe6fe6fe2"},
    {"the committer's interval", INTERVAL, "e6p1e6p1e6p1e2"},
    {"the committer under always", ALWAYS, "e4p1e4p1e4p1e2"},
    {"never synced but by commits", OS, "e8fe8p1e8"},
    {"many events in one commit", OS, "e90fe"},
    {"large messages", INTERVAL, "l3efl3e"},
    {"recycled segments", OS, "l4efl4efl4efe"},
    {"recycled under always", ALWAYS, "l3efl3efl2e"},
    {"pages that are freed and used again", OS, "l2e9fe9fl2e9fe9fe9f"},
    {"clean stops", INTERVAL, "e6ce6ce6c"},
    {"killed", INTERVAL, "e6ke6fe3kke4"},
    {"killed over segments", OS, "l5ekl3ek"},
    {"compacted", OS, "e20fCe6fCe2"},
    {"compacted after large messages", INTERVAL, "l4e6fl2Ce4f"},
    {"compacted with a journal's tail", OS, "e9Cke3C"},
    {"idle", INTERVAL, "e4w30te2p2i1te2"},
    {"modes change", OS, "e5Ae3Ie3w30Oe3fe"},
    {"everything", INTERVAL, "e8l2fe5ke4Al2e3cIe6p1Ce5fl3fe2"},
};
const size_t store_workload_count = sizeof(store_workloads) / sizeof(store_workloads[0]);

struct store_options store_run_options(const char *folder, enum store_sync sync)
{
    return (struct store_options){
        .path = folder,
        .create = true,
        .sync = sync,
        .sync_interval_ms = 10,
        .journal_segment_bytes = SEGMENT_MIN_BYTES,
        .journal_max_bytes = (uint64_t)12 * SEGMENT_MIN_BYTES,
    };
}

void store_run_init(struct store_run *run, const struct store_workload *workload, struct disk *disk,
                    const char *folder, const char *expected_folder, uint64_t seed,
                    unsigned restless)
{
    memset(run, 0, sizeof(*run));
    run->workload = workload;
    run->disk = disk;
    run->folder = folder;
    run->seed = run->schedule = seed;
    run->restless = restless;
    run->at = workload->steps;
    run->expected_folder = expected_folder;
    run->oracle.texts[0] = strdup("");
    memory_random_seed(seed);
    model_restart();
    disk_select(disk);
}

void store_run_release(struct store_run *run)
{
    tables_close(run->expected);
    for (size_t i = 0; i <= run->oracle.count; i++) {
        free(run->oracle.texts[i]);
        if (i < run->oracle.count)
            free(run->oracle.events[i].body);
    }
}

void store_run_note_durable(struct store_run *run)
{
    struct store_oracle *oracle = &run->oracle;
    if (!run->store || !run->store->journal)
        return;
    uint64_t durable = journal_durable(run->store->journal);
    while (oracle->acked < oracle->count && oracle->events[oracle->acked].end <= durable)
        oracle->acked++;
}

static void run_refused(struct store_run *run, const char *what, const struct store_error *err)
{
    ck_assert_msg(run->faults, "%s: step %s: %s: %s", run->workload->name, run->at, what,
                  err->sentence);
    ck_assert_msg(strlen(err->sentence) > 10, "%s: no sentence: %s", what, err->sentence);
    run->failed = true;
}

// With the store's own secret, for the order of long keys depends on it.
static void expected_open(struct store_run *run)
{
    struct store_error err = {0};
    struct tables_options options = {
        .path = run->expected_folder, .create = true, .first_position = 1};
    memcpy(options.secret, run->store->tables->secret, sizeof(options.secret));
    ck_assert_msg(tables_open(&run->expected, &options, &err) == 0, "%s", err.sentence);
}

int store_run_open(struct store_run *run)
{
    struct store_error err = {0};
    struct store_oracle *oracle = &run->oracle;
    struct store_options options = store_run_options(run->folder, run->workload->sync);
    int rc = store_open(&run->store, &options, &err);
    if (rc) {
        run->store = NULL;
        run_refused(run, "open", &err);
        return rc;
    }
    oracle->acked = oracle->count;
    if (!run->expected)
        expected_open(run);
    model_restart();
    return 0;
}

// Notes the event, and what the store must hold once it is in.
static struct stored_event *oracle_add(struct store_run *run, const struct event *event)
{
    struct store_error err = {0};
    struct store_oracle *oracle = &run->oracle;
    struct stored_event *stored = &oracle->events[oracle->count];
    struct fold *fold = NULL;
    struct text text = {0};
    ck_assert_uint_lt(oracle->count, STORE_EVENTS_MAX);
    stored->type = (uint8_t)event->type;
    stored->end = UINT64_MAX;
    ck_assert_int_eq(record_size(event, &stored->bytes, NULL), 0);
    stored->body = malloc(stored->bytes + 1);
    ck_assert_ptr_nonnull(stored->body);
    record_encode(event, stored->body);
    ck_assert_int_eq(fold_new(&fold, NULL), 0);
    ck_assert_int_eq(fold_add(fold, event, NULL), 0);
    ck_assert_msg(tables_apply(run->expected, fold, oracle->count + 2, false, &err) == 0, "%s",
                  err.sentence);
    fold_free(fold);
    text_of_tables(&text, run->expected);
    oracle->texts[++oracle->count] = text.bytes;
    return stored;
}

void store_run_settle(struct store_run *run)
{
    struct store_oracle *oracle = &run->oracle;
    size_t last = oracle->count - 1;
    oracle->acked = oracle->count;
    if (oracle->events[last].end == UINT64_MAX)
        oracle->events[last].end = last ? oracle->events[last - 1].end + 1 : 1;
}

void store_run_close(struct store_run *run, bool clean)
{
    struct store_error err = {0};
    struct store *store = run->store;
    if (!store)
        return;
    if (clean)
        oracle_add(run, &(struct event){.type = RECORD_STOP_MARK});
    run->store = NULL;
    if (store_close(store, clean, &err))
        run_refused(run, "close", &err);
    else if (clean)
        store_run_settle(run);
}

static struct event event_draw(struct store_run *run, char step)
{
    static uint8_t payload[20000];
    struct event event;
    if (step == 'l') {
        memset(payload, (int)(++run->large & 0xff), sizeof(payload));
        for (size_t i = 0; i < sizeof(payload); i += 50)
            payload[i] = (uint8_t)seed_next(&run->seed, 256);
        return (struct event){.type = RECORD_MESSAGE_ADD,
                              .message = {.store_id = ((uint64_t)1 << 40) + run->large,
                                          .topic = span_str("large"),
                                          .payload = span_of(payload, sizeof(payload)),
                                          .qos = 1}};
    }
    do {
        model_step(&run->model, &run->seed, run->store, &event);
    } while (event.type == RECORD_LOOP_MARK);
    if (event.type == RECORD_QUEUE_ADD || event.type == RECORD_QUEUE_UPDATE ||
        event.type == RECORD_QUEUE_DELETE)
        event.queued.cmsg_id = store_cmsg_id(run->store, event.queued.cmsg_id);
    return event;
}

static void step_append(struct store_run *run, char step)
{
    struct store_error err = {0};
    struct journal *journal = run->store->journal;
    struct event event = event_draw(run, step);
    struct stored_event *stored = oracle_add(run, &event);
    if (store_append(run->store, &event, &err)) {
        run_refused(run, "append", &err);
        return;
    }
    stored->end = journal->unmarked_end;
    if (atomic_load(&journal->sync_mode) == STORE_SYNC_ALWAYS && record_promised(&event))
        run->oracle.acked = run->oracle.count;
}

static void step_make_durable(struct store_run *run, char step)
{
    struct store_error err = {0};
    int rc = step == 's' ? journal_sync(run->store->journal, &err) : store_flush(run->store, &err);
    if (rc)
        run_refused(run, step == 's' ? "sync" : "flush", &err);
    else
        run->oracle.acked = run->oracle.count;
}

// Copying waits for a pipe, which no schedule knows.
static void step_compact(struct store_run *run)
{
    struct store_error err = {0};
    struct store_compact_report report;
    struct store_options options = store_run_options(run->folder, run->workload->sync);
    store_run_close(run, false);
    schedule_end();
    if (store_compact(&options, NULL, NULL, &report, &err))
        run_refused(run, "compact", &err);
    else
        run->oracle.acked = run->oracle.count;
    schedule_begin(++run->schedule, run->restless);
}

static void step_run(struct store_run *run, char step)
{
    struct store_options options = store_run_options(run->folder, STORE_SYNC_OS);
    switch (step) {
    case 's':
    case 'f':
        step_make_durable(run, step);
        break;
    case 't':
        store_tick(run->store);
        break;
    case 'C':
    case 'c':
    case 'k':
        if (step == 'C')
            step_compact(run);
        else
            store_run_close(run, step == 'c');
        if (!run->failed)
            store_run_open(run);
        break;
    case 'A':
    case 'I':
    case 'O':
        options.sync = step == 'A' ? ALWAYS : step == 'I' ? INTERVAL : OS;
        store_reconfigure(run->store, &options);
        break;
    default:
        step_append(run, step);
    }
}

void store_run_steps(struct store_run *run, const char *steps)
{
    for (const char *at = steps; *at && run->store && !run->failed;) {
        char step = *at, *end = NULL;
        uint32_t count = (uint32_t)strtoul(at + 1, &end, 10);
        uint32_t sleep_ms = step == 'w' ? 1 : step == 'p' ? 1100 : step == 'i' ? 6000 : 0;
        if (!count)
            count = 1;
        run->at = at;
        if (sleep_ms)
            schedule_sleep_ms(count * sleep_ms);
        for (uint32_t i = 0; !sleep_ms && i < count && run->store && !run->failed; i++) {
            step_run(run, step);
            disk_point(run->disk);
        }
        at = end;
    }
}
