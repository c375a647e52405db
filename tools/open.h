// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Opening the store as a command line should.
//
// To read: what a crash left is folded in first, if nobody holds the store; then it is opened
// without the lock, so that a broker may start meanwhile. A store that a broker runs on is read as
// its tables are. A remark on standard error says what is missing from the picture.
// To write: alone, and what was read before is what is there.
#ifndef TOOLS_OPEN_H
#define TOOLS_OPEN_H

#include "context.h"

// Each fills ctx->store, ctx->view, ctx->stats and ctx->held. Returns a status; on failure the
// sentence was printed, unless `quiet` (it is then in ctx->err and no remark is made).
int open_for_reading(struct context *ctx, bool quiet);
int open_for_writing(struct context *ctx);

// After reading: whether it can be believed (store_read_confirm). Else the sentence was printed.
int open_confirm(struct context *ctx);

// Makes what was appended durable in the tables, and closes. The stop mark is never written: it
// would say that a broker stopped and owes no will.
int open_finish(struct context *ctx);

// Closes whatever is open.
void open_close(struct context *ctx);

#endif
