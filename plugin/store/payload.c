// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "payload.h"

#include "record.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define BUFFER_KEEP_BYTES ((size_t)1 << 20)
#define MAGIC_BYTES 4u
#define FRAME_HEAD_MAX_BYTES 18u
// A block of 128 KiB that repeats one byte takes four.
#define FRAME_RATIO_MAX 32768u
// More than a store has (STATE_DICTIONARIES_MAX), so that none is thrown out before its time.
#define DICTIONARIES_MAX 16u

static const uint8_t frame_magic[MAGIC_BYTES] = {0x28, 0xb5, 0x2f, 0xfd};
static const uint8_t dictionary_magic[MAGIC_BYTES] = {0x37, 0xa4, 0x30, 0xec};

struct buffer {
    uint8_t *bytes;
    size_t capacity;
};

struct payload_compressor {
    ZSTD_CCtx *context;
    ZSTD_CDict *dictionary; // NULL: none, or `id` cannot be used
    int level;
    uint16_t id;
    struct buffer content;
    struct buffer frame;
};

struct payload_decompressor {
    ZSTD_DCtx *context;
    struct buffer content;
    struct buffer frame; // with its magic number in front
    ZSTD_DDict *dictionaries[DICTIONARIES_MAX];
    uint16_t ids[DICTIONARIES_MAX];
    unsigned next; // place of the next dictionary
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

// Parameters that hold until they are set anew.
static void context_begin(struct payload_compressor *compressor)
{
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_compressionLevel, compressor->level);
    ZSTD_CCtx_setParameter(compressor->context, ZSTD_c_dictIDFlag, 0);
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
    compressor->level = 1;
    context_begin(compressor);
    return compressor;
}

void payload_compressor_free(struct payload_compressor *compressor)
{
    if (!compressor)
        return;
    ZSTD_freeCCtx(compressor->context);
    ZSTD_freeCDict(compressor->dictionary);
    free(compressor->content.bytes);
    free(compressor->frame.bytes);
    free(compressor);
}

void payload_compressor_use(struct payload_compressor *compressor, int level, uint16_t id,
                            struct span dictionary)
{
    ZSTD_CCtx_refCDict(compressor->context, NULL);
    ZSTD_freeCDict(compressor->dictionary);
    compressor->dictionary = NULL;
    compressor->level = level;
    compressor->id = id;
    if (id && payload_is_dictionary(dictionary))
        compressor->dictionary = ZSTD_createCDict(dictionary.data, dictionary.len, level);
    context_begin(compressor);
}

bool payload_compressor_uses(const struct payload_compressor *compressor, int level, uint16_t id)
{
    return compressor->level == level && compressor->id == id;
}

uint8_t *payload_compressor_room(struct payload_compressor *compressor, size_t bytes)
{
    return buffer_reserve(&compressor->content, bytes) ? compressor->content.bytes : NULL;
}

bool payload_compress(struct payload_compressor *compressor, struct span content,
                      struct span *ret_frame, uint16_t *ret_dictionary)
{
    bool with = compressor->dictionary && content.len <= PAYLOAD_DICTIONARY_MAX_BYTES;
    if (content.len < (with ? PAYLOAD_DICTIONARY_MIN_BYTES : PAYLOAD_COMPRESS_MIN_BYTES))
        return false;
    // A frame that does not fit in here saves too little for the time that unpacking it takes.
    size_t room = MAGIC_BYTES + content.len - content.len / 8 - PAYLOAD_SAVE_MIN_BYTES;
    if (!buffer_reserve(&compressor->frame, room))
        return false;
    ZSTD_CCtx_refCDict(compressor->context, with ? compressor->dictionary : NULL);
    size_t size = ZSTD_compress2(compressor->context, compressor->frame.bytes, room, content.data,
                                 content.len);
    if (ZSTD_isError(size)) {
        // Else it stays within the frame that it could not end, and takes no other dictionary.
        ZSTD_CCtx_reset(compressor->context, ZSTD_reset_session_only);
        return false;
    }
    *ret_frame = span_of(compressor->frame.bytes + MAGIC_BYTES, size - MAGIC_BYTES);
    *ret_dictionary = with ? compressor->id : 0;
    return true;
}

void payload_compressor_trim(struct payload_compressor *compressor)
{
    buffer_trim(&compressor->content);
    buffer_trim(&compressor->frame);
    if (ZSTD_sizeof_CCtx(compressor->context) <= 4 * BUFFER_KEEP_BYTES)
        return;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    if (!context)
        return;
    ZSTD_freeCCtx(compressor->context);
    compressor->context = context;
    context_begin(compressor);
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
    for (unsigned i = 0; i < DICTIONARIES_MAX; i++)
        ZSTD_freeDDict(decompressor->dictionaries[i]);
    ZSTD_freeDCtx(decompressor->context);
    free(decompressor->content.bytes);
    free(decompressor->frame.bytes);
    free(decompressor);
}

static const ZSTD_DDict *dictionary_find(const struct payload_decompressor *decompressor,
                                         uint16_t id)
{
    for (unsigned i = 0; i < DICTIONARIES_MAX; i++) {
        if (decompressor->ids[i] == id)
            return decompressor->dictionaries[i];
    }
    return NULL;
}

bool payload_decompressor_has(const struct payload_decompressor *decompressor, uint16_t id)
{
    return id && dictionary_find(decompressor, id);
}

int payload_decompressor_add(struct payload_decompressor *decompressor, uint16_t id,
                             struct span dictionary, struct store_error *err)
{
    if (!payload_is_dictionary(dictionary))
        return error_set(err, STORE_EDAMAGED, "the dictionary is not one of zstd");
    ZSTD_DDict *digested = ZSTD_createDDict(dictionary.data, dictionary.len);
    if (!digested)
        return error_set(err, STORE_EDAMAGED, "zstd cannot use the dictionary");
    unsigned place = decompressor->next++ % DICTIONARIES_MAX;
    ZSTD_freeDDict(decompressor->dictionaries[place]);
    decompressor->dictionaries[place] = digested;
    decompressor->ids[place] = id;
    return 0;
}

bool payload_frame_content_bytes(struct span frame, uint32_t *ret_bytes)
{
    uint8_t head[MAGIC_BYTES + FRAME_HEAD_MAX_BYTES];
    size_t len = frame.len < FRAME_HEAD_MAX_BYTES ? frame.len : FRAME_HEAD_MAX_BYTES;
    memcpy(head, frame_magic, MAGIC_BYTES);
    if (len > 0)
        memcpy(head + MAGIC_BYTES, frame.data, len);
    unsigned long long bytes = ZSTD_getFrameContentSize(head, MAGIC_BYTES + len);
    // Unknown and error are the largest numbers there are.
    if (bytes > RECORD_BODY_MAX_BYTES)
        return false;
    *ret_bytes = (uint32_t)bytes;
    return true;
}

int payload_decompress(struct payload_decompressor *decompressor, struct span frame,
                       uint16_t dictionary, struct span *ret_content, struct store_error *err)
{
    uint32_t content_bytes;
    const ZSTD_DDict *digested = dictionary ? dictionary_find(decompressor, dictionary) : NULL;
    if (dictionary && !digested)
        return error_set(err, STORE_EDAMAGED, "it needs dictionary %u, which is not here",
                         (unsigned)dictionary);
    if (!payload_frame_content_bytes(frame, &content_bytes))
        return error_set(err, STORE_EDAMAGED, "the frame states no size, or more than MQTT allows");
    if (content_bytes / FRAME_RATIO_MAX > frame.len)
        return error_set(err, STORE_EDAMAGED, "the frame is too short for the size that it states");
    buffer_trim(&decompressor->content);
    buffer_trim(&decompressor->frame);
    size_t frame_bytes = MAGIC_BYTES + (size_t)frame.len;
    if (!buffer_reserve(&decompressor->content, content_bytes) ||
        !buffer_reserve(&decompressor->frame, frame_bytes))
        return error_set(err, STORE_ENOMEM, "no memory for a message of %lu bytes",
                         (unsigned long)content_bytes);
    memcpy(decompressor->frame.bytes, frame_magic, MAGIC_BYTES);
    memcpy(decompressor->frame.bytes + MAGIC_BYTES, frame.data, frame.len);
    // Straight into the buffer: no window is allocated, whatever the frame asks for.
    size_t size =
        ZSTD_decompress_usingDDict(decompressor->context, decompressor->content.bytes,
                                   content_bytes, decompressor->frame.bytes, frame_bytes, digested);
    if (size != content_bytes) // as an error is, too
        return error_set(err, STORE_EDAMAGED, "the content cannot be decompressed");
    *ret_content = span_of(decompressor->content.bytes, content_bytes);
    return 0;
}

bool payload_is_dictionary(struct span bytes)
{
    return bytes.len > 8 && memcmp(bytes.data, dictionary_magic, MAGIC_BYTES) == 0;
}

const char *payload_library_version(void)
{
    return ZSTD_versionString();
}
