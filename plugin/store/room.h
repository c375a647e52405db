// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Room on the disk for the tables to take in what the journal holds. LMDB never overwrites a page
// in use, so on a disk without a free byte not even a deletion could be committed, and a broker
// that was killed there could not take up its journal. So the blocks behind the end of data.mdb are
// allocated ahead: nobody else can have them. On a full disk what is left of them, and the pages
// that are free within the file, tell how much more the journal may be given.
//
// All is counted in bytes of the tables: room_cost says what a frame of the journal may need.
#ifndef STORE_ROOM_H
#define STORE_ROOM_H

#include "os.h"
#include "tables.h"

struct room;

// A value that does not fit into half a page gets whole pages; a page of smaller ones that was
// split is half full.
static inline uint64_t room_cost(uint64_t frame_bytes)
{
    return frame_bytes + (frame_bytes < 8192 ? frame_bytes : 8192);
}

// `margin_bytes` are never promised: a transaction copies the pages that it changes. Folder and
// tables must outlive the room. Admission that was refused opens again when `reopen_bytes` can be
// given.
int room_open(struct room **ret_room, struct os_dir *dir, struct tables *tables,
              uint64_t margin_bytes, uint64_t reopen_bytes, struct store_error *err);
void room_close(struct room *room); // what was allocated stays so; NULL is fine

// Gives back to the disk what is allocated behind the end of data.mdb. No thread may use the room
// or change the tables any more.
void room_give_back(struct room *room);

// Keeps `bytes` on the disk for what the journal's files may come to hold beyond what the tables
// have. STORE_ENOSPC: it has kept what there was. Any thread.
int room_keep(struct room *room, uint64_t bytes, struct store_error *err);

// The disk has no room for the few files without which the journal cannot go on: until the next
// room_keep what becomes free is left to them. Any thread.
void room_give_way(struct room *room, const struct store_error *reason);

// Looks at the tables after a commit; of what the journal was ever given they have `taken` bytes.
// The committer's thread, not within a transaction.
void room_look(struct room *room, uint64_t taken);

// What is free on the disk beside that, 0 if nobody knows. Any thread.
uint64_t room_free_bytes(struct room *room);

// How many sessions the tables had at the last look. Any thread.
uint64_t room_sessions(struct room *room);

// Whether less is kept than is wanted. Any thread.
bool room_is_short(struct room *room);

// Whether the tables can surely take in all that the journal was given, were `given` bytes, of
// which the last record has a value of `value_bytes`. STORE_ENOSPC says why not. Any thread; cheap.
int room_admit(struct room *room, uint64_t given, uint64_t value_bytes, struct store_error *err);

#endif
