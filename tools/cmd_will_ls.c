// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// will ls: what is published for clients that do not come back.
#include "commands.h"
#include "list.h"
#include "message_filter.h"

static const struct column columns[] = {
    {"client_id", "CLIENT ID", COLUMN_TEXT},
    {"topic", "TOPIC", COLUMN_TEXT},
    {"qos", "QOS", COLUMN_NUMBER},
    {"retain", "RETAIN", COLUMN_BOOL},
    {"payload_len", "BYTES", COLUMN_BYTES},
    {"session", "SESSION", COLUMN_BOOL},
    {"will_delay_interval", NULL, COLUMN_NUMBER},
    {NULL, "DELAY", COLUMN_DURATION},
};

struct listing {
    struct context *ctx;
    struct list list;
    struct message_filter filter;
};

static int on_will(void *user, const struct will *will)
{
    struct listing *listing = user;
    struct list *list = &listing->list;
    struct session session = {0};
    if (!message_filter_passes(&listing->filter, will->topic, 0) || !list_row(list))
        return 0;
    list_text(list, will->client_id);
    list_text(list, will->topic);
    list_number(list, will->qos);
    list_number(list, will->retain);
    list_number(list, will->payload.len);
    int rc = store_get_session(listing->ctx->view, will->client_id, &session, &listing->ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    list_number(list, rc == 0);
    list_number(list, session.will_delay_interval);
    if (session.will_delay_interval)
        list_number(list, (uint64_t)session.will_delay_interval * 1000);
    else
        list_nothing(list);
    return 0;
}

int cmd_will_ls(struct context *ctx)
{
    struct listing listing = {.ctx = ctx};
    int rc = message_filter_init(&listing.filter, ctx, (struct span){NULL, 0});
    if (rc)
        return rc;
    list_begin(&listing.list, ctx, "wills", columns, sizeof(columns) / sizeof(columns[0]));
    rc = store_each_will(ctx->view, on_will, &listing, &ctx->err);
    list_end(&listing.list, "no will");
    return rc ? context_fail(ctx) : STATUS_DONE;
}
