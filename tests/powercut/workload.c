// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// workload FOLDER DEVICE OFFSET STEPS SYNC: what runs in the virtual machine whose power is cut.
// Appends messages to a new store with sync `always` or `interval`, and writes the number of each
// message that is durable to OFFSET of the DEVICE that also holds the file system, but lies outside
// of it: so the log of the disk says at each place what had been promised by then. replay.py knows
// the messages.
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// With sync interval, how many messages are between two looks at how far it has come.
#define LOOK_EACH 7
// Messages that are there at a time: those before are removed again.
#define LAG 200
#define MARK_BYTES 512
#define PAYLOAD_MAX_BYTES 4000u

static struct store *store;

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    printf("workload: %s\n", what);
    exit(1);
}

static void append(const struct event *event)
{
    struct store_error err = {0};
    need(store_append(store, event, &err) == 0, err.sentence);
}

// A payload of its own for every number: the number, in as many bytes as the number says.
static struct span payload_of(uint64_t number)
{
    static char payload[PAYLOAD_MAX_BYTES + 24];
    size_t len = (size_t)(number * 2654435761u % PAYLOAD_MAX_BYTES);
    size_t head = (size_t)snprintf(payload, sizeof(payload), "%llu:", (unsigned long long)number);
    for (size_t i = 0; i < len; i++)
        payload[head + i] = (char)('a' + (number + i) % 23);
    return span_of(payload, head + len);
}

static void message_event(enum record_type type, uint64_t number)
{
    struct event event = {.type = type,
                          .message = {.store_id = number,
                                      .topic = span_str("t"),
                                      .payload = payload_of(number),
                                      .source_id = span_str("source"),
                                      .qos = 1}};
    append(&event);
}

static void queue_event(enum record_type type, uint64_t number)
{
    struct event event = {.type = type,
                          .queued = {.client_id = span_str("sub"),
                                     .cmsg_id = number,
                                     .store_id = number,
                                     .direction = QUEUE_OUT,
                                     .qos = 1,
                                     .state = QUEUE_STATE_QUEUED}};
    append(&event);
}

static void mark(int device, off_t offset, uint64_t number)
{
    static _Alignas(4096) char block[MARK_BYTES];
    snprintf(block, sizeof(block), "durable %llu\n", (unsigned long long)number);
    need(pwrite(device, block, sizeof(block), offset) == MARK_BYTES, "cannot write the mark");
}

static struct store_stats stats_now(void)
{
    struct store_stats stats;
    struct store_error err = {0};
    need(store_stats(store, &stats, &err) == 0, err.sentence);
    return stats;
}

// With sync interval: the number of the last message that is known to be on the disk.
static uint64_t durable_number(uint64_t number)
{
    static uint64_t looked_at, looked_at_end, known;
    struct store_stats stats = stats_now();
    if (stats.journal_durable >= looked_at_end)
        known = looked_at;
    if (known == looked_at) {
        looked_at = number;
        looked_at_end = stats.journal_end;
    }
    return known;
}

int main(int argc, char **argv)
{
    struct store_error err = {0};
    need(argc == 6, "usage: workload FOLDER DEVICE OFFSET STEPS SYNC");
    bool always = strcmp(argv[5], "always") == 0;
    off_t place = (off_t)strtoull(argv[3], NULL, 10);
    int device = open(argv[2], O_WRONLY | O_DIRECT | O_CLOEXEC);
    need(device >= 0, "cannot open the device");
    struct store_options options = {.path = argv[1],
                                    .create = true,
                                    .sync = always ? STORE_SYNC_ALWAYS : STORE_SYNC_INTERVAL,
                                    .sync_interval_ms = 5,
                                    .commit_interval_ms = 50,
                                    .journal_segment_bytes = 65536};
    need(store_open(&store, &options, &err) == 0, err.sentence);
    struct event session = {
        .type = RECORD_SESSION_ADD,
        .session = {.client_id = span_str("sub"), .session_expiry_interval = SESSION_EXPIRY_NEVER}};
    append(&session);
    uint64_t steps = strtoull(argv[4], NULL, 10);
    for (uint64_t number = 1; number <= steps; number++) {
        message_event(RECORD_MESSAGE_ADD, number);
        queue_event(RECORD_QUEUE_ADD, number);
        if (always)
            mark(device, place, number);
        else if (number % LOOK_EACH == 0)
            mark(device, place, durable_number(number));
        if (number > LAG) {
            queue_event(RECORD_QUEUE_DELETE, number - LAG);
            message_event(RECORD_MESSAGE_DELETE, number - LAG);
        }
        store_tick(store);
    }
    printf("workload: %llu messages\n", (unsigned long long)steps);
    return 0; // as a killed process would
}
