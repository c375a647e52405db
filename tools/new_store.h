// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Making a store in a folder that takes its name only when all is in it, so that nothing ends half
// made.
#ifndef TOOLS_NEW_STORE_H
#define TOOLS_NEW_STORE_H

#include "context.h"

struct new_store {
    char *path;  // where it is made: <target>.new
    bool exists; // the folder was made by us
};

// `target` must not exist, or be an empty folder. Makes the folder beside it and opens a store in
// it: ctx->store. A status; on failure the sentence was printed.
int new_store_open(struct new_store *new_store, struct context *ctx, const char *target);

// Closes it with all that was appended, durable, and gives it its name.
int new_store_finish(struct new_store *new_store, struct context *ctx, const char *target);

// Remarks that a new store belongs to root, whose files a broker of another user cannot open.
void new_store_note_owner(const char *path);

// Makes the name of a file or folder durable. -1 and errno on failure.
int folder_above_sync(const char *target);

// Closes it and removes the folder, unless it has its name already. Always call it.
void new_store_discard(struct new_store *new_store, struct context *ctx);

#endif
