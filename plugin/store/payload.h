// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Payloads as they are stored: plain, or as one zstd frame where that is clearly smaller. The only
// module that knows zstd.
#ifndef STORE_PAYLOAD_H
#define STORE_PAYLOAD_H

#include "error.h"
#include "event.h"

// Below this a frame's own header eats what could be saved.
#define PAYLOAD_COMPRESS_MIN_BYTES 64u
// A frame must be smaller by an eighth of the payload and this much.
#define PAYLOAD_SAVE_MIN_BYTES 16u

// One thread per object.
struct payload_compressor;
struct payload_decompressor;

struct payload_compressor *payload_compressor_new(void);             // NULL: out of memory
void payload_compressor_free(struct payload_compressor *compressor); // NULL is fine

// Makes a frame of the payload. False, with *ret_frame untouched, if that would save too little or
// memory is short: then it is stored plain. The frame lies in the compressor until the next call.
bool payload_compress(struct payload_compressor *compressor, int level, struct span payload,
                      struct span *ret_frame);

// Gives back memory that only a large payload needed.
void payload_compressor_trim(struct payload_compressor *compressor);

struct payload_decompressor *payload_decompressor_new(void);               // NULL: out of memory
void payload_decompressor_free(struct payload_decompressor *decompressor); // NULL is fine

// Unpacks one frame that must hold exactly `payload_len` bytes, no more than a record may have:
// what the frame itself says is only compared. What it gives lies in the decompressor until the
// next call. STORE_EDAMAGED, STORE_ENOMEM.
int payload_decompress(struct payload_decompressor *decompressor, struct span frame,
                       uint32_t payload_len, struct span *ret_payload, struct store_error *err);

// "1.5.4": the library at run time.
const char *payload_library_version(void);

#endif
