// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// journal dump: the records of the journal, and, with --follow, those that come.
#include "commands.h"
#include "event_show.h"

#include <stdio.h>
#include <time.h>

#define POLL_MS 100

static bool is_mark(const struct event *event)
{
    return event->type == RECORD_LOOP_MARK || event->type == RECORD_SEGMENT_LINK;
}

static void wait_for_more(void)
{
    const struct timespec pause = {0, POLL_MS * 1000000L};
    fflush(stdout);
    nanosleep(&pause, NULL);
}

// As store_cursor_next, but goes on behind what the broker removed before we got there.
static int next(struct context *ctx, struct store_cursor *cursor, struct event *ret_event,
                uint64_t *ret_position)
{
    int rc = store_cursor_next(cursor, ret_event, ret_position, &ctx->err);
    while (rc == STORE_ENOTFOUND) {
        context_note("the broker has removed records before they could be read");
        if ((rc = store_cursor_skip(cursor, &ctx->err)) == 0)
            rc = store_cursor_next(cursor, ret_event, ret_position, &ctx->err);
    }
    return rc;
}

// Goes to the end without a word.
static int skip_to_end(struct context *ctx, struct store_cursor *cursor)
{
    struct event event;
    uint64_t position;
    int rc;
    do {
        rc = store_cursor_next(cursor, &event, &position, &ctx->err);
        if (rc == STORE_ENOTFOUND && (rc = store_cursor_skip(cursor, &ctx->err)) == 0)
            rc = 1;
    } while (rc > 0);
    return rc;
}

static int dump(struct context *ctx, struct store_cursor *cursor)
{
    uint64_t limit = context_number(ctx, OPT_LIMIT, UINT64_MAX), left = limit;
    bool follow = context_given(ctx, OPT_FOLLOW);
    bool all = context_given(ctx, OPT_MARKS);
    struct event event;
    uint64_t position;
    while (left > 0 && !ferror(stdout)) {
        int rc = next(ctx, cursor, &event, &position);
        if (rc == 0 && !follow)
            break;
        if (rc == 0) {
            wait_for_more();
        } else if (rc < 0) {
            return rc;
        } else if (all || !is_mark(&event)) {
            event_print(ctx, position, &event);
            left--;
        }
    }
    if (left == limit && limit > 0 && !ctx->json)
        context_note("the journal holds no event any more; --follow shows those that come");
    return 0;
}

int cmd_journal_dump(struct context *ctx)
{
    struct store_cursor *cursor = NULL;
    // A picture of the tables is not needed, and would hold pages of theirs for as long as we
    // follow.
    store_view_close(ctx->view);
    ctx->view = NULL;
    int rc = store_cursor_open(&cursor, ctx->store, 0, &ctx->err);
    if (rc == 0 && strcmp(context_text(ctx, OPT_FROM, "oldest"), "newest") == 0)
        rc = skip_to_end(ctx, cursor);
    if (rc == 0)
        rc = dump(ctx, cursor);
    store_cursor_close(cursor);
    return rc ? context_fail(ctx) : STATUS_DONE;
}
