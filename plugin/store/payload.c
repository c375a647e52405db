// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "payload.h"

#include "record.h"

#include <stdlib.h>
#include <zstd.h>

#define BUFFER_KEEP_BYTES ((size_t)1 << 20)

struct buffer {
    uint8_t *bytes;
    size_t capacity;
};

struct payload_compressor {
    ZSTD_CCtx *context;
    struct buffer buffer;
};

struct payload_decompressor {
    ZSTD_DCtx *context;
    struct buffer buffer;
};

static bool buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (bytes <= buffer->capacity)
        return true;
    size_t capacity = bytes < 4096 ? 4096 : bytes;
    if (capacity < BUFFER_KEEP_BYTES)
        capacity *= 2;
    // What was in it is not needed: no copy.
    free(buffer->bytes);
    buffer->bytes = malloc(capacity);
    buffer->capacity = buffer->bytes ? capacity : 0;
    return buffer->bytes != NULL;
}

static void buffer_trim(struct buffer *buffer)
{
    if (buffer->capacity <= 2 * BUFFER_KEEP_BYTES)
        return;
    free(buffer->bytes);
    *buffer = (struct buffer){0};
}

struct payload_compressor *payload_compressor_new(void)
{
    struct payload_compressor *compressor = calloc(1, sizeof(*compressor));
    if (!compressor)
        return NULL;
    compressor->context = ZSTD_createCCtx();
    if (!compressor->context) {
        free(compressor);
        return NULL;
    }
    return compressor;
}

void payload_compressor_free(struct payload_compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->context);
    free(compressor->buffer.bytes);
    free(compressor);
}

bool payload_compress(struct payload_compressor *compressor, int level, struct span payload,
                      struct span *ret_frame)
{
    if (payload.len < PAYLOAD_COMPRESS_MIN_BYTES)
        return false;
    // A frame that does not fit in here saves too little for the time that unpacking it takes.
    size_t room = payload.len - payload.len / 8 - PAYLOAD_SAVE_MIN_BYTES;
    if (!buffer_reserve(&compressor->buffer, room))
        return false;
    size_t size = ZSTD_compressCCtx(compressor->context, compressor->buffer.bytes, room,
                                    payload.data, payload.len, level);
    if (ZSTD_isError(size))
        return false;
    *ret_frame = span_of(compressor->buffer.bytes, size);
    return true;
}

void payload_compressor_trim(struct payload_compressor *compressor)
{
    buffer_trim(&compressor->buffer);
    if (ZSTD_sizeof_CCtx(compressor->context) <= 4 * BUFFER_KEEP_BYTES)
        return;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return;
    ZSTD_freeCCtx(compressor->context);
    compressor->context = context;
}

struct payload_decompressor *payload_decompressor_new(void)
{
    struct payload_decompressor *decompressor = calloc(1, sizeof(*decompressor));
    if (!decompressor)
        return NULL;
    decompressor->context = ZSTD_createDCtx();
    if (!decompressor->context) {
        free(decompressor);
        return NULL;
    }
    return decompressor;
}

void payload_decompressor_free(struct payload_decompressor *decompressor)
{
    if (!decompressor)
        return;
    ZSTD_freeDCtx(decompressor->context);
    free(decompressor->buffer.bytes);
    free(decompressor);
}

int payload_decompress(struct payload_decompressor *decompressor, struct span frame,
                       uint32_t payload_len, struct span *ret_payload, struct store_error *err)
{
    if (payload_len > RECORD_BODY_MAX_BYTES)
        return error_set(err, STORE_EDAMAGED, "the payload is longer than MQTT allows");
    if (ZSTD_getFrameContentSize(frame.data, frame.len) != payload_len)
        return error_set(err, STORE_EDAMAGED,
                         "the compressed payload has not the length that the value says");
    buffer_trim(&decompressor->buffer);
    if (!buffer_reserve(&decompressor->buffer, payload_len))
        return error_set(err, STORE_ENOMEM, "no memory for a payload of %lu bytes",
                         (unsigned long)payload_len);
    // Straight into the buffer: no window is allocated, whatever the frame asks for.
    size_t size = ZSTD_decompressDCtx(decompressor->context, decompressor->buffer.bytes,
                                      payload_len, frame.data, frame.len);
    if (ZSTD_isError(size) || size != payload_len)
        return error_set(err, STORE_EDAMAGED, "the payload cannot be decompressed");
    *ret_payload = span_of(decompressor->buffer.bytes, payload_len);
    return 0;
}

const char *payload_library_version(void)
{
    return ZSTD_versionString();
}
