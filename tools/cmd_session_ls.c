// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// session ls: the sessions, filtered, in the order of their ids or of what they own.
#include "commands.h"
#include "largest.h"
#include "list.h"
#include "queue_totals.h"
#include "session_words.h"

#include <stdlib.h>

static const struct column columns[] = {
    {"client_id", "CLIENT ID", COLUMN_TEXT},
    {"connected", NULL, COLUMN_BOOL},
    {NULL, "STATE", COLUMN_WORD},
    {NULL, "FOR", COLUMN_DURATION},
    {"changed_time_ms", NULL, COLUMN_NUMBER},
    {"queued", "QUEUED", COLUMN_COUNT},
    {"queued_bytes", "BYTES", COLUMN_BYTES},
    {NULL, "EXPIRES", COLUMN_WORD},
    {"session_expiry_interval", NULL, COLUMN_NUMBER},
    {"session_expiry_time", NULL, COLUMN_NUMBER},
};

enum sort_key { SORT_ID, SORT_QUEUE, SORT_BYTES, SORT_AGE };

struct row {
    struct session session; // client_id is a copy, the other spans are absent
    struct queue_totals totals;
};

struct listing {
    struct context *ctx;
    struct list list;
    struct largest largest;
    enum sort_key sort;
};

static void row_free(void *data)
{
    struct row *row = data;
    xspan_free(row->session.client_id);
    free(row);
}

static void print_row(struct listing *listing, const struct session *session,
                      const struct queue_totals *totals)
{
    struct list *list = &listing->list;
    if (!list_row(list))
        return;
    uint64_t state_ms = session_state_ms(session);
    list_text(list, session->client_id);
    list_number(list, session->connected);
    list_word(list, session_state(listing->ctx, session));
    if (state_ms)
        list_number(list, state_ms);
    else
        list_nothing(list);
    list_number(list, (uint64_t)session->changed_time_ms);
    list_number(list, totals->out + totals->in);
    list_number(list, totals->bytes);
    struct text expiry = {0};
    session_add_expiry(&expiry, session);
    list_word(list, expiry.data);
    text_release(&expiry);
    list_number(list, session->session_expiry_interval);
    list_number(list, (uint64_t)session->session_expiry_time);
}

static uint64_t sort_value(const struct listing *listing, const struct session *session,
                           const struct queue_totals *totals)
{
    switch (listing->sort) {
    case SORT_BYTES:
        return totals->bytes;
    case SORT_AGE:
        return session->connected ? 0 : session_state_ms(session);
    default:
        return totals->out + totals->in;
    }
}

// In the order of ids a row is printed as it comes; else it is kept if it may be among the largest.
static int on_session(void *user, const struct session *given)
{
    struct listing *listing = user;
    struct context *ctx = listing->ctx;
    struct queue_totals totals = {0};
    if (!session_passes(ctx, given))
        return 0;
    bool in_order = listing->sort == SORT_ID;
    bool shown = in_order && listing->list.rows < listing->list.limit;
    bool by_queue = context_given(ctx, OPT_QUEUE_GT);
    // What the walk gave may be gone once the queue has been read.
    struct session session = *given;
    session.client_id = xspan_copy(given->client_id);
    session.username = session.auth_method = (struct span){NULL, 0};
    int rc = 0;
    if (shown || by_queue || !in_order)
        rc = queue_totals_read(&totals, ctx->view, session.client_id,
                               shown || listing->sort == SORT_BYTES, &ctx->err);
    bool passes = !by_queue || totals.out + totals.in > context_number(ctx, OPT_QUEUE_GT, 0);
    uint64_t value = sort_value(listing, &session, &totals);
    if (rc == 0 && passes && in_order) {
        print_row(listing, &session, &totals);
    } else if (rc == 0 && passes && largest_wants(&listing->largest, value)) {
        struct row *row = xmalloc(sizeof(*row));
        *row = (struct row){session, totals};
        largest_add(&listing->largest, value, row);
        return 0;
    } else if (rc == 0 && passes) {
        largest_skip(&listing->largest);
    }
    xspan_free(session.client_id);
    return rc;
}

static int print_sorted(struct listing *listing)
{
    struct largest *largest = &listing->largest;
    struct context *ctx = listing->ctx;
    int rc = 0;
    largest_sort(largest);
    for (size_t i = 0; rc == 0 && i < largest->count; i++) {
        struct row *row = largest->rows[i].data;
        if (listing->sort != SORT_BYTES && row->totals.out + row->totals.in) {
            row->totals = (struct queue_totals){0};
            rc =
                queue_totals_read(&row->totals, ctx->view, row->session.client_id, true, &ctx->err);
        }
        if (rc == 0)
            print_row(listing, &row->session, &row->totals);
    }
    listing->list.hidden = largest->added - largest->count;
    return rc;
}

static enum sort_key sort_of(const char *name)
{
    static const char *const names[] = {"id", "queue", "bytes", "age"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return (enum sort_key)i;
    }
    return SORT_ID;
}

int cmd_session_ls(struct context *ctx)
{
    struct listing listing = {.ctx = ctx, .sort = sort_of(context_text(ctx, OPT_SORT, "id"))};
    list_begin(&listing.list, ctx, "sessions", columns, sizeof(columns) / sizeof(columns[0]));
    largest_init(&listing.largest, listing.list.limit, row_free);
    int rc = store_each_session(ctx->view, on_session, &listing, &ctx->err);
    if (rc == 0 && listing.sort != SORT_ID)
        rc = print_sorted(&listing);
    largest_release(&listing.largest);
    list_end(&listing.list, "no session");
    return rc ? context_fail(ctx) : STATUS_DONE;
}
