// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Files of the journal that nobody needs any more, to be made segments anew: that takes neither
// room on the disk nor zeros to be written.
#ifndef STORE_SPARES_H
#define STORE_SPARES_H

#include "segment.h"

// What a journal needs to go on, and the tables' segment: cf. journal_open.
#define SPARES_MAX 3u
#define SPARE_PREFIX "spare-"

struct spares {
    char names[SPARES_MAX][SEGMENT_NAME_BYTES];
    unsigned count;
};

// Those that an earlier life left.
void spares_find(struct spares *spares, struct os_dir *dir);

// Takes the segment out of the journal's sequence: under a spare's name, or removed if there are
// enough. Durable after os_dir_sync. Not while a journal has popped some.
int spares_take(struct spares *spares, struct os_dir *dir, uint64_t number,
                struct store_error *err);

// The name of one, which is none any more. There must be one.
void spares_pop(struct spares *spares, char ret_name[SEGMENT_NAME_BYTES]);
void spares_push(struct spares *spares, const char *name); // there must be room

int spares_remove(struct spares *spares, struct os_dir *dir, struct store_error *err);

#endif
