// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// A command of the command line, run in a process of its own out of a check program, which can let
// the calls of it fail that are not to be reached from outside.
#ifndef TESTS_FAULTS_COMMAND_H
#define TESTS_FAULTS_COMMAND_H

#include "context.h"

// How it ended, and what it printed.
struct command_result {
    int status; // -n: by signal n
    char out[16384];
    char err[4096];
};

// `words` as typed behind the name of the program, ended by NULL; a verb with VERB_PROBES.
// `prepare` (may be NULL) is called in the process first.
void command_run(struct command_result *result, const char *const *words, void (*prepare)(void));

#endif
