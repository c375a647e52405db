// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// LMDB on the memory disk. The packaged liblmdb calls the C library's open, pwrite, writev,
// fdatasync and close; functions of that name in the program come before the library's, so each of
// these calls is caught. LMDB needs a real file to map, and gets one in a folder of the test; what
// it writes there is noted on the memory disk under the name data.mdb as well, granule by granule,
// with what is synced and what is not, at the same instant as the journal's files. Before LMDB
// opens the file anew it is written from the disk: so a disk that a power cut left can be opened by
// the real tables.
//
// LMDB writes its two head pages through a second descriptor, opened with O_DSYNC: such a write may
// be lost or torn until it returns, and then is on the disk, but nothing else is by it. One that
// fails may be on the disk all the same.
//
// Nothing in the program is really synced: files that belong to no disk need not last.
#ifndef TESTS_LMDB_DISK_H
#define TESTS_LMDB_DISK_H

#include "os_memory.h"

// From now on data.mdb and create.tmp in `folder` lie on the disk. `folder` must stay valid.
void lmdb_disk_attach(struct disk *disk, const char *folder);
void lmdb_disk_detach(struct disk *disk);

#endif
