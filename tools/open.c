// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "open.h"

#include "help.h"
#include "human.h"

#include <inttypes.h>
#include <stdio.h>

static void print_notice(void *user, enum store_notice_level level, const char *sentence)
{
    (void)user;
    if (level != STORE_NOTICE_INFO)
        context_note("%s", sentence);
}

static int open_as(struct context *ctx, enum store_access access, bool quiet)
{
    struct store_options options = {
        .path = ctx->path,
        .access = access,
        .check_values = context_given(ctx, OPT_DEEP),
        .holder = PROGRAM,
        // What a person removes is little; a broker makes its own segments when it opens.
        .journal_segment_bytes = 1 << 20,
        .notice = quiet ? NULL : print_notice,
    };
    return store_open(&ctx->store, &options, &ctx->err);
}

void open_close(struct context *ctx)
{
    store_view_close(ctx->view);
    ctx->view = NULL;
    store_close(ctx->store, false, NULL);
    ctx->store = NULL;
}

static int open_with_stats(struct context *ctx, bool quiet)
{
    int rc = open_as(ctx, STORE_READ_ONLY, quiet);
    if (rc == 0)
        rc = store_stats(ctx->store, &ctx->stats, &ctx->err);
    ctx->held = rc == 0 && ctx->stats.lock_holder[0];
    return rc;
}

// Folds in what a crash left. A broker that takes the store at this moment does it in our place.
static int finish_crash(struct context *ctx, bool quiet)
{
    open_close(ctx);
    int rc = open_as(ctx, STORE_RECOVER, quiet);
    if (rc == 0 && !quiet) {
        struct text events = {0};
        human_plural(&events, store_recovery(ctx->store)->records, "event");
        context_note("finished what the last stop left: %s of the journal", events.data);
        text_release(&events);
    }
    open_close(ctx);
    if (rc && rc != STORE_EHELD)
        return rc;
    return open_with_stats(ctx, quiet);
}

static void note_what_is_missing(const struct context *ctx)
{
    const struct store_stats *stats = &ctx->stats;
    struct text events = {0}, age = {0};
    human_plural(&events, stats->behind_records, "event");
    human_duration(&age, stats->behind_ms);
    if (stats->journal_damage[0])
        context_note("the journal is damaged, and what LMDB does not have yet is missing from this "
                     "picture (--read-only)");
    else if (ctx->held && stats->behind_records)
        context_note("%s holds the store; the newest %s (%s) are not in this picture yet",
                     stats->lock_holder, events.data, age.data);
    else if (stats->behind_records)
        context_note("%s of the journal %s missing from this picture%s", events.data,
                     stats->behind_records == 1 ? "is" : "are",
                     context_given(ctx, OPT_READ_ONLY) ? " (--read-only)"
                     : stats->unseen                   ? " (it is mounted read-only)"
                                                       : "");
    text_release(&events);
    text_release(&age);
}

// Leaves ctx->err alone if there is nothing to say.
static int confirm(struct context *ctx)
{
    struct store_error err = {0};
    int rc = store_read_confirm(ctx->store, &err);
    if (rc)
        ctx->err = err;
    return rc;
}

int open_confirm(struct context *ctx)
{
    return ctx->store && confirm(ctx) ? context_fail(ctx) : STATUS_DONE;
}

int open_for_reading(struct context *ctx, bool quiet)
{
    int rc = open_with_stats(ctx, quiet);
    bool finish = rc == 0 && !ctx->held && !context_given(ctx, OPT_READ_ONLY);
    if (finish && ctx->stats.journal_damage[0])
        rc = error_set(&ctx->err, STORE_EDAMAGED, "%s; --read-only shows what LMDB has",
                       ctx->stats.journal_damage);
    else if (finish && ctx->stats.behind_records > 0 && !ctx->stats.unseen)
        rc = finish_crash(ctx, quiet);
    if (rc == 0)
        rc = store_view_open(&ctx->view, ctx->store, &ctx->err);
    if (rc == 0) {
        if (!quiet)
            note_what_is_missing(ctx);
        return STATUS_DONE;
    }
    if (ctx->store && confirm(ctx) == STORE_EHELD)
        rc = STORE_EHELD;
    open_close(ctx);
    return quiet ? error_exit_status(rc) : context_fail(ctx);
}

int open_for_writing(struct context *ctx)
{
    if (context_given(ctx, OPT_READ_ONLY))
        return context_refuse(STATUS_USAGE, "this command changes the store; --read-only and it "
                                            "do not go together");
    int rc = open_as(ctx, STORE_READ_WRITE, false);
    if (rc == 0)
        rc = store_stats(ctx->store, &ctx->stats, &ctx->err);
    if (rc == 0)
        rc = store_view_open(&ctx->view, ctx->store, &ctx->err);
    if (rc == 0)
        return STATUS_DONE;
    open_close(ctx);
    return context_fail(ctx);
}

int open_finish(struct context *ctx)
{
    store_view_close(ctx->view);
    ctx->view = NULL;
    int rc = store_flush(ctx->store, &ctx->err);
    open_close(ctx);
    return rc ? context_fail(ctx) : STATUS_DONE;
}
