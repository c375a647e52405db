// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Asking before something is destroyed.
#ifndef TOOLS_PROMPT_H
#define TOOLS_PROMPT_H

#include "context.h"

enum prompt_answer {
    PROMPT_YES,
    PROMPT_NO,      // said no: the caller ends with STATUS_DONE, nothing changed
    PROMPT_DRY_RUN, // --dry-run: likewise
    PROMPT_REFUSED, // no terminal and no --yes: the caller ends with STATUS_USAGE
};

// `what` says with exact counts and bytes what will go, e.g. "remove 3 sessions, ...". It is shown
// in any case, on standard error with --json.
enum prompt_answer prompt_ask(const struct context *ctx, const char *what);

#endif
