// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "reserve.h"

int reserve_take(struct os_dir *dir, uint64_t bytes, struct store_error *err)
{
    struct os_file *file = NULL;
    uint64_t has = 0;
    int rc = os_file_open(&file, dir, RESERVE_NAME, OS_READ | OS_WRITE | OS_CREATE, err);
    if (rc)
        return rc;
    rc = os_file_size(file, &has, err);
    if (rc == 0 && has != bytes)
        rc = os_file_fill(file, bytes, err);
    os_file_close(file);
    if (rc)
        os_dir_remove(dir, RESERVE_NAME, NULL);
    return rc;
}

bool reserve_give_up(struct os_dir *dir)
{
    struct os_file *file = NULL;
    uint64_t bytes = 0;
    int rc = os_file_open(&file, dir, RESERVE_NAME, OS_READ, NULL);
    if (rc == 0)
        rc = os_file_size(file, &bytes, NULL);
    os_file_close(file);
    return rc == 0 && os_dir_remove(dir, RESERVE_NAME, NULL) == 0 && bytes > 0;
}
