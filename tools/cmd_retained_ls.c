// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// retained ls: the retained messages, all or those under a filter.
#include "commands.h"
#include "human.h"
#include "list.h"
#include "message_filter.h"
#include "message_show.h"

static const struct column columns[] = {
    {"topic", "TOPIC", COLUMN_TEXT},  {"qos", "QOS", COLUMN_NUMBER},
    {"bytes", "BYTES", COLUMN_BYTES}, {"time", NULL, COLUMN_NUMBER},
    {NULL, "AGE", COLUMN_DURATION},   {"expiry_time", NULL, COLUMN_NUMBER},
    {NULL, "EXPIRES", COLUMN_WORD},   {"store_id", NULL, COLUMN_ID},
};

struct listing {
    struct context *ctx;
    struct list list;
    struct message_filter filter;
};

static int on_retained(void *user, const struct retained *retained)
{
    struct listing *listing = user;
    struct context *ctx = listing->ctx;
    struct list *list = &listing->list;
    struct message message = {0};
    struct text expiry = {0};
    uint64_t store_id = retained->store_id;
    if (!message_filter_passes(&listing->filter, retained->topic, store_id) || !list_row(list))
        return 0;
    list_text(list, retained->topic);
    int rc = store_get_message(ctx->view, store_id, &message, &ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    list_number(list, message.qos);
    list_number(list, message.payload.len);
    list_age(list, message_time_s(store_id));
    message_add_expiry(&expiry, &message);
    list_number(list, (uint64_t)message.expiry_time);
    list_word(list, expiry.data);
    list_number(list, store_id);
    text_release(&expiry);
    return 0;
}

int cmd_retained_ls(struct context *ctx)
{
    struct listing listing = {.ctx = ctx};
    int rc = message_filter_init(&listing.filter, ctx, context_positional(ctx, 0));
    if (rc)
        return rc;
    list_begin(&listing.list, ctx, "retained", columns, sizeof(columns) / sizeof(columns[0]));
    rc = store_each_retained(ctx->view, on_retained, &listing, &ctx->err);
    list_end(&listing.list, "no retained message");
    return rc ? context_fail(ctx) : STATUS_DONE;
}
