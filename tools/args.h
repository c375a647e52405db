// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The command line's words, held against a table of verbs. Pure: reads no environment, prints
// nothing.
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include "text.h"
#include "verbs.h"

struct option_value {
    bool given;
    const char *text; // as typed; NULL for a flag
    uint64_t number;  // of a count, a duration (ms) or the first of limits
    uint64_t second;  // of limits: the critical one
    bool has_second;
};

struct args {
    const char *noun;        // as typed; NULL: none
    const struct verb *verb; // NULL: no verb, only with help or version or without a word
    const char **positional; // what stands behind the verb
    int positional_count;
    struct option_value values[OPT_COUNT_ALL];
};

// Returns STATUS_DONE, or STATUS_USAGE with one sentence in `why`. Options may stand anywhere; "--"
// ends them. The strings are argv's. Release it in either case.
int args_parse(struct args *args, const struct verb *table, size_t table_count, int argc,
               char **argv, struct text *why);
void args_release(struct args *args);

#endif
