// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Contents of messages as they are stored: plain, or as one zstd frame where that is clearly
// smaller, with a dictionary or without. Frames lie in the store without their magic number, the
// four bytes that are the same in all of them.
//
// Only this module and dictionary.c know zstd.
#ifndef STORE_PAYLOAD_H
#define STORE_PAYLOAD_H

#include "error.h"
#include "event.h"

// Below this a frame's own header eats what could be saved.
#define PAYLOAD_COMPRESS_MIN_BYTES 64u
#define PAYLOAD_DICTIONARY_MIN_BYTES 32u
// A longer content has enough of its own to refer to.
#define PAYLOAD_DICTIONARY_MAX_BYTES (32u * 1024u)
// A frame must be smaller by an eighth of the content and this much.
#define PAYLOAD_SAVE_MIN_BYTES 16u

// One thread per object.
struct payload_compressor;
struct payload_decompressor;

struct payload_compressor *payload_compressor_new(void);             // NULL: out of memory
void payload_compressor_free(struct payload_compressor *compressor); // NULL is fine

// What frames are made with from now on: a level, and a dictionary under its id (0: none). A
// dictionary that cannot be used is left out. At first: level 1, none.
void payload_compressor_use(struct payload_compressor *compressor, int level, uint16_t id,
                            struct span dictionary);
// Whether frames are already made with these.
bool payload_compressor_uses(const struct payload_compressor *compressor, int level, uint16_t id);

// Memory for a content to be compressed, until the next call. NULL: memory is short.
uint8_t *payload_compressor_room(struct payload_compressor *compressor, size_t bytes);

// Makes a frame of the content. False, with the results untouched, if that would save too little or
// memory is short: then it is stored plain. The frame lies in the compressor until the next call.
bool payload_compress(struct payload_compressor *compressor, struct span content,
                      struct span *ret_frame, uint16_t *ret_dictionary);

// Gives back memory that only a large content needed.
void payload_compressor_trim(struct payload_compressor *compressor);

struct payload_decompressor *payload_decompressor_new(void);               // NULL: out of memory
void payload_decompressor_free(struct payload_decompressor *decompressor); // NULL is fine

// Takes a dictionary under its id (not 0). STORE_EDAMAGED if zstd cannot use it, STORE_ENOMEM.
int payload_decompressor_add(struct payload_decompressor *decompressor, uint16_t id,
                             struct span dictionary, struct store_error *err);
bool payload_decompressor_has(const struct payload_decompressor *decompressor, uint16_t id);

// Unpacks one frame, to the size that it states and never more. With a dictionary that was added
// before, 0: none. What it gives lies in the decompressor until the next call. STORE_EDAMAGED,
// STORE_ENOMEM.
int payload_decompress(struct payload_decompressor *decompressor, struct span frame,
                       uint16_t dictionary, struct span *ret_content, struct store_error *err);

// The size that a frame states. False if it states none, or more than a record may have.
bool payload_frame_content_bytes(struct span frame, uint32_t *ret_bytes);

// Whether it begins as a trained dictionary does.
bool payload_is_dictionary(struct span bytes);

// "1.5.4": the library at run time.
const char *payload_library_version(void);

#endif
