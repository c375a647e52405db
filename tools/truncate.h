// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// repair --truncate-journal: the one repair in place, for a store whose tables are sound and whose
// journal is not.
#ifndef TOOLS_TRUNCATE_H
#define TOOLS_TRUNCATE_H

#include "context.h"

// Says what a cut takes away, asks, cuts. Runs in a child. Returns the status to end with.
int truncate_run(struct context *ctx);

#endif
