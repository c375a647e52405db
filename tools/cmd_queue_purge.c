// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// queue purge: throws messages of a queue away.
#include "commands.h"
#include "destroy.h"
#include "message_filter.h"
#include "session_words.h"

static bool wants(void *user, const struct queued *queued, const struct message *message)
{
    const struct message_filter *filter = user;
    struct span topic = message ? message->topic : (struct span){NULL, 0};
    return message_filter_passes(filter, topic, queued->store_id);
}

int cmd_queue_purge(struct context *ctx)
{
    struct message_filter filter;
    struct removal *removal = NULL;
    struct span client_id = context_positional(ctx, 0);
    int status = message_filter_init(&filter, ctx, (struct span){NULL, 0});
    if (status == STATUS_DONE)
        status = session_require(ctx, client_id);
    if (status)
        return status;
    if (removal_new(&removal, &ctx->err) ||
        removal_add_queued(removal, ctx->view, client_id, wants, &filter,
                           context_number(ctx, OPT_KEEP, 0), &ctx->err))
        status = context_fail(ctx);
    else
        status = destroy_run(ctx, removal);
    removal_free(removal);
    return status;
}
