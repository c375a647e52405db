// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// export: everything as JSON lines.
#include "commands.h"
#include "context.h"
#include "entries.h"
#include "progress.h"

#include <stdio.h>

struct export
{
    struct progress progress;
    bool redact;
};

// A full disk or a closed pipe must not be read on to the end.
static int print_line(struct export *job, cJSON *entry)
{
    json_print(entry);
    progress_step(&job->progress);
    return ferror(stdout) ? STORE_ESTOPPED : 0;
}

static int on_session(void *user, const struct session *session)
{
    struct export *job = user;
    return print_line(job, entry_session(session, job->redact));
}

static int on_subscription(void *user, const struct subscription *subscription)
{
    return print_line(user, entry_subscription(subscription));
}

static int on_message(void *user, const struct message *message)
{
    struct export *job = user;
    return print_line(job, entry_message(message, job->redact));
}

static int on_queued(void *user, const struct queued *queued)
{
    return print_line(user, entry_queued(queued));
}

static int on_retained(void *user, const struct retained *retained)
{
    return print_line(user, entry_retained(retained));
}

static int on_will(void *user, const struct will *will)
{
    struct export *job = user;
    return print_line(job, entry_will(will, job->redact));
}

int cmd_export(struct context *ctx)
{
    const struct store_stats *stats = &ctx->stats;
    const struct span all = {NULL, 0};
    struct export job = {.redact = context_given(ctx, OPT_REDACT)};
    progress_begin(&job.progress, ctx, "exported entries",
                   stats->sessions + stats->subscriptions + stats->messages + stats->queued +
                       stats->retained + stats->wills);

    json_print(entry_store(stats, job.redact));
    int rc = store_each_session(ctx->view, on_session, &job, &ctx->err);
    if (rc == 0)
        rc = store_each_subscription(ctx->view, all, on_subscription, &job, &ctx->err);
    if (rc == 0)
        rc = store_each_message(ctx->view, on_message, &job, &ctx->err);
    if (rc == 0)
        rc = store_each_queued(ctx->view, all, on_queued, &job, &ctx->err);
    if (rc == 0)
        rc = store_each_retained(ctx->view, on_retained, &job, &ctx->err);
    if (rc == 0)
        rc = store_each_will(ctx->view, on_will, &job, &ctx->err);
    progress_end(&job.progress);
    if (rc == STORE_ESTOPPED)
        return STATUS_ERROR;
    return rc ? context_fail(ctx) : STATUS_DONE;
}
