// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The store: what the plugin and the command line see of the engine.
//
// A store is a folder: a journal of segments and an LMDB environment into which the journal is
// folded (FORMAT.md). One process at a time holds it for writing.
//
// Threads: one thread, the writer's, calls store_append and the other calls below unless one says
// otherwise. The store runs threads of its own (keeper, syncer, committer), which never call back
// but through `notice`.
#ifndef STORE_H
#define STORE_H

#include "error.h"
#include "event.h"

#define STORE_FORMAT_VERSION 1

struct store;

// X(name, value, text)
#define STORE_SYNC_MODES(X)               \
    X(STORE_SYNC_INTERVAL, 0, "interval") \
    X(STORE_SYNC_ALWAYS, 1, "always")     \
    X(STORE_SYNC_OS, 2, "os")
#define STORE_SYNC_ENUM(name, value, text) name = value,
enum store_sync { STORE_SYNC_MODES(STORE_SYNC_ENUM) };
#undef STORE_SYNC_ENUM

#define STORE_COMPRESSIONS(X)            \
    X(STORE_COMPRESSION_ZSTD, 0, "zstd") \
    X(STORE_COMPRESSION_NONE, 1, "none")
#define STORE_COMPRESSION_ENUM(name, value, text) name = value,
enum store_compression { STORE_COMPRESSIONS(STORE_COMPRESSION_ENUM) };
#undef STORE_COMPRESSION_ENUM

enum store_access {
    STORE_READ_WRITE = 0, // takes the lock, recovers, folds the journal's tail in, can append
    STORE_RECOVER = 1,    // as above, but cannot append: what a tool does before it reads
    STORE_READ_ONLY = 2,  // takes no lock, changes nothing, sees what LMDB holds
};

enum store_notice_level { STORE_NOTICE_INFO, STORE_NOTICE_WARNING, STORE_NOTICE_ERROR };

// Options by const pointer; a zero member means its default.
struct store_options {
    const char *path;                   // the store folder
    enum store_access access;           // default STORE_READ_WRITE
    bool create;                        // make the folder and an empty store if there is none
    bool check_values;                  // check every value of LMDB before the open succeeds
    bool allow_network_filesystem;      // default: such a folder is refused
    bool must_own;                      // root too must be the folder's owner: for the broker
    enum store_sync sync;               // default STORE_SYNC_INTERVAL
    uint32_t sync_interval_ms;          // default 100
    uint32_t commit_interval_ms;        // default 1000; later while the writer is busy (deferral.h)
    uint64_t journal_segment_bytes;     // default 16 MiB
    uint64_t journal_max_bytes;         // default 1 GiB
    enum store_compression compression; // default STORE_COMPRESSION_ZSTD
    int compression_level;              // default 1
    const char *holder;                 // who takes the lock, e.g. "mosquitto"; default the program
    uint32_t lock_wait_ms; // for as long a command line that holds the store is waited for
    // Says what a person should know while the store runs (a segment was made late, a torn tail was
    // cut, the disk is full and again when it is not). Called from any thread, never twice at once;
    // must not call the store. May be NULL.
    void (*notice)(void *user, enum store_notice_level level, const char *sentence);
    void *notice_user;
};

// Opens the store and, unless read-only, recovers it: what the journal holds beyond LMDB is folded
// in and durable on return, and appending goes on in a fresh segment.
//   STORE_ENOSTORE  no store and no `create`     STORE_EHELD    names the holder
//   STORE_EFOREIGN  the folder holds other files STORE_EVERSION names both versions
//   STORE_EDAMAGED  names file and offset        STORE_EUNSAFE  names mode, owner or type
int store_open(struct store **ret_store, const struct store_options *options,
               struct store_error *err);

// Closes. With `clean` a stop mark is appended, everything folded into LMDB and synced, so that the
// next open has nothing to recover; an error then says what did not get there (the journal still
// has it). Without, the store is left as a killed process would leave it. NULL is fine.
int store_close(struct store *store, bool clean, struct store_error *err);

// Appends one event. On return its record is in the kernel (it survives kill -9), and, with sync
// always and a record type that is promised, on the disk.
//   STORE_EPOISONED  an earlier write or sync failed; nothing is taken any more
//   STORE_EFULL, STORE_ENOSPC  no room is left, not even the reserve's
//   STORE_ETOOBIG    a string or payload beyond what MQTT allows
int store_append(struct store *store, const struct event *event, struct store_error *err);

// May a message with a payload, topic and properties of `bytes` in all be acknowledged? 0, or
// STORE_EFULL, STORE_ENOSPC, STORE_EPOISONED with the reason. What was admitted finds room even if
// it goes to every session. Cheap; the writer's thread.
int store_admit(struct store *store, uint64_t bytes, struct store_error *err);

// The writer's thread calls this now and then (each pass of a loop, or each second): appends the
// loop mark when the journal has gone idle. Returns how many milliseconds may pass until the next
// call, 0: no need to be called before the next append.
uint32_t store_tick(struct store *store);

// Returns when everything appended before the call is in LMDB and on the disk. Any thread.
int store_flush(struct store *store, struct store_error *err);

// Changes what can change while running: sync, sync_interval_ms, commit_interval_ms,
// journal_max_bytes, compression, compression_level. Other members are ignored. The writer's
// thread.
void store_reconfigure(struct store *store, const struct store_options *options);

// The id under which a broker's cmsg_id is kept: ids below 2^40 belong to this life of the store
// and are raised by (life << 40); an id that is already raised stays as it is. Ids grow in the
// order of adding, over restarts too. store_append does this by itself.
#define STORE_CMSG_LIFE_SHIFT 40
uint64_t store_cmsg_id(const struct store *store, uint64_t cmsg_id);

// ---- reading -------------------------------------------------------------------------------

// A callback gets one entry; returning non-zero ends the walk, which then returns that value.
typedef int store_session_fn(void *user, const struct session *session);
typedef int store_subscription_fn(void *user, const struct subscription *subscription);
typedef int store_message_fn(void *user, const struct message *message);
typedef int store_queued_fn(void *user, const struct queued *queued);
typedef int store_retained_fn(void *user, const struct retained *retained);
typedef int store_will_fn(void *user, const struct will *will);

// A dictionary that messages are compressed with, what it did in the trial that it was taken after,
// and what the messages that need it come to.
struct store_dictionary {
    uint32_t id;
    uint32_t bytes;
    bool in_use;            // by messages to come; the others are kept for those that need them
    int64_t trained_ms;     // since the epoch
    uint32_t samples;       // messages it was trained on
    uint64_t trial_bytes;   // contents of other messages, as published
    uint64_t before_bytes;  // the same as they would have been stored before
    uint64_t after_bytes;   // and with this dictionary
    uint64_t messages;      // that need it
    uint64_t content_bytes; // of these, as published
    uint64_t stored_bytes;  // of these, as they lie in LMDB
};
typedef int store_dictionary_fn(void *user, const struct store_dictionary *dictionary);

// A view is one consistent picture of LMDB (one read transaction), so that a session's queue and
// the messages it names belong together. It holds freed pages back: close it soon while a broker
// runs. Any thread, one thread per view; close it on the thread that opened it.
struct store_view;
int store_view_open(struct store_view **ret_view, struct store *store, struct store_error *err);
void store_view_close(struct store_view *view);

// Walks. Order: sessions by client id, subscriptions by client id and filter, messages by
// store_id, queued by client id, direction and order of adding, retained by topic, wills by client
// id (long strings, over 480 bytes, by their first bytes). A damaged value gives STORE_EDAMAGED
// with table, key and what is lost. `client_id` narrows a walk to one session; absent: all.
int store_each_session(struct store_view *view, store_session_fn *fn, void *user,
                       struct store_error *err);
int store_each_subscription(struct store_view *view, struct span client_id,
                            store_subscription_fn *fn, void *user, struct store_error *err);
int store_each_message(struct store_view *view, store_message_fn *fn, void *user,
                       struct store_error *err);
// As store_each_message, but what comes next is unpacked on a thread of the store's own meanwhile:
// for who has much to do with each message and no time, as a restore. `fn` is called on the
// caller's thread.
int store_each_message_ahead(struct store_view *view, store_message_fn *fn, void *user,
                             struct store_error *err);
int store_each_queued(struct store_view *view, struct span client_id, store_queued_fn *fn,
                      void *user, struct store_error *err);
int store_each_retained(struct store_view *view, store_retained_fn *fn, void *user,
                        struct store_error *err);
int store_each_will(struct store_view *view, store_will_fn *fn, void *user,
                    struct store_error *err);
int store_each_dictionary(struct store_view *view, store_dictionary_fn *fn, void *user,
                          struct store_error *err);

// Has the walks of a view pass over damage: each damaged value is told to `fn` and left out, an
// entry too whose callback returns STORE_EDAMAGED, and entries that could not be reached. Without,
// the first damage ends a walk. For those who salvage; never for those who serve.
typedef void store_damage_fn(void *user, const struct store_error *err);
void store_view_pass_damage(struct store_view *view, store_damage_fn *fn, void *user);

// Single entries. STORE_ENOTFOUND if there is none. What they give out is valid until the next call
// on the same view.
int store_get_session(struct store_view *view, struct span client_id, struct session *ret_session,
                      struct store_error *err);
int store_get_message(struct store_view *view, uint64_t store_id, struct message *ret_message,
                      struct store_error *err);
int store_get_retained(struct store_view *view, struct span topic, struct retained *ret_retained,
                       struct store_error *err);
int store_get_will(struct store_view *view, struct span client_id, struct will *ret_will,
                   struct store_error *err);

// ---- the journal ---------------------------------------------------------------------------

struct store_segment {
    uint64_t number;
    uint64_t bytes; // of the file
    uint64_t life;
    int64_t created_ms;
    uint64_t first_position;
    uint64_t end_position; // behind its last record
    uint64_t records;      // marks not counted
    const char *state;     // "covered", "live", "ready" (prepared, not used yet) or "damaged"
};
typedef int store_segment_fn(void *user, const struct store_segment *segment);

// Walks the segment files in the order of their numbers. Works beside a running broker. A damaged
// one is told as such; what keeps a sound one from being read ends the walk: STORE_EIO,
// STORE_ENOMEM, STORE_EUNSAFE, STORE_EVERSION, or what `fn` returns.
int store_each_segment(struct store *store, store_segment_fn *fn, void *user,
                       struct store_error *err);

// Reads records one after the other, beside a running broker too, which it does not slow down.
struct store_cursor;

// Starts at `from`, the position of a record; 0: at the oldest record that is still there.
// STORE_ENOTFOUND if that place is recycled already. Any thread, one thread per cursor.
int store_cursor_open(struct store_cursor **ret_cursor, struct store *store, uint64_t from,
                      struct store_error *err);
void store_cursor_close(struct store_cursor *cursor); // NULL is fine

// 1: a record, valid until the next call. 0: the end for now, a later call may give more.
// STORE_ENOTFOUND: the writer has taken away what was to be read next.
int store_cursor_next(struct store_cursor *cursor, struct event *ret_event, uint64_t *ret_position,
                      struct store_error *err);

// After that: goes to the oldest record that is still there behind those that were read.
int store_cursor_skip(struct store_cursor *cursor, struct store_error *err);

// ---- statistics ----------------------------------------------------------------------------

struct store_stats {
    char store_id[33];       // 32 hexadecimal digits
    uint32_t format_version; // of the store's files
    uint64_t life;           // how often the store was opened for writing
    uint64_t sessions;       // counts of LMDB's tables
    uint64_t sessions_connected;
    uint64_t subscriptions;
    uint64_t messages;
    uint64_t queued;
    uint64_t retained;
    uint64_t wills;
    uint64_t content_bytes;   // of all messages (topic, source, properties, payload), as published
    uint64_t stored_bytes;    // the same as they lie in LMDB
    uint64_t dictionary;      // id in use, 0: none
    uint64_t dictionaries;    // that messages need
    uint64_t lmdb_used_bytes; // pages in use
    uint64_t lmdb_free_bytes; // pages free within the file
    uint64_t lmdb_file_bytes;
    uint64_t lmdb_map_bytes; // address space reserved
    uint64_t journal_bytes;  // all segment files
    uint64_t journal_segments;
    uint64_t journal_end; // position after the last record
    uint64_t
        journal_durable; // position known to be on the disk (writer only, else journal_covered)
    uint64_t journal_covered;  // position up to which LMDB holds everything
    uint64_t behind_records;   // records between covered and end
    uint64_t behind_ms;        // none of them is older, 0: none or unknown
    uint64_t torn_bytes;       // at the journal's end: the next start cuts them
    char journal_damage[1024]; // the sentence with which the next start would refuse the journal;
                               // "": none, or the store is held, and its holder has judged it
    char lock_holder[256];     // "" if nobody holds it
    bool unseen;               // mounted read-only: see store_read_confirm
    uint64_t anomalies;        // events that named a session or message the store did not have
};

// Walks the sessions and what the journal holds beyond the tables, so it takes its time on a large
// store. Any thread.
int store_stats(struct store *store, struct store_stats *ret_stats, struct store_error *err);

// After reading without the lock: whether the store was left alone meanwhile, since it had this
// life and covered position (of store_stats), and nobody has taken it. For what is read in several
// pictures that must belong together. STORE_EHELD: it was not.
int store_left_alone(struct store *store, uint64_t life, uint64_t covered, struct store_error *err);

// Where the store is mounted read-only, a reader has no place in LMDB's lock file, and no writer
// sees that its pages are being read. store_open refuses (STORE_EHELD) to read so beside a writer;
// this tells, after reading, that one came meanwhile: then what was read, damage too, says nothing.
// Elsewhere 0.
int store_read_confirm(struct store *store, struct store_error *err);

// "lmdb 0.9.24, zstd 1.5.4": versions of the libraries at run time, for one log line.
const char *store_library_versions(void);

// What open did, valid until close.
struct store_recovery {
    bool created;        // there was no store before
    bool clean;          // the last writer stopped cleanly
    uint64_t records;    // folded in from the journal
    uint64_t torn_bytes; // cut from the tail and kept aside, 0: none
    char torn_file[64];  // name, within the folder, of what was kept aside
};
const struct store_recovery *store_recovery(const struct store *store);

#endif
