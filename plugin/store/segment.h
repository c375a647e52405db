// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A segment of the journal as a file: preparing one for the writer, and loading one to read it.
// "<number>.log" with ten digits; a file becomes a segment by a rename, complete and synced.
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "format.h"
#include "os.h"

#define SEGMENT_NAME_BYTES 32
#define SEGMENT_PREPARE_NAME "prepare.tmp"

// A segment that the writer appends to, or will: mapped shared and writable.
struct segment {
    struct segment_header header;
    struct os_file *file;
    uint8_t *map;        // header.bytes long
    uint64_t used_bytes; // offset behind the last frame, once the writer has left the segment
    unsigned pins;       // readers that need the mapping
    struct segment *next;
};

// A segment read into memory, for recovery and tools.
struct segment_image {
    struct segment_header header;
    uint8_t *data; // header.bytes long
};

void segment_name(uint64_t number, char *dst); // dst: SEGMENT_NAME_BYTES
bool segment_name_parse(const char *name, uint64_t *ret_number);

// What is made sure of before a new segment gets its name, besides its header.
struct segment_zeros {
    // The disk has the zeros of the whole file, so that no later sync has to tell it which blocks
    // are in use. Else it may get them at any time, if it keeps the room for them.
    bool synced;
    uint32_t piece_bytes; // see os_file_zero
};

// Makes the segment `header->number` of `header->bytes` (a fresh salt is drawn), in place of
// `recycle` (a name in the folder, NULL: a new file). Allocated, written with zeros, its header
// synced, and named durably on return. On failure nothing under the segment's name is left;
// `recycle` may be gone.
int segment_prepare(struct segment **ret_segment, struct os_dir *dir,
                    const struct segment_header *header, const char *recycle,
                    struct segment_zeros zeros, struct store_error *err);
void segment_close(struct segment *segment); // unmaps; the file stays

// Opens the file for reading, with its own header, which must belong to `store_id`: under this name
// there may be another one a moment later. Codes as below.
int segment_file_open(struct os_file **ret_file, struct segment_header *ret_header,
                      struct os_dir *dir, uint64_t number, const uint8_t store_id[16],
                      struct store_error *err);

// Reads the header block only, of whichever store. STORE_EDAMAGED also if the file is shorter than
// it says.
int segment_header_load(struct os_dir *dir, uint64_t number, struct segment_header *ret_header,
                        struct store_error *err);

// Reads the whole file; the header must belong to `store_id`.
int segment_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                       const uint8_t store_id[16], struct store_error *err);
// Whether there is a header of some kind and nothing but zeros behind it, as in a new segment that
// was not used yet. False if the file cannot be read.
bool segment_is_blank(struct os_dir *dir, uint64_t number);
void segment_image_release(struct segment_image *image);

// The numbers of all segments in the folder, ascending; free(*ret_numbers).
int segment_list(struct os_dir *dir, uint64_t **ret_numbers, size_t *ret_count,
                 struct store_error *err);

#endif
