// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What verify finds, written down as it is found, by processes that damage may kill, and read back
// when all is done.
#ifndef TOOLS_FINDINGS_H
#define TOOLS_FINDINGS_H

#include "list.h"

#include <stdio.h>

// A note is worth knowing and needs no action; it does not change the exit status.
enum severity { SEVERITY_NOTE, SEVERITY_ERROR };

struct finding {
    enum severity severity;
    const char *where; // "journal", a table, a file
    const char *what;
    const char *lost; // NULL: nothing
    const char *help; // NULL: none needed
};

struct findings {
    FILE *file; // JSON lines, without a name, shared with children
};

// STATUS_ERROR, with a sentence printed, if no file can be made.
int findings_open(struct findings *findings);
void findings_close(struct findings *findings);

void findings_add(struct findings *findings, const struct finding *finding);

// A sentence of the store's about damage, "<what>; <what is lost>", as an error.
void findings_add_damage(struct findings *findings, const char *where, const char *sentence,
                         const char *help);

// The sentence with which recovery refuses a journal.
void findings_add_journal(struct findings *findings, const char *sentence);

// Adds them to a list that findings_begin_list has begun, and returns how many are no notes.
void findings_begin_list(struct list *list, const struct context *ctx, void *document);
uint64_t findings_list(struct findings *findings, struct list *list);

#endif
