// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "journal_scan.h"

#include "record.h"
#include "seeded.h"

#include <stdlib.h>

#define REPAIR_ADVICE                                                                              \
    "to keep what can be read, run: mosquitto_lmdb repair --output DIR (then start the broker on " \
    "DIR)"

static bool type_is_mark(uint8_t type)
{
    return type == RECORD_LOOP_MARK || type == RECORD_SEGMENT_LINK || type == RECORD_STOP_MARK;
}

static enum frame_verdict image_frame(const struct segment_image *image, uint64_t offset,
                                      struct frame *frame)
{
    return frame_read(image->data, image->header.bytes, image->header.number, image->header.salt,
                      offset, frame);
}

// Walks valid frames from `offset`; returns the offset at which that ends.
static uint64_t image_walk(const struct segment_image *image, uint64_t offset,
                           struct journal_extent *extent)
{
    struct frame frame;
    while (image_frame(image, offset, &frame) == FRAME_VALID) {
        extent->end_checksum = frame.checksum;
        if (!type_is_mark(frame.type))
            extent->records++;
        offset += frame.total_bytes;
    }
    extent->end = position_of(image->header.number, offset);
    return offset;
}

// Loads a segment behind the one that is needed. Its header may be damaged if it was prepared and
// never used: then *ret_unused, and there is no image. In any other the records may have been
// durable, and no crash damages a header, for it is synced before the file gets its name.
static int later_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                            const uint8_t store_id[16], bool *ret_unused, struct store_error *err)
{
    struct store_error reason = {0};
    int rc = segment_image_load(image, dir, number, store_id, &reason);
    *ret_unused = (rc == STORE_EDAMAGED || rc == STORE_EFOREIGN) &&
                  (segment_is_blank(dir, number) || SEEDED(LAST_HEADER_IGNORED));
    if (rc && !*ret_unused && err)
        *err = reason;
    return *ret_unused ? 0 : rc;
}

// What lies behind the end: evidence that it was durable, and how much it is.
struct behind {
    uint64_t durable;       // the highest durable position that a record behind the end names
    uint64_t last_position; // behind the last of these records, 0: none
    uint64_t records;       // events among them
};

static void image_search(const struct segment_image *image, uint64_t offset, struct behind *behind)
{
    struct frame frame;
    while (offset + FRAME_HEADER_BYTES <= image->header.bytes) {
        if (image_frame(image, offset, &frame) != FRAME_VALID) {
            if (SEEDED(SEARCH_STOPS))
                break;
            offset += FRAME_ALIGN;
            continue;
        }
        if (frame.durable > behind->durable)
            behind->durable = frame.durable;
        if (!type_is_mark(frame.type))
            behind->records++;
        offset += frame.total_bytes;
        behind->last_position = position_of(image->header.number, offset);
    }
}

static uint64_t torn_bytes_at(const struct segment_image *image, uint64_t offset,
                              const struct behind *behind)
{
    if (position_segment(behind->last_position) == image->header.number)
        return position_offset(behind->last_position) - offset;
    uint64_t room = image->header.bytes > offset ? image->header.bytes - offset : 0;
    if (behind->last_position)
        return room;

    // A frame that was begun: its own length, where that can be believed.
    if (room < FRAME_HEADER_BYTES || !memcmp(image->data + offset, "\0\0\0\0\0\0\0", 8))
        return 0;
    const uint8_t *at = image->data + offset;
    uint64_t length =
        (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
    if (length < FRAME_HEADER_BYTES || length > room)
        length = room < SEGMENT_HEADER_BYTES ? room : SEGMENT_HEADER_BYTES;
    return length;
}

// The walk stopped at `extent->end`. Torn tail, clean end, or damage?
static int tail_judge(struct os_dir *dir, const uint8_t store_id[16], const uint64_t *numbers,
                      size_t count, struct journal_extent *extent, struct store_error *err)
{
    uint64_t number = position_segment(extent->end), offset = position_offset(extent->end);
    struct behind behind = {0};
    for (size_t i = 0; i < count; i++) {
        struct segment_image image = {0};
        bool unused = false;
        if (numbers[i] < number || (SEEDED(EVIDENCE_HERE_ONLY) && numbers[i] > number))
            continue;
        int rc = numbers[i] == number
                     ? segment_image_load(&image, dir, number, store_id, err)
                     : later_image_load(&image, dir, numbers[i], store_id, &unused, err);
        if (rc)
            return rc;
        if (unused)
            continue; // it holds nothing that could speak against the end
        image_search(&image, numbers[i] == number ? offset : SEGMENT_HEADER_BYTES, &behind);
        segment_image_release(&image);
    }
    if (SEEDED(TORN_IS_DAMAGE) && behind.last_position)
        behind.durable = behind.last_position;
    if (behind.durable > extent->end && !SEEDED(DAMAGE_IS_TORN))
        return error_set(err, STORE_EDAMAGED,
                         "%010llu.log: the record at offset %llu does not check, and later records "
                         "say that it was on the disk; nothing was changed; " REPAIR_ADVICE,
                         (unsigned long long)number, (unsigned long long)offset);

    struct segment_image image = {0};
    int rc = segment_image_load(&image, dir, number, store_id, err);
    if (rc)
        return rc;
    extent->torn_bytes = torn_bytes_at(&image, offset, &behind);
    segment_image_release(&image);
    return 0;
}

static int numbers_check(const uint64_t *numbers, size_t count, uint64_t first,
                         struct store_error *err)
{
    uint64_t expected = first;
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] < first)
            continue;
        if (numbers[i] != expected)
            break;
        expected++;
    }
    if (expected == first || numbers[count - 1] >= expected)
        return error_set(
            err, STORE_EDAMAGED,
            "%010llu.log is missing, but the store needs it; put it back, or " REPAIR_ADVICE,
            (unsigned long long)expected);
    return 0;
}

// Whether the segment goes on where the one before ended.
enum link_verdict { LINK_GOES_ON, LINK_UNUSED, LINK_ELSEWHERE };

static enum link_verdict link_check(const struct segment_image *image,
                                    const struct journal_extent *before)
{
    struct frame frame;
    struct event event;
    if (image_frame(image, SEGMENT_HEADER_BYTES, &frame) != FRAME_VALID)
        return LINK_UNUSED;
    if (record_decode(frame.type, frame.body, frame.body_bytes, &event, NULL) ||
        event.type != RECORD_SEGMENT_LINK)
        return LINK_ELSEWHERE;
    if (event.link.previous_end != before->end && !SEEDED(LINK_NOT_CHECKED))
        return LINK_ELSEWHERE;
    // The scan may have begun at the very end of the segment before: then there is no checksum to
    // hold against the link's.
    if (before->end_checksum && event.link.previous_checksum != before->end_checksum &&
        !SEEDED(LINK_CHECKSUM_NOT_CHECKED) && !SEEDED(LINK_NOT_CHECKED))
        return LINK_ELSEWHERE;
    return LINK_GOES_ON;
}

int journal_scan(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                 struct journal_extent *ret_extent, struct store_error *err)
{
    struct journal_extent extent = {.end = from};
    uint64_t first = position_segment(from);
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(dir, &numbers, &count, err);
    if (rc)
        return rc;

    // A store whose making was cut short has tables and no journal yet.
    if (count == 0 && from == position_of(1, SEGMENT_HEADER_BYTES)) {
        extent.next_number = 1;
        *ret_extent = extent;
        goto done;
    }
    if ((rc = numbers_check(numbers, count, first, err)))
        goto done;

    for (uint64_t number = first; number <= numbers[count - 1]; number++) {
        struct segment_image image = {0};
        bool unused = false;
        rc = number == first ? segment_image_load(&image, dir, number, store_id, err)
                             : later_image_load(&image, dir, number, store_id, &unused, err);
        if (rc)
            goto done;
        if (unused)
            break; // the segment before ends the log
        uint64_t start = number == first ? position_offset(from) : SEGMENT_HEADER_BYTES;
        if (start < SEGMENT_HEADER_BYTES || start > image.header.bytes) {
            rc = error_set(err, STORE_EDAMAGED,
                           "%010llu.log has %llu bytes, but the tables already hold what stood at "
                           "offset %llu; the file was replaced; " REPAIR_ADVICE,
                           (unsigned long long)number, (unsigned long long)image.header.bytes,
                           (unsigned long long)start);
        }
        bool goes_on = number == first || link_check(&image, &extent) == LINK_GOES_ON;
        if (rc == 0 && goes_on)
            image_walk(&image, start, &extent);
        segment_image_release(&image);
        if (rc)
            goto done;
        if (!goes_on)
            break;
    }
    rc = tail_judge(dir, store_id, numbers, count, &extent, err);
    extent.next_number = position_segment(extent.end) + 1;
    if (rc == 0)
        *ret_extent = extent;

done:
    free(numbers);
    return rc;
}

static int image_replay(const struct segment_image *image, uint64_t offset, uint64_t end,
                        const struct journal_reader *reader, struct store_error *err)
{
    struct frame frame;
    while (offset < end) {
        struct event event;
        int rc = 0;
        if (image_frame(image, offset, &frame) != FRAME_VALID)
            rc = error_set(err, STORE_EDAMAGED, "the record changed while it was read");
        else
            rc = record_decode(frame.type, frame.body, frame.body_bytes, &event, err);
        if (rc == 0)
            rc = reader->event(reader->user, &event, frame.position, err);
        if (rc)
            return error_prefix(err, "%010llu.log: record at offset %llu",
                                (unsigned long long)image->header.number,
                                (unsigned long long)offset);
        offset += frame.total_bytes;
    }
    return 0;
}

int journal_replay(struct os_dir *dir, const uint8_t store_id[16], uint64_t from, uint64_t to,
                   const struct journal_reader *reader, struct store_error *err)
{
    for (uint64_t number = position_segment(from); from < to; number++) {
        struct segment_image image = {0};
        int rc = segment_image_load(&image, dir, number, store_id, err);
        if (rc)
            return rc;
        uint64_t start =
            number == position_segment(from) ? position_offset(from) : SEGMENT_HEADER_BYTES;
        bool last = number == position_segment(to);
        uint64_t end = position_offset(to);
        if (!last) {
            struct journal_extent extent = {0};
            end = image_walk(&image, start, &extent);
        }
        rc = image_replay(&image, start, end, reader, err);
        if (rc == 0 && reader->segment_done)
            rc = reader->segment_done(reader->user, position_of(number, end), err);
        segment_image_release(&image);
        if (rc || last)
            return rc;
    }
    return 0;
}

// Walks from the end that is known so far to the first place that holds no record, whatever lies
// behind it. Fails at a segment that cannot be read, of which nobody knows what it holds; the
// extent then ends in front of it.
static int extent_walk(struct os_dir *dir, const uint8_t store_id[16],
                       struct journal_extent *extent, struct store_error *err)
{
    uint64_t from = extent->end, first = position_segment(from);
    for (uint64_t number = first;; number++) {
        struct segment_image image = {0};
        struct store_error reason = {0};
        bool unused = false;
        int rc = number == first
                     ? segment_image_load(&image, dir, number, store_id, &reason)
                     : later_image_load(&image, dir, number, store_id, &unused, &reason);
        // The next one may not be there yet, nor the first of a store that is being made.
        bool may_be_missing = number != first || from == position_of(1, SEGMENT_HEADER_BYTES);
        if (unused || (rc == STORE_ENOTFOUND && may_be_missing))
            return 0;
        if (error_pass(err, rc, &reason))
            return rc;
        uint64_t start = number == first ? position_offset(from) : SEGMENT_HEADER_BYTES;
        bool goes_on = number == first || link_check(&image, extent) == LINK_GOES_ON;
        if (goes_on && start <= image.header.bytes)
            image_walk(&image, start, extent);
        segment_image_release(&image);
        if (!goes_on)
            return 0;
    }
}

int journal_count(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                  uint64_t *ret_records, uint64_t *ret_end, struct store_error *err)
{
    struct journal_extent extent = {.end = from};
    int rc = extent_walk(dir, store_id, &extent, err);
    if (rc)
        return rc;
    *ret_records = extent.records;
    *ret_end = extent.end;
    return 0;
}

// Adds what a segment that cannot be read holds: nobody knows better than the size of its file.
static int cut_add_file(struct journal_cut *cut, struct os_dir *dir, uint64_t number,
                        struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    struct os_file *file = NULL;
    uint64_t bytes = 0;
    segment_name(number, name);
    int rc = os_file_open(&file, dir, name, OS_READ, err);
    if (rc == 0)
        rc = os_file_size(file, &bytes, err);
    os_file_close(file);
    cut->bytes += bytes;
    return rc;
}

static int cut_add_segment(struct journal_cut *cut, struct os_dir *dir, const uint8_t store_id[16],
                           uint64_t number, struct store_error *err)
{
    struct segment_image image = {0};
    struct store_error reason = {0};
    struct behind behind = {0};
    uint64_t offset = SEGMENT_HEADER_BYTES;
    int rc = segment_image_load(&image, dir, number, store_id, &reason);
    if (rc == STORE_EDAMAGED || rc == STORE_EFOREIGN)
        return segment_is_blank(dir, number) ? 0 : cut_add_file(cut, dir, number, err);
    if (error_pass(err, rc, &reason))
        return rc;
    if (number == position_segment(cut->extent.end))
        offset = position_offset(cut->extent.end);
    if (offset < image.header.bytes) {
        image_search(&image, offset, &behind);
        cut->bytes += torn_bytes_at(&image, offset, &behind);
        cut->records += behind.records;
    }
    segment_image_release(&image);
    return 0;
}

int journal_cut_find(struct os_dir *dir, const uint8_t store_id[16], uint64_t from,
                     struct journal_cut *ret_cut, struct store_error *err)
{
    struct journal_cut cut = {.extent = {.end = from, .next_number = position_segment(from) + 1}};
    struct store_error reason = {0};
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = extent_walk(dir, store_id, &cut.extent, &reason);
    // The journal ends in front of a segment that is damaged or not there; if that is the first,
    // where the tables do.
    if (rc && rc != STORE_EDAMAGED && rc != STORE_EFOREIGN && rc != STORE_ENOTFOUND)
        return error_pass(err, rc, &reason);
    rc = segment_list(dir, &numbers, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (numbers[i] >= position_segment(cut.extent.end))
            rc = cut_add_segment(&cut, dir, store_id, numbers[i], err);
        if (numbers[i] >= cut.extent.next_number)
            cut.extent.next_number = numbers[i] + 1;
    }
    free(numbers);
    if (rc == 0)
        *ret_cut = cut;
    return rc;
}
