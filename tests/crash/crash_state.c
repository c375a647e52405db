// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "crash_state.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A thing that has `count` versions, of which number `chosen` is on the disk.
struct option {
    unsigned count;
    unsigned chosen;
};

struct crash {
    const struct disk *from;
    struct disk disk;
    struct option sizes[DISK_FILES_MAX];
    struct option names[DISK_PENDING_MAX];
    struct option *granules; // as in from->granules
    unsigned granule_room;
    unsigned torn; // granule that is torn at `torn_at`; UINT32_MAX: none
    unsigned torn_at;
    unsigned torn_with; // version of the rest
};

struct crash *crash_new(void)
{
    struct crash *crash = calloc(1, sizeof(*crash));
    if (!crash)
        abort();
    disk_init(&crash->disk);
    return crash;
}

void crash_free(struct crash *crash)
{
    disk_release(&crash->disk);
    free(crash->granules);
    free(crash);
}

// Brings the image of a file to its synced state.
static void file_mirror(struct crash *crash, unsigned number)
{
    const struct disk_file *from = &crash->from->files[number];
    struct disk_file *file = &crash->disk.files[number];
    if (file->room != from->room) {
        free(file->data);
        file->data = malloc(from->room);
        if (!file->data)
            abort();
        file->room = from->room;
    }
    memcpy(file->data, from->durable ? from->durable : from->data, from->room);
    file->bytes = from->durable_bytes;
    crash->sizes[number].count = from->bytes == from->durable_bytes ? 1 : 2;
    crash->sizes[number].chosen = 0;
}

static void granule_put(struct crash *crash, unsigned i)
{
    const struct disk_granule *granule = &crash->from->granules[i];
    uint8_t *at = crash->disk.files[granule->file].data + (size_t)granule->index * 512;
    memcpy(at, granule->versions[crash->granules[i].chosen], DISK_GRANULE_BYTES);
    if (i == crash->torn)
        memcpy(at, granule->versions[crash->torn_with], crash->torn_at);
}

static void granule_choose(struct crash *crash, unsigned i, unsigned version)
{
    bool was_torn = i == crash->torn;
    if (was_torn)
        crash->torn = UINT32_MAX;
    if (crash->granules[i].chosen == version && !was_torn)
        return;
    crash->granules[i].chosen = version;
    granule_put(crash, i);
}

static void size_choose(struct crash *crash, unsigned number, unsigned version)
{
    const struct disk_file *from = &crash->from->files[number];
    crash->sizes[number].chosen = version;
    crash->disk.files[number].bytes = version ? from->bytes : from->durable_bytes;
}

static void names_put(struct crash *crash)
{
    struct disk *disk = &crash->disk;
    memcpy(disk->names, crash->from->durable_names, sizeof(disk->names));
    disk->name_count = crash->from->durable_name_count;
    for (unsigned i = 0; i < crash->from->pending_count; i++) {
        if (crash->names[i].chosen)
            disk_pending_apply(&crash->from->pending[i], disk->names, &disk->name_count);
    }
}

void crash_prepare(struct crash *crash, const struct disk *from)
{
    crash->from = from;
    crash->torn = UINT32_MAX;
    if (crash->granule_room < from->granule_count) {
        free(crash->granules);
        crash->granule_room = from->granule_count * 2;
        crash->granules = calloc(crash->granule_room, sizeof(*crash->granules));
        if (!crash->granules)
            abort();
    }
    for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
        crash->sizes[i].count = 1;
        if (from->files[i].data)
            file_mirror(crash, i);
    }
    for (unsigned i = 0; i < from->granule_count; i++)
        crash->granules[i] = (struct option){.count = from->granules[i].count};
    for (unsigned i = 0; i < from->pending_count; i++)
        crash->names[i] = (struct option){.count = 2};
    crash->disk.tables = from->tables;
    names_put(crash);
}

static bool choices_multiply(uint64_t *choices, unsigned count)
{
    if (*choices > UINT64_MAX / 2 / DISK_VERSIONS_MAX)
        return false;
    *choices *= count;
    return true;
}

uint64_t crash_choices(const struct crash *crash)
{
    uint64_t choices = 1;
    for (unsigned i = 0; i < crash->from->granule_count; i++) {
        if (!choices_multiply(&choices, crash->granules[i].count))
            return UINT64_MAX;
    }
    for (unsigned i = 0; i < DISK_FILES_MAX; i++)
        choices *= crash->sizes[i].count;
    for (unsigned i = 0; i < crash->from->pending_count; i++) {
        if (!choices_multiply(&choices, 2))
            return UINT64_MAX;
    }
    return choices;
}

void crash_choose(struct crash *crash, uint64_t number)
{
    for (unsigned i = 0; i < crash->from->granule_count; i++) {
        granule_choose(crash, i, (unsigned)(number % crash->granules[i].count));
        number /= crash->granules[i].count;
    }
    for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
        if (crash->sizes[i].count > 1) {
            size_choose(crash, i, number & 1);
            number >>= 1;
        }
    }
    for (unsigned i = 0; i < crash->from->pending_count; i++) {
        crash->names[i].chosen = number & 1;
        number >>= 1;
    }
    names_put(crash);
}

void crash_choose_newest(struct crash *crash)
{
    for (unsigned i = 0; i < crash->from->granule_count; i++)
        granule_choose(crash, i, crash->granules[i].count - 1);
    for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
        if (crash->sizes[i].count > 1)
            size_choose(crash, i, 1);
    }
    for (unsigned i = 0; i < crash->from->pending_count; i++)
        crash->names[i].chosen = 1;
    names_put(crash);
}

// Shapes that random bits would seldom give: nearly all, nearly none, all but one, only one, a
// stretch of old ones.
enum shape { SHAPE_COIN, SHAPE_MOST, SHAPE_FEW, SHAPE_ALL_BUT_ONE, SHAPE_ONE, SHAPE_GAP, SHAPES };

static unsigned version_draw(enum shape shape, unsigned i, unsigned count, unsigned first,
                             unsigned last, uint64_t *seed)
{
    switch (shape) {
    case SHAPE_MOST:
        return seed_next(seed, 8) ? count - 1 : seed_next(seed, count);
    case SHAPE_FEW:
        return seed_next(seed, 8) ? 0 : seed_next(seed, count);
    case SHAPE_ALL_BUT_ONE:
        return i == first ? seed_next(seed, count - 1) : count - 1;
    case SHAPE_ONE:
        return i == first ? 1 + seed_next(seed, count - 1) : 0;
    case SHAPE_GAP:
        return i >= first && i <= last ? 0 : count - 1;
    default:
        return seed_next(seed, count);
    }
}

void crash_choose_random(struct crash *crash, uint64_t *seed)
{
    unsigned granules = crash->from->granule_count;
    enum shape shape = (enum shape)seed_next(seed, SHAPES);
    unsigned first = granules ? seed_next(seed, granules) : 0;
    unsigned last = granules ? first + seed_next(seed, granules - first) : 0;
    for (unsigned i = 0; i < granules; i++)
        granule_choose(crash, i,
                       version_draw(shape, i, crash->granules[i].count, first, last, seed));
    for (unsigned i = 0; i < DISK_FILES_MAX; i++) {
        if (crash->sizes[i].count > 1)
            size_choose(crash, i, seed_next(seed, 2));
    }
    unsigned loss = 1 + seed_next(seed, 3);
    for (unsigned i = 0; i < crash->from->pending_count; i++)
        crash->names[i].chosen = seed_next(seed, 4) >= loss;
    names_put(crash);
    if (granules && seed_next(seed, 3) == 0) {
        unsigned torn = seed_next(seed, granules);
        if (crash->from->files[crash->from->granules[torn].file].whole_granules)
            return;
        crash->torn = torn;
        crash->torn_at = 8 * (1 + seed_next(seed, DISK_GRANULE_BYTES / 8 - 1));
        crash->torn_with = seed_next(seed, crash->granules[crash->torn].count);
        granule_put(crash, crash->torn);
    }
}

struct disk *crash_disk(struct crash *crash)
{
    return &crash->disk;
}

void crash_describe(const struct crash *crash, char *dst, size_t size)
{
    int n = snprintf(dst, size, "granules");
    for (unsigned i = 0; i < crash->from->granule_count && n > 0 && (size_t)n < size; i++)
        n += snprintf(dst + n, size - (size_t)n, " %u:%u=%u%s", crash->from->granules[i].file,
                      crash->from->granules[i].index, crash->granules[i].chosen,
                      i == crash->torn ? " (torn)" : "");
    for (unsigned i = 0; i < crash->from->pending_count && n > 0 && (size_t)n < size; i++)
        n += snprintf(dst + n, size - (size_t)n, "; %s %s %s",
                      crash->names[i].chosen ? "with" : "without", crash->from->pending[i].from,
                      crash->from->pending[i].name);
}
