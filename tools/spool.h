// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Output that is kept back until the picture of the tables is closed. As long as that is open, a
// running broker cannot use pages again that it has freed, and its file grows: a pager at the other
// end of a pipe must not decide how long.
#ifndef TOOLS_SPOOL_H
#define TOOLS_SPOOL_H

#include "context.h"

struct spool {
    int output; // what standard output was, -1: nothing is kept back
};

// Keeps standard output back in a file without a name, if it is a pipe and a broker holds the
// store. Goes without if no such file can be made.
void spool_begin(struct spool *spool, const struct context *ctx);

// Lets it go. Returns `status`, or STATUS_ERROR with a sentence printed.
int spool_end(struct spool *spool, int status);

#endif
