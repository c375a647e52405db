// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The plugin's options: plugin_opt_KEY in the broker's configuration, KEY in the options file. One
// table says what each may be; nothing is taken that is not in it.
#ifndef PLUGIN_OPTIONS_H
#define PLUGIN_OPTIONS_H

#include "store/store.h"

#define OPTIONS_PATH_BYTES 4096

enum on_failure { ON_FAILURE_REFUSE, ON_FAILURE_STOP };

// X(member, key, kind, minimum, maximum, default, what it may be while the broker runs, help).
// Numbers, sizes and times share one type, so that one table serves them all; a choice holds the
// number of its list. The kinds are those of enum option_kind.
#define OPTIONS(X)                                                                                \
    X(path, "path", PATH, 0, 0, "", FIXED, "the store folder")                                    \
    X(options_file, "options_file", PATH, 0, 0, "", FIXED,                                        \
      "a file with further options, read again on SIGHUP")                                        \
    X(sync, "sync", SYNC, 0, 0, "interval", CHANGEABLE, "when the journal is forced to the disk") \
    X(sync_interval_ms, "sync_interval_ms", MS, 1, 60000, "100ms", CHANGEABLE,                    \
      "how long sync interval may leave the journal to the kernel")                               \
    X(commit_interval_ms, "commit_interval_ms", MS, 1, 3600000, "1s", CHANGEABLE,                 \
      "how often the journal is folded into the tables")                                          \
    X(journal_segment_bytes, "journal_segment_bytes", BYTES, 65536, 1073741824, "16M", FIXED,     \
      "the size of one file of the journal")                                                      \
    X(journal_max_bytes, "journal_max_bytes", BYTES, 262144, 1099511627776, "1G", CHANGEABLE,     \
      "the size of the journal at which publishers are refused")                                  \
    X(compression, "compression", COMPRESSION, 0, 0, "zstd", CHANGEABLE, "of payloads")           \
    X(compression_level, "compression_level", NUMBER, 1, 19, "1", CHANGEABLE,                     \
      "how hard to compress")                                                                     \
    X(on_failure, "on_failure", ON_FAILURE, 0, 0, "refuse", CHANGEABLE,                           \
      "what to do when the store fails")                                                          \
    X(check_at_start, "check_at_start", BOOL, 0, 0, "false", FIXED,                               \
      "check every value before the broker starts")

struct options {
    char path[OPTIONS_PATH_BYTES];
    char options_file[OPTIONS_PATH_BYTES];
    uint64_t sync;
    uint64_t sync_interval_ms;
    uint64_t commit_interval_ms;
    uint64_t journal_segment_bytes;
    uint64_t journal_max_bytes;
    uint64_t compression;
    uint64_t compression_level;
    uint64_t on_failure;
    uint64_t check_at_start;
    uint32_t given; // one bit an option, in the order of the list: it was given, not defaulted
};

void options_init(struct options *options);

// Takes one option; `source` names where it stands, for the sentence. STORE_EINVAL: the key is
// unknown (the nearest known one is named) or was given before, or the value is none of those
// allowed.
int options_set(struct options *options, const char *source, const char *key, const char *value,
                struct store_error *err);

// Takes the lines `KEY VALUE` of a file; empty ones and those that begin with # are skipped, and a
// key may stand with plugin_opt_ in front, as in the broker's configuration.
int options_read_file(struct options *options, const char *path, struct store_error *err);

// Checks what concerns more than one option. Call it when all are set.
int options_check(const struct options *options, struct store_error *err);

// For each option in which the two differ: its key, both values as text, and whether the change can
// be made while the broker runs.
typedef void options_change_fn(void *user, const char *key, const char *from, const char *to,
                               bool changeable);
void options_compare(const struct options *from, const struct options *to, options_change_fn *fn,
                     void *user);

// Takes the options that can change while the broker runs from the other set.
void options_take_changeable(struct options *options, const struct options *from);

// Fills the members of the store's options that come from ours. `path` is kept by pointer.
void options_for_store(const struct options *options, struct store_options *ret_store);

#endif
