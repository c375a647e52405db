// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The stages of verify. Each runs in a process of its own, on a picture of its own.
#ifndef TOOLS_VERIFY_H
#define TOOLS_VERIFY_H

#include "findings.h"

// What the stages count, in memory that the processes share.
struct verify_counts {
    bool readable; // the store can be opened
    uint64_t sessions;
    uint64_t connected;
    uint64_t subscriptions;
    uint64_t messages;
    uint64_t queued;
    uint64_t retained;
    uint64_t wills;
    uint64_t payload_bytes;
    uint64_t content_bytes; // as the statistics count them
    uint64_t dictionaries;
    uint64_t journal_records;
    uint64_t orphans; // messages that nothing names
    uint64_t orphan_bytes;
};

struct verify {
    struct findings findings;
    struct verify_counts *counts;
};

struct verify_stage {
    const char *where;
    bool opens; // works on ctx->store and ctx->view, opened without the lock
    void (*run)(struct context *ctx, struct verify *verify);
};

extern const struct verify_stage verify_stages[];
extern const size_t verify_stages_count;

// Adds an error out of ctx->err.
void verify_add_error(struct context *ctx, struct verify *verify, const char *where,
                      const char *lost);

void verify_files(struct context *ctx, struct verify *verify);
void verify_journal(struct context *ctx, struct verify *verify);
void verify_sessions(struct context *ctx, struct verify *verify);
void verify_subscriptions(struct context *ctx, struct verify *verify);
void verify_messages(struct context *ctx, struct verify *verify);
void verify_queue(struct context *ctx, struct verify *verify);
void verify_retained(struct context *ctx, struct verify *verify);
void verify_wills(struct context *ctx, struct verify *verify);
void verify_dictionaries(struct context *ctx, struct verify *verify);
void verify_references(struct context *ctx, struct verify *verify);
void verify_totals(struct context *ctx, struct verify *verify);

#endif
