// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What the table of verbs says of itself: help on three levels, the manual page, the completion.
#ifndef TOOLS_HELP_H
#define TOOLS_HELP_H

#include "verbs.h"

#include <stdio.h>

#define PROGRAM "mosquitto_lmdb"

void help_program(FILE *out);
void help_noun(FILE *out, const char *noun);
void help_verb(FILE *out, const struct verb *verb);

// Writes "mosquitto_lmdb session ls [OPTION]..." without a newline.
void help_usage(FILE *out, const struct verb *verb);

void help_man_page(FILE *out);   // troff, mosquitto_lmdb(1)
void help_completion(FILE *out); // for bash

// The exit statuses and the environment, for help and the manual page.
struct help_status {
    int status;
    const char *meaning;
};
extern const struct help_status help_statuses[];
extern const size_t help_statuses_count;

// Whether a verb can end with `status`.
bool help_verb_has_status(const struct verb *verb, int status);

#endif
