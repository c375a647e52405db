// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Recovery's reading of a journal. The input is a list of what to write, one after the other, into
// segments of 64 KiB: a sealed record, with any type, body and durable position, bytes as they are,
// a change to a header, the next segment. So the reader gets past the checksums, and meets what
// only a writer with a bug or an enemy with a hex editor makes.
#include "fuzz.h"
#include "store/bytes.h"
#include "store/journal_scan.h"
#include "store/record.h"

#include <string.h>

#define SEGMENTS_MAX 3u
#define BODY_MAX_BYTES 4096u

enum step { STEP_RECORD, STEP_LINK, STEP_BYTES, STEP_SKIP, STEP_SEGMENT, STEP_HEADER, STEPS };

static uint8_t segments[SEGMENTS_MAX][SEGMENT_MIN_BYTES];
static const uint8_t store_id[16] = "fuzzfuzzfuzzfuzz";

struct writing {
    struct segment_header header;
    unsigned count;
    uint64_t offset;
    uint64_t checksum; // of the last record
    uint64_t end;      // position behind it
};

static void segment_begin(struct writing *writing)
{
    uint8_t *segment = segments[writing->count++];
    memset(segment, 0, SEGMENT_MIN_BYTES);
    writing->header = (struct segment_header){.version = FORMAT_VERSION,
                                              .number = writing->count,
                                              .life = 1,
                                              .salt = 4711 + writing->count,
                                              .bytes = SEGMENT_MIN_BYTES};
    memcpy(writing->header.store_id, store_id, sizeof(store_id));
    segment_header_encode(&writing->header, segment);
    writing->offset = SEGMENT_HEADER_BYTES;
}

static void record_write(struct writing *writing, uint8_t type, struct span body, uint64_t durable)
{
    uint8_t *segment = segments[writing->count - 1];
    size_t total = frame_total_bytes(body.len);
    if (writing->offset % FRAME_ALIGN ||
        writing->offset + total + FRAME_TERMINATOR_BYTES > SEGMENT_MIN_BYTES)
        return;
    uint64_t position = position_of(writing->header.number, writing->offset);
    if (body.len > 0)
        memcpy(segment + writing->offset + FRAME_HEADER_BYTES, body.data, body.len);
    writing->checksum = frame_seal(segment + writing->offset, type, body.len, writing->header.salt,
                                   position, durable);
    writing->offset += total;
    writing->end = position_of(writing->header.number, writing->offset);
}

static void link_write(struct writing *writing)
{
    uint8_t body[16];
    put_u64(body, writing->end);
    put_u64(body + 8, writing->checksum);
    record_write(writing, RECORD_SEGMENT_LINK, span_of(body, sizeof(body)), writing->end);
}

static void step_do(struct writing *writing, struct fuzz_input *input)
{
    uint8_t *segment = segments[writing->count - 1];
    uint8_t step = fuzz_u8(input);
    struct span bytes;
    uint16_t at;
    switch (step % STEPS) {
    case STEP_RECORD: {
        uint8_t type = fuzz_u8(input);
        // Near the records, where it means something.
        uint64_t durable = writing->end - fuzz_u8(input) * 8u;
        bytes = fuzz_bytes(input, fuzz_u16(input) % BODY_MAX_BYTES);
        record_write(writing, type, bytes, step < 128 ? durable : fuzz_u64(input));
        break;
    }
    case STEP_LINK:
        link_write(writing);
        break;
    case STEP_BYTES:
        at = fuzz_u16(input);
        bytes = fuzz_bytes(input, fuzz_u8(input));
        if ((size_t)at + bytes.len <= SEGMENT_MIN_BYTES && bytes.len > 0)
            memcpy(segment + at, bytes.data, bytes.len);
        break;
    case STEP_SKIP:
        writing->offset += 8u * fuzz_u8(input);
        break;
    case STEP_SEGMENT:
        if (writing->count < SEGMENTS_MAX)
            segment_begin(writing);
        break;
    default: // a header that checks and says something else
        bytes = fuzz_bytes(input, 8);
        memcpy(segment + 8 * (1 + fuzz_u8(input) % 10), bytes.data ? bytes.data : "", bytes.len);
        put_u64(segment + 88, 0);
        struct segment_header header;
        if (segment_header_decode(segment, &header, NULL) == 0)
            writing->header.salt = header.salt;
    }
}

struct seen {
    uint64_t events;
    uint64_t last;
};

static int on_event(void *user, const struct event *event, uint64_t position,
                    struct store_error *err)
{
    struct seen *seen = user;
    (void)err;
    FUZZ_REQUIRE(position > seen->last);
    seen->last = position;
    seen->events += event->type != RECORD_LOOP_MARK && event->type != RECORD_SEGMENT_LINK &&
                    event->type != RECORD_STOP_MARK;
    return 0;
}

static void journal_read(struct os_dir *dir, uint64_t from)
{
    struct journal_extent extent;
    struct store_error err = {0};
    uint64_t records, end;
    if (journal_scan(dir, store_id, from, &extent, &err)) {
        FUZZ_REQUIRE(err.code == STORE_EDAMAGED || err.code == STORE_EVERSION ||
                     err.code == STORE_EFOREIGN);
        FUZZ_REQUIRE(strstr(err.sentence, ".log"));
    } else {
        struct seen seen = {0};
        struct journal_reader reader = {.event = on_event, .user = &seen};
        FUZZ_REQUIRE(extent.end >= from);
        int rc = journal_replay(dir, store_id, from, extent.end, &reader, &err);
        FUZZ_REQUIRE(rc == 0 ? seen.events == extent.records : rc == STORE_EDAMAGED);
    }
    journal_count(dir, store_id, from, &records, &end, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"0000000001.log", "0000000002.log", "0000000003.log"};
    struct fuzz_input input = {data, size};
    struct writing writing = {0};
    struct os_dir *dir = NULL;
    segment_begin(&writing);
    writing.end = position_of(1, SEGMENT_HEADER_BYTES);
    uint64_t from = writing.end + fuzz_u8(&input) / 16 * 8u;
    while (input.left > 0)
        step_do(&writing, &input);
    for (unsigned i = 0; i < SEGMENTS_MAX; i++) {
        if (i < writing.count)
            fuzz_file(names[i], segments[i], SEGMENT_MIN_BYTES);
        else
            fuzz_file_remove(names[i]);
    }
    FUZZ_REQUIRE(os_dir_open(&dir, fuzz_folder(), 0, NULL) == 0);
    journal_read(dir, from);
    os_dir_close(dir);
    return 0;
}
