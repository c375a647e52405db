// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// sub ls: the subscriptions, or those that would get what is published to a topic.
#include "commands.h"
#include "session_words.h"
#include "subscription_words.h"
#include "topic.h"

struct listing {
    struct list list;
    const char *match;
    struct span topic; // absent: any
    bool shared;       // a row of a shared subscription was shown
};

static int on_subscription(void *user, const struct subscription *subscription)
{
    struct listing *listing = user;
    struct span group, rest;
    if (listing->topic.data && !topic_matches(subscription->topic_filter, listing->topic))
        return 0;
    if (listing->match && !client_id_matches(listing->match, subscription->client_id))
        return 0;
    listing->shared |= topic_share_split(subscription->topic_filter, &group, &rest);
    subscription_list_add(&listing->list, subscription);
    return 0;
}

int cmd_sub_ls(struct context *ctx)
{
    struct listing listing = {
        .match = context_text(ctx, OPT_MATCH, NULL),
        .topic = span_str(context_text(ctx, OPT_TOPIC, NULL)),
    };
    if (listing.topic.data && !topic_name_valid(listing.topic))
        return context_refuse(STATUS_USAGE, "--topic is the name of a topic, without + and #");
    struct span client_id = context_positional(ctx, 0);
    int rc = client_id.data ? session_require(ctx, client_id) : STATUS_DONE;
    if (rc)
        return rc;
    subscription_list_begin(&listing.list, ctx, NULL, true);
    rc = store_each_subscription(ctx->view, client_id, on_subscription, &listing, &ctx->err);
    list_end(&listing.list, listing.topic.data ? "no subscription matches" : "no subscription");
    if (listing.shared && listing.topic.data && !ctx->json)
        context_note("of a shared subscription one member of each group gets the message");
    return rc ? context_fail(ctx) : STATUS_DONE;
}
