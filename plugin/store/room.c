// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "room.h"

#include "seeded.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

// On a disk that is nearly full the rest is taken in pieces down to this.
#define PIECE_MIN_BYTES ((uint64_t)64 * 1024)

struct room {
    struct os_dir *dir;
    struct os_file *file; // data.mdb
    struct tables *tables;
    uint64_t margin_bytes, reopen_bytes;

    // Under `lock`.
    pthread_mutex_t lock;
    bool asked;                       // by room_keep
    uint64_t wanted_bytes;            // behind the end of the file
    uint64_t kept_end;                // up to here the disk has room
    uint64_t taken;                   // of what the journal was given, so much is in the tables
    struct tables_room found;         // the last look
    struct store_error given_way;     // why the journal comes first, code 0: it does not
    struct store_error short_of;      // why less is kept than is wanted, code 0: it is kept
    bool refused[TABLES_RUN_CLASSES]; // until there is room for reopen_bytes

    // Without it.
    _Atomic uint64_t limit[TABLES_RUN_CLASSES]; // how much the journal may be given, ever
};

// Allocates what is missing, or as much of it as there is. Under the lock.
static void room_grow(struct room *room)
{
    uint64_t end = room->found.file_bytes + room->margin_bytes + room->wanted_bytes;
    struct store_error why = {0};
    if (end > room->found.map_bytes) {
        error_set(&why, STORE_ENOSPC,
                  "data.mdb cannot grow beyond %llu bytes: the address space has no room for a "
                  "larger map",
                  (unsigned long long)room->found.map_bytes);
        end = room->found.map_bytes;
    }
    if (room->kept_end < room->found.file_bytes)
        room->kept_end = room->found.file_bytes;
    uint64_t piece = end > room->kept_end ? end - room->kept_end : 0;
    while (room->kept_end < end) {
        uint64_t bytes = end - room->kept_end < piece ? end - room->kept_end : piece;
        int rc = os_file_allocate(room->file, room->kept_end, bytes, &why);
        if (rc == 0)
            room->kept_end += bytes;
        else if (rc != STORE_ENOSPC || piece < 2 * PIECE_MIN_BYTES)
            break;
        else
            piece /= 2;
    }
    if (room->kept_end >= end && end < room->found.map_bytes)
        why.code = 0;
    room->short_of = why;
}

// What is missing, NULL: nothing. Under the lock.
static const struct store_error *room_lack(const struct room *room)
{
    if (room->given_way.code)
        return &room->given_way;
    return room->short_of.code ? &room->short_of : NULL;
}

static void room_set_limits(struct room *room)
{
    bool lacks = room_lack(room) != NULL;
    uint64_t behind = room->kept_end - room->found.file_bytes;
    for (unsigned i = 0; i < TABLES_RUN_CLASSES; i++) {
        uint64_t bytes = behind + room->found.free_bytes[i];
        bytes = bytes > room->margin_bytes ? bytes - room->margin_bytes : 0;
        if (lacks && room->refused[i] && bytes < room->reopen_bytes)
            bytes = 0;
        else
            room->refused[i] = false;
        // Where nothing lacks, the journal may fill all its files, and be given more of them.
        atomic_store_explicit(&room->limit[i], lacks ? room->taken + bytes : UINT64_MAX,
                              memory_order_relaxed);
    }
}

int room_open(struct room **ret_room, struct os_dir *dir, struct tables *tables,
              uint64_t margin_bytes, uint64_t reopen_bytes, struct store_error *err)
{
    struct room *room = calloc(1, sizeof(*room));
    if (!room)
        return error_set(err, STORE_ENOMEM, "out of memory");
    pthread_mutex_init(&room->lock, NULL);
    room->dir = dir;
    room->tables = tables;
    room->margin_bytes = margin_bytes;
    room->reopen_bytes = reopen_bytes;
    int rc = os_file_open(&room->file, dir, "data.mdb", OS_READ | OS_WRITE, err);
    if (rc == 0)
        rc = tables_room(tables, false, &room->found, err);
    if (rc) {
        room_close(room);
        return rc;
    }
    room->kept_end = room->found.file_bytes;
    room_set_limits(room);
    *ret_room = room;
    return 0;
}

void room_close(struct room *room)
{
    if (!room)
        return;
    os_file_close(room->file);
    pthread_mutex_destroy(&room->lock);
    free(room);
}

void room_give_back(struct room *room)
{
    uint64_t bytes = 0;
    if (os_file_size(room->file, &bytes, NULL) == 0)
        (void)os_file_truncate(room->file, bytes, NULL); // what stays allocated does no harm
}

int room_keep(struct room *room, uint64_t bytes, struct store_error *err)
{
    pthread_mutex_lock(&room->lock);
    room->given_way.code = 0;
    room->wanted_bytes = bytes;
    room_grow(room);
    room_set_limits(room);
    int code = room->short_of.code;
    if (code && err)
        *err = room->short_of;
    pthread_mutex_unlock(&room->lock);
    return code;
}

void room_give_way(struct room *room, const struct store_error *reason)
{
    pthread_mutex_lock(&room->lock);
    room->given_way = *reason;
    room->wanted_bytes = 0;
    room_set_limits(room);
    pthread_mutex_unlock(&room->lock);
}

// Takes over what was found. Whether that is all there is to know.
static bool room_take(struct room *room, const struct tables_room *found, bool counted,
                      uint64_t taken)
{
    pthread_mutex_lock(&room->lock);
    room->taken = taken;
    room->found = *found;
    room_grow(room);
    bool enough = counted || !room_lack(room);
    if (enough)
        room_set_limits(room);
    pthread_mutex_unlock(&room->lock);
    return enough;
}

void room_look(struct room *room, uint64_t taken)
{
    struct tables_room found;
    bool count_free = room_is_short(room);
    // The bound must be known before it is met: without a free page nothing can be deleted.
    pthread_mutex_lock(&room->lock);
    uint64_t end = room->found.file_bytes + room->margin_bytes + room->wanted_bytes;
    pthread_mutex_unlock(&room->lock);
    tables_map_reach(room->tables, end);
    while (tables_room(room->tables, count_free, &found, NULL) == 0 &&
           !room_take(room, &found, count_free, taken))
        count_free = true;
}

uint64_t room_free_bytes(struct room *room)
{
    uint64_t bytes = 0;
    return os_dir_free_bytes(room->dir, &bytes, NULL) == 0 ? bytes : 0;
}

uint64_t room_sessions(struct room *room)
{
    pthread_mutex_lock(&room->lock);
    uint64_t sessions = room->found.sessions;
    pthread_mutex_unlock(&room->lock);
    return sessions;
}

bool room_is_short(struct room *room)
{
    pthread_mutex_lock(&room->lock);
    bool is_short = room_lack(room) != NULL;
    pthread_mutex_unlock(&room->lock);
    return is_short;
}

int room_admit(struct room *room, uint64_t given, uint64_t value_bytes, struct store_error *err)
{
    unsigned run = tables_run_class(value_bytes);
    if (given <= atomic_load_explicit(&room->limit[run], memory_order_relaxed))
        return 0;
    int rc = 0;
    pthread_mutex_lock(&room->lock);
    // Between the look without the lock and this one there may have been another commit.
    if (given > atomic_load_explicit(&room->limit[run], memory_order_relaxed)) {
        room->refused[run] = true;
        const struct store_error *lack = room_lack(room);
        rc = error_set(err, lack ? lack->code : STORE_ENOSPC, "the tables have no room for it: %s",
                       lack ? lack->sentence : "ask again");
    }
    pthread_mutex_unlock(&room->lock);
    return rc;
}
