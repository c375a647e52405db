// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One list of every option of the command line: it drives parsing, help, manual page and
// completion. A verb names the ones it takes (verbs.c); the global ones go with every verb.
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_CHOICE,   // one of the words in `choices`
    OPTION_COUNT,    // 100, 10k, 2M
    OPTION_DURATION, // 30s, 10m, 2h, 30d; kept in milliseconds
    OPTION_LIMITS,   // WARN or WARN:CRIT, in the unit of `limits`
};

// X(id, name, short name or 0, kind, placeholder, choices or NULL, help)
#define GLOBAL_OPTIONS(X)                                                                          \
    X(OPT_STORE, "store", 's', OPTION_TEXT, "DIR", NULL,                                           \
      "the store folder; default $MOSQUITTO_LMDB_STORE, else " DEFAULT_STORE_DIR)                  \
    X(OPT_JSON, "json", 'j', OPTION_FLAG, NULL, NULL, "print JSON; its fields are stable")         \
    X(OPT_COLOR, "color", 0, OPTION_CHOICE, "WHEN", "auto always never",                           \
      "colours: auto (default), always or never")                                                  \
    X(OPT_READ_ONLY, "read-only", 0, OPTION_FLAG, NULL, NULL,                                      \
      "do not finish what a crash left; say how many events are missing from the picture")         \
    X(OPT_PROGRESS, "progress", 0, OPTION_FLAG, NULL, NULL,                                        \
      "show progress even if standard error is not a terminal")                                    \
    X(OPT_HELP, "help", 'h', OPTION_FLAG, NULL, NULL, "explain the command, or the whole program") \
    X(OPT_VERSION, "version", 'V', OPTION_FLAG, NULL, NULL, "print the versions")

#define VERB_OPTIONS(X)                                                                            \
    X(OPT_LIMIT, "limit", 'l', OPTION_COUNT, "N", NULL, "at most N rows, then \"... and M more\"") \
    X(OPT_MATCH, "match", 'm', OPTION_TEXT, "GLOB", NULL,                                          \
      "only client ids that match the shell pattern GLOB")                                         \
    X(OPT_OFFLINE, "offline", 0, OPTION_FLAG, NULL, NULL, "only sessions without a connection")    \
    X(OPT_IDLE, "idle", 0, OPTION_DURATION, "AGE", NULL,                                           \
      "only sessions that have been offline for at least AGE (90s, 10m, 2h, 30d)")                 \
    X(OPT_QUEUE_GT, "queue-gt", 0, OPTION_COUNT, "N", NULL,                                        \
      "only sessions with more than N queued messages")                                            \
    X(OPT_SORT, "sort", 0, OPTION_CHOICE, "KEY", "id queue bytes age",                             \
      "order: id (default), queue or bytes (largest first), age (longest offline first)")          \
    X(OPT_COUNT, "count", 'n', OPTION_COUNT, "N", NULL, "how many messages; default 10")           \
    X(OPT_FROM, "from", 0, OPTION_CHOICE, "END", "oldest newest",                                  \
      "where to begin: oldest (default) or newest")                                                \
    X(OPT_PAYLOAD, "payload", 0, OPTION_CHOICE, "FORM", "auto text hex base64 json raw none",      \
      "how to show payloads: auto (default), text, hex, base64, json, raw or none")                \
    X(OPT_OLDER_THAN, "older-than", 0, OPTION_DURATION, "AGE", NULL,                               \
      "only messages that are at least AGE old (90s, 10m, 2h, 30d)")                               \
    X(OPT_KEEP, "keep", 0, OPTION_COUNT, "N", NULL, "keep the newest N messages")                  \
    X(OPT_TOPIC, "topic", 't', OPTION_TEXT, "TOPIC", NULL,                                         \
      "only what has to do with TOPIC (see the text above)")                                       \
    X(OPT_USERS, "users", 0, OPTION_FLAG, NULL, NULL, "show user names, not only their sizes")     \
    X(OPT_REDACT, "redact", 0, OPTION_FLAG, NULL, NULL,                                            \
      "leave out payloads, user names and what properties say: for support bundles")               \
    X(OPT_OUTPUT, "output", 'o', OPTION_TEXT, "DIR", NULL,                                         \
      "the folder of the new store, which must not exist, or be empty")                            \
    X(OPT_TRUNCATE, "truncate-journal", 0, OPTION_FLAG, NULL, NULL,                                \
      "cut the journal in place where it can no longer be read")                                   \
    X(OPT_YES, "yes", 'y', OPTION_FLAG, NULL, NULL, "do not ask")                                  \
    X(OPT_DRY_RUN, "dry-run", 0, OPTION_FLAG, NULL, NULL,                                          \
      "say what would be done, and change nothing")                                                \
    X(OPT_FOLLOW, "follow", 'F', OPTION_FLAG, NULL, NULL, "go on with what comes, until Ctrl-C")   \
    X(OPT_MARKS, "marks", 0, OPTION_FLAG, NULL, NULL, "show the journal's own marks too")          \
    X(OPT_FORMAT, "format", 'f', OPTION_CHOICE, "FORMAT", "nagios prometheus",                     \
      "form of the answer: nagios (default) or prometheus")                                        \
    X(OPT_DEEP, "deep", 0, OPTION_FLAG, NULL, NULL,                                                \
      "hold every value against its checksum too: a second for a million messages")                \
    X(OPT_MAX_QUEUE, "max-queue", 0, OPTION_LIMITS, "WARN[:CRIT]", "count",                        \
      "limits of the messages in the longest queue; CRIT may be left out")                         \
    X(OPT_MAX_AGE, "max-age", 0, OPTION_LIMITS, "WARN[:CRIT]", "duration",                         \
      "limits of the age of the oldest queued message (10m:1h)")                                   \
    X(OPT_MAX_BYTES, "max-bytes", 0, OPTION_LIMITS, "WARN[:CRIT]", "bytes",                        \
      "limits of the store's size on disk (1G:2G)")                                                \
    X(OPT_MAX_LAG, "max-lag", 0, OPTION_LIMITS, "WARN[:CRIT]", "duration",                         \
      "limits of how far LMDB is behind the journal (10s:60s)")                                    \
    X(OPT_MIN_FREE, "min-free", 0, OPTION_LIMITS, "WARN[:CRIT]", "bytes",                          \
      "least free space on the store's file system (1G:256M)")

#ifndef DEFAULT_STORE_DIR
#define DEFAULT_STORE_DIR "/var/lib/mosquitto/lmdb"
#endif

#define OPTION_ENUM(id, name, letter, kind, placeholder, choices, help) id,
enum option_id { OPT_END = 0, GLOBAL_OPTIONS(OPTION_ENUM) VERB_OPTIONS(OPTION_ENUM) OPT_COUNT_ALL };
#undef OPTION_ENUM

struct option {
    enum option_id id;
    const char *name; // without the dashes
    char letter;      // 0: none
    enum option_kind kind;
    const char *placeholder; // NULL for a flag
    const char *choices;     // words apart by blanks, or the unit of limits
    const char *help;
    bool global;
};

// By id, by name (`len` bytes) and by letter; NULL if there is none.
const struct option *option_get(enum option_id id);
const struct option *option_by_name(const char *name, size_t len);
const struct option *option_by_letter(char letter);

// The option's name that looks most like `name`; NULL if nothing is close.
const char *option_nearest(const char *name);

#endif
