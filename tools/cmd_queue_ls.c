// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// queue ls: the queues and what they hold, or the entries of one.
#include "commands.h"
#include "human.h"
#include "largest.h"
#include "list.h"
#include "message_filter.h"
#include "queue_totals.h"
#include "session_words.h"

#include <stdlib.h>

static const struct column queue_columns[] = {
    {"client_id", "CLIENT ID", COLUMN_TEXT}, {"out", "OUT", COLUMN_COUNT},
    {"inflight", "IN FLIGHT", COLUMN_COUNT}, {"in", "IN", COLUMN_COUNT},
    {"bytes", "BYTES", COLUMN_BYTES},        {"oldest_time", NULL, COLUMN_NUMBER},
    {NULL, "OLDEST", COLUMN_DURATION},       {"newest_time", NULL, COLUMN_NUMBER},
    {NULL, "NEWEST", COLUMN_DURATION},
};

static const struct column entry_columns[] = {
    {"place", "#", COLUMN_NUMBER},    {"direction", "DIR", COLUMN_WORD},
    {"topic", "TOPIC", COLUMN_TEXT},  {"qos", "QOS", COLUMN_NUMBER},
    {"state", "STATE", COLUMN_WORD},  {"mid", "MID", COLUMN_NUMBER},
    {"bytes", "BYTES", COLUMN_BYTES}, {"time", NULL, COLUMN_NUMBER},
    {NULL, "AGE", COLUMN_DURATION},   {"cmsg_id", NULL, COLUMN_ID},
    {"store_id", NULL, COLUMN_ID},
};

#define COUNT(columns) (sizeof(columns) / sizeof((columns)[0]))

struct row {
    struct span client_id;
    struct queue_totals totals;
};

struct listing {
    struct context *ctx;
    struct list list;
    struct message_filter filter;
    struct largest largest;
    const char *sort;
    struct row current; // the queue that is being added up
    uint64_t place;
};

static void row_free(void *data)
{
    struct row *row = data;
    xspan_free(row->client_id);
    free(row);
}

static void print_queue(struct list *list, const struct row *row)
{
    if (!list_row(list))
        return;
    list_text(list, row->client_id);
    list_number(list, row->totals.out);
    list_number(list, row->totals.inflight);
    list_number(list, row->totals.in);
    list_number(list, row->totals.bytes);
    list_age(list, row->totals.oldest_s);
    list_age(list, row->totals.newest_s);
}

static uint64_t sort_value(const struct listing *listing)
{
    const struct queue_totals *totals = &listing->current.totals;
    switch (listing->sort[0]) {
    case 'b':
        return totals->bytes;
    case 'a':
        return totals->oldest_s ? UINT64_MAX - (uint64_t)totals->oldest_s : 0;
    default:
        return totals->out + totals->in;
    }
}

static void finish_queue(struct listing *listing)
{
    struct row *row = &listing->current;
    uint64_t count = row->totals.out + row->totals.in;
    if (count == 0 || count <= context_number(listing->ctx, OPT_QUEUE_GT, 0)) {
        xspan_free(row->client_id);
    } else if (strcmp(listing->sort, "id") == 0) {
        print_queue(&listing->list, row);
        xspan_free(row->client_id);
    } else {
        struct row *kept = xmalloc(sizeof(*kept));
        *kept = *row;
        largest_add(&listing->largest, sort_value(listing), kept);
    }
    *row = (struct row){.client_id = {NULL, 0}};
}

static int on_queued(void *user, const struct queued *queued)
{
    struct listing *listing = user;
    struct context *ctx = listing->ctx;
    const char *pattern = context_text(ctx, OPT_MATCH, NULL);
    struct row *row = &listing->current;
    struct message message = {0};
    struct queued entry = *queued;
    if (!row->client_id.data || !span_equal(row->client_id, queued->client_id)) {
        finish_queue(listing);
        row->client_id = xspan_copy(queued->client_id);
    }
    if (pattern && !client_id_matches(pattern, row->client_id))
        return 0;
    int rc = store_get_message(ctx->view, queued->store_id, &message, &ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    if (message_filter_passes(&listing->filter, message.topic, entry.store_id))
        queue_totals_add(&row->totals, &entry, message.payload.len);
    return 0;
}

static int list_queues(struct listing *listing)
{
    struct context *ctx = listing->ctx;
    list_begin(&listing->list, ctx, "queues", queue_columns, COUNT(queue_columns));
    largest_init(&listing->largest, listing->list.limit, row_free);
    int rc = store_each_queued(ctx->view, (struct span){NULL, 0}, on_queued, listing, &ctx->err);
    finish_queue(listing);
    largest_sort(&listing->largest);
    for (size_t i = 0; rc == 0 && i < listing->largest.count; i++)
        print_queue(&listing->list, listing->largest.rows[i].data);
    listing->list.hidden += listing->largest.added - listing->largest.count;
    largest_release(&listing->largest);
    return rc;
}

static int on_entry(void *user, const struct queued *queued)
{
    struct listing *listing = user;
    struct context *ctx = listing->ctx;
    struct list *list = &listing->list;
    struct message message = {0};
    struct queued entry = *queued;
    listing->place++;
    int rc = 0;
    // Past the limit entries are only counted.
    if (list->rows < list->limit || !message_filter_is_all(&listing->filter))
        rc = store_get_message(ctx->view, entry.store_id, &message, &ctx->err);
    if (rc && rc != STORE_ENOTFOUND)
        return rc;
    if (!message_filter_passes(&listing->filter, message.topic, entry.store_id) || !list_row(list))
        return 0;
    list_number(list, listing->place);
    list_word(list, entry.direction == QUEUE_IN ? "in" : "out");
    list_text(list, message.topic);
    list_number(list, entry.qos);
    list_word(list, queue_state_name(entry.state));
    list_number(list, entry.mid);
    list_number(list, message.payload.len);
    list_age(list, message_time_s(entry.store_id));
    list_number(list, entry.cmsg_id);
    list_number(list, entry.store_id);
    return 0;
}

int cmd_queue_ls(struct context *ctx)
{
    struct listing listing = {.ctx = ctx, .sort = context_text(ctx, OPT_SORT, "id")};
    struct span client_id = context_positional(ctx, 0);
    if (client_id.data && (context_given(ctx, OPT_SORT) || context_given(ctx, OPT_MATCH) ||
                           context_given(ctx, OPT_QUEUE_GT)))
        return context_refuse(STATUS_USAGE, "--sort, --match and --queue-gt choose among queues; "
                                            "with ID there is one, in its order");
    int rc = message_filter_init(&listing.filter, ctx, (struct span){NULL, 0});
    if (rc == 0 && client_id.data)
        rc = session_require(ctx, client_id);
    if (rc)
        return rc;
    if (client_id.data) {
        list_begin(&listing.list, ctx, "entries", entry_columns, COUNT(entry_columns));
        rc = store_each_queued(ctx->view, client_id, on_entry, &listing, &ctx->err);
    } else {
        rc = list_queues(&listing);
    }
    list_end(&listing.list, client_id.data ? "nothing is queued" : "no queue holds anything");
    return rc ? context_fail(ctx) : STATUS_DONE;
}
