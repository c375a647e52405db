// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Seeded bugs: places where one protection can be taken out, to see which test notices. SEEDED is
// the constant false and leaves no code, but in a build with -DSEEDED_BUILD, in which the
// environment's SEEDED_BUG chooses one by its number. tests/faults/seeded.sh makes that build,
// tries each number of the list below and says which test caught it. Numbers are only ever added.
#ifndef STORE_SEEDED_H
#define STORE_SEEDED_H

#include <stdbool.h>

// X(number, name, what is taken out)
#define SEEDED_LIST(X)                                                                         \
    X(1, SEGMENT_NOT_SYNCED, "a new segment gets its name without having been synced")         \
    X(2, SEGMENT_NAME_NOT_SYNCED, "a new segment is used before the folder is synced")         \
    X(3, SALT_NOT_DRAWN, "the salt of every segment is 0")                                     \
    X(4, SALT_NOT_IN_SEED, "a frame's checksum does not depend on the salt")                   \
    X(5, POSITION_NOT_IN_SEED, "a frame's checksum does not depend on its position")           \
    X(6, FIRST_WORD_FIRST, "the first word of a frame is stored first")                        \
    X(7, NO_TERMINATOR, "no zero is written behind a frame")                                   \
    X(8, FILL_ERROR_IGNORED, "a segment is used although its space could not be allocated")    \
    X(9, LENGTH_NOT_CHECKED, "a frame's length is not held against the segment's end")         \
    X(10, CHECKSUM_NOT_CHECKED, "a frame's checksum is not looked at")                         \
    X(11, DURABLE_NOT_COVERED, "the checksum leaves out the durable position")                 \
    X(12, HEADER_NOT_CHECKED, "a segment header's checksum is not looked at")                  \
    X(13, DURABLE_CLAIMS_ALL, "a record says that all before it is durable")                   \
    X(14, DURABLE_BEFORE_SYNC, "the durable position moves before the sync")                   \
    X(15, DURABLE_AFTER_SYNC, "the durable position moves to where the log ends after a sync") \
    X(16, LAST_SEGMENT_ONLY, "a sync leaves out the segments before the last")                 \
    X(17, SYNC_RETRIED, "a failed sync is tried again")                                        \
    X(18, SYNC_NOT_POISONING, "a failed sync does not poison the journal")                     \
    X(19, POISONED_LATE, "a failed sync poisons after the next one may have begun")            \
    X(20, ALWAYS_NOT_SYNCED, "sync always does not sync")                                      \
    X(21, PROMISE_FORGOTTEN, "a queue entry is not taken for a promise")                       \
    X(22, RECYCLED_EARLY, "a segment is taken back while the tables still need its end")       \
    X(23, COVERED_BEFORE_COMMIT, "segments are given back before the tables have them")        \
    X(24, FULL_POSITION_KEPT, "what the tables had no room for is not given to them again")    \
    X(25, NO_LINK, "a segment does not say where the one before ended")                        \
    X(26, LINK_NOT_CHECKED, "recovery does not look where the segment before ended")           \
    X(27, LINK_CHECKSUM_NOT_CHECKED, "recovery does not look at the checksum of a link")       \
    X(28, DAMAGE_IS_TORN, "damage is taken for a torn tail")                                   \
    X(29, TORN_IS_DAMAGE, "a torn tail is taken for damage")                                   \
    X(30, EVIDENCE_HERE_ONLY, "evidence is not looked for in later segments")                  \
    X(31, SEARCH_STOPS, "the search for evidence ends at the first word that is no record")    \
    X(32, FOREIGN_NOT_SEEN, "a segment of another store is read")                              \
    X(33, LAST_HEADER_IGNORED, "a used segment with a damaged header is passed over")          \
    X(34, TORN_NOT_KEPT, "a torn tail is cut and not kept aside")                              \
    X(35, POSITION_BEFORE_JOURNAL, "the tables point at a segment before it is made")          \
    X(36, REMOVED_BEFORE_APPLIED, "old segments go before the tables point behind them")       \
    X(37, REMOVED_UPWARDS, "unused segments are removed from the first on")                    \
    X(38, LIFE_NOT_COUNTED, "a new life has the number of the one before")                     \
    X(39, RESERVE_NOT_KEPT, "admission leaves no reserve")                                     \
    X(40, NO_IDLE_MARK, "an idle log gets no mark")                                            \
    X(41, TABLES_NOT_SYNCED, "LMDB does not sync (MDB_NOSYNC)")                                \
    X(42, TABLES_HEAD_NOT_SYNCED, "LMDB does not sync its head (MDB_NOMETASYNC)")              \
    X(43, MODE_NOT_CHECKED, "files that are open to others are taken")                         \
    X(44, LANDED_TWICE, "a commit that landed and was called a failure is made again")         \
    X(45, CREATED_IN_PLACE, "the first tables are made under their final name")                \
    X(46, COMPACT_NOT_SYNCED, "compacted tables get their name without having been synced")    \
    X(47, FAILED_TABLES_WRITTEN, "tables that failed are written again")                       \
    X(48, VALUE_NOT_CHECKED, "a value's checksum is not looked at")                            \
    X(49, KEY_NOT_COVERED, "a value's checksum leaves out its key")                            \
    X(50, LOCK_NOT_TAKEN, "the store is not locked")                                           \
    X(51, LINKS_FOLLOWED, "symbolic links are followed")                                       \
    X(52, HEAD_NOT_SETTLED, "tables are written before the disk has the head that is seen")    \
    X(53, SYNC_RANGE_SHORT, "half of what the journal got is synced")                          \
    X(54, LOOKED_ONCE, "what a reader counted is believed although its segment went")          \
    X(55, JUDGED_ONCE, "a journal is judged although a writer came or went")                   \
    X(56, COMPACT_NOT_ALONE, "compacted tables get their name while a reader opens")

#define SEEDED_NUMBER(number, name, text) SEEDED_##name = number,
enum seeded_bug { SEEDED_LIST(SEEDED_NUMBER) };
#undef SEEDED_NUMBER

#ifdef SEEDED_BUILD
#include <stdlib.h>

static inline bool seeded_is_chosen(enum seeded_bug bug)
{
    static int chosen = -1;
    if (chosen < 0) {
        const char *number = getenv("SEEDED_BUG");
        chosen = number ? atoi(number) : 0;
    }
    return (int)bug == chosen;
}
#define SEEDED(name) seeded_is_chosen(SEEDED_##name)
#else
#define SEEDED(name) false
#endif

#endif
