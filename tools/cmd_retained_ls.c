// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// retained ls: the retained messages, all or those under a filter.
#include "commands.h"
#include "human.h"
#include "list.h"
#include "message_filter.h"
#include "message_show.h"

#include <stdio.h>

static const struct column columns[] = {
    {"topic", "TOPIC", COLUMN_TEXT},  {"qos", "QOS", COLUMN_NUMBER},
    {"bytes", "BYTES", COLUMN_BYTES}, {"time", NULL, COLUMN_NUMBER},
    {NULL, "AGE", COLUMN_DURATION},   {"expiry_time", NULL, COLUMN_NUMBER},
    {NULL, "EXPIRES", COLUMN_WORD},   {"store_id", NULL, COLUMN_ID},
    {"payload", NULL, COLUMN_TEXT}, // with --payload only
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

struct listing {
    struct context *ctx;
    struct list list;
    struct message_filter filter;
    bool payloads;
    uint64_t shown; // one below the other, with their payloads
    uint64_t hidden;
};

static int message_get(struct listing *listing, uint64_t store_id, struct message *message)
{
    struct context *ctx = listing->ctx;
    int rc = store_get_message(ctx->view, store_id, message, &ctx->err);
    message->store_id = store_id;
    return rc == STORE_ENOTFOUND ? 0 : rc;
}

static int row_add(struct listing *listing, const struct retained *retained)
{
    struct list *list = &listing->list;
    struct message message = {0};
    struct text expiry = {0};
    if (!list_row(list))
        return 0;
    list_text(list, retained->topic);
    int rc = message_get(listing, retained->store_id, &message);
    if (rc)
        return rc;
    list_number(list, message.qos);
    list_number(list, message.payload.len);
    list_age(list, message_time_s(message.store_id));
    message_add_expiry(&expiry, &message);
    list_number(list, (uint64_t)message.expiry_time);
    list_word(list, expiry.data);
    list_number(list, message.store_id);
    if (listing->payloads)
        list_base64(list, message.payload);
    text_release(&expiry);
    return 0;
}

static int message_add(struct listing *listing, const struct retained *retained)
{
    struct message message = {.topic = retained->topic};
    const struct context *ctx = listing->ctx;
    if (listing->shown == context_number(ctx, OPT_LIMIT, UINT64_MAX)) {
        listing->hidden++;
        return 0;
    }
    int rc = message_get(listing, retained->store_id, &message);
    if (rc)
        return rc;
    if (listing->shown++ && strcmp(context_text(ctx, OPT_PAYLOAD, ""), "raw") != 0)
        putchar('\n');
    message_show(ctx, 0, NULL, &message);
    return 0;
}

static int on_retained(void *user, const struct retained *retained)
{
    struct listing *listing = user;
    if (!message_filter_passes(&listing->filter, retained->topic, retained->store_id))
        return 0;
    return listing->payloads && !listing->ctx->json ? message_add(listing, retained)
                                                    : row_add(listing, retained);
}

int cmd_retained_ls(struct context *ctx)
{
    struct listing listing = {.ctx = ctx, .payloads = context_given(ctx, OPT_PAYLOAD)};
    int rc = message_filter_init(&listing.filter, ctx, context_positional(ctx, 0));
    if (rc)
        return rc;
    list_begin(&listing.list, ctx, "retained", columns, listing.payloads ? COLUMNS : COLUMNS - 1);
    rc = store_each_retained(ctx->view, on_retained, &listing, &ctx->err);
    list_end(&listing.list, listing.shown ? "" : "no retained message");
    list_print_more(listing.hidden);
    return rc ? context_fail(ctx) : STATUS_DONE;
}
