// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "segment.h"

#include "bytes.h"
#include "seeded.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void segment_name(uint64_t number, char *dst)
{
    snprintf(dst, SEGMENT_NAME_BYTES, "%010llu.log", (unsigned long long)number);
}

bool segment_name_parse(const char *name, uint64_t *ret_number)
{
    if (strlen(name) != 14 || strcmp(name + 10, ".log") != 0)
        return false;
    uint64_t number = 0;
    for (int i = 0; i < 10; i++) {
        if (name[i] < '0' || name[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(name[i] - '0');
    }
    if (number == 0 || number > UINT32_MAX)
        return false;
    *ret_number = number;
    return true;
}

// Gives the file its size, its header, synced, and zeros.
static int segment_fill(struct segment *segment, const uint8_t *block, struct segment_zeros zeros,
                        struct store_error *err)
{
    struct os_file *file = segment->file;
    uint64_t bytes = segment->header.bytes, written = 0;
    bool kept = false;
    int rc = os_file_reserve(file, bytes, &written, &kept, err);
    bool late = kept && !zeros.synced;
    if (rc == 0 && !late)
        rc = os_file_zero(file, written, bytes, zeros.piece_bytes, err);
    if (SEEDED(FILL_ERROR_IGNORED))
        rc = 0;
    // The terminator goes with the header: a recycled file holds an old frame there.
    if (rc ||
        (rc = os_file_write(file, 0, block, SEGMENT_HEADER_BYTES + FRAME_TERMINATOR_BYTES, err)) ||
        (!SEEDED(SEGMENT_NOT_SYNCED) && (rc = os_file_sync(file, err))))
        return rc;
    if (written < SEGMENT_HEADER_BYTES)
        written = SEGMENT_HEADER_BYTES;
    return late ? os_file_zero(file, written, bytes, zeros.piece_bytes, err) : 0;
}

int segment_prepare(struct segment **ret_segment, struct os_dir *dir,
                    const struct segment_header *header, const char *recycle,
                    struct segment_zeros zeros, struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    segment_name(header->number, name);
    uint8_t *block = NULL;
    bool named = false;
    int rc = 0;

    struct segment *segment = calloc(1, sizeof(*segment));
    block = calloc(1, SEGMENT_HEADER_BYTES + FRAME_TERMINATOR_BYTES);
    if (!segment || !block) {
        rc = error_set(err, STORE_ENOMEM, "out of memory");
        goto done;
    }
    segment->header = *header;
    if (!SEEDED(SALT_NOT_DRAWN) &&
        (rc = os_random(&segment->header.salt, sizeof(segment->header.salt), err)))
        goto done;

    if (recycle)
        rc = os_dir_rename(dir, recycle, SEGMENT_PREPARE_NAME, err);
    else
        rc = os_dir_remove(dir, SEGMENT_PREPARE_NAME, err);
    if (rc)
        goto done;
    segment_header_encode(&segment->header, block);
    if ((rc = os_file_open(&segment->file, dir, SEGMENT_PREPARE_NAME,
                           OS_READ | OS_WRITE | OS_CREATE, err)) ||
        (rc = segment_fill(segment, block, zeros, err)) ||
        (rc = os_dir_rename(dir, SEGMENT_PREPARE_NAME, name, err)))
        goto done;
    named = true;
    os_file_set_name(segment->file, name);
    void *map = NULL;
    if ((!SEEDED(SEGMENT_NAME_NOT_SYNCED) && (rc = os_dir_sync(dir, err))) ||
        (rc = os_file_map(segment->file, (size_t)segment->header.bytes, &map, err)))
        goto done;
    segment->map = map;

done:
    free(block);
    if (rc) {
        segment_close(segment);
        os_dir_remove(dir, named ? name : SEGMENT_PREPARE_NAME, NULL);
        return rc;
    }
    *ret_segment = segment;
    return 0;
}

void segment_close(struct segment *segment)
{
    if (!segment)
        return;
    os_unmap(segment->map, (size_t)segment->header.bytes);
    os_file_close(segment->file);
    free(segment);
}

static int header_load(struct os_file *file, uint64_t number, struct segment_header *ret_header,
                       struct store_error *err)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    size_t len = 0;
    uint64_t bytes = 0;
    int rc = os_file_size(file, &bytes, err);
    if (rc == 0)
        rc = os_file_read(file, 0, block, sizeof(block), &len, err);
    if (rc)
        return rc;
    if (len < sizeof(block))
        return error_set(err, STORE_EDAMAGED, "%s: the file ends inside the segment header",
                         os_file_name(file));
    struct segment_header header;
    rc = segment_header_decode(block, &header, err);
    if (rc)
        return error_prefix(err, "%s", os_file_name(file));
    if (header.number != number)
        return error_set(err, STORE_EDAMAGED,
                         "%s: the header says that this is segment %llu; a file was renamed or "
                         "copied",
                         os_file_name(file), (unsigned long long)header.number);
    if (bytes != header.bytes)
        return error_set(err, STORE_EDAMAGED, "%s: the file has %llu bytes, its header says %llu",
                         os_file_name(file), (unsigned long long)bytes,
                         (unsigned long long)header.bytes);
    *ret_header = header;
    return 0;
}

static int file_open(struct os_file **ret_file, struct segment_header *ret_header,
                     struct os_dir *dir, uint64_t number, struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    struct os_file *file = NULL;
    segment_name(number, name);
    int rc = os_file_open(&file, dir, name, OS_READ, err);
    if (rc == 0)
        rc = header_load(file, number, ret_header, err);
    if (rc) {
        os_file_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int segment_file_open(struct os_file **ret_file, struct segment_header *ret_header,
                      struct os_dir *dir, uint64_t number, const uint8_t store_id[16],
                      struct store_error *err)
{
    struct os_file *file = NULL;
    int rc = file_open(&file, ret_header, dir, number, err);
    if (rc == 0 && memcmp(ret_header->store_id, store_id, 16) != 0 && !SEEDED(FOREIGN_NOT_SEEN))
        rc = error_set(err, STORE_EDAMAGED,
                       "%s belongs to another store; it was copied here, move it away",
                       os_file_name(file));
    if (rc) {
        os_file_close(file);
        return rc;
    }
    *ret_file = file;
    return 0;
}

int segment_header_load(struct os_dir *dir, uint64_t number, struct segment_header *ret_header,
                        struct store_error *err)
{
    struct os_file *file = NULL;
    int rc = file_open(&file, ret_header, dir, number, err);
    os_file_close(file);
    return rc;
}

int segment_image_load(struct segment_image *image, struct os_dir *dir, uint64_t number,
                       const uint8_t store_id[16], struct store_error *err)
{
    char name[SEGMENT_NAME_BYTES];
    struct os_file *file = NULL;
    *image = (struct segment_image){0};
    segment_name(number, name);
    int rc = segment_file_open(&file, &image->header, dir, number, store_id, err);
    if (rc)
        goto done;
    size_t len = 0;
    image->data = malloc((size_t)image->header.bytes);
    if (!image->data)
        rc = error_set(err, STORE_ENOMEM, "%s: no memory for %llu bytes", name,
                       (unsigned long long)image->header.bytes);
    else
        rc = os_file_read(file, 0, image->data, (size_t)image->header.bytes, &len, err);
    if (rc == 0 && len != image->header.bytes)
        rc = error_set(err, STORE_EDAMAGED, "%s: the file became shorter while it was read", name);

done:
    os_file_close(file);
    if (rc)
        segment_image_release(image);
    return rc;
}

// Of one byte or more.
static bool bytes_are_zero(const uint8_t *bytes, size_t len)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

bool segment_is_blank(struct os_dir *dir, uint64_t number)
{
    uint8_t block[SEGMENT_HEADER_BYTES];
    char name[SEGMENT_NAME_BYTES];
    struct os_file *file = NULL;
    uint64_t bytes = 0, offset = 0;
    size_t len = 0;
    bool blank = true;
    segment_name(number, name);
    int rc = os_file_open(&file, dir, name, OS_READ, NULL);
    if (rc == 0)
        rc = os_file_size(file, &bytes, NULL);
    if (bytes < SEGMENT_MIN_BYTES)
        blank = false;
    while (rc == 0 && blank && offset < bytes) {
        rc = os_file_read(file, offset, block, sizeof(block), &len, NULL);
        blank = rc == 0 && len > 0 && bytes_are_zero(block, len) == (offset > 0);
        offset += len;
    }
    os_file_close(file);
    return rc == 0 && blank;
}

void segment_image_release(struct segment_image *image)
{
    free(image->data);
    image->data = NULL;
}

struct number_list {
    uint64_t *numbers;
    size_t count, room;
};

static int number_list_add(void *user, const char *name)
{
    struct number_list *list = user;
    uint64_t number;
    if (!segment_name_parse(name, &number))
        return 0;
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 16;
        uint64_t *grown = realloc(list->numbers, room * sizeof(*grown));
        if (!grown)
            return STORE_ENOMEM;
        list->numbers = grown;
        list->room = room;
    }
    list->numbers[list->count++] = number;
    return 0;
}

static int number_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

int segment_list(struct os_dir *dir, uint64_t **ret_numbers, size_t *ret_count,
                 struct store_error *err)
{
    struct number_list list = {0};
    int rc = os_dir_list(dir, number_list_add, &list, err);
    if (rc == STORE_ENOMEM)
        error_set(err, STORE_ENOMEM, "out of memory");
    if (rc) {
        free(list.numbers);
        return rc;
    }
    if (list.count)
        qsort(list.numbers, list.count, sizeof(*list.numbers), number_compare);
    *ret_numbers = list.numbers;
    *ret_count = list.count;
    return 0;
}
