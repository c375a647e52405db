// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// retained rm: forgets the retained messages under a topic filter.
#include "commands.h"
#include "destroy.h"
#include "message_filter.h"

struct job {
    struct context *ctx;
    struct message_filter filter;
    struct removal *removal;
};

static int on_retained(void *user, const struct retained *retained)
{
    struct job *job = user;
    if (!message_filter_passes(&job->filter, retained->topic, retained->store_id))
        return 0;
    return removal_add_retained(job->removal, job->ctx->view, retained, &job->ctx->err);
}

int cmd_retained_rm(struct context *ctx)
{
    struct job job = {.ctx = ctx};
    int status = message_filter_init(&job.filter, ctx, context_positional(ctx, 0));
    if (status)
        return status;
    if (removal_new(&job.removal, &ctx->err) ||
        store_each_retained(ctx->view, on_retained, &job, &ctx->err))
        status = context_fail(ctx);
    else
        status = destroy_run(ctx, job.removal);
    removal_free(job.removal);
    return status;
}
