// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The second half of every verb that destroys: say what will go, ask, do it, report.
#ifndef TOOLS_DESTROY_H
#define TOOLS_DESTROY_H

#include "context.h"
#include "store/removal.h"

// Takes a removal to which everything was added. Returns a status; ctx->view is closed after it.
int destroy_run(struct context *ctx, struct removal *removal);

#endif
