// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "workload.h"

#include "schedule.h"
#include "store/bytes.h"
#include "store/checksum.h"
#include "store/format.h"
#include "store/journal_internal.h"
#include "store/record.h"
#include "store/store_internal.h"
#include "support.h"
#include "tables_memory.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL STORE_SYNC_INTERVAL
#define ALWAYS STORE_SYNC_ALWAYS
#define OS STORE_SYNC_OS

const struct workload workloads[] = {
    {"nothing", INTERVAL, 4, ""},
    {"one event", INTERVAL, 4, "m"},
    {"one event, synced", OS, 4, "ms"},
    {"one promised event", ALWAYS, 4, "q"},
    {"promised events", ALWAYS, 4, "q6"},
    {"promised behind unpromised", ALWAYS, 4, "mmqmqv"},
    {"small and never synced", OS, 4, "m9"},
    {"syncs between", OS, 4, "m2sm2sm2"},
    {"the syncer's interval", INTERVAL, 4, "m2w12m2w12m"},
    {"the syncer meets the writer", INTERVAL, 4, "mw10m3w10m3w10m3w10lm"},
    {"the syncer meets the committer", INTERVAL, 4, "mw990m2w10m2w10mw10lm"},
    {"a promise meets the syncer", ALWAYS, 4, "mw10qmw10qmw10qmw10q"},
    {"a mark when idle", OS, 4, "m2stm2"},
    {"marks by the clock", INTERVAL, 4, "mw200tmw200tw200m"},
    {"a mark that is synced", OS, 4, "mstsm2"},
    {"large records", OS, 4, "l2"},
    {"large records, synced", OS, 4, "lsls"},
    {"roll over", OS, 6, "l4"},
    {"roll over between syncs", OS, 6, "l2sl2sl2"},
    {"roll over with promises", ALWAYS, 6, "lqlqlqlq"},
    {"roll over by the syncer", INTERVAL, 8, "lw20l2w20lm"},
    {"huge records", OS, 8, "hshmh"},
    {"an oversize record", OS, 8, "mom"},
    {"an oversize record that was admitted", OS, 8, "dmosm"},
    {"oversize, synced", ALWAYS, 8, "oqoq"},
    {"forged frames", OS, 8, "Fsm2"},
    {"forged frames are recycled", OS, 4, "F4fw10m3h2fw10mem"},
    {"forged frames under always", ALWAYS, 4, "F4qfw10q3F3fw10qeq"},
    {"records that end with a granule", OS, 4, "eemese"},
    {"edges over recycled bytes", OS, 4, "F8fw10p1e5mefee"},
    {"flush", INTERVAL, 4, "m3fm2fp2m"},
    {"the committer's interval", INTERVAL, 4, "m2p1m2p1m"},
    {"cover and recycle", OS, 4, "l4fw10l4fw10l4m"},
    {"recycle under load", INTERVAL, 6, "hhfhhfhhfq"},
    {"recycle many at once", OS, 10, "h6fmh6fmh6fm"},
    {"recycle, then idle", OS, 4, "l5fi1m2"},
    {"nothing for the tables", OS, 4, "v3fv3sv"},
    {"nothing for the tables, over segments", OS, 8, "vlvl2vp1vp1m"},
    {"only what vanishes, over segments", OS, 8, "v2h3v2p3v2"},
    {"the journal is full", OS, 4, "h9fw300h2m"},
    {"clean stop", INTERVAL, 4, "m3cm2"},
    {"clean stop with nothing to say", INTERVAL, 4, "cc"},
    {"clean stops", OS, 4, "mcmcm"},
    {"killed", OS, 4, "m3km2"},
    {"killed and synced", OS, 4, "msmkmsm"},
    {"killed over segments", OS, 8, "l5kl4km"},
    {"killed twice at once", OS, 6, "m2kkm"},
    {"killed after recycling", OS, 4, "F6fw10m2kF2m"},
    {"killed with a mark", INTERVAL, 4, "mstkm"},
    {"killed under always", ALWAYS, 4, "q2kq2kq"},
    {"modes change", OS, 4, "m2Aq2Iqw200Om2"},
    {"everything", INTERVAL, 6, "m2lqstFhfkm2oecAq2vIp1F2kl3q"},
};
const size_t workload_count = sizeof(workloads) / sizeof(workloads[0]);

enum kind { KIND_QUEUE = 1, KIND_PATTERN, KIND_FORGED, KIND_EDGE, KIND_VANISHES };

static uint8_t payloads[RUN_DEPTH_MAX + 1][128 * 1024];

bool event_id_vanishes(uint64_t id)
{
    return (id & 15) == KIND_VANISHES;
}

uint64_t event_sum(const struct event *event)
{
    if (event->type == RECORD_QUEUE_ADD)
        return checksum64(event->queued.client_id.data, event->queued.client_id.len,
                          event->queued.mid);
    if (event->type == RECORD_MESSAGE_ADD)
        return checksum64(event->message.payload.data, event->message.payload.len, 7);
    return 0;
}

size_t oracle_before(const struct oracle *oracle, uint64_t position)
{
    size_t count = 0;
    while (count < oracle->count && oracle->ends[count] <= position)
        count++;
    return count;
}

void run_note_durable(struct run *run)
{
    if (!run->store || !run->store->journal)
        return;
    size_t durable = oracle_before(&run->oracle, journal_durable(run->store->journal));
    if (durable > run->oracle.acked)
        run->oracle.acked = durable;
}

static void notice(void *user, enum store_notice_level level, const char *sentence)
{
    struct run *run = user;
    ck_assert_msg(strlen(sentence) > 10, "a notice says nothing: %s", sentence);
    if (level == STORE_NOTICE_ERROR && strstr(sentence, "takes nothing more"))
        run->poison_notices++;
    ck_assert_msg(run->poison_notices <= 1, "it was said twice: %s", sentence);
}

static struct store_options options_of(struct run *run)
{
    return (struct store_options){
        .path = "memory",
        .create = true,
        .sync = run->workload->sync,
        .sync_interval_ms = 10,
        .journal_segment_bytes = SEGMENT_MIN_BYTES,
        .journal_max_bytes = (uint64_t)run->workload->segments_max * SEGMENT_MIN_BYTES,
        .notice = notice,
        .notice_user = run,
    };
}

void run_init(struct run *run, const struct workload *workload, struct disk *disk, uint64_t seed)
{
    *run = (struct run){.workload = workload, .disk = disk, .at = workload->steps};
    memory_random_seed(seed);
    disk_select(disk);
}

static void run_refused(struct run *run, int rc, const char *what, const struct store_error *err)
{
    ck_assert_msg(err->code == rc, "%s: %s: returned %d, but the error says %d: %s",
                  run->workload->name, what, rc, err->code, err->sentence);
    ck_assert_msg(strlen(err->sentence) > 10 && !strchr(err->sentence, '\n'), "%s: no sentence: %s",
                  what, err->sentence);
    bool full = rc == STORE_EFULL;
    ck_assert_msg(run->faults || full, "%s: step %s: %s: %s", run->workload->name, run->at, what,
                  err->sentence);
    run->refused++;
}

int run_open(struct run *run)
{
    struct store_error err = {0};
    struct store_options options = options_of(run);
    run->poison_notices = 0;
    int rc = store_open(&run->store, &options, &err);
    if (rc) {
        run->store = NULL;
        run_refused(run, rc, "open", &err);
        return rc;
    }
    run->oracle.acked = run->oracle.count;
    return 0;
}

void run_close(struct run *run, bool clean)
{
    struct store_error err = {0};
    struct store *store = run->store;
    if (!store)
        return;
    int rc = store_close(store, clean, &err);
    run->store = NULL;
    if (rc)
        run_refused(run, rc, "close", &err);
    else if (clean)
        run->oracle.acked = run->oracle.count;
}

// Frames that would be perfect if the salt were 0 and the segment had another number: a publisher
// may guess where the file will be used again.
static size_t payload_forge(const struct run *run, size_t head, uint8_t *payload)
{
    const struct journal *journal = run->store->journal;
    const size_t len = 7000, frame = frame_total_bytes(8);
    uint64_t number = journal->current->header.number;
    uint64_t start = journal->offset + head;
    // The first eight bytes are not the payload's alone if it does not begin at a multiple of 32.
    memset(payload, 'f', len);
    size_t at = (size_t)((frame - start % frame) % frame);
    for (unsigned i = 0; at + frame + FRAME_TERMINATOR_BYTES <= len; at += frame, i++) {
        _Alignas(8) uint8_t forged[64];
        uint64_t position = position_of(number + 1 + i % 7, start + at);
        put_u64(forged + FRAME_HEADER_BYTES, 0xbad);
        frame_seal(forged, RECORD_MESSAGE_DELETE, 8, 0, position, UINT64_MAX);
        memcpy(payload + at, forged, frame);
    }
    return len;
}

// So that the frame ends where a granule does.
static size_t payload_edge(const struct run *run, size_t head)
{
    uint64_t end = (run->store->journal->offset + head) % DISK_GRANULE_BYTES;
    size_t len = DISK_GRANULE_BYTES - (size_t)end;
    return len < 64 ? len + DISK_GRANULE_BYTES : len;
}

static struct event event_make(struct run *run, char step, uint64_t id)
{
    if (step == 'q')
        return (struct event){.type = RECORD_QUEUE_ADD,
                              .queued = {.client_id = span_str("client"),
                                         .cmsg_id = id,
                                         .store_id = id,
                                         .mid = (uint16_t)id,
                                         .direction = QUEUE_OUT,
                                         .qos = 1}};
    if (step == 'v')
        return (struct event){.type = RECORD_MESSAGE_DELETE, .message = {.store_id = id}};

    struct event event = {.type = RECORD_MESSAGE_ADD,
                          .message = {.store_id = id, .topic = span_str("t")}};
    uint8_t *payload = payloads[run->depth];
    size_t head = 0, len = 0;
    record_size(&event, &head, NULL);
    head += FRAME_HEADER_BYTES;
    switch (step) {
    case 'F':
        len = payload_forge(run, head, payload);
        break;
    case 'e':
        len = payload_edge(run, head);
        break;
    default:
        len = step == 'l' ? 20000 : step == 'h' ? 50000 : step == 'o' ? 100000 : 30 + id % 50;
    }
    if (step != 'F') {
        uint64_t seed = id + run->variant;
        for (size_t i = 0; i < len; i += 4)
            put_u32(payload + i, (uint32_t)((seed = seed * 6364136223846793005u + 1) >> 32));
    }
    event.message.payload = span_of(payload, len);
    return event;
}

static enum kind step_kind(char step)
{
    switch (step) {
    case 'q':
        return KIND_QUEUE;
    case 'v':
        return KIND_VANISHES;
    case 'F':
        return KIND_FORGED;
    case 'e':
        return KIND_EDGE;
    default:
        return KIND_PATTERN;
    }
}

static void step_append(struct run *run, char step)
{
    struct store_error err = {0};
    struct oracle *oracle = &run->oracle;
    struct journal *journal = run->store->journal;
    uint64_t id = ++run->serial << 4 | step_kind(step);
    struct event event = event_make(run, step, id);
    ck_assert_uint_lt(oracle->count, ORACLE_EVENTS_MAX);
    oracle->ids[oracle->count] = id;
    oracle->sums[oracle->count] = event_sum(&event);
    oracle->ends[oracle->count++] = UINT64_MAX;

    bool was_poisoned = atomic_load(&journal->poisoned);
    int rc = store_append(run->store, &event, &err);
    if (rc)
        run_refused(run, rc, "append", &err);
    ck_assert_msg(!was_poisoned || rc == STORE_EPOISONED, "a poisoned journal took an event");
    // A sync that failed does not take the record out again.
    if (rc && (rc != STORE_EPOISONED || was_poisoned))
        oracle->count--;
    else
        oracle->ends[oracle->count - 1] = journal->unmarked_end;
    if (rc == 0 && atomic_load(&journal->sync_mode) == STORE_SYNC_ALWAYS && step == 'q')
        oracle->acked = oracle->count;
}

static void step_sync(struct run *run)
{
    struct store_error err = {0};
    size_t count = run->oracle.count;
    bool was_poisoned = atomic_load(&run->store->journal->poisoned);
    int rc = journal_sync(run->store->journal, &err);
    ck_assert_msg(!was_poisoned || rc == STORE_EPOISONED, "a poisoned journal was synced");
    if (rc)
        run_refused(run, rc, "sync", &err);
    else
        run->oracle.acked = count;
}

static void step_flush(struct run *run)
{
    struct store_error err = {0};
    size_t count = run->oracle.count;
    int rc = store_flush(run->store, &err);
    if (rc)
        run_refused(run, rc, "flush", &err);
    else if (count > run->oracle.acked)
        run->oracle.acked = count;
}

static void step_admit(struct run *run)
{
    struct store_error err = {0};
    int rc = store_admit(run->store, 100000, &err);
    if (rc)
        run_refused(run, rc, "admit", &err);
}

static void step_reconfigure(struct run *run, enum store_sync sync)
{
    struct store_options options = options_of(run);
    options.sync = sync;
    store_reconfigure(run->store, &options);
}

static void step_run(struct run *run, char step, uint32_t count)
{
    switch (step) {
    case 's':
        step_sync(run);
        break;
    case 'f':
        step_flush(run);
        break;
    case 't':
        store_tick(run->store);
        break;
    case 'd':
        step_admit(run);
        break;
    case 'w':
        schedule_sleep_ms(count);
        break;
    case 'p':
        schedule_sleep_ms(count * 1100);
        break;
    case 'i':
        schedule_sleep_ms(count * 6000);
        break;
    case 'c':
    case 'k':
        run_close(run, step == 'c');
        run_open(run);
        break;
    case 'A':
    case 'I':
    case 'O':
        step_reconfigure(run, step == 'A' ? ALWAYS : step == 'I' ? INTERVAL : OS);
        break;
    default:
        step_append(run, step);
    }
}

void run_steps(struct run *run, const char *steps)
{
    for (const char *at = steps; *at && run->store;) {
        char step = *at, *end = NULL;
        uint32_t count = (uint32_t)strtoul(at + 1, &end, 10);
        bool passes_time = step == 'w' || step == 'p' || step == 'i';
        if (!count)
            count = 1;
        run->at = at;
        if (passes_time)
            step_run(run, step, count);
        for (uint32_t i = 0; !passes_time && i < count && run->store; i++) {
            step_run(run, step, 1);
            disk_point(run->disk);
        }
        at = end;
    }
}
