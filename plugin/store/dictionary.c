// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "dictionary.h"

#include "os.h"
#include "payload.h"

#include <stdlib.h>
#include <string.h>
#include <zdict.h>

// A new dictionary must make the stored bytes smaller by one in so many: with each, older ones stay
// for the messages that need them.
#define GAIN_MIN_PART 20u

static bool is_held_back(uint32_t i)
{
    return i % DICTIONARY_HELD_BACK == DICTIONARY_HELD_BACK - 1;
}

// Bytes that the samples that were held back take.
static uint64_t trial(struct payload_compressor *compressor,
                      const struct dictionary_samples *samples, uint64_t *ret_plain_bytes)
{
    const uint8_t *at = samples->bytes;
    uint64_t plain_bytes = 0;
    uint64_t stored_bytes = 0;
    for (uint32_t i = 0; i < samples->count; at += samples->lens[i++]) {
        struct span frame;
        uint16_t used;
        if (!is_held_back(i))
            continue;
        bool smaller = payload_compress(compressor, span_of(at, samples->lens[i]), &frame, &used);
        plain_bytes += samples->lens[i];
        // What a frame with a dictionary takes beside it: the dictionary's id.
        stored_bytes += smaller ? frame.len + (used ? 2u : 0u) : samples->lens[i];
    }
    *ret_plain_bytes = plain_bytes;
    return stored_bytes;
}

// zstd wants the samples to train on in one piece, with lengths of its own type.
static size_t train(const struct dictionary_samples *samples, uint8_t *ret_dictionary,
                    uint32_t *ret_count)
{
    const uint8_t *at = samples->bytes;
    size_t total = 0;
    size_t result = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < samples->count; i++)
        total += samples->lens[i];
    uint8_t *bytes = malloc(total ? total : 1);
    size_t *lens = malloc((samples->count + 1) * sizeof(*lens));
    total = 0;
    for (uint32_t i = 0; bytes && lens && i < samples->count; at += samples->lens[i++]) {
        if (is_held_back(i))
            continue;
        memcpy(bytes + total, at, samples->lens[i]);
        total += samples->lens[i];
        lens[count++] = samples->lens[i];
    }
    if (count > 0)
        result = ZDICT_trainFromBuffer(ret_dictionary, DICTIONARY_TRAIN_BYTES, bytes, lens, count);
    free(bytes);
    free(lens);
    *ret_count = count;
    return ZDICT_isError(result) ? 0 : result;
}

int dictionary_train(const struct dictionary_samples *samples, int level, struct span current,
                     struct dictionary *ret_dictionary, struct store_error *err)
{
    struct dictionary made = {.trained_ms = os_realtime_ms()};
    struct payload_compressor *compressor = payload_compressor_new();
    uint8_t *bytes = malloc(DICTIONARY_TRAIN_BYTES);
    if (!compressor || !bytes) {
        payload_compressor_free(compressor);
        free(bytes);
        return error_set(err, STORE_ENOMEM, "out of memory while training a dictionary");
    }
    size_t len = train(samples, bytes, &made.samples);
    made.bytes = span_of(bytes, len);
    if (!payload_is_dictionary(made.bytes)) {
        payload_compressor_free(compressor);
        free(bytes);
        return error_set(err, STORE_ENOTFOUND,
                         "%lu messages are too few, or too different, to train a dictionary on",
                         (unsigned long)made.samples);
    }
    payload_compressor_use(compressor, level, current.data ? 1 : 0, current);
    made.before_bytes = trial(compressor, samples, &made.trial_bytes);
    payload_compressor_use(compressor, level, 1, made.bytes);
    made.after_bytes = trial(compressor, samples, &made.trial_bytes);
    payload_compressor_free(compressor);
    *ret_dictionary = made;
    return 0;
}

bool dictionary_gains(const struct dictionary *dictionary)
{
    return dictionary->after_bytes <=
           dictionary->before_bytes - dictionary->before_bytes / GAIN_MIN_PART;
}
