// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Reading the journal beside its writer. A segment is read piece by piece as far as there are
// records, so following a log costs what is new in it.
#include "store_internal.h"

#include "journal_scan.h"
#include "record.h"

#include <stdlib.h>

#define PIECE_BYTES (64u * 1024u)
#define CURSOR_LOOKS 3u

struct store_cursor {
    struct store *store;
    struct os_file *file;
    struct segment_image image; // data is read up to `loaded`
    uint64_t loaded;
    uint64_t offset;
};

// Goes to the start of a segment. STORE_ENOTFOUND if there is none of this number.
static int cursor_enter(struct store_cursor *cursor, uint64_t number, struct store_error *err)
{
    struct segment_header header;
    struct os_file *file = NULL;
    int rc =
        segment_file_open(&file, &header, cursor->store->dir, number, cursor->store->store_id, err);
    uint8_t *data = rc ? NULL : malloc((size_t)header.bytes);
    if (rc == 0 && !data)
        rc = error_set(err, STORE_ENOMEM, "%s: no memory for %llu bytes", os_file_name(file),
                       (unsigned long long)header.bytes);
    if (rc) {
        os_file_close(file);
        return rc;
    }
    os_file_close(cursor->file);
    segment_image_release(&cursor->image);
    cursor->file = file;
    cursor->image = (struct segment_image){.header = header, .data = data};
    cursor->offset = cursor->loaded = SEGMENT_HEADER_BYTES;
    return 0;
}

// Has at least `bytes` of the file in memory.
static int cursor_load(struct store_cursor *cursor, uint64_t bytes, struct store_error *err)
{
    size_t len = 0;
    if (bytes > cursor->image.header.bytes)
        bytes = cursor->image.header.bytes;
    if (bytes <= cursor->loaded)
        return 0;
    uint64_t want = bytes - cursor->loaded < PIECE_BYTES ? cursor->loaded + PIECE_BYTES : bytes;
    if (want > cursor->image.header.bytes)
        want = cursor->image.header.bytes;
    int rc = os_file_read(cursor->file, cursor->loaded, cursor->image.data + cursor->loaded,
                          (size_t)(want - cursor->loaded), &len, err);
    if (rc)
        return rc;
    cursor->loaded += len;
    if (cursor->loaded < bytes)
        return error_set(err, STORE_EDAMAGED, "%s became shorter while it was read",
                         os_file_name(cursor->file));
    return 0;
}

static int cursor_frame(struct store_cursor *cursor, enum frame_verdict *ret_verdict,
                        struct frame *ret_frame, struct store_error *err)
{
    const struct segment_header *header = &cursor->image.header;
    int rc = cursor_load(cursor, cursor->offset + FRAME_HEADER_BYTES, err);
    if (rc)
        return rc;
    const uint8_t *at = cursor->image.data + cursor->offset;
    uint64_t length =
        (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
    uint64_t room = header->bytes - cursor->offset;
    if (length <= room)
        rc = cursor_load(cursor, cursor->offset + length + FRAME_ALIGN + FRAME_TERMINATOR_BYTES,
                         err);
    if (rc)
        return rc;
    *ret_verdict = frame_read(cursor->image.data, header->bytes, header->number, header->salt,
                              cursor->offset, ret_frame);
    // What is not written yet must be read again the next time.
    if (*ret_verdict != FRAME_VALID)
        cursor->loaded = cursor->offset;
    return 0;
}

// At the end of a segment: 1 if the next one goes on from here and was entered, with its first
// frame, the link; 0 if not yet.
static int cursor_follow(struct store_cursor *cursor, struct frame *ret_frame,
                         struct store_error *err)
{
    uint64_t end = position_of(cursor->image.header.number, cursor->offset);
    uint64_t number = cursor->image.header.number + 1;
    struct store_cursor next = {.store = cursor->store};
    struct store_error reason = {0};
    enum frame_verdict verdict;
    struct frame frame;
    struct event event;
    int rc = cursor_enter(&next, number, &reason);
    if (rc == 0)
        rc = cursor_frame(&next, &verdict, &frame, &reason);
    bool goes_on = rc == 0 && verdict == FRAME_VALID &&
                   record_decode(frame.type, frame.body, frame.body_bytes, &event, NULL) == 0 &&
                   event.type == RECORD_SEGMENT_LINK && event.link.previous_end == end;
    if (!goes_on) {
        os_file_close(next.file);
        segment_image_release(&next.image);
        // A segment in the making is not there yet; anything else is worth a word.
        return rc == STORE_ENOTFOUND ? 0 : error_pass(err, rc, &reason);
    }
    os_file_close(cursor->file);
    segment_image_release(&cursor->image);
    *cursor = next;
    *ret_frame = frame;
    return 1;
}

// 1: the next frame, 0: there is none yet.
static int cursor_read(struct store_cursor *cursor, struct frame *ret_frame,
                       struct store_error *err)
{
    enum frame_verdict verdict;
    int rc = cursor_frame(cursor, &verdict, ret_frame, err);
    if (rc)
        return rc;
    return verdict == FRAME_VALID ? 1 : cursor_follow(cursor, ret_frame, err);
}

// Whether later segments are there, and the next one is not.
static bool next_is_missing(const uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] > number)
            return numbers[i] != number + 1;
    }
    return false;
}

// Whether what was read last still is where the log goes on: STORE_ENOTFOUND if the writer has
// given back the segment, or, of several that it gives back, the next one first. The file of a
// segment may get other contents only after it has lost its name.
static int cursor_check_place(struct store_cursor *cursor, struct store_error *err)
{
    uint64_t number = cursor->image.header.number;
    struct segment_header header;
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_header_load(cursor->store->dir, number, &header, err);
    if (rc == 0 && header.salt != cursor->image.header.salt)
        rc = STORE_ENOTFOUND;
    if (rc == 0)
        rc = segment_list(cursor->store->dir, &numbers, &count, err);
    if (rc == 0 && next_is_missing(numbers, count, number))
        rc = STORE_ENOTFOUND;
    free(numbers);
    return rc;
}

static bool is_damage(int rc)
{
    return rc == STORE_EDAMAGED || rc == STORE_EFOREIGN;
}

// As cursor_read; when the writer has taken the place away meanwhile, what was read there says
// nothing: 0 becomes STORE_ENOTFOUND, unless a second look finds how it goes on.
static int cursor_read_on(struct store_cursor *cursor, struct frame *ret_frame,
                          struct store_error *err)
{
    struct store_error reason = {0};
    int rc = 0, place_rc = 0;
    for (unsigned looks = 0; looks < CURSOR_LOOKS; looks++) {
        error_init(&reason);
        rc = cursor_read(cursor, ret_frame, &reason);
        bool unsure = rc == 0 || is_damage(rc);
        place_rc = unsure ? cursor_check_place(cursor, rc ? NULL : &reason) : 0;
        if (place_rc != STORE_ENOTFOUND && !is_damage(place_rc))
            break;
    }
    if (place_rc == STORE_ENOTFOUND)
        return error_set(err, STORE_ENOTFOUND,
                         "what followed had been removed from the journal before it was read");
    if (rc == 0)
        rc = place_rc;
    return error_pass(err, rc, &reason);
}

int store_cursor_next(struct store_cursor *cursor, struct event *ret_event, uint64_t *ret_position,
                      struct store_error *err)
{
    struct frame frame;
    int rc = cursor_read_on(cursor, &frame, err);
    if (rc == 0)
        return 0;
    if (rc == 1)
        rc = record_decode(frame.type, frame.body, frame.body_bytes, ret_event, err);
    if (rc)
        return error_prefix(err, "%s: offset %llu", os_file_name(cursor->file),
                            (unsigned long long)cursor->offset);
    *ret_position = frame.position;
    cursor->offset += frame.total_bytes;
    return 1;
}

// Of the segments behind number `behind` the oldest from which the log goes on without a gap to
// where the tables are: a file that waits for its next use keeps its old name.
static int oldest_number(struct store *store, uint64_t behind, uint64_t *ret_number,
                         struct store_error *err)
{
    struct tables_meta meta;
    uint64_t *numbers = NULL;
    size_t count = 0, at = 0;
    int rc = tables_meta(store->tables, &meta, err);
    if (rc == 0)
        rc = segment_list(store->dir, &numbers, &count, err);
    while (rc == 0 && at < count && numbers[at] <= behind)
        at++;
    if (rc == 0 && at == count)
        rc = error_set(err, STORE_ENOTFOUND, "the journal holds no segment");
    for (size_t i = at; rc == 0 && i + 1 < count; i++) {
        if (numbers[i + 1] <= position_segment(meta.covered) && numbers[i + 1] != numbers[i] + 1)
            at = i + 1;
    }
    if (rc == 0)
        *ret_number = numbers[at];
    free(numbers);
    return rc;
}

// It may go between the look for it and its opening.
static int cursor_enter_oldest(struct store_cursor *cursor, uint64_t behind,
                               struct store_error *err)
{
    uint64_t number = 0, before;
    int rc = oldest_number(cursor->store, behind, &number, err);
    if (rc)
        return rc;
    for (unsigned looks = 0; looks < STORE_LOOKS_MAX; looks++) {
        struct store_error reason = {0};
        rc = cursor_enter(cursor, number, &reason);
        before = number;
        if (rc && oldest_number(cursor->store, behind, &number, NULL) == 0 && number != before)
            continue;
        return error_pass(err, rc, &reason);
    }
    return error_set(err, STORE_EIO, "the journal goes on faster than it can be read");
}

int store_cursor_open(struct store_cursor **ret_cursor, struct store *store, uint64_t from,
                      struct store_error *err)
{
    struct store_cursor *cursor = calloc(1, sizeof(*cursor));
    uint64_t number = position_segment(from);
    if (!cursor)
        return error_set(err, STORE_ENOMEM, "out of memory");
    cursor->store = store;
    int rc = from ? cursor_enter(cursor, number, err) : cursor_enter_oldest(cursor, 0, err);
    if (rc == 0 && from) {
        cursor->offset = cursor->loaded = position_offset(from);
        if (cursor->offset < SEGMENT_HEADER_BYTES || cursor->offset % FRAME_ALIGN ||
            cursor->offset > cursor->image.header.bytes - FRAME_TERMINATOR_BYTES)
            rc = error_set(err, STORE_EINVAL, "%llu is not the position of a record",
                           (unsigned long long)from);
    }
    if (rc) {
        store_cursor_close(cursor);
        return rc;
    }
    *ret_cursor = cursor;
    return 0;
}

int store_cursor_skip(struct store_cursor *cursor, struct store_error *err)
{
    return cursor_enter_oldest(cursor, cursor->image.header.number, err);
}

void store_cursor_close(struct store_cursor *cursor)
{
    if (!cursor)
        return;
    os_file_close(cursor->file);
    segment_image_release(&cursor->image);
    free(cursor);
}

// Counts the records of one segment by a cursor of its own, which must not leave it.
static int segment_count(struct store *store, struct store_segment *segment,
                         struct store_error *err)
{
    struct store_cursor cursor = {.store = store};
    int rc = cursor_enter(&cursor, segment->number, err);
    while (rc == 0) {
        enum frame_verdict verdict;
        struct frame frame;
        rc = cursor_frame(&cursor, &verdict, &frame, err);
        if (rc || verdict != FRAME_VALID)
            break;
        if (frame.type != RECORD_LOOP_MARK && frame.type != RECORD_SEGMENT_LINK &&
            frame.type != RECORD_STOP_MARK)
            segment->records++;
        cursor.offset += frame.total_bytes;
        segment->end_position = position_of(segment->number, cursor.offset);
    }
    os_file_close(cursor.file);
    segment_image_release(&cursor.image);
    return rc;
}

// What is to be told of a segment but its state. Codes as store_cursor_next.
static int segment_look(struct store *store, uint64_t number, struct store_segment *ret_segment,
                        struct store_error *err)
{
    struct segment_header header = {0};
    uint64_t first = position_of(number, SEGMENT_HEADER_BYTES);
    int rc = segment_header_load(store->dir, number, &header, err);
    *ret_segment = (struct store_segment){.number = number,
                                          .bytes = header.bytes,
                                          .life = header.life,
                                          .created_ms = header.created_ms,
                                          .first_position = first,
                                          .end_position = first};
    return rc ? rc : segment_count(store, ret_segment, err);
}

static const char *segment_state(const struct store_segment *segment, bool damaged,
                                 uint64_t covered)
{
    // Behind what the tables hold lies nothing that anybody needs, perhaps half a file.
    bool behind = segment->number < position_segment(covered);
    if (damaged)
        return behind ? "covered" : "damaged";
    if (segment->end_position == segment->first_position)
        return behind ? "covered" : "ready";
    return segment->end_position <= covered ? "covered" : "live";
}

int store_each_segment(struct store *store, store_segment_fn *fn, void *user,
                       struct store_error *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    int rc = segment_list(store->dir, &numbers, &count, err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct store_segment segment;
        struct store_error reason = {0};
        struct tables_meta meta;
        int look_rc = segment_look(store, numbers[i], &segment, &reason);
        if (look_rc == STORE_ENOTFOUND) // recycled meanwhile
            continue;
        bool damaged = is_damage(look_rc);
        if (!damaged && (rc = error_pass(err, look_rc, &reason)))
            break;
        // Read behind the segment: a writer may have recycled it under our eyes.
        rc = tables_meta(store->tables, &meta, err);
        if (rc)
            break;
        segment.state = segment_state(&segment, damaged, meta.covered);
        rc = fn(user, &segment);
    }
    free(numbers);
    return rc;
}
