// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Work that reads a store runs in a child process: LMDB trusts its file, and a damaged one can kill
// who reads it. The parent turns such an end into a sentence.
#ifndef TOOLS_CHILD_H
#define TOOLS_CHILD_H

#include "context.h"

// Runs `work` in a child with limits on processor time and memory, without a core dump, and as the
// store folder's owner if we are root (a file that root makes would stop the broker). Returns the
// child's status; STATUS_FOUND if a signal killed it that damage sends. Other signals that ended
// the child end us too.
int child_run(struct context *ctx, int (*work)(struct context *ctx));

// As child_run, but a death by damage prints nothing; *ret_signal is the signal, 0 if there was
// none.
int child_probe(struct context *ctx, int (*work)(struct context *ctx), int *ret_signal);

// As child_probe, but any signal that ended the child is in *ret_signal, and the status is then
// not STATUS_DONE; after tidying up child_conclude prints what is to be said, or ends us likewise.
int child_probe_all(struct context *ctx, int (*work)(struct context *ctx), int *ret_signal);
int child_conclude(struct context *ctx, int status, int signal);

// After a death by damage: whether the store cannot be read at all now, since somebody holds it
// whom a reader would disturb (store_read_confirm). Then ctx->err says so, and the death nothing.
bool child_disturbed(struct context *ctx);

// Memory, zeroed, that a child has in common with us; to be given back with munmap.
void *child_share(size_t bytes);

// The sentence for a death by `signal`, to be printed or reported.
void child_explain(struct text *text, const struct context *ctx, int signal);

#endif
