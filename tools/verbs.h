// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// One table of what the command line can do. Parsing, the three levels of help, the manual page
// and the completion are made from it.
#ifndef TOOLS_VERBS_H
#define TOOLS_VERBS_H

#include "options.h"

struct context;

// The exit statuses of the program.
enum status {
    STATUS_DONE = 0,
    STATUS_ERROR = 1,
    STATUS_USAGE = 2,
    STATUS_FOUND = 3, // verify or check found something, or the store is damaged
    STATUS_HELD = 4,  // a running broker holds the store and the command needs it alone
};

enum verb_flags {
    VERB_READS = 1,     // gets ctx->store and ctx->view, opened by the rules of open.h
    VERB_WRITES = 2,    // gets ctx->store opened for writing, and ctx->view; alone on the store
    VERB_DESTROYS = 4,  // asks first
    VERB_STREAMS = 8,   // prints as it reads: no progress beside it on the same terminal
    VERB_PROBES = 16,   // opens the store itself, for a failure is part of its answer
    VERB_NO_STORE = 32, // needs none
    VERB_ALONE = 64,    // takes the store's lock by itself
    VERB_HIDDEN = 128,  // not in help
};

struct verb {
    const char *noun;
    const char *verb; // NULL: the noun alone is the command
    const char *arguments;
    int min_args;
    int max_args; // -1: any number
    unsigned flags;
    const enum option_id *options; // ended by OPT_END
    int (*run)(struct context *ctx);
    const char *summary;  // one line, no full stop
    const char *details;  // paragraphs apart by empty lines
    const char *examples; // lines "command" + tab + "what it does"
};

extern const struct verb verbs[];
extern const size_t verbs_count;

// One line on what a noun with several verbs is; "" for others.
const char *noun_summary(const char *noun);

#endif
