// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "spares.h"

#include <stdio.h>
#include <string.h>

static void spare_name(unsigned i, char ret_name[SEGMENT_NAME_BYTES])
{
    snprintf(ret_name, SEGMENT_NAME_BYTES, SPARE_PREFIX "%u.tmp", i + 1);
}

void spares_find(struct spares *spares, struct os_dir *dir)
{
    *spares = (struct spares){0};
    for (unsigned i = 0; i < SPARES_MAX; i++) {
        char name[SEGMENT_NAME_BYTES];
        struct os_file *file = NULL;
        spare_name(i, name);
        if (os_file_open(&file, dir, name, OS_READ, NULL) == 0)
            spares_push(spares, name);
        os_file_close(file);
    }
}

static bool spares_have(const struct spares *spares, const char *name)
{
    for (unsigned i = 0; i < spares->count; i++) {
        if (strcmp(spares->names[i], name) == 0)
            return true;
    }
    return false;
}

int spares_take(struct spares *spares, struct os_dir *dir, uint64_t number, struct store_error *err)
{
    char segment[SEGMENT_NAME_BYTES];
    segment_name(number, segment);
    for (unsigned i = 0; i < SPARES_MAX; i++) {
        char name[SEGMENT_NAME_BYTES];
        spare_name(i, name);
        if (spares_have(spares, name))
            continue;
        int rc = os_dir_rename(dir, segment, name, err);
        if (rc == 0)
            spares_push(spares, name);
        return rc;
    }
    return os_dir_remove(dir, segment, err);
}

void spares_pop(struct spares *spares, char ret_name[SEGMENT_NAME_BYTES])
{
    memcpy(ret_name, spares->names[--spares->count], SEGMENT_NAME_BYTES);
}

void spares_push(struct spares *spares, const char *name)
{
    snprintf(spares->names[spares->count++], SEGMENT_NAME_BYTES, "%s", name);
}

int spares_remove(struct spares *spares, struct os_dir *dir, struct store_error *err)
{
    int rc = 0;
    while (rc == 0 && spares->count > 0) {
        char name[SEGMENT_NAME_BYTES];
        spares_pop(spares, name);
        rc = os_dir_remove(dir, name, err);
    }
    return rc;
}
