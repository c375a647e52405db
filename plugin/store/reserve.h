// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Room on the disk that is kept for deletions. LMDB never overwrites a page in use, so on a disk
// without a free byte not even a deletion can be committed. The reserve is a file that stands for
// that room; given up when the disk is full, it lets the tables move until there is room again.
#ifndef STORE_RESERVE_H
#define STORE_RESERVE_H

#include "os.h"

#define RESERVE_NAME "reserve.bin"

// Has the reserve in place, `bytes` large. STORE_ENOSPC if the disk has no room for it.
int reserve_take(struct os_dir *dir, uint64_t bytes, struct store_error *err);

// Gives the room back to the disk. False if there was no reserve.
bool reserve_give_up(struct os_dir *dir);

#endif
