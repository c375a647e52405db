// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// queue export: one session and its queue as JSON lines.
#include "commands.h"
#include "entries.h"
#include "id_set.h"
#include "progress.h"
#include "session_words.h"

#include <stdio.h>

struct export
{
    struct context *ctx;
    struct progress progress;
    struct id_set printed; // messages that have their line
    bool redact;
};

static int print_line(struct export *job, cJSON *entry)
{
    json_print(entry);
    progress_step(&job->progress);
    return ferror(stdout) ? STORE_ESTOPPED : 0;
}

// A message comes before the first entry that names it.
static int on_queued(void *user, const struct queued *queued)
{
    struct export *job = user;
    struct context *ctx = job->ctx;
    if (id_set_add(&job->printed, queued->store_id)) {
        struct message message;
        struct queued entry = *queued;
        int rc = store_get_message(ctx->view, entry.store_id, &message, &ctx->err);
        if (rc == 0)
            rc = print_line(job, entry_message(&message, job->redact));
        if (rc && rc != STORE_ENOTFOUND)
            return rc;
    }
    return print_line(job, entry_queued(queued));
}

int cmd_queue_export(struct context *ctx)
{
    struct export job = {.ctx = ctx, .redact = context_given(ctx, OPT_REDACT)};
    struct span client_id = context_positional(ctx, 0);
    struct session session;
    int rc = session_require(ctx, client_id);
    if (rc)
        return rc;
    progress_begin(&job.progress, ctx, "exported entries", 0);
    json_print(entry_store(&ctx->stats, job.redact));
    rc = store_get_session(ctx->view, client_id, &session, &ctx->err);
    if (rc == 0)
        rc = print_line(&job, entry_session(&session, job.redact));
    if (rc == 0)
        rc = store_each_queued(ctx->view, client_id, on_queued, &job, &ctx->err);
    progress_end(&job.progress);
    id_set_release(&job.printed);
    if (rc == STORE_ESTOPPED)
        return STATUS_ERROR;
    return rc ? context_fail(ctx) : STATUS_DONE;
}
