// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "trainer.h"

#include <stdlib.h>
#include <string.h>

struct trainer {
    uint8_t *bytes; // the samples, one behind the other; made when the first one comes
    size_t used;
    uint32_t lens[TRAINER_SAMPLES_MAX];
    uint32_t count;
    uint64_t offered; // contents since the last training
    uint64_t offered_bytes;
    uint64_t stride; // every so many of them is a sample
    uint64_t due_bytes;
    struct dictionary made; // absent bytes: none
};

struct trainer *trainer_new(void)
{
    struct trainer *trainer = calloc(1, sizeof(*trainer));
    if (!trainer)
        return NULL;
    trainer->stride = 1;
    trainer->due_bytes = TRAINER_FIRST_BYTES;
    return trainer;
}

void trainer_free(struct trainer *trainer)
{
    if (!trainer)
        return;
    trainer_taken(trainer);
    free(trainer->bytes);
    free(trainer);
}

// Keeps every second sample.
static void samples_thin(struct trainer *trainer)
{
    size_t from = 0;
    size_t to = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < trainer->count; i++) {
        uint32_t len = trainer->lens[i];
        if (i % 2 == 0) {
            memmove(trainer->bytes + to, trainer->bytes + from, len);
            to += len;
            trainer->lens[kept++] = len;
        }
        from += len;
    }
    trainer->used = to;
    trainer->count = kept;
    trainer->stride *= 2;
}

uint8_t *trainer_offer(struct trainer *trainer, size_t bytes)
{
    if (bytes == 0 || bytes > TRAINER_SAMPLE_MAX_BYTES)
        return NULL;
    trainer->offered_bytes += bytes;
    if (trainer->offered++ % trainer->stride != 0)
        return NULL;
    if (!trainer->bytes)
        trainer->bytes = malloc(TRAINER_SAMPLES_BYTES);
    if (!trainer->bytes)
        return NULL;
    if (trainer->used + bytes > TRAINER_SAMPLES_BYTES || trainer->count == TRAINER_SAMPLES_MAX)
        samples_thin(trainer);
    uint8_t *place = trainer->bytes + trainer->used;
    trainer->used += bytes;
    trainer->lens[trainer->count++] = (uint32_t)bytes;
    return place;
}

bool trainer_is_due(const struct trainer *trainer)
{
    return trainer->offered_bytes >= trainer->due_bytes;
}

int trainer_train_now(struct trainer *trainer, int level, struct span current,
                      struct dictionary *ret_made, struct store_error *err)
{
    struct dictionary_samples samples = {trainer->bytes, trainer->lens, trainer->count};
    struct dictionary made;
    int rc = dictionary_train(&samples, level, current, &made, err);
    if (rc)
        return rc;
    if (dictionary_gains(&made)) {
        trainer_taken(trainer);
        trainer->made = made;
    } else {
        free((void *)(uintptr_t)made.bytes.data);
        made.bytes = (struct span){NULL, 0};
    }
    *ret_made = made;
    return 0;
}

bool trainer_train(struct trainer *trainer, int level, struct span current)
{
    struct dictionary made = {0};
    trainer_train_now(trainer, level, current, &made, NULL);
    trainer->used = 0;
    trainer->count = 0;
    trainer->offered = 0;
    trainer->offered_bytes = 0;
    trainer->stride = 1;
    if (trainer->due_bytes < TRAINER_LAST_BYTES)
        trainer->due_bytes *= 4;
    return made.bytes.data != NULL;
}

const struct dictionary *trainer_made(const struct trainer *trainer)
{
    return trainer->made.bytes.data ? &trainer->made : NULL;
}

void trainer_taken(struct trainer *trainer)
{
    free((void *)(uintptr_t)trainer->made.bytes.data);
    trainer->made.bytes = (struct span){NULL, 0};
}
