// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// What a verb gets to work with, and the few questions that every verb asks of it.
#ifndef TOOLS_CONTEXT_H
#define TOOLS_CONTEXT_H

#include "args.h"
#include "store/store.h"

struct context {
    const struct args *args;
    const char *path; // the store folder
    bool json;
    bool color;
    // Open before the verb runs if its flags ask for it, closed by the caller after.
    struct store *store;
    struct store_view *view;
    struct store_stats stats; // as of opening
    bool held;                // a broker holds the store
    struct store_error err;
};

bool context_given(const struct context *ctx, enum option_id id);
uint64_t context_number(const struct context *ctx, enum option_id id, uint64_t otherwise);
const char *context_text(const struct context *ctx, enum option_id id, const char *otherwise);
struct span context_positional(const struct context *ctx, int index); // absent if there is none

// Print ctx->err, or a sentence of the verb's own, on standard error, once, and give the status to
// end with.
int context_fail(struct context *ctx);
int context_refuse(enum status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// A remark on standard error that does not change the status.
void context_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Now, in seconds and milliseconds since the epoch; the same throughout one run.
int64_t context_now_s(void);
int64_t context_now_ms(void);

#endif
